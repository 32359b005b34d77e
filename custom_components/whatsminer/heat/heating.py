"""The thermostat of a heater: feeds the controller, and turns its decisions into wishes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import math
from time import monotonic
from typing import Any, Final, Self

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    EVENT_HOMEASSISTANT_STOP,
    STATE_ON,
    UnitOfTemperature,
)
from homeassistant.core import (
    Event,
    EventStateChangedData,
    State as EntityState,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import (
    async_track_state_change_event,
    async_track_time_interval,
)
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import TemperatureConverter

from ..const import (
    CONF_THERMOSTAT_CALL,
    CONF_THERMOSTAT_COMFORT,
    CONF_THERMOSTAT_EXTRA_COST,
    CONF_THERMOSTAT_MAX,
    CONF_THERMOSTAT_MIN,
    CONF_THERMOSTAT_SENSOR,
    CONF_THERMOSTAT_STEP,
)
from ..issues import report_issue
from ..power.policy import Wish
from .heater import Heater
from .options import DEFAULT_STEP, PRESETS, settings_of, temperature_of
from .thermostat import MINUTE, STEP, Decision, Snapshot, State, Status, step

THERMOSTAT: Final = "thermostat"
HEATING_STATUS: Final = "heating_status"
"""The keys of the entities of a thermostat."""

SENSOR_FAILED: Final = "thermostat_sensor"
TOO_POWERFUL: Final = "thermostat_too_powerful"
GROUP_TOO_POWERFUL: Final = "thermostat_group_too_powerful"
TOO_WEAK: Final = "thermostat_too_weak"
ISSUES: Final = (SENSOR_FAILED, TOO_POWERFUL, GROUP_TOO_POWERFUL, TOO_WEAK)

COLDEST: Final = -60.0
"""°C; a lower reading is a broken wire: one kind of sensor reports -127."""
SAVE_INTERVAL: Final = 15 * MINUTE
"""What changes with every step is stored this often (s)."""

_NEEDS_MINER: Final = {
    Status.STARTING,
    Status.TUNING,
    Status.HEATING,
    Status.LOWEST,
    Status.FULL_POWER,
    Status.LIMITED,
}
"""What needs a miner that answers."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the user set."""

    manual: float
    """The target without a preset (°C)."""
    preset: str | None = None
    on: bool = True

    @classmethod
    def restored(cls, stored: Mapping[str, Any], default: float) -> Self:
        """Return it from JSON; what cannot be read has its default."""
        manual, preset = stored.get("manual"), stored.get("preset")
        number = isinstance(manual, int | float) and math.isfinite(manual)
        return cls(
            manual=float(manual) if number else default,  # type: ignore[arg-type]
            preset=preset if preset in PRESETS else None,
            on=stored.get("on") is not False,
        )


class Heating:
    """The thermostat of one heater."""

    def __init__(self, heater: Heater) -> None:
        """Restore the settings of the user and the state of the controller."""
        self.heater = heater
        self._hass = heater.hass
        self._options = options = heater.entry.options
        self._sensor: str = options[CONF_THERMOSTAT_SENSOR]
        self.settings = settings_of(options)
        self.lowest = temperature_of(options, CONF_THERMOSTAT_MIN)
        self.highest = temperature_of(options, CONF_THERMOSTAT_MAX)
        self.target_step = float(options.get(CONF_THERMOSTAT_STEP, DEFAULT_STEP))
        stored = heater.stored
        comfort = temperature_of(options, CONF_THERMOSTAT_COMFORT)
        self._held = Held.restored(stored, comfort)
        now, offset = monotonic(), self._wall_offset
        self.state = State.from_json(stored.get("state"), now, offset)
        self._forget_outage(stored.get("saved"), now, offset)
        since = stored.get("running_since")
        known = isinstance(since, int | float) and since - offset <= now
        self._running_since: float | None = since - offset if known else None  # type: ignore[operator]
        self.decision: Decision | None = None
        """None until the first step, and while another source is selected."""
        self._selected = heater.is_selected
        self._cap = 100.0
        self._saved = now
        self._is_seen = False
        """Whether the sensor has had a value since the start."""
        self._unproven: datetime | None = None
        """When the sensor reported what may be a value from before the start."""

    @callback
    def start(self) -> None:
        """Follow the sensor and the time."""
        on_unload = self.heater.entry.async_on_unload
        hass = self._hass
        on_unload(async_track_state_change_event(hass, self._sensor, self._on_sensor))
        on_unload(
            async_track_time_interval(
                hass, self._on_time, timedelta(seconds=STEP), cancel_on_shutdown=True
            )
        )
        on_unload(self.heater.add_listener(self._observe_heater))
        on_unload(async_at_started(hass, self._on_time))
        on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, self._on_stop))
        self._on_time()

    # What the entities show

    @property
    def is_on(self) -> bool:
        """Return whether the thermostat decides about the miner."""
        heater = self.heater
        return heater.is_selected and self._held.on and not heater.is_off

    @property
    def target(self) -> float:
        """Return the target temperature (°C)."""
        wanted = self._held.manual
        if self._held.preset:
            wanted = temperature_of(self._options, PRESETS[self._held.preset])
        return min(max(wanted, self.lowest), self.highest)

    @property
    def preset(self) -> str | None:
        """Return the preset that is active."""
        return self._held.preset

    @property
    def temperature(self) -> float | None:
        """Return what the sensor reports; None if that is too old."""
        reading, age = self._read()
        return reading if age < self.settings.lost else None

    @property
    def status(self) -> Status | None:
        """Return what the thermostat does, and why; None while that is unknown."""
        if not self.is_on:
            return Status.OFF
        if self.decision is None:
            return None
        status = self.decision.status
        if status in _NEEDS_MINER and not self.heater.answers:
            return None
        if status is Status.TUNING and self.heater.is_tuned:
            return Status.FULL_POWER  # it cannot follow a percent
        return status

    # What the heater reads

    def wish(self, now: datetime) -> Wish:
        """Return the percent that heats as much as is wanted."""
        if not self._selected or self.decision is None or self._cap != self.heater.cap:
            self._step()
        if self.decision is None:
            return self._wish_to_hold
        status = self.decision.status
        if status is Status.CURTAILED:
            return Wish(percent=100, modulates=True)  # the arbiter stops it
        wish = Wish(why=status.value, why_of=HEATING_STATUS, modulates=True)
        percent = self.decision.percent
        return replace(wish, stop=not percent, percent=percent or None)

    @property
    def _wish_to_hold(self) -> Wish:
        """Return the last wish, while the sensor is not loaded yet."""
        if not self._held.on or self.state.heat is False:
            return Wish(stop=True)
        return Wish(percent=self.state.percent or None, modulates=True)

    # Setting

    async def async_turn(self, on: bool) -> None:
        """Let the thermostat decide, or stop the miner; raises when the miner refuses."""
        if not on and not self.heater.is_selected:
            return

        async def change() -> None:
            if on:
                self.heater.select()
            self._held = replace(self._held, on=on)
            self._step()
            await self._async_save()

        await self.heater.async_follow(change())

    async def async_set_target(self, target: float) -> None:
        """Set a target, which ends the preset."""
        await self._async_hold(replace(self._held, manual=target, preset=None))

    async def async_set_preset(self, preset: str | None) -> None:
        """Set the target of a preset; without one it is again that of the user."""
        await self._async_hold(replace(self._held, preset=preset))

    async def _async_hold(self, held: Held) -> None:
        self._held = held
        self._on_time()
        await self._async_save()

    # Steps

    @callback
    def _on_time(self, *_: object) -> None:
        """Take a step, and let the heater and the entities follow."""
        if self.heater.is_selected:
            self._step()
        else:
            self._selected, self.decision = False, None
        self.heater.update()

    @callback
    def _on_sensor(self, _: Event[EventStateChangedData]) -> None:
        """Stop at the hard limit without waiting for the next step."""
        reading = self._read()[0]
        if reading is None:
            return
        is_news = reading >= self.settings.hard and not self.state.locked
        if is_news or self.decision is None:
            self._on_time()
        if is_news and self.is_on:
            self.heater.enforce()

    @callback
    def _step(self) -> None:
        """Let the controller decide; not before sensor and miners can be there."""
        heater = self.heater
        heater.observe()
        self._observe_heater()
        reading, age = self._read()
        is_ready = reading is not None and heater.answers
        if not is_ready and not self._hass.is_running:
            return
        if not self._selected:
            self._selected = True
            self._held = replace(self._held, on=True)
            self.state = replace(
                self.state,
                heat=None,
                changed=None,
                disturbed=False,
                unchanged=None,
                probe=None,
                stuck=False,
                running=None,
            )
        before = _essence(self.state)
        self._cap = heater.cap
        self.state, self.decision = step(
            replace(self.settings, lowest=heater.lowest(self.settings.lowest)),
            self.state,
            Snapshot(
                time=monotonic(),
                target=self.target,
                reading=reading,
                age=age,
                running_since=self._running_since,
                tuned=heater.is_tuned and heater.can_modulate,
                cap=self._cap,
                call=self._is_called,
                affordable=self._is_affordable,
                off=not self._held.on,
            ),
        )
        self._report(self.decision)
        self._keep(is_news=before != _essence(self.state))

    @callback
    def _observe_heater(self) -> None:
        """Note when it started or stopped; a restart of btminer is neither."""
        mining = self.heater.mining
        if mining is False:
            self._running_since = None
        elif mining and self._running_since is None:
            elapsed = self.heater.elapsed if self.state.running is None else None
            self._running_since = monotonic() - (elapsed or 0.0)

    @property
    def _is_called(self) -> bool:
        """Return whether there is a call for heat; an entity without a state makes none."""
        if not (entity := self._options.get(CONF_THERMOSTAT_CALL)):
            return True
        state = self._hass.states.get(entity)
        if state is None:
            return False
        if "hvac_action" in state.attributes:
            return state.attributes["hvac_action"] in ("heating", "preheating")
        return state.state in (STATE_ON, "heat")

    @property
    def _is_affordable(self) -> bool:
        """Return whether the heat costs no more than it may; yes where that is unknown."""
        most = self._options.get(CONF_THERMOSTAT_EXTRA_COST)
        if most is None:
            return True
        extra = self.heater.extra_cost
        return extra is None or extra <= most

    # The sensor

    def _read(self) -> tuple[float | None, float]:
        """Return what the sensor reports (°C), and how old that is (s)."""
        found = self._hass.states.get(self._sensor)
        reading = _degrees(found)
        if found is None or reading is None:
            return None, math.inf
        reported = self.state.reported
        if not self._is_seen:
            # A value from before the start may be restored, and not measured.
            self._is_seen = True
            is_old = reported is not None and reading == self.state.reading
            self._unproven = found.last_reported if is_old else None
        if found.last_reported == self._unproven and reported is not None:
            return reading, monotonic() - reported
        age = dt_util.utcnow() - found.last_reported
        return reading, max(0.0, age.total_seconds())

    # What is reported and stored

    def _report(self, decision: Decision) -> None:
        """Create or delete the repair issues."""
        failed = decision.status in (Status.SENSOR_LOST, Status.SENSOR_STUCK)
        for kind, is_open in (
            (SENSOR_FAILED, failed),
            (self.heater.too_powerful, decision.too_powerful),
            (TOO_WEAK, decision.too_weak),
        ):
            report_issue(
                self._hass,
                self.heater.entry,
                kind,
                is_open=is_open and self._held.on,
                entity=self._sensor,
            )

    def _forget_outage(self, saved: object, now: float, offset: float) -> None:
        """Let a long time without Home Assistant count as a late sensor, not as a lost one."""
        state = self.state
        if state.reported is None or not isinstance(saved, int | float):
            return
        before = saved - offset - state.reported
        age = min(now - state.reported, self.settings.late)
        state.reported = now - max(before, age)

    @property
    def _wall_offset(self) -> float:
        return dt_util.utcnow().timestamp() - monotonic()

    def _stored(self) -> dict[str, Any]:
        offset, since = self._wall_offset, self._running_since
        return {
            "manual": self._held.manual,
            "preset": self._held.preset,
            "on": self._held.on,
            "saved": monotonic() + offset,
            "running_since": None if since is None else since + offset,
            "state": self.state.as_json(offset),
        }

    def _keep(self, *, is_news: bool) -> None:
        """Store immediately what changes the behaviour, and the rest periodically."""
        is_due = monotonic() - self._saved >= SAVE_INTERVAL
        if is_news or is_due:
            self._saved = monotonic()
        self.heater.keep(self._stored(), save=is_news or is_due)

    @callback
    def _on_stop(self, _: Event) -> None:
        self.heater.keep(self._stored(), save=True)

    async def _async_save(self) -> None:
        await self.heater.async_keep(self._stored())


def _essence(state: State) -> tuple[object, ...]:
    """Return what must not be lost in a crash."""
    return state.heat, state.locked, state.stuck, state.probe, len(state.starts)


def _degrees(found: EntityState | None) -> float | None:
    """Return the temperature of a sensor in °C; None if it shows none."""
    if found is None:
        return None
    celsius = UnitOfTemperature.CELSIUS
    unit = found.attributes.get(ATTR_UNIT_OF_MEASUREMENT, celsius)
    try:
        value = TemperatureConverter.convert(float(found.state), unit, celsius)
    except ValueError, HomeAssistantError:
        return None
    return value if math.isfinite(value) and value > COLDEST else None

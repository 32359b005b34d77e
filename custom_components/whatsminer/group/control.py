"""Hold a site meter with the miners of a group: feeds the controller, and sends its commands."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
import math
from time import monotonic
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, UnitOfPower
from homeassistant.core import (
    CoreState,
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import (
    async_track_state_change_event,
    async_track_state_report_event,
    async_track_time_interval,
)
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import PowerConverter

from ..issues import report_issue
from ..power.policy import Wish
from .allocation import Role, allocate
from .entry import (
    CONF_BATTERY,
    CONF_BATTERY_FIRST,
    CONF_BREAKER,
    CONF_CHARGER,
    CONF_EXPORT_METER,
    CONF_GENTLE,
    CONF_HOLD,
    CONF_INTERVAL,
    CONF_INVERTED,
    CONF_LIMIT,
    CONF_METER,
    CONF_SET_POINT,
    CONF_STAY,
    meters,
)
from .flow import Hold
from .member import Member
from .site import (
    HARD_LIMIT_MARGIN,
    Command,
    Decision,
    Miner,
    Problem,
    Reading,
    Settings,
    Snapshot,
    State,
    Status,
    step,
)
from .store import GroupStore

GROUP_STATUS: Final = "group_status"
"""The key of the texts of the sensor."""
STEP: Final = timedelta(seconds=10)
SURPLUS: Final = -100.0
"""W; what is left to the grid where the user sets nothing."""

ISSUES: Final = {
    Problem.SIGN: "group_sign",
    Problem.STOP_NOT_SEEN: "group_stop_not_seen",
}


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Return what the options of a group say to the controller."""
    breaker = options.get(CONF_BREAKER)
    match options[CONF_HOLD]:
        case Hold.PEAK:
            set_point = options[CONF_LIMIT] - HARD_LIMIT_MARGIN
        case Hold.LIMIT:
            set_point = options[CONF_BREAKER] - HARD_LIMIT_MARGIN
        case _:
            set_point = options.get(CONF_SET_POINT, SURPLUS)
    return Settings(
        set_point=float(set_point),
        interval=options.get(CONF_INTERVAL),
        battery_first=options.get(CONF_BATTERY_FIRST, True),
        hard_limit=breaker and float(breaker),
        stop_when_silent=not options.get(CONF_STAY, False),
    )


def reason_of(command: Command, status: Status) -> Status:
    """Return why a miner is commanded; while the group follows its meter, that differs by miner."""
    if status in (Status.OFF, Status.METER_LOST, Status.LIMITED, Status.PAUSED):
        return status
    if not command.percent:
        return Status.WAITING
    return Status.STARTING if command.start else status


class SiteControl:
    """The closed loop of one group over its meter."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        store: GroupStore,
        members: Callable[[], dict[str, Member]],
        start_task: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        """Prepare; `start` follows the meter."""
        self._hass = hass
        self._entry, self._options = entry, entry.options
        self._store = store
        self._members = members
        self._start_task = start_task
        self.settings = settings_of(entry.options)
        self.state = State()
        self.decision: Decision | None = None
        self._reported: datetime | None = None
        self._reading: Reading | None = None

    @callback
    def start(self) -> None:
        """Follow the meter and the time."""
        hass, on_unload = self._hass, self._entry.async_on_unload
        own = meters(self._options)
        on_unload(async_track_state_change_event(hass, own, self._on_meter))
        on_unload(async_track_state_report_event(hass, own, self._on_meter))
        on_unload(
            async_track_time_interval(hass, self.step, STEP, cancel_on_shutdown=True)
        )

    @property
    def status(self) -> Status | None:
        """Return what the group does."""
        if not self._store.on:
            return Status.OFF
        if self.decision is None:
            return None
        members = self._members().values()
        if members and all(member.held for member in members):
            return Status.PAUSED
        return self.decision.status

    @property
    def attributes(self) -> dict[str, Any]:
        """Return why the group does that."""
        decision = self.decision
        if decision is None:
            return {}
        members = self._members()
        watts = {
            "settles": decision.settles,
            "surplus_least": decision.low,
            "surplus_most": decision.high,
            "surplus_average": decision.average,
            "start_above": decision.threshold,
        }
        return {
            **{key: None if w is None else round(w) for key, w in watts.items()},
            "not_controlled": {
                members[name].entry.title: why.value
                for name, why in decision.fixed.items()
                if name in members
            },
        }

    @callback
    def restart(self) -> None:
        """Begin again, as after a restart of Home Assistant."""
        self.state, self.decision = State(), None

    @callback
    def _on_meter(
        self, _: Event[EventStateChangedData] | Event[EventStateReportedData]
    ) -> None:
        self.step()

    @callback
    def step(self, *_: object) -> None:
        """Let the controller decide, and send what it commands."""
        if not self._store.on or self._hass.state is not CoreState.running:
            return
        now = monotonic()
        members = self._members()
        for member in members.values():
            member.observe(now)
        watched = {
            name: miner
            for name, member in members.items()
            if (miner := member.watched(gentle=self._options.get(CONF_GENTLE, False)))
        }
        snapshot = Snapshot(
            time=now,
            reading=self._read(now),
            miners=tuple(watched.values()),
            reserve=float(self._store.reserve),
        )
        self.state, self.decision = step(
            self.settings, self.state, snapshot, self._allocate
        )
        status = self.decision.status
        for name, command in self.decision.commands.items():
            why = Wish(
                why=reason_of(command, status).value,
                why_of=GROUP_STATUS,
                expires=True,
                modulates=True,
            )
            if command.repeated:
                members[name].send_again()
            self._start_task(
                members[name].async_command(command.percent, fast=command.fast, why=why)
            )
        self._report(self.decision.problem)

    def _allocate(
        self, target: float, miners: tuple[Miner, ...]
    ) -> Mapping[str, float]:
        """Divide a power among miners that run; none is stopped by that."""
        members, now = self._members(), monotonic()
        found = [members[miner.name].allocated(now) for miner in miners]
        running = [one._replace(role=Role.MUST_RUN) for one in found]
        wanted = allocate(target, running).percents
        return {name: percent for name, percent in wanted.items() if percent}

    def _read(self, now: float) -> Reading | None:
        """Return the last report of the meter; the same one until it reports again."""
        states = [self._hass.states.get(meter) for meter in meters(self._options)]
        times = [state.last_reported for state in states if state]
        if not times:
            return None
        if self._reported != max(times):
            self._reported = max(times)
            age = (dt_util.utcnow() - self._reported).total_seconds()
            battery = self._power(CONF_BATTERY)
            self._reading = Reading(
                at=now - max(0.0, age),
                grid=self._grid,
                battery=battery,
                hidden=battery is None and bool(self._options.get(CONF_BATTERY)),
                charger=self._power(CONF_CHARGER),
            )
        return self._reading

    @property
    def _grid(self) -> float | None:
        """Return the import (W); None while a sensor is unknown."""
        power = self._power(CONF_METER)
        if power is None:
            return None
        if self._options.get(CONF_EXPORT_METER):
            export = self._power(CONF_EXPORT_METER)
            return None if export is None else power - export
        return -power if self._options.get(CONF_INVERTED) else power

    def _power(self, key: str) -> float | None:
        """Return what the sensor of an option shows (W)."""
        state = self._hass.states.get(self._options.get(key, ""))
        if state is None:
            return None
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        try:
            power = PowerConverter.convert(float(state.state), unit, UnitOfPower.WATT)
        except ValueError, HomeAssistantError:
            return None
        return power if math.isfinite(power) else None

    def _report(self, problem: Problem | None) -> None:
        """Create or delete the repair issues."""
        for kind, key in ISSUES.items():
            report_issue(
                self._hass,
                self._entry,
                key,
                is_open=kind is problem,
                severity=ir.IssueSeverity.ERROR,
                meter=", ".join(meters(self._options)),
            )

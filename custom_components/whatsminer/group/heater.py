"""A group as one heater: what its thermostat sees, and how its miners share the heat."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
import math
from time import monotonic
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..const import FULL, TYPICAL_POWER
from ..heat.heating import GROUP_TOO_POWERFUL, Heating
from ..heat.thermostat import Status
from ..money.best import extra_cost_of_heat
from ..money.economics import Market
from ..power.percent import can_percent
from ..power.policy import Wish
from .allocation import STAGGER
from .member import Member
from .sharing import Unit, lowest_watts, share
from .site import Phase
from .store import GroupStore

DEAD_BAND = 1.0
"""Percent."""
NOT_URGENT = (Status.IDLE, Status.WAITING, Status.NO_DEMAND, Status.TOO_EXPENSIVE)
"""Why all miners stop, but each only when its minimum run is over."""
FEWER = Wish(why="fewer_miners")
"""Why one miner stops while others heat."""


class GroupHeater:
    """The miners of a group that follow it."""

    too_powerful = GROUP_TOO_POWERFUL

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        store: GroupStore,
        members: Callable[[], dict[str, Member]],
        update: Callable[[], None],
        add_listener: Callable[[Callable[[], None]], Callable[[], None]],
        start_task: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        """Restore the thermostat; `update` lets the group follow it."""
        self.hass = hass
        self.entry = entry
        self.update = update
        self.add_listener = add_listener
        self._store = store
        self._members = members
        self._start_task = start_task
        self._next_start = -math.inf
        self.heating = Heating(self)

    # What it is and does

    @callback
    def observe(self) -> None:
        """Note what the miners do now."""
        for member in self._members().values():
            member.observe(monotonic())

    @property
    def _own(self) -> list[Member]:
        """Return the miners that the group may heat with."""
        return [one for one in self._members().values() if one.follows and one.allowed]

    @property
    def _online(self) -> list[Member]:
        return [member for member in self._own if member.state]

    @property
    def _running(self) -> list[Member]:
        return [member for member in self._online if member.phase is not Phase.OFF]

    @property
    def _units(self) -> list[Unit]:
        """Return the miners that can share the heat, in the order in which they start."""
        own = sorted(self._online, key=lambda x: (x.rank, x.switched))
        # While one refuses to start, the others heat in its place.
        willing = [x for x in own if not (x.refused and x.phase is Phase.OFF)]
        return [self._unit(member) for member in willing or own]

    def _unit(self, member: Member) -> Unit:
        data, settings = member.data, self.heating.settings
        assert data
        stops = member.phase is not Phase.OFF and member.percent == 0
        on = member.starts or (member.phase is not Phase.OFF and not stops)
        least = settings.minimum_run if on else settings.minimum_stop
        return Unit(
            name=member.name,
            watts=member.full or TYPICAL_POWER,
            lowest=settings.lowest if can_percent(data.coordinator) else FULL,
            highest=data.curtailment.cap_percent,
            on=on,
            tunes=on and member.phase is not Phase.TUNED,
            may_switch=not (member.starts or stops)
            and monotonic() - member.switched >= least,
        )

    @property
    def _full(self) -> float:
        """Return the full power, also of miners that are offline (W)."""
        return sum(member.full or TYPICAL_POWER for member in self._own)

    @property
    def is_selected(self) -> bool:
        """Return whether the thermostat decides, and not a power target."""
        return self._store.heats

    @property
    def is_off(self) -> bool:
        """Return whether the user has stopped the group, or all of its miners."""
        known = any(member.data for member in self._members().values())
        return not self._store.on or (known and not self._own)

    @property
    def answers(self) -> bool:
        """Return whether any miner answers."""
        return bool(self._online)

    @property
    def mining(self) -> bool | None:
        """Return whether any miner runs."""
        return bool(self._running) if self.answers else None

    @property
    def elapsed(self) -> float | None:
        """Return how long the first one has been running."""
        summaries = [x.state.summary for x in self._running if x.state]
        return max((x.elapsed or 0.0 for x in summaries if x), default=None)

    @property
    def is_tuned(self) -> bool:
        """Return whether all that run are tuned."""
        running = self._running
        return bool(running) and all(one.phase is Phase.TUNED for one in running)

    @property
    def can_modulate(self) -> bool:
        """Return whether any miner follows a percent."""
        return any(unit.lowest < FULL for unit in self._units)

    @property
    def cap(self) -> float:
        """Return what curtailments, and miners that are offline, leave of the full power."""
        units = self._units
        usable = sum(x.watts * x.highest / 100 for x in units if x.is_usable)
        return round(100 * usable / self._full) if units else 100.0

    @property
    def extra_cost(self) -> float | None:
        """Return the mean over the miners of which it is known, by their power."""
        watts = cost = 0.0
        for member in self._own:
            rates = Market(self.hass, member.entry.options).rates
            level = member.levels[-1] if member.levels else None
            extra = extra_cost_of_heat(level, rates) if level and rates else None
            if level and extra is not None:
                watts += level.watts
                cost += level.watts * extra
        return cost / watts if watts else None

    def lowest(self, percent: int) -> int:
        """Return the lowest level of the miner that runs alone."""
        units = self._units
        if not any(unit.is_usable for unit in units):
            return percent
        return max(1, round(100 * lowest_watts(units) / self._full))

    # What it is commanded

    @callback
    def follow(self) -> None:
        """Command what the thermostat wants."""
        wish = self.heating.wish(dt_util.utcnow())
        why = replace(wish, stop=False, percent=None)
        if wish.stop:
            percents = {member.name: 0.0 for member in self._own}
            if wish.why in NOT_URGENT:
                percents |= self._minimum_runs
            self._command(percents, why, why)
        elif wish.percent is not None:
            watts = self._full * wish.percent / 100
            self._command(share(watts, self._units), why, FEWER)

    @property
    def _minimum_runs(self) -> dict[str, float]:
        """Return the lowest level of those that were started too recently to stop them."""
        return {
            unit.name: unit.lowest
            for unit in self._units
            if unit.on and not unit.may_switch
        }

    @callback
    def _command(self, percents: Mapping[str, float], why: Wish, stopped: Wish) -> None:
        """Command what is new to a miner; those that start do so one after the other.

        The wishes have only the reasons: why the group heats as it does, and why a miner stops.
        """
        members, now = self._members(), monotonic()
        for name, percent in percents.items():
            member = members[name]
            is_off = member.phase is Phase.OFF
            # After a curtailment it stays as it is until the group decides.
            is_left = is_off and not percent and member.held
            waits = member.waits and not member.starts and not is_left
            if _is_near(percent, member.percent) and not waits:
                continue
            if is_off and percent and not member.starts:
                if now < self._next_start:
                    continue
                self._next_start = now + STAGGER
            member.percent = percent
            reason = why if percent else stopped
            self._start_task(member.async_command(percent, fast=False, why=reason))

    @callback
    def select(self) -> None:
        """Let the thermostat decide, also if the user has stopped the group or all miners."""
        if not self._own:
            for member in self._members().values():
                # The minimum stop is for stops of the thermostat.
                member.switched -= self.heating.settings.minimum_stop
                if data := member.data:
                    data.curtailment.let_source_start(data.follower.key)
        self._store.heats, self._store.on, self._store.target = True, True, None

    async def async_follow(self, change: Awaitable[None]) -> None:
        """Carry out a new wish."""
        await change
        self.update()

    @callback
    def enforce(self) -> None:
        """Carry out the wish; to a miner the newest command always comes first."""
        self.update()

    # What is stored of the thermostat

    @property
    def stored(self) -> Mapping[str, Any]:
        """Return the values that were kept last."""
        return self._store.heat

    @callback
    def keep(self, values: dict[str, Any], *, save: bool) -> None:
        """Keep values; without `save` they are stored with the next change."""
        self._store.heat = values
        if save:
            self._store.save()

    async def async_keep(self, values: dict[str, Any]) -> None:
        """Store values immediately."""
        self._store.heat = values
        await self._store.async_save()


def _is_near(percent: float, commanded: float | None) -> bool:
    """Return whether no command is needed; the powers that are shared are not exact."""
    if percent and commanded:
        return abs(percent - commanded) <= DEAD_BAND
    return percent == commanded

"""One miner of a group, as the controllers see it; it is commanded through the arbiter."""

from dataclasses import replace
from datetime import timedelta
import math

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..api import Activity, MinerState
from ..const import FULL, IDLE_POWER, LOGGER
from ..controls import MINING, POWER_LIMIT, POWER_PERCENT
from ..money.curve import Level
from ..money.profile import assumed_start
from ..power.executor import OvertakenError
from ..power.percent import can_percent
from ..power.policy import Wish
from ..power.record import Target
from ..runtime import WhatsminerConfigEntry, WhatsminerData
from .allocation import Member as Allocated, Role, start_loss
from .site import Miner, Phase
from .store import GroupStore

SHORTEST_RUN, SHORTEST_STOP = 1800.0, 900.0
"""Seconds."""
FIRST = 1000.0
"""How much more a TH/s of a miner counts that comes first."""
TYPICAL = 20.0
"""J/TH; of a miner that reports no nominal hashrate."""

START_SHOWS = 180.0
"""Seconds until a miner reports that it was started; it may wait for two minutes (protocol.md#e6)."""

STOP_AGAIN = 300.0
"""Seconds after which one that refused a stop for the breaker limit may be stopped again."""

NO_REASON = Wish()

BREAKER_STOP = timedelta(minutes=15)
BREAKER_REASON = "breaker limit"


def loaded(entry: WhatsminerConfigEntry) -> WhatsminerData | None:
    """Return what a miner's entry holds; None while it is not loaded."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    return entry.runtime_data


class Member:
    """One miner of a group."""

    def __init__(
        self, entry: WhatsminerConfigEntry, store: GroupStore, *, first: bool
    ) -> None:
        """Look at a miner, which need not be loaded."""
        self.entry = entry
        self.name = entry.entry_id
        self.first = first
        self._store = store
        self.phase = Phase.OFFLINE
        self.since = -float("inf")
        """When the phase began, on the clock of the event loop."""
        self.switched = -float("inf")
        """When it was stopped or started last."""
        self.percent: float | None = None
        """What the group has commanded last; 0 is stop, None nothing."""
        self.refused = False
        """Whether the miner refused that."""
        self._mined = False
        self._now = -float("inf")
        self._sent = -float("inf")
        self._started = -float("inf")
        self.levels: tuple[Level, ...] = ()
        """Those that are known, ascending; without stop."""

    # What is known

    @property
    def data(self) -> WhatsminerData | None:
        """Return what the miner's entry holds."""
        return loaded(self.entry)

    @property
    def state(self) -> MinerState | None:
        """Return what the miner reported last; None while it does not answer."""
        data = self.data
        if data is None or not data.coordinator.last_update_success:
            return None
        return data.coordinator.data

    def observe(self, now: float) -> None:
        """Note what the miner does now, and since when."""
        self._now = now
        phase = self._phase()
        if phase is not self.phase:
            was_offline = self.phase is Phase.OFFLINE
            is_switched = Phase.OFF in (phase, self.phase) or was_offline
            self.since = now - (self._elapsed if was_offline else 0.0)
            self.phase = phase
            if is_switched and phase is not Phase.OFFLINE:
                self.switched = self.since
            if phase is Phase.OFF and not was_offline:
                self._store.note_stop(self.name, dt_util.utcnow().timestamp())
        if phase is not Phase.OFFLINE:
            self._mined = phase is not Phase.OFF
            if self._mined:
                self._store.note_stop(self.name, None)
        self.levels = self._find_levels() or self.levels

    def _phase(self) -> Phase:
        state = self.state
        if state is None:
            return Phase.OFFLINE
        if state.activity is Activity.MINING:
            return Phase.TUNED
        return Phase.OFF if state.mining is not True else Phase.STARTING

    @property
    def _elapsed(self) -> float:
        """Return how long the miner has been running, or was stopped, when it is first seen (s)."""
        if self._phase() is Phase.OFF:
            stopped = self._store.stopped.get(self.name, -math.inf)
            return max(0.0, dt_util.utcnow().timestamp() - stopped)
        summary = self.state and self.state.summary
        return (summary.elapsed if summary else None) or 0.0

    @property
    def rank(self) -> float:
        """Return what is lower for a miner that starts earlier: its J/TH at full power.

        Whole ones: miners of one model differ by the noise of what they report.
        """
        top = self.levels[-1] if self.levels else None
        rank = round(top.watts / top.ths) if top and top.ths else FIRST / 2
        return rank - FIRST if self.first else rank

    @property
    def starts(self) -> bool:
        """Return whether the group has just started it, which it may not report yet."""
        return self.phase is Phase.OFF and self._now - self._started < START_SHOWS

    def _find_levels(self) -> tuple[Level, ...]:
        """Return the learned levels; full power by the nameplate where none is learned."""
        data = self.data
        if data is None:
            return ()
        coordinator = data.coordinator
        learned = data.learning.profile.levels
        if learned and can_percent(coordinator):
            return learned
        store, summary = coordinator.store, coordinator.data.summary
        full = store.tuned_power or POWER_LIMIT.actual(coordinator)
        full = full or store.power_ceiling
        if not full:
            return ()
        nominal = summary and (summary.hashrate_nominal or summary.hashrate_target)
        return (Level(100, float(full), nominal or full / TYPICAL),)

    @property
    def full(self) -> float:
        """Return the full power (W)."""
        return self.levels[-1].watts if self.levels else 0.0

    @property
    def measured(self) -> float | None:
        """Return the power that the miner reports (W)."""
        state = self.state
        return state.power_now if state else None

    @property
    def _is_stopped(self) -> bool:
        """Return whether the miner does not mine; its power may be a mean of the time before."""
        state = self.state
        return self.phase is Phase.OFF and (
            self.percent == 0 or (state is not None and state.mining is False)
        )

    @property
    def follows(self) -> bool:
        """Return whether the group says what the miner draws: never one that can only be read."""
        if (data := self.data) is None:
            return False
        return data.follower.is_selected and data.coordinator.can(MINING.feature)

    @property
    def waits(self) -> bool:
        """Return whether the miner follows the group, which must decide about it now.

        Until then it would stay stopped or lowered after the end of a curtailment.
        """
        data = self.data
        return data is not None and self.follows and data.follower.is_undecided

    @property
    def held(self) -> bool:
        """Return whether something else decides: another source, or a curtailment."""
        data = self.data
        if data is None:
            return False
        return not self.follows or bool(data.curtailment.record.active)

    @property
    def allowed(self) -> bool:
        """Return whether the group may start it: not if the user stopped it."""
        data = self.data
        return data is not None and not data.curtailment.is_off_by_user

    @property
    def now_percent(self) -> float:
        """Return the percent of the miner: that of the last command, else the reported one; 0 is stop."""
        if self.phase is Phase.OFF:
            return 0.0
        if self.percent is not None:
            return self.percent
        if (data := self.data) is None:
            return FULL
        return data.coordinator.store.power_percent(data.coordinator.data)

    @property
    def commanded_watts(self) -> float:
        """Return the power of what the miner does (W)."""
        percent = self.now_percent
        if percent == 0:
            return IDLE_POWER
        return next((x.watts for x in self.levels if x.percent >= percent), self.full)

    def forget_refusal(self) -> None:
        """Let a miner that refused be commanded again; until then it does what it reports."""
        if self.refused:
            self.refused, self.percent = False, None

    @property
    def _may_stop_again(self) -> bool:
        """Return whether a miner that something else controls may be stopped although it refused."""
        if (data := self.data) is None or not self.held:
            return False
        is_long_ago = self._now - self._sent >= STOP_AGAIN
        return is_long_ago and data.coordinator.can(MINING.feature)

    # What the controllers get

    def allocated(self, now: float) -> Allocated:
        """Return the miner for an allocation."""
        on, role, fixed = self.phase is not Phase.OFF, Role.FREE, 0.0
        age = now - self.since
        measured = (
            IDLE_POWER if self.measured is None or self._is_stopped else self.measured
        )
        # The group has not stopped it, so its start is no choice of the group's.
        comes_back = not on and self.waits
        is_pending = not on and now - self._started < START_SHOWS
        data = self.data
        if self.phase is Phase.OFFLINE:
            role, fixed = Role.FIXED, self.full if self._mined else IDLE_POWER
        elif self.held or self.refused or not self.levels or not self.allowed:
            role, fixed = Role.FIXED, measured
        elif self.phase is Phase.STARTING or is_pending:
            role, fixed = Role.FIXED, self.full
        elif data is not None and not data.coordinator.fresh:
            # It did not answer its last poll, and would not take a command.
            role, fixed = Role.FIXED, self.commanded_watts
        elif on and age < SHORTEST_RUN:
            role = Role.MUST_RUN
        elif not on and age < SHORTEST_STOP and not comes_back:
            role, fixed = Role.FIXED, measured
        start = data.learning.profile.start if data else None
        top = self.levels[-1] if self.levels else Level(100, 0.0, 0.0)
        return Allocated(
            name=self.name,
            levels=self.levels,
            idle=IDLE_POWER,
            on=on,
            loss=0.0
            if comes_back
            else start_loss(start or assumed_start(top.watts, top.ths), top),
            role=role,
            fixed_watts=fixed,
            worth=FIRST if self.first else 1.0,
        )

    def watched(self, *, gentle: bool) -> Miner | None:
        """Return the miner for the control of a site; None if nothing is known of its power."""
        if not self.levels:
            return None
        data, state = self.data, self.state
        answered = data.coordinator.answered_since if data else 0.0
        reported = POWER_PERCENT.actual(data.coordinator) if data and state else None
        return Miner(
            name=self.name,
            curve=tuple((level.percent, level.watts) for level in self.levels),
            phase=self.phase,
            since=self.since,
            percent=reported or None,
            measured=self.measured,
            measured_at=answered,
            is_mean=bool(state and state.power_is_mean),
            gentle=gentle,
            refused=self.refused and not self._may_stop_again,
            held=self.held,
            allowed=self.allowed,
            mined=self._mined,
            idle=IDLE_POWER,
            rank=self.rank,
        )

    # Commands

    @callback
    def send_again(self) -> None:
        """Send the next command although the miner reports that it has obeyed an earlier one."""
        if data := self.data:
            data.curtailment.send_again()

    async def async_command(
        self, percent: float | None, *, fast: bool = True, why: Wish = NO_REASON
    ) -> bool:
        """Command a percent, or a stop (0), or nothing; return whether the miner took it.

        `why` is a wish that has only the reason.
        """
        data = self.data
        if data is None:
            return False
        self.percent, self._sent = percent, self._now
        is_start = self.phase is Phase.OFF and percent != 0
        self._started = self._now if is_start else -float("inf")
        if percent is None:
            wish = Wish()
        elif percent == 0:
            wish = replace(why, stop=True)
        else:
            wish = replace(why, percent=percent, fast=fast)
        try:
            if percent == 0 and not self.follows:
                # Only a breaker limit stops a miner that something else controls.
                await data.curtailment.async_curtail(
                    Target.STOP, None, BREAKER_STOP, BREAKER_REASON
                )
            else:
                await data.follower.async_follow(wish)
        except OvertakenError:
            return True
        except HomeAssistantError as err:
            LOGGER.warning("%s: group: %s", self.entry.title, err)
            self.refused = True
            self._started = -float("inf")
            return False
        self.refused = False
        self.observe(self._now)
        return True

"""Learns the profile of one miner from its polls, and notifies its owner when it has worn."""

from typing import Any, Final

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ..api import MinerState
from ..commander import Commander
from ..controls import FAST_BOOT, POWER_PERCENT
from ..issues import report_issue
from ..power.percent import can_percent
from .curve import Level
from .profile import Profile, poll_of

ISSUE: Final = "worn"
"""The issue that the miner has lost efficiency."""


class Learning:
    """The profile of one miner, and what feeds it."""

    def __init__(self, commander: Commander) -> None:
        """Load the stored profile; `start` follows the miner."""
        self._commander = commander
        self._coordinator = commander.coordinator
        self.profile = Profile.from_dict(self._coordinator.store.profile)
        self._noted = self._coordinator.hass.loop.time()
        """When the newest command was sent that is noted, on the clock of the event loop."""

    @callback
    def start(self) -> None:
        """Learn from every poll from now on."""
        coordinator = self._coordinator
        coordinator.add_observer(self._observe)
        # As soon as a command was sent: the poll that shows a restart no longer knows the percent.
        coordinator.config_entry.async_on_unload(
            coordinator.async_add_listener(self._note_commands)
        )
        self._observe(self._coordinator.data)
        self._report_wear()

    @callback
    def reset(self, *, wear_only: bool = False) -> None:
        """Forget the profile, or only that the miner has worn."""
        if wear_only:
            self.profile.restart_wear()
        else:
            self.profile = Profile()
        self._coordinator.store.keep("profile", self.profile.as_dict())
        self._report_wear()
        self._coordinator.async_update_listeners()

    @callback
    def _observe(self, state: MinerState) -> None:
        self._note_commands()
        store = self._coordinator.store
        commanded = store.setting(POWER_PERCENT.key)
        fast_boot = FAST_BOOT.actual(self._coordinator)
        poll = poll_of(state, commanded, store.tuned_power, fast_boot)
        if self.profile.observe(poll):
            store.keep("profile", self.profile.as_dict())
            self._report_wear()

    @callback
    def _note_commands(self) -> None:
        """Note the newest command: only a percent that nothing followed is blamed for a restart."""
        sent = self._commander.last_sent
        newest = max(sent, key=sent.__getitem__, default=None)
        if newest is None or sent[newest] <= self._noted:
            return
        self._noted = sent[newest]
        percent = self._commander.shown(
            POWER_PERCENT.key, POWER_PERCENT.actual(self._coordinator)
        )
        if newest != POWER_PERCENT.key or percent is None:
            self.profile.note_restart()
            return
        age = self._coordinator.hass.loop.time() - self._noted
        self.profile.note_percent(percent, dt_util.utcnow().timestamp() - age)

    def _report_wear(self) -> None:
        """Create the issue that the miner has worn, or delete it."""
        report_issue(
            self._coordinator.hass,
            self._coordinator.config_entry,
            ISSUE,
            is_open=self.profile.worn,
            loss=f"{-100 * (self.profile.wear or 0.0):.0f}",
        )

    @property
    def levels(self) -> tuple[Level, ...]:
        """What the miner can run at without a restart, ascending: full power alone, if need be."""
        levels = self.profile.levels
        return levels if can_percent(self._coordinator) else levels[-1:]

    # What is shown

    @property
    def sweet_spot_power(self) -> int | None:
        """The power of the level with the least J/TH (W)."""
        best = self.profile.sweet_spot
        return None if best is None else round(best.watts)

    @property
    def sweet_spot_attributes(self) -> dict[str, Any]:
        """The sweet spot as a percent, and its efficiency."""
        best = self.profile.sweet_spot
        if best is None:
            return {}
        return {
            "percent": round(best.percent),
            "efficiency": round(best.watts / best.ths, 2),
        }

    @property
    def attributes(self) -> dict[str, Any]:
        """The curve, what a start is like, and the wear, as attributes."""
        profile = self.profile
        start, wear = profile.start, profile.wear
        return {
            "curve": self.curve,
            "lowest_percent": round(profile.lowest),
            "start_minutes": None if start is None else round(start.hours * 60, 1),
            "efficiency_change": None if wear is None else round(100 * wear, 1),
        }

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The levels, with how sure each is."""
        return [self._row(level) for level in self.profile.levels]

    def _row(self, level: Level) -> dict[str, Any]:
        return {
            "percent": round(level.percent),
            "power": round(level.watts),
            "hashrate": round(level.ths, 1),
            "certainty": self.profile.certainty(level.percent).value,
        }

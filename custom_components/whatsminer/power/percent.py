"""Notice that a power percent restarts the miner, as some do while fast boot is off (protocol.md#d4)."""

from collections.abc import Callable, Mapping
import math

from homeassistant.core import callback

from ..api import MinerState
from ..commander import Commander
from ..controls import FAST_BOOT, POWER_PERCENT
from ..coordinator import WhatsminerCoordinator
from ..issues import report_issue

ISSUE = "percent_restarts"
WINDOW = 300.0
"""Seconds after a percent in which a restart counts as its effect."""


def restart_followed(
    before: MinerState | None, now: MinerState, sent: Mapping[str, float], time: float
) -> bool:
    """Return whether btminer has restarted since `before`, and a percent is the only cause known.

    `sent` is when each command was sent last, on the clock of `time`. A restart of the whole
    board has another cause.
    """
    old, new = before and before.summary, now.summary
    if old is None or old.elapsed is None or new is None or new.elapsed is None:
        return False
    rebooted = old.uptime is not None and (new.uptime or math.inf) < old.uptime
    percent = sent.get(POWER_PERCENT.key)
    return (
        new.elapsed < old.elapsed
        and not rebooted
        and percent is not None
        and time - percent <= WINDOW
        and percent == max(sent.values())
    )


def can_percent(coordinator: WhatsminerCoordinator) -> bool:
    """Return whether a percent changes the power, as far as is known without a restart."""
    return coordinator.can(POWER_PERCENT.feature) and not _restarts(coordinator)


def _restarts(coordinator: WhatsminerCoordinator) -> bool:
    """Return whether a percent would restart the miner, as it did once."""
    fast_boot = FAST_BOOT.actual(coordinator)
    return coordinator.store.percent_restarts and fast_boot is not True


class PercentWatch:
    """Follows one miner, and notifies its owner once."""

    def __init__(self, commander: Commander, on_restart: Callable[[], None]) -> None:
        """Prepare; `on_restart` is called for each restart that follows a percent."""
        self._commander = commander
        self._coordinator = commander.coordinator
        self._on_restart = on_restart
        self._before: MinerState | None = None

    @callback
    def start(self) -> None:
        """Follow the miner from now on."""
        self._coordinator.config_entry.async_on_unload(
            self._coordinator.async_add_listener(self._observe)
        )
        self._observe()

    @callback
    def _observe(self) -> None:
        coordinator, state = self._coordinator, self._coordinator.data
        time = coordinator.hass.loop.time()
        if restart_followed(self._before, state, self._commander.last_sent, time):
            self._commander.last_sent.pop(POWER_PERCENT.key)
            if FAST_BOOT.actual(coordinator) is not True:
                coordinator.store.note_percent_restarts()
            self._on_restart()
        if state.summary and state.summary.elapsed is not None:
            self._before = state
        report_issue(
            coordinator.hass,
            coordinator.config_entry,
            ISSUE,
            is_open=_restarts(coordinator),
        )

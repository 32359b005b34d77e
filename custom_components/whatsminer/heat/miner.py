"""The power source *Thermostat*: one miner as a heater."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from homeassistant.core import callback

from ..api import Activity
from ..coordinator import WhatsminerCoordinator
from ..money.best import extra_cost_of_heat
from ..money.curve import Level
from ..money.economics import Market
from ..power.executor import PowerExecutor
from ..power.percent import can_percent
from ..power.policy import Wish
from .heating import THERMOSTAT, TOO_POWERFUL, Heating


class MinerHeater:
    """One miner, whose power the arbiter commands."""

    key = THERMOSTAT
    is_set_up = True
    too_powerful = TOO_POWERFUL

    def __init__(
        self,
        coordinator: WhatsminerCoordinator,
        executor: PowerExecutor,
        levels: Callable[[], Sequence[Level]],
    ) -> None:
        """Offer the thermostat as a source."""
        self.hass = coordinator.hass
        self.entry = coordinator.config_entry
        self._coordinator = coordinator
        self._executor = executor
        self._levels = levels
        self._level: Level | None = None
        """What the miner drew and hashed when it ran last."""
        self.heating = Heating(self)
        executor.add_source(self)

    def wish(self, now: datetime) -> Wish:
        """Return what the thermostat wants."""
        return self.heating.wish(now)

    # What it is and does

    @callback
    def observe(self) -> None:
        """Do nothing: the coordinator has what the miner reported last."""

    @property
    def is_selected(self) -> bool:
        """Return whether the thermostat is the power source."""
        return self._executor.record.source == self.key

    @property
    def is_off(self) -> bool:
        """Return whether the user has stopped the miner."""
        return self._executor.is_off_by_user

    @property
    def answers(self) -> bool:
        """Return whether the miner has answered in the last poll."""
        return self._coordinator.last_update_success

    @property
    def mining(self) -> bool | None:
        """Return whether the miner runs, as it reported last."""
        return self._coordinator.data.mining

    @property
    def elapsed(self) -> float | None:
        """Return how long the miner has been running."""
        summary = self._coordinator.data.summary
        return summary.elapsed if summary else None

    @property
    def is_tuned(self) -> bool:
        """Return whether the miner is tuned."""
        coordinator = self._coordinator
        return coordinator.fresh and coordinator.data.activity is Activity.MINING

    @property
    def can_modulate(self) -> bool:
        """Return whether a percent changes the power without a restart."""
        return can_percent(self._coordinator)

    @property
    def cap(self) -> float:
        """Return what the strictest curtailment allows."""
        return self._executor.cap_percent

    @property
    def extra_cost(self) -> float | None:
        """Return what a kWh of heat costs more; None where prices or levels are unknown."""
        summary = self._coordinator.data.summary
        if self.is_tuned and summary and summary.power and summary.hashrate:
            self._level = Level(100.0, summary.power, summary.hashrate)
        levels = self._levels()
        level = levels[-1] if levels else self._level
        rates = Market(self.hass, self.entry.options).rates
        return extra_cost_of_heat(level, rates) if level and rates else None

    def lowest(self, percent: int) -> int:
        """Return the percent itself."""
        return percent

    # What it is commanded

    @callback
    def select(self) -> None:
        """Select the thermostat, and let it start a miner that the user stopped."""
        self._executor.let_source_start(self.key)

    async def async_follow(self, change: Awaitable[None]) -> None:
        """Carry out a new wish; raises when the miner refuses."""
        await self._executor.async_follow_source(change)

    @callback
    def enforce(self) -> None:
        """Carry out the wish before what is under way."""
        self._executor.enforce_source()

    @callback
    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener after each poll, and when something else is new."""
        return self._coordinator.async_add_listener(listener)

    @callback
    def update(self) -> None:
        """Let the arbiter and the entities follow."""
        self._coordinator.async_update_listeners()

    # What is stored of the thermostat

    @property
    def stored(self) -> Mapping[str, Any]:
        """Return the values that were kept last."""
        return self._coordinator.store.heat

    @callback
    def keep(self, values: dict[str, Any], *, save: bool) -> None:
        """Keep values; without `save` they are stored with the next change."""
        self._coordinator.store.keep("heat", values, save=save)

    async def async_keep(self, values: dict[str, Any]) -> None:
        """Store values immediately."""
        await self._coordinator.store.async_keep("heat", values)

"""Numbers: power limit (restarts btminer) and power percent (does not)."""

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import UnitOfPower, UnitOfRatio
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Activity, Feature, MinerState
from .const import CONF_POWER_LIMIT_MAX, CONF_POWER_LIMIT_MIN
from .coordinator import DEADLINE_RESTART, WhatsminerConfigEntry, WhatsminerCoordinator
from .entity import ControlDescription, WhatsminerControl
from .memory import POWER_PERCENT

# The client has one lock per miner, and a newer command must be able to overtake an older one.
PARALLEL_UPDATES = 0

HIGHEST_LIMIT = 99_999.0
LOWEST_SHARE = 0.4
"""Of the ceiling: what lies below leads to unbalanced boards and restarts (H.2)."""


@dataclass(frozen=True, kw_only=True)
class WhatsminerNumberDescription(ControlDescription[int], NumberEntityDescription):
    """A number, its bounds, how it is set and how it is read back."""

    min_fn: Callable[[WhatsminerCoordinator], float]
    max_fn: Callable[[WhatsminerCoordinator], float]


def power_limit_max(coordinator: WhatsminerCoordinator) -> float:
    """The option, else the highest limit this miner ever reported, else the API's own."""
    option = coordinator.config_entry.options.get(CONF_POWER_LIMIT_MAX)
    return float(option or coordinator.memory.power_ceiling or HIGHEST_LIMIT)


def power_limit_min(coordinator: WhatsminerCoordinator) -> float:
    """The option, else a share of the highest, if that is known."""
    highest = power_limit_max(coordinator)
    if option := coordinator.config_entry.options.get(CONF_POWER_LIMIT_MIN):
        return float(option)
    if highest == HIGHEST_LIMIT:
        return 1.0
    return float(math.ceil(LOWEST_SHARE * highest / 10) * 10)


def _limit_is(state: MinerState, watts: int) -> bool:
    """In force, or set while a lower power mode or a stop keeps it from being in force."""
    in_force = state.summary.power_limit if state.summary else None
    was_set = state.status.power_limit_set if state.status else None
    return watts in (in_force, was_set)


def _percent_blocked(state: MinerState) -> str | None:
    """Before tuning is finished a percent is acknowledged and ignored (H.2)."""
    if (
        Feature.POWER_PERCENT not in state.info.unreadable
        or state.activity is Activity.MINING
    ):
        return None
    return "percent_needs_tuning"


NUMBERS: tuple[WhatsminerNumberDescription, ...] = (
    WhatsminerNumberDescription(
        key="power_limit",
        translation_key="power_limit",
        device_class=NumberDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        native_step=1,
        min_fn=power_limit_min,
        max_fn=power_limit_max,
        feature=Feature.POWER_LIMIT,
        value_fn=lambda state: (
            None if state.power_limit is None else int(state.power_limit)
        ),
        set_fn=lambda miner, watts: miner.set_power_limit(watts),
        done_fn=_limit_is,
        deadline=DEADLINE_RESTART,
        interrupts=True,
    ),
    WhatsminerNumberDescription(
        key=POWER_PERCENT,
        translation_key=POWER_PERCENT,
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        native_step=1,
        min_fn=lambda _: 1,  # 0 is no stop: API 3.x takes it for no percent at all
        max_fn=lambda _: 100,
        feature=Feature.POWER_PERCENT,
        value_fn=lambda state: (
            None
            if state.status is None or state.status.power_percent is None
            else int(state.status.power_percent)
        ),
        set_fn=lambda miner, percent: miner.set_power_percent(percent),
        blocked_fn=_percent_blocked,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the numbers this miner can be commanded with."""
    coordinator = entry.runtime_data
    async_add_entities(
        WhatsminerNumber(coordinator, description)
        for description in NUMBERS
        if coordinator.can(description.feature)
    )


class WhatsminerNumber(WhatsminerControl[int], NumberEntity):
    """A quantity the miner is told."""

    entity_description: WhatsminerNumberDescription

    @property
    @override
    def mode(self) -> NumberMode:
        """A slider, but not where it would restart the miner at every stop on its way.

        Nor where the value may be unknown, which a slider shows as its lowest.
        """
        if self.entity_description.interrupts or self._attr_assumed_state:
            return NumberMode.BOX
        return NumberMode.SLIDER

    @property
    @override
    def native_min_value(self) -> float:
        return self.entity_description.min_fn(self.coordinator)

    @property
    @override
    def native_max_value(self) -> float:
        return self.entity_description.max_fn(self.coordinator)

    @property
    @override
    def native_value(self) -> float | None:
        return self._value

    @override
    async def async_set_native_value(self, value: float) -> None:
        await self._async_set(round(value))

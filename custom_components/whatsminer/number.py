"""Numbers: power limit (restarts btminer), power percent (normally does not), and settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import (
    EntityCategory,
    UnitOfPower,
    UnitOfRatio,
    UnitOfTemperature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Feature
from .controls import (
    POWER_LIMIT,
    POWER_PERCENT,
    TARGET_FREQUENCY,
    TEMPERATURE_OFFSET,
    UPFREQ_SPEED,
    Control,
    highest_limit,
    highest_power,
    lowest_power,
)
from .coordinator import WhatsminerCoordinator
from .entity import ControlDescription, WhatsminerControl, WhatsminerEntity, add_offered
from .group import entities as group
from .group.runtime import Group, GroupConfigEntry
from .runtime import EntryEntity, WhatsminerConfigEntry

# The client has one lock per miner, and a newer command must be able to overtake an older one.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class WhatsminerNumberDescription(ControlDescription[int], NumberEntityDescription):
    """A number, its bounds and what it sets."""

    min_fn: Callable[[WhatsminerCoordinator], float]
    max_fn: Callable[[WhatsminerCoordinator], float]


def _setting(
    control: Control[int],
    unit: str | None = None,
    device_class: NumberDeviceClass | None = None,
) -> WhatsminerNumberDescription:
    """Something that most owners never touch, within the bounds of the miner."""
    return WhatsminerNumberDescription(
        key=control.key,
        device_class=device_class,
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,
        native_unit_of_measurement=unit,
        native_step=1,
        min_fn=lambda coordinator: coordinator.miner.range_of(control.feature)[0],
        max_fn=lambda coordinator: coordinator.miner.range_of(control.feature)[-1],
        control=control,
    )


NUMBERS: tuple[WhatsminerNumberDescription, ...] = (
    WhatsminerNumberDescription(
        key="power_limit",
        entity_category=EntityCategory.CONFIG,
        device_class=NumberDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        native_step=50,  # each step restarts the miner; an action may set any value
        min_fn=lowest_power,
        max_fn=highest_limit,
        control=POWER_LIMIT,
    ),
    WhatsminerNumberDescription(
        key="power_percent",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        native_step=1,
        min_fn=lambda _: 1,  # 0 is no stop: API 3.x takes it for no percent at all
        max_fn=lambda _: 100,
        control=POWER_PERCENT,
    ),
    _setting(TARGET_FREQUENCY, UnitOfRatio.PERCENTAGE),
    _setting(UPFREQ_SPEED),
    _setting(
        TEMPERATURE_OFFSET,
        UnitOfTemperature.CELSIUS,
        NumberDeviceClass.TEMPERATURE_DELTA,
    ),
)


POWER_TARGET = NumberEntityDescription(
    key="power_target",
    device_class=NumberDeviceClass.POWER,
    native_unit_of_measurement=UnitOfPower.WATT,
    native_step=10,
    mode=NumberMode.SLIDER,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry | GroupConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the numbers this miner can be commanded with, or those of a group."""
    data = entry.runtime_data
    if isinstance(data, Group):
        add_offered(async_add_entities, group.numbers(data))
        return
    commander = data.commander
    coordinator = commander.coordinator
    numbers: list[WhatsminerEntity] = [
        WhatsminerNumber(commander, description)
        for description in NUMBERS
        if coordinator.can(description.control.feature)
    ]
    if coordinator.can(Feature.POWER_PERCENT) or coordinator.can(Feature.POWER_LIMIT):
        numbers.append(WhatsminerPowerTarget(data, POWER_TARGET))
    add_offered(async_add_entities, numbers)


class WhatsminerNumber(WhatsminerControl[int], NumberEntity):
    """A quantity that is commanded."""

    entity_description: WhatsminerNumberDescription

    @property
    @override
    def mode(self) -> NumberMode:
        """A slider, but not where it would restart the miner at every stop on its way.

        Nor where the value may be unknown, which a slider shows as its lowest.
        """
        if self.entity_description.control.interrupts or self.assumed_state:
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
        value: object = self._value  # perhaps stored by another version
        return value if isinstance(value, int | float) else None

    @override
    async def async_set_native_value(self, value: float) -> None:
        await self._async_set(round(value))


class WhatsminerPowerTarget(EntryEntity, NumberEntity):
    """One slider for solar power and batteries."""

    @property
    @override
    def native_min_value(self) -> float:
        return lowest_power(self.coordinator)

    @property
    @override
    def native_max_value(self) -> float:
        return highest_power(self.coordinator)

    @property
    @override
    def native_value(self) -> float | None:
        return self._data.power_target.watts

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str]:
        return {"target": "none"} if self.native_value is None else {}

    @override
    async def async_set_native_value(self, value: float) -> None:
        await self._data.power_target.async_set(round(value))

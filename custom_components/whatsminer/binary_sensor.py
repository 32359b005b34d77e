"""Binary sensors: is it well, has it finished tuning, does it let us write."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Section
from .coordinator import WhatsminerConfigEntry, WhatsminerCoordinator
from .entity import WhatsminerDescription, WhatsminerEntity

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class WhatsminerBinarySensorDescription(
    WhatsminerDescription, BinarySensorEntityDescription
):
    """A binary sensor and where its value comes from."""

    value_fn: Callable[[WhatsminerCoordinator], bool | None]


def _problem(coordinator: WhatsminerCoordinator) -> bool | None:
    faults = coordinator.data.faults
    return None if faults is None else bool(faults)


def _stable(coordinator: WhatsminerCoordinator) -> bool | None:
    summary = coordinator.data.summary
    return summary.stable if summary else None


BINARY_SENSORS: tuple[WhatsminerBinarySensorDescription, ...] = (
    WhatsminerBinarySensorDescription(
        key="problem",
        translation_key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        sections=(Section.FAULTS,),
        value_fn=_problem,
    ),
    WhatsminerBinarySensorDescription(
        key="stable",
        translation_key="stable",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.SUMMARY,),
        value_fn=_stable,
    ),
    WhatsminerBinarySensorDescription(
        key="write_access",
        translation_key="write_access",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.write_access,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of a miner."""
    async_add_entities(
        WhatsminerBinarySensor(entry.runtime_data, description)
        for description in BINARY_SENSORS
    )


class WhatsminerBinarySensor(WhatsminerEntity, BinarySensorEntity):
    """A yes or no of the miner."""

    entity_description: WhatsminerBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        return self.entity_description.value_fn(self.coordinator)

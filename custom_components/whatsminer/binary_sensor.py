"""Binary sensors: is it well, has it finished tuning, does it let us write."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Section
from .entity import ReadingDescription
from .runtime import EntryEntity, WhatsminerConfigEntry, WhatsminerData

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class WhatsminerBinarySensorDescription(
    ReadingDescription, BinarySensorEntityDescription
):
    """A binary sensor and where its value comes from."""

    value_fn: Callable[[WhatsminerData], bool | None]
    attributes_fn: Callable[[WhatsminerData], dict[str, Any]] = lambda _: {}


def _problem(data: WhatsminerData) -> bool | None:
    faults = data.coordinator.data.faults
    return None if faults is None else bool(faults)


def _stable(data: WhatsminerData) -> bool | None:
    summary = data.coordinator.data.summary
    return summary.stable if summary else None


def _worn(data: WhatsminerData) -> bool | None:
    profile = data.learning.profile
    return None if profile.wear is None else profile.worn


def _outage(data: WhatsminerData) -> dict[str, Any]:
    """Return why the miner is offline, by the key of its text."""
    coordinator = data.coordinator
    if coordinator.last_update_success:
        return {"reason": None}
    key = getattr(coordinator.last_exception, "translation_key", None)
    return {"reason": key or "unknown"}


CONNECTIVITY = "connectivity"

BINARY_SENSORS: tuple[WhatsminerBinarySensorDescription, ...] = (
    WhatsminerBinarySensorDescription(
        key=CONNECTIVITY,
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda data: data.coordinator.last_update_success,
        attributes_fn=_outage,
    ),
    WhatsminerBinarySensorDescription(
        key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        sections=(Section.FAULTS,),
        value_fn=_problem,
        attributes_fn=lambda data: {"repair": data.fault_log.is_in_repairs},
    ),
    WhatsminerBinarySensorDescription(
        key="stable",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.SUMMARY,),
        value_fn=_stable,
    ),
    WhatsminerBinarySensorDescription(
        key="worn",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_worn,
    ),
    WhatsminerBinarySensorDescription(
        key="write_access",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda data: data.commander.write_access.is_given,
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


class WhatsminerBinarySensor(EntryEntity, BinarySensorEntity):
    """A yes or no of the miner."""

    entity_description: WhatsminerBinarySensorDescription

    @property
    @override
    def available(self) -> bool:
        """Whether the value is known; *Connectivity* is, above all while the miner is offline."""
        return self.entity_description.key == CONNECTIVITY or super().available

    @property
    @override
    def is_on(self) -> bool | None:
        return self.entity_description.value_fn(self._data)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        return self.entity_description.attributes_fn(self._data)

"""Event: a fault has appeared."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Fault
from .faults import FaultType, fault_time, fault_type, fault_words
from .runtime import EntryEntity, WhatsminerConfigEntry

PARALLEL_UPDATES = 0

FAULT = EventEntityDescription(
    key="fault",
    entity_category=EntityCategory.DIAGNOSTIC,
    event_types=[kind.value for kind in FaultType],
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event of a miner."""
    async_add_entities([FaultEvent(entry.runtime_data, FAULT)])


class FaultEvent(EntryEntity, EventEntity):
    """Fires once for each fault that appears in the miner's list."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._data.fault_log.on_new(self._fire))

    @callback
    def _fire(self, fault: Fault) -> None:
        """Say what has appeared."""
        time = fault_time(fault, self.coordinator.data)
        self._trigger_event(
            fault_type(fault.code),
            {
                "code": fault.code,
                "text": fault_words(fault),
                "time": time and time.isoformat(),
            },
        )
        self.async_write_ha_state()

"""Update: the firmware, and the progress of an image that is being installed."""

from typing import override

from homeassistant.components.update import (
    UpdateDeviceClass,
    UpdateEntity,
    UpdateEntityDescription,
    UpdateEntityFeature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Feature
from .entity import add_offered
from .runtime import EntryEntity, WhatsminerConfigEntry

PARALLEL_UPDATES = 0

FIRMWARE = UpdateEntityDescription(
    key="firmware",
    device_class=UpdateDeviceClass.FIRMWARE,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the firmware of a miner that can be given another one."""
    data = entry.runtime_data
    can = data.coordinator.can(Feature.UPDATE_FIRMWARE)
    offered = [WhatsminerFirmware(data, FIRMWARE)] if can else []
    add_offered(async_add_entities, offered)


class WhatsminerFirmware(EntryEntity, UpdateEntity):
    """Shows what `update_firmware` does; where newer firmware could be had is not known."""

    _attr_supported_features = UpdateEntityFeature.PROGRESS

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(
            self._data.installation.on_change(self.async_write_ha_state)
        )

    @property
    @override
    def installed_version(self) -> str | None:
        return self.coordinator.data.info.firmware

    @property
    @override
    def latest_version(self) -> str | None:
        """Return the image that is being installed; its version is not known."""
        return self._data.installation.image or self.installed_version

    @property
    @override
    def in_progress(self) -> bool:
        return self._data.installation.image is not None

    @property
    @override
    def update_percentage(self) -> int | None:
        return self._data.installation.percent

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Return True: two images are not compared, the user has chosen one."""
        return True

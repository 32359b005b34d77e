"""Switches: mining itself, and settings that are on or off."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .controls import (
    FAN_ZERO_SPEED,
    FAST_BOOT,
    FAST_HASH,
    MINING,
    POWER_OFF_COOL,
    START_AT_BOOT,
    WEB_POOLS,
    Control,
)
from .entity import ControlDescription, WhatsminerControl, add_offered
from .group import entities as group
from .group.runtime import Group, GroupConfigEntry
from .runtime import WhatsminerConfigEntry

# The client has one lock per miner, and a newer command must be able to overtake an older one.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class WhatsminerSwitchDescription(ControlDescription[bool], SwitchEntityDescription):
    """A switch and what it sets."""


def _setting(control: Control[bool]) -> WhatsminerSwitchDescription:
    """Something that most owners never touch."""
    return WhatsminerSwitchDescription(
        key=control.key,
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,
        control=control,
    )


SWITCHES: tuple[WhatsminerSwitchDescription, ...] = (
    WhatsminerSwitchDescription(
        key="mining",
        name=None,  # the main feature of the device has its name
        control=MINING,
    ),
    WhatsminerSwitchDescription(
        key="fast_boot",
        entity_category=EntityCategory.CONFIG,
        control=FAST_BOOT,
    ),
    _setting(FAST_HASH),
    _setting(START_AT_BOOT),
    _setting(POWER_OFF_COOL),
    _setting(FAN_ZERO_SPEED),
    _setting(WEB_POOLS),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry | GroupConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches this miner can be commanded with, or those of a group."""
    data = entry.runtime_data
    if isinstance(data, Group):
        add_offered(async_add_entities, group.switches(data))
        return
    switches = (
        WhatsminerSwitch(data.commander, description)
        for description in SWITCHES
        if data.coordinator.can(description.control.feature)
    )
    add_offered(async_add_entities, switches)


class WhatsminerSwitch(WhatsminerControl[bool], SwitchEntity):
    """Something of the miner that is on or off."""

    entity_description: WhatsminerSwitchDescription

    @property
    @override
    def is_on(self) -> bool | None:
        return self._value

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self._async_set(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self._async_set(False)

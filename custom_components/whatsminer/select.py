"""Selects: the power mode, the power source, and what the heat of a liquid cooled miner is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Miner, PowerMode
from .controls import HEAT_MODE, POWER_MODE
from .entity import ControlDescription, WhatsminerControl, WhatsminerEntity, add_offered
from .runtime import EntryEntity, WhatsminerConfigEntry

# The client has one lock per miner, and a newer command must be able to overtake an older one.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class WhatsminerSelectDescription(ControlDescription[str], SelectEntityDescription):
    """A select, its options and what it sets."""

    options_fn: Callable[[Miner], list[str]]


SELECTS: tuple[WhatsminerSelectDescription, ...] = (
    WhatsminerSelectDescription(
        key="power_mode",
        entity_category=EntityCategory.CONFIG,
        options_fn=lambda _: [mode.value for mode in PowerMode],
        control=POWER_MODE,
    ),
    WhatsminerSelectDescription(
        key="heat_mode",
        entity_category=EntityCategory.CONFIG,
        options_fn=lambda miner: [mode.value for mode in miner.heat_modes],
        control=HEAT_MODE,
    ),
)


POWER_SOURCE = SelectEntityDescription(key="power_source")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the selects this miner can be commanded with."""
    data = entry.runtime_data
    coordinator = data.coordinator
    selects: list[WhatsminerEntity] = [
        WhatsminerSelect(data.commander, description)
        for description in SELECTS
        if coordinator.can(description.control.feature)
    ]
    source = WhatsminerPowerSource(data, POWER_SOURCE)
    is_added = len(data.curtailment.source_keys) > 1
    if is_added:
        selects.append(source)
    add_offered(async_add_entities, selects)

    @callback
    def add_power_source() -> None:
        """Add the power source once there is a choice: a miner may join a group at any time."""
        nonlocal is_added
        if not is_added and len(data.curtailment.source_keys) > 1:
            is_added = True
            async_add_entities([source])

    entry.async_on_unload(coordinator.async_add_listener(add_power_source))


class WhatsminerSelect(WhatsminerControl[str], SelectEntity):
    """One of several ways for the miner to work."""

    entity_description: WhatsminerSelectDescription

    @property
    @override
    def options(self) -> list[str]:
        """Return what can be chosen, and what the miner reports even if it cannot be chosen here."""
        options = self.entity_description.options_fn(self.coordinator.miner)
        now = self._value
        return options if now is None or now in options else [*options, now]

    @property
    @override
    def current_option(self) -> str | None:
        return self._value

    @override
    async def async_select_option(self, option: str) -> None:
        await self._async_set(option)


class WhatsminerPowerSource(EntryEntity, SelectEntity):
    """Shows and sets which source says how much the miner should draw."""

    @property
    @override
    def options(self) -> list[str]:
        return self._data.curtailment.source_keys

    @property
    @override
    def current_option(self) -> str:
        return self._data.curtailment.source.key

    @override
    async def async_select_option(self, option: str) -> None:
        self._data.curtailment.select_source(option)
        self.coordinator.async_update_listeners()

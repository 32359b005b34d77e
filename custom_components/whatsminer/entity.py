"""What all entities of a miner share: its device, their identity, and when they are available."""

from collections.abc import Iterable
from dataclasses import dataclass
import re
from typing import override

from homeassistant.const import CONF_HOST, Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import CONNECTION_NETWORK_MAC, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import (
    AddConfigEntryEntitiesCallback,
    async_get_current_platform,
)
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .address import web_url
from .api import Activity, MinerInfo, Section
from .commander import Commander
from .const import DOMAIN
from .controls import Control
from .coordinator import WhatsminerCoordinator

_UNSAFE = re.compile(r"[^\w +-]")
_CHIP_GENERATION = re.compile(r"_?V[A-Z]?\d\w*$")


def series(model: str | None) -> str:
    """Return the series of a model: `M50` of `M50_VH84` (protocol.md#g1)."""
    return _CHIP_GENERATION.sub("", model) if model else "WhatsMiner"


def device_name(info: MinerInfo, mac: str) -> str:
    """Return a name that differs for two equal miners: `M50 00A4`."""
    # The name is shown in Markdown, too.
    return f"{_UNSAFE.sub('', series(info.model))} {mac.replace(':', '')[-4:].upper()}"


@dataclass(frozen=True, kw_only=True)
class ReadingDescription(EntityDescription):
    """An entity that shows what the miner reports."""

    sections: tuple[Section, ...] = ()
    """It is available while any of these was answered; always if there are none."""


@dataclass(frozen=True, kw_only=True)
class ControlDescription[T](EntityDescription):
    """An entity that commands."""

    control: Control[T]


class WhatsminerEntity(CoordinatorEntity[WhatsminerCoordinator]):
    """An entity of one miner."""

    _attr_has_entity_name = True
    _needs_miner = True
    """Whether the entity is unavailable while the miner is offline."""

    def __init__(
        self, coordinator: WhatsminerCoordinator, description: EntityDescription
    ) -> None:
        """Name the entity and its device after the MAC."""
        super().__init__(coordinator)
        self.entity_description = description
        entry = coordinator.config_entry
        mac = entry.unique_id
        assert mac
        info = coordinator.data.info
        self._attr_unique_id = f"{mac}_{description.key}"
        self._attr_translation_key = description.translation_key or description.key
        self._attr_device_info = DeviceInfo(
            connections={(CONNECTION_NETWORK_MAC, mac)},
            identifiers={(DOMAIN, mac)},
            manufacturer="MicroBT",
            model=f"WhatsMiner {series(info.model)}" if info.model else "WhatsMiner",
            model_id=info.model,
            name=device_name(info, mac),
            serial_number=info.serial,
            sw_version=info.firmware,
            configuration_url=web_url(entry.data[CONF_HOST]),
        )

    @property
    @override
    def available(self) -> bool:
        if not self._needs_miner:
            return True
        sections = getattr(self.entity_description, "sections", ())
        state = self.coordinator.data
        is_answered = any(getattr(state, section) is not None for section in sections)
        return super().available and (is_answered or not sections)


@callback
def add_offered(
    add: AddConfigEntryEntitiesCallback, entities: Iterable[Entity]
) -> None:
    """Add the entities of an entry, and remove those that it no longer offers.

    To be called while a platform is set up.
    """
    offered = list(entities)
    add(offered)
    platform = async_get_current_platform()
    assert platform.config_entry
    unique_ids = {entity.unique_id for entity in offered}
    registry, entry_id = er.async_get(platform.hass), platform.config_entry.entry_id
    for known in er.async_entries_for_config_entry(registry, entry_id):
        if known.domain == platform.domain and known.unique_id not in unique_ids:
            registry.async_remove(known.entity_id)


def remove_entities(
    coordinator: WhatsminerCoordinator, platform: Platform, keys: Iterable[str]
) -> None:
    """Remove what the options no longer offer."""
    registry = er.async_get(coordinator.hass)
    for key in keys:
        unique_id = f"{coordinator.config_entry.unique_id}_{key}"
        if entity_id := registry.async_get_entity_id(platform, DOMAIN, unique_id):
            registry.async_remove(entity_id)


HIDES_SETTINGS = (Activity.STARTING, Activity.STOPPED, Activity.RESTARTING)
"""While it does one of these, a miner may not answer what it is set to."""


class WhatsminerControl[T](WhatsminerEntity):
    """An entity that shows a command while it is being confirmed, and else the actual value."""

    entity_description: ControlDescription[T]

    def __init__(
        self, commander: Commander, description: ControlDescription[T]
    ) -> None:
        """Command through the commander of the miner."""
        super().__init__(commander.coordinator, description)
        self._commander = commander
        self._held: T | None = None
        """The value of the last answer: a restart does not change it, but hides it for a while."""
        self._hold()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._hold()
        super()._handle_coordinator_update()

    @callback
    def _hold(self) -> None:
        control, state = self.entity_description.control, self.coordinator.data
        value = control.value_fn(state)
        is_hidden = state.activity in HIDES_SETTINGS and not control.is_absent(state)
        if value is not None or not (control.outlives_restart and is_hidden):
            self._held = value

    @property
    @override
    def assumed_state(self) -> bool:
        control = self.entity_description.control
        waits = control.key in self.coordinator.store.waiting
        return waits or control.is_assumed(self.coordinator.data)

    @property
    def _value(self) -> T | None:
        """Return the value to show: being commanded, waiting, reported, acknowledged last, or held."""
        control = self.entity_description.control
        value = control.shown(self.coordinator)
        return self._commander.shown(
            control.key, self._held if value is None else value
        )

    async def _async_set(self, value: T) -> None:
        """Command a value for a user; this ends what Home Assistant decides on its own."""
        control = self.entity_description.control
        await control.async_set(self._commander, value, user_initiated=True)

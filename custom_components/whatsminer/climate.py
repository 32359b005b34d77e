"""The thermostat: a room, a tank or a floor is heated by a miner or a group."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.climate import (
    ATTR_HVAC_MODE,
    PRESET_NONE,
    ClimateEntity,
    ClimateEntityDescription,
    ClimateEntityFeature,
    HVACAction,
    HVACMode,
)
from homeassistant.const import ATTR_TEMPERATURE, PRECISION_TENTHS, UnitOfTemperature
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import WhatsminerCoordinator
from .entity import WhatsminerEntity, add_offered
from .group.entities import GroupEntity
from .group.runtime import Group, GroupConfigEntry
from .heat.heating import THERMOSTAT as KEY, Heating
from .heat.options import PRESETS
from .runtime import WhatsminerConfigEntry, WhatsminerData

PARALLEL_UPDATES = 0

if TYPE_CHECKING or hasattr(ClimateEntity, "native_target_temperature"):
    _Base = ClimateEntity
else:

    class _Base(ClimateEntity):
        """Names the temperatures as Home Assistant did until 2026.10."""

        @property
        def temperature_unit(self) -> str:
            return self._attr_native_temperature_unit

        @property
        def current_temperature(self) -> float | None:
            return self._attr_native_current_temperature

        @property
        def target_temperature(self) -> float | None:
            return self._attr_native_target_temperature


THERMOSTAT = ClimateEntityDescription(key=KEY)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry | GroupConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the thermostat if a temperature sensor is chosen, else remove it."""
    data = entry.runtime_data
    found: list[Thermostat] = []
    if data.heating and isinstance(data, Group):
        found = [GroupThermostat(data, data.heating)]
    elif data.heating and isinstance(data, WhatsminerData):
        found = [WhatsminerThermostat(data.coordinator, data.heating)]
    add_offered(async_add_entities, found)


class Thermostat(_Base):
    """Shows and sets what the thermostat holds."""

    _attr_hvac_modes = [HVACMode.OFF, HVACMode.HEAT]
    _attr_native_temperature_unit = UnitOfTemperature.CELSIUS
    _attr_precision = PRECISION_TENTHS
    _attr_preset_modes = [PRESET_NONE, *PRESETS]
    _attr_supported_features = (
        ClimateEntityFeature.TARGET_TEMPERATURE
        | ClimateEntityFeature.PRESET_MODE
        | ClimateEntityFeature.TURN_ON
        | ClimateEntityFeature.TURN_OFF
    )
    _heating: Heating

    def _hold(self, heating: Heating) -> None:
        """Take the bounds of the target from the options."""
        self._heating = heating
        self._attr_min_temp = heating.lowest
        self._attr_max_temp = heating.highest
        self._attr_target_temperature_step = heating.target_step
        self._show()

    @property
    @override
    def available(self) -> bool:
        """Return True: the target can also be set while no miner answers."""
        return True

    @callback
    def _show(self) -> None:
        heating = self._heating
        self._attr_native_current_temperature = heating.temperature
        self._attr_native_target_temperature = heating.target
        self._attr_preset_mode = heating.preset or PRESET_NONE
        self._attr_hvac_mode = HVACMode.HEAT if heating.is_on else HVACMode.OFF
        self._attr_hvac_action = self._action

    @property
    def _action(self) -> HVACAction | None:
        """Return what is heated, which may differ from what the thermostat wants."""
        heater = self._heating.heater
        if not self._heating.is_on:
            return HVACAction.OFF
        if not heater.answers:
            return None
        return HVACAction.HEATING if heater.mining else HVACAction.IDLE

    @override
    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        await self._heating.async_turn(hvac_mode is not HVACMode.OFF)

    @override
    async def async_set_temperature(self, **kwargs: Any) -> None:
        await self._heating.async_set_target(kwargs[ATTR_TEMPERATURE])
        if mode := kwargs.get(ATTR_HVAC_MODE):
            await self.async_set_hvac_mode(mode)

    @override
    async def async_set_preset_mode(self, preset_mode: str) -> None:
        preset = None if preset_mode == PRESET_NONE else preset_mode
        await self._heating.async_set_preset(preset)


class WhatsminerThermostat(Thermostat, WhatsminerEntity):
    """The thermostat of a miner."""

    def __init__(self, coordinator: WhatsminerCoordinator, heating: Heating) -> None:
        """Show what is held."""
        super().__init__(coordinator, THERMOSTAT)
        self._hold(heating)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._show()
        super()._handle_coordinator_update()


class GroupThermostat(Thermostat, GroupEntity):
    """The thermostat of a group."""

    def __init__(self, group: Group, heating: Heating) -> None:
        """Show what is held."""
        super().__init__(group, THERMOSTAT)
        self._hold(heating)

    @callback
    @override
    def _on_update(self) -> None:
        self._show()
        super()._on_update()

"""The options of the thermostat: their form, their defaults, and what the controller makes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from homeassistant.components.climate import (
    PRESET_AWAY,
    PRESET_BOOST,
    PRESET_COMFORT,
    PRESET_ECO,
)
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import PERCENTAGE, UnitOfTemperature, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import EntitySelector, EntitySelectorConfig
from homeassistant.util.unit_conversion import TemperatureConverter
import probatio

from ..const import (
    CONF_THERMOSTAT_ABOVE,
    CONF_THERMOSTAT_AWAY,
    CONF_THERMOSTAT_BELOW,
    CONF_THERMOSTAT_BOOST,
    CONF_THERMOSTAT_CALL,
    CONF_THERMOSTAT_COMFORT,
    CONF_THERMOSTAT_ECO,
    CONF_THERMOSTAT_EXTRA_COST,
    CONF_THERMOSTAT_HARD_LIMIT,
    CONF_THERMOSTAT_KIND,
    CONF_THERMOSTAT_LOST,
    CONF_THERMOSTAT_LOWEST,
    CONF_THERMOSTAT_MAX,
    CONF_THERMOSTAT_MIN,
    CONF_THERMOSTAT_MINIMUM_RUN,
    CONF_THERMOSTAT_MINIMUM_STOP,
    CONF_THERMOSTAT_SENSOR,
    CONF_THERMOSTAT_STEP,
    CONF_THERMOSTAT_WIDEN,
    DOMAIN,
    LOWEST_PERCENT,
)
from ..forms import choice, decimal, entity
from .thermostat import KINDS, MINUTE, Settings

DEFAULT_KIND: Final = "room"
DEFAULT_STEP: Final = 0.5
PRESETS: Final = {
    PRESET_COMFORT: CONF_THERMOSTAT_COMFORT,
    PRESET_ECO: CONF_THERMOSTAT_ECO,
    PRESET_BOOST: CONF_THERMOSTAT_BOOST,
    PRESET_AWAY: CONF_THERMOSTAT_AWAY,
}
"""The option of each preset."""
_ROOM = {
    CONF_THERMOSTAT_MIN: 5.0,
    CONF_THERMOSTAT_MAX: 26.0,
    CONF_THERMOSTAT_COMFORT: 21.0,
    CONF_THERMOSTAT_ECO: 18.0,
    CONF_THERMOSTAT_BOOST: 23.0,
    CONF_THERMOSTAT_AWAY: 12.0,
}
DEFAULTS: Final = {
    "room": _ROOM,
    "tank": {
        CONF_THERMOSTAT_MIN: 20.0,
        CONF_THERMOSTAT_MAX: 55.0,
        CONF_THERMOSTAT_COMFORT: 45.0,
        CONF_THERMOSTAT_ECO: 40.0,
        CONF_THERMOSTAT_BOOST: 50.0,
        CONF_THERMOSTAT_AWAY: 30.0,
    },
    "floor": _ROOM,
}
"""Temperatures by kind (°C)."""

TEMPERATURES: Final = (*_ROOM, CONF_THERMOSTAT_HARD_LIMIT)
"""The options that are temperatures: stored in °C, shown in the unit of the home."""
_CALLS = ("binary_sensor", "climate", "input_boolean", "switch")


def kind_of(options: Mapping[str, Any]) -> str:
    """Return the kind of heat store."""
    kind = str(options.get(CONF_THERMOSTAT_KIND))
    return kind if kind in KINDS else DEFAULT_KIND


def temperature_of(options: Mapping[str, Any], key: str) -> float:
    """Return a temperature of the options, or the default of the kind (°C)."""
    return float(options.get(key, DEFAULTS[kind_of(options)][key]))


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Return the parameters of the controller."""
    default = KINDS[kind_of(options)]

    def own(key: str, value: float, factor: float = 1.0) -> float:
        return float(options[key]) * factor if key in options else value

    lost = own(CONF_THERMOSTAT_LOST, default.lost, MINUTE)
    return replace(
        default,
        hard=own(CONF_THERMOSTAT_HARD_LIMIT, default.hard),
        up=own(CONF_THERMOSTAT_ABOVE, default.up),
        down=own(CONF_THERMOSTAT_BELOW, default.down),
        widen=own(CONF_THERMOSTAT_WIDEN, default.widen),
        lowest=int(own(CONF_THERMOSTAT_LOWEST, default.lowest)),
        minimum_run=own(CONF_THERMOSTAT_MINIMUM_RUN, default.minimum_run, MINUTE),
        minimum_stop=own(CONF_THERMOSTAT_MINIMUM_STOP, default.minimum_stop, MINUTE),
        late=lost / 2,
        lost=lost,
    )


# The form


def thermostat_schema(unit: str, money: str) -> probatio.Schema:
    """Return the section of the form, with the temperature unit and the money of the home."""
    temperatures = {key: decimal(unit) for key in TEMPERATURES}
    hard_limit = temperatures.pop(CONF_THERMOSTAT_HARD_LIMIT)
    kelvin = UnitOfTemperature.KELVIN
    fields = {
        CONF_THERMOSTAT_SENSOR: EntitySelector(
            EntitySelectorConfig(domain="sensor", device_class="temperature")
        ),
        CONF_THERMOSTAT_KIND: choice(CONF_THERMOSTAT_KIND, KINDS),
        **temperatures,
        CONF_THERMOSTAT_STEP: decimal(kelvin, 0.1, 5),
        CONF_THERMOSTAT_HARD_LIMIT: hard_limit,
        CONF_THERMOSTAT_CALL: entity(*_CALLS),
        CONF_THERMOSTAT_EXTRA_COST: decimal(money),
        CONF_THERMOSTAT_ABOVE: decimal(kelvin, 0.1, 20),
        CONF_THERMOSTAT_BELOW: decimal(kelvin, 0.1, 20),
        CONF_THERMOSTAT_WIDEN: decimal(None, 0, 2),
        CONF_THERMOSTAT_LOWEST: decimal(PERCENTAGE, LOWEST_PERCENT, 100),
        CONF_THERMOSTAT_MINIMUM_RUN: decimal(UnitOfTime.MINUTES, 0, 1440),
        CONF_THERMOSTAT_MINIMUM_STOP: decimal(UnitOfTime.MINUTES, 5, 1440),
        CONF_THERMOSTAT_LOST: decimal(UnitOfTime.MINUTES, 10, 1440),
    }
    return probatio.Schema(
        {probatio.Optional(key): field for key, field in fields.items()}
    )


def as_stored(options: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """Return options of the form with temperatures in °C."""
    return _converted(options, unit, UnitOfTemperature.CELSIUS, 3)


def as_shown(options: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """Return stored options with temperatures in the unit of the home."""
    return _converted(options, UnitOfTemperature.CELSIUS, unit, 1)


def _converted(
    options: Mapping[str, Any], unit: str, wanted: str, digits: int
) -> dict[str, Any]:
    found = {key: options[key] for key in TEMPERATURES if key in options}
    convert = TemperatureConverter.convert
    return {
        **options,
        **{key: round(convert(x, unit, wanted), digits) for key, x in found.items()},
    }


def sensor_error(
    hass: HomeAssistant, entry: ConfigEntry[Any], options: Mapping[str, Any]
) -> tuple[str, dict[str, str]] | None:
    """Return the error for a new sensor that the thermostat of another entry follows.

    One that both had before this was checked must not keep all other options from being changed.
    """
    sensor = options.get(CONF_THERMOSTAT_SENSOR)
    if sensor == entry.options.get(CONF_THERMOSTAT_SENSOR):
        return None
    for other in hass.config_entries.async_entries(DOMAIN):
        taken = other.options.get(CONF_THERMOSTAT_SENSOR)
        if sensor and sensor == taken and other.entry_id != entry.entry_id:
            return "sensor_taken", {"entity": sensor, "name": other.title}
    return None


def bounds_error(
    options: Mapping[str, Any], unit: str
) -> tuple[str, dict[str, str]] | None:
    """Return the error for targets that the hard limit would never let the miner reach."""
    lowest = temperature_of(options, CONF_THERMOSTAT_MIN)
    highest = temperature_of(options, CONF_THERMOSTAT_MAX)
    hard = settings_of(options).hard
    if CONF_THERMOSTAT_SENSOR not in options or lowest < highest < hard:
        return None

    def shown(degrees: float) -> str:
        wanted = TemperatureConverter.convert(degrees, UnitOfTemperature.CELSIUS, unit)
        return f"{wanted:.1f} {unit}"

    return "thermostat_bounds", {
        "lowest": shown(lowest),
        "highest": shown(highest),
        "hard_limit": shown(hard),
    }

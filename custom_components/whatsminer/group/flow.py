"""The forms of a group: its miners, and the meter or the temperature that it follows."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, UnitOfPower, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.util.unit_conversion import PowerConverter
import probatio

from ..const import CONF_THERMOSTAT_SENSOR
from ..forms import NUMBERS, choice, entity, flat, suggested, whole
from ..heat.options import (
    as_shown,
    as_stored,
    bounds_error,
    sensor_error,
    thermostat_schema,
)
from .entry import (
    CONF_BATTERY,
    CONF_BATTERY_FIRST,
    CONF_BREAKER,
    CONF_CHARGER,
    CONF_EXCLUDED,
    CONF_EXPORT_METER,
    CONF_FIRST,
    CONF_GENTLE,
    CONF_HOLD,
    CONF_INTERVAL,
    CONF_INVERTED,
    CONF_LIMIT,
    CONF_MEMBERS,
    CONF_METER,
    CONF_SET_POINT,
    CONF_STAY,
    group_entries,
    group_of,
    meters,
    miner_entries,
)
from .site import HARD_LIMIT_INTERVAL

# Sections of the form; what is stored is flat.
SITE = "site"
MORE = "more"
THERMOSTAT = "thermostat"
SECTIONS = (SITE, MORE, THERMOSTAT)


class Hold(StrEnum):
    """What a group holds at its meter."""

    SURPLUS = "surplus"
    PEAK = "peak"
    LIMIT = "limit"


_SENSOR = entity(*NUMBERS)
_WATTS = whole(1, 99_999, UnitOfPower.WATT)


def schema(hass: HomeAssistant, options: Mapping[str, Any]) -> probatio.Schema:
    """Return the form of a group, with all miners to select from."""
    miners = SelectSelector(
        SelectSelectorConfig(
            options=[
                SelectOptionDict(value=entry.entry_id, label=entry.title)
                for entry in miner_entries(hass)
            ],
            multiple=True,
            mode=SelectSelectorMode.DROPDOWN,
        )
    )
    site = {
        probatio.Optional(CONF_HOLD): choice(CONF_HOLD, Hold),
        probatio.Optional(CONF_METER): _SENSOR,
        probatio.Optional(CONF_EXPORT_METER): _SENSOR,
        probatio.Optional(CONF_INVERTED, default=False): BooleanSelector(),
        probatio.Optional(CONF_LIMIT): _WATTS,
        probatio.Optional(CONF_BREAKER): _WATTS,
    }
    more = {
        probatio.Optional(CONF_FIRST, default=list): miners,
        probatio.Optional(CONF_EXCLUDED, default=list): miners,
        probatio.Optional(CONF_SET_POINT): whole(-9_999, 9_999, UnitOfPower.WATT),
        probatio.Optional(CONF_BATTERY): _SENSOR,
        probatio.Optional(CONF_BATTERY_FIRST, default=True): BooleanSelector(),
        probatio.Optional(CONF_CHARGER): _SENSOR,
        probatio.Optional(CONF_INTERVAL): whole(1, 120, UnitOfTime.SECONDS),
        probatio.Optional(CONF_GENTLE, default=False): BooleanSelector(),
        probatio.Optional(CONF_STAY, default=False): BooleanSelector(),
    }
    follows = CONF_HOLD in options
    return probatio.Schema(
        {
            probatio.Required(CONF_MEMBERS): miners,
            probatio.Optional(SITE): section(
                probatio.Schema(site), {"collapsed": not follows}
            ),
            probatio.Optional(MORE): section(
                probatio.Schema(more), {"collapsed": True}
            ),
        }
    )


def check(
    hass: HomeAssistant, options: Mapping[str, Any], own_id: str | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is wrong with the options of a group, and what the sentence names."""
    error, named = _members_error(hass, options, own_id) or _site_error(
        hass, options, own_id
    )
    return ({"base": error} if error else {}), named


type _Error = tuple[str | None, dict[str, str]]


def _members_error(
    hass: HomeAssistant, options: Mapping[str, Any], own_id: str | None
) -> _Error | None:
    """Return the error for a group without miners, or with those of another one."""
    if not options[CONF_MEMBERS]:
        return "no_members", {}
    for member in options[CONF_MEMBERS]:
        group = group_of(hass, member)
        if group and group.entry_id != own_id:
            entry = hass.config_entries.async_get_entry(member)
            name = entry.title if entry else member
            return "in_other_group", {"name": name, "group": group.title}
    return None


def _site_error(
    hass: HomeAssistant, options: Mapping[str, Any], own_id: str | None
) -> _Error:
    """Return the error for a meter that cannot be held."""
    hold, own = options.get(CONF_HOLD), meters(options)
    if hold and not options.get(CONF_METER):
        return "meter_missing", {}
    if (hold == Hold.PEAK and not options.get(CONF_LIMIT)) or (
        hold == Hold.LIMIT and not options.get(CONF_BREAKER)
    ):
        return "limit_missing", {}
    if options.get(CONF_BREAKER) and options.get(CONF_INTERVAL, 0) > (
        HARD_LIMIT_INTERVAL
    ):
        return "meter_too_slow", {}
    for group in group_entries(hass):
        taken = set(own) & set(meters(group.options))
        if group.entry_id != own_id and taken:
            return "meter_taken", {"entity": taken.pop(), "group": group.title}
    for entity_id in (
        *own,
        *(options[key] for key in (CONF_BATTERY, CONF_CHARGER) if options.get(key)),
    ):
        state = hass.states.get(entity_id)
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) if state else None
        if unit not in PowerConverter.VALID_UNITS:
            return "not_a_power", {"entity": entity_id, "unit": unit or "?"}
    return None, {}


def _thermostat_error(
    hass: HomeAssistant, entry: ConfigEntry[Any], options: Mapping[str, Any]
) -> tuple[str, dict[str, str]] | None:
    """Return the error for a thermostat that cannot be, or not beside a meter."""
    if options.get(CONF_HOLD) and options.get(CONF_THERMOSTAT_SENSOR):
        return "thermostat_and_meter", {}
    unit = hass.config.units.temperature_unit
    return sensor_error(hass, entry, options) or bounds_error(options, unit)


class GroupOptionsFlow(OptionsFlowWithReload):
    """Handle the options of a group."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the form of groups."""
        return await self.async_step_group(user_input)

    async def async_step_group(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the members, the meter and the thermostat."""
        entry = self.config_entry
        options = dict(entry.options)
        errors, named = dict[str, str](), dict[str, str]()
        config = self.hass.config
        unit = config.units.temperature_unit
        if user_input is not None:
            options = as_stored(flat(user_input), unit)
            errors, named = check(self.hass, options, entry.entry_id)
            if not errors and (error := _thermostat_error(self.hass, entry, options)):
                errors["base"], named = error
            if not errors:
                return self.async_create_entry(data=options)
        heat = thermostat_schema(unit, f"{config.currency}/kWh")
        form = schema(self.hass, options).extend(
            {probatio.Optional(THERMOSTAT): section(heat, {"collapsed": True})}
        )
        return self.async_show_form(
            step_id="group",
            data_schema=self.add_suggested_values_to_schema(
                form, suggested(as_shown(options, unit), SECTIONS)
            ),
            errors=errors,
            description_placeholders=named,
        )

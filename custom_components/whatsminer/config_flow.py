"""Config flow: find the miner, prove the password, and say of each failure what to do."""

from collections.abc import Mapping
from functools import partialmethod
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.const import (
    CONF_HOST,
    CONF_NAME,
    CONF_PASSWORD,
    CONF_PORT,
    PERCENTAGE,
    UnitOfPower,
    UnitOfTime,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
import probatio

from .address import parse_address
from .api import (
    ACCOUNTS,
    DEFAULT_ACCOUNT,
    DEFAULT_PORT,
    DEFAULT_V3_PORT,
    MinerInfo,
    WhatsminerError,
    WriteRefusedError,
)
from .const import (
    CONF_ACCOUNT,
    CONF_DEAD_BAND,
    CONF_FIXED_PRICE,
    CONF_FORECAST,
    CONF_FORECAST_FEE,
    CONF_FORECAST_TAX,
    CONF_HASHPRICE,
    CONF_HASHPRICE_SENSOR,
    CONF_HEAT_DEMAND,
    CONF_HEAT_EFFICIENCY,
    CONF_HEAT_PRICE,
    CONF_HEAT_SHARE,
    CONF_HEAT_SHARE_SENSOR,
    CONF_HEAT_SOURCE,
    CONF_HOURS_AT_LEAST,
    CONF_HOURS_AT_MOST,
    CONF_LIMIT_BREAK_EVEN,
    CONF_LIMIT_HYSTERESIS,
    CONF_LIMIT_MIDDLE_ABOVE,
    CONF_LIMIT_MIDDLE_PERCENT,
    CONF_LIMIT_OLDEST,
    CONF_LIMIT_RESUME_BELOW,
    CONF_LIMIT_STOP_ABOVE,
    CONF_LIMIT_UNKNOWN,
    CONF_LIMIT_WAIT,
    CONF_POWER_LIMIT_MAX,
    CONF_POWER_LIMIT_MIN,
    CONF_PRICE_SENSOR,
    CONF_RESTART_INTERVAL,
    CONF_RESTARTS_ALLOWED,
    CONF_SHORTEST_RUN,
    CONF_SHORTEST_STOP,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
    LOGGER,
    LOWEST_PERCENT,
)
from .coordinator import async_connect
from .entity import device_name, series
from .exceptions import placeholders
from .forms import NUMBERS, choice, decimal, entity, flat, suggested, whole
from .group.entry import CONF_KIND, GROUP, is_group, miner_entries
from .group.flow import SECTIONS, GroupOptionsFlow, check, schema
from .heat.options import (
    as_shown,
    as_stored,
    bounds_error,
    sensor_error,
    thermostat_schema,
)
from .money.economics import HeatSource, Market
from .money.limits import Rule, Unknown
from .money.units import parse_unit
from .runtime import WhatsminerConfigEntry, WhatsminerData

type _OptionsError = tuple[str, dict[str, str]]
"""The key of a sentence, and what it names."""


_PORT = whole(1, 65535)
_WATTS = whole(1, 99_999, UnitOfPower.WATT)
PASSWORD = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)

ACCOUNT = SelectSelector(
    SelectSelectorConfig(
        options=list(ACCOUNTS), custom_value=True, mode=SelectSelectorMode.DROPDOWN
    )
)

USER_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_HOST): str,
        probatio.Required(CONF_PORT, default=DEFAULT_PORT): _PORT,
        probatio.Required(CONF_V3_PORT, default=DEFAULT_V3_PORT): _PORT,
    }
)
CHANGE_PASSWORD = "change_password"
PASSWORD_SCHEMA = USER_SCHEMA.extend(
    {probatio.Optional(CHANGE_PASSWORD, default=False): BooleanSelector()}
)
ADMIN_SCHEMA = probatio.Schema({probatio.Optional(CONF_PASSWORD): PASSWORD})
ACCOUNT_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_ACCOUNT, default=DEFAULT_ACCOUNT): ACCOUNT,
        probatio.Optional(CONF_V3_PASSWORD): PASSWORD,
    }
)
SWITCH_OFF = "write_api_disabled"
_SWITCH_OFF = "_switch_off"
"""The end of the names of steps for a miner whose API switch is off."""
# Sections of the form; what is stored is flat.
ECONOMICS = "economics"
POWER_TARGET = "power_target"
HEAT = "heat"
THERMOSTAT = "thermostat"
PLAN = "plan"
LIMITS = "limits"
PARTS = (ECONOMICS, HEAT, LIMITS, PLAN, THERMOSTAT, POWER_TARGET)
PRICES = (CONF_PRICE_SENSOR, CONF_FIXED_PRICE, CONF_HASHPRICE_SENSOR, CONF_HASHPRICE)


_HOURS = decimal(UnitOfTime.HOURS, 0, 24)
_MINUTES = whole(0, 24 * 60, UnitOfTime.MINUTES)
_PRICE = entity(*NUMBERS)
_SHARE = entity(*NUMBERS, "binary_sensor", "input_boolean")
_POWER_TARGET = {
    CONF_DEAD_BAND: whole(0, 99_999, UnitOfPower.WATT),
    CONF_RESTARTS_ALLOWED: BooleanSelector(),
    CONF_RESTART_INTERVAL: whole(1, 24 * 60, UnitOfTime.MINUTES),
}


def _economics(home: str, currency: str) -> dict[str, Any]:
    return {
        CONF_PRICE_SENSOR: _PRICE,
        CONF_FIXED_PRICE: decimal(f"{home}/kWh"),
        CONF_HASHPRICE_SENSOR: _PRICE,
        CONF_HASHPRICE: decimal(f"{currency}/TH/day"),
    }


def _heat(price: NumberSelector) -> dict[str, Any]:
    return {
        CONF_HEAT_SOURCE: choice(CONF_HEAT_SOURCE, HeatSource),
        CONF_HEAT_PRICE: price,
        CONF_HEAT_EFFICIENCY: decimal(),
        CONF_HEAT_SHARE: whole(0, 100, PERCENTAGE),
        CONF_HEAT_SHARE_SENSOR: _SHARE,
        CONF_HEAT_DEMAND: _PRICE,
    }


def _limits(price: NumberSelector) -> dict[str, Any]:
    return {
        CONF_LIMIT_STOP_ABOVE: price,
        CONF_LIMIT_RESUME_BELOW: price,
        CONF_LIMIT_BREAK_EVEN: BooleanSelector(),
        CONF_LIMIT_HYSTERESIS: whole(0, 50, PERCENTAGE),
        CONF_LIMIT_MIDDLE_PERCENT: whole(LOWEST_PERCENT, 100, PERCENTAGE),
        CONF_LIMIT_MIDDLE_ABOVE: price,
        CONF_LIMIT_WAIT: _MINUTES,
        CONF_LIMIT_OLDEST: whole(0, 168, UnitOfTime.HOURS),
        CONF_LIMIT_UNKNOWN: choice(CONF_LIMIT_UNKNOWN, Unknown),
    }


def _plan(price: NumberSelector) -> dict[str, Any]:
    return {
        CONF_FORECAST: EntitySelector(EntitySelectorConfig(multiple=True)),
        CONF_FORECAST_TAX: decimal(PERCENTAGE, 0, 100),
        CONF_FORECAST_FEE: price,
        CONF_HOURS_AT_LEAST: _HOURS,
        CONF_HOURS_AT_MOST: _HOURS,
        CONF_SHORTEST_RUN: _MINUTES,
        CONF_SHORTEST_STOP: _MINUTES,
    }


def _optional(fields: Mapping[str, Any]) -> probatio.Schema:
    """Return a form of which each field may be empty; only restarts are allowed at first."""
    defaults = {CONF_RESTARTS_ALLOWED: True}
    return probatio.Schema(
        {
            probatio.Optional(key, default=defaults.get(key, probatio.UNDEFINED)): field
            for key, field in fields.items()
        }
    )


def _options_schema(
    home: str, currency: str, temperature: str, *, show_prices: bool
) -> probatio.Schema:
    """Return the form of the options, with the currencies of the home and of the price."""
    price = decimal(f"{currency}/kWh")
    parts = {
        ECONOMICS: _optional(_economics(home, currency)),
        HEAT: _optional(_heat(decimal(f"{home}/kWh"))),
        LIMITS: _optional(_limits(price)),
        PLAN: _optional(_plan(price)),
        THERMOSTAT: thermostat_schema(temperature, f"{home}/kWh"),
        POWER_TARGET: _optional(_POWER_TARGET),
    }
    shown = {ECONOMICS} if show_prices else set()
    return _optional(
        {CONF_POWER_LIMIT_MIN: _WATTS, CONF_POWER_LIMIT_MAX: _WATTS}
        | {
            part: section(form, {"collapsed": part not in shown})
            for part, form in parts.items()
        }
    )


class WhatsminerConfigFlow(ConfigFlow, domain=DOMAIN):
    """Handle the config flow of one miner."""

    VERSION = 1

    def __init__(self) -> None:
        """Begin with nothing."""
        self._data: dict[str, Any] = {}
        self._info: MinerInfo | None = None
        self._named: dict[str, str] = {}
        self._warned = False

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the options flow of a miner or a group."""
        return GroupOptionsFlow() if is_group(config_entry) else WhatsminerOptionsFlow()

    @override
    async def async_step_dhcp(
        self, discovery_info: DhcpServiceInfo
    ) -> ConfigFlowResult:
        """Move a known miner to its new address, or offer a new one."""
        await self.async_set_unique_id(format_mac(discovery_info.macaddress))
        self._abort_if_unique_id_configured(updates={CONF_HOST: discovery_info.ip})
        self._data = {
            CONF_HOST: discovery_info.ip,
            CONF_PORT: DEFAULT_PORT,
            CONF_V3_PORT: DEFAULT_V3_PORT,
        }
        if errors := await self._async_check(self.unique_id):
            return self.async_abort(
                reason=errors["base"], description_placeholders=self._named
            )
        assert self._info
        assert self.unique_id
        self.context["title_placeholders"] = {
            "name": device_name(self._info, self.unique_id)
        }
        return await self._async_step_password()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what to add, if there are miners that a group can consist of."""
        if user_input is None and miner_entries(self.hass):
            return self.async_show_menu(step_id="user", menu_options=["miner", GROUP])
        return await self.async_step_miner(user_input)

    async def async_step_group(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the name of a group, its miners, and its meter."""
        options, errors, named = dict[str, Any](), dict[str, str](), dict[str, str]()
        if user_input is not None:
            options = flat(user_input)
            errors, named = check(self.hass, options)
            title = options.pop(CONF_NAME)
            if not errors:
                return self.async_create_entry(
                    title=title, data={CONF_KIND: GROUP}, options=options
                )
        form = schema(self.hass, options).extend({probatio.Required(CONF_NAME): str})
        values = suggested(options, SECTIONS) | (user_input or {})
        return self.async_show_form(
            step_id="group",
            data_schema=self.add_suggested_values_to_schema(form, values),
            errors=errors,
            description_placeholders=named,
        )

    async def async_step_miner(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the address, and find out who answers there."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_check_address(user_input, {}, None)
            if not errors and self._info and self._info.mac:
                # A discovery that waits is no reason not to; it ends with the new entry.
                await self.async_set_unique_id(
                    format_mac(self._info.mac), raise_on_progress=False
                )
                self._abort_if_unique_id_configured()
                return await self._async_step_password()
        return self._form("miner", USER_SCHEMA, user_input, errors)

    async def _async_step_password(self) -> ConfigFlowResult:
        """Continue with the password step for the API of the miner."""
        assert self._info
        if not self._info.has_accounts:
            return await self._async_password_form("admin")
        if self._info.api_switch is False:
            return await self._async_password_form("account_switch_off")
        return await self._async_password_form("account")

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take another address or other ports, if it is the same miner that answers there.

        A miner that was added without a password can be given one, any other another password.
        """
        entry = self._get_reconfigure_entry()
        if is_group(entry):
            return self.async_abort(reason="group_has_no_address")
        has_password = not entry.data.keys().isdisjoint(
            {CONF_PASSWORD, CONF_V3_PASSWORD}
        )
        errors: dict[str, str] = {}
        self._named = {"name": entry.title, "host": entry.data[CONF_HOST]}
        if user_input is not None:
            address = dict(user_input)
            wants_password = address.pop(CHANGE_PASSWORD, False)
            errors = await self._async_check_address(
                address, entry.data, entry.unique_id
            )
            if not errors:
                if wants_password or not has_password:
                    await self.async_set_unique_id(
                        entry.unique_id, raise_on_progress=False
                    )
                    return await self._async_step_password()
                return self.async_update_reload_and_abort(entry, data=self._data)
        form = PASSWORD_SCHEMA if has_password else USER_SCHEMA
        return self._form("reconfigure", form, user_input or dict(entry.data), errors)

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Ask again, when the password no longer fits or the firmware has other accounts now."""
        entry = self._get_reauth_entry()
        self._data = dict(entry_data)
        self._named = {
            "name": entry.title,
            "host": entry_data[CONF_HOST],
            "account": entry_data.get(CONF_ACCOUNT, DEFAULT_ACCOUNT),
        }
        runtime: WhatsminerData | None = getattr(entry, "runtime_data", None)
        if (
            runtime.coordinator.miner.info.has_accounts
            if runtime
            else CONF_ACCOUNT in entry_data
        ):
            if CONF_V3_PASSWORD in entry_data:
                return await self._async_password_form("reauth_account_password")
            return await self._async_password_form("reauth_account")
        return await self.async_step_reauth_admin()

    async def async_step_reauth_admin(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the admin password again; who leaves it empty wants no commands."""
        if user_input is not None and not user_input.get(CONF_PASSWORD):
            # An account of API 3 that this firmware does not have would be asked about for ever.
            self._data.pop(CONF_ACCOUNT, None)
            self._data.pop(CONF_V3_PASSWORD, None)
        return await self._async_password_form("reauth_admin", user_input)

    async def _async_password_form(
        self, step_id: str, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a password; without one there are only sensors.

        Verify the input, and create or update the entry. A password that is entered while the API
        switch is off is kept unchecked.
        """
        schema = ACCOUNT_SCHEMA if "account" in step_id else ADMIN_SCHEMA
        errors: dict[str, str] = {}
        if user_input is not None:
            # An earlier input no longer counts, also if the field is empty now.
            fields = {str(key) for key in schema.schema}
            kept = {key: self._data[key] for key in self._data.keys() - fields}
            self._data = kept | user_input
            if CONF_ACCOUNT in user_input:
                account = user_input[CONF_ACCOUNT].strip()
                self._data[CONF_ACCOUNT] = account or DEFAULT_ACCOUNT
            errors = await self._async_check(self.unique_id)
            if step_id.endswith(_SWITCH_OFF) and SWITCH_OFF in errors.values():
                # The repair issue checks the password as soon as the switch is on.
                errors = {}
            if not errors:
                errors = self._warn_of_curtailment(step_id)
            if not errors:
                return self._async_finish()
            if SWITCH_OFF in errors.values() and step_id in ("admin", "account"):
                return self._form(step_id + _SWITCH_OFF, schema, user_input, {})
            # What is wrong may be a password that this form does not ask for.
            errors = {
                field if field in fields else "base": key
                for field, key in errors.items()
            }
        return self._form(step_id, schema, user_input, errors)

    # The admin password of API 1.x and 2.x
    async_step_admin = partialmethod(_async_password_form, "admin")
    async_step_admin_switch_off = partialmethod(
        _async_password_form, "admin_switch_off"
    )
    # An account of API 3.x
    async_step_account = partialmethod(_async_password_form, "account")
    async_step_account_switch_off = partialmethod(
        _async_password_form, "account_switch_off"
    )
    async_step_reauth_account = partialmethod(_async_password_form, "reauth_account")
    async_step_reauth_account_password = partialmethod(
        _async_password_form, "reauth_account_password"
    )

    @callback
    def _warn_of_curtailment(self, step_id: str) -> dict[str, str]:
        """Return a warning, once, where a curtailed miner could no longer be resumed."""
        fields = (CONF_PASSWORD, CONF_V3_PASSWORD)
        entry = self._known_entry
        if (
            entry is None
            or any(self._data.get(field) for field in fields)
            or self._warned
            or entry.state is not ConfigEntryState.LOADED
            or entry.runtime_data.curtailment.state == "none"
        ):
            return {}
        self._warned = True
        return {"base": "still_curtailed"}

    @property
    def _known_entry(self) -> WhatsminerConfigEntry | None:
        """Return the entry that this flow changes; None where it adds one."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry()
        return None

    @callback
    def _async_finish(self) -> ConfigFlowResult:
        """Create the entry, or update the one that is known."""
        if entry := self._known_entry:
            return self.async_update_reload_and_abort(entry, data=self._data)
        assert self._info
        assert self.unique_id
        return self.async_create_entry(
            title=device_name(self._info, self.unique_id), data=self._data
        )

    def _form(
        self,
        step_id: str,
        schema: probatio.Schema,
        user_input: dict[str, Any] | None,
        errors: dict[str, str],
    ) -> ConfigFlowResult:
        """Show a form that keeps the input."""
        if user_input is None and CONF_ACCOUNT in self._data:
            user_input = {CONF_ACCOUNT: self._data[CONF_ACCOUNT]}
        named = {"host": "", "model": "", "account": "", **self._named}
        if self._info:
            named["model"] = series(self._info.model)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders=named,
        )

    async def _async_check_address(
        self, user_input: dict[str, Any], known: Mapping[str, Any], mac: str | None
    ) -> dict[str, str]:
        """Take the address that was typed, connect, and return what is wrong and where."""
        try:
            host, port = parse_address(user_input[CONF_HOST])
        except ValueError:
            return {CONF_HOST: "invalid_host"}
        self._data = {**known, **user_input, CONF_HOST: host}
        if port:
            self._data[CONF_PORT] = port
        return await self._async_check(mac, prove=False)

    async def _async_check(
        self, mac: str | None, *, prove: bool = True
    ) -> dict[str, str]:
        """Connect, and verify the password if there is one; return errors by field."""
        host = self._data[CONF_HOST]
        self._named |= {"host": host}
        try:
            miner = await async_connect(self._data, mac)
            try:
                self._info = miner.info
                if not self._info.mac:
                    miner.require_mac()
                if prove and miner.has_password:
                    await miner.check_write_access()
            finally:
                await miner.close()
        except WhatsminerError as err:
            self._named |= placeholders(err, host)
            return {self._field(err): err.key}
        except Exception:
            LOGGER.exception("Unexpected error while looking for a miner")
            return {"base": "unknown"}
        return {}

    def _field(self, error: WhatsminerError) -> str:
        """The field that an error belongs to."""
        if not isinstance(error, WriteRefusedError):
            return "base"
        return CONF_V3_PASSWORD if CONF_V3_PASSWORD in self._data else CONF_PASSWORD


class WhatsminerOptionsFlow(OptionsFlowWithReload):
    """Handle the options: bounds of the power limit, prices, and how a power target is held."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for all of them; what is left empty is the miner's own, or not used."""
        options = {**self._offered_prices, **self.config_entry.options}
        errors: dict[str, str] = {}
        named: dict[str, str] = {}
        unit = self.hass.config.units.temperature_unit
        if user_input is not None:
            options = as_stored(flat(user_input), unit)
            if error := (
                self._bounds_error(options)
                or self._price_error(options)
                or sensor_error(self.hass, self.config_entry, options)
                or bounds_error(options, unit)
                or _plan_error(options)
                or _limits_error(options)
            ):
                errors["base"], named = error
            else:
                return self.async_create_entry(data=options)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _options_schema(
                    self.hass.config.currency,
                    Market(self.hass, options).price.currency,
                    unit,
                    show_prices=any(key in options for key in PRICES),
                ),
                suggested(as_shown(options, unit), PARTS),
            ),
            errors=errors,
            description_placeholders=named,
        )

    @property
    def _offered_prices(self) -> dict[str, Any]:
        """The prices of another miner, for an entry whose options were never set."""
        if self.config_entry.options:
            return {}
        for entry in miner_entries(self.hass):
            if prices := {
                key: entry.options[key] for key in PRICES if key in entry.options
            }:
                return prices
        return {}

    def _bounds_error(self, options: dict[str, Any]) -> _OptionsError | None:
        """Bounds that leave nothing between them."""
        lowest = options.get(CONF_POWER_LIMIT_MIN)
        highest = options.get(CONF_POWER_LIMIT_MAX, self._own_ceiling)
        if lowest is None or highest is None or lowest < highest:
            return None
        return "max_below_min", {
            "lowest": f"{lowest:g} W",
            "highest": f"{highest:g} W",
        }

    def _price_error(self, options: dict[str, Any]) -> _OptionsError | None:
        """Return the error for a sensor that is not a price, or for prices in two currencies."""
        market = Market(self.hass, options)
        try:
            market.heat(0.0)
        except ValueError:
            return "heat_impossible", {}
        for kind, error in (
            (CONF_PRICE_SENSOR, "not_a_price"),
            (CONF_HASHPRICE_SENSOR, "not_a_hashprice"),
        ):
            unit = market.unit(kind)
            if parse_unit(kind, unit) is None:
                return error, {"entity": options[kind], "unit": unit or "?"}
        if market.has_hashprice and not market.one_currency:
            price, hashprice = market.price.currency, market.hashprice.currency
            return "currencies_differ", {"price": price, "hashprice": hashprice}
        return None

    @property
    def _own_ceiling(self) -> float | None:
        """The highest limit the miner itself has reported."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return None
        runtime: WhatsminerData = self.config_entry.runtime_data
        return runtime.coordinator.store.power_ceiling


def _plan_error(options: dict[str, Any]) -> _OptionsError | None:
    """Hours of a day of which the highest number is below the lowest."""
    least, most = options.get(CONF_HOURS_AT_LEAST), options.get(CONF_HOURS_AT_MOST)
    if least is None or most is None or least <= most:
        return None
    return "hours_impossible", {"least": f"{least:g}", "most": f"{most:g}"}


def _limits_error(options: dict[str, Any]) -> _OptionsError | None:
    """Price limits that contradict each other."""
    rule = Rule.of(options)
    if rule is None or rule.is_possible:
        return None
    return "limits_impossible", {"stop_above": f"{rule.stop_above:g}"}

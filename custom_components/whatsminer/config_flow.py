"""Config flow: find the miner, prove the password, and say of each failure what to do."""

import logging
from typing import Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, UnitOfPower
from homeassistant.core import callback
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from .api import DEFAULT_PORT, MinerInfo, WhatsminerError, WriteRefusedError, connect
from .const import CONF_POWER_LIMIT_MAX, CONF_POWER_LIMIT_MIN, DOMAIN
from .entity import device_name
from .errors import placeholders, translation_key

_LOGGER = logging.getLogger(__name__)

_PORT = probatio.All(
    NumberSelector(NumberSelectorConfig(min=1, max=65535, mode=NumberSelectorMode.BOX)),
    probatio.Coerce(int),
)
_WATTS = probatio.All(
    NumberSelector(
        NumberSelectorConfig(
            min=1,
            max=99_999,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfPower.WATT,
        )
    ),
    probatio.Coerce(int),
)

USER_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_HOST): str,
        probatio.Required(CONF_PORT, default=DEFAULT_PORT): _PORT,
        probatio.Optional(CONF_PASSWORD): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
        ),
    }
)

OPTIONS_SCHEMA = probatio.Schema(
    {
        probatio.Optional(CONF_POWER_LIMIT_MIN): _WATTS,
        probatio.Optional(CONF_POWER_LIMIT_MAX): _WATTS,
    }
)


class WhatsminerConfigFlow(ConfigFlow, domain=DOMAIN):
    """Handle the config flow of one miner."""

    VERSION = 1

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Hand out the options flow."""
        return WhatsminerOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the address and, to command the miner, for its admin password."""
        errors: dict[str, str] = {}
        description = {"host": ""}
        if user_input is not None:
            data = {**user_input, CONF_HOST: user_input[CONF_HOST].strip()}
            info, errors, named = await self._async_identify(data)
            description |= named
            if info is not None and info.mac is not None and not errors:
                mac = format_mac(info.mac)
                await self.async_set_unique_id(mac)
                self._abort_if_unique_id_configured()
                return self.async_create_entry(title=device_name(info, mac), data=data)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(USER_SCHEMA, user_input),
            errors=errors,
            description_placeholders=description,
        )

    async def _async_identify(
        self, data: dict[str, Any]
    ) -> tuple[MinerInfo | None, dict[str, str], dict[str, str]]:
        """Connect and prove the password; give back who it is, or what is wrong and where."""
        host = data[CONF_HOST]
        info: MinerInfo | None = None
        try:
            miner = await connect(
                host, data[CONF_PORT], password=data.get(CONF_PASSWORD)
            )
            info = miner.info
            if miner.has_password:
                await miner.check_write_access()
        except WriteRefusedError as err:
            return info, {CONF_PASSWORD: translation_key(err)}, placeholders(err, host)
        except WhatsminerError as err:
            return info, {"base": translation_key(err)}, placeholders(err, host)
        except Exception:
            _LOGGER.exception("Unexpected error while looking for a miner")
            return info, {"base": "unknown"}, {"host": host}
        if info.mac is None:
            return info, {"base": "btminer_down"}, {"host": host}
        return info, {}, {"host": host}


class WhatsminerOptionsFlow(OptionsFlowWithReload):
    """Handle the options: other bounds for the power limit than the miner's own."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the bounds; what is left empty is the miner's own."""
        errors: dict[str, str] = {}
        if user_input is not None:
            lowest = user_input.get(CONF_POWER_LIMIT_MIN)
            highest = user_input.get(CONF_POWER_LIMIT_MAX)
            if lowest is None or highest is None or lowest < highest:
                return self.async_create_entry(data=user_input)
            errors[CONF_POWER_LIMIT_MAX] = "max_below_min"
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                OPTIONS_SCHEMA,
                self.config_entry.options if user_input is None else user_input,
            ),
            errors=errors,
        )

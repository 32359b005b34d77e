"""Repairs: the *write access* flow, which finds the cause and checks the miner again."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant
import probatio

from .api import DEFAULT_ACCOUNT, WhatsminerError
from .config_flow import ACCOUNT, PASSWORD
from .const import CONF_ACCOUNT, CONF_V3_PASSWORD
from .coordinator import async_connect
from .exceptions import markdown_placeholders
from .runtime import WhatsminerConfigEntry

_STEPS = {
    "account_refused": "account_refused",
    "command_refused": "firmware_refuses",
    "token_rejected": "token_table_full",
    "token_table_full": "token_table_full",
    "unsupported_command": "firmware_refuses",
    "write_api_disabled": "write_api_disabled",
    "wrong_password": "wrong_password",
}
"""The step that each error leads to; all others mean that the miner is unreachable."""
_SCHEMAS = {
    "wrong_password": probatio.Schema({probatio.Required(CONF_PASSWORD): PASSWORD}),
    "account_refused": probatio.Schema(
        {
            probatio.Required(CONF_ACCOUNT, default=DEFAULT_ACCOUNT): ACCOUNT,
            probatio.Required(CONF_V3_PASSWORD): PASSWORD,
        }
    ),
}


class WriteAccessFlow(RepairsFlow):
    """Examine, say what to do, and examine again until the miner takes commands."""

    def __init__(self, entry: WhatsminerConfigEntry) -> None:
        """Remember whose miner it is."""
        self._entry = entry
        self._found: str | None = None

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Examine the miner."""
        if self._entry.state is not ConfigEntryState.LOADED:
            return self._form("unreachable", {"host": self._entry.data[CONF_HOST]})
        data = self._entry.runtime_data
        try:
            await data.commander.write_access.async_examine()
        except WhatsminerError as err:
            return self._show_cause(err, data.coordinator.host)
        return self.async_create_entry(data={})

    async def async_step_again(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Check again, with the entered password if the miner accepts it."""
        if not user_input:
            return await self.async_step_init()
        data = {**self._entry.data, **user_input}
        try:
            miner = await async_connect(data, self._entry.unique_id)
            try:
                await miner.check_write_access()
            finally:
                await miner.close()
        except WhatsminerError as err:
            return self._show_cause(err, data[CONF_HOST])
        self.hass.config_entries.async_update_entry(self._entry, data=data)
        await self.hass.config_entries.async_reload(self._entry.entry_id)
        return await self.async_step_init()

    async_step_account_refused = async_step_again
    async_step_firmware_refuses = async_step_again
    async_step_token_table_full = async_step_again
    async_step_unreachable = async_step_again
    async_step_write_api_disabled = async_step_again
    async_step_wrong_password = async_step_again

    def _show_cause(self, error: WhatsminerError, host: str) -> RepairsFlowResult:
        """Continue with the step for the cause."""
        step = _STEPS.get(error.key, "unreachable")
        return self._form(step, markdown_placeholders(error, host))

    def _form(self, step_id: str, named: dict[str, str]) -> RepairsFlowResult:
        """Say what the cause is and what to do, and when it is the same as the last time."""
        errors = {"base": "unchanged"} if step_id == self._found else {}
        self._found = step_id
        return self.async_show_form(
            step_id=step_id,
            data_schema=_SCHEMAS.get(step_id, probatio.Schema({})),
            errors=errors,
            description_placeholders={"name": self._entry.title, **named},
        )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Create the flow for the one issue that can be fixed here."""
    assert data
    entry = hass.config_entries.async_get_known_entry(str(data["entry_id"]))
    return WriteAccessFlow(entry)

"""Whether the miner takes commands: what its refusals say, and what the owner can do about it."""

import asyncio

from homeassistant.const import CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .api import (
    DEFAULT_ACCOUNT,
    AccountRefusedError,
    MinerState,
    NoPasswordError,
    TokenTableFullError,
    WhatsminerError,
    WriteApiDisabledError,
    WriteRefusedError,
    WrongPasswordError,
)
from .const import CONF_ACCOUNT, CONF_V3_PASSWORD, LOGGER, SLOW_EVERY
from .coordinator import WhatsminerCoordinator
from .exceptions import markdown_placeholders
from .issues import delete_issues, report_issue

ISSUE = "write_access"


class WriteAccess:
    """The right to command one miner."""

    def __init__(self, coordinator: WhatsminerCoordinator) -> None:
        """Prepare; `start` checks the access, and follows it."""
        self._coordinator = coordinator
        self._entry = coordinator.config_entry
        self.is_given: bool | None = None
        """True after the miner took a command, False after it refused one, None before."""
        self._api_switch: bool | None = None
        self._is_switch_off = False
        self._unchecked = False
        self._since_check = 0

    async def async_start(self, budget: float | None) -> None:
        """Check the access within so many seconds, else after the next poll that is answered."""
        if not self._coordinator.last_update_success:
            self._unchecked = True
        else:
            self._api_switch = self._coordinator.data.info.api_switch
            try:
                async with asyncio.timeout(budget):
                    await self.async_check()
            except TimeoutError:
                self._unchecked = True
        self._coordinator.add_observer(self._observe)

    @callback
    def _observe(self, state: MinerState) -> None:
        """Check again once the miner is back, and when its API switch was or may be changed."""
        before, self._api_switch = self._api_switch, state.info.api_switch
        changed = before is not None and before is not state.info.api_switch
        self._since_check += 1
        hidden = self._is_switch_off and state.info.api_switch is None
        if self._unchecked or changed or (hidden and self._since_check >= SLOW_EVERY):
            self._unchecked = False
            self._coordinator.start_task(self.async_check(), "write access")

    async def async_check(self) -> None:
        """Find out whether writes are accepted, by commands that change nothing on the miner.

        On 4028 that is a token, a `status` in the envelope, and LEDs set to automatic that are so.
        """
        self._since_check = 0
        data, miner = self._entry.data, self._coordinator.miner
        if (
            miner.info.has_accounts
            and CONF_PASSWORD in data
            and CONF_ACCOUNT not in data
        ):
            # The firmware was updated since the entry was made, and has other accounts now.
            self._entry.async_start_reauth(self._coordinator.hass)
        if not miner.has_password:
            self.is_given = False
            self._delete_issue()
            if CONF_V3_PASSWORD in data:
                # The reverse: an account of API 3 has no use on older firmware.
                self._entry.async_start_reauth(self._coordinator.hass)
            return
        try:
            await self.async_examine()
        except TokenTableFullError:
            LOGGER.debug("%s: no free token, access unknown", self._coordinator.name)
        except WhatsminerError as err:
            self.note_refusal(err)
            self._coordinator.async_update_listeners()

    async def async_examine(self) -> None:
        """Send the harmless commands; raises the reason why the miner refuses them."""
        if await self._coordinator.miner.check_write_access():
            self.note_success()
        else:
            self._delete_issue()
        self._coordinator.async_update_listeners()

    @callback
    def note_success(self) -> None:
        """The miner took a command: the access is given, and the issue is solved."""
        self.is_given = True
        self._is_switch_off = False
        self._delete_issue()

    @callback
    def note_refusal(self, error: WhatsminerError) -> None:
        """Start a reauth flow or create the repair issue, where all writes are refused."""
        if not isinstance(error, WriteRefusedError):
            return
        if not isinstance(error, TokenTableFullError):
            self.is_given = False
        self._is_switch_off = isinstance(error, WriteApiDisabledError)
        if isinstance(error, WrongPasswordError) or (
            isinstance(error, AccountRefusedError) and error.account == DEFAULT_ACCOUNT
        ):
            self._entry.async_start_reauth(self._coordinator.hass)
        if not isinstance(error, NoPasswordError):
            report_issue(
                self._coordinator.hass,
                self._entry,
                ISSUE,
                is_fixable=True,
                severity=ir.IssueSeverity.ERROR,
                **markdown_placeholders(error, self._coordinator.host),
            )

    def _delete_issue(self) -> None:
        delete_issues(self._coordinator.hass, self._entry, ISSUE)

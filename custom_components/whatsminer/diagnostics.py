"""Diagnostics: all that is known, without what is private."""

from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant

from .coordinator import WhatsminerConfigEntry

# Names of fields in the entry and in the models of the client.
TO_REDACT = {
    CONF_HOST,
    CONF_PASSWORD,
    "hostname",
    "mac",
    "serial",
    "title",
    "unique_id",
    "url",
    "user",
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: WhatsminerConfigEntry
) -> dict[str, Any]:
    """Give back entry, last state, and what failed in the last poll."""
    coordinator = entry.runtime_data
    state = asdict(coordinator.data)
    failed = state.pop("failed")
    data = {
        "entry": {"data": dict(entry.data), "options": dict(entry.options)},
        "last_update_success": coordinator.last_update_success,
        "last_error": _name(coordinator.last_exception),
        "write_access": coordinator.write_access,
        "power_ceiling": coordinator.memory.power_ceiling,
        "state": state,
        "failed": {section: _name(error) for section, error in failed.items()},
    }
    return async_redact_data(data, TO_REDACT)


def _name(error: BaseException | None) -> str | None:
    """The kind of an error; its text may name an address."""
    return type(error).__name__ if error else None

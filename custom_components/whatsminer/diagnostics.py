"""Diagnostics: all that is known, without what is private."""

from dataclasses import asdict, replace
from typing import Any, cast

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads_object

from .const import CONF_V3_PASSWORD
from .group.entry import is_group
from .group.events import as_csv
from .group.runtime import GroupConfigEntry
from .runtime import WhatsminerConfigEntry

# Names of fields in the entry and in the models of the client.
TO_REDACT = {
    CONF_HOST,
    CONF_PASSWORD,
    CONF_V3_PASSWORD,
    "custom",
    "error",  # a sentence that names the address; its kind is in `failed`
    "hostname",
    "log_server",
    "mac",
    "network",
    "ntp_servers",
    "serial",
    "title",
    "unique_id",
    "url",
    "user",
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: WhatsminerConfigEntry | GroupConfigEntry
) -> dict[str, Any]:
    """Return entry, last state, and the errors of the last poll; of a group, its options and sums."""
    if is_group(entry):
        group = cast(GroupConfigEntry, entry).runtime_data
        return {
            "options": dict(entry.options),
            "totals": group.totals._asdict(),
            "heat": group.store.heat,
            "events": [event.stored() for event in group.store.events],
            "events_csv": as_csv(group.store.events),
        }
    entry = cast(WhatsminerConfigEntry, entry)
    coordinator = entry.runtime_data.coordinator
    failed = coordinator.data.failed
    state = asdict(replace(coordinator.data, failed={}))
    for features in ("features", "unreadable"):
        state["info"][features] = sorted(state["info"][features])
    data = {
        "entry": {"data": dict(entry.data), "options": dict(entry.options)},
        "last_update_success": coordinator.last_update_success,
        "last_error": _name(coordinator.last_exception),
        "write_access": entry.runtime_data.commander.write_access.is_given,
        "power_ceiling": coordinator.store.power_ceiling,
        "curtailment": coordinator.store.curtailment,
        "heat": coordinator.store.heat,
        "profile": coordinator.store.profile,
        "curve": entry.runtime_data.learning.curve,
        "plan": {
            "status": entry.runtime_data.planner.status,
            **entry.runtime_data.planner.attributes,
        },
        "state": state,
        "failed": {section: _name(error) for section, error in failed.items()},
    }
    # As JSON first: the redaction looks into lists, and not into tuples.
    return async_redact_data(json_loads_object(json_bytes(data)), TO_REDACT)


def _name(error: BaseException | None) -> str | None:
    """The kind of an error; its text may name an address."""
    return type(error).__name__ if error else None

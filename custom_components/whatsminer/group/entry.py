"""The config entries of miners and groups, and what a group's options say."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant, callback

from ..const import DOMAIN
from ..runtime import WhatsminerConfigEntry

CONF_KIND: Final = "kind"
GROUP: Final = "group"

CONF_MEMBERS: Final = "members"
CONF_FIRST: Final = "first"
CONF_EXCLUDED: Final = "excluded"
CONF_HOLD: Final = "hold"
CONF_METER: Final = "meter"
CONF_EXPORT_METER: Final = "export_meter"
CONF_INVERTED: Final = "inverted"
CONF_LIMIT: Final = "limit"
CONF_BREAKER: Final = "breaker"
CONF_SET_POINT: Final = "set_point"
CONF_BATTERY: Final = "battery"
CONF_BATTERY_FIRST: Final = "battery_first"
CONF_CHARGER: Final = "charger"
CONF_INTERVAL: Final = "interval"
CONF_GENTLE: Final = "gentle"
CONF_STAY: Final = "stay"

METERS: Final = (CONF_METER, CONF_EXPORT_METER)


def is_group(entry: ConfigEntry[Any]) -> bool:
    """Return whether an entry is a group, and not a miner."""
    return entry.data.get(CONF_KIND) == GROUP


@callback
def miner_entries(hass: HomeAssistant) -> list[WhatsminerConfigEntry]:
    """Return the entries of all miners, disabled ones included."""
    return [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if CONF_HOST in entry.data
    ]


@callback
def group_entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries of all groups, disabled ones included."""
    return [e for e in hass.config_entries.async_entries(DOMAIN) if is_group(e)]


@callback
def group_of(hass: HomeAssistant, entry_id: str) -> ConfigEntry[Any] | None:
    """Return the group that a miner is in."""
    return next(
        (
            group
            for group in group_entries(hass)
            if entry_id in group.options.get(CONF_MEMBERS, ())
        ),
        None,
    )


@callback
def member_entries(
    hass: HomeAssistant, group: ConfigEntry[Any]
) -> list[WhatsminerConfigEntry]:
    """Return the miners of a group that still exist, in the order of its options."""
    found = map(
        hass.config_entries.async_get_entry, group.options.get(CONF_MEMBERS, ())
    )
    return [entry for entry in found if entry]


def names_of(entries: Iterable[WhatsminerConfigEntry]) -> dict[str, str]:
    """Return the names of miners by entry id; where two have the same, with the MAC."""
    known = list(entries)
    titles = Counter(entry.title for entry in known)
    return {
        entry.entry_id: entry.title
        if titles[entry.title] == 1
        else f"{entry.title} {entry.unique_id}"
        for entry in known
    }


@callback
def is_controlled(hass: HomeAssistant, entry_id: str) -> bool:
    """Return whether a miner is in a group that may control it; a disabled group does not."""
    group = group_of(hass, entry_id)
    if group is None or group.disabled_by:
        return False
    return entry_id not in group.options.get(CONF_EXCLUDED, ())


@callback
def forget_member(hass: HomeAssistant, entry_id: str) -> None:
    """Remove a miner that no longer exists from all groups."""
    for group in group_entries(hass):
        options = {
            key: [item for item in value if item != entry_id]
            if key in (CONF_MEMBERS, CONF_FIRST, CONF_EXCLUDED)
            else value
            for key, value in group.options.items()
        }
        hass.config_entries.async_update_entry(group, options=options)


def meters(options: Mapping[str, Any]) -> list[str]:
    """Return the entity ids of the meters that a group follows."""
    return [options[key] for key in METERS if options.get(key)]

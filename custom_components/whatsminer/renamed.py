"""Entities that the options name, and whose entity IDs the user changes."""

from functools import partial

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN


@callback
def follow_renamed_entities(hass: HomeAssistant) -> None:
    """Keep the entity IDs in the options of all miners and groups correct."""
    hass.bus.async_listen(
        er.EVENT_ENTITY_REGISTRY_UPDATED, partial(_on_update, hass), _is_renaming
    )


@callback
def _is_renaming(data: er.EventEntityRegistryUpdatedData) -> bool:
    return data["action"] == "update" and "old_entity_id" in data


@callback
def _on_update(
    hass: HomeAssistant, event: Event[er.EventEntityRegistryUpdatedData]
) -> None:
    """Replace an entity ID in all options, and reload the entries that use it."""
    data = event.data
    if data["action"] != "update":
        return
    old, new = data["old_entity_id"], data["entity_id"]

    def renamed(value: object) -> object:
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return new if value == old else value

    for entry in hass.config_entries.async_entries(DOMAIN):
        options = {key: renamed(value) for key, value in entry.options.items()}
        changed = hass.config_entries.async_update_entry(entry, options=options)
        if changed and entry.state is ConfigEntryState.LOADED:
            hass.config_entries.async_schedule_reload(entry.entry_id)

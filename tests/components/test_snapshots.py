"""Snapshots: what the entities of one miner of each dialect are, and their first states."""

import json

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

MOMENTS = {SensorDeviceClass.TIMESTAMP, SensorDeviceClass.UPTIME}


def line(hass: HomeAssistant, entity: er.RegistryEntry) -> str:
    """Return what the registry has of an entity, and its state; moments are left out."""
    state = hass.states.get(entity.entity_id)
    shown = state.state if state else "(disabled)"
    if state and entity.original_device_class in MOMENTS and shown != STATE_UNKNOWN:
        shown = "(a moment)"
    facts = (
        entity.entity_id,
        entity.original_name,
        entity.original_device_class,
        entity.entity_category,
        entity.capabilities and json.dumps(entity.capabilities, sort_keys=True),
        shown,
        entity.unit_of_measurement,
    )
    return " | ".join(fact or "-" for fact in facts)


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s", "v3_m7bs"])
@pytest.mark.usefixtures("coordinator")
async def test_every_entity(
    hass: HomeAssistant, entry: MockConfigEntry, snapshot: SnapshotAssertion
) -> None:
    """A changed id, name, unit or class would break automations, statistics and dashboards."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert sorted(line(hass, entity) for entity in entities) == snapshot

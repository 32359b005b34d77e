"""A user changes the entity ID of an entity that the options name."""

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import (
    CONF_FORECAST,
    CONF_PRICE_SENSOR,
    CONF_THERMOSTAT_CALL,
    DOMAIN,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.group.entry import (
    CONF_KIND,
    CONF_MEMBERS,
    CONF_METER,
    GROUP,
)

OLD, NEW, OTHER = "sensor.old", "sensor.new", "sensor.other"
EUROS = {"unit_of_measurement": "EUR/kWh"}


@pytest.fixture
def registry(hass: HomeAssistant) -> er.EntityRegistry:
    """Return the entity registry with the entity."""
    found = er.async_get(hass)
    found.async_get_or_create("sensor", "test", "1", suggested_object_id="old")
    return found


async def test_a_miner_follows_a_renamed_price(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    registry: er.EntityRegistry,
) -> None:
    """The cost would be unknown after a user has renamed the price sensor."""
    options = {CONF_PRICE_SENSOR: OLD, CONF_FORECAST: [OTHER, OLD]}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.config_entries.async_reload(entry.entry_id)
    registry.async_update_entity(OLD, new_entity_id=NEW)
    hass.states.async_set(NEW, "0.3", EUROS)
    await hass.async_block_till_done()
    assert entry.options == {CONF_PRICE_SENSOR: NEW, CONF_FORECAST: [OTHER, NEW]}
    price = entry.runtime_data.planner.market.price
    assert (price.amount, price.currency) == (0.3, "EUR")


async def test_another_change_does_not_reload(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    registry: er.EntityRegistry,
) -> None:
    """A miner would be connected again whenever anything in the home gets another name."""
    data = entry.runtime_data
    hass.config_entries.async_update_entry(entry, options={CONF_PRICE_SENSOR: OTHER})
    registry.async_update_entity(OLD, new_entity_id=NEW)
    registry.async_update_entity(NEW, name="Price")
    await hass.async_block_till_done()
    assert entry.options == {CONF_PRICE_SENSOR: OTHER}
    assert entry.runtime_data is data


async def test_entries_that_are_not_loaded(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    registry: er.EntityRegistry,
) -> None:
    """A disabled miner or group would lose its sensor for ever."""
    miner, group = (
        MockConfigEntry(
            domain=DOMAIN,
            options=options,
            data=data,
            disabled_by=ConfigEntryDisabler.USER,
        )
        for options, data in (
            ({CONF_THERMOSTAT_CALL: OLD}, {"host": "miner"}),
            ({CONF_METER: OLD, CONF_MEMBERS: []}, {CONF_KIND: GROUP}),
        )
    )
    miner.add_to_hass(hass)
    group.add_to_hass(hass)
    registry.async_update_entity(OLD, new_entity_id=NEW)
    await hass.async_block_till_done()
    assert miner.options == {CONF_THERMOSTAT_CALL: NEW}
    assert group.options == {CONF_METER: NEW, CONF_MEMBERS: []}

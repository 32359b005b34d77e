"""Home Assistant's HomeKit bridge makes an accessory of the thermostat."""

import asyncio
from collections.abc import AsyncGenerator
import logging
from typing import Any
from unittest.mock import patch

from homeassistant.components.homekit.accessories import HomeDriver, get_accessory
from homeassistant.components.homekit.iidmanager import AccessoryIIDStorage
from homeassistant.core import HomeAssistant
import pytest

from tests.blueprints.conftest import World

from .conftest import SENSOR, Thermostat

OFF, HEAT = 0, 1


@pytest.fixture
async def driver(hass: HomeAssistant) -> AsyncGenerator[HomeDriver]:
    """Return the driver of a bridge that opens no port."""
    kit = "pyhap.accessory_driver"
    storage = AccessoryIIDStorage(hass, "")
    await storage.async_initialize()
    with (
        patch(f"{kit}.AsyncZeroconf"),
        patch(f"{kit}.AccessoryEncoder"),
        patch(f"{kit}.HAPServer"),
        patch(f"{kit}.AccessoryDriver.publish"),
        patch(f"{kit}.AccessoryDriver.persist"),
    ):
        yield HomeDriver(
            hass,
            pincode=b"123-45-678",
            entry_id="",
            entry_title="Bridge",
            bridge_name="Bridge",
            iid_storage=storage,
            address="127.0.0.1",
            loop=asyncio.get_running_loop(),
        )


async def test_homekit(
    world: World,
    thermostat: Thermostat,
    driver: HomeDriver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The Home app would show no thermostat, or one that does nothing."""
    state = world.hass.states.get(thermostat.entity_id)
    assert state
    accessory: Any = get_accessory(world.hass, driver, state, 2, {})
    assert type(accessory).__name__ == "Thermostat"
    accessory.run()
    service = accessory.get_service("Thermostat")

    def shown() -> dict[str, Any]:
        """Return what the Home app shows."""
        return {
            char.display_name: char.value
            for char in service.characteristics
            if char.display_name != "Name"
        }

    async def choose(**values: Any) -> None:
        """Set values as the Home app does."""
        service.setter_callback(values)
        await world.settle()

    assert shown() == {
        "CurrentHeatingCoolingState": OFF,
        "TargetHeatingCoolingState": OFF,
        "CurrentTemperature": 19.0,
        "TargetTemperature": 21.0,
        "TemperatureDisplayUnits": 0,
    }
    modes = service.get_characteristic("TargetHeatingCoolingState")
    assert set(modes.properties["ValidValues"].values()) == {OFF, HEAT}
    bounds = service.get_characteristic("TargetTemperature").properties
    assert (bounds["minValue"], bounds["maxValue"]) == (5.0, 26.0)

    await choose(TargetHeatingCoolingState=HEAT, TargetTemperature=22.5)
    assert thermostat.mode == "heat"
    assert thermostat.attributes["temperature"] == 22.5
    assert world.runs
    assert shown()["TargetTemperature"] == 22.5
    assert shown()["CurrentHeatingCoolingState"] == HEAT

    world.surroundings = lambda: None
    await world.set(SENSOR, 25.5, unit_of_measurement="°C")
    await world.let_pass(minutes=2)
    assert shown()["CurrentTemperature"] == 25.5
    await choose(TargetHeatingCoolingState=OFF)
    assert (thermostat.mode, world.runs) == ("off", False)
    assert shown()["CurrentHeatingCoolingState"] == OFF
    assert shown()["TargetHeatingCoolingState"] == OFF
    assert not [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        and ("homekit" in record.name or "pyhap" in record.name)
    ]

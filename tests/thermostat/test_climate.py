"""The climate entity: what a card, a voice or an automation sets, and what it shows."""

import asyncio

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.whatsminer.const import DOMAIN
from tests.blueprints.conftest import World

from .conftest import SENSOR, Room, Thermostat


async def test_it_heats(
    world: World,
    room: Room,
    thermostat: Thermostat,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A user who names a sensor and turns it on would get no heat, or no end of it."""
    assert thermostat.mode == "off"
    assert thermostat.status == "off"
    before = {
        "current_temperature": 19.0,
        "hvac_action": "off",
        "hvac_modes": ["off", "heat"],
        "min_temp": 5.0,
        "max_temp": 26.0,
        "target_temp_step": 0.5,
        "preset_modes": ["none", "comfort", "eco", "boost", "away"],
        "preset_mode": "none",
        "temperature": 21.0,
    }
    assert before.items() <= thermostat.attributes.items()
    decisions = async_capture_events(world.hass, "whatsminer_power_decision")
    await thermostat.heat(20)
    assert thermostat.mode == "heat"
    assert thermostat.attributes["hvac_action"] == "heating"
    assert world.state("select", "power_source") == "thermostat"
    await world.let_pass(hours=1)
    assert world.state("sensor", "power_decided_by") == "thermostat"
    assert thermostat.status == "heating"
    assert room.degrees == pytest.approx(20, abs=0.5)
    assert world.done("set_power_pct_v2") > 2
    assert world.done("power_off", "power_on", "adjust_power_limit") == 0
    await thermostat.call("set_temperature", temperature=15)
    await world.let_pass(minutes=5)
    assert thermostat.status == "idle"
    assert thermostat.attributes["hvac_action"] == "idle"
    assert not world.runs
    # The logbook has a line for the start and the stop, and none for each percent.
    assert [(event.data["decided_by"], event.data["why"]) for event in decisions] == [
        ("thermostat", "heating"),
        ("thermostat", "idle"),
    ]
    deprecated = [
        record.getMessage()
        for record in caplog.records
        if "deprecated" in record.getMessage() and DOMAIN in record.getMessage()
    ]
    assert not deprecated


async def test_presets(world: World, thermostat: Thermostat) -> None:
    """An automation that sets *eco* for the night would lose the temperature of the day."""
    await thermostat.call("set_temperature", temperature=20.5)
    for preset, target in (
        ("eco", 18),
        ("boost", 23),
        ("away", 12),
        ("comfort", 21),
        ("none", 20.5),
    ):
        await thermostat.call("set_preset_mode", preset_mode=preset)
        assert thermostat.attributes["preset_mode"] == preset
        assert thermostat.attributes["temperature"] == target
    await thermostat.call("set_preset_mode", preset_mode="eco")
    await thermostat.call("set_temperature", temperature=19)
    assert thermostat.attributes["preset_mode"] == "none"
    with pytest.raises(ServiceValidationError):
        await thermostat.call("set_temperature", temperature=27)
    await thermostat.call("set_temperature", temperature=22, hvac_mode="heat")
    assert (thermostat.mode, thermostat.attributes["temperature"]) == ("heat", 22)


@pytest.mark.parametrize(
    "options",
    [
        {
            "thermostat_kind": "tank",
            "thermostat_max": 50,
            "thermostat_step": 1,
            "thermostat_eco": 35,
        }
    ],
)
async def test_options_count(world: World, thermostat: Thermostat) -> None:
    """A tank would be held like a room, at the temperatures of a room."""
    shown = {"min_temp": 20, "max_temp": 50, "target_temp_step": 1, "temperature": 45}
    assert shown.items() <= thermostat.attributes.items()
    await thermostat.call("set_preset_mode", preset_mode="eco")
    assert thermostat.attributes["temperature"] == 35
    await thermostat.call("set_preset_mode", preset_mode="boost")
    assert thermostat.attributes["temperature"] == 50


async def test_survives_a_restart(world: World, thermostat: Thermostat) -> None:
    """After an update of Home Assistant the house would be cold, or as warm as never wished."""
    await thermostat.heat(18.5)
    await thermostat.call("set_preset_mode", preset_mode="away")
    await world.let_pass(minutes=62)
    assert not world.runs
    await world.restart(minutes=5)
    assert thermostat.mode == "heat"
    assert thermostat.attributes["preset_mode"] == "away"
    assert thermostat.attributes["temperature"] == 12
    assert not world.runs
    await thermostat.call("set_preset_mode", preset_mode="none")
    assert thermostat.attributes["temperature"] == 18.5
    await thermostat.call("turn_off")
    await world.restart(minutes=5)
    assert thermostat.mode == "off"
    assert not world.runs


async def test_the_user_counts_more(world: World, thermostat: Thermostat) -> None:
    """A miner that a person stops would start again, and one started by hand would stop."""
    world.step = 300
    mining = {"entity_id": world.entity("switch", "mining")}
    await thermostat.heat(22)
    await world.hass.services.async_call("switch", "turn_off", mining, blocking=True)
    await world.let_pass(minutes=45)
    assert not world.runs
    assert thermostat.mode == "off"
    await thermostat.call("turn_on")
    assert thermostat.mode == "heat"
    assert world.runs
    await thermostat.call("set_hvac_mode", hvac_mode="off")
    assert not world.runs
    assert thermostat.status == "off"
    await world.hass.services.async_call("switch", "turn_on", mining, blocking=True)
    await world.let_pass(minutes=5)
    assert world.runs
    assert world.state("select", "power_source") == "manual"
    assert thermostat.mode == "off"
    source = {"entity_id": world.entity("select", "power_source")}
    await world.hass.services.async_call(
        "select", "select_option", {**source, "option": "thermostat"}, blocking=True
    )
    await world.let_pass(minutes=1)
    assert thermostat.mode == "heat"
    assert world.runs


async def test_it_leaves_with_the_sensor(world: World, thermostat: Thermostat) -> None:
    """A thermostat without a sensor would stay as a dead card."""
    world.step = 300
    await thermostat.heat(12)
    await world.let_pass(minutes=65)
    assert not world.runs
    registry = er.async_get(world.hass)
    left = thermostat.entity_id, world.entity("sensor", "heating_status")
    await world.options()
    assert not [entity for entity in left if registry.async_get(entity)]
    await world.let_pass(minutes=2)
    # Without the thermostat the miner is where the user left it.
    assert world.runs


async def test_it_leaves_while_it_stops_the_miner(
    world: World, thermostat: Thermostat
) -> None:
    """A miner that is just being stopped would stay off, as if its user had switched it off."""
    await thermostat.heat(22)
    off = {"entity_id": thermostat.entity_id, "hvac_mode": "off"}
    stopping = world.hass.async_create_task(
        world.hass.services.async_call("climate", "set_hvac_mode", off, blocking=True)
    )
    while not world.done("power_off"):
        await asyncio.sleep(0.001)
    assert world.runs  # it takes a second to stop
    await world.options()
    with pytest.raises(HomeAssistantError):
        await stopping
    await world.let_pass(minutes=10)
    assert world.state("sensor", "power_decided_by") == "baseline"
    assert world.runs


async def test_the_sensor_may_show_fahrenheit(
    world: World, thermostat: Thermostat
) -> None:
    """A sensor with 68 °F would be taken for one at 68 °C."""
    world.surroundings = lambda: None
    await world.set(SENSOR, 68, unit_of_measurement="°F")
    await world.let_pass(minutes=1)
    assert thermostat.attributes["current_temperature"] == 20


async def test_it_follows_a_renamed_sensor(
    world: World, thermostat: Thermostat
) -> None:
    """The miner would stop an hour after a user has renamed the sensor."""
    await thermostat.heat(22)
    registry = er.async_get(world.hass)
    world.surroundings = lambda: None
    world.hass.states.async_remove(SENSOR)
    registry.async_get_or_create("sensor", "test", "1", suggested_object_id="room")
    registry.async_update_entity(SENSOR, new_entity_id="sensor.hall")
    await world.set("sensor.hall", 17.5, unit_of_measurement="°C")
    await world.let_pass(minutes=5)
    assert thermostat.attributes["current_temperature"] == 17.5
    assert (thermostat.mode, thermostat.status) == ("heat", "full_power")


@pytest.mark.parametrize("before", ["manual", "thermostat"])
async def test_options_do_not_take_over_the_power(
    world: World, thermostat: Thermostat, before: str
) -> None:
    """A miner that mines without a thermostat would stop when its sensor is chosen again."""
    world.step = 300
    await thermostat.heat(12)
    if before == "manual":
        source = {"entity_id": world.entity("select", "power_source")}
        await world.hass.services.async_call(
            "select", "select_option", {**source, "option": before}, blocking=True
        )
    await world.let_pass(minutes=65)
    assert world.runs is (before == "manual")
    await world.options()
    await world.let_pass(minutes=2)
    assert world.runs
    await world.options(thermostat_sensor=SENSOR)
    await world.let_pass(minutes=65)
    assert world.runs
    assert world.state("select", "power_source") == "manual"
    assert thermostat.mode == "off"
    await thermostat.call("turn_on")
    await world.let_pass(minutes=5)
    assert thermostat.status == "idle"
    assert not world.runs

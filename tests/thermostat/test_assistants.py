"""The thermostat card, a voice and HomeKit find what they need."""

from homeassistant.components.climate import ClimateEntityFeature
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import area_registry as ar, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from tests.blueprints.conftest import World

from .conftest import Room, Thermostat


@pytest.fixture
async def assist(hass: HomeAssistant, thermostat: Thermostat) -> None:
    """Set up the default agent; the thermostat has a name and an area."""
    for component in ("homeassistant", "conversation"):
        assert await async_setup_component(hass, component, {})
    area = ar.async_get(hass).async_create("Workshop")
    er.async_get(hass).async_update_entity(
        thermostat.entity_id, area_id=area.id, name="Workshop heater"
    )
    await hass.async_block_till_done()


async def say(hass: HomeAssistant, text: str) -> str:
    """Say a sentence to the default agent; return its answer."""
    from homeassistant.components.conversation import async_converse  # noqa: PLC0415

    result = await async_converse(hass, text, None, Context(), language="en")
    speech = result.response.speech["plain"]["speech"]
    assert result.response.error_code is None, speech
    return str(speech)


@pytest.mark.usefixtures("assist")
async def test_voice(
    world: World, hass: HomeAssistant, thermostat: Thermostat, room: Room
) -> None:
    """A user who asks for 19 degrees in the workshop would not be understood."""
    assert "19" in await say(hass, "what is the temperature in the workshop")
    await say(hass, "set the temperature to 22 degrees in the workshop")
    assert thermostat.attributes["temperature"] == 22
    name = "workshop heater"
    await say(hass, f"set the {name} to 18 degrees")
    assert thermostat.attributes["temperature"] == 18
    await say(hass, f"turn on the {name}")
    await world.settle()
    assert thermostat.mode == "heat"
    await say(hass, f"turn off {name}")
    await world.settle()
    assert thermostat.mode == "off"


async def test_card_and_homekit(world: World, thermostat: Thermostat) -> None:
    """A card would have no dial, and HomeKit no thermostat."""
    shown = thermostat.attributes
    features = ClimateEntityFeature(shown["supported_features"])
    assert features == (
        ClimateEntityFeature.TARGET_TEMPERATURE
        | ClimateEntityFeature.PRESET_MODE
        | ClimateEntityFeature.TURN_ON
        | ClimateEntityFeature.TURN_OFF
    )
    # HomeKit knows off and heat, and shows what the miner does by these actions.
    assert set(shown["hvac_modes"]) == {"off", "heat"}
    assert shown["hvac_action"] in {"off", "heating", "idle"}
    await thermostat.heat(24)
    assert thermostat.attributes["hvac_action"] == "heating"
    numbers = ("min_temp", "max_temp", "temperature", "current_temperature")
    assert all(isinstance(shown[key], float) for key in numbers)
    assert shown["min_temp"] <= shown["temperature"] <= shown["max_temp"]
    registered = er.async_get(world.hass).async_get(thermostat.entity_id)
    assert registered
    assert registered.entity_category is None
    assert registered.hidden_by is None

"""docs/scale.md: Home Assistant accepts its snippets, and they name entities that a miner has."""

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
import re
from typing import Any

from homeassistant.components.automation.config import PLATFORM_SCHEMA as AUTOMATION
from homeassistant.components.mqtt.sensor import PLATFORM_SCHEMA_MODERN as MQTT_SENSOR
from homeassistant.components.mqtt_statestream import CONFIG_SCHEMA as STATESTREAM
from homeassistant.components.recorder import CONFIG_SCHEMA as RECORDER
from homeassistant.core import HomeAssistant
from homeassistant.util.yaml import parse_yaml
import pytest

from custom_components.whatsminer.coordinator import WhatsminerCoordinator

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
SNIPPETS: list[Any] = [
    parse_yaml(text) for text in re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
]


def parts(name: str) -> list[Any]:
    """Return the values of a key in all snippets."""
    return [snippet[name] for snippet in SNIPPETS if name in snippet]


@pytest.mark.parametrize(
    ("name", "schema"), [("recorder", RECORDER), ("mqtt_statestream", STATESTREAM)]
)
async def test_snippets_are_taken(name: str, schema: Callable[[Any], Any]) -> None:
    """Home Assistant would start without its recorder, and a hall would send no states."""
    assert parts(name)
    for part in parts(name):
        schema({name: part})


async def test_mqtt_sensors_are_taken() -> None:
    """The central Home Assistant would not show the hall."""
    sensors = [sensor for part in parts("mqtt") for sensor in part["sensor"]]
    assert sensors
    for sensor in sensors:
        MQTT_SENSOR(sensor)


async def test_automation_finds_what_is_sent(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """The central Home Assistant would not know a state that never changes."""
    [[automation]] = parts("automation")
    template = AUTOMATION(automation)["actions"][0]["repeat"]["for_each"]
    template.hass = hass
    found = template.async_render()
    assert all(entity_id.startswith("sensor.") for entity_id in found)
    for name in ("power", "hashrate", "status", "fault"):
        assert any(entity_id.endswith(f"_{name}") for entity_id in found), name


async def test_every_glob_finds_an_entity(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """A renamed entity would be missing in a user's database without any error."""
    globs = set(re.findall(r"^ +- (\w+\.\*\w*)$", PAGE, re.MULTILINE))
    assert len(globs) > 6
    ids = hass.states.async_entity_ids()
    assert {glob for glob in globs if not any(fnmatch(i, glob) for i in ids)} == set()

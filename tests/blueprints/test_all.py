"""Every blueprint: a form that a newcomer can fill in, and that works with what it must have."""

import re
from typing import Any

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.helpers.selector import selector
from probatio import Schema
import pytest

from .conftest import BLUEPRINTS, ROOT, World, blueprint

NAMES = (
    "electricity_price",
    "grid_call",
    "heating",
    "solar_surplus",
    "watchdog",
    "weekly_pause",
)
URL = "https://github.com/ha-whatsminer/ha-whatsminer/blob/main"


def flat(inputs: dict[str, Any]) -> dict[str, Any]:
    """All inputs, without their sections."""
    return {
        key: value
        for name, item in inputs.items()
        for key, value in item.get("input", {name: item}).items()
    }


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a blueprint."""
    return str(request.param)


@pytest.fixture
def inputs(name: str) -> dict[str, Any]:
    """Its inputs."""
    return flat(blueprint(name)["blueprint"]["input"])


def test_all_are_here() -> None:
    """A blueprint that no test loads may be broken by the next Home Assistant."""
    assert sorted(path.stem for path in BLUEPRINTS.glob("*")) == sorted(NAMES)


def test_form(name: str, inputs: dict[str, Any]) -> None:
    """A field without a name, a selector or a default that fits cannot be filled in."""
    data = blueprint(name)
    loaded = Blueprint(
        data, expected_domain="automation", schema=AUTOMATION_BLUEPRINT_SCHEMA
    )
    assert loaded.validate() is None
    head = data["blueprint"]
    path = BLUEPRINTS / f"{name}.yaml"
    assert head["source_url"] == f"{URL}/{path.relative_to(ROOT)}"
    assert head["homeassistant"]["min_version"] == "2026.9.4"
    assert head["description"]
    for key, item in inputs.items():
        assert item["name"], key
        assert item["selector"], key
        chosen = selector(item["selector"])
        if "default" not in item or chosen.selector_type == "action":
            continue
        if item["default"] not in ([], ""):
            Schema(chosen)(item["default"])


def test_collapsed_sections_need_nothing(name: str) -> None:
    """A field that must be filled in is not found in a section that is closed."""
    for section in blueprint(name)["blueprint"]["input"].values():
        if section.get("collapsed"):
            assert all("default" in item for item in section["input"].values())


def test_every_input_is_used(name: str, inputs: dict[str, Any]) -> None:
    """A field that does nothing is a promise that is broken."""
    text = (BLUEPRINTS / f"{name}.yaml").read_text()
    used = set(re.findall(r"!input (\w+)", text))
    assert used == set(inputs)
    for key in re.findall(r"^  (\w+): !input \1$", text, re.MULTILINE):
        rest = text.split("\nvariables:\n")[1].replace(f"  {key}: !input {key}\n", "")
        assert re.search(rf"\b{key}\b", rest), key


def test_manual_hold_and_starts(name: str, inputs: dict[str, Any]) -> None:
    """Each can be held, and looks anew at every start, reload and every few minutes."""
    assert inputs["hold"]["default"] == []
    triggers = blueprint(name)["triggers"]
    assert {"trigger": "homeassistant", "event": "start"} in triggers
    assert {"trigger": "event", "event_type": "automation_reloaded"} in triggers
    assert any(trigger["trigger"] == "time_pattern" for trigger in triggers)


def required(world: World) -> dict[str, dict[str, Any]]:
    """What must be filled in."""
    return {
        "electricity_price": {"miners": world.devices, "price": "sensor.price"},
        "grid_call": {"miners": world.devices, "signal": "input_boolean.call"},
        "heating": {"miners": world.devices, "temperature": "sensor.room"},
        "solar_surplus": {
            "power_target": world.entity("number", "power_target"),
            "grid": "sensor.grid",
        },
        "watchdog": {
            "hashrate": world.entity("sensor", "hashrate"),
            "restart_button": world.entity("button", "restart_btminer"),
            "reboot_button": world.entity("button", "reboot"),
        },
        "weekly_pause": {"miners": world.devices},
    }


async def test_required_inputs_are_enough(
    world: World,
    name: str,
    inputs: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With nothing but these it loads and runs, though no sensor has ever said a word."""
    for entity in ("sensor.price", "input_boolean.call", "sensor.room", "sensor.grid"):
        await world.set(entity, "unknown")
    filled = required(world)[name]
    assert set(filled) == {key for key in inputs if "default" not in inputs[key]}
    for key, value in filled.items():
        Schema(selector(inputs[key]["selector"]))(value)
    await world.automate(name, **filled)
    await world.let_pass(minutes=9)
    assert world.runs
    assert not world.switched
    assert not [
        record
        for record in caplog.records
        if record.levelname in ("WARNING", "ERROR")
        and not record.name.startswith("homeassistant.loader")
    ]

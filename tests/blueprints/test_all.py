"""Every blueprint: its form is easy to fill in, and it works with the required inputs only."""

import re
from typing import Any

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import selector
from probatio import Schema
import pytest

from .conftest import BLUEPRINTS, ROOT, STEP, World, blueprint, notify

NAMES = (
    "electricity_price",
    "grid_call",
    "heating",
    "watchdog",
    "weekly_pause",
)
URL = "https://github.com/ha-whatsminer/ha-whatsminer/blob/main"


def flat(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return all inputs, without their sections."""
    return {
        key: value
        for name, item in inputs.items()
        for key, value in item.get("input", {name: item}).items()
    }


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a blueprint."""
    return str(request.param)


@pytest.fixture
def inputs(name: str) -> dict[str, Any]:
    """Return its inputs."""
    return flat(blueprint(name)["blueprint"]["input"])


def test_all_are_here() -> None:
    """A blueprint without a test could break with the next Home Assistant."""
    assert sorted(path.stem for path in BLUEPRINTS.glob("*")) == sorted(NAMES)


def test_form(name: str, inputs: dict[str, Any]) -> None:
    """A user could not fill in a field without a name, a selector or a valid default."""
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
    """A user would not find a required field in a closed section."""
    for section in blueprint(name)["blueprint"]["input"].values():
        if section.get("collapsed"):
            assert all("default" in item for item in section["input"].values())


def test_every_input_is_used(name: str, inputs: dict[str, Any]) -> None:
    """A field would have no effect."""
    text = (BLUEPRINTS / f"{name}.yaml").read_text()
    used = set(re.findall(r"!input (\w+)", text))
    assert used == set(inputs)
    for key in re.findall(r"^  (\w+): !input \1$", text, re.MULTILINE):
        rest = text.split("\nvariables:\n")[1].replace(f"  {key}: !input {key}\n", "")
        assert re.search(rf"\b{key}\b", rest), key


def test_manual_hold_and_starts(name: str, inputs: dict[str, Any]) -> None:
    """Each can be held, and looks again at every start, reload and every few minutes."""
    assert inputs["hold"]["default"] == []
    triggers = blueprint(name)["triggers"]
    assert {"trigger": "homeassistant", "event": "start"} in triggers
    assert {"trigger": "event", "event_type": "automation_reloaded"} in triggers
    assert any(trigger["trigger"] == "time_pattern" for trigger in triggers)


def required(world: World) -> dict[str, dict[str, Any]]:
    """Return the required inputs."""
    return {
        "electricity_price": {"miners": world.devices},
        "grid_call": {"miners": world.devices, "signal": "input_boolean.call"},
        "heating": {"miners": world.devices, "temperature": "sensor.room"},
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
    """With only the required inputs and no sensor values, a blueprint would not load or run."""
    for entity in ("input_boolean.call", "sensor.room", "sensor.grid"):
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


STOPPERS = ("grid_call", "heating", "weekly_pause")
"""Those that stop a miner by a curtailment."""
REPEATED = {("heating", "disabled"), ("weekly_pause", "disabled")}


async def want_a_stop(world: World, name: str) -> None:
    """Create the automation, and set the conditions for a stop."""
    for entity, state in (
        ("sensor.room", 18),
        ("input_boolean.call", "off"),
    ):
        await world.set(entity, state)
    filled = required(world)[name]
    await world.automate(name, **filled, on_failure=notify("no"))
    world.step = 300
    await world.let_pass_until("07:55")
    world.step = STEP


async def demand_a_stop(world: World) -> None:
    """It is 8:00, warm, and the grid calls."""
    await world.let_pass_until("08:00")
    await world.set("sensor.room", 30)
    await world.set("input_boolean.call", "on")


@pytest.mark.parametrize("profiles", [("v205_m50", "v204_m30sp")])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        # A disabled entry is not loaded either: one blueprint shows that it is no different.
        pytest.param(
            name,
            how,
            marks=pytest.mark.long if (name, how) in REPEATED else (),
        )
        for name in STOPPERS
        for how in ("disabled", "not loaded", "sensor disabled")
    ],
)
async def test_miner_of_which_nothing_is_known(
    world: World, name: str, how: str, notified: list[dict[str, Any]]
) -> None:
    """A miner that is passed over without a word runs through every expensive hour."""
    await want_a_stop(world, name)
    entries, entry = world.hass.config_entries, world.entries[0]
    if how == "disabled":
        await entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    elif how == "not loaded":
        await entries.async_unload(entry.entry_id)
    else:
        er.async_get(world.hass).async_update_entity(
            world.entity("sensor", "curtailment"),
            disabled_by=er.RegistryEntryDisabler.USER,
        )
        await entries.async_reload(entry.entry_id)
    await world.settle()
    await demand_a_stop(world)
    await world.let_pass(minutes=12)
    # Without its sensor it can be stopped, but it is unknown when to start it.
    assert world.running == [how != "sensor disabled", False]
    assert 2 <= len(notified) <= 5


@pytest.mark.parametrize("name", [name for name in STOPPERS if name != "heating"])
async def test_unreachable_miner_is_reported_again(
    world: World, name: str, notified: list[dict[str, Any]]
) -> None:
    """One message in the night is missed; a miner that may be drawing is notified every five minutes."""
    await want_a_stop(world, name)
    world.miner.inject("refuse")
    await demand_a_stop(world)
    await world.let_pass(minutes=31)
    assert world.runs
    assert 4 <= len(notified) <= 8

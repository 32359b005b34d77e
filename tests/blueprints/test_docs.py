"""docs/automations.md: all its YAML loads, and the plain automations work."""

from pathlib import Path
import re
from typing import Any
from urllib.parse import unquote

from homeassistant.core import ServiceCall, callback
from homeassistant.util import yaml as yaml_util
import pytest

from custom_components.whatsminer.condition import CONDITIONS
from custom_components.whatsminer.trigger import TRIGGERS

from .conftest import OFF, ON, ROOT, UNAVAILABLE, World, blueprint
from .test_all import NAMES, flat

TEXT = (ROOT / "docs" / "automations.md").read_text()
DEVICE = "0123456789abcdef0123456789abcdef"
SNIPPETS = [
    text
    for text in re.findall(r"^```yaml\n(.+?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    if "trigger: conversation" not in text  # tests/components/test_assist.py has those
]
PRICE = "sensor.electricity_price"
CALL = "binary_sensor.grid_call"
ROOM = "sensor.living_room_temperature"


@pytest.fixture(autouse=True)
def said(world: World) -> list[dict[str, Any]]:
    """Return the messages to the phone and the entries of the logbook."""
    calls: list[dict[str, Any]] = []

    @callback
    def remember(call: ServiceCall) -> None:
        calls.append({"action": call.service, **call.data})

    world.hass.services.async_register("notify", "notify", remember)
    world.hass.services.async_register("logbook", "log", remember)
    return calls


def snippet(world: World, text: str) -> dict[str, Any]:
    """Return an automation of the page, for the simulated miner."""
    parsed = yaml_util.parse_yaml(text.replace(DEVICE, world.devices[0]))
    assert isinstance(parsed, dict)
    return {"id": parsed["alias"], **parsed}


async def plain(world: World, alias: str) -> None:
    """Load one of the plain automations."""
    found = [text for text in SNIPPETS if text.startswith(f"alias: {alias}\n")]
    await world.load(snippet(world, *found))


def test_every_blueprint_is_on_the_page() -> None:
    """A user could not import a blueprint with one click."""
    links = re.findall(r"blueprint_url=(\S+?)\)", TEXT)
    assert sorted(map(unquote, links)) == sorted(
        blueprint(name)["blueprint"]["source_url"] for name in NAMES
    )


async def test_every_snippet_loads(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A user would copy YAML that does not work."""
    automations = [snippet(world, text) for text in SNIPPETS]
    uses = [a["use_blueprint"] for a in automations if "use_blueprint" in a]
    assert {Path(use["path"]).stem for use in uses} == set(NAMES)
    own = [t for t in SNIPPETS if "trigger: whatsminer." in t or "request_power" in t]
    assert len(automations) - len(uses) - len(own) == len(NAMES)
    for use in uses:
        inputs = flat(blueprint(Path(use["path"]).stem)["blueprint"]["input"])
        assert set(use["input"]) <= set(inputs)
    await world.load(*automations)
    assert "rror" not in "\n".join(
        record.getMessage()
        for record in caplog.records
        if record.levelname in ("WARNING", "ERROR")
        and record.name.startswith("homeassistant.components.automation")
    )


def test_every_trigger_and_condition_has_a_row_and_an_example() -> None:
    """One that the page does not explain is tried out on a running miner."""
    for kind, table in (("trigger", TRIGGERS), ("condition", CONDITIONS)):
        rows = re.findall(rf"^\| {kind} \| `whatsminer\.(\w+)` \|", TEXT, re.MULTILINE)
        used = re.findall(rf"- {kind}: whatsminer\.(\w+)", "".join(SNIPPETS))
        assert rows == list(table)
        assert set(used) == set(table)


async def test_own_triggers(world: World, said: list[dict[str, Any]]) -> None:
    """An example that says the wrong thing, or nothing, is worse than none."""
    await plain(world, "Say that a curtailment started")
    await plain(world, "Say that the miner stopped")
    target = {"device_id": world.devices[0]}
    await world.hass.services.async_call(
        "whatsminer", "curtail", {**target, "target": "stop"}, blocking=True
    )
    await world.let_pass(minutes=2)
    assert [call["message"] for call in said] == ["The miner is curtailed."]


def test_numbers_are_those_of_the_forms() -> None:
    """A default that is wrong on the page is found at the wrong moment."""

    def default(name: str, key: str) -> Any:
        return flat(blueprint(name)["blueprint"]["input"])[key]["default"]

    assert default("weekly_pause", "unknown_minutes") == 15
    assert default("weekly_pause", "minimum_on") == 0
    assert default("electricity_price", "back_after") == 60
    assert default("heating", "stale_minutes") == 60
    assert default("grid_call", "attempts") == 3
    assert default("grid_call", "unknown_action") == "leave"
    assert default("grid_call", "unknown_minutes") == 30
    assert default("grid_call", "minimum_on") == 0
    assert default("heating", "minimum_on") == 30
    for name in ("weekly_pause", "grid_call"):
        assert blueprint(name)["trace"] == {"stored_traces": 300}
        [often] = [t["minutes"] for t in blueprint(name)["triggers"] if "minutes" in t]
        assert often == "/5"
    assert default("watchdog", "patience") == 15
    assert default("watchdog", "daily_limit") == 2


@pytest.mark.usefixtures("rare_polls")
async def test_plain_weekly_pause(world: World) -> None:
    """The miner would not stop from 8 to 13 on a workday, or not start again."""
    world.step = 300
    await world.set("binary_sensor.workday_sensor", ON)
    await plain(world, "Pause on workday mornings")
    await world.let_pass_until("08:05")
    assert not world.runs
    await world.let_pass_until("13:05")
    assert world.runs
    await world.set("binary_sensor.workday_sensor", OFF)
    await world.let_pass_until("10:00")
    assert world.runs


async def test_plain_electricity_price(world: World) -> None:
    """The miner would not stop above one price, or not start below the other."""
    await world.set(PRICE, 0.2)
    await plain(world, "Stop while electricity is expensive")
    for price, runs in ((0.35, False), (0.27, False), (0.2, True), (0.27, True)):
        await world.set(PRICE, price)
        await world.let_pass(minutes=2)
        assert world.runs is runs


async def test_plain_heating(world: World) -> None:
    """The miner would not stop when it is warm, or when the sensor is dead."""
    await world.set(ROOM, 20)
    await plain(world, "Keep the living room warm")
    await world.set(ROOM, 21.5)
    assert not world.runs
    await world.set(ROOM, 20)
    assert world.runs
    await world.set(ROOM, UNAVAILABLE)
    await world.let_pass(minutes=20)
    assert world.runs
    await world.let_pass(minutes=12)
    assert not world.runs


async def test_plain_grid_call(world: World, said: list[dict[str, Any]]) -> None:
    """The miner would not stop at a grid call, without a logbook entry or a message, or not start after it."""
    await world.set(CALL, OFF)
    await plain(world, "Stop for the grid, with proof")
    await world.set(CALL, ON)
    assert not world.runs
    await world.let_pass(minutes=5)
    assert [call["action"] for call in said] == ["log"]
    found = re.fullmatch(
        r"from (\d+) W to (\d+) W in ([\d.]+) s", said[0]["message"].strip()
    )
    assert found
    before, after, seconds = map(float, found.groups())
    assert before > 3000
    assert after < 400
    assert 0 < seconds < 60
    await world.set(CALL, OFF)
    assert not world.runs
    await world.let_pass(minutes=6)
    assert world.runs
    world.miner.api_switch = False
    await world.set(CALL, ON)
    assert said[-1]["action"] == "notify"


async def test_plain_watchdog(world: World, said: list[dict[str, Any]]) -> None:
    """The miner would not be restarted after a quarter of an hour, or more than once."""
    world.miner.set_board_count(3)
    await plain(world, "Restart it when it mines too little")
    await world.let_pass(minutes=20)
    world.miner.set_board_count(1)
    await world.let_pass(minutes=30)
    assert world.done("restart_btminer") == 1
    assert [call["action"] for call in said] == ["notify"]
    world.step = 120
    await world.let_pass(hours=2)
    assert world.done("restart_btminer") == 1

"""Triggers and conditions: they act on the miner that was chosen, and on nothing else of it."""

from collections.abc import Awaitable, Callable
import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)
import yaml

from custom_components.whatsminer.condition import CONDITIONS
from custom_components.whatsminer.trigger import TRIGGERS
from simulator import SimulatedMiner

from .conftest import Find, Poll, RaceClock, later

HOUSE = Path(__file__).parents[2] / "custom_components" / "whatsminer"


@pytest.fixture
async def automate(
    hass: HomeAssistant, coordinator: Any, entry: MockConfigEntry
) -> Callable[..., Awaitable[list[ServiceCall]]]:
    """Make an automation for the device of the miner; returns what it calls."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    calls = async_mock_service(hass, "test", "called")

    async def run(name: str, **more: Any) -> list[ServiceCall]:
        trigger: dict[str, Any] = {
            "trigger": f"whatsminer.{name}",
            "target": {"device_id": device.id},
        }
        if name not in ("fault_appeared", "curtailment_failed"):
            trigger["options"] = {"behavior": "each", "for": "00:00:00"}
        config = {
            "alias": "test",
            "triggers": trigger,
            "actions": {"action": "test.called"},
            **{
                key: {**value, "target": trigger["target"]}
                for key, value in more.items()
            },
        }
        assert await async_setup_component(hass, "automation", {"automation": config})
        await hass.async_block_till_done()
        return calls

    return run


@pytest.mark.parametrize(
    ("name", "happen"),
    [
        ("stopped", lambda miner: miner.machine.power_off()),
        ("fault_appeared", lambda miner: miner.machine.errors.update({110: 0.0})),
    ],
)
async def test_what_the_miner_does(
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    name: str,
    happen: Callable[[SimulatedMiner], None],
) -> None:
    """An automation that does not run is found when it was needed."""
    calls = await automate(name)
    await poll()
    assert not calls
    happen(miner)
    clock.advance(120)
    for _ in range(11):
        await poll()
    assert len(calls) == 1


@pytest.mark.parametrize(("name", "called"), [("started", 1), ("stopped", 0)])
async def test_starts_and_stops(
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    name: str,
    called: int,
) -> None:
    """A miner that starts at night would be heard first; a condition must say what it does now."""
    condition = {"condition": "whatsminer.is_mining", "options": {"behavior": "any"}}
    calls = await automate(name, conditions=condition)
    await poll()
    miner.machine.power_off()
    clock.advance(120)
    await poll()
    miner.machine.power_on()
    clock.advance(7200)
    await poll()
    assert len(calls) == called


async def test_went_offline(
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    miner: SimulatedMiner,
    poll: Poll,
) -> None:
    """The owner would not learn that the miner does not respond."""
    calls = await automate("went_offline")
    miner.inject("close")
    for _ in range(4):
        await poll()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("reason", "called"), [(None, 1), ("Grid call", 1), ("Electricity price", 0)]
)
async def test_curtailments(
    hass: HomeAssistant,
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    clock: RaceClock,
    entity_id: Find,
    reason: str | None,
    called: int,
) -> None:
    """A condition must not let the automation run for a miner that has no curtailment, or another."""
    condition = {
        "condition": "whatsminer.is_curtailed",
        "options": {"behavior": "any"} | ({"reason": reason} if reason else {}),
    }
    calls = await automate("curtailment_started", conditions=condition)
    clock.race()
    data = {"target": "stop", "reason": "Grid call"}
    data["entity_id"] = entity_id("sensor", "power")
    await hass.services.async_call("whatsminer", "curtail", data, blocking=True)
    await hass.async_block_till_done()
    clock.stop()
    assert len(calls) == called


async def test_curtailment_that_ends(
    hass: HomeAssistant,
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    clock: RaceClock,
    entity_id: Find,
) -> None:
    """Who waits for the end of a grid call would wait for ever, or hear of it when it begins."""
    calls = await automate("curtailment_ended")
    clock.race()
    power = {"entity_id": entity_id("sensor", "power")}
    stop = power | {"target": "stop"}
    await hass.services.async_call("whatsminer", "curtail", stop, blocking=True)
    assert not calls
    await hass.services.async_call("whatsminer", "resume", power, blocking=True)
    await hass.async_block_till_done()
    clock.stop()
    assert len(calls) == 1


@pytest.mark.parametrize(
    "failure", ["refuse", pytest.param("error_23", marks=pytest.mark.long)]
)
async def test_curtailment_that_fails(
    hass: HomeAssistant,
    automate: Callable[..., Awaitable[list[ServiceCall]]],
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    entity_id: Find,
    failure: str,
) -> None:
    """A grid operator's call that is not followed would be noticed on the bill; twice is once too often."""
    calls = await automate("curtailment_failed")
    clock.race()
    miner.inject(failure)
    data = {"target": "stop", "entity_id": entity_id("sensor", "power")}
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("whatsminer", "curtail", data, blocking=True)
    await hass.async_block_till_done()
    assert len(calls) == 1
    for _ in range(2):
        with later(30):
            await poll()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("kind", "table"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)]
)
def test_each_is_described(kind: str, table: dict[str, Any]) -> None:
    """The editor shows only what has a description, a name and an icon."""
    for found in (
        yaml.safe_load((HOUSE / f"{kind}.yaml").read_text()),
        json.loads((HOUSE / "icons.json").read_text())[kind],
        json.loads((HOUSE / "translations" / "en.json").read_text())[kind],
    ):
        assert set(found) == set(table)

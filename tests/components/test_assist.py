"""Assist: a miner obeys by its own name, and the sentences of the page get an answer."""

from collections.abc import Awaitable, Callable
from pathlib import Path
import re
from typing import Any

from homeassistant.components import conversation
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from simulator import SimulatedMiner

from .conftest import Find, RaceClock

PAGE = Path(__file__).parents[2] / "docs" / "automations.md"
type Say = Callable[[str], Awaitable[str]]


@pytest.fixture
async def say(
    hass: HomeAssistant,
    coordinator: Any,
    entry: MockConfigEntry,
    entity_id: Find,
) -> Say:
    """Return a function that says a sentence about a miner called Garage, and returns the answer."""
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "conversation", {})
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    dr.async_get(hass).async_update_device(device.id, name_by_user="Garage")
    section = PAGE.read_text().split("## Assist")[1].split("\n## ")[0]
    section = section.replace("sensor.m50_04eb_status", entity_id("sensor", "status"))
    section = section.replace("sensor.m50_04eb_power", entity_id("sensor", "power"))
    automations = [
        yaml.safe_load(text)
        for text in re.findall(r"```yaml\n(.+?)```", section, re.DOTALL)
    ]
    assert len(automations) == 2
    assert await async_setup_component(hass, "automation", {"automation": automations})
    await hass.async_block_till_done()

    async def run(sentence: str) -> str:
        result = await conversation.async_converse(hass, sentence, None, Context())
        await hass.async_block_till_done()
        return str(result.response.speech["plain"]["speech"])

    return run


async def test_turn_off_and_on(
    say: Say, miner: SimulatedMiner, clock: RaceClock
) -> None:
    """The owner would have to know how the entity of the miner is called."""
    clock.race()
    assert "ff" in await say("turn off Garage")
    assert miner.truth().mining is False
    assert "No" in await say("is Garage on?")
    assert await say("is Garage mining?") == "No, Garage is stopped."
    await say("turn on Garage")
    assert miner.truth().mining is True


async def test_questions(say: Say, miner: SimulatedMiner) -> None:
    """Numbers are not exposed to Assist by default, so that nothing would answer."""
    assert await say("is Garage mining?") == "Yes, Garage is mining."
    answer = await say("how much power does Garage use?")
    assert re.fullmatch(r"Garage uses \d+ W\.", answer)
    assert str(round(miner.truth().power_w)) in answer

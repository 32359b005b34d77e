"""A miner whose time races, a second one, and what both receive."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from ..conftest import Poll, RaceClock, later

type PollLater = Callable[[float], Awaitable[None]]

CURTAILMENT = "custom_components.whatsminer.power.executor"
STANDBY = 100
KINDS = ("curtailment_failing", "resume_failing")


@pytest.fixture(autouse=True)
def _racing(clock: RaceClock) -> None:
    """Let the miner's time race."""
    clock.race()


@pytest.fixture
def poll_later(hass: HomeAssistant, poll: Poll) -> PollLater:
    """Poll some minutes later, and let the curtailment do what is due."""

    async def run(minutes: float) -> None:
        with later(minutes):
            await poll()
            await hass.async_block_till_done(wait_background_tasks=True)

    return run


def sent(miner: SimulatedMiner, *names: str) -> int:
    """How often commands have reached the miner."""
    return sum(
        command.name in names and command.params.get("param") != "start"
        for command in miner.commands
    )


@pytest.fixture
async def other(clock: RaceClock) -> AsyncGenerator[SimulatedMiner]:
    """A second miner."""
    async with SimulatedMiner("v205_m56s", password="Other_1", clock=clock) as other:
        yield other


@pytest.fixture
async def second(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    other: SimulatedMiner,
) -> AsyncGenerator[MockConfigEntry]:
    """The entry of the second miner."""
    second = MockConfigEntry(
        domain=DOMAIN,
        unique_id=other.mac.lower(),
        title="Second",
        data={**entry.data, "port": other.port, CONF_PASSWORD: "Other_1"},
    )
    second.add_to_hass(hass)
    assert await hass.config_entries.async_setup(second.entry_id)
    await hass.async_block_till_done()
    yield second
    if second.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(second.entry_id)


@pytest.fixture
def both(hass: HomeAssistant, second: MockConfigEntry, device_id: str) -> list[str]:
    """The devices of both miners."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), second.entry_id)
    return [device_id, device.id]


async def _until_power(miner: SimulatedMiner, *, above: float) -> None:
    async with asyncio.timeout(5):
        while miner.truth().power_w < above:
            await asyncio.sleep(0.02)

"""Sensors whose value new firmware no longer reports."""

from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from unittest.mock import patch

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import RaceClock

type Poll = Callable[[], Awaitable[None]]
type Show = Callable[[str, str], str]
type Find = Callable[[str, str], str]

MODULE = "custom_components.whatsminer.unreported"
POLLS = 4
KEY = "environment_temperature"
NEW = "20270101.01.REL"
HIDDEN = "hide=Env Temp"


@pytest.fixture(autouse=True)
def _soon() -> Generator[None]:
    """Let four polls be enough, however soon."""
    with patch.multiple(MODULE, POLLS=POLLS, LEAST=timedelta()):
        yield


@pytest.fixture
def registered(entry: MockConfigEntry, hass: HomeAssistant) -> Callable[[], bool]:
    """Return whether the sensor is still registered."""
    unique_id = f"{entry.unique_id}_{KEY}"
    registry = er.async_get(hass)
    return lambda: bool(registry.async_get_entity_id("sensor", "whatsminer", unique_id))


async def update_firmware(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
) -> None:
    """Let the miner mine with another firmware, which is seen after its reboot."""
    miner.machine.update_firmware(NEW)
    for seconds in (5, 3600):
        clock.advance(seconds)
        await miner.tick()
        await poll()
    info = coordinator.config_entry.runtime_data.coordinator.data.info
    assert info.firmware == NEW


async def test_new_firmware_without_a_value(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    state: Show,
    entity_id: Find,
    registered: Callable[[], bool],
) -> None:
    """It would say *unknown* for ever; but what comes back keeps the name that its user gave it."""
    name = er.async_get(hass).async_update_entity(
        entity_id("sensor", KEY), name="Cellar"
    )
    await poll()
    miner.inject(HIDDEN)
    await update_firmware(coordinator, miner, clock, poll)
    for _ in range(POLLS):
        await poll()
    assert not registered()
    miner.clear_failures()
    await poll()
    assert float(state("sensor", KEY)) == pytest.approx(
        miner.truth().environment_temperature_c, abs=1
    )
    again = er.async_get(hass).async_get(entity_id("sensor", KEY))
    assert again
    assert (again.entity_id, again.name) == (name.entity_id, "Cellar")


@pytest.mark.parametrize("why", ["same firmware", "sometimes", "soon", "stopped"])
async def test_value_that_may_come_back(
    monkeypatch: pytest.MonkeyPatch,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    state: Show,
    registered: Callable[[], bool],
    why: str,
) -> None:
    """A sensor would vanish from its dashboard because of some answers without its value."""
    await poll()
    miner.inject(HIDDEN)
    if why != "same firmware":
        await update_firmware(coordinator, miner, clock, poll)
    if why == "sometimes":
        miner.clear_failures()
        await poll()
        miner.inject(HIDDEN)
    if why == "soon":
        monkeypatch.setattr(f"{MODULE}.LEAST", timedelta(hours=1))
    if why == "stopped":
        miner.machine.power_off()
        clock.advance(60)
    for _ in range(POLLS * 2):
        await poll()
    assert registered()
    assert state("sensor", KEY) == STATE_UNKNOWN

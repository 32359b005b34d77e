"""Hostile answers in a real Home Assistant: what it stores stays small and can be written."""

import math
import sys
import time
from typing import Any

from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.json import json_bytes
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.whatsminer.api.parse import MAX_ROWS
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.faults import MAX_ANNOUNCED
from simulator import SimulatedMiner

from .conftest import Find

HOSTILE = ("all_too_high", "odd_texts", "odd_mac", "many_boards", "many_codes")
LONGEST_STALL = 0.3 if "coverage" in sys.modules else 0.1
"""Seconds for which the event loop may be busy with one answer."""


@pytest.fixture(params=["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"])
def profile(request: pytest.FixtureRequest) -> str:
    """A miner of each generation."""
    return request.param


async def poll(coordinator: WhatsminerCoordinator) -> float:
    """Read everything; return the longest time that the event loop was busy (s)."""
    loop: Any = coordinator.hass.loop
    longest, select = 0.0, loop._selector.select  # noqa: SLF001
    returned = time.perf_counter()

    def select_and_measure(timeout: float | None = None) -> Any:
        nonlocal longest, returned
        longest = max(longest, time.perf_counter() - returned)
        found = select(timeout)
        returned = time.perf_counter()
        return found

    loop._selector.select = select_and_measure  # noqa: SLF001
    try:
        await coordinator.async_refresh_all()
        await coordinator.hass.async_block_till_done()
    finally:
        loop._selector.select = select  # noqa: SLF001
    return longest


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_hostile_answers_in_home_assistant(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    entity_id: Find,
) -> None:
    """One answer could fill the registries, stop all integrations from saving, or halt the house."""
    entry, registry = coordinator.config_entry, er.async_get(hass)
    devices = dr.async_get(hass)
    real = len(er.async_entries_for_config_entry(registry, entry.entry_id))
    boards = len(coordinator.data.boards or ())
    meter = hass.states.get(entity_id("sensor", "energy"))
    assert meter
    stalls = {}
    for failure in HOSTILE:
        miner.inject(failure)
        new_faults = async_capture_events(hass, "state_changed")
        # The fastest of three: other work on this machine makes one of them slow at times.
        stalls[failure] = min([await poll(coordinator) for _ in range(3)])
        events = [
            event
            for event in new_faults
            if event.data["entity_id"].startswith("event.")
        ]
        assert len(events) <= MAX_ANNOUNCED + 2, failure
        for state in hass.states.async_all():
            assert len(state.state) <= MAX_LENGTH_STATE_STATE
            json_bytes(state.as_dict())
            if state.state.replace(".", "").isdigit():
                assert math.isfinite(float(state.state))
                assert float(state.state) < 1e9, state
        json_bytes(registry._data_to_save())  # noqa: SLF001
        json_bytes(devices._data_to_save())  # noqa: SLF001
        json_bytes(entry.as_dict())
        miner.clear_failures()
        await poll(coordinator)
        assert coordinator.last_update_success
    found = er.async_entries_for_config_entry(registry, entry.entry_id)
    assert len(found) <= real + (MAX_ROWS - boards) * 8
    assert all("evil" not in one.unique_id for one in found)
    after = hass.states.get(entity_id("sensor", "energy"))
    assert after
    assert float(after.state) - float(meter.state) < 0.1
    assert max(stalls.values()) < LONGEST_STALL, stalls

"""Hostile answers, from the socket to what Home Assistant stores: nothing of it is spoiled."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
import json
import math
import os
from random import Random
import time
from typing import Any

from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.json import json_bytes
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import SLOW_EVERY
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.faults import MAX_ANNOUNCED
from simulator import SimulatedMiner

from ..api.test_hostile_answers import hostile_values, mutated
from .conftest import Find, Poll

type Change = Callable[[Any], Any]

EXAMPLES = 400 if os.environ.get("FUZZ") else 20
MOST_STALL = 0.4
"""Seconds; below 0.1 on a quiet machine without coverage. Announcing every code took 2 s."""

every_dialect = pytest.mark.parametrize(
    "profile", ["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"]
)
pytestmark = pytest.mark.usefixtures("entity_registry_enabled_by_default")


@pytest.fixture
def spoil(miner: SimulatedMiner) -> Callable[[Change], None]:
    """Change every plain answer of the miner from now on."""
    change: Change = lambda answer: answer  # noqa: E731

    def spoiled(data: bytes, head: int) -> bytes:
        try:
            answer = json.loads(data[head:].rstrip(b"\0"))
        except ValueError:
            return data
        # On 4433 an answer whose head is another's counts as none, and is waited for.
        changed = (
            answer | {"msg": change(answer.get("msg"))} if head else change(answer)
        )
        body = json.dumps(changed).encode()
        return len(body).to_bytes(head, "little") + body if head else body

    def put_before(listener: Any, head: int) -> None:
        answer = listener._answer  # noqa: SLF001

        def reply(*request: Any) -> Any:
            found = answer(*request)
            return replace(found, data=spoiled(found.data, head))

        listener._answer = reply  # noqa: SLF001

    put_before(miner._listener, 0)  # noqa: SLF001
    if miner._v3_listener:  # noqa: SLF001
        put_before(miner._v3_listener, 4)  # noqa: SLF001

    def use(other: Change) -> None:
        nonlocal change
        change = other

    return use


def _assert_sound(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Check all that Home Assistant shows and stores."""
    for state in hass.states.async_all():
        json_bytes(state.as_dict())
        assert len(state.state) <= MAX_LENGTH_STATE_STATE, state.entity_id
        assert state.state.lower() not in ("nan", "inf", "-inf"), state.entity_id
        for value in state.attributes.values():
            assert not isinstance(value, float) or math.isfinite(value), state
    for registry in (dr.async_get(hass), er.async_get(hass)):
        json_bytes(registry._data_to_save())  # noqa: SLF001
    json_bytes(entry.as_dict())


def _entries(hass: HomeAssistant) -> int:
    return len(er.async_get(hass).entities) + len(dr.async_get(hass).devices)


@every_dialect
async def test_hostile_answers_spoil_nothing(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    spoil: Callable[[Change], None],
) -> None:
    """One miner could keep Home Assistant from saving anything, of any integration."""
    most = 3 * _entries(hass)

    async def poll(values: list[Any], seed: int, share: float) -> None:
        random = Random(seed)
        spoil(
            lambda answer: mutated(
                answer, lambda: random.choice(values), lambda: random.random() < share
            )
        )
        await coordinator.async_refresh()
        await hass.async_block_till_done()
        _assert_sound(hass, entry)
        assert _entries(hass) <= most

    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        values=st.lists(hostile_values, min_size=1, max_size=8),
        seed=st.integers(0, 1 << 32),
        share=st.sampled_from([0.02, 0.1, 0.3]),
    )
    def run(values: list[Any], seed: int, share: float) -> None:
        task = poll(values, seed, share)
        asyncio.run_coroutine_threadsafe(task, hass.loop).result()

    await hass.loop.run_in_executor(None, run)  # one that the core does not wait for
    spoil(lambda answer: answer)


def _with_rows(answer: Any) -> Any:
    """Return an answer with 4000 boards, under each name that they have."""
    match answer:
        case dict():
            rows = [
                {"ASC": slot, "Slot": slot, "slot": slot, "id": slot}
                for slot in range(4000)
            ]
            return {
                key: rows if key in ("DEVS", "edevs") else _with_rows(item)
                for key, item in answer.items()
            }
        case list():
            return [_with_rows(item) for item in answer]
        case _:
            return answer


@every_dialect
async def test_thousands_of_boards(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    spoil: Callable[[Change], None],
) -> None:
    """One answer would fill the registries with entries that are never removed."""
    before = _entries(hass)
    spoil(_with_rows)
    for _ in range(SLOW_EVERY):
        await coordinator.async_refresh()
    await hass.async_block_till_done()
    assert _entries(hass) <= 3 * before
    _assert_sound(hass, entry)


def _with_faults(answer: Any) -> Any:
    """Return an answer with 7000 faults, under each name that they have."""
    match answer:
        case dict():
            codes = [{str(code): ""} for code in range(1000, 8000)]
            many = {f"Error Code {index}": 1000 + index for index in range(7000)}
            if "Error Code Count" in answer:
                return answer | many | {"Error Code Count": 7000}
            return {
                key: codes
                if key in ("error_code", "error-code")
                else _with_faults(item)
                for key, item in answer.items()
            }
        case list():
            return [_with_faults(item) for item in answer]
        case _:
            return answer


@contextmanager
def _longest_step(hass: HomeAssistant) -> Iterator[list[float]]:
    """Measure the longest time that the event loop computed without a pause.

    By the clock of its thread: other programs may take the processor, which is no stall.
    """
    longest, last = [0.0], time.thread_time()

    def look() -> None:
        nonlocal last
        now = time.thread_time()
        longest[0], last = max(longest[0], now - last), now
        if is_running:
            hass.loop.call_soon(look)

    is_running = True
    hass.loop.call_soon(look)
    yield longest
    is_running = False


@every_dialect
async def test_thousands_of_faults(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entity_id: Find,
    poll: Poll,
    spoil: Callable[[Change], None],
) -> None:
    """One answer would fire thousands of events, and stop the house for seconds."""
    seen: list[int] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        new = event.data["new_state"]
        if new and "code" in new.attributes:
            seen.append(new.attributes["code"])

    async_track_state_change_event(hass, entity_id("event", "fault"), note)
    await poll()
    spoil(_with_faults)
    most = 0
    with _longest_step(hass) as longest:
        for _ in range(SLOW_EVERY):
            seen.clear()
            await coordinator.async_refresh()
            await hass.async_block_till_done()
            most = max(most, len(seen))
    assert most <= MAX_ANNOUNCED
    assert most == (0 if coordinator.data.faults is None else MAX_ANNOUNCED)
    assert longest[0] < MOST_STALL

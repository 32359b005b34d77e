"""What is stored: each part is read alone, and nothing is written by an entry that is gone."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.whatsminer.const import CONF_V3_PORT, DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.store import MinerStore
from simulator import SimulatedMiner

from .conftest import PASSWORD, Poll, RaceClock, Show, issue

KNOWN: dict[str, Any] = {
    "power_ceiling": 3500.0,
    "settings": {"power_percent": 70},
    "tuned_power": 3400.0,
    "from_the_future": {"a": 1},
}

VARIANTS: dict[str, Any] = {
    "empty": {},
    "a list": [],
    "ceiling is text": {"power_ceiling": "much"},
    "ceiling is an object": {"power_ceiling": {}},
    "ceiling is below 0": {"power_ceiling": -5},
    "ceiling has no end": {"power_ceiling": 1e308},
    "settings are no values": {"settings": {"temperature_offset": {}}},
    "settings are other values": {"settings": {"temperature_offset": "x" * 300}},
    "reported is no value": {"reported": {"mining": []}},
    "waiting is a value": {"waiting": {"fast_boot": True}},
    "waiting has no old value": {
        "waiting": {"fast_boot": {"new": True, "run": "2026-01-01T00:00:00+00:00"}}
    },
    "waiting has no run": {
        "waiting": {"fast_boot": {"old": False, "new": True, "run": None}}
    },
    "unknown dialect": {"info": {"dialect": "9", "model": None}},
    "info is a list": {"info": []},
    "info without a dialect": {"info": {"model": "M50"}},
    "info with numbers": {"info": {"dialect": "2.0", "model": 5}},
    "settings are null": {"settings": None},
    "run without a zone": {"run": "2026-01-01T00:00:00"},
    "run is no time": {"run": "yesterday"},
    "faults are a list": {"faults": [110]},
    "fault without a time": {"faults": {"110": {"since": None}}},
    "fault since no time": {"faults": {"110": {"time": None, "since": "x"}}},
    "target is null": {"power_target": None},
    "curtailment is null": {"curtailment": None},
}


def key_of(entry: MockConfigEntry) -> str:
    """Return the key of the file of an entry."""
    return f"{DOMAIN}.{entry.entry_id}"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_a_stored_setting_of_another_kind_is_unknown(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    state: Show,
) -> None:
    """A number would show a word of another version, and cards and automations would fail on it."""
    data = {"settings": {"temperature_offset": "warm", "upfreq_speed": 5}}
    hass_storage[key_of(entry)] = {"version": 1, "key": key_of(entry), "data": data}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state("number", "temperature_offset") == STATE_UNKNOWN


@pytest.mark.parametrize("stored", VARIANTS.values(), ids=VARIANTS.keys())
async def test_unknown_content_costs_its_part_only(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    stored: Any,
) -> None:
    """After going back to an older version the miner would have no entities at all."""
    data = KNOWN | stored if isinstance(stored, dict) else stored
    hass_storage[key_of(entry)] = {"version": 1, "key": key_of(entry), "data": data}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    memory: MinerStore = entry.runtime_data.coordinator.store
    assert memory.dropped == (set(stored) if isinstance(stored, dict) else set())
    assert sum("dropped" in line for line in caplog.messages) == len(memory.dropped)
    if isinstance(stored, dict) and not memory.dropped & {"power_ceiling"}:
        assert (memory.power_ceiling or 0) >= KNOWN["power_ceiling"]


async def test_a_later_version_of_the_file(
    hass: HomeAssistant, hass_storage: dict[str, Any], entry: MockConfigEntry
) -> None:
    """The same, where the later version changed the form of the whole file."""
    hass_storage[key_of(entry)] = {"version": 9, "key": key_of(entry), "data": {}}
    assert await hass.config_entries.async_setup(entry.entry_id)


@pytest.mark.parametrize(
    ("stored", "is_lost"),
    [
        ({"version": 9, "data": {}}, True),
        ({"version": 1, "data": {"curtailment": []}}, True),
        ({"version": 1, "data": {"curtailment": None}}, True),
        ({"version": 1, "data": {"power_target": None}}, False),
    ],
)
async def test_curtailment_that_cannot_be_read_is_announced(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    stored: dict[str, Any],
    is_lost: bool,
) -> None:
    """After a downgrade of the integration a miner would stay off, and its owner would not know why."""
    hass_storage[key_of(entry)] = {"key": key_of(entry), **stored}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert (issue(hass, "curtailment_lost", entry) is not None) is is_lost


@pytest.mark.parametrize("removed", [False, True])
async def test_a_late_answer_overwrites_nothing(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    removed: bool,
) -> None:
    """An active curtailment could vanish, or a removed entry leave a file for ever."""
    late = coordinator.store
    if removed:
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        await hass.config_entries.async_reload(entry.entry_id)
        await entry.runtime_data.coordinator.store.async_keep(
            "curtailment", {"new": True}
        )
    await hass.async_block_till_done()
    late.save_setting("power_percent", 5, coordinator.data)
    await late.async_keep("curtailment", {})
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=1))
    await hass.async_block_till_done()
    if removed:
        assert key_of(entry) not in hass_storage
    else:
        stored = hass_storage[key_of(entry)]["data"]
        assert stored["curtailment"] == {"new": True}
        assert "power_percent" not in stored["settings"]


async def test_an_observer_that_raises(
    coordinator: WhatsminerCoordinator,
    state: Show,
    poll: Poll,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error in counting faults or energy must not make the miner unavailable."""

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    caplog.set_level(logging.ERROR)
    coordinator.add_observer(fail)
    seen: list[bool] = []
    listeners = [
        coordinator.async_add_listener(fail),
        coordinator.async_add_listener(lambda: seen.append(True)),
    ]
    for _ in range(3):
        await poll()
    assert coordinator.last_update_success
    assert len(seen) == 3
    assert state("sensor", "status") == "mining"
    assert caplog.text.count("RuntimeError: broken") == 1
    for remove in listeners:
        remove()


async def test_a_poll_has_a_budget(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A miner that sends byte by byte would never let a poll end, nor show as unavailable."""
    miner._listener.board._answer_s = 0.5  # noqa: SLF001
    begin = hass.loop.time()
    with monkeypatch.context() as patch:
        patch.setattr("custom_components.whatsminer.api.miner.POLL_TIMEOUT", 0.3)
        for _ in range(2):  # one missed poll is forgiven
            await coordinator.async_refresh()
    assert hass.loop.time() - begin < 3
    assert not coordinator.last_update_success
    await coordinator.async_refresh()
    assert coordinator.last_update_success


async def test_slow_miners_do_not_delay_the_start(
    hass: HomeAssistant,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty miners that answer late would keep the whole house waiting for its automations."""
    module = "custom_components.whatsminer.coordinator"
    monkeypatch.setattr(f"{module}.SETUP_BUDGET", 1.0)
    async with AsyncExitStack() as stack:
        entries, miners = [], []
        for number in range(20):
            miner = await stack.enter_async_context(
                SimulatedMiner(
                    "v205_m50", password=PASSWORD, seed=number + 1, clock=RaceClock()
                )
            )
            miners.append(miner)
            entry = MockConfigEntry(
                domain=DOMAIN,
                unique_id=miner.mac.lower(),
                title=f"Miner {number}",
                data={
                    "host": miner.host,
                    "port": miner.port,
                    CONF_V3_PORT: unused_tcp_port,
                    "password": PASSWORD,
                },
            )
            entry.add_to_hass(hass)
            entries.append(entry)
            assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        for entry, miner in zip(entries, miners, strict=True):
            assert await hass.config_entries.async_unload(entry.entry_id)
            miner._listener.board._answer_s = 0.9  # noqa: SLF001
        begin = hass.loop.time()
        await asyncio.gather(
            *(hass.config_entries.async_setup(entry.entry_id) for entry in entries)
        )
        assert hass.loop.time() - begin < 4
        assert all(entry.state is ConfigEntryState.LOADED for entry in entries)
        states = {s.state for s in hass.states.async_all("switch")}
        assert states == {STATE_UNAVAILABLE}
        await entries[0].runtime_data.coordinator.async_refresh()
        assert entries[0].runtime_data.coordinator.last_update_success
        for entry in entries:
            await hass.config_entries.async_unload(entry.entry_id)


async def test_another_limit_is_another_tuned_power(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """A percent of the power target would be a share of a power that the miner no longer draws."""
    store, state = MinerStore(hass, "one"), coordinator.data
    assert state.summary
    mining = replace(state, summary=replace(state.summary, power=3400.0))
    store.observe(mining)
    assert store.tuned_power == 3400
    summary = replace(state.summary, power=2000.0)
    assert state.status
    low = replace(
        state, summary=summary, status=replace(state.status, power_percent=60)
    )
    store.observe(low)
    assert store.tuned_power == 3400
    limited = replace(summary, power_limit=2500.0, power=2450.0)
    store.observe(replace(state, summary=limited))
    assert store.tuned_power == 2450
    await store.async_save()
    later = MinerStore(hass, "one")
    await later.async_load()
    later.observe(
        replace(state, summary=replace(limited, power_limit=3000.0, power=2950.0))
    )
    assert later.tuned_power == 2950

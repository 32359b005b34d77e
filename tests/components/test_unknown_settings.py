"""What is unknown when a curtailment begins is learned, or left alone at its end."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import Act, Call, Poll, RaceClock, Show, issue, later, sent, until

STARTS = ("power_on", "set.miner.service")
LIMITS = ("adjust_power_limit", "set.miner.power_limit")


@pytest.fixture(autouse=True)
def _racing(clock: RaceClock) -> None:
    """Let the miner's time race."""
    clock.race()


async def restart_while_offline(
    hass: HomeAssistant, entry: MockConfigEntry, miner: SimulatedMiner
) -> None:
    """Restart Home Assistant while the miner does not answer."""
    miner.inject("refuse")
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.runtime_data.coordinator.data.mining is None


async def come_back(
    hass: HomeAssistant, miner: SimulatedMiner, poll: Poll, minutes: float
) -> None:
    """Let the miner answer again, and what is due be done."""
    miner.clear_failures()
    await miner.tick()
    for _ in range(2):
        with later(minutes):
            await poll()
            await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_off_before_a_restart_of_home_assistant(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    act: Act,
    call: Call,
    poll: Poll,
    state: Show,
    known: bool,
) -> None:
    """A miner that its owner switched off would start after a curtailment."""
    await call("switch", "mining", "turn_off")
    if not known:
        entry.runtime_data.coordinator.store.reported.clear()  # older storage
    await restart_while_offline(hass, entry, miner)
    miner.commands.clear()
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop", duration="00:30:00")
    assert error.value.translation_key == "cannot_connect"
    assert state("sensor", "curtailment") == "stop"
    await come_back(hass, miner, poll, 5)
    await come_back(hass, miner, poll, 31)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is False
    assert sent(miner, *STARTS) == 0


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
async def test_off_before_a_reboot(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    call: Call,
    state: Show,
) -> None:
    """A curtailment during a reboot would start a miner that its owner switched off."""
    await call("switch", "mining", "turn_off")
    miner.commands.clear()
    miner.inject("refuse")
    away_until = hass.loop.time() + 300
    coordinator._away_until = away_until  # noqa: SLF001 - as *Reboot* does
    curtail = hass.async_create_task(act("curtail", target="stop", duration="00:30:00"))
    async with asyncio.timeout(5):
        while state("sensor", "status") != "restarting":
            await asyncio.sleep(0.01)
    miner.clear_failures()
    await miner.tick()
    response = await curtail
    assert (response["confirmed"], response["way"]) == (True, "none")
    await act("resume")
    assert miner.truth().mining is False
    assert sent(miner, *STARTS, "power_off") == 0


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_limit_before_a_restart_of_home_assistant(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    act: Act,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """The owner's power limit would be raised to the highest the miner ever had."""
    ceiling = miner.truth().power_limit_w
    limit = round(ceiling * 0.7)
    await call("number", "power_limit", "set_value", value=limit)
    await restart_while_offline(hass, entry, miner)
    with pytest.raises(HomeAssistantError):
        await act("curtail", target="power", power=limit - 700, duration="00:30:00")
    await come_back(hass, miner, poll, 5)
    await until(lambda: miner.truth().power_w < limit - 600)
    await come_back(hass, miner, poll, 31)
    assert state("sensor", "curtailment") == "none"
    async with asyncio.timeout(5):
        while miner.truth().power_limit_w != limit:  # 0 while it starts
            await asyncio.sleep(0.02)


async def test_limit_while_it_restarts(
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    call: Call,
) -> None:
    """A curtailment that begins during a restart would end at the highest limit."""
    await call("number", "power_limit", "set_value", value=2450)
    coordinator.store.tuned_power = None  # it restarts
    miner.machine.restart()
    await coordinator.async_refresh()
    response = await act("curtail", target="power", power=1750)
    assert response["confirmed"] is True
    assert miner.truth().power_limit_w == 1750
    await act("resume")
    assert miner.truth().power_limit_w == 2450


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("mining", {"target": "stop"}),
        ("power_limit", {"target": "power", "power": 2000}),
        ("power_percent", {"target": "percent", "percent": 60}),
    ],
)
async def test_unknown_is_left_alone(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    coordinator: WhatsminerCoordinator,
    act: Act,
    call: Call,
    key: str,
    data: dict[str, Any],
) -> None:
    """A guess would be taken for the owner's setting, without a notice."""
    if key == "power_limit":
        coordinator.store.tuned_power = None
        miner.machine.restart()
        clock.advance(10)
        clock.rate = 20  # it still restarts when the curtailment begins
        await coordinator.async_refresh()
    await act("curtail", **data)
    coordinator.store.reported.pop(key)  # never reported
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    before = miner.truth()
    miner.commands.clear()
    await act("resume")
    assert not [name for name in miner.applied[-1:] if name == "power_on"]
    assert miner.truth().mining is before.mining
    assert miner.truth().power_limit_w == before.power_limit_w
    found = issue(hass, f"left_alone_{key}", entry)
    assert found
    assert found.translation_placeholders
    assert found.translation_placeholders["name"] == "Miner"
    assert await hass.config_entries.async_reload(entry.entry_id)
    if key == "mining":
        await call("switch", "mining", "turn_on")
        assert issue(hass, f"left_alone_{key}", entry) is None


async def _do_all_the_same(miner: SimulatedMiner, *names: str) -> None:
    while not sent(miner, *names):
        await asyncio.sleep(0.001)
    miner.machine.power_off(hold=True)


@pytest.mark.parametrize(
    ("profile", "command", "code"),
    [
        ("v1_m20s", "power_off", 132),
        ("v205_m50", "power_off", 132),
        ("v3_m7bs", "set.miner.service", -1),
    ],
)
async def test_refused_and_done_all_the_same(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    act: Act,
    state: Show,
    command: str,
    code: int,
) -> None:
    """A miner that stops with an error would stay off for good: no curtailment ends."""
    miner.refuse[command] = code
    task = hass.async_create_background_task(_do_all_the_same(miner, command), "stop")
    response = await act("curtail", target="stop")
    await task
    assert response["confirmed"] is True
    assert state("sensor", "curtailment") == "stop"
    miner.refuse.clear()
    await act("resume")
    assert miner.truth().mining is True


@pytest.mark.parametrize("minutes", [-60, 60])
async def test_clock_that_is_set(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    minutes: float,
) -> None:
    """After a clock was set back a miner that starts would not be stopped for an hour."""
    await act("curtail", target="stop")
    miner.machine.power_on()
    await miner.tick()
    utcnow = dt_util.utcnow
    with (
        later(5),
        patch(
            "homeassistant.util.dt.utcnow",
            lambda: utcnow() + timedelta(minutes=minutes),
        ),
    ):
        await coordinator.async_refresh()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().mining is False
    assert (
        coordinator.config_entry.runtime_data.curtailment.attributes["stopped_again"]
        == 1
    )


@pytest.mark.parametrize(
    "begin", ["2026-03-29T01:30:00+01:00", "2026-10-25T01:30:00+02:00"]
)
async def test_summer_time_inside_a_curtailment(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    state: Show,
    monkeypatch: pytest.MonkeyPatch,
    begin: str,
) -> None:
    """In one night of the year a curtailment would end an hour early, in one an hour late."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    begun = dt_util.parse_datetime(begin)
    assert begun

    def move_to(now: datetime) -> None:
        monkeypatch.setattr("homeassistant.util.dt.utcnow", lambda: now)

    begun = dt_util.as_utc(begun)
    move_to(begun)
    await act("curtail", target="stop", duration="03:00:00")
    until = dt_util.parse_datetime(state("sensor", "curtailment_until"))
    assert until
    assert until - begun == timedelta(hours=3)
    move_to(begun + timedelta(hours=2, minutes=58))
    await coordinator.async_refresh()
    assert state("sensor", "curtailment") == "stop"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert state("sensor", "curtailment") == "stop"
    move_to(begun + timedelta(hours=3, seconds=1))
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True


UNKNOWN = [
    ({"target": "nap"}, False),
    ({"target": None}, False),
    ({"since": "2026-11-01T10:00:00"}, False),
    ({"until": "2026-11-01T10:00:00"}, False),
    ({"until": 12}, False),
    ({"amount": "much", "target": "power"}, False),
    ({"ended_by": "moon"}, False),
    ({"invented": 1}, True),
]


@pytest.mark.parametrize(("change", "survives"), UNKNOWN)
async def test_unknown_content_of_the_storage(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    act: Act,
    state: Show,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    survives: bool,
) -> None:
    """After a rollback the entry would not load, or a miner stay off without a notice."""
    await act("curtail", target="stop", reason="expensive")
    coordinator.store.curtailment["active"][0] |= change
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "curtailment") == ("stop" if survives else "none")
    found = issue(hass, "curtailment_lost", entry)
    assert (found is None) is survives
    dropped = [m for m in caplog.messages if "Dropping the stored curtailment" in m]
    assert len(dropped) == (0 if survives else 1)


@pytest.mark.parametrize("missing", ["amount", "target", "since", "until"])
async def test_field_that_is_missing_in_the_storage(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    act: Act,
    missing: str,
) -> None:
    """After a rollback the entry would not load."""
    await act("curtail", target="stop")
    del coordinator.store.curtailment["active"][0][missing]
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert issue(hass, "curtailment_lost", entry)


@pytest.mark.parametrize(
    "stored",
    [
        {"watts": "many", "restarts": 3},
        {"watts": 2500, "last_restart": "2026-11-01T10:00:00", "restarts": None},
        {"watts": 2500, "day": "yesterday", "invented": 1},
    ],
)
async def test_unknown_content_of_the_target(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    stored: dict[str, Any],
    state: Show,
) -> None:
    """After a rollback the entry would not load."""
    await coordinator.store.async_keep("power_target", stored)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    known = isinstance(stored["watts"], int)
    assert state("number", "power_target") == ("2500" if known else "unknown")

"""Energy: the meter matches the miner, also after a restart, a gap or a power cut."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.energy import async_get_manager, validate
from homeassistant.components.recorder import Recorder, get_instance
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.const import (
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    UnitOfEnergy,
)
from homeassistant.core import Event, HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)
from sqlalchemy.exc import OperationalError

from custom_components.whatsminer.api import MinerState, Section
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.money.energy import Meter, Reading
from simulator import SimulatedMiner

from .conftest import Poll, RaceClock, Show

type Pass = Callable[..., Awaitable[float]]

ENTITY = "sensor.m50_04eb_energy"
KWH = {"unit_of_measurement": "kWh"}


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Prepare the database of the recorder, which must exist before Home Assistant starts."""


@pytest.fixture(autouse=True)
def _steady_time(freezer: FrozenDateTimeFactory) -> None:
    """Freeze the time of day until a test moves it."""
    freezer.move_to("2026-11-20 10:00:00+00:00")


@pytest.fixture
def energy(state: Show) -> Callable[[], float]:
    """Return a function that reads the meter."""
    return lambda: float(state("sensor", "energy"))


@pytest.fixture
def pass_time(
    miner: SimulatedMiner,
    clock: RaceClock,
    freezer: FrozenDateTimeFactory,
    poll: Poll,
) -> Pass:
    """Return a function that lets time pass with its polls, and returns the kWh that the simulated miner has used."""

    async def run(seconds: int) -> float:
        used = 0.0
        for second in range(1, seconds + 1):
            clock.advance(1)
            miner.truth()
            used += miner.machine.power_w / 3.6e6
            if second % 30 == 0:
                freezer.tick(30)
                await poll()
        return used

    return run


@pytest.fixture
def old_states(hass: HomeAssistant) -> Callable[[float], None]:
    """Return a function that stores the meter's state, as some minutes before a power cut."""

    def store(energy: float) -> None:
        data = {"native_value": energy, "native_unit_of_measurement": "kWh"}
        mock_restore_cache_with_extra_data(
            hass, [(State(ENTITY, f"{energy:.2f}", KWH), data)]
        )

    return store


START = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("powers", "expected"),
    [
        pytest.param([3400] * 5, [3400] * 4, id="steady"),
        pytest.param([3400, 3400, 50000, 3400, 3400], [3400] * 4, id="a spike"),
        pytest.param([3400, 3400, 0, 3400, 3400], [3400] * 4, id="a hole"),
        pytest.param([3400, 3400, 15, 15, 15], [3400, 1707.5, 15, 15], id="a stop"),
        pytest.param(
            [15, 15, 500, 1500, 3400, 3400], [15, 257.5, 1000, 2450, 3400], id="a start"
        ),
        pytest.param(
            [3400, 3400, 1500, 500, 15, 15], [3400, 2450, 1000, 257.5, 15], id="a fall"
        ),
        pytest.param([50000, 3400, 3400, 3400], [0, 3400, 3400], id="a spike first"),
        pytest.param([3400, 3400, 50000, 60000, 3400, 3400], None, id="two spikes"),
    ],
)
def test_a_reading_without_a_witness(
    powers: list[float], expected: list[float] | None
) -> None:
    """One wrong answer would add hundreds of kWh to the meter forever."""
    meter = Meter()
    readings = [
        Reading(START + timedelta(seconds=30 * number), watts)
        for number, watts in enumerate(powers)
    ]
    energy = sum(meter.add(reading) for reading in readings)
    if expected is None:  # what two polls say is believed, within the range of a power
        assert 0.5 < energy < 2
    else:
        assert energy == pytest.approx(sum(expected) * 30 / 3.6e6)


async def test_a_spike_in_one_poll(
    coordinator: WhatsminerCoordinator,
    energy: Callable[[], float],
    freezer: FrozenDateTimeFactory,
    pass_time: Pass,
) -> None:
    """One wrong answer would spoil the Energy dashboard forever: the same test in all of Home Assistant."""
    used = await pass_time(120)
    state = coordinator.data
    assert state.summary
    for watts in (50_000.0, state.summary.power):
        freezer.tick(30)
        state = replace(
            state,
            read_at=state.read_at + timedelta(seconds=30),
            summary=replace(state.summary, power=watts),
        )
        coordinator.async_set_updated_data(state)
    assert state.summary
    used += 60 * (state.summary.power or 0) / 3.6e6
    assert energy() == pytest.approx(used, abs=0.015)


@pytest.mark.parametrize(
    "profile",
    [
        "v205_m50",
        "v3_m7bs",
        pytest.param("v1_m20s", marks=pytest.mark.long),
        pytest.param("v2c_m60s", marks=pytest.mark.long),
        pytest.param("v3_m64_bad", marks=pytest.mark.long),
    ],
)
async def test_an_hour_with_a_stop(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """A user would not know the miner's share of the electricity bill."""
    assert energy() == 0
    used = await pass_time(1800)
    miner.machine.power_off()
    used += await pass_time(1800)
    if state("sensor", "energy") == STATE_UNAVAILABLE:  # old firmware, stopped
        assert state("sensor", "power") == STATE_UNAVAILABLE
        miner.machine.power_on()
        used += await pass_time(90)
    assert used > 1
    assert energy() == pytest.approx(used, rel=0.02)


async def test_restart_of_the_mining_process(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """The meter would be wrong after a minute without answers, or after twenty minutes of tuning."""
    used = await pass_time(600)
    miner.machine.restart()
    used += await pass_time(3000)
    assert energy() == pytest.approx(used, rel=0.02)


async def test_one_missed_poll(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """A single lost answer would count energy twice or lose half a minute."""
    used = await pass_time(120)
    before = energy()
    miner.inject("refuse")
    used += await pass_time(30)
    assert energy() == before
    miner.clear_failures()
    await miner.tick()
    used += await pass_time(120)
    assert energy() == pytest.approx(used, abs=0.015)


async def test_one_poll_without_a_power(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """A summary that is truncated from time to time would lose a minute each time."""
    used = await pass_time(120)
    miner.inject("truncate", "summary")
    used += await pass_time(30)
    assert state("sensor", "energy") == STATE_UNAVAILABLE
    miner.clear_failures()
    used += await pass_time(120)
    assert energy() == pytest.approx(used, abs=0.015)


async def test_read_of_something_else(
    coordinator: WhatsminerCoordinator,
    freezer: FrozenDateTimeFactory,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """The power of the previous poll would be counted for a time in which it is unknown."""
    await pass_time(60)
    before = energy()
    freezer.tick(60)
    coordinator.async_set_updated_data(
        await coordinator.miner.read(coordinator.data, sections=[Section.STATUS])
    )
    assert energy() == before


async def test_gap_is_not_invented(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """Ten minutes without mains would be counted."""
    used = await pass_time(300)
    miner.inject("refuse")
    await pass_time(600)
    assert state("sensor", "energy") == STATE_UNAVAILABLE
    miner.clear_failures()
    await miner.tick()
    await pass_time(30)
    assert energy() == pytest.approx(used, abs=0.015)
    used += await pass_time(300)
    assert energy() == pytest.approx(used, abs=0.015)


@pytest.mark.parametrize("hours", [-2, 2])
async def test_clock_that_jumps(
    coordinator: WhatsminerCoordinator,
    energy: Callable[[], float],
    pass_time: Pass,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    """A computer that wakes up or corrects its clock would add or remove hours."""
    used = await pass_time(300)
    read = coordinator.miner.read

    async def read_by_other_clock(*args: Any, **kwargs: Any) -> MinerState:
        state = await read(*args, **kwargs)
        return replace(state, read_at=state.read_at + timedelta(hours=hours))

    monkeypatch.setattr(coordinator.miner, "read", read_by_other_clock)
    await pass_time(30)
    before = energy()
    assert before == pytest.approx(used, abs=0.015)
    used = await pass_time(300)
    assert energy() - before == pytest.approx(used, abs=0.015)


async def test_reload_keeps_it(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """Each change of an option would lose up to 10 Wh, or the whole meter."""
    used = 0.0
    for _ in range(10):
        used += await pass_time(30)
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
    assert energy() == pytest.approx(used, abs=0.015)


async def test_restart_keeps_it(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    old_states: Callable[[float], None],
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """The year's total would restart at 0 with each update of Home Assistant."""
    old_states(1234.5678)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert energy() == 1234.56
    used = await pass_time(300)
    assert energy() == pytest.approx(1234.5678 + used, abs=0.015)


@pytest.mark.parametrize(
    ("restored", "recorded", "unit", "expected"),
    [
        pytest.param(10.0, "10.57", "kWh", 10.57, id="recorder is newer"),
        pytest.param(None, "10.57", "kWh", 10.57, id="restored data is lost"),
        pytest.param(10.0, "10570.1", "Wh", 10.57, id="shown in another unit"),
        pytest.param(10.0, "9.99", "kWh", 10.0, id="recorder is older"),
        pytest.param(10.0, "10.57", "W", 10.0, id="was something else"),
        pytest.param(10.0, "inf", "kWh", 10.0, id="no number"),
    ],
)
async def test_power_cut(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    old_states: Callable[[float], None],
    energy: Callable[[], float],
    restored: float | None,
    recorded: str,
    unit: str,
    expected: float,
) -> None:
    """The stored state is up to 15 minutes old after a power cut, so the Energy dashboard would count backwards."""
    unit_of = {"unit_of_measurement": unit}
    for value in (recorded, STATE_UNAVAILABLE, STATE_UNKNOWN):
        hass.states.async_set(ENTITY, value, unit_of)
        freezer.tick(30)
    await async_wait_recording_done(hass)
    hass.states.async_remove(ENTITY)
    if restored is not None:
        old_states(restored)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert energy() == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OperationalError("SELECT 1", {}, Exception("refused\nIs it on?")),
            "(builtins.Exception) refused",
        ),
        (TimeoutError(), "no answer in 10 s"),
    ],
    ids=["refuses", "hangs"],
)
async def test_broken_recorder(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    old_states: Callable[[float], None],
    energy: Callable[[], float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: str,
) -> None:
    """The meter would fail with an unavailable database; the log gives the reason in one line."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(
        "homeassistant.components.recorder.history.get_last_state_changes", fail
    )
    old_states(10.0)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert energy() == 10.0
    logged = [line for line in caplog.messages if "cannot be read" in line]
    assert logged == [f"{ENTITY}: the recorder cannot be read: {reason}"]


async def test_energy_dashboard(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    energy: Callable[[], float],
    pass_time: Pass,
) -> None:
    """The Energy dashboard would not accept the meter, or show a wrong total."""
    assert await async_setup_component(hass, "energy", {})
    manager = await async_get_manager(hass)
    await manager.async_update(
        {"device_consumption": [{"stat_consumption": ENTITY}]}  # type: ignore[typeddict-item]
    )
    begin = dt_util.utcnow()
    used = 0.0
    for _ in range(3):
        start = dt_util.utcnow()
        used += await pass_time(300)
        await async_wait_recording_done(hass)
        do_adhoc_statistics(hass, start=start)
    await async_wait_recording_done(hass)

    issues = (await validate.async_validate(hass)).as_dict()
    assert issues["device_consumption"] == [[]]
    found = await get_instance(hass).async_add_executor_job(
        statistics_during_period,
        hass,
        begin,
        None,
        {ENTITY},
        "5minute",
        {"energy": UnitOfEnergy.KILO_WATT_HOUR},
        {"sum"},
    )
    assert len(found[ENTITY]) == 3
    assert found[ENTITY][-1]["sum"] == pytest.approx(used, abs=0.03)


async def test_stopped_miner_writes_little(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    pass_time: Pass,
) -> None:
    """A miner that uses 15 W would add a state to the database every half minute."""
    miner.machine.power_off()
    clock.advance(600)
    await pass_time(60)
    events = async_capture_events(hass, EVENT_STATE_CHANGED)
    used = await pass_time(3600)

    def written(event: Event) -> bool:
        return event.data["entity_id"] == ENTITY

    assert 0.01 < used < 0.03
    assert 1 <= sum(map(written, events)) <= 3


async def test_exists_once_a_power_is_reported(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    poll: Poll,
    energy: Callable[[], float],
) -> None:
    """A meter without a readable power would show 0 forever."""
    miner.inject("truncate", "summary")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    unique_id = f"{entry.unique_id}_energy"
    registry = er.async_get(hass)
    assert registry.async_get_entity_id("sensor", DOMAIN, unique_id) is None
    miner.clear_failures()
    await poll()
    assert energy() == 0

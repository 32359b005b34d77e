"""Polling: what each failure costs, and that no number is ever invented."""

from dataclasses import replace
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_HOST,
    CONF_PORT,
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import (
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.api import Dialect
from custom_components.whatsminer.const import CONF_V3_PORT, SLOW_EVERY
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import PROFILES, SimulatedMiner

from .conftest import Find, Poll, RaceClock, Show


@pytest.fixture
def v3_is_open() -> bool:
    """Whether newer firmware is asked on port 4433."""
    return True


@pytest.fixture
def address(
    miner: SimulatedMiner, unused_tcp_port: int, v3_is_open: bool
) -> dict[str, Any]:
    """Where the miner is; a port that is closed stands for the one it does not have."""
    v3_port = miner.v3_port if v3_is_open else None
    return {
        CONF_HOST: miner.host,
        CONF_PORT: miner.port,
        CONF_V3_PORT: v3_port or unused_tcp_port,
    }


def _complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that a user sees in the log."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "whatsminer" in record.name
    ]


async def test_device(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entry: MockConfigEntry
) -> None:
    """Two equal miners must have different names, and show firmware and model for support."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.name == "M50 04EB"
    assert device.manufacturer == "MicroBT"
    assert device.model == "WhatsMiner M50"
    assert device.model_id == "M50_VH84"
    assert device.sw_version == "20230803.11.REL"
    assert device.connections == {(dr.CONNECTION_NETWORK_MAC, entry.unique_id)}


async def test_fast_and_slow(
    coordinator: WhatsminerCoordinator, miner: SimulatedMiner, poll: Poll
) -> None:
    """A control board that answers everything in every poll has less time to mine."""
    counts = []
    for _ in range(SLOW_EVERY):
        before = len(miner.commands)
        await poll()
        counts.append(len(miner.commands) - before)
    # Nine polls of one or two reads, then one with pools, PSU, errors, version, info and settings.
    assert set(counts[:-1]) == {1, 2}
    assert counts[-1] == 6
    assert sum(counts) <= 2 * SLOW_EVERY
    assert miner.most_open_connections == 1


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("v3_is_open", [True, False])
async def test_few_connections(
    coordinator: WhatsminerCoordinator, miner: SimulatedMiner, poll: Poll
) -> None:
    """A control board serves few connections, and other programs want some of them, too."""
    before = miner.connections_accepted + miner.v3_connections_accepted
    for _ in range(SLOW_EVERY):
        await poll()
    made = miner.connections_accepted + miner.v3_connections_accepted - before
    most = 1 if coordinator.miner.info.dialect is Dialect.V3 else 3
    assert 0 < made <= most * SLOW_EVERY


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.parametrize(
    ("command", "lost", "kept"),
    [
        ("pools", ["pool", "pool_user"], ["power", "psu_temperature", "fault"]),
        ("get_psu", ["psu_temperature"], ["power", "pool", "fault"]),
        ("get_error_code", ["fault"], ["power", "pool", "psu_temperature"]),
        ("devs", ["board_0_hashrate"], ["power", "hashrate"]),
        ("summary", ["power", "hashrate"], ["pool", "fault"]),
        ("status", ["stop_reason"], ["power", "pool", "board_0_hashrate"]),
    ],
)
@pytest.mark.parametrize("fault", ["truncate", "close"])
async def test_a_failing_read_costs_its_own_entities(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
    command: str,
    lost: list[str],
    kept: list[str],
    fault: str,
) -> None:
    """A miner that cuts its answer on pools must not take the power reading away."""
    miner.inject(fault, command)
    if command == "devs":
        miner.inject(fault, "edevs")
    for _ in range(SLOW_EVERY):
        await poll()
    assert [state("sensor", key) for key in lost] == [STATE_UNAVAILABLE] * len(lost)
    assert STATE_UNAVAILABLE not in [state("sensor", key) for key in kept]
    miner.clear_failures()
    for _ in range(SLOW_EVERY):
        await poll()
    assert STATE_UNAVAILABLE not in [state("sensor", key) for key in lost]


async def test_outage(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With zeros in an outage an automation would believe that the miner has stopped."""
    before = state("sensor", "power")
    miner.inject("refuse")
    await poll()
    assert state("sensor", "power") == before
    for _ in range(3):
        await poll()
    assert state("sensor", "power") == STATE_UNAVAILABLE
    assert state("switch", "mining") == STATE_UNAVAILABLE
    assert len(_complaints(caplog)) == 1
    miner.clear_failures()
    await miner.tick()
    await poll()
    assert float(state("sensor", "power")) > 3000
    assert state("switch", "mining") == "on"
    assert caplog.text.count("data recovered") == 1


async def test_silent_miner_is_given_up_early(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A miner that takes connections and says nothing must not be waited for eight times."""
    monkeypatch.setattr(
        "custom_components.whatsminer.api.transport.ANSWER_TIMEOUT", 0.1
    )
    miner.inject("silent")
    await poll()
    before = len(miner.commands)
    await poll()
    assert state("sensor", "power") == STATE_UNAVAILABLE
    assert len(miner.commands) - before == 1


@pytest.mark.parametrize(
    "profile", ["v1_m20s", "v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s"]
)
async def test_stopped_is_a_normal_state(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """A stopped miner that says 0 shows 0; one that says nothing shows nothing."""
    miner.machine.power_off()
    clock.advance(1200)
    await poll()
    assert state("sensor", "status") == "stopped"
    assert state("switch", "mining") == "off"
    if (
        coordinator.data.summary is None
    ):  # old firmware: btminer is down (protocol.md#a4)
        assert state("sensor", "hashrate") == STATE_UNAVAILABLE
        assert state("sensor", "power") == STATE_UNAVAILABLE
    else:
        assert float(state("sensor", "hashrate")) == 0
        assert float(state("sensor", "power")) < 30


async def test_reason_of_a_stop(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """Who finds the miner stopped wants to know by whom."""
    assert state("sensor", "stop_reason") == "none"
    miner.machine.power_off()
    clock.advance(60)
    await poll()
    assert state("sensor", "stop_reason") == miner.truth().stop_reason


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_a_restart_leaves_the_logbook_readable(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
) -> None:
    """A restart or a stop of btminer fills no page of the device with lines *became unknown*."""
    clock.advance(1800)
    await poll()
    lines: list[State] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        # The logbook leaves out what has a unit.
        if state and "unit_of_measurement" not in state.attributes:
            lines.append(state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    for command in (miner.machine.restart, miner.machine.power_off):
        command()
        for _ in range(4):
            await poll()
            clock.advance(10)
    assert "stopped" in {state.state for state in lines}
    assert [line.entity_id for line in lines if line.state == STATE_UNKNOWN] == []


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_settings_during_a_stop(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """A miner keeps its settings while it is stopped, but a power percent ends with its run."""
    assert state("select", "power_mode") == "normal"
    miner.machine.power_off()
    clock.advance(60)
    await poll()
    assert state("select", "power_mode") == "normal"
    miner.machine.set_mode("low")
    miner.machine.power_on()
    for _ in range(4):
        clock.advance(600)
        await poll()
    assert state("select", "power_mode") == "low"


@pytest.mark.parametrize("profile", ["v205_m50"])
async def test_settings_that_are_not_answered(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """A setting of days ago must not pass for the one of now."""
    assert state("select", "power_mode") == "normal"
    miner.refuse["status"] = 132
    miner.refuse["summary"] = 132
    coordinator.read_all_next()
    await poll()
    assert state("select", "power_mode") == STATE_UNKNOWN


@pytest.mark.parametrize("profile", ["v1_m20s", "v2c_m60s"])
async def test_phases_of_a_start(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """Ten minutes of starting and tuning are no fault and must have their own names."""
    miner.machine.restart()
    seen = []
    for seconds in (5, 25, 300, 7200):
        clock.advance(seconds)
        await poll()
        seen.append(state("sensor", "status"))
    assert seen == ["restarting", "starting", "tuning", "mining"]


@pytest.mark.parametrize("profile", ["v205_m50", "v3_m64_bad"])
async def test_no_efficiency_before_it_hashes(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """Each start would put a peak of 10000 J/TH into the graph, and spoil the mean of the hour."""
    miner.machine.restart()
    seen = []
    for _ in range(60):
        clock.advance(5)
        await poll()
        seen.append(state("sensor", "status"))
        if seen[-1] == "starting":
            assert state("sensor", "efficiency") == STATE_UNKNOWN
    assert "starting" in seen
    assert seen[-1] == "tuning"
    assert 10 < float(state("sensor", "efficiency")) < 200


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_nothing_vanishes_when_started_while_stopped(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """A restart of Home Assistant while the miner pauses must not lose its entities."""
    before = set(hass.states.async_entity_ids())
    miner.machine.power_off()
    clock.advance(60)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert set(hass.states.async_entity_ids()) == before
    assert state("sensor", "board_0_hashrate") == STATE_UNAVAILABLE
    assert state("sensor", "status") == "stopped"
    miner.machine.power_on()
    clock.advance(7200)
    await poll()
    assert float(state("sensor", "board_0_hashrate")) > 10


async def test_board_that_appears_later(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """A board that was dead at the start gets its entities when it comes back."""
    miner.set_board_count(2)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert not hass.states.get("sensor.m50_04eb_board_2_hashrate")
    miner.set_board_count(3)
    await poll()
    assert float(state("sensor", "board_2_hashrate")) > 10
    miner.set_board_count(2)
    await poll()
    # Reported by no one: not 0, and not the last value.
    assert state("sensor", "board_2_hashrate") == STATE_UNKNOWN


@pytest.mark.parametrize("mines", [True, False])
async def test_board_that_is_gone(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    entity_id: Find,
    mines: bool,
) -> None:
    """The sensors of a board that was taken out would stay for ever, and could not be deleted."""
    gone, kept = (entity_id("sensor", f"board_{slot}_hashrate") for slot in (2, 1))
    miner.set_board_count(2)
    if not mines:
        miner.machine.power_off()
        clock.advance(60)
    entry_id = coordinator.config_entry.entry_id
    assert await hass.config_entries.async_reload(entry_id)
    await hass.async_block_till_done()
    registry = er.async_get(hass)
    # A miner that is stopped may report less.
    assert bool(registry.async_get(gone)) is not mines
    assert registry.async_get(kept)


async def test_faults_as_text(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """A code alone sends its owner to a search engine."""
    assert state("binary_sensor", "problem") == "off"
    miner.set_errors([110, 541])
    for _ in range(SLOW_EVERY):
        await poll()
    assert state("binary_sensor", "problem") == "on"
    shown = state("sensor", "fault")
    assert "110" in shown
    assert "fan" in shown
    assert "541" in shown
    assert "oard 1" in shown
    miner.set_errors([531 + n for n in range(20)])
    for _ in range(SLOW_EVERY):
        await poll()
    assert len(state("sensor", "fault")) == 255


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_faults_with_the_reason_of_the_miner(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """API 3 says more than a code; that must not be kept from the user."""
    miner.set_errors([531])
    await poll()
    [(_, reason)] = miner.v3_truth().errors or ()
    assert reason
    assert reason.rstrip(".") in state("sensor", "fault")


async def test_another_miner_at_the_address(
    hass: HomeAssistant,
    entry: MockConfigEntry,
) -> None:
    """After DHCP has shuffled, the data of two miners must not be mixed up."""
    hass.config_entries.async_update_entry(entry, unique_id="aa:bb:cc:dd:ee:ff")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "wrong_miner"


async def test_unreachable_at_start(
    hass: HomeAssistant, entry: MockConfigEntry, miner: SimulatedMiner
) -> None:
    """A miner that is off when Home Assistant starts is found later without a user."""
    miner.inject("refuse")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"


# What the integration itself does; it is known without the miner.
OWN = (
    "_connectivity",
    "_curtailment",
    "_curtailment_reason",
    "_curtailment_until",
    "_power_decided_by",
    "_profile_state",
    "_sweet_spot_power",
    "_power_target_status",
    "_power_target_next_restart",
    "_power_target_restarts_today",
)


@pytest.mark.parametrize("is_off_before", [False, True])
async def test_miner_that_is_off_at_start(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
    caplog: pytest.LogCaptureFixture,
    entity_id: Find,
    is_off_before: bool,
) -> None:
    """After a power cut both start together; the entities must be there, and wake up alone.

    The owner must be able to see why, and to find one line for each end in each log.
    """
    before = set(hass.states.async_entity_ids())

    def reason() -> tuple[str, str | None]:
        shown = hass.states.get(entity_id("binary_sensor", "connectivity"))
        assert shown
        return shown.state, shown.attributes["reason"]

    if is_off_before:
        miner.inject("refuse")
        for _ in range(3):
            await poll()
        assert reason() == ("off", "cannot_connect")
        assert len(_complaints(caplog)) == 1
        caplog.clear()
    miner.inject("refuse")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert set(hass.states.async_entity_ids()) == before
    miners = {found for found in before if not found.endswith(OWN)}
    assert {hass.states.get(found).state for found in miners} == {STATE_UNAVAILABLE}  # type: ignore[union-attr]
    assert reason() == ("off", "cannot_connect")
    for _ in range(2):
        await poll()
    outage = [line.message for line in caplog.records if line.levelname == "ERROR"]
    assert len(outage) == 1
    assert "is offline: No device responds at" in outage[0]
    caplog.clear()
    miner.clear_failures()
    await miner.tick()
    await poll()
    assert reason() == ("on", None)
    back = [line for line in caplog.records if "recovered" in line.message]
    assert len(back) == 1
    assert float(state("sensor", "power")) > 3000
    assert state("binary_sensor", "write_access") == "on"


async def test_unload_closes_everything(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, miner: SimulatedMiner
) -> None:
    """An entry that was removed must leave the miner alone."""
    assert await hass.config_entries.async_unload(coordinator.config_entry.entry_id)
    asked = len(miner.commands)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(miner.commands) == asked
    assert miner.open_connections == 0


async def test_removal_forgets(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    hass_storage: dict[str, object],
) -> None:
    """The file of a miner must not stay behind when its entry is removed."""
    entry_id = coordinator.config_entry.entry_id
    await hass.config_entries.async_unload(entry_id)
    assert f"whatsminer.{entry_id}" in hass_storage
    await hass.config_entries.async_remove(entry_id)
    assert f"whatsminer.{entry_id}" not in hass_storage


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_lowered_limit_does_not_lower_the_bound(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
    entity_id: Find,
) -> None:
    """Who once lowers the limit must be able to raise it again, also after a restart."""

    def bounds() -> tuple[float, float]:
        number = hass.states.get(entity_id("number", "power_target"))
        assert number
        return number.attributes["min"], number.attributes["max"]

    assert bounds() == (1440, 3600)
    miner.machine.set_power_limit(2000)
    clock.advance(7200)
    await poll()
    assert bounds() == (1440, 3600)
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    assert bounds() == (1440, 3600)


async def test_one_odd_limit_moves_no_bound(
    coordinator: WhatsminerCoordinator, poll: Poll
) -> None:
    """One poll with a limit of 65 kW would forbid every limit that the miner takes, for ever."""
    await poll()
    state = coordinator.data
    assert state.summary
    odd = replace(state, summary=replace(state.summary, power_limit=65535))
    for each in (odd, state, odd, state):
        coordinator.store.observe(each)
    assert coordinator.store.power_ceiling == 3500
    for each in (odd, odd):
        coordinator.store.observe(each)
    assert coordinator.store.power_ceiling == 65535
    for each in (state, odd, state, state):
        coordinator.store.observe(each)
    assert coordinator.store.power_ceiling == 3500


async def test_bound_forbids_no_limit_of_the_miner(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entity_id: Find,
) -> None:
    """A miner that had a low limit when it was added could never be raised to its full power."""
    limit = hass.states.get(entity_id("number", "power_limit"))
    target = hass.states.get(entity_id("number", "power_target"))
    assert limit
    assert target
    assert limit.attributes["max"] == 99_999
    assert target.attributes["max"] == coordinator.store.power_ceiling == 3500


async def test_bound_is_only_what_the_miner_said(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
) -> None:
    """A bound drawn from other readings would grow with every ramp of the power."""
    for percent in (30, 100):
        miner.machine.set_percent(percent, gentle=False)
        for _ in range(10):
            clock.advance(30)
            await poll()
    assert coordinator.store.power_ceiling == 3500


@pytest.mark.parametrize("profile", ["v204_m30sp"])
async def test_bounds_of_a_miner_that_never_reported_its_limit(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    entity_id: Find,
) -> None:
    """For a stopped miner that reports no limit, not every value may count as too high."""
    miner.machine.power_off()
    clock.advance(60)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    number = hass.states.get(entity_id("number", "power_limit"))
    assert number
    assert (number.attributes["min"], number.attributes["max"]) == (1, 99_999)


async def test_one_refused_version_changes_nothing(
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """A miner that is busy for a moment must not be taken for one of another generation."""
    miner.refuse["get_version"] = 132
    for _ in range(SLOW_EVERY + 1):
        await poll()
    assert coordinator.data.info.api_version == "2.0.5"
    assert entry.runtime_data.coordinator is coordinator
    assert state("number", "power_limit") == "3500"


async def test_host_names_the_web_page(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """The device page must lead to the miner's own page."""
    [device] = dr.async_entries_for_config_entry(
        dr.async_get(hass), coordinator.config_entry.entry_id
    )
    host = coordinator.config_entry.data[CONF_HOST]
    assert device.configuration_url == f"http://{host}"


async def test_enabled_by_default(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """The first look must not be sixty entities, nor miss those that matter."""
    entries = er.async_entries_for_config_entry(
        er.async_get(hass), coordinator.config_entry.entry_id
    )
    mac = coordinator.config_entry.unique_id
    enabled = {
        found.unique_id.removeprefix(f"{mac}_")
        for found in entries
        if not found.disabled_by
    }
    assert len(enabled) < 50
    # Requested by the first users
    assert enabled >= {
        "power",
        "hashrate",
        "environment_temperature",
        "chip_temperature_avg",
        "chip_temperature_max",
        "fan_speed_in",
        "fan_speed_out",
        "mining",
    }
    assert enabled >= {
        "power",
        "hashrate",
        "efficiency",
        "temperature",
        "status",
        "mining",
        "power_limit",
        "power_percent",
        "power_mode",
        "problem",
        "fault",
    }


async def test_noise_writes_nothing(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    clock: RaceClock,
    poll: Poll,
) -> None:
    """The database of a home would grow by forty thousand rows a day for each miner."""
    changed: list[str] = []

    @callback
    def count(event: Event[EventStateChangedData]) -> None:
        changed.append(event.data["entity_id"])

    polls = 40
    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, count)
    for _ in range(polls):
        clock.advance(30)
        await poll()
    stop()
    assert len(changed) <= 7 * polls
    # Nothing has changed while the miner's time stands still
    changed.clear()
    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, count)
    await poll()
    stop()
    assert {entity_id.rpartition("_")[2] for entity_id in changed} <= {"energy"}


async def test_a_small_rest_is_not_shown_for_zero(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    poll: Poll,
) -> None:
    """A slow drift must show in the end, and a miner that has stopped must show 0."""
    sensor = "board_0_temperature"
    before = float(state("sensor", sensor))
    miner.machine.power_off()
    for _ in range(30):
        clock.advance(5)
        await poll()
        true = miner.truth().boards[0].temperature_c
        assert abs(float(state("sensor", sensor)) - (true or 0)) <= 1.01
    assert float(state("sensor", sensor)) < before - 2
    assert float(state("sensor", "hashrate")) == 0

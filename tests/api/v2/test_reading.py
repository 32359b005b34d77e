"""Reading: everything the miner reports, and what a poll does when it does not."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    BtminerDownError,
    CannotConnectError,
    Cooling,
    Feature,
    MinerState,
    NoAnswerError,
    NoPasswordError,
    Section,
    UnsupportedCommandError,
    connect,
    miner as base_miner,
    transport,
)
from custom_components.whatsminer.api.models import Board, Summary, with_boards
from simulator import ManualClock, Phase, Timing, Truth

from ..conftest import near, said
from .conftest import (
    ACTIVITIES,
    DIALECTS,
    M50,
    V1,
    V2C,
    V204,
    Start,
    client,
    every_profile,
    names,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


# Who is there


@every_profile
async def test_connect_identifies(start: Start, profile: str) -> None:
    """The user would see a device without model, or none at all."""
    sim = await start(profile)
    miner = await client(sim)
    info = miner.info
    assert info.dialect is DIALECTS[profile]
    assert info.api_version == sim.profile.api_version
    assert info.firmware == sim.profile.firmware
    assert info.model == sim.profile.model
    assert info.mac == sim.mac
    assert info.cooling is (Cooling.LIQUID if sim.profile.liquid else Cooling.AIR)
    v1 = profile == V1
    assert info.platform == (None if v1 else sim.profile.platform)
    assert info.hostname == (None if v1 else "WhatsMiner")
    assert info.led_auto is (None if v1 else True)
    assert (info.serial is None) is v1
    assert (Feature.POWER_LIMIT in info.features) is not v1
    assert (Feature.RESTORE_POWER_PERCENT in info.features) is (profile == V2C)
    assert (Feature.POWER_PERCENT in info.unreadable) is (profile != V2C)
    assert names(sim, encrypted=True) == []
    assert sim.tokens_issued == 0


@every_profile
async def test_connect_to_a_stopped_miner(start: Start, profile: str) -> None:
    """A miner that is off could not be added, or not be found again after a restart."""
    sim = await start(profile, state="stopped")
    miner = await client(sim, mac=sim.mac.lower())
    assert miner.info.dialect is DIALECTS[profile]
    assert miner.info.firmware == sim.profile.firmware
    assert miner.info.mac is not None
    state = await miner.read()
    assert state.activity is Activity.STOPPED
    assert state.mining is False


async def test_a_miner_without_password_can_be_read_only(start: Start) -> None:
    """Reads need no password, and a write must say what is missing."""
    sim = await start()
    miner = await connect(sim.host, sim.port)
    assert not miner.has_password
    assert (await miner.read()).summary is not None
    with pytest.raises(NoPasswordError):
        await miner.stop_mining()
    assert sim.tokens_issued == 0


# Reading


def assert_matches(state: MinerState, truth: Truth) -> None:
    """Compare all that was read with what is true of the simulated miner."""
    summary, psu = state.summary, state.psu
    assert summary is not None
    assert summary.hashrate == near(truth.hashrate_ths)
    assert summary.hashrate_average == near(truth.hashrate_average_ths)
    assert summary.hashrate_5s == near(truth.hashrate_5s_ths)
    assert summary.hashrate_1m == near(truth.hashrate_1m_ths)
    assert summary.hashrate_5m == near(truth.hashrate_5m_ths)
    assert summary.hashrate_15m == near(truth.hashrate_15m_ths)
    assert summary.hashrate_target == near(truth.hashrate_target_ths)
    assert summary.hashrate_nominal == near(truth.hashrate_nominal_ths)
    assert summary.power == pytest.approx(truth.power_w, abs=1)
    if truth.power_rate_jth is not None:
        assert summary.efficiency == said(truth.power_rate_jth)
    assert summary.power_limit == said(truth.power_limit_w)
    assert summary.power_mode == truth.power_mode
    assert summary.temperature == near(truth.temperature_c)
    assert summary.environment_temperature == near(truth.environment_temperature_c)
    assert summary.chip_temperature_min == near(truth.chip_temperature_min_c)
    assert summary.chip_temperature_avg == near(truth.chip_temperature_avg_c)
    assert summary.chip_temperature_max == near(truth.chip_temperature_max_c)
    assert summary.fan_speed_in == truth.fan_speed_in_rpm
    assert summary.fan_speed_out == truth.fan_speed_out_rpm
    assert summary.frequency_average == pytest.approx(
        truth.frequency_average_mhz, abs=1
    )
    assert summary.elapsed == near(truth.elapsed_s)
    assert summary.uptime == truth.uptime_s
    assert state.accepted_shares == sum(pool.accepted for pool in truth.pools)
    assert state.rejected_shares == sum(pool.rejected for pool in truth.pools)
    assert summary.reject_rate == near(truth.reject_rate_percent)
    assert summary.stable is truth.hash_stable
    assert summary.fast_boot is truth.fast_boot

    assert state.boards is not None
    assert [board.slot for board in state.boards] == [b.slot for b in truth.boards]
    for board in truth.boards:
        read = state.board(board.slot)
        assert read is not None
        assert read.hashrate == pytest.approx(board.hashrate_ths, abs=0.011)
        assert read.temperature == near(board.temperature_c)
        assert read.chip_temperature_min == near(board.chip_temperature_min_c)
        assert read.chip_temperature_avg == near(board.chip_temperature_avg_c)
        assert read.chip_temperature_max == near(board.chip_temperature_max_c)
        assert read.frequency == pytest.approx(board.frequency_mhz, abs=1)
        assert read.chips == board.chips

    assert state.mining is truth.mining
    assert state.activity is ACTIVITIES[truth.phase]
    assert state.status is not None
    assert state.status.stop_reason == truth.stop_reason
    assert state.status.power_percent == truth.power_percent
    assert state.status.liquid_temperature == truth.liquid_temperature_c

    assert [
        (pool.url, pool.user, pool.active, pool.status, pool.accepted, pool.rejected)
        for pool in state.pools or ()
    ] == [
        (p.url, p.user, p.active, p.status.lower(), p.accepted, p.rejected)
        for p in truth.pools
    ]
    assert psu is not None
    assert psu.model == truth.psu.model
    assert psu.input_voltage == near(truth.psu.input_voltage_v)
    assert psu.input_current == near(truth.psu.input_current_a)
    assert psu.input_power == (
        None
        if truth.psu.input_power_w is None
        else pytest.approx(truth.psu.input_power_w, abs=1)
    )
    assert (psu.fan_speed or summary.psu_fan_speed or 0) == (
        truth.psu.fan_speed_rpm or 0
    )
    assert psu.temperature == near(truth.psu.temperature_c)
    assert tuple(fault.code for fault in state.faults or ()) == truth.error_codes
    assert state.info.firmware == truth.firmware
    assert state.info.model == truth.model


@every_profile
async def test_everything_is_read(start: Start, profile: str) -> None:
    """Any of these values could be wrong by a factor, or belong to another part."""
    sim = await start(profile)
    sim.set_errors([110, 2010])
    miner = await client(sim)
    state = await miner.read()
    assert state.failed == {}
    assert_matches(state, sim.truth())
    assert (datetime.now(UTC) - state.read_at).total_seconds() < 5


@pytest.mark.parametrize("seconds", [20, 300])
@every_profile
async def test_everything_is_read_while_it_starts(
    start: Start, clock: ManualClock, profile: str, seconds: int
) -> None:
    """A tuning miner has its own units, zeros and means."""
    sim = await start(profile, state="starting")
    miner = await client(sim)
    clock.advance(seconds)
    state = await miner.read()
    assert state.failed == {}
    assert_matches(state, sim.truth())
    assert state.activity is (Activity.STARTING if seconds == 20 else Activity.TUNING)


@every_profile
async def test_a_restarting_miner_is_not_broken(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """A restart would be shown as zeros, or as a failure of the whole device."""
    sim = await start(profile)
    miner = await client(sim)
    sim.machine.restart()
    clock.advance(5)
    assert sim.truth().phase is Phase.BTMINER_DOWN
    state = await miner.read()
    assert state.activity is Activity.RESTARTING
    assert state.summary is None
    assert state.boards is None
    assert isinstance(state.failed[Section.SUMMARY], BtminerDownError)
    assert state.status is not None
    assert state.psu is not None


@every_profile
async def test_a_fast_read_is_short(start: Start, profile: str) -> None:
    """Each poll would take seconds of a slow control board."""
    sim = await start(profile)
    miner = await client(sim)
    before = await miner.read()
    sim.commands.clear()
    state = await miner.read(before, slow=False)
    short = ["summary", "edevs"] if profile == V2C else ["summary+devs"]
    assert names(sim) == short
    assert state.pools is before.pools
    assert state.psu is before.psu
    assert state.faults is before.faults
    assert state.read_at > before.read_at


# Joined reads (protocol.md#a5)

TOGETHER = "summary+devs+pools"
OLDER = pytest.mark.parametrize("profile", [name for name in DIALECTS if name != V2C])


@OLDER
async def test_joined_reads_are_as_good_as_single_ones(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """A board that serves few connections is asked less, and no figure may get lost by that."""
    sim = await start(profile)
    sim.set_errors([110, 2010])
    miner = await client(sim)
    state = await miner.read()
    assert (
        names(sim)[-1] == TOGETHER
    )  # only compared with what the single reads have reported
    clock.advance(60)
    sim.commands.clear()
    state = await miner.read(state)
    assert names(sim)[:2] == [TOGETHER, "status"]
    assert not {"summary", "devs", "pools"} & set(names(sim)) or profile == "v1_m20s"
    assert state.failed == {}
    assert_matches(state, sim.truth())


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        (profile, fault)
        for profile in DIALECTS
        for fault in ("truncate", "even_fields", "error_45", "close")
        # 2.2.x joins nothing; what 2.0.4 joins is no JSON, so that no field can be left out
        if profile != V2C and (profile, fault) != ("v204_m30sp", "even_fields")
    ],
)
@pytest.mark.parametrize("when", ["at first", "later"])
async def test_joined_reads_are_given_up(
    start: Start, profile: str, fault: str, when: str
) -> None:
    """Firmware that answers them in part would show a miner without hashrate, or without boards."""
    sim = await start(profile)
    miner = await client(sim)
    if when == "later":
        await miner.read()
    for together in (TOGETHER, "summary+devs"):
        sim.inject(fault, together)
    state = await miner.read()
    assert_matches(state, sim.truth())
    sim.clear_failures()
    sim.commands.clear()
    for slow in (True, False, False):
        state = await miner.read(state, slow=slow)
        assert state.failed == {}
    assert not [name for name in names(sim) if "+" in name]
    # Another firmware may answer after a restart
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read(state)
    await sim.start()
    await miner.read(state)
    assert names(sim)[-1] == TOGETHER


async def test_a_join_that_is_never_whole_is_not_tried(start: Start) -> None:
    """2.2.x leaves out power and hashrate of a joined summary."""
    sim = await start(V2C)
    miner = await client(sim)
    for slow in (True, False, True):
        await miner.read(slow=slow)
    assert not [name for name in names(sim) if "+" in name]


@pytest.mark.parametrize("profile", [V2C, "v205_m50"])
async def test_status_is_asked_for_as_long_as_something_happens(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """A miner that somebody stops would be shown as starting, or for a minute as mining."""
    sim = await start(profile)
    miner = await client(sim)
    state = await miner.read()
    asked = []
    for _ in range(4):
        sim.commands.clear()
        state = await miner.read(state, slow=False)
        asked.append("status" in names(sim))
        assert_matches(state, sim.truth())
    assert asked == [False, True, False, True]
    sim.machine.power_off()
    clock.advance(60)
    state = await miner.read(state, slow=False)
    assert state.activity is Activity.STOPPED
    sim.machine.power_on()
    clock.advance(300)
    for _ in range(3):
        sim.commands.clear()
        state = await miner.read(state, slow=False)
        assert "status" in names(sim)
    assert state.activity is Activity.TUNING


async def test_status_is_asked_for_after_a_command(start: Start) -> None:
    """A command is confirmed by reading back, which must not see what was before it."""
    sim = await start(V2C)
    miner = await client(sim)
    state = await miner.read()
    await miner.set_power_percent(80, fast=True)
    state = await miner.read(state, slow=False)
    assert names(sim)[-1] == "status"


async def test_single_sections_can_be_read(start: Start) -> None:
    """After a command only the field that shows it is read."""
    sim = await start()
    miner = await client(sim)
    before = await miner.read()
    sim.commands.clear()
    state = await miner.read(before, sections=[Section.STATUS])
    assert names(sim) == ["status"]
    assert state.summary is before.summary


SECTION_COMMANDS = {
    Section.SUMMARY: ["summary"],
    Section.BOARDS: ["devs", "edevs"],
    Section.STATUS: ["status"],
    Section.POOLS: ["pools"],
    Section.PSU: ["get_psu"],
    Section.FAULTS: ["get_error_code"],
    Section.INFO: ["get_version"],
}


@pytest.mark.usefixtures("skip_waiting")
@pytest.mark.parametrize("fault", ["truncate", "close", "reset", "silent"])
@pytest.mark.parametrize("section", SECTION_COMMANDS)
async def test_a_failing_read_costs_only_its_section(
    start: Start, section: Section, fault: str
) -> None:
    """One miner cuts its `pools` every time, and would never be available."""
    sim = await start(V2C)
    miner = await client(sim)
    whole = await miner.read()
    for command in SECTION_COMMANDS[section]:
        sim.inject(fault, command)
    state = await miner.read(whole)
    assert set(state.failed) == {section}
    for other in set(Section) - {section, Section.INFO}:
        assert getattr(state, other) is not None
    if section is Section.INFO:
        assert state.info == whole.info
    else:
        assert getattr(state, section) is None
    sim.clear_failures()
    assert (await miner.read(state)).failed == {}


async def test_a_failure_is_remembered_until_it_is_read_again(start: Start) -> None:
    """A fast poll would make a section look well that was not asked."""
    sim = await start()
    miner = await client(sim)
    sim.inject("truncate", "pools")
    state = await miner.read()
    sim.clear_failures()
    state = await miner.read(state, slow=False)
    assert set(state.failed) == {Section.POOLS}
    assert (await miner.read(state)).failed == {}


@pytest.mark.usefixtures("skip_waiting")
async def test_a_silent_miner_is_given_up_early(start: Start) -> None:
    """Seven deadlines of ten seconds would be longer than the time between polls."""
    sim = await start()
    miner = await client(sim)
    sim.commands.clear()
    sim.inject("silent")
    with pytest.raises(NoAnswerError):
        await miner.read()
    assert names(sim) == ["summary", "devs"]


@pytest.mark.usefixtures("skip_waiting")
@every_profile
async def test_a_poll_of_a_slow_miner_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """A miner whose every answer is late would hold up the start of Home Assistant for minutes."""
    monkeypatch.setattr(base_miner, "POLL_TIMEOUT", 1.0)
    sim = await start(profile, timing=Timing(answer_s=0.22))
    miner = await client(sim)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    state = await miner.read()
    assert loop.time() - begun < 2
    assert state.summary
    assert state.boards
    late = set(state.failed)
    assert late
    assert all(isinstance(state.failed[each], NoAnswerError) for each in late)
    # The next poll that has the time reads it
    sim.commands.clear()
    state = await miner.read(state, sections=list(late)[:1])
    assert set(state.failed) == late - set(list(late)[:1])
    assert "get_version" not in names(sim) or Section.INFO in late
    monkeypatch.setattr(base_miner, "POLL_TIMEOUT", 0.1)
    with pytest.raises(NoAnswerError):
        await miner.read(state)


async def test_a_section_read_alone_and_not_answered(start: Start) -> None:
    """The confirmation of a command would take silence for a state."""
    sim = await start()
    miner = await client(sim)
    sim.inject("close")
    with pytest.raises(NoAnswerError):
        await miner.read(sections=[Section.STATUS])


async def test_a_miner_that_is_gone(start: Start) -> None:
    """The entities must become unavailable, not keep yesterday's values."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read(state)


async def test_a_miner_that_goes_in_the_middle_of_a_poll(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said before it went is kept, and the rest is not asked for in vain."""
    sim = await start()
    miner = await client(sim)
    exchange = transport.exchange
    asked: list[str] = []

    async def dying(host: str, port: int, request: dict[str, Any]) -> bytes:
        asked.append(request["cmd"])
        if request["cmd"] == "status":
            raise CannotConnectError("gone")
        return await exchange(host, port, request)

    monkeypatch.setattr(transport, "exchange", dying)
    state = await miner.read()
    assert asked == ["summary", "devs", "status"]
    assert state.summary is not None
    assert set(state.failed) == set(Section) - {Section.SUMMARY, Section.BOARDS}
    assert all(isinstance(err, CannotConnectError) for err in state.failed.values())


@pytest.mark.parametrize(
    "fault",
    [
        "bytewise",
        "nul",
        "newline",
        "never_close",
        "stall_after_answer",
        "trailing_comma",
        "raw_newline",
        "joined_objects",
        "list_comma",
        "psu_comma",
        "leading_comma",
        "duplicate_key",
        "no_asc",
        "clock_zero",
        "clock_negative",
    ],
)
@every_profile
async def test_a_harmless_oddity_changes_nothing(
    start: Start, profile: str, fault: str
) -> None:
    """Each was seen in the field and would cost its owner the whole miner."""
    sim = await start(profile)
    sim.inject(fault)
    sim.set_errors([110])
    miner = await client(sim)
    state = await miner.read()
    assert state.failed == {}
    assert_matches(state, sim.truth())


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("bare_nan", "temperature"),
        ("string_inf", "hashrate_15m"),
        ("power_missing", "power"),
    ],
)
@every_profile
async def test_a_value_that_is_none(
    start: Start, profile: str, fault: str, field: str
) -> None:
    """An invented number would be charted, and costs counted from it."""
    sim = await start(profile)
    miner = await client(sim)
    sim.inject(fault, "summary")
    state = await miner.read()
    assert state.failed == {}
    assert getattr(state.summary, field) is None
    assert state.summary is not None
    assert state.summary.hashrate == near(sim.truth().hashrate_ths)


@pytest.mark.parametrize("profile", [V204, M50, V2C])
async def test_a_status_without_a_flag_or_an_envelope(
    start: Start, profile: str
) -> None:
    """The hashrate tells whether it mines when the flag does not."""
    sim = await start(profile)
    miner = await client(sim)
    sim.inject("no_flag", "status")
    state = await miner.read()
    assert state.status is not None
    assert state.status.off is None
    assert state.activity is Activity.MINING
    sim.clear_failures()
    sim.inject("no_envelope", "status")
    state = await miner.read()
    assert state.status is not None
    assert state.status.off is False


@every_profile
async def test_a_lost_board_is_gone(start: Start, profile: str) -> None:
    """Its last values would be shown for ever."""
    sim = await start(profile)
    miner = await client(sim)
    before = await miner.read()
    sim.set_board_count(2)
    state = await miner.read(before)
    assert [board.slot for board in state.boards or ()] == [0, 1]


@pytest.mark.parametrize("code", [14, 132])
async def test_the_other_board_command_is_tried_and_kept(
    start: Start, code: int
) -> None:
    """Some firmware answers only `devs`, other only `edevs`."""
    sim = await start()
    miner = await client(sim)
    sim.refuse = {"devs": code}
    sim.commands.clear()
    state = await miner.read(slow=False)
    assert state.boards is not None
    assert names(sim) == ["summary", "devs", "edevs", "status"]
    sim.commands.clear()
    await miner.read(state, slow=False)
    assert names(sim) == ["summary", "edevs"]


async def test_no_board_command_works(start: Start) -> None:
    """The reason is reported, and the rest of the miner is still there."""
    sim = await start()
    sim.refuse = {"devs": 14, "edevs": 14}
    state = await (await client(sim)).read()
    assert isinstance(state.failed[Section.BOARDS], UnsupportedCommandError)
    assert state.summary is not None


async def test_an_unknown_read_is_refused(start: Start) -> None:
    """Actions of the integration tell the user that this firmware cannot do it."""
    miner = await client(await start())
    with pytest.raises(UnsupportedCommandError) as caught:
        await miner.send_read("get_coffee")
    assert caught.value.code == 14


def test_the_state_of_tuning_of_the_boards() -> None:
    """A board that is dead would keep its miner tuning for ever."""
    summary, dead = Summary(), Board(slot=0, hashrate=0, tuned=False)
    tuned, tuning, unknown = (
        Board(slot=1, hashrate=30, tuned=done) for done in (True, False, None)
    )
    assert with_boards(summary, (dead, tuned)).stable is True
    assert with_boards(summary, (tuned, tuning)).stable is False
    assert with_boards(summary, (tuned, unknown)).stable is None
    assert with_boards(summary, (dead,)).stable is None
    reported = Summary(stable=True)
    assert with_boards(reported, (tuning,)) == reported

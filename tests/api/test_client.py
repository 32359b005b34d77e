"""The whole client over real sockets against simulated miners of every dialect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    Cooling,
    Dialect,
    Feature,
    InvalidAnswerError,
    LedColor,
    LedPattern,
    MinerState,
    NoAnswerError,
    NoMacError,
    NoPasswordError,
    PowerMode,
    Section,
    TokenRejectedError,
    TokenTableFullError,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WhatsminerError,
    WriteApiDisabledError,
    WrongMinerError,
    WrongPasswordError,
    connect,
    miner as base_miner,
    transport,
)
from custom_components.whatsminer.api.v2 import miner as v2_miner
from custom_components.whatsminer.api.v2.miner import V2Miner
from simulator import ManualClock, Phase, SimulatedMiner, Timing, Truth

PASSWORD = "Secret_1"
V1, V204, M50, M56S, V2C = PROFILES = (
    "v1_m20s",
    "v204_m30sp",
    "v205_m50",
    "v205_m56s",
    "v2c_m60s",
)
DIALECTS = {
    V1: Dialect.V1,
    V204: Dialect.V2,
    M50: Dialect.V2,
    M56S: Dialect.V2,
    V2C: Dialect.V2_2,
}
ACTIVITIES = {
    Phase.STABLE: Activity.MINING,
    Phase.UPFREQ: Activity.TUNING,
    Phase.STARTING: Activity.STARTING,
    Phase.BTMINER_DOWN: Activity.RESTARTING,
    Phase.STOPPED: Activity.STOPPED,
}
RED = LedPattern(color=LedColor.RED)
FAST = [Section.SUMMARY, Section.BOARDS, Section.STATUS]

type Start = Callable[..., Awaitable[SimulatedMiner]]

pytestmark = pytest.mark.usefixtures("client_sockets")
every_profile = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for the miner and for the client's tokens; it moves only when a test advances it."""
    clock = ManualClock()
    monkeypatch.setattr(v2_miner, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
async def start(
    clock: ManualClock,
    client_sockets: list[transport.Line],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Start]:
    """Start simulated miners; they are stopped at the end."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    miners: list[SimulatedMiner] = []

    async def start_one(profile: str = M50, **options: Any) -> SimulatedMiner:
        settings = {"clock": clock, "password": PASSWORD, "epoch": 1_700_000_000.0}
        miner = SimulatedMiner(profile, **settings | options)
        await miner.start()
        miners.append(miner)
        return miner

    yield start_one
    for miner in miners:
        await miner.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short deadline, so that waiting for nothing takes no time."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.3)


async def client(sim: SimulatedMiner, **options: Any) -> V2Miner:
    """Connect to a simulated miner with the right password."""
    miner = await connect(sim.host, sim.port, **{"password": PASSWORD} | options)
    assert isinstance(miner, V2Miner)
    return miner


def names(sim: SimulatedMiner, *, encrypted: bool | None = None) -> list[str]:
    """What the miner received, in order."""
    return [
        command.name
        for command in sim.commands
        if encrypted is None or command.encrypted is encrypted
    ]


def near(value: float | None) -> Any:
    """The same, as far as the wire shows it."""
    return None if value is None else pytest.approx(value, rel=1e-4, abs=0.051)


def said(value: float | None) -> Any:
    """The same; the miner's 0 stands for nothing."""
    return near(value) if value else None


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


# Joined reads (A.5)

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


@pytest.mark.usefixtures("impatient")
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


@pytest.mark.usefixtures("impatient")
async def test_a_silent_miner_is_given_up_early(start: Start) -> None:
    """Seven deadlines of ten seconds would be longer than the time between polls."""
    sim = await start()
    miner = await client(sim)
    sim.commands.clear()
    sim.inject("silent")
    with pytest.raises(NoAnswerError):
        await miner.read()
    assert names(sim) == ["summary", "devs"]


@pytest.mark.usefixtures("impatient")
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
        await miner.ask("get_coffee")
    assert caught.value.code == 14


# Writing

type Write = Callable[[V2Miner], Awaitable[None]]
type Check = Callable[[Truth], bool]

ALL = set(PROFILES)
# command on the wire, how it is called, seconds until it shows, how it shows, who has it
WRITES: list[tuple[str, Write, float, Check, set[str]]] = [
    ("power_off", lambda m: m.stop_mining(), 3, lambda t: not t.mining, ALL),
    (
        "restart_btminer",
        lambda m: m.restart_btminer(),
        5,
        lambda t: t.phase is Phase.BTMINER_DOWN,
        ALL,
    ),
    ("reboot", lambda m: m.reboot(), 30, lambda t: t.phase is Phase.OFF_BOARD, ALL),
    *(
        (
            f"set_{mode}_power",
            lambda m, mode=mode: m.set_power_mode(PowerMode(mode)),
            120,
            lambda t, mode=mode: t.power_mode == mode,
            ALL,
        )
        for mode in ("low", "normal", "high")
    ),
    (
        "adjust_power_limit",
        lambda m: m.set_power_limit(3000),
        120,
        lambda t: t.power_limit_w == 3000,
        ALL - {V1},
    ),
    (
        "set_power_pct",
        lambda m: m.set_power_percent(50),
        10,
        lambda t: t.frequency_average_mhz < 0.9 * t.frequency_target_mhz,
        {V1, V204},
    ),
    (
        "set_power_pct_v2",
        lambda m: m.set_power_percent(50),
        300,
        lambda t: t.frequency_average_mhz < 0.9 * t.frequency_target_mhz,
        {M50, M56S},
    ),
    (
        "set_power_pct_v2",
        lambda m: m.set_power_percent(75),
        300,
        lambda t: t.power_percent == 75,
        {V2C},
    ),
    (
        "enable_cgminer_fast_boot",
        lambda m: m.set_fast_boot(True),
        1,
        lambda t: True,  # 1.x does not show it; see the machine below
        {V1},
    ),
    (
        "enable_btminer_fast_boot",
        lambda m: m.set_fast_boot(True),
        1,
        lambda t: t.fast_boot is True,
        ALL - {V1},
    ),
    (
        "set_led",
        lambda m: m.set_leds(RED),
        1,
        lambda t: t.led_auto is not True,
        ALL,
    ),
]
CASES = [
    pytest.param(profile, command, call, wait, check, id=f"{command}-{profile}")
    for command, call, wait, check, profiles in WRITES
    for profile in sorted(profiles)
]


@pytest.mark.parametrize(("profile", "command", "call", "wait", "check"), CASES)
async def test_a_write_has_its_effect(
    start: Start,
    clock: ManualClock,
    profile: str,
    command: str,
    call: Write,
    wait: float,
    check: Check,
) -> None:
    """A control that the miner does not understand moves nothing but the dashboard."""
    sim = await start(profile)
    miner = await client(sim)
    await miner.read()
    before = sim.truth()
    if command == "set_normal_power":
        sim.machine.set_mode("low")
        clock.advance(600)
        before = sim.truth()
    if command in sim.profile.unanswered:
        with pytest.raises(UnknownOutcomeError):
            await call(miner)
    else:
        await call(miner)
    clock.advance(wait)
    truth = sim.truth()
    assert truth != before
    assert check(truth)
    assert names(sim, encrypted=True) == [command]
    assert names(sim).count("get_token") == 1
    if command == "enable_cgminer_fast_boot":
        assert sim.machine.fast_boot


@every_profile
async def test_a_stopped_miner_is_started(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """The mining switch would work in one direction only."""
    sim = await start(profile, state="stopped")
    miner = await client(sim)
    await miner.start_mining()
    clock.advance(3)
    assert sim.truth().mining
    clock.advance(3600)
    state = await miner.read()
    assert state.activity is Activity.MINING


@every_profile
async def test_settings_are_taken_back(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """Fast boot off and the LED back to automatic are commands of their own."""
    sim = await start(profile)
    sim.machine.fast_boot = True
    sim.machine.leds = {0: "1,2,3"}
    miner = await client(sim)
    await miner.set_fast_boot(False)
    await miner.set_led_auto()
    assert sim.machine.fast_boot is False
    assert sim.machine.leds == {}


@every_profile
async def test_both_leds_blink(start: Start, profile: str) -> None:
    """Somebody in front of forty miners looks for this one."""
    sim = await start(profile)
    await (await client(sim)).blink()
    assert names(sim, encrypted=True) == ["set_led", "set_led"]
    assert set(sim.machine.leds) == {0, 1}


async def test_the_percent_is_taken_back(start: Start, clock: ManualClock) -> None:
    """A miner on 2.2 would stay throttled until its next restart."""
    sim = await start(V2C)
    miner = await client(sim)
    await miner.set_power_percent(60)
    clock.advance(300)
    assert sim.truth().power_percent == 60
    await miner.restore_power_percent()
    clock.advance(5)
    assert sim.truth().power_percent == 100


@every_profile
async def test_power_off_is_worded_for_its_firmware(start: Start, profile: str) -> None:
    """2.2 firmware was seen to dislike `respbefore`; older may not answer without."""
    sim = await start(profile)
    await (await client(sim)).stop_mining()
    (power_off,) = [c for c in sim.commands if c.name == "power_off"]
    assert power_off.params == ({} if profile == V2C else {"respbefore": "true"})


@pytest.mark.parametrize("code", [14, 23, 132])
@pytest.mark.parametrize("profile", [M50, V2C])
async def test_power_off_is_reworded_once_after_a_refusal(
    start: Start, profile: str, code: int
) -> None:
    """The owner could not stop a miner that wants the other wording."""
    sim = await start(profile)
    miner = await client(sim)
    sim.refuse = {"power_off": code}
    with pytest.raises(WhatsminerError):
        await miner.stop_mining()
    sent = [c.params for c in sim.commands if c.name == "power_off"]
    assert {"respbefore": "true"} in sent
    assert {} in sent
    assert len(sent) == 2


async def test_power_off_is_not_reworded_when_writes_are_off(start: Start) -> None:
    """Another wording would be refused as well, and cost another token."""
    sim = await start(api_switch=False)
    with pytest.raises(WriteApiDisabledError):
        await (await client(sim)).stop_mining()
    assert names(sim).count("power_off") == 1


async def test_early_2_0_5_gets_the_fast_percent(
    start: Start, clock: ManualClock
) -> None:
    """2.0.5 firmware that does not know the gentle command could not be throttled."""
    sim = await start(M50, refuse={"set_power_pct_v2": 14})
    miner = await client(sim)
    await miner.set_power_percent(50)
    await miner.set_power_percent(60)
    assert names(sim, encrypted=True) == [
        "set_power_pct_v2",
        "set_power_pct",
        "set_power_pct",
    ]


async def test_percent_above_100_on_liquid_only(start: Start) -> None:
    """An air miner would be driven beyond what its fans can take away."""
    air, liquid = await start(M50), await start(M56S, seed=2)
    with pytest.raises(ValueError, match="between 0 and 100"):
        await (await client(air)).set_power_percent(101)
    assert names(air, encrypted=True) == []
    miner = await client(liquid)
    with pytest.raises(ValueError, match="between 0 and 200"):
        await miner.set_power_percent(201)
    with pytest.raises(CommandRefusedError):
        await miner.set_power_percent(120)  # this one refuses; others take it
    assert names(liquid, encrypted=True) == ["set_power_pct_v2"]


async def test_percent_above_100_is_never_sent_the_fast_way(start: Start) -> None:
    """The fast command has no such range on any firmware."""
    sim = await start(M56S, refuse={"set_power_pct_v2": 14})
    with pytest.raises(ValueError, match="between 0 and 100"):
        await (await client(sim)).set_power_percent(120)
    assert names(sim, encrypted=True) == ["set_power_pct_v2"]


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.set_power_limit(0),
        lambda m: m.set_power_limit(-1),
        lambda m: m.set_power_limit(100_000),
        lambda m: m.set_power_percent(-1),
        lambda m: m.set_leds(replace(RED, period=-1)),
        lambda m: m.set_leds(replace(RED, start=60_001)),
        lambda m: m.restore_power_percent(),
    ],
)
async def test_nonsense_is_never_sent(start: Start, call: Write) -> None:
    """A power limit of 0 would lift the limit instead of stopping the miner."""
    sim = await start(M50)
    with pytest.raises(ValueError):
        await call(await client(sim))
    assert names(sim, encrypted=True) == []
    assert sim.tokens_issued == 0


async def test_1_x_has_no_power_limit(start: Start) -> None:
    """The command came with 2.0; sending it would only cost a token."""
    sim = await start(V1)
    with pytest.raises(ValueError, match=r"v1\.4\.0 cannot set power_limit"):
        await (await client(sim)).set_power_limit(3000)
    assert sim.tokens_issued == 0


# Tokens (B.5)


@every_profile
async def test_one_token_serves_forty_writes(start: Start, profile: str) -> None:
    """The miner has 32 tokens for this address; the 33rd write would lock it."""
    sim = await start(profile)
    miner = await client(sim)
    for number in range(40):
        await miner.set_leds(replace(RED, duration=number))
    assert names(sim, encrypted=True) == ["set_led"] * 40
    assert sim.tokens_issued == 1


async def test_a_token_is_kept_25_minutes_and_not_longer(
    start: Start, clock: ManualClock
) -> None:
    """Kept too short it fills the table, too long it is rejected."""
    sim = await start()
    miner = await client(sim)
    await miner.set_led_auto()
    clock.advance(25 * 60 - 1)
    await miner.set_led_auto()
    assert sim.tokens_issued == 1
    clock.advance(2)
    await miner.set_led_auto()
    assert sim.tokens_issued == 2
    assert names(sim, encrypted=True) == ["set_led"] * 3


async def test_a_rejected_token_is_replaced_once(
    start: Start, clock: ManualClock
) -> None:
    """After a power cut the first command would fail for no reason the user sees."""
    sim = await start()
    miner = await client(sim)
    await miner.set_led_auto()
    sim.forget_tokens()
    sim.commands.clear()
    await miner.stop_mining()
    assert names(sim, encrypted=True) == ["power_off", "power_off"]
    assert names(sim).count("get_token") == 1
    clock.advance(3)
    assert not sim.truth().mining


async def test_a_token_that_stays_rejected(start: Start) -> None:
    """More than one retry would fill the token table."""
    sim = await start(refuse={"set_led": 135})
    miner = await client(sim)
    with pytest.raises(TokenRejectedError):
        await miner.set_led_auto()
    assert names(sim, encrypted=True) == ["set_led", "set_led"]
    assert sim.tokens_issued == 2


async def test_a_changed_password_is_noticed(start: Start) -> None:
    """The user is prompted for the new one instead of seeing a dead switch."""
    sim = await start()
    miner = await client(sim)
    await miner.set_led_auto()
    sim.set_password("another")
    with pytest.raises(WrongPasswordError):
        await miner.set_led_auto()
    sim.set_password(PASSWORD)
    await miner.set_led_auto()


async def test_a_reboot_ends_the_token(start: Start, clock: ManualClock) -> None:
    """The first command after a reboot would be sent twice."""
    sim = await start(M50)
    miner = await client(sim)
    await miner.reboot()
    clock.advance(300)
    await sim.tick()
    sim.commands.clear()
    await miner.set_led_auto()
    assert names(sim, encrypted=True) == ["set_led"]
    assert sim.tokens_issued == 2


@pytest.mark.parametrize("profile", [M50, V2C])
async def test_a_full_token_table_is_left_alone(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """Each further get_token starts the miner's waiting time anew, for everybody."""
    sim = await start(profile)
    miner = await client(sim)
    sim.fill_token_table()
    sim.commands.clear()
    with pytest.raises(TokenTableFullError) as caught:
        await miner.set_led_auto()
    assert caught.value.retry_after == 185
    clock.advance(180)
    for call in (miner.set_led_auto, miner.stop_mining, miner.check_password):
        with pytest.raises(TokenTableFullError) as caught:
            await call()
        assert caught.value.retry_after == pytest.approx(5)
    assert names(sim).count("get_token") == 1
    await miner.read()
    sim.forget_tokens()
    clock.advance(5)
    await miner.set_led_auto()
    assert names(sim).count("get_token") == 2


# One at a time (A.1)


@every_profile
async def test_one_socket_at_a_time(start: Start, profile: str) -> None:
    """Two open sockets make the miner say `over max connect`, or mix up two tokens."""
    sim = await start(profile)
    miner = await client(sim)
    await asyncio.gather(
        *(miner.read() for _ in range(3)),
        *(miner.set_leds(replace(RED, duration=number)) for number in range(5)),
        miner.set_fast_boot(True),
        miner.check_password(),
        miner.identify(),
    )
    assert sim.most_open_connections == 1
    assert sim.tokens_issued == 1
    assert "get_token" in names(sim)


async def test_a_cancelled_call_frees_the_miner(start: Start) -> None:
    """After a reload of the integration the miner would hang for ever."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "summary", 1)
    task = asyncio.create_task(miner.read())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await miner.read()).failed == {}


# What goes wrong, each with its own name


async def test_a_wrong_password(start: Start) -> None:
    """The user would search everywhere but in the password."""
    sim = await start(password="another")
    miner = await client(sim)
    with pytest.raises(WrongPasswordError):
        await miner.check_password()
    with pytest.raises(WrongPasswordError):
        await miner.set_led_auto()
    assert "set_led" not in names(sim)


async def test_the_write_api_is_off(start: Start) -> None:
    """The user is advised to turn on the switch, not to change the password."""
    sim = await start(api_switch=False)
    miner = await client(sim)
    await miner.check_password()
    with pytest.raises(WriteApiDisabledError):
        await miner.check_write_access()
    with pytest.raises(WriteApiDisabledError):
        await miner.stop_mining()
    assert sim.truth().mining


async def test_the_token_table_is_full(start: Start) -> None:
    """The user is reported to wait, not that the password is wrong."""
    sim = await start()
    miner = await client(sim)
    sim.fill_token_table()
    with pytest.raises(TokenTableFullError):
        await miner.check_password()


async def test_nobody_is_there(start: Start) -> None:
    """A wrong address is distinguished from a wrong device."""
    sim = await start()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await client(sim)


async def test_the_password_check_changes_nothing(start: Start) -> None:
    """Adding a miner would restart it."""
    for profile in PROFILES:
        sim = await start(profile)
        miner = await client(sim)
        before = sim.truth()
        await miner.check_password()
        await miner.check_write_access()
        assert sim.truth() == before
        # An LED pattern of the owner's is left alone
        sim.machine.leds = {0: "1,2,3"}
        miner = await client(sim)
        await miner.check_write_access()
        assert sim.machine.leds == {0: "1,2,3"}


@pytest.mark.parametrize("code", [14, 132, 135])
async def test_any_other_refusal_means_that_the_password_is_right(
    start: Start, code: int
) -> None:
    """Firmware that refuses sealed reads could never be given a password."""
    sim = await start(refuse={"status": code})
    await (await client(sim)).check_password()


@pytest.mark.usefixtures("impatient")
async def test_a_password_check_without_an_answer(start: Start) -> None:
    """A silent miner says nothing about the password."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "status")
    with pytest.raises(NoAnswerError):
        await miner.check_password()


# The outcome of a write is unknown (D.8)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    ["applied_no_answer", "silent", "close", "reset", "truncate", "stall_midway"],
)
@every_profile
async def test_an_unanswered_write_is_never_repeated(
    start: Start, clock: ManualClock, profile: str, fault: str
) -> None:
    """A second reboot would come in the middle of the first one."""
    sim = await start(profile)
    miner = await client(sim)
    sim.inject(fault, "power_off")
    with pytest.raises(UnknownOutcomeError):
        await miner.stop_mining()
    assert names(sim, encrypted=True) == ["power_off"]
    clock.advance(3)
    assert sim.truth().mining is (fault in {"silent", "close", "reset"})


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_never_left_had_no_effect(start: Start) -> None:
    """It may be reported as failed, and the user may retry it."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "get_token")
    with pytest.raises(NoAnswerError):
        await miner.stop_mining()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.stop_mining()
    assert names(sim, encrypted=True) == []


# Another miner has the address


async def test_another_miner_from_the_start(start: Start) -> None:
    """The history of two miners would be mixed."""
    for profile in PROFILES:
        sim = await start(profile)
        with pytest.raises(WrongMinerError) as caught:
            await client(sim, mac="00:11:22:33:44:55")
        assert caught.value.expected == "00:11:22:33:44:55"
        assert caught.value.found == sim.mac
        assert names(sim, encrypted=True) == []


@pytest.mark.parametrize("written", [False, True], ids=["fresh", "with a token"])
@pytest.mark.parametrize("noticed", [False, True], ids=["between polls", "noticed"])
@every_profile
async def test_no_write_reaches_another_miner(
    start: Start, profile: str, written: bool, noticed: bool
) -> None:
    """A stop for the boiler would stop the miner of a neighbour."""
    sim = await start(profile)
    miner = await client(sim)
    if written:
        await miner.set_leds(RED)
    await sim.stop()
    if noticed:
        with pytest.raises(CannotConnectError):
            await miner.read()
    else:
        with pytest.raises(CannotConnectError):
            await miner.set_led_auto()
    other = await start(profile, port=sim.port, seed=2)
    assert other.mac != sim.mac
    with pytest.raises(WrongMinerError):
        await miner.stop_mining()
    assert other.truth().mining
    assert not other.machine.leds
    # Not even when asked again
    with pytest.raises(WrongMinerError):
        await miner.stop_mining()
    assert other.truth().mining


@every_profile
async def test_another_miner_with_the_same_password_and_no_gap(
    start: Start, profile: str
) -> None:
    """Two miners that swap addresses between two polls have usually the same password."""
    sim = await start(profile)
    miner = await client(sim)
    await miner.set_leds(RED)
    await sim.stop()
    other = await start(profile, port=sim.port, seed=2)
    with pytest.raises(WrongMinerError):
        await miner.stop_mining()
    assert other.truth().mining


@pytest.mark.usefixtures("impatient")
@every_profile
async def test_another_miner_when_the_token_ends_behind_a_poll(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """A command that waits for a poll would get its next token from a miner nobody has looked at."""
    sim = await start(profile)
    miner = await client(sim)
    await miner.set_leds(RED)
    await sim.stop()
    other = await start(profile, port=sim.port, seed=2)
    other.inject("silent", "pools")
    polling = asyncio.create_task(miner.ask("pools"))
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(miner.stop_mining())
    await asyncio.sleep(0.05)
    assert not polling.done()
    clock.advance(v2_miner.TOKEN_LIFE)
    with pytest.raises(NoAnswerError):
        await polling
    with pytest.raises(WrongMinerError):
        await stopping
    assert other.truth().mining


@pytest.mark.parametrize("profile", [V1, M50])
async def test_another_miner_is_noticed_by_a_poll(start: Start, profile: str) -> None:
    """The entities would show the values of another miner."""
    sim = await start(profile)
    miner = await client(sim)
    state = await miner.read()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read(state)
    await start(profile, port=sim.port, seed=2)
    with pytest.raises(WrongMinerError):
        await miner.read(state)


async def test_the_same_miner_is_found_again(start: Start) -> None:
    """A power cut would need a reload of the integration."""
    sim = await start()
    miner = await client(sim)
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read()
    await start(port=sim.port)
    assert (await miner.read()).failed == {}
    await miner.set_led_auto()


async def test_a_miner_keeps_its_mac_without_being_told(start: Start) -> None:
    """The first MAC that a connection has seen is the one that it expects."""
    sim = await start()
    miner = await client(sim)
    assert miner.info == replace(miner.info, mac=sim.mac)
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read()
    await start(port=sim.port, seed=5)
    with pytest.raises(WrongMinerError):
        await miner.read()


async def test_a_broken_sealed_answer_is_unknown(start: Start) -> None:
    """Only a clear answer is a success."""
    sim = await start()
    miner = await client(sim)
    sim.inject("truncate", "set_led")
    with pytest.raises(UnknownOutcomeError) as caught:
        await miner.set_led_auto()
    assert isinstance(caught.value.__cause__, InvalidAnswerError)


# A miner that does not report its MAC


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@every_profile
async def test_no_write_reaches_a_miner_that_reports_no_mac(
    start: Start, profile: str, used: bool
) -> None:
    """A machine with the same password would only have to leave its MAC out to be commanded."""
    sim = await start(profile)
    miner = await client(sim, mac=sim.mac)
    if used:
        await miner.set_leds(RED)
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read()
    other = await start(profile, port=sim.port, seed=2)
    other.inject("no_mac")
    other.inject("error_132", "get_miner_info")
    for _ in range(2):
        with pytest.raises(NoMacError):
            await miner.stop_mining()
    assert other.truth().mining
    # The same miner reports it again: nothing has to be reloaded
    await other.stop()
    again = await start(profile, port=sim.port)
    await miner.stop_mining()
    assert again.applied[-1] == "power_off"


@every_profile
async def test_a_miner_that_never_reported_a_mac(start: Start, profile: str) -> None:
    """The config flow would say that its mining process is down."""
    sim = await start(profile)
    sim.inject("no_mac")
    miner = await client(sim)
    assert miner.info.mac is None
    with pytest.raises(NoMacError):
        miner.require_mac()
    sim.clear_failures()
    await miner.read()
    miner.require_mac()
    assert miner.info.mac == sim.mac


async def test_a_stopped_miner_of_1_x_reports_no_mac(start: Start) -> None:
    """A curtailed miner could not be started again after a restart of Home Assistant."""
    sim = await start(V1, state="stopped")
    miner = await client(sim)
    with pytest.raises(BtminerDownError):
        miner.require_mac()
    known = await client(sim, mac=sim.mac)
    await known.start_mining()
    assert sim.truth().mining


async def test_a_stopped_miner_with_another_power_supply(start: Start) -> None:
    """Two stopped miners of 1.x that swap addresses report no MAC that distinguishes them."""
    sim = await start(V1)
    miner = await client(sim)
    await miner.read()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read()
    other = await start(V1, port=sim.port, seed=2, state="stopped")
    miner._psu_serial = "another"  # noqa: SLF001 - simulated power supplies are all alike
    with pytest.raises(NoMacError):
        await miner.start_mining()
    assert other.applied == []


# Miners that swap addresses while the connection never fails


@pytest.mark.parametrize("serials", [True, False], ids=["serials", "no serials"])
@pytest.mark.parametrize("later", [0, 3600], ids=["same uptime", "other uptime"])
@every_profile
async def test_swapped_addresses_are_noticed(
    start: Start, clock: ManualClock, profile: str, serials: bool, later: int
) -> None:
    """The energy of a neighbour's miner would be counted for five minutes."""
    first = await start(profile)
    clock.advance(later)
    second = await start(profile, seed=2)
    if not serials:
        for sim in (first, second):
            sim.inject("no_serials")
    miner = await client(first)
    state = await miner.read()
    state = await miner.read(state, slow=False)
    miner.port = second.port
    shown = 0
    for _ in range(3):
        try:
            state = await miner.read(state, slow=False)
        except WrongMinerError:
            break
        shown += 1
    else:
        pytest.fail("not noticed")
    assert shown <= (0 if serials or later else 1)
    with pytest.raises(WrongMinerError):
        await miner.read(state, slow=False)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_suspicion_is_settled_before_anything_is_shown(
    start: Start, answered: bool
) -> None:
    """A miner that does not answer just then would be believed from the next poll on."""
    first, second = await start(), await start(seed=2)
    miner = await client(first)
    state = await miner.read()
    miner.port = second.port
    second.inject("error_132" if answered else "close", "get_miner_info")
    for _ in range(2):
        with pytest.raises(NoMacError if answered else NoAnswerError):
            await miner.read(state, slow=False)
    second.clear_failures()
    with pytest.raises(WrongMinerError):
        await miner.read(state, slow=False)


@every_profile
async def test_recognizing_costs_nothing(
    start: Start, clock: ManualClock, profile: str
) -> None:
    """A board that serves few connections would get one more in each poll."""
    sim = await start(profile)
    miner = await client(sim)
    state = await miner.read()
    for _ in range(6):
        sim.commands.clear()
        state = await miner.read(state, slow=False)
        assert "get_miner_info" not in names(sim)

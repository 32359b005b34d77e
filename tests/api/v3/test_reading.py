"""Reading: everything the miner reports, and what a poll does when it does not."""

import asyncio
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    MinerState,
    NoAnswerError,
    PowerMode,
    Section,
)
from simulator import ManualClock, Truth, V3Truth

from ..conftest import near, said
from .conftest import (
    ACTIVITIES,
    M60S,
    M64,
    POLL,
    Client,
    Start,
    every_profile,
    names,
    until,
    written,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


# Reading


def assert_matches(state: MinerState, truth: V3Truth, v2: Truth) -> None:
    """Compare all that was read with what is true; 4028 reports what 4433 leaves out."""
    summary, status = state.summary, state.status
    assert summary is not None
    assert summary.hashrate == near(truth.hashrate_ths)
    assert summary.hashrate_average == near(truth.hashrate_average_ths)
    assert summary.hashrate_1m == near(truth.hashrate_1m_ths)
    assert summary.hashrate_15m == near(truth.hashrate_15m_ths)
    assert summary.hashrate_nominal == near(truth.hashrate_nominal_ths)
    assert summary.power == near(truth.power_realtime_w)
    assert summary.power_5m == near(truth.power_5min_w)
    assert summary.efficiency == said(truth.power_rate_jth)
    assert summary.power_limit == said(truth.power_limit_w)
    assert summary.power_mode == truth.power_mode
    assert summary.environment_temperature == near(truth.environment_temperature_c)
    assert summary.chip_temperature_min == near(truth.chip_temperature_min_c)
    assert summary.chip_temperature_avg == near(truth.chip_temperature_avg_c)
    assert summary.chip_temperature_max == near(truth.chip_temperature_max_c)
    assert summary.fan_speed_in == truth.fan_speed_in_rpm
    assert summary.fan_speed_out == truth.fan_speed_out_rpm
    assert summary.frequency_average == pytest.approx(
        truth.frequency_average_mhz, abs=0.5
    )
    assert summary.elapsed == truth.elapsed_s
    assert summary.uptime == truth.uptime_s
    assert summary.stable is truth.upfreq_complete
    assert summary.fast_boot is truth.fast_boot

    assert state.boards is not None
    assert [board.slot for board in state.boards] == [b.slot for b in truth.boards]
    for board, temperature in zip(
        truth.boards, truth.board_temperatures_c, strict=True
    ):
        read = state.board(board.slot)
        assert read is not None
        assert read.hashrate == near(board.hashrate_average_ths)
        assert read.hashrate_average == near(board.hashrate_average_ths)
        assert read.hashrate_nominal == near(board.hashrate_nominal_ths)
        assert read.temperature == near(temperature)
        assert read.chip_temperature_min == near(board.chip_temperature_min_c)
        assert read.chip_temperature_avg == near(board.chip_temperature_avg_c)
        assert read.chip_temperature_max == near(board.chip_temperature_max_c)
        assert read.frequency == near(board.frequency_mhz)
        assert read.chips == board.chips
    assert state.temperature == near(max(truth.board_temperatures_c))

    assert state.mining is truth.mining
    assert state.activity is ACTIVITIES[truth.phase]
    assert status is not None
    assert status.off is not truth.mining
    assert status.power_mode == truth.power_mode
    assert status.power_percent == (truth.power_percent or 100)
    assert status.liquid_temperature == near(truth.psu.liquid_temperature_c)
    assert status.firmware == truth.firmware
    if truth.power_limit_set_w is not None:
        assert status.power_limit_set == truth.power_limit_set_w

    assert [
        (pool.url, pool.user, pool.active, pool.status, pool.reject_rate)
        for pool in state.pools or ()
    ] == [
        (p.url, p.user, p.active, p.status, near(p.reject_rate_percent))
        for p in truth.pools
    ]
    assert [(pool.accepted, pool.rejected) for pool in state.pools or ()] == [
        (pool.accepted, pool.rejected) for pool in v2.pools
    ]
    active = next((pool for pool in truth.pools if pool.active), None)
    assert state.reject_rate == near(active and active.reject_rate_percent)
    psu = state.psu
    reported: Any = truth.psu if truth.psu.input_voltage_v is not None else v2.psu
    assert psu is not None
    assert psu.model == reported.model
    assert psu.input_voltage == near(reported.input_voltage_v)
    assert psu.input_current == near(reported.input_current_a)
    assert psu.input_power == pytest.approx(reported.input_power_w, abs=1)
    assert psu.fan_speed == pytest.approx(reported.fan_speed_rpm, abs=0.5)
    assert psu.temperature == near(reported.temperature_c)
    assert psu.serial
    assert [fault.code for fault in state.faults or ()] == list(v2.error_codes)
    if truth.errors is not None:
        assert [(fault.code, fault.reason) for fault in state.faults or ()] == list(
            truth.errors
        )
    assert state.info.api_switch is truth.api_switch
    assert state.info.firmware == truth.firmware
    assert state.info.model == truth.model


@every_profile
async def test_everything_is_read(start: Start, client: Client, profile: str) -> None:
    """Any of these values could be wrong by a factor, or belong to another part."""
    sim = await start(profile)
    sim.set_errors([531, 2010])
    state = await (await client(sim)).read()
    assert state.failed == {}
    assert_matches(state, sim.v3_truth(), sim.truth())


@pytest.mark.parametrize("seconds", [20, 300])
@every_profile
async def test_everything_is_read_while_it_starts(
    start: Start, client: Client, clock: ManualClock, profile: str, seconds: int
) -> None:
    """A tuning miner has its own zeros and means."""
    sim = await start(profile, state="starting")
    miner = await client(sim)
    clock.advance(seconds)
    state = await miner.read()
    assert state.failed == {}
    assert_matches(state, sim.v3_truth(), sim.truth())
    assert state.activity is (Activity.STARTING if seconds == 20 else Activity.TUNING)


@pytest.mark.parametrize(
    "fault",
    [
        "bytewise",
        "nul",
        "newline",
        "split_header",
        "report_between",
        "heartbeat_between",
        "heartbeat_answered",
        "trailing_comma",
        "leading_comma",
        "joined_objects",
        "list_comma",
        "clock_zero",
        "clock_negative",
    ],
)
async def test_a_harmless_oddity_changes_nothing(
    start: Start, client: Client, fault: str
) -> None:
    """Each is possible on the way, and would cost its owner the whole miner."""
    sim = await start()
    sim.inject(fault)
    sim.set_errors([531])
    state = await (await client(sim)).read()
    assert state.failed == {}
    assert_matches(state, sim.v3_truth(), sim.truth())


async def test_one_connection_serves_many_polls(
    start: Start, client: Client, clock: ManualClock, crowd: list[int]
) -> None:
    """A connection for each poll would fill the ten places that the miner has."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read(slow=False)
    sim.commands.clear()
    for _ in range(20):
        clock.advance(15)
        state = await miner.read(state, slow=False)
        assert state.failed == {}
    short = [name for name in POLL if name != "get.miner.setting"]
    assert names(sim) == [*short, *POLL] * 10
    assert names(sim, "v2") == []
    assert sim.v3_connections_accepted == 1
    assert sim.connections_accepted == 0
    assert crowd == [1]


async def test_a_slow_poll_fetches_the_shares(
    start: Start, client: Client, crowd: list[int]
) -> None:
    """Only 4028 counts them; two sockets at the same time would be too many for it."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read()
    assert state.accepted_shares == sum(pool.accepted for pool in sim.truth().pools)
    assert state.accepted_shares
    assert names(sim) == [
        "get.device.info",
        *POLL,
        "get.system.setting",
        "get.fan.setting",
    ]
    assert names(sim, "v2") == ["pools"]
    fast = await miner.read(state, slow=False)
    assert fast.pools is state.pools
    assert names(sim, "v2") == ["pools"]
    assert max(crowd) == 1


async def test_what_a_firmware_leaves_out_is_read_now_and_then(
    start: Start, client: Client
) -> None:
    """The M60S would have no faults and no power supply, or a new connection each poll."""
    sim = await start(M60S)
    sim.set_errors([110])
    miner = await client(sim)
    state = await miner.read(slow=False)
    assert set(names(sim, "v2")) == {"get_psu", "get_error_code"}
    assert [fault.code for fault in state.faults or ()] == [110]
    sim.commands.clear()
    fast = await miner.read(state, slow=False)
    assert names(sim, "v2") == []
    assert (fast.psu, fast.faults) == (state.psu, state.faults)
    sim.set_errors([])
    slow = await miner.read(fast)
    assert slow.faults == ()
    assert set(names(sim, "v2")) == {"get_psu", "get_error_code", "pools"}


async def test_a_power_supply_that_4028_does_not_tell_either(
    start: Start, client: Client
) -> None:
    """Its model and fan are better than nothing."""
    sim = await start(M60S, refuse={"get_psu": 14, "get_error_code": 14})
    state = await (await client(sim)).read()
    assert state.psu is not None
    assert state.psu.fan_speed == pytest.approx(sim.v3_truth().psu.fan_speed_rpm, abs=1)
    assert set(state.failed) == {Section.FAULTS}


async def test_single_sections_can_be_read(start: Start, client: Client) -> None:
    """After a command only the field that shows it is read."""
    sim = await start()
    miner = await client(sim)
    before = await miner.read()
    sim.commands.clear()
    state = await miner.read(before, sections=[Section.STATUS])
    assert names(sim) == ["get.device.info", "get.miner.setting"]
    assert state.summary is before.summary


@every_profile
async def test_a_lost_board_is_gone(start: Start, client: Client, profile: str) -> None:
    """Its last values would be shown for ever."""
    sim = await start(profile)
    miner = await client(sim)
    before = await miner.read()
    sim.set_board_count(2)
    state = await miner.read(before)
    assert [board.slot for board in state.boards or ()] == [0, 1]


SECTIONS = {
    "get.miner.status": {Section.SUMMARY, Section.BOARDS, Section.POOLS},
    "get.device.info": {
        Section.STATUS,
        Section.PSU,
        Section.FAULTS,
        Section.INFO,
        Section.SETTINGS,
    },
    "get.miner.setting": set(),
    "get.system.setting": set(),
    "get.fan.setting": set(),
}


@pytest.mark.usefixtures("skip_waiting")
@pytest.mark.parametrize(
    "fault", ["truncate", "close", "reset", "silent", "stall_midway", "short_length"]
)
@pytest.mark.parametrize("command", SECTIONS)
@every_profile
async def test_a_failing_read_costs_only_its_sections(
    start: Start, client: Client, profile: str, command: str, fault: str
) -> None:
    """One answer that is cut every time would make the whole miner unavailable."""
    sim = await start(profile)
    miner = await client(sim)
    whole = await miner.read()
    assert whole.failed == {}
    sim.inject(fault, command)
    state = await miner.read(whole)
    assert set(state.failed) == SECTIONS[command]
    for section in set(Section) - {Section.INFO}:
        assert (getattr(state, section) is None) is (section in SECTIONS[command])
    assert state.info == whole.info
    sim.clear_failures()
    assert (await miner.read(state)).failed == {}
    assert not miner.outdated


@pytest.mark.parametrize("code", [-1, -2, -3, -4, -5])
@pytest.mark.parametrize("command", SECTIONS)
async def test_a_refused_read_costs_only_its_sections(
    start: Start, client: Client, command: str, code: int
) -> None:
    """The same for one that this firmware does not know."""
    sim = await start()
    miner = await client(sim)
    whole = await miner.read()
    sim.refuse = {command: code}
    state = await miner.read(whole)
    assert set(state.failed) == SECTIONS[command]
    assert all(isinstance(err, CommandRefusedError) for err in state.failed.values())
    if command == "get.miner.setting":
        assert state.power_mode is PowerMode.HIGH  # get.device.info has it as well
        assert state.status is not None
        assert state.status.power_percent is None


JOINS = tuple(f"get.miner.status=summary+edevs{pools}" for pools in ("", "+pools"))


@pytest.mark.parametrize("code", [-1, -2, -3])
async def test_an_idle_miner_that_tells_only_its_summary(
    start: Start, client: Client, code: int
) -> None:
    """It would be shown as restarting for as long as it is stopped (protocol.md#e5)."""
    alone = ("get.miner.status=edevs", "get.miner.status=pools")
    refuse = dict.fromkeys((*JOINS, *alone), code)
    sim = await start(M64, state="stopped", refuse=refuse)
    state = await (await client(sim)).read()
    asked = [
        each.params["param"] for each in sim.commands if each.name == "get.miner.status"
    ]
    assert asked == ["summary+edevs+pools", "summary", "edevs", "pools"]
    assert state.summary is not None
    assert state.activity is Activity.STOPPED
    assert set(state.failed) == {Section.BOARDS, Section.POOLS}


@pytest.mark.parametrize("code", [-1, -2, -3, None])
async def test_a_miner_that_joins_nothing(
    start: Start, client: Client, code: int | None
) -> None:
    """All boards would be missing for as long as the miner is on."""
    sim = await start(M60S)
    miner = await client(sim)
    clean = await miner.read()
    if code is None:
        sim.inject("first_of_joined")
    else:
        sim.refuse = dict.fromkeys(JOINS, code)
    for slow in (True, False):
        state = await miner.read(clean, slow=slow)
        assert not state.failed
        assert state.boards
        assert [board.slot for board in state.boards] == [0, 1, 2]
        assert all(board.temperature for board in state.boards)
        assert state.pools


async def test_a_device_that_no_longer_says_who_it_is(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One empty answer would end the poll with an error that the user cannot mend."""
    sim = await start()
    miner = await client(sim)
    request = miner._link.request  # noqa: SLF001 - the simulator has no such firmware

    async def empty(question: dict[str, Any]) -> dict[str, Any]:
        answer = await request(question)
        if question["cmd"] == "get.device.info":
            answer["msg"] = {}
        return answer

    monkeypatch.setattr(miner._link, "request", empty)  # noqa: SLF001
    state = await miner.read()
    assert isinstance(state.failed[Section.INFO], InvalidAnswerError)
    assert state.summary is not None
    assert state.info.model == "M7BS_VM30"


@pytest.mark.usefixtures("skip_waiting")
async def test_a_silent_miner_is_given_up(start: Start, client: Client) -> None:
    """The entities must become unavailable, not keep yesterday's values."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read(slow=False)
    sim.commands.clear()
    sim.inject("silent")
    with pytest.raises(NoAnswerError):
        await miner.read(state)
    # The first one is repeated, since the connection may have been dead
    assert names(sim) == ["get.miner.status"] * 2 + ["get.device.info"]
    assert names(sim, "v2") == ["get_version"]


async def test_a_miner_that_is_gone(start: Start, client: Client) -> None:
    """The same, when the miner is offline; then it is found again."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await miner.read(state)
    with pytest.raises(CannotConnectError):
        await miner.stop_mining()
    await start(port=sim.port, v3_port=sim.v3_port)
    assert (await miner.read(state)).failed == {}
    await miner.set_led_auto()


async def test_polls_at_once_are_whole(start: Start, client: Client) -> None:
    """A fast poll in the middle of a slow one would take its pools away."""
    sim = await start()
    miner = await client(sim)
    states = await asyncio.gather(*(miner.read(slow=n % 2 == 0) for n in range(4)))
    assert [state.failed for state in states] == [{}] * 4
    assert [bool(state.pools) for state in states] == [True, False] * 2


@every_profile
async def test_one_socket_at_a_time(
    start: Start, client: Client, crowd: list[int], profile: str
) -> None:
    """Two open sockets are what this hardware was seen to choke on."""
    sim = await start(profile)
    miner = await client(sim)
    await asyncio.gather(
        *(miner.read() for _ in range(3)),
        *(miner.blink() for _ in range(3)),
        miner.set_fast_boot(True),
        miner.check_password(),
        miner.identify(),
    )
    assert max(crowd) == 1
    assert sim.most_open_v3_connections == 1
    assert sim.most_open_connections == 1
    assert written(sim).count("set.system.led") == 3


async def test_a_cancelled_poll_frees_the_miner(start: Start, client: Client) -> None:
    """After a reload of the integration the miner would hang for ever."""
    sim = await start()
    miner = await client(sim)
    for command in ("get.miner.status", "pools"):
        sim.inject("silent", command, 1)
        task = asyncio.create_task(miner.read())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await miner.read()).failed == {}


async def test_close_leaves_nothing_open(
    start: Start, client: Client, client_sockets: list
) -> None:
    """Unloading the integration would leave a connection, which the miner counts."""
    sim = await start()
    miner = await client(sim)
    await miner.read()
    await miner.set_led_auto()
    await until(lambda: sim.open_v3_connections == 1)
    await miner.close()
    await miner.close()
    assert not any(line.is_open for line in client_sockets)
    await until(lambda: sim.open_v3_connections == sim.open_connections == 0)

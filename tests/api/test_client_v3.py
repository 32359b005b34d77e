"""The whole client over real sockets against simulated miners that speak API 3.x."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    AccountRefusedError,
    Activity,
    CannotConnectError,
    CommandRefusedError,
    Cooling,
    Dialect,
    Feature,
    InvalidAnswerError,
    Miner,
    MinerState,
    NoAnswerError,
    NoMacError,
    NoPasswordError,
    PoolLogin,
    PortClosedError,
    PowerMode,
    Section,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WriteApiDisabledError,
    WrongMinerError,
    WrongPasswordError,
    connect,
    recall,
    transport,
)
from custom_components.whatsminer.api.v2 import miner as v2_miner
from custom_components.whatsminer.api.v2.miner import V2Miner
from custom_components.whatsminer.api.v3 import miner as v3_miner
from custom_components.whatsminer.api.v3.miner import GONE_AFTER, V3Miner, Writer4433
from simulator import ManualClock, Phase, SimulatedMiner, Truth, V3Truth, make_image

PASSWORD = "Super_1"
ADMIN = "Secret_1"
M60S, M7BS, M64 = PROFILES = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
ACTIVITIES = {
    Phase.STABLE: Activity.MINING,
    Phase.UPFREQ: Activity.TUNING,
    Phase.STARTING: Activity.STARTING,
    Phase.BTMINER_DOWN: Activity.RESTARTING,
    Phase.STOPPED: Activity.STOPPED,
}
POLL = ["get.miner.status", "get.miner.setting", "get.device.info"]

type Start = Callable[..., Awaitable[SimulatedMiner]]
type Client = Callable[..., Awaitable[V3Miner]]

pytestmark = pytest.mark.usefixtures("client_sockets")
every_profile = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for the miner and for the client; it moves only when a test advances it."""
    clock = ManualClock(1000.0)
    for module in (v2_miner, v3_miner):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
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

    async def start_one(profile: str = M7BS, **options: Any) -> SimulatedMiner:
        settings = {
            "clock": clock,
            "epoch": 1_760_000_000.0,
            "password": ADMIN,
            "v3_password": PASSWORD,
        }
        miner = SimulatedMiner(profile, **settings | options)
        await miner.start()
        miners.append(miner)
        return miner

    yield start_one
    for miner in miners:
        await miner.stop()


@pytest.fixture
async def connect_to(
    client_sockets: list[transport.Line],
) -> AsyncIterator[Callable[..., Any]]:
    """Connect to a simulated miner with all its passwords; hang up at the end."""
    miners: list[Miner] = []

    async def connect_one(sim: SimulatedMiner, **options: Any) -> Miner:
        settings = {
            "v3_port": sim.v3_port,
            "password": ADMIN,
            "v3_password": PASSWORD,
        }
        miner = await connect(sim.host, sim.port, **settings | options)
        miners.append(miner)
        return miner

    yield connect_one
    for miner in miners:
        await miner.close()


@pytest.fixture
def client(connect_to: Callable[..., Any]) -> Client:
    """The same, where API 3.x must be found."""

    async def client(sim: SimulatedMiner, **options: Any) -> V3Miner:
        miner = await connect_to(sim, **options)
        assert isinstance(miner, V3Miner)
        return miner

    return client


@pytest.fixture
def crowd(
    client_sockets: list[transport.Line], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """How many sockets the client had at each moment at which it opened one."""
    counts: list[int] = []
    connect = transport.Line.connect

    async def counted(line: transport.Line, address: tuple[Any, ...]) -> None:
        counts.append(1 + sum(other.is_open for other in client_sockets))
        await connect(line, address)

    monkeypatch.setattr(transport.Line, "connect", counted)
    return counts


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short deadline, so that waiting for nothing takes no time."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.6)


def names(sim: SimulatedMiner, api: str = "v3") -> list[str]:
    """What the miner received on 4433, or on 4028 (v2), in order."""
    return [command.name for command in sim.commands if command.api == api]


def written(sim: SimulatedMiner) -> list[str]:
    """The commands that it received, on either port."""
    return [
        command.name
        for command in sim.commands
        if command.encrypted or command.name.startswith("set.")
    ]


def near(value: float | None) -> Any:
    """The same, as far as the wire shows it."""
    return None if value is None else pytest.approx(value, rel=1e-4, abs=0.051)


def said(value: float | None) -> Any:
    """The same; the miner's 0 stands for nothing."""
    return near(value) if value else None


async def stop(miner: V3Miner) -> dict[str, Any]:
    """Stop mining by the command itself, without a look at what the miner can do."""
    assert isinstance(miner.writer, Writer4433)
    return await miner.writer.command("set.miner.service", "stop")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the other end of a connection to notice."""
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.005)


# Who is there


@every_profile
async def test_connect_finds_api_3(start: Start, client: Client, profile: str) -> None:
    """The user would get the poorer half of the sensors, and a stop that does not hold."""
    sim = await start(profile)
    truth = sim.v3_truth()
    info = (await client(sim, mac=sim.mac.lower())).info
    assert info.dialect is Dialect.V3
    assert info.api_version == truth.api_version
    assert info.firmware == truth.firmware
    assert info.model == truth.model
    assert info.mac == sim.mac
    assert info.hostname == truth.hostname
    assert info.led_auto is truth.led_auto
    assert info.api_switch is True
    assert info.cooling is (Cooling.LIQUID if sim.profile.liquid else Cooling.AIR)
    assert info.features >= {Feature.POWER_LIMIT, Feature.POOLS, Feature.RANDOM_DELAY}
    assert Feature.POWER_PERCENT not in info.unreadable
    assert info.serial
    assert written(sim) == []
    assert sim.connections_accepted == 0
    assert sim.tokens_issued == 0


@every_profile
async def test_connect_to_a_stopped_miner(
    start: Start, client: Client, profile: str
) -> None:
    """A miner that is off could not be added, or not be found again after a restart."""
    sim = await start(profile, state="stopped")
    state = await (await client(sim)).read()
    assert state.failed == {}
    assert state.activity is Activity.STOPPED
    assert state.mining is False


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        "refuse_4433",
        "silent",
        "close",
        "reset",
        "truncate",
        "stall_midway",
        "huge_length",
        "long_length",
        "short_length",
    ],
)
async def test_connect_falls_back_to_4028(
    start: Start, connect_to: Callable[..., Any], fault: str
) -> None:
    """A miner whose 4433 is not well could not be added, nor read after a restart."""
    sim = await start()
    sim.inject(fault, None if fault == "refuse_4433" else "get.device.info")
    miner = await connect_to(sim)
    assert isinstance(miner, V2Miner)
    assert miner.info.dialect is Dialect.V2_2
    assert miner.info.mac == sim.mac
    await until(lambda: sim.open_v3_connections == 0)


async def test_a_refused_question_is_no_api_3(
    start: Start, connect_to: Callable[..., Any]
) -> None:
    """Without get.device.info nothing could be written, and half not be read."""
    sim = await start(refuse={"get.device.info": -1})
    assert isinstance(await connect_to(sim), V2Miner)


type Speak = Callable[[bytes], bytes]


def framed(body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(4, "little") + body


@contextlib.asynccontextmanager
async def other_service(speak: Speak) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Something else on port 4433: its port, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                heard.append(data)
                writer.write(speak(data))
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heard
    server.close()
    await server.wait_closed()


OTHERS: dict[str, Speak] = {
    "web server": lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "tls": lambda data: b"\x15\x03\x01\x00\x02\x02\x32",
    "binary": lambda data: b"\xff" * 64,
    "echo": lambda data: data,
    "text in a frame": lambda data: framed(
        b"Socket connect failed: Connection refused"
    ),
    "object": lambda data: framed(b'{"hello":"world"}'),
    "another api": lambda data: framed(b'{"code":0,"msg":{"version":1}}'),
    "a word": lambda data: framed(b'{"code":0,"msg":"ok"}'),
    "a refusal": lambda data: framed(b'{"code":-2,"msg":"invalid cmd"}'),
}
every_other = pytest.mark.parametrize("speak", OTHERS.values(), ids=OTHERS.keys())


@pytest.mark.usefixtures("impatient")
@every_other
async def test_another_service_on_4433(
    start: Start, connect_to: Callable[..., Any], speak: Speak
) -> None:
    """A port forwarding of the user's to something else would hide his miner."""
    sim = await start()
    async with other_service(speak) as (port, _):
        miner = await connect_to(sim, v3_port=port)
        assert isinstance(miner, V2Miner)
        # Nor is it taken for a firmware update, which would reload for ever
        await miner.read()
        assert not miner.outdated


@pytest.mark.parametrize("port", [0, -1, 65536, 1 << 20])
async def test_a_v3_port_that_cannot_be(
    start: Start, connect_to: Callable[..., Any], port: int
) -> None:
    """A typing error would end in a traceback."""
    assert isinstance(await connect_to(await start(), v3_port=port), V2Miner)


@pytest.mark.parametrize("port", [0, -1, 65536, 1 << 20])
async def test_a_port_that_cannot_be(start: Start, port: int) -> None:
    """The same, for the other port."""
    sim = await start()
    for v3_port in (None, port):
        with pytest.raises(CannotConnectError):
            await connect(sim.host, port, v3_port=v3_port)


async def test_api_3_is_not_looked_for(
    start: Start, connect_to: Callable[..., Any]
) -> None:
    """Who has switched it off has a reason."""
    sim = await start()
    assert isinstance(await connect_to(sim, v3_port=None), V2Miner)
    assert sim.v3_connections_accepted == 0


async def test_nobody_is_there(start: Start, client: Client) -> None:
    """A wrong address is distinguished from a wrong device."""
    sim = await start()
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await client(sim)


async def test_nobody_is_there_but_the_miner_is_known(
    start: Start, client: Client
) -> None:
    """Home Assistant that starts while the miner is off would have no entities for it."""
    sim = await start()
    known = (await client(sim)).info
    reported = {"dialect": "3"} | {
        key: getattr(known, key)
        for key in [
            "api_version",
            "firmware",
            "platform",
            "model",
            "mac",
            "serial",
            "hostname",
        ]
    }
    # Whether it lets anybody write, and what its LEDs do, may have changed
    assert recall(reported) == replace(known, api_switch=None, led_auto=None)
    await sim.stop()
    miner = await client(sim, mac=sim.mac, known=recall(reported))
    assert miner.info == recall(reported)
    with pytest.raises(CannotConnectError):
        await miner.read()
    await start(port=sim.port, v3_port=sim.v3_port)
    assert (await miner.read()).info == known
    assert not miner.outdated


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", M7BS])
async def test_nobody_is_there_but_an_older_miner_is_known(
    start: Start, connect_to: Callable[..., Any], profile: str
) -> None:
    """The same, for one that has only 4028."""
    sim = await start(profile)
    known = (await connect_to(sim, v3_port=None)).info
    reported = {"dialect": known.dialect.value} | {
        key: getattr(known, key) for key in ("api_version", "firmware", "model", "mac")
    }
    await sim.stop()
    for v3_port in (None, sim.v3_port):
        miner = await connect_to(
            sim, mac=sim.mac, known=recall(reported), v3_port=v3_port
        )
        assert isinstance(miner, V2Miner)
        assert miner.info.features == known.features
        assert miner.info.unreadable == known.unreadable
        assert miner.info.cooling is known.cooling


async def test_nobody_is_there_and_the_port_is_given_up(
    start: Start, client: Client, connect_to: Callable[..., Any]
) -> None:
    """Who switches API 3.x off while the miner is off would get a traceback."""
    sim = await start()
    known = (await client(sim)).info
    await sim.stop()
    with pytest.raises(CannotConnectError):
        await connect_to(sim, v3_port=None, known=known)


async def test_api_3_without_4028(start: Start, client: Client) -> None:
    """A firewall that lets only 4433 through costs the shares, not the miner."""
    for profile in PROFILES:
        sim = await start(profile)
        sim.inject("refuse_4028")
        miner = await client(sim)
        state = await miner.read()
        # Some firmware leaves its faults to 4028
        assert set(state.failed) == ({Section.FAULTS} if profile == M60S else set())
        assert state.accepted_shares is None
        assert state.pools
        assert state.psu is not None
        assert (await miner.read(state)).activity is Activity.MINING


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


@pytest.mark.usefixtures("impatient")
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


async def test_an_idle_miner_that_tells_only_its_summary(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be shown as restarting for as long as it is stopped (E.5)."""
    sim = await start(M64, state="stopped")
    miner = await client(sim)
    asked: list[Any] = []
    request = miner._link.request  # noqa: SLF001 - the simulator has no such firmware

    async def picky(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question.get("param"))
        if "+" in str(question.get("param")):
            return {"code": -1, "msg": "failed", "desc": question["cmd"]}
        return await request(question)

    monkeypatch.setattr(miner._link, "request", picky)  # noqa: SLF001
    state = await miner.read()
    assert asked[:2] == ["summary+edevs+pools", "summary"]
    assert asked.count("summary") == 1
    assert state.summary is not None
    assert state.activity is Activity.STOPPED
    assert set(state.failed) == {Section.BOARDS, Section.POOLS}


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


@pytest.mark.usefixtures("impatient")
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


# Restarts, and firmware that changes


async def test_a_restart_on_firmware_that_closes_4433(
    start: Start, client: Client, clock: ManualClock, crowd: list[int]
) -> None:
    """The miner would be unavailable after each change of its power limit."""
    sim = await start(M64)
    miner = await client(sim)
    before = await miner.read()
    sim.machine.restart()
    clock.advance(5)
    assert sim.truth().phase is Phase.BTMINER_DOWN
    state = await miner.read(before, slow=False)
    assert state.activity is Activity.RESTARTING
    assert state.info == before.info
    assert state.summary is None
    assert state.status is not None
    assert isinstance(state.failed[Section.INFO], CannotConnectError)
    assert (state.pools, state.psu, state.faults) == (
        before.pools,
        before.psu,
        before.faults,
    )
    clock.advance(60)
    await sim.tick()
    after = await miner.read(state)
    assert after.failed == {}
    assert after.info.dialect is Dialect.V3
    assert not miner.outdated
    assert max(crowd) == 1


@pytest.mark.parametrize("profile", [M60S, M7BS])
async def test_a_restart_on_firmware_that_keeps_4433(
    start: Start, client: Client, clock: ManualClock, profile: str
) -> None:
    """A restart would be shown as zeros, or as a failure of the whole device."""
    sim = await start(profile)
    miner = await client(sim)
    sim.machine.restart()
    clock.advance(5)
    state = await miner.read()
    assert state.activity is Activity.RESTARTING
    assert state.summary is None
    assert isinstance(state.failed[Section.SUMMARY], CommandRefusedError)
    assert state.status is not None
    assert state.psu is not None


async def test_single_sections_while_4433_is_closed(
    start: Start, client: Client
) -> None:
    """Each look at a restart would ask 4028 for everything."""
    sim = await start()
    miner = await client(sim)
    before = await miner.read()
    sim.inject("refuse_4433")
    await miner.read(before, sections=[Section.STATUS])
    sim.commands.clear()
    state = await miner.read(before, sections=[Section.STATUS])
    assert names(sim, "v2") == ["status"]
    assert state.summary is before.summary


@pytest.mark.parametrize("profile", [M7BS, M64])
async def test_4433_that_stays_closed(
    start: Start, client: Client, clock: ManualClock, profile: str
) -> None:
    """After a firmware without API 3.x every poll would knock at a closed door."""
    sim = await start(profile)
    miner = await client(sim)
    sim.inject("refuse_4433")
    for seconds in (0, GONE_AFTER - 1):
        clock.advance(seconds)
        state = await miner.read()
        assert state.activity is Activity.MINING
        assert not miner.outdated
    # A poll that is answered restarts the wait
    sim.clear_failures()
    await sim.tick()
    assert (await miner.read()).failed == {}
    sim.inject("refuse_4433")
    sim.machine.profile = replace(sim.machine.profile, firmware="20200101.11.REL")
    for seconds, outdated in ((0, False), (GONE_AFTER - 1, False), (1, True)):
        clock.advance(seconds)
        assert (await miner.read()).summary is not None
        assert miner.outdated is outdated


async def test_4433_behind_a_firewall(
    start: Start, client: Client, clock: ManualClock, crowd: list[int]
) -> None:
    """All entities would be set up again every ten minutes, and each poll wait for nothing."""
    sim = await start()
    miner = await client(sim)
    before = await miner.read()
    sim.inject("refuse_4433")
    for _ in range(3):
        clock.advance(GONE_AFTER)
        state = await miner.read(before)
        assert state.activity is Activity.MINING
        assert not miner.outdated
    # It is knocked at in slow polls only, and before a command
    sim.commands.clear()
    crowd.clear()
    state = await miner.read(state, slow=False)
    assert state.summary is not None
    assert isinstance(state.failed[Section.INFO], CannotConnectError)
    assert len(crowd) == len(sim.commands)
    with pytest.raises(PortClosedError) as caught:
        await miner.set_led_auto()
    assert caught.value.port == sim.v3_port
    sim.clear_failures()
    await sim.tick()
    assert (await miner.read(state)).failed == {}
    sim.commands.clear()
    assert (await miner.read(state, slow=False)).failed == {}
    assert names(sim, "v2") == []


@pytest.mark.usefixtures("impatient")
async def test_4433_that_falls_silent(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """What 4028 still says would be thrown away; silence is no other firmware."""
    sim = await start()
    miner = await client(sim)
    before = await miner.read()
    for command in POLL:
        sim.inject("silent", command)
    for seconds in (0, GONE_AFTER):
        clock.advance(seconds)
        state = await miner.read(before, slow=False)
        assert state.activity is Activity.MINING
        assert isinstance(state.failed[Section.INFO], NoAnswerError)
        assert state.info == before.info
        assert not miner.outdated
    # The shares that were counted last decide
    truth = sim.v3_truth()
    assert state.reject_rate == pytest.approx(
        truth.pools[0].reject_rate_percent, abs=1e-3
    )
    sim.clear_failures()
    assert (await miner.read()).failed == {}


@pytest.mark.usefixtures("impatient")
async def test_another_service_moves_in_on_4433(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """The user would see "not a WhatsMiner" about his miner, for ever."""
    sim = await start()
    async with other_service(OTHERS["a refusal"]) as (port, _):
        miner = await client(sim)
        miner._link.port = port  # noqa: SLF001
        await miner.close()
        miner._identified = False  # noqa: SLF001
        state = await miner.read()
        assert state.summary is not None
        assert not miner.outdated
        clock.advance(GONE_AFTER)
        assert (await miner.read()).summary is not None
        assert not miner.outdated
        sim.machine.profile = replace(sim.machine.profile, firmware="20200101.11.REL")
        await miner.read()
        assert miner.outdated


async def test_another_firmware_is_noticed(start: Start, client: Client) -> None:
    """What the new one can do, or calls otherwise, would be found at the next restart."""
    sim = await start()
    miner = await client(sim)
    await miner.read(slow=False)
    assert not miner.outdated
    sim.machine.profile = replace(sim.machine.profile, firmware="20270101.11.REL")
    state = await miner.read(slow=False)
    assert state.info.firmware == "20270101.11.REL"
    assert miner.outdated


async def test_another_firmware_is_noticed_on_4028(
    start: Start, connect_to: Callable[..., Any]
) -> None:
    """The same, where there is only 4028."""
    sim = await start("v205_m50")
    miner = await connect_to(sim, v3_port=None)
    await miner.read()
    assert not miner.outdated
    await sim.stop()
    # Another profile is another firmware here
    await start("v205_m56s", port=sim.port, mac=sim.mac)
    await miner.read(slow=False)
    assert not miner.outdated
    await miner.read()
    assert miner.outdated


@every_profile
async def test_4433_that_opens_later(
    start: Start, connect_to: Callable[..., Any], crowd: list[int], profile: str
) -> None:
    """Home Assistant that starts during a restart would stay with 4028 for ever."""
    sim = await start(profile)
    sim.inject("refuse_4433")
    miner = await connect_to(sim)
    assert isinstance(miner, V2Miner)
    await miner.read()
    assert not miner.outdated
    sim.clear_failures()
    await sim.tick()
    await miner.read(slow=False)
    assert not miner.outdated
    await miner.read()
    assert miner.outdated
    assert max(crowd) == 1
    await until(lambda: sim.open_v3_connections == 0)


@pytest.mark.usefixtures("impatient")
async def test_4433_that_is_silent_is_not_waited_for_twice(
    start: Start, connect_to: Callable[..., Any]
) -> None:
    """A slow poll may take one deadline longer, and must not fail."""
    sim = await start()
    sim.inject("silent", "get.device.info")
    miner = await connect_to(sim)
    sim.commands.clear()
    state = await miner.read()
    assert state.failed == {}
    assert not miner.outdated
    assert names(sim) == ["get.device.info"]


async def test_only_2_2_may_have_api_3(
    start: Start, connect_to: Callable[..., Any]
) -> None:
    """Older firmware has no such port, whatever else is there."""
    sim = await start("v205_m50")
    async with other_service(lambda data: b"") as (port, heard):
        miner = await connect_to(sim, v3_port=None)
        await miner.read()
        assert heard == []
        miner = V2Miner(sim.host, sim.port, v3_port=port)
        await miner.read()
        assert heard == []


# Writing

type Call = Callable[[V3Miner], Awaitable[None]]
type Check = Callable[[V3Truth], bool]

BLINKING = [
    {"color": color, "period": 200, "duration": 100, "start": 0}
    for color in ("red", "green")
]
# command, parameter, how it is called, seconds until it shows, how it shows
WRITES: list[tuple[str, Any, Call, float, Check]] = [
    ("set.miner.service", "stop", lambda m: m.stop_mining(), 3, lambda t: not t.mining),
    (
        "set.miner.service",
        "restart",
        lambda m: m.restart_btminer(),
        5,
        lambda t: t.phase is Phase.BTMINER_DOWN,
    ),
    (
        "set.system.reboot",
        None,
        lambda m: m.reboot(),
        30,
        lambda t: t.phase is Phase.OFF_BOARD,
    ),
    *(
        (
            "set.miner.power_mode",
            mode,
            lambda m, mode=mode: m.set_power_mode(PowerMode(mode)),
            120,
            lambda t, mode=mode: t.power_mode == mode,
        )
        for mode in ("low", "normal", "high")
    ),
    (
        "set.miner.power_limit",
        3000,
        lambda m: m.set_power_limit(3000),
        120,
        lambda t: t.power_limit_set_w == 3000,
    ),
    (
        "set.miner.power_percent",
        {"percent": "75", "mode": "normal"},
        lambda m: m.set_power_percent(75),
        300,
        lambda t: t.power_percent == 75,
    ),
    (
        "set.miner.fastboot",
        "enable",
        lambda m: m.set_fast_boot(True),
        1,
        lambda t: t.fast_boot,
    ),
    ("set.system.led", BLINKING, lambda m: m.blink(), 1, lambda t: not t.led_auto),
]


@pytest.mark.parametrize(
    ("command", "param", "call", "wait", "check"),
    WRITES,
    ids=[f"{name}-{param}" for name, param, *_ in WRITES],
)
@every_profile
async def test_a_write_has_its_effect(
    start: Start,
    client: Client,
    clock: ManualClock,
    profile: str,
    command: str,
    param: Any,
    call: Call,
    wait: float,
    check: Check,
) -> None:
    """A control that the miner does not understand moves nothing but the dashboard."""
    sim = await start(profile)
    miner = await client(sim)
    if command == "set.miner.power_mode":
        sim.machine.set_mode("low" if param != "low" else "normal")
        clock.advance(7200)
        await sim.tick()
    sim.machine.leds.clear()
    assert not check(sim.v3_truth())
    sim.commands.clear()
    await call(miner)
    (sent,) = [received for received in sim.commands if received.name == command]
    assert sent.api == "v3"
    assert sent.params.get("param") == param
    assert sent.params["account"] == "super"
    assert written(sim) == [command]
    assert names(sim, "v2") == []
    clock.advance(wait)
    assert check(sim.v3_truth())
    assert sim.tokens_issued == 0


@every_profile
async def test_a_write_is_read_back(
    start: Start, client: Client, clock: ManualClock, profile: str
) -> None:
    """A command that was obeyed would be reported as ignored."""
    sim = await start(profile)
    miner = await client(sim)

    async def then(seconds: float) -> MinerState:
        clock.advance(seconds)
        await sim.tick()
        return await miner.read()

    await miner.set_power_percent(75)
    state = await then(300)
    assert state.status is not None
    assert state.status.power_percent == 75
    await miner.restore_power_percent()
    state = await then(300)
    assert state.status is not None
    assert state.status.power_percent == 100
    await miner.blink()
    assert (await then(1)).info.led_auto is False
    await miner.set_led_auto()
    assert (await then(1)).info.led_auto is True
    await miner.set_fast_boot(True)
    state = await then(1)
    assert state.summary is not None
    assert state.summary.fast_boot is True
    await miner.set_fast_boot(False)
    state = await then(1)
    assert state.summary is not None
    assert state.summary.fast_boot is False
    await miner.set_power_limit(3000)
    state = await then(120)
    assert state.power_limit == 3000
    assert state.status is not None
    assert state.status.power_limit_set == 3000
    await miner.set_power_mode(PowerMode.LOW)
    assert (await then(120)).power_mode is PowerMode.LOW
    await miner.stop_mining()
    assert (await then(3)).activity is Activity.STOPPED
    await miner.start_mining()
    assert (await then(5)).activity is Activity.STARTING
    assert (await then(7200)).activity is Activity.MINING
    await miner.restart_btminer()
    assert (await then(5)).activity is Activity.RESTARTING
    await then(3600)
    await miner.reboot()
    clock.advance(30)
    await sim.tick()
    with pytest.raises(CannotConnectError):
        await miner.read()
    state = await then(300)
    assert state.summary is not None
    assert state.summary.uptime == pytest.approx(270, abs=5)


async def test_a_stop_on_the_m64_holds(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """On 4028 its stop undoes itself, which boiled the water of a heating (D.3)."""
    sim = await start(M64)
    miner = await client(sim)
    await miner.stop_mining()
    for _ in range(60):
        clock.advance(10)
        await sim.tick()
        state = await miner.read(slow=False)
        assert state.mining is False
        assert not sim.v3_truth().mining
    # The same miner over 4028, as a check of the simulator
    await miner.start_mining()
    clock.advance(3600)
    other = await client(sim, v3_password=None)
    await other.stop_mining()
    clock.advance(600)
    assert sim.v3_truth().mining


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.set_power_limit(0),
        lambda m: m.set_power_limit(-1),
        lambda m: m.set_power_limit(100_000),
        lambda m: m.set_power_percent(-1),
        lambda m: m.set_power_percent(101),
    ],
)
@pytest.mark.parametrize("password", [PASSWORD, None], ids=["4433", "4028"])
async def test_nonsense_is_never_sent(
    start: Start, client: Client, call: Call, password: str | None
) -> None:
    """A power limit of 0 would lift the limit instead of stopping the miner."""
    sim = await start(M60S)
    miner = await client(sim, v3_password=password)
    with pytest.raises(ValueError):
        await call(miner)
    assert written(sim) == []


async def test_percent_above_100_on_liquid_only(start: Start, client: Client) -> None:
    """An air miner would be driven beyond what its fans can take away."""
    sim = await start(M7BS)
    miner = await client(sim)
    with pytest.raises(ValueError, match="between 0 and 200"):
        await miner.set_power_percent(201)
    await miner.set_power_percent(130)
    assert sim.v3_truth().power_percent == 130


class Once(dict[str, int]):
    """Refusals that happen once."""

    def __getitem__(self, key: str) -> int:
        """Forget it."""
        return self.pop(key)


@pytest.mark.parametrize(
    ("command", "call", "params"),
    [
        (
            "set.miner.power_percent",
            lambda m: m.set_power_percent(60),
            [
                {"percent": "60", "mode": "normal"},
                {"percent": 60, "mode": "normal"},
            ],
        ),
        (
            "set.miner.power_limit",
            lambda m: m.set_power_limit(3000),
            [3000, "3000"],
        ),
    ],
)
async def test_a_number_in_the_other_spelling(
    start: Start, client: Client, command: str, call: Call, params: list[Any]
) -> None:
    """Firmware that wants the other one could not be throttled (E.6)."""
    sim = await start(M64)
    miner = await client(sim)
    sim.refuse = Once({command: -3})
    await call(miner)
    sent = [c.params["param"] for c in sim.commands if c.name == command]
    assert sent == params


@pytest.mark.parametrize("code", [-1, -2, -3, -5])
@pytest.mark.parametrize(
    ("command", "call", "spellings"),
    [
        ("set.miner.power_percent", lambda m: m.set_power_percent(60), 2),
        ("set.miner.service", lambda m: m.stop_mining(), 1),
    ],
)
async def test_a_refusal_is_told(
    start: Start,
    client: Client,
    code: int,
    command: str,
    call: Call,
    spellings: int,
) -> None:
    """The miner's own words say more than "failed", and each try is one more restart."""
    sim = await start()
    miner = await client(sim)
    sim.refuse = {command: code}
    with pytest.raises(CommandRefusedError) as caught:
        await call(miner)
    assert (caught.value.command, caught.value.code) == (command, code)
    assert isinstance(caught.value, UnsupportedCommandError) is (code == -2)
    assert written(sim).count(command) == (spellings if code == -3 else 1)


# Who may write


@every_profile
async def test_a_wrong_password(start: Start, client: Client, profile: str) -> None:
    """The user would search everywhere but in the password."""
    sim = await start(profile, v3_password="another")
    miner = await client(sim)
    for call in (miner.check_password, miner.check_write_access, miner.stop_mining):
        with pytest.raises(AccountRefusedError) as caught:
            await call()
        assert caught.value.account == "super"
    assert sim.v3_truth().mining
    assert written(sim).count("set.miner.service") == 1


async def test_a_changed_password_is_noticed(start: Start, client: Client) -> None:
    """The user is prompted for the new one instead of seeing a dead switch."""
    sim = await start()
    miner = await client(sim)
    await miner.check_password()
    sim.set_v3_password("super", "another")
    with pytest.raises(AccountRefusedError):
        await miner.stop_mining()
    sim.set_v3_password("super", PASSWORD)
    await miner.stop_mining()


async def test_an_unknown_account(start: Start, client: Client) -> None:
    """`admin` is that of 4028, and many will try it."""
    sim = await start()
    miner = await client(sim, account="admin", v3_password=ADMIN)
    with pytest.raises(AccountRefusedError) as caught:
        await miner.check_password()
    assert caught.value.account == "admin"


@pytest.mark.parametrize(
    ("unknown", "checked"),
    [
        (["set.miner.report"], True),
        (["set.miner.report", "set.system.led"], True),
        (["set.miner.report", "set.system.led", "set.system.webpools"], False),
    ],
)
async def test_an_account_where_the_command_of_the_check_is_unknown(
    start: Start, client: Client, unknown: list[str], checked: bool
) -> None:
    """The right password would be refused on firmware that lacks one optional command."""
    sim = await start()
    before = sim.v3_truth()
    sim.refuse = dict.fromkeys(unknown, -2)
    assert await (await client(sim)).check_password() is checked
    assert sim.v3_truth() == before
    miner = await client(sim)
    await miner.stop_mining()
    assert "set.miner.service" in sim.applied
    if checked:
        wrong = await client(sim, v3_password="wrong")
        with pytest.raises(AccountRefusedError):
            await wrong.check_password()


async def test_an_account_without_permission(start: Start, client: Client) -> None:
    """It can be read with any account, and written with none but a permitted one."""
    sim = await start()
    miner = await client(sim, account="user1", v3_password="user1")
    with pytest.raises(AccountRefusedError):
        await miner.stop_mining()
    sim.v3_permissions["user1"] = {"set.miner.report"}
    await miner.check_password()
    with pytest.raises(CommandRefusedError) as caught:
        await miner.stop_mining()
    assert caught.value.code == -4
    assert sim.v3_truth().mining
    sim.v3_permissions["user1"] = {"set.miner.service"}
    await miner.stop_mining()


async def test_the_write_api_is_off(start: Start, client: Client) -> None:
    """The user is advised to turn on the switch, not to change the password."""
    for options in ({}, {"v3_password": "wrong"}, {"v3_password": None}):
        sim = await start(api_switch=False)
        miner = await client(sim, **options)
        assert miner.info.api_switch is False
        with pytest.raises(WriteApiDisabledError):
            await miner.stop_mining()
        if miner.has_password and "v3_password" not in options:
            with pytest.raises(WriteApiDisabledError):
                await miner.check_write_access()
        clock_stands_still = sim.v3_truth()
        assert clock_stands_still.mining
        sim.api_switch = True
        assert (await miner.read()).info.api_switch is True


async def test_a_miner_without_password_can_be_read_only(
    start: Start, client: Client
) -> None:
    """Reads need no password, and a write must say what is missing."""
    sim = await start()
    miner = await client(sim, v3_password=None, password=None)
    assert not miner.has_password
    assert (await miner.read()).failed == {}
    with pytest.raises(NoPasswordError):
        await miner.stop_mining()
    with pytest.raises(NoPasswordError):
        await stop(miner)
    assert written(sim) == []


@every_profile
async def test_the_password_check_changes_nothing(
    start: Start, client: Client, profile: str
) -> None:
    """Adding a miner would restart it."""
    sim = await start(profile)
    miner = await client(sim)
    before = sim.v3_truth()
    await miner.check_password()
    assert await miner.check_write_access() is True
    assert sim.v3_truth() == before
    assert set(written(sim)) == {"set.miner.report"}
    # Nor does the miner begin to talk on its own
    assert sim.commands[-1].params["param"] == {"gap": 0}


@pytest.mark.parametrize("hours", [-5, 3, 24 * 365])
async def test_a_clock_that_is_wrong(start: Start, client: Client, hours: int) -> None:
    """A miner without time server would refuse every command."""
    sim = await start(clock_offset_s=hours * 3600, ts_tolerance_s=0)
    miner = await client(sim)
    await miner.set_fast_boot(True)
    sim.clock_offset_s = -hours * 3600
    await miner.stop_mining()
    assert written(sim) == ["set.miner.fastboot", "set.miner.service"]


async def test_a_clock_that_was_never_set(start: Start, client: Client) -> None:
    """It counts the seconds since the start (E.2)."""
    sim = await start(epoch=3521.0, ts_tolerance_s=0)
    await (await client(sim)).set_fast_boot(True)
    assert [c.params["ts"] for c in sim.commands if "ts" in c.params] == [3521]


# Only the admin's password is known


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("power_off", lambda m: m.stop_mining()),
        ("power_on", lambda m: m.start_mining()),
        ("adjust_power_limit", lambda m: m.set_power_limit(3000)),
        ("set_power_pct_v2", lambda m: m.set_power_percent(75)),
        ("restore_power_pct", lambda m: m.restore_power_percent()),
        ("enable_btminer_fast_boot", lambda m: m.set_fast_boot(True)),
        ("set_led", lambda m: m.set_led_auto()),
        ("set_led", lambda m: m.blink()),
    ],
)
@every_profile
async def test_writes_go_to_4028(
    start: Start,
    client: Client,
    crowd: list[int],
    profile: str,
    command: str,
    call: Call,
) -> None:
    """Who has not given the password of API 3.x could not command anything."""
    sim = await start(profile)
    miner = await client(sim, v3_password=None)
    assert miner.has_password
    await miner.read()
    await call(miner)
    assert set(written(sim)) == {command}
    assert {c.api for c in sim.commands if c.encrypted} == {"v2"}
    assert sim.tokens_issued == 1
    state = await miner.read()
    assert state.info.dialect is Dialect.V3
    assert state.failed == {}
    assert max(crowd) == 1


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("set_low_power", lambda m: m.set_power_mode(PowerMode.LOW)),
        ("restart_btminer", lambda m: m.restart_btminer()),
        ("reboot", lambda m: m.reboot()),
    ],
)
async def test_writes_to_4028_that_are_never_answered(
    start: Start, client: Client, command: str, call: Call
) -> None:
    """This firmware never answers them; the outcome is read back (D.8)."""
    sim = await start()
    miner = await client(sim, v3_password=None)
    with pytest.raises(UnknownOutcomeError):
        await call(miner)
    assert written(sim) == [command]


async def test_the_limits_are_the_same_on_4028(start: Start, client: Client) -> None:
    """A liquid cooled miner could not be set above 100 % there."""
    sim = await start(M7BS)
    miner = await client(sim, v3_password=None)
    await miner.set_power_percent(130)
    assert sim.v3_truth().power_percent == 130
    assert written(sim) == ["set_power_pct_v2"]


async def test_both_ports_share_one_lock(
    start: Start, client: Client, crowd: list[int]
) -> None:
    """Polls on one port and commands on the other would be two sockets at the same time."""
    sim = await start()
    miner = await client(sim, v3_password=None)
    await asyncio.gather(
        *(miner.read() for _ in range(3)),
        *(miner.set_fast_boot(number % 2 == 0) for number in range(5)),
        miner.check_password(),
    )
    assert max(crowd) == 1
    assert sim.most_open_connections == sim.most_open_v3_connections == 1
    assert sim.tokens_issued == 1


async def test_the_password_of_4028_is_checked_there(
    start: Start, client: Client
) -> None:
    """The user would find out with the first command."""
    sim = await start(M60S)
    miner = await client(sim, v3_password=None)
    await miner.check_password()
    assert await miner.check_write_access() is True
    wrong = await client(sim, v3_password=None, password="wrong")
    with pytest.raises(WrongPasswordError):
        await wrong.check_password()
    with pytest.raises(WrongPasswordError):
        await wrong.stop_mining()
    assert set(written(sim)) == {"status", "set_led"}


# The outcome of a write is unknown (D.8)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        "applied_no_answer",
        "silent",
        "close",
        "reset",
        "truncate",
        "stall_midway",
        "long_length",
        "short_length",
        "huge_length",
    ],
)
@every_profile
async def test_an_unanswered_write_is_never_repeated(
    start: Start, client: Client, clock: ManualClock, profile: str, fault: str
) -> None:
    """A second reboot would come in the middle of the first one."""
    sim = await start(profile)
    miner = await client(sim)
    sim.inject(fault, "set.miner.service")
    with pytest.raises(UnknownOutcomeError):
        await miner.stop_mining()
    assert written(sim) == ["set.miner.service"]
    clock.advance(3)
    assert sim.v3_truth().mining is (fault in {"silent", "close", "reset"})
    sim.clear_failures()
    assert (await miner.read()).failed == {}


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_never_left_had_no_effect(
    start: Start, client: Client
) -> None:
    """It may be reported as failed, and the user may retry it."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "get.device.info")
    with pytest.raises(NoAnswerError):
        await miner.stop_mining()
    sim.clear_failures()
    sim.inject("refuse_4433")
    with pytest.raises(CannotConnectError):
        await miner.stop_mining()
    assert written(sim) == []


@pytest.mark.usefixtures("impatient")
async def test_a_password_check_without_an_answer(start: Start, client: Client) -> None:
    """A silent miner says nothing about the password."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "set.miner.report")
    with pytest.raises(NoAnswerError):
        await miner.check_password()


# Another miner has the address


async def test_another_miner_from_the_start(start: Start, client: Client) -> None:
    """The history of two miners would be mixed; 4028 would only say the same."""
    for profile in PROFILES:
        sim = await start(profile)
        with pytest.raises(WrongMinerError) as caught:
            await client(sim, mac="00:11:22:33:44:55")
        assert caught.value.expected == "00:11:22:33:44:55"
        assert caught.value.found == sim.mac
        assert written(sim) == []
        assert sim.connections_accepted == 0


@pytest.mark.parametrize("reported", [False, True], ids=["any mac", "mac reported"])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("password", [PASSWORD, None], ids=["4433", "4028"])
@every_profile
async def test_no_write_reaches_another_miner(
    start: Start,
    client: Client,
    profile: str,
    password: str | None,
    used: bool,
    reported: bool,
) -> None:
    """A stop for the boiler would stop the miner of a neighbour with the same password."""
    sim = await start(profile)
    miner = await client(sim, v3_password=password, mac=sim.mac if reported else None)
    if used:
        await miner.read()
        await miner.set_fast_boot(True)
    await sim.stop()
    other = await start(profile, port=sim.port, v3_port=sim.v3_port, seed=2)
    assert other.mac != sim.mac
    for _ in range(2):
        with pytest.raises(WrongMinerError):
            await miner.stop_mining()
    assert written(other) == []
    with pytest.raises(WrongMinerError):
        await miner.read()
    assert other.v3_truth().mining


async def test_another_miner_is_noticed_by_a_poll(start: Start, client: Client) -> None:
    """The entities would show the values of another miner."""
    sim = await start()
    miner = await client(sim)
    state = await miner.read()
    await sim.stop()
    other = await start(port=sim.port, v3_port=sim.v3_port, seed=2)
    with pytest.raises(WrongMinerError):
        await miner.read(state, slow=False)
    # Neither while it restarts and only 4028 answers
    other.inject("refuse_4433")
    with pytest.raises(WrongMinerError):
        await miner.read(state, slow=False)


async def test_the_same_miner_is_found_again(start: Start, client: Client) -> None:
    """A power cut would need a reload of the integration."""
    sim = await start()
    miner = await client(sim)
    await sim.stop()
    await start(port=sim.port, v3_port=sim.v3_port)
    await miner.set_fast_boot(True)
    assert (await miner.read()).failed == {}


@pytest.mark.parametrize("fault", ["no_mac", "no_network", "empty_network"])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("password", [PASSWORD, None], ids=["4433", "4028"])
async def test_no_write_reaches_a_miner_that_reports_no_mac(
    start: Start, client: Client, fault: str, used: bool, password: str | None
) -> None:
    """A machine with the same password would only have to leave its MAC out to be commanded."""
    sim = await start()
    miner = await client(sim, v3_password=password, mac=sim.mac)
    if used:
        await miner.read()
        await miner.set_fast_boot(True)
    await sim.stop()
    other = await start(port=sim.port, v3_port=sim.v3_port, seed=2)
    for each in ("no_mac", fault):
        other.inject(each)
    for _ in range(2):
        with pytest.raises(NoMacError):
            await miner.stop_mining()
    if password:
        with pytest.raises(NoMacError):
            await miner.download_logs(lambda _: asyncio.sleep(0))
    assert written(other) == []
    other.clear_failures()
    with pytest.raises(WrongMinerError):
        await miner.stop_mining()


@pytest.mark.parametrize("fault", ["no_mac", "no_network", "empty_network"])
async def test_a_miner_that_never_reported_a_mac(
    start: Start, client: Client, fault: str
) -> None:
    """The config flow would say that its mining process is down."""
    sim = await start()
    sim.inject(fault)
    miner = await client(sim)
    assert miner.info.mac is None
    with pytest.raises(NoMacError):
        miner.require_mac()
    sim.clear_failures()
    await miner.read()
    miner.require_mac()
    assert miner.info.mac == sim.mac


# A miner that closes 4433 after each answer


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.stop_mining(),
        lambda m: m.set_pools(
            PoolLogin(url="stratum+tcp://p1.example:3333", user="acc.w1")
        ),
    ],
)
async def test_a_miner_that_closes_after_each_answer(
    start: Start, client: Client, call: Call
) -> None:
    """Such a miner could be read, and never be commanded."""
    sim = await start()
    sim.inject("close_after_answer")
    miner = await client(sim)
    for _ in range(2):
        assert (await miner.read()).failed == {}
        await miner.check_password()
        await call(miner)
    assert sim.most_open_v3_connections == 1
    writes = [name for name in written(sim) if name != "set.miner.report"]
    assert len(writes) == 2
    assert sim.applied[1::2] == writes


async def test_files_of_a_miner_that_closes_after_each_answer(
    start: Start, client: Client
) -> None:
    """Its log and its firmware would be cut off after the first answer."""
    sim = await start()
    sim.inject("close_after_answer")
    miner = await client(sim)
    received = bytearray()

    async def write(chunk: bytes) -> None:
        received.extend(chunk)

    await miner.download_logs(write)
    assert bytes(received) == sim.log
    image = make_image(sim.profile.platform, "20260401.12.REL", 100_000)

    async def pieces() -> AsyncIterator[bytes]:
        yield image

    await miner.update_firmware(pieces(), len(image))
    assert sim.last_upload == image


async def test_no_write_reaches_another_miner_that_closes_after_each_answer(
    start: Start, client: Client
) -> None:
    """Each request opens a connection, and each of them could lead to another miner."""
    sim = await start()
    sim.inject("close_after_answer")
    miner = await client(sim)
    await miner.set_fast_boot(True)
    await sim.stop()
    other = await start(port=sim.port, v3_port=sim.v3_port, seed=2)
    other.inject("close_after_answer")
    with pytest.raises(WrongMinerError):
        await miner.stop_mining()
    assert written(other) == []


# An account that no harmless command proves


@pytest.mark.parametrize(
    ("unknown", "proven"),
    [
        pytest.param(("set.miner.report",), True, id="report unknown"),
        pytest.param(
            ("set.miner.report", "set.system.led", "set.system.webpools"),
            False,
            id="all unknown",
        ),
    ],
)
async def test_an_unknown_command_proves_nothing(
    start: Start, client: Client, unknown: tuple[str, ...], proven: bool
) -> None:
    """The right password would be refused by firmware that lacks an optional command."""
    sim = await start(refuse=dict.fromkeys(unknown, -2))
    miner = await client(sim)
    before = sim.v3_truth()
    assert await miner.check_password() is proven
    assert await miner.check_write_access() is proven
    assert sim.v3_truth() == before
    await miner.stop_mining()
    assert sim.applied[-1] == "set.miner.service"


@every_profile
async def test_a_wrong_password_without_the_optional_command(
    start: Start, client: Client, profile: str
) -> None:
    """A wrong password would be taken for an old firmware."""
    sim = await start(profile, v3_password="another", refuse={"set.miner.report": -2})
    miner = await client(sim)
    for call in (miner.check_password, miner.stop_mining):
        with pytest.raises(AccountRefusedError):
            await call()
    assert sim.applied == []


async def test_a_new_password_that_nothing_proves(start: Start, client: Client) -> None:
    """Home Assistant would continue with a password that the miner may not have accepted."""
    unknown = ("set.miner.report", "set.system.led", "set.system.webpools")
    sim = await start(refuse=dict.fromkeys(unknown, -2))
    miner = await client(sim)
    await miner.change_password("New_1")
    await miner.stop_mining()
    sim.inject("close", "set.user.change_passwd")
    with pytest.raises(UnknownOutcomeError):
        await miner.change_password("New_2")
    await miner.start_mining()

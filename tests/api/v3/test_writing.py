"""Writing: each command has its effect once, or raises what happened."""

from collections.abc import Callable
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    CannotConnectError,
    CommandRefusedError,
    MinerState,
    NoAnswerError,
    PowerMode,
    UnknownOutcomeError,
    UnsupportedCommandError,
)
from simulator import ManualClock, Phase, V3Truth

from .conftest import (
    M7BS,
    M60S,
    M64,
    PASSWORD,
    Call,
    Client,
    Start,
    every_profile,
    names,
    written,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


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
    """On 4028 its stop undoes itself, which boiled the water of a heating (protocol.md#d3)."""
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
    """Firmware that wants the other one could not be throttled (protocol.md#e6)."""
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


# The outcome of a write is unknown (protocol.md#d8)


@pytest.mark.usefixtures("skip_waiting")
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


@pytest.mark.usefixtures("skip_waiting")
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


@pytest.mark.usefixtures("skip_waiting")
async def test_a_password_check_without_an_answer(start: Start, client: Client) -> None:
    """A silent miner says nothing about the password."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "set.miner.report")
    with pytest.raises(NoAnswerError):
        await miner.check_password()

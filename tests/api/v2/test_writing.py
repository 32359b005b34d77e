"""Writing: each command has its effect once, or raises what happened."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from custom_components.whatsminer.api import (
    Activity,
    CannotConnectError,
    CommandRefusedError,
    NoAnswerError,
    PowerMode,
    TokenTableFullError,
    UnknownOutcomeError,
    WhatsminerError,
    WriteApiDisabledError,
    WrongPasswordError,
)
from custom_components.whatsminer.api.v2.miner import V2Miner
from simulator import ManualClock, Phase, Truth

from .conftest import (
    M50,
    M56S,
    PROFILES,
    RED,
    V1,
    V2C,
    V204,
    Start,
    client,
    every_profile,
    names,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


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
async def test_settings_are_taken_back(start: Start, profile: str) -> None:
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


async def test_early_2_0_5_gets_the_fast_percent(start: Start) -> None:
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


@pytest.mark.usefixtures("skip_waiting")
async def test_a_password_check_without_an_answer(start: Start) -> None:
    """A silent miner says nothing about the password."""
    sim = await start()
    miner = await client(sim)
    sim.inject("silent", "status")
    with pytest.raises(NoAnswerError):
        await miner.check_password()


# The outcome of a write is unknown (protocol.md#d8)


@pytest.mark.usefixtures("skip_waiting")
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


@pytest.mark.usefixtures("skip_waiting")
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

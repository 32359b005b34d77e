"""Tokens (protocol.md#b5), and one connection at a time (protocol.md#a1)."""

import asyncio
from dataclasses import replace

import pytest

from custom_components.whatsminer.api import (
    TokenRejectedError,
    TokenTableFullError,
    WrongPasswordError,
)
from simulator import ManualClock

from .conftest import M50, PASSWORD, RED, V2C, Start, client, every_profile, names

pytestmark = pytest.mark.usefixtures("client_sockets")


# Tokens (protocol.md#b5)


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


# One at a time (protocol.md#a1)


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

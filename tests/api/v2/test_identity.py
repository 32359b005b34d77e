"""The client commands no miner but its own, whoever has the address."""

import asyncio
from dataclasses import replace

import pytest

from custom_components.whatsminer.api import (
    BtminerDownError,
    CannotConnectError,
    InvalidAnswerError,
    NoAnswerError,
    NoMacError,
    UnknownOutcomeError,
    WrongMinerError,
)
from custom_components.whatsminer.api.v2 import miner as v2_miner
from simulator import ManualClock

from .conftest import M50, PROFILES, RED, V1, Start, client, every_profile, names

pytestmark = pytest.mark.usefixtures("client_sockets")


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


@pytest.mark.usefixtures("skip_waiting")
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
    polling = asyncio.create_task(miner.send_read("pools"))
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
async def test_recognizing_costs_nothing(start: Start, profile: str) -> None:
    """A board that serves few connections would get one more in each poll."""
    sim = await start(profile)
    miner = await client(sim)
    state = await miner.read()
    for _ in range(6):
        sim.commands.clear()
        state = await miner.read(state, slow=False)
        assert "get_miner_info" not in names(sim)

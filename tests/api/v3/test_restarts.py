"""Restarts, and firmware or ports that change."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    CannotConnectError,
    CommandRefusedError,
    Dialect,
    NoAnswerError,
    PoolLogin,
    PortClosedError,
    Section,
    WrongMinerError,
)
from custom_components.whatsminer.api.v2.miner import V2Miner
from custom_components.whatsminer.api.v3.miner import GONE_AFTER
from simulator import ManualClock, Phase, make_image

from .conftest import (
    M7BS,
    M60S,
    M64,
    OTHERS,
    POLL,
    Call,
    Client,
    Start,
    every_profile,
    names,
    other_service,
    until,
    written,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


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


@pytest.mark.usefixtures("skip_waiting")
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


@pytest.mark.usefixtures("skip_waiting")
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


@pytest.mark.usefixtures("skip_waiting")
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

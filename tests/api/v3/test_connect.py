"""Connecting: which API a miner has, and what else may listen on port 4433."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    CannotConnectError,
    Cooling,
    Dialect,
    Feature,
    Section,
    connect,
    recall,
)
from custom_components.whatsminer.api.v2.miner import V2Miner

from .conftest import (
    M7BS,
    M60S,
    OTHERS,
    PROFILES,
    Client,
    Speak,
    Start,
    every_profile,
    other_service,
    until,
    written,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


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


@pytest.mark.usefixtures("skip_waiting")
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


every_other = pytest.mark.parametrize("speak", OTHERS.values(), ids=OTHERS.keys())


@pytest.mark.usefixtures("skip_waiting")
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

"""The client commands no miner but its own, whoever has the address."""

import asyncio

import pytest

from custom_components.whatsminer.api import NoMacError, WrongMinerError

from .conftest import PASSWORD, PROFILES, Client, Start, every_profile, written

pytestmark = pytest.mark.usefixtures("client_sockets")


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

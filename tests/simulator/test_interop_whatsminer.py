"""whatsminer and pywhatsminer, two more clients, read and command simulated miners like real ones.

Both know only port 4028. pywhatsminer also has methods that take the values of an answer by their
order, as MicroBT's document of 2.0.5 gives it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, SimulatedMiner

from .conftest import Python
from .interop import Client, own_address, pins, running

PASSWORD = "Secret_1"
CLIENTS = ("whatsminer", "pywhatsminer")
MINERS = ("v1_m20s", "v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s")
# What each client says when its password is wrong
REFUSED = {
    "whatsminer": "enc json load err",
    "pywhatsminer": "Your admin password is incorrect.",
}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def clients(interop_python: Python) -> Iterator[Client]:
    """Start the process; end it after the tests."""
    python = interop_python("whatsminer", pins("whatsminer", "pywhatsminer"))
    with running(python, "interop_whatsminer.py") as client:
        yield client


@pytest.fixture
async def miner(
    request: pytest.FixtureRequest, clock: ManualClock
) -> AsyncIterator[SimulatedMiner]:
    """Return a running miner at an address of its own."""
    async with SimulatedMiner(
        request.param,
        host=own_address(60 + list(PROFILES).index(request.param)),
        port=4028,
        password=PASSWORD,
        clock=clock,
    ) as result:
        yield result


async def write(
    clients: Client,
    miner: SimulatedMiner,
    client: str,
    command: str,
    password: str = PASSWORD,
    **parameters: Any,
) -> dict[str, Any]:
    """Send a command with one of the clients; return its answer."""
    return await clients(
        "write",
        miner,
        client=client,
        password=password,
        command=command,
        parameters=parameters,
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("miner", MINERS, indirect=True)
async def test_reads(miner: SimulatedMiner, clients: Client, client: str) -> None:
    """If it failed: a third client would not read the true values, so tests of ours would prove little.

    What whatsminer cannot do: read more than 4000 bytes of an answer.
    """
    commands = ["summary", "pools", "devs", "edevs"]
    data = await clients("ask", miner, client=client, commands=commands)
    truth = miner.truth()
    summary = data["summary"].get("Msg") or data["summary"]["SUMMARY"][0]
    assert summary["Elapsed"] == truth.elapsed_s
    assert summary["Power"] == pytest.approx(truth.power_w, abs=1)
    assert summary["MHS 1m"] == pytest.approx(truth.hashrate_1m_ths * 1e6, rel=1e-6)
    pools = [(pool["URL"], pool["User"]) for pool in data["pools"]["POOLS"]]
    assert pools == [(pool.url, pool.user) for pool in truth.pools]
    devs, edevs = data["devs"].get("DEVS"), data["edevs"].get("DEVS")
    assert [board["Slot"] for board in devs or edevs] == [
        board.slot for board in truth.boards
    ]


@pytest.mark.parametrize("miner", ["v205_m50", "v205_m56s"], indirect=True)
async def test_fields_of_2_0_5_stand_in_the_documented_order(
    miner: SimulatedMiner, clients: Client
) -> None:
    """If it failed: a client that goes by the order of the document would take one value for another."""

    async def read(part: str, method: str) -> dict[str, Any]:
        return await clients(
            "call", miner, password="", part=part, method=method, arguments=[]
        )

    truth = miner.truth()
    summary = await read("System", "get_summary")
    assert summary["power_watts"] == round(truth.power_w)
    assert summary["power_limit"] == truth.power_limit_w
    assert summary["fan_speed_in"] == (truth.fan_speed_in_rpm or 0)
    assert summary["accepted"] == truth.accepted_shares
    assert summary["mhs_1m"] == pytest.approx(truth.hashrate_1m_ths * 1e6)
    assert summary["env_temp"] == pytest.approx(
        truth.environment_temperature_c, abs=0.01
    )
    # The last two of the list
    assert summary["btminer_fast_boot_enabled"] is truth.fast_boot
    assert summary["upfreq_complete"] is True
    version = await read("System", "get_api_version")
    assert version["version"] == miner.profile.api_version
    assert version["firmware_version"] == truth.firmware
    details = (await read("System", "get_dev_details"))["details"]
    assert [board["model"] for board in details] == [truth.model] * len(truth.boards)
    psu = await read("Power", "get_psu")
    assert psu["model"] == truth.psu.model
    assert psu["serial_no"] == miner.profile.psu.serial
    assert psu["fan_speed"] == (truth.psu.fan_speed_rpm or 0)
    if miner.profile.name == "v205_m50":
        boards = (await read("System", "get_devs"))["devs"]
        assert [(board["slot"], board["effective_chips"]) for board in boards] == [
            (board.slot, board.chips) for board in truth.boards
        ]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("miner", MINERS, indirect=True)
async def test_stops_and_starts(
    miner: SimulatedMiner, clients: Client, clock: ManualClock, client: str
) -> None:
    """If it failed: key, token or envelope would differ from real miners."""
    answer = await write(clients, miner, client, "power_off", respbefore="true")
    assert answer.get("STATUS") == "S", answer
    clock.advance(20)
    assert not miner.truth().mining
    answer = await write(clients, miner, client, "power_on")
    assert answer.get("STATUS") == "S", answer
    clock.advance(20)
    assert miner.truth().mining
    assert miner.commands[-1].encrypted


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("miner", MINERS[1:], indirect=True)
async def test_limits_power(
    miner: SimulatedMiner, clients: Client, clock: ManualClock, client: str
) -> None:
    """If it failed: the most common setting of farm software would have no effect here."""
    answer = await write(
        clients, miner, client, "adjust_power_limit", power_limit="3000"
    )
    assert answer.get("STATUS") == "S", answer
    clock.advance(3000)
    assert miner.truth().power_limit_w == 3000
    assert miner.truth().power_w == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize("miner", MINERS[1:], indirect=True)
@pytest.mark.parametrize(
    ("method", "argument"), [("adjust_limit", 3000), ("set_percent", 80)]
)
async def test_numbers_instead_of_texts_have_no_effect(
    miner: SimulatedMiner,
    clients: Client,
    clock: ManualClock,
    method: str,
    argument: int,
) -> None:
    """If it failed: a command would work here that real firmware acknowledges and ignores.

    pywhatsminer's own methods send numbers; section D of docs/protocol.md says what becomes of them.
    """
    before = miner.truth()
    answer = await clients(
        "call",
        miner,
        password=PASSWORD,
        part="Power",
        method=method,
        arguments=[argument],
    )
    assert answer.get("STATUS") == "S", answer
    assert argument in miner.commands[-1].params.values()
    clock.advance(3000)
    truth = miner.truth()
    assert truth.power_limit_w == before.power_limit_w
    assert truth.power_w == pytest.approx(before.power_w, rel=0.01)
    assert truth.elapsed_s == before.elapsed_s + 3000


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("miner", MINERS, indirect=True)
async def test_a_wrong_password_changes_nothing(
    miner: SimulatedMiner, clients: Client, clock: ManualClock, client: str
) -> None:
    """If it failed: a client without the password could stop a miner."""
    answer = await write(clients, miner, client, "power_off", password="wrong")
    assert REFUSED[client] in answer["error"]
    clock.advance(20)
    assert miner.truth().mining

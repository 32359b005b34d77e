"""pyasic-rs, another project's client, reads and commands simulated miners like real ones."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, SimulatedMiner

from .conftest import Python
from .interop import Client, own_address, pins, running

PASSWORD = "Secret_1"
OLD = ("v1_m20s", "v204_m30sp", "v205_m50", "v205_m56s")
V3 = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
MODELS = {
    "v1_m20s": "M20SV10",
    "v204_m30sp": "M30SPlusVE40",
    "v205_m50": "M50VH80",
    "v205_m56s": "M56SVH30",
    "v2c_m60s": "M60SVK40",
    "v3_m7bs": "M7BSVM30",
    "v3_m64_bad": "M64VL30",
}
LED = [{"color": "red", "period": 200, "duration": 100, "start": 0}]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def pyasic_rs(interop_python: Python) -> Iterator[Client]:
    """Start the process; end it after the tests."""
    python = interop_python("pyasic-rs", pins("pyasic-rs"))
    with running(python, "interop_pyasic_rs.py") as client:
        yield client


@pytest.fixture
async def miner(
    request: pytest.FixtureRequest, clock: ManualClock
) -> AsyncIterator[SimulatedMiner]:
    """Return a function that starts one miner at the address that pyasic-rs uses."""
    async with SimulatedMiner(
        request.param,
        host=own_address(40 + list(PROFILES).index(request.param)),
        port=4028,
        v3_port=4433,
        v3_password=PASSWORD,
        clock=clock,
    ) as result:
        yield result


@pytest.fixture
async def web_page(miner: SimulatedMiner) -> AsyncIterator[None]:
    """Serve what a browser finds on a miner: a redirect to https.

    pyasic-rs recognises a miner with API v3 by nothing else. Not everybody may open port 80.
    """

    async def redirect(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://miner/\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(redirect, miner.host, 80)
    except OSError as err:
        pytest.skip(f"The web page of the miner needs port 80: {err}")
    async with server:
        yield


async def pass_time(miner: SimulatedMiner, clock: ManualClock, seconds: float) -> None:
    """Advance the miner's time, but not its clock, which must match that of pyasic-rs."""
    clock.advance(seconds)
    miner.clock_offset_s -= seconds
    await miner.tick()


@pytest.mark.parametrize("miner", OLD, indirect=True)
async def test_reads_over_4028(miner: SimulatedMiner, pyasic_rs: Client) -> None:
    """If it failed: a second client would not read the true values.

    What it cannot do: it takes 2.0.4 for an older firmware, and looks for the MAC in the summary.
    """
    found = await pyasic_rs("identify", miner, password="")
    assert found == {"model": MODELS[miner.profile.name]}
    data = await pyasic_rs("read", miner)
    truth = miner.truth()
    assert data["mac"] == (None if truth.model == "M30S+_VE40" else miner.mac)
    assert data["firmware_version"].strip("'") == truth.firmware
    assert data["hashrate"]["value"] == pytest.approx(truth.hashrate_ths)
    assert data["wattage"] == round(truth.power_w)
    assert data["uptime"] == truth.elapsed_s
    assert data["is_mining"] is True
    assert len(data["hashboards"]) == len(truth.boards)


@pytest.mark.usefixtures("web_page")
@pytest.mark.parametrize("miner", V3, indirect=True)
async def test_reads_v3(miner: SimulatedMiner, pyasic_rs: Client) -> None:
    """If it failed: a second client would not read the true values.

    What it cannot do: the boards of a model that it does not know; and what it calls the
    temperature of a board is its coldest chip, and that of the liquid the one of the surroundings.
    """
    miner.set_errors([110, 600])
    found = await pyasic_rs("identify", miner, password="")
    assert found == {"model": MODELS[miner.profile.name]}
    data = await pyasic_rs("read", miner)
    truth = miner.v3_truth()
    assert data["mac"] == miner.mac
    assert data["api_version"] == truth.api_version
    assert data["firmware_version"] == truth.firmware
    assert data["hostname"] == truth.hostname
    assert data["hashrate"]["value"] == pytest.approx(truth.hashrate_ths, abs=0.001)
    assert data["expected_hashrate"]["value"] == pytest.approx(
        truth.hashrate_nominal_ths or -0.004
    )
    assert data["wattage"] == truth.power_realtime_w
    assert data["uptime"] == truth.elapsed_s
    assert data["is_mining"] is True
    assert data["light_flashing"] is not truth.led_auto
    assert data["fluid_temperature"] == pytest.approx(
        truth.environment_temperature_c, abs=0.06
    )
    assert [fan["rpm"] for fan in data["fans"]] == pytest.approx(
        [truth.fan_speed_in_rpm, truth.fan_speed_out_rpm]
    )
    target = data["tuning_target"]
    if truth.power_mode == "normal":
        assert target == {"type": "power", "value": truth.power_limit_w}
    else:
        assert target == {"type": "mode", "value": truth.power_mode.capitalize()}
    (pool,) = data["pools"][0]["pools"]
    assert pool["url"] == truth.pools[0].url
    assert pool["user"] == truth.pools[0].user
    assert pool["active"] is pool["alive"] is True
    assert len(data["messages"]) == len(truth.error_codes or ())
    known = truth.boards if miner.profile.name != "v3_m7bs" else ()
    for row, board in zip(data["hashboards"], known, strict=True):
        assert row["position"] == board.slot
        assert row["hashrate"]["value"] == pytest.approx(
            board.hashrate_average_ths, abs=0.001
        )
        assert row["working_chips"] == board.chips
        assert row["frequency"] == pytest.approx(board.frequency_mhz)
        assert row["outlet_chip_temperature"] == pytest.approx(
            board.chip_temperature_max_c, abs=0.06
        )


@pytest.mark.usefixtures("web_page")
@pytest.mark.parametrize("miner", V3, indirect=True)
async def test_commands_v3(
    miner: SimulatedMiner, pyasic_rs: Client, clock: ManualClock
) -> None:
    """If it failed: token, frames or padding would differ from real miners.

    What it cannot do: percentage, fast boot and accounts are not made in pyasic-rs, and its power
    mode is a command that no document names.
    """
    await pyasic_rs("identify", miner, password=PASSWORD)

    async def write(method: str, *arguments: Any) -> None:
        answer = await pyasic_rs("write", miner, method=method, arguments=arguments)
        assert answer == {"done": True}

    await write("pause")
    await pass_time(miner, clock, 600)
    assert not miner.truth().mining
    await write("resume")
    await pass_time(miner, clock, 20)
    assert miner.truth().mining
    await write("set_fault_light", True)
    assert miner.commands[-1].params["param"] == LED
    assert miner.machine.leds == {1: "200,100,0"}
    await write("set_fault_light", False)
    assert miner.machine.leds == {}
    # A number with a point
    await write("set_power_limit", 3000)
    assert miner.commands[-1].params["param"] == 3000.0
    await pass_time(miner, clock, 4000)
    assert miner.v3_truth().power_limit_w == 3000
    # Padded with zeros
    url = "stratum+tcp://pool.example:3333"
    assert await pyasic_rs("pools", miner, url=url, user="me") == {"done": True}
    assert [(pool.url, pool.user) for pool in miner.v3_truth().pools] == [(url, "me")]
    answer = await pyasic_rs("mode", miner)
    assert answer.get("done") is not True
    assert "set.miner.mode" in {command.name for command in miner.commands}
    reboots = miner.machine.reboots
    await write("restart")
    await pass_time(miner, clock, 30)
    assert miner.machine.reboots == reboots + 1


@pytest.mark.usefixtures("web_page")
@pytest.mark.parametrize("miner", V3, indirect=True)
async def test_wrong_password_changes_nothing(
    miner: SimulatedMiner, pyasic_rs: Client, clock: ManualClock
) -> None:
    """If it failed: a client without the password could stop a miner."""
    await pyasic_rs("identify", miner, password="wrong")
    answer = await pyasic_rs("write", miner, method="pause", arguments=[])
    assert answer.get("done") is not True
    await pass_time(miner, clock, 20)
    assert miner.truth().mining

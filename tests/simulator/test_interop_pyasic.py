"""pyasic, another project's client, reads and commands simulated miners like real ones."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, SimulatedMiner

from .conftest import Python
from .interop import Client, own_address, pins, running

PASSWORD = "Secret_1"


@pytest.fixture(scope="module")
def pyasic(interop_python: Python) -> Iterator[Client]:
    """Start the process; end it after the tests."""
    python = interop_python("pyasic", pins("pyasic"))
    with running(python, "interop_pyasic.py") as client:
        yield client


@pytest.fixture
async def miner(
    request: pytest.FixtureRequest, clock: ManualClock
) -> AsyncIterator[SimulatedMiner]:
    """Return a function that starts one miner at the address that pyasic uses."""
    async with SimulatedMiner(
        request.param,
        host=own_address(2 + list(PROFILES).index(request.param)),
        port=4028,
        password=PASSWORD,
        clock=clock,
    ) as result:
        yield result


pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("miner", "found", "model"),
    [
        ("v1_m20s", "BTMinerM20SV10", "M20S V10 (Stock)"),
        ("v204_m30sp", "BTMinerM30SPlusVE40", "M30S+ VE40 (Stock)"),
        ("v205_m50", "BTMinerM50VH80", "M50 VH80 (Stock)"),
        ("v205_m56s", "BTMinerM56SVH30", "M56S VH30 (Stock)"),
    ],
    indirect=["miner"],
)
async def test_pyasic_reads_a_whole_miner(
    miner: SimulatedMiner, pyasic: Client, found: str, model: str
) -> None:
    """If it failed: another client would not read the true values, so tests of ours would prove little."""
    miner.set_errors([110, 600])
    assert await pyasic("identify", miner, password=PASSWORD) == {
        "found": found,
        "model": model,
    }
    data = await pyasic("read", miner)
    truth = miner.truth()
    assert data["mac"] == miner.mac
    assert data["fw_ver"] == truth.firmware
    assert data["hashrate"]["rate"] == pytest.approx(truth.hashrate_1m_ths)
    assert data["expected_hashrate"]["rate"] == pytest.approx(
        truth.hashrate_nominal_ths, abs=0.01
    )
    assert data["wattage"] == round(truth.power_w)
    assert data["wattage_limit"] == truth.power_limit_w
    assert data["uptime"] == truth.elapsed_s
    assert data["is_mining"] is True
    assert [error["error_code"] for error in data["errors"]] == [110, 600]
    boards = [board for board in data["hashboards"] if not board["missing"]]
    assert [board["slot"] for board in boards] == [board.slot for board in truth.boards]
    assert [board["chips"] for board in boards] == [
        board.chips for board in truth.boards
    ]
    assert [board["temp"] for board in boards] == [
        round(board.temperature_c) for board in truth.boards if board.temperature_c
    ]
    assert sum(board["hashrate"]["rate"] for board in boards) == pytest.approx(
        truth.hashrate_1m_ths
    )
    assert [pool["user"] for pool in data["pools"]] == [
        pool.user for pool in truth.pools
    ]
    assert data["pools"][0]["accepted"] == truth.accepted_shares
    if truth.fan_speed_in_rpm:
        speeds = [fan["speed"] for fan in data["fans"]]
        assert speeds == [truth.fan_speed_in_rpm, truth.fan_speed_out_rpm]


@pytest.mark.parametrize("miner", ["v2c_m60s"], indirect=True)
async def test_pyasic_reads_what_it_can_of_2_2(
    miner: SimulatedMiner, pyasic: Client
) -> None:
    """If it failed: answers of 2.2.x would not pass another client's transport and JSON repair.

    pyasic reads such a miner on port 4433 (see below). On 4028 it cannot identify it (it looks for
    `btminer` in the answer to devdetails, which is refused, and then at a web page), nor find
    `SUMMARY` or read `devs`; so here are its commands without its model.
    """
    assert (await pyasic("identify", miner, password=PASSWORD))[
        "found"
    ] != "BTMinerM60SVK40"
    await pyasic("assume", miner, password=PASSWORD)
    commands = [
        "summary",
        "edevs",
        "pools",
        "status",
        "get_version",
        "get_psu",
        "get_miner_info",
    ]
    data = await pyasic("ask", miner, commands=commands)
    truth = miner.truth()
    summary = data["summary"]["Msg"]
    assert summary["Power"] == pytest.approx(truth.power_w, abs=0.01)
    assert summary["HS RT"] == pytest.approx(truth.hashrate_ths * 1e6, rel=1e-6)
    boards = data["edevs"]["DEVS"]
    assert sum(board["HS RT"] for board in boards) == pytest.approx(
        truth.hashrate_ths, abs=0.02
    )
    assert data["pools"]["POOLS"][0]["URL"] == truth.pools[0].url
    assert data["status"]["Msg"]["mineroff"] == "false"
    assert data["get_version"]["Msg"]["miner_type"] == truth.model
    assert data["get_psu"]["Msg"]["model"] == truth.psu.model
    assert data["get_miner_info"]["Msg"]["mac"] == miner.mac
    # pyasic's own methods look for SUMMARY
    assert (await pyasic("write", miner, method="get_wattage", arguments=[]))[
        "done"
    ] is None


@pytest.mark.parametrize(
    "miner",
    ["v1_m20s", "v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s"],
    indirect=True,
)
async def test_pyasic_stops_and_starts(
    miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: key, token or envelope would differ from real miners."""
    how = "assume" if miner.profile.dialect == "v2c" else "identify"
    await pyasic(how, miner, password=PASSWORD)
    assert await pyasic("write", miner, method="stop_mining", arguments=[]) == {
        "done": True
    }
    clock.advance(20)
    assert not miner.truth().mining
    assert miner.machine.power_w == pytest.approx(15, abs=1)
    assert await pyasic("write", miner, method="resume_mining", arguments=[]) == {
        "done": True
    }
    clock.advance(20)
    assert miner.truth().mining
    assert miner.commands[-1].encrypted


@pytest.mark.parametrize(
    "miner", ["v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s"], indirect=True
)
async def test_pyasic_limits_power(
    miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: the most common setting of farm software would have no effect here."""
    how = "assume" if miner.profile.dialect == "v2c" else "identify"
    await pyasic(how, miner, password=PASSWORD)
    assert await pyasic("write", miner, method="set_power_limit", arguments=[3000]) == {
        "done": True
    }
    clock.advance(3000)
    assert miner.truth().power_limit_w == 3000
    assert miner.truth().power_w == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize("miner", ["v1_m20s"], indirect=True)
async def test_pyasic_learns_that_v1_has_no_power_limit(
    miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: simulated old firmware would accept a command that real firmware does not know."""
    await pyasic("identify", miner, password=PASSWORD)
    assert await pyasic("write", miner, method="set_power_limit", arguments=[3000]) == {
        "done": False
    }
    clock.advance(30)
    assert miner.truth().power_limit_w == 3500


@pytest.mark.parametrize("miner", ["v205_m50"], indirect=True)
async def test_pyasic_with_a_wrong_password_changes_nothing(
    miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: a client without the password could stop a miner."""
    await pyasic("identify", miner, password="wrong")
    assert await pyasic("write", miner, method="stop_mining", arguments=[]) == {
        "done": False
    }
    clock.advance(20)
    assert miner.truth().mining


# API v3


async def old_clock(miner: SimulatedMiner, clock: ManualClock, seconds: float) -> None:
    """Advance the miner's time, but not its clock, which must match that of pyasic."""
    clock.advance(seconds)
    miner.clock_offset_s -= seconds
    await miner.tick()


@pytest.fixture
async def v3_miner(
    request: pytest.FixtureRequest, clock: ManualClock
) -> AsyncIterator[SimulatedMiner]:
    """Return a function that starts one miner with the two ports that pyasic uses, as after power-on.

    A running one pyasic recognises by its web page alone, which is not simulated. While btminer is
    down, the miner names btminer on 4028, and pyasic then tries 4433.
    """
    async with SimulatedMiner(
        request.param,
        host=own_address(20 + list(PROFILES).index(request.param)),
        port=4028,
        v3_port=4433,
        v3_password=PASSWORD,
        clock=clock,
        state="btminer_down",
    ) as result:
        yield result


V3_FOUND = {
    "v2c_m60s": {"found": "BTMinerM60SVK40", "model": "M60S VK40 (Stock)"},
    # pyasic's table of models ends before this one
    "v3_m7bs": {"found": "WhatsminerUnknown", "model": "WhatsMiner (Stock)"},
}


async def identified(
    pyasic: Client, miner: SimulatedMiner, clock: ManualClock, password: str
) -> dict[str, Any]:
    """Let pyasic detect the miner, and wait until it is tuned."""
    if miner.profile.name == "v3_m64_bad":
        # 4433 refuses while btminer is down, so pyasic cannot detect the miner
        found = await pyasic("assume_v3", miner, firmware=miner.profile.firmware)
    else:
        found = await pyasic("identify", miner, password="")
    await old_clock(miner, clock, 4000)
    await pyasic("v3_password", miner, password=password)
    return found


@pytest.mark.parametrize(
    "v3_miner", ["v2c_m60s", "v3_m7bs", "v3_m64_bad"], indirect=True
)
async def test_pyasic_reads_v3(
    v3_miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: another client would not read the true values, so tests of ours would prove little.

    What it cannot do: it reads three boards of every miner, and takes the sum of their means for
    the hashrate; it looks for the pools in the summary and finds none; and what it calls the
    temperature of a board is its coldest chip.
    """
    miner = v3_miner
    miner.set_errors([110, 600])
    found = await identified(pyasic, miner, clock, PASSWORD)
    if expected := V3_FOUND.get(miner.profile.name):
        assert found == expected
    data = await pyasic("read", miner)
    truth = miner.v3_truth()
    unit = data["hashrate"]["unit"]["value"] / 1e12
    boards = truth.boards[:3]
    assert data["hashrate"]["rate"] * unit == pytest.approx(
        sum(board.hashrate_average_ths for board in boards), abs=0.002
    )
    nominal = data["expected_hashrate"]
    assert (nominal and nominal["rate"] * unit) == (
        truth.hashrate_nominal_ths and pytest.approx(truth.hashrate_nominal_ths)
    )
    assert data["mac"] == miner.mac
    assert data["api_ver"] == truth.api_version
    assert data["fw_ver"] == truth.firmware
    assert data["hostname"] == truth.hostname
    assert data["wattage"] == truth.power_realtime_w
    assert data["wattage_limit"] == truth.power_limit_w
    assert data["uptime"] == truth.elapsed_s
    assert data["env_temp"] == round(truth.environment_temperature_c, 1)
    assert data["fault_light"] is not truth.led_auto
    assert data["is_mining"] is True
    assert [fan["speed"] for fan in data["fans"]] == [
        truth.fan_speed_in_rpm,
        truth.fan_speed_out_rpm,
    ]
    assert [fan["speed"] for fan in data["fan_psu"]] == [truth.psu.fan_speed_rpm]
    assert [error["error_code"] for error in data["errors"]] == list(
        truth.error_codes or ()
    )
    for board, expected_board in zip(data["hashboards"], boards, strict=True):
        assert board["slot"] == expected_board.slot
        assert board["hashrate"]["rate"] * unit == pytest.approx(
            expected_board.hashrate_average_ths, abs=0.001
        )
        assert board["chips"] == expected_board.chips
        assert board["outlet_temp"] == round(expected_board.chip_temperature_max_c, 1)
    assert data["pools"] == []


@pytest.mark.parametrize(
    "v3_miner", ["v2c_m60s", "v3_m7bs", "v3_m64_bad"], indirect=True
)
async def test_pyasic_commands_v3(
    v3_miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: token or frames would differ from real miners.

    What it cannot do: percentage, mode, fast boot, pools and accounts are not made in pyasic.
    """
    miner = v3_miner
    await identified(pyasic, miner, clock, PASSWORD)

    async def write(method: str, *arguments: Any) -> None:
        answer = await pyasic("write", miner, method=method, arguments=arguments)
        assert answer == {"done": True}

    await write("stop_mining")
    await old_clock(miner, clock, 600)
    assert not miner.truth().mining
    await write("resume_mining")
    await old_clock(miner, clock, 20)
    assert miner.truth().mining
    await write("fault_light_on")
    assert miner.machine.leds == {1: "200,100,0"}
    await write("fault_light_off")
    assert miner.machine.leds == {}
    await write("set_power_limit", 3000)
    await old_clock(miner, clock, 4000)
    assert miner.v3_truth().power_limit_w == 3000
    assert miner.v3_truth().power_w == pytest.approx(3000, rel=0.01)
    await write("restart_backend")
    await old_clock(miner, clock, 30)
    assert miner.v3_truth().elapsed_s == 19
    reboots = miner.machine.reboots
    await write("reboot")
    await old_clock(miner, clock, 30)
    assert miner.machine.reboots == reboots + 1
    assert {command.api for command in list(miner.commands)[-5:]} == {"v3"}


@pytest.mark.parametrize("v3_miner", ["v2c_m60s", "v3_m7bs"], indirect=True)
async def test_pyasic_with_a_wrong_v3_password_changes_nothing(
    v3_miner: SimulatedMiner, pyasic: Client, clock: ManualClock
) -> None:
    """If it failed: a client without the password could stop a miner."""
    miner = v3_miner
    await identified(pyasic, miner, clock, "wrong")
    assert await pyasic("write", miner, method="stop_mining", arguments=[]) == {
        "done": False
    }
    await old_clock(miner, clock, 20)
    assert miner.truth().mining

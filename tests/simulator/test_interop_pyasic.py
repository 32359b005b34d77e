"""pyasic, which others wrote, reads and commands simulated miners as it does real ones.

It lives in an environment of its own, because it wants other versions than Home Assistant. It
knows only port 4028, so each miner here has an address of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
import fcntl
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest
from uv import find_uv_bin

from simulator import ManualClock, SimulatedMiner

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements_interop.txt"
PASSWORD = "Secret_1"


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """A Python that has pyasic; made once, and again when the pin changes."""
    folder = pytestconfig.rootpath / ".pytest_cache" / "interop"
    folder.mkdir(parents=True, exist_ok=True)
    environment, stamp = folder / "venv", folder / "stamp"
    result = environment / "bin" / "python"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
        if not result.exists() or not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            index = os.environ.get("PIP_INDEX_URL")
            variables = {**({"UV_DEFAULT_INDEX": index} if index else {}), **os.environ}
            for arguments in (
                ("venv", "--quiet", "--clear", "--python", sys.executable, environment),
                (
                    "pip",
                    "install",
                    "--quiet",
                    "--python",
                    result,
                    "--requirement",
                    REQUIREMENTS,
                ),
            ):
                subprocess.run((find_uv_bin(), *arguments), check=True, env=variables)
            stamp.write_text(wanted)
    return result


class Pyasic:
    """The process with pyasic in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Talk to it through its standard input and output."""
        self._process = process

    async def __call__(
        self, do: str, miner: SimulatedMiner, **arguments: Any
    ) -> dict[str, Any]:
        """Let it do something, and return what came of it."""
        request = json.dumps({"do": do, "ip": miner.host, **arguments})
        return json.loads(await asyncio.to_thread(self._exchange, request))

    def _exchange(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        print(line, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


@pytest.fixture(scope="module")
def pyasic(python: Path) -> Iterator[Pyasic]:
    """Start the process, and end it."""
    with subprocess.Popen(
        (python, HERE / "interop_pyasic.py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Pyasic(process)


def own_address(number: int) -> str:
    """An address that no other run of the tests uses at the same time."""
    process = os.getpid()
    return f"127.{64 + process // 250 % 128}.{process % 250 + 1}.{number}"


@pytest.fixture
async def miner(
    request: pytest.FixtureRequest, clock: ManualClock
) -> AsyncIterator[SimulatedMiner]:
    """One miner where pyasic looks for it."""
    number = 2 + ("v1_m20s", "v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s").index(
        request.param
    )
    async with SimulatedMiner(
        request.param,
        host=own_address(number),
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
    miner: SimulatedMiner, pyasic: Pyasic, found: str, model: str
) -> None:
    """If it failed: a client from the field would not see what is true, so ours proves little."""
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
    miner: SimulatedMiner, pyasic: Pyasic
) -> None:
    """If it failed: answers of 2.2.x would not pass another client's transport and JSON repair.

    pyasic reads such a miner on port 4433. On 4028 it cannot identify it (it looks for `btminer`
    in the answer to devdetails, which is refused), nor find `SUMMARY` or read `devs`; so here are
    its commands without its model.
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
    miner: SimulatedMiner, pyasic: Pyasic, clock: ManualClock
) -> None:
    """If it failed: key, token or envelope would be other than those of real miners."""
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
    miner: SimulatedMiner, pyasic: Pyasic, clock: ManualClock
) -> None:
    """If it failed: the most used setting of farm software would have no effect here."""
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
    miner: SimulatedMiner, pyasic: Pyasic, clock: ManualClock
) -> None:
    """If it failed: old firmware would take a command here that it does not know in the field."""
    await pyasic("identify", miner, password=PASSWORD)
    assert await pyasic("write", miner, method="set_power_limit", arguments=[3000]) == {
        "done": False
    }
    clock.advance(30)
    assert miner.truth().power_limit_w == 3500


@pytest.mark.parametrize("miner", ["v205_m50"], indirect=True)
async def test_pyasic_with_a_wrong_password_changes_nothing(
    miner: SimulatedMiner, pyasic: Pyasic, clock: ManualClock
) -> None:
    """If it failed: anybody in the network could switch a miner off."""
    await pyasic("identify", miner, password="wrong")
    assert await pyasic("write", miner, method="stop_mining", arguments=[]) == {
        "done": False
    }
    clock.advance(20)
    assert miner.truth().mining

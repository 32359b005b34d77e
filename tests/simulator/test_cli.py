"""`python -m simulator` starts, prints its help, and exits cleanly."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
import os
from pathlib import Path
import signal
import sys

import pytest

from simulator import FOREIGN, PROFILES, SimulatedMiner
from simulator.__main__ import build, main, parser, reason, serve
from simulator.binary import read_image

from .conftest import V3, Writer, ask

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the command as a user does; return the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_starts_and_stops(number: signal.Signals) -> None:
    """If it failed: Ctrl-C would print a traceback, and scripts could not stop the simulator."""
    async with running(
        "--port", "0", "--count", "2", "--profile", "v205_m50", "--profile", "v2c_m60s"
    ) as process:
        assert process.stdout
        lines = [(await process.stdout.readline()).decode().split() for _ in range(4)]
        assert [line[1] for line in lines] == ["v205_m50"] * 2 + ["v2c_m60s"] * 2
        assert len({line[3] for line in lines}) == 4
        for line in lines:
            host, _, port = line[0].partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b'{"cmd":"get_version"}')
            assert b'"Code":131' in await reader.read()
            writer.close()
            await writer.wait_closed()
        process.send_signal(number)
        assert await process.wait() == 0
        assert process.stderr
        assert await process.stderr.read() == b""


async def test_port_is_taken() -> None:
    """If it failed: the most likely mistake would print a traceback."""
    async with (
        SimulatedMiner("v205_m50") as miner,
        running("--port", str(miner.port)) as process,
    ):
        _, error = await process.communicate()
        assert process.returncode == 1
        assert (
            f"Cannot listen on 127.0.0.1:{miner.port}: Address already in use."
            in error.decode()
        )
        assert "Traceback" not in error.decode()


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """If it failed: a newcomer would have to read the code."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert "examples:" in text
    for word in (*PROFILES, *FOREIGN, "applied_no_answer", "--speed"):
        assert word in text


def test_list_of_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    """If it failed: a newcomer would not find the profiles."""
    assert main(["--list-profiles"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(PROFILES | FOREIGN)


def test_image_of_firmware(tmp_path: Path) -> None:
    """If it failed: an update could not be tried in the demo."""
    file = tmp_path / "new.bin"
    version = "20260401.12.REL"
    arguments = ["--profile", "v204_m30sp", "--make-image", version, str(file)]
    assert main(arguments) == 0
    image = read_image(file.read_bytes())
    assert image
    assert (image.platform, image.version) == ("H6OS", version)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--profile", "v9"],
        ["--port", "70000"],
        ["--port", "http"],
        ["--count", "0"],
        ["--count", "many"],
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--state", "asleep"],
        ["--fault", "flood"],
        ["--count", "2", "--mac", "CA:01:14:00:04:EB"],
        ["--port", "65535", "--count", "2"],
        ["--v3-port", "65535", "--count", "2"],
        ["--v3-port", "no"],
        ["--clock-offset", "late"],
    ],
)
def test_wrong_arguments(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """If it failed: a typing error would be ignored, or print a traceback."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err


def made(*arguments: str) -> Sequence[SimulatedMiner]:
    """Return the miners of a command line."""
    return build(parser().parse_args(arguments))


def test_defaults_and_ports() -> None:
    """If it failed: several miners would not have the requested ports."""
    assert [miner.port for miner in made("--count", "3")] == [4028, 4029, 4030]
    assert made()[0].profile.name == "v205_m50"
    assert made("--mac", "ca:01:14:00:00:01")[0].mac == "CA:01:14:00:00:01"


async def test_options_reach_the_miner(capsys: pytest.CaptureFixture[str]) -> None:
    """If it failed: an option of the command line would be ignored."""
    (miner,) = made(
        *(
            "--port",
            "0",
            "--password",
            "Secret_1",
            "--api-switch",
            "off",
            "--state",
            "stopped",
        ),
        *("--refuse", "set_led", "--fault", "clock_zero:status", "--fault", "newline"),
        *("--fault", "hide=mineroff:status", "--percent-restarts"),
    )
    running_miner = asyncio.create_task(serve([miner]))
    while not miner.port:
        await asyncio.sleep(0.01)
    status = await ask(miner, "status")
    assert status["When"] == 0
    assert "mineroff" not in status["Msg"]
    assert miner.machine.percent_restarts
    owner = Writer(miner, "Secret_1")
    assert (await owner("set_led", param="auto"))["Code"] == 14
    assert (await owner("power_on"))["Code"] == 45
    assert not miner.truth().mining
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running_miner == 0
    assert miner.mac in capsys.readouterr().out


async def test_v3_options_reach_the_miner() -> None:
    """If it failed: an option of the command line would be ignored."""
    miners = made("--profile", "v2c_m60s", "--count", "2")
    assert [miner.v3_port for miner in miners] == [4433, 4434]
    miners = made("--profile", "v2c_m60s", "--count", "2", "--v3-port", "5000")
    assert [miner.v3_port for miner in miners] == [5000, 5001]
    assert made("--profile", "v2c_m60s", "--v3-port", "0")[0].v3_port == 0
    assert made("--v3-port", "5000")[0].v3_port is None
    (miner,) = made(
        *("--profile", "v2c_m60s", "--port", "0", "--v3-password", "Secret_1"),
        *("--clock-offset", "-3600", "--refuse", "set.system.led", "--speed", "9"),
    )
    assert miner.v3_port == 0
    assert miner.clock_offset_s == -3600
    async with miner:
        client = await V3(miner, "super", "Secret_1").connect()
        assert await client.write("set.system.led", "auto") == (-2, "invalid cmd")
        assert await client.write("set.miner.fastboot", "enable") == (0, "ok")
        await client.close()


async def test_serve_tells_the_v3_port(capsys: pytest.CaptureFixture[str]) -> None:
    """If it failed: a user would not see the port of API v3, or which port is in use."""
    (miner,) = made("--profile", "v2c_m60s", "--port", "0")
    running_miner = asyncio.create_task(serve([miner]))
    while not miner.v3_port:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running_miner == 0
    assert f"API v3 on {miner.v3_port}" in capsys.readouterr().out
    async with SimulatedMiner("v2c_m60s") as first:
        second = SimulatedMiner("v2c_m60s", v3_port=first.v3_port)
        assert await serve([second]) == 1
    reported = capsys.readouterr().err
    assert f"Cannot listen on 127.0.0.1:{first.v3_port}: Address already" in reported


async def test_serve_tells_that_a_port_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If it failed: the message would not say what to do."""
    async with SimulatedMiner("v205_m50") as miner:
        other = SimulatedMiner("v205_m50", port=miner.port)
        assert await serve([other]) == 1
    assert "Choose another --port" in capsys.readouterr().err


def test_reason_without_a_number() -> None:
    """If it failed: the message for an address that does not exist would be empty."""
    assert reason(OSError("no such address")) == "no such address"

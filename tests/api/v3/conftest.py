"""Simulated miners of API 3.x, clients for them, and other services on their port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.whatsminer.api import Activity, Miner, connect, transport
from custom_components.whatsminer.api.v2 import miner as v2_miner
from custom_components.whatsminer.api.v3 import miner as v3_miner
from custom_components.whatsminer.api.v3.miner import V3Miner, Writer4433
from simulator import ManualClock, Phase, SimulatedMiner

from ..conftest import framed

PASSWORD = "Super_1"
ADMIN = "Secret_1"
M60S, M7BS, M64 = PROFILES = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
ACTIVITIES = {
    Phase.STABLE: Activity.MINING,
    Phase.UPFREQ: Activity.TUNING,
    Phase.STARTING: Activity.STARTING,
    Phase.BTMINER_DOWN: Activity.RESTARTING,
    Phase.STOPPED: Activity.STOPPED,
}
POLL = ["get.miner.status", "get.miner.setting", "get.device.info"]

type Start = Callable[..., Awaitable[SimulatedMiner]]
type Client = Callable[..., Awaitable[V3Miner]]


every_profile = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for the miner and for the client; it moves only when a test advances it."""
    clock = ManualClock(1000.0)
    for module in (v2_miner, v3_miner):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
async def start(
    clock: ManualClock,
    client_sockets: list[transport.Line],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Start]:
    """Start simulated miners; they are stopped at the end."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    settings = {
        "clock": clock,
        "epoch": 1_760_000_000.0,
        "password": ADMIN,
        "v3_password": PASSWORD,
    }
    async with AsyncExitStack() as stack:

        async def start_one(profile: str = M7BS, **options: Any) -> SimulatedMiner:
            miner = SimulatedMiner(profile, **settings | options)
            return await stack.enter_async_context(miner)

        yield start_one


@pytest.fixture
async def connect_to(
    client_sockets: list[transport.Line],
) -> AsyncIterator[Callable[..., Any]]:
    """Connect to a simulated miner with all its passwords; hang up at the end."""
    miners: list[Miner] = []

    async def connect_one(sim: SimulatedMiner, **options: Any) -> Miner:
        settings = {
            "v3_port": sim.v3_port,
            "password": ADMIN,
            "v3_password": PASSWORD,
        }
        miner = await connect(sim.host, sim.port, **settings | options)
        miners.append(miner)
        return miner

    yield connect_one
    for miner in miners:
        await miner.close()


@pytest.fixture
def client(connect_to: Callable[..., Any]) -> Client:
    """The same, where API 3.x must be found."""

    async def client(sim: SimulatedMiner, **options: Any) -> V3Miner:
        miner = await connect_to(sim, **options)
        assert isinstance(miner, V3Miner)
        return miner

    return client


@pytest.fixture
def crowd(
    client_sockets: list[transport.Line], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """How many sockets the client had at each moment at which it opened one."""
    counts: list[int] = []
    connect = transport.Line.connect

    async def counted(line: transport.Line, address: tuple[Any, ...]) -> None:
        counts.append(1 + sum(other.is_open for other in client_sockets))
        await connect(line, address)

    monkeypatch.setattr(transport.Line, "connect", counted)
    return counts


def names(sim: SimulatedMiner, api: str = "v3") -> list[str]:
    """What the miner received on 4433, or on 4028 (v2), in order."""
    return [command.name for command in sim.commands if command.api == api]


def written(sim: SimulatedMiner) -> list[str]:
    """The commands that it received, on either port."""
    return [
        command.name
        for command in sim.commands
        if command.encrypted or command.name.startswith("set.")
    ]


async def stop(miner: V3Miner) -> dict[str, Any]:
    """Stop mining by the command itself, without a look at what the miner can do."""
    assert isinstance(miner.writer, Writer4433)
    return await miner.writer.command("set.miner.service", "stop")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the other end of a connection to notice."""
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.005)


type Speak = Callable[[bytes], bytes]


@contextlib.asynccontextmanager
async def other_service(speak: Speak) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Something else on port 4433: its port, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                heard.append(data)
                writer.write(speak(data))
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heard
    server.close()
    await server.wait_closed()


OTHERS: dict[str, Speak] = {
    "web server": lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "tls": lambda data: b"\x15\x03\x01\x00\x02\x02\x32",
    "binary": lambda data: b"\xff" * 64,
    "echo": lambda data: data,
    "text in a frame": lambda data: framed(
        b"Socket connect failed: Connection refused"
    ),
    "object": lambda data: framed(b'{"hello":"world"}'),
    "another api": lambda data: framed(b'{"code":0,"msg":{"version":1}}'),
    "a word": lambda data: framed(b'{"code":0,"msg":"ok"}'),
    "a refusal": lambda data: framed(b'{"code":-2,"msg":"invalid cmd"}'),
}


# Writing

type Call = Callable[[V3Miner], Awaitable[None]]

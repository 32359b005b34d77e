"""A client that knows only sockets and the protocol page, and miners for it to talk to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
from pathlib import Path
from typing import Any

import pytest

from simulator import ManualClock, SimulatedMiner
from simulator.auth import Envelope
from simulator.auth_v3 import digest, seal, token

from .interop import environment

EPOCH = 1_700_000_000.0
DEFAULT = "admin"


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """These tests are about sockets."""


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told to."""
    return ManualClock()


@pytest.fixture(scope="session")
def interop_python(pytestconfig: pytest.Config) -> Path:
    """A Python that has the clients of others."""
    return environment(pytestconfig.rootpath / ".pytest_cache" / "interop")


Make = Callable[..., Awaitable[SimulatedMiner]]


@pytest.fixture
async def make(clock: ManualClock) -> AsyncIterator[Make]:
    """Start miners, and stop them at the end."""
    miners: list[SimulatedMiner] = []

    async def start(profile: str = "v205_m50", **options: Any) -> SimulatedMiner:
        settings: dict[str, Any] = {"clock": clock, "epoch": EPOCH}
        miner = SimulatedMiner(profile, **settings | options)
        await miner.start()
        miners.append(miner)
        return miner

    yield start
    for miner in miners:
        await miner.stop()


async def send(
    miner: SimulatedMiner, request: bytes, *, half_close: bool = False
) -> bytes:
    """Send bytes, and read until the miner closes."""
    reader, writer = await asyncio.open_connection(miner.host, miner.port)
    try:
        writer.write(request)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def ask_text(miner: SimulatedMiner, command: str, **params: Any) -> str:
    """Ask in plain text, and get text."""
    answer = await send(miner, json.dumps({"cmd": command, **params}).encode())
    return answer.decode()


async def ask(miner: SimulatedMiner, command: str, **params: Any) -> Any:
    """Ask in plain text."""
    return json.loads((await ask_text(miner, command, **params)).strip("\0\n"))


class Writer:
    """Somebody who knows the password, and keeps a token."""

    def __init__(self, miner: SimulatedMiner, password: str = DEFAULT) -> None:
        """Know where, and the password."""
        self.miner = miner
        self.password = password
        self.token: str | None = None
        self.envelope: Envelope | None = None

    async def authorize(self) -> None:
        """Ask for a token."""
        salts = (await ask(self.miner, "get_token"))["Msg"]
        self.envelope = Envelope(self.password, salts["salt"])
        self.token = self.envelope.sign(salts["time"], salts["newsalt"])

    async def request(self, command: str, **params: Any) -> bytes:
        """Seal a command."""
        if not self.envelope:
            await self.authorize()
        assert self.envelope
        request = {"cmd": command, "token": self.token} | params
        if request["token"] is None:
            del request["token"]
        data = self.envelope.encrypt(json.dumps(request))
        return json.dumps({"enc": 1, "data": data}).encode()

    def opened(self, answer: Any) -> tuple[Any, bool]:
        """Return what an answer says, and whether it was sealed."""
        if "enc" not in answer:
            return answer, False
        assert self.envelope
        return self.envelope.decrypt(answer["enc"]), True

    async def send(self, command: str, **params: Any) -> tuple[Any, bool]:
        """Send a sealed command; return the answer, and whether it was sealed as well."""
        request = await self.request(command, **params)
        answer = (await send(self.miner, request)).strip(b"\0\n")
        return self.opened(json.loads(answer)) if answer else (None, False)

    async def __call__(self, command: str, **params: Any) -> Any:
        """Send a sealed command."""
        return (await self.send(command, **params))[0]


class V3:
    """A client of port 4433 that keeps its connection."""

    def __init__(self, miner: SimulatedMiner, account: str, password: str) -> None:
        """Know where, and who."""
        self.miner = miner
        self.account = account
        self.password = password
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def connect(self) -> V3:
        """Open the connection."""
        self.reader, self.writer = await asyncio.open_connection(
            self.miner.host, self.miner.v3_port
        )
        return self

    def send(self, text: str) -> None:
        """Send a frame."""
        self.writer.write(len(text).to_bytes(4, "little") + text.encode())

    async def frame(self) -> str:
        """Read a frame; an empty one is a heartbeat."""
        async with asyncio.timeout(5):
            length = int.from_bytes(await self.reader.readexactly(4), "little")
            return (await self.reader.readexactly(length)).decode("ascii")

    async def ended(self) -> bool:
        """Whether the miner has closed without another byte."""
        async with asyncio.timeout(5):
            return await self.reader.read(1) == b""

    async def ask(self, cmd: str, param: Any = None) -> Any:
        """Read something, and return the whole answer."""
        request = {"cmd": cmd} | ({} if param is None else {"param": param})
        self.send(json.dumps(request))
        return json.loads(await self.frame())

    async def read(self, cmd: str, param: Any = None) -> Any:
        """Read something that is there."""
        answer = await self.ask(cmd, param)
        assert (answer["code"], answer["desc"]) == (0, cmd)
        return answer["msg"]

    def request(
        self, cmd: str, param: Any = None, *, sealed: bool = False, **fields: Any
    ) -> str:
        """Make a write; fields replace what belongs there, None leaves it out."""
        ts = fields.get("ts") or int(self.miner.time.wall(self.miner.time.now))
        secret = digest(cmd, self.password, self.miner.v3_salt, ts)
        if sealed:
            param = seal(secret, json.dumps(param))
        request = {
            "cmd": cmd,
            "ts": ts,
            "token": token(secret),
            "account": self.account,
            "param": param,
        } | fields
        return json.dumps({k: v for k, v in request.items() if v is not None})

    async def write(self, cmd: str, param: Any = None, **fields: Any) -> Any:
        """Write something, and return code and text."""
        self.send(self.request(cmd, param, **fields))
        answer = json.loads(await self.frame())
        assert answer["desc"] == cmd
        return answer["code"], answer["msg"]

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


Connect = Callable[..., Awaitable[V3]]


@pytest.fixture
async def v3() -> AsyncIterator[Connect]:
    """Connect to port 4433, and close at the end."""
    clients: list[V3] = []

    async def connect(
        miner: SimulatedMiner, account: str = "super", password: str | None = None
    ) -> V3:
        clients.append(await V3(miner, account, password or account).connect())
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
def writer() -> type[Writer]:
    """The class, so that a test may have several."""
    return Writer

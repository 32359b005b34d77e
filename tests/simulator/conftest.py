"""A client made of sockets and the protocol page only, and miners for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
import json
from pathlib import Path
import subprocess
from typing import Any

import pytest

from simulator import ManualClock, SimulatedMiner
from simulator.auth import Envelope
from simulator.auth_v3 import digest, encrypt, token

from .interop import environment

EPOCH = 1_700_000_000.0
DEFAULT = "admin"


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """Allow sockets: these tests need them."""


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only `advance` moves."""
    return ManualClock()


type Python = Callable[[str, list[str]], Path]
"""Return a Python with these requirements, in a folder of that name; skip without them."""


@pytest.fixture(scope="session")
def interop_python(pytestconfig: pytest.Config) -> Python:
    """Return a function that returns a Python with another project's client."""

    def find(name: str, requirements: list[str]) -> Path:
        folder = pytestconfig.rootpath / ".pytest_cache" / "interop" / name
        try:
            return environment(folder, requirements)
        except subprocess.CalledProcessError as err:
            reason = " ".join(err.stderr.split()) or f"status {err.returncode}"
            pytest.skip(f"{name} cannot be installed: {reason}")

    return find


Make = Callable[..., Awaitable[SimulatedMiner]]


@pytest.fixture
async def make(clock: ManualClock) -> AsyncIterator[Make]:
    """Return a function that starts miners; stop them at the end."""
    settings: dict[str, Any] = {"clock": clock, "epoch": EPOCH}
    async with AsyncExitStack() as stack:

        async def start(profile: str = "v205_m50", **options: Any) -> SimulatedMiner:
            miner = SimulatedMiner(profile, **settings | options)
            return await stack.enter_async_context(miner)

        yield start


async def send(
    miner: SimulatedMiner, request: bytes, *, half_close: bool = False
) -> bytes:
    """Send bytes; return what the miner sends until it closes."""
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
    """Send a plain request; return the answer as text."""
    answer = await send(miner, json.dumps({"cmd": command, **params}).encode())
    return answer.decode()


async def ask(miner: SimulatedMiner, command: str, **params: Any) -> Any:
    """Send a plain request; return the answer."""
    return json.loads((await ask_text(miner, command, **params)).strip("\0\n"))


class Writer:
    """A client of 4028 that has the password and keeps its token."""

    def __init__(self, miner: SimulatedMiner, password: str = DEFAULT) -> None:
        """Store miner and password."""
        self.miner = miner
        self.password = password
        self.token: str | None = None
        self.envelope: Envelope | None = None

    async def authorize(self) -> None:
        """Request a token."""
        salts = (await ask(self.miner, "get_token"))["Msg"]
        self.envelope = Envelope(self.password, salts["salt"])
        self.token = self.envelope.sign(salts["time"], salts["newsalt"])

    async def request(self, command: str, **params: Any) -> bytes:
        """Return a command, encrypted."""
        if not self.envelope:
            await self.authorize()
        assert self.envelope
        request = {"cmd": command, "token": self.token} | params
        if request["token"] is None:
            del request["token"]
        data = self.envelope.encrypt(json.dumps(request))
        return json.dumps({"enc": 1, "data": data}).encode()

    def opened(self, answer: Any) -> tuple[Any, bool]:
        """Return the content of an answer, and whether it was encrypted."""
        if "enc" not in answer:
            return answer, False
        assert self.envelope
        return self.envelope.decrypt(answer["enc"]), True

    async def send(self, command: str, **params: Any) -> tuple[Any, bool]:
        """Send an encrypted command; return the answer, and whether it was encrypted too."""
        request = await self.request(command, **params)
        answer = (await send(self.miner, request)).strip(b"\0\n")
        return self.opened(json.loads(answer)) if answer else (None, False)

    async def __call__(self, command: str, **params: Any) -> Any:
        """Send an encrypted command; return the answer."""
        return (await self.send(command, **params))[0]


class V3:
    """A client of port 4433 that keeps its connection."""

    def __init__(self, miner: SimulatedMiner, account: str, password: str) -> None:
        """Store miner and account."""
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
        """Return the next frame; an empty one is a heartbeat."""
        async with asyncio.timeout(5):
            length = int.from_bytes(await self.reader.readexactly(4), "little")
            return (await self.reader.readexactly(length)).decode("ascii")

    async def ended(self) -> bool:
        """Return whether the miner has closed without another byte."""
        async with asyncio.timeout(5):
            return await self.reader.read(1) == b""

    async def ask(self, cmd: str, param: Any = None) -> Any:
        """Send a read; return the whole answer."""
        request = {"cmd": cmd} | ({} if param is None else {"param": param})
        self.send(json.dumps(request))
        return json.loads(await self.frame())

    async def read(self, cmd: str, param: Any = None) -> Any:
        """Send a read that must succeed; return its content."""
        answer = await self.ask(cmd, param)
        assert (answer["code"], answer["desc"]) == (0, cmd)
        return answer["msg"]

    def request(
        self, cmd: str, param: Any = None, *, sealed: bool = False, **fields: Any
    ) -> str:
        """Return a write request; fields replace the right values, None removes one."""
        ts = fields.get("ts") or int(self.miner.time.wall(self.miner.time.now))
        secret = digest(cmd, self.password, self.miner.v3_salt, ts)
        if sealed:
            param = encrypt(secret, json.dumps(param))
        request = {
            "cmd": cmd,
            "ts": ts,
            "token": token(secret),
            "account": self.account,
            "param": param,
        } | fields
        return json.dumps({k: v for k, v in request.items() if v is not None})

    async def write(self, cmd: str, param: Any = None, **fields: Any) -> Any:
        """Send a write; return code and text."""
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
    """Return a function that connects to port 4433; close the connections at the end."""
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
    """Return the class, so that a test can have several clients."""
    return Writer

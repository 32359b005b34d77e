"""A client that knows only sockets and the protocol page, and miners for it to talk to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
from typing import Any

import pytest

from simulator import ManualClock, SimulatedMiner
from simulator.auth import Envelope

EPOCH = 1_700_000_000.0
DEFAULT = "admin"


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """These tests are about sockets."""


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told to."""
    return ManualClock()


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

    async def send(self, command: str, **params: Any) -> tuple[Any, bool]:
        """Send a sealed command; return the answer, and whether it was sealed as well."""
        if not self.envelope:
            await self.authorize()
        assert self.envelope
        request = {"cmd": command, "token": self.token} | params
        if request["token"] is None:
            del request["token"]
        data = self.envelope.encrypt(json.dumps(request))
        answer = (
            await send(self.miner, json.dumps({"enc": 1, "data": data}).encode())
        ).strip(b"\0\n")
        if not answer:
            return None, False
        answer = json.loads(answer)
        if "enc" in answer:
            return self.envelope.decrypt(answer["enc"]), True
        return answer, False

    async def __call__(self, command: str, **params: Any) -> Any:
        """Send a sealed command."""
        return (await self.send(command, **params))[0]


@pytest.fixture
def writer() -> type[Writer]:
    """The class, so that a test may have several."""
    return Writer

"""Simulated miners of each way to command one, and a client for each."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass
from functools import cache
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
import pytest

from custom_components.whatsminer.api import Cooling, Dialect, Miner, connect, transport
from custom_components.whatsminer.api.v2 import crypto as client_auth
from simulator import ManualClock, SimulatedMiner

PASSWORD, V3_PASSWORD = "Secret_1", "Super_1"
EPOCH = 1_700_000_000.0
WAIT = 1000.0
"""Seconds after which every command has had its effect, and the miner is back (protocol.md#h2)."""

V1, V2, V2C, V3 = Dialect
ALL_4028 = (V1, V2, V2C)
V2_UP = (V2, V2C)

type Call = Callable[[Miner], Awaitable[Any]]
type Wire = list[tuple[str, Any]]


@dataclass(frozen=True)
class Setup:
    """A miner, how it is spoken to, and in which words."""

    profile: str
    words: Dialect
    cooling: Cooling
    v3: bool = False
    v3_password: str | None = None


SETUPS = {
    "1.x": Setup("v1_m20s", V1, Cooling.AIR),
    "2.0.4": Setup("v204_m30sp", V2, Cooling.AIR),
    "2.0.5": Setup("v205_m50", V2, Cooling.AIR),
    "2.0.5 liquid": Setup("v205_m56s", V2, Cooling.LIQUID),
    "2.2": Setup("v2c_m60s", V2C, Cooling.AIR),
    "2.2 liquid": Setup("v3_m7bs", V2C, Cooling.LIQUID),
    "3.x": Setup("v2c_m60s", V3, Cooling.AIR, v3=True, v3_password=V3_PASSWORD),
    "3.x liquid": Setup(
        "v3_m7bs", V3, Cooling.LIQUID, v3=True, v3_password=V3_PASSWORD
    ),
    "3.x by the admin": Setup("v3_m7bs", V2C, Cooling.LIQUID, v3=True),
    "3.x that closes": Setup(
        "foreign_closing_v3", V3, Cooling.AIR, v3=True, v3_password=V3_PASSWORD
    ),
}


AIR, LIQUID = Cooling.AIR, Cooling.LIQUID


LONG = {"3.x that closes"}
"""It differs in its connections alone."""


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.long] if name in LONG else []


every_setup = pytest.mark.parametrize(
    "setup",
    [
        pytest.param(setup, id=name, marks=_marks(name))
        for name, setup in SETUPS.items()
    ],
)
# Each way in which a file can travel
every_way = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=_marks(name))
        for name in ("2.0.5", "2.2", "3.x", "3.x by the admin", *LONG)
    ],
)


@pytest.fixture(autouse=True)
async def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client computes each key once, and the loop does not watch itself."""
    asyncio.get_running_loop().set_debug(False)
    monkeypatch.setattr(client_auth, "md5_crypt_digest", _client_crypt)


_client_crypt = cache(client_auth.md5_crypt_digest)


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the miner; it moves only when a test advances it."""
    return ManualClock()


@pytest.fixture
async def start(
    clock: ManualClock,
    client_sockets: list[transport.Line],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Awaitable[SimulatedMiner]]]:
    """Start simulated miners; they are stopped at the end."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    async with contextlib.AsyncExitStack() as stack:

        async def start_one(setup: Setup, **options: Any) -> SimulatedMiner:
            settings = {
                "clock": clock,
                "epoch": EPOCH,
                "password": PASSWORD,
                "v3_password": V3_PASSWORD,
            }
            return await stack.enter_async_context(
                SimulatedMiner(setup.profile, **settings | options)
            )

        yield start_one


@pytest.fixture
async def client(
    start: Callable[..., Awaitable[SimulatedMiner]],
) -> AsyncIterator[Callable[..., Awaitable[Miner]]]:
    """Connect to a simulated miner as a setup says; hang up at the end."""
    miners: list[Miner] = []

    async def connect_one(sim: SimulatedMiner, setup: Setup) -> Miner:
        miner = await connect(
            sim.host,
            sim.port,
            password=PASSWORD,
            v3_port=sim.v3_port if setup.v3 else None,
            v3_password=setup.v3_password,
        )
        miners.append(miner)
        return miner

    yield connect_one
    for miner in miners:
        await miner.close()


type Start = Callable[..., Awaitable[SimulatedMiner]]
type Client = Callable[..., Awaitable[Miner]]


def received(sim: SimulatedMiner) -> Wire:
    """The writes that the miner has received, with their parameters, sealed ones opened."""
    writes: Wire = []
    for command in sim.commands:
        if command.encrypted:
            writes.append((command.name, command.params))
        elif command.name.startswith("set.") and command.name != "set.miner.report":
            param = command.params.get("param")
            if command.name in ("set.miner.pools", "set.user.change_passwd"):
                param = opened(sim, command.name, command.params["ts"], param)
            writes.append((command.name, param))
    return writes


def opened(sim: SimulatedMiner, command: str, ts: int, param: str) -> Any:
    """Decrypt a parameter as protocol.md#e4 says."""
    secret = f"{command}{V3_PASSWORD}{sim.v3_salt}{ts}"
    key = hashlib.sha256(secret.encode()).digest()
    plain = (
        Cipher(algorithms.AES(key), modes.ECB())
        .decryptor()
        .update(base64.b64decode(param))
    )
    return json.loads(plain[: -plain[-1]])


def sent(sim: SimulatedMiner) -> list[str]:
    """The names of the writes that the miner has received."""
    return [
        c.name
        for c in sim.commands
        if (c.encrypted and c.name != "status")
        or (c.name.startswith("set.") and c.name != "set.miner.report")
    ]


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """An image as it comes from a file."""
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]

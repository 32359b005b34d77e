"""Simulated miners of every dialect of port 4028, and a client for each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    Dialect,
    LedColor,
    LedPattern,
    Section,
    connect,
    transport,
)
from custom_components.whatsminer.api.v2 import miner as v2_miner
from custom_components.whatsminer.api.v2.miner import V2Miner
from simulator import ManualClock, Phase, SimulatedMiner

PASSWORD = "Secret_1"
V1, V204, M50, M56S, V2C = PROFILES = (
    "v1_m20s",
    "v204_m30sp",
    "v205_m50",
    "v205_m56s",
    "v2c_m60s",
)
DIALECTS = {
    V1: Dialect.V1,
    V204: Dialect.V2,
    M50: Dialect.V2,
    M56S: Dialect.V2,
    V2C: Dialect.V2_2,
}
ACTIVITIES = {
    Phase.STABLE: Activity.MINING,
    Phase.UPFREQ: Activity.TUNING,
    Phase.STARTING: Activity.STARTING,
    Phase.BTMINER_DOWN: Activity.RESTARTING,
    Phase.STOPPED: Activity.STOPPED,
}
RED = LedPattern(color=LedColor.RED)
FAST = [Section.SUMMARY, Section.BOARDS, Section.STATUS]

type Start = Callable[..., Awaitable[SimulatedMiner]]


every_profile = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for the miner and for the client's tokens; it moves only when a test advances it."""
    clock = ManualClock()
    monkeypatch.setattr(v2_miner, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
async def start(
    clock: ManualClock,
    client_sockets: list[transport.Line],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Start]:
    """Start simulated miners; they are stopped at the end."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    settings = {"clock": clock, "password": PASSWORD, "epoch": 1_700_000_000.0}
    async with AsyncExitStack() as stack:

        async def start_one(profile: str = M50, **options: Any) -> SimulatedMiner:
            miner = SimulatedMiner(profile, **settings | options)
            return await stack.enter_async_context(miner)

        yield start_one


async def client(sim: SimulatedMiner, **options: Any) -> V2Miner:
    """Connect to a simulated miner with the right password."""
    miner = await connect(sim.host, sim.port, **{"password": PASSWORD} | options)
    assert isinstance(miner, V2Miner)
    return miner


def names(sim: SimulatedMiner, *, encrypted: bool | None = None) -> list[str]:
    """What the miner received, in order."""
    return [
        command.name
        for command in sim.commands
        if encrypted is None or command.encrypted is encrypted
    ]

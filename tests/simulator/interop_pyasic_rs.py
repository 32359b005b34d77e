"""Runs in the environment of pyasic-rs: what the tests can request of it."""

import asyncio
from typing import Any

from interop_serve import serve  # type: ignore[import-not-found]
from pyasic_rs import MinerFactory, Pool, PoolGroup, TuningConfig  # type: ignore[import-not-found]
from pyasic_rs.data import MiningMode  # type: ignore[import-not-found]

MINERS: dict[str, Any] = {}


async def identify(ip: str, password: str) -> dict[str, Any]:
    """Return what pyasic-rs detects at an address."""
    miner = await MinerFactory().get_miner(ip)
    if miner is None:
        return {"model": None}
    miner.set_auth("super", password)
    MINERS[ip] = miner
    return {"model": miner.model}


async def read(ip: str) -> dict[str, Any]:
    """Return everything that pyasic-rs reads from a miner."""
    data = (await MINERS[ip].get_data()).model_dump()
    data["uptime"] = data["uptime"].total_seconds()
    return data


async def write(ip: str, method: str, arguments: list[Any]) -> dict[str, Any]:
    """Call one of its own methods; return the result."""
    return {"done": await getattr(MINERS[ip], method)(*arguments)}


async def pools(ip: str, url: str, user: str) -> dict[str, Any]:
    """Set one pool."""
    group = PoolGroup(
        name="", quota=1, pools=[Pool(url=url, username=user, password="x")]
    )
    return {"done": await MINERS[ip].set_pools_config([group])}


async def mode(ip: str) -> dict[str, Any]:
    """Set low power mode."""
    config = TuningConfig.mode(MiningMode.Low)
    return {"done": await MINERS[ip].set_tuning_config(config)}


if __name__ == "__main__":
    asyncio.run(serve(identify, read, write, pools, mode))

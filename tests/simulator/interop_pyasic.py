"""Runs in the environment of pyasic: what the tests can request of it."""

import asyncio
import json
from typing import Any

from interop_serve import serve  # type: ignore[import-not-found]
from pyasic import get_miner, settings  # type: ignore[import-not-found]
from pyasic.miners.whatsminer import BTMinerM60SVK40, BTMinerM64VL30  # type: ignore[import-not-found]

MINERS: dict[str, Any] = {}


async def identify(ip: str, password: str) -> dict[str, Any]:
    """Return what pyasic detects at an address."""
    settings.update("default_whatsminer_rpc_password", password)
    miner = await get_miner(ip)
    MINERS[ip] = miner
    return {
        "found": type(miner).__name__ if miner else None,
        "model": getattr(miner, "model", None),
    }


async def assume(ip: str, password: str) -> dict[str, Any]:
    """Set what pyasic finds at an address, without detection."""
    settings.update("default_whatsminer_rpc_password", password)
    MINERS[ip] = BTMinerM60SVK40(ip)
    return {"found": type(MINERS[ip]).__name__}


async def assume_v3(ip: str, firmware: str) -> dict[str, Any]:
    """Set what pyasic finds at an address on 4433, without detection."""
    MINERS[ip] = BTMinerM64VL30(ip, version=firmware)
    return {"found": type(MINERS[ip]).__name__}


async def v3_password(ip: str, password: str) -> dict[str, Any]:
    """Set the password of `super`; pyasic expects the factory default."""
    MINERS[ip].rpc.pwd = password
    return {}


async def read(ip: str) -> dict[str, Any]:
    """Return everything that pyasic reads from a miner."""
    data = await MINERS[ip].get_data()
    return json.loads(data.model_dump_json())


async def ask(ip: str, commands: list[str]) -> dict[str, Any]:
    """Send plain commands with pyasic's transport, JSON repair and validation; return the answers."""
    return {command: await MINERS[ip].rpc.send_command(command) for command in commands}


async def write(ip: str, method: str, arguments: list[Any]) -> dict[str, Any]:
    """Call one of pyasic's own methods; return its result."""
    return {"done": await getattr(MINERS[ip], method)(*arguments)}


if __name__ == "__main__":
    asyncio.run(serve(identify, assume, assume_v3, v3_password, read, ask, write))

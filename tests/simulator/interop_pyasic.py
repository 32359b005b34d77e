"""Runs in the environment of pyasic: executes requests from stdin and prints results, one JSON line each."""

import asyncio
from collections.abc import Awaitable, Callable
import json
import sys
from typing import Any

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


DO: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "identify": identify,
    "assume": assume,
    "assume_v3": assume_v3,
    "v3_password": v3_password,
    "read": read,
    "ask": ask,
    "write": write,
}


async def main() -> None:
    """Serve until stdin ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = await DO[request.pop("do")](**request)
        except Exception as err:  # noqa: BLE001 - the test shows it
            answer = {"error": f"{type(err).__name__}: {err}"}
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())

"""One client polls one miner and says what it took: ours, two bare loops, or one that others wrote.

Runs alone in the environment of the client. Takes a job on stdin and answers on stdout, in JSON.
"""

import asyncio
from collections.abc import Awaitable, Callable
import contextlib
from itertools import pairwise
import json
import socket
from statistics import median
import sys
import time
from typing import Any

type Poll = Callable[[], Awaitable[object]]
type Job = dict[str, Any]

CYCLE = 10
"""Polls after which ours has read everything; the others read everything in each."""


async def ours(job: Job) -> Poll:
    """The client of this integration, as Home Assistant uses it."""
    from custom_components.whatsminer.api import connect  # noqa: PLC0415

    v3 = job["v3"]
    miner = await connect(
        job["host"],
        password=job["password"],
        v3_port=4433 if v3 else None,
        v3_password=job["password"] if v3 else None,
    )
    state = await miner.read()
    count = 0

    async def poll() -> None:
        nonlocal state, count
        count += 1
        state = await miner.read(state, slow=count % CYCLE == 0)
        assert not state.failed, state.failed

    return poll


def parsed(answer: bytes) -> None:
    """Parse what is JSON; what is not would need the repairs that ours has."""
    with contextlib.suppress(ValueError):
        json.loads(answer.strip(b"\0\r\n "))


def steps(job: Job) -> Callable[[], list[tuple[int, bytes]]]:
    """The requests of ours, one poll after the other."""
    rounds = [
        [(port, json.dumps(request).encode()) for port, request in poll]
        for poll in job["requests"]
    ]
    count = -1

    def following() -> list[tuple[int, bytes]]:
        nonlocal count
        count += 1
        return rounds[count % len(rounds)]

    return following


async def bare(job: Job) -> Poll:
    """The same requests on blocking sockets, and json.loads: the least that can be done."""
    following, host = steps(job), job["host"]
    links: list[socket.socket] = []

    def ask(request: bytes) -> bytes:
        while links:
            links.pop().close()
        with socket.create_connection((host, 4028)) as sock:
            sock.sendall(request)
            answer = b""
            while chunk := sock.recv(1 << 16):
                answer += chunk
        return answer

    def ask_v3(request: bytes) -> bytes:
        if not links:
            links.append(socket.create_connection((host, 4433)))
        [sock] = links
        sock.sendall(len(request).to_bytes(4, "little") + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "little"):
            answer += sock.recv(1 << 16)
        return answer[4:]

    async def poll() -> None:
        for port, request in following():
            parsed(ask(request) if port == 4028 else ask_v3(request))

    return poll


async def bare_loop(job: Job) -> Poll:
    """The same, without blocking: the least that can be done on an event loop."""
    loop, following, host = asyncio.get_running_loop(), steps(job), job["host"]
    links: list[socket.socket] = []

    async def dial(port: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, port))
        return sock

    async def ask(request: bytes) -> bytes:
        while links:
            links.pop().close()
        with await dial(4028) as sock:
            await loop.sock_sendall(sock, request)
            answer = b""
            while chunk := await loop.sock_recv(sock, 1 << 16):
                answer += chunk
        return answer

    async def ask_v3(request: bytes) -> bytes:
        if not links:
            links.append(await dial(4433))
        [sock] = links
        await loop.sock_sendall(sock, len(request).to_bytes(4, "little") + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "little"):
            answer += await loop.sock_recv(sock, 1 << 16)
        return answer[4:]

    async def poll() -> None:
        for port, request in following():
            parsed(await (ask(request) if port == 4028 else ask_v3(request)))

    return poll


async def pyasic(job: Job) -> Poll:
    """pyasic, as it finds the miner itself."""
    from pyasic import get_miner, settings  # type: ignore[import-not-found]  # noqa: PLC0415

    settings.update("default_whatsminer_rpc_password", job["password"])
    miner = await get_miner(job["host"])
    if miner is None:
        # pyasic would look for newer versions on a web page; name the installed one.
        from pyasic.miners import whatsminer  # type: ignore[import-not-found]  # noqa: PLC0415

        name = {"v2c_m60s": "BTMinerM60SVK40", "v3_m64_bad": "BTMinerM64VL30"}[
            job["profile"]
        ]
        known = {"version": "20250409.15.REL"} if job["v3"] else {}
        miner = getattr(whatsminer, name)(job["host"], **known)
    if hasattr(miner.rpc, "pwd"):
        miner.rpc.pwd = job["password"]

    async def poll() -> None:
        data = await miner.get_data()
        if not data.hashrate:
            raise LookupError("reads no hashrate")

    return poll


async def pyasic_rs(job: Job) -> Poll:
    """pyasic-rs, as it finds the miner itself."""
    from pyasic_rs import MinerFactory  # type: ignore[import-not-found]  # noqa: PLC0415

    miner = await MinerFactory().get_miner(job["host"])
    if miner is None:
        raise LookupError("does not find the miner")
    miner.set_auth("super", job["password"])

    async def poll() -> None:
        data = (await miner.get_data()).model_dump()
        if not data["hashrate"]:
            raise LookupError("reads no hashrate")

    return poll


CLIENTS: dict[str, Callable[[Job], Awaitable[Poll]]] = {
    "ours": ours,
    "bare": bare,
    "bare loop": bare_loop,
    "pyasic": pyasic,
    "pyasic-rs": pyasic_rs,
}


async def measure(job: Job) -> dict[str, Any]:
    """Poll as often as wanted, and a first time for nothing; none may take for ever."""
    try:
        async with asyncio.timeout(job["patience"]):
            poll = await CLIENTS[job["client"]](job)
            for _ in range(job["before"]):
                await poll()
            print("begin", flush=True)
            sys.stdin.readline()
            times, cpus = [], []
            for done in range(job["polls"]):
                if done % CYCLE == 0:
                    times.append(time.perf_counter())
                    cpus.append(time.process_time())
                await poll()
            times.append(time.perf_counter())
            cpus.append(time.process_time())
    except Exception as err:  # noqa: BLE001 - the table says that it did not work
        return {"error": f"{type(err).__name__}: {err}".strip(": ")[:120]}
    count = min(CYCLE, job["polls"])
    return {"cpu_ms": middle(cpus) / count, "ms": middle(times) / count}


def middle(marks: list[float]) -> float:
    """The usual milliseconds from one mark to the next, whatever else the machine did."""
    return 1000 * median(after - before for before, after in pairwise(marks))


if __name__ == "__main__":
    print(
        json.dumps(asyncio.run(measure(json.loads(sys.stdin.readline())))), flush=True
    )

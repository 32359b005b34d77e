"""The poll bench: what one poll costs the client and the miner, beside other clients and a bare loop."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import json
import math
import os
from pathlib import Path
import subprocess
import sys
from typing import Any
from unittest.mock import patch

from bench.miners import PASSWORD, Miners, Place, Plan, shared_number, simulated
from bench.table import arguments, finish, say
from custom_components.whatsminer.api import connect, transport
from custom_components.whatsminer.const import SLOW_EVERY
from tests.simulator.interop import REQUIREMENTS, environment

HERE = Path(__file__).parent
KINDS = (
    ("v1_m20s", "1.x"),
    ("v205_m50", "2.0.x"),
    ("v2c_m60s", "2.2.x on 4028"),
    ("v3_m64_bad", "3.x"),
)
BOARDS = {
    "0 ms": (0.0, False),
    "20 ms": (0.02, False),
    "100 ms": (0.1, False),
    "20 ms, one at a time": (0.02, True),
}
QUICK = "0 ms"
CLIENTS = ("ours", "bare", "bare loop", "pyasic", "pyasic-rs")
REPEATS = {"ours": 8, "bare": 8, "bare loop": 8, "pyasic": 2, "pyasic-rs": 2}
"""Rounds of ten polls of a miner that answers immediately."""
ROUNDS = 8
"""How often all clients take turns at it; what else the machine does must not count."""
CYCLE = SLOW_EVERY
PATIENCE_S = 60.0
AT_ONCE = 6


async def requests_of(place: Place) -> list[list[tuple[int, Any]]]:
    """What ours asks in ten polls, so that a bare loop can ask the same."""
    polls: list[list[tuple[int, Any]]] = []
    exchange, request = transport.exchange, transport.Link.request

    async def seen_exchange(host: str, port: int, sent: Any) -> bytes:
        polls[-1].append((4028, sent))
        return await exchange(host, port, sent)

    async def seen_request(link: transport.Link, sent: Any, **_: Any) -> Any:
        polls[-1].append((4433, sent))
        return await request(link, sent)

    with (
        patch.object(transport, "exchange", seen_exchange),
        patch.object(transport.Link, "request", seen_request),
    ):
        polls.append([])
        miner = await connect(
            place.host,
            place.port,
            password=PASSWORD,
            v3_port=place.v3_port,
            v3_password=PASSWORD if place.v3_port else None,
        )
        state = await miner.read()
        polls.clear()
        for count in range(1, SLOW_EVERY + 1):
            polls.append([])
            state = await miner.read(state, slow=count % SLOW_EVERY == 0)
        await miner.close()
    return polls


@contextmanager
def client(python: Path) -> Iterator[subprocess.Popen[str]]:
    """A process for one client."""
    with subprocess.Popen(
        (python, HERE / "client.py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def measure(
    miners: Miners, number: int, job: dict[str, Any], python: Path
) -> dict[str, Any]:
    """Let a client poll one miner, and count what the miner sees."""

    async def lines(process: subprocess.Popen[str]) -> str:
        assert process.stdout
        while line := await asyncio.to_thread(process.stdout.readline):
            if line.startswith(("begin", "{")):
                return line
        return '{"error": "ended"}'

    with client(python) as process:
        assert process.stdin
        print(json.dumps(job), file=process.stdin, flush=True)
        line = await lines(process)
        before = (await miners.counts())[number]
        if line.startswith("begin"):
            print(file=process.stdin, flush=True)
            line = await lines(process)
        found: dict[str, Any] = json.loads(line)
        if "error" not in found:
            after = (await miners.counts())[number]
            made = after.connections - before.connections
            found["connections"] = round(made / job["polls"], 2)
            found["most_at_once"] = after.most_open
    return found


async def one(
    board: str, kind: tuple[str, str], name: str, peers: Path
) -> dict[str, Any]:
    """One client with one miner."""
    answer_s, serial = BOARDS[board]
    with simulated(
        Plan((kind,), answer_s, serial, usual_ports=True), shared_number()
    ) as miners:
        [place] = miners.places
        theirs = name.startswith("pyasic")
        job = {
            "client": name,
            "host": place.host,
            "v3": place.v3_port is not None,
            "profile": kind[0],
            "password": PASSWORD,
            "polls": REPEATS[name] * CYCLE
            if board == QUICK
            else 2
            if theirs
            else CYCLE,
            "before": CYCLE if board == QUICK and not theirs else 1,
            "patience": PATIENCE_S,
        }
        if name.startswith("bare"):
            job["requests"] = await requests_of(place)
        python = peers if theirs else Path(sys.executable)
        found = await measure(miners, 0, job, python)
    say(f"{kind[1]}, {board}: {name}")
    return {"generation": kind[1], "board": board, "client": name, **found}


async def take_turns(kind: tuple[str, str], peers: Path) -> list[dict[str, Any]]:
    """Run each client several times with a miner that answers immediately; return the best."""
    rounds = [
        [await one(QUICK, kind, name, peers) for name in CLIENTS] for _ in range(ROUNDS)
    ]
    return [
        min(rows, key=lambda row: row.get("cpu_ms", math.inf))
        for rows in zip(*rounds, strict=True)
    ]


async def bench(peers: Path) -> list[dict[str, Any]]:
    """All clients with all miners and all boards; what only waits is done at the same time."""
    quick = [row for kind in KINDS for row in await take_turns(kind, peers)]
    room = asyncio.Semaphore(AT_ONCE)

    async def wait(board: str, kind: tuple[str, str], name: str) -> dict[str, Any]:
        async with room:
            return await one(board, kind, name, peers)

    slow = [
        wait(board, kind, name)
        for board in BOARDS
        for kind in KINDS
        for name in CLIENTS
        if board != QUICK and not name.startswith("bare")
    ]
    return quick + list(await asyncio.gather(*slow))


def row_of(rows: list[dict[str, Any]], generation: str, name: str) -> dict[str, Any]:
    """Return the figures of a client with a miner that answers immediately."""
    [found] = [
        row
        for row in rows
        if (row["generation"], row["board"], row["client"]) == (generation, QUICK, name)
    ]
    return found


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is promised, and whether it is so."""
    found = []
    for _, generation in KINDS:
        mine = row_of(rows, generation, "ours")
        if "error" in mine:
            found.append(
                {
                    "goal": f"{generation}: all is read",
                    "met": False,
                    "figure": mine["error"],
                }
            )
            continue
        most = 1 if generation == "3.x" else 3
        found.append(
            {
                "goal": f"{generation}: at most {most} connections for a poll",
                "figure": mine["connections"],
                "met": mine["connections"] <= most,
            }
        )
        for name, limit in (
            ("bare loop", 2.0),
            ("bare", None),
            ("pyasic", 0.2),
            ("pyasic-rs", None),
        ):
            other = row_of(rows, generation, name)
            if "error" in other:
                continue
            share = mine["cpu_ms"] / other["cpu_ms"]
            text = f"at most {limit:g} times" if limit else "beside"
            found.append(
                {
                    "goal": f"{generation}: CPU for a poll, {text} that of {name}",
                    "figure": round(share, 2),
                    "met": None if limit is None else share <= limit,
                }
            )
    return found


def main() -> None:
    """Run the command line."""
    options = arguments("poll", __doc__).parse_args()
    pinned = ["--requirement", str(REQUIREMENTS)]
    peers = environment(Path(options.cache) / "peers", pinned)
    rows = asyncio.run(bench(peers))
    finish("poll", {"rows": rows, "goals": goals(rows)}, options)


if __name__ == "__main__":
    main()

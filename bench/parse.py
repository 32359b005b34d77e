"""The parse bench: how long the event loop stands still for one answer, from usual ones to rubbish."""

import asyncio
from collections.abc import Callable, Iterator
import contextlib
from functools import partial
import json
import time
from typing import Any

from bench.table import arguments, finish
from custom_components.whatsminer.api.errors import WhatsminerError
from custom_components.whatsminer.api.parse import parse_answer
from custom_components.whatsminer.api.transport import MAX_ANSWER, exchange
from custom_components.whatsminer.api.v2 import protocol as v2
from custom_components.whatsminer.api.v2.crypto import derive_token
from custom_components.whatsminer.api.v3 import protocol as v3
from simulator import SimulatedMiner

REPEATS = 20
LIMIT_MS = 5.0
CHALLENGE = {"time": "5626", "salt": "BQ5hoXV9", "newsalt": "jbzkfQls"}


def timed(function: Callable[[], object]) -> float:
    """CPU milliseconds of the quickest of some goes; a busy machine makes all others longer."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.thread_time()
        with contextlib.suppress(WhatsminerError):
            function()
        best = min(best, time.thread_time() - begin)
    return 1000 * best


async def usual() -> list[tuple[str, bytes]]:
    """What simulated miners answer."""
    found = []
    for profile in ("v1_m20s", "v204_m30sp", "v205_m50", "v2c_m60s", "v3_m7bs"):
        async with SimulatedMiner(profile) as miner:
            boards = "edevs" if profile[1:3] in ("2c", "3_") else "devs"
            for command in ("summary", boards, "summary+devs+pools"):
                if "+" in command and boards == "edevs":
                    continue  # it is never joined
                answer = await exchange(miner.host, miner.port, {"command": command})
                found.append((f"{profile}: {command}", answer))
    return found


def largest() -> Iterator[tuple[str, bytes]]:
    """What a miner could send at worst, in as many bytes as are read."""
    row = {"POOL": 1, "URL": "stratum+tcp://pool.example:3333", "Accepted": 12345}
    rows = [row] * (MAX_ANSWER // (len(json.dumps(row)) + 2) - 1)
    whole = json.dumps({"STATUS": "S", "POOLS": rows}).encode()
    broken = whole.replace(b"}, {", b"}{").replace(b"[{", b"[,{")
    yield "largest: many pools", whole
    yield "largest: joined without commas", broken
    yield "largest: cut", broken[:-3]
    yield "largest: deeply nested", b'{"a":' + b"[" * (MAX_ANSWER - 5)
    yield "largest: bytes without meaning", bytes(range(128, 256)) * (MAX_ANSWER // 128)
    yield "largest: blanks", b"{" + b" " * (MAX_ANSWER - 2) + b"x"
    yield "largest repaired", broken[: 1 << 14]


def bench() -> list[dict[str, Any]]:
    """All answers, and what else is computed."""
    rows = []
    for name, answer in [*asyncio.run(usual()), *largest()]:
        rows.append(
            {
                "what": name,
                "bytes": len(answer),
                "on": "event loop",
                "cpu_ms": timed(partial(parse_answer, answer)),
            }
        )
        # The models from it
        if name.endswith(": summary"):
            parsed = parse_answer(answer)
            rows[-1]["models_ms"] = timed(partial(v2.parse_summary, parsed))
        elif name.endswith("devs"):
            parsed = parse_answer(answer)
            rows[-1]["models_ms"] = timed(partial(v2.parse_boards, parsed, None))
    rows.append(
        {
            "what": "key of port 4028, once in 25 minutes",
            "on": "thread",
            "cpu_ms": timed(lambda: derive_token("Secret_1", CHALLENGE)),
        }
    )
    secret = "set.miner.service", "Secret_1", "BQ5hoXV9", 1_700_000_000
    rows.append(
        {
            "what": "token of port 4433, for each write",
            "on": "event loop",
            "cpu_ms": timed(lambda: v3.make_token(*secret)),
        }
    )
    return rows


def main() -> None:
    """Run the command line."""
    options = arguments("parse", __doc__).parse_args()
    rows = bench()
    longest = max(row["cpu_ms"] for row in rows if row["on"] == "event loop")
    goals = [
        {
            "goal": f"no answer stops the event loop for more than {LIMIT_MS:g} ms",
            "figure": round(longest, 2),
            "met": longest <= LIMIT_MS,
        }
    ]
    finish("parse", {"rows": rows, "goals": goals}, options)


if __name__ == "__main__":
    main()

"""The write bench: connections, tokens and CPU of commands, and how long the event loop waits for them.

It is done twice: alone, and with another process that wants the same core all the time.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
import os
import subprocess
import sys
import time
from typing import Any

from bench.clock import Steps
from bench.miners import PASSWORD, Miners, Place, Plan, shared_number, simulated
from bench.table import arguments, finish, say
from custom_components.whatsminer.api import connect

KINDS = (
    ("v1_m20s", "1.x"),
    ("v205_m50", "2.0.x"),
    ("v2c_m60s", "2.2.x on 4028"),
    ("v3_m7bs", "3.x"),
)
WRITES = 40
LIMIT_MS = 5.0
BEAT_S = 0.001


@contextmanager
def busy() -> Generator[None]:
    """Another process that computes for ever, on the one core that is left to both."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    other = subprocess.Popen((sys.executable, "-c", "while True: pass"))
    try:
        yield
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, cores)


async def beat(latest: list[float]) -> None:
    """Note how late the loop comes back, at worst."""
    while True:
        begin = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        latest.append(time.perf_counter() - begin - BEAT_S)


async def write(miners: Miners, number: int, place: Place) -> dict[str, Any]:
    """A first command, and forty more in a row."""
    v3 = place.v3_port is not None
    miner = await connect(
        place.host,
        place.port,
        password=PASSWORD,
        v3_port=place.v3_port,
        v3_password=PASSWORD if v3 else None,
    )
    await miner.read()
    steps, late = Steps(), list[float]()
    beating = asyncio.create_task(beat(late))
    before = (await miners.counts())[number]
    with steps.watch():
        await miner.set_led_auto()
        first = (await miners.counts())[number]
        cpu = time.process_time()
        for _ in range(WRITES):
            await miner.set_led_auto()
        cpu = time.process_time() - cpu
        after = (await miners.counts())[number]
    beating.cancel()
    await miner.close()
    return {
        "generation": place.generation,
        "first": first.connections - before.connections,
        "later": round((after.connections - first.connections) / WRITES, 2),
        "tokens": after.tokens - before.tokens,
        "cpu_ms": 1000 * cpu / WRITES,
        "longest_step_cpu_ms": 1000 * steps.cpu.longest,
        "longest_step_ms": 1000 * steps.clock.longest,
        "longest_delay_ms": 1000 * max(late),
    }


async def bench(*, with_other: bool) -> list[dict[str, Any]]:
    """All kinds of miners."""
    rows = []
    with simulated(Plan(KINDS), shared_number()) as miners:
        for number, place in enumerate(miners.places):
            say(f"{place.generation}, {'a busy machine' if with_other else 'alone'}")
            with busy() if with_other else nullcontext():
                row = await write(miners, number, place)
            rows.append({"machine": "busy" if with_other else "alone", **row})
    return rows


def main() -> None:
    """Run the command line."""
    options = arguments("write", __doc__).parse_args()
    rows = [
        row
        for with_other in (False, True)
        for row in asyncio.run(bench(with_other=with_other))
    ]
    goals = []
    for row in rows:
        if row["machine"] != "alone":
            continue
        v3 = row["generation"] == "3.x"
        goals += [
            {
                "goal": f"{row['generation']}: "
                + ("no connection more" if v3 else "one connection")
                + " for a command",
                "figure": row["later"],
                "met": row["later"] <= (0 if v3 else 1),
            },
            {
                "goal": f"{row['generation']}: "
                + ("no token" if v3 else "one token")
                + f" for {WRITES + 1} commands in a row",
                "figure": row["tokens"],
                "met": row["tokens"] == (0 if v3 else 1),
            },
        ]
    for machine in ("alone", "busy"):
        longest = max(
            row["longest_step_cpu_ms"] for row in rows if row["machine"] == machine
        )
        goals.append(
            {
                "goal": f"{machine}: no step of the event loop over {LIMIT_MS:g} ms of CPU",
                "figure": round(longest, 2),
                "met": longest <= LIMIT_MS,
            }
        )
    finish("write", {"rows": rows, "goals": goals}, options)


if __name__ == "__main__":
    main()

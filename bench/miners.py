"""The simulated miners of a bench, in a process of their own, so that their work is not ours."""

import asyncio
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
import multiprocessing
from multiprocessing.connection import Connection
import os
import re
import time
from typing import Any

from bench.clock import SharedNumber
from simulator import PROFILES, SimulatedMiner, server

PASSWORD = "Secret_1"
POWER_COMMAND = re.compile("pct|percent|power_o|set.miner.service|power_limit")

# One of each, with the name that docs/firmware.md has for what it speaks.
KINDS = (
    ("v1_m20s", "1.x"),
    ("v204_m30sp", "2.0.x"),
    ("v205_m50", "2.0.x"),
    ("v205_m56s", "2.0.x"),
    ("v2c_m60s", "2.2.x on 4028"),
    ("v2c_m60s", "3.x"),
    ("v3_m7bs", "3.x"),
    ("v3_m64_bad", "3.x"),
)


@dataclass(frozen=True)
class Place:
    """Where a simulated miner is, and what."""

    profile: str
    generation: str
    mac: str
    host: str
    port: int
    v3_port: int | None


@dataclass(frozen=True)
class Count:
    """What a simulated miner has counted so far."""

    tokens: int
    connections: int
    open_connections: int
    most_open: int


class Miners:
    """The simulated miners as the bench sees them."""

    def __init__(self, pipe: Connection, places: list[Place]) -> None:
        """Remember the way to them."""
        self._pipe = pipe
        self._asking = asyncio.Lock()
        self.places = places

    async def _ask(self, *question: object) -> Any:
        """Ask and wait without blocking the loop."""
        async with self._asking:
            self._pipe.send(question)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._pipe.recv)

    async def inject(self, number: int, fault: str) -> None:
        """Let something go wrong from now on."""
        await self._ask("inject", number, fault)

    async def clear(self, number: int) -> None:
        """Let all be well again."""
        await self._ask("clear", number)

    async def restart(self, number: int) -> None:
        """Let the control board restart."""
        await self._ask("restart", number)

    async def counts(self) -> list[Count]:
        """Ask each what it has counted."""
        counts: list[Count] = await self._ask("counts")
        return counts

    async def tune(self) -> None:
        """Let all run at full power."""
        await self._ask("tune")

    async def powers(self) -> list[float]:
        """Ask each what it draws (W)."""
        powers: list[float] = await self._ask("powers")
        return powers

    async def power_commands(self) -> list[list[str]]:
        """Ask each which commands for its power it has carried out."""
        commands: list[list[str]] = await self._ask("power_commands")
        return commands

    async def cpu_s(self) -> float:
        """CPU time of the process of the miners."""
        seconds: float = await self._ask("cpu")
        return seconds


@dataclass(frozen=True)
class Plan:
    """Which miners there are to be, and how quick their control boards are."""

    kinds: tuple[tuple[str, str], ...]
    answer_s: float = 0.0
    serial: bool = False
    usual_ports: bool = False
    """At an address of its own each, on 4028 and 4433: some clients know no other."""


def mixed(number: int) -> Plan:
    """So many miners of mixed kinds."""
    return Plan(tuple(islice(cycle(KINDS), number)))


@contextmanager
def simulated(plan: Plan, skipped: SharedNumber) -> Generator[Miners]:
    """Start a process with these miners, on a clock that may skip."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_main, args=(other, plan, skipped))
    process.start()
    other.close()
    try:
        yield Miners(pipe, pipe.recv())
    finally:
        pipe.close()  # which ends the process
        process.join(10)
        process.kill()


def shared_number() -> SharedNumber:
    """A number for both processes; a double is written in one piece."""
    number: SharedNumber = multiprocessing.get_context("spawn").RawValue("d", 0.0)
    return number


def _main(pipe: Connection, plan: Plan, skipped: SharedNumber) -> None:
    asyncio.run(_serve(pipe, plan, skipped))


def own_address(number: int) -> str:
    """A loopback address that no other run uses at the same time."""
    process = os.getpid()
    return f"127.{64 + process // 250 % 128}.{process % 250 + 1}.{number + 2}"


async def _serve(pipe: Connection, plan: Plan, skipped: SharedNumber) -> None:
    # Our client never closes one side only, and when time is skipped it closes immediately.
    server.HALF_CLOSE_S = 0.0

    def clock() -> float:
        return time.monotonic() + skipped.value

    async with AsyncExitStack() as stack:
        miners, places = [], []
        for seed, (profile, generation) in enumerate(plan.kinds, 1):
            v3_port = 4433 if plan.usual_ports else 0
            miner = SimulatedMiner(
                profile,
                host=own_address(seed) if plan.usual_ports else "127.0.0.1",
                port=4028 if plan.usual_ports else 0,
                password=PASSWORD,
                v3_password=PASSWORD,
                v3_port=v3_port if generation == "3.x" else None,
                clock=clock,
                seed=seed,
                timing=replace(
                    PROFILES[profile].timing,
                    answer_s=plan.answer_s,
                    serial=plan.serial,
                ),
            )
            miners.append(await stack.enter_async_context(miner))
            places.append(
                Place(
                    profile,
                    generation,
                    miner.mac,
                    miner.host,
                    miner.port,
                    miner.v3_port,
                )
            )
        pipe.send(places)
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), readable.set)
        while True:
            await readable.wait()
            readable.clear()
            try:
                while pipe.poll():
                    pipe.send(await _answer(miners, *pipe.recv()))
            except EOFError:
                return


async def _answer(
    miners: list[SimulatedMiner], what: str, number: int = 0, fault: str = ""
) -> object:
    miner = miners[number]
    match what:
        case "inject":
            miner.inject(fault)
        case "clear":
            miner.clear_failures()
            await miner.tick()
        case "restart":
            miner.machine.reboot()
        case "counts":
            return [
                Count(
                    miner.tokens_issued,
                    miner.connections_accepted + miner.v3_connections_accepted,
                    miner.open_connections + miner.open_v3_connections,
                    max(miner.most_open_connections, miner.most_open_v3_connections),
                )
                for miner in miners
            ]
        case "tune":
            for miner in miners:
                miner.machine.set_percent(100, gentle=False)
        case "powers":
            return [miner.machine.power_w for miner in miners]
        case "power_commands":
            return [
                [name for name in miner.applied if POWER_COMMAND.search(name)]
                for miner in miners
            ]
        case "cpu":
            return time.process_time()
        case _:
            raise ValueError(what)
    return None

"""How much of the set-up of miners in Home Assistant is ours, step by step of the event loop."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
import cProfile
import gc
import pstats
from typing import Any
from unittest.mock import patch

from bench.clock import SkippingLoop
from bench.fleet import home, with_miners
from bench.miners import KINDS, Miners, Plan
from bench.table import ROOT

OURS = str(ROOT / "custom_components")
BUILT_IN = "~"
REPEATS = 3


def ours(profile: cProfile.Profile) -> float:
    """Seconds in our own functions, and in what they call that is built into Python."""
    functions: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    seconds = 0.0
    for (file, _, _), (_, _, own, _, callers) in functions.items():
        if file.startswith(OURS):
            seconds += own
        elif file == BUILT_IN:
            seconds += sum(
                times[2]
                for (caller, _, _), times in callers.items()
                if caller.startswith(OURS)
            )
    return seconds


@contextmanager
def profiled(steps: list[tuple[float, float]]) -> Generator[None]:
    """Note of each step of all loops what it took, and how much of that is ours."""
    run = asyncio.Handle._run  # noqa: SLF001 - there is no public hook

    def with_profile(handle: asyncio.Handle) -> None:
        profile = cProfile.Profile()
        profile.enable()
        run(handle)
        profile.disable()
        took = sum(entry.inlinetime for entry in profile.getstats())
        steps.append((took, ours(profile)))

    gc.disable()  # it works for the whole process, in whatever step it happens to begin
    try:
        with patch.object(asyncio.Handle, "_run", with_profile):
            yield
    finally:
        gc.enable()


async def _set_up(
    loop: SkippingLoop, miners: Miners, steps: list[tuple[float, float]]
) -> None:
    async with home(loop, miners) as fleet:
        with profiled(steps):
            await fleet.set_up()


def set_up_steps() -> dict[str, Any]:
    """What is least disturbed by the rest of the machine, which only makes steps longer."""
    return min(
        (_once() for _ in range(REPEATS)),
        key=lambda found: found["most_of_ours_in_a_step_ms"],
    )


def _once() -> dict[str, Any]:
    """Set up one miner of each kind; return the longest steps."""
    steps: list[tuple[float, float]] = []
    with_miners(Plan(KINDS), lambda loop, miners: _set_up(loop, miners, steps))
    took, of_it = max(steps)
    return {
        "what": f"set-up of {len(KINDS)} miners, with the profiler on",
        "steps": len(steps),
        "longest_step_ms": 1000 * took,
        "ours_of_it_ms": 1000 * of_it,
        "most_of_ours_in_a_step_ms": 1000 * max(own for _, own in steps),
    }

"""The group bench: a hundred miners of four dialects get new power targets, while a tenth of them fails.

Time in which nothing happens is skipped.
"""

import asyncio
from dataclasses import asdict, dataclass
from itertools import cycle, islice
import logging
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant

from bench.clock import SkippingLoop
from bench.fleet import FAULTS, INTERVAL_S, REBOOT, Fleet, home, with_miners
from bench.miners import Miners, Plan
from bench.table import arguments, finish, say

# First, or else the test plugin's own folder `custom_components` hides ours.
from custom_components.whatsminer.const import DOMAIN  # isort: skip
from custom_components.whatsminer.group import runtime  # isort: skip
from custom_components.whatsminer.group.entry import CONF_KIND, CONF_MEMBERS, GROUP  # isort: skip
from custom_components.whatsminer.money.profile import Window, poll_of  # isort: skip
from custom_components.whatsminer.power import executor  # isort: skip
from pytest_homeassistant_custom_component.common import (  # isort: skip
    MockConfigEntry,
)

DIALECTS = (
    ("v1_m20s", "1.x"),
    ("v205_m50", "2.0.x"),
    ("v2c_m60s", "2.2.x on 4028"),
    ("v3_m7bs", "3.x"),
)
FAILURES = tuple(kind for kind in FAULTS if kind != REBOOT)
TARGETS = ((0.8, 60.0), (0.3, 300.0))
"""Share of the full power, and the seconds in which it must be reached; the last needs stops."""
TOLERANCE = 0.02
STEP = 0.11
"""Of its full power: the least by which a running miner is raised, and some noise."""
MOST_CPU_MS = 50.0


@dataclass
class Step:
    """What became of one target."""

    share: float
    target_w: float
    within_s: float | None
    """Seconds until the power stayed near the target; None: not in time."""
    power_w: float
    """At the end of the time."""
    commands: int
    most_commands: int
    """Of one miner."""
    most_commanded: str
    """Which miner that is, and the commands."""
    commanded_twice: int
    """Miners that got more than one command."""
    longest_step_ms: float
    longest_step_cpu_ms: float
    longest_step: str


def learn(entry: Any) -> None:
    """Let the profile of a miner be known."""
    runtime = entry.runtime_data
    state, store = runtime.coordinator.data, runtime.coordinator.store
    base = poll_of(state, None, store.tuned_power).base
    for percent in (40, 60, 80, 100) * 5:
        watts = state.summary.power * percent / 100
        ths = state.summary.hashrate * (percent / 100) ** 0.8
        runtime.learning.profile.learn(Window(0.0, percent, watts, ths, base))


def is_near(power: float, target: float, step: float) -> bool:
    """Return whether a power is within the tolerance, or below by less than a step."""
    return -max(TOLERANCE * target, step) < power - target <= TOLERANCE * target


async def reach(
    group: Any, fleet: Fleet, share: float, seconds: float, full: list[float]
) -> Step:
    """Set a target, and watch the true power."""
    miners, steps, loop = fleet.miners, fleet.steps, fleet.loop
    before = await miners.power_commands()
    steps.restart()
    begin, target, within = loop.time(), sum(full) * share, None
    group.set_target(round(target))
    while True:
        powers = await miners.powers()
        power = sum(powers)
        runs = (
            most
            for number, (most, watts) in enumerate(zip(full, powers, strict=True))
            if watts > STEP * most and number not in fleet.outages.kinds
        )
        now = loop.time() - begin
        if not is_near(power, target, STEP * min(runs, default=0.0)):
            within = None
        elif within is None:
            within = round(now, 1)
        if now > seconds:
            break
        await asyncio.sleep(1)
    sent = [
        after[len(earlier) :]
        for earlier, after in zip(before, await miners.power_commands(), strict=True)
    ]
    most = max(range(len(sent)), key=lambda number: len(sent[number]))
    return Step(
        share=share,
        target_w=target,
        within_s=within,
        power_w=power,
        commands=sum(map(len, sent)),
        most_commands=len(sent[most]),
        most_commanded=f"{miners.places[most].generation}: {', '.join(sent[most])}",
        commanded_twice=sum(len(names) > 1 for names in sent),
        longest_step_ms=1000 * steps.clock.longest,
        longest_step_cpu_ms=1000 * steps.cpu.longest,
        longest_step=steps.longest,
    )


async def run(hass: HomeAssistant, fleet: Fleet) -> list[Step]:
    """Set all up, let a tenth fail, and go through the targets."""
    miners = fleet.miners
    await miners.tune()
    await asyncio.sleep(5)
    members = [entry.entry_id for entry in fleet.entries]
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="All",
        data={CONF_KIND: GROUP},
        options={CONF_MEMBERS: members},
    )
    entry.add_to_hass(hass)
    await fleet.set_up()
    await asyncio.sleep(2 * INTERVAL_S)  # on a busy machine some answer a poll later
    for one in fleet.entries:
        learn(one)
    full = await miners.powers()
    say(f"{len(members)} miners draw {sum(full):.0f} W")
    for number in range(5, len(members), 10):
        kind = FAILURES[number // 10 % len(FAILURES)]
        fleet.outages.kinds[number] = kind
        await miners.inject(number, kind)
    await asyncio.sleep(45)
    found = []
    for share, seconds in TARGETS:
        found.append(await reach(entry.runtime_data, fleet, share, seconds, full))
        say(str(found[-1]))
    return found


async def bench(loop: SkippingLoop, miners: Miners) -> list[Step]:
    """Measure in a Home Assistant of its own."""
    with (
        patch.object(runtime, "monotonic", loop.time),
        patch.object(executor, "monotonic", loop.time),
    ):
        async with home(loop, miners) as fleet:
            return await run(fleet.hass, fleet)


def measure(number: int) -> list[Step]:
    """Measure a group of this many miners."""
    return with_miners(Plan(tuple(islice(cycle(DIALECTS), number))), bench)


def goals(found: list[Step]) -> list[dict[str, Any]]:
    """What a group must keep."""
    rows: list[dict[str, Any]] = []
    for step, (share, seconds) in zip(found, TARGETS, strict=True):
        what = f"to {share:.0%}"
        rows += [
            {
                "goal": f"{what}: within {TOLERANCE:.0%} or one step in {seconds:.0f} s",
                "figure": step.within_s,
                "met": step.within_s is not None,
            },
            {
                "goal": f"{what}: at most one command for each miner",
                "figure": step.most_commands,
                "met": step.most_commands <= 1,
            },
            {
                "goal": f"{what}: no step of the event loop over 50 ms of CPU",
                "figure": step.longest_step_cpu_ms,
                "met": step.longest_step_cpu_ms < MOST_CPU_MS,
            },
        ]
    return rows


def main() -> None:
    """Run the command line."""
    parser = arguments("group", __doc__)
    parser.add_argument("--miners", type=int, default=100, help="how many (100)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    found = measure(options.miners)
    rows = [asdict(step) for step in found]
    result = {"miners": options.miners, "rows": rows, "goals": goals(found)}
    finish("group", result, options)


if __name__ == "__main__":
    main()

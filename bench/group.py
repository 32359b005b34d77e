"""The group bench: a hundred miners of four dialects get new power targets, while a tenth of them fails.

It runs in real time, about seven minutes.
"""

import argparse
import asyncio
from dataclasses import asdict, dataclass
from itertools import cycle, islice
import json
import logging
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.loader import DATA_CUSTOM_COMPONENTS

from bench.clock import Steps
from bench.fleet import FAULTS, REBOOT, Fleet, say
from bench.miners import Miners, Plan, shared_number, simulated

# First, or else the test plugin's own folder `custom_components` hides ours.
from custom_components.whatsminer.const import DOMAIN  # isort: skip
from custom_components.whatsminer.group.entry import CONF_KIND, CONF_MEMBERS, GROUP  # isort: skip
from custom_components.whatsminer.money.profile import Window, poll_of  # isort: skip
from pytest_homeassistant_custom_component.common import (  # isort: skip
    MockConfigEntry,
    async_test_home_assistant,
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


@dataclass
class Step:
    """What became of one target."""

    share: float
    target_w: float
    within_s: float | None
    """Seconds until the power stayed within the tolerance; None: not in time."""
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


async def reach(
    group: Any, miners: Miners, steps: Steps, share: float, seconds: float, full: float
) -> Step:
    """Set a target, and watch the true power."""
    before = await miners.power_commands()
    steps.restart()
    begin, target, within = time.monotonic(), full * share, None
    group.set_target(round(target))
    while True:
        power = sum(await miners.powers())
        now = time.monotonic() - begin
        if abs(power - target) > TOLERANCE * target:
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


async def run(hass: HomeAssistant, miners: Miners, steps: Steps) -> list[Step]:
    """Set all up, let a tenth fail, and go through the targets."""
    await miners.tune()
    await asyncio.sleep(5)
    loop: Any = asyncio.get_running_loop()
    fleet = Fleet(loop, hass, miners, steps)
    members = [entry.entry_id for entry in fleet.entries]
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="All",
        data={CONF_KIND: GROUP},
        options={CONF_MEMBERS: members},
    )
    entry.add_to_hass(hass)
    await fleet.set_up()
    for one in fleet.entries:
        learn(one)
    full = sum(await miners.powers())
    say(f"{len(members)} miners draw {full:.0f} W")
    for number in range(5, len(members), 10):
        await miners.inject(number, FAILURES[number // 10 % len(FAILURES)])
    await asyncio.sleep(45)
    found = []
    for share, seconds in TARGETS:
        found.append(
            await reach(entry.runtime_data, miners, steps, share, seconds, full)
        )
        say(str(found[-1]))
    return found


async def bench(miners: Miners) -> list[Step]:
    """Start Home Assistant, measure, and stop it."""
    steps = Steps()
    if task := asyncio.current_task():
        task.set_name("bench")
    with tempfile.TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(DATA_CUSTOM_COMPONENTS)  # let it find ours
            with steps.watch():
                try:
                    return await run(hass, miners, steps)
                finally:
                    await hass.async_stop(force=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench group", description=__doc__)
    parser.add_argument("--miners", type=int, default=100, help="how many (100)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    plan = Plan(tuple(islice(cycle(DIALECTS), arguments.miners)))
    with simulated(plan, shared_number()) as miners:
        found = asyncio.run(bench(miners))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        figures = [asdict(step) for step in found]
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if any(step.within_s is None for step in found):
        sys.exit("error: a target was not reached in time")


if __name__ == "__main__":
    main()

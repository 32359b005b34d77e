"""The fleet bench: many simulated miners in one Home Assistant for hours, with random outages.

Time in which nothing happens is skipped, so that hours take minutes; all that is left is work.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
import gc
import heapq
import json
import logging
import os
from pathlib import Path
import platform
from random import Random
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from bench_miners import PASSWORD, Count, Miners, Place, shared_number, simulated
from bench_time import (
    Histogram,
    SharedNumber,
    SkippingLoop,
    Steps,
    skipping_datetime,
)
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    STATE_UNAVAILABLE,
    __version__ as HA_VERSION,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import format_mac
from homeassistant.util.async_ import get_scheduled_timer_handles

# First, or else the test plugin's own folder `custom_components` hides ours.
from custom_components.whatsminer import coordinator as whatsminer  # isort: skip
from custom_components.whatsminer.api import miner, transport, v2_miner, v3_miner  # isort: skip
from custom_components.whatsminer.const import (  # isort: skip
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
    SCAN_INTERVAL,
    SLOW_EVERY,
)
from pytest_homeassistant_custom_component.common import (  # isort: skip
    MockConfigEntry,
    async_test_home_assistant,
)

INTERVAL_S = SCAN_INTERVAL.total_seconds()
HOUR_S = 3600.0
CALM_S = 2 * SLOW_EVERY * INTERVAL_S
"""Without outages: as many slow rounds as belong to the fast ones."""
CLOSED_PORT = 1
WRITE_EVERY_S = 900.0
OUTAGE_EVERY_S = 6 * HOUR_S
OUTAGE_S = (60.0, 1200.0)
GRACE_S = 420.0
"""After an outage: a miner that restarts says little for some minutes."""

REBOOT = "reboot"
MUTE = ("silent", "stall_midway")
FAULTS = ("refuse", "close", "reset", "truncate", "bytewise", *MUTE, REBOOT)


@dataclass(frozen=True)
class Sample:
    """What the process holds at one moment between two polls."""

    hour: float
    memory_mb: float
    objects: int
    tasks: int
    timers: int
    sockets: int
    files: int


@dataclass
class Phase:
    """What was done in one part of the run."""

    polls: int = 0
    missed: int = 0
    cpu_s: float = 0.0
    real_s: float = 0.0
    simulated_s: float = 0.0
    longest_step_ms: float = 0.0
    longest_step: str = ""
    steps: int = 0
    steps_over_5_ms: int = 0
    poll_median_ms: float = 0.0
    poll_p99_ms: float = 0.0

    @property
    def cpu_per_poll_ms(self) -> float:
        """CPU of the process of Home Assistant for one poll, with all that follows from it."""
        return 1000 * self.cpu_s / self.polls if self.polls else 0.0


@dataclass
class Outages:
    """Who is out of order, and since when or until when."""

    kinds: dict[int, str] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    count: int = 0

    def excuse(self, number: int, now: float) -> bool:
        """Whether a poll of this miner may be missed now."""
        return number in self.kinds or now < self.ended.get(number, 0.0) + GRACE_S


class Fleet:
    """One Home Assistant, its miners, and what is counted about them."""

    def __init__(
        self, loop: SkippingLoop, hass: HomeAssistant, miners: Miners, steps: Steps
    ) -> None:
        """Make an entry for every miner."""
        self.loop = loop
        self.hass = hass
        self.miners = miners
        self.steps = steps
        self.begin = loop.time()
        self.outages = Outages()
        self.polls = self.missed = self.unexcused = self.polling = 0
        self.healthy = Histogram()
        self.starts: Counter[int] | None = None
        self.entries = [self._entry(place) for place in miners.places]
        self.numbers = {
            entry.entry_id: number for number, entry in enumerate(self.entries)
        }
        self.by_port = {
            port: number
            for number, place in enumerate(miners.places)
            for port in (place.port, place.v3_port)
            if port
        }

    def _entry(self, place: Place) -> Any:
        data = {
            CONF_HOST: place.host,
            CONF_PORT: place.port,
            CONF_V3_PORT: place.v3_port or CLOSED_PORT,
        }
        if place.v3_port:
            data |= {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
        else:
            data[CONF_PASSWORD] = PASSWORD
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=format_mac(place.mac),
            title=place.profile,
            data=data,
        )
        entry.add_to_hass(self.hass)
        return entry

    @property
    def hours(self) -> float:
        """Simulated hours since the beginning."""
        return (self.loop.time() - self.begin) / HOUR_S

    # Watching

    @contextmanager
    def watch(self) -> Generator[None]:
        """Count polls, and let the clock stand while a miner is being asked."""
        update = whatsminer.WhatsminerCoordinator._async_update_data  # noqa: SLF001
        exchange, request = transport.exchange, transport.Link.request

        async def counted_update(coordinator: Any) -> Any:
            return await self._count(coordinator, update)

        async def counted_exchange(host: str, port: int, sent: Any) -> bytes:
            with self._exchange(port):
                return await exchange(host, port, sent)

        async def counted_request(link: transport.Link, sent: Any) -> Any:
            with self._exchange(link.port):
                return await request(link, sent)

        clock = SimpleNamespace(monotonic=self.loop.time)
        now = skipping_datetime(self.loop.skipped)
        with ExitStack() as stack:
            for target, name, value in (
                (
                    whatsminer.WhatsminerCoordinator,
                    "_async_update_data",
                    counted_update,
                ),
                (v2_miner, "exchange", counted_exchange),
                (transport.Link, "request", counted_request),
                (v2_miner, "time", clock),
                (v3_miner, "time", clock),
                (miner, "datetime", now),
                (whatsminer, "datetime", now),
            ):
                stack.enter_context(patch.object(target, name, value))
            yield

    @contextmanager
    def _exchange(self, port: int) -> Generator[None]:
        number = self.by_port.get(port)
        if number is not None and self.outages.kinds.get(number) in MUTE:
            yield  # nothing will come, so there is nothing to wait for
        else:
            with self.loop.wait():
                yield

    async def _count(
        self, coordinator: Any, update: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        number = self.numbers[coordinator.config_entry.entry_id]
        now = self.loop.time()
        if self.starts is not None:
            self.starts[int(now)] += 1
        excused = self.outages.excuse(number, now)
        before = coordinator.data
        self.polls += 1
        self.polling += 1
        begin = time.perf_counter()
        answered = False
        try:
            state = await update(coordinator)
            answered = state is not before
            return state
        finally:
            self.polling -= 1
            if not answered:
                self.missed += 1
                self.unexcused += not (
                    excused or self.outages.excuse(number, self.loop.time())
                )
            elif not excused:
                self.healthy.add(time.perf_counter() - begin)

    @asynccontextmanager
    async def phase(self) -> AsyncGenerator[Phase]:
        """Measure what is done inside."""
        phase = Phase()
        self.steps.restart()
        self.healthy = Histogram()
        polls, missed, hours = self.polls, self.missed, self.hours
        cpu, real = time.process_time(), time.perf_counter()
        yield phase
        phase.cpu_s = time.process_time() - cpu
        phase.real_s = time.perf_counter() - real
        phase.simulated_s = (self.hours - hours) * HOUR_S
        phase.polls = self.polls - polls
        phase.missed = self.missed - missed
        phase.longest_step_ms = 1000 * self.steps.histogram.longest
        phase.longest_step = self.steps.culprit
        phase.steps = self.steps.histogram.count
        phase.steps_over_5_ms = self.steps.histogram.over(0.005)
        phase.poll_median_ms = 1000 * self.healthy.quantile(0.5)
        phase.poll_p99_ms = 1000 * self.healthy.quantile(0.99)

    async def sample(self) -> Sample:
        """Look at the process while no poll is under way."""
        while self.polling:
            await asyncio.sleep(0.05)
        gc.collect()
        tasks = [
            task for task in asyncio.all_tasks() if not task.get_name().startswith("bench")
        ]
        timers = [
            timer
            for timer in get_scheduled_timer_handles(self.loop)
            if not timer.cancelled()
        ]
        links = []
        for file in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                links.append(str(file.readlink()))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Sample(
            hour=self.hours,
            memory_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            objects=len(gc.get_objects()),
            tasks=len(tasks),
            timers=len(timers),
            sockets=sum(link.startswith("socket:") for link in links),
            files=len(links),
        )

    # Doing

    async def set_up(self) -> None:
        """Set up all entries at once, as a start of Home Assistant does."""
        await self.hass.config_entries.async_setup(self.entries[0].entry_id)
        await self.hass.async_block_till_done()

    async def write(self, number: int, first: float) -> None:
        """Send a harmless write now and then, so that tokens are used."""
        await asyncio.sleep(first)
        while True:
            await self.entries[number].runtime_data.async_check_write_access()
            await asyncio.sleep(WRITE_EVERY_S)

    async def break_things(self, seconds: float, random: Random) -> None:
        """Let miners fail now and then, and be well again before the time is over."""
        for at, number, kind in plan(len(self.entries), seconds, random):
            await asyncio.sleep(self._until(at))
            if kind is None:
                await self.miners.clear(number)
                self.outages.kinds.pop(number)
                self.outages.ended[number] = self.loop.time()
                continue
            self.outages.kinds[number] = kind
            self.outages.count += 1
            if kind == REBOOT:
                await self.miners.restart(number)
            else:
                await self.miners.inject(number, kind)

    def _until(self, at: float) -> float:
        return max(0.0, self.broken_since + at - self.loop.time())

    broken_since = 0.0


def plan(
    miners: int, seconds: float, random: Random
) -> list[tuple[float, int, str | None]]:
    """When which miner fails how, and when it is well again (None)."""
    events: list[tuple[float, int, str | None]] = []
    for number in range(miners):
        at = random.expovariate(1 / OUTAGE_EVERY_S)
        while at < seconds:
            kind, end = random.choice(FAULTS), at + random.uniform(*OUTAGE_S)
            events += [(at, number, kind), (min(end, seconds), number, None)]
            at = end + random.expovariate(1 / OUTAGE_EVERY_S)
    return sorted(events, key=lambda event: event[:2])


@dataclass
class Result:
    """All figures of one run."""

    miners: int
    hours: float
    seed: int
    interval_s: float
    home_assistant: str
    python: str
    cores: int
    start: Phase
    calm: Phase
    rough: Phase
    samples: list[Sample]
    most_polls_begun_in_one_second: int
    first_polls_most_in_one_second: int
    connections_per_poll: dict[str, float]
    outages: int
    missed_without_outage: int
    tokens_at_start: int
    tokens_at_end: int
    most_tokens_of_one_miner: int
    most_connections_at_once_to_one_miner: int
    entities: int
    unavailable_at_end: int
    flows_at_end: int
    miners_cpu_s: float
    real_s: float


async def run(
    hass: HomeAssistant,
    fleet: Fleet,
    arguments: argparse.Namespace,
) -> Result:
    """Run all phases and gather the figures."""
    begin = time.perf_counter()
    random = Random(arguments.seed)
    miners = fleet.miners
    total = arguments.hours * HOUR_S
    async with fleet.phase() as start:
        await fleet.set_up()
    entities = len(hass.states.async_entity_ids())
    fleet.starts = Counter()
    await asyncio.sleep(INTERVAL_S)
    first = max(fleet.starts.values())
    # Until every miner has had its slow round and memory has settled
    await asyncio.sleep(CALM_S - INTERVAL_S)

    samples = [await fleet.sample()]
    before = await miners.counts()
    fleet.starts = Counter()
    async with fleet.phase() as calm:
        await asyncio.sleep(CALM_S)
    after = await miners.counts()
    most = max(fleet.starts.values())
    fleet.starts = None

    samples = [await fleet.sample()]
    writers = [
        asyncio.create_task(
            fleet.write(number, random.uniform(0, WRITE_EVERY_S)), name="bench write"
        )
        for number in range(len(fleet.entries))
    ]
    rough_s = total - 3 * CALM_S
    fleet.broken_since = fleet.loop.time()
    breaker = asyncio.create_task(
        fleet.break_things(rough_s, random), name="bench outages"
    )
    parts = 4
    async with fleet.phase() as rough:
        for part in range(1, parts + 1):
            await asyncio.sleep(
                max(0, fleet.broken_since + rough_s * part / parts - fleet.loop.time())
            )
            if part < parts:
                samples.append(await fleet.sample())
                progress(fleet, samples[-1])
        await breaker
        # All is well again; what comes back needs no help
        await asyncio.sleep(CALM_S)
    for writer in writers:
        writer.cancel()
    await asyncio.wait(writers)
    samples.append(await fleet.sample())
    end = await miners.counts()
    states = hass.states.async_all()
    return Result(
        miners=len(fleet.entries),
        hours=round(fleet.hours, 2),
        seed=arguments.seed,
        interval_s=INTERVAL_S,
        home_assistant=HA_VERSION,
        python=platform.python_version(),
        cores=os.cpu_count() or 0,
        start=start,
        calm=calm,
        rough=rough,
        samples=samples,
        most_polls_begun_in_one_second=most,
        first_polls_most_in_one_second=first,
        connections_per_poll=per_poll(miners.places, before, after),
        outages=fleet.outages.count,
        missed_without_outage=fleet.unexcused,
        tokens_at_start=sum(count.tokens for count in before),
        tokens_at_end=sum(count.tokens for count in end),
        most_tokens_of_one_miner=max(count.tokens for count in end),
        most_connections_at_once_to_one_miner=max(count.most_open for count in end),
        entities=entities,
        unavailable_at_end=len(lost(fleet)),
        flows_at_end=len(hass.config_entries.flow.async_progress()),
        miners_cpu_s=await miners.cpu_s(),
        real_s=time.perf_counter() - begin,
    )

"""The fleet bench: many simulated miners in one Home Assistant for hours, with random outages.

Time in which nothing happens is skipped, so that hours take minutes; all that is left is work.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
import ctypes
from dataclasses import asdict, dataclass, field
import gc
import json
import logging
import os
from pathlib import Path
import platform
from random import Random
import re
import sys
import tempfile
import threading
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    __version__ as HA_VERSION,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import format_mac
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.util.async_ import get_scheduled_timer_handles

from bench.clock import Histogram, SkippingLoop, Steps, skipping_datetime
from bench.miners import (
    PASSWORD,
    Count,
    Miners,
    Place,
    Plan,
    mixed,
    shared_number,
    simulated,
)

# First, or else the test plugin's own folder `custom_components` hides ours.
from custom_components.whatsminer import coordinator as whatsminer, entity  # isort: skip
from custom_components.whatsminer.api import miner, transport  # isort: skip
from custom_components.whatsminer.api.v2 import miner as v2_miner  # isort: skip
from custom_components.whatsminer.api.v3 import miner as v3_miner  # isort: skip
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
BETWEEN_SLOW_S = CALM_S / 4
"""Samples are taken halfway between two slow rounds, where API 3 keeps its connections."""
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
    blocks: int
    """What Python has allocated, also what its collector does not look at."""
    tasks: int
    threads: int
    timers: int
    sockets: int
    files: int


@dataclass
class Phase:
    """The counts of one part of the run."""

    polls: int = 0
    missed: int = 0
    cpu_s: float = 0.0
    real_s: float = 0.0
    simulated_s: float = 0.0
    steps: int = 0
    longest_step_cpu_ms: float = 0.0
    longest_step: str = ""
    steps_over_5_ms_cpu: int = 0
    longest_step_ms: float = 0.0
    longest_collection_ms: float = 0.0
    poll_median_ms: float = 0.0
    poll_p99_ms: float = 0.0
    states_written: int = 0
    states_changed: int = 0

    @property
    def changes_per_poll(self) -> float:
        """State changes for one poll; each is a row in the recorder's table."""
        return self.states_changed / self.polls if self.polls else 0.0

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

    def __init__(self, loop: SkippingLoop, hass: HomeAssistant, miners: Miners) -> None:
        """Make an entry for every miner."""
        self.loop = loop
        self.hass = hass
        self.miners = miners
        self.steps = Steps()
        self.begin = loop.time()
        self.outages = Outages()
        self.polls = self.missed = self.unexcused = self.polling = 0
        self.healthy = Histogram()
        self.starts: Counter[int] | None = None
        self.written = self.changed = 0
        self.changes: Counter[str] = Counter()
        self.names: dict[str, str] = {}
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
        write = entity.WhatsminerEntity.async_write_ha_state
        exchange, request = transport.exchange, transport.Link.request

        async def counted_update(coordinator: Any) -> Any:
            return await self._count(coordinator, update)

        async def counted_exchange(host: str, port: int, sent: Any) -> bytes:
            with self._exchange(port):
                return await exchange(host, port, sent)

        async def counted_request(link: transport.Link, sent: Any) -> Any:
            with self._exchange(link.port):
                return await request(link, sent)

        def counted_write(written: Any) -> None:
            self.written += 1
            write(written)

        @callback
        def counted_change(event: Event[EventStateChangedData]) -> None:
            self.changed += 1
            self.changes[self.name_of(event.data["entity_id"])] += 1

        clock = SimpleNamespace(monotonic=self.loop.time)
        now = skipping_datetime(self.loop.skipped)
        with ExitStack() as stack:
            for target, name, value in (
                (
                    whatsminer.WhatsminerCoordinator,
                    "_async_update_data",
                    counted_update,
                ),
                (entity.WhatsminerEntity, "async_write_ha_state", counted_write),
                (transport, "exchange", counted_exchange),
                (transport.Link, "request", counted_request),
                (v2_miner, "time", clock),
                (v3_miner, "time", clock),
                (miner, "datetime", now),
                (whatsminer, "datetime", now),
            ):
                stack.enter_context(patch.object(target, name, value))
            stack.callback(
                self.hass.bus.async_listen(EVENT_STATE_CHANGED, counted_change)
            )
            yield

    def name_of(self, entity_id: str) -> str:
        """What kind of entity this is, whichever miner it belongs to."""
        if entity_id not in self.names:
            self.names[entity_id] = self._look_up(entity_id)
        return self.names[entity_id]

    def _look_up(self, entity_id: str) -> str:
        found = er.async_get(self.hass).async_get(entity_id)
        key = found.unique_id.partition("_")[2] if found else entity_id
        return f"{entity_id.partition('.')[0]} {re.sub(r'_[0-9]+(_|$)', r'_N', key)}"

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
        written, changed = self.written, self.changed
        self.changes.clear()
        cpu, real = time.process_time(), time.perf_counter()
        yield phase
        phase.cpu_s = time.process_time() - cpu
        phase.real_s = time.perf_counter() - real
        phase.simulated_s = (self.hours - hours) * HOUR_S
        phase.polls = self.polls - polls
        phase.states_written = self.written - written
        phase.states_changed = self.changed - changed
        phase.missed = self.missed - missed
        steps = self.steps
        phase.steps = steps.clock.count
        phase.longest_step_cpu_ms = 1000 * steps.cpu.longest
        phase.longest_step = steps.longest
        phase.steps_over_5_ms_cpu = steps.cpu.over(0.005)
        phase.longest_step_ms = 1000 * steps.clock.longest
        phase.longest_collection_ms = 1000 * steps.collections.longest
        phase.poll_median_ms = 1000 * self.healthy.quantile(0.5)
        phase.poll_p99_ms = 1000 * self.healthy.quantile(0.99)

    async def sample(self) -> Sample:
        """Look at the process while no poll is under way."""
        while self.polling:
            await asyncio.sleep(0.05)
        gc.collect()
        give_back_memory()
        tasks = [
            task
            for task in asyncio.all_tasks()
            if not task.get_name().startswith("bench")
        ]
        timers = [
            timer
            for timer in get_scheduled_timer_handles(self.loop)
            if not timer.cancelled()
        ]
        links = open_files()
        return Sample(
            hour=self.hours,
            memory_mb=memory_mb(),
            objects=len(gc.get_objects()),
            blocks=sys.getallocatedblocks(),
            tasks=len(tasks),
            threads=threading.active_count(),
            timers=len(timers),
            sockets=sum(link.startswith("socket:") for link in links),
            files=len(links),
        )

    # Doing

    async def set_up(self) -> None:
        """Set up all entries at the same time, as Home Assistant does at its start."""
        await self.hass.config_entries.async_setup(self.entries[0].entry_id)
        await self.hass.async_block_till_done()

    async def write(self, number: int, first: float) -> None:
        """Send a harmless write periodically, so that tokens are used."""
        await asyncio.sleep(first)
        while True:
            await self.entries[number].runtime_data.commander.write_access.async_check()
            await asyncio.sleep(WRITE_EVERY_S)

    async def break_things(self, seconds: float, random: Random) -> None:
        """Let miners fail periodically, and recover before the time is over."""
        begin = self.loop.time()
        for at, number, kind in plan(len(self.entries), seconds, random):
            await self.until(begin + at)
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

    async def until(self, at: float) -> None:
        """Sleep until a time of the loop."""
        await asyncio.sleep(max(0.0, at - self.loop.time()))

    def unavailable(self) -> set[str]:
        """The entities that show nothing."""
        return {
            state.entity_id
            for state in self.hass.states.async_all()
            if state.state == STATE_UNAVAILABLE
        }


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


def open_files() -> list[str]:
    """What each open file of this process is."""
    links = []
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(file.readlink()))
    return links


def give_back_memory() -> None:
    """Let the C library release what it only keeps for later, where it can: that is no leak."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
    rough: Phase | None
    memory_per_miner_mb: float
    changes_by_entity: dict[str, float]
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
    gc.collect()
    give_back_memory()
    memory = memory_mb()
    async with fleet.phase() as start:
        await fleet.set_up()
    entities = len(hass.states.async_entity_ids())
    fleet.starts = Counter()
    await asyncio.sleep(INTERVAL_S)
    first = max(fleet.starts.values())
    # Until every miner has had its slow round and memory has settled
    await asyncio.sleep(CALM_S - INTERVAL_S)

    await fleet.sample()  # the first one itself takes memory
    before = await miners.counts()
    fleet.starts = Counter()
    async with fleet.phase() as calm:
        await asyncio.sleep(CALM_S)
    after = await miners.counts()
    changes = {
        name: round(count / calm.polls, 3)
        for name, count in fleet.changes.most_common()
    }
    most = max(fleet.starts.values())
    fleet.starts = None
    usual = fleet.unavailable()

    await asyncio.sleep(BETWEEN_SLOW_S)
    samples = [await fleet.sample()]
    rough = None
    if not arguments.calm:
        rough = await outages(fleet, samples, arguments, random)
    end = await miners.counts()
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
        memory_per_miner_mb=(samples[0].memory_mb - memory) / len(fleet.entries),
        changes_by_entity=changes,
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
        unavailable_at_end=len(fleet.unavailable() - usual),
        flows_at_end=len(hass.config_entries.flow.async_progress()),
        miners_cpu_s=await miners.cpu_s(),
        real_s=time.perf_counter() - begin,
    )


async def outages(
    fleet: Fleet,
    samples: list[Sample],
    arguments: argparse.Namespace,
    random: Random,
) -> Phase:
    """Hours in which miners fail and are written to."""
    total = arguments.hours * HOUR_S
    writers = [
        asyncio.create_task(
            fleet.write(number, random.uniform(0, WRITE_EVERY_S)), name="bench write"
        )
        for number in range(len(fleet.entries))
    ]
    rough_s = total - 3 * CALM_S - BETWEEN_SLOW_S
    rough_begin = fleet.loop.time()
    breaker = asyncio.create_task(
        fleet.break_things(rough_s, random), name="bench outages"
    )
    parts = 4
    async with fleet.phase() as rough:
        for part in range(1, parts + 1):
            await fleet.until(rough_begin + rough_s * part / parts)
            say(f"{fleet.hours:.1f} of {arguments.hours:g} h, {fleet.polls} polls")
            if part < parts:
                samples.append(await fleet.sample())
        await breaker
        # All is well again; what comes back needs no help
        await asyncio.sleep(CALM_S)
    for writer in writers:
        writer.cancel()
    for writer in writers:
        with suppress(asyncio.CancelledError):
            await writer
    samples.append(await fleet.sample())
    return rough


def per_poll(
    places: Sequence[Place], before: Sequence[Count], after: Sequence[Count]
) -> dict[str, float]:
    """Connections for each poll of the calm phase, by generation of firmware."""
    made: Counter[str] = Counter()
    miners: Counter[str] = Counter()
    for place, was, now in zip(places, before, after, strict=True):
        miners[place.generation] += 1
        made[place.generation] += now.connections - was.connections
    polls = CALM_S / INTERVAL_S
    return {
        name: round(made[name] / miners[name] / polls, 2) for name in sorted(miners)
    }


def rows(result: Result) -> list[tuple[str, str]]:
    """What a person reads."""
    start, calm, rough = result.start, result.calm, result.rough or Phase()
    duty = 100 * calm.cpu_per_poll_ms / 1000 / result.interval_s
    first, last = result.samples[0], result.samples[-1]
    middle = result.samples[len(result.samples) // 2]

    def step(phase: Phase) -> str:
        return (
            f"{phase.longest_step_cpu_ms:.1f} ms of CPU ({phase.longest_step}), "
            f"{phase.longest_step_ms:.1f} ms by the clock; "
            f"{phase.steps_over_5_ms_cpu} of {phase.steps} took 5 ms of CPU or more; "
            f"longest garbage collection {phase.longest_collection_ms:.1f} ms"
        )

    def poll(phase: Phase) -> str:
        return f"{phase.poll_median_ms:.1f} ms / {phase.poll_p99_ms:.1f} ms"

    def growth(name: str, form: str = "d") -> str:
        values = (getattr(sample, name) for sample in (first, middle, last))
        return " / ".join(f"{value:{form}}" for value in values)

    connections = ", ".join(
        f"{name}: {count:.2f}" for name, count in result.connections_per_poll.items()
    )
    return [
        (
            "Run",
            f"{result.miners} miners, {result.hours:g} h, {result.outages} outages, seed {result.seed}",
        ),
        (
            "Where",
            f"{result.cores} cores, Python {result.python}, Home Assistant {result.home_assistant}",
        ),
        (
            "It took",
            f"{result.real_s:.0f} s; 24 h would take about {full_day(result) / 60:.0f} min",
        ),
        (
            "Polls done / missed",
            f"{calm.polls + rough.polls} / {calm.missed + rough.missed}",
        ),
        ("Missed without an outage", f"{result.missed_without_outage}"),
        (
            "Set-up of all",
            f"{start.real_s:.1f} s, {start.cpu_s:.1f} s of CPU, {result.entities} entities",
        ),
        ("Longest step of the loop, set-up", step(start)),
        ("Longest step of the loop, calm", step(calm)),
        ("Longest step of the loop, outages", step(rough)),
        ("CPU per poll, calm", f"{calm.cpu_per_poll_ms:.2f} ms"),
        (
            "States per poll, calm (looked at / changed)",
            f"{calm.states_written / calm.polls:.1f} / {calm.changes_per_poll:.1f}",
        ),
        ("Memory for each miner", f"{result.memory_per_miner_mb:.2f} MB"),
        ("CPU per poll, outages", f"{rough.cpu_per_poll_ms:.2f} ms"),
        (
            "CPU per miner, calm",
            f"{duty:.4f} % of a core; all {result.miners}: {duty * result.miners:.2f} %",
        ),
        ("Poll of a healthy miner, calm (median / 99 %)", poll(calm)),
        ("Poll of a healthy miner, outages (median / 99 %)", poll(rough)),
        (
            "Most polls begun in one second (first / later)",
            f"{result.first_polls_most_in_one_second} / {result.most_polls_begun_in_one_second}",
        ),
        ("Connections per poll", connections),
        (
            "Most connections to one miner at the same time",
            f"{result.most_connections_at_once_to_one_miner}",
        ),
        (
            "Tokens issued at start / by the end",
            f"{result.tokens_at_start} / {result.tokens_at_end}; most of one miner: {result.most_tokens_of_one_miner}",
        ),
        ("Memory, MB (start / middle / end)", growth("memory_mb", ".1f")),
        ("Allocated blocks (start / middle / end)", growth("blocks")),
        ("Python objects (start / middle / end)", growth("objects")),
        ("Tasks (start / middle / end)", growth("tasks")),
        ("Threads (start / middle / end)", growth("threads")),
        ("Timers (start / middle / end)", growth("timers")),
        ("Sockets (start / middle / end)", growth("sockets")),
        ("Open files (start / middle / end)", growth("files")),
        (
            "Entities lost at the end",
            f"{result.unavailable_at_end}; flows that ask for a person: {result.flows_at_end}",
        ),
    ]


def complaints(result: Result) -> list[str]:
    """What must not be."""
    # In the first half most miners fail for the first time, and what is to be remembered of that
    # is: their last faults, the issues that were raised, the errors of each entry. It must end.
    first = result.samples[(len(result.samples) - 1) // 2]
    last = result.samples[-1]
    # A token is used for 25 minutes; a restart of the miner ends it early
    tokens = 2 + result.hours * 60 / 25 + result.hours / 2
    checks = {
        "polls were missed without an outage": result.missed_without_outage > 0,
        "entities did not come back": result.unavailable_at_end > 0,
        "a user has to act": result.flows_at_end > 0,
        "a miner had two connections at the same time": result.most_connections_at_once_to_one_miner
        > 1,
        "too many tokens": result.most_tokens_of_one_miner > tokens,
        # Python's allocator cannot release a megabyte while one object is in it, and polls come
        # and go among those that stay. So the resident memory rises for some hours although no
        # more is in use; what is in use is what must not grow.
        "memory grew": last.blocks > 1.02 * first.blocks
        or last.memory_mb > 1.25 * first.memory_mb,
        "objects grew": last.objects > 1.02 * first.objects,
        "tasks grew": last.tasks > first.tasks + 5,
        "threads grew": last.threads > first.threads + 10,
        "timers grew": last.timers > first.timers + 5,
        "open files grew": last.files > first.files + 5,
    }
    return [text for text, is_so in checks.items() if is_so]


def full_day(result: Result) -> float:
    """Real seconds that 24 hours would take."""
    phase = result.rough or result.calm
    return result.start.real_s + 24 * HOUR_S * phase.real_s / phase.simulated_s


def say(text: str) -> None:
    """Print the progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def home(loop: SkippingLoop, miners: Miners) -> AsyncGenerator[Fleet]:
    """Start Home Assistant, and stop it at the end."""
    if task := asyncio.current_task():
        task.set_name("bench")
    with tempfile.TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(DATA_CUSTOM_COMPONENTS)  # let it find ours
            fleet = Fleet(loop, hass, miners)
            with fleet.watch(), fleet.steps.watch():
                try:
                    yield fleet
                finally:
                    with loop.wait():
                        await hass.async_stop(force=True)


async def bench(
    loop: SkippingLoop, miners: Miners, arguments: argparse.Namespace
) -> Result:
    """Measure in a Home Assistant of its own."""
    async with home(loop, miners) as fleet:
        return await run(fleet.hass, fleet, arguments)


def with_miners[T](
    plan: Plan, work: Callable[[SkippingLoop, Miners], Coroutine[Any, Any, T]]
) -> T:
    """Do something with simulated miners while time in which nothing happens is skipped."""
    skipped = shared_number()
    with (
        simulated(plan, skipped) as miners,
        asyncio.Runner(loop_factory=lambda: SkippingLoop(skipped)) as runner,
    ):
        loop = runner.get_loop()
        assert isinstance(loop, SkippingLoop)
        result = runner.run(work(loop, miners))
        loop.under_way += 1  # the end of the threads takes real time
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description=__doc__)
    add = parser.add_argument
    add(
        "--miners", type=int, default=100, help="simulated miners, of mixed kinds (100)"
    )
    add("--hours", type=float, default=2.0, help="simulated hours (2); at least 1")
    add("--seed", type=int, default=1, help="of the outages (1)")
    add("--calm", action="store_true", help="without outages: ten minutes, not hours")
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    arguments = parser.parse_args()
    if arguments.hours < 1 or arguments.miners < 1:
        parser.error("--hours and --miners must be at least 1")
    logging.basicConfig(level=logging.CRITICAL)
    say(
        f"{arguments.miners} miners, {'calm' if arguments.calm else f'{arguments.hours:g} h'}"
    )
    result = with_miners(
        mixed(arguments.miners), lambda loop, miners: bench(loop, miners, arguments)
    )
    table = rows(result)
    width = max(len(name) for name, _ in table)
    print("\n".join(f"{name:{width}}  {value}" for name, value in table))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(asdict(result), indent=1) + "\n")
    if wrong := complaints(result):
        sys.exit(f"error: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()

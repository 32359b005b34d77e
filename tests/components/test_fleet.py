"""Many miners in one Home Assistant: nothing grows, no miner waits for another, polls are spread."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
import gc
from itertools import cycle, islice, pairwise
import logging
from pathlib import Path
from random import Random
import time
from types import SimpleNamespace
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import format_mac
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer import sensor
from custom_components.whatsminer.api import MinerState
from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
    SCAN_INTERVAL,
    SLOW_EVERY,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import PROFILES, SimulatedMiner

from .conftest import PASSWORD, Poll, RaceClock
from .test_every_profile import SENSORS

MINERS = 30
INTERVAL = SCAN_INTERVAL.total_seconds() + 1
"""More than the poll interval: polls begin on a part of a second of their own."""

RUNS = [
    pytest.param(10, 10, id="ten miners"),
    pytest.param(MINERS, 30, id="half an hour", marks=pytest.mark.long),
    pytest.param(100, 10, id="100 miners", marks=pytest.mark.long),
]
"""Miners, and rounds that are done twice; scripts/bench fleet does the same with 100 miners for a day."""

MUTE = ("silent", "stall_midway")
"""Nothing comes any more, and only the client's own deadline ends the poll."""
FAULTS = ("refuse", "close", "reset", "truncate", *MUTE)


@dataclass
class Held:
    """What the process holds, without what belongs to the connections that API 3 keeps."""

    tasks: int
    timers: int
    files: int
    objects: int


class Fleet:
    """The miners, their entries, and a clock for all of them: it jumps, so that no test waits."""

    def __init__(
        self,
        hass: HomeAssistant,
        clock: RaceClock,
        miners: list[SimulatedMiner],
        entries: list[MockConfigEntry],
    ) -> None:
        """Take over the clock of the loop."""
        self.hass = hass
        self.clock = clock
        self.miners = miners
        self.entries = entries
        self.numbers = {entry.entry_id: i for i, entry in enumerate(entries)}
        self.mute: set[int] = set()
        self.reboots: Counter[int] = Counter()
        self.polls: Counter[int] = Counter()
        self.polling: set[int] = set()
        self.took: dict[int, float] = {}

    async def update(self, coordinator: Any, update: Any) -> Any:
        """One poll, watched."""
        number = self.numbers[coordinator.config_entry.entry_id]
        self.polls[number] += 1
        self.polling.add(number)
        begin = time.perf_counter()
        try:
            return await update(coordinator)
        finally:
            self.polling.discard(number)
            self.took[number] = time.perf_counter() - begin

    async def set_up(self) -> None:
        """Set up all at the same time, as a start of Home Assistant does."""
        assert await self.hass.config_entries.async_setup(self.entries[0].entry_id)
        await self.hass.async_block_till_done()

    async def let_pass(self, seconds: float) -> None:
        """Let time pass for all, and wait for the polls of those that are not mute."""
        self.clock.advance(seconds)
        # The timers that are due run, and what they start
        for _ in range(3):
            await asyncio.sleep(0)
        async with asyncio.timeout(INTERVAL):
            while self.polling - self.mute:
                await asyncio.sleep(0)

    async def rounds(self, count: int) -> None:
        """Let all be polled some times."""
        for _ in range(count):
            await self.let_pass(INTERVAL)

    async def fail(self, number: int, fault: str) -> None:
        """Let a miner do wrong, or restart."""
        if fault == "reboot":
            self.reboots[number] += 1
            self.miners[number].machine.reboot()
            return
        if fault in MUTE:
            self.mute.add(number)
        self.miners[number].inject(fault)

    async def mend(self, number: int) -> None:
        """Let a miner be well again."""
        self.miners[number].clear_failures()
        await self.miners[number].tick()

    async def rough_rounds(self, count: int, random: Random) -> None:
        """Let all be polled while some fail for a while, and write periodically."""
        ends: dict[int, int] = {}
        for done in range(count):
            for number, end in list(ends.items()):
                if end <= done:
                    await self.mend(number)
                    del ends[number]
            for number in range(len(self.miners)):
                if number not in ends and random.random() < 0.02:
                    ends[number] = done + random.randint(1, 10)
                    await self.fail(number, random.choice((*FAULTS, "reboot")))
            await self.rounds(1)
            # An answer that never came is given up within the next interval
            self.mute &= ends.keys() | self.polling
            if done % 20 == 10:
                await self.write(
                    set(self.numbers.values()) - ends.keys() - self.polling
                )
        for number in ends:
            await self.mend(number)

    async def write(self, numbers: set[int]) -> None:
        """Send each of them a harmless write."""
        await asyncio.gather(
            *(
                self.entries[number].runtime_data.commander.write_access.async_check()
                for number in numbers
            )
        )

    async def settle(self) -> None:
        """Let all come back and have a slow round; the last polls are between two of those."""
        await self.rounds(2)
        self.mute.clear()
        for entry in self.entries:
            entry.runtime_data.coordinator.read_all_next()
        await self.rounds(SLOW_EVERY // 2)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        for _ in range(1000):
            # The miners are in the same loop, and see a little later that a client has gone.
            if not any(miner.open_connections for miner in self.miners):
                break
            await asyncio.sleep(0.001)

    def held(self) -> Held:
        """Look at the process."""
        for miner in self.miners:
            miner.commands.clear()
        for entry in self.entries:
            # Home Assistant keeps the last one, with all that hangs on it
            entry.runtime_data.coordinator.last_exception = None
        gc.collect()
        soon = self.hass.loop.time() + 1  # for the simulated miners, which tick
        kept = sum(miner.open_v3_connections for miner in self.miners)
        return Held(
            tasks=len(asyncio.all_tasks()) - kept,
            timers=sum(
                not timer.cancelled() and timer.when() > soon
                for timer in get_scheduled_timer_handles(self.hass.loop)
            )
            - kept,
            files=sum(1 for _ in Path("/proc/self/fd").iterdir()) - 2 * kept,
            objects=len(gc.get_objects()),
        )

    def state(self, number: int, key: str) -> str:
        """What a sensor of a miner shows."""
        mac = self.entries[number].unique_id
        registry = er.async_get(self.hass)
        entity_id = registry.async_get_entity_id("sensor", DOMAIN, f"{mac}_{key}")
        assert entity_id
        state = self.hass.states.get(entity_id)
        assert state
        return state.state


@pytest.fixture
def size() -> int:
    """How many miners."""
    return MINERS


@pytest.fixture
async def fleet(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    clock: RaceClock,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> AsyncGenerator[Fleet]:
    """Miners of all profiles, and their entries, not yet set up."""
    begin = time.monotonic

    def now() -> float:
        return begin() + clock()

    # All of one clock: the timers of Home Assistant, the client's tokens, and the miners.
    monkeypatch.setattr(hass.loop, "time", now)
    for module in ("v2.miner", "v3.miner"):
        monkeypatch.setattr(
            f"custom_components.whatsminer.api.{module}.time",
            SimpleNamespace(monotonic=now),
        )
    # Our client never closes one side only; and where time jumps, a deadline passes immediately.
    monkeypatch.setattr("simulator.server.HALF_CLOSE_S", 0)
    hass.loop.set_debug(False)
    logging.disable(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        miners = []
        for number, profile in enumerate(islice(cycle(PROFILES), size)):
            simulated = SimulatedMiner(
                profile,
                password=PASSWORD,
                v3_password=PASSWORD,
                clock=clock,
                seed=number + 1,
            )
            miners.append(await stack.enter_async_context(simulated))
        entries = []
        for miner in miners:
            data = {
                CONF_HOST: miner.host,
                CONF_PORT: miner.port,
                CONF_V3_PORT: miner.v3_port or unused_tcp_port,
            }
            if miner.v3_port:
                data |= {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
            else:
                data[CONF_PASSWORD] = PASSWORD
            entry = MockConfigEntry(
                domain=DOMAIN, unique_id=format_mac(miner.mac), data=data
            )
            entry.add_to_hass(hass)
            entries.append(entry)
        fleet = Fleet(hass, clock, miners, entries)
        update = WhatsminerCoordinator._async_update_data  # noqa: SLF001 - to watch it
        monkeypatch.setattr(
            WhatsminerCoordinator,
            "_async_update_data",
            lambda coordinator: fleet.update(coordinator, update),
        )
        yield fleet
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("profile", ["v1_m20s", "v204_m30sp"])
async def test_no_state_outlives_the_next(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    poll: Poll,
) -> None:
    """A miner whose btminer is stopped for a week fails sections in every poll."""
    miner.machine.power_off()
    clock.advance(1200)
    for _ in range(10):
        await poll()
    assert coordinator.data.failed
    gc.collect()
    states = [found for found in gc.get_objects() if isinstance(found, MinerState)]
    assert len(states) <= 2


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("size", "rounds"), RUNS)
async def test_nothing_grows(fleet: Fleet, size: int, rounds: int) -> None:
    """Home Assistant runs for months; what grows by the hour ends it."""
    random = Random(1)
    await fleet.set_up()
    await fleet.rough_rounds(15, random)
    await fleet.settle()
    held = [fleet.held()]
    polls = fleet.polls.total()

    for _ in range(2):
        await fleet.rough_rounds(rounds, random)
        await fleet.settle()
        held.append(fleet.held())

    assert fleet.polls.total() - polls > 2 * rounds * size * 0.9
    # A leak grows each time, a cache only once, and a save that is due may be caught once.
    grown = [
        {key: getattr(after, key) - getattr(before, key) for key in vars(after)}
        for before, after in pairwise(held)
    ]
    least = {key: min(each[key] for each in grown) for key in grown[0]}
    # The test kit keeps every write to the storage, of which each miner has one here.
    assert least.pop("objects") < rounds * size / 2
    assert max(least.values()) <= 0, grown
    minutes = fleet.clock() / 60
    for number, miner in enumerate(fleet.miners):
        assert miner.open_connections == 0
        assert miner.most_open_connections == 1
        assert miner.open_v3_connections <= 1
        assert miner.most_open_v3_connections <= 1
        # A restart of the miner ends its tokens early
        assert miner.tokens_issued <= 2 + minutes / 25 + fleet.reboots[number]
        # All are available again, and show what is true now
        assert fleet.entries[number].runtime_data.coordinator.last_update_success
        truth = miner.v3_truth() if miner.v3_port else miner.truth()
        for key in ("power", "hashrate", "temperature", "efficiency"):
            read, slack = SENSORS[key]
            shown = float(fleet.state(number, key))
            noise = next(each.noise for each in sensor.SENSORS if each.key == key)
            slack += noise
            assert shown == pytest.approx(read(truth), abs=slack), (number, key)


async def test_nobody_waits_for_another(fleet: Fleet) -> None:
    """One dead control board must not make a whole room stale."""
    await fleet.set_up()
    await fleet.rounds(3)
    usual = max(fleet.took.values())
    dead = {0: "silent", 1: "stall_midway", 2: "refuse", 3: "bytewise", 18: "silent"}
    for number, fault in dead.items():
        await fleet.fail(number, fault)
    others = set(range(MINERS)) - dead.keys()
    for _ in range(2):
        fleet.took.clear()
        before = fleet.polls.copy()
        await fleet.let_pass(INTERVAL)
        assert {0, 1, 18} <= fleet.polling  # these still wait for an answer
        assert others <= fleet.took.keys()
        assert all(fleet.polls[number] == before[number] + 1 for number in others)
        assert max(fleet.took[number] for number in others) < 3 * usual + 0.5
    for number in others:
        assert fleet.entries[number].runtime_data.coordinator.last_update_success
    for number in dead:
        await fleet.mend(number)
    await fleet.settle()
    for entry in fleet.entries:
        assert entry.runtime_data.coordinator.last_update_success


async def test_polls_are_spread_over_the_interval(fleet: Fleet) -> None:
    """Thirty miners polled in the same second, every thirty seconds, are a needless peak."""
    await fleet.set_up()
    fleet.polls.clear()
    begun = []
    seconds = round(2 * SCAN_INTERVAL.total_seconds())
    for _ in range(seconds):
        before = fleet.polls.total()
        await fleet.let_pass(1)
        begun.append(fleet.polls.total() - before)
    first, second = begun[: seconds // 2], begun[seconds // 2 :]
    assert len(fleet.polls) == MINERS
    for half in (first, second):
        # By chance about one a second; all of them but for the first three seconds
        assert max(half) <= MINERS // 3
        assert sum(count > 0 for count in half) >= seconds // 6

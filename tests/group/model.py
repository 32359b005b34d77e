"""A simulated site: surplus, meter, battery and miners, in steps of one second.

Powers in W (import is positive), times in seconds.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
import math
from random import Random
from typing import Protocol

from custom_components.whatsminer.group.site import (
    Allocate,
    Command,
    Decision,
    Miner,
    Phase,
    Reading,
    Settings,
    Snapshot,
    State,
    Track,
    step,
)

LOWEST, FULL, IDLE = 40.0, 100.0, 15.0
HOUR = 3600.0
SUNRISE, SUNSET = 5 * HOUR, 21 * HOUR


@dataclass(kw_only=True)
class SimMiner:
    """A miner that follows a percent after a latency, and polls of it."""

    name: str = "a"
    rated: float = 3400.0
    """Full power as the controller believes."""
    gain: float = 1.0
    """True power, of what the controller believes."""
    gentle: bool = False
    fast_ramp: float = 1.0
    gentle_ramp: float = 180.0
    latency: float = 2.0
    poll: float = 30.0
    is_mean: bool = False
    phase: Phase = Phase.TUNED
    since: float = -1e6
    wish: float = FULL
    percent: float = FULL
    """The percent that it draws now."""
    allowed: bool = True
    resolution: float = 1.0
    refuses: bool = False
    ignores: bool = False
    """Whether it confirms commands and does nothing."""
    dead: tuple[float, float] = (-1.0, -1.0)
    """From when to when it is off and not reachable."""
    starts: int = 0
    power: float = 0.0
    view: Miner | None = None
    refused: bool = False
    reports: Callable[[Miner], Miner] = lambda view: view
    """Changes what a poll shows."""
    _pending: list[tuple[float, Command]] = field(default_factory=list)
    _slope: float = 0.0
    _past: list[float] = field(default_factory=list)
    _next_poll: float = -math.inf

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """Return the curve that the controller knows."""
        return ((LOWEST, self.rated * LOWEST / 100), (FULL, self.rated))

    def is_dead(self, now: float) -> bool:
        """Return whether it is off and not reachable."""
        return self.dead[0] <= now < self.dead[1]

    def send(self, command: Command, now: float) -> None:
        """Accept a command that has its effect after the latency."""
        self._pending.append((now + self.latency, command))

    def tick(self, now: float) -> None:
        """Move on by one second."""
        while self._pending and self._pending[0][0] <= now:
            self._obey(self._pending.pop(0)[1], now)
        if self.phase is Phase.STARTING and now - self.since >= 1200:
            self.phase, self.since, self.percent = Phase.TUNED, now, FULL
            self._slope = self._slope_to(self.wish, self.fast_ramp)
        if self.phase is Phase.TUNED and self.percent != self.wish:
            left = self.wish - self.percent
            move = math.copysign(min(abs(left), self._slope), left)
            self.percent += move
        self.power = 0.0 if self.is_dead(now) else self._power(now)
        if self.is_mean:
            self._past = [*self._past[-299:], self.power]
        if now >= self._next_poll:
            self._poll(now)

    def _slope_to(self, percent: float, ramp: float) -> float:
        """Return the change of the percent in a second."""
        return abs(percent - self.percent) / max(1.0, ramp)

    def _obey(self, command: Command, now: float) -> None:
        """Carry out a command."""
        if self.is_dead(now):
            return
        self.refused = self.refuses
        if self.refuses or self.ignores:
            return
        if command.percent == 0:
            self.phase, self.since = Phase.OFF, now
        elif command.start:
            self.phase, self.since, self.wish = Phase.STARTING, now, FULL
            self.starts += 1
        else:
            ramp = self.fast_ramp if command.fast else self.gentle_ramp
            self.wish = command.percent
            self._slope = self._slope_to(command.percent, ramp)

    def _power(self, now: float) -> float:
        """Return the power."""
        full = self.rated * self.gain
        if self.phase is Phase.OFF:
            return IDLE
        if self.phase is Phase.TUNED:
            return full * self.percent / 100
        age = now - self.since
        return 300 if age < 60 else full * (1 - 0.88 * math.exp(-(age - 60) / 300))

    def _poll(self, now: float) -> None:
        """Read the miner."""
        self._next_poll = now + self.poll
        past = self._past
        offline = self.is_dead(now)
        was = self.view
        gone = was is not None and was.phase is Phase.OFFLINE
        since = was.since if was is not None and gone and offline else now
        view = Miner(
            name=self.name,
            curve=self.curve,
            phase=Phase.OFFLINE if offline else self.phase,
            since=since if offline else self.since,
            percent=self.wish,
            measured=sum(past) / len(past) if self.is_mean else self.power,
            measured_at=-math.inf if offline else now,
            is_mean=self.is_mean,
            gentle=self.gentle,
            allowed=self.allowed,
            mined=self.phase is not Phase.OFF,
            resolution=self.resolution,
        )
        self.view = self.reports(view)

    def seen(self) -> Miner:
        """Return what the last poll and the last answer said."""
        assert self.view is not None
        if self.view.refused != self.refused:
            self.view = replace(self.view, refused=self.refused)
        return self.view


@dataclass(kw_only=True)
class Battery:
    """Holds the grid at 0 as far as its power and its charge allow."""

    capacity: float = 8000.0
    """Wh."""
    most: float = 3000.0
    charge: float = 4000.0
    power: float = 0.0
    """Charging is positive."""
    discharged: float = 0.0
    """Wh."""

    def tick(self, grid_without: float) -> None:
        """Move on by one second."""
        wish = max(-self.most, min(self.most, -grid_without))
        if (wish > 0 and self.charge >= self.capacity) or (
            wish < 0 and self.charge <= 400
        ):
            wish = 0.0
        self.power += (wish - self.power) * 0.5
        self.charge += self.power / 3600
        self.discharged += max(0.0, -self.power) / 3600


class Controller(Protocol):
    """What commands the miners."""

    def act(
        self, now: float, reading: Reading | None, miners: list[SimMiner]
    ) -> Iterator[tuple[SimMiner, Command]]:
        """Yield commands."""


@dataclass(kw_only=True)
class Group:
    """The controller of the integration."""

    settings: Settings = field(default_factory=Settings)
    state: State = field(default_factory=State)
    decision: Decision | None = None
    allocate: Allocate | None = None

    def settle(self, miners: list[SimMiner]) -> None:
        """Know the percents of the miners, as after a day."""
        for miner in miners:
            watts = miner.rated * miner.percent / 100
            off = miner.phase is Phase.OFF
            self.state.tracks[miner.name] = Track(
                at=-math.inf,
                low=IDLE if off else watts,
                high=IDLE if off else watts,
                percent=0 if off else miner.wish,
                phase=miner.phase,
            )
        self.state.readings = 2

    def act(
        self, now: float, reading: Reading | None, miners: list[SimMiner]
    ) -> Iterator[tuple[SimMiner, Command]]:
        """Yield commands."""
        snapshot = Snapshot(
            time=now,
            reading=reading,
            miners=tuple(miner.seen() for miner in miners),
        )
        self.state, self.decision = step(
            self.settings, self.state, snapshot, self.allocate
        )
        for miner in miners:
            if miner.name in self.decision.commands:
                yield miner, self.decision.commands[miner.name]


@dataclass(kw_only=True)
class Blueprint:
    """The blueprint *Solar surplus* with its defaults, one for each miner."""

    target: dict[str, float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    waits: dict[str, tuple[str, float]] = field(default_factory=dict)
    grid: float = 0.0

    def act(
        self, now: float, reading: Reading | None, miners: list[SimMiner]
    ) -> Iterator[tuple[SimMiner, Command]]:
        """Yield commands."""
        if reading is None or reading.grid is None:
            return
        self.grid = reading.grid
        for miner in miners:
            for command in self._miner(now, miner):
                yield miner, command

    def _miner(self, now: float, miner: SimMiner) -> Iterator[Command]:
        """Yield the commands of one automation."""
        spare = -self.grid - 100
        lowest = miner.curve[0][1]
        if miner.name in self.waits:
            yield from self._wait(now, miner, spare, lowest)
        elif now % 120 < 1:
            yield from self._look(now, miner, spare, lowest)

    def _wait(
        self, now: float, miner: SimMiner, spare: float, lowest: float
    ) -> Iterator[Command]:
        """Yield commands when a delay is over."""
        what, until = self.waits[miner.name]
        if (spare < lowest) if what == "start" else (spare >= 0):
            del self.waits[miner.name]
        elif now >= until:
            del self.waits[miner.name]
            yield Command(percent=FULL if what == "start" else 0, start=what == "start")
            if what == "start":
                yield from self._set(now, miner, spare)

    def _set(self, now: float, miner: SimMiner, watts: float) -> Iterator[Command]:
        """Yield the command for a power target."""
        lowest, full = miner.curve[0][1], miner.curve[-1][1]
        watts = max(lowest, min(full, watts))
        self.target[miner.name], self.changed[miner.name] = watts, now
        yield Command(percent=round(watts / full * 100), fast=not miner.gentle)

    def _look(
        self, now: float, miner: SimMiner, spare: float, lowest: float
    ) -> Iterator[Command]:
        """Yield the commands of one run of the automation."""
        view = miner.seen()
        since = now - view.since
        if view.phase is Phase.OFF:
            if spare >= lowest + 200 and since >= 900:
                self.waits[miner.name] = ("start", now + 300)
            return
        takes, target = view.measured or 0.0, self.target.get(miner.name, FULL)
        age = now - self.changed.get(miner.name, -1e6)
        near = abs(takes - target) <= max(150, 0.05 * takes) and age >= 50
        if not near and age < 360:
            return
        room = takes + spare
        if room < lowest and since >= 600:
            if target != lowest:
                yield from self._set(now, miner, lowest)
            self.waits[miner.name] = ("stop", now + 600)
        elif abs(max(lowest, min(miner.rated, room)) - target) >= 50:
            yield from self._set(now, miner, room)


@dataclass(kw_only=True)
class Sent:
    """A command that was sent."""

    at: float
    miner: str
    command: Command
    surplus: float
    """At the sample of the reading."""
    change: float
    """Of what the group settles at."""


@dataclass(kw_only=True)
class World:
    """A site; `run` may be called again to continue."""

    miners: list[SimMiner]
    surplus: Callable[[float], float]
    controller: Controller
    interval: float = 5.0
    offset: float = 0.0
    delay: float = 2.0
    noise: float = 10.0
    inverted: bool = False
    battery: Battery | None = None
    seed: int = 1
    now: float = 0.0
    silent: tuple[float, float] = (math.inf, math.inf)
    hidden: tuple[float, float] = (math.inf, math.inf)
    """When the power of the battery is unknown."""
    grid: list[float] = field(default_factory=list)
    """The true power of the grid, for each second."""
    powers: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the meter."""
        self._random = Random(self.seed)
        self._queue: list[tuple[float, Reading, float]] = []
        self._reading: Reading | None = None
        self._sampled = 0.0
        self._settles = 0.0
        for index, miner in enumerate(self.miners):
            miner.poll += index * 0.37

    def run(self, until: float) -> None:
        """Simulate until a time."""
        while self.now < until:
            self._tick()
            self.now += 1

    def _tick(self) -> None:
        """Move on by one second."""
        polled = False
        for miner in self.miners:
            view = miner.view
            miner.tick(self.now)
            polled = polled or miner.view is not view
        power = sum(miner.power for miner in self.miners)
        without = power - self.surplus(self.now)
        if self.battery is not None:
            self.battery.tick(without)
        grid = without + (self.battery.power if self.battery else 0.0)
        self.grid.append(grid)
        self.powers.append(power)
        fresh = self._measure(grid)
        if (
            fresh
            or polled
            or self.now % 10 < 1
            or isinstance(self.controller, Blueprint)
        ):
            self._control()

    def _measure(self, grid: float) -> bool:
        """Sample and deliver; return whether a reading came."""
        quiet = self.silent[0] <= self.now < self.silent[1]
        if (self.now - self.offset) % self.interval < 1 and not quiet:
            value = grid + self._random.gauss(0, self.noise)
            value = -value if self.inverted else value
            at = self.now + self.delay
            battery = self.battery.power if self.battery else None
            hidden = self.hidden[0] <= self.now < self.hidden[1]
            reading = Reading(at=at, grid=value, battery=battery, hidden=hidden)
            self._queue.append((at, reading, self.surplus(self.now)))
        if self._queue and self._queue[0][0] <= self.now:
            _, self._reading, self._sampled = self._queue.pop(0)
            return True
        return False

    def _control(self) -> None:
        """Let the controller act."""
        commands = list(self.controller.act(self.now, self._reading, self.miners))
        decision = getattr(self.controller, "decision", None)
        settles = decision.settles if decision else 0.0
        for miner, command in commands:
            miner.send(command, self.now)
            self.sent.append(
                Sent(
                    at=self.now,
                    miner=miner.name,
                    command=command,
                    surplus=self._sampled,
                    change=settles - self._settles,
                )
            )
        self._settles = settles


# What happens on a roof


def steps(*changes: tuple[float, float]) -> Callable[[float], float]:
    """Return a surplus that changes at times; each change is (from, W)."""
    times = [at for at, _ in changes]

    def surplus(now: float) -> float:
        return changes[max(0, bisect_right(times, now) - 1)][1]

    return surplus


def day(weather: str, peak: float, seed: int) -> Callable[[float], float]:
    """Return the surplus of a day from 5:00 to 21:00 (time 0 is 5:00): clear, mixed or cloudy."""
    random = Random(f"{weather} {seed}")
    clouds = _clouds(weather, random)
    loads = _loads(random)
    length = int(SUNSET - SUNRISE)
    series = []
    shade = 1.0
    for second in range(length + 1):
        sun = math.sin(math.pi * second / length)
        # A cloud needs some seconds to pass over a roof.
        shade += (clouds[second] - shade) / 8
        series.append(peak * sun**1.5 * shade - loads[second])
    return lambda now: series[min(length, int(now))]


def _clouds(weather: str, random: Random) -> list[float]:
    """Return the share of the sun for each second."""
    length = int(SUNSET - SUNRISE) + 1
    result: list[float] = []
    while len(result) < length:
        hour = len(result) / 3600
        cloudy = weather == "cloudy" or (weather == "mixed" and 5 <= hour < 9)
        if not cloudy:
            result += [1.0] * 60
            continue
        result += [random.uniform(0.9, 1.0)] * int(random.uniform(60, 900))
        shade = random.uniform(0.2, 0.7)
        result += [shade] * int(math.exp(random.uniform(math.log(20), math.log(600))))
    return result


def _loads(random: Random) -> list[float]:
    """Return the power of the house for each second."""
    length = int(SUNSET - SUNRISE) + 1
    result = [250.0] * length

    def add(at: float, seconds: float, watts: float) -> None:
        for second in range(int(at), min(length, int(at + seconds))):
            result[second] += watts

    for _ in range(6):
        add(random.uniform(0, length), random.uniform(90, 240), 2000)
    for meal in (7 * HOUR, 13 * HOUR):
        begin = meal + random.uniform(-1800, 1800)
        for cycle in range(30):
            add(begin + cycle * 60, random.uniform(15, 45), 1800)
    wash = random.uniform(2 * HOUR, 9 * HOUR)
    add(wash, 900, 2000)
    add(wash + 2400, 300, 500)
    return result


def taken(world: World, begin: int = 0) -> tuple[float, float]:
    """Return the share of the usable surplus that was taken, and kWh imported by the miners."""
    full = sum(miner.rated for miner in world.miners)
    usable = used = imported = 0.0
    for second, power in enumerate(world.powers):
        surplus = world.surplus(second + begin)
        usable += min(max(surplus, 0.0), full)
        used += min(max(surplus, 0.0), power)
        imported += max(0.0, power - max(surplus, 0.0))
    return used / usable, imported / 3.6e6

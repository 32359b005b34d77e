"""Simulated rooms, tanks and floors with a miner: what a thermostat is tried on.

Explicit Euler, 30 s. Times in seconds, temperatures in °C, powers in W.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
import math
from random import Random
from typing import Protocol

from custom_components.whatsminer.heat.thermostat import (
    DAY,
    HOUR,
    KINDS,
    MINUTE,
    STEP,
    Decision,
    Settings,
    Snapshot,
    State,
    step,
)

DT = 30.0
SENSOR = 45.0
WEATHER = {
    "mid": (2, 4, 6, 4, 2, 3),
    "mild": (12, 14, 13, 15, 14, 13),
    "mix": (-5, 0, 5, 10, 14, 12),
}


@dataclass(kw_only=True)
class Miner:
    """A miner that runs up to full power, tunes, and then follows a percent."""

    full: float = 3400.0
    stopped: float = 15.0
    tunes_in: float = 20 * MINUTE
    running_since: float | None = None
    started: float = 0.0
    percent: float = 0.0
    """The percent of the tuned power that it draws now."""
    wish: int = 0
    starts: list[float] = field(default_factory=list)

    def tuned(self, now: float) -> bool:
        """Return whether it follows the percent."""
        return self.running_since is not None and now - self.started >= self.tunes_in

    def command(self, percent: int, now: float) -> None:
        """Stop, start or change the percent."""
        self.wish = percent
        if percent == 0:
            self.running_since = None
        elif self.running_since is None:
            self.running_since = self.started = now
            self.starts.append(now)

    def restart(self, now: float) -> None:
        """Restart btminer: it tunes again, but was never stopped."""
        self.started = now

    def power(self, now: float) -> float:
        """Return the power of the next time step, and move on."""
        if self.running_since is None:
            return self.stopped
        if not self.tuned(now):
            ramp = min(1.0, (now - self.started) / (20 * MINUTE))
            self.percent = 20 + 80 * ramp
        else:
            most = 60 * DT / 180
            self.percent += max(-most, min(most, self.wish - self.percent))
        return self.full * self.percent / 100


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is heated."""

    kind: str
    capacity: float
    """J/K."""
    loss: float
    """W/K."""
    target: float
    start: float
    lag: float
    """Of the sensor."""
    delay: float = 0.0
    """Of the heat."""
    sun: float = 0.0
    is_tank: bool = False

    def heat(self, power: float, temperature: float, out: float, hour: float) -> float:
        """Return the net heat; a negative hour is a day without sun and draws."""
        if self.is_tank:
            drawn = any(0 <= hour - at < 1 / 6 for at in (7, 12.5, 19))
            return (
                power
                - self.loss * max(0.0, 20 - out)
                - 2.5 * (temperature - 18)
                - (8000 if drawn else 0)
            )
        sunny = 8 <= hour <= 17
        sun = self.sun * math.sin(math.pi * (hour - 8) / 9) if sunny else 0.0
        return power + sun - self.loss * (temperature - out)


PLANTS = {
    "room": Plant(
        kind="room",
        capacity=140 * 2 * HOUR,
        loss=140,
        target=20,
        start=18,
        lag=300,
        sun=400,
    ),
    "tank": Plant(
        kind="tank",
        capacity=300 * 4186,
        loss=110,
        target=45,
        start=40,
        lag=180,
        is_tank=True,
    ),
    "floor": Plant(
        kind="floor",
        capacity=140 * 6 * HOUR,
        loss=140,
        target=21,
        start=20,
        lag=300,
        delay=40 * MINUTE,
        sun=400,
    ),
}


def outside(weather: str | float, now: float) -> float:
    """Return the temperature outside; a number is the same all day."""
    if not isinstance(weather, str):
        return weather
    means = WEATHER[weather]
    day = min(int(now // DAY), len(means) - 2)
    share = now / DAY - day
    mean = means[day] + (means[day + 1] - means[day]) * share
    return mean + 4 * math.cos(2 * math.pi * (now / HOUR % 24 - 15) / 24)


class Controller(Protocol):
    """What decides about the miner."""

    every: float

    def decide(
        self, now: float, reading: float | None, age: float, miner: Miner
    ) -> int:
        """Return the percent for the miner."""


@dataclass(kw_only=True)
class Thermostat:
    """The thermostat of the integration."""

    settings: Settings
    target: float
    every: float = STEP
    state: State = field(default_factory=State)
    decision: Decision | None = None
    cap: Callable[[float], float] = lambda _: 100.0
    call: Callable[[float], bool] = lambda _: True

    @classmethod
    def of(cls, plant: Plant, gain: float = 1.0) -> Thermostat:
        """Return the thermostat with the defaults of the plant's kind."""
        settings = KINDS[plant.kind]
        return cls(
            settings=replace(settings, kp=settings.kp * gain), target=plant.target
        )

    def decide(
        self, now: float, reading: float | None, age: float, miner: Miner
    ) -> int:
        """Return the percent for the miner."""
        snapshot = Snapshot(
            time=now,
            target=self.target,
            reading=reading,
            age=age,
            running_since=miner.running_since,
            tuned=miner.tuned(now),
            cap=self.cap(now),
            call=self.call(now),
        )
        self.state, self.decision = step(self.settings, self.state, snapshot)
        return self.decision.percent


@dataclass(kw_only=True)
class OnOff:
    """The heating blueprint: full power below the target less a hysteresis, else stopped."""

    target: float
    hysteresis: float = 0.5
    minimum_stop: float = 15 * MINUTE
    minimum_run: float = 30 * MINUTE
    every: float = MINUTE
    changed: float = -DAY

    def decide(
        self, now: float, reading: float | None, age: float, miner: Miner
    ) -> int:
        """Return the percent for the miner."""
        on = miner.running_since is not None
        since = now - self.changed
        if reading is None:
            return 0
        cold = reading <= self.target - self.hysteresis
        if (on and reading >= self.target and since >= self.minimum_run) or (
            not on and cold and since >= self.minimum_stop
        ):
            on, self.changed = not on, now
        return 100 if on else 0


@dataclass(kw_only=True)
class Run:
    """What happened."""

    times: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    """Temperature less the target."""
    starts: int = 0
    commands: int = 0
    energy: float = 0.0
    """kWh."""

    def since(self, hour: float) -> list[float]:
        """Return the errors from an hour on."""
        return [
            e for t, e in zip(self.times, self.errors, strict=True) if t >= hour * HOUR
        ]

    def rms(self, hour: float = 12) -> float:
        """Return the root of the mean square of the errors."""
        errors = self.since(hour)
        return math.sqrt(sum(e * e for e in errors) / len(errors))

    def p95(self, hour: float = 12) -> float:
        """Return the 95th percentile of the size of the errors."""
        errors = sorted(map(abs, self.since(hour)))
        return errors[int(0.95 * len(errors))]

    def largest(self, hour: float = 24) -> float:
        """Return the largest error."""
        return max(map(abs, self.since(hour)))


@dataclass(kw_only=True)
class Bench:
    """One plant with one miner and one controller; `run` may be called again to continue."""

    plant: Plant
    controller: Controller
    weather: str | float
    steady: bool = False
    """No sun, no draws."""
    miner: Miner = field(default_factory=Miner)
    sensor: Callable[[float, float], float | None] = lambda now, value: value
    """What the sensor reports at a time instead of the value; None is silence."""
    off: tuple[float, float] = (0.0, 0.0)
    """From when to when the miner has no power."""
    restarts: tuple[float, ...] = ()
    """When btminer restarts."""
    seed: int = 1
    now: float = 0.0
    temperature: float = math.nan
    reported: tuple[float, float] | None = None
    """When the sensor reported which value."""
    done: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        """Begin at the start temperature."""
        if math.isnan(self.temperature):
            self.temperature = self.plant.start
        self._lagged = self.temperature
        self._random = Random(self.seed)
        self._heat = deque([self.miner.stopped] * int(self.plant.delay / DT))
        self._next_sensor = self._next_step = self.now

    def run(self, until: float) -> Run:
        """Simulate until a time, and return all that happened so far."""
        while self.now < until:
            if self.now >= self._next_sensor:
                self._report()
            if self.now >= self._next_step:
                self._decide()
            self._move()
        return self.done

    def _report(self) -> None:
        """Let the sensor report."""
        self._next_sensor += SENSOR
        noisy = round(self._lagged + self._random.gauss(0, 0.05), 1)
        value = self.sensor(self.now, noisy)
        if value is not None:
            self.reported = (self.now, value)

    def _decide(self) -> None:
        """Let the controller decide, and the miner obey."""
        self._next_step += self.controller.every
        at, value = self.reported or (self.now, None)
        percent = self.controller.decide(self.now, value, self.now - at, self.miner)
        if self.off[0] <= self.now < self.off[1]:
            percent = 0
        if percent != self.miner.wish:
            self.done.commands += 1
            self.miner.command(percent, self.now)
            self.done.starts = len(self.miner.starts)

    def _move(self) -> None:
        """Move the plant by one time step."""
        if any(0 <= self.now - at < DT for at in self.restarts):
            self.miner.restart(self.now)
        power = self.miner.power(self.now)
        self.done.energy += power * DT / 3.6e6
        self._heat.append(power)
        hour = -1.0 if self.steady else self.now / HOUR % 24
        out = outside(self.weather, self.now)
        heat = self.plant.heat(self._heat.popleft(), self.temperature, out, hour)
        self.temperature += heat * DT / self.plant.capacity
        self._lagged += (self.temperature - self._lagged) * DT / self.plant.lag
        self.now += DT
        self.done.times.append(self.now)
        self.done.errors.append(self.temperature - self.plant.target)

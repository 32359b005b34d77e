"""Learn from polls what a miner does with its power. Pure: no Home Assistant, no clock of its own.

`Profile.observe` takes every poll; the rest are questions. Times are in seconds since the epoch.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import math
from typing import Any, NamedTuple, Self

from ..api.models import Activity, MinerState, Summary
from ..const import LOWEST_PERCENT
from .curve import ASSUMED, FULL, Bin, Curve, Level, Shape, Start, fit, sweet_spot

SETTLE = 480.0
"""A percent is followed within three minutes, and some firmware reports a mean of five (s)."""
WINDOW = 300.0
MIN_POLLS = 8
MAX_GAP = 90.0
"""What lies between polls farther apart is not known (s)."""
POWER_TOLERANCE = 0.10
LOWEST, BIN_WIDTH = float(LOWEST_PERCENT), 5

SURE = 3
"""Windows after which a bin counts as measured."""
OUTLIER = 0.06
"""How far a window may be from its bin."""
OUTLIER_NEW = 0.30
"""How far a window of a bin that is not sure may be from the curve."""
TRUTH = 6
"""Outliers in a row, in one bin and direction, that are the new truth."""
MAX_BASES = 4
NEAR = 2.5
COMPLETE_SPAN = 30.0

START_WEIGHT = 0.3
MIN_START, MAX_START = 60.0, 3 * 3600.0

BLAME = 1800.0
"""A restart so soon after a percent was set is its effect (s)."""
PERCENT_LOW = 60.0
REMEMBER = 30 * 86400.0

WEAR_WINDOWS = 36
WEAR_CLASS = 5.0
WEAR_CLASSES = range(-2, 10)
"""Classes of 5 K of the temperature around the miner: -10 to 50 degrees Celsius."""
NO_CLASS = "none"
WORN, WELL = -0.03, -0.02
WORN_BLIND, WELL_BLIND = -0.06, -0.05
"""The limits without a temperature."""

VERSION = 1


class ProfileState(StrEnum):
    """How much of the curve was measured."""

    EMPTY = "empty"
    ONE_LEVEL = "one_level"
    PARTIAL = "partial"
    COMPLETE = "complete"


class Certainty(StrEnum):
    """How sure a level of the curve is."""

    MEASURED = "measured"
    BETWEEN = "between"
    ASSUMED = "assumed"


class Poll(NamedTuple):
    """What one poll says that is of use here; None is unknown."""

    at: float
    activity: Activity | None
    percent: float | None
    """The percent in effect; 0 is none set, which is 100."""
    base: Hashable | None
    """(power mode, power limit set, frequency offset): the curve belongs to it."""
    watts: float | None
    ths: float | None
    tuned_power: float | None = None
    """What the miner draws when it is tuned and no percent is set (W)."""
    temperature: float | None = None
    """Around the miner (degrees Celsius)."""
    elapsed: float | None = None
    """Since btminer started (s)."""
    fast_boot: bool | None = None
    """Without it, some miners restart for every percent."""


def poll_of(
    state: MinerState,
    commanded: float | None,
    tuned_power: float | None,
    fast_boot: bool | None = None,
) -> Poll:
    """Return what a state of the miner says.

    `commanded` is the percent that was set in this run of btminer, None if none was; it counts
    where the miner does not report one.
    """
    summary, status = state.summary or Summary(), state.status
    rates = (summary.hashrate_5m, summary.hashrate, summary.hashrate_1m)
    percent, base = None, None
    if status:
        reported = status.power_percent
        percent = (commanded if reported is None else reported) or FULL
        limit, offset = status.power_limit_set, status.target_frequency
        mode = state.power_mode
        base = (mode and mode.value, limit, offset or None)
    return Poll(
        state.read_at.timestamp(),
        state.activity,
        percent,
        base,
        summary.power,
        next((rate for rate in rates if rate is not None), None),
        tuned_power,
        summary.environment_temperature,
        summary.elapsed,
        fast_boot,
    )


class Window(NamedTuple):
    """The mean of `WINDOW` seconds at one percent, after everything has settled."""

    begin: float
    percent: float
    watts: float
    ths: float
    base: Hashable
    temperature: float | None = None


class Windows:
    """Cuts polls into windows."""

    def __init__(self) -> None:
        """Wait for the first poll."""
        self._held: tuple[float, Hashable] | None = None
        self._since = self._last = -math.inf
        self._begin: float | None = None
        self._polls: list[Poll] = []

    def observe(self, poll: Poll) -> Window | None:
        """Take a poll; return the window that it ends, if there is one and it is sound."""
        held = None
        if poll.activity == Activity.MINING and None not in (poll.percent, poll.base):
            held = poll.percent or FULL, poll.base
        apart, self._last = poll.at - self._last, poll.at
        if held is None or held != self._held or not 0 < apart <= MAX_GAP:
            self._held, self._since, self._begin = held, poll.at, None
        if held is None or poll.at - self._since < SETTLE:
            return None
        closed = None
        if self._begin is not None and poll.at - self._begin >= WINDOW:
            closed, self._begin = self._close(self._begin, *held), None
        if self._begin is None:
            self._begin, self._polls = poll.at, []
        if poll.watts and poll.ths:
            self._polls.append(poll)
        return closed

    def restart(self) -> None:
        """Wait again until all has settled."""
        self._held = None

    def _close(self, begin: float, percent: float, base: Hashable) -> Window | None:
        """Return the mean of the polls, unless it says nothing about this percent."""
        polls = self._polls
        if len(polls) < MIN_POLLS or not LOWEST <= percent <= FULL:
            return None
        watts = _mean(poll.watts for poll in polls)
        ths = _mean(poll.ths for poll in polls)
        assert watts and ths
        if tuned := polls[-1].tuned_power:
            expected = tuned * percent / FULL
            if abs(watts - expected) > POWER_TOLERANCE * expected:
                return None
        temperature = _mean(poll.temperature for poll in polls)
        return Window(begin, percent, watts, ths, base, temperature)


def _mean(values: Iterator[float | None]) -> float | None:
    """Return the mean of what is known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


class StartMeter:
    """Measures starts: from the last poll that shows it stopped to the first that shows it tuned."""

    def __init__(self, max_gap: float = MAX_GAP) -> None:
        """Give up where polls are farther apart than `max_gap` (s)."""
        self._max_gap = max_gap
        self._at = math.nan
        self._last: tuple[float, float, float] | None = None
        """The last poll of the start that is measured, or that may begin now."""
        self._seconds = self._joules = self._hashes = 0.0
        self._starting = self._mined = False

    def observe(
        self,
        at: float,
        activity: Activity | None,
        watts: float | None,
        ths: float | None,
    ) -> Start | None:
        """Take a poll; return the start that it completes."""
        if watts is None or activity is None:
            return None
        if at - self._at > self._max_gap:
            self._last, self._mined = None, False
        self._at = at
        point = at, watts, ths or 0.0
        if activity == Activity.STOPPED:
            self.begin(*point)
        elif activity in (Activity.STARTING, Activity.TUNING):
            if self._last:
                self._add(*point)
            elif self._mined:
                self.begin(*point)
            # Else this start began before the first poll that shows it.
            self._starting = self._last is not None
        else:
            mining = activity == Activity.MINING
            started = self._finish(*point) if mining and self._starting else None
            self._last, self._starting, self._mined = None, False, mining
            return started
        return None

    def begin(self, at: float, watts: float, ths: float) -> None:
        """Measure from here."""
        self._at, self._last, self._starting = at, (at, watts, ths), False
        self._seconds = self._joules = self._hashes = 0.0

    def _add(self, at: float, watts: float, ths: float) -> None:
        assert self._last
        before, self._last = self._last, (at, watts, ths)
        step = at - before[0]
        self._seconds += step
        self._joules += step * (before[1] + watts) / 2
        self._hashes += step * (before[2] + ths) / 2

    def _finish(self, at: float, watts: float, ths: float) -> Start | None:
        if self._last is None:
            return None
        self._add(at, watts, ths)
        if not MIN_START <= self._seconds <= MAX_START:
            return None
        return Start(
            self._seconds / 3600,
            self._joules / self._seconds,
            self._hashes / self._seconds,
        )


@dataclass(slots=True)
class Wear:
    """What the efficiency of one base has lost since its curve was first complete."""

    frozen: Curve | None = None
    classes: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By class of temperature: windows seen, and the reference."""
    day: tuple[int, int, float] = (0, 0, 0.0)
    """The day (UTC) of the last window, its windows that have a reference, and their mean."""
    value: float | None = None
    """The mean of the last day with enough windows: -0.05 is 5 % less TH/s per W."""
    worn: bool = False

    def learn(self, window: Window) -> None:
        """Take a window into the reference of its class, or compare it with that."""
        if self.frozen is None:
            return
        frozen = self.frozen.ths(window.percent) / self.frozen.watts(window.percent)
        found = math.log(window.ths / window.watts / frozen)
        name = self._class(window.temperature)
        n, reference = self.classes.get(name, (0, 0.0))
        if n < WEAR_WINDOWS:
            self.classes[name] = n + 1, reference + (found - reference) / (n + 1)
            return
        today = int(window.begin // 86400)
        n, mean = self.day[1:] if self.day[0] == today else (0, 0.0)
        self.day = today, n + 1, mean + (found - reference - mean) / (n + 1)
        if n + 1 >= WEAR_WINDOWS:
            self.value = self.day[2]
            blind = name == NO_CLASS
            if self.worn:
                self.worn = self.value <= (WELL_BLIND if blind else WELL)
            else:
                self.worn = self.value < (WORN_BLIND if blind else WORN)

    @staticmethod
    def _class(temperature: float | None) -> str:
        if temperature is None:
            return NO_CLASS
        number = math.floor(temperature / WEAR_CLASS)
        return str(min(max(number, WEAR_CLASSES[0]), WEAR_CLASSES[-1]))


@dataclass(slots=True)
class BaseProfile:
    """What is known of one base."""

    bins: dict[int, Bin] = field(default_factory=dict)
    """By percent, rounded to 5."""
    shape: Shape = ASSUMED
    """The assumed shape: that of the base before."""
    wear: Wear = field(default_factory=Wear)
    _suspect: tuple[int, bool] | None = None
    _suspects: Bin = field(default_factory=Bin)
    _curve: Curve | None = None

    @property
    def curve(self) -> Curve | None:
        """The curve through the bins."""
        if self._curve is None:
            self._curve = fit(self.bins.values(), self.shape)
        return self._curve

    def learn(self, window: Window) -> bool:
        """Take in a window; return False if it is an outlier, which is not taken in."""
        key = BIN_WIDTH * math.floor(window.percent / BIN_WIDTH + 0.5)
        found = window.percent, window.watts, window.ths, window.begin
        less = self._deviation(key, window)
        if less is None:
            self._suspect = None
            self.bins.setdefault(key, Bin()).add(*found)
        else:
            if self._suspect != (key, less):
                self._suspect, self._suspects = (key, less), Bin()
            self._suspects.add(*found)
            if self._suspects.n < TRUTH:
                return False
            for item in self.bins.values():
                item.n = min(item.n, SURE)
            self.bins[key], self._suspect = self._suspects, None
        self._curve = None
        self.wear.learn(window)
        if self.wear.frozen is None and self.state is ProfileState.COMPLETE:
            self.wear.frozen = self.curve
        return True

    def _deviation(self, key: int, window: Window) -> bool | None:
        """Return whether an outlier hashes less than it should; None if it is not an outlier."""
        known = self.bins.get(key)
        if known and known.n >= SURE:
            off = math.log(window.ths / known.ths)
            return off < 0 if abs(off) > OUTLIER else None
        if (curve := self.curve) is None:
            return None
        off = window.ths / curve.ths(window.percent) - 1
        return off < 0 if abs(off) > OUTLIER_NEW else None

    @property
    def measured(self) -> list[float]:
        """The percents that are measured, ascending."""
        return sorted(item.percent for item in self.bins.values() if item.n >= SURE)

    @property
    def state(self) -> ProfileState:
        """How much of the curve was measured."""
        if len(self.bins) < 2:
            return ProfileState.ONE_LEVEL if self.bins else ProfileState.EMPTY
        known = self.measured
        if len(known) < 3 or known[-1] - known[0] < COMPLETE_SPAN:
            return ProfileState.PARTIAL
        return ProfileState.COMPLETE


class Profile:
    """What one miner does with its power, as it was learned."""

    def __init__(self) -> None:
        """Know nothing."""
        self._windows = Windows()
        self._meter = StartMeter()
        self._bases: dict[Hashable, BaseProfile] = {}
        """The one used last is last."""
        self._base: Hashable | None = None
        self._start: Start | None = None
        self._at = -math.inf
        self._run: float | None = None
        """When btminer started."""
        self._activity: Activity | None = None
        self._percent_set: tuple[float, float] | None = None
        """When a percent was set last, and to what, until a command restarts btminer."""
        self._lowest: tuple[float, float] = (LOWEST, math.inf)
        """The lowest level that held, and until when that is believed."""
        self._unsteady: list[float] = []
        """When btminer restarted after higher percents, or without fast boot: the last two."""
        self._fast_boot: bool | None = None

    # Learning

    def observe(self, poll: Poll) -> bool:
        """Take a poll; return whether there is something new to store."""
        if poll.at == self._at:
            return False
        self._at = poll.at
        if poll.fast_boot is not None:
            self._fast_boot = poll.fast_boot
        new = self._watch_restarts(poll)
        start = self._meter.observe(poll.at, poll.activity, poll.watts, poll.ths)
        if start:
            self._learn_start(start)
            new = True
        if poll.base is not None:
            self._base = poll.base
        if window := self._windows.observe(poll):
            new = self.learn(window) or new
        return new

    def learn(self, window: Window) -> bool:
        """Take in a window of `observe`; return False if it is an outlier."""
        self._at, self._base = max(self._at, window.begin), window.base
        base = self._bases.pop(window.base, None)
        if base is None:
            before = next(reversed(self._bases.values()), None)
            curve = before and before.curve
            base = BaseProfile(shape=curve.shape if curve else ASSUMED)
        self._bases[window.base] = base
        if len(self._bases) > MAX_BASES:
            del self._bases[next(iter(self._bases))]
        return base.learn(window)

    def note_percent(self, percent: float, at: float) -> None:
        """Note that a percent was commanded, by whatever; restarts soon after are its effect."""
        self._percent_set = at, percent

    def note_restart(self) -> None:
        """Note a command that stops or restarts btminer, so that no percent is blamed."""
        self._percent_set = None

    def restart_wear(self) -> None:
        """Take the present efficiency as that of a good miner."""
        for base in self._bases.values():
            complete = base.state is ProfileState.COMPLETE
            base.wear = Wear(frozen=base.curve if complete else None)

    def _watch_restarts(self, poll: Poll) -> bool:
        """Return whether btminer restarted because of a percent."""
        run = None if poll.elapsed is None else poll.at - poll.elapsed
        later = run is not None and self._run is not None and run - self._run > 120
        dropped = (self._activity, poll.activity) == (
            Activity.MINING,
            Activity.STARTING,
        )
        self._run = self._run if run is None else run
        self._activity = poll.activity or self._activity
        if not (later or dropped):
            return False
        self._windows.restart()
        since, self._percent_set = self._percent_set, None
        if since is None or poll.at - since[0] > BLAME:
            return False
        if self._fast_boot is False:
            # It is the cause, not the level: one restart shows that.
            self._unsteady = [poll.at, poll.at]
        elif since[1] <= PERCENT_LOW:
            above = BIN_WIDTH * (math.floor(since[1] / BIN_WIDTH) + 1.0)
            self._lowest = max(above, self.lowest), poll.at + REMEMBER
        else:
            self._unsteady = [*self._unsteady, poll.at][-2:]
        return True

    def _learn_start(self, new: Start) -> None:
        old = self._start or new
        self._start = Start(
            *(x + START_WEIGHT * (y - x) for x, y in zip(old, new, strict=True))
        )

    # Results

    @property
    def _current(self) -> BaseProfile:
        return self._bases.get(self._base) or BaseProfile()

    @property
    def state(self) -> ProfileState:
        """How much of the curve of the present base was measured."""
        return self._current.state

    @property
    def curve(self) -> Curve | None:
        """The curve of the present base; None before its first window."""
        return self._current.curve

    @property
    def levels(self) -> tuple[Level, ...]:
        """What the miner can run at, ascending; empty while no curve is known."""
        curve = self.curve
        if curve is None:
            return ()
        return curve.levels(percents(FULL if self.needs_fast_boot else self.lowest))

    @property
    def lowest(self) -> float:
        """The lowest percent at which btminer did not restart."""
        return self._lowest[0] if self._at <= self._lowest[1] else LOWEST

    @property
    def needs_fast_boot(self) -> bool:
        """Whether this miner restarts for every percent: then only stop and full power are of use."""
        if self._fast_boot:
            return False
        unsteady = [at for at in self._unsteady if self._at - at <= REMEMBER]
        return len(unsteady) >= 2

    def certainty(self, percent: float) -> Certainty:
        """Return how sure the curve is at a percent."""
        known = self._current.measured
        if any(abs(other - percent) <= NEAR for other in known):
            return Certainty.MEASURED
        if known and known[0] < percent < known[-1]:
            return Certainty.BETWEEN
        return Certainty.ASSUMED

    @property
    def sweet_spot(self) -> Level | None:
        """The level with the least J/TH, once it and its neighbours were measured."""
        levels = self.levels
        best = sweet_spot(levels)
        if best is None:
            return None
        index = levels.index(best)
        near = levels[max(0, index - 1) : index + 2]
        sure = all(self.certainty(x.percent) is Certainty.MEASURED for x in near)
        return best if sure else None

    @property
    def start(self) -> Start | None:
        """What a start is like: measured, else assumed from the curve; None without both."""
        if self._start:
            return self._start
        curve = self.curve
        return assumed_start(curve.watts(FULL), curve.ths(FULL)) if curve else None

    @property
    def wear(self) -> float | None:
        """The change of TH/s per W since the curve was complete: -0.05 is 5 % less."""
        return self._current.wear.value

    @property
    def worn(self) -> bool:
        """Whether the miner has lost efficiency."""
        return self._current.wear.worn

    # Storing

    def as_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart, as JSON: at most some kB."""
        lowest, until = self._lowest
        return {
            "version": VERSION,
            "bases": [_base_as_dict(*item) for item in self._bases.items()],
            "start": _short(self._start) if self._start else None,
            "lowest": [lowest, until] if math.isfinite(until) else None,
            "unsteady": self._unsteady,
        }

    @classmethod
    def from_dict(cls, stored: Any) -> Self:
        """Return a profile from stored data of any version; drop what is not understood."""
        profile = cls()
        if not isinstance(stored, Mapping):
            return profile
        for raw in _list(stored.get("bases"))[-MAX_BASES:]:
            if found := _base_from(raw):
                profile._bases[found[0]] = found[1]
                profile._base = found[0]
        if (start := _numbers(stored.get("start"), 3)) and start[0] > 0:
            profile._start = Start(*start)
        if lowest := _numbers(stored.get("lowest"), 2):
            profile._lowest = min(max(lowest[0], LOWEST), FULL), lowest[1]
        unsteady = _list(stored.get("unsteady"))[-2:]
        profile._unsteady = [at for raw in unsteady for at in _numbers([raw], 1)]
        return profile


def percents(lowest: float) -> list[float]:
    """Return the percents that are offered: the lowest, and each multiple of 10 above it."""
    above = 10 * (math.floor(lowest / 10) + 1)
    return [lowest, *(float(percent) for percent in range(above, 101, 10))]


def assumed_start(watts: float, ths: float) -> Start:
    """Return the start of a miner that was never seen starting, from its full power."""
    return Start(1 / 3, 0.6 * watts, 0.3 * ths)


def _base_as_dict(key: Hashable, base: BaseProfile) -> dict[str, Any]:
    wear, frozen = base.wear, base.wear.frozen
    return {
        "base": key,
        "bins": [
            _short((x.n, x.percent, x.watts, x.ths, x.at)) for x in base.bins.values()
        ],
        "shape": _short(base.shape),
        "frozen": frozen
        and [*_short((frozen.a, *frozen.shape)), *map(_short, frozen.ratios)],
        "classes": {name: _short(known) for name, known in wear.classes.items()},
        "day": _short(wear.day),
        "wear": wear.value,
        "worn": wear.worn,
    }


def _base_from(raw: Any) -> tuple[Hashable, BaseProfile] | None:
    """Return a stored base; None if it cannot be recognised."""
    if not isinstance(raw, Mapping):
        return None
    key = raw.get("base")
    key = tuple(key) if isinstance(key, list) else key
    try:
        hash(key)
    except TypeError:
        return None
    base = BaseProfile()
    for item in _list(raw.get("bins")):
        found = _numbers(item, 5)
        if (
            found
            and min(found[0], found[2], found[3]) > 0
            and LOWEST <= found[1] <= FULL
        ):
            at = BIN_WIDTH * math.floor(found[1] / BIN_WIDTH + 0.5)
            base.bins[at] = Bin(min(int(found[0]) or 1, Bin.MEMORY), *found[1:])
    if shape := _numbers(raw.get("shape"), 2):
        base.shape = Shape(*shape)
    base.wear = _wear_from(raw)
    return key, base


def _wear_from(raw: Mapping[str, Any]) -> Wear:
    wear = Wear(frozen=_curve_from(_list(raw.get("frozen"))))
    classes = raw.get("classes")
    if wear.frozen is None or not isinstance(classes, Mapping):
        return wear
    for name in (NO_CLASS, *map(str, WEAR_CLASSES)):
        if found := _numbers(classes.get(name), 2):
            wear.classes[name] = int(found[0]), found[1]
    if day := _numbers(raw.get("day"), 3):
        wear.day = int(day[0]), int(day[1]), day[2]
    wear.value = next(iter(_numbers([raw.get("wear")], 1)), None)
    wear.worn = raw.get("worn") is True
    return wear


def _curve_from(raw: list[Any]) -> Curve | None:
    exponents = _numbers(raw[:3], 3)
    ratios = [_numbers(item, 2) for item in raw[3:]]
    if not exponents or not ratios or not all(ratios):
        return None
    return Curve(
        exponents[0], Shape(*exponents[1:]), tuple((x[0], x[1]) for x in ratios)
    )


def _short(values: Iterable[float]) -> list[float]:
    """Return numbers with the digits that matter: windows are not exact to a millionth."""
    return [
        float(f"{value:.10g}") if value > 1e6 else float(f"{value:.6g}")
        for value in values
    ]


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _numbers(raw: Any, count: int) -> list[float]:
    """Return so many finite numbers, or none at all."""
    if not isinstance(raw, (list, tuple)) or len(raw) < count:
        return []
    numbers = [
        float(value)
        for value in raw[:count]
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    whole = len(numbers) == count and all(map(math.isfinite, numbers))
    return numbers if whole else []

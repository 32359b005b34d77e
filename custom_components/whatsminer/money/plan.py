"""Plan a level for each quarter hour, over the prices that are known. Pure.

While the miner runs, the best level depends on the price of the step alone, since a percent needs
no restart. So only stop and start are planned, exactly, from the last step back. Money, hours, W.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import groupby
import math
from typing import NamedTuple

from .best import DEAD_BAND, TIMING, Timing
from .curve import Level, Start
from .prices import Slot

STEP = timedelta(minutes=15)
HORIZON = 192
"""Steps of 15 minutes: 48 hours."""
FEWEST = 4
"""With fewer steps there is no plan."""

ROUNDING = 1e-9
PENALTY = 1000.0
"""Of the greatest value of a step, for each step that a wish is missed by."""

RATE_MOVED = 0.03
LEVEL_MOVED = 0.02
OFF_PLAN = 0.25
"""Hours after which a miner that does not follow needs another plan."""
EXTENDED = 24
"""Steps by which more prices are new prices; a forecast that rolls on is not new at each step."""


# Steps


class Steps(NamedTuple):
    """The prices of the quarter hours (UTC) from the present one to the end of what is known."""

    first: datetime
    prices: tuple[float, ...]
    """Money per kWh; effective where heat counts."""
    days: tuple[Hashable, ...]
    """The local date of each step."""
    rest: int = 0
    """Steps of the last day that are not covered."""
    step: float = STEP / timedelta(hours=1)
    """Hours."""


def steps(now: datetime, slots: Iterable[Slot], zone: tzinfo) -> Steps:
    """Return the steps until the first that is not wholly covered by slots.

    The slots may be of any length and order. Of the present step only the rest counts.
    """
    first = now.astimezone(UTC)
    first -= (first - datetime.min.replace(tzinfo=UTC)) % STEP
    known = sorted(
        {Slot(x.start.astimezone(UTC), x.end.astimezone(UTC), x.price) for x in slots}
    )
    prices: list[float] = []
    begin = max(first, now.astimezone(UTC))
    while len(prices) < HORIZON:
        end = first + (len(prices) + 1) * STEP
        while known and known[0].end <= begin:
            del known[0]
        price = _average(known, begin, end)
        if price is None:
            break
        prices.append(price)
        begin = end
    starts = [first + i * STEP for i in range(len(prices))]
    days = tuple(start.astimezone(zone).date() for start in starts)
    rest = 0
    while days and begin.astimezone(zone).date() == days[-1]:
        rest, begin = rest + 1, begin + STEP
    return Steps(first, tuple(prices), days, rest)


def _average(known: Sequence[Slot], begin: datetime, end: datetime) -> float | None:
    """Return the mean price by overlap; None where a part is not covered. `known` ascends."""
    covered, total, seconds = begin, 0.0, 0.0
    for slot in known:
        if slot.start >= end or slot.start > covered:
            break
        overlap = (min(slot.end, end) - max(slot.start, begin)).total_seconds()
        if overlap > 0:
            total += slot.price * overlap
            seconds += overlap
            covered = max(covered, min(slot.end, end))
    return total / seconds if covered >= end else None


# What is planned for


class Wish(NamedTuple):
    """Hours of each local day that the miner is to run; None is no wish."""

    at_least: float | None = None
    at_most: float | None = None


NO_WISH = Wish()


class Setup(NamedTuple):
    """What a plan counts with."""

    levels: tuple[Level, ...]
    """Ascending, without stop."""
    hashprice: float | None
    """Money per TH/s and day; None is not known: then only the order of the prices counts."""
    idle: float
    """What the miner draws when it is stopped (W)."""
    start: Start
    timing: Timing = TIMING
    wish: Wish = NO_WISH


class Present(NamedTuple):
    """The miner as the plan finds it."""

    on: bool
    age: float
    """Hours since it was started or stopped."""
    percent: float | None = None
    done: int = 0
    """Steps that it has run in this local day before now."""


class Reason(StrEnum):
    """Why a step is as it is."""

    PRICE = "price"
    """By its own price."""
    MINIMUM_TIME = "minimum_time"
    """The shortest run or stop is not over."""
    WISH = "wish"
    """The hours of the day."""
    START = "start"
    """A start costs more than it brings, or must be over when the price falls."""


class PlannedStep(NamedTuple):
    """What is planned for a step, and what is expected of it."""

    percent: float
    """0 is stop."""
    price: float
    kwh: float
    revenue: float
    reason: Reason

    @property
    def gain(self) -> float:
        """The revenue less the cost."""
        return self.revenue - self.kwh * self.price


class Part(NamedTuple):
    """Steps in a row at one level."""

    start: datetime
    end: datetime
    percent: float
    kwh: float
    gain: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A level for each step."""

    basis: Steps
    setup: Setup
    steps: tuple[PlannedStep, ...]
    starts: int
    missed: dict[Hashable, float]
    """By day, the hours by which it runs too short, negative if too long, for its wish."""

    @property
    def value(self) -> float:
        """The expected margin."""
        return sum(step.gain for step in self.steps)

    @property
    def end(self) -> datetime:
        """When the last step ends."""
        return self.start_of(len(self.steps))

    def start_of(self, index: int) -> datetime:
        """Return when a step begins (UTC)."""
        return self.basis.first + index * timedelta(hours=self.basis.step)

    def index(self, now: datetime) -> int | None:
        """Return the number of the step that contains this moment."""
        index = (now - self.basis.first) // timedelta(hours=self.basis.step)
        return index if 0 <= index < len(self.steps) else None

    def at(self, now: datetime) -> PlannedStep | None:
        """Return the step that contains this moment; None where the plan has ended."""
        index = self.index(now)
        return None if index is None else self.steps[index]

    def next_change(self, now: datetime) -> tuple[datetime, float] | None:
        """Return when the percent changes next, and to what."""
        index = self.index(now)
        if index is None:
            return None
        for i in range(index + 1, len(self.steps)):
            if self.steps[i].percent != self.steps[i - 1].percent:
                return self.start_of(i), self.steps[i].percent
        return None

    @property
    def parts(self) -> list[Part]:
        """Return the steps, those in a row at one level together."""
        found, i = [], 0
        for percent, same in groupby(self.steps, key=lambda step: step.percent):
            part = list(same)
            end = i + len(part)
            kwh, gain = sum(x.kwh for x in part), sum(x.gain for x in part)
            found.append(Part(self.start_of(i), self.start_of(end), percent, kwh, gain))
            i = end
        return found


def make_plan(basis: Steps, setup: Setup, present: Present) -> Plan | None:
    """Return the plan that earns most; None where too little is known for one.

    Takes some milliseconds without a wish, and some tens of them with one.
    """
    if not setup.levels or len(basis.prices) < FEWEST:
        return None
    return optimize(basis, setup, present)


def optimize(basis: Steps, setup: Setup, present: Present) -> Plan:
    """Return the plan that earns most, for any number of steps."""
    problem = _Problem(basis, setup, present)
    path = problem.solve(wished=problem.has_wish)
    free = problem.solve(wished=False) if problem.has_wish else path
    planned, starts, justified = [], 0, True
    previous = present.percent if present.on else None
    before, length = present.on, int(present.age / basis.step + ROUNDING)
    for i, on in enumerate(path):
        if on is not before:
            length, justified = 0, False
        held = justified and length < (problem.min_run if on else problem.min_stop)
        level = problem.level(i, previous) if on else None
        reason = problem.reason(i, on=on, held=held, free=free[i])
        # Before the price of a step agrees, it is not the shortest time that keeps it so.
        justified = justified or reason is Reason.PRICE
        planned.append(problem.step(i, level, length, reason))
        starts += on and not before
        previous = level.percent if level else None
        before, length = on, length + 1
    return Plan(basis, setup, tuple(planned), starts, problem.missed(path))


@dataclass(frozen=True, slots=True)
class _Day:
    """A local day, or the part of it that is planned."""

    label: Hashable
    length: int
    done: int
    at_least: int
    at_most: int

    def missed(self, run: int) -> int:
        """Return how many steps are missing after so many; negative for a surplus."""
        total = self.done + run
        return max(0, self.at_least - total) - max(0, total - self.at_most)


class _Problem:
    """The values of all steps, and the best way through them."""

    def __init__(self, basis: Steps, setup: Setup, present: Present) -> None:
        self.basis, self.setup, self.present = basis, setup, present
        step, prices = basis.step, basis.prices
        self.levels, hashprice = setup.levels, setup.hashprice
        if hashprice is None:
            self.levels = self.levels[-1:]
            mean = sum(prices) / len(prices)
            full = self.levels[-1]
            hashprice = mean * full.watts / 1000 * 24 / full.ths
        self.rate = hashprice / 24
        timing = setup.timing
        self.min_run = max(1, _ceil(timing.min_on / step))
        self.min_stop = max(1, _ceil(timing.min_off / step))
        self.ramp = setup.start.hours / step
        self.longest_run = max(self.min_run, _ceil(self.ramp))
        self.best = [self._best(price) for price in prices]
        self.run = [self._run_values(i) for i in range(len(prices))]
        self.idle = [-setup.idle / 1000 * price * step for price in prices]
        values = [abs(x) for row in self.run for x in row] + [abs(x) for x in self.idle]
        self.greatest = max(values) or 1.0
        self.days = self._days()
        wish = setup.wish
        self.has_wish = wish.at_least is not None or wish.at_most is not None

    def earns(self, level: Level | Start, price: float) -> float:
        """Return what a level earns per hour."""
        return level.ths * self.rate - level.watts / 1000 * price

    def _best(self, price: float) -> Level:
        return max(self.levels, key=lambda x: (self.earns(x, price), -x.percent))

    def ramps(self, ran: int) -> float:
        """Return the part of a step that still belongs to the start, after so many steps."""
        return min(max(self.ramp - ran, 0.0), 1.0)

    def _run_values(self, i: int) -> list[float]:
        """Return what running in a step is worth, by the steps run before."""
        price, step = self.basis.prices[i], self.basis.step
        ramp = self.earns(self.setup.start, price) * step
        best = self.earns(self.best[i], price) * step
        parts = map(self.ramps, range(self.longest_run + 1))
        return [part * ramp + (1 - part) * best for part in parts]

    def _days(self) -> list[_Day]:
        wish, step = self.setup.wish, self.basis.step
        least = 0 if wish.at_least is None else _ceil(wish.at_least / step)
        most = (
            len(self.basis.prices) + self.present.done + least
            if wish.at_most is None
            else max(least, int(wish.at_most / step + ROUNDING))
        )
        lengths = [(day, len(list(same))) for day, same in groupby(self.basis.days)]
        if not lengths:
            lengths = [(None, len(self.basis.prices))]
        days = [
            _Day(day, length, 0 if i else self.present.done, least, most)
            for i, (day, length) in enumerate(lengths)
        ]
        # The hours that are missing at the end can still be had when more prices are known.
        last = days[-1]
        rest = max(0, last.at_least - self.basis.rest)
        days[-1] = _Day(last.label, last.length, last.done, rest, last.at_most)
        return days

    def missed(self, path: Sequence[bool]) -> dict[Hashable, float]:
        """Return the hours by which days miss the wish."""
        missed, i = {}, 0
        for day in self.days:
            if steps := day.missed(sum(path[i : i + day.length])):
                missed[day.label] = steps * self.basis.step
            i += day.length
        return missed

    def solve(self, *, wished: bool) -> list[bool]:
        """Return whether to run, for each step."""
        return self._walk(self._values(wished=wished), wished=wished)

    def _values(self, *, wished: bool) -> list[_Values]:
        """Return for each step what is still to be had after it.

        A value is a list by the steps run in the day, of one number where they do not count.
        """
        runs, stops = self.longest_run, self.min_stop
        after = _Values([[0.0]] * (runs + 1), [[0.0]] * (stops + 1))
        table = []
        i = len(self.idle)
        for day in reversed(self.days if wished else [None]):
            if day:
                missed = [abs(day.missed(n)) for n in range(day.length + 1)]
                penalties = [PENALTY * self.greatest * n for n in missed]
                after = _Values(
                    *([[x[0] - p for p in penalties] for x in side] for side in after)
                )
            for _ in range(day.length if day else i):
                i -= 1
                table.append(after)
                after = self._before(i, after, counts=day is not None)
        return table[::-1]

    def _before(self, i: int, after: _Values, *, counts: bool) -> _Values:
        """Return the values before a step, from those after it."""
        on, off = after
        if counts:
            on, off = [x[1:] for x in on], [x[:-1] for x in off]
        values, idle = self.run[i], self.idle[i]
        last = len(on) - 1
        stop = [x + idle for x in off[1]]
        running = []
        for ran, value in enumerate(values):
            stay = [x + value for x in on[min(ran + 1, last)]]
            running.append(
                list(map(max, stay, stop, strict=True)) if ran >= self.min_run else stay
            )
        idling = [[x + idle for x in ahead] for ahead in off[1:]]
        first = values[0]
        ready = list(map(max, idling[-1], [x + first for x in on[1]], strict=True))
        return _Values(running, [*idling, ready])

    def _walk(self, table: Sequence[_Values], *, wished: bool) -> list[bool]:
        """Return the best way; of equal ones that which changes nothing."""
        near = ROUNDING * self.greatest
        whole = int(self.present.age / self.basis.step + ROUNDING)
        on, path = self.present.on, []
        length = min(whole, self.longest_run if on else self.min_stop)
        ends, count = self._ends() if wished else set(), 0
        for i, (running, idling) in enumerate(table):
            ran = length if on else 0
            more = count + wished
            run = self.run[i][ran] + running[min(ran + 1, self.longest_run)][more]
            stopped = 0 if on else length
            stop = self.idle[i] + idling[min(stopped + 1, self.min_stop)][count]
            switch = False
            if length >= (self.min_run if on else self.min_stop):
                switch = stop > run + near if on else run > stop + near
            if switch:
                on, length = not on, 0
            length = min(length + 1, self.longest_run if on else self.min_stop)
            path.append(on)
            count = 0 if i in ends else count + (on and wished)
        return path

    def _ends(self) -> set[int]:
        """Return the last step of each day."""
        ends, i = set(), -1
        for day in self.days:
            i += day.length
            ends.add(i)
        return ends

    def level(self, i: int, previous: float | None) -> Level:
        """Return the level of a running step: the one before, if it earns nearly as much."""
        best, price = self.best[i], self.basis.prices[i]
        enough = self.earns(best, price) - DEAD_BAND * self.levels[-1].ths * self.rate
        for level in self.levels:
            if level.percent == previous and self.earns(level, price) >= enough:
                return level
        return best

    def reason(self, i: int, *, on: bool, held: bool, free: bool) -> Reason:
        """Return why a step is as it is."""
        step = self.basis.step
        pays = self.earns(self.best[i], self.basis.prices[i]) * step > self.idle[i]
        if pays is on:
            return Reason.PRICE
        if held:
            return Reason.MINIMUM_TIME
        return Reason.START if free is on else Reason.WISH

    def step(
        self, i: int, level: Level | None, ran: int, reason: Reason
    ) -> PlannedStep:
        """Return a step with what is expected of it."""
        price, step = self.basis.prices[i], self.basis.step
        if level is None:
            return PlannedStep(0.0, price, self.setup.idle / 1000 * step, 0.0, reason)
        part, start = self.ramps(ran), self.setup.start
        watts = part * start.watts + (1 - part) * level.watts
        ths = part * start.ths + (1 - part) * level.ths
        revenue = ths * self.rate * step
        return PlannedStep(level.percent, price, watts / 1000 * step, revenue, reason)


class _Values(NamedTuple):
    """What is still to be had: by the steps run, and by the steps stopped."""

    running: list[list[float]]
    idling: list[list[float]]


def _ceil(number: float) -> int:
    return math.ceil(number - ROUNDING)


# When another plan is needed


class Trigger(StrEnum):
    """Why another plan is needed."""

    WISH = "wish"
    PRICES = "prices"
    RATES = "rates"
    CURVE = "curve"
    DEVIATION = "deviation"
    ENDING = "ending"


def replan_trigger(
    plan: Plan, now: datetime, basis: Steps, setup: Setup, off_plan: float = 0.0
) -> Trigger | None:
    """Return why this plan is no longer good; None to keep it.

    `basis` and `setup` are what a plan would be made with now, `off_plan` the hours for which the
    miner has not been as planned.
    """
    old = plan.setup
    if (old.wish, old.timing) != (setup.wish, setup.timing):
        return Trigger.WISH
    if off_plan >= OFF_PLAN - ROUNDING:
        return Trigger.DEVIATION
    end = basis.first + len(basis.prices) * timedelta(hours=basis.step)
    if end - plan.end >= EXTENDED * STEP:
        return Trigger.PRICES
    if plan.end - now < FEWEST * timedelta(hours=basis.step) and end > plan.end:
        return Trigger.ENDING
    if _moved(old.hashprice, setup.hashprice, RATE_MOVED):
        return Trigger.RATES
    if _prices_moved(plan, basis):
        return Trigger.PRICES
    return Trigger.CURVE if _levels_moved(old.levels, setup.levels) else None


def _moved(old: float | None, new: float | None, limit: float) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) > limit * abs(old)


def _prices_moved(plan: Plan, basis: Steps) -> bool:
    """Return whether a price that is still to come is another one.

    The present step does not count: as it passes, its price is that of what is left of it.
    """
    passed = round((basis.first - plan.basis.first) / STEP)
    old = plan.basis.prices[max(passed, 0) + 1 :]
    if not old:
        return False
    limit = RATE_MOVED * sum(map(abs, old)) / len(old)
    pairs = zip(old, basis.prices[1:], strict=False)
    return any(abs(new - one) > limit for one, new in pairs)


def _levels_moved(old: Sequence[Level], new: Sequence[Level]) -> bool:
    if [x.percent for x in old] != [x.percent for x in new]:
        return True
    return any(
        _moved(one.watts, two.watts, LEVEL_MOVED)
        or _moved(one.ths, two.ths, LEVEL_MOVED)
        for one, two in zip(old, new, strict=True)
    )

"""The plan: exact, calm, and sensible where little is known."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import product
import random
import time
from zoneinfo import ZoneInfo

import pytest

from custom_components.whatsminer.money.best import Timing
from custom_components.whatsminer.money.curve import Level, Start
from custom_components.whatsminer.money.plan import (
    FEWEST,
    NO_WISH,
    Plan,
    Present,
    Reason,
    Setup,
    Steps,
    Trigger,
    Wish,
    make_plan,
    optimize,
    replan_trigger,
    steps,
)
from custom_components.whatsminer.money.prices import Slot

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
L8 = tuple(Level(p, 35.0 * p, 189 * (p / 100) ** 0.8) for p in range(40, 101, 10))
START = Start(1 / 3, 2100, 56.7)
SETUP = Setup(L8, 0.05, 15, START)
RUNNING = Present(on=True, age=24)
STOPPED = Present(on=False, age=24)
HOUR = timedelta(hours=1)
BRUSSELS = ZoneInfo("Europe/Brussels")


def basis(prices: Sequence[float], step: float = 0.25) -> Steps:
    """Return steps with these prices."""
    days = tuple((FIRST + i * timedelta(hours=step)).date() for i in range(len(prices)))
    return Steps(FIRST, tuple(prices), days, step=step)


def hours(*prices: float) -> Steps:
    """Return quarters with these prices by the hour."""
    return basis([price for price in prices for _ in range(4)])


def percents(plan: Plan) -> list[float]:
    """Return the levels of a plan."""
    return [step.percent for step in plan.steps]


# Exactness


def allowed(path: Sequence[bool], setup: Setup, present: Present, step: float) -> bool:
    """Return whether all runs and stops are long enough, up to the horizon."""
    on, length = present.on, int(present.age / step + 1e-9)
    for wanted in path:
        shortest = setup.timing.min_on if on else setup.timing.min_off
        if wanted != on:
            if length < max(1, -(-shortest // step) if shortest else 1):
                return False
            on, length = wanted, 0
        length += 1
    return True


def value(
    path: Sequence[bool], given: Steps, setup: Setup, present: Present
) -> tuple[float, float]:
    """Return the hours by which a path misses the wish, and what it earns."""
    step, rate = given.step, (setup.hashprice or 0) / 24
    on, ran, total = present.on, int(present.age / step + 1e-9), 0.0
    counts = dict.fromkeys(given.days, 0)
    counts[given.days[0]] = present.done
    for wanted, price, day in zip(path, given.prices, given.days, strict=True):
        if wanted:
            ran = ran if on else 0
            part = min(max(setup.start.hours / step - ran, 0), 1)
            best = max(x.ths * rate - x.watts / 1000 * price for x in setup.levels)
            start = setup.start.ths * rate - setup.start.watts / 1000 * price
            total += (part * start + (1 - part) * best) * step
            ran += 1
            counts[day] += 1
        else:
            total -= setup.idle / 1000 * price * step
        on = wanted
    missed = 0.0
    least, most = setup.wish
    for count in counts.values():
        missed += max(0, (least or 0) / step - count)
        missed += max(0, count - (len(path) if most is None else most / step))
    return missed, total


def test_random_plans_are_the_best_of_all_ways() -> None:
    """A plan that is only nearly right costs money at every start."""
    dice = random.Random(20)
    for _ in range(300):
        step, count = dice.choice([0.25, 0.5, 1.0]), dice.randint(4, 11)
        prices = [dice.choice([-0.05, 0.04, 0.1, 0.12, 0.2, 0.3]) for _ in range(count)]
        prices = [price + dice.gauss(0, 0.02) for price in prices]
        days = tuple(int(i >= count // 2) for i in range(count))
        given = Steps(FIRST, tuple(prices), days, step=step)
        wish = NO_WISH
        if dice.random() < 0.5:
            least = dice.randint(0, count // 2) * step
            wish = Wish(least, least + dice.randint(0, 2) * step)
        setup = SETUP._replace(
            wish=wish,
            timing=Timing(dice.choice([0, 0.5, 1, 2]), dice.choice([0, 0.25, 0.5, 2])),
            start=START._replace(hours=dice.choice([0.05, 1 / 3, 1.0])),
        )
        on, age = dice.random() < 0.5, dice.choice([0, 0.25, 0.5, 1, 3])
        present = Present(on, age, done=dice.randint(0, 2))
        path = [bool(x) for x in percents(optimize(given, setup, present))]
        assert allowed(path, setup, present, step)
        found = value(path, given, setup, present)
        ways = [
            value(way, given, setup, present)
            for way in product([False, True], repeat=count)
            if allowed(way, setup, present, step)
        ]
        best = min(ways, key=lambda way: (way[0], -way[1]))
        assert found[0] == pytest.approx(best[0])
        assert found[1] == pytest.approx(best[1], abs=1e-9)


def test_the_expected_margin_is_the_sum_of_the_steps() -> None:
    """The sensor would promise what the steps do not hold."""
    made = make_plan(hours(0.05, 0.2, 0.2, 0.05), SETUP, RUNNING)
    assert made
    cost = sum(step.kwh * step.price for step in made.steps)
    assert made.value == pytest.approx(sum(x.revenue for x in made.steps) - cost)
    assert made.end == FIRST + 4 * HOUR


# Behaviour


def test_a_short_dip_is_bridged_at_the_lowest_level() -> None:
    """A stop for an hour costs more than it saves."""
    made = optimize(hours(0.05, 0.145, 0.05), SETUP, RUNNING)
    assert percents(made)[4:8] == [40] * 4
    assert made.starts == 0
    assert {step.reason for step in made.steps[4:8]} == {Reason.START}


def test_it_is_tuned_when_the_cheap_hours_come() -> None:
    """A start in the cheapest hours wastes them."""
    slow = SETUP._replace(start=Start(1.0, 700, 20))
    made = optimize(hours(0.16, 0.16, 0.0, 0.0), slow, STOPPED)
    assert made.starts == 1
    assert percents(made)[7] > 0
    assert made.steps[7].reason is Reason.START


def test_one_expensive_quarter_does_not_stop_it() -> None:
    """Prices by the quarter would stop and start the miner all day."""
    prices = [0.05] * 8 + [0.3] + [0.05] * 8
    made = optimize(basis(prices), SETUP, RUNNING)
    assert made.starts == 0
    assert made.steps[8].percent > 0


def test_the_shortest_times_are_kept_and_named() -> None:
    """The owner must see why it runs at a loss."""
    made = optimize(hours(0.5, 0.5, 0.5), SETUP, Present(on=True, age=0.3))
    assert percents(made)[:4] == [40, 40, 40, 0]
    assert {x.reason for x in made.steps[:3]} == {Reason.MINIMUM_TIME}
    made = optimize(hours(0.0, 0.0, 0.0), SETUP, Present(on=False, age=0))
    assert [x.reason for x in made.steps[:3]] == [Reason.MINIMUM_TIME] * 2 + ["price"]


def test_equal_prices_change_nothing() -> None:
    """Of equal ways the plan must not take one with a start."""
    for price in (0.0, 0.05, 0.3, -0.1):
        for present in (RUNNING, STOPPED):
            made = optimize(basis([price] * 40), SETUP, present)
            assert len(set(percents(made)[4:])) == 1


def test_nothing_earned_at_all() -> None:
    """With a hashprice of 0 it stops, and runs at full power while the price is negative."""
    worthless = SETUP._replace(hashprice=0.0)
    assert set(percents(optimize(hours(0.1, 0.2), worthless, RUNNING))) == {0}
    negative = optimize(hours(*[-0.1] * 12), worthless, STOPPED)
    assert set(percents(negative)) == {100}
    free = optimize(hours(0.0, 0.0), worthless, RUNNING)
    assert len(set(percents(free))) == 1


def test_a_level_within_the_dead_band_is_kept() -> None:
    """Noise of the price would command a percent in every quarter."""
    made = optimize(basis([0.0915, 0.0905] * 20), SETUP, RUNNING._replace(percent=100))
    assert set(percents(made)) == {100}


def test_the_cheapest_hours_need_no_hashprice() -> None:
    """Most people know how many hours they want, and no hashprice."""
    wish = Wish(2, 2)
    setup = SETUP._replace(hashprice=None, wish=wish)
    made = optimize(hours(0.3, 0.1, 0.2, 0.1, 0.4), setup, STOPPED)
    run = [i for i, x in enumerate(percents(made)) if x]
    assert len(run) == 8
    assert not made.missed
    assert {x.reason for x in made.steps if x.percent and x.price > 0.22} <= {
        Reason.WISH,
        Reason.MINIMUM_TIME,
        Reason.START,
    }


def test_a_wish_that_cannot_be_met_is_met_as_nearly_as_possible() -> None:
    """The plan must say that it falls short, and by how much."""
    setup = SETUP._replace(wish=Wish(10, None))
    made = optimize(hours(*[0.4] * 3), setup, RUNNING)
    assert all(percents(made))
    assert made.missed == {FIRST.date(): 7}
    assert made.steps[5].reason is Reason.WISH
    late = optimize(hours(*[0.05] * 3), SETUP._replace(wish=Wish(None, 1)), RUNNING)
    assert sum(map(bool, percents(late))) == 4


def test_hours_that_can_be_had_later_are_not_forced() -> None:
    """While tomorrow's evening is not published, its morning must not be bought at any price."""
    given = hours(*[0.4] * 3)._replace(rest=9 * 4)
    made = optimize(given, SETUP._replace(wish=Wish(8, None)), STOPPED)
    assert not any(percents(made))


def test_steps_of_today_count() -> None:
    """After a restart the miner would run its hours a second time."""
    setup = SETUP._replace(wish=Wish(2, 2))
    made = optimize(hours(*[0.05] * 4), setup, RUNNING._replace(done=8))
    assert not any(percents(made)[1:])


def test_too_little_is_no_plan() -> None:
    """What is decided over half an hour is no plan; the best level now decides."""
    assert make_plan(basis([0.1] * (FEWEST - 1)), SETUP, RUNNING) is None
    assert make_plan(basis([0.1] * 96), SETUP._replace(levels=()), RUNNING) is None


@pytest.mark.parametrize(
    "present",
    [
        pytest.param(Present(on=True, age=0.1), id="tuning"),
        pytest.param(Present(on=False, age=0.0), id="just curtailed"),
        pytest.param(Present(on=False, age=1000.0), id="offline for long"),
    ],
)
def test_a_plan_from_any_state(present: Present) -> None:
    """A plan is made while the miner is away, tuning or curtailed by another reason too."""
    made = make_plan(hours(0.05, 0.05, 0.3, 0.3, 0.05), SETUP, present)
    assert made
    assert allowed([bool(x) for x in percents(made)], SETUP, present, 0.25)
    assert made.steps[-1].percent == 100


def test_a_plan_can_be_asked() -> None:
    """What is due now and next is what the owner and the executor see."""
    made = optimize(hours(0.05, 0.3, 0.3, 0.05), SETUP, RUNNING)
    now = FIRST + timedelta(minutes=20)
    step = made.at(now)
    assert step
    assert step.percent == 100
    assert made.next_change(now) == (FIRST + HOUR, 0)
    assert made.at(FIRST - HOUR) is None
    assert made.at(FIRST + 4 * HOUR) is None
    assert made.next_change(FIRST + 4 * HOUR) is None
    assert made.next_change(FIRST + 3.5 * HOUR) is None


# Steps


def slots(start: datetime, length: timedelta, count: int, price: float = 0.1):
    """Return slots in a row."""
    return [
        Slot(start + i * length, start + (i + 1) * length, price) for i in range(count)
    ]


@pytest.mark.parametrize(
    ("day", "count"),
    [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 6, 1), 96)],
)
def test_days_of_the_clock_change(day: date, count: int) -> None:
    """On two days of the year the hours of the plan would be off by one."""
    midnight = datetime.combine(day, datetime.min.time(), BRUSSELS).astimezone(UTC)
    found = steps(midnight, slots(midnight, HOUR, 40), BRUSSELS)
    assert sum(x == day for x in found.days) == count
    assert found.rest == count_of(day + timedelta(1)) - (160 - count)


def count_of(day: date) -> int:
    """Return the steps of a local day."""
    begin = datetime.combine(day, datetime.min.time(), BRUSSELS).astimezone(UTC)
    end = datetime.combine(day + timedelta(1), datetime.min.time(), BRUSSELS)
    return round((end.astimezone(UTC) - begin) / timedelta(minutes=15))


def test_slots_of_any_length_are_averaged() -> None:
    """Five minutes and half hours are published as well."""
    found = [
        Slot(FIRST + i * HOUR / 12, FIRST + (i + 1) * HOUR / 12, i) for i in range(6)
    ]
    found += slots(FIRST + HOUR / 2, HOUR / 2, 1, 9.0)
    random.Random(1).shuffle(found)
    assert steps(FIRST, found + found, UTC).prices == (1.0, 4.0, 9.0, 9.0)


def test_of_the_present_step_only_the_rest_counts() -> None:
    """Sources that publish from now on would never lead to a plan."""
    now = FIRST + timedelta(minutes=7)
    found = steps(now, slots(now, HOUR / 12, 3), UTC)
    assert found.first == FIRST
    assert len(found.prices) == 1
    assert steps(now, slots(now + HOUR / 60, HOUR, 3), UTC).prices == ()


def test_a_hole_ends_the_steps() -> None:
    """A price that is unknown must not be planned over."""
    found = slots(FIRST, HOUR, 3) + slots(FIRST + 4 * HOUR, HOUR, 3)
    assert len(steps(FIRST, found, UTC).prices) == 12
    late = slots(FIRST, HOUR, 1) + slots(FIRST + HOUR * 1.1, HOUR, 3)
    assert len(steps(FIRST, late, UTC).prices) == 4
    assert len(steps(FIRST, slots(FIRST, HOUR, 100), UTC).prices) == 192


# Planning again


def test_reasons_to_plan_again() -> None:
    """A plan that is never renewed misses tomorrow; one that always is swings."""
    given = hours(*[0.05, 0.2] * 12)
    made = optimize(given, SETUP, RUNNING)

    def trigger(
        given: Steps = given, setup: Setup = SETUP, now: datetime = FIRST, off=0.0
    ) -> Trigger | None:
        return replan_trigger(made, now, given, setup, off)

    assert trigger() is None
    assert trigger(hours(*[0.05, 0.2] * 24)) is Trigger.PRICES
    assert trigger(hours(0.06, *[0.2, 0.05] * 12)) is Trigger.PRICES
    passing = given._replace(prices=(0.1, *given.prices[1:]))
    assert trigger(passing) is None
    assert trigger(setup=SETUP._replace(hashprice=0.051)) is None
    assert trigger(setup=SETUP._replace(hashprice=0.052)) is Trigger.RATES
    assert trigger(setup=SETUP._replace(hashprice=None)) is Trigger.RATES
    assert trigger(setup=SETUP._replace(wish=Wish(4, 4))) is Trigger.WISH
    assert trigger(setup=SETUP._replace(timing=Timing(2, 1))) is Trigger.WISH
    near = tuple(x._replace(ths=x.ths * 1.019) for x in L8)
    far = tuple(x._replace(ths=x.ths * 1.021) for x in L8)
    assert trigger(setup=SETUP._replace(levels=near)) is None
    assert trigger(setup=SETUP._replace(levels=far)) is Trigger.CURVE
    assert trigger(setup=SETUP._replace(levels=L8[1:])) is Trigger.CURVE
    assert trigger(off=0.25) is Trigger.DEVIATION
    assert trigger(off=0.2) is None
    late = FIRST + timedelta(hours=23, minutes=20)
    rest = Steps(FIRST + 23 * HOUR, (0.2,) * 20, (FIRST.date(),) * 20)
    assert trigger(rest, now=late) is Trigger.ENDING
    assert trigger(rest._replace(prices=(0.2,) * 4), now=late) is None


def test_an_unchanged_forecast_changes_no_step() -> None:
    """Re-planning at each poll moved 16 starts and stops a day for nothing."""
    dice = random.Random(5)
    prices = [0.1 + dice.gauss(0, 0.04) for _ in range(96)]
    made = optimize(basis(prices), SETUP, RUNNING)
    for i in range(0, 88, 3):
        given = Steps(FIRST + i * HOUR / 4, tuple(prices[i:]), basis(prices).days[i:])
        setup = SETUP._replace(hashprice=0.05 * dice.uniform(0.971, 1.029))
        assert replan_trigger(made, given.first, given, setup) is None


# Cost


@pytest.mark.parametrize(
    ("wish", "timing", "limit"),
    [
        pytest.param(NO_WISH, Timing(), 0.010, id="without a wish"),
        pytest.param(Wish(6, 10), Timing(), 0.100, id="with a wish"),
        pytest.param(Wish(6, 6), Timing(4, 4), 0.100, id="long times"),
    ],
)
def test_time(wish: Wish, timing: Timing, limit: float) -> None:
    """The event loop of Home Assistant would stand still."""
    dice = random.Random(2)
    given = basis([0.1 + dice.gauss(0, 0.05) for _ in range(192)])
    levels = tuple(
        Level(p, 35.0 * p, 189 * (p / 100) ** 0.8) for p in range(20, 101, 10)
    )
    setup = SETUP._replace(levels=levels, wish=wish, timing=timing)
    spent = []
    for _ in range(7):
        begin = time.process_time()
        assert make_plan(given, setup, RUNNING)
        spent.append(time.process_time() - begin)
    assert min(spent) < limit

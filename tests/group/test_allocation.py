"""One power for several miners: the most hashes, never above it."""

from itertools import product
import math
import random
import time

import pytest

from custom_components.whatsminer.group.allocation import (
    Allocation,
    Member,
    Move,
    Role,
    allocate,
    allocate_rest,
    allocate_starts,
    is_due,
    moves,
    start_loss,
)
from custom_components.whatsminer.money.curve import Level, Start


def member(
    name: str, watts: float = 3500.0, ths: float = 189.0, k: float = 0.8, **other
):
    """Return a running miner with a power law."""
    levels = tuple(
        Level(p, watts * p / 100, ths * (p / 100) ** k) for p in range(40, 101, 10)
    )
    given = {"levels": levels, "idle": 15.0, "on": True, "loss": 25.0}
    return Member(name, **(given | other))


def fleet(dice: random.Random, count: int) -> list[Member]:
    """Return miners of all kinds and states."""
    found = []
    for i in range(count):
        watts = dice.uniform(2500, 6000)
        found.append(
            member(
                str(i),
                watts,
                watts / dice.uniform(15, 35),
                dice.uniform(0.65, 1.05),
                on=dice.random() < 0.6,
                loss=dice.uniform(0, 60),
                idle=dice.uniform(5, 30),
                role=dice.choice([Role.FREE] * 4 + [Role.MUST_RUN, Role.FIXED]),
                fixed_watts=dice.uniform(0, 4000),
            )
        )
    return found


type Ways = list[list[tuple[float, float]]]


def ways_of(target: float, members: list[Member], hold: float) -> tuple[float, Ways]:
    """Return the power for the miners that are not fixed, and what each can do: W and value."""
    found = []
    for one in members:
        if one.role is Role.FIXED:
            target -= one.fixed_watts
            continue
        cost = one.loss / hold
        own = [(x.watts, x.ths - (0 if one.on else cost)) for x in one.levels]
        if one.role is not Role.MUST_RUN:
            own.append((one.idle, -cost if one.on else 0.0))
        found.append(own)
    return target, found


def of_all_ways(target: float, members: list[Member], hold: float) -> float | None:
    """Return the value of the best of all combinations; None if none fits."""
    room, ways = ways_of(target, members, hold)
    return max(
        (
            sum(value for _, value in way)
            for way in product(*ways)
            if sum(watts for watts, _ in way) <= room
        ),
        default=None,
    )


def is_beaten(
    value: float, target: float, members: list[Member], hold: float = 1.0
) -> bool:
    """Return whether any combination is worth more; exact, by branch and bound.

    With a price for each watt the miners are independent: that gives the bound.
    """
    room, ways = ways_of(target, members, hold)

    def rest(price: float, own: list[tuple[float, float]]) -> float:
        return max(value - price * watts for watts, value in own)

    def bound(price: float) -> float:
        return price * room + sum(rest(price, own) for own in ways)

    low, high = 0.0, 1.0
    for _ in range(60):
        third = (high - low) / 3
        if bound(low + third) < bound(high - third):
            high -= third
        else:
            low += third
    ahead = bound(low) - low * room
    states = [(0.0, 0.0)]
    for own in ways:
        ahead -= rest(low, own)
        following = sorted(
            (watts + more, -worth - gain)
            for watts, worth in states
            for more, gain in own
            if watts + more <= room
            and worth + gain + ahead + low * (room - watts - more) > value
        )
        states, best = [], -math.inf
        for watts, negative in following:
            if -negative > best:
                best = -negative
                states.append((watts, best))
    return any(worth > value for _, worth in states)


def test_random_fleets_get_the_best_of_all_ways() -> None:
    """The owner would give away hashes at each target."""
    dice = random.Random(22)
    solved = 0
    while solved < 100:
        members, hold = fleet(dice, dice.randint(1, 5)), dice.choice([0.5, 1.0, 2.0])
        target = sum(x.levels[-1].watts for x in members) * dice.uniform(0.1, 1.1)
        best = of_all_ways(target, members, hold)
        found = allocate(target, members, hold)
        if best is None:
            continue
        solved += 1
        assert is_beaten(best - 0.001, target, members, hold)
        assert not is_beaten(best + 1e-6, target, members, hold)
        assert found.value == pytest.approx(best, rel=1e-9)
        assert found.watts <= target + 1e-6


@pytest.mark.parametrize("count", [12, 20, 100, 500])
def test_large_fleets(count: int) -> None:
    """A farm would stop the event loop, or draw more than it may."""
    dice = random.Random(count)
    members = [x._replace(role=Role.FREE) for x in fleet(dice, count)]
    full = sum(x.levels[-1].watts for x in members)
    spent = []
    for share in (0.2, 0.5, 0.8):
        begin = time.process_time()
        found = allocate(full * share, members)
        spent.append(time.process_time() - begin)
        assert found.watts <= full * share
        assert found.watts >= full * share - 3500
    assert min(spent) < (0.1 if count <= 20 else 0.5)


@pytest.mark.parametrize("count", [20, 100])
def test_close_to_an_exact_solver(count: int) -> None:
    """A farm must not lose more than 0.3 % of what the best of all ways is worth."""
    dice = random.Random(count)
    for share in (0.3, 0.5, 0.7, 0.9, 0.95):
        members = fleet(dice, count)
        target = sum(x.levels[-1].watts for x in members) * share
        found = allocate(target, members)
        assert found.watts <= target
        assert not is_beaten(found.value / 0.997, target, members)


def stopped(name: str, **other) -> Member:
    """Return a miner that a curtailment has stopped: its start costs nothing."""
    return member(name, on=False, loss=0.0, **other)


def test_starts_fit_into_the_target() -> None:
    """Miners that start would tune at full power together, and exceed the target."""
    three = [stopped("a"), stopped("b", ths=180.0), stopped("c", ths=170.0)]
    found = allocate_starts(8000, three)
    assert found.percents == {"a": 90, "b": 70}
    assert found.watts <= 8000
    # A target that allows all of them starts all.
    assert allocate_starts(10500, three).percents == {"a": 100, "b": 100, "c": 100}
    # The next one starts when those are tuned, and make room for it.
    tuned = [x._replace(on=True, role=Role.MUST_RUN) for x in three[:2]]
    found = allocate_starts(8000, [*tuned, three[2]])
    assert found.percents.keys() == {"a", "b", "c"}
    lowered = 35 * (found.percents["a"] + found.percents["b"])
    assert lowered + 3500 <= 8000
    assert found.watts == lowered + 3500
    # Where there is too little room for a start, those that run use all of it.
    found = allocate_starts(5500, [*tuned, three[2]])
    assert found.percents.keys() == {"a", "b"}
    assert 5150 < found.watts <= 5500


def test_one_start_where_nothing_would_run() -> None:
    """One miner below its full power would never start again after a stop."""
    found = allocate_starts(2000, [stopped("a"), stopped("b", ths=180.0)])
    assert found.percents == {"a": 50}
    assert allocate_starts(1000, [stopped("a")]).percents == {"a": 0}


def test_random_fleets_start_within_the_target() -> None:
    """A farm would draw more than it may whenever some of its miners start."""
    dice = random.Random(7)
    for _ in range(200):
        members = fleet(dice, dice.randint(2, 12))
        target = sum(x.levels[-1].watts for x in members) * dice.uniform(0.4, 1.1)
        least = sum(
            {Role.FIXED: x.fixed_watts, Role.MUST_RUN: x.levels[0].watts}.get(
                x.role, x.idle
            )
            for x in members
        )
        if least > target:
            continue
        percents = allocate_starts(target, members).percents
        watts = 0.0
        for one in members:
            percent = percents.get(one.name, 0.0)
            level = {x.percent: x.watts for x in one.levels}.get(percent, one.idle)
            is_start = percent and not one.on
            watts += one.levels[-1].watts if is_start else level
            if one.role is Role.FIXED:
                watts += one.fixed_watts - one.idle
        runs = any(x.on and percents.get(x.name, 1.0) for x in members)
        assert watts <= target + 1e-6 or not runs


def test_a_failure_commands_few_miners_again() -> None:
    """Each miner that fails would cost all others a second command for the same target."""
    one, two, three = member("a"), member("b", ths=185.0), member("c", ths=150.0)
    first = allocate(9000, [one, two, three]).percents
    assert first == {"a": 100, "b": 100, "c": 50}
    # The one that was to be lowered stays at full power: those without a command make up for it.
    failed = three._replace(role=Role.FIXED, fixed_watts=3500.0)
    found = allocate_rest(9000, [one, two, failed], {"c": 50})
    assert found.watts <= 9000
    # Where one of them got a command already, the other is lowered.
    found = allocate_rest(9000, [one, two, failed], {"b": 90, "c": 50})
    assert found.percents == {"a": 60}
    assert found.watts == 2100 + 3150 + 3500
    # Those that got theirs are lowered if the rest does not suffice; none is raised.
    found = allocate_rest(7000, [one, two, failed], {"a": 40, "b": 70, "c": 50})
    assert found.percents == {"a": 40, "b": 60}
    # One that was stopped stays stopped.
    found = allocate_rest(7000, [one, two, failed], {"a": 0, "b": 90, "c": 50})
    assert found.percents == {}


@pytest.mark.parametrize("target", [0.0, -500.0, 29.0])
def test_a_target_that_cannot_be_kept(target: float) -> None:
    """The least power is what is left; a miner in its shortest run is lowered, not stopped."""
    both = [member("a"), member("b", role=Role.MUST_RUN)]
    found = allocate(target, both)
    assert found.percents == {"a": 0, "b": 40}


def test_nothing_to_decide() -> None:
    """A group whose miners are all fixed, or that is empty, draws what it draws."""
    fixed = [member("a", role=Role.FIXED, fixed_watts=3000.0)]
    assert allocate(5000, fixed) == Allocation({}, 3000.0, 0, 0)
    assert allocate(5000, []) == Allocation({}, 0, 0, 0)


def test_a_miner_that_is_gone_leaves_its_power_to_the_other() -> None:
    """With one of two miners offline the target would be missed, or exceeded."""
    gone = member("b", role=Role.FIXED, fixed_watts=3500.0)
    found = allocate(6000, [member("a"), gone])
    assert found.percents == {"a": 70}
    assert found.watts == 2450 + 3500


def test_a_miner_without_levels() -> None:
    """A miner whose curve is unknown must not break the others."""
    found = allocate(5000, [member("a"), member("b", levels=(), on=False)])
    assert found.percents == {"a": 100, "b": 0}


def test_a_start_must_pay() -> None:
    """A cloud would start and stop miners all day."""
    both = [member("a"), member("b", on=False, loss=126.0)]
    assert allocate(4400, both).percents["b"] == 0
    assert allocate(4400, both, hold=24.0).percents["b"] > 0


def test_the_worth_of_a_hash_counts() -> None:
    """Of two pools the one that pays more gets the power."""
    both = [member("a", loss=0.0), member("b", loss=0.0, worth=2.0)]
    assert allocate(3530, both).percents == {"a": 0, "b": 100}


def test_the_order_of_doing_it() -> None:
    """The target would be exceeded while the first miners start."""
    members = [
        member("up"),
        member("down"),
        member("stop"),
        member("good", on=False, ths=230.0),
        member("bad", on=False),
        member("same"),
        member("fixed", role=Role.FIXED),
    ]
    now = {"up": 40.0, "down": 100.0, "stop": 60.0, "same": 50.0, "fixed": 70.0}
    wanted = {"up": 70, "down": 50, "stop": 0, "bad": 100, "good": 100, "same": 50}
    found = moves(members, now, Allocation(wanted, 0, 0, 0))
    assert found.down == [Move("down", 50), Move("stop", 0)]
    assert found.up == [Move("up", 70)]
    assert found.start == [Move("good", 100), Move("bad", 100)]
    assert found.same == [Move("same", 50)]


@pytest.mark.parametrize(
    ("target", "watts", "expected", "changed", "since", "due"),
    [
        pytest.param(9900, 9900, 9900, False, 9999, False, id="hardly moved"),
        pytest.param(11000, 9900, 9900, False, 299, False, id="up, too soon"),
        pytest.param(11000, 9900, 9900, False, 300, True, id="up"),
        pytest.param(9000, 9900, 9900, False, 0, True, id="down, immediately"),
        pytest.param(10000, 12000, 9900, False, 0, True, id="one draws more"),
        pytest.param(10000, 12000, 12000, False, 0, False, id="least power above it"),
        pytest.param(10000, 12000, 12000, True, 0, True, id="one can be lowered now"),
        pytest.param(10000, 6000, 9900, True, 10, False, id="one is gone, too soon"),
        pytest.param(10000, 6000, 9900, True, 300, True, id="one is gone"),
        pytest.param(0, 30, 9900, False, 0, True, id="to nothing"),
    ],
)
def test_when_to_allocate(
    target: float,
    watts: float,
    expected: float,
    changed: bool,
    since: float,
    due: bool,
) -> None:
    """Too often it swings or never rests, too seldom it exceeds the target."""
    found = is_due(
        10000, target, watts, expected=expected, changed=changed, since=since
    )
    assert found is due


def test_the_loss_of_a_start() -> None:
    """What a start costs is what it would have hashed at full power."""
    assert start_loss(Start(1 / 3, 2100, 56.7), Level(100, 3500, 189)) == pytest.approx(
        44.1
    )
    assert start_loss(Start(1 / 3, 2100, 200), Level(100, 3500, 189)) == 0

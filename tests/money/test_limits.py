"""The price limits: what the miner should do at a price, and why."""

from typing import Any

import pytest

from custom_components.whatsminer.money.best import Timing
from custom_components.whatsminer.money.limits import Last, Rule, Unknown

LIMITS: dict[str, Any] = {"stop_above": 0.3, "resume_below": 0.25}
MIDDLE = LIMITS | {"middle_percent": 50, "middle_above": 0.2}
EVEN = {"stop_above": None, "hysteresis": 0.1}
FULL, HALF, STOPPED = (
    Last(100, on=True, age=9),
    Last(50, on=True, age=9),
    Last(0, on=False, age=9),
)


@pytest.mark.parametrize(
    ("rule", "last", "price", "percent"),
    [
        (LIMITS, FULL, 0.3, 100),
        (LIMITS, FULL, 0.301, 0),
        (LIMITS, STOPPED, 0.25, 0),
        (LIMITS, STOPPED, 0.249, 100),
        (LIMITS, FULL, -0.1, 100),
        (LIMITS, Last(None, on=True, age=9), 0.28, 100),
        # A curtailment stopped it: what was wanted before counts between the limits.
        (LIMITS, Last(100, on=False, age=9), 0.28, 100),
        ({"stop_above": 0.3}, STOPPED, 0.286, 0),
        ({"stop_above": 0.3}, STOPPED, 0.284, 100),
        ({"stop_above": -0.1}, STOPPED, -0.104, 0),
        ({"stop_above": -0.1}, STOPPED, -0.106, 100),
        (MIDDLE, FULL, 0.2, 100),
        (MIDDLE, FULL, 0.22, 50),
        (MIDDLE, HALF, 0.16, 50),
        (MIDDLE, HALF, 0.14, 100),
        (MIDDLE, HALF, 0.31, 0),
        (MIDDLE, STOPPED, 0.24, 50),
        (MIDDLE, STOPPED, 0.19, 100),
    ],
)
def test_the_price(
    rule: dict[str, Any], last: Last, price: float, percent: float
) -> None:
    """The miner would run while it is expensive, or switch with the noise of the price."""
    assert Rule(**rule).decide(last, price).percent == percent


@pytest.mark.parametrize(
    ("last", "price", "percent"),
    [(FULL, 0.112, 100), (FULL, 0.113, 0), (STOPPED, 0.102, 0), (STOPPED, 0.1, 100)],
)
def test_the_break_even(last: Last, price: float, percent: float) -> None:
    """Mining at a loss costs money, whatever the price is in absolute terms."""
    assert Rule(**EVEN).decide(last, price, break_even=0.1125).percent == percent


@pytest.mark.parametrize(
    ("last", "price", "percent"),
    [
        (Last(100, on=True, age=0.9), 0.9, 100),
        (Last(100, on=True, age=1.0), 0.9, 0),
        (Last(0, on=False, age=0.4), 0.1, 0),
        (Last(0, on=False, age=0.5), 0.1, 100),
        # Its stop is not carried out yet, so there is none to wait for.
        (Last(0, on=True, age=0.1), 0.1, 100),
        (Last(0, on=True, age=0.1), 0.9, 0),
    ],
)
def test_the_shortest_run_and_stop(last: Last, price: float, percent: float) -> None:
    """A price that swings would switch the miner all the time."""
    verdict = Rule(**LIMITS).decide(last, price, timing=Timing(1.0, 0.5))
    assert verdict.percent == percent


@pytest.mark.parametrize("last", [FULL, STOPPED])
@pytest.mark.parametrize(
    ("unknown", "percent"), [("resume", 100), ("stop", 0), ("leave", None)]
)
def test_an_unknown_price(last: Last, unknown: str, percent: float | None) -> None:
    """The miner would change as soon as a sensor is silent, or never again."""
    rule = Rule(**LIMITS, wait=1.0, unknown=Unknown(unknown))
    assert rule.decide(last, None, silent=0.9).percent == last.percent
    wanted = last.percent if percent is None else percent
    assert rule.decide(last, None, silent=1.0).percent == wanted
    even = Rule(**EVEN, wait=1.0, unknown=Unknown(unknown))
    assert even.decide(last, 0.1, break_even=None, silent=1.0).percent == wanted


def test_the_reason() -> None:
    """The owner would not find out why the miner stands or runs."""
    rule = Rule(**LIMITS)
    for last, price, why in (
        (FULL, 0.4, "price"),
        (STOPPED, 0.26, "price"),
        (FULL, None, "price_unknown"),
        (Last(100, on=True, age=0), 0.4, "minimum_time"),
        (Last(0, on=False, age=0), 0.1, "minimum_time"),
    ):
        assert rule.decide(last, price).why == why, (last, price)


def test_the_options() -> None:
    """A limit that the user has set would not count, or one that is not set would."""
    assert Rule.of({}) is None
    assert Rule.of({"limit_resume_below": 0.2, "limit_break_even": False}) is None
    rule = Rule.of({"limit_stop_above": 0.3, "limit_break_even": True})
    assert rule == Rule(stop_above=None)
    rule = Rule.of(
        {
            "limit_stop_above": 0.3,
            "limit_resume_below": 0.25,
            "limit_hysteresis": 10,
            "limit_middle_percent": 50,
            "limit_middle_above": 0.2,
            "limit_wait": 90,
            "limit_oldest": 2,
            "limit_unknown": "stop",
        }
    )
    more = {"hysteresis": 0.1, "wait": 1.5, "oldest": 2, "unknown": Unknown.STOP}
    assert rule == Rule(**MIDDLE, **more)
    assert rule.is_possible
    assert not Rule(stop_above=0.3, resume_below=0.4).is_possible
    assert not Rule(**(MIDDLE | {"middle_above": 0.3})).is_possible

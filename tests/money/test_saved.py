"""What was saved: the worked example of the documentation, and what may not count."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
import re

from hypothesis import given, strategies as st
import pytest

from custom_components.whatsminer.api import (
    Activity,
    Dialect,
    MinerInfo,
    MinerState,
    Status,
    Summary,
)
from custom_components.whatsminer.money.best import Heat, Rates
from custom_components.whatsminer.money.curve import Level
from custom_components.whatsminer.money.saved import (
    against_always_on,
    against_limit,
    what_happened,
)

PAGE = Path(__file__).parents[2] / "docs" / "economics.md"
FULL = Level(100, 3500, 189)
HASHPRICE = 0.05
IDLE = 15.0


def rows() -> list[list[str]]:
    """Return the rows of the worked example."""
    section = PAGE.read_text().split("### A worked example")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_worked_example() -> None:
    """The page would explain a method that the sensors do not use."""
    *hours, total = rows()
    sums = [0.0, 0.0, 0.0]
    for count, price, _, watts, ths, *margins in hours:
        rates = Rates(HASHPRICE, float(price), IDLE)
        percent = 100.0 if watts == "3500" else 0.0
        happened = Level(percent, float(watts), float(ths))
        margin = rates.revenue(happened) - rates.cost(happened.watts)
        found = [
            float(count) * one
            for one in (
                margin,
                margin - against_always_on(happened, FULL, rates),
                margin - against_limit(happened, FULL, rates),
            )
        ]
        assert [f"{one:.3f}" for one in found] == margins
        sums = [one + more for one, more in zip(sums, found, strict=True)]
    assert [f"{one:.3f}" for one in sums] == total[-3:]
    assert float(total[0]) == sum(float(row[0]) for row in hours)
    text = " ".join(PAGE.read_text().split())
    said = re.search(r"day: ([0-9.]+) EUR against always on, ([0-9.]+) EUR", text)
    assert said
    saved = sums[0] - sums[1], sums[0] - sums[2]
    assert said.groups() == tuple(f"{one:.3f}" for one in saved)


@given(
    price=st.floats(-0.5, 2),
    hashprice=st.floats(0, 0.2),
    share=st.floats(0, 1),
    watts=st.floats(0, 3500),
    ths=st.floats(0, 189),
)
def test_always_on_never_beats_the_limit(
    price: float, hashprice: float, share: float, watts: float, ths: float
) -> None:
    """The better of two rules would be the one that the owner is told to be worse."""
    rates = Rates(hashprice, price, IDLE, Heat(0.1, share))
    happened = Level(0, watts, ths)
    most = against_always_on(happened, FULL, rates)
    least = against_limit(happened, FULL, rates)
    # A stopped miner draws its idle power, which counts at a negative price.
    slack = IDLE / 1000 * abs(rates.effective_price) + 1e-9
    assert least <= most + slack


@pytest.mark.parametrize("ths", [150.0, 189.0, 200.0])
def test_weather_saves_nothing(ths: float) -> None:
    """A cold day or a dead board would be booked as a saving of the plan."""
    rates = Rates(HASHPRICE, 0.05, IDLE)
    happened = Level(100, 3500 * ths / 189, ths)
    assert against_always_on(happened, FULL, rates) == 0
    assert against_limit(happened, FULL, rates) == 0


STATE = MinerState(
    read_at=datetime(2026, 11, 29, tzinfo=UTC),
    info=MinerInfo(dialect=Dialect.V2_2),
    activity=Activity.MINING,
    summary=Summary(power=2100, hashrate=125.6),
    status=Status(power_percent=60),
)


@pytest.mark.parametrize(
    ("state", "happened"),
    [
        (STATE, Level(60, 2100, 125.6)),
        # A start is no full power, though no percent is set.
        (replace(STATE, activity=Activity.TUNING), Level(0, 2100, 125.6)),
        (replace(STATE, summary=None), None),
        (replace(STATE, summary=Summary(power=2100)), None),
        (
            replace(STATE, activity=Activity.STOPPED, summary=None),
            Level(0, IDLE, 0),
        ),
        (
            replace(STATE, activity=Activity.STOPPED, summary=Summary(power=22)),
            Level(0, 22, 0),
        ),
    ],
)
def test_what_happened(state: MinerState, happened: Level | None) -> None:
    """An answer that was lost would count as a stop, or a start as full power."""
    assert what_happened(state, None, IDLE) == happened

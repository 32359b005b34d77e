"""The level that earns most, and calm when a price trembles."""

from itertools import pairwise
import random

import pytest

from custom_components.whatsminer.money.best import (
    BreakEven,
    Following,
    Heat,
    Rates,
    best_level,
    break_even,
    extra_cost_of_heat,
    follow,
    fuel_heat,
    heat_pump_heat,
    start_band,
)
from custom_components.whatsminer.money.curve import Level, Start

START = Start(1 / 3, 2100, 56.7)


def law(k: float) -> tuple[Level, ...]:
    """Return the levels of a power law."""
    return tuple(Level(p, 35.0 * p, 189 * (p / 100) ** k) for p in range(40, 101, 10))


CURVES = {f"k {k}": law(k) for k in (0.7, 0.8, 0.9, 1.0)}
L8 = CURVES["k 0.8"]


@pytest.mark.parametrize(
    ("rates", "extra"),
    [
        # 3.5 kW hash 189 TH/s: at 0.05 that is 0.1125 per kWh.
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.1, 1.0)), 0.0875, id="heat of gas"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.1, 0.5)), 0.275, id="half is lost"),
        pytest.param(Rates(0.05, 0.1, 15, Heat(0.1, 1.0)), -0.1125, id="it earns"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.3, 1.0)), -0.1125, id="resistance"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.1)), None, id="no share"),
        pytest.param(Rates(0.05, 0.3, 15), None, id="no heat"),
    ],
)
def test_what_comfort_costs(rates: Rates, extra: float | None) -> None:
    """A user who limits what comfort may cost would pay more, or be cold for nothing."""
    assert extra_cost_of_heat(L8[-1], rates) == (
        None if extra is None else pytest.approx(extra)
    )


@pytest.mark.parametrize("curve", CURVES)
def test_a_gain_is_never_below_the_threshold(curve: str) -> None:
    """Stop and full power are among the choices, so nothing can be lost against them."""
    levels = CURVES[curve]
    for i in range(-20, 300):
        rates = Rates(0.05, i / 1000, 15)
        best = best_level(levels, rates)
        gain = rates.gain(best) if best else 0.0
        assert gain >= max(0.0, rates.gain(levels[-1])) - 1e-12


@pytest.mark.parametrize(
    ("rates", "percent"),
    [
        pytest.param(Rates(0.0, 0.1, 15), None, id="nothing is earned"),
        pytest.param(Rates(0.0, 0.0, 15), None, id="nothing is earned or paid"),
        pytest.param(Rates(0.0, -0.01, 15), 100, id="the power is paid for"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.3, 1)), 100, id="all heat is used"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.3)), None, id="share unknown"),
        pytest.param(Rates(0.05, 0.3, 15, Heat(0.3, 1, 0.0)), None, id="no demand"),
    ],
)
def test_edges(rates: Rates, percent: float | None) -> None:
    """Odd prices must lead to what a person would do."""
    best = best_level(L8, rates)
    assert (best and best.percent) == percent


def test_the_lower_of_equal_levels() -> None:
    """On a flat curve at its break-even the noise of rounding would choose."""
    flat = law(1.0)
    best = best_level(flat, Rates(0.05, 0.05 / 24 * 189 / 3.5, 15))
    assert best == flat[0]


@pytest.mark.parametrize("curve", CURVES)
def test_the_three_prices_explain_the_level(curve: str) -> None:
    """The sensors would contradict what the miner does."""
    levels = CURVES[curve]
    found = break_even(levels, 0.05, 15)
    assert found
    assert found.average == pytest.approx(0.05 / 24 * 189 / 3.5)
    for price, percent in (
        (found.full_below - 1e-6, 100),
        (found.stop_above + 1e-6, None),
    ):
        best = best_level(levels, Rates(0.05, price, 15))
        assert (best and best.percent) == percent
    between = best_level(levels, Rates(0.05, found.stop_above - 1e-6, 15))
    assert between


def test_one_level_only() -> None:
    """A miner that restarts for every percent has stop and full power."""
    full = L8[-1:]
    found = break_even(full, 0.05, 0)
    price = 0.05 / 24 * 189 / 3.5
    assert found == BreakEven(*[pytest.approx(price)] * 3)
    assert break_even((), 0.05, 15) is None
    assert best_level((), Rates(0.05, 0.1, 15)) is None


def test_heat_that_cannot_be() -> None:
    """A typing error in the form would make electricity free."""
    for efficiency in (0, -1, 1.21):
        with pytest.raises(ValueError, match="efficiency"):
            fuel_heat(0.1, efficiency)
    for cop in (0.9, 8.1):
        with pytest.raises(ValueError, match="COP"):
            heat_pump_heat(0.1, cop)


# Following


def commands(
    base: float, noise: float, percent: float, seed: int, levels=L8
) -> tuple[int, int]:
    """Return the commands and the starts of a day with a decision each minute."""
    dice = random.Random(seed)
    now, shown = Following(percent, 5.0), [percent]
    for _ in range(24 * 60):
        rates = Rates(0.05, base * (1 + dice.gauss(0, noise)), 15)
        percent = follow(now, levels, rates, START)
        now = now.after(percent, 1 / 60)
        shown.append(percent)
    changes = sum(a != b for a, b in pairwise(shown))
    return changes, sum(not a and b > 0 for a, b in pairwise(shown))


SWITCHING = [
    0.05 / 24 * (b.ths - a.ths) / (b.watts - a.watts) * 1000 for a, b in pairwise(L8)
]


@pytest.mark.parametrize("price", [*SWITCHING, 0.136582])
@pytest.mark.parametrize("percent", [100.0, 40.0, 0.0])
def test_a_trembling_price_changes_nothing(price: float, percent: float) -> None:
    """Without dead bands it was 725 commands a day."""
    for seed in range(3):
        assert commands(price, 0.005, percent, seed)[0] <= 2


def test_the_shortest_times() -> None:
    """A miner that is stopped and started all the time wears and earns nothing."""
    low, high = Rates(0.05, 0.05, 15), Rates(0.05, 0.3, 15)
    assert follow(Following(100, 0.9), L8, high, START) == 40
    assert follow(Following(100, 1.0), L8, high, START) == 0
    assert follow(Following(0, 0.4), L8, low, START) == 0
    assert follow(Following(0, 0.5), L8, low, START) == 100


def test_no_two_percents_within_a_quarter_of_an_hour() -> None:
    """The power takes minutes to follow a percent."""
    rates = Rates(0.05, 0.12, 15)
    assert follow(Following(100, 5, 0.2), L8, rates, START) == 100
    assert follow(Following(100, 5, 0.25), L8, rates, START) == 40
    now = Following(0, 5).after(100, 0.1)
    assert now == Following(100, 0.1, 0.1)


def test_without_a_curve_it_stays() -> None:
    """Nothing is known yet: nothing is commanded."""
    assert follow(Following(100, 5), (), Rates(0.05, 0.5, 15), START) == 100
    assert follow(Following(55, 5), L8, Rates(0.05, 0.05, 15), START) == 100


def test_a_start_that_costs_nothing() -> None:
    """A dead band below zero would start a miner at a loss."""
    good = Start(1 / 3, 700, 100)
    assert start_band(L8[-1], good, 0.05) == 0
    stopped = Following(0, 5)
    assert follow(stopped, L8, Rates(0.0, 0.0, 15), good) == 0

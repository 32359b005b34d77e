"""The level that earns most at a price, and how to follow a price calmly. Pure.

Money per kWh for electricity and heat, money per TH/s and day for hashes, W, TH/s, hours.
A percent of 0 is stop.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

from .curve import Level, Start

EPSILON = 1e-12
"""Gains closer than this are equal: they differ by rounding only."""
DEAD_BAND = 0.005
"""Of the full revenue: what another percent must earn more."""
PAYBACK = 5.0
"""Hours in which a start is to be paid back."""
MIN_STEADY = 0.25
"""Hours between two percents."""

EFFICIENCY = (0.0, 1.2)
COP = (1.0, 8.0)


class Heat(NamedTuple):
    """What the heat of the miner is worth."""

    value: float
    """Money per kWh of heat."""
    share: float = 0.0
    """The part of the heat that arrives and is wanted, 0 to 1; unknown counts as 0."""
    demand_kw: float | None = None
    """The demand, where it is known; None is no bound."""


class Rates(NamedTuple):
    """What counts for the decision now."""

    hashprice: float
    price: float
    idle: float
    """What the miner draws when it is stopped (W)."""
    heat: Heat | None = None

    @property
    def effective_price(self) -> float:
        """The price less what the heat is worth."""
        return self.price - (self.heat.share * self.heat.value if self.heat else 0.0)

    def revenue(self, level: Level) -> float:
        """Return what a level earns by its hashes, per hour."""
        return level.ths * self.hashprice / 24

    def cost(self, watts: float) -> float:
        """Return what a power costs per hour, less what its heat is worth."""
        heat = self.heat
        if heat is None or heat.demand_kw is None:
            return watts / 1000 * self.effective_price
        used = min(heat.share * watts / 1000, heat.demand_kw)
        return watts / 1000 * self.price - heat.value * used

    def gain(self, level: Level) -> float:
        """Return what a level earns over stop, per hour."""
        return self.revenue(level) - self.cost(level.watts) + self.cost(self.idle)


class Timing(NamedTuple):
    """The shortest run and the shortest stop (h)."""

    min_on: float = 1.0
    min_off: float = 0.5


TIMING = Timing()


class BreakEven(NamedTuple):
    """The effective prices that explain a decision, per kWh."""

    full_below: float
    """Full power earns most below this."""
    average: float
    """Revenue and cost of full power are equal here."""
    stop_above: float
    """No level earns anything above this."""


def fuel_heat(price: float, efficiency: float) -> float:
    """Return the value of a kWh of heat from a fuel; ValueError for an impossible efficiency."""
    if not EFFICIENCY[0] < efficiency <= EFFICIENCY[1]:
        raise ValueError("the efficiency of a boiler is above 0 and at most 1.2")
    return price / efficiency


def heat_pump_heat(price: float, cop: float) -> float:
    """Return the value of a kWh of heat from electricity; ValueError for an impossible COP."""
    if not COP[0] <= cop <= COP[1]:
        raise ValueError("the COP of a heat pump is 1 to 8")
    return price / cop


def extra_cost_of_heat(level: Level, rates: Rates) -> float | None:
    """Return what a kWh of heat costs more than from the source that it replaces.

    None where heat is worth nothing, so that there is nothing to compare with.
    """
    heat, kw = rates.heat, level.watts / 1000
    if heat is None or heat.share <= 0:
        return None
    return (rates.price - rates.revenue(level) / kw) / heat.share - heat.value


def best_level(levels: Sequence[Level], rates: Rates) -> Level | None:
    """Return the level that earns most, the lower of equal ones; None to stop.

    `levels` ascend, and stop is not among them.
    """
    best, most = None, EPSILON
    for level in levels:
        gain = rates.gain(level)
        if gain > most + (EPSILON if best else 0.0):
            best, most = level, gain
    return best


def break_even(
    levels: Sequence[Level], hashprice: float, idle: float
) -> BreakEven | None:
    """Return the prices between which the levels change; None without a level."""
    if not levels:
        return None
    full = levels[-1]
    lower = [Level(0.0, idle, 0.0), *levels[:-1]]
    earned = hashprice / 24 * 1000

    def price(one: Level, other: Level) -> float:
        more = one.watts - other.watts
        return earned * (one.ths - other.ths) / more if more > 0 else math.inf

    return BreakEven(
        full_below=min(price(full, level) for level in lower),
        average=earned * full.ths / full.watts,
        stop_above=max(price(level, lower[0]) for level in levels),
    )


def start_band(full: Level, start: Start, hashprice: float) -> float:
    """Return what a level must earn per hour, so that a start is paid back in time."""
    lost = start.hours * (start.watts / full.watts - start.ths / full.ths)
    return max(0.0, lost) * full.ths * hashprice / 24 / PAYBACK


class Following(NamedTuple):
    """What the miner does, and since when."""

    percent: float
    """0 is stop."""
    age: float
    """Hours since it was started or stopped."""
    steady: float = math.inf
    """Hours since its percent was set."""

    def after(self, percent: float, hours: float) -> Following:
        """Return the same, so many hours after a decision."""
        switched = bool(self.percent) != bool(percent)
        age = 0.0 if switched else self.age
        steady = 0.0 if percent != self.percent else self.steady
        return Following(percent, age + hours, steady + hours)


def follow(
    now: Following,
    levels: Sequence[Level],
    rates: Rates,
    start: Start,
    timing: Timing = TIMING,
) -> float:
    """Return the percent to run at, with dead bands: noise of the price changes nothing.

    Without levels it stays. Decide at each new price, else every 15 minutes.
    """
    if not levels:
        return now.percent
    gains = [rates.gain(level) for level in levels]
    most = max(gains)
    best = levels[gains.index(most)]
    band = start_band(levels[-1], start, rates.hashprice)
    if not now.percent:
        ready = now.age >= timing.min_off - 1e-9 and most > max(band, EPSILON)
        return best.percent if ready else 0.0
    if most < -band - EPSILON and now.age >= timing.min_on - 1e-9:
        return 0.0
    here = next((i for i, x in enumerate(levels) if x.percent == now.percent), None)
    if here is None:
        return best.percent
    more = most - gains[here]
    full = rates.revenue(levels[-1])
    if more <= DEAD_BAND * full + EPSILON or now.steady < MIN_STEADY - 1e-9:
        return now.percent
    return best.percent

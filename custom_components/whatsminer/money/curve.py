"""The curve of a miner: power and hashrate at each percent of its tuned power.

Percent of the tuned power, W, TH/s, J/TH and hours everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math
from typing import NamedTuple

FULL = 100.0
WINDOW_NOISE = 0.01
"""Of the hashrate of one window; it shrinks with the number of windows."""
BIN_NOISE = 0.004
"""Of a bin, however many windows it has: weather and tuning."""
SHAPE_SPREAD = 0.15
"""How far the exponents of real miners are from the assumed ones."""


class Level(NamedTuple):
    """What a miner does at one percent of its tuned power."""

    percent: float
    watts: float
    ths: float


class Start(NamedTuple):
    """A start, from stopped to tuned: how long it takes, and the means while it does."""

    hours: float
    watts: float
    ths: float


class Shape(NamedTuple):
    """The exponents of `TH/s = exp(a) u^(k + c ln u)`, with u the share of the tuned power."""

    k: float = 0.85
    c: float = 0.0


ASSUMED = Shape()
"""The shape of a miner of which only one level was seen."""


@dataclass(slots=True)
class Bin:
    """The mean of the windows near one percent; it forgets what is more than `MEMORY` windows old."""

    MEMORY = 48

    n: int = 0
    percent: float = 0.0
    watts: float = 0.0
    ths: float = 0.0
    at: float = 0.0
    """When the last window began (s)."""

    def add(self, percent: float, watts: float, ths: float, at: float) -> None:
        """Take in one window."""
        self.n = min(self.n + 1, self.MEMORY)
        self.percent += (percent - self.percent) / self.n
        self.watts += (watts - self.watts) / self.n
        self.ths += (ths - self.ths) / self.n
        self.at = at


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve."""

    a: float
    shape: Shape
    ratios: tuple[tuple[float, float], ...]
    """(percent, W per percent) of the bins, ascending."""

    def ths(self, percent: float) -> float:
        """Return the hashrate at a percent (TH/s)."""
        u = math.log(percent / FULL)
        return math.exp(self.a + self.shape.k * u + self.shape.c * u * u)

    def watts(self, percent: float) -> float:
        """Return the power at a percent: W per percent straight between the bins."""
        left = self.ratios[0]
        for right in self.ratios:
            if percent <= right[0]:
                break
            left = right
        else:
            return percent * left[1]
        width = right[0] - left[0]
        share = (percent - left[0]) / width if width > 0 else 1.0
        return percent * (left[1] + (right[1] - left[1]) * share)

    def levels(self, percents: Iterable[float]) -> tuple[Level, ...]:
        """Return the levels at these percents, without those where a lower one hashes more."""
        levels: list[Level] = []
        for percent in sorted(percents):
            level = Level(percent, self.watts(percent), self.ths(percent))
            if not levels or level.ths >= levels[-1].ths:
                levels.append(level)
        return tuple(levels)


def fit(bins: Iterable[Bin], shape: Shape = ASSUMED) -> Curve | None:
    """Return the curve through these bins, drawn towards an assumed shape; None without a bin."""
    known = sorted(bins, key=lambda item: item.percent)
    if not known:
        return None
    firm = 1 / SHAPE_SPREAD**2
    # The normal equations of a + k u + c u^2 = ln(TH/s): symmetric, with the right side last.
    rows = [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, firm, 0.0, firm * shape.k],
        [0.0, 0.0, firm, firm * shape.c],
    ]
    for item in known:
        weight = 1 / (WINDOW_NOISE**2 / item.n + BIN_NOISE**2)
        u = math.log(item.percent / FULL)
        terms = (1.0, u, u * u, math.log(item.ths))
        for row, term in zip(rows, terms, strict=False):
            for column, other in enumerate(terms):
                row[column] += weight * term * other
    a, k, c = _solve(rows)
    ratios = tuple((item.percent, item.watts / item.percent) for item in known)
    return Curve(a, Shape(k, c), ratios)


def _solve(rows: list[list[float]]) -> list[float]:
    """Return the unknowns of equations that are positive definite, by elimination."""
    size = len(rows)
    for i, pivot in enumerate(rows):
        for row in rows[i + 1 :]:
            factor = row[i] / pivot[i]
            for column in range(i, size + 1):
                row[column] -= factor * pivot[column]
    found = [0.0] * size
    for i in reversed(range(size)):
        rest = sum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - rest) / rows[i][i]
    return found


def sweet_spot(levels: Sequence[Level]) -> Level | None:
    """Return the level with the least J/TH."""
    mining = [level for level in levels if level.ths > 0]
    return min(mining, key=lambda level: level.watts / level.ths, default=None)

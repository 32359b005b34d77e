"""Divide heat among the miners of a group, so that they behave as one heater. Pure.

Powers in W, percents of the tuned power of one miner; a percent of 0 is stop.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

SPARE = 0.1
"""Of its power: for less than this part a miner is not started, since a start draws much more at first."""


class Unit(NamedTuple):
    """One miner of a heater."""

    name: str
    watts: float
    """At full power."""
    lowest: float
    """The lowest percent it runs at; 100 if it follows no percent."""
    highest: float = 100.0
    """The percent that its curtailments allow."""
    on: bool = False
    tunes: bool = False
    """Whether it is on, and draws its full power whatever its percent."""
    may_switch: bool = True
    """Whether its minimum run or stop is over."""

    @property
    def is_usable(self) -> bool:
        """Return whether it may run."""
        return self.highest >= self.lowest

    def at(self, percent: float) -> float:
        """Return the nearest percent that it can run at."""
        return min(max(percent, self.lowest), self.highest)


def share(watts: float, units: Sequence[Unit]) -> dict[str, float]:
    """Return a percent for each usable miner; together they draw a power as exactly as they can.

    As few as possible run, all at the same percent. The next one of `units` starts where full
    power is not enough by far. The last one stops where the lowest level is too much, if the rest
    is enough; one that tunes draws more for some minutes, which no restart of another is worth.
    At least one runs.
    """
    usable = [unit for unit in units if unit.is_usable]
    running = _running(watts, usable)
    tuned = [unit for unit in running if not _draws_full(unit)]
    level = _level(watts, running)
    others = sum(unit.watts for unit in running if _draws_full(unit))
    tuned_level = _level(watts - others, tuned)
    return {unit.name: 0.0 for unit in usable} | {
        unit.name: float(unit.at(level if _draws_full(unit) else tuned_level))
        for unit in running
    }


def lowest_watts(units: Sequence[Unit]) -> float:
    """Return the least power at which a heater runs: that of the miner that stops last."""
    usable = [unit for unit in units if unit.is_usable]
    last = ([unit for unit in usable if unit.on] or usable)[:1]
    return sum(unit.watts * unit.lowest / 100 for unit in last)


def _running(watts: float, usable: Sequence[Unit]) -> list[Unit]:
    """Return the miners that should run."""
    running = [unit for unit in usable if unit.on]
    is_start = not running
    for unit in usable:
        if running and _most(running) + SPARE * unit.watts >= watts:
            break
        if not unit.on and (unit.may_switch or is_start):
            running.append(unit)
    for unit in reversed(usable):
        rest = [other for other in running if other is not unit]
        may_stop = unit.on and unit.may_switch and rest
        if may_stop and _least(running) > watts and _most(rest) >= watts:
            running = rest
    return running


def _draws_full(unit: Unit) -> bool:
    """Return whether a miner that should run follows no percent now: it tunes, or it starts."""
    return unit.tunes or not unit.on


def _most(units: Iterable[Unit]) -> float:
    return sum(unit.watts * unit.highest / 100 for unit in units)


def _least(units: Iterable[Unit]) -> float:
    return sum(unit.watts * unit.lowest / 100 for unit in units)


def _level(watts: float, units: Sequence[Unit]) -> int:
    """Return the percent at which miners draw a power together as exactly as they can."""

    def error(percent: int) -> float:
        drawn = sum(unit.watts * unit.at(percent) / 100 for unit in units)
        return abs(drawn - watts)

    return min(range(1, 101), key=error)

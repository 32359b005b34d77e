"""Stop above one price, run below another: the rule of the source *Price limits*. Pure.

Money per kWh, hours. A percent of 0 is stop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
import math
from typing import Any, NamedTuple, Self

from ..const import (
    CONF_LIMIT_BREAK_EVEN,
    CONF_LIMIT_HYSTERESIS,
    CONF_LIMIT_MIDDLE_ABOVE,
    CONF_LIMIT_MIDDLE_PERCENT,
    CONF_LIMIT_OLDEST,
    CONF_LIMIT_RESUME_BELOW,
    CONF_LIMIT_STOP_ABOVE,
    CONF_LIMIT_UNKNOWN,
    CONF_LIMIT_WAIT,
)
from .best import TIMING, Timing
from .curve import FULL
from .plan import Reason

PRICE_UNKNOWN = "price_unknown"
"""Why the miner does what it does without a price; else it is a reason of a plan."""


class Unknown(StrEnum):
    """What to do when the price has been unknown for long."""

    RESUME = "resume"
    STOP = "stop"
    LEAVE = "leave"


class Last(NamedTuple):
    """The last verdict, and what the miner does."""

    percent: float | None
    """None: there was no verdict yet."""
    on: bool
    age: float
    """Hours since it was started or stopped."""


class Verdict(NamedTuple):
    """What the miner should do, and why."""

    percent: float | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The limits as the options name them."""

    stop_above: float | None
    """None: the break-even price."""
    resume_below: float | None = None
    """None: a part below `stop_above`, which `hysteresis` says."""
    hysteresis: float = 0.05
    middle_percent: float = FULL
    middle_above: float = math.inf
    wait: float = 1.0
    """Hours without a price in which nothing changes."""
    oldest: float = math.inf
    """Hours after which a price that was not reported again is unknown."""
    unknown: Unknown = Unknown.RESUME

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self | None:
        """Return the rule of the options; None if they name no limit."""
        by_break_even = bool(options.get(CONF_LIMIT_BREAK_EVEN))
        stop = None if by_break_even else options.get(CONF_LIMIT_STOP_ABOVE)
        if stop is None and not by_break_even:
            return None
        resume = None if by_break_even else options.get(CONF_LIMIT_RESUME_BELOW)
        return cls(
            stop_above=stop,
            resume_below=resume,
            hysteresis=options.get(CONF_LIMIT_HYSTERESIS, 5) / 100,
            middle_percent=options.get(CONF_LIMIT_MIDDLE_PERCENT, FULL),
            middle_above=options.get(CONF_LIMIT_MIDDLE_ABOVE, math.inf),
            wait=options.get(CONF_LIMIT_WAIT, 60) / 60,
            oldest=options.get(CONF_LIMIT_OLDEST) or math.inf,
            unknown=Unknown(options.get(CONF_LIMIT_UNKNOWN, Unknown.RESUME)),
        )

    @property
    def is_possible(self) -> bool:
        """Return whether the limits are in the right order."""
        stop = self.stop_above
        if stop is None:
            return True
        resume = stop if self.resume_below is None else self.resume_below
        above = -math.inf if self.middle_above == math.inf else self.middle_above
        return resume <= stop and above < stop

    def decide(
        self,
        last: Last,
        price: float | None,
        break_even: float | None = None,
        silent: float = 0.0,
        timing: Timing = TIMING,
    ) -> Verdict:
        """Return what the miner should do at a price.

        None is an unknown price or break-even price; it has been unknown for `silent` hours.
        """
        stop = break_even if self.stop_above is None else self.stop_above
        if price is None or stop is None:
            wanted, why = self._without_price(last, silent), PRICE_UNKNOWN
        else:
            wanted, why = self._by_price(last, price, stop), Reason.PRICE
        if wanted == 0 and last.on and last.percent != 0 and last.age < timing.min_on:
            return Verdict(last.percent, Reason.MINIMUM_TIME)
        if wanted and last.percent == 0 and not last.on and last.age < timing.min_off:
            return Verdict(0.0, Reason.MINIMUM_TIME)
        return Verdict(wanted, why)

    def _without_price(self, last: Last, silent: float) -> float | None:
        if silent < self.wait or self.unknown is Unknown.LEAVE:
            return last.percent
        return FULL if self.unknown is Unknown.RESUME else 0.0

    def _by_price(self, last: Last, price: float, stop: float) -> float:
        """Return what a price wants, with dead bands: noise of the price changes nothing."""
        resume = self.resume_below
        if resume is None:
            resume = stop - abs(stop) * self.hysteresis
        if price > stop or (last.percent == 0 and price >= resume):
            return 0.0
        if self.middle_percent < FULL and self.middle_above < stop:
            above = self.middle_above
            is_lower = last.percent is not None and 0 < last.percent < FULL
            if price > above or (is_lower and price >= above - (stop - resume)):
                return self.middle_percent
        return FULL

"""What the miners of a group do together. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Part(NamedTuple):
    """What one miner adds; None is what it does not report."""

    name: str
    online: bool = True
    power: float | None = None
    """W."""
    hashrate: float | None = None
    """TH/s."""
    mining: bool = False
    cost: float | None = None
    """Money per hour."""
    revenue: float | None = None
    currency: str | None = None
    """Of the cost."""
    revenue_currency: str | None = None
    fault: tuple[int, str] | None = None
    """Its worst fault: how bad it is, 0 the worst, and its words."""


class Totals(NamedTuple):
    """The sums over the miners that answer; None where no miner reports a value."""

    power: float | None = None
    hashrate: float | None = None
    efficiency: float | None = None
    """J/TH."""
    mining: int = 0
    cost: float | None = None
    revenue: float | None = None
    margin: float | None = None
    currency: str | None = None
    revenue_currency: str | None = None
    worst_fault: str | None = None
    """With the name of its miner."""
    offline: tuple[str, ...] = ()
    """The names of the miners that do not answer."""


def total(parts: Iterable[Part]) -> Totals:
    """Return what the miners of a group do together; an offline one counts nothing."""
    every = list(parts)
    online = [part for part in every if part.online]
    power = _sum(part.power for part in online)
    hashrate = _sum(part.hashrate for part in online)
    currency = _only(part.currency for part in online)
    revenue_currency = _only(part.revenue_currency for part in online)
    cost = _all(part.cost for part in online) if currency else None
    revenue = _all(part.revenue for part in online) if revenue_currency else None
    faults = [(part.fault, part.name) for part in online if part.fault]
    worst = min(faults, default=None)
    return Totals(
        power=power,
        hashrate=hashrate,
        efficiency=power / hashrate if power and hashrate else None,
        mining=sum(part.mining for part in online),
        cost=cost,
        revenue=revenue,
        margin=revenue - cost
        if revenue is not None and cost is not None and currency == revenue_currency
        else None,
        currency=currency,
        revenue_currency=revenue_currency,
        worst_fault=f"{worst[1]}: {worst[0][1]}" if worst else None,
        offline=tuple(part.name for part in every if not part.online),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _all(values: Iterable[float | None]) -> float | None:
    """Return the sum; None where one value is unknown, since a part of a cost misleads."""
    known = list(values)
    return None if None in known else _sum(known)


def _only(values: Iterable[str | None]) -> str | None:
    """Return the currency that all have; None if there are several or none."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


MONEY = ("cost", "revenue", "margin")


def total_plan(plans: Sequence[dict[str, Any]], currencies: set[str]) -> dict[str, Any]:
    """Return what the plans of several miners expect together.

    None is what a plan lacks, and money in several currencies.
    """
    total: dict[str, float | None] = {}
    for key in ("kwh", "starts", *MONEY):
        amounts = [plan.get(key) for plan in plans]
        known = [amount for amount in amounts if amount is not None]
        is_sum = len(known) == len(plans) and (len(currencies) == 1 or key not in MONEY)
        total[key] = round(sum(known), 4) if is_sum else None
    return total

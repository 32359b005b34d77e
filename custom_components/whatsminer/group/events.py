"""The record of a group's curtailments: who requested how much, and how much it delivered. Pure."""

from collections.abc import Iterable, Mapping
import csv
from dataclasses import asdict, dataclass, field, fields
import io
from typing import Any, Self

AUTOMATION = "automation"
"""Who requests less power, if that is no user."""
KEPT = 50
"""Events that are kept."""
SAMPLES = (10, 60, 300)
"""Seconds after the request at which the delivery is noted."""
RESTORED = 0.95
"""Of the power before: from there on it counts as restored."""


@dataclass(kw_only=True)
class Event:
    """One curtailment of a group; times are ISO 8601 in UTC, powers in W, energies in kWh."""

    begun: str
    by: str
    """The user or automation that requested it."""
    reason: str | None
    target: str
    amount: int | None
    baseline: dict[str, float]
    """The power of each miner before."""
    requested: float
    """How much less was requested (W)."""
    delivered: dict[str, float] = field(default_factory=dict)
    """How much less it was, by seconds after the request (W)."""
    delivered_by_miner: dict[str, dict[str, float]] = field(default_factory=dict)
    energy: dict[str, float] = field(default_factory=dict)
    """What each miner used during the event."""
    ended: str | None = None
    restored: str | None = None
    """When the power was back."""

    @property
    def power_before(self) -> float:
        """Return the power of all miners before."""
        return sum(self.baseline.values())

    def note(self, seconds: int, powers: Mapping[str, float]) -> None:
        """Note what is delivered some seconds after the request."""
        less = {
            name: round(self.baseline[name] - power)
            for name, power in powers.items()
            if name in self.baseline
        }
        self.delivered[str(seconds)] = sum(less.values())
        self.delivered_by_miner[str(seconds)] = dict(less)

    def is_restored(self, powers: Mapping[str, float]) -> bool:
        """Return whether the miners draw what they drew before."""
        known = {name: power for name, power in powers.items() if name in self.baseline}
        return len(known) == len(self.baseline) and (
            sum(known.values()) >= RESTORED * self.power_before
        )

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        """Return it from JSON; raises TypeError if it is none."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in stored.items() if key in known})


def requested(
    target: str, amount: int | None, powers: Mapping[str, float], fulls: Iterable[float]
) -> float:
    """Return how much less power a curtailment of each miner asks for (W)."""
    less = 0.0
    for power, full in zip(powers.values(), fulls, strict=True):
        allowed = 0.0
        if target == "power":
            allowed = float(amount or 0)
        elif target == "percent":
            allowed = full * (amount or 0) / 100
        less += max(0.0, power - allowed)
    return round(less)


def as_csv(events: Iterable[Event]) -> str:
    """Return a table with a row for each miner of each event, and one for their sum."""
    columns = [
        *("begun", "ended", "restored", "by", "reason", "target", "amount", "miner"),
        *("baseline_w", "requested_w"),
        *(f"delivered_{seconds}s_w" for seconds in SAMPLES),
        "energy_kwh",
    ]
    output = io.StringIO()
    table = csv.writer(output, lineterminator="\n")
    table.writerow(columns)
    for event in events:
        who = (event.by, event.reason, event.target, event.amount)
        head = (event.begun, event.ended, event.restored, *who)
        energy = round(sum(event.energy.values()), 3)
        sums = [event.delivered.get(str(seconds)) for seconds in SAMPLES]
        before = round(event.power_before)
        table.writerow((*head, "", before, event.requested, *sums, energy))
        for name, power in event.baseline.items():
            own = [
                event.delivered_by_miner.get(str(seconds), {}).get(name)
                for seconds in SAMPLES
            ]
            used = round(event.energy.get(name, 0.0), 3)
            table.writerow((*head, name, round(power), None, *own, used))
    return output.getvalue()

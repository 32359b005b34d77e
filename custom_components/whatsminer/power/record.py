"""What is stored about the power of a miner: its curtailments, and what they have changed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from ..const import LOGGER

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MINING = "mining"
LIMIT = "power_limit"
PERCENT = "power_percent"
SETTINGS = (MINING, LIMIT, PERCENT)
"""The keys of the settings that change the power."""
OUTLINE = ("reason", "target", "amount", "since", "until")
KEPT_OF_LAST = (
    *("target", "reason", "since", "until"),
    *("stopped_again", "error", "error_kind"),
)
MOST_ENDS = 10
"""Reasons of which the last end is kept."""


class Target(StrEnum):
    """What a curtailment requests."""

    STOP = "stop"
    PERCENT = "percent"
    POWER = "power"


class Method(StrEnum):
    """How a power is reached."""

    NONE = "none"
    STOP = "stop"
    POWER_PERCENT = "power_percent"
    POWER_LIMIT = "power_limit"


class EndedBy(StrEnum):
    """What has ended a curtailment."""

    RESUME = "resume"
    DURATION = "duration"
    BY_HAND = "by_hand"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The settings that the user made; None is what is unknown, and never restored."""

    mining: bool | None = None
    power_limit: int | None = None
    power_percent: int | None = None
    full_power: float | None = None
    """What the miner draws with them when it is tuned, at 100 % (W)."""


@dataclass(frozen=True, kw_only=True)
class Curtailment:
    """A limit for the power of a miner; its reason identifies it."""

    target: Target
    amount: int | None
    """Percent or W."""
    since: datetime
    until: datetime | None
    reason: str | None
    way: Method = Method.NONE
    reached: bool = False
    """Whether the power was below it once."""
    stopped_again: int = 0
    """How often the miner started on its own and was curtailed again."""
    error: str | None = None
    """The sentence of what went wrong last."""
    error_kind: str | None = None
    """Its key, which names neither address nor miner."""
    ended_by: EndedBy | None = None
    """Why it no longer counts, while the previous settings are being restored."""

    def watts(self, full_power: float | None) -> float | None:
        """Return what the miner may draw; None if it is unknown."""
        if self.target is Target.STOP:
            return 0.0
        if self.target is Target.POWER and self.amount is not None:
            return float(self.amount)
        if self.target is Target.PERCENT and self.amount is not None and full_power:
            return full_power * self.amount / 100
        return None

    def outline(self) -> dict[str, Any]:
        """Return what people want to know of it, as JSON."""
        return as_json(self, OUTLINE)

    @property
    def identity(self) -> tuple[str | None, datetime]:
        """Return what stays the same while the curtailment changes."""
        return self.reason, self.since

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Self:
        """Return it from JSON; raises ValueError, TypeError or KeyError if it is none."""
        known = {item.name for item in fields(cls)}
        amount, ended_by = stored["amount"], stored.get("ended_by")
        target = Target(stored["target"])
        if target is not Target.STOP:
            stored_number(amount)
        return cls(
            **{
                **{key: value for key, value in stored.items() if key in known},
                "target": target,
                "way": Method(stored.get("way", Method.NONE)),
                "since": stored_time(stored["since"]),
                "until": stored["until"] and stored_time(stored["until"]),
                "ended_by": EndedBy(ended_by) if ended_by else None,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Record:
    """All curtailments of a miner, and the settings that are changed for them."""

    curtailments: tuple[Curtailment, ...] = ()
    touched: Mapping[str, bool] = field(default_factory=dict)
    """The settings that differ from the baseline; False where the outcome is unknown."""
    complete: bool = False
    """Whether the baseline was read from the miner since the first curtailment began."""
    source: str | None = None
    """The power source that is selected."""
    ended: datetime | None = None
    ended_reason: str | None = None
    ends: Mapping[str, str] = field(default_factory=dict)
    """When the curtailments ended last, by reason (ISO 8601)."""
    last: dict[str, Any] | None = None
    """What became of the curtailment that ended last."""
    announced: list[Any] | None = None
    """The essence of the decision that was announced last."""

    @property
    def active(self) -> tuple[Curtailment, ...]:
        """Return those that count."""
        return tuple(one for one in self.curtailments if not one.ended_by)

    @property
    def ended_ones(self) -> tuple[Curtailment, ...]:
        """Return those that have ended, while the previous settings are being restored."""
        return tuple(one for one in self.curtailments if one.ended_by)

    def find(self, one: Curtailment) -> Curtailment | None:
        """Return a curtailment as it is now; None if it no longer counts."""
        return next((now for now in self.active if now.identity == one.identity), None)

    def begin(self, one: Curtailment, *, complete: bool = False) -> Record:
        """Return the record with one more curtailment."""
        complete = complete or (self.complete and bool(self.curtailments))
        curtailments = (*self.curtailments, one)
        return replace(self, curtailments=curtailments, complete=complete)

    def change(self, those: Iterable[Curtailment], **changes: Any) -> Record:
        """Return the record with changes of those curtailments that are still there."""
        changed = {one.identity for one in those}
        return replace(
            self,
            curtailments=tuple(
                replace(one, **changes) if one.identity in changed else one
                for one in self.curtailments
            ),
        )

    def archive(self, one: Curtailment, ended_by: EndedBy, now: datetime) -> Record:
        """Return the record without a curtailment, and with what became of it."""
        last = as_json(one, KEPT_OF_LAST)
        last |= {"ended": now.isoformat(), "ended_by": ended_by.value}
        others = tuple(x for x in self.curtailments if x.identity != one.identity)
        record = replace(self, curtailments=others, last=last)
        if ended_by in (EndedBy.REPLACED, EndedBy.REFUSED):
            return record
        ends = {**self.ends, one.reason or "": now.isoformat()}
        newest = sorted(ends.items(), key=lambda end: end[1])[-MOST_ENDS:]
        return replace(record, ended=now, ended_reason=one.reason, ends=dict(newest))

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        stored = as_json(self)
        del stored["curtailments"]
        return {"active": [as_json(one) for one in self.curtailments], **stored}


def load_record(stored: dict[str, Any], name: str) -> tuple[Record, bool]:
    """Return the record from JSON, and whether a curtailment was lost."""
    active: Any = stored.get("active") or []
    touched = stored.get("touched")
    if isinstance(active, dict):  # until 0.1 there was one curtailment at most
        touched, active = active.get("touched"), [active]
    if not isinstance(active, list):
        active = [active]
    loaded = [
        restore(f"curtailment of {name}", Curtailment.restored, one or {})
        for one in active
    ]
    record = Record(
        curtailments=tuple(one for one in loaded if one),
        touched=restore(f"changed settings of {name}", _touched, touched) or {},
        complete=stored.get("complete") is True,
        source=restore(f"power source of {name}", str, stored.get("source")),
        ended=restore(f"last end of {name}", stored_time, stored.get("ended")),
        ended_reason=restore(f"last reason of {name}", str, stored.get("ended_reason")),
        ends=restore(f"last ends of {name}", _ends, stored.get("ends")) or {},
        last=restore(f"last curtailment of {name}", dict, stored.get("last")),
        announced=restore(f"decision of {name}", list, stored.get("announced")),
    )
    if not record.curtailments and None in loaded:
        # What it changed is unknown, so nothing is restored.
        record = replace(record, touched={})
    return record, None in loaded


def old_baseline(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a record until 0.1 kept with its only curtailment."""
    active = stored.get("active")
    before = active.get("before") if isinstance(active, dict) else None
    if not isinstance(before, dict):
        return {}
    return {key: before[key] for key in SETTINGS if key in before}


def _touched(stored: Any) -> dict[str, bool]:
    pairs = (
        stored.items() if isinstance(stored, dict) else ((key, True) for key in stored)
    )
    return {key: value is not False for key, value in pairs if key in SETTINGS}


def _ends(stored: Any) -> dict[str, str]:
    return {str(reason): stored_time(end).isoformat() for reason, end in stored.items()}


def as_json(one: DataclassInstance, keys: Collection[str] = ()) -> dict[str, Any]:
    """Return fields as JSON; words as plain text, which templates and databases can read."""
    return {
        key: _plain(getattr(one, key))
        for key in keys or (item.name for item in fields(one))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def stored_time(stored: str) -> datetime:
    """Return a stored moment; raises ValueError for one that no time zone fixes."""
    time = datetime.fromisoformat(stored)
    if time.tzinfo is None:
        raise ValueError(f"{stored} has no time zone")
    return time


def stored_number(stored: Any) -> int:
    """Return a stored number; raises TypeError if it is none."""
    if isinstance(stored, bool) or not isinstance(stored, int):
        raise TypeError(f"{stored!r} is no number")
    return stored


def restore[T](what: str, load: Callable[[Any], T], stored: Any) -> T | None:
    """Return one part of what is stored; log one that cannot be read, and drop it."""
    if stored is None:
        return None
    try:
        return load(stored)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        LOGGER.warning("Dropping the stored %s, which is unknown: %r", what, err)
        return None

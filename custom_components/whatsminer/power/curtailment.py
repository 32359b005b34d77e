"""Curtailment: bring a miner's power down, prove it, hold it, and restore what was."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
import math
from time import monotonic
from typing import Any

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from ..api import (
    Activity,
    CommandRefusedError,
    Dialect,
    MinerState,
    TokenRejectedError,
    TokenTableFullError,
    UnsupportedCommandError,
    WriteRefusedError,
)
from ..commander import DEADLINE_REACHABLE, Commander
from ..const import DOMAIN, LOGGER
from ..controls import (
    FULL,
    LOWEST_SHARE,
    MINING,
    POWER_LIMIT,
    POWER_PERCENT,
    Control,
    lowest_power,
)
from ..exceptions import failed
from .percent import can_percent

POLL_INTERVAL = 2.0
"""Seconds between the quick re-reads until the power has fallen."""

# A stop may be delayed by two minutes (set.system.time_randomized, E.6), a percent ramps for three.
DEADLINE_POWER = 240.0
DEADLINE_MEAN = 420.0
"""Where only a mean of five minutes is told (C.1.4)."""

TOLERANCE = 1.05
"""The noise of the power that the miner reports, and that of its own regulation."""

STANDBY_SHARE = 0.1
STANDBY_POWER = 100.0
"""W; a stopped miner draws less than this, or than that share of what it drew."""

REFUSALS = (WriteRefusedError, CommandRefusedError)
PASSING = (TokenTableFullError, TokenRejectedError)
"""Refusals that another program causes and time mends; they are tried again."""

AMBIGUOUS = (132, -1)
"""Codes that only say that a command failed; some firmware answers so and does it all the same."""
AMBIGUOUS_READS = 5
"""How often the miner is read again after one of them."""

TOLD_AFTERWARDS = (
    "target",
    "reason",
    "since",
    "until",
    "stopped_again",
    "error",
    "error_kind",
)

FAILING = "curtailment_failing"
RESUME_FAILING = "resume_failing"
STOPPED_AGAIN = "curtailment_stopped_again"
LOST = "curtailment_lost"
LEFT_ALONE = {
    control.key: f"left_alone_{control.key}"
    for control in (MINING, POWER_LIMIT, POWER_PERCENT)
}
"""By setting: the issue that it was not restored, since its previous value is unknown."""
ISSUES = (FAILING, RESUME_FAILING, STOPPED_AGAIN, LOST, *LEFT_ALONE.values())

RETRY_FIRST = 60.0
RETRY_LONGEST = 900.0
"""Seconds."""


class OvertakenError(HomeAssistantError):
    """A person or another action has come in between, and counts more."""


class Target(StrEnum):
    """What a curtailment asks for."""

    STOP = "stop"
    PERCENT = "percent"
    POWER = "power"


class Way(StrEnum):
    """How it was reached."""

    NONE = "none"
    STOP = "stop"
    POWER_PERCENT = "power_percent"
    POWER_LIMIT = "power_limit"


class EndedBy(StrEnum):
    """What has ended it."""

    RESUME = "resume"
    DURATION = "duration"
    BY_HAND = "by_hand"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Before:
    """The settings before the first curtailment; None is what is unknown, and not restored."""

    mining: bool | None = None
    power_limit: int | None = None
    power_percent: int | None = None
    power_mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A curtailment, as it is stored."""

    target: Target
    amount: int | None
    """Percent or W."""
    since: datetime
    until: datetime | None
    reason: str | None
    before: Before
    complete: bool = False
    """Whether `before` includes what the miner itself reported since."""
    watts: float | None = None
    """What it may draw, where it goes on mining."""
    way: Way = Way.NONE
    touched: tuple[str, ...] = ()
    """The keys of the controls that were changed, and are to be restored."""
    reached: bool = False
    """Whether the power was down once."""
    stopped_again: int = 0
    """How often the miner began by itself and was curtailed again."""
    error: str | None = None
    """The sentence of what went wrong last."""
    error_kind: str | None = None
    """Its key, which names neither address nor miner."""
    ended_by: EndedBy | None = None
    """Why what was before is being put back; None while it holds."""

    @property
    def restoring(self) -> bool:
        """Whether it is over, and what was before is being put back."""
        return self.ended_by is not None

    def stored(self) -> dict[str, Any]:
        """As JSON; words as plain text, since a list or dict shows the code's names of them."""
        result = asdict(self)
        result["target"] = self.target.value
        result["way"] = self.way.value
        result["ended_by"] = self.ended_by.value if self.ended_by else None
        result["since"] = self.since.isoformat()
        result["until"] = self.until.isoformat() if self.until else None
        return result

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Record:
        """Return a record from JSON; raises ValueError, TypeError or KeyError if it is none."""
        known = {item.name for item in fields(cls)}
        before = {item.name for item in fields(Before)}
        ended_by = stored.get("ended_by")
        return cls(
            **{
                **{key: value for key, value in stored.items() if key in known},
                "target": Target(stored["target"]),
                "way": Way(stored.get("way", Way.NONE)),
                "since": stored_time(stored["since"]),
                "until": stored["until"] and stored_time(stored["until"]),
                "before": Before(
                    **{k: v for k, v in stored["before"].items() if k in before}
                ),
                "touched": tuple(key for key in stored["touched"] if key in LEFT_ALONE),
                "ended_by": EndedBy(ended_by) if ended_by else None,
            }
        )


def stored_time(stored: str) -> datetime:
    """Return a stored moment; raises ValueError for one that no time zone fixes."""
    time = datetime.fromisoformat(stored)
    if time.tzinfo is None:
        raise ValueError(f"{stored} has no time zone")
    return time


def restore[T](
    what: str, load: Callable[[Any], T], stored: Any, default: T | None = None
) -> T | None:
    """Return one part of what is stored; log one that cannot be read, and drop it."""
    if stored is None:
        return default
    try:
        return load(stored)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        LOGGER.warning("Dropping the stored %s, which is unknown: %r", what, err)
        return default


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a curtailment or its end has come to; its fields are those of the response."""

    confirmed: bool
    seconds: float
    power_before: float | None
    power_after: float | None
    way: Way


@dataclass
class _Retry:
    """When to try next automatically, each time later than the time before."""

    wait: float = RETRY_FIRST
    due: float = -math.inf

    def postpone(self) -> None:
        self.due = monotonic() + self.wait
        self.wait = min(self.wait * 2, RETRY_LONGEST)


def draw(state: MinerState) -> float | None:
    """What the miner draws now (W): on API 2.2.x its `Power` is a mean, the PSU tells at once."""
    mean = state.summary.power if state.summary else None
    if state.info.dialect is Dialect.V2C and state.psu:
        return mean if state.psu.input_power is None else state.psu.input_power
    return mean


def _failed(record: Record, err: HomeAssistantError) -> Record:
    """A curtailment, and what went wrong with it."""
    return replace(record, error=str(err), error_kind=err.translation_key)


class Curtailment:
    """The curtailment of one miner: at most one, replaced by the next, and restored once."""

    def __init__(self, commander: Commander) -> None:
        """Take up what was active when Home Assistant stopped; `start` watches over it."""
        self._commander = commander
        self._coordinator = coordinator = commander.coordinator
        self._hass: HomeAssistant = coordinator.hass
        stored = coordinator.store.curtailment
        active, ended = stored.get("active"), stored.get("ended")
        name = f"curtailment of {coordinator.name}"
        self.record = restore(name, Record.restored, active or None)
        if active and not self.record:
            self._tell(LOST, ir.IssueSeverity.ERROR)
        self.ended = restore(f"end of the {name}", stored_time, ended)
        self.ended_reason: str | None = stored.get("ended_reason")
        self.last: dict[str, Any] | None = stored.get("last")
        """What became of the one before, for who asks later why the miner ran."""
        self._busy = 0
        self._retry = _Retry()
        self._reduced_at = monotonic()
        """When the last curtailment began, or Home Assistant."""
        self._stop_timer: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Watch over the curtailment from now on."""
        entry = self._coordinator.config_entry
        self._commander.on_user_command(self._on_user_command)
        entry.async_on_unload(self._coordinator.async_add_listener(self._watch))
        entry.async_on_unload(self._cancel_timer)
        self._set_timer()
        self._watch()

    # What the sensors show

    @property
    def state(self) -> str:
        """The target, or `none`."""
        return self.record.target if self.record else "none"

    @property
    def until(self) -> datetime | None:
        """When it ends by itself."""
        return self.record.until if self.record else None

    @property
    def attributes(self) -> dict[str, Any]:
        """All that is known of the curtailment, and what became of the last one."""
        record = self.record
        return {
            "reason": record.reason if record else None,
            "since": record.since if record else None,
            "until": self.until,
            "way": record.way if record else None,
            "ended": self.ended,
            "ended_reason": self.ended_reason,
            "stopped_again": record.stopped_again if record else 0,
            "error": record.error if record else None,
            "last": self.last,
        }

    # Actions

    async def async_curtail(
        self,
        target: Target,
        amount: int | None = None,
        duration: timedelta | None = None,
        reason: str | None = None,
    ) -> Outcome:
        """Bring the power down by the fastest safe way, and watch until it has fallen.

        `amount` is a percent of the tuned power or W. Keeps what was before the first curtailment.
        Raises a translated HomeAssistantError when the miner refuses (then nothing is kept), when
        it cannot be reached or has no token to give (then it is curtailed as soon as it can be),
        or when a person or another action comes in between.
        """
        with self._acting():
            return await self._async_curtail(target, amount, duration, reason)

    async def _async_curtail(
        self,
        target: Target,
        amount: int | None,
        duration: timedelta | None,
        reason: str | None,
    ) -> Outcome:
        await self._coordinator.async_refresh()
        self._check_loaded()
        earlier, now = self.record, dt_util.utcnow()
        record = Record(
            target=target,
            amount=amount,
            since=now,
            until=now + duration if duration is not None else None,
            reason=reason,
            before=earlier.before if earlier else self._snapshot(Before()),
            complete=earlier.complete if earlier else self._is_answered,
            touched=earlier.touched if earlier else (),
        )
        record = replace(record, watts=self._watts(record))
        if earlier:
            self._close(earlier, EndedBy.REPLACED)
        LOGGER.info(
            "%s: curtailment begins: target %s, amount %s, until %s, reason: %s",
            self._coordinator.name,
            target,
            amount,
            record.until,
            reason,
        )
        self._untell(LOST)
        await self._keep(record)
        self._retry = _Retry()
        self._reduced_at = monotonic()
        try:
            return await self._act(record)
        except HomeAssistantError as err:
            cause = err.__cause__
            if not isinstance(cause, REFUSALS) or isinstance(cause, PASSING):
                await self._note_failure(record, err)
            elif self._stands(record):
                self._close(_failed(record, err), EndedBy.REFUSED)
                await self._keep(earlier, undone=True)
            raise

    async def async_resume(self) -> Outcome:
        """End the curtailment and restore what was; without one nothing is done."""
        with self._acting():
            await self._coordinator.async_refresh()
            self._check_loaded()
            record = self.record and replace(self.record, ended_by=EndedBy.RESUME)
            if record:
                await self._keep(record)
                self._retry = _Retry()
            try:
                return await self._act(record)
            except HomeAssistantError as err:
                await self._note_failure(record, err)
                raise

    @contextmanager
    def _acting(self) -> Generator[None]:
        """Let nothing be done by itself meanwhile, and no old reading of the power be proof."""
        self._busy += 1
        try:
            with self._coordinator.reading_psu():
                yield
        finally:
            self._busy -= 1

    async def _act(self, record: Record | None) -> Outcome:
        """Bring a curtailment about or take it back, then poll until the power shows it."""
        loop, state = self._hass.loop, self._coordinator.data
        before, begun = draw(state), loop.time()
        way, confirmed = Way.NONE, True
        try:
            if record and record.restoring:
                way = await self._restore(record)
                confirmed = self.record is None
            elif record:
                record = await self._completed(record)
                way = await self._apply(record)
                confirmed = await self._confirm(record, before)
                if confirmed:
                    self._untell(FAILING)
                    if self.record and not self.record.reached:
                        await self._keep(replace(self.record, reached=True))
        finally:
            self._retry.postpone()
            self._coordinator.async_update_listeners()
        return Outcome(
            confirmed=confirmed,
            seconds=round(loop.time() - begun, 2),
            power_before=before,
            power_after=draw(self._coordinator.data),
            way=way,
        )

    async def _confirm(self, record: Record, before: float | None) -> bool:
        """Poll quickly until the power is below the target, or the time is up.

        What was ended or replaced meanwhile is not confirmed, nor what is watched by nobody.
        """
        coordinator, loop = self._coordinator, self._hass.loop
        begun = loop.time()
        while self.record and self._stands(record) and not coordinator.unloaded:
            state = coordinator.data
            if coordinator.fresh and self._is_down(self.record, state, before):
                return True
            mean = state.info.dialect is Dialect.V2C and not (
                state.psu and state.psu.input_power is not None
            )
            limit = DEADLINE_MEAN if mean else DEADLINE_POWER
            if loop.time() - begun > limit:
                return False
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
        return False

    @staticmethod
    def _is_down(record: Record, state: MinerState, before: float | None) -> bool:
        """Whether the power is below the target; by the flag alone where no power is told."""
        power = draw(state)
        if state.mining is False:
            limit = max(STANDBY_POWER, STANDBY_SHARE * (before or 0))
            return power is None or power <= limit
        if record.target is Target.STOP or record.way is Way.STOP:
            return False
        if record.watts is None:
            # Acknowledged, and no more can be known
            return record.way is Way.POWER_PERCENT
        return power is not None and power <= record.watts * TOLERANCE

    # Steps

    async def _apply(self, record: Record) -> Way:
        """Take the fastest safe way down; it may lead further down than asked, never less."""
        coordinator = self._coordinator
        state = coordinator.data
        is_off = state.mining is False and coordinator.fresh
        if record.target is Target.STOP:
            if is_off:
                return await self._went(record, Way.NONE)
            return await self._stop(record)
        if is_off:
            if MINING.key not in record.touched or not self._limit_fits(record):
                # Off already, and off it stays
                return await self._went(record, Way.NONE)
            # From a stop to less than a stop: the limit, since tuning begins anew in any case.
            await self._command(record, MINING, True)
            return await self._limit(record)
        power = draw(state)
        if (
            state.activity is Activity.MINING
            and power is not None
            and record.watts is not None
            and power <= record.watts
            and not record.touched
        ):
            return await self._went(record, Way.NONE)
        percent = self._percent(record)
        if (
            percent is not None
            and can_percent(coordinator)
            and state.activity is Activity.MINING
        ):
            await self._went(record, Way.POWER_PERCENT, POWER_PERCENT.key)
            await self._command(record, POWER_PERCENT, percent)
            return Way.POWER_PERCENT
        if self._limit_fits(record):
            return await self._limit(record)
        return await self._stop(record)

    async def _stop(self, record: Record) -> Way:
        await self._went(record, Way.STOP, MINING.key)
        await self._command(record, MINING, False)
        return Way.STOP

    async def _limit(self, record: Record) -> Way:
        assert record.watts is not None
        await self._went(record, Way.POWER_LIMIT, POWER_LIMIT.key)
        await self._command(record, POWER_LIMIT, int(record.watts))
        return Way.POWER_LIMIT

    async def _restore(self, record: Record) -> Way:
        """Restore what was changed, and only that; what is unknown is left as it is."""
        self._untell(FAILING)
        coordinator, before, way = self._coordinator, record.before, Way.NONE
        stopped = MINING.key in record.touched
        unknown = [key for key in record.touched if getattr(before, key, None) is None]
        if stopped and before.mining is not False:
            way = Way.STOP
            if coordinator.fresh and coordinator.data.mining is True:
                stopped = False  # perhaps it never obeyed, and still has the percent
                unknown = [key for key in unknown if key != MINING.key]
            elif before.mining:
                await self._put_back(record, MINING, True)
        if POWER_LIMIT.key in record.touched and before.power_limit is not None:
            way = Way.POWER_LIMIT
            limit = int(before.power_limit)
            if not coordinator.fresh or POWER_LIMIT.actual(coordinator) != limit:
                await self._put_back(record, POWER_LIMIT, limit)
        elif POWER_PERCENT.key in record.touched and not stopped:
            way = Way.POWER_PERCENT
            if before.power_percent is not None:
                await self._restore_percent(record, before.power_percent or FULL)
        if self.record and record.ended_by and self._stands(record):
            self._close(self.record, record.ended_by)
            await self._keep(None)
            for key in unknown:
                self._tell(LEFT_ALONE[key], ir.IssueSeverity.WARNING)
        return way

    async def _restore_percent(self, record: Record, percent: int) -> None:
        """Put the percent back; a restart has done that already (D.4)."""
        coordinator = self._coordinator
        activity, now = coordinator.data.activity, POWER_PERCENT.actual(coordinator)
        if coordinator.fresh:
            if activity is None:
                raise failed("activity_unknown", name=coordinator.config_entry.title)
            if activity is not Activity.MINING:
                return
            if now is not None and (now or FULL) == percent:
                return
        await self._put_back(record, POWER_PERCENT, percent)

    async def _put_back[T](self, record: Record, control: Control[T], value: T) -> None:
        """Command what was before; where a newer command came in between nothing is over yet."""
        if not await self._command(record, control, value):
            raise self._overtaken()

    async def _command[T](self, record: Record, control: Control[T], value: T) -> bool:
        """Command it unless somebody has come in between, up to the moment it is sent."""
        self._check(record)
        try:
            return await control.async_set(
                self._commander, value, check=lambda: self._check(record)
            )
        except HomeAssistantError as err:
            if not await self._has_effect(control, value, err):
                raise
            return True

    async def _has_effect[T](
        self, control: Control[T], value: T, err: HomeAssistantError
    ) -> bool:
        """Read the miner after a refusal that need not be one; return whether it did it."""
        coordinator, cause = self._coordinator, err.__cause__
        if (
            not isinstance(cause, CommandRefusedError)
            or isinstance(cause, UnsupportedCommandError)
            or cause.code not in AMBIGUOUS
            or control.is_assumed(coordinator.data)
        ):
            return False
        for _ in range(AMBIGUOUS_READS):
            await coordinator.async_refresh()
            if self._is_answered and control.is_shown(coordinator.data, value):
                return True
            await asyncio.sleep(POLL_INTERVAL)
        return False

    # What it is made of

    @property
    def _is_answered(self) -> bool:
        """Return whether the data are what the miner itself reported in the last poll."""
        state = self._coordinator.data
        return self._coordinator.fresh and not (
            state.summary is None and state.status is None
        )

    def _snapshot(self, earlier: Before) -> Before:
        """Return what is to be restored one day: reported now, else earlier, else last."""
        coordinator = self._coordinator
        state, stored = coordinator.data, coordinator.store.reported

        def value(key: str, now: Any) -> Any:
            known = (now, getattr(earlier, key), stored(key))
            return next((one for one in known if one is not None), None)

        percent = POWER_PERCENT.actual(coordinator)
        if (
            percent is None
            and self._is_answered
            and (state.status is not None or POWER_PERCENT.is_assumed(state))
        ):
            percent = FULL  # none is set, or none was since the miner started
        return Before(
            mining=value(MINING.key, state.mining),
            power_limit=value(POWER_LIMIT.key, POWER_LIMIT.actual(coordinator)),
            power_percent=value(POWER_PERCENT.key, percent),
            power_mode=value("power_mode", state.power_mode),
        )

    async def _completed(self, record: Record) -> Record:
        """Return the record with what the miner reports before the first command reaches it.

        Waits for a miner that restarts; raises if it does not answer.
        """
        coordinator, end = self._coordinator, monotonic() + DEADLINE_REACHABLE
        while not record.complete and not self._is_answered:
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
            self._check(record)
            if not coordinator.last_update_success or monotonic() > end:
                error = coordinator.last_exception
                raise failed(
                    getattr(error, "translation_key", None) or "cannot_connect",
                    **(getattr(error, "translation_placeholders", None) or {})
                    | {"host": coordinator.host},
                ) from error
        if record.complete:
            return record
        record = self._check(record)
        record = replace(record, before=self._snapshot(record.before), complete=True)
        record = replace(record, watts=self._watts(record))
        await self._keep(record)
        return record

    @callback
    def _observe(self) -> None:
        """Store the settings as the miner reports them, but not those that are curtailed."""
        if self._is_answered:
            touched = self.record.touched if self.record else ()
            now = asdict(self._snapshot(Before()))
            self._coordinator.store.observe_settings(
                {key: value for key, value in now.items() if key not in touched}
            )

    def _full_power(self) -> float | None:
        """What it draws when tuned, without any percent (W)."""
        store = self._coordinator.store
        return store.tuned_power or POWER_LIMIT.actual(self._coordinator)

    def _watts(self, record: Record) -> float | None:
        """What the miner may draw."""
        if record.target is Target.STOP or record.amount is None:
            return None
        if record.target is Target.POWER:
            return float(record.amount)
        full = self._full_power()
        return None if full is None else full * record.amount / 100

    def _percent(self, record: Record) -> int | None:
        """The percent that leads there; None where it would be too low to be safe (H.2)."""
        if record.target is Target.PERCENT:
            return record.amount
        full = self._full_power()
        if full is None or record.watts is None:
            return None
        percent = min(100, int(100 * record.watts / full))
        return percent if percent >= 100 * LOWEST_SHARE else None

    def _limit_fits(self, record: Record) -> bool:
        """Whether a power limit can lead there."""
        coordinator = self._coordinator
        return (
            record.watts is not None
            and coordinator.can(POWER_LIMIT.feature)
            and record.watts >= lowest_power(coordinator)
        )

    async def _went(self, record: Record, way: Way, *keys: str) -> Way:
        """Remember the way before it is taken, so that it can be taken back in any case."""
        now = self._check(record)
        touched = tuple(dict.fromkeys((*now.touched, *keys)))
        await self._keep(replace(now, way=way, touched=touched))
        return way

    def _stands(self, record: Record) -> bool:
        """Whether it is still this one, and not yet on its way back if this one was not."""
        now = self.record
        return (
            now is not None
            and now.since == record.since
            and now.restoring is record.restoring
        )

    def _check(self, record: Record) -> Record:
        """It as it is now; raises where a person or another action has come in between."""
        if self.record is None or not self._stands(record):
            raise self._overtaken()
        return self.record

    def _overtaken(self) -> OvertakenError:
        return OvertakenError(
            translation_domain=DOMAIN,
            translation_key="curtailment_overtaken",
            translation_placeholders={"name": self._coordinator.config_entry.title},
        )

    def _check_loaded(self) -> None:
        """What was asked of an entry that is unloaded meanwhile is not for the next one to do."""
        if self._coordinator.unloaded:
            raise failed("not_sent", host=self._coordinator.host)

    def _close(self, record: Record, ended_by: EndedBy) -> None:
        """Keep what became of a curtailment; `_keep` stores it."""
        stored = record.stored()
        ended = {"ended": dt_util.utcnow().isoformat(), "ended_by": ended_by.value}
        self.last = {key: stored[key] for key in TOLD_AFTERWARDS} | ended
        told = ", ".join(f"{key}: {value}" for key, value in self.last.items())
        LOGGER.info("%s: curtailment ends: %s", self._coordinator.name, told)

    async def _keep(self, record: Record | None, *, undone: bool = False) -> None:
        """Remember a curtailment, or that it has ended; one that was refused never was."""
        self._check_loaded()
        if self.record and not record:
            if not undone:
                self.ended = dt_util.utcnow()
                self.ended_reason = self.record.reason
            self._untell(FAILING, RESUME_FAILING, STOPPED_AGAIN)
        self.record = record
        self._set_timer()
        self._coordinator.async_update_listeners()
        await self._coordinator.store.async_keep(
            "curtailment",
            {
                "active": record.stored() if record else None,
                "ended": self.ended.isoformat() if self.ended else None,
                "ended_reason": self.ended_reason,
                "last": self.last,
            },
        )

    # Watching

    @callback
    def _set_timer(self) -> None:
        self._cancel_timer()
        if self.record and self.record.until and not self.record.restoring:
            self._stop_timer = async_track_point_in_utc_time(
                self._hass, self._time_is_up, self.record.until
            )

    @callback
    def _cancel_timer(self) -> None:
        if self._stop_timer:
            self._stop_timer()
            self._stop_timer = None

    @callback
    def _time_is_up(self, _: datetime) -> None:
        self._stop_timer = None
        self._retry = _Retry()
        self._watch()

    @callback
    def _watch(self) -> None:
        """After every poll: end what is over, and curtail again what began by itself."""
        self._observe()
        record = self.record
        if (
            record is None
            or self._busy
            or not self._coordinator.last_update_success
            or monotonic() < self._retry.due
        ):
            return
        if record.restoring or (record.until and record.until <= dt_util.utcnow()):
            self._begin(self._end_by_itself(record))
        elif self._is_broken(record, self._coordinator.data):
            self._begin(self._hold(record))
        else:
            self._untell(FAILING, RESUME_FAILING)

    def _is_broken(self, record: Record, state: MinerState) -> bool:
        """Whether the miner certainly does what it should not."""
        if state.mining is not True:
            return False
        if record.target is Target.STOP or record.way is Way.STOP:
            return True
        power = draw(state)
        if record.watts is None or power is None:
            return False
        lasted = monotonic() - self._reduced_at
        if state.info.dialect is Dialect.V2C and lasted < DEADLINE_MEAN:
            return False  # the mean still tells of before
        return power > record.watts * TOLERANCE

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._coordinator.start_task(self._work(work), "curtailment")

    async def _work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something nobody waits for; what goes wrong is told as an issue, and tried again."""
        with self._acting():
            try:
                await work
            except OvertakenError as err:
                LOGGER.debug("%s: curtailment: %s", self._coordinator.name, err)
            except HomeAssistantError as err:
                LOGGER.warning("%s: curtailment: %s", self._coordinator.name, err)
                await self._note_failure(self.record, err)

    async def _note_failure(
        self, record: Record | None, err: HomeAssistantError
    ) -> None:
        """Tell people, and keep it for who asks later; what is gone or overtaken has no say."""
        if self.record is None or record is None or not self._stands(record):
            return
        if self._coordinator.unloaded or isinstance(err, OvertakenError):
            return
        kind = RESUME_FAILING if record.restoring else FAILING
        self._tell(kind, ir.IssueSeverity.ERROR, error=str(err))
        await self._keep(_failed(self.record, err))

    async def _end_by_itself(self, record: Record) -> None:
        record = replace(record, ended_by=record.ended_by or EndedBy.DURATION)
        await self._keep(record)
        self._retry.postpone()
        await self._restore(record)

    async def _hold(self, record: Record) -> None:
        """Curtail again what began by itself, and tell; or for the first time, if it failed then."""
        LOGGER.warning(
            "%s: mines in spite of a curtailment, curtailing again",
            self._coordinator.name,
        )
        record = replace(record, stopped_again=record.stopped_again + record.reached)
        await self._keep(record)
        outcome = await self._act(record)
        if not self._stands(record) or self._coordinator.unloaded:
            return
        if outcome.confirmed:
            self._retry = _Retry()
            self._retry.postpone()
            if record.reached:
                self._tell(STOPPED_AGAIN, ir.IssueSeverity.WARNING)
        else:
            raise failed("curtailment_not_confirmed")

    @callback
    def _on_user_command(self, key: str, value: Any) -> None:
        """What a person commands counts more than the curtailment, and than what was before it."""
        if key in LEFT_ALONE:
            self._untell(LEFT_ALONE[key])
        record = self.record
        if record is None:
            return
        if key == MINING.key and not value:
            # Off by hand: off it stays when the curtailment ends.
            change = replace(record, before=replace(record.before, mining=False))
            self._later(self._keep(change))
        elif key == MINING.key or (
            key in (POWER_LIMIT.key, POWER_PERCENT.key)
            and (record.restoring or record.target is not Target.STOP)
        ):
            touched: Iterable[str] = (k for k in record.touched if k != key)
            ended_by = record.ended_by or EndedBy.BY_HAND
            change = replace(record, touched=tuple(touched), ended_by=ended_by)
            if not change.touched:
                self._close(record, ended_by)
            self._later(self._keep(change if change.touched else None))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._coordinator.start_task(work, "curtailment by hand")

    def _untell(self, *kinds: str) -> None:
        for kind in kinds:
            issue = f"{kind}_{self._coordinator.config_entry.entry_id}"
            ir.async_delete_issue(self._hass, DOMAIN, issue)

    def _tell(self, kind: str, severity: ir.IssueSeverity, **named: str) -> None:
        coordinator = self._coordinator
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            f"{kind}_{coordinator.config_entry.entry_id}",
            is_fixable=False,
            is_persistent=kind in LEFT_ALONE.values(),
            severity=severity,
            translation_key=kind,
            translation_placeholders={
                "name": coordinator.config_entry.title,
                "host": coordinator.host,
                "time": dt_util.now().strftime("%Y-%m-%d %H:%M"),
                **named,
            },
        )

"""Carry out what is decided about a miner's power: command, confirm, retry and hold."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import math
from time import monotonic
from typing import Any, Protocol

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from ..api import (
    Activity,
    CommandRefusedError,
    MinerState,
    TokenRejectedError,
    TokenTableFullError,
    UnsupportedCommandError,
    WriteRefusedError,
)
from ..commander import DEADLINE_REACHABLE, Commander
from ..const import DOMAIN, LOGGER
from ..controls import FULL, MINING, POWER_LIMIT, POWER_PERCENT, Control, lowest_power
from ..exceptions import async_sentence, failed, invalid, markdown
from .percent import can_percent
from .policy import (
    TOLERANCE,
    Budget,
    By,
    Command,
    Decision,
    Situation,
    TargetStatus,
    Wish,
    decide,
    strictest,
)
from .record import (
    SETTINGS,
    Baseline,
    Curtailment,
    EndedBy,
    Method,
    Target,
    load_record,
    old_baseline,
)

POLL_INTERVAL = 2.0
"""Seconds between the quick re-reads until the power has fallen."""

# A stop may be delayed by two minutes (set.system.time_randomized, E.6), a percent ramps for three.
DEADLINE_POWER = 240.0
DEADLINE_MEAN = 420.0
"""Where the miner reports only a mean of five minutes (C.1.4)."""

STANDBY_SHARE = 0.1
STANDBY_POWER = 100.0
"""W; a stopped miner draws less than this, or than that share of what it drew."""

REFUSALS = (WriteRefusedError, CommandRefusedError)
PASSING = (TokenTableFullError, TokenRejectedError)
"""Refusals that another program causes and that pass; the command is tried again."""

AMBIGUOUS = (132, -1)
"""Codes that only say that a command failed; some firmware answers so and does it all the same."""
AMBIGUOUS_READS = 5
"""How often the miner is read again after one of them."""

KEPT_OF_LAST = (
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
SOURCE_FAILING = "source_failing"
LOST = "curtailment_lost"
CONTROLS: dict[str, Control[Any]] = {
    control.key: control for control in (MINING, POWER_LIMIT, POWER_PERCENT)
}
LEFT_ALONE = {key: f"left_alone_{key}" for key in SETTINGS}
"""By setting: the issue that it was not restored, since its previous value is unknown."""
ISSUES = (FAILING, RESUME_FAILING, SOURCE_FAILING, LOST, *LEFT_ALONE.values())
FULL_POWER = "full_power"

RETRY_FIRST = 60.0
RETRY_LONGEST = 900.0
RETRY_SOURCE = 120.0
"""Seconds."""
MOST_CURTAILMENTS = 20
"""At the same time; an automation that always gives another reason must not fill the storage."""
MOST_ENDS = 10
"""Reasons of which the last end is kept."""
MOST_STEPS = 8
"""In a row; a decision that never rests must not become a storm."""

EVENT_DECISION = f"{DOMAIN}_power_decision"


class OvertakenError(HomeAssistantError):
    """The user or another action has come in between, and counts more."""


class Source(Protocol):
    """What may say how much a miner should draw. One of them is selected."""

    key: str

    @property
    def is_set_up(self) -> bool:
        """Return whether it can be selected."""

    def wish(self, now: datetime) -> Wish:
        """Return what it wants."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a curtailment or its end; its fields are those of the response."""

    confirmed: bool
    seconds: float
    power_before: float | None
    power_after: float | None
    way: Method
    stricter: bool = False
    """Whether another curtailment allows less."""


@dataclass
class _Retry:
    """When to try next automatically, each time later than the time before."""

    wait: float = RETRY_FIRST
    due: float = -math.inf

    def postpone(self) -> None:
        self.due = monotonic() + self.wait
        self.wait = min(self.wait * 2, RETRY_LONGEST)


class Session:
    """One attempt to carry decisions out; a newer one, or the user, takes its place."""

    def __init__(self, executor: PowerExecutor) -> None:
        """Begin."""
        self._executor = executor

    @property
    def is_current(self) -> bool:
        """Return whether nothing newer has begun."""
        return self._executor.session is self

    def check(self) -> None:
        """Raise if something newer has begun, or the entry is being unloaded."""
        self._executor.check_loaded()
        if not self.is_current:
            raise self._executor.overtaken()


class PowerExecutor:
    """The one that commands the power of a miner."""

    def __init__(self, commander: Commander) -> None:
        """Load the stored curtailments; `start` continues them."""
        self._commander = commander
        self._coordinator = coordinator = commander.coordinator
        self._hass: HomeAssistant = coordinator.hass
        stored = coordinator.store.curtailment
        self.record, is_lost = load_record(stored, coordinator.name)
        if is_lost or "curtailment" in coordinator.store.dropped:
            self._create_issue(LOST, ir.IssueSeverity.ERROR)
        else:
            coordinator.store.observe_settings(old_baseline(stored))
        self.sources: dict[str, Source] = {}
        self.source: Source | None = None
        self.budget: Callable[[], Budget] = Budget
        self.before_restart: Callable[[], Awaitable[None]] | None = None
        """What a source wants to do before it restarts the miner."""
        self.status = TargetStatus.OFF
        self.decision = Decision()
        self.session = Session(self)
        self._busy = 0
        self._retry = _Retry()
        self._source_due = -math.inf
        self._commanded_at = monotonic()
        self._stop_timer: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Watch over the power from now on."""
        if self.sources and not (self.source and self.source.is_set_up):
            self.source = next(iter(self.sources.values()))
        entry = self._coordinator.config_entry
        self._commander.on_user_command(self._on_user_command)
        entry.async_on_unload(self._coordinator.async_add_listener(self._watch))
        entry.async_on_unload(self._cancel_timer)
        self._set_timer()
        self._watch()

    def check_loaded(self) -> None:
        """Raise if the entry is being unloaded: what follows is for the next one to do."""
        if self._coordinator.unloaded:
            raise failed("not_sent", host=self._coordinator.host)

    def overtaken(self) -> OvertakenError:
        """Return the error that something newer counts more."""
        return OvertakenError(
            translation_domain=DOMAIN,
            translation_key="curtailment_overtaken",
            translation_placeholders={"name": self._coordinator.config_entry.title},
        )

    # Sources

    @callback
    def add_source(self, source: Source) -> None:
        """Let a source be selected; the first one is selected until another is."""
        self.sources[source.key] = source
        selected = self.record.source or next(iter(self.sources))
        if source.key == selected:
            self.source = source

    @callback
    def select_source(self, key: str) -> None:
        """Let a source say how much the miner should draw."""
        if self.source is not (source := self.sources[key]):
            self.source = source
            self._change(source=key)
            self._start_task(self._save())

    @property
    def source_keys(self) -> list[str]:
        """Return the sources that can be selected."""
        return [key for key, source in self.sources.items() if source.is_set_up]

    @callback
    def let_source_start(self, key: str) -> None:
        """Select a source, and let it start a miner that the user stopped: the user wants it to."""
        self.select_source(key)
        if self.is_off_by_user:
            self._delete_issue(LEFT_ALONE[MINING.key])
            self._observe_setting(MINING.key, True)
            self._change(touched={**self.record.touched, MINING.key: True})

    @property
    def is_off_by_user(self) -> bool:
        """Return whether the miner is stopped, and not by this integration."""
        return self._baseline.mining is False and MINING.key not in self.record.touched

    @property
    def cap_percent(self) -> float:
        """Return what the strictest curtailment allows, in percent of the tuned power."""
        full = self._baseline.full_power
        one = strictest(self.record.active, full)
        if one is None:
            return 100.0
        if one.target is Target.STOP:
            return 0.0
        if one.target is Target.PERCENT and one.amount is not None:
            return float(one.amount)
        watts = one.watts(full)
        return 100 * watts / full if watts is not None and full else 100.0

    # What the sensors show

    @property
    def shown(self) -> Curtailment | None:
        """Return the strictest curtailment, else one whose end is not finished."""
        full = self._baseline.full_power
        return strictest(self.record.active or self.record.curtailments, full)

    @property
    def state(self) -> str:
        """Return the target of the strictest curtailment, or `none`."""
        return self.shown.target if self.shown else "none"

    @property
    def until(self) -> datetime | None:
        """Return when it ends automatically."""
        return self.shown.until if self.shown else None

    @property
    def reason(self) -> str | None:
        """Return its reason, as far as a state can show it."""
        one = self.shown
        return one.reason[:255] if one and one.reason else None

    @property
    def decided_by(self) -> str:
        """Return who decides about the power now: baseline, curtailment, or a source."""
        if self.decision.by is By.SOURCE and self.source:
            return self.source.key
        return self.decision.by

    @property
    def attributes(self) -> dict[str, Any]:
        """Return all that is known of the curtailments, and what became of the last one."""
        one = self.shown
        return {
            "reason": one.reason if one else None,
            "since": one.since if one else None,
            "until": self.until,
            "way": one.way if one else None,
            "ended": self.record.ended,
            "ended_reason": self.record.ended_reason,
            "stopped_again": one.stopped_again if one else 0,
            "error": one.error if one else None,
            "last": self.record.last,
            "ends": dict(self.record.ends),
            "curtailments": [
                {
                    "reason": other.reason,
                    "target": other.target.value,
                    "amount": other.amount,
                    "since": other.since.isoformat(),
                    "until": other.until.isoformat() if other.until else None,
                }
                for other in self.record.active
            ],
        }

    # Actions

    async def async_curtail(
        self,
        target: Target,
        amount: int | None = None,
        duration: timedelta | None = None,
        reason: str | None = None,
    ) -> Outcome:
        """Add a curtailment, and watch until the power has fallen.

        It takes the place of the one with the same reason. `amount` is a percent of the tuned
        power or W. Raises a translated HomeAssistantError when the miner refuses (then it is not
        kept), when the miner is offline or has no token (then it is applied as soon as possible),
        or when it was ended in between.
        """
        with self._acting() as session:
            await self._coordinator.async_refresh()
            self.check_loaded()
            now = dt_util.utcnow()
            new = Curtailment(
                target=target,
                amount=amount,
                since=now,
                until=now + duration if duration is not None else None,
                reason=reason,
            )
            earlier = [one for one in self.record.active if one.reason == reason]
            if not earlier and len(self.record.active) >= MOST_CURTAILMENTS:
                title = self._coordinator.config_entry.title
                raise invalid(
                    "curtail_too_many", name=title, count=str(MOST_CURTAILMENTS)
                )
            self._observe()
            for one in earlier:
                self._archive(one, EndedBy.REPLACED)
            LOGGER.info(
                "%s: curtailment begins: target %s, amount %s, until %s, reason: %s",
                self._coordinator.name,
                target,
                amount,
                new.until,
                reason,
            )
            self._delete_issue(LOST)
            self._change(
                curtailments=(*self.record.curtailments, new),
                complete=self.record.complete or self._is_answered,
            )
            self._retry = _Retry()
            try:
                return await self._act(session, new)
            except HomeAssistantError as err:
                cause, sentence = err.__cause__, await async_sentence(self._hass, err)
                if not isinstance(cause, REFUSALS) or isinstance(cause, PASSING):
                    await self._note_failure(err, new)
                elif now_one := self.record.find(new):
                    kind = err.translation_key
                    now_one = replace(now_one, error=sentence, error_kind=kind)
                    await self._undo(now_one, earlier)
                raise

    async def _undo(self, new: Curtailment, earlier: list[Curtailment]) -> None:
        """Delete a curtailment that the miner refused, and restore the one it replaced."""
        ended, reason = self.record.ended, self.record.ended_reason
        ends = self.record.ends
        self._archive(new, EndedBy.REFUSED)
        self._change(
            curtailments=(*self.record.curtailments, *earlier),
            ended=ended,
            ended_reason=reason,
            ends=ends,
        )
        await self._save()

    async def async_resume(self, reason: str | None = None) -> Outcome:
        """End the curtailment with a reason, or all; without any nothing is done."""
        with self._acting() as session:
            await self._coordinator.async_refresh()
            self.check_loaded()
            ended = self._end(
                EndedBy.RESUME,
                [one for one in self.record.active if reason in (None, one.reason)],
            )
            self._forget_untouched()
            if not self.record.touched and not self.record.curtailments:
                if ended:
                    await self._save()
                power = self._coordinator.data.power_now
                return Outcome(
                    confirmed=True,
                    seconds=0.0,
                    power_before=power,
                    power_after=power,
                    way=Method.NONE,
                )
            self._retry = _Retry()
            try:
                return await self._act(session, None)
            except HomeAssistantError as err:
                await self._note_failure(err, None)
                raise

    @contextmanager
    def _acting(self) -> Generator[Session]:
        """Begin a session; nothing is done automatically during it, and old power is no proof."""
        self._busy += 1
        self.session = session = Session(self)
        try:
            with self._coordinator.reading_psu():
                yield session
        finally:
            self._busy -= 1

    async def _act(self, session: Session, mine: Curtailment | None) -> Outcome:
        """Carry out what is decided, then poll until the power shows it."""
        loop, before = self._hass.loop, self._coordinator.data.power_now
        begun, method, confirmed = loop.time(), Method.NONE, True
        try:
            if not self._is_answered:
                await self._save()
            try:
                await self._until_answered(session)
                method = await self._carry_out(session)
            except OvertakenError:
                # Another action continues from here; this curtailment counts as well.
                if mine is None or not self.record.find(mine):
                    raise
            if mine is None:
                confirmed = not [
                    one for one in self.record.curtailments if one.ended_by
                ]
            else:
                confirmed = await self._confirm(mine, before)
                if confirmed:
                    await self._note_reached()
        finally:
            self._retry.postpone()
            self._coordinator.async_update_listeners()
        return Outcome(
            confirmed=confirmed,
            seconds=round(loop.time() - begun, 2),
            power_before=before,
            power_after=self._coordinator.data.power_now,
            way=method,
            stricter=mine is not None
            and self.decision.curtailment is not None
            and not _is_one(self.decision.curtailment, mine),
        )

    async def _until_answered(self, session: Session) -> None:
        """Wait for the first answer of a miner that restarts; raise if it is offline."""
        coordinator, end = self._coordinator, monotonic() + DEADLINE_REACHABLE
        while not self._is_answered:
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
            session.check()
            if not coordinator.last_update_success or monotonic() > end:
                error = coordinator.last_exception
                raise failed(
                    getattr(error, "translation_key", None) or "cannot_connect",
                    **(getattr(error, "translation_placeholders", None) or {})
                    | {"host": coordinator.host},
                ) from error
        self._observe()

    async def _carry_out(self, session: Session) -> Method:
        """Command one step after the other; return the last method."""
        method = Method.NONE
        for _ in range(MOST_STEPS):
            session.check()
            self._decide()
            if self._put_down():
                continue
            if self.decision.command is None:
                break
            await self._execute(session, self.decision, self.decision.command)
            method = self.decision.method
        if self.decision.waits_for:
            title = self._coordinator.config_entry.title
            raise failed(self.decision.waits_for, name=title)
        await self._settle()
        return method

    async def _execute(
        self, session: Session, decision: Decision, command: Command
    ) -> None:
        """Command one setting and confirm it; store first that it is changed."""
        if not command.adopt:
            touched = {**self.record.touched, command.key: True}
            self._change(touched=touched)
            if decision.curtailment and not command.raises:
                self._change_one(decision.curtailment, way=decision.method)
            await self._save()
        elif command.key == POWER_LIMIT.key and self.before_restart:
            await self.before_restart()
        session.check()
        try:
            is_last = await self._command(session, CONTROLS[command.key], command.value)
        except HomeAssistantError as err:
            unknown = err.translation_key == "unknown_outcome"
            if unknown and command.key in self.record.touched:
                self._change(touched={**self.record.touched, command.key: False})
                await self._save()
            raise
        self._commanded_at = monotonic()
        if not is_last:
            raise self.overtaken()
        if command.adopt:
            self._observe_setting(command.key, command.value)
            self._untouch(command.key)
        if decision.by is By.SOURCE:
            self.status = decision.status

    async def _command[T](
        self, session: Session, control: Control[T], value: T
    ) -> bool:
        try:
            return await control.async_set(self._commander, value, check=session.check)
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

    async def _confirm(self, mine: Curtailment, before: float | None) -> bool:
        """Poll quickly until the power is below a curtailment, or the time is up.

        A curtailment that was ended in the meantime is not confirmed.
        """
        coordinator, loop = self._coordinator, self._hass.loop
        begun = loop.time()
        while (one := self.record.find(mine)) and not coordinator.unloaded:
            state = coordinator.data
            if coordinator.fresh and self._is_down(one, state, before):
                return True
            limit = DEADLINE_MEAN if state.power_is_mean else DEADLINE_POWER
            if loop.time() - begun > limit:
                return False
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
        return False

    def _is_down(
        self, one: Curtailment, state: MinerState, before: float | None
    ) -> bool:
        """Return whether the power is below a curtailment; by the flag alone if it is unknown."""
        power = state.power_now
        if state.mining is False:
            limit = max(STANDBY_POWER, STANDBY_SHARE * (before or 0))
            return power is None or power <= limit
        if one.target is Target.STOP or one.way is Method.STOP:
            return False
        watts = one.watts(self._baseline.full_power)
        if watts is None:
            # Acknowledged, and no more can be known
            return one.way is Method.POWER_PERCENT
        return power is not None and power <= watts * TOLERANCE

    async def _note_reached(self) -> None:
        """Store that the power was down once."""
        self._delete_issue(FAILING)
        if any(not one.reached for one in self.record.active):
            for one in self.record.active:
                self._change_one(one, reached=True)
            await self._save()

    # What is decided

    @property
    def _baseline(self) -> Baseline:
        stored = self._coordinator.store.reported
        return Baseline(**{key: stored(key) for key in (*SETTINGS, FULL_POWER)})

    @property
    def _is_answered(self) -> bool:
        """Return whether the data are what the miner itself reported in the last poll."""
        state = self._coordinator.data
        return self._coordinator.fresh and not (
            state.summary is None and state.status is None
        )

    def _situation(self) -> Situation:
        """Return what is known of the miner now."""
        coordinator = self._coordinator
        state = coordinator.data
        limit = POWER_LIMIT.actual(coordinator)
        if state.status and state.status.power_limit_set:
            limit = int(state.status.power_limit_set)
        percent = POWER_PERCENT.actual(coordinator)
        assumed = POWER_PERCENT.is_assumed(state)
        is_tuned = None
        if state.activity is not None:
            is_tuned = state.activity is Activity.MINING
        is_unsure = self.record.touched.get(POWER_PERCENT.key) is False and is_tuned
        if assumed and is_unsure:
            percent = None
        elif percent is None and (assumed or state.status is not None):
            percent = FULL  # none is set, or none was since the miner started
        lag = DEADLINE_MEAN if state.power_is_mean else RETRY_FIRST
        return Situation(
            answered=self._is_answered,
            mining=state.mining,
            is_tuned=is_tuned,
            power=state.power_now,
            power_is_settled=monotonic() - self._commanded_at > lag,
            power_limit=limit,
            power_percent=percent,
            full_power=coordinator.store.tuned_power or POWER_LIMIT.actual(coordinator),
            lowest_power=lowest_power(coordinator),
            can_limit=coordinator.can(POWER_LIMIT.feature),
            can_percent=can_percent(coordinator),
        )

    def _decide(self) -> Decision:
        """Take a new decision, and announce it if it differs for people."""
        earlier = self.decision
        self.decision = decide(
            baseline=self._baseline,
            wish=self.source.wish(dt_util.utcnow()) if self.source else Wish(),
            curtailments=self.record.active,
            miner=self._situation(),
            touched=self.record.touched,
            budget=self.budget(),
            status=self.status,
        )
        if self.decision.command is None or self.decision.by is not By.SOURCE:
            self.status = self.decision.status
        if _summary(earlier) != _summary(self.decision):
            was_source = earlier.by is By.SOURCE
            self._announce(was_source=was_source)
        return self.decision

    def _announce(self, *, again: bool = False, was_source: bool = False) -> None:
        """Fire an event for the logbook; `again`: the miner had left the curtailment on its own."""
        decision, entry = self.decision, self._coordinator.config_entry
        one = decision.curtailment
        device = dr.async_get(self._hass).async_get_device_by_identifier(
            (DOMAIN, str(entry.unique_id)), entry.entry_id
        )
        self._hass.bus.async_fire(
            EVENT_DECISION,
            {
                "name": entry.title,
                "entry_id": entry.entry_id,
                "device_id": device.id if device else None,
                "decided_by": self.decided_by,
                "reason": one.reason if one else None,
                "target": one.target.value if one else None,
                "amount": one.amount if one else None,
                "watts": decision.watts,
                "until": one.until.isoformat() if one and one.until else None,
                "again": again,
                "percent": decision.percent,
                "why": decision.why,
                "was_source": was_source,
            },
        )

    @callback
    def _observe(self) -> None:
        """Store the settings as the miner reports them: they are what the user set.

        Not those that this integration changed; and none once a curtailment has begun.
        """
        if not self._is_answered or (self.record.complete and self.record.curtailments):
            return
        found = self._situation()
        settings = {
            MINING.key: found.mining,
            POWER_LIMIT.key: found.power_limit,
            POWER_PERCENT.key: found.power_percent,
        }
        if POWER_LIMIT.key not in self.record.touched:
            settings[FULL_POWER] = found.full_power  # type: ignore[assignment]
        self._coordinator.store.observe_settings(
            {
                key: self._commander.shown(key, value)
                for key, value in settings.items()
                if key not in self.record.touched
            }
        )
        if self.record.curtailments:
            self._change(complete=True)

    def _observe_setting(self, key: str, value: Any) -> None:
        self._coordinator.store.observe_settings({key: value})

    # What is stored

    def _change(self, **changes: Any) -> None:
        """Change the record; `_save` stores it."""
        self.record = replace(self.record, **changes)
        if not self.record.curtailments and self.record.complete:
            self.record = replace(self.record, complete=False)
        self._set_timer()

    def _change_one(self, one: Curtailment, **changes: Any) -> None:
        self.record = self.record.change(one, **changes)

    def _untouch(self, *keys: str) -> None:
        touched = self.record.touched
        self._change(touched={k: v for k, v in touched.items() if k not in keys})

    def _archive(self, one: Curtailment, ended_by: EndedBy) -> None:
        """Keep what became of a curtailment, and forget it."""
        stored = one.stored()
        ended = dt_util.utcnow()
        last = {key: stored[key] for key in KEPT_OF_LAST}
        last |= {"ended": ended.isoformat(), "ended_by": ended_by.value}
        text = ", ".join(f"{key}: {value}" for key, value in last.items())
        LOGGER.info("%s: curtailment ends: %s", self._coordinator.name, text)
        self.record = self.record.without([one])
        self._change(last=last)
        if ended_by is not EndedBy.REPLACED:
            ends = {**self.record.ends, one.reason or "": ended.isoformat()}
            while len(ends) > MOST_ENDS:
                del ends[min(ends, key=lambda reason: ends[reason])]
            self._change(ended=ended, ended_reason=one.reason, ends=ends)

    def _end(self, ended_by: EndedBy, ending: list[Curtailment]) -> list[Curtailment]:
        """Let curtailments no longer count; they are kept until the miner shows it."""
        for one in ending:
            self._change_one(one, ended_by=ended_by)
        self._set_timer()
        return ending

    def _put_down(self) -> bool:
        """Forget the settings that are restored, or left alone; return whether there were any."""
        decision = self.decision
        for key in decision.left_alone:
            self._create_issue(LEFT_ALONE[key], ir.IssueSeverity.WARNING)
        self._untouch(*decision.settled, *decision.left_alone)
        return bool(decision.settled or decision.left_alone)

    async def _settle(self) -> None:
        """Forget the curtailments that have ended, now that the miner shows it."""
        decision = self.decision
        ended = [one for one in self.record.curtailments if one.ended_by]
        if decision.command is not None or decision.waits_for or not self._is_answered:
            return
        for one in ended:
            assert one.ended_by
            self._archive(one, one.ended_by)
        if ended and not self.record.curtailments:
            self._delete_issue(FAILING, RESUME_FAILING)
        await self._save()

    async def _save(self) -> None:
        """Store the record, if it differs from what is stored."""
        self.check_loaded()
        self._coordinator.async_update_listeners()
        store, stored = self._coordinator.store, self.record.stored()
        if store.curtailment != stored:
            await store.async_keep("curtailment", stored)

    # Watching

    @callback
    def _set_timer(self) -> None:
        """Look when the next curtailment ends."""
        self._cancel_timer()
        ends = [one.until for one in self.record.active if one.until]
        if ends:
            self._stop_timer = async_track_point_in_utc_time(
                self._hass, self._time_is_up, min(ends)
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
        """After every poll: end what is over, and carry out what is decided."""
        self._observe()
        if self._busy:
            return
        now = dt_util.utcnow()
        over = [one for one in self.record.active if one.until and one.until <= now]
        if over:
            self._end(EndedBy.DURATION, over)
            self._retry = _Retry()
            if self._forget_untouched():
                self._start_task(self._save())
        decision = self._decide()
        if not self._is_answered:
            return
        is_pending = any(one.ended_by for one in self.record.curtailments)
        if not (
            decision.command or decision.settled or decision.left_alone or is_pending
        ):
            self._delete_issue(FAILING, RESUME_FAILING, SOURCE_FAILING)
            return
        is_source = decision.by is By.SOURCE and not is_pending
        if monotonic() >= (self._source_due if is_source else self._retry.due):
            self._start_task(self._work())

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        self._coordinator.start_task(work, "power")

    async def _work(self) -> None:
        """Carry out a decision in the background; report what goes wrong, and try again."""
        with self._acting() as session:
            decision = self.decision
            one = decision.curtailment
            try:
                if one and decision.command and not decision.command.raises:
                    await self._hold(session, one)
                else:
                    await self._save()
                    await self._carry_out(session)
            except OvertakenError as err:
                LOGGER.debug("%s: power: %s", self._coordinator.name, err)
            except HomeAssistantError as err:
                what = "power target" if decision.by is By.SOURCE else "curtailment"
                LOGGER.warning("%s: %s: %s", self._coordinator.name, what, err)
                if decision.by is By.SOURCE:
                    self._note_source_failure(markdown(str(err)))
                else:
                    self._retry.postpone()
                    await self._note_failure(err, one)
            else:
                if decision.by is not By.SOURCE:
                    self._retry.postpone()
            self._coordinator.async_update_listeners()

    async def async_follow_source(self, change: Awaitable[None]) -> None:
        """Let a source change, and carry out its new wish; raises when the miner refuses."""
        if self._busy:
            # What is under way is finished first; the poll after it takes the new wish.
            await change
            return
        with self._acting() as session:
            try:
                await change
                await self._carry_out(session)
            except HomeAssistantError:
                self._note_source_failure()
                raise
            finally:
                self._coordinator.async_update_listeners()

    def _note_source_failure(self, error: str | None = None) -> None:
        """Try again later; an error of the background is an issue, others were raised."""
        self.status = TargetStatus.FAILED
        self._source_due = monotonic() + RETRY_SOURCE
        if error:
            self._create_issue(SOURCE_FAILING, ir.IssueSeverity.WARNING, error=error)

    async def _hold(self, session: Session, one: Curtailment) -> None:
        """Curtail a miner again that started on its own; or for the first time, if that failed."""
        LOGGER.warning(
            "%s: draws more than a curtailment allows, curtailing again",
            self._coordinator.name,
        )
        was_down = one.reached
        self._change_one(one, stopped_again=one.stopped_again + was_down)
        outcome = await self._act(session, one)
        if self._coordinator.unloaded or not self.record.find(one):
            return
        if not outcome.confirmed:
            raise failed("curtailment_not_confirmed")
        self._retry = _Retry()
        self._retry.postpone()
        if was_down:
            self._announce(again=True)

    async def _note_failure(
        self, err: HomeAssistantError, one: Curtailment | None
    ) -> None:
        """Notify people, and keep the error; what is gone or overtaken has no say."""
        sentence = await async_sentence(self._hass, err)
        if self._coordinator.unloaded or isinstance(err, OvertakenError):
            return
        if one is not None:
            if not self.record.find(one):
                return
            kind, concerned = FAILING, [one]
        else:
            concerned = [c for c in self.record.curtailments if c.ended_by]
            kind = RESUME_FAILING
            if not concerned and not self.record.touched:
                return
        shown = markdown(sentence)  # it may quote the miner
        self._create_issue(kind, ir.IssueSeverity.ERROR, error=shown)
        for other in concerned:
            self._change_one(other, error=sentence, error_kind=err.translation_key)
        await self._save()

    @callback
    def _on_user_command(self, key: str, value: Any) -> None:
        """Let what the user commands count more than curtailments, and become the baseline."""
        if key not in SETTINGS:
            return
        self._delete_issue(LEFT_ALONE[key])
        self._observe_setting(key, value)
        self._untouch(key)
        one = strictest(self.record.active, self._baseline.full_power)
        is_stop = one is not None and one.target is Target.STOP
        ends = bool(value) if key == MINING.key else not is_stop
        if key == MINING.key and self.sources:
            self.select_source(next(iter(self.sources)))
        if ends:
            self._end(EndedBy.BY_HAND, list(self.record.active))
        if self.record.curtailments and (ends or key == MINING.key):
            self.session = Session(self)
        self._forget_untouched()
        self._start_task(self._save())

    def _forget_untouched(self) -> bool:
        """Forget the curtailments that have ended, if they have changed nothing."""
        ended = [one for one in self.record.curtailments if one.ended_by]
        if self.record.touched or not ended:
            return False
        for one in ended:
            assert one.ended_by
            self._archive(one, one.ended_by)
        if not self.record.curtailments:
            self._delete_issue(FAILING, RESUME_FAILING)
        return True

    def _delete_issue(self, *kinds: str) -> None:
        for kind in kinds:
            issue = f"{kind}_{self._coordinator.config_entry.entry_id}"
            ir.async_delete_issue(self._hass, DOMAIN, issue)

    def _create_issue(
        self, kind: str, severity: ir.IssueSeverity, **named: str
    ) -> None:
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


def _is_one(one: Curtailment, other: Curtailment) -> bool:
    return (one.reason, one.since) == (other.reason, other.since)


def _summary(decision: Decision) -> tuple[Any, ...]:
    """Return what makes two decisions different for people."""
    one = decision.curtailment
    percent = decision.percent if decision.by is By.SOURCE else None
    return decision.by, percent, one and (one.reason, one.target, one.amount)

"""Carry out what is decided about a miner's power: command, confirm, retry and hold."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
import math
from time import monotonic
from typing import Any, Protocol

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from ..api import (
    CommandRefusedError,
    TokenRejectedError,
    TokenTableFullError,
    UnsupportedCommandError,
    WriteRefusedError,
)
from ..commander import DEADLINE_REACHABLE, Commander
from ..const import DOMAIN, LOGGER
from ..controls import (
    MINING,
    PERCENT_RESTARTED,
    POWER_LIMIT,
    POWER_PERCENT,
    POWER_PERCENT_FAST,
    Control,
)
from ..exceptions import async_sentence, failed, invalid, markdown
from ..issues import delete_issues, report_issue
from .policy import (
    Budget,
    By,
    Case,
    Command,
    Decision,
    Situation,
    TargetStatus,
    Wish,
    strictest,
)
from .reading import LAG_OF_MEAN, is_answered, is_down, situation
from .record import (
    OUTLINE,
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

DEADLINE_POWER = 240.0
"""A stop may be delayed by two minutes (set.system.time_randomized, protocol.md#e6), a percent ramps for three."""

REFUSALS = (WriteRefusedError, CommandRefusedError)
PASSING = (TokenTableFullError, TokenRejectedError)
"""Refusals that another program causes and that pass; the command is tried again."""

AMBIGUOUS = (132, -1)
"""Codes that only say that a command failed; some firmware answers so and does it all the same."""
AMBIGUOUS_READS = 5
"""How often the miner is read again after one of them."""

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
OBSERVED = (*SETTINGS, FULL_POWER)
"""The fields of the baseline, as the miner reports them."""
ATTRIBUTES = ("reason", "since", "until", "way", "error")
"""Of the curtailment that is shown."""

RETRY_FIRST = 60.0
RETRY_LONGEST = 900.0
RETRY_SOURCE = 120.0
"""Seconds."""
MOST_CURTAILMENTS = 20
"""At the same time; an automation that always gives another reason must not fill the storage."""
MOST_STEPS = 8
"""Commands in a row: a decision that never settles must not flood the miner."""

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

    confirmed: bool = True
    seconds: float = 0.0
    power_before: float | None
    power_after: float | None
    way: Method = Method.NONE
    stricter: bool = False
    """Whether another curtailment allows less, or still applies after a resume."""


@dataclass
class _Retry:
    """When to try next automatically, each time later than the time before."""

    wait: float = RETRY_FIRST
    due: float = -math.inf

    def postpone(self) -> None:
        self.due = monotonic() + self.wait
        self.wait = min(self.wait * 2, RETRY_LONGEST)


type Check = Callable[[], None]
"""Raises if something newer has begun, the user has come in between, or the entry is unloaded."""


class PowerExecutor:
    """The one that commands the power of a miner."""

    def __init__(self, commander: Commander) -> None:
        """Load the stored curtailments; `start` continues them."""
        self._commander = commander
        self._coordinator = coordinator = commander.coordinator
        self._hass: HomeAssistant = coordinator.hass
        self._entry = coordinator.config_entry
        self._delete_issues = partial(delete_issues, self._hass, self._entry)
        stored = coordinator.store.curtailment
        self.record, is_lost = load_record(stored, coordinator.name)
        if is_lost or "curtailment" in coordinator.store.dropped:
            self._create_issue(LOST, ir.IssueSeverity.ERROR)
        else:
            coordinator.store.observe_settings(old_baseline(stored))
        self.sources: dict[str, Source] = {}
        self.selection = object()
        """Another one whenever another source is selected."""
        self.budget: Callable[[], Budget] = Budget
        self.before_restart: Callable[[], Awaitable[None]] | None = None
        """What a source wants to do before it restarts the miner."""
        self.status = TargetStatus.OFF
        """How far the wish of the source is fulfilled."""
        self.decision = Decision()
        self._attempt = object()
        self._busy = 0
        self._again = False
        self._most: int | None = None
        """The limit that the miner has taken instead of a higher one (W)."""
        self._retry = _Retry()
        self._source_due = -math.inf
        self._commanded_at = monotonic()
        self._stop_timer: CALLBACK_TYPE = lambda: None

    @callback
    def start(self) -> None:
        """Watch over the power from now on."""
        self.decision = self._new_decision()
        if self.record.announced is None:
            self.record = replace(self.record, announced=self.decision.essence)
        self._commander.on_user_command(self._on_user_command)
        self._entry.async_on_unload(self._coordinator.async_add_listener(self._watch))
        self._entry.async_on_unload(
            lambda: self._stop_timer()  # noqa: PLW0108 - another one by then
        )
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
            translation_placeholders={"name": self._entry.title},
        )

    # Sources

    @callback
    def add_source(self, source: Source) -> None:
        """Let a source be selected; the first one is the default."""
        self.sources[source.key] = source

    @property
    def default_source(self) -> Source:
        """Return the source that counts until another is selected."""
        return next(iter(self.sources.values()))

    @property
    def source(self) -> Source:
        """Return the selected source; the default while that is not set up."""
        source = self.sources.get(self.record.source or "")
        return source if source and source.is_set_up else self.default_source

    @callback
    def select_source(self, key: str) -> None:
        """Let a source say how much the miner should draw."""
        if self.record.source != key:
            self.record = replace(self.record, source=key)
            self.selection = object()
            self._save_later()

    @callback
    def leave_source(self, key: str) -> None:
        """Select the default instead of a source that was removed.

        Else it would take over the power when it is added again.
        """
        if self.record.source == key:
            self.select_source(self.default_source.key)

    @property
    def source_keys(self) -> list[str]:
        """Return the sources that can be selected."""
        return [key for key, source in self.sources.items() if source.is_set_up]

    @callback
    def let_source_start(self, key: str) -> None:
        """Select a source, and let it start a miner that the user stopped: the user wants it to."""
        self.select_source(key)
        if self.is_off_by_user:
            self._delete_issues(LEFT_ALONE[MINING.key])
            self._coordinator.store.observe_settings({MINING.key: True})
            self._touch(MINING.key, True)

    @callback
    def enforce_source(self) -> None:
        """Carry out the wish of the source before what is under way: safety cannot wait."""
        self._decide()
        self._coordinator.start_task(self._work(), "power")

    @callback
    def send_again(self) -> None:
        """Send the next command although the miner reports that it has obeyed an earlier one."""
        self._again = True

    @property
    def is_stopped(self) -> bool:
        """Return whether the miner reports that it does not mine."""
        return self._coordinator.data.mining is False

    @property
    def is_off_by_user(self) -> bool:
        """Return whether the miner is stopped, and not by this integration."""
        return self._baseline.mining is False and MINING.key not in self.record.touched

    @property
    def cap_percent(self) -> float:
        """Return what the strictest curtailment allows, in percent of the tuned power."""
        full = self._baseline.full_power
        one = strictest(self.record.active, full)
        if one and one.target is Target.STOP:
            return 0.0
        if one and one.target is Target.PERCENT:
            return float(one.amount or 0)
        watts = one.watts(full) if one else None
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
    def reason(self) -> str | None:
        """Return its reason, as far as a state can show it."""
        reason = self.shown and self.shown.reason
        return reason[:255] if reason else None

    @property
    def decided_by(self) -> str:
        """Return who decides about the power now: baseline, curtailment, or a source."""
        by, holds = self.decision.by, self.decision.wish.hold
        # What a source leaves as it is, is not as the user has set it.
        is_held = by is By.BASELINE and holds and not self.is_off_by_user
        return self.source.key if by is By.SOURCE or is_held else by

    @property
    def attributes(self) -> dict[str, Any]:
        """Return all that is known of the curtailments, and what became of the last one."""
        one, record = self.shown, self.record
        return {
            **{key: getattr(one, key, None) for key in ATTRIBUTES},
            "stopped_again": one.stopped_again if one else 0,
            "ended": record.ended,
            "ended_reason": record.ended_reason,
            "last": record.last,
            "ends": dict(record.ends),
            "curtailments": [other.outline() for other in record.active],
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
        with self._acting() as check:
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
                raise invalid(
                    "curtail_too_many",
                    name=self._entry.title,
                    count=str(MOST_CURTAILMENTS),
                )
            self._observe()
            for one in earlier:
                self._archive(one, EndedBy.REPLACED)
            self._log("begins", new.outline())
            self._delete_issues(LOST)
            self.record = self.record.begin(new, complete=self._is_answered)
            self._retry = _Retry()
            try:
                return await self._act(check, new)
            except HomeAssistantError as err:
                cause, sentence = err.__cause__, await async_sentence(self._hass, err)
                if not isinstance(cause, REFUSALS) or isinstance(cause, PASSING):
                    await self._note_failure(err, new)
                elif now_one := self.record.find(new):
                    kind = err.translation_key
                    now_one = replace(now_one, error=sentence, error_kind=kind)
                    self._archive(now_one, EndedBy.REFUSED)
                    for one in earlier:
                        self.record = self.record.begin(one)
                    await self._save()
                raise

    async def async_resume(self, reason: str | None = None) -> Outcome:
        """End the curtailment with a reason, or all; without any nothing is done."""
        with self._acting() as check:
            await self._coordinator.async_refresh()
            self.check_loaded()
            active = self.record.active
            ending = [one for one in active if reason in (None, one.reason)]
            self.record = self.record.change(ending, ended_by=EndedBy.RESUME)
            self._forget_untouched()
            if not self.record.touched and not self.record.curtailments:
                await self._save()
                power = self._coordinator.data.power_now
                return Outcome(power_before=power, power_after=power)
            self._retry = _Retry()
            try:
                return await self._act(check, None)
            except HomeAssistantError as err:
                await self._note_failure(err, None)
                raise

    @contextmanager
    def _acting(self) -> Generator[Check]:
        """Begin an attempt; nothing is done automatically during it, and old power is no proof."""
        self._busy += 1
        self._attempt = mine = object()

        def check() -> None:
            self.check_loaded()
            if self._attempt is not mine:
                raise self.overtaken()

        try:
            with self._coordinator.reading_psu():
                yield check
        finally:
            self._busy -= 1

    async def _act(self, check: Check, mine: Curtailment | None) -> Outcome:
        """Carry out what is decided, then poll until the power shows it."""
        loop, before = self._hass.loop, self._coordinator.data.power_now
        begun, method, confirmed = loop.time(), Method.NONE, True
        try:
            if not self._is_answered:
                await self._save()
            try:
                await self._until_answered(check)
                method = await self._carry_out(check)
            except OvertakenError:
                # Another action continues from here; this curtailment counts as well.
                if mine is None or not self.record.find(mine):
                    raise
            if mine is None:
                confirmed = not self.record.ended_ones
            else:
                confirmed = await self._confirm(mine, before)
            if mine and confirmed:
                self._delete_issues(FAILING)
                self.record = self.record.change(self.record.active, reached=True)
                await self._save()
        finally:
            self._retry.postpone()
            self._coordinator.async_update_listeners()
        cap = self.decision.curtailment
        return Outcome(
            confirmed=confirmed,
            seconds=round(loop.time() - begun, 2),
            power_before=before,
            power_after=self._coordinator.data.power_now,
            way=method,
            stricter=bool(cap and not (mine and cap.identity == mine.identity)),
        )

    async def _until_answered(self, check: Check) -> None:
        """Wait for the first answer of a miner that restarts; raise if it is offline."""
        coordinator, end = self._coordinator, monotonic() + DEADLINE_REACHABLE
        while not self._is_answered:
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
            check()
            if not coordinator.last_update_success or monotonic() > end:
                error = coordinator.last_exception
                raise failed(
                    getattr(error, "translation_key", None) or "cannot_connect",
                    **(getattr(error, "translation_placeholders", None) or {})
                    | {"host": coordinator.host},
                ) from error
        self._observe()

    async def _carry_out(self, check: Check) -> Method:
        """Command one step after the other; return the last method."""
        method, end = Method.NONE, monotonic() + DEADLINE_REACHABLE
        for _ in range(MOST_STEPS):
            check()
            decision = self._decide()
            for key in decision.left_alone:
                self._create_issue(LEFT_ALONE[key], ir.IssueSeverity.WARNING)
            if decision.settled or decision.left_alone:
                self._untouch(*decision.settled, *decision.left_alone)
            elif decision.command is None:
                # A miner that was just started may not report it for a moment.
                if not decision.waits_for or method is Method.NONE or monotonic() > end:
                    break
                await asyncio.sleep(POLL_INTERVAL)
                await self._coordinator.async_refresh()
            else:
                self._again = False
                await self._execute(check, decision, decision.command)
                method = decision.command.method
        self._again = False
        if self.decision.waits_for:
            raise failed(self.decision.waits_for, name=self._entry.title)
        if self.decision.command is None and self._is_answered:
            self._archive_ended()
            await self._save()
        return method

    async def _execute(
        self, check: Check, decision: Decision, command: Command
    ) -> None:
        """Command one setting and confirm it; store first that it is changed."""
        key, was_known = command.key, self.record.touched.get(command.key, True)
        if not command.adopt:
            # Unknown until it is confirmed, which the end of the entry may prevent.
            self._touch(key, self.record.touched.get(key, False))
            if (one := decision.curtailment) and not command.raises:
                self.record = self.record.change([one], way=command.method)
            await self._save()
        elif key == POWER_LIMIT.key and self.before_restart:
            await self.before_restart()
        control = POWER_PERCENT_FAST if command.fast else CONTROLS[key]
        self._commanded_at = monotonic()  # a newer wish may come before the outcome
        try:
            check()
            is_last = await control.async_set(
                self._commander, command.value, check=check
            )
        except HomeAssistantError as err:
            is_last = await self._has_effect(control, command.value, err)
            if not is_last:
                known = was_known and err.translation_key != "unknown_outcome"
                await self._note_outcome(key, known=known)
                if err.translation_key == PERCENT_RESTARTED:
                    return  # decide again, without a percent
                raise
        await self._note_outcome(key, known=True)
        self._commanded_at = monotonic()
        if not is_last:
            raise self.overtaken()
        if command.adopt:
            taken = POWER_LIMIT.value_fn(self._coordinator.data)
            self._most = taken if taken and taken < command.value else None
            self._coordinator.store.observe_settings({key: command.value})
            self._untouch(key)
        if decision.by is By.SOURCE:
            self.status = decision.status

    async def _note_outcome(self, key: str, *, known: bool) -> None:
        """Store whether it is known what a command did, unless the user has set it since."""
        if key in self.record.touched:
            self._touch(key, known)
            await self._save()

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
            if coordinator.fresh and is_down(one, state, self._baseline, before):
                return True
            limit = LAG_OF_MEAN if state.power_is_mean else DEADLINE_POWER
            if loop.time() - begun > limit:
                return False
            await asyncio.sleep(POLL_INTERVAL)
            await coordinator.async_refresh()
        return False

    # What is decided

    @property
    def _baseline(self) -> Baseline:
        reported = self._coordinator.store.reported
        return Baseline(**{key: reported.get(key) for key in OBSERVED})

    @property
    def _is_answered(self) -> bool:
        return is_answered(self._coordinator)

    def _situation(self) -> Situation:
        since_command = monotonic() - self._commanded_at
        return situation(self._coordinator, self.record.touched, since_command)

    def _new_decision(self) -> Decision:
        return Case(
            baseline=self._baseline,
            wish=self.source.wish(dt_util.utcnow()),
            curtailments=self.record.active,
            miner=self._situation(),
            touched=self.record.touched,
            budget=self.budget(),
            status=self.status,
            most=self._most,
            again=self._again,
        ).decide()

    def _decide(self) -> Decision:
        """Take a new decision, and announce it if it differs for people."""
        self.decision = self._new_decision()
        if self.decision.command is None or self.decision.by is not By.SOURCE:
            self.status = self.decision.status
        before, essence = self.record.announced or [None], self.decision.essence
        was_source = before[:1] == [By.SOURCE]
        # Until its source is loaded a miner stays as it is.
        waits = self.decision.by is By.BASELINE and self.decision.wish.hold
        if before != essence and not (was_source and waits):
            self.record = replace(self.record, announced=essence)
            self._announce(was_source=was_source)
            # Without the listeners, which would take this decision once more.
            self._coordinator.start_task(self._keep(), "power")
        return self.decision

    def _announce(self, *, again: bool = False, was_source: bool = False) -> None:
        """Fire an event for the logbook; `again`: the miner had left the curtailment on its own."""
        decision, entry = self.decision, self._entry
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
                "watts": decision.watts,
                "off_by_user": self.is_off_by_user,
                **(one.outline() if one else dict.fromkeys(OUTLINE)),
                "again": again,
                "percent": decision.percent,
                "why": decision.wish.why,
                "why_of": decision.wish.why_of,
                "price": decision.wish.price,
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
        found, ours = self._situation(), set(self.record.touched)
        if POWER_LIMIT.key in ours:
            ours.add(FULL_POWER)
        self._coordinator.store.observe_settings(
            {
                key: self._commander.shown(key, getattr(found, key))
                for key in OBSERVED
                if key not in ours
            }
        )
        if self.record.curtailments:
            self.record = replace(self.record, complete=True)

    # What is stored; `_save` stores a changed record

    def _touch(self, key: str, known: bool) -> None:
        touched = {**self.record.touched, key: known}
        self.record = replace(self.record, touched=touched)

    def _untouch(self, *keys: str) -> None:
        touched = {k: v for k, v in self.record.touched.items() if k not in keys}
        self.record = replace(self.record, touched=touched)

    def _log(self, what: str, curtailment: dict[str, Any]) -> None:
        text = ", ".join(f"{key}: {value}" for key, value in curtailment.items())
        LOGGER.info("%s: curtailment %s: %s", self._coordinator.name, what, text)

    def _archive(self, one: Curtailment, ended_by: EndedBy) -> None:
        """Keep what became of a curtailment, and forget it."""
        self.record = self.record.archive(one, ended_by, dt_util.utcnow())
        self._log("ends", self.record.last or {})

    def _archive_ended(self) -> bool:
        """Forget the curtailments that have ended; return whether there were any."""
        ended = self.record.ended_ones
        for one in ended:
            assert one.ended_by
            self._archive(one, one.ended_by)
        if ended and not self.record.curtailments:
            self._delete_issues(FAILING, RESUME_FAILING)
        return bool(ended)

    async def _save(self) -> None:
        """Show the record, and store it."""
        self.check_loaded()
        self._coordinator.async_update_listeners()
        await self._keep()

    async def _keep(self) -> None:
        """Store the record, if it differs from what is stored."""
        store, stored = self._coordinator.store, self.record.stored()
        if store.curtailment != stored:
            await store.async_keep("curtailment", stored)

    def _save_later(self) -> None:
        self._coordinator.start_task(self._save(), "power")

    # Watching

    def _set_timer(self, now: datetime) -> None:
        """Look when the next curtailment ends; soon again if an action delays that."""
        self._stop_timer()
        if ends := [one.until for one in self.record.active if one.until]:
            end = max(min(ends), now + timedelta(seconds=1))
            self._stop_timer = async_track_point_in_utc_time(
                self._hass, self._watch, end
            )

    @callback
    def _watch(self, _: datetime | None = None) -> None:
        """After every poll and change: end what is over, and carry out what is decided."""
        self._observe()
        now = dt_util.utcnow()
        self._set_timer(now)
        if self._busy:
            return
        over = [one for one in self.record.active if one.until and one.until <= now]
        if over:
            self.record = self.record.change(over, ended_by=EndedBy.DURATION)
            self._retry = _Retry()
            if self._forget_untouched():
                self._save_later()
        decision = self._decide()
        if not self._is_answered:
            return
        is_pending = bool(self.record.ended_ones)
        if not (
            decision.command or decision.settled or decision.left_alone or is_pending
        ):
            self._delete_issues(FAILING, RESUME_FAILING, SOURCE_FAILING)
            return
        is_source = decision.by is By.SOURCE and not is_pending
        if monotonic() >= (self._source_due if is_source else self._retry.due):
            self._coordinator.start_task(self._work(), "power")

    async def _work(self) -> None:
        """Carry out a decision in the background; report what goes wrong, and try again."""
        with self._acting() as check:
            decision = self.decision
            one = decision.curtailment
            try:
                if one and decision.command and not decision.command.raises:
                    await self._hold(check, one)
                else:
                    await self._save()
                    await self._carry_out(check)
            except OvertakenError as err:
                LOGGER.debug("%s: power: %s", self._coordinator.name, err)
            except HomeAssistantError as err:
                what = "power target" if decision.by is By.SOURCE else "curtailment"
                LOGGER.warning("%s: %s: %s", self._coordinator.name, what, err)
                if decision.by is By.SOURCE:
                    sentence = await async_sentence(self._hass, err)
                    self._note_source_failure(markdown(sentence))
                else:
                    self._retry.postpone()
                    await self._note_failure(err, one)
            else:
                if decision.by is not By.SOURCE:
                    self._retry.postpone()
            self._coordinator.async_update_listeners()

    async def async_follow_source(
        self, change: Awaitable[None], *, newest: bool = False
    ) -> None:
        """Let a source change, and carry out its new wish; raises when the miner refuses.

        The `newest` wish takes the place of what is under way.
        """
        if self._busy and not newest:
            # What is under way is finished first; the poll after it takes the new wish.
            await change
            return
        with self._acting() as check:
            try:
                await change
                await self._carry_out(check)
            except OvertakenError:
                raise
            except HomeAssistantError:
                self._note_source_failure()
                raise
            finally:
                self._coordinator.async_update_listeners()

    def _note_source_failure(self, error: str | None = None) -> None:
        """Try again later; an error in the background becomes an issue, since no caller sees it."""
        self.status = TargetStatus.FAILED
        self._source_due = monotonic() + RETRY_SOURCE
        if error and not self._coordinator.unloaded:
            self._create_issue(SOURCE_FAILING, ir.IssueSeverity.WARNING, error=error)

    async def _hold(self, check: Check, one: Curtailment) -> None:
        """Curtail a miner again that started on its own; or for the first time, if that failed."""
        LOGGER.warning(
            "%s: draws more than a curtailment allows, curtailing again",
            self._coordinator.name,
        )
        was_down = one.reached
        again = one.stopped_again + was_down
        self.record = self.record.change([one], stopped_again=again)
        outcome = await self._act(check, one)
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
        """Create the issue and keep the error, unless the curtailment has ended or was overtaken."""
        sentence = await async_sentence(self._hass, err)
        if self._coordinator.unloaded or isinstance(err, OvertakenError):
            return
        if one and not self.record.find(one):
            return
        concerned = (one,) if one else self.record.ended_ones
        if not concerned and not self.record.touched:
            return
        kind = FAILING if one else RESUME_FAILING
        shown = markdown(sentence)  # it may quote the miner
        self._create_issue(kind, ir.IssueSeverity.ERROR, error=shown)
        self.record = self.record.change(
            concerned, error=sentence, error_kind=err.translation_key
        )
        await self._save()

    @callback
    def _on_user_command(self, key: str, value: Any) -> None:
        """Let what the user commands count more than curtailments, and become the baseline."""
        if key not in SETTINGS:
            return
        self._delete_issues(LEFT_ALONE[key])
        self._coordinator.store.observe_settings({key: value})
        self._untouch(key)
        one = strictest(self.record.active, self._baseline.full_power)
        is_stop = one is not None and one.target is Target.STOP
        ends = bool(value) if key == MINING.key else not is_stop
        if key == MINING.key:
            self.select_source(self.default_source.key)
        if ends:
            active = self.record.active
            self.record = self.record.change(active, ended_by=EndedBy.BY_HAND)
        if self.record.curtailments and (ends or key == MINING.key):
            self._attempt = object()
        self._forget_untouched()
        self._save_later()

    def _forget_untouched(self) -> bool:
        """Forget the curtailments that have ended, if they have changed nothing."""
        return not self.record.touched and self._archive_ended()

    def _create_issue(
        self, kind: str, severity: ir.IssueSeverity, error: str = ""
    ) -> None:
        report_issue(
            self._hass,
            self._entry,
            kind,
            is_persistent=kind in LEFT_ALONE.values(),
            severity=severity,
            time=dt_util.now().strftime("%Y-%m-%d %H:%M"),
            error=error,
        )

"""Decide about a miner's power: a pure function of what is wanted and what is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..const import FULL, LOWEST_PERCENT
from .record import LIMIT, MINING, PERCENT, Baseline, Curtailment, Method, Target

SOURCES = (
    "manual",
    "price_limits",
    "most_profitable",
    "plan",
    "thermostat",
    "group",
    "external",
)
"""What may say how much a miner should draw; those that are set up can be selected."""

TOLERANCE = 1.05
"""The noise of the power that the miner reports, and that of its own regulation."""


class By(StrEnum):
    """Who decides about the power."""

    BASELINE = "baseline"
    SOURCE = "source"
    CURTAILMENT = "curtailment"


class TargetStatus(StrEnum):
    """How far the wish of the power source is fulfilled."""

    OFF = "off"
    DEAD_BAND = "dead_band"
    POWER_PERCENT = "power_percent"
    POWER_LIMIT = "power_limit"
    AT_LIMIT = "at_limit"
    """Neither percent nor limit leads nearer: a lower power mode is active, say."""
    WAITING_TUNED = "waiting_tuned"
    WAITING_INTERVAL = "waiting_interval"
    RESTARTS_NOT_ALLOWED = "restarts_not_allowed"
    STOPPED = "stopped"
    CURTAILED = "curtailed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a power source wants the miner to draw; nothing, if no field is set."""

    watts: float | None = None
    percent: float | None = None
    """Of the tuned power. Reached by a percent alone, never by a power limit."""
    stop: bool = False
    hold: bool = False
    """Whether the miner stays as it is, also if this source has stopped it."""
    fast: bool = False
    """Whether a percent is set by the fast command."""
    why: str | None = None
    """For the logbook: the key of a text, or a state of `why_of`."""
    why_of: str | None = None
    """The status sensor that says why."""
    price: float | None = None
    """For the logbook: the price of electricity that decided, per kWh."""
    expires: bool = False
    """Whether it is out of date once a curtailment has ended."""
    modulates: bool = False
    """Whether the percent changes all the time: only stop and start are worth a line."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is known of the miner now; None is unknown."""

    answered: bool = True
    """Whether all of this is what the miner reported in the last poll."""
    mining: bool | None = None
    is_tuned: bool | None = None
    """Whether it mines and is tuned, so that it follows a percent."""
    power: float | None = None
    power_is_settled: bool = True
    """Whether `power` has followed the last command."""
    commands_have_shown: bool = True
    """Whether the last command is so long ago that the miner must show what it did."""
    power_limit: int | None = None
    power_percent: int | None = None
    full_power: float | None = None
    """What it draws when tuned, under the limit that is set now, at 100 % (W)."""
    lowest_power: float = 0.0
    can_limit: bool = True
    can_percent: bool = True


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a power source may cost; a curtailment has no budget."""

    dead_band: float = 0.0
    restarts_allowed: bool = True
    restart_is_due: bool = True
    """Whether the interval since the last restart is over."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A setting to command."""

    key: str
    value: bool | int
    adopt: bool = False
    """Whether it becomes part of the baseline, as if the user had set it."""
    raises: bool = False
    """Whether it lets the miner draw more."""
    fast: bool = False
    """Whether a percent is set by the fast command."""

    @property
    def method(self) -> Method:
        """Return how it reaches the power."""
        return Method.STOP if self.key == MINING else Method(self.key)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done now."""

    by: By = By.BASELINE
    curtailment: Curtailment | None = None
    """The strictest."""
    watts: float | None = None
    """The effective power; None where nothing limits it, or where it is unknown."""
    wish: Wish = Wish()
    command: Command | None = None
    status: TargetStatus = TargetStatus.OFF
    settled: tuple[str, ...] = ()
    """Changed settings that are as in the baseline again."""
    left_alone: tuple[str, ...] = ()
    """Changed settings that stay changed, since the baseline is unknown."""
    waits_for: str | None = None
    """The key of the sentence that says what must be known first."""

    @property
    def percent(self) -> float | None:
        """Return what the source wants, if that is a percent or a stop (0)."""
        return 0.0 if self.wish.stop else self.wish.percent

    @property
    def essence(self) -> list[Any]:
        """Return what makes two decisions different for people, as JSON."""
        one = self.curtailment if self.by is By.CURTAILMENT else None
        percent = self.percent if self.by is By.SOURCE else None
        if percent and self.wish.modulates:
            percent = FULL
        limit = one and [one.reason, one.target.value, one.amount]
        return [self.by.value, percent, limit]


def strictest(
    curtailments: Iterable[Curtailment], full_power: float | None
) -> Curtailment | None:
    """Return the curtailment that allows least; the oldest of equal ones."""

    def allowance(one: Curtailment) -> tuple[float, datetime, str]:
        watts = one.watts(full_power or FULL) or 0.0
        return watts, one.since, one.reason or ""

    return min(curtailments, key=allowance, default=None)


@dataclass(kw_only=True)
class Case:
    """All that a decision depends on."""

    baseline: Baseline
    wish: Wish
    curtailments: Iterable[Curtailment]
    miner: Situation
    touched: Mapping[str, bool]
    budget: Budget
    status: TargetStatus = TargetStatus.OFF
    most: int | None = None
    """The limit that the miner has taken instead of a higher one (W)."""
    again: bool = False
    """Whether a command is sent although the miner reports that it has obeyed an earlier one."""

    def __post_init__(self) -> None:
        """Compare what the source wants with what the strictest curtailment allows."""
        wish, full = self.wish, self.baseline.full_power
        self.percent = self.miner.power_percent or FULL
        self.cap = strictest(self.curtailments, full)
        self.is_stop = self.cap is not None and self.cap.target is Target.STOP
        self.cap_watts = cap = self.cap.watts(full) if self.cap else None
        self.wish_watts = watts = wish.watts
        if wish.percent is not None and full:
            self.wish_watts = watts = full * wish.percent / 100
        self.has_wish = wish.stop or (wish.watts, wish.percent) != (None, None)
        allows_less = cap is None or watts is None or cap < watts
        self.is_capped = self.is_stop or (
            self.cap is not None and allows_less and not wish.stop
        )
        known = [one for one in (cap, watts) if one is not None]
        self.watts = 0.0 if wish.stop else min(known, default=None)

    def decide(self) -> Decision:
        """Return who decides, the effective power, and the next command that leads there.

        Each rule returns a decision, or leaves it to the next. Nothing is commanded on old news.
        """
        rules = (
            self.off,
            self.stopped,
            self.capped,
            self.restore_limit,
            self.seek,
            self.restore_percent,
        )
        found = (rule() for rule in rules if self.miner.answered)
        return next(filter(None, found), self.decision())

    def decision(
        self,
        command: Command | None = None,
        status: TargetStatus | None = None,
        **more: Any,
    ) -> Decision:
        """Return a decision with who made it, and how far the wish is fulfilled."""
        by = By.SOURCE if self.has_wish else By.BASELINE
        if self.is_capped:
            by, status = By.CURTAILMENT, TargetStatus.CURTAILED
        is_off = self.baseline.mining is False and not self.miner.mining
        if is_off and MINING not in self.touched:
            by = By.BASELINE  # off by the user stays off
        return Decision(
            by=by,
            curtailment=self.cap,
            watts=self.watts,
            wish=self.wish,
            command=command,
            status=(status or self.status) if self.has_wish else TargetStatus.OFF,
            **more,
        )

    # Rules, in the order in which they are asked

    def off(self) -> Decision | None:
        """A stop that is wanted."""
        if not (self.is_stop or self.wish.stop):
            return None
        mining = self.miner.mining
        if mining is None:
            mining = self.is_stop
        mining = mining or (self.again and MINING in self.touched)
        command = Command(key=MINING, value=False) if mining else None
        return self.decision(command, TargetStatus.STOPPED)

    def stopped(self) -> Decision | None:
        """A miner that does not mine is started only if this integration stopped it."""
        if self.miner.mining is not False:
            is_settled = self.miner.mining and MINING in self.touched
            if is_settled and self._has_shown(MINING):
                return self.decision(settled=(MINING,))
            return None
        # A start ends in tuning, in which only a limit holds the power down.
        is_held = self.cap and self.baseline.mining and self._limit_for_cap is None
        if MINING not in self.touched or is_held or self.wish.hold:
            return self.decision(status=TargetStatus.STOPPED)
        return self._restored(
            MINING, self.baseline.mining, now=False, status=TargetStatus.STOPPED
        )

    def capped(self) -> Decision | None:
        """Bring the power below the strictest curtailment."""
        if self.cap is None:
            return None
        command = self._raised_limit()
        if command is None and not self._is_low_enough:
            command = self._percent_for_cap() if self.miner.is_tuned else self._less()
            command = command if self._is_due(command) else None
        if command or self.wish_watts is None:
            return self.decision(command)
        return None

    def restore_limit(self) -> Decision | None:
        """Restore the power limit that a curtailment lowered."""
        if self.cap or LIMIT not in self.touched or not self.miner.mining:
            return None
        now = self.miner.power_limit if self.touched[LIMIT] else None
        return self._restored(LIMIT, self.baseline.power_limit, now)

    def seek(self) -> Decision | None:
        """Bring the power to what the source wants, as near as its budget allows.

        A percent is reached by a percent alone: its source has a dead band of its own.
        """
        if not self.has_wish or (self.cap and self.cap_watts is None):
            return None
        if status := self._not_ready:
            return self.decision(status=status)
        full, percent = self.miner.full_power, self.wish.percent
        target, band = self.watts, self.budget.dead_band
        if percent is not None and not self.is_capped and full:
            percent = max(percent, LOWEST_PERCENT)
            target = full * percent / 100
        assert full
        assert target is not None
        if percent is None and abs(target - full * self.percent / 100) <= band:
            lasts = self.status in (
                TargetStatus.POWER_PERCENT,
                TargetStatus.POWER_LIMIT,
            )
            return self.decision(status=None if lasts else TargetStatus.DEAD_BAND)
        wanted = self._percent_to_seek(100 * target / full)
        fits = wanted >= LOWEST_PERCENT and (percent or target <= full + band)
        if self.miner.can_percent and fits:
            # Whole percents lead no nearer than this, and a restart is not worth the rest.
            return self._sought(PERCENT, wanted, TargetStatus.POWER_PERCENT)
        status = TargetStatus.AT_LIMIT if percent else self._why_no_limit(target)
        if status is None:
            return self._sought(LIMIT, round(target), TargetStatus.POWER_LIMIT)
        # Until then as near as it gets without a restart, and above no curtailment
        nearest = FULL if target > full else LOWEST_PERCENT
        if not self.miner.can_percent or (self.is_capped and nearest > wanted):
            nearest = self.percent
        return self._sought(PERCENT, nearest, status)

    def restore_percent(self) -> Decision | None:
        """Restore the power percent that a curtailment lowered, once the miner follows one."""
        if self.cap or PERCENT not in self.touched or self.miner.mining is False:
            return None
        if self.wish.hold:
            return self.decision()
        before, now = self.baseline.power_percent, self.miner.power_percent
        if before is not None and self.miner.is_tuned is None:
            return self.decision(waits_for="activity_unknown")
        found = self._restored(
            PERCENT, FULL if before == 0 else before, FULL if now == 0 else now
        )
        # A restart took it back; the rest follows when the miner is tuned.
        return self.decision() if found.command and not self.miner.is_tuned else found

    def _restored(
        self,
        key: str,
        before: bool | int | None,
        now: bool | int | None,
        status: TargetStatus | None = None,
    ) -> Decision:
        """Return what leads a changed setting back to the baseline; unknown is never restored."""
        if before is None:
            return self.decision(status=status, left_alone=(key,))
        if now == before:
            settled = (key,) if self._has_shown(key) else ()
            return self.decision(status=status, settled=settled)
        return self.decision(Command(key=key, value=before, raises=True), status)

    def _has_shown(self, key: str) -> bool:
        """Return whether the miner shows what the last command did, if that is unknown."""
        return self.touched[key] or self.miner.commands_have_shown

    # Curtailing

    @property
    def _overdraws(self) -> bool:
        """Return whether the miner certainly draws more than it may."""
        power, watts = self.miner.power, self.cap_watts
        if power is None or watts is None or not self.miner.power_is_settled:
            return False
        return power > watts * TOLERANCE

    @property
    def _is_low_enough(self) -> bool:
        """Return whether the miner draws little enough without any change."""
        power, watts = self.miner.power, self.cap_watts
        if self.touched.keys() & {LIMIT, PERCENT} or power is None or watts is None:
            return False
        return bool(self.miner.is_tuned) and power <= watts

    @property
    def _limit_for_cap(self) -> int | None:
        """Return the power limit that leads there; None if none does, or can be restored."""
        watts, before = self.cap_watts, self.baseline.power_limit
        if watts is None or watts < self.miner.lowest_power or not self.miner.can_limit:
            return None
        if before is None and LIMIT not in self.touched:
            return None
        return min(int(watts), before or int(watts))

    def _raised_limit(self) -> Command | None:
        """Return the limit for a curtailment that allows more than the one before it."""
        now, limit = self.miner.power_limit, self._limit_for_cap
        if LIMIT not in self.touched or not self.miner.mining:
            return None
        if limit is None or now is None or limit <= now + self.budget.dead_band:
            return None
        return Command(key=LIMIT, value=limit, raises=True)

    def _less(self) -> Command:
        """Return the way down for a miner that does not follow a percent."""
        if (limit := self._limit_for_cap) is not None:
            return Command(key=LIMIT, value=limit)
        return Command(key=MINING, value=False)

    def _percent_for_cap(self) -> Command:
        """Return the percent for a miner that is tuned, or what does where it is too low."""
        assert self.cap
        watts, full = self.cap_watts, self.miner.full_power
        limit, is_limited = self.miner.power_limit, LIMIT in self.touched
        ceiling = FULL
        if not is_limited and not self.has_wish:  # a source counts more than the user
            ceiling = self.baseline.power_percent or FULL
        wanted, lowest = None, LOWEST_PERCENT
        if self.cap.target is Target.PERCENT and not is_limited:
            wanted, lowest = self.cap.amount, 0
        elif watts is not None and full:
            holds = limit is not None and limit <= watts and not self._overdraws
            wanted = FULL if holds else int(100 * watts / full)
        if wanted is None or wanted < lowest or not self.miner.can_percent:
            return self._less()
        wanted = min(wanted, ceiling)
        # A gentle percent takes three minutes, and a grid operator waits for one at most.
        raises = wanted > self.percent
        return Command(key=PERCENT, value=wanted, raises=raises, fast=not raises)

    def _is_due(self, command: Command) -> bool:
        """Return whether a command for a curtailment would change anything."""
        if self.miner.is_tuned is None and self.touched.keys() & {LIMIT, PERCENT}:
            return False  # unknown in this poll
        if self._overdraws or command.key == MINING:
            return True
        if command.key == LIMIT:
            limit = self.miner.power_limit
            return limit is None or limit > command.value
        if self.miner.power_percent is None or self.percent > command.value:
            return True
        # It allows more than the one before it; where a source wants something, that leads.
        is_ours = PERCENT in self.touched and not (self.has_wish or self.wish.hold)
        return is_ours and self.percent < command.value

    # Seeking

    @property
    def _not_ready(self) -> TargetStatus | None:
        """Return why nothing can be sought now."""
        miner = self.miner
        if miner.mining is not True:
            return TargetStatus.STOPPED
        if not miner.is_tuned or not miner.full_power:
            return TargetStatus.WAITING_TUNED  # it would not follow a percent
        if miner.power_percent is None and self.touched.get(PERCENT, True):
            return self.status  # unknown in this poll
        return None

    def _percent_to_seek(self, exact: float) -> int:
        """Return a whole percent, above no curtailment."""
        if not self.is_capped:
            return min(FULL, round(exact))
        assert self.cap
        is_exact = self.cap.target is Target.PERCENT and LIMIT not in self.touched
        return min(FULL, int(exact), (is_exact and self.cap.amount) or FULL)

    def _why_no_limit(self, target: float) -> TargetStatus | None:
        """Return why no limit is commanded; None where one is."""
        limit, full, budget = self.miner.power_limit, self.miner.full_power, self.budget
        assert full
        if self.is_capped or not self.miner.can_limit:
            return TargetStatus.AT_LIMIT
        if limit is not None and (
            abs(limit - target) <= budget.dead_band or full < target <= limit
        ):
            # A limit that is above what it draws is not what holds it back.
            return TargetStatus.AT_LIMIT
        if limit is not None and limit == self.most and target > limit:
            return TargetStatus.AT_LIMIT
        if not budget.restarts_allowed:
            return TargetStatus.RESTARTS_NOT_ALLOWED
        return None if budget.restart_is_due else TargetStatus.WAITING_INTERVAL

    def _sought(self, key: str, value: int, status: TargetStatus) -> Decision:
        """Return a command for the source.

        A power limit becomes that of the user: to restore it would cost another restart.
        """
        again = self.again and self.miner.can_percent
        if key == PERCENT and value == self.percent and not again:
            return self.decision(status=status)
        adopt = key == LIMIT and not self.is_capped
        fast = key == PERCENT and self.wish.fast
        return self.decision(
            Command(key=key, value=value, adopt=adopt, raises=True, fast=fast), status
        )

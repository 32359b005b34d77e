"""Decide about a miner's power: a pure function of what is wanted and what is known."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .record import LIMIT, MINING, PERCENT, Baseline, Curtailment, Method, Target

SOURCES = (
    "manual",
    "most_profitable",
    "plan",
    "thermostat",
    "group",
    "external",
)
"""What may say how much a miner should draw; those that are set up can be selected."""

FULL = 100
"""Percent of the tuned power."""
LOWEST_PERCENT = 40
"""A lower percent leads to unbalanced boards and restarts (H.2)."""
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
    why: str | None = None
    """For the logbook."""
    next_look: datetime | None = None
    """When the source may want something else."""


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


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done now."""

    by: By = By.BASELINE
    curtailment: Curtailment | None = None
    """The strictest."""
    watts: float | None = None
    """The effective power; None where nothing limits it, or where it is unknown."""
    percent: float | None = None
    """What the source wants, if that is a percent or a stop (0)."""
    why: str | None = None
    """Why the source wants it."""
    method: Method = Method.NONE
    command: Command | None = None
    status: TargetStatus = TargetStatus.OFF
    settled: tuple[str, ...] = ()
    """Changed settings that are as in the baseline again."""
    left_alone: tuple[str, ...] = ()
    """Changed settings that stay changed, since the baseline is unknown."""
    waits_for: str | None = None
    """The key of the sentence that says what must be known first."""
    next_look: datetime | None = None


def strictest(
    curtailments: Iterable[Curtailment], full_power: float | None
) -> Curtailment | None:
    """Return the curtailment that allows least; the oldest of equal ones."""

    def allowance(one: Curtailment) -> tuple[float, datetime, str]:
        watts = one.watts(full_power)
        if one.target is Target.STOP:
            watts = -1.0
        elif watts is None:  # a percent of an unknown power
            watts = float(one.amount or 0)
        return watts, one.since, one.reason or ""

    return min(curtailments, key=allowance, default=None)


def decide(
    *,
    baseline: Baseline,
    wish: Wish,
    curtailments: Iterable[Curtailment],
    miner: Situation,
    touched: Mapping[str, bool],
    budget: Budget,
    status: TargetStatus = TargetStatus.OFF,
) -> Decision:
    """Return who decides, the effective power, and the next command that leads there."""
    case = _Case(
        baseline=baseline,
        wish=wish,
        cap=strictest(curtailments, baseline.full_power),
        miner=miner,
        touched=touched,
        budget=budget,
        status=status,
    )
    rules: tuple[Callable[[], Decision | None], ...] = (
        case.unknown,
        case.off,
        case.stopped,
        case.capped,
        case.restore_limit,
        case.hold_percent,
        case.seek,
        case.restore_percent,
    )
    return next((found for rule in rules if (found := rule())), case.decision())


@dataclass(frozen=True, kw_only=True)
class _Case:
    """All that a decision depends on; each rule returns a decision, or leaves it to the next."""

    baseline: Baseline
    wish: Wish
    cap: Curtailment | None
    miner: Situation
    touched: Mapping[str, bool]
    budget: Budget
    status: TargetStatus

    # What is wanted

    @property
    def cap_watts(self) -> float | None:
        """Return what the strictest curtailment allows; None for a stop or unknown."""
        return self.cap.watts(self.baseline.full_power) if self.cap else None

    @property
    def wish_watts(self) -> float | None:
        """Return what the source wants."""
        full = self.baseline.full_power
        if self.wish.percent is not None and full:
            return full * self.wish.percent / 100
        return self.wish.watts

    @property
    def is_capped(self) -> bool:
        """Return whether a curtailment allows less than the source wants, if it wants anything."""
        if self.cap is None:
            return False
        cap, wish = self.cap_watts, self.wish_watts
        if self.cap.target is Target.STOP or cap is None:
            return True
        return not self.wish.stop and (wish is None or cap < wish)

    def decision(
        self,
        command: Command | None = None,
        method: Method = Method.NONE,
        status: TargetStatus | None = None,
        **more: object,
    ) -> Decision:
        """Return a decision with who made it."""
        has_wish = self._has_wish
        by = By.SOURCE if has_wish else By.BASELINE
        if self.is_capped:
            by = By.CURTAILMENT
        if (
            self.baseline.mining is False
            and MINING not in self.touched
            and not self.cap
        ):
            by = By.BASELINE
        if status is None:
            status = TargetStatus.OFF
            if has_wish:
                status = TargetStatus.CURTAILED if self.is_capped else self.status
        wanted = [w for w in (self.cap_watts, self.wish_watts) if w is not None]
        stop = self.wish.stop or (self.cap and self.cap.target is Target.STOP)
        return Decision(
            by=by,
            curtailment=self.cap,
            watts=0.0 if stop else min(wanted, default=None),
            percent=0.0 if self.wish.stop else self.wish.percent,
            why=self.wish.why,
            method=method,
            command=command,
            status=status,
            next_look=self.wish.next_look,
            **more,  # type: ignore[arg-type]
        )

    # Rules, in the order in which they are asked

    def unknown(self) -> Decision | None:
        """Nothing is decided on old news."""
        return None if self.miner.answered else self.decision()

    def off(self) -> Decision | None:
        """A stop that is wanted."""
        capped = self.cap is not None and self.cap.target is Target.STOP
        if not capped and not self.wish.stop:
            return None
        status = TargetStatus.CURTAILED if capped else TargetStatus.STOPPED
        if not self._has_wish:
            status = TargetStatus.OFF
        if self.miner.mining is False or (self.miner.mining is None and not capped):
            return self.decision(status=status)
        return self.decision(self._stop(), Method.STOP, status)

    def stopped(self) -> Decision | None:
        """A miner that does not mine is started only if this integration stopped it."""
        if self.miner.mining is True and MINING in self.touched:
            return self.decision(settled=(MINING,))
        if self.miner.mining is not False:
            return None
        if self.is_capped:
            status = TargetStatus.CURTAILED if self._has_wish else TargetStatus.OFF
        else:
            status = TargetStatus.STOPPED if self._has_wish else TargetStatus.OFF
        if MINING not in self.touched:
            return self.decision(status=status)
        if self.baseline.mining is None:
            return self.decision(status=status, left_alone=(MINING,))
        if not self.baseline.mining:
            return self.decision(status=status, settled=(MINING,))
        if self.cap and not self._limit_fits:
            # A start ends in tuning, in which only a limit holds the power down.
            return self.decision(method=Method.STOP, status=status)
        start = Command(key=MINING, value=True, raises=True)
        return self.decision(start, Method.STOP, status)

    def capped(self) -> Decision | None:
        """Bring the power below the strictest curtailment."""
        if self.cap is None:
            return None
        command = self._raised_limit()
        if command is None and not self._is_low_enough:
            command = self._percent_for_cap() if self.miner.is_tuned else self._less()
            if not self._is_due(command):
                command = None
        if command:
            return self.decision(command, _METHODS[command.key])
        return self.decision() if self.wish_watts is None else None

    def hold_percent(self) -> Decision | None:
        """Set the percent that the source wants, in the whole range that is left to it."""
        if self.wish.percent is None or self.cap:
            return None
        if status := self._not_ready:
            return self._sought(None, status)
        if not self.miner.can_percent:
            return self._sought(None, TargetStatus.AT_LIMIT)
        wanted = min(max(round(self.wish.percent), LOWEST_PERCENT), FULL)
        is_set = (self.miner.power_percent or FULL) == wanted
        command = None if is_set else self._adopted(PERCENT, wanted)
        return self._sought(command, TargetStatus.POWER_PERCENT)

    def restore_limit(self) -> Decision | None:
        """Restore the power limit that a curtailment lowered."""
        if self.cap or LIMIT not in self.touched or self.miner.mining is not True:
            return None
        limit = self.baseline.power_limit
        if limit is None:
            return self.decision(left_alone=(LIMIT,))
        if self.miner.power_limit == limit and self.touched[LIMIT]:
            return self.decision(settled=(LIMIT,))
        command = Command(key=LIMIT, value=limit, raises=True)
        return self.decision(command, Method.POWER_LIMIT)

    def restore_percent(self) -> Decision | None:
        """Restore the power percent that a curtailment lowered, once the miner follows one."""
        if self.cap or PERCENT not in self.touched or self.miner.mining is False:
            return None
        percent, now = self.baseline.power_percent, self.miner.power_percent
        if percent is None:
            return self.decision(left_alone=(PERCENT,))
        if self.miner.is_tuned is None:
            return self.decision(waits_for="activity_unknown")
        if now is not None and (now or FULL) == (percent or FULL):
            return self.decision(settled=(PERCENT,))
        if not self.miner.is_tuned:
            return (
                self.decision()
            )  # a restart took it back; the rest follows when it is tuned
        command = Command(key=PERCENT, value=percent or FULL, raises=True)
        return self.decision(command, Method.POWER_PERCENT)

    def seek(self) -> Decision | None:
        """Bring the power to what the source wants, as near as its budget allows."""
        target = self._seek_target
        if target is None:
            return None
        status = self._not_ready or self._near_enough(target)
        if status:
            return self._sought(None, status)
        full, percent = self.miner.full_power, self.miner.power_percent or FULL
        assert full
        wanted = self._percent_to_seek(100 * target / full)
        if self.miner.can_percent and self._percent_fits(target, wanted):
            # Whole percents lead no nearer than this, and a restart is not worth the rest.
            command = None if wanted == percent else self._adopted(PERCENT, wanted)
            return self._sought(command, TargetStatus.POWER_PERCENT)
        status = self._why_no_limit(target)
        if status is None:
            command = self._adopted(LIMIT, round(target))
            return self._sought(command, TargetStatus.POWER_LIMIT)
        # Until then as near as it gets without a restart
        nearest = FULL if target > full else LOWEST_PERCENT
        move = self.miner.can_percent and percent != nearest
        return self._sought(self._adopted(PERCENT, nearest) if move else None, status)

    # Curtailing

    @property
    def _has_wish(self) -> bool:
        wish = self.wish
        return wish.stop or wish.percent is not None or wish.watts is not None

    def _stop(self) -> Command:
        return Command(key=MINING, value=False)

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
        if LIMIT in self.touched or PERCENT in self.touched:
            return False
        power, watts = self.miner.power, self.cap_watts
        return bool(
            self.miner.is_tuned
            and power is not None
            and watts is not None
            and power <= watts
        )

    @property
    def _limit_fits(self) -> bool:
        """Return whether a power limit can lead there, and can be restored."""
        watts = self.cap_watts
        return (
            watts is not None
            and self.miner.can_limit
            and watts >= self.miner.lowest_power
            and (self.baseline.power_limit is not None or LIMIT in self.touched)
        )

    def _limit_for_cap(self) -> int:
        assert self.cap_watts is not None
        watts = int(self.cap_watts)
        return min(watts, self.baseline.power_limit or watts)

    def _raised_limit(self) -> Command | None:
        """Return the limit for a curtailment that allows more than the one before it."""
        now = self.miner.power_limit
        if LIMIT not in self.touched or not self._limit_fits or now is None:
            return None
        limit = self._limit_for_cap()
        if limit <= now + self.budget.dead_band or self.miner.mining is not True:
            return None
        return Command(key=LIMIT, value=limit, raises=True)

    def _less(self) -> Command:
        """Return the way down for a miner that does not follow a percent."""
        if self._limit_fits:
            return Command(key=LIMIT, value=self._limit_for_cap())
        return self._stop()

    def _percent_for_cap(self) -> Command:
        """Return the percent for a miner that is tuned, or what does where it is too low."""
        assert self.cap
        watts, full = self.cap_watts, self.miner.full_power
        ceiling = self.baseline.power_percent or FULL
        wanted: int | None = None
        exact = self.cap.target is Target.PERCENT and LIMIT not in self.touched
        if exact:
            wanted = self.cap.amount
        elif watts is not None and full:
            limit = self.miner.power_limit
            holds = limit is not None and limit <= watts and not self._overdraws
            wanted = FULL if holds else int(100 * watts / full)
        if LIMIT in self.touched:
            ceiling = FULL
        if wanted is None or not self.miner.can_percent:
            return self._less()
        if wanted < LOWEST_PERCENT and not exact:
            return self._less()
        return Command(
            key=PERCENT,
            value=min(wanted, ceiling),
            raises=min(wanted, ceiling) > (self.miner.power_percent or FULL),
        )

    def _is_due(self, command: Command) -> bool:
        """Return whether a command for a curtailment would change anything."""
        if self.miner.is_tuned is None and (
            LIMIT in self.touched or PERCENT in self.touched
        ):
            return False  # unknown in this poll
        if self._overdraws or command.key == MINING:
            return True
        if command.key == LIMIT:
            limit = self.miner.power_limit
            return limit is None or limit > command.value
        now = self.miner.power_percent
        if now is None or (now or FULL) > command.value:
            return True
        # It allows more than the one before it; where a source wants something, that leads.
        is_ours = PERCENT in self.touched and not self._has_wish
        return is_ours and (now or FULL) < command.value

    # Seeking

    @property
    def _seek_target(self) -> float | None:
        wish, cap = self.wish_watts, self.cap_watts
        if wish is None or (self.cap and cap is None):
            return None
        return wish if cap is None else min(wish, cap)

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

    def _near_enough(self, target: float) -> TargetStatus | None:
        full, percent = self.miner.full_power, self.miner.power_percent or FULL
        assert full
        if abs(target - full * percent / 100) > self.budget.dead_band:
            return None
        # The last method is shown while it holds.
        kept = (TargetStatus.POWER_PERCENT, TargetStatus.POWER_LIMIT)
        return self.status if self.status in kept else TargetStatus.DEAD_BAND

    def _percent_to_seek(self, exact: float) -> int:
        """Return a whole percent, above no curtailment."""
        if not self.is_capped:
            return min(FULL, round(exact))
        assert self.cap
        highest = self.cap.amount if self.cap.target is Target.PERCENT else None
        return min(FULL, int(exact), FULL if highest is None else highest)

    def _percent_fits(self, target: float, wanted: int) -> bool:
        full = self.miner.full_power
        assert full
        return wanted >= LOWEST_PERCENT and target <= full + self.budget.dead_band

    def _why_no_limit(self, target: float) -> TargetStatus | None:
        """Return why no limit is commanded; None where one is."""
        limit, full, budget = self.miner.power_limit, self.miner.full_power, self.budget
        assert full
        by_percent = self.wish.percent is not None
        if self.is_capped or by_percent or not self.miner.can_limit:
            return TargetStatus.AT_LIMIT
        if limit is not None and (
            abs(limit - target) <= budget.dead_band or full < target <= limit
        ):
            # A limit that is above what it draws is not what holds it back.
            return TargetStatus.AT_LIMIT
        if not budget.restarts_allowed:
            return TargetStatus.RESTARTS_NOT_ALLOWED
        return None if budget.restart_is_due else TargetStatus.WAITING_INTERVAL

    def _adopted(self, key: str, value: int) -> Command:
        """Return a command for the source; what a curtailment decides is not adopted."""
        return Command(key=key, value=value, adopt=not self.is_capped, raises=True)

    def _sought(self, command: Command | None, status: TargetStatus) -> Decision:
        method = _METHODS[command.key] if command else Method.NONE
        if self.is_capped:
            status = TargetStatus.CURTAILED
        return self.decision(command, method, status)


_METHODS = {
    MINING: Method.STOP,
    LIMIT: Method.POWER_LIMIT,
    PERCENT: Method.POWER_PERCENT,
}

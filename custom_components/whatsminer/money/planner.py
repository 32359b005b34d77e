"""Run one miner by the price: what feeds the decisions, and the sources that carry them out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
import math
from typing import Any, Self

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ..api import Activity, Feature, MinerState
from ..commander import Commander
from ..const import (
    CONF_HOURS_AT_LEAST,
    CONF_HOURS_AT_MOST,
    CONF_SHORTEST_RUN,
    CONF_SHORTEST_STOP,
    IDLE_POWER,
    TYPICAL_POWER,
)
from ..controls import POWER_LIMIT
from ..power.executor import PowerExecutor
from ..power.policy import By, Wish as PowerWish
from ..power.record import as_json, stored_time
from .best import TIMING, Following, Rates, Timing, break_even, follow
from .curve import FULL, Level, Start
from .economics import Market
from .forecast import Forecast
from .learning import Learning
from .limits import PRICE_UNKNOWN, Last, Rule
from .plan import (
    FEWEST,
    NO_WISH,
    STEP,
    Part,
    Plan,
    PlannedStep,
    Present,
    Reason,
    Setup,
    Steps,
    Wish,
    make_plan,
    replan_trigger,
    steps,
)
from .prices import disagrees, wrong_scale
from .profile import assumed_start

LIMITS, BEST, PLAN = "price_limits", "most_profitable", "plan"

UNKNOWN_FOR = timedelta(hours=1)
"""Without a price the miner stays as it is for so long, then it runs at full power."""
DIFFERS_FOR = timedelta(minutes=15)
"""A price sensor may be some minutes late."""
TRUST_AFTER = timedelta(hours=2)
"""A forecast that was wrong is used again when it has been right for so long."""
LONGEST_GAP = timedelta(minutes=10)
"""Between two polls, for the hours that the miner has run today."""
HOUR = timedelta(hours=1)
_WRITE_AFTER = 0.5
"""Hours run that may be lost if Home Assistant crashes."""


class PlanStatus(StrEnum):
    """Whether there is a plan, and why not."""

    FOLLOWING = "following"
    READY = "ready"
    """There is a plan, and another source is selected."""
    HELD = "held"
    """The plan is selected, and a curtailment or the user counts more."""
    NO_CURVE = "no_curve"
    NO_RATES = "no_rates"
    """The price of now or the hashprice is unknown, or in two currencies."""
    NO_FORECAST = "no_forecast"
    ENDED = "ended"
    """The forecast is late: it ends within the hour, or has ended."""
    HOLE = "hole"
    WRONG_UNIT = "wrong_unit"
    DIFFERS = "differs"
    """The forecast says another price for now than the price sensor."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What must outlive a restart of Home Assistant."""

    on: bool | None = None
    since: datetime | None = None
    """When the miner was started or stopped."""
    percent: float | None = None
    """What the source wants; 0 is stop, None is nothing yet."""
    changed: datetime | None = None
    """When it began to want that."""
    day: date | None = None
    ran: float = 0.0
    """Hours run on that local day."""

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Self:
        """Return it from JSON; nothing is known if that cannot be read."""
        try:
            times = {
                key: stored[key] and stored_time(stored[key])
                for key in ("since", "changed")
            }
            percent, ran = stored["percent"], float(stored["ran"])
            return cls(
                on=stored["on"] if isinstance(stored["on"], bool) else None,
                percent=None if percent is None else min(max(float(percent), 0), FULL),
                day=stored["day"] and date.fromisoformat(stored["day"]),
                ran=ran if math.isfinite(ran) else 0.0,
                **times,
            )
        except KeyError, TypeError, ValueError:
            return cls()

    def observe(self, state: MinerState, last: datetime | None, now: datetime) -> Self:
        """Return it after a poll."""
        on, run = state.mining, self
        if on is None:
            return run
        today = dt_util.as_local(now).date()
        if run.day != today:
            run = replace(run, day=today, ran=0.0)
        gap = now - last if last else timedelta()
        if on and run.on and timedelta() < gap <= LONGEST_GAP:
            run = replace(run, ran=run.ran + gap / HOUR)
        if on is not run.on:
            elapsed = state.summary.elapsed if on and state.summary else None
            since = now - timedelta(seconds=elapsed or 0)
            run = replace(run, on=on, since=since)
        return run

    def age(self, now: datetime) -> float:
        """Return the hours since the miner was started or stopped."""
        return _hours(now, self.since)


def _hours(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since) / HOUR) if since else 0.0


@dataclass
class MoneySource:
    """A power source that follows the planner."""

    key: str
    wish: Callable[[datetime], PowerWish]
    can_follow: Callable[[], bool]

    @property
    def is_set_up(self) -> bool:
        """Return whether it can be selected."""
        return self.can_follow()


class Planner:
    """Decides what one miner should do at the prices of now and of the next days."""

    def __init__(
        self, commander: Commander, executor: PowerExecutor, learning: Learning
    ) -> None:
        """Add the sources; `start` follows the miner and the prices."""
        self._coordinator = coordinator = commander.coordinator
        self._executor, self._learning = executor, learning
        options = coordinator.config_entry.options
        self.market = Market(coordinator.hass, options)
        self.forecast = Forecast(coordinator.hass, options)
        self.limits = Wish(
            options.get(CONF_HOURS_AT_LEAST), options.get(CONF_HOURS_AT_MOST)
        )
        self._rule = Rule.of(options)
        self._timing = Timing(
            options.get(CONF_SHORTEST_RUN, TIMING.min_on * 60) / 60,
            options.get(CONF_SHORTEST_STOP, TIMING.min_off * 60) / 60,
        )
        self.run = Run.restored(coordinator.store.schedule)
        self._written = self.run.ran
        self.plan: Plan | None = None
        self._why: tuple[str, float | None] | None = None
        self._seen: Level | None = None
        """Full power as it was last, for a miner without a curve."""
        self._last: datetime | None = None
        self._unknown_since: datetime | None = None
        self._differs_since: datetime | None = None
        self._agreed = False
        self._distrusted_until: datetime | None = None
        self._off_plan_since: datetime | None = None
        self._planning = False
        self._shown: tuple[tuple[Plan, int | None], list[dict[str, Any]]] | None = None
        for key, is_set_up in (
            (LIMITS, lambda: self._has_limits),
            (BEST, lambda: self._has_best),
            (PLAN, lambda: self.is_planning),
        ):
            executor.add_source(MoneySource(key, self.wish, is_set_up))

    @property
    def _has_limits(self) -> bool:
        can, rule = self._coordinator.can(Feature.MINING), self._rule
        if not can or rule is None or not self.market.has_price:
            return False
        return rule.stop_above is not None or self.market.has_hashprice

    @property
    def _has_best(self) -> bool:
        can = self._coordinator.can(Feature.MINING)
        return can and self.market.has_prices

    @property
    def is_planning(self) -> bool:
        """Return whether there can be a plan."""
        can = self._coordinator.can(Feature.MINING)
        wanted = self.market.has_hashprice or self.limits != NO_WISH
        return can and wanted and self.forecast.is_set_up

    @callback
    def start(self) -> None:
        """Decide after every poll, before its result is shown."""
        self._coordinator.add_observer(self._observe)
        self._observe(self._coordinator.data)

    @callback
    def _observe(self, state: MinerState) -> None:
        now, run = dt_util.utcnow(), self.run
        self.run = run.observe(state, self._last, now)
        self._last = now
        summary = state.summary
        if state.activity is Activity.MINING and summary and summary.hashrate:
            watts = self._coordinator.store.tuned_power or summary.power
            if watts and self._coordinator.store.power_percent(state) == FULL:
                self._seen = Level(FULL, watts, summary.hashrate)
        self.forecast.look(now)
        if self.is_planning:
            self._check_forecast(now)
            self._update_plan(now)
        self._decide(now)
        if self.run != run:
            # A file that is written every half minute wears an SD card.
            save = (
                replace(self.run, ran=run.ran) != run
                or self.run.ran - self._written >= _WRITE_AFTER
            )
            self._written = self.run.ran if save else self._written
            self._coordinator.store.keep("schedule", as_json(self.run), save=save)

    # What is known

    @property
    def levels(self) -> tuple[Level, ...]:
        """Return the levels of the curve, else full power as it was last seen."""
        return self._learning.levels or ((self._seen,) if self._seen else ())

    @property
    def _start(self) -> Start | None:
        if start := self._learning.profile.start:
            return start
        full = self.levels[-1] if self.levels else None
        return assumed_start(full.watts, full.ths) if full else None

    @property
    def rates(self) -> Rates | None:
        """Return what a decision counts with now; None while a part is unknown."""
        return self.market.rates if self.levels else None

    @property
    def status(self) -> PlanStatus:
        """Return whether there is a plan, and why not."""
        now = dt_util.utcnow()
        if self.plan is None or self.plan.at(now) is None:
            return self._why_no_plan(now)
        if not self._is_trusted(now):
            return self._distrust(now)
        if self._selected != PLAN:
            return PlanStatus.READY
        is_ours = self._executor.decision.by is By.SOURCE
        return PlanStatus.FOLLOWING if is_ours else PlanStatus.HELD

    def _why_no_plan(self, now: datetime) -> PlanStatus:
        slots = self.forecast.slots
        if not slots:
            return PlanStatus.NO_FORECAST
        if len(self.basis(now).prices) < FEWEST:
            is_long = slots[-1].end - now > (FEWEST + 1) * STEP
            return PlanStatus.HOLE if is_long else PlanStatus.ENDED
        if self._setup(self.limits) is None:
            return PlanStatus.NO_RATES if self.levels else PlanStatus.NO_CURVE
        return PlanStatus.READY  # it is being made

    def _distrust(self, now: datetime) -> PlanStatus:
        price = self.market.price.amount
        scale = price and wrong_scale(self.forecast.slots, now, price)
        return PlanStatus.WRONG_UNIT if scale else PlanStatus.DIFFERS

    @property
    def _selected(self) -> str:
        return self._executor.source.key

    # The plan

    def _check_forecast(self, now: datetime) -> None:
        """Compare the forecast with the price of now."""
        price, slots = self.market.price.amount, self.forecast.slots
        by_sensor = self.market.price_sensor is not None
        if not by_sensor or price is None or not disagrees(slots, now, price):
            self._differs_since, self._agreed = None, bool(slots)
            return
        self._differs_since = self._differs_since or now
        if not self._agreed or now - self._differs_since >= DIFFERS_FOR:
            self._distrusted_until = now + TRUST_AFTER

    def _is_trusted(self, now: datetime) -> bool:
        return self._distrusted_until is None or now >= self._distrusted_until

    def basis(self, now: datetime) -> Steps:
        """Return the effective prices of the steps from now on."""
        market = self.market

        def effective(price: float) -> float:
            heat = market.heat(price) if market.heat_is_comparable else None
            return Rates(0.0, price, IDLE_POWER, heat).effective_price

        found = steps(now, self.forecast.slots, dt_util.get_default_time_zone())
        if not market.has_heat:
            return found
        return found._replace(prices=tuple(map(effective, found.prices)))

    def _setup(self, wish: Wish) -> Setup | None:
        """Return what a plan counts with; None while that is unknown.

        The cheapest hours need neither hashprice nor curve: only the order of the prices counts.
        """
        hashprice = self.market.hashprice.amount if self.market.one_currency else None
        levels = self.levels
        if wish != NO_WISH and (hashprice is None or not levels):
            hashprice = None
            levels = levels[-1:] or (Level(FULL, self._nominal, 1.0),)
        elif hashprice is None or not levels:
            return None
        start = self._start or assumed_start(levels[-1].watts, levels[-1].ths)
        return Setup(levels, hashprice, IDLE_POWER, start, self._timing, wish)

    @property
    def _nominal(self) -> float:
        coordinator = self._coordinator
        limit = POWER_LIMIT.actual(coordinator)
        return coordinator.store.tuned_power or float(limit or TYPICAL_POWER)

    def _present(self, now: datetime, step: float) -> Present:
        run = self.run
        on = bool(run.on)
        percent = (run.percent or self._percent_now) if on else 0
        return Present(on, run.age(now), percent, int(run.ran / step))

    async def async_preview(self, wish: Wish) -> dict[str, Any]:
        """Return the plan that would be made now, maybe for another wish; it changes nothing."""
        now = dt_util.utcnow()
        self.forecast.look(now)
        setup, basis = self._setup(wish), self.basis(now)
        made = None
        if setup:
            made = await self._coordinator.hass.async_add_executor_job(
                make_plan, basis, setup, self._present(now, basis.step)
            )
        if made is None:
            return {"status": self._why_no_plan(now).value, "steps": []}
        status = PlanStatus.READY if self._is_trusted(now) else self._distrust(now)
        return {
            "status": status.value,
            "levels": self._learning.curve,
            **summary(made, now),
            "steps": rows(made, now),
        }

    def _update_plan(self, now: datetime) -> None:
        """Make another plan, if the one that there is is no longer good."""
        basis, setup = self.basis(now), self._setup(self.limits)
        if setup is None or self._planning:
            return
        if self.plan is not None:
            off = _hours(now, self._off_plan_since)
            if not replan_trigger(self.plan, now, basis, setup, off):
                return
        self._off_plan_since = None
        present = self._present(now, basis.step)
        if setup.wish == NO_WISH:
            self.plan = make_plan(basis, setup, present) or self._rest(now)
            return
        self._planning = True
        self._coordinator.start_task(self._async_plan(basis, setup, present), "plan")

    def _rest(self, now: datetime) -> Plan | None:
        """Return the present plan, while it lasts."""
        return self.plan if self.plan and self.plan.at(now) else None

    async def _async_plan(self, basis: Steps, setup: Setup, present: Present) -> None:
        """Make a plan with hours per day outside of the event loop: it takes longer."""
        try:
            made = await self._coordinator.hass.async_add_executor_job(
                make_plan, basis, setup, present
            )
        finally:
            self._planning = False
        self.plan = made or self._rest(dt_util.utcnow())
        self._decide(dt_util.utcnow())
        self._coordinator.async_update_listeners()

    @property
    def step(self) -> PlannedStep | None:
        """Return what is planned for now; None without a plan that can be trusted."""
        now = dt_util.utcnow()
        return self.plan.at(now) if self.plan and self._is_trusted(now) else None

    # What is shown

    @property
    def parts(self) -> list[Part]:
        """Return the plan as times at one level; empty without one that can be trusted."""
        return self.plan.parts if self.step and self.plan else []

    @property
    def next_change(self) -> datetime | None:
        """Return when the planned level changes next."""
        change = self.plan and self.step and self.plan.next_change(dt_util.utcnow())
        return change[0] if change else None

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the rest of the plan, and what is expected of it."""
        now, plan = dt_util.utcnow(), self.plan
        price = self.market.price.amount
        forecast = next(
            (x for x in self.forecast.slots if x.start <= now < x.end), None
        )
        known = {
            "price": price,
            "forecast_price": forecast and round(forecast.price, 5),
            "forecast_until": max((x.end for x in self.forecast.slots), default=None),
            "error": self.forecast.error,
        }
        if not self.step or plan is None:
            return known
        change = plan.next_change(now)
        return {
            "percent": self.step.percent,
            "reason": self.step.reason.value,
            "next_percent": change and change[1],
            **known,
            **summary(plan, now),
            "steps": self._rows(plan, now),
        }

    def _rows(self, plan: Plan, now: datetime) -> list[dict[str, Any]]:
        """Return the steps from now on; they are the same until the next step or plan."""
        key = plan, plan.index(now)
        if self._shown is None or self._shown[0] != key:
            self._shown = key, rows(plan, now)
        return self._shown[1]

    # What the miner should do

    def _decide(self, now: datetime) -> None:
        """Decide what the selected source wants."""
        if self._selected not in (LIMITS, BEST, PLAN):
            self.run = replace(self.run, percent=None, changed=None)
            self._off_plan_since = self._unknown_since = None
            return
        step = self.step if self._selected == PLAN else None
        if step:
            percent: float | None = step.percent
            self._why = step.reason.value, step.price
            self._unknown_since = None
            is_on = self.run.on
            as_planned = is_on is None or is_on is bool(percent)
            self._off_plan_since = None if as_planned else self._off_plan_since or now
        elif self._selected == LIMITS and self._rule:
            percent = self._keep_limits(now, self._rule)
        else:
            percent = self._follow_price(now)
        if percent != self.run.percent:
            self.run = replace(self.run, percent=percent, changed=now)

    def _keep_limits(self, now: datetime, rule: Rule) -> float | None:
        """Return what the price limits want now."""
        run, market = self.run, self.market
        if rule.stop_above is None:
            price, limit = market.effective_price, self._break_even
        else:
            price, limit = market.price.amount, rule.stop_above
        age = market.price_age(now) / HOUR
        is_old = age >= rule.oldest
        if price is None or limit is None or is_old:
            self._unknown_since = self._unknown_since or now
        else:
            self._unknown_since = None
        silent = max(_hours(now, self._unknown_since), age if is_old else 0.0)
        percent = run.percent
        if percent is None and run.on is not None:
            percent = self._percent_now if run.on else 0.0
        last = Last(percent, bool(run.on), run.age(now))
        verdict = rule.decide(
            last, None if is_old else price, limit, silent, self._timing
        )
        self._why = verdict.why, None if is_old else price
        return verdict.percent

    @property
    def _break_even(self) -> float | None:
        """Return the price at which full power earns what it costs, per kWh."""
        hashprice, one = self.market.hashprice.amount, self.market.one_currency
        if hashprice is None or not one:
            return None
        found = break_even(self.levels, hashprice, IDLE_POWER)
        return found and found.average

    def _follow_price(self, now: datetime) -> float | None:
        """Return the level that earns most now; without a price stay, then run."""
        run, rates, start = self.run, self.rates, self._start
        if rates is None or start is None:
            self._unknown_since = self._unknown_since or now
            if now - self._unknown_since < UNKNOWN_FOR:
                return run.percent
            self._why = PRICE_UNKNOWN, None
            return FULL
        self._unknown_since = None
        if run.on is None:
            return run.percent
        percent = (run.percent or self._percent_now) if run.on else 0.0
        steady = math.inf if run.changed is None else _hours(now, run.changed)
        following = Following(percent, run.age(now), steady)
        wanted = follow(following, self.levels, rates, start, self._timing)
        if wanted != run.percent:
            self._why = Reason.PRICE.value, rates.effective_price
        return wanted

    @property
    def _percent_now(self) -> float:
        return self._coordinator.store.power_percent(self._coordinator.data)

    def wish(self, now: datetime) -> PowerWish:
        """Return what the selected source wants."""
        if self.run.percent is None:  # it was selected after the last poll
            self._decide(now)
        percent = self.run.percent
        if percent is None:
            return PowerWish()
        why, price = self._why or (None, None)
        stop = not percent
        return PowerWish(percent=percent or None, stop=stop, why=why, price=price)


def rows(plan: Plan, now: datetime) -> list[dict[str, Any]]:
    """Return the steps from now on, as an attribute or a response."""
    first = plan.index(now) or 0
    return [
        {
            "start": dt_util.as_local(plan.start_of(i)).isoformat(),
            "percent": step.percent,
            "price": round(step.price, 5),
            "gain": round(step.gain, 5),
            "reason": step.reason.value,
        }
        for i, step in enumerate(plan.steps[first:], first)
    ]


def summary(plan: Plan, now: datetime) -> dict[str, Any]:
    """Return what is expected of the steps from now on."""
    first = plan.index(now) or 0
    left = plan.steps[first:]
    runs = [bool(step.percent) for step in plan.steps]
    starts = [b and not a for a, b in pairwise(runs)]
    is_known = plan.setup.hashprice is not None
    cost = sum(step.kwh * step.price for step in left)
    revenue = sum(step.revenue for step in left) if is_known else None
    return {
        "until": dt_util.as_local(plan.end).isoformat(),
        "hours": sum(runs[first:]) * plan.basis.step,
        "kwh": round(sum(step.kwh for step in left), 2),
        "cost": round(cost, 4),
        "revenue": None if revenue is None else round(revenue, 4),
        "margin": None if revenue is None else round(revenue - cost, 4),
        "starts": sum(starts[first - 1 :]) if first else plan.starts,
        "hours_missed": {str(day): hours for day, hours in plan.missed.items()},
    }

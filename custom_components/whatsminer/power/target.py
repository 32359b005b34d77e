"""Power target: one set point in W, held by percent without a restart, else by limit with one."""

from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from time import monotonic
from typing import Any

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..api import Activity
from ..commander import Commander
from ..const import (
    CONF_DEAD_BAND,
    CONF_RESTART_INTERVAL,
    CONF_RESTARTS_ALLOWED,
    DEFAULT_DEAD_BAND,
    DEFAULT_RESTART_INTERVAL,
    LOGGER,
)
from ..controls import FULL, LOWEST_SHARE, POWER_LIMIT, POWER_PERCENT
from .curtailment import Curtailment, restore, stored_time
from .percent import can_percent

RETRY = 120.0
"""Seconds after a command that failed; sooner if the target is set again."""


class TargetWay(StrEnum):
    """What the power target has come to."""

    OFF = "off"
    DEAD_BAND = "dead_band"
    POWER_PERCENT = "power_percent"
    POWER_LIMIT = "power_limit"
    AT_LIMIT = "at_limit"
    """Neither percent nor limit leads nearer: a lower power mode is in force, say."""
    WAITING_TUNED = "waiting_tuned"
    WAITING_INTERVAL = "waiting_interval"
    RESTARTS_NOT_ALLOWED = "restarts_not_allowed"
    STOPPED = "stopped"
    CURTAILED = "curtailed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What is stored of the power target."""

    watts: int | None = None
    last_restart: datetime | None = None
    day: date | None = None
    """The day of the restarts that are counted."""
    restarts: int = 0

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "watts": self.watts,
            "last_restart": self.last_restart and self.last_restart.isoformat(),
            "day": self.day and self.day.isoformat(),
            "restarts": self.restarts,
        }

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Held:
        """Return it from JSON; each part that cannot be read is dropped."""
        last, day = stored.get("last_restart"), stored.get("day")
        return cls(
            watts=restore("power target", _count, stored.get("watts")),
            last_restart=restore("time of the last restart", stored_time, last),
            day=restore("day of the last restart", date.fromisoformat, day),
            restarts=restore("number of restarts", _count, stored.get("restarts")) or 0,
        )


def _count(stored: Any) -> int:
    """Return a stored number; raises TypeError if it is none."""
    if isinstance(stored, bool) or not isinstance(stored, int):
        raise TypeError(f"{stored!r} is no number")
    return stored


class PowerTarget:
    """Holds the power of one miner near a target; looks at it after every poll."""

    def __init__(self, commander: Commander, curtailment: Curtailment) -> None:
        """Take up the target that was set before Home Assistant stopped."""
        self._commander = commander
        self._coordinator = coordinator = commander.coordinator
        self._curtailment = curtailment
        self._held = Held.restored(coordinator.store.power_target)
        self._busy = False
        self._not_before = monotonic()
        self._restarted = monotonic() - self._seconds_since_restart()
        self.way = TargetWay.OFF

    @callback
    def start(self) -> None:
        """Hold the target from now on."""
        self._commander.on_user_command(self._on_user_command)
        self._coordinator.config_entry.async_on_unload(
            self._coordinator.async_add_listener(self._watch)
        )
        self._watch()

    # What the entities show

    @property
    def watts(self) -> int | None:
        """The target (W); None while it is not used."""
        return self._held.watts

    @property
    def next_restart(self) -> datetime | None:
        """When it may restart the miner again; None when it may now, or never."""
        if not self._restarts_allowed or self._held.last_restart is None:
            return None
        wait = self._interval - timedelta(seconds=monotonic() - self._restarted)
        return dt_util.utcnow() + wait if wait > timedelta() else None

    def _seconds_since_restart(self) -> float:
        """Return how long ago the last restart was, by the clock on the wall."""
        last = self._held.last_restart
        if last is None:
            return 0.0
        return max(0.0, (dt_util.utcnow() - last).total_seconds())

    @property
    def restarts_today(self) -> int:
        """Restarts that it has caused since midnight."""
        return self._held.restarts if self._held.day == dt_util.now().date() else 0

    # Setting

    async def async_set(self, watts: int) -> None:
        """Take a target and do at once what leads there; raises when the miner refuses."""
        if self._busy:
            # What is under way is finished first; the poll after it takes the new target.
            await self._keep(replace(self._held, watts=watts))
            return
        with self._acting():
            await self._keep(replace(self._held, watts=watts))
            await self._step()

    @callback
    def _on_user_command(self, key: str, value: Any) -> None:
        """Who sets a limit or a percent does not want a target that sets another."""
        if key in (POWER_LIMIT.key, POWER_PERCENT.key) and self.watts is not None:
            self._begin(self._keep(replace(self._held, watts=None)))

    @callback
    def _watch(self) -> None:
        """After every poll."""
        if self._busy or not self._coordinator.last_update_success:
            return
        way, percent, limit = self._choose()
        if percent is None and limit is None:
            self.way = way
        elif monotonic() >= self._not_before:
            self._begin(self._step_by_itself())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._coordinator.start_task(work, "power target")

    def _choose(self) -> tuple[TargetWay, int | None, int | None]:
        """The way, and the percent or the limit that is to be commanded for it."""
        coordinator, target = self._coordinator, self.watts
        state = coordinator.data
        if target is None:
            return TargetWay.OFF, None, None
        if self._curtailment.record:
            return TargetWay.CURTAILED, None, None
        if state.mining is not True:
            return TargetWay.STOPPED, None, None
        if state.activity is not Activity.MINING:
            return TargetWay.WAITING_TUNED, None, None  # it would not heed a percent
        set_limit = POWER_LIMIT.actual(coordinator)
        full = coordinator.store.tuned_power or set_limit
        if full is None:
            return TargetWay.WAITING_TUNED, None, None
        percent = POWER_PERCENT.actual(coordinator) or FULL
        if state.status is None and not POWER_PERCENT.is_assumed(state):
            return self.way, None, None  # unknown in this poll
        if abs(target - full * percent / 100) <= self._dead_band:
            # The last word stands while it is true.
            kept = (TargetWay.POWER_PERCENT, TargetWay.POWER_LIMIT)
            return (
                self.way if self.way in kept else TargetWay.DEAD_BAND,
                None,
                None,
            )
        wanted = min(100, round(100 * target / full))
        if wanted >= 100 * LOWEST_SHARE and target <= full + self._dead_band:
            if can_percent(coordinator):
                # Whole percents lead no nearer than this, and a restart is not worth the rest.
                step = None if wanted == percent else wanted
                return TargetWay.POWER_PERCENT, step, None
        # A limit that is above what it draws is not what holds it back.
        idle = set_limit is not None and full < target <= set_limit
        if not coordinator.can(POWER_LIMIT.feature) or set_limit == target or idle:
            why = TargetWay.AT_LIMIT
        elif not self._restarts_allowed:
            why = TargetWay.RESTARTS_NOT_ALLOWED
        elif self.next_restart:
            why = TargetWay.WAITING_INTERVAL
        else:
            return TargetWay.POWER_LIMIT, None, target
        # Meanwhile as near as it gets without a restart
        nearest = 100 if target > full else round(100 * LOWEST_SHARE)
        if can_percent(coordinator) and percent != nearest:
            return why, nearest, None
        return why, None, None

    @contextmanager
    def _acting(self) -> Generator[None]:
        """Let no poll begin a step meanwhile."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            self._coordinator.async_update_listeners()

    async def _step_by_itself(self) -> None:
        with self._acting():
            try:
                await self._step()
            except HomeAssistantError as err:
                LOGGER.warning("%s: power target: %s", self._coordinator.name, err)

    async def _step(self) -> None:
        """Command what leads to the target, if anything does."""
        way, percent, limit = self._choose()
        try:
            if percent is not None:
                await POWER_PERCENT.async_set(self._commander, percent)
            elif limit is not None:
                await self._count_restart()
                await POWER_LIMIT.async_set(self._commander, limit)
        except HomeAssistantError:
            self.way = TargetWay.FAILED
            self._not_before = monotonic() + RETRY
            raise
        self.way = way

    @callback
    def note_percent_restart(self) -> None:
        """Count a restart that a percent of the target has caused."""
        if self.watts is not None:
            self._begin(self._count_restart())

    async def _count_restart(self) -> None:
        """Count it before it is sent: a restart that nobody answered for is one as well."""
        count = self.restarts_today + 1
        self._restarted = monotonic()
        now = dt_util.now()
        await self._keep(
            replace(self._held, last_restart=now, day=now.date(), restarts=count)
        )

    async def _keep(self, held: Held) -> None:
        self._held = held
        self._coordinator.async_update_listeners()
        await self._coordinator.store.async_keep("power_target", held.stored())

    # Options

    @property
    def _dead_band(self) -> float:
        options = self._coordinator.config_entry.options
        return float(options.get(CONF_DEAD_BAND, DEFAULT_DEAD_BAND))

    @property
    def _interval(self) -> timedelta:
        options = self._coordinator.config_entry.options
        minutes = options.get(CONF_RESTART_INTERVAL, DEFAULT_RESTART_INTERVAL)
        return timedelta(minutes=minutes)

    @property
    def _restarts_allowed(self) -> bool:
        options = self._coordinator.config_entry.options
        return bool(options.get(CONF_RESTARTS_ALLOWED, True))

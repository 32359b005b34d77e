"""Power target: the wish of the source *Manual*, in W."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
import math
from time import monotonic
from typing import Any

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ..commander import Commander
from ..const import (
    CONF_DEAD_BAND,
    CONF_RESTART_INTERVAL,
    CONF_RESTARTS_ALLOWED,
    DEFAULT_DEAD_BAND,
    DEFAULT_RESTART_INTERVAL,
)
from ..controls import POWER_LIMIT, POWER_PERCENT
from .executor import PowerExecutor
from .policy import Budget, By, Wish
from .record import as_json, restore, stored_number, stored_time

MANUAL = "manual"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What is stored of the power target."""

    watts: int | None = None
    last_restart: datetime | None = None
    day: date | None = None
    """The day of the restarts that are counted."""
    restarts: int = 0

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Held:
        """Return it from JSON; each part that cannot be read is dropped."""
        last, day = stored.get("last_restart"), stored.get("day")
        count = restore("number of restarts", stored_number, stored.get("restarts"))
        return cls(
            watts=restore("power target", stored_number, stored.get("watts")),
            last_restart=restore("time of the last restart", stored_time, last),
            day=restore("day of the last restart", date.fromisoformat, day),
            restarts=count or 0,
        )


class PowerTarget:
    """The source *Manual*, and the restarts that all sources may cause."""

    key = MANUAL
    is_set_up = True

    def __init__(self, commander: Commander, executor: PowerExecutor) -> None:
        """Load the target that was set before Home Assistant stopped."""
        self._commander = commander
        self._coordinator = coordinator = commander.coordinator
        self._executor = executor
        self._held = Held.restored(coordinator.store.power_target)
        last = self._held.last_restart
        since = (dt_util.utcnow() - last).total_seconds() if last else math.inf
        self._restarted = monotonic() - max(0.0, since)
        """By a clock that is never set."""
        self._executor.budget = self.budget
        self._executor.before_restart = self._count_restart
        self._executor.add_source(self)

    @callback
    def start(self) -> None:
        """Clear the target from now on when the user sets a percent or a limit."""
        self._commander.on_user_command(self._on_user_command)

    # What the entities show

    @property
    def watts(self) -> int | None:
        """Return the target (W); None while it is not used."""
        return self._held.watts

    @property
    def next_restart(self) -> datetime | None:
        """Return when the miner may be restarted again; None if it may now, or never."""
        budget = self.budget()
        if budget.restart_is_due or not budget.restarts_allowed:
            return None
        return dt_util.utcnow() + timedelta(seconds=self._wait)

    @property
    def _wait(self) -> float:
        """Return the seconds until the miner may be restarted again; less than 0 if it may now."""
        minutes = self._options.get(CONF_RESTART_INTERVAL, DEFAULT_RESTART_INTERVAL)
        return float(minutes * 60 - (monotonic() - self._restarted))

    @property
    def restarts_today(self) -> int:
        """Return the restarts since midnight that a source has caused."""
        return self._held.restarts if self._held.day == dt_util.now().date() else 0

    # What the policy reads

    def wish(self, now: datetime) -> Wish:
        """Return the target."""
        return Wish(watts=self.watts)

    def budget(self) -> Budget:
        """Return what a source may cost, by the options."""
        return Budget(
            dead_band=float(self._options.get(CONF_DEAD_BAND, DEFAULT_DEAD_BAND)),
            restarts_allowed=bool(self._options.get(CONF_RESTARTS_ALLOWED, True)),
            restart_is_due=self._wait <= 0,
        )

    @property
    def _options(self) -> Mapping[str, Any]:
        return self._coordinator.config_entry.options

    # Setting

    async def async_set(self, watts: int) -> None:
        """Store a target and do what leads there; raises when the miner refuses."""

        async def change() -> None:
            self._executor.select_source(MANUAL)
            await self._save(replace(self._held, watts=watts))

        await self._executor.async_follow_source(change())

    @callback
    def _on_user_command(self, key: str, value: Any) -> None:
        """Clear the target when the user sets a limit or a percent instead."""
        if key in (POWER_LIMIT.key, POWER_PERCENT.key):
            self._executor.select_source(MANUAL)
            if self.watts is not None:
                self._held = replace(self._held, watts=None)
                self._coordinator.start_task(self._save(self._held), "power target")

    @callback
    def note_percent_restart(self) -> None:
        """Count a restart that a percent of the power source has caused."""
        if self._executor.decision.by is By.SOURCE:
            self._coordinator.start_task(self._count_restart(), "power target")

    async def _count_restart(self) -> None:
        """Count it before it is sent: a restart that was not answered is one as well."""
        count = self.restarts_today + 1
        now = dt_util.now()
        self._restarted = monotonic()
        await self._save(
            replace(self._held, last_restart=now, day=now.date(), restarts=count)
        )

    async def _save(self, held: Held) -> None:
        self._held = held
        self._coordinator.async_update_listeners()
        await self._coordinator.store.async_keep("power_target", as_json(held))

"""The source *External*: the power that another program requests, until its request ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from homeassistant.util import dt as dt_util

from ..store import MinerStore
from .executor import PowerExecutor
from .policy import Wish
from .record import as_json, restore, stored_number, stored_time

EXTERNAL = "external"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A power that is requested for some time."""

    watts: int
    """0 is stop."""
    until: datetime
    before: str
    """The source that was selected before."""

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Self:
        """Return it from JSON; raises ValueError, TypeError or KeyError if it is none."""
        return cls(
            watts=stored_number(stored["watts"]),
            until=stored_time(stored["until"]),
            before=str(stored["before"]),
        )


class External:
    """Follows requests; the silence of the other program ends them."""

    key = EXTERNAL

    def __init__(self, store: MinerStore, executor: PowerExecutor) -> None:
        """Load the request that was active before Home Assistant stopped."""
        self._store, self._executor = store, executor
        self._request = restore("request", Request.restored, store.external or None)
        executor.add_source(self)
        self.wish(dt_util.utcnow())  # it may have ended in the meantime

    @property
    def is_set_up(self) -> bool:
        """Return whether there is a request, be it one whose end has not been noticed yet."""
        request, is_selected = self._request, self._executor.record.source == EXTERNAL
        return bool(request and (is_selected or request.until > dt_util.utcnow()))

    def wish(self, now: datetime) -> Wish:
        """Return the requested power; after its end the previous source is selected again."""
        request = self._request
        if request is None:
            return Wish()
        if now < request.until:
            stop = request.watts == 0
            return Wish(watts=None if stop else request.watts, stop=stop)
        self._request = None
        if self._executor.record.source == EXTERNAL:
            self._executor.select_source(request.before)
        return Wish()

    async def async_request(self, watts: int, duration: timedelta) -> None:
        """Request a power for some time, and do what leads there; raises when the miner refuses."""
        before = self._executor.source.key
        if before == EXTERNAL and self._request:
            before = self._request.before
        until = dt_util.utcnow() + duration
        self._request = Request(watts=watts, until=until, before=before)

        async def change() -> None:
            self._executor.select_source(EXTERNAL)
            assert self._request
            await self._store.async_keep(EXTERNAL, as_json(self._request))

        await self._executor.async_follow_source(change())

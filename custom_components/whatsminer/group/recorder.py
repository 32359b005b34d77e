"""Keeps the record of a group's curtailments while they last."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..api import MinerState
from ..const import DOMAIN
from ..money.energy import Meter, Reading
from ..runtime import WhatsminerConfigEntry, WhatsminerData
from .entry import names_of
from .events import KEPT, SAMPLES, Event, requested
from .member import loaded
from .store import GroupStore

EVENT_CURTAILMENT = f"{DOMAIN}_group_curtailment"
"""Fired when one begins and when it ends, for the logbook."""


class EventRecorder:
    """The events of one group, the last 50."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        store: GroupStore,
        members: Callable[[], list[WhatsminerConfigEntry]],
        start_task: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        """Prepare."""
        self._hass, self._entry, self._store = hass, entry, store
        self._members = members
        self._start_task = start_task
        self._meters: dict[str, Meter] = {}

    @property
    def _loaded(self) -> dict[str, WhatsminerData]:
        """Return what the entries of the miners hold, by name."""
        members = self._members()
        names = names_of(members)
        return {
            names[entry.entry_id]: data for entry in members if (data := loaded(entry))
        }

    def _powers(self, *, fresh: bool) -> dict[str, float]:
        """Return the power of the miners that are online, by name (W).

        What one draws that did not answer its last poll is unknown, so it neither delivers nor is
        restored: with `fresh` it is left out.
        """
        return {
            name: power
            for name, data in self._loaded.items()
            if data.coordinator.last_update_success
            and (data.coordinator.fresh or not fresh)
            and (power := data.coordinator.data.power_now) is not None
        }

    @property
    def _open(self) -> list[Event]:
        return [event for event in self._store.events if not event.restored]

    @callback
    def begin(
        self, by: str, target: str, amount: int | None, reason: str | None
    ) -> Event:
        """Begin a record, before anything is commanded."""
        for earlier in self._open:
            if earlier.reason == reason and not earlier.ended:
                self._end(earlier)
        powers, miners = self._powers(fresh=False), self._loaded
        fulls = [
            miners[name].coordinator.store.tuned_power or power
            for name, power in powers.items()
        ]
        event = Event(
            begun=dt_util.utcnow().isoformat(timespec="seconds"),
            by=by,
            reason=reason,
            target=target,
            amount=amount,
            baseline=powers,
            requested=requested(target, amount, powers, fulls),
        )
        self._store.events = [*self._store.events, event][-KEPT:]
        self._meters = {}
        self.observe()
        self._start_task(self._sample(event))
        self._announce(event)
        return event

    async def _sample(self, event: Event) -> None:
        """Note the delivery 10 s, 60 s and 5 min after the request."""
        begun = self._hass.loop.time()
        for seconds in SAMPLES:
            await asyncio.sleep(max(0.0, begun + seconds - self._hass.loop.time()))
            await asyncio.gather(
                *(data.coordinator.async_refresh() for data in self._loaded.values())
            )
            event.note(seconds, self._powers(fresh=True))
            self._store.save()

    @callback
    def observe(self) -> None:
        """Count what the miners use, and note the end of events; called after their polls."""
        if not (opened := self._open):
            return
        for name, data in self._loaded.items():
            self._count(name, data.coordinator.data, opened)
        powers = self._powers(fresh=True)
        for event in opened:
            if not event.ended and not self._is_active(event):
                self._end(event)
            if event.ended and event.is_restored(powers):
                event.restored = dt_util.utcnow().isoformat(timespec="seconds")
        self._store.save()

    def _count(self, name: str, state: MinerState, events: list[Event]) -> None:
        if (power := state.power_now) is None:
            return
        meter = self._meters.setdefault(name, Meter())
        used = meter.add(Reading(state.read_at, power))
        for event in events:
            if not event.ended and name in event.baseline:
                event.energy[name] = event.energy.get(name, 0.0) + used

    def _is_active(self, event: Event) -> bool:
        """Return whether the curtailment counts for any miner, or is still being commanded."""
        begun = dt_util.parse_datetime(event.begun)
        assert begun
        if (dt_util.utcnow() - begun).total_seconds() < SAMPLES[0]:
            return True
        return any(
            one.reason == event.reason
            for data in self._loaded.values()
            for one in data.curtailment.record.active
        )

    @callback
    def end(self, reason: str | None) -> list[Event]:
        """End the events with a reason, or all, since the group is resumed."""
        ending = [
            event
            for event in self._open
            if not event.ended and reason in (None, event.reason)
        ]
        for event in ending:
            self._end(event)
        return ending

    def _end(self, event: Event) -> None:
        event.ended = dt_util.utcnow().isoformat(timespec="seconds")
        self._store.save()
        self._announce(event)

    def _announce(self, event: Event) -> None:
        data = {"name": self._entry.title, "entry_id": self._entry.entry_id}
        self._hass.bus.async_fire(EVENT_CURTAILMENT, data | event.stored())

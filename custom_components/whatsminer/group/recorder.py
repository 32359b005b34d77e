"""Keeps the record of a group's curtailments while they last."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..money.energy import Meter, Reading
from ..runtime import WhatsminerConfigEntry
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
    def _named(self) -> dict[str, WhatsminerConfigEntry]:
        """Return the miners by name."""
        members = self._members()
        names = names_of(members)
        return {names[entry.entry_id]: entry for entry in members}

    @property
    def _last_powers(self) -> dict[str, float]:
        """Return the last power of the miners that are online, by name (W)."""
        return {
            name: power
            for name, entry in self._named.items()
            if (data := loaded(entry))
            and data.coordinator.last_update_success
            and (power := data.coordinator.data.power_now) is not None
        }

    @property
    def _powers(self) -> dict[str, float]:
        """Return the power of the miners that answered their last poll, by name (W).

        What another one draws is unknown, so it neither delivers nor is restored.
        """
        return {
            name: power
            for name, power in self._last_powers.items()
            if (data := loaded(self._named[name])) and data.coordinator.fresh
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
        powers = self._last_powers
        full = {
            name: data.coordinator.store.tuned_power
            for name, entry in self._named.items()
            if (data := loaded(entry))
        }
        event = Event(
            begun=dt_util.utcnow().isoformat(timespec="seconds"),
            by=by,
            reason=reason,
            target=target,
            amount=amount,
            baseline=powers,
            requested=requested(
                target, amount, powers, [full[name] or powers[name] for name in powers]
            ),
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
                *(
                    data.coordinator.async_refresh()
                    for entry in self._members()
                    if (data := loaded(entry))
                )
            )
            event.note(seconds, self._powers)
            self._store.save()

    @callback
    def observe(self) -> None:
        """Count what the miners use, and note the end of events; called after their polls."""
        if not (opened := self._open):
            return
        for name, entry in self._named.items():
            self._count(name, entry, opened)
        powers = self._powers
        for event in opened:
            if not event.ended and not self._is_active(event):
                self._end(event)
            if event.ended and event.is_restored(powers):
                event.restored = dt_util.utcnow().isoformat(timespec="seconds")
        self._store.save()

    def _count(
        self, name: str, entry: WhatsminerConfigEntry, events: list[Event]
    ) -> None:
        data = loaded(entry)
        if data is None or (power := data.coordinator.data.power_now) is None:
            return
        meter = self._meters.setdefault(entry.entry_id, Meter())
        used = meter.add(Reading(data.coordinator.data.read_at, power))
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
            for entry in self._members()
            if (data := loaded(entry))
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

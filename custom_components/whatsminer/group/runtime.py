"""A loaded group: its miners, what they do together, and what it stores."""

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from time import monotonic
from typing import Any

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.core import CALLBACK_TYPE, CoreState, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later

from ..const import CONF_THERMOSTAT_SENSOR
from ..faults import FaultType, fault_type, fault_words
from ..heat.heating import Heating
from ..money.economics import Market
from ..runtime import WhatsminerConfigEntry, WhatsminerData
from .control import SiteControl
from .entry import CONF_EXCLUDED, CONF_FIRST, CONF_HOLD, is_controlled, member_entries
from .heater import GroupHeater
from .member import Member, loaded
from .recorder import EventRecorder
from .store import GroupStore
from .target import TargetControl
from .totals import Part, Totals, total

type GroupConfigEntry = ConfigEntry[Group]

UPDATE_DELAY = 2.0
"""Seconds that are waited for more miners to be polled, so that a hundred write one state."""

WORST = (
    *(FaultType.TEMPERATURE, FaultType.POWER_SUPPLY, FaultType.FAN),
    *(FaultType.CONTROL_BOARD, FaultType.BOARD, FaultType.CHIP, FaultType.HASHRATE),
    *(FaultType.POOL, FaultType.SOFTWARE, FaultType.OTHER),
)
"""What is at fault, the worst first: what can do harm, then what costs hashrate."""


class Group:
    """Several miners as one."""

    def __init__(self, hass: HomeAssistant, entry: GroupConfigEntry) -> None:
        """Prepare; `start` follows the miners."""
        self.hass = hass
        self.entry = entry
        self.totals = Totals()
        self.store = GroupStore(hass, entry.entry_id)
        self.events = EventRecorder(
            hass, entry, self.store, lambda: self.members, self._start_task
        )
        self._miners: dict[str, Member] = {}
        self._target = TargetControl(monotonic, self._start_task)
        self.site: SiteControl | None = None
        if entry.options.get(CONF_HOLD):
            self.site = SiteControl(
                hass, entry, self.store, lambda: self.controlled, self._start_task
            )
        self._heater: GroupHeater | None = None
        self._released = True
        """Whether the miners were released from a thermostat that is gone."""
        self._listeners: list[CALLBACK_TYPE] = []
        self._followed: dict[str, CALLBACK_TYPE] = {}
        self._due: CALLBACK_TYPE | None = None

    async def async_load(self) -> None:
        """Read what is stored, also by the thermostat."""
        await self.store.async_load()
        if self.entry.options.get(CONF_THERMOSTAT_SENSOR) and not self.site:
            self._heater = GroupHeater(
                self.hass,
                self.entry,
                self.store,
                lambda: self.controlled,
                self.update,
                self.async_add_listener,
                self._start_task,
            )
        elif self.store.heats:
            self.store.heats = self._released = False

    @callback
    def start(self) -> None:
        """Follow the miners from now on."""
        self.entry.async_on_unload(self._stop)
        self.entry.async_on_unload(
            async_dispatcher_connect(
                self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry_change
            )
        )
        left = self.store.joined - self.controlled.keys()
        self.store.joined -= left
        for name in self.store.stopped.keys() - self.controlled.keys():
            self.store.note_stop(name, None)
        config = self.hass.config_entries
        release(entry for name in left if (entry := config.async_get_entry(name)))
        for entry in self.members:
            self._follow(entry)
        if self.site:
            self.site.start()
        if self.heating:
            self.heating.start()
        self.update()

    @callback
    def _start_task(self, work: Coroutine[Any, Any, Any]) -> None:
        self.entry.async_create_background_task(self.hass, work, "group")

    # Miners

    @property
    def controlled(self) -> dict[str, Member]:
        """Return the miners that the group may control, by entry id."""
        options = self.entry.options
        ids = {
            entry.entry_id: entry
            for entry in self.members
            if entry.entry_id not in options.get(CONF_EXCLUDED, ())
        }
        self._miners = {
            name: self._miners.get(name)
            or Member(entry, self.store, first=name in options.get(CONF_FIRST, ()))
            for name, entry in ids.items()
        }
        return self._miners

    @property
    def members(self) -> list[WhatsminerConfigEntry]:
        """Return the entries of the miners."""
        return member_entries(self.hass, self.entry)

    @callback
    def _on_entry_change(
        self, change: ConfigEntryChange, entry: WhatsminerConfigEntry
    ) -> None:
        """Follow a miner that was loaded, and leave one that is not."""
        if entry.entry_id in self._followed or entry in self.members:
            self._follow(entry)
            self._on_miner()

    @callback
    def _follow(self, entry: WhatsminerConfigEntry) -> None:
        # A coordinator is another object after a reload, so none is kept.
        if stop := self._followed.pop(entry.entry_id, None):
            stop()
        if data := loaded(entry):
            self._followed[entry.entry_id] = data.coordinator.async_add_listener(
                self._on_miner
            )
            self._join(entry.entry_id, data)

    @callback
    def _join(self, entry_id: str, data: WhatsminerData) -> None:
        """Let a new member follow the group, once: later the user may choose another source."""
        if entry_id not in self.store.joined and is_controlled(self.hass, entry_id):
            self.store.joined.add(entry_id)
            self.store.save()
            data.follower.join()
        # A choice of the power source may be new.
        data.coordinator.async_update_listeners()

    @callback
    def _stop(self) -> None:
        for stop in self._followed.values():
            stop()
        self._followed.clear()
        if self._due:
            self._due()
        if self.entry.disabled_by:
            # When it is enabled again, what it wanted before is out of date.
            for data in filter(None, map(loaded, self.members)):
                data.follower.forget()

    # What is shown

    @callback
    def async_add_listener(self, listener: CALLBACK_TYPE) -> Callable[[], None]:
        """Call a listener whenever the totals are new; return the function that removes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def _on_miner(self) -> None:
        if self._due is None:
            self._due = async_call_later(self.hass, UPDATE_DELAY, self.update)

    @callback
    def update(self, _: datetime | None = None) -> None:
        """Add up what the miners report now, and show it."""
        if self._due:
            self._due()
        self._due = None
        self.totals = total(map(self._part, self.members))
        self.events.observe()
        self._decide()
        for listener in list(self._listeners):
            listener()

    @property
    def heating(self) -> Heating | None:
        """Return the thermostat, if a temperature sensor is chosen."""
        return self._heater.heating if self._heater else None

    @property
    def is_on(self) -> bool:
        """Return whether the miners may mine."""
        is_cold = self.store.heats and self.heating and not self.heating.is_on
        return self.store.on and not is_cold

    # What the user sets

    @property
    def full(self) -> float:
        """Return the full power of the miners that the group may control (W)."""
        return sum(member.full for member in self.controlled.values())

    @callback
    def set_target(self, watts: int) -> None:
        """Divide another power among the miners, which ends the thermostat."""
        self.store.target, self.store.heats = watts, False
        self._on_user()

    @callback
    def set_on(self, on: bool) -> None:
        """Let the miners mine without the thermostat, or stop all that follow the group."""
        self.store.on, self.store.heats = on, False
        if self.site:
            self.site.restart()
        self._on_user()

    @callback
    def set_reserve(self, watts: int) -> None:
        """Leave a power to others."""
        self.store.reserve = watts
        self._on_user()

    @callback
    def _on_user(self) -> None:
        self.store.save()
        self._decide(now=True)
        for listener in list(self._listeners):
            listener()

    @callback
    def _decide(self, *, now: bool = False) -> None:
        """Let the miners follow, if something has changed; not before all entries were set up."""
        members = self.controlled
        for member in members.values():
            member.observe(monotonic())
        if self.hass.state is not CoreState.running:
            return
        if not self.store.on:
            self._target.cancel()
            self._stop_all(members)
        elif self.site:
            self.site.step()
        elif self._heater and self.store.heats:
            self._target.cancel()
            self._heater.follow()
        else:
            now = now or not self._released
            self._target.follow(self.store.target, members, now=now)
        self._released = True

    @callback
    def _stop_all(self, members: dict[str, Member]) -> None:
        """Stop what runs and follows the group, once."""
        for member in members.values():
            is_new = member.percent != 0 or (member.waits and not member.held)
            if member.follows and is_new:
                member.percent = 0
                self._start_task(member.async_command(0))

    @property
    def available(self) -> bool:
        """Return whether any miner answers."""
        return len(self.totals.offline) < len(self.members)

    def _part(self, entry: WhatsminerConfigEntry) -> Part:
        """Return what a miner adds to the totals."""
        data = loaded(entry)
        if data is None or not data.coordinator.last_update_success:
            return Part(entry.title, online=False)
        state = data.coordinator.data
        power = state.summary.power if state.summary else None
        hashrate = state.summary.hashrate if state.summary else None
        market = Market(self.hass, entry.options)
        price, hashprice = market.price, market.hashprice
        faults = [
            (WORST.index(fault_type(fault.code)), fault_words(fault))
            for fault in state.faults or ()
        ]
        return Part(
            entry.title,
            power=power,
            hashrate=hashrate,
            mining=state.mining is True,
            cost=None if price.amount is None else (power or 0.0) / 1000 * price.amount,
            revenue=None
            if hashprice.amount is None
            else (hashrate or 0.0) * hashprice.amount / 24,
            currency=price.currency,
            revenue_currency=hashprice.currency,
            fault=min(faults, default=None),
        )


@callback
def release(members: Iterable[WhatsminerConfigEntry]) -> None:
    """Return miners that are in no group any more to what their users have set."""
    for entry in members:
        if data := loaded(entry):
            data.follower.leave()
            data.coordinator.async_update_listeners()

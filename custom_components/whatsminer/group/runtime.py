"""A loaded group: its miners, what they do together, and what it stores."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later

from ..faults import FaultType, fault_type, fault_words
from ..money.economics import Market
from ..runtime import WhatsminerData
from .entry import member_entries
from .totals import Part, Totals, total

type GroupConfigEntry = ConfigEntry[Group]

UPDATE_DELAY = 2.0
"""Seconds that are waited for more miners to be polled, so that a hundred write one state."""

WORST = tuple(
    map(
        FaultType,
        (
            "temperature",
            "power_supply",
            "fan",
            "control_board",
            "board",
            "chip",
            "hashrate",
            "pool",
            "software",
            "other",
        ),
    )
)
"""What is at fault, the worst first: what can do harm, then what costs hashrate."""


class Group:
    """Several miners as one."""

    def __init__(self, hass: HomeAssistant, entry: GroupConfigEntry) -> None:
        """Prepare; `start` follows the miners."""
        self.hass = hass
        self.entry = entry
        self.totals = Totals()
        self._listeners: list[CALLBACK_TYPE] = []
        self._followed: dict[str, CALLBACK_TYPE] = {}
        self._due: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Follow the miners from now on."""
        self.entry.async_on_unload(self._stop)
        self.entry.async_on_unload(
            async_dispatcher_connect(
                self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry_change
            )
        )
        for entry in self.members:
            self._follow(entry)
        self.update()

    # Miners

    @property
    def members(self) -> list[ConfigEntry[Any]]:
        """Return the entries of the miners."""
        return member_entries(self.hass, self.entry)

    @callback
    def _on_entry_change(
        self, change: ConfigEntryChange, entry: ConfigEntry[Any]
    ) -> None:
        """Follow a miner that was loaded, and leave one that is not."""
        if entry.entry_id in self._followed or entry in self.members:
            self._follow(entry)
            self._on_miner()

    @callback
    def _follow(self, entry: ConfigEntry[Any]) -> None:
        # A coordinator is another object after a reload, so none is kept.
        if stop := self._followed.pop(entry.entry_id, None):
            stop()
        if entry.state is ConfigEntryState.LOADED:
            data: WhatsminerData = entry.runtime_data
            self._followed[entry.entry_id] = data.coordinator.async_add_listener(
                self._on_miner
            )

    @callback
    def _stop(self) -> None:
        for stop in self._followed.values():
            stop()
        self._followed.clear()
        if self._due:
            self._due()

    # What is shown

    @callback
    def async_add_listener(self, listener: CALLBACK_TYPE) -> Callable[[], None]:
        """Call a listener whenever the totals are new; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def _on_miner(self) -> None:
        if self._due is None:
            self._due = async_call_later(self.hass, UPDATE_DELAY, self.update)

    @callback
    def update(self, _: datetime | None = None) -> None:
        """Add up what the miners report now, and show it."""
        self._due = None
        self.totals = total(map(self._part, self.members))
        for listener in list(self._listeners):
            listener()

    @property
    def available(self) -> bool:
        """Return whether any miner answers."""
        return len(self.totals.offline) < len(self.members)

    def _part(self, entry: ConfigEntry[Any]) -> Part:
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


def loaded(entry: ConfigEntry[Any]) -> WhatsminerData | None:
    """Return what a miner's entry holds; None while it is not loaded."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    data: WhatsminerData = entry.runtime_data
    return data

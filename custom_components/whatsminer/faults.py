"""The faults of a miner: which of them are new, and which persist until the user acts."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from io import BytesIO
import struct
from zoneinfo import ZoneInfo

from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import CALLBACK_TYPE, callback

from .api import Fault, MinerState
from .api.fault_codes import decode, fault_text
from .coordinator import WhatsminerCoordinator
from .exceptions import markdown
from .issues import report_issue

CLOCK_AHEAD = timedelta(minutes=5)
"""How fast the clock of a miner may be: what is later than that is in another time zone."""
PERSISTS = timedelta(minutes=10)
"""Faults of pools and mains often clear on their own (protocol.md#f2); older ones do not."""

MAX_ANNOUNCED = 20
"""New faults of one poll that become events; a miner with more of them has one problem, not many."""

MAX_NAMED = 5
"""Faults that an issue names; a sick board can have one for each of its chips."""


class FaultType(StrEnum):
    """What is at fault: the parts of the table of protocol.md#f2."""

    FAN = "fan"
    POWER_SUPPLY = "power_supply"
    TEMPERATURE = "temperature"
    BOARD = "board"
    CONTROL_BOARD = "control_board"
    POOL = "pool"
    HASHRATE = "hashrate"
    CHIP = "chip"
    SOFTWARE = "software"
    OTHER = "other"


_TYPES: dict[int, FaultType] = {
    1: FaultType.FAN,
    2: FaultType.POWER_SUPPLY,
    3: FaultType.TEMPERATURE,
    4: FaultType.BOARD,
    5: FaultType.BOARD,
    6: FaultType.TEMPERATURE,
    7: FaultType.CONTROL_BOARD,
    8: FaultType.SOFTWARE,
    20: FaultType.POOL,
    21: FaultType.HASHRATE,
    23: FaultType.HASHRATE,
    **dict.fromkeys(range(50, 57), FaultType.CHIP),
    **dict.fromkeys((*range(80, 88), 90, 1000, 1001, 1100), FaultType.SOFTWARE),
}

REMEDIES: dict[str, frozenset[int]] = {
    "fault_fans": frozenset({100, 110, 111, 120, 121, 130, 131, 140, 253, 254, 274}),
    "fault_heat": frozenset(
        {203, 204, *range(233, 236), *range(243, 246), 275, 600, 610, 8035}
        | {*range(350, 364), *range(5050, 5060), *range(5070, 5080)}
    ),
    "fault_mains": frozenset({206, 207, 218, *range(246, 252), *range(269, 272)}),
    "fault_network": frozenset({713}),
    "fault_pool": frozenset({2000, 2010, *range(2020, 2031), 2040, 2050}),
}
"""The repair issues, and the codes that create each."""


def fault_type(code: int) -> FaultType:
    """Return the part that is at fault."""
    return _TYPES.get(decode(code)[0], FaultType.OTHER)


def fault_words(fault: Fault) -> str:
    """Return a fault in our words, and in those of the miner if it has some."""
    text = fault_text(fault.code)
    return f"{text} ({fault.reason.rstrip('.')})" if fault.reason else text


def fault_state(words: str | None) -> str:
    """Return words about faults as a state: cut to its length, `none` where there are none."""
    state = words or "none"
    if len(state) > MAX_LENGTH_STATE_STATE:
        state = f"{state[: MAX_LENGTH_STATE_STATE - 1]}…"
    return state


@lru_cache(maxsize=16)
def posix_zone(text: str) -> ZoneInfo | None:
    """Return the time zone of `CST-8` or `CET-1CEST,M3.5.0,M10.5.0/3`.

    Python only reads such a text as the last line of a zone file, hence the file.
    """
    counts = struct.pack(">6L", 0, 0, 0, 0, 1, 1)
    block = b"TZif2" + bytes(15) + counts + bytes(7)
    try:
        return ZoneInfo.from_file(BytesIO(block * 2 + f"\n{text}\n".encode()))
    except ValueError:
        return None


def fault_time(fault: Fault, state: MinerState) -> datetime | None:
    """Return when the miner noted it (UTC); None where it reports no zone, or another than it uses."""
    text = state.settings and state.settings.timezone
    zone = posix_zone(text) if text else None
    if fault.time and zone:
        with suppress(ValueError, OverflowError):
            time = datetime.fromisoformat(fault.time).replace(tzinfo=zone)
            if time <= state.read_at + CLOCK_AHEAD:
                return time.astimezone(UTC)
    return None


class FaultLog:
    """Follows the faults of one miner, whether its entities are enabled or not."""

    def __init__(self, coordinator: WhatsminerCoordinator) -> None:
        """Prepare; `start` looks at the first list."""
        self._coordinator = coordinator
        self._listeners: list[Callable[[Fault], None]] = []

    @callback
    def start(self) -> None:
        """Follow the faults from now on."""
        entry = self._coordinator.config_entry
        entry.async_on_unload(self._coordinator.async_add_listener(self._follow))
        self._follow()

    @callback
    def on_new(self, listener: Callable[[Fault], None]) -> CALLBACK_TYPE:
        """Call a listener for each fault that appears; return the function that removes it."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @property
    def is_in_repairs(self) -> bool:
        """Return whether an issue says what to do about one of the faults."""
        return any(self._persisting(kind) for kind in REMEDIES)

    @callback
    def _follow(self) -> None:
        state = self._coordinator.data
        if state.faults is None:
            return  # a missing list does not end a fault
        new = self._coordinator.store.observe_faults(state.faults, state.read_at)
        for fault in new[:MAX_ANNOUNCED]:
            for listener in self._listeners:
                listener(fault)
        for kind in REMEDIES:
            self._report(kind)

    def _persisting(self, kind: str) -> list[str]:
        """Return the faults of one kind that persist."""
        state, store = self._coordinator.data, self._coordinator.store
        return [
            f"{fault.code}: {markdown(fault_words(fault))}"
            for fault in state.faults or ()
            if fault.code in REMEDIES[kind]
            and (since := store.fault_since(fault.code))
            and state.read_at - since >= PERSISTS
        ]

    def _report(self, kind: str) -> None:
        """Create the issue for faults that persist, or delete it."""
        persisting = self._persisting(kind)
        named = [
            *persisting[:MAX_NAMED],
            *(["…"] if len(persisting) > MAX_NAMED else []),
        ]
        report_issue(
            self._coordinator.hass,
            self._coordinator.config_entry,
            kind,
            is_open=bool(persisting),
            faults="; ".join(named),
        )

"""Recognize a miner by what its answers contain anyway, without a request of its own.

Pure functions: nothing here opens a socket.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import final

from .models import MinerState, Section

CLOCK_TOLERANCE = 20.0
"""Seconds by which the miner's uptime may differ from the time between two polls.

Both are read in whole seconds, and one answer may take 10 s.
"""


def same_mac(one: str, other: str) -> bool:
    """Return whether two MAC addresses are equal, however they are written."""
    return _digits(one) == _digits(other)


def _digits(mac: str) -> str:
    return "".join(char for char in mac.lower() if char.isalnum())


@final
@dataclass(frozen=True, slots=True)
class Traits:
    """What one poll shows of the identity of a miner."""

    read_at: datetime
    clocks: tuple[float | None, float | None]
    """Seconds since the control board and since btminer started."""
    serials: dict[int, str]
    """Of the boards, by slot."""

    @property
    def is_comparable(self) -> bool:
        """Return whether there is anything to compare."""
        return bool(self.serials) or any(clock is not None for clock in self.clocks)


def traits_of(state: MinerState, fresh: Collection[Section]) -> Traits:
    """Return the traits that a poll shows in those sections that it has read."""
    summary = state.summary if Section.SUMMARY in fresh else None
    boards = state.boards if Section.BOARDS in fresh else None
    return Traits(
        state.read_at,
        (summary.uptime, summary.elapsed) if summary else (None, None),
        {board.slot: board.serial for board in boards or () if board.serial},
    )


def is_same_miner(before: Traits, now: Traits) -> bool | None:
    """Return whether two polls are of one miner; None where they do not show it.

    False is a suspicion: a restart or a replaced board also gives it. The MAC decides then.
    """
    passed = (now.read_at - before.read_at).total_seconds()
    if any(
        old is not None
        and new is not None
        and abs(new - old - passed) > CLOCK_TOLERANCE
        for old, new in zip(before.clocks, now.clocks, strict=True)
    ):
        return False
    slots = before.serials.keys() & now.serials.keys()
    if not slots:
        return None
    return all(before.serials[slot] == now.serials[slot] for slot in slots)

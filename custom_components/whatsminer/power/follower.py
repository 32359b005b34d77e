"""The power source *Group*: what the group of a miner wants it to draw."""

from collections.abc import Callable
from datetime import datetime

from homeassistant.core import callback

from .executor import PowerExecutor
from .policy import Wish

GROUP = "group"
HOLD = Wish(hold=True)
"""Until the group is loaded, and has decided, its miners stay as they are."""


class Follower:
    """The wish of a group for one miner."""

    key = GROUP

    def __init__(self, executor: PowerExecutor, is_member: Callable[[], bool]) -> None:
        """Offer the source; it can be selected while the miner is in a group."""
        self._executor = executor
        self._is_member = is_member
        self._wish = HOLD
        self._selection: object = None
        """The selection of this source since which the group has decided."""
        self._is_old = False
        """Whether a curtailment has made the wish out of date."""
        executor.add_source(self)

    @property
    def is_set_up(self) -> bool:
        """Return whether a group may control the miner."""
        return self._is_member()

    @property
    def is_selected(self) -> bool:
        """Return whether the miner follows its group."""
        return self._executor.source is self

    @property
    def is_undecided(self) -> bool:
        """Return whether the group must decide: at first, and after a curtailment or another source."""
        return self._is_old or not self._has_decided

    @property
    def _has_decided(self) -> bool:
        return self._selection is self._executor.selection

    def wish(self, now: datetime) -> Wish:
        """Return what the group wants.

        The end of a curtailment starts no miner: if all did so together, they would exceed the
        power of the group.
        """
        if not self._has_decided:
            return HOLD
        if self._wish == Wish():
            return self._wish
        if self._executor.record.active:
            is_stopped = self._executor.is_stopped
            self._is_old = is_stopped or self._wish.expires
            return HOLD if is_stopped else self._wish
        return HOLD if self._is_old else self._wish

    async def async_follow(self, wish: Wish) -> None:
        """Take a wish, and carry it out; raises when the miner refuses."""

        async def change() -> None:
            self._wish, self._is_old = wish, False
            self._selection = self._executor.selection

        await self._executor.async_follow_source(change(), newest=True)

    @callback
    def join(self) -> None:
        """Let the group say what the miner draws, unless the user has selected another source."""
        if self._executor.source is self._executor.default_source:
            self._executor.select_source(GROUP)

    @callback
    def forget(self) -> None:
        """Let the group decide again before the miner does what it wants."""
        self._selection, self._is_old = None, False

    @callback
    def leave(self) -> None:
        """Return to the user's own settings, since the miner is in no group any more."""
        self.forget()
        self._executor.leave_source(GROUP)

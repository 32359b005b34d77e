"""Sends the commands of one miner, and confirms each by reading back."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
import contextlib
from dataclasses import dataclass, field
from typing import Any

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from .api import (
    CannotConnectError,
    InvalidValueError,
    Miner,
    MinerState,
    UnknownOutcomeError,
    WhatsminerError,
)
from .const import LOGGER
from .coordinator import WhatsminerCoordinator
from .exceptions import failed, not_sent, translated
from .write_access import WriteAccess

READ_BACK_INTERVAL = 2.0
"""Seconds between the quick re-reads after a command."""

# How long a command may take to show (section H of docs/protocol.md, protocol.md#d8).
DEADLINE_REACHABLE = 60.0
DEADLINE_FLAG = 60.0
DEADLINE_RESTART = 180.0
DEADLINE_REBOOT = 300.0

ABSENT_GRACE = 20.0
"""Seconds for a restart to begin, before a value that is not reported counts as unreadable."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command, and how to confirm it."""

    key: str
    """The entity that shows it; a newer command of the same key replaces it."""
    send: Callable[[Miner], Awaitable[None]]
    value: Any = None
    """What that entity shows until it is confirmed."""
    done: Callable[[MinerState], bool | None] | None = None
    """Return whether the miner shows the effect, or None where its answers lack the value.

    None instead of a function: nothing can be read back.
    """
    approached: Callable[[MinerState], bool] = lambda _: False
    """Return whether the miner shows as much of the effect as it can when the time is up.

    A percent may be reached only minutes later, another limit of the miner may be lower, and some
    settings may be reported only from the next start on.
    """
    failed: Callable[[MinerState], str | None] = lambda _: None
    """Return the key of the sentence why the effect will not show any more."""
    deadline: float = DEADLINE_FLAG
    slow: bool = False
    """Whether the effect is in the sections that are read periodically."""
    interrupts: bool = False
    """Whether btminer or the board restarts, so that silence is no failure."""
    quiet: float = 0.0
    """Seconds in which a newer command of the same key takes its place before it is sent."""
    sent: Callable[[bool], object] = lambda _: None
    """Called when it was sent, with whether the miner acknowledged it."""
    confirmed: Callable[[], object] = lambda: None
    """Called when it is done, before the entity shows the miner's own value again."""


@dataclass
class _Pending:
    """A command that is being sent or confirmed."""

    value: Any
    unknown: UnknownOutcomeError | None = None
    """Set when the command was sent and the miner did not answer."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a newer command of the same key replaces it, or the entry is unloaded."""


class Commander:
    """The commands of one miner: one of each key at a time, and the newest counts."""

    def __init__(
        self, coordinator: WhatsminerCoordinator, write_access: WriteAccess
    ) -> None:
        """Prepare; `close` ends what is being confirmed."""
        self.coordinator = coordinator
        self.write_access = write_access
        self.last_sent: dict[str, float] = {}
        """When each command was sent last, by its key, on the clock of the event loop."""
        self._loop = coordinator.hass.loop
        self._closed = False
        self._pending: dict[str, _Pending] = {}
        self._sending: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._listeners: list[Callable[[str, Any], None]] = []

    @callback
    def close(self) -> None:
        """Send nothing more, and end what is being confirmed."""
        self._closed = True
        for pending in self._pending.values():
            pending.ended.set()

    def shown[T](self, key: str, actual: T) -> T:
        """Return the command that is being confirmed, else the actual value."""
        pending = self._pending.get(key)
        return actual if pending is None else pending.value

    @callback
    def on_user_command(self, listener: Callable[[str, Any], None]) -> None:
        """Call a listener with key and value whenever a user commands an entity."""
        self._listeners.append(listener)

    @callback
    def notify_user_command(self, key: str, value: Any) -> None:
        """Call the listeners: a user has commanded an entity, and it was sent."""
        for listener in self._listeners:
            listener(key, value)

    async def async_command(self, command: Command) -> bool:
        """Send a command, and confirm that it has taken effect.

        Returns False when a newer one of the same key has replaced it.
        Raises a translated HomeAssistantError when the miner refuses, when it does not show the
        effect before the deadline, or when it did not answer and the result cannot be read back.
        """
        if self._closed or self.coordinator.unloaded:
            raise self._error("not_sent")
        if earlier := self._pending.get(command.key):
            earlier.ended.set()
        mine = self._pending[command.key] = _Pending(command.value)
        self.coordinator.async_update_listeners()
        try:
            # In the order of the calls; one that was superseded is not sent.
            if command.quiet:
                await self._async_pause(mine, command.quiet)
            async with self._sending[command.key]:
                since = self._loop.time()
                sent = await self._async_send(command, mine)
            if sent and command.done:
                sent = await self._async_confirm(command, mine, since)
            if sent:
                command.confirmed()
            return sent
        finally:
            if self._pending.get(command.key) is mine:
                del self._pending[command.key]
            self.coordinator.read_all_next()
            self.coordinator.async_update_listeners()

    async def _async_send(self, command: Command, mine: _Pending) -> bool:
        """Send once, and return whether it was sent.

        An unknown outcome is left to the reading back, where there is one.
        """
        try:
            if not await self._async_send_when_reachable(command, mine):
                if self._closed:
                    raise self._error("not_sent")
                return False
        except UnknownOutcomeError as err:
            self._note_sent(command)
            command.sent(False)
            if command.done is None:
                raise translated(
                    HomeAssistantError, err, self.coordinator.host
                ) from err
            LOGGER.debug("%s: %s; reading back", self.coordinator.name, err)
            mine.unknown = err
        except WhatsminerError as err:
            self.write_access.note_refusal(err)
            raise translated(HomeAssistantError, err, self.coordinator.host) from err
        except InvalidValueError as err:
            raise not_sent(err, self.coordinator.config_entry.title) from err
        else:
            self._note_sent(command)
            self.write_access.note_success()
            command.sent(True)
        return True

    def _note_sent(self, command: Command) -> None:
        """Note when it was sent, and that the miner may restart now."""
        self.last_sent[command.key] = self._loop.time()
        if command.interrupts:
            self.coordinator.expect_absence(command.deadline)

    async def _async_send_when_reachable(
        self, command: Command, mine: _Pending
    ) -> bool:
        """Send once; wait for a port that is closed for a restart, since nothing was sent yet."""
        end = self._loop.time() + DEADLINE_REACHABLE
        while not mine.ended.is_set():
            try:
                await command.send(self.coordinator.miner)
            except CannotConnectError:
                await self.coordinator.async_refresh()
                if not self.coordinator.last_update_success or self._loop.time() >= end:
                    raise
            else:
                return True
            await self._async_pause(mine)
        return False

    async def _async_confirm(
        self, command: Command, mine: _Pending, since: float
    ) -> bool:
        """Re-read until the miner shows the effect; only answers after the sending count.

        Returns False when a newer command has replaced it.
        """
        assert command.done
        end = self._loop.time() + command.deadline
        absent_since: float | None = None
        while True:
            await self._async_pause(mine)
            if mine.ended.is_set():
                if self._closed:
                    raise self._error("unknown_outcome")
                return False
            if command.slow:
                self.coordinator.read_all_next()
            await self.coordinator.async_refresh()
            now, answered = self._loop.time(), self.coordinator.answered_since > since
            done = command.done(self.coordinator.data) if answered else False
            if done is None:
                absent_since = absent_since or now
                grace = ABSENT_GRACE if command.interrupts else 0.0
                if now - absent_since >= grace:
                    if mine.unknown:
                        raise translated(
                            HomeAssistantError, mine.unknown, self.coordinator.host
                        )
                    done = True  # the acknowledgement is all that can be had
            if now >= end and answered and not mine.unknown:
                done = done or command.approached(self.coordinator.data)
            if done:
                self.write_access.note_success()
                self.coordinator.end_absence()
                return True
            if answered and (reason := command.failed(self.coordinator.data)):
                raise self._error(reason)
            if now >= end:
                raise self._error("not_confirmed", seconds=f"{command.deadline:.0f}")

    async def _async_pause(self, mine: _Pending, seconds: float | None = None) -> None:
        """Wait for the next reading back, or until the command has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds or READ_BACK_INTERVAL):
                await mine.ended.wait()

    def _error(self, key: str, **named: str) -> HomeAssistantError:
        """Return an error with the sentence of that key."""
        return failed(key, host=self.coordinator.host, **named)

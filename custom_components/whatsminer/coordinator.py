"""Polls one miner, sends its commands, and confirms each by reading back."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import uniform
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    EVENT_HOMEASSISTANT_STOP,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .api import (
    DEFAULT_ACCOUNT,
    DEFAULT_V3_PORT,
    AccountRefusedError,
    Activity,
    CannotConnectError,
    Dialect,
    Feature,
    Miner,
    MinerInfo,
    MinerState,
    NoAnswerError,
    NoPasswordError,
    Section,
    TokenTableFullError,
    UnknownOutcomeError,
    WhatsminerError,
    WriteApiDisabledError,
    WriteRefusedError,
    WrongMinerError,
    WrongPasswordError,
    connect,
)
from .const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
    LOGGER,
    SCAN_INTERVAL,
    SLOW_EVERY,
)
from .exceptions import failed, invalid, placeholders, translated
from .store import Memory

if TYPE_CHECKING:
    from .faults import FaultLog
    from .power.curtailment import Curtailment
    from .power.target import PowerTarget

type WhatsminerConfigEntry = ConfigEntry[WhatsminerCoordinator]

READ_BACK_INTERVAL = 2.0
"""Seconds between the quick re-reads after a command."""

SETUP_BUDGET = 10.0
"""Seconds that the set-up of a known miner may take; the rest happens in the background."""

POLL_BUDGET = 120.0
"""Seconds that a poll may take: that of a miner whose every answer is almost too late."""

MISSES_ALLOWED = 1
"""Polls in a row without an answer after which the last data still stand."""

# How long a command may take to show (section H of docs/protocol.md, D.8).
DEADLINE_REACHABLE = 60.0
DEADLINE_FLAG = 60.0
DEADLINE_RESTART = 180.0
DEADLINE_REBOOT = 300.0

ABSENT_GRACE = 20.0
"""Seconds for a restart to begin, before a value that is not reported counts as unreadable."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing to be done to the miner, and how to see that it was."""

    key: str
    """The entity that shows it; a newer command of the same key takes its place."""
    send: Callable[[Miner], Awaitable[None]]
    value: Any = None
    """What that entity shows until it is confirmed."""
    done: Callable[[MinerState], bool | None] | None = None
    """Return whether the miner shows the effect, or None where its answers lack the value.

    None in place of a function: it is known that there is nothing to read back.
    """
    deadline: float = DEADLINE_FLAG
    slow: bool = False
    """Whether the effect shows in what is read now and then only."""
    interrupts: bool = False
    """Whether btminer or the board is away for a while, which is no failure then."""
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
    """A newer command of the same key has come, or the entry is being unloaded."""


async def async_connect(
    data: Mapping[str, Any],
    mac: str | None,
    known: MinerInfo | None = None,
    budget: float | None = None,
) -> Miner:
    """Connect to the miner that the data of an entry speaks of."""
    return await connect(
        data[CONF_HOST],
        data[CONF_PORT],
        password=data.get(CONF_PASSWORD),
        mac=mac,
        v3_port=data.get(CONF_V3_PORT, DEFAULT_V3_PORT),
        account=data.get(CONF_ACCOUNT, DEFAULT_ACCOUNT),
        v3_password=data.get(CONF_V3_PASSWORD),
        known=known,
        budget=budget,
    )


class WhatsminerCoordinator(DataUpdateCoordinator[MinerState]):
    """One miner: its last state, what was commanded, and whether it lets us write."""

    config_entry: WhatsminerConfigEntry
    miner: Miner
    curtailment: Curtailment
    fault_log: FaultLog
    power_target: PowerTarget

    def __init__(self, hass: HomeAssistant, entry: WhatsminerConfigEntry) -> None:
        """Prepare; the miner is looked for at the first refresh."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.title}",
            # The first wait differs, so that many miners are not all polled at the same time.
            update_interval=SCAN_INTERVAL * uniform(0.1, 1),
        )
        self.memory = Memory(hass, entry.entry_id)
        self.write_access: bool | None = None
        """True after the miner took a command, False after it refused us, None before."""
        self._pending: dict[str, _Pending] = {}
        self._sending: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._answered_since = 0.0
        """When the last poll began that the miner answered."""
        self._setup_ends: float | None = None
        self._polls = 0
        self._missed = 0
        self._write_access_unchecked = False
        self._away_until = 0.0
        self._api_switch: bool | None = None
        self._switch_off = False
        self._psu_readers = 0
        self.last_sent: dict[str, float] = {}
        """When each command was sent last, by its key, on the clock of the event loop."""
        self._observers: list[Callable[[MinerState], object]] = [self.memory.learn]
        self._broken: set[str] = set()
        """Names of observers and listeners whose exception is in the log."""
        self._by_hand: list[Callable[[str, Any], None]] = []
        self.one_file = asyncio.Lock()
        """A log is written by one at a time."""

    @property
    def host(self) -> str:
        """The address of the miner."""
        return str(self.config_entry.data[CONF_HOST])

    @override
    async def async_shutdown(self) -> None:
        await super().async_shutdown()
        for pending in self._pending.values():
            pending.ended.set()

    # Polling

    @override
    async def _async_setup(self) -> None:
        await self.memory.async_load()
        data, known = self.config_entry.data, self.memory.info
        if known:
            self._setup_ends = self.hass.loop.time() + SETUP_BUDGET
        try:
            self.miner = await async_connect(
                data, self.config_entry.unique_id, known, self._time_left
            )
        except WhatsminerError as err:
            self._learn_identity(err)
            raise translated(UpdateFailed, err, self.host) from err
        self.config_entry.async_on_unload(self.miner.close)
        self.config_entry.async_on_unload(
            self.hass.bus.async_listen_once(
                EVENT_HOMEASSISTANT_STOP, self._async_hang_up
            )
        )

    @property
    def _time_left(self) -> float:
        """Return how long a poll or the set-up may still take (s)."""
        if self._setup_ends is None:
            return POLL_BUDGET
        return max(0.0, self._setup_ends - self.hass.loop.time())

    async def _async_hang_up(self, _: Event) -> None:
        """Home Assistant stops without unloading its entries."""
        await self.miner.close()

    async def async_check_write_access(self) -> None:
        """Learn whether writes are let in, by commands that change nothing on the miner.

        On 4028 that is a token, a `status` in the envelope, and LEDs set to automatic that are so.
        """
        data = self.config_entry.data
        if (
            self.miner.info.dialect is Dialect.V3
            and CONF_PASSWORD in data
            and CONF_ACCOUNT not in data
        ):
            # The firmware was updated since the entry was made, and has other accounts now.
            self.config_entry.async_start_reauth(self.hass)
        if not self.miner.has_password:
            self.write_access = False
            ir.async_delete_issue(self.hass, DOMAIN, self._issue_id("write_access"))
            if CONF_V3_PASSWORD in data:
                # The other way round: an account of API 3 is worth nothing on older firmware.
                self.config_entry.async_start_reauth(self.hass)
            return
        try:
            async with asyncio.timeout(self._time_left):
                await self.async_examine_write_access()
        except TimeoutError:
            self._write_access_unchecked = True
        except TokenTableFullError:
            LOGGER.debug("%s: no token to be had, nothing learnt", self.name)
        except WhatsminerError as err:
            self._learn_write_access(err)

    async def async_examine_write_access(self) -> None:
        """Ask the miner whether it takes our commands; raises why it does not."""
        if await self.miner.check_write_access():
            self._allow_write_access()
        else:
            ir.async_delete_issue(self.hass, DOMAIN, self._issue_id("write_access"))
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> MinerState:
        slow = self._polls % SLOW_EVERY == 0
        if self.data:
            self.update_interval = SCAN_INTERVAL
        begun = self.hass.loop.time()
        try:
            state = await self._async_read(slow=slow)
        except (CannotConnectError, NoAnswerError) as err:
            if self._is_away:
                return self._away_state(err)
            self._missed += 1
            if (
                self.data
                and self.last_update_success
                and self._missed <= MISSES_ALLOWED
            ):
                return self.data
            raise translated(UpdateFailed, err, self.host) from err
        except WhatsminerError as err:
            self._learn_identity(err)
            raise translated(UpdateFailed, err, self.host) from err
        ir.async_delete_issue(self.hass, DOMAIN, self._issue_id("wrong_miner"))
        self._missed = 0
        self._answered_since = begun
        self._polls += 1
        self._observe(state)
        await self._async_follow_write_access(state, slow=slow)
        if self.miner.outdated:
            LOGGER.info("%s: the firmware has changed, connecting anew", self.name)
            self.hass.config_entries.async_schedule_reload(self.config_entry.entry_id)
        return state

    async def _async_read(self, *, slow: bool) -> MinerState:
        """Read the miner within the budget; a miner that takes longer counts as silent."""
        psu_too = self._psu_readers and not slow
        try:
            async with asyncio.timeout(self._time_left):
                return await self.miner.read(
                    self.data,
                    sections=(*self.miner.fast, Section.PSU) if psu_too else None,
                    slow=slow,
                )
        except TimeoutError as err:
            raise NoAnswerError("the miner answers too slowly") from err

    @callback
    def add_observer(self, observer: Callable[[MinerState], object]) -> None:
        """Call an observer with every new state, before the entities show it."""
        self._observers.append(observer)

    @callback
    def _observe(self, state: MinerState) -> None:
        """Call the observers with a new state."""
        for observer in self._observers:
            self._guard(observer, state)

    @override
    @callback
    def async_update_listeners(self) -> None:
        """Call the listeners; one that raises must not keep the others from the new state."""
        for listener, _ in list(self._listeners.values()):
            self._guard(listener)

    def _guard(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function; an exception costs what it would have done, and is logged once."""
        try:
            function(*args)
        except Exception:  # noqa: BLE001 - whatever it is, the poll itself succeeded
            name = getattr(function, "__qualname__", repr(function))
            if name not in self._broken:
                self._broken.add(name)
                LOGGER.exception("%s: %s failed", self.name, name)

    async def _async_follow_write_access(
        self, state: MinerState, *, slow: bool
    ) -> None:
        """Look again once the miner is back, and when its API switch was or may be moved."""
        before, self._api_switch = self._api_switch, state.info.api_switch
        moved = before is not None and before is not state.info.api_switch
        hidden = self._switch_off and state.info.api_switch is None and slow
        if self._write_access_unchecked or moved or hidden:
            self._write_access_unchecked = False
            await self.async_check_write_access()

    @callback
    def end_setup(self) -> None:
        """Let polls take as long as they may outside of the set-up."""
        self._setup_ends = None

    @callback
    def start_without_miner(self) -> bool:
        """Set up with what is known from before, while the miner does not answer.

        All entities are unavailable, and wake up at the first poll that is answered.
        """
        info = self.memory.info
        cause = self.last_exception and self.last_exception.__cause__
        if info is None or not isinstance(cause, (CannotConnectError, NoAnswerError)):
            return False
        self._write_access_unchecked = True
        self.data = MinerState(info=info, read_at=datetime.now(UTC))
        return True

    async def async_refresh_all(self) -> None:
        """Read also what is read now and then only."""
        self._polls = 0
        await self.async_refresh()

    @property
    def fresh(self) -> bool:
        """Whether the data are of the last poll: a first miss is forgiven, but proves nothing."""
        return self.last_update_success and not self._missed

    @property
    def unloaded(self) -> bool:
        """Whether the entry is no longer served by this."""
        return self._shutdown_requested

    @contextlib.contextmanager
    def reading_psu(self) -> Generator[None]:
        """Read the power supply in every poll meanwhile, not only in the slow ones."""
        self._psu_readers += 1
        try:
            yield
        finally:
            self._psu_readers -= 1

    @property
    def _is_away(self) -> bool:
        """Whether a command has sent the miner away for a while."""
        return self.hass.loop.time() < self._away_until

    def _away_state(self, error: WhatsminerError) -> MinerState:
        """A miner that is restarting because it was told to: nothing is known, nothing failed."""
        self._polls = 0
        return MinerState(
            info=self.miner.info,
            read_at=datetime.now(UTC),
            failed=dict.fromkeys(Section, error),
            activity=Activity.RESTARTING,
        )

    # Commanding

    def can(self, feature: Feature) -> bool:
        """Whether an entity for a feature makes sense: known to the dialect, and writable."""
        return self.miner.has_password and feature in self.miner.info.features

    def shown[T](self, key: str, actual: T) -> T:
        """What an entity shows: what was commanded while it is confirmed, else what is."""
        pending = self._pending.get(key)
        return actual if pending is None else pending.value

    @callback
    def on_by_hand(self, listener: Callable[[str, Any], None]) -> None:
        """Tell a listener the key and the value whenever somebody commands an entity."""
        self._by_hand.append(listener)

    @callback
    def note_by_hand(self, key: str, value: Any) -> None:
        """Somebody has commanded an entity, and the miner was told."""
        for listener in self._by_hand:
            listener(key, value)

    async def async_command(self, command: Command) -> bool:
        """Send a command and see that the miner did it.

        False when a newer one of the same key took its place before that was seen.
        Raises a translated HomeAssistantError when the miner refuses, when it does not show the
        effect before the deadline, or when it did not answer and cannot be asked.
        """
        if self.unloaded:
            raise self._error("not_sent")
        if earlier := self._pending.get(command.key):
            earlier.ended.set()
        mine = self._pending[command.key] = _Pending(command.value)
        self.async_update_listeners()
        try:
            # In the order in which they were asked for; one that was overtaken is not sent.
            if command.quiet:
                await self._async_pause(mine, command.quiet)
            async with self._sending[command.key]:
                since = self.hass.loop.time()
                sent = await self._async_send(command, mine)
            if sent and command.done:
                sent = await self._async_confirm(command, mine, since)
            if sent:
                command.confirmed()
            return sent
        finally:
            if self._pending.get(command.key) is mine:
                del self._pending[command.key]
            self._polls = 0  # the next poll reads all
            self.async_update_listeners()

    async def _async_send(self, command: Command, mine: _Pending) -> bool:
        """Send once, and tell whether it was sent.

        An unknown outcome is left to the reading back, where there is one.
        """
        try:
            if not await self._async_send_when_reachable(command, mine):
                if self._shutdown_requested:
                    raise self._error("not_sent")
                return False
        except UnknownOutcomeError as err:
            self._expect_absence(command)
            command.sent(False)
            if command.done is None:
                raise translated(HomeAssistantError, err, self.host) from err
            LOGGER.debug("%s: %s; reading back", self.name, err)
            mine.unknown = err
        except WhatsminerError as err:
            self._learn_write_access(err)
            raise translated(HomeAssistantError, err, self.host) from err
        except ValueError as err:
            name, reason = self.config_entry.title, str(err)
            raise invalid("nonsense", name=name, reason=reason) from err
        else:
            self._expect_absence(command)
            self._allow_write_access()
            command.sent(True)
        return True

    def _expect_absence(self, command: Command) -> None:
        """The miner may be away from now on, because it was told to."""
        self.last_sent[command.key] = self.hass.loop.time()
        if command.interrupts:
            self._away_until = self.hass.loop.time() + command.deadline

    async def _async_send_when_reachable(
        self, command: Command, mine: _Pending
    ) -> bool:
        """Send once. A port that is closed for a restart is waited for: nothing was sent yet."""
        end = self.hass.loop.time() + DEADLINE_REACHABLE
        while not mine.ended.is_set():
            try:
                await command.send(self.miner)
            except CannotConnectError:
                await self.async_refresh()
                if not self.last_update_success or self.hass.loop.time() >= end:
                    raise
            else:
                return True
            await self._async_pause(mine)
        return False

    async def _async_confirm(
        self, command: Command, mine: _Pending, since: float
    ) -> bool:
        """Re-read until the miner shows the effect; only what it says after sending counts.

        False when a newer command is being confirmed in its place.
        """
        assert command.done
        end = self.hass.loop.time() + command.deadline
        absent_since: float | None = None
        while True:
            await self._async_pause(mine)
            if mine.ended.is_set():
                if self._shutdown_requested:
                    raise self._error("unknown_outcome")
                return False
            if command.slow:
                self._polls = 0
            await self.async_refresh()
            now, answered = self.hass.loop.time(), self._answered_since > since
            done = command.done(self.data) if answered else False
            if done is None:
                absent_since = absent_since or now
                grace = ABSENT_GRACE if command.interrupts else 0.0
                if now - absent_since >= grace:
                    if mine.unknown:
                        raise translated(HomeAssistantError, mine.unknown, self.host)
                    done = True  # the acknowledgement is all that can be had
            if done:
                self._allow_write_access()
                self._away_until = 0.0
                return True
            if now >= end:
                raise self._error("not_confirmed", seconds=f"{command.deadline:.0f}")

    async def _async_pause(self, mine: _Pending, seconds: float | None = None) -> None:
        """Wait for the next reading back, or until the command has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds or READ_BACK_INTERVAL):
                await mine.ended.wait()

    @callback
    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Start a background task, and return it; it ends with the entry."""
        return self.config_entry.async_create_background_task(
            self.hass, work, f"{self.name} {what}"
        )

    def _error(self, key: str, **named: str) -> HomeAssistantError:
        """An error of ours, with the sentence of that key."""
        return failed(key, host=self.host, **named)

    # What is learnt from errors

    def _issue_id(self, kind: str) -> str:
        return f"{kind}_{self.config_entry.entry_id}"

    @callback
    def _allow_write_access(self) -> None:
        """The miner took a command: whatever was in the way is gone."""
        self.write_access = True
        self._switch_off = False
        ir.async_delete_issue(self.hass, DOMAIN, self._issue_id("write_access"))

    @callback
    def _learn_write_access(self, error: WhatsminerError) -> None:
        """A refusal that concerns all writes is asked for, or becomes a case for the doctor."""
        if not isinstance(error, WriteRefusedError):
            return
        if not isinstance(error, TokenTableFullError):
            self.write_access = False
        self._switch_off = isinstance(error, WriteApiDisabledError)
        if isinstance(error, WrongPasswordError) or (
            isinstance(error, AccountRefusedError) and error.account == DEFAULT_ACCOUNT
        ):
            self.config_entry.async_start_reauth(self.hass)
        if not isinstance(error, NoPasswordError):
            self._report("write_access", error, is_fixable=True)

    @callback
    def _learn_identity(self, error: WhatsminerError) -> None:
        """Another miner at the address is a thing for people to sort out."""
        if isinstance(error, WrongMinerError):
            self._report("wrong_miner", error, is_fixable=False)

    def _report(self, kind: str, error: WhatsminerError, *, is_fixable: bool) -> None:
        """Raise a repair issue."""
        entry = self.config_entry
        named = {"name": entry.title, **placeholders(error, self.host)}
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            self._issue_id(kind),
            data={"entry_id": entry.entry_id},
            is_fixable=is_fixable,
            severity=ir.IssueSeverity.ERROR,
            translation_key=kind,
            translation_placeholders=named,
        )

"""Polls one miner, and shows what it reported last."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
import contextlib
from datetime import UTC, datetime
from random import uniform
from typing import Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    EVENT_HOMEASSISTANT_STOP,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .api import (
    DEFAULT_ACCOUNT,
    DEFAULT_V3_PORT,
    Activity,
    CannotConnectError,
    Feature,
    Miner,
    MinerInfo,
    MinerState,
    NoAnswerError,
    Section,
    WhatsminerError,
    WrongMinerError,
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
from .exceptions import markdown_placeholders, translated
from .issues import delete_issues, report_issue
from .store import MinerStore

WRONG_MINER = "wrong_miner"
"""The issue that another miner has the address."""

SETUP_BUDGET = 10.0
"""Seconds that the set-up of a known miner may take; the rest happens in the background."""

MISSES_ALLOWED = 1
"""Polls in a row without an answer after which the last data are still shown."""


async def async_connect(
    data: Mapping[str, Any],
    mac: str | None,
    known: MinerInfo | None = None,
    budget: float | None = None,
) -> Miner:
    """Connect to the miner of an entry."""
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
    """One miner and its last state."""

    config_entry: ConfigEntry[Any]
    miner: Miner

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Prepare; the first refresh connects to the miner."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.title}",
            # The first wait differs, so that many miners are not all polled at the same time.
            update_interval=SCAN_INTERVAL * uniform(0.1, 1),
        )
        self.store = MinerStore(hass, entry.entry_id)
        self.answered_since = 0.0
        """When the last poll began that the miner answered, on the clock of the event loop."""
        self._setup_ends: float | None = None
        self._polls = 0
        self._missed = 0
        self._away_until = 0.0
        self._psu_readers = 0
        self._observers: list[Callable[[MinerState], object]] = [self.store.observe]
        self._broken: set[str] = set()
        """Names of observers and listeners whose exception is in the log."""
        self.one_file = asyncio.Lock()
        """A log is written by one at a time."""

    @property
    def host(self) -> str:
        """The address of the miner."""
        return str(self.config_entry.data[CONF_HOST])

    # Polling

    @override
    async def _async_setup(self) -> None:
        await self.store.async_load()
        data, known = self.config_entry.data, self.store.known_miner
        if known:
            self._setup_ends = self.hass.loop.time() + SETUP_BUDGET
        try:
            self.miner = await async_connect(
                data, self.config_entry.unique_id, known, self._time_left
            )
        except WhatsminerError as err:
            self._note_identity(err)
            raise translated(UpdateFailed, err, self.host) from err
        self.config_entry.async_on_unload(self.miner.close)
        self.config_entry.async_on_unload(
            self.hass.bus.async_listen_once(
                EVENT_HOMEASSISTANT_STOP, self._async_hang_up
            )
        )

    @property
    def _time_left(self) -> float | None:
        """Return how long the set-up may still take (s); None when it is over."""
        if self._setup_ends is None:
            return None
        return max(0.0, self._setup_ends - self.hass.loop.time())

    async def _async_hang_up(self, _: Event) -> None:
        """Home Assistant stops without unloading its entries."""
        await self.miner.close()

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
            self._note_identity(err)
            raise translated(UpdateFailed, err, self.host) from err
        delete_issues(self.hass, self.config_entry, WRONG_MINER)
        self._missed = 0
        self.answered_since = begun
        self._polls += 1
        self._observe(state)
        if self.miner.outdated:
            LOGGER.info("%s: the firmware has changed, reconnecting", self.name)
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
        except Exception:
            # Whatever it is, the poll itself succeeded.
            name = getattr(function, "__qualname__", repr(function))
            if name not in self._broken:
                self._broken.add(name)
                LOGGER.exception("%s: %s failed", self.name, name)

    @callback
    def end_setup(self) -> float | None:
        """Let polls take as long as they may outside of the set-up; return the rest of its budget (s)."""
        left, self._setup_ends = self._time_left, None
        return left

    @callback
    def start_without_miner(self) -> bool:
        """Set up a known miner that does not answer; return whether it is known.

        All entities are unavailable until the first poll that is answered.
        """
        info = self.store.known_miner
        cause = self.last_exception and self.last_exception.__cause__
        if info is None or not isinstance(cause, (CannotConnectError, NoAnswerError)):
            return False
        # The first refresh logs nothing, so this is the one line of this outage.
        LOGGER.error("%s is offline: %s", self.name, self.last_exception)
        self.data = MinerState(info=info, read_at=datetime.now(UTC))
        return True

    @callback
    def read_all_next(self) -> None:
        """Let the next poll read everything, not only what every poll reads."""
        self._polls = 0

    async def async_refresh_all(self) -> None:
        """Read everything now."""
        self.read_all_next()
        await self.async_refresh()

    @callback
    def expect_absence(self, seconds: float) -> None:
        """Show a miner that does not answer as restarting, which is no failure, for some time."""
        self._away_until = self.hass.loop.time() + seconds

    @callback
    def end_absence(self) -> None:
        """Show a miner that does not answer as unavailable again."""
        self._away_until = 0.0

    @property
    def fresh(self) -> bool:
        """Return whether the data are those of the last poll: after a first miss they are not."""
        return self.last_update_success and not self._missed

    @property
    def unloaded(self) -> bool:
        """Return whether the entry is unloaded."""
        return self._shutdown_requested

    @contextlib.contextmanager
    def reading_psu(self) -> Generator[None]:
        """Read the power supply in every poll within this context, not only in the slow ones."""
        self._psu_readers += 1
        try:
            yield
        finally:
            self._psu_readers -= 1

    @property
    def _is_away(self) -> bool:
        """Return whether a command makes the miner restart."""
        return self.hass.loop.time() < self._away_until

    def _away_state(self, error: WhatsminerError) -> MinerState:
        """Return the state of a miner that a command has restarted: nothing is known, nothing failed."""
        self._polls = 0
        return MinerState(
            info=self.miner.info,
            read_at=datetime.now(UTC),
            failed=dict.fromkeys(Section, error),
            activity=Activity.RESTARTING,
        )

    def can(self, feature: Feature) -> bool:
        """Return whether a feature can be commanded: the dialect has it, and there is a password."""
        return self.miner.has_password and feature in self.miner.info.features

    @callback
    def start_task(
        self, work: Coroutine[Any, Any, None], what: str
    ) -> asyncio.Task[None]:
        """Start a background task, and return it; it ends with the entry."""
        return self.config_entry.async_create_background_task(
            self.hass, work, f"{self.name} {what}"
        )

    @callback
    def _note_identity(self, error: WhatsminerError) -> None:
        """Create a repair issue when another miner is at the address."""
        if isinstance(error, WrongMinerError):
            report_issue(
                self.hass,
                self.config_entry,
                WRONG_MINER,
                severity=ir.IssueSeverity.ERROR,
                **markdown_placeholders(error, self.host),
            )

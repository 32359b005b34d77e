"""A miner as the rest of the house sees it: what can be read and commanded, in no dialect."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from .errors import (
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    WhatsminerError,
    WrongMinerError,
)
from .models import Feature, MinerInfo, MinerState, PowerMode, Section

# These are read in every poll, and those now and then.
FAST = (Section.SUMMARY, Section.BOARDS, Section.STATUS)
SLOW = (Section.POOLS, Section.PSU, Section.FAULTS, Section.INFO)

# These end one section, not the poll.
SECTION_ERRORS = (
    BtminerDownError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
)

POWER_LIMIT_RANGE = range(1, 100_000)
"""W; 0 does not stop the miner but lifts the limit, so it is never sent (D.3)."""
MAX_PERCENT, MAX_PERCENT_LIQUID = 100, 200

BLINK = {"period": 200, "duration": 100, "start": 0}
"""ms; how the vendor's own examples blink an LED (D.2)."""

type Reader = Callable[[MinerState], Awaitable[Any]]


def bare[E: WhatsminerError](error: E) -> E:
    """An error that may be kept: its traceback would keep every state before alive."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def same_mac(one: str, other: str) -> bool:
    """Whether two MAC addresses are equal, however they are written."""
    return _bare(one) == _bare(other)


def _bare(mac: str) -> str:
    return "".join(char for char in mac.lower() if char.isalnum())


class Miner(ABC):
    """One miner at one address.

    All exchanges go one after another through one lock: never two sockets, never two tokens at
    once (A.1, B.5). Commands return when the miner has acknowledged; they raise
    CannotConnectError or a refusal when they certainly had no effect and UnknownOutcomeError when
    that cannot be known. None is repeated after that.
    """

    info: MinerInfo
    fast: tuple[Section, ...] = FAST
    slow: tuple[Section, ...] = SLOW
    outdated = False
    """The miner no longer speaks as it did: connect anew."""

    def __init__(self, host: str, password: str | None, mac: str | None) -> None:
        """Remember the address, the password of the write API, and who is expected there."""
        self.host = host
        self._password = password
        self._expected_mac = mac
        self._identified = False
        self._lock = asyncio.Lock()

    @property
    def has_password(self) -> bool:
        """Whether anything can be written at all."""
        return bool(self._password)

    # Reading

    @property
    @abstractmethod
    def _readers(self) -> dict[Section, Reader]:
        """How each section is read; the state so far is handed in."""

    @abstractmethod
    async def identify(self) -> MinerInfo:
        """Ask who the miner is, compare its MAC with the expected one, and remember it."""

    @abstractmethod
    def adopt(self, info: MinerInfo) -> None:
        """Take over who the miner is, as it says now or as is known from before."""

    @abstractmethod
    def _with_activity(self, state: MinerState) -> MinerState:
        """Add what the miner is doing."""

    async def read(
        self,
        previous: MinerState | None = None,
        *,
        slow: bool = True,
        sections: Iterable[Section] | None = None,
    ) -> MinerState:
        """Read the fast sections, and the slow ones where asked, into a new state.

        Sections that are not read are carried over from `previous`; one that fails is None and
        named in `failed`. Raises when the miner did not answer at all, CannotConnectError or
        NoAnswerError, and WrongMinerError when it is another one.
        """
        if sections is None:
            sections = self.fast + (self.slow if slow else ())
        due = tuple(sections)
        if not self._identified:
            await self.identify()
        state = MinerState(info=self.info, read_at=datetime.now(UTC))
        failed: dict[Section, WhatsminerError] = {}
        if previous:
            carried = {
                section.value: getattr(previous, section.value)
                for section in Section
                if section not in due and section is not Section.INFO
            }
            state = replace(state, **carried)
            failed = {
                key: err for key, err in previous.failed.items() if key not in due
            }
        answered = unanswered = 0
        for section in due:
            try:
                value = await self._readers[section](replace(state, failed=failed))
            except CannotConnectError as err:
                self._identified = False
                if not answered:
                    raise
                # It went away in the middle of the poll: asking on would only take time.
                failed |= dict.fromkeys(due[due.index(section) :], bare(err))
                break
            except SECTION_ERRORS as err:
                failed[section] = bare(err)
                if not isinstance(err, NoAnswerError):
                    answered += 1
                    continue
                unanswered += 1
                if unanswered == 2 and not answered:
                    self._identified = False
                    raise
            else:
                answered += 1
                state = replace(state, **{section.value: value})
        if not answered:
            self._identified = False
            raise NoAnswerError("no section was answered")
        state = replace(state, info=self.info, failed=MappingProxyType(failed))
        return self._with_activity(state)

    def _check_mac(self, mac: str | None) -> None:
        """Compare the MAC the miner says with the expected one; the first one said is expected."""
        if mac is None:
            return
        if self._expected_mac and not same_mac(mac, self._expected_mac):
            self._identified = False
            raise WrongMinerError(self._expected_mac, mac)
        self._expected_mac = mac

    # Commanding

    @abstractmethod
    async def check_password(self) -> None:
        """Find out whether the password is right without changing anything (B.6)."""

    @abstractmethod
    async def check_write_access(self) -> bool:
        """Find out whether writes are let in, without changing anything.

        True when a write was let in; False when the password is right and no more can be known.
        Raises the reason when the miner refuses.
        """

    @abstractmethod
    async def start_mining(self) -> None:
        """Start mining."""

    @abstractmethod
    async def stop_mining(self) -> None:
        """Stop mining; the control board stays up."""

    @abstractmethod
    async def restart_btminer(self) -> None:
        """Restart the mining process: hashing stops and tuning begins anew."""

    @abstractmethod
    async def reboot(self) -> None:
        """Restart the control board: the miner is away for some minutes."""

    @abstractmethod
    async def set_power_mode(self, mode: PowerMode) -> None:
        """Set the power mode; btminer restarts."""

    @abstractmethod
    async def set_power_limit(self, watts: int) -> None:
        """Set the power limit in W; btminer restarts. Survives a reboot."""

    @abstractmethod
    async def set_power_percent(self, percent: int) -> None:
        """Set the power in percent of the tuned power, without a restart, by the gentlest way.

        Lost at every restart; without effect before tuning is finished (D.4).
        """

    @abstractmethod
    async def restore_power_percent(self) -> None:
        """Take back any power percent (2.2.x)."""

    @abstractmethod
    async def set_fast_boot(self, enabled: bool) -> None:
        """Switch fast boot on or off, from the next start on."""

    @abstractmethod
    async def set_led_auto(self) -> None:
        """Let the miner itself drive its LEDs."""

    @abstractmethod
    async def blink(self) -> None:
        """Blink both LEDs, until they are set to automatic again."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is open, for good."""

    def require(self, feature: Feature) -> None:
        """Raise ValueError for what this miner's dialect cannot do."""
        if feature not in self.info.features:
            raise ValueError(f"API {self.info.api_version} cannot set {feature.value}")


def check_range(name: str, value: int, allowed: range) -> None:
    """Raise ValueError for a parameter that the miner would misunderstand."""
    if value not in allowed:
        raise ValueError(
            f"{name} must be between {allowed[0]} and {allowed[-1]}, not {value}"
        )

"""A miner as the integration sees it: how it is read and commanded, in no dialect."""

from abc import abstractmethod
import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from .capabilities import with_capabilities
from .commanding import Commands
from .errors import (
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    InvalidValueError,
    NoAnswerError,
    NoMacError,
    WhatsminerError,
    WrongMinerError,
)
from .identity import same_mac
from .models import (
    Activity,
    Feature,
    MinerInfo,
    MinerState,
    Section,
    Status,
    Summary,
    activity_of,
    with_boards,
)
from .parse import JsonObject, pick

# FAST is read in every poll, SLOW periodically.
FAST = (Section.SUMMARY, Section.BOARDS, Section.STATUS)
SLOW = (
    Section.POOLS,
    Section.PSU,
    Section.FAULTS,
    Section.INFO,
    Section.SETTINGS,
)

# These end one section, not the poll.
SECTION_ERRORS = (
    BtminerDownError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
)


POLL_TIMEOUT = 40.0
"""Seconds for a whole poll, also of a miner whose every answer comes late but in time."""


class PollTimeoutError(NoAnswerError):
    """A poll took too long; the readings until then count."""


class Budget:
    """The time that a poll may take; both ports of a miner share it."""

    ends_at = 0.0

    def start(self) -> None:
        """Allow a poll its time from now on."""
        self.ends_at = asyncio.get_running_loop().time() + POLL_TIMEOUT


# API 3 comes first: beside it 4028 answers only with the admin's password.
_CUSTOM_DATA = ("get.device.custom_data", "get_customer_msg")


@dataclass
class PollContext:
    """What a poll has read before its next section."""

    slow: bool
    summary: Summary | None
    failed: dict[Section, WhatsminerError]


def without_traceback[E: WhatsminerError](error: E) -> E:
    """Return an error that may be stored: its traceback would keep older states alive."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class Miner(Commands):
    """One miner at one address: its readings, and with Commands what it can be commanded.

    All exchanges go one after another through one lock: never two sockets or two tokens at
    the same time (protocol.md#a1, #b5).
    """

    fast: tuple[Section, ...] = FAST
    slow: tuple[Section, ...] = SLOW
    outdated = False
    """The firmware has changed: connect again."""

    def __init__(self, host: str, mac: str | None) -> None:
        """Store the address, and the MAC of the miner that is expected there."""
        self.host = host
        self._expected_mac = mac
        self._identified = False
        self._mac_error: WhatsminerError | None = None
        self._mac_compared = False
        """Whether the poll in progress has compared the MAC."""
        self.lock = asyncio.Lock()
        self._poll_lock = asyncio.Lock()
        self._budget = Budget()

    # Identity

    def require_mac(self) -> None:
        """Raise NoMacError, or BtminerDownError, where the miner does not report its MAC."""
        if self._mac_error:
            raise without_traceback(self._mac_error)

    def _check_mac(self, mac: str | None) -> None:
        """Compare a reported MAC with the expected one; the first one reported is expected."""
        if mac is None:
            return
        if self._expected_mac and not same_mac(mac, self._expected_mac):
            self._identified = False
            raise WrongMinerError(self._expected_mac, mac)
        self._expected_mac = mac
        self._mac_error = None
        self._mac_compared = True

    def _refuse_without_mac(self) -> None:
        """Raise NoMacError where the miner is expected to report its MAC and does not."""
        if self._expected_mac and isinstance(self._mac_error, NoMacError):
            self._identified = False
            self.require_mac()

    async def _recognize(self, state: MinerState, fresh: tuple[Section, ...]) -> None:
        """Raise WrongMinerError where a poll has read another miner in these sections."""

    # Reading

    @abstractmethod
    async def identify(self) -> MinerInfo:
        """Read who the miner is, compare its MAC with the expected one, and return it."""

    @abstractmethod
    def adopt(self, info: MinerInfo) -> None:
        """Set who the miner is, as it reports now or as was stored."""

    def _identify_as(self, info: MinerInfo) -> MinerInfo:
        """Take who the miner is, and return it as it is taken."""
        # A miner whose firmware was unknown is new, not changed.
        if self.info.firmware and info.firmware != self.info.firmware:
            self.outdated = True
        self.adopt(with_capabilities(info))
        self._identified = True
        return self.info

    def _activity_of(
        self, status: Status | None, context: PollContext
    ) -> Activity | None:
        """Return what the miner is doing."""
        failed = context.failed.get(Section.SUMMARY)
        return activity_of(self.info.dialect, status, context.summary, failed)

    async def _prepare(self, due: tuple[Section, ...]) -> None:
        """Read in one request what these sections have in common."""

    async def read(
        self,
        previous: MinerState | None = None,
        *,
        slow: bool = True,
        sections: Iterable[Section] | None = None,
    ) -> MinerState:
        """Read the fast sections, and with `slow` also the slow ones, into a new state.

        Sections that are not read are carried over from `previous`; one that fails is None and
        named in `failed`. Ends within POLL_TIMEOUT. Raises when the miner did not answer at all, CannotConnectError or
        NoAnswerError, and WrongMinerError when it is another one.
        """
        async with self._poll_lock:
            async with self.lock:
                pass  # the transfer of a file may take minutes, and is no delay of the poll
            self._budget.start()
            return await self.poll(previous, slow=slow, sections=sections)

    async def poll(
        self,
        previous: MinerState | None,
        *,
        slow: bool,
        sections: Iterable[Section] | None,
    ) -> MinerState:
        """Do the work of `read`, within the budget that it has started."""
        if sections is None:
            sections = self.fast + (self.slow if slow else ())
        due = tuple(sections)
        values: dict[str, Any] = {}
        failed: dict[Section, WhatsminerError] = {}
        if previous:
            values = {
                section.value: getattr(previous, section.value)
                for section in Section
                if section not in due and section is not Section.INFO
            }
            failed = {
                key: err for key, err in previous.failed.items() if key not in due
            }
        context = PollContext(slow, values.get(Section.SUMMARY.value), failed)
        self._mac_compared = False
        if not self._identified:
            await self._in_time(self.identify())
        read_at = datetime.now(UTC)
        await self._in_time(self._prepare(due))
        await self._read_sections(due, context, values)
        values[Section.INFO.value] = self.info
        state = MinerState(
            read_at=read_at,
            failed=MappingProxyType(failed),
            activity=self._activity_of(values.get(Section.STATUS.value), context),
            **values,
        )
        await self._in_time(self._recognize(state, due))
        return state

    async def _read_sections(
        self, due: tuple[Section, ...], context: PollContext, values: dict[str, Any]
    ) -> None:
        """Read sections into `values`, or name them in `context.failed`.

        Each is read by the method of its name.
        """
        answered = unanswered = 0
        for section in due:
            try:
                read = getattr(self, f"_read_{section.value}")
                value = await self._in_time(read(context))
            except (CannotConnectError, PollTimeoutError) as err:
                self._identified &= isinstance(err, PollTimeoutError)
                if not answered:
                    raise
                # To try the rest would only take time.
                rest = due[due.index(section) :]
                context.failed |= dict.fromkeys(rest, without_traceback(err))
                break
            except SECTION_ERRORS as err:
                context.failed[section] = without_traceback(err)
                if not isinstance(err, NoAnswerError):
                    answered += 1
                    continue
                unanswered += 1
                if unanswered == 2 and not answered:
                    self._identified = False
                    raise
            else:
                answered += 1
                values[section.value] = value
                if section is Section.SUMMARY:
                    context.summary = value
                elif section is Section.BOARDS and context.summary:
                    context.summary = with_boards(context.summary, value)
                    values[Section.SUMMARY.value] = context.summary
        if not answered:
            self._identified = False
            raise NoAnswerError("no section was answered")

    async def _in_time[T](self, work: Awaitable[T]) -> T:
        """Await a part of a poll. Raises PollTimeoutError when the budget is spent."""
        try:
            async with asyncio.timeout_at(self._budget.ends_at):
                return await work
        except TimeoutError as err:
            raise PollTimeoutError(f"no whole poll within {POLL_TIMEOUT:g} s") from err

    @property
    @abstractmethod
    def data_commands(self) -> tuple[str, ...]:
        """Return the commands of `get_data`; on 4028 some can be joined by `+` (protocol.md#a5)."""

    @abstractmethod
    async def get_data(
        self, command: str, param: str | dict[str, str] | None = None
    ) -> JsonObject:
        """Return the whole answer to a read command, without private data (C, protocol.md#e5).

        `param` selects a part of the answer: the fields of
        `get_miner_info`, the parts of `get.device.info` and `get.miner.status`, or begin and end
        of `get.miner.history`. Raises ValueError for what is no read command of this miner.
        """

    async def get_custom_data(self) -> dict[str, str]:
        """Return the texts that `set_custom_data` has stored on the miner (protocol.md#c10, #e5)."""
        known = [name for name in self.data_commands if name in _CUSTOM_DATA]
        if not known:
            version, feature = self.info.api_version, Feature.CUSTOM_DATA
            raise InvalidValueError("feature", version=version, feature=feature.value)
        answer = await self.get_data(known[0])
        texts = pick(answer, "Msg", "msg")
        if not isinstance(texts, dict):
            raise InvalidAnswerError(f"{known[0]} was answered without an object")
        return {key: text for key, text in texts.items() if isinstance(text, str)}

    @abstractmethod
    async def close(self) -> None:
        """Close all connections for good."""

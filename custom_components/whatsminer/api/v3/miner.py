"""A miner on TCP 4433: one kept link, completed from 4028 where API 3 reports less."""

import asyncio
from collections.abc import AsyncIterable, Iterable
import contextlib
from dataclasses import replace
import time
from typing import Any, override

from .. import transport
from ..catalog import data_commands, features_of
from ..commanding import Progress, Write, Writer
from ..errors import (
    AccountRefusedError,
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    NoMacError,
    NoPasswordError,
    NotWhatsminerError,
    PortClosedError,
    UnknownOutcomeError,
    WhatsminerError,
    WriteApiDisabledError,
)
from ..miner import SECTION_ERRORS, SLOW, Budget, Miner, PollContext, without_traceback
from ..models import (
    Activity,
    Board,
    Dialect,
    Fault,
    Feature,
    MinerInfo,
    MinerState,
    Pool,
    Psu,
    Section,
    Settings,
    Status,
    Summary,
)
from ..parse import JsonObject, as_bool, as_int, as_mac, as_object, as_text
from ..redact import check_data, redacted, size_of_log
from ..transport import Link
from ..v2.miner import V2Miner
from ..v2.protocol import (
    BOARD_COMMANDS,
    parse_faults as parse_faults_4028,
    parse_pools as parse_pools_4028,
    parse_psu as parse_psu_4028,
)
from .protocol import (
    DEFAULT_ACCOUNT,
    ENCODERS,
    ENCRYPTED,
    HEAT_MODES,
    encrypt_param,
    harmless_commands,
    is_about_param,
    is_inconclusive,
    make_digest,
    make_token,
    message_of,
    other_spelling,
    parse_boards,
    parse_device,
    parse_faults,
    parse_pools,
    parse_psu,
    parse_settings,
    parse_status,
    parse_summary,
    raise_for_code,
)

GONE_AFTER = 600.0
"""Seconds that 4433 may refuse while 4028 answers, before it is tried only periodically."""

_DEVICE = "get.device.info"
_STATUS = "get.miner.status"
_SETTING = "get.miner.setting"
_SYSTEM = "get.system.setting"
_FAN = "get.fan.setting"
_LOG = "get.log.download"
_FIRMWARE = "set.system.update_firmware"


def _identity_of(device: JsonObject) -> tuple[Any, ...]:
    """Return the parts of `get.device.info` that identify the miner."""
    return tuple(device.get(part) for part in ("miner", "system", "network"))


class _Companion(V2Miner):
    """The same miner on TCP 4028, which it serves beside 4433 (2.2.x).

    It shares the lock, and closes the link first: never two sockets at the same time. It reports
    so few settings that the previous ones are better.
    """

    slow = tuple(section for section in SLOW if section is not Section.SETTINGS)

    def __init__(
        self,
        link: Link,
        lock: asyncio.Lock,
        budget: Budget,
        port: int,
        password: str | None,
        mac: str | None,
    ) -> None:
        """Take over lock and link of the miner on 4433."""
        super().__init__(link.host, port, password=password, mac=mac)
        self.lock = lock
        self._budget = budget
        self._link = link
        self.info = MinerInfo(dialect=Dialect.V2_2, features=features_of(Dialect.V2_2))
        self._board_commands = BOARD_COMMANDS[Dialect.V2_2]
        self.writer.has_gentle_percent = True

    def take_over(self, info: MinerInfo) -> None:
        """Use what 4433 has reported: the expected MAC, the cooling and the hostname."""
        self._expected_mac = info.mac or self._expected_mac
        self.info = replace(self.info, cooling=info.cooling, hostname=info.hostname)

    @property
    @override
    def data_commands(self) -> tuple[str, ...]:
        names = super().data_commands
        if self.has_password:
            return names
        # It needs a token, which only the admin gets (protocol.md#c10).
        return tuple(name for name in names if name != "get_customer_msg")

    @override
    async def _hang_up_others(self) -> None:
        self._link.close()


class V3Miner(Miner):
    """A reader of API 3.x on 4433; a writer on 4433 or 4028."""

    fast: tuple[Section, ...] = (
        Section.SUMMARY,
        Section.STATUS,
        Section.BOARDS,
        Section.PSU,
        Section.FAULTS,
        Section.INFO,
    )
    slow: tuple[Section, ...] = (Section.SETTINGS, Section.POOLS)

    def __init__(
        self,
        host: str,
        v3_port: int,
        port: int,
        *,
        account: str = DEFAULT_ACCOUNT,
        v3_password: str | None = None,
        password: str | None = None,
        mac: str | None = None,
    ) -> None:
        """Prepare; nothing is sent before `identify`.

        Without `v3_password` commands go to `port` with `password`, the admin's.
        """
        super().__init__(host, mac)
        self.info = MinerInfo(dialect=Dialect.V3, features=features_of(Dialect.V3))
        self._link = Link(host, v3_port)
        self._companion = _Companion(
            self._link, self.lock, self._budget, port, password, mac
        )
        self.writer: Writer = (
            Writer4433(self, self._link, account, v3_password)
            if v3_password or not password
            else self._companion.writer
        )
        self._answers: dict[tuple[str, str | None], JsonObject | WhatsminerError] = {}
        self._status_param = ""
        self._kept_setting: JsonObject | None = None
        self._refused_since: float | None = None
        self._closed: WhatsminerError | None = None
        """The error of 4433, once it has refused for long."""
        self._verified_on = 0
        self._identity: tuple[Any, ...] | None = None
        """What `info` was last read from; most polls change nothing of it."""

    @override
    async def close(self) -> None:
        async with self.lock:
            self._link.end()

    async def hang_up(self) -> None:
        """Close the link; the next request opens it again."""
        async with self.lock:
            self._link.close()

    @override
    def adopt(self, info: MinerInfo) -> None:
        self._identity = None
        writable = features_of(self.writer.dialect, info.cooling)
        self.info = replace(info, features=info.features & writable)
        self._companion.take_over(self.info)

    # Reading

    async def send_read(self, command: str, param: str | None = None) -> JsonObject:
        """Send one read command and return the object in its answer.

        Raises CommandRefusedError, WrongMinerError and the errors of `Link.request`.
        """
        async with self.lock:
            return await self._send_read(command, param)

    async def _send_read(self, command: str, param: str | None = None) -> JsonObject:
        """Like `send_read`, with the lock held. Compares the MAC if the answer contains the network."""
        request = (
            {"cmd": command} if param is None else {"cmd": command, "param": param}
        )
        message = message_of(command, await self.request_read(request))
        if command == _DEVICE and param in (None, "network"):
            self._mac_error = NoMacError("the miner does not report its MAC address")
            self._check_mac(as_mac(as_object(message.get("network")).get("mac")))
            self._verified_on = self._link.opened
        return message

    async def request_read(self, request: JsonObject) -> JsonObject:
        """Send a read; repeat it once if the kept connection turns out to be closed."""
        was_open = self._link.is_open
        try:
            return await self._link.request(request)
        except NoAnswerError:
            if not was_open:
                raise
        return await self._link.request(request)

    async def _once(self, command: str, param: str | None = None) -> JsonObject:
        """Return an answer, or raise its error, once for all sections of a poll."""
        key = command, param
        if key not in self._answers:
            try:
                self._answers[key] = await self.send_read(command, param)
            except WhatsminerError as err:
                self._answers[key] = err
        answer = self._answers[key]
        if isinstance(answer, WhatsminerError):
            raise answer
        return answer

    @override
    async def identify(self) -> MinerInfo:
        try:
            device = await self.send_read(_DEVICE)
        except (BtminerDownError, CommandRefusedError, InvalidAnswerError) as err:
            raise NotWhatsminerError(f"{_DEVICE} is not answered") from err
        return self._identify_by(device)

    def _identify_by(self, device: JsonObject) -> MinerInfo:
        info = parse_device(device)
        self._identify_as(
            replace(
                info,
                api_version=info.api_version or self.info.api_version,
                model=info.model or self.info.model,
                firmware=info.firmware or self.info.firmware,
                mac=info.mac or self._expected_mac,
            )
        )
        self._identity = _identity_of(device)
        return self.info

    @override
    async def poll(
        self,
        previous: MinerState | None,
        *,
        slow: bool,
        sections: Iterable[Section] | None,
    ) -> MinerState:
        if self._closed and not slow:
            # That may last, and a firewall lets each attempt wait.
            error = self._closed
        else:
            try:
                state = await self._poll_4433(previous, slow, sections)
            except (CannotConnectError, NoAnswerError, NotWhatsminerError) as err:
                error = without_traceback(err)
            else:
                self.note_answer()
                return state
        # While btminer restarts 4433 may be closed, and 4028 reports as much (protocol.md#e7).
        state = await self._companion.poll(previous, slow=slow, sections=sections)
        self._follow_refusals(error)
        failed = {**state.failed, Section.INFO: error}
        return replace(state, info=self.info, failed=failed)

    async def _poll_4433(
        self,
        previous: MinerState | None,
        slow: bool,
        sections: Iterable[Section] | None,
    ) -> MinerState:
        """Read on 4433."""
        self._status_param = "summary+edevs+pools" if slow else "summary+edevs"
        kept, self._kept_setting = self._kept_setting, None
        mines = previous is not None and previous.activity is Activity.MINING
        if kept and mines and not slow:
            # The settings are read every second time as long as the miner mines.
            self._answers[_SETTING, None] = kept
        try:
            state = await super().poll(previous, slow=slow, sections=sections)
            setting = self._answers.get((_SETTING, None))
            if isinstance(setting, dict) and setting is not kept:
                self._kept_setting = setting
        finally:
            self._answers.clear()
        return state

    @property
    def is_refused(self) -> bool:
        """Return whether 4433 has refused the last poll, while 4028 answered."""
        return self._refused_since is not None

    def note_answer(self) -> None:
        """Note that 4433 answers."""
        self._refused_since = self._closed = None

    def reread_settings(self) -> None:
        """Read the settings again in the next poll."""
        self._kept_setting = None

    def _follow_refusals(self, error: WhatsminerError) -> None:
        """Note since when 4433 refuses; with unchanged firmware a firewall may be the cause."""
        if isinstance(error, NoAnswerError):
            return
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= GONE_AFTER:
            self._closed = error
            if self._companion.info.firmware != self.info.firmware:
                self.outdated = True

    async def _status(self, part: str) -> JsonObject:
        """`get.miner.status` with one part of it, which may not come joined with others (protocol.md#e5)."""
        try:
            status = await self._once(_STATUS, self._status_param)
        except CommandRefusedError:
            status = await self._once(_STATUS, "summary")
        return status if part in status else status | await self._once(_STATUS, part)

    async def _setting(self, command: str = _SETTING) -> JsonObject:
        """Return an optional answer; empty where it fails."""
        with contextlib.suppress(*SECTION_ERRORS):
            return await self._once(command)
        return {}

    async def _read_summary(self, context: PollContext) -> Summary:
        status, setting = await self._status("summary"), await self._setting()
        if "fast-boot" not in setting:
            device = await self._setting(_DEVICE)
            setting = as_object(device.get("miner")) | setting
        return parse_summary(status, setting)

    async def _read_boards(self, context: PollContext) -> tuple[Board, ...]:
        return parse_boards(await self._status("edevs"))

    async def _read_status(self, context: PollContext) -> Status:
        return parse_status(await self._once(_DEVICE), await self._setting())

    async def _read_psu(self, context: PollContext) -> Psu:
        psu = parse_psu(await self._once(_DEVICE))
        if psu.input_voltage is not None or psu.input_power is not None:
            return psu
        self._leave_to_4028(Section.PSU)
        with contextlib.suppress(WhatsminerError):
            return parse_psu_4028(await self._companion.send_read("get_psu"))
        return psu

    async def _read_faults(self, context: PollContext) -> tuple[Fault, ...]:
        device = await self._once(_DEVICE)
        if "error-code" in device:
            return parse_faults(device)
        self._leave_to_4028(Section.FAULTS)
        try:
            return parse_faults_4028(await self._companion.send_read("get_error_code"))
        except CannotConnectError as err:
            raise NoAnswerError("4028 is closed") from err  # 4433 is not

    def _leave_to_4028(self, section: Section) -> None:
        """Some firmware leaves these out of get.device.info (protocol.md#e5): read them with the slow sections."""
        if section in self.fast:
            self.fast = tuple(other for other in self.fast if other is not section)
            self.slow = (*self.slow, section)

    async def _read_info(self, context: PollContext) -> MinerInfo:
        device = await self._once(_DEVICE)
        if self._identity == _identity_of(device):
            return self.info
        try:
            return self._identify_by(device)
        except NotWhatsminerError as err:
            raise InvalidAnswerError("the miner does not identify itself") from err

    async def _read_settings(self, context: PollContext) -> Settings:
        device = await self._once(_DEVICE)
        others = [await self._setting(each) for each in (_SETTING, _SYSTEM, _FAN)]
        return parse_settings(device, *others)

    async def _read_pools(self, context: PollContext) -> tuple[Pool, ...]:
        status = await self._status("pools")
        counted: tuple[Pool, ...] | None = None
        # Only 4028 counts shares; without it they are unknown.
        with contextlib.suppress(WhatsminerError):
            counted = parse_pools_4028(await self._companion.send_read("pools"))
        return parse_pools(status, counted)

    async def verify_identity(self) -> None:
        """Compare the MAC on a new connection; the caller holds the lock."""
        is_verified = self._link.is_kept and self._verified_on == self._link.opened
        if not is_verified or self._mac_error:
            await self._send_read(_DEVICE, "network")
            self._refuse_without_mac()

    # Files

    @override
    async def _download(self, write: Write) -> int:
        async with self.lock:
            try:
                # A log must not be that of another miner.
                await self._send_read(_DEVICE, "network")
                self._refuse_without_mac()
                sent = await self._link.request({"cmd": _LOG}, keep=True)
                answer = message_of(_LOG, sent)
                size = size_of_log(answer, "logsize")
                await self._link.transfer().receive(size, write)
            finally:
                # What is left on it is no frame.
                self._link.close()
        return size

    # Raw answers

    @property
    @override
    def data_commands(self) -> tuple[str, ...]:
        return data_commands(Dialect.V3) + self._companion.data_commands

    @override
    async def get_data(
        self, command: str, param: str | dict[str, str] | None = None
    ) -> JsonObject:
        if "." not in command:
            return await self._companion.get_data(command, param)
        check_data(self.data_commands, command, param)
        if command == _STATUS and param is None:
            param = "summary+edevs+pools"  # it needs a parameter (protocol.md#e5)
        request: JsonObject = {"cmd": command}
        if param is not None:
            request["param"] = param
        async with self.lock:
            answer = await self.request_read(request)
        raise_for_code(command, answer)
        return as_object(redacted(answer))


class Writer4433(Writer):
    """Commands on 4433, with an account of API 3.x and a token for each."""

    highest_upfreq_speed = 10
    heat_modes = tuple(HEAT_MODES)

    def __init__(
        self, reader: V3Miner, link: Link, account: str, password: str | None
    ) -> None:
        """Write to the miner that `reader` reads, on the same connection."""
        self._reader = reader
        self._link = link
        self.account = account
        self.password = password

    @property
    @override
    def dialect(self) -> Dialect:
        return Dialect.V3

    async def command(self, command: str, param: Any = None) -> JsonObject:
        """Send one write command and return its answer (protocol.md#e3, #e6).

        Raises UnknownOutcomeError when it was sent but not answered; every other error means
        that it had no effect.
        """
        answer = await self._send(command, param)
        if is_about_param(answer) and (other := other_spelling(param)) is not None:
            answer = await self._send(command, other)
        await self._raise_refusal(command, answer)
        return answer

    async def _raise_refusal(self, command: str, answer: JsonObject) -> None:
        """Raise the error of an answer that is no success, with its reason if there is one."""
        try:
            raise_for_code(command, answer)
        except CommandRefusedError as err:
            # It is refused, whatever becomes of the search for the reason.
            with contextlib.suppress(
                CannotConnectError, UnknownOutcomeError, *SECTION_ERRORS
            ):
                await self._check_account()
            raise err from None

    async def _sign(self, command: str, param: Any) -> JsonObject:
        """Make the request for a write, while the lock is held."""
        if not self.password:
            raise NoPasswordError("no password of an account is known")
        # This read proves that the link is alive, and returns salt and clock of the miner.
        try:
            challenge = await self._reader.request_read(
                {"cmd": _DEVICE, "param": "salt"}
            )
        except CannotConnectError as err:
            if not self._reader.is_refused:
                raise
            raise PortClosedError(self._link.port) from err
        self._reader.note_answer()
        salt = as_text(message_of(_DEVICE, challenge).get("salt"))
        when = as_int(challenge.get("when"))
        if salt is None or when is None:
            raise InvalidAnswerError(f"{_DEVICE} without salt and when")
        await self._reader.verify_identity()
        secret = command, self.password, salt, when
        request: JsonObject = {
            "cmd": command,
            "ts": when,
            "token": make_token(*secret),
            "account": self.account,
        }
        if command in ENCRYPTED:
            request["param"] = encrypt_param(param, make_digest(*secret))
        elif param is not None:
            request["param"] = param
        return request

    async def _send(self, command: str, param: Any) -> JsonObject:
        """Make a token and send once."""
        async with self._reader.lock:
            request = await self._sign(command, param)
            try:
                answer = await self._link.request(request)
            except (BtminerDownError, InvalidAnswerError, NoAnswerError) as err:
                raise UnknownOutcomeError(
                    f"{command} was sent and not answered"
                ) from err
        if as_int(answer.get("code")) is None:
            raise UnknownOutcomeError(f"{command} was answered without a code")
        return answer

    async def _check_account(self) -> bool:
        """Return whether the account was accepted; False where that cannot be found out.

        Raises WriteApiDisabledError or AccountRefusedError. It is not known how a wrong password
        is answered (protocol.md#e2), so commands are sent that change nothing.
        """
        device = await self._reader.send_read(_DEVICE)
        is_refused = False
        for command, param in harmless_commands(device):
            answer = await self._send(command, param)
            if as_int(answer.get("code")) == 0:
                return True
            # A user may have the permission for another of them.
            is_refused |= not is_inconclusive(answer)
        # An accepted command counts for more than the reported switch.
        if as_bool(as_object(device.get("system")).get("apiswitch")) is False:
            raise WriteApiDisabledError("the API switch of the miner is off")
        if is_refused:
            raise AccountRefusedError(self.account)
        return False

    @override
    async def send_feature(self, feature: Feature, *values: Any) -> JsonObject:
        self._reader.reread_settings()
        if feature is Feature.PASSWORD:
            old, new = values
            param = {"account": self.account, "new": new, "old": old}
            return await self.command("set.user.change_passwd", param)
        answer: JsonObject = {}
        for command, param in ENCODERS[feature](*values):
            answer = await self.command(command, param)
        return answer

    @override
    async def check_password(self) -> bool:
        try:
            return await self._check_account()
        except UnknownOutcomeError as err:
            raise NoAnswerError("the password check was not answered") from err

    @override
    async def check_write_access(self) -> bool:
        return await self.check_password()

    @override
    async def install(
        self, image: AsyncIterable[bytes], size: int, progress: Progress | None
    ) -> None:
        await self._raise_refusal(
            _FIRMWARE, await self._send_image(image, size, progress)
        )

    async def _send_image(
        self, image: AsyncIterable[bytes], size: int, progress: Progress | None
    ) -> JsonObject:
        """Announce the image, send it when the miner is ready, and return the last answer."""
        async with self._reader.lock:
            request = await self._sign(_FIRMWARE, None)
            try:
                answer = await self._link.request(request, keep=True)
                if as_int(answer.get("code")) != 0:
                    return answer
                if as_text(answer.get("msg")) != "ready":
                    raise InvalidAnswerError("the miner does not ask for the image")
                try:
                    transfer = self._link.transfer()
                    await transfer.send(image, size, progress)
                    return await transfer.frame(_FIRMWARE, transport.INSTALL_TIMEOUT)
                except WhatsminerError as err:
                    raise UnknownOutcomeError(f"{_FIRMWARE}: {err}") from err
            finally:
                self._link.close()

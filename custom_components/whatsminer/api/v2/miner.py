"""A miner on TCP 4028: plain reads, joined where they come whole, and encrypted writes."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
import contextlib
from dataclasses import replace
import time
from typing import Any, override

from .. import transport
from ..capabilities import with_capabilities
from ..catalog import data_commands, features_of
from ..commanding import Progress, Write, Writer
from ..errors import (
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    NoMacError,
    NoPasswordError,
    NotWhatsminerError,
    TokenRejectedError,
    TokenTableFullError,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WhatsminerError,
    WriteApiDisabledError,
    WriteRefusedError,
    WrongPasswordError,
)
from ..identity import Traits, is_same_miner, traits_of
from ..miner import Miner, PollContext, without_traceback
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
from ..parse import JsonObject, as_int, as_object, as_objects, as_text, parse_answer
from ..redact import check_data, redacted, size_of_log
from ..transport import Link, Transfer, begin_transfer
from ..v3.protocol import message_of, parse_device
from ..validation import check_range
from .crypto import Token, decrypt, derive_token, encrypt
from .protocol import (
    BACK_OFF,
    BOARD_COMMANDS,
    HEAT_MODES,
    Shape,
    encode,
    has_gentle_percent,
    has_shape,
    is_challenge,
    other_form,
    parse_boards,
    parse_faults,
    parse_miner_info,
    parse_model,
    parse_pools,
    parse_psu,
    parse_settings,
    parse_status,
    parse_summary,
    parse_version,
    refusal,
    shape_of,
    status_of,
)

TOKEN_LIFE = 25 * 60.0
"""Seconds a token is used; the miner keeps it for 30 minutes (protocol.md#b5)."""

PROVE_EVERY = 2
"""Polls after which the MAC is read, where nothing else shows which miner answers."""

_CODE_FAILED = 132
_MISSING_COMMAND = "Missing JSON 'command'"
_MINER_INFO = "ip,proto,netmask,gateway,dns,hostname,mac,ledstat,minersn,powersn"
_FASTEST_PERCENT = range(101)

# These end the board's session, or its password, and with it every token (protocol.md#b5).
_INVALIDATES_TOKEN = frozenset(
    {Feature.REBOOT, Feature.FACTORY_RESET, Feature.NETWORK, Feature.PASSWORD}
)

type Open = Callable[[JsonObject], JsonObject]
"""Decrypts an answer; raises its error if it is a refusal."""


class V2Miner(Miner):
    """The 4028 dialects 1.x, 2.0.x and 2.2.x."""

    writer: Writer4028

    def __init__(
        self,
        host: str,
        port: int,
        *,
        password: str | None = None,
        mac: str | None = None,
        v3_port: int | None = None,
    ) -> None:
        """Prepare; nothing is sent before `identify`.

        `v3_port` is tried periodically, in case the firmware has API 3.x by now.
        """
        super().__init__(host, mac)
        self.writer = Writer4028(self, password)
        self.port = port
        self._v3_port = v3_port
        self.info = MinerInfo(dialect=Dialect.V2, features=features_of(Dialect.V2))
        self._request_key = "cmd"
        self._board_commands = BOARD_COMMANDS[Dialect.V2]
        self._answers: dict[str, JsonObject | WhatsminerError] = {}
        """What the poll in progress has read already."""
        self._joins: dict[str, Shape] | None = None
        """The fields that joined reads must have; empty: do not join; None: not tried."""
        self._kept_status: Status | None = None
        self._info_has_mac = False
        """Whether `get_miner_info` has reported the MAC; then a stopped miner does too."""
        self._psu_serial: str | None = None
        self._traits: Traits | None = None
        self._unproven = 0
        """Polls in a row that did not show which miner answered."""

    @override
    def adopt(self, info: MinerInfo) -> None:
        if (
            info.dialect is not self.info.dialect
            or info.api_version != self.info.api_version
        ):
            self._board_commands = BOARD_COMMANDS[info.dialect]
            gentle = has_gentle_percent(info.dialect, info.api_version)
            self.writer.has_gentle_percent = gentle
        self.info = info

    @override
    async def close(self) -> None:
        """Do nothing: no connection is open between two exchanges."""

    def reread_status(self) -> None:
        """Read the status again in the next poll."""
        self._kept_status = None

    # Exchanges

    async def exchange(self, request: JsonObject) -> JsonObject:
        """Send one request and return its parsed answer; the caller holds the lock."""
        await self._hang_up_others()
        return parse_answer(await transport.exchange(self.host, self.port, request))

    @contextlib.asynccontextmanager
    async def transfer(
        self, request: JsonObject, decrypt_answer: Open
    ) -> AsyncIterator[tuple[Transfer, JsonObject]]:
        """Send one request and keep the connection; the caller holds the lock."""
        await self._hang_up_others()
        async with begin_transfer(self.host, self.port, request) as transfer:
            answer = await transfer.answer(transport.ANSWER_TIMEOUT)
            yield transfer, decrypt_answer(answer)

    async def _hang_up_others(self) -> None:
        """Close other connections to this miner: never two sockets at the same time."""

    async def send_read(self, command: str, **params: Any) -> JsonObject:
        """Send one plain read command and return the answer with its envelope.

        Raises BtminerDownError, CommandRefusedError and the errors of `exchange`.
        """
        async with self.lock:
            answer = await self.exchange({self._request_key: command, **params})
            if (
                self._request_key == "cmd"
                and status_of(answer).get("Msg") == _MISSING_COMMAND
            ):
                self._request_key = "command"  # the oldest firmware (protocol.md#a2)
                answer = await self.exchange({self._request_key: command, **params})
        if error := refusal(command, answer):
            if isinstance(error, WriteRefusedError):  # a read needs no right
                status = status_of(answer)
                code, text = as_int(status.get("Code")), as_text(status.get("Msg"))
                error = CommandRefusedError(command, code, text or "")
            raise error
        return answer

    async def _send_joined(self, commands: tuple[str, ...]) -> dict[str, JsonObject]:
        """Several reads that the control board forwards to btminer, in one exchange (protocol.md#a5)."""
        joined = "+".join(commands)
        async with self.lock:
            # The oldest firmware joins nothing under `cmd` (protocol.md#a2).
            answer = await self.exchange({"command": joined})
        if error := refusal(joined, answer):
            raise error
        parts = {command: as_objects(answer.get(command)) for command in commands}
        return {command: part[0] if part else {} for command, part in parts.items()}

    async def _read_once(self, command: str, *, forwarded: bool = True) -> JsonObject:
        """Return an answer of the poll in progress, read once."""
        if command not in self._answers:
            send = self._send_to_btminer if forwarded else self.send_read
            self._answers[command] = await send(command)
        answer = self._answers[command]
        if isinstance(answer, WhatsminerError):
            raise answer
        return answer

    async def _send_to_btminer(self, command: str) -> JsonObject:
        """A read that the control board forwards to btminer; 132 means btminer is down (protocol.md#a4)."""
        try:
            return await self.send_read(command)
        except UnsupportedCommandError:
            raise
        except CommandRefusedError as err:
            if err.code == _CODE_FAILED:
                raise BtminerDownError("btminer does not answer") from err
            raise

    async def verify_identity(self, *, again: bool) -> None:
        """Compare the MAC before a write: two miners often share a password.

        One that was compared before is compared `again` for a new token.
        """
        if not self._identified:
            await self.identify()
        elif again or self._mac_error:
            await self._complete(self.info)
        self._refuse_without_mac()
        if self._mac_error and self._psu_serial:
            # A stopped miner of 1.x reports no MAC, but its power supply has a serial.
            psu = parse_psu(await self.send_read("get_psu"))
            if psu.serial != self._psu_serial:
                self._identified = False
                raise NoMacError("another power supply, and no MAC to compare")

    # Reading

    @override
    async def identify(self) -> MinerInfo:
        try:
            info = await self._read_version()
        except InvalidAnswerError:
            info = self.info  # a known miner, of which one answer is unreadable
        return await self._complete(info)

    async def _read_version(self) -> MinerInfo:
        """Return the dialect and the firmware."""
        refused: CommandRefusedError | None = None
        try:
            answer = await self.send_read("get_version")
        except InvalidAnswerError as err:
            if self.info.firmware:
                raise
            raise NotWhatsminerError("get_version is not answered with JSON") from err
        except CommandRefusedError as err:
            if self.info.firmware:
                raise  # a WhatsMiner that was identified before
            refused = err
            answer = {}  # on other machines the codes of refusals mean other things
        try:
            return parse_version(answer)
        except NotWhatsminerError:
            if self.info.firmware or not await self._gives_challenge():
                raise
            if refused and not isinstance(refused, UnsupportedCommandError):
                # It knows the command, which other firmware lacks.
                raise NoAnswerError("get_version is refused") from refused
            return with_capabilities(MinerInfo(dialect=Dialect.V1))

    async def _complete(
        self, info: MinerInfo, answer: JsonObject | None = None
    ) -> MinerInfo:
        """Complete a version with the identity, from `get_miner_info` where it has that."""
        self._mac_error = NoMacError("the miner does not report its MAC address")
        stopped_is_silent = not self._info_has_mac
        info = replace(info, mac=None)  # only what is reported now counts
        if info.dialect is not Dialect.V1:
            try:
                answer = answer or await self.send_read(
                    "get_miner_info", info=_MINER_INFO
                )
                info = replace(info, **parse_miner_info(answer))
            except (BtminerDownError, CommandRefusedError, InvalidAnswerError) as err:
                stopped_is_silent &= isinstance(err, UnsupportedCommandError)
            self._info_has_mac |= info.mac is not None
        if info.mac is None:
            try:
                info = await self._complete_by_summary(info)
            except BtminerDownError as err:
                if stopped_is_silent:
                    self._mac_error = without_traceback(err)
        self._check_mac(info.mac)
        return self._identify_as(
            replace(
                info,
                model=info.model or self.info.model or await self._read_model(),
                firmware=info.firmware or self.info.firmware,
                mac=info.mac or self._expected_mac,
            )
        )

    async def _gives_challenge(self) -> bool:
        """Return whether this is a WhatsMiner without get_version (protocol.md#e7)."""
        try:
            return is_challenge(await self.send_read("get_token"))
        except CommandRefusedError, InvalidAnswerError, NoAnswerError:
            return False

    async def _complete_by_summary(self, info: MinerInfo) -> MinerInfo:
        """On 1.x the MAC is in the summary, which a stopped miner does not return."""
        try:
            summary = parse_summary(await self._send_to_btminer("summary"))
        except CommandRefusedError, InvalidAnswerError:
            return info
        return replace(
            info, mac=summary.mac, firmware=info.firmware or summary.firmware
        )

    async def _read_model(self) -> str | None:
        """Return the model, where the firmware reports it apart from the version."""
        try:
            return parse_model(await self._send_to_btminer("devdetails"))
        except BtminerDownError, CommandRefusedError, InvalidAnswerError, NoAnswerError:
            return None

    @override
    async def poll(
        self,
        previous: MinerState | None,
        *,
        slow: bool,
        sections: Iterable[Section] | None,
    ) -> MinerState:
        if not self._identified:
            self._joins = None
        try:
            state = await super().poll(previous, slow=slow, sections=sections)
            if self._joins is None:
                with contextlib.suppress(NoAnswerError):
                    await self._in_time(self._try_to_join())
        finally:
            self._answers.clear()
        return state

    @override
    async def _recognize(self, state: MinerState, fresh: tuple[Section, ...]) -> None:
        if not {Section.SUMMARY, Section.BOARDS} & set(fresh):
            return
        now = traits_of(state, fresh)
        same = self._mac_compared or (self._traits and is_same_miner(self._traits, now))
        self._unproven = 0 if same else self._unproven + 1
        if same is False or self._unproven >= PROVE_EVERY:
            self._identified = False
            await self._complete(self.info)
            if same is False:
                self._refuse_without_mac()
            self._unproven = 0
        self._traits = now if now.is_comparable else self._traits

    # Joined reads

    async def _try_to_join(self) -> None:
        """Compare a joined answer with the same reads one by one, when those have just been made."""
        commands = "summary", self._board_commands[0], "pools"
        alone = {name: shape_of(self._answers.get(name)) for name in commands}
        # 2.2.x is known to leave out most of the summary (protocol.md#a5).
        if self.info.dialect is Dialect.V2_2 or not all(alone.values()):
            return
        self._joins = {}
        with contextlib.suppress(WhatsminerError):  # nothing is lost
            joined = await self._send_joined(commands)
            if all(has_shape(joined[name], alone[name]) for name in commands):
                self._joins = alone

    @override
    async def _prepare(self, due: tuple[Section, ...]) -> None:
        wanted = {
            Section.SUMMARY: "summary",
            Section.BOARDS: self._board_commands[0],
            Section.POOLS: "pools",
        }
        commands = tuple(name for section, name in wanted.items() if section in due)
        if not self._joins or len(commands) == 1:
            return
        try:
            joined = await self._send_joined(commands)
        except (BtminerDownError, CannotConnectError) as err:
            # Single reads would fail, too.
            self._answers |= dict.fromkeys(commands, err)
        except WhatsminerError:
            self._joins = {}
        else:
            if all(has_shape(joined[name], self._joins[name]) for name in commands):
                self._answers |= joined
            else:
                self._joins = {}

    # Sections

    async def _read_summary(self, context: PollContext) -> Summary:
        summary = parse_summary(await self._read_once("summary"))
        self._check_mac(summary.mac)
        return summary

    async def _read_boards(self, context: PollContext) -> tuple[Board, ...]:
        errors: list[WhatsminerError] = []
        for command in self._board_commands:
            try:
                answer = await self._read_once(command)
            except (BtminerDownError, CommandRefusedError) as err:
                errors.append(err)
                if isinstance(context.failed.get(Section.SUMMARY), BtminerDownError):
                    break
                continue
            if errors:
                # The one that works first.
                self._board_commands = self._board_commands[::-1]
            average = context.summary.hashrate_average if context.summary else None
            return parse_boards(answer, average)
        raise errors[0]

    async def _read_status(self, context: PollContext) -> Status:
        kept, self._kept_status = self._kept_status, None
        if (
            kept
            and not context.slow
            and self._activity_of(kept, context) is Activity.MINING
        ):
            # It cannot be joined with others, and is read every second time as long as the
            # summary shows that the miner mines.
            return kept
        self._kept_status = parse_status(await self.send_read("status"))
        return self._kept_status

    async def _read_pools(self, context: PollContext) -> tuple[Pool, ...]:
        return parse_pools(await self._read_once("pools"))

    async def _read_psu(self, context: PollContext) -> Psu:
        psu = parse_psu(await self.send_read("get_psu"))
        if self._mac_error is None:
            self._psu_serial = psu.serial
        return psu

    async def _read_faults(self, context: PollContext) -> tuple[Fault, ...]:
        listed = context.summary.error_codes if context.summary else None
        if self.info.dialect is not Dialect.V1:
            try:
                return parse_faults(await self.send_read("get_error_code"))
            except UnsupportedCommandError:
                if listed is None:
                    raise
        if listed is None:
            raise BtminerDownError("the faults of 1.x are in the summary")
        return tuple(Fault(code=code) for code in listed)

    async def _read_info(self, context: PollContext) -> MinerInfo:
        try:
            info = await self._read_version()
        except NotWhatsminerError as err:
            raise InvalidAnswerError("the miner does not say who it is") from err
        answer = None
        if info.dialect is not Dialect.V1:
            with contextlib.suppress(CommandRefusedError, InvalidAnswerError):
                answer = await self._read_once("get_miner_info", forwarded=False)
        info = await self._complete(info, answer)
        # 4433 may have been closed when the connection was made, for a restart (protocol.md#e7).
        if info.dialect is Dialect.V2_2 and await self._speaks_v3():
            self.outdated = True
        return info

    async def _read_settings(self, context: PollContext) -> Settings:
        if self.info.dialect is Dialect.V1:
            return Settings()  # it reports none
        return parse_settings(await self._read_once("get_miner_info", forwarded=False))

    async def _speaks_v3(self) -> bool:
        """Return whether API 3.x answers by now, so that `connect` would use it."""
        if self._v3_port is None:
            return False
        link = Link(self.host, self._v3_port)
        command = "get.device.info"
        async with self.lock:
            try:
                answer = await link.request({"cmd": command})
                parse_device(message_of(command, answer))
            except WhatsminerError:
                return False
            finally:
                link.close()
        return True

    # Files

    @override
    async def _download(self, write: Write) -> int:
        async def send(request: JsonObject, decrypt_answer: Open) -> int:
            async with self.transfer(request, decrypt_answer) as (transfer, answer):
                size = size_of_log(answer.get("Msg"), "logfilelen")
                await transfer.receive(size, write)
                return size

        return await self.writer.write("download_logs", {}, send)

    # Raw answers

    @property
    @override
    def data_commands(self) -> tuple[str, ...]:
        return data_commands(self.info.dialect)

    @override
    async def get_data(
        self, command: str, param: str | dict[str, str] | None = None
    ) -> JsonObject:
        check_data(self.data_commands, command, param)
        if command == "get_customer_msg":
            # It needs a token (protocol.md#c10).
            answer = await self.writer.command(command)
        elif param is None:
            answer = await self.send_read(command)
        else:
            answer = await self.send_read(command, info=param)
        return as_object(redacted(answer))


class Writer4028(Writer):
    """Encrypted commands on 4028, with the admin's password and one token."""

    account = "admin"
    highest_upfreq_speed = 9
    heat_modes = tuple(HEAT_MODES)

    def __init__(self, reader: V2Miner, password: str | None) -> None:
        """Write to the miner that `reader` reads."""
        self._reader = reader
        self.password = password
        self.has_gentle_percent = False
        self._token: Token | None = None
        self._token_ends = 0.0
        self._no_token_before = 0.0

    @property
    @override
    def dialect(self) -> Dialect:
        return self._reader.info.dialect

    async def command(self, command: str, **params: Any) -> JsonObject:
        """Send one encrypted command and return its answer (section B).

        Every write uses this. Raises UnknownOutcomeError when the command was sent but
        not answered; every other error means that it had no effect.
        """

        async def send(request: JsonObject, decrypt_answer: Open) -> JsonObject:
            try:
                return decrypt_answer(await self._reader.exchange(request))
            except (BtminerDownError, NoAnswerError, InvalidAnswerError) as err:
                raise UnknownOutcomeError(
                    f"{command} was sent and not answered"
                ) from err

        return await self.write(command, params, send)

    async def write[T](
        self,
        command: str,
        params: dict[str, Any],
        send: Callable[[JsonObject, Open], Awaitable[T]],
    ) -> T:
        """Send a command with a valid token; `send` continues on its connection."""
        if not self.password:
            raise NoPasswordError("no admin password is known")
        await self._reader.verify_identity(again=not self._has_token)
        try:
            return await self._write_once(command, params, send)
        except TokenRejectedError:
            # A certain refusal: the token is worth nothing by now, or another miner has got the
            # address. Once it is known who answers, one retry is safe (protocol.md#b5).
            await self._reader.verify_identity(again=not self._has_token)
        return await self._write_once(command, params, send)

    async def _write_once[T](
        self,
        command: str,
        params: dict[str, Any],
        send: Callable[[JsonObject, Open], Awaitable[T]],
    ) -> T:
        """Encrypt a command and send it once. Raises TokenRejectedError for an old token."""
        had_token = self._has_token
        async with self._reader.lock:
            reused = self._has_token
            if had_token and not reused:
                # A new one is needed after all, and the miner was not compared for it.
                raise TokenRejectedError("the token has expired")
            token = await self._get_token()
            request = encrypt(
                {"cmd": command, "token": token.sign, **params}, token.aes_key
            )

            def decrypt_answer(raw: JsonObject) -> JsonObject:
                answer = decrypt(raw, token.aes_key)
                if error := refusal(command, answer, in_plain=answer is raw):
                    raise error
                # What could be decrypted comes from the miner, even without an envelope (protocol.md#c7).
                if answer is raw and "STATUS" not in answer:
                    raise InvalidAnswerError(f"{command}: this is no answer")
                return answer

            try:
                return await send(request, decrypt_answer)
            except TokenRejectedError, WrongPasswordError:
                self._token = None
                if not reused:
                    raise
            finally:
                self._reader.reread_status()
        # The key may be outdated, too (protocol.md#b6).
        raise TokenRejectedError("the previous token is rejected")

    @property
    def _has_token(self) -> bool:
        """Return whether there is a valid token."""
        return self._token is not None and time.monotonic() < self._token_ends

    async def _get_token(self) -> Token:
        """Return the current token or a new one, but none while the token table is full."""
        if self._token and self._has_token:
            return self._token
        now = time.monotonic()
        if now < self._no_token_before:
            raise TokenTableFullError(self._no_token_before - now)
        self._token = None
        answer = await self._reader.exchange({"cmd": "get_token"})
        if is_challenge(answer):
            assert self.password
            # Some ms of pure Python, tens of them on a small board: not on the event loop.
            self._token = await asyncio.to_thread(
                derive_token, self.password, answer["Msg"]
            )
            self._token_ends = now + TOKEN_LIFE
            return self._token
        error = refusal("get_token", answer)
        if isinstance(error, TokenTableFullError):
            self._no_token_before = time.monotonic() + BACK_OFF
        raise error or InvalidAnswerError("get_token without a challenge")

    @override
    async def check_password(self) -> bool:
        # Where it is refused it was decrypted, so the password is right (protocol.md#b6).
        with contextlib.suppress(
            CommandRefusedError, TokenRejectedError, WriteApiDisabledError
        ):
            try:
                await self.command("status")
            except UnknownOutcomeError as err:
                raise NoAnswerError("the password check was not answered") from err
        return True

    @override
    async def check_write_access(self) -> bool:
        await self.check_password()
        # No harmless write shows the API switch, except the one that changes nothing (protocol.md#b6).
        if not self._reader.info.led_auto:
            return False
        await self.send_feature(Feature.LED)
        return True

    @override
    def use_password(self, password: str | None) -> None:
        super().use_password(password)
        self._token = None

    @override
    async def send_feature(self, feature: Feature, *values: Any) -> JsonObject:
        match (feature, *values):
            case (Feature.MINING, False):
                return await self._stop_mining()
            case (Feature.POWER_PERCENT, percent, fast):
                return await self._set_power_percent(percent, fast=fast)
            case _:
                pass
        answer: JsonObject = {}
        try:
            for command, params in encode(self._reader.info.dialect, feature, *values):
                try:
                    answer = await self.command(command, **params)
                except CommandRefusedError:
                    if (other := other_form(command, params)) is None:
                        raise
                    answer = await self.command(other[0], **other[1])
        finally:
            if feature in _INVALIDATES_TOKEN:
                self._token = None
        return answer

    async def _stop_mining(self) -> JsonObject:
        # respbefore is documented until 2.0.5; 2.2 firmware was seen to dislike it (protocol.md#d3).
        forms: list[dict[str, str]] = [{"respbefore": "true"}, {}]
        if self._reader.info.dialect is Dialect.V2_2:
            forms.reverse()
        try:
            return await self.command("power_off", **forms[0])
        except CommandRefusedError, WrongPasswordError:
            return await self.command("power_off", **forms[1])

    async def _set_power_percent(self, percent: int, *, fast: bool) -> JsonObject:
        if self.has_gentle_percent and not fast:
            try:
                return await self.command("set_power_pct_v2", percent=str(percent))
            except UnsupportedCommandError:
                # Early 2.0.5 knows only the fast one (protocol.md#d1).
                self.has_gentle_percent = False
            except CommandRefusedError:
                # It may not know the command (protocol.md#a4), or not in this power mode (protocol.md#d4).
                if percent not in _FASTEST_PERCENT:
                    raise
        check_range("power_percent", percent, _FASTEST_PERCENT)
        return await self.command("set_power_pct", percent=str(percent))

    @override
    async def install(
        self, image: AsyncIterable[bytes], size: int, progress: Progress | None
    ) -> None:
        async def send(request: JsonObject, decrypt_answer: Open) -> None:
            async with self._reader.transfer(request, decrypt_answer) as opened:
                transfer, answer = opened
                if as_text(answer.get("Msg")) != "ready":
                    raise InvalidAnswerError("the miner does not ask for the image")
                try:
                    await transfer.send(image, size, progress)
                    decrypt_answer(await transfer.answer(transport.INSTALL_TIMEOUT))
                except CommandRefusedError:
                    raise
                except WhatsminerError as err:
                    raise UnknownOutcomeError(f"update_firmware: {err}") from err
                finally:
                    self._token = None  # the board reboots

        await self.write("update_firmware", {}, send)

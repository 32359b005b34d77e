"""A miner on TCP 4028: one plain exchange per read, one encrypted exchange per write."""

import asyncio
from dataclasses import replace
import time
from typing import Any, override

from .auth import Token, decrypt, derive_token, encrypt
from .errors import (
    BtminerDownError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
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
from .miner import (
    BLINK,
    MAX_PERCENT,
    MAX_PERCENT_LIQUID,
    POWER_LIMIT_RANGE,
    Miner,
    Reader,
    check_range,
)
from .models import (
    Board,
    Cooling,
    Dialect,
    Fault,
    Feature,
    MinerInfo,
    MinerState,
    Pool,
    PowerMode,
    Psu,
    Section,
    Status,
    Summary,
)
from .parse import JsonObject, as_int, as_text, cooling_of, parse_answer
from .transport import Link, exchange
from .v2 import (
    BACK_OFF,
    BOARD_COMMANDS,
    FAST_BOOT_COMMANDS,
    FEATURES,
    UNREADABLE,
    activity_of,
    has_gentle_percent,
    is_challenge,
    parse_boards,
    parse_faults,
    parse_miner_info,
    parse_model,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
    parse_version,
    refusal,
    status_of,
)
from .v3 import message_of, parse_device

TOKEN_LIFE = 25 * 60.0
"""Seconds a token is used; the miner keeps it for 30 minutes (B.5)."""

_CODE_FAILED = 132
_MISSING_COMMAND = "Missing JSON 'command'"
_MINER_INFO = "ip,proto,netmask,gateway,dns,hostname,mac,ledstat,minersn,powersn"


class V2Miner(Miner):
    """The 4028 dialects 1.x, 2.0.x and 2.2.x."""

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

        `v3_port` is where API 3.x is looked for now and then, in case the firmware has it.
        """
        super().__init__(host, password, mac)
        self.port = port
        self._v3_port = v3_port
        self.info = MinerInfo(dialect=Dialect.V2)
        self._request_key = "cmd"
        self._board_commands = BOARD_COMMANDS[Dialect.V2]
        self._gentle_percent = False
        self._token: Token | None = None
        self._token_ends = 0.0
        self._no_token_before = 0.0

    @override
    def adopt(self, info: MinerInfo) -> None:
        if (
            info.dialect is not self.info.dialect
            or info.api_version != self.info.api_version
        ):
            self._board_commands = BOARD_COMMANDS[info.dialect]
            self._gentle_percent = has_gentle_percent(info.dialect, info.api_version)
        self.info = info

    @override
    async def close(self) -> None:
        """Nothing is open between two exchanges."""

    # Exchanges

    async def _exchange(self, request: JsonObject) -> JsonObject:
        """One request and its parsed answer; the lock is held by the caller."""
        return parse_answer(await exchange(self.host, self.port, request))

    async def ask(self, command: str, **params: Any) -> JsonObject:
        """Send one plain read command and give back the answer, envelope and all.

        Raises BtminerDownError, CommandRefusedError and the errors of `exchange`.
        """
        async with self._lock:
            answer = await self._exchange({self._request_key: command, **params})
            if (
                self._request_key == "cmd"
                and status_of(answer).get("Msg") == _MISSING_COMMAND
            ):
                self._request_key = "command"  # the oldest firmware (A.2)
                answer = await self._exchange({self._request_key: command, **params})
        if error := refusal(command, answer):
            if isinstance(error, WriteRefusedError):  # a read needs no right
                status = status_of(answer)
                code, text = as_int(status.get("Code")), as_text(status.get("Msg"))
                error = CommandRefusedError(command, code, text or "")
            raise error
        return answer

    async def _ask_btminer(self, command: str) -> JsonObject:
        """A read that the control board forwards to btminer; 132 means btminer is down (A.4)."""
        try:
            return await self.ask(command)
        except UnsupportedCommandError:
            raise
        except CommandRefusedError as err:
            if err.code == _CODE_FAILED:
                raise BtminerDownError("btminer does not answer") from err
            raise

    async def command(self, command: str, **params: Any) -> JsonObject:
        """Send one encrypted command and give back its answer (section B).

        The one way for every write. Raises UnknownOutcomeError when the command was sent but
        not answered; every other error means that it had no effect.
        """
        if not self._password:
            raise NoPasswordError("no admin password is known")
        await self._know_the_miner()
        try:
            return await self._send(command, params)
        except TokenRejectedError:
            # A certain refusal: the token is worth nothing by now, or another miner has got the
            # address. Once it is known who answers, one retry is safe (B.5).
            await self._know_the_miner()
        return await self._send(command, params)

    async def _know_the_miner(self) -> None:
        """Compare the MAC before every new token: two miners often share a password."""
        if not self._identified or not self._has_token:
            await self.identify()

    async def _send(self, command: str, params: dict[str, Any]) -> JsonObject:
        """Encrypt, exchange and judge once."""
        async with self._lock:
            reused = self._has_token
            token = await self._get_token()
            request = encrypt(
                {"cmd": command, "token": token.sign, **params}, token.aes_key
            )
            try:
                raw = await self._exchange(request)
                answer = decrypt(raw, token.aes_key)
            except (BtminerDownError, NoAnswerError, InvalidAnswerError) as err:
                raise UnknownOutcomeError(
                    f"{command} was sent and not answered"
                ) from err
            error = refusal(command, answer)
            if isinstance(error, (TokenRejectedError, WrongPasswordError)):
                self._token = None
                if reused:
                    # The key, too, may be that of before (B.6).
                    error = TokenRejectedError("the token of before is rejected")
        if error:
            raise error
        # What could be decrypted comes from the miner, even without an envelope (C.7).
        if answer is raw and "STATUS" not in answer:
            raise UnknownOutcomeError(f"{command} was answered with something else")
        return answer

    @property
    def _has_token(self) -> bool:
        """Whether the token is there and still good."""
        return self._token is not None and time.monotonic() < self._token_ends

    async def _get_token(self) -> Token:
        """The token in use, or a new one; never one that the miner would have to wait for."""
        if self._token and self._has_token:
            return self._token
        now = time.monotonic()
        if now < self._no_token_before:
            raise TokenTableFullError(self._no_token_before - now)
        self._token = None
        answer = await self._exchange({"cmd": "get_token"})
        if is_challenge(answer):
            assert self._password
            # Some ms of pure Python, tens of them on a small board: not on the event loop.
            self._token = await asyncio.to_thread(
                derive_token, self._password, answer["Msg"]
            )
            self._token_ends = now + TOKEN_LIFE
            return self._token
        error = refusal("get_token", answer)
        if isinstance(error, TokenTableFullError):
            self._no_token_before = time.monotonic() + BACK_OFF
        raise error or InvalidAnswerError("get_token without a challenge")

    # Reading

    @override
    async def identify(self) -> MinerInfo:
        refused: CommandRefusedError | None = None
        try:
            answer = await self.ask("get_version")
        except InvalidAnswerError as err:
            raise NotWhatsminerError("get_version is not answered with JSON") from err
        except CommandRefusedError as err:
            if self.info.firmware:
                raise  # a WhatsMiner that has said before who it is
            refused = err
            answer = {}  # on other machines the codes of refusals mean other things
        try:
            info = parse_version(answer)
        except NotWhatsminerError:
            if self.info.firmware or not await self._gives_challenge():
                raise
            if refused and not isinstance(refused, UnsupportedCommandError):
                # It knows the command, so it is not the firmware that has none.
                raise NoAnswerError("get_version is refused") from refused
            info = MinerInfo(
                dialect=Dialect.V1,
                features=FEATURES[Dialect.V1],
                unreadable=UNREADABLE[Dialect.V1],
            )
        if info.dialect is Dialect.V1:
            info = await self._complete_by_summary(info)
        else:
            try:
                answer = await self.ask("get_miner_info", info=_MINER_INFO)
            except CommandRefusedError:
                info = await self._complete_by_summary(info)
            else:
                info = replace(info, **parse_miner_info(answer))
        self._check_mac(info.mac)
        model = info.model or self.info.model or await self._read_model()
        info = replace(
            info,
            model=model,
            firmware=info.firmware or self.info.firmware,
            cooling=cooling_of(model),
            mac=info.mac or self._expected_mac,
        )
        # A miner whose firmware was never heard is new, not changed.
        if self.info.firmware and info.firmware != self.info.firmware:
            self.outdated = True
        self.adopt(info)
        self._identified = True
        return info

    async def _gives_challenge(self) -> bool:
        """Whether this is a WhatsMiner that has no get_version (E.7)."""
        try:
            return is_challenge(await self.ask("get_token"))
        except CommandRefusedError, InvalidAnswerError, NoAnswerError:
            return False

    async def _complete_by_summary(self, info: MinerInfo) -> MinerInfo:
        """On 1.x the MAC is in the summary, which a stopped miner does not give."""
        try:
            summary = parse_summary(await self._ask_btminer("summary"))
        except BtminerDownError, CommandRefusedError:
            return info
        return replace(
            info, mac=summary.mac, firmware=info.firmware or summary.firmware
        )

    async def _read_model(self) -> str | None:
        """The model, where the firmware tells it apart from the version."""
        try:
            return parse_model(await self._ask_btminer("devdetails"))
        except BtminerDownError, CommandRefusedError, InvalidAnswerError, NoAnswerError:
            return None

    @property
    @override
    def _readers(self) -> dict[Section, Reader]:
        return {
            Section.SUMMARY: self._read_summary,
            Section.BOARDS: self._read_boards,
            Section.STATUS: self._read_status,
            Section.POOLS: self._read_pools,
            Section.PSU: self._read_psu,
            Section.FAULTS: self._read_faults,
            Section.INFO: self._read_info,
        }

    async def _read_summary(self, state: MinerState) -> Summary:
        summary = parse_summary(await self._ask_btminer("summary"))
        self._check_mac(summary.mac)
        return summary

    async def _read_boards(self, state: MinerState) -> tuple[Board, ...]:
        errors: list[WhatsminerError] = []
        for command in self._board_commands:
            try:
                answer = await self._ask_btminer(command)
            except (BtminerDownError, CommandRefusedError) as err:
                errors.append(err)
                if isinstance(state.failed.get(Section.SUMMARY), BtminerDownError):
                    break
                continue
            if errors:
                self._board_commands = self._board_commands[
                    ::-1
                ]  # the one that works first
            average = state.summary.hashrate_average if state.summary else None
            return parse_boards(answer, average)
        raise errors[0]

    async def _read_status(self, state: MinerState) -> Status:
        return parse_status(await self.ask("status"))

    async def _read_pools(self, state: MinerState) -> tuple[Pool, ...]:
        return parse_pools(await self._ask_btminer("pools"))

    async def _read_psu(self, state: MinerState) -> Psu:
        return parse_psu(await self.ask("get_psu"))

    async def _read_faults(self, state: MinerState) -> tuple[Fault, ...]:
        if self.info.dialect is not Dialect.V1:
            return parse_faults(await self.ask("get_error_code"))
        if state.summary is None or state.summary.error_codes is None:
            raise BtminerDownError("the faults of 1.x are in the summary")
        return tuple(Fault(code=code) for code in state.summary.error_codes)

    async def _read_info(self, state: MinerState) -> MinerInfo:
        try:
            info = await self.identify()
        except NotWhatsminerError as err:
            raise InvalidAnswerError("the miner does not say who it is") from err
        # 4433 may have been closed when the connection was made, for a restart (E.7).
        if info.dialect is Dialect.V2C and await self._speaks_v3():
            self.outdated = True
        return info

    async def _speaks_v3(self) -> bool:
        """Whether API 3.x answers by now, so well that `connect` would take it."""
        if self._v3_port is None:
            return False
        link = Link(self.host, self._v3_port)
        command = "get.device.info"
        async with self._lock:
            try:
                answer = await link.request({"cmd": command})
                parse_device(message_of(command, answer))
            except WhatsminerError:
                return False
            finally:
                await link.close()
        return True

    @override
    def _with_activity(self, state: MinerState) -> MinerState:
        activity = activity_of(
            self.info.dialect,
            state.status,
            state.summary,
            state.failed.get(Section.SUMMARY),
        )
        return replace(state, activity=activity)

    # Commanding

    @override
    async def check_password(self) -> None:
        try:
            await self.command("status")
        except CommandRefusedError, TokenRejectedError, WriteApiDisabledError:
            return  # it was decrypted, so the password is right (B.6)
        except UnknownOutcomeError as err:
            raise NoAnswerError("the password check was not answered") from err

    @override
    async def check_write_access(self) -> bool:
        await self.check_password()
        # No harmless write shows the API switch, except the one that changes nothing (B.6).
        if not self.info.led_auto:
            return False
        await self.set_led_auto()
        return True

    @override
    async def start_mining(self) -> None:
        await self.command("power_on")

    @override
    async def stop_mining(self) -> None:
        # respbefore is documented until 2.0.5; 2.2 firmware was seen to dislike it (D.3).
        ways: list[dict[str, str]] = [{"respbefore": "true"}, {}]
        if self.info.dialect is Dialect.V2C:
            ways.reverse()
        try:
            await self.command("power_off", **ways[0])
        except CommandRefusedError, WrongPasswordError:
            await self.command("power_off", **ways[1])

    @override
    async def restart_btminer(self) -> None:
        await self.command("restart_btminer")

    @override
    async def reboot(self) -> None:
        try:
            await self.command("reboot")
        finally:
            self._token = None  # a reboot empties the miner's token table

    @override
    async def set_power_mode(self, mode: PowerMode) -> None:
        await self.command(f"set_{mode.value}_power")

    @override
    async def set_power_limit(self, watts: int) -> None:
        self.require(Feature.POWER_LIMIT)
        check_range("power limit", watts, POWER_LIMIT_RANGE)
        await self.command("adjust_power_limit", power_limit=str(watts))

    @override
    async def set_power_percent(self, percent: int) -> None:
        liquid = self.info.cooling is Cooling.LIQUID
        highest = MAX_PERCENT_LIQUID if liquid else MAX_PERCENT
        check_range("power percent", percent, range(highest + 1))
        if self._gentle_percent:
            try:
                await self.command("set_power_pct_v2", percent=str(percent))
            except UnsupportedCommandError:
                self._gentle_percent = (
                    False  # early 2.0.5 knows only the fast one (D.1)
                )
            else:
                return
        check_range("power percent", percent, range(MAX_PERCENT + 1))
        await self.command("set_power_pct", percent=str(percent))

    @override
    async def restore_power_percent(self) -> None:
        self.require(Feature.RESTORE_POWER_PERCENT)
        await self.command("restore_power_pct")

    @override
    async def set_fast_boot(self, enabled: bool) -> None:
        verb = "enable" if enabled else "disable"
        await self.command(FAST_BOOT_COMMANDS[self.info.dialect].format(verb))

    @override
    async def set_led_auto(self) -> None:
        await self.command("set_led", param="auto")

    @override
    async def blink(self) -> None:
        for color in ("red", "green"):
            await self.set_led(color, **BLINK)

    async def set_led(self, color: str, period: int, duration: int, start: int) -> None:
        """Blink the `red` or `green` LED: period, duration and start in ms (D.1)."""
        if color not in ("red", "green"):
            raise ValueError(f"LED color must be red or green, not {color}")
        for name, value in (
            ("period", period),
            ("duration", duration),
            ("start", start),
        ):
            check_range(name, value, range(60_001))
        # The only parameters that are numbers on the wire (section D).
        await self.command(
            "set_led", color=color, period=period, duration=duration, start=start
        )

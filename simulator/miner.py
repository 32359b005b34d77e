"""The simulated miner: a machine, its dialects, its passwords and its sockets."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
import json
from random import Random
import time as clocks
from types import TracebackType
from typing import Self

from .api_v3 import ApiV3
from .auth import BadBase64, BadKey, Envelope, TokenTable, new_salt
from .auth_v3 import SUPER, Accounts
from .binary import log_to_send, read_image, reported_length
from .catalogue import DIALECTS
from .commands import Ignored, Refused, Write, write_of
from .commands_v3 import Session
from .dialect import BTMINER_REFUSES, TEXTS
from .dialect_v2c import DialectV2c
from .dialect_v3 import DialectV3
from .failures import Failures, error_of, refused, spoil
from .machine import Machine
from .profiles import FOREIGN, PROFILES, Profile
from .server import GARBAGE, Listener, OneShotListener, Reply, huge_answer
from .server_v3 import FrameListener
from .timing import SimTime, Timing
from .truth import Phase, Truth
from .truth_v3 import V3Truth
from .wire import encode

COMMANDS_KEPT = 1000
TICK_S = 0.05

# protocol.md#b6: these are sent in plain text, the others in the encrypted envelope
PLAIN_ERRORS = frozenset({23, 45, 136, 137})


@dataclass(frozen=True, slots=True)
class Received:
    """One received command, decrypted; `at` is the time on the clock.

    `api` is the port: "v2" for 4028, "v3" for 4433. On 4433, `params` is everything except command
    and token, and an encrypted `param` stays encrypted.
    """

    name: str
    params: dict[str, object]
    encrypted: bool
    at: float
    api: str = "v2"


class SimulatedMiner:
    """A simulated WhatsMiner on sockets of this computer.

    `commands` are the received commands, `applied` the names of the writes that took effect, and
    `last_upload` is the last received image, unchanged.

    Attributes that may be changed while it runs: `api_switch`, `refuse` (a command, or
    `command=value` for one of its parameters, and the code of its answer: 14 or 132 on 4028, -1 to
    -5 on 4433) and `ts_tolerance_s` (how far the time
    in a v3 token may be from the miner's clock; None: any). `machine.percent_restarts` too: whether a
    percentage restarts btminer while fast boot is disabled; and `machine.percent_early`: whether it
    takes effect before tuning is complete; `machine.percent_follows`: whether the reported percentage
    is the present one; `machine.limit_share`: the share of a limit that takes effect; and
    `machine.reports_at_start`: whether what is set for the next start is reported only from then on.
    """

    def __init__(
        self,
        profile: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str = "admin",  # noqa: S107 - what every miner leaves the factory with
        api_switch: bool = True,
        mac: str | None = None,
        state: str = "stable",
        speed: float = 1.0,
        clock: Callable[[], float] | None = None,
        seed: int = 1,
        timing: Timing | None = None,
        refuse: Mapping[str, int] | None = None,
        epoch: float | None = None,
        clock_offset_s: float = 0.0,
        v3_port: int | None = 0,
        v3_password: str = SUPER,
        v3_passwords: Mapping[str, str] | None = None,
        ts_tolerance_s: float | None = 300,
    ) -> None:
        """Create the miner; miners with the same profile need different seeds to have different MACs.

        Port 0 is any free port. `v3_port` is ignored if the firmware has no API v3; None closes it.
        `v3_passwords` are those of user1, user2 and user3; the default is the name of the account.
        """
        profiles = PROFILES | FOREIGN
        if profile not in profiles:
            raise ValueError(
                f"Unknown profile {profile!r}; known are {', '.join(profiles)}"
            )
        self.profile: Profile = profiles[profile]
        timing = timing or self.profile.timing
        clock = clock or clocks.monotonic
        self.api_switch = api_switch
        self.mac = (mac or numbered_mac(self.profile.mac, seed)).upper()
        self.refuse = dict(refuse or {})
        self.commands: deque[Received] = deque(maxlen=COMMANDS_KEPT)
        self.applied: list[str] = []
        self.last_upload: bytes | None = None
        self.failures = Failures(self.profile.failures)
        self.ts_tolerance_s = ts_tolerance_s
        self.time = SimTime(
            clock, speed, clocks.time() if epoch is None else epoch, clock_offset_s
        )
        self._machine = Machine(self.profile, seed=seed, state=state, timing=timing)
        self._random = Random(seed)
        self._tokens = TokenTable(
            clock,
            limit=timing.token_limit,
            per_ip=timing.token_limit_per_ip,
            life_s=timing.token_life_s,
            busy_s=timing.busy_s,
        )
        self._listener = OneShotListener(host, port, timing, self._answer)
        ip = "192.168.2.16" if host in ("", "0.0.0.0", "::") else host
        self._dialect = DIALECTS[self.profile.dialect](
            self._machine, self.time, self.mac, ip
        )
        self._api_v3: ApiV3 | None = None
        self._v3_listener: FrameListener | None = None
        if isinstance(self._dialect, DialectV2c) and self.profile.v3:
            accounts = Accounts(
                Random(seed), {**(v3_passwords or {}), SUPER: v3_password}
            )
            dialect = DialectV3(
                self._dialect, self.profile.v3, accounts, lambda: self.api_switch
            )
            self._api_v3 = ApiV3(self, dialect, accounts)
            if v3_port is not None:
                self._v3_listener = FrameListener(
                    host, v3_port, timing, self._answer_v3
                )
                self._v3_listener.board = self._listener.board
        self._reboots = self._machine.reboots
        self._resets = self._machine.resets
        self._network_restarts = self._machine.network_restarts
        self._ticking: asyncio.Task[None] | None = None
        self.set_password(password)

    # Life

    async def start(self) -> None:
        """Open the ports and start the time."""
        try:
            for listener in self._listeners:
                await listener.open()
        except OSError:
            await self.stop()
            raise
        await self.tick()
        self._ticking = asyncio.create_task(self._tick_on())

    async def stop(self) -> None:
        """Close the ports and every connection."""
        if self._ticking:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None
        for listener in self._listeners:
            await listener.stop()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def tick(self) -> None:
        """Advance machine and ports to the current time: the ports are closed while the board reboots."""
        self._advance()
        for listener in self._listeners:
            if self._reachable(listener) and not listener.is_open:
                # Another program may use the port; the next tick tries again
                with suppress(OSError):
                    await listener.open()
        if self._api_v3 and self._v3_listener:
            self._v3_listener.push(self.time.now, self._api_v3.report)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.tick()

    @property
    def _listeners(self) -> tuple[Listener, ...]:
        v3 = (self._v3_listener,) if self._v3_listener else ()
        return (self._listener, *v3)

    def _reachable(self, listener: Listener) -> bool:
        if not self._machine.online:
            return False
        if listener is self._listener:
            return not self.failures.refusing(4028)
        v3 = self.profile.v3
        down = self._machine.phase is Phase.BTMINER_DOWN
        if v3 and v3.refuses_while_down and down:
            return False
        return not self.failures.refusing(4433)

    def _advance(self) -> None:
        machine = self._machine
        machine.advance(self.time.now)
        if machine.resets != self._resets:
            self._resets = machine.resets
            self.api_switch = False
            if self._api_v3:
                self._api_v3.accounts.reset()
        if machine.reboots != self._reboots:
            self._reboots = machine.reboots
            self._tokens.forget()
            self._drop_connections()
        if machine.network_restarts != self._network_restarts:
            self._network_restarts = machine.network_restarts
            self._drop_connections()
        if machine.settings.password != self._envelope.password:
            self._change_key()
        for listener in self._listeners:
            if not self._reachable(listener):
                listener.shut()
                # On 4433 the connection would stay open
                if listener is self._v3_listener:
                    listener.drop()

    def _drop_connections(self) -> None:
        for listener in self._listeners:
            listener.drop()

    # What a test wants to know

    @property
    def machine(self) -> Machine:
        """The machine, advanced to the current time."""
        self._advance()
        return self._machine

    @property
    def host(self) -> str:
        """Address of the port."""
        return self._listener.host

    @property
    def port(self) -> int:
        """Number of the port; known after the start."""
        return self._listener.port

    @property
    def v3_port(self) -> int | None:
        """Number of the port of API v3, known after the start; None if the firmware has no API v3."""
        return self._v3_listener.port if self._v3_listener else None

    @property
    def open_connections(self) -> int:
        """Number of open connections to 4028."""
        return self._listener.connections

    @property
    def most_open_connections(self) -> int:
        """Maximum number of simultaneous connections to 4028."""
        return self._listener.most_connections

    @property
    def connections_accepted(self) -> int:
        """Number of accepted connections to 4028."""
        return self._listener.accepted

    @property
    def open_v3_connections(self) -> int:
        """Number of open connections to 4433."""
        return self._v3_listener.connections if self._v3_listener else 0

    @property
    def most_open_v3_connections(self) -> int:
        """Maximum number of simultaneous connections to 4433."""
        return self._v3_listener.most_connections if self._v3_listener else 0

    @property
    def v3_connections_accepted(self) -> int:
        """Number of accepted connections to 4433, including those that were closed immediately."""
        return self._v3_listener.accepted if self._v3_listener else 0

    @property
    def tokens_issued(self) -> int:
        """Number of issued tokens."""
        return self._tokens.issued

    def truth(self) -> Truth:
        """Return the true state now, limited to what 4028 reports."""
        self._advance()
        return self._dialect.truth()

    def v3_truth(self) -> V3Truth:
        """Return the true state now, limited to what 4433 reports; AttributeError without API v3."""
        self._advance()
        return self._v3.dialect.truth()

    @property
    def _v3(self) -> ApiV3:
        if not self._api_v3:
            raise AttributeError(f"{self.profile.name} has no API v3")
        return self._api_v3

    @property
    def v3_permissions(self) -> dict[str, set[str]]:
        """The permissions of user1, user2 and user3; may be changed."""
        return self._v3.accounts.permissions

    @property
    def v3_passwords(self) -> dict[str, str]:
        """The passwords of the accounts of API v3."""
        return {**self._v3.accounts.passwords}

    @property
    def v3_salt(self) -> str:
        """The salt of the v3 tokens."""
        return self._v3.accounts.salt

    @property
    def password(self) -> str:
        """The admin password."""
        return self.machine.settings.password

    @property
    def log(self) -> bytes:
        """The log that clients download, on both ports."""
        self._advance()
        return self._dialect.log()

    @property
    def clock_offset_s(self) -> float:
        """The offset of the miner's clock; may be changed."""
        return self.time.offset_s

    @clock_offset_s.setter
    def clock_offset_s(self, seconds: float) -> None:
        self.time.offset_s = seconds

    # What a test wants to change

    def set_password(self, password: str) -> None:
        """Change the admin password: salt and key change, tokens become invalid (protocol.md#b5)."""
        self._machine.change(password=password)
        self._change_key()

    def _change_key(self) -> None:
        password = self._machine.settings.password
        self._envelope = Envelope(password, new_salt(self._random))
        self._tokens.forget()

    def set_v3_password(self, account: str, password: str) -> None:
        """Change the password of a v3 account, and the salt."""
        self._v3.accounts.set_password(account, password)

    def forget_tokens(self) -> None:
        """Invalidate all tokens."""
        self._tokens.forget()

    def fill_token_table(self) -> None:
        """Fill the token table, so that no token is free."""
        self._tokens.fill()

    def set_errors(self, codes: list[int]) -> None:
        """Set the listed errors; new ones start now."""
        errors = self.machine.errors
        self._machine.errors = {code: errors.get(code, self.time.now) for code in codes}

    def set_board_count(self, count: int) -> None:
        """Set the number of working boards."""
        self.machine.set_board_count(count)

    def inject(
        self, failure: str, command: str | None = None, times: int | None = None
    ) -> None:
        """Inject a failure: for one command or all, permanently or a number of times."""
        self.failures.inject(failure, command, times)
        self._advance()

    def clear_failures(self) -> None:
        """Remove all failures; a closed port opens with the next tick."""
        self.failures.clear()

    # Requests

    def _answer_v3(self, body: bytes, session: Session) -> Reply:
        """Return the reply to one request on 4433."""
        self._advance()
        return self._v3.answer(body, session)

    def remember_v3(self, name: str, params: Mapping[str, object]) -> None:
        """Record a command that 4433 received."""
        self.commands.append(
            Received(name, dict(params), False, self.time.clock(), "v3")
        )

    def _answer(self, raw: bytes, ip: str) -> Reply:
        """Return the reply to one request: plain, encrypted, or unreadable (protocol.md#b6)."""
        self._advance()
        try:
            request = decode(raw)
        except ValueError, RecursionError:
            return self._plain("", self._dialect.error(23, "json cmd err"))
        if "enc" in request:
            return self._encrypted(request, ip)
        key = "cmd" if "cmd" in request else "command"
        name = request.pop(key, None)
        if (
            not isinstance(name, str)
            or not name
            or ("+" in name and self._wants_command(key))
        ):
            return self._text("", self._dialect.missing_command())
        self._remember(name, request, encrypted=False)
        for part in name.split("+"):
            if code := refused(self.refuse, part):
                return self._plain(name, self._dialect.error(code))
        if name == "get_token":
            return self._plain(name, self._token(ip))
        if write_of(self.profile, name):
            return self._plain(name, self._dialect.error(14, "invalid data"))
        return self._text(name, self._dialect.answer(name, request))

    def _wants_command(self, key: str) -> bool:
        return key == "cmd" and self._dialect.joins_need_command

    def _token(self, ip: str) -> dict[str, object]:
        if not self._tokens.has_room(ip):
            return self._dialect.error(136)
        time = f"{self._dialect.when % 10000:04d}"
        newsalt = new_salt(self._random)
        self._tokens.add(ip, self._envelope.sign(time, newsalt))
        return self._dialect.btminer(
            {"time": time, "salt": self._envelope.salt, "newsalt": newsalt},
            self.profile.token_code,
        )

    def _encrypted(self, outer: dict[str, object], ip: str) -> Reply:
        try:
            request = self._envelope.decrypt(outer.get("data"))
        except BadBase64:
            return self._plain("", self._dialect.error(137))
        except BadKey:
            return self._plain("", self._dialect.error(23))
        key = "cmd" if "cmd" in request else "command"
        name, token = str(request.pop(key, "")), request.pop("token", None)
        self._remember(name, request, encrypted=True)
        write = write_of(self.profile, name)
        if code := refused(self.refuse, name, *request.values()):
            return self._encrypt(name, encode(self._dialect.error(code)))
        if write and not write.is_read and not self.api_switch:
            return self._plain(name, self._dialect.error(45))
        if token is None:
            return self._encrypt(
                name, encode(self._dialect.error(135, "json token err"))
            )
        if not self._tokens.knows(ip, token):
            return self._encrypt(name, encode(self._dialect.error(135)))
        if write:
            return self._write(name, write, request)
        return self._encrypt(name, self._dialect.answer(name, request))

    def _write(self, name: str, write: Write, params: dict[str, object]) -> Reply:
        """Apply a command; return its acknowledgement, unless the firmware never sends one."""
        failures = self.failures.take(name)
        if failures & {"silent", "close", "reset"}:
            return Reply(b"", failures)
        if error_of(failures, v3=False) is not None:
            return self._finish("", failures, encrypted=True)
        if write.binary:
            upload = write.binary == "upload"
            return self._upload(name, failures) if upload else self._download(failures)
        try:
            if "answered_not_applied" not in failures:
                write.apply(self._machine, params)
                self.applied.append(name)
                if name == "power_off" and "undone" in failures:
                    self._machine.undo_power_off()
                elif name == "power_off" and not self.profile.power_off_holds:
                    self._machine.undo_power_off(restarts=True)
        except Refused:
            return self._finish(
                encode(self._dialect.error(132)), failures, encrypted=True
            )
        except Ignored:
            pass
        else:
            too_late = name == "power_off" and params.get("respbefore") == "false"
            if (
                "applied_no_answer" in failures
                or name in self.profile.unanswered
                or too_late
            ):
                return Reply(b"", failures)
        answer = write.answer(self._machine) if write.answer else TEXTS[131]
        return self._finish(
            encode(self._dialect.btminer(answer)), failures, encrypted=True
        )

    def _download(self, failures: frozenset[str]) -> Reply:
        """Return the length of the log, followed by the log (protocol.md#d7)."""
        log = self._dialect.log()
        row = self._dialect.btminer({"logfilelen": reported_length(log, failures)})
        encrypted = "plain_ready" not in failures
        reply = self._finish(encode(row), failures, encrypted=encrypted, ends=False)
        return replace(reply, after=log_to_send(log, failures))

    def _upload(self, name: str, failures: frozenset[str]) -> Reply:
        """Return a reply that requests an image, and a second reply for when it has arrived (protocol.md#d6)."""
        envelope = self._envelope

        def final(image: bytes) -> Reply:
            taken = self.install(name, image, failures)
            if failures & {"no_final_answer", "applied_no_answer"}:
                return Reply(b"")
            row = (
                self._dialect.btminer("Updated") if taken else self._dialect.error(132)
            )
            enc = envelope.encrypt(encode(row))
            return Reply(encode({"enc": enc}).encode() + self.profile.terminator)

        row = self._dialect.btminer("ready")
        encrypted = "plain_ready" not in failures
        reply = self._finish(encode(row), failures, encrypted=encrypted)
        return replace(reply, upload=final)

    def install(self, name: str, data: bytes, failures: frozenset[str]) -> bool:
        """Install an image; return whether it was accepted."""
        self._advance()
        self.last_upload = data
        image = read_image(data)
        if image is None or "image_refused" in failures:
            return False
        if "answered_not_applied" not in failures:
            fits = image.platform == self.profile.platform
            new = fits and "old_version" not in failures
            self._machine.update_firmware(image.version if new else None)
            if new:
                self.applied.append(name)
        return True

    def _remember(
        self, name: str, params: Mapping[str, object], *, encrypted: bool
    ) -> None:
        self.commands.append(Received(name, dict(params), encrypted, self.time.clock()))

    def _plain(self, name: str, row: dict[str, object]) -> Reply:
        return self._text(name, encode(row))

    def _text(self, name: str, text: str) -> Reply:
        return self._finish(text, self.failures.take(name), encrypted=False)

    def _encrypt(self, name: str, text: str) -> Reply:
        return self._finish(text, self.failures.take(name), encrypted=True)

    def _finish(
        self, text: str, failures: frozenset[str], *, encrypted: bool, ends: bool = True
    ) -> Reply:
        """Return an answer as bytes, with the injected failures applied."""
        if failures & {"silent", "close", "reset"}:
            return Reply(b"", failures)
        if (code := error_of(failures, v3=False)) is not None:
            text = encode(self._dialect.error(code))
            encrypted &= code not in PLAIN_ERRORS
        text = spoil(text, failures)
        if encrypted:
            text = self._encrypt_text(text, failures)
        if "btminer_down" in failures:
            text = BTMINER_REFUSES
        # A terminator would be the first byte of a log
        end = b"" if text.endswith("\n") or not ends else self.profile.terminator
        if "nul" in failures:
            end = b"\0"
        if "newline" in failures:
            end = b"\n"
        if "garbage" in failures:
            return Reply(GARBAGE, failures)
        if "huge_answer" in failures:
            return Reply(huge_answer(), failures)
        return Reply(text.encode() + end, failures)

    def _encrypt_text(self, text: str, failures: frozenset[str]) -> str:
        envelope = self._envelope
        if "wrong_key" in failures:
            envelope = Envelope(f"not {envelope.password}", envelope.salt)
        enc = envelope.encrypt(text, pkcs7="pkcs7_padding" in failures)
        if "broken_seal" in failures:
            enc = f"*{enc[1:]}"
        return encode({"data" if "data_key" in failures else "enc": enc})


def decode(raw: bytes) -> dict[str, object]:
    """Return the first JSON object of a request; ignore what follows it."""
    text = raw.decode().strip("\0\r\n\t ")
    request, _ = json.JSONDecoder(strict=False).raw_decode(text)
    if not isinstance(request, dict):
        raise ValueError(text)  # noqa: TRY004 - all that is not a request is one error
    return request


def numbered_mac(mac: str, seed: int) -> str:
    """Return the profile's own MAC for seed 1, and others for other seeds."""
    number = (int(mac.replace(":", ""), 16) & ~0xFFFF) | (
        (int(mac[-5:].replace(":", ""), 16) + seed - 1) & 0xFFFF
    )
    return ":".join(f"{number:012X}"[i : i + 2] for i in range(0, 12, 2))

"""The simulated miner: a machine, its dialect, its passwords and its socket."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
import json
from random import Random
import time as clocks
from types import TracebackType
from typing import Self

from .auth import BadBase64, BadKey, Envelope, TokenTable, new_salt
from .commands import Ignored, Refused, Write, write_of
from .dialect import TEXTS, Dialect
from .dialect_v1 import DialectV1
from .dialect_v2 import DialectV2, DialectV204
from .dialect_v2c import DialectV2c
from .faults import Faults, spoil
from .machine import Machine
from .profiles import PROFILES, Profile
from .server import Listener, Reply
from .timing import SimTime, Timing
from .truth import Phase, Truth
from .wire import encode

DIALECTS: dict[str, type[Dialect]] = {
    "v1": DialectV1,
    "v204": DialectV204,
    "v205": DialectV2,
    "v2c": DialectV2c,
}
COMMANDS_KEPT = 1000
TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Received:
    """One command that came in, opened if it was sealed; `at` is what the clock read."""

    name: str
    params: dict[str, object]
    encrypted: bool
    at: float


class SimulatedMiner:
    """A WhatsMiner on a socket of this computer."""

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
    ) -> None:
        """Build it; miners with the same profile need different seeds to have different MACs."""
        if profile not in PROFILES:
            raise ValueError(
                f"Unknown profile {profile!r}; known are {', '.join(PROFILES)}"
            )
        self.profile: Profile = PROFILES[profile]
        timing = timing or self.profile.timing
        clock = clock or clocks.monotonic
        self.api_switch = api_switch
        self.mac = (mac or numbered_mac(self.profile.mac, seed)).upper()
        self.refuse = dict(refuse or {})
        self.commands: deque[Received] = deque(maxlen=COMMANDS_KEPT)
        self.faults = Faults()
        self.time = SimTime(clock, speed, clocks.time() if epoch is None else epoch)
        self._machine = Machine(self.profile, seed=seed, state=state, timing=timing)
        self._random = Random(seed)
        self._tokens = TokenTable(
            clock,
            limit=timing.token_limit,
            per_ip=timing.token_limit_per_ip,
            life_s=timing.token_life_s,
            busy_s=timing.busy_s,
        )
        self._listener = Listener(host, port, timing, self._answer)
        ip = "192.168.2.16" if host in ("", "0.0.0.0", "::") else host
        self._dialect = DIALECTS[self.profile.dialect](
            self._machine, self.time, self.mac, ip
        )
        self._reboots = self._machine.reboots
        self._ticking: asyncio.Task[None] | None = None
        self.set_password(password)

    # Life

    async def start(self) -> None:
        """Listen, and let time pass."""
        await self._listener.open()
        await self.tick()
        self._ticking = asyncio.create_task(self._tick_on())

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._ticking:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None
        await self._listener.stop()

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
        """Bring machine and port in line with the time: a rebooting board has no port."""
        self._advance()
        if self._reachable and not self._listener.is_open:
            # Somebody may have taken the port meanwhile; the next tick tries again
            with suppress(OSError):
                await self._listener.open()

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.tick()

    @property
    def _reachable(self) -> bool:
        return self._machine.phase is not Phase.OFF_BOARD and not self.faults.refusing

    def _advance(self) -> None:
        self._machine.advance(self.time.now)
        if self._machine.reboots != self._reboots:
            self._reboots = self._machine.reboots
            self._tokens.forget()
            self._listener.drop()
        if not self._reachable:
            self._listener.shut()

    # What a test wants to know

    @property
    def machine(self) -> Machine:
        """The machine behind it, as it is now."""
        self._advance()
        return self._machine

    @property
    def host(self) -> str:
        """Address of the port."""
        return self._listener.host

    @property
    def port(self) -> int:
        """Number of the port, known once it has started."""
        return self._listener.port

    @property
    def open_connections(self) -> int:
        """Connections at this moment."""
        return self._listener.connections

    @property
    def most_open_connections(self) -> int:
        """The most connections there were at one moment."""
        return self._listener.most_connections

    @property
    def tokens_issued(self) -> int:
        """How many tokens were given out."""
        return self._tokens.issued

    def truth(self) -> Truth:
        """Return what is true now, as the wire would tell it now."""
        self._advance()
        return self._dialect.truth()

    # What a test wants to change

    def set_password(self, password: str) -> None:
        """Change the admin password: salt and key change, tokens are gone (section B.5)."""
        self._envelope = Envelope(password, new_salt(self._random))
        self._tokens.forget()

    def forget_tokens(self) -> None:
        """Make every token worthless."""
        self._tokens.forget()

    def fill_token_table(self) -> None:
        """Leave no token for anybody."""
        self._tokens.fill()

    def set_errors(self, codes: list[int]) -> None:
        """List these errors, those that are new since now."""
        errors = self.machine.errors
        self._machine.errors = {code: errors.get(code, self.time.now) for code in codes}

    def set_board_count(self, count: int) -> None:
        """Let boards disappear, or come back."""
        self.machine.set_board_count(count)

    def inject(
        self, fault: str, command: str | None = None, times: int | None = None
    ) -> None:
        """Do something wrong from now on: for one command or all, for ever or some times."""
        self.faults.inject(fault, command, times)
        self._advance()

    def clear_faults(self) -> None:
        """Be well again; a port that was refused opens with the next tick."""
        self.faults.clear()

    # Requests

    def _answer(self, raw: bytes, ip: str) -> Reply:
        """Answer one request: plain, sealed, or nothing that can be read (section B.6)."""
        self._advance()
        try:
            request = decode(raw)
        except ValueError, RecursionError:
            return self._plain("", self._dialect.error(23, "json cmd err"))
        if "enc" in request:
            return self._sealed(request, ip)
        key = "cmd" if "cmd" in request else "command"
        name = request.pop(key, None)
        if (
            not isinstance(name, str)
            or not name
            or ("+" in name and self._wants_command(key))
        ):
            return self._text("", self._dialect.missing_command())
        self._remember(name, request, encrypted=False)
        if name in self.refuse:
            return self._plain(name, self._refusal(name))
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

    def _sealed(self, outer: dict[str, object], ip: str) -> Reply:
        try:
            request = self._envelope.decrypt(outer.get("data"))
        except BadBase64:
            return self._plain("", self._dialect.error(137))
        except BadKey:
            return self._plain("", self._dialect.error(23))
        name, token = str(request.pop("cmd", "")), request.pop("token", None)
        self._remember(name, request, encrypted=True)
        write = write_of(self.profile, name)
        if name in self.refuse:
            return self._seal(name, encode(self._refusal(name)))
        if write and not self.api_switch:
            return self._plain(name, self._dialect.error(45))
        if token is None:
            return self._seal(name, encode(self._dialect.error(135, "json token err")))
        if not self._tokens.knows(ip, token):
            return self._seal(name, encode(self._dialect.error(135)))
        if write:
            return self._write(name, write, request)
        return self._seal(name, self._dialect.answer(name, request))

    def _write(self, name: str, write: Write, params: dict[str, object]) -> Reply:
        """Let a command take effect, and acknowledge it, unless the firmware never does."""
        faults = self.faults.take(name)
        if faults & {"silent", "close", "reset"}:
            return Reply(b"", faults)
        try:
            if "answered_not_applied" not in faults:
                write.effect(self._machine, params)
                if name == "power_off" and "undone" in faults:
                    self._machine.undo_power_off()
        except Refused:
            return self._finish(encode(self._dialect.error(132)), faults, sealed=True)
        except Ignored:
            pass
        else:
            too_late = name == "power_off" and params.get("respbefore") == "false"
            if (
                "applied_no_answer" in faults
                or name in self.profile.unanswered
                or too_late
            ):
                return Reply(b"", faults)
        return self._finish(
            encode(self._dialect.btminer(TEXTS[131])), faults, sealed=True
        )

    def _refusal(self, name: str) -> dict[str, object]:
        return self._dialect.error(self.refuse[name])

    def _remember(
        self, name: str, params: Mapping[str, object], *, encrypted: bool
    ) -> None:
        self.commands.append(Received(name, dict(params), encrypted, self.time.clock()))

    def _plain(self, name: str, row: dict[str, object]) -> Reply:
        return self._text(name, encode(row))

    def _text(self, name: str, text: str) -> Reply:
        return self._finish(text, self.faults.take(name), sealed=False)

    def _seal(self, name: str, text: str) -> Reply:
        return self._finish(text, self.faults.take(name), sealed=True)

    def _finish(self, text: str, faults: frozenset[str], *, sealed: bool) -> Reply:
        """Make bytes of an answer, with the defects that were asked for."""
        if faults & {"silent", "close", "reset"}:
            return Reply(b"", faults)
        text = spoil(text, faults)
        if sealed:
            text = encode({"enc": self._envelope.encrypt(text)})
        end = b"" if text.endswith("\n") else self.profile.terminator
        if "nul" in faults:
            end = b"\0"
        if "newline" in faults:
            end = b"\n"
        return Reply(text.encode() + end, faults)


def decode(raw: bytes) -> dict[str, object]:
    """Read the first JSON object of a request, and ignore what follows it."""
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

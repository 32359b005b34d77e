"""API v3: from a request to its answer (protocol.md#e2 to protocol.md#e6)."""

from collections.abc import Mapping
from dataclasses import replace
import json
from typing import Protocol

from .auth_v3 import Accounts, token
from .binary import log_to_send, reported_length
from .commands_v3 import WRITES, Request, Session, Write
from .dialect_v3 import DialectV3, Failed, invalid, missing, not_permitted
from .failures import Failures, error_of, refused, spoil
from .server import GARBAGE, Reply, huge_answer
from .server_v3 import HEARTBEAT, frame
from .wire import encode

LOG = "get.log.download"
OK = "ok"
REFUSALS = {
    -1: "failed",
    -2: "invalid cmd",
    -3: "param item is null",
    -4: "no permission for write command",
    -5: "out of memory",
}
WRONG_TOKEN = {-2: "invalid token", -4: REFUSALS[-4]}


class Host(Protocol):
    """What API v3 needs from the miner."""

    api_switch: bool
    refuse: dict[str, int]
    failures: Failures
    ts_tolerance_s: float | None
    applied: list[str]

    def remember_v3(self, name: str, params: Mapping[str, object]) -> None:
        """Record a command that was received."""
        ...

    def install(self, name: str, data: bytes, failures: frozenset[str]) -> bool:
        """Install an image; return whether it was accepted."""
        ...


class ApiV3:
    """Answers the requests of API v3."""

    def __init__(self, host: Host, dialect: DialectV3, accounts: Accounts) -> None:
        """Answer for one miner."""
        self._host = host
        self.dialect = dialect
        self.accounts = accounts

    def answer(self, body: bytes, session: Session) -> Reply:
        """Return the reply to one request; an empty request is a heartbeat."""
        if not body:
            echoes = self._host.failures.has("heartbeat_answered")
            return Reply(HEARTBEAT if echoes else b"")
        try:
            request = json.loads(body.decode("ascii"))
        except ValueError, RecursionError:
            request = None
        if not isinstance(request, dict):
            return self._reply("", -3, "json error")
        cmd = request.get("cmd")
        if not isinstance(cmd, str):
            return self._reply("", -3, "cmd item is null")
        sent = {
            key: value for key, value in request.items() if key not in ("cmd", "token")
        }
        self._host.remember_v3(cmd, sent)
        param = request.get("param")
        words = dict(REFUSALS)
        if cmd not in self._host.refuse:
            words[-2] = invalid(param).msg
        if code := refused(self._host.refuse, cmd, param):
            return self._reply(cmd, code, words.get(code, words[-1]))
        if cmd == LOG:
            return self._download()
        try:
            if read := self.dialect.READS.get(cmd):
                return self._reply(cmd, 0, read(self.dialect, request.get("param")))
            write = WRITES.get(cmd)
            if write and self.dialect.firmware.since(write.since):
                authorized = self._authorized(cmd, request, session)
                return self._write(cmd, write, authorized)
        except Failed as err:
            return self._reply(cmd, err.code, err.msg)
        return self._reply(cmd, -2, REFUSALS[-2])

    def _authorized(
        self, cmd: str, request: Mapping[str, object], session: Session
    ) -> Request:
        """Check API switch, token and permission, in this order (not documented); return the request."""
        if not self._host.api_switch:
            raise not_permitted()
        account, ts, sign = (request.get(key) for key in ("account", "ts", "token"))
        if type(ts) is not int:
            raise missing("ts")
        if not isinstance(sign, str):
            raise missing("token")
        if not isinstance(account, str):
            raise missing("account")
        secret = self.accounts.secret(account, cmd, ts)
        tolerance = self._host.ts_tolerance_s
        fresh = tolerance is None or abs(ts - self.dialect.when) <= tolerance
        if secret is None or sign != token(secret) or not fresh:
            code = self.dialect.firmware.wrong_token_code
            raise Failed(code, WRONG_TOKEN[code])
        if not self.accounts.may(account, cmd):
            raise not_permitted()
        return Request(request.get("param"), account, secret, session, self.dialect)

    def _write(self, cmd: str, write: Write, request: Request) -> Reply:
        """Apply a command; return its acknowledgement."""
        failures = self._host.failures.take(cmd)
        if failures & {"silent", "close", "reset"}:
            return Reply(b"", failures)
        if error_of(failures, v3=True) is not None:
            return self._finish(cmd, 0, OK, failures)
        try:
            if write.uploads:
                return self._upload(cmd, failures)
            if "answered_not_applied" not in failures:
                write.apply(request)
                self._host.applied.append(cmd)
                if "undone" in failures and request.param == "stop":
                    request.machine.undo_power_off(held=True)
        except Failed as err:
            return self._finish(cmd, err.code, err.msg, failures)
        if "applied_no_answer" in failures:
            return Reply(b"", failures)
        return self._finish(cmd, 0, OK, failures)

    def _download(self) -> Reply:
        """Return the length of the log, followed by the log."""
        failures = self._host.failures.take(LOG)
        log = self.dialect.v2c.log()
        reply = self._finish(
            LOG, 0, {"logsize": reported_length(log, failures)}, failures
        )
        if not reply.data or error_of(failures, v3=True) is not None:
            return reply
        return replace(reply, after=log_to_send(log, failures))

    def _upload(self, cmd: str, failures: frozenset[str]) -> Reply:
        """Return a reply that requests an image, and a second reply for when it has arrived."""

        def final(image: bytes) -> Reply:
            taken = self._host.install(cmd, image, failures)
            if failures & {"no_final_answer", "applied_no_answer"}:
                return Reply(b"")
            code, msg = (0, OK) if taken else (-1, REFUSALS[-1])
            return Reply(frame(self._text(cmd, code, msg)))

        return replace(self._finish(cmd, 0, "ready", failures), upload=final)

    def _reply(self, cmd: str, code: int, msg: object) -> Reply:
        return self._finish(cmd, code, msg, self._host.failures.take(cmd))

    def _finish(
        self, cmd: str, code: int, msg: object, failures: frozenset[str]
    ) -> Reply:
        """Return an answer as a frame, with the injected failures applied."""
        if failures & {"silent", "close", "reset"}:
            return Reply(b"", failures)
        if (error := error_of(failures, v3=True)) is not None:
            code, msg = error, REFUSALS.get(error, REFUSALS[-1])
        named = "get.miner.history" if "other_answer" in failures else cmd
        text = spoil(self._text(named, code, msg), failures)
        text += "\0" * ("nul" in failures) + "\n" * ("newline" in failures)
        data = frame(text)
        if "garbage" in failures:
            data = frame(GARBAGE)
        if "huge_answer" in failures:
            data = frame(huge_answer())
        if "no_answer_frame" in failures:
            data = HEARTBEAT
        before = frame(self.report()) if "report_between" in failures else b""
        if "heartbeat_between" in failures:
            before += HEARTBEAT
        return Reply(data, failures, before)

    def _text(self, cmd: str, code: int, msg: object) -> str:
        return encode(
            {"code": code, "when": self.dialect.when, "msg": msg, "desc": cmd}
        )

    def report(self) -> str:
        """Return an unsolicited status report."""
        return self._text("get.miner.report", 0, self.dialect.report())

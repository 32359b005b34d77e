"""Sockets with deadlines: one exchange on TCP 4028 (protocol.md#a1), a kept link on TCP 4433 (protocol.md#e1)."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
import contextlib
from functools import lru_cache
import json
import logging
import os
import socket
from typing import Any

from .errors import (
    CannotConnectError,
    InvalidAnswerError,
    InvalidValueError,
    NoAnswerError,
)
from .parse import PADDING, JsonObject, is_complete, parse_answer, split_answer

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0
SILENCE_AFTER_ANSWER = 0.5
"""A whole object and this much silence is an answer too: some miners do not close."""
TRANSFER_TIMEOUT = 600.0
"""Seconds for a whole log or firmware image; no piece of it takes longer than an answer."""
INSTALL_TIMEOUT = 300.0
"""Seconds from the last byte of a firmware image to the answer (protocol.md#d6)."""
MAX_ANSWER = 1 << 18
"""Bytes; the longest that is known has some thousand, and parsing blocks the event loop."""
_CHUNK = 1 << 16
_LENGTH = 4
_GZIP = b"\x1f\x8b"
_TERMINATORS = b"\0\r\n"
_CLOSES_WITHIN = 1.0
"""Seconds; a connection that ends later after an answer was closed for another reason."""
_MANY = 16
"""So many terminators are not the end of an answer but what follows it."""


def _encode(request: JsonObject) -> bytes:
    """A request as it is sent: old firmware reads it to the byte."""
    return _ENCODER.encode(request).encode()


_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Line:
    """A connection to the miner: sends bytes, and receives until there are enough.

    Callbacks of the event loop collect the bytes and wake the task once: `asyncio.Protocol` took
    1.5 to 2.3 times the CPU (docs/performance.md). Not to be used by two tasks at the same time.
    """

    _timer: asyncio.TimerHandle

    def __init__(self, sock: socket.socket) -> None:
        """Take over a socket; `connect` comes first."""
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._sock = sock
        self._listens = False
        self._waiting: asyncio.Future[None] | None = None
        self._is_complete: Callable[[bytes], bool] = bool
        self._silence = 0.0
        self._end = 0.0
        self.buffer = b""
        """Received bytes; the caller removes what it has used."""

    async def connect(self, address: tuple[Any, ...]) -> None:
        """Connect in time. Raises OSError."""
        try:
            self._sock.connect(address)
        except BlockingIOError, InterruptedError:
            self._loop.add_writer(self._sock, self._finish)
            try:
                await self._wait(CONNECT_TIMEOUT)
            finally:
                self._loop.remove_writer(self._sock)
            if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None

    async def send(self, data: bytes) -> None:
        """Send bytes; the kernel nearly always takes all of them. Raises OSError."""
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._loop.sock_sendall(self._sock, data[sent:])

    async def receive(
        self,
        is_complete: Callable[[bytes], bool],
        *,
        seconds: float | None = None,
        silence: float = 0.0,
    ) -> None:
        """Wait until enough was received, followed by that much silence, or for the end.

        Raises OSError, TimeoutError among them, and InvalidAnswerError when it is too much; what
        was received until then is kept.
        """
        if is_complete(self.buffer):
            return
        self._is_complete = is_complete
        self._silence = silence
        if not self._listens:
            self._loop.add_reader(self._sock, self._on_readable)
            self._listens = True
        await self._wait(ANSWER_TIMEOUT if seconds is None else seconds)

    @property
    def is_open(self) -> bool:
        """Return whether this end has not closed the connection."""
        return self._sock.fileno() != -1

    @property
    def has_ended(self) -> bool:
        """Return whether the miner has closed the connection; unread bytes stay there."""
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close the connection without waiting for the miner."""
        self._stop_reading()
        self._sock.close()

    def _stop_reading(self) -> None:
        if self._listens:
            self._loop.remove_reader(self._sock)
            self._listens = False

    async def _wait(self, seconds: float) -> None:
        """Wait for a callback to finish."""
        self._end = self._loop.time() + seconds
        self._waiting = self._loop.create_future()
        self._timer = self._loop.call_at(self._end, self._on_timeout)
        try:
            await self._waiting
        finally:
            self._timer.cancel()
            self._waiting = None

    def _finish(self, error: Exception | None = None) -> None:
        if self._waiting and not self._waiting.done():
            if error:
                self._waiting.set_exception(error)
            else:
                self._waiting.set_result(None)

    def _on_readable(self) -> None:
        """Collect received bytes."""
        if self._waiting is None or self._waiting.done():
            self._stop_reading()  # the kernel keeps it, and bounds it, until the next receive
            return
        try:
            while chunk := self._sock.recv(_CHUNK):
                self.buffer += chunk
                if not self._silence and self._is_complete(self.buffer):
                    break
                if len(self.buffer) > _LENGTH + MAX_ANSWER:
                    self._finish(InvalidAnswerError(f"more than {MAX_ANSWER} bytes"))
                    return
        except BlockingIOError:
            if self._silence:
                self._timer.cancel()
                until = min(self._end, self._loop.time() + self._silence)
                self._timer = self._loop.call_at(until, self._on_timeout)
        except ConnectionResetError as err:
            # A reset may follow a whole answer.
            self._finish(None if self._is_complete(self.buffer) else err)
        except (OSError, InvalidAnswerError) as err:
            self._finish(err)
        else:
            self._finish()

    def _on_timeout(self) -> None:
        """End the wait, or continue it to the deadline."""
        if self._is_complete(self.buffer):
            self._finish()
        elif self._loop.time() < self._end:
            self._timer = self._loop.call_at(self._end, self._on_timeout)
        else:
            self._finish(TimeoutError())


async def dial(host: str, port: int) -> Line:
    """Open a connection, or raise CannotConnectError."""
    try:
        if family := _family_of(host):
            return await _reach(family, (host, port))
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await _reach_by_name(host, port)
    # TimeoutError is an OSError, a port that cannot be is an OverflowError
    except (OSError, OverflowError, ValueError) as err:
        raise CannotConnectError(f"no connection to port {port}") from err


@lru_cache
def _family_of(host: str) -> socket.AddressFamily | None:
    """Of which kind an address is; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family
    return None


async def _reach_by_name(host: str, port: int) -> Line:
    """Connect to the first address of a name that can be reached; each has its share of time."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, _, _, _, address in found:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(CONNECT_TIMEOUT / len(found)):
                return await _reach(family, address)
    raise OSError("no address of the name can be reached")


async def _reach(family: int, address: tuple[Any, ...]) -> Line:
    """Connect to one address."""
    line = Line(socket.socket(family, socket.SOCK_STREAM))
    try:
        await line.connect(address)
    except BaseException:
        line.close()
        raise
    return line


async def exchange(host: str, port: int, request: JsonObject) -> bytes:
    """Send one request and read to the end of the answer.

    Raises CannotConnectError before anything was sent, NoAnswerError after it,
    InvalidAnswerError for an answer without end.
    """
    line = await dial(host, port)
    try:
        await line.send(_encode(request))
        await line.receive(is_complete, silence=SILENCE_AFTER_ANSWER)
    except OSError as err:
        raise NoAnswerError("connection lost or no answer in time") from err
    finally:
        line.close()
    if not line.buffer.strip(PADDING):
        raise NoAnswerError("connection closed without an answer")
    _LOGGER.debug("%s bytes from port %s", len(line.buffer), port)
    return line.buffer


class Transfer:
    """The raw bytes that follow an answer on the same connection: a log, or an image (protocol.md#d6, #d7)."""

    def __init__(self, line: Line) -> None:
        """Continue on a connection; the caller closes it."""
        self._line = line

    async def answer(self, seconds: float) -> JsonObject:
        """Read one object of 4028, and leave what follows it for `receive`."""
        try:
            await self._line.receive(
                lambda received: split_answer(received) is not None, seconds=seconds
            )
        except OSError as err:
            raise NoAnswerError("connection lost or no answer in time") from err
        received = self._line.buffer
        if not received.strip(_TERMINATORS):
            raise NoAnswerError("connection closed without an answer")
        raw, self._line.buffer = split_answer(received) or (received, b"")
        return parse_answer(raw)

    async def frame(self, command: str, seconds: float) -> JsonObject:
        """Read the answer of 4433 to a command (protocol.md#e6)."""
        return await _receive_frame(self._line, command, seconds)

    async def receive(
        self, size: int, write: Callable[[bytes], Awaitable[object]]
    ) -> None:
        """Hand exactly so many bytes to `write`.

        Raises NoAnswerError when they do not all come in time, and whatever `write` raises.
        """
        received = 0
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT) as patience:
                while received < size:
                    chunk = await self._read() if received else await self._read_first()
                    chunk = chunk[: size - received]
                    if not chunk:
                        raise NoAnswerError(f"only {received} of {size} bytes came")
                    received += len(chunk)
                    await write(chunk)
        except TimeoutError as err:
            if not patience.expired():
                raise
            raise NoAnswerError(f"only {received} of {size} bytes in time") from err

    async def _read(self) -> bytes:
        """The next bytes; none at the end."""
        try:
            await self._line.receive(bool)
        except OSError as err:
            raise NoAnswerError("connection lost or no bytes in time") from err
        chunk, self._line.buffer = self._line.buffer, b""
        return chunk

    async def _read_first(self) -> bytes:
        """The first bytes, without what some miners end an answer with (protocol.md#a1)."""
        chunk = await self._read()
        while 0 < len(chunk) < _MANY and not chunk.lstrip(_TERMINATORS)[1:]:
            more = await self._read()
            if not more:
                break
            chunk += more
        bare = chunk.lstrip(_TERMINATORS)
        return bare if bare.startswith(_GZIP) else chunk

    async def send(
        self,
        image: AsyncIterable[bytes],
        size: int,
        progress: Callable[[int], object] | None,
    ) -> None:
        """Send the size in four bytes, and the image.

        Raises NoAnswerError when the miner does not take it in time, ValueError when the image
        has not that size, and whatever comes out of it.
        """
        sent = 0
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT) as patience:
                await self._write(size.to_bytes(_LENGTH, "little"))
                async for piece in image:
                    if sent + len(piece) > size:
                        raise InvalidValueError("image_changed", size=size)
                    for start in range(0, len(piece), _CHUNK):
                        chunk = piece[start : start + _CHUNK]
                        await self._write(chunk)
                        sent += len(chunk)
                        if progress:
                            progress(sent)
        except TimeoutError as err:
            if not patience.expired():
                raise
            raise NoAnswerError(f"only {sent} of {size} bytes in time") from err
        if sent != size:
            raise InvalidValueError("image_changed", size=size)

    async def _write(self, data: bytes) -> None:
        """Send bytes once there is room for them."""
        try:
            await self._line.send(data)
        except OSError as err:
            raise NoAnswerError("connection lost, or nothing is taken") from err


@contextlib.asynccontextmanager
async def begin_transfer(
    host: str, port: int, request: JsonObject
) -> AsyncIterator[Transfer]:
    """Send one request to 4028 and continue on the connection; close it in the end."""
    line = await dial(host, port)
    try:
        try:
            await line.send(_encode(request))
        except OSError as err:
            raise NoAnswerError("connection lost") from err
        yield Transfer(line)
    finally:
        line.close()


def _cut_frame(received: bytes) -> tuple[bytes, bytes] | None:
    """The first frame without its length, and what follows it; None while it is not whole.

    A heartbeat has no length (protocol.md#e1).
    """
    length = int.from_bytes(received[:_LENGTH], "little")
    if length > MAX_ANSWER:
        raise InvalidAnswerError(f"frame of {length} bytes")
    end = _LENGTH + length
    return None if len(received) < end else (received[_LENGTH:end], received[end:])


async def _receive_frame(line: Line, command: str, seconds: float) -> JsonObject:
    """Read frames up to the answer to a command; whatever else comes in between is skipped.

    Raises NoAnswerError and InvalidAnswerError.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        # An answer that is there counts, even when the event loop was held up past the end.
        while (left := end - loop.time()) > 0 or _has_frame(line.buffer):
            await line.receive(_has_frame, seconds=left)
            if (frame := _cut_frame(line.buffer)) is None:
                raise NoAnswerError("connection closed without an answer")
            body, line.buffer = frame
            answer = parse_answer(body) if body else {}
            # An answer names its command; what names none can be nothing else.
            if answer and answer.get("desc") in (command, "", None):
                return answer
            await asyncio.sleep(0)  # there may be thousands
    except OSError as err:
        raise NoAnswerError("connection lost or no answer in time") from err
    raise NoAnswerError("no answer in time")


def _has_frame(received: bytes) -> bool:
    """Whether one frame at least is whole."""
    return _cut_frame(received) is not None


class Link:
    """A connection to TCP 4433 that is kept: frames of a length and as many bytes of JSON (protocol.md#e1).

    Not to be used by two tasks at the same time; the miner's lock prevents that.
    """

    def __init__(self, host: str, port: int) -> None:
        """Store the address; the first request opens the connection."""
        self.host = host
        self.port = port
        self._line: Line | None = None
        self._ended = False
        self._answers = 0
        self._answered_at = 0.0
        self._is_kept = True
        """False once the miner has closed a connection right after its first answer."""
        self.opened = 0
        """Number of connections so far; each may lead to another miner."""

    @property
    def is_open(self) -> bool:
        """Return whether an earlier request has left a connection that is not closed."""
        if self._line and self._line.has_ended:
            self._note_end()
            self.close()
        return self._line is not None

    @property
    def is_kept(self) -> bool:
        """Return whether a connection serves more than one request."""
        return self._is_kept

    def _note_end(self) -> None:
        """Note whether the miner closes a connection after each answer, as some do."""
        if self._line is None or not self._line.has_ended:
            return
        passed = asyncio.get_running_loop().time() - self._answered_at
        if self._answers == 1 and passed < _CLOSES_WITHIN:
            self._is_kept = False

    async def request(self, request: JsonObject, *, keep: bool = False) -> JsonObject:
        """Send one request and read its answer; whatever else comes in between is skipped.

        `keep` leaves the connection open for what follows this answer.

        Raises CannotConnectError before anything was sent, NoAnswerError and InvalidAnswerError
        after it. After an error the connection is closed, since it would be out of step.
        """
        if self._ended:
            raise CannotConnectError("this link was ended")
        # A connection that the miner has closed takes no request: nothing was sent yet.
        if not self.is_open:
            self._line = await dial(self.host, self.port)
            self._answers = 0
            self.opened += 1
        assert self._line
        body = _encode(request)
        try:
            await self._line.send(len(body).to_bytes(_LENGTH, "little") + body)
            answer = await _receive_frame(self._line, request["cmd"], ANSWER_TIMEOUT)
        except OSError as err:
            self._note_end()
            self.close()
            raise NoAnswerError("connection lost") from err
        except BaseException as err:
            if isinstance(err, NoAnswerError):
                self._note_end()
            self.close()
            raise
        self._answers += 1
        self._answered_at = asyncio.get_running_loop().time()
        if not self._is_kept and not keep:
            self.close()
        return answer

    def transfer(self) -> Transfer:
        """Continue with raw bytes after an answer; close the link when they end."""
        if self._line is None:
            raise NoAnswerError("the connection is closed")
        return Transfer(self._line)

    def end(self) -> None:
        """Close for good: later requests find no connection."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._line:
            self._line.close()
            self._line = None

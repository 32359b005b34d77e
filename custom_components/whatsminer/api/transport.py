"""Sockets, within deadlines: one exchange on TCP 4028 (A.1), and a kept link on TCP 4433 (E.1)."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
import contextlib
import json
import logging
import socket
from typing import Any

from .errors import CannotConnectError, InvalidAnswerError, NoAnswerError
from .parse import JsonObject, is_complete, parse_answer, split_answer

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0
SILENCE_AFTER_ANSWER = 0.5
"""A whole object and this much silence is an answer too: some miners do not close."""
TRANSFER_TIMEOUT = 600.0
"""Seconds for a whole log or firmware image; no piece of it takes longer than an answer."""
INSTALL_TIMEOUT = 300.0
"""Seconds from the last byte of a firmware image to the answer (D.6)."""
MAX_ANSWER = 1 << 18
"""Bytes; the longest that is known has some thousand, and parsing blocks the event loop."""
_CHUNK = 1 << 16
_LENGTH = 4
_GZIP = b"\x1f\x8b"
_TERMINATORS = b"\0\r\n"


async def dial(host: str, port: int) -> socket.socket:
    """Open a connection, or raise CannotConnectError."""
    loop = asyncio.get_running_loop()
    error = OSError("the name has no address")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if family := _family_of(host):
                return await _reach(family, (host, port))
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for named, _, _, _, address in found:
                try:
                    return await _reach(named, address)
                except OSError as err:
                    error = err
            raise error
    # TimeoutError is an OSError, a port that cannot be is an OverflowError
    except (OSError, OverflowError, ValueError) as err:
        raise CannotConnectError(f"no connection to port {port}") from err


def _family_of(host: str) -> socket.AddressFamily | None:
    """Of which kind an address is; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family
    return None


async def _reach(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Connect to one address."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(
    host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection on which more than one answer comes."""
    sock = await dial(host, port)
    try:
        return await asyncio.open_connection(sock=sock)
    except BaseException:
        sock.close()
        raise


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection on which nothing is left to be said, without waiting for the miner."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _encode(request: JsonObject) -> bytes:
    """A request as it is sent: old firmware reads it to the byte."""
    return _ENCODER.encode(request).encode()


_ENCODER = json.JSONEncoder(separators=(",", ":"))


async def exchange(host: str, port: int, request: JsonObject) -> bytes:
    """Send one request and read to the end of the answer.

    On a bare socket: this is what is done most, and streams would take twice the CPU.
    Raises CannotConnectError before anything was sent, NoAnswerError after it,
    InvalidAnswerError for an answer without end.
    """
    sock = await dial(host, port)
    try:
        sock.sendall(_encode(request))  # the kernel takes so little at once
        answer = await _read_answer(sock)
    except OSError as err:
        raise NoAnswerError("connection lost or no answer in time") from err
    finally:
        sock.close()
    if not answer.strip(b"\0 \t\r\n"):
        raise NoAnswerError("connection closed without an answer")
    _LOGGER.debug("%s bytes from port %s", len(answer), port)
    return answer


async def _read_answer(sock: socket.socket) -> bytes:
    """Read until the miner closes, or is silent after a whole answer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + ANSWER_TIMEOUT
    answer = b""
    while (left := end - loop.time()) > 0:
        try:
            chunk = sock.recv(_CHUNK)
        except BlockingIOError:
            patience = min(left, SILENCE_AFTER_ANSWER) if answer else left
            if not await _readable(sock, patience) and is_complete(answer):
                return answer
            continue
        except ConnectionResetError:
            # It ends a whole answer, and nothing but that.
            if is_complete(answer):
                return answer
            raise
        if not chunk:
            return answer
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise InvalidAnswerError(f"answer longer than {MAX_ANSWER} bytes")
    raise TimeoutError


async def _readable(sock: socket.socket, seconds: float) -> bool:
    """Wait for bytes without taking them: a wait that ends as they come must not lose them."""
    loop = asyncio.get_running_loop()
    come: asyncio.Future[bool] = loop.create_future()

    def end(is_readable: bool) -> None:
        if not come.done():
            come.set_result(is_readable)

    timer = loop.call_later(seconds, end, False)
    loop.add_reader(sock, end, True)
    try:
        return await come
    finally:
        timer.cancel()
        loop.remove_reader(sock)


class Transfer:
    """The raw bytes that follow an answer on the same connection: a log, or an image (D.6, D.7)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Go on with a connection; whoever opened it closes it."""
        self._reader = reader
        self._writer = writer
        self._rest = b""

    async def answer(self, seconds: float) -> JsonObject:
        """Read one object of 4028, and leave what follows it for `receive`."""
        raw = b""
        try:
            async with asyncio.timeout(seconds):
                while (parts := split_answer(raw)) is None:
                    chunk = await self._reader.read(_CHUNK)
                    raw += chunk
                    if not chunk or len(raw) > MAX_ANSWER:
                        break
        except OSError as err:
            raise NoAnswerError("connection lost or no answer in time") from err
        if not raw.strip(_TERMINATORS):
            raise NoAnswerError("connection closed without an answer")
        raw, self._rest = parts or (raw, b"")
        return parse_answer(raw)

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
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await self._reader.read(_CHUNK)
        except OSError as err:
            raise NoAnswerError("connection lost or no bytes in time") from err

    async def _read_first(self) -> bytes:
        """The first bytes, without what some miners end an answer with (A.1)."""
        chunk = await self._read()
        while chunk and not chunk.lstrip(_TERMINATORS)[1:]:
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
                        raise ValueError(f"the image is longer than {size} bytes")
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
            raise ValueError(f"the image has {sent} bytes, not {size}")

    async def _write(self, data: bytes) -> None:
        """Send bytes once there is room for them."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                self._writer.write(data)
                await self._writer.drain()
        except OSError as err:
            raise NoAnswerError("connection lost, or nothing is taken") from err


@contextlib.asynccontextmanager
async def begin_transfer(
    host: str, port: int, request: JsonObject
) -> AsyncIterator[Transfer]:
    """Send one request to 4028 and go on with the connection; close it in the end."""
    reader, writer = await _connect(host, port)
    try:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                writer.write(_encode(request))
                await writer.drain()
        except OSError as err:
            raise NoAnswerError("connection lost") from err
        yield Transfer(reader, writer)
    finally:
        await _hang_up(writer)


class Link:
    """A connection to TCP 4433 that is kept: frames of a length and as many bytes of JSON (E.1).

    Not to be used by two at once; the miner's lock sees to that.
    """

    def __init__(self, host: str, port: int) -> None:
        """Remember the address; the first request opens the connection."""
        self.host = host
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._ended = False
        self.opened = 0
        """How many connections there have been; who is at the other end may differ."""

    @property
    def is_open(self) -> bool:
        """Whether an earlier request has left a connection."""
        return self._streams is not None

    async def request(self, request: JsonObject) -> JsonObject:
        """Send one request and read its answer; whatever else comes in between is skipped.

        Raises CannotConnectError before anything was sent, NoAnswerError and InvalidAnswerError
        after it. After an error the connection is closed, since it would be out of step.
        """
        if self._ended:
            raise CannotConnectError("this link was ended")
        if self._streams is None:
            self._streams = await _connect(self.host, self.port)
            self.opened += 1
        _, writer = self._streams
        body = _encode(request)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                writer.write(len(body).to_bytes(_LENGTH, "little") + body)
                await writer.drain()
                return await self._read_answer(request["cmd"])
        except (OSError, EOFError) as err:
            await self.close()
            raise NoAnswerError("connection lost or no answer in time") from err
        except BaseException:
            await self.close()
            raise

    async def _read_answer(self, command: str) -> JsonObject:
        """Read frames up to the answer to a command."""
        assert self._streams
        while True:
            answer = await _read_frame(self._streams[0])
            # An answer names its command; what names none can be nothing else.
            if answer and answer.get("desc") in (command, "", None):
                return answer

    def transfer(self) -> Transfer:
        """Go on with raw bytes after the answer to a request; close the link when they end."""
        if self._streams is None:
            raise NoAnswerError("the connection is closed")
        return Transfer(*self._streams)

    async def last_answer(self, command: str, seconds: float) -> JsonObject:
        """The answer that comes when raw bytes have been sent (E.6)."""
        try:
            async with asyncio.timeout(seconds):
                return await self._read_answer(command)
        except (OSError, EOFError) as err:
            raise NoAnswerError("connection lost or no answer in time") from err

    async def end(self) -> None:
        """Hang up for good: whoever comes late finds no connection any more."""
        self._ended = True
        await self.close()

    async def close(self) -> None:
        """Hang up, if there is a connection."""
        if self._streams:
            _, writer = self._streams
            self._streams = None
            await _hang_up(writer)


async def _read_frame(reader: asyncio.StreamReader) -> JsonObject | None:
    """Read one frame; None for a heartbeat, which has no length."""
    length = int.from_bytes(await reader.readexactly(_LENGTH), "little")
    if length > MAX_ANSWER:
        raise InvalidAnswerError(f"frame of {length} bytes")
    return parse_answer(await reader.readexactly(length)) if length else None

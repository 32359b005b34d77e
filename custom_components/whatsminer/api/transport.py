"""Sockets, within deadlines: one exchange on TCP 4028 (A.1), and a kept link on TCP 4433 (E.1)."""

import asyncio
import contextlib
import json
import logging

from .errors import CannotConnectError, InvalidAnswerError, NoAnswerError
from .parse import JsonObject, is_complete, parse_answer

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0
SILENCE_AFTER_ANSWER = 0.5
"""A whole object and this much silence is an answer too: some miners do not close."""
MAX_ANSWER = 1 << 20
_CHUNK = 1 << 16
_LENGTH = 4


async def _connect(
    host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection, or raise CannotConnectError."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await asyncio.open_connection(host, port)
    # TimeoutError is an OSError, a port that cannot be is an OverflowError
    except (OSError, OverflowError, ValueError) as err:
        raise CannotConnectError(f"no connection to port {port}") from err


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection on which nothing is left to be said, without waiting for the miner."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def exchange(host: str, port: int, request: JsonObject) -> bytes:
    """Send one request and read to the end of the answer.

    Raises CannotConnectError before anything was sent, NoAnswerError after it,
    InvalidAnswerError for an answer without end.
    """
    reader, writer = await _connect(host, port)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            writer.write(json.dumps(request, separators=(",", ":")).encode())
            await writer.drain()
            answer = await _read_answer(reader)
    except OSError as err:
        raise NoAnswerError("connection lost or no answer in time") from err
    finally:
        await _hang_up(writer)
    if not answer.strip(b"\0 \t\r\n"):
        raise NoAnswerError("connection closed without an answer")
    _LOGGER.debug("%s bytes from port %s", len(answer), port)
    return answer


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read until the miner closes, or is silent after a whole answer."""
    answer = bytearray()
    while True:
        patience = SILENCE_AFTER_ANSWER if is_complete(bytes(answer)) else None
        try:
            async with asyncio.timeout(patience):
                chunk = await reader.read(_CHUNK)
        except TimeoutError, ConnectionResetError:
            # Silence or a reset ends a whole answer, and nothing but that.
            if patience is None:
                raise
            return bytes(answer)
        if not chunk:
            return bytes(answer)
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise InvalidAnswerError(f"answer longer than {MAX_ANSWER} bytes")


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
        reader, writer = self._streams
        body = json.dumps(request, separators=(",", ":")).encode()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                writer.write(len(body).to_bytes(_LENGTH, "little") + body)
                await writer.drain()
                while True:
                    answer = await _read_frame(reader)
                    # An answer names its command; what names none can be nothing else.
                    if answer and answer.get("desc") in (request["cmd"], "", None):
                        return answer
        except (OSError, EOFError) as err:
            await self.close()
            raise NoAnswerError("connection lost or no answer in time") from err
        except BaseException:
            await self.close()
            raise

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

"""One request, one answer, one connection on TCP 4028 (section A.1), within a deadline."""

import asyncio
import contextlib
import json
import logging

from .errors import CannotConnectError, InvalidAnswerError, NoAnswerError
from .parse import JsonObject, is_complete

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0
SILENCE_AFTER_ANSWER = 0.5
"""A whole object and this much silence is an answer too: some miners do not close."""
MAX_ANSWER = 1 << 20
_CHUNK = 1 << 16


async def exchange(host: str, port: int, request: JsonObject) -> bytes:
    """Send one request and read to the end of the answer.

    Raises CannotConnectError before anything was sent, NoAnswerError after it,
    InvalidAnswerError for an answer without end.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, ValueError) as err:  # TimeoutError is an OSError
        raise CannotConnectError(f"no connection to port {port}") from err
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            writer.write(json.dumps(request, separators=(",", ":")).encode())
            await writer.drain()
            answer = await _read_answer(reader)
    except OSError as err:
        raise NoAnswerError("connection lost or no answer in time") from err
    finally:
        # Nothing is left to be said in either direction, so do not wait for the miner.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
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
        except TimeoutError:
            # Both this patience and the deadline around it end here; only whole answers count.
            if patience is None:
                raise
            return bytes(answer)
        except ConnectionResetError:
            if patience is None:
                raise
            return bytes(answer)
        if not chunk:
            return bytes(answer)
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise InvalidAnswerError(f"answer longer than {MAX_ANSWER} bytes")

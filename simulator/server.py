"""The sockets, and port 4028: one request, one answer, one connection, and its failures (protocol.md#a1)."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
import socket
import struct

from .binary import LARGEST_IMAGE
from .timing import Timing

GARBAGE = bytes(range(128, 256)) * 2
HUGE = 10_000_000
LARGEST_REQUEST = 1 << 16
HALF_CLOSE_S = 0.05
FOR_EVER_S = 3600.0
HEADER = 4
BLOCK = 10240

# With these the answer has not come whole, and nothing follows it
BROKEN = frozenset(
    {"truncate", "stall_midway", "reset_midway", "garbage", "huge_answer"}
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, and how badly.

    On 4433 there may be frames before the answer. After it bytes may follow in either direction:
    `after` go to the client, and `upload` answers those that come from it.
    """

    data: bytes
    failures: frozenset[str] = frozenset()
    before: bytes = b""
    after: bytes = b""
    upload: Callable[[bytes], Reply] | None = None


def huge_answer() -> bytes:
    """Return an answer that is valid JSON, but far too long."""
    return b'{"STATUS":"%b"}' % (b"S" * HUGE)


def is_complete(request: bytes) -> bool:
    """Return whether the first JSON object is complete; other text counts as complete."""
    text = request.lstrip()
    if not text.startswith(b"{"):
        return bool(text)
    depth, quoted, escaped = 0, False, False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == ord("\\"):
            escaped = quoted
        elif letter == ord('"'):
            quoted = not quoted
        elif not quoted:
            depth += (letter == ord("{")) - (letter == ord("}"))
            if not depth:
                return True
    return False


class Board:
    """The response time of the control board; all ports of a miner share it."""

    def __init__(self, timing: Timing) -> None:
        """Start idle."""
        self._answer_s = timing.answer_s
        self._turn = asyncio.Lock() if timing.serial else None

    async def work(self) -> None:
        """Wait until an answer is ready."""
        if self._turn is None:
            if self._answer_s:
                await asyncio.sleep(self._answer_s)
        else:
            async with self._turn:
                await asyncio.sleep(self._answer_s)


class Listener(ABC):
    """One port; it can be closed and opened again while its miner reboots."""

    def __init__(self, host: str, port: int, timing: Timing) -> None:
        """Store host and port."""
        self.host = host
        self.port = port
        self.accepted = 0
        self.connections = 0
        self.most_connections = 0
        self.board = Board(timing)
        self._timing = timing
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether clients can connect."""
        return self._server is not None

    async def open(self) -> None:
        """Open the port; port 0 chooses a free port and keeps it."""
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
        except OSError as err:
            err.filename = f"{self.host}:{self.port}"
            raise
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse connections from now on."""
        if self._server:
            self._server.close()
            self._server = None

    def drop(self) -> None:
        """Cut all connections, except those that are sending an answer."""
        for task in self._tasks.keys() - self._answering:
            task.cancel()

    async def stop(self) -> None:
        """Close the port and all connections."""
        self.shut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # The transports close in the next turn of the loop
        await asyncio.sleep(0)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        self.accepted += 1
        if self._full:
            writer.transport.abort()
            return
        self._tasks[task] = writer
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            with suppress(ConnectionError, EOFError, TimeoutError):
                await self._talk(reader, writer)
        finally:
            self.connections -= 1
            self._answering.discard(task)
            del self._tasks[task]
            writer.transport.abort()

    @property
    def _full(self) -> bool:
        """Return whether the maximum number of clients is reached."""
        return False

    def _begin_answer(self) -> None:
        """Protect the connection of this task from being cut."""
        task = asyncio.current_task()
        assert task
        self._answering.add(task)

    def _end_answer(self) -> None:
        self._answering.discard(asyncio.current_task())

    @abstractmethod
    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection until it must be closed."""

    async def _write(
        self, data: bytes, failures: frozenset[str], writer: asyncio.StreamWriter
    ) -> None:
        """Send an answer: in one piece, in single bytes, or half of it."""
        if failures & {"truncate", "stall_midway", "reset_midway"}:
            data = data[: len(data) // 2]
        if failures & {"bytewise", "byte_a_second"}:
            gap = self._timing.byte_gap_s if "byte_a_second" in failures else 0
            for letter in data:
                writer.write(bytes((letter,)))
                await writer.drain()
                await asyncio.sleep(gap)
        else:
            writer.write(data)
            await writer.drain()

    async def _send_log(
        self, log: bytes, failures: frozenset[str], writer: asyncio.StreamWriter
    ) -> None:
        """Send bytes without a frame around them."""
        if log and "one_segment" not in failures:
            await asyncio.sleep(self._timing.log_gap_s)
        for start in range(0, len(log), BLOCK):
            writer.write(log[start : start + BLOCK])
            await writer.drain()

    async def _receive(
        self, reader: asyncio.StreamReader, failures: frozenset[str]
    ) -> bytes:
        """Return an image, after its length; drop a client that sends less."""
        # A reboot during the upload cuts the connection
        self._end_answer()
        size = int.from_bytes(await self._exactly(reader, HEADER), "little")
        if size > LARGEST_IMAGE:
            return b""
        image = bytearray()
        while len(image) < size:
            if len(image) >= size // 2:
                if "cut_upload" in failures:
                    raise EOFError
                if "stalled_upload" in failures:
                    await asyncio.sleep(FOR_EVER_S)
            image += await self._exactly(reader, min(BLOCK, size - len(image)))
        self._begin_answer()
        return bytes(image)

    async def _exactly(self, reader: asyncio.StreamReader, count: int) -> bytes:
        async with asyncio.timeout(self._timing.idle_s):
            return await reader.readexactly(count)

    async def _close(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Close the connection after the answer has been sent."""
        with suppress(OSError):
            writer.write_eof()
        async with asyncio.timeout(self._timing.linger_s):
            while await reader.read(BLOCK):
                pass


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Make this connection end with a reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class OneShotListener(Listener):
    """Port 4028."""

    def __init__(
        self,
        host: str,
        port: int,
        timing: Timing,
        answer: Callable[[bytes, str], Reply],
    ) -> None:
        """Store the function that answers."""
        super().__init__(host, port, timing)
        self._answer = answer

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request := await self._read(reader):
            await self.board.work()
            self._begin_answer()
            reply = self._answer(request, writer.get_extra_info("peername")[0])
            await self._send(reply, reader, writer)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Serve one request; the client may close its side after it."""
        request = b""
        while not is_complete(request):
            async with asyncio.timeout(self._timing.idle_s):
                chunk = await reader.read(LARGEST_REQUEST)
            request += chunk
            if not chunk or len(request) > LARGEST_REQUEST:
                break
        return request

    async def _send(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        failures = reply.failures
        if "reset" in failures:
            reset_on_close(writer)
            return
        if "silent" in failures:
            await self._hold(reader)
            return
        data, log = reply.data, reply.after
        if "one_segment" in failures:
            data, log = data + log[:BLOCK], log[BLOCK:]
        await self._write(data, failures, writer)
        if "reset_midway" in failures:
            reset_on_close(writer)
            return
        if not failures & BROKEN:
            await self._send_log(log, failures, writer)
            if reply.upload:
                final = reply.upload(await self._receive(reader, failures))
                await self._write(final.data, final.failures, writer)
        stalled = reply.after and "stalled_log" in failures
        if stalled or failures & {"stall_midway", "never_close"}:
            await self._hold(reader)
        elif "stall_after_answer" in failures:
            await asyncio.sleep(self._timing.stall_s)
        await self._close(reader, writer)

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        """Wait until the client disconnects; a half-closed connection is still connected."""
        self._end_answer()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await reader.read()
        if loop.time() - begin < HALF_CLOSE_S:
            await asyncio.sleep(FOR_EVER_S)

"""The socket of API v3: frames on a persistent connection (protocol.md#e1)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .commands_v3 import Session
from .server import BLOCK, BROKEN, HEADER, Listener, Reply, reset_on_close
from .timing import Timing

HEARTBEAT = bytes(HEADER)
LARGEST_FRAME = 1 << 22
LIE = 16
SPLIT_S = 0.01


def frame(text: str | bytes) -> bytes:
    """Return a text with its length before it."""
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(HEADER, "little") + data


def spoil_header(data: bytes, failures: frozenset[str]) -> bytes:
    """Return a frame with a wrong length, if that failure is injected."""
    length = int.from_bytes(data[:HEADER], "little")
    if "long_length" in failures:
        length += LIE
    if "short_length" in failures:
        length = max(length - LIE, 1)
    if "huge_length" in failures:
        length = 0xFFFFFFFF
    return length.to_bytes(HEADER, "little") + data[HEADER:]


@dataclass(eq=False, slots=True)
class Client:
    """One connection, with a deadline while it waits for a request."""

    session: Session
    writer: asyncio.StreamWriter
    deadline: asyncio.Timeout | None = None


class FrameListener(Listener):
    """Port 4433."""

    def __init__(
        self,
        host: str,
        port: int,
        timing: Timing,
        answer: Callable[[bytes, Session], Reply],
    ) -> None:
        """Store the function that answers; an empty request is a heartbeat."""
        super().__init__(host, port, timing)
        self._answer = answer
        self._clients: set[Client] = set()

    @property
    def _full(self) -> bool:
        return self.connections >= self._timing.v3_clients

    def push(self, now: float, report: Callable[[], str]) -> None:
        """Send each due report, unless its connection is sending an answer."""
        for client in self._clients:
            session, deadline = client.session, client.deadline
            if deadline is None or deadline.expired():
                continue
            if session.report_gap_s and now >= session.next_report:
                session.next_report = now + session.report_gap_s
                client.writer.write(frame(report()))
                deadline.reschedule(self._deadline())

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timing.v3_idle_s

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client = Client(Session(), writer)
        self._clients.add(client)
        try:
            while await self._exchange(client, reader) and self.is_open:
                pass
        finally:
            self._clients.discard(client)

    async def _exchange(self, client: Client, reader: asyncio.StreamReader) -> bool:
        """Serve one request; return whether another may follow."""
        async with asyncio.timeout_at(self._deadline()) as client.deadline:
            length = int.from_bytes(await reader.readexactly(HEADER), "little")
            if length > LARGEST_FRAME:
                return False
            request = await reader.readexactly(length)
        client.deadline = None
        await self.board.work()
        self._begin_answer()
        reply = self._answer(request, client.session)
        stays = await self._send(reply, reader, client.writer)
        self._end_answer()
        return stays

    async def _send(
        self,
        reply: Reply,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        failures = reply.failures
        if "reset" in failures:
            reset_on_close(writer)
            return False
        if "close" in failures:
            return False
        if not reply.data:
            return True
        writer.write(reply.before)
        data = spoil_header(reply.data, failures)
        if "no_length" in failures:
            data = data[HEADER:]
        if "split_header" in failures:
            for letter in data[:HEADER]:
                writer.write(bytes((letter,)))
                await asyncio.sleep(SPLIT_S)
            data = data[HEADER:]
        log = reply.after
        if "one_segment" in failures:
            data, log = data + log[:BLOCK], log[BLOCK:]
        await self._write(data, failures, writer)
        if "reset_midway" in failures:
            reset_on_close(writer)
            return False
        if "truncate" in failures:
            await self._close(reader, writer)
            return False
        if failures & BROKEN:
            return True
        await self._send_log(log, failures, writer)
        if reply.upload:
            image = await self._receive(reader, failures)
            final = reply.upload(image)
            await self._write(final.data, final.failures, writer)
            stays = bool(image and final.data)
        else:
            stays = not (reply.after and "cut_log" in failures)
        stays = stays and "close_after_answer" not in failures
        if not stays:
            await self._close(reader, writer)
        return stays

"""One exchange against every way in which a miner, or the network, can behave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
import gc
import socket
import struct
import time
from typing import Any
import weakref

import pytest

from custom_components.whatsminer.api import transport
from custom_components.whatsminer.api.errors import (
    CannotConnectError,
    InvalidAnswerError,
    NoAnswerError,
)
from custom_components.whatsminer.api.parse import parse_answer
from custom_components.whatsminer.api.transport import exchange

from . import capture

ANSWER = capture("summary_v140_cap.json")
REQUEST = {"cmd": "get_miner_info", "info": "mac"}

type Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
type Serve = Callable[[Behaviour], Awaitable[int]]

pytestmark = pytest.mark.usefixtures("client_sockets")


@pytest.fixture
def requests() -> list[bytes]:
    """What the server has got."""
    return []


@pytest.fixture
async def serve(
    client_sockets: list[transport.Line], requests: list[bytes]
) -> AsyncIterator[Serve]:
    """Start a server on a free port that behaves in one way; give back the port.

    It holds the connection until the client goes, so it also sees whether the client does.
    """
    servers: list[asyncio.Server] = []
    serving: set[asyncio.Task[Any]] = set()

    async def start(behave: Behaviour) -> int:
        async def answer(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            task = asyncio.current_task()
            assert task
            serving.add(task)
            try:
                with contextlib.suppress(ConnectionError):
                    requests.append(await reader.read(1 << 16))
                    await behave(writer)
                    await reader.read()
            finally:
                writer.transport.abort()
                serving.discard(task)

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            while serving:
                await asyncio.sleep(0.005)
    stuck = list(serving)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert not stuck, "the client left a connection open"


def says(*parts: bytes, pause: float = 0.0) -> Behaviour:
    """Send these parts and close."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await says_and_stays(*parts, pause=pause)(writer)
        writer.write_eof()

    return behave


def says_and_stays(*parts: bytes, pause: float = 0.0) -> Behaviour:
    """Send these parts and leave the connection open."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def says_and_resets(*parts: bytes) -> Behaviour:
    """Send these parts and reset the connection."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await says_and_stays(*parts, pause=0.01)(writer)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


async def never_ends(writer: asyncio.StreamWriter) -> None:
    """Send for ever."""
    while True:
        writer.write(b"x" * (1 << 16))
        await writer.drain()


async def test_the_request_on_the_wire(serve: Serve, requests: list[bytes]) -> None:
    """Old firmware reads the request to the byte."""
    port = await serve(says(b"{}"))
    await exchange("127.0.0.1", port, REQUEST)
    assert requests == [b'{"cmd":"get_miner_info","info":"mac"}']


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(says(ANSWER), id="at once"),
        pytest.param(says(ANSWER[:500], ANSWER[500:], pause=0.02), id="segments"),
        pytest.param(says(ANSWER[:-1], b"}", pause=0.02), id="last byte alone"),
        pytest.param(
            says(*(ANSWER[i : i + 1] for i in range(len(ANSWER)))), id="bytes"
        ),
        pytest.param(says(ANSWER + b"\0"), id="NUL"),
        pytest.param(says(ANSWER, b"\n"), id="newline"),
        pytest.param(says(ANSWER, b"\r\n\0", pause=0.02), id="all of them, late"),
        pytest.param(says_and_stays(ANSWER), id="never closes"),
        pytest.param(says_and_stays(ANSWER, b"\n"), id="newline, never closes"),
        pytest.param(says_and_resets(ANSWER), id="reset after it"),
    ],
)
async def test_a_whole_answer(serve: Serve, behave: Behaviour) -> None:
    """One of these ways is how the user's miner talks; none may cost an answer."""
    raw = await exchange("127.0.0.1", await serve(behave), REQUEST)
    assert raw.strip(b"\0\r\n") == ANSWER


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(says_and_stays(), id="silent"),
        pytest.param(says(), id="closed at once"),
        pytest.param(says(b"\0"), id="a NUL alone"),
        pytest.param(says(b"\r\n"), id="a newline alone"),
        pytest.param(says_and_resets(), id="reset at once"),
        pytest.param(says_and_resets(ANSWER[:500]), id="reset in the middle"),
        pytest.param(says_and_stays(ANSWER[:500]), id="stalled in the middle"),
        pytest.param(says_and_stays(*[b" "] * 200, pause=0.01), id="drips for ever"),
        pytest.param(says_and_stays(*[b"{}"] * 200, pause=0.01), id="repeats for ever"),
    ],
)
async def test_no_answer(serve: Serve, behave: Behaviour) -> None:
    """A write that ends so may have happened; it must not be taken for a failure."""
    async with asyncio.timeout(5):
        with pytest.raises(NoAnswerError):
            await exchange("127.0.0.1", await serve(behave), REQUEST)


async def test_a_cut_answer_is_seen_as_such(serve: Serve) -> None:
    """Half of the pools would be shown as all there are."""
    port = await serve(says(capture("broken_truncated_pools.txt")))
    raw = await exchange("127.0.0.1", port, REQUEST)
    with pytest.raises(InvalidAnswerError):
        parse_answer(raw)


async def test_an_endless_answer(serve: Serve) -> None:
    """It would fill the memory of Home Assistant."""
    with pytest.raises(InvalidAnswerError):
        await exchange("127.0.0.1", await serve(never_ends), REQUEST)


async def test_the_largest_answer_is_large(serve: Serve) -> None:
    """A limit that is too tight would cut off a miner with many boards."""
    text = b'{"a":"' + b"x" * (transport.MAX_ANSWER - 8) + b'"}'
    assert len(await exchange("127.0.0.1", await serve(says(text)), REQUEST)) == len(
        text
    )


@pytest.mark.usefixtures("socket_enabled")
async def test_a_closed_port(requests: list[bytes]) -> None:
    """A rebooting miner is unreachable, which is not the same as broken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(CannotConnectError):
        await exchange("127.0.0.1", port, REQUEST)


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(-2, "Name or service not known"),
        OSError(113, "No route to host"),
        UnicodeError("label too long"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_way_there(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A typing error in the host name would end in a traceback instead of a sentence."""

    async def getaddrinfo(*args: Any, **named: Any) -> None:
        raise error

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    with pytest.raises(CannotConnectError) as caught:
        await exchange("no.such.host", 4028, REQUEST)
    assert caught.value.__cause__ is error


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_swallows_packets(swallowing_port: int) -> None:
    """Adding a miner that is switched off would hang for minutes."""
    async with asyncio.timeout(5):
        with pytest.raises(CannotConnectError):
            await exchange("127.0.0.1", swallowing_port, REQUEST)


async def test_a_name_whose_first_address_is_dead(
    serve: Serve, swallowing_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that still has the address of before beside the one of now would find no miner."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 1.0)
    ports = swallowing_port, await serve(says(ANSWER))

    async def getaddrinfo(*args: Any, **named: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in ports
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await exchange("miner.local", 4028, REQUEST) == ANSWER


async def test_a_name_that_leads_nowhere_leaves_nothing(
    client_sockets: list[transport.Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A miner that is away for a week would leave garbage with each poll."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()

    async def getaddrinfo(*args: Any, **named: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", closed)] * 2

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    gc.disable()
    try:
        with contextlib.suppress(CannotConnectError):
            await exchange("miner.local", 4028, REQUEST)
        tried = [weakref.ref(line) for line in client_sockets]
        client_sockets.clear()
        assert [line() for line in tried] == [None, None]
    finally:
        gc.enable()


@pytest.mark.usefixtures("impatient")
async def test_a_log_of_nothing_is_handed_on_as_it_comes(serve: Serve) -> None:
    """Home Assistant would gather all of it, and stand still ever longer with each piece."""
    size = 1 << 20
    port = await serve(says_and_stays(b'{"STATUS":"S"}\r\n', bytes(size)))
    pieces: list[int] = []

    async def write(piece: bytes) -> None:
        pieces.append(len(piece))

    async with transport.begin_transfer("127.0.0.1", port, REQUEST) as transfer:
        await transfer.answer(1)
        await transfer.receive(size, write)
    assert sum(pieces) == size
    assert max(pieces) <= 1 << 17


async def test_a_cancelled_exchange_leaves_nothing(serve: Serve) -> None:
    """Unloading the integration would leave a connection, which the miner counts."""
    port = await serve(says_and_stays())
    task = asyncio.create_task(exchange("127.0.0.1", port, REQUEST))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_private_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """A debug log is posted in forums; it tells the size of an answer, not its content."""
    caplog.set_level("DEBUG")
    answer = capture("pools_v140_cap.json")
    await exchange("127.0.0.1", await serve(says(answer)), REQUEST)
    assert f"{len(answer)} bytes" in caplog.text
    assert "asic-rs.test" not in caplog.text
    assert "btc.example" not in caplog.text


async def test_nothing_is_lost_when_home_assistant_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While something else holds up the event loop a part comes, and the patience for it ends."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    parts = (b'{"STATUS":"S",', b'"Msg":{"power":3300', b'},"Code":131}')

    def behave(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            for part in parts:
                connection.sendall(part)
                time.sleep(0.2)

    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = loop.run_in_executor(None, behave, listener)
        # From before the second part until after it
        loop.call_later(0.07, time.sleep, 0.2)
        answer = await exchange("127.0.0.1", listener.getsockname()[1], REQUEST)
        await serving
    assert answer == b"".join(parts)

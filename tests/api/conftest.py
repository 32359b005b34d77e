"""What several tests of the client need: sockets, and a look at those that it opens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
import contextlib
import os
import socket
from typing import Any

from hypothesis import HealthCheck, settings
import pytest

from custom_components.whatsminer.api import transport

# A fresh clone, or a busy machine, would fail a test: its first examples take some seconds.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Twenty times the default where FUZZ is set: scripts/test --fuzz
    max_examples=2000 if os.environ.get("FUZZ") else 100,
)
settings.load_profile("unhurried")


@pytest.fixture
async def client_sockets(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[transport.Line]]:
    """All connections that the client opens; each must be closed when the test ends."""
    opened: list[transport.Line] = []
    connect = transport.Line.connect

    async def watched(line: transport.Line, address: tuple[object, ...]) -> None:
        opened.append(line)
        await connect(line, address)

    monkeypatch.setattr(transport.Line, "connect", watched)
    yield opened
    left = [line for line in opened if line.is_open]
    for line in left:
        line.close()
    assert not left, f"{len(left)} of {len(opened)} sockets left open"


@pytest.fixture
def swallowing_port(socket_enabled: None) -> Iterator[int]:
    """A port that answers no attempt to connect, like one behind a firewall."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        with contextlib.ExitStack() as waiting:
            with contextlib.suppress(TimeoutError):
                while True:  # until nobody else may wait to be accepted
                    waiting.enter_context(
                        socket.create_connection(("127.0.0.1", port), 0.1)
                    )
            yield port


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short deadlines, so that waiting for nothing takes no time."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.3)
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.05)


PATIENCE = 0.001
"""Real seconds for the kernel to pass sent bytes, before time is skipped."""


@pytest.fixture
async def skip_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip time in which nothing happens.

    So all deadlines are those of real life, and none comes early on a busy machine.
    """
    loop: Any = asyncio.get_running_loop()
    now, select = loop.time(), loop._selector.select  # noqa: SLF001

    def select_or_skip(timeout: float | None = None) -> Any:
        nonlocal now
        if timeout is None or timeout <= 0:
            return select(timeout)
        if events := select(min(timeout, PATIENCE)):
            return events
        now += timeout
        return []

    async def call(function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(loop._selector, "select", select_or_skip)  # noqa: SLF001
    monkeypatch.setattr(asyncio, "to_thread", call)


def near(value: float | None) -> Any:
    """The same, as far as the wire shows it."""
    return None if value is None else pytest.approx(value, rel=1e-4, abs=0.051)


def said(value: float | None) -> Any:
    """The same; the miner's 0 stands for nothing."""
    return near(value) if value else None


def framed(body: bytes) -> bytes:
    """A body behind its length, as port 4433 has it."""
    return len(body).to_bytes(4, "little") + body

"""What several tests of the client need: sockets, and a look at those that it opens."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from typing import Any

import pytest


@pytest.fixture
async def client_sockets(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """All connections that the client opens; each must be closed when the test ends."""
    opened: list[asyncio.StreamWriter] = []
    connect = asyncio.open_connection

    async def open_connection(*args: Any, **kwargs: Any) -> Any:
        reader, writer = await connect(*args, **kwargs)
        opened.append(writer)
        return reader, writer

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    yield opened
    left = [
        writer
        for writer in opened
        if writer.get_extra_info("socket").fileno() != -1 or not writer.is_closing()
    ]
    for writer in left:
        with contextlib.suppress(OSError):
            writer.transport.abort()
    assert not left, f"{len(left)} of {len(opened)} sockets left open"

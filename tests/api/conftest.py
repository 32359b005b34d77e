"""What several tests of the client need: sockets, and a look at those that it opens."""

from collections.abc import AsyncIterator
import socket

import pytest

from custom_components.whatsminer.api import transport


@pytest.fixture
async def client_sockets(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[socket.socket]]:
    """All connections that the client opens; each must be closed when the test ends."""
    opened: list[socket.socket] = []
    dial = transport.dial

    async def watched(host: str, port: int) -> socket.socket:
        sock = await dial(host, port)
        opened.append(sock)
        return sock

    monkeypatch.setattr(transport, "dial", watched)
    yield opened
    left = [sock for sock in opened if sock.fileno() != -1]
    for sock in left:
        sock.close()
    assert not left, f"{len(left)} of {len(opened)} sockets left open"

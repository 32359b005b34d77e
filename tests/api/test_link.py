"""The kept connection to TCP 4433 against every way in which a miner, or the network, can behave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
import json
import logging
import socket
import struct
import time
from typing import Any

import pytest

from custom_components.whatsminer.api import transport
from custom_components.whatsminer.api.errors import (
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    UnknownOutcomeError,
    WhatsminerError,
)
from custom_components.whatsminer.api.parse import JsonObject
from custom_components.whatsminer.api.transport import Link, exchange
from custom_components.whatsminer.api.v3.miner import V3Miner, Writer4433

from . import capture, parsed

REQUEST = {"cmd": "get.miner.status", "param": "summary"}
ANSWER = capture("v3_status_summary_doc.json")
MODEL = parsed("v3_status_summary_doc.json")
HEARTBEAT = bytes(4)

type Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("client_sockets")


def frame(body: bytes) -> bytes:
    """A body behind its length."""
    return struct.pack("<I", len(body)) + body


WHOLE = frame(ANSWER)
REPORT = frame(b'{"code":0,"when":1,"msg":{"summary":{}},"desc":"get.miner.report"}')


class Host:
    """A server that answers frames as it is reported, and remembers what it got."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self.requests: list[bytes] = []
        self.behaviours: list[Behaviour] = []
        self.behave: Behaviour = says(WHOLE)
        self.connections = 0
        self.serving: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self.port = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer request after request, until one of both goes."""
        task = asyncio.current_task()
        assert task
        self.serving[task] = writer
        self.connections += 1
        with contextlib.suppress(ConnectionError, EOFError):
            while not writer.is_closing():
                header = await reader.readexactly(4)
                body = await reader.readexactly(struct.unpack("<I", header)[0])
                self.requests.append(header + body)
                behave = self.behaviours.pop(0) if self.behaviours else self.behave
                await behave(body, writer)
        writer.transport.abort()
        del self.serving[task]

    def hang_up(self) -> None:
        """Close all connections while nobody asks."""
        for writer in self.serving.values():
            writer.close()

    @property
    def commands(self) -> list[str]:
        """What was asked, in order."""
        return [json.loads(request[4:])["cmd"] for request in self.requests]


@pytest.fixture
async def host(client_sockets: list[transport.Line]) -> AsyncIterator[Host]:
    """Such a server on a free port; the client must have left it in the end."""
    host = Host()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    yield host
    server.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            while host.serving:
                await asyncio.sleep(0.005)
    stuck = list(host.serving)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert not stuck, "the client left a connection open"


def tasks_of_the_client() -> list[asyncio.Task[Any]]:
    """What the client itself has left running."""
    return [
        task
        for task in asyncio.all_tasks()
        if "custom_components" in str(getattr(task.get_coro(), "cr_code", None))
    ]


@pytest.fixture
async def link(host: Host) -> AsyncIterator[Link]:
    """The client's end; nothing of it may go on in the end."""
    link = Link("127.0.0.1", host.port)
    yield link
    link.close()
    assert not link.is_open
    assert tasks_of_the_client() == []


def says(*parts: bytes, pause: float = 0.0) -> Behaviour:
    """Send these parts and wait for the next request."""

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def says_and_closes(*parts: bytes) -> Behaviour:
    """Send these parts and close the connection."""

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        await says(*parts)(request, writer)
        writer.close()

    return behave


def says_and_resets(*parts: bytes) -> Behaviour:
    """Send these parts and reset the connection."""

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        await says(*parts, pause=0.01)(request, writer)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


async def never_answers(request: bytes, writer: asyncio.StreamWriter) -> None:
    """Send a heartbeat now and then, and never an answer."""
    for _ in range(200):
        writer.write(HEARTBEAT + REPORT)
        await writer.drain()
        await asyncio.sleep(0.01)


async def tells_the_number(request: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer with what was asked, so that answers cannot be mixed up unseen."""
    asked = json.loads(request)
    writer.write(
        frame(json.dumps({"code": 0, "msg": asked, "desc": asked["cmd"]}).encode())
    )
    await writer.drain()


# On the wire


async def test_the_request_on_the_wire(host: Host, link: Link) -> None:
    """The miner reads it to the byte (protocol.md#e1)."""
    await link.request(REQUEST)
    assert host.requests == [
        b"\x2c\x00\x00\x00" + capture("v3_request_status_doc.json")
    ]


async def test_the_frame_of_the_page(host: Host, link: Link) -> None:
    """The same for the two requests whose bytes the page tells (protocol.md#e1, #e3)."""
    host.behave = tells_the_number
    await link.request({"cmd": "get.device.info", "param": "salt"})
    assert host.requests[-1][:12] == bytes.fromhex(
        "28 00 00 00 7b 22 63 6d 64 22 3a 22"
    )
    assert len(host.requests[-1]) == 44
    await link.request(parsed("v3_request_service_stop_doc.json"))
    assert host.requests[-1] == b"\x5f\x00\x00\x00" + capture(
        "v3_request_service_stop_doc.json"
    )


async def test_a_long_request(host: Host, link: Link) -> None:
    """Its length has more than one byte, the lowest first."""
    host.behave = tells_the_number
    await link.request({"cmd": "a", "param": "x" * 600})
    assert host.requests[-1][:4] == b"\x6e\x02\x00\x00"


async def test_a_connection_is_kept(host: Host, link: Link) -> None:
    """A new one for each request would be ten at once for some firmware."""
    assert not link.is_open
    for _ in range(20):
        assert await link.request(REQUEST) == MODEL
    assert link.is_open
    assert host.connections == link.opened == 1
    link.close()
    link.close()
    assert not link.is_open
    assert await link.request(REQUEST) == MODEL
    assert host.connections == link.opened == 2


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(says(WHOLE), id="at once"),
        pytest.param(says(WHOLE[:4], WHOLE[4:], pause=0.02), id="header alone"),
        pytest.param(
            says(WHOLE[:1], WHOLE[1:3], WHOLE[3:9], WHOLE[9:], pause=0.02),
            id="split header",
        ),
        pytest.param(says(WHOLE[:300], WHOLE[300:], pause=0.02), id="split body"),
        pytest.param(says(WHOLE[:-1], WHOLE[-1:], pause=0.02), id="last byte alone"),
        pytest.param(says(*(bytes((byte,)) for byte in WHOLE)), id="bytes"),
        pytest.param(says(HEARTBEAT + WHOLE), id="heartbeat"),
        pytest.param(says(HEARTBEAT * 3, WHOLE, pause=0.02), id="heartbeats"),
        pytest.param(says(REPORT + WHOLE), id="report"),
        pytest.param(says(REPORT, HEARTBEAT, REPORT + WHOLE[:9], WHOLE[9:]), id="mix"),
        pytest.param(says(frame(ANSWER + b"\0")), id="NUL inside"),
        pytest.param(says(frame(ANSWER + b"\r\n")), id="newline inside"),
        pytest.param(says(frame(ANSWER[:-1] + b",}")), id="trailing comma"),
        pytest.param(says_and_closes(WHOLE), id="closes after it"),
    ],
)
async def test_a_whole_answer(host: Host, link: Link, behave: Behaviour) -> None:
    """One of these ways is how the user's miner talks; none may cost an answer."""
    host.behave = behave
    assert await link.request(REQUEST) == MODEL
    assert len(host.requests) == 1


@pytest.mark.parametrize("desc", ["", None])
async def test_an_answer_that_names_no_command(
    host: Host, link: Link, desc: str | None
) -> None:
    """Firmware that leaves the name out would be silent for ever."""
    answer = MODEL | {"desc": desc}
    host.behave = says(REPORT + frame(json.dumps(answer).encode()))
    assert await link.request(REQUEST) == answer
    del answer["desc"]
    host.behave = says(frame(json.dumps(answer).encode()))
    assert await link.request(REQUEST) == answer


async def test_what_comes_after_an_answer_is_skipped(host: Host, link: Link) -> None:
    """A report that is pushed between two requests would be taken for the second answer."""
    host.behave = says(WHOLE + HEARTBEAT + REPORT)
    for _ in range(3):
        assert await link.request(REQUEST) == MODEL
    assert host.connections == 1


async def test_what_comes_while_nobody_asks_is_not_kept(host: Host, link: Link) -> None:
    """A miner that reports all the time would fill the memory between two polls."""
    assert await link.request(REQUEST) == MODEL
    [writer] = host.serving.values()
    report = b'{"code":0,"msg":"' + b"x" * 100_000 + b'","desc":"get.miner.report"}'
    writer.write(frame(report) * 200)
    await asyncio.sleep(0.3)
    assert writer.transport.get_write_buffer_size() > 1_000_000
    assert await link.request(REQUEST) == MODEL


async def test_a_flood_of_frames_holds_nobody_up(host: Host, link: Link) -> None:
    """Home Assistant would stand still as long as it lasts."""
    host.behave = says(frame(b"{}") * 10_000 + HEARTBEAT * 10_000 + WHOLE)
    asking = asyncio.create_task(link.request(REQUEST))
    turns = 0
    while not asking.done():
        await asyncio.sleep(0)
        turns += 1
    assert await asking == MODEL
    assert turns > 20_000


@pytest.mark.usefixtures("impatient", "client_sockets")
async def test_an_answer_that_came_while_home_assistant_was_late() -> None:
    """A command whose answer lay behind a heartbeat would be reported as not answered."""

    def behave(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            time.sleep(0.1)
            connection.sendall(HEARTBEAT + REPORT + WHOLE)
            connection.recv(1)

    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = loop.run_in_executor(None, behave, listener)
        link = Link("127.0.0.1", listener.getsockname()[1])
        # From before the answer until after the deadline
        loop.call_later(0.05, time.sleep, 0.5)
        try:
            assert await link.request(REQUEST) == MODEL
        finally:
            link.close()
            await serving


async def test_a_refusal_keeps_the_connection(host: Host, link: Link) -> None:
    """A code that is no success is an answer like any other."""
    refused = b'{"code":-1,"when":1,"msg":"failed","desc":"get.miner.status"}'
    host.behaviours = [says(frame(refused))]
    assert (await link.request(REQUEST))["code"] == -1
    assert await link.request(REQUEST) == MODEL
    assert host.connections == 1


async def test_the_largest_answer_is_large(host: Host, link: Link) -> None:
    """A limit that is too tight would cut off a miner with many boards."""
    body = b'{"a":"' + b"x" * (transport.MAX_ANSWER - 8) + b'"}'
    host.behave = says(frame(body))
    assert len((await link.request(REQUEST))["a"]) == len(body) - 8


# What goes wrong


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        pytest.param(says(), NoAnswerError, id="silent"),
        pytest.param(says(HEARTBEAT), NoAnswerError, id="a heartbeat alone"),
        pytest.param(says(REPORT), NoAnswerError, id="a report alone"),
        pytest.param(never_answers, NoAnswerError, id="for ever something else"),
        pytest.param(says(WHOLE[:2]), NoAnswerError, id="stalled in the header"),
        pytest.param(says(WHOLE[:300]), NoAnswerError, id="stalled in the body"),
        pytest.param(
            says(*(bytes((byte,)) for byte in WHOLE), pause=0.01),
            NoAnswerError,
            id="drips too slowly",
        ),
        pytest.param(says_and_closes(), NoAnswerError, id="closed at once"),
        pytest.param(says_and_closes(WHOLE[:3]), NoAnswerError, id="cut header"),
        pytest.param(says_and_closes(WHOLE[:300]), NoAnswerError, id="cut body"),
        pytest.param(says_and_resets(), NoAnswerError, id="reset at once"),
        pytest.param(says_and_resets(WHOLE[:300]), NoAnswerError, id="reset midway"),
        pytest.param(
            says(struct.pack("<I", len(ANSWER) + 16) + ANSWER),
            NoAnswerError,
            id="length too long",
        ),
        pytest.param(
            says(struct.pack("<I", len(ANSWER) - 16) + ANSWER),
            InvalidAnswerError,
            id="length too short",
        ),
        pytest.param(says(b"\xff" * 4), InvalidAnswerError, id="4 GiB"),
        pytest.param(
            says(struct.pack("<I", transport.MAX_ANSWER + 1)),
            InvalidAnswerError,
            id="one byte too many",
        ),
        pytest.param(
            says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), InvalidAnswerError, id="http"
        ),
        pytest.param(says(frame(b"nonsense")), InvalidAnswerError, id="no JSON"),
        pytest.param(says(frame(b"[1]")), InvalidAnswerError, id="no object"),
        pytest.param(says(frame(b"\0 ")), InvalidAnswerError, id="blank"),
        pytest.param(
            says(frame(capture("btminer_down.txt"))), BtminerDownError, id="down"
        ),
    ],
)
async def test_no_answer(
    host: Host, link: Link, behave: Behaviour, kind: type[WhatsminerError]
) -> None:
    """The next request would get the rest of this answer, so it gets a new connection."""
    host.behaviours = [behave]
    async with asyncio.timeout(5):
        with pytest.raises(kind) as caught:
            await link.request(REQUEST)
    assert type(caught.value) is kind
    assert not link.is_open
    assert await link.request(REQUEST) == MODEL
    assert (len(host.requests), host.connections) == (2, 2)


@pytest.mark.usefixtures("impatient")
async def test_a_late_answer_is_for_nobody(host: Host, link: Link) -> None:
    """It would be taken for the answer to the next request."""

    async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        await tells_the_number(request, writer)

    host.behave = tells_the_number
    host.behaviours = [late]
    with pytest.raises(NoAnswerError):
        await link.request({"cmd": "a", "param": 1})
    assert (await link.request({"cmd": "a", "param": 2}))["msg"]["param"] == 2


@pytest.mark.parametrize(
    "half", [b"", WHOLE[:2], WHOLE[:300]], ids=["asked", "header", "body"]
)
async def test_a_cancelled_request_leaves_no_half_answer(
    host: Host, link: Link, half: bytes
) -> None:
    """After a reload every answer would be that to the request before."""
    host.behave = tells_the_number
    await link.request({"cmd": "a", "param": 0})
    host.behaviours = [says(half)]
    task = asyncio.create_task(link.request({"cmd": "a", "param": 1}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not link.is_open
    assert (await link.request({"cmd": "a", "param": 2}))["msg"]["param"] == 2


@pytest.mark.usefixtures("client_sockets")
async def test_a_cancelled_connection_leaves_nothing(swallowing_port: int) -> None:
    """Unloading while the miner is away would leave a task behind."""
    link = Link("127.0.0.1", swallowing_port)
    task = asyncio.create_task(link.request(REQUEST))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not link.is_open
    assert link.opened == 0


# Nobody there


@pytest.mark.usefixtures("socket_enabled")
async def test_a_closed_port() -> None:
    """While btminer restarts nobody listens, which is not the same as silence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    link = Link("127.0.0.1", port)
    with pytest.raises(CannotConnectError):
        await link.request(REQUEST)
    assert not link.is_open


@pytest.mark.parametrize("port", [-1, 0, 65536, 70000, 1 << 40])
async def test_a_port_that_cannot_be(port: int) -> None:
    """A typing error would end in a traceback instead of a sentence."""
    with pytest.raises(CannotConnectError):
        await Link("127.0.0.1", port).request(REQUEST)
    with pytest.raises(CannotConnectError):
        await exchange("127.0.0.1", port, {"cmd": "summary"})


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_swallows_packets(swallowing_port: int) -> None:
    """Most miners are behind no firewall, but some are."""
    link = Link("127.0.0.1", swallowing_port)
    async with asyncio.timeout(5):
        with pytest.raises(CannotConnectError):
            await link.request(REQUEST)


async def test_nothing_private_is_logged(
    host: Host, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """A debug log is posted in forums; tokens and pool users are not for them."""
    caplog.set_level(logging.DEBUG)
    host.behave = says(frame(capture("v3_status_pools_comp.json")))
    await link.request(REQUEST | {"token": "Cg2iuKaj"})
    assert "Cg2iuKaj" not in caplog.text
    assert "acc.worker" not in caplog.text


# What may be said twice, and what may not


CHALLENGE = frame(
    b'{"code":0,"when":1760000000,"msg":{"salt":"uhCiDyVj"},"desc":"get.device.info"}'
)
WHO = frame(
    b'{"code":0,"when":1760000000,"msg":{"network":{"mac":"CA:01:14:00:04:EB"}},'
    b'"desc":"get.device.info"}'
)
OK = frame(b'{"code":0,"when":1760000000,"msg":"ok","desc":"set.miner.service"}')


def writable(answer: Behaviour) -> Behaviour:
    """A miner that answers a write in one way."""

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(request)
        if asked["cmd"].startswith("set."):
            await answer(request, writer)
        elif asked["cmd"] == "get.miner.status":
            await says(WHOLE)(request, writer)
        else:
            salt = asked.get("param") == "salt"
            await says(CHALLENGE if salt else WHO)(request, writer)

    return behave


@pytest.fixture
async def miner(host: Host) -> AsyncIterator[V3Miner]:
    """A client that knows the password of `super`."""
    miner = V3Miner("127.0.0.1", host.port, 1, v3_password="super")
    yield miner
    await miner.close()


async def stop(miner: V3Miner) -> JsonObject:
    """Stop mining by the command itself, without a look at what the miner can do."""
    assert isinstance(miner.writer, Writer4433)
    return await miner.writer.command("set.miner.service", "stop")


async def test_a_read_is_repeated_once_when_the_miner_has_hung_up(
    host: Host, miner: V3Miner
) -> None:
    """After five quiet minutes the first poll would fail (protocol.md#e1)."""
    await miner.send_read("get.miner.status", "summary")
    host.hang_up()
    await asyncio.sleep(0.02)
    assert await miner.send_read("get.miner.status", "summary") == MODEL["msg"]
    assert host.connections == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("behave", [says(), says_and_closes(), says_and_resets()])
async def test_a_read_is_not_repeated_for_ever(
    host: Host, miner: V3Miner, behave: Behaviour
) -> None:
    """A miner that hangs up on everybody would be asked until it falls over."""
    await miner.send_read("get.miner.status", "summary")
    host.behave = behave
    with pytest.raises(NoAnswerError):
        await miner.send_read("get.miner.status", "summary")
    assert len(host.requests) == 3
    with pytest.raises(NoAnswerError):
        await miner.send_read("get.miner.status", "summary")
    assert len(host.requests) == 4


async def test_a_read_that_makes_no_sense_is_not_repeated(
    host: Host, miner: V3Miner
) -> None:
    """It is an answer, and the next will be like it."""
    await miner.send_read("get.miner.status", "summary")
    host.behave = says(frame(b"nonsense"))
    with pytest.raises(InvalidAnswerError):
        await miner.send_read("get.miner.status", "summary")
    assert len(host.requests) == 2


async def test_a_write_after_the_miner_has_hung_up(host: Host, miner: V3Miner) -> None:
    """The question for the salt finds that out, so that the write need not be repeated."""
    host.behave = writable(says(OK))
    await stop(miner)
    host.hang_up()
    await asyncio.sleep(0.02)
    await stop(miner)
    assert host.commands.count("set.miner.service") == 2
    assert host.connections == 2


async def test_a_write_on_the_wire(host: Host, miner: V3Miner) -> None:
    """The request of the page, to the byte: the miner's own clock is in it (protocol.md#e3)."""
    host.behave = writable(says(OK))
    await stop(miner)
    assert host.requests[-1][4:] == capture("v3_request_service_stop_doc.json")
    assert host.commands == ["get.device.info"] * 2 + ["set.miner.service"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says(), id="silent"),
        pytest.param(says_and_closes(), id="closed"),
        pytest.param(says_and_resets(), id="reset"),
        pytest.param(says_and_closes(OK[:20]), id="cut"),
        pytest.param(says(REPORT), id="a report alone"),
        pytest.param(says(b"\xff" * 4), id="4 GiB"),
        pytest.param(says(frame(b"nonsense")), id="no JSON"),
        pytest.param(says(frame(b"{}")), id="empty"),
        pytest.param(says(frame(b'{"msg":"ok"}')), id="no code"),
        pytest.param(says(frame(capture("btminer_down.txt"))), id="btminer down"),
    ],
)
async def test_an_unclear_answer_to_a_write(
    host: Host, miner: V3Miner, answer: Behaviour
) -> None:
    """It may have happened, so it is neither reported as done nor sent again."""
    host.behave = writable(answer)
    with pytest.raises(UnknownOutcomeError):
        await stop(miner)
    assert host.commands.count("set.miner.service") == 1
    with pytest.raises(NoAnswerError):
        await miner.check_password()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        pytest.param(says(), NoAnswerError, id="silent"),
        pytest.param(
            says(frame(b'{"code":0,"when":1}')), InvalidAnswerError, id="bare"
        ),
        pytest.param(
            says(frame(b'{"code":0,"when":1,"msg":{}}')),
            InvalidAnswerError,
            id="no salt",
        ),
        pytest.param(
            says(frame(b'{"code":0,"msg":{"salt":"uhCiDyVj"}}')),
            InvalidAnswerError,
            id="no clock",
        ),
        pytest.param(
            says(frame(b'{"code":-1,"msg":"failed"}')),
            CommandRefusedError,
            id="refused",
        ),
    ],
)
async def test_no_salt_no_write(
    host: Host, miner: V3Miner, behave: Behaviour, kind: type[WhatsminerError]
) -> None:
    """Nothing is sent with a token made of nonsense, and that is known to be no write."""
    host.behave = behave
    with pytest.raises(kind) as caught:
        await stop(miner)
    assert type(caught.value) is kind
    assert set(host.commands) == {"get.device.info"}


@pytest.mark.usefixtures("impatient")
async def test_a_refusal_stays_one_when_its_reason_cannot_be_found(
    host: Host, miner: V3Miner
) -> None:
    """The user would be reported that the command may have happened."""
    refused = frame(b'{"code":-1,"when":1760000000,"msg":"failed"}')

    async def refuses_and_dies(request: bytes, writer: asyncio.StreamWriter) -> None:
        host.behave = says_and_closes()
        await says(refused)(request, writer)

    host.behave = writable(refuses_and_dies)
    with pytest.raises(CommandRefusedError) as caught:
        await stop(miner)
    assert caught.value.command == "set.miner.service"


async def test_a_cancelled_write_frees_the_miner(host: Host, miner: V3Miner) -> None:
    """The lock would be held, or the next answer be that to this write."""
    host.behave = writable(says())
    task = asyncio.create_task(stop(miner))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    host.behave = writable(says(OK))
    assert await miner.send_read("get.miner.status", "summary") == MODEL["msg"]
    await stop(miner)

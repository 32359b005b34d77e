"""Rubbish on the wire: whatever comes, the client says a typed error or a value of the right kind."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from enum import Enum
import json
import math
import socket
from typing import Any

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.whatsminer.api import (
    Dialect,
    InvalidAnswerError,
    WhatsminerError,
    transport,
)
from custom_components.whatsminer.api.models import activity_of
from custom_components.whatsminer.api.parse import JsonObject, is_complete, parse_answer
from custom_components.whatsminer.api.transport import (
    MAX_ANSWER,
    SILENCE_AFTER_ANSWER,
    Line,
    Link,
    _cut_frame,
    _has_frame,
)
from custom_components.whatsminer.api.v2.crypto import decrypt, derive_token, encrypt
from custom_components.whatsminer.api.v2.protocol import (
    is_challenge,
    parse_boards,
    parse_faults,
    parse_miner_info,
    parse_model,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
    parse_version,
    refusal,
)
from custom_components.whatsminer.api.v3.protocol import (
    message_of,
    parse_boards as parse_boards_v3,
    parse_device,
    parse_faults as parse_faults_v3,
    parse_pools as parse_pools_v3,
    parse_psu as parse_psu_v3,
    parse_status as parse_status_v3,
    parse_summary as parse_summary_v3,
)

from . import CAPTURES, capture
from .conftest import framed

COMMAND = "get.device.info"
HEARTBEAT = bytes(4)
NAMES = sorted(path.name for path in CAPTURES.iterdir() if path.suffix != ".md")
KEY = bytes(range(32))

# Where a stream is cut into segments
cuts = st.lists(st.integers(0, 400), max_size=12)


def answer(desc: Any, msg: Any = "ok") -> bytes:
    """An answer of API 3."""
    return json.dumps({"code": 0, "when": 1, "msg": msg, "desc": desc}).encode()


frames = st.one_of(
    st.just(HEARTBEAT),
    st.binary(max_size=40).map(framed),
    st.sampled_from(["get.miner.report", COMMAND, "", None, 1, []]).map(
        lambda desc: framed(answer(desc))
    ),
    st.sampled_from([b"[]", b"1", b"null", b'{"a":1', b"{}", b"\0\0"]).map(framed),
    st.binary(max_size=12),
    st.integers(0, 1 << 32).map(lambda size: (size % (1 << 32)).to_bytes(4, "little")),
)
streams = st.lists(frames, max_size=8).map(b"".join)


async def feed[T](
    data: bytes, where: list[int], read: Callable[[Line], Awaitable[T]]
) -> T:
    """Let somebody read what comes in segments and then ends."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    line = Line(ours)

    async def send() -> None:
        begin = 0
        for end in [*sorted(cut for cut in where if cut < len(data)), len(data)]:
            await loop.sock_sendall(theirs, data[begin:end])
            begin = max(begin, end)
            await asyncio.sleep(0)
        theirs.shutdown(socket.SHUT_WR)

    sending = asyncio.create_task(send())
    try:
        return await read(line)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        line.close()
        theirs.close()


async def to_the_end(line: Line) -> bytes:
    """Read as an answer of 4028 is read."""
    await line.receive(is_complete, silence=SILENCE_AFTER_ANSWER)
    return line.buffer


async def all_frames(line: Line) -> list[Any]:
    """Read until it is no longer possible; the last one says why."""
    found: list[Any] = []
    while not found or not isinstance(found[-1], str):
        try:
            await line.receive(_has_frame)
            if (frame := _cut_frame(line.buffer)) is None:
                found.append("end")
            else:
                body, line.buffer = frame
                found.append(parse_answer(body) if body else None)
        except WhatsminerError as err:
            found.append(type(err).__name__)
    return found


@settings(deadline=None)
@given(data=streams, where=cuts)
@example(data=framed(answer(COMMAND)), where=[1, 2, 3, 4, 5])
@example(data=(MAX_ANSWER + 1).to_bytes(4, "little"), where=[])
def test_the_reader_of_frames(data: bytes, where: list[int]) -> None:
    """A frame would be read otherwise when it comes in pieces, or end the client."""
    with asyncio.Runner() as runner:
        whole = runner.run(feed(data, [], all_frames))
        assert runner.run(feed(data, where, all_frames)) == whole
    *read, end = whole
    assert all(frame is None or isinstance(frame, dict) for frame in read)
    assert end in ("end", "InvalidAnswerError", "BtminerDownError")


@settings(deadline=None)
@given(
    parts=st.lists(
        st.one_of(
            st.none(),
            # A whole number of more than 64 bits becomes a float, as in any JSON parser but Python's.
            st.dictionaries(
                st.text(max_size=5),
                st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9),
            ),
        ),
        max_size=6,
    ),
    where=cuts,
)
def test_frames_that_are_right(
    parts: list[JsonObject | None], where: list[int]
) -> None:
    """An answer would be lost, or be taken for another."""
    data = b"".join(
        HEARTBEAT if part is None else framed(json.dumps(part).encode())
        for part in parts
    )
    with asyncio.Runner() as runner:
        assert runner.run(feed(data, where, all_frames)) == [*parts, "end"]


@settings(deadline=None)
@given(data=streams, where=cuts)
@example(data=framed(answer("get.miner.report")) + framed(answer(COMMAND)), where=[])
@example(data=HEARTBEAT * 3, where=[2])
def test_a_link_in_a_stream_of_rubbish(data: bytes, where: list[int]) -> None:
    """A request would be answered with what belongs to another, or the link be out of step."""

    async def request(line: Line) -> Any:
        link = Link("host", 4433)
        link._line = line  # noqa: SLF001
        try:
            found = await link.request({"cmd": COMMAND})
        except WhatsminerError as err:
            assert not link.is_open
            return type(err)
        assert line.is_open
        assert found
        assert found.get("desc") in (COMMAND, "", None)
        return found

    with asyncio.Runner() as runner:
        whole = runner.run(feed(data, [], request))
        assert runner.run(feed(data, where, request)) == whole


@settings(deadline=None)
@given(data=streams | st.sampled_from(NAMES).map(capture), where=cuts)
def test_the_reader_of_4028(data: bytes, where: list[int]) -> None:
    """An answer in several segments would be cut short."""
    with asyncio.Runner() as runner:
        assert runner.run(feed(data, where, to_the_end)) == data


@given(
    # The four bytes more that a frame has for its length are taken here too.
    size=st.integers(MAX_ANSWER - 2, MAX_ANSWER)
    | st.integers(MAX_ANSWER + 5, MAX_ANSWER + (1 << 18))
)
@settings(max_examples=5, deadline=None)
def test_answers_that_are_too_long(size: int) -> None:
    """A miner could fill the memory."""
    with asyncio.Runner() as runner:
        if size <= MAX_ANSWER:
            assert len(runner.run(feed(b"x" * size, [], to_the_end))) == size
        else:
            with pytest.raises(InvalidAnswerError):
                runner.run(feed(b"x" * size, [], to_the_end))


# Real answers with defects


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A real answer of which some bytes are other, gone, doubled or new."""
    data = bytearray(capture(draw(st.sampled_from(NAMES))))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["flip", "cut", "put", "twice", "end"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 30))]
            case "put":
                data[at:at] = draw(
                    st.binary(min_size=1, max_size=4)
                    | st.sampled_from([b'"', b"{", b"}{", b"[,", b",", b"null", b"-1"])
                    | st.sampled_from([b"1e999", b"nan", b"-inf", b"\0", b"9" * 400])
                )
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 60))]
            case _:
                del data[at:]
    return bytes(data)


def read_everything(raw: bytes) -> list[Any]:
    """Read an answer as every kind of answer there is; a value of each that it may be."""
    found: list[Any] = []

    def add(read: Callable[[], Any]) -> Any:
        try:
            value = read()
        except WhatsminerError:
            return None
        found.append(value)
        return value

    parsed = add(lambda: parse_answer(raw))
    if parsed is None:
        return []
    found.clear()
    add(lambda: refusal("command", parsed))
    summary = add(lambda: parse_summary(parsed))
    status = add(lambda: parse_status(parsed))
    for read in (
        parse_version,
        parse_model,
        parse_miner_info,
        parse_pools,
        parse_psu,
        parse_faults,
    ):
        add(lambda read=read: read(parsed))  # type: ignore[misc]
    for average in (None, 100.0):
        add(lambda average=average: parse_boards(parsed, average))  # type: ignore[misc]
    for dialect in Dialect:
        add(lambda dialect=dialect: activity_of(dialect, status, summary, None))  # type: ignore[misc]
    if is_challenge(parsed):
        add(lambda: derive_token("password", parsed["Msg"]).salt)
    message = add(lambda: message_of("command", parsed))
    if message is not None:
        found.remove(message)
        add(lambda: parse_device(message))
        add(lambda: parse_summary_v3(message, message))
        add(lambda: parse_status_v3(message, message))
        add(lambda: parse_boards_v3(message))
        add(lambda: parse_pools_v3(message, None))
        add(lambda: parse_psu_v3(message))
        add(lambda: parse_faults_v3(message))
    return found


def assert_is_a_value(value: Any) -> None:
    """Whether it is something that a model may hold."""
    if is_dataclass(value):
        for field in fields(value):
            assert_is_a_value(getattr(value, field.name))
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            assert_is_a_value(item)
    elif isinstance(value, dict):
        for item in value.values():
            assert_is_a_value(item)
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, str) and not isinstance(value, Enum):
        assert value.strip()
    elif isinstance(value, WhatsminerError):
        assert str(value)
    else:
        json_types = (type(None), bool, int, Enum)
        assert isinstance(value, json_types) or hasattr(value, "tzinfo")


@settings(deadline=None, max_examples=4 * settings().max_examples)
@given(raw=spoiled())
def test_spoiled_answers(raw: bytes) -> None:
    """One bad byte would end the poll, or put nonsense into an entity."""
    for value in read_everything(raw):
        assert_is_a_value(value)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of an answer."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(deep for key, item in inner for deep in paths(item, (*path, key)))]


odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["nan", "inf", "-1", "", " ", "1e400", "0x10", "١٢"]),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [[None], {}]),
    st.builds(lambda: {"STATUS": "E"}),
)


@settings(deadline=None, max_examples=3 * settings().max_examples)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_odd_values_in_real_answers(data: st.DataObject, name: str) -> None:
    """A value of an unknown kind would end the poll."""
    try:
        parsed: Any = parse_answer(capture(name))
    except WhatsminerError:
        return
    for _ in range(data.draw(st.integers(1, 4))):
        *way, key = data.draw(st.sampled_from(paths(parsed)[1:] or [("x",)]))
        place = parsed
        try:
            for step in way:
                place = place[step]
            place[key] = data.draw(odd_values)
        except TypeError, KeyError, IndexError:
            continue  # an odd value came in between
    for value in read_everything(json.dumps(parsed).encode()):
        assert_is_a_value(value)


# Sealed answers


@settings(deadline=None)
@given(
    sealed=st.one_of(
        st.binary(max_size=64).map(lambda data: data.decode("latin-1")),
        st.text(max_size=40),
        st.binary(max_size=48).map(
            lambda data: encrypt({"x": data.hex()}, KEY)["data"]
        ),
        st.integers(),
        st.none(),
    ),
    key=st.sampled_from(["enc", "data"]),
    aes_key=st.sampled_from([KEY, KEY[::-1]]),
)
def test_sealed_rubbish(sealed: Any, key: str, aes_key: bytes) -> None:
    """An answer that was made with another key would end the client, or be believed."""
    outer = {key: sealed}
    try:
        found = decrypt(outer, aes_key)
    except WhatsminerError:
        return
    assert isinstance(found, dict)
    if isinstance(sealed, str):
        assert aes_key == KEY


@settings(deadline=None)
@given(at=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_sealed_answer_with_a_wrong_bit(at: int, bit: int) -> None:
    """A bit that flipped would turn an error into a success."""
    data = bytearray(encrypt({"STATUS": "E", "Code": 135}, KEY)["data"].encode())
    data[at % len(data)] ^= 1 << bit
    try:
        found = decrypt({"enc": data.decode("latin-1")}, KEY)
    except WhatsminerError:
        return
    assert found.get("STATUS") != "S"


def test_the_limits_are_those_of_the_client() -> None:
    """This would try other limits than those in force."""
    assert transport.MAX_ANSWER == 1 << 18

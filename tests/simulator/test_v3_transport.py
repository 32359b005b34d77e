"""Frames and connections of 4433, with and without failures (protocol.md#e1)."""

import asyncio
from contextlib import suppress
import json
import re
import struct

import pytest

from simulator import ManualClock, SimulatedMiner, Timing
from simulator.failures import FRAMES

from .conftest import EPOCH, V3, Connect, Make, ask

SETTING = '{"cmd":"get.fan.setting"}'
SALT = '{"cmd":"get.device.info","param":"salt"}'
QUICK = Timing(v3_idle_s=0.15)
MINER = "v2c_m60s"


async def settle(miner: SimulatedMiner) -> None:
    """Wait until all connections are closed."""
    async with asyncio.timeout(2):
        while miner.open_v3_connections:
            await asyncio.sleep(0.01)


async def silence(client: V3, seconds: float = 0.1) -> bool:
    """Return whether nothing is received for some time, and the connection stays open."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await client.reader.read(1)
            return False
    return True


async def test_bytes_of_the_page(make: Make, v3: Connect) -> None:
    """If it failed: the length would differ from that of a real miner."""
    client = await v3(await make(MINER))
    client.writer.write(b"\x28\x00\x00\x00" + SALT.encode())
    header = await client.reader.readexactly(4)
    (length,) = struct.unpack("<I", header)
    answer = await client.reader.readexactly(length)
    salt = client.miner.v3_salt
    assert answer.decode() == (
        f'{{"code":0,"when":{EPOCH:.0f},"msg":{{"salt":"{salt}"}},"desc":"get.device.info"}}'
    )


def test_frame_of_a_write() -> None:
    """If it failed: the tests would send frames that differ from the page."""
    request = (
        '{"cmd":"set.miner.service","ts":1760000000,"token":"zxieOvik",'
        '"account":"super","param":"stop"}'
    )
    assert len(request).to_bytes(4, "little") == b"\x5f\0\0\0"


async def test_connection_is_kept(make: Make, v3: Connect) -> None:
    """If it failed: a client could not send several requests on one connection."""
    miner = await make(MINER)
    client = await v3(miner)
    for _ in range(20):
        await client.read("get.fan.setting")
    assert miner.v3_connections_accepted == 1
    assert miner.open_v3_connections == miner.most_open_v3_connections == 1
    assert miner.connections_accepted == 0
    await ask(miner, "status")
    assert miner.connections_accepted == 1
    await client.close()
    await settle(miner)


async def test_two_pipelined_requests(make: Make, v3: Connect) -> None:
    """If it failed: bytes of the second request would be lost."""
    client = await v3(await make(MINER))
    client.send(SALT)
    client.send(SETTING)
    assert json.loads(await client.frame())["desc"] == "get.device.info"
    assert json.loads(await client.frame())["desc"] == "get.fan.setting"


async def test_request_in_pieces(make: Make, v3: Connect) -> None:
    """If it failed: a request in several segments would be an error."""
    client = await v3(await make(MINER))
    for letter in len(SETTING).to_bytes(4, "little") + SETTING.encode():
        client.writer.write(bytes((letter,)))
        await asyncio.sleep(0)
    assert json.loads(await client.frame())["code"] == 0


async def test_silent_connection_is_closed(make: Make, v3: Connect) -> None:
    """If it failed: an idle connection would stay open forever."""
    miner = await make(MINER, timing=QUICK)
    client, half = await v3(miner), await v3(miner)
    half.writer.write(b"\x28\0")
    for _ in range(4):
        await asyncio.sleep(0.08)
        assert (await client.ask("get.fan.setting"))["code"] == 0
    assert await client.ended()
    assert await half.ended()
    await settle(miner)


async def test_heartbeat(make: Make, v3: Connect) -> None:
    """If it failed: a client could not keep its connection alive."""
    miner = await make(MINER, timing=QUICK)
    client = await v3(miner)
    for _ in range(4):
        await asyncio.sleep(0.08)
        client.send("")
    assert await silence(client, 0.05)
    assert (await client.ask("get.fan.setting"))["code"] == 0
    miner.inject("heartbeat_answered")
    client.send("")
    assert await client.frame() == ""
    assert [command.name for command in miner.commands] == ["get.fan.setting"]


async def test_at_most_ten_clients(make: Make, v3: Connect) -> None:
    """If it failed: a client that leaves its connections open would not be noticed."""
    miner = await make(MINER)
    clients = [await v3(miner) for _ in range(10)]
    for client in clients:
        await client.read("get.fan.setting")
    late = await v3(miner)
    assert await late.ended()
    assert miner.open_v3_connections == miner.most_open_v3_connections == 10
    assert miner.v3_connections_accepted == 11
    await clients[0].close()
    async with asyncio.timeout(2):
        while miner.open_v3_connections == 10:
            await asyncio.sleep(0.01)
    assert await (await v3(miner)).read("get.fan.setting")


@pytest.mark.parametrize(
    ("text", "msg"),
    [
        ("rubbish", "json error"),
        ("[1]", "json error"),
        ('{"cmd":"get.fan.setting"', "json error"),
        ("[" * 60_000, "json error"),
        ('{"cmd":"é"}', "json error"),
        ('{"param":"salt"}', "cmd item is null"),
        ('{"cmd":5}', "cmd item is null"),
    ],
)
async def test_what_is_not_a_request(
    make: Make, v3: Connect, text: str, msg: str
) -> None:
    """If it failed: invalid data would stop the simulator or make it hang."""
    client = await v3(await make(MINER))
    data = text.encode()
    client.writer.write(len(data).to_bytes(4, "little") + data)
    answer = json.loads(await client.frame())
    assert (answer["code"], answer["msg"], answer["desc"]) == (-3, msg, "")
    assert await client.read("get.fan.setting")


async def test_a_client_of_the_other_port(make: Make, v3: Connect) -> None:
    """If it failed: JSON without a length would be read as a length of two gigabytes."""
    client = await v3(await make(MINER))
    client.writer.write(b'{"cmd":"status"}')
    assert await client.reader.read() == b""


async def test_client_that_disconnects(make: Make, v3: Connect) -> None:
    """If it failed: a client that drops its connection would stop the simulator."""
    miner = await make(MINER)
    miner.inject("bytewise")
    for _ in range(3):
        client = await v3(miner)
        client.send('{"cmd":"get.device.info"}')
        await client.writer.drain()
        client.writer.transport.abort()
    await settle(miner)
    miner.clear_failures()
    assert await (await v3(miner)).read("get.fan.setting")


async def test_stop_closes_everything(clock: ManualClock, v3: Connect) -> None:
    """If it failed: a test would leave tasks and sockets behind."""
    async with SimulatedMiner(MINER, clock=clock) as miner:
        client = await v3(miner)
        await client.read("get.fan.setting")
    assert await client.ended()
    with pytest.raises(ConnectionRefusedError):
        await v3(miner)


async def test_without_a_v3_port(make: Make) -> None:
    """If it failed: firmware with API v3 behind a firewall could not be simulated."""
    miner = await make(MINER, v3_port=None)
    assert miner.v3_port is None
    assert miner.v3_truth().api_version == "3.0.2"
    assert (await ask(miner, "status"))["STATUS"] == "S"


async def test_v3_port_is_taken(make: Make) -> None:
    """If it failed: a miner could start with only one of its ports."""
    first = await make(MINER)
    second = SimulatedMiner(MINER, v3_port=first.v3_port)
    with pytest.raises(OSError, match=str(first.v3_port)):
        await second.start()
    with pytest.raises(ConnectionRefusedError):
        await ask(second, "status")


async def test_update_of_the_firmware(clock: ManualClock, v3: Connect) -> None:
    """If it failed: an update from 2.x to 3.x could not be tested."""
    mac = "CA:01:14:00:04:EB"
    async with SimulatedMiner("v205_m50", clock=clock, mac=mac) as old:
        port = old.port
        reader, writer = await asyncio.open_connection(old.host, port)
        assert (await ask(old, "get_version"))["Msg"]["api_ver"] == "2.0.5"
    for _ in range(5):
        async with SimulatedMiner(MINER, clock=clock, mac=mac, port=port) as new:
            assert new.port == port
            assert (await ask(new, "get_version"))["Msg"]["api_ver"] == "2.2.2"
            network = await (await v3(new)).read("get.device.info", "network")
            assert network["network"]["mac"] == mac
    assert await reader.read() == b""
    writer.close()


# Reports


async def test_reports(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a client that takes the next frame as its answer would not be noticed."""
    miner = await make(MINER)
    client, other = await v3(miner), await v3(miner)
    assert await client.write("set.miner.report", {"gap": 30}) == (0, "ok")
    await miner.tick()
    clock.advance(29)
    await miner.tick()
    assert await silence(client, 0.05)
    for _ in range(2):
        clock.advance(30)
        await miner.tick()
        report = json.loads(await client.frame())
        assert (report["code"], report["desc"]) == (0, "get.miner.report")
        assert list(report["msg"]) == ["summary", "edevs"]
        status = await client.read("get.miner.status", "summary+edevs")
        assert status == report["msg"]
    assert await client.write("set.miner.report", {"gap": 0}) == (0, "ok")
    clock.advance(300)
    await miner.tick()
    assert await silence(client, 0.05)
    assert await silence(other, 0.05)


async def test_reports_break_the_silence(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: a client that only receives reports would lose its connection."""
    miner = await make(MINER, timing=Timing(v3_idle_s=1.0))
    client = await v3(miner)
    await client.write("set.miner.report", {"gap": 10})
    for _ in range(4):
        clock.advance(11)
        await asyncio.sleep(0.3)
        await miner.tick()
    for _ in range(4):
        assert json.loads(await client.frame())["desc"] == "get.miner.report"
    assert await client.ended()


# Failures


async def test_refused_ports(make: Make, v3: Connect) -> None:
    """If it failed: a single closed port could not be simulated."""
    miner = await make(MINER)
    client = await v3(miner)
    miner.inject("refuse_4433")
    assert await client.ended()
    with pytest.raises(ConnectionRefusedError):
        await v3(miner)
    assert (await ask(miner, "status"))["STATUS"] == "S"
    miner.clear_failures()
    miner.inject("refuse_4028")
    await miner.tick()
    assert await (await v3(miner)).read("get.fan.setting")
    with pytest.raises(ConnectionRefusedError):
        await ask(miner, "status")
    miner.inject("refuse")
    with pytest.raises(ConnectionRefusedError):
        await v3(miner)
    miner.clear_failures()
    await miner.tick()
    assert (await ask(miner, "status"))["STATUS"] == "S"
    assert await (await v3(miner)).read("get.fan.setting")


async def test_silent(make: Make, v3: Connect) -> None:
    """If it failed: a client without a deadline would not be noticed."""
    miner = await make(MINER)
    miner.inject("silent", "get.miner.status", times=1)
    client = await v3(miner)
    client.send('{"cmd":"get.miner.status","param":"summary"}')
    assert await silence(client)
    assert (await client.ask("get.fan.setting"))["desc"] == "get.fan.setting"


async def test_close_reset_truncate(make: Make, v3: Connect) -> None:
    """If it failed: the ways in which a connection breaks could not be simulated."""
    miner = await make(MINER)
    client = await v3(miner)
    whole = await client.ask("get.fan.setting")
    miner.inject("close", times=1)
    client.send(SETTING)
    assert await client.ended()
    miner.inject("reset", times=1)
    client = await v3(miner)
    client.send(SETTING)
    with pytest.raises(ConnectionResetError):
        await client.reader.read()
    miner.inject("truncate", times=1)
    client = await v3(miner)
    client.send(SETTING)
    half = await client.reader.read()
    length = len(json.dumps(whole, separators=(",", ":"))) + 4
    assert len(half) == length // 2
    miner.inject("stall_midway", times=1)
    client = await v3(miner)
    client.send(SETTING)
    assert await client.reader.readexactly(length // 2) == half
    assert await silence(client)


async def test_whole_answers(make: Make, v3: Connect) -> None:
    """If it failed: a client that reads a frame in one piece would not be noticed."""
    miner = await make(MINER)
    client = await v3(miner)
    whole = await client.ask("get.fan.setting")
    for failure in ("bytewise", "split_header", "never_close", "stall_after_answer"):
        miner.inject(failure, times=1)
        assert await client.ask("get.fan.setting") == whole
    miner.inject("nul", times=1)
    client.send(SETTING)
    assert (await client.frame()).endswith("}\0")
    miner.inject("newline", times=1)
    client.send(SETTING)
    assert (await client.frame()).endswith("}\n")


@pytest.mark.parametrize(
    ("failure", "lie"),
    [("long_length", 16), ("short_length", -16), ("huge_length", None)],
)
async def test_lies_about_the_length(
    make: Make, v3: Connect, failure: str, lie: int | None
) -> None:
    """If it failed: a client that trusts every length would not be noticed."""
    miner = await make(MINER)
    client = await v3(miner)
    client.send(SETTING)
    length = len(await client.frame())
    miner.inject(failure, "get.fan.setting")
    client.send(SETTING)
    reported = int.from_bytes(await client.reader.readexactly(4), "little")
    assert reported == (0xFFFFFFFF if lie is None else length + lie)
    await client.reader.readexactly(length)
    assert await silence(client)


async def test_frames_between(make: Make, v3: Connect) -> None:
    """If it failed: a client that takes the next frame as its answer would not be noticed."""
    miner = await make(MINER)
    client = await v3(miner)
    miner.inject("report_between", times=1)
    miner.inject("heartbeat_between", times=1)
    client.send(SETTING)
    assert json.loads(await client.frame())["desc"] == "get.miner.report"
    assert await client.frame() == ""
    assert json.loads(await client.frame())["desc"] == "get.fan.setting"


async def test_reset_midway(make: Make, v3: Connect) -> None:
    """If it failed: a frame that never ends could not be simulated."""
    miner = await make(MINER)
    client = await v3(miner)
    miner.inject("reset_midway")
    client.send(SETTING)
    with pytest.raises(ConnectionResetError):
        await client.reader.readexactly(1000)


async def test_frames_that_are_no_answer(make: Make, v3: Connect) -> None:
    """If it failed: a frame without an answer could not be tested."""
    miner = await make(MINER)
    client = await v3(miner)
    miner.inject("garbage", times=1)
    client.send(SETTING)
    with pytest.raises(UnicodeDecodeError):
        await client.frame()
    miner.inject("huge_answer", times=1)
    client.send(SETTING)
    assert len(await client.frame()) > 10_000_000
    miner.inject("other_answer", times=1)
    assert (await client.ask("get.fan.setting"))["desc"] == "get.miner.history"
    miner.inject("no_answer_frame", times=1)
    client.send(SETTING)
    assert await client.frame() == ""
    assert await silence(client, 0.05)
    miner.inject("no_length", times=1)
    client.send(SETTING)
    assert (await client.reader.readexactly(9)) == b'{"code":0'


@pytest.mark.parametrize("code", [-1, -2, -3, -4, -5])
async def test_errors(make: Make, v3: Connect, code: int) -> None:
    """If it failed: a refusal could not be injected without its cause, or the write would take effect."""
    miner = await make(MINER)
    client = await v3(miner)
    failure = f"error_minus_{-code}"
    miner.inject(failure, "get.fan.setting")
    assert (await client.ask("get.fan.setting"))["code"] == code
    miner.inject(failure, "set.miner.service")
    assert (await client.write("set.miner.service", "stop"))[0] == code
    assert miner.applied == []
    miner.clear_failures()
    assert (await client.write("set.miner.service", "stop"))[0] == 0
    assert miner.applied == ["set.miner.service"]


async def test_failures_of_writes(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a client that trusts an acknowledgement or repeats a write would not be noticed."""
    miner = await make(MINER)
    client = await v3(miner)
    miner.inject("answered_not_applied", "set.miner.service", times=1)
    assert await client.write("set.miner.service", "stop") == (0, "ok")
    clock.advance(5)
    assert miner.truth().mining
    miner.inject("undone", "set.miner.service", times=1)
    assert await client.write("set.miner.service", "stop") == (0, "ok")
    clock.advance(179)
    assert not miner.truth().mining
    clock.advance(3)
    assert miner.truth().mining
    miner.inject("applied_no_answer", "set.miner.service", times=1)
    client.send(client.request("set.miner.service", "stop"))
    assert await silence(client)
    clock.advance(5)
    assert not miner.truth().mining
    miner.inject("close", "set.miner.service", times=1)
    client.send(client.request("set.miner.service", "start"))
    assert await client.ended()
    clock.advance(5)
    assert not miner.truth().mining


async def test_clock_that_was_never_set(make: Make, v3: Connect) -> None:
    """If it failed: a wrong clock could not be tested."""
    miner = await make(MINER)
    client = await v3(miner)
    for failure, when in (("clock_zero", 0), ("clock_negative", -28800)):
        miner.inject(failure, times=1)
        assert (await client.ask("get.fan.setting"))["when"] == when


def test_failures_of_frames_name_their_port() -> None:
    """If it failed: the help would not say that these failures only affect 4433."""
    assert all(re.search(r"\(4433\)$", what) for what in FRAMES.values())

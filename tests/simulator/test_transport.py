"""The socket, with and without failures (protocol.md#a1, #a2 and #a6)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
import json
import re

import pytest

from simulator import FAILURES, ManualClock, SimulatedMiner, Timing
from simulator.auth import BadBase64, BadKey
from simulator.failures import DEVIATIONS, OLD_POOL, PAYLOAD, Failures, spoil
from simulator.server import is_complete

from .conftest import Connect, Make, Writer, ask, ask_text, send

STATUS = b'{"cmd":"status"}'
QUICK = Timing(idle_s=0.1, stall_s=0.2)


async def settle(miner: SimulatedMiner) -> None:
    """Wait until all connections are closed."""
    async with asyncio.timeout(2):
        while miner.open_connections:
            await asyncio.sleep(0.01)


async def read_for(reader: asyncio.StreamReader, seconds: float) -> tuple[bytes, bool]:
    """Read for some time; return the bytes, and whether the other side closed."""
    got = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(1000):
                got += chunk
            return got, True
    return got, False


@pytest.mark.parametrize("end", [b"", b"\n", b"\0", b"\r\n"])
@pytest.mark.parametrize("half_close", [False, True])
async def test_requests_of_all_clients(
    make: Make, end: bytes, half_close: bool
) -> None:
    """If it failed: a client with another line ending would get no answer."""
    miner = await make()
    answer = await send(miner, STATUS + end, half_close=half_close)
    assert json.loads(answer)["STATUS"] == "S"
    await settle(miner)


async def test_request_in_pieces(make: Make) -> None:
    """If it failed: a request in two segments would be an error."""
    miner = await make()
    reader, writer = await asyncio.open_connection(miner.host, miner.port)
    for piece in (STATUS[:5], STATUS[5:]):
        writer.write(piece)
        await asyncio.sleep(0.02)
    writer.write(b"\n")
    assert json.loads(await reader.read())["STATUS"] == "S"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "request_",
    [
        b"get_token",
        b"set_led|auto",
        b"[1]",
        b'{"cmd":}',
        b'{"cmd":"status"',
        b"{\xff}",
        b'"summary"',
        b'{"cmd":' + b"[" * 60_000 + b"}",
    ],
)
async def test_what_is_not_a_request(make: Make, request_: bytes) -> None:
    """If it failed: invalid data would stop the simulator or make it hang."""
    answer = json.loads(await send(await make(), request_, half_close=True))
    assert (answer["STATUS"], answer["Code"], answer["Msg"]) == (
        "E",
        23,
        "json cmd err",
    )


async def test_request_without_a_command(make: Make) -> None:
    """If it failed: an empty object would stop the simulator."""
    assert json.loads(await send(await make(), b'{"info":"mac"}'))["Code"] == 14
    answer = await send(await make("v1_m20s"), b'{"cmd":5}')
    assert b"Missing JSON 'command'" in answer


def test_end_of_a_request() -> None:
    """If it failed: braces and quotes inside of strings would end a request too early."""
    assert is_complete(b'{"a":"}\\"{","b":{}}')
    assert not is_complete(b'{"a":"}"')
    assert not is_complete(b'{"a":{}')
    assert not is_complete(b"  ")
    assert is_complete(b"get_token")


async def test_idle_connection_is_closed(make: Make) -> None:
    """If it failed: a client that sends nothing would keep a connection forever."""
    miner = await make(timing=QUICK)
    reader, writer = await asyncio.open_connection(miner.host, miner.port)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert await send(miner, b"", half_close=True) == b""


async def test_endless_request_is_refused(make: Make) -> None:
    """If it failed: a client could fill the memory."""
    miner = await make()
    answer = await send(miner, b'{"cmd":"' + b"a" * 70_000)
    assert json.loads(answer)["Code"] == 23


async def test_client_that_disconnects(make: Make) -> None:
    """If it failed: a client that drops its connection would stop the simulator."""
    miner = await make()
    miner.inject("bytewise")
    for _ in range(3):
        _, writer = await asyncio.open_connection(miner.host, miner.port)
        writer.write(b'{"cmd":"summary"}')
        await writer.drain()
        writer.transport.abort()
    await settle(miner)
    miner.clear_failures()
    assert (await ask(miner, "status"))["STATUS"] == "S"


async def test_connections_are_counted(make: Make) -> None:
    """If it failed: a client with two simultaneous sockets would not be noticed."""
    miner = await make()
    await asyncio.gather(*(ask(miner, "status") for _ in range(3)))
    await settle(miner)
    assert 1 <= miner.most_open_connections <= 3
    assert miner.open_connections == 0


async def test_stop_closes_everything(clock: ManualClock) -> None:
    """If it failed: a test would leave tasks and sockets behind."""
    miner = SimulatedMiner("v205_m50", clock=clock)
    await miner.stop()
    async with miner:
        reader, writer = await asyncio.open_connection(miner.host, miner.port)
        await asyncio.sleep(0.02)
        assert miner.open_connections == 1
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(miner.host, miner.port)


async def test_real_time_passes_by_itself() -> None:
    """If it failed: the time of a miner in `python -m simulator` would not advance."""
    async with SimulatedMiner(
        "v205_m50", speed=1000, timing=Timing(off_board_s=100)
    ) as miner:
        miner.machine.reboot()
        async with asyncio.timeout(5):
            while miner._listener.is_open:  # noqa: SLF001
                await asyncio.sleep(0.01)
            while not miner._listener.is_open:  # noqa: SLF001
                await asyncio.sleep(0.01)
        assert (await ask(miner, "status"))["STATUS"] == "S"


async def test_port_that_is_in_use_after_a_reboot(make: Make) -> None:
    """If it failed: a port that is in use after a reboot would stop the simulator."""
    miner = await make()
    miner.inject("refuse")
    thief = await asyncio.start_server(
        lambda reader, writer: writer.close(), miner.host, miner.port
    )
    miner.clear_failures()
    await miner.tick()
    thief.close()
    await thief.wait_closed()
    await miner.tick()
    assert (await ask(miner, "status"))["STATUS"] == "S"


async def test_reboot_cuts_other_connections(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a connection would survive a reboot."""
    miner = await make()
    reader, other = await asyncio.open_connection(miner.host, miner.port)
    await writer(miner)("reboot")
    clock.advance(3)
    await miner.tick()
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    other.close()


# Failures


async def test_refuse(make: Make) -> None:
    """If it failed: an unreachable miner could not be simulated."""
    miner = await make()
    miner.inject("refuse")
    with pytest.raises(ConnectionRefusedError):
        await send(miner, STATUS)
    miner.clear_failures()
    await miner.tick()
    assert await send(miner, STATUS)


@pytest.mark.parametrize("half_close", [False, True])
@pytest.mark.parametrize("failure", ["silent", "stall_midway", "never_close"])
async def test_miner_that_stays(make: Make, failure: str, half_close: bool) -> None:
    """If it failed: a client without a deadline would not be noticed."""
    miner = await make()
    miner.inject(failure)
    reader, writer = await asyncio.open_connection(miner.host, miner.port)
    writer.write(STATUS)
    if half_close:
        writer.write_eof()
    got, ended = await read_for(reader, 0.3)
    assert not ended
    whole = len(got) and got.endswith(b"}")
    assert bool(whole) == (failure == "never_close")
    assert bool(got) == (failure != "silent")
    writer.close()
    if not half_close:
        await settle(miner)


async def test_close_and_reset(make: Make) -> None:
    """If it failed: a missing answer could not be simulated in both ways."""
    miner = await make()
    miner.inject("close", times=1)
    assert await send(miner, STATUS) == b""
    miner.inject("reset", times=1)
    with pytest.raises(ConnectionResetError):
        await send(miner, STATUS)
    assert await send(miner, STATUS)


async def test_bytewise(make: Make) -> None:
    """If it failed: clients that stop reading after a short segment would not be noticed."""
    miner = await make()
    whole = await send(miner, STATUS)
    miner.inject("bytewise")
    assert await send(miner, STATUS) == whole


async def test_truncate(make: Make) -> None:
    """If it failed: an answer that is cut off could not be simulated."""
    miner = await make()
    whole = await send(miner, b'{"cmd":"pools"}')
    miner.inject("truncate", "pools")
    assert await send(miner, b'{"cmd":"pools"}') == whole[: len(whole) // 2]
    assert (await ask(miner, "status"))["STATUS"] == "S"


async def test_nul_and_newline(make: Make) -> None:
    """If it failed: the two terminators of real firmware would not be tested with every dialect."""
    miner = await make()
    miner.inject("nul", times=1)
    assert (await send(miner, STATUS)).endswith(b"}\0")
    miner.inject("newline", times=1)
    assert (await send(miner, STATUS)).endswith(b"}\n")
    assert (await send(await make("v1_m20s"), STATUS)).endswith(b"}")
    assert (await send(await make("v2c_m60s"), STATUS)).endswith(b"}\n")


async def test_stall_after_answer(make: Make) -> None:
    """If it failed: a client that waits for the end of the connection would not be noticed."""
    miner = await make(timing=QUICK)
    miner.inject("stall_after_answer")
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert (await send(miner, STATUS)).endswith(b"}")
    assert loop.time() - begin >= 0.19


async def test_byte_a_second(make: Make) -> None:
    """If it failed: a client without a total deadline would not be noticed."""
    miner = await make(timing=replace(QUICK, byte_gap_s=0.05))
    whole = await send(miner, STATUS)
    miner.inject("byte_a_second")
    reader, writer = await asyncio.open_connection(miner.host, miner.port)
    writer.write(STATUS)
    got, ended = await read_for(reader, 0.3)
    assert not ended
    assert whole.startswith(got)
    assert 1 < len(got) < 8
    writer.close()
    await settle(miner)


async def test_reset_midway(make: Make) -> None:
    """If it failed: a reset after half of an answer could not be tested."""
    miner = await make()
    miner.inject("reset_midway")
    with pytest.raises(ConnectionResetError):
        await send(miner, STATUS)


async def test_answers_that_are_none(make: Make) -> None:
    """If it failed: meaningless and huge answers could not be tested."""
    miner = await make()
    miner.inject("garbage", times=1)
    with pytest.raises(UnicodeDecodeError):
        (await send(miner, STATUS)).decode()
    miner.inject("huge_answer", times=1)
    answer = await send(miner, STATUS)
    assert len(answer) > 10_000_000
    assert list(json.loads(answer)) == ["STATUS"]
    miner.inject("btminer_down", times=1)
    assert (await send(miner, STATUS)).startswith(b"Socket connect failed")


@pytest.mark.parametrize("code", [14, 23, 45, 132, 135, 136, 137])
async def test_errors(make: Make, writer: type[Writer], code: int) -> None:
    """If it failed: a refusal could not be injected without its cause, or the write would take effect."""
    miner = await make()
    miner.inject(f"error_{code}", "status")
    answer = await ask(miner, "status")
    assert (answer["STATUS"], answer["Code"]) == ("E", code)
    miner.inject(f"error_{code}", "set_led")
    owner = writer(miner)
    answer, sealed = await owner.send(
        "set_led", color="red", period=200, duration=100, start=0
    )
    assert (answer["Code"], sealed) == (code, code in (14, 132, 135))
    assert miner.applied == []
    assert miner.truth().led_auto
    miner.clear_failures()
    assert (await owner("set_led", param="auto"))["Code"] == 131
    assert miner.applied == ["set_led"]


async def test_broken_seals(make: Make, writer: type[Writer]) -> None:
    """If it failed: an answer that cannot be decrypted could not be simulated."""
    miner = await make()
    owner = writer(miner)
    await owner.authorize()
    miner.inject("wrong_key", times=1)
    with pytest.raises(BadKey):
        await owner("set_led", param="auto")
    miner.inject("broken_seal", times=1)
    with pytest.raises(BadBase64):
        await owner("set_led", param="auto")
    assert miner.applied == ["set_led"] * 2


async def test_write_without_answer(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client that repeats a write after a timeout would not be noticed."""
    miner = await make()
    miner.inject("applied_no_answer", "power_off")
    assert await writer(miner)("power_off") is None
    clock.advance(5)
    assert not miner.truth().mining


async def test_write_without_effect(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client that trusts an acknowledgement would not be noticed."""
    miner = await make()
    miner.inject("answered_not_applied")
    assert (await writer(miner)("power_off"))["Code"] == 131
    clock.advance(5)
    assert miner.truth().mining


async def test_power_off_that_undoes_itself(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a controller that checks only once would not be noticed."""
    miner = await make()
    miner.inject("undone")
    await writer(miner)("power_off")
    clock.advance(179)
    assert not miner.truth().mining
    clock.advance(3)
    assert miner.truth().mining


async def test_closed_write_has_no_effect(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a write would take effect although the connection closes first."""
    miner = await make()
    miner.inject("close", "power_off")
    assert await writer(miner)("power_off") is None
    clock.advance(5)
    assert miner.truth().mining


DEFECTS = {
    "all_null": ("summary", r'"Power":null,'),
    "even_fields": ("status", r'"Msg":\{"mineroff_reason":"","FirmwareVersion"'),
    "odd_fields": ("status", r'"Msg":\{"mineroff":"false","mineroff_time"'),
    "no_fields": ("devs", r'"DEVS":\[\{\},\{\},\{\}\]'),
    "string_numbers": ("summary", r'"Temperature":"76.\d\d",'),
    "all_nan": ("get_psu", r'"vin":nan,'),
    "all_inf": ("summary", r'"Power":-inf,'),
    "all_zero": ("devs", r'"Slot":2,.*"MHS av":0,'),
    "all_nan_text": ("get_psu", r'"vin":"nan"'),
    "all_inf_text": ("summary", r'"Power":"inf"'),
    "null_contents": ("devs", r'"DEVS":null'),
    "text_contents": ("status", r'"Msg":"ok"'),
    "trailing_comma": ("summary", r",\}$"),
    "raw_newline": ("get_version", "\n"),
    "joined_objects": ("devs", r"\}\{"),
    "list_comma": ("devs", r"\[,\{"),
    "psu_comma": ("get_psu", r'""temp0"'),
    "list_of_pairs": ("get_error_code", r'"error_code":\["110":"[^{]*,"2010":"'),
    "leading_comma": ("status", r"^,"),
    "string_nan": ("summary", r'"Power":"nan"'),
    "bare_nan": ("summary", r'"Temperature":-nan,'),
    "string_inf": ("summary", r'"MHS 15m":"inf"'),
    "duplicate_key": ("summary", r'"Uptime":\d+,"Uptime":\d+'),
    "bare_codes": ("nonsense", r'^\{"Code":14\}$'),
    "psu_volts": ("get_psu", r'"iin":"14\.274","vin":"232\.13"'),
    "named_codes": ("get_error_code", r'\{"code":"110"\}'),
    "indexed_codes": ("get_error_code", r'\{"1":"110"\}'),
    "no_asc": ("devs", r'\{"Slot"'),
    "no_mac": ("get_miner_info", r'^(?!.*"mac":)'),
    "no_serials": ("devs", r'^(?!.*"PCB SN":)'),
    "no_flag": ("status", r'"Msg":\{"mineroff_reason"'),
    "no_envelope": ("status", r'^\{"mineroff".*\}$'),
    "clock_zero": ("status", r'"When":0,'),
    "clock_negative": ("status", r'"When":-28800,'),
    "clock_ahead": ("status", r'"When":2015360000,'),
    "clock_huge": ("status", r'"When":9{20},'),
    "clock_words": ("status", r'"When":"now",'),
    "no_clock": ("status", r'"STATUS":"S","Code"'),
    "no_status": ("status", r'^\{"When":\d+,"Msg"'),
    "power_missing": ("summary", r'"Power":-1,'),
    "all_too_high": ("summary", r'"Power":18446744073709551615,'),
    "odd_texts": ("status", r"\\ud800.*x{300}"),
    "odd_mac": ("get_miner_info", r'"mac":"\.\./www/evil"'),
    "many_boards": ("devs", r'"Slot":3999,'),
    "many_codes": ("get_error_code", r'"16999": ""'),
    "description": ("get_version", r'"Description":"btminer"'),
    "lone_backslash": ("pools", r'"User":"dom\\account\.worker1"'),
    "spaces": ("status", r'^\{ \n"STATUS" \n: \n"S" \n, \n'),
    "other_rate_unit": ("summary", r'"MHS av":\d{9}\.\d\d.*"HS RT":\d{3}\.\d\d,'),
    "other_summary_unit": ("summary", r'"MHS av":\d{3}\.\d\d,.*"MHS 15m":\d{3}\.'),
    "status_words": ("status", r'^\{"STATUS":"Success"'),
    "status_object": ("summary", r'^\{"STATUS":\{"STATUS":"S","Msg":"Summary"\},'),
    "byte_order_mark": ("status", "^\ufeff{"),
    "twice": ("status", r'^(\{"STATUS":.*\})\n\1$'),
    "number_of_time": ("get_token", r'"time":\d{1,4},'),
    "same_slots": ("devs", r'(?<="ASC":2,)"Slot":0,'),
    "slots_from_one": ("devs", r'(?<="ASC":2,)"Slot":3,'),
    "no_frequency": ("summary", r'"freq_avg":0,'),
    "other_board_unit": ("devs", r'"MHS av":\d\d\.\d\d,.*"HS RT":\d\d\.\d\d,'),
    "summary_psu": ("summary", r'"Power Voltage Input":228\.75,.*t":14\.\d\d,'),
    "summary_psu_units": ("summary", r'"Power Voltage Input":22875\.0,.*t":14\d{3}\.'),
    "other_reject_unit": ("summary", r'"Pool Rejected%":0\.000\d+,'),
    "pool_words": ("pools", r'"Status":"Rejecting"'),
    "board_tuning": ("summary", r'^(?!.*"Upfreq Complete":)'),
    "float_dust": ("summary", r'"Power Limit":\d{4}\.9{3}'),
    "utc_times": ("get_error_code", r"2023-11-14 22:13:20"),
    "unix_times": ("get_error_code", r'"110":"1718447400"'),
    "no_model": ("devdetails", r'"Model":""'),
    "odd_model": ("devdetails", r'"Model":"N1_X10"'),
    "liquid_model": ("devdetails", r'"Model":"M66S_VK30"'),
}


DEFECTS_OF_OTHERS = {
    "code_text": ('{"code":-2,"msg":"ok"}', '{"code":"-2","msg":"ok"}'),
    "reject_percent": ('{"reject-rate":0.5}', '{"reject-percent":0.5}'),
    "percent_object": (
        '{"power-percent":80}',
        '{"power-percent":{"percent":"80","mode":"normal"}}',
    ),
    "bare_codes": ('{"code":-4,"when":1,"msg":"no"}', '{"code":-4}'),
    "other_reject_unit": ('{"reject-rate":0.5}', '{"reject-rate":0.005000000}'),
    "zero_percent": ('{"power_pct":100}', '{"power_pct":0}'),  # 4028, 2.2.x
    "short_version": (
        '{"api_ver":"whatsminer v1.4.0","Description":"whatsminer v1.4.0"}',
        '{"api_ver":"1.4.0","Description":""}',
    ),
    "codes_from_one": ('{"Error Code 0":110}', '{"Error Code 1":110}'),
    "first_of_joined": (
        '{"msg":{"summary":{},"edevs":[],"pools":[]}}',
        '{"msg":{"summary":{}}}',
    ),
    "other_key_words": ('{"Msg":"enc json load err"}', '{"Msg":"json cmd err"}'),
    "pools_to_remove": (
        '{"POOLS":[{"POOL":1,"To Remove":false}]}',
        f'{{"POOLS":[{OLD_POOL},{{"POOL":1,"To Remove":false}}]}}',
    ),
    "pools_reversed": (
        '{"POOLS":[{"POOL":1},{"POOL":2}]}',
        '{"POOLS":[{"POOL":2},{"POOL":1}]}',
    ),
    "psu_unmeasured": (
        '{"iin":"8718","vin":"22400"}{"iin":15.43,"pin":3573}',
        '{"iin":"0","vin":"0"}{"iin":0,"pin":0}',
    ),
    "listed_notes": (  # 4028, in the envelope
        '{"Msg":{"msg8":"","msg9":"shed"}}',
        '{"Msg":[{"key":"msg8","val":""},{"key":"msg9","val":"shed"}]}',
    ),
}


def test_every_defect_is_tested() -> None:
    """If it failed: a client would meet a failure that the simulator does not really make."""
    elsewhere = {"no_network", "empty_network", "pkcs7_padding", "data_key"}
    tested = DEFECTS.keys() | DEFECTS_OF_OTHERS.keys() | elsewhere
    assert tested == (PAYLOAD | DEVIATIONS).keys()


@pytest.mark.parametrize("failure", DEFECTS_OF_OTHERS)
def test_defects_of_other_profiles(failure: str) -> None:
    """If it failed: what other simulators answer would not be tried."""
    text, spoilt = DEFECTS_OF_OTHERS[failure]
    assert spoil(text, frozenset({failure})) == spoilt


@pytest.mark.parametrize("failure", DEFECTS)
async def test_defects_of_the_text(make: Make, failure: str) -> None:
    """If it failed: a client's repair would be tested with valid text."""
    command, pattern = DEFECTS[failure]
    miner = await make()
    miner.set_errors([110, 2010])
    assert not re.search(pattern, await ask_text(miner, command))
    miner.inject(failure)
    assert re.search(pattern, await ask_text(miner, command))


async def test_other_envelopes(make: Make, writer: type[Writer]) -> None:
    """If it failed: a client that reads one kind of envelope would not be noticed."""
    miner = await make()
    request = await writer(miner).request("set_led", param="auto")
    usual = json.loads(await send(miner, request))["enc"]
    miner.inject("data_key")
    assert json.loads(await send(miner, request))["data"] == usual
    miner.inject("pkcs7_padding")
    padded = json.loads(await send(miner, request))["data"]
    assert (padded[:64], len(padded)) == (usual[:64], len(usual))
    assert padded != usual


async def test_defects_inside_of_the_envelope(make: Make, writer: type[Writer]) -> None:
    """If it failed: only plain answers could be broken."""
    miner = await make()
    miner.inject("clock_zero", "set_led")
    assert (await writer(miner)("set_led", param="auto"))["When"] == 0


def test_failures_are_for_a_command_and_for_some_times() -> None:
    """If it failed: a test could not break one answer of many."""
    failures = Failures()
    failures.inject("nul", "summary", times=1)
    failures.inject("close")
    assert failures.take("pools") == {"close"}
    assert failures.take("summary") == {"close", "nul"}
    assert failures.take("summary") == {"close"}
    failures.clear()
    assert failures.take("summary") == frozenset()
    with pytest.raises(ValueError, match="truncate"):
        failures.inject("flood")
    assert spoil("text", frozenset(FAILURES)) == ",ext"


@pytest.mark.parametrize(
    ("failure", "network"), [("no_network", None), ("empty_network", [])]
)
async def test_defects_of_the_network(
    make: Make, v3: Connect, failure: str, network: list[str] | None
) -> None:
    """If it failed: a peer that leaves its MAC out of API 3 could not be tested."""
    miner = await make("v3_m7bs")
    client = await v3(miner)
    assert (await client.read("get.device.info"))["network"]["mac"]
    miner.inject(failure)
    assert (await client.read("get.device.info")).get("network") == network


async def test_a_field_is_hidden(make: Make, v3: Connect) -> None:
    """If it failed: firmware that leaves a field out could not be tested."""
    miner = await make("v3_m7bs")
    client = await v3(miner)
    miner.inject("hide=power_pct")
    miner.inject("hide=power-percent", "get.miner.setting")
    miner.inject("hide=Power", "summary", times=1)
    assert "power_pct" not in (await ask(miner, "status"))["Msg"]
    assert "power-percent" not in await client.read("get.miner.setting")
    rest = await ask(miner, "summary")
    whole = await ask(miner, "summary")
    assert {**rest["Msg"], "Power": whole["Msg"]["Power"]}.keys() == whole["Msg"].keys()
    assert "Power Limit" in rest["Msg"]
    old = await make("v204_m30sp")
    old.inject("hide=Btminer Fast Boot")
    joined = await ask_text(old, "summary+devs+pools")
    assert "[,{" in joined
    assert "Fast Boot" not in joined
    with pytest.raises(ValueError, match="hide=FIELD"):
        miner.inject("hide=")
    miner.clear_failures()
    assert (await ask(miner, "status"))["Msg"]["power_pct"] == 120

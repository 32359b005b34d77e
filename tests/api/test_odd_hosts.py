"""Hosts that no simulator plays: other machines on the port, captured miners, and odd firmware."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
import json
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    BtminerDownError,
    CommandRefusedError,
    Dialect,
    InvalidAnswerError,
    Miner,
    NoAnswerError,
    NotWhatsminerError,
    PowerMode,
    Section,
    TokenRejectedError,
    UnknownOutcomeError,
    WrongMinerError,
    connect,
    transport,
)
from custom_components.whatsminer.api.parse import JsonObject
from custom_components.whatsminer.api.v2.crypto import derive_token, encrypt

from . import capture, parsed

type Answer = Callable[[bytes], bytes]


class Host:
    """A server that answers each request as it is reported, and remembers the requests."""

    def __init__(self, answer: Answer) -> None:
        """Nothing is open yet."""
        self.answer = answer
        self.requests: list[JsonObject] = []
        self.port = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer once and close."""
        with contextlib.suppress(ConnectionError):
            raw = await reader.read(1 << 16)
            with contextlib.suppress(ValueError):
                self.requests.append(json.loads(raw))
            writer.write(self.answer(raw))
            writer.write_eof()
            await reader.read()
        writer.transport.abort()

    @property
    def commands(self) -> list[str]:
        """The plain commands it was asked, under whichever key."""
        return [
            str(request.get("cmd", request.get("command"))) for request in self.requests
        ]


@pytest.fixture
async def serve(
    client_sockets: list[transport.Line], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[Answer], Awaitable[Host]]]:
    """Start such a host."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.5)
    servers: list[asyncio.Server] = []

    async def start(answer: Answer) -> Host:
        host = Host(answer)
        server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
        host.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        return host

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


type Serve = Callable[[Answer], Awaitable[Host]]

INVALID_CMD = capture("error_14_invalid_cmd_cap.json")
MISSING_COMMAND = capture("error_24_missing_command_v1_cap.json")


def scripted(answers: dict[str, bytes], key: str = "cmd") -> Answer:
    """Answer as a miner of which some answers were captured."""

    def answer(raw: bytes) -> bytes:
        request = json.loads(raw)
        if key not in request:
            return MISSING_COMMAND
        return answers.get(request[key], INVALID_CMD)

    return answer


M20S = {
    "get_version": capture("get_version_v140_cap.json"),
    "summary": capture("summary_v140_cap.json") + b"\0",
    "devs": capture("devs_v140_cap.json") + b"\0",
    "devdetails": capture("devdetails_v203_doc.json").replace(b"M30S+VE40", b"M20SV10"),
    "pools": capture("pools_v140_three_comp.json"),
    "get_psu": capture("get_psu_v140_cap.json"),
    "status": capture("status_v140_20220919_cap.json"),
    "get_token": capture("get_token_134_doc.json"),
}
M7BS = {
    "get_version": capture("get_version_v2c_m7bs_cap.json"),
    "get_miner_info": capture("get_miner_info_v2c_m7bs_cap.json"),
    "summary": capture("summary_v2c_m7bs_cap.json"),
    "edevs": capture("edevs_v2c_m7bs_comp.json"),
    "devdetails": capture("error_132_deprecated_v2c_cap.json"),
    "pools": capture("pools_v2c_m7bs_cap.json"),
    "get_psu": capture("get_psu_stopped_tet.json"),
    "status": capture("status_v2c_m7bs_cap.json"),
    "get_error_code": capture("get_error_code_empty_doc.json"),
    "get_token": capture("get_token_131_comp.json"),
}


async def client(host: Host, **options: Any) -> Miner:
    """Connect to such a host."""
    return await connect("127.0.0.1", host.port, **options)


# Not a WhatsMiner


def cgminer(raw: bytes) -> bytes:
    """Another maker's miner, which listens on the same port."""
    return capture("error_14_cgminer_comp.json") + b"\0"


def cgminer_version(raw: bytes) -> bytes:
    """The same, so friendly as to answer anything with its version."""
    return (
        b'{"STATUS":[{"STATUS":"S","When":1,"Code":22,"Msg":"CGMiner versions",'
        b'"Description":"cgminer 4.11.1"}],"VERSION":[{"CGMiner":"4.11.1"}],"id":1}'
    )


def web_server(raw: bytes) -> bytes:
    """A web server, which does not speak JSON first."""
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>Bad Request"


def json_server(raw: bytes) -> bytes:
    """Something that speaks JSON about other things."""
    return b'{"error":"not found"}'


@pytest.mark.parametrize(
    "answer",
    [
        cgminer,
        cgminer_version,
        web_server,
        json_server,
        lambda raw: raw,
        lambda raw: b"\x16\x03\x01\x02\x00\x01",
        lambda raw: b"[]",
    ],
    ids=["cgminer", "version", "web", "json", "echo", "binary", "list"],
)
async def test_not_a_whatsminer(serve: Serve, answer: Answer) -> None:
    """The user has typed the address of another device, and should be reported that."""
    host = await serve(answer)
    with pytest.raises(NotWhatsminerError):
        await client(host, password="Secret_1")
    assert all("enc" not in request for request in host.requests)


@pytest.mark.parametrize("code", [14, 23, 24, 45, 132, 135, 136])
@pytest.mark.parametrize(
    "text", ["Access denied", "invalid token err", "over max connect"]
)
async def test_not_a_whatsminer_in_other_words(
    serve: Serve, code: int, text: str
) -> None:
    """The codes of cgminer mean other things; the user would be sent to a switch it has not."""
    status = {"STATUS": "E", "When": 1, "Code": code, "Msg": text}
    answer = json.dumps(
        {"STATUS": [status | {"Description": "cgminer 4.11.1"}], "id": 1}
    )
    host = await serve(lambda raw: answer.encode())
    with pytest.raises(NotWhatsminerError):
        await client(host, password="Secret_1")


async def test_a_host_that_hangs_up(serve: Serve) -> None:
    """It may be a miner that has too many connections."""
    with pytest.raises(NoAnswerError):
        await client(await serve(lambda raw: b""))


async def test_a_host_whose_btminer_is_down(serve: Serve) -> None:
    """It is a WhatsMiner, only not now."""
    with pytest.raises(BtminerDownError):
        await client(await serve(lambda raw: capture("btminer_down.txt")))


# Captured miners, read as a whole


async def test_the_captured_m20s(serve: Serve) -> None:
    """Everything that an M20S with firmware of 2021 says arrives where it belongs."""
    host = await serve(scripted(M20S))
    miner = await client(host)
    assert miner.info.dialect is Dialect.V1
    assert miner.info.mac == "C4:08:28:00:A4:19"
    assert miner.info.model == "M20SV10"
    state = await miner.read()
    assert state.failed == {}
    assert state.power_mode is PowerMode.NORMAL
    assert state.power_limit == 3500
    assert state.temperature == 71.5
    assert (state.accepted_shares, state.rejected_shares) == (2338, 0)
    assert [fault.code for fault in state.faults or ()] == [110, 600]
    assert state.active_pool is not None
    assert state.active_pool.index == 1
    assert state.board(0) is not None
    assert state.board(1) is None
    # This firmware says `btmineroff` while it hashes
    assert state.status is not None
    assert state.status.off is True
    assert state.activity is Activity.MINING


async def test_the_captured_m7bs(serve: Serve) -> None:
    """The same for an M7BS of 2026: four boards in TH/s that add up to the summary."""
    host = await serve(scripted(M7BS))
    state = await (await client(host)).read()
    assert state.failed == {}
    assert state.info.model == "M7BS_VM30"
    assert state.summary is not None
    assert [board.hashrate for board in state.boards or ()] == [
        170.62,
        175.49,
        175.56,
        170.35,
    ]
    total = sum(board.hashrate_average or 0 for board in state.boards or ())
    assert total == pytest.approx(state.summary.hashrate_average, abs=0.02)
    assert state.power_mode is PowerMode.HIGH
    assert state.power_limit == 9758
    # The boards report exactly 0, which is no temperature.
    assert state.temperature is None
    assert (state.accepted_shares, state.rejected_shares) == (432, 0)
    assert state.status is not None
    assert state.status.power_percent == 120
    assert state.activity is Activity.MINING
    assert state.mining is True


V1 = M20S | {"get_psu": capture("get_psu_v140_cap.json")}


@pytest.mark.parametrize(
    ("answers", "mac", "temperature", "chips", "volts"),
    [
        pytest.param(
            V1 | {"summary": capture("broken_escaped_quote.txt")},
            "C4:00:00:00:00:11",
            72,
            None,
            None,
            id="a summary with an escape that JSON does not have",
        ),
        pytest.param(
            V1 | {"summary": capture("summary_v1_m21s_without_chip_sensors_cap.json")},
            "C4:00:00:00:00:01",
            72,
            None,
            None,
            id="a model without chip sensors",
        ),
        pytest.param(
            V1 | {"summary": capture("summary_v13_m30s_power_input_cap.json")},
            "C4:00:00:00:00:30",
            70,
            None,
            199.25,
            id="a power supply that only the summary reports",
        ),
    ],
)
async def test_more_captured_miners_of_1_x(
    serve: Serve,
    answers: dict[str, bytes],
    mac: str,
    temperature: float,
    chips: float | None,
    volts: float | None,
) -> None:
    """The owners of these could not add their miner, or saw chips at 0 degrees."""
    miner = await client(await serve(scripted(answers)))
    assert miner.info.mac == mac
    state = await miner.read()
    assert state.failed == {}
    assert state.activity is Activity.MINING
    assert state.temperature == temperature
    assert state.summary is not None
    assert state.summary.chip_temperature_max == chips
    assert state.summary.psu_input_voltage == volts


async def test_shares_that_were_counted_decide_the_reject_rate(serve: Serve) -> None:
    """The rate would be a hundredth of what it is, and a pool that rejects be missed."""
    answers = M7BS | {
        "summary": capture("summary_v2c_one_rejected_cap.json"),
        "pools": capture("pools_v2c_one_rejected_cap.json"),
    }
    state = await (await client(await serve(scripted(answers)))).read()
    assert state.reject_rate == pytest.approx(100 / 2160)


@pytest.mark.parametrize(
    "info",
    [
        "get_miner_info_without_mac_comp.json",
        "error_132_command_error_cap.json",
        "broken_truncated_pools.txt",
    ],
)
async def test_the_mac_of_the_summary(serve: Serve, info: str) -> None:
    """A miner whose get_miner_info has no MAC could not be added."""
    summary = parsed("summary_v205_2023_comp.json")
    summary["SUMMARY"][0]["MAC"] = "CA:01:14:00:04:EB"
    answers = M7BS | {
        "get_miner_info": capture(info),
        "summary": json.dumps(summary).encode(),
    }
    miner = await client(await serve(scripted(answers)))
    assert miner.info.mac == "CA:01:14:00:04:EB"


@pytest.mark.parametrize("command", ["get_version", "get_miner_info", "devdetails"])
async def test_a_known_miner_with_one_unreadable_answer(
    serve: Serve, command: str
) -> None:
    """After a restart of Home Assistant one broken answer would leave all entities unavailable."""
    known = (await client(await serve(scripted(M7BS)))).info
    answers = M7BS | {command: capture("broken_truncated_pools.txt")}
    miner = await client(await serve(scripted(answers)), known=known, mac=known.mac)
    state = await miner.read()
    assert state.activity is Activity.MINING
    assert state.info.model == "M7BS_VM30"
    assert set(state.failed) <= {Section.INFO, Section.SETTINGS}


@pytest.mark.parametrize(
    "name", ["get_error_code_desc_comp.json", "get_error_code_numbers_comp.json"]
)
async def test_a_fault_in_any_form(serve: Serve, name: str) -> None:
    """A miner with a fault would be shown as healthy."""
    answers = M7BS | {"get_error_code": capture(name)}
    state = await (await client(await serve(scripted(answers)))).read()
    assert state.faults


async def test_a_fault_without_its_code_makes_the_list_unknown(serve: Serve) -> None:
    """The same, for a form of the list that is not known."""
    answers = M7BS | {
        "get_error_code": b'{"STATUS":"S","Code":131,"Msg":{"error_code":[{"x":1}]}}'
    }
    state = await (await client(await serve(scripted(answers)))).read()
    assert state.faults is None
    assert set(state.failed) == {Section.FAULTS}


async def test_faults_that_are_still_in_the_summary(serve: Serve) -> None:
    """Firmware between 1.x and 2.0 would be shown without the faults that it lists."""
    answers = NO_INFO | {"summary": OLD_SUMMARY, "get_error_code": INVALID_CMD}
    state = await (await client(await serve(scripted(answers)))).read()
    assert [fault.code for fault in state.faults or ()] == [110, 600]
    answers["summary"] = capture("summary_v205_2023_comp.json")
    state = await (await client(await serve(scripted(answers)))).read()
    assert state.faults is None


async def test_the_boards_under_the_other_command(serve: Serve) -> None:
    """Some 2.2 firmware answers only `devs`."""
    answers = M7BS | {
        "edevs": capture("error_132_unknow_err_v2c_cap.json"),
        "devs": capture("edevs_v2c_m7bs_comp.json"),
    }
    host = await serve(scripted(answers))
    miner = await client(host)
    assert (await miner.read()).board(3) is not None
    host.requests.clear()
    await miner.read(slow=False)
    assert host.commands == ["summary", "devs"]


async def test_a_refused_summary_is_no_restart(serve: Serve) -> None:
    """Only 132 means that btminer is away; the log says what else it was."""
    refused = capture("error_23_json_cmd_err_comp.json")
    host = await serve(scripted(M7BS | {"summary": refused}))
    state = await (await client(host)).read()
    error = state.failed[Section.SUMMARY]
    assert isinstance(error, CommandRefusedError)
    assert error.code == 23
    assert state.activity is None


async def test_what_is_known_without_a_summary(serve: Serve) -> None:
    """While the summary fails the rest still says what it can."""
    down = capture("error_132_command_error_cap.json")
    answers = M7BS | dict.fromkeys(("summary", "edevs", "devs", "pools"), down)
    state = await (await client(await serve(scripted(answers)))).read()
    assert set(state.failed) == {Section.SUMMARY, Section.BOARDS, Section.POOLS}
    assert state.power_mode is PowerMode.HIGH
    assert state.power_limit == 10030
    assert state.temperature is None
    assert state.accepted_shares is None
    assert state.rejected_shares is None
    assert state.active_pool is None
    assert state.activity is Activity.RESTARTING


# The oldest firmware


async def test_firmware_that_wants_the_other_key(serve: Serve) -> None:
    """Firmware of 2020 knows `command` only and would not be found at all."""
    host = await serve(scripted(M20S, key="command"))
    miner = await client(host)
    assert "cmd" in host.requests[0]
    assert all("command" in request for request in host.requests[1:])
    assert (await miner.read()).failed == {}


async def test_firmware_without_get_version(serve: Serve) -> None:
    """It gives a token, so it is a WhatsMiner (protocol.md#e7)."""
    answers = {key: answer for key, answer in M20S.items() if key != "get_version"}
    miner = await client(await serve(scripted(answers)))
    assert miner.info.dialect is Dialect.V1
    assert miner.info.firmware == "20210322.22.REL"
    assert miner.info.mac == "C4:08:28:00:A4:19"
    assert miner.info.unreadable
    assert miner.info.features


async def test_firmware_without_devdetails(serve: Serve) -> None:
    """Its model is unknown; everything else works."""
    answers = {key: answer for key, answer in M20S.items() if key != "devdetails"}
    miner = await client(await serve(scripted(answers)))
    assert miner.info.model is None
    assert miner.info.cooling is None


NO_INFO = M7BS | {"get_miner_info": INVALID_CMD}
OLD_SUMMARY = capture("summary_v140_cap.json")


@pytest.mark.parametrize(
    ("answers", "mac"),
    [
        pytest.param(NO_INFO, None, id="no mac"),
        pytest.param(
            NO_INFO | {"summary": OLD_SUMMARY}, "C4:08:28:00:A4:19", id="summary"
        ),
        pytest.param(NO_INFO | {"summary": INVALID_CMD}, None, id="neither"),
        pytest.param(
            NO_INFO | {"summary": capture("btminer_down.txt")}, None, id="stopped"
        ),
        pytest.param(
            NO_INFO | {"get_miner_info": capture("error_45_write_switch_off_doc.json")},
            None,
            id="not allowed",
        ),
    ],
)
async def test_firmware_without_get_miner_info(
    serve: Serve, answers: dict[str, bytes], mac: str | None
) -> None:
    """One answer that is missing would keep the miner from being added."""
    miner = await client(await serve(scripted(answers)))
    assert miner.info.model == "M7BS_VM30"
    assert miner.info.mac == mac
    assert miner.info.hostname is None
    state = await miner.read()
    assert Section.INFO not in state.failed


async def test_firmware_without_get_miner_info_is_another_miner(serve: Serve) -> None:
    """The MAC in the summary is compared as well."""
    host = await serve(scripted(NO_INFO | {"summary": OLD_SUMMARY}))
    with pytest.raises(WrongMinerError):
        await client(host, mac="00:11:22:33:44:55")


async def test_get_miner_info_without_mac(serve: Serve) -> None:
    """A miner whose MAC is only in the summary could not be added."""
    answers = M7BS | {
        "get_miner_info": capture("get_miner_info_without_mac_comp.json"),
        "summary": OLD_SUMMARY,
    }
    host = await serve(scripted(answers))
    miner = await client(host)
    miner.require_mac()
    assert miner.info.mac == "C4:08:28:00:A4:19"
    assert miner.info.hostname == "WhatsMiner"
    with pytest.raises(WrongMinerError):
        await client(host, mac="00:11:22:33:44:55")


# Odd answers to a write

TOKEN = derive_token("Secret_1", parsed("get_token_134_doc.json")["Msg"])


def sealed(answer: JsonObject) -> bytes:
    """An answer as the miner seals it."""
    return json.dumps({"enc": encrypt(answer, TOKEN.aes_key)["data"]}).encode()


def writable(answer_to_write: bytes) -> Answer:
    """The captured M7BS, which answers a write in one way."""
    read = scripted(M7BS)
    return lambda raw: answer_to_write if b'"enc"' in raw else read(raw)


@pytest.mark.parametrize(
    "answer",
    [
        capture("ok_sealed_b4.json"),
        capture("ok_b4.json"),
        sealed({"STATUS": "S"}),
        sealed({"complete": "true"}),
    ],
    ids=["sealed", "plain", "short", "bare"],
)
async def test_an_acknowledged_write(serve: Serve, answer: bytes) -> None:
    """A done command would be reported as unknown."""
    host = await serve(writable(answer))
    miner = await client(host, password="Secret_1")
    await miner.start_mining()
    assert sum("enc" in request for request in host.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0",
        b"{}",
        b'{"x":1}',
        b'{"enc":1,"data":""}',
        b'{"enc":"AAAA"}',
        b"<html>",
        capture("btminer_down.txt"),
        capture("ok_sealed_b4.json")[:60],
        encrypt({"STATUS": "S"}, b"k" * 32)["data"].encode(),
    ],
)
async def test_an_unclear_answer_to_a_write(serve: Serve, answer: bytes) -> None:
    """It may have happened, so it is neither reported as done nor sent again."""
    host = await serve(writable(answer))
    miner = await client(host, password="Secret_1")
    with pytest.raises(UnknownOutcomeError):
        await miner.start_mining()
    assert sum("enc" in request for request in host.requests) == 1


@pytest.mark.parametrize(
    "name",
    ["error_135_check_token_err_comp.json", "error_json_token_err_comp.json"],
)
@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
async def test_a_rejection_in_either_wrapping(
    serve: Serve, name: str, is_sealed: bool
) -> None:
    """Which errors come sealed depends on the firmware (protocol.md#b6)."""
    answer = sealed(parsed(name)) if is_sealed else capture(name)
    host = await serve(writable(answer))
    miner = await client(host, password="Secret_1")
    with pytest.raises(TokenRejectedError):
        await miner.start_mining()
    assert sum("enc" in request for request in host.requests) == 2


@pytest.mark.parametrize(
    "answer", [b"{}", b"nonsense", b'{"STATUS":"S","Msg":{"time":1,"salt":2}}']
)
async def test_no_token_no_write(serve: Serve, answer: bytes) -> None:
    """Nothing is sent with a token made of nonsense."""
    host = await serve(scripted(M7BS | {"get_token": answer}))
    miner = await client(host, password="Secret_1")
    with pytest.raises(InvalidAnswerError):
        await miner.start_mining()
    assert all("enc" not in request for request in host.requests)

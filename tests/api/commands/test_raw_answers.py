"""Raw answers: all data of every read command, without what is private."""

import json
from typing import Any

from homeassistant.helpers.json import json_bytes
import pytest

from custom_components.whatsminer.api import CommandRefusedError, InvalidAnswerError
from custom_components.whatsminer.api.catalog import data_commands
from custom_components.whatsminer.api.parse import parse_answer
from custom_components.whatsminer.api.redact import redacted

from .conftest import (
    PASSWORD,
    SETUPS,
    V2C,
    V3,
    V3_PASSWORD,
    Client,
    Setup,
    Start,
    every_setup,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


# Raw answers


@every_setup
async def test_every_read_command_gives_its_data(
    start: Start, client: Client, setup: Setup
) -> None:
    """What the integration does not show could not be looked at; or secrets would be shown."""
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    names = miner.data_commands
    assert set(names) == set(data_commands(setup.words)) | (
        set(data_commands(V3)) if setup.v3 else set()
    ) | (set(data_commands(V2C)) if setup.v3 else set())
    for name in names:
        param = {"begin": "1699990000", "end": "1700000000"}
        try:
            answer = await miner.get_data(
                name, param if name == "get.miner.history" else None
            )
        except CommandRefusedError:
            # It has been asked, at least: 2.2 has these no more, and no firmware both (protocol.md#c4, #a4).
            assert name in ("devdetails", "devs", "edevs"), name
            continue
        assert answer
        text = json.dumps(answer)
        for secret in (PASSWORD, V3_PASSWORD, "account.worker1"):
            assert secret not in text, name
        assert not setup.v3 or sim.v3_salt not in text, name
        if name in ("pools", "get.miner.status"):
            assert "btc.example.com" in text
            assert "**REDACTED**" in text
    assert set(names) <= {command.name for command in sim.commands}


async def test_raw_answers_in_part_and_joined(start: Start, client: Client) -> None:
    """An owner who knows the API asks for what he needs."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    status = await miner.get_data("get.miner.status", "summary")
    assert set(status["msg"]) == {"summary"}
    device = await miner.get_data("get.device.info", "salt")
    assert device["msg"] == {"salt": "**REDACTED**"}
    older = SETUPS["2.0.5"]
    sim = await start(older)
    miner = await client(sim, older)
    assert set(await miner.get_data("summary+pools")) >= {"summary", "pools"}
    assert "ip" in (await miner.get_data("get_miner_info", "ip,mac"))["Msg"]


@pytest.mark.parametrize(
    ("command", "param"),
    [
        ("get_token", None),
        ("update_pools", None),
        ("power_off", None),
        ("set.miner.service", "stop"),
        ("get.log.download", None),
        ("summary+get_token", None),
        ("summary+status", None),
        ("summary+", None),
        ("", None),
        ("summary", "x"),
        ("get_miner_info", "ip;mac"),
        ("get.device.info", "everything"),
        ("get.miner.status", {"begin": "1", "end": "2"}),
        ("get.miner.history", None),
        ("get.miner.history", {"begin": "1"}),
        ("get.miner.history", {"begin": "1", "end": "x"}),
    ],
)
async def test_data_is_only_asked_for(
    start: Start, client: Client, command: str, param: Any
) -> None:
    """A way to ask would be a way to stop the miner, or to take its tokens away."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    sim.commands.clear()
    with pytest.raises(ValueError):
        await miner.get_data(command, param)
    assert not sim.commands


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ({"User": "a", "user": ""}, {"User": "**REDACTED**", "user": ""}),
        (
            {"pools": [{"account": "a", "url": "stratum+tcp://u:p@h:1"}]},
            {
                "pools": [
                    {"account": "**REDACTED**", "url": "stratum+tcp://**REDACTED**@h:1"}
                ]
            },
        ),
        (
            {"worker1": 1, "passwd1": "x", "newsalt": "s", "sign": "s"},
            dict.fromkeys(("worker1", "passwd1", "newsalt", "sign"), "**REDACTED**"),
        ),
        ({"Power": 3000, "mac": "C4:08"}, {"Power": 3000, "mac": "C4:08"}),
    ],
)
def test_what_is_private_is_left_out(answer: Any, wanted: Any) -> None:
    """Answers are posted in forums."""
    assert redacted(answer) == wanted


def test_raw_answers_can_be_shown() -> None:
    """A lone surrogate would end the action, and an escape sequence change a terminal."""
    answer = {"a\x1b[2J": ["\ud800x", {"b": "c\0"}]}
    wanted = {"a\ufffd[2J": ["\ufffdx", {"b": "c\ufffd"}]}
    assert redacted(answer) == wanted
    json_bytes(redacted(answer))


def test_an_answer_that_is_nested_too_deeply() -> None:
    """What no page could show would end the action in a traceback."""
    answer = parse_answer(b'{"Msg":' + b"[" * 900 + b"]" * 900 + b"}")
    with pytest.raises(InvalidAnswerError):
        redacted(answer)

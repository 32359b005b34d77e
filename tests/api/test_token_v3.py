"""Tokens of TCP 4433: one for each write, made from what the miner and its owner know (protocol.md#e3)."""

import asyncio
import logging

import pytest

from custom_components.whatsminer.api.errors import AccountRefusedError, WhatsminerError
from custom_components.whatsminer.api.v3.miner import V3Miner
from custom_components.whatsminer.api.v3.protocol import (
    ACCOUNTS,
    DEFAULT_ACCOUNT,
    make_token,
)

from . import parsed

SALT = "uhCiDyVj"
SECRET = "Owner_s-Secret!1"


@pytest.mark.parametrize(
    ("command", "salt", "ts", "token"),
    [
        ("set.miner.pools", "5QAHiKMb", 1692685512, "t5VzZdBe"),
        ("set.miner.service", "Abc123xy", 1759800000, "Cg2iuKaj"),
        ("set.miner.service", SALT, 1760000000, "zxieOvik"),
        ("set.user.change_passwd", SALT, 1760000000, "fOaLUWVa"),
    ],
)
def test_the_vectors_of_the_page(command: str, salt: str, ts: int, token: str) -> None:
    """No write at all would be let in."""
    assert make_token(command, "super", salt, ts) == token


def test_the_documented_request() -> None:
    """The same, as it stands on the wire of a miner."""
    request = parsed("v3_request_service_stop_doc.json")
    token = make_token(request["cmd"], "super", SALT, request["ts"])
    assert request["token"] == token


@pytest.mark.parametrize(
    "other",
    [
        ("set.miner.reboot", "super", SALT, 1760000000),
        ("set.miner.service", "user1", SALT, 1760000000),
        ("set.miner.service", "super", "uhCiDyVk", 1760000000),
        ("set.miner.service", "super", SALT, 1760000001),
    ],
)
def test_a_token_is_good_for_one_thing(other: tuple[str, str, str, int]) -> None:
    """Who hears one could use it for something else."""
    assert make_token(*other) != "zxieOvik"


@pytest.mark.parametrize("odd", ["", "Müller", "密码", "\ud800"])
def test_any_password_and_salt_make_a_token(odd: str) -> None:
    """An umlaut in the password would end every command with a traceback."""
    for token in (
        make_token("set.system.led", odd, SALT, 1),
        make_token("set.system.led", "super", odd, 1),
    ):
        assert len(token) == 8
        assert token.isascii()


def test_the_accounts() -> None:
    """`admin` is not one of them (protocol.md#e3)."""
    assert ACCOUNTS == ("super", "user1", "user2", "user3")
    assert DEFAULT_ACCOUNT in ACCOUNTS


@pytest.mark.usefixtures("client_sockets")
async def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A debug log is posted in forums, and with it the key of the miner."""
    caplog.set_level(logging.DEBUG)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"\xff" * 4)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    miner = V3Miner(
        "127.0.0.1", port, port, account="user1", v3_password=SECRET, password=SECRET
    )
    with pytest.raises(WhatsminerError) as caught:
        await miner.stop_mining()
    server.close()
    await server.wait_closed()
    await miner.close()
    for text in (repr(miner), str(miner), repr(caught.value), caplog.text):
        assert SECRET not in text


def test_a_refused_account_is_named_without_its_password() -> None:
    """The user must know which of the four it is."""
    error = AccountRefusedError("user1")
    assert error.account == "user1"
    assert str(error) == "account user1 is refused"

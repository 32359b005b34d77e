"""Tokens, accounts and encrypted parameters of API v3 (protocol.md#e3 and #e4)."""

from base64 import b64encode
import json
from random import Random
from typing import Any

from Crypto.Cipher import AES
import pytest

from simulator import SimulatedMiner
from simulator.auth_v3 import (
    Accounts,
    NotDecryptedError,
    decrypt,
    digest,
    encrypt,
    new_salt,
    token,
)

from .conftest import EPOCH, Connect, Make, ask

OK = (0, "ok")
FORBIDDEN = (-4, "no permission for write command")
PROFILES = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
WRONG = {
    "v2c_m60s": FORBIDDEN,
    "v3_m7bs": (-2, "invalid token"),
    "v3_m64_bad": (-2, "invalid token"),
}
POOLS_SALT = "5QAHiKMb"
SALT = "uhCiDyVj"
TOKENS = [
    ("set.miner.pools", "super", POOLS_SALT, 1692685512, "t5VzZdBe"),
    ("set.miner.service", "super", "Abc123xy", 1759800000, "Cg2iuKaj"),
    ("set.miner.service", "super", SALT, 1760000000, "zxieOvik"),
    ("set.user.change_passwd", "super", SALT, 1760000000, "fOaLUWVa"),
]
SEALED = [
    (
        TOKENS[0],
        "b7957365d05ec273e788a1034d1a4b0df51b295a3da79d14f46b2bf7b56e4ab3",
        '[{"pool":"stratum+tcp://pool:3333","worker":"worker","passwd":"x"}]',
        "M7c6KBuUVIiP+BnrFxPBexRUr3Zw94Ng42eBDFq02W9o7MSxcGd0EcmSwVx72paF9s8xliqcLqi00gxEFa8AzpW/A3R+69wXNkHPuGtqhA4=",
    ),
    (
        TOKENS[3],
        "7ce68b51655a98391e1319fb534c8777bdf635b76614ba25b3ca048846a278bf",
        '{"account":"super","new":"NewPass1","old":"super"}',
        "zCXPJTNA9lW/jcj1u49GaRGmm5NXoMfs5U03X30dA2JagslC/MCvAbnHa/l3YDWCe8C+lQK0nCwfoUqs6DJU+A==",
    ),
]


@pytest.mark.parametrize(("cmd", "password", "salt", "ts", "expected"), TOKENS)
def test_token_vectors(
    cmd: str, password: str, salt: str, ts: int, expected: str
) -> None:
    """If it failed: no client that works with a real miner could write here."""
    assert token(digest(cmd, password, salt, ts)) == expected


@pytest.mark.parametrize(("request_", "secret", "plain", "sealed"), SEALED)
def test_vectors_of_encrypted_parameters(
    request_: tuple[str, str, str, int, str], secret: str, plain: str, sealed: str
) -> None:
    """If it failed: pools and passwords could not be changed as on a real miner."""
    key = digest(*request_[:4])
    assert key.hex() == secret
    assert encrypt(key, plain) == sealed
    assert decrypt(key, sealed) == json.loads(plain)


def test_zero_padding_is_accepted() -> None:
    """If it failed: a client that pads with zeros, as one project does, could not change pools."""
    key, text = digest(*TOKENS[0][:4]), b'{"a":1}'
    for padded in (text + bytes(9), b'{"a":"12345678"}'):
        sealed = b64encode(AES.new(key, AES.MODE_ECB).encrypt(padded)).decode()
        assert decrypt(key, sealed) == json.loads(padded.rstrip(b"\0"))


def test_what_cannot_be_opened() -> None:
    """If it failed: invalid data would stop the simulator."""
    key, other = digest(*TOKENS[0][:4]), digest(*TOKENS[1][:4])
    for param in (None, 5, "", "no base64!", "YWJj", encrypt(other, "[1]"), [1]):
        with pytest.raises(NotDecryptedError):
            decrypt(key, param)


def test_salt_and_accounts() -> None:
    """If it failed: a salt that base64 or JSON changes would not be tested."""
    accounts = Accounts(Random(1), {"user2": "other"})
    assert accounts.passwords == {
        "super": "super",
        "user1": "user1",
        "user2": "other",
        "user3": "user3",
    }
    assert len(accounts.salt) == 8
    assert new_salt(Random(2)).isalnum()
    assert accounts.secret("admin", "set.miner.service", 1) is None
    with pytest.raises(ValueError, match="admin"):
        Accounts(Random(1), {"admin": "admin"})
    with pytest.raises(ValueError, match="admin"):
        accounts.set_password("admin", "admin")


@pytest.mark.parametrize("profile", PROFILES)
async def test_who_may_write(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: a wrong password would look like another error, or work."""
    miner = await make(profile, v3_password="Secret_1")
    client = await v3(miner, password="Secret_1")
    assert await client.write("set.system.led", "auto") == OK
    for account, password in (
        ("super", "super"),
        ("super", "secret_1"),
        ("admin", "admin"),
        ("user1", "user2"),
    ):
        other = await v3(miner, account, password)
        assert await other.write("set.miner.service", "stop") == WRONG[profile]
    assert miner.truth().mining
    assert (
        await client.write("set.system.led", "auto", token="zxieOvik")
        == (WRONG[profile])
    )


async def test_token_is_for_one_command(make: Make, v3: Connect) -> None:
    """If it failed: an intercepted token would work for every command."""
    miner = await make("v3_m7bs")
    client = await v3(miner)
    seen = json.loads(client.request("set.system.led", "auto"))
    answer = await client.write("set.miner.service", "stop", token=seen["token"])
    assert answer[0] == -2


@pytest.mark.parametrize("field", ["ts", "token", "account"])
async def test_field_is_missing(make: Make, v3: Connect, field: str) -> None:
    """If it failed: a client that omits a field would not be noticed."""
    client = await v3(await make("v2c_m60s"))
    request = json.loads(client.request("set.system.led", "auto"))
    for value in (None, [1]):
        client.send(json.dumps(request | {field: value}))
        answer = json.loads(await client.frame())
        assert (answer["code"], answer["msg"]) == (-3, f"{field} item is null")


@pytest.mark.parametrize("seconds", [-301, -300, 0, 300, 301])
async def test_clock_skew(make: Make, v3: Connect, seconds: int) -> None:
    """If it failed: a client whose clock differs from the miner's would not be noticed."""
    miner = await make("v2c_m60s")
    client = await v3(miner)
    expected = OK if abs(seconds) <= 300 else FORBIDDEN
    ts = int(EPOCH) + seconds
    assert await client.write("set.system.led", "auto", ts=ts) == expected
    miner.ts_tolerance_s = None
    assert await client.write("set.system.led", "auto", ts=ts) == OK


async def test_clock_of_the_miner(make: Make, v3: Connect) -> None:
    """If it failed: a miner with a wrong clock could not be tested."""
    miner = await make("v2c_m60s", clock_offset_s=-7200)
    client = await v3(miner)
    ts = int(EPOCH)
    assert await client.write("set.system.led", "auto", ts=ts) == FORBIDDEN
    when = (await client.ask("get.miner.setting"))["when"]
    assert when == ts - 7200
    assert (await ask(miner, "status"))["When"] == when
    assert (await ask(miner, "get_token"))["Msg"]["time"] == f"{when % 10000:04d}"
    assert await client.write("set.system.led", "auto", ts=when) == OK
    miner.clock_offset_s = 0
    assert miner.clock_offset_s == 0
    assert await client.write("set.system.led", "auto", ts=ts) == OK


@pytest.mark.parametrize("profile", PROFILES)
async def test_api_switch(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: a client could not see that the API switch is off."""
    miner = await make(profile, api_switch=False)
    client = await v3(miner)
    system = await client.read("get.device.info", "system")
    assert system["system"]["apiswitch"] == "0"
    assert miner.v3_truth().api_switch is False
    assert await client.write("set.miner.service", "stop") == FORBIDDEN
    assert miner.truth().mining
    miner.api_switch = True
    system = await client.read("get.device.info", "system")
    assert system["system"]["apiswitch"] == "1"
    assert await client.write("set.miner.service", "stop") == OK


async def test_permissions_of_users(make: Make, v3: Connect) -> None:
    """If it failed: an account with few permissions would be tested on a miner that grants all."""
    miner = await make("v2c_m60s")
    owner, user = await v3(miner), await v3(miner, "user1")
    assert await user.write("set.system.led", "auto") == FORBIDDEN
    rights = {"user": "user1", "permission": "set.system.led, set.miner.pools"}
    assert await owner.write("set.user.permission", rights) == OK
    assert miner.v3_permissions["user1"] == {"set.system.led", "set.miner.pools"}
    reported = (await owner.read("get.device.info"))["miner"]["permission"]
    assert reported == "super=255 user1=2 user2=0 user3=0"
    assert await user.write("set.system.led", "auto") == OK
    assert await user.write("set.miner.service", "stop") == FORBIDDEN
    miner.v3_permissions["user1"].add("set.user.permission")
    assert await user.write("set.user.permission", rights) == FORBIDDEN
    for wrong in (rights | {"user": "super"}, rights | {"permission": "set.coffee"}):
        assert (await owner.write("set.user.permission", wrong))[0] == -2
    assert (await owner.write("set.user.permission", "user1"))[0] == -3
    assert (await owner.write("set.user.permission", rights | {"permission": 1})) == (
        -3,
        "param item is null",
    )


async def test_change_of_a_password(make: Make, v3: Connect) -> None:
    """If it failed: a change of the password could not be tested."""
    miner = await make("v2c_m60s")
    owner, user = await v3(miner), await v3(miner, "user1")
    cmd = "set.user.change_passwd"
    salt = miner.v3_salt
    new = {"account": "super", "new": "NewPass1", "old": "super"}
    assert await owner.write(cmd, new) == (-3, "param item is null")
    assert await owner.write(cmd, new | {"old": "other"}, sealed=True) == (
        -1,
        "old password is wrong",
    )
    assert (await owner.write(cmd, new | {"account": "admin"}, sealed=True))[0] == -2
    for wrong in ([], new | {"new": ""}, new | {"new": 5}):
        assert (await owner.write(cmd, wrong, sealed=True))[0] == -3
    assert await user.write(cmd, new, sealed=True) == FORBIDDEN
    miner.v3_permissions["user1"].add(cmd)
    assert await user.write(cmd, new, sealed=True) == FORBIDDEN
    own = {"account": "user1", "new": "NewPass2", "old": "user1"}
    assert await user.write(cmd, own, sealed=True) == OK
    assert await owner.write(cmd, new, sealed=True) == OK
    assert miner.v3_salt != salt
    assert await owner.write("set.system.led", "auto") == FORBIDDEN
    owner.password = "NewPass1"
    assert await owner.write("set.system.led", "auto") == OK
    miner.set_v3_password("super", "another")
    assert await owner.write("set.system.led", "auto") == FORBIDDEN


async def test_passwords_of_users(make: Make, v3: Connect) -> None:
    """If it failed: a user's password could not differ from the account name."""
    miner = await make("v2c_m60s", v3_passwords={"user3": "three"})
    miner.v3_permissions["user3"] = {"set.system.led"}
    client = await v3(miner, "user3", "three")
    assert await client.write("set.system.led", "auto") == OK


async def test_v2_and_v3_passwords_are_independent(
    make: Make, v3: Connect, writer: Any
) -> None:
    """If it failed: a client could assume that both ports have the same password."""
    miner = await make("v2c_m60s", password="two", v3_password="three")
    assert (await writer(miner, "two")("set_led", param="auto"))["Code"] == 131
    assert (await writer(miner, "three")("set_led", param="auto"))["Code"] == 23
    assert (
        await (await v3(miner, password="three")).write("set.system.led", "auto")
    ) == (OK)


def test_no_v3_before_2024() -> None:
    """If it failed: a typing error in a test would go unnoticed."""
    miner = SimulatedMiner("v205_m50", v3_port=4433)
    assert miner.v3_port is None
    for look in (
        miner.v3_truth,
        lambda: miner.v3_permissions,
        lambda: miner.v3_salt,
        lambda: miner.set_v3_password("super", "x"),
    ):
        with pytest.raises(AttributeError, match="v205_m50"):
            look()
    assert miner.open_v3_connections == 0
    assert miner.most_open_v3_connections == miner.v3_connections_accepted == 0

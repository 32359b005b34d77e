"""Keys, envelopes and tokens, checked with the page's vectors (section B of docs/protocol.md)."""

import base64
import json
from random import Random

from Crypto.Cipher import AES
import pytest

from simulator import ManualClock, Timing
from simulator.auth import BadBase64, BadKey, Envelope, TokenTable, new_salt

from .conftest import Make, Writer, ask, send

SALT, NEWSALT, TIME = "BQ5hoXV9", "jbzkfQls", "5626"
ANSWER = '{"STATUS":"S","When":1700000000,"Code":131,"Msg":"API command OK","Description":""}'
VECTORS = [
    (
        "Secret_1",
        "RzVZtGVq2oDkhGqCbE6vE.",
        "OdffuW586TDDPE2A3sGnC/",
        "0efa6d0ba9210f9dbeae981ce6efcc8b8c26f6397651b26074c5529ec7777654",
        "avyAvobhW93oo0PTMIW6ZiLoumAG/7N5ZaB5j0xLZ5Ky9/XUZ3cGM0aDoNcPmLsIrKEiNMBa5K81q9JftyJRTvTnU3KNft3gIqpfTaloHtw=",
    ),
    (
        "admin",
        "RxmaDUO33TS7O26yeMHZ81",
        "w.BNbkCV6n1aNWgiBWLzT/",
        "199e0a202039bb7b558db7a54697dca29cb278055b7e659a127fb844d5a2fbf6",
        "p/QzYk8jszmQrR9dnOEVtaPTSYTwuzWzOiNE09jSGcRcER0yaNSpJ6czz2LANmXehOLdO5aS2aFfa7CVQ2hJVzD3SneVLmG9HaIgBQB0if8=",
    ),
]


@pytest.mark.parametrize(("password", "key", "token", "aes", "sealed"), VECTORS)
def test_vectors(password: str, key: str, token: str, aes: str, sealed: str) -> None:
    """If it failed: no client that works with a real miner would work here."""
    envelope = Envelope(password, SALT)
    assert envelope.key == key
    assert envelope.sign(TIME, NEWSALT) == token
    assert envelope.sign("1594175626", NEWSALT) == token
    plain = f'{{"cmd":"power_off","token":"{token}","respbefore":"true"}}'
    assert envelope.encrypt(plain) == sealed
    assert envelope.decrypt(sealed) == json.loads(plain)
    cipher = AES.new(bytes.fromhex(aes), AES.MODE_ECB)
    assert cipher.decrypt(base64.b64decode(sealed)).rstrip(b"\0").decode() == plain


def test_vector_of_an_answer() -> None:
    """If it failed: clients could not read the answer to a write."""
    assert Envelope("Secret_1", SALT).encrypt(ANSWER) == (
        "TYT4ud20EjlVzI6oN5s5yESjTkGRf4XbJ2EG17ORq2XPro7LM7z/BB6ar+5Vkw5T1mbfMdtg6xrB8tiESOLuzp3NzTceZV"
        "/6GHJAIKWmyKOYkCPodHD8m3OFJbqSFP/D"
    )


def test_pkcs7_padding_is_accepted() -> None:
    """If it failed: MicroBT's own client, which pads this way, could not command this miner."""
    sealed = "avyAvobhW93oo0PTMIW6ZiLoumAG/7N5ZaB5j0xLZ5Ky9/XUZ3cGM0aDoNcPmLsIrKEiNMBa5K81q9JftyJRTiIU6QFIe51JVYrp0V5haPA="
    assert Envelope("Secret_1", SALT).decrypt(sealed)["cmd"] == "power_off"


def test_what_cannot_be_opened() -> None:
    """If it failed: invalid data from the network would stop the simulator."""
    envelope = Envelope("admin", SALT)
    for data in ("no base64!", "abc", None, 5):
        with pytest.raises((BadBase64, BadKey)):
            envelope.decrypt(data)
    with pytest.raises(BadKey):
        envelope.decrypt(base64.b64encode(b"short").decode())
    with pytest.raises(BadKey):
        envelope.decrypt(Envelope("other", SALT).encrypt('{"cmd":"status"}'))
    with pytest.raises(BadKey):
        envelope.decrypt(envelope.encrypt('["cmd"]'))


async def test_token_has_the_shape_of_the_page(make: Make) -> None:
    """If it failed: `time` with leading zeros and other lengths of the salt would not be tested."""
    miner = await make(epoch=1_700_000_007)
    first = await ask(miner, "get_token")
    second = await ask(miner, "get_token")
    assert list(first) == ["STATUS", "When", "Code", "Msg", "Description"]
    assert list(first["Msg"]) == ["time", "salt", "newsalt"]
    assert first["Msg"]["time"] == "0007"
    assert first["Msg"]["salt"] == second["Msg"]["salt"]
    assert first["Msg"]["newsalt"] != second["Msg"]["newsalt"]
    assert len(first["Msg"]["newsalt"]) == 8
    assert miner.tokens_issued == 2


@pytest.mark.parametrize(
    ("profile", "code"),
    [("v1_m20s", 134), ("v204_m30sp", 133), ("v205_m50", 134), ("v2c_m60s", 131)],
)
async def test_codes_of_get_token(make: Make, profile: str, code: int) -> None:
    """If it failed: a client that expects a single success code would not be noticed."""
    assert (await ask(await make(profile), "get_token"))["Code"] == code


async def test_wrong_password_gets_plain_23(make: Make, writer: type[Writer]) -> None:
    """If it failed: a wrong password would look like another error."""
    answer, sealed = await writer(await make(), "wrong").send("status")
    assert not sealed
    assert (answer["STATUS"], answer["Code"], answer["Msg"]) == (
        "E",
        23,
        "enc json load err",
    )


async def test_switched_off_api_gets_plain_45(make: Make, writer: type[Writer]) -> None:
    """If it failed: a client could not see that the API switch is off."""
    miner = await make(api_switch=False)
    owner = writer(miner)
    answer, sealed = await owner.send("power_off")
    assert not sealed
    assert (answer["Code"], answer["Msg"]) == (45, "can't access write cmd")
    answer, sealed = await owner.send("status")
    assert sealed
    assert answer["STATUS"] == "S"
    miner.api_switch = True
    assert (await owner("power_off"))["Code"] == 131


async def test_token_ends(make: Make, writer: type[Writer], clock: ManualClock) -> None:
    """If it failed: a client that never renews its token would not be noticed."""
    miner = await make()
    owner = writer(miner)
    assert (await owner("set_led", param="auto"))["Code"] == 131
    clock.advance(1799)
    assert (await owner("set_led", param="auto"))["Code"] == 131
    clock.advance(2)
    answer, sealed = await owner.send("set_led", param="auto")
    assert sealed
    assert (answer["Code"], answer["Msg"]) == (135, "check token err")
    await owner.authorize()
    assert (await owner("set_led", param="auto"))["Code"] == 131
    miner.forget_tokens()
    assert (await owner("set_led", param="auto"))["Code"] == 135


async def test_token_is_missing(make: Make, writer: type[Writer]) -> None:
    """If it failed: a client that omits the token would not be noticed."""
    answer, sealed = await writer(await make()).send("power_off", token=None)
    assert sealed
    assert answer["Msg"] == "json token err"


async def test_token_table_is_full(make: Make, clock: ManualClock) -> None:
    """If it failed: a client that requests a token for every write would not be noticed."""
    miner = await make()
    for _ in range(32):
        assert isinstance((await ask(miner, "get_token"))["Msg"], dict)
    answer = await ask(miner, "get_token")
    assert (answer["STATUS"], answer["Code"], answer["Msg"]) == (
        "E",
        136,
        "over max connect",
    )
    clock.advance(1801)
    assert (await ask(miner, "get_token"))["Code"] == 134
    miner.fill_token_table()
    assert (await ask(miner, "get_token"))["Code"] == 136


async def test_busy_token_table_of_2_2_waits_again_from_every_request(
    make: Make, clock: ManualClock
) -> None:
    """If it failed: a client that keeps sending get_token would not be locked out as on a real miner."""
    miner = await make("v2c_m60s")
    miner.fill_token_table()
    for _ in range(3):
        assert (await ask(miner, "get_token"))["Code"] == 136
        clock.advance(170)
    assert (await ask(miner, "get_token"))["Code"] == 136
    clock.advance(181)
    assert (await ask(miner, "get_token"))["Code"] == 131


def test_token_belongs_to_an_address(clock: ManualClock) -> None:
    """If it failed: a token stolen from another computer would work."""
    table = TokenTable(clock, limit=3, per_ip=2, life_s=10, busy_s=0)
    table.add("192.0.2.1", "token")
    assert table.knows("192.0.2.1", "token")
    assert not table.knows("192.0.2.2", "token")
    assert table.has_room("192.0.2.1")


async def test_changed_password(make: Make, writer: type[Writer]) -> None:
    """If it failed: a password change by another program could not be tested."""
    miner = await make()
    owner = writer(miner)
    salt = (await ask(miner, "get_token"))["Msg"]["salt"]
    await owner.authorize()
    miner.set_password("other")
    assert (await ask(miner, "get_token"))["Msg"]["salt"] != salt
    assert (await owner("status"))["Code"] == 23
    assert (await writer(miner, "other")("status"))["Code"] == 131


async def test_reboot_forgets_tokens(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: an invalid token after a reboot could not be tested."""
    miner = await make(timing=Timing(off_board_s=5))
    owner = writer(miner)
    await owner("reboot")
    clock.advance(10)
    await miner.tick()
    assert (await owner("set_led", param="auto"))["Code"] == 135


@pytest.mark.parametrize(("data", "code"), [("%%%", 137), ("YWJj", 23), (None, 23)])
async def test_broken_envelopes(make: Make, data: object, code: int) -> None:
    """If it failed: a client would get no error code for a broken envelope."""
    raw = await send(await make(), json.dumps({"enc": 1, "data": data}).encode())
    assert json.loads(raw)["Code"] == code


async def test_plain_write_is_refused(make: Make) -> None:
    """If it failed: a client without the password could stop a miner."""
    miner = await make()
    answer = await ask(miner, "power_off")
    assert (answer["STATUS"], answer["Code"], answer["Msg"]) == (
        "E",
        14,
        "invalid data",
    )
    assert miner.truth().mining


async def test_reads_work_in_the_envelope(make: Make, writer: type[Writer]) -> None:
    """If it failed: a client could not test a password without changing something."""
    answer, sealed = await writer(await make()).send("status")
    assert sealed
    assert answer["Msg"]["mineroff"] == "false"


async def test_unknown_command_in_the_envelope(
    make: Make, writer: type[Writer]
) -> None:
    """If it failed: a client could not detect a command that this firmware lacks."""
    answer, sealed = await writer(await make()).send("make_coffee")
    assert sealed
    assert answer["Code"] == 14


def test_salt_looks_like_a_salt() -> None:
    """If it failed: md5-crypt would cut or refuse it."""

    assert len(new_salt(Random(1))) == 8


@pytest.mark.parametrize("key", ["cmd", "command"])
async def test_both_names_of_a_sealed_command(
    make: Make, writer: type[Writer], key: str
) -> None:
    """If it failed: clients that send `command` would be refused, unlike on a miner."""
    miner = await make()
    owner = writer(miner)
    await owner.authorize()
    assert owner.envelope
    request = {key: "status", "token": owner.token}
    data = owner.envelope.encrypt(json.dumps(request))
    answer = await send(miner, json.dumps({"enc": 1, "data": data}).encode())
    assert owner.opened(json.loads(answer))[0]["Msg"]["mineroff"] == "false"

"""The envelope of writes: the test vectors of protocol.md#b4, made with OpenSSL, and nothing secret leaks."""

import base64
from dataclasses import dataclass
import json
import time
import traceback

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
import pytest

from custom_components.whatsminer.api.errors import (
    BtminerDownError,
    InvalidAnswerError,
    WhatsminerError,
)
from custom_components.whatsminer.api.parse import JsonObject
from custom_components.whatsminer.api.v2.crypto import (
    Token,
    decrypt,
    derive_token,
    encrypt,
    md5_crypt_digest,
)

from . import parsed

CHALLENGE = {"time": "5626", "salt": "BQ5hoXV9", "newsalt": "jbzkfQls"}
OK = {
    "STATUS": "S",
    "When": 1700000000,
    "Code": 131,
    "Msg": "API command OK",
    "Description": "",
}


@dataclass(frozen=True)
class Vector:
    """One test vector of protocol.md#b4."""

    password: str
    key: str
    sign: str
    aes: str
    data: str


VECTORS = [
    Vector(
        password="Secret_1",
        key="RzVZtGVq2oDkhGqCbE6vE.",
        sign="OdffuW586TDDPE2A3sGnC/",
        aes="0efa6d0ba9210f9dbeae981ce6efcc8b8c26f6397651b26074c5529ec7777654",
        data=(
            "avyAvobhW93oo0PTMIW6ZiLoumAG/7N5ZaB5j0xLZ5Ky9/XUZ3cGM0aDoNcPmLsI"
            "rKEiNMBa5K81q9JftyJRTvTnU3KNft3gIqpfTaloHtw="
        ),
    ),
    Vector(
        password="admin",
        key="RxmaDUO33TS7O26yeMHZ81",
        sign="w.BNbkCV6n1aNWgiBWLzT/",
        aes="199e0a202039bb7b558db7a54697dca29cb278055b7e659a127fb844d5a2fbf6",
        data=(
            "p/QzYk8jszmQrR9dnOEVtaPTSYTwuzWzOiNE09jSGcRcER0yaNSpJ6czz2LANmXe"
            "hOLdO5aS2aFfa7CVQ2hJVzD3SneVLmG9HaIgBQB0if8="
        ),
    ),
]
AES_1 = bytes.fromhex(VECTORS[0].aes)
WRONG_AES = bytes.fromhex(VECTORS[1].aes)

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.password)


def unsealed(envelope: JsonObject, aes_key: bytes) -> bytes:
    """The plaintext of a request, padding and all."""
    return (
        Cipher(algorithms.AES(aes_key), modes.ECB())
        .decryptor()
        .update(base64.b64decode(envelope["data"]))
    )


def sealed(plain: bytes, aes_key: bytes = AES_1) -> str:
    """An answer, encrypted as the miner does it."""
    encryptor = Cipher(algorithms.AES(aes_key), modes.ECB()).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


@each_vector
def test_the_key_of_a_password(vector: Vector) -> None:
    """A wrong key means that no password is ever right."""
    assert md5_crypt_digest(vector.password, CHALLENGE["salt"]) == vector.key


@each_vector
@pytest.mark.parametrize(
    "name",
    ["get_token_131_comp.json", "get_token_133_doc.json", "get_token_134_doc.json"],
)
def test_the_token_of_a_challenge(vector: Vector, name: str) -> None:
    """A wrong sign means that the miner rejects every command."""
    token = derive_token(vector.password, parsed(name)["Msg"])
    assert token.sign == vector.sign
    assert token.aes_key.hex() == vector.aes
    assert token.salt == "BQ5hoXV9"


@each_vector
def test_the_envelope_byte_for_byte(vector: Vector) -> None:
    """The miner would answer `enc json load err`, as for a wrong password."""
    token = derive_token(vector.password, CHALLENGE)
    command = {"cmd": "power_off", "token": token.sign, "respbefore": "true"}
    assert encrypt(command, token.aes_key) == {"enc": 1, "data": vector.data}


def test_the_envelope_of_the_page() -> None:
    """The captured request and the one that is sent are the same."""
    token = derive_token("Secret_1", CHALLENGE)
    plain = parsed("request_power_off_plain_b4.json")
    assert plain["token"] == token.sign
    assert encrypt(plain, token.aes_key) == parsed("request_power_off_sealed_b4.json")


@pytest.mark.parametrize(
    "name",
    ["request_power_off_sealed_b4.json", "request_power_off_sealed_pkcs7_b4.json"],
)
def test_both_paddings_are_understood(name: str) -> None:
    """Some firmware may answer with the padding that other clients use."""
    plain = parsed("request_power_off_plain_b4.json")
    assert decrypt(parsed(name), AES_1) == plain


def test_the_answer_of_the_page() -> None:
    """A done command would be reported as unknown."""
    assert parsed("ok_b4.json") == OK
    assert decrypt(parsed("ok_sealed_b4.json"), AES_1) == OK


def test_an_answer_with_pkcs7_padding() -> None:
    """The same with the padding of other firmware: 83 bytes and 13 of padding."""
    plain = json.dumps(OK, separators=(",", ":")).encode()
    assert len(plain) == 83
    assert decrypt({"enc": sealed(plain + b"\x0d" * 13)}, AES_1) == OK


@pytest.mark.parametrize("key", ["enc", "data"])
def test_an_answer_under_either_name(key: str) -> None:
    """Two clients look for it under `data`, so some firmware may use that."""
    text = parsed("ok_sealed_b4.json")["enc"]
    assert decrypt({key: text}, AES_1) == OK
    assert decrypt({"enc": 1, "data": text}, AES_1) == OK


def test_an_answer_with_line_breaks_in_base64() -> None:
    """OpenSSL on the miner breaks lines unless reported not to."""
    text = parsed("ok_sealed_b4.json")["enc"]
    assert decrypt({"enc": f"{text[:64]}\n{text[64:]}\n"}, AES_1) == OK


def test_a_plain_answer_is_given_back() -> None:
    """Most refusals come in plain and would be lost."""
    answer = parsed("error_45_write_switch_off_doc.json")
    assert decrypt(answer, AES_1) is answer


def test_btminer_down_in_the_envelope() -> None:
    """The same words mean the same when they come encrypted."""
    text = sealed(b"Socket connect failed: Connection refused\n".ljust(48, b"\0"))
    with pytest.raises(BtminerDownError):
        decrypt({"enc": text}, AES_1)


@pytest.mark.parametrize(
    "text",
    ["", "A", "****", "QUJD", "é", sealed(b"\0" * 16), sealed(b"[1]".ljust(16, b"\0"))],
)
def test_an_envelope_that_cannot_be_opened(text: str) -> None:
    """Garbage is an unknown outcome, never a success."""
    with pytest.raises(InvalidAnswerError):
        decrypt({"enc": text}, AES_1)


def test_an_answer_for_another_key() -> None:
    """After a change of the password the old key opens nothing, and says so."""
    with pytest.raises(InvalidAnswerError):
        decrypt(parsed("ok_sealed_b4.json"), WRONG_AES)


def test_a_time_with_leading_zeros() -> None:
    """Once in ten tokens a command would be rejected."""
    key = VECTORS[0].key
    token = derive_token("Secret_1", parsed("get_token_time_0000_comp.json")["Msg"])
    assert token.sign == md5_crypt_digest(key + "0000", "jbzkfQls")
    assert token.sign != md5_crypt_digest(key + "0", "jbzkfQls")


def test_only_the_last_four_digits_of_a_time_count() -> None:
    """Firmware that sends the whole epoch would reject every command."""
    challenge = CHALLENGE | {"time": "1594175626"}
    assert derive_token("Secret_1", challenge).sign == VECTORS[0].sign


@pytest.mark.parametrize("worker", ["bergmann", "größe", "矿工一号", "⛏" * 5, "é" * 16])
def test_padding_counts_bytes(worker: str) -> None:
    """A pool worker with an umlaut could not be set."""
    command = {"cmd": "update_pools", "worker1": worker}
    plain = unsealed(encrypt(command, AES_1), AES_1)
    assert len(plain) % 16 == 0
    text = plain.rstrip(b"\0")
    assert len(plain) - len(text) < 16
    assert json.loads(text.decode()) == command
    assert worker.encode() in text


@pytest.mark.parametrize("length", range(1, 34))
def test_no_padding_when_none_is_needed(length: int) -> None:
    """A whole block of padding more is not what the document says."""
    command = {"a": "x" * length}
    plain = unsealed(encrypt(command, AES_1), AES_1)
    assert len(plain) == -(-(length + 8) // 16) * 16


@pytest.mark.parametrize("password", ["pässwörd", "a" * 14, "with space", "$1$x", '"'])
def test_a_password_of_any_kind(password: str) -> None:
    """The documents say 8 letters; owners have others."""
    assert len(derive_token(password, CHALLENGE).sign) == 22


@pytest.mark.parametrize(
    "challenge",
    [
        {},
        {"salt": "BQ5hoXV9", "newsalt": "jbzkfQls"},
        CHALLENGE | {"salt": ""},
        CHALLENGE | {"newsalt": None},
        CHALLENGE | {"time": []},
        CHALLENGE | {"salt": "much too long for it"},
        CHALLENGE | {"salt": "not$good"},
        CHALLENGE | {"newsalt": "ü"},
    ],
)
def test_a_challenge_that_is_none(challenge: JsonObject) -> None:
    """A write would be sent with a token made of nothing."""
    with pytest.raises(InvalidAnswerError):
        derive_token("Secret_1", challenge)


# Secrets


def assert_tells_nothing(text: str) -> None:
    """None of the secrets of vector 1 is in a text."""
    vector = VECTORS[0]
    for secret in (vector.password, vector.key, vector.sign, vector.aes, repr(AES_1)):
        assert secret not in text


def test_a_token_does_not_show_its_secrets() -> None:
    """They would be in a log that is posted in a forum."""
    token = derive_token("Secret_1", CHALLENGE)
    for text in (
        repr(token),
        str(token),
        f"{token}",
        repr([token]),
        repr({"t": token}),
    ):
        assert_tells_nothing(text)
        assert token.salt not in text


def raised(call: object, *args: object) -> WhatsminerError:
    """The error of a call."""
    assert callable(call)
    with pytest.raises(WhatsminerError) as caught:
        call(*args)
    return caught.value


def test_no_error_shows_a_secret() -> None:
    """Nor would the traceback of an error be safe to post."""
    errors = [
        raised(derive_token, "Secret_1", CHALLENGE | {"newsalt": "ü$ü"}),
        raised(derive_token, "Secret_1\0", CHALLENGE),
        raised(decrypt, {"enc": "no base64!"}, AES_1),
        raised(decrypt, {"enc": sealed(b"\xff" * 16)}, AES_1),
    ]
    for error in errors:
        assert_tells_nothing(repr(error))
        # Without the source lines, which hold the literals of this very test.
        link: traceback.TracebackException | None
        link = traceback.TracebackException.from_exception(error)
        while link:
            assert_tells_nothing("".join(link.format_exception_only()))
            hidden = link.__suppress_context__
            link = link.__cause__ or (None if hidden else link.__context__)


def test_a_token_takes_a_moment() -> None:
    """It is made off the event loop for that; a second would be felt even there."""
    begin = time.perf_counter()
    for _ in range(10):
        derive_token("Secret_1", CHALLENGE)
    each = (time.perf_counter() - begin) / 10
    print(f"derive_token: {each * 1000:.2f} ms")  # noqa: T201
    assert each < 0.5


def test_a_token_is_a_value() -> None:
    """Two equal challenges give the same token, so it can be kept."""
    assert derive_token("Secret_1", CHALLENGE) == Token(
        VECTORS[0].sign, AES_1, "BQ5hoXV9"
    )

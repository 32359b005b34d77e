"""The write envelope of TCP 4028: md5-crypt key and sign, AES-256-ECB (section B)."""

import base64
import binascii
from dataclasses import dataclass
import hashlib
import json
from typing import Any

from Crypto.Cipher import AES
from Crypto.Cipher._mode_ecb import EcbMode
from passlib.hash import md5_crypt

from ..errors import InvalidAnswerError
from ..parse import JsonObject, as_text, parse_padded

BLOCK = 16


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """The right to write for a while: the sign, and the AES key made from the password.

    It has no repr on purpose: both are secrets.
    """

    sign: str
    aes_key: bytes
    salt: str


def md5_crypt_digest(secret: str, salt: str) -> str:
    """The 22 characters after the salt of `$1$` md5-crypt (protocol.md#b2). A few ms of pure Python."""
    return str(md5_crypt.using(salt=salt).hash(secret)).rsplit("$", 1)[1]


def derive_token(password: str, challenge: JsonObject) -> Token:
    """Make a token from the `Msg` of `get_token` (protocol.md#b1, #b2).

    A thousand rounds of MD5 twice: call it off the event loop. Raises InvalidAnswerError for a
    challenge without its three fields.
    """
    salt, newsalt, time = (
        as_text(challenge.get(key)) for key in ("salt", "newsalt", "time")
    )
    if salt is None or newsalt is None or time is None:
        raise InvalidAnswerError("get_token without salt, newsalt and time")
    try:
        key = md5_crypt_digest(password, salt)
        sign = md5_crypt_digest(key + time[-4:].zfill(4), newsalt)
    except ValueError:
        # passlib's message could quote its input: drop it
        raise InvalidAnswerError("get_token with an unusable salt") from None
    return Token(sign, hashlib.sha256(key.encode("ascii")).digest(), salt)


def aes_ecb(key: bytes) -> EcbMode:
    """Return the cipher of either port."""
    return AES.new(key, AES.MODE_ECB)


def encrypt(command: JsonObject, aes_key: bytes) -> JsonObject:
    """Put a command (with its token) into the envelope (protocol.md#b3)."""
    plain = json.dumps(command, separators=(",", ":"), ensure_ascii=False).encode()
    plain += bytes(-len(plain) % BLOCK)
    data = base64.b64encode(aes_ecb(aes_key).encrypt(plain))
    return {"enc": 1, "data": data.decode("ascii")}


def decrypt(answer: JsonObject, aes_key: bytes) -> JsonObject:
    """Decrypt an answer; return a plain one unchanged (protocol.md#b6)."""
    encrypted: Any = answer.get("enc")
    if not isinstance(encrypted, str):
        encrypted = answer.get("data")
    if not isinstance(encrypted, str):
        return answer
    try:
        cipher = base64.b64decode("".join(encrypted.split()), validate=True)
        plain = aes_ecb(aes_key).decrypt(cipher)
    except (binascii.Error, ValueError) as err:
        raise InvalidAnswerError("answer cannot be decrypted") from err
    return parse_padded(plain)

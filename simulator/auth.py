"""Passwords, tokens and the encrypted envelope (section B of docs/protocol.md)."""

from base64 import b64decode, b64encode
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
import hashlib
import json
from random import Random

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from passlib.hash import md5_crypt

SALT_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BLOCK = 16


class BadBase64(Exception):
    """The value of `data` is not base64."""


class BadKey(Exception):
    """The text does not decrypt to JSON: it has another key, or is not an encrypted text."""


@lru_cache(1000)
def crypt(password: str, salt: str) -> str:
    """Return the last field of md5-crypt: a thousand rounds, and each start of a miner needs one."""
    hashed: str = md5_crypt.using(salt=salt).hash(password)
    return hashed.split("$")[3]


def aes_encrypt(key: bytes, blocks: bytes) -> bytes:
    """Encrypt whole blocks with AES-256-ECB, as on both ports."""
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


def aes_decrypt(key: bytes, sealed: bytes) -> bytes:
    """Decrypt whole blocks; raises ValueError where the last one is not whole."""
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    return decryptor.update(sealed) + decryptor.finalize()


def new_salt(random: Random) -> str:
    """Return eight letters of the md5-crypt alphabet."""
    return "".join(random.choices(SALT_LETTERS, k=8))


class Envelope:
    """Encrypts and decrypts with the key derived from a password and its salt."""

    def __init__(self, password: str, salt: str) -> None:
        """Derive the key."""
        self.password = password
        self.salt = salt
        self.key = crypt(password, salt)
        self._aes = hashlib.sha256(self.key.encode()).digest()

    def sign(self, time: str, newsalt: str) -> str:
        """Return the token that belongs to one answer of get_token."""
        return crypt(self.key + time[-4:], newsalt)

    def decrypt(self, data: object) -> dict[str, object]:
        """Decrypt a request; ignore NUL and PKCS#7 padding, and anything after the object."""
        try:
            sealed = b64decode(data if isinstance(data, str) else "", validate=True)
        except (binascii.Error, ValueError) as err:
            raise BadBase64 from err
        if not sealed or len(sealed) % BLOCK:
            raise BadKey
        try:
            text = aes_decrypt(self._aes, sealed).decode(errors="surrogateescape")
            request, _ = json.JSONDecoder(strict=False).raw_decode(text)
        except (ValueError, RecursionError) as err:
            raise BadKey from err
        if not isinstance(request, dict):
            raise BadKey
        return request

    def encrypt(self, text: str, *, pkcs7: bool = False) -> str:
        """Encrypt an answer, padded with NUL to a whole block, or as PKCS#7."""
        data = text.encode()
        missing = -len(data) % BLOCK
        count = missing or BLOCK
        padded = data + (bytes([count]) * count if pkcs7 else b"\0" * missing)
        return b64encode(aes_encrypt(self._aes, padded)).decode()


@dataclass(frozen=True, slots=True)
class Session:
    """One token that was issued."""

    ip: str
    token: str
    expires: float


class TokenTable:
    """The sessions of a miner, limited in number and lifetime (protocol.md#b5)."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        limit: int,
        per_ip: int,
        life_s: float,
        busy_s: float,
    ) -> None:
        """Start empty."""
        self._clock = clock
        self._limit = limit
        self._per_ip = per_ip
        self._life_s = life_s
        self._busy_s = busy_s
        self._busy_until: float | None = None
        self._sessions: list[Session] = []
        self.issued = 0

    def has_room(self, ip: str) -> bool:
        """Return whether this address can get another token.

        With `busy_s`, a full table issues no token for that long. Each further request restarts
        this time. The table is empty afterwards [WMC].
        """
        now = self._clock()
        self._sessions = [
            session for session in self._sessions if session.expires > now
        ]
        of_ip = sum(session.ip == ip for session in self._sessions)
        full = len(self._sessions) >= self._limit or of_ip >= self._per_ip
        if not self._busy_s:
            return not full
        if self._busy_until is not None:
            if now < self._busy_until:
                self._busy_until = now + self._busy_s
                return False
            self.forget()
            return True
        if full:
            self._busy_until = now + self._busy_s
        return not full

    def add(self, ip: str, token: str) -> None:
        """Record a token that was issued to an address."""
        self._sessions.append(Session(ip, token, self._clock() + self._life_s))
        self.issued += 1

    def knows(self, ip: str, token: object) -> bool:
        """Return whether this token is valid for this address now."""
        now = self._clock()
        return any(
            session.ip == ip and session.token == token and session.expires > now
            for session in self._sessions
        )

    def forget(self) -> None:
        """Delete all tokens."""
        self._sessions.clear()
        self._busy_until = None

    def fill(self) -> None:
        """Fill the table with the tokens of other clients."""
        room = self._limit - len(self._sessions)
        expires = self._clock() + self._life_s
        self._sessions += [Session("another client", "", expires)] * room

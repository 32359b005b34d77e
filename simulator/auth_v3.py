"""Accounts, tokens and encrypted parameters of API v3 (sections E.3 and E.4 of docs/protocol.md)."""

from base64 import b64decode, b64encode
import binascii
from collections.abc import Mapping
import hashlib
import json
from random import Random
import string

from Crypto.Cipher import AES

from .auth import BLOCK

SUPER = "super"
USERS = ("user1", "user2", "user3")
SALT_LETTERS = string.ascii_letters + string.digits
TOKEN_LENGTH = 8


class NotOpened(Exception):
    """An encrypted parameter that is none, or was made with another key."""


def new_salt(random: Random) -> str:
    """Eight letters and digits."""
    return "".join(random.choices(SALT_LETTERS, k=8))


def digest(cmd: str, password: str, salt: str, ts: int) -> bytes:
    """Return the secret of one request: its token begins with it, its parameter is sealed with it."""
    return hashlib.sha256(f"{cmd}{password}{salt}{ts}".encode()).digest()


def token(secret: bytes) -> str:
    """Return the token of one request."""
    return b64encode(secret).decode()[:TOKEN_LENGTH]


def seal(secret: bytes, text: str) -> str:
    """Encrypt a parameter, padded as MicroBT's own client does."""
    data = text.encode()
    length = BLOCK - len(data) % BLOCK
    sealed = AES.new(secret, AES.MODE_ECB).encrypt(data + bytes([length]) * length)
    return b64encode(sealed).decode()


def open_sealed(secret: bytes, param: object) -> object:
    """Decrypt a parameter; PKCS#7 and NUL padding are both ignored, like anything after the JSON."""
    try:
        sealed = b64decode(param if isinstance(param, str) else "", validate=True)
        text = AES.new(secret, AES.MODE_ECB).decrypt(sealed).decode()
        value, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (binascii.Error, ValueError, RecursionError) as err:
        raise NotOpened from err
    return value


class Accounts:
    """Who may do what, and how they prove it."""

    def __init__(self, random: Random, passwords: Mapping[str, str]) -> None:
        """Give everybody the password that an account has from the factory: its name."""
        names = (SUPER, *USERS)
        if unknown := passwords.keys() - set(names):
            raise ValueError(
                f"Unknown account {', '.join(unknown)}; known are {', '.join(names)}"
            )
        self._random = random
        self.passwords = {name: name for name in names} | dict(passwords)
        # What the users may do; super may do everything
        self.permissions: dict[str, set[str]] = {user: set() for user in USERS}
        self.salt = new_salt(random)

    def set_password(self, account: str, password: str) -> None:
        """Change a password, and the salt with it (as on 4028; nobody documents it)."""
        if account not in self.passwords:
            raise ValueError(f"Unknown account {account!r}")
        self.passwords[account] = password
        self.salt = new_salt(self._random)

    def reset(self) -> None:
        """Give every account what it has from the factory."""
        self.passwords = {name: name for name in (SUPER, *USERS)}
        for commands in self.permissions.values():
            commands.clear()
        self.salt = new_salt(self._random)

    def secret(self, account: object, cmd: str, ts: int) -> bytes | None:
        """Return the secret that a request of this account has to know."""
        if not isinstance(account, str) or account not in self.passwords:
            return None
        return digest(cmd, self.passwords[account], self.salt, ts)

    def may(self, account: str, cmd: str) -> bool:
        """Whether this account is allowed to do that; only super hands out permissions."""
        return account == SUPER or (
            cmd in self.permissions[account] and cmd != "set.user.permission"
        )

    def told(self) -> str:
        """Return what get.device.info says; a user's figure is the count of what he may do (inferred)."""
        users = (f"{user}={len(self.permissions[user])}" for user in USERS)
        return " ".join((f"{SUPER}=255", *users))

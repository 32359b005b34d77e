"""Accounts, tokens and encrypted parameters of API v3 (protocol.md#e3 and #e4)."""

from base64 import b64decode, b64encode
import binascii
from collections.abc import Mapping
import hashlib
import json
from random import Random
import string

from .auth import BLOCK, aes_decrypt, aes_encrypt

SUPER = "super"
USERS = ("user1", "user2", "user3")
SALT_LETTERS = string.ascii_letters + string.digits
TOKEN_LENGTH = 8


class NotDecryptedError(Exception):
    """The parameter is not encrypted, or was encrypted with another key."""


def new_salt(random: Random) -> str:
    """Return eight letters and digits."""
    return "".join(random.choices(SALT_LETTERS, k=8))


def digest(cmd: str, password: str, salt: str, ts: int) -> bytes:
    """Return the secret of one request: its token starts with it, its parameter is encrypted with it."""
    return hashlib.sha256(f"{cmd}{password}{salt}{ts}".encode()).digest()


def token(secret: bytes) -> str:
    """Return the token of one request."""
    return b64encode(secret).decode()[:TOKEN_LENGTH]


def encrypt(secret: bytes, text: str) -> str:
    """Encrypt a parameter, padded as MicroBT's own client does."""
    data = text.encode()
    length = BLOCK - len(data) % BLOCK
    encrypted = aes_encrypt(secret, data + bytes([length]) * length)
    return b64encode(encrypted).decode()


def decrypt(secret: bytes, param: object) -> object:
    """Decrypt a parameter; ignore PKCS#7 and NUL padding, and anything after the JSON."""
    try:
        encrypted = b64decode(param if isinstance(param, str) else "", validate=True)
        text = aes_decrypt(secret, encrypted).decode()
        value, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (binascii.Error, ValueError, RecursionError) as err:
        raise NotDecryptedError from err
    return value


class Accounts:
    """The accounts, their passwords and their permissions."""

    def __init__(self, random: Random, passwords: Mapping[str, str]) -> None:
        """Give every account its factory default password: its name."""
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
        """Change a password and the salt (as on 4028; not documented for 4433)."""
        if account not in self.passwords:
            raise ValueError(f"Unknown account {account!r}")
        self.passwords[account] = password
        self.salt = new_salt(self._random)

    def reset(self) -> None:
        """Restore the factory defaults of all accounts."""
        self.passwords = {name: name for name in (SUPER, *USERS)}
        for commands in self.permissions.values():
            commands.clear()
        self.salt = new_salt(self._random)

    def secret(self, account: object, cmd: str, ts: int) -> bytes | None:
        """Return the secret for a request of this account."""
        if not isinstance(account, str) or account not in self.passwords:
            return None
        return digest(cmd, self.passwords[account], self.salt, ts)

    def may(self, account: str, cmd: str) -> bool:
        """Return whether this account may send the command; only super may change permissions."""
        return account == SUPER or (
            cmd in self.permissions[account] and cmd != "set.user.permission"
        )

    def permission_counts(self) -> str:
        """Return the permission field of get.device.info: for a user, the number of permitted commands (inferred)."""
        users = (f"{user}={len(self.permissions[user])}" for user in USERS)
        return " ".join((f"{SUPER}=255", *users))

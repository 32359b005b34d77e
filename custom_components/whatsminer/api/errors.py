"""What can go wrong with a miner: one tree of exceptions, each with one cause and one remedy.

No message carries a password, token, key or pool user: they may be logged as they are.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import override


class WhatsminerError(Exception):
    """Base of everything this client raises."""

    key = "unknown"
    """The key of the sentence that says what to do."""
    named: Mapping[str, str] = MappingProxyType({})
    """What the sentence names, beside the host."""


INVALID = {
    "range": "{field} must be between {lowest} and {highest}, not {value}",
    "choice": "{field} must be one of {allowed}, not {value}",
    "form": "{field} does not have the form that a miner takes: {value}",
    "count": "{field} must have 1 to {most} entries, not {count}",
    "pool_url": "the URL of pool {pool} is not like scheme://host:port",
    "pool_text": "the {field} of pool {pool} is empty, too long, or has control characters",
    "led_twice": "there are two patterns for the same LED",
    "address": "{field} must be the IPv4 address of a device, not {value}",
    "dhcp_alone": "with DHCP no address can be set",
    "netmask": "{value} is not a netmask",
    "gateway": "gateway {gateway} is not a neighbour of {address} in {network}",
    "network_address": "{address} stands for the whole of {network}",
    "password_form": "a password is made of 1 to 64 letters, digits, underscores",
    "text_length": "{field} must be a line of at most {most} bytes",
    "read_command": "{command} is not a read command of this miner",
    "parameter": "{command} does not take {value}",
    "image_size": "an image has 1 to {most} bytes, not {size}",
    "image_changed": "the image does not have {size} bytes",
    "feature": "API {version} cannot set {feature}",
}
"""What can be wrong with a request, by its key."""


class InvalidValueError(ValueError):
    """A request that no miner, or not this one, would understand; nothing was sent."""

    def __init__(self, key: str, **named: object) -> None:
        """Say what is wrong, by its key and what the sentence names."""
        self.key = key
        self.named = {name: str(value) for name, value in named.items()}
        super().__init__(INVALID[key].format(**self.named))


class CannotConnectError(WhatsminerError):
    """Nothing answers at the address: refused, no route, or no connection in time.

    Raised before a single byte was sent, so a write that ends this way did not happen.
    """

    key = "cannot_connect"


class PortClosedError(CannotConnectError):
    """The miner answers on 4028, but not on the port of API 3.x, which takes its commands (protocol.md#e7)."""

    key = "port_closed"

    def __init__(self, port: int) -> None:
        """Name the port."""
        super().__init__(f"no connection to port {port}, though 4028 answers")
        self.port = port
        self.named = {"port": str(port)}


class NoAnswerError(WhatsminerError):
    """Connected and requested, but no complete answer came before the deadline."""

    key = "no_answer"


class InvalidAnswerError(WhatsminerError):
    """The answer is too large, not JSON even after the known repairs, or of an unknown shape."""

    key = "invalid_answer"


class NotWhatsminerError(WhatsminerError):
    """Something answers at the address, but it is not a WhatsMiner."""

    key = "not_whatsminer"


class BtminerDownError(WhatsminerError):
    """The control board answers, but btminer does not run (stopped or restarting, protocol.md#a4)."""

    key = "btminer_down"


class UnknownOutcomeError(WhatsminerError):
    """A write was sent and not answered: it may or may not have taken effect (protocol.md#d8)."""

    key = "unknown_outcome"


class WrongMinerError(WhatsminerError):
    """Another miner has got the address; nothing was written to it."""

    key = "wrong_miner"

    def __init__(self, expected: str, found: str) -> None:
        """Name both miners by their MAC."""
        super().__init__(f"expected miner {expected}, found {found}")
        self.expected = expected
        self.found = found
        self.named = {"expected": expected.upper(), "found": found.upper()}


class NoMacError(WhatsminerError):
    """The miner does not report its MAC address, so it cannot be identified.

    Raised before a write was sent: another machine may have the miner's address.
    """

    key = "no_mac"


class CommandRefusedError(WhatsminerError):
    """The miner answered a command with an error; it did not take effect.

    `code` is the message code of protocol.md#a4, or None where the miner sent none.
    """

    key = "command_refused"

    def __init__(self, command: str, code: int | None, message: str) -> None:
        """Store the answer of the miner."""
        super().__init__(command, code, message)
        self.command = command
        self.code = code
        self.message = message
        self.named = {"command": command, "code": str(code), "message": message}

    @override
    def __str__(self) -> str:
        return f"{self.command}: code {self.code}: {self.message}"


class UnsupportedCommandError(CommandRefusedError):
    """This firmware does not know the command (code 14 `invalid cmd`, or deprecated)."""

    key = "unsupported_command"


class WriteRefusedError(WhatsminerError):
    """Base of the reasons for which a miner accepts no command."""


class NoPasswordError(WriteRefusedError):
    """No admin password is known, so nothing can be written."""

    key = "no_password"


class WrongPasswordError(WriteRefusedError):
    """The miner cannot decrypt a command with this password (code 23, protocol.md#b6)."""

    key = "wrong_password"


class AccountRefusedError(WriteRefusedError):
    """The account of API 3.x is refused: its password is wrong, or it may not write (protocol.md#e2)."""

    key = "account_refused"

    def __init__(self, account: str) -> None:
        """Name the account, which is no secret."""
        super().__init__(f"account {account} is refused")
        self.account = account
        self.named = {"account": account}


class WriteApiDisabledError(WriteRefusedError):
    """The API switch of the miner is off (code 45, protocol.md#b7; `apiswitch`, protocol.md#e3)."""

    key = "write_api_disabled"


class TokenTableFullError(WriteRefusedError):
    """The miner has given out all its tokens (code 136, protocol.md#b5).

    `retry_after` is the number of seconds until a token is requested again.
    """

    key = "token_table_full"

    def __init__(self, retry_after: float) -> None:
        """Keep how long to wait."""
        super().__init__(f"token table full, wait {retry_after:.0f} s")
        self.retry_after = retry_after
        self.named = {"seconds": f"{retry_after:.0f}"}


class TokenRejectedError(WriteRefusedError):
    """A fresh token was rejected too (code 135, twice)."""

    key = "token_rejected"

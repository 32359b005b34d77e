"""The commands that each simulated dialect knows, for tests that compare with docs/protocol.md."""

from collections.abc import Mapping

from . import commands, commands_v3
from .api_v3 import LOG
from .dialect import Dialect
from .dialect_v1 import DialectV1
from .dialect_v2 import DialectV2, DialectV204
from .dialect_v2c import DialectV2c
from .dialect_v3 import DialectV3

DIALECTS: dict[str, type[Dialect]] = {
    "v1": DialectV1,
    "v204": DialectV204,
    "v205": DialectV2,
    "v2c": DialectV2c,
}
TOKEN = "get_token"


def names(dialect: str) -> frozenset[str]:
    """Return all commands of a dialect: v1, v204, v205 and v2c on 4028, v3 on 4433.

    Firmware may be older than a command; `since` in the table of v3 says so.
    """
    return reads(dialect) | writes(dialect)


def reads(dialect: str) -> frozenset[str]:
    """Return the commands that need no token."""
    if dialect == "v3":
        return frozenset((*DialectV3.READS, LOG))
    return frozenset((*DIALECTS[dialect].READS, TOKEN))


def writes(dialect: str) -> frozenset[str]:
    """Return the commands that need a token."""
    table: Mapping[str, object] = (
        commands_v3.WRITES if dialect == "v3" else commands.WRITES[dialect]
    )
    return frozenset(table)

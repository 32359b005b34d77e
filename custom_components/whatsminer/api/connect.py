"""Identify the API at an address, and return a Miner."""

import asyncio
from collections.abc import Mapping
from typing import Any

from .capabilities import with_capabilities
from .errors import (
    CannotConnectError,
    InvalidAnswerError,
    NoAnswerError,
    NotWhatsminerError,
)
from .miner import Miner
from .models import Dialect, MinerInfo
from .v2.miner import V2Miner
from .v3.miner import V3Miner
from .v3.protocol import DEFAULT_ACCOUNT

DEFAULT_PORT = 4028
DEFAULT_V3_PORT = 4433


async def connect(
    host: str,
    port: int = DEFAULT_PORT,
    *,
    password: str | None = None,
    mac: str | None = None,
    v3_port: int | None = DEFAULT_V3_PORT,
    account: str = DEFAULT_ACCOUNT,
    v3_password: str | None = None,
    known: MinerInfo | None = None,
    budget: float | None = None,
) -> Miner:
    """Return the miner at an address: on API 3.x if it has that, else on 4028 (protocol.md#e7).

    `password` is that of the account `admin` on 4028, `v3_password` that of `account` on
    4433; without any the miner can only be read. `mac` is that of the expected miner.
    Where nothing answers, the `known` miner is returned and identified at the first read.

    `budget` is the time in seconds after which the miner counts as one that does not answer.

    Raises CannotConnectError, NoAnswerError, InvalidAnswerError, NotWhatsminerError,
    BtminerDownError or WrongMinerError.
    """
    end = None if budget is None else asyncio.get_running_loop().time() + budget
    newer: V3Miner | None = None
    if v3_port is not None:
        newer = V3Miner(
            host,
            v3_port,
            port,
            account=account,
            v3_password=v3_password,
            password=password,
            mac=mac,
        )
        if await _has_v3(newer, end):
            return newer
    was_v3 = known is not None and known.dialect is Dialect.V3
    older = V2Miner(host, port, password=password, mac=mac, v3_port=v3_port)
    if known and not was_v3:
        older.adopt(known)
    try:
        await _identify(older, end)
    except CannotConnectError, NoAnswerError:
        if known is None:
            raise
        miner: Miner | None = newer if was_v3 else older
        if miner is None:
            raise
        miner.adopt(known)
        return miner
    if newer and known and was_v3 and older.info.firmware == known.firmware:
        # The same firmware, whose 4433 is closed for a restart: its accounts still count.
        newer.adopt(known)
        return newer
    older.outdated = False  # the change is known now
    return older


async def _has_v3(miner: V3Miner, end: float | None) -> bool:
    """Identify a miner on 4433; return whether it has API 3.x."""
    try:
        await _identify(miner, end)
    except CannotConnectError, InvalidAnswerError, NoAnswerError, NotWhatsminerError:
        await miner.hang_up()
        return False
    except BaseException:
        await miner.close()
        raise
    return True


async def _identify(miner: Miner, end: float | None) -> None:
    """Identify a miner before a point in time; raises NoAnswerError after it."""
    try:
        async with asyncio.timeout_at(end):
            await miner.identify()
    except TimeoutError as err:
        raise NoAnswerError("the miner answers too slowly") from err


def recall(stored: Mapping[str, Any]) -> MinerInfo:
    """Return the identity of a miner from the stored text fields of its `MinerInfo`."""
    names = ("api_version", "firmware", "platform", "mac", "serial", "hostname")
    rest: dict[str, Any] = {name: stored.get(name) for name in names}
    return with_capabilities(
        MinerInfo(dialect=Dialect(stored["dialect"]), model=stored["model"], **rest)
    )

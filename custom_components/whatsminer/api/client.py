"""The way in: find out what speaks at an address and give back a Miner."""

from .errors import (
    CannotConnectError,
    InvalidAnswerError,
    NoAnswerError,
    NotWhatsminerError,
)
from .miner import Miner
from .v2_miner import V2Miner
from .v3 import DEFAULT_ACCOUNT
from .v3_miner import V3Miner

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
) -> Miner:
    """Identify the miner at an address (E.7): API 3.x if it speaks that, else what 4028 speaks.

    `password` is that of the account `admin` on 4028, `v3_password` that of `account` on
    4433; without any the miner can only be read. `mac` is the miner that is expected there.
    Raises CannotConnectError, NoAnswerError, NotWhatsminerError, BtminerDownError or
    WrongMinerError.
    """
    miner: Miner
    if v3_port is not None:
        miner = V3Miner(
            host,
            v3_port,
            port,
            account=account,
            v3_password=v3_password,
            password=password,
            mac=mac,
        )
        try:
            await miner.identify()
        except (
            CannotConnectError,
            InvalidAnswerError,
            NoAnswerError,
            NotWhatsminerError,
        ):
            await miner.close()
        except BaseException:
            await miner.close()
            raise
        else:
            return miner
    miner = V2Miner(host, port, password=password, mac=mac, v3_port=v3_port)
    await miner.identify()
    return miner

"""The way in: find out what speaks at an address and give back a Miner."""

from .miner import Miner
from .v2_miner import V2Miner

DEFAULT_PORT = 4028


async def connect(
    host: str,
    port: int = DEFAULT_PORT,
    *,
    password: str | None = None,
    mac: str | None = None,
) -> Miner:
    """Identify the miner at an address (E.7).

    `password` is that of the account `admin`; without one the miner can only be read. `mac`
    is the miner that is expected there. Raises CannotConnectError, NoAnswerError,
    NotWhatsminerError, BtminerDownError or WrongMinerError.
    """
    miner = V2Miner(host, port, password=password, mac=mac)
    await miner.identify()
    return miner

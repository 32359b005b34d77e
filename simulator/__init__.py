"""Simulate WhatsMiners: they answer on TCP 4028 and 4433 as docs/protocol.md says."""

from .binary import make_image
from .catalogue import names
from .failures import DEVIATIONS, FAILURES
from .miner import Received, SimulatedMiner
from .profiles import FOREIGN, PROFILES, Profile
from .settings import LogServer, Network, Settings
from .timing import ManualClock, Timing
from .truth import BoardTruth, Phase, PoolTruth, PsuTruth, Truth
from .truth_v3 import V3BoardTruth, V3PoolTruth, V3PsuTruth, V3Truth

__all__ = [
    "DEVIATIONS",
    "FAILURES",
    "FOREIGN",
    "PROFILES",
    "BoardTruth",
    "LogServer",
    "ManualClock",
    "Network",
    "Phase",
    "PoolTruth",
    "Profile",
    "PsuTruth",
    "Received",
    "Settings",
    "SimulatedMiner",
    "Timing",
    "Truth",
    "V3BoardTruth",
    "V3PoolTruth",
    "V3PsuTruth",
    "V3Truth",
    "make_image",
    "names",
]

"""A WhatsMiner on a socket: answers on TCP 4028 and 4433 as docs/protocol.md says, without a miner."""

from .faults import FAULTS
from .miner import Received, SimulatedMiner
from .profiles import PROFILES, Profile
from .timing import ManualClock, Timing
from .truth import BoardTruth, Phase, PoolTruth, PsuTruth, Truth
from .truth_v3 import V3BoardTruth, V3PoolTruth, V3PsuTruth, V3Truth

__all__ = [
    "FAULTS",
    "PROFILES",
    "BoardTruth",
    "ManualClock",
    "Phase",
    "PoolTruth",
    "Profile",
    "PsuTruth",
    "Received",
    "SimulatedMiner",
    "Timing",
    "Truth",
    "V3BoardTruth",
    "V3PoolTruth",
    "V3PsuTruth",
    "V3Truth",
]

"""A WhatsMiner on a socket: answers on TCP 4028 as docs/protocol.md says, without a real miner."""

from .faults import FAULTS
from .miner import Received, SimulatedMiner
from .profiles import PROFILES, Profile
from .timing import ManualClock, Timing
from .truth import BoardTruth, Phase, PoolTruth, PsuTruth, Truth

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
]

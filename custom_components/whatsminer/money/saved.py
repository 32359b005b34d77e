"""What the decisions about power have saved, against two simple rules. Pure.

Each function returns money per hour: the margin of what the miner really did, less that of the rule at the same prices.
"""

from ..api import Activity, MinerState
from .best import Rates
from .curve import FULL, Level
from .profile import poll_of


def against_always_on(happened: Level, full: Level, rates: Rates) -> float:
    """Return what was saved against a miner that always runs at full power."""
    return rates.gain(happened) - rates.gain(_reference(happened, full))


def against_limit(happened: Level, full: Level, rates: Rates) -> float:
    """Return what was saved against full power below the average break-even price, and stop above.

    That rule is granted its starts for nothing, so what was saved is rather more.
    """
    reference = _reference(happened, full)
    earns = rates.revenue(reference) > rates.cost(reference.watts)
    return rates.gain(happened) - (rates.gain(reference) if earns else 0.0)


def _reference(happened: Level, full: Level) -> Level:
    """Return full power; where the miner runs at it, what it really does: weather saves nothing."""
    return happened if happened.percent >= FULL else full


def what_happened(
    state: MinerState, commanded: float | None, idle: float
) -> Level | None:
    """Return what the miner does now; None while that is unknown.

    A percent counts only while the miner is tuned and follows it; it is 0 before.
    """
    power = state.summary and state.summary.power
    if state.mining is False:
        return Level(0.0, idle if power is None else power, 0.0)
    rate = state.summary and state.summary.hashrate
    if power is None or rate is None:
        return None
    percent = None
    if state.activity is Activity.MINING:
        percent = poll_of(state, commanded, None).percent
    return Level(percent or 0.0, power, rate)

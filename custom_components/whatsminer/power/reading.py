"""What the power executor reads from the miner, and what proves that the power is down."""

from collections.abc import Mapping

from ..api import Activity, MinerState
from ..const import FULL
from ..controls import POWER_LIMIT, POWER_PERCENT, lowest_power
from ..coordinator import WhatsminerCoordinator
from .percent import can_percent
from .policy import TOLERANCE, Situation
from .record import PERCENT, Baseline, Curtailment, Method, Target

STANDBY_SHARE = 0.1
STANDBY_POWER = 100.0
"""W; a stopped miner draws less than this, or than that share of what it drew."""

LAG = 60.0
LAG_OF_MEAN = 420.0
"""Seconds until the power shows a command; the latter where it is a mean of five minutes (protocol.md#c14)."""

LONGEST_DELAY = 180.0
"""Seconds until a miner shows that it was stopped; it may be set to wait for two minutes (protocol.md#e6)."""


def is_answered(coordinator: WhatsminerCoordinator) -> bool:
    """Return whether the data are what the miner itself reported in the last poll."""
    state = coordinator.data
    return coordinator.fresh and not (state.summary is None and state.status is None)


def situation(
    coordinator: WhatsminerCoordinator,
    touched: Mapping[str, bool],
    since_command: float,
) -> Situation:
    """Return what is known of the miner now, so many seconds after the last command."""
    state = coordinator.data
    limit = POWER_LIMIT.actual(coordinator)
    if state.status and state.status.power_limit_set:
        limit = int(state.status.power_limit_set)
    percent = POWER_PERCENT.actual(coordinator)
    assumed = POWER_PERCENT.is_assumed(state)
    is_tuned = None
    if state.activity is not None:
        is_tuned = state.activity is Activity.MINING
    if assumed and is_tuned and touched.get(PERCENT) is False:
        percent = None
    elif percent is None and (assumed or state.status is not None):
        percent = FULL  # none is set, or none was since the miner started
    lag = LAG_OF_MEAN if state.power_is_mean else LAG
    return Situation(
        answered=is_answered(coordinator),
        mining=state.mining,
        is_tuned=is_tuned,
        power=state.power_now,
        power_is_settled=since_command > lag,
        commands_have_shown=since_command > LONGEST_DELAY,
        power_limit=limit,
        power_percent=percent,
        full_power=coordinator.store.tuned_power or POWER_LIMIT.actual(coordinator),
        lowest_power=lowest_power(coordinator),
        can_limit=coordinator.can(POWER_LIMIT.feature),
        can_percent=can_percent(coordinator),
    )


def is_down(
    one: Curtailment, state: MinerState, baseline: Baseline, before: float | None
) -> bool:
    """Return whether the power is below a curtailment; by the flag alone if it is unknown."""
    power = state.power_now
    if state.mining is False:
        limit = max(STANDBY_POWER, STANDBY_SHARE * (before or 0))
        return power is None or power <= limit
    if one.target is Target.STOP or one.way is Method.STOP:
        return False
    watts = one.watts(baseline.full_power)
    if watts is None:
        # Acknowledged, and no more can be known
        return one.way is Method.POWER_PERCENT
    return power is not None and power <= watts * TOLERANCE

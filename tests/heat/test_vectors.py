"""The thermostat against reference vectors, which a second implementation can run too."""

from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.whatsminer.heat.thermostat import (
    KINDS,
    MINUTE,
    Decision,
    Snapshot,
    State,
    step,
)

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
TARGET = 21.0
EVERY = 2
TUNES_IN = 20


def reading(points: list[Any], minute: float) -> tuple[float, float]:
    """Return the reading and its age (min): linear between points, silent after a null."""
    before = None
    for index, point in enumerate(points):
        if point is None:
            last = points[index - 1]
            nxt = points[index + 1][0]
            if last[0] <= minute < nxt:
                return last[1], minute - last[0]
            before = None
            continue
        if before is not None and before[0] <= minute <= point[0]:
            share = (minute - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1]), 0
        before = point
    assert before is not None
    return before[1], 0


def run(case: dict[str, Any]) -> dict[int, tuple[Decision, float]]:
    """Return decision and integral for each minute with a step."""
    settings = replace(KINDS[case["kind"]], hard=29)
    stopped = case.get("stopped", False)
    running: float | None = None if stopped else case.get("running", -120)
    state = State(
        integral=case["integral"],
        heat=not stopped,
        changed=0 if stopped else (running or 0) * MINUTE,
        percent=case.get("previous", 0),
        starts=tuple(at * MINUTE for at in case.get("starts", [])),
    )
    tuned_at = 0.0
    done = {}
    end = max(case["expect"][-1][0], 20)
    for minute in range(0, end + 1, EVERY):
        value, age = reading(case["readings"], minute)
        cap = [cap for at, cap in case.get("caps", [[0, 100]]) if at <= minute][-1]
        snapshot = Snapshot(
            time=minute * MINUTE,
            target=TARGET,
            reading=value,
            age=age * MINUTE,
            running_since=None if running is None else running * MINUTE,
            tuned=running is not None and minute >= tuned_at,
            cap=cap,
        )
        state, decision = step(settings, state, snapshot)
        done[minute] = (decision, state.integral)
        if decision.percent == 0:
            running = None
        elif running is None:
            running, tuned_at = minute, minute + TUNES_IN
    return done


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_reference_vector(case: dict[str, Any]) -> None:
    """The heater would differ from the one whose behaviour was simulated and documented."""
    done = run(case)
    changes = []
    previous = None
    for minute, (decision, _) in done.items():
        if decision.percent != previous:
            changes.append((minute, decision.percent))
            previous = decision.percent
    for minute, percent, *status in case["expect"]:
        decision, _ = done[minute]
        assert (minute, decision.percent) == (minute, percent), changes
        assert status in ([], [decision.status]), (minute, decision.status)
    listed = {minute for minute, *_ in case["expect"]}
    assert {minute for minute, _ in changes} <= listed, changes
    for minute, integral in case.get("integrals", []):
        assert done[minute][1] == pytest.approx(integral, abs=0.005)

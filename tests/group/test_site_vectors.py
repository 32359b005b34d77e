"""Site control against reference vectors, which a second implementation can run too."""

import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.whatsminer.group.site import (
    Miner,
    Phase,
    Reading,
    Settings,
    Snapshot,
    State,
    Track,
    average,
    starts,
    step,
    stops,
)

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
EVERY = 30


def ids(cases: list[dict[str, Any]]) -> list[str]:
    """Return the names of cases."""
    return [case["name"] for case in cases]


@pytest.mark.parametrize("case", VECTORS["fast"], ids=ids(VECTORS["fast"]))
def test_fast_loop(case: dict[str, Any]) -> None:
    """The miners would take from the grid, or swing, where the study did not."""
    low, high = case["limits"]
    miner = Miner(
        name="one",
        curve=((40, low), (100, high)),
        phase=Phase.TUNED,
        gentle=case.get("gentle", False),
        resolution=1e-6,
    )
    watts = case["watts"]
    track = Track(at=-1e6, low=watts, high=watts, percent=miner.percent_at(watts))
    state = State(tracks={"one": track}, readings=2)
    interval = case["interval"]
    settings = Settings(interval=interval, set_point=case.get("set_point", -100))
    got = []
    for number, grid in enumerate(case["readings"]):
        time = float(number * interval)
        snapshot = Snapshot(
            time=time, reading=Reading(at=time, grid=grid), miners=(miner,)
        )
        state, decision = step(settings, state, snapshot)
        got.append(decision.settles)
    expected = [watts for count, watts in case["expect"] for _ in range(count)]
    assert got == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("case", VECTORS["slow"], ids=ids(VECTORS["slow"]))
def test_slow_loop(case: dict[str, Any]) -> None:
    """A cloud or a kettle would stop a miner or start one."""
    miner = Miner(name="one", curve=((40, 1360), (100, 3400)), phase=Phase.OFF)
    series = [s for count, s in case["surplus"] for _ in range(count)]
    up = down = case.get("average")
    for number, surplus in enumerate(series * case.get("repeat", 1)):
        up = average(up, surplus, EVERY, 600)
        down = average(down, surplus, EVERY, 1200)
        assert up is not None and down is not None
        if not case["on"] and starts(up, surplus, 0, miner):
            what = ("start", up)
        elif case["on"] and stops(down, miner.lowest, 1):
            what = ("stop", down)
        else:
            continue
        assert case["expect"] is not None, what
        assert (what[0], number * EVERY) == tuple(case["expect"][:2])
        assert what[1] == pytest.approx(case["expect"][2], abs=1)
        return
    assert case["expect"] is None

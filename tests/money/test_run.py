"""What the sources of money know of a run, and keep over a restart of Home Assistant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.whatsminer.api import Activity, Dialect, MinerInfo, MinerState
from custom_components.whatsminer.api.models import Status, Summary
from custom_components.whatsminer.money.planner import Run
from custom_components.whatsminer.power.record import as_json

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def state(mining: bool | None, elapsed: float | None = None) -> MinerState:
    """Return a poll."""
    activity = {True: Activity.MINING, False: Activity.STOPPED, None: None}[mining]
    return MinerState(
        info=MinerInfo(dialect=Dialect.V2),
        read_at=NOON,
        activity=activity,
        status=None if mining is None else Status(off=not mining),
        summary=Summary(elapsed=elapsed),
    )


def test_hours_of_a_day_are_counted() -> None:
    """A wish for eight hours a day would be met twice, or not at all."""
    run, last = Run(), None
    for minute in range(0, 61, 5):
        now = NOON + minute * MINUTE
        run, last = run.observe(state(True), last, now), now
    assert run.ran == pytest.approx(1)
    # What lies in a gap is not known, and a stop counts as none.
    run = run.observe(state(True), last, NOON + 120 * MINUTE)
    assert run.ran == pytest.approx(1)
    run = run.observe(state(False), NOON + 120 * MINUTE, NOON + 125 * MINUTE)
    run = run.observe(state(False), NOON + 125 * MINUTE, NOON + 130 * MINUTE)
    assert run.ran == pytest.approx(1)
    # The next local day begins at 0.
    tomorrow = NOON + timedelta(days=1)
    assert run.observe(state(False), None, tomorrow).ran == 0


def test_the_shortest_times_begin_with_the_switch() -> None:
    """A miner that has just started would be stopped again, and one that ran for days would be kept on."""
    run = Run().observe(state(True, elapsed=7200), None, NOON)
    assert run.age(NOON) == pytest.approx(2)
    run = run.observe(state(None), NOON, NOON + 5 * MINUTE)
    assert run.on is True
    run = run.observe(state(False), NOON, NOON + 10 * MINUTE)
    assert run.age(NOON + 40 * MINUTE) == pytest.approx(0.5)
    run = run.observe(state(True, elapsed=30), NOON, NOON + 41 * MINUTE)
    assert run.age(NOON + 41 * MINUTE) == pytest.approx(30 / 3600)


def test_it_survives_a_restart() -> None:
    """In a peak the miner would be started because Home Assistant was."""
    run = Run().observe(state(True, elapsed=60), None, NOON)
    run = replace(run, percent=0.0, changed=NOON)
    assert Run.restored(as_json(run)) == run
    assert Run.restored(as_json(Run())) == Run()


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"on": 1},
        {**as_json(Run()), "since": "2026-03-10T12:00:00"},
        {**as_json(Run()), "since": "soon"},
        {**as_json(Run()), "percent": "much"},
        {**as_json(Run()), "day": 7},
    ],
)
def test_what_cannot_be_read_is_dropped(stored: dict[str, Any]) -> None:
    """A damaged file would keep the miner from being set up."""
    assert Run.restored(stored) == Run()

"""The thermostat's safety, status and storage, a minute at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import json
from typing import Any

import pytest

from custom_components.whatsminer.heat.thermostat import (
    DAY,
    HOUR,
    KINDS,
    MINUTE,
    Decision,
    Snapshot,
    State,
    Status,
    step,
)

ROOM = KINDS["room"]
EPOCH = 1_790_000_000.0


@dataclass
class House:
    """A miner and a sensor that follow a script; Home Assistant may restart at any minute."""

    reading: Callable[[int], float | None] = lambda _: 20.0
    """By minute; None is silence."""
    running: int | None = -120
    tunes_in: int = 20
    call: Callable[[int], bool] = lambda _: True
    cap: Callable[[int], float] = lambda _: 100
    integral: float = 60.0
    target: float = 21.0

    def run(self, minutes: int, restart_at: int | None = None) -> list[Decision]:
        """Return the decision of each even minute."""
        state = State(integral=self.integral, heat=self.running is not None)
        booted = 500.0
        last: tuple[int, float] | None = None
        decisions = []
        tuned_at = -100
        for minute in range(0, minutes + 1, 2):
            if minute == restart_at:
                offset = EPOCH - booted
                stored = json.loads(json.dumps(state.as_json(offset)))
                # The monotonic clock may begin again too.
                booted -= 123_456
                now = minute * MINUTE + booted
                state = State.from_json(stored, now, EPOCH - booted)
            value = self.reading(minute)
            if value is not None:
                last = (minute, value)
            unavailable = minute == restart_at or last is None
            state, decision = step(
                ROOM,
                state,
                Snapshot(
                    time=minute * MINUTE + booted,
                    target=self.target,
                    reading=None if unavailable or last is None else last[1],
                    age=0 if last is None else (minute - last[0]) * MINUTE,
                    running_since=None
                    if self.running is None
                    else self.running * MINUTE + booted,
                    tuned=self.running is not None and minute >= tuned_at,
                    cap=self.cap(minute),
                    call=self.call(minute),
                ),
            )
            decisions.append(decision)
            if decision.percent == 0:
                self.running = None
            elif self.running is None:
                self.running, tuned_at = minute, minute + self.tunes_in
        return decisions


def noisy(value: float) -> Callable[[int], float]:
    """Return a sensor that is alive."""
    return lambda minute: value + (0.1 if minute % 4 else 0)


def first(decisions: list[Decision], status: Status) -> int:
    """Return the minute at which a status is first shown."""
    return next(2 * i for i, d in enumerate(decisions) if d.status is status)


FAILURES: dict[str, tuple[dict[str, Any], list[tuple[Status, int, int]]]] = {
    # Status, percent, minute at which it is first shown
    "hard limit": (
        {"reading": lambda minute: 27 if minute < 40 else 28.5 - (minute - 40) / 20},
        [(Status.TOO_HOT, 0, 40)],
    ),
    "silent sensor": (
        {"reading": lambda minute: noisy(20)(minute) if minute <= 10 else None},
        [(Status.SENSOR_LATE, 40, 40), (Status.SENSOR_LOST, 0, 70)],
    ),
    "silent sensor before the minimum run is over": (
        {
            "running": -2,
            "reading": lambda minute: noisy(20)(minute) if minute <= 10 else None,
        },
        [(Status.SENSOR_LATE, 40, 40), (Status.SENSOR_LOST, 0, 70)],
    ),
    "frozen sensor at full power": (
        {"reading": lambda _: 18.0, "integral": 100},
        [(Status.SENSOR_SUSPECT, 40, 30), (Status.SENSOR_STUCK, 0, 60)],
    ),
    "frozen sensor below full power": (
        {"reading": lambda _: 21.0, "integral": 60},
        [(Status.SENSOR_SUSPECT, 40, 180), (Status.SENSOR_STUCK, 0, 210)],
    ),
    "call for heat ends": (
        {"reading": noisy(20.9), "running": -20, "call": lambda minute: minute < 10},
        [(Status.NO_DEMAND, 0, 40)],
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_ends_in_time(name: str) -> None:
    """A failure would overheat the house."""
    script, expected = FAILURES[name]
    decisions = House(**script).run(230)
    for status, percent, minute in expected:
        assert first(decisions, status) == minute
        assert decisions[minute // 2].percent == percent


@pytest.mark.parametrize("name", FAILURES)
def test_failure_ends_in_time_across_a_restart(name: str) -> None:
    """Each restart of Home Assistant would give the failure all the time again."""
    script, expected = FAILURES[name]
    end = expected[-1][2]
    undisturbed = House(**script).run(230)
    for restart_at in range(2, end + 20, 2):
        decisions = House(**script).run(230, restart_at)
        for status, percent, minute in expected:
            # A sensor that is unavailable in the first step hides a new reading for one step.
            late = first(decisions, status) - minute
            assert 0 <= late <= (2 if restart_at == minute else 0), restart_at
            assert decisions[minute // 2 + late // 2].percent == percent
        assert decisions[-1].percent == undisturbed[-1].percent, restart_at


@pytest.mark.parametrize("restart_at", [None, 90])
def test_stuck_sensor_recovers(restart_at: int | None) -> None:
    """The heater would stay off for ever, or start within the minimum stop."""
    house = House(
        reading=lambda minute: 18.0 if minute < 70 else noisy(17)(minute), integral=100
    )
    decisions = house.run(130, restart_at)
    assert decisions[35].status is Status.WAITING
    assert first(decisions, Status.STARTING) == 90


def test_live_sensor_passes_the_probe() -> None:
    """A sensor with coarse steps would stop the heating, or keep it at the lowest level."""
    house = House(reading=lambda minute: 18.0 if minute < 40 else 17.9, integral=100)
    decisions = house.run(12 * 60 + 30)
    assert [d.status for d in decisions[14:21]] == [
        Status.FULL_POWER,
        *[Status.SENSOR_SUSPECT] * 5,
        Status.FULL_POWER,
    ]
    assert not [d for d in decisions[21:] if d.status is not Status.FULL_POWER]


def test_hard_limit_is_released_below_it() -> None:
    """The miner would start again as soon as the room is a little below the limit."""
    house = House(reading=lambda minute: 28.0 if minute < 10 else 26.0, target=26.8)
    decisions = house.run(60)
    assert {d.status for d in decisions} == {Status.TOO_HOT}
    house = House(reading=lambda minute: 28.0 if minute < 10 else 25.9, target=26.8)
    decisions = house.run(60)
    assert first(decisions, Status.WAITING) >= 10
    assert first(decisions, Status.STARTING) == 30


def test_hard_limit_needs_no_step_before_a_start() -> None:
    """A first reading above the limit would start the miner."""
    assert House(reading=lambda _: 40.0).run(0)[0].status is Status.TOO_HOT


@pytest.mark.parametrize("reading", [None, float("nan"), float("inf"), True, "20"])
def test_no_reading_is_lost(reading: Any) -> None:
    """A miner would heat without any temperature."""
    snapshot = Snapshot(
        time=0, target=21, reading=reading, running_since=-DAY, tuned=True
    )
    _, decision = step(ROOM, State(), snapshot)
    assert (decision.status, decision.percent) == (Status.SENSOR_LOST, 0)


def decide(
    settings: Any = ROOM, state: State | None = None, **changes: Any
) -> Decision:
    """Return the decision of one step of a room that heats."""
    usual = Snapshot(
        time=0.0, target=21.0, reading=20.5, running_since=-2 * HOUR, tuned=True
    )
    return step(settings, state or State(heat=True), replace(usual, **changes))[1]


PRECEDENCE: list[tuple[Status, dict[str, Any], dict[str, Any]]] = [
    (Status.OFF, {}, {"off": True}),
    (Status.SENSOR_LOST, {}, {"age": HOUR}),
    (Status.TOO_HOT, {"locked": True, "reading": 27.0}, {"reading": 27.0}),
    (Status.SENSOR_STUCK, {"stuck": True, "reading": 20.5, "reported": 0.0}, {}),
    (Status.NO_DEMAND, {}, {"call": False}),
    (Status.TOO_EXPENSIVE, {}, {"affordable": False}),
    (Status.CURTAILED, {}, {"cap": 39}),
    (Status.SENSOR_LATE, {}, {"age": HOUR / 2}),
    (
        Status.SENSOR_SUSPECT,
        {"reading": 20.5, "reported": 0.0, "unchanged": -HOUR, "probe": -MINUTE},
        {},
    ),
    (Status.LIMITED, {}, {"cap": 60}),
]


def test_precedence() -> None:
    """The status would hide the more serious reason."""
    state: dict[str, Any] = {}
    snapshot: dict[str, Any] = {}
    for status, of_state, of_snapshot in reversed(PRECEDENCE):
        assert (
            decide(state=State(heat=True, **of_state), **of_snapshot).status is status
        )
        state, snapshot = {**state, **of_state}, {**snapshot, **of_snapshot}
        decision = decide(state=State(heat=True, **state), **snapshot)
        assert decision.status is status
        assert (decision.percent == 0) == (
            status not in {Status.LIMITED, Status.SENSOR_LATE, Status.SENSOR_SUSPECT}
        )


@pytest.mark.parametrize(
    ("status", "percent", "changes"),
    [
        (Status.STARTING, 80, {"running_since": None}),
        (Status.STARTING, 80, {"running_since": -60.0, "tuned": False}),
        (Status.TUNING, 80, {"running_since": -1800.0, "tuned": False}),
        (Status.HEATING, 80, {}),
        (Status.LOWEST, 40, {"reading": 22.5, "running_since": -3000.0}),
        (Status.FULL_POWER, 100, {"reading": 19.0}),
        (Status.LIMITED, 52, {"cap": 52.7}),
        (Status.LIMITED, 40, {"cap": 40}),
        (Status.LOWEST, 40, {"cap": 40, "reading": 22.5, "running_since": -60.0}),
        (Status.HEATING, 80, {"cap": 90}),
        (Status.IDLE, 0, {"reading": 23.0}),
    ],
)
def test_status(status: Status, percent: int, changes: dict[str, Any]) -> None:
    """The sensor Heating status would say something else than what happens."""
    decision = decide(**changes)
    assert (decision.status, decision.percent) == (status, percent)


def test_another_lowest_level() -> None:
    """A miner that restarts below 55 % would be driven there."""
    settings = replace(ROOM, lowest=55)
    assert decide(settings, reading=22.4, running_since=-60.0).percent == 55
    assert decide(settings, cap=54).status is Status.CURTAILED


def test_off_is_immediate() -> None:
    """Turning the thermostat off would take an hour."""
    state, decision = step(
        ROOM,
        State(heat=True),
        Snapshot(
            time=9.0, target=21, reading=18, running_since=0.0, tuned=False, off=True
        ),
    )
    assert (decision.percent, decision.heat) == (0, False)
    assert state.changed == 9


@pytest.mark.parametrize("heating", [False, True])
def test_without_stored_state_the_miner_decides(heating: bool) -> None:
    """After an update a running heater would stop, or a stopped one would start when warm."""
    running = -60.0 if heating else None
    decision = decide(state=State(), reading=20.8, running_since=running)
    assert (decision.percent > 0) is heating


def test_what_is_stored_comes_back() -> None:
    """A restart of Home Assistant would forget the starts, or the integral."""
    state = State(
        integral=42.5,
        heat=False,
        changed=70.0,
        starts=(10.0, 60.0),
        cycles=(60.0,),
        disturbed=True,
        locked=True,
        reading=20.0,
        reported=95.0,
        unchanged=40.0,
        probe=50.0,
        alive=5.0,
        stuck=True,
        percent=64,
    )
    stored = json.loads(json.dumps(state.as_json(EPOCH)))
    assert State.from_json(stored, 100, EPOCH) == state
    assert State.from_json(stored, 100 - 50, EPOCH + 50) == replace(
        state,
        changed=20.0,
        starts=(-40.0, 10.0),
        cycles=(10.0,),
        reported=45.0,
        unchanged=-10.0,
        probe=0.0,
        alive=-45.0,
    )


WRONG = [
    None,
    True,
    -1,
    1e9,
    10**400,
    float("nan"),
    "1",
    [],
    {},
    [None, "x", {}],
    {"a": 1},
]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_wrong_stored_values_are_dropped(value: Any) -> None:
    """One damaged value would keep the heater from loading."""
    good = State(integral=42.5, heat=True).as_json(EPOCH)
    assert State.from_json(value, 0, EPOCH).heat is None
    for name in good:
        state = State.from_json({**good, name: value, "unknown": value}, 0, EPOCH)
        assert 0 <= state.integral <= 100
        _, decision = step(
            ROOM,
            state,
            Snapshot(time=0, target=21, reading=20, running_since=None, tuned=False),
        )
        assert 0 <= decision.percent <= 100
        left = {key: item for key, item in good.items() if key != name}
        assert State.from_json(left, 0, EPOCH) == replace(
            State.from_json(good, 0, EPOCH),
            **{name: getattr(State(), name)},
        )


def test_old_starts_and_times_in_the_future_are_dropped() -> None:
    """A clock that was wrong would block starts for days, or widen the bands for ever."""
    stored = {"starts": [EPOCH - DAY, EPOCH - HOUR, EPOCH + 5], "changed": EPOCH + HOUR}
    state = State.from_json(stored, 0, EPOCH)
    assert state.starts == (-HOUR,)
    assert state.changed is None


type Cycle = Callable[[int], dict[str, Any]]


@pytest.mark.parametrize(
    ("disturbance", "is_hinted"),
    [
        pytest.param(lambda _: {}, True, id="heat"),
        pytest.param(lambda hour: {"call": bool(hour % 2)}, False, id="call"),
        pytest.param(lambda hour: {"affordable": bool(hour % 2)}, False, id="price"),
        pytest.param(lambda hour: {"cap": 100 * (hour % 2)}, False, id="curtailment"),
        pytest.param(lambda hour: {"off": not hour % 2}, False, id="switch"),
        pytest.param(lambda hour: {"target": 21 + hour % 2}, False, id="target"),
    ],
)
def test_too_powerful_counts_stops_for_heat(
    disturbance: Cycle, is_hinted: bool
) -> None:
    """A user would be advised to limit a miner that others stop and start six times a day."""
    state, running = State(heat=True), True
    for minute in range(0, 22 * 60, 2):
        hour = minute // 60
        state, decision = step(
            replace(ROOM, minimum_run=0, widen=0, hard=40),
            state,
            Snapshot(
                **{"time": minute * MINUTE, "target": 21.0}
                | {"reading": 24.0 - 6 * (hour % 2) + minute % 4 / 20}
                | {"running_since": 0.0 if running else None, "tuned": running}
                | disturbance(hour)
            ),
        )
        running = decision.percent > 0
    assert len(state.starts) >= 6
    assert decision.too_powerful is is_hinted


def test_starts_by_others_count() -> None:
    """Starts by hand and after a curtailment would not widen the bands."""
    state = State()
    for minute, running in enumerate([False, True, True, False, True]):
        snapshot = Snapshot(
            time=minute * MINUTE,
            target=21,
            reading=20 + minute / 10,
            running_since=0.0 if running else None,
            tuned=running,
        )
        state, _ = step(ROOM, state, snapshot)
    assert state.starts == (60, 240)


def test_a_step_changes_nothing_but_its_result() -> None:
    """A caller that drops a decision would still have changed the controller."""
    state = State(heat=True)
    before = replace(state)
    decide(state=state)
    assert state == before

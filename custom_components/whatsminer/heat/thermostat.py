"""Hold the temperature of a room, a buffer tank or a floor loop with a miner.

A PI controller between the lowest level and full power, a hold at the lowest level, and stop and
start bands that widen with the number of starts. `step` is pure: the caller passes the time, the
reading and the state of the miner in a `Snapshot`, and gets a `Decision` and the next `State`.

Temperatures are in °C, differences in K, power in percent of the tuned power, times in seconds on
a clock that never goes back. Only `State.as_json` and `State.from_json` know the wall clock.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
import math
from types import MappingProxyType
from typing import Any

from ..const import LOWEST_PERCENT

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR

STEP = 120.0
"""How often to call `step` (s); also call it for each reading at or above the hard limit."""

_MAX_GAP = 600.0
"""A longer time between two steps counts as this (s)."""
_FILTER = 300.0
_DEAD_BAND = 3.0
_RELEASE = 2.0
"""The hard limit is released this far below it (K)."""
_WIDEST = 3.0
_STARTING = 30 * MINUTE
_FULL = 90
"""From this percent on, an unchanged reading is suspect sooner."""
_ALIVE = 12 * HOUR
"""A sensor that passed the probe is not probed again for this time."""
_MANY_STARTS = 6
_WEAK_TIME = 6 * HOUR
_WEAK_ERROR = 1.0
_FIRST_INTEGRAL = 70.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Parameters of a thermostat; start from one of `KINDS` and replace what the user set."""

    kp: float
    """Percent per K."""
    ti: float = 3 * HOUR
    up: float
    """How far above the target the miner stops (K)."""
    down: float
    """How far below the target the miner starts (K)."""
    widen: float
    """How much each start within 24 h widens both bands; 0 is exact and starts more often."""
    stuck_full: float
    """An unchanged reading is suspect after this time at 90 % or more (s)."""
    stuck_low: float
    """The same below 90 % (s)."""
    hard: float
    """The miner stops at this reading, whatever else is set (°C)."""
    lowest: int = LOWEST_PERCENT
    """The lowest level (percent)."""
    minimum_run: float = 60 * MINUTE
    minimum_stop: float = 30 * MINUTE
    late: float = 30 * MINUTE
    lost: float = 60 * MINUTE


KINDS = MappingProxyType(
    {
        "room": Settings(
            kp=20,
            up=1.0,
            down=0.5,
            widen=0.5,
            stuck_full=30 * MINUTE,
            stuck_low=3 * HOUR,
            hard=28,
        ),
        "tank": Settings(
            kp=20,
            up=2.0,
            down=2.0,
            widen=0.25,
            stuck_full=30 * MINUTE,
            stuck_low=2 * HOUR,
            hard=60,
        ),
        "floor": Settings(
            kp=15,
            up=1.0,
            down=0.5,
            widen=0.5,
            stuck_full=90 * MINUTE,
            stuck_low=6 * HOUR,
            hard=28,
        ),
    }
)
"""Default settings by kind of heat store."""


class Status(StrEnum):
    """What the thermostat does, and why."""

    OFF = "off"
    IDLE = "idle"
    WAITING = "waiting"
    NO_DEMAND = "no_demand"
    TOO_EXPENSIVE = "too_expensive"
    STARTING = "starting"
    TUNING = "tuning"
    HEATING = "heating"
    LOWEST = "lowest"
    FULL_POWER = "full_power"
    LIMITED = "limited"
    CURTAILED = "curtailed"
    SENSOR_LATE = "sensor_late"
    SENSOR_SUSPECT = "sensor_suspect"
    SENSOR_LOST = "sensor_lost"
    SENSOR_STUCK = "sensor_stuck"
    TOO_HOT = "too_hot"


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What a step sees."""

    time: float
    target: float
    reading: float | None
    """The temperature; None while the sensor is unknown or unavailable."""
    age: float = 0.0
    """Time since the sensor reported this reading, even if the value was the same (s)."""
    running_since: float | None
    """When the miner last changed from stopped to running; None while it is stopped."""
    tuned: bool
    cap: float = 100.0
    """The strictest curtailment (percent); below the lowest level means stopped."""
    call: bool = True
    """Whether there is a call for heat; yes if no entity is set."""
    affordable: bool = True
    """Whether the heat may cost what it costs now; yes if that is not limited, or unknown."""
    off: bool = False
    """Whether the user turned the thermostat off."""

    @property
    def permitted(self) -> bool:
        """Return whether the miner may heat, apart from the temperature."""
        return self.call and self.affordable


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a step decided."""

    percent: int
    """0 to stop, else from the lowest level to 100."""
    status: Status
    heat: bool
    """Whether heat is requested, even if a curtailment stops the miner."""
    too_powerful: bool = False
    """Hint: six starts within 24 h, since even the lowest level was too warm."""
    too_weak: bool = False
    """Hint: full power for 6 h and still more than 1 K too cold."""


@dataclass(kw_only=True, slots=True)
class State:
    """What a thermostat keeps between steps; `step` returns a changed copy."""

    integral: float = _FIRST_INTEGRAL
    heat: bool | None = None
    """Whether heat is requested; None takes over what the miner does."""
    changed: float | None = None
    """When `heat` last changed; None means long ago."""
    starts: tuple[float, ...] = ()
    """When the miner started, for the last 24 h."""
    cycles: tuple[float, ...] = ()
    """When heat was requested again after nothing but the heat had ended it, for the last 24 h."""
    disturbed: bool = False
    """Whether something else than the heat has had a say since heat was last requested."""
    locked: bool = False
    """The hard limit was reached and is not released yet."""
    reading: float | None = None
    reported: float | None = None
    """When the sensor reported `reading`."""
    unchanged: float | None = None
    """Since when the reading has been the same while the miner ran."""
    probe: float | None = None
    """When the probe of a suspect sensor began."""
    alive: float | None = None
    """When a sensor last passed the probe."""
    stuck: bool = False
    percent: int = 0
    """The percent that was decided last."""

    # Not stored
    time: float | None = None
    target: float | None = None
    filtered: float | None = None
    running: bool | None = None
    weak: float | None = None
    """Since when full power has not been enough."""

    def as_json(self, wall_offset: float) -> dict[str, Any]:
        """Return what is stored; wall_offset is the Unix time less the caller's time (s)."""

        def wall(time: float | None) -> float | None:
            return None if time is None else round(time + wall_offset, 1)

        return {
            "integral": round(self.integral, 3),
            "percent": self.percent,
            "heat": self.heat,
            "locked": self.locked,
            "stuck": self.stuck,
            "reading": self.reading,
            "disturbed": self.disturbed,
            "starts": [wall(time) for time in self.starts],
            "cycles": [wall(time) for time in self.cycles],
            **{name: wall(getattr(self, name)) for name in _STORED_TIMES},
        }

    @classmethod
    def from_json(cls, stored: object, now: float, wall_offset: float) -> State:
        """Return the stored state; fields that are missing, wrong or in the future are dropped."""
        data: dict[Any, Any] = stored if isinstance(stored, dict) else {}

        def time(value: object) -> float | None:
            wall = _number(value)
            return (
                None if wall is None or wall - wall_offset > now else wall - wall_offset
            )

        def last_day(stored: object) -> tuple[float, ...]:
            times = map(time, stored if isinstance(stored, list) else ())
            return tuple(
                sorted(at for at in times if at is not None and now - at < DAY)
            )

        integral, percent = _number(data.get("integral")), _number(data.get("percent"))
        moments: dict[str, Any] = {name: time(data.get(name)) for name in _STORED_TIMES}
        state = cls(
            integral=_clamp(_FIRST_INTEGRAL if integral is None else integral, 0, 100),
            percent=int(_clamp(percent or 0, 0, 100)),
            heat=heat if isinstance(heat := data.get("heat"), bool) else None,
            locked=data.get("locked") is True,
            stuck=data.get("stuck") is True,
            disturbed=data.get("disturbed") is True,
            reading=_number(data.get("reading")),
            starts=last_day(data.get("starts")),
            cycles=last_day(data.get("cycles")),
            **moments,
        )
        if state.reading is None or state.reported is None:
            state.reading = state.reported = None
        return state


_STORED_TIMES = ("changed", "reported", "unchanged", "probe", "alive")


def step(
    settings: Settings, state: State, snapshot: Snapshot
) -> tuple[State, Decision]:
    """Return the next state and what the miner shall do now."""
    state = replace(state)
    last, state.time = state.time, snapshot.time
    seconds = 0.0 if last is None else _clamp(snapshot.time - last, 0, _MAX_GAP)
    _observe_miner(state, snapshot)
    _observe_sensor(settings, state, snapshot, seconds)
    age = math.inf if state.reported is None else snapshot.time - state.reported
    if age < settings.lost and state.reading is not None:
        _check_hard_limit(settings, state, state.reading)
    status = _reason_to_stop(settings, state, snapshot, age)
    _observe_disturbance(settings, state, snapshot, status)
    error = 0.0 if state.filtered is None else snapshot.target - state.filtered
    if status is None:
        _request_heat(settings, state, snapshot, error)
        percent, status = _percent(settings, state, snapshot, error, age, seconds)
    else:
        _set_heat(state, snapshot.time, False)
        percent = 0
    state.percent = percent
    _observe_weakness(state, snapshot.time, status, error)
    return state, Decision(
        percent=percent,
        status=status,
        heat=bool(state.heat),
        too_powerful=len(state.cycles) >= _MANY_STARTS,
        too_weak=state.weak is not None and snapshot.time - state.weak >= _WEAK_TIME,
    )


# What is observed


def _observe_miner(state: State, snapshot: Snapshot) -> None:
    """Count all starts; without stored state, take over what the miner does."""
    running = snapshot.running_since is not None
    starts = state.starts
    if running and state.running is False:
        starts += (snapshot.time,)
    state.starts = tuple(at for at in starts if snapshot.time - at < DAY)
    state.cycles = tuple(at for at in state.cycles if snapshot.time - at < DAY)
    state.running = running
    if state.heat is None:
        state.heat = running


def _observe_sensor(
    settings: Settings, state: State, snapshot: Snapshot, seconds: float
) -> None:
    """Take in the reading: filter it, and watch whether it still changes."""
    reading = _number(snapshot.reading)
    previous = state.reading
    if reading is not None:
        state.reading, state.reported = reading, snapshot.time - max(0, snapshot.age)
    if state.reading is None:
        return
    if state.filtered is None:
        state.filtered = state.reading
    state.filtered += min(1, seconds / _FILTER) * (state.reading - state.filtered)
    if state.reading != previous:
        if state.probe is not None:
            state.alive = snapshot.time
        state.unchanged, state.probe, state.stuck = snapshot.time, None, False
    elif not state.stuck:
        _probe_sensor(settings, state, snapshot)


def _probe_sensor(settings: Settings, state: State, snapshot: Snapshot) -> None:
    """Suspect a reading that does not change; it is stuck if it ignores the lowest level too."""
    now = snapshot.time
    if not state.running or state.unchanged is None:
        state.unchanged, state.probe = now, None
        return
    if state.probe is not None:
        state.stuck = now - state.probe >= min(settings.stuck_full, settings.stuck_low)
        if state.stuck:
            state.probe = None
        return
    # An untuned miner ignores the percent and runs up to full power.
    full = state.percent >= _FULL or not snapshot.tuned
    longest = settings.stuck_full if full else settings.stuck_low
    proven = state.alive is not None and now - state.alive < _ALIVE
    if now - state.unchanged >= longest and not proven:
        state.probe = now


def _check_hard_limit(settings: Settings, state: State, reading: float) -> None:
    """Lock at the hard limit, and unlock well below it."""
    if reading >= settings.hard:
        state.locked = True
    elif reading < settings.hard - _RELEASE:
        state.locked = False


def _observe_disturbance(
    settings: Settings, state: State, snapshot: Snapshot, status: Status | None
) -> None:
    """Note what else than the heat may be why the miner stops or starts."""
    is_moved = state.target not in (None, snapshot.target)
    is_curtailed = snapshot.cap < settings.lowest
    if status or is_moved or is_curtailed or not snapshot.permitted:
        state.disturbed = True
    state.target = snapshot.target


def _observe_weakness(state: State, now: float, status: Status, error: float) -> None:
    """Note since when full power has not been enough."""
    if status is not Status.FULL_POWER or error <= _WEAK_ERROR:
        state.weak = None
    elif state.weak is None:
        state.weak = now


# What is decided


def _reason_to_stop(
    settings: Settings, state: State, snapshot: Snapshot, age: float
) -> Status | None:
    """Return why the miner must stop immediately; None if it need not."""
    if snapshot.off:
        return Status.OFF
    if age >= settings.lost:
        return Status.SENSOR_LOST
    if state.locked:
        return Status.TOO_HOT
    return Status.SENSOR_STUCK if state.stuck else None


def _bands(settings: Settings, state: State) -> float:
    """Return the factor by which the starts of the last 24 h widen the bands."""
    more = max(0, len(state.starts) - 1)
    return min(_WIDEST, 1 + settings.widen * more)


def _set_heat(state: State, now: float, heat: bool) -> None:
    """Request heat, or no heat, and note when that changed."""
    if state.heat is heat:
        return
    state.heat, state.changed = heat, now
    if heat:
        state.cycles += () if state.disturbed else (now,)
        state.disturbed = False


def _stop_over(settings: Settings, state: State, now: float) -> bool:
    """Return whether the minimum stop is over."""
    return state.changed is None or now - state.changed >= settings.minimum_stop


def _request_heat(
    settings: Settings, state: State, snapshot: Snapshot, error: float
) -> None:
    """Decide whether heat is requested, within the bands and the minimum times."""
    now, wide = snapshot.time, _bands(settings, state)
    if state.heat:
        low = settings.kp * error + state.integral <= settings.lowest
        above = settings.up * wide
        warm = error <= -2 * above or (error <= -above and (low or not snapshot.tuned))
        since = snapshot.running_since
        may_stop = since is None or now - since >= settings.minimum_run
        if (warm or not snapshot.permitted) and may_stop:
            _set_heat(state, now, False)
    elif (
        snapshot.permitted
        and error >= settings.down * wide
        and _stop_over(settings, state, now)
    ):
        _set_heat(state, now, True)


def _percent(
    settings: Settings,
    state: State,
    snapshot: Snapshot,
    error: float,
    age: float,
    seconds: float,
) -> tuple[int, Status]:
    """Return the percent and the status where no safety rule stops the miner."""
    if not state.heat:
        return 0, _reason_for_idling(settings, state, snapshot, error)
    if snapshot.cap < settings.lowest:
        return 0, Status.CURTAILED
    if age >= settings.late:
        return settings.lowest, Status.SENSOR_LATE
    if state.probe is not None:
        return settings.lowest, Status.SENSOR_SUSPECT
    highest = math.floor(min(100, snapshot.cap))
    if state.running and snapshot.tuned:
        _integrate(settings, state, error, highest, seconds)
    wish = settings.kp * error + state.integral
    percent = _round(settings, state.percent, wish, highest)
    return percent, _heating_status(settings, snapshot, percent, wish > highest)


def _reason_for_idling(
    settings: Settings, state: State, snapshot: Snapshot, error: float
) -> Status:
    """Return why no heat is requested."""
    if not snapshot.call:
        return Status.NO_DEMAND
    if not snapshot.affordable:
        return Status.TOO_EXPENSIVE
    cold = error >= settings.down * _bands(settings, state)
    return Status.WAITING if cold else Status.IDLE


def _integrate(
    settings: Settings, state: State, error: float, highest: int, seconds: float
) -> None:
    """Move the integral, but not further beyond a limit."""
    wish = settings.kp * error + state.integral
    change = settings.kp / settings.ti * error * seconds
    beyond = wish >= highest if change > 0 else wish <= settings.lowest
    if not beyond:
        state.integral = _clamp(state.integral + change, 0, 100)


def _round(settings: Settings, previous: int, wish: float, highest: int) -> int:
    """Return the percent to command; small changes keep the previous one."""
    value = _clamp(wish, settings.lowest, highest)
    at_limit = value in {settings.lowest, highest}
    usable = settings.lowest <= previous <= highest
    if usable and not at_limit and abs(value - previous) < _DEAD_BAND:
        return previous
    return round(value)


def _heating_status(
    settings: Settings, snapshot: Snapshot, percent: int, capped: bool
) -> Status:
    """Return the status while heat is requested and nothing is wrong."""
    since = snapshot.running_since
    if since is None or not snapshot.tuned:
        late = since is not None and snapshot.time - since >= _STARTING
        return Status.TUNING if late else Status.STARTING
    if capped and snapshot.cap < 100:
        return Status.LIMITED
    if percent >= 100:
        return Status.FULL_POWER
    return Status.LOWEST if percent <= settings.lowest else Status.HEATING


# Numbers


def _clamp(value: float, low: float, high: float) -> float:
    """Return the value, limited to a range."""
    return max(low, min(value, high))


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

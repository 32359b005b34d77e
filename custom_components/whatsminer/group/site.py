"""Hold a site meter near a set point with one or more miners.

The controller does not use measured power, which is too old. It keeps for each miner a range that
contains its true power at the time of a reading, from the commands it sent. It changes the wish
only if the reading requires it for every value in that range, so it cannot swing.

`step` is pure: call it for each reading of the meter, after each poll of a miner, and at least every
10 s. It takes a `Snapshot` and returns the next `State` and a `Decision`. Powers are in W (import is
positive, export negative), percents in percent of the tuned power, times in seconds on a clock that
never goes back. One controller per meter: two would swing for ever.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
import math
from statistics import median
from typing import NamedTuple

from ..const import IDLE_POWER

HARD_LIMIT_INTERVAL = 10.0
"""A meter that reports less often (s) cannot keep a hard limit."""
HARD_LIMIT_MARGIN = 500.0
"""A hard limit is approached to this distance (W); peak shaving uses the same."""

_INTERVAL = 30.0
_GAPS = 10
_KNOWN_GAPS = 3
_GREATEST = 100_000.0
_RAMP = {True: (0.0, 5.0), False: (60.0, 360.0)}
"""By fast: the fastest and slowest time (s) in which the power follows a command."""
_PENDING = 120.0
"""A start or stop that no poll shows after this time (s) did not happen."""
_TWO_MINUTES = 120.0

# Slow loop
_UP, _DOWN = 600.0, 1200.0
_MAX_GAP = 60.0
_START_SHARE = 0.6
_STOP_SHARE, _STOP_LAST_SHARE = 0.85, 0.75
"""One of several stops earlier than the last one: those that remain take its surplus."""
_MINIMUM_OFF = 15 * 60.0
_MINIMUM_TUNED = 30 * 60.0
_STAGGER = 60.0

# Levels
_UNEQUAL = 20.0
_EQUALISE_EVERY = 15 * 60.0
_ALLOCATE_EVERY = 5 * 60.0
_SAME_POWER = 0.1

# Supervision
_RESEND = 5 * 60.0
_SETTLED, _SETTLED_MEAN = 60.0, 480.0
_TOLERANCE, _TOLERANCE_SHARE = 300.0, 0.25
_YOUNG = 15.0
_FALLEN = 0.8
_STOP_SEEN = 30.0
_LIMITED = 30.0
_SIGN_POWER = 1000.0
_SIGN_WRONG = 3
_SIGN_IDLE, _SIGN_AGAIN = 10 * 60.0, 2 * 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the user set for a site."""

    set_point: float = -100.0
    """Desired import: solar surplus -100; peak shaving: the limit less 500."""
    band: float = 100.0
    window: float = 30.0
    """A higher surplus must last this long (s)."""
    interval: float | None = None
    """Time between two readings (s); None measures it."""
    battery_first: bool = True
    """Whether the battery charges before the miners run."""
    hard_limit: float | None = None
    """Import that must not be exceeded; wins over everything else."""
    stop_when_silent: bool = True
    """Whether miners stop after 900 s without a reading; else they stay at the lowest level."""
    sign_check: bool = True
    """Whether the meter must show the controller's own commands. Not where another regulator, such
    as a battery without a sensor, holds the meter."""


class Phase(StrEnum):
    """What a miner does, as far as the controller must know."""

    OFF = "off"
    STARTING = "starting"
    """Also while it tunes: it ignores the percent."""
    TUNED = "tuned"
    OFFLINE = "offline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Miner:
    """What is known of one miner at a step."""

    name: str
    curve: tuple[tuple[float, float], ...]
    """(percent, W), ascending, straight between; from the lowest level to full power."""
    phase: Phase
    since: float = -math.inf
    """When the phase began."""
    percent: float | None = None
    """The percent that it reports; only used to take it over."""
    measured: float | None = None
    measured_at: float = -math.inf
    is_mean: bool = False
    """Whether `measured` is a mean of five minutes."""
    gentle: bool = False
    """Whether percents are sent with the gentle command."""
    refused: bool = False
    """Whether the last command was refused or not confirmed."""
    held: bool = False
    """Whether a user took it out of control."""
    allowed: bool = True
    """Whether the group may start it."""
    mined: bool = True
    """For an offline miner: whether it mined when it was last seen."""
    idle: float = IDLE_POWER
    rank: float = 0.0
    """A lower one starts first."""
    resolution: float = 1.0
    """The smallest step of the percent."""

    @property
    def lowest(self) -> float:
        """Return the power of the lowest level."""
        return self.curve[0][1]

    @property
    def full(self) -> float:
        """Return the full power."""
        return self.curve[-1][1]

    def watts(self, percent: float) -> float:
        """Return the power at a percent; 0 is stopped."""
        if percent <= 0:
            return self.idle
        return _interpolate(self.curve, percent)

    def percent_at(self, watts: float) -> float:
        """Return the highest percent that needs no more than a power, at least the lowest one."""
        exact = _interpolate([(w, p) for p, w in self.curve], watts)
        steps = math.floor(exact / self.resolution + 1e-6)
        return max(self.curve[0][0], steps * self.resolution)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One report of the meter; None for what is unknown."""

    at: float
    """When it was reported, even if the value was the same."""
    grid: float | None
    battery: float | None = None
    """Charging is positive."""
    charger: float | None = None
    """Of an electric car that comes after the miners."""
    hidden: bool = False
    """Whether a battery of unknown power may hide how much the house draws."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What a step sees."""

    time: float
    reading: Reading | None
    """The last report of the meter."""
    miners: tuple[Miner, ...]
    reserve: float = 0.0
    """Power that the miners leave to others (W)."""


class Status(StrEnum):
    """What the group does."""

    OFF = "off"
    WAITING = "waiting"
    STARTING = "starting"
    FOLLOWING = "following"
    LOWEST = "lowest"
    FULL = "full"
    METER_LOST = "meter_lost"
    LIMITED = "limited"
    PAUSED = "paused"


class Problem(StrEnum):
    """What the user must repair."""

    SIGN = "sign"
    """The meter does not follow the miners: wrong sign, wrong meter, or two controllers."""
    STOP_NOT_SEEN = "stop_not_seen"
    """The meter does not show that a miner stopped."""


class Fixed(StrEnum):
    """Why a miner is not controlled."""

    OFF = "off"
    STARTING = "starting"
    OFFLINE = "offline"
    HELD = "held"
    NOT_FOLLOWING = "not_following"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command for one miner."""

    percent: float
    """0 to stop."""
    fast: bool = True
    start: bool = False
    repeated: bool = False
    """Whether an earlier command had no effect: it is sent again, whatever the miner reports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a step decided, and why."""

    commands: Mapping[str, Command]
    status: Status
    settles: float
    """What the group settles at, these commands included (W)."""
    low: float | None
    """What it may take, at least, at the last reading (W)."""
    high: float | None
    average: float | None
    """Mean surplus of ten minutes (W)."""
    threshold: float | None
    """The mean surplus that starts the next miner (W); None if none may start."""
    fixed: Mapping[str, Fixed]
    problem: Problem | None = None


class Span(NamedTuple):
    """The range that contains a miner's power, and where it settles (W)."""

    low: float
    high: float
    settles: float


@dataclass(kw_only=True, slots=True)
class Track:
    """The last command to a miner."""

    at: float
    low: float
    high: float
    """Its range at that time."""
    percent: float
    fast: bool = True
    phase: Phase = Phase.TUNED
    starting: bool = False
    """Whether a start was commanded that no poll has shown yet."""
    following: bool = True
    wrong_polls: int = 0
    polled_at: float = -math.inf
    sent: float = -math.inf

    def span(self, miner: Miner, time: float, interval: float) -> Span:
        """Return the range at the time of a reading."""
        target = miner.watts(self.percent)
        fastest, slowest = _RAMP[self.fast or self.percent == 0]
        age = time - self.at
        least = _clamp((age - _delay(interval)) / slowest, 0, 1)
        most = _clamp(age / fastest, 0, 1) if fastest else 1.0
        ends = [
            start + (target - start) * share
            for start in (self.low, self.high)
            for share in (least, most)
        ]
        return Span(min(ends), max(ends), target)


class Effect(NamedTuple):
    """A command whose effect the meter shall show."""

    at: float
    until: float
    grid: float
    change: float
    provoked: bool = False
    """Whether it was sent only to check the meter; nothing rises until it did."""


class Silence(NamedTuple):
    """How long nothing was heard, and after what times nothing rises, all are lowered, all stop (s)."""

    lasts: float
    calm: float
    lower: float
    stop: float


@dataclass(kw_only=True, slots=True)
class State:
    """What a site keeps between steps; nothing of it survives a restart of Home Assistant."""

    tracks: dict[str, Track] = field(default_factory=dict)
    began: float | None = None
    last: Reading | None = None
    """The last valid reading."""
    readings: int = 0
    gaps: tuple[float, ...] = ()
    window: tuple[tuple[float, float], ...] = ()
    """(time, least surplus) of the last readings."""
    up: float | None = None
    down: float | None = None
    started_at: float = -math.inf
    equalised_at: float = -math.inf
    allocated_at: float = -math.inf
    limited_at: float = -math.inf
    limited_grid: float = 0.0
    """Import when the hard limit last lowered something (W)."""
    commanded_at: float = -math.inf
    silence: int = 0
    """How far the measures against a silent meter went."""
    seen: float | None = None
    """When a reading last showed what the miners may draw."""
    stops: tuple[Effect, ...] = ()
    unseen: bool = False
    effect: Effect | None = None
    moved: float = 0.0
    changed: float = 0.0
    wrong: int = 0
    """Checks in turn that the meter failed."""
    proven: bool = False
    """Whether the meter passed a check."""


Allocate = Callable[[float, tuple[Miner, ...]], Mapping[str, float]]
"""Divide a power (W) among unequal miners: return percents in steps of 10 %."""


def step(
    settings: Settings,
    state: State,
    snapshot: Snapshot,
    allocate: Allocate | None = None,
) -> tuple[State, Decision]:
    """Return the next state, and the commands that the miners need now."""
    tracks = {name: replace(track) for name, track in state.tracks.items()}
    state = replace(state, tracks=tracks)
    site = _Site(settings, state, snapshot, allocate)
    site.observe_miners()
    fresh = site.take_reading()
    if fresh is not None and fresh.hidden:
        state.last = fresh
        site.keep_hard_limit(fresh)
    elif fresh is not None:
        site.check_sign(fresh)
        site.follow(fresh)
    site.watch_silence()
    site.resend()
    return state, site.decision()


def power_to_control(
    settings: Settings, reading: Reading, reserve: float = 0.0
) -> float:
    """Return the import that the controller holds at the set point (W)."""
    battery = reading.battery or 0.0
    grid = (reading.grid or 0.0) + reserve - (reading.charger or 0.0)
    return grid + max(0.0, -battery) if settings.battery_first else grid - battery


def wish(
    settings: Settings,
    window: Iterable[tuple[float, float]],
    spans: Iterable[Span],
    power: float,
    time: float,
    interval: float,
) -> float | None:
    """Return the power that the group shall settle at; None if it need not change.

    `window` has the time and the least surplus of earlier readings, this one included.
    """
    spans = list(spans)
    settles = sum(span.settles for span in spans)
    high = sum(span.high for span in spans) - power + _set_point(settings)
    if high < settles - settings.band:
        return high
    recent = [(at, low) for at, low in window if at >= time - settings.window]
    if not recent or time - recent[0][0] < settings.window - interval:
        return None
    low = min(low for _, low in recent)
    return low if low > settles + settings.band else None


def average(
    previous: float | None, surplus: float, seconds: float, over: float
) -> float:
    """Return the next value of an average over a time; it begins with the first surplus."""
    if previous is None:
        return surplus
    return previous + (surplus - previous) * min(1, min(seconds, _MAX_GAP) / over)


def starts(up: float, surplus: float, base: float, miner: Miner) -> bool:
    """Return whether the surplus is enough to start a miner beside `base`."""
    threshold = base + _START_SHARE * miner.full
    return up >= threshold and surplus >= base + miner.lowest


def stops(down: float, lowest: float, running: int) -> bool:
    """Return whether the surplus is too little for the lowest levels of all that are on."""
    return down < (_STOP_SHARE if running > 1 else _STOP_LAST_SHARE) * lowest


def levels(
    miners: tuple[Miner, ...], percents: Mapping[str, float], target: float
) -> dict[str, float]:
    """Return percents that need no more than a power, changing as few miners as possible."""
    result = dict(percents)
    total = sum(miner.watts(result[miner.name]) for miner in miners)
    lower = total > target
    for miner in sorted(miners, key=lambda item: result[item.name], reverse=lower):
        old = result[miner.name]
        others = total - miner.watts(old)
        new = miner.percent_at(target - others)
        result[miner.name] = new = min(new, old) if lower else max(new, old)
        total = others + miner.watts(new)
        if (total <= target) if lower else (new < miner.curve[-1][0]):
            break
    return result


class _Site:
    """One step; changes a state of its own."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        snapshot: Snapshot,
        allocate: Allocate | None,
    ) -> None:
        self.settings = settings
        self.state = state
        self.now = snapshot.time
        self.snapshot = snapshot
        self.allocate = allocate
        self.miners = snapshot.miners
        self.commands: dict[str, Command] = {}
        self.provoked = False
        self.low: float | None = None
        self.high: float | None = None
        self.threshold: float | None = None
        self.interval = settings.interval or _measured_interval(state.gaps)
        if state.began is None:
            state.began = self.now

    @property
    def hard(self) -> bool:
        """Return whether there is a hard limit."""
        return self.settings.hard_limit is not None

    # Miners

    def observe_miners(self) -> None:
        """Bring the tracks in line with what the miners do."""
        names = {miner.name for miner in self.miners if not miner.held}
        tracks = self.state.tracks
        self.state.tracks = {name: tracks[name] for name in tracks if name in names}
        for miner in self.miners:
            if not miner.held:
                self._observe(miner)

    def _observe(self, miner: Miner) -> None:
        """Bring one track in line with what the miner does."""
        track = self.state.tracks.get(miner.name)
        if track is None:
            self.state.tracks[miner.name] = _take_over(miner, self.now)
            return
        phase = miner.phase
        pending = self.now - track.at < _PENDING and not miner.refused
        if phase is not Phase.OFFLINE and pending and track.percent == 0:
            phase = Phase.OFF
        if track.starting:
            track.starting = pending and phase is Phase.OFF
            phase = Phase.STARTING if track.starting else phase
        self._note_phase(miner, track, phase)
        track.phase = phase
        self._check_follows(miner, track)

    def _note_phase(self, miner: Miner, track: Track, phase: Phase) -> None:
        """Bring the power of a track in line with the miner's next phase."""
        full = miner.curve[-1][0]
        match track.phase, phase:
            case Phase.OFFLINE, Phase.TUNED if track.percent > 0:
                self._settle(track, miner.watts(track.percent), track.percent)
            case Phase.STARTING, Phase.TUNED:
                self._settle(track, miner.full, full)
            case _, Phase.STARTING if track.percent == 0:
                self._settle(track, miner.full, full)
            case Phase.STARTING, Phase.OFF:
                self._settle(track, miner.idle, 0)
            case _, Phase.OFF if track.percent > 0:
                self._record(miner, track, Command(percent=0))

    def _settle(self, track: Track, watts: float, percent: float) -> None:
        """Note that a miner is at a known power."""
        track.at, track.low, track.high = self.now, watts, watts
        track.percent, track.following, track.wrong_polls = percent, True, 0

    def _check_follows(self, miner: Miner, track: Track) -> None:
        """Compare the measured power with the expected one, once per poll."""
        if miner.measured is None or miner.measured_at <= track.polled_at:
            return
        slow = _SETTLED_MEAN if miner.is_mean else 0.0
        ramp = _RAMP[track.fast or track.percent == 0][1]
        settled = track.at + _delay(self.interval) + ramp + _SETTLED + slow
        track.polled_at = miner.measured_at
        if miner.measured_at < settled or track.phase not in {Phase.TUNED, Phase.OFF}:
            return
        expected = miner.watts(track.percent)
        allowed = max(_TOLERANCE, _TOLERANCE_SHARE * expected)
        wrong = abs(miner.measured - expected) > allowed
        track.wrong_polls = track.wrong_polls + 1 if wrong else 0
        if not wrong:
            track.following = True
        elif track.wrong_polls >= 2:
            track.following = False

    def fixed(self, miner: Miner) -> Fixed | None:
        """Return why a miner is not controlled; None if it is."""
        if miner.held:
            return Fixed.HELD
        track = self.state.tracks[miner.name]
        if track.phase is Phase.OFFLINE:
            return Fixed.OFFLINE
        if track.phase is Phase.STARTING:
            return Fixed.STARTING
        if not track.following or (miner.refused and track.phase is Phase.TUNED):
            return Fixed.NOT_FOLLOWING
        return Fixed.OFF if track.percent == 0 else None

    def span(self, miner: Miner, time: float) -> Span:
        """Return the range of a miner's power at the time of a reading."""
        why = self.fixed(miner)
        if why in {Fixed.HELD, Fixed.NOT_FOLLOWING}:
            measured = miner.measured
            if measured is None:
                return Span(miner.idle, miner.full, miner.full)
            if self.hard and why is Fixed.NOT_FOLLOWING:
                return Span(measured, miner.full, miner.full)
            return Span(measured, measured, measured)
        if why is Fixed.STARTING:
            return Span(0, miner.full, miner.full)
        if why is Fixed.OFFLINE:
            if self.hard:
                return Span(0, miner.full, miner.full)
            possible = miner.mined or self.now - miner.since < _TWO_MINUTES
            return Span(0, miner.full if possible else 0, 0)
        return self.state.tracks[miner.name].span(miner, time, self.interval)

    def controlled(self) -> tuple[Miner, ...]:
        """Return the miners that follow a percent."""
        return tuple(miner for miner in self.miners if self.fixed(miner) is None)

    def on(self) -> list[Miner]:
        """Return the miners of the group that run."""
        off = {Fixed.OFF, Fixed.OFFLINE, Fixed.HELD}
        return [miner for miner in self.miners if self.fixed(miner) not in off]

    def _running(self) -> list[Miner]:
        """Return all miners that run and can be stopped, also those that a user holds."""
        tracks = self.state.tracks
        return [
            miner
            for miner in self.miners
            if miner.phase in {Phase.STARTING, Phase.TUNED}
            and (
                tracks[miner.name].percent > 0
                if miner.name in tracks
                else not miner.refused
            )
        ]

    # Meter

    def take_reading(self) -> Reading | None:
        """Return a new valid reading; None if there is none."""
        reading, last = self.snapshot.reading, self.state.last
        if reading is None or (last is not None and reading.at <= last.at):
            return None
        if not self._is_valid(reading):
            return None
        state = self.state
        if last is not None:
            state.gaps = (*state.gaps, reading.at - last.at)[-_GAPS:]
        if reading.hidden:
            return reading
        unseen = 0.0 if state.seen is None else reading.at - state.seen
        if unseen >= min(one.calm for one in self._silences()):
            state.window, state.up, state.down, state.effect = (), None, None, None
        state.silence, state.seen = 0, reading.at
        state.readings += 1
        return reading

    def _is_valid(self, reading: Reading) -> bool:
        """Return whether the meter reported a possible power."""
        values = (reading.battery, reading.charger)
        return _is_power(reading.grid) and all(
            value is None or _is_power(value) for value in values
        )

    def _silences(self) -> list[Silence]:
        """Return the silence of the meter for each purpose.

        The breaker limit needs the meter alone, all else also what a battery does.
        """
        stop = 900.0 if self.settings.stop_when_silent else math.inf
        calm = max(120.0, 3 * self.interval)
        found = [Silence(self._since(self.state.seen), calm, 300.0, stop)]
        if self.hard:
            at = self.state.last.at if self.state.last else None
            found.append(Silence(self._since(at), 30.0, 30.0, 60.0))
        return found

    def _since(self, at: float | None) -> float:
        """Return the time since a reading, or else since the start (s)."""
        at = self.state.began if at is None else at
        return 0.0 if at is None else self.now - at

    def watch_silence(self) -> None:
        """Lower and stop the miners while the meter is silent."""
        silences = self._silences()
        if any(one.lasts >= one.stop for one in silences):
            if self.state.silence < 2:
                for miner in self._running() if self.hard else self.on():
                    self.command(miner, 0)
            self.state.silence = 2
        elif any(one.lasts >= one.lower for one in silences):
            # A miner that becomes tuned during the silence is lowered too.
            for miner in self.controlled():
                self.command(miner, miner.curve[0][0])
            self.state.silence = max(1, self.state.silence)

    # Commands

    def command(
        self, miner: Miner, percent: float, *, fast: bool = False, start: bool = False
    ) -> None:
        """Send a command, unless it changes nothing."""
        track = self.state.tracks.get(miner.name)
        if track is not None and track.percent == percent and not start:
            return
        use_fast = not miner.gentle or fast or self.hard or percent == 0
        command = Command(percent=percent, fast=use_fast, start=start)
        self.commands[miner.name] = command
        self.state.commanded_at = self.now
        if track is not None:
            self._record(miner, track, command)

    def _record(self, miner: Miner, track: Track, command: Command) -> None:
        """Note a command and the range from which it begins."""
        span = self.span(miner, self.now)
        track.at, track.low, track.high = self.now, span.low, span.high
        track.percent, track.fast = command.percent, command.fast
        track.sent, track.wrong_polls = self.now, 0
        if command.start:
            track.starting, track.phase = True, Phase.STARTING
        elif command.percent == 0 and track.phase is Phase.STARTING:
            track.starting, track.phase = False, Phase.OFF

    def resend(self) -> None:
        """Send the percent of a miner that does not follow again, every 5 min."""
        for miner in self.miners:
            if self.fixed(miner) is not Fixed.NOT_FOLLOWING:
                continue
            track = self.state.tracks[miner.name]
            if self.now - track.sent >= _RESEND:
                track.sent = self.now
                self.commands[miner.name] = Command(
                    percent=track.percent, fast=track.fast, repeated=True
                )

    # One reading

    def follow(self, reading: Reading) -> None:
        """Decide what the reading requires."""
        state, last = self.state, self.state.last
        seconds = 0.0 if last is None else reading.at - last.at
        state.last = reading
        power = power_to_control(self.settings, reading, self.snapshot.reserve)
        spans = [self.span(miner, reading.at) for miner in self.miners]
        room = _set_point(self.settings) - power
        self.low = sum(span.low for span in spans) + room
        self.high = sum(span.high for span in spans) + room
        keep = reading.at - self.settings.window
        window = (*state.window, (reading.at, self.low))
        state.window = tuple(item for item in window if item[0] >= keep)
        surplus = self._midpoints(spans) + room
        state.up = average(state.up, surplus, seconds, _UP)
        state.down = average(state.down, surplus, seconds, _DOWN)
        before = sum(span.settles for span in spans)
        limited = self.keep_hard_limit(reading)
        if not limited and state.readings >= 2 and not self._blocked():
            target = wish(
                self.settings, state.window, spans, power, reading.at, self.interval
            )
            if target is not None:
                self._divide(target, spans)
            self._start_or_stop(surplus)
            self._provoke()
        self._expect(reading, before, None if last is None else _own_power(last))

    def _midpoints(self, spans: list[Span]) -> float:
        """Return the likely power of all miners; a starting one's is measured."""
        total = 0.0
        for miner, span in zip(self.miners, spans, strict=True):
            starting = self.fixed(miner) is Fixed.STARTING
            usable = miner.measured is not None and not miner.is_mean
            likely = (span.low + span.high) / 2
            total += (miner.measured or 0.0) if starting and usable else likely
        return total

    def _blocked(self) -> bool:
        """Return whether the group must not follow."""
        effect = self.state.effect
        checks = effect is not None and effect.provoked
        return checks or self.state.wrong >= _SIGN_WRONG

    def _divide(self, target: float, spans: list[Span]) -> None:
        """Divide a wish among the miners that follow a percent."""
        miners = self.controlled()
        if not miners:
            return
        names = {miner.name for miner in miners}
        rest = sum(
            span.settles
            for miner, span in zip(self.miners, spans, strict=True)
            if miner.name not in names
        )
        least = sum(miner.lowest for miner in miners)
        most = sum(miner.full for miner in miners)
        self._apply(miners, _clamp(target - rest, least, most))

    def _apply(self, miners: tuple[Miner, ...], target: float) -> None:
        """Command the percents for a power."""
        old = {miner.name: self.state.tracks[miner.name].percent for miner in miners}
        new = levels(miners, old, target)
        fulls = [miner.full for miner in miners]
        equal = max(fulls) - min(fulls) <= _SAME_POWER * max(fulls)
        apart = max(new.values()) - min(new.values()) > _UNEQUAL
        if self.allocate and not equal:
            if self.now - self.state.allocated_at >= _ALLOCATE_EVERY:
                self.state.allocated_at = self.now
                new = levels(miners, {**old, **self.allocate(target, miners)}, target)
        elif equal and apart and self.now - self.state.equalised_at >= _EQUALISE_EVERY:
            self.state.equalised_at = self.now
            share = target / sum(fulls)
            even = {
                miner.name: miner.percent_at(miner.full * share) for miner in miners
            }
            new = levels(miners, even, target)
        for miner in miners:
            self.command(miner, new[miner.name])

    # Slow loop

    def _start_or_stop(self, surplus: float) -> None:
        """Start or stop at most one miner."""
        state = self.state
        on, base, lowest = self.on(), 0.0, 0.0
        for miner in on:
            why = self.fixed(miner)
            measured = miner.full if miner.measured is None else miner.measured
            other = miner.full if why is Fixed.STARTING else measured
            base += miner.lowest if why is None else other
            lowest += miner.lowest
        upcoming = self._next_start()
        if upcoming is not None:
            self.threshold = base + _START_SHARE * upcoming.full
            enough = state.up is not None and starts(state.up, surplus, base, upcoming)
            due = self.now - state.started_at >= _STAGGER
            if enough and due and self._fits(upcoming):
                state.started_at = self.now
                self.command(upcoming, upcoming.curve[-1][0], start=True)
                return
        if state.down is not None and on and stops(state.down, lowest, len(on)):
            ripe = [
                miner
                for miner in self.controlled()
                if self.now - miner.since >= _MINIMUM_TUNED
            ]
            if ripe:
                self.command(min(ripe, key=lambda miner: miner.since), 0)

    def _next_start(self) -> Miner | None:
        """Return the miner that starts next: by rank, then the one longest off."""
        ready = [
            miner
            for miner in self.miners
            if self.fixed(miner) is Fixed.OFF
            and miner.phase is Phase.OFF
            and miner.allowed
            and self.now - max(miner.since, self.state.tracks[miner.name].at)
            >= _MINIMUM_OFF
        ]
        return min(
            ready,
            key=lambda miner: (miner.rank, miner.since),
            default=None,
        )

    def _fits(self, miner: Miner) -> bool:
        """Return whether a start cannot exceed the hard limit."""
        limit, last = self.settings.hard_limit, self.state.last
        if limit is None or last is None or last.grid is None:
            return True
        spans = [self.span(item, last.at) for item in self.miners]
        settles = sum(span.settles for span in spans)
        low = sum(span.low for span in spans) - last.grid + limit - HARD_LIMIT_MARGIN
        return low >= settles + miner.full

    # Hard limit

    def keep_hard_limit(self, reading: Reading) -> bool:
        """Lower and stop miners until the import is below the hard limit; return if that was needed."""
        limit = self.settings.hard_limit
        if limit is None or reading.grid is None:
            return False
        self._watch_stops(reading.grid, limit)
        excess = reading.grid - limit
        if excess <= 0:
            return False
        self.state.limited_at = self.now
        # What the meter already shows of young commands will not fall again.
        falling = self._falling(reading.at)
        if self.state.limited_grid - reading.grid < _FALLEN * falling:
            excess -= falling
        if excess <= 0:
            return True
        self.state.limited_grid = reading.grid
        lowered = self.controlled()
        percents = {m.name: self.state.tracks[m.name].percent for m in lowered}
        power = sum(miner.watts(percents[miner.name]) for miner in lowered)
        room = power - sum(miner.lowest for miner in lowered)
        stopped: set[str] = set()
        if excess > room:
            stopped = self._stop_for(excess - room, reading.grid)
            new = {miner.name: miner.curve[0][0] for miner in lowered}
        else:
            new = levels(lowered, percents, power - excess)
        for miner in lowered:
            if miner.name not in stopped:
                self.command(miner, new[miner.name], fast=True)
        return True

    def _falling(self, at: float) -> float:
        """Return what young commands will still take away (W)."""
        total = 0.0
        for miner in self.miners:
            track = self.state.tracks.get(miner.name)
            if track is not None and self.now - track.sent < _YOUNG:
                span = self.span(miner, at)
                total += max(0.0, span.high - span.settles)
        return total

    def _stop_for(self, need: float, grid: float) -> set[str]:
        """Stop as many miners as a power needs, starting ones first; return which."""
        running = self._running()
        stopped: set[str] = set()
        total = 0.0
        for miner in sorted(running, key=lambda item: item.phase is not Phase.STARTING):
            if need <= 0:
                break
            measured = 0.0 if miner.is_mean else miner.measured or 0.0
            saved = miner.lowest if self.fixed(miner) is None else measured
            saved -= miner.idle
            need -= max(0.0, saved)
            total += max(0.0, saved)
            stopped.add(miner.name)
            self.command(miner, 0)
        if stopped:
            effect = Effect(self.now, self.now + _STOP_SEEN, grid, -total)
            self.state.stops = (*self.state.stops, effect)[-4:]
        return stopped

    def _watch_stops(self, grid: float, limit: float) -> None:
        """Send a stop again that the meter does not show, until the import is below the limit."""
        due = [effect for effect in self.state.stops if self.now >= effect.until]
        if not due:
            return
        self.state.stops = tuple(e for e in self.state.stops if self.now < e.until)
        hidden = any(grid - effect.grid > effect.change / 2 for effect in due)
        self.state.unseen = hidden and grid > limit
        if not self.state.unseen:
            return
        for miner in self.miners:
            track = self.state.tracks.get(miner.name)
            if track is None or track.percent > 0 or miner.phase is Phase.OFFLINE:
                continue
            if any(abs(track.sent - effect.at) < 1 for effect in due):
                track.sent = self.now
                self.commands[miner.name] = Command(percent=0, repeated=True)
                again = Effect(self.now, self.now + _STOP_SEEN, grid, due[0].change)
                self.state.stops = (*self.state.stops, again)[-4:]

    # Sign check

    def _expect(self, reading: Reading, before: float, previous: float | None) -> None:
        """Note what the meter shall show of these commands, unless other loads would hide it."""
        if not self.commands or not self.settings.sign_check:
            return
        settles = sum(self.span(miner, reading.at).settles for miner in self.miners)
        slow = any(not command.fast for command in self.commands.values())
        until = self.now + _delay(self.interval) + _RAMP[not slow][1]
        effect, own = self.state.effect, _own_power(reading)
        busy = effect is not None and effect.until > self.now
        # The power of a miner that starts rises for minutes, and would hide the change.
        starting = any(command.start for command in self.commands.values()) or any(
            self.fixed(miner) is Fixed.STARTING for miner in self.miners
        )
        change = settles - before
        calm = previous is not None and abs(own - previous) <= abs(change) / 2
        usable = calm and not busy and not starting
        self.state.effect = Effect(
            self.now, until, own, change if usable else 0.0, self.provoked
        )

    def check_sign(self, reading: Reading) -> None:
        """Count own changes of 1 kW in total that the meter did not show."""
        state, effect = self.state, self.state.effect
        if effect is None or reading.at < effect.until:
            return
        state.effect = None
        if not effect.change:
            return
        direction = math.copysign(1, effect.change)
        state.moved += direction * (_own_power(reading) - effect.grid)
        state.changed += abs(effect.change)
        if state.changed >= _SIGN_POWER:
            right = state.moved >= state.changed / 2
            state.wrong = 0 if right else state.wrong + 1
            state.proven = state.proven or right
            state.moved = state.changed = 0.0
        if state.wrong >= _SIGN_WRONG:
            for miner in self.on():
                self.command(miner, 0)

    def _provoke(self) -> None:
        """Lower a group at full power whose meter has not passed a check: it makes no changes."""
        state = self.state
        suspect = state.wrong > 0 or not state.proven
        idle = self.now - max(state.commanded_at, state.began or 0.0)
        due = idle >= (_SIGN_AGAIN if state.wrong else _SIGN_IDLE)
        if (
            self.settings.sign_check
            and suspect
            and due
            and self._status() is Status.FULL
        ):
            self.provoked = True
            for miner in self.controlled():
                self.command(miner, miner.curve[0][0])

    # What is shown

    def decision(self) -> Decision:
        """Return the decision of this step."""
        spans = [self.span(miner, self.now) for miner in self.miners]
        reasons = {miner.name: self.fixed(miner) for miner in self.miners}
        problem = Problem.STOP_NOT_SEEN if self.state.unseen else None
        return Decision(
            commands=self.commands,
            status=self._status(),
            settles=sum(span.settles for span in spans),
            low=self.low,
            high=self.high,
            average=self.state.up,
            threshold=self.threshold,
            fixed={name: why for name, why in reasons.items() if why is not None},
            problem=Problem.SIGN if self.state.wrong >= _SIGN_WRONG else problem,
        )

    def _status(self) -> Status:
        """Return what the group does."""
        on = self.on()
        if self.state.wrong >= _SIGN_WRONG:
            return Status.OFF
        if not on and not any(
            miner.allowed and not miner.held for miner in self.miners
        ):
            return Status.OFF
        if any(one.lasts >= one.calm for one in self._silences()):
            return Status.METER_LOST
        if self.now - self.state.limited_at <= _LIMITED:
            return Status.LIMITED
        return self._running_status(bool(on))

    def _running_status(self, any_on: bool) -> Status:
        """Return what the miners do while all is well."""
        miners = self.controlled()
        if not miners:
            return Status.STARTING if any_on else Status.WAITING
        percents = [self.state.tracks[miner.name].percent for miner in miners]
        pairs = list(zip(miners, percents, strict=True))
        if all(percent >= miner.curve[-1][0] for miner, percent in pairs):
            return Status.FULL
        lowest = all(percent <= miner.curve[0][0] for miner, percent in pairs)
        return Status.LOWEST if lowest else Status.FOLLOWING


# Small parts


def _take_over(miner: Miner, now: float) -> Track:
    """Return the track of a miner whose commands are not known."""
    if miner.phase is Phase.OFF:
        idle = miner.idle
        return Track(at=-math.inf, low=idle, high=idle, percent=0, phase=miner.phase)
    percent = miner.percent
    if percent is None or percent <= 0:
        usable = miner.measured is not None and not miner.is_mean
        percent = (
            miner.percent_at(miner.measured or 0) if usable else miner.curve[-1][0]
        )
    return Track(
        at=now,
        low=miner.lowest,
        high=miner.full,
        percent=_clamp(percent, miner.curve[0][0], miner.curve[-1][0]),
        fast=not miner.gentle,
        phase=miner.phase,
    )


def _set_point(settings: Settings) -> float:
    """Return the import to hold; a hard limit is approached to its margin."""
    if settings.hard_limit is None:
        return settings.set_point
    return min(settings.set_point, settings.hard_limit - HARD_LIMIT_MARGIN)


def _own_power(reading: Reading) -> float:
    """Return a power that the miners change, whatever a battery does (W)."""
    return (reading.grid or 0.0) - (reading.battery or 0.0)


def _delay(interval: float) -> float:
    """Return how late the meter may show what a command did (s)."""
    return 1.5 * interval + 5


def _measured_interval(gaps: tuple[float, ...]) -> float:
    """Return the time between two readings (s)."""
    if len(gaps) < _KNOWN_GAPS:
        return _INTERVAL
    return _clamp(median(gaps), 1, 120)


def _is_power(value: object) -> bool:
    """Return whether a value is a power that a meter can report."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _GREATEST


def _interpolate(points: Iterable[tuple[float, float]], x: float) -> float:
    """Return the value between two points, or that of the nearest end."""
    points = list(points)
    index = bisect_left(points, (x,))
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[index - 1], points[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _clamp(value: float, low: float, high: float) -> float:
    """Return the value, limited to a range."""
    return max(low, min(value, high))

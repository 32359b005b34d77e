"""Share one power among several miners, so that they hash most. Pure.

W and TH/s; a percent of 0 is stop.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
import heapq
from itertools import accumulate, pairwise
import math
from typing import NamedTuple

from ..money.curve import Level, Start

HOLD = 1.0
"""Hours that a target is expected to stand."""
EXACT = 12
"""Miners nearest to the edge that are solved exactly."""
MOST_STATES, MOST_STATES_OF_MANY = 300, 100
"""A bound of time: dozens of nearly equal miners have more ways than are worth a look."""
ROUNDING = 1e-9

TARGET_MOVED = 0.02
UPWARDS_EVERY = 300.0
"""Seconds between two changes upwards."""
STAGGER = 60.0
"""Seconds between two starts."""


class Role(StrEnum):
    """What may be done with a miner."""

    FREE = "free"
    MUST_RUN = "must_run"
    """It is in its shortest run: it may be lowered, not stopped."""
    FIXED = "fixed"
    """It is not touched: starting, curtailed by another reason, held, offline, in its shortest stop."""


class Member(NamedTuple):
    """One miner of a fleet."""

    name: str
    levels: tuple[Level, ...]
    """Ascending, without stop."""
    idle: float
    """What it draws when it is stopped (W)."""
    on: bool
    loss: float
    """What a start costs: TH/s x h."""
    role: Role = Role.FREE
    fixed_watts: float = 0.0
    """What a fixed one draws, or may draw any moment."""
    worth: float = 1.0
    """Of one TH/s, where the hashprices differ."""


class Allocation(NamedTuple):
    """A level for each miner that is not fixed."""

    percents: dict[str, float]
    watts: float
    """Of all miners, the fixed ones included."""
    ths: float
    """Of those that are not fixed."""
    value: float
    """TH/s less `loss / hold` for each miner that is switched."""


class _Choice(NamedTuple):
    watts: float
    value: float
    level: Level | None


def start_loss(start: Start, full: Level) -> float:
    """Return what a start costs (TH/s x h)."""
    return start.hours * max(0.0, full.ths - start.ths)


def allocate(
    target: float, members: Sequence[Member], hold: float = HOLD
) -> Allocation:
    """Return the levels that hash most within a target (W).

    The target is kept as far as the levels allow: below their least power they draw that.
    """
    free = [member for member in members if member.role is not Role.FIXED]
    fixed = sum(x.fixed_watts for x in members if x.role is Role.FIXED)
    room = target - fixed
    choices = [_choices(member, hold) for member in free]
    chosen, slope = _fill(choices, room)
    near = _nearest(choices, slope)
    room -= sum(choice.watts for i, choice in enumerate(chosen) if i not in near)
    states = MOST_STATES if len(near) == len(choices) else MOST_STATES_OF_MANY
    best = _solve([choices[i] for i in near], room, states)
    for i, choice in zip(near, best, strict=True):
        chosen[i] = choice
    levels = [choice.level for choice in chosen]
    return Allocation(
        percents={
            member.name: level.percent if level else 0.0
            for member, level in zip(free, levels, strict=True)
        },
        watts=fixed + sum(choice.watts for choice in chosen),
        ths=sum(level.ths for level in levels if level),
        value=sum(choice.value for choice in chosen),
    )


def allocate_starts(target: float, members: Sequence[Member]) -> Allocation:
    """Return the levels within a target, with as many starts as fit into it now.

    A miner draws its full power while it tunes, whatever its percent: the others make room for
    that. One that does not fit stays off until others are tuned. Where nothing would run at all,
    one is started nevertheless, since it can be lowered once it is tuned.
    """
    wanted = allocate(target, members)
    percents = wanted.percents
    starts = [one for one in members if not one.on and percents.get(one.name)]
    if not starts:
        return wanted
    starts.sort(key=lambda one: _efficiency(one, percents[one.name]))
    room = target
    for one in members:
        if one.role is Role.FIXED:
            room -= one.fixed_watts
        else:
            stays = one.on and percents[one.name]
            room -= one.levels[0].watts if stays else one.idle
    runs = any(one.on and percents.get(one.name, 1.0) for one in members)
    fitting: set[str] = set()
    for one in starts:
        more = one.levels[-1].watts - one.idle
        if more <= room or not (runs or fitting):
            fitting.add(one.name)
            room -= more
    found = allocate(target, [_in_start(x, percents, fitting) for x in members])
    return found._replace(
        percents=found.percents | {name: percents[name] for name in fitting}
    )


def allocate_rest(
    target: float, members: Sequence[Member], commanded: Mapping[str, float]
) -> Allocation:
    """Return the levels within a target for which some miners got their percents already.

    Those are commanded again only if the others do not suffice for what has changed since, and
    then only to lower them.
    """
    spared, lowered = [], []
    for one in members:
        percent = commanded.get(one.name)
        if percent is None or one.role is Role.FIXED:
            spared.append(one)
            lowered.append(one)
            continue
        levels = tuple(x for x in one.levels if x.percent <= percent)
        watts = levels[-1].watts if levels else one.idle
        fixed = one._replace(role=Role.FIXED, fixed_watts=watts)
        spared.append(fixed)
        lowered.append(one._replace(levels=levels) if levels else fixed)
    found = allocate_starts(target, spared)
    if found.watts > target and commanded:
        return allocate_starts(target, lowered)
    return found


def _in_start(
    member: Member, percents: Mapping[str, float], fitting: Collection[str]
) -> Member:
    """Return a miner for the time in which some start: those, and the others that are off, are fixed."""
    if member.role is Role.FIXED:
        return member
    if member.on:
        stays = percents[member.name] > 0
        return member._replace(role=Role.MUST_RUN) if stays else member
    watts = member.levels[-1].watts if member.name in fitting else member.idle
    return member._replace(role=Role.FIXED, fixed_watts=watts)


def _efficiency(member: Member, percent: float) -> float:
    """Return J/TH at a level; infinite where it is unknown."""
    return min(
        (x.watts / x.ths for x in member.levels if x.percent == percent and x.ths),
        default=math.inf,
    )


def _choices(member: Member, hold: float) -> list[_Choice]:
    """Return what a miner can do, by power; more power for no more value is no choice."""
    cost = member.loss / hold * member.worth
    found = [
        _Choice(x.watts, x.ths * member.worth - (0 if member.on else cost), x)
        for x in member.levels
    ]
    if member.role is not Role.MUST_RUN or not found:
        found.append(_Choice(member.idle, -cost if member.on else 0.0, None))
    found.sort(key=lambda x: (x.watts, -x.value))
    best = found[:1]
    for choice in found[1:]:
        if choice.value > best[-1].value:
            best.append(choice)
    return best


class _Segment(NamedTuple):
    """From one choice to the next on the upper concave hull of a miner."""

    slope: float
    """TH/s per W."""
    watts: float
    miner: int
    choice: _Choice


def _slope(one: _Choice, other: _Choice) -> float:
    return (other.value - one.value) / (other.watts - one.watts)


def _segments(choices: Sequence[Sequence[_Choice]]) -> list[_Segment]:
    """Return the hull segments of all miners, the best first."""
    found = []
    for miner, own in enumerate(choices):
        hull: list[_Choice] = []
        for choice in own:
            while len(hull) > 1 and _slope(*hull[-2:]) <= _slope(hull[-1], choice):
                hull.pop()
            hull.append(choice)
        for one, other in pairwise(hull):
            watts = other.watts - one.watts
            found.append(_Segment(_slope(one, other), watts, miner, other))
    return sorted(found, key=lambda x: -x.slope)


def _fill(
    choices: Sequence[Sequence[_Choice]], room: float, *, beyond: bool = False
) -> tuple[list[_Choice], float]:
    """Return the choices of equal marginal yield, and the slope at the edge.

    The best segments are taken, until the first that does not fit; `beyond` that also those of
    other miners that do.
    """
    chosen = [own[0] for own in choices]
    left = room - sum(choice.watts for choice in chosen)
    full: set[int] = set()
    edge = 0.0
    for segment in _segments(choices):
        if segment.miner in full:
            continue
        if segment.watts <= left:
            chosen[segment.miner] = segment.choice
            left -= segment.watts
            continue
        edge = edge or segment.slope
        if not beyond:
            break
        full.add(segment.miner)
    return chosen, edge


def _nearest(choices: Sequence[Sequence[_Choice]], slope: float) -> list[int]:
    """Return the miners that are solved exactly: those with a segment nearest to the edge."""
    if len(choices) <= EXACT:
        return list(range(len(choices)))
    segments = sorted(_segments(choices), key=lambda x: abs(x.slope - slope))
    return list(dict.fromkeys(x.miner for x in segments))[:EXACT]


class _Bound:
    """The most value within a room, if segments could be divided."""

    def __init__(self, choices: Sequence[Sequence[_Choice]]) -> None:
        segments = _segments(choices)
        self.least = sum(own[0].watts for own in choices)
        self._slopes = [*(x.slope for x in segments), 0.0]
        self._watts = list(accumulate((x.watts for x in segments), initial=self.least))
        gains = (x.slope * x.watts for x in segments)
        first = sum(own[0].value for own in choices)
        self._values = list(accumulate(gains, initial=first))

    def within(self, room: float) -> float:
        i = max(0, bisect_right(self._watts, room) - 1)
        return self._values[i] + self._slopes[i] * (room - self._watts[i])


type _Path = tuple[_Path, _Choice] | None


type _Partial = tuple[float, float, _Path]
"""Power and value of the choices of the first miners, and the choices."""


def _solve(
    choices: Sequence[Sequence[_Choice]], room: float, most_states: int
) -> list[_Choice]:
    """Return the choices with the most value within a room; those of least power if none fit.

    One miner after the other; of what is possible so far, only that is kept which no other beats
    with less power, and which can still beat the hull's choices.
    """
    chosen, _ = _fill(choices, room, beyond=True)
    enough = sum(choice.value for choice in chosen) - ROUNDING
    states: list[_Partial] = [(0.0, 0.0, None)]
    for i, own in enumerate(choices):
        bound = _Bound(choices[i + 1 :])
        limit = room - bound.least
        grown: list[_Partial] = [
            (watts + choice.watts, value + choice.value, (path, choice))
            for watts, value, path in states
            for choice in own
            if watts + choice.watts <= limit
        ]
        grown.sort(key=lambda x: (x[0], -x[1]))
        states, most = [], -math.inf
        for state in grown:
            if state[1] > most:
                most = state[1]
                if most + bound.within(room - state[0]) >= enough:
                    states.append(state)
        if len(states) > most_states:
            states = heapq.nlargest(
                most_states,
                states,
                key=lambda x: x[1] + bound.within(room - x[0]),
            )
    if not states:
        return chosen
    path = max(states, key=lambda x: x[1])[2]
    found: list[_Choice] = []
    while path:
        path, choice = path
        found.append(choice)
    return found[::-1]


# Doing it


class Move(NamedTuple):
    """One command."""

    name: str
    percent: float


class Moves(NamedTuple):
    """In the order in which they are carried out, which keeps the target all the time."""

    down: list[Move]
    """All that lower or stop: to be confirmed before the others."""
    up: list[Move]
    start: list[Move]
    """The most efficient first, `STAGGER` seconds apart."""
    same: list[Move]
    """Those that are where they should be."""


def moves(
    members: Sequence[Member],
    percents: Mapping[str, float],
    allocation: Allocation,
) -> Moves:
    """Return what must be commanded, for miners that run at these percents."""
    found = Moves([], [], [], [])
    efficiency = {}
    for member in members:
        wanted = allocation.percents.get(member.name)
        now = percents.get(member.name, 0.0)
        if wanted is None:
            continue
        kind = found.down if wanted < now else found.up if now else found.start
        if wanted == now:
            kind = found.same
        kind.append(Move(member.name, wanted))
        efficiency[member.name] = _efficiency(member, wanted)
    found.start.sort(key=lambda move: efficiency[move.name])
    return found


def is_due(
    allocated: float,
    target: float,
    watts: float,
    *,
    expected: float,
    changed: bool,
    since: float,
) -> bool:
    """Return whether to allocate again.

    `allocated` is the target of the last allocation, `expected` what the miners draw by it, which
    is more where they cannot draw less, and `watts` what they may draw now; `changed` is whether
    a miner can do more or less than then, `since` the seconds that have passed.
    """
    is_same = target == allocated and not changed
    most = max(target, expected) if is_same else target
    if watts > most + TARGET_MOVED * abs(most):
        return True
    moved = abs(target - allocated) > TARGET_MOVED * abs(allocated)
    return (moved or changed) and since >= UPWARDS_EVERY

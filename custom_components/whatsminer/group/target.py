"""Divide a power target among the miners of a group, and carry it out in the right order."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
import math
from typing import Any

from homeassistant.core import callback

from .allocation import (
    STAGGER,
    UPWARDS_EVERY,
    Member as Allocated,
    Move,
    Moves,
    Role,
    allocate_rest,
    is_due,
    moves,
)
from .member import Member

ATTEMPTS = 3
"""How often the rest is divided again when a miner refuses."""


class TargetControl:
    """Holds the power of a group at a target."""

    def __init__(
        self,
        clock: Callable[[], float],
        start_task: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """Prepare; nothing is commanded before the first target."""
        self._clock = clock
        self._start_task = start_task
        self._target: float | None = None
        self._known: dict[str, tuple[Any, ...]] = {}
        self._at = self._all_at = -math.inf
        """When it was divided last, and when among all miners."""
        self._commanded: dict[str, float] = {}
        """The percents since then."""
        self._expected = -math.inf
        """What the miners draw by the last division (W)."""
        self._plan: object = None
        self._waiting: set[str] = set()
        self._next_start = -math.inf

    @callback
    def follow(
        self, target: float | None, members: dict[str, Member], *, now: bool = False
    ) -> None:
        """Divide the target again if that is due; `now` if the user has changed it."""
        if target is None:
            if now:
                self._target, self._plan = None, object()
            if freed := [one for one in members.values() if now or one.waits]:
                self._start_task(self._release(freed))
            return
        known = [member.allocated(self._clock()) for member in members.values()]
        waiting = {x.name for x in members.values() if x.waits and not x.held}
        now = now or not waiting <= self._waiting
        self._waiting = waiting
        roles = {one.name: (one.role, one.on, len(one.levels)) for one in known}
        due = self._target is None or is_due(
            self._target,
            target,
            sum(_may_draw(one, members[one.name]) for one in known),
            expected=self._expected,
            changed=roles != self._known,
            since=self._clock() - self._at,
        )
        again = self._is_long_ago and any(x.refused for x in members.values())
        if not (due or now or again):
            return
        if now or target != self._target or self._is_long_ago:
            self._all_at, self._commanded = self._clock(), {}
            for member in members.values():
                member.forget_refusal()
        self._target, self._known, self._at = target, roles, self._clock()
        self._expected = math.inf
        self._plan = plan = object()
        self._start_task(self._carry_out(plan, target, members))

    @callback
    def cancel(self) -> None:
        """Start no more miners: something else decides now."""
        self._target, self._plan = None, object()

    @property
    def _is_long_ago(self) -> bool:
        """Return whether all miners may be commanded again, also those that refused."""
        return self._clock() - self._all_at >= UPWARDS_EVERY

    async def _release(self, members: Iterable[Member]) -> None:
        """Return miners to what their users have set."""
        await asyncio.gather(*(member.async_command(None) for member in members))

    async def _carry_out(
        self, plan: object, target: float, members: dict[str, Member]
    ) -> None:
        """Lower first, then raise, then start one after the other; a newer plan ends this one."""
        for _ in range(ATTEMPTS):
            # A division of its own step of the event loop: it takes longest.
            await asyncio.sleep(0)
            if self._plan is not plan:
                return
            order = self._divide(target, members)
            if await self._command(order.down, members):
                break
        if self._plan is plan:
            await self._command(order.up, members)
            # One that stays stopped waits on: it is started as soon as there is room.
            waiting = [x for x in order.same if x.percent and members[x.name].waits]
            await self._command(waiting, members)
        for move in order.start:
            await asyncio.sleep(max(0.0, self._next_start - self._clock()))
            if self._plan is not plan:
                return
            self._next_start = self._clock() + STAGGER
            await self._command([move], members)

    def _divide(self, target: float, members: dict[str, Member]) -> Moves:
        """Return the commands that lead to a target."""
        known = [member.allocated(self._clock()) for member in members.values()]
        wanted = allocate_rest(target, known, self._commanded)
        self._expected = wanted.watts
        now = {name: member.now_percent for name, member in members.items()}
        return moves(known, now, wanted)

    async def _command(
        self, commands: Iterable[Move], members: dict[str, Member]
    ) -> bool:
        """Command miners at the same time; return whether all took it."""
        commands = list(commands)
        self._commanded |= {move.name: move.percent for move in commands}
        return all(
            await asyncio.gather(
                *(members[move.name].async_command(move.percent) for move in commands)
            )
        )


def _may_draw(known: Allocated, member: Member) -> float:
    """Return what a miner may draw (W)."""
    if known.role is Role.FIXED:
        return known.fixed_watts
    return member.commanded_watts if known.on else known.idle

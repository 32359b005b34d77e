"""An event loop whose clock skips the time in which nothing happens, and a watch on its steps."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
import gc
import selectors
import time
from typing import Any, Protocol, Self, TypeVarTuple, override
from unittest.mock import patch

Ts = TypeVarTuple("Ts")

PATIENCE_S = 0.5
"""Real seconds to wait for something that is under way, before time is skipped all the same."""


class SharedNumber(Protocol):
    """A number that two processes see."""

    value: float


class SkippingSelector(selectors.DefaultSelector):
    """Waits for sockets while something is under way, and else lets the clock jump."""

    loop: SkippingLoop

    @override
    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait like any selector, but never for a timer."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        begin = time.monotonic()
        patience = PATIENCE_S if self.loop.under_way else 0.0
        if events := super().select(min(timeout, patience)):
            return events
        self.loop.skip(max(0.0, timeout - (time.monotonic() - begin)))
        return []


class SkippingLoop(asyncio.SelectorEventLoop):
    """Runs hours of timers in minutes. `skipped` is how far its clock is ahead of the real one."""

    def __init__(self, skipped: SharedNumber) -> None:
        """Start at the real time; `skipped` passes the skipped seconds to the simulated miners."""
        selector = SkippingSelector()
        selector.loop = self
        self.skipped = skipped
        self.under_way = 0
        super().__init__(selector)

    @override
    def time(self) -> float:
        """The clock of all timers."""
        return time.monotonic() + self.skipped.value

    def skip(self, seconds: float) -> None:
        """Let the clock jump."""
        self.skipped.value += seconds

    @contextmanager
    def wait(self) -> Generator[None]:
        """Something is under way, and the clock must not jump."""
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    @override
    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], Any],
        *args: *Ts,
    ) -> asyncio.Future[Any]:
        """What a thread does takes real time."""
        future = super().run_in_executor(executor, func, *args)
        self.under_way += 1

        def ended(_: object) -> None:
            self.under_way -= 1

        future.add_done_callback(ended)
        return future


def skipping_datetime(skipped: SharedNumber) -> type[datetime]:
    """A datetime whose now() is as far ahead as the clock of the loop."""

    class SkippingDatetime(datetime):
        """A datetime that knows of the skipped time."""

        @classmethod
        @override
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=skipped.value)

    return SkippingDatetime


class Histogram:
    """Counts durations without keeping them, in steps of 0.1 ms up to 2 s."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts = [0] * 20_001
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(int(seconds * 10_000), 20_000)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def over(self, seconds: float) -> int:
        """How many took at least so long."""
        return sum(self._counts[int(seconds * 10_000) :])

    def quantile(self, share: float) -> float:
        """The duration that this share stayed below, in seconds."""
        left = share * self.count
        for step, count in enumerate(self._counts):
            left -= count
            if left <= 0:
                return min((step + 1) / 10_000, self.longest)
        return self.longest


class Steps:
    """Every step of the event loop: how long did it keep all others waiting.

    Counted twice, by the clock and by the CPU time of the thread, since on a busy machine a step
    may have to wait itself. Python's collector of garbage works for the whole process, within
    whatever step it happens to begin in, so that it is counted apart from the CPU of the step.
    The tasks of a bench are left out; their names begin with it.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._collecting = self._collected = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget all."""
        self.clock = Histogram()
        self.cpu = Histogram()
        self.longest = ""
        self.collections = Histogram()

    @contextmanager
    def watch(self) -> Generator[None]:
        """Time each step of all loops."""
        run = asyncio.Handle._run  # noqa: SLF001 - there is no public hook
        gc.callbacks.append(self._collection)

        def timed(handle: asyncio.Handle) -> None:
            collected = self._collected
            begin, cpu_begin = time.perf_counter(), time.thread_time()
            run(handle)
            cpu = time.thread_time() - cpu_begin - (self._collected - collected)
            took = time.perf_counter() - begin
            if took > self.clock.longest or cpu > self.cpu.longest:
                name = describe(handle)
                if name.startswith("bench"):
                    return
                if cpu > self.cpu.longest:
                    self.longest = name
            self.clock.add(took)
            self.cpu.add(cpu)

        try:
            with patch.object(asyncio.Handle, "_run", timed):
                yield
        finally:
            gc.callbacks.remove(self._collection)

    def _collection(self, when: str, _: object) -> None:
        """Python's collector works inside some step; it is timed apart."""
        if when == "start":
            self._collecting = time.thread_time()
        else:
            took = time.thread_time() - self._collecting
            self._collected += took
            self.collections.add(took)


def describe(handle: asyncio.Handle) -> str:
    """Name the task that made a step, or the function."""
    function: Any = getattr(handle, "_callback", None)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return owner.get_name()
    return str(getattr(function, "__qualname__", function))

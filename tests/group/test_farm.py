"""A farm as one group: a tenth of its miners fail in different ways while it gets new targets."""

from collections.abc import Generator
import logging

import pytest

from bench.group import TOLERANCE, is_near, measure


@pytest.fixture
def _quiet(socket_enabled: None) -> Generator[None]:
    """Allow loopback sockets; the log of thirty miners would take most of the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("power", "step", "near"),
    [
        (981, 0, True),
        (979, 0, False),
        (1021, 0, False),
        (910, 100, True),
        (890, 100, False),
        (1021, 100, False),
    ],
)
def test_near(power: float, step: float, near: bool) -> None:
    """A group that draws more than its target would pass, or one that leaves a miner too low."""
    assert is_near(power, 1000, step) is near


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_quiet")
def test_targets_of_a_farm() -> None:
    """A grid operator would get less or more than was agreed, late, or by a storm of commands."""
    percents, stops = measure(30)
    for step in (percents, stops):
        assert step.within_s is not None
        assert step.power_w == pytest.approx(step.target_w, rel=TOLERANCE)
        assert step.commanded_twice == 0, step.most_commanded
        assert step.longest_step_cpu_ms < 50, step.longest_step
    assert percents.commands >= 10
    assert stops.commands >= 24

"""The thermostat on simulated plants for days: how near, how many starts, how safe."""

from functools import cache
from typing import Any

import pytest

from custom_components.whatsminer.heat.thermostat import DAY, HOUR, MINUTE, State

from .plants import PLANTS, Bench, Miner, Run, Thermostat

SEEDS = range(1, 7)
COLDER = {"room": 12, "tank": 25, "floor": 12}
WEATHERS: dict[str, dict[str, Any]] = {
    "steady": {"weather": 4.0, "steady": True},
    "mid": {"weather": "mid"},
    "mix": {"weather": "mix"},
    "mild": {"weather": "mild"},
}

# RMS, 95th percentile and starts in five days
BARS = {
    ("room", "mid"): (0.6, 1.0, 3),
    ("room", "mix"): (1.0, 2.1, 13),
    ("room", "mild"): (1.35, 2.7, 21),
    ("tank", "mid"): (1.0, 2.2, 2),
    ("tank", "mix"): (1.8, 3.6, 11),
    ("tank", "mild"): (2.7, 4.2, 23),
    ("floor", "mid"): (0.9, 1.5, 4),
    ("floor", "mix"): (1.0, 1.8, 9),
    ("floor", "mild"): (1.15, 2.1, 13),
}
STEADY = {"room": (0.10, 0.25), "tank": (0.10, 0.25), "floor": (0.12, 0.25)}
COLD_START = {"room": 0.5, "tank": 1.1, "floor": 0.8}
COMMANDS = {"room": 60, "tank": 90, "floor": 60}
# Hours until within 0.3 K, and overshoot
TWO_HOURS_OFF = {"room": (2.2, 0.4), "tank": (3.2, 0.5), "floor": (4.5, 0.8)}
RISE = {"room": 4.6, "tank": 6.2, "floor": 5.4}


@cache
def five_days(kind: str, weather: str, seed: int = 1, gain: float = 1.0) -> Run:
    """Return five days of a plant."""
    plant = PLANTS[kind]
    controller = Thermostat.of(plant, gain)
    bench = Bench(plant=plant, controller=controller, seed=seed, **WEATHERS[weather])
    return bench.run(5 * DAY)


def meets_bars(kind: str, weather: str, seed: int) -> None:
    """Assert the bars of a plant in a weather."""
    run = five_days(kind, weather, seed)
    rms, p95, starts = BARS[kind, weather]
    assert run.rms() <= rms
    assert run.p95() <= p95
    assert run.starts <= starts
    assert run.commands <= 5 * COMMANDS[kind]


def meets_steady_bars(kind: str, seed: int) -> None:
    """Assert the bars of a plant in steady weather."""
    run = five_days(kind, "steady", seed)
    rms, largest = STEADY[kind]
    assert run.rms() <= rms
    assert run.largest() <= largest


@pytest.mark.parametrize(("kind", "weather"), BARS)
def test_changing_weather(kind: str, weather: str) -> None:
    """The room would be too cold or too hot, or the miner would wear out with starts."""
    meets_bars(kind, weather, 1)


@pytest.mark.parametrize("kind", PLANTS)
def test_steady_weather(kind: str) -> None:
    """The temperature would swing although nothing changes."""
    meets_steady_bars(kind, 1)


@pytest.mark.long
def test_other_seeds() -> None:
    """The bars would hold by chance."""
    for seed in SEEDS:
        for kind, weather in BARS:
            meets_bars(kind, weather, seed)
        for kind in PLANTS:
            meets_steady_bars(kind, seed)


@pytest.mark.parametrize("kind", PLANTS)
def test_cold_start(kind: str) -> None:
    """A cold room would be overheated, since the integral wound up on the way."""
    plant = PLANTS[kind]
    bench = Bench(
        plant=plant,
        controller=Thermostat.of(plant),
        temperature=plant.target - COLDER[kind],
        **WEATHERS["steady"],
    )
    run = bench.run(2 * DAY)
    assert max(run.errors) <= COLD_START[kind]


@pytest.mark.parametrize("kind", PLANTS)
def test_two_hours_off(kind: str) -> None:
    """After a curtailment or a blackout the room would stay cold, or overshoot."""
    plant = PLANTS[kind]
    begin, end = 2 * DAY, 2 * DAY + 2 * HOUR
    bench = Bench(
        plant=plant,
        controller=Thermostat.of(plant),
        off=(begin, end),
        **WEATHERS["steady"],
    )
    run = bench.run(4 * DAY)
    hours, overshoot = TWO_HOURS_OFF[kind]
    after = [(t, e) for t, e in zip(run.times, run.errors, strict=True) if t > end]
    assert after[0][1] < -3
    recovered = next(t for t, e in after if abs(e) <= 0.3)
    assert recovered - end <= hours * HOUR
    assert max(e for _, e in after) <= overshoot


def rise(kind: str, silent: bool) -> float:
    """Return how far the temperature rises above the target after the sensor fails."""
    plant = PLANTS[kind]
    frozen: list[float] = []

    def sensor(_: float, value: float) -> float | None:
        if not frozen and value >= plant.target - 1:
            frozen.append(plant.target - 1)
            return frozen[0]
        if not frozen:
            return value
        return None if silent else frozen[0]

    miner = Miner(running_since=-DAY, started=-DAY, percent=100, wish=100)
    controller = Thermostat.of(plant)
    controller.state = State(heat=True, integral=100, percent=100)
    bench = Bench(
        plant=plant,
        controller=controller,
        miner=miner,
        temperature=plant.target - 5,
        sensor=sensor,
        weather=14.0,
        steady=True,
    )
    run = bench.run(DAY)
    assert frozen
    assert miner.running_since is None
    return max(run.errors)


@pytest.mark.parametrize("silent", [False, True], ids=["frozen", "silent"])
@pytest.mark.parametrize("kind", PLANTS)
def test_failed_sensor_does_not_overheat(kind: str, silent: bool) -> None:
    """A sensor whose battery is empty would let the miner heat without end."""
    assert 0 < rise(kind, silent) <= RISE[kind]


@pytest.mark.parametrize("gain", [0.5, 2.0])
@pytest.mark.parametrize("kind", PLANTS)
def test_wrong_gains(kind: str, gain: float) -> None:
    """A house that differs from the simulated one would oscillate."""
    assert five_days(kind, "mid", gain=gain).rms() <= 1.3


@pytest.mark.parametrize("kind", PLANTS)
def test_cap_and_restarts(kind: str) -> None:
    """An evening with a curtailment and a btminer restart would leave the control astray."""
    plant = PLANTS[kind]
    controller = Thermostat.of(plant)
    controller.cap = lambda now: 50 if 12 <= now / HOUR % 24 < 20 else 100
    bench = Bench(
        plant=plant,
        controller=controller,
        restarts=(DAY + 2 * HOUR, DAY + 9 * HOUR, 2 * DAY + 3 * HOUR),
        **WEATHERS["mid"],
    )
    run = bench.run(3 * DAY)
    assert run.starts <= 4
    assert len(controller.state.starts) <= 2
    assert max(run.since(12)) <= 3.2


def test_too_powerful() -> None:
    """A user would not learn that the miner is too strong for the room."""
    plant = PLANTS["room"]
    controller = Thermostat.of(plant)
    small = Bench(
        plant=type(plant)(
            kind="room", capacity=0.36e6, loss=31, target=20, start=18, lag=300
        ),
        controller=controller,
        weather=4.0,
        steady=True,
    )
    hints = []
    for hour in range(1, 49):
        small.run(hour * HOUR)
        assert controller.decision is not None
        hints.append(controller.decision.too_powerful)
    assert not hints[2]
    assert hints[-1]


def test_too_weak() -> None:
    """A user would not learn that the miner cannot heat the room."""
    plant = PLANTS["room"]
    controller = Thermostat.of(plant)
    large = Bench(plant=plant, controller=controller, weather=-18.0, steady=True)
    hints = []
    for hour in range(1, 13):
        large.run(hour * HOUR)
        assert controller.decision is not None
        hints.append(controller.decision.too_weak)
    assert hints.index(True) in {5, 6, 7}
    assert hints[-1]
    large.weather = 4.0
    run = large.run(2 * DAY)
    assert max(run.errors) <= 0.5, "the integral wound up"
    assert controller.decision is not None
    assert not controller.decision.too_weak


def test_slow_tuning() -> None:
    """A miner that tunes for four hours would overheat the room without a stop."""
    plant = PLANTS["room"]
    controller = Thermostat.of(plant)
    miner = Miner(tunes_in=240 * MINUTE)
    bench = Bench(
        plant=plant, controller=controller, miner=miner, weather=4.0, steady=True
    )
    run = bench.run(2 * DAY)
    assert max(run.errors) <= 4
    assert miner.starts[1:]

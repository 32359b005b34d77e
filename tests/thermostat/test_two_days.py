"""Two days of a room, on each generation of firmware, with a curtailment in between."""

import math

import pytest

from tests.blueprints.conftest import MONDAY, World

from .conftest import Room, Thermostat

TARGET = 20


@pytest.mark.parametrize(
    ("profiles", "v3_port"),
    [
        pytest.param(("v205_m50",), None, id="2.0.5", marks=pytest.mark.long),
        pytest.param(("v2c_m60s",), None, id="2.2", marks=pytest.mark.long),
        pytest.param(("v3_m7bs",), 0, id="API 3"),
    ],
)
@pytest.mark.parametrize("begin", [MONDAY])
async def test_room_follows(
    world: World, room: Room, thermostat: Thermostat, v3_port: int | None
) -> None:
    """A house would be cold or hot, or heated while the grid asked for less."""
    full = world.miner.truth().power_w
    room.loss, room.capacity = full / 28, full / 14
    world.step = 900
    errors: list[float] = []

    def weather() -> None:
        hour = world.now.hour + world.now.minute / 60
        room.outside = 4 + 4 * math.cos(2 * math.pi * (hour - 15) / 24)
        room.move()
        errors.append(room.degrees - TARGET)

    def rms(since: int) -> float:
        return math.sqrt(sum(e * e for e in errors[since:]) / len(errors[since:]))

    world.surroundings = weather
    await thermostat.heat(TARGET)
    await world.let_pass(hours=24)
    assert rms(24) < 0.6, errors
    switches = ("power_off", "power_on", "set.miner.service")
    stops = world.done(*switches)
    begun = len(errors)
    await world.curtail(duration={"hours": 2}, reason="grid")
    assert not world.runs
    assert thermostat.status == "curtailed"
    assert thermostat.attributes["hvac_action"] == "idle"
    await world.let_pass(minutes=110)
    assert not world.runs
    assert min(errors[begun:]) < -5
    await world.let_pass(hours=4)
    recovered = len(errors)
    assert abs(errors[-1]) < 0.5, errors[begun:]
    await world.let_pass(hours=3)
    assert max(errors[begun:]) < 0.8, errors
    await world.curtail(
        target="power", power=int(full / 2), duration={"hours": 4}, reason="half"
    )
    await world.let_pass(hours=3)
    assert thermostat.status == "limited"
    assert world.miner.truth().power_w <= full / 2 * 1.05
    await world.let_pass(hours=4)
    after = len(errors)
    await world.let_pass(hours=8)
    assert rms(after) < 0.6, errors
    assert rms(recovered) < 2
    assert (
        world.done(*switches) == stops + 2
    )  # the stop of the curtailment, and its end

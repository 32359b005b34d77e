"""Heating: warm enough, never too warm, quiet at night, and off when the sensor is dead."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from .conftest import HOLD, MONDAY, OFF, ON, UNAVAILABLE, UNKNOWN, World, notify

SENSOR = "sensor.room"

pytestmark = pytest.mark.usefixtures("rare_polls")


class Room:
    """A room that loses heat, and is heated by the miner."""

    def __init__(self, world: World, degrees: float) -> None:
        """Start at a temperature."""
        self.world = world
        self.degrees = degrees
        self.outside = 5.0
        self.sensor = True
        self._then = world.now
        world.surroundings = self.warm

    def warm(self) -> None:
        """Update the temperature: 120 W/K to the outside, 1.5 kWh/K."""
        hours = (self.world.now - self._then).total_seconds() / 3600
        self._then = self.world.now
        power = self.world.miner.truth().power_w - 120 * (self.degrees - self.outside)
        self.degrees += power / 1500 * hours
        if self.sensor:
            self.world.hass.states.async_set(SENSOR, f"{self.degrees:.1f}")


@pytest.fixture
def automate(world: World) -> Callable[..., Any]:
    """Return a function that creates the automation."""

    async def run(**inputs: object) -> None:
        await world.automate(
            "heating", miners=world.devices, temperature=SENSOR, **inputs
        )

    return run


async def test_normal_day(world: World, automate: Callable[..., Any]) -> None:
    """A cold day: the room stays within a degree of the target, the miner starts sometimes."""
    room = Room(world, 18)
    room.warm()
    world.step = 120
    await automate()
    await world.let_pass(hours=2)
    seen = []
    for _ in range(14):
        await world.let_pass(minutes=30)
        seen.append(room.degrees)
    assert min(seen) > 19.5
    assert max(seen) < 22
    assert 2 <= world.done("power_on") <= 16
    assert world.curtailment["reason"] in (None, "Heating")
    # In summer it is off for good.
    room.outside = 30
    await world.let_pass(hours=2)
    assert not world.runs


async def test_hysteresis(world: World, automate: Callable[..., Any]) -> None:
    """The miner would start or stop between the two temperatures."""
    await world.set(SENSOR, 20.7)
    await automate()
    for degrees, runs in (
        (20.9, True),
        (21.0, False),
        (20.6, False),
        (20.5, True),
        (20.9, True),
        (21.2, False),
    ):
        await world.let_pass(minutes=35)
        await world.set(SENSOR, degrees)
        assert world.runs is runs, degrees


async def test_lock_out(world: World, automate: Callable[..., Any]) -> None:
    """Too hot is too hot: no shortest time and no manual hold prevents the stop."""
    await world.set(HOLD, OFF)
    await world.set(SENSOR, 22)
    await automate(hold=[HOLD])
    await world.let_pass(minutes=16)
    await world.set(SENSOR, 20)
    assert world.runs
    await world.let_pass(minutes=2)
    await world.set(SENSOR, 22)
    assert world.runs  # warm enough, but it has just started
    await world.set(HOLD, ON)
    await world.set(SENSOR, 28)
    assert not world.runs
    await world.set(SENSOR, 15)
    await world.let_pass(minutes=40)
    assert not world.runs  # held
    await world.set(HOLD, OFF)
    assert world.runs


@pytest.mark.parametrize("begin", [MONDAY + timedelta(hours=21)])
async def test_quiet_hours(world: World, automate: Callable[..., Any]) -> None:
    """The miner would run during the quiet hours because it is cold."""
    world.step = 300
    await world.set(SENSOR, 15)
    await automate(
        quiet_from="22:00:00", quiet_to="06:30:00", stale_minutes=1440, minimum_on=240
    )
    await world.let_pass_until("21:55")
    assert world.runs
    await world.let_pass_until("22:01")
    assert not world.runs
    await world.let_pass_until("06:25")
    assert not world.runs
    await world.let_pass_until("06:31")
    assert world.runs


async def test_flapping_sensor(world: World, automate: Callable[..., Any]) -> None:
    """A sensor in a draught would keep switching a miner that needs 20 minutes to tune."""
    await world.set(SENSOR, 20)
    await automate()
    for minute in range(120):
        await world.set(SENSOR, 22 if minute % 2 else 20)
        await world.let_pass(minutes=1)
    assert world.switched <= 6


@pytest.mark.parametrize("gone", [UNAVAILABLE, UNKNOWN, "rubbish"])
async def test_unavailable_sensor(
    world: World, automate: Callable[..., Any], gone: str
) -> None:
    """It is unknown how hot it is: off after an hour, and on again when it is known."""
    await world.set(SENSOR, 18)
    await automate()
    await world.set(SENSOR, gone)
    await world.let_pass(minutes=55)
    assert world.runs
    await world.let_pass(minutes=7)
    assert not world.runs
    await world.let_pass(minutes=20)
    await world.set(SENSOR, 18)
    assert world.runs


async def test_silent_sensor(world: World, automate: Callable[..., Any]) -> None:
    """With an empty sensor battery, the last value would stay and the miner would keep heating."""
    await world.set(SENSOR, 18)
    await automate(stale_minutes=30)
    for _ in range(5):
        await world.let_pass(minutes=20)
        await world.set(SENSOR, 18)  # the same again, but it speaks
    assert world.runs
    await world.let_pass(minutes=32)
    assert not world.runs
    await world.set(SENSOR, 18.1)
    await world.let_pass(minutes=20)
    assert world.runs


async def test_restart_in_the_middle(
    world: World, automate: Callable[..., Any]
) -> None:
    """After a restart the miner would not follow the temperature, or ignore the minimum times."""
    await world.set(SENSOR, 18)
    await automate()
    await world.set(SENSOR, 22)
    assert not world.runs
    await world.restart(minutes=5)
    assert not world.runs
    await world.set(SENSOR, 20)
    assert not world.runs
    await world.let_pass(minutes=12)
    assert world.runs
    await world.restart(minutes=5)
    assert world.runs
    await world.set(SENSOR, 28)
    assert not world.runs
    assert world.switched == 3


async def test_manual_hold(world: World, automate: Callable[..., Any]) -> None:
    """During a manual hold cold and warm change nothing."""
    await world.set(HOLD, ON)
    await world.set(SENSOR, 22)
    await automate(hold=[HOLD])
    await world.let_pass(minutes=5)
    assert world.runs
    await world.set(HOLD, OFF)
    assert not world.runs


@pytest.mark.parametrize("profiles", [("v205_m50", "v204_m30sp")])
async def test_miner_that_does_not_obey(
    world: World, automate: Callable[..., Any], notified: list[dict[str, Any]]
) -> None:
    """A heater that does not stop has to be notified, minute by minute, and stopped in the end."""
    await world.set(SENSOR, 18)
    await automate(on_failure=notify("{{ failed | join }}"))
    world.miner.api_switch = False
    await world.set(SENSOR, 28)
    assert world.running == [True, False]
    await world.let_pass(minutes=3)
    assert len(notified) >= 3
    assert {call["message"] for call in notified} == {"M50 04EB"}
    world.miner.api_switch = True
    await world.let_pass(minutes=2)
    assert world.running == [False, False]

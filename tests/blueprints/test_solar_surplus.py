"""The solar surplus: the miner uses the power that would be exported, and imports little."""

from collections.abc import Callable
from datetime import timedelta
from math import pi, sin
from typing import Any

import pytest

from .conftest import HOLD, MONDAY, OFF, ON, UNAVAILABLE, UNKNOWN, World, notify

GRID = "sensor.grid"
BATTERY = "sensor.battery"


class House:
    """A house with solar panels, whose meter includes the miner."""

    def __init__(self, world: World) -> None:
        """Connect the miner."""
        self.world = world
        self.sun: Callable[[], float] = lambda: 0.0
        """Power of the solar panels in W."""
        self.load = 400.0
        self.factor, self.unit = 1.0, "W"
        self.silent = False
        self.bought = self.sold = self.mined = 0.0
        """The totals in kWh."""
        self._then = world.now
        world.surroundings = self.measure

    @property
    def surplus(self) -> float:
        """Exported power in W."""
        return self.sun() - self.load - self.world.miner.truth().power_w

    def measure(self) -> None:
        """Update the meter."""
        hours = (self.world.now - self._then).total_seconds() / 3600
        self._then = self.world.now
        surplus = self.surplus
        self.sold += max(surplus, 0) * hours / 1000
        self.bought += max(-surplus, 0) * hours / 1000
        self.mined += self.world.miner.truth().power_w * hours / 1000
        if not self.silent:
            self.world.hass.states.async_set(
                GRID,
                f"{-surplus * self.factor:.3f}",
                {"unit_of_measurement": self.unit},
            )

    async def shine(self, watts: float, **period: float) -> None:
        """Set the solar power for a while."""
        self.sun = lambda: watts
        self.measure()
        await self.world.let_pass(**period)


@pytest.fixture
def house(world: World) -> House:
    """Return the house."""
    house = House(world)
    house.measure()
    return house


@pytest.fixture
def automate(world: World) -> Callable[..., Any]:
    """Return a function that creates the automation."""

    async def run(**inputs: object) -> None:
        await world.automate(
            "solar_surplus",
            power_target=world.entity("number", "power_target"),
            grid=GRID,
            **inputs,
        )

    return run


async def stopped(world: World, house: House) -> None:
    """Remove the sun until the miner has stopped."""
    await house.shine(0, minutes=20)
    assert not world.runs


def power(world: World) -> float:
    """Return the true power of the miner."""
    return world.miner.truth().power_w


@pytest.mark.parametrize("begin", [MONDAY + timedelta(hours=4)])
async def test_normal_day(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """During a day the miner would use too little of the surplus, or import too much."""

    def sun() -> float:
        hour = world.now.hour + world.now.minute / 60
        return max(0.0, 5500 * sin(pi * (hour - 5) / 16)) if 5 < hour < 21 else 0.0

    house.sun = sun
    world.step = 120
    await automate()
    await world.let_pass_until("06:00")
    assert not world.runs
    house.bought = house.sold = house.mined = 0.0
    await world.let_pass_until("22:00")
    assert not world.runs
    assert world.done("power_on") == 1
    assert world.done("power_off") == 2
    assert world.done("adjust_power_limit") == 0
    # Without the miner some 47 kWh would have been sold.
    assert house.mined > 28
    assert house.bought < 7
    assert house.sold < 14


async def test_follows(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """The miner would not use exactly the surplus minus the reserve, up and down."""
    await house.shine(3000, minutes=1)
    await automate(reserve=200)
    for sun in (3000, 2400, 3500, 2200):
        await house.shine(sun, minutes=12)
        # the options of the miner have a dead band of 100 W
        assert house.surplus == pytest.approx(200, abs=150), sun
        assert power(world) == pytest.approx(sun - 600, abs=150)
    assert world.switched == 0
    assert world.done("adjust_power_limit") == 0


@pytest.mark.parametrize(
    ("sign", "factor", "unit"),
    [("import", 0.001, "kW"), ("export", -1, "W"), ("export", -0.001, "kW")],
)
async def test_every_kind_of_meter(
    world: World,
    house: House,
    automate: Callable[..., Any],
    sign: str,
    factor: float,
    unit: str,
) -> None:
    """With a misread sign or unit, the miner would run at night and stop at noon."""
    house.factor, house.unit = factor, unit
    await house.shine(2900, minutes=1)
    await automate(sign=sign)
    await house.shine(2900, minutes=12)
    assert power(world) == pytest.approx(2400, abs=150)


async def test_clouds(world: World, house: House, automate: Callable[..., Any]) -> None:
    """Short clouds would stop the miner, or a long lack of sun would not."""
    await house.shine(3500, minutes=1)
    await automate()
    for _ in range(6):
        await house.shine(800, minutes=6)
        await house.shine(3500, minutes=6)
    assert world.switched == 0
    await house.shine(800, minutes=8)
    assert world.runs
    assert power(world) == pytest.approx(1400, abs=100)
    await house.shine(800, minutes=8)
    assert not world.runs
    # A start needs the surplus for a while as well.
    for _ in range(4):
        await house.shine(4000, minutes=4)
        await house.shine(500, minutes=4)
    assert not world.runs
    await house.shine(4000, minutes=10)
    assert world.runs
    assert world.switched == 2
    # As soon as it is tuned it heeds the target that it was started with.
    await house.shine(4000, minutes=25)
    await house.shine(2500, minutes=10)
    assert power(world) == pytest.approx(2000, abs=150)


async def test_flapping_around_the_start(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """With just enough surplus, the miner would start every quarter of an hour."""
    await automate()
    await stopped(world, house)
    edge = 400 + 100 + 1400  # load, reserve, and the least the miner takes
    for minute in range(120):
        await house.shine(edge + (150 if minute % 2 else -150), minutes=1)
    assert world.done("power_on") == 0


@pytest.mark.parametrize("gone", [UNAVAILABLE, UNKNOWN, "rubbish"])
async def test_unavailable_meter(
    world: World, house: House, automate: Callable[..., Any], gone: str
) -> None:
    """Without a meter it is unknown who pays: it stops, but only after a while."""
    await house.shine(3000, minutes=1)
    await automate()
    await house.shine(3000, minutes=5)
    before = power(world)
    house.silent = True
    await world.set(GRID, gone)
    await world.let_pass(minutes=8)
    assert power(world) == pytest.approx(before, abs=50)
    await world.let_pass(minutes=6)
    assert not world.runs
    await world.let_pass(minutes=60)
    assert not world.runs
    house.silent = False
    await house.shine(4000, minutes=10)
    assert world.runs


async def test_frozen_meter(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """A meter that no longer changes would keep the miner running through the night."""
    await house.shine(3000, minutes=1)
    await automate()
    await house.shine(3000, minutes=5)
    house.silent = True
    await world.let_pass(minutes=15)
    assert not world.runs


async def test_leave_on_unknown(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """A user who accepts imports could not choose that."""
    await house.shine(3000, minutes=1)
    await automate(unknown_action="leave")
    house.silent = True
    await world.set(GRID, UNAVAILABLE)
    await world.let_pass(minutes=60)
    assert world.runs


async def test_battery_floor(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """The miner would empty the battery that is needed in the evening."""
    await world.set(BATTERY, 80)
    await house.shine(3000, minutes=1)
    await automate(battery=BATTERY, battery_floor=60)
    await world.set(BATTERY, 61)
    await world.let_pass(minutes=15)
    assert world.runs
    await world.set(BATTERY, 59)
    await world.let_pass(minutes=15)
    assert not world.runs
    await world.set(BATTERY, 62)
    await house.shine(4000, minutes=30)
    assert not world.runs
    await world.set(BATTERY, 66)
    await world.let_pass(minutes=8)
    assert world.runs


async def test_restart_in_the_middle(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """A restart at noon would stop the miner, or one at night start it."""
    await house.shine(3000, minutes=1)
    await automate()
    await house.shine(3000, minutes=5)
    target = world.state("number", "power_target")
    await world.restart(minutes=3)
    assert world.state("number", "power_target") == target
    await house.shine(2500, minutes=10)
    assert power(world) == pytest.approx(2000, abs=150)
    assert world.switched == 0
    # In the middle of the delay before a stop
    await house.shine(0, minutes=6)
    await world.reload(without=True)
    await world.restart(minutes=2)
    assert world.runs
    await world.let_pass(minutes=14)
    assert not world.runs
    await world.restart(minutes=5)
    await world.let_pass(minutes=30)
    assert not world.runs
    await house.shine(4000, minutes=12)
    assert world.runs


async def test_manual_hold(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """During a manual hold the sun changes nothing; also during a delay."""
    await world.set(HOLD, OFF)
    await house.shine(3000, minutes=1)
    await automate(hold=[HOLD])
    await house.shine(0, minutes=5)
    await world.set(HOLD, ON)
    await world.let_pass(minutes=30)
    assert world.runs
    await world.set(HOLD, OFF)
    await world.let_pass(minutes=14)
    assert not world.runs


async def test_switched_off_by_the_user(
    world: World, house: House, automate: Callable[..., Any]
) -> None:
    """A miner that is off for repair would start in the sun."""
    await house.shine(4000, minutes=1)
    await automate()
    await world.hass.services.async_call(
        "switch", "turn_off", {"entity_id": world.entity("switch", "mining")}
    )
    await world.let_pass(minutes=40)
    assert not world.runs


async def test_wrong_number(
    world: World, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A user could select the power limit, which would restart the miner every two minutes."""
    await house.shine(2500, minutes=1)
    await world.automate(
        "solar_surplus", power_target=world.entity("number", "power_limit"), grid=GRID
    )
    await world.let_pass(minutes=10)
    assert world.done("adjust_power_limit") == 0
    assert "is no power target" in caplog.text


async def test_miner_that_does_not_obey(
    world: World,
    house: House,
    automate: Callable[..., Any],
    notified: list[dict[str, Any]],
) -> None:
    """A stop that failed has to be reported, and applied later."""
    await automate(on_failure=notify("no"))
    world.miner.api_switch = False
    await house.shine(0, minutes=14)
    assert world.runs
    assert notified
    world.miner.api_switch = True
    await world.let_pass(minutes=22)
    assert not world.runs

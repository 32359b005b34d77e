"""The electricity price: the miners follow it by a power source, except during a manual hold."""

from typing import Any

import pytest

from .conftest import HOLD, OFF, ON, World, notify

LIMITS = {
    "price_sensor": "sensor.price",
    "limit_stop_above": 0.3,
    "limit_resume_below": 0.25,
    "shortest_run": 30,
    "shortest_stop": 15,
}


@pytest.fixture(autouse=True)
async def cheap(world: World) -> None:
    """Start with a low price, and with limits in the options."""
    world.step = 300
    await world.price(0.1)
    await world.options(**LIMITS)


def source(world: World) -> str:
    """Return the power source of the first miner."""
    return world.state("select", "power_source")


async def follow(world: World, **inputs: object) -> None:
    """Create the automation, which selects the source immediately."""
    await world.automate("electricity_price", miners=world.devices, **inputs)
    await world.let_pass(minutes=6)


async def test_normal_day(world: World) -> None:
    """Expensive in the morning and in the evening: the miner is off then and only then."""
    await follow(world)
    assert source(world) == "price_limits"
    for hour, price, runs in (
        (9, 0.31, False),
        (10, 0.40, False),
        (11, 0.27, False),  # between the limits: as it was
        (12, 0.20, True),
        (14, 0.28, True),  # between the limits: as it was
        (18, 0.35, False),
        (20, 0.24, True),
    ):
        await world.let_pass_until(f"{hour:02}:00")
        await world.price(price)
        await world.let_pass(minutes=6)
        assert world.runs is runs, (hour, price)
    assert world.switched == 4


async def test_price_that_swings(world: World) -> None:
    """Tuning takes 20 minutes: a price that crosses the limit often would cost most of the mining time."""
    await follow(world)
    world.step = 60
    for minute in range(60):
        await world.price(0.299 if minute % 2 else 0.301)
        await world.let_pass(minutes=1)
    assert world.switched == 1
    assert not world.runs
    # Across both limits, it is the shortest times that hold.
    for minute in range(90):
        await world.price(0.2 if minute % 2 else 0.4)
        await world.let_pass(minutes=1)
    assert world.switched <= 6


async def test_restart_in_an_expensive_hour(world: World) -> None:
    """A restart while it is expensive must neither start the miner nor forget to."""
    await follow(world)
    await world.price(0.4)
    await world.let_pass(minutes=6)
    assert not world.runs
    await world.restart(minutes=10)
    await world.let_pass(minutes=20)
    assert not world.runs
    assert world.switched == 1
    await world.price(0.1)
    await world.restart(minutes=5)
    await world.let_pass(minutes=2)
    assert world.runs


async def test_manual_hold(world: World) -> None:
    """A user who needs the heat would wait for a cheap hour, or would never get the price back."""
    await world.set(HOLD, OFF)
    await follow(world, hold=[HOLD])
    await world.price(0.4)
    await world.let_pass(minutes=6)
    assert not world.runs
    await world.set(HOLD, ON)
    await world.let_pass(minutes=6)
    assert source(world) == "manual"
    assert world.runs
    await world.let_pass(minutes=120)
    assert world.runs
    await world.set(HOLD, OFF)
    assert source(world) == "price_limits"
    await world.let_pass(minutes=6)
    assert not world.runs


async def switch(world: World, how: str) -> None:
    """Use the switch of the miner."""
    await world.hass.services.async_call(
        "switch", how, {"entity_id": world.entity("switch", "mining")}, blocking=True
    )
    await world.settle()


async def test_what_the_user_switches(world: World) -> None:
    """A miner that was switched off for work on it would start; one that was started would run for good."""
    await follow(world)
    await switch(world, "turn_off")
    assert source(world) == "manual"
    await world.let_pass(hours=3)
    assert source(world) == "price_limits"
    assert not world.runs
    await world.price(0.4)
    await switch(world, "turn_on")
    assert source(world) == "manual"
    await world.let_pass(minutes=50)
    assert world.runs
    await world.let_pass(minutes=20)
    assert not world.runs


async def test_another_source_is_left_alone(world: World) -> None:
    """A miner that heats would be taken from its thermostat."""
    await world.options(**LIMITS, thermostat_sensor="sensor.room")
    await world.set("sensor.room", 18, unit_of_measurement="°C")
    await world.hass.services.async_call(
        "select",
        "select_option",
        {"entity_id": world.entity("select", "power_source"), "option": "thermostat"},
        blocking=True,
    )
    await follow(world)
    assert source(world) == "thermostat"


async def test_stop_of_another_automation_ends_while_it_is_expensive(
    world: World,
) -> None:
    """The weekly pause ends at 13:00, the price has been high since 12:55: off it stays."""
    await follow(world)
    await world.automate("weekly_pause", miners=world.devices)
    await world.let_pass_until("12:55")
    await world.price(0.9)
    world.step = 60
    ran = 0
    for _ in range(60):
        await world.let_pass(minutes=1)
        ran += world.runs
    assert ran <= 1


async def test_refused(world: World, notified: list[dict[str, Any]]) -> None:
    """A miner that runs on through an expensive hour would not be reported, or not be stopped later."""
    await follow(world, on_failure=notify("{{ failed | join }}"))
    assert not notified
    world.miner.api_switch = False
    await world.price(0.4)
    await world.let_pass(minutes=31)
    assert 3 <= len(notified) <= 7
    assert notified[0] == {"message": "M50 04EB"}
    world.miner.api_switch = True
    await world.let_pass(minutes=6)
    assert not world.runs
    reported = len(notified)
    await world.let_pass(minutes=20)
    assert len(notified) == reported


@pytest.mark.parametrize("profiles", [("v205_m50", "v204_m30sp")])
async def test_source_that_is_not_set_up(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A miner without limits would run at any price, and nothing would say so."""
    await follow(world, on_failure=notify("{{ failed | join }}"))
    await world.let_pass(minutes=60)
    assert len(notified) == 1
    assert notified[0]["message"].startswith("M30S")
    assert source(world) == "price_limits"
    await world.price(0.4)
    await world.let_pass(minutes=6)
    assert world.running == [False, True]

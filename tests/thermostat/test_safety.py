"""Safety: what fails ends in the promised state in time, also across restarts."""

import asyncio

from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.whatsminer.const import DOMAIN
from tests.blueprints.conftest import World

from .conftest import SENSOR, Room, Thermostat


def issues(world: World) -> set[str]:
    """Return the kinds of the open repair issues."""
    entry_id = world.entries[0].entry_id
    return {
        issue_id.removesuffix(f"_{entry_id}")
        for domain, issue_id in ir.async_get(world.hass).issues
        if domain == DOMAIN
    }


async def restart_nothing(world: World) -> None:
    """Let all run."""


async def restart_home(world: World) -> None:
    """Restart Home Assistant, which restores the last value of the sensor as if it were new."""
    state = world.hass.states.get(SENSOR)
    assert state
    world.hass.states.async_remove(SENSOR)
    await world.restart(minutes=2)
    value, unit = state.state, state.attributes["unit_of_measurement"]
    await world.set(SENSOR, value, unit_of_measurement=unit)


async def restart_miner(world: World) -> None:
    """Restart the mining process of the miner."""
    world.miner.machine.restart()


def restarts(long: object) -> pytest.MarkDecorator:
    """Test with each restart; one of them, which another failure shows too, takes long."""
    return pytest.mark.parametrize(
        "restart",
        [
            pytest.param(one, marks=pytest.mark.long if one is long else ())
            for one in (restart_nothing, restart_home, restart_miner)
        ],
    )


async def test_hard_limit(world: World, room: Room, thermostat: Thermostat) -> None:
    """A room would be heated on until the next step, or as long as the minimum run lasts."""
    await thermostat.heat(21)
    await world.let_pass(minutes=1)
    room.sensor = lambda _: 28.1
    room.move()
    await world.settle()
    assert not world.runs
    assert thermostat.status == "too_hot"
    room.sensor = lambda _: 26.5
    await world.let_pass(minutes=4)
    assert thermostat.status == "too_hot"
    room.sensor = lambda _: 25.5
    await world.let_pass(minutes=4)
    assert thermostat.status == "idle"
    room.sensor = lambda _: 18.0
    await world.let_pass(minutes=10)
    assert thermostat.status == "waiting"
    assert not world.runs
    await world.let_pass(minutes=15)
    assert thermostat.status == "starting"
    assert world.runs


async def test_hard_limit_while_busy(
    world: World, room: Room, thermostat: Thermostat
) -> None:
    """A curtailment that waits minutes for the power to fall would hold up the stop."""
    await thermostat.heat(21)
    await world.let_pass(minutes=2)
    data = {"device_id": world.devices, "target": "percent", "percent": 50}
    curtail = asyncio.create_task(
        world.hass.services.async_call(DOMAIN, "curtail", data, blocking=True)
    )
    async with asyncio.timeout(5):
        while not world.done("set_power_pct"):
            await asyncio.sleep(0.01)
        room.sensor = lambda _: 28.1
        room.move()
        while not world.done("power_off"):
            await asyncio.sleep(0.01)
    assert not curtail.done()
    await world.settle()
    await curtail
    assert not world.runs
    assert thermostat.status == "too_hot"


async def test_hard_limit_across_a_restart(
    world: World, room: Room, thermostat: Thermostat
) -> None:
    """A restart would let a room at the limit be heated again."""
    await thermostat.heat(21)
    room.sensor = lambda _: 28.5
    room.move()
    await world.settle()
    await restart_home(world)
    assert not world.runs
    assert thermostat.status == "too_hot"


@restarts(long=restart_miner)
async def test_silent_sensor(
    world: World,
    room: Room,
    thermostat: Thermostat,
    restart: object,
) -> None:
    """With an empty battery in the sensor the miner would heat for ever."""
    await thermostat.heat(21)
    await world.let_pass(minutes=2)
    room.sensor = lambda _: None
    await world.let_pass(minutes=22)
    await restart(world)  # type: ignore[operator]
    await world.let_pass(minutes=5)
    assert thermostat.status not in ("sensor_late", "sensor_lost")
    await world.let_pass(minutes=6)
    assert thermostat.status == "sensor_late"
    assert not issues(world)
    await world.let_pass(minutes=30)
    assert thermostat.status == "sensor_lost"
    assert thermostat.attributes["current_temperature"] is None
    assert thermostat.attributes["hvac_action"] == "idle"
    assert not world.runs
    assert issues(world) == {"thermostat_sensor"}
    room.sensor = lambda degrees: degrees
    await world.let_pass(minutes=5)
    assert thermostat.status == "waiting"
    assert not issues(world)
    await world.let_pass(minutes=28)
    assert world.runs


@restarts(long=restart_nothing)
async def test_stuck_sensor(
    world: World,
    room: Room,
    thermostat: Thermostat,
    restart: object,
) -> None:
    """A sensor that reports the same value again and again looks alive."""
    await thermostat.heat(21)
    await world.let_pass(minutes=10)
    room.sensor = lambda _: 18.2
    await world.let_pass(minutes=20)
    await restart(world)  # type: ignore[operator]
    await world.let_pass(minutes=6)
    assert thermostat.status in ("full_power", "starting", "tuning")
    await world.let_pass(minutes=9)
    assert thermostat.status == "sensor_suspect"
    await world.let_pass(minutes=30)
    assert thermostat.status == "sensor_stuck"
    assert not world.runs
    assert issues(world) == {"thermostat_sensor"}
    await restart(world)  # type: ignore[operator]
    await world.let_pass(minutes=5)
    assert thermostat.status == "sensor_stuck"
    assert not world.runs
    room.sensor = lambda degrees: degrees
    await world.let_pass(minutes=35)
    assert thermostat.status == "starting"
    assert not issues(world)


@pytest.mark.parametrize(
    ("gone", "unit"),
    [
        ("unavailable", None),
        ("unknown", None),
        ("rubbish", None),
        ("-127.0", "°C"),  # a sensor whose wire is broken
        ("19.0", "%"),
    ],
)
async def test_sensor_without_a_temperature(
    world: World, room: Room, thermostat: Thermostat, gone: str, unit: str | None
) -> None:
    """A sensor that is gone reports often, and nothing, or what cannot be."""
    await thermostat.heat(21)
    await world.let_pass(minutes=2)
    attributes = {"unit_of_measurement": unit} if unit else {}

    def report() -> None:
        world.hass.states.async_set(SENSOR, gone, attributes, force_update=True)

    world.surroundings = report
    world.step = 300
    await world.let_pass(minutes=35)
    assert thermostat.status == "sensor_late"
    await world.let_pass(minutes=30)
    assert thermostat.status == "sensor_lost"
    assert not world.runs


async def test_long_outage(world: World, room: Room, thermostat: Thermostat) -> None:
    """After two hours without Home Assistant a miner would be stopped while the sensor loads."""
    await thermostat.heat(21)
    await world.let_pass(minutes=5)
    world.hass.states.async_remove(SENSOR)
    move, world.surroundings = world.surroundings, lambda: None
    world.step = 600
    await world.restart(hours=2)
    assert world.runs
    world.surroundings = move
    await world.let_pass(minutes=4)
    assert world.runs
    assert world.done("power_off") == 0


async def test_power_cut(world: World, room: Room, thermostat: Thermostat) -> None:
    """A miner that boots into mining would heat a room that is warm enough."""
    await thermostat.heat(8)
    await world.let_pass(minutes=62)
    assert thermostat.status == "idle"
    world.miner.machine.reboot()
    await world.let_pass(minutes=10)
    assert not world.runs
    assert world.done("power_off") == 2
    assert thermostat.mode == "heat"


async def test_too_weak(world: World, room: Room, thermostat: Thermostat) -> None:
    """A user would wait for a warm room that this miner cannot heat."""
    room.outside = -20
    world.step = 300
    await thermostat.heat(22)
    await world.let_pass(hours=6)
    assert issues(world) == set()
    await world.let_pass(hours=1)
    assert issues(world) == {"thermostat_too_weak"}
    await thermostat.call("set_temperature", temperature=5)
    assert issues(world) == set()


@pytest.mark.parametrize(
    "options",
    [
        {
            "thermostat_minimum_run": 0,
            "thermostat_minimum_stop": 5,
            "thermostat_widen": 0,
        }
    ],
)
async def test_too_powerful(world: World, room: Room, thermostat: Thermostat) -> None:
    """A user would not know why the miner starts every hour, or what to do."""
    room.outside = 14.0
    world.step = 300
    await thermostat.heat(19)
    for _ in range(40):
        await world.let_pass(minutes=30)
        if issues(world):
            break
    assert issues(world) == {"thermostat_too_powerful"}
    assert world.done("power_on") == 6

"""A home with a thermostat and a simulated room, whose time a test advances."""

from collections.abc import Callable
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from tests.blueprints import conftest as blueprints
from tests.blueprints.conftest import World

# Fixtures of a home whose time is skipped.
_integration = blueprints._integration  # noqa: SLF001
secrets = blueprints.secrets
zone = blueprints.zone
begin = blueprints.begin
profiles = blueprints.profiles
timing = blueprints.timing
v3_port = blueprints.v3_port
world = blueprints.world

SENSOR = "sensor.room"


class Room:
    """A room that loses heat, is heated by all miners, and has a sensor."""

    def __init__(self, world: World, degrees: float, *, capacity: float = 280) -> None:
        """Start at a temperature; the capacity is in Wh/K."""
        self.world = world
        self.degrees = degrees
        self.capacity = capacity
        self.outside = 4.0
        self.loss = 140.0
        self.sensor: Callable[[float], float | None] = lambda degrees: degrees
        """What the sensor reports; None is silence."""
        self.errors: list[float] = []
        self._then = world.now
        world.surroundings = self.move
        self.move()

    def move(self) -> None:
        """Let the time that has passed warm or cool the room."""
        hours = (self.world.now - self._then).total_seconds() / 3600
        self._then = self.world.now
        power = sum(miner.truth().power_w for miner in self.world.miners)
        power -= self.loss * (self.degrees - self.outside)
        self.degrees += power / self.capacity * hours
        value = self.sensor(self.degrees)
        if value is not None:
            self.world.hass.states.async_set(
                SENSOR, f"{value:.2f}", {"unit_of_measurement": "°C"}, force_update=True
            )


class Thermostat:
    """The climate entity of the first miner."""

    def __init__(self, world: World) -> None:
        """Find it when it is needed."""
        self.world = world

    @property
    def hass(self) -> HomeAssistant:
        """The home."""
        return self.world.hass

    @property
    def entity_id(self) -> str:
        """Its entity ID."""
        return self.world.entity("climate", "thermostat")

    @property
    def mode(self) -> str:
        """Its mode."""
        return self.world.state("climate", "thermostat")

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes."""
        found = self.hass.states.get(self.entity_id)
        assert found
        return dict(found.attributes)

    @property
    def status(self) -> str:
        """The sensor *Heating status*."""
        return self.world.state("sensor", "heating_status")

    async def call(self, action: str, **data: object) -> None:
        """Call an action of the climate entity."""
        await self.hass.services.async_call(
            "climate", action, {"entity_id": self.entity_id, **data}, blocking=True
        )
        await self.world.settle()

    async def heat(self, target: float | None = None) -> None:
        """Turn it on."""
        if target is not None:
            await self.call("set_temperature", temperature=target)
        await self.call("set_hvac_mode", hvac_mode="heat")


@pytest.fixture
def options() -> dict[str, Any]:
    """Return more options of the thermostat."""
    return {}


@pytest.fixture
async def room(world: World) -> Room:
    """Return a room below its target."""
    return Room(world, 19.0)


@pytest.fixture
async def thermostat(world: World, room: Room, options: dict[str, Any]) -> Thermostat:
    """Choose the sensor in the options."""
    await world.options(thermostat_sensor=SENSOR, **options)
    return Thermostat(world)

"""Simulated miners, a real automation engine, and one clock for both that a test advances."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
import shutil
import time
from typing import Any
from unittest.mock import patch

from freezegun import freeze_time
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    EVENT_HOMEASSISTANT_STARTED,
    STATE_OFF,
    STATE_ON,
)
from homeassistant.core import CoreState, HomeAssistant, ServiceCall, callback
from homeassistant.helpers import entity, entity_registry as er
from homeassistant.helpers.device_registry import format_mac
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util, yaml as yaml_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer import coordinator
from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.sensor import WhatsminerSensor
from simulator import SimulatedMiner, Timing
from tests.components import conftest as components
from tests.components.conftest import PASSWORD

# Fixtures that every test with the integration uses.
_integration = components._integration  # noqa: SLF001
secrets = components.secrets

ROOT = Path(__file__).parents[2]
BLUEPRINTS = ROOT / "blueprints" / "automation" / "whatsminer"
ZONE = "Europe/Berlin"
MONDAY = datetime(2027, 5, 3)
"""A Monday in the local time of the tests."""

STEP = 60.0
"""Seconds of one step, each up to a full minute, so that scheduled events are on time."""
TICK = 0.6
"""Seconds after a full minute within which everything that is due happens."""
BUSY_STEP = 1.0
"""Seconds of one step while a command with deadlines is running."""

CALM = 3
"""Turns of the loop without any activity, after which there will be none."""


class MovedClock:
    """The time that has passed in a test: moved by hand, and else as fast as any other."""

    def __init__(self) -> None:
        """Start now."""
        self._real = time.monotonic
        self.moved = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._real() + self.moved


class World:
    """A home with miners: its time, its automations, and what the miners were notified."""

    def __init__(
        self,
        hass: HomeAssistant,
        clock: MovedClock,
        wall: Any,
        miners: list[SimulatedMiner],
        entries: list[MockConfigEntry],
    ) -> None:
        """Take control of the time."""
        self.hass = hass
        self.clock = clock
        self.wall = wall
        self.miners = miners
        self.entries = entries
        self.groups: list[ConfigEntry[Any]] = []
        self.config: list[dict[str, Any]] = []
        self.polling = 0
        self._ahead = 0.0
        self._advance(0)
        self.step = STEP
        self.surroundings: Callable[[], None] = lambda: None
        """What changes on its own; it is called after every step."""

    # Time

    @property
    def now(self) -> datetime:
        """The local time."""
        return dt_util.now()

    def _advance(self, seconds: float) -> None:
        self.clock.moved += seconds
        self.wall.move_to(dt_util.utcnow() + timedelta(seconds=seconds))
        self._ahead = self.wall().replace(tzinfo=UTC).timestamp() - self.clock()

    def time(self) -> float:
        """Return what `time.time` does, in a tenth of the time."""
        return self.clock() + self._ahead

    @property
    def _commanding(self) -> bool:
        """Return whether a command to a miner is being confirmed."""
        loaded = [
            entry.runtime_data
            for entry in self.entries
            if hasattr(entry, "runtime_data") and entry.runtime_data
        ]
        return any(
            data.commander._pending or data.curtailment._busy  # noqa: SLF001
            for data in loaded
        )

    @property
    def _busy(self) -> bool:
        """Return whether something happens now: in the loop, in a thread, or with a miner."""
        loop: Any = self.hass.loop
        timers = loop._scheduled  # noqa: SLF001
        return bool(
            self.polling
            or any(miner.open_connections for miner in self.miners)
            or loop._ready  # noqa: SLF001
            or (timers and timers[0].when() <= loop.time())
            or not all(isinstance(job, asyncio.Task) for job in self.hass._tasks)  # noqa: SLF001
        )

    async def settle(self) -> None:
        """Let happen what is due; while a miner is being commanded time continues."""
        calm = turns = 0
        while calm < CALM or self._commanding:
            if calm == CALM:
                calm = 0
                self._advance(BUSY_STEP)
            turns += 1
            # Nearly all happens in the loop; a thread, or a miner that is slow, needs time.
            await asyncio.sleep(0 if turns % 50 else 0.002)
            calm = 0 if self._busy else calm + 1

    async def let_pass(self, **period: float) -> None:
        """Let time pass, for example `minutes=5`."""
        await self.let_pass_until(dt_util.utcnow() + timedelta(**period))

    async def let_pass_until(self, moment: datetime | str) -> None:
        """Let time pass until a moment, or until the clock next shows a time as `08:00`."""
        if isinstance(moment, str):
            hour, minute = map(int, moment.split(":"))
            at = self.now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            moment = at if at > self.now else at + timedelta(days=1)
        await self.settle()
        while (left := (moment - self.now).total_seconds()) > 0:
            due = self.step - self.now.timestamp() % self.step
            self._advance(min(left, due) + TICK)
            self.surroundings()
            await self.settle()

    async def jump(self, moment: datetime) -> None:
        """Let a long time pass in one step, as for a computer that was asleep."""
        self._advance(moment.timestamp() - self.now.timestamp())
        await self.settle()

    # Sensors and helpers

    async def set(self, entity_id: str, state: object, **attributes: object) -> None:
        """Set the state of a sensor."""
        self.hass.states.async_set(entity_id, str(state), attributes)
        await self.settle()

    async def price(self, price: float, unit: str = "EUR/kWh") -> None:
        """Set the price of electricity."""
        await self.set("sensor.price", price, unit_of_measurement=unit)

    # Automations

    async def automate(self, blueprint: str, **inputs: object) -> None:
        """Create an automation from a blueprint, with these inputs and otherwise its defaults."""
        await self.load(
            {
                "id": f"{blueprint}_{len(self.config)}",
                "alias": blueprint,
                "use_blueprint": {
                    "path": f"whatsminer/{blueprint}.yaml",
                    "input": inputs,
                },
            }
        )

    async def load(self, *automations: dict[str, Any]) -> None:
        """Add automations to automations.yaml and reload it."""
        self.config += automations
        before = len(self.hass.states.async_entity_ids("automation"))
        await self.reload()
        loaded = self.hass.states.async_all("automation")
        assert len(loaded) == before + len(automations)
        assert {state.state for state in loaded} == {STATE_ON}

    async def reload(self, *, without: bool = False) -> None:
        """Reload the automations, or remove them all."""
        with patch(
            "homeassistant.config.load_yaml_config_file",
            return_value={"automation": [] if without else self.config},
        ):
            await self.hass.services.async_call("automation", "reload", blocking=True)
        await self.settle()

    async def restart(self, **down: float) -> None:
        """Stop Home Assistant for a while, and start it again."""
        await self.reload(without=True)
        for entry in (*self.groups, *self.entries):
            assert await self.hass.config_entries.async_unload(entry.entry_id)
        await self.let_pass(**down)
        self.hass.set_state(CoreState.starting)
        for entry in (*self.groups, *self.entries):
            assert await self.hass.config_entries.async_setup(entry.entry_id)
        await self.reload()
        self.hass.set_state(CoreState.running)
        self.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
        await self.settle()

    # Miners

    async def options(self, **options: object) -> None:
        """Set options of the first miner, and reload it."""
        entry = self.entries[0]
        self.hass.config_entries.async_update_entry(entry, options=options)
        await self.hass.config_entries.async_reload(entry.entry_id)
        await self.settle()

    async def curtail(self, **data: object) -> None:
        """Stop the miners, or what `data` says, as another automation would."""
        await self.hass.services.async_call(
            DOMAIN, "curtail", {"device_id": self.devices, "target": "stop", **data}
        )
        await self.settle()

    @property
    def miner(self) -> SimulatedMiner:
        """The first miner."""
        return self.miners[0]

    @property
    def devices(self) -> list[str]:
        """The devices of the miners."""
        registry = er.async_get(self.hass)
        found = [
            registry.async_get(self.entity("sensor", "curtailment", number))
            for number in range(len(self.miners))
        ]
        return [entry.device_id for entry in found if entry and entry.device_id]

    def entity(self, platform: str, key: str, number: int = 0) -> str:
        """Return the entity of a miner by platform and key."""
        unique_id = f"{format_mac(self.miners[number].mac)}_{key}"
        found = er.async_get(self.hass).async_get_entity_id(platform, DOMAIN, unique_id)
        assert found, f"no {platform} {key}"
        return found

    def state(self, platform: str, key: str, number: int = 0) -> str:
        """Return the state of an entity of a miner."""
        found = self.hass.states.get(self.entity(platform, key, number))
        assert found
        return found.state

    @property
    def curtailment(self) -> dict[str, Any]:
        """The curtailment sensor of the first miner."""
        found = self.hass.states.get(self.entity("sensor", "curtailment"))
        assert found
        return {"state": found.state, **found.attributes}

    @property
    def running(self) -> list[bool]:
        """Which miners are really mining or starting."""
        return [miner.truth().mining for miner in self.miners]

    @property
    def runs(self) -> bool:
        """Whether the first miner is really mining or starting."""
        return self.running[0]

    def done(self, *names: str, number: int = 0) -> int:
        """Return how often a miner has applied one of these commands."""
        return sum(name in names for name in self.miners[number].applied)

    @property
    def switched(self) -> int:
        """How often the first miner has been notified to stop or to start."""
        return self.done("power_off", "power_on")


@pytest.fixture(autouse=True)
def zone() -> Generator[None]:
    """Restore the time zone after the test."""
    before = dt_util.get_default_time_zone()
    yield
    dt_util.set_default_time_zone(before)


@pytest.fixture
def begin() -> datetime:
    """Return the start of the test, in the local time of the home."""
    return MONDAY + timedelta(hours=7, seconds=1)


@pytest.fixture
def profiles() -> tuple[str, ...]:
    """Return the profiles of the miners."""
    return ("v205_m50",)


@pytest.fixture
def timing() -> Timing | None:
    """Return the timing of the miners; None means that of their profiles."""
    return None


@pytest.fixture
def v3_port() -> int | None:
    """Return None: the miners have no API 3; 0 opens it where their profile has it."""
    return None


@pytest.fixture
def rare_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll twice an hour: a miner changes only when it is commanded, which is read back."""
    monkeypatch.setattr(coordinator, "SCAN_INTERVAL", timedelta(minutes=30))


def is_enabled(sensor: WhatsminerSensor) -> bool:
    """Return whether a sensor is enabled: of all numbers, the hashrate."""
    description = sensor.entity_description
    return description.entity_registry_enabled_default and (
        description.state_class is None or description.key == "hashrate"
    )


@pytest.fixture
async def world(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begin: datetime,
    profiles: tuple[str, ...],
    timing: Timing | None,
    v3_port: int | None,
    unused_tcp_port: int,
) -> AsyncGenerator[World]:
    """Set up a home with the blueprints and the miners."""
    clock = MovedClock()
    monkeypatch.setattr(hass.loop, "time", clock)
    # Our client never closes one side only; and where time jumps, a deadline is over immediately.
    monkeypatch.setattr("simulator.server.HALF_CLOSE_S", 0)
    hass.loop.set_debug(False)
    # Numbers that no automation here reads would be written at each of thousands of polls.
    monkeypatch.setattr(
        WhatsminerSensor, "entity_registry_enabled_default", property(is_enabled)
    )
    await hass.config.async_set_time_zone(ZONE)
    hass.config.config_dir = str(tmp_path)
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints" / "automation" / "whatsminer")
    local = begin.replace(tzinfo=dt_util.get_default_time_zone())
    with freeze_time(dt_util.as_utc(local), tick=True, real_asyncio=True) as wall:
        async with AsyncExitStack() as stack:
            miners, entries = [], []
            for number, profile in enumerate(profiles):
                miner = SimulatedMiner(
                    profile,
                    password=PASSWORD,
                    v3_password=PASSWORD,
                    v3_port=v3_port,
                    clock=clock,
                    seed=number + 1,
                    timing=timing,
                )
                miners.append(await stack.enter_async_context(miner))
                data = {
                    CONF_HOST: miner.host,
                    CONF_PORT: miner.port,
                    CONF_PASSWORD: PASSWORD,
                    CONF_V3_PORT: miner.v3_port or unused_tcp_port,
                }
                if miner.v3_port:
                    data |= {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
                entry = MockConfigEntry(
                    domain=DOMAIN,
                    unique_id=format_mac(miner.mac),
                    title=f"Miner {number}",
                    data=data,
                )
                entry.add_to_hass(hass)
                entries.append(entry)
            world = World(hass, clock, wall, miners, entries)
            # Each entity reads it twice, whenever its state is written.
            monkeypatch.setattr(entity, "timer", world.time)
            update = WhatsminerCoordinator._async_update_data  # noqa: SLF001

            async def watched(self: WhatsminerCoordinator) -> Any:
                world.polling += 1
                try:
                    return await update(self)
                finally:
                    world.polling -= 1

            monkeypatch.setattr(WhatsminerCoordinator, "_async_update_data", watched)
            assert await hass.config_entries.async_setup(entries[0].entry_id)
            await hass.async_block_till_done()
            assert await async_setup_component(hass, "automation", {})
            await hass.async_block_till_done()
            yield world
            await world.reload(without=True)
            for entry in (*world.groups, *entries):
                await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
def notified(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return the messages to `notify.phone`."""
    calls: list[dict[str, Any]] = []

    @callback
    def remember(call: ServiceCall) -> None:
        calls.append(dict(call.data))

    hass.services.async_register("notify", "phone", remember)
    return calls


def notify(message: str) -> list[dict[str, Any]]:
    """Return actions that send a message."""
    return [{"action": "notify.phone", "data": {"message": message}}]


def blueprint(name: str) -> dict[str, Any]:
    """Return a blueprint from its file."""
    loaded = yaml_util.load_yaml_dict(BLUEPRINTS / f"{name}.yaml")
    return dict(loaded)


HOLD = "input_boolean.hold"
UNAVAILABLE = "unavailable"
UNKNOWN = "unknown"
ON, OFF = STATE_ON, STATE_OFF

"""Two miners of different firmware generations heat one tank, as one heater."""

import asyncio
import math
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.whatsminer.const import DOMAIN
from tests.blueprints.conftest import MONDAY, World

from .conftest import SENSOR, Room

TARGET = 20


@pytest.fixture
def profiles() -> tuple[str, ...]:
    """Return two generations of firmware."""
    return ("v205_m50", "v2c_m60s")


class Pair:
    """A group of all miners with a thermostat, and what it heats."""

    def __init__(self, world: World, entry: ConfigEntry[Any], room: Room) -> None:
        """Take a group that is set up."""
        self.world, self.entry, self.room = world, entry, room

    @property
    def hass(self) -> HomeAssistant:
        """The home."""
        return self.world.hass

    def entity(self, platform: str, key: str) -> str:
        """Return an entity of the group."""
        unique_id = f"{self.entry.entry_id}_{key}"
        found = er.async_get(self.hass).async_get_entity_id(platform, DOMAIN, unique_id)
        assert found, f"no {platform} {key}"
        return found

    def state(self, platform: str, key: str) -> str:
        """Return the state of an entity of the group."""
        found = self.hass.states.get(self.entity(platform, key))
        assert found
        return found.state

    @property
    def mode(self) -> str:
        """The mode of the thermostat."""
        return self.state("climate", "thermostat")

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the thermostat."""
        found = self.hass.states.get(self.entity("climate", "thermostat"))
        assert found
        return dict(found.attributes)

    @property
    def status(self) -> str:
        """The sensor *Heating status*."""
        return self.state("sensor", "heating_status")

    @property
    def powers(self) -> list[float]:
        """What the miners draw."""
        return [miner.truth().power_w for miner in self.world.miners]

    async def call(
        self, domain: str, action: str, key: str = "thermostat", **data: object
    ) -> None:
        """Call an action of an entity of the group."""
        data["entity_id"] = self.entity(domain, key)
        await self.hass.services.async_call(domain, action, data, blocking=True)
        await self.world.settle()

    async def heat(self, target: float = TARGET) -> None:
        """Turn the thermostat on."""
        await self.call(
            "climate", "set_temperature", temperature=target, hvac_mode="heat"
        )

    def switched(self, number: int) -> int:
        """Return how often a miner was stopped or started."""
        switches = ("power_off", "power_on", "set.miner.service")
        return self.world.done(*switches, number=number)


async def grouped(world: World, room: Room, **options: object) -> Pair:
    """Put all miners in a group."""
    members = [entry.entry_id for entry in world.entries]
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Boiler",
        data={"kind": "group"},
        options={"members": members, **options},
    )
    entry.add_to_hass(world.hass)
    world.groups.append(entry)
    assert await world.hass.config_entries.async_setup(entry.entry_id)
    await world.settle()
    return Pair(world, entry, room)


@pytest.fixture
async def pair(world: World, room: Room, options: dict[str, Any]) -> Pair:
    """Heat one room, which needs half of the power of both, with both miners."""
    full = sum(miner.truth().power_w for miner in world.miners)
    room.loss, room.capacity = full / 32, full / 14
    return await grouped(world, room, thermostat_sensor=SENSOR, **options)


async def test_they_heat_as_one(world: World, pair: Pair) -> None:
    """A user with two miners on one tank would have two thermostats that work against each other."""
    assert (pair.mode, pair.status) == ("off", "off")
    world.step = 300
    await pair.heat(19.5)
    assert pair.mode == "heat"
    assert pair.attributes["hvac_action"] == "heating"
    await world.let_pass(hours=2)
    assert pair.room.degrees == pytest.approx(19.5, abs=0.7)
    assert pair.status == "heating"
    assert world.state("select", "power_source") == "group"
    assert [pair.switched(number) for number in (0, 1)] == [0, 0]
    await pair.call("climate", "set_temperature", temperature=15)
    await world.let_pass(minutes=5)
    assert world.running == [False, False]
    assert pair.status == "idle"
    assert pair.attributes["hvac_action"] == "idle"
    await pair.call("climate", "set_temperature", temperature=25)
    await world.let_pass(minutes=40)
    assert world.running == [True, True]
    assert [pair.switched(number) for number in (0, 1)] == [2, 2]


async def test_logbook(world: World, pair: Pair) -> None:
    """The logbook would list each percent, and not the reason why a miner stopped yesterday."""
    events = async_capture_events(world.hass, "whatsminer_power_decision")
    world.step = 300

    def lines() -> list[tuple[str, bool, str, str | None]]:
        found = [one.data for one in events]
        events.clear()
        return [(x["name"], x["percent"] > 0, x["why"], x["why_of"]) for x in found]

    await pair.heat()
    await world.let_pass(hours=2)
    assert min(world.done("set_power_pct_v2", number=number) for number in (0, 1)) > 3
    assert sorted(name for name, *_ in lines()) == ["Miner 0", "Miner 1"]
    pair.room.outside = 13
    await world.let_pass(hours=3)
    assert [line[1:] for line in lines()] == [(False, "fewer_miners", None)]
    await pair.call("climate", "set_temperature", temperature=15)
    await world.let_pass(minutes=5)
    assert [line[1:] for line in lines()] == [(False, "idle", "heating_status")]
    assert world.running == [False, False]


@pytest.mark.parametrize("target", [None, 0])
async def test_the_end_of_a_curtailment(
    world: World, pair: Pair, target: int | None
) -> None:
    """A miner that its group leaves off would look as if its user had said so."""
    await pair.heat(15)
    if target is not None:
        await pair.call("number", "set_value", "power_target", value=target)
    await world.let_pass(minutes=2)
    assert world.running == [False, False]
    events = async_capture_events(world.hass, "whatsminer_power_decision")
    await world.curtail(duration={"minutes": 5}, reason="grid")
    await world.let_pass(minutes=7)
    assert world.state("sensor", "curtailment") == "none"
    assert world.running == [False, False]
    assert world.state("sensor", "power_decided_by") == "group"
    first = [x.data for x in events if x.data["name"] == "Miner 0"]
    assert [one["decided_by"] for one in first][:2] == ["curtailment", "group"]
    assert first[-1]["why"] == ("idle" if target is None else None)


async def test_little_heat_needs_one(world: World, pair: Pair) -> None:
    """On a mild day both miners would start and stop, where one could run all day."""
    pair.room.outside = 13
    world.step = 300
    await pair.heat()
    await world.let_pass(hours=8)
    assert sum(world.running) == 1
    assert pair.room.degrees == pytest.approx(TARGET, abs=1)
    assert sum(pair.switched(number) for number in (0, 1)) == 1
    assert pair.status in ("heating", "lowest")


async def test_hard_limit(world: World, pair: Pair) -> None:
    """A tank would boil for as long as a minimum run, or with one of two miners."""
    await pair.heat()
    await world.let_pass(minutes=1)
    pair.room.sensor = lambda _: 28.1
    pair.room.move()
    await world.settle()
    assert world.running == [False, False]
    assert pair.status == "too_hot"
    await world.restart(minutes=2)
    assert world.running == [False, False]
    assert pair.status == "too_hot"


async def test_silent_sensor(world: World, pair: Pair) -> None:
    """With an empty battery in the sensor both miners would heat for ever."""
    await pair.heat(25)
    await world.let_pass(minutes=2)
    pair.room.sensor = lambda _: None
    world.step = 300
    await world.let_pass(minutes=40)
    assert pair.status == "sensor_late"
    assert sum(world.running) >= 1
    await world.let_pass(minutes=30)
    assert pair.status == "sensor_lost"
    assert world.running == [False, False]
    issue_id = f"thermostat_sensor_{pair.entry.entry_id}"
    assert ir.async_get(world.hass).async_get_issue(DOMAIN, issue_id)


async def test_stuck_sensor(world: World, pair: Pair) -> None:
    """A sensor that reports the same value again and again would let both miners heat for ever."""
    issue = (DOMAIN, f"thermostat_sensor_{pair.entry.entry_id}")
    issues = ir.async_get(world.hass).issues
    world.step = 300
    await pair.heat(25)
    await world.let_pass(minutes=15)
    pair.room.sensor = lambda _: 21.0
    await world.let_pass(minutes=25)
    assert pair.status == "full_power"
    before = sum(pair.powers)
    await world.let_pass(minutes=15)
    assert pair.status == "sensor_suspect"
    await world.restart(minutes=2)
    await world.let_pass(minutes=10)
    assert pair.status == "sensor_suspect"
    # The lowest level is that of one miner, which ramps down for some minutes.
    assert 0 < sum(pair.powers) < before / 3
    assert issue not in issues
    await world.let_pass(minutes=20)
    assert pair.status == "sensor_stuck"
    assert world.running == [False, False]
    assert issue in issues
    await world.restart(minutes=5)
    await world.let_pass(minutes=10)
    assert pair.status == "sensor_stuck"
    assert world.running == [False, False]
    pair.room.sensor = lambda degrees: degrees
    await world.let_pass(minutes=35)
    assert any(world.running)
    assert issue not in issues


async def test_a_sensor_that_seems_stuck(world: World, pair: Pair) -> None:
    """A sensor that works would stop the miners, or lower them every half hour."""
    world.step = 300
    await pair.heat(25)
    pair.room.sensor = lambda _: 21.0
    await world.let_pass(minutes=40)
    assert pair.status == "sensor_suspect"
    pair.room.sensor = lambda _: 20.9
    await world.let_pass(minutes=10)
    assert pair.status in ("full_power", "tuning")
    await world.let_pass(minutes=90)
    assert pair.status == "full_power"
    assert world.running == [True, True]


@pytest.mark.parametrize("options", [{"thermostat_call": "binary_sensor.demand"}])
async def test_call_for_heat(world: World, pair: Pair) -> None:
    """Two miners would heat although the real heating needs none, or never."""
    demand = "binary_sensor.demand"
    world.step = 300
    await world.set(demand, "on")
    await pair.heat(25)
    await world.let_pass(minutes=65)
    assert pair.attributes["hvac_action"] == "heating"
    assert world.running == [True, True]
    await world.set(demand, "off")
    await world.let_pass(minutes=10)
    assert pair.status == "no_demand"
    assert pair.attributes["hvac_action"] == "idle"
    assert world.running == [False, False]
    await world.set(demand, "on")
    await world.let_pass(minutes=10)
    assert pair.status == "waiting"
    assert world.running == [False, False]
    await world.let_pass(minutes=25)
    assert world.running == [True, True]
    # It ends again before the minimum run is over.
    await world.set(demand, "off")
    await world.let_pass(minutes=30)
    assert world.running == [True, True]
    await world.let_pass(minutes=40)
    assert world.running == [False, False]
    assert [pair.switched(number) for number in (0, 1)] == [3, 3]


@pytest.mark.parametrize("options", [{"thermostat_call": "binary_sensor.demand"}])
@pytest.mark.parametrize("restarts", [False, True])
async def test_each_has_its_minimum_run(
    world: World, pair: Pair, *, restarts: bool
) -> None:
    """A miner would be stopped while it tunes, since the other one has run long enough."""
    demand = "binary_sensor.demand"
    world.step = 300
    await world.set(demand, "on")
    pair.room.outside = 13
    await pair.heat()
    await world.let_pass(hours=4)
    assert sum(world.running) == 1
    pair.room.outside = -8
    for _ in range(60):
        await world.let_pass(minutes=5)
        if sum(world.running) == 2:
            break
    late = max((0, 1), key=pair.switched)
    assert pair.switched(late) == 2
    await world.set(demand, "off")
    await world.let_pass(minutes=10)
    if restarts:
        await world.restart(minutes=2)
    await world.let_pass(minutes=10)
    assert pair.status == "no_demand"
    assert [running for running in world.running if running] == [True]
    assert world.running[late]
    await world.let_pass(minutes=50)
    assert world.running == [False, False]


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
async def test_too_powerful(world: World, pair: Pair) -> None:
    """A user would be advised about one miner, where a smaller one could run first."""
    issues = ir.async_get(world.hass).issues
    world.step = 300
    await pair.heat(25)
    for _ in range(6):
        assert not issues
        await pair.heat(5)
        await world.let_pass(minutes=5)
        assert world.running == [False, False]
        await pair.heat(25)
        await world.let_pass(minutes=5)
        assert any(world.running)
    assert not issues
    pair.room.sensor = lambda _: 27.0 if any(world.running) else 19.0
    for _ in range(30):
        await world.let_pass(minutes=10)
        if issues:
            break
    issue = (DOMAIN, f"thermostat_group_too_powerful_{pair.entry.entry_id}")
    assert set(issues) == {issue}


async def test_one_is_curtailed(world: World, pair: Pair) -> None:
    """A grid that asks one miner for less would get it, and the house less heat than it could have."""
    world.step = 300
    await pair.heat()
    await world.let_pass(hours=3)
    before, switched = pair.powers[1], pair.switched(1)
    data = {
        "device_id": world.devices[0],
        "target": "stop",
        "duration": {"minutes": 40},
    }
    await world.hass.services.async_call(DOMAIN, "curtail", data, blocking=True)
    await world.let_pass(minutes=30)
    assert world.running == [False, True]
    assert pair.powers[1] > 1.5 * before
    assert pair.mode == "heat"
    await world.let_pass(hours=2)
    assert world.state("sensor", "curtailment") == "none"
    assert pair.switched(1) == switched  # a swap would cost a tuning
    assert pair.room.degrees == pytest.approx(TARGET, abs=1)


@pytest.mark.parametrize("restarts", [False, True])
async def test_curtailed_in_a_start(
    world: World, pair: Pair, *, restarts: bool
) -> None:
    """After a grid call both miners would start together, or one of them never."""
    world.step = 300
    await pair.heat(5)
    await world.let_pass(minutes=40)
    await pair.heat(25)
    assert world.running == [False, True]
    await world.curtail(duration={"minutes": 20}, reason="grid")
    assert world.running == [False, False]
    await world.let_pass(minutes=5)
    assert (pair.mode, pair.status) == ("heat", "curtailed")
    if restarts:
        await world.restart(minutes=5)
    world.step = 60
    for _ in range(20):
        await world.let_pass(minutes=1)
        if any(world.running):
            break
    assert world.running == [False, True]
    await world.let_pass(minutes=2)
    assert world.running == [True, True]
    assert [pair.switched(number) for number in (0, 1)] == [2, 4]


async def test_one_is_offline(world: World, pair: Pair) -> None:
    """The house would get half of the heat until the controller has noticed."""
    world.step = 300
    await pair.heat()
    await world.let_pass(hours=3)
    before = pair.powers[1]
    world.miner.inject("refuse")
    await world.let_pass(minutes=20)
    assert pair.powers[1] > 1.5 * before
    assert pair.mode == "heat"
    world.miner.clear_failures()
    await world.let_pass(minutes=45)
    assert pair.status in ("heating", "lowest")
    assert pair.room.degrees == pytest.approx(TARGET, abs=0.7)


async def test_one_refuses_to_start(world: World, pair: Pair) -> None:
    """The house would be cold, since the miner that starts first does not."""
    world.step = 300
    pair.room.outside = 12
    await pair.heat(5)
    await world.let_pass(minutes=40)
    assert world.running == [False, False]
    world.miners[1].inject("error_45", "power_on")
    pair.entry.runtime_data.heating.state.integral = 20  # one is enough
    await pair.heat(round(pair.room.degrees) + 1)
    await world.let_pass(minutes=10)
    assert world.running == [True, False]
    world.miners[1].clear_failures()
    pair.room.outside = -5
    await world.let_pass(hours=2)
    assert world.running == [True, True]


async def test_one_can_only_be_read(world: World, pair: Pair) -> None:
    """The thermostat would look as if it heated in summer, and would count on that miner's heat."""
    world.step = 300
    entry = world.entries[1]
    data = {key: x for key, x in entry.data.items() if "password" not in key}
    world.hass.config_entries.async_update_entry(entry, data=data)
    await world.hass.config_entries.async_reload(entry.entry_id)
    await world.settle()
    await pair.heat(5)
    await world.let_pass(minutes=40)
    assert world.running == [False, True]
    assert pair.attributes["hvac_action"] == "idle"
    await pair.heat(25)
    await world.let_pass(minutes=30)
    assert world.running == [True, True]
    assert pair.powers[0] == pytest.approx(3300, rel=0.05)
    assert world.miners[1].applied == ["set_led"]


async def test_restart(world: World, pair: Pair) -> None:
    """After an update of Home Assistant the house would be cold, or hot."""
    world.step = 300
    await pair.heat()
    await world.let_pass(hours=2)
    commands = [list(miner.applied) for miner in world.miners]
    await world.restart(minutes=5)
    assert (pair.mode, pair.attributes["temperature"]) == ("heat", TARGET)
    assert pair.status == "heating"
    await pair.call("climate", "set_preset_mode", preset_mode="away")
    await world.let_pass(minutes=10)
    assert world.running == [False, False]
    await world.restart(minutes=5)
    assert pair.attributes["preset_mode"] == "away"
    assert world.running == [False, False]
    assert all(len(commands[i]) <= len(world.miners[i].applied) for i in (0, 1))
    await pair.call("climate", "turn_off")
    await world.restart(minutes=5)
    assert pair.mode == "off"
    assert world.running == [False, False]


@pytest.mark.parametrize("target", [25, 15])
async def test_restart_is_no_news(world: World, pair: Pair, target: int) -> None:
    """The logbook would say again after each restart why the miners run, or are stopped."""
    world.step = 300
    await pair.heat(target)
    await world.let_pass(minutes=15)
    for miner in world.miners:
        miner.applied.clear()
    events = async_capture_events(world.hass, "whatsminer_power_decision")
    for _ in range(2):
        await world.restart(minutes=2)
        await world.let_pass(minutes=10)
    assert world.running == [target == 25] * 2
    # A setup tries whether it may write.
    assert {one for miner in world.miners for one in miner.applied} == {"set_led"}
    assert [event.data for event in events] == []
    await pair.heat(40 - target)
    await world.let_pass(minutes=40)
    assert world.running == [target == 15] * 2
    assert sorted(event.data["name"] for event in events) == ["Miner 0", "Miner 1"]


async def test_restart_in_a_minimum_stop(world: World, pair: Pair) -> None:
    """A miner would start again a minute after it has stopped."""
    world.step = 300
    pair.room.outside = 13
    await pair.heat()
    for _ in range(60):
        await world.let_pass(minutes=5)
        if sum(world.running) == 1:
            break
    running = world.running
    pair.room.sensor = lambda degrees: TARGET - 1 - degrees / 100
    await world.restart(minutes=2)
    await world.let_pass(minutes=20)
    assert world.running == running
    await world.let_pass(minutes=15)
    assert world.running == [True, True]


async def test_the_user_counts_more(world: World, pair: Pair) -> None:
    """A power target or the switch would fight with the thermostat."""
    world.step = 300
    await pair.heat(25)
    assert pair.state("number", "power_target") == "unknown"
    await pair.call("number", "set_value", "power_target", value=3000)
    await world.let_pass(minutes=10)
    assert pair.mode == "off"
    assert pair.status == "off"
    assert sum(pair.powers) <= 3500
    await pair.call("climate", "turn_on")
    assert pair.mode == "heat"
    assert pair.state("number", "power_target") == "unknown"
    await pair.call("switch", "turn_off", "mining")
    assert world.running == [False, False]
    assert pair.mode == "off"
    await world.let_pass(minutes=45)
    assert world.running == [False, False]
    await pair.call("climate", "turn_on")
    await world.let_pass(minutes=5)
    assert pair.state("switch", "mining") == "on"
    assert world.running == [True, True]
    await pair.call("climate", "turn_off")
    assert pair.state("switch", "mining") == "off"
    assert world.running == [False, False]
    await pair.call("switch", "turn_on", "mining")
    await world.let_pass(minutes=5)
    assert pair.mode == "off"
    assert world.running == [True, True]


async def test_miners_that_the_user_took(world: World, pair: Pair) -> None:
    """A miner that a person has stopped would start again."""
    world.step = 300
    await pair.heat(25)
    for number in (0, 1):
        mining = {"entity_id": world.entity("switch", "mining", number)}
        await world.hass.services.async_call(
            "switch", "turn_off", mining, blocking=True
        )
        await world.let_pass(minutes=5)
        assert world.running == [False, number == 0]
    assert pair.mode == "off"
    await pair.call("climate", "turn_on")
    assert pair.mode == "heat"
    # The more efficient one first; no minimum stop is that of the thermostat.
    assert world.running == [False, True]
    await world.let_pass(minutes=2)
    assert world.running == [True, True]


@pytest.mark.parametrize("profiles", [("v205_m50", "v205_m50")])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_one_longest_off_starts_first(
    world: World, pair: Pair, order: tuple[int, int]
) -> None:
    """Of two equal miners always the same one would start, and wear out."""
    world.step = 300
    await pair.heat(25)
    for number in order:
        mining = {"entity_id": world.entity("switch", "mining", number)}
        await world.hass.services.async_call(
            "switch", "turn_off", mining, blocking=True
        )
        await world.let_pass(minutes=10)
    await pair.call("climate", "turn_on")
    assert world.running == [number == order[0] for number in (0, 1)]
    await world.let_pass(minutes=2)
    assert world.running == [True, True]
    assert [pair.switched(number) for number in (0, 1)] == [2, 2]


async def test_the_sensor_is_renamed_and_removed(world: World, pair: Pair) -> None:
    """The miners would lose their sensor with its name, or stay at a forgotten percent."""
    world.step = 300
    registry = er.async_get(world.hass)
    found = registry.async_get_or_create(
        "sensor", "demo", "tank", suggested_object_id="tank"
    )
    world.hass.states.async_remove(SENSOR)
    config = world.hass.config_entries
    options = {**pair.entry.options, "thermostat_sensor": found.entity_id}
    config.async_update_entry(pair.entry, options=options)
    registry.async_update_entity(found.entity_id, new_entity_id=SENSOR)
    await world.settle()
    await pair.heat(5)
    await world.let_pass(minutes=62)
    assert world.running == [False, False]
    options = {key: pair.entry.options[key] for key in ("members",)}
    config.async_update_entry(pair.entry, options=options)
    await config.async_reload(pair.entry.entry_id)
    await world.let_pass(minutes=5)
    assert world.running == [True, True]


async def test_one_leaves_and_returns(world: World, pair: Pair) -> None:
    """A miner that left its group would stay as that wanted, or be started twice."""
    world.step = 300
    await pair.heat(5)
    await world.let_pass(minutes=10)
    config, options = world.hass.config_entries, pair.entry.options

    async def change(members: list[str]) -> None:
        config.async_update_entry(pair.entry, options={**options, "members": members})
        await config.async_reload(pair.entry.entry_id)
        await world.let_pass(minutes=5)

    assert world.running == [False, False]
    await change(options["members"][:1])
    assert world.running == [False, True]
    await world.let_pass(minutes=60)
    assert pair.switched(1) == 2
    await change(options["members"])
    assert world.running == [False, False]
    assert [pair.switched(number) for number in (0, 1)] == [1, 3]


async def test_a_stop_is_taken_back(world: World, pair: Pair) -> None:
    """A miner would look as if its user had stopped it, and stay off for ever."""
    await pair.heat(25)
    await world.let_pass(minutes=20)
    member = pair.entry.runtime_data.controlled[world.entries[0].entry_id]
    stop = asyncio.create_task(member.async_command(0))
    async with asyncio.timeout(5):
        while member.data.commander.shown("mining", actual=True) is not False:
            await asyncio.sleep(0)
    await member.async_command(60)
    await world.settle()
    await stop
    await world.let_pass(minutes=45)
    assert world.runs
    assert member.allowed


async def test_restart_in_a_stop_for_lack_of_surplus(world: World, room: Room) -> None:
    """A restart under a cloud would start a miner two minutes after it was stopped."""
    surplus = 9000.0

    def sun() -> None:
        grid = sum(miner.truth().power_w for miner in world.miners) - surplus
        world.hass.states.async_set(
            "sensor.grid", f"{grid:.0f}", {"unit_of_measurement": "W"}
        )

    world.surroundings = sun
    sun()
    await grouped(world, room, hold="surplus", meter="sensor.grid")
    await world.let_pass(minutes=10)
    events = async_capture_events(world.hass, "whatsminer_power_decision")
    surplus = 3500.0
    for _ in range(30):
        await world.let_pass(minutes=1)
        if not all(world.running):
            break
    assert world.running == [True, False]
    assert [event.data["why"] for event in events] == ["waiting"]
    await world.restart(minutes=2)
    surplus = 9000.0
    await world.let_pass(minutes=11)
    assert world.running == [True, False]
    await world.let_pass(minutes=5)
    assert world.running == [True, True]
    assert [event.data["why"] for event in events] == ["waiting", "starting"]


@pytest.mark.long
async def test_surplus_into_a_tank(world: World, room: Room) -> None:
    """A warm tank would be heated on, or a cold one by night with power from the grid."""
    room.degrees, room.outside, room.loss, room.capacity = 49.0, 20.0, 60.0, 1500.0
    surplus = 9000.0

    def sun() -> None:
        room.move()
        grid = sum(miner.truth().power_w for miner in world.miners) - surplus
        world.hass.states.async_set(
            "sensor.grid", f"{grid:.0f}", {"unit_of_measurement": "W"}
        )

    world.surroundings = sun
    sun()
    pair = await grouped(world, room, hold="surplus", meter="sensor.grid")
    await world.automate(
        "heating",
        miners=world.devices,
        temperature=SENSOR,
        target=50,
        hysteresis=2,
        lock_out=60,
    )
    await world.let_pass(minutes=10)
    assert world.running == [True, True]
    await world.let_pass(minutes=40)
    assert world.state("sensor", "curtailment_reason") == "Heating"
    assert world.running == [False, False]
    assert pair.state("sensor", "status") == "paused"
    surplus = 0.0
    room.loss = 400.0
    await world.let_pass(minutes=30)
    assert room.degrees < 48
    assert world.state("sensor", "curtailment_reason") == "none"
    assert pair.state("sensor", "status") == "waiting"
    assert world.running == [False, False]
    events = async_capture_events(world.hass, "whatsminer_power_decision")
    surplus, room.loss = 9000.0, 60.0
    await world.let_pass(minutes=30)
    assert world.running == [True, True]
    why = [(one.data["why"], one.data["why_of"]) for one in events]
    assert why == [("starting", "group_status")] * 2


async def test_options(world: World, room: Room) -> None:
    """A user would configure two controllers of one group, or bounds in the wrong unit."""
    hass = world.hass
    hass.config.units = US_CUSTOMARY_SYSTEM
    pair = await grouped(world, room)
    members = pair.entry.options["members"]
    hass.states.async_set("sensor.grid", "100", {"unit_of_measurement": "W"})

    async def submit(**values: object) -> dict[str, Any]:
        flow = await hass.config_entries.options.async_init(pair.entry.entry_id)
        return dict(
            await hass.config_entries.options.async_configure(
                flow["flow_id"], {"members": members, **values}
            )
        )

    sensor = {"thermostat_sensor": SENSOR}
    meter = {"hold": "surplus", "meter": "sensor.grid"}
    result = await submit(thermostat=sensor, site=meter)
    assert result["errors"] == {"base": "thermostat_and_meter"}
    result = await submit(thermostat={**sensor, "thermostat_max": 90})
    assert result["errors"] == {"base": "thermostat_bounds"}
    assert result["description_placeholders"]["highest"] == "90.0 °F"
    result = await submit(thermostat={**sensor, "thermostat_max": 77})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await world.settle()
    assert pair.entry.options["thermostat_max"] == 25
    assert pair.attributes["max_temp"] == 77
    assert pair.attributes["friendly_name"] == "Boiler Thermostat"


async def test_one_thermostat_for_a_sensor(world: World, room: Room) -> None:
    """Two thermostats in one room would work against each other, or a group could get none."""
    pair = await grouped(world, room)
    members = {"members": pair.entry.options["members"]}
    first, second = world.entries

    async def submit(
        entry: ConfigEntry[Any], sensor: dict[str, str], **values: object
    ) -> str:
        """Return the name of the thermostat that has the sensor already."""
        flows = world.hass.config_entries.options
        flow = await flows.async_init(entry.entry_id)
        result = await flows.async_configure(
            flow["flow_id"], {"thermostat": sensor, **values}
        )
        await world.settle()
        if result["type"] is FlowResultType.CREATE_ENTRY:
            return ""
        assert result["errors"] == {"base": "sensor_taken"}
        named = result["description_placeholders"]
        assert named
        assert named["entity"] == SENSOR
        return named["name"]

    here = {"thermostat_sensor": SENSOR}
    assert not await submit(first, here)
    assert not await submit(first, {**here, "thermostat_kind": "floor"})
    assert await submit(second, here) == first.title
    assert not await submit(second, {"thermostat_sensor": "sensor.attic"})
    assert await submit(pair.entry, here, **members) == first.title
    assert not await submit(first, {})
    assert not await submit(pair.entry, here, **members)
    assert await submit(first, here) == pair.entry.title
    assert pair.mode == "off"
    # Two that had the same one before this was checked.
    world.hass.config_entries.async_update_entry(first, options=here)
    assert not await submit(first, {**here, "thermostat_kind": "floor"})
    assert not await submit(pair.entry, {**here, "thermostat_kind": "tank"}, **members)


@pytest.mark.long
@pytest.mark.parametrize(
    ("profiles", "v3_port"),
    [(("v205_m50", "v3_m7bs"), 0), (("v2c_m60s", "v205_m50"), None)],
)
@pytest.mark.parametrize("begin", [MONDAY])
async def test_two_days(world: World, pair: Pair) -> None:
    """A house would be cold or hot, or heated during a grid call."""
    room, errors = pair.room, list[float]()

    def weather() -> None:
        hour = world.now.hour + world.now.minute / 60
        room.outside = 4 + 4 * math.cos(2 * math.pi * (hour - 15) / 24)
        room.move()
        errors.append(room.degrees - TARGET)

    def rms(since: int) -> float:
        return math.sqrt(sum(e * e for e in errors[since:]) / len(errors[since:]))

    def starts() -> int:
        return sum(pair.switched(number) for number in (0, 1))

    world.surroundings = weather
    world.step = 900
    await pair.heat()
    await world.let_pass(hours=24)
    assert rms(24) < 0.6, errors
    before, begun = starts(), len(errors)
    await world.curtail(duration={"hours": 2}, reason="grid")
    assert world.running == [False, False]
    assert pair.status == "curtailed"
    await world.let_pass(minutes=110)
    assert world.running == [False, False]
    await world.let_pass(hours=7)
    assert abs(errors[-1]) < 0.5, errors[begun:]
    assert starts() <= before + 6
    half = sum(pair.powers)
    await world.curtail(
        target="percent", percent=50, duration={"hours": 4}, reason="half"
    )
    await world.let_pass(hours=3)
    assert sum(pair.powers) < half
    assert all(miner.truth().power_w for miner in world.miners)
    await world.let_pass(hours=9)
    assert rms(len(errors) - 16) < 0.6, errors

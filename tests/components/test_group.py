"""Groups: several miners as one, with their totals, in a Home Assistant with simulated miners."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
import csv
from datetime import timedelta
from itertools import pairwise
import re
from statistics import mean
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from freezegun import freeze_time
from homeassistant.components.recorder import Recorder, get_instance, history
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryDisabler,
    ConfigFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.whatsminer.const import (
    CONF_FIXED_PRICE,
    CONF_FORECAST,
    CONF_HASHPRICE,
    DOMAIN,
)
from custom_components.whatsminer.controls import POWER_PERCENT
from custom_components.whatsminer.diagnostics import async_get_config_entry_diagnostics
from custom_components.whatsminer.group.events import Event, as_csv, requested
from custom_components.whatsminer.group.flow import MORE, SITE
from custom_components.whatsminer.group.recorder import EVENT_CURTAILMENT
from custom_components.whatsminer.group.store import GroupStore
from custom_components.whatsminer.group.totals import Part, Totals, total, total_plan
from custom_components.whatsminer.logbook import Texts, describe_group
from simulator import SimulatedMiner

from .conftest import Act, RaceClock

type Read = Callable[[str], str]

PACKAGE = "custom_components.whatsminer"


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Prepare the database of the recorder, which must exist before Home Assistant starts."""


@pytest.fixture(autouse=True, scope="module")
def real_clocks() -> None:
    """Let freezegun see the clocks of all modules before they are patched: it looks only once.

    Those that it finds patched it would not move in any later test.
    """
    with freeze_time():
        pass


@pytest.fixture(autouse=True)
def _time(clock: RaceClock) -> Generator[None]:
    """Let the group live in the time of its miners."""
    with patch(f"{PACKAGE}.group.runtime.monotonic", clock):
        yield


async def submit(hass: HomeAssistant, **values: Any) -> ConfigFlowResult:
    """Fill in the form of a new group, as the frontend does."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    assert flow["type"] is FlowResultType.MENU
    assert flow["menu_options"] == ["miner", "group"]
    flow = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"next_step_id": "group"}
    )
    assert flow["type"] is FlowResultType.FORM
    return await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_NAME: "Roof", **values}
    )


@pytest.fixture
async def group(
    hass: HomeAssistant, two_entries: list[MockConfigEntry]
) -> ConfigEntry[Any]:
    """A group of both miners."""
    result = await submit(hass, members=[entry.entry_id for entry in two_entries])
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    return result["result"]


@pytest.fixture
def read(hass: HomeAssistant, group: ConfigEntry[Any]) -> Read:
    """Read a sensor of the group."""

    def value(key: str) -> str:
        entity_id = er.async_get(hass).async_get_entity_id(
            "sensor", DOMAIN, f"{group.entry_id}_{key}"
        )
        assert entity_id, key
        state = hass.states.get(entity_id)
        assert state, key
        return state.state

    return value


async def settle(hass: HomeAssistant, group: ConfigEntry[Any]) -> None:
    """Let the group take what its miners report now, without the wait for others."""
    await hass.async_block_till_done()
    group.runtime_data.update()
    await hass.async_block_till_done()


# What is stored

WRONG = [None, True, -1, 1e9, float("nan"), "1", [], {}, [None, "x"], {"a": "b"}]


@pytest.mark.parametrize("value", WRONG, ids=repr)
async def test_wrong_stored_values_are_dropped(
    hass: HomeAssistant, hass_storage: dict[str, Any], value: Any
) -> None:
    """One damaged value would keep a group, and the thermostat of a house, from loading."""
    good: dict[str, Any] = {
        "on": False,
        "target": 3000,
        "reserve": 200,
        "heats": True,
        "heat": {"on": True},
        "joined": ["a"],
        "stopped": {"a": 5.0},
        "events": [],
    }
    for name in (*good, None):
        data = value if name is None else {**good, name: value}
        hass_storage["whatsminer.roof"] = {"version": 1, "data": data}
        store = GroupStore(hass, "roof")
        await store.async_load()
        for other, expected in good.items():
            if name not in (None, other):
                found = getattr(store, other)
                assert (sorted(found) if other == "joined" else found) == expected
        assert isinstance(store.target, int | None)
        await store.async_save()


async def test_store_of_a_later_version(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    """After a downgrade the group would not load."""
    hass_storage["whatsminer.roof"] = {"version": 2, "data": {"on": False}}
    store = GroupStore(hass, "roof")
    await store.async_load()
    assert store.on


# Setting one up


async def test_form_is_remembered(
    hass: HomeAssistant, two_entries: list[MockConfigEntry]
) -> None:
    """A user would lose what was typed, or set up a group that cannot work."""
    members = [entry.entry_id for entry in two_entries]
    hass.states.async_set("sensor.grid", "100", {"unit_of_measurement": "W"})
    hass.states.async_set("sensor.money", "1", {"unit_of_measurement": "EUR"})
    holds = {"hold": "surplus", "meter": "sensor.grid"}
    for values, error in (
        ({"members": []}, "no_members"),
        ({SITE: {"hold": "surplus"}}, "meter_missing"),
        ({SITE: {"hold": "peak", "meter": "sensor.grid"}}, "limit_missing"),
        ({SITE: {"hold": "limit", "meter": "sensor.grid"}}, "limit_missing"),
        ({SITE: {"hold": "surplus", "meter": "sensor.money"}}, "not_a_power"),
        ({SITE: {"hold": "surplus", "meter": "sensor.none"}}, "not_a_power"),
        ({SITE: holds, MORE: {"battery": "sensor.money"}}, "not_a_power"),
        ({SITE: {**holds, "breaker": 9000}, MORE: {"interval": 30}}, "meter_too_slow"),
    ):
        result = await submit(hass, **{"members": members, **values})
        assert result["errors"] == {"base": error}
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_NAME: "Roof", "members": members, SITE: holds}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Roof"
    assert result["options"].items() >= {**holds, "members": members}.items()


async def test_what_cannot_be_in_a_group(
    hass: HomeAssistant, group: ConfigEntry[Any], two_entries: list[MockConfigEntry]
) -> None:
    """Two groups would command one miner, or a group itself."""
    result = await submit(hass, members=[two_entries[0].entry_id])
    assert result["errors"] == {"base": "in_other_group"}
    placeholders = result["description_placeholders"]
    assert placeholders == {"name": "Miner 0", "group": "Roof"}
    with pytest.raises(InvalidData):
        await submit(hass, members=[group.entry_id])


async def test_one_group_for_a_meter(
    hass: HomeAssistant, two_entries: list[MockConfigEntry]
) -> None:
    """Two groups on one meter would swing against each other for ever."""
    hass.states.async_set("sensor.grid", "0.1", {"unit_of_measurement": "kW"})
    site = {SITE: {"hold": "surplus", "meter": "sensor.grid"}}
    first, second = (entry.entry_id for entry in two_entries)
    result = await submit(hass, members=[first], **site)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    group = result["result"]
    result = await submit(hass, members=[second], **site)
    assert result["errors"] == {"base": "meter_taken"}
    # The own meter is no obstacle to changing the options.
    flow = await hass.config_entries.options.async_init(group.entry_id)
    assert flow["step_id"] == "group"
    for members, expected in (
        ([], FlowResultType.FORM),
        ([first, second], FlowResultType.CREATE_ENTRY),
    ):
        result = await hass.config_entries.options.async_configure(
            flow["flow_id"], {"members": members, **site}
        )
        assert result["type"] is expected
    assert group.options["members"] == [first, second]
    await hass.async_block_till_done()


# What it shows


async def test_totals_are_those_of_the_miners(
    hass: HomeAssistant,
    group: ConfigEntry[Any],
    two_entries: list[MockConfigEntry],
    read: Read,
) -> None:
    """An owner of several miners would have to add up what they do."""
    await settle(hass, group)
    summaries = [entry.runtime_data.coordinator.data.summary for entry in two_entries]
    power = sum(summary.power for summary in summaries)
    hashrate = sum(summary.hashrate for summary in summaries)
    assert float(read("power")) == pytest.approx(power)
    assert float(read("hashrate")) == pytest.approx(hashrate)
    assert float(read("efficiency")) == pytest.approx(power / hashrate, rel=1e-4)
    assert float(read("cost_per_hour")) == pytest.approx(power / 1000 * 0.1, rel=1e-4)
    assert float(read("revenue_per_hour")) == pytest.approx(
        hashrate * 0.05 / 24, rel=1e-4
    )
    margin = hashrate * 0.05 / 24 - power / 1000 * 0.1
    assert float(read("margin_per_hour")) == pytest.approx(margin, abs=1e-5)
    assert read("miners_mining") == "2"
    assert read("worst_fault") == "none"
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), group.entry_id)
    assert device.name == "Roof"
    assert device.entry_type is dr.DeviceEntryType.SERVICE


async def test_energy_is_counted(
    hass: HomeAssistant,
    group: ConfigEntry[Any],
    two_entries: list[MockConfigEntry],
    read: Read,
    freezer: Any,
) -> None:
    """The Energy dashboard would miss a group, or count a member that left backwards."""
    for _ in range(20):
        freezer.tick(60)
        for entry in two_entries:
            await entry.runtime_data.coordinator.async_refresh()
        await settle(hass, group)
    counted = float(read("energy"))
    assert counted == pytest.approx(float(read("power")) / 1000 * 20 / 60, rel=0.02)
    assert await hass.config_entries.async_remove(two_entries[0].entry_id)
    assert await hass.config_entries.async_reload(group.entry_id)
    await settle(hass, group)
    assert float(read("energy")) >= counted
    assert group.options["members"] == [two_entries[1].entry_id]
    await async_get_config_entry_diagnostics(hass, group)


async def test_has_no_address_to_change(
    hass: HomeAssistant, group: ConfigEntry[Any]
) -> None:
    """Home Assistant offers *Reconfigure* for every entry; an error without words would follow."""
    context = {"source": SOURCE_RECONFIGURE, "entry_id": group.entry_id}
    result = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "group_has_no_address"


async def test_members_come_and_go(
    hass: HomeAssistant,
    group: ConfigEntry[Any],
    two_entries: list[MockConfigEntry],
    two_miners: list[SimulatedMiner],
    read: Read,
) -> None:
    """One miner that is offline, disabled or reloaded would take the totals of all with it."""
    await settle(hass, group)
    [first, second] = [
        entry.runtime_data.coordinator.data.summary.power for entry in two_entries
    ]
    config = hass.config_entries
    await config.async_set_disabled_by(
        two_entries[0].entry_id, ConfigEntryDisabler.USER
    )
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(second)
    await config.async_set_disabled_by(two_entries[0].entry_id, None)
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(first + second, rel=0.05)
    # After a reload the group follows the new coordinator, not the old one.
    two_miners[0].inject("refuse")
    for _ in range(2):
        await two_entries[0].runtime_data.coordinator.async_refresh()
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(second, rel=0.05)
    assert read("miners_mining") == "1"
    await config.async_unload(two_entries[1].entry_id)
    await settle(hass, group)
    assert read("power") == "unavailable"


def test_sums() -> None:
    """A group of very different miners would show a sum that misleads."""
    assert total([]) == Totals()
    one = Part("A", power=3000, hashrate=150, mining=True, cost=0.3, currency="EUR")
    two = Part("B", power=1000, hashrate=50, mining=True, cost=0.1, currency="EUR")
    both = total([one, two])
    assert (both.power, both.hashrate, both.efficiency) == (4000, 200, 20)
    assert both.cost == pytest.approx(0.4)
    assert both.margin is None
    # Some miners have no price, or another currency: a part of a cost is none.
    assert total([one, two._replace(cost=None)]).cost is None
    assert total([one, two._replace(currency="USD")]).cost is None
    earn = one._replace(revenue=0.5, revenue_currency="EUR")
    assert total([earn]).margin == pytest.approx(0.2)
    assert total([earn._replace(revenue_currency="USD")]).margin is None
    faults = [one._replace(fault=(7, "no pool")), two._replace(fault=(0, "too hot"))]
    assert total(faults).worst_fault == "B: too hot"
    away = total([one, two._replace(online=False)])
    assert (away.power, away.offline) == (3000, ("B",))


@pytest.mark.parametrize(
    "money",
    [{CONF_FIXED_PRICE: 0.1, CONF_HASHPRICE: 0.05, CONF_FORECAST: ["sensor.prices"]}],
)
async def test_plan_of_a_group(
    hass: HomeAssistant,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
) -> None:
    """An owner would have to add up what the plans of many miners expect."""
    begin = dt_util.utcnow().replace(minute=0, second=0, microsecond=0)
    rows = [
        {"start": (begin + timedelta(hours=hour)).isoformat(), "value": price}
        for hour, price in enumerate([0.02] * 6 + [0.4] * 6)
    ]
    unit = {"unit_of_measurement": "EUR/kWh"}
    hass.states.async_set("sensor.prices", "0.02", unit | {"raw_today": rows})
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), group.entry_id)
    plan: Any = await hass.services.async_call(
        DOMAIN,
        "plan",
        {"device_id": device.id},
        blocking=True,
        return_response=True,
    )
    assert set(plan["miners"]) == {"Miner 0", "Miner 1"}
    for key in ("kwh", "cost", "revenue", "margin", "starts"):
        parts = [one[key] for one in plan["miners"].values()]
        assert plan[key] == pytest.approx(sum(parts), abs=1e-3)
    assert plan["kwh"] > 10
    assert plan["margin"] == pytest.approx(plan["revenue"] - plan["cost"], abs=1e-3)


def test_sums_of_plans() -> None:
    """A sum would leave out a miner that has no plan, or add dollars to euros."""
    one: dict[str, Any] = {
        "kwh": 2.0,
        "starts": 1,
        "cost": 0.2,
        "revenue": None,
        "margin": None,
    }
    assert total_plan([one, one], {"EUR"}) == {
        **one,
        "kwh": 4,
        "starts": 2,
        "cost": 0.4,
    }
    assert total_plan([one, one], {"EUR", "USD"})["cost"] is None
    none: dict[str, Any] = {"status": "no_forecast", "steps": []}
    assert set(total_plan([one, none], {"EUR"}).values()) == {None}


# One power for all


@pytest.fixture
def set_power(
    hass: HomeAssistant, clock: RaceClock, group: ConfigEntry[Any]
) -> Callable[[float], Any]:
    """Set the power target of the group, and let the miners reach it."""

    async def run(watts: float) -> None:
        entity_id = er.async_get(hass).async_get_entity_id(
            "number", DOMAIN, f"{group.entry_id}_power_target"
        )
        clock.race()
        await hass.services.async_call(
            "number",
            "set_value",
            {"entity_id": entity_id, "value": watts},
            blocking=True,
        )
        await hass.async_block_till_done(wait_background_tasks=True)
        clock.stop()

    return run


async def look(
    hass: HomeAssistant,
    clock: RaceClock,
    group: ConfigEntry[Any],
    two_entries: list[MockConfigEntry],
    seconds: float = 60,
) -> float:
    """Let time pass for the miners, and return their power together as they report it."""
    clock.advance(seconds)
    for entry in two_entries:
        await entry.runtime_data.coordinator.async_refresh()
    await settle(hass, group)
    return sum(entry.runtime_data.coordinator.data.power_now for entry in two_entries)


def writes(miner: SimulatedMiner) -> list[str]:
    """Return the commands that a miner got, without what only reads and logs in."""
    return [
        command.name
        for command in miner.commands
        if re.search("pct|percent|power_o|set.miner.service", command.name)
    ]


async def test_power_target_is_divided(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
) -> None:
    """A power for all miners would not be reached, or only after many commands."""
    full = await look(hass, clock, group, two_learned)
    for miner in two_miners:
        miner.commands.clear()
    for share in (0.7, 0.9, 0.5):
        await set_power(full * share)
        power = await look(hass, clock, group, two_learned)
        assert power == pytest.approx(full * share, rel=0.04)
        for miner in two_miners:
            assert len(writes(miner)) <= 1
            miner.commands.clear()
        # Nothing is left to do.
        await look(hass, clock, group, two_learned, 300)
        assert not any(map(writes, two_miners))


async def test_stop_and_start(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
) -> None:
    """A power below all lowest levels, or the switch, would leave miners running."""
    full = await look(hass, clock, group, two_learned)
    await set_power(full * 0.25)
    power = await look(hass, clock, group, two_learned)
    assert power <= full * 0.25 * 1.02
    assert sum(miner.machine.power_w < 100 for miner in two_miners) == 1
    switch = er.async_get(hass).async_get_entity_id(
        "switch", DOMAIN, f"{group.entry_id}_mining"
    )
    clock.race()
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": switch}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    clock.stop()
    assert await look(hass, clock, group, two_learned) < 200
    assert all(miner.machine.power_w < 100 for miner in two_miners)
    # A group that is disabled controls nothing: its miners would wait for it for ever.
    await hass.config_entries.async_set_disabled_by(
        group.entry_id, ConfigEntryDisabler.USER
    )
    clock.race()
    for entry in two_learned:
        assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    clock.stop()
    assert all(miner.truth().mining for miner in two_miners)


async def test_stop_is_sent_once(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
) -> None:
    """Each poll of another miner would send the stop again, until the miner shows it."""
    await look(hass, clock, group, two_learned)
    for miner in two_miners:
        miner.commands.clear()
    group.runtime_data.set_target(100)
    clock.race()
    for _ in range(10):
        await asyncio.sleep(0.01)
        group.runtime_data.update()
    await hass.async_block_till_done(wait_background_tasks=True)
    clock.stop()
    assert await look(hass, clock, group, two_learned) < 200
    assert [len(writes(miner)) for miner in two_miners] == [1, 1]


async def test_power_of_a_stopped_miner(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
) -> None:
    """A stopped miner whose power is a mean of five minutes would have others stopped as well."""
    full = await look(hass, clock, group, two_learned)
    await set_power(full * 0.3)
    await look(hass, clock, group, two_learned)
    running = [miner.machine.power_w > 100 for miner in two_miners]
    assert sorted(running) == [False, True]
    for miner in two_miners:
        miner.commands.clear()
    with patch(f"{PACKAGE}.group.member.Member.measured", 3000.0):
        group.runtime_data.update()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert not any(map(writes, two_miners))


async def test_failing_miner(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
) -> None:
    """A new target would wait for a miner that does not answer, and command it at each poll."""
    full = await look(hass, clock, group, two_learned)
    watts = [miner.machine.power_w for miner in two_miners]
    two_miners[0].inject("refuse")
    # It misses a poll, which its sensors do not show yet.
    await look(hass, clock, group, two_learned)
    assert two_learned[0].runtime_data.coordinator.last_update_success
    for miner in two_miners:
        miner.commands.clear()
    await set_power(full * 0.8)
    rest = full * 0.8 - watts[0]
    assert two_miners[1].machine.power_w == pytest.approx(rest, rel=0.1)
    assert two_miners[1].machine.power_w <= rest * 1.02
    await look(hass, clock, group, two_learned)
    assert [len(writes(miner)) for miner in two_miners] == [0, 1]
    # When it answers again, the target is divided among both.
    two_miners[0].clear_failures()
    await two_miners[0].tick()
    for _ in range(2):
        power = await look(hass, clock, group, two_learned, 200)
        clock.race()
        await hass.async_block_till_done(wait_background_tasks=True)
        clock.stop()
    power = await look(hass, clock, group, two_learned)
    assert power == pytest.approx(full * 0.8, rel=0.04)
    assert writes(two_miners[0])


async def test_refusing_miner(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A miner that refuses would get its command again with each poll of any miner."""
    await look(hass, clock, group, two_learned)
    two_miners[0].inject("error_45", "power_off")
    two_miners[1].inject("error_minus_2", "set.miner.service")
    await set_power(100)
    tried = caplog.text.count(": group: ")
    assert tried >= 2
    for _ in range(4):
        await look(hass, clock, group, two_learned, 30)
    assert caplog.text.count(": group: ") == tried
    # Five minutes later they are tried again.
    await look(hass, clock, group, two_learned, 300)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert caplog.text.count(": group: ") > tried


async def test_other_sources_are_left_alone(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
) -> None:
    """What a user sets at one miner would be overwritten by the group."""
    full = await look(hass, clock, group, two_learned)
    first = two_learned[0].runtime_data
    await POWER_PERCENT.async_set(first.commander, 100, user_initiated=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert first.curtailment.source.key == "manual"
    fixed = (
        await look(hass, clock, group, two_learned),
        first.coordinator.data.power_now,
    )
    two_miners[0].commands.clear()
    await set_power(full * 0.8)
    assert not writes(two_miners[0])
    assert await look(hass, clock, group, two_learned) == pytest.approx(
        full * 0.8, rel=0.05
    )
    assert first.coordinator.data.power_now == pytest.approx(fixed[1], rel=0.02)
    # A miner that leaves the group is its user's again.
    second = two_learned[1].runtime_data
    assert second.curtailment.source.key == "group"
    assert await hass.config_entries.async_remove(group.entry_id)
    await hass.async_block_till_done()
    assert second.curtailment.source.key == "manual"


# The record of its curtailments


async def test_record_of_a_curtailment(hass: HomeAssistant) -> None:
    """A grid operator would get no proof of what was delivered, or a wrong one."""
    event = Event(
        begun="2026-11-29T10:00:00+00:00",
        by="Ann",
        reason="grid call",
        target="percent",
        amount=60,
        baseline={"A": 3000.0, "B": 1000.0},
        requested=1600,
    )
    hass.config.components.add(DOMAIN)
    await async_load_integrations(hass, {DOMAIN})
    assert describe_group(event.stored(), Texts(hass)) == (
        "1600 W less requested by Ann: grid call"
    )
    event.note(10, {"A": 1800.0, "B": 700.0, "C": 1.0})
    event.energy = {"A": 0.45, "B": 0.15}
    assert event.delivered == {"10": 1500}
    assert not event.is_restored({"A": 3000.0})
    assert event.is_restored({"A": 2900.0, "B": 1000.0})
    event.ended = "2026-11-29T10:15:00+00:00"
    assert describe_group(event.stored(), Texts(hass)) == (
        "curtailment ended, 1500 W less delivered: grid call"
    )
    assert Event.from_stored(event.stored()) == event
    table = list(csv.DictReader(as_csv([event]).splitlines()))
    assert [row["miner"] for row in table] == ["", "A", "B"]
    assert [row["delivered_10s_w"] for row in table] == ["1500", "1200", "300"]
    assert [row["energy_kwh"] for row in table] == ["0.6", "0.45", "0.15"]


def test_what_is_asked_for() -> None:
    """The record would claim more than was asked for."""
    powers = {"A": 3000.0, "B": 1000.0}
    assert requested("stop", None, powers, [3000, 2000]) == 4000
    assert requested("percent", 60, powers, [3000, 2000]) == 1200
    assert requested("power", 900, powers, [3000, 2000]) == 2200


@pytest.fixture
async def act(
    hass: HomeAssistant, clock: RaceClock, group: ConfigEntry[Any]
) -> AsyncGenerator[Act]:
    """Call an action for the group; the record waits by the clock of the miners.

    Their power falls and rises only while their clock moves, and an action waits for that.
    """
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), group.entry_id)
    begun = 0.0

    async def sleep(seconds: float) -> None:
        while clock() - begun < seconds:
            await asyncio.sleep(0.01)

    async def run(action: str, **data: Any) -> Any:
        nonlocal begun
        begun = clock()
        clock.race()
        response = await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device.id, "reason": "grid call", **data},
            blocking=True,
            return_response=True,
        )
        clock.stop()
        return response

    with patch(
        f"{PACKAGE}.group.recorder.asyncio",
        SimpleNamespace(sleep=sleep, gather=asyncio.gather),
    ):
        yield run


async def test_record_of_two_miners_of_one_name(
    hass: HomeAssistant, group: ConfigEntry[Any], two_entries: list[MockConfigEntry]
) -> None:
    """The record would leave out one of two miners that have the same name."""
    for entry in two_entries:
        hass.config_entries.async_update_entry(entry, title="Miner")
    event = group.runtime_data.events.begin("Ann", "stop", None, None)
    assert set(event.baseline) == {f"Miner {one.unique_id}" for one in two_entries}
    assert event.requested == sum(event.baseline.values())


async def test_record_of_an_offline_miner(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
) -> None:
    """The record would claim what a miner was not seen to do, or that its power is back."""
    await look(hass, clock, group, two_learned)
    events = group.runtime_data.events
    two_miners[0].inject("refuse")
    two_miners[1].machine.set_percent(60, gentle=False)
    clock.advance(60)
    now = SimpleNamespace(sleep=lambda _: asyncio.sleep(0), gather=asyncio.gather)
    with patch(f"{PACKAGE}.group.recorder.asyncio", now):
        event = events.begin("Ann", "percent", 60, "grid call")
        await hass.async_block_till_done(wait_background_tasks=True)
    assert set(event.baseline) == {"Miner 0", "Miner 1"}
    assert event.requested == pytest.approx(0.4 * event.power_before, rel=0.03)
    less = pytest.approx(0.4 * event.baseline["Miner 1"], rel=0.03)
    assert list(event.delivered_by_miner.values()) == [{"Miner 1": less}] * 3
    assert list(event.delivered.values()) == [less] * 3
    rows = list(csv.DictReader(as_csv([event]).splitlines()))
    assert rows[1]["miner"] == "Miner 0"
    assert rows[1]["delivered_10s_w"] == ""
    events.end("grid call")
    two_miners[1].machine.set_percent(100, gentle=False)
    await look(hass, clock, group, two_learned)
    assert event.ended
    assert not event.restored
    two_miners[0].clear_failures()
    await two_miners[0].tick()
    await look(hass, clock, group, two_learned)
    assert event.restored


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"target": "percent", "percent": 60}, (0.6, 0.6), id="percent"),
        pytest.param({"target": "power", "power": 5000}, (1.0, 0.614), id="power"),
    ],
)
async def test_curtailed_within_a_minute(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    act: Act,
    fields: dict[str, Any],
    expected: tuple[float, float],
) -> None:
    """A grid operator gives a minute; a gentle percent has done a third by then."""
    await look(hass, clock, group, two_learned)
    full = [miner.machine.power_w for miner in two_miners]
    target = sum(share * watts for share, watts in zip(expected, full, strict=True))
    clock.rate, begun = 10.0, clock()
    for miner in two_miners:
        miner.commands.clear()
    response = await act("curtail", **fields)
    assert response["confirmed"]
    assert clock() - begun < 60
    power = await look(hass, clock, group, two_learned, seconds=begun + 60 - clock())
    assert power == pytest.approx(target, rel=0.02)
    assert all(len(writes(miner)) <= 1 for miner in two_miners)
    clock.rate = 100.0
    await act("resume")
    for _ in range(3):
        power = await look(hass, clock, group, two_learned, 100)
    assert power == pytest.approx(sum(full), rel=0.02)


async def test_record_equals_the_database(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    act: Act,
) -> None:
    """The owner's own history would contradict what the grid operator is paid for."""
    await look(hass, clock, group, two_learned)
    await act("curtail", target="percent", percent=70, duration={"minutes": 15})
    await settle(hass, group)
    with freeze_time(dt_util.utcnow()) as frozen:
        for _ in range(31):
            frozen.tick(timedelta(seconds=30))
            await look(hass, clock, group, two_learned, 30)
    await async_wait_recording_done(hass)

    diagnostics = await async_get_config_entry_diagnostics(hass, group)
    row = next(csv.DictReader(diagnostics["events_csv"].splitlines()))
    begun, ended = map(dt_util.parse_datetime, (row["begun"], row["ended"]))
    assert begun
    assert ended
    assert (ended - begun).total_seconds() == pytest.approx(900, abs=35)
    power = er.async_get(hass).async_get_entity_id(
        "sensor", DOMAIN, f"{group.entry_id}_power"
    )
    assert power
    found = await get_instance(hass).async_add_executor_job(
        history.state_changes_during_period, hass, begun, ended, power
    )
    states = found[power]
    assert len(states) > 20
    times = [max(begun, state.last_updated) for state in states] + [ended]
    recorded = sum(
        float(state.state) * (until - since).total_seconds() / 3_600_000
        for state, (since, until) in zip(states, pairwise(times), strict=True)
    )
    assert recorded > 1.5
    assert float(row["energy_kwh"]) == pytest.approx(recorded, rel=0.01)
    await act("resume")


async def test_resume_keeps_the_power_target(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    two_miners: list[SimulatedMiner],
    set_power: Callable[[float], Any],
    act: Act,
) -> None:
    """After a stop all miners would tune at full power together, above the power target."""
    full = await look(hass, clock, group, two_learned)
    target = full * 0.8
    await set_power(target)
    before = await look(hass, clock, group, two_learned)
    await act("curtail", target="stop")
    assert await look(hass, clock, group, two_learned, 300) < 200
    await act("resume")
    powers, running = [], []
    for _ in range(150):
        powers.append(await look(hass, clock, group, two_learned, 30))
        running.append([miner.machine.power_w > 100 for miner in two_miners])
        clock.race()
        await hass.async_block_till_done(wait_background_tasks=True)
        clock.stop()
    assert max(powers) < target * 1.02
    assert powers[-1] == pytest.approx(before, rel=0.04)
    # One miner after the other, each once: the first makes room for the second.
    assert [sum(both) for both in running] == sorted(map(sum, running))
    assert running.count([True, True]) < 120


@pytest.mark.parametrize(
    ("fields", "share", "less"),
    [
        pytest.param({"target": "stop"}, 1.0, 1.0, id="stop"),
        pytest.param({"target": "percent", "percent": 60}, 1.0, 0.4, id="percent"),
        pytest.param({"target": "stop"}, 0.8, 1.0, id="stop below a power target"),
    ],
)
async def test_curtail_and_resume(
    hass: HomeAssistant,
    clock: RaceClock,
    two_learned: list[MockConfigEntry],
    group: ConfigEntry[Any],
    read: Read,
    set_power: Callable[[float], Any],
    act: Act,
    fields: dict[str, Any],
    share: float,
    less: float,
) -> None:
    """The grid operator would get less than what was asked for, no proof, or miners that stay off."""
    heard: list[Any] = []
    hass.bus.async_listen(EVENT_CURTAILMENT, lambda event: heard.append(event.data))
    full = await look(hass, clock, group, two_learned)
    if share < 1:
        await set_power(full * share)
    before = await look(hass, clock, group, two_learned)
    response = await act("curtail", **fields)
    assert response["confirmed"]
    assert set(response["miners"]) == {"Miner 0", "Miner 1"}
    for key in ("power_before", "power_after"):
        parts = [miner[key] for miner in response["miners"].values()]
        assert response[key] == sum(parts)
    assert response["power_before"] == pytest.approx(before, rel=0.02)
    reduced = response["power_before"] - response["power_after"]
    assert reduced > 0.92 * before * less
    [event] = response["events"]
    assert event["by"] == "automation"
    assert event["requested"] == pytest.approx(before * less, rel=0.03)

    # A quarter of an hour later the record agrees with what the sensors have shown.
    counted, powers = float(read("energy")), []
    with freeze_time(dt_util.utcnow()) as frozen:
        for _ in range(30):
            frozen.tick(timedelta(seconds=30))
            await look(hass, clock, group, two_learned, 30)
            powers.append(float(read("power")))
    await asyncio.sleep(0.05)
    [event] = (await act("resume"))["events"]
    asked, delivered = event["requested"], event["delivered"]
    assert list(delivered) == ["10", "60", "300"]
    assert delivered["300"] == pytest.approx(asked, rel=0.02)
    for seconds, parts in event["delivered_by_miner"].items():
        assert delivered[seconds] == sum(parts.values())
    used = sum(event["energy"].values())
    assert used == pytest.approx(mean(powers) / 1000 / 4, rel=0.01, abs=0.01)
    assert used == pytest.approx(float(read("energy")) - counted, abs=0.01)
    assert event["ended"]
    assert not event["restored"]

    # All is as before, and the group still controls its miners; they start one after the other.
    for _ in range(8):
        power = await look(hass, clock, group, two_learned, 600)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert power == pytest.approx(before, rel=0.04)
    for entry in two_learned:
        assert entry.runtime_data.curtailment.source.key == "group"
    diagnostics = await async_get_config_entry_diagnostics(hass, group)
    rows = list(csv.DictReader(diagnostics["events_csv"].splitlines()))
    assert [row["miner"] for row in rows] == ["", "Miner 0", "Miner 1"]
    assert {row["by"] for row in rows} == {"automation"}
    assert rows[0]["requested_w"] == str(asked)
    assert rows[0]["delivered_300s_w"] == str(delivered["300"])
    assert all(row["restored"] for row in rows)
    assert [bool(data["ended"]) for data in heard] == [False, True]

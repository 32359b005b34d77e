"""Groups: several miners as one, with their totals, in a Home Assistant with simulated miners."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryDisabler,
    ConfigFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import format_mac
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
)
from custom_components.whatsminer.diagnostics import async_get_config_entry_diagnostics
from custom_components.whatsminer.group.flow import MORE, SITE
from custom_components.whatsminer.group.totals import Part, Totals, total
from simulator import SimulatedMiner

from .conftest import PASSWORD, RaceClock

type Read = Callable[[str], str]

PRICES = {CONF_FIXED_PRICE: 0.1, CONF_HASHPRICE: 0.05}


@pytest.fixture
async def miners(clock: RaceClock) -> AsyncGenerator[list[SimulatedMiner]]:
    """Two simulated miners of two firmware generations."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SimulatedMiner(
                    profile,
                    seed=seed,
                    password=PASSWORD,
                    v3_password=PASSWORD,
                    v3_port=0,
                    clock=clock,
                )
            )
            for seed, profile in enumerate(("v205_m50", "v3_m7bs"))
        ]


@pytest.fixture
async def entries(
    hass: HomeAssistant, miners: list[SimulatedMiner], unused_tcp_port: int
) -> list[MockConfigEntry]:
    """The entries of both miners, set up."""
    found = []
    for number, miner in enumerate(miners):
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=format_mac(miner.mac),
            title=f"Miner {number}",
            data={
                CONF_HOST: miner.host,
                CONF_PORT: miner.port,
                CONF_PASSWORD: PASSWORD,
                CONF_V3_PORT: miner.v3_port or unused_tcp_port,
                CONF_ACCOUNT: "super",
                CONF_V3_PASSWORD: PASSWORD,
            },
            options=PRICES,
        )
        entry.add_to_hass(hass)
        found.append(entry)
    assert await hass.config_entries.async_setup(found[0].entry_id)
    await hass.async_block_till_done()
    return found


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
    hass: HomeAssistant, entries: list[MockConfigEntry]
) -> ConfigEntry[Any]:
    """A group of both miners."""
    result = await submit(hass, members=[entry.entry_id for entry in entries])
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


# Setting one up


async def test_form_is_remembered(
    hass: HomeAssistant, entries: list[MockConfigEntry]
) -> None:
    """A user would lose what was typed, or set up a group that cannot work."""
    members = [entry.entry_id for entry in entries]
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
    hass: HomeAssistant, group: ConfigEntry[Any], entries: list[MockConfigEntry]
) -> None:
    """Two groups would command one miner, or a group itself."""
    result = await submit(hass, members=[entries[0].entry_id])
    assert result["errors"] == {"base": "in_other_group"}
    placeholders = result["description_placeholders"]
    assert placeholders == {"name": "Miner 0", "group": "Roof"}
    with pytest.raises(InvalidData):
        await submit(hass, members=[group.entry_id])


async def test_one_group_for_a_meter(
    hass: HomeAssistant, entries: list[MockConfigEntry]
) -> None:
    """Two groups on one meter would swing against each other for ever."""
    hass.states.async_set("sensor.grid", "0.1", {"unit_of_measurement": "kW"})
    site = {SITE: {"hold": "surplus", "meter": "sensor.grid"}}
    first, second = (entry.entry_id for entry in entries)
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
    entries: list[MockConfigEntry],
    read: Read,
) -> None:
    """An owner of several miners would have to add up what they do."""
    await settle(hass, group)
    summaries = [entry.runtime_data.coordinator.data.summary for entry in entries]
    power = sum(summary.power for summary in summaries)
    hashrate = sum(summary.hashrate for summary in summaries)
    assert float(read("power")) == pytest.approx(power)
    assert float(read("hashrate")) == pytest.approx(hashrate)
    assert float(read("efficiency")) == pytest.approx(power / hashrate, rel=1e-4)
    assert float(read("cost_per_hour")) == pytest.approx(power / 1000 * 0.1)
    assert float(read("revenue_per_hour")) == pytest.approx(hashrate * 0.05 / 24)
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
    entries: list[MockConfigEntry],
    read: Read,
    freezer: Any,
) -> None:
    """The Energy dashboard would miss a group, or count a member that left backwards."""
    for _ in range(20):
        freezer.tick(60)
        for entry in entries:
            await entry.runtime_data.coordinator.async_refresh()
        await settle(hass, group)
    counted = float(read("energy"))
    assert counted == pytest.approx(float(read("power")) / 1000 * 20 / 60, rel=0.02)
    assert await hass.config_entries.async_remove(entries[0].entry_id)
    assert await hass.config_entries.async_reload(group.entry_id)
    await settle(hass, group)
    assert float(read("energy")) >= counted
    assert group.options["members"] == [entries[1].entry_id]
    await async_get_config_entry_diagnostics(hass, group)


async def test_members_come_and_go(
    hass: HomeAssistant,
    group: ConfigEntry[Any],
    entries: list[MockConfigEntry],
    miners: list[SimulatedMiner],
    read: Read,
) -> None:
    """One miner that is offline, disabled or reloaded would take the totals of all with it."""
    await settle(hass, group)
    [first, second] = [
        entry.runtime_data.coordinator.data.summary.power for entry in entries
    ]
    config = hass.config_entries
    await config.async_set_disabled_by(entries[0].entry_id, ConfigEntryDisabler.USER)
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(second)
    await config.async_set_disabled_by(entries[0].entry_id, None)
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(first + second, rel=0.05)
    # After a reload the group follows the new coordinator, not the old one.
    miners[0].inject("refuse")
    for _ in range(2):
        await entries[0].runtime_data.coordinator.async_refresh()
    await settle(hass, group)
    assert float(read("power")) == pytest.approx(second, rel=0.05)
    assert read("miners_mining") == "1"
    await config.async_unload(entries[1].entry_id)
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

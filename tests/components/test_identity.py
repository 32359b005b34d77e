"""Identity: found by DHCP, followed to a new address, and never mistaken for another."""

from typing import Any

from homeassistant.config_entries import SOURCE_DHCP, SOURCE_USER
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import CONF_V3_PORT, DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import PASSWORD, Show
from .test_texts import load


@pytest.fixture
def discovered(
    miner: SimulatedMiner, monkeypatch: pytest.MonkeyPatch
) -> DhcpServiceInfo:
    """What the router says of the miner; its usual ports are those of the simulated one."""
    flow = "custom_components.whatsminer.config_flow"
    monkeypatch.setattr(f"{flow}.DEFAULT_PORT", miner.port)
    monkeypatch.setattr(f"{flow}.DEFAULT_V3_PORT", 1)
    return DhcpServiceInfo(
        ip=miner.host,
        hostname="whatsminer",
        macaddress=miner.mac.replace(":", "").lower(),
    )


async def test_new_miner_is_offered(
    hass: HomeAssistant, discovered: DhcpServiceInfo
) -> None:
    """A new miner in the network is one password away."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=discovered
    )
    assert result["step_id"] == "admin"
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["title_placeholders"] == {"name": "M50 04EB"}
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_PASSWORD: PASSWORD}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "M50 04EB"
    await hass.async_block_till_done()


async def test_discovered_miner_can_be_added_by_hand(
    hass: HomeAssistant,
    address: dict[str, Any],
    discovered: DhcpServiceInfo,
) -> None:
    """Who knows the address would be turned away because the router knows it too."""
    waiting = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=discovered
    )
    assert waiting["type"] is FlowResultType.FORM
    # A second word of the router opens no second dialog, and has a sentence all the same.
    again = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=discovered
    )
    assert again["reason"] == "already_in_progress"
    assert again["reason"] in load("translations/en.json")["config"]["abort"]
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data=address
    )
    assert result["step_id"] == "admin"
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_PASSWORD: PASSWORD}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert not hass.config_entries.flow.async_progress(), "still offered"


async def test_known_miner_is_followed(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    discovered: DhcpServiceInfo,
    state: Show,
) -> None:
    """Miners lost when DHCP moves them."""
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_HOST: "localhost"}
    )
    miner.inject("refuse")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    miner.clear_failures()
    await miner.tick()
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=discovered
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    await hass.async_block_till_done()
    assert entry.data[CONF_HOST] == miner.host
    assert float(state("sensor", "power")) > 3000


async def test_other_things_called_whatsminer(
    hass: HomeAssistant, miner: SimulatedMiner, discovered: DhcpServiceInfo
) -> None:
    """What is no miner, or another one, must not be offered."""
    miner.inject("refuse")
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=discovered
    )
    assert result["reason"] == "cannot_connect"
    miner.clear_failures()
    await miner.tick()
    result = await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_DHCP},
        data=DhcpServiceInfo(
            ip=miner.host, hostname="whatsminer", macaddress="aabbccddeeff"
        ),
    )
    assert result["reason"] == "wrong_miner"


async def test_reconfigure(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    address: dict[str, Any],
    state: Show,
) -> None:
    """A miner that moved is found again without losing its history; another is not taken."""
    async with SimulatedMiner("v205_m50", seed=7, password=PASSWORD) as other:
        result = await entry.start_reconfigure_flow(hass)
        assert result["step_id"] == "reconfigure"
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {**address, CONF_PORT: other.port}
        )
        assert result["errors"] == {"base": "wrong_miner"}
        assert result["description_placeholders"]
        assert result["description_placeholders"]["found"] == other.mac
        assert result["description_placeholders"]["expected"] == miner.mac
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {**address, CONF_HOST: " localhost ", CONF_V3_PORT: 1}
    )
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.data[CONF_HOST] == "localhost"
    assert entry.data[CONF_PASSWORD] == PASSWORD
    assert float(state("sensor", "power")) > 3000


@pytest.mark.parametrize("password", [None])
async def test_password_that_comes_later(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    address: dict[str, Any],
    state: Show,
) -> None:
    """Who only looked at first can command later, without losing the history."""
    assert not hass.states.async_entity_ids("switch")
    result = await entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], address)
    assert result["step_id"] == "admin"
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_PASSWORD: PASSWORD}
    )
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert state("switch", "mining") == "on"


async def test_another_password(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    address: dict[str, Any],
    state: Show,
) -> None:
    """An owner who wants another password or account would have to delete the miner, and its history."""
    before = dict(entry.data)
    result = await entry.start_reconfigure_flow(hass)
    configure = hass.config_entries.flow.async_configure
    result = await configure(result["flow_id"], {**address, "change_password": True})
    assert result["step_id"] == "admin"
    result = await configure(result["flow_id"], {CONF_PASSWORD: "wrong"})
    assert result["errors"] == {CONF_PASSWORD: "wrong_password"}
    result = await configure(result["flow_id"], {CONF_PASSWORD: PASSWORD})
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.data == before | address
    assert state("switch", "mining") == "on"

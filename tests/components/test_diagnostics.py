"""Diagnostics: useful to a maintainer, harmless in public."""

import json

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.power.record import Target
from simulator import SimulatedMiner

from .conftest import PASSWORD


async def test_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    snapshot: SnapshotAssertion,
) -> None:
    """People paste diagnostics into public issues."""
    miner.inject("truncate", "pools")
    await coordinator.async_refresh()
    assert await async_setup_component(hass, "diagnostics", {})
    data = await get_diagnostics_for_config_entry(
        hass, hass_client, coordinator.config_entry
    )
    text = json.dumps(data)
    info, truth = coordinator.data.info, miner.truth()
    private = [
        PASSWORD,
        miner.mac,
        miner.mac.lower(),
        info.serial,
        coordinator.data.psu and coordinator.data.psu.serial,
        coordinator.data.boards and coordinator.data.boards[0].serial,
        *(pool.user for pool in truth.pools),
        *(pool.url for pool in truth.pools),
        f'"{miner.host}"',
    ]
    assert all(private)
    assert [value for value in private if value and value in text] == []
    assert data == snapshot(exclude=props("last_share", "port", "read_at", "v3_port"))


async def test_curtailment(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
) -> None:
    """Why did it run? A helper would see neither the request nor the error."""
    miner.inject("refuse")
    with pytest.raises(HomeAssistantError) as error:
        await coordinator.config_entry.runtime_data.curtailment.async_curtail(
            Target.STOP, reason="expensive hour"
        )
    assert miner.host in str(error.value)
    await coordinator.hass.async_block_till_done()
    assert await async_setup_component(hass, "diagnostics", {})
    data = await get_diagnostics_for_config_entry(
        hass, hass_client, coordinator.config_entry
    )
    [active] = data["curtailment"]["active"]
    assert (active["target"], active["reason"]) == ("stop", "expensive hour")
    assert active["error_kind"] == "cannot_connect"
    assert miner.host not in json.dumps(data)
    miner.clear_failures()
    await miner.tick()
    await coordinator.config_entry.runtime_data.curtailment.async_resume()
    data = await get_diagnostics_for_config_entry(
        hass, hass_client, coordinator.config_entry
    )
    last = data["curtailment"]["last"]
    assert (last["reason"], last["ended_by"]) == ("expensive hour", "resume")
    assert last["error_kind"] == "cannot_connect"
    assert miner.host not in json.dumps(data)

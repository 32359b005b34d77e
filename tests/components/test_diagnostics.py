"""Diagnostics: useful to a maintainer, harmless in public."""

import json

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import PASSWORD


async def test_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
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
    assert data["state"]["info"]["model"] == "M50_VH84"
    assert data["state"]["summary"]["power"] == round(truth.power_w)
    assert data["write_access"] is True
    assert data["power_ceiling"] == 3500

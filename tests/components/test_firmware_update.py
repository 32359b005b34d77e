"""A firmware update from one API to another: noticed, survived, and nothing is lost."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    DOMAIN,
    SLOW_EVERY,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import PASSWORD, RaceClock

type Show = Callable[[str, str], str]
type Poll = Callable[[], Awaitable[None]]


async def test_from_2_0_to_3(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    address: dict[str, Any],
    state: Show,
    poll: Poll,
) -> None:
    """New firmware, nothing works: what users of other integrations write."""
    registry = er.async_get(hass)

    def entities() -> dict[str, str]:
        return {
            found.unique_id: found.entity_id
            for found in er.async_entries_for_config_entry(registry, entry.entry_id)
        }

    before = entities()
    await miner.stop()
    await poll()
    assert state("sensor", "power") == "unavailable"
    async with SimulatedMiner(
        "v2c_m60s",
        port=address["port"],
        v3_port=address["v3_port"],
        mac=miner.mac,
        password=PASSWORD,
        v3_password=PASSWORD,
        clock=clock,
    ) as updated:
        for _ in range(2):
            await poll()
        assert entry.state is ConfigEntryState.LOADED
        assert entry.runtime_data.miner.info.api_version == "3.0.2"
        assert float(state("sensor", "power")) == pytest.approx(
            updated.v3_truth().power_realtime_w, abs=1
        )
        after = entities()
        assert before.items() <= after.items()

        # The admin's password is not one of API 3: it is asked for, and said why.
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["context"]["source"] == SOURCE_REAUTH
        assert flow["step_id"] == "reauth_account"
        result = await hass.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: "wrong"}
        )
        assert result["errors"] == {CONF_V3_PASSWORD: "account_refused"}
        result = await hass.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
        )
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "reauth_successful"
        await hass.async_block_till_done()
        assert entry.data[CONF_V3_PASSWORD] == PASSWORD
        assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert state("binary_sensor", "write_access") == "on"
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_4433_that_was_closed_at_first(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    poll: Poll,
) -> None:
    """A miner that was met in the middle of a restart must not stay on the old API."""
    miner.inject("refuse_4433")
    await miner.tick()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.runtime_data.miner.info.api_version == "2.2.2"
    miner.clear_faults()
    await miner.tick()
    for _ in range(SLOW_EVERY + 1):
        await poll()
    assert entry.runtime_data.miner.info.api_version == "3.0.2"

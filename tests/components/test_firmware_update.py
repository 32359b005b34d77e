"""A firmware update from one API to another: noticed, survived, and nothing is lost."""

from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
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

from .conftest import PASSWORD, Call, Poll, RaceClock, Show


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
    for _ in range(2):
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
        assert entry.runtime_data.coordinator.miner.info.api_version == "3.0.2"
        assert float(state("sensor", "power")) == pytest.approx(
            updated.v3_truth().power_realtime_w, abs=1
        )
        after = entities()
        assert before.items() <= after.items()

        # The admin's password is not one of API 3: a form requests it, and says why.
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
    assert entry.runtime_data.coordinator.miner.info.api_version == "2.2.2"
    miner.clear_failures()
    await miner.tick()
    for _ in range(SLOW_EVERY + 1):
        await poll()
    assert entry.runtime_data.coordinator.miner.info.api_version == "3.0.2"


@pytest.mark.parametrize("profile", ["v3_m64_bad"])
async def test_stop_over_api_3_holds(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """A miner that starts on its own mines through the most expensive hours of the year."""
    clock.race()
    await call("switch", "mining", "turn_off")
    clock.stop()
    for _ in range(20):
        clock.advance(60)
        await poll()
        assert state("switch", "mining") == "off"
        assert state("sensor", "status") == "stopped"
        assert not miner.truth().mining


@pytest.mark.parametrize("profile", ["v3_m64_bad"])
async def test_stop_over_4028_that_does_not_hold_is_shown(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """With the admin password alone this firmware starts again; that must not be hidden."""
    data = {**entry.data, "password": PASSWORD, CONF_ACCOUNT: "super"}
    del data[CONF_V3_PASSWORD]
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    clock.race()
    await call("switch", "mining", "turn_off")
    clock.stop()
    assert state("switch", "mining") == "off"
    clock.advance(600)
    await poll()
    assert miner.truth().mining
    assert state("switch", "mining") == "on"


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_api_switch_that_is_turned_off_and_on(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """API 3 reports its switch: a factory reset must show before a command is needed."""
    assert state("binary_sensor", "write_access") == "on"
    miner.api_switch = False
    await poll()
    assert state("binary_sensor", "write_access") == "off"
    miner.api_switch = True
    await poll()
    assert state("binary_sensor", "write_access") == "on"


async def test_reauth_with_the_admin_password(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
) -> None:
    """After the password was changed on the miner, a form must ask, and the entry must stay."""
    miner.set_password("changed")
    with pytest.raises(HomeAssistantError):
        await call("switch", "fast_boot", "turn_on")
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["step_id"] == "reauth_admin"
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_PASSWORD: "wrong"}
    )
    assert result["errors"] == {CONF_PASSWORD: "wrong_password"}
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_PASSWORD: "changed"}
    )
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert entry.data[CONF_PASSWORD] == "changed"
    assert state("binary_sensor", "write_access") == "on"


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_from_3_to_2_0(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    address: dict[str, Any],
    state: Show,
) -> None:
    """A downgrade: the account of API 3 is worth nothing now, so a form requests the admin's."""
    await miner.stop()
    async with SimulatedMiner(
        "v205_m50", port=address["port"], mac=miner.mac, password=PASSWORD, clock=clock
    ) as older:
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.runtime_data.coordinator.miner.info.api_version == "2.0.5"
        assert float(state("sensor", "power")) == round(older.truth().power_w)
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["step_id"] == "reauth_admin"
        result = await hass.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_PASSWORD: PASSWORD}
        )
        assert result["reason"] == "reauth_successful"
        await hass.async_block_till_done()
        assert state("binary_sensor", "write_access") == "on"
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_from_3_to_2_0_and_no_commands_wanted(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    address: dict[str, Any],
    state: Show,
) -> None:
    """An owner without the admin password would meet the form again and again."""
    await miner.stop()
    async with SimulatedMiner(
        "v205_m50", port=address["port"], mac=miner.mac, password=PASSWORD, clock=clock
    ):
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        assert result["reason"] == "reauth_successful"
        await hass.async_block_till_done()
        assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert entry.data == address
        assert float(state("sensor", "power")) > 3000
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_from_3_to_2_2(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    address: dict[str, Any],
    call: Call,
) -> None:
    """2.2 is spoken beside API 3 too: every command would go to a port that is closed for good."""
    await miner.stop()
    async with SimulatedMiner(
        "v2c_m60s",
        port=address["port"],
        v3_port=None,
        mac=miner.mac,
        password=PASSWORD,
        clock=clock,
    ) as older:
        assert older.truth().firmware != coordinator.data.info.firmware
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.runtime_data.coordinator.miner.info.api_version == "2.2.2"
        assert (
            entry.runtime_data.coordinator.data.info.firmware == older.truth().firmware
        )
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["step_id"] == "reauth_admin"
        await hass.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_PASSWORD: PASSWORD}
        )
        await hass.async_block_till_done()
        await call("switch", "fast_boot", "turn_on")
        assert older.machine.fast_boot
        await hass.config_entries.async_unload(entry.entry_id)

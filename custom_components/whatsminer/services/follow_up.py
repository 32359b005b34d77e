"""Wait for a miner that restarts after a command, at its old or new address."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_HOST
from homeassistant.exceptions import HomeAssistantError

from ..api import MinerState, Network, Section, WhatsminerError, WrongMinerError
from ..commander import DEADLINE_REBOOT
from ..controls import rebooted
from ..coordinator import WhatsminerCoordinator, async_connect
from ..exceptions import failed, translated

INTERVAL = 2.0
"""Seconds between two reads."""


async def async_looks(
    coordinator: WhatsminerCoordinator,
) -> AsyncGenerator[WhatsminerCoordinator]:
    """Read all of a miner repeatedly, for as long as a reboot may take.

    Its entry may be reloaded in that time, because firmware or address have changed.
    """
    loop, entry = coordinator.hass.loop, coordinator.config_entry
    end = loop.time() + DEADLINE_REBOOT
    while loop.time() < end:
        await asyncio.sleep(INTERVAL)
        if entry.state is ConfigEntryState.LOADED:
            now: WhatsminerCoordinator = entry.runtime_data.coordinator
            await now.async_refresh_all()
            if now.last_update_success:
                yield now


async def async_after_reset(
    coordinator: WhatsminerCoordinator, before: MinerState
) -> None:
    """Wait for the reboot, then check the write access, which the reset has changed."""
    is_back = rebooted(before)
    async for now in async_looks(coordinator):
        if is_back(now.data):
            await now.config_entry.runtime_data.commander.write_access.async_check()
            now.async_update_listeners()
            return
    raise failed("not_back", name=coordinator.config_entry.title)


async def async_after_update(
    coordinator: WhatsminerCoordinator, before: MinerState
) -> dict[str, Any]:
    """Wait for the reboot, and return the old and the new version of the firmware."""
    name, was = coordinator.config_entry.title, before.info.firmware or ""
    is_back, found = rebooted(before), was
    async for now in async_looks(coordinator):
        state = now.data
        back = is_back(state)
        if Section.INFO in state.failed or state.info.firmware is None:
            continue
        found = state.info.firmware
        if found != was:
            return {"version_before": was or None, "version_after": found}
        if back:
            raise failed("firmware_unchanged", name=name, version=found)
    raise failed("firmware_not_seen", name=name, version=found)


async def async_after_network(
    coordinator: WhatsminerCoordinator, network: Network, before: MinerState
) -> None:
    """Find the miner at its new address, and update its entry."""
    entry, address = coordinator.config_entry, network.address
    if address is None or address == coordinator.host:
        is_back, back = rebooted(before), False
        async for now in async_looks(coordinator):
            reported = now.data.settings and now.data.settings.network
            back = is_back(now.data) or back
            if back and (not reported or reported.dhcp in (None, network.dhcp)):
                return
        if back:
            raise failed("network_not_taken", name=entry.title)
        raise failed("not_back", name=entry.title)
    hass = coordinator.hass
    end = hass.loop.time() + DEADLINE_REBOOT
    data = {**entry.data, CONF_HOST: address}
    while hass.loop.time() < end:
        await asyncio.sleep(INTERVAL)
        try:
            miner = await async_connect(data, entry.unique_id)
        except WrongMinerError as err:
            raise translated(HomeAssistantError, err, address) from err
        except WhatsminerError:
            continue
        await miner.close()
        hass.config_entries.async_update_entry(
            entry, data={**entry.data, CONF_HOST: address}
        )
        hass.config_entries.async_schedule_reload(entry.entry_id)
        return
    raise failed("not_at_address", name=entry.title, address=address)

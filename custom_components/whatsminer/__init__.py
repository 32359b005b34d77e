"""MicroBT WhatsMiner bitcoin miners, over the local API of their stock firmware."""

from functools import partial
from typing import cast

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .api import Feature
from .commander import Commander
from .const import CONF_THERMOSTAT_SENSOR, DOMAIN
from .controls import IGNORED_ISSUES, drop_reported_settings
from .coordinator import WRONG_MINER, WhatsminerCoordinator
from .faults import REMEDIES, FaultLog
from .frontend import async_setup_frontend
from .group.entry import forget_member, is_controlled, is_group, member_entries
from .group.runtime import Group, GroupConfigEntry, release
from .heat.heating import ISSUES as HEATING_ISSUES, THERMOSTAT
from .heat.miner import MinerHeater
from .issues import delete_issues
from .money.learning import ISSUE as WORN, Learning
from .money.planner import Planner
from .power.executor import ISSUES as CURTAILMENT_ISSUES, PowerExecutor
from .power.external import External
from .power.follower import Follower
from .power.percent import ISSUE as PERCENT_RESTARTS, PercentWatch
from .power.target import PowerTarget
from .renamed import follow_renamed_entities
from .runtime import WhatsminerConfigEntry, WhatsminerData
from .services import async_setup_actions
from .store import MinerStore
from .write_access import ISSUE as WRITE_ACCESS, WriteAccess

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.CLIMATE,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.UPDATE,
]

GROUP_PLATFORMS = [
    Platform.CLIMATE,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SWITCH,
]

ISSUES = (
    *CURTAILMENT_ISSUES,
    *HEATING_ISSUES,
    WRONG_MINER,
    WRITE_ACCESS,
    PERCENT_RESTARTS,
    *IGNORED_ISSUES,
    WORN,
    *REMEDIES,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register what exists while no miner is connected: the actions and the dashboard."""
    async_setup_actions(hass)
    follow_renamed_entities(hass)
    await async_setup_frontend(hass)
    return True


async def async_setup_entry(
    hass: HomeAssistant, entry: WhatsminerConfigEntry | GroupConfigEntry
) -> bool:
    """Set up a miner or a group."""
    if is_group(entry):
        return await _async_setup_group(hass, cast(GroupConfigEntry, entry))
    return await _async_setup_miner(hass, cast(WhatsminerConfigEntry, entry))


async def _async_setup_group(hass: HomeAssistant, entry: GroupConfigEntry) -> bool:
    """Follow the miners of a group, and set up its entities; it needs none of them."""
    entry.runtime_data = group = Group(hass, entry)
    await group.async_load()
    group.start()
    if not group.heating:
        delete_issues(hass, entry, *HEATING_ISSUES)
    await hass.config_entries.async_forward_entry_setups(entry, GROUP_PLATFORMS)
    return True


async def _async_setup_miner(hass: HomeAssistant, entry: WhatsminerConfigEntry) -> bool:
    """Find the miner, read it once, and set up its entities."""
    coordinator = WhatsminerCoordinator(hass, entry)
    coordinator.add_observer(partial(drop_reported_settings, coordinator))
    try:
        await coordinator.async_config_entry_first_refresh()
    except ConfigEntryNotReady:
        if not coordinator.start_without_miner():
            raise
    commander = Commander(coordinator, WriteAccess(coordinator))
    entry.async_on_unload(commander.close)
    curtailment = PowerExecutor(commander)
    power_target = PowerTarget(commander, curtailment)
    follower = Follower(curtailment, partial(is_controlled, hass, entry.entry_id))
    learning = Learning(commander)
    heating = None
    if entry.options.get(CONF_THERMOSTAT_SENSOR) and coordinator.can(Feature.MINING):
        heater = MinerHeater(coordinator, curtailment, lambda: learning.levels)
        heating = heater.heating
    entry.runtime_data = data = WhatsminerData(
        coordinator=coordinator,
        commander=commander,
        curtailment=curtailment,
        power_target=power_target,
        external=External(coordinator.store, curtailment),
        follower=follower,
        fault_log=FaultLog(coordinator),
        learning=learning,
        planner=Planner(commander, curtailment, learning),
        heating=heating,
    )
    # After the runtime data is there: the reauth flow that this may start looks at it.
    await commander.write_access.async_start(budget=coordinator.end_setup())
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    data.learning.start()
    data.planner.start()
    if not entry.options.get(CONF_THERMOSTAT_SENSOR):
        data.curtailment.leave_source(THERMOSTAT)
        delete_issues(hass, entry, *HEATING_ISSUES)
    data.curtailment.start()
    data.fault_log.start()
    data.power_target.start()
    if heating:
        heating.start()
    PercentWatch(commander, data.power_target.note_percent_restart).start()
    return True


async def async_unload_entry(
    hass: HomeAssistant, entry: WhatsminerConfigEntry | GroupConfigEntry
) -> bool:
    """Remove the entities and store everything; between two exchanges no socket is open."""
    if is_group(entry):
        await cast(GroupConfigEntry, entry).runtime_data.store.async_save()
    platforms = GROUP_PLATFORMS if is_group(entry) else PLATFORMS
    unloaded = await hass.config_entries.async_unload_platforms(entry, platforms)
    if unloaded and not is_group(entry):
        data = cast(WhatsminerConfigEntry, entry).runtime_data
        await data.coordinator.store.async_close()
    if unloaded and entry.disabled_by:
        # A reload must not, or ignored ones would be shown again.
        delete_issues(hass, entry, *ISSUES)
    return unloaded


async def async_remove_entry(
    hass: HomeAssistant, entry: WhatsminerConfigEntry | GroupConfigEntry
) -> None:
    """Delete what is stored about a miner or group, and its repair issues."""
    forget_member(hass, entry.entry_id)
    if is_group(entry):
        release(member_entries(hass, entry))
    delete_issues(hass, entry, *ISSUES)
    await MinerStore(hass, entry.entry_id).async_remove()

"""MicroBT WhatsMiner bitcoin miners, over the local API of their stock firmware."""

from functools import partial

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN
from .controls import forget_what_is_read
from .coordinator import WhatsminerConfigEntry, WhatsminerCoordinator
from .faults import REMEDIES, FaultLog
from .frontend import async_setup_frontend
from .power.curtailment import ISSUES as CURTAILMENT_ISSUES, Curtailment
from .power.percent import ISSUE as PERCENT_RESTARTS, PercentWatch
from .power.target import PowerTarget
from .services import async_setup_actions
from .store import Memory

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
]

ISSUES = (
    "wrong_miner",
    "write_access",
    *CURTAILMENT_ISSUES,
    PERCENT_RESTARTS,
    *REMEDIES,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions and the dashboard, which exist while no miner is connected."""
    async_setup_actions(hass)
    await async_setup_frontend(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: WhatsminerConfigEntry) -> bool:
    """Find the miner, read it once, and set up its entities."""
    coordinator = WhatsminerCoordinator(hass, entry)
    coordinator.add_observer(partial(forget_what_is_read, coordinator.memory))
    try:
        await coordinator.async_config_entry_first_refresh()
    except ConfigEntryNotReady:
        if not coordinator.start_without_miner():
            raise
    entry.runtime_data = coordinator
    coordinator.curtailment = Curtailment(coordinator)
    coordinator.fault_log = FaultLog(coordinator)
    coordinator.power_target = PowerTarget(coordinator)
    if coordinator.last_update_success:
        await coordinator.async_check_write_access()
    coordinator.end_setup()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    coordinator.curtailment.start()
    coordinator.fault_log.start()
    coordinator.power_target.start()
    PercentWatch(coordinator, coordinator.power_target.note_percent_restart).start()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: WhatsminerConfigEntry) -> bool:
    """Take the entities away; between two exchanges no socket is open."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.memory.async_close()
    if unloaded and entry.disabled_by:
        _forget_issues(hass, entry)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: WhatsminerConfigEntry) -> None:
    """Forget what was remembered about the miner, and what was wrong with it."""
    _forget_issues(hass, entry)
    await Memory(hass, entry.entry_id).async_remove()


@callback
def _forget_issues(hass: HomeAssistant, entry: WhatsminerConfigEntry) -> None:
    """Take back what was wrong; a reload must not, or what was ignored would be shown again."""
    for kind in ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{kind}_{entry.entry_id}")

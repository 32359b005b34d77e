"""A fresh Home Assistant that only has this folder: add a miner by the forms, and use it.

What scripts/release --check runs, in the folder, so that nothing of the repository is in reach
but the package that is installed there.
"""

import asyncio
import logging
from pathlib import Path
import re
import sys

from homeassistant import bootstrap, loader
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntries,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.package import is_installed

DOMAIN = "whatsminer"
DEADLINE_S = 120


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    print(f"==> {text}", flush=True)


def expect(truth: bool, complaint: object) -> None:
    """End here if it is not so; an assert would be lost with python -O."""
    if not truth:
        sys.exit(f"error: {complaint}")


async def start(folder: Path) -> HomeAssistant:
    """Start Home Assistant without its user interface, voice and web server."""
    hass = HomeAssistant(str(folder))
    hass.config.skip_pip = True  # what is installed here stays as it is
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    ready = await bootstrap.async_load_base_functionality(hass)
    for domain in bootstrap.CORE_INTEGRATIONS:
        ready = ready and await async_setup_component(hass, domain, {})
    expect(ready, "Home Assistant itself did not start.")
    await async_process_ha_core_config(hass, {})
    await hass.async_start()
    return hass


async def add_miner(
    hass: HomeAssistant, ports: list[int], password: str
) -> ConfigFlowResult:
    """Fill in the forms that a person fills in: the address, then the account's password."""
    flow = hass.config_entries.flow
    form = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    expect(form.get("step_id") == "miner", f"No form asks for the address: {form}")
    address = {"host": "127.0.0.1", "port": ports[0], "v3_port": ports[1]}
    form = await flow.async_configure(form["flow_id"], address)
    expect(form.get("step_id") == "account", f"No form asks for the account: {form}")
    account = {"account": "super", "v3_password": password}
    return await flow.async_configure(form["flow_id"], account)


def entity_id(hass: HomeAssistant, entry: ConfigEntry, platform: str, key: str) -> str:
    """Find an entity by its key."""
    registry = er.async_get(hass)
    found = registry.async_get_entity_id(platform, DOMAIN, f"{entry.unique_id}_{key}")
    if found is None:
        sys.exit(f"error: It has no {platform} {key}.")
    return found


def state(hass: HomeAssistant, entity: str) -> str:
    """Read a state."""
    shown = hass.states.get(entity)
    return shown.state if shown else STATE_UNAVAILABLE


async def try_out(folder: Path, ports: list[int], password: str) -> None:
    """Check that Home Assistant finds and sets up the installed copy, and that the miner obeys it."""
    hass = await start(folder)
    try:
        integration = await loader.async_get_integration(hass, DOMAIN)
        expect(
            integration.file_path.is_relative_to(folder),
            f"Home Assistant found another one: {integration.file_path}",
        )
        for requirement in integration.requirements:
            expect(is_installed(requirement), f"{requirement} is not installed.")
        result = await add_miner(hass, ports, password)
        expect(result["type"] is FlowResultType.CREATE_ENTRY, f"Not added: {result}")
        await hass.async_block_till_done()
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        expect(entry.state is ConfigEntryState.LOADED, f"Not set up: {entry.reason}")
        power = state(hass, entity_id(hass, entry, "sensor", "power"))
        expect(
            re.fullmatch(r"\d{4}(\.\d+)?", power) is not None, f"It shows {power} W."
        )
        mining = entity_id(hass, entry, "switch", "mining")
        for action, wanted in (("turn_off", STATE_OFF), ("turn_on", STATE_ON)):
            await hass.services.async_call(
                "switch", action, {"entity_id": mining}, blocking=True
            )
            shown = state(hass, mining)
            expect(shown == wanted, f"After {action}, Mining is {shown}.")
        count = len(
            er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        )
        say(
            f"Version {integration.version} works in a fresh Home Assistant: "
            f"{entry.title} with {count} entities, stopped and started again"
        )
    finally:
        await hass.async_stop(force=True)


async def main(folder: Path, ports: list[int], password: str) -> None:
    """Do it, within a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        await try_out(folder, ports, password)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    path, *numbers, secret = sys.argv[1:]
    asyncio.run(main(Path(path).resolve(), [*map(int, numbers)], secret))

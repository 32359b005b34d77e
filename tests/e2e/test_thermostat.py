"""The thermostat card: who sets a target has the room follow."""

import asyncio
from collections.abc import AsyncIterator

from demo_config import HOST, THERMOSTAT, WORKSHOP
from playwright.async_api import expect
import pytest

from .house import House, simulate, until
from .pages import Person

CLIMATE = f"climate.{WORKSHOP.slug}_thermostat"
STATUS = f"sensor.{WORKSHOP.slug}_heating_status"
ROOM = THERMOSTAT["thermostat_sensor"]


@pytest.fixture
async def workshop(empty_house: House) -> AsyncIterator[House]:
    """A home with the miner of the workshop, whose thermostat holds what the room has."""
    house, home = empty_house, empty_house.home
    async with simulate(WORKSHOP) as miner:
        passwords = dict.fromkeys(("password", "v3_password"), WORKSHOP.password)
        await home.add_miner(HOST, miner.port, miner.v3_port or 4433, passwords)
        await home.set_thermostat(WORKSHOP.name, {}, THERMOSTAT)
        assert not await home.missing({CLIMATE, STATUS, ROOM})
        wanted = {"entity_id": CLIMATE, "hvac_mode": "heat", "temperature": 18}
        await home.post("/api/services/climate/set_temperature", wanted)
        await home.call("lovelace/dashboards/create", url_path="heated-room", title="W")
        card = {"type": "thermostat", "entity": CLIMATE}
        config = {"views": [{"title": "Workshop", "cards": [card]}]}
        await home.call("lovelace/config/save", url_path="heated-room", config=config)
        yield house
        await house.remove_miners()


async def degrees(house: House) -> float:
    """Read the temperature of the room."""
    return float(await house.state(ROOM) or 0)


async def test_the_room_follows(workshop: House, newcomer: Person) -> None:
    """Who sets a target on the card would stay cold."""
    house, page = workshop, newcomer.page
    await house.until_state(CLIMATE, "heat")
    before = await degrees(house)
    await page.goto("/heated-room/0")
    card = page.locator("hui-thermostat-card")
    await expect(card.locator("ha-state-control-climate-temperature")).to_be_visible()
    more = card.locator("ha-outlined-icon-button").last

    async def target() -> float:
        states = await house.home.get("/api/states")
        [shown] = [s for s in states if s["entity_id"] == CLIMATE]
        return float(shown["attributes"]["temperature"])

    async def is_set() -> bool:
        # The card forgets clicks if a new state comes before it has sent them; a person clicks again.
        for _ in range(round(2 * (22 - await target()))):
            await more.click()
        await asyncio.sleep(4)
        return await target() == 22

    await until(is_set, "the thermostat has the target of the card")
    await house.until_state(STATUS, "full_power")

    async def is_warmer() -> bool:
        return await degrees(house) > before + 0.2

    await until(is_warmer, "the room is warmer", 90)
    lines = [line for line in house.log.splitlines() if "whatsminer" in line]
    assert not [line for line in lines if "deprecated" in line]

"""Repairs, options, another address, diagnostics: what a person needs when something is to be changed."""

import json
from pathlib import Path
import re

from demo_config import HOST, MINERS, PRICES
from playwright.async_api import expect

from simulator import SimulatedMiner

from .house import House, simulate, until
from .pages import Person

NAME = MINERS[0].name
SLUG = MINERS[0].slug
# Home Assistant before 2026.10 shows the text of the integration, later ones their own.
MOVED = re.compile("The miner was reloaded|Reconfiguration was successful")


async def test_repair(house: House, person: Person) -> None:
    """Whoever finds the API switch off must be led to where it is, and be told when it is right."""
    house.miner.api_switch = False
    await house.reload(NAME)
    await house.until_state(f"binary_sensor.{SLUG}_write_access", "off")

    await person.open_repair(f"{NAME} does not accept commands")
    await person.sees("API switch is off")
    await person.sees("Under Remote Ctrl turn on Miner API Switch")
    await person.submit()  # too soon
    await person.sees("Under Remote Ctrl turn on Miner API Switch")
    house.miner.api_switch = True
    await person.submit()
    await expect(person.dialog.get_by_role("button", name="Submit")).to_have_count(0)
    await house.until_state(f"binary_sensor.{SLUG}_write_access", "on")
    await person.page.goto("/config/repairs")
    await expect(person.page.get_by_text("no repairs").first).to_be_visible()


async def test_options(house: House, person: Person) -> None:
    """Who names the price of electricity must get the sensors of cost; a wrong one must be told."""
    await person.open_options(NAME)
    prices = await person.unfold("Cost and revenue")
    await person.pick(
        prices.locator("ha-selector-entity").first, "Select an entity", "Hashprice"
    )
    await person.submit()
    await person.sees("which is not an electricity price")
    prices = await person.unfold("Cost and revenue")
    picker = prices.locator("ha-selector-entity").first
    await picker.get_by_role("button").last.click()  # takes it away
    await person.pick(picker, "Select an entity", "Electricity price")
    await person.dialog.get_by_role("spinbutton", name="Fixed hashprice").fill("0.05")
    await person.submit()
    await person.sees("Options successfully saved")
    assert not await house.home.missing({f"sensor.{SLUG}_margin_per_hour"})

    async def pays() -> bool:
        cost = await house.state(f"sensor.{SLUG}_cost_per_hour")
        return cost not in (None, "unknown", "unavailable") and float(cost) > 0

    await until(pays, "there is a cost")
    await person.open_options(NAME)
    prices = await person.unfold("Cost and revenue")
    await expect(prices).to_contain_text("Electricity price")
    assert PRICES["price_sensor"] == "sensor.electricity_price"


async def test_bounds_that_leave_nothing(house: House, person: Person) -> None:
    """Bounds the wrong way round must be refused in the form, not found out at the miner."""
    await person.open_options(NAME)
    await person.box("Lowest power limit").fill("3000")
    await person.box("Highest power limit").fill("2000")
    await person.submit()
    await person.sees("The highest power limit must be above the lowest")


async def test_another_address(house: House, person: Person) -> None:
    """A miner that has moved must be found again by its new address; another one must not be taken."""
    moved = simulate(MINERS[0])
    async with moved:
        await (await person.open_menu(NAME, "Reconfigure")).click()
        await person.sees("Enter the miner's new address")
        await person.box("Port").fill(str(house.miners[1].port))
        await person.submit()
        await person.sees("Another miner has the address")
        await person.box("Port").fill(str(moved.port))
        await person.submit()
        await person.sees(MOVED)
        await polled(moved)
        await house.until_state(f"sensor.{SLUG}_status", "mining")
        await (await person.open_menu(NAME, "Reconfigure")).click()
        await expect(person.box("Host")).to_have_value(HOST)
        await person.box("Port").fill(str(house.miner.port))
        await person.submit()
        await person.sees(MOVED)
    await house.until_state(f"sensor.{SLUG}_status", "mining")


async def polled(miner: SimulatedMiner) -> None:
    """Wait until the miner is asked for something, whatever the firmware calls it."""
    miner.commands.clear()
    await until(lambda: miner.commands, "the miner is asked at its new address")


async def test_diagnostics(house: House, person: Person, tmp_path: Path) -> None:
    """What is attached to an issue must have the miner's words, and no secret of its owner."""
    item = await person.open_menu(NAME, "Download diagnostics")
    async with person.page.expect_download() as download:
        await item.click()
    target = tmp_path / "diagnostics.json"
    await (await download.value).save_as(target)
    text = target.read_text()
    assert json.loads(text)["data"]
    assert "20230803.11.REL" in text
    truth = house.miner.truth()
    for secret in (
        MINERS[0].password,
        MINERS[0].mac.lower(),
        MINERS[0].mac.upper(),
        *(pool.user for pool in truth.pools),
    ):
        assert secret not in text

"""From an empty Home Assistant to a miner that obeys, as a person does it the first time."""

from collections.abc import Callable
import time

from demo_config import HOST, MINERS
from playwright.async_api import expect

from .house import House, until
from .pages import Person

NAME = MINERS[0].name
SLUG = MINERS[0].slug


async def test_wrong_password_first(empty_house: House, newcomer: Person) -> None:
    """Who mistypes the password must read what to do, correct it there, and have a working miner."""
    miner = empty_house.miner
    await newcomer.begin_to_add(miner.port, 1)
    await newcomer.sees("Allow commands to the M50")
    await newcomer.give_password("not-the-password")
    await newcomer.sees("does not accept this admin password")
    await newcomer.sees("Enter the password that WhatsMinerTool")
    await newcomer.give_password(MINERS[0].password)
    await newcomer.finish()
    assert await empty_house.home.get(
        "/api/config/config_entries/entry?domain=whatsminer"
    )

    await newcomer.open_device(NAME)
    page = newcomer.page.locator("ha-config-device-page")
    await expect(page).to_contain_text("WhatsMiner M50")
    await expect(newcomer.row("switch", NAME)).to_be_visible()
    assert "not-the-password" not in empty_house.log
    assert MINERS[0].password not in empty_house.log


async def test_the_same_miner_twice(empty_house: House, newcomer: Person) -> None:
    """Who adds a miner again must be told so and not have everything twice."""
    await newcomer.begin_to_add(empty_house.miner.port, 1)
    await newcomer.sees("This miner is already set up.")


async def test_nobody_answers(empty_house: House, newcomer: Person) -> None:
    """A wrong address must be told in a sentence, with what was typed still there to correct."""
    await newcomer.begin_to_add(1, 1)
    await newcomer.sees("No device responds at 127.0.0.1.")
    await expect(newcomer.box("Port")).to_have_value("1")


async def test_switch_off_and_on(empty_house: House, newcomer: Person) -> None:
    """Whoever switches mining off must have a miner that really stops, and starts again."""
    miner = empty_house.miner
    await newcomer.open_device(NAME)
    await newcomer.toggle(NAME)
    await until(lambda: not miner.truth().mining, "the miner stopped")
    await empty_house.until_state(f"switch.{SLUG}", "off")
    await empty_house.until_state(f"sensor.{SLUG}_status", "stopped")
    page = newcomer.page.locator("ha-config-device-page")
    await expect(page.get_by_text("Stopped").first).to_be_visible()
    assert miner.applied.count("power_off") == 1

    await newcomer.toggle(NAME)
    await until(lambda: miner.truth().mining, "the miner mines")
    await empty_house.until_state(f"switch.{SLUG}", "on")
    assert miner.applied.count("power_on") == 1


async def test_first_minute(
    empty_house: House,
    newcomer: Person,
    record_property: Callable[[str, object], None],
) -> None:
    """From an empty Home Assistant to a finished dashboard: a minute, and no YAML."""
    await empty_house.clear()
    page, miner = newcomer.page, empty_house.miner
    begun = time.monotonic()
    await page.goto("/config/integrations/dashboard")
    await page.get_by_role("button", name="Add integration").click()
    dialog = page.locator("dialog-add-integration")
    await dialog.get_by_placeholder("Search for a brand name").fill("whatsminer")
    await dialog.get_by_text("WhatsMiner", exact=True).click()
    await newcomer.box("Host").fill(HOST)
    await newcomer.box("Port").fill(str(miner.port))
    await newcomer.submit()
    await newcomer.give_password(MINERS[0].password)
    await newcomer.finish()
    await newcomer.add_dashboard()
    await page.get_by_role("link", name="WhatsMiner").click()
    await expect(newcomer.section(NAME)).to_be_visible()
    took = time.monotonic() - begun
    record_property("first_minute_s", round(took, 1))
    await newcomer.sees_all_is_well()
    assert took < 60

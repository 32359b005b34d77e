"""The page of a miner: every control does to the miner what it says."""

from demo_config import MINERS, PRICES
from playwright.async_api import expect
import pytest

from .house import House, until
from .pages import Person

NAME = MINERS[0].name
SLUG = MINERS[0].slug


async def settled(house: House) -> None:
    """Have the miner tuned, so that one test does not disturb the next."""
    house.miner.tune()
    await house.poll(f"sensor.{SLUG}_status")
    await house.until_state(f"sensor.{SLUG}_status", "mining")


async def test_answers_the_first_questions(house: House, person: Person) -> None:
    """Is it well, what does it cost, what can I do: without scrolling on an ordinary screen."""
    await house.home.set_prices(PRICES)
    assert not await house.home.missing({f"sensor.{SLUG}_margin_per_hour"})
    await person.open_device(NAME)
    await expect(person.row("switch", NAME)).to_be_in_viewport()
    for name in ("Power percent", "Power target"):
        await expect(person.row("number", name)).to_be_in_viewport()
    for name in ("Fault", "Hashrate", "Margin per hour"):
        await expect(person.row("sensor", name)).to_be_in_viewport(ratio=1)


async def test_box(house: House, person: Person) -> None:
    """Who types a power limit must have it in the miner, to the watt."""
    await settled(house)
    await person.open_device(NAME)
    await person.enter("Power limit", 3000)
    await until(lambda: house.miner.truth().power_limit_w == 3000, "3000 W at most")
    await house.until_state(f"number.{SLUG}_power_limit", "3000")
    await settled(house)


async def test_slider(house: House, person: Person) -> None:
    """Who slides the power target down must see the miner draw less."""
    await settled(house)
    await person.open_device(NAME)
    before = house.miner.truth().power_w
    await person.slide("Power target", 0.6)
    await until(lambda: house.miner.truth().power_w < before - 200, "it draws less")
    target = float(await house.state(f"number.{SLUG}_power_target") or 0)
    await until(
        lambda: abs(house.miner.truth().power_w - target) < 150,
        f"it draws about {target:g} W",
    )


async def test_select(house: House, person: Person) -> None:
    """Who chooses a power mode must have the miner work in it."""
    await settled(house)
    await person.open_device(NAME)
    await person.choose("Power mode", "Low")
    await until(lambda: house.miner.truth().power_mode == "low", "low power mode")
    await house.until_state(f"select.{SLUG}_power_mode", "low")
    await settled(house)


async def test_setting(house: House, person: Person) -> None:
    """A switch under Configuration must set the miner as well."""
    await settled(house)
    await person.open_device(NAME)
    await person.toggle("Fast boot")
    await until(lambda: house.miner.truth().fast_boot, "fast boot is on")
    await house.until_state(f"switch.{SLUG}_fast_boot", "on")


@pytest.mark.parametrize(
    ("button", "command"),
    [
        ("Identify", "set_led"),
        ("Restart mining process", "restart_btminer"),
        ("Reboot", "reboot"),
    ],
)
async def test_buttons(house: House, person: Person, button: str, command: str) -> None:
    """Who presses a button must have it done, and done once."""
    await settled(house)
    await person.open_device(NAME)
    before = house.miner.applied.count(command)
    await person.press(button)
    await until(
        lambda: house.miner.applied.count(command) > before, f"{command} was done"
    )
    await settled(house)
    if command != "set_led":  # which blinks with one and goes back with another
        assert house.miner.applied.count(command) == before + 1


async def test_by_phone(house: House, passer_by: Person) -> None:
    """Who is not at home must be able to stop the miner with a thumb, and see all of the page."""
    await settled(house)
    await passer_by.open_device(NAME)
    await passer_by.sees_it_fits()
    await passer_by.toggle(NAME)
    await until(lambda: not house.miner.truth().mining, "the miner stopped")
    await house.until_state(f"sensor.{SLUG}_status", "stopped")
    await passer_by.toggle(NAME)
    await until(lambda: house.miner.truth().mining, "the miner mines")
    await settled(house)


async def test_command_that_fails(house: House, person: Person) -> None:
    """When the miner refuses, the person must read why, and see the switch as the miner is."""
    await settled(house)
    house.miner.refuse["power_off"] = 14
    await person.open_device(NAME)
    await person.toggle(NAME)
    await expect(person.page.locator("notification-manager")).to_contain_text(
        "does not support the command power_off"
    )
    await expect(person.row("switch", NAME).get_by_role("switch")).to_be_checked()
    assert house.miner.truth().mining
    house.miner.refuse.clear()

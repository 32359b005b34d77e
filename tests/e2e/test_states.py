"""The page of a miner that is curtailed, refuses a command, restarts or is offline, in two languages."""

import asyncio

from demo_config import MINERS
from playwright.async_api import Locator, expect

from .house import House, until
from .pages import Person, sit_down
from .test_device import settled

NAME, SLUG = MINERS[0].name, MINERS[0].slug
RESTART = {"entity_id": f"button.{SLUG}_restart_mining_process"}


def page_of(person: Person) -> Locator:
    """Return the page of the device."""
    return person.page.locator("ha-config-device-page")


async def see(people: list[Person], *words: str) -> None:
    """Have each read a text in his language."""
    for person, text in zip(people, words, strict=True):
        await expect(page_of(person)).to_contain_text(text)


async def test_states(house: House) -> None:
    """The owner of a miner that is off must be able to read why, in his own language."""
    await settled(house)
    people = [
        await sit_down(house, language="en"),
        await sit_down(house, language="de"),
    ]
    device = await house.device_id(NAME)
    for person in people:
        await person.page.goto(f"/config/devices/device/{device}")
    await see(people, "Connected", "Verbunden")

    target = {"device_id": device}
    curtailment = {"target": "stop", "reason": "Grid call"} | target
    await house.home.post("/api/services/whatsminer/curtail", curtailment)
    await see(people, "Stopped", "Gestoppt")
    await see(people, "Grid call", "Grid call")
    await house.home.post("/api/services/whatsminer/resume", target)
    await settled(house)

    house.miner.refuse["power_off"] = 14
    for person, words in zip(
        people, ("does not support the command", "kennt den Befehl"), strict=True
    ):
        await person.toggle(NAME)
        toast = person.page.locator("notification-manager")
        await expect(toast).to_contain_text(words)
    house.miner.refuse.clear()

    before = house.miner.applied.count("restart_btminer")
    press = "/api/services/button/press"
    restart = asyncio.create_task(house.home.post(press, RESTART))
    await until(
        lambda: house.miner.applied.count("restart_btminer") > before, "it restarts"
    )
    house.miner.inject("refuse")
    await see(people, "Restarting", "Startet neu")  # codespell:ignore startet
    house.miner.clear_failures()
    await restart
    await settled(house)

    house.miner.inject("refuse")
    for _ in range(2):  # one missed poll is forgiven
        await house.poll(f"sensor.{SLUG}_status")
    await see(people, "Disconnected", "Getrennt")
    await see(people, "Unavailable", "Nicht verfügbar")
    house.miner.clear_failures()
    await settled(house)
    await see(people, "Connected", "Verbunden")

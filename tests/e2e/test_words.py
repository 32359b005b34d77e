"""What a person reads while a miner is curtailed, refuses, restarts and is offline, in two languages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
import re

from demo_config import MINERS
from playwright.async_api import Locator, expect
import pytest

from simulator import Phase

from .house import House, until
from .pages import Person, sit_down

NAME, SLUG, VIEW = MINERS[0].name, MINERS[0].slug, MINERS[0].view
STATUS = f"sensor.{SLUG}_status"
REASON = "Peak price"


@dataclass(frozen=True, kw_only=True)
class Words:
    """What is read in a language."""

    language: str
    curtailment: tuple[str, str]
    """The name of an entity, and its state."""
    curtailment_reason: str
    decided_by: tuple[str, str]
    curtailed: str
    """In the logbook."""
    refused: str
    confirm: str
    restarting: str
    connectivity: tuple[str, str]
    offline_reason: str
    unavailable: str
    no_target: str


ENGLISH = Words(
    language="en",
    curtailment=("Curtailment", "Stopped"),
    curtailment_reason="Curtailment reason",
    decided_by=("Power decided by", "Curtailment"),
    curtailed=f"stopped: {REASON}",
    refused="does not support the command power_off",
    confirm="Restart the mining process?",
    restarting="Restarting",
    connectivity=("Connectivity", "Disconnected"),
    offline_reason="No device responds at its address",
    unavailable="Unavailable",
    no_target="Not set",
)
GERMAN = Words(
    language="de",
    curtailment=("Abregelung", "Gestoppt"),
    curtailment_reason="Grund der Abregelung",
    decided_by=("Leistung bestimmt durch", "Abregelung"),
    curtailed=f"gestoppt: {REASON}",
    refused="kennt den Befehl power_off nicht",
    confirm="Mining-Prozess neu starten?",
    restarting="Startet neu",
    connectivity=("Konnektivität", "Getrennt"),
    offline_reason="Unter der Adresse antwortet kein Gerät",
    unavailable="Nicht verfügbar",
    no_target="Nicht gesetzt",
)


@pytest.fixture(params=[ENGLISH, GERMAN], ids=lambda words: words.language)
async def words(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Words]:
    """The words of a home in which all speak a language."""
    words: Words = request.param
    await speak(house, words.language)
    await mines(house)
    yield words
    house.miner.clear_failures()
    house.miner.refuse.clear()
    await speak(house, ENGLISH.language)
    await mines(house)


@pytest.fixture
async def reader(house: House, words: Words) -> AsyncIterator[Person]:
    """A person who reads that language."""
    yield await sit_down(house, language=words.language)
    await house.close_pages()


async def speak(house: House, language: str) -> None:
    """Change the language of the home, which names the entities and writes the logbook."""
    await house.home.call("config/core/update", language=language)
    await house.reload(NAME)


async def mines(house: House) -> None:
    """Have the miner mine, and read."""
    house.miner.tune()
    await house.poll(STATUS)
    await house.until_state(STATUS, "mining")


async def open_device(person: Person) -> None:
    """Go to the page of the miner, whatever its headings are."""
    device = await person.house.device_id(NAME)
    await person.page.goto(f"/config/devices/device/{device}")
    await expect(person.row("switch", NAME)).to_be_visible()


async def open_view(person: Person) -> None:
    """Go to the view of the miner on the dashboard."""
    await person.open_dashboard(VIEW)
    await person.mark_tiles()


async def look_closer(person: Person, entity_id: str) -> Locator:
    """Click on a tile, and return the dialog with what else is known."""
    await person.mark_tiles()
    await person.tile(entity_id).click()
    more = person.page.locator("ha-more-info-dialog")
    await expect(more.locator("ha-more-info-info")).to_be_visible()
    return more


async def curtail(house: House) -> None:
    """Stop the miner for a reason."""
    device = {"device_id": await house.device_id(NAME)}
    action = "/api/services/whatsminer/curtail"
    await house.home.post(action, device | {"target": "stop", "reason": REASON})
    await house.until_state(STATUS, "stopped")


async def test_curtailed(house: House, reader: Person, words: Words) -> None:
    """The owner would not learn why the miner does not mine, and when it continues."""
    await curtail(house)
    await open_device(reader)
    name, state = words.curtailment
    await expect(reader.row("sensor", name)).to_contain_text(state)
    name, state = words.decided_by
    await expect(reader.row("sensor", name)).to_contain_text(state)
    row = reader.row("sensor", words.curtailment_reason)
    await expect(row).to_contain_text(REASON)
    logbook = reader.page.locator("ha-config-device-page ha-logbook")
    await expect(logbook).to_contain_text(words.curtailed)

    await open_view(reader)
    tile = reader.tile(f"sensor.{SLUG}_curtailment")
    await expect(tile).to_contain_text(words.curtailment[1])
    tile = reader.tile(f"sensor.{SLUG}_curtailment_reason")
    await expect(tile).to_contain_text(REASON)
    more = await look_closer(reader, f"sensor.{SLUG}_curtailment")
    await expect(more).to_contain_text(words.curtailment[1])
    await reader.page.keyboard.press("Escape")

    resume = reader.tile(f"button.{SLUG}_resume")
    await resume.get_by_role("button").last.click()
    await until(lambda: house.miner.truth().mining, "the miner mines")
    await expect(tile).not_to_be_visible()


async def test_no_power_target(house: House, reader: Person, words: Words) -> None:
    """An *Unknown* beside an empty slider looks broken, and a slider that goes away loses the keyboard."""
    percent = {"entity_id": f"number.{SLUG}_power_percent", "value": 100}
    await house.home.post("/api/services/number/set_value", percent)
    entry = await house.add_group("Barn", 1)
    states = [one["entity_id"] for one in await house.home.get("/api/states")]
    [of_group] = [one for one in states if one.startswith("number.barn_")]
    of_miner = f"number.{SLUG}_power_target"
    for view, entity in ((VIEW, of_miner), ("overview", of_group)):
        await house.until_state(entity, "unknown")
        await reader.open_dashboard(view)
        await reader.mark_tiles()
        tile = reader.tile(entity)
        shown = tile.locator("ha-tile-info")
        await expect(shown).to_contain_text(words.no_target)
        slider = tile.get_by_role("slider")
        await slider.focus()
        await slider.press("End")
        await expect(shown).to_contain_text(re.compile(r"\d[.,]?\d{3}\sW"))
        await expect(shown).not_to_contain_text(words.no_target)
        await slider.press("PageDown")
        await expect(slider).to_be_focused()
    await house.remove(entry)


async def test_refused(house: House, reader: Person, words: Words) -> None:
    """Who stops a miner in vain would not learn why."""
    house.miner.refuse["power_off"] = 14
    await open_device(reader)
    await reader.toggle(NAME)
    toast = reader.page.locator("notification-manager")
    await expect(toast).to_contain_text(words.refused)
    await expect(reader.row("switch", NAME).get_by_role("switch")).to_be_checked()
    assert house.miner.truth().mining


async def test_restarting(house: House, reader: Person, words: Words) -> None:
    """A miner that restarts would look like one that is broken."""
    await open_view(reader)
    house.miner.clock.hold()
    command = "restart_btminer"
    before = house.miner.applied.count(command)
    await reader.tile(f"button.{SLUG}_restart_mining_process").click()
    dialog = reader.page.locator("dialog-box")
    await expect(dialog).to_contain_text(words.confirm)
    await reader.confirm("OK")
    await until(lambda: house.miner.applied.count(command) > before, command)
    house.miner.clock.run()  # from where it stands
    house.miner.hold_in(Phase.BTMINER_DOWN)
    await house.poll(STATUS)
    badges = reader.page.locator("hui-view-badges")
    await expect(badges).to_contain_text(words.restarting)
    await open_device(reader)
    await expect(reader.row("sensor", "Status")).to_contain_text(words.restarting)
    await mines(house)
    await expect(reader.row("sensor", "Status")).to_contain_text("Mining")


async def test_offline(house: House, reader: Person, words: Words) -> None:
    """The owner would not learn that the miner is offline, and what to look for."""
    await open_view(reader)
    house.miner.inject("refuse")
    for _ in range(2):  # one missed poll is forgiven
        await house.poll(STATUS)
    connectivity = f"binary_sensor.{SLUG}_connectivity"
    await house.until_state(connectivity, "off")
    name, state = words.connectivity
    tile = await reader.tile_that_comes(connectivity)
    for text in (name, state, words.offline_reason):
        await expect(tile).to_contain_text(text)
    more = await look_closer(reader, connectivity)
    await expect(more).to_contain_text(state)
    await open_device(reader)
    await expect(reader.row("sensor", "Status")).to_contain_text(words.unavailable)
    await expect(reader.row("simple", name)).to_contain_text(state)

"""The dashboards that are offered: every card shows something, also on a phone."""

from demo_config import MINERS, PRICES
from playwright.async_api import expect
import pytest

from .house import House
from .pages import Person

VIEWS = ["fleet", *(miner.slug for miner in MINERS)]


@pytest.fixture(scope="module")
async def house(empty_house: House) -> House:
    """A home with both miners and prices."""
    for number in range(len(MINERS)):
        await empty_house.add_miner(number)
    await empty_house.home.set_prices(PRICES)
    wanted = {f"sensor.{miner.slug}_margin_per_hour" for miner in MINERS}
    assert not await empty_house.home.missing(wanted)
    return empty_house


@pytest.mark.parametrize("view", VIEWS)
async def test_every_card(house: House, person: Person, view: str) -> None:
    """Who copies the dashboard must not meet cards that only say that something is missing."""
    await person.open_dashboard(view)
    await expect(person.page.get_by_text("Power and price")).to_be_visible()
    await expect(person.page.locator("canvas").first).to_be_visible()
    await person.sees_no_errors()


@pytest.mark.parametrize("view", VIEWS)
async def test_by_phone(house: House, passer_by: Person, view: str) -> None:
    """On a phone the same cards must stand one above the other."""
    await passer_by.open_dashboard(view)
    await expect(passer_by.page.get_by_text("Power and price")).to_be_visible()
    await passer_by.sees_no_errors()
    await passer_by.sees_it_fits()


async def test_missing_entity_is_seen(house: House, person: Person) -> None:
    """The tests above would be green for ever if such a card were not found."""
    state = f"sensor.{MINERS[0].slug}_power"
    update = "config/entity_registry/update"
    await house.home.call(update, entity_id=state, disabled_by="user")
    await house.until_state(state, None)
    await person.open_dashboard("fleet")
    with pytest.raises(AssertionError):
        await person.sees_no_errors(patience=2)
    await house.home.call(update, entity_id=state, disabled_by=None)
    await house.reload(MINERS[0].name)
    assert not await house.home.missing({state})


async def test_faults_in_words(house: House, person: Person) -> None:
    """When a miner is ill, the dashboard must say what it has, not only that it has something."""
    miner = house.miners[0]
    miner.set_errors([540])
    await house.reload(MINERS[0].name)
    await house.until_state(f"binary_sensor.{MINERS[0].slug}_problem", "on")
    fault = await house.state(f"sensor.{MINERS[0].slug}_fault")
    assert fault
    for view in VIEWS[:2]:
        await person.open_dashboard(view)
        await expect(
            person.page.locator("hui-markdown-card").get_by_text(fault)
        ).to_be_visible()
    miner.set_errors([])

"""What an owner sees first: a miner that was added a moment ago, without prices and without history."""

from collections.abc import AsyncIterator
import json

from demo_config import DASHBOARD, HOST, ROOT
from playwright.async_api import expect
import pytest

from simulator import PROFILES, Phase

from .house import House, Miner
from .pages import Person, sit_down
from .values import shows_truth

TRANSLATIONS = ROOT / "custom_components" / "whatsminer" / "translations"
WINDOWS = (
    ("en", {"width": 1280, "height": 1080}),
    ("de", {"width": 320, "height": 640}),
    ("zh-Hans", {"width": 390, "height": 844}),
)
PASSWORD = "admin1"


def text(key: str, language: str) -> str:
    """Return a text of the dashboard."""
    texts = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    return str(texts["common"][key])


@pytest.fixture(scope="module")
async def windows(empty_house: House) -> AsyncIterator[dict[str, Person]]:
    """Three who look at a dashboard that has no miner, each in another language and on another screen."""
    await (
        empty_house.add_miner()
    )  # Home Assistant loads the integration with its first miner
    await empty_house.remove_miners()
    people = {
        language: await sit_down(empty_house, language=language, size=size)
        for language, size in WINDOWS
    }
    yield people
    await empty_house.close_pages()


@pytest.mark.long
@pytest.mark.parametrize("profile", sorted(PROFILES))
async def test_just_added(
    empty_house: House, windows: dict[str, Person], profile: str
) -> None:
    """A miner that was just added must be on an open page, without an error and without a wrong number."""
    for language, person in windows.items():
        if not await person.page.locator("hui-root").count():
            await person.page.goto(f"/{DASHBOARD}/overview")
        nothing = person.page.get_by_text(text("no_miners", language))
        await expect(nothing).to_be_visible()
        await person.sees_all_is_well()
    async with Miner(profile, mac="CA:02:14:00:02:01", password=PASSWORD) as miner:
        miner.hold_in(Phase.STABLE)
        passwords = dict.fromkeys(("password", "v3_password"), PASSWORD)
        await empty_house.home.add_miner(
            HOST, miner.port, miner.v3_port or 1, passwords
        )
        for language, person in windows.items():
            await expect(person.page.locator("whatsminer-boards")).to_be_visible()
            views = await person.page.locator("hui-root").evaluate(
                "root => root.lovelace.config.views.map(view => view.path)"
            )
            assert len(views) == 2
            for view in views:
                await person.open_dashboard(view)
                await person.sees_all_is_well()
            assert await person.page.evaluate("look.strangers()") == []
            no_prices = person.page.get_by_text(text("no_prices", language))
            await expect(no_prices).to_be_visible()
            if language == "en":
                await shows_truth(person, miner)
            await person.open_dashboard("overview")
        await empty_house.remove_miners()

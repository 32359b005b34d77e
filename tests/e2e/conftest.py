"""One Home Assistant and one browser for all, emptied for each module, and a window for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import expect
import pytest

from .house import DEADLINE_S, PHONE, House, miners_of, open_house
from .pages import Person, sit_down

FOUND = Path(__file__).parent / ".found"
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=DEADLINE_S * 1000)


@pytest.fixture(scope="session")
async def started_house(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """A Home Assistant that is started once for all tests."""
    async with open_house(tmp_path_factory.mktemp("config")) as house:
        yield house


@pytest.fixture(scope="module")
async def empty_house(started_house: House) -> AsyncIterator[House]:
    """A Home Assistant as somebody has just installed it, and miners that nobody has added."""
    async with miners_of(started_house):
        yield started_house
        await started_house.clear()


@pytest.fixture(scope="module")
async def house(empty_house: House) -> House:
    """The same, with the first miner added."""
    await empty_house.add_miner()
    return empty_house


@pytest.fixture
async def newcomer(
    empty_house: House, request: pytest.FixtureRequest
) -> AsyncIterator[Person]:
    """Somebody who has not added anything yet."""
    async for person in at_window(empty_house, request, {}):
        yield person


@pytest.fixture
async def person(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Person]:
    """Somebody at a desk."""
    async for person in at_window(house, request, {}):
        yield person


@pytest.fixture
async def passer_by(
    house: House, request: pytest.FixtureRequest
) -> AsyncIterator[Person]:
    """Somebody with a phone."""
    phone = {"size": PHONE, "has_touch": True, "is_mobile": True}
    async for person in at_window(house, request, phone):
        yield person


async def at_window(
    house: House, request: pytest.FixtureRequest, options: dict
) -> AsyncIterator[Person]:
    """Open a window for a test, and keep what was seen last when the test fails."""
    person = await sit_down(house, **options)
    yield person
    if request.node.stash.get(FAILED, True):
        FOUND.mkdir(exist_ok=True)
        await person.page.screenshot(path=FOUND / f"{request.node.name}.png")
        text = await person.page.locator("body").aria_snapshot()
        (FOUND / f"{request.node.name}.txt").write_text(f"{text}\n\n{house.log}")
    for miner in house.miners:
        miner.clock.run()
    await house.close_pages()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Let fixtures know how the test went."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report

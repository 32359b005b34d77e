"""The dashboard that builds itself: every miner, language and state, and all that it controls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
import json
import re

from demo_config import DASHBOARD, HOST, MINERS, PRICES, ROOT
from playwright.async_api import expect
import pytest

from simulator import PROFILES, SimulatedMiner

from .house import PHONE, House, until
from .pages import Person, sit_down

NAME, SLUG, VIEW = MINERS[0].name, MINERS[0].slug, MINERS[0].view
OTHERS = sorted(PROFILES.keys() - {miner.profile for miner in MINERS})
ENDS = {miner.profile: miner.name[-4:].lower() for miner in MINERS} | {
    profile: f"01{number:02x}" for number, profile in enumerate(OTHERS)
}
"""How the names of the miners end: with their MAC."""
PASSWORD = "admin1"
THUMB = {"size": PHONE, "has_touch": True, "is_mobile": True}
WAYS = {"desktop": {}, "phone": THUMB}
FLEET = 20
FRESH = 12
TRANSLATIONS = ROOT / "custom_components" / "whatsminer" / "translations"


def text(key: str, language: str = "en") -> str:
    """Return a text of the dashboard."""
    texts = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    return str(texts["common"][key])


async def add_miner(
    house: House, stack: AsyncExitStack, profile: str, number: int, password: str
) -> SimulatedMiner:
    """Start another miner and add it."""
    miner = SimulatedMiner(
        profile,
        mac=f"CA:02:14:00:01:{number:02X}",
        password=PASSWORD,
        v3_password=PASSWORD,
        speed=60,
    )
    await stack.enter_async_context(miner)
    passwords = dict.fromkeys(("password", "v3_password"), password)
    await house.home.add_miner(HOST, miner.port, miner.v3_port or 1, passwords)
    return miner


@pytest.fixture(scope="module")
async def house(empty_house: House) -> AsyncIterator[House]:
    """A home with one miner of each profile; the last can only be read, two have prices."""
    async with AsyncExitStack() as stack:
        for number in range(len(MINERS)):
            await empty_house.add_miner(number)
        await empty_house.home.set_prices(PRICES)
        for number, profile in enumerate(OTHERS):
            password = "" if profile == "v205_m56s" else PASSWORD
            miner = await add_miner(empty_house, stack, profile, number, password)
            empty_house.miners.append(miner)
        wanted = {f"sensor.{miner.slug}_margin_per_hour" for miner in MINERS}
        assert not await empty_house.home.missing(wanted)
        yield empty_house
        await empty_house.remove_miners()


@pytest.fixture(scope="module")
async def fleet(house: House) -> AsyncIterator[House]:
    """The same with so many miners that they become a list."""
    async with AsyncExitStack() as stack:
        for number in range(len(PROFILES), FLEET):
            await add_miner(house, stack, "v205_m50", 0x20 + number, PASSWORD)
        yield house


async def views(person: Person) -> list[str]:
    """Open the overview, and return the paths of all views."""
    await person.open_dashboard("overview")
    paths: list[str] = await person.page.locator("hui-root").evaluate(
        "root => root.lovelace.config.views.map(view => view.path)"
    )
    return paths


async def sees_all_is_well(person: Person) -> None:
    """See that no card complains, nothing is cut off, and no text is left out."""
    await person.sees_no_errors()
    await person.sees_it_fits()
    for odd in ("undefined", "[object", "NaN"):
        await expect(person.page.locator("hui-view").get_by_text(odd)).to_have_count(0)


async def settled(house: House) -> None:
    """Wait until the miner has tuned."""
    await until(lambda: house.miner.truth().hash_stable, "the miner is tuned")
    await house.poll(f"sensor.{SLUG}_status")
    await house.until_state(f"sensor.{SLUG}_status", "mining")


async def test_add_it(house: House, person: Person) -> None:
    """A newcomer must have a finished dashboard with a few clicks and without YAML."""
    page = person.page
    await page.goto("/config/lovelace/dashboards")
    await page.get_by_role("button", name="Add dashboard").click()
    await page.get_by_text("All your miners").first.click()
    title = page.get_by_role("textbox", name="Title")
    await expect(title).to_have_value("WhatsMiner")
    await page.get_by_role("button", name="Create").click()
    await until_dashboard(house, "dashboard-whatsminer")
    await expect(page.get_by_role("row", name="WhatsMiner")).to_be_visible()
    await expect(page.get_by_role("button", name="Create")).to_have_count(0)
    await page.goto("/dashboard-whatsminer")
    await expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    await sees_all_is_well(person)

    await page.get_by_role("button", name="Edit dashboard").click()
    editor = page.locator("whatsminer-strategy-editor")
    await editor.locator("ha-switch").first.click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("hui-history-graph-card")).to_have_count(0)
    stored = await house.home.call("lovelace/config", url_path="dashboard-whatsminer")
    assert stored["strategy"] == {
        "type": "custom:whatsminer",
        "graphs": False,
        "hours": 24,
    }


async def until_dashboard(house: House, path: str) -> None:
    """Wait until a dashboard is stored."""

    async def there() -> bool:
        listed = await house.home.call("lovelace/dashboards/list")
        return any(dashboard["url_path"] == path for dashboard in listed)

    await until(there, f"the dashboard {path} is there")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", ["en", "de", "zh-Hans"])
async def test_every_miner(house: House, language: str, way: str) -> None:
    """No profile, language or screen may have a card that cannot show what it should."""
    person = await sit_down(house, language=language, **WAYS[way])
    paths = await views(person)
    assert len(paths) == 1 + len(PROFILES)
    for path in paths:
        await person.open_dashboard(path)
        await expect(
            person.page.get_by_text(
                text("all_miners" if path == "overview" else "health", language),
                exact=True,
            ).first
        ).to_be_visible()
        await sees_all_is_well(person)
    await house.close_pages()


@pytest.mark.parametrize("profile", PROFILES)
async def test_values(house: House, person: Person, profile: str) -> None:
    """A number on the dashboard must be that of the miner: money depends on it."""
    [miner] = [miner for miner in house.miners if miner.profile.name == profile]
    [path] = [path for path in await views(person) if path.endswith(ENDS[profile])]
    await person.open_dashboard(path)
    await expect(person.page.locator("hui-tile-card").first).to_be_visible()
    shown = await person.mark_tiles()
    states = {
        state["entity_id"]: state["state"]
        for state in await house.home.get("/api/states")
    }
    numbers = 0
    for entity_id, words in shown.items():
        found = re.search(r"\n-?[\d,]+(\.\d+)?", words)
        if found and entity_id.startswith(("sensor.", "number.")):
            value = float(found[0].replace(",", ""))
            number = re.match(r"-?[\d.]+$", states[entity_id])
            if number:
                assert value == pytest.approx(float(number[0]), rel=0.03, abs=1), (
                    entity_id
                )
                numbers += 1
    assert numbers > 4
    power = next(words for key, words in shown.items() if key.endswith("_power"))
    found = re.search(r"[\d,.]+(?= W)", power)
    assert found
    watts = float(found[0].replace(",", ""))
    assert watts == pytest.approx(miner.truth().power_w, rel=0.1)


async def test_boards(house: House, person: Person) -> None:
    """Each board must be shown as itself, or its owner opens the wrong place."""
    await settled(house)
    await person.open_dashboard(VIEW)
    cells = person.page.locator("whatsminer-boards button")
    truth = house.miner.truth().boards
    await expect(cells).to_have_count(len(truth))
    for slot, shown in enumerate(await cells.all_inner_texts()):
        name, temperature, hashrate = [line for line in shown.split("\n") if line]
        assert name == f"Board {slot}"
        board = truth[slot]
        assert float(temperature.split()[0]) == pytest.approx(
            board.temperature_c, abs=3
        )
        assert float(hashrate.split()[0]) == pytest.approx(board.hashrate_ths, rel=0.1)


async def test_totals(house: House, person: Person) -> None:
    """Who has several miners must see what they take and give together."""
    await settled(house)
    await person.open_dashboard("overview")
    cell = person.page.locator('whatsminer-totals [data-key="power"] .value')
    states = await house.home.get("/api/states")
    watts = sum(
        float(state["state"])
        for state in states
        if re.fullmatch(r"sensor\.m\d+\w*_power", state["entity_id"])
    )
    shown = float((await cell.inner_text()).split()[0])
    assert shown == pytest.approx(watts / 1000, rel=0.03)


async def test_controls(house: House, person: Person) -> None:
    """What is clicked on the dashboard must be done by the miner."""
    await settled(house)
    await person.open_dashboard(VIEW)
    await person.mark_tiles()
    mining = person.tile(f"switch.{SLUG}_mining")
    await mining.get_by_role("switch").click()
    await until(lambda: not house.miner.truth().mining, "the miner stopped")
    await house.until_state(f"sensor.{SLUG}_status", "stopped")
    await sees_all_is_well(person)
    await mining.get_by_role("switch").click()
    await until(lambda: house.miner.truth().mining, "the miner mines")
    await settled(house)

    slider = person.tile(f"number.{SLUG}_power_target").get_by_role("slider")
    await slider.focus()
    await slider.press("End")
    await slider.press("PageDown")
    await until_number(house, f"number.{SLUG}_power_target")


async def until_number(house: House, entity_id: str) -> None:
    """Wait until an entity has a number."""

    async def there() -> bool:
        state = await house.state(entity_id) or ""
        return state.replace(".", "", 1).isdigit()

    await until(there, f"{entity_id} has a number")


@pytest.mark.parametrize(
    ("button", "command"),
    [("restart_mining_process", "restart_btminer"), ("reboot", "reboot")],
)
async def test_restarts_are_confirmed(
    house: House, person: Person, button: str, command: str
) -> None:
    """A finger on the wrong place must not cost ten minutes of mining."""
    await settled(house)
    await person.open_dashboard(VIEW)
    await person.mark_tiles()
    tile = person.tile(f"button.{SLUG}_{button}")
    before = house.miner.applied.count(command)
    await tile.click()
    await person.confirm("Cancel")
    await asyncio.sleep(1)
    assert house.miner.applied.count(command) == before
    await tile.click()
    await person.confirm("OK")
    await until(lambda: house.miner.applied.count(command) > before, command)
    await sees_all_is_well(person)
    await settled(house)


async def test_settings_that_restart(house: House, person: Person) -> None:
    """A power limit is confirmed, too, before it can be changed."""
    await person.open_dashboard(VIEW)
    await person.mark_tiles()
    await person.tile(f"number.{SLUG}_power_limit").click()
    await expect(person.page.locator("ha-more-info-dialog")).not_to_be_visible()
    await person.confirm("OK")
    await expect(
        person.page.locator("ha-more-info-dialog").get_by_role("spinbutton")
    ).to_be_visible()


@pytest.mark.parametrize("way", WAYS)
async def test_every_state(house: House, way: str) -> None:
    """In no state of a miner may the page be an error message; it must say what is going on."""
    await settled(house)
    miner = house.miner
    person = await sit_down(house, **WAYS[way])
    device = {"device_id": await house.device_id(NAME)}

    async def sees(words: str | None = None) -> None:
        for view in ("overview", VIEW):
            await person.open_dashboard(view)
            page = person.page.locator("hui-view")
            if words:
                await expect(page.get_by_text(words).first).to_be_visible()
            await sees_all_is_well(person)

    curtail = {**device, "target": "stop", "reason": "Peak price"}
    await house.home.post("/api/services/whatsminer/curtail", curtail)
    await house.until_state(f"sensor.{SLUG}_status", "stopped")
    await sees("Peak price")
    await house.home.post("/api/services/whatsminer/resume", device)
    await sees()  # while it starts and tunes
    await settled(house)

    miner.set_errors([540])
    await house.reload(NAME)
    await house.until_state(f"binary_sensor.{SLUG}_problem", "on")
    await sees("540")
    miner.set_errors([])

    miner.api_switch = False
    await house.reload(NAME)
    await house.until_state(f"binary_sensor.{SLUG}_write_access", "off")
    await sees("Denied")
    miner.api_switch = True
    await house.reload(NAME)
    await house.until_state(f"binary_sensor.{SLUG}_write_access", "on")

    await person.open_dashboard("overview")
    miner.inject("refuse")
    for _ in range(3):  # one missed poll is forgiven
        await house.poll(f"sensor.{SLUG}_status")
    await house.until_state(f"sensor.{SLUG}_status", "unavailable")
    await sees_all_is_well(person)
    await sees("Unavailable")
    miner.clear_failures()
    await house.reload(NAME)
    await settled(house)
    await house.close_pages()


async def test_changes_without_reload(house: House, person: Person) -> None:
    """A rename must be followed, while the states that change each poll build nothing again."""
    await settled(house)
    await person.open_dashboard("overview")
    await person.page.evaluate(
        """() => {
          const strategy = customElements.get("ll-strategy-dashboard-whatsminer");
          const generate = strategy.generate;
          window.built = 0;
          strategy.generate = function (...args) { window.built++; return generate.apply(this, args); };
        }"""
    )
    for _ in range(3):
        await house.poll(f"sensor.{SLUG}_status")
        await asyncio.sleep(1)
    assert await person.page.evaluate("window.built") == 0
    update = "config/device_registry/update"
    device = await house.device_id(NAME)
    await house.home.call(update, device_id=device, name_by_user="Boiler")
    await expect(person.page.get_by_role("heading", name="Boiler")).to_be_visible()
    await house.home.call(update, device_id=device, name_by_user=None)
    await expect(person.page.get_by_role("heading", name=NAME)).to_be_visible()

    power = f"sensor.{SLUG}_power"
    update = "config/entity_registry/update"
    await house.home.call(update, entity_id=power, new_entity_id="sensor.boiler_watts")
    await sees_all_is_well(person)
    await person.open_dashboard("overview")
    assert "sensor.boiler_watts" in await person.mark_tiles()
    await house.home.call(
        update, entity_id="sensor.boiler_watts", new_entity_id=power, disabled_by="user"
    )
    await house.until_state(power, None)
    await person.open_dashboard(VIEW)
    await sees_all_is_well(person)
    await house.home.call(update, entity_id=power, disabled_by=None)
    await house.reload(NAME)
    assert not await house.home.missing({power})
    await expect(person.page.get_by_text("3,", exact=False).first).to_be_visible()


async def test_in_another_dashboard(house: House, person: Person) -> None:
    """Who has a dashboard must be able to put a view, or one of our cards, into it."""
    device = await house.device_id(NAME)
    cards = [{"type": f"custom:whatsminer-{name}"} for name in ("totals", "list")]
    cards.append({"type": "custom:whatsminer-boards", "miner": device})
    config = {
        "views": [
            {"title": "Mine", "strategy": {"type": "custom:whatsminer"}},
            {"strategy": {"type": "custom:whatsminer", "miner": device}},
            {"type": "sections", "sections": [{"cards": cards}]},
        ]
    }
    await house.home.call(
        "lovelace/config/save", url_path="dashboard-whatsminer", config=config
    )
    for view, seen in enumerate(("distribution-card", "boards", "list")):
        await person.page.goto(f"/dashboard-whatsminer/{view}")
        await expect(
            person.page.locator(f"hui-{seen}, whatsminer-{seen}")
        ).to_be_visible()
        await sees_all_is_well(person)


async def test_errors_are_seen(house: House, person: Person) -> None:
    """The tests above would be green for ever if a card that complains were not found."""
    await house.home.call(
        "lovelace/config/save",
        url_path="dashboard-whatsminer",
        config={"views": [{"cards": [{"type": "gauge", "entity": "sensor.nothing"}]}]},
    )
    await person.page.goto("/dashboard-whatsminer")
    await expect(person.page.locator("hui-card").first).to_be_visible()
    with pytest.raises(AssertionError):
        await person.sees_no_errors(patience=2)


async def test_fresh_browsers(house: House) -> None:
    """A page that loads the module before its own registry is there must find it all the same."""
    for _ in range(FRESH):
        person = await sit_down(house)
        await person.page.goto(f"/{DASHBOARD}/overview")
        await expect(
            person.page.get_by_role("heading", name=NAME, exact=True)
        ).to_be_visible()
        await person.sees_no_errors()
        await house.close_pages()


async def test_many_miners(
    fleet: House, person: Person, record_property: Callable[[str, object], None]
) -> None:
    """From eight miners on the worst must be on top, and the page appear without a wait."""
    session = await person.page.context.new_cdp_session(person.page)
    # Time of the processor, so that other work of this machine does not count.
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    miner = fleet.miner
    miner.set_errors([540])
    await fleet.reload(NAME)
    await fleet.until_state(f"binary_sensor.{SLUG}_problem", "on")
    await person.page.goto(f"/{DASHBOARD}/overview")
    rows = person.page.locator("whatsminer-list a")
    await expect(rows).to_have_count(FLEET)
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    scripting = {metric["name"]: metric["value"] for metric in metrics}
    generated = await person.page.evaluate(
        """async () => {
          const strategy = customElements.get("ll-strategy-dashboard-whatsminer");
          const { hass } = document.querySelector("home-assistant");
          const begun = performance.now();
          await strategy.generate({}, hass);
          return performance.now() - begun;
        }"""
    )
    record_property("scripting_s", round(scripting["ScriptDuration"], 2))
    record_property("built_ms", round(generated))
    assert scripting["ScriptDuration"] < 1
    assert generated < 200
    await expect(rows.first).to_contain_text(NAME)
    await expect(rows.first).to_contain_text("540")
    await sees_all_is_well(person)
    miner.set_errors([])
    await rows.first.focus()
    await person.page.keyboard.press("Enter")
    await expect(person.page).to_have_url(re.compile(f"/{VIEW}$"))
    await expect(person.page.get_by_text(text("health"), exact=True)).to_be_visible()


@pytest.mark.parametrize("way", WAYS)
async def test_many_miners_fit(fleet: House, way: str) -> None:
    """The list must be readable on a phone, too."""
    person = await sit_down(fleet, **WAYS[way])
    await person.open_dashboard("overview")
    await expect(person.page.locator("whatsminer-list a")).to_have_count(FLEET)
    await sees_all_is_well(person)
    await fleet.close_pages()

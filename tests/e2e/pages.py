"""What a person does in the browser, page by page; the tests and the pictures go the same ways."""

from contextlib import suppress
import re
from typing import Any

from demo_config import DASHBOARD, HOST
from playwright.async_api import Locator, Page, expect

from .house import DEADLINE_S, ENTRIES, House, until

MARK_TILES = """tiles => tiles.map(tile => {
  tile.dataset.entity = tile._config.entity;
  return [tile._config.entity, tile.offsetParent ? tile.shadowRoot.querySelector("ha-tile-info").innerText : null];
}).filter(([, text]) => text !== null)"""

# As the frontend itself goes from one page to another, without loading all of it again.
TURN_TO = """path => {
  history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""

# How the frontend calls the rows of these; the others are called as they are.
ROWS = {"switch": "toggle"}


class Person:
    """Somebody at a browser's window."""

    def __init__(self, house: House, page: Page) -> None:
        """Sit down."""
        self.house = house
        self.page = page

    @property
    def dialog(self) -> Locator:
        """The form of a flow."""
        return self.page.locator("dialog-data-entry-flow")

    @property
    def card(self) -> Locator:
        """The same as it is seen, without what is behind it."""
        return self.dialog.locator("wa-dialog").locator("dialog").first

    def box(self, name: str) -> Locator:
        """A box for text or numbers in the form; a required one has a star."""
        names = self.dialog.get_by_role("textbox", name=name, exact=True)
        for role in ("textbox", "spinbutton"):
            for label in (name, f"{name}*"):
                names = names.or_(self.dialog.get_by_role(role, name=label, exact=True))
        return names

    async def submit(self) -> None:
        """Send the form off."""
        await self.dialog.get_by_role("button", name="Submit").click()

    async def sees(self, text: str | re.Pattern[str]) -> None:
        """Read a text in the form."""
        await expect(self.dialog).to_contain_text(text)

    async def close(self) -> None:
        """Leave the form, whatever the button for that is called."""
        await (
            self.dialog.get_by_role("button", name="Close")
            .or_(self.dialog.get_by_role("button", name="Finish"))
            .last.click()
        )
        await expect(self.dialog.get_by_role("button")).to_have_count(0)

    # Adding a miner

    async def begin_to_add(self, port: int, v3_port: int) -> None:
        """Add an integration, and give the address of the miner."""
        await self.page.goto("/config/integrations/dashboard/add?domain=whatsminer")
        await self.page.get_by_role("button", name="OK").click()
        if await self.house.home.get(ENTRIES):  # else there is nothing to choose from
            await self.dialog.get_by_text("Miner", exact=True).click()
        await self.box("Host").fill(HOST)
        await self.box("Port").fill(str(port))
        await self.box("API 3 port").fill(str(v3_port))
        await self.submit()

    async def give_password(self, password: str) -> None:
        """Fill in the second form of an older miner."""
        await self.box("Admin password").fill(password)
        await self.submit()

    async def finish(self) -> None:
        """Take the name that is offered, and no area."""
        await self.dialog.get_by_role("button", name="finish").click()
        await expect(self.dialog.get_by_role("button")).to_have_count(0)

    # The page of the integration

    async def open_entry(self, title: str) -> Locator:
        """Go to the entry of a miner."""
        entry = await self.house.entry_id(title)
        await self.page.goto("about:blank")  # else it stays as it is if it is there
        await self.page.goto(
            f"/config/integrations/integration/whatsminer#config_entry={entry}"
        )
        row = self.page.locator("ha-config-entry-row").filter(has_text=title)
        await expect(row).to_have_count(1)
        return row

    async def open_options(self, title: str) -> None:
        """Open the options."""
        row = await self.open_entry(title)
        await row.get_by_role("button", name="Configure").click()
        await self.sees("All options are optional")

    async def unfold(self, section: str) -> Locator:
        """Open a part of the form that is folded away; after an error it may fold again."""
        button = self.dialog.get_by_role("button", name=section)
        region = self.dialog.get_by_role("region", name=section)

        async def unfolded() -> bool:
            await button.click()
            with suppress(AssertionError):
                await expect(region).to_be_visible(timeout=3000)
            return await region.is_visible()

        await until(unfolded, f"{section} is unfolded")
        panel = self.dialog.locator("ha-expansion-panel")
        return panel.filter(has=self.page.get_by_role("button", name=section))

    async def pick(self, where: Locator, placeholder: str, name: str) -> None:
        """Choose an entity or a device from a list that can be searched."""
        await where.get_by_text(placeholder).last.click()
        picker = self.page.locator("ha-picker-combo-box")
        await picker.get_by_placeholder("Search").fill(name)
        # The list is drawn anew while one types.
        await expect(picker.locator("ha-combo-box-item").first).to_contain_text(name)
        await picker.locator("ha-combo-box-item").first.click()
        # It tells what was chosen only after it has gone away.
        await expect(picker).to_have_count(0)
        await expect(where).to_contain_text(name)

    async def open_menu(self, title: str, item: str) -> Locator:
        """Find an item in the three dots of an entry."""
        row = await self.open_entry(title)
        await row.get_by_role("button", name="Menu").first.click()
        found = self.page.get_by_role("menuitem", name=item)
        await expect(found).to_be_visible()
        return found

    # The dashboard

    def section(self, name: str) -> Locator:
        """The title of a section. Home Assistant before 2026.10 has a button there, not a heading."""
        return self.page.locator("hui-heading-card").get_by_text(name, exact=True)

    # The page of the device

    async def open_device(self, name: str) -> None:
        """Go to the page of a miner."""
        device = await self.house.device_id(name)
        await self.page.goto(f"/config/devices/device/{device}")
        await expect(self.page.get_by_role("heading", name="Controls")).to_be_visible()

    def row(self, kind: str, name: str) -> Locator:
        """The row of an entity."""
        page = self.page.locator("ha-config-device-page")
        return page.locator(f"hui-{ROWS.get(kind, kind)}-entity-row").filter(
            has=self.page.get_by_text(name, exact=True)
        )

    async def toggle(self, name: str) -> None:
        """Press a switch: the element that has it, the box itself is not to be hit."""
        await self.row("switch", name).locator("ha-switch").first.click()

    async def enter(self, name: str, value: int) -> None:
        """Type into the box of a number."""
        box = self.row("number", name).get_by_role("spinbutton")
        await box.fill(str(value))
        await box.press("Enter")

    async def slide(self, name: str, share: float) -> None:
        """Press a slider at a share of its length."""
        slider = self.row("number", name).locator("ha-slider")
        size = await slider.bounding_box()
        assert size
        await slider.click(
            position={"x": size["width"] * share, "y": size["height"] / 2}
        )

    async def choose(self, name: str, option: str) -> None:
        """Choose an option of a select."""
        await self.row("select", name).locator("ha-select").click()
        await self.page.get_by_role("menuitem", name=option).click()

    async def press(self, name: str) -> None:
        """Press a button."""
        await self.row("button", name).get_by_role("button", name="Press").click()

    # Repairs

    async def open_repair(self, title: str) -> None:
        """Open an issue in Settings > Repairs."""
        await self.page.goto("/config/repairs")
        await self.page.get_by_text(title).first.click()
        await expect(self.dialog.get_by_role("button", name="Submit")).to_be_visible()

    # Blueprints and dashboards

    @property
    def form(self) -> Locator:
        """The form of an automation that is made from a blueprint."""
        return self.page.locator("blueprint-automation-editor")

    async def open_blueprint(self, name: str) -> None:
        """Begin an automation with a blueprint."""
        await self.page.goto("/config/blueprint/dashboard")
        await self.page.get_by_role("row", name=f"WhatsMiner - {name}").click()
        await expect(self.form.get_by_role("button", name="Save")).to_be_visible()

    async def open_filled_in(self, blueprint: str, inputs: dict[str, Any]) -> None:
        """Open an automation that was made with a blueprint before."""
        automation = {
            "alias": blueprint.replace("_", " ").capitalize(),
            "use_blueprint": {"path": f"whatsminer/{blueprint}.yaml", "input": inputs},
        }
        config = f"/api/config/automation/config/{blueprint}"
        await self.house.home.post(config, automation)
        await self.page.goto(f"/config/automation/edit/{blueprint}")
        await expect(self.form.locator("ha-settings-row").first).to_be_visible()

    def input(self, text: str) -> Locator:
        """One input of the form, by its name or a text that stands under it."""
        return self.form.locator("ha-settings-row").filter(has_text=text).first

    async def write(self, name: str, value: str) -> None:
        """Fill in a number of the form, and let it take that before the next one."""
        box = self.input(name).get_by_role("spinbutton")
        await box.fill(value)
        await box.press("Tab")

        async def taken() -> bool:
            inputs = await self.form.evaluate("form => form.config.use_blueprint.input")
            return float(value) in inputs.values()

        await until(taken, f"the form has taken {value} for {name}")

    async def save(self) -> None:
        """Save the automation."""
        await self.form.get_by_role("button", name="Save").click()

    async def add_dashboard(self) -> None:
        """Add the WhatsMiner dashboard."""
        page = self.page
        await page.goto("/config/lovelace/dashboards")
        await page.get_by_role("button", name="Add dashboard").click()
        await page.get_by_text("All your miners").first.click()
        title = page.get_by_role("textbox", name="Title")
        await expect(title).to_have_value("WhatsMiner")
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("row", name="WhatsMiner")).to_be_visible()
        await expect(page.get_by_role("button", name="Create")).to_have_count(0)

    async def open_dashboard(self, view: str) -> None:
        """Look at a view of the dashboard, once all of its cards are there."""
        path = f"/{DASHBOARD}/{view}"
        if await self.page.locator("hui-root").count():
            await self.page.evaluate(TURN_TO, path)
        else:
            await self.page.goto(path)
        await self.sees_it_drawn(view)

    async def sees_it_drawn(self, view: str) -> None:
        """Wait until a view of the dashboard has all of its cards."""
        left = ""

        async def drawn() -> bool:
            nonlocal left
            left = await self.page.evaluate("view => look.undrawn(view)", view)
            return not left

        try:
            await until(drawn, "")
        except AssertionError:
            raise AssertionError(f"{view} still lacks {left}") from None

    def tile(self, entity_id: str) -> Locator:
        """Return the tile of an entity."""
        return self.page.locator(f'hui-tile-card[data-entity="{entity_id}"]')

    async def mark_tiles(self) -> dict[str, str]:
        """Note on each tile whose it is, and return the texts of those that are visible."""
        shown = await self.page.locator("hui-tile-card").evaluate_all(MARK_TILES)
        return dict(shown)

    async def tile_that_comes(self, entity_id: str) -> Locator:
        """Wait for a tile that shows only sometimes, and return it."""

        async def shows() -> bool:
            return entity_id in await self.mark_tiles()

        await until(shows, f"a tile of {entity_id}")
        return self.tile(entity_id)

    async def tab_through(self) -> set[str]:
        """Press the tabulator until it has gone through the view; return the cards it has been in."""
        reached: list[dict[str, Any]] = []
        await self.page.locator("hui-view").focus()
        for _ in range(200):
            await self.page.keyboard.press("Tab")
            focused = await self.page.evaluate("look.focused()")
            if focused:
                reached.append(focused)
            elif reached:
                break
        return {one["entity"] for one in reached}

    async def confirm(self, button: str) -> None:
        """Answer the question that a control asks first."""
        dialog = self.page.locator("dialog-box")
        await dialog.get_by_role("button", name=button, exact=True).click()
        await expect(dialog.get_by_role("button")).to_have_count(0)

    async def sees_all_is_well(self, patience: float = DEADLINE_S) -> None:
        """See that no card complains, nothing stands out to the right, and no text is left out."""
        found: list[str] = []

        async def none() -> bool:
            found[:] = await self.page.evaluate("look.problems()")
            return not found

        try:
            await until(none, "", patience)
        except AssertionError:
            raise AssertionError(f"The page has {found}") from None

    async def reads_well(self) -> None:
        """See that every text stands out from what is behind it, once colors have changed."""
        seen: dict[str, Any] = {}

        async def well() -> bool:
            seen.update(await self.page.evaluate("look.contrast()"))
            return seen["count"] > 40 and not seen["poor"]

        try:
            await until(well, "", 10)
        except AssertionError:
            raise AssertionError(f"Hard to read: {seen}") from None

    async def sees_it_fits(self) -> None:
        """See that nothing stands out to the right, where a phone does not show it."""
        overhang = await self.page.evaluate(
            "document.documentElement.scrollWidth - window.innerWidth"
        )
        assert overhang <= 0, f"The page is {overhang} px wider than the screen"


async def sit_down(house: House, **options: Any) -> Person:
    """Open a window, and sit down at it."""
    return Person(house, await house.page(**options))

"""An empty Home Assistant in a process of its own, simulated miners in this one, and a browser."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
import json
import os
from pathlib import Path
from random import randrange
import socket
import time
from typing import Any

from aiohttp import ClientResponseError, ClientSession
from demo_client import Home
from demo_config import (
    HOST,
    MINERS,
    ROOT,
    SimulatedMiner as Description,
    home_assistant,
    write_config,
)
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from simulator import Phase, SimulatedMiner

LAUNCHER = Path(__file__).parent / "launcher.py"
LOOK = Path(__file__).parent / "look.js"
# Home Assistant's own Python, while the browser's driver has another one.
PYTHON = Path(os.environ.get("PYTHON", ROOT / ".venv/bin/python"))
USER = "demo"
ENTRIES = "/api/config/config_entries/entry?domain=whatsminer"
DEADLINE_S = 40
DESKTOP = {"width": 1280, "height": 1080}
PHONE = {"width": 400, "height": 860}
SPEED = 600
"""How fast the miners are: tuning takes two seconds. A test that wants to see it holds their clock."""


def free_port() -> int:
    """Find a free port.

    It is outside the range from which the system chooses ports for a simulator, which could take it first.
    """
    while True:
        port = randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


async def until(
    condition: Callable[[], Any], what: str, deadline: float = DEADLINE_S
) -> None:
    """Wait until something is so; it may be asked by a coroutine."""
    try:
        async with asyncio.timeout(deadline):
            while True:
                answer = condition()
                if await answer if asyncio.iscoroutine(answer) else answer:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"After {deadline:g} s still not: {what}") from None


class Clock:
    """The clock of a simulated miner, which a test can hold and move."""

    def __init__(self) -> None:
        """Run."""
        self._ahead = 0.0
        self._held: float | None = None

    def __call__(self) -> float:
        """Return the time."""
        return (time.monotonic() if self._held is None else self._held) + self._ahead

    def hold(self) -> None:
        """Stand still."""
        self._held = time.monotonic()

    def run(self) -> None:
        """Run again from where it stands."""
        if self._held is not None:
            self._ahead -= time.monotonic() - self._held
            self._held = None

    def forward(self, seconds: float) -> None:
        """Move ahead."""
        self._ahead += seconds


class Miner(SimulatedMiner):
    """A simulated miner that can be held in a phase."""

    def __init__(
        self, profile: str, *, mac: str, password: str, speed: float = SPEED
    ) -> None:
        """Build it on free ports, with one password for both of its APIs."""
        self.clock = Clock()
        super().__init__(
            profile,
            mac=mac,
            password=password,
            v3_password=password,
            speed=speed,
            clock=self.clock,
        )
        self.speed = speed

    def hold_in(self, phase: Phase) -> None:
        """Let time pass until the miner is in this phase, and hold it there."""
        self.clock.hold()
        for _ in range(5000):
            if self.machine.phase is phase:
                return
            self.clock.forward(2 / self.speed)
        raise AssertionError(f"{self.profile.name} never is {phase}")

    def tune(self) -> None:
        """Let time pass until the miner is tuned, and go on from there."""
        self.hold_in(Phase.STABLE)
        self.clock.run()


class House:
    """A home with miners in it, and who lives there."""

    def __init__(self, config: Path, url: str, home: Home) -> None:
        """Remember what belongs to it."""
        self.config = config
        self.url = url
        self.home = home
        self.miners: list[Miner] = []
        self.contexts: dict[str, BrowserContext] = {}
        self.browser: Browser | None = None

    @property
    def miner(self) -> Miner:
        """The first miner, which most is done with."""
        return self.miners[0]

    @property
    def log(self) -> str:
        """What Home Assistant has logged."""
        return (self.config / "output.log").read_text()

    async def state(self, entity_id: str) -> str | None:
        """Read a state, past the browser."""
        try:
            return str((await self.home.get(f"/api/states/{entity_id}"))["state"])
        except ClientResponseError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    async def until_state(self, entity_id: str, wanted: str | None) -> None:
        """Wait for a state; None: until there is none."""
        seen: list[str | None] = []

        async def reached() -> bool:
            seen[:] = [await self.state(entity_id)]
            return seen[0] == wanted

        try:
            await until(reached, "")
        except AssertionError:
            raise AssertionError(f"{entity_id} is {seen[0]}, not {wanted}") from None

    async def add_miner(self, number: int = 0) -> None:
        """Add a miner past the browser, for what is not about adding it."""
        miner = self.miners[number]
        password = MINERS[number].password
        passwords = dict.fromkeys(("password", "v3_password"), password)
        await self.home.add_miner(HOST, miner.port, miner.v3_port or 4433, passwords)

    async def add_group(self, name: str, size: int = len(MINERS)) -> str:
        """Add a group of the first miners of the demo, and return its entry."""
        flows = "/api/config/config_entries/flow"
        flow = await self.home.post(flows, {"handler": "whatsminer"})
        step = f"{flows}/{flow['flow_id']}"
        await self.home.post(step, {"next_step_id": "group"})
        members = [await self.entry_id(miner.name) for miner in MINERS[:size]]
        form = {"name": name, "members": members}
        return str((await self.home.post(step, form))["result"]["entry_id"])

    async def remove(self, entry: str) -> None:
        """Remove a miner or a group."""
        await self.home.delete(f"{ENTRIES.partition('?')[0]}/{entry}")

    async def set_options(self, title: str, options: dict[str, Any]) -> None:
        """Fill in the options of a miner, section by section."""
        flows = "/api/config/config_entries/options/flow"
        handler = {"handler": await self.entry_id(title)}
        flow = await self.home.post(flows, handler)
        answer = await self.home.post(f"{flows}/{flow['flow_id']}", options)
        assert answer["type"] == "create_entry", answer

    async def remove_miners(self) -> None:
        """Make the home an empty one again."""
        for entry in await self.home.get(ENTRIES):
            await self.remove(entry["entry_id"])

    async def clear(self) -> None:
        """Remove what tests have made: miners, automations and dashboards."""
        await self.remove_miners()
        for state in await self.home.get("/api/states"):
            if state["entity_id"].startswith("automation."):
                config = "/api/config/automation/config"
                await self.home.delete(f"{config}/{state['attributes']['id']}")
        for dashboard in await self.home.call("lovelace/dashboards/list"):
            if dashboard["mode"] == "storage":
                delete = "lovelace/dashboards/delete"
                await self.home.call(delete, dashboard_id=dashboard["id"])

    async def reload(self, title: str) -> None:
        """Set up a miner anew, so that all is read again at once."""
        entry = {"entry_id": await self.entry_id(title)}
        action = "/api/services/homeassistant/reload_config_entry"
        await self.home.post(action, entry)

    async def reload_all(self) -> None:
        """Set up all miners again."""
        action = "/api/services/homeassistant/reload_config_entry"
        entries = [entry["entry_id"] for entry in await self.home.get(ENTRIES)]
        await asyncio.gather(
            *(self.home.post(action, {"entry_id": entry}) for entry in entries)
        )

    async def poll(self, entity_id: str | list[str]) -> None:
        """Have a miner read at once, as a person can: the next poll may be half a minute away."""
        entity = {"entity_id": entity_id}
        await self.home.post("/api/services/homeassistant/update_entity", entity)

    async def device_id(self, name: str) -> str:
        """Find the device of a miner."""
        for device in await self.home.miners():
            if device["name"] == name:
                return str(device["id"])
        raise AssertionError(f"There is no device {name}")

    async def entry_id(self, title: str) -> str:
        """Find the config entry of a miner."""
        for entry in await self.home.get(ENTRIES):
            if entry["title"] == title:
                return str(entry["entry_id"])
        raise AssertionError(f"There is no entry {title}")

    async def page(
        self,
        size: dict[str, int] = DESKTOP,
        language: str = "en",
        *,
        fresh: bool = False,
        **options: Any,
    ) -> Page:
        """Open a window that is logged in, of a browser that has been here before unless it is fresh."""
        key = json.dumps([language, options]) if not fresh else f"{len(self.contexts)}"
        if key not in self.contexts:
            self.contexts[key] = await self._context(language, options)
        page = await self.contexts[key].new_page()
        await page.set_viewport_size(size)
        return page

    async def _context(self, language: str, options: dict[str, Any]) -> BrowserContext:
        """Log in with a browser of its own."""
        assert self.browser
        context = await self.browser.new_context(
            base_url=self.url,
            locale="en-US",
            reduced_motion="reduce",
            service_workers="block",
            timezone_id="Europe/Berlin",
            **options,
        )
        context.set_default_timeout(DEADLINE_S * 1000)
        tokens = {
            **self.home.tokens,
            "hassUrl": self.url,
            "clientId": f"{self.url}/",
            "expires": 4102444800000,
        }
        login = json.dumps(json.dumps(tokens))
        chosen = json.dumps(json.dumps(language))
        await context.add_init_script(
            f"localStorage.hassTokens = {login}; localStorage.selectedLanguage = {chosen}"
        )
        await context.add_init_script(path=LOOK)
        return context

    async def close_pages(self) -> None:
        """Close all windows."""
        for key, context in [*self.contexts.items()]:
            if key.isdecimal():
                await self.contexts.pop(key).close()
            else:
                for page in context.pages:
                    await page.close()


def simulate(miner: Description, speed: float = SPEED) -> Miner:
    """Build the miner of the demo, on free ports."""
    return Miner(miner.profile, mac=miner.mac, password=miner.password, speed=speed)


@asynccontextmanager
async def miners_of(house: House, speed: float = SPEED) -> AsyncIterator[None]:
    """Put new miners, those of the demo, into a home that has none."""
    async with AsyncExitStack() as stack:
        house.miners = [
            await stack.enter_async_context(simulate(miner, speed)) for miner in MINERS
        ]
        yield


@asynccontextmanager
async def hass_process(
    config: Path, speed: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Home Assistant, and end it whatever happens."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    } | {"DEMO_SPEED": f"{speed:g}"}
    with (config / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(PYTHON),
            str(LAUNCHER),
            *home_assistant(config),
            cwd=config,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def open_house(
    config: Path, *, hours: float = 1, speed: float = 1
) -> AsyncIterator[House]:
    """Start Home Assistant, with its first user and nothing else, and a browser.

    With a `speed` it measures what its miners do as fast as they live.
    """
    port = free_port()
    url = f"http://{HOST}:{port}"
    write_config(config, port, hours=hours)
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(hass_process(config, speed))
        http = await stack.enter_async_context(ClientSession())
        home = Home(http, url)
        house = House(config, url, home)
        try:
            async with asyncio.timeout(180):
                await home.answers()
                await stack.enter_async_context(home.logged_in(USER, USER))
                await home.runs()
        except TimeoutError:
            raise AssertionError(
                f"Home Assistant did not start (code {process.returncode}): {house.log[-3000:]}"
            ) from None
        playwright = await stack.enter_async_context(async_playwright())
        house.browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"), args=["--disable-gpu"]
        )
        stack.push_async_callback(house.browser.close)
        yield house

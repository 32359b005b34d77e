"""An empty Home Assistant in a process of its own, simulated miners in this one, and a browser."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
import json
import os
from pathlib import Path
import socket
from typing import Any

from aiohttp import ClientSession
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

from simulator import SimulatedMiner

# Home Assistant's own Python, while the browser's driver has another one.
PYTHON = Path(os.environ.get("PYTHON", ROOT / ".venv/bin/python"))
USER = "demo"
DEADLINE_S = 90
DESKTOP = {"width": 1280, "height": 1080}
PHONE = {"width": 400, "height": 860}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
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


class House:
    """A home with miners in it, and who lives there."""

    def __init__(
        self, config: Path, url: str, home: Home, miners: list[SimulatedMiner]
    ) -> None:
        """Remember what belongs to it."""
        self.config = config
        self.url = url
        self.home = home
        self.miners = miners
        self.contexts: list[BrowserContext] = []
        self.browser: Browser | None = None

    @property
    def miner(self) -> SimulatedMiner:
        """The first miner, which most is done with."""
        return self.miners[0]

    @property
    def log(self) -> str:
        """What Home Assistant has logged."""
        return (self.config / "output.log").read_text()

    async def state(self, entity_id: str) -> str | None:
        """Read a state, past the browser."""
        for state in await self.home.get("/api/states"):
            if state["entity_id"] == entity_id:
                return str(state["state"])
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

    async def remove_miners(self) -> None:
        """Make the home an empty one again."""
        entries = "/api/config/config_entries/entry"
        for entry in await self.home.get(f"{entries}?domain=whatsminer"):
            await self.home.delete(f"{entries}/{entry['entry_id']}")

    async def reload(self, title: str) -> None:
        """Set up a miner anew, so that all is read again at once."""
        entry = {"entry_id": await self.entry_id(title)}
        action = "/api/services/homeassistant/reload_config_entry"
        await self.home.post(action, entry)

    async def poll(self, entity_id: str) -> None:
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
        for entry in await self.home.get(
            "/api/config/config_entries/entry?domain=whatsminer"
        ):
            if entry["title"] == title:
                return str(entry["entry_id"])
        raise AssertionError(f"There is no entry {title}")

    async def page(
        self, size: dict[str, int] = DESKTOP, language: str = "en", **options: Any
    ) -> Page:
        """Open a browser's window that is logged in."""
        assert self.browser
        context = await self.browser.new_context(
            base_url=self.url,
            viewport=size,
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
        self.contexts.append(context)
        return await context.new_page()

    async def close_pages(self) -> None:
        """Close all windows."""
        while self.contexts:
            await self.contexts.pop().close()


def simulate(miner: Description, speed: float) -> SimulatedMiner:
    """Build the miner of the demo, on free ports."""
    return SimulatedMiner(
        miner.profile,
        mac=miner.mac,
        password=miner.password,
        v3_password=miner.password,
        speed=speed,
    )


@asynccontextmanager
async def hass_process(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Home Assistant, and end it whatever happens."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    with (config / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(PYTHON),
            "-m",
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
    config: Path, *, speed: float = 60, hours: float = 1
) -> AsyncIterator[House]:
    """Start it all: Home Assistant has its first user and nothing else."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    write_config(config, port, hours=hours)
    async with AsyncExitStack() as stack:
        miners = [
            await stack.enter_async_context(simulate(miner, speed)) for miner in MINERS
        ]
        process = await stack.enter_async_context(hass_process(config))
        http = await stack.enter_async_context(ClientSession())
        home = Home(http, url)
        house = House(config, url, home, miners)
        try:
            async with asyncio.timeout(2 * DEADLINE_S):
                await home.answers()
                await stack.enter_async_context(home.logged_in(USER, USER))
                await home.runs()
        except TimeoutError:
            raise AssertionError(
                f"Home Assistant did not start (code {process.returncode}): {house.log[-3000:]}"
            ) from None
        playwright = await stack.enter_async_context(async_playwright())
        house.browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM")
        )
        stack.push_async_callback(house.browser.close)
        yield house

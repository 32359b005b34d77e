"""Take the pictures in docs/images from the running demo."""

import argparse
import asyncio
import json
from pathlib import Path
import shutil
import sys

from aiohttp import ClientConnectionError, ClientSession
from demo_client import Home
from playwright.async_api import Page, ViewportSize, async_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DESKTOP = ViewportSize(width=1280, height=1200)
PHONE = ViewportSize(width=400, height=860)


async def picture(page: Page, path: str, name: str, size: ViewportSize) -> None:
    """Open a page and take its picture once nothing moves any more."""
    await page.set_viewport_size(size)
    await page.goto(path)
    await page.wait_for_load_state("networkidle")
    await page.wait_for_timeout(3000)
    await page.screenshot(path=IMAGES / f"{name}.png")


async def main(url: str) -> None:
    """Log in, open a browser that is logged in, and go round."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with ClientSession() as http, async_playwright() as playwright:
        home = Home(http, url)
        async with home.logged_in("demo", "demo"):
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium")
            )
            context = await browser.new_context(
                base_url=url,
                device_scale_factor=1.5,
                locale="en-US",
                reduced_motion="reduce",
                service_workers="block",
                timezone_id="UTC",
            )
            tokens = {
                **home.tokens,
                "hassUrl": url,
                "clientId": f"{url}/",
                "expires": 4102444800000,
            }
            login = json.dumps(json.dumps(tokens))
            await context.add_init_script(f"localStorage.hassTokens = {login}")
            page = await context.new_page()

            miner = (await home.miners())[0]
            await picture(page, "/mining-room/overview", "dashboard", DESKTOP)
            await picture(page, "/mining-room/overview", "dashboard-phone", PHONE)
            await picture(page, "/mining-room/m50", "miner", DESKTOP)
            await picture(
                page, f"/config/devices/device/{miner['id']}", "device", DESKTOP
            )
            await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8123")
    url = parser.parse_args().url
    try:
        asyncio.run(main(url))
    except ClientConnectionError:
        sys.exit(f"error: Nothing answers at {url}. Start scripts/demo first.")

"""Take the pictures in docs/images: from an empty Home Assistant, the ways that the browser tests go."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import io
from pathlib import Path
import tempfile
import time

from demo_config import MINERS, PLAN, PRICES, ROOT
from PIL import Image
from playwright.async_api import Locator, expect

from tests.e2e.forms import FORMS
from tests.e2e.house import DEADLINE_S, PHONE, House, miners_of, open_house, until
from tests.e2e.pages import Person, sit_down

IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000
NAME, SLUG = MINERS[0].name, MINERS[0].slug
AREA = {"name": "Mining room", "icon": "mdi:pickaxe"}
HOURS = {"hours_at_least": 16, "hours_at_most": 16}  # so that a plan needs no curve
PAST_S = 360  # what the graphs show: time for the miners to do something

type Taker = Callable[[House, Person], Awaitable[Locator | None]]

WIDE = {"width": 1280, "height": 1080}
BROAD = {"width": 1600, "height": 1120}
NARROW = {"width": 900, "height": 1400}


async def config_flow(house: House, person: Person) -> Locator:
    """Add the miner with a wrong password."""
    await person.begin_to_add(house.miner.port, 1)
    await person.give_password("not-the-password")
    await person.sees("does not accept this admin password")
    return person.card


async def repair(house: House, person: Person) -> Locator:
    """Find the API switch off."""
    house.miner.api_switch = False
    await house.reload(NAME)
    await house.until_state(f"binary_sensor.{SLUG}_write_access", "off")
    await person.open_repair(f"{NAME} does not accept commands")
    await person.sees("API switch is off")
    house.miner.api_switch = True
    return person.card


async def device(house: House, person: Person) -> None:
    """Open the page of a miner."""
    await person.open_device(NAME)


async def dashboard(house: House, person: Person) -> None:
    """Look at the fleet."""
    await person.open_dashboard("overview")


async def miner(house: House, person: Person) -> None:
    """Look at the miner that was curtailed and now holds a power target."""
    await person.open_dashboard(MINERS[0].view)


def filled_in(blueprint: str) -> Taker:
    """Open the form of a blueprint, filled in."""

    async def take(house: House, person: Person) -> Locator:
        await person.open_filled_in(blueprint, await FORMS[blueprint].inputs(house))
        for text in FORMS[blueprint].shown:
            await expect(person.form).to_contain_text(text)
        return person.form.locator("ha-card").first

    return take


# In this order: what changes the home comes after what shows it as it is.
PICTURES: dict[str, tuple[dict[str, int], Taker]] = {
    "dashboard": (BROAD, dashboard),
    "dashboard-phone": (PHONE, dashboard),
    "miner": (BROAD, miner),
    "device": (WIDE, device),
    **{
        f"blueprint-{name.replace('_', '-')}": (NARROW, filled_in(name))
        for name in FORMS
    },
    "repair": (NARROW, repair),
    "config-flow": (NARROW, config_flow),
}


async def live(house: House) -> None:
    """Let something happen that can be seen: a curtailment, then a target."""
    begun = time.monotonic()
    miners = [await house.device_id(miner.name) for miner in MINERS]
    target = {"device_id": miners[0]}
    await asyncio.sleep(PAST_S / 4)
    reason = {"target": "stop", "reason": "Demonstration"}
    await house.home.post("/api/services/whatsminer/curtail", target | reason)
    await until(lambda: not house.miner.truth().mining, "the miner stopped")
    await asyncio.sleep(PAST_S / 4)
    await house.home.post("/api/services/whatsminer/resume", target)
    await until(lambda: house.miner.truth().hash_stable, "the miner is tuned")
    await house.until_state(f"sensor.{SLUG}_status", "mining")
    power = {"entity_id": f"number.{SLUG}_power_target", "value": 2600}
    await house.home.post("/api/services/number/set_value", power)
    house.miners[1].set_errors([540])
    await house.reload(MINERS[1].name)
    await asyncio.sleep(max(0, PAST_S - (time.monotonic() - begun)))


async def still(person: Person) -> None:
    """Wait until two looks at the page are the same."""
    before = b""
    async with asyncio.timeout(DEADLINE_S):
        while (now := await person.page.screenshot()) != before:
            before = now
            await asyncio.sleep(1)


def write(picture: bytes, target: Path) -> None:
    """Keep a picture small: a page has few colours."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.quantize(
        128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    image.save(target, optimize=True)
    size = target.stat().st_size
    print(
        f"{target.relative_to(ROOT)}  {image.width} x {image.height}  {size // 1000} kB"
    )
    if size > LARGEST:
        raise SystemExit(f"error: {target.name} is larger than {LARGEST // 1000} kB.")


@asynccontextmanager
async def window(house: House, size: dict[str, int]) -> AsyncIterator[Person]:
    """Open a window with fine lines."""
    yield await sit_down(house, size=size, device_scale_factor=1.5)
    await house.close_pages()


async def main(names: list[str]) -> None:
    """Set up a home, live in it, and go round."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_house(Path(folder), hours=PAST_S / 3600) as house,
            miners_of(house, speed=60),
        ):
            if set(names) - {"config-flow"}:
                for number in range(len(MINERS)):
                    await house.add_miner(number)
                await house.home.set_prices(PRICES, PLAN | HOURS)
                wanted = {f"sensor.{miner.slug}_margin_per_hour" for miner in MINERS}
                await house.home.missing(wanted)
                await house.home.furnish(AREA, "mining-room")
            if {"dashboard", "dashboard-phone", "miner"} & set(names):
                await live(house)
            for name in names:
                if name == "config-flow":
                    await house.remove_miners()
                size, take = PICTURES[name]
                async with window(house, size) as person:
                    part = await take(house, person)
                    await still(person)
                    what = part or person.page
                    write(await what.screenshot(), IMAGES / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME")
    wanted = parser.parse_args().names or [*PICTURES]
    expect.set_options(timeout=DEADLINE_S * 1000)
    asyncio.run(main([name for name in PICTURES if name in wanted]))

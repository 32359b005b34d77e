"""The most profitable power, as an owner sees it: on a demo whose time is fast, from an empty curve to what was saved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
import re
import time
from zoneinfo import ZoneInfo

from demo_config import MINERS, PRICES
from playwright.async_api import Locator, expect
import pytest

from .house import House, miners_of, open_house, until
from .pages import Person

NAME, SLUG, VIEW = MINERS[0].name, MINERS[0].slug, MINERS[0].view
SPEED = 100
TARIFF = "sensor.tariff"
CHEAP, EXPENSIVE = 0.01, 4.0
LEVELS = range(40, 101, 10)
HASHPRICE = 0.046
"""What the demo says, in EUR per TH/s and day."""
KINDS = ("measured", "between", "assumed")
LOOKS = """dots => Object.fromEntries(dots.map(dot => {
  const { fill, strokeDasharray } = getComputedStyle(dot);
  return [dot.classList[1], `${fill} ${strokeDasharray}`];
}))"""


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A home that measures as fast as its miner lives; the price of its tariff is low."""
    config = tmp_path_factory.mktemp("fast")
    async with open_house(config, speed=SPEED) as house, miners_of(house, SPEED):
        await publish(house, CHEAP)
        await house.add_miner()
        await house.home.set_prices(
            PRICES | {"price_sensor": TARIFF}, {"forecast": [TARIFF]}
        )
        assert not await house.home.missing({f"sensor.{SLUG}_saved_against_always_on"})
        house.miner.tune()
        yield house


async def publish(house: House, price: float) -> None:
    """Publish the price of now, and those until the day after tomorrow: half of each day is expensive."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now + timedelta(hours=hour) for hour in range(48)]
    later = [CHEAP if hour.hour < 12 else EXPENSIVE for hour in hours[1:]]
    rows = [
        {"start": hour.isoformat(), "price": value}
        for hour, value in zip(hours, [price, *later], strict=True)
    ]
    attributes = {"prices": rows, "unit_of_measurement": "EUR/kWh"}
    state = {"state": str(price), "attributes": attributes}
    await house.home.post(f"/api/states/{TARIFF}", state)


def margin(house: House, percent: int, price: float) -> float:
    """Return what the miner truly earns per hour at a percent."""
    miner, share = house.miner, percent / 100
    hashrate = miner.profile.hashrate_ths * miner.machine.tuned_share(share)
    return hashrate * HASHPRICE / 24 - miner.profile.power_w * share / 1000 * price


def earns_most(house: House, price: float) -> bool:
    """Return whether the miner runs at what truly earns most, as far as a change is worth it."""
    most = max(margin(house, percent, price) for percent in LEVELS)
    now = margin(house, house.miner.machine.power_percent, price)
    return most - now < 0.01 * margin(house, 100, 0)


def clock(hour: int) -> str:
    """Return an hour of tomorrow (UTC) as the page writes it."""
    now = datetime.now(UTC).replace(hour=hour, minute=0) + timedelta(days=1)
    return now.astimezone(ZoneInfo("Europe/Berlin")).strftime("%a %I:%M %p")


async def shown_money(tile: Locator) -> float:
    """Return the amount that a tile shows."""
    text = await tile.locator("ha-tile-info").inner_text()
    found = re.search(r"-?\d+\.\d+", text.replace("€", ""))
    assert found, text
    return float(found[0])


async def level(curve: Locator, watts: float) -> str:
    """Return how sure the page is of the level that is closest to a power."""
    spoken = await curve.get_attribute("aria-label") or ""
    found = re.findall(r"([\d,]+) W: [\d.]+ J/TH, (\w+)", spoken)
    powers = {float(power.replace(",", "")): word for power, word in found}
    return powers[min(powers, key=lambda power: abs(power - watts))]


async def test_most_profitable_power(house: House, person: Person) -> None:
    """An owner must see the curve being measured, the miner follow the price, the plan, and what it saved."""
    page, machine = person.page, house.miner.machine
    full = house.miner.profile.power_w
    await person.open_dashboard(VIEW)
    await person.mark_tiles()
    curve = page.locator("whatsminer-curve").get_by_role("button")
    source = person.tile(f"select.{SLUG}_power_source")
    await source.locator("ha-control-select-menu").click()
    await page.get_by_role("menuitem", name="Most profitable", exact=True).click()
    await house.until_state(f"select.{SLUG}_power_source", "most_profitable")
    decided = person.tile(f"sensor.{SLUG}_power_decided_by")
    await expect(decided).to_contain_text("Most profitable")

    # Full power is measured, the rest is assumed.
    await expect(curve).to_have_accessible_name(re.compile("Measured"))
    assert await level(curve, full) == "Measured"
    assert await level(curve, full * 0.6) == "Assumed"
    assert machine.power_percent == 100

    # At a higher price less power earns more; that is then measured, too.
    looks: dict[str, str] = {}
    dots = page.locator("whatsminer-curve svg circle.level")
    for price in (0.06, 0.075):
        higher = machine.power_percent
        await publish(house, price)

        async def lower(higher: int = higher) -> bool:
            return machine.power_percent < higher

        await until(lower, f"less power than {higher} %")

        async def measured() -> bool:
            return await level(curve, full * machine.power_percent / 100) == "Measured"

        await until(measured, "the lower power is measured")

        async def best(price: float = price) -> bool:
            return earns_most(house, price)

        await until(best, "what earns most")
        shown = person.tile(f"number.{SLUG}_power_percent")
        await expect(shown).to_contain_text(f"{machine.power_percent}%")
        looks |= await dots.evaluate_all(LOOKS)
    assert looks.keys() == set(KINDS)
    assert len(set(looks.values())) == len(KINDS)

    # Where nothing earns anything, it stops, and the page says what that saved.
    saved = await person.tile_that_comes(f"sensor.{SLUG}_saved_against_always_on")
    begun, before = time.monotonic(), await shown_money(saved)
    await publish(house, EXPENSIVE)
    await until(lambda: not house.miner.truth().mining, "the miner stopped")
    loss = -margin(house, 100, EXPENSIVE)

    async def has_saved() -> bool:
        return await shown_money(saved) >= before + 0.05

    await until(has_saved, "what was saved")
    possible = loss * (time.monotonic() - begun) / 3600
    assert await shown_money(saved) - before < possible + 0.011
    entity = f"sensor.{SLUG}_saved_against_the_price_limit"
    limit = await person.tile_that_comes(entity)
    await expect(limit).to_contain_text("€")

    # The plan of tomorrow: on in the cheap half, off in the other.
    plan = page.locator("whatsminer-plan").get_by_role("button")
    for hour, percent in ((0, 100), (12, 0)):
        name = re.compile(f"{clock(hour)}: {percent} %")
        await expect(plan).to_have_accessible_name(name)
    await person.sees_all_is_well()

"""The plan: from a price forecast in a form to a miner that waits for the cheap hours."""

from datetime import UTC, datetime, timedelta

from demo_config import MINERS, PLAN, PRICES
from playwright.async_api import expect

from .house import House, until
from .pages import Person

NAME = MINERS[0].name
SLUG = MINERS[0].slug
FORECAST = "sensor.tomorrow"


async def test_the_cheapest_hours(house: House, person: Person) -> None:
    """An owner who wishes for the cheap hours must find them in the calendar, and the miner stopped until then."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    prices = [0.3] * 3 + [0.1] * 2 + [0.3] * 19
    rows = [
        {"start": (now + timedelta(hours=i)).isoformat(), "price": price}
        for i, price in enumerate(prices)
    ]
    state = {
        "state": "0.3",
        "attributes": {
            "prices": rows,
            "friendly_name": "Tomorrow",
            "unit_of_measurement": "EUR/kWh",
        },
    }
    await house.home.post(f"/api/states/{FORECAST}", state)
    house.miner.tune()
    await person.open_options(NAME)
    plan = await person.unfold("Plan")
    picker = plan.locator("ha-selector-entity").first
    await person.pick(picker, "Select an entity", "Tomorrow")
    await person.box("Hours per day at most").fill("2")
    await person.submit()
    await person.sees("Options successfully saved")
    await house.until_state(f"sensor.{SLUG}_plan_status", "ready")
    await person.open_device(NAME)
    await person.choose("Power source", "Plan")
    await house.until_state(f"sensor.{SLUG}_plan_status", "following")
    await until(lambda: not house.miner.truth().mining, "the miner waits")
    [event] = (
        await house.home.post(
            "/api/services/calendar/get_events?return_response",
            {"entity_id": f"calendar.{SLUG}_plan", "duration": {"hours": 12}},
        )
    )["service_response"][f"calendar.{SLUG}_plan"]["events"]
    assert event["summary"] == "100 %"


async def test_the_demo_has_a_plan(house: House, person: Person) -> None:
    """Who starts the demo must see a forecast that the integration understands."""
    await house.home.set_prices(PRICES, PLAN)
    seen = {}

    async def known() -> bool:
        path = f"/api/states/sensor.{SLUG}_plan_status"
        seen.update((await house.home.get(path))["attributes"])
        return bool(seen.get("forecast_price"))

    assert not await house.home.missing({f"sensor.{SLUG}_plan_status"})
    await until(known, "the forecast of the demo is read")
    assert seen["forecast_price"] == seen["price"]
    await person.open_device(NAME)
    await expect(person.row("select", "Power source")).to_be_visible()

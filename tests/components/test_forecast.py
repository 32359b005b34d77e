"""The price forecast: read where the integration of an entity publishes it, at the right times."""

from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import (
    CONF_FORECAST,
    CONF_FORECAST_FEE,
    CONF_FORECAST_TAX,
    CONF_PRICE_SENSOR,
)
from custom_components.whatsminer.money.forecast import Forecast
from custom_components.whatsminer.money.plan import steps
from custom_components.whatsminer.money.prices import Slot, disagrees

HOUR = timedelta(hours=1)


class Exchange:
    """The action of core's Nord Pool, which publishes tomorrow at 13:00."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Register the action."""
        self.calls: list[str] = []
        self.fails = False
        hass.services.async_register(
            "nordpool",
            "get_prices_for_date",
            self._answer,
            supports_response=SupportsResponse.ONLY,
        )

    async def _answer(self, call: ServiceCall) -> ServiceResponse:
        self.calls.append(call.data["date"])
        if self.fails:
            raise ServiceValidationError("connection error")
        day = datetime.fromisoformat(call.data["date"]).replace(
            tzinfo=dt_util.get_default_time_zone()
        )
        now = dt_util.now()
        if day > now and now.hour < 13:
            return {"SE3": []}
        begins = [day.astimezone(dt_util.UTC) + i * HOUR for i in range(24)]
        rows: Any = [
            {"start": x.isoformat(), "end": (x + HOUR).isoformat(), "price": 100.0}
            for x in begins
        ]
        return {"SE3": rows}


@pytest.fixture
def entity(hass: HomeAssistant) -> str:
    """Return a price sensor of Nord Pool."""
    entry = MockConfigEntry(domain="nordpool")
    entry.add_to_hass(hass)
    registry = er.async_get(hass)
    return registry.async_get_or_create(
        "sensor", "nordpool", "price", config_entry=entry
    ).entity_id


async def look(hass: HomeAssistant, *forecasts: Forecast) -> None:
    """Let forecasts look twice: what an action returns is there at the second time."""
    for _ in range(2):
        for forecast in forecasts:
            forecast.look(dt_util.utcnow())
        await hass.async_block_till_done(wait_background_tasks=True)


async def test_an_action_is_called_when_prices_are_due(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entity: str
) -> None:
    """Tomorrow would be planned hours late, or the exchange be asked every half minute by each miner."""
    await hass.config.async_set_time_zone("Europe/Stockholm")
    exchange = Exchange(hass)
    options = {CONF_PRICE_SENSOR: entity, CONF_FORECAST_TAX: 25, CONF_FORECAST_FEE: 0.1}
    freezer.move_to("2026-03-10T08:00:00+00:00")
    first, second = Forecast(hass, options), Forecast(hass, options)
    assert first.is_set_up
    await look(hass, first, second)
    assert exchange.calls == ["2026-03-10", "2026-03-11"]
    assert [x.price for x in second.slots] == [pytest.approx(0.225)] * 24
    known = steps(dt_util.utcnow(), first.slots, dt_util.get_default_time_zone())
    assert len(known.prices) == 15 * 4
    for _ in range(40):
        freezer.tick(30)
        await look(hass, first)
    assert len(exchange.calls) == 2
    freezer.move_to("2026-03-10T11:50:00+00:00")
    await look(hass, first)
    freezer.move_to("2026-03-10T12:05:00+00:00")
    await look(hass, first)
    assert first.slots[-1].end == dt_util.parse_datetime("2026-03-11T23:00:00+00:00")
    # What is known holds while the exchange does not answer.
    exchange.fails = True
    freezer.move_to("2026-03-10T18:00:00+00:00")
    await look(hass, first)
    assert len(exchange.calls) == 8
    assert first.error == "connection error"
    assert len(first.slots) == 48


async def test_the_prices_of_the_own_country_count(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """A home in Portugal would be planned with the prices of Spain."""

    async def answer(call: ServiceCall) -> ServiceResponse:
        day = datetime.fromisoformat(f"{call.data['date']}T00:00:00+00:00")
        end = (day + 24 * HOUR).isoformat()
        return {
            country: [{"start": day.isoformat(), "end": end, "price": price}]
            for country, price in (("es", 0.05), ("pt", 0.07))
        }

    hass.services.async_register(
        "omie",
        "get_prices_for_date",
        answer,
        supports_response=SupportsResponse.ONLY,
    )
    sensor = er.async_get(hass).async_get_or_create("sensor", "omie", "price")
    freezer.move_to("2026-03-10T08:00:00+00:00")
    await hass.config.async_update(country="PT", time_zone="UTC")
    forecast = Forecast(hass, {CONF_PRICE_SENSOR: sensor.entity_id})
    await look(hass, forecast)
    assert {slot.price for slot in forecast.slots} == {0.07}


async def test_attributes_are_read_when_they_change(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """The plan would count with öre as if they were kronor, or with the prices of yesterday."""
    freezer.move_to("2026-03-10T08:00:00+00:00")
    forecast = Forecast(hass, {CONF_FORECAST: ["sensor.any"]})
    assert forecast.is_set_up
    forecast.look(dt_util.utcnow())
    assert forecast.slots == []
    rows = [
        {"start": f"2026-03-10T{hour:02}:00:00+00:00", "value": 50 + hour}
        for hour in range(8, 20)
    ]
    hass.states.async_set(
        "sensor.any", "58", {"unit_of_measurement": "öre/kWh", "raw_today": rows}
    )
    forecast.look(dt_util.utcnow())
    assert forecast.slots[0].price == pytest.approx(0.58)
    assert len(forecast.slots) == 12
    hass.states.async_set("sensor.any", "unavailable")
    forecast.look(dt_util.utcnow())
    assert len(forecast.slots) == 12


async def test_a_sensor_without_a_forecast(hass: HomeAssistant) -> None:
    """A user with a plain price sensor would get a plan that never comes."""
    assert not Forecast(hass, {CONF_PRICE_SENSOR: "sensor.plain"}).is_set_up
    assert not Forecast(hass, {}).is_set_up


NOON = datetime(2026, 3, 10, 12, tzinfo=dt_util.UTC)


def quarters(*prices: float) -> list[Slot]:
    """Return slots of a quarter of an hour from noon on."""
    step = HOUR / 4
    return [
        Slot(NOON + i * step, NOON + (i + 1) * step, price)
        for i, price in enumerate(prices)
    ]


@pytest.mark.parametrize(
    ("price", "wrong"),
    [
        (0.08, False),  # that of the quarter
        (0.10, False),  # the mean of the hour
        (0.084, False),  # rounded
        (0.2, True),  # of another hour
        (80, True),  # per MWh
        (0.12, True),  # with taxes
    ],
)
def test_a_forecast_is_compared_with_the_price(price: float, wrong: bool) -> None:
    """Hours that are shifted, a wrong unit and missing taxes would stop the miner at the wrong time."""
    slots = quarters(0.08, 0.09, 0.11, 0.12, 0.2, 0.2, 0.2, 0.2)
    assert disagrees(slots, NOON + timedelta(minutes=5), price) is wrong


def test_nothing_known_for_now_disagrees_with_nothing() -> None:
    """A forecast of tomorrow would count as wrong today."""
    assert not disagrees(quarters(0.1), NOON - HOUR, 5)
    assert not disagrees([], NOON, 5)

"""The price forecast: read where the integration of an entity publishes it, at the right times."""

from datetime import datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest

from custom_components.whatsminer.const import CONF_FORECAST, CONF_PRICE_SENSOR
from custom_components.whatsminer.money.forecast import Forecast
from custom_components.whatsminer.money.prices import Slot, disagrees

HOUR = timedelta(hours=1)


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

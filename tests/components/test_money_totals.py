"""Totals of money: they add up, outlast restarts, and never book a loss that was none."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
)

from custom_components.whatsminer.const import (
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_PRICE_SENSOR,
    SCAN_INTERVAL,
)
from custom_components.whatsminer.money.economics import _code
from simulator import SimulatedMiner

from .conftest import Find, RaceClock

PRICE = "sensor.price"


@pytest.fixture
def pass_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, clock: RaceClock
) -> Callable[[int], Awaitable[None]]:
    """Let polls pass, each with its time."""

    async def run(polls: int) -> None:
        for _ in range(polls):
            freezer.tick(SCAN_INTERVAL)
            clock.advance(SCAN_INTERVAL.total_seconds())
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)

    return run


async def set_up(
    hass: HomeAssistant, entry: MockConfigEntry, **options: object
) -> None:
    """Set up the entry with options."""
    hass.config_entries.async_update_entry(entry, options=options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


def shown(hass: HomeAssistant, entity_id: Find, key: str) -> State:
    """Return the state of a total."""
    state = hass.states.get(entity_id("sensor", key))
    assert state
    return state


async def test_they_add_up(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    entity_id: Find,
    pass_time: Callable[[int], Awaitable[None]],
) -> None:
    """A bill that differs from power times price is of no use."""
    await set_up(hass, entry, **{CONF_FIXED_PRICE: 10.0, CONF_HASHPRICE: 24.0})
    await pass_time(12)  # the first is shorter
    power = float(shown(hass, entity_id, "power").state)
    cost = shown(hass, entity_id, "cost_total")
    hours = 11 * SCAN_INTERVAL / timedelta(hours=1)
    assert float(cost.state) == pytest.approx(power / 1000 * 10 * hours, rel=0.12)
    assert cost.attributes["unit_of_measurement"] == "EUR"
    assert cost.attributes["device_class"] == "monetary"
    assert cost.attributes["state_class"] == "total"
    assert cost.attributes["last_reset"]
    revenue = shown(hass, entity_id, "revenue_total")
    rate = float(shown(hass, entity_id, "hashrate").state)
    assert float(revenue.state) == pytest.approx(rate * hours, rel=0.12)


async def test_an_outage_is_not_counted(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    entity_id: Find,
    pass_time: Callable[[int], Awaitable[None]],
) -> None:
    """The cost of a miner that was not reachable is unknown."""
    await set_up(hass, entry, **{CONF_FIXED_PRICE: 10.0})
    await pass_time(3)
    before = float(shown(hass, entity_id, "cost_total").state)
    miner.inject("close")
    await pass_time(20)
    miner.clear_failures()
    await pass_time(1)
    assert float(shown(hass, entity_id, "cost_total").state) == before
    await pass_time(2)
    assert float(shown(hass, entity_id, "cost_total").state) > before


async def test_they_outlast_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, entity_id: Find
) -> None:
    """A total that starts again at 0 would be booked as money lost."""
    stored = {
        "total": 123.456,
        "currency": "EUR",
        "last_reset": "2026-01-01T00:00:00+00:00",
    }
    mock_restore_cache_with_extra_data(
        hass, [(State("sensor.m50_04eb_cost", "123.46"), stored)]
    )
    await set_up(hass, entry, **{CONF_FIXED_PRICE: 0.3})
    cost = shown(hass, entity_id, "cost_total")
    assert float(cost.state) == 123.46
    assert cost.attributes["last_reset"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"total": "x", "currency": "EUR", "last_reset": "2026-01-01T00:00:00+00:00"},
        {
            "total": float("nan"),
            "currency": "EUR",
            "last_reset": "2026-01-01T00:00+00:00",
        },
        {"total": 5.0, "currency": "EUR", "last_reset": "2026-01-01T00:00:00"},
        {"total": 5.0, "currency": "USD", "last_reset": "2026-01-01T00:00:00+00:00"},
    ],
)
async def test_a_lost_total_is_a_new_beginning(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    entity_id: Find,
    stored: dict[str, object] | None,
) -> None:
    """The statistics would show that the miner was paid to consume."""
    if stored is not None:
        mock_restore_cache_with_extra_data(
            hass, [(State("sensor.m50_04eb_cost", "5"), stored)]
        )
    await set_up(hass, entry, **{CONF_FIXED_PRICE: 0.3})
    cost = shown(hass, entity_id, "cost_total")
    assert float(cost.state) == 0
    start = datetime.fromisoformat(cost.attributes["last_reset"])
    assert datetime.now(UTC) - start < timedelta(minutes=5)


async def test_a_price_that_is_not_there_yet(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    entity_id: Find,
    pass_time: Callable[[int], Awaitable[None]],
) -> None:
    """A total in the wrong currency cannot be corrected later."""
    await set_up(hass, entry, **{CONF_PRICE_SENSOR: PRICE})
    assert shown(hass, entity_id, "cost_total").state == "unknown"
    hass.states.async_set(PRICE, "3", {"unit_of_measurement": "NOK/kWh"})
    await pass_time(3)
    cost = shown(hass, entity_id, "cost_total")
    assert float(cost.state) > 0
    assert cost.attributes["unit_of_measurement"] == "NOK"
    hass.states.async_set(PRICE, "unavailable", {"unit_of_measurement": "NOK/kWh"})
    before = float(cost.state)
    await pass_time(3)
    assert float(shown(hass, entity_id, "cost_total").state) == before


@pytest.mark.parametrize(
    ("money", "code"),
    [("EUR", "EUR"), ("€", "EUR"), ("eur", "EUR"), ("kr", "SEK"), ("$", "SEK")],
)
def test_codes_of_currencies(money: str, code: str) -> None:
    """The device class for money wants a code; some signs belong to several."""
    assert _code(money, "SEK") == code

"""What the power decisions have saved: counted from real polls, kept, and started again."""

from collections.abc import Awaitable, Callable

from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.whatsminer.const import (
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_PRICE_SENSOR,
)
from custom_components.whatsminer.money.profile import Window, poll_of
from simulator import SimulatedMiner

from .conftest import Call, Find
from .test_money_totals import pass_time, set_up, shown

__all__ = ["pass_time"]

type Pass = Callable[[int], Awaitable[None]]

KEYS = ("saved_always_on", "saved_limit")
PRICE = "sensor.price"
LOSING = {CONF_FIXED_PRICE: 100.0, CONF_HASHPRICE: 24.0}
"""Full power costs about 350 an hour and earns less than 200."""


def learn(entry: MockConfigEntry) -> None:
    """Let full power be learned."""
    base = poll_of(entry.runtime_data.coordinator.data, None, None).base
    entry.runtime_data.learning.profile.learn(Window(0.0, 100.0, 3400.0, 180.0, base))


async def test_a_stop_in_an_expensive_hour(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    entity_id: Find,
    pass_time: Pass,
    call: Call,
) -> None:
    """An owner would not learn what waiting for cheap hours is worth, or a lucky guess instead."""
    await set_up(hass, entry, **LOSING)
    for key in KEYS:
        assert shown(hass, entity_id, key).state == "unknown"
    learn(entry)
    await pass_time(3)
    always_on, limit = (float(shown(hass, entity_id, key).state) for key in KEYS)
    # At full power nothing is saved against always on, and the limit would have stopped.
    assert always_on == 0
    assert limit < -1
    miner.machine.power_off()
    await pass_time(3)
    assert miner.truth().mining is False
    before = [float(shown(hass, entity_id, key).state) for key in KEYS]
    await pass_time(12)
    after = [float(shown(hass, entity_id, key).state) for key in KEYS]
    # 12 polls are six minutes: a tenth of what an hour of full power loses
    assert after[0] - before[0] == pytest.approx((340 - 180) / 10, rel=0.1)
    assert after[1] - before[1] == pytest.approx(0, abs=0.3)
    await call("button", "reset_savings", "press")
    for key in KEYS:
        assert float(shown(hass, entity_id, key).state) == 0


async def test_unknown_price(
    hass: HomeAssistant, entry: MockConfigEntry, entity_id: Find, pass_time: Pass
) -> None:
    """A price that is missing would count as free electricity."""
    await set_up(hass, entry, **{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 24.0})
    learn(entry)
    await pass_time(3)
    assert shown(hass, entity_id, "saved_limit").state == "unknown"
    hass.states.async_set(PRICE, "100", {"unit_of_measurement": "EUR/kWh"})
    await pass_time(3)
    before = shown(hass, entity_id, "saved_limit")
    assert float(before.state) < 0
    assert before.attributes["unit_of_measurement"] == "EUR"
    hass.states.async_set(PRICE, "unavailable", {"unit_of_measurement": "EUR/kWh"})
    await pass_time(3)
    assert shown(hass, entity_id, "saved_limit").state == before.state


async def test_kept_over_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, entity_id: Find
) -> None:
    """Each update of Home Assistant would delete what a year has saved."""
    stored = {
        "total": -12.5,
        "currency": "EUR",
        "last_reset": "2026-01-01T00:00:00+00:00",
    }
    mock_restore_cache_with_extra_data(
        hass,
        [(State("sensor.m50_04eb_saved_against_always_on", "-12.5"), stored)],
    )
    await set_up(hass, entry, **LOSING)
    saved = shown(hass, entity_id, "saved_always_on")
    assert float(saved.state) == -12.5
    assert saved.attributes["last_reset"] == "2026-01-01T00:00:00+00:00"


async def test_nothing_saved_has_no_sign(
    hass: HomeAssistant, entry: MockConfigEntry, entity_id: Find
) -> None:
    """An owner would read -0.00 as a loss."""
    stored = {
        "total": -0.001,
        "currency": "EUR",
        "last_reset": "2026-01-01T00:00:00+00:00",
    }
    mock_restore_cache_with_extra_data(
        hass, [(State("sensor.m50_04eb_saved_against_always_on", "0.0"), stored)]
    )
    await set_up(hass, entry, **LOSING)
    assert shown(hass, entity_id, "saved_always_on").state == "0.0"

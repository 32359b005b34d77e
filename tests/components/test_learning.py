"""Learning: the profile of a miner comes from its ordinary polls, and survives a restart."""

from collections.abc import Awaitable, Callable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.whatsminer.const import (
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_HEAT_DEMAND,
    CONF_HEAT_SHARE,
    CONF_HEAT_SHARE_SENSOR,
    CONF_HEAT_SOURCE,
    CONF_PRICE_SENSOR,
    DOMAIN,
    SCAN_INTERVAL,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.diagnostics import async_get_config_entry_diagnostics
from custom_components.whatsminer.money.best import break_even
from custom_components.whatsminer.money.economics import FULL_BELOW
from custom_components.whatsminer.money.profile import Profile, poll_of
from simulator import SimulatedMiner

from .conftest import Call, Done, Find, RaceClock, Show, issue

type SetPercent = Callable[[int], Awaitable[None]]
type Pass = Callable[[float], Awaitable[None]]


@pytest.fixture
def pass_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, clock: RaceClock
) -> Pass:
    """Let minutes pass, each poll with its time."""

    async def run(minutes: float) -> None:
        for _ in range(int(minutes * 60 / SCAN_INTERVAL.total_seconds())):
            freezer.tick(SCAN_INTERVAL)
            clock.advance(SCAN_INTERVAL.total_seconds())
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)

    return run


@pytest.fixture
def reset(hass: HomeAssistant, entity_id: Find) -> Call:
    """Call the action, which returns nothing."""

    async def run(**data: Any) -> None:
        target = {"entity_id": entity_id("sensor", "profile_state")}
        await hass.services.async_call(
            DOMAIN, "reset_profile", {**target, **data}, blocking=True
        )

    return run


@pytest.fixture
def set_percent(call: Call, done: Done) -> SetPercent:
    """Set a percent, with the time that the miner needs to report it."""
    return lambda percent: done(
        call("number", "power_percent", "set_value", value=percent)
    )


@pytest.fixture
def profile_of(entry: MockConfigEntry) -> Callable[[], Profile]:
    """Return what is learned now."""
    return lambda: entry.runtime_data.learning.profile


def curve(hass: HomeAssistant, entity_id: Find) -> dict[int, dict[str, Any]]:
    """Return the curve that the sensor shows, by percent."""
    state = hass.states.get(entity_id("sensor", "profile_state"))
    assert state
    return {row["percent"]: row for row in state.attributes["curve"]}


@pytest.mark.parametrize(
    "profile",
    ["v205_m50", pytest.param("v2c_m60s", marks=pytest.mark.long), "v3_m7bs"],
)
async def test_levels_are_learned_and_kept(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    profile: str,
    miner: SimulatedMiner,
    set_percent: SetPercent,
    state: Show,
    entity_id: Find,
    pass_time: Pass,
) -> None:
    """The most profitable power would be that of another miner, or known only until a restart."""
    assert state("sensor", "profile_state") == "empty"
    assert state("sensor", "sweet_spot_power") == STATE_UNKNOWN
    truth = {}
    for percent in (100, 80, 60):
        if percent != 100 or profile == "v3_m7bs":  # which starts at 120
            await set_percent(percent)
        await pass_time(24)
        now = miner.truth()
        truth[percent] = now.power_w, now.hashrate_ths
        if percent == 100:
            assert state("sensor", "profile_state") == "one_level"
    found = curve(hass, entity_id)
    for percent, (watts, ths) in truth.items():
        assert found[percent]["power"] == pytest.approx(watts, rel=0.015), percent
        assert found[percent]["hashrate"] == pytest.approx(ths, rel=0.025), percent
        assert found[percent]["certainty"] == "measured"
    assert found[70]["certainty"] == "between"
    assert found[40]["certainty"] == "assumed"
    assert state("sensor", "profile_state") == "complete"
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["curve"] == list(found.values())
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert curve(hass, entity_id) == found


async def test_reset(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    reset: Call,
    state: Show,
    pass_time: Pass,
    profile_of: Callable[[], Profile],
) -> None:
    """After a repair the old curve would be believed for hours, also over a restart."""
    await pass_time(14)
    assert state("sensor", "profile_state") == "one_level"
    await reset(wear_only=True)
    assert profile_of().state == "one_level"
    await reset()
    assert state("sensor", "profile_state") == "empty"
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "profile_state") == "empty"


async def test_a_percent_that_restarts_leaves_two_levels(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    set_percent: SetPercent,
    pass_time: Pass,
    profile_of: Callable[[], Profile],
) -> None:
    """A miner that restarts for every percent would be restarted at each new price."""
    await pass_time(14)
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = False
    for percent in (80, 70):
        await set_percent(percent)
        await pass_time(40)
    assert profile_of().needs_fast_boot
    assert [level.percent for level in profile_of().levels] == [100]


async def test_a_restart_by_hand_is_not_blamed_on_a_percent(
    coordinator: WhatsminerCoordinator,
    call: Call,
    done: Done,
    set_percent: SetPercent,
    pass_time: Pass,
    profile_of: Callable[[], Profile],
) -> None:
    """A level would not be offered for a month because its owner restarted the miner."""
    await set_percent(50)
    await pass_time(2)
    await done(call("button", "restart_btminer", "press"))
    await pass_time(30)
    assert profile_of().lowest == 40


async def test_wear_is_a_problem_until_it_is_reset(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    state: Show,
    reset: Call,
) -> None:
    """Dust costs money for months before anybody looks."""
    assert state("binary_sensor", "worn") == STATE_UNKNOWN
    base = poll_of(coordinator.data, None, None).base
    coordinator.store.keep("profile", worn_profile(base))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state("binary_sensor", "worn") == STATE_ON
    found = issue(hass, "worn", entry)
    assert found
    assert found.translation_placeholders
    assert {"name": "Miner", "loss": "5"}.items() <= (
        found.translation_placeholders.items()
    )
    await reset(wear_only=True)
    assert state("binary_sensor", "worn") == STATE_UNKNOWN
    assert issue(hass, "worn", entry) is None


def worn_profile(base: object) -> dict[str, Any]:
    """Return what is stored of a miner that has lost 5 %."""
    return {
        "bases": [
            {
                "base": base,
                "bins": [
                    [9, 100, 3500, 189, 0],
                    [9, 80, 2800, 158, 0],
                    [9, 60, 2100, 126, 0],
                ],
                "frozen": [5.24, 0.8, 0.0, [100, 35]],
                "classes": {},
                "wear": -0.05,
                "worn": True,
            }
        ]
    }


@pytest.mark.parametrize("stored", [[], "text", {"bases": 7, "start": "x"}])
async def test_a_stored_profile_that_nobody_understands(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    state: Show,
    stored: Any,
) -> None:
    """A file of another version would keep the miner from being set up."""
    hass_storage[f"{DOMAIN}.{entry.entry_id}"] = {
        "version": 1,
        "minor_version": 1,
        "key": f"{DOMAIN}.{entry.entry_id}",
        "data": {"profile": stored},
    }
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "profile_state") == "empty"


async def test_prices_and_power_come_from_the_curve(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    state: Show,
) -> None:
    """An owner who stops at the average break-even stops too early, and runs too long at full power."""
    base = poll_of(coordinator.data, None, None).base
    coordinator.store.keep("profile", worn_profile(base))
    hass.states.async_set("sensor.price", "100", {"unit_of_measurement": "EUR/MWh"})
    options = {CONF_PRICE_SENSOR: "sensor.price", CONF_HASHPRICE: 0.05}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    levels = entry.runtime_data.learning.profile.levels
    limits = break_even(levels, 0.05, 15)
    assert limits
    shown = {
        key: float(state("sensor", key)) for key in ("break_even_price", FULL_BELOW)
    }
    assert shown["break_even_price"] == pytest.approx(limits.stop_above * 1000, 1e-4)
    assert shown[FULL_BELOW] == pytest.approx(limits.full_below * 1000, 1e-4)
    assert shown[FULL_BELOW] < limits.average * 1000 < shown["break_even_price"]
    # Just on both sides of each price, the power is what its name says.
    for price, expected in (
        (shown[FULL_BELOW] * 0.99, {3500}),
        (shown[FULL_BELOW] * 1.01, {round(x.watts) for x in levels[:-1]}),
        (shown["break_even_price"] * 0.99, {round(levels[0].watts)}),
        (shown["break_even_price"] * 1.01, {0}),
        (-50, {3500}),
    ):
        hass.states.async_set(
            "sensor.price", str(price), {"unit_of_measurement": "EUR/MWh"}
        )
        await hass.async_block_till_done()
        assert int(float(state("sensor", "most_profitable_power"))) in expected, price
    hass.states.async_set("sensor.price", "unavailable")
    await hass.async_block_till_done()
    assert state("sensor", "most_profitable_power") == STATE_UNKNOWN


BY_SWITCH = {
    CONF_HEAT_SOURCE: "resistance",
    CONF_HEAT_SHARE_SENSOR: "input_boolean.heating",
}


async def test_power_counts_with_the_heat(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    state: Show,
) -> None:
    """A miner that replaces an electric heater would be stopped, and the heater would run instead."""
    base = poll_of(coordinator.data, None, None).base
    coordinator.store.keep("profile", worn_profile(base))
    options = {CONF_FIXED_PRICE: 0.3, CONF_HASHPRICE: 0.05}
    hass.states.async_set("sensor.share", "100", {"unit_of_measurement": "%"})
    hass.states.async_set("sensor.demand", "1300", {"unit_of_measurement": "W"})
    hass.states.async_set("input_boolean.heating", "on")
    for heat, power in (
        ({}, 0),
        ({CONF_HEAT_SOURCE: "resistance", CONF_HEAT_SHARE: 100}, 3500),
        ({CONF_HEAT_SOURCE: "resistance"}, 0),
        (
            {CONF_HEAT_SOURCE: "resistance", CONF_HEAT_SHARE_SENSOR: "sensor.share"},
            3500,
        ),
        ({CONF_HEAT_SOURCE: "resistance", CONF_HEAT_SHARE_SENSOR: "sensor.gone"}, 0),
        ({**BY_SWITCH, CONF_HEAT_DEMAND: "sensor.demand"}, 1400),
        ({**BY_SWITCH, CONF_HEAT_DEMAND: "sensor.gone"}, 3500),
    ):
        hass.config_entries.async_update_entry(entry, options=options | heat)
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert int(float(state("sensor", "most_profitable_power"))) == power, heat


async def test_a_percent_that_restarts_is_not_offered(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
) -> None:
    """A miner without fast boot would restart at each new price, and tune for 20 minutes."""
    base = poll_of(coordinator.data, None, None).base
    coordinator.store.keep("profile", worn_profile(base))
    miner.machine.fast_boot = False
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    data = entry.runtime_data
    assert len(data.planner.levels) > 1
    data.coordinator.store.note_percent_restarts()
    assert [level.percent for level in data.planner.levels] == [100]


async def test_without_a_curve_the_power_is_unknown(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    state: Show,
) -> None:
    """A nameplate in place of the curve would run the miner where it loses money."""
    options = {CONF_FIXED_PRICE: 0.1, CONF_HASHPRICE: 0.05}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "most_profitable_power") == STATE_UNKNOWN
    assert state("sensor", FULL_BELOW) == STATE_UNKNOWN
    assert float(state("sensor", "break_even_price")) > 0

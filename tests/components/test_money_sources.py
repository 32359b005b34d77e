"""The power sources *Most profitable* and *Plan*: the miner follows the price."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.whatsminer.const import (
    CONF_FORECAST,
    CONF_HASHPRICE,
    CONF_HOURS_AT_LEAST,
    CONF_HOURS_AT_MOST,
    CONF_PRICE_SENSOR,
    DOMAIN,
    SCAN_INTERVAL,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.exceptions import markdown
from custom_components.whatsminer.money.profile import poll_of
from custom_components.whatsminer.power.executor import EVENT_DECISION
from custom_components.whatsminer.power.record import Target
from simulator import SimulatedMiner

from .conftest import Call, Done, Find, RaceClock, Show, in_steps, issue

type Pass = Callable[[float], Awaitable[None]]

PRICE, FORECAST = "sensor.price", "sensor.forecast"
LIMIT = ("adjust_power_limit", "set.miner.power_limit")
MINING = ("power_on", "power_off", "set.miner.service")
HASHPRICE = 0.05
FULL_POWER, SEVENTY, STOP = 0.05, 0.097, 0.2
"""Prices at which the curve below leads to full power, to 70 % and to a stop."""


@pytest.fixture
def pass_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, clock: RaceClock
) -> Pass:
    """Let minutes pass with a poll every five; the commands in between take their time."""

    async def run(minutes: float) -> None:
        end = dt_util.utcnow() + timedelta(minutes=minutes)
        while (left := end - dt_util.utcnow()) > timedelta():
            tick = max(min(left, timedelta(minutes=5)), SCAN_INTERVAL)
            freezer.tick(tick)
            clock.advance(tick.total_seconds())
            async_fire_time_changed(hass)
            # A command that is confirmed by reading again needs time.
            due = hass.async_block_till_done(wait_background_tasks=True)
            await in_steps(due, freezer, 0.002, clock, 0.002)

    return run


def price(hass: HomeAssistant, value: float | str) -> None:
    """Let the price sensor report a price."""
    hass.states.async_set(PRICE, str(value), {"unit_of_measurement": "EUR/kWh"})


def forecast(hass: HomeAssistant, prices: list[float], begin: datetime) -> None:
    """Publish hourly prices, as many integrations do."""
    rows = [
        {"start": (begin + timedelta(hours=i)).isoformat(), "value": one}
        for i, one in enumerate(prices)
    ]
    attributes = {"unit_of_measurement": "EUR/kWh", "raw_today": rows}
    hass.states.async_set(FORECAST, str(prices[0]), attributes)


@pytest.fixture
def set_up(
    hass: HomeAssistant, entry: MockConfigEntry, coordinator: WhatsminerCoordinator
) -> Call:
    """Return a function that sets a miner up whose curve is known, with options."""

    async def run(**options: Any) -> None:
        data = coordinator.data
        watts = data.summary.power if data.summary else 0
        assert watts
        bins = [
            [9, p, watts * p / 100, 189 * (p / 100) ** 0.8 * watts / 3500, 0]
            for p in (100, 80, 60, 40)
        ]
        base = poll_of(data, None, None).base
        coordinator.store.keep("profile", {"bases": [{"base": base, "bins": bins}]})
        options = {CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: HASHPRICE} | options
        hass.config_entries.async_update_entry(entry, options=options)
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()

    return run


@pytest.fixture
def select(call: Call) -> Callable[[str], Awaitable[None]]:
    """Select a power source."""
    return lambda key: call("select", "power_source", "select_option", option=key)


def commands(miner: SimulatedMiner, names: tuple[str, ...]) -> int:
    """Return how often commands have reached the miner."""
    return sum(command.name in names for command in miner.commands)


def percent(miner: SimulatedMiner) -> float:
    """Return the percent that the miner is at, 0 if it is stopped."""
    return miner.machine.power_percent if miner.truth().mining else 0


@pytest.mark.parametrize(
    "profile",
    ["v205_m50", pytest.param("v2c_m60s", marks=pytest.mark.long), "v3_m7bs"],
)
async def test_the_miner_follows_the_price(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    state: Show,
    pass_time: Pass,
) -> None:
    """It would mine at a loss, or stand while electricity is cheap."""
    price(hass, FULL_POWER)
    await set_up()
    decisions = async_capture_events(hass, EVENT_DECISION)
    await select("most_profitable")
    await pass_time(2)
    assert percent(miner) == 100
    assert state("sensor", "power_decided_by") == "most_profitable"
    price(hass, SEVENTY)
    await pass_time(25)
    assert percent(miner) == 70
    limits = commands(miner, LIMIT)
    price(hass, STOP)
    await pass_time(5)
    assert percent(miner) == 0
    assert decisions[-1].data["percent"] == 0
    assert decisions[-1].data["why"] == "price"
    assert decisions[-1].data["price"] == pytest.approx(STOP)
    price(hass, FULL_POWER)
    await pass_time(10)
    assert percent(miner) == 0  # the shortest stop
    await pass_time(60)
    assert percent(miner) == 100
    assert commands(miner, LIMIT) == limits


LIMITS = {"limit_stop_above": 0.3, "limit_resume_below": 0.25, "hashprice": None}


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("EUR/kWh", 1), ("ct/kWh", 100), ("EUR/MWh", 1000), ("öre", 100)],
)
async def test_the_miner_keeps_the_price_limits(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    state: Show,
    entity_id: Find,
    pass_time: Pass,
    unit: str,
    scale: float,
) -> None:
    """It would run while electricity is expensive, also after a restart in such an hour."""

    def cost(value: float) -> None:
        attributes = {"unit_of_measurement": unit}
        hass.states.async_set(PRICE, str(value * scale), attributes)

    cost(0.2)
    await set_up(**LIMITS)
    decisions = async_capture_events(hass, EVENT_DECISION)
    await select("price_limits")
    await pass_time(65)
    assert percent(miner) == 100
    cost(0.28)
    await pass_time(10)
    assert percent(miner) == 100
    cost(0.31)
    await pass_time(5)
    assert percent(miner) == 0
    assert decisions[-1].data["why"] == "price"
    assert decisions[-1].data["price"] == pytest.approx(0.31)
    shown = hass.states.get(entity_id("sensor", "power_decided_by"))
    assert shown
    assert (shown.state, shown.attributes["why"]) == ("price_limits", "price")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    cost(0.26)
    await pass_time(40)
    assert percent(miner) == 0
    cost(0.24)
    await pass_time(10)
    assert percent(miner) == 100
    cost(0.4)
    await pass_time(30)
    assert percent(miner) == 100  # the shortest run
    await pass_time(40)
    assert percent(miner) == 0
    assert commands(miner, MINING) == 3
    assert commands(miner, LIMIT) == 0


async def test_less_power_between_the_limits(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    pass_time: Pass,
) -> None:
    """The percent of a user who knows the curve would cost a restart, or not be set."""
    price(hass, 0.22)
    middle = {"limit_middle_percent": 60, "limit_middle_above": 0.2}
    await set_up(**LIMITS, **middle)
    await select("price_limits")
    await pass_time(15)
    assert percent(miner) == 60
    price(hass, 0.14)
    await pass_time(15)
    assert percent(miner) == 100
    assert commands(miner, MINING) == commands(miner, LIMIT) == 0


async def test_the_break_even_as_limit(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    pass_time: Pass,
) -> None:
    """Mining at a loss costs money; 189 TH/s at 0.05 earn what 3.5 kWh cost at 0.1125."""
    price(hass, 0.11)
    await set_up(limit_break_even=True)
    await select("price_limits")
    await pass_time(65)
    assert percent(miner) == 100
    price(hass, 0.115)
    await pass_time(5)
    assert percent(miner) == 0
    await pass_time(40)
    price(hass, 0.108)
    await pass_time(5)
    assert percent(miner) == 0
    price(hass, 0.105)
    await pass_time(5)
    assert percent(miner) == 100


@pytest.mark.parametrize(
    ("unknown", "runs"), [("resume", True), ("stop", False), ("leave", False)]
)
async def test_limits_without_a_price(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    entity_id: Find,
    pass_time: Pass,
    unknown: str,
    runs: bool,
) -> None:
    """A dead sensor would start the miner immediately, or keep it off for good."""
    price(hass, 0.4)
    await set_up(**LIMITS, limit_unknown=unknown)
    await select("price_limits")
    await pass_time(70)
    assert percent(miner) == 0
    price(hass, "unavailable")
    await pass_time(50)
    assert percent(miner) == 0
    shown = hass.states.get(entity_id("sensor", "power_decided_by"))
    assert shown
    assert shown.attributes["why"] == "price_unknown"
    await pass_time(20)
    assert (percent(miner) == 100) is runs


async def test_limits_with_a_price_that_is_too_old(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    pass_time: Pass,
) -> None:
    """A sensor that stopped at a low price would keep the miner running for ever."""
    price(hass, 0.1)
    await set_up(**LIMITS, limit_oldest=3, limit_unknown="stop")
    await select("price_limits")
    await pass_time(120)
    price(hass, 0.1)  # the same price, reported again
    await pass_time(170)
    assert percent(miner) == 100
    await pass_time(15)
    assert percent(miner) == 0


async def test_the_price_limits_need_a_limit(
    miner: SimulatedMiner, set_up: Call, entry: MockConfigEntry
) -> None:
    """A source without a limit would do nothing, and the user would wait for it."""
    for options, offered in (
        ({"limit_stop_above": None}, False),
        ({"limit_stop_above": 0.3}, True),
        ({"limit_stop_above": 0.3, "price_sensor": None}, False),
        ({"limit_break_even": True}, True),
        ({"limit_break_even": True, "hashprice": None}, False),
    ):
        await set_up(**options)
        keys = entry.runtime_data.curtailment.source_keys
        assert ("price_limits" in keys) is offered, options


NIGHT = [FULL_POWER] * 2
PEAKS = [*NIGHT, STOP, STOP, *NIGHT, STOP, STOP, *NIGHT]
"""Ten hours with two peaks."""


@pytest.fixture
def this_hour(freezer: FrozenDateTimeFactory) -> datetime:
    """Go to the begin of an hour."""
    now = dt_util.utcnow().replace(minute=0, second=5, microsecond=0)
    freezer.move_to(now)
    return now.replace(second=0)


@pytest.mark.parametrize(
    "profile",
    ["v205_m50", pytest.param("v2c_m60s", marks=pytest.mark.long), "v3_m7bs"],
)
async def test_the_miner_follows_the_plan(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    state: Show,
    entity_id: Find,
    pass_time: Pass,
) -> None:
    """A day with two peaks would cost what it should earn, also over a restart of Home Assistant."""
    forecast(hass, PEAKS, this_hour)
    price(hass, FULL_POWER)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(5)
    assert state("sensor", "plan_status") == "following"
    assert state("calendar", "plan") == "on"
    planned = hass.states.get(entity_id("sensor", "plan_status"))
    assert planned
    steps = planned.attributes["steps"]
    seen = []
    for hour, now in enumerate(PEAKS[:8]):
        price(hass, now)
        await pass_time(30)
        if hour == 3:
            await hass.config_entries.async_reload(entry.entry_id)
            await hass.async_block_till_done()
            await pass_time(5)
        seen.append((percent(miner), steps[4 * hour + 2]["percent"]))
        await pass_time(30 - 5 * (hour == 3))
    assert seen == [(wanted, wanted) for _, wanted in seen]
    assert [wanted > 0 for _, wanted in seen] == [one < STOP for one in PEAKS[:8]]
    assert commands(miner, LIMIT) == 0


async def test_the_plan_leaves_with_its_options(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    entity_id: Find,
    call: Call,
    done: Done,
    pass_time: Pass,
) -> None:
    """A miner that the plan stopped would stay off for good, and dead entities would show a plan."""
    forecast(hass, [STOP] * 4, this_hour)
    price(hass, STOP)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(10)
    assert percent(miner) == 0
    plan = [entity_id("calendar", "plan")]
    plan += [entity_id("sensor", key) for key in ("plan_status", "plan_next_change")]
    hass.config_entries.async_update_entry(entry, options={})
    await hass.config_entries.async_reload(entry.entry_id)
    await pass_time(10)
    assert percent(miner) == 100
    registry = er.async_get(hass)
    assert not [one for one in plan if registry.async_get(one) or hass.states.get(one)]
    await done(call("switch", "mining", "turn_off"))
    await hass.config_entries.async_reload(entry.entry_id)
    await pass_time(5)
    assert percent(miner) == 0


async def test_what_the_user_sets_counts_more(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    state: Show,
    call: Call,
    done: Done,
    pass_time: Pass,
) -> None:
    """A miner that was switched off for work on it would start again."""
    price(hass, FULL_POWER)
    await set_up()
    await select("most_profitable")
    await pass_time(5)
    await done(call("switch", "mining", "turn_off"))
    assert state("select", "power_source") == "manual"
    await select("most_profitable")
    await pass_time(60)
    assert not miner.truth().mining
    assert state("sensor", "power_decided_by") == "baseline"
    await done(call("switch", "mining", "turn_on"))
    await pass_time(40)
    assert state("select", "power_source") == "manual"
    assert miner.truth().mining


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_lowered_miner_is_not_at_full_power(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    call: Call,
    done: Done,
    pass_time: Pass,
) -> None:
    """A miner that does not report its percent would be thought to earn less than it does."""
    price(hass, FULL_POWER)
    options = {CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: HASHPRICE}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.config_entries.async_reload(entry.entry_id)
    await pass_time(5)
    [full] = entry.runtime_data.planner.levels
    await done(call("number", "power_percent", "set_value", value=60))
    await pass_time(10)
    assert miner.machine.power_percent == 60
    [level] = entry.runtime_data.planner.levels
    assert level.ths == pytest.approx(full.ths, rel=0.1)


async def test_a_curtailment_counts_more(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    state: Show,
    done: Done,
    pass_time: Pass,
) -> None:
    """A grid call would be answered with full power."""
    forecast(hass, [FULL_POWER] * 8, this_hour)
    price(hass, FULL_POWER)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(5)
    executor = entry.runtime_data.curtailment
    await done(executor.async_curtail(Target.STOP, reason="grid"))
    await pass_time(60)
    assert not miner.truth().mining
    assert state("sensor", "plan_status") == "held"
    assert state("select", "power_source") == "plan"
    await done(executor.async_resume("grid"))
    await pass_time(10)
    assert miner.truth().mining
    assert state("sensor", "plan_status") == "following"


async def test_a_plan_that_cannot_be_carried_out(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    set_up: Call,
    select: Any,
    state: Show,
    pass_time: Pass,
) -> None:
    """The owner would wonder why the miner runs in the expensive hours, or not understand it."""
    hass.config.language = "de"
    price(hass, STOP)
    await set_up()
    miner.api_switch = False
    await select("most_profitable")
    await pass_time(10)
    found = issue(hass, "source_failing", entry)
    assert found
    assert found.translation_placeholders
    texts = await async_get_translations(hass, "de", "exceptions", [DOMAIN])
    sentence = texts[f"component.{DOMAIN}.exceptions.write_api_disabled.message"]
    sentence = sentence.format(host=entry.data[CONF_HOST])
    assert found.translation_placeholders["error"] == markdown(sentence)
    assert state("sensor", "power_target_way") == "failed"
    miner.api_switch = True
    await pass_time(10)
    assert not miner.truth().mining
    assert issue(hass, "source_failing", entry) is None


@pytest.mark.parametrize(
    ("published", "status"),
    [
        ([], "no_forecast"),
        ([FULL_POWER * 1000] * 12, "wrong_unit"),
        ([FULL_POWER * 1.5] * 12, "differs"),
        ([FULL_POWER] * 2, "ended"),
    ],
)
async def test_a_forecast_that_is_of_no_use(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    state: Show,
    pass_time: Pass,
    published: list[float],
    status: str,
) -> None:
    """The miner would follow a wrong plan, and its owner would not find out why."""
    if published:
        begin = this_hour - timedelta(hours=status == "ended")
        forecast(hass, published, begin)
    price(hass, FULL_POWER)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(70)
    assert state("sensor", "plan_status") == status
    assert percent(miner) == 100
    price(hass, STOP)
    await pass_time(10)
    assert percent(miner) == 0


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        # The prices are right, but their hours do not follow the clock change.
        ([(-1, FULL_POWER), (0, STOP), (1, FULL_POWER), (2, FULL_POWER)], "differs"),
        ([(-1, FULL_POWER), (2, FULL_POWER), (3, FULL_POWER)], "hole"),
    ],
)
async def test_a_forecast_that_is_shifted_or_has_a_hole(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    state: Show,
    pass_time: Pass,
    rows: list[tuple[int, float]],
    status: str,
) -> None:
    """The miner would be stopped in a cheap hour, or run through an expensive one, and nothing would say why."""
    published = [
        {
            "start": (this_hour + timedelta(hours=hour)).isoformat(),
            "end": (this_hour + timedelta(hours=hour + 1)).isoformat(),
            "value": value,
        }
        for hour, value in rows
    ]
    attributes = {"unit_of_measurement": "EUR/kWh", "raw_today": published}
    hass.states.async_set(FORECAST, "0", attributes)
    price(hass, FULL_POWER)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(40)
    assert state("sensor", "plan_status") == status
    assert percent(miner) == 100
    await pass_time(25)
    price(hass, STOP)
    await pass_time(10)
    assert percent(miner) == 0


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("EUR/kWh", 1), ("öre/kWh", 100), ("ct/kWh", 100), ("EUR/MWh", 1000)],
)
async def test_a_forecast_in_any_unit_with_negative_prices(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    select: Any,
    state: Show,
    entity_id: Find,
    pass_time: Pass,
    unit: str,
    scale: float,
) -> None:
    """The miner would stop where it is paid for running, or run where a price was read in another unit."""
    values = [STOP, -0.05, STOP, STOP, STOP]
    rows = [
        {"start": (this_hour + timedelta(hours=i)).isoformat(), "value": value * scale}
        for i, value in enumerate(values)
    ]
    attributes = {"unit_of_measurement": unit, "raw_today": rows}
    hass.states.async_set(FORECAST, "0", attributes)
    price(hass, STOP)
    await set_up(**{CONF_FORECAST: [FORECAST]})
    await select("plan")
    await pass_time(5)
    assert state("sensor", "plan_status") == "following"
    shown = hass.states.get(entity_id("sensor", "plan_status"))
    assert shown
    steps = shown.attributes["steps"]
    assert {step["price"] for step in steps} == {STOP, -0.05}
    paid = [step["percent"] for step in steps if step["price"] < 0]
    assert paid == [100] * 4
    assert steps[-1]["percent"] == 0
    await pass_time(55)
    price(hass, -0.05)
    await pass_time(30)
    assert percent(miner) == 100


async def test_the_cheapest_hours_and_the_preview(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    this_hour: datetime,
    set_up: Call,
    device_id: str,
    state: Show,
    pass_time: Pass,
) -> None:
    """Without a hashprice the cheapest hours would be expensive ones; a preview would stop the miner."""
    await hass.config.async_set_time_zone("UTC")
    prices = [0.3, 0.1, 0.3, 0.1, 0.1, 0.3]
    forecast(hass, prices, this_hour)
    price(hass, prices[0])
    options = {CONF_HOURS_AT_LEAST: 2, CONF_HOURS_AT_MOST: 2, CONF_HASHPRICE: None}
    await set_up(**{CONF_FORECAST: [FORECAST]}, **options)
    await pass_time(5)
    answer = await hass.services.async_call(
        "whatsminer",
        "plan",
        {"device_id": device_id, CONF_HOURS_AT_MOST: 1},
        blocking=True,
        return_response=True,
    )
    assert answer
    steps: Any = answer["steps"]
    assert sum(step["percent"] > 0 for step in steps) <= 4
    assert {"price", "start", "reason", "gain"} <= steps[0].keys()
    assert answer["revenue"] is None
    assert state("sensor", "plan_status") == "ready"
    assert miner.truth().mining

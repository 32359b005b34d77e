"""Economics: what mining costs and earns, in the user's money, and never a made-up number."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import (
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.whatsminer.const import (
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_HASHPRICE_SENSOR,
    CONF_HEAT_EFFICIENCY,
    CONF_HEAT_PRICE,
    CONF_HEAT_SHARE,
    CONF_HEAT_SOURCE,
    CONF_POWER_LIMIT_MIN,
    CONF_PRICE_SENSOR,
    DOMAIN,
)
from custom_components.whatsminer.money.economics import ECONOMICS
from simulator import SimulatedMiner

from .conftest import Find, Poll, RaceClock, Show

type ReportPrice = Callable[[str, str | float, str | None], None]
type SetUp = Callable[..., Awaitable[None]]

PRICE = "sensor.electricity_price"
HASHPRICE = "sensor.hashprice"
KEYS = {
    row.key
    for row in ECONOMICS
    if not row.key.endswith("_total")
    and not row.key.startswith("saved_")
    and row.key != "effective_price"
}
"""The sensors that show the present; the totals have a file of their own."""
OF_THE_CURVE = {
    "break_even_price",
    "full_power_below",
    "most_profitable_power",
    "effective_price",
}
"""Those that are known while the miner is offline."""
PROFILED = {"full_power_below", "most_profitable_power"}
"""Those that are unknown until the profile has a first window."""
BY_HASHPRICE = {"revenue_per_hour", "break_even_price", "full_power_below"}


@pytest.fixture
def report_price(hass: HomeAssistant) -> ReportPrice:
    """Return a function that sets the state of a price sensor."""

    def run(entity_id: str, value: str | float, unit: str | None) -> None:
        attributes = {"unit_of_measurement": unit} if unit else {}
        hass.states.async_set(entity_id, str(value), attributes)

    return run


@pytest.fixture
def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> SetUp:
    """Return a function that sets up the integration with options."""

    async def run(**options: Any) -> None:
        hass.config_entries.async_update_entry(entry, options=options)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()

    return run


@pytest.fixture
def shown(hass: HomeAssistant, entity_id: Find) -> Callable[[str], tuple[float, str]]:
    """Return a function that reads number and unit of a sensor."""

    def read(key: str) -> tuple[float, str]:
        state = hass.states.get(entity_id("sensor", key))
        assert state
        return float(state.state), state.attributes["unit_of_measurement"]

    return read


@pytest.fixture
def existing(hass: HomeAssistant, entry: MockConfigEntry) -> Callable[[], set[str]]:
    """Return a function that reads which of the sensors are in the registry."""

    def read() -> set[str]:
        registry = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        keys = {
            found.unique_id.removeprefix(f"{entry.unique_id}_") for found in registry
        }
        return keys & KEYS

    return read


async def test_all_four(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A user who decides by these numbers would lose money."""
    report_price(PRICE, 0.3, "EUR/kWh")
    report_price(HASHPRICE, 0.048, "EUR/TH/day")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE_SENSOR: HASHPRICE})
    truth = miner.truth()
    cost = round(truth.power_w) / 1000 * 0.3
    revenue = truth.hashrate_ths * 0.048 / 24
    for key, value, unit in (
        ("cost_per_hour", cost, "EUR/h"),
        ("revenue_per_hour", revenue, "EUR/h"),
        ("margin_per_hour", revenue - cost, "EUR/h"),
        ("break_even_price", revenue / truth.power_w * 1000, "EUR/kWh"),
    ):
        assert shown(key) == (pytest.approx(value, rel=1e-3), unit), key
    # The definition of break-even, by the numbers themselves.
    report_price(PRICE, shown("break_even_price")[0], "EUR/kWh")
    await hass.async_block_till_done()
    assert shown("margin_per_hour")[0] == pytest.approx(0, abs=2e-3)


UNITS_OF_THE_PRICE = (
    (0.25, "EUR/kWh", 0.25, "EUR"),
    (0.25, "€/kWh", 0.25, "€"),
    (2.5, "SEK / kWh", 2.5, "SEK"),
    (250, "EUR/MWh", 0.25, "EUR"),
    (0.00025, "EUR/Wh", 0.25, "EUR"),
    (25, "ct/kWh", 0.25, "NOK"),
    (25, "c/kWh", 0.25, "NOK"),
    (25, "Cents/kWh", 0.25, "NOK"),
    (25, "¢/kWh", 0.25, "NOK"),
    (25, "p/kWh", 0.25, "NOK"),
    (25, "öre/kWh", 0.25, "NOK"),
    (25, "Øre/kWh", 0.25, "NOK"),
    (25_000, "ct/MWh", 0.25, "NOK"),
    (0.25, "kr/kW·h", 0.25, "kr"),
    (0.25, "/kWh", 0.25, "NOK"),
    (0.25, None, 0.25, "NOK"),
    (0.25, "EUR", 0.25, "EUR"),
    (25, "ct", 0.25, "NOK"),
    (-0.05, "EUR/kWh", -0.05, "EUR"),
)
"""Price, unit; price per kWh and currency of what is shown."""


async def test_units_of_the_price(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A price of 25 ct that is read as 25 EUR would stop every miner."""
    hass.config.currency = "NOK"
    report_price(PRICE, 1, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE})
    power = round(miner.truth().power_w) / 1000
    for price, unit, per_kwh, money in UNITS_OF_THE_PRICE:
        report_price(PRICE, price, unit)
        await hass.async_block_till_done()
        cost = pytest.approx(power * per_kwh)
        assert shown("cost_per_hour") == (cost, f"{money}/h"), (price, unit)


UNITS_OF_THE_HASHPRICE = (
    (0.05, "USD/TH/day", 0.05, "USD"),
    (0.05, "USD/TH/s/day", 0.05, "USD"),
    (50, "USD/PH/day", 0.05, "USD"),
    (50, "USD/PH/s/Day", 0.05, "USD"),
    (50, "$/PHs/d", 0.05, "$"),
    (50_000, "USD/EH/s/day", 0.05, "USD"),
    (0.00005, "USD/GH/day", 0.05, "USD"),
    (5, "ct/TH/day", 0.05, "EUR"),
    (5e-7, "BTC/TH/day", 5e-7, "BTC"),
    (0.05, "USD/TH", 0.05, "USD"),
    (0.05, None, 0.05, "EUR"),
)
"""Price, unit; price per TH/s and day, and currency of what is shown."""


async def test_units_of_the_hashprice(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A revenue that is a thousand times too high would keep a miner running at a loss."""
    report_price(HASHPRICE, 1, "EUR/TH/day")
    await set_up(**{CONF_HASHPRICE_SENSOR: HASHPRICE})
    truth = miner.truth()
    for price, unit, per_th, money in UNITS_OF_THE_HASHPRICE:
        report_price(HASHPRICE, price, unit)
        await hass.async_block_till_done()
        revenue = truth.hashrate_ths * per_th / 24
        break_even = revenue / truth.power_w * 1000
        for key, value, per in (
            ("revenue_per_hour", revenue, "h"),
            ("break_even_price", break_even, "kWh"),
        ):
            expected = pytest.approx(value, rel=1e-3), f"{money}/{per}"
            assert shown(key) == expected, (key, price, unit)


@pytest.mark.parametrize(
    ("price_unit", "break_even"),
    [
        ("EUR/kWh", 1.0),
        ("EUR/MWh", 1000.0),
        ("ct/kWh", 100.0),
        (None, 1.0),
    ],
)
async def test_break_even_is_written_like_the_price(
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
    price_unit: str | None,
    break_even: float,
) -> None:
    """An automation that compares the two prices would compare 0.08 with 80."""
    report_price(PRICE, 1, price_unit)
    truth = miner.truth()
    hashprice = 24 * truth.power_w / 1000 / truth.hashrate_ths  # 1 EUR/kWh breaks even
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: hashprice})
    assert shown("break_even_price") == (
        pytest.approx(break_even, rel=1e-3),
        price_unit or "EUR/kWh",
    )


async def test_fixed_hashprice_is_in_the_currency_of_the_price(
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A fixed number has no unit, so the margin would mix two currencies."""
    report_price(PRICE, 1, "SEK/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.5})
    revenue = miner.truth().hashrate_ths * 0.5 / 24
    assert shown("revenue_per_hour") == (pytest.approx(revenue, rel=1e-3), "SEK/h")
    assert shown("margin_per_hour")[1] == "SEK/h"


@pytest.mark.parametrize("value", [STATE_UNKNOWN, STATE_UNAVAILABLE, "nan", "", None])
async def test_unknown_price_costs_nothing_that_is_known(
    hass: HomeAssistant,
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    value: str | None,
) -> None:
    """A price that is missing for an hour would look like free electricity."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    assert float(state("sensor", "cost_per_hour")) > 0
    if value is None:
        hass.states.async_remove(PRICE)
    else:
        report_price(PRICE, value, "EUR/kWh")
    await hass.async_block_till_done()
    assert state("sensor", "cost_per_hour") == STATE_UNKNOWN
    assert state("sensor", "margin_per_hour") == STATE_UNKNOWN
    for key in ("revenue_per_hour", "break_even_price"):
        if value is None:  # the currency is unknown too
            assert state("sensor", key) == STATE_UNKNOWN
        else:
            assert float(state("sensor", key)) > 0


@pytest.mark.parametrize("unit", ["W", "kWh", "%", "EUR/h", "EUR/TH/day"])
async def test_sensor_that_is_no_price(
    set_up: SetUp, report_price: ReportPrice, state: Show, unit: str
) -> None:
    """A power sensor that replaces the price sensor would turn watts into money."""
    report_price(PRICE, 0.3, unit)
    await set_up(**{CONF_PRICE_SENSOR: PRICE})
    assert state("sensor", "cost_per_hour") == STATE_UNKNOWN


async def test_unknown_hashprice_earns_nothing_that_is_known(
    set_up: SetUp, report_price: ReportPrice, state: Show
) -> None:
    """A fixed number, which may be a year old, would replace the value of an unavailable sensor."""
    report_price(PRICE, 0.3, "EUR/kWh")
    report_price(HASHPRICE, STATE_UNAVAILABLE, "EUR/TH/day")
    await set_up(
        **{
            CONF_PRICE_SENSOR: PRICE,
            CONF_HASHPRICE_SENSOR: HASHPRICE,
            CONF_HASHPRICE: 0.05,
        }
    )
    for key in KEYS - {"cost_per_hour"}:
        assert state("sensor", key) == STATE_UNKNOWN, key
    assert float(state("sensor", "cost_per_hour")) > 0


async def test_follows_prices_between_polls(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """The price changes on the hour; a change half a minute later would make the history wrong."""
    report_price(PRICE, 0.3, "EUR/kWh")
    report_price(HASHPRICE, 0.05, "EUR/TH/day")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE_SENSOR: HASHPRICE})
    before = {key: shown(key)[0] for key in KEYS - PROFILED}
    asked = len(miner.commands)
    report_price(PRICE, 0.6, "EUR/kWh")
    report_price(HASHPRICE, 0.1, "EUR/TH/day")
    await hass.async_block_till_done()
    assert len(miner.commands) == asked
    for key, value in before.items():
        assert shown(key)[0] == pytest.approx(2 * value, rel=1e-4), key


@pytest.mark.parametrize("profile", ["v205_m50", "v3_m7bs"])
async def test_stopped_miner(
    miner: SimulatedMiner,
    clock: RaceClock,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
    poll: Poll,
) -> None:
    """A stopped miner earns 0 and still has a cost; the user also needs its break-even price."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    break_even = shown("break_even_price")
    assert break_even[0] > 0
    miner.machine.power_off()
    clock.advance(1200)
    await poll()
    cost = shown("cost_per_hour")[0]
    assert 0 < cost < 0.01
    assert shown("revenue_per_hour")[0] == 0
    assert shown("margin_per_hour")[0] == -cost
    assert shown("break_even_price") == break_even


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_stopped_miner_that_reports_no_power(
    miner: SimulatedMiner,
    clock: RaceClock,
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    poll: Poll,
) -> None:
    """On old firmware the power of a stopped miner is unknown, so a cost would be made up."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    break_even = state("sensor", "break_even_price")
    miner.machine.power_off()
    clock.advance(60)
    await poll()
    for key in KEYS - OF_THE_CURVE:
        assert state("sensor", key) == STATE_UNAVAILABLE, key
    assert state("sensor", "break_even_price") == break_even


async def test_break_even_outlasts_a_restart(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    set_up: SetUp,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A miner that waits for cheap electricity would never start."""
    miner.machine.power_off()
    clock.advance(1200)
    stored = State("sensor.m50_04eb_stop_above", "0.1")
    mock_restore_cache_with_extra_data(hass, [(stored, {"efficiency": 25.0})])
    await set_up(**{CONF_HASHPRICE: 0.06})
    # 40 TH per kWh and second, 1 TH/s for an hour earns 0.0025
    assert shown("break_even_price") == (pytest.approx(0.1), "EUR/kWh")


async def test_break_even_is_unknown_before_it_ever_mined(
    miner: SimulatedMiner,
    clock: RaceClock,
    set_up: SetUp,
    state: Show,
    poll: Poll,
) -> None:
    """While a miner starts and tunes, power and hashrate do not match, so the break-even price would be wrong."""
    miner.machine.power_off()
    clock.advance(1200)
    await set_up(**{CONF_HASHPRICE: 0.06})
    assert state("sensor", "break_even_price") == STATE_UNKNOWN
    miner.machine.power_on()
    clock.advance(400)
    await poll()
    assert state("sensor", "status") == "tuning"
    assert state("sensor", "break_even_price") == STATE_UNKNOWN
    clock.advance(7200)
    await poll()
    assert float(state("sensor", "break_even_price")) > 0


@pytest.mark.parametrize(
    ("price", "hashprice", "known"),
    [
        ("EUR/kWh", "USD/TH/day", False),
        ("SEK/kWh", "€/TH/day", False),
        ("€/kWh", "EUR/TH/day", True),
        ("$/kWh", "CAD/TH/day", True),
        ("eur/kWh", "EUR/TH/day", True),
        ("EUR/kWh", "BTC/TH/day", False),
        ("EUR/kWh", "sats/TH/day", False),
    ],
)
async def test_two_currencies_have_no_margin(
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    price: str,
    hashprice: str,
    known: bool,
) -> None:
    """Dollars minus crowns would look like a profit."""
    report_price(PRICE, 0.3, price)
    report_price(HASHPRICE, 0.05, hashprice)
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE_SENSOR: HASHPRICE})
    for key in ("margin_per_hour", "break_even_price"):
        assert (state("sensor", key) != STATE_UNKNOWN) is known, key
    assert float(state("sensor", "cost_per_hour")) > 0
    assert float(state("sensor", "revenue_per_hour")) > 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, set()),
        ({CONF_PRICE_SENSOR: PRICE}, {"cost_per_hour"}),
        ({CONF_HASHPRICE: 0.05}, BY_HASHPRICE),
        ({CONF_HASHPRICE_SENSOR: HASHPRICE}, BY_HASHPRICE),
        ({CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.0}, KEYS),
    ],
)
async def test_only_what_the_options_ask_for(
    set_up: SetUp,
    existing: Callable[[], set[str]],
    options: dict[str, Any],
    expected: set[str],
) -> None:
    """A user without prices would see sensors that stay unknown forever."""
    await set_up(**options)
    assert existing() == expected


async def test_removed_option_removes_its_sensors(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    set_up: SetUp,
    report_price: ReportPrice,
    existing: Callable[[], set[str]],
) -> None:
    """A cleared option would leave unavailable entities on the device page."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    assert existing() == KEYS
    for economics, expected in (
        ({CONF_PRICE_SENSOR: PRICE}, {"cost_per_hour"}),
        ({}, set()),
    ):
        result = await hass.config_entries.options.async_init(entry.entry_id)
        result = await hass.config_entries.options.async_configure(
            result["flow_id"], {CONF_POWER_LIMIT_MIN: 2000, "economics": economics}
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        assert existing() == expected
    assert not hass.states.get("sensor.m50_04eb_cost_per_hour")


async def test_price_that_comes_later(
    hass: HomeAssistant,
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    shown: Callable[[str], tuple[float, str]],
) -> None:
    """A price sensor that starts later than this integration would be ignored."""
    await set_up(**{CONF_PRICE_SENSOR: PRICE})
    assert state("sensor", "cost_per_hour") == STATE_UNKNOWN
    report_price(PRICE, 0.3, "SEK/kWh")
    await hass.async_block_till_done()
    assert shown("cost_per_hour")[1] == "SEK/h"


@pytest.mark.parametrize(
    ("earnings", "money"),
    [({CONF_HASHPRICE: 0.5}, "SEK"), ({CONF_HASHPRICE_SENSOR: HASHPRICE}, "EUR")],
)
async def test_no_unit_before_the_price_has_one(
    hass: HomeAssistant,
    set_up: SetUp,
    report_price: ReportPrice,
    shown: Callable[[str], tuple[float, str]],
    earnings: dict[str, Any],
    money: str,
) -> None:
    """A sensor that changes its unit at every start would have no statistics."""
    seen = set()

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        keys = "stop_above", "revenue_per_hour"
        if state and state.entity_id.endswith(keys) and state.state != STATE_UNKNOWN:
            seen.add(state.attributes["unit_of_measurement"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    report_price(HASHPRICE, 0.5, f"{money}/TH/day")
    await set_up(**{CONF_PRICE_SENSOR: PRICE}, **earnings)
    report_price(PRICE, 0.3, f"{money}/MWh")
    await hass.async_block_till_done()
    assert shown("break_even_price")[0] > 0
    assert seen == {f"{money}/MWh", f"{money}/h"}


async def test_miner_that_is_offline(
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    poll: Poll,
) -> None:
    """An offline miner would be shown with a cost, or as free."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    miner.inject("refuse")
    for _ in range(3):
        await poll()
    for key in KEYS - OF_THE_CURVE:
        assert state("sensor", key) == STATE_UNAVAILABLE, key


async def test_break_even_while_its_miner_is_offline(
    miner: SimulatedMiner,
    set_up: SetUp,
    report_price: ReportPrice,
    state: Show,
    poll: Poll,
) -> None:
    """An automation that stops ten miners by the break-even price of one would fail when that one is unplugged."""
    report_price(PRICE, 0.3, "EUR/kWh")
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    even = state("sensor", "break_even_price")
    assert float(even) > 0
    miner.inject("refuse")
    for _ in range(3):
        await poll()
    assert state("sensor", "break_even_price") == even


async def test_names(
    hass: HomeAssistant, entry: MockConfigEntry, set_up: SetUp
) -> None:
    """Automations of users would lose their entities."""
    await set_up(**{CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05})
    for key in (
        "cost_per_hour",
        "revenue_per_hour",
        "margin_per_hour",
        "break_even_price",
    ):
        assert er.async_get(hass).async_get_entity_id(
            "sensor", DOMAIN, f"{entry.unique_id}_{key}"
        )


@pytest.mark.parametrize(
    ("price", "heat", "expected"),
    [
        (0.25, ("fuel", 0.10, 0.9, 50), 0.1944),
        (0.25, ("fuel", 0.10, 0.9, 100), 0.1389),
        (0.25, ("heat_pump", None, 3.5, 50), 0.2143),
        (0.25, ("heat_pump", None, 3.5, 100), 0.1786),
        (0.30, ("resistance", None, None, 100), 0.0),
        (0.10, ("fuel", 0.10, 0.9, 100), -0.0111),
        (-0.02, ("heat_pump", None, 3, 50), -0.0167),
        (0.25, ("fuel", 0.09, None, 100), 0.15),
        (0.25, ("heat_pump", None, None, None), 0.25),
    ],
)
async def test_effective_price(
    set_up: SetUp,
    shown: Callable[[str], tuple[float, str]],
    price: float,
    heat: tuple[str, float | None, float | None, int | None],
    expected: float,
) -> None:
    """A miner that heats would be stopped although its heat pays for it."""
    keys = (CONF_HEAT_SOURCE, CONF_HEAT_PRICE, CONF_HEAT_EFFICIENCY, CONF_HEAT_SHARE)
    named = zip(keys, heat, strict=True)
    options = {key: value for key, value in named if value is not None}
    await set_up(**{CONF_FIXED_PRICE: price}, **options)
    assert shown("effective_price") == (pytest.approx(expected, abs=1e-4), "EUR/kWh")


async def test_effective_price_of_a_currency_that_is_not_that_of_the_fuel(
    set_up: SetUp, report_price: ReportPrice, state: Show
) -> None:
    """Dollars less euros are no price."""
    report_price(PRICE, 0.3, "USD/kWh")
    heat = {CONF_HEAT_SOURCE: "fuel", CONF_HEAT_PRICE: 0.1, CONF_HEAT_SHARE: 100}
    await set_up(**{CONF_PRICE_SENSOR: PRICE}, **heat)
    assert state("sensor", "effective_price") == STATE_UNKNOWN


@pytest.mark.parametrize(
    ("source", "efficiency"), [("fuel", 90), ("fuel", 0), ("heat_pump", 0.9)]
)
@pytest.mark.usefixtures("coordinator")
async def test_an_impossible_efficiency_is_refused(
    hass: HomeAssistant, entry: MockConfigEntry, source: str, efficiency: float
) -> None:
    """A user who types 90 for 90 % would get a value of heat near 0."""
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    heat = {CONF_HEAT_SOURCE: source, CONF_HEAT_EFFICIENCY: efficiency}
    result = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"heat": heat}
    )
    assert result["errors"] == {"base": "heat_impossible"}
    heat[CONF_HEAT_EFFICIENCY] = 1.0
    result = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"heat": heat}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options[CONF_HEAT_SOURCE] == source

"""Prices to come, in the shape of each source."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from custom_components.whatsminer.const import CONF_PRICE_SENSOR
from custom_components.whatsminer.money.prices import (
    SOURCES,
    Slot,
    read_slots,
    requests,
    wrong_scale,
)
from custom_components.whatsminer.money.units import parse_unit

BRUSSELS = ZoneInfo("Europe/Brussels")
TODAY = date(2026, 3, 1)
FIRST = datetime(2026, 2, 28, 23, tzinfo=UTC)
"""The local midnight of that day."""
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)


def local(hour: int, minute: int = 0) -> str:
    """Return a local moment of the day, with its zone."""
    return datetime(2026, 3, 1, hour, minute, tzinfo=BRUSSELS).isoformat()


def slots(length: timedelta, *prices: float) -> list[Slot]:
    """Return slots from midnight on."""
    return [
        Slot(FIRST + i * length, FIRST + (i + 1) * length, pytest.approx(price))
        for i, price in enumerate(prices)
    ]


NORDPOOL = [
    {
        "start": "2026-02-28T23:00:00+00:00",
        "end": "2026-02-28T23:15:00+00:00",
        "price": 81.5,
    },
    {
        "start": "2026-02-28T23:15:00+00:00",
        "end": "2026-02-28T23:30:00+00:00",
        "price": -3.0,
    },
]
AMBER = {
    "duration": 30,
    "date": "2026-03-01",
    "nem_date": "2026-03-01T00:30:00+10:00",
    "per_kwh": 0.21,
    "spot_per_kwh": 0.11,
    "renewables": 40,
    "spike_status": "none",
    "descriptor": "low",
}
OCTOPUS = {"value_inc_vat": 0.24, "is_capped": False}

CASES: list[tuple[str, dict[str, Any], str | None, list[Slot]]] = [
    ("nordpool", {"BE": NORDPOOL}, None, slots(QUARTER, 0.0815, -0.003)),
    (
        "tibber",
        {
            "prices": {
                "Home": [
                    {"start_time": "2026-03-01T00:00:00.000+01:00", "price": 0.31},
                    {"start_time": "2026-03-01T00:15:00.000+01:00", "price": 0.29},
                ]
            }
        },
        None,
        slots(QUARTER, 0.31, 0.29),
    ),
    (
        "amberelectric",
        {
            "forecasts": [
                {**AMBER, "start_time": local(0), "end_time": local(0, 30)},
                {
                    **AMBER,
                    "start_time": "2026-03-01T00:30:01+01:00",
                    "end_time": local(1),
                    "per_kwh": 0.2,
                },
            ]
        },
        None,
        slots(HOUR / 2, 0.21, 0.2),
    ),
    (
        "energyzero",
        {
            "prices": [
                {"price": 0.09, "timestamp": "2026-02-28 23:00:00+00:00"},
                {"price": 0.08, "timestamp": "2026-03-01 00:00:00+00:00"},
            ]
        },
        None,
        slots(HOUR, 0.09, 0.08),
    ),
    (
        "energyzero",
        {
            "prices": [
                {
                    "price": 0.09,
                    "timestamp": "2026-02-28 23:00:00+00:00",
                    "start": "2026-02-28 23:00:00+00:00",
                    "end": "2026-02-28 23:15:00+00:00",
                }
            ]
        },
        None,
        slots(QUARTER, 0.09),
    ),
    (
        "easyenergy",
        {
            "prices": [
                {"timestamp": "2026-02-28 23:00:00+00:00", "price": 0.12},
                {"timestamp": "2026-03-01 00:00:00+00:00", "price": 0.13},
            ]
        },
        None,
        slots(HOUR, 0.12, 0.13),
    ),
    (
        "green_planet_energy",
        {
            "prices": [{"start": local(0), "end": local(0, 15), "price": 0.3}],
            "hours_requested": 24,
        },
        None,
        slots(QUARTER, 0.3),
    ),
    (
        "omie",
        {
            "es": [{"start": local(0), "end": local(0, 15), "price": 0.05}],
            "pt": [{"start": local(0), "end": local(0, 15), "price": 0.07}],
        },
        None,
        slots(QUARTER, 0.05),
    ),
    (
        "ecosmart",
        {
            "forecasts": [
                {"start_time": local(0), "price": 23.0, "price_excl_gst": 20.0},
                {"start_time": local(0, 30), "price": 24.0, "price_excl_gst": 20.9},
            ]
        },
        None,
        slots(HOUR / 2, 0.23, 0.24),
    ),
    (
        "pvpc_hourly_pricing",
        {"price_00h": 0.1, "price_01h": 0.2, "price_ratio": 0.5, "tariff": "2.0TD"},
        "€/kWh",
        slots(HOUR, 0.1, 0.2),
    ),
    (
        "nordpool_custom",
        {
            "raw_today": [
                {
                    "start": datetime(2026, 3, 1, 0, tzinfo=BRUSSELS),
                    "end": datetime(2026, 3, 1, 1, tzinfo=BRUSSELS),
                    "value": 8.0,
                },
                {
                    "start": datetime(2026, 3, 1, 1, tzinfo=BRUSSELS),
                    "end": datetime(2026, 3, 1, 2, tzinfo=BRUSSELS),
                    "value": None,
                },
            ],
            "raw_tomorrow": [],
            "today": [8.0, None],
        },
        "c/kWh",
        slots(HOUR, 0.08),
    ),
    (
        "energidataservice",
        {
            "raw_today": [
                {"hour": datetime(2026, 3, 1, 0, tzinfo=BRUSSELS), "price": 81.0},
                {"hour": datetime(2026, 3, 1, 1, tzinfo=BRUSSELS), "price": 82.0},
            ],
            "raw_tomorrow": None,
        },
        "Øre/kWh",
        slots(HOUR, 0.81, 0.82),
    ),
    (
        "entsoe",
        {
            "prices_today": [
                {"time": "2026-03-01 00:00:00+01:00", "price": 0.11},
                {"time": "2026-03-01 01:00:00+01:00", "price": 0.12},
            ],
            "prices_tomorrow": [],
            "prices": [
                {"time": "2026-03-01 00:00:00+01:00", "price": 0.11},
                {"time": "2026-03-01 01:00:00+01:00", "price": 0.12},
            ],
        },
        "EUR/kWh",
        slots(HOUR, 0.11, 0.12),
    ),
    (
        "epex_spot",
        {
            "data": [
                {"start_time": local(0), "end_time": local(0, 15), "price_per_kwh": 0.1}
            ]
        },
        "EUR/kWh",
        slots(QUARTER, 0.1),
    ),
    (
        "epex_spot",
        {
            "data": [
                {
                    "start_time": local(0),
                    "end_time": local(1),
                    "price_eur_per_mwh": 100.0,
                    "price_ct_per_kwh": 10.0,
                }
            ]
        },
        "ct/kWh",
        slots(HOUR, 0.1),
    ),
    (
        "octopus_energy",
        {
            "rates": [
                {**OCTOPUS, "start": local(0), "end": local(0, 30)},
                {**OCTOPUS, "start": local(0, 30), "end": local(1)},
            ]
        },
        None,
        slots(HOUR / 2, 0.24, 0.24),
    ),
    (
        "emhass",
        {
            "unit_load_cost_forecasts": [
                {"date": local(0), "unit_load_cost": "0.12"},
                {"date": local(0, 30), "unit_load_cost": "0.13"},
            ]
        },
        "€/kWh",
        slots(HOUR / 2, 0.12, 0.13),
    ),
    (
        "haeo",
        {
            "forecast": [
                {"time": datetime(2026, 3, 1, 0, tzinfo=BRUSSELS), "value": 90.0},
                {"time": datetime(2026, 3, 1, 1, tzinfo=BRUSSELS), "value": 95.0},
            ],
            "interpolation_mode": "previous",
        },
        "EUR/MWh",
        slots(HOUR, 0.09, 0.095),
    ),
    (
        "generic",
        {
            "friendly_name": "Tariff",
            "hours": [
                {"datetime": "2026-03-01T00:00", "cost": "12"},
                {"datetime": "2026-03-01T01:00", "cost": "13"},
            ],
        },
        "öre/kWh",
        slots(HOUR, 0.12, 0.13),
    ),
]


@pytest.mark.parametrize(
    ("source", "data", "unit", "expected"),
    [pytest.param(*case, id=f"{case[0]} {i}") for i, case in enumerate(CASES)],
)
def test_source(
    source: str, data: dict[str, Any], unit: str | None, expected: list[Slot]
) -> None:
    """A user of that source would get no plan, or one for prices 100 times too high."""
    found = read_slots(SOURCES[source], data, zone=BRUSSELS, today=TODAY, unit=unit)
    assert found == expected


def test_every_source_is_tested() -> None:
    """A row without a test of its shape is a guess."""
    assert {case[0] for case in CASES} == set(SOURCES)


def test_the_area_is_chosen() -> None:
    """A home in Portugal must not be planned with the prices of Spain."""
    data = next(data for source, data, *_ in CASES if source == "omie")
    kwargs = {"zone": BRUSSELS, "today": TODAY}
    omie = SOURCES["omie"]
    assert read_slots(omie, data, area="pt", **kwargs) == slots(QUARTER, 0.07)
    assert read_slots(omie, data, area="fr", **kwargs) == read_slots(
        omie, data, **kwargs
    )


def generic(items: list[dict[str, Any]]) -> list[Slot]:
    """Read one list of an unknown source."""
    return read_slots(SOURCES["generic"], {"list": items}, zone=BRUSSELS, today=TODAY)


def test_a_hole_stays_unknown() -> None:
    """The plan would use a price that was never published."""
    items = [{"start": local(hour), "price": 0.1} for hour in (0, 1, 2, 5, 6)]
    found = generic(items)
    assert [x.end - x.start for x in found] == [HOUR] * 5
    assert found[2].end < found[3].start


def test_order_and_copies_do_not_matter() -> None:
    """Sources publish today and tomorrow in any order, and some hours twice."""
    items = [{"start": local(hour), "price": hour / 10} for hour in (2, 0, 1, 0)]
    assert generic(items) == slots(HOUR, 0.0, 0.1, 0.2)


def test_local_moments_on_the_long_day() -> None:
    """The hour that comes twice in autumn would get one of its prices for both."""
    names = ["01:00", "02:00", "02:00", "03:00"]
    items = [{"start": f"2026-10-25T{x}", "price": i} for i, x in enumerate(names)]
    begin = datetime(2026, 10, 24, 23, tzinfo=UTC)
    assert [x.start for x in generic(items)] == [begin + i * HOUR for i in range(4)]
    names.append("04:00")
    items = [
        {"start": f"2026-10-25 {a}", "end": f"2026-10-25 {b}", "price": i}
        for i, (a, b) in enumerate(pairwise(names))
    ]
    found = generic(items)
    assert [x.start for x in found] == [begin + i * HOUR for i in range(4)]
    assert [x.end - x.start for x in found] == [HOUR] * 4


@pytest.mark.parametrize(
    ("today", "extra", "count", "first"),
    [
        pytest.param(
            date(2026, 10, 25), {"price_02h_d": 0.5}, 25, 22, id="the long day"
        ),
        pytest.param(date(2026, 3, 29), {}, 23, 23, id="the short day"),
        pytest.param(
            date(2026, 6, 1), {"price_next_day_00h": 0.7}, 25, 22, id="tomorrow"
        ),
    ],
)
def test_hours_without_a_date(
    today: date, extra: dict[str, float], count: int, first: int
) -> None:
    """In Spain the plan would be off by an hour on two days of the year."""
    data = {f"price_{hour:02d}h": hour / 100 for hour in range(24)} | extra
    source = SOURCES["pvpc_hourly_pricing"]
    found = read_slots(source, data, zone=ZoneInfo("Europe/Madrid"), today=today)
    assert len(found) == count
    assert found[0].start.hour == first
    assert all(a.end == b.start for a, b in pairwise(found))


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([{"start": "soon", "price": 1}], id="no moment"),
        pytest.param([{"price": 1}], id="no start"),
        pytest.param([{"start": local(0), "end": local(0), "price": 1}], id="no time"),
        pytest.param(
            [{"start": local(0), "end": local(1), "price": "unknown"}], id="no number"
        ),
        pytest.param(
            [{"start": local(0), "end": local(1), "price": float("nan")}], id="nan"
        ),
        pytest.param(
            [{"start": local(0), "end": local(1), "price": True}], id="a flag"
        ),
        pytest.param(
            [{"start": local(0), "end": local(1), "a": 1, "b": 2}], id="two numbers"
        ),
        pytest.param([{"start": local(0), "price": 1}], id="a length that is unknown"),
        pytest.param([1, "text", None], id="no mappings"),
    ],
)
def test_nonsense_is_unknown(items: list[Any]) -> None:
    """A broken source must lead to no price, not to a wrong one."""
    assert generic(items) == []


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("EUR/kWh", 1),
        ("€/MWh", 1e-3),
        ("ct/kWh", 1e-2),
        ("c/kWh", 1e-2),
        ("Øre/kWh", 1e-2),
        ("Öre/kWh", 1e-2),
        ("cent/kWh", 1e-2),
        ("p/kWh", 1e-2),
        ("kr/Wh", 1e3),
        ("EUR", 1),
        ("ct", 1e-2),
        (None, 1),
        ("W", None),
        ("W/kWh/d", None),
    ],
)
def test_unit(unit: str | None, scale: float | None) -> None:
    """A unit that is read wrongly makes each price 100 or 1000 times too high."""
    found = parse_unit(CONF_PRICE_SENSOR, unit)
    assert (found and found.factor) == (scale and pytest.approx(scale))


def test_a_wrong_scale_is_seen() -> None:
    """A source that publishes cents under the name of euros would stop the miner for ever."""
    now = FIRST + HOUR / 2
    assert wrong_scale(slots_of(12.0), now, 0.12) == 100
    assert wrong_scale(slots_of(0.12), now, 0.12) is None
    assert wrong_scale(slots_of(0.2), now, 0.12) is None
    assert wrong_scale(slots_of(0.12), now + 5 * HOUR, 0.12) is None
    assert wrong_scale(slots_of(0.12), now, 0.0) is None


def slots_of(price: float) -> list[Slot]:
    """Return one slot with that price."""
    return [Slot(FIRST, FIRST + HOUR, price)]


def test_requests_cover_today_and_tomorrow() -> None:
    """A plan that ends at midnight misses the cheap hours of the night."""
    made = requests(SOURCES["nordpool"], "abc", TODAY, BRUSSELS)
    assert made == [
        {"config_entry": "abc", "date": "2026-03-01"},
        {"config_entry": "abc", "date": "2026-03-02"},
    ]
    (made,) = requests(SOURCES["energyzero"], "abc", TODAY, BRUSSELS)
    assert made["incl_vat"] is True
    begin, end = map(datetime.fromisoformat, (made["start"], made["end"]))
    assert begin == datetime(2026, 3, 1, tzinfo=timezone(HOUR))
    assert end - begin == 48 * HOUR

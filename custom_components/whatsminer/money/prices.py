"""Read the prices to come, from whatever publishes them. Pure.

Every source has one row in `SOURCES`; the result is always slots with money per kWh. What a source
does not say stays unknown: a hole is never filled.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
import math
import re
from typing import Any, NamedTuple

from ..const import CONF_PRICE_SENSOR
from .units import parse_unit


class Slot(NamedTuple):
    """A price that holds from one moment to another (with zones), in money per kWh."""

    start: datetime
    end: datetime
    price: float


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where prices come from, and how they are written there."""

    action: str | None = None
    """The action of Home Assistant that returns them; None: they are attributes of an entity."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the action needs beside the entry; a text may hold {entry}, {date}, {start}, {end}."""
    by_day: bool = False
    """One call returns one day."""
    lists: tuple[str, ...] = ()
    """The keys with lists of slots; empty: every list, also one level deeper."""
    per_area: bool = False
    """Below the keys there is one list for each area, home or country."""
    value: str | None = None
    """The key of the price, where a slot has several numbers."""
    scale: float | None = None
    """Money per kWh of one of it; None is as the unit of the entity says."""


_ENTRY = {"config_entry": "{entry}"}
_RANGE = {"start": "{start}", "end": "{end}"}

SOURCES: Mapping[str, Source] = {
    "nordpool": Source(
        action="nordpool.get_prices_for_date",
        data={**_ENTRY, "date": "{date}"},
        by_day=True,
        per_area=True,
        scale=1e-3,
    ),
    "tibber": Source(
        action="tibber.get_prices",
        data=_RANGE,
        lists=("prices",),
        per_area=True,
        scale=1,
    ),
    "amberelectric": Source(
        action="amberelectric.get_forecasts",
        data={"config_entry_id": "{entry}", "channel_type": "general"},
        lists=("forecasts",),
        value="per_kwh",
        scale=1,
    ),
    "energyzero": Source(
        action="energyzero.get_energy_prices",
        data={**_ENTRY, "incl_vat": True, **_RANGE},
        lists=("prices",),
        scale=1,
    ),
    "easyenergy": Source(
        action="easyenergy.get_energy_usage_prices",
        data={**_ENTRY, "incl_vat": True, **_RANGE},
        lists=("prices",),
        scale=1,
    ),
    "green_planet_energy": Source(
        action="green_planet_energy.get_prices",
        data={"config_entry_id": "{entry}", "hours": 24},
        lists=("prices",),
        scale=1,
    ),
    "omie": Source(
        action="omie.get_prices_for_date",
        data={"date": "{date}"},
        by_day=True,
        per_area=True,
        scale=1,
    ),
    "ecosmart": Source(
        action="ecosmart.get_forecasts",
        lists=("forecasts",),
        value="price",
        scale=1e-2,
    ),
    "pvpc_hourly_pricing": Source(scale=1),
    "nordpool_custom": Source(lists=("raw_today", "raw_tomorrow")),
    "energidataservice": Source(lists=("raw_today", "raw_tomorrow")),
    "entsoe": Source(lists=("prices", "prices_today", "prices_tomorrow")),
    "epex_spot": Source(lists=("data",)),
    "octopus_energy": Source(lists=("rates",), value="value_inc_vat", scale=1),
    "emhass": Source(lists=("unit_load_cost_forecasts",), value="unit_load_cost"),
    "haeo": Source(lists=("forecast",)),
    "generic": Source(),
}
"""By the domain of the integration; `generic` takes what it finds in any entity."""

_STARTS = ("start", "start_time", "timestamp", "time", "hour", "date", "datetime")
_ENDS = ("end", "end_time")
_VALUES = ("value", "price", "price_per_kwh", "per_kwh", "value_inc_vat", "total")
_SCALED = (("price_ct_per_kwh", 1e-2), ("price_eur_per_mwh", 1e-3))
"""Keys that carry their own unit."""
_PVPC = re.compile(r"price_(?P<next>next_day_)?(?P<hour>[01]\d|2[0-3])h(?P<again>_d)?")

AGREE = 0.1
"""How far the forecast may be from the price of now: some sensors are rounded."""
WRONG_SCALES = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)


def requests(source: Source, entry: str, today: date, zone: tzinfo) -> list[Any]:
    """Return the data of the calls of the action that cover today and tomorrow."""
    days = (today, today + timedelta(days=1)) if source.by_day else (today,)
    return [
        {
            key: value.format(
                entry=entry,
                date=day.isoformat(),
                start=datetime.combine(day, time(), zone).isoformat(),
                end=datetime.combine(day + timedelta(2), time(), zone).isoformat(),
            )
            if isinstance(value, str)
            else value
            for key, value in source.data.items()
        }
        for day in days
    ]


def read_slots(
    source: Source,
    data: Mapping[str, Any],
    *,
    zone: tzinfo,
    today: date,
    unit: str | None = None,
    area: str | None = None,
) -> list[Slot]:
    """Return the slots of an answer or of the attributes of an entity, ascending.

    A moment without a zone is local. `unit` is that of the entity; without one that is known the
    prices count as money per kWh. Of several areas that of `area` counts, else the first.
    """
    scale = source.scale
    if scale is None:
        found = parse_unit(CONF_PRICE_SENSOR, unit)
        scale = found.factor if found else 1.0
    slots = set(_pvpc(data, scale, zone, today))
    for items in _lists(source, data, area):
        slots.update(_slots(items, source.value, scale, zone))
    return sorted(slots)


def wrong_scale(slots: Sequence[Slot], now: datetime, price: float) -> float | None:
    """Return the factor of 10, 100 or 1000 by which the slots miss the price of now.

    None if they agree, or if they differ by something else.
    """
    current = next((x.price for x in slots if x.start <= now < x.end), None)
    if not current or not price:
        return None
    found = current / price
    return next((x for x in WRONG_SCALES if math.isclose(found, x, rel_tol=0.02)), None)


def disagrees(slots: Sequence[Slot], now: datetime, price: float) -> bool:
    """Return whether the slots say another price for now than the price sensor.

    A sensor may show the mean of the hour where the slots are shorter. Taxes that are missing, a
    wrong unit and hours that are shifted all show here.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    of_hour = [
        x.price for x in slots if hour <= x.start and x.end <= hour + timedelta(hours=1)
    ]
    known = [x.price for x in slots if x.start <= now < x.end]
    if not known:
        return False
    if of_hour:
        known.append(sum(of_hour) / len(of_hour))
    tolerance = AGREE * sum(abs(x.price) for x in slots) / len(slots)
    return min(abs(x - price) for x in known) > max(tolerance, AGREE * abs(price))


def _lists(
    source: Source, data: Mapping[str, Any], area: str | None
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Return the lists of slots."""
    if not source.lists:
        found = [data]
        if not source.per_area:
            found += [x for x in data.values() if isinstance(x, Mapping)]
    elif source.per_area:
        found = [x for key in source.lists if isinstance(x := data.get(key), Mapping)]
    else:
        found = [{key: data.get(key) for key in source.lists}]
    for mapping in found:
        lists = {key: x for key, value in mapping.items() if (x := _mappings(value))}
        if source.per_area and lists:
            yield lists.get(area or "") or next(iter(lists.values()))
        else:
            yield from lists.values()


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list."""
    if not isinstance(value, (list, tuple)):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def _slots(
    items: Sequence[Mapping[str, Any]], value: str | None, scale: float, zone: tzinfo
) -> Iterator[Slot]:
    """Return the slots of a list; one without an end lasts until the next start."""
    seen: set[datetime] = set()
    found = []
    for item in items:
        if (begin := _moment(_first(item, _STARTS))) is None:
            continue
        # A local moment that appears again is in the second of the two hours in autumn.
        start = _utc(begin, zone, again=begin in seen)
        seen.add(begin)
        end = _moment(_first(item, _ENDS))
        if end is not None:
            once, again = _utc(end, zone), _utc(end, zone, again=True)
            end = once if once > start else again
        found.append((start, end, _price(item, value, scale)))
    following = dict(pairwise(sorted({start for start, _, _ in found})))
    gaps = Counter(after - start for start, after in following.items())
    usual = min(gaps, key=lambda gap: (-gaps[gap], gap), default=timedelta())
    for start, end, price in found:
        if end is None:
            # A longer gap is a hole: the price before it is not known to last.
            end = min(following.get(start, start + usual), start + usual)
        if price is not None and end > start:
            yield Slot(start, end, price)


def _first(item: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


def _moment(raw: Any) -> datetime | None:
    """Return a moment, to the minute."""
    if isinstance(raw, str):
        try:
            raw = datetime.fromisoformat(raw.strip())
        except ValueError:
            return None
    if not isinstance(raw, datetime):
        return None
    return (raw + timedelta(seconds=30)).replace(second=0, microsecond=0)


def _utc(moment: datetime, zone: tzinfo, *, again: bool = False) -> datetime:
    """Return a moment in UTC: the moments of one zone compare by the clock on the wall."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone, fold=int(again))
    return moment.astimezone(UTC)


def _number(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        return None
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _price(item: Mapping[str, Any], value: str | None, scale: float) -> float | None:
    """Return the price of a slot; None if it has none, or several that may be it."""
    for key in (value,) if value else _VALUES:
        if key in item:
            number = _number(item[key])
            return None if number is None else number * scale
    for key, own in _SCALED:
        if (number := _number(item.get(key))) is not None:
            return number * own
    known = {*_STARTS, *_ENDS}
    others = [x for key in item if key not in known and (x := _number(item[key]))]
    return others[0] * scale if len(others) == 1 else None


def _pvpc(
    data: Mapping[str, Any], scale: float, zone: tzinfo, today: date
) -> Iterator[Slot]:
    """Return the slots of attributes that are named by local hours, without a date."""
    for key, value in data.items():
        price = _number(value)
        if price is None or not (found := _PVPC.fullmatch(key)):
            continue
        day = today + timedelta(days=bool(found["next"]))
        local = datetime.combine(day, time(int(found["hour"])), zone)
        start = local.replace(fold=int(bool(found["again"]))).astimezone(UTC)
        # In spring one of the hours is none.
        if start.astimezone(zone).hour == local.hour:
            yield Slot(start, start + timedelta(hours=1), price * scale)

"""The price forecast: where it is read, when, and whether it can be trusted."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import (
    CONF_FORECAST,
    CONF_FORECAST_FEE,
    CONF_FORECAST_TAX,
    CONF_PRICE_SENSOR,
    DOMAIN,
    LOGGER,
)
from .prices import SOURCES, Slot, Source, read_slots, requests

READ_LONG = timedelta(hours=1)
"""Between two calls of an action while much is known."""
READ_SHORT = timedelta(minutes=10)
"""Between two calls while less than half a day is known: the prices of tomorrow are due."""
MUCH = timedelta(hours=12)
SHARED_FOR = timedelta(minutes=4)
"""For so long all miners use the answer that one has requested."""


class Reading(NamedTuple):
    """What a source has returned."""

    slots: list[Slot]
    error: str | None = None


READINGS: HassKey[dict[tuple[str, str], tuple[datetime, asyncio.Task[Reading]]]] = (
    HassKey(f"{DOMAIN}_forecasts")
)


def source_of(hass: HomeAssistant, entity_id: str) -> tuple[Source, str | None]:
    """Return how the prices of the integration of an entity are read, and its config entry.

    Some domains are that of an integration of core and of a custom one; only the first has the
    action.
    """
    registered = er.async_get(hass).async_get(entity_id)
    platform = registered.platform if registered else ""
    source = SOURCES.get(platform)
    if source and source.action and hass.services.has_service(*_split(source.action)):
        return source, (registered and registered.config_entry_id) or ""
    if source is None or source.action:
        source = SOURCES.get(f"{platform}_custom", SOURCES["generic"])
    return source, None


def publishes(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether an entity belongs to an integration that is known to publish prices to come."""
    registered = er.async_get(hass).async_get(entity_id)
    return registered is not None and registered.platform in SOURCES


class Forecast:
    """The prices to come, in money per kWh."""

    def __init__(self, hass: HomeAssistant, options: Mapping[str, Any]) -> None:
        """Keep where to look: the entities of the option, else the price sensor."""
        self._hass = hass
        self._factor = 1 + options.get(CONF_FORECAST_TAX, 0) / 100
        self._fee = options.get(CONF_FORECAST_FEE, 0.0)
        chosen: list[str] = options.get(CONF_FORECAST) or []
        price = options.get(CONF_PRICE_SENSOR)
        self.entities = chosen or ([price] if price else [])
        self._is_chosen = bool(chosen)
        self._seen: Any = None
        """The states that were read, and the day."""
        self._due: datetime | None = None
        self._reading: asyncio.Task[Reading] | None = None
        self.slots: list[Slot] = []
        self.error: str | None = None
        """What the action of the source has answered instead of prices."""

    @property
    def is_set_up(self) -> bool:
        """Return whether there is a source: one is chosen, or the price sensor belongs to one."""
        return self._is_chosen or any(publishes(self._hass, x) for x in self.entities)

    @callback
    def look(self, now: datetime) -> None:
        """Read what is new; call the action of the source when it is due."""
        if not self.entities:
            return
        source, entry = source_of(self._hass, self.entities[0])
        if entry is None:
            self._read_attributes(now)
        elif self._reading:
            if self._reading.done():
                self._take(self._reading.result(), now)
        elif self._due is None or now >= self._due:
            self._reading = _reading(self._hass, source, entry)

    def _read_attributes(self, now: datetime) -> None:
        states = [self._hass.states.get(entity) for entity in self.entities]
        today = dt_util.as_local(now).date()
        seen = [today, *(state and state.last_updated for state in states)]
        if seen == self._seen:
            return
        self._seen = seen
        slots: list[Slot] = []
        for state in filter(None, states):
            source, _ = source_of(self._hass, state.entity_id)
            slots += read_slots(
                source,
                state.attributes,
                zone=dt_util.get_default_time_zone(),
                today=today,
                unit=state.attributes.get(ATTR_UNIT_OF_MEASUREMENT),
            )
        if slots:
            # A source that fails shows no list; what it has published still holds.
            self.slots = self._with_taxes(slots)

    def _take(self, reading: Reading, now: datetime) -> None:
        self._reading, self.error = None, reading.error
        if new := self._with_taxes(reading.slots):
            # Of a day that could not be read now, what is known from before still holds.
            old = self.slots if reading.error else []
            first, last = new[0].start, new[-1].end
            self.slots = [x for x in old if x.end <= first or x.start >= last] + new
        known = max((slot.end for slot in self.slots), default=now) - now
        self._due = now + (READ_LONG if known > MUCH else READ_SHORT)

    def _with_taxes(self, slots: list[Slot]) -> list[Slot]:
        return sorted(
            slot._replace(price=slot.price * self._factor + self._fee) for slot in slots
        )


def _reading(hass: HomeAssistant, source: Source, entry: str) -> asyncio.Task[Reading]:
    """Call the action of a source, or return the call that another miner has just made."""
    readings = hass.data.setdefault(READINGS, {})
    assert source.action
    key, now = (source.action, entry), dt_util.utcnow()
    if key in readings and now - readings[key][0] < SHARED_FOR:
        return readings[key][1]
    task = hass.async_create_background_task(
        _async_read(hass, source, entry, dt_util.now().date()), f"{DOMAIN} forecast"
    )
    readings[key] = now, task
    return task


async def _async_read(
    hass: HomeAssistant, source: Source, entry: str, today: date
) -> Reading:
    """Return what the action returns for today and tomorrow; a day that fails is left out."""
    assert source.action
    zone = dt_util.get_default_time_zone()
    area = (hass.config.country or "").lower()
    slots: set[Slot] = set()
    error = None
    for data in requests(source, entry, today, zone):
        try:
            found = await hass.services.async_call(
                *_split(source.action), data, blocking=True, return_response=True
            )
            slots.update(
                read_slots(source, found or {}, zone=zone, today=today, area=area)
            )
        except Exception as err:  # noqa: BLE001
            # Another integration: whatever it raises, the miner runs by the price of now.
            LOGGER.debug("%s: %r", source.action, err)
            error = str(err) or type(err).__name__
    return Reading(sorted(slots), error)


def _split(action: str) -> tuple[str, str]:
    domain, _, name = action.partition(".")
    return domain, name

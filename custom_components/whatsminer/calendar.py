"""Calendar: the plan of a miner, read-only."""

from datetime import datetime, timedelta
from typing import override

from homeassistant.components.calendar import (
    CalendarEntity,
    CalendarEntityDescription,
    CalendarEvent,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .entity import add_offered
from .money.plan import Part
from .runtime import EntryEntity, WhatsminerConfigEntry

PARALLEL_UPDATES = 0

PLAN = CalendarEntityDescription(key="plan")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the plan if the options lead to one, else remove it."""
    data = entry.runtime_data
    plans = [WhatsminerPlan(data, PLAN)] if data.planner.is_planning else []
    add_offered(async_add_entities, plans)


class WhatsminerPlan(EntryEntity, CalendarEntity):
    """An event for each time that the miner is to run at one level; *on* while it is to run."""

    _needs_miner = False  # a plan holds while its miner is offline

    @property
    @override
    def event(self) -> CalendarEvent | None:
        now = dt_util.utcnow()
        parts = [part for part in self._data.planner.parts if part.end > now]
        return next((_event(part) for part in parts if part.percent), None)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        return [
            _event(part)
            for part in self._data.planner.parts
            if part.percent and part.end > start_date and part.start < end_date
        ]


def _event(part: Part) -> CalendarEvent:
    hours = (part.end - part.start) / timedelta(hours=1)
    return CalendarEvent(
        start=dt_util.as_local(part.start),
        end=dt_util.as_local(part.end),
        summary=f"{part.percent:g} %",
        description=f"{part.kwh:.1f} kWh, {hours:g} h, {part.gain:+.2f}",
    )

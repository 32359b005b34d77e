"""Energy: what the miner says of its power, added up, and kept whatever happens to Home Assistant."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
import math
from typing import override

from homeassistant.components.recorder import get_instance, history
from homeassistant.components.sensor import (
    RestoreSensor,
    SensorEntityDescription,
    SensorExtraStoredData,
)
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, UnitOfEnergy
from homeassistant.core import State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.unit_conversion import EnergyConverter
from sqlalchemy.exc import SQLAlchemyError

from ..api import Summary
from ..const import LOGGER, SCAN_INTERVAL
from ..entity import ReadingDescription, WhatsminerEntity

LONGEST_STEP = SCAN_INTERVAL * 2.5
"""One missed poll is bridged; what lies between readings farther apart is not known."""

LAST_STATES = 10
"""Of the recorder: the miner may have been unavailable in some of them."""
RECORDER_PATIENCE = 10.0

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, kw_only=True)
class EnergyDescription(ReadingDescription, SensorEntityDescription):
    """The meter."""


class EnergySensor(WhatsminerEntity, RestoreSensor):
    """A meter that counts from reading to reading, and never backwards."""

    entity_description: EnergyDescription
    _energy = 0.0
    """kWh, unrounded."""
    _last: tuple[datetime, Summary] | None = None
    """The last reading that told a power."""

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from the highest number that is known from before.

        Restored data is up to 15 minutes old after a power cut; the recorder knows better then.
        """
        restored = await self.async_get_last_sensor_data()
        known = [self._energy, *await self._async_recorded()]
        if restored and isinstance(restored.native_value, (int, float)):
            known.append(restored.native_value)
        self._energy = max(known)
        self._count()
        await super().async_added_to_hass()

    async def _async_recorded(self) -> list[float]:
        """The last numbers that the recorder has, if there is one."""
        if "recorder" not in self.hass.config.components:
            return []
        try:
            async with asyncio.timeout(RECORDER_PATIENCE):
                states = await get_instance(self.hass).async_add_executor_job(
                    history.get_last_state_changes,
                    self.hass,
                    LAST_STATES,
                    self.entity_id,
                )
        except (TimeoutError, SQLAlchemyError) as err:
            # The meter must not be missing because the database has a fault of its own.
            why = str(err).partition("\n")[0] or f"no answer in {RECORDER_PATIENCE:g} s"
            LOGGER.warning("%s: the recorder cannot be asked: %s", self.entity_id, why)
            return []
        return [
            energy
            for state in states.get(self.entity_id, ())
            if (energy := _kwh(state)) is not None
        ]

    @property
    @override
    def extra_restore_state_data(self) -> SensorExtraStoredData:
        return SensorExtraStoredData(self._energy, UnitOfEnergy.KILO_WATT_HOUR)

    @property
    @override
    def native_value(self) -> float:
        """Down to 10 Wh: a stopped miner need not write a state every half minute.

        Cut off and not rounded, so that no state is ahead of what was counted.
        """
        return math.floor(round(self._energy * 100, 6)) / 100

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._count()
        super()._handle_coordinator_update()

    @callback
    def _count(self) -> None:
        """Add the area under the line from the last reading to this one."""
        state, last = self.coordinator.data, self._last
        if state.summary is None or state.summary.power is None:
            return
        if last and last[1] is state.summary:
            return  # the poll was missed and forgiven: nothing was read
        self._last = (state.read_at, state.summary)
        if last is None or last[1].power is None:
            return
        step = state.read_at - last[0]
        # The clock may have been set back, or the machine been asleep.
        if timedelta() < step <= LONGEST_STEP:
            watts = (last[1].power + state.summary.power) / 2
            self._energy += watts * step.total_seconds() / _JOULES_PER_KWH


def _kwh(state: State) -> float | None:
    """The number of a recorded state, which is in the unit that the user has chosen."""
    unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
    try:
        energy = EnergyConverter.convert(
            float(state.state), unit, UnitOfEnergy.KILO_WATT_HOUR
        )
    except ValueError, HomeAssistantError:
        return None
    return energy if math.isfinite(energy) else None

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
from ..coordinator import WhatsminerCoordinator
from ..entity import WhatsminerEntity

LONGEST_STEP = SCAN_INTERVAL * 2.5
"""One missed poll is bridged; what lies between readings farther apart is not known."""

JUMP_FACTOR, JUMP_WATTS = 2, 100
"""A power that is more than twice the one before, and 100 W, or less than half, must be confirmed."""

LAST_STATES = 10
"""Of the recorder: the miner may have been unavailable in some of them."""
RECORDER_PATIENCE = 10.0

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Reading:
    """A power at a time."""

    at: datetime
    watts: float


def energy_between(first: Reading, second: Reading) -> float:
    """The kWh under the line between two readings; 0 where they are too far apart."""
    step = second.at - first.at
    # The clock may have been set back, or the machine been asleep.
    if not timedelta() < step <= LONGEST_STEP:
        return 0.0
    return (first.watts + second.watts) / 2 * step.total_seconds() / _JOULES_PER_KWH


def is_jump(first: Reading, second: Reading) -> bool:
    """Whether a power is so far from the one before that the next one has to confirm it."""
    low, high = sorted((first.watts, second.watts))
    return high > JUMP_FACTOR * low + JUMP_WATTS


def whole_steps(energy: float) -> float:
    """Return an energy in steps of 10 Wh, so that a stopped miner writes few states.

    Cut off and not rounded, so that no state is ahead of the count.
    """
    return math.floor(round(energy * 100, 6)) / 100


class Meter:
    """Adds up readings, without one that neither of its neighbours confirms.

    A reading that jumps counts from the next one on, and only if the power stays there or moves
    on; where the power is back at the value before, it was an error of the miner.
    """

    def __init__(self) -> None:
        """Start without any reading."""
        self._last: Reading | None = None
        self._unconfirmed: Reading | None = None

    def add(self, reading: Reading) -> float:
        """Return the kWh that a reading adds."""
        last, jumped = self._last, self._unconfirmed
        self._unconfirmed = None
        energy = 0.0
        if (
            jumped
            and last
            and abs(reading.watts - jumped.watts) <= abs(reading.watts - last.watts)
        ):
            energy = energy_between(last, jumped)
            last = jumped
        elif jumped and last is None:
            last = None if is_jump(jumped, reading) else jumped
        self._last = last
        if last is None or is_jump(last, reading):
            self._unconfirmed = reading
            return energy
        self._last = reading
        return energy + energy_between(last, reading)


class EnergySensor(WhatsminerEntity, RestoreSensor):
    """A meter that counts from reading to reading, and never backwards."""

    _energy = 0.0
    """kWh, unrounded."""
    _counted: Summary | None = None
    """The summary that was counted last."""

    def __init__(
        self,
        coordinator: WhatsminerCoordinator,
        description: SensorEntityDescription,
    ) -> None:
        """Start with a meter that has no reading."""
        super().__init__(coordinator, description)
        self._meter = Meter()

    @override
    async def async_added_to_hass(self) -> None:
        """Continue from the highest known previous value.

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
            # The meter must not be missing because the database fails.
            why = str(err).partition("\n")[0] or f"no answer in {RECORDER_PATIENCE:g} s"
            LOGGER.warning("%s: the recorder cannot be read: %s", self.entity_id, why)
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
        """Return the energy in whole steps."""
        return whole_steps(self._energy)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._count()
        super()._handle_coordinator_update()

    @callback
    def _count(self) -> None:
        """Add the area under the line from the last reading to this one."""
        state = self.coordinator.data
        if state.summary is None or state.summary.power is None:
            return
        if state.summary is self._counted:
            return  # the poll was missed and forgiven: nothing was read
        self._counted = state.summary
        self._energy += self._meter.add(Reading(state.read_at, state.summary.power))


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

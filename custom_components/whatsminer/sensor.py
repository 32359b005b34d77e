"""Sensors: what the miner says of itself, its boards, its power supply and its pools."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import re
from typing import Any, NamedTuple, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    REVOLUTIONS_PER_MINUTE,
    EntityCategory,
    Platform,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfPower,
    UnitOfRatio,
    UnitOfTemperature,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .api import Activity, Cooling, Feature, MinerState, Section
from .const import UNIT_EFFICIENCY, UNIT_HASHRATE
from .coordinator import WhatsminerCoordinator
from .entity import ReadingDescription, WhatsminerEntity, add_offered, remove_entities
from .faults import fault_state, fault_words
from .group import entities as group
from .group.runtime import Group, GroupConfigEntry
from .heat.heating import HEATING_STATUS
from .heat.thermostat import Status as HeatingStatus
from .money.economics import economics_sensors
from .money.energy import EnergySensor
from .money.planner import PlanStatus
from .money.profile import ProfileState
from .power.policy import SOURCES, By, Decision, TargetStatus
from .power.record import Target
from .runtime import EntryEntity, WhatsminerConfigEntry, WhatsminerData
from .unreported import UnreportedSensors

PARALLEL_UPDATES = 0

type Value = StateType | datetime


@dataclass(frozen=True, kw_only=True)
class WhatsminerSensorDescription(ReadingDescription, SensorEntityDescription):
    """A sensor and where its value comes from."""

    value_fn: Callable[[MinerState], Value]
    exists_fn: Callable[[MinerState], bool] | None = None
    """Whether a miner has it; by default, once it has reported a value."""
    entity_class: type[EnergySensor] | None = None
    """The class of an entity that does more than show the value."""
    noise: float = 0
    """Smallest change that is shown: less is not worth a row in the database."""


def _start(state: MinerState, seconds: float | None) -> datetime | None:
    """When something began that has been running for so many seconds."""
    return None if seconds is None else state.read_at - timedelta(seconds=seconds)


def _fans(value: Callable[[MinerState], float | None]) -> Callable[[MinerState], bool]:
    """Liquid cooled miners say 0 RPM for fans they do not have (protocol.md#g2)."""

    def exists(state: MinerState) -> bool:
        speed = value(state)
        return speed is not None and (
            speed > 0 or state.info.cooling is not Cooling.LIQUID
        )

    return exists


NONE = "none"
"""The state where it is known that there is nothing to name; unknown is `None`."""


def _stop_reason(state: MinerState) -> str | None:
    """Return why the miner is stopped."""
    if state.status is None:
        return None
    return state.status.stop_reason or (NONE if state.mining else None)


def _of_pool(field: str) -> Callable[[MinerState], str | None]:
    """Return what reads a field of the pool in use."""

    def value(state: MinerState) -> str | None:
        if state.active_pool or state.pools is None:
            return getattr(state.active_pool, field, None)
        return NONE if all(pool.active is False for pool in state.pools) else None

    return value


def _faults(state: MinerState) -> str | None:
    """Return all faults as text."""
    if state.faults is None:
        return None
    return fault_state(
        "; ".join(f"{fault.code}: {fault_words(fault)}" for fault in state.faults)
    )


class Quantity(NamedTuple):
    """How a kind of reading is shown."""

    unit: str | None = None
    digits: int | None = None
    device_class: SensorDeviceClass | None = None
    noise: float = 0


POWER = Quantity(UnitOfPower.WATT, 0, SensorDeviceClass.POWER)
# There is no device class and no unit for a hashrate in core.
HASHRATE = Quantity(UNIT_HASHRATE, 1, noise=0.1)
EFFICIENCY = Quantity(UNIT_EFFICIENCY, 1, noise=0.1)
TEMPERATURE = Quantity(
    UnitOfTemperature.CELSIUS, 1, SensorDeviceClass.TEMPERATURE, noise=0.5
)
FAN_SPEED = Quantity(REVOLUTIONS_PER_MINUTE, 0, noise=50)
VOLTAGE = Quantity(UnitOfElectricPotential.VOLT, 0, SensorDeviceClass.VOLTAGE)
CURRENT = Quantity(UnitOfElectricCurrent.AMPERE, 1, SensorDeviceClass.CURRENT)
FREQUENCY = Quantity(UnitOfFrequency.MEGAHERTZ, 0, SensorDeviceClass.FREQUENCY)
SHARE = Quantity(UnitOfRatio.PERCENTAGE, 2)
COUNT = Quantity()


def _field(
    key: str, sections: tuple[Section, ...]
) -> Callable[[MinerState], float | None]:
    """Return what reads a field of the first section that has it.

    The field has the name of the key, without that of its section: `psu_temperature`.
    """

    def value(state: MinerState) -> float | None:
        found = (
            getattr(getattr(state, section), key.removeprefix(f"{section}_"), None)
            for section in sections
        )
        return next((value for value in found if value is not None), None)

    return value


def _measured(
    quantity: Quantity,
    key: str,
    *,
    sections: tuple[Section, ...] = (Section.SUMMARY,),
    value: Callable[[MinerState], float | None] | None = None,
    main: bool = False,
    enabled: bool = False,
) -> WhatsminerSensorDescription:
    """Return the sensor of a quantity; by default its value is the field of this name."""
    value = value or _field(key, sections)
    return WhatsminerSensorDescription(
        key=key,
        device_class=quantity.device_class,
        native_unit_of_measurement=quantity.unit,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=quantity.digits,
        entity_category=None if main else EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=main or enabled,
        sections=sections,
        noise=quantity.noise,
        exists_fn=_fans(value) if quantity is FAN_SPEED else None,
        value_fn=value,
    )


SENSORS: tuple[WhatsminerSensorDescription, ...] = (
    WhatsminerSensorDescription(
        key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[activity.value for activity in Activity],
        exists_fn=lambda _: True,
        value_fn=lambda state: state.activity,
    ),
    # Home Assistant's own name of this class means the power supply in some languages.
    _measured(POWER, "power", main=True),
    _measured(POWER, "power_5m"),
    WhatsminerSensorDescription(
        key="energy",
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=2,
        sections=(Section.SUMMARY,),
        entity_class=EnergySensor,
        value_fn=lambda state: state.summary and state.summary.power,
    ),
    _measured(HASHRATE, "hashrate", main=True),
    _measured(HASHRATE, "hashrate_average", enabled=True),
    _measured(HASHRATE, "hashrate_1m"),
    _measured(HASHRATE, "hashrate_5m"),
    _measured(HASHRATE, "hashrate_15m"),
    _measured(HASHRATE, "hashrate_target"),
    _measured(HASHRATE, "hashrate_nominal"),
    _measured(
        EFFICIENCY,
        "efficiency",
        main=True,
        # The first seconds of hashing have next to no hashrate: thousands of J/TH that mean nothing.
        value=lambda state: (
            None
            if state.activity is Activity.STARTING
            else state.summary and state.summary.efficiency
        ),
    ),
    _measured(
        TEMPERATURE,
        "temperature",
        sections=(Section.SUMMARY, Section.BOARDS),
        enabled=True,
        value=lambda state: state.temperature,
    ),
    _measured(TEMPERATURE, "environment_temperature", enabled=True),
    _measured(TEMPERATURE, "liquid_temperature", sections=(Section.STATUS,), main=True),
    _measured(TEMPERATURE, "chip_temperature_avg", enabled=True),
    _measured(TEMPERATURE, "chip_temperature_min"),
    _measured(TEMPERATURE, "chip_temperature_max", main=True),
    _measured(FAN_SPEED, "fan_speed_in", enabled=True),
    _measured(FAN_SPEED, "fan_speed_out", enabled=True),
    # The summary of 1.x has some of the power supply.
    _measured(FAN_SPEED, "psu_fan_speed", sections=(Section.PSU, Section.SUMMARY)),
    _measured(VOLTAGE, "psu_input_voltage", sections=(Section.PSU, Section.SUMMARY)),
    _measured(CURRENT, "psu_input_current", sections=(Section.PSU, Section.SUMMARY)),
    _measured(POWER, "psu_input_power", sections=(Section.PSU,)),
    _measured(TEMPERATURE, "psu_temperature", sections=(Section.PSU,)),
    _measured(FREQUENCY, "frequency_average"),
    _measured(FREQUENCY, "frequency_target"),
    WhatsminerSensorDescription(
        key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.SUMMARY,),
        value_fn=lambda state: _start(state, state.summary and state.summary.uptime),
    ),
    WhatsminerSensorDescription(
        key="mining_uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.SUMMARY,),
        value_fn=lambda state: _start(state, state.summary and state.summary.elapsed),
    ),
    WhatsminerSensorDescription(
        key="accepted_shares",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.SUMMARY, Section.POOLS),
        value_fn=lambda state: state.accepted_shares,
    ),
    WhatsminerSensorDescription(
        key="rejected_shares",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.SUMMARY, Section.POOLS),
        value_fn=lambda state: state.rejected_shares,
    ),
    _measured(
        SHARE,
        "reject_rate",
        sections=(Section.SUMMARY, Section.POOLS),
        enabled=True,
        value=lambda state: state.reject_rate,
    ),
    WhatsminerSensorDescription(
        key="pool",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.POOLS,),
        exists_fn=lambda _: True,
        value_fn=_of_pool("url"),
    ),
    WhatsminerSensorDescription(
        key="pool_user",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.POOLS,),
        exists_fn=lambda _: True,
        value_fn=_of_pool("user"),
    ),
    WhatsminerSensorDescription(
        key="stop_reason",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.STATUS,),
        exists_fn=lambda state: state.info.reports_stop_reason,
        value_fn=_stop_reason,
    ),
    WhatsminerSensorDescription(
        key="fault",
        sections=(Section.FAULTS,),
        exists_fn=lambda _: True,
        value_fn=_faults,
    ),
)


@dataclass(frozen=True, kw_only=True)
class OwnSensorDescription(SensorEntityDescription):
    """A sensor of what the integration itself does, also while the miner is away."""

    feature: Feature | None = None
    """What the miner must be able to do; None where reading is enough."""
    value_fn: Callable[[WhatsminerData], Value]
    attributes_fn: Callable[[WhatsminerData], dict[str, Any]] = lambda _: {}
    exists_fn: Callable[[WhatsminerData], bool] = lambda _: True


def _why(decision: Decision) -> dict[str, Any]:
    """Return why a power source wants what it wants."""
    if decision.by is not By.SOURCE or decision.wish.why is None:
        return {}
    return {"why": decision.wish.why, "price": decision.wish.price}


OWN_SENSORS: tuple[OwnSensorDescription, ...] = (
    OwnSensorDescription(
        key="curtailment",
        device_class=SensorDeviceClass.ENUM,
        options=["none", *(target.value for target in Target)],
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.MINING,
        value_fn=lambda data: data.curtailment.state,
        attributes_fn=lambda data: data.curtailment.attributes,
    ),
    OwnSensorDescription(
        key="curtailment_reason",
        feature=Feature.MINING,
        value_fn=lambda data: data.curtailment.reason or NONE,
    ),
    OwnSensorDescription(
        key="curtailment_until",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.MINING,
        value_fn=lambda data: one.until if (one := data.curtailment.shown) else None,
    ),
    OwnSensorDescription(
        key="power_decided_by",
        device_class=SensorDeviceClass.ENUM,
        options=["baseline", "curtailment", *SOURCES],
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.MINING,
        value_fn=lambda data: data.curtailment.decided_by,
        attributes_fn=lambda data: _why(data.curtailment.decision),
    ),
    OwnSensorDescription(
        key="power_target_way",
        device_class=SensorDeviceClass.ENUM,
        options=[way.value for way in TargetStatus],
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.POWER_PERCENT,
        value_fn=lambda data: data.curtailment.status,
    ),
    OwnSensorDescription(
        key="power_target_next_restart",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.POWER_LIMIT,
        value_fn=lambda data: data.power_target.next_restart,
    ),
    OwnSensorDescription(
        key="power_target_restarts_today",
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.POWER_LIMIT,
        value_fn=lambda data: data.power_target.restarts_today,
    ),
    OwnSensorDescription(
        key=HEATING_STATUS,
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in HeatingStatus],
        exists_fn=lambda data: data.heating is not None,
        value_fn=lambda data: data.heating.status if data.heating else None,
    ),
    OwnSensorDescription(
        key="profile_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in ProfileState],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda data: data.learning.profile.state,
        attributes_fn=lambda data: data.learning.attributes,
    ),
    OwnSensorDescription(
        key="sweet_spot_power",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda data: data.learning.sweet_spot_power,
        attributes_fn=lambda data: data.learning.sweet_spot_attributes,
    ),
    OwnSensorDescription(
        key="plan_status",
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in PlanStatus],
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.MINING,
        exists_fn=lambda data: data.planner.is_planning,
        value_fn=lambda data: data.planner.status,
        attributes_fn=lambda data: data.planner.attributes,
    ),
    OwnSensorDescription(
        key="plan_next_change",
        device_class=SensorDeviceClass.TIMESTAMP,
        feature=Feature.MINING,
        exists_fn=lambda data: data.planner.is_planning,
        value_fn=lambda data: data.planner.next_change,
    ),
)


_BOARD_TEMPERATURE = TEMPERATURE._replace(noise=1)
BOARD_SENSORS = {
    "hashrate": HASHRATE._replace(noise=0.5),
    "temperature": _BOARD_TEMPERATURE,
    "chip_temperature_avg": _BOARD_TEMPERATURE,
    "chip_temperature_min": _BOARD_TEMPERATURE,
    "chip_temperature_max": _BOARD_TEMPERATURE,
    "frequency": FREQUENCY,
    "chips": COUNT,
}
"""The fields of a board."""


def _of_board(slot: int, field: str) -> Callable[[MinerState], float | None]:
    """Return what reads a field of the board in one slot."""
    return lambda state: getattr(state.board(slot), field, None)


def board_sensors(slot: int) -> Iterator[WhatsminerSensorDescription]:
    """Return the sensors of the board in one slot."""
    for field, quantity in BOARD_SENSORS.items():
        description = _measured(
            quantity,
            f"board_{slot}_{field}",
            sections=(Section.BOARDS,),
            enabled=field in ("hashrate", "temperature"),
            value=_of_board(slot, field),
        )
        yield replace(
            description,
            translation_key=f"board_{field}",
            translation_placeholders={"slot": str(slot)},
        )


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry | GroupConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of a miner or a group."""
    data = entry.runtime_data
    if isinstance(data, Group):
        add_offered(async_add_entities, group.sensors(data))
    else:
        _add_of_miner(data, async_add_entities)


@callback
def _add_of_miner(data: WhatsminerData, add: AddConfigEntryEntitiesCallback) -> None:
    """Add the sensors of what the miner reports, and those of what we do with it."""
    coordinator = data.coordinator
    readings = _Readings(coordinator, add)
    readings.add_new()
    coordinator.add_observer(readings.remove_unreported)
    coordinator.config_entry.async_on_unload(
        coordinator.async_add_listener(readings.add_new)
    )
    own = [one for one in OWN_SENSORS if _is_offered(data, one)]
    add(WhatsminerOwnSensor(data, one) for one in own)
    unused = [one.key for one in OWN_SENSORS if one not in own]
    remove_entities(coordinator, Platform.SENSOR, unused)
    add(economics_sensors(coordinator, data.learning))


class _Readings:
    """A sensor for each value that the miner reports, also for later ones.

    Values of an earlier run get their sensor immediately, so that none vanishes when Home Assistant
    starts while the miner is stopped and reports little. A board that is missing while it mines is gone,
    and so is what new firmware no longer reports; it comes back with its name and settings when it is reported.
    """

    def __init__(
        self, coordinator: WhatsminerCoordinator, add: AddConfigEntryEntitiesCallback
    ) -> None:
        """Remove the boards that are gone; `add_new` adds the sensors of what is there."""
        self._coordinator, self._add = coordinator, add
        entry = coordinator.config_entry
        self._earlier = {
            registered.unique_id.removeprefix(f"{entry.unique_id}_")
            for registered in er.async_entries_for_config_entry(
                er.async_get(coordinator.hass), entry.entry_id
            )
            if registered.domain == Platform.SENSOR
        }
        found = (re.match(r"board_(\d+)_", key) for key in self._earlier)
        self._slots = {int(match[1]) for match in found if match}
        self._remove_boards()
        self._missing = [*SENSORS]
        for slot in sorted(self._slots):
            self._missing += board_sensors(slot)
        self._added: list[WhatsminerSensorDescription] = []
        self._unreported = UnreportedSensors(coordinator.store)

    def _remove_boards(self) -> None:
        state = self._coordinator.data
        if state.activity is not Activity.MINING or not state.boards:
            return
        gone = self._slots - {board.slot for board in state.boards}
        self._slots -= gone
        self._remove(sensor.key for slot in gone for sensor in board_sensors(slot))

    def _remove(self, keys: Iterable[str]) -> None:
        remove_entities(self._coordinator, Platform.SENSOR, keys)

    @callback
    def add_new(self) -> None:
        """Add a sensor for each value that was not reported before."""
        state = self._coordinator.data
        for board in state.boards or ():
            if board.slot not in self._slots:
                self._slots.add(board.slot)
                self._missing += board_sensors(board.slot)
        new = [
            one
            for one in self._missing
            if one.key in self._earlier or exists(one, state)
        ]
        self._missing = [one for one in self._missing if one not in new]
        self._added += new
        self._add(
            (one.entity_class or WhatsminerSensor)(self._coordinator, one)
            for one in new
        )

    @callback
    def remove_unreported(self, state: MinerState) -> None:
        """Remove the sensors whose value new firmware does not report."""
        absent = {one.key for one in self._added if _is_absent(one, state)}
        keys = self._unreported.observe(state, absent)
        gone = [one for one in self._added if one.key in keys]
        self._added = [one for one in self._added if one not in gone]
        self._missing += gone
        self._earlier -= keys
        self._remove(keys)


def _is_offered(data: WhatsminerData, description: OwnSensorDescription) -> bool:
    """Return whether a sensor of ours makes sense for a miner."""
    if not description.exists_fn(data):
        return False
    if description.feature is None or data.coordinator.can(description.feature):
        return True
    # A curtailment that is active can be seen without a password, too.
    return description.feature is Feature.MINING and data.curtailment.state != "none"


def exists(description: WhatsminerSensorDescription, state: MinerState) -> bool:
    """Return whether this miner has a reading: by its own test, or because it reported a value."""
    if description.exists_fn:
        return description.exists_fn(state)
    return description.value_fn(state) is not None


def _is_absent(description: WhatsminerSensorDescription, state: MinerState) -> bool:
    """Return whether the answers were complete and did not hold the value."""
    # The meter shows what it has counted, whether the power is reported or not.
    return (
        description.entity_class is None
        and not exists(description, state)
        and state.is_complete(description.sections)
    )


class WhatsminerSensor(WhatsminerEntity, SensorEntity):
    """A reading of the miner."""

    entity_description: WhatsminerSensorDescription
    _unrecorded_attributes = frozenset({"slot"})

    def __init__(
        self,
        coordinator: WhatsminerCoordinator,
        description: WhatsminerSensorDescription,
    ) -> None:
        """Take the first reading."""
        super().__init__(coordinator, description)
        self._read()

    @property
    @override
    def capability_attributes(self) -> dict[str, Any] | None:
        """Add the slot of a board, so that a dashboard can distinguish boards, also while offline."""
        attributes = super().capability_attributes
        if slots := self.entity_description.translation_placeholders:
            return {**(attributes or {}), "slot": int(slots["slot"])}
        return attributes

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._read()
        super()._handle_coordinator_update()

    @callback
    def _read(self) -> None:
        """Show the reading, unless it differs from the one that is shown by noise only."""
        shown = self._attr_native_value
        value = self.entity_description.value_fn(self.coordinator.data)
        # 0 is never noise: a miner that has stopped must not look as if it went on a little.
        if (
            isinstance(value, int | float)
            and isinstance(shown, int | float)
            and value
            and abs(value - shown) < self.entity_description.noise
        ):
            return
        self._attr_native_value = value


class WhatsminerOwnSensor(EntryEntity, SensorEntity):
    """What the integration itself does with the miner."""

    _needs_miner = False  # a curtailment continues while its miner is offline
    entity_description: OwnSensorDescription
    _unrecorded_attributes = frozenset({"curve", "steps"})

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value_fn(self._data)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        return self.entity_description.attributes_fn(self._data)

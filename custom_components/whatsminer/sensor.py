"""Sensors: what the miner says of itself, its boards, its power supply and its pools."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import re
from typing import Any, cast, override

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

from .api import Activity, Board, Cooling, Feature, MinerState, Section, Summary
from .const import UNIT_EFFICIENCY, UNIT_HASHRATE
from .coordinator import WhatsminerCoordinator
from .entity import (
    ReadingDescription,
    WhatsminerDescription,
    WhatsminerEntity,
    remove_entities,
)
from .faults import fault_words
from .group import entities as group
from .group.entry import is_group
from .group.runtime import GroupConfigEntry
from .heat.heating import HEATING_STATUS
from .heat.thermostat import Status as HeatingStatus
from .money.economics import economics_sensors
from .money.energy import EnergySensor
from .money.planner import PlanStatus
from .money.profile import ProfileState
from .power.policy import SOURCES, By, Decision, TargetStatus
from .power.record import Target
from .runtime import WhatsminerConfigEntry, WhatsminerData

PARALLEL_UPDATES = 0

MAX_STATE_LENGTH = 255
NO_FAULT = "none"

type Value = StateType | datetime


@dataclass(frozen=True, kw_only=True)
class WhatsminerSensorDescription(ReadingDescription, SensorEntityDescription):
    """A sensor and where its value comes from."""

    value_fn: Callable[[MinerState], Value]
    entity_class: type[EnergySensor] | None = None
    """What makes more of the value than to show it."""
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


def _faults(state: MinerState) -> str | None:
    """Return all faults as text, cut to the length of a state."""
    if state.faults is None:
        return None
    texts = "; ".join(f"{fault.code}: {fault_words(fault)}" for fault in state.faults)
    if len(texts) > MAX_STATE_LENGTH:
        texts = f"{texts[: MAX_STATE_LENGTH - 1]}…"
    return texts or NO_FAULT


def _psu(name: str) -> Callable[[MinerState], float | None]:
    """A value of the power supply: its own, else that of the 1.x summary."""

    def value(state: MinerState) -> float | None:
        own: float | None = getattr(state.psu, name, None)
        return getattr(state.summary, f"psu_{name}", None) if own is None else own

    return value


def _hashrate(
    key: str,
    value: Callable[[Summary], float | None],
    *,
    enabled: bool = False,
    category: EntityCategory | None = EntityCategory.DIAGNOSTIC,
) -> WhatsminerSensorDescription:
    """A hashrate of the summary. There is no device class and no unit for it in core."""
    return WhatsminerSensorDescription(
        key=key,
        native_unit_of_measurement=UNIT_HASHRATE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=category,
        entity_registry_enabled_default=enabled,
        sections=(Section.SUMMARY,),
        noise=0.1,
        value_fn=lambda state: value(state.summary) if state.summary else None,
    )


def _temperature(
    key: str,
    value: Callable[[MinerState], float | None],
    *sections: Section,
    enabled: bool = False,
    category: EntityCategory | None = EntityCategory.DIAGNOSTIC,
) -> WhatsminerSensorDescription:
    """A temperature."""
    return WhatsminerSensorDescription(
        key=key,
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=category,
        entity_registry_enabled_default=enabled,
        sections=sections,
        noise=0.5,
        value_fn=value,
    )


def _fan(
    key: str,
    value: Callable[[MinerState], float | None],
    *sections: Section,
    enabled: bool = False,
) -> WhatsminerSensorDescription:
    """The speed of a fan that may not be there."""
    return WhatsminerSensorDescription(
        key=key,
        native_unit_of_measurement=REVOLUTIONS_PER_MINUTE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=enabled,
        sections=sections,
        noise=50,
        exists_fn=_fans(value),
        value_fn=value,
    )


def _frequency(
    key: str, value: Callable[[Summary], float | None]
) -> WhatsminerSensorDescription:
    """A chip frequency of the summary."""
    return WhatsminerSensorDescription(
        key=key,
        device_class=SensorDeviceClass.FREQUENCY,
        native_unit_of_measurement=UnitOfFrequency.MEGAHERTZ,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.SUMMARY,),
        value_fn=lambda state: value(state.summary) if state.summary else None,
    )


SENSORS: tuple[WhatsminerSensorDescription, ...] = (
    WhatsminerSensorDescription(
        key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[activity.value for activity in Activity],
        exists_fn=lambda _: True,
        value_fn=lambda state: state.activity,
    ),
    WhatsminerSensorDescription(
        key="power",
        # Home Assistant's own name of this class means the power supply in some languages.
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        sections=(Section.SUMMARY,),
        value_fn=lambda state: state.summary and state.summary.power,
    ),
    WhatsminerSensorDescription(
        key="power_5m",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.SUMMARY,),
        value_fn=lambda state: state.summary and state.summary.power_5m,
    ),
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
    _hashrate(
        "hashrate", lambda summary: summary.hashrate, enabled=True, category=None
    ),
    _hashrate(
        "hashrate_average", lambda summary: summary.hashrate_average, enabled=True
    ),
    _hashrate("hashrate_1m", lambda summary: summary.hashrate_1m),
    _hashrate("hashrate_5m", lambda summary: summary.hashrate_5m),
    _hashrate("hashrate_15m", lambda summary: summary.hashrate_15m),
    _hashrate("hashrate_target", lambda summary: summary.hashrate_target),
    _hashrate("hashrate_nominal", lambda summary: summary.hashrate_nominal),
    WhatsminerSensorDescription(
        key="efficiency",
        native_unit_of_measurement=UNIT_EFFICIENCY,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        sections=(Section.SUMMARY,),
        noise=0.1,
        # Power of the first seconds by next to no hashrate: ten thousand J/TH that mean nothing.
        value_fn=lambda state: (
            None
            if state.activity is Activity.STARTING
            else state.summary and state.summary.efficiency
        ),
    ),
    _temperature(
        "temperature",
        lambda state: state.temperature,
        Section.SUMMARY,
        Section.BOARDS,
        enabled=True,
    ),
    _temperature(
        "environment_temperature",
        lambda state: state.summary and state.summary.environment_temperature,
        Section.SUMMARY,
        enabled=True,
    ),
    _temperature(
        "liquid_temperature",
        lambda state: state.status and state.status.liquid_temperature,
        Section.STATUS,
        enabled=True,
        category=None,
    ),
    _temperature(
        "chip_temperature_avg",
        lambda state: state.summary and state.summary.chip_temperature_avg,
        Section.SUMMARY,
        enabled=True,
    ),
    _temperature(
        "chip_temperature_min",
        lambda state: state.summary and state.summary.chip_temperature_min,
        Section.SUMMARY,
    ),
    _temperature(
        "chip_temperature_max",
        lambda state: state.summary and state.summary.chip_temperature_max,
        Section.SUMMARY,
        enabled=True,
        category=None,
    ),
    _fan(
        "fan_speed_in",
        lambda state: state.summary and state.summary.fan_speed_in,
        Section.SUMMARY,
        enabled=True,
    ),
    _fan(
        "fan_speed_out",
        lambda state: state.summary and state.summary.fan_speed_out,
        Section.SUMMARY,
        enabled=True,
    ),
    _fan("psu_fan_speed", _psu("fan_speed"), Section.PSU, Section.SUMMARY),
    WhatsminerSensorDescription(
        key="psu_input_voltage",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.PSU, Section.SUMMARY),
        value_fn=_psu("input_voltage"),
    ),
    WhatsminerSensorDescription(
        key="psu_input_current",
        device_class=SensorDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.PSU, Section.SUMMARY),
        value_fn=_psu("input_current"),
    ),
    WhatsminerSensorDescription(
        key="psu_input_power",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.PSU,),
        value_fn=lambda state: state.psu and state.psu.input_power,
    ),
    _temperature(
        "psu_temperature",
        lambda state: state.psu and state.psu.temperature,
        Section.PSU,
    ),
    _frequency("frequency_average", lambda summary: summary.frequency_average),
    _frequency("frequency_target", lambda summary: summary.frequency_target),
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
    WhatsminerSensorDescription(
        key="reject_rate",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.SUMMARY, Section.POOLS),
        value_fn=lambda state: state.reject_rate,
    ),
    WhatsminerSensorDescription(
        key="pool",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.POOLS,),
        exists_fn=lambda _: True,
        value_fn=lambda state: state.active_pool and state.active_pool.url,
    ),
    WhatsminerSensorDescription(
        key="pool_user",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        sections=(Section.POOLS,),
        exists_fn=lambda _: True,
        value_fn=lambda state: state.active_pool and state.active_pool.user,
    ),
    WhatsminerSensorDescription(
        key="stop_reason",
        entity_category=EntityCategory.DIAGNOSTIC,
        sections=(Section.STATUS,),
        exists_fn=lambda state: state.info.reports_stop_reason,
        value_fn=lambda state: state.status and state.status.stop_reason,
    ),
    WhatsminerSensorDescription(
        key="fault",
        sections=(Section.FAULTS,),
        exists_fn=lambda _: True,
        value_fn=_faults,
    ),
)


@dataclass(frozen=True, kw_only=True)
class OwnSensorDescription(WhatsminerDescription, SensorEntityDescription):
    """A sensor of what the integration itself does, also while the miner is away."""

    feature: Feature | None
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
        value_fn=lambda data: data.curtailment.reason,
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
        feature=None,
        exists_fn=lambda data: data.heating is not None,
        value_fn=lambda data: data.heating.status if data.heating else None,
    ),
    OwnSensorDescription(
        key="profile_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in ProfileState],
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=None,
        value_fn=lambda data: data.learning.profile.state,
        attributes_fn=lambda data: data.learning.attributes,
    ),
    OwnSensorDescription(
        key="sweet_spot_power",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=None,
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


@dataclass(frozen=True, kw_only=True)
class BoardSensorDescription(SensorEntityDescription):
    """A sensor that every board may have."""

    value_fn: Callable[[Board], float | None]
    noise: float = 0


_BOARD_TEMPERATURE = BoardSensorDescription(
    key="temperature",
    device_class=SensorDeviceClass.TEMPERATURE,
    native_unit_of_measurement=UnitOfTemperature.CELSIUS,
    suggested_display_precision=1,
    noise=1,
    value_fn=lambda board: board.temperature,
)

BOARD_SENSORS: tuple[BoardSensorDescription, ...] = (
    BoardSensorDescription(
        key="hashrate",
        native_unit_of_measurement=UNIT_HASHRATE,
        suggested_display_precision=1,
        noise=0.5,
        value_fn=lambda board: board.hashrate,
    ),
    _BOARD_TEMPERATURE,
    replace(
        _BOARD_TEMPERATURE,
        key="chip_temperature_avg",
        value_fn=lambda board: board.chip_temperature_avg,
    ),
    replace(
        _BOARD_TEMPERATURE,
        key="chip_temperature_min",
        value_fn=lambda board: board.chip_temperature_min,
    ),
    replace(
        _BOARD_TEMPERATURE,
        key="chip_temperature_max",
        value_fn=lambda board: board.chip_temperature_max,
    ),
    BoardSensorDescription(
        key="frequency",
        device_class=SensorDeviceClass.FREQUENCY,
        native_unit_of_measurement=UnitOfFrequency.MEGAHERTZ,
        suggested_display_precision=0,
        value_fn=lambda board: board.frequency,
    ),
    BoardSensorDescription(key="chips", value_fn=lambda board: board.chips),
)


def _of_board(
    slot: int, read: Callable[[Board], float | None]
) -> Callable[[MinerState], float | None]:
    """A reading of the board in one slot."""

    def value(state: MinerState) -> float | None:
        board = state.board(slot)
        return read(board) if board else None

    return value


def board_sensors(slot: int) -> Iterator[WhatsminerSensorDescription]:
    """The sensors of the board in one slot."""
    for board_sensor in BOARD_SENSORS:
        yield WhatsminerSensorDescription(
            key=f"board_{slot}_{board_sensor.key}",
            translation_key=f"board_{board_sensor.key}",
            translation_placeholders={"slot": str(slot)},
            device_class=board_sensor.device_class,
            native_unit_of_measurement=board_sensor.native_unit_of_measurement,
            state_class=SensorStateClass.MEASUREMENT,
            suggested_display_precision=board_sensor.suggested_display_precision,
            entity_category=EntityCategory.DIAGNOSTIC,
            entity_registry_enabled_default=board_sensor.key
            in ("hashrate", "temperature"),
            sections=(Section.BOARDS,),
            noise=board_sensor.noise,
            value_fn=_of_board(slot, board_sensor.value_fn),
        )


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry | GroupConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of a miner or a group."""
    if is_group(entry):
        async_add_entities(group.sensors(cast(GroupConfigEntry, entry)))
    else:
        _add_of_miner(hass, cast(WhatsminerConfigEntry, entry), async_add_entities)


@callback
def _add_of_miner(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a sensor for each value that the miner reports, also for later ones.

    Values of an earlier run get their sensor immediately, so that none vanishes when Home Assistant
    starts while the miner is stopped and reports little. A board that is missing while it mines is gone.
    """
    coordinator = entry.runtime_data.coordinator
    earlier = {
        registered.unique_id.removeprefix(f"{entry.unique_id}_")
        for registered in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if registered.domain == Platform.SENSOR
    }
    slots = {
        int(found[1]) for key in earlier if (found := re.match(r"board_(\d+)_", key))
    }
    start = coordinator.data
    if start.activity is Activity.MINING and start.boards:
        gone = slots - {board.slot for board in start.boards}
        slots -= gone
        sensors = (sensor for slot in gone for sensor in board_sensors(slot))
        remove_entities(
            coordinator, Platform.SENSOR, [sensor.key for sensor in sensors]
        )
    missing = [*SENSORS, *(d for slot in sorted(slots) for d in board_sensors(slot))]

    @callback
    def add_new() -> None:
        nonlocal missing
        state = coordinator.data
        for board in state.boards or ():
            if board.slot not in slots:
                slots.add(board.slot)
                missing += board_sensors(board.slot)
        new = [
            description
            for description in missing
            if description.key in earlier or exists(description, state)
        ]
        missing = [description for description in missing if description not in new]
        async_add_entities(
            (description.entity_class or WhatsminerSensor)(coordinator, description)
            for description in new
        )

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))
    own = [one for one in OWN_SENSORS if _is_offered(entry.runtime_data, one)]
    async_add_entities(WhatsminerOwnSensor(entry.runtime_data, one) for one in own)
    unused = [one.key for one in OWN_SENSORS if one not in own]
    remove_entities(coordinator, Platform.SENSOR, unused)
    async_add_entities(economics_sensors(coordinator, entry.runtime_data.learning))


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


class WhatsminerOwnSensor(WhatsminerEntity, SensorEntity):
    """What the integration itself does with the miner."""

    _needs_miner = False  # a curtailment continues while its miner is offline
    entity_description: OwnSensorDescription
    _unrecorded_attributes = frozenset({"curve", "steps"})

    def __init__(self, data: WhatsminerData, description: OwnSensorDescription) -> None:
        """Show what the parts of a loaded entry know."""
        super().__init__(data.coordinator, description)
        self._data = data

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value_fn(self._data)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        return self.entity_description.attributes_fn(self._data)

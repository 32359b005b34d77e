"""The entities of a group."""

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any, override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory, UnitOfEnergy, UnitOfPower
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.typing import StateType

from ..api import Summary
from ..const import DOMAIN, UNIT_EFFICIENCY, UNIT_HASHRATE
from ..faults import fault_state
from ..heat.heating import HEATING_STATUS
from ..heat.thermostat import Status as HeatStatus
from ..money.energy import Meter, Reading, whole_steps
from .control import GROUP_STATUS
from .member import loaded
from .runtime import Group
from .site import Status
from .totals import Totals


class GroupEntity(Entity):
    """An entity of one group."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, group: Group, description: EntityDescription) -> None:
        """Name the entity and its device after the entry, which outlives every member."""
        self.entity_description = description
        self.miner_group = group
        self._attr_unique_id = f"{group.entry.entry_id}_{description.key}"
        self._attr_translation_key = description.translation_key or description.key
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, group.entry.entry_id)},
            entry_type=DeviceEntryType.SERVICE,
            name=group.entry.title,
        )

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.miner_group.async_add_listener(self._on_update))

    @callback
    def _on_update(self) -> None:
        self.async_write_ha_state()


POWER_TARGET = NumberEntityDescription(
    key="power_target",
    translation_key="group_power_target",
    device_class=NumberDeviceClass.POWER,
    native_unit_of_measurement=UnitOfPower.WATT,
    native_min_value=0,
    native_step=10,
    mode=NumberMode.SLIDER,
)
RESERVE = NumberEntityDescription(
    key="reserve",
    translation_key="group_reserve",
    device_class=NumberDeviceClass.POWER,
    entity_category=EntityCategory.CONFIG,
    native_unit_of_measurement=UnitOfPower.WATT,
    native_min_value=0,
    native_max_value=50_000,
    native_step=10,
    mode=NumberMode.BOX,
)
MINING = SwitchEntityDescription(key="mining", translation_key="group_mining")


@dataclass(frozen=True, kw_only=True)
class GroupSensorDescription(SensorEntityDescription):
    """A sensor, and where its value comes from."""

    value_fn: Callable[[Group], StateType]
    unit_fn: Callable[[Group], str | None] | None = None
    attributes_fn: Callable[[Group], dict[str, Any] | None] = lambda _: None
    needs_miners: bool = True
    """Whether it is unavailable while no miner answers."""


def _total(
    key: str, unit: str, digits: int, device_class: SensorDeviceClass | None = None
) -> GroupSensorDescription:
    """Return the sensor of the total of that name."""
    return GroupSensorDescription(
        key=key,
        translation_key=f"group_{key}",
        device_class=device_class,
        native_unit_of_measurement=unit,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=digits,
        value_fn=lambda group: getattr(group.totals, key),
    )


def _money(
    key: str,
    value: Callable[[Totals], float | None],
    currency: Callable[[Totals], str | None] = lambda totals: totals.currency,
) -> GroupSensorDescription:
    """Return the sensor of money per hour."""

    def unit(group: Group) -> str | None:
        code = currency(group.totals)
        return code and f"{code}/h"

    return GroupSensorDescription(
        key=key,
        translation_key=f"group_{key}",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=3,
        value_fn=lambda group: value(group.totals),
        unit_fn=unit,
    )


STATUS = GroupSensorDescription(
    key="status",
    translation_key=GROUP_STATUS,
    device_class=SensorDeviceClass.ENUM,
    options=[status.value for status in Status],
    value_fn=lambda group: group.site.status if group.site else None,
    attributes_fn=lambda group: group.site.attributes if group.site else None,
    needs_miners=False,
)
HEATING = GroupSensorDescription(
    key=HEATING_STATUS,
    device_class=SensorDeviceClass.ENUM,
    options=[status.value for status in HeatStatus],
    value_fn=lambda group: group.heating.status if group.heating else None,
    needs_miners=False,
)
ENERGY = SensorEntityDescription(
    key="energy",
    translation_key="group_energy",
    device_class=SensorDeviceClass.ENERGY,
    native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
    state_class=SensorStateClass.TOTAL_INCREASING,
    suggested_display_precision=2,
)
SENSORS: tuple[GroupSensorDescription, ...] = (
    _total("power", UnitOfPower.WATT, 0, SensorDeviceClass.POWER),
    _total("hashrate", UNIT_HASHRATE, 1),
    _total("efficiency", UNIT_EFFICIENCY, 1),
    _money("cost_per_hour", lambda totals: totals.cost),
    _money(
        "revenue_per_hour",
        lambda totals: totals.revenue,
        lambda totals: totals.revenue_currency,
    ),
    _money("margin_per_hour", lambda totals: totals.margin),
    GroupSensorDescription(
        key="miners_mining",
        translation_key="group_miners_mining",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda group: group.totals.mining,
        attributes_fn=lambda group: {"offline": list(group.totals.offline)},
    ),
    GroupSensorDescription(
        key="worst_fault",
        translation_key="group_worst_fault",
        value_fn=lambda group: fault_state(group.totals.worst_fault),
    ),
)


def sensors(group: Group) -> list[SensorEntity]:
    """Return the sensors of a group."""
    return [
        *(GroupSensor(group, description) for description in SENSORS),
        GroupEnergySensor(group, ENERGY),
        *([GroupSensor(group, STATUS)] if group.site else []),
        *([GroupSensor(group, HEATING)] if group.heating else []),
    ]


def numbers(group: Group) -> list[NumberEntity]:
    """Return the numbers of a group: with a meter its own reserve, without one its target."""
    if group.site:
        return [GroupReserve(group, RESERVE)]
    return [GroupPowerTarget(group, POWER_TARGET)]


def switches(group: Group) -> list[SwitchEntity]:
    """Return the switch of a group."""
    return [GroupSwitch(group, MINING)]


class GroupSensor(GroupEntity, SensorEntity):
    """What a group or its miners do together."""

    entity_description: GroupSensorDescription
    _unrecorded_attributes = frozenset(
        {
            "offline",
            "settles",
            "surplus_least",
            "surplus_most",
            "surplus_average",
            "start_above",
            "not_controlled",
        }
    )

    @property
    @override
    def available(self) -> bool:
        return self.miner_group.available or not self.entity_description.needs_miners

    @property
    @override
    def native_value(self) -> StateType:
        value = self.entity_description.value_fn(self.miner_group)
        # Digits and not decimals: an hour may earn millionths of a bitcoin.
        return float(f"{value:.6g}") if isinstance(value, float) else value

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        if unit := self.entity_description.unit_fn:
            return unit(self.miner_group)
        return super().native_unit_of_measurement

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        return self.entity_description.attributes_fn(self.miner_group)


class GroupEnergySensor(GroupEntity, RestoreSensor):
    """Counts what each miner draws while it is a member, so that it never goes backwards."""

    _energy = 0.0
    """kWh, unrounded."""

    def __init__(self, group: Group, description: EntityDescription) -> None:
        """Start with meters that have no reading."""
        super().__init__(group, description)
        self._meters: dict[str, tuple[Meter, Summary]] = {}

    @override
    async def async_added_to_hass(self) -> None:
        restored = await self.async_get_last_sensor_data()
        if restored and isinstance(restored.native_value, (int, float)):
            self._energy = restored.native_value
        self._count()
        await super().async_added_to_hass()

    @property
    @override
    def native_value(self) -> float:
        return whole_steps(self._energy)

    @callback
    @override
    def _on_update(self) -> None:
        self._count()
        super()._on_update()

    @callback
    def _count(self) -> None:
        """Add what each miner has drawn since its last reading."""
        for entry in self.miner_group.members:
            data = loaded(entry)
            if data is None:
                continue
            state = data.coordinator.data
            if state.summary is None or state.summary.power is None:
                continue
            meter, counted = self._meters.get(entry.entry_id, (Meter(), None))
            if counted is not state.summary:
                self._meters[entry.entry_id] = meter, state.summary
                self._energy += meter.add(Reading(state.read_at, state.summary.power))


class GroupPowerTarget(GroupEntity, NumberEntity):
    """One power for all miners."""

    @property
    @override
    def native_max_value(self) -> float:
        return max(10.0, 10 * math.ceil(self.miner_group.full / 10))

    @property
    @override
    def native_value(self) -> float | None:
        return self.miner_group.store.target

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str]:
        return {"target": "none"} if self.native_value is None else {}

    @override
    async def async_set_native_value(self, value: float) -> None:
        self.miner_group.set_target(round(value))


class GroupReserve(GroupEntity, NumberEntity):
    """A power that the miners leave to others, such as a car that waits."""

    @property
    @override
    def native_value(self) -> float:
        return self.miner_group.store.reserve

    @override
    async def async_set_native_value(self, value: float) -> None:
        self.miner_group.set_reserve(round(value))


class GroupSwitch(GroupEntity, SwitchEntity):
    """Whether the miners that follow the group may mine."""

    @property
    @override
    def is_on(self) -> bool:
        return self.miner_group.is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        self.miner_group.set_on(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        self.miner_group.set_on(False)

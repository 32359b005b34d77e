"""Economics: cost and revenue of mining, by the prices of other sensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
import math
import re
from typing import Any, NamedTuple, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    STATE_ON,
    EntityCategory,
    Platform,
    UnitOfPower,
)
from homeassistant.core import (
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.restore_state import RestoredExtraData, RestoreEntity
from homeassistant.util.unit_conversion import PowerConverter

from ..api import Activity, Section, Summary
from ..const import (
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_HASHPRICE_SENSOR,
    CONF_HEAT_DEMAND,
    CONF_HEAT_EFFICIENCY,
    CONF_HEAT_PRICE,
    CONF_HEAT_SHARE,
    CONF_HEAT_SHARE_SENSOR,
    CONF_HEAT_SOURCE,
    CONF_PRICE_SENSOR,
    DOMAIN,
    IDLE_POWER,
)
from ..controls import POWER_PERCENT
from ..coordinator import WhatsminerCoordinator
from ..entity import ReadingDescription, WhatsminerEntity, remove_entities
from .best import (
    BreakEven,
    Heat,
    Rates,
    best_level,
    break_even,
    fuel_heat,
    heat_pump_heat,
)
from .curve import Level
from .energy import LONGEST_STEP
from .learning import Learning
from .saved import against_always_on, against_limit, what_happened
from .units import UNITS, parse_unit

_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₿": "BTC",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
}
"""Signs that only one currency has; `$`, `¥` and `kr` may be any of several."""

DEFAULT_BOILER = 0.9
DEFAULT_COP = 3.0
"""Where the option is empty."""


class HeatSource(StrEnum):
    """What heats where the heat of the miner does not."""

    FUEL = "fuel"
    HEAT_PUMP = "heat_pump"
    RESISTANCE = "resistance"


class Quote(NamedTuple):
    """An amount of money per kWh, or per TH/s and day."""

    amount: float | None
    currency: str


def _without_sign(money: str) -> str:
    """Return the code of a currency; its sign, if several currencies have that."""
    return _SIGNS.get(money, money.upper())


def differ(one: str, other: str) -> bool:
    """Return whether two currencies are surely not the same."""
    codes = _without_sign(one), _without_sign(other)
    return codes[0] != codes[1] and all(re.fullmatch(r"\w{3,}", code) for code in codes)


class Market:
    """The prices that the options name, as they are now."""

    def __init__(self, hass: HomeAssistant, options: Mapping[str, Any]) -> None:
        """Keep where to look."""
        self._hass = hass
        self._options = options

    @property
    def home(self) -> str:
        """Return the currency of this home."""
        return self._hass.config.currency

    @property
    def sensors(self) -> list[str]:
        """Return the entities that the prices come from."""
        kinds = (*UNITS, CONF_HEAT_SHARE_SENSOR, CONF_HEAT_DEMAND)
        return [self._options[kind] for kind in kinds if self._options.get(kind)]

    @property
    def price_sensor(self) -> str | None:
        """Return the entity of the price of electricity."""
        return self._options.get(CONF_PRICE_SENSOR)

    @property
    def has_price(self) -> bool:
        """Return whether the options say what electricity costs."""
        return (
            bool(self.price_sensor) or self._options.get(CONF_FIXED_PRICE) is not None
        )

    @property
    def knows_money(self) -> bool:
        """Whether the price sensor is there, if one is chosen; before that its unit is unknown.

        A number that is shown in another unit after every start would get no statistics.
        """
        return not self.price_sensor or self._state(CONF_PRICE_SENSOR) is not None

    @property
    def has_hashprice(self) -> bool:
        """Return whether the options say what a hashrate earns."""
        by_sensor = bool(self._options.get(CONF_HASHPRICE_SENSOR))
        return by_sensor or self._options.get(CONF_HASHPRICE) is not None

    @property
    def has_prices(self) -> bool:
        """Return whether the options say what is earned and what is paid."""
        return self.has_price and self.has_hashprice

    @property
    def price(self) -> Quote:
        """Money per kWh; a fixed price is in the currency of this home."""
        if self.price_sensor:
            return self._quote(CONF_PRICE_SENSOR)
        return Quote(self._options.get(CONF_FIXED_PRICE), self.home)

    def price_age(self, now: datetime) -> timedelta:
        """Return how long ago the price sensor reported a price; a fixed price is never old."""
        state = self._state(CONF_PRICE_SENSOR) if self.price_sensor else None
        return now - state.last_reported if state else timedelta()

    @property
    def hashprice(self) -> Quote:
        """Money per TH/s and day; a plain number is in the currency of the price."""
        if self._options.get(CONF_HASHPRICE_SENSOR):
            return self._quote(CONF_HASHPRICE_SENSOR)
        amount = self._options.get(CONF_HASHPRICE) if self.knows_money else None
        return Quote(amount, self.price.currency)

    @property
    def has_heat(self) -> bool:
        """Whether the options say that heat is worth something."""
        return self._options.get(CONF_HEAT_SOURCE) in set(HeatSource)

    def heat(self, price: float) -> Heat | None:
        """Return the value of heat at a price of electricity; ValueError if it is impossible.

        Without a price of the fuel, or without a share, heat is worth nothing.
        """
        key = CONF_HEAT_EFFICIENCY
        match self._options.get(CONF_HEAT_SOURCE):
            case HeatSource.FUEL:
                fuel = self._options.get(CONF_HEAT_PRICE, 0.0)
                efficiency = self._options.get(key, DEFAULT_BOILER)
                value = fuel_heat(fuel, efficiency)
            case HeatSource.HEAT_PUMP:
                cop = self._options.get(key, DEFAULT_COP)
                value = heat_pump_heat(price, cop)
            case HeatSource.RESISTANCE:
                value = price
            case _:
                return None
        return Heat(value, self._heat_share, self._heat_demand)

    @property
    def _heat_share(self) -> float:
        """The part of the heat that is wanted, 0 to 1: of the entity, which is on, off or in %."""
        if not self._options.get(CONF_HEAT_SHARE_SENSOR):
            return float(self._options.get(CONF_HEAT_SHARE, 0)) / 100
        state = self._state(CONF_HEAT_SHARE_SENSOR)
        if state and state.state == STATE_ON:
            return 1.0
        return min(max((_number(state) or 0.0) / 100, 0.0), 1.0)

    @property
    def _heat_demand(self) -> float | None:
        """The demand for heat in kW; None is no bound."""
        demand = _number(self._state(CONF_HEAT_DEMAND))
        if demand is None:
            return None
        unit = self.unit(CONF_HEAT_DEMAND) or UnitOfPower.KILO_WATT
        try:
            kw = PowerConverter.convert(demand, unit, UnitOfPower.KILO_WATT)
        except HomeAssistantError:
            return None
        return max(kw, 0.0)

    @property
    def heat_is_comparable(self) -> bool:
        """Whether the value of heat is in the currency of the price; a fuel is paid in that of this home."""
        fuel = self._options.get(CONF_HEAT_SOURCE) == HeatSource.FUEL
        return not fuel or not differ(self.price.currency, self.home)

    @property
    def rates(self) -> Rates | None:
        """What a decision about the power counts with; None while a price is unknown."""
        price, hashprice = self.price.amount, self.hashprice.amount
        if price is None or hashprice is None:
            return None
        if not self.one_currency or not self.heat_is_comparable:
            return None
        return Rates(hashprice, price, IDLE_POWER, self.heat(price))

    @property
    def effective_price(self) -> float | None:
        """The price less what the heat is worth, per kWh."""
        price = self.price
        if price.amount is None or not self.heat_is_comparable:
            return None
        return Rates(
            0.0, price.amount, IDLE_POWER, self.heat(price.amount)
        ).effective_price

    @property
    def one_currency(self) -> bool:
        """Whether what is earned can be compared with what is paid."""
        return not self.has_price or not differ(
            self.price.currency, self.hashprice.currency
        )

    @property
    def price_unit(self) -> tuple[str, float]:
        """How this home writes a price of electricity, and what one of it is per kWh."""
        written = self.unit(CONF_PRICE_SENSOR) or ""
        unit = parse_unit(CONF_PRICE_SENSOR, written)
        if unit and "/" in written:
            return written, unit.factor
        return f"{self.hashprice.currency}/kWh", 1.0

    def unit(self, kind: str) -> str | None:
        """The unit of the sensor of that option, as it is written."""
        state = self._state(kind)
        return state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) if state else None

    def _state(self, kind: str) -> State | None:
        return self._hass.states.get(self._options.get(kind, ""))

    def _quote(self, kind: str) -> Quote:
        state, unit = self._state(kind), parse_unit(kind, self.unit(kind))
        currency = (unit and unit.currency) or self.home
        amount = _number(state)
        if unit is None or amount is None:
            return Quote(None, currency)
        return Quote(amount * unit.factor, currency)


def _number(state: State | None) -> float | None:
    """The number that an entity shows, if it shows one."""
    try:
        number = float(state.state) if state else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _cost(summary: Summary, market: Market) -> float | None:
    """Money per hour for the power that the miner draws."""
    power, price = summary.power, market.price.amount
    return None if power is None or price is None else power / 1000 * price


def _revenue(summary: Summary, market: Market) -> float | None:
    """Money per hour for the hashrate that the miner delivers."""
    rate, hashprice = summary.hashrate, market.hashprice.amount
    return None if rate is None or hashprice is None else rate * hashprice / 24


def _margin(summary: Summary, market: Market) -> float | None:
    """What is left; money of two currencies cannot be compared."""
    cost, revenue = _cost(summary, market), _revenue(summary, market)
    if cost is None or revenue is None or not market.one_currency:
        return None
    return revenue - cost


def _break_even(summary: Summary, market: Market) -> float | None:
    """The price at which revenue and cost are equal, written like the price it is compared with."""
    hashprice = market.hashprice.amount
    if not summary.efficiency or hashprice is None:
        return None
    if not market.knows_money or not market.one_currency:
        return None
    return hashprice / 24 / (summary.efficiency / 1000) / market.price_unit[1]


def _limits(levels: Sequence[Level], market: Market) -> BreakEven | None:
    """Return the prices between which the levels change, per kWh; None while one is unknown."""
    hashprice = market.hashprice.amount
    if hashprice is None or not market.knows_money or not market.one_currency:
        return None
    return break_even(levels, hashprice, IDLE_POWER)


def _full_below(levels: Sequence[Level], market: Market) -> float | None:
    """Return the price below which full power earns most."""
    limits = _limits(levels, market)
    return limits and limits.full_below


def _stop_above(levels: Sequence[Level], market: Market) -> float | None:
    """Return the price above which no level earns anything."""
    limits = _limits(levels, market)
    return limits and limits.stop_above


def _best_power(levels: Sequence[Level], market: Market) -> float | None:
    """Return the power that earns most at the present price; 0 is stop."""
    rates = market.rates
    if not levels or rates is None:
        return None
    best = best_level(levels, rates)
    return round(best.watts) if best else 0


@dataclass(frozen=True, kw_only=True)
class EconomicsDescription(ReadingDescription, SensorEntityDescription):
    """A sensor, the prices it needs, and how it comes from them."""

    exists_fn: Callable[[Market], bool]
    unit_fn: Callable[[Market], str]
    value_fn: Callable[[Summary, Market], float | None] = lambda *_: None
    curve_fn: Callable[[Sequence[Level], Market], float | None] = lambda *_: None
    """The value from the learned curve, where that is known."""
    saved_fn: Callable[[Level, Level, Rates], float] | None = None
    """What is saved per hour, by what happened and what full power would be."""
    entity_class: type[EconomicsSensor] | None = None


def _code(money: str, home: str) -> str:
    """Return the code of a currency, which the device class for money wants."""
    code = _without_sign(money)
    return code if re.fullmatch(r"[A-Z]{3}", code) else home


STOP_ABOVE = "break_even_price"
"""The key is that of the sensor that this one replaces."""
FULL_BELOW = "full_power_below"
MOST_PROFITABLE = "most_profitable_power"
EFFECTIVE_PRICE = "effective_price"

COST_TOTAL = "cost_total"
REVENUE_TOTAL = "revenue_total"
SAVED_ALWAYS_ON = "saved_always_on"
SAVED_LIMIT = "saved_limit"
RESET_SAVED = f"{DOMAIN}_reset_saved_{{}}"
"""Signal that the savings of an entry start again at 0."""


class EconomicsSensor(WhatsminerEntity, SensorEntity):
    """Money per hour or per kWh; it follows the miner and the prices."""

    entity_description: EconomicsDescription
    _unrecorded_attributes = frozenset({CONF_PRICE_SENSOR})

    def __init__(
        self,
        coordinator: WhatsminerCoordinator,
        description: EconomicsDescription,
        market: Market,
        learning: Learning,
    ) -> None:
        """Look at this market, and at what is learned of the miner."""
        super().__init__(coordinator, description)
        self._market = market
        self._learning = learning

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the prices too: they change between two polls, and at the full hour."""
        await super().async_added_to_hass()
        if sensors := self._market.sensors:
            self.async_on_remove(
                async_track_state_change_event(
                    self.hass, sensors, self._handle_price_change
                )
            )

    @callback
    def _handle_price_change(self, _: Event[EventStateChangedData]) -> None:
        self.async_write_ha_state()

    @property
    def _summary(self) -> Summary | None:
        return self.coordinator.data.summary

    @property
    def _value(self) -> float | None:
        summary = self._summary
        return summary and self.entity_description.value_fn(summary, self._market)

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        return self.entity_description.unit_fn(self._market)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str]:
        """Name the price sensor, so that a dashboard can show it beside the result."""
        sensor = self._market.price_sensor
        return {CONF_PRICE_SENSOR: sensor} if sensor else {}

    @property
    @override
    def native_value(self) -> float | None:
        value = self._value
        # Digits and not decimals: an hour may earn millionths of a bitcoin.
        return None if value is None else float(f"{value:.6g}")


class CurveSensor(EconomicsSensor):
    """What the prices and the learned curve lead to, also while the miner is stopped or offline."""

    _needs_miner = False  # others may follow it

    @property
    @override
    def _value(self) -> float | None:
        return self.entity_description.curve_fn(self._learning.levels, self._market)


class StopAboveSensor(CurveSensor, RestoreEntity):
    """The price of electricity above which no power earns anything.

    Before a curve is known, that at which revenue and cost are equal, by the efficiency with which
    the miner mines or has mined last: an owner who waits with a stopped miner for cheap
    electricity needs to know what is cheap.
    """

    _efficiency: float | None = None

    @override
    async def async_added_to_hass(self) -> None:
        if restored := await self.async_get_last_extra_data():
            self._efficiency = restored.as_dict().get("efficiency")
        self._learn()
        await super().async_added_to_hass()

    @property
    @override
    def _value(self) -> float | None:
        known = super()._value
        if known is not None:
            return known
        return self.entity_description.value_fn(self._summary, self._market)

    @property
    @override
    def extra_restore_state_data(self) -> RestoredExtraData:
        return RestoredExtraData({"efficiency": self._efficiency})

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._learn()
        super()._handle_coordinator_update()

    @callback
    def _learn(self) -> None:
        """While it starts and tunes, power and hashrate do not belong together yet."""
        state = self.coordinator.data
        if state.activity is Activity.MINING and state.summary:
            self._efficiency = state.summary.efficiency or self._efficiency

    @property
    @override
    def _summary(self) -> Summary:
        return Summary(efficiency=self._efficiency)


class TotalSensor(EconomicsSensor, RestoreEntity):
    """Money added up from reading to reading, like *Energy*.

    Where the previous total is lost or the currency changes, it starts again at 0 with a new
    `last_reset`: the statistics then book no loss.
    """

    _total = 0.0
    _last: tuple[datetime, float | None] | None = None
    """When the last reading was, and money per hour then."""
    _currency: str | None = None
    _start: datetime | None = None

    @override
    async def async_added_to_hass(self) -> None:
        """Continue from the previous total."""
        if restored := await self.async_get_last_extra_data():
            self._restore(restored.as_dict())
        self._count()
        await super().async_added_to_hass()

    def _restore(self, stored: Mapping[str, Any]) -> None:
        """Take what is stored, or nothing of it."""
        try:
            total, currency = float(stored["total"]), str(stored["currency"])
            start = datetime.fromisoformat(stored["last_reset"])
        except KeyError, TypeError, ValueError:
            return
        if math.isfinite(total) and start.tzinfo:
            self._total, self._start = total, start
            self._currency = currency

    @property
    @override
    def extra_restore_state_data(self) -> RestoredExtraData:
        start = self._start
        return RestoredExtraData(
            {
                "total": self._total,
                "currency": self._currency,
                "last_reset": start.isoformat() if start else None,
            }
        )

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        return self._currency

    @property
    @override
    def last_reset(self) -> datetime | None:
        return self._start

    @property
    @override
    def native_value(self) -> float | None:
        """Two decimals: a stopped miner need not write a state every half minute."""
        if self._start is None:
            return None  # the currency is not known yet
        is_bitcoin = self._currency == "BTC"
        return round(self._total, 8 if is_bitcoin else 2) + 0.0  # never -0.0

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._count()
        super()._handle_coordinator_update()

    def _may_begin(self, per_hour: float | None) -> bool:
        """Return whether the total can begin now."""
        return True

    @callback
    def _begin(self, unit: str | None) -> None:
        self._total, self._start = 0.0, self.coordinator.data.read_at
        self._currency = unit

    @callback
    def _count(self) -> None:
        """Add the area under the line from the last reading to this one."""
        state, last = self.coordinator.data, self._last
        if not self._market.knows_money or (last and last[0] == state.read_at):
            return
        per_hour = self._value
        unit = self.entity_description.unit_fn(self._market)
        if unit != self._currency and self._may_begin(per_hour):
            self._begin(unit)
            last = None
        self._last = (state.read_at, per_hour)
        if last is None or last[1] is None or per_hour is None:
            return
        step = state.read_at - last[0]
        # The clock may have been set back, or the machine been asleep.
        if timedelta() < step <= LONGEST_STEP:
            self._total += (last[1] + per_hour) / 2 * (step / timedelta(hours=1))


class SavedSensor(TotalSensor):
    """What was saved against a simple rule, by what the miner really did; a button resets it."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        signal = RESET_SAVED.format(self.coordinator.config_entry.entry_id)
        self.async_on_remove(
            async_dispatcher_connect(self.hass, signal, self._handle_reset)
        )

    @callback
    def _handle_reset(self) -> None:
        if self._start is not None:
            self._begin(self._currency)
            self.async_write_ha_state()

    @property
    @override
    def _value(self) -> float | None:
        saved_fn, rates = self.entity_description.saved_fn, self._market.rates
        levels = self._learning.profile.levels
        if saved_fn is None or rates is None or not levels:
            return None
        commanded = self.coordinator.store.setting(POWER_PERCENT.key)
        happened = what_happened(self.coordinator.data, commanded, rates.idle)
        return None if happened is None else saved_fn(happened, levels[-1], rates)

    @override
    def _may_begin(self, per_hour: float | None) -> bool:
        """Wait until the prices and the curve are known: 0 would be wrong before."""
        return per_hour is not None


class Money(NamedTuple):
    """Whether the options lead to some money, and which currency it is in."""

    exists: Callable[[Market], bool]
    quote: Callable[[Market], Quote]


COST = Money(lambda market: market.has_price, lambda market: market.price)
REVENUE = Money(lambda market: market.has_hashprice, lambda market: market.hashprice)
MARGIN = Money(lambda market: market.has_prices, lambda market: market.price)


# There is no device class for money per something in core.
def _per_hour(
    key: str, money: Money, value: Callable[[Summary, Market], float | None]
) -> EconomicsDescription:
    return EconomicsDescription(
        key=key,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=3,
        sections=(Section.SUMMARY,),
        exists_fn=money.exists,
        unit_fn=lambda market: f"{money.quote(market).currency}/h",
        value_fn=value,
    )


def _price(
    key: str,
    per_kwh: Callable[[Sequence[Level], Market], float | None],
    exists: Callable[[Market], bool] = REVENUE.exists,
) -> EconomicsDescription:
    """Return a price of electricity, written like that of the price sensor."""

    def curve(levels: Sequence[Level], market: Market) -> float | None:
        price = per_kwh(levels, market)
        return None if price is None else price / market.price_unit[1]

    return EconomicsDescription(
        key=key,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=4,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=exists,
        unit_fn=lambda market: market.price_unit[0],
        curve_fn=curve,
        entity_class=CurveSensor,
    )


def _total(
    key: str,
    money: Money,
    *,
    value: Callable[[Summary, Market], float | None] = lambda *_: None,
    saved: Callable[[Level, Level, Rates], float] | None = None,
) -> EconomicsDescription:
    return EconomicsDescription(
        key=key,
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        suggested_display_precision=2,
        exists_fn=money.exists,
        unit_fn=lambda market: _code(money.quote(market).currency, market.home),
        value_fn=value,
        saved_fn=saved,
        entity_class=SavedSensor if saved else TotalSensor,
    )


ECONOMICS: tuple[EconomicsDescription, ...] = (
    _per_hour("cost_per_hour", COST, _cost),
    _per_hour("revenue_per_hour", REVENUE, _revenue),
    _per_hour("margin_per_hour", MARGIN, _margin),
    replace(
        _price(STOP_ABOVE, _stop_above),
        value_fn=_break_even,
        entity_class=StopAboveSensor,
    ),
    _price(FULL_BELOW, _full_below),
    EconomicsDescription(
        key=MOST_PROFITABLE,
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=MARGIN.exists,
        unit_fn=lambda _: UnitOfPower.WATT,
        curve_fn=_best_power,
        entity_class=CurveSensor,
    ),
    _price(
        EFFECTIVE_PRICE,
        lambda _, market: market.effective_price,
        exists=lambda market: market.has_price and market.has_heat,
    ),
    _total(COST_TOTAL, COST, value=_cost),
    _total(REVENUE_TOTAL, REVENUE, value=_revenue),
    _total(SAVED_ALWAYS_ON, MARGIN, saved=against_always_on),
    _total(SAVED_LIMIT, MARGIN, saved=against_limit),
)


@callback
def economics_sensors(
    coordinator: WhatsminerCoordinator, learning: Learning
) -> Iterator[SensorEntity]:
    """Return the sensors that the options lead to, and remove the others."""
    market = Market(coordinator.hass, coordinator.config_entry.options)
    for description in ECONOMICS:
        if description.exists_fn(market):
            sensor = description.entity_class or EconomicsSensor
            yield sensor(coordinator, description, market, learning)
        else:
            remove_entities(coordinator, Platform.SENSOR, [description.key])

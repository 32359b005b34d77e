"""Names and numbers that more than one file of the integration needs."""

from datetime import timedelta
import logging
from typing import Final

DOMAIN: Final = "whatsminer"
LOGGER: Final = logging.getLogger(__package__)

CONF_V3_PORT: Final = "v3_port"
CONF_ACCOUNT: Final = "account"
CONF_V3_PASSWORD: Final = "v3_password"
CONF_POWER_LIMIT_MIN: Final = "power_limit_min"
CONF_POWER_LIMIT_MAX: Final = "power_limit_max"
CONF_PRICE_SENSOR: Final = "price_sensor"
CONF_HASHPRICE_SENSOR: Final = "hashprice_sensor"
CONF_FIXED_PRICE: Final = "fixed_price"
CONF_HASHPRICE: Final = "hashprice"
CONF_HEAT_SOURCE: Final = "heat_source"
CONF_HEAT_PRICE: Final = "heat_price"
CONF_HEAT_EFFICIENCY: Final = "heat_efficiency"
CONF_HEAT_SHARE: Final = "heat_share"
CONF_HEAT_SHARE_SENSOR: Final = "heat_share_sensor"
CONF_HEAT_DEMAND: Final = "heat_demand"
CONF_FORECAST: Final = "forecast"
CONF_FORECAST_TAX: Final = "forecast_tax"
CONF_FORECAST_FEE: Final = "forecast_fee"
CONF_HOURS_AT_LEAST: Final = "hours_at_least"
CONF_HOURS_AT_MOST: Final = "hours_at_most"
CONF_LIMIT_STOP_ABOVE: Final = "limit_stop_above"
CONF_LIMIT_RESUME_BELOW: Final = "limit_resume_below"
CONF_LIMIT_BREAK_EVEN: Final = "limit_break_even"
CONF_LIMIT_HYSTERESIS: Final = "limit_hysteresis"
CONF_LIMIT_MIDDLE_PERCENT: Final = "limit_middle_percent"
CONF_LIMIT_MIDDLE_ABOVE: Final = "limit_middle_above"
CONF_LIMIT_WAIT: Final = "limit_wait"
CONF_LIMIT_OLDEST: Final = "limit_oldest"
CONF_LIMIT_UNKNOWN: Final = "limit_unknown"
CONF_SHORTEST_RUN: Final = "shortest_run"
CONF_SHORTEST_STOP: Final = "shortest_stop"
CONF_DEAD_BAND: Final = "dead_band"
CONF_RESTART_INTERVAL: Final = "restart_interval"
CONF_RESTARTS_ALLOWED: Final = "restarts_allowed"
CONF_THERMOSTAT_SENSOR: Final = "thermostat_sensor"
CONF_THERMOSTAT_KIND: Final = "thermostat_kind"
CONF_THERMOSTAT_MIN: Final = "thermostat_min"
CONF_THERMOSTAT_MAX: Final = "thermostat_max"
CONF_THERMOSTAT_STEP: Final = "thermostat_step"
CONF_THERMOSTAT_COMFORT: Final = "thermostat_comfort"
CONF_THERMOSTAT_ECO: Final = "thermostat_eco"
CONF_THERMOSTAT_BOOST: Final = "thermostat_boost"
CONF_THERMOSTAT_AWAY: Final = "thermostat_away"
CONF_THERMOSTAT_HARD_LIMIT: Final = "thermostat_hard_limit"
CONF_THERMOSTAT_CALL: Final = "thermostat_call"
CONF_THERMOSTAT_EXTRA_COST: Final = "thermostat_extra_cost"
CONF_THERMOSTAT_ABOVE: Final = "thermostat_above"
CONF_THERMOSTAT_BELOW: Final = "thermostat_below"
CONF_THERMOSTAT_WIDEN: Final = "thermostat_widen"
CONF_THERMOSTAT_LOWEST: Final = "thermostat_lowest"
CONF_THERMOSTAT_MINIMUM_RUN: Final = "thermostat_minimum_run"
CONF_THERMOSTAT_MINIMUM_STOP: Final = "thermostat_minimum_stop"
CONF_THERMOSTAT_LOST: Final = "thermostat_lost"

DEFAULT_DEAD_BAND: Final = 100
"""W; a power target this near to what is, is left alone."""
DEFAULT_RESTART_INTERVAL: Final = 60
"""Minutes between two restarts that a power target causes."""

SCAN_INTERVAL: Final = timedelta(seconds=30)
SLOW_EVERY: Final = 10
"""Pools, PSU, faults and versions are read in every tenth poll, and after a write."""

FULL: Final = 100
"""Percent of the tuned power."""
LOWEST_PERCENT: Final = 40
"""Less than this of the full power leads to unbalanced boards and restarts (protocol.md#h2)."""
IDLE_POWER: Final = 15.0
"""W; what a stopped miner draws."""
TYPICAL_POWER: Final = 3000.0
"""W; the full power of a miner that has not reported any."""

UNIT_HASHRATE: Final = "TH/s"
UNIT_EFFICIENCY: Final = "J/TH"

"""The true state of a simulated miner at one instant, with the unit in every name."""

from dataclasses import dataclass
from enum import StrEnum

from .settings import Network, Settings


class Phase(StrEnum):
    """The states of protocol.md#h2."""

    OFF_BOARD = "off_board"
    BTMINER_DOWN = "btminer_down"
    STARTING = "starting"
    UPFREQ = "upfreq"
    STABLE = "stable"
    STOPPED = "stopped"


@dataclass(slots=True, kw_only=True)
class BoardTruth:
    """One hash board. Its hashrate is `HS RT`, or `MHS 5m` if a board reports no `HS RT`."""

    slot: int
    hashrate_ths: float
    temperature_c: float | None
    chip_temperature_min_c: float | None
    chip_temperature_avg_c: float | None
    chip_temperature_max_c: float | None
    frequency_mhz: float | None
    chips: int | None


@dataclass(slots=True, kw_only=True)
class PoolTruth:
    """One pool."""

    url: str
    user: str
    active: bool
    status: str
    accepted: int
    rejected: int


@dataclass(slots=True, kw_only=True)
class PsuTruth:
    """The power supply."""

    model: str
    input_voltage_v: float | None
    input_current_a: float | None
    input_power_w: float | None
    fan_speed_rpm: float | None
    temperature_c: float | None


@dataclass(slots=True, kw_only=True)
class Truth:
    """The whole miner; None if its API has no such field."""

    phase: Phase
    mining: bool
    stop_reason: str | None
    elapsed_s: float
    uptime_s: int
    hashrate_ths: float
    hashrate_average_ths: float
    hashrate_5s_ths: float | None
    hashrate_1m_ths: float
    hashrate_5m_ths: float | None
    hashrate_15m_ths: float
    hashrate_target_ths: float | None
    hashrate_nominal_ths: float
    power_w: float
    power_rate_jth: float | None
    power_limit_w: int
    power_mode: str
    power_percent: int | None
    temperature_c: float | None
    environment_temperature_c: float | None
    liquid_temperature_c: float | None
    chip_temperature_min_c: float
    chip_temperature_avg_c: float
    chip_temperature_max_c: float
    fan_speed_in_rpm: int
    fan_speed_out_rpm: int
    frequency_average_mhz: float
    frequency_target_mhz: float
    hash_stable: bool
    fast_boot: bool | None
    accepted_shares: int | None
    rejected_shares: int | None
    reject_rate_percent: float
    boards: tuple[BoardTruth, ...]
    pools: tuple[PoolTruth, ...]
    psu: PsuTruth
    error_codes: tuple[int, ...]
    led_auto: bool | None
    # What pre_power_on would answer; None: it does not heat
    preheat: str | None
    # The active values; `settings` has the values after the next restart
    hostname: str | None
    network: Network | None
    timezone: str
    firmware: str
    model: str
    # All that is set, whether it can be read or not
    settings: Settings

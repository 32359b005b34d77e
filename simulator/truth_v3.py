"""The state of a simulated miner as API v3 reports it, with the unit in every name.

`Truth` is the state as TCP 4028 reports it. A field that both have has the same name in both; its
value may differ, as it does on the wire: `power_w` is the power of this moment here, and a mean
of five minutes there.
"""

from dataclasses import dataclass

from .settings import Network, Settings
from .truth import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class V3BoardTruth:
    """One hash board. Its only hashrate is the mean since btminer's start."""

    slot: int
    hashrate_average_ths: float
    hashrate_nominal_ths: float | None
    temperature_c: float
    chip_temperature_min_c: float
    chip_temperature_avg_c: float
    chip_temperature_max_c: float
    frequency_mhz: float
    chips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class V3PoolTruth:
    """One pool, without any count of shares."""

    url: str
    user: str
    active: bool
    status: str
    reject_rate_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class V3PsuTruth:
    """The power supply; some firmware reports only its fan."""

    model: str
    fan_speed_rpm: float
    input_voltage_v: float | None
    input_current_a: float | None
    input_power_w: float | None
    output_voltage_v: float | None
    temperature_c: float | None
    liquid_temperature_c: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class V3Truth:
    """The whole miner; None where its API has no such field, or says that it does not know."""

    phase: Phase
    mining: bool
    elapsed_s: int
    uptime_s: int
    # `hash-realtime`, which is the mean of the last minute like `HS RT` on 4028
    hashrate_ths: float
    hashrate_average_ths: float
    hashrate_1m_ths: float
    hashrate_15m_ths: float
    hashrate_nominal_ths: float | None
    # `power_w` is `power_realtime_w`
    power_w: float
    power_realtime_w: float
    power_5min_w: float
    power_rate_jth: float
    # The active limit, and the user's limit (None: not set)
    power_limit_w: int
    power_limit_set_w: int | None
    power_mode: str
    # None: no percentage was set since the last start
    power_percent: int | None
    power_set_w: int | None
    target_freq_percent: int
    upfreq_speed: int
    upfreq_complete: bool
    fast_boot: bool
    fast_hash: bool | None
    heat_mode: str | None
    environment_temperature_c: float
    liquid_temperature_c: float | None
    board_temperatures_c: tuple[float, ...]
    chip_temperature_min_c: float
    chip_temperature_avg_c: float
    chip_temperature_max_c: float
    fan_speed_in_rpm: int
    fan_speed_out_rpm: int
    frequency_average_mhz: float
    boards: tuple[V3BoardTruth, ...]
    pools: tuple[V3PoolTruth, ...]
    psu: V3PsuTruth
    # code and reason; the reason is "" before 3.0.1
    errors: tuple[tuple[int, str], ...] | None
    error_codes: tuple[int, ...] | None
    api_switch: bool
    api_version: str
    led_auto: bool
    firmware: str
    model: str
    mac: str
    hostname: str
    network: Network
    timezone: str
    permissions: str
    # All that is set, whether it can be read or not
    settings: Settings

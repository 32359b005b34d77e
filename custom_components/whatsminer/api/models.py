"""What a miner says, in normalised units, whatever its dialect.

Hashrates in TH/s, powers in W, voltages in V, currents in A, temperatures in degrees Celsius,
fan speeds in RPM, frequencies in MHz, durations in s. None always means: not reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import final

from .errors import (
    BtminerDownError,
    CommandRefusedError,
    UnsupportedCommandError,
    WhatsminerError,
)


class Dialect(StrEnum):
    """The generations of the vendor's API (protocol.md#e7)."""

    V1 = "1"
    V2 = "2.0"
    V2_2 = "2.2"
    V3 = "3"


class Feature(StrEnum):
    """What a dialect lets an owner command."""

    MINING = "mining"
    RESTART = "restart"
    REBOOT = "reboot"
    LED = "led"
    FAST_BOOT = "fast_boot"
    POWER_MODE = "power_mode"
    POWER_LIMIT = "power_limit"
    POWER_PERCENT = "power_percent"
    RESTORE_POWER_PERCENT = "restore_power_percent"
    POWER = "power"
    TARGET_FREQUENCY = "target_frequency"
    UPFREQ_SPEED = "upfreq_speed"
    FAST_HASH = "fast_hash"
    START_AT_BOOT = "start_at_boot"
    HEAT_MODE = "heat_mode"
    PREHEAT = "preheat"
    POWER_OFF_COOL = "power_off_cool"
    FAN_ZERO_SPEED = "fan_zero_speed"
    TEMPERATURE_OFFSET = "temperature_offset"
    POOLS = "pools"
    WEB_POOLS = "web_pools"
    COIN_TYPE = "coin_type"
    RANDOM_DELAY = "random_delay"
    HOSTNAME = "hostname"
    TIME_ZONE = "time_zone"
    NTP_SERVERS = "ntp_servers"
    LOG_SERVER = "log_server"
    NETWORK = "network"
    PASSWORD = "password"
    PERMISSION = "permission"
    SSH = "ssh"
    CUSTOM_DATA = "custom_data"
    DOWNLOAD_LOGS = "download_logs"
    UPDATE_FIRMWARE = "update_firmware"
    RESTORE_SETTINGS = "restore_settings"
    FACTORY_RESET = "factory_reset"


class Section(StrEnum):
    """The parts of a poll; each is read alone and fails alone."""

    SUMMARY = "summary"
    BOARDS = "boards"
    STATUS = "status"
    POOLS = "pools"
    PSU = "psu"
    FAULTS = "faults"
    INFO = "info"
    SETTINGS = "settings"


class PowerMode(StrEnum):
    """The three power modes of the vendor."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Activity(StrEnum):
    """What the miner is doing, drawn from flag, hashrate and tuning state together."""

    MINING = "mining"
    TUNING = "tuning"
    STARTING = "starting"
    STOPPED = "stopped"
    RESTARTING = "restarting"


class Cooling(StrEnum):
    """How the model is cooled (protocol.md#g2)."""

    AIR = "air"
    LIQUID = "liquid"


class HeatMode(StrEnum):
    """What a liquid cooled miner does with its heat while it does not mine (protocol.md#d1, #e6)."""

    NORMAL = "normal"
    HEATING = "heating"
    ANTI_FREEZING = "anti_freezing"


class PreheatStage(StrEnum):
    """How far a stopped miner is warmed up (protocol.md#d5)."""

    WAITING = "waiting"
    ADJUSTING = "adjusting"
    COMPLETE = "complete"


class LedColor(StrEnum):
    """The two LEDs of a miner."""

    RED = "red"
    GREEN = "green"


class LogProtocol(StrEnum):
    """How a miner sends its log to a server."""

    TCP = "tcp"
    UDP = "udp"


COIN_TYPES = ("BTC", "BCH", "BSV", "DCR", "HC", "DGB", "SHA256")
"""What `set.miner.cointype` takes (protocol.md#e6)."""


# Values of commands


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLogin:
    """A pool to mine for. User and password are private: they are in no repr."""

    url: str
    user: str = field(repr=False)
    password: str = field(default="", repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LedPattern:
    """How one LED blinks: every `period` ms for `duration` ms, `start` ms after the beginning."""

    color: LedColor
    period: int = 200
    duration: int = 100
    start: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LogServer:
    """Where a miner sends its log to: an IPv4 address and a port."""

    address: str
    port: int
    protocol: LogProtocol = LogProtocol.UDP


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How a miner is in its network: by DHCP, or by addresses that are set."""

    dhcp: bool | None
    address: str | None = None
    netmask: str | None = None
    gateway: str | None = None
    dns: tuple[str, ...] | None = None
    """One or two addresses."""
    hostname: str | None = None


# What a miner says


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Preheat:
    """The answer to `pre_power_on` (protocol.md#d5)."""

    stage: PreheatStage | None = None
    complete: bool | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MinerInfo:
    """The identity of the miner; read once per connection and then periodically."""

    dialect: Dialect
    api_version: str | None = None
    firmware: str | None = None
    platform: str | None = None
    model: str | None = None
    mac: str | None = None
    serial: str | None = None
    hostname: str | None = None
    led_auto: bool | None = None
    api_switch: bool | None = None
    """Whether the miner accepts writes, where it reports that (3.x)."""
    features: frozenset[Feature] = frozenset()
    unreadable: frozenset[Feature] = frozenset()
    """Features that can be set but not read (protocol.md#d4)."""
    cooling: Cooling | None = None

    @property
    def power_is_mean(self) -> bool:
        """Return whether the reported power is a mean of some minutes (protocol.md#c14)."""
        return self.dialect is Dialect.V2_2

    @property
    def has_accounts(self) -> bool:
        """Return whether commands need an account, not the admin's password (protocol.md#e3)."""
        return self.dialect is Dialect.V3

    @property
    def reports_stop_reason(self) -> bool:
        """Return whether the miner reports why it is stopped (protocol.md#c7)."""
        return self.dialect in (Dialect.V2, Dialect.V2_2)

    @property
    def renames_after_reboot(self) -> bool:
        """Return whether a new hostname is active, and reported, only after a reboot (protocol.md#e6)."""
        return self.dialect is Dialect.V3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The `summary` answer (protocol.md#c1)."""

    hashrate: float | None = None
    hashrate_average: float | None = None
    hashrate_5s: float | None = None
    hashrate_1m: float | None = None
    hashrate_5m: float | None = None
    hashrate_15m: float | None = None
    hashrate_target: float | None = None
    hashrate_nominal: float | None = None
    power: float | None = None
    power_5m: float | None = None
    """The mean of five minutes, where `power` is a momentary value (3.x)."""
    efficiency: float | None = None
    """J/TH; the miner's own, or power / hashrate where it says none."""
    power_limit: float | None = None
    """The active limit; None while there is none (the miner reports 0)."""
    power_mode: PowerMode | None = None
    temperature: float | None = None
    environment_temperature: float | None = None
    chip_temperature_min: float | None = None
    chip_temperature_avg: float | None = None
    chip_temperature_max: float | None = None
    fan_speed_in: float | None = None
    fan_speed_out: float | None = None
    psu_fan_speed: float | None = None
    psu_input_voltage: float | None = None
    psu_input_current: float | None = None
    """Of the power supply, where `summary` itself has it (1.x)."""
    frequency_average: float | None = None
    frequency_target: float | None = None
    elapsed: float | None = None
    """Seconds since btminer started."""
    uptime: float | None = None
    """Seconds since the control board started."""
    accepted_shares: int | None = None
    rejected_shares: int | None = None
    reject_rate: float | None = None
    """Percent of the shares that the pools rejected."""
    stable: bool | None = None
    """Tuning is finished."""
    fast_boot: bool | None = None
    mac: str | None = None
    firmware: str | None = None
    error_codes: tuple[int, ...] | None = None
    """Only where `summary` itself lists them (v1)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One hashboard of `devs` or `edevs` (protocol.md#c3)."""

    slot: int
    hashrate: float | None = None
    hashrate_average: float | None = None
    hashrate_nominal: float | None = None
    temperature: float | None = None
    chip_temperature_min: float | None = None
    chip_temperature_avg: float | None = None
    chip_temperature_max: float | None = None
    frequency: float | None = None
    chips: int | None = None
    tuned: bool | None = None
    serial: str | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One configured pool (protocol.md#c2). The user is private: it is never logged."""

    index: int
    url: str | None = None
    user: str | None = field(default=None, repr=False)
    status: str | None = None
    """The vendor's word in lower case: `alive`, `dead`, ..."""
    active: bool | None = None
    priority: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    reject_rate: float | None = None
    last_share: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Psu:
    """The power supply (protocol.md#c5)."""

    model: str | None = None
    input_voltage: float | None = None
    input_current: float | None = None
    input_power: float | None = None
    fan_speed: float | None = None
    temperature: float | None = None
    enabled: bool | None = None
    serial: str | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The `status` answer (protocol.md#c7): the commanded state, whether it mines or not."""

    off: bool | None = None
    """The stopped flag; True means not mining. None where the miner has none."""
    stop_reason: str | None = None
    power_mode: PowerMode | None = None
    power_limit_set: float | None = None
    """The limit the user set; None for default or no limit."""
    power_percent: float | None = None
    target_frequency: int | None = None
    """Percent that the frequency was set off by; 0 is none."""
    fast_hash: bool | None = None
    liquid_temperature: float | None = None
    firmware: str | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One entry of the error list (protocol.md#c9). The time is the miner's own text, in its own zone."""

    code: int
    time: str | None = None
    reason: str | None = None
    """The miner's own words (since 3.0.1)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings that the owner seldom changes (protocol.md#c8, #e5). Old firmware reports few of them."""

    web_pools: bool | None = None
    power_off_cool: bool | None = None
    fan_zero_speed: bool | None = None
    temperature_offset: int | None = None
    upfreq_speed: int | None = None
    heat_mode: HeatMode | None = None
    power: float | None = None
    """The power that was set by `set_power`; None for none."""
    coin_type: str | None = None
    random_start: int | None = None
    random_stop: int | None = None
    timezone: str | None = None
    zone_name: str | None = None
    ntp_servers: tuple[str, ...] | None = None
    log_server: LogServer | None = None
    network: Network | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MinerState:
    """All that is known after a poll. A section that is None was not answered.

    `failed` says why, by section. Slow sections are carried over from the poll that read them.
    """

    info: MinerInfo
    read_at: datetime
    """When the fast sections were read (UTC)."""
    summary: Summary | None = None
    boards: tuple[Board, ...] | None = None
    status: Status | None = None
    pools: tuple[Pool, ...] | None = None
    psu: Psu | None = None
    faults: tuple[Fault, ...] | None = None
    settings: Settings | None = None
    failed: Mapping[Section, WhatsminerError] = field(
        default_factory=lambda: MappingProxyType({})
    )
    activity: Activity | None = None

    def is_complete(self, sections: Iterable[Section]) -> bool:
        """Return whether each of these sections was answered, or is one that this miner does not have."""
        return all(
            getattr(self, section) is not None
            or isinstance(self.failed.get(section), UnsupportedCommandError)
            for section in sections
        )

    @property
    def power_now(self) -> float | None:
        """Return the current power (W): of the power supply where the miner reports a mean."""
        if self.info.power_is_mean and self._measured_power is not None:
            return self._measured_power
        return self.summary.power if self.summary else None

    @property
    def power_is_mean(self) -> bool:
        """Return whether `power_now` is a mean, which follows a command minutes later."""
        return self.info.power_is_mean and self._measured_power is None

    @property
    def _measured_power(self) -> float | None:
        """Return what the power supply measures; 0 W while the miner mines is no measurement."""
        power = self.psu and self.psu.input_power
        return None if power == 0 and self.mining else power

    @property
    def mining(self) -> bool | None:
        """Whether the miner is set to mine (also while it starts or tunes).

        None while neither its flag nor its hashrate shows it.
        """
        if self.status and self.status.off is not None:
            return self.activity is not Activity.STOPPED
        if self.activity in (Activity.MINING, Activity.TUNING):
            return True
        return False if self.activity is Activity.STOPPED else None

    @property
    def power_mode(self) -> PowerMode | None:
        """The active power mode, else the one that was set."""
        if self.summary and self.summary.power_mode:
            return self.summary.power_mode
        return self.status.power_mode if self.status else None

    @property
    def power_limit(self) -> float | None:
        """The active power limit, else the one that was set (W)."""
        if self.summary and self.summary.power_limit:
            return self.summary.power_limit
        return self.status.power_limit_set if self.status else None

    @property
    def temperature(self) -> float | None:
        """The hottest board, by the miner's own word or by comparing them."""
        if self.summary and self.summary.temperature is not None:
            return self.summary.temperature
        known = [b.temperature for b in self.boards or () if b.temperature is not None]
        return max(known, default=None)

    @property
    def accepted_shares(self) -> int | None:
        """Shares that the pools accepted since btminer started."""
        if self.summary and self.summary.accepted_shares is not None:
            return self.summary.accepted_shares
        return _total(pool.accepted for pool in self.pools or ())

    @property
    def rejected_shares(self) -> int | None:
        """Shares that the pools rejected since btminer started."""
        if self.summary and self.summary.rejected_shares is not None:
            return self.summary.rejected_shares
        return _total(pool.rejected for pool in self.pools or ())

    @property
    def reject_rate(self) -> float | None:
        """Percent of rejected shares: counted, else over all pools, else of the one in use."""
        counted = rejected_percent(self.accepted_shares, self.rejected_shares)
        if counted is not None:
            return counted
        if self.summary and self.summary.reject_rate is not None:
            return self.summary.reject_rate
        return self.active_pool.reject_rate if self.active_pool else None

    @property
    def active_pool(self) -> Pool | None:
        """The pool in use."""
        return next((pool for pool in self.pools or () if pool.active), None)

    def board(self, slot: int) -> Board | None:
        """The board in a slot, if it was reported."""
        return next((board for board in self.boards or () if board.slot == slot), None)


def with_boards(summary: Summary, boards: Iterable[Board]) -> Summary:
    """The summary, with the state of tuning from the boards that hash where it reports none."""
    tuned = [board.tuned for board in boards if board.hashrate]
    if summary.stable is not None or not tuned or None in tuned:
        return summary
    return replace(summary, stable=all(tuned))


def activity_of(
    dialect: Dialect,
    status: Status | None,
    summary: Summary | None,
    summary_error: WhatsminerError | None,
) -> Activity | None:
    """Return what the miner is doing; None when neither flag nor summary show it."""
    rates = (summary.hashrate_5s, summary.hashrate) if summary else ()
    rate = next((rate for rate in rates if rate is not None), None)
    # cgminer based firmware sets the flag wrongly at times (protocol.md#c7).
    if status and status.off and not (dialect is Dialect.V1 and rate):
        return Activity.STOPPED
    # A miner that does not hash may be stopped, unless it reports that it is not.
    idle = None if status is None else Activity.STARTING
    if summary is None:
        # A board of API 3 answers and refuses: there is no btminer that it could ask.
        down = CommandRefusedError if dialect is Dialect.V3 else BtminerDownError
        return idle and Activity.RESTARTING if isinstance(summary_error, down) else None
    if summary.hashrate is None:
        return None
    # Hashrates are means, and may include earlier values; chips at 0 MHz do not hash.
    if not rate or (summary.frequency_average == 0 and not summary.stable):
        return idle
    return Activity.TUNING if summary.stable is False else Activity.MINING


def rejected_percent(
    accepted: int | None, rejected: int | None, reported: float | None = None
) -> float | None:
    """Percent of the shares that were rejected; what is reported where they are not counted, or none are."""
    if accepted is None or rejected is None or not accepted + rejected:
        return reported
    return 100 * rejected / (accepted + rejected)


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None

"""The settings of a miner, and which of them a command resets (sections D and protocol.md#e6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .profiles import Pool, Profile

NTP = (
    "0.cn.pool.ntp.org",
    "0.openwrt.pool.ntp.org",
    "0.asia.pool.ntp.org",
    "0.pool.ntp.org",
)
CUSTOM_KEYS = ("CustomerSn", *(f"msg{number}" for number in range(10)))


class Restart(StrEnum):
    """What a command restarts or waits for (the column in protocol.md#d1)."""

    NONE = "none"
    NEXT_START = "next start"
    BTMINER = "btminer"
    NETWORK = "network"
    BOARD = "board"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network settings; `dns` is one address, or two separated by a space."""

    proto: str
    ip: str
    netmask: str
    gateway: str
    dns: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServer:
    """The server to which a miner sends its log."""

    ip: str
    port: str
    proto: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The current settings; some take effect later, as `Restart` says."""

    # Mining. `mode_text` is what status says of the mode: nothing before one was chosen
    power_mode: str = "normal"
    mode_text: str = ""
    # What the user set; None: nothing, 0: no limit at all
    power_limit_set: int | None = None
    # Watts to tune to, and percent off the usual frequency; 0: none
    power_set_w: int = 0
    target_freq: int = 0
    upfreq_speed: int = 0
    fast_boot: bool = False
    fast_hash: bool = False
    heat_mode: str = "normal"
    coin_type: str = "BTC/BCH/BSV"
    start_at_boot: bool = True
    # Seconds by which a start and a stop may be late
    time_randomized: tuple[int, int] = (0, 0)

    # Fans
    poweroff_cool: bool = False
    fan_zero_speed: bool = False
    temp_offset: int = 0

    pools: tuple[Pool, ...] = ()
    web_pools: bool = True

    # Network and time; None: the address comes from DHCP
    network: Network | None = None
    hostname: str = "WhatsMiner"
    timezone: str = "CST-8"
    zonename: str = "Asia/Shanghai"
    ntp_servers: tuple[str, ...] = NTP
    log_server: LogServer | None = None

    # The owner's
    password: str = "admin"
    custom: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(CUSTOM_KEYS, "")
    )
    ssh: bool = False


# What takes effect at the next start of btminer
FOR_NEXT_START = ("fast_boot", "fast_hash", "upfreq_speed", "temp_offset")

# What `set.miner.restore_setting` puts back
OF_MINING = (
    "power_mode",
    "mode_text",
    "power_limit_set",
    "power_set_w",
    "target_freq",
    "upfreq_speed",
    "fast_boot",
    "fast_hash",
    "heat_mode",
    "coin_type",
    "start_at_boot",
    "time_randomized",
    "poweroff_cool",
    "fan_zero_speed",
    "temp_offset",
)


def from_factory(profile: Profile) -> Settings:
    """Return the factory settings."""
    return Settings(
        mode_text="normal" if profile.mode_text else "", pools=profile.pools
    )


def as_found(profile: Profile) -> Settings:
    """Return the initial settings of a profile."""
    return replace(
        from_factory(profile),
        power_mode=profile.power_mode,
        mode_text=profile.mode_text,
        power_limit_set=profile.power_limit_set,
    )


def mining_restored(profile: Profile) -> Mapping[str, object]:
    """Return the changes that reset the mining settings."""
    factory = from_factory(profile)
    return {name: getattr(factory, name) for name in OF_MINING}

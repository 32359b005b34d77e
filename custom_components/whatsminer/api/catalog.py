"""Every command of the vendor's API: which dialects know it, and what it does for an owner.

`MinerInfo.features`, `Miner.get_data` and docs/commands.md are made from this table.
"""

from dataclasses import dataclass
from functools import cache
from typing import final

from .models import Cooling, Dialect, Feature as F


@final
@dataclass(frozen=True, slots=True)
class ApiCommand:
    """One command of the vendor."""

    name: str
    """The vendor's own name."""
    dialects: frozenset[Dialect]
    features: tuple[F, ...] = ()
    """What it does for an owner; empty for a read."""
    cooling: Cooling | None = None
    """The only cooling it is meant for."""
    is_data: bool = False
    """Whether `Miner.get_data` returns its answer."""


V1, V2, V2_2, V3 = (frozenset({dialect}) for dialect in Dialect)
V2_UP, ALL_4028 = V2 | V2_2, V1 | V2 | V2_2
AIR, LIQUID = Cooling.AIR, Cooling.LIQUID


def _reads(dialects: frozenset[Dialect], *names: str) -> list[ApiCommand]:
    return [ApiCommand(name, dialects, is_data=True) for name in names]


COMMANDS = (
    # Reads on 4028
    *_reads(
        ALL_4028,
        "summary",
        "pools",
        "devs",
        "edevs",
        "devdetails",
        "get_psu",
        "get_version",
        "status",
    ),
    *_reads(V2_UP, "get_miner_info", "get_error_code"),
    *_reads(V2_2, "get_customer_msg"),
    ApiCommand("get_token", ALL_4028),
    # Reads on 4433
    *_reads(
        V3,
        "get.device.info",
        "get.miner.status",
        "get.miner.setting",
        "get.system.setting",
        "get.fan.setting",
        "get.device.custom_data",
        "get.miner.history",
    ),
    ApiCommand("get.log.download", V3, (F.DOWNLOAD_LOGS,)),
    # Writes on 4028
    ApiCommand("power_on", ALL_4028, (F.MINING,)),
    ApiCommand("power_off", ALL_4028, (F.MINING,)),
    ApiCommand("restart_btminer", ALL_4028, (F.RESTART,)),
    ApiCommand("reboot", ALL_4028, (F.REBOOT,)),
    ApiCommand("set_low_power", ALL_4028, (F.POWER_MODE,)),
    ApiCommand("set_normal_power", ALL_4028, (F.POWER_MODE,)),
    ApiCommand("set_high_power", ALL_4028, (F.POWER_MODE,)),
    ApiCommand("adjust_power_limit", V2_UP, (F.POWER_LIMIT,)),
    ApiCommand("set_power_pct", ALL_4028, (F.POWER_PERCENT,)),
    ApiCommand("set_power_pct_v2", V2_UP, (F.POWER_PERCENT,)),
    ApiCommand("restore_power_pct", V2_2, (F.RESTORE_POWER_PERCENT,)),
    ApiCommand("set_power", V2_2, (F.POWER,)),
    ApiCommand("set_target_freq", ALL_4028, (F.TARGET_FREQUENCY,)),
    ApiCommand("adjust_upfreq_speed", V2_UP, (F.UPFREQ_SPEED,)),
    ApiCommand("enable_cgminer_fast_boot", V1, (F.FAST_BOOT,)),
    ApiCommand("disable_cgminer_fast_boot", V1, (F.FAST_BOOT,)),
    ApiCommand("enable_btminer_fast_boot", V2_UP, (F.FAST_BOOT,)),
    ApiCommand("disable_btminer_fast_boot", V2_UP, (F.FAST_BOOT,)),
    ApiCommand("enable_btminer_init", V2_UP, (F.START_AT_BOOT,)),
    ApiCommand("disable_btminer_init", V2_UP, (F.START_AT_BOOT,)),
    ApiCommand("set_heat_mode", V2_UP, (F.HEAT_MODE,), LIQUID),
    ApiCommand("pre_power_on", V1 | V2, (F.PREHEAT,), LIQUID),
    ApiCommand("set_poweroff_cool", V2_UP, (F.POWER_OFF_COOL,), AIR),
    ApiCommand("set_fan_zero_speed", V2_UP, (F.FAN_ZERO_SPEED,), AIR),
    ApiCommand("set_temp_offset", V2_UP, (F.TEMPERATURE_OFFSET,), AIR),
    ApiCommand("update_pools", ALL_4028, (F.POOLS,)),
    ApiCommand("enable_web_pools", ALL_4028, (F.WEB_POOLS,)),
    ApiCommand("disable_web_pools", ALL_4028, (F.WEB_POOLS,)),
    ApiCommand("set_led", ALL_4028, (F.LED,)),
    ApiCommand("set_hostname", ALL_4028, (F.HOSTNAME,)),
    ApiCommand("set_zone", ALL_4028, (F.TIME_ZONE,)),
    ApiCommand("load_log", ALL_4028, (F.LOG_SERVER,)),
    ApiCommand("net_config", ALL_4028, (F.NETWORK,)),
    ApiCommand("update_pwd", ALL_4028, (F.PASSWORD,)),
    ApiCommand("ssh_open", V1, (F.SSH,)),
    ApiCommand("ssh_close", V1, (F.SSH,)),
    ApiCommand("set_customer_msg", V2_2, (F.CUSTOM_DATA,)),
    ApiCommand("download_logs", ALL_4028, (F.DOWNLOAD_LOGS,)),
    ApiCommand("update_firmware", ALL_4028, (F.UPDATE_FIRMWARE,)),
    ApiCommand("factory_reset", ALL_4028, (F.FACTORY_RESET,)),
    # Writes on 4433
    ApiCommand("set.miner.service", V3, (F.MINING, F.RESTART, F.START_AT_BOOT)),
    ApiCommand("set.system.reboot", V3, (F.REBOOT,)),
    ApiCommand("set.miner.power_mode", V3, (F.POWER_MODE,)),
    ApiCommand("set.miner.power_limit", V3, (F.POWER_LIMIT,)),
    ApiCommand(
        "set.miner.power_percent", V3, (F.POWER_PERCENT, F.RESTORE_POWER_PERCENT)
    ),
    ApiCommand("set.miner.power", V3, (F.POWER,)),
    ApiCommand("set.miner.target_freq", V3, (F.TARGET_FREQUENCY,)),
    ApiCommand("set.miner.upfreq_speed", V3, (F.UPFREQ_SPEED,)),
    ApiCommand("set.miner.fastboot", V3, (F.FAST_BOOT,)),
    ApiCommand("set.miner.fast_hash", V3, (F.FAST_HASH,)),
    ApiCommand("set.miner.heat_mode", V3, (F.HEAT_MODE,), LIQUID),
    ApiCommand("set.fan.poweroff_cool", V3, (F.POWER_OFF_COOL,), AIR),
    ApiCommand("set.fan.zero_speed", V3, (F.FAN_ZERO_SPEED,), AIR),
    ApiCommand("set.fan.temp_offset", V3, (F.TEMPERATURE_OFFSET,), AIR),
    ApiCommand("set.miner.pools", V3, (F.POOLS,)),
    ApiCommand("set.system.webpools", V3, (F.WEB_POOLS,)),
    ApiCommand("set.miner.cointype", V3, (F.COIN_TYPE,)),
    ApiCommand("set.system.led", V3, (F.LED,)),
    ApiCommand("set.system.hostname", V3, (F.HOSTNAME,)),
    ApiCommand("set.system.timezone", V3, (F.TIME_ZONE,)),
    ApiCommand("set.system.time_randomized", V3, (F.RANDOM_DELAY,)),
    ApiCommand("set.system.ntp_server", V3, (F.NTP_SERVERS,)),
    ApiCommand("set.log.upload", V3, (F.LOG_SERVER,)),
    ApiCommand("set.system.net_config", V3, (F.NETWORK,)),
    ApiCommand("set.user.change_passwd", V3, (F.PASSWORD,)),
    ApiCommand("set.user.permission", V3, (F.PERMISSION,)),
    ApiCommand("set.device.custom_data", V3, (F.CUSTOM_DATA,)),
    ApiCommand("set.system.update_firmware", V3, (F.UPDATE_FIRMWARE,)),
    ApiCommand("set.miner.restore_setting", V3, (F.RESTORE_SETTINGS,)),
    ApiCommand("set.system.factory_reset", V3, (F.FACTORY_RESET,)),
    ApiCommand("set.miner.report", V3),
)

JOINABLE = frozenset({"summary", "pools", "devs", "edevs", "devdetails"})
"""What can be read on 4028 in one request, with a `+` between the names (protocol.md#a5)."""


@cache
def features_of(dialect: Dialect, cooling: Cooling | None = None) -> frozenset[F]:
    """Return what a dialect can be commanded; with `None` for any cooling.

    A firmware may still refuse one with code 14.
    """
    return frozenset(
        feature
        for command in COMMANDS
        if dialect in command.dialects
        and (None in (cooling, command.cooling) or cooling is command.cooling)
        for feature in command.features
    )


@cache
def data_commands(dialect: Dialect) -> tuple[str, ...]:
    """Return what a dialect answers to `get_data`, without joins."""
    return tuple(c.name for c in COMMANDS if c.is_data and dialect in c.dialects)

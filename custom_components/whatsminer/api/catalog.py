"""Every command of the vendor's API: which dialects know it, and which method sends it.

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
    section: str
    """Section of docs/protocol.md."""
    methods: str
    """Methods of `Miner` that send it, separated by blanks."""
    features: tuple[F, ...] = ()
    """What it does for an owner; empty for a read."""
    cooling: Cooling | None = None
    """The only cooling it is meant for."""

    @property
    def is_data(self) -> bool:
        """Return whether `Miner.get_data` returns its answer."""
        return self.methods in ("read", "get_data")


V1, V2, V2_2, V3 = (frozenset({dialect}) for dialect in Dialect)
V2_UP, ALL_4028 = V2 | V2_2, V1 | V2 | V2_2
AIR, LIQUID = Cooling.AIR, Cooling.LIQUID

COMMANDS = (
    # Reads on 4028
    ApiCommand("summary", ALL_4028, "C.1", "read"),
    ApiCommand("pools", ALL_4028, "C.2", "read"),
    ApiCommand("devs", ALL_4028, "C.3", "read"),
    ApiCommand("edevs", ALL_4028, "C.3", "read"),
    ApiCommand("devdetails", ALL_4028, "C.4", "read"),
    ApiCommand("get_psu", ALL_4028, "C.5", "read"),
    ApiCommand("get_version", ALL_4028, "C.6", "read"),
    ApiCommand("status", ALL_4028, "C.7", "read"),
    ApiCommand("get_miner_info", V2_UP, "C.8", "read"),
    ApiCommand("get_error_code", V2_UP, "C.9", "read"),
    ApiCommand("get_customer_msg", V2_2, "C.10", "get_data"),
    ApiCommand("get_token", ALL_4028, "B.1", "check_password"),
    # Reads on 4433
    ApiCommand("get.device.info", V3, "E.5", "read"),
    ApiCommand("get.miner.status", V3, "E.5", "read"),
    ApiCommand("get.miner.setting", V3, "E.5", "read"),
    ApiCommand("get.system.setting", V3, "E.5", "read"),
    ApiCommand("get.fan.setting", V3, "E.5", "read"),
    ApiCommand("get.device.custom_data", V3, "E.5", "get_data"),
    ApiCommand("get.miner.history", V3, "E.5", "get_data"),
    ApiCommand("get.log.download", V3, "E.5", "download_logs", (F.DOWNLOAD_LOGS,)),
    # Writes on 4028
    ApiCommand("power_on", ALL_4028, "D.3", "start_mining", (F.MINING,)),
    ApiCommand("power_off", ALL_4028, "D.3", "stop_mining", (F.MINING,)),
    ApiCommand("restart_btminer", ALL_4028, "D.1", "restart_btminer", (F.RESTART,)),
    ApiCommand("reboot", ALL_4028, "D.1", "reboot", (F.REBOOT,)),
    ApiCommand("set_low_power", ALL_4028, "D.4", "set_power_mode", (F.POWER_MODE,)),
    ApiCommand("set_normal_power", ALL_4028, "D.4", "set_power_mode", (F.POWER_MODE,)),
    ApiCommand("set_high_power", ALL_4028, "D.4", "set_power_mode", (F.POWER_MODE,)),
    ApiCommand("adjust_power_limit", V2_UP, "D.4", "set_power_limit", (F.POWER_LIMIT,)),
    ApiCommand(
        "set_power_pct", ALL_4028, "D.4", "set_power_percent", (F.POWER_PERCENT,)
    ),
    ApiCommand(
        "set_power_pct_v2", V2_UP, "D.4", "set_power_percent", (F.POWER_PERCENT,)
    ),
    ApiCommand(
        "restore_power_pct",
        V2_2,
        "D.1",
        "restore_power_percent",
        (F.RESTORE_POWER_PERCENT,),
    ),
    ApiCommand("set_power", V2_2, "D.4", "set_power", (F.POWER,)),
    ApiCommand(
        "set_target_freq",
        ALL_4028,
        "D.4",
        "set_target_frequency",
        (F.TARGET_FREQUENCY,),
    ),
    ApiCommand(
        "adjust_upfreq_speed", V2_UP, "D.1", "set_upfreq_speed", (F.UPFREQ_SPEED,)
    ),
    ApiCommand("enable_cgminer_fast_boot", V1, "D.1", "set_fast_boot", (F.FAST_BOOT,)),
    ApiCommand("disable_cgminer_fast_boot", V1, "D.1", "set_fast_boot", (F.FAST_BOOT,)),
    ApiCommand(
        "enable_btminer_fast_boot", V2_UP, "D.1", "set_fast_boot", (F.FAST_BOOT,)
    ),
    ApiCommand(
        "disable_btminer_fast_boot", V2_UP, "D.1", "set_fast_boot", (F.FAST_BOOT,)
    ),
    ApiCommand(
        "enable_btminer_init", V2_UP, "D.1", "set_start_at_boot", (F.START_AT_BOOT,)
    ),
    ApiCommand(
        "disable_btminer_init", V2_UP, "D.1", "set_start_at_boot", (F.START_AT_BOOT,)
    ),
    ApiCommand("set_heat_mode", V2_UP, "D.1", "set_heat_mode", (F.HEAT_MODE,), LIQUID),
    ApiCommand("pre_power_on", V1 | V2, "D.5", "pre_power_on", (F.PREHEAT,), LIQUID),
    ApiCommand(
        "set_poweroff_cool",
        V2_UP,
        "D.1",
        "set_power_off_cool",
        (F.POWER_OFF_COOL,),
        AIR,
    ),
    ApiCommand(
        "set_fan_zero_speed",
        V2_UP,
        "D.1",
        "set_fan_zero_speed",
        (F.FAN_ZERO_SPEED,),
        AIR,
    ),
    ApiCommand(
        "set_temp_offset",
        V2_UP,
        "D.1",
        "set_temperature_offset",
        (F.TEMPERATURE_OFFSET,),
        AIR,
    ),
    ApiCommand("update_pools", ALL_4028, "D.1", "set_pools", (F.POOLS,)),
    ApiCommand("enable_web_pools", ALL_4028, "D.1", "set_web_pools", (F.WEB_POOLS,)),
    ApiCommand("disable_web_pools", ALL_4028, "D.1", "set_web_pools", (F.WEB_POOLS,)),
    ApiCommand("set_led", ALL_4028, "D.1", "set_leds set_led_auto blink", (F.LED,)),
    ApiCommand("set_hostname", ALL_4028, "D.1", "set_hostname", (F.HOSTNAME,)),
    ApiCommand("set_zone", ALL_4028, "D.1", "set_time_zone", (F.TIME_ZONE,)),
    ApiCommand("load_log", ALL_4028, "D.1", "set_log_server", (F.LOG_SERVER,)),
    ApiCommand("net_config", ALL_4028, "D.1", "set_network", (F.NETWORK,)),
    ApiCommand("update_pwd", ALL_4028, "D.1", "change_password", (F.PASSWORD,)),
    ApiCommand("ssh_open", V1, "D.1", "set_ssh", (F.SSH,)),
    ApiCommand("ssh_close", V1, "D.1", "set_ssh", (F.SSH,)),
    ApiCommand("set_customer_msg", V2_2, "D.1", "set_custom_data", (F.CUSTOM_DATA,)),
    ApiCommand("download_logs", ALL_4028, "D.7", "download_logs", (F.DOWNLOAD_LOGS,)),
    ApiCommand(
        "update_firmware", ALL_4028, "D.6", "update_firmware", (F.UPDATE_FIRMWARE,)
    ),
    ApiCommand("factory_reset", ALL_4028, "D.1", "factory_reset", (F.FACTORY_RESET,)),
    # Writes on 4433
    ApiCommand(
        "set.miner.service",
        V3,
        "E.6",
        "start_mining stop_mining restart_btminer set_start_at_boot",
        (F.MINING, F.RESTART, F.START_AT_BOOT),
    ),
    ApiCommand("set.system.reboot", V3, "E.6", "reboot", (F.REBOOT,)),
    ApiCommand("set.miner.power_mode", V3, "E.6", "set_power_mode", (F.POWER_MODE,)),
    ApiCommand("set.miner.power_limit", V3, "E.6", "set_power_limit", (F.POWER_LIMIT,)),
    ApiCommand(
        "set.miner.power_percent",
        V3,
        "E.6",
        "set_power_percent restore_power_percent",
        (F.POWER_PERCENT, F.RESTORE_POWER_PERCENT),
    ),
    ApiCommand("set.miner.power", V3, "E.6", "set_power", (F.POWER,)),
    ApiCommand(
        "set.miner.target_freq",
        V3,
        "E.6",
        "set_target_frequency",
        (F.TARGET_FREQUENCY,),
    ),
    ApiCommand(
        "set.miner.upfreq_speed", V3, "E.6", "set_upfreq_speed", (F.UPFREQ_SPEED,)
    ),
    ApiCommand("set.miner.fastboot", V3, "E.6", "set_fast_boot", (F.FAST_BOOT,)),
    ApiCommand("set.miner.fast_hash", V3, "E.6", "set_fast_hash", (F.FAST_HASH,)),
    ApiCommand(
        "set.miner.heat_mode", V3, "E.6", "set_heat_mode", (F.HEAT_MODE,), LIQUID
    ),
    ApiCommand(
        "set.fan.poweroff_cool",
        V3,
        "E.6",
        "set_power_off_cool",
        (F.POWER_OFF_COOL,),
        AIR,
    ),
    ApiCommand(
        "set.fan.zero_speed", V3, "E.6", "set_fan_zero_speed", (F.FAN_ZERO_SPEED,), AIR
    ),
    ApiCommand(
        "set.fan.temp_offset",
        V3,
        "E.6",
        "set_temperature_offset",
        (F.TEMPERATURE_OFFSET,),
        AIR,
    ),
    ApiCommand("set.miner.pools", V3, "E.4", "set_pools", (F.POOLS,)),
    ApiCommand("set.system.webpools", V3, "E.6", "set_web_pools", (F.WEB_POOLS,)),
    ApiCommand("set.miner.cointype", V3, "E.6", "set_coin_type", (F.COIN_TYPE,)),
    ApiCommand("set.system.led", V3, "E.6", "set_leds set_led_auto blink", (F.LED,)),
    ApiCommand("set.system.hostname", V3, "E.6", "set_hostname", (F.HOSTNAME,)),
    ApiCommand("set.system.timezone", V3, "E.6", "set_time_zone", (F.TIME_ZONE,)),
    ApiCommand(
        "set.system.time_randomized", V3, "E.6", "set_random_delay", (F.RANDOM_DELAY,)
    ),
    ApiCommand("set.system.ntp_server", V3, "E.6", "set_ntp_servers", (F.NTP_SERVERS,)),
    ApiCommand("set.log.upload", V3, "E.6", "set_log_server", (F.LOG_SERVER,)),
    ApiCommand("set.system.net_config", V3, "E.6", "set_network", (F.NETWORK,)),
    ApiCommand("set.user.change_passwd", V3, "E.4", "change_password", (F.PASSWORD,)),
    ApiCommand("set.user.permission", V3, "E.6", "set_permission", (F.PERMISSION,)),
    ApiCommand(
        "set.device.custom_data", V3, "E.6", "set_custom_data", (F.CUSTOM_DATA,)
    ),
    ApiCommand(
        "set.system.update_firmware",
        V3,
        "E.6",
        "update_firmware",
        (F.UPDATE_FIRMWARE,),
    ),
    ApiCommand(
        "set.miner.restore_setting",
        V3,
        "E.6",
        "restore_settings",
        (F.RESTORE_SETTINGS,),
    ),
    ApiCommand(
        "set.system.factory_reset", V3, "E.6", "factory_reset", (F.FACTORY_RESET,)
    ),
    ApiCommand("set.miner.report", V3, "E.6", "check_password"),
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

"""Every command, and what goes over the wire for it in each dialect that has it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from custom_components.whatsminer.api import (
    Cooling,
    Dialect,
    Feature,
    HeatMode,
    LedColor,
    LedPattern,
    LogServer,
    Network,
    PoolLogin,
    PowerMode,
)
from simulator import SimulatedMiner

from .conftest import AIR, ALL_4028, LIQUID, V1, V2, V2_UP, V2C, V3, WAIT, Call, Wire


@dataclass(frozen=True)
class Case:
    """One command, and what goes over the wire for it in each dialect that has it."""

    call: Call
    wire: dict[Dialect, Wire]
    feature: Feature
    effect: Callable[[SimulatedMiner], Any]
    """Whether the miner did it."""
    reported: Callable[[Any], Any] = lambda _: True
    """Whether its next answers show it, where it reports the feature at all."""
    cooling: Cooling | None = None
    first: Call | None = None
    """What makes it differ from what is, where it may not."""
    after: Call | None = None
    """What makes it report that."""


def on_4028(*dialects: Dialect, **commands: dict[str, Any]) -> dict[Dialect, Wire]:
    """The same words in several dialects."""
    return {dialect: list(commands.items()) for dialect in dialects or ALL_4028}


def on_4433(command: str, *param: Any) -> dict[Dialect, Wire]:
    """The words of API 3."""
    return {V3: [(command, param[0] if param else None)]}


POOL_1 = PoolLogin(url="stratum+tcp://p1.example:3333", user="acc.w1", password="x")
POOL_2 = replace(POOL_1, url="stratum+tcp://p2.example:3333")
RED = LedPattern(color=LedColor.RED, period=200, duration=100, start=0)
GREEN = LedPattern(color=LedColor.GREEN, period=1000, duration=500, start=250)
NETWORK = Network(
    dhcp=False,
    address="192.168.2.16",
    netmask="255.255.255.0",
    gateway="192.168.2.1",
    dns=("114.114.114.114", "192.168.2.1"),
    hostname="WhatsMiner",
)
STATIC = {
    "ip": "192.168.2.16",
    "netmask": "255.255.255.0",
    "gateway": "192.168.2.1",
    "dns": "114.114.114.114 192.168.2.1",
}
LED_RED = {"color": "red", "period": 200, "duration": 100, "start": 0}
LED_GREEN = {"color": "green", "period": 1000, "duration": 500, "start": 250}
NO_POOL = {"pool2": "", "worker2": "", "passwd2": ""}
POOLS_4028 = {
    "pool1": "stratum+tcp://p1.example:3333",
    "worker1": "acc.w1",
    "passwd1": "x",
    "pool2": "stratum+tcp://p2.example:3333",
    "worker2": "acc.w1",
    "passwd2": "x",
    "pool3": "",
    "worker3": "",
    "passwd3": "",
}
POOLS_4433 = [
    {"pool": "stratum+tcp://p1.example:3333", "worker": "acc.w1", "passwd": "x"},
    {"pool": "stratum+tcp://p2.example:3333", "worker": "acc.w1", "passwd": "x"},
]


# The words are those of protocol.md#d1, #d2 and #e6.
CASES: dict[str, Case] = {
    "set_power_mode": Case(
        lambda m: m.set_power_mode(PowerMode.LOW),
        on_4028(set_low_power={}) | on_4433("set.miner.power_mode", "low"),
        Feature.POWER_MODE,
        effect=lambda s: s.truth().settings.power_mode == "low",
        reported=lambda s: s.power_mode is PowerMode.LOW,
    ),
    "set_power_mode, normal": Case(
        lambda m: m.set_power_mode(PowerMode.NORMAL),
        on_4028(set_normal_power={}) | on_4433("set.miner.power_mode", "normal"),
        Feature.POWER_MODE,
        effect=lambda s: s.truth().settings.power_mode == "normal",
        reported=lambda s: s.power_mode is PowerMode.NORMAL,
        first=lambda m: m.set_power_mode(PowerMode.LOW),
    ),
    "set_power_mode, high": Case(
        lambda m: m.set_power_mode(PowerMode.HIGH),
        on_4028(set_high_power={}) | on_4433("set.miner.power_mode", "high"),
        Feature.POWER_MODE,
        effect=lambda s: s.truth().settings.power_mode == "high",
        reported=lambda s: s.power_mode is PowerMode.HIGH,
        first=lambda m: m.set_power_mode(PowerMode.LOW),
    ),
    "set_power_limit": Case(
        lambda m: m.set_power_limit(3200),
        on_4028(*V2_UP, adjust_power_limit={"power_limit": "3200"})
        | on_4433("set.miner.power_limit", 3200),
        Feature.POWER_LIMIT,
        effect=lambda s: s.truth().settings.power_limit_set == 3200,
        reported=lambda s: s.power_limit == 3200,
    ),
    "set_power_percent, fast": Case(
        lambda m: m.set_power_percent(60, fast=True),
        on_4028(set_power_pct={"percent": "60"})
        | on_4433("set.miner.power_percent", {"percent": "60", "mode": "fast"}),
        Feature.POWER_PERCENT,
        effect=lambda s: (
            s.truth().power_percent == 60
            or s.truth().frequency_average_mhz < 0.9 * s.truth().frequency_target_mhz
        ),
        reported=lambda s: s.status.power_percent == 60,
    ),
    "restore_power_percent": Case(
        lambda m: m.restore_power_percent(),
        on_4028(V2C, restore_power_pct={})
        | on_4433("set.miner.power_percent", {"percent": "100", "mode": "normal"}),
        Feature.RESTORE_POWER_PERCENT,
        effect=lambda s: s.truth().power_percent in (None, 100),
        reported=lambda s: s.status.power_percent == 100,
        first=lambda m: m.set_power_percent(80),
    ),
    "set_power": Case(
        lambda m: m.set_power(3000),
        on_4028(V2C, set_power={"power": "3000"}) | on_4433("set.miner.power", 3000),
        Feature.POWER,
        effect=lambda s: s.truth().settings.power_set_w == 3000,
        reported=lambda s: s.settings.power == 3000,
    ),
    "set_target_frequency": Case(
        lambda m: m.set_target_frequency(-10),
        on_4028(set_target_freq={"percent": "-10"})
        | on_4433("set.miner.target_freq", -10),
        Feature.TARGET_FREQUENCY,
        effect=lambda s: s.truth().settings.target_freq == -10,
        reported=lambda s: s.status.target_frequency == -10,
    ),
    "set_upfreq_speed": Case(
        lambda m: m.set_upfreq_speed(5),
        on_4028(*V2_UP, adjust_upfreq_speed={"upfreq_speed": "5"})
        | on_4433("set.miner.upfreq_speed", 5),
        Feature.UPFREQ_SPEED,
        effect=lambda s: s.truth().settings.upfreq_speed == 5,
        reported=lambda s: s.settings.upfreq_speed == 5,
    ),
    "set_fast_boot": Case(
        lambda m: m.set_fast_boot(True),
        on_4028(V1, enable_cgminer_fast_boot={})
        | on_4028(*V2_UP, enable_btminer_fast_boot={})
        | on_4433("set.miner.fastboot", "enable"),
        Feature.FAST_BOOT,
        effect=lambda s: s.truth().settings.fast_boot is True,
        reported=lambda s: s.summary.fast_boot is True,
        first=lambda m: m.set_fast_boot(False),
    ),
    "set_fast_boot, off": Case(
        lambda m: m.set_fast_boot(False),
        on_4028(V1, disable_cgminer_fast_boot={})
        | on_4028(*V2_UP, disable_btminer_fast_boot={})
        | on_4433("set.miner.fastboot", "disable"),
        Feature.FAST_BOOT,
        effect=lambda s: s.truth().settings.fast_boot is False,
        reported=lambda s: s.summary.fast_boot is False,
        first=lambda m: m.set_fast_boot(True),
    ),
    "set_fast_hash": Case(
        lambda m: m.set_fast_hash(True),
        on_4433("set.miner.fast_hash", 1),
        Feature.FAST_HASH,
        effect=lambda s: s.truth().settings.fast_hash is True,
        reported=lambda s: s.status.fast_hash is True,
    ),
    "set_start_at_boot": Case(
        lambda m: m.set_start_at_boot(True),
        on_4028(*V2_UP, enable_btminer_init={})
        | on_4433("set.miner.service", "enable"),
        Feature.START_AT_BOOT,
        effect=lambda s: s.truth().settings.start_at_boot is True,
        first=lambda m: m.set_start_at_boot(False),
    ),
    "set_start_at_boot, off": Case(
        lambda m: m.set_start_at_boot(False),
        on_4028(*V2_UP, disable_btminer_init={})
        | on_4433("set.miner.service", "disable"),
        Feature.START_AT_BOOT,
        effect=lambda s: s.truth().settings.start_at_boot is False,
    ),
    "set_heat_mode": Case(
        lambda m: m.set_heat_mode(HeatMode.HEATING),
        on_4028(*V2_UP, set_heat_mode={"mode": "heating"})
        | on_4433("set.miner.heat_mode", "heating"),
        Feature.HEAT_MODE,
        effect=lambda s: s.truth().settings.heat_mode == "heating",
        reported=lambda s: s.settings.heat_mode is HeatMode.HEATING,
        cooling=LIQUID,
    ),
    "set_heat_mode, anti-freezing": Case(
        lambda m: m.set_heat_mode(HeatMode.ANTI_FREEZING),
        on_4028(*V2_UP, set_heat_mode={"mode": "anti-icing"})
        | on_4433("set.miner.heat_mode", "anti-freezing"),
        Feature.HEAT_MODE,
        effect=lambda s: s.truth().settings.heat_mode.startswith("anti-"),
        reported=lambda s: s.settings.heat_mode is HeatMode.ANTI_FREEZING,
        cooling=LIQUID,
    ),
    "set_power_off_cool": Case(
        lambda m: m.set_power_off_cool(True),
        on_4028(*V2_UP, set_poweroff_cool={"poweroff_cool": "1"})
        | on_4433("set.fan.poweroff_cool", 1),
        Feature.POWER_OFF_COOL,
        effect=lambda s: s.truth().settings.poweroff_cool is True,
        reported=lambda s: s.settings.power_off_cool is True,
        cooling=AIR,
    ),
    "set_fan_zero_speed": Case(
        lambda m: m.set_fan_zero_speed(False),
        on_4028(*V2_UP, set_fan_zero_speed={"fan_zero_speed": "0"})
        | on_4433("set.fan.zero_speed", 0),
        Feature.FAN_ZERO_SPEED,
        effect=lambda s: s.truth().settings.fan_zero_speed is False,
        reported=lambda s: s.settings.fan_zero_speed is False,
        first=lambda m: m.set_fan_zero_speed(True),
        cooling=AIR,
    ),
    "set_temperature_offset": Case(
        lambda m: m.set_temperature_offset(-5),
        on_4028(*V2_UP, set_temp_offset={"temp_offset": "-5"})
        | on_4433("set.fan.temp_offset", -5),
        Feature.TEMPERATURE_OFFSET,
        effect=lambda s: s.truth().settings.temp_offset == -5,
        reported=lambda s: s.settings.temperature_offset == -5,
        cooling=AIR,
    ),
    "set_pools": Case(
        lambda m: m.set_pools(POOL_1, POOL_2),
        on_4028(update_pools=POOLS_4028) | on_4433("set.miner.pools", POOLS_4433),
        Feature.POOLS,
        effect=lambda s: (
            [p.url for p in s.truth().settings.pools] == [POOL_1.url, POOL_2.url]
        ),
        reported=lambda s: (
            [(p.url, p.user) for p in s.pools]
            == [(POOL_1.url, "acc.w1"), (POOL_2.url, "acc.w1")]
        ),
    ),
    "set_pools, one": Case(
        lambda m: m.set_pools(POOL_1),
        on_4028(update_pools=POOLS_4028 | NO_POOL)
        | on_4433("set.miner.pools", POOLS_4433[:1]),
        Feature.POOLS,
        effect=lambda s: s.truth().settings.pools[0].password == "x",
        reported=lambda s: [p.url for p in s.pools] == [POOL_1.url],
    ),
    "set_web_pools": Case(
        lambda m: m.set_web_pools(True),
        on_4028(enable_web_pools={}) | on_4433("set.system.webpools", "enable"),
        Feature.WEB_POOLS,
        effect=lambda s: s.truth().settings.web_pools is True,
        reported=lambda s: s.settings.web_pools is True,
        first=lambda m: m.set_web_pools(False),
    ),
    "set_web_pools, off": Case(
        lambda m: m.set_web_pools(False),
        on_4028(disable_web_pools={}) | on_4433("set.system.webpools", "disable"),
        Feature.WEB_POOLS,
        effect=lambda s: s.truth().settings.web_pools is False,
        reported=lambda s: s.settings.web_pools is False,
    ),
    "set_coin_type": Case(
        lambda m: m.set_coin_type("BTC"),
        on_4433("set.miner.cointype", {"cointype": "BTC"}),
        Feature.COIN_TYPE,
        effect=lambda s: s.truth().settings.coin_type == "BTC",
        reported=lambda s: s.settings.coin_type == "BTC",
    ),
    "set_leds, red": Case(
        lambda m: m.set_leds(RED),
        on_4028(set_led=LED_RED) | on_4433("set.system.led", [LED_RED]),
        Feature.LED,
        effect=lambda s: s.truth().led_auto is not True,
        reported=lambda s: s.info.led_auto is not True,
    ),
    "set_leds, both": Case(
        lambda m: m.set_leds(RED, GREEN),
        {key: [("set_led", LED_RED), ("set_led", LED_GREEN)] for key in ALL_4028}
        | on_4433("set.system.led", [LED_RED, LED_GREEN]),
        Feature.LED,
        effect=lambda s: s.truth().led_auto is not True,
        reported=lambda s: s.info.led_auto is not True,
    ),
    "set_led_auto": Case(
        lambda m: m.set_led_auto(),
        on_4028(set_led={"param": "auto"}) | on_4433("set.system.led", "auto"),
        Feature.LED,
        effect=lambda s: s.truth().led_auto is not False,
        reported=lambda s: s.info.led_auto is not False,
        first=lambda m: m.blink(),
    ),
    "set_hostname": Case(
        lambda m: m.set_hostname("garage-1"),
        on_4028(set_hostname={"hostname": "garage-1"})
        | on_4433("set.system.hostname", {"hostname": "garage-1"}),
        Feature.HOSTNAME,
        effect=lambda s: s.truth().settings.hostname == "garage-1",
        reported=lambda s: s.info.hostname == "garage-1",
        after=lambda m: m.reboot(),
    ),
    "set_time_zone": Case(
        lambda m: m.set_time_zone("CET-1CEST", "Europe/Berlin"),
        on_4028(set_zone={"timezone": "CET-1CEST", "zonename": "Europe/Berlin"})
        | on_4433(
            "set.system.timezone",
            {"timezone": "CET-1CEST", "zonename": "Europe/Berlin"},
        ),
        Feature.TIME_ZONE,
        effect=lambda s: s.truth().settings.zonename == "Europe/Berlin",
        reported=lambda s: (
            (s.settings.timezone, s.settings.zone_name)
            == ("CET-1CEST", "Europe/Berlin")
        ),
    ),
    "set_ntp_servers": Case(
        lambda m: m.set_ntp_servers("pool.ntp.org", "192.168.2.1"),
        on_4433("set.system.ntp_server", "pool.ntp.org,192.168.2.1"),
        Feature.NTP_SERVERS,
        effect=lambda s: (
            s.truth().settings.ntp_servers == ("pool.ntp.org", "192.168.2.1")
        ),
        reported=lambda s: s.settings.ntp_servers == ("pool.ntp.org", "192.168.2.1"),
    ),
    "set_random_delay": Case(
        lambda m: m.set_random_delay(10, 20),
        on_4433("set.system.time_randomized", {"start": 10, "stop": 20}),
        Feature.RANDOM_DELAY,
        effect=lambda s: s.truth().settings.time_randomized == (10, 20),
        reported=lambda s: (
            (s.settings.random_start, s.settings.random_stop) == (10, 20)
        ),
    ),
    "set_log_server": Case(
        lambda m: m.set_log_server(LogServer(address="192.168.2.5", port=514)),
        on_4028(load_log={"ip": "192.168.2.5", "port": "514", "proto": "udp"})
        | on_4433(
            "set.log.upload", {"ip": "192.168.2.5", "port": "514", "proto": "udp"}
        ),
        Feature.LOG_SERVER,
        effect=lambda s: getattr(s.truth().settings.log_server, "port", None) == "514",
        reported=lambda s: (
            s.settings.log_server == LogServer(address="192.168.2.5", port=514)
        ),
    ),
    "set_network": Case(
        lambda m: m.set_network(NETWORK),
        on_4028(
            net_config={
                "ip": "192.168.2.16",
                "mask": "255.255.255.0",
                "gate": "192.168.2.1",
                "dns": "114.114.114.114 192.168.2.1",
                "host": "WhatsMiner",
            }
        )
        | {
            V3: [
                ("set.system.hostname", {"hostname": "WhatsMiner"}),
                ("set.system.net_config", STATIC),
            ]
        },
        Feature.NETWORK,
        effect=lambda s: (
            getattr(s.truth().settings.network, "ip", None) == "192.168.2.16"
        ),
        reported=lambda s: s.settings.network == NETWORK,
    ),
    "set_network, DHCP": Case(
        lambda m: m.set_network(Network(dhcp=True)),
        on_4028(net_config={"param": "dhcp"})
        | on_4433("set.system.net_config", "dhcp"),
        Feature.NETWORK,
        effect=lambda s: s.truth().settings.network is None,
        reported=lambda s: s.settings.network.dhcp is True,
        first=lambda m: m.set_network(NETWORK),
    ),
    "set_custom_data": Case(
        lambda m: m.set_custom_data("CustomerSn", "shelf 7"),
        on_4028(V2C, set_customer_msg={"key": "CustomerSn", "val": "shelf 7"})
        | on_4433("set.device.custom_data", {"key": "CustomerSn", "value": "shelf 7"}),
        Feature.CUSTOM_DATA,
        effect=lambda s: s.truth().settings.custom["CustomerSn"] == "shelf 7",
    ),
    "set_permission": Case(
        lambda m: m.set_permission("user1", "set.system.led", "set.miner.pools"),
        on_4433(
            "set.user.permission",
            {"user": "user1", "permission": "set.system.led,set.miner.pools"},
        ),
        Feature.PERMISSION,
        effect=lambda s: (
            s.v3_permissions["user1"] == {"set.system.led", "set.miner.pools"}
        ),
    ),
    "set_ssh": Case(
        lambda m: m.set_ssh(True),
        on_4028(V1, ssh_open={}),
        Feature.SSH,
        effect=lambda s: s.truth().settings.ssh is True,
    ),
    "set_ssh, off": Case(
        lambda m: m.set_ssh(False),
        on_4028(V1, ssh_close={}),
        Feature.SSH,
        effect=lambda s: s.truth().settings.ssh is False,
        first=lambda m: m.set_ssh(True),
    ),
    "start_mining": Case(
        lambda m: m.start_mining(),
        on_4028(power_on={}) | on_4433("set.miner.service", "start"),
        Feature.MINING,
        effect=lambda s: s.truth().mining,
        reported=lambda s: s.mining,
        first=lambda m: m.stop_mining(),
    ),
    "restart_btminer": Case(
        lambda m: m.restart_btminer(),
        on_4028(restart_btminer={}) | on_4433("set.miner.service", "restart"),
        Feature.RESTART,
        effect=lambda s: s.truth().elapsed_s < WAIT,
        reported=lambda s: s.summary.elapsed < WAIT,
    ),
    "stop_mining": Case(
        lambda m: m.stop_mining(),
        on_4028(V1, V2, power_off={"respbefore": "true"})
        | on_4028(V2C, power_off={})
        | on_4433("set.miner.service", "stop"),
        Feature.MINING,
        effect=lambda s: not s.truth().mining,
        reported=lambda s: s.mining is False,
    ),
    "restore_settings": Case(
        lambda m: m.restore_settings(),
        on_4433("set.miner.restore_setting"),
        Feature.RESTORE_SETTINGS,
        effect=lambda s: s.truth().settings.fast_boot is False,
        reported=lambda s: s.summary.fast_boot is False,
        first=lambda m: m.set_fast_boot(True),
    ),
    "reboot": Case(
        lambda m: m.reboot(),
        on_4028(reboot={}) | on_4433("set.system.reboot"),
        Feature.REBOOT,
        effect=lambda s: s.truth().uptime_s < WAIT,
        reported=lambda s: s.summary.uptime < WAIT,
    ),
    "factory_reset": Case(
        lambda m: m.factory_reset(),
        on_4028(factory_reset={}) | on_4433("set.system.factory_reset"),
        Feature.FACTORY_RESET,
        effect=lambda s: not s.api_switch and s.password == "admin",
        reported=lambda s: s.settings is not None,
    ),
}

# Of what came with 2.0.5, or "with firmware shortly before it" (protocol.md#d1), this one has the limit.
TOO_NEW_FOR_204 = {
    Feature.UPFREQ_SPEED,
    Feature.START_AT_BOOT,
    Feature.POWER_OFF_COOL,
    Feature.FAN_ZERO_SPEED,
    Feature.TEMPERATURE_OFFSET,
}

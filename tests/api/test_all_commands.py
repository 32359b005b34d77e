"""Every command of the vendor's document over real sockets: its words, its bounds, its effect."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass, replace
from functools import cache
import hashlib
import json
import logging
from pathlib import Path
import re
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from homeassistant.helpers.json import json_bytes
import pytest

from custom_components.whatsminer.api import (
    COMMANDS,
    MAX_FIRMWARE,
    CommandRefusedError,
    Cooling,
    Dialect,
    Feature,
    HeatMode,
    InvalidAnswerError,
    LedColor,
    LedPattern,
    LogServer,
    Miner,
    Network,
    NoAnswerError,
    NoPasswordError,
    PoolLogin,
    PowerMode,
    Preheat,
    PreheatStage,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WriteApiDisabledError,
    connect,
    transport,
)
from custom_components.whatsminer.api.catalog import data_commands, features_of
from custom_components.whatsminer.api.parse import parse_answer
from custom_components.whatsminer.api.redact import redacted
from custom_components.whatsminer.api.v2 import crypto as client_auth
from custom_components.whatsminer.api.v3.protocol import encrypt_param, make_digest
from simulator import ManualClock, SimulatedMiner, auth as simulator_auth, make_image

PASSWORD, V3_PASSWORD = "Secret_1", "Super_1"
EPOCH = 1_700_000_000.0
WAIT = 1000.0
"""Seconds after which every command has had its effect, and the miner is back (H.2)."""

pytestmark = pytest.mark.usefixtures("client_sockets")

V1, V2, V2C, V3 = Dialect
ALL_4028 = (V1, V2, V2C)
V2_UP = (V2, V2C)

type Call = Callable[[Miner], Awaitable[Any]]
type Wire = list[tuple[str, Any]]


@dataclass(frozen=True)
class Setup:
    """A miner, how it is spoken to, and in which words."""

    profile: str
    words: Dialect
    cooling: Cooling
    v3: bool = False
    v3_password: str | None = None


SETUPS = {
    "1.x": Setup("v1_m20s", V1, Cooling.AIR),
    "2.0.4": Setup("v204_m30sp", V2, Cooling.AIR),
    "2.0.5": Setup("v205_m50", V2, Cooling.AIR),
    "2.0.5 liquid": Setup("v205_m56s", V2, Cooling.LIQUID),
    "2.2": Setup("v2c_m60s", V2C, Cooling.AIR),
    "2.2 liquid": Setup("v3_m7bs", V2C, Cooling.LIQUID),
    "3.x": Setup("v2c_m60s", V3, Cooling.AIR, v3=True, v3_password=V3_PASSWORD),
    "3.x liquid": Setup(
        "v3_m7bs", V3, Cooling.LIQUID, v3=True, v3_password=V3_PASSWORD
    ),
    "3.x by the admin": Setup("v3_m7bs", V2C, Cooling.LIQUID, v3=True),
}


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

AIR, LIQUID = Cooling.AIR, Cooling.LIQUID

# The words are those of D.1, D.2 and E.6.
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

# Of what came with 2.0.5, or "with firmware shortly before it" (D.1), this one has the limit.
TOO_NEW_FOR_204 = {
    Feature.UPFREQ_SPEED,
    Feature.START_AT_BOOT,
    Feature.POWER_OFF_COOL,
    Feature.FAN_ZERO_SPEED,
    Feature.TEMPERATURE_OFFSET,
}

every_setup = pytest.mark.parametrize("setup", SETUPS.values(), ids=list(SETUPS))
# Each way in which a file can travel
every_way = pytest.mark.parametrize("name", ["2.0.5", "2.2", "3.x", "3.x by the admin"])
every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@pytest.fixture(autouse=True)
async def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are computed once for all miners, and the loop does not watch itself."""
    asyncio.get_running_loop().set_debug(False)
    monkeypatch.setattr(client_auth, "md5_crypt_digest", _client_crypt)
    monkeypatch.setattr(simulator_auth, "crypt", _simulator_crypt)


_client_crypt = cache(client_auth.md5_crypt_digest)
_simulator_crypt = cache(simulator_auth.crypt)


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the miner; it moves only when a test advances it."""
    return ManualClock()


@pytest.fixture
async def start(
    clock: ManualClock,
    client_sockets: list[transport.Line],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Awaitable[SimulatedMiner]]]:
    """Start simulated miners; they are stopped at the end."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.1)
    async with contextlib.AsyncExitStack() as stack:

        async def start_one(setup: Setup, **options: Any) -> SimulatedMiner:
            settings = {
                "clock": clock,
                "epoch": EPOCH,
                "password": PASSWORD,
                "v3_password": V3_PASSWORD,
            }
            return await stack.enter_async_context(
                SimulatedMiner(setup.profile, **settings | options)
            )

        yield start_one


@pytest.fixture
async def client(
    start: Callable[..., Awaitable[SimulatedMiner]],
) -> AsyncIterator[Callable[..., Awaitable[Miner]]]:
    """Connect to a simulated miner as a setup says; hang up at the end."""
    miners: list[Miner] = []

    async def connect_one(sim: SimulatedMiner, setup: Setup) -> Miner:
        miner = await connect(
            sim.host,
            sim.port,
            password=PASSWORD,
            v3_port=sim.v3_port if setup.v3 else None,
            v3_password=setup.v3_password,
        )
        miners.append(miner)
        return miner

    yield connect_one
    for miner in miners:
        await miner.close()


type Start = Callable[..., Awaitable[SimulatedMiner]]
type Client = Callable[..., Awaitable[Miner]]


def received(sim: SimulatedMiner) -> Wire:
    """The writes that the miner has received, with their parameters, sealed ones opened."""
    writes: Wire = []
    for command in sim.commands:
        if command.encrypted:
            writes.append((command.name, command.params))
        elif command.name.startswith("set.") and command.name != "set.miner.report":
            param = command.params.get("param")
            if command.name in ("set.miner.pools", "set.user.change_passwd"):
                param = opened(sim, command.name, command.params["ts"], param)
            writes.append((command.name, param))
    return writes


def opened(sim: SimulatedMiner, command: str, ts: int, param: str) -> Any:
    """Decrypt a parameter as E.4 says."""
    secret = f"{command}{V3_PASSWORD}{sim.v3_salt}{ts}"
    key = hashlib.sha256(secret.encode()).digest()
    plain = (
        Cipher(algorithms.AES(key), modes.ECB())
        .decryptor()
        .update(base64.b64decode(param))
    )
    return json.loads(plain[: -plain[-1]])


@every_case
@every_setup
async def test_every_command(
    start: Start, client: Client, clock: ManualClock, setup: Setup, case: Case
) -> None:
    """A miner ignores what is worded otherwise than in its document, and the user waits.

    What it has not is never sent.
    """
    sim = await start(setup)
    miner = await client(sim, setup)
    fits = case.cooling in (None, setup.cooling)
    if setup.words not in case.wire or not fits:
        assert case.feature not in miner.info.features
        with pytest.raises(ValueError, match=f"cannot set {case.feature.value}"):
            await case.call(miner)
        assert received(sim) == []
        assert sim.tokens_issued == 0
        return
    assert case.feature in miner.info.features
    if setup.profile == "v204_m30sp" and case.feature in TOO_NEW_FOR_204:
        with pytest.raises(UnsupportedCommandError, match="code 14"):
            await case.call(miner)
        return
    for call in filter(None, (case.first, case.call, case.after)):
        sim.commands.clear()
        # Some are not answered, as a rule (D.1).
        with contextlib.suppress(UnknownOutcomeError):
            await call(miner)
        assert call is not case.call or received(sim) == case.wire[setup.words]
        clock.advance(WAIT)
        await sim.tick()
    assert case.effect(sim)
    state = await miner.read()
    if case.feature not in miner.info.unreadable:
        assert case.reported(state)


# Bounds

NONSENSE: dict[str, Call] = {
    "power of none": lambda m: m.set_power(0),
    "power beyond all": lambda m: m.set_power(100_000),
    "a percent that is true": lambda m: m.set_power_percent(True),
    "frequency upwards on air": lambda m: m.set_target_frequency(1),
    "frequency below nothing": lambda m: m.set_target_frequency(-101),
    "speed 11": lambda m: m.set_upfreq_speed(11),
    "speed -1": lambda m: m.set_upfreq_speed(-1),
    "a warmer miner": lambda m: m.set_temperature_offset(1),
    "31 degrees": lambda m: m.set_temperature_offset(-31),
    "no pool": lambda m: m.set_pools(),
    "four pools": lambda m: m.set_pools(*[POOL_1] * 4),
    "no scheme": lambda m: m.set_pools(replace(POOL_1, url="pool.example:3333")),
    "no port": lambda m: m.set_pools(replace(POOL_1, url="stratum+tcp://p.example")),
    "port 0": lambda m: m.set_pools(replace(POOL_1, url="stratum+tcp://p.example:0")),
    "no user": lambda m: m.set_pools(replace(POOL_1, user="")),
    "two lines": lambda m: m.set_pools(replace(POOL_1, password="hidden\nhidden")),
    "long user": lambda m: m.set_pools(replace(POOL_1, user="hidden" * 50)),
    "an unknown coin": lambda m: m.set_coin_type("DOGE"),
    "no LED": lambda m: m.set_leds(),
    "one LED twice": lambda m: m.set_leds(RED, RED),
    "over a minute": lambda m: m.set_leds(replace(RED, duration=60_001)),
    "a host of two parts": lambda m: m.set_hostname("a.b"),
    "a host with a hyphen first": lambda m: m.set_hostname("-a"),
    "a long host": lambda m: m.set_hostname("a" * 64),
    "a zone of Python": lambda m: m.set_time_zone("UTC+one", "Etc/UTC"),
    "a zone without name": lambda m: m.set_time_zone("UTC0", ""),
    "no NTP server": lambda m: m.set_ntp_servers(),
    "five NTP servers": lambda m: m.set_ntp_servers(*["pool.ntp.org"] * 5),
    "two in one": lambda m: m.set_ntp_servers("a.example,b.example"),
    "121 s": lambda m: m.set_random_delay(0, 121),
    "-1 s": lambda m: m.set_random_delay(-1, 0),
    "a log server by name": lambda m: m.set_log_server(LogServer(address="a", port=1)),
    "port 65536": lambda m: m.set_log_server(
        LogServer(address="192.168.2.5", port=65536)
    ),
    "DHCP with an address": lambda m: m.set_network(replace(NETWORK, dhcp=True)),
    "no address": lambda m: m.set_network(replace(NETWORK, address=None)),
    "IPv6": lambda m: m.set_network(replace(NETWORK, address="fe80::1")),
    "the network itself": lambda m: m.set_network(
        replace(NETWORK, address="192.168.2.0")
    ),
    "all of the network": lambda m: m.set_network(
        replace(NETWORK, address="192.168.2.255")
    ),
    "this computer": lambda m: m.set_network(replace(NETWORK, address="127.0.0.1")),
    "everybody": lambda m: m.set_network(replace(NETWORK, address="224.0.0.1")),
    "a gateway elsewhere": lambda m: m.set_network(
        replace(NETWORK, gateway="192.168.3.1")
    ),
    "its own gateway": lambda m: m.set_network(
        replace(NETWORK, gateway=NETWORK.address)
    ),
    "a mask with a hole": lambda m: m.set_network(
        replace(NETWORK, netmask="255.0.255.0")
    ),
    "a mask in bits": lambda m: m.set_network(replace(NETWORK, netmask="24")),
    "a mask upside down": lambda m: m.set_network(
        replace(NETWORK, netmask="0.0.0.255")
    ),
    "no name server": lambda m: m.set_network(replace(NETWORK, dns=None)),
    "three name servers": lambda m: m.set_network(
        replace(NETWORK, dns=("192.168.2.1",) * 3)
    ),
    "a name server by name": lambda m: m.set_network(
        replace(NETWORK, dns=("dns.example",))
    ),
    "a wrong host": lambda m: m.set_network(replace(NETWORK, hostname="a b")),
    "an unknown field": lambda m: m.set_custom_data("msg10", "x"),
    "128 bytes": lambda m: m.set_custom_data("msg0", "ü" * 64),
    "two lines of data": lambda m: m.set_custom_data("msg0", "a\nb"),
    "another super": lambda m: m.set_permission("super", "set.system.led"),
    "a read": lambda m: m.set_permission("user1", "get.miner.status"),
    "an empty password": lambda m: m.change_password(""),
    "a password with signs": lambda m: m.change_password("hidden&"),
    "no image": lambda m: m.update_firmware(pieces(b""), 0),
    "a huge image": lambda m: m.update_firmware(pieces(b""), MAX_FIRMWARE + 1),
}


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """An image as it comes from a file."""
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


@pytest.mark.parametrize("call", NONSENSE.values(), ids=list(NONSENSE))
async def test_nonsense_is_never_sent(start: Start, client: Client, call: Call) -> None:
    """A miner with a wrong address or a garbled pool must be fetched from its shelf."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    with pytest.raises(ValueError) as caught:
        await call(miner)
    assert "hidden" not in str(caught.value)
    assert received(sim) == []


@every_setup
async def test_bounds_are_those_of_the_miner(
    start: Start, client: Client, setup: Setup
) -> None:
    """A slider would go to where the miner refuses, or not to where it could go (section I)."""
    sim = await start(setup)
    miner = await client(sim, setup)
    liquid, v3 = setup.cooling is LIQUID, setup.words is V3
    lowest = -10 if setup.words is V1 else -100
    assert miner.range_of(Feature.TARGET_FREQUENCY) == range(
        lowest, 101 if liquid else 1
    )
    assert miner.range_of(Feature.UPFREQ_SPEED) == range(11 if v3 else 10)
    assert miner.range_of(Feature.POWER_PERCENT) == range(201 if liquid else 101)
    assert miner.range_of(Feature.TEMPERATURE_OFFSET) == range(-30, 1)
    assert (HeatMode.NORMAL in miner.heat_modes) is v3
    assert miner.account == ("super" if v3 else "admin")
    with pytest.raises(ValueError, match="no number"):
        miner.range_of(Feature.POOLS)
    if liquid and not v3:
        with pytest.raises(ValueError, match="heat_mode must be one of"):
            await miner.set_heat_mode(HeatMode.NORMAL)
    assert received(sim) == []


async def test_a_static_address_keeps_the_name(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """On 4028 the name goes with the addresses: the miner would lose the one it has."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_hostname("garage-1")
    clock.advance(WAIT)
    await sim.tick()
    await miner.read()
    with contextlib.suppress(UnknownOutcomeError):
        await miner.set_network(replace(NETWORK, hostname=None))
    assert received(sim)[-1][1]["host"] == "garage-1"


# Sealed parameters (E.4)


@pytest.mark.parametrize(
    ("command", "salt", "ts", "param", "sealed"),
    [
        (
            "set.miner.pools",
            "5QAHiKMb",
            1692685512,
            [{"pool": "stratum+tcp://pool:3333", "worker": "worker", "passwd": "x"}],
            "M7c6KBuUVIiP+BnrFxPBexRUr3Zw94Ng42eBDFq02W9o7MSxcGd0EcmSwVx72paF9s8xliqcLqi00gxEFa8A"
            "zpW/A3R+69wXNkHPuGtqhA4=",
        ),
        (
            "set.user.change_passwd",
            "uhCiDyVj",
            1760000000,
            {"account": "super", "new": "NewPass1", "old": "super"},
            "zCXPJTNA9lW/jcj1u49GaRGmm5NXoMfs5U03X30dA2JagslC/MCvAbnHa/l3YDWCe8C+lQK0nCwfoUqs6DJU"
            "+A==",
        ),
    ],
)
def test_the_sealed_parameters_of_the_page(
    command: str, salt: str, ts: int, param: Any, sealed: str
) -> None:
    """The miner could not read pools and passwords."""
    assert encrypt_param(param, make_digest(command, "super", salt, ts)) == sealed


# Preheating


async def test_preheating_has_three_stages(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """The owner of a hydro miner would not know when it may be started (D.5)."""
    setup = SETUPS["2.0.5 liquid"]
    sim = await start(setup)
    miner = await client(sim, setup)
    with pytest.raises(CommandRefusedError):
        await miner.pre_power_on()  # it is mining
    sim.commands.clear()
    with contextlib.suppress(UnknownOutcomeError):
        await miner.stop_mining()
    clock.advance(WAIT)
    await sim.tick()
    found = []
    for _ in range(12):
        found.append(await miner.pre_power_on())
        clock.advance(30)
        await sim.tick()
    assert list(dict.fromkeys(found)) == [
        Preheat(stage=PreheatStage.WAITING, complete=False),
        Preheat(stage=PreheatStage.ADJUSTING, complete=False),
        Preheat(stage=PreheatStage.COMPLETE, complete=True),
    ]
    assert received(sim)[-1] == (
        "pre_power_on",
        {"complete": "false", "msg": "wait for adjust temp"},
    )


@every_setup
async def test_only_old_liquid_cooled_miners_are_preheated(
    start: Start, client: Client, setup: Setup
) -> None:
    """The newer documents do not have it (D.1)."""
    sim = await start(setup)
    miner = await client(sim, setup)
    assert (Feature.PREHEAT in miner.info.features) is (
        setup.cooling is LIQUID and setup.words in (V1, V2)
    )


# Passwords

NEW = "Other_2"


def secret_of(sim: SimulatedMiner, setup: Setup) -> str:
    """The password that the miner wants by now."""
    return sim.v3_passwords["super"] if setup.words is V3 else sim.password


@every_setup
async def test_a_new_password_is_used_from_then_on(
    start: Start, client: Client, caplog: pytest.LogCaptureFixture, setup: Setup
) -> None:
    """After changing it Home Assistant would be locked out of the miner."""
    caplog.set_level(logging.DEBUG)
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    await miner.change_password(NEW)
    assert secret_of(sim, setup) == NEW
    sim.commands.clear()
    await miner.set_led_auto()
    assert len(sent(sim)) == 1
    for secret in (NEW, PASSWORD, V3_PASSWORD):
        assert secret not in caplog.text + repr(miner)


@every_setup
@pytest.mark.parametrize(
    ("fault", "holds"),
    [("applied_no_answer", True), ("silent", False), ("answered_not_applied", False)],
)
async def test_what_became_of_a_password_is_found_out(
    start: Start,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    setup: Setup,
    fault: str,
    holds: bool,
) -> None:
    """The owner would not know which of the two opens the miner."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.3)
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    v3 = setup.words is V3
    sim.inject(fault, "set.user.change_passwd" if v3 else "update_pwd")
    if holds:
        await miner.change_password(NEW)
    else:
        with pytest.raises(UnknownOutcomeError) as caught:
            await miner.change_password(NEW)
        assert NEW not in repr(caught.value)
    assert (secret_of(sim, setup) == NEW) is holds
    sim.clear_failures()
    await miner.set_led_auto()
    asked = [name for name in sent(sim) if "pwd" in name or "passwd" in name]
    assert len(asked) == 1


async def test_an_acknowledged_password_is_kept_when_it_cannot_be_tried(
    start: Start, client: Client
) -> None:
    """A full token table would make Home Assistant forget the new password."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    sim.inject("error_136", "get_token")
    await miner.change_password(NEW)
    assert secret_of(sim, setup) == NEW
    sim.clear_failures()
    fresh = await connect(sim.host, sim.port, password=NEW, v3_port=None)
    await fresh.check_password()


async def test_another_account_may_change_its_password(start: Start) -> None:
    """It is not known that such an account may do what a password is tried with."""
    sim = await start(SETUPS["3.x"], v3_passwords={"user1": V3_PASSWORD})
    sim.v3_permissions["user1"] = {"set.user.change_passwd"}
    miner = await connect(
        sim.host,
        sim.port,
        v3_port=sim.v3_port,
        account="user1",
        v3_password=V3_PASSWORD,
    )
    await miner.change_password(NEW)
    assert sim.v3_passwords["user1"] == NEW
    await miner.close()


async def test_no_password_no_change(start: Start) -> None:
    """Without the old password there is nothing to be changed."""
    sim = await start(SETUPS["2.0.5"])
    miner = await connect(sim.host, sim.port, v3_port=None)
    with pytest.raises(NoPasswordError):
        await miner.change_password(NEW)
    assert secret_of(sim, SETUPS["2.0.5"]) == PASSWORD


def sent(sim: SimulatedMiner) -> list[str]:
    """The names of the writes that the miner has received."""
    return [
        c.name
        for c in sim.commands
        if (c.encrypted and c.name != "status")
        or (c.name.startswith("set.") and c.name != "set.miner.report")
    ]


# Logs (D.7)


class File:
    """What is written somewhere else than here."""

    def __init__(self) -> None:
        """Begin empty."""
        self.data = b""

    async def write(self, chunk: bytes) -> None:
        """Take some bytes."""
        await asyncio.sleep(0)
        self.data += chunk


@every_setup
@pytest.mark.parametrize(
    "fault", [None, "one_segment", "plain_ready", "bytewise", "newline", "nul"]
)
async def test_the_log_comes_whole(
    start: Start, client: Client, setup: Setup, fault: str | None
) -> None:
    """The archive could not be opened."""
    sim = await start(setup)
    miner = await client(sim, setup)
    if fault:
        sim.inject(fault, "get.log.download" if setup.v3 else "download_logs")
    file = File()
    size = await miner.download_logs(file.write)
    assert file.data == sim.log
    assert size == len(sim.log)
    assert (await miner.read()).failed == {}
    assert max(sim.most_open_connections, sim.most_open_v3_connections) <= 1


@every_way
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut_log", NoAnswerError),
        ("stalled_log", NoAnswerError),
        ("long_log", NoAnswerError),
        ("reset_midway", NoAnswerError),
        ("silent", NoAnswerError),
        ("close", NoAnswerError),
        ("huge_log", InvalidAnswerError),
        ("wordy_log", InvalidAnswerError),
        ("garbage", InvalidAnswerError),
    ],
)
async def test_half_a_log_is_no_log(
    start: Start,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: str,
    error: type[Exception],
) -> None:
    """A torso would be taken for the log; or the disk be filled by what never ends."""
    setup = SETUPS[name]
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.3)
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(fault, "get.log.download" if setup.v3 else "download_logs")
    file = File()
    with pytest.raises(error):
        await miner.download_logs(file.write)
    assert sim.log.startswith(file.data)
    assert len(file.data) < len(sim.log) or fault == "long_log"
    if error is InvalidAnswerError:
        assert file.data == b""
    sim.clear_failures()
    assert (await miner.read()).failed == {}
    assert await miner.download_logs(File().write) == len(sim.log)


@every_setup
async def test_an_odd_log_is_what_the_miner_says(
    start: Start, client: Client, setup: Setup
) -> None:
    """No more is written than was said, and nothing is written of nothing."""
    sim = await start(setup)
    miner = await client(sim, setup)
    command = "get.log.download" if setup.v3 else "download_logs"
    for fault in ("short_log", "empty_log"):
        file = File()
        sim.inject(fault, command)
        assert await miner.download_logs(file.write) == len(file.data) < len(sim.log)
        assert sim.log.startswith(file.data)
        sim.clear_failures()
        assert (await miner.read()).failed == {}


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_a_log_stops_where_its_taker_does(
    start: Start, client: Client, name: str
) -> None:
    """A full disk is reported as what it is, a limit is heeded, and no socket is left open."""
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def full(chunk: bytes) -> None:
        raise OSError("no space left")

    async def late(chunk: bytes) -> None:
        raise TimeoutError("of the disk")

    with pytest.raises(OSError, match="no space left"):
        await miner.download_logs(full)
    with pytest.raises(TimeoutError, match="of the disk"):
        await miner.download_logs(late)
    with pytest.raises(InvalidAnswerError, match="longer than 1000"):
        await miner.download_logs(full, limit=1000)
    assert (await miner.read()).failed == {}


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_a_log_has_a_deadline(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A taker that never ends would hold the miner for ever."""
    monkeypatch.setattr(transport, "TRANSFER_TIMEOUT", 0.2)
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def endless(chunk: bytes) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NoAnswerError, match="in time"):
        await miner.download_logs(endless)
    assert (await miner.read()).failed == {}


@pytest.mark.parametrize(
    ("code", "error"), [(45, WriteApiDisabledError), (14, UnsupportedCommandError)]
)
async def test_a_log_may_be_refused(
    start: Start, client: Client, code: int, error: type[Exception]
) -> None:
    """The user would not learn that the API switch is in the way."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(f"error_{code}", "download_logs")
    with pytest.raises(error):
        await miner.download_logs(File().write)


# Firmware (D.6)


def image_for(sim: SimulatedMiner, size: int = 200_000) -> bytes:
    """A newer firmware for the platform of a simulated miner."""
    return make_image(sim.profile.platform, "20301224.11.Rel", size)


UPDATE = {True: "set.system.update_firmware", False: "update_firmware"}


@every_setup
@pytest.mark.parametrize("fault", [None, "plain_ready", "bytewise"])
async def test_a_firmware_is_installed(
    start: Start, client: Client, clock: ManualClock, setup: Setup, fault: str | None
) -> None:
    """The miner would stay as it was, or be left with half of it."""
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim)
    if fault:
        sim.inject(fault, UPDATE[setup.words is V3])
    progress: list[int] = []
    await miner.update_firmware(pieces(image, 70_000), len(image), progress.append)
    assert sim.last_upload == image
    assert progress == sorted(set(progress))
    assert progress[-1] == len(image)
    clock.advance(WAIT)
    await sim.tick()
    state = await miner.read()
    assert state.info.firmware == "20301224.11.Rel"
    assert miner.outdated


@every_way
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("image_refused", CommandRefusedError),
        ("cut_upload", UnknownOutcomeError),
        ("stalled_upload", UnknownOutcomeError),
        ("no_final_answer", UnknownOutcomeError),
        ("silent", NoAnswerError),
        ("close", NoAnswerError),
        ("garbage", InvalidAnswerError),
    ],
)
async def test_what_became_of_an_image_is_said(
    start: Start,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: str,
    error: type[Exception],
) -> None:
    """A refusal is none when it is not known; and nothing is sent a second time."""
    setup = SETUPS[name]
    for limit in ("ANSWER_TIMEOUT", "INSTALL_TIMEOUT"):
        monkeypatch.setattr(transport, limit, 0.4)
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim, 8 << 20)
    sim.inject(fault, UPDATE[setup.words is V3])
    with pytest.raises(error):
        await miner.update_firmware(pieces(image, 1 << 20), len(image))
    assert sent(sim) == [UPDATE[setup.words is V3]]
    assert (sim.last_upload == image) is (fault in ("image_refused", "no_final_answer"))


@pytest.mark.parametrize(
    ("name", "fault", "error"),
    [
        ("1.x", "error_14", UnsupportedCommandError),
        ("2.0.5", "error_45", WriteApiDisabledError),
        ("2.2", "error_45", WriteApiDisabledError),
        ("3.x by the admin", "error_45", WriteApiDisabledError),
        ("3.x", "error_minus_4", CommandRefusedError),
    ],
)
async def test_a_refused_image_is_not_even_read(
    start: Start, client: Client, name: str, fault: str, error: type[Exception]
) -> None:
    """A miner that does not let us in would get a hundred megabytes for nothing."""
    setup = SETUPS[name]
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(fault, UPDATE[setup.words is V3])

    async def untouched() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    with pytest.raises(error):
        await miner.update_firmware(untouched(), 1000)
    assert sim.last_upload is None


@every_setup
@pytest.mark.parametrize("difference", [-1, 1])
async def test_an_image_of_another_size_is_not_installed(
    start: Start, client: Client, setup: Setup, difference: int
) -> None:
    """A file that grows or shrinks while it is sent would be installed in part."""
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim)
    with pytest.raises(ValueError, match="the image does not have"):
        await miner.update_firmware(pieces(image, 70_000), len(image) + difference)
    await sim.tick()
    assert UPDATE[setup.words is V3] not in sim.applied
    assert (await miner.read()).info.firmware == sim.truth().firmware


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_an_image_that_cannot_be_read_is_told_as_that(
    start: Start, client: Client, name: str
) -> None:
    """A lost disk would be taken for a lost miner."""
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def lost() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise OSError("no such file any more")

    with pytest.raises(OSError, match="no such file"):
        await miner.update_firmware(lost(), 1000)
    assert UPDATE[name == "3.x"] not in sim.applied


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_an_image_has_a_deadline(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file on a share that hangs would hold the miner for ever."""
    monkeypatch.setattr(transport, "TRANSFER_TIMEOUT", 0.2)
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 100
        await asyncio.Event().wait()

    with pytest.raises(UnknownOutcomeError, match="100 of 1000 bytes in time"):
        await miner.update_firmware(endless(), 1000)


async def test_a_stale_token_costs_no_image(start: Start, client: Client) -> None:
    """After a reboot by hand the first update would fail."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    sim.forget_tokens()
    image = image_for(sim)
    await miner.update_firmware(pieces(image), len(image))
    assert sim.last_upload == image
    assert sent(sim) == ["set_led", "update_firmware", "update_firmware"]


# Raw answers


@every_setup
async def test_every_read_command_gives_its_data(
    start: Start, client: Client, setup: Setup
) -> None:
    """What the integration does not show could not be looked at; or secrets would be shown."""
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    names = miner.data_commands
    assert set(names) == set(data_commands(setup.words)) | (
        set(data_commands(V3)) if setup.v3 else set()
    ) | (set(data_commands(V2C)) if setup.v3 else set())
    for name in names:
        param = {"begin": "1699990000", "end": "1700000000"}
        try:
            answer = await miner.get_data(
                name, param if name == "get.miner.history" else None
            )
        except CommandRefusedError:
            # It has been asked, at least: 2.2 has these no more, and no firmware both (C.4, A.4).
            assert name in ("devdetails", "devs", "edevs"), name
            continue
        assert answer
        text = json.dumps(answer)
        for secret in (PASSWORD, V3_PASSWORD, "account.worker1"):
            assert secret not in text, name
        assert not setup.v3 or sim.v3_salt not in text, name
        if name in ("pools", "get.miner.status"):
            assert "btc.example.com" in text
            assert "**REDACTED**" in text
    assert set(names) <= {command.name for command in sim.commands}


async def test_raw_answers_in_part_and_joined(start: Start, client: Client) -> None:
    """An owner who knows the API asks for what he needs."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    status = await miner.get_data("get.miner.status", "summary")
    assert set(status["msg"]) == {"summary"}
    device = await miner.get_data("get.device.info", "salt")
    assert device["msg"] == {"salt": "**REDACTED**"}
    older = SETUPS["2.0.5"]
    sim = await start(older)
    miner = await client(sim, older)
    assert set(await miner.get_data("summary+pools")) >= {"summary", "pools"}
    assert "ip" in (await miner.get_data("get_miner_info", "ip,mac"))["Msg"]


@pytest.mark.parametrize(
    ("command", "param"),
    [
        ("get_token", None),
        ("update_pools", None),
        ("power_off", None),
        ("set.miner.service", "stop"),
        ("get.log.download", None),
        ("summary+get_token", None),
        ("summary+status", None),
        ("summary+", None),
        ("", None),
        ("summary", "x"),
        ("get_miner_info", "ip;mac"),
        ("get.device.info", "everything"),
        ("get.miner.status", {"begin": "1", "end": "2"}),
        ("get.miner.history", None),
        ("get.miner.history", {"begin": "1"}),
        ("get.miner.history", {"begin": "1", "end": "x"}),
    ],
)
async def test_data_is_only_asked_for(
    start: Start, client: Client, command: str, param: Any
) -> None:
    """A way to ask would be a way to stop the miner, or to take its tokens away."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    sim.commands.clear()
    with pytest.raises(ValueError):
        await miner.get_data(command, param)
    assert not sim.commands


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ({"User": "a", "user": ""}, {"User": "**REDACTED**", "user": ""}),
        (
            {"pools": [{"account": "a", "url": "stratum+tcp://u:p@h:1"}]},
            {
                "pools": [
                    {"account": "**REDACTED**", "url": "stratum+tcp://**REDACTED**@h:1"}
                ]
            },
        ),
        (
            {"worker1": 1, "passwd1": "x", "newsalt": "s", "sign": "s"},
            dict.fromkeys(("worker1", "passwd1", "newsalt", "sign"), "**REDACTED**"),
        ),
        ({"Power": 3000, "mac": "C4:08"}, {"Power": 3000, "mac": "C4:08"}),
    ],
)
def test_what_is_private_is_left_out(answer: Any, wanted: Any) -> None:
    """Answers are posted in forums."""
    assert redacted(answer) == wanted


def test_raw_answers_can_be_shown() -> None:
    """A lone surrogate would end the action, and an escape sequence change a terminal."""
    answer = {"a\x1b[2J": ["\ud800x", {"b": "c\0"}]}
    wanted = {"a\ufffd[2J": ["\ufffdx", {"b": "c\ufffd"}]}
    assert redacted(answer) == wanted
    json_bytes(redacted(answer))


def test_an_answer_that_is_nested_too_deeply() -> None:
    """What no page could show would end the action in a traceback."""
    answer = parse_answer(b'{"Msg":' + b"[" * 900 + b"]" * 900 + b"}")
    with pytest.raises(InvalidAnswerError):
        redacted(answer)


# The table

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"

# Of the page, what is not for an owner, or not known well enough to be sent (D.1, E.5).
LEFT_OUT = {"get.psu.command", "get.miner.report"}

DOCUMENTED = (
    "summary",
    "pools",
    "edevs",
    "devs",
    "devdetails",
    "get_psu",
    "get_version",
    "get_token",
    "status",
    "get_miner_info",
    "get_error_code",
    "update_pools",
    "restart_btminer",
    "power_off",
    "power_on",
    "set_led",
    "set_low_power",
    "set_normal_power",
    "set_high_power",
    "update_firmware",
    "reboot",
    "factory_reset",
    "update_pwd",
    "net_config",
    "download_logs",
    "set_target_freq",
    "enable_btminer_fast_boot",
    "disable_btminer_fast_boot",
    "enable_web_pools",
    "disable_web_pools",
    "set_hostname",
    "set_zone",
    "load_log",
    "set_power_pct",
    "set_power_pct_v2",
    "set_temp_offset",
    "adjust_power_limit",
    "adjust_upfreq_speed",
    "set_poweroff_cool",
    "set_fan_zero_speed",
    "set_heat_mode",
    "enable_btminer_init",
    "disable_btminer_init",
)
"""The commands of the vendor's document V2.0.5."""


def test_the_table_has_every_command_of_the_page() -> None:
    """A command of the vendor would be out of reach, and no test would notice."""
    page = PAGE.read_text()
    listed = set()
    for heading in ("## D.1 Table", "### Others", "## E.6 Write commands"):
        section = page.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
        for row in section.splitlines():
            if row.startswith("| `"):
                listed |= set(re.findall(r"`([\w.]+)`", row.split("|")[1]))
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    assert set(names) >= listed - LEFT_OUT
    assert set(names) >= set(DOCUMENTED)
    assert {f for c in COMMANDS for f in c.features} == set(Feature)
    for command in COMMANDS:
        assert command.dialects
        for method in command.methods.split():
            assert hasattr(Miner, method), command
        for dialect in command.dialects:
            assert features_of(dialect) >= set(command.features)


def test_every_command_of_the_table_is_met_here() -> None:
    """A row of docs/commands.md would name a proof that there is not."""
    worded = {
        (dialect, name)
        for case in CASES.values()
        for dialect, wire in case.wire.items()
        for name, _ in wire
    }
    elsewhere = {
        # by the tests below the cases
        "pre_power_on": "",
        "update_pwd": "set.user.change_passwd",
        "download_logs": "get.log.download",
        "update_firmware": "set.system.update_firmware",
        # by tests/api/test_client.py and by every password that is checked
        "set_power_pct_v2": "set.miner.power_percent",
        "get_token": "set.miner.report",
    }
    known = {*elsewhere, *elsewhere.values()}
    for command in COMMANDS:
        for dialect in command.dialects:
            assert (
                command.is_data
                or command.name in known
                or (dialect, command.name) in worded
            ), (dialect, command.name)

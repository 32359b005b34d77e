"""Every command of docs/protocol.md exists, restarts what it must, and applies its setting."""

from collections.abc import Iterable
from dataclasses import replace
import itertools
import json
from pathlib import Path
import re
from typing import Any

import pytest

from simulator import (
    PROFILES,
    LogServer,
    ManualClock,
    Network,
    Phase,
    SimulatedMiner,
    commands,
    commands_v3,
    names,
)
from simulator.checks import zone_offset_s
from simulator.settings import CUSTOM_KEYS, Restart, as_found

from .conftest import Connect, Make, Writer, ask

OK = (131, "API command OK")
REFUSED = (132, "API command ERROR")
OK_V3 = (0, "ok")
PAGE = (Path(__file__).parents[2] / "docs/protocol.md").read_text()
AIR = {"v1": "v1_m20s", "v204": "v204_m30sp", "v205": "v205_m50", "v2c": "v2c_m60s"}
LIQUID = {"v205": "v205_m56s", "v2c": "v3_m7bs"}
NETWORK = Network(
    proto="static",
    ip="192.168.2.16",
    netmask="255.255.255.0",
    gateway="192.168.2.1",
    dns="114.114.114.114 192.168.2.1",
)
ADDRESS = {
    "ip": "192.168.2.16",
    "mask": "255.255.255.0",
    "gate": "192.168.2.1",
    "dns": "114.114.114.114 192.168.2.1",
    "host": "garage",
}
ADDRESS_V3 = {
    "ip": "192.168.2.16",
    "netmask": "255.255.255.0",
    "gateway": "192.168.2.1",
    "dns": "114.114.114.114 192.168.2.1",
}
POOLS = {
    "pool1": "stratum+tcp://a.example:1",
    "worker1": "me.a",
    "passwd1": "secret",
    "pool2": "stratum+tcp://b.example:2",
    "worker2": "me.b",
    "passwd2": "",
    "pool3": "",
    "worker3": "",
    "passwd3": "",
}
ZONE = {"timezone": "EST5", "zonename": "America/New_York"}
UPLOAD = {"ip": "192.168.2.5", "port": "514", "proto": "udp"}
LOG_SERVER = LogServer(ip="192.168.2.5", port="514", proto="udp")

# All of 4028 but the two of test_binary.py: parameters, restart, and what is set afterwards.
# Commands that set nothing lasting are tested one by one, here or in test_commands.py
Row = tuple[dict[str, Any], Restart, dict[str, Any]]
NONE, START, BTMINER = Restart.NONE, Restart.NEXT_START, Restart.BTMINER
NET, BOARD = Restart.NETWORK, Restart.BOARD
WRITES: dict[str, Row] = {
    "update_pools": (POOLS, NONE, {}),
    "restart_btminer": ({}, BTMINER, {}),
    "power_off": ({}, NONE, {}),
    "power_on": ({}, NONE, {}),
    "set_led": ({"param": "auto"}, NONE, {}),
    "set_low_power": ({}, BTMINER, {"power_mode": "low", "mode_text": "low"}),
    "set_normal_power": ({}, BTMINER, {"power_mode": "normal", "mode_text": "normal"}),
    "set_high_power": ({}, BTMINER, {"power_mode": "high", "mode_text": "high"}),
    "reboot": ({}, BOARD, {}),
    "factory_reset": ({}, BOARD, {}),
    "update_pwd": (
        {"old": "admin", "new": "Abc_1234"},
        NONE,
        {"password": "Abc_1234"},
    ),
    "net_config": (ADDRESS, BOARD, {"network": NETWORK, "hostname": "garage"}),
    "set_target_freq": ({"percent": "-10"}, BTMINER, {"target_freq": -10}),
    "enable_btminer_fast_boot": ({}, START, {"fast_boot": True}),
    "disable_btminer_fast_boot": ({}, START, {"fast_boot": False}),
    "enable_cgminer_fast_boot": ({}, START, {"fast_boot": True}),
    "disable_cgminer_fast_boot": ({}, START, {"fast_boot": False}),
    "enable_web_pools": ({}, NONE, {"web_pools": True}),
    "disable_web_pools": ({}, NONE, {"web_pools": False}),
    "set_hostname": ({"hostname": "garage"}, NET, {"hostname": "garage"}),
    "set_zone": (ZONE, NET, ZONE),
    "load_log": (UPLOAD, NONE, {"log_server": LOG_SERVER}),
    "set_power_pct": ({"percent": "80"}, NONE, {}),
    "set_power_pct_v2": ({"percent": "80"}, NONE, {}),
    "pre_power_on": ({}, NONE, {}),
    "set_temp_offset": ({"temp_offset": "-5"}, START, {"temp_offset": -5}),
    "adjust_power_limit": ({"power_limit": "2500"}, BTMINER, {"power_limit_set": 2500}),
    "adjust_upfreq_speed": ({"upfreq_speed": "9"}, START, {"upfreq_speed": 9}),
    "set_poweroff_cool": ({"poweroff_cool": "1"}, NONE, {"poweroff_cool": True}),
    "set_fan_zero_speed": ({"fan_zero_speed": "1"}, NONE, {"fan_zero_speed": True}),
    "set_heat_mode": ({"mode": "anti-icing"}, NONE, {"heat_mode": "anti-freezing"}),
    "enable_btminer_init": ({}, START, {"start_at_boot": True}),
    "disable_btminer_init": ({}, START, {"start_at_boot": False}),
    "set_power": ({"power": "3000"}, NONE, {"power_set_w": 3000}),
    "restore_power_pct": ({}, NONE, {}),
    "set_customer_msg": (
        {"key": "msg3", "val": "rack 7"},
        NONE,
        {"custom": dict.fromkeys(CUSTOM_KEYS, "") | {"msg3": "rack 7"}},
    ),
    "get_customer_msg": ({}, NONE, {}),
    "ssh_open": ({}, NONE, {"ssh": True}),
    "ssh_close": ({}, NONE, {"ssh": False}),
}

# All of 4433 but the update, and the two that need a sealed parameter
WRITES_V3: dict[str, tuple[Any, Restart, dict[str, Any]]] = {
    "set.miner.service": ("restart", BTMINER, {}),
    "set.miner.power_mode": (
        "low",
        BTMINER,
        {"power_mode": "low", "mode_text": "low"},
    ),
    "set.miner.power_limit": (2500, BTMINER, {"power_limit_set": 2500}),
    "set.miner.power": (3000, NONE, {"power_set_w": 3000}),
    "set.miner.power_percent": ({"percent": "80", "mode": "fast"}, NONE, {}),
    "set.miner.target_freq": (-10, BTMINER, {"target_freq": -10}),
    "set.miner.upfreq_speed": (10, START, {"upfreq_speed": 10}),
    "set.miner.fastboot": ("enable", START, {"fast_boot": True}),
    "set.miner.fast_hash": (1, START, {"fast_hash": True}),
    "set.miner.heat_mode": ("heating", NONE, {"heat_mode": "heating"}),
    "set.miner.cointype": ({"cointype": "BCH"}, NONE, {"coin_type": "BCH"}),
    "set.miner.report": ({"gap": 30}, NONE, {}),
    "set.miner.restore_setting": (None, BTMINER, {}),
    "set.fan.poweroff_cool": (1, NONE, {"poweroff_cool": True}),
    "set.fan.zero_speed": (1, NONE, {"fan_zero_speed": True}),
    "set.fan.temp_offset": (-5, START, {"temp_offset": -5}),
    "set.system.reboot": (None, BOARD, {}),
    "set.system.factory_reset": (None, BOARD, {}),
    "set.system.led": ("auto", NONE, {}),
    "set.system.hostname": ({"hostname": "garage"}, NONE, {"hostname": "garage"}),
    "set.system.net_config": (ADDRESS_V3, BOARD, {"network": NETWORK}),
    "set.system.ntp_server": (
        "a.example,b.example",
        NONE,
        {"ntp_servers": ("a.example", "b.example")},
    ),
    "set.system.timezone": (ZONE, NET, ZONE),
    "set.system.time_randomized": (
        {"start": 10, "stop": 20},
        NONE,
        {"time_randomized": (10, 20)},
    ),
    "set.system.webpools": ("disable", NONE, {"web_pools": False}),
    "set.log.upload": (UPLOAD, NONE, {"log_server": LOG_SERVER}),
    "set.device.custom_data": (
        {"key": "msg3", "value": "rack 7"},
        NONE,
        {"custom": dict.fromkeys(CUSTOM_KEYS, "") | {"msg3": "rack 7"}},
    ),
    "set.user.permission": (
        {"user": "user1", "permission": "set.system.led"},
        NONE,
        {},
    ),
}


def outcome(answer: Any) -> tuple[object, object]:
    """Return code and text of an answer."""
    return answer["Code"], answer["Msg"]


def named(section: str, pattern: str) -> set[str]:
    """Return the names in the first cells of the tables, and in the headings, of one section of the page."""
    text = PAGE[PAGE.index(f"\n## {section}") :]
    text = text[: text.index("\n## ", 1)]
    heads = re.findall(r"^(?:\||###) ([^|\n]*)", text, re.MULTILINE)
    return {name for head in heads for name in re.findall(pattern, head)}


def test_every_documented_command_is_simulated() -> None:
    """If it failed: a command of the page could not be tested without a miner."""
    known = set().union(*(names(dialect) for dialect in AIR))
    writes = named("D.1 ", r"`(\w+)`")
    reads = set(re.findall(r"^## C\.\d+ (get_\w+)", PAGE, re.MULTILINE))
    elsewhere = {"summary", "pools", "devs", "edevs", "devdetails", "status"} | {
        *("get_token", "enable_cgminer_fast_boot", "disable_cgminer_fast_boot")
    }
    assert writes | reads | elsewhere == known
    new = named("E.6 ", r"`(set\.[\w.]+)`")
    # Not documented, but named by one client
    reads = named("E.5 ", r"(get\.[\w.]+)") - {"get.psu.command", "get.miner.report"}
    assert new | reads == names("v3")


def test_every_command_has_a_test() -> None:
    """If it failed: a command could be added without a test of its effect."""
    binary = {"update_firmware", "download_logs"}
    assert WRITES.keys() | binary == set().union(*commands.WRITES.values())
    sealed = {"set.miner.pools", "set.user.change_passwd"}
    assert (
        WRITES_V3.keys() | sealed | {"set.system.update_firmware"}
        == commands_v3.WRITES.keys()
    )


def test_restart_of_the_tables() -> None:
    """If it failed: the table of restarts could contradict the page."""
    for command, (_, restart, _) in WRITES.items():
        for table in commands.WRITES.values():
            assert command not in table or table[command].restart is restart, command
    for command, (_, restart, _) in WRITES_V3.items():
        if command != "set.miner.service":
            assert commands_v3.WRITES[command].restart is restart, command


def every_write() -> Iterable[tuple[str, str]]:
    """Return a miner for each command of each dialect."""
    for command, (dialect, table) in itertools.product(WRITES, commands.WRITES.items()):
        if command in table:
            liquid = table[command].cooling == "liquid"
            if profile := (LIQUID if liquid else AIR).get(dialect):
                yield profile, command


async def restarted(miner: SimulatedMiner, clock: ManualClock) -> Restart:
    """Check what the last command restarts."""
    before = miner.machine
    seen = (before.reboots, before.network_restarts)
    clock.advance(2)
    await miner.tick()
    after = miner.machine
    if after.reboots > seen[0]:
        assert after.phase is Phase.OFF_BOARD
        with pytest.raises(ConnectionRefusedError):
            await ask(miner, "status")
        clock.advance(62)
        await miner.tick()
        assert (await ask(miner, "status"))["STATUS"] == "S"
        return Restart.BOARD
    if after.network_restarts > seen[1]:
        assert after.phase is Phase.STABLE
        with pytest.raises(ConnectionRefusedError):
            await ask(miner, "status")
        clock.advance(5)
        await miner.tick()
        assert (await ask(miner, "status"))["STATUS"] == "S"
        return Restart.NETWORK
    return Restart.BTMINER if after.phase is Phase.BTMINER_DOWN else Restart.NONE


@pytest.mark.parametrize(("profile", "command"), every_write())
async def test_every_write_of_4028(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str, command: str
) -> None:
    """If it failed: a command would be acknowledged without effect, or restart too much."""
    off = command == "pre_power_on"
    miner = await make(profile, state="stopped" if off else "stable")
    before = miner.truth().settings
    params, restart, changed = WRITES[command]
    answer = await writer(miner)(command, **params)
    if command in miner.profile.unanswered:
        assert answer is None
    elif command in ("pre_power_on", "get_customer_msg"):
        assert answer["Code"] == 131
        assert isinstance(answer["Msg"], dict)
    else:
        assert outcome(answer) == OK
    assert miner.applied == [command]
    assert await restarted(miner, clock) is (
        Restart.NONE if restart is Restart.NEXT_START else restart
    )
    after = miner.truth().settings
    if command == "update_pools":
        assert [(pool.url, pool.user, pool.password) for pool in after.pools] == [
            ("stratum+tcp://a.example:1", "me.a", "secret"),
            ("stratum+tcp://b.example:2", "me.b", ""),
        ]
    else:
        assert after == replace(before, **changed)


@pytest.mark.parametrize("command", WRITES_V3)
async def test_every_write_of_4433(
    make: Make, v3: Connect, clock: ManualClock, command: str
) -> None:
    """If it failed: a command would be acknowledged without effect, or restart too much."""
    liquid = commands_v3.WRITES[command].cooling == "liquid"
    miner = await make("v3_m7bs" if liquid else "v2c_m60s")
    before = miner.v3_truth().settings
    param, restart, changed = WRITES_V3[command]
    assert await (await v3(miner)).write(command, param) == OK_V3
    assert miner.applied == [command]
    assert await restarted(miner, clock) is (
        Restart.NONE if restart is Restart.NEXT_START else restart
    )
    assert miner.v3_truth().settings == replace(before, **changed)


# Refusals


@pytest.mark.parametrize(
    ("profile", "command", "params"),
    [
        ("v205_m50", "update_pools", POOLS | {"pool1": ""}),
        ("v205_m50", "update_pools", {"pool1": "stratum+tcp://a.example:1"}),
        ("v205_m50", "update_pwd", {"old": "other", "new": "Abc_1234"}),
        ("v205_m50", "update_pwd", {"old": "admin", "new": ""}),
        ("v205_m50", "update_pwd", {"old": "admin", "new": "no spaces"}),
        ("v205_m50", "update_pwd", {"old": "admin", "new": "x" * 33}),
        ("v205_m50", "net_config", {"param": "bootp"}),
        ("v205_m50", "net_config", ADDRESS | {"ip": "192:168:2:16"}),
        ("v205_m50", "net_config", ADDRESS | {"mask": "255.0.255.0"}),
        ("v205_m50", "net_config", ADDRESS | {"gate": ""}),
        ("v205_m50", "net_config", ADDRESS | {"dns": "8.8.8.8,1.1.1.1"}),
        ("v205_m50", "net_config", ADDRESS | {"dns": "8.8.8.8 1.1.1.1 9.9.9.9"}),
        ("v205_m50", "net_config", ADDRESS | {"host": "my garage"}),
        ("v205_m50", "net_config", {}),
        ("v1_m20s", "set_target_freq", {"percent": "-11"}),
        ("v1_m20s", "set_target_freq", {"percent": "101"}),
        ("v204_m30sp", "set_target_freq", {"percent": "1"}),
        ("v205_m50", "set_target_freq", {"percent": "1"}),
        ("v205_m50", "set_target_freq", {"percent": "-101"}),
        ("v205_m56s", "set_target_freq", {"percent": "101"}),
        ("v2c_m60s", "set_target_freq", {"percent": "101"}),
        ("v205_m50", "set_hostname", {"hostname": "a_b"}),
        ("v205_m50", "set_hostname", {"hostname": "x" * 64}),
        ("v205_m50", "set_hostname", {}),
        ("v205_m50", "set_zone", ZONE | {"timezone": "Europe/Berlin"}),
        ("v205_m50", "set_zone", ZONE | {"timezone": "CST-25"}),
        ("v205_m50", "set_zone", {"timezone": "CST-8"}),
        ("v205_m50", "load_log", UPLOAD | {"port": "0"}),
        ("v205_m50", "load_log", UPLOAD | {"port": "65536"}),
        ("v205_m50", "load_log", UPLOAD | {"proto": "http"}),
        ("v205_m50", "load_log", UPLOAD | {"ip": "a b"}),
        ("v205_m50", "set_temp_offset", {"temp_offset": "1"}),
        ("v205_m50", "set_temp_offset", {"temp_offset": "-31"}),
        ("v205_m56s", "set_temp_offset", {"temp_offset": "-5"}),
        ("v205_m50", "adjust_upfreq_speed", {"upfreq_speed": "10"}),
        ("v2c_m60s", "adjust_upfreq_speed", {"upfreq_speed": "-1"}),
        ("v205_m50", "set_poweroff_cool", {"poweroff_cool": "2"}),
        ("v205_m56s", "set_poweroff_cool", {"poweroff_cool": "1"}),
        ("v205_m50", "set_fan_zero_speed", {"fan_zero_speed": "on"}),
        ("v205_m56s", "set_fan_zero_speed", {"fan_zero_speed": "1"}),
        ("v205_m50", "set_heat_mode", {"mode": "heating"}),
        ("v205_m56s", "set_heat_mode", {"mode": "anti-freezing"}),
        ("v205_m56s", "set_heat_mode", {"mode": "normal"}),
        ("v205_m50", "pre_power_on", {}),
        ("v205_m56s", "pre_power_on", {}),
        ("v2c_m60s", "set_power", {"power": "100000"}),
        ("v2c_m60s", "set_customer_msg", {"key": "msg10", "val": "x"}),
        ("v2c_m60s", "set_customer_msg", {"key": "msg1", "val": "x" * 128}),
    ],
)
async def test_what_4028_refuses(
    make: Make,
    writer: type[Writer],
    clock: ManualClock,
    profile: str,
    command: str,
    params: dict[str, Any],
) -> None:
    """If it failed: a client that sends invalid values would not be noticed."""
    miner = await make(profile)
    before = miner.truth().settings
    assert outcome(await writer(miner)(command, **params)) == REFUSED
    assert miner.applied == []
    assert await restarted(miner, clock) is Restart.NONE
    assert miner.truth().settings == before


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("update_pools", POOLS | {"passwd3": None}),
        ("set_temp_offset", {"temp_offset": -5}),
        ("set_fan_zero_speed", {"fan_zero_speed": True}),
        ("load_log", UPLOAD | {"port": 514}),
    ],
)
async def test_numbers_are_not_seen(
    make: Make, writer: type[Writer], command: str, params: dict[str, Any]
) -> None:
    """If it failed: a client that sends numbers, which a miner ignores, would not be noticed."""
    miner = await make("v205_m50")
    before = miner.truth().settings
    assert outcome(await writer(miner)(command, **params)) == OK
    assert miner.truth().settings == before


@pytest.mark.parametrize(
    ("command", "param", "code"),
    [
        ("set.miner.cointype", {"cointype": "DOGE"}, -2),
        ("set.miner.cointype", "BTC", -3),
        ("set.system.net_config", ADDRESS_V3 | {"netmask": "24"}, -2),
        ("set.system.net_config", ADDRESS_V3 | {"ip": 5}, -3),
        ("set.system.net_config", "static", -3),
        ("set.system.timezone", ZONE | {"timezone": "+8"}, -2),
        ("set.system.hostname", {"hostname": "my garage"}, -2),
        ("set.system.ntp_server", "a.example,,b.example", -2),
        ("set.log.upload", UPLOAD | {"port": "http"}, -2),
        ("set.fan.poweroff_cool", 2, -2),
    ],
)
async def test_what_4433_refuses(
    make: Make, v3: Connect, clock: ManualClock, command: str, param: Any, code: int
) -> None:
    """If it failed: a client that sends invalid values would not be noticed."""
    miner = await make("v2c_m60s")
    before = miner.v3_truth().settings
    assert (await (await v3(miner)).write(command, param))[0] == code
    assert await restarted(miner, clock) is Restart.NONE
    assert miner.v3_truth().settings == before


# Effects


@pytest.mark.parametrize("profile", AIR.values())
async def test_pools(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: new pools would be acknowledged, but the old ones used."""
    miner = await make(profile)
    clock.advance(86400)
    assert outcome(await writer(miner)("update_pools", **POOLS)) == OK
    rows = (await ask(miner, "pools"))["POOLS"]
    assert [(row["URL"], row["User"], row["Accepted"]) for row in rows] == [
        ("stratum+tcp://a.example:1", "me.a", 0),
        ("stratum+tcp://b.example:2", "me.b", 0),
    ]
    clock.advance(3600)
    assert (await ask(miner, "pools"))["POOLS"][0]["Accepted"] > 20
    assert "secret" not in json.dumps(await ask(miner, "pools"))


async def information(miner: SimulatedMiner) -> dict[str, Any]:
    """Return the network that a miner reports."""
    reported: dict[str, Any] = (await ask(miner, "get_miner_info"))["Msg"]
    return reported


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50", "v2c_m60s"])
async def test_network(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: the network settings would be reported wrongly."""
    miner = await make(profile)
    dhcp = miner.truth().network
    assert dhcp
    assert (dhcp.proto, dhcp.ip) == ("dhcp", "127.0.0.1")
    owner = writer(miner)
    await owner("net_config", **ADDRESS)
    # Not before it has restarted
    assert (await information(miner))["ip"] == "127.0.0.1"
    assert miner.truth().network == dhcp
    clock.advance(70)
    await miner.tick()
    info = await information(miner)
    assert info["hostname"] == miner.truth().hostname == "garage"
    assert {key: info[key] for key in ("ip", "proto", "netmask", "gateway", "dns")} == {
        "ip": "192.168.2.16",
        "proto": "static",
        "netmask": "255.255.255.0",
        "gateway": "192.168.2.1",
        "dns": "114.114.114.114 192.168.2.1",
    }
    assert miner.truth().network == NETWORK
    await owner.authorize()
    await owner("net_config", param="dhcp")
    clock.advance(70)
    await miner.tick()
    assert (await information(miner))["proto"] == "dhcp"
    assert miner.truth().network == dhcp
    assert miner.truth().hostname == "garage"


async def test_network_over_4433(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: the network settings would be reported wrongly."""
    miner = await make("v2c_m60s")
    await (await v3(miner)).write("set.system.net_config", ADDRESS_V3)
    clock.advance(70)
    await miner.tick()
    network = (await (await v3(miner)).read("get.device.info", "network"))["network"]
    assert {**ADDRESS_V3, "proto": "static"}.items() <= network.items()
    assert miner.v3_truth().network == NETWORK
    await (await v3(miner)).write("set.system.net_config", "dhcp")
    clock.advance(70)
    assert miner.v3_truth().network.proto == "dhcp"


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50", "v2c_m60s"])
async def test_hostname(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: a hostname would take effect before the restart of the network, or never."""
    miner = await make(profile)
    owner = writer(miner)
    assert outcome(await owner("set_hostname", hostname="garage")) == OK
    assert (await information(miner))["hostname"] == "WhatsMiner"
    clock.advance(7)
    await miner.tick()
    assert (await information(miner))["hostname"] == "garage"
    # The board did not restart: tokens are still good
    assert outcome(await owner("set_led", param="auto")) == OK


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50", "v3_m7bs"])
async def test_zone(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: the times of errors would stay in China's time zone."""
    miner = await make(profile)
    miner.set_errors([110])

    async def time_of_error() -> str:
        await miner.tick()
        writer_ = writer(miner)
        text = json.dumps(await writer_("get_error_code"))
        found = re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", text)
        assert found
        return found[0]

    if profile != "v204_m30sp":
        assert await time_of_error() == "2023-11-15 06:13:20"
    await writer(miner)("set_zone", **ZONE)
    clock.advance(7)
    assert miner.truth().timezone == "EST5"
    if profile != "v204_m30sp":
        assert await time_of_error() == "2023-11-14 17:13:20"


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("CST-8", 8),
        ("UTC0", 0),
        ("EST5EDT,M3.2.0,M11.1.0", -5),
        ("<+0530>-5:30", 5.5),
        ("NST+3:30", -3.5),
    ],
)
def test_zones(zone: str, hours: float) -> None:
    """If it failed: the sign of POSIX would be read the wrong way round."""
    assert zone_offset_s(zone) == hours * 3600


@pytest.mark.parametrize("cool", ["0", "1"])
async def test_poweroff_cool(
    make: Make, writer: type[Writer], clock: ManualClock, cool: str
) -> None:
    """If it failed: fans of a stopped miner would always stand still."""
    miner = await make("v205_m50")
    owner = writer(miner)
    await owner("set_poweroff_cool", poweroff_cool=cool)
    await owner("power_off")
    clock.advance(30)
    assert miner.truth().fan_speed_in_rpm > 2000
    clock.advance(200)
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert (row["Fan Speed In"] > 2000) == (cool == "1")


async def test_fan_zero_speed(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: 0 RPM on a healthy miner could not be tested."""
    miner = await make("v205_m50")
    await writer(miner)("set_fan_zero_speed", fan_zero_speed="1")
    clock.advance(60)
    assert miner.truth().mining
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert row["Fan Speed In"] == row["Fan Speed Out"] == 0


async def test_temp_offset(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: an offset would take effect before the next start, or never."""
    miner = await make("v205_m50")
    before = miner.truth()
    owner = writer(miner)
    await owner("set_temp_offset", temp_offset="-10")
    clock.advance(3600)
    same = miner.truth()
    assert same.boards[0].temperature_c == pytest.approx(76.5, abs=1)
    await owner.authorize()
    await owner("restart_btminer")
    clock.advance(3600)
    after = miner.truth()
    assert after.boards[0].temperature_c == pytest.approx(66.5, abs=1)
    assert after.fan_speed_in_rpm > before.fan_speed_in_rpm * 1.05


async def test_upfreq_speed_is_for_the_next_start(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: the speed of tuning would change while it tunes."""
    miner = await make("v2c_m60s", state="upfreq")
    owner = writer(miner)
    await owner("adjust_upfreq_speed", upfreq_speed="9")
    assert (await information(miner))["upfreq_speed"] == "9"
    clock.advance(900)
    share = miner.truth().frequency_average_mhz / miner.profile.frequency_mhz
    assert share == pytest.approx(0.9, abs=0.01)
    await owner("restart_btminer")
    clock.advance(1 + 10 + 45 + 400)
    share = miner.truth().frequency_average_mhz / miner.profile.frequency_mhz
    assert share == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("profile", "text", "before"),
    [
        ("v1_m20s", None, None),
        ("v204_m30sp", None, None),
        ("v205_m50", "-20", ""),
        ("v205_m56s", "-20", "0"),
        ("v2c_m60s", "-20", "0"),
    ],
)
async def test_target_freq(
    make: Make,
    writer: type[Writer],
    clock: ManualClock,
    profile: str,
    text: str | None,
    before: str | None,
) -> None:
    """If it failed: an offset of the frequency would be stored and have no effect."""
    miner = await make(profile)
    was = miner.truth()
    assert (await ask(miner, "status"))["Msg"].get("hash_percent") == before
    percent = -10 if profile == "v1_m20s" else -20
    await writer(miner)("set_target_freq", percent=str(percent))
    clock.advance(3000)
    assert (await ask(miner, "status"))["Msg"].get("hash_percent") == text
    share = 1 + percent / 100
    now = miner.truth()
    assert miner.machine.power_w == pytest.approx(was.power_w * share, rel=0.03)
    assert now.frequency_average_mhz < was.frequency_average_mhz * (share + 0.06)
    assert now.hashrate_ths < was.hashrate_ths * (share + 0.06)


async def test_both_ways_where_the_document_lets_it(
    make: Make, writer: type[Writer]
) -> None:
    """If it failed: only one of the two contradicting documents would be tested."""
    for profile in ("v2c_m60s", "v205_m56s", "v1_m20s"):
        miner = await make(profile)
        assert outcome(await writer(miner)("set_target_freq", percent="20")) == OK


async def test_heat_mode_is_reported_on_4433(
    make: Make, writer: type[Writer], v3: Connect
) -> None:
    """If it failed: a heat mode could not be read back."""
    miner = await make("v3_m7bs")
    owner, client = writer(miner), await v3(miner)
    for mode, seen in (
        ("heating", "heating"),
        ("anti-icing", "anti-freezing"),
        ("anti-freezing", "anti-freezing"),
    ):
        assert outcome(await owner("set_heat_mode", mode=mode)) == OK
        assert (await client.read("get.miner.setting"))["heat-mode"] == seen
        info = await client.read("get.device.info", "miner")
        assert info["miner"]["heatmode"] == seen


@pytest.mark.parametrize("on", [0, 1])
async def test_fast_hash(make: Make, v3: Connect, clock: ManualClock, on: int) -> None:
    """If it failed: power during tuning would not approach the limit."""
    miner = await make("v2c_m60s")
    client = await v3(miner)
    assert await client.write("set.miner.fast_hash", on) == OK_V3
    await client.write("set.miner.service", "restart")
    clock.advance(100)
    assert miner.truth().phase is Phase.UPFREQ
    assert (miner.machine.power_w > 0.9 * miner.profile.power_w) == bool(on)


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
async def test_start_at_boot(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: a miner that stays off after a reboot could not be tested."""
    miner = await make(profile)
    owner = writer(miner)
    for command, mining in (
        ("disable_btminer_init", False),
        ("enable_btminer_init", True),
    ):
        before = miner.truth().mining
        await owner(command)
        clock.advance(5)
        assert miner.truth().mining is before
        await owner("reboot")
        clock.advance(200)
        await miner.tick()
        assert miner.truth().mining is mining
        await owner.authorize()


async def test_web_pools_and_log_server_are_reported_on_4433(
    make: Make, writer: type[Writer], v3: Connect
) -> None:
    """If it failed: a setting of one port would not be visible on the other."""
    miner = await make("v2c_m60s")
    owner, client = writer(miner), await v3(miner)
    await owner("disable_web_pools")
    await owner("load_log", **UPLOAD)
    await owner("set_temp_offset", temp_offset="-7")
    setting = await client.read("get.system.setting")
    assert setting["web-pool"] == 0
    assert setting["log-upload"] == UPLOAD
    assert (await client.read("get.fan.setting"))["fan-temp-offset"] == -7
    await owner("enable_web_pools")
    assert (await client.read("get.system.setting"))["web-pool"] == 1


async def test_messages_of_the_owner(
    make: Make, writer: type[Writer], v3: Connect
) -> None:
    """If it failed: a note would be lost, or readable without a token."""
    miner = await make("v2c_m60s")
    owner = writer(miner)
    await owner("set_customer_msg", key="CustomerSn", val="sn12345")
    answer = await owner("get_customer_msg")
    assert answer["Msg"]["CustomerSn"] == "sn12345"
    assert list(answer["Msg"]) == list(CUSTOM_KEYS)
    assert outcome(await ask(miner, "get_customer_msg")) == (14, "invalid data")
    client = await v3(miner)
    assert (await client.read("get.device.custom_data"))["CustomerSn"] == "sn12345"
    # It is a read
    miner.api_switch = False
    assert (await owner("get_customer_msg"))["Code"] == 131
    assert (await owner("set_customer_msg", key="msg1", val="x"))["Code"] == 45


@pytest.mark.parametrize("profile", AIR.values())
async def test_password(make: Make, writer: type[Writer], profile: str) -> None:
    """If it failed: the effect of a password change on the old password could not be tested."""
    miner = await make(profile)
    salt = (await ask(miner, "get_token"))["Msg"]["salt"]
    owner = writer(miner)
    # The answer comes with the old key
    answer, sealed = await owner.send("update_pwd", old="admin", new="Abc_1234")
    assert (outcome(answer), sealed) == (OK, True)
    assert miner.password == "Abc_1234"
    assert (await ask(miner, "get_token"))["Msg"]["salt"] != salt
    assert (await owner("set_led", param="auto"))["Code"] == 23
    # The old password does not get a new token to work
    assert (await writer(miner)("set_led", param="auto"))["Code"] == 23
    assert outcome(await writer(miner, "Abc_1234")("set_led", param="auto")) == OK


@pytest.mark.parametrize("state", ["stopped", "stable"])
async def test_preheat(
    make: Make, writer: type[Writer], clock: ManualClock, state: str
) -> None:
    """If it failed: the three answers could not be tested, or a client would wait forever."""
    miner = await make("v205_m56s", state=state)
    owner = writer(miner)
    if state == "stable":
        await owner("power_off")
    sent = {"complete": "false", "msg": "wait for adjust temp"}
    seen = []
    for _ in range(5):
        answer = await owner("pre_power_on", **sent)
        assert answer["Code"] == 131
        seen.append((answer["Msg"]["complete"], answer["Msg"]["msg"]))
        assert miner.truth().preheat == answer["Msg"]["msg"]
        clock.advance(50)
    assert seen == [
        *[("false", "wait for adjust temp")] * 2,
        *[("false", "adjust continue")] * 2,
        ("true", "adjust complete"),
    ]
    assert not miner.truth().mining
    assert miner.truth().hashrate_ths == 0
    assert 500 < miner.machine.power_w < 1000
    await owner("power_on")
    assert miner.truth().preheat is None
    clock.advance(60)
    assert miner.machine.power_w > 0.85 * miner.profile.power_w


async def test_preheat_ends(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: preheating could not be stopped."""
    miner = await make("v205_m56s", state="stopped")
    owner = writer(miner)
    await owner("pre_power_on")
    clock.advance(30)
    assert miner.machine.power_w > 500
    # Too early: the start is an ordinary one
    await owner("power_on")
    clock.advance(80)
    assert miner.truth().phase is Phase.UPFREQ
    assert miner.machine.power_w < 0.5 * miner.profile.power_w
    for command in ("power_off", "reboot"):
        await owner("power_off")
        clock.advance(20)
        await owner("pre_power_on")
        clock.advance(20)
        await owner(command)
        clock.advance(20)
        assert miner.truth().preheat is None
        assert miner.machine.power_w < 100


async def test_late_start_and_stop(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a client could treat a delayed stop as a failed one."""
    miner = await make("v2c_m60s")
    client = await v3(miner)
    await client.write("set.system.time_randomized", {"start": 100, "stop": 100})
    assert await client.write("set.miner.service", "stop") == OK_V3
    clock.advance(2)
    assert miner.truth().mining
    clock.advance(100)
    assert not miner.truth().mining
    assert await client.write("set.miner.service", "start") == OK_V3
    assert not miner.truth().mining
    clock.advance(101)
    assert miner.truth().mining
    # A stop that comes before the start
    await client.write("set.miner.service", "stop")
    clock.advance(102)
    await client.write("set.miner.service", "start")
    await client.write("set.miner.service", "stop")
    clock.advance(300)
    assert not miner.truth().mining


@pytest.mark.parametrize("profile", PROFILES)
async def test_factory_reset(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: a factory reset could not be tested."""
    miner = await make(profile, password="Secret_1", v3_password="Super_1")
    fresh = as_found(replace(miner.profile, power_mode="normal", power_limit_set=None))
    if fresh.mode_text:
        fresh = replace(fresh, mode_text="normal")
    owner = writer(miner, "Secret_1")
    blink = {"color": "red", "period": 200, "duration": 100, "start": 0}
    for command, params in (
        ("update_pools", POOLS),
        ("set_low_power", {}),
        ("set_target_freq", {"percent": "-5"}),
        ("disable_web_pools", {}),
        ("set_zone", ZONE),
        ("set_hostname", {"hostname": "garage"}),
        ("load_log", UPLOAD),
        ("set_led", blink),
        ("update_pwd", {"old": "Secret_1", "new": "Secret_2"}),
    ):
        await owner(command, **params)
    if miner.profile.v3:
        miner.v3_permissions["user1"].add("set.system.led")
    owner = writer(miner, "Secret_2")
    answer = await owner("factory_reset")
    assert answer is None or outcome(answer) == OK
    assert miner.truth().settings != fresh
    clock.advance(62)
    await miner.tick()
    assert miner.truth().settings == fresh
    assert miner.password == "admin"
    assert not miner.machine.leds
    assert miner.truth().hostname in ("WhatsMiner", None)
    # The owner has to open the API again
    assert miner.api_switch is False
    assert (await writer(miner, "Secret_2")("power_off"))["Code"] == 23
    assert (await writer(miner)("power_off"))["Code"] == 45
    if miner.profile.v3:
        assert miner.v3_passwords["super"] == "super"
        assert miner.v3_permissions["user1"] == set()
    clock.advance(2000)
    assert miner.truth().power_mode == "normal"
    assert miner.machine.power_w == pytest.approx(miner.profile.power_w, rel=0.02)


async def test_factory_reset_over_4433(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: a reset would not reset the passwords of the accounts."""
    miner = await make("v3_m7bs", password="Secret_1", v3_password="Super_1")
    client = await v3(miner, password="Super_1")
    salt = miner.v3_salt
    assert await client.write("set.system.factory_reset") == OK_V3
    clock.advance(120)
    await miner.tick()
    assert miner.password == "admin"
    assert miner.v3_salt != salt
    client = await v3(miner)
    system = (await client.read("get.device.info", "system"))["system"]
    assert system["apiswitch"] == "0"
    assert await client.write("set.system.led", "auto") == (
        -4,
        "no permission for write command",
    )
    miner.api_switch = True
    assert await client.write("set.system.led", "auto") == OK_V3


async def test_restore_setting(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a reset would keep the mining settings, or delete those of the network."""
    miner = await make("v2c_m60s")
    client = await v3(miner)
    before = miner.v3_truth().settings
    for command, param in (
        ("set.miner.power_mode", "low"),
        ("set.miner.power_limit", 2500),
        ("set.miner.upfreq_speed", 5),
        ("set.miner.cointype", {"cointype": "BCH"}),
        ("set.fan.temp_offset", -5),
        ("set.miner.service", "disable"),
        ("set.system.webpools", "disable"),
        ("set.system.hostname", {"hostname": "garage"}),
    ):
        assert await client.write(command, param) == OK_V3
    info = (await client.read("get.device.info"))["miner"]
    assert info["cointype"] == "BCH"
    assert await client.write("set.miner.restore_setting") == OK_V3
    after = miner.v3_truth().settings
    assert after == replace(before, web_pools=False, hostname="garage")
    clock.advance(3)
    assert miner.truth().phase is Phase.BTMINER_DOWN
    clock.advance(2000)
    setting = await client.read("get.miner.setting")
    assert (setting["power-mode"], setting["power-limit"]) == ("normal", 3600)
    info = (await client.read("get.device.info"))["miner"]
    assert info["cointype"] == "BTC/BCH/BSV"


async def test_network_restart_cuts_connections(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: a connection would survive a restart of the network."""
    miner = await make("v2c_m60s")
    client = await v3(miner)
    await client.write("set.system.timezone", ZONE)
    clock.advance(2)
    await miner.tick()
    assert await client.ended()
    assert miner.truth().phase is Phase.STABLE
    clock.advance(5)
    await miner.tick()
    client = await v3(miner)
    assert (await client.read("get.system.setting"))["timezone"] == "EST5"

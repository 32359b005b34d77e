"""Answers on 4433 match the page's samples and the true state (protocol.md#e5)."""

from dataclasses import fields
import io
import json
import re
import tarfile
from typing import Any

import pytest

from simulator import ManualClock, Phase, SimulatedMiner, V3Truth

from .conftest import EPOCH, Connect, Make, ask

PROFILES = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
M60S, M7BS, M64 = PROFILES

# The samples of the page, reduced to what is compared: the order of the keys
INFO = "network,miner,system,power,salt,error-code"
NETWORK = "ip,proto,netmask,dns,mac,gateway,hostname"
MINER = (
    "working,type,hash-board,detect-hash-rate,cointype,pool-strategy,heatmode,hash-percent,chipdata0,chipdata1,"
    "chipdata2,fast-boot,board-num,pcbsn0,pcbsn1,pcbsn2,miner-sn,power-limit-set,UpfreqSpeed,web-pool,permission"
)
SYSTEM = "api,platform,fwversion,control-board-version,apiswitch,ledstatus"
POWER = "type,mode,hwversion,swversion,model,iin,vin,vout,pin,fanspeed,temp0,sn,vendor"
POWER_OF_M60S = "type,mode,hwversion,swversion,model,fanspeed,sn,vendor"
SUMMARY = (
    "elapsed,bootup-time,freq-avg,target-freq,factory-hash,hash-average,hash-1min,hash-15min,hash-realtime,"
    "power-rate,power-5min,power-realtime,environment-temperature,board-temperature,chip-temp-min,chip-temp-avg,"
    "chip-temp-max,power-limit,up-freq-finish,fan-speed-in,fan-speed-out"
)
BOARD = (
    "id,slot,hash-average,factory-hash,freq,effective-chips,chip-temp-min,chip-temp-avg,"
    "chip-temp-max"
)
POOL = "id,url,status,account,stratum-active,reject-rate,last-share-time"
SETTING = {
    M60S: "power-limit,upfreq-speed,power-mode,fast-boot,fast-hash,target-freq,power-percent,btrom-worker-suffix",
    M7BS: (
        "power-limit,upfreq-speed,power-mode,fast-boot,fast-hash,heat-mode,target-freq,power,power-percent,"
        "btrom-worker-suffix"
    ),
    M64: "power-limit,upfreq-speed,power-mode,fast-boot,fast-mining,target-freq,power-percent,btrom-worker-suffix",
}


def keys(row: dict[str, Any]) -> str:
    """Return the keys as one text."""
    return ",".join(row)


def nominal(reported: float) -> float | None:
    """Return a factory rate; a negative one is unknown."""
    return reported if reported > 0 else None


@pytest.mark.parametrize("profile", PROFILES)
async def test_envelope(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: clients would be tested with bytes that no miner sends."""
    miner = await make(profile)
    client = await v3(miner)
    for request in (
        '{"cmd":"get.device.info"}',
        '{"cmd":"get.miner.status","param":"summary+edevs+pools"}',
        '{"cmd":"get.miner.setting","param":null}',
        '{"cmd":"get.system.setting"}',
        '{"cmd":"get.fan.setting"}',
        '{"cmd":"get.device.custom_data"}',
    ):
        client.send(request)
        text = await client.frame()
        answer = json.loads(text)
        assert keys(answer) == "code,when,msg,desc"
        assert answer["desc"] == json.loads(request)["cmd"]
        assert answer["when"] == EPOCH
        strings_out = re.sub(r'"[^"]*"', '""', text)
        assert " " not in strings_out


@pytest.mark.parametrize("profile", PROFILES)
async def test_device_info(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: identity and electrical values would be tested with an answer that no miner sends."""
    miner = await make(profile)
    reported = await (await v3(miner)).read("get.device.info")
    boards = range(miner.profile.boards)
    expected = INFO
    miner_keys, power_keys = MINER, POWER
    if profile == M60S:
        expected, power_keys = INFO.removesuffix(",error-code"), POWER_OF_M60S
    else:
        power_keys = POWER.replace("temp0,", "temp0,liquid-temperature,")
        for name in ("chipdata", "pcbsn"):
            miner_keys = miner_keys.replace(f"{name}2", f"{name}2,{name}3")
        miner_keys = miner_keys.replace(
            "UpfreqSpeed,", "UpfreqSpeed,eeprom-liquid-cooling,"
        )
    assert keys(reported) == expected
    assert keys(reported["network"]) == NETWORK
    assert keys(reported["miner"]) == miner_keys
    assert keys(reported["system"]) == SYSTEM
    assert keys(reported["power"]) == power_keys
    truth = miner.v3_truth()
    assert reported["network"]["mac"] == truth.mac == miner.mac
    assert reported["miner"]["working"] == "true"
    assert reported["miner"]["type"] == truth.model
    assert reported["miner"]["board-num"] == str(len(boards))
    assert reported["miner"]["permission"] == "super=255 user1=0 user2=0 user3=0"
    assert reported["miner"]["web-pool"] == 1
    assert reported["system"]["api"] == truth.api_version
    assert reported["system"]["fwversion"] == truth.firmware
    assert len(reported["salt"]) == 8
    info = (await ask(miner, "get_miner_info"))["Msg"]
    assert reported["miner"]["miner-sn"] == info["minersn"]
    assert reported["system"]["ledstatus"] == info["ledstat"]
    devices = (await ask(miner, "edevs"))["DEVS"]
    assert [reported["miner"][f"pcbsn{slot}"] for slot in boards] == [
        row["PCB SN"] for row in devices
    ]
    for part in reported:
        assert await (await v3(miner)).read("get.device.info", part) == {
            part: reported[part]
        }


async def test_parts_of_device_info(make: Make, v3: Connect) -> None:
    """If it failed: a misspelled part would look like an empty one."""
    client = await v3(await make(M60S))
    for part in ("error-code", "coffee", "miner+system", 5):
        answer = await client.ask("get.device.info", part)
        assert (answer["code"], answer["msg"]) == (-2, f"invalid param: {part}")


@pytest.mark.parametrize("profile", PROFILES)
async def test_status_has_the_keys_of_the_page(
    make: Make, v3: Connect, profile: str
) -> None:
    """If it failed: the simulator would have fields that API v3 lacks, or lack fields that it has."""
    miner = await make(profile)
    client = await v3(miner)
    reported = await client.read("get.miner.status", "summary+edevs+pools")
    assert keys(reported) == "summary,edevs,pools"
    assert keys(reported["summary"]) == SUMMARY
    assert [keys(row) for row in reported["edevs"]] == [BOARD] * miner.profile.boards
    assert [keys(row) for row in reported["pools"]] == [POOL]
    for part, value in reported.items():
        assert await client.read("get.miner.status", part) == {part: value}
    joined = await client.read("get.miner.status", "summary+pools")
    assert keys(joined) == "summary,pools"


@pytest.mark.parametrize(
    ("profile", "code", "msg"),
    [(M60S, 0, {}), (M7BS, -3, "param item is null"), (M64, 0, {})],
)
async def test_status_without_a_param(
    make: Make, v3: Connect, profile: str, code: int, msg: object
) -> None:
    """If it failed: only one of the two answers of firmware would be tested."""
    client = await v3(await make(profile))
    for param in (None, "", ["summary"]):
        answer = await client.ask("get.miner.status", param)
        assert (answer["code"], answer["msg"]) == (code, msg)
    answer = await client.ask("get.miner.status", "summary+coffee")
    assert (answer["code"], answer["msg"]) == (-2, "invalid param: coffee")


async def test_pools_of_a_stopped_miner(make: Make, v3: Connect) -> None:
    """If it failed: a client that reads only the pools would see no error."""
    client = await v3(await make(M7BS, state="stopped"))
    assert (await client.ask("get.miner.status", "pools"))["code"] == -1
    reported = await client.read("get.miner.status", "summary+pools")
    assert reported["pools"] == []
    assert reported["summary"]["hash-realtime"] == 0


@pytest.mark.parametrize("profile", [M60S, M7BS])
async def test_btminer_down(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: a status that is missing for a while could not be tested."""
    client = await v3(await make(profile, state="btminer_down"))
    assert (await client.ask("get.miner.status", "summary"))["code"] == -1
    assert (await client.read("get.device.info"))["miner"]["working"] == "true"


@pytest.mark.parametrize("profile", PROFILES)
async def test_miner_setting(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: the settings of each version would not be tested."""
    miner = await make(profile)
    reported = await (await v3(miner)).read("get.miner.setting")
    assert keys(reported) == SETTING[profile]
    assert reported["power-mode"] == miner.v3_truth().power_mode
    assert reported["power-percent"] == (120 if profile == M7BS else 0)
    assert reported["power-limit"] == {M60S: 3600, M7BS: 10030, M64: 3750}[profile]


async def test_other_settings(make: Make, v3: Connect) -> None:
    """If it failed: the simulator would not send the captured answer of a real miner."""
    client = await v3(await make(M60S))
    assert await client.read("get.system.setting") == {
        "web-pool": 1,
        "timezone": "CST-8",
        "zonename": "Asia/Shanghai",
        "hostname": "WhatsMiner",
        "time-randomized": {"start": 0, "stop": 0},
        "ntp-server": [
            "0.cn.pool.ntp.org",
            "0.openwrt.pool.ntp.org",
            "0.asia.pool.ntp.org",
            "0.pool.ntp.org",
        ],
    }
    assert await client.read("get.fan.setting") == {
        "fan-poweroff-cool": 0,
        "fan-zero-speed": 0,
        "fan-temp-offset": 0,
    }
    custom = await client.read("get.device.custom_data")
    assert keys(custom) == "CustomerSn," + ",".join(f"msg{n}" for n in range(10))


async def test_number_formats(make: Make, v3: Connect) -> None:
    """If it failed: parsers would not be tested with integers, decimals and 32-bit rounding."""
    miner = await make(M7BS)
    client = await v3(miner)
    client.send('{"cmd":"get.miner.status","param":"summary+edevs"}')
    text = await client.frame()
    assert re.search(r'"hash-average":\d+\.\d{1,3},', text)
    assert re.search(r'"power-realtime":\d+,', text)
    assert re.search(r'"board-temperature":\[\d+(\.\d)?(,\d+(\.\d)?){3}\]', text)
    assert re.search(r'"freq":\d+\.\d{8,},', text)
    assert re.search(r'"factory-hash":140\.24,', text)
    reported = await client.read("get.device.info", "power")
    kinds = {key: type(value).__name__ for key, value in reported["power"].items()}
    assert kinds == dict.fromkeys(POWER.split(","), "str") | {
        "iin": "float",
        "vin": "float",
        "vout": "int",
        "pin": "int",
        "fanspeed": "int",
        "temp0": "float",
        "liquid-temperature": "float",
    }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("state", ["stable", "upfreq", "stopped"])
@pytest.mark.parametrize("seconds", [0, 777])
async def test_truth_is_what_the_wire_tells(
    make: Make,
    v3: Connect,
    clock: ManualClock,
    profile: str,
    state: str,
    seconds: float,
) -> None:
    """If it failed: every test that compares an entity with the truth would be worthless."""
    miner = await make(profile, state=state)
    miner.set_errors([531, 110])
    clock.advance(seconds)
    client = await v3(miner)
    truth = miner.v3_truth()
    status = await client.read("get.miner.status", "summary+edevs+pools")
    summary = status["summary"]
    for key, value, digits in (
        ("elapsed", truth.elapsed_s, 0),
        ("bootup-time", truth.uptime_s, 0),
        ("freq-avg", truth.frequency_average_mhz, 0),
        ("hash-average", truth.hashrate_average_ths, 3),
        ("hash-1min", truth.hashrate_1m_ths, 3),
        ("hash-15min", truth.hashrate_15m_ths, 3),
        ("hash-realtime", truth.hashrate_ths, 3),
        ("power-rate", truth.power_rate_jth, 3),
        ("power-5min", truth.power_5min_w, 3),
        ("power-realtime", truth.power_realtime_w, 0),
        ("environment-temperature", truth.environment_temperature_c, 1),
        ("chip-temp-min", truth.chip_temperature_min_c, 1),
        ("chip-temp-avg", truth.chip_temperature_avg_c, 1),
        ("chip-temp-max", truth.chip_temperature_max_c, 1),
        ("power-limit", truth.power_limit_w, 0),
        ("up-freq-finish", truth.upfreq_complete, 0),
        ("fan-speed-in", truth.fan_speed_in_rpm, 0),
        ("fan-speed-out", truth.fan_speed_out_rpm, 0),
    ):
        assert summary[key] == round(value, digits), key
    assert truth.power_w == truth.power_realtime_w
    assert nominal(summary["factory-hash"]) == truth.hashrate_nominal_ths
    assert summary["board-temperature"] == [
        round(each, 1) for each in truth.board_temperatures_c
    ]
    for row, board in zip(status["edevs"], truth.boards, strict=True):
        assert row["slot"] == board.slot
        assert row["hash-average"] == round(board.hashrate_average_ths, 3)
        assert row["effective-chips"] == board.chips
        assert row["freq"] == pytest.approx(board.frequency_mhz)
        assert row["chip-temp-min"] == round(board.chip_temperature_min_c, 1)
        assert row["chip-temp-avg"] == round(board.chip_temperature_avg_c, 1)
        assert row["chip-temp-max"] == round(board.chip_temperature_max_c, 1)
        assert truth.board_temperatures_c[board.slot] == board.temperature_c
        if board.hashrate_nominal_ths is None:
            assert row["factory-hash"] == -0.001
        else:
            assert row["factory-hash"] == round(board.hashrate_nominal_ths, 2)
    assert [
        (row["url"], row["account"], row["stratum-active"], row["status"])
        for row in status["pools"]
    ] == [(pool.url, pool.user, pool.active, pool.status) for pool in truth.pools]
    info = await client.read("get.device.info")
    assert info["miner"]["working"] == ("true" if truth.mining else "false")
    assert truth.mining == (state != "stopped")
    assert info["power"]["fanspeed"] == truth.psu.fan_speed_rpm
    for key, volts, digits in (
        ("vin", truth.psu.input_voltage_v, 1),
        ("iin", truth.psu.input_current_a, 2),
        ("pin", truth.psu.input_power_w, 0),
        ("temp0", truth.psu.temperature_c, 1),
        ("liquid-temperature", truth.psu.liquid_temperature_c, 1),
    ):
        assert (volts is None) == (key not in info["power"]), key
        if volts is not None:
            assert info["power"][key] == round(volts, digits), key
    if truth.psu.output_voltage_v is not None:
        assert info["power"]["vout"] == round(truth.psu.output_voltage_v * 100)
        on = truth.mining and (state == "stable" or seconds > 0)
        assert (truth.psu.output_voltage_v > 0) == on
    if truth.errors is None:
        assert profile == M60S
        assert truth.error_codes is None
    else:
        assert truth.error_codes == (531, 110)
        assert [row["reason"] for row in info["error-code"]] == [
            "Slot1 not found.",
            "Error 110.",
        ]
        assert list(info["error-code"][0]) == ["531", "reason"]
        assert info["error-code"][0]["531"] == "2023-11-15 06:13:20"
    setting = await client.read("get.miner.setting")
    assert setting["power-percent"] == (truth.power_percent or 0)
    assert setting["power-mode"] == truth.power_mode
    assert setting["fast-boot"] == ("enable" if truth.fast_boot else "disable")
    assert setting.get("heat-mode") == truth.heat_mode
    assert setting.get("power") == truth.power_set_w
    assert ("fast-hash" in setting) == (truth.fast_hash is not None)


@pytest.mark.parametrize("profile", PROFILES)
async def test_both_ports_tell_the_same(
    make: Make, clock: ManualClock, profile: str
) -> None:
    """If it failed: a value would change when a client switches the port."""
    miner = await make(profile, state="upfreq")
    clock.advance(300)
    old, new = miner.truth(), miner.v3_truth()
    for name in {field.name for field in fields(V3Truth)} & {
        "phase",
        "mining",
        "hashrate_ths",
        "hashrate_average_ths",
        "hashrate_15m_ths",
        "uptime_s",
        "power_limit_w",
        "environment_temperature_c",
        "fan_speed_in_rpm",
        "frequency_average_mhz",
        "led_auto",
        "firmware",
        "model",
    }:
        assert getattr(old, name) == getattr(new, name), name
    assert new.power_5min_w == old.power_w
    assert new.power_realtime_w > 1.05 * old.power_w
    assert int(old.elapsed_s) == new.elapsed_s
    if old.liquid_temperature_c is not None:
        assert old.liquid_temperature_c == round(new.liquid_temperature_c or 0)


def test_m7bs_is_the_captured_one() -> None:
    """If it failed: the largest miner would differ from the captured one."""
    miner = SimulatedMiner(M7BS, clock=ManualClock(), epoch=EPOCH)
    for truth in (miner.truth(), miner.v3_truth()):
        assert truth.phase is Phase.STABLE
        assert truth.hashrate_15m_ths == pytest.approx(692, rel=0.005)
        assert truth.power_limit_w == 9758
        assert truth.power_mode == "high"
        assert truth.power_percent == 120
        assert truth.led_auto is False
        assert truth.chip_temperature_avg_c == pytest.approx(67.5, abs=3)
        assert len(truth.boards) == 4
        assert truth.boards[0].chips == 288
    assert miner.v3_truth().power_5min_w == pytest.approx(9763, rel=0.005)
    assert miner.truth().liquid_temperature_c == 49
    assert miner.v3_truth().power_limit_set_w == 10030


async def test_boards_that_are_gone(make: Make, v3: Connect) -> None:
    """If it failed: a miner with a dead board could not be tested."""
    miner = await make(M7BS)
    miner.set_board_count(2)
    client = await v3(miner)
    status = await client.read("get.miner.status", "summary+edevs")
    assert len(status["edevs"]) == len(status["summary"]["board-temperature"]) == 2
    assert len(miner.v3_truth().boards) == 2


async def test_history(make: Make, v3: Connect) -> None:
    """If it failed: a client that reads the history would get no rows."""
    client = await v3(await make(M60S))
    now = int(EPOCH)
    param = {"begin": str(now - 3600), "end": str(now)}
    rows = (await client.read("get.miner.history", param))["Data"].split(" ")
    assert len(rows) == 6
    times = [int(row.split(",")[0]) for row in rows]
    assert times == sorted(times)
    assert now - 3600 <= times[0] < times[-1] <= now
    assert all(re.fullmatch(r"\d+,\d+\.\d{3},\d+", row) for row in rows)
    early = {"begin": "1672000000", "end": "1672080000"}
    assert await client.read("get.miner.history", early) == {"Data": ""}
    for wrong, code in (
        (None, -3),
        ({"begin": "1"}, -3),
        ({"begin": "1", "end": "x"}, -2),
        ({"begin": "0", "end": "86401"}, -2),
        ({"begin": "2", "end": "1"}, -2),
    ):
        assert (await client.ask("get.miner.history", wrong))["code"] == code


async def test_log_download(make: Make, v3: Connect) -> None:
    """If it failed: a client that reads the log as a frame would not be noticed."""
    miner = await make(M60S)
    client = await v3(miner)
    size = int((await client.read("get.log.download"))["logsize"])
    assert size > 10240
    data = await client.reader.readexactly(size)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile("miner.log")
        assert file
        assert miner.mac in file.read().decode()
    # The connection stays open
    assert await client.read("get.fan.setting")

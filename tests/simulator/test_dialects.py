"""Answers match the page's samples: keys, order, types, formats (section C of docs/protocol.md)."""

import json
import re
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, SimulatedMiner

from .conftest import EPOCH, Make, ask, ask_text, send

# The samples of the page, reduced to what is compared: the order of the keys
V205_SUMMARY = (
    "Elapsed,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,Accepted,Rejected,Total MH,Temperature,freq_avg,Fan Speed In,"
    "Fan Speed Out,Power,Power Rate,Pool Rejected%,Pool Stale%,Uptime,Target Freq,Target MHS,Env Temp,Power Mode,"
    "Factory GHS,Power Limit,Chip Temp Min,Chip Temp Max,Chip Temp Avg,Btminer Fast Boot,Upfreq Complete"
)
V204_SUMMARY = (
    "Elapsed,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,Accepted,Rejected,Total MH,Temperature,freq_avg,Fan Speed In,"
    "Fan Speed Out,Power,Power Rate,Pool Rejected%,Pool Stale%,Last getwork,Uptime,Security Mode,Hash Stable,"
    "Hash Stable Cost Seconds,Hash Deviation%,Target Freq,Target MHS,Env Temp,Power Mode,Factory GHS,Power Limit,"
    "Chip Temp Min,Chip Temp Max,Chip Temp Avg,Debug,Btminer Fast Boot"
)
V2C_SUMMARY = (
    "Elapsed,MHS av,MHS 1m,MHS 15m,HS RT,freq_avg,Fan Speed In,Fan Speed Out,Power,Power Rate,Pool Rejected%,Uptime,"
    "Hash Stable,Hash Stable Cost Seconds,Target Freq,Env Temp,Power Mode,Factory GHS,Power Limit,Chip Temp Min,"
    "Chip Temp Max,Chip Temp Avg,Debug,Btminer Fast Boot"
)
V1_SUMMARY = (
    "Accepted,Best Share,CB Platform,CB Version,Chip Data,Chip Temp Avg,Chip Temp Max,Chip Temp Min,Device Hardware%,"
    "Device Rejected%,Difficulty Accepted,Difficulty Rejected,Difficulty Stale,Discarded,Elapsed,Error Code 0,"
    "Error Code 1,Error Code Count,Factory Error Code Count,Factory GHS,Fan Speed In,Fan Speed Out,Firmware Version,"
    "Found Blocks,Get Failures,Getworks,HS RT,Hardware Errors,Hash Deviation%,Hash Stable,Hash Stable Cost Seconds,"
    "Last getwork,Liquid Cooling,Local Work,MAC,MHS 15m,MHS 1m,MHS 5m,MHS 5s,MHS av,Network Blocks,Pool Rejected%,"
    "Pool Stale%,Power,Power Current,Power Fanspeed,Power Limit,Power Mode,Power_RT,Rejected,Remote Failures,"
    "Security Mode,Stale,Target Freq,Target MHS,Temperature,Total MH,Uptime,Utility,Voltage,Work Utility,freq_avg"
)
V1_POOL = (
    "Accepted,Bad Work,Best Share,Current Block Height,Current Block Version,Diff1 Shares,Difficulty Accepted,"
    "Difficulty Rejected,Difficulty Stale,Discarded,Get Failures,Getworks,Has GBT,Has Stratum,Last Share Difficulty,"
    "Last Share Time,Long Poll,POOL,Pool Rejected%,Pool Stale%,Priority,Proxy,Proxy Type,Quota,Rejected,"
    "Remote Failures,Stale,Status,Stratum Active,Stratum Difficulty,Stratum URL,URL,User,Work Difficulty,Works"
)
V2_POOL = (
    "POOL,URL,Status,Priority,Quota,Long Poll,Getworks,Accepted,Rejected,Works,Discarded,Stale,Get Failures,"
    "Remote Failures,User,Last Share Time,Diff1 Shares,Proxy Type,Proxy,Difficulty Accepted,Difficulty Rejected,"
    "Difficulty Stale,Last Share Difficulty,Work Difficulty,Has Stratum,Stratum Active,Stratum URL,"
    "Stratum Difficulty,Best Share,Pool Rejected%,Pool Stale%,Bad Work,Current Block Height,Current Block Version"
)
V2C_POOL = (
    "POOL,URL,Status,Priority,Quota,Getworks,Accepted,Rejected,Discarded,Stale,Get Failures,Remote Failures,User,"
    "Last Share Time,Stratum Active,Stratum Difficulty,Pool Rejected%,Pool Stale%,Bad Work,To Remove"
)
V1_BOARD = (
    "ASC,Accepted,Chip Frequency,Chip Temp Avg,Chip Temp Max,Chip Temp Min,Device Elapsed,Device Hardware%,"
    "Device Rejected%,Diff1 Work,Difficulty Accepted,Difficulty Rejected,Effective Chips,Enabled,Fan Speed In,"
    "Fan Speed Out,Hardware Errors,ID,Last Share Difficulty,Last Share Pool,Last Share Time,Last Valid Work,MHS 15m,"
    "MHS 1m,MHS 5m,MHS 5s,MHS av,Name,PCB SN,Rejected,Slot,Status,Temperature,Total MH,Upfreq Complete,Utility"
)
V204_BOARD = (
    "ASC,Slot,Enabled,Status,Temperature,Chip Frequency,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,HS Factory,Accepted,"
    "Rejected,Last Valid Work,Upfreq Complete,Effective Chips,PCB SN,Chip Data,Chip Temp Min,Chip Temp Max,"
    "Chip Temp Avg,chip_vol_diff"
)
V205_BOARD = (
    "ASC,Slot,Enabled,Status,Temperature,Chip Frequency,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,Factory GHS,"
    "Upfreq Complete,Effective Chips,PCB SN,Chip Data,Chip Temp Min,Chip Temp Max,Chip Temp Avg,chip_vol_diff"
)
V2C_BOARD = (
    "Slot,Temperature,Chip Frequency,MHS av,MHS 1m,MHS 15m,HS RT,Factory GHS,Upfreq Complete,Effective Chips,PCB SN,"
    "Chip Data"
)
PSU_2022 = "name,hw_version,sw_version,model,iin,vin,fan_speed,version,serial_no,vender"
PSU_2023 = "name,hw_version,sw_version,model,enable,iin,vin,pin,fan_speed,serial_no,vendor,temp0"
INFO = "ip,proto,netmask,gateway,dns,hostname,mac,ledstat,minersn,powersn"


def keys(row: dict[str, Any], *, in_order: bool = True) -> str:
    """Return the keys as one text."""
    return ",".join(row if in_order else sorted(row))


@pytest.mark.parametrize("profile", PROFILES)
async def test_every_answer_is_compact_json(make: Make, profile: str) -> None:
    """If it failed: clients would be tested with bytes that no miner sends."""
    miner = await make(profile)
    commands = [
        "summary",
        "pools",
        "devs",
        "edevs",
        "devdetails",
        "get_psu",
        "get_version",
        "status",
        "get_miner_info",
    ]
    for command in commands:
        text = await ask_text(miner, command)
        assert text.endswith(miner.profile.terminator.decode())
        strings_out = re.sub(r'"[^"]*"', '""', text.strip("\0\n"))
        assert " " not in strings_out, command
        assert "\n" not in strings_out, command
        answer = json.loads(text.strip("\0\n"))
        if isinstance(answer["STATUS"], str):
            assert keys(answer) == "STATUS,When,Code,Msg,Description"
            assert answer["When"] == EPOCH


@pytest.mark.parametrize(
    ("profile", "summary", "pool", "board"),
    [
        ("v204_m30sp", V204_SUMMARY, V2_POOL, V204_BOARD),
        ("v205_m50", V205_SUMMARY, V2_POOL, V205_BOARD),
        ("v205_m56s", V205_SUMMARY, V2_POOL, V205_BOARD.removeprefix("ASC,")),
    ],
)
async def test_v2_lists_have_the_keys_of_the_page(
    make: Make, profile: str, summary: str, pool: str, board: str
) -> None:
    """If it failed: the simulator would have fields that 2.0.x lacks, or lack fields that it has."""
    miner = await make(profile)
    answer = await ask(miner, "summary")
    assert answer["STATUS"] == [{"STATUS": "S", "Msg": "Summary"}]
    assert keys(answer["SUMMARY"][0]) == summary
    assert ("id" in answer) == (profile != "v204_m30sp")
    assert keys((await ask(miner, "pools"))["POOLS"][0]) == pool
    devs = await ask(miner, "devs")
    assert devs == await ask(miner, "edevs")
    assert [keys(row) for row in devs["DEVS"]] == [board] * miner.profile.boards
    assert devs["STATUS"][0]["Msg"] == f"{miner.profile.boards} ASC(s)"


async def test_v1_lists_have_the_keys_of_the_page(make: Make) -> None:
    """If it failed: old miners would be tested with fields that they lack. Their order is unknown."""
    miner = await make("v1_m20s")
    miner.set_errors([110, 600])
    summary = await ask(miner, "summary")
    assert keys(summary["STATUS"][0]) == "STATUS,When,Code,Msg,Description"
    assert keys(summary["SUMMARY"][0], in_order=False) == V1_SUMMARY
    assert summary["SUMMARY"][0]["Firmware Version"] == "'20210322.22.REL'"
    assert (
        summary["SUMMARY"][0]["Error Code 0"],
        summary["SUMMARY"][0]["Error Code 1"],
    ) == (110, 600)
    pools = (await ask(miner, "pools"))["POOLS"]
    assert [row["POOL"] for row in pools] == [1, 2, 3]
    assert [row["Stratum Active"] for row in pools] == [True, False, False]
    assert keys(pools[0], in_order=False) == V1_POOL
    assert keys((await ask(miner, "devs"))["DEVS"][0], in_order=False) == V1_BOARD
    assert (await ask(miner, "get_version"))["Description"] == "whatsminer v1.4.0"
    miner.set_errors([])
    assert "Error Code 0" not in (await ask(miner, "summary"))["SUMMARY"][0]


async def test_v2c_has_the_shapes_of_the_page(make: Make) -> None:
    """If it failed: most current miners would be tested with the wrong dialect."""
    miner = await make("v2c_m60s")
    summary = await ask(miner, "summary")
    assert (summary["STATUS"], summary["Code"]) == ("S", 131)
    assert keys(summary["Msg"]) == V2C_SUMMARY
    assert summary["Msg"]["Hash Stable"] == "true"
    assert summary["Msg"]["HS RT"] == summary["Msg"]["MHS 1m"]
    pools = await ask(miner, "pools")
    assert keys(pools["POOLS"][0]) == V2C_POOL
    boards = (await ask(miner, "edevs"))["DEVS"]
    assert [keys(row) for row in boards] == [V2C_BOARD] * 3
    assert sum(row["MHS av"] for row in boards) == pytest.approx(
        summary["Msg"]["MHS av"] / 1e6, abs=0.02
    )
    devs = await ask(miner, "devs")
    assert (devs["Code"], devs["Msg"]) == (132, "API btminer unknow err")
    details = await ask(miner, "devdetails")
    assert (details["Code"], details["Msg"]) == (132, "This command is deprecated.")
    assert (await ask(miner, "get_version"))["Msg"]["miner_type"] == "M60S_VK40"


async def test_number_formats(make: Make, clock: ManualClock) -> None:
    """If it failed: parsers would not be tested with `80.00` and with 17 digits of 32-bit rounding."""
    text = await ask_text(await make("v205_m50"), "summary")
    assert re.search(r'"MHS av":\d+\.\d\d,', text)
    assert re.search(r'"Total MH":\d+\.\d{4},', text)
    assert re.search(r'"Temperature":\d+\.\d\d,', text)
    assert re.search(r'"Pool Rejected%":\d\.\d{4},', text)
    assert re.search(
        r'"Stratum Difficulty":131072\.00000000,', await ask_text(await make(), "pools")
    )
    miner = await make("v2c_m60s")
    clock.advance(0.01)
    text = await ask_text(miner, "summary")
    assert '"Elapsed":86412.0078125,' in text
    assert re.search(r'"MHS av":\d+,', text)
    assert re.search(r'"freq_avg":\d+\.\d{10,},', text)
    power = json.loads(text)["Msg"]["Power"] * 300
    assert power == pytest.approx(round(power), abs=1e-6)


async def test_power_supply(make: Make) -> None:
    """If it failed: mA, 10 mV and both spellings of vendor would not be tested."""
    v1 = await ask(await make("v1_m20s"), "get_psu")
    assert v1["Msg"] == {
        "name": "P21",
        "hw_version": "",
        "sw_version": "102220.009",
        "model": "P21-12-3600-E",
    }
    v204 = (await ask(await make("v204_m30sp"), "get_psu"))["Msg"]
    assert keys(v204) == PSU_2022
    for profile in ("v205_m50", "v205_m56s", "v2c_m60s"):
        miner = await make(profile)
        reported = (await ask(miner, "get_psu"))["Msg"]
        truth = miner.truth().psu
        assert keys(reported) == PSU_2023
        assert all(isinstance(value, str) for value in reported.values())
        assert truth.input_voltage_v
        assert int(reported["vin"]) / 100 == pytest.approx(
            truth.input_voltage_v, abs=0.01
        )
        lines = 3**0.5 if profile == "v205_m56s" else 1
        assert int(
            reported["iin"]
        ) / 1000 * truth.input_voltage_v * lines == pytest.approx(
            int(reported["pin"]), rel=1e-3
        )


STATUS = {
    "v1_m20s": {"btmineroff": "false", "Firmware Version": "'20210322.22.REL'"},
    "v204_m30sp": {"btmineroff": "false", "Firmware Version": "20220125.13.Rel"},
    "v205_m50": {
        "mineroff": "false",
        "mineroff_reason": "",
        "mineroff_time": "",
        "FirmwareVersion": "20230803.11.REL",
        "power_mode": "",
        "hash_percent": "",
    },
    "v205_m56s": {
        "mineroff": "false",
        "mineroff_reason": "",
        "mineroff_time": "",
        "FirmwareVersion": "20240924.14.Rel",
        "power_mode": "normal",
        "power_limit_set": "",
        "hash_percent": "0",
    },
    "v2c_m60s": {
        "mineroff": "false",
        "mineroff_reason": "",
        "mineroff_time": "",
        "FirmwareVersion": "20251016.14.Rel2",
        "power_mode": "normal",
        "power_limit_set": "2147483647",
        "hash_percent": "0",
        "fast_mining": "false",
        "fast_hash": "false",
        "power_pct": 100,
    },
    "v3_m7bs": {
        "mineroff": "false",
        "mineroff_reason": "",
        "mineroff_time": "",
        "FirmwareVersion": "20260312.16.REL3",
        "power_mode": "high",
        "power_limit_set": "10030",
        "hash_percent": "0",
        "fast_mining": "false",
        "fast_hash": "false",
        "liquid_temp": 49,
        "power_pct": 120,
    },
    "v3_m64_bad": {
        "mineroff": "false",
        "mineroff_reason": "",
        "mineroff_time": "",
        "FirmwareVersion": "20250409.15.REL",
        "power_mode": "",
        "power_limit_set": "2147483647",
        "hash_percent": "",
    },
}


@pytest.mark.parametrize(("profile", "status"), STATUS.items())
async def test_status(make: Make, profile: str, status: dict[str, Any]) -> None:
    """If it failed: the mining state would be in another field than on real miners."""
    answer = await ask(await make(profile), "status")
    assert list(answer["Msg"].items()) == list(status.items())


async def test_errors(make: Make) -> None:
    """If it failed: the invalid list of 2.0.4 would not be tested."""
    miner = await make("v205_m50")
    assert (await ask(miner, "get_error_code"))["Msg"] == {"error_code": []}
    miner.set_errors([218, 110])
    assert (await ask(miner, "get_error_code"))["Msg"] == {
        "error_code": [{"218": "2023-11-15 06:13:20"}, {"110": "2023-11-15 06:13:20"}]
    }
    assert miner.truth().error_codes == (218, 110)
    miner = await make("v204_m30sp")
    assert (await ask(miner, "get_error_code"))["Msg"] == {"error_code": []}
    miner.set_errors([329])
    text = await ask_text(miner, "get_error_code")
    assert '"Msg":{"error_code":["329":"2023-11-15 06:13:20"]}' in text


async def test_miner_info(make: Make) -> None:
    """If it failed: MAC, lights and serials would be tested with an answer that no miner sends."""
    miner = await make("v205_m50")
    assert keys((await ask(miner, "get_miner_info"))["Msg"]) == INFO
    some = await ask(miner, "get_miner_info", info="mac,ledstat,unknown")
    assert some["Msg"] == {"mac": miner.mac, "ledstat": "auto"}
    some = await ask(await make("v204_m30sp"), "get_miner_info", info="mac")
    assert keys(some["Msg"]) == INFO
    miner = await make("v2c_m60s")
    some = await ask(miner, "get_miner_info", info=INFO)
    assert keys(some["Msg"]) == INFO + ",upfreq_speed"
    assert "ntp" in (await ask(miner, "get_miner_info"))["Msg"]


async def test_joined_commands(make: Make) -> None:
    """If it failed: joined commands would not be tested with truncated or broken answers."""
    miner = await make("v205_m50")
    joined = await ask(miner, "summary+pools")
    assert joined["summary"] == [await ask(miner, "summary")]
    assert joined["pools"] == [await ask(miner, "pools")]
    assert joined["id"] == 1
    assert (await ask(miner, "summary+get_psu"))["Msg"] == "command join err"
    assert (await ask(miner, "summary+coffee"))["Code"] == 14
    text = await ask_text(await make("v204_m30sp"), "devs+summary")
    assert '"DEVS":[,{' in text
    assert "}{" in text
    miner = await make("v2c_m60s")
    joined = await ask(miner, "summary+edevs+devdetails")
    assert keys(joined["summary"][0]["SUMMARY"][0]) == "Elapsed,MHS av,Uptime,Power"
    assert joined["edevs"] == [await ask(miner, "edevs")]
    assert joined["devdetails"][0]["Code"] == 132
    assert "summary" not in await ask(miner, "edevs+pools")


async def test_cmd_and_command(make: Make) -> None:
    """If it failed: one of the two request keys in use would stay untested."""
    miner = await make("v1_m20s")
    refused = await ask(miner, "summary+pools")
    assert refused["STATUS"][0]["Msg"] == "Missing JSON 'command'"
    assert refused["STATUS"][0]["Code"] == 24
    raw = await send(miner, b'{"command":"summary+pools"}')
    assert set(json.loads(raw.rstrip(b"\0"))) == {"summary", "pools", "id"}
    raw = await send(miner, b'{"command":"status"}')
    assert json.loads(raw.rstrip(b"\0"))["STATUS"] == "S"
    assert miner.commands[-1].name == "status"
    assert (await ask(await make(), ""))["Msg"] == "invalid cmd"


@pytest.mark.parametrize("profile", PROFILES)
async def test_unknown_commands(make: Make, profile: str) -> None:
    """If it failed: a client that treats any cgminer as a WhatsMiner would not be noticed."""
    miner = await make(profile)
    for command in ("version", "coin", "make_coffee"):
        answer = await ask(miner, command)
        assert (answer["STATUS"], answer["Code"], answer["Msg"]) == (
            "E",
            14,
            "invalid cmd",
        )
    if profile == "v1_m20s":
        assert (await ask(miner, "get_miner_info"))["Code"] == 14
        assert (await ask(miner, "get_error_code"))["Code"] == 14


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seconds", [0, 777])
async def test_truth_is_what_the_wire_tells(
    make: Make, clock: ManualClock, profile: str, seconds: float
) -> None:
    """If it failed: every test that compares an entity with the truth would be worthless."""
    miner = await make(profile, state="upfreq" if seconds else "stable")
    clock.advance(seconds)
    truth = miner.truth()
    answer = await ask(miner, "summary")
    reported = answer["Msg"] if "Msg" in answer else answer["SUMMARY"][0]
    pairs = {
        "MHS av": truth.hashrate_average_ths,
        "MHS 5s": truth.hashrate_5s_ths,
        "MHS 1m": truth.hashrate_1m_ths,
        "MHS 5m": truth.hashrate_5m_ths,
        "MHS 15m": truth.hashrate_15m_ths,
        "HS RT": truth.hashrate_ths,
        "Target MHS": truth.hashrate_target_ths,
    }
    for key, value in pairs.items():
        assert (value is None) == (key not in reported), key
        if value is not None:
            assert reported[key] / 1e6 == pytest.approx(value, rel=1e-6), key
    pairs = {
        "Power": truth.power_w,
        "Power Rate": truth.power_rate_jth,
        "Power Limit": truth.power_limit_w,
        "Elapsed": truth.elapsed_s,
        "Uptime": truth.uptime_s,
        "Temperature": truth.temperature_c,
        "Env Temp": truth.environment_temperature_c,
        "Chip Temp Avg": truth.chip_temperature_avg_c,
        "Fan Speed In": truth.fan_speed_in_rpm,
        "freq_avg": truth.frequency_average_mhz,
        "Target Freq": truth.frequency_target_mhz,
        "Pool Rejected%": truth.reject_rate_percent,
    }
    if miner.profile.dialect == "v2c":
        pairs["Pool Rejected%"] = truth.reject_rate_percent / 100
    assert reported["Pool Rejected%"] == pytest.approx(
        pairs["Pool Rejected%"], abs=1e-4
    )
    for key, value in pairs.items():
        assert (value is None) == (key not in reported), key
        if value is not None:
            assert reported[key] == pytest.approx(value, abs=0.51), key
    boards = (await ask(miner, "edevs"))["DEVS"]
    unit = 1 if miner.profile.dialect == "v2c" else 1e6
    for row, board in zip(boards, truth.boards, strict=True):
        assert row["Slot"] == board.slot
        assert row.get("HS RT", row.get("MHS 5m")) / unit == pytest.approx(
            board.hashrate_ths, abs=0.006
        )
        assert row["Temperature"] == pytest.approx(board.temperature_c, abs=0.006)
        assert row["Effective Chips"] == board.chips
        assert row["Chip Frequency"] == pytest.approx(board.frequency_mhz, abs=0.51)
        assert ("Chip Temp Avg" in row) == (board.chip_temperature_avg_c is not None)
    rows = (await ask(miner, "pools"))["POOLS"]
    assert [row["URL"] for row in rows] == [pool.url for pool in truth.pools]
    assert sum(row["Accepted"] for row in rows) == truth.accepted_shares


async def test_board_that_is_gone(make: Make) -> None:
    """If it failed: a miner with a dead board could not be tested."""
    miner = await make("v205_m50")
    before = miner.truth().hashrate_ths
    miner.set_board_count(2)
    assert len((await ask(miner, "edevs"))["DEVS"]) == len(miner.truth().boards) == 2
    assert miner.truth().hashrate_ths == pytest.approx(before, rel=0.02)
    miner.set_board_count(0)
    assert (await ask(miner, "devs"))["DEVS"] == []
    assert (await ask(miner, "summary"))["SUMMARY"][0]["MHS av"] == 0


def test_mac_follows_the_seed() -> None:
    """If it failed: several miners in one process would be one device in Home Assistant."""
    macs = {SimulatedMiner("v205_m50", seed=seed).mac for seed in range(1, 300)}
    assert len(macs) == 299
    assert "CA:01:14:00:04:EB" in macs
    assert (
        SimulatedMiner("v205_m50", mac="ca:01:14:00:00:01").mac == "CA:01:14:00:00:01"
    )


def test_unknown_profile() -> None:
    """If it failed: a typing error would print a traceback instead of the choices."""
    with pytest.raises(ValueError, match="v205_m50"):
        SimulatedMiner("v9_m99")

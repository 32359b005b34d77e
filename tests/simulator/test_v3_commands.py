"""Writes on 4433 take effect, and are read back as the page says (protocol.md#e6)."""

import json
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, Phase
from simulator.api_v3 import REFUSALS
from simulator.commands_v3 import WRITES

from .conftest import EPOCH, V3, Connect, Make, Writer, ask

OK = (0, "ok")
NULL = (-3, "param item is null")
M60S, M7BS, M64 = V3_PROFILES = ("v2c_m60s", "v3_m7bs", "v3_m64_bad")
# This keeps the connection open: test_binary.py
UPDATE = "set.system.update_firmware"


def test_which_profiles_speak_v3() -> None:
    """If it failed: firmware without API v3 would have it, or firmware with API v3 would lack it."""
    assert {
        name: profile.v3.api_version for name, profile in PROFILES.items() if profile.v3
    } == {M60S: "3.0.2", M7BS: "3.0.5", M64: "3.0.1"}


@pytest.mark.parametrize("profile", V3_PROFILES)
async def test_stop_and_start(
    make: Make, v3: Connect, clock: ManualClock, profile: str
) -> None:
    """If it failed: the mining switch would be tested on a miner that stops in another way."""
    miner = await make(profile)
    client = await v3(miner)
    before = miner.v3_truth()
    assert await client.write("set.miner.service", "stop") == OK
    clock.advance(2)
    assert not miner.truth().mining
    assert (await ask(miner, "status"))["Msg"]["mineroff"] == "true"
    assert (await client.read("get.device.info"))["miner"]["working"] == "false"
    clock.advance(5)
    assert miner.v3_truth().power_realtime_w < 30
    assert miner.v3_truth().power_5min_w > 1000
    clock.advance(9)
    assert miner.v3_truth().hashrate_ths == 0
    assert (await ask(miner, "summary"))["Msg"]["HS RT"] == 0
    clock.advance(400)
    # It holds, on every firmware
    summary = (await client.read("get.miner.status", "summary"))["summary"]
    assert summary["hash-realtime"] == 0
    assert summary["elapsed"] == before.elapsed_s + 416
    assert summary["power-5min"] == pytest.approx(15, abs=1)
    assert (await ask(miner, "status"))["Msg"]["mineroff_reason"] == "by whatsminer api"
    assert await client.write("set.miner.service", "start") == OK
    assert miner.truth().mining
    clock.advance(13)
    assert miner.v3_truth().phase is Phase.UPFREQ
    clock.advance(7)
    summary = (await client.read("get.miner.status", "summary"))["summary"]
    assert summary["hash-realtime"] > 0
    assert summary["up-freq-finish"] == 0
    assert summary["elapsed"] == before.elapsed_s + 436


async def test_power_off_of_one_firmware_does_not_hold(
    make: Make, v3: Connect, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a stop over 4028 that the firmware undoes could not be tested."""
    miner = await make(M64)
    owner = writer(miner)
    assert (await owner("power_off"))["Code"] == 131
    clock.advance(170)
    assert not miner.truth().mining
    clock.advance(15)
    assert miner.truth().phase is Phase.BTMINER_DOWN
    clock.advance(60)
    assert miner.truth().phase is Phase.UPFREQ
    # A stop over 4433 holds, even one that only confirms the other
    await owner.authorize()
    await owner("power_off")
    clock.advance(60)
    await miner.tick()
    assert await (await v3(miner)).write("set.miner.service", "stop") == OK
    clock.advance(3600)
    assert not miner.truth().mining
    # Nor does another one over 4028 undo it
    await owner.authorize()
    await owner("power_off")
    clock.advance(3600)
    assert not miner.truth().mining


async def test_start_takes_back_a_stop(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: the first of two quick commands would win."""
    miner = await make(M60S)
    client = await v3(miner)
    await client.write("set.miner.service", "stop")
    await client.write("set.miner.service", "start")
    clock.advance(10)
    assert miner.truth().phase is Phase.STABLE


@pytest.mark.parametrize("profile", [M60S, M64])
async def test_restart(
    make: Make, v3: Connect, clock: ManualClock, profile: str
) -> None:
    """If it failed: a port that refuses connections for a while could not be tested."""
    miner = await make(profile)
    client = await v3(miner)
    assert await client.write("set.miner.service", "restart") == OK
    clock.advance(3)
    await miner.tick()
    assert miner.truth().phase is Phase.BTMINER_DOWN
    assert (await ask(miner, "status"))["Msg"]["mineroff"] == "false"
    if profile == M64:
        assert await client.ended()
        with pytest.raises(ConnectionRefusedError):
            await v3(miner)
    else:
        assert (await client.ask("get.miner.status", "summary"))["code"] == -1
    clock.advance(10)
    await miner.tick()
    client = await v3(miner)
    assert (await client.read("get.miner.status", "summary"))["summary"]["elapsed"] == 2


@pytest.mark.parametrize("profile", V3_PROFILES)
async def test_reboot(
    make: Make, v3: Connect, clock: ManualClock, profile: str
) -> None:
    """If it failed: two closed ports could not be tested."""
    miner = await make(profile)
    client = await v3(miner)
    assert await client.write("set.system.reboot") == OK
    clock.advance(2)
    await miner.tick()
    assert await client.ended()
    with pytest.raises(ConnectionRefusedError):
        await v3(miner)
    with pytest.raises(ConnectionRefusedError):
        await ask(miner, "status")
    clock.advance(60)
    await miner.tick()
    assert (await ask(miner, "status"))["STATUS"] == "S"
    clock.advance(27)
    await miner.tick()
    summary = await (await v3(miner)).read("get.miner.status", "summary")
    assert summary["summary"]["bootup-time"] - summary["summary"]["elapsed"] == 27


async def test_start_at_boot(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a miner that stays off after a reboot could not be tested."""
    miner = await make(M60S)
    client = await v3(miner)
    assert await client.write("set.miner.service", "disable") == OK
    clock.advance(5)
    assert miner.truth().mining
    await client.write("set.system.reboot")
    clock.advance(200)
    assert not miner.truth().mining
    await miner.tick()
    client = await v3(miner)
    assert await client.write("set.miner.service", "enable") == OK
    assert await client.write("set.miner.service", "start") == OK
    assert miner.truth().mining
    await client.write("set.system.reboot")
    clock.advance(200)
    assert miner.truth().mining


@pytest.mark.parametrize("profile", V3_PROFILES)
async def test_power_mode(
    make: Make, v3: Connect, clock: ManualClock, profile: str
) -> None:
    """If it failed: the select of the power mode would be tested on a miner without modes."""
    miner = await make(profile)
    for mode, code, share in (
        ("low", "0", 0.75),
        ("high", "2", 1.1),
        ("normal", "1", 1),
    ):
        client = await v3(miner)
        assert await client.write("set.miner.power_mode", mode) == OK
        clock.advance(2)
        assert miner.truth().phase in (Phase.BTMINER_DOWN, Phase.STABLE)
        clock.advance(1700)
        await miner.tick()
        client = await v3(miner)
        assert (await client.read("get.miner.setting"))["power-mode"] == mode
        assert (await client.read("get.device.info"))["power"]["mode"] == code
        assert (await ask(miner, "status"))["Msg"]["power_mode"] == mode
        assert miner.v3_truth().power_realtime_w == pytest.approx(
            miner.profile.power_w * share, rel=0.02
        )


@pytest.mark.parametrize("profile", V3_PROFILES)
@pytest.mark.parametrize("kind", [int, str, float])
async def test_power_limit(
    make: Make, v3: Connect, clock: ManualClock, profile: str, kind: type
) -> None:
    """If it failed: the number for the power limit would be tested on a miner that ignores it."""
    miner = await make(profile)
    client = await v3(miner)
    assert await client.write("set.miner.power_limit", kind(2500)) == OK
    clock.advance(2)
    assert miner.truth().phase is Phase.BTMINER_DOWN
    clock.advance(3000)
    await miner.tick()
    client = await v3(miner)
    summary = (await client.read("get.miner.status", "summary"))["summary"]
    assert summary["power-limit"] == 2500
    assert summary["power-realtime"] == pytest.approx(2500, rel=0.02)
    assert (await client.read("get.miner.setting"))["power-limit"] == 2500
    assert (await client.read("get.device.info"))["miner"]["power-limit-set"] == "2500"
    assert (await ask(miner, "status"))["Msg"]["power_limit_set"] == "2500"
    assert miner.v3_truth().power_limit_set_w == 2500
    assert await client.write("set.miner.power_limit", 99999) == OK
    assert miner.v3_truth().power_limit_set_w is None
    reported = await client.read("get.device.info")
    assert reported["miner"]["power-limit-set"] == ""


@pytest.mark.parametrize("profile", V3_PROFILES)
@pytest.mark.parametrize(("mode", "seconds"), [("fast", 4), ("normal", 185)])
async def test_power_percent(
    make: Make, v3: Connect, clock: ManualClock, profile: str, mode: str, seconds: int
) -> None:
    """If it failed: solar control would be tested on a miner that does not react."""
    miner = await make(profile)
    client = await v3(miner)
    full = miner.v3_truth().power_w * 100 / miner.profile.power_percent
    param = {"percent": "60", "mode": mode}
    elapsed = miner.truth().elapsed_s
    assert await client.write("set.miner.power_percent", param) == OK
    clock.advance(seconds)
    assert miner.v3_truth().power_w == pytest.approx(full * 0.6, rel=0.02)
    assert (await client.read("get.miner.setting"))["power-percent"] == 60
    assert miner.v3_truth().power_percent == 60
    assert miner.truth().elapsed_s > elapsed
    param = {"percent": "100", "mode": "fast"}
    assert await client.write("set.miner.power_percent", json.dumps(param)) == OK
    clock.advance(5)
    assert (await client.read("get.miner.setting"))["power-percent"] == 100
    await client.write("set.miner.service", "restart")
    clock.advance(14)
    await miner.tick()
    setting = await (await v3(miner)).read("get.miner.setting")
    assert setting["power-percent"] == 0


@pytest.mark.parametrize(
    ("profile", "read"), [(M60S, True), (M7BS, False), (M64, True)]
)
async def test_percent_as_a_number(
    make: Make, v3: Connect, profile: str, read: bool
) -> None:
    """If it failed: firmware that accepts no number here could not be tested."""
    miner = await make(profile)
    before = miner.machine.power_percent
    answer = await (await v3(miner)).write(
        "set.miner.power_percent", {"percent": 70, "mode": "fast"}
    )
    assert answer == (OK if read else NULL)
    assert miner.machine.power_percent == (70 if read else before)


async def test_percent_needs_a_tuned_miner(make: Make, v3: Connect) -> None:
    """If it failed: an acknowledged write without effect could not be tested."""
    miner = await make(M60S, state="upfreq")
    param = {"percent": "70", "mode": "fast"}
    assert await (await v3(miner)).write("set.miner.power_percent", param) == OK
    assert miner.v3_truth().power_percent is None


async def test_percent_of_the_two_ports(
    make: Make, v3: Connect, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a setting of one port would not be visible on the other."""
    miner = await make(M7BS)
    client = await v3(miner)
    assert (await writer(miner)("set_power_pct", percent="150"))["Code"] == 131
    assert (await client.read("get.miner.setting"))["power-percent"] == 150
    assert (await ask(miner, "status"))["Msg"]["power_pct"] == 150
    assert (await writer(miner)("restore_power_pct"))["Code"] == 131
    assert (await client.read("get.miner.setting"))["power-percent"] == 0
    assert (await ask(miner, "status"))["Msg"]["power_pct"] == 100


async def test_gentle_percent_on_air_needs_another_mode_than_high(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: the documented refusal could not be tested."""
    miner = await make(M60S)
    client = await v3(miner)
    await client.write("set.miner.power_mode", "high")
    clock.advance(1700)
    param = {"percent": "80", "mode": "normal"}
    assert (await client.write("set.miner.power_percent", param))[0] == -1
    assert await client.write("set.miner.power_percent", param | {"mode": "fast"}) == OK


async def test_power(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a power in watts would not take effect immediately, or not at the next start."""
    miner = await make(M7BS)
    client = await v3(miner)
    assert await client.write("set.miner.power", 5000) == OK
    clock.advance(5)
    # The percentage refers to the tuned power
    assert miner.v3_truth().power_w == pytest.approx(6000, rel=0.02)
    assert (await client.read("get.miner.setting"))["power"] == 5000
    await client.write("set.miner.service", "stop")
    clock.advance(5)
    assert await client.write("set.miner.power", "4000") == OK
    await client.write("set.miner.service", "start")
    clock.advance(3000)
    assert miner.v3_truth().power_w == pytest.approx(4000, rel=0.02)
    assert await client.write("set.miner.power", 0) == OK
    clock.advance(5)
    assert miner.v3_truth().power_w == pytest.approx(7396 * 1.1, rel=0.02)


@pytest.mark.parametrize(("profile", "up"), [(M60S, False), (M7BS, True)])
async def test_target_freq(
    make: Make, v3: Connect, clock: ManualClock, profile: str, up: bool
) -> None:
    """If it failed: an offset of the frequency would be stored and have no effect."""
    miner = await make(profile)
    client = await v3(miner)
    before = miner.machine.tuned_share()
    assert await client.write("set.miner.target_freq", -20) == OK
    assert await client.write("set.miner.target_freq", -20) == OK
    clock.advance(2)
    assert miner.truth().phase is Phase.BTMINER_DOWN
    clock.advance(3000)
    assert (await client.read("get.miner.setting"))["target-freq"] == -20
    assert (await client.read("get.device.info"))["miner"]["hash-percent"] == "-20"
    assert (await ask(miner, "status"))["Msg"]["hash_percent"] == "-20"
    assert miner.v3_truth().target_freq_percent == -20
    assert miner.machine.tuned_share() == pytest.approx(before * 0.8**0.8, rel=0.01)
    answer = await client.write("set.miner.target_freq", 20)
    assert answer == (OK if up else (-2, "invalid param: 20"))


async def test_tuning_settings(make: Make, v3: Connect) -> None:
    """If it failed: a setting would be acknowledged without effect."""
    miner = await make(M7BS)
    client = await v3(miner)
    for cmd, param in (
        ("set.miner.upfreq_speed", 10),
        ("set.miner.fastboot", "enable"),
        ("set.miner.fast_hash", 1),
        ("set.miner.heat_mode", "anti-icing"),
    ):
        assert await client.write(cmd, param) == OK
    setting = await client.read("get.miner.setting")
    assert setting["upfreq-speed"] == 10
    assert setting["fast-boot"] == setting["fast-hash"] == "enable"
    assert setting["heat-mode"] == "anti-freezing"
    reported = (await client.read("get.device.info"))["miner"]
    assert (reported["UpfreqSpeed"], reported["fast-boot"], reported["heatmode"]) == (
        "10",
        "enable",
        "anti-freezing",
    )
    assert (await ask(miner, "get_miner_info"))["Msg"]["upfreq_speed"] == "10"
    assert (await ask(miner, "summary"))["Msg"]["Btminer Fast Boot"] == "enable"
    assert (await ask(miner, "status"))["Msg"]["fast_hash"] == "true"
    truth = miner.v3_truth()
    assert (truth.upfreq_speed, truth.fast_boot, truth.fast_hash, truth.heat_mode) == (
        10,
        True,
        True,
        "anti-freezing",
    )
    assert await client.write("set.miner.fastboot", "disable") == OK
    assert miner.v3_truth().fast_boot is False


async def test_what_needs_a_liquid_or_air(make: Make, v3: Connect) -> None:
    """If it failed: commands for one kind of cooling would work with the other."""
    air, liquid = await v3(await make(M60S)), await v3(await make(M7BS))
    refused = (-1, "not supported")
    assert await air.write("set.miner.heat_mode", "heating") == refused
    for cmd, key, value in (
        ("set.fan.poweroff_cool", "fan-poweroff-cool", 1),
        ("set.fan.zero_speed", "fan-zero-speed", 1),
        ("set.fan.temp_offset", "fan-temp-offset", -10),
    ):
        assert await liquid.write(cmd, value) == refused
        assert await air.write(cmd, value) == OK
        assert (await air.read("get.fan.setting"))[key] == value


async def test_fast_hash_came_later(make: Make, v3: Connect) -> None:
    """If it failed: firmware would accept a command that it lacks."""
    client = await v3(await make(M64))
    assert await client.write("set.miner.fast_hash", 1) == (-2, "invalid cmd")


async def test_led(make: Make, v3: Connect) -> None:
    """If it failed: the Identify button would be tested on a miner without lights."""
    miner = await make(M7BS)
    client = await v3(miner)
    assert await client.write("set.system.led", "auto") == OK
    assert miner.v3_truth().led_auto is True
    blink = {"period": 200, "duration": 100, "start": 0}
    leds: Any = [{"color": "red"} | blink, {"color": "green"} | blink]
    for param in (leds, json.dumps(leds)):
        assert await client.write("set.system.led", param) == OK
        reported = (await client.read("get.device.info"))["system"]["ledstatus"]
        assert reported == "1,200,100,0 0,200,100,0 "
        assert (await ask(miner, "get_miner_info"))["Msg"]["ledstat"] == reported
    assert await client.write("set.system.led", leds[:1]) == OK
    reported = (await client.read("get.device.info"))["system"]["ledstatus"]
    assert reported == "1,200,100,0 "
    for param, code in (
        ("blink", -3),
        ([], -3),
        ([5], -3),
        ([{"color": "blue"} | blink], -2),
        ([{"color": "red"}], -3),
    ):
        assert (await client.write("set.system.led", param))[0] == code


async def test_pools(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: new pools would be acknowledged, but the old ones used."""
    miner = await make(M60S)
    client = await v3(miner)
    clock.advance(86400)
    pools = [
        {"pool": "stratum+tcp://a.example:1", "worker": "me.a", "passwd": "x"},
        {"pool": "stratum+tcp://b.example:2", "worker": "me.b", "passwd": "x"},
        {"pool": "", "worker": "", "passwd": ""},
    ]
    assert await client.write("set.miner.pools", pools) == NULL
    assert await client.write("set.miner.pools", pools, sealed=True) == OK
    reported = (await client.read("get.miner.status", "pools"))["pools"]
    assert [(row["url"], row["account"]) for row in reported] == [
        ("stratum+tcp://a.example:1", "me.a"),
        ("stratum+tcp://b.example:2", "me.b"),
    ]
    assert [row["stratum-active"] for row in reported] == [True, False]
    rows = (await ask(miner, "pools"))["POOLS"]
    assert [row["URL"] for row in rows] == [row["url"] for row in reported]
    assert [row["Accepted"] for row in rows] == [0, 0]
    assert miner.truth().accepted_shares == 0
    clock.advance(3600)
    assert (await ask(miner, "pools"))["POOLS"][0]["Accepted"] > 20
    assert [pool.user for pool in miner.v3_truth().pools] == ["me.a", "me.b"]
    for wrong, code in (
        ([], -3),
        ("x", -3),
        ([5], -3),
        ([{"pool": "x"}], -3),
        (pools + pools, -2),
    ):
        answer = await client.write("set.miner.pools", wrong, sealed=True)
        assert answer[0] == code


async def test_stored_settings(make: Make, v3: Connect, clock: ManualClock) -> None:
    """If it failed: a setting would be acknowledged without effect."""
    miner = await make(M60S)
    client = await v3(miner)
    upload = {"ip": "192.168.2.133", "port": "9008", "proto": "tcp"}
    for cmd, param in (
        ("set.system.hostname", {"hostname": "garage"}),
        ("set.system.webpools", "disable"),
        ("set.system.timezone", {"timezone": "UTC0", "zonename": "Etc/UTC"}),
        ("set.system.ntp_server", "a.example,b.example"),
        ("set.system.time_randomized", {"start": 10, "stop": "20"}),
        ("set.log.upload", upload),
        ("set.device.custom_data", {"key": "msg3", "value": "rack 7"}),
    ):
        assert await client.write(cmd, param) == OK
    assert await client.read("get.system.setting") == {
        "web-pool": 0,
        "timezone": "UTC0",
        "zonename": "Etc/UTC",
        "hostname": "garage",
        "time-randomized": {"start": 10, "stop": 20},
        "ntp-server": ["a.example", "b.example"],
        "log-upload": upload,
    }
    assert (await client.read("get.device.custom_data"))["msg3"] == "rack 7"
    assert (await client.read("get.device.info"))["miner"]["web-pool"] == 0
    # The name takes effect with the next reboot
    assert miner.v3_truth().hostname == "WhatsMiner"
    miner.machine.reboot()
    clock.advance(100)
    assert miner.v3_truth().hostname == "garage"
    assert (await ask_hostname(miner)) == "garage"


async def ask_hostname(miner: Any) -> str:
    """Return the hostname from 4028."""
    await miner.tick()
    name: str = (await ask(miner, "get_miner_info"))["Msg"]["hostname"]
    return name


@pytest.mark.parametrize(
    ("cmd", "param", "code"),
    [
        ("set.miner.service", "pause", -2),
        ("set.miner.service", None, -3),
        ("set.miner.service", 1, -3),
        ("set.miner.power_mode", "sleep", -2),
        ("set.miner.power_limit", 100000, -2),
        ("set.miner.power_limit", -1, -2),
        ("set.miner.power_limit", "many", -2),
        ("set.miner.power_limit", 2500.5, -3),
        ("set.miner.power_limit", True, -3),
        ("set.miner.power_limit", {"limit": 1}, -3),
        ("set.miner.power_percent", "60", -3),
        ("set.miner.power_percent", "not json", -3),
        ("set.miner.power_percent", {"percent": "60"}, -3),
        ("set.miner.power_percent", {"percent": "101", "mode": "fast"}, -2),
        ("set.miner.power_percent", {"percent": "60", "mode": "slow"}, -2),
        ("set.miner.target_freq", -101, -2),
        ("set.miner.upfreq_speed", 11, -2),
        ("set.miner.fastboot", "yes", -2),
        ("set.miner.fast_hash", 2, -2),
        ("set.miner.report", {"gap": 286}, -2),
        ("set.miner.report", 30, -3),
        ("set.fan.temp_offset", 1, -2),
        ("set.system.hostname", "x", -3),
        ("set.system.ntp_server", ["a"], -3),
        ("set.system.time_randomized", {"start": 1, "stop": 121}, -2),
        ("set.log.upload", {"ip": "a", "port": "1", "proto": "http"}, -2),
        ("set.device.custom_data", {"key": "msg10", "value": "x"}, -2),
        ("set.device.custom_data", {"key": "msg1", "value": "x" * 128}, -2),
    ],
)
async def test_parameters_are_checked(
    make: Make, v3: Connect, clock: ManualClock, cmd: str, param: object, code: int
) -> None:
    """If it failed: values that firmware ignores or refuses would work here."""
    miner = await make(M60S)
    answer = await (await v3(miner)).write(cmd, param)
    assert answer[0] == code
    assert answer[1] == NULL[1] if code == -3 else answer[1].startswith("invalid param")
    clock.advance(5)
    truth = miner.v3_truth()
    assert truth.phase is Phase.STABLE
    assert truth.power_limit_set_w is None
    assert truth.power_percent is None


@pytest.mark.parametrize("profile", V3_PROFILES)
async def test_which_commands_are_known(make: Make, v3: Connect, profile: str) -> None:
    """If it failed: a command would be offered for firmware that answers code -2 to it."""
    miner = await make(profile)
    for cmd in (
        *(WRITES.keys() - {UPDATE}),
        "set.miner.mode",
        "set.shell.debug",
        "get.psu.command",
        "",
    ):
        client = await v3(miner)
        client.send(client.request(cmd))
        answer = json.loads(await client.frame())
        unknown = (answer["code"], answer["msg"]) == (-2, "invalid cmd")
        known = cmd in WRITES and (profile, cmd) != (M64, "set.miner.fast_hash")
        assert unknown != known, cmd
        await client.close()


@pytest.mark.parametrize("code", REFUSALS)
async def test_refused_commands(make: Make, v3: Connect, code: int) -> None:
    """If it failed: firmware without a certain command could not be simulated."""
    miner = await make(M60S, refuse={"set.miner.service": code})
    client = await v3(miner)
    assert await client.write("set.miner.service", "stop") == (code, REFUSALS[code])
    miner.refuse["get.miner.setting"] = code
    assert (await client.ask("get.miner.setting"))["code"] == code


async def test_received_commands_are_kept(
    make: Make, v3: Connect, clock: ManualClock
) -> None:
    """If it failed: a test could not check what a client sent, and to which port."""
    miner = await make(M60S)
    clock.advance(7)
    client: V3 = await v3(miner)
    await client.write("set.miner.service", "stop")
    await client.ask("get.miner.status", "summary")
    await ask(miner, "status")
    write, read, old = miner.commands
    assert (write.name, write.encrypted, write.at, write.api) == (
        "set.miner.service",
        False,
        7,
        "v3",
    )
    assert write.params == {"ts": EPOCH + 7, "account": "super", "param": "stop"}
    assert (read.name, read.params, read.api) == (
        "get.miner.status",
        {"param": "summary"},
        "v3",
    )
    assert (old.name, old.api) == ("status", "v2")

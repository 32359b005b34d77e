"""Write commands take effect, and are read back as the page says (section D)."""

import json

import pytest

from simulator import PROFILES, ManualClock, Phase
from simulator.commands import WRITES

from .conftest import Make, Writer, ask, send

OK = (131, "API command OK")
D138 = {
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
    "enable_web_pools",
    "disable_web_pools",
    "set_hostname",
    "set_zone",
    "load_log",
    "set_power_pct",
    "pre_power_on",
}
# These keep the connection open: test_binary.py
BINARY = {"update_firmware", "download_logs"}
FAST_BOOT = {"enable_btminer_fast_boot", "disable_btminer_fast_boot"}
V1_ONLY = FAST_BOOT | {
    "enable_cgminer_fast_boot",
    "disable_cgminer_fast_boot",
    "ssh_open",
    "ssh_close",
}
V204 = D138 | FAST_BOOT | {"adjust_power_limit"}
V205 = V204 | {
    "set_power_pct_v2",
    "set_temp_offset",
    "adjust_upfreq_speed",
    "set_poweroff_cool",
    "set_fan_zero_speed",
    "set_heat_mode",
    "enable_btminer_init",
    "disable_btminer_init",
}
V2C = V205 - {"pre_power_on"} | {
    "restore_power_pct",
    "set_power",
    "set_customer_msg",
    "get_customer_msg",
}
KNOWN = {
    "v1_m20s": D138 | V1_ONLY,
    "v204_m30sp": V204,
    "v205_m50": V205,
    "v205_m56s": V205,
    "v2c_m60s": V2C,
    "v3_m7bs": V2C,
    "v3_m64_bad": V2C,
}
ALL = sorted(set().union(*KNOWN.values()) - BINARY)


def outcome(answer: dict[str, object]) -> tuple[object, object]:
    """Return code and text of an answer."""
    return answer["Code"], answer["Msg"]


@pytest.mark.parametrize("profile", PROFILES)
async def test_which_firmware_knows_what(
    make: Make, writer: type[Writer], profile: str
) -> None:
    """If it failed: a command would be offered for firmware that answers code 14 to it."""
    owner = writer(await make(profile))
    assert WRITES[PROFILES[profile].dialect].keys() == KNOWN[profile]
    for command in ALL:
        answer = await owner(command)
        unknown = answer is not None and outcome(answer) == (14, "invalid cmd")
        assert unknown == (command not in KNOWN[profile]), command


@pytest.mark.parametrize("profile", PROFILES)
async def test_writes_sent_plain(make: Make, profile: str) -> None:
    """If it failed: a known and an unknown write would look alike without the envelope."""
    miner = await make(profile)
    for command in (*ALL, *BINARY):
        answer = await ask(miner, command)
        assert answer["Msg"] == (
            "invalid data" if command in KNOWN[profile] else "invalid cmd"
        )
    assert miner.truth().mining


@pytest.mark.parametrize("profile", PROFILES)
async def test_modes(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: the select of the power mode would be tested on a miner without modes."""
    miner = await make(profile)
    owner = writer(miner)
    normal = miner.profile.power_w
    v2c = miner.profile.dialect == "v2c"
    for mode, share in (("low", 0.75), ("high", 1.1), ("normal", 1)):
        answer = await owner(f"set_{mode}_power")
        # Usually none comes
        assert (
            answer is None
            if v2c or profile in ("v204_m30sp", "v205_m50")
            else outcome(answer) == OK
        )
        clock.advance(2)
        assert miner.truth().phase is Phase.BTMINER_DOWN
        clock.advance(1700)
        truth = miner.truth()
        assert truth.phase is Phase.STABLE
        assert truth.power_mode == mode
        assert miner.machine.power_w == pytest.approx(normal * share, rel=0.02)
        summary = await ask(miner, "summary")
        row = summary["Msg"] if v2c else summary["SUMMARY"][0]
        assert row["Power Mode"] == mode.capitalize()
        if v2c or profile.startswith("v205"):
            assert (await ask(miner, "status"))["Msg"]["power_mode"] == mode
        await owner.authorize()


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50", "v205_m56s", "v2c_m60s"])
async def test_power_limit(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: the number for the power limit would be tested on a miner that ignores it."""
    miner = await make(profile)
    nominal = miner.truth().power_limit_w
    for watts, told_limit, text in (
        ("2500", 2500, "2500"),
        ("99998", nominal, str(nominal)),
        ("0", nominal, "2147483647"),
        ("2500", 2500, "2500"),
        ("99999", nominal, miner.profile.default_limit_text),
    ):
        owner = writer(miner)
        assert outcome(await owner("adjust_power_limit", power_limit=watts)) == OK
        clock.advance(2)
        assert miner.truth().phase is Phase.BTMINER_DOWN
        clock.advance(11)
        assert miner.truth().phase is Phase.STARTING
        # One firmware reports no limit while it starts
        assert miner.truth().power_limit_w == (
            0 if profile == "v2c_m60s" else told_limit
        )
        clock.advance(1700)
        assert miner.truth().power_limit_w == told_limit
        assert miner.machine.power_w == pytest.approx(
            min(told_limit, miner.profile.power_w), rel=0.02
        )
        if miner.profile.tells_limit_set:
            assert (await ask(miner, "status"))["Msg"]["power_limit_set"] == text
    await writer(miner)("adjust_power_limit", power_limit="99999")
    clock.advance(2)
    assert miner.truth().phase is Phase.STABLE


async def test_mode_hides_the_limit(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client could assume that the limit it set is always the active one."""
    miner = await make("v205_m56s")
    owner = writer(miner)
    await owner("set_low_power")
    await owner("adjust_power_limit", power_limit="5000")
    clock.advance(10)
    assert miner.truth().power_limit_w == 4200
    assert (await ask(miner, "status"))["Msg"]["power_limit_set"] == "5000"


@pytest.mark.parametrize(
    ("profile", "command", "seconds"),
    [
        ("v1_m20s", "set_power_pct", 4),
        ("v205_m50", "set_power_pct", 4),
        ("v205_m50", "set_power_pct_v2", 185),
        ("v2c_m60s", "set_power_pct_v2", 185),
    ],
)
async def test_percent(
    make: Make,
    writer: type[Writer],
    clock: ManualClock,
    profile: str,
    command: str,
    seconds: int,
) -> None:
    """If it failed: solar control would be tested on a miner that does not react."""
    miner = await make(profile)
    full = miner.machine.power_w
    elapsed = miner.truth().elapsed_s
    assert outcome(await writer(miner)(command, percent="60")) == OK
    clock.advance(1.0)
    if seconds > 100:
        assert miner.machine.power_w == pytest.approx(full, rel=0.02)
        clock.advance(seconds / 2)
        assert miner.machine.power_w == pytest.approx(full * 0.8, rel=0.02)
    clock.advance(seconds)
    assert miner.machine.power_w == pytest.approx(full * 0.6, rel=0.02)
    assert miner.machine.power_percent == 60
    assert miner.truth().power_percent == (60 if profile == "v2c_m60s" else None)
    assert miner.truth().elapsed_s > elapsed
    if profile == "v2c_m60s":
        assert (await ask(miner, "status"))["Msg"]["power_pct"] == 60
        owner = writer(miner)
        assert outcome(await owner("restore_power_pct")) == OK
        clock.advance(5)
        assert miner.machine.power_w == pytest.approx(full, rel=0.02)
        assert (await ask(miner, "status"))["Msg"]["power_pct"] == 100


async def test_percent_is_lost_at_restart(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client that assumes an old percentage would not be noticed."""
    miner = await make("v205_m50")
    owner = writer(miner)
    await owner("set_power_pct", percent="60")
    await owner("restart_btminer")
    clock.advance(5)
    assert miner.machine.power_percent == 100


async def test_percent_before_tuning_has_no_effect(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: an acknowledged write without effect could not be tested."""
    miner = await make("v2c_m60s", state="upfreq")
    owner = writer(miner)
    for command in ("set_power_pct", "set_power_pct_v2"):
        assert outcome(await owner(command, percent="60")) == OK
    clock.advance(200)
    assert miner.machine.power_percent == 100


async def test_gentle_percent_on_air_needs_another_mode_than_high(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: the documented refusal could not be tested."""
    for profile, expected in (("v205_m50", 132), ("v205_m56s", 131)):
        miner = await make(profile)
        owner = writer(miner)
        await owner("set_high_power")
        clock.advance(1700)
        assert (await owner("set_power_pct_v2", percent="80"))["Code"] == expected
        await owner.authorize()
        assert (await owner("set_power_pct", percent="80"))["Code"] == 131


@pytest.mark.parametrize("fast_boot", [False, True])
@pytest.mark.parametrize(
    ("command", "seconds"), [("set_power_pct", 5), ("set_power_pct_v2", 190)]
)
async def test_percent_restarts_without_fast_boot(
    make: Make,
    writer: type[Writer],
    clock: ManualClock,
    command: str,
    seconds: int,
    *,
    fast_boot: bool,
) -> None:
    """If it failed: a restart after a percentage, which users have seen, could not be tested."""
    miner = await make("v205_m50")
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = fast_boot
    full, elapsed = miner.machine.power_w, miner.truth().elapsed_s
    assert outcome(await writer(miner)(command, percent="60")) == OK
    clock.advance(seconds)
    if fast_boot:
        assert miner.machine.power_w == pytest.approx(full * 0.6, rel=0.02)
        assert miner.truth().elapsed_s == elapsed + seconds
    else:
        assert miner.machine.power_percent == 100
        assert miner.truth().phase in (Phase.BTMINER_DOWN, Phase.UPFREQ)
        assert miner.machine.power_w < full / 2


async def test_low_percent_may_restart(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: too little power, which restarts real miners, would look harmless."""
    phases = set()
    for seed in range(1, 7):
        miner = await make("v205_m50", seed=seed)
        await writer(miner)("set_power_pct", percent="20")
        phases.add(miner.truth().phase)
    assert phases == {Phase.STABLE, Phase.BTMINER_DOWN}


@pytest.mark.parametrize(
    ("command", "params", "code"),
    [
        ("set_power_pct", {"percent": "101"}, 132),
        ("set_power_pct", {"percent": "-1"}, 132),
        ("set_power_pct", {"percent": "half"}, 132),
        ("set_power_pct", {"percent": ""}, 132),
        ("set_power_pct", {}, 132),
        ("set_power_pct", {"percent": 50}, 131),
        ("set_power_pct_v2", {"percent": "200"}, 132),
        ("adjust_power_limit", {"power_limit": "100000"}, 132),
        ("adjust_power_limit", {"power_limit": "-5"}, 132),
        ("adjust_power_limit", {"power_limit": 3000}, 131),
        ("set_led", {"color": "blue", "period": 200, "duration": 100, "start": 0}, 132),
        (
            "set_led",
            {"color": "red", "period": "200", "duration": 100, "start": 0},
            132,
        ),
        ("set_led", {"color": "red"}, 132),
        ("set_led", {"param": "blink"}, 132),
    ],
)
async def test_parameters_are_checked(
    make: Make,
    writer: type[Writer],
    clock: ManualClock,
    command: str,
    params: dict[str, object],
    code: int,
) -> None:
    """If it failed: a number instead of a string, which firmware ignores, would work here."""
    miner = await make("v205_m50")
    assert (await writer(miner)(command, **params))["Code"] == code
    clock.advance(5)
    truth = miner.truth()
    assert truth.phase is Phase.STABLE
    assert miner.machine.power_percent == 100
    assert truth.power_limit_w == 3500
    assert truth.led_auto is True


async def test_led(make: Make, writer: type[Writer]) -> None:
    """If it failed: the Identify button would be tested on a miner without lights."""
    miner = await make("v205_m50")
    owner = writer(miner)
    blink = {"period": 200, "duration": 100, "start": 0}
    assert outcome(await owner("set_led", color="red", **blink)) == OK
    assert (await ask(miner, "get_miner_info"))["Msg"]["ledstat"] == "1,200,100,0 "
    await owner("set_led", color="green", **blink)
    assert (await ask(miner, "get_miner_info"))["Msg"][
        "ledstat"
    ] == "1,200,100,0 0,200,100,0 "
    assert miner.truth().led_auto is False
    await owner("set_led", param="auto")
    assert (await ask(miner, "get_miner_info"))["Msg"]["ledstat"] == "auto"


async def test_commands_of_a_stopped_miner(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a setting would start a stopped miner."""
    miner = await make("v205_m50", state="stopped")
    owner = writer(miner)
    await owner("adjust_power_limit", power_limit="2500")
    await owner("set_low_power")
    await owner("power_off")
    clock.advance(100)
    assert not miner.truth().mining
    assert miner.truth().power_limit_w == 2500
    await owner("restart_btminer")
    clock.advance(5)
    assert miner.truth().mining


async def test_power_on_takes_back_power_off(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: the first of two quick commands would win."""
    miner = await make("v205_m50")
    owner = writer(miner)
    await owner("power_off")
    await owner("power_on")
    clock.advance(10)
    assert miner.truth().phase is Phase.STABLE
    await owner("restart_btminer")
    await owner("power_off")
    clock.advance(10)
    assert miner.truth().phase is Phase.STOPPED
    await owner("power_off")
    await owner("restart_btminer")
    clock.advance(10)
    assert miner.truth().phase is Phase.BTMINER_DOWN


async def test_respbefore_false_never_answers(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client could rely on an answer that some firmware does not send."""
    miner = await make("v205_m50")
    assert await writer(miner)("power_off", respbefore="false") is None
    clock.advance(2)
    assert not miner.truth().mining


async def test_refused_commands(make: Make, writer: type[Writer]) -> None:
    """If it failed: firmware without a certain command could not be simulated."""
    miner = await make("v205_m50", refuse={"set_power_pct_v2": 14, "summary": 132})
    assert outcome(await writer(miner)("set_power_pct_v2", percent="50")) == (
        14,
        "invalid cmd",
    )
    assert outcome(await ask(miner, "summary")) == (132, "API command ERROR")


async def test_received_commands_are_kept(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a test could not check what a client sent."""
    miner = await make("v205_m50")
    clock.advance(7)
    await writer(miner)("set_power_pct", percent="50")
    await send(miner, json.dumps({"command": "get_miner_info", "info": "mac"}).encode())
    token, write, read = miner.commands
    assert (token.name, token.encrypted) == ("get_token", False)
    assert (write.name, write.params, write.encrypted, write.at) == (
        "set_power_pct",
        {"percent": "50"},
        True,
        7,
    )
    assert (read.name, read.params, read.encrypted) == (
        "get_miner_info",
        {"info": "mac"},
        False,
    )

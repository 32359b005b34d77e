"""What miners say on TCP 4433 means what docs/protocol.md says, field by field (protocol.md#e2, #e5).

Every expected value is worked out from the page by hand. A field that is not named is None: the
miner did not report it, and whoever shows a number there has made it up.
"""

from collections.abc import Callable
import contextlib
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
import json
import math
from typing import Any

from hypothesis import given, note, settings, strategies as st
import pytest

from custom_components.whatsminer.api.errors import (
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    NotWhatsminerError,
    UnsupportedCommandError,
    WhatsminerError,
)
from custom_components.whatsminer.api.models import (
    Activity,
    Board,
    Cooling,
    Dialect,
    Fault,
    Feature,
    MinerInfo,
    Pool,
    PowerMode,
    Psu,
    Status,
    Summary,
    activity_of,
)
from custom_components.whatsminer.api.parse import JsonObject
from custom_components.whatsminer.api.v2.protocol import parse_pools as parse_pools_4028
from custom_components.whatsminer.api.v3.protocol import (
    message_of,
    other_spelling,
    parse_boards,
    parse_device,
    parse_faults,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
    raise_for_code,
)

from . import parsed
from .test_units import respelt

M50 = "v3_device_info_m50_cap.json"
M60S = "v3_device_info_m60s_comp.json"
FAULTY = "v3_device_info_fault_comp.json"
FAULTS_DESC = "v3_device_info_fault_desc_comp.json"
SUMMARY = "v3_status_summary_doc.json"
EDEVS = "v3_status_edevs_m7bs_cap.json"
POOLS = "v3_status_pools_comp.json"
JOINED = "v3_status_joined_comp.json"
SETTING = "v3_setting_m7bs_comp.json"


def message(name: str) -> JsonObject:
    """The object that a miner has answered with."""
    return message_of("some.cmd", parsed(name))


# Without what only older firmware is documented to have (protocol.md#d1, #d5)
FEATURES = frozenset(Feature) - {Feature.PREHEAT, Feature.SSH}
# Only 3.0.3 reports `power` (protocol.md#e5).
UNREADABLE = frozenset({Feature.START_AT_BOOT, Feature.POWER})

INFO_M50 = MinerInfo(
    dialect=Dialect.V3,
    api_version="3.0.2",
    firmware="20250915.16.Rel2",
    platform="H616",
    model="M50_VH84",
    mac="CA:01:14:00:04:EB",
    serial="HTM1EKKU22101900000000000000A0001",
    hostname="WhatsMiner",
    led_auto=True,
    api_switch=True,
    features=FEATURES - {Feature.HEAT_MODE},
    unreadable=UNREADABLE,
    cooling=Cooling.AIR,
)
SUMMARY_DOC = Summary(
    hashrate=101.847,
    hashrate_average=101.847,
    hashrate_1m=102.072,
    hashrate_15m=101.847,
    hashrate_nominal=101.366,
    power=3268,
    power_5m=3247.641,
    efficiency=31.886,
    power_limit=3500,
    environment_temperature=34.8,
    chip_temperature_min=83.2,
    chip_temperature_avg=92.9,
    chip_temperature_max=100.3,
    fan_speed_in=4980,
    fan_speed_out=5070,
    frequency_average=788,
    elapsed=1074,
    uptime=1175,
    stable=True,
)
BOARD_0 = Board(
    slot=0,
    hashrate=170.39,
    hashrate_average=170.39,
    hashrate_nominal=139.93,
    chip_temperature_min=68,
    chip_temperature_avg=72,
    chip_temperature_max=77.8,
    frequency=413.0592956542969,
    chips=288,
)
BOARD_1 = Board(
    slot=1,
    hashrate=175.626,
    hashrate_average=175.626,
    hashrate_nominal=139.93,
    chip_temperature_min=57.8,
    chip_temperature_avg=63,
    chip_temperature_max=68.6,
    frequency=424.81365966796875,
    chips=288,
)
POOL = Pool(
    index=1,
    url="stratum+tcp://pool.example:3333",
    user="acc.worker",
    status="alive",
    active=True,
    reject_rate=0,
    last_share=datetime(2026, 8, 13, 13, 42, 3, tzinfo=UTC),
)
PSU_M50 = Psu(
    model="P221B",
    input_voltage=231.5,
    input_current=15.43,
    input_power=3573,
    fan_speed=4992,
    temperature=79,
    serial="A1232G0120100049",
)
SETTING_M7BS = message(SETTING)

# id: parser, files that it is given, model
READS: dict[str, tuple[Callable[..., Any], tuple[str, ...], Any]] = {
    "device M50": (parse_device, (M50,), INFO_M50),
    "device M60S": (
        parse_device,
        (M60S,),
        replace(INFO_M50, model="M60S_VK40", firmware="20251209.16.Rel2"),
    ),
    "device, switch off": (
        parse_device,
        (FAULTY,),
        replace(INFO_M50, led_auto=False, api_switch=False),
    ),
    "summary": (
        parse_summary,
        (SUMMARY, SETTING),
        replace(SUMMARY_DOC, power_mode=PowerMode.HIGH, fast_boot=False),
    ),
    "boards": (parse_boards, (EDEVS,), (BOARD_0, BOARD_1)),
    "boards with temperatures": (
        parse_boards,
        (JOINED,),
        (replace(BOARD_0, temperature=69.6), replace(BOARD_1, temperature=70.1)),
    ),
    "psu M50": (parse_psu, (M50,), PSU_M50),
    "psu M60S": (
        parse_psu,
        (M60S,),
        Psu(model="P566B", fan_speed=4720, serial="2F260200665"),
    ),
    "status M50": (
        parse_status,
        (M50, SETTING),
        Status(
            off=False,
            power_mode=PowerMode.HIGH,
            power_limit_set=10030,
            power_percent=120,
            target_frequency=0,
            fast_hash=False,
            firmware="20250915.16.Rel2",
        ),
    ),
    "status, stopped": (
        parse_status,
        (FAULTY, SETTING),
        Status(
            off=True,
            power_mode=PowerMode.HIGH,
            power_limit_set=10030,
            power_percent=120,
            target_frequency=0,
            fast_hash=False,
            liquid_temperature=48.2,
            firmware="20250915.16.Rel2",
        ),
    ),
    "device with faults of another form": (
        parse_device,
        (FAULTS_DESC,),
        MinerInfo(
            dialect=Dialect.V3,
            api_version="3.0.2",
            firmware="20251209.16.Rel2",
            model="M60S_VK40",
            mac="CE:00:00:00:00:31",
            features=FEATURES - {Feature.HEAT_MODE},
            unreadable=UNREADABLE,
            cooling=Cooling.AIR,
        ),
    ),
    "faults of another form": (
        parse_faults,
        (FAULTS_DESC,),
        (Fault(code=206, reason="Power input voltage error"),),
    ),
    "no faults": (parse_faults, (M50,), ()),
    "faults": (
        parse_faults,
        (FAULTY,),
        (
            Fault(code=531, time="2025-03-12 14:52:35", reason="Slot1 not found."),
            Fault(code=2010, time="2025-03-12 14:53:00"),
        ),
    ),
}
cases = pytest.mark.parametrize(
    ("parser", "names", "model"), READS.values(), ids=READS.keys()
)


@cases
def test_an_answer_means(
    parser: Callable[..., Any], names: tuple[str, ...], model: Any
) -> None:
    """Otherwise the dashboard shows something that the miner did not say."""
    assert parser(*map(message, names)) == model


@pytest.mark.parametrize(
    ("number", "truth"),
    [
        pytest.param(str, {True: "true", False: "false"}, id="strings"),
        pytest.param(float, {True: 1, False: 0}, id="floats"),
        pytest.param(
            lambda value: f" {float(value)!r} ",
            {True: "1", False: "0"},
            id="floats in padded strings",
        ),
    ],
)
@cases
def test_spelling_does_not_matter(
    parser: Callable[..., Any],
    names: tuple[str, ...],
    model: Any,
    number: Callable[[Any], Any],
    truth: dict[bool, Any],
) -> None:
    """Another firmware spells the same value in another way and would show unknown."""
    assert parser(*(respelt(message(name), number, truth) for name in names)) == model


def nulled(value: Any) -> Any:
    """The same answer with null in the place of every value."""
    match value:
        case dict():
            return {key: nulled(item) for key, item in value.items()}
        case list():
            return [nulled(item) for item in value]
    return None


NOTHING: list[tuple[Callable[..., Any], tuple[str, ...], Any]] = [
    (
        parse_device,
        (M50,),
        MinerInfo(
            dialect=Dialect.V3,
            features=FEATURES,
            unreadable=UNREADABLE - {Feature.POWER},
        ),
    ),
    (parse_summary, (SUMMARY, SETTING), Summary()),
    (parse_boards, (EDEVS,), (Board(slot=0), Board(slot=1))),
    (parse_boards, (JOINED,), (Board(slot=0), Board(slot=1))),
    (parse_psu, (M50,), Psu()),
    (parse_status, (M50, SETTING), Status()),
    (
        parse_faults,
        (FAULTY,),
        (Fault(code=531), Fault(code=2010)),  # the codes are keys
    ),
    (lambda status: parse_pools(status, None), (POOLS,), (Pool(index=0),)),
]


@pytest.mark.parametrize(("parser", "names", "model"), NOTHING)
def test_null_is_nothing(
    parser: Callable[..., Any], names: tuple[str, ...], model: Any
) -> None:
    """A miner that does not know a value yet would be shown with a 0, or not at all."""
    assert parser(*(nulled(message(name)) for name in names)) == model


@pytest.mark.parametrize("name", [SUMMARY, JOINED])
def test_a_summary_without_settings(name: str) -> None:
    """The mode is unknown when get.miner.setting is refused; the hashrate is not."""
    assert parse_summary(message(name), {}) == SUMMARY_DOC


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"factory-hash": -0.003}, {"hashrate_nominal": None}),
        ({"factory-hash": 0}, {"hashrate_nominal": None}),
        ({"hash-realtime": -1}, {"hashrate": None}),
        ({"hash-realtime": 0}, {"hashrate": 0}),
        ({"power-realtime": -1}, {"power": 3247.641}),
        ({"power-realtime": ""}, {"power": 3247.641}),
        ({"power-realtime": -1, "power-5min": -1}, {"power": None, "power_5m": None}),
        # 3268 W / 101.847 TH/s, where the miner says none
        ({"power-rate": 0}, {"efficiency": pytest.approx(32.0873, abs=1e-4)}),
        ({"power-rate": 0, "hash-realtime": 0}, {"efficiency": None, "hashrate": 0}),
        ({"power-rate": 0, "power-realtime": 0}, {"efficiency": None, "power": 0}),
        ({"power-limit": 0}, {"power_limit": None}),
        ({"power-limit": 2147483647}, {"power_limit": None}),
        ({"up-freq-finish": 0}, {"stable": False}),
        ({"target-freq": -5}, {"frequency_target": None}),
        ({"environment-temperature": -12.5}, {"environment_temperature": -12.5}),
    ],
    ids=str,
)
def test_a_summary_with_something_else_in_it(
    changes: JsonObject, expected: dict[str, Any]
) -> None:
    """These stand for "unknown" or "none", and would be charted as numbers."""
    raw = message(SUMMARY)
    raw["summary"] |= changes
    assert parse_summary(raw, {}) == replace(SUMMARY_DOC, **expected)


def test_a_summary_without_the_fast_power() -> None:
    """The power sensor would be unknown on firmware that has only the mean."""
    raw = message(SUMMARY)
    del raw["summary"]["power-realtime"]
    assert parse_summary(raw, {}).power == 3247.641


# Boards


def test_board_temperatures_go_by_slot() -> None:
    """A dead board in the middle would shift the temperatures of those behind it."""
    raw = message(JOINED)
    raw["edevs"] = [{"slot": 2}, {"slot": 0}, {"slot": 7}]
    raw["summary"]["board-temperature"] = [69.6, 70.1, "72.3"]
    assert parse_boards(raw) == (
        Board(slot=0, temperature=69.6),
        Board(slot=2, temperature=72.3),
        Board(slot=7),
    )


@pytest.mark.parametrize(
    ("row", "slot"), [({"slot": "3"}, 3), ({"id": 2}, 2), ({"slot": 1, "id": 5}, 1)]
)
def test_the_slot_of_a_board(row: JsonObject, slot: int) -> None:
    """All the boards would be board 0."""
    assert parse_boards({"edevs": [row]}) == (Board(slot=slot),)


def test_boards_without_a_number_are_counted() -> None:
    """The same, where the miner numbers none of them."""
    assert parse_boards({"edevs": [{}, {}]}) == (Board(slot=0), Board(slot=1))


def test_the_momentary_hashrate_of_a_board() -> None:
    """Where firmware tells it, it is better than the mean since the start."""
    rows = [{"slot": 0, "hash-realtime": 12.5, "hash-average": 10}]
    (board,) = parse_boards({"edevs": rows})
    assert (board.hashrate, board.hashrate_average) == (12.5, 10)


@pytest.mark.parametrize("factory", [-0.001, 0, "", None])
def test_an_unknown_factory_hashrate(factory: Any) -> None:
    """Any board would look far too fast beside a tiny negative number."""
    (board,) = parse_boards({"edevs": [{"factory-hash": factory}]})
    assert board.hashrate_nominal is None


# Pools


def test_pools_alone() -> None:
    """Without 4028 the shares are unknown, not 0."""
    assert parse_pools(message(POOLS), None) == (POOL,)


@pytest.mark.parametrize("name", ["reject-rate", "reject-percent"])
def test_both_names_of_the_reject_rate(name: str) -> None:
    """The rate would be unknown on half of the firmware."""
    (pool,) = parse_pools({"pools": [{name: 1.25}]}, None)
    assert pool.reject_rate == 1.25


@pytest.mark.parametrize(("rate", "percent"), [(0, 0), (0.25, None), (1, None), (3, 3)])
def test_a_reject_rate_in_an_unknown_unit(rate: float, percent: float | None) -> None:
    """A quarter of all shares would be shown as a quarter of a percent, or the other way round."""
    (pool,) = parse_pools({"pools": [{"reject-rate": rate}]}, None)
    assert pool.reject_rate == percent


def test_a_code_as_text() -> None:
    """A success would be taken for an error."""
    assert message_of("x", {"code": "0", "msg": {"a": 1}}) == {"a": 1}
    with pytest.raises(CommandRefusedError):
        raise_for_code("x", {"code": "-1", "msg": "failed"})


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(80, 80), ({"percent": "80", "mode": "fast"}, 80), ({}, None), (720, None)],
)
def test_the_percent_in_both_forms(percent: Any, expected: float | None) -> None:
    """A percent that the miner reports would be unknown."""
    assert parse_status({}, {"power-percent": percent}).power_percent == expected


def counted(*pools: tuple[str, str, int, int]) -> tuple[Pool, ...]:
    """Pools as 4028 counts them: address, user, accepted, rejected."""
    rows = [
        {"POOL": index, "URL": url, "User": user, "Accepted": yes, "Rejected": no}
        for index, (url, user, yes, no) in enumerate(pools, 1)
    ]
    return parse_pools_4028({"POOLS": rows})


def test_pools_with_their_shares() -> None:
    """Shares would be missing, or be those of another pool or another user."""
    shares = counted(
        ("stratum+tcp://pool.example:3333", "other", 7, 7),
        ("stratum+tcp://other.example:3333", "acc.worker", 8, 8),
        ("stratum+tcp://pool.example:3333", "acc.worker", 432, 3),
    )
    assert parse_pools(message(POOLS), shares) == (
        replace(
            POOL, accepted=432, rejected=3, reject_rate=pytest.approx(0.68966, abs=1e-5)
        ),
    )


def test_a_pool_that_4028_does_not_know() -> None:
    """Just after a change of pools it would get the shares of the one before."""
    shares = counted(("stratum+tcp://other.example:3333", "acc.worker", 8, 8))
    assert parse_pools(message(POOLS), shares) == (POOL,)


def test_a_pool_configured_twice() -> None:
    """Its shares would be counted twice, or not at all."""
    raw = message(POOLS)
    raw["pools"] *= 2
    same = ("stratum+tcp://pool.example:3333", "acc.worker")
    pools = parse_pools(raw, counted((*same, 432, 3), (*same, 0, 0)))
    assert [pool.accepted for pool in pools] == [432, 0]
    assert [pool.rejected for pool in pools] == [3, 0]


def test_the_pool_user_is_private() -> None:
    """A debug log is posted in forums."""
    assert "acc.worker" not in repr(parse_pools(message(POOLS), None))


def test_a_pool_without_a_share_yet() -> None:
    """It would show a share in 1970."""
    raw = message(POOLS)
    raw["pools"][0] |= {"last-share-time": 0, "stratum-active": False, "status": ""}
    (pool,) = parse_pools(raw, None)
    assert (pool.last_share, pool.active, pool.status) == (None, False, None)


def test_no_pools_are_an_answer() -> None:
    """A stopped miner may have none in use."""
    assert parse_pools({"pools": []}, None) == ()


# Status


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(0, 100), ("0", 100), (50, 50), ("75", 75), (120, 120), ("", None), (None, None)],
)
def test_the_power_percent(percent: Any, expected: float | None) -> None:
    """0 says that nothing was asked for; the slider would stand at 0 %."""
    setting = SETTING_M7BS | {"power-percent": percent}
    assert parse_status(message(M50), setting).power_percent == expected


@pytest.mark.parametrize(
    ("setting", "device", "expected"),
    [
        (3200, "", 3200),
        ("3200", "3000", 3200),
        (None, "3000", 3000),
        (0, "3000", 3000),
        (None, "", None),
        (99_999, "", 99_999),
        (2147483647, "", None),
    ],
)
def test_the_limit_that_was_set(
    setting: Any, device: str, expected: float | None
) -> None:
    """A command that was obeyed would be reported as ignored."""
    info = message(M50)
    info["miner"]["power-limit-set"] = device
    status = parse_status(info, {"power-limit": setting})
    assert status.power_limit_set == expected


@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ("0", PowerMode.LOW),
        ("1", PowerMode.NORMAL),
        (2, PowerMode.HIGH),
        ("3", None),
        (-1, None),
        ("", None),
    ],
)
def test_the_mode_as_a_number(code: Any, mode: PowerMode | None) -> None:
    """Where get.miner.setting fails the selection would show nothing, or the wrong one."""
    info = message(M50)
    info["power"]["mode"] = code
    assert parse_status(info, {}).power_mode is mode
    assert parse_status(info, {"power-mode": "low"}).power_mode is PowerMode.LOW


@pytest.mark.parametrize(
    ("working", "off"), [("true", False), ("false", True), (1, False), ("", None)]
)
def test_the_service_flag(working: Any, off: bool | None) -> None:
    """The mining switch would be upside down."""
    info = message(M50)
    info["miner"]["working"] = working
    assert parse_status(info, {}).off is off


# Power supply and faults


@pytest.mark.parametrize("key", ["vin", "iin", "pin", "fanspeed", "temp0"])
def test_a_power_supply_that_does_not_tell_all(key: str) -> None:
    """One missing figure would cost all the others."""
    info = message(M50)
    del info["power"][key]
    names = {
        "vin": "input_voltage",
        "iin": "input_current",
        "pin": "input_power",
        "fanspeed": "fan_speed",
        "temp0": "temperature",
    }
    assert parse_psu(info) == replace(PSU_M50, **{names[key]: None})


def test_the_model_of_a_power_supply_by_its_type() -> None:
    """Firmware that has only `type` would show no power supply."""
    info = message(M50)
    del info["power"]["model"]
    assert parse_psu(info).model == "P221B"


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        (
            [{"531": "t", "110": "u"}],
            (Fault(code=531, time="t"), Fault(code=110, time="u")),
        ),
        ([{"531": "t"}, {"531": "u"}], (Fault(code=531, time="u"),)),
        ([{"531": "t", "reason": ""}], (Fault(code=531, time="t"),)),
    ],
)
def test_odd_lists_of_faults(rows: list[Any], faults: tuple[Fault, ...]) -> None:
    """A fault would be missing, doubled, or made up from a reason."""
    assert parse_faults({"error-code": rows}) == faults


# Answers to another question


@pytest.mark.parametrize(
    ("parser", "name"),
    [
        (lambda raw: parse_summary(raw, {}), EDEVS),
        (parse_boards, SUMMARY),
        (lambda raw: parse_pools(raw, None), SUMMARY),
        (parse_psu, SUMMARY),
        (parse_faults, M60S),
    ],
)
def test_a_part_that_is_missing(parser: Callable[[JsonObject], Any], name: str) -> None:
    """Empty models would turn all the sensors unknown without a word in the log."""
    with pytest.raises(InvalidAnswerError):
        parser(message(name))


@pytest.mark.parametrize("name", [SUMMARY, SETTING])
def test_something_else_is_not_taken_for_a_whatsminer(name: str) -> None:
    """The user would get a device full of unknowns for another machine."""
    with pytest.raises(NotWhatsminerError):
        parse_device(message(name))


# Codes


@pytest.mark.parametrize(
    ("name", "kind", "code", "text"),
    [
        ("v3_error_minus_1_comp.json", CommandRefusedError, -1, "failed"),
        ("v3_error_minus_2_comp.json", CommandRefusedError, -2, "invalid param: x"),
        (
            "v3_error_minus_2_command_comp.json",
            UnsupportedCommandError,
            -2,
            "invalid cmd",
        ),
        ("v3_error_minus_3_comp.json", CommandRefusedError, -3, "param item is null"),
        (
            "v3_error_minus_4_comp.json",
            CommandRefusedError,
            -4,
            "no permission for write command",
        ),
        ("v3_error_minus_5_comp.json", CommandRefusedError, -5, "out of memory"),
    ],
)
def test_a_refusal_means(
    name: str, kind: type[CommandRefusedError], code: int, text: str
) -> None:
    """Otherwise the user is reported that a command worked which the miner refused."""
    for judge in (raise_for_code, message_of):
        with pytest.raises(CommandRefusedError) as caught:
            judge("some.cmd", parsed(name))
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert str(caught.value) == f"some.cmd: code {code}: {text}"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": "-1"}, CommandRefusedError),
        ({"code": -99, "msg": {"a": 1}}, CommandRefusedError),
        ({"code": 131, "msg": "API command OK"}, CommandRefusedError),
        ({"code": -2, "msg": "Invalid command"}, UnsupportedCommandError),
        ({"code": -4, "msg": "no permission for write command"}, CommandRefusedError),
    ],
)
def test_an_odd_refusal(answer: JsonObject, kind: type[CommandRefusedError]) -> None:
    """Any code but 0 is a refusal, in any spelling."""
    with pytest.raises(CommandRefusedError) as caught:
        raise_for_code("some.cmd", answer)
    assert type(caught.value) is kind


@pytest.mark.parametrize("code", [0, "0", 0.0])
def test_a_success(code: Any) -> None:
    """A done command would be reported as refused."""
    raise_for_code("some.cmd", parsed("v3_ok_doc.json") | {"code": code})


@pytest.mark.parametrize(
    "answer", [{}, {"code": None}, {"code": "ok"}, {"STATUS": "S", "Msg": "x"}]
)
def test_an_answer_without_a_code(answer: JsonObject) -> None:
    """Anything that speaks JSON would pass for a miner that agrees."""
    with pytest.raises(InvalidAnswerError):
        raise_for_code("some.cmd", answer)


@pytest.mark.parametrize("text", ["ok", None, [], 1])
def test_a_read_that_is_answered_with_a_word(text: Any) -> None:
    """Every value would be unknown without a reason in the log."""
    with pytest.raises(InvalidAnswerError):
        message_of("some.cmd", {"code": 0, "msg": text})


# What it does


@pytest.mark.parametrize(
    ("status", "summary", "error", "activity"),
    [
        (Status(off=True), None, None, Activity.STOPPED),
        (Status(off=True), SUMMARY_DOC, None, Activity.STOPPED),
        (Status(off=False), SUMMARY_DOC, None, Activity.MINING),
        (None, SUMMARY_DOC, None, Activity.MINING),
        (Status(), replace(SUMMARY_DOC, stable=None), None, Activity.MINING),
        (Status(), replace(SUMMARY_DOC, stable=False), None, Activity.TUNING),
        (Status(), replace(SUMMARY_DOC, hashrate=0), None, Activity.STARTING),
        (
            Status(),
            replace(SUMMARY_DOC, frequency_average=0, stable=False),
            None,
            Activity.STARTING,
        ),
        (Status(), replace(SUMMARY_DOC, frequency_average=0), None, Activity.MINING),
        (Status(), replace(SUMMARY_DOC, hashrate=None), None, None),
        (
            Status(off=False),
            None,
            CommandRefusedError("get.miner.status", -1, "failed"),
            Activity.RESTARTING,
        ),
        (Status(off=False), None, NoAnswerError("silent"), None),
        (None, None, None, None),
    ],
)
def test_what_the_miner_is_doing(
    status: Status | None,
    summary: Summary | None,
    error: WhatsminerError | None,
    activity: Activity | None,
) -> None:
    """The switch would jump, or a restart be taken for a stop."""
    assert activity_of(Dialect.V3, status, summary, error) is activity


@pytest.mark.parametrize(
    ("param", "other"),
    [
        (3000, "3000"),
        ({"percent": "50", "mode": "normal"}, {"percent": 50, "mode": "normal"}),
        ("anti-freezing", "anti-icing"),
        ("stop", None),
        (None, None),
        (True, None),
        ({"gap": 0}, None),
        ([{"color": "red"}], None),
    ],
)
def test_the_other_spelling(param: Any, other: Any) -> None:
    """Firmware that wants a number could not be reported a percentage, or the reverse."""
    assert other_spelling(param) == other
    assert type(other_spelling(param)) is type(other)


# Whatever comes

KEYS = sorted(
    {
        key
        for name in (M50, FAULTY, JOINED, SETTING)
        for part in message(name).values()
        for row in (part if isinstance(part, list) else [part])
        if isinstance(row, dict)
        for key in row
    }
    | SETTING_M7BS.keys()
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, 5e-324, 1.7e308, "nan", "1e999", "-0", " 7 ", ""]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    ),
    max_leaves=10,
)
ROWS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=20)
PARTS = ("network", "miner", "system", "power", "summary")
LISTS = ("edevs", "pools", "error-code")
MESSAGES = st.fixed_dictionaries(
    {},
    optional={part: st.one_of(ROWS, VALUES) for part in PARTS}
    | {part: st.one_of(st.lists(ROWS, max_size=4), VALUES) for part in LISTS},
)


def numbers_of(model: Any) -> list[float]:
    """All the numbers in a model."""
    if isinstance(model, (tuple, list)):
        return [number for item in model for number in numbers_of(item)]
    if is_dataclass(model):
        values = [getattr(model, field.name) for field in fields(model)]
        return [value for value in values if isinstance(value, (int, float))]
    return []


PARSERS: dict[str, Callable[[JsonObject, JsonObject], Any]] = {
    "device": lambda message, setting: parse_device(message),
    "summary": parse_summary,
    "boards": lambda message, setting: parse_boards(message),
    "pools": lambda message, setting: parse_pools(message, None),
    "psu": lambda message, setting: parse_psu(message),
    "status": parse_status,
    "faults": lambda message, setting: parse_faults(message),
}


@settings(deadline=None)
@given(message=MESSAGES, setting=ROWS)
def test_whatever_comes(message: JsonObject, setting: JsonObject) -> None:
    """One odd value would end the poll of the whole miner with a traceback."""
    for name, parser in PARSERS.items():
        note(f"the parser is that of {name}")
        try:
            model = parser(message, setting)
        except WhatsminerError:
            continue
        assert all(math.isfinite(number) for number in numbers_of(model))
        hash(model)


@settings(deadline=None)
@given(answer=st.fixed_dictionaries({}, optional={"code": VALUES, "msg": VALUES}))
def test_whatever_envelope_comes(answer: JsonObject) -> None:
    """The same for what is around the answer."""
    with contextlib.suppress(WhatsminerError):
        assert message_of("some.cmd", answer) is answer["msg"]


@settings(deadline=None)
@given(message=st.sampled_from([M50, JOINED, FAULTY]).map(message), data=st.data())
def test_one_odd_value_in_a_real_answer(message: JsonObject, data: Any) -> None:
    """The other sections, and the other values of this one, would be lost with it."""
    message = json.loads(json.dumps(message))
    part = data.draw(st.sampled_from(sorted(set(message) & {*PARTS, *LISTS})))
    rows = message[part] if isinstance(message[part], list) else [message[part]]
    if rows:
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(VALUES)
    if "miner" in message:
        assert parse_device(message).dialect is Dialect.V3
        parse_status(message, SETTING_M7BS)
        parse_psu(message)
        parse_faults(message)
    else:
        parse_summary(message, SETTING_M7BS)
        assert len(parse_boards(message)) in (1, 2)
        assert len(parse_pools(message, counted())) == 1

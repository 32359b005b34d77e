"""Whatever bytes come, they become a value the miner meant, nothing, or one of our errors."""

from collections.abc import Callable
import dataclasses
from datetime import datetime
import json
import math
from typing import Any

from hypothesis import example, given, strategies as st
import pytest

from custom_components.whatsminer.api.capabilities import version_tuple
from custom_components.whatsminer.api.errors import (
    BtminerDownError,
    InvalidAnswerError,
    WhatsminerError,
)
from custom_components.whatsminer.api.models import (
    Activity,
    Dialect,
    Fault,
    Status,
    Summary,
    activity_of,
)
from custom_components.whatsminer.api.parse import (
    MAX_FAULTS,
    MAX_ROWS,
    MAX_TEXT,
    JsonObject,
    as_bool,
    as_code,
    as_count,
    as_current,
    as_delay,
    as_dhcp,
    as_duration,
    as_efficiency,
    as_fan_speed,
    as_float,
    as_frequency,
    as_hashrate,
    as_hot_temperature,
    as_int,
    as_led_auto,
    as_limit,
    as_mac,
    as_moment,
    as_nominal_hashrate,
    as_object,
    as_objects,
    as_offset,
    as_port,
    as_power,
    as_power_percent,
    as_row,
    as_share,
    as_small_count,
    as_speed,
    as_temperature,
    as_temperature_offset,
    as_text,
    as_texts,
    as_voltage,
    cooling_of,
    first,
    is_complete,
    parse_answer,
    parse_fault_list,
    parse_padded,
    pick,
    ratio,
    scaled,
)
from custom_components.whatsminer.api.v2.crypto import decrypt, derive_token
from custom_components.whatsminer.api.v2.protocol import (
    has_gentle_percent,
    is_challenge,
    parse_boards,
    parse_faults,
    parse_miner_info,
    parse_model,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
    parse_version,
    refusal,
)

from . import CAPTURES, capture

HUGE = 10**400
NO_NUMBERS = [
    None,
    True,
    False,
    "",
    " ",
    "abc",
    "12 W",
    "0x10",
    "1_000",
    "nan",
    "-nan",
    "inf",
    "-Infinity",
    "1e999",
    "9" * 5000,
    math.nan,
    math.inf,
    -math.inf,
    HUGE,
    -HUGE,
    [],
    [1],
    {},
    {"a": 1},
    b"1",
]


# coercion, the lowest and the highest value, and one on either side that no miner can be at
QUANTITIES: list[tuple[Callable[[Any], Any], float, float, float, float]] = [
    (as_power, 0, 100_000, -1, 4294967295),
    (as_limit, 1, 100_000, 0, 2147483647),
    (as_hashrate, 0, 10_000, -0.001, 1e7),
    (as_nominal_hashrate, 0.1, 10_000, -0.001, 1e7),
    (as_efficiency, 0.1, 10_000, 0, 1e5),
    (as_temperature, -60, 200, -273.2, 6553.5),
    (as_hot_temperature, -60, 200, -273.2, 6553.5),
    (as_fan_speed, 0, 30_000, -1, 65535),
    (as_frequency, 0, 5_000, -1, 65535),
    (as_current, 0, 500, -1, 65535),
    (as_voltage, 80, 600, 79, 65536),
    (as_duration, 0, 315_360_000, -1, 18446744073709551615),
    (as_share, 0, 100, -1, 100.1),
    (as_power_percent, 1, 200, -1, 720),
    (as_int, -(2**53), 2**53, -(2**63), 2**64),
    (as_count, 0, 10**15, -1, 2**64),
    (as_small_count, 0, 10_000, -1, 65536),
    (as_row, 0, 15, -1, 16),
    (as_port, 1, 65535, 0, 65536),
    (as_delay, 0, 120, -1, 3600),
    (as_speed, 0, 10, -1, 11),
    (as_offset, -100, 100, -720, 720),
    (as_temperature_offset, -30, 0, -31, 1),
    (as_code, 1, 9_999_999, 0, 2**32),
]


# Coercion


@pytest.mark.parametrize(("coerce", "low", "high", "below", "above"), QUANTITIES)
def test_a_quantity_has_a_range(
    coerce: Callable[[Any], Any], low: float, high: float, below: float, above: float
) -> None:
    """One answer with a counter that ran over would be charted, counted as energy and acted on."""
    assert [coerce(value) for value in (low, str(high))] == [low, high]
    assert [coerce(value) for value in (below, str(above))] == [None, None]


def test_no_percent_is_full_power() -> None:
    """A miner at full power would be shown at 0 percent, and raised by its power source."""
    assert [as_power_percent(value) for value in (0, "0", 70)] == [100, 100, 70]


@pytest.mark.parametrize("coerce", [as_float, *(row[0] for row in QUANTITIES)])
def test_what_is_no_number_is_nothing(coerce: Callable[[Any], Any]) -> None:
    """An invented number would be charted, averaged and acted on."""
    assert [value for value in NO_NUMBERS if coerce(value) is not None] == []


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (-1, -1),
        (3312, 3312),
        (80.0, 80),
        ("33.5", 33.5),
        (" 22400 ", 22400),
        ("-5", -5),
        ("1e3", 1000),
        ("+7", 7),
        (".5", 0.5),
        ("225043191209.0000", 225043191209),
    ],
)
def test_a_number_in_any_type(value: Any, number: float) -> None:
    """The same field is int, float or string, by firmware."""
    assert as_float(value) == number


@pytest.mark.parametrize(
    ("coerce", "value", "expected"),
    [
        (as_hot_temperature, 0, None),
        (as_hot_temperature, "0.00", None),
        (as_hot_temperature, -4.5, -4.5),
        (as_temperature, 0, 0),
        (as_voltage, "22400", 224),
        (as_voltage, "39600", 396),
        (as_voltage, "229.50", 229.5),
        (as_voltage, 0, None),
        (as_voltage, 2240, None),
        (as_limit, 0, None),
        (as_limit, "", None),
        (as_limit, "3300", 3300),
        (as_limit, 100_000, 100_000),
        (as_limit, 100_001, None),
        (as_limit, "2147483647", None),
        (as_int, "7.9", 7),
        (as_int, -1, -1),
        (as_speed, 4.9999995, 5),
        (as_offset, "-9.9999990", -10),
        (as_count, 7.9, 7),
        (as_count, "-1", None),
    ],
)
def test_the_words_for_none(
    coerce: Callable[[Any], Any], value: Any, expected: float | None
) -> None:
    """-1 W, or a limit of two gigawatts, would be shown as a fact."""
    assert coerce(value) == expected


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (True, True),
        (False, False),
        ("Enable", True),
        ("1.00", True),
        (0.0, False),
        ("-1", None),
        (2, None),
        (math.nan, None),
        (None, None),
        ([], None),
        ("", None),
    ],
)
def test_a_truth_in_any_spelling(value: Any, truth: bool | None) -> None:
    """What is neither yes nor no is unknown, not no."""
    assert as_bool(value) is truth


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'20210322.22.REL'", "20210322.22.REL"),
        ('"x"', "x"),
        (" x\0\r\n", "x"),
        ("Missing JSON 'command'", "Missing JSON 'command'"),
        ("'", "'"),
        ("''", None),
        ("", None),
        ("  ", None),
        (5626, "5626"),
        (2.5, "2.5"),
        (None, None),
        (True, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_text(value: Any, text: str | None) -> None:
    """Quoted firmware would never equal the firmware of another answer."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 70_000, "x" * (MAX_TEXT - 1) + "…"),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        ("a\ud800b", "a\ufffdb"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\u202eb", "a\ufffdb"),
        ("dom\\worker é 矿 🪫", "dom\\worker é 矿 🪫"),
        (10**5000, None),
    ],
    ids=lambda value: ascii(str(value)[:20]) if isinstance(value, str) else "",
)
def test_a_text_can_be_stored(value: Any, text: str | None) -> None:
    """One lone surrogate would stop Home Assistant from saving the registries of all integrations."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "mac"),
    [
        ("ca:01:14:00:04:eb", "CA:01:14:00:04:EB"),
        ("CA-01-14-00-04-EB", "CA:01:14:00:04:EB"),
        ("ca01140004eb", "CA:01:14:00:04:EB"),
        ("00:00:00:00:00:00", None),
        ("ff:ff:ff:ff:ff:ff", None),
        ("01:00:5e:00:00:01", None),
        ("ca:01:14:00:04", None),
        ("ca:01:14:00:04:eb:00", None),
        ("ca:01-14:00:04:eb", None),
        ("../www/evil", None),
        ("", None),
        (123456789012, "12:34:56:78:90:12"),
        (None, None),
    ],
)
def test_a_mac_is_that_of_one_device(value: Any, mac: str | None) -> None:
    """What a miner reports here becomes the id of its entry, and must be no path and no other's."""
    assert as_mac(value) == mac


@pytest.mark.parametrize(
    ("seconds", "known"),
    [(1_700_000_000, True), (0, False), (100, False), (2**32, False), (1e300, False)],
)
def test_a_moment_is_a_date(seconds: float, known: bool) -> None:
    """A share would have been found in 1970, or in the year 584 billion."""
    assert (as_moment(seconds) is not None) is known


def test_objects() -> None:
    """A list where an object was expected is no reason to fail."""
    assert as_texts(["x"] * (MAX_ROWS + 1)) is None
    assert as_object({"a": 1}) == {"a": 1}
    assert as_object([1]) == {}
    assert as_objects([{"a": 1}, 2, None, [], {}]) == [{"a": 1}, {}]
    assert as_objects({"a": 1}) == []


def test_scaled_has_no_binary_dust() -> None:
    """The history would show 67.43935249000001 TH/s."""
    assert scaled(67439352.49, 1e-6, as_hashrate) == 67.43935249
    assert scaled("x", 1e-6, as_hashrate) is None
    assert scaled(0, 1e-3, as_nominal_hashrate) is None
    assert ratio(3312, 0, as_efficiency) is None
    assert ratio(None, 100, as_efficiency) is None


def test_first_and_pick() -> None:
    """0 and False are values; only None and a missing key are not."""
    assert first(None, 0, 5, default=9) == 0
    assert first(None, None, default=9) == 9
    assert pick({"vendor": 7, "vender": 1}, "vender", "vendor") == 1
    assert pick({"vendor": None}, "vender", "vendor") is None
    assert pick({"vender": "", "vendor": 0}, "vender", "vendor") == 0
    assert pick({}, "vender") is None


# Answers and their defects


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' \r\n{"a":1}\n', {"a": 1}),
        (b'{"a":1}\0\0', {"a": 1}),
        (b'{"a":1,}', {"a": 1}),
        (b'{"a":[1,2,]}', {"a": [1, 2]}),
        (b'{"a":"x\ny"}', {"a": "xy"}),
        (b'{"a":"x\ty"}', {"a": "xy"}),
        (b'{"a":[{"b":1}{"b":2}]}', {"a": [{"b": 1}, {"b": 2}]}),
        (b'{"a":[,{"b":1}]}', {"a": [{"b": 1}]}),
        (b'{"a":"1""temp0":"0"}', {"a": "1", "temp0": "0"}),
        (b'{"a":"""temp0":"0"}', {"a": "", "temp0": "0"}),
        (b'{"a":nan,"b":-nan,"c":inf,"d":-INF}', dict.fromkeys("abcd")),
        (b'{"a":NaN,"b":[Infinity,-Infinity]}', {"a": None, "b": [None, None]}),
        (b',"a":1}', {"a": 1}),
        (b',{"a":1}', {"a": 1}),
        (b'{"error_code":["329":"x"]}', {"error_code": {"329": "x"}}),
        (b'{"error_code": [ "3":"x", "4":"y"]}', {"error_code": {"3": "x", "4": "y"}}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"a":nan,"b":[{},{},],}', {"a": None, "b": [{}, {}]}),
        (rb'{"a":"\'x\'"}', {"a": "'x'"}),
        (rb'{"a":"dom\acc"}', {"a": r"dom\acc"}),
        (rb'{"a":"dom\user"}', {"a": r"dom\user"}),
        (rb'{"a":"\"\\\n\u00e9\x"}', {"a": '"\\\né\\x'}),
        (rb'{"a":"\ud800"}', {"a": "\ufffd"}),
        (rb'{"a":"\ud83e\udeab\udeab\\ud800"}', {"a": "\U0001faab\ufffd\\ud800"}),
        (b'{"a":{"b":1}}\0"id":1}', {"a": {"b": 1}}),
        (b'{"a":[1,]}\0{"a":2}\0', {"a": [1]}),
        (b'{"a":1e999}', {"a": None}),
        (b'{"a":' + b"9" * 400 + b"}", {"a": None}),
        (b'{"a":-' + b"9" * 19 + b",}", {"a": -1e19}),
    ],
)
def test_a_defect_is_repaired(raw: bytes, answer: JsonObject) -> None:
    """One stray comma of old firmware would make the miner unavailable."""
    assert parse_answer(raw) == answer


@pytest.mark.parametrize(
    "text",
    [
        "\\'",
        "dom\\acc",
        "a,}b",
        "a}{b",
        "a[,{b",
        "\0",
        ',{"',
        'x""temp0":',
        '"error_code":["329":"x"]',
        ":nan,",
        "line\nline",
    ],
)
def test_a_right_answer_is_never_repaired(text: str) -> None:
    """A pool worker with odd characters would be shown, and sent back, damaged."""
    answer = {"User": text}
    assert parse_answer(json.dumps(answer).encode()) == answer


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\n",
        b"{",
        b'{"a":',
        b'{"a":1',
        b'{"a":1,"b',
        b"[]",
        b"[{}]",
        b"1",
        b'"x"',
        b"null",
        b"NaN",
        b'{"a":1}{"b":2}',
        b'{"a":1} and more',
        b"HTTP/1.1 400 Bad Request\r\n\r\n<html>",
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000,
        b"\xff\xfe{}",
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_cannot_be_repaired_is_invalid(raw: bytes) -> None:
    """Half an answer, or none, must not become values."""
    with pytest.raises(InvalidAnswerError) as caught:
        parse_answer(raw)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    ['{"error_code":["1":"2",', '"error_code":["a":"', ", ", ":  ", '""a', "} ", "[ "],
)
def test_a_hostile_answer_costs_no_time(pattern: str) -> None:
    """A megabyte made for it would freeze all of Home Assistant, not only the miner."""
    with pytest.raises(InvalidAnswerError):
        parse_answer(pattern.encode() * (1 << 17) + b"x")
    assert as_float("9" * (1 << 20) + "x") is None


def test_btminer_down_in_any_wrapping() -> None:
    """A stopped miner would be taken for a broken one."""
    for raw in (
        b"Socket connect failed: Connection refused\n\0",
        b" Socket connect failed",
    ):
        with pytest.raises(BtminerDownError):
            parse_answer(raw)


def test_every_broken_capture_but_the_truncated_one_is_repaired() -> None:
    """Each of them was seen on a miner that someone owns."""
    broken = {path.name for path in CAPTURES.glob("broken_*")}
    assert len(broken) >= 14
    for name in broken - {"broken_truncated_pools.txt"}:
        assert parse_answer(capture(name))


@pytest.mark.parametrize(
    ("raw", "complete"),
    [
        (b"", False),
        (b"\0", False),
        (b'{"a":{}', False),
        (b'{"a":{}}', True),
        (b'{"a":{}}\n\0', True),
        (b'{"a":"}', False),
        (b"Socket connect failed: Connection refused\n", True),
        (b"Socket connect failed: Conn", False),
        (b'\xef\xbb\xbf{"a":{}}', True),
        (b'{"a":{}}{"a":{}}\n', True),
        (b'{"a":{}}{"b":{}}', False),
        (capture("broken_error_code_list.txt"), True),
        (capture("broken_trailing_comma.txt"), True),
        (capture("broken_truncated_pools.txt"), False),
        (b'{"a":' * 200_000 + b"}", False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_completeness(raw: bytes, complete: bool) -> None:
    """A miner that does not close would cost ten seconds per read, or half its answer."""
    assert is_complete(raw) is complete


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":1}' + b"\0" * 9, {"a": 1}),
        (b'{"a":1}' + b"\x09" * 9, {"a": 1}),
        (b'{"a":1}\n' + b"\x08" * 8, {"a": 1}),
        (b'{"a":1}' + b"\0" * 4 + b"rest!", {"a": 1}),
        (b'{"a":nan}' + b"\x07" * 7, {"a": None}),
        (b'{"a":NaN}', {"a": None}),
        (b'\xef\xbb\xbf{"a":1}\0', {"a": 1}),
        (rb'{"a":"\ud800"}' + b"\0", {"a": "\ufffd"}),
        (rb'{"a":"\'x\'"}' + b"\0", {"a": "'x'"}),
    ],
)
def test_padding_of_a_decrypted_answer(raw: bytes, answer: JsonObject) -> None:
    """A done command would be reported as unknown."""
    assert parse_padded(raw) == answer


@pytest.mark.parametrize("raw", [b"", b"\0" * 16, b"[1]", b"1", b"\xff" * 16, b'{"a"'])
def test_a_decrypted_answer_that_is_none(raw: bytes) -> None:
    """Garbage from a wrong key must not look like an answer."""
    with pytest.raises(InvalidAnswerError):
        parse_padded(raw)


# Faults, in all the forms that either port has for them


@pytest.mark.parametrize(
    ("listed", "faults"),
    [
        ([], ()),
        ({}, ()),
        ([206, "218", 206.0], (Fault(code=206), Fault(code=218))),
        (
            [{"code": "206", "desc": "Power input voltage error"}],
            (Fault(code=206, reason="Power input voltage error"),),
        ),
        (
            [{"code": 206, "reason": "Low.", "time": "2024-06-15 10:30:00"}],
            (Fault(code=206, reason="Low.", time="2024-06-15 10:30:00"),),
        ),
        (
            [{"531": "2025-03-12 14:52:35", "reason": "Slot1 not found."}],
            (Fault(code=531, time="2025-03-12 14:52:35", reason="Slot1 not found."),),
        ),
        (
            {"329": "x", "541": "y"},
            (Fault(code=329, time="x"), Fault(code=541, time="y")),
        ),
        ([{"329": "x"}, 110], (Fault(code=329, time="x"), Fault(code=110))),
        ({"1": "206", "2": 218}, (Fault(code=206), Fault(code=218))),
        ([{"0": "206"}], (Fault(code=206),)),
        ([{"7": "x"}], (Fault(code=7, time="x"),)),
        ([{"206": "110"}], (Fault(code=206, time="110"),)),
        (
            list(range(1, 7001)),
            tuple(Fault(code=code) for code in range(1, MAX_FAULTS + 1)),
        ),
        (
            {str(code): "" for code in range(1, 7001)},
            tuple(Fault(code=code) for code in range(1, MAX_FAULTS + 1)),
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_list_of_faults(listed: Any, faults: tuple[Fault, ...]) -> None:
    """A fault would be missed because of the firmware's way to write it down."""
    assert parse_fault_list(listed) == faults


@pytest.mark.parametrize(
    "listed",
    [
        None,
        "",
        "none",
        7,
        [{}],
        [None],
        ["fan"],
        [206, {"desc": "Power"}],
        [{"code": "E12"}],
        [-1],
        {"desc": "x"},
    ],
    ids=repr,
)
def test_a_fault_without_its_code(listed: Any) -> None:
    """No fault would be shown for a miner that reports one."""
    with pytest.raises(InvalidAnswerError):
        parse_fault_list(listed)


# Anything at all

SOME_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([HUGE, -HUGE, "9" * 5000, "nan", "-inf", "1e400", "-1", "true"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def objects_with(keys: set[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy:
    """Objects that have some of the keys a miner would send, with anything in them."""
    return st.dictionaries(st.sampled_from(sorted(keys)), values, max_size=12)


def keys_of(value: Any) -> set[str]:
    """All the keys of an answer, at any depth."""
    match value:
        case dict():
            return set(value).union(*(keys_of(item) for item in value.values()))
        case list():
            return set().union(*(keys_of(item) for item in value))
    return set()


KNOWN_KEYS = set().union(
    *(keys_of(json.loads(path.read_bytes())) for path in CAPTURES.glob("*.json"))
)
ROWS = SOME_JSON | objects_with(KNOWN_KEYS, SOME_JSON)
ANSWERS = objects_with(
    {
        "STATUS",
        "When",
        "Code",
        "Msg",
        "Description",
        "SUMMARY",
        "DEVS",
        "POOLS",
        "DEVDETAILS",
        "enc",
        "data",
    },
    ROWS | st.lists(ROWS, max_size=4),
)

PARSERS: list[Callable[[JsonObject], Any]] = [
    parse_summary,
    lambda answer: parse_boards(answer, None),
    lambda answer: parse_boards(answer, 1e-300),
    lambda answer: parse_boards(answer, 84.0),
    parse_pools,
    parse_psu,
    parse_status,
    parse_version,
    parse_model,
    parse_miner_info,
    parse_faults,
    is_challenge,
    lambda answer: refusal("x", answer),
]


def assert_sane(value: Any) -> None:
    """Every number of a model is finite, and every part of it is of a plain type."""
    match value:
        case float():
            assert math.isfinite(value)
        case tuple() | frozenset():
            for item in value:
                assert_sane(item)
        case dict():
            for item in value.values():
                assert_sane(item)
        case None | bool() | int() | str() | datetime() | WhatsminerError():
            pass
        case _:
            for field in dataclasses.fields(value):
                assert_sane(getattr(value, field.name))


@given(st.binary())
@example(b'{"STATUS":"S"}\0')
@example(b"Socket connect failed")
def test_any_bytes_are_an_object_or_an_error(raw: bytes) -> None:
    """A KeyError out of a poll would leave all entities dead until a restart."""
    for parse in (parse_answer, parse_padded):
        try:
            answer = parse(raw)
        except BtminerDownError, InvalidAnswerError:
            continue
        assert isinstance(answer, dict)
    assert is_complete(raw) in (True, False)


@given(st.data())
def test_any_damage_to_a_capture_is_an_object_or_an_error(data: st.DataObject) -> None:
    """The same, with bytes that nearly look right."""
    path = data.draw(st.sampled_from(sorted(CAPTURES.glob("*.*"))))
    raw = path.read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    try:
        answer = parse_answer(
            raw[:start] + data.draw(st.binary(max_size=4)) + raw[end:]
        )
    except BtminerDownError, InvalidAnswerError:
        return
    for parse in PARSERS:
        try:
            assert_sane(parse(answer))
        except WhatsminerError:
            continue


@given(ANSWERS)
@example({"Msg": {"api_ver": "9" * 5000}})
@example({"Msg": {"HS RT": 0.001, "Power": 1e308}})
@example({"Msg": {"mineroff": [], "power_mode": {}, "liquid_temp": [[]]}})
@example(
    {"Msg": {"error_code": {"x": 1}}, "DEVS": [{"Slot": HUGE, "MHS av": 1e308}] * 2}
)
@example({"Msg": {"error_code": [[], None, {"1": []}, HUGE]}})
@example({"Msg": {"Error Code Count": 1e300, "Error Code 0": "x"}})
@example({"POOLS": [{"Last Share Time": 1e300}, {"Last Share Time": -5}]})
@example({"STATUS": [], "Msg": {"enc": 1}})
@example({"enc": "AAAA", "STATUS": [None]})
def test_any_json_is_a_model_or_an_error(answer: JsonObject) -> None:
    """One odd field would take down the whole miner."""
    for parse in PARSERS:
        try:
            assert_sane(parse(answer))
        except WhatsminerError:
            continue
    try:
        assert isinstance(decrypt(answer, bytes(32)), dict)
    except WhatsminerError:
        return


@given(objects_with({"salt", "newsalt", "time"}, SOME_JSON))
@example({"salt": "\ud800", "newsalt": "x", "time": "1"})
def test_any_challenge_is_a_token_or_an_error(challenge: JsonObject) -> None:
    """A broken challenge would end the command with a traceback."""
    try:
        token = derive_token("Secret_1", challenge)
    except InvalidAnswerError:
        return
    assert len(token.aes_key) == 32


NUMBER_KEYS = sorted(KNOWN_KEYS - {"Power Mode", "MAC", "Firmware Version"})


@given(st.dictionaries(st.sampled_from(NUMBER_KEYS), st.sampled_from(NO_NUMBERS[4:])))
def test_no_number_is_ever_invented(fields: JsonObject) -> None:
    """A 0 that the miner did not say would stop an automation, or a heater."""
    if not fields:
        return
    summary = parse_summary({"Msg": fields})
    numbers = {
        field.name: value
        for field in dataclasses.fields(Summary)
        if (value := getattr(summary, field.name)) is not None
    }
    assert numbers == {}
    for board in parse_boards({"DEVS": [fields]}, None):
        assert (board.slot, board.hashrate, board.temperature) == (0, None, None)
        assert (board.frequency, board.chips, board.tuned) == (None, None, None)


# Who and what


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.0.5", (2, 0, 5)), ("whatsminer v1.4.0", (1, 4, 0)), ("x", ()), (None, ())],
)
def test_a_version_as_numbers(text: str | None, numbers: tuple[int, ...]) -> None:
    """2.0.10 comes after 2.0.9, which text would not know."""
    assert version_tuple(text) == numbers


@pytest.mark.parametrize(
    ("dialect", "version", "gentle"),
    [
        (Dialect.V1, "whatsminer v1.4.0", False),
        (Dialect.V2, "2.0.3", False),
        (Dialect.V2, "2.0.4", False),
        (Dialect.V2, "2.0.5", True),
        (Dialect.V2_2, "2.2.2", True),
        (Dialect.V2, None, False),
    ],
)
def test_who_knows_the_gentle_percent(
    dialect: Dialect, version: str | None, gentle: bool
) -> None:
    """Older firmware refuses it; newer would be stressed by the fast one."""
    assert has_gentle_percent(dialect, version) is gentle


@pytest.mark.parametrize(
    ("model", "cooling"),
    [
        ("M20SV10", "air"),
        ("M21S", "air"),
        ("M29", "air"),
        ("M30S++_VH70", "air"),
        ("M31S+_V100", "air"),
        ("M32V20", "air"),
        ("M50_VH84", "air"),
        ("M60S_VK40", "air"),
        ("m61s_vl10", "air"),
        ("M70_VM10", "air"),
        ("M33S++_VH20", "liquid"),
        ("M36S_VE10", "liquid"),
        ("M39_V10", "liquid"),
        ("M52S_VH10", "liquid"),
        ("M56S_VH30", "liquid"),
        ("M59_VH30", "liquid"),
        ("M62S+_VK10", "liquid"),
        ("M63S++_VL20", "liquid"),
        ("M64_VL30", "liquid"),
        ("M66S++_VM30", "liquid"),
        ("M79_VM10", "liquid"),
        ("M7BS_VM30", "liquid"),
        ("", None),
        ("Antminer S19", None),
        (None, None),
    ],
)
def test_the_cooling_of_a_model(model: str | None, cooling: str | None) -> None:
    """An air miner would be let above 100 percent, or a liquid one held below."""
    assert cooling_of(model) == cooling


HASHING = Summary(hashrate=100.0, hashrate_5s=101.0, stable=True)
FROZEN = Summary(hashrate=100.0, hashrate_5s=0.0, stable=True)
IDLE = Summary(hashrate=0.0, stable=False)
ON, OFF, SILENT = Status(off=False), Status(off=True), Status()
DOWN = BtminerDownError("down")


@pytest.mark.parametrize(
    ("dialect", "status", "summary", "error", "activity"),
    [
        (Dialect.V2, ON, HASHING, None, Activity.MINING),
        (Dialect.V2, ON, Summary(hashrate=9.0, stable=False), None, Activity.TUNING),
        (Dialect.V2, ON, Summary(hashrate=9.0), None, Activity.MINING),
        (Dialect.V2, ON, IDLE, None, Activity.STARTING),
        (Dialect.V2, ON, None, DOWN, Activity.RESTARTING),
        (Dialect.V2, ON, None, InvalidAnswerError("x"), None),
        (Dialect.V2, ON, Summary(power=15.0), None, None),
        (Dialect.V2, OFF, None, DOWN, Activity.STOPPED),
        (Dialect.V2, OFF, IDLE, None, Activity.STOPPED),
        # hashrates are means and fall slowly, so the flag is believed, except on 1.x
        (Dialect.V2, OFF, HASHING, None, Activity.STOPPED),
        (Dialect.V1, OFF, HASHING, None, Activity.MINING),
        (Dialect.V1, OFF, FROZEN, None, Activity.STOPPED),
        (Dialect.V1, OFF, None, DOWN, Activity.STOPPED),
        # without a flag, or without a status at all
        (Dialect.V2, SILENT, HASHING, None, Activity.MINING),
        (Dialect.V2, SILENT, None, DOWN, Activity.RESTARTING),
        (Dialect.V2_2, None, HASHING, None, Activity.MINING),
        # what does not hash may as well be stopped
        (Dialect.V2_2, None, IDLE, None, None),
        (Dialect.V1, None, None, DOWN, None),
        (Dialect.V2_2, None, None, None, None),
    ],
)
def test_what_the_miner_is_doing(
    dialect: Dialect,
    status: Status | None,
    summary: Summary | None,
    error: WhatsminerError | None,
    activity: Activity | None,
) -> None:
    """The mining switch would show the wrong side."""
    assert activity_of(dialect, status, summary, error) is activity


@pytest.mark.parametrize(
    ("word", "auto"),
    [
        ("auto", True),
        ("Auto ", True),
        ("1,200,100,0 0,200,100,0 ", False),
        ("manual", False),
        ("breathing", None),
        ("", None),
        (None, None),
        (1, None),
    ],
)
def test_the_mode_of_the_leds(word: Any, auto: bool | None) -> None:
    """A set-up would overwrite LEDs that are in use, or a check of the password be skipped."""
    assert as_led_auto(word) is auto


@pytest.mark.parametrize(
    ("word", "dhcp"),
    [("dhcp", True), ("DHCP", True), ("static", False), ("bootp", None), (None, None)],
)
def test_the_source_of_the_addresses(word: Any, dhcp: bool | None) -> None:
    """A miner would be said to have a fixed address because of a word that nobody knows."""
    assert as_dhcp(word) is dhcp

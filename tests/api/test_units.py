"""Units and spelling: every form in which firmware reports one value means the same."""

from collections.abc import Callable
from typing import Any

import pytest

from custom_components.whatsminer.api.models import Pool
from custom_components.whatsminer.api.parse import JsonObject
from custom_components.whatsminer.api.v2.protocol import (
    parse_boards,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
)

from . import parsed
from .test_captures import BOARDS, READ_IDS, READS

# The units of the boards (protocol.md#c3)


@pytest.mark.parametrize(
    ("summary_average", "board_averages", "expected"),
    [
        pytest.param(84.0, [28e6, 28e6, 28e6], [28, 28, 28], id="MH/s by the ratio"),
        pytest.param(84.0, [28, 28, 28], [28, 28, 28], id="TH/s by the ratio"),
        pytest.param(
            0.012,
            [4000, 4000, 4000],
            [0.004] * 3,
            id="MH/s by the ratio while starting",
        ),
        pytest.param(
            0.012, [0.004, 0.004, 0.004], [0.004] * 3, id="TH/s by the ratio as well"
        ),
        pytest.param(9000.0, [9000.0], [9000], id="TH/s of a giant by the ratio"),
        pytest.param(None, [28e6, 29e6], [28, 29], id="MH/s by the value"),
        pytest.param(0.0, [28e6, 29e6], [28, 29], id="MH/s, summary says 0"),
        pytest.param(None, [13.7, 14.0], [13.7, 14.0], id="TH/s by the value"),
        pytest.param(None, [9999.0], [9999.0], id="TH/s just below the border"),
        pytest.param(None, [10000.0], [0.01], id="MH/s on the border"),
        pytest.param(None, [0.0, 28e6], [0, 28], id="a dead board stays 0"),
        pytest.param(84.0, [0.0, 0.0], [0, 0], id="all boards 0"),
        pytest.param(84.0, [None, 28e6], [None, 28], id="one says nothing"),
    ],
)
def test_the_unit_of_the_boards(
    summary_average: float | None,
    board_averages: list[float | None],
    expected: list[float | None],
) -> None:
    """A wrong guess shows a board with a million times its hashrate, or a millionth."""
    rows = [{"Slot": slot, "MHS av": av} for slot, av in enumerate(board_averages)]
    boards = parse_boards({"DEVS": rows}, summary_average)
    assert [board.hashrate_average for board in boards] == expected


def test_the_unit_of_boards_without_an_average() -> None:
    """A board that has just begun would show a million times its hashrate."""
    (board,) = parse_boards({"DEVS": [{"HS RT": 28e6}]}, None)
    assert board.hashrate == 28


@pytest.mark.parametrize(
    ("rates", "hashrate"),
    [
        ({"HS RT": 96417231.65, "MHS av": 99793646.89}, 96.41723165),
        ({"HS RT": 96.41, "MHS av": 99793646.89}, 96.41),
        ({"HS RT": "14.5", "MHS av": 99793646.89}, 14.5),
        ({"HS RT": 0, "MHS av": 99793646.89}, 0),
        ({"HS RT": 40000.0, "MHS av": 99793646.89}, 0.04),
        ({"HS RT": 96.41}, 0.00009641),
        ({"MHS 5m": 96.41, "MHS av": 99793646.89}, 96.41),
    ],
    ids=str,
)
def test_the_unit_of_a_summary(rates: JsonObject, hashrate: float) -> None:
    """A miner would be shown with a millionth of its hashrate, as if it had stopped."""
    assert parse_summary({"SUMMARY": [rates]}).hashrate == hashrate


@pytest.mark.parametrize(
    ("electrics", "voltage", "current"),
    [
        ({"vin": "22400", "iin": "8718"}, 224, 8.718),
        ({"vin": "229.50", "iin": "14.23"}, 229.5, 14.23),
        ({"vin": 231.5, "iin": 15.43}, 231.5, 15.43),
        ({"vin": "-1", "iin": "-1"}, None, None),
        ({"vin": "0", "iin": "8718"}, None, None),
    ],
    ids=str,
)
def test_the_units_of_a_power_supply(
    electrics: JsonObject, voltage: float | None, current: float | None
) -> None:
    """229.5 V would be shown as 2.3 V, and 14 A as 14 mA."""
    psu = parse_psu({"Msg": electrics})
    assert (psu.input_voltage, psu.input_current) == (voltage, current)


def test_rows_are_bounded() -> None:
    """A hostile answer would create thousands of devices' entities for ever."""
    boards = parse_boards({"DEVS": [{"Slot": slot} for slot in range(4000)]}, None)
    assert [board.slot for board in boards] == list(range(16))
    assert len(parse_pools({"POOLS": [{}] * 4000})) == 16


def test_boards_are_sorted_by_slot() -> None:
    """Else board 0 would show the values of another after a change of order."""
    answer = {"DEVS": [{"Slot": 2}, {"ASC": 0}, {"Slot": "1", "ASC": 7}]}
    assert [board.slot for board in parse_boards(answer, None)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("row", "index"), [({"POOL": 0}, 0), ({"POOL": "2"}, 2), ({}, 0)]
)
def test_pools_keep_their_number(row: JsonObject, index: int) -> None:
    """2020 firmware counts from 0, later ones from 1."""
    assert parse_pools({"POOLS": [row]}) == (Pool(index=index),)


def test_a_stopped_miner_has_no_pools_in_use() -> None:
    """An empty list is an answer, not an error."""
    assert parse_pools({"POOLS": []}) == ()


# Spelling (rule 2 of section 0)


def respelt(value: Any, number: Callable[[Any], Any], truth: dict[bool, Any]) -> Any:
    """The same answer with all its numbers and booleans spelt in another way."""
    match value:
        case dict():
            return {key: respelt(item, number, truth) for key, item in value.items()}
        case list():
            return [respelt(item, number, truth) for item in value]
        case bool():
            return truth[value]
        case int() | float():
            return number(value)
    return value


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
        pytest.param(
            lambda value: f"{value:.20e}", {True: "ENABLE", False: "Disable"}, id="loud"
        ),
    ],
)
@pytest.mark.parametrize(("parser", "name", "model"), READS, ids=READ_IDS)
def test_spelling_does_not_matter(
    parser: Callable[[JsonObject], Any],
    name: str,
    model: Any,
    number: Callable[[Any], Any],
    truth: dict[bool, Any],
) -> None:
    """Another firmware spells the same value in another way and would show unknown."""
    assert parser(respelt(parsed(name), number, truth)) == model


@pytest.mark.parametrize("name", BOARDS)
def test_the_spelling_of_boards_does_not_matter(name: str) -> None:
    """As above, and the unit is still found."""
    average, boards = BOARDS[name]
    answer = respelt(parsed(name), str, {True: "true", False: "false"})
    assert parse_boards(answer, average) == boards


@pytest.mark.parametrize(
    ("spelling", "off"),
    [
        (True, True),
        ("true", True),
        ("True", True),
        (" TRUE ", True),
        (1, True),
        (1.0, True),
        ("1", True),
        ("enable", True),
        ("enabled", True),
        ("on", True),
        ("Y", True),
        ("yes", True),
        (False, False),
        ("false", False),
        ("FALSE", False),
        (0, False),
        (0.0, False),
        ("0", False),
        ("disable", False),
        ("Disabled", False),
        ("off", False),
        ("N", False),
        ("no", False),
        ("", None),
        (None, None),
        (2, None),
        ("maybe", None),
        ([], None),
        (["true"], None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("key", ["mineroff", "btmineroff"])
def test_the_stopped_flag_in_all_spellings(
    key: str, spelling: Any, off: bool | None
) -> None:
    """A mining miner would be shown as stopped, or the reverse."""
    answer = {"STATUS": "S", "Msg": {key: spelling, "FirmwareVersion": "1"}}
    assert parse_status(answer).off is off

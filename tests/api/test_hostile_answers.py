"""Hostile answers, from the parser to the states of all sensors: each is possible and can be stored."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
import json
import math
from typing import Any

from homeassistant.helpers.json import json_bytes
from hypothesis import given, strategies as st

from custom_components.whatsminer.api import Dialect, MinerInfo, MinerState
from custom_components.whatsminer.api.errors import WhatsminerError
from custom_components.whatsminer.api.parse import MAX_TEXT, parse_answer
from custom_components.whatsminer.api.v2 import protocol as v2
from custom_components.whatsminer.api.v3 import protocol as v3
from custom_components.whatsminer.sensor import SENSORS

from . import CAPTURES, capture

NAMES = sorted(path.name for path in CAPTURES.iterdir() if path.suffix != ".md")
HIGHEST = 10**15

hostile_values = st.one_of(
    st.sampled_from(
        [
            -1,
            0,
            65535,
            4294967295,
            2**63,
            18446744073709551615,
            10**400,
            -(10**30),
            1e308,
            "1e999",
            "nan",
            "\ud800",
            "\x1b[2J",
            "x" * 70_000,
            "../www/evil",
            "![x](http://evil.example)",
            "ff:ff:ff:ff:ff:ff",
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.none(),
    st.just([{}] * 4000),
    st.just({str(code): "" for code in range(7000)}),
)


def mutated(value: Any, draw: Callable[[], Any], chance: Callable[[], bool]) -> Any:
    """Return an answer in which some of the values are others."""
    match value:
        case dict():
            return {
                key: draw() if chance() else mutated(item, draw, chance)
                for key, item in value.items()
            }
        case list():
            return [mutated(item, draw, chance) for item in value]
        case _:
            return draw() if chance() else value


@st.composite
def hostile_answers(draw: st.DrawFn) -> bytes:
    """Return a real answer in which about one value of four is hostile."""
    try:
        answer = parse_answer(capture(draw(st.sampled_from(NAMES))))
    except WhatsminerError:
        return b"{}"
    changed = mutated(
        answer,
        lambda: draw(hostile_values),
        lambda: draw(st.integers(0, 3)) == 0,
    )
    return json.dumps(changed).encode()


def read(parse: Callable[[], Any]) -> Any:
    """Return a section, or None where it is refused."""
    try:
        return parse()
    except WhatsminerError:
        return None


def states_of(raw: bytes) -> list[MinerState]:
    """Return what both dialects make of an answer."""
    if (answer := read(lambda: parse_answer(raw))) is None:
        return []
    summary = read(lambda: v2.parse_summary(answer))
    average = summary and summary.hashrate_average
    older = {
        "info": read(lambda: v2.parse_version(answer)) or MinerInfo(dialect=Dialect.V2),
        "summary": summary,
        "boards": read(lambda: v2.parse_boards(answer, average)),
        "status": read(lambda: v2.parse_status(answer)),
        "pools": read(lambda: v2.parse_pools(answer)),
        "psu": read(lambda: v2.parse_psu(answer)),
        "faults": read(lambda: v2.parse_faults(answer)),
        "settings": read(lambda: v2.parse_settings(answer)),
    }
    message = read(lambda: v3.message_of("command", answer)) or {}
    newer = {
        "info": read(lambda: v3.parse_device(message)) or MinerInfo(dialect=Dialect.V3),
        "summary": read(lambda: v3.parse_summary(message, message)),
        "boards": read(lambda: v3.parse_boards(message)),
        "status": read(lambda: v3.parse_status(message, message)),
        "pools": read(lambda: v3.parse_pools(message, None)),
        "psu": read(lambda: v3.parse_psu(message)),
        "faults": read(lambda: v3.parse_faults(message)),
        "settings": read(lambda: v3.parse_settings(message, message, message, message)),
    }
    now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    return [MinerState(read_at=now, **sections) for sections in (older, newer)]


def assert_possible(value: Any) -> None:
    """Check every number and every text of a model."""
    match value:
        case float() | int():
            assert math.isfinite(value)
            assert abs(value) <= HIGHEST
        case str():
            assert len(value) <= MAX_TEXT
            value.encode()
        case tuple() | list() | frozenset():
            assert len(value) <= 100
            for item in value:
                assert_possible(item)
        case _ if is_dataclass(value):
            for field in fields(value):
                assert_possible(getattr(value, field.name))


@given(raw=hostile_answers())
def test_hostile_answers_become_possible_states(raw: bytes) -> None:
    """One answer would stop Home Assistant from saving, for all integrations, or raise in each poll."""
    for state in states_of(raw):
        for section in fields(state):
            assert_possible(getattr(state, section.name))
        shown = {sensor.key: sensor.value_fn(state) for sensor in SENSORS}
        json_bytes(shown)
        for value in shown.values():
            assert_possible(value)

"""Texts: every entity has a name, every error a sentence, nothing is left over."""

import ast
import json
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.whatsminer.api import INVALID, WhatsminerError
from custom_components.whatsminer.binary_sensor import BINARY_SENSORS
from custom_components.whatsminer.button import BUTTONS, RESET_SAVINGS, RESUME
from custom_components.whatsminer.climate import THERMOSTAT
from custom_components.whatsminer.controls import PERCENT_RESTARTED
from custom_components.whatsminer.event import FAULT
from custom_components.whatsminer.group import entities as group
from custom_components.whatsminer.money.economics import ECONOMICS
from custom_components.whatsminer.number import NUMBERS, POWER_TARGET
from custom_components.whatsminer.select import POWER_SOURCE, SELECTS
from custom_components.whatsminer.sensor import OWN_SENSORS, SENSORS, board_sensors
from custom_components.whatsminer.services.device import ACTIONS
from custom_components.whatsminer.switch import SWITCHES
from custom_components.whatsminer.update import FIRMWARE

HOUSE = Path(__file__).parents[2] / "custom_components" / "whatsminer"
TABLES = {
    "binary_sensor": BINARY_SENSORS,
    "button": (*BUTTONS, RESUME, RESET_SAVINGS),
    "climate": (THERMOSTAT,),
    "event": (FAULT,),
    "number": (*NUMBERS, POWER_TARGET, group.POWER_TARGET, group.RESERVE),
    "select": (*SELECTS, POWER_SOURCE),
    "sensor": (
        *SENSORS,
        *OWN_SENSORS,
        *ECONOMICS,
        *board_sensors(0),
        *group.SENSORS,
        group.ENERGY,
        group.STATUS,
    ),
    "switch": (*SWITCHES, group.MINING),
    "update": (FIRMWARE,),
}

GROUP_ERRORS = {
    "no_members",
    "in_other_group",
    "meter_missing",
    "limit_missing",
    "meter_too_slow",
    "meter_taken",
    "not_a_power",
}
"""What may be wrong in the form of a group."""


def load(name: str) -> dict[str, Any]:
    """Read one of the integration's JSON files."""
    return json.loads((HOUSE / name).read_text())


def errors_below(cls: type[WhatsminerError]) -> list[type[WhatsminerError]]:
    """Return all classes of errors that are made of another one."""
    below = cls.__subclasses__()
    return [*below, *(one for sub in below for one in errors_below(sub))]


def key_of(table: Any) -> str:
    """The key of an entity's texts: its own, unless its table names another one."""
    return table.translation_key or table.key


@pytest.mark.parametrize("platform", TABLES)
def test_every_entity_has_a_name(platform: str) -> None:
    """An entity without a name is called like its device."""
    named = load("translations/en.json")["entity"].get(platform, {})
    # The main entity has the name of its device.
    wanted = {key_of(table) for table in TABLES[platform] if table.name is not None}
    assert set(named) == wanted


@pytest.mark.parametrize("platform", TABLES)
def test_icons_belong_to_entities(platform: str) -> None:
    """An icon for nothing is a typing error that hides the icon of something."""
    keys = {key_of(table) for table in TABLES[platform]}
    assert set(load("icons.json")["entity"].get(platform, {})) <= keys


@pytest.mark.parametrize("platform", sorted(TABLES.keys() - {"climate"}))
def test_every_entity_has_an_icon(platform: str) -> None:
    """An entity without a class and an icon looks like any other one."""
    icons = load("icons.json")["entity"].get(platform, {})
    bare = {key_of(table) for table in TABLES[platform] if not table.device_class}
    assert bare <= icons.keys()


def test_every_error_has_a_sentence() -> None:
    """An error without a sentence shows its key."""
    texts = load("translations/en.json")
    sentences = {key: text["message"] for key, text in texts["exceptions"].items()}
    keys = {cls.key for cls in errors_below(WhatsminerError)} | {"unknown"}
    source = "\n".join(path.read_text() for path in HOUSE.rglob("*.py"))
    raised = set(re.findall(r'\b(?:_error|invalid|failed)\(\s*"(\w+)"', source))
    raised |= set(re.findall(r'_unauthorized\(call, "(\w+)"', source))
    raised |= {f"confirm_{action.name}" for action in ACTIONS if action.confirm}
    used = raised | set(re.findall(r'translation_key="(\w+)"', source))
    used |= {"activity_unknown", "percent_needs_tuning", "preheat_needs_stop"}
    used |= {PERCENT_RESTARTED}
    assert keys | raised <= set(sentences)
    assert set(sentences) - keys <= used | {f"invalid_{key}" for key in INVALID}
    for key, named in INVALID.items():
        wanted = {"name", *re.findall(r"{(\w+)}", named)}
        assert {*re.findall(r"{(\w+)}", sentences.pop(f"invalid_{key}"))} == wanted
    forms = texts["config"]["error"]
    assert set(forms) == keys | {"invalid_host", "still_curtailed"} | GROUP_ERRORS
    assert {key: forms[key] for key in keys} == {key: sentences[key] for key in keys}
    assert len(set(sentences.values())) == len(sentences)
    for sentence in sentences.values():
        assert sentence.endswith(".")
        assert set(re.findall(r"{(\w+)}", sentence)) <= {
            "account",
            "host",
            "command",
            "code",
            "message",
            "seconds",
            "expected",
            "found",
            "name",
            "port",
            "reason",
            "version",
            "address",
            "path",
            "platform",
            "actual",
            "count",
        }


def test_no_sentence_contains_the_text_of_an_exception() -> None:
    """A user would get an English half of a sentence; exceptions have a key for each language."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in HOUSE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.keyword | ast.Dict)
        for part in ast.walk(node)
        if isinstance(part, ast.Call)
        and ast.unparse(part) in ("str(err)", "str(error)", "repr(err)")
    ]
    assert found == []


def test_every_error_class_has_a_key() -> None:
    """A new error of the client must not end as `unknown`."""

    assert WhatsminerError.key == "unknown"
    assert [
        cls
        for cls in errors_below(WhatsminerError)
        if cls.key == "unknown" and not cls.__subclasses__()
    ] == []

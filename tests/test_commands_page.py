"""docs/commands.md: every command of the vendor is available in Home Assistant, and tested."""

import importlib.util
from pathlib import Path
import re
from types import ModuleType

import pytest
import yaml

from custom_components.whatsminer.api import COMMANDS, Dialect, Feature
from custom_components.whatsminer.binary_sensor import BINARY_SENSORS
from custom_components.whatsminer.button import BUTTONS
from custom_components.whatsminer.event import FAULT
from custom_components.whatsminer.number import NUMBERS, POWER_TARGET
from custom_components.whatsminer.select import SELECTS
from custom_components.whatsminer.sensor import SENSORS, board_sensors
from custom_components.whatsminer.switch import SWITCHES

from .components.test_actions import CASES
from .test_docs import exists

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "commands.md").read_text()
TABLES = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "event": (FAULT,),
    "number": (*NUMBERS, POWER_TARGET),
    "select": SELECTS,
    "sensor": (*SENSORS, *board_sensors(0)),
    "switch": SWITCHES,
}
ROWS = re.findall(r"^\| `([\w.]+)` \|(.*)\|$", PAGE, re.MULTILINE)


@pytest.fixture
def script() -> ModuleType:
    """Return scripts/commands_page.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "commands_page", ROOT / "scripts" / "commands_page.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale(script: ModuleType) -> None:
    """An outdated page would promise missing features, or hide existing ones."""
    assert script.page() == PAGE, "run scripts/commands_page.py"


def test_every_command_has_a_whole_row() -> None:
    """A user would not find a command without a row, or where it is and how it is tested."""
    assert [name for name, _ in ROWS] == [command.name for command in COMMANDS]
    known = {f"{dialect}.x" for dialect in Dialect}
    for name, rest in ROWS:
        cells = [cell.strip() for cell in rest.split("|")]
        assert len(cells) == 4, name
        assert all(cells), name
        dialects, cooling, place, proof = cells
        assert set(dialects.split()) <= known, name
        assert cooling in ("any", "air", "liquid"), name
        assert re.search(r"`\w+`|the device|adding the miner", place), name
        assert "::" in proof, name


ONLY_STORED = {"action.plan", "action.request_power", "action.reset_profile"}
"""They change what Home Assistant stores or decides, and send nothing themselves."""


def test_every_place_exists() -> None:
    """A user would search for an entity or an action that does not exist."""
    actions = yaml.safe_load(
        (ROOT / "custom_components" / "whatsminer" / "services.yaml").read_text()
    )
    keys = {
        platform: {description.key for description in table}
        for platform, table in TABLES.items()
    } | {"action": set(actions)}
    named = re.findall(r"(\w+) `(\w+)`", "".join(rest for _, rest in ROWS))
    assert len(named) > 100
    for platform, key in named:
        assert key in keys[platform], f"{platform} {key}"
    # Also: everything that commands a miner belongs to a command of the vendor.
    documented = {f"{platform}.{key}" for platform, key in named} | ONLY_STORED
    for platform in ("action", "button", "event", "number", "select", "switch"):
        for key in keys[platform]:
            assert f"{platform}.{key}" in documented


def test_every_proof_exists() -> None:
    """The page would promise a feature without a test."""
    proofs = set(re.findall(r"`((?!tests)[\w/]+\.py)::(\w+)`", PAGE))
    assert len(proofs) > 8
    for name, test in proofs:
        path = ROOT / "tests" / "components" / name
        assert exists(str(path.relative_to(ROOT)), test), f"{name}::{test}"
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE):
        assert exists(path, test), f"{path}::{test}"


def test_the_common_test_of_actions_has_them_all() -> None:
    """The page would name a test that does not cover the action."""
    for name, rest in ROWS:
        if "test_every_action_on_every_firmware" in rest:
            assert set(re.findall(r"action `(\w+)`", rest)) & set(CASES), name


def test_every_feature_has_its_place(script: ModuleType) -> None:
    """A feature of the client would not be available to users."""
    for feature in Feature:
        commands = [command for command in COMMANDS if feature in command.features]
        assert commands, feature
        for command in commands:
            assert script.places(command), feature


def test_a_stale_page_is_found(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The check would miss an outdated page, or the command not update it."""
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "PAGE", tmp_path / "commands.md")
    script.PAGE.write_text(PAGE.replace("`power_off`", "`power_out`"))
    monkeypatch.setattr("sys.argv", ["commands_page.py", "--check"])
    assert script.main() == 1
    assert "stale" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["commands_page.py"])
    assert script.main() == 0
    assert script.PAGE.read_text() == PAGE
    monkeypatch.setattr("sys.argv", ["commands_page.py", "--check"])
    assert script.main() == 0

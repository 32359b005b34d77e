"""Icons: every icon that we name exists."""

from importlib.util import find_spec
import json
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).parents[1]
CHECKED = frozenset((ROOT / "tests" / "checked_icons.txt").read_text().split())
"""Names that were compared with the list of the frontend."""
PLACES = (
    "custom_components/whatsminer/**/*.json",
    "custom_components/whatsminer/**/*.py",
    "custom_components/whatsminer/**/*.js",
    "custom_components/whatsminer/*.yaml",
    "blueprints/**/*.yaml",
    "dashboards/*",
    "demo/*.yaml",
    "docs/*.md",
    "README.md",
)


def used() -> set[str]:
    """Return the names of all icons in code, texts and examples."""
    return {
        name
        for place in PLACES
        for path in ROOT.glob(place)
        for name in re.findall(r"\bmdi:([a-z0-9-]+)", path.read_text())
    }


def test_icons_were_checked() -> None:
    """An icon that does not exist leaves a blank.

    A new name belongs into checked_icons.txt, after a look at the list of the frontend.
    """
    assert not used() - CHECKED


def test_icons_exist() -> None:
    """A frontend without one of them shows a blank."""
    spec = find_spec("hass_frontend")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the frontend is not installed")
    folder = Path(spec.submodule_search_locations[0])
    icons = json.loads((folder / "static" / "mdi" / "iconList.json").read_text())
    assert {icon["name"] for icon in icons} >= CHECKED

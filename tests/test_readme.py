"""The README and the pages for users: their statements must be true."""

import json
from pathlib import Path
import re

import pytest

from custom_components.whatsminer.api import INVALID
from custom_components.whatsminer.binary_sensor import BINARY_SENSORS
from custom_components.whatsminer.button import BUTTONS, RESET_SAVINGS, RESUME
from custom_components.whatsminer.calendar import PLAN
from custom_components.whatsminer.climate import THERMOSTAT
from custom_components.whatsminer.event import FAULT
from custom_components.whatsminer.money.economics import ECONOMICS
from custom_components.whatsminer.number import NUMBERS, POWER_TARGET
from custom_components.whatsminer.select import POWER_SOURCE, SELECTS
from custom_components.whatsminer.sensor import OWN_SENSORS, SENSORS, board_sensors
from custom_components.whatsminer.switch import SWITCHES
from custom_components.whatsminer.update import FIRMWARE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ENTITIES = (ROOT / "docs" / "entities.md").read_text()
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
ACTIONS = (ROOT / "docs" / "actions.md").read_text()
PUBLIC = "ha-whatsminer/ha-whatsminer"
TABLES = {
    "binary_sensor": BINARY_SENSORS,
    "button": (*BUTTONS, RESUME, RESET_SAVINGS),
    "calendar": (PLAN,),
    "climate": (THERMOSTAT,),
    "event": (FAULT,),
    "number": (*NUMBERS, POWER_TARGET),
    "select": (*SELECTS, POWER_SOURCE),
    "sensor": (*SENSORS, *OWN_SENSORS, *ECONOMICS, *board_sensors(0)),
    "switch": SWITCHES,
    "update": (FIRMWARE,),
}


def test_table_of_entities() -> None:
    """A user would not find an entity that is missing in the table or enabled in the table only."""
    rows = re.findall(
        r"^\| (\w+) \| (`.+?`[^|]*) \| [^|]+ \| (yes|no) \|", ENTITIES, re.MULTILINE
    )
    documented = {
        (platform, key): enabled == "yes"
        for platform, keys, enabled in rows
        for key in re.findall(r"`(\w+)`", keys)
    }
    assert documented == {
        (platform, description.key): description.entity_registry_enabled_default
        for platform, table in TABLES.items()
        for description in table
    }


def test_troubleshooting_quotes_real_sentences() -> None:
    """A user would not find an error on the page."""
    texts = json.loads(
        (ROOT / "custom_components/whatsminer/translations/en.json").read_text()
    )
    found = {key: text["message"] for key, text in texts["exceptions"].items()}
    sentences = list(found.values())
    wrong = [key for key in found if key.removeprefix("invalid_") in INVALID]
    section = "".join(
        page.split("## What it says")[1].split("##")[0]
        for page in (TROUBLESHOOTING, ACTIONS)
    )
    quoted = re.findall(r"^\| (?!It says)(.+?) \| ", section, re.MULTILINE)
    # All but the unexpected; what is wrong with a value has one line in its place.
    assert len(quoted) == len(sentences) - len(wrong)
    for quote in quoted:
        parts = [part.strip() for part in quote.split("...") if part.strip()]
        assert any(all(part in sentence for part in parts) for sentence in sentences), (
            quote
        )


def test_links_of_the_readme() -> None:
    """Outside of GitHub, a relative link or picture would not work."""
    targets = re.findall(r"(?:\]\(|^\[.+\]: )([^)\s]+)", README, re.MULTILINE)
    assert all(target.startswith("https://") for target in targets)
    own = [
        re.sub(rf"^https://\S+/{PUBLIC}/(blob/)?main/", "", target)
        for target in targets
        if PUBLIC in target
    ]
    assert len(own) > 5
    for target in own:
        assert (ROOT / target).exists(), target
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= {
        Path(target).name for target in own
    }, "a page that nothing leads to"


LINKED = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
    *sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
]
OWN = re.compile(
    rf"https://\S+?/{PUBLIC}/(?:blob/)?main/([^)\s\"]+?)[.,]?(?=[)\s\"]|$)",
    re.MULTILINE,
)
RELATIVE = re.compile(r"(?:\]\(|^\[[^\]]+\]: )([^)\s:]+)(?=[)\s])", re.MULTILINE)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link would lead to nothing."""
    text = page.read_text()
    targets = [(ROOT, target) for target in OWN.findall(text)]
    targets += [(page.parent, target) for target in RELATIVE.findall(text)]
    for folder, target in targets:
        name, _, anchor = target.partition("#")
        linked = folder / name if name else page
        assert linked.exists(), target
        if not anchor:
            continue
        headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
        anchors = {
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
            for heading in headings
        }
        assert anchor in anchors, target


def test_no_link_to_a_heading_of_the_start_page() -> None:
    """Links to the repository's start page would miss headings that moved to another page."""
    for page in LINKED:
        for anchor in re.findall(rf"/{PUBLIC}#([\w-]+)", page.read_text()):
            assert f"\n## {anchor.capitalize()}" in README, f"{page.name}: #{anchor}"


def test_texts_are_short() -> None:
    """Users would not read long paragraphs."""
    assert len(README.splitlines()) < 130

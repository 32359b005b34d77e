"""The README and the pages for users: what people read first must be true."""

import json
from pathlib import Path
import re

import pytest

from custom_components.whatsminer.binary_sensor import BINARY_SENSORS
from custom_components.whatsminer.button import BUTTONS, RESUME
from custom_components.whatsminer.event import FAULT
from custom_components.whatsminer.money.economics import ECONOMICS
from custom_components.whatsminer.number import NUMBERS, POWER_TARGET
from custom_components.whatsminer.select import POWER_SOURCE, SELECTS
from custom_components.whatsminer.sensor import OWN_SENSORS, SENSORS, board_sensors
from custom_components.whatsminer.switch import SWITCHES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ENTITIES = (ROOT / "docs" / "entities.md").read_text()
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
ACTIONS = (ROOT / "docs" / "actions.md").read_text()
PUBLIC = "ha-whatsminer/ha-whatsminer"
TABLES = {
    "binary_sensor": BINARY_SENSORS,
    "button": (*BUTTONS, RESUME),
    "event": (FAULT,),
    "number": (*NUMBERS, POWER_TARGET),
    "select": (*SELECTS, POWER_SOURCE),
    "sensor": (*SENSORS, *OWN_SENSORS, *ECONOMICS, *board_sensors(0)),
    "switch": SWITCHES,
}


def test_table_of_entities() -> None:
    """An entity that the table leaves out, or calls on when it is off, is not found."""
    rows = re.findall(
        r"^\| (\w+) \| (`.+?`[^|]*) \| [^|]+ \| (yes|no) \|", ENTITIES, re.MULTILINE
    )
    told = {
        (platform, key): enabled == "yes"
        for platform, keys, enabled in rows
        for key in re.findall(r"`(\w+)`", keys)
    }
    assert told == {
        (platform, description.key): description.entity_registry_enabled_default
        for platform, table in TABLES.items()
        for description in table
    }


def test_troubleshooting_quotes_real_sentences() -> None:
    """Who searches the page for an error must find it."""
    texts = json.loads(
        (ROOT / "custom_components/whatsminer/translations/en.json").read_text()
    )
    sentences = [text["message"] for text in texts["exceptions"].values()]
    section = "".join(
        page.split("## What it says")[1].split("##")[0]
        for page in (TROUBLESHOOTING, ACTIONS)
    )
    quoted = re.findall(r"^\| (?!It says)(.+?) \| ", section, re.MULTILINE)
    assert len(quoted) == len(sentences) - 1  # all but the unexpected
    for quote in quoted:
        parts = [part.strip() for part in quote.split("...") if part.strip()]
        assert any(all(part in sentence for part in parts) for sentence in sentences), (
            quote
        )


def test_links_of_the_readme() -> None:
    """It is shown far from its repository too, so a relative link or picture leads nowhere."""
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
    """A link into nothing is found by the reader who needs it."""
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
    """The start page of a repository is its README, whose headings may move to a page."""
    for page in LINKED:
        for anchor in re.findall(rf"/{PUBLIC}#([\w-]+)", page.read_text()):
            assert f"\n## {anchor.capitalize()}" in README, f"{page.name}: #{anchor}"


def test_texts_are_short() -> None:
    """A wall of text is not read."""
    assert len(README.splitlines()) < 130

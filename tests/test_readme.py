"""The README: what people read first must be true."""

import json
from pathlib import Path
import re

from custom_components.whatsminer.binary_sensor import BINARY_SENSORS
from custom_components.whatsminer.button import BUTTONS
from custom_components.whatsminer.economics import ECONOMICS
from custom_components.whatsminer.number import NUMBERS, POWER_TARGET
from custom_components.whatsminer.select import SELECTS
from custom_components.whatsminer.sensor import OWN_SENSORS, SENSORS, board_sensors
from custom_components.whatsminer.switch import SWITCHES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLES = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "number": (*NUMBERS, POWER_TARGET),
    "select": SELECTS,
    "sensor": (*SENSORS, *OWN_SENSORS, *ECONOMICS, *board_sensors(0)),
    "switch": SWITCHES,
}


def test_table_of_entities() -> None:
    """An entity that the table leaves out, or calls on when it is off, is not found."""
    rows = re.findall(
        r"^\| (\w+) \| (`.+?`[^|]*) \| [^|]+ \| (yes|no) \|", README, re.MULTILINE
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
    """Who searches the README for an error must find it."""
    texts = json.loads(
        (ROOT / "custom_components/whatsminer/translations/en.json").read_text()
    )
    sentences = [text["message"] for text in texts["exceptions"].values()]
    section = README.split("## Troubleshooting")[1].split("###")[0]
    quoted = re.findall(r"^\| (.+?) \| ", section, re.MULTILINE)[1:]
    assert len(quoted) == len(sentences) - 1  # all but the unexpected
    for quote in quoted:
        parts = [part.strip() for part in quote.split("...") if part.strip()]
        assert any(all(part in sentence for part in parts) for sentence in sentences), (
            quote
        )


def test_links_lead_somewhere() -> None:
    """A picture or page that is not there is the first thing a newcomer sees."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target

"""docs/firmware.md: what it promises of each firmware is proven by a test that exists."""

from pathlib import Path
import re

import pytest

from simulator import PROFILES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "firmware.md").read_text()
COLUMNS = re.search(r"^\| Simulated miners \|(.+)\|$", TEXT, re.MULTILINE)
ROWS = re.findall(r"^\| ([^|]+) \|(.+)\| `(tests/\S+)` \|$", TEXT, re.MULTILINE)


def test_every_miner_is_in_the_table() -> None:
    """A generation that nobody tests must not be promised."""
    assert COLUMNS
    assert set(re.findall(r"`(\w+)`", COLUMNS[1])) == set(PROFILES)


@pytest.mark.parametrize(
    ("feature", "cells", "proof"), ROWS, ids=[row[0] for row in ROWS]
)
def test_every_cell_has_its_proof(feature: str, cells: str, proof: str) -> None:
    """A promise without a test is a hope."""
    assert len(cells.split("|")) == 4
    path, name = proof.split("::")
    source = (ROOT / path).read_text()
    assert re.search(rf"^async def {name}\(", source, re.MULTILINE), proof


def test_there_is_a_table() -> None:
    """The tests above would pass on an empty page."""
    assert len(ROWS) > 10

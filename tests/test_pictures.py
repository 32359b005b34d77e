"""Pictures: every picture of a page exists, is small enough to load, and has an alternative text."""

from pathlib import Path
import re

import pytest

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
RAW = "https://raw.githubusercontent.com/ha-whatsminer/ha-whatsminer/main/"


def shown(page: Path) -> list[tuple[str, Path]]:
    """Return the pictures of a page: alternative text and path."""
    return [
        (
            words,
            ROOT / target.removeprefix(RAW)
            if target.startswith(RAW)
            else (page.parent / target).resolve(),
        )
        for words, target in PICTURE.findall(page.read_text())
        if target.startswith(RAW) or "://" not in target
    ]


def taken() -> set[str]:
    """Return the pictures that scripts/screenshots takes, by the names in its table."""
    source = (ROOT / "scripts" / "screenshots.py").read_text()
    table = source[source.index("PICTURES:") : source.index("async def live")]
    blueprints = (ROOT / "blueprints" / "automation" / "whatsminer").glob("*.yaml")
    return {
        *re.findall(r'^    "([\w-]+)":', table, re.MULTILINE),
        *(f"blueprint-{path.stem.replace('_', '-')}" for path in blueprints),
    }


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_picture_is_there(page: Path) -> None:
    """A newcomer would see a broken picture; a blind user would have no text for it."""
    for words, picture in shown(page):
        assert picture.is_file(), picture
        assert len(words) > 10, f"{picture.name} says nothing of what it shows"


def test_no_picture_is_left_over() -> None:
    """A picture that no page shows would become outdated, and still be downloaded."""
    used = {picture for page in PAGES for _, picture in shown(page)}
    assert {*IMAGES.iterdir()} == used


def test_every_picture_can_be_taken_again() -> None:
    """A picture that is taken manually would be wrong after the next change."""
    assert {picture.stem for picture in IMAGES.iterdir()} == taken()


def test_pictures_are_small() -> None:
    """A user with a phone would wait for megabytes."""
    for picture in IMAGES.iterdir():
        assert picture.stat().st_size < 150_000, picture.name

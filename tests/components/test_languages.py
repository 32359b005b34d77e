"""Languages: each says all that English says, with the same placeholders."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
import pytest

from custom_components.whatsminer.const import DOMAIN

FOLDER = Path(__file__).parents[2] / "custom_components" / "whatsminer" / "translations"
LANGUAGES = (
    "de",
    "es",
    "fr",
    "it",
    "nl",
    "pl",
    "pt-BR",
    "ru",
    "sv",
    "uk",
    "zh-Hans",
)
KEPT = re.compile(r"\{\w+\}|`[^`]+`|\[%key:[^\]]+%\]")
"""What no language changes: placeholders, code, and references to other texts."""

FOREIGN = {"ru": "а-я", "uk": "а-яіїєґ", "zh-Hans": "\u4e00-\u9fff"}
"""The letters of languages that do not use ours."""


def flat(texts: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts with their paths."""
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield path + key, value


def load(language: str) -> dict[str, str]:
    """The texts of a language by path."""
    return dict(flat(json.loads((FOLDER / f"{language}.json").read_text())))


ENGLISH = load("en")


def test_all_are_here() -> None:
    """A language that was promised, and is not there, is English without a word."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted((*LANGUAGES, "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_says_all(language: str) -> None:
    """A text that is missing is shown in English; one too many is never shown."""
    assert list(load(language)) == list(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_keeps_what_is_filled_in(language: str) -> None:
    """Where a placeholder differs the whole sentence is replaced by an error of the frontend."""
    texts = load(language)
    for path, english in ENGLISH.items():
        assert sorted(KEPT.findall(texts[path])) == sorted(KEPT.findall(english)), path


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_means_what_is_written(language: str) -> None:
    """In these texts an apostrophe before a brace quotes it, and < begins a tag."""
    for path, text in load(language).items():
        assert not re.search(r"'[{}<]|<", text), path
        assert text == text.strip(), path
        assert text, path


@pytest.mark.parametrize("language", LANGUAGES)
def test_is_translated(language: str) -> None:
    """A sentence that stayed English is not understood by the one who needs it."""
    texts = load(language)
    sentences = [path for path, text in ENGLISH.items() if len(text) > 40]
    assert not [path for path in sentences if texts[path] == ENGLISH[path]]
    if letters := FOREIGN.get(language):
        assert not [
            path
            for path in sentences
            if not re.search(f"[{letters}]", texts[path], re.IGNORECASE)
        ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_those_of_the_entities(language: str) -> None:
    """A user could not distinguish two entities with the same name."""
    texts = load(language)
    for platform in ("sensor", "binary_sensor", "switch", "number", "select", "button"):
        names = {
            path: text
            for path, text in texts.items()
            if re.fullmatch(rf"entity\.{platform}\.\w+\.name", path)
        }
        assert names
        # A group is another device than a miner.
        group = [text for path, text in names.items() if ".group_" in path]
        miner = [text for path, text in names.items() if ".group_" not in path]
        for device in (group, miner):
            assert len(set(device)) == len(device)


@pytest.mark.usefixtures("coordinator")
async def test_is_loaded(hass: HomeAssistant) -> None:
    """Home Assistant drops texts whose placeholders it does not know, with a line in the log."""
    for language in LANGUAGES:
        loaded = await async_get_translations(hass, language, "exceptions", [DOMAIN])
        assert loaded == {
            f"component.{DOMAIN}.{path}": text
            for path, text in load(language).items()
            if path.startswith("exceptions.")
        }

"""The rules of the house that no other test would notice."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
import re
import subprocess

import pytest

ROOT = Path(__file__).parent.parent
API = "custom_components/whatsminer/api"
SIMULATOR = "simulator"

# Regular expressions that do not match themselves, so that this file is not the first finding.
OUTSIDE = [r"\.\./shared", r"(?<![\w.])/[w]ork\b"]
REGISTRIES = [
    r"pypi\.org",
    r"pythonhosted\.org",
    r"npmjs\.(?:org|com)",
    r"crates\.io",
    r"proxy\.golang\.org",
    r"deb\.debian\.org",
]


@cache
def tracked() -> list[Path]:
    """All files that are, or are about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, also within functions."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                above = package[: len(package) - node.level + 1] if node.level else ()
                module = ".".join((*above, *filter(None, [node.module])))
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)


def importers(folder: str, forbidden: str) -> list[str]:
    """The files of a folder that import what they must not."""
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imports(path)
        if f"{name}.".startswith(f"{forbidden}.")
    ]


def test_imports_are_seen() -> None:
    """The tests below would be green for ever if nothing were found."""
    seen = set(imports(ROOT / API / "v2" / "miner.py"))
    assert "asyncio" in seen
    assert "custom_components.whatsminer.api.transport.exchange" in seen


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        pytest.param(API, "homeassistant", id="the client stands alone"),
        pytest.param(SIMULATOR, "homeassistant", id="so does the simulator"),
        pytest.param(API, "simulator", id="the client does not know the simulator"),
        pytest.param(SIMULATOR, "custom_components", id="nor the simulator the client"),
        pytest.param("custom_components", "simulator", id="nor does the integration"),
        pytest.param("custom_components", "tests", id="tests stay outside"),
        pytest.param(SIMULATOR, "tests", id="tests stay outside the simulator"),
    ],
)
def test_nobody_imports_what_it_must_not(folder: str, forbidden: str) -> None:
    """A shared helper would hide a shared mistake; the client would not be reusable."""
    assert importers(folder, forbidden) == []


def test_the_client_reaches_up_to_nothing() -> None:
    """An import of the integration from the client would bring in Home Assistant."""
    outside = [
        f"{path.name}: {name}"
        for path in (ROOT / API).glob("*.py")
        for name in imports(path)
        if name.startswith("custom_components")
        and not f"{name}.".startswith("custom_components.whatsminer.api.")
    ]
    assert outside == []


def matches(patterns: list[str]) -> list[str]:
    """Where one of these stands in the repository."""
    wanted = re.compile("|".join(patterns).encode())
    return [
        f"{path.relative_to(ROOT)}: {found.group().decode()}"
        for path in tracked()
        for found in wanted.finditer(path.read_bytes())
    ]


def test_nothing_points_outside_the_repository() -> None:
    """A reader of a clone would follow it into nothing."""
    assert matches(OUTSIDE) == []


def test_no_package_registry_is_named() -> None:
    """Whoever installs from another one, or from none, must be able to."""
    assert matches(REGISTRIES) == []


def test_the_search_finds_something() -> None:
    """The two tests above would be green for ever if nothing were searched."""
    assert len(tracked()) > 50
    assert matches(["The rules of the house that no other"]) != []

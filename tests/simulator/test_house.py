"""The simulator stands alone: it is the client's witness, and shares nothing with it."""

import ast
from pathlib import Path

import pytest

import simulator

FILES = sorted(Path(simulator.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_nothing_of_the_integration(file: Path) -> None:
    """If it failed: a shared helper could hide a mistake that client and simulator share."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module), level=0):
                names = [module]
            case _:
                continue
        for name in names:
            assert name.split(".")[0] not in (
                "homeassistant",
                "custom_components",
                "tests",
            )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_first_line_says_what_it_is(file: Path) -> None:
    """If it failed: a reader would have to open every file to find the one he needs."""
    assert file.read_text().startswith('"""')

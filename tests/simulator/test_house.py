"""The simulator is independent: it verifies the client, and shares no code with it."""

import ast
from pathlib import Path

import pytest

import simulator

FILES = sorted(Path(simulator.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_nothing_of_the_integration(file: Path) -> None:
    """If it failed: shared code could hide a mistake in both client and simulator."""
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
def test_every_file_has_a_docstring(file: Path) -> None:
    """If it failed: a reader would have to open every file to find the right one."""
    assert file.read_text().startswith('"""')

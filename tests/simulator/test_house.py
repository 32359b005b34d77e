"""The simulator is independent: it verifies the client, and shares no code with it."""

import ast
from pathlib import Path

import pytest

import simulator

from .conftest import Python
from .interop import pins

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


def test_a_client_that_cannot_be_installed_is_skipped(interop_python: Python) -> None:
    """If it failed: without a package registry the tests of this project would fail."""
    with pytest.raises(pytest.skip.Exception, match="nobody cannot be installed: "):
        interop_python("nobody", ["nobody @ file:///nonexistent"])


def test_every_client_is_pinned() -> None:
    """If it failed: a client would be installed in whatever version is the newest."""
    clients = ("pyasic", "pyasic-rs", "whatsminer", "pywhatsminer")
    assert [pin.partition("==")[0] for pin in pins(*clients)] == sorted(clients)

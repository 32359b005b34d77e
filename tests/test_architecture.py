"""The rules of the code that no other test checks."""

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
    """Return all files of the repository, also new ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def imports(path: Path) -> Iterator[str]:
    """Return the full names of all modules that a file imports, also within functions."""
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
    """Return the files of a folder that import forbidden modules."""
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imports(path)
        if f"{name}.".startswith(f"{forbidden}.")
    ]


def test_imports_are_seen() -> None:
    """The tests below would always pass if nothing were found."""
    seen = set(imports(ROOT / API / "v2" / "miner.py"))
    assert "asyncio" in seen
    assert "custom_components.whatsminer.api.transport.begin_transfer" in seen


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
def test_no_forbidden_imports(folder: str, forbidden: str) -> None:
    """Shared code would hide a shared mistake; the client would not be reusable."""
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
    """Return where one of these is in the repository."""
    wanted = re.compile("|".join(patterns).encode())
    return [
        f"{path.relative_to(ROOT)}: {found.group().decode()}"
        for path in tracked()
        for found in wanted.finditer(path.read_bytes())
    ]


def test_nothing_points_outside_the_repository() -> None:
    """A reader would follow a path that does not exist in a clone."""
    assert matches(OUTSIDE) == []


def test_no_package_registry_is_named() -> None:
    """A user could not install from another package index, or without one."""
    assert matches(REGISTRIES) == []


def test_the_search_finds_something() -> None:
    """The two tests above would always pass if nothing were searched."""
    assert len(tracked()) > 50
    assert matches(["The rules of the house that no other"]) != []


COMPONENT = "custom_components/whatsminer"
PLATFORMS = (
    "binary_sensor",
    "button",
    "calendar",
    "climate",
    "event",
    "number",
    "select",
    "sensor",
    "switch",
)

FLOORS: tuple[tuple[str, ...], ...] = (
    ("api", "const"),
    ("exceptions", "issues"),
    ("store",),
    ("coordinator",),
    ("write_access",),
    ("commander",),
    ("controls",),
    ("entity", "faults"),
    ("power", "money", "heat"),
    ("runtime",),
    ("group",),
    ("services", "config_flow", "repairs", "diagnostics", *PLATFORMS),
)
"""The floors from bottom to top: a module imports from its own floor and those below."""

PURE = (
    "api/capabilities.py",
    "api/catalog.py",
    "api/identity.py",
    "api/models.py",
    "api/parse.py",
    "api/validation.py",
    "api/v2/crypto.py",
    "api/v2/protocol.py",
    "api/v3/protocol.py",
    "group/allocation.py",
    "group/events.py",
    "group/sharing.py",
    "group/site.py",
    "group/totals.py",
    "heat/thermostat.py",
    "money/plan.py",
    "money/profile.py",
    "money/units.py",
    "power/policy.py",
    "power/record.py",
)
"""The modules that decide: tested with tables, without Home Assistant and event loop."""


@cache
def graph() -> dict[str, set[str]]:
    """Return for each module of the integration the modules that it imports, at any time."""
    root = ROOT / COMPONENT
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in root.rglob("*.py")
    }

    def known(name: str) -> str | None:
        """Return the module of a name."""
        while name and name not in names:
            name = name.rpartition(".")[0]
        return name or None

    return {
        module: {
            found
            for name in imports(path)
            # `from .. import transport` names the package that a module is in.
            if (found := known(name)) and not f"{module}.".startswith(f"{found}.")
        }
        for module, path in names.items()
    }


def test_no_cycle() -> None:
    """With a cycle, even for types only, two files could only be understood together."""
    rest = {module: set(uses) for module, uses in graph().items()}
    while free := {module for module, uses in rest.items() if not uses & rest.keys()}:
        for module in free:
            del rest[module]
    assert not rest, f"in a cycle, or above one: {sorted(rest)}"


def floor_of(module: str) -> int | None:
    """Return the floor of a module, None for one that is on no floor."""
    parts = module.split(".")[2:]
    return next(
        (i for i, rooms in enumerate(FLOORS) if parts and parts[0] in rooms), None
    )


def test_imports_go_down() -> None:
    """A lower floor could not work or be tested without a higher one."""
    wrong = [
        f"{module} -> {used}"
        for module, uses in graph().items()
        for used in uses
        if (here := floor_of(module)) is not None
        and (there := floor_of(used)) is not None
        and there > here
    ]
    assert not wrong


def test_what_decides_is_pure() -> None:
    """A decision that needs an event loop would be slow to test, and so be tested less."""
    found = [
        f"{name}: {imported}"
        for name in PURE
        if (path := ROOT / COMPONENT / name).exists()
        for imported in imports(path)
        if imported.split(".")[0] in ("homeassistant", "asyncio")
    ]
    assert not found


WIRE_WORDS = re.compile(
    r"""\bDialect\b|["'](?:Msg|msg|STATUS|[gs]et\.[a-z_]+\.[a-z_]+)["']"""
)


def test_only_the_client_knows_the_dialects() -> None:
    """A new generation of firmware would need changes in every package."""
    root = ROOT / COMPONENT
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "api" not in path.relative_to(root).parts
        and WIRE_WORDS.search(path.read_text())
    }
    assert found == set()


def test_functions_are_short() -> None:
    """A newcomer would lose the thread in a function that does not fit on a page."""
    functions = [
        (path.name, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for path in (ROOT / COMPONENT).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert not [found for found in functions if found[2] > 60]

"""docs/: every promise of the pages has a test that exists."""

from dataclasses import dataclass
import json
from pathlib import Path
import re
import subprocess
import sys

import pytest

from simulator import DEVIATIONS, FAILURES, FOREIGN, PROFILES
from simulator.failures import ERRORS

ROOT = Path(__file__).parents[1]
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def read(name: str) -> str:
    """Return a page, with the test in place of each number of its list of proofs."""
    page = (ROOT / "docs" / name).read_text()
    proofs = dict(re.findall(r"^\| (\d+) \| (`tests/\S+`) \|$", page, re.MULTILINE))
    return re.sub(r"\[(\d+)\]\(#proofs\)", lambda found: proofs[found[1]], page)


def exists(path: str, name: str) -> bool:
    """Return whether a test exists."""
    source = (ROOT / path).read_text()
    return re.search(rf"^(async )?def {name}\(", source, re.MULTILINE) is not None


# docs/firmware.md

COLUMNS = re.search(
    r"^\| Simulated miners \|(.+)\|$", read("firmware.md"), re.MULTILINE
)
ROWS = re.findall(
    r"^\| ([^|]+) \|(.+)\| `(tests/\S+)` \|$", read("firmware.md"), re.MULTILINE
)


def test_every_miner_is_in_the_table() -> None:
    """The page would promise a generation that is not tested."""
    assert COLUMNS
    assert set(re.findall(r"`(\w+)`", COLUMNS[1])) == set(PROFILES | FOREIGN)


@pytest.mark.parametrize(
    ("feature", "cells", "proof"), ROWS, ids=[row[0] for row in ROWS]
)
def test_every_cell_has_its_proof(feature: str, cells: str, proof: str) -> None:
    """The page would promise a feature without a test."""
    assert len(cells.split("|")) == 4
    assert exists(*proof.split("::"))


def test_every_row_names_its_witness() -> None:
    """An owner would take what was only inferred for what somebody saw on a miner."""
    page, protocol = read("firmware.md"), read("protocol.md")
    tags = {
        tag.strip()
        for names in re.findall(
            r"^\| ([\w, -]+) \| .+ \| .+ \|$", protocol, re.MULTILINE
        )
        for tag in names.split(",")
    }
    table = page[page.index("## Witnesses") :]
    rows = dict(re.findall(r"^\| ([^|]+) \|(.+)\|$", table, re.MULTILINE)[1:])
    assert [*rows] == [feature for feature, *_ in ROWS]
    captures = {file.stem for file in (ROOT / "tests/api/captures").iterdir()}
    for feature, cells in rows.items():
        for cell in cells.split("|"):
            assert set(re.findall(r"`(\w+)`", cell)) <= captures, feature
            words = set(re.findall(r"[\w-]+", re.sub(r"`\w+`", "", cell)))
            assert words & (tags | {"inferred"}), f"{feature}: {cell}"


def test_there_is_a_table() -> None:
    """The tests above would pass on an empty page."""
    assert len(ROWS) > 10


# docs/reliability.md


@dataclass(frozen=True)
class FailureRow:
    """A row of the table of failures."""

    failures: tuple[str, ...]
    over_4028: str
    over_4433: str
    command: str


def failure_rows() -> list[FailureRow]:
    """Return the table of failures."""
    rows = re.findall(
        r"^\| ((?:`\w+` ?)+)\| ([^|]+) \| ([^|]+) \| ([^|]+) \| `tests/\S+` \|$",
        read("reliability.md"),
        re.MULTILINE,
    )
    return [
        FailureRow(tuple(re.findall(r"\w+", names)), *words) for names, *words in rows
    ]


def test_every_failure_has_its_row() -> None:
    """A user could not look up the effect of a failure."""
    named = [failure for row in failure_rows() for failure in row.failures]
    assert sorted(named) == sorted(FAILURES)


def test_what_becomes_of_commands() -> None:
    """The column about commands would differ from what the matrix of failures tests."""
    from .api.test_fault_matrix import UNREADABLE_4028, UNREADABLE_4433  # noqa: PLC0415

    def becomes(failure: str) -> str:
        if failure.startswith("refuse"):
            return "not sent"
        if failure in ERRORS:
            return "refused"
        return "read back" if failure in UNREADABLE_4028 | UNREADABLE_4433 else "done"

    assert {
        failure: row.command for row in failure_rows() for failure in row.failures
    } == {failure: becomes(failure) for failure in FAILURES}


def test_every_row_names_a_test() -> None:
    """The page would promise a feature without a test."""
    page = read("reliability.md")
    page = page[page.index("## Failures") : page.index("## Measured")]
    rows = re.findall(r"^\|.*\|$", page, re.MULTILINE)
    promises = [row for row in rows if not re.match(r"\|---|\|.*\| Proof \|$", row)]
    assert len(promises) > 50
    for row in promises:
        assert PROOF.search(row), row
    for path, name in PROOF.findall(page):
        assert exists(path, name), f"{path}::{name}"


# docs/protocol.md


def test_references_lead_to_a_section() -> None:
    """A reader of the code would look in vain for the section of the protocol that a comment names."""
    page = (ROOT / "docs" / "protocol.md").read_text()
    anchors = set(re.findall(r'^<a id="(\w+)"></a>$', page, re.MULTILINE))
    wrong = []
    for room in ("custom_components", "simulator", "bench", "scripts", "tests"):
        for path in (ROOT / room).rglob("*.py"):
            source = path.read_text()
            named = " ".join(
                re.findall(r"protocol\.md(#\w+(?:,?[a-z ]* #\w+)*)", source)
            )
            wrong += [
                f"{path}: {name}"
                for name in set(re.findall(r"#(\w+)", named)) - anchors
            ]
            if room != "tests":
                bare = re.findall(r"(?<![\w\"])[A-K]\.\d+\b", source)
                wrong += [f"{path}: {name} is no link" for name in bare]
    assert not wrong


def test_what_is_inferred_names_its_switches_and_tests() -> None:
    """The page would say that a wrong guess is survived, and nothing would show it."""
    page = read("protocol.md")
    page = page[page.index("# K. ") :]
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|(.+` )\|$", page, re.MULTILINE)
    assert len(rows) > 40
    named = set(re.findall(r"`(\w+)`", " ".join(row[2] for row in rows)))
    assert DEVIATIONS.keys() <= named
    others = {"set_board_count", "status", "mac"}
    known = FAILURES | DEVIATIONS | PROFILES | FOREIGN
    assert named <= known.keys() | others
    assert "no switch" not in page
    for *_, proof in rows:
        found = PROOF.search(proof)
        assert found, proof
        assert exists(*found.groups()), proof


# docs/performance.md


def test_the_page_is_what_was_measured() -> None:
    """The page would show figures that were typed or not measured again."""
    made = subprocess.run(
        (
            sys.executable,
            "-c",
            "from bench import page; import json; "
            "print(page.page(json.loads(page.FIGURES.read_text())), end='')",
        ),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert "## Many miners" in made
    assert read("performance.md") == made


def test_what_was_measured_meets_its_goals() -> None:
    """The page would promise wrong figures. CPU depends on what else the machine did."""
    figures = json.loads(read("performance.json"))
    goals = [
        goal
        for bench in figures.values()
        if isinstance(bench, dict)
        for goal in bench["goals"]
    ]
    assert len(goals) > 20
    missed = [goal["goal"] for goal in goals if goal["met"] is False]
    assert [goal for goal in missed if "CPU" not in goal] == []

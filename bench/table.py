"""What all benches share: their options, their tables, and the JSON they leave."""

import argparse
from collections.abc import Mapping, Sequence
import json
import os
from pathlib import Path
import platform
import sys
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench"


def say(text: str) -> None:
    """Print the progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments(name: str, about: str | None) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(prog=f"scripts/bench {name}", description=about)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=BUILD / f"{name}.json",
        help=f"write all figures there (build/bench/{name}.json)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        default=BUILD,
        help="where the environments of other clients are kept (build/bench)",
    )
    return parser


def where() -> dict[str, Any]:
    """On what it was measured."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cores": os.cpu_count() or 0,
        "processor": model,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def cell(value: Any) -> str:
    """One figure as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "NO"
        case float():
            return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
        case _:
            return str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Rows of figures as lines of Markdown, aligned."""
    heads = [
        column.replace("_", " ").removesuffix(" ms")
        + (", ms" if column.endswith("_ms") else "")
        for column in columns
    ]
    cells = [heads, *([cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
    lines = [
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


GOALS = ("goal", "figure", "met")
COLUMNS = {
    "poll": {
        "rows": "generation board client connections most_at_once ms cpu_ms error"
    },
    "write": {
        "rows": "machine generation first later tokens cpu_ms longest_step_cpu_ms"
        " longest_step_ms longest_delay_ms"
    },
    "parse": {"rows": "what bytes on cpu_ms models_ms"},
    "start": {
        "rows": "what s cpu_s modules new_packages",
        "steps": "what steps longest_step_ms ours_of_it_ms most_of_ours_in_a_step_ms",
    },
    "recorder": {"rows": "entity rows_per_poll"},
    "group": {
        "rows": "share target_w within_s power_w commands most_commands"
        " longest_step_cpu_ms longest_step_ms"
    },
    "plan": {"rows": "curve policy margin more_% starts hours"},
}
"""The tables of each bench, printed and on the page."""


def tables(name: str, result: Mapping[str, Any]) -> list[list[str]]:
    """The figures of a bench as tables of Markdown."""
    return [
        table(result[key], columns.split()) for key, columns in COLUMNS[name].items()
    ]


def finish(
    name: str,
    result: dict[str, Any],
    options: argparse.Namespace,
) -> None:
    """Print the tables, leave the JSON, and end with an error where a goal is missed."""
    for lines in tables(name, result):
        print("\n".join(lines), end="\n\n")
    goals = result.get("goals", [])
    if goals:
        print("\n".join(table(goals, GOALS)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"where": where(), **result}, indent=1) + "\n")
    if missed := [goal["goal"] for goal in goals if goal["met"] is False]:
        sys.exit(f"error: scripts/bench {name}: not met: {'; '.join(missed)}")

"""Run all benches in turn, then write docs/performance.json and docs/performance.md."""

import argparse
import json
from pathlib import Path
import subprocess
import sys
import time

from bench.page import FIGURES, main as write_page
from bench.table import BUILD, say

FLEETS = (
    ("fleet_10", ("--calm", "--miners", "10")),
    ("fleet_100", ("--calm", "--miners", "100")),
    ("fleet_500", ("--calm", "--miners", "500")),
    ("fleet_rough", ("--miners", "100", "--hours", "1")),
)
BENCHES = ("poll", "write", "parse", "start", "recorder", "group")


def run(bench: str, name: str, folder: Path, *options: str) -> bool:
    """Run one bench; return whether it met its goals."""
    say(f"{bench} {' '.join(options)}")
    file = folder / f"{name}.json"
    file.unlink(missing_ok=True)
    done = subprocess.run(
        (sys.executable, "-m", f"bench.{bench}", "--json", file, *options), check=False
    )
    if not file.exists():
        sys.exit(f"error: scripts/bench {bench} did not end well")
    return done.returncode == 0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench all", description=__doc__)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FOLDER",
        default=BUILD,
        help="where the figures of each bench are left (build/bench)",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        choices=[*BENCHES, *(name for name, _ in FLEETS)],
        default=[*BENCHES, *(name for name, _ in FLEETS)],
        metavar="BENCH",
        help="measure these again, and keep the earlier figures of the others",
    )
    options = parser.parse_args()
    folder, only = options.json, options.only
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    missed = [name for name in BENCHES if name in only and not run(name, name, folder)]
    missed += [
        name
        for name, how in FLEETS
        if name in only and not run("fleet", name, folder, *how)
    ]
    figures = {
        name: json.loads((folder / f"{name}.json").read_text()) for name in BENCHES
    }
    fleets = [json.loads((folder / f"{name}.json").read_text()) for name, _ in FLEETS]
    FIGURES.write_text(json.dumps({**figures, "fleet": fleets}, indent=1) + "\n")
    write_page()
    say(f"docs/performance.md is written; all took {time.perf_counter() - begin:.0f} s")
    if missed:
        sys.exit(f"error: goals missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()

"""Build what a release consists of, give it its version, and have it tried.

What scripts/release runs. The zip has the files of the integration at its root, as the
Marketplace wants it, and comes out the same whenever and wherever it is built.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
import json
from pathlib import Path
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "custom_components" / "whatsminer"
MANIFEST = HOUSE / "manifest.json"
CHANGELOG = ROOT / "CHANGELOG.md"
DIST = ROOT / "dist"

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
UNRELEASED = "Unreleased"
PASSWORD = "Secret_1"  # of the simulated miner


class ReleaseError(Exception):
    """Something that a person has to settle; the text says how."""


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    print(f"==> {text}", flush=True)


def current() -> str:
    """Read the version."""
    version: str = json.loads(MANIFEST.read_text())["version"]
    return version


def notes(version: str) -> str:
    """Read what the changelog says of a version."""
    found = re.search(
        rf"^## \[{re.escape(version)}\](?: - [\d-]+)?\n(.+?)(?=^## |^\[|\Z)",
        CHANGELOG.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    if not found or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}. Write it first.")
    return found[1].strip() + "\n"


def bump(version: str) -> None:
    """Make this the version: what the changelog called unreleased is what it brings."""
    before = current()
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{version} is no version. Write it like {before}.")
    if _order(version) <= _order(before):
        raise ReleaseError(f"The version is {before} already. Choose a higher one.")
    notes(UNRELEASED)
    changelog, manifest = CHANGELOG.read_text(), MANIFEST.read_text()
    heading = f"## [{version}] - {datetime.now(UTC):%Y-%m-%d}"
    CHANGELOG.write_text(changelog.replace(f"## [{UNRELEASED}]", heading, 1))
    MANIFEST.write_text(
        manifest.replace(f'"version": "{before}"', f'"version": "{version}"')
    )
    say(f"The version is {version}. Commit it, tag the commit {version}, push both.")


def _order(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def files() -> list[Path]:
    """List the files of the integration, without what Python or an editor left there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."],
        cwd=HOUSE,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = sorted(HOUSE / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def build() -> Path:
    """Write the zip and the notes."""
    DIST.mkdir(exist_ok=True)
    (DIST / "notes.md").write_text(notes(current()))
    target: str = json.loads((ROOT / "hacs.json").read_text())["filename"]
    with zipfile.ZipFile(DIST / target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            entry = zipfile.ZipInfo(path.relative_to(HOUSE).as_posix())
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    say(f"Built dist/{target}, version {current()}, {len(files())} files")
    return DIST / target


def try_out(package: Path) -> None:
    """Install the zip as the Marketplace does, and let a fresh Home Assistant use it."""
    with tempfile.TemporaryDirectory(prefix="whatsminer-") as folder, miner() as ports:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(Path(folder, "custom_components", "whatsminer"))
        home = [ROOT / "scripts" / "release_home.py", folder, *ports, PASSWORD]
        tried = subprocess.run(
            [sys.executable, *map(str, home)], cwd=folder, check=False, timeout=180
        )
    if tried.returncode:
        raise ReleaseError(
            "The fresh Home Assistant did not take it; above is what it said."
        )


@contextmanager
def miner() -> Iterator[list[str]]:
    """Start a simulated miner; yield its two ports."""
    options = ["--profile=v2c_m60s", "--port=0", f"--v3-password={PASSWORD}"]
    with subprocess.Popen(
        [sys.executable, "-m", "simulator", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.match(r"\S+:(\d+) .+ API v3 on (\d+)$", line)
            if not found:
                raise ReleaseError("The simulated miner did not start.")
            yield [*found.groups()]
        finally:
            process.terminate()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    add = parser.add_argument
    add("--check", action="store_true", help="try it in a fresh Home Assistant")
    add("--tag", help="only if the version is this")
    add("version", nargs="?", help="make this the version first")
    return parser.parse_args()


def main(options: argparse.Namespace) -> None:
    """Do what the options say, in an order that leaves nothing half done."""
    if options.version:
        bump(options.version)
    if options.tag and options.tag != current():
        raise ReleaseError(
            f"The tag is {options.tag}, the version in the manifest {current()}. "
            "Tag the commit of scripts/release VERSION with exactly that version."
        )
    package = build()
    if options.check:
        try_out(package)


if __name__ == "__main__":
    try:
        main(arguments())
    except ReleaseError as error:
        sys.exit(f"error: {error}")

"""Write what pip has to install for the demo: requirements.txt and constraints.txt in a folder.

Home Assistant installs the requirements of an integration when it first loads it, one after
the other. Known beforehand they are installed together, and the demo starts without waiting.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import sys

from demo_config import ANY_VERSION
import homeassistant
from homeassistant import bootstrap

CUSTOM = Path(__file__).parents[1] / "custom_components"
CORE = Path(homeassistant.__file__).parent
DEMO = {
    "energy",
    "history",
    "input_boolean",
    "input_number",
    "logbook",
    "logger",
    "recorder",
    "sun",
    "template",
    "whatsminer",
}


def any_version(requirement: str) -> str:
    """Take the version off where any will do."""
    name = requirement.partition("==")[0]
    return name if name in ANY_VERSION else requirement


def requirements() -> Iterator[str]:
    """Follow the manifests from all that Home Assistant will load."""
    todo = bootstrap.CORE_INTEGRATIONS | bootstrap.DEFAULT_INTEGRATIONS | DEMO
    seen: set[str] = set()
    while todo := todo - seen:
        domain = todo.pop()
        seen.add(domain)
        folders = (CUSTOM / domain, CORE / "components" / domain)
        folder = next(folder for folder in folders if folder.exists())
        manifest = json.loads((folder / "manifest.json").read_text())
        todo |= {
            *manifest.get("dependencies", []),
            *manifest.get("after_dependencies", []),
        }
        yield from manifest.get("requirements", [])


if __name__ == "__main__":
    target = Path(sys.argv[1])
    wanted = sorted(map(any_version, {*requirements()}))
    (target / "requirements.txt").write_text("\n".join(wanted))
    constraints = (CORE / "package_constraints.txt").read_text().splitlines()
    (target / "constraints.txt").write_text("\n".join(map(any_version, constraints)))

"""The start bench: what this integration adds to the start of Home Assistant."""

import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

from bench.setup import set_up_steps
from bench.table import ROOT, arguments, finish

REPEATS = 5
LIMIT_S = 0.1
MOST_PACKAGES = 2
LIMIT_MS = 5.0
INTEGRATION = ROOT / "custom_components" / "whatsminer"

# What every Home Assistant has imported when its integrations are set up.
BEFORE = """
import sys, time
import homeassistant.bootstrap, homeassistant.config_entries, homeassistant.helpers.entity_platform
import homeassistant.helpers.update_coordinator, homeassistant.helpers.service
import homeassistant.components.recorder, homeassistant.components.diagnostics
import homeassistant.components.repairs, homeassistant.components.dhcp, homeassistant.components.http
from homeassistant.components import (
    sensor, binary_sensor, switch, number, select, button, event, persistent_notification, zeroconf,
)
known = set(sys.modules)
begin, cpu = time.perf_counter(), time.process_time()
"""
AFTER = """
import json
print(json.dumps({
    "s": time.perf_counter() - begin,
    "cpu_s": time.process_time() - cpu,
    "modules": len(set(sys.modules) - known),
    "others": sorted({name.split(".")[0] for name in set(sys.modules) - known} - {"custom_components"}),
}))
"""


def modules() -> list[str]:
    """Every module of the integration."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(INTEGRATION.rglob("*.py"))
    ]


def once() -> dict[str, Any]:
    """Import all in a new Python."""
    script = BEFORE + "".join(f"import {name}\n" for name in modules()) + AFTER
    found = subprocess.run(
        (sys.executable, "-c", script),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def new_packages() -> list[str]:
    """What the manifest asks for and Home Assistant itself does not."""
    import homeassistant  # noqa: PLC0415

    folder = Path(homeassistant.__file__).parent
    pinned = (folder / "package_constraints.txt").read_text()
    has = {_name(line) for line in pinned.splitlines() if "==" in line}
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    return [wanted for wanted in manifest["requirements"] if _name(wanted) not in has]


def _name(requirement: str) -> str:
    return re.split(r"[=<>~!\[; ]", requirement.strip())[0].lower().replace("_", "-")


def main() -> None:
    """Run the command line."""
    options = arguments("start", __doc__).parse_args()
    once()  # so that there is byte code
    runs = [once() for _ in range(REPEATS)]
    best = min(runs, key=lambda run: run["cpu_s"])
    packages = new_packages()
    steps = set_up_steps()
    rows = [
        {
            "what": "import of all modules",
            "s": round(best["s"], 3),
            "cpu_s": round(best["cpu_s"], 3),
            "modules": best["modules"],
            "new_packages": ", ".join(packages),
        }
    ]
    goals = [
        {
            "goal": f"the import takes at most {LIMIT_S:g} s of CPU beyond Home Assistant's own",
            "figure": rows[0]["cpu_s"],
            "met": best["cpu_s"] <= LIMIT_S,
        },
        {
            "goal": f"at most {MOST_PACKAGES} packages more than Home Assistant has",
            "figure": len(packages),
            "met": len(packages) <= MOST_PACKAGES,
        },
        {
            "goal": f"set-up: at most {LIMIT_MS:g} ms of a step of the event loop are ours",
            "figure": round(steps["most_of_ours_in_a_step_ms"], 2),
            "met": steps["most_of_ours_in_a_step_ms"] <= LIMIT_MS,
        },
    ]
    found = {"rows": rows, "steps": [steps], "goals": goals}
    finish("start", found, options)


if __name__ == "__main__":
    main()

"""The folder of a Home Assistant that shows simulated miners: what the demo and the browser see."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "demo"

HOST = "127.0.0.1"
DASHBOARD = "mining-room"
GROUP = "All miners"
PRICES = {
    "price_sensor": "sensor.electricity_price",
    "hashprice_sensor": "sensor.hashprice",
}
PLAN = {"forecast": ["sensor.electricity_price"]}
"""The options for the plan: the price sensor publishes the prices to come."""

# The pinned version of these has to be compiled for this Python, the newest has not. They are
# for voice, which is not used here; Home Assistant is started so that any version will do.
ANY_VERSION = {"pymicro-vad", "pyspeex-noise"}


@dataclass(frozen=True, kw_only=True)
class SimulatedMiner:
    """A miner of the demo, and the name that its device will have."""

    name: str
    profile: str
    mac: str
    port: int
    password: str = "admin1"

    @property
    def slug(self) -> str:
        """How the ids of its entities begin."""
        return self.name.lower().replace(" ", "_")

    @property
    def view(self) -> str:
        """Return the path of its view on the dashboard."""
        return self.name.lower().replace(" ", "-")


MINERS = (
    SimulatedMiner(
        name="M50 00A4", profile="v205_m50", mac="CA:01:14:00:00:A4", port=4028
    ),
    SimulatedMiner(
        name="M60S 00B7", profile="v2c_m60s", mac="CA:01:14:00:00:B7", port=4029
    ),
)

WORKSHOP = SimulatedMiner(
    name="M50 00C9", profile="v205_m50", mac="CA:01:14:00:00:C9", port=4030
)
"""The miner that heats the workshop."""
THERMOSTAT = {
    "thermostat_sensor": "sensor.workshop_temperature",
    "thermostat_kind": "room",
}


def home_assistant(config: Path) -> list[str]:
    """Return the options with which Home Assistant is started with this folder."""
    skipped = ",".join(sorted(ANY_VERSION))
    return [f"--config={config}", f"--skip-pip-packages={skipped}"]


def write_config(config: Path, port: int, *, hours: float = 1) -> None:
    """Lay out the folder; what a person has made in it stays. Graphs go back so many hours."""
    for name, source in (
        ("custom_components", ROOT / "custom_components"),
        ("configuration.yaml", SOURCE / "configuration.yaml"),
    ):
        (config / name).unlink(missing_ok=True)
        (config / name).symlink_to(source)
    for name in ("automations.yaml", "scenes.yaml", "scripts.yaml"):
        (config / name).touch()
    shutil.copytree(ROOT / "blueprints", config / "blueprints", dirs_exist_ok=True)
    (config / "dashboard.yaml").unlink(missing_ok=True)  # a link in older demos
    (config / "dashboard.yaml").write_text(
        f"strategy:\n  type: custom:whatsminer\n  hours: {hours:g}\n"
    )

    # Home Assistant needs these two before it accepts a request.
    store(config, "http", 1, {"server_host": [HOST], "server_port": port})
    if not (config / ".storage" / "onboarding").exists():
        done = ["core_config", "analytics", "integration"]
        store(config, "onboarding", 4, {"done": done})


def store(config: Path, key: str, version: int, data: Mapping[str, Any]) -> None:
    """Write a file as Home Assistant keeps its own."""
    content = {"version": version, "minor_version": 1, "key": key, "data": data}
    (config / ".storage").mkdir(exist_ok=True)
    (config / ".storage" / key).write_text(json.dumps(content))

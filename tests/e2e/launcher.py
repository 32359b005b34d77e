"""Home Assistant as the demo starts it, and a miner can be polled again without a wait of ten seconds."""

import os
from pathlib import Path
import sys

from homeassistant.__main__ import main
from homeassistant.helpers import update_coordinator

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from demo_launcher import accelerate

update_coordinator.REQUEST_REFRESH_DEFAULT_COOLDOWN = 0  # s

if __name__ == "__main__":
    accelerate(float(os.environ["DEMO_SPEED"]))
    sys.exit(main())

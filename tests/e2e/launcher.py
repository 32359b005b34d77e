"""Home Assistant as it is, except that a miner can be polled again without a wait of ten seconds."""

import sys

from homeassistant.__main__ import main
from homeassistant.helpers import update_coordinator

update_coordinator.REQUEST_REFRESH_DEFAULT_COOLDOWN = 0  # s

if __name__ == "__main__":
    sys.exit(main())

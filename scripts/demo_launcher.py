"""Home Assistant as it is, except that the integration measures and decides as fast as simulated miners live.

A real miner has to mine for half an hour at a power until that is measured.
"""

import os
import sys

from demo_config import ROOT
from homeassistant.__main__ import main

FASTEST = 100
"""Polls that are closer would follow each other without a pause."""


def accelerate(speed: float) -> None:
    """Poll more often, and take less time to measure a level, and from one change of power to the next."""
    speed = min(speed, FASTEST)
    if speed <= 1:
        return
    sys.path.append(str(ROOT))
    from custom_components.whatsminer import coordinator  # noqa: PLC0415
    from custom_components.whatsminer.money import best, planner, profile  # noqa: PLC0415

    for module, name in (
        (coordinator, "SCAN_INTERVAL"),
        (profile, "SETTLE"),
        (profile, "WINDOW"),
        (profile, "MIN_START"),
        (best, "MIN_STEADY"),
    ):
        setattr(module, name, getattr(module, name) / speed)
    shortest = best.Timing(*(hours / speed for hours in best.TIMING))
    setattr(planner, "TIMING", shortest)  # noqa: B010  mypy sees a constant


if __name__ == "__main__":
    accelerate(float(os.environ["DEMO_SPEED"]))
    sys.exit(main())

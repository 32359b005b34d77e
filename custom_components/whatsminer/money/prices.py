"""Read the prices to come, from whatever publishes them. Pure.

Every source has one row in `SOURCES`; the result is always slots with money per kWh.
"""

from datetime import datetime
from typing import NamedTuple


class Slot(NamedTuple):
    """A price that holds from one moment to another (with zones), in money per kWh."""

    start: datetime
    end: datetime
    price: float

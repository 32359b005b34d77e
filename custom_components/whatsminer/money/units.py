"""Read the units of prices: money per kWh, and per TH/s and day. Pure."""

import re
from typing import NamedTuple

from ..const import CONF_HASHPRICE_SENSOR, CONF_PRICE_SENSOR

_MINOR = {
    *("c", "ct", "cts", "cent", "cents", "¢", "p", "pence"),
    *("öre", "øre", "ore", "gr", "snt"),
}
"""What a hundredth of the money of a home is called."""
_MONEY = re.compile(r"([A-Z]{3}|[$€£¥₹₿]|kr|zł|Kč|Ft)?")
UNITS = {
    CONF_PRICE_SENSOR: re.compile(
        r"(?P<money>.*?)\s*/\s*(?P<per>[kMG]?)W\W?h", re.IGNORECASE
    ),
    CONF_HASHPRICE_SENSOR: re.compile(
        r"(?P<money>.*?)\s*/\s*(?P<per>[GTPE])H(\s*/?\s*s)?(\s*/\s*d(ay)?)?",
        re.IGNORECASE,
    ),
}
_SCALES = {
    CONF_PRICE_SENSOR: {"": 1e3, "k": 1.0, "m": 1e-3, "g": 1e-6},
    CONF_HASHPRICE_SENSOR: {"g": 1e3, "t": 1.0, "p": 1e-3, "e": 1e-6},
}


class Unit(NamedTuple):
    """How the states of a sensor become money per kWh, or per TH/s and day."""

    factor: float
    currency: str | None
    """None is the money of this home."""


def parse_unit(kind: str, unit: str | None) -> Unit | None:
    """Read the unit of a sensor of that option; None if it is no unit of such a price.

    Money alone is taken for money per kWh, or per TH/s and day.
    """
    money, scale = (unit or "").strip(), 1.0
    if "/" in money:
        found = UNITS[kind].fullmatch(money)
        if not found:
            return None
        money, scale = found["money"], _SCALES[kind][found["per"].lower()]
    elif not (_MONEY.fullmatch(money) or money.casefold() in _MINOR):
        return None
    if money.casefold() in _MINOR:
        return Unit(scale / 100, None)
    return Unit(scale, money or None)

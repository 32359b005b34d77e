"""Compare what is on the page of a miner with what is true of it."""

from collections.abc import Callable
import re
from typing import Any

import pytest

from .house import Miner
from .pages import Person

# What the simulator's truth says of each reading.
READINGS: dict[str, Callable[[Any], float | None]] = {
    "power": lambda t: t.power_w,
    "hashrate": lambda t: t.hashrate_ths,
    "efficiency": lambda t: t.power_rate_jth or t.power_w / t.hashrate_ths,
    "chip_temperature_max": lambda t: t.chip_temperature_max_c,
    "temperature": lambda t: max(board.temperature_c for board in t.boards),
    "environment_temperature": lambda t: t.environment_temperature_c,
    "liquid_temperature": lambda t: t.liquid_temperature_c,
    "fan_speed_in": lambda t: t.fan_speed_in_rpm,
    "fan_speed_out": lambda t: t.fan_speed_out_rpm,
    "psu_fan_speed": lambda t: t.psu.fan_speed_rpm,
    "psu_temperature": lambda t: t.psu.temperature_c,
    "psu_input_power": lambda t: t.psu.input_power_w,
}


def shown_number(words: str) -> tuple[float, float]:
    """Return a number as it is shown, and how far it may be rounded."""
    found = re.search(r"-?[\d,]+(?:\.(\d+))?", words)
    assert found, words
    digits = len(found[1] or "")
    return float(found[0].replace(",", "")), 0.51 * 10**-digits


def truth_of(miner: Miner) -> Any:
    """Return what is true, as far as the API that is read has it."""
    return miner.truth() if miner.v3_port is None else miner.v3_truth()


async def shows_truth(person: Person, miner: Miner) -> None:
    """See that each number on the page of a miner is its own."""
    truth, compared = truth_of(miner), set()
    for key, words in await person.page.evaluate("look.tiles()"):
        reading = key.removeprefix("sensor.")
        if key.startswith("sensor.") and reading in READINGS:
            value, rounded = shown_number(words.partition("\n")[2])
            wanted = READINGS[reading](truth)
            where = f"{reading} of {miner.profile.name}"
            assert value == pytest.approx(wanted, abs=rounded + 0.051), where
            compared.add(reading)
    assert compared >= {"power", "hashrate", "efficiency", "chip_temperature_max"}
    air = miner.profile.fan_rpm > 0
    assert compared >= {"fan_speed_in", "fan_speed_out"} or not air

"""docs/heating.md: the table of the page is what the simulation gives."""

from pathlib import Path
import re

import pytest

from custom_components.whatsminer.heat.thermostat import DAY, KINDS

from .plants import PLANTS, Bench, OnOff, Run
from .test_acceptance import RISE, WEATHERS, five_days

PAGE = Path(__file__).parents[2] / "docs" / "heating.md"
NAMES = {
    "steady": "steady",
    "2 to 6 °C": "mid",
    "12 to 15 °C": "mild",
    "-5 to 14 °C": "mix",
}
ROWS = re.findall(
    r"^\| (Room|Tank|Floor) \| ([^|]+) \| ([\d./ ]*) \| ([\d./ ]*) \|$",
    PAGE.read_text(),
    re.MULTILINE,
)


def cell(run: Run) -> str:
    """Return what the page shows of a run."""
    return f"{run.rms():.2f} / {run.p95():.2f} / {run.starts / 5:.1f}"


def numbers(text: str) -> list[float]:
    """Return the numbers of a cell."""
    return [float(number) for number in text.split(" / ")]


def test_all_are_listed() -> None:
    """The test below would pass on a page without a table."""
    assert {(kind.lower(), NAMES[weather]) for kind, weather, *_ in ROWS} == {
        (kind, weather) for kind in PLANTS for weather in WEATHERS
    }


@pytest.mark.parametrize(("kind", "weather", "on_off", "thermostat"), ROWS)
def test_the_table_is_what_was_simulated(
    kind: str, weather: str, on_off: str, thermostat: str
) -> None:
    """A user would choose by figures that are not so."""
    plant, name = PLANTS[kind.lower()], NAMES[weather]
    bench = Bench(plant=plant, controller=OnOff(target=plant.target), **WEATHERS[name])
    for shown, run in (
        (on_off, bench.run(5 * DAY)),
        (thermostat, five_days(kind.lower(), name)),
    ):
        # Another mathematical library may round another way, once in a few thousand steps.
        assert numbers(shown) == pytest.approx(numbers(cell(run)), abs=0.2), cell(run)
        assert numbers(shown)[:2] == pytest.approx(numbers(cell(run))[:2], abs=0.03)


def test_kinds_are_what_the_page_says() -> None:
    """A user would set a hard limit that is already there, or that is not."""
    rows = dict(
        re.findall(
            r"^\| (Room|Tank|Floor) \| .* K \| (\d+) °C \|$",
            PAGE.read_text(),
            re.MULTILINE,
        )
    )
    bands = dict(
        re.findall(
            r"^\| (Room|Tank|Floor) \| .* \| (.* K, .* K) \|",
            PAGE.read_text(),
            re.MULTILINE,
        )
    )
    for kind, settings in KINDS.items():
        assert rows[kind.title()] == f"{settings.hard:.0f}"
        assert bands[kind.title()] == f"{settings.up} K, {settings.down} K"


def test_rise_is_what_the_page_says() -> None:
    """A user would choose a limiter by a rise that was never tested."""
    found = re.search(
        r"([\d.]+) K \(room\), ([\d.]+) K \(floor\) and ([\d.]+) K \(tank",
        PAGE.read_text(),
    )
    assert found
    assert [float(kelvin) for kelvin in found.groups()] == [
        RISE["room"],
        RISE["floor"],
        RISE["tank"],
    ]

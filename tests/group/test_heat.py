"""Two miners on one plant for days: nearer than together, with fewer starts (docs/heating.md)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
import re
from typing import override

import pytest

from custom_components.whatsminer.group.sharing import Unit, lowest_watts, share
from custom_components.whatsminer.heat.thermostat import DAY, MINUTE
from tests.heat.plants import PLANTS, Bench, Miner, Thermostat
from tests.heat.test_acceptance import WEATHERS
from tests.heat.test_page import NAMES, numbers

PAGE = Path(__file__).parents[2] / "docs" / "heating.md"
ROWS = re.findall(
    r"^\| (Room|Tank|Floor), two miners \| ([^|]+) \| ([\d./ ]*) \| ([\d./ ]*) \|$",
    PAGE.read_text(),
    re.MULTILINE,
)


@dataclass(kw_only=True)
class Pair(Miner):
    """Two miners of half the power each, which the controller sees as one."""

    together: bool
    """Whether both always have the same percent."""
    own: list[Miner] = field(
        default_factory=lambda: [Miner(full=1700, stopped=7.5) for _ in "ab"]
    )
    since: list[float] = field(default_factory=lambda: [-DAY, -DAY])
    """When each was stopped or started last."""

    def units(self, now: float) -> list[Unit]:
        """Return the miners as the group sees them."""
        found = []
        for number, miner in enumerate(self.own):
            on = miner.running_since is not None
            found.append(
                Unit(
                    name=str(number),
                    watts=miner.full,
                    lowest=40,
                    on=on,
                    tunes=on and not miner.tuned(now),
                    may_switch=now - self.since[number] >= (60 if on else 30) * MINUTE,
                )
            )
        return found

    @override
    def tuned(self, now: float) -> bool:
        running = [one for one in self.own if one.running_since is not None]
        return bool(running) and all(one.tuned(now) for one in running)

    @override
    def command(self, percent: int, now: float) -> None:
        super().command(percent, now)
        self._share(now)

    def _share(self, now: float) -> None:
        percents = {str(number): float(self.wish) for number in (0, 1)}
        if self.wish and not self.together:
            percents = share(self.full * self.wish / 100, self.units(now))
        for number, miner in enumerate(self.own):
            percent = int(percents[str(number)])
            if (percent > 0) is not (miner.running_since is not None):
                self.since[number] = now
            miner.command(percent, now)

    @override
    def power(self, now: float) -> float:
        self._share(now)
        return sum(miner.power(now) for miner in self.own)


def simulated(kind: str, weather: str, *, together: bool, days: float = 5) -> str:
    """Return what the page shows: both errors, and the starts per miner and day."""
    plant, pair = PLANTS[kind], Pair(together=together)
    controller = Thermostat.of(plant)
    if not together:
        lowest = round(100 * lowest_watts(pair.units(0)) / pair.full)
        controller.settings = replace(controller.settings, lowest=lowest)
    bench = Bench(plant=plant, controller=controller, miner=pair, **WEATHERS[weather])
    run = bench.run(days * DAY)
    starts = sum(len(miner.starts) for miner in pair.own) / len(pair.own)
    return f"{run.rms():.2f} / {run.p95():.2f} / {starts / days:.1f}"


def test_one_after_the_other_is_better() -> None:
    """On a mild day all miners of a tank would stop and start, each time far from the target."""
    found = [
        numbers(simulated("tank", "mild", together=together, days=1.5))
        for together in (True, False)
    ]
    together, shared = found
    assert all(new < 0.7 * old for new, old in zip(shared, together, strict=True))


def test_all_are_listed() -> None:
    """The test below would pass on a page without a table."""
    assert {(kind.lower(), NAMES[weather]) for kind, weather, *_ in ROWS} == {
        (kind, weather) for kind in PLANTS for weather in ("mid", "mild", "mix")
    }


@pytest.mark.long
@pytest.mark.parametrize(("kind", "weather", "together", "shared"), ROWS)
def test_the_table_is_what_was_simulated(
    kind: str, weather: str, together: str, shared: str
) -> None:
    """A user would choose by figures that are not so."""
    for shown, is_together in ((together, True), (shared, False)):
        found = simulated(kind.lower(), NAMES[weather], together=is_together)
        assert numbers(shown) == pytest.approx(numbers(found), abs=0.2), found
        assert numbers(shown)[:2] == pytest.approx(numbers(found)[:2], abs=0.03)

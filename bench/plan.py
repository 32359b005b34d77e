"""The plan bench: what running by the price earns on simulated miners, over a file of real prices.

    scripts/bench plan [FILE.csv]

The file has one row for each hour: the moment it begins and money per kWh. The moment is ISO 8601
(`2025-01-01T00Z`) or like `01jan2025 00:00:00`; rows without a price are left out. bench/prices.csv is
not real: `synthetic_prices` made it from seasons, days, weekends, sun and noise.

Each curve is run by four policies: threshold (stop above the average break-even), best level (with
dead bands), plan (made at 13:00 with the prices until the end of tomorrow), and both once more with a
profile that knows nothing on the first day and learns from noisy windows while it runs.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
import math
from pathlib import Path
import random
import time
from typing import Any, NamedTuple

from bench.table import arguments, finish
from custom_components.whatsminer.money.best import Following, Rates, follow
from custom_components.whatsminer.money.curve import Level, Start
from custom_components.whatsminer.money.plan import (
    Plan,
    Present,
    Setup,
    Steps,
    make_plan,
    replan_trigger,
)
from custom_components.whatsminer.money.profile import Profile, Window

PRICES = Path(__file__).parent / "prices.csv"
WATTS, THS, IDLE, HASHPRICE = 3500.0, 189.0, 15.0, 0.05
START = Start(1 / 3, 0.6 * WATTS, 0.3 * THS)
STEP, QUARTERS = 0.25, 4
PUBLISHED = 13
"""The hour of the day at which the prices of tomorrow are known."""
WINDOW_NOISE, TEMPERATURE_EFFECT, SPOILED = 0.01, 0.002, 0.005
LIMIT_S = 60.0


class Price(NamedTuple):
    """The price of an hour."""

    at: datetime
    price: float


def read_prices(file: Path) -> list[Price]:
    """Return the hours of a file that have a price, in its order."""
    found = []
    for line in file.read_text().splitlines():
        moment, _, price = line.strip().partition(",")
        try:
            found.append(Price(_moment(moment), float(price)))
        except ValueError:
            continue  # the heading, or an hour without a price
    return found


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.strptime(text, "%d%b%Y %H:%M:%S").replace(tzinfo=UTC)


def synthetic_prices(year: int = 2025, seed: int = 20) -> list[Price]:
    """Return a year of hourly prices like those of a market with much sun; none of them is real."""
    dice, drift, found = random.Random(seed), 0.0, []
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        day, hour = at.timetuple().tm_yday, at.hour
        if hour == 0:
            drift = 0.85 * drift + dice.gauss(0, 0.016)
            sun = dice.random()
        season = math.cos(2 * math.pi * (day - 20) / 365)
        peaks = math.exp(-(((hour - 7.5) / 2) ** 2)) + 1.3 * math.exp(
            -(((hour - 18.5) / 2.5) ** 2)
        )
        noon = math.exp(-(((hour - 12.5) / 2.5) ** 2)) * sun * (1 - 0.7 * season)
        weekend = 0.018 if at.weekday() > 4 else 0.0
        price = 0.093 + 0.012 * season + 0.035 * peaks - 0.075 * noon - weekend
        found.append(Price(at, round(price + drift + dice.gauss(0, 0.004), 4)))
        at += timedelta(hours=1)
    return found


def _power_law(k: float) -> Callable[[float], float]:
    return lambda share: share**k


CURVES: dict[str, Callable[[float], float]] = {
    **{f"k {k}": _power_law(k) for k in (0.7, 0.8, 0.9, 1.0)},
    "fixed draw 20 %": lambda share: ((share - 0.2) / 0.8) ** 0.65,
    # The exponent falls from 0.95 at 40 % to 0.5 at full power.
    "bent": lambda share: math.exp(0.5 * (u := math.log(share)) - 0.2456 * u * u),
}
"""The share of the full hashrate, by the share of the full power."""


def levels_of(curve: str) -> tuple[Level, ...]:
    """Return what a miner with this curve does at each level."""
    shape = CURVES[curve]
    return tuple(
        Level(p, WATTS * p / 100, THS * shape(p / 100)) for p in range(40, 101, 10)
    )


class Outcome(NamedTuple):
    """What a policy has earned."""

    margin: float
    starts: int
    hours: float


type Policy = Callable[[int, Following], float]
"""The percent to run at in a step."""


class World:
    """Prices by the quarter hour, and a miner that is run by them."""

    def __init__(self, prices: Sequence[Price], curve: str) -> None:
        """Cut the hours into quarters."""
        self.levels = levels_of(curve)
        self.prices = [hour.price for hour in prices for _ in range(QUARTERS)]
        self.dates = [hour.at.date() for hour in prices for _ in range(QUARTERS)]
        self.hours = [hour.at.hour for hour in prices for _ in range(QUARTERS)]
        self._truth = {level.percent: level for level in self.levels}
        self._ends = self._days_end()

    def _days_end(self) -> list[int]:
        """Return for each step where its day ends."""
        ends, end = [0] * len(self.dates), len(self.dates)
        for i in reversed(range(len(self.dates))):
            if i + 1 < len(self.dates) and self.dates[i] != self.dates[i + 1]:
                end = i + 1
            ends[i] = end
        return ends

    def truth(self, percent: float) -> Level:
        """Return what the miner really does at a percent."""
        return self._truth[percent]

    def moment(self, i: int) -> datetime:
        """Return when a step begins; the clock of this world knows no holes."""
        return datetime(2025, 1, 1, tzinfo=UTC) + i * timedelta(hours=STEP)

    def known(self, i: int) -> Steps:
        """Return the prices that are published at a step."""
        end = self._ends[i]
        if self.hours[i] >= PUBLISHED and end < len(self.prices):
            end = self._ends[end]
        return Steps(
            self.moment(i), tuple(self.prices[i:end]), tuple(self.dates[i:end])
        )

    def run(
        self, policy: Policy, seen: Callable[[int, Following], None] | None = None
    ) -> Outcome:
        """Run the miner by a policy from the first step to the last."""
        now, margin, starts, ran = Following(100.0, 24.0), 0.0, 0, 0
        for i, price in enumerate(self.prices):
            percent = policy(i, now)
            if percent and not now.percent:
                starts += 1
            age = now.age if percent and now.percent else 0.0
            now = now.after(percent, STEP)
            margin += self._earned(percent, age, price)
            ran += percent > 0
            if seen:
                seen(i, now)
        return Outcome(margin, starts, ran * STEP)

    def _earned(self, percent: float, age: float, price: float) -> float:
        if not percent:
            return -IDLE / 1000 * price * STEP
        part = min(max((START.hours - age) / STEP, 0.0), 1.0)
        level = self.truth(percent)
        watts = part * START.watts + (1 - part) * level.watts
        ths = part * START.ths + (1 - part) * level.ths
        return (ths * HASHPRICE / 24 - watts / 1000 * price) * STEP


class Knowledge:
    """The levels that a policy decides by: the true ones, or those learned so far."""

    def __init__(self, world: World, seed: int | None) -> None:
        """Know all, or with a seed nothing."""
        self._world, self._profile = world, Profile()
        self._dice = None if seed is None else random.Random(seed)
        self.levels = world.levels if seed is None else ()
        self.start = START

    def seen(self, i: int, now: Following) -> None:
        """Learn from a step that the miner has run in."""
        dice = self._dice
        settled = now.percent and min(now.age - START.hours, now.steady) >= STEP
        if dice is None or not settled:
            return
        level, at = self._world.truth(now.percent), i * STEP * 3600
        season = -9 * math.cos(2 * math.pi * i / 35040)
        outside = 12 + season - 4 * math.cos(2 * math.pi * i / 96) + dice.gauss(0, 1)
        weather = 1 - TEMPERATURE_EFFECT * (outside - 12)
        ths = level.ths * weather * math.exp(dice.gauss(0, WINDOW_NOISE))
        if dice.random() < SPOILED:
            ths *= dice.uniform(0.3, 0.95)
        # A third of the windows that there are: they are most of the time of this bench.
        self._profile.learn(
            Window(at, level.percent, level.watts, ths, "normal", outside)
        )
        if i % (4 * QUARTERS) == 0 or not self.levels:
            self.levels = self._profile.levels
            self.start = self._profile.start or START


def threshold(world: World) -> Outcome:
    """Run at full power up to the average break-even, with the shortest times."""
    full = world.levels[-1]
    limit = HASHPRICE / 24 * full.ths / full.watts * 1000

    def policy(i: int, now: Following) -> float:
        wanted = world.prices[i] <= limit
        if wanted is (now.percent > 0) or now.age < (1 if now.percent else 0.5):
            return now.percent
        return full.percent if wanted else 0.0

    return world.run(policy)


def best_level(world: World, seed: int | None = None) -> Outcome:
    """Run at the level that earns most now."""
    knowledge = Knowledge(world, seed)

    def policy(i: int, now: Following) -> float:
        rates = Rates(HASHPRICE, world.prices[i], IDLE)
        return follow(now, knowledge.levels, rates, knowledge.start)

    return world.run(policy, knowledge.seen)


def planned(world: World, seed: int | None = None) -> Outcome:
    """Run as planned; planned again at 13:00, and when a level has moved."""
    knowledge = Knowledge(world, seed)
    plan: Plan | None = None

    def policy(i: int, now: Following) -> float:
        nonlocal plan
        if not knowledge.levels:
            return now.percent
        step = plan.at(world.moment(i)) if plan else None
        if step is None or i % QUARTERS == 0:
            basis = world.known(i)
            setup = Setup(knowledge.levels, HASHPRICE, IDLE, knowledge.start)
            if not (plan and step) or replan_trigger(plan, basis.first, basis, setup):
                present = Present(now.percent > 0, now.age, now.percent)
                plan = make_plan(basis, setup, present) or plan
                step = plan.at(basis.first) if plan else None
        if step is None:
            rates = Rates(HASHPRICE, world.prices[i], IDLE)
            return follow(now, knowledge.levels, rates, knowledge.start)
        return step.percent

    return world.run(policy, knowledge.seen)


POLICIES: dict[str, Callable[[World], Outcome]] = {
    "threshold": threshold,
    "best level": best_level,
    "plan": planned,
    "best level, learned": lambda world: best_level(world, 1),
    "plan, learned": lambda world: planned(world, 1),
}


def replay(prices: Sequence[Price], curve: str) -> dict[str, Outcome]:
    """Return what each policy earns with one curve."""
    world = World(prices, curve)
    return {name: policy(world) for name, policy in POLICIES.items()}


def over(outcome: Outcome, base: Outcome) -> float:
    """Return by how many percent one margin is above another."""
    return 100 * (outcome.margin - base.margin) / abs(base.margin)


def goals_of(gains: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return the goals: nothing below the threshold, and little lost by learning."""
    plans = {name: min(x["plan"], x["plan, learned"]) for name, x in gains.items()}
    levels = min(min(x["best level"], x["best level, learned"]) for x in gains.values())
    lost = max(
        x["plan"] - x["plan, learned"] - (0.5 if x["plan"] < 20 else 1.0)
        for x in gains.values()
    )
    worst = min(plans.values())
    return [
        {"goal": "plan >= threshold, %", "figure": worst, "met": worst >= 0},
        {
            "goal": "best level >= threshold - 0.3 %",
            "figure": levels,
            "met": levels >= -0.3,
        },
        {"goal": "learning loses 0.5 (1) points", "figure": lost, "met": lost <= 0},
    ]


def main() -> None:
    """Replay the file for all curves."""
    parser = arguments("plan", __doc__ and __doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=PRICES)
    parser.add_argument("--year", type=int, help="only this year of the file")
    parser.add_argument("--add", type=float, default=0.0, help="on each price, per kWh")
    parser.add_argument("--write", type=Path, help="write synthetic prices, and end")
    options = parser.parse_args()
    if options.write:
        made = [f"{x.at:%Y-%m-%dT%HZ},{x.price:g}\n" for x in synthetic_prices()]
        options.write.write_text("start,price\n" + "".join(made))
        return
    prices = [
        hour._replace(price=hour.price + options.add)
        for hour in read_prices(options.file)
        if options.year in (None, hour.at.year)
    ]
    begin = time.process_time()
    rows: list[dict[str, Any]] = []
    gains: dict[str, dict[str, float]] = {}
    for curve in CURVES:
        found = replay(prices, curve)
        base = found["threshold"]
        gains[curve] = {name: over(outcome, base) for name, outcome in found.items()}
        rows += [
            {
                "curve": curve,
                "policy": name,
                **x._asdict(),
                "more_%": gains[curve][name],
            }
            for name, x in found.items()
        ]
    spent = time.process_time() - begin
    goals = goals_of(gains)
    years = max(1.0, len(prices) / 8760)
    met = spent < LIMIT_S * years
    goals.append({"goal": "CPU s, below 60 a year", "figure": spent, "met": met})
    finish("plan", {"rows": rows, "goals": goals}, options)


if __name__ == "__main__":
    main()

"""The reference vectors of the profile, the best level, the plan and the fleet.

A second file in the same form may be named by the environment variable PLAN_VECTORS:
`[{kind, name, input, expect}]`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import json
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from custom_components.whatsminer.group.allocation import Member, Role, allocate
from custom_components.whatsminer.money import best, curve, plan, prices, profile
from custom_components.whatsminer.money.curve import Level, Start

TOLERANCE = 1e-3
ALLOCATION_TOLERANCE = 3e-3

type Input = Mapping[str, Any]
type Output = dict[str, Any]


def _levels(raw: Sequence[Sequence[float]]) -> tuple[Level, ...]:
    return tuple(Level(*level) for level in sorted(raw) if level[0])


def _timing(given: Input) -> best.Timing:
    return best.Timing(given.get("min_on", 1.0), given.get("min_off", 0.5))


def _effective_price(given: Input) -> Output:
    price, heat = given["price"], given.get("heat") or {"kind": "none"}
    match heat["kind"]:
        case "fuel":
            value = best.fuel_heat(heat["price"], heat["efficiency"])
        case "heat_pump":
            value = best.heat_pump_heat(price, heat["cop"])
        case _:
            value = 0.0
    worth = best.Heat(value, given.get("share") or 0.0)
    rates = best.Rates(hashprice=0.0, price=price, idle=0.0, heat=worth)
    return {"value": value, "effective_price": rates.effective_price}


def _curve(given: Input) -> Output:
    bins = [
        curve.Bin(n, percent, watts, ths) for percent, watts, ths, n in given["bins"]
    ]
    shape = given.get("shape")
    found = curve.fit(bins, curve.Shape(*shape) if shape else curve.ASSUMED)
    if found is None:
        return {"levels": [], "shape": None, "sweet_spot": None}
    levels = found.levels(given.get("levels") or profile.percents(profile.LOWEST))
    spot = curve.sweet_spot(levels)
    return {
        "levels": [list(level) for level in levels],
        "shape": list(found.shape),
        "sweet_spot": spot and spot.percent,
    }


def _best_level(given: Input) -> Output:
    levels, raw = _levels(given["levels"]), given.get("heat")
    heat = raw and best.Heat(
        raw.get("value") or 0.0, raw.get("share") or 0.0, raw.get("demand_kw")
    )
    rates = best.Rates(given["hashprice"], given["price"], given["idle"], heat or None)
    chosen = best.best_level(levels, rates)
    explained = best.break_even(levels, rates.hashprice, rates.idle)
    return {
        "percent": chosen.percent if chosen else 0,
        "gain": rates.gain(chosen) if chosen else 0.0,
        "full_below": explained and explained.full_below,
        "stop_above": explained and explained.stop_above,
    }


def _follow(given: Input) -> Output:
    levels, start = _levels(given["levels"]), Start(*given["start"])
    now, percents = best.Following(given["percent"], given["age"]), []
    for price in given["prices"]:
        percent = now.percent
        if price is not None:
            rates = best.Rates(given["hashprice"], price, given["idle"])
            percent = best.follow(now, levels, rates, start, _timing(given))
        now = now.after(percent, given["step"])
        percents.append(percent)
    band = best.start_band(levels[-1], start, given["hashprice"])
    return {"percents": percents, "dead_band": band}


def _steps(given: Input) -> Output:
    slots = [
        prices.Slot(datetime.fromisoformat(start), datetime.fromisoformat(end), price)
        for start, end, price in given["slots"]
        if price is not None
    ]
    now = datetime.fromisoformat(given["now"])
    found = plan.steps(now, slots, ZoneInfo(given["zone"]))
    return {
        "first": found.first.isoformat(),
        "prices": list(found.prices),
        "days": dict(Counter(map(str, found.days))),
    }


def _basis(given: Input) -> plan.Steps:
    labels = tuple(given.get("days") or [None] * len(given["prices"]))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return plan.Steps(start, tuple(given["prices"]), labels, step=given["step"])


def _plan(given: Input) -> Output:
    setup = plan.Setup(
        _levels(given["levels"]),
        given["hashprice"],
        given["idle"],
        Start(*given["start"]),
        _timing(given),
        plan.Wish(given.get("at_least"), given.get("at_most")),
    )
    present = plan.Present(given["on"], given["age"], done=given.get("done") or 0)
    made = plan.optimize(_basis(given), setup, present)
    percents = [step.percent for step in made.steps]
    return {"percents": percents, "value": made.value, "starts": made.starts}


def _allocate(given: Input) -> Output:
    members = []
    for miner in given["miners"]:
        levels, idle = _levels(miner.get("levels") or []), miner.get("idle") or 0.0
        fixed = miner.get("fixed_w")
        if fixed is None:
            fixed = levels[-1].watts if levels and miner.get("on") else idle
        members.append(
            Member(
                name=miner["name"],
                levels=levels,
                idle=idle,
                on=bool(miner.get("on")),
                loss=miner.get("loss") or 0.0,
                role=Role(miner.get("state") or Role.FREE),
                fixed_watts=fixed,
            )
        )
    return allocate(given["target"], members, given.get("hold") or 1.0)._asdict()


def _windows(given: Input) -> Output:
    """Return the windows of polls; what full power draws is known from the polls, as at home."""
    found, windows, tuned = [], profile.Windows(), None
    last = None
    for begin, end, activity, percent, base, watts, ths in given["segments"]:
        if activity in ("starting", "tuning") or base != last:
            tuned = None
        last = base
        if activity == "mining" and percent in (0, 100):
            tuned = watts
        at = begin
        while at < end:
            polled = profile.Poll(at, activity, percent, base, watts, ths, tuned)
            if window := windows.observe(polled):
                found.append(list(window[:4]))
            at += given["every"]
    return {"windows": found}


def _start(given: Input) -> Output:
    meter, found = profile.StartMeter(max_gap=profile.MAX_START), None
    for i, (at, activity, watts, ths) in enumerate(given["polls"]):
        if i == 0 and activity in ("starting", "tuning"):
            meter.begin(at, watts, ths)
        else:
            found = found or meter.observe(at, activity, watts, ths)
    return found._asdict() if found else dict.fromkeys(Start._fields)


_SOLVERS = {
    "effective_price": _effective_price,
    "curve": _curve,
    "best_level": _best_level,
    "follow": _follow,
    "steps": _steps,
    "plan": _plan,
    "allocate": _allocate,
    "windows": _windows,
    "start": _start,
}


def solve(kind: str, given: Input) -> Output:
    """Return what the product makes of the input of a vector."""
    return _SOLVERS[kind](given)


# Comparing


def plan_value(given: Input, percents: Sequence[float]) -> float:
    """Return what running at these percents earns, straight from the definition."""
    levels = {level.percent: level for level in _levels(given["levels"])}
    hours, start_watts, start_ths = given["start"]
    step, hashprice = given["step"], given["hashprice"]
    if hashprice is None:
        full = max(levels.values())
        mean = sum(given["prices"]) / len(given["prices"])
        hashprice = mean * full.watts / 1000 * 24 / full.ths
    on, ran = given["on"], int(given["age"] / step + 1e-9)
    total = 0.0
    for price, percent in zip(given["prices"], percents, strict=True):
        if not percent:
            on, ran = False, 0
            total -= given["idle"] / 1000 * price * step
            continue
        ran = ran if on else 0
        part, level = min(max(hours / step - ran, 0), 1), levels[percent]
        watts = part * start_watts + (1 - part) * level.watts
        ths = part * start_ths + (1 - part) * level.ths
        total += (ths * hashprice / 24 - watts / 1000 * price) * step
        on, ran = True, ran + 1
    return total


def wish_missed(given: Input, percents: Sequence[float]) -> float:
    """Return by how many hours the days miss the wish."""
    labels, step = given.get("days") or [None] * len(percents), given["step"]
    ran = Counter(day for day, x in zip(labels, percents, strict=True) if x)
    ran[labels[0]] += given.get("done") or 0
    least, most = given.get("at_least"), given.get("at_most")
    missed = 0.0
    for day in dict.fromkeys(labels):
        if least is not None:
            missed += max(0.0, least - ran[day] * step)
        if most is not None:
            missed += max(0.0, ran[day] * step - most)
    return missed


def _check_plan(given: Input, found: Output, expect: Output) -> None:
    value = plan_value(given, found["percents"])
    assert found["value"] == pytest.approx(value, abs=1e-9)
    wanted = expect.get("value")
    if wanted is None:
        wanted = plan_value(given, expect["percents"])
    assert value >= wanted - TOLERANCE * abs(wanted) - 1e-9
    if given.get("at_least") is not None or given.get("at_most") is not None:
        allowed = wish_missed(given, expect["percents"]) if "percents" in expect else 0
        assert wish_missed(given, found["percents"]) <= allowed + 1e-9


def _check_allocation(given: Input, found: Output, expect: Output) -> None:
    slack = ALLOCATION_TOLERANCE * max(1.0, abs(expect["value"]))
    assert found["value"] >= expect["value"] - slack
    fixed = sum(
        x.get("fixed_w") or 0 for x in given["miners"] if x.get("state") == "fixed"
    )
    limit = max(given["target"], expect["watts"], expect["watts"] + fixed)
    assert found["watts"] <= limit * (1 + TOLERANCE) or found["watts"] <= fixed + 1e-6


def _check(found: Any, expect: Any, where: str) -> None:
    """Compare numbers within 0.1 %, times as moments, and of a mapping what is expected."""
    if isinstance(expect, Mapping):
        for key, value in expect.items():
            _check(found[key], value, f"{where}.{key}")
        return
    if isinstance(expect, list):
        assert len(found) == len(expect), where
        for i, (one, other) in enumerate(zip(found, expect, strict=True)):
            _check(one, other, f"{where}[{i}]")
        return
    if isinstance(expect, str):
        assert datetime.fromisoformat(found) == datetime.fromisoformat(expect), where
        return
    if isinstance(expect, (int, float)):
        assert found == pytest.approx(expect, rel=TOLERANCE, abs=1e-5), where
        return
    if expect is None and isinstance(found, Mapping):
        assert not any(found.values()), where
        return
    assert found == expect, where


def check(kind: str, given: Input, found: Output, expect: Output) -> None:
    """Compare as the kind asks for: a plan and an allocation by their value."""
    if kind == "plan":
        _check_plan(given, found, expect)
    elif kind == "allocate":
        _check_allocation(given, found, expect)
    else:
        _check(found, expect, kind)


def _cases() -> list[Any]:
    own = Path(__file__).parent / "vectors.json"
    outside = os.environ.get("PLAN_VECTORS")
    files = [own, Path(outside)] if outside else [own]
    return [
        pytest.param(case, id=f"{case['kind']}: {case['name']}")
        for file in files
        for case in json.loads(file.read_text())
    ]


@pytest.mark.parametrize("case", _cases())
def test_vector(case: dict[str, Any]) -> None:
    """A formula that drifts costs the owner money without any visible fault."""
    found = solve(case["kind"], case["input"])
    check(case["kind"], case["input"], found, case["expect"])


@pytest.mark.parametrize("kind", ["plan", "allocate"])
def test_our_own_vectors_are_met_exactly(kind: str) -> None:
    """By value alone a plan with needless changes would pass."""
    own = json.loads((Path(__file__).parent / "vectors.json").read_text())
    for case in own:
        if case["kind"] == kind:
            _check(solve(kind, case["input"]), case["expect"], case["name"])

"""What is learned of a miner from its polls."""

from collections.abc import Iterator
from datetime import UTC, datetime
import json
import math
import random
import time
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    Activity,
    Dialect,
    MinerInfo,
    MinerState,
    PowerMode,
    Status,
    Summary,
)
from custom_components.whatsminer.money.curve import Level, Start
from custom_components.whatsminer.money.profile import (
    REMEMBER,
    Certainty,
    Poll,
    Profile,
    ProfileState,
    StartMeter,
    Window,
    Windows,
    percents,
    poll_of,
)

NORMAL = ("normal", None, None)
LOW = ("low", None, None)
MINING, STARTING = Activity.MINING, Activity.STARTING
TUNING, STOPPED = Activity.TUNING, Activity.STOPPED
DAY = 86400.0


class Miner:
    """A miner with a known curve, and the windows of running at a level."""

    def __init__(self, k: float = 0.8, seed: int = 1) -> None:
        """Start at full power."""
        self.k = k
        self.factor = self.draw = 1.0
        self.noise = 0.01
        self.at = 0.0
        self.dice = random.Random(seed)

    def level(self, percent: float) -> Level:
        """Return the truth at a percent."""
        ths = 189 * self.factor * (percent / 100) ** self.k
        return Level(percent, 35 * percent * self.draw, ths)

    def windows(
        self, percent: float, count: int, base: Any = NORMAL, temperature: Any = None
    ) -> Iterator[Window]:
        """Return windows at a level."""
        level = self.level(percent)
        for _ in range(count):
            self.at += 300
            ths = level.ths * math.exp(self.dice.gauss(0, self.noise))
            yield Window(self.at, percent, level.watts, ths, base, temperature)


def learn(profile: Profile, windows: Iterator[Window]) -> list[bool]:
    """Take in windows; return which were."""
    return [profile.learn(window) for window in windows]


def swept(miner: Miner) -> Profile:
    """Return a profile with four levels."""
    profile = Profile()
    for percent in (100, 80, 60, 40):
        learn(profile, miner.windows(percent, 4))
    return profile


def poll(at: float, activity: Any = MINING, percent: Any = 100.0, **other: Any) -> Poll:
    """Return a poll of a miner of 3500 W."""
    share = (percent or 100) / 100
    given: dict[str, Any] = {"base": NORMAL, "watts": 3500 * share, "ths": 189 * share}
    return Poll(at, activity, percent, **(given | other))


def cut(polls: Iterator[Poll]) -> list[Window]:
    """Return the windows of polls."""
    windows = Windows()
    return [found for one in polls if (found := windows.observe(one))]


def times(begin: float, end: float, every: float = 30.0) -> Iterator[float]:
    """Return the moments of polls."""
    while begin < end:
        yield begin
        begin += every


# Windows


def test_a_percent_that_is_unknown_makes_no_window() -> None:
    """After a restart of Home Assistant on 2.0.5 the level would be learned as full power."""
    assert cut(poll(at, percent=None) for at in times(0, 3000)) == []
    assert cut(poll(at, base=None) for at in times(0, 3000)) == []


def test_a_base_that_changes_within_a_window() -> None:
    """The power of one mode would be learned for another one."""
    found = cut(
        poll(at, base=NORMAL if at < 900 else LOW, watts=3500 if at < 900 else 2500)
        for at in times(0, 2000)
    )
    assert [(x.begin, x.base) for x in found] == [
        (480, NORMAL),
        (1380, LOW),
        (1680, LOW),
    ]


def test_a_restart_that_no_poll_shows() -> None:
    """A stop and a start between two polls would put the ramp into a window."""
    profile = Profile()
    for at in times(0, 700):
        profile.observe(poll(at, elapsed=at + 5000))
    for at in times(700, 1300):
        profile.observe(poll(at, elapsed=at - 690))
    assert profile.state is ProfileState.EMPTY


def test_a_mean_of_five_minutes_is_settled() -> None:
    """On 2.2.x the power of the first minutes still contains that of the level before."""

    def mean(at: float) -> float:
        share = min(max((at - 600) / 300, 0), 1)
        return 3500 - 1050 * share

    found = cut(
        poll(at, percent=100 if at < 600 else 70, watts=mean(at))
        for at in times(0, 3000)
    )
    assert {x.watts for x in found if x.percent == 70} == {2450}


@pytest.mark.parametrize(
    ("every", "count"), [(30, 3), (20, 3), (37, 2), (60, 0), (100, 0)]
)
def test_a_window_needs_enough_polls(every: float, count: int) -> None:
    """A mean of five polls is noise."""
    assert len(cut(poll(at) for at in times(0, 1400, every))) == count


def test_a_gap_restarts_the_window() -> None:
    """What the miner did while it was offline is not known."""
    at = [*times(0, 600), *times(700, 1800)]
    assert [x.begin for x in cut(map(poll, at))] == [1180, 1480]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"watts": 0.0}, id="no power"),
        pytest.param({"ths": 0.0}, id="no hashrate"),
        pytest.param({"watts": None}, id="power unknown"),
        pytest.param({"percent": 30.0}, id="too low"),
        pytest.param({"percent": 120.0}, id="too high"),
        pytest.param({"percent": 70.0, "watts": 2900, "tuned_power": 3500}, id="other"),
        pytest.param({"activity": TUNING}, id="not tuned"),
        pytest.param({"activity": None}, id="unknown"),
    ],
)
def test_what_says_nothing_is_dropped(other: dict[str, Any]) -> None:
    """A level would be learned from a miner that does something else."""
    assert cut(poll(at, **other) for at in times(0, 2000)) == []


# Bins and curve


@pytest.mark.parametrize("k", [0.7, 0.8, 0.9, 1.0])
def test_every_curve_is_learned(k: float) -> None:
    """The most profitable level would be another one."""
    miner = Miner(k)
    profile = Profile()
    for percent in (100, 80, 60, 40):
        learn(profile, miner.windows(percent, 2))
    for level in profile.levels:
        truth = miner.level(level.percent)
        assert level.ths == pytest.approx(truth.ths, rel=0.025)
        assert level.watts == pytest.approx(truth.watts, rel=0.015)


def test_states_and_certainty() -> None:
    """The owner must see which part of the curve was measured."""
    profile, miner = Profile(), Miner()
    assert profile.state is ProfileState.EMPTY
    assert profile.levels == ()
    assert profile.curve is None
    assert profile.start is None
    assert profile.sweet_spot is None
    learn(profile, miner.windows(100, 2))
    assert profile.state is ProfileState.ONE_LEVEL
    assert profile.certainty(100) is Certainty.ASSUMED
    learn(profile, miner.windows(100, 1))
    assert profile.certainty(100) is Certainty.MEASURED
    learn(profile, miner.windows(80, 3))
    assert profile.state is ProfileState.PARTIAL
    assert profile.certainty(90) is Certainty.BETWEEN
    assert profile.certainty(60) is Certainty.ASSUMED
    learn(profile, miner.windows(60, 3))
    assert profile.state is ProfileState.COMPLETE
    assert [x.percent for x in profile.levels] == [*range(40, 101, 10)]


def test_the_sweet_spot_is_shown_once_it_was_measured() -> None:
    """An assumed optimum would be taken for a fact."""
    profile = swept(Miner())
    assert profile.sweet_spot is None
    learn(profile, Miner(seed=2).windows(50, 4))
    assert profile.sweet_spot
    assert profile.sweet_spot.percent == 40


def test_a_lost_board_is_followed_after_six_windows() -> None:
    """The plan would count with a hashrate that is gone."""
    miner = Miner()
    profile = swept(miner)
    learn(profile, miner.windows(100, 100))
    miner.factor = 2 / 3
    assert learn(profile, miner.windows(100, 5)) == [False] * 5
    before = profile.levels[-1].ths
    assert learn(profile, miner.windows(100, 1)) == [True]
    assert before == pytest.approx(189, rel=0.02)
    # The other levels still say what they said before.
    assert profile.levels[-1].ths == pytest.approx(126, rel=0.15)
    for percent in (80, 60, 40):
        learn(profile, miner.windows(percent, 6))
    assert profile.levels[-1].ths == pytest.approx(126, rel=0.025)
    miner.at = 10 * DAY
    learn(profile, miner.windows(100, 40))
    assert profile.wear == pytest.approx(math.log(2 / 3), abs=0.02)
    assert profile.worn


def test_a_pool_outage_moves_no_level() -> None:
    """A dead pool for twenty minutes would look like a bad miner."""
    miner = Miner()
    profile = swept(miner)
    before = profile.levels
    for factor in (0.97, 0.5, 0.1, 0.5):
        miner.factor = factor
        learn(profile, miner.windows(100, 1))
    for old, new in zip(before, profile.levels, strict=True):
        assert new.ths == pytest.approx(old.ths, rel=0.02)


def test_the_shape_is_kept_for_another_base() -> None:
    """After a change of the power mode the curve would be a guess again."""
    profile = swept(Miner(0.65))
    full = profile.curve
    assert full
    learn(profile, Miner(0.65).windows(100, 1, LOW))
    assert profile.state is ProfileState.ONE_LEVEL
    assert profile.curve
    assert profile.curve.shape == full.shape
    learn(profile, Miner(0.65).windows(100, 1))
    assert profile.state is ProfileState.COMPLETE
    for i in range(10):
        learn(profile, Miner().windows(100, 1, ("normal", 3000.0 + i, None)))
    assert len(profile.as_dict()["bases"]) == 4


def test_a_level_that_hashes_less_than_a_lower_one_is_not_offered() -> None:
    """More power for fewer hashes is never right."""
    profile, miner = Profile(), Miner(-0.3)
    for percent in (100, 80, 60, 40):
        learn(profile, miner.windows(percent, 48))
    assert [x.percent for x in profile.levels] == [40]


# Lowest level


def restarted(
    profile: Profile,
    percent: float,
    at: float,
    after: float = 600,
    fast_boot: bool | None = None,
) -> None:
    """Let btminer restart some time after a percent was set."""
    profile.observe(poll(at, elapsed=9000, fast_boot=fast_boot))
    profile.note_percent(percent, at)
    profile.observe(poll(at + after, STARTING, elapsed=10))


def test_a_level_that_restarts_the_miner_is_not_offered() -> None:
    """The miner would restart whenever the price is high."""
    profile = Profile()
    learn(profile, Miner().windows(100, 1))
    restarted(profile, 42, 1000)
    assert profile.lowest == 45
    assert [x.percent for x in profile.levels] == [45, 50, 60, 70, 80, 90, 100]
    restored = Profile.from_dict(json.loads(json.dumps(profile.as_dict())))
    restored.observe(poll(2000))
    assert restored.lowest == 45
    profile.observe(poll(1600 + REMEMBER + 1))
    assert profile.lowest == 40


def test_a_restart_for_other_reasons_is_not_blamed() -> None:
    """A restart that was commanded, or comes later, says nothing about the level."""
    profile = Profile()
    restarted(profile, 40, 1000, after=1900)
    assert profile.lowest == 40
    profile.observe(poll(5000, elapsed=900))
    profile.note_percent(40, 5000)
    profile.note_restart()
    profile.observe(poll(5100, STARTING, elapsed=10))
    assert profile.lowest == 40


def test_a_miner_that_restarts_for_every_percent() -> None:
    """Each change of level would cost twenty minutes: stop and full power are left."""
    profile = Profile()
    learn(profile, Miner().windows(100, 1))
    restarted(profile, 80, 1000)
    assert not profile.needs_fast_boot
    restarted(profile, 70, 9000)
    assert profile.needs_fast_boot
    assert [x.percent for x in profile.levels] == [100]


def test_fast_boot_that_is_off_is_blamed_not_the_level() -> None:
    """With fast boot on again, a level that works would not be offered for a month."""
    profile = Profile()
    learn(profile, Miner().windows(100, 1))
    restarted(profile, 42, 1000, fast_boot=False)
    assert profile.lowest == 40
    assert profile.needs_fast_boot, "each change of level would cost twenty minutes"
    assert [x.percent for x in profile.levels] == [100]
    restored = Profile.from_dict(json.loads(json.dumps(profile.as_dict())))
    restored.observe(poll(1700))
    assert restored.needs_fast_boot
    profile.observe(poll(2000, fast_boot=True))
    assert not profile.needs_fast_boot
    assert [x.percent for x in profile.levels][:2] == [40, 50]
    profile.observe(poll(3000, fast_boot=False))
    assert profile.needs_fast_boot


def test_offered_percents() -> None:
    """The lowest that held, then each multiple of 10."""
    assert percents(45)[:2] == [45, 50]
    assert percents(65)[:2] == [65, 70]
    assert percents(100) == [100]


# Starts


def start_polls(begin: float = 0.0, every: float = 30.0) -> list[Poll]:
    """Return the polls of a start of twenty minutes."""
    polls = [poll(begin, STOPPED, watts=15, ths=0)]
    ramp = times(begin + every, begin + 1200, every)
    polls += [poll(at, TUNING, watts=2100, ths=60) for at in ramp]
    return [*polls, poll(begin + 1200)]


def test_a_start_is_measured() -> None:
    """The plan would count with a start of another miner."""
    profile = Profile()
    for one in start_polls():
        profile.observe(one)
    learn(profile, Miner().windows(100, 1))
    assert profile.start
    assert profile.start.hours == pytest.approx(1 / 3)
    assert profile.start.watts == pytest.approx(2100, rel=0.03)
    for one in start_polls(10_000):
        profile.observe(one._replace(watts=one.watts and one.watts * 1.1))
    assert profile.start.watts == pytest.approx(2100 * 1.03, rel=0.03)


def test_an_unknown_start_is_assumed() -> None:
    """Before the first start there is a plan, too."""
    profile = Profile()
    learn(profile, Miner().windows(100, 1))
    assert profile.start == Start(
        1 / 3, pytest.approx(2100, rel=0.01), pytest.approx(56.7, rel=0.05)
    )


@pytest.mark.parametrize(
    "polls",
    [
        pytest.param(start_polls(every=100), id="a gap"),
        pytest.param(start_polls()[5:], id="seen from its middle on"),
        pytest.param(start_polls()[:1] + start_polls()[-1:], id="within one poll"),
        pytest.param(
            [poll(at, STARTING) for at in times(0, 4 * 3600)] + [poll(4 * 3600)],
            id="hours",
        ),
    ],
)
def test_what_is_no_start_is_not_measured(polls: list[Poll]) -> None:
    """A wrong start would keep the miner from starting, or start it for minutes."""
    profile = Profile()
    for one in polls:
        profile.observe(one)
    assert profile.as_dict()["start"] is None


def test_a_restart_is_a_start() -> None:
    """Of miners that are never stopped the start would stay unknown."""
    meter = StartMeter()
    assert meter.observe(0, MINING, 3500, 189) is None
    for at in times(30, 630):
        assert meter.observe(at, STARTING, 2000, 50) is None
    found = meter.observe(630, MINING, 3500, 189)
    assert found
    assert found.hours == pytest.approx(600 / 3600)


# Wear


@pytest.mark.parametrize("effect", [0.001, 0.002, 0.005])
def test_weather_is_no_wear(effect: float) -> None:
    """A repair would be announced each spring."""
    miner, profile = Miner(seed=7), Profile()
    for day in range(365):
        for hour in range(0, 24, 3):
            season = -10 * math.cos(day / 365 * 2 * math.pi)
            outside = 12 + season - 4 * math.cos(hour / 24 * 2 * math.pi)
            outside += miner.dice.gauss(0, 1)
            miner.factor = 1 - effect * (outside - 12)
            miner.at = day * DAY + hour * 3600
            percent = (100, 80, 60, 100)[hour % 4]
            learn(profile, miner.windows(percent, 8, temperature=outside))
        assert not profile.worn, (day, profile.wear)


def test_a_loss_is_seen_the_same_day_and_forgotten_when_it_is_mended() -> None:
    """A miner that hashes 5 % less for the same power must be reported."""
    miner = Miner()
    profile = swept(miner)
    learn(profile, miner.windows(100, 300, temperature=21.0))
    assert not profile.worn
    assert abs(profile.wear or 1) < 0.005
    miner.factor, miner.at = 0.95, 10 * DAY
    learn(profile, miner.windows(100, 60, temperature=23.0))
    assert profile.worn
    restored = Profile.from_dict(json.loads(json.dumps(profile.as_dict())))
    learn(restored, miner.windows(100, 1, temperature=23.0))
    assert restored.worn
    miner.factor, miner.at = 0.985, 11 * DAY
    learn(profile, miner.windows(100, 60, temperature=23.0))
    assert not profile.worn
    profile.restart_wear()
    assert profile.wear is None


def test_without_a_temperature_the_limit_is_wider() -> None:
    """Weather that cannot be seen must not be reported as wear."""
    miner = Miner()
    profile = swept(miner)
    learn(profile, miner.windows(100, 100))
    miner.factor, miner.at = 0.955, 10 * DAY
    learn(profile, miner.windows(100, 60))
    assert not profile.worn
    miner.factor, miner.at = 0.93, 11 * DAY
    learn(profile, miner.windows(100, 80))
    assert profile.worn


# Storing


def full_profile() -> Profile:
    """Return a profile with all that can be stored."""
    profile = Profile()
    for i in range(4):
        miner = Miner(seed=i)
        for percent in range(40, 101, 5):
            base = ("normal", 3000.123456 + i, -3)
            learn(profile, miner.windows(percent, 60, base, -12.0 + percent))
    for one in start_polls(profile.as_dict()["bases"][0]["bins"][0][-1] + 1e7):
        profile.observe(one)
    restarted(profile, 42, 3e7)
    restarted(profile, 70, 3.1e7)
    return profile


def test_a_profile_survives_a_restart() -> None:
    """Weeks of learning would be lost with each update of Home Assistant."""
    profile = full_profile()
    stored = json.dumps(profile.as_dict())
    assert len(stored) < 8000
    restored = Profile.from_dict(json.loads(stored))
    assert json.dumps(restored.as_dict()) == stored
    restored.observe(poll(3.2e7, base=("normal", 3003.123456, -3)))
    profile.observe(poll(3.2e7, base=("normal", 3003.123456, -3)))
    assert restored.state is profile.state is ProfileState.COMPLETE
    for one, other in zip(restored.levels, profile.levels, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "text",
        {},
        {"version": 0},
        {"version": 99, "bases": "none", "start": 5, "lowest": [1], "unsteady": {}},
        {"bases": [None, {}, {"base": {}}, {"base": [[]], "bins": 3}]},
        {"bases": [{"base": ["n"], "bins": [[1, 2], [1, 100, -5, 3, 0], "x", None]}]},
        {"bases": [{"base": "x", "bins": [[0, 50, 1, float("nan"), 0]]}]},
        {"start": [-1, 2, 3], "lowest": [float("inf"), 1], "unsteady": ["a", None]},
    ],
)
def test_an_older_or_broken_store_is_read_as_far_as_it_goes(stored: Any) -> None:
    """An integration that cannot start is worse than one that learns again."""
    profile = Profile.from_dict(stored)
    assert profile.levels == ()
    learn(profile, Miner().windows(100, 1))
    assert profile.levels


def test_parts_of_a_broken_store_do_not_take_the_rest_along() -> None:
    """One unknown part must not cost the whole profile."""
    stored = full_profile().as_dict()
    whole = len(stored["bases"][-1]["bins"])
    stored["bases"][0] = "broken"
    stored["bases"][-1]["bins"][3] = None
    stored["bases"][-1]["frozen"] = [1, 2]
    stored["bases"][-1]["new"] = {"of": "another version"}
    restored = Profile.from_dict(stored).as_dict()
    assert len(restored["bases"]) == 3
    assert len(restored["bases"][-1]["bins"]) == whole - 1
    assert restored["bases"][-1]["frozen"] is None
    assert restored["start"] == stored["start"]


def test_nothing_grows() -> None:
    """A store that grows for years is written more slowly each day."""
    profile, sizes = Profile(), []
    for i in range(6):
        miner = Miner(seed=i)
        miner.at = i * 1e7
        for percent in range(40, 101, 5):
            for temperature in (None, *range(-20, 60, 4)):
                base = ("normal", 3000.0 + i, None)
                learn(profile, miner.windows(percent, 5, base, temperature))
        restarted(profile, 80, i * 1e7 + 9e6)
        sizes.append(len(json.dumps(profile.as_dict())))
    assert max(sizes) < 8000


# What a state says


def state(status: Status | None, **summary: Any) -> MinerState:
    """Return a state of a miner that mines."""
    return MinerState(
        info=MinerInfo(dialect=Dialect.V2),
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        summary=Summary(power=3500.0, power_mode=PowerMode.NORMAL, **summary),
        status=status,
        activity=MINING,
    )


@pytest.mark.parametrize(
    ("reported", "commanded", "percent"),
    [(None, None, 100), (0, None, 100), (70, 50, 70), (None, 50, 50), (0, 50, 100)],
)
def test_the_percent_in_effect(
    reported: float | None, commanded: float | None, percent: float
) -> None:
    """A level would be learned under the name of another one."""
    found = poll_of(state(Status(power_percent=reported)), commanded, None)
    assert found.percent == percent


def test_the_hashrate_that_counts() -> None:
    """The value of five seconds is noise, and the average says nothing about now."""
    status = Status(power_limit_set=3200.0, target_frequency=0)
    found = poll_of(state(status, hashrate_5s=9.0, hashrate_1m=7.0), None, None)
    assert found.ths == 7
    assert found.base == (PowerMode.NORMAL, 3200.0, None)
    both = state(status, hashrate=6.0, hashrate_5m=5.0, hashrate_average=1.0)
    assert poll_of(both, None, None).ths == 5
    unknown = poll_of(state(None, hashrate_15m=5.0), None, None)
    assert unknown[2:4] == (None, None)
    assert unknown.ths is None


# Cost


def test_time() -> None:
    """It runs in the event loop at every poll of every miner."""
    profile = full_profile()
    begin = profile.as_dict()["unsteady"][-1] + 1000
    polls = [poll(begin + i * 30, elapsed=i * 30 + 900) for i in range(2000)]
    spent = time.process_time()
    for one in polls:
        profile.observe(one)
    assert (time.process_time() - spent) / len(polls) < 0.0002
    # The same poll again, as after each command, is nothing new.
    assert not profile.observe(polls[-1])

"""The policy: who decides about the power, and by which command."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import permutations
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
import pytest

from custom_components.whatsminer.power.policy import (
    TOLERANCE,
    Budget,
    By,
    Case,
    Decision,
    Situation,
    Wish,
    strictest,
)
from custom_components.whatsminer.power.record import (
    LIMIT,
    MINING,
    PERCENT,
    SETTINGS,
    Baseline,
    Curtailment,
    EndedBy,
    Record,
    Target,
    load_record,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
USER = Baseline(mining=True, power_limit=3500, power_percent=100, full_power=3400.0)
TUNED = Situation(
    mining=True,
    is_tuned=True,
    power=3400.0,
    power_limit=3500,
    power_percent=100,
    full_power=3400.0,
    lowest_power=1400.0,
)
TUNING = replace(TUNED, is_tuned=False)
OFF = replace(TUNED, mining=False, is_tuned=False, power=20.0)
BUDGET = Budget(dead_band=100)


def curtailment(
    target: Target, amount: int | None = None, reason: str = "a"
) -> Curtailment:
    """A curtailment without an end."""
    return Curtailment(
        target=target, amount=amount, since=NOW, until=None, reason=reason
    )


STOP = curtailment(Target.STOP, reason="stop")
SIXTY = curtailment(Target.PERCENT, 60, "sixty")
WATTS = curtailment(Target.POWER, 1750, "watts")
HIGH = curtailment(Target.POWER, 5000, "high")
LOW = curtailment(Target.POWER, 1000, "low")


def ask(
    miner: Situation,
    *curtailments: Curtailment,
    baseline: Baseline = USER,
    wish: Wish | None = None,
    touched: dict[str, bool] | None = None,
    budget: Budget = BUDGET,
) -> Decision:
    """Take a decision."""
    return Case(
        baseline=baseline,
        wish=wish or Wish(),
        curtailments=curtailments,
        miner=miner,
        touched=touched or {},
        budget=budget,
    ).decide()


def said(decision: Decision) -> tuple[str, Any] | None:
    """The command of a decision."""
    command = decision.command
    return (command.key, command.value) if command else None


LIMITED = {LIMIT: True}
REDUCED = {PERCENT: True}
STOPPED = {MINING: True}


@pytest.mark.parametrize(
    ("decision", "command", "by"),
    [
        (ask(TUNED), None, By.BASELINE),
        (ask(replace(TUNED, answered=False), STOP), None, By.CURTAILMENT),
        # A curtailment takes the way that restarts least
        (ask(TUNED, STOP), (MINING, False), By.CURTAILMENT),
        (ask(OFF, STOP), None, By.CURTAILMENT),
        (ask(TUNED, SIXTY), (PERCENT, 60), By.CURTAILMENT),
        (ask(TUNED, WATTS), (PERCENT, 51), By.CURTAILMENT),
        (ask(TUNED, HIGH), None, By.CURTAILMENT),
        (ask(TUNED, LOW), (MINING, False), By.CURTAILMENT),
        (ask(TUNING, WATTS), (LIMIT, 1750), By.CURTAILMENT),
        (ask(TUNING, SIXTY), (LIMIT, 2040), By.CURTAILMENT),
        (ask(replace(TUNING, can_limit=False), WATTS), (MINING, False), By.CURTAILMENT),
        (ask(replace(TUNED, can_percent=False), WATTS), (LIMIT, 1750), By.CURTAILMENT),
        # The limit that cannot be restored is not touched
        (
            ask(TUNING, WATTS, baseline=replace(USER, power_limit=None)),
            (MINING, False),
            By.CURTAILMENT,
        ),
        # The strictest counts, in any order
        (ask(TUNED, SIXTY, STOP, WATTS), (MINING, False), By.CURTAILMENT),
        (ask(TUNED, SIXTY, WATTS), (PERCENT, 51), By.CURTAILMENT),
        # What it is at already is not commanded again
        (
            ask(replace(TUNED, power_percent=51, power=1750.0), WATTS, touched=REDUCED),
            None,
            By.CURTAILMENT,
        ),
        # A miner that forgot its percent gets it again, once its power has had time
        (
            ask(replace(TUNED, power_percent=51), WATTS, touched=REDUCED),
            (PERCENT, 51),
            By.CURTAILMENT,
        ),
        (
            ask(
                replace(TUNED, power_percent=51, power_is_settled=False),
                WATTS,
                touched=REDUCED,
            ),
            None,
            By.CURTAILMENT,
        ),
        # The next strictest, after the strictest has ended
        (
            ask(replace(TUNED, power_percent=51, power=1750.0), SIXTY, touched=REDUCED),
            (PERCENT, 60),
            By.CURTAILMENT,
        ),
        (ask(OFF, WATTS, touched=STOPPED), (MINING, True), By.CURTAILMENT),
        (ask(OFF, LOW, touched=STOPPED), None, By.CURTAILMENT),
        # Back to the baseline, and to nothing else
        (ask(OFF, touched=STOPPED), (MINING, True), By.BASELINE),
        (ask(OFF), None, By.BASELINE),
        (
            ask(OFF, touched=STOPPED, baseline=replace(USER, mining=False)),
            None,
            By.BASELINE,
        ),
        (
            ask(OFF, touched=STOPPED, baseline=replace(USER, mining=None)),
            None,
            By.BASELINE,
        ),
        (
            ask(replace(TUNED, power_limit=1750), touched=LIMITED),
            (LIMIT, 3500),
            By.BASELINE,
        ),
        (
            ask(
                replace(TUNED, power_limit=1750),
                touched=LIMITED,
                baseline=replace(USER, power_limit=None),
            ),
            None,
            By.BASELINE,
        ),
        (
            ask(replace(TUNED, power_percent=60), touched=REDUCED),
            (PERCENT, 100),
            By.BASELINE,
        ),
        (
            ask(replace(TUNED, power_percent=None), touched={PERCENT: False}),
            (PERCENT, 100),
            By.BASELINE,
        ),
        (ask(TUNING, touched=REDUCED), None, By.BASELINE),
        # One answer that was lost changes nothing
        (
            ask(replace(TUNED, is_tuned=None, power=None), SIXTY, touched=REDUCED),
            None,
            By.CURTAILMENT,
        ),
        # The source
        (ask(TUNED, wish=Wish(watts=2380)), (PERCENT, 70), By.SOURCE),
        (ask(TUNED, wish=Wish(percent=70)), (PERCENT, 70), By.SOURCE),
        # A percent is reached by a percent: no dead band, and never a limit that restarts
        (ask(TUNED, wish=Wish(percent=98)), (PERCENT, 98), By.SOURCE),
        (ask(TUNED, wish=Wish(percent=30)), (PERCENT, 40), By.SOURCE),
        (
            ask(replace(TUNED, can_percent=False), wish=Wish(percent=70)),
            None,
            By.SOURCE,
        ),
        (ask(TUNED, SIXTY, wish=Wish(percent=70)), (PERCENT, 60), By.CURTAILMENT),
        (ask(replace(TUNED, power_percent=99), wish=Wish(percent=99)), None, By.SOURCE),
        (
            ask(replace(TUNED, full_power=3000.0), wish=Wish(percent=100)),
            None,
            By.SOURCE,
        ),
        (
            ask(
                replace(TUNED, power_percent=30, power=1020.0),
                curtailment(Target.PERCENT, 30),
                wish=Wish(percent=60),
                touched=REDUCED,
            ),
            None,
            By.CURTAILMENT,
        ),
        (ask(TUNED, wish=Wish(stop=True)), (MINING, False), By.SOURCE),
        (ask(OFF, wish=Wish(watts=2380)), None, By.SOURCE),
        (ask(OFF, wish=Wish(watts=2380), touched=STOPPED), (MINING, True), By.SOURCE),
        (ask(TUNED, wish=Wish(watts=3350)), None, By.SOURCE),
        (ask(TUNED, wish=Wish(watts=4000)), (LIMIT, 4000), By.SOURCE),
        (
            ask(
                TUNED,
                wish=Wish(watts=4000),
                budget=replace(BUDGET, restart_is_due=False),
            ),
            None,
            By.SOURCE,
        ),
        # A limit that is as good as there is worth no restart
        (
            ask(
                replace(TUNED, power_limit=3497, full_power=3300.0, power=3300.0),
                wish=Wish(watts=3500),
            ),
            None,
            By.SOURCE,
        ),
        # Source and curtailment: the lower one
        (ask(TUNED, SIXTY, wish=Wish(watts=2380)), (PERCENT, 60), By.CURTAILMENT),
        (ask(TUNED, HIGH, wish=Wish(watts=2380)), (PERCENT, 70), By.SOURCE),
        (ask(TUNED, WATTS, wish=Wish(watts=1500)), (PERCENT, 51), By.SOURCE),
    ],
)
def test_decision(decision: Decision, command: tuple[str, Any] | None, by: By) -> None:
    """A miner would be restarted for nothing, or run through the expensive hour."""
    assert said(decision) == command
    assert decision.by is by


def test_group_that_has_not_decided() -> None:
    """After a restart of Home Assistant all miners that a group has stopped would start."""
    assert ask(OFF, wish=Wish(hold=True), touched=STOPPED).command is None
    assert ask(TUNED, wish=Wish(hold=True)).command is None
    low = replace(TUNED, power_percent=60)
    assert ask(low, wish=Wish(hold=True), touched={PERCENT: True}).command is None
    assert said(ask(TUNED, SIXTY, wish=Wish(hold=True))) == (PERCENT, 60)
    # The percent is that of the group, and not of another curtailment.
    lowest = replace(TUNED, power_percent=40, power=1360.0)
    held = ask(lowest, SIXTY, wish=Wish(hold=True), touched=REDUCED)
    assert (held.command, held.by) == (None, By.CURTAILMENT)


def test_fast_percent() -> None:
    """A group would follow its meter with a ramp of three minutes."""
    command = ask(TUNED, wish=Wish(percent=70, fast=True)).command
    assert command
    assert command.fast
    limit = ask(TUNED, wish=Wish(watts=4000, fast=True)).command
    assert limit
    assert not limit.fast


def test_what_is_unknown_is_left_alone() -> None:
    """A guess would be taken for the owner's setting."""
    unknown = Baseline()
    assert ask(OFF, touched=STOPPED, baseline=unknown).left_alone == (MINING,)
    assert ask(TUNED, touched=LIMITED, baseline=unknown).left_alone == (LIMIT,)
    assert ask(TUNED, touched=REDUCED, baseline=unknown).left_alone == (PERCENT,)


def test_what_may_still_change_is_not_settled() -> None:
    """A stop that Home Assistant could not confirm would be taken for the user's once it shows."""
    for key in (MINING, PERCENT):
        soon = replace(TUNED, commands_have_shown=False)
        assert ask(soon, touched={key: False}).settled == ()
        assert ask(soon, touched={key: True}).settled == (key,)
        assert ask(TUNED, touched={key: False}).settled == (key,)


def test_strictest() -> None:
    """A curtailment of a percent would hide one of fewer watts."""
    assert strictest([HIGH, SIXTY, WATTS], 3400) is WATTS
    assert strictest([WATTS, SIXTY], 2000) is SIXTY
    assert strictest([WATTS, STOP], None) is STOP
    assert strictest([], 3400) is None


class Model:
    """A miner that obeys, its user, and an executor that does what is decided."""

    def __init__(self, *unknown: str) -> None:
        """Mine at full power; some settings of the user may be unknown."""
        self.mining, self.tuned, self.limit, self.percent = True, True, 3500, 100
        known = Baseline(
            mining=True, power_limit=3500, power_percent=100, full_power=3500.0
        )
        self.user = replace(known, **dict.fromkeys(unknown))
        self.record = Record()
        self.wish = Wish()
        self.budget = Budget(dead_band=100)
        self.restarts = 0
        self.commands: list[tuple[str, Any]] = []

    @property
    def watts(self) -> float:
        """What it may draw with its settings."""
        if not self.mining:
            return 0.0
        return self.limit * (self.percent if self.tuned else 100) / 100

    def situation(self) -> Situation:
        """What the executor sees."""
        return Situation(
            mining=self.mining,
            is_tuned=self.mining and self.tuned,
            power=self.watts,
            power_limit=self.limit,
            power_percent=self.percent,
            full_power=float(self.limit),
            lowest_power=1400.0,
        )

    def decide(self, active: Iterable[Curtailment] | None = None) -> Decision:
        """Take a decision."""
        return Case(
            baseline=self.user,
            wish=self.wish,
            curtailments=self.record.active if active is None else active,
            miner=self.situation(),
            touched=self.record.touched,
            budget=self.budget,
        ).decide()

    def restart(self) -> None:
        """Restart the mining process, which resets a percent and a stop."""
        self.mining, self.tuned, self.percent = True, False, 100

    def _obey(self, key: str, value: Any) -> None:
        if key == MINING:
            self.mining, self.tuned = value, False
            self.percent = 100
        elif key == LIMIT:
            self.limit = value
            self.restart()
        else:
            assert self.tuned, "a percent is not followed before tuning"
            self.percent = value

    def rest(self) -> None:
        """Carry out what is decided until nothing is left."""
        for _ in range(6):
            decision = self.decide()
            gone = {*decision.settled, *decision.left_alone}
            if gone:
                touched = {
                    k: v for k, v in self.record.touched.items() if k not in gone
                }
                self.record = replace(self.record, touched=touched)
                continue
            if (command := decision.command) is None:
                return
            self.commands.append((command.key, command.value))
            if command.key == MINING and command.value:
                assert self.user.mining, "started against the user"
            if decision.by is By.BASELINE and command.key != MINING:
                before = getattr(self.user, command.key)
                assert before is not None, "an unknown value was restored"
                assert command.value == before
            if command.adopt:
                if command.key == LIMIT:
                    assert self.budget.restart_is_due
                    self.budget = replace(self.budget, restart_is_due=False)
                    self.restarts += 1
                self.user = replace(self.user, **{command.key: command.value})
                if command.key == LIMIT:
                    self.user = replace(self.user, full_power=float(command.value))
            else:
                touched = {**self.record.touched, command.key: True}
                self.record = replace(self.record, touched=touched)
            self._obey(command.key, command.value)
        pytest.fail(f"never rests: {self.commands[-6:]}")

    def curtail(self, one: Curtailment) -> None:
        """Begin a curtailment."""
        for other in self.record.active:
            if other.reason == one.reason:
                self.record = self.record.archive(other, EndedBy.REPLACED, NOW)
        active = (*self.record.curtailments, one)
        self.record = replace(self.record, curtailments=active)
        self.rest()

    def end(self, one: Curtailment) -> None:
        """End it."""
        self.record = self.record.archive(one, EndedBy.RESUME, NOW)
        self.rest()

    def check(self) -> None:
        """See that the power is right."""
        one = strictest(self.record.active, self.user.full_power)
        if one and one.target is Target.STOP:
            assert not self.mining
        elif one and (watts := one.watts(self.user.full_power)) is not None:
            assert self.watts <= watts * TOLERANCE
        others = self.decide(reversed(self.record.active))
        assert others == self.decide(), "the order counts"
        before = len(self.commands)
        self.rest()
        assert len(self.commands) == before, "a command without need"


@pytest.mark.parametrize("kind", ["miner", "home_assistant"])
@pytest.mark.parametrize("starts", list(permutations([STOP, SIXTY, WATTS])))
def test_three_curtailments_in_every_order(
    starts: tuple[Curtailment, ...], kind: str
) -> None:
    """The end of one would let the miner run through the others, or leave it down for good."""
    for ends in permutations([STOP, SIXTY, WATTS]):
        for break_after in range(7):
            _overlap(starts, ends, kind, break_after)


def _overlap(
    starts: tuple[Curtailment, ...],
    ends: tuple[Curtailment, ...],
    kind: str,
    break_after: int,
) -> None:
    """Begin three curtailments, end them, and restart something in between."""
    model = Model()
    steps: list[Callable[[], None]] = [
        *(partial(model.curtail, one) for one in starts),
        *(partial(model.end, one) for one in ends),
    ]
    for number, step in enumerate(steps):
        if number == break_after and kind == "miner":
            model.restart()
            model.rest()
        elif number == break_after:
            model.record, lost = load_record(model.record.stored(), "Miner")
            assert not lost
        step()
        model.check()
        model.tuned = model.mining
        model.rest()
        model.check()
    assert (model.mining, model.limit, model.percent) == (True, 3500, 100)
    assert not model.record.touched


class Powers(RuleBasedStateMachine):
    """Users, sources, curtailments and restarts in any order."""

    @initialize(unknown=st.sets(st.sampled_from([*SETTINGS, "full_power"]), max_size=2))
    def begin(self, unknown: set[str]) -> None:
        """Begin at full power."""
        self.model = Model(*unknown)

    @rule(
        reason=st.sampled_from("abc"),
        kind=st.sampled_from(Target),
        share=st.integers(41, 100),
    )
    def curtail(self, reason: str, kind: Target, share: int) -> None:
        """Begin or replace a curtailment."""
        amount = {Target.STOP: None, Target.PERCENT: share, Target.POWER: share * 40}
        self.model.curtail(curtailment(kind, amount[kind], reason))

    @precondition(lambda self: self.model.record.active)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """End one."""
        self.model.end(data.draw(st.sampled_from(self.model.record.active)))

    @rule()
    def restart(self) -> None:
        """Restart the miner, as a power cut does."""
        if not self.model.record.active and PERCENT not in self.model.record.touched:
            self.model.user = replace(self.model.user, power_percent=100)
        if self.model.user.mining or self.model.record.active:
            self.model.restart()
        self.model.rest()

    @rule()
    def tune(self) -> None:
        """Let it be tuned."""
        self.model.tuned = self.model.mining
        self.model.rest()

    @rule()
    def home_assistant(self) -> None:
        """Restart Home Assistant."""
        self.model.record, lost = load_record(self.model.record.stored(), "Miner")
        assert not lost

    @rule()
    def off(self) -> None:
        """Let the user switch mining off."""
        touched = {k: v for k, v in self.model.record.touched.items() if k != MINING}
        self.model.record = replace(self.model.record, touched=touched)
        self.model.user = replace(self.model.user, mining=False)
        self.model.mining = self.model.tuned = False
        self.model.percent = 100
        self.model.rest()

    @rule()
    def on(self) -> None:
        """Let the user switch mining on, which ends all curtailments."""
        touched = {k: v for k, v in self.model.record.touched.items() if k != MINING}
        self.model.record = replace(self.model.record, curtailments=(), touched=touched)
        self.model.user = replace(self.model.user, mining=True)
        if not self.model.mining:
            self.model.restart()
        self.model.rest()

    @rule(
        wish=st.one_of(
            st.builds(Wish, watts=st.integers(1400, 4000)),
            st.builds(Wish, percent=st.integers(40, 100)),
            st.builds(Wish, stop=st.booleans()),
        )
    )
    def want(self, wish: Wish) -> None:
        """Let the source want something, or nothing."""
        self.model.wish = wish
        self.model.rest()

    @rule()
    def time(self) -> None:
        """Let the interval between restarts pass."""
        self.model.budget = replace(self.model.budget, restart_is_due=True)
        self.model.rest()

    @invariant()
    def is_right(self) -> None:
        """See that the power is right, and that nothing more is commanded."""
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        """End all: the miner is where the user put it."""
        if not hasattr(self, "model"):
            return
        model = self.model
        model.wish = Wish()
        model.record = replace(model.record, curtailments=())
        model.rest()
        model.tuned = model.mining
        model.rest()
        if model.mining and model.user.power_limit is not None:
            assert model.limit == model.user.power_limit
        if model.mining and model.user.power_percent is not None:
            assert model.percent == model.user.power_percent
        assert model.mining or not model.user.mining


TestPowers = Powers.TestCase
TestPowers.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)

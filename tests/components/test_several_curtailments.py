"""Several curtailments, and the power sources: who decides, and where the miner is afterwards."""

import asyncio
from datetime import datetime
from itertools import permutations, product
import math
from typing import Any
from unittest.mock import patch

from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.logbook import Texts, describe
from custom_components.whatsminer.power.executor import EVENT_DECISION, PowerExecutor
from custom_components.whatsminer.power.external import External
from custom_components.whatsminer.power.policy import Wish
from custom_components.whatsminer.store import MinerStore
from simulator import SimulatedMiner

from .conftest import Act, Call, Find, Poll, RaceClock, Show, later, until

EXECUTOR = "custom_components.whatsminer.power.executor"


@pytest.fixture(autouse=True)
def _racing(clock: RaceClock) -> None:
    """Let the miner's time race."""
    clock.rate = 1000
    clock.race()


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_a_stop_within_a_longer_limit(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    act: Act,
    poll: Poll,
    state: Show,
) -> None:
    """A grid call that ends during an expensive hour would let the miner run at full power."""
    full, limit = miner.machine.power_w, miner.truth().power_limit_w
    watts = round(full * 0.7)
    await act("curtail", target="power", power=watts, reason="expensive")
    response = await act("curtail", target="stop", reason="grid")
    assert (response["confirmed"], response["stricter"]) == (True, False)
    assert state("sensor", "curtailment") == "stop"
    assert state("sensor", "curtailment_reason") == "grid"
    assert state("sensor", "power_decided_by") == "curtailment"
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert miner.truth().mining is False
    await act("resume", reason="grid")
    assert state("sensor", "curtailment") == "power"
    assert state("sensor", "curtailment_reason") == "expensive"
    assert miner.truth().mining is True
    await until(lambda: miner.machine.power_w > 500)
    for _ in range(5):
        with later(10):
            await poll()
        assert miner.machine.power_w <= watts * 1.1
    await act("resume", reason="expensive")
    assert state("sensor", "curtailment") == "none"
    assert state("sensor", "power_decided_by") == "baseline"
    await until(lambda: miner.truth().power_limit_w == limit)
    assert miner.truth().mining is True


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_no_start_without_a_limit(miner: SimulatedMiner, act: Act) -> None:
    """A miner that only follows a percent would tune at full power in an expensive hour."""
    full = miner.machine.power_w
    await act("curtail", target="power", power=round(full * 0.7), reason="expensive")
    await act("curtail", target="stop", reason="grid")
    await act("resume", reason="grid")
    assert miner.truth().mining is False
    await act("resume", reason="expensive")
    assert miner.truth().mining is True


THREE: dict[str, dict[str, Any]] = {
    "stop": {"target": "stop"},
    "watts": {"target": "power", "power": 1750},
    "sixty": {"target": "percent", "percent": 60},
}
"""The strictest first."""
ORDERS = list(permutations(THREE))
IN_SHORT = [(number, (number * 5 + 2) % 6) for number in range(6)]
"""The orders of starts and ends that the short run of the tests tries."""


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        pytest.param(
            *pair,
            id="-".join((*ORDERS[pair[0]], "then", *ORDERS[pair[1]])),
            marks=() if pair in IN_SHORT else pytest.mark.long,
        )
        for pair in product(range(6), range(6))
    ],
)
async def test_three_in_any_order(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    act: Act,
    poll: Poll,
    state: Show,
    starts: int,
    ends: int,
) -> None:
    """The end of one would let the miner run through the others, or a restart forget one of them."""
    most = {"stop": 100, "watts": 1750 * 1.1, "sixty": miner.machine.power_w * 0.66}
    limit, percent = miner.truth().power_limit_w, miner.machine.power_percent
    active: set[str] = set()

    async def check() -> None:
        """See that the strictest counts, some minutes later, and that nothing more is curtailed."""
        strictest = next((reason for reason in THREE if reason in active), "none")
        assert state("sensor", "curtailment_reason") == strictest
        allowed = most.get(strictest, math.inf)
        for minutes in (10, 30, 60):
            with later(minutes):
                await poll()
            if miner.machine.power_w <= allowed:
                break
        assert miner.machine.power_w <= allowed
        assert miner.truth().mining is (strictest != "stop")

    async def restart(number: int) -> None:
        """Restart Home Assistant, or the miner."""
        if number % 2:
            assert await hass.config_entries.async_reload(entry.entry_id)
            await hass.async_block_till_done()
        else:
            miner.machine.power_on()
            miner.machine.restart()
            await miner.tick()
        await check()

    for step, reason in enumerate(ORDERS[starts]):
        response = await act("curtail", reason=reason, **THREE[reason])
        stricter = any(
            one in active for one in list(THREE)[: list(THREE).index(reason)]
        )
        assert (response["confirmed"], response["stricter"]) == (True, stricter)
        active.add(reason)
        await check()
        await restart(starts + ends + step)
    for step, reason in enumerate(ORDERS[ends]):
        assert (await act("resume", reason=reason))["confirmed"]
        active.remove(reason)
        await check()
        await restart(starts + step)
    await until(lambda: miner.truth().power_limit_w == limit)
    for minutes in (90, 120):
        with later(minutes):
            await poll()
    await until(lambda: miner.machine.power_w > 3000)
    assert miner.machine.power_percent in (percent, 100)
    assert state("sensor", "power_decided_by") == "baseline"


async def test_less_strict_than_another(
    miner: SimulatedMiner, act: Act, coordinator: WhatsminerCoordinator
) -> None:
    """An automation would take credit for the limit of another, or start what is stopped."""
    await act("curtail", target="stop", reason="grid")
    miner.commands.clear()
    response = await act("curtail", target="percent", percent=60, reason="expensive")
    assert (response["confirmed"], response["stricter"]) == (True, True)
    assert response["way"] == "none"
    assert miner.truth().mining is False
    reasons = [
        one["reason"]
        for one in coordinator.config_entry.runtime_data.curtailment.attributes[
            "curtailments"
        ]
    ]
    assert reasons == ["grid", "expensive"]
    await act("resume", reason="something else")
    assert miner.truth().mining is False
    await act("resume")
    assert miner.truth().mining is True


async def test_each_ends_at_its_time(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, poll: Poll, state: Show
) -> None:
    """The shorter of two stops would end both."""
    await act("curtail", target="stop", duration="00:30:00", reason="short")
    await act("curtail", target="stop", duration="02:00:00", reason="long")
    with later(31):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "curtailment_reason") == "long"
    assert miner.truth().mining is False
    with later(121):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True


async def test_off_by_the_user_stays_off(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, call: Call, poll: Poll
) -> None:
    """A miner that its owner switched off would be started by the end of something."""
    await act("curtail", target="stop", duration="00:30:00", reason="a")
    await act("curtail", target="percent", percent=60, reason="b")
    await call("switch", "mining", "turn_off")
    with later(31):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    await act("resume")
    assert miner.truth().mining is False


async def test_on_by_the_user_ends_all(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, call: Call, state: Show
) -> None:
    """Who starts a miner would see it stopped again by an older curtailment."""
    await act("curtail", target="stop", reason="a")
    await act("curtail", target="stop", reason="b")
    await call("switch", "mining", "turn_on")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True


async def test_refused_leaves_the_others(
    miner: SimulatedMiner, act: Act, state: Show
) -> None:
    """A curtailment that failed would end one that holds."""
    await act("curtail", target="percent", percent=60, reason="a")
    miner.refuse["power_off"] = 14
    with pytest.raises(HomeAssistantError):
        await act("curtail", target="stop", reason="b")
    assert state("sensor", "curtailment_reason") == "a"
    assert miner.machine.power_percent == 60


async def test_too_many(miner: SimulatedMiner, act: Act) -> None:
    """An automation with the time in its reason would fill the storage, and end none of them."""
    with patch(f"{EXECUTOR}.MOST_CURTAILMENTS", 2):
        await act("curtail", target="stop", reason="a")
        await act("curtail", target="stop", reason="b")
        await act("curtail", target="stop", reason="b")
        with pytest.raises(ServiceValidationError) as error:
            await act("curtail", target="stop", reason="c")
    assert error.value.translation_key == "curtail_too_many"
    await act("resume")
    assert miner.truth().mining is True


async def test_target_within_a_limit(
    miner: SimulatedMiner, act: Act, call: Call, poll: Poll
) -> None:
    """After a curtailment the miner would be where it was, not where the target is now."""
    await call("number", "power_target", "set_value", value=2800)
    await act("curtail", target="power", power=2000, reason="a")
    await until(lambda: miner.machine.power_w < 2100)
    await call("number", "power_target", "set_value", value=2400)
    for _ in range(3):
        await poll()
    assert miner.machine.power_w < 2100
    await act("resume", reason="a")
    for _ in range(3):
        await poll()
    await until(lambda: abs(miner.machine.power_w - 2400) < 150)


async def test_both_at_the_same_time(
    miner: SimulatedMiner, act: Act, state: Show
) -> None:
    """Of two automations of the same second one would lose its proof."""
    first, second = await asyncio.gather(
        act("curtail", target="percent", percent=60, reason="a"),
        act("curtail", target="stop", reason="b"),
    )
    assert first["confirmed"]
    assert second["confirmed"]
    assert state("sensor", "curtailment_reason") == "b"
    assert miner.truth().mining is False


async def test_changes_are_announced(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    act: Act,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """The logbook would not say who stopped the miner, or what is not true."""
    events: list[Event] = async_capture_events(hass, EVENT_DECISION)
    texts = Texts(hass)

    def lines() -> list[str]:
        """Return the new lines of the logbook."""
        found = [describe(event.data, texts) for event in events]
        events.clear()
        return found

    await act("curtail", target="percent", percent=60, reason="price")
    response = await act("curtail", target="stop", reason="grid", duration="02:00:00")
    assert response["stricter"] is False
    first, second = lines()
    assert first == "limited to 60 %: price"
    assert second.startswith("stopped: grid, until ")
    # A restart of Home Assistant changes nothing.
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await poll()
    assert lines() == []
    assert state("sensor", "power_decided_by") == "curtailment"
    response = await act("resume", reason="grid")
    assert (response["confirmed"], response["stricter"]) == (True, True)
    assert lines() == ["limited to 60 %: price"]
    # Off by hand counts more, and no end of anything starts it.
    await call("switch", "mining", "turn_off")
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll()
    assert state("sensor", "power_decided_by") == "baseline"
    assert state("sensor", "curtailment_reason") == "price"
    assert lines() == ["off, as a user switched it"]
    response = await act("resume")
    assert (response["way"], response["stricter"]) == ("none", False)
    assert lines() == []
    await call("switch", "mining", "turn_on")
    await act("curtail", target="stop", reason="grid")
    await call("switch", "mining", "turn_on")
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll()
    assert lines() == ["stopped: grid", "resumed"]
    assert state("sensor", "power_decided_by") == "baseline"
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    await act("curtail", target="stop", reason="grid")
    assert [event.data["device_id"] for event in events] == [device.id]


class Plan:
    """A power source of a test."""

    key = "external"
    is_set_up = True

    def __init__(self) -> None:
        """Want nothing."""
        self.now = Wish()

    def wish(self, now: datetime) -> Wish:
        """What the test wants."""
        return self.now


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Set up a power source of the test in place of *External*."""
    plan = Plan()

    def begin(_: External, __: MinerStore, executor: PowerExecutor) -> None:
        executor.add_source(plan)

    monkeypatch.setattr(External, "__init__", begin)
    return plan


async def test_another_source(
    plan: Plan,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """A plan would start a miner that is off, or leave it stopped when it is no longer used."""
    assert state("select", "power_source") == "manual"
    plan.now = Wish(stop=True)
    await poll()
    assert miner.truth().mining is True
    await call("select", "power_source", "select_option", option="external")
    await poll()
    assert miner.truth().mining is False
    assert state("sensor", "power_decided_by") == "external"
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state("select", "power_source") == "external"
    await act("curtail", target="stop", reason="a")
    await act("resume", reason="a")
    assert miner.truth().mining is False
    plan.now = Wish()
    with later(5):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().mining is True
    plan.now = Wish(stop=True)
    await call("number", "power_target", "set_value", value=2500)
    assert state("select", "power_source") == "manual"
    assert miner.truth().mining is True


async def test_power_source_over_a_restart(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    plan: Plan,
    coordinator: WhatsminerCoordinator,
    entity_id: Find,
) -> None:
    """An automation would see it removed and added, and a user would lose its name."""
    select = entity_id("select", "power_source")
    er.async_get(hass).async_update_entity(select, name="What decides")
    await hass.async_block_till_done()
    events = async_capture_events(hass, er.EVENT_ENTITY_REGISTRY_UPDATED)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert [event.data for event in events if event.data["entity_id"] == select] == []
    found = er.async_get(hass).async_get(select)
    assert found
    assert found.name == "What decides"
    state = hass.states.get(select)
    assert state
    assert state.state == "manual"


@pytest.mark.usefixtures("coordinator")
async def test_no_other_source(entity_id: Find) -> None:
    """A select with one option only confuses."""
    with pytest.raises(AssertionError):
        entity_id("select", "power_source")


async def test_record_of_the_version_before(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    state: Show,
) -> None:
    """An update of the integration during a stop would leave the miner off for good."""
    await act("curtail", target="stop", reason="a")
    stored: dict[str, Any] = coordinator.store.curtailment
    one = stored["active"][0]
    coordinator.store.reported.clear()  # it had none
    before = {"mining": True, "power_limit": 3500, "power_percent": None}
    await coordinator.store.async_keep(
        "curtailment",
        {
            "active": {**one, "before": before, "touched": ["mining"], "watts": None},
            "ended": None,
            "ended_reason": None,
            "last": None,
        },
    )
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert state("sensor", "curtailment_reason") == "a"
    assert (await act("resume"))["confirmed"] is True
    assert miner.truth().mining is True

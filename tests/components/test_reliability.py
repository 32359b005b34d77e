"""docs/reliability.md: what a user sees of every failure, in a real Home Assistant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    MAX_LENGTH_STATE_STATE,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import format_mac
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.api import transport
from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import FAILURES, SimulatedMiner
from tests.test_docs import failure_rows

from .conftest import PASSWORD, Call, Poll, RaceClock, Show

UNAFFECTED, LESS, ZEROS, GONE = "unaffected", "less", "zeros", "gone"
WORST_LAST = [UNAFFECTED, LESS, ZEROS, GONE]

# Here the client waits in vain.
WAITING = frozenset(
    {
        "silent",
        "stall_midway",
        "byte_a_second",
        "long_length",
        "no_answer_frame",
        "other_answer",
    }
)

OURS = (
    "_curtailment",
    "_power_target",
    "_power_decided_by",
    "_profile_state",
    "_sweet_spot_power",
)
"""What Home Assistant itself does; it does not depend on answers of a miner."""
ZERO = {"0", "0.0", "starting", "low", STATE_OFF}
"""What an entity may show when the miner says 0: also a mode, and a phase without hashrate."""
SIMILAR = 0.2
"""Means of the same quantity over other windows differ by less, where the miner only reports those."""
RESTARTED_S = 600.0
"""The clock of the miner stands still here, and the one of Home Assistant does not."""


@dataclass
class Shown:
    """One miner in Home Assistant, and all that its entities show."""

    hass: HomeAssistant
    miner: SimulatedMiner
    entry: MockConfigEntry
    entity_ids: list[str]

    @property
    def coordinator(self) -> WhatsminerCoordinator:
        """The present one: a firmware of another name reloads the entry."""
        found: WhatsminerCoordinator = self.entry.runtime_data.coordinator
        return found

    def states(self) -> dict[str, str]:
        """The state of every entity."""
        states = (self.hass.states.get(entity_id) for entity_id in self.entity_ids)
        return {state.entity_id: state.state for state in states if state}

    async def poll(self) -> dict[str, str]:
        """Read everything, and show it."""
        self.coordinator.read_all_next()
        await self.coordinator.async_refresh()
        await self.hass.async_block_till_done()
        return self.states()


async def set_up(hass: HomeAssistant, miner: SimulatedMiner, closed_port: int) -> Shown:
    """Add a miner to Home Assistant, over the best port it has."""
    data: dict[str, Any] = {
        CONF_HOST: miner.host,
        CONF_PORT: miner.port,
        CONF_V3_PORT: miner.v3_port or closed_port,
    }
    if miner.v3_port:
        data |= {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
    else:
        data[CONF_PASSWORD] = PASSWORD
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id=format_mac(miner.mac), title="Miner", data=data
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    registered = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return Shown(
        hass,
        miner,
        entry,
        # An event is no state: it stays when it is over.
        [found.entity_id for found in registered if found.domain != "event"],
    )


def is_same(shown: str, true: str, slack: float = 1e-3) -> bool:
    """Return whether two states are the same; energy continues to be counted, and clocks run."""
    if shown == true:
        return True
    try:
        began, begins = datetime.fromisoformat(shown), datetime.fromisoformat(true)
    except ValueError:
        pass
    else:
        return abs((began - begins).total_seconds()) < RESTARTED_S
    try:
        return float(shown) == pytest.approx(float(true), rel=slack, abs=0.05)
    except ValueError:
        return False


def is_reported(failure: str, entity_id: str, state: str) -> bool:
    """Return whether the broken answer itself reports a state, within its bounds."""
    match failure:
        case "odd_texts":
            return "\ufffd" in state and len(state) <= MAX_LENGTH_STATE_STATE
        case "many_codes":
            return entity_id.endswith(("_fault", "_problem"))
        case _:
            return False


def judge(
    true: dict[str, str], shown: dict[str, str], *, zeros: bool, failure: str = ""
) -> str:
    """Say in the words of the page what became of the states; fail for one that is false."""
    lost = {
        entity_id
        for entity_id, state in shown.items()
        if state in (STATE_UNKNOWN, STATE_UNAVAILABLE) and state != true[entity_id]
    }
    others = {
        entity_id: (state, true[entity_id])
        for entity_id, state in shown.items()
        if entity_id not in lost and not is_same(state, true[entity_id])
    }
    if zeros:
        wrong = {
            entity_id: states
            for entity_id, states in others.items()
            if states[0] not in ZERO and not is_percent_or_start(entity_id)
        }
        assert not wrong, wrong
        return ZEROS
    wrong = {
        entity_id: states
        for entity_id, states in others.items()
        if not is_same(*states, slack=SIMILAR)
        and not is_reported(failure, entity_id, states[0])
    }
    assert not wrong, (failure, wrong)
    return LESS if lost or others else UNAFFECTED


def is_percent_or_start(entity_id: str) -> bool:
    """A percentage of 0 is none (protocol.md#e5), and 0 seconds of uptime is a start just now."""
    return entity_id.endswith(("_power_percent", "uptime"))


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.parametrize(
    ("port", "profiles"),
    [(4028, ["v1_m20s", "v205_m50", "v2c_m60s"]), (4433, ["v2c_m60s", "v3_m7bs"])],
)
async def test_what_is_shown(
    hass: HomeAssistant,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    profiles: list[str],
) -> None:
    """A false number is worse than none, and an owner must know which of them to expect."""
    monkeypatch.setattr(transport, "SILENCE_AFTER_ANSWER", 0.01)
    hass.loop.set_debug(False)
    worst = dict.fromkeys(FAILURES, UNAFFECTED)
    for profile in profiles:
        async with SimulatedMiner(
            profile,
            password=PASSWORD,
            v3_password=PASSWORD,
            v3_port=0 if port == 4433 else None,
            clock=RaceClock(),
        ) as miner:
            on_it = await set_up(hass, miner, unused_tcp_port)
            for failure in FAILURES:
                found = await meet(on_it, failure, monkeypatch)
                worst[failure] = max(worst[failure], found, key=WORST_LAST.index)
            await hass.config_entries.async_remove(
                on_it.coordinator.config_entry.entry_id
            )
    column = "over_4028" if port == 4028 else "over_4433"
    promised = {
        failure: getattr(row, column)
        for row in failure_rows()
        for failure in row.failures
    }
    assert worst == {
        failure: UNAFFECTED if word == "-" else word
        for failure, word in promised.items()
    }


async def meet(on_it: Shown, failure: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Poll a miner whose answers are all broken, twice, and again when it is well."""
    true = await on_it.poll()
    assert STATE_UNAVAILABLE not in true.values(), failure
    with monkeypatch.context() as impatient:
        if failure in WAITING:
            impatient.setattr(transport, "ANSWER_TIMEOUT", 0.1)
        on_it.miner.inject(failure)
        first = await on_it.poll()
        second = await on_it.poll()
    is_gone = not on_it.coordinator.last_update_success
    if is_gone:
        # With other serial numbers and without a MAC address it counts as another miner.
        if failure != "odd_texts":
            forgiven = judge(true, first, zeros=False)
            # Half of an answer on one port is still worth a look at the other.
            assert forgiven == (LESS if failure == "truncate" else UNAFFECTED), failure
        for entity_id, state in second.items():
            if entity_id.endswith("_connectivity"):
                assert state == "off"
            elif state != STATE_UNAVAILABLE:
                assert any(own in entity_id for own in OURS), entity_id
                assert state == true[entity_id], entity_id
    else:
        shown = [
            judge(true, states, zeros=failure == "all_zero", failure=failure)
            for states in (first, second)
        ]
    on_it.miner.clear_failures()
    await on_it.miner.tick()
    assert judge(true, await on_it.poll(), zeros=False) == UNAFFECTED, failure
    return GONE if is_gone else max(shown, key=WORST_LAST.index)


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v3_m7bs"])
@pytest.mark.usefixtures("coordinator")
async def test_off_that_undoes_itself(
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """A miner that starts again in the most expensive hour must not look off, nor be fought with."""
    miner.inject("undone")
    clock.race()
    await call("switch", "mining", "turn_off")
    clock.stop()
    assert state("switch", "mining") == STATE_OFF
    stops = len(miner.applied)
    clock.advance(200)
    await poll()
    assert state("switch", "mining") == STATE_ON
    assert state("sensor", "status") != "stopped"
    assert len(miner.applied) == stops

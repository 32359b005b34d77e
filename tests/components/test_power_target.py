"""Power target: one slider that restarts the miner only where nothing else leads there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import (
    CONF_DEAD_BAND,
    CONF_RESTART_INTERVAL,
    CONF_RESTARTS_ALLOWED,
    DOMAIN,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.power.record import Target
from simulator import SimulatedMiner

from .conftest import Call, Poll, RaceClock, Show, later, sent

pytestmark = pytest.mark.usefixtures("coordinator")

PERCENT = ("set_power_pct", "set_power_pct_v2", "set.miner.power_percent")
LIMIT = ("adjust_power_limit", "set.miner.power_limit")


@pytest.fixture
def aim(call: Call, clock: RaceClock) -> Callable[[int], Awaitable[None]]:
    """Set the target."""

    async def run(watts: int) -> None:
        clock.race()
        await call("number", "power_target", "set_value", value=watts)

    return run


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_down_without_a_restart(
    miner: SimulatedMiner, aim: Any, state: Show
) -> None:
    """A cloud before the sun would cost ten minutes of work."""
    full = miner.machine.power_w
    await aim(int(full * 0.7))
    assert state("number", "power_target") == str(int(full * 0.7))
    assert state("sensor", "power_target_way") == "power_percent"
    async with asyncio.timeout(5):
        while abs(miner.machine.power_w - full * 0.7) > full * 0.05:
            await asyncio.sleep(0.02)
    assert sent(miner, *LIMIT) == 0


async def test_near_enough(miner: SimulatedMiner, aim: Any, state: Show) -> None:
    """Every flicker of the sun would be a command."""
    power = round(miner.truth().power_w)
    await aim(power - 40)
    assert state("sensor", "power_target_way") == "dead_band"
    assert sent(miner, PERCENT + LIMIT) == 0


async def lower_the_limit(call: Call, clock: RaceClock, poll: Poll) -> None:
    """Let the miner be tuned to a limit that lies below what it can do."""
    clock.race()
    await call("number", "power_limit", "set_value", value=2500)
    clock.stop()
    clock.advance(4000)
    await poll()


async def test_up_with_one_restart(
    miner: SimulatedMiner,
    clock: RaceClock,
    aim: Any,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """Solar power would be sold for little while the miner stays at its low limit."""
    await lower_the_limit(call, clock, poll)
    await aim(3000)
    assert miner.truth().power_limit_w == 3000
    assert state("sensor", "power_target_way") == "waiting_tuned"
    assert state("sensor", "power_target_restarts_today") == "1"
    assert state("sensor", "power_target_next_restart") > dt_util.utcnow().isoformat()
    clock.stop()
    clock.advance(4000)
    await poll()
    await aim(3400)
    assert miner.truth().power_limit_w == 3000
    assert state("sensor", "power_target_way") == "waiting_interval"
    with later(61):
        await poll()
    assert miner.truth().power_limit_w == 3400
    assert state("sensor", "power_target_restarts_today") == "2"


async def test_restarts_that_are_not_allowed(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    aim: Any,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """An owner who said no restarts would get them, or no word of why nothing happens."""
    await lower_the_limit(call, clock, poll)
    hass.config_entries.async_update_entry(
        entry, options={CONF_RESTARTS_ALLOWED: False, CONF_RESTART_INTERVAL: 5}
    )
    await hass.async_block_till_done()
    before = sent(miner, *LIMIT)
    await aim(3000)
    assert state("sensor", "power_target_way") == "restarts_not_allowed"
    assert sent(miner, *LIMIT) == before


async def test_a_restart_forgets_the_percent_and_gets_it_again(
    miner: SimulatedMiner,
    clock: RaceClock,
    aim: Any,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """After a restart the miner would draw its full power from the grid."""
    full = miner.truth().power_w
    await aim(round(full * 0.6))
    await call("button", "restart_btminer", "press")
    assert state("sensor", "power_target_way") == "waiting_tuned"
    miner.applied.clear()
    clock.stop()
    clock.advance(4000)
    await poll()
    clock.race()
    await poll()
    assert sum(name in PERCENT for name in miner.applied) == 1
    async with asyncio.timeout(5):
        while miner.truth().power_w > full * 0.65:
            await asyncio.sleep(0.02)


async def test_a_person_counts_more(
    hass: HomeAssistant, aim: Any, call: Call, state: Show
) -> None:
    """A percent that the user sets would be changed at the next poll."""
    await aim(2500)
    await call("number", "power_percent", "set_value", value=90)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("number", "power_target") == STATE_UNKNOWN
    assert state("sensor", "power_target_way") == "off"


async def test_stopped_and_curtailed(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    aim: Any,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """A target would start or speed up a miner that is to be down."""
    await aim(2500)
    await call("switch", "mining", "turn_off")
    await poll()
    assert state("sensor", "power_target_way") == "stopped"
    await coordinator.config_entry.runtime_data.curtailment.async_curtail(Target.STOP)
    await poll()
    assert state("sensor", "power_target_way") == "curtailed"
    assert miner.truth().mining is False


async def test_refused(miner: SimulatedMiner, aim: Any, state: Show) -> None:
    """A slider that moves while the miner refuses is wrong."""
    miner.api_switch = False
    with pytest.raises(HomeAssistantError) as error:
        await aim(2500)
    assert error.value.translation_key == "write_api_disabled"
    assert state("sensor", "power_target_way") == "failed"


async def test_survives_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, aim: Any, state: Show
) -> None:
    """After an update of Home Assistant the target would be gone."""
    await aim(2500)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("number", "power_target") == "2500"


async def test_refused_by_itself(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    aim: Any,
    call: Call,
    poll: Poll,
    state: Show,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A target that cannot be held any more would look as if it were."""
    await aim(2500)
    await call("button", "restart_btminer", "press")
    clock.stop()
    clock.advance(4000)
    miner.api_switch = False
    await poll()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "power_target_way") == "failed"
    assert "power target" in caplog.text
    assert state("number", "power_target") == "2500"


async def test_two_targets_at_once(
    miner: SimulatedMiner, clock: RaceClock, aim: Any, state: Show, poll: Poll
) -> None:
    """A slider that is moved on while the miner works would send both, or lose the last."""
    await asyncio.gather(aim(2900), aim(2400))
    assert state("number", "power_target") == "2400"
    clock.stop()
    for _ in range(3):
        clock.advance(300)
        await poll()
        clock.race()
        await poll()
        clock.stop()
    assert miner.machine.power_w == pytest.approx(2400, abs=150)


async def test_no_restart_for_a_rounding_error(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    aim: Any,
    poll: Poll,
    state: Show,
) -> None:
    """A narrow dead band would cost ten minutes of work for the half of a percent."""
    hass.config_entries.async_update_entry(entry, options={CONF_DEAD_BAND: 1})
    await hass.async_block_till_done()
    limit = miner.truth().power_limit_w
    await aim(int(miner.machine.power_w * 0.605))
    for _ in range(3):
        await poll()
        assert state("sensor", "power_target_way") == "power_percent"
    assert sent(miner, *PERCENT) == 1
    assert sent(miner, *LIMIT) == 0
    assert miner.truth().power_limit_w == limit


async def test_refused_by_hand_ends_nothing(
    miner: SimulatedMiner, aim: Any, call: Call, state: Show
) -> None:
    """A percent that came to nothing would still end the target, and the power would not be held."""
    await aim(2500)
    await call("button", "restart_btminer", "press")
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_percent", "set_value", value=90)
    assert error.value.translation_key == "percent_needs_tuning"
    miner.refuse["adjust_power_limit"] = 132
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_limit", "set_value", value=3000)
    assert error.value.translation_key == "command_refused"
    assert state("number", "power_target") == "2500"


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_power_of_the_action_counts_more(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    aim: Any,
    state: Show,
) -> None:
    """The target would overwrite a power set by action; a refused one changes nothing."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)

    async def set_power() -> None:
        await hass.services.async_call(
            DOMAIN, "set_power", {"device_id": device.id, "power": 3000}, blocking=True
        )

    await aim(2500)
    miner.refuse["set.miner.power"] = -1
    with pytest.raises(HomeAssistantError):
        await set_power()
    assert state("number", "power_target") == "2500"
    miner.refuse.clear()
    await set_power()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("number", "power_target") == STATE_UNKNOWN

"""Fast boot: a power percent that restarts the miner is noticed, and then avoided."""

from datetime import UTC, datetime

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.whatsminer.api import Dialect, MinerInfo, MinerState, Summary
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.power.percent import (
    WINDOW,
    can_percent,
    restart_followed,
)
from simulator import SimulatedMiner

from .conftest import Call, Find, Poll, RaceClock, Show, issue

NOW = 10_000.0


def state(elapsed: float | None, uptime: float | None = None) -> MinerState:
    """Return a state in which btminer and the board have run for some seconds."""
    return MinerState(
        info=MinerInfo(dialect=Dialect.V2),
        read_at=datetime.now(UTC),
        summary=Summary(elapsed=elapsed, uptime=uptime),
    )


@pytest.mark.parametrize(
    ("before", "now", "sent", "expected"),
    [
        (state(900), state(20), {"power_percent": NOW - 60}, True),
        (state(900, 5000), state(20, 5060), {"power_percent": NOW - 60}, True),
        (state(900), state(930), {"power_percent": NOW - 60}, False),
        (state(900), state(20), {}, False),
        (state(900), state(20), {"power_percent": NOW - WINDOW - 1}, False),
        (
            state(900),
            state(20),
            {"power_percent": NOW - 60, "power_limit": NOW - 30},
            False,
        ),
        (
            state(900),
            state(20),
            {"power_percent": NOW - 60, "power_limit": NOW - 90},
            True,
        ),
        (state(900, 5000), state(20, 40), {"power_percent": NOW - 60}, False),
        (state(None), state(20), {"power_percent": NOW - 60}, False),
        (None, state(20), {"power_percent": NOW - 60}, False),
        (state(900), state(None), {"power_percent": NOW - 60}, False),
    ],
)
def test_what_counts_as_the_effect_of_a_percent(
    before: MinerState | None,
    now: MinerState,
    sent: dict[str, float],
    expected: bool,
) -> None:
    """An owner would change a setting because of a restart that he himself commanded."""
    assert restart_followed(before, now, sent, NOW) is expected


@pytest.mark.parametrize("profile", ["v205_m50", "v1_m20s"])
async def test_owner_is_notified_once_and_the_limit_is_used(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    poll: Poll,
) -> None:
    """Every step of a power target would cost twenty minutes of mining, unseen."""
    entry = coordinator.config_entry
    await call("switch", "fast_boot", "turn_off")
    assert can_percent(coordinator)
    miner.machine.percent_restarts = True
    await call("number", "power_percent", "set_value", value=70)
    clock.advance(120)
    await poll()
    assert issue(hass, "percent_restarts", entry)
    assert not can_percent(coordinator)
    # Over a restart of Home Assistant, too
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert issue(hass, "percent_restarts", entry)
    coordinator = entry.runtime_data.coordinator
    await call("switch", "fast_boot", "turn_on")
    await poll()
    assert issue(hass, "percent_restarts", entry) is None
    assert can_percent(coordinator)


@pytest.mark.parametrize("profile", ["v2c_m60s", "v3_m7bs"])
@pytest.mark.parametrize("v3_port", [None, 0])
async def test_a_lost_percent_is_reported_when_the_miner_has_restarted(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
) -> None:
    """An owner would wait a minute, and then read that a miner had ignored what it did."""
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = False
    clock.race()
    begun = hass.loop.time()
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_percent", "set_value", value=70)
    assert error.value.translation_key == "percent_restarted"
    assert hass.loop.time() - begun < 5
    assert issue(hass, "percent_restarts", coordinator.config_entry)
    assert not can_percent(coordinator)


async def test_power_target_counts_it_and_takes_the_limit(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """A target that restarts the miner at every step would ignore the owner's limit on restarts."""
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = False
    await call("number", "power_target", "set_value", value=2700)
    assert [name for name in miner.applied if "pct" in name] == ["set_power_pct_v2"]
    clock.advance(120)
    await poll()
    await poll()
    assert state("sensor", "power_target_restarts_today") == "1"
    clock.advance(7200)
    await poll()
    await poll()
    assert state("sensor", "power_target_way") == "waiting_interval"
    assert [name for name in miner.applied if "pct" in name] == ["set_power_pct_v2"]


@pytest.mark.parametrize(
    ("profile", "v3_port"), [("v2c_m60s", None), ("v2c_m60s", 0), ("v3_m7bs", 0)]
)
async def test_curtail_goes_on_with_the_limit(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    entity_id: Find,
) -> None:
    """A grid operator would get an error, and a miner that runs at full power again."""
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = False
    await coordinator.async_refresh_all()
    clock.race()
    device = er.async_get(hass).entities[entity_id("switch", "mining")].device_id
    response = await hass.services.async_call(
        DOMAIN,
        "curtail",
        {"device_id": device, "target": "percent", "percent": 60},
        blocking=True,
        return_response=True,
    )
    assert response
    assert response["confirmed"] is True
    percents = {"set_power_pct", "set.miner.power_percent"}
    limits = {"adjust_power_limit", "set.miner.power_limit"}
    [first, second] = [name for name in miner.applied if name in percents | limits]
    assert first in percents
    assert second in limits


async def test_curtail_takes_the_limit(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    poll: Poll,
    entity_id: Find,
) -> None:
    """After a percent the miner restarts at full power, and the grid gets nothing."""
    miner.machine.percent_restarts = True
    miner.machine.fast_boot = False
    await call("number", "power_percent", "set_value", value=90)
    clock.advance(120)
    await poll()
    clock.advance(7200)
    await poll()
    miner.applied.clear()
    clock.race()
    device = er.async_get(hass).entities[entity_id("switch", "mining")].device_id
    response = await hass.services.async_call(
        DOMAIN,
        "curtail",
        {"device_id": device, "target": "percent", "percent": 60},
        blocking=True,
        return_response=True,
    )
    assert response
    assert response["confirmed"] is True
    assert miner.applied == ["adjust_power_limit"]


async def test_a_percent_without_a_restart_is_nothing(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """A false alarm would make an owner give up a setting that works."""
    await call("number", "power_percent", "set_value", value=70)
    clock.advance(120)
    await poll()
    assert state("number", "power_percent") not in (STATE_UNKNOWN, "100")
    assert issue(hass, "percent_restarts", coordinator.config_entry) is None
    assert can_percent(coordinator)

"""The power source *External*: requests of an energy manager, and what its silence means."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import CONF_FIXED_PRICE, CONF_HASHPRICE, DOMAIN
from simulator import SimulatedMiner
from simulator.truth import Phase

from .conftest import Act, Call, Poll, RaceClock, Show, later, until

type Request = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def _racing(clock: RaceClock) -> None:
    """Let the miner's time race."""
    clock.rate = 1000
    clock.race()


@pytest.fixture
def request_power(hass: HomeAssistant, device_id: str) -> Request:
    """Request a power, as an energy manager does."""

    async def run(power: int, **data: Any) -> None:
        await hass.services.async_call(
            DOMAIN,
            "request_power",
            {"device_id": device_id, "power": power, **data},
            blocking=True,
        )

    return run


async def test_silence_ends_a_request(
    miner: SimulatedMiner, request_power: Request, poll: Poll, state: Show
) -> None:
    """An energy manager that crashed would leave the miner at what it said last."""
    full = miner.machine.power_w
    await request_power(round(full * 0.6))
    assert miner.machine.power_percent == pytest.approx(60, abs=2)
    assert state("sensor", "power_decided_by") == "external"
    with later(10):
        await request_power(round(full * 0.7))
    with later(20):
        await poll()
    assert state("sensor", "power_decided_by") == "external"
    for _ in range(2):
        with later(26):
            await poll()
    assert state("sensor", "power_decided_by") == "baseline"
    await until(lambda: miner.machine.power_w > full * 0.95)


async def test_stop_over_a_restart(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    request_power: Request,
    poll: Poll,
    state: Show,
) -> None:
    """A restart of Home Assistant would start the miner in the dark, or leave it off for good."""
    await request_power(0, duration={"minutes": 30})
    assert miner.truth().mining is False
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await poll()
    assert miner.truth().mining is False
    assert state("sensor", "power_decided_by") == "external"
    for _ in range(2):
        with later(31):
            await poll()
    assert miner.truth().mining is True
    assert entry.runtime_data.curtailment.source.key == "manual"


async def test_request_that_ends_during_a_restart(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    request_power: Request,
    call: Call,
    state: Show,
) -> None:
    """Home Assistant would be down for an hour, and then ignore the price for good."""
    options = {CONF_FIXED_PRICE: 0.1, CONF_HASHPRICE: 0.05}
    hass.config_entries.async_update_entry(entry, options=options)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    source = {"option": "most_profitable"}
    await call("select", "power_source", "select_option", **source)
    await request_power(2500, duration={"minutes": 5})
    assert state("select", "power_source") == "external"
    assert await hass.config_entries.async_unload(entry.entry_id)
    with later(60):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
    assert state("select", "power_source") == "most_profitable"
    assert entry.runtime_data.curtailment.source_keys == ["manual", "most_profitable"]


async def test_what_counts_more(
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    request_power: Request,
    act: Act,
    call: Call,
    poll: Poll,
    state: Show,
) -> None:
    """An energy manager would run a miner through a grid call, or start one that its owner stopped."""
    full = miner.machine.power_w
    await act("curtail", target="stop", reason="grid call")
    await request_power(round(full * 0.8))
    assert miner.truth().mining is False
    assert state("sensor", "power_decided_by") == "curtailment"
    await act("resume")
    assert miner.truth().mining is True
    await call("number", "power_target", "set_value", value=round(full * 0.9))
    assert entry.runtime_data.curtailment.source.key == "manual"
    await call("switch", "mining", "turn_off")
    await request_power(round(full * 0.8), duration="00:05:00")
    await poll()
    assert miner.truth().mining is False
    assert state("sensor", "power_decided_by") == "baseline"


async def test_more_than_the_miner_has(
    miner: SimulatedMiner, request_power: Request, poll: Poll, state: Show
) -> None:
    """An energy manager that requests more than the miner has would restart it each hour."""
    most = miner.machine.power_limit_w
    for hours in range(4):
        with later(61 * hours):
            await request_power(most + 1500, duration={"hours": 2})
            await poll()
            await until(lambda: miner.truth().phase is Phase.STABLE)
            await poll()
            await poll()
    assert miner.applied.count("adjust_power_limit") == 1
    assert state("sensor", "power_target_way") == "at_limit"

"""Curtailment: down with proof, held, and back to the previous settings."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
import json
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.whatsminer.api import CommandRefusedError
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.controls import MINING
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.exceptions import markdown
from custom_components.whatsminer.power.executor import EVENT_DECISION, _Retry
from simulator import SimulatedMiner

from .conftest import Act, RaceClock, issue, later

type Call = Callable[..., Awaitable[None]]
type Show = Callable[[str, str], str]
type Poll = Callable[[], Awaitable[None]]
type PollLater = Callable[[float], Awaitable[None]]

CURTAILMENT = "custom_components.whatsminer.power.executor"
STANDBY = 100
KINDS = ("curtailment_failing", "resume_failing")


@pytest.fixture(autouse=True)
async def _quick(clock: RaceClock) -> AsyncGenerator[None]:
    """The miner's time races, and so do the quick polls."""
    with patch(f"{CURTAILMENT}.POLL_INTERVAL", 0.02):
        clock.race()
        yield


@pytest.fixture
def poll_later(hass: HomeAssistant, poll: Poll) -> PollLater:
    """Poll some minutes later, and let the curtailment do what is due."""

    async def run(minutes: float) -> None:
        with later(minutes):
            await poll()
            await hass.async_block_till_done(wait_background_tasks=True)

    return run


def sent(miner: SimulatedMiner, *names: str) -> int:
    """How often commands have reached the miner."""
    return sum(
        command.name in names and command.params.get("param") != "start"
        for command in miner.commands
    )


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s", "v1_m20s", "v3_m7bs"])
async def test_stop_is_proven_and_undone(
    miner: SimulatedMiner, act: Act, state: Show
) -> None:
    """The owner could not prove that the miner was down when it had to be."""
    before = miner.truth().power_w
    response = await act("curtail", target="stop", reason="grid call")
    assert response["confirmed"] is True
    assert response["way"] == "stop"
    assert 0 < response["seconds"] < 10
    assert response["power_before"] == pytest.approx(before, rel=0.1)
    after = response["power_after"]
    assert after is None or after < STANDBY or after < before * 0.1
    assert miner.truth().mining is False
    assert state("sensor", "curtailment") == "stop"
    response = await act("resume")
    assert response["confirmed"] is True
    assert response["way"] == "stop"
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"


@pytest.mark.parametrize(
    ("profile", "way"), [("v205_m50", "power_percent"), ("v2c_m60s", "power_percent")]
)
async def test_power_without_a_restart(
    miner: SimulatedMiner, act: Act, way: str, state: Show
) -> None:
    """A grid call for less power would cost ten minutes of work."""
    full = miner.truth().power_w
    response = await act("curtail", target="power", power=round(full * 0.6))
    assert response["confirmed"] is True
    assert response["way"] == way
    assert miner.machine.power_w < full * 0.65  # the truth of 2.2.x is a mean
    assert miner.truth().mining is True
    assert sent(miner, "power_off", "adjust_power_limit", "restart_btminer") == 0
    assert (await act("resume"))["way"] == way
    async with asyncio.timeout(5):
        while miner.machine.power_w < full * 0.95:
            await asyncio.sleep(0.02)


async def test_percent(miner: SimulatedMiner, act: Act) -> None:
    """A share of the power would be taken for W, or for the full power."""
    full = miner.truth().power_w
    response = await act("curtail", target="percent", percent=70)
    assert response["confirmed"] is True
    assert response["way"] == "power_percent"
    assert miner.truth().power_w == pytest.approx(full * 0.7, rel=0.05)


async def test_before_tuning_the_limit_is_used(
    miner: SimulatedMiner, clock: RaceClock, act: Act, call: Call, poll: Poll
) -> None:
    """A miner that is tuning ignores a percent, and would continue at full power."""
    await call("button", "restart_btminer", "press")
    clock.stop()
    clock.advance(400)
    await poll()
    clock.race()
    limit = miner.truth().power_limit_w
    response = await act("curtail", target="power", power=2000)
    assert response["way"] == "power_limit"
    assert response["confirmed"] is True
    assert miner.truth().power_limit_w == 2000
    await act("resume")
    assert miner.truth().power_limit_w == limit


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_stops_where_less_is_not_possible(
    miner: SimulatedMiner, act: Act
) -> None:
    """A target below what the miner can do would be missed."""
    response = await act("curtail", target="power", power=300)
    assert response["way"] == "stop"
    assert response["confirmed"] is True
    assert miner.truth().mining is False


async def test_off_before_stays_off_after(
    miner: SimulatedMiner, act: Act, call: Call
) -> None:
    """A miner that a person has switched off would be started by an automation."""
    await call("switch", "mining", "turn_off")
    miner.commands.clear()
    response = await act("curtail", target="stop")
    assert (response["confirmed"], response["way"]) == (True, "none")
    await act("resume")
    assert miner.truth().mining is False
    assert sent(miner, "power_off", "power_on") == 0


async def test_resume_without_a_curtailment(
    miner: SimulatedMiner, act: Act, call: Call
) -> None:
    """A schedule's resume would start a miner that a person has switched off."""
    await call("switch", "mining", "turn_off")
    response = await act("resume")
    assert (response["confirmed"], response["way"]) == (True, "none")
    assert miner.truth().mining is False


async def test_second_replaces_the_first(
    miner: SimulatedMiner, clock: RaceClock, act: Act
) -> None:
    """The second of two automations would take the stop of the first for the previous settings."""
    full = miner.truth().power_w
    await act("curtail", target="percent", percent=60)
    response = await act("curtail", target="stop")
    assert response["way"] == "stop"
    await act("resume")
    assert miner.truth().mining is True
    clock.stop()
    clock.rate = 1000
    clock.race()
    async with asyncio.timeout(10):
        while miner.truth().power_w < full * 0.95:
            await asyncio.sleep(0.02)


async def test_from_stop_to_less(miner: SimulatedMiner, act: Act) -> None:
    """After the most expensive hour the miner would not continue at the middle price."""
    limit = miner.truth().power_limit_w
    await act("curtail", target="stop")
    response = await act("curtail", target="power", power=2000)
    assert response["way"] == "power_limit"
    assert miner.truth().mining is True
    assert miner.truth().power_limit_w == 2000
    await act("resume")
    assert miner.truth().power_limit_w == limit


async def test_ends_by_itself(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, state: Show, poll: Poll
) -> None:
    """The miner would stay off after the expensive hour."""
    await act("curtail", target="stop", duration={"minutes": 30})
    assert state("sensor", "curtailment_until") > dt_util.utcnow().isoformat()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=31))
    with later(31):
        for _ in range(2):  # the jump of the clock may cost an answer
            await poll()
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
async def test_survives_a_restart(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    act: Act,
    state: Show,
    poll: Poll,
) -> None:
    """After an update of Home Assistant at noon the miner would never be started again."""
    await act("curtail", target="stop", duration="00:30:00", reason="expensive")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "curtailment") == "stop"
    attributes = entry.runtime_data.curtailment.attributes
    assert attributes["reason"] == "expensive"
    assert attributes["until"] - attributes["since"] == timedelta(minutes=30)
    assert await hass.config_entries.async_unload(entry.entry_id)
    with later(31):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"
    assert entry.runtime_data.curtailment.attributes["ended"] is not None
    assert entry.runtime_data.curtailment.attributes["ended_reason"] == "expensive"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.curtailment.attributes["ended_reason"] == "expensive"


async def test_survives_a_reboot_of_the_miner(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
    state: Show,
) -> None:
    """A miner that starts on its own would run through the most expensive hour, without a notice."""
    await act("curtail", target="stop")
    events = async_capture_events(hass, EVENT_DECISION)
    miner.machine.power_on()
    await miner.tick()
    await poll_later(5)
    assert miner.truth().mining is False
    assert (
        coordinator.config_entry.runtime_data.curtailment.attributes["stopped_again"]
        == 1
    )
    assert [event.data["again"] for event in events] == [True]
    assert state("sensor", "curtailment") == "stop"


async def test_a_person_counts_more(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, call: Call, state: Show
) -> None:
    """Who switches the miner on would see it switched off again."""
    await act("curtail", target="stop")
    await call("switch", "mining", "turn_on")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True


async def test_off_by_hand_meanwhile(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, call: Call
) -> None:
    """Who switches it off during a curtailment would see it start at its end."""
    await act("curtail", target="stop")
    await call("switch", "mining", "turn_off")
    await hass.async_block_till_done(wait_background_tasks=True)
    await act("resume")
    assert miner.truth().mining is False


@pytest.mark.parametrize(
    "data",
    [{"target": "percent"}, {"target": "power", "percent": 40}],
)
async def test_target_without_its_number(
    miner: SimulatedMiner, act: Act, data: dict[str, Any]
) -> None:
    """A form that was half filled in must not stop, or spare, the miner."""
    with pytest.raises(ServiceValidationError) as error:
        await act("curtail", **data)
    assert error.value.translation_key == f"curtail_{data['target']}_missing"
    assert sent(miner, "power_off", "set_power_pct", "adjust_power_limit") == 0


async def test_no_miner_was_meant(hass: HomeAssistant, act: Act) -> None:
    """An action without effect must not look like one with it."""
    with pytest.raises(ServiceValidationError) as error:
        await hass.services.async_call(
            DOMAIN, "curtail", {"target": "stop"}, blocking=True
        )
    assert error.value.translation_key == "no_miner"


async def test_entry_not_loaded(
    hass: HomeAssistant, entry: MockConfigEntry, act: Act
) -> None:
    """An entry that failed to load would be skipped without a word."""
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "not_loaded"


async def test_refused(miner: SimulatedMiner, act: Act, state: Show) -> None:
    """A refused curtailment would be shown as active, and sent again after each poll."""
    miner.api_switch = False
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "write_api_disabled"
    assert state("sensor", "curtailment") == "none"


async def test_command_refused(
    miner: SimulatedMiner, act: Act, state: Show, poll_later: PollLater
) -> None:
    """What failed with an error would be done all the same, minutes later and unasked."""
    miner.refuse["power_off"] = 132
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "command_refused"
    assert state("sensor", "curtailment") == "none"
    miner.refuse.clear()
    await poll_later(5)
    assert miner.truth().mining is True


async def test_unreachable_is_said_and_made_up_for(
    miner: SimulatedMiner, act: Act, poll_later: PollLater, state: Show
) -> None:
    """Home Assistant skips what is unavailable without a word; this must not."""
    miner.inject("refuse")
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "cannot_connect"
    assert state("sensor", "curtailment") == "stop"
    miner.clear_failures()
    await miner.tick()
    await poll_later(5)
    assert miner.truth().mining is False


async def test_power_that_does_not_fall(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    device_id: str,
    act: Act,
    state: Show,
) -> None:
    """A miner that took the percent and draws the same must not be reported as curtailed."""
    miner.inject("answered_not_applied", "set_power_pct_v2")
    miner.inject("answered_not_applied", "set_power_pct")
    with patch(f"{CURTAILMENT}.DEADLINE_POWER", 0.2):
        response = await act("curtail", target="percent", percent=60)
        assert response["confirmed"] is False
        assert response["power_after"] == pytest.approx(
            response["power_before"], rel=0.1
        )
        with pytest.raises(HomeAssistantError) as error:
            await hass.services.async_call(
                DOMAIN,
                "curtail",
                {"device_id": device_id, "target": "percent", "percent": 60},
                blocking=True,
            )
    assert error.value.translation_key == "power_not_reached"
    assert state("sensor", "curtailment") == "percent"


async def test_restoring_is_tried_again(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
    state: Show,
) -> None:
    """A miner that was away when the expensive hour ended would stay off for good."""
    await act("curtail", target="stop")
    miner.inject("refuse")
    with pytest.raises(HomeAssistantError):
        await act("resume")
    miner.clear_failures()
    miner.inject("error_23", "power_on")
    await miner.tick()
    await poll_later(5)
    found = issue(hass, "resume_failing", coordinator.config_entry)
    assert found
    assert found.translation_key == "resume_failing"
    miner.clear_failures()
    await miner.tick()
    await poll_later(20)
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"
    assert issue(hass, "resume_failing", coordinator.config_entry) is None


@pytest.mark.parametrize("starts", [True, False])
async def test_only_what_is_still_wrong_is_told(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
    starts: bool,
) -> None:
    """Who finds a miner off after the expensive hour would read that it could not be stopped."""

    def open_issues() -> set[str]:
        keys = {key for _, key in ir.async_get(hass).issues}
        entry_id = coordinator.config_entry.entry_id
        return {kind for kind in KINDS if f"{kind}_{entry_id}" in keys}

    miner.inject("refuse")
    with pytest.raises(HomeAssistantError):
        await act("curtail", target="stop")
    assert open_issues() == {"curtailment_failing"}
    miner.clear_failures()
    await miner.tick()
    await poll_later(5)
    assert miner.truth().mining is False
    assert open_issues() == set()
    if not starts:
        miner.inject("error_23", "power_on")
        with pytest.raises(HomeAssistantError):
            await act("resume")
        assert open_issues() == {"resume_failing"}


async def test_two_ends_of_a_miner_that_does_not_start(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
    state: Show,
) -> None:
    """An automation that asks again would end the trying, and the miner stay off untold."""
    await act("curtail", target="stop")
    miner.inject("answered_not_applied", "power_on")
    with patch.dict(f"{CURTAILMENT}.CONTROLS", mining=replace(MINING, deadline=0.5)):
        first = hass.async_create_task(act("resume"))
        async with asyncio.timeout(5):
            while not sent(miner, "power_on"):
                await asyncio.sleep(0)
        with pytest.raises(HomeAssistantError) as error:
            await act("resume")
    assert error.value.translation_key == "not_confirmed"
    with pytest.raises(HomeAssistantError) as error:
        await first
    assert error.value.translation_key == "curtailment_overtaken"
    assert state("sensor", "curtailment") == "stop"
    found = issue(hass, "resume_failing", coordinator.config_entry)
    assert found
    miner.clear_failures()
    await poll_later(5)
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"
    assert issue(hass, "resume_failing", coordinator.config_entry) is None


@pytest.mark.parametrize("on", [False, True])
async def test_by_hand_while_it_should_resume(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    act: Act,
    call: Call,
    poll_later: PollLater,
    state: Show,
    on: bool,
) -> None:
    """Who switches a miner off that is slow to start would find it on again a minute later."""
    await act("curtail", target="stop")
    miner.inject("answered_not_applied", "power_on")
    first = hass.async_create_task(act("resume"))
    async with asyncio.timeout(5):
        while not sent(miner, "power_on"):
            await asyncio.sleep(0)
    miner.clear_failures()
    await call("switch", "mining", "turn_on" if on else "turn_off")
    with pytest.raises(HomeAssistantError) as error:
        await first
    assert error.value.translation_key == "curtailment_overtaken"
    await poll_later(5)
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is on


def test_retries_become_rare() -> None:
    """A miner that cannot be curtailed would be asked every half minute for ever."""
    retry = _Retry()
    for _ in range(10):
        retry.postpone()
    assert retry.wait == 900


@pytest.mark.parametrize("password", [None])
async def test_read_only_miner(act: Act) -> None:
    """Without a password nothing can be curtailed, and that must be said."""
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "no_password"


@pytest.fixture
async def other(clock: RaceClock) -> AsyncGenerator[SimulatedMiner]:
    """A second miner."""
    async with SimulatedMiner("v205_m56s", password="Other_1", clock=clock) as other:
        yield other


@pytest.fixture
async def second(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    other: SimulatedMiner,
) -> AsyncGenerator[MockConfigEntry]:
    """The entry of the second miner."""
    second = MockConfigEntry(
        domain=DOMAIN,
        unique_id=other.mac.lower(),
        title="Second",
        data={**entry.data, "port": other.port, CONF_PASSWORD: "Other_1"},
    )
    second.add_to_hass(hass)
    assert await hass.config_entries.async_setup(second.entry_id)
    await hass.async_block_till_done()
    yield second
    if second.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(second.entry_id)


@pytest.fixture
def both(hass: HomeAssistant, second: MockConfigEntry, device_id: str) -> list[str]:
    """The devices of both miners."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), second.entry_id)
    return [device_id, device.id]


async def test_several_miners(
    miner: SimulatedMiner, other: SimulatedMiner, both: list[str], act: Act
) -> None:
    """An action for an area would give the answer of one miner for all."""
    response = await act("curtail", device_id=both, target="stop")
    assert response["confirmed"] is True
    assert set(response["miners"]) == {"Miner", "Second"}
    parts = response["miners"].values()
    assert response["power_before"] == sum(part["power_before"] for part in parts)
    assert not miner.truth().mining
    assert not other.truth().mining


async def test_two_miners_of_the_same_name(
    hass: HomeAssistant,
    second: MockConfigEntry,
    entry: MockConfigEntry,
    both: list[str],
    act: Act,
) -> None:
    """The one that still draws its full power would be hidden behind the other."""
    hass.config_entries.async_update_entry(second, title=entry.title)
    response = await act("curtail", device_id=both, target="stop")
    names = {f"Miner {entry.unique_id}", f"Miner {second.unique_id}"}
    assert set(response["miners"]) == names
    assert response["power_before"] > max(
        part["power_before"] for part in response["miners"].values()
    )


async def test_a_disabled_miner_stops_no_other(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    second: MockConfigEntry,
    both: list[str],
    act: Act,
) -> None:
    """A miner in the repair shop would keep all others of its area running."""
    await hass.config_entries.async_set_disabled_by(
        second.entry_id, ConfigEntryDisabler.USER
    )
    await hass.async_block_till_done()
    response = await act("curtail", device_id=both, target="stop")
    assert response["confirmed"] is True
    assert "miners" not in response
    assert miner.truth().mining is False
    with pytest.raises(ServiceValidationError) as error:
        await act("curtail", device_id=both[1], target="stop")
    assert error.value.translation_key == "not_loaded"


async def test_a_miner_that_is_not_loaded_stops_no_other(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    second: MockConfigEntry,
    both: list[str],
    act: Act,
) -> None:
    """A miner that is off at the fuse would keep all others of its area running."""
    await hass.config_entries.async_unload(second.entry_id)
    with pytest.raises(ServiceValidationError) as error:
        await act("curtail", device_id=both, target="stop")
    assert error.value.translation_key == "not_loaded"
    assert miner.truth().mining is False


async def test_every_failure_is_told(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    second: MockConfigEntry,
    both: list[str],
    act: Act,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of two miners that keep running only one would be looked after."""
    miner.api_switch = False
    await hass.config_entries.async_unload(second.entry_id)
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", device_id=both, target="stop")
    names = {"not_loaded": "Second", "write_api_disabled": "Miner"}
    del names[str(error.value.translation_key)]
    [name] = names.values()
    [logged] = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert logged.startswith(f"{name}: ")


async def test_switch_shows_the_stop(act: Act, state: Show) -> None:
    """The switch would still show a running miner."""
    assert state("switch", "mining") == STATE_ON
    await act("curtail", target="stop")
    assert state("switch", "mining") == STATE_OFF


async def test_stop_that_cannot_be_held(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll: Poll,
    poll_later: PollLater,
) -> None:
    """A miner that runs again and refuses to stop would burn money, without a notice."""
    await act("curtail", target="stop")
    miner.machine.power_on()
    miner.inject("error_23", "power_off")
    await miner.tick()
    await poll_later(5)
    found = issue(hass, "curtailment_failing", coordinator.config_entry)
    assert found
    assert found.translation_placeholders
    assert found.translation_placeholders["error"]
    miner.clear_failures()
    await miner.tick()
    await poll_later(10)
    assert miner.truth().mining is False
    with later(30):
        await poll()
    assert issue(hass, "curtailment_failing", coordinator.config_entry) is None


async def test_percent_that_is_lost_and_not_held(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll: Poll,
) -> None:
    """A percent that the miner forgets, and then ignores, would be full power unnoticed."""
    await act("curtail", target="percent", percent=60)
    miner.machine.set_percent(100, gentle=False)
    miner.inject("answered_not_applied", "set_power_pct_v2")
    await _until_power(miner, above=miner.truth().power_limit_w * 0.8)
    with (
        later(10),
        patch(f"{CURTAILMENT}.DEADLINE_POWER", 0.2),
    ):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert issue(hass, "curtailment_failing", coordinator.config_entry)


async def _until_power(miner: SimulatedMiner, *, above: float) -> None:
    async with asyncio.timeout(5):
        while miner.truth().power_w < above:
            await asyncio.sleep(0.02)


async def test_less_does_not_start_what_is_off(
    miner: SimulatedMiner, act: Act, call: Call
) -> None:
    """A curtailment to 60 % would start a miner that its owner has switched off."""
    await call("switch", "mining", "turn_off")
    miner.commands.clear()
    response = await act("curtail", target="percent", percent=60)
    assert (response["confirmed"], response["way"]) == (True, "none")
    assert miner.truth().mining is False
    assert not miner.applied or miner.applied[-1] == "power_off"


async def test_low_enough_already(miner: SimulatedMiner, act: Act) -> None:
    """A command that changes nothing would still make the miner regulate again."""
    miner.applied.clear()
    response = await act("curtail", target="power", power=5000)
    assert (response["confirmed"], response["way"]) == (True, "none")
    assert not miner.applied


async def test_percent_that_a_restart_has_taken_back(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    act: Act,
    call: Call,
    poll: Poll,
) -> None:
    """The end of a curtailment would command a percent that the miner does not heed yet."""
    await act("curtail", target="percent", percent=60)
    await call("button", "restart_btminer", "press")
    clock.stop()
    await poll()
    miner.applied.clear()
    response = await act("resume")
    assert response["confirmed"] is True
    assert not [name for name in miner.applied if "pct" in name]


@pytest.mark.parametrize(("profile", "v3_port"), [("v2c_m60s", None)])
async def test_old_mean_is_no_reason_to_curtail_again(
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
) -> None:
    """Where the miner reports a mean of five minutes, each curtailment would be commanded twice."""
    full = miner.machine.power_w
    await act("curtail", target="power", power=round(full * 0.6))
    miner.applied.clear()
    await poll_later(2)
    assert not miner.applied
    assert (
        coordinator.config_entry.runtime_data.curtailment.attributes["stopped_again"]
        == 0
    )


async def test_old_news_end_no_curtailment(
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
    state: Show,
) -> None:
    """A miner that does not answer at the end of the expensive hour would stay off for good."""
    await act("curtail", target="stop")
    miner.machine.power_on()
    await coordinator.async_refresh()
    assert coordinator.data.mining is True
    miner.machine.power_off()
    miner.inject("refuse")
    await miner.tick()
    with pytest.raises(HomeAssistantError) as error:
        await act("resume")
    assert error.value.translation_key == "cannot_connect"
    assert state("sensor", "curtailment") == "stop"
    miner.clear_failures()
    await miner.tick()
    await poll_later(5)
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"


async def test_percent_is_put_back_once_the_miner_tells(
    miner: SimulatedMiner, act: Act, poll_later: PollLater, state: Show
) -> None:
    """One answer that is lost at the end would leave the miner at 60 % for good."""
    await act("curtail", target="percent", percent=60)
    miner.inject("close", "summary")
    with pytest.raises(HomeAssistantError) as error:
        await act("resume")
    assert error.value.translation_key == "activity_unknown"
    assert state("sensor", "curtailment") == "percent"
    assert miner.machine.power_percent == 60
    miner.clear_failures()
    await poll_later(5)
    assert miner.machine.power_percent == 100
    assert state("sensor", "curtailment") == "none"


async def test_percent_whose_answer_was_lost_is_put_back(
    miner: SimulatedMiner, act: Act
) -> None:
    """A percent that is not known to be set would never be restored."""
    miner.inject("applied_no_answer", "set_power_pct_v2")
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="percent", percent=60)
    assert error.value.translation_key == "unknown_outcome"
    assert miner.machine.power_percent == 60
    miner.clear_failures()
    assert (await act("resume"))["confirmed"] is True
    assert miner.machine.power_percent == 100


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_percent_before_a_stop_that_had_no_effect_is_put_back(
    miner: SimulatedMiner, act: Act, state: Show
) -> None:
    """A miner that ignored the stop would stay at 60 % after the expensive hour, without a notice."""
    before = miner.machine.power_percent
    await act("curtail", target="percent", percent=60)
    miner.inject("answered_not_applied", "power_off")
    miner.inject("answered_not_applied", "set.miner.service")
    with (
        patch.dict(f"{CURTAILMENT}.CONTROLS", mining=replace(MINING, deadline=0.2)),
        pytest.raises(HomeAssistantError) as error,
    ):
        await act("curtail", target="stop")
    assert error.value.translation_key == "not_confirmed"
    miner.clear_failures()
    response = await act("resume")
    assert response["confirmed"] is True
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True
    assert miner.machine.power_percent == before != 60


@pytest.mark.parametrize(("profile", "v3_port"), [("v2c_m60s", None)])
async def test_old_reading_of_the_power_proves_nothing(
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    clock: RaceClock,
    act: Act,
    call: Call,
) -> None:
    """What it drew minutes ago would count as the proof that it is down now."""
    clock.stop()
    await call("number", "power_percent", "set_value", value=55)
    clock.advance(400)
    await call("number", "power_percent", "set_value", value=100)
    await coordinator.async_refresh_all()
    for _ in range(6):
        clock.advance(30)
        await coordinator.async_refresh()
    full = miner.machine.power_w
    assert coordinator.data.psu
    assert coordinator.data.psu.input_power
    assert coordinator.data.psu.input_power < full * 0.7
    clock.race()
    response = await act("curtail", target="power", power=round(full * 0.75))
    assert response["way"] == "power_percent"
    assert response["power_before"] == pytest.approx(full, rel=0.1)
    assert miner.machine.power_w < full * 0.8


async def test_undone_by_hand_is_not_confirmed(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    device_id: str,
    act: Act,
    call: Call,
    state: Show,
) -> None:
    """The grid operator would hear of a miner that is down, while it draws its full power."""
    for returns in (True, False):
        miner.commands.clear()
        task = hass.async_create_task(
            hass.services.async_call(
                DOMAIN,
                "curtail",
                {"device_id": device_id, "target": "percent", "percent": 60},
                blocking=True,
                return_response=returns,
            )
        )
        async with asyncio.timeout(5):
            while not sent(miner, "set_power_pct_v2"):
                await asyncio.sleep(0)
        await call("number", "power_percent", "set_value", value=100)
        if returns:
            response = await task
            assert isinstance(response, dict)
            assert response["confirmed"] is False
        else:
            with pytest.raises(HomeAssistantError) as error:
                await task
            assert error.value.translation_key == "curtailment_overtaken"
        assert state("sensor", "curtailment") == "none"


@pytest.mark.parametrize("duration", [0, "00:00:00", {"milliseconds": 1}])
async def test_no_time_is_not_for_ever(
    miner: SimulatedMiner, act: Act, duration: Any
) -> None:
    """A template that returns nothing would stop the miner until its owner finds it."""
    with pytest.raises(ServiceValidationError) as error:
        await act("curtail", target="stop", duration=duration)
    assert error.value.translation_key == "curtail_duration_zero"
    assert miner.truth().mining is True


async def test_resumed_in_the_middle(
    hass: HomeAssistant, miner: SimulatedMiner, act: Act, state: Show
) -> None:
    """Of two automations the older would win, or end with an error that does not help."""
    limit = miner.truth().power_limit_w
    await act("curtail", target="stop")
    task = hass.async_create_task(act("curtail", target="power", power=2000))
    async with asyncio.timeout(5):
        while state("switch", "mining") != STATE_ON:
            await asyncio.sleep(0)
    assert (await act("resume"))["confirmed"] is True
    with pytest.raises(HomeAssistantError) as error:
        await task
    assert error.value.translation_key == "curtailment_overtaken"
    assert state("sensor", "curtailment") == "none"
    assert miner.truth().mining is True
    assert miner.truth().power_limit_w == limit


@pytest.mark.parametrize("at_once", [False, True])
async def test_on_by_hand_in_the_middle(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    call: Call,
    state: Show,
    at_once: bool,
) -> None:
    """Who switches the miner on would see it go off, and stay off after the expensive hour."""
    keep = coordinator.store.async_keep
    by_hand: list[asyncio.Task[None]] = []

    async def keep_slowly(name: str, values: dict[str, Any]) -> None:
        await keep(name, values)
        if values.get("touched"):
            on = hass.async_create_task(call("switch", "mining", "turn_on"))
            by_hand.append(on)
            while not (on.done() or (at_once and sent(miner, "power_on"))):
                await asyncio.sleep(0)

    monkeypatch.setattr(coordinator.store, "async_keep", keep_slowly)
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "curtailment_overtaken"
    await asyncio.gather(*by_hand)
    assert sent(miner, "power_off") == 0
    assert miner.truth().mining is True
    assert state("sensor", "curtailment") == "none"


async def test_refused_by_hand_ends_nothing(
    miner: SimulatedMiner, act: Act, call: Call, state: Show
) -> None:
    """A start that the miner refused would still end the curtailment, and nothing restore it."""
    await act("curtail", target="stop")
    miner.refuse["power_on"] = 132
    with pytest.raises(HomeAssistantError):
        await call("switch", "mining", "turn_on")
    assert state("sensor", "curtailment") == "stop"
    miner.refuse.clear()
    await act("resume")
    assert miner.truth().mining is True


async def test_words_of_the_miner_are_no_markdown(
    hass: HomeAssistant,
    clock: RaceClock,
    coordinator: WhatsminerCoordinator,
    act: Act,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hostile miner could put a link or a picture into the repair issue."""

    async def refuse() -> None:
        raise CommandRefusedError("power_on", 132, "![x](http://example.com)")

    clock.race()
    await act("curtail", target="stop")
    monkeypatch.setattr(coordinator.miner, "start_mining", refuse)
    with pytest.raises(HomeAssistantError):
        await act("resume")
    found = issue(hass, "resume_failing", coordinator.config_entry)
    assert found
    assert found.translation_placeholders
    assert r"\!\[x\]" in found.translation_placeholders["error"]


async def test_unloading_ends_the_watching(
    hass: HomeAssistant, miner: SimulatedMiner, entry: MockConfigEntry, act: Act
) -> None:
    """The script that curtails would hang for minutes on an entry that is gone."""
    miner.inject("answered_not_applied", "set_power_pct_v2")
    task = hass.async_create_task(act("curtail", target="percent", percent=60))
    async with asyncio.timeout(5):
        while not sent(miner, "set_power_pct_v2"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert (await task)["confirmed"] is False


async def test_unreachable_is_told(
    miner: SimulatedMiner, coordinator: WhatsminerCoordinator, act: Act
) -> None:
    """A miner that keeps running because it cannot be reached would not be noticed, or not understood."""
    hass, entry = coordinator.hass, coordinator.config_entry
    hass.config.language = "de"
    miner.inject("refuse")
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop", reason="expensive")
    found = issue(hass, "curtailment_failing", entry)
    assert found
    assert found.translation_placeholders
    texts = await async_get_translations(hass, "de", "exceptions", [DOMAIN])
    sentence = texts[f"component.{DOMAIN}.exceptions.cannot_connect.message"]
    assert error.value.translation_key == "cannot_connect"
    sentence = sentence.format(host=coordinator.host)
    assert found.translation_placeholders["error"] == markdown(sentence)
    attributes = coordinator.config_entry.runtime_data.curtailment.attributes
    assert attributes["error"] == sentence
    await act("resume")  # nothing was sent, so there is nothing to restore
    assert issue(hass, "curtailment_failing", entry) is None
    assert issue(hass, "resume_failing", entry) is None


async def test_full_token_table_is_made_up_for(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    poll_later: PollLater,
) -> None:
    """Another program that took all tokens for a minute would make the miner run for hours."""
    events = async_capture_events(hass, EVENT_DECISION)
    miner.forget_tokens()
    miner.fill_token_table()
    with patch("custom_components.whatsminer.api.v2.miner.BACK_OFF", 0):
        with pytest.raises(HomeAssistantError) as error:
            await act("curtail", target="stop", reason="expensive")
        assert error.value.translation_key == "token_table_full"
        assert (
            coordinator.config_entry.runtime_data.curtailment.attributes["reason"]
            == "expensive"
        )
        miner.forget_tokens()
        await poll_later(5)
    assert miner.truth().mining is False
    # It never started on its own, so nothing may say that it did.
    assert (
        coordinator.config_entry.runtime_data.curtailment.attributes["stopped_again"]
        == 0
    )
    assert not any(event.data["again"] for event in events)


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_random_delay(
    hass: HomeAssistant, miner: SimulatedMiner, device_id: str, act: Act
) -> None:
    """A stop that is late because it was set up so would fail, and be reported as not done."""
    await hass.services.async_call(
        DOMAIN,
        "set_random_delay",
        {"device_id": device_id, "start": 0, "stop": 120},
        blocking=True,
    )
    deadline = MINING.deadline
    # The miner's time runs a hundred times as fast as ours.
    object.__setattr__(MINING, "deadline", deadline / 100)
    try:
        with patch.object(miner.machine, "_late", lambda most: 0.9 * most):
            response = await act("curtail", target="stop")
    finally:
        object.__setattr__(MINING, "deadline", deadline)
    assert response["confirmed"] is True
    assert response["seconds"] > deadline / 100


@pytest.mark.parametrize("action", ["curtail", "resume"])
async def test_reload_while_it_is_asked(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    action: str,
) -> None:
    """Options saved in that second would stop the miner without a reason, or end a newer stop later."""
    asked, goes_on = asyncio.Event(), asyncio.Event()
    refresh = coordinator.async_refresh
    if action == "resume":
        await act("curtail", target="stop", reason="before")

    async def slow() -> None:
        asked.set()
        await goes_on.wait()
        await refresh()

    with patch.object(coordinator, "async_refresh", slow):
        data = {"target": "stop", "duration": "01:00:00"}
        task = hass.async_create_task(
            act(action, **(data if action == "curtail" else {}))
        )
        await asked.wait()
        await hass.config_entries.async_reload(entry.entry_id)
        if action == "curtail":
            await act("curtail", target="stop", reason="newer")
        miner.commands.clear()
        goes_on.set()
        with pytest.raises(HomeAssistantError) as error:
            await task
    assert error.value.translation_key == "not_sent"
    assert sent(miner, "power_on", "power_off") == 0
    newer = entry.runtime_data.curtailment.attributes["reason"]
    assert newer == ("newer" if action == "curtail" else "before")
    with later(61):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=61))
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().mining is False
    assert (
        entry.runtime_data.coordinator.store.curtailment["active"][0]["reason"] == newer
    )


async def test_nothing_is_sent_after_an_unload(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
) -> None:
    """Who unloads an entry would still see its miner stopped."""
    commander = entry.runtime_data.commander
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError) as error:
        await MINING.async_set(commander, False)
    assert error.value.translation_key == "not_sent"
    assert miner.truth().mining is True


async def _end(
    by: str,
    miner: SimulatedMiner,
    act: Act,
    call: Call,
    poll_later: PollLater,
) -> None:
    """End a curtailment in one of the ways in which they end."""
    match by:
        case "resume":
            await act("resume")
        case "by_hand":
            await call("switch", "mining", "turn_on")
        case "replaced":
            await act("curtail", target="percent", percent=80, reason="expensive")
        case "refused":
            miner.api_switch = False
            with pytest.raises(HomeAssistantError):
                await act("curtail", target="percent", percent=50, reason="refused")
        case "duration":
            await poll_later(61)


@pytest.mark.parametrize("by", ["resume", "by_hand", "replaced", "refused", "duration"])
async def test_what_became_of_it(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    act: Act,
    call: Call,
    poll_later: PollLater,
    caplog: pytest.LogCaptureFixture,
    by: str,
) -> None:
    """When the expensive hour is over, nothing would say why the miner ran through it."""
    await act("curtail", target="stop", reason="expensive", duration="01:00:00")
    assert "curtailment begins" in caplog.text
    miner.machine.power_on()
    miner.inject("error_23", "power_off")
    await miner.tick()
    await poll_later(5)
    miner.clear_failures()
    error = coordinator.config_entry.runtime_data.curtailment.attributes["error"]
    assert error
    await coordinator.config_entry.runtime_data.commander.write_access.async_examine()
    await _end(by, miner, act, call, poll_later)
    last = coordinator.config_entry.runtime_data.curtailment.attributes["last"]
    assert last["ended_by"] == by
    ends = [m for m in caplog.messages if "curtailment ends" in m]
    assert f"ended_by: {by}" in ends[-1]
    if by == "refused":
        assert (last["reason"], last["error_kind"]) == ("refused", "write_api_disabled")
        assert (
            coordinator.config_entry.runtime_data.curtailment.attributes["reason"]
            == "expensive"
        )
    else:
        assert (last["target"], last["reason"]) == ("stop", "expensive")
        assert (last["stopped_again"], last["error"]) == (1, error)
        assert last["since"] < last["ended"]
    # Who reads it as text, as a template and InfluxDB do, must not meet names of the code.
    assert str(last) == str(json.loads(json.dumps(last)))
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.curtailment.attributes["last"] == last

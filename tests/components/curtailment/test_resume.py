"""Resuming: back to the previous settings, after restarts and in the middle."""

import asyncio
from dataclasses import replace
from datetime import timedelta
import json
from typing import Any
from unittest.mock import patch

from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.controls import MINING
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.power.executor import EVENT_DECISION, _Retry
from simulator import SimulatedMiner

from ..conftest import Act, Call, Poll, RaceClock, Show, issue, later
from .conftest import CURTAILMENT, KINDS, PollLater, sent


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


async def test_percent_that_a_restart_has_taken_back(
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
    miner.inject("applied_no_answer", "set_power_pct")
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


@pytest.mark.parametrize("returns", [True, False])
async def test_undone_by_hand_is_not_confirmed(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    device_id: str,
    call: Call,
    state: Show,
    returns: bool,
) -> None:
    """The grid operator would hear of a miner that is down, while it draws its full power."""
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
        while not sent(miner, "set_power_pct"):
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


async def test_unloading_ends_the_watching(
    hass: HomeAssistant, miner: SimulatedMiner, entry: MockConfigEntry, act: Act
) -> None:
    """The script that curtails would hang for minutes on an entry that is gone."""
    miner.inject("answered_not_applied", "set_power_pct")
    task = hass.async_create_task(act("curtail", target="percent", percent=60))
    async with asyncio.timeout(5):
        while not sent(miner, "set_power_pct"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert (await task)["confirmed"] is False


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

"""Curtailing: down with proof, by the best method, and held."""

import asyncio
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.whatsminer.api import CommandRefusedError
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.controls import MINING
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.exceptions import markdown
from custom_components.whatsminer.power.executor import EVENT_DECISION
from simulator import SimulatedMiner

from ..conftest import Act, Call, Poll, RaceClock, Show, issue, later
from .conftest import CURTAILMENT, STANDBY, PollLater, _until_power, sent


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


@pytest.mark.parametrize("password", [None])
async def test_read_only_miner(act: Act) -> None:
    """Without a password nothing can be curtailed, and that must be said."""
    with pytest.raises(HomeAssistantError) as error:
        await act("curtail", target="stop")
    assert error.value.translation_key == "no_password"


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
    miner.inject("answered_not_applied", "set_power_pct")
    await _until_power(miner, above=miner.truth().power_limit_w * 0.8)
    with (
        later(10),
        patch(f"{CURTAILMENT}.DEADLINE_POWER", 0.2),
    ):
        await poll()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert issue(hass, "curtailment_failing", coordinator.config_entry)


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

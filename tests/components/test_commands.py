"""Commands: acknowledged, confirmed by reading back, never repeated, and refused with a sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest

from custom_components.whatsminer.commander import Command
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import PROFILES, SimulatedMiner

from .conftest import PASSWORD, Call, Find, Poll, RaceClock, Show, sent, until

type Blink = Callable[[float], Awaitable[asyncio.Task[None]]]

pytestmark = pytest.mark.usefixtures("coordinator")


@pytest.fixture
def impatient(hass: HomeAssistant, entity_id: Find) -> Callable[[str, str], None]:
    """Give the commands of an entity a deadline of a moment."""

    def shorten(platform: str, key: str) -> None:
        entity = hass.data[platform].get_entity(entity_id(platform, key))
        description = entity.entity_description
        entity.entity_description = replace(
            description, control=replace(description.control, deadline=0.1)
        )

    return shorten


async def test_shows_what_was_commanded_until_confirmed(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """A slider that snaps back makes people command twice."""
    task = hass.async_create_task(
        call("number", "power_limit", "set_value", value=3000)
    )
    await until(lambda: sent(miner, "adjust_power_limit"))
    clock.advance(2)
    for _ in range(5):
        await asyncio.sleep(0.05)
        assert state("number", "power_limit") == "3000"
    assert state("sensor", "status") == "restarting"
    assert not task.done()
    clock.race()
    await task
    assert state("number", "power_limit") == "3000"
    assert sent(miner, "adjust_power_limit") == 1


async def test_acknowledged_and_ignored(
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    impatient: Callable[[str, str], None],
) -> None:
    """A miner that says OK and mines through the most expensive hour must not look off."""
    impatient("switch", "mining")
    miner.inject("answered_not_applied", "power_off")
    with pytest.raises(HomeAssistantError) as error:
        await call("switch", "mining", "turn_off")
    assert error.value.translation_key == "not_confirmed"
    assert state("switch", "mining") == STATE_ON
    assert sent(miner, "power_off") == 1


async def test_applied_without_answer(
    miner: SimulatedMiner, clock: RaceClock, call: Call, state: Show
) -> None:
    """A write that took effect silently is neither a failure nor to be sent again."""
    clock.race()
    miner.inject("applied_no_answer", "power_off")
    await call("switch", "mining", "turn_off")
    assert state("switch", "mining") == STATE_OFF
    assert sent(miner, "power_off") == 1


async def test_unknown_outcome_that_cannot_be_read_back(
    miner: SimulatedMiner, call: Call, state: Show
) -> None:
    """Where the result cannot be read back, an error must say that it is unknown."""
    miner.inject("applied_no_answer", "set_power_pct_v2")
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_percent", "set_value", value=60)
    assert error.value.translation_key == "unknown_outcome"
    assert state("number", "power_percent") == STATE_UNKNOWN
    assert sent(miner, "set_power_pct_v2") == 1


async def test_newer_command_overtakes(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """A user who changes his mind must not wait minutes for the first thought to be confirmed."""
    first = hass.async_create_task(
        call("number", "power_limit", "set_value", value=3000)
    )
    await until(lambda: sent(miner, "adjust_power_limit"))
    second = hass.async_create_task(
        call("number", "power_limit", "set_value", value=2500)
    )
    async with asyncio.timeout(5):
        await first
    assert state("number", "power_limit") == "2500"
    clock.race()
    await second
    assert miner.truth().power_limit_w == 2500


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_wrong_password_is_known_from_the_start(state: Show) -> None:
    """A dashboard must say that control is not possible before it is needed."""
    assert state("binary_sensor", "write_access") == STATE_OFF


async def test_refusals_in_words(
    miner: SimulatedMiner, call: Call, state: Show, caplog: pytest.LogCaptureFixture
) -> None:
    """No word on why a write was refused: the owner is left guessing."""

    async def refused() -> str | None:
        with pytest.raises(HomeAssistantError) as error:
            await call("switch", "fast_boot", "turn_on")
        assert PASSWORD not in str(error.value)
        return error.value.translation_key

    assert state("binary_sensor", "write_access") == STATE_ON
    miner.api_switch = False
    assert await refused() == "write_api_disabled"
    assert state("binary_sensor", "write_access") == STATE_OFF
    miner.api_switch = True
    miner.set_password("changed")
    assert await refused() == "wrong_password"
    miner.set_password(PASSWORD)
    miner.refuse["enable_btminer_fast_boot"] = 14
    assert await refused() == "unsupported_command"
    miner.refuse["enable_btminer_fast_boot"] = 132
    assert await refused() == "command_refused"
    miner.refuse.clear()
    await call("switch", "fast_boot", "turn_on")
    assert state("binary_sensor", "write_access") == STATE_ON
    miner.inject("refuse")
    assert await refused() == "cannot_connect"
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("profile", "v3_port"),
    [*((profile, 0) for profile in PROFILES), ("v2c_m60s", None)],
)
@pytest.mark.parametrize("early", [False, True])
async def test_percent_before_tuning(
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
    early: bool,
) -> None:
    """A percent that the miner ignores would leave its owner believing in it."""
    miner.machine.percent_early = early
    miner.machine.restart()
    clock.advance(300)
    await poll()
    assert state("sensor", "status") == "tuning"
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_percent", "set_value", value=60)
    assert error.value.translation_key == "percent_needs_tuning"
    assert not any("power_p" in command.name for command in miner.commands)


@pytest.mark.parametrize(
    ("profile", "v3_port"),
    [("v1_m20s", None), ("v205_m50", None), ("v2c_m60s", None)],
)
async def test_percent_before_tuning_that_only_the_boards_report(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """Firmware whose summary says nothing of tuning would ignore a percent, and its owner believe in it."""
    miner.inject("board_tuning")
    await poll()
    assert state("sensor", "status") == "mining"
    assert state("binary_sensor", "stable") == "on"
    miner.machine.restart()
    clock.advance(300)
    await poll()
    assert state("sensor", "status") == "tuning"
    assert state("binary_sensor", "stable") == "off"
    with pytest.raises(HomeAssistantError) as error:
        await call("number", "power_percent", "set_value", value=60)
    assert error.value.translation_key == "percent_needs_tuning"


async def test_percent_is_forgotten_with_a_restart(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """After a restart the miner draws full power again; the old percent would be a lie."""
    await call("number", "power_percent", "set_value", value=60)
    assert state("number", "power_percent") == "60"
    # It is remembered over a restart of Home Assistant ...
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    assert state("number", "power_percent") == "60"
    clock.advance(30)
    await poll()
    assert state("number", "power_percent") == "60"
    # ... and not over one of the miner.
    miner.machine.restart()
    clock.advance(120)
    await poll()
    assert state("number", "power_percent") == STATE_UNKNOWN


async def test_percent_is_forgotten_if_btminer_restarted_meanwhile(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """The same, when the miner restarted while Home Assistant was down."""
    await call("number", "power_percent", "set_value", value=60)
    await hass.config_entries.async_unload(coordinator.config_entry.entry_id)
    miner.machine.restart()
    clock.advance(7200)
    await hass.config_entries.async_setup(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    assert state("sensor", "status") == "mining"
    assert state("number", "power_percent") == STATE_UNKNOWN


async def test_reboot_is_no_outage(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """A reboot that was commanded must not set off the alarms of an outage."""
    task = hass.async_create_task(call("button", "reboot", "press"))
    async with asyncio.timeout(5):
        while not sent(miner, "reboot"):
            await asyncio.sleep(0.01)
        clock.advance(2)
        while state("sensor", "status") != "restarting":
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert state("sensor", "status") == "restarting"
    assert state("sensor", "power") == "unavailable"
    clock.race()
    await task
    assert state("sensor", "power") != "unavailable"


async def test_reboot_that_never_returns(
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    state: Show,
    poll: Poll,
) -> None:
    """A miner that does not come back is an outage in the end, and says so."""
    miner.inject("refuse")
    miner.inject("applied_no_answer", "reboot")

    async def send(_: object) -> None:
        """Nothing reaches a miner that is gone."""

    with pytest.raises(HomeAssistantError) as error:
        await coordinator.config_entry.runtime_data.commander.async_command(
            Command(
                key="reboot",
                send=send,
                done=lambda _: False,
                deadline=0.1,
                interrupts=True,
            )
        )
    assert error.value.translation_key == "not_confirmed"
    for _ in range(2):  # one missed poll is forgiven
        await poll()
    assert state("sensor", "status") == "unavailable"


async def test_unloading_ends_the_confirming(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    coordinator: WhatsminerCoordinator,
    call: Call,
) -> None:
    """A command in the making must not outlive its entry, nor end as a success."""
    miner.inject("answered_not_applied", "adjust_power_limit")
    task = hass.async_create_task(
        call("number", "power_limit", "set_value", value=3000)
    )
    async with asyncio.timeout(5):
        while not sent(miner, "adjust_power_limit"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await hass.config_entries.async_unload(coordinator.config_entry.entry_id)
        with pytest.raises(HomeAssistantError) as error:
            await task
    assert error.value.translation_key == "unknown_outcome"
    await hass.async_block_till_done()
    assert miner.open_connections == 0


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_setting_that_cannot_be_read(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    entity_id: Find,
) -> None:
    """1.x does not report fast boot: the command must be kept, and marked as assumed."""
    await call("switch", "fast_boot", "turn_on")
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    switch = hass.states.get(entity_id("switch", "fast_boot"))
    assert switch
    assert switch.state == STATE_ON
    assert switch.attributes["assumed_state"] is True
    assert miner.machine.fast_boot is True


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_overtaken_command_is_never_sent(
    hass: HomeAssistant, miner: SimulatedMiner, clock: RaceClock, call: Call
) -> None:
    """Start, then stop, while the port is closed: the miner must not start in the end."""
    miner.inject("refuse_4433")
    await miner.tick()
    clock.race()
    start = hass.async_create_task(call("switch", "mining", "turn_on"))
    await asyncio.sleep(0.2)
    stop = hass.async_create_task(call("switch", "mining", "turn_off"))
    await asyncio.sleep(0.2)
    miner.clear_failures()
    async with asyncio.timeout(10):
        await start
        await stop
    services = [c.params for c in miner.commands if c.name == "set.miner.service"]
    assert [params["param"] for params in services] == ["stop"]
    assert not miner.truth().mining


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_closed_port(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a firewall all looks well, and the error says that the miner is off."""
    monkeypatch.setattr("custom_components.whatsminer.commander.DEADLINE_REACHABLE", 0)
    monkeypatch.setattr("custom_components.whatsminer.api.v3.miner.GONE_AFTER", 0)
    miner.inject("refuse_4433")
    await miner.tick()
    for _ in range(12):
        await poll()
        assert float(state("sensor", "power")) > 1000
        assert state("binary_sensor", "write_access") == STATE_ON
    with pytest.raises(HomeAssistantError) as error:
        await call("switch", "mining", "turn_off")
    assert error.value.translation_key == "port_closed"
    assert error.value.translation_placeholders
    assert error.value.translation_placeholders["port"] == str(miner.v3_port)
    assert (
        coordinator.config_entry.runtime_data.coordinator is coordinator
    )  # not reloaded
    miner.clear_failures()
    await miner.tick()
    clock.race()
    await call("switch", "mining", "turn_off")
    assert not miner.truth().mining


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_nothing_is_sent_after_unloading(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
) -> None:
    """A command of an entry that is gone must not reach the miner minutes later."""
    miner.inject("refuse_4433")
    await miner.tick()
    task = hass.async_create_task(call("switch", "mining", "turn_off"))
    await asyncio.sleep(0.2)
    await hass.config_entries.async_unload(coordinator.config_entry.entry_id)
    with pytest.raises(HomeAssistantError) as error:
        await task
    assert error.value.translation_key == "not_sent"
    miner.clear_failures()
    await miner.tick()
    await asyncio.sleep(0.2)
    assert not sent(miner, "set.miner.service")


async def test_old_data_confirm_nothing(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    poll: Poll,
    impatient: Callable[[str, str], None],
) -> None:
    """A stop that was lost must not be confirmed by a poll from before another client started it."""
    impatient("switch", "mining")
    miner.machine.power_off()
    clock.advance(60)
    await poll()
    miner.machine.power_on()
    clock.advance(5)
    miner.inject("answered_not_applied", "power_off")
    miner.inject("close", "summary")
    miner.inject("close", "devs")
    miner.inject("close", "status")
    with pytest.raises(HomeAssistantError) as error:
        await call("switch", "mining", "turn_off")
    assert error.value.translation_key == "not_confirmed"


@pytest.mark.parametrize("profile", ["v3_m64_bad"])
async def test_controls_stay_when_4433_is_closed_at_start(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
) -> None:
    """A restart of Home Assistant in a restart of the miner must not take the switch away."""
    miner.inject("refuse_4433")
    await miner.tick()
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    assert state("switch", "mining") == STATE_ON
    miner.clear_failures()
    await miner.tick()
    await call("switch", "fast_boot", "turn_on")
    assert miner.machine.fast_boot is True


@pytest.fixture
def blink(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> Blink:
    """Press Identify, which then takes so many seconds, and wait until the LEDs are lit."""

    async def press(seconds: float) -> asyncio.Task[None]:
        monkeypatch.setattr(
            "custom_components.whatsminer.button.BLINK_SECONDS", seconds
        )
        task = hass.async_create_task(call("button", "identify", "press"))
        async with asyncio.timeout(5):
            while miner.truth().led_auto:
                await asyncio.sleep(0.01)
        return task

    return press


@pytest.mark.parametrize("profile", ["v205_m50", "v3_m7bs"])
async def test_identify_ends_with_a_reload(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    blink: Blink,
) -> None:
    """The LEDs would blink until the miner is rebooted."""
    await (await blink(60))
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    assert miner.truth().led_auto
    miner.commands.clear()
    await asyncio.sleep(0.1)
    assert not any("led" in command.name for command in miner.commands)


async def test_identify_and_the_miner_goes_offline(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    blink: Blink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entry that cannot be unloaded any more needs a restart of Home Assistant."""
    monkeypatch.setattr("custom_components.whatsminer.button.END_SECONDS", 1)
    await (await blink(60))
    async with asyncio.timeout(5):
        miner.inject("refuse")
        await miner.tick()
        assert await hass.config_entries.async_unload(coordinator.config_entry.entry_id)
    assert "the LEDs may continue to blink" in caplog.text


async def test_identify_returns_immediately(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script would stand still for 20 seconds while the LEDs blink."""
    async with asyncio.timeout(5):
        await call("button", "identify", "press")
    assert not miner.truth().led_auto
    monkeypatch.setattr("custom_components.whatsminer.button.BLINK_SECONDS", 0.2)
    await call("button", "identify", "press")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().led_auto


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_identify_lights_once(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    blink: Blink,
) -> None:
    """A port that is closed in the end would make it blink all over again."""
    await (await blink(0.2))
    async with asyncio.timeout(5):
        lit = sent(miner, "set.system.led")
        assert lit
        miner.inject("refuse_4433")
        await miner.tick()
        await asyncio.sleep(0.4)
        assert not miner.truth().led_auto
        miner.clear_failures()
        await miner.tick()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().led_auto
    assert sent(miner, "set.system.led") == lit + 1


async def test_identify_twice(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second press prolongs the blinking; the first one must not end it."""
    monkeypatch.setattr("custom_components.whatsminer.button.BLINK_SECONDS", 0.6)
    await call("button", "identify", "press")
    await asyncio.sleep(0.4)
    await call("button", "identify", "press")
    await asyncio.sleep(0.4)
    assert not miner.truth().led_auto
    async with asyncio.timeout(5):
        await hass.async_block_till_done(wait_background_tasks=True)
    assert miner.truth().led_auto


async def test_several_taps_are_one_write(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each tap would restart the miner, and cost twenty minutes of mining."""
    monkeypatch.setattr("custom_components.whatsminer.controls.QUIET_TIME", 0.3)
    clock.race()
    taps = []
    for watts in (3250, 3200, 3150):
        taps.append(
            hass.async_create_task(
                call("number", "power_limit", "set_value", value=watts)
            )
        )
        await asyncio.sleep(0.05)
        assert state("number", "power_limit") == str(watts)
    await asyncio.gather(*taps)
    assert sent(miner, "adjust_power_limit") == 1
    assert miner.truth().power_limit_w == 3150


async def test_controls_that_are_gone_are_removed(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entity_id: Find,
) -> None:
    """Without a password nothing can be commanded; dead switches would stay for ever."""
    gone = [entity_id("switch", "mining"), entity_id("number", "power_limit")]
    gone += [entity_id("sensor", "curtailment"), entity_id("update", "firmware")]
    entry = coordinator.config_entry
    data = {key: value for key, value in entry.data.items() if key != "password"}
    hass.config_entries.async_update_entry(entry, data=data)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert not any(er.async_get(hass).async_get(one) for one in gone)
    assert entity_id("sensor", "power")


async def test_percent_is_forgotten_if_nobody_saw_the_restart(
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    poll: Poll,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A miner that ran longer since its restart than before it would keep a percent it has not."""
    miner.machine.restart()
    clock.advance(3000)
    await poll()
    await call("number", "power_percent", "set_value", value=60)
    freezer.tick(timedelta(seconds=30))
    clock.advance(30)
    await poll()
    assert state("number", "power_percent") == "60"
    before = miner.truth().elapsed_s
    miner.machine.restart()
    clock.advance(4000)
    freezer.tick(timedelta(seconds=4000))
    await poll()
    assert miner.truth().elapsed_s > before
    assert state("sensor", "status") == "mining"
    assert state("number", "power_percent") == STATE_UNKNOWN


async def test_only_what_was_sent_is_remembered(
    hass: HomeAssistant, miner: SimulatedMiner, call: Call, state: Show
) -> None:
    """A percent that never left the house would be shown as that of the miner."""

    async def command(percent: int) -> None:
        await call("number", "power_percent", "set_value", value=percent)

    tasks = []
    for percent in (60, 70, 80):
        tasks.append(hass.async_create_task(command(percent)))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while not sent(miner, "set_power_pct_v2"):
            await asyncio.sleep(0)
    miner.refuse |= {"set_power_pct_v2": 132, "set_power_pct": 132}
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == (None, None)
    assert isinstance(third, HomeAssistantError)
    assert miner.machine.power_percent == 60
    assert state("number", "power_percent") == "60"


async def test_slider_does_not_flicker(
    hass: HomeAssistant,
    call: Call,
    entity_id: Find,
) -> None:
    """Between what is commanded and what is remembered nothing may be unknown."""
    shown: list[str] = []

    def note(event: Event[EventStateChangedData]) -> None:
        assert event.data["new_state"]
        shown.append(event.data["new_state"].state)

    async_track_state_change_event(hass, [entity_id("number", "power_percent")], note)
    for percent in (79, 60):
        await call("number", "power_percent", "set_value", value=percent)
        await hass.async_block_till_done()
    assert shown == ["79", "60"]

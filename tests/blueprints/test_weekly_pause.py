"""The weekly pause: on time, never on a holiday, and kept over a restart."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.components.trace.util import async_list_traces
from homeassistant.setup import async_setup_component
import pytest

from .conftest import HOLD, MONDAY, OFF, ON, UNAVAILABLE, World, notify

CALENDAR = "calendar.holidays"
WORKDAY = "binary_sensor.workday"


@pytest.fixture(autouse=True)
def fast(world: World, rare_polls: None) -> None:
    """Use long steps: everything in these tests happens at full five minutes."""
    world.step = 300


async def test_normal_day(world: World) -> None:
    """The miner would run from 8 to 13, when electricity is expensive, or be off for the rest of the day."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.let_pass_until("07:55")
    assert world.runs
    await world.let_pass_until("08:01")
    assert not world.runs
    assert world.miner.truth().power_w < 100
    assert world.curtailment["reason"] == "Weekly pause"
    await world.let_pass_until("12:55")
    assert not world.runs
    await world.let_pass_until("13:02")
    assert world.runs
    await world.let_pass_until("20:00")
    assert world.switched == 2
    assert world.curtailment["stopped_again"] == 0


@pytest.mark.parametrize("begin", [MONDAY + timedelta(days=4, hours=12)])
async def test_weekend_and_last_day(world: World) -> None:
    """The miner would pause on Saturday or after the last day."""
    world.step = 1800
    monday = MONDAY + timedelta(days=7)
    await world.automate(
        "weekly_pause", miners=world.devices, last_day=f"{monday:%Y-%m-%d}"
    )
    assert not world.runs  # Friday at noon: the automation was made within the pause
    for _ in range(2):
        await world.let_pass_until("10:00")
        assert world.runs
    for runs in (False, True):
        await world.let_pass_until("10:00")
        assert world.runs is runs, world.now


@pytest.mark.parametrize(
    ("name", "entity", "free"),
    [("calendars", CALENDAR, ON), ("workdays", WORKDAY, OFF)],
)
async def test_holiday(world: World, name: str, entity: str, free: str) -> None:
    """The miner would pause on a holiday, when electricity is cheap all day."""
    work = OFF if free == ON else ON
    await world.set(entity, free)
    await world.automate("weekly_pause", miners=world.devices, **{name: [entity]})
    await world.let_pass_until("12:00")
    assert world.runs
    assert world.switched == 0
    # The day turns out to be none, and again to be one.
    await world.set(entity, work)
    assert not world.runs
    await world.let_pass(minutes=15)
    await world.set(entity, free)
    assert world.runs


@pytest.mark.parametrize("begin", [MONDAY + timedelta(days=4, hours=21)])
async def test_pause_over_midnight_belongs_to_the_day_it_begins(world: World) -> None:
    """A pause from Friday 22:00 to 6:00 would end at midnight because Saturday is not a workday."""
    await world.set(WORKDAY, ON)
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        pause_at="22:00:00",
        resume_at="06:00:00",
        workdays=[WORKDAY],
    )
    await world.let_pass_until("22:05")
    assert not world.runs
    await world.let_pass_until("00:00")
    await world.set(WORKDAY, OFF)
    await world.let_pass_until("05:55")
    assert not world.runs
    await world.let_pass_until("06:01")
    assert world.runs
    # Saturday 22:00 is no pause, and at Sunday midnight none begins.
    await world.let_pass_until("05:00")
    assert world.runs


async def test_flapping_sensor(world: World) -> None:
    """A sensor that keeps changing would start the miner every minute."""
    await world.set(WORKDAY, ON)
    await world.automate("weekly_pause", miners=world.devices, workdays=[WORKDAY])
    await world.let_pass_until("08:01")
    world.step = 60
    for minute in range(60):
        await world.set(WORKDAY, ON if minute % 2 else OFF)
        await world.let_pass(minutes=1)
    assert world.done("power_on") <= 6  # each after a pause of ten minutes at least
    await world.set(WORKDAY, ON)
    await world.let_pass(minutes=5)
    assert not world.runs


@pytest.mark.parametrize(
    ("action", "runs"), [("pause", False), ("run", True), ("leave", True)]
)
async def test_unavailable_sensor(world: World, action: str, runs: bool) -> None:
    """An unavailable sensor would change something immediately, or not apply the user's choice later."""
    await world.set(WORKDAY, ON)
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        workdays=[WORKDAY],
        unknown_action=action,
    )
    await world.let_pass_until("07:55")
    await world.set(WORKDAY, UNAVAILABLE)
    await world.let_pass_until("08:05")
    assert world.runs
    await world.let_pass_until("08:30")
    assert world.runs is runs
    await world.set(WORKDAY, ON)
    assert not world.runs
    # A short gap within the pause changes nothing at all.
    before = world.switched
    await world.set(WORKDAY, UNAVAILABLE)
    await world.let_pass(minutes=10)
    await world.set(WORKDAY, ON)
    assert world.switched == before


async def test_restart_in_the_middle(world: World) -> None:
    """After an update of Home Assistant, the pause would end early or late."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.let_pass_until("09:00")
    since = world.curtailment["since"]
    await world.restart(minutes=10)
    assert not world.runs
    assert world.curtailment["since"] == since
    await world.let_pass_until("12:55")
    assert world.switched == 1
    await world.restart(minutes=20)
    assert world.runs


async def test_not_running_when_it_should_pause(world: World) -> None:
    """If Home Assistant was not running at 8, the pause would only start the next day."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.let_pass_until("07:50")
    await world.restart(minutes=30)
    assert not world.runs


async def test_manual_hold(world: World) -> None:
    """A user's manual change would be overwritten."""
    await world.set(HOLD, ON)
    await world.automate("weekly_pause", miners=world.devices, hold=[HOLD])
    await world.let_pass_until("09:00")
    assert world.runs
    await world.set(HOLD, OFF)
    assert not world.runs
    await world.set(HOLD, ON)
    await world.let_pass_until("14:00")
    assert not world.runs
    await world.set(HOLD, OFF)
    assert world.runs


async def test_switched_off_by_the_user(world: World) -> None:
    """A miner that is off for repair would start after a pause."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.hass.services.async_call(
        "switch", "turn_off", {"entity_id": world.entity("switch", "mining")}
    )
    await world.let_pass_until("14:00")
    assert not world.runs
    assert world.done("power_on") == 0


async def test_curtailed_by_another_automation(world: World) -> None:
    """The pause would start a miner that another automation has stopped."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.hass.services.async_call(
        "whatsminer",
        "curtail",
        {"device_id": world.devices, "target": "stop", "reason": "Too hot"},
    )
    await world.let_pass_until("14:00")
    assert not world.runs
    assert world.curtailment["reason"] == "Too hot"


async def test_lowered_by_another_automation(world: World) -> None:
    """A miner at half power would not be stopped in a pause, or not return to half power after it."""
    await world.automate("weekly_pause", miners=world.devices)
    await world.hass.services.async_call(
        "whatsminer",
        "curtail",
        {
            "device_id": world.devices,
            "target": "percent",
            "percent": 50,
            "reason": "Price",
        },
    )
    await world.let_pass_until("08:01")
    assert not world.runs
    await world.let_pass_until("14:00")
    assert world.runs
    assert world.miner.truth().power_w < 2000


async def test_miner_that_does_not_obey(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A pause that did not happen has to be reported, and applied later."""
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        on_failure=notify("{{ failed | join }}"),
    )
    world.miner.api_switch = False
    await world.let_pass_until("08:01")
    assert world.runs
    assert notified == [{"message": "M50 04EB"}]
    await world.let_pass_until("08:11")
    assert len(notified) == 3
    world.miner.api_switch = True
    await world.let_pass_until("08:16")
    assert not world.runs
    assert len(notified) == 3


async def test_summer_time(world: World) -> None:
    """On the last Sunday of October, when the hour from 2 to 3 repeats, the pause would not end at 6."""
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        weekdays=["sat"],
        pause_at="22:00:00",
        resume_at="06:00:00",
    )
    zone = world.now.tzinfo
    await world.jump(datetime(2027, 10, 30, 21, 58, tzinfo=zone))
    await world.let_pass_until("22:05")
    assert not world.runs
    await world.let_pass(hours=8, minutes=30)  # 5:35 by the winter clock
    assert f"{world.now:%H:%M}" == "05:35"
    assert not world.runs
    await world.let_pass(minutes=30)
    assert world.runs


@pytest.mark.parametrize("begin", [MONDAY + timedelta(hours=21, seconds=1)])
@pytest.mark.parametrize("what", ["restart", "hold", "api"])
async def test_night_pause_that_could_not_begin_before_midnight(
    world: World, notified: list[dict[str, Any]], what: str
) -> None:
    """At midnight the workday sensor speaks of another day; the night is as expensive as it was."""
    await world.set(WORKDAY, ON)
    await world.set(HOLD, OFF)
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        pause_at="23:00:00",
        resume_at="06:00:00",
        workdays=[WORKDAY],
        hold=[HOLD],
        on_blocked=notify("held"),
    )
    await world.let_pass_until("22:50")
    if what == "restart":
        await world.restart(minutes=75)
    elif what == "hold":
        await world.set(HOLD, ON)
        await world.let_pass_until("00:05")
        await world.set(HOLD, OFF)
        assert notified == [{"message": "held"}]
    else:
        world.miner.api_switch = False
        await world.let_pass_until("00:05")
        world.miner.api_switch = True
    await world.set(WORKDAY, OFF)
    await world.let_pass_until("00:15")
    assert not world.runs
    await world.let_pass_until("05:55")
    assert not world.runs
    await world.let_pass_until("06:05")
    assert world.runs


@pytest.mark.parametrize("begin", [MONDAY + timedelta(hours=21, seconds=1)])
async def test_night_that_is_no_pause(world: World) -> None:
    """A night without a pause before midnight would get one after it."""
    await world.set(WORKDAY, OFF)
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        pause_at="23:00:00",
        resume_at="06:00:00",
        workdays=[WORKDAY],
    )
    await world.let_pass_until("00:05")
    await world.set(WORKDAY, ON)
    await world.let_pass_until("05:00")
    assert world.runs
    assert world.switched == 0
    await world.let_pass_until("23:05")
    assert not world.runs
    await world.let_pass_until("23:20")
    await world.set(WORKDAY, OFF)
    assert world.runs
    await world.set(WORKDAY, ON)
    await world.set(WORKDAY, OFF)
    await world.let_pass_until("23:55")
    assert world.runs
    await world.let_pass_until("00:05")
    await world.set(WORKDAY, ON)
    await world.let_pass_until("05:00")
    assert world.runs


@pytest.mark.parametrize("begin", [MONDAY + timedelta(hours=21, seconds=1)])
@pytest.mark.parametrize(("action", "runs"), [("pause", False), ("run", True)])
async def test_loaded_in_the_night(world: World, action: str, runs: bool) -> None:
    """Without the workday state from before midnight, the user's choice would not apply."""
    await world.set(WORKDAY, ON)
    await world.let_pass_until("00:30")
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        pause_at="23:00:00",
        resume_at="06:00:00",
        workdays=[WORKDAY],
        unknown_action=action,
    )
    await world.let_pass_until("01:00")
    assert world.runs is runs


async def test_hold_is_reported_once_in_a_pause(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A forgotten hold runs the miner through every pause; it is notified at the first."""
    await world.set(HOLD, ON)
    await world.automate(
        "weekly_pause", miners=world.devices, hold=[HOLD], on_blocked=notify("held")
    )
    await world.let_pass_until("07:55")
    assert not notified
    await world.let_pass_until("12:55")
    assert world.runs
    assert notified == [{"message": "held"}]
    await world.let_pass_until("08:30")
    assert len(notified) == 2


@pytest.mark.long
async def test_trace_is_still_there(world: World) -> None:
    """The traces still say in the evening why it ran in the morning."""
    assert await async_setup_component(world.hass, "trace", {})
    await world.set(HOLD, ON)
    await world.automate("weekly_pause", miners=world.devices, hold=[HOLD])
    await world.let_pass_until("08:20")
    begin = world.now
    world.step = 60
    await world.let_pass_until("20:00")
    assert world.runs
    traces = await async_list_traces(world.hass, "automation", None)
    assert any(trace["timestamp"]["start"] <= begin for trace in traces)
    assert len(traces) < 300


@pytest.mark.parametrize(
    ("moment", "pause_at"),
    [
        (datetime(2027, 10, 31, 2, 25), "02:30:00"),
        (datetime(2028, 3, 26, 1, 25), "01:30:00"),
    ],
)
async def test_pause_over_the_change_of_the_clock(
    world: World, moment: datetime, pause_at: str
) -> None:
    """When the clock goes back from 3 to 2 within the pause, the pause would end and start again."""
    await world.automate(
        "weekly_pause",
        miners=world.devices,
        weekdays=["sun"],
        pause_at=pause_at,
        resume_at="06:00:00",
    )
    await world.jump(moment.replace(tzinfo=world.now.tzinfo))
    await world.let_pass(minutes=7)
    assert not world.runs
    for _ in range(20):
        await world.let_pass(minutes=5)
        assert not world.runs
    assert world.switched == 1
    await world.let_pass_until("06:01")
    assert world.runs

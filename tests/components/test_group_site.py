"""A group holds its meter: a house around simulated miners, in a real Home Assistant."""

from collections.abc import AsyncGenerator
from dataclasses import replace
import time
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.controls import POWER_PERCENT
from custom_components.whatsminer.group.control import settings_of
from custom_components.whatsminer.group.flow import MORE, SITE
from custom_components.whatsminer.group.member import BREAKER_REASON, BREAKER_STOP
from custom_components.whatsminer.power.record import Target
from simulator import SimulatedMiner

from .conftest import RaceClock, issue, later
from .test_group import real_clocks, submit

__all__ = ["real_clocks"]

BATTERY = "sensor.battery"
METER = "sensor.grid"
SET_POINT = -100.0
BREAKER = 11_000.0
STOPS = ("power_off", "set.miner.service")


class House:
    """A house with a surplus, a meter, and miners whose time it moves."""

    def __init__(
        self,
        hass: HomeAssistant,
        clock: RaceClock,
        miners: list[SimulatedMiner],
        entries: list[MockConfigEntry],
    ) -> None:
        """Begin with all miners at full power, and as much surplus."""
        self.hass, self.clock = hass, clock
        self.miners, self.entries = miners, entries
        self.now = 0.0
        self.sign = 1
        self.surplus = self.power - SET_POINT
        self.group: ConfigEntry | None = None

    @property
    def power(self) -> float:
        """Return what the miners really draw at this moment."""
        return sum(miner.machine.power_w for miner in self.miners)

    @property
    def grid(self) -> float:
        """Return the import of the house."""
        return self.power - self.surplus

    async def report(self, value: object = None) -> None:
        """Let the meter report."""
        shown = self.sign * self.grid if value is None else value
        self.hass.states.async_set(METER, str(shown), {"unit_of_measurement": "W"})
        await self.settle()

    async def settle(self) -> None:
        """Let all commands be carried out; a stop is confirmed only while time passes."""
        self.clock.race()
        await self.hass.async_block_till_done(wait_background_tasks=True)
        self.clock.stop()

    async def wait(self, seconds: float, *, reports: bool = True) -> None:
        """Let time pass in steps of 5 s, with a reading in each and a poll in every sixth."""
        for _ in range(round(seconds / 5)):
            self.now += 5
            self.clock.advance(5)
            if self.now % 30 == 0:
                for entry in self.entries:
                    coordinator = entry.runtime_data.coordinator
                    await coordinator.async_refresh()
                    coordinator.answered_since += self.now
            if reports:
                await self.report()
            else:
                assert self.group
                self.group.runtime_data.site.step()
                await self.settle()

    def discharge(self, watts: object) -> None:
        """Let the sensor of the battery report."""
        self.hass.states.async_set(BATTERY, str(watts), {"unit_of_measurement": "W"})

    async def have_battery(self) -> None:
        """Have a battery, which is idle."""
        assert self.group
        self.discharge(0)
        options = {**self.group.options, "battery": BATTERY}
        self.hass.config_entries.async_update_entry(self.group, options=options)
        assert await self.hass.config_entries.async_reload(self.group.entry_id)

    async def seconds_until_held(self) -> float:
        """Return how long it takes until the import stays at the set point for a minute."""
        begun, held = self.now, None
        while self.now - begun < 600:
            await self.wait(5)
            if abs(self.grid - SET_POINT) > 150:
                held = None
            elif held is None:
                held = self.now
            elif self.now - held >= 60:
                return held - begun
        raise AssertionError(f"the import is {self.grid}")

    def status(self) -> str:
        """Return the status of the group."""
        assert self.group
        entity_id = er.async_get(self.hass).async_get_entity_id(
            "sensor", DOMAIN, f"{self.group.entry_id}_status"
        )
        self.group.runtime_data.update()
        state = self.hass.states.get(entity_id or "")
        assert state
        return state.state


@pytest.fixture
def site() -> dict[str, Any]:
    """What the group of the house holds."""
    return {"hold": "surplus"}


@pytest.fixture
async def house(
    hass: HomeAssistant,
    clock: RaceClock,
    site: dict[str, Any],
    two_miners: list[SimulatedMiner],
    two_learned: list[MockConfigEntry],
) -> AsyncGenerator[House]:
    """A house whose group follows the meter."""
    house = House(hass, clock, two_miners, two_learned)
    monotonic = time.monotonic()
    group = "custom_components.whatsminer.group"
    with (
        patch(f"{group}.control.monotonic", lambda: monotonic + house.now),
        patch(f"{group}.runtime.monotonic", lambda: monotonic + house.now),
    ):
        await house.report()
        result = await submit(
            hass,
            members=[entry.entry_id for entry in two_learned],
            **{SITE: {**site, "meter": METER}, MORE: {"interval": 5}},
        )
        house.group = result["result"]
        await hass.async_block_till_done(wait_background_tasks=True)
        yield house


async def test_surplus_is_followed(house: House) -> None:
    """The miners would import electricity, or leave the surplus to the grid."""
    # 10 W of noise. With more it may look just before a change as if there were a little more
    # surplus, and the answer to that comes first.
    for miner in house.miners:
        miner.machine.timing = replace(miner.machine.timing, noise=0.001)
    await house.wait(60)
    assert house.status() == "full"
    for change, seconds in ((-1000, 20), (-1500, 20), (1200, 60), (500, 60)):
        house.surplus += change
        for miner in house.miners:
            miner.commands.clear()
        assert await house.seconds_until_held() <= seconds
        sent = [
            command.name
            for miner in house.miners
            for command in miner.commands
            if "pct" in command.name or "percent" in command.name
        ]
        assert len(sent) <= 4
        await house.wait(60)
        assert abs(house.grid - SET_POINT) <= 150


async def test_silent_meter(house: House) -> None:
    """Miners would draw from the grid for hours while the meter is broken."""
    await house.wait(60)
    full = house.power
    await house.wait(280, reports=False)
    assert house.status() == "meter_lost"
    assert house.power == pytest.approx(full, rel=0.02)
    await house.report("unavailable")
    await house.wait(40, reports=False)
    assert house.power == pytest.approx(full * 0.4, rel=0.05)
    await house.wait(600, reports=False)
    assert house.power < 200


async def test_restart_of_home_assistant(hass: HomeAssistant, house: House) -> None:
    """A restart would send commands before the meter is known, or swing."""
    house.surplus -= 2000
    await house.wait(60)
    held = house.power
    assert house.group
    for miner in house.miners:
        miner.commands.clear()
    assert await hass.config_entries.async_reload(house.group.entry_id)
    await house.report()
    assert house.power == pytest.approx(held, rel=0.01)
    await house.wait(120)
    assert house.power == pytest.approx(held, rel=0.03)


async def test_offline_miner(house: House) -> None:
    """What an offline miner no longer draws would go to the grid."""
    await house.wait(60)
    house.surplus = house.power / 2 - SET_POINT
    await house.wait(60)
    assert abs(house.grid - SET_POINT) <= 150
    house.miners[1].inject("refuse")
    await house.wait(300)
    assert abs(house.grid - SET_POINT) <= 200
    assert house.group
    fixed = house.group.runtime_data.site.attributes["not_controlled"]
    assert fixed == {"Miner 1": "offline"}


async def test_wrong_sign(hass: HomeAssistant, house: House) -> None:
    """A meter with the wrong sign would drive the miners against the house for ever."""
    house.sign = -1
    house.surplus = house.power * 0.7
    for _ in range(60):
        await house.wait(60)
        house.surplus += 40 if house.now % 120 else -40
        assert house.group
        if issue(hass, "group_sign", house.group):
            break
    else:
        pytest.fail("nobody was told")
    assert house.power < 200
    assert house.status() == "off"


async def test_battery_that_is_not_known(house: House) -> None:
    """The miners would empty a battery whose sensor is not available, since the meter shows 0."""
    await house.have_battery()
    await house.wait(60)
    full = house.power
    house.discharge("unavailable")
    for _ in range(5):
        await house.wait(60)
    assert house.status() == "meter_lost"
    await house.wait(60)
    assert house.power < full / 2


@pytest.mark.parametrize("site", [{"hold": "surplus", "breaker": BREAKER}])
async def test_breaker_limit_needs_no_battery(house: House) -> None:
    """All miners would stop for a minute without the sensor of the battery, or the breaker would trip."""
    await house.have_battery()
    await house.wait(60)
    full = house.power
    house.discharge("unavailable")
    await house.wait(90)
    assert house.power == pytest.approx(full, rel=0.05)
    house.surplus = full - BREAKER - 2000
    await house.wait(30)
    assert house.grid < BREAKER
    assert house.power > 500


async def test_surplus_that_fell_during_a_curtailment(
    hass: HomeAssistant, house: House
) -> None:
    """After a grid call the miners would draw what they did before it, from the grid."""
    await house.wait(60)
    house.surplus -= 1000
    await house.wait(60)
    before = house.power
    executors = [entry.runtime_data.curtailment for entry in house.entries]
    with patch("custom_components.whatsminer.power.executor.POLL_INTERVAL", 0.02):
        for one in executors:
            work = one.async_curtail(Target.PERCENT, 50, None, "grid")
            hass.async_create_background_task(work, "curtail")
        await house.settle()
        await house.wait(60)
    assert house.power == pytest.approx(before * 0.56, rel=0.1)
    house.surplus = house.power - SET_POINT
    await house.wait(60)
    for one in executors:
        hass.async_create_background_task(one.async_resume("grid"), "resume")
    for _ in range(12):
        await house.wait(5)
        assert house.grid < 100
    assert await house.seconds_until_held() < 60


async def test_percent_of_another_program(house: House) -> None:
    """A miner that does not report its percent would stay at that of another program for ever."""
    await house.wait(60)
    house.surplus -= 2000
    await house.wait(120)
    held = house.miners[0].machine.power_w
    house.miners[0].machine.set_percent(100, gentle=False)
    await house.wait(20)
    assert house.miners[0].machine.power_w > 1.2 * held
    house.miners[0].commands.clear()
    await house.wait(800)
    sent = [one.name for one in house.miners[0].commands if "pct" in one.name]
    assert 1 <= len(sent) <= 3, sent
    assert abs(house.grid - SET_POINT) <= 150
    assert house.group
    assert house.group.runtime_data.site.attributes["not_controlled"] == {}


async def test_no_percent_again_where_it_restarts(house: House) -> None:
    """A miner that draws less than expected would be restarted every five minutes."""
    coordinator = house.entries[0].runtime_data.coordinator
    house.miners[0].machine.fast_boot = False
    coordinator.store.note_percent_restarts()
    await house.wait(60)
    house.miners[0].machine.set_percent(50, gentle=False)
    await house.wait(400)
    assert house.group
    fixed = house.group.runtime_data.site.attributes["not_controlled"]
    sent = [one.name for one in house.miners[0].commands if "pct" in one.name]
    assert not sent
    assert fixed == {house.entries[0].title: "not_following"}


@pytest.mark.parametrize("site", [{"hold": "limit", "breaker": BREAKER}])
async def test_breaker_limit_without_the_right_to_stop_one(
    hass: HomeAssistant, house: House
) -> None:
    """The breaker would trip, since the miner that cannot be stopped is stopped again and again."""
    entry = house.entries[0]
    data = {key: x for key, x in entry.data.items() if "password" not in key}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await house.wait(60)
    house.surplus = house.power - BREAKER - 6000
    await house.wait(30)
    assert house.miners[0].truth().mining
    assert house.miners[1].machine.power_w < 100
    assert house.grid < BREAKER


@pytest.mark.parametrize("site", [{"hold": "limit", "breaker": BREAKER}])
async def test_stop_that_the_meter_does_not_show(
    hass: HomeAssistant, house: House
) -> None:
    """The repair issue would say that the stop was sent again, and the miner would not get it."""
    await house.wait(60)
    house.surplus = house.power - 18_000
    await house.wait(5)
    for _ in range(14):
        await house.wait(5, reports=False)
        await house.report(18_000)
    assert issue(hass, "group_stop_not_seen", house.group)
    for miner in house.miners:
        stops = [one for one in miner.commands if one.name in STOPS]
        assert len(stops) in (2, 3), [one.at for one in stops]
        miner.commands.clear()
    for _ in range(14):
        await house.wait(5, reports=False)
        await house.report(10_900)
    assert not issue(hass, "group_stop_not_seen", house.group)
    assert not any(
        one.name in STOPS for miner in house.miners for one in miner.commands
    )


@pytest.mark.parametrize("site", [{"hold": "limit", "breaker": BREAKER}])
@pytest.mark.parametrize("is_silent", [False, True], ids=["too high", "silent"])
async def test_breaker_limit_stops_a_held_miner(
    hass: HomeAssistant, house: House, *, is_silent: bool
) -> None:
    """A miner that the user controls would stay on while the breaker is in danger."""
    runtime = house.entries[0].runtime_data
    assert house.group
    await POWER_PERCENT.async_set(runtime.commander, 100, user_initiated=True)
    await house.wait(60)
    assert runtime.curtailment.source.key == "manual"
    for miner in house.miners:
        miner.commands.clear()
    if is_silent:
        await house.wait(50, reports=False)
        assert house.power > 3000
        await house.wait(20, reports=False)
        assert (house.status(), house.power < 100) == ("meter_lost", True)
    else:
        house.surplus = house.power - 16_000
        await house.wait(10)
        assert (house.status(), house.grid < BREAKER) == ("limited", True)
        assert house.miners[1].machine.power_w > 2000
    await house.wait(30, reports=not is_silent)
    assert house.miners[0].machine.power_w < 100
    assert [one.name for one in house.miners[0].commands].count("power_off") == 1
    # It is a stop for a time: then the miner is its user's again.
    [stop] = runtime.curtailment.record.active
    assert (stop.reason, stop.until - stop.since) == (BREAKER_REASON, BREAKER_STOP)
    assert await hass.config_entries.async_unload(house.group.entry_id)
    with later(16):
        async_fire_time_changed(hass, dt_util.utcnow())
        await house.settle()
    assert house.miners[0].truth().mining


@pytest.mark.parametrize("site", [{"hold": "limit", "breaker": BREAKER}])
async def test_breaker_limit_stops_one_that_refused_once(house: House) -> None:
    """The breaker would trip, since a miner that refused a stop once would never be stopped again."""
    runtime = house.entries[0].runtime_data
    await POWER_PERCENT.async_set(runtime.commander, 100, user_initiated=True)
    await house.wait(60)
    house.miners[0].inject("error_45", "power_off")
    house.surplus = house.power - 18_000
    await house.wait(15)
    assert house.miners[0].truth().mining
    assert house.miners[1].machine.power_w < 100
    house.miners[0].clear_failures()
    house.surplus -= 3000
    await house.wait(330)
    assert house.miners[0].machine.power_w < 100
    assert [one.name for one in house.miners[0].commands].count("power_off") <= 3


async def test_group_that_is_enabled_again(hass: HomeAssistant, house: House) -> None:
    """Its miners would first do what it wanted before it was disabled, perhaps days ago."""
    await house.wait(60)
    house.surplus -= 2000
    await house.wait(60)
    assert house.group
    enable = hass.config_entries.async_set_disabled_by
    await enable(house.group.entry_id, ConfigEntryDisabler.USER)
    await house.wait(300)
    full = house.power
    house.surplus = full - SET_POINT
    for miner in house.miners:
        miner.commands.clear()
    await enable(house.group.entry_id, None)
    await house.wait(30)
    assert house.power == pytest.approx(full, rel=0.05)
    assert not any(
        "pct" in one.name for miner in house.miners for one in miner.commands
    )


def test_options_become_settings() -> None:
    """A group would hold another limit than the one that was entered."""
    site = {"meter": METER}
    assert settings_of({**site, "hold": "surplus"}).set_point == -100
    assert settings_of({**site, "hold": "surplus", "set_point": 50}).set_point == 50
    peak = settings_of({**site, "hold": "peak", "limit": 8000})
    assert (peak.set_point, peak.hard_limit) == (7500, None)
    limit = settings_of({**site, "hold": "limit", "breaker": 11000, "stay": True})
    assert (limit.set_point, limit.hard_limit) == (10500, 11000)
    assert not limit.stop_when_silent

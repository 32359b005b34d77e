"""Reading back: the fields of the answers decide what can be read, not the version of the API."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

from homeassistant.const import ATTR_ASSUMED_STATE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.commander import Command
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.controls import CONTROLS, FAST_BOOT
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.entity import ControlDescription
from custom_components.whatsminer.number import NUMBERS
from custom_components.whatsminer.select import SELECTS
from custom_components.whatsminer.switch import SWITCHES
from simulator import SimulatedMiner
from simulator.dialect_v2 import DialectV2
from simulator.dialect_v3 import DialectV3

from .conftest import PASSWORD, Call, Find, RaceClock, Show, issue
from .test_settings import FOREIGN_SETTINGS, ONLY_4028, REFUSED, SETTINGS

pytestmark = pytest.mark.usefixtures("entity_registry_enabled_by_default")


@dataclass(frozen=True)
class Case:
    """A control: the fields that report it, and the value to choose."""

    platform: str
    key: str
    fields: tuple[str, ...]
    choice: str
    action: str
    data: dict[str, Any]


def _switch(key: str, choice: str, *fields: str) -> Case:
    return Case("switch", key, fields, choice, f"turn_{choice}", {})


def _number(key: str, value: int, *fields: str) -> Case:
    return Case("number", key, fields, str(value), "set_value", {"value": value})


def _select(key: str, option: str, *fields: str) -> Case:
    data = {"option": option}
    return Case("select", key, fields, option, "select_option", data)


# A percent needs a tuned miner, and mining is the last since nothing else runs after it.
CASES = (
    _number("power_percent", 70, "power_pct", "power-percent"),
    _switch("fast_boot", "on", "Btminer Fast Boot", "fast-boot"),
    _switch("fast_hash", "on", "fast_hash", "fast-hash"),
    _switch("web_pools", "off", "web-pool"),
    _switch("power_off_cool", "off", "fan-poweroff-cool"),
    _switch("fan_zero_speed", "on", "fan-zero-speed"),
    _switch("start_at_boot", "off"),
    _number("temperature_offset", -5, "fan-temp-offset"),
    _number(
        "upfreq_speed", 5, "upfreq_speed", "ut_speed", "upfreq-speed", "UpfreqSpeed"
    ),
    _select("heat_mode", "heating", "heat-mode", "heatmode"),
    _number("target_frequency", -4, "hash_percent", "target-freq", "hash-percent"),
    _number(
        "power_limit",
        2900,
        "Power Limit",
        "power_limit_set",
        "power-limit",
        "power-limit-set",
    ),
    _select("power_mode", "low", "Power Mode", "power_mode", "power-mode", "mode"),
    _switch("mining", "off", "mineroff", "btmineroff", "working"),
)
BY_KEY = {case.key: case for case in CASES}
IGNORED = "setting_ignored"
BOOT_IGNORED = f"{IGNORED}_fast_boot"
EVERYWHERE = {"mining", "fast_boot", "power_percent"}


@pytest.fixture
async def miner(profile: str, clock: RaceClock) -> AsyncGenerator[SimulatedMiner]:
    """A simulated miner, with port 4433 or without."""
    async with SimulatedMiner(
        profile.removesuffix(ONLY_4028),
        password=PASSWORD,
        v3_password=PASSWORD,
        v3_port=None if profile.endswith(ONLY_4028) else 0,
        clock=clock,
    ) as simulated:
        yield simulated


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a restart to begin."""
    monkeypatch.setattr("custom_components.whatsminer.commander.ABSENT_GRACE", 0.1)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the reading back after a second, which is 100 of the miner."""
    monkeypatch.setattr(
        "custom_components.whatsminer.controls.Command",
        lambda **options: Command(**options | {"deadline": 1.0}),
    )


@pytest.fixture
def assumed(hass: HomeAssistant, entity_id: Find) -> Callable[[str, str], bool]:
    """Return whether an entity says that its state is assumed."""

    def read(platform: str, key: str) -> bool:
        found = hass.states.get(entity_id(platform, key))
        assert found
        return bool(found.attributes.get(ATTR_ASSUMED_STATE, False))

    return read


def controls_of(hass: HomeAssistant, entry: MockConfigEntry) -> list[Case]:
    """Return the controls that this miner has and its firmware knows."""
    registry = {
        entity.unique_id.removeprefix(f"{entry.unique_id}_"): entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    return [
        case for case in CASES if registry.get(case.key, "").startswith(case.platform)
    ]


def test_every_control_is_listed() -> None:
    """A new control would not be tested here, or keep an old command although the miner reports another value."""
    assert BY_KEY.keys() == {control.key for control in CONTROLS}
    entities: tuple[ControlDescription[Any], ...] = (*SWITCHES, *NUMBERS, *SELECTS)
    assert BY_KEY.keys() == {entity.control.key for entity in entities}


def test_every_control_is_on_the_page() -> None:
    """A reader would not find what happens to a command whose effect is not reported."""
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    table = page.split("\n| Control | Counts as |")[1].split("\n\n")[0]
    cells = " ".join(row.split(" | ")[0] for row in table.splitlines())
    assert set(re.findall(r"`(\w+)`", cells)) >= BY_KEY.keys()


@pytest.mark.parametrize(
    "profile",
    [
        *SETTINGS,
        *(pytest.param(name, marks=pytest.mark.long) for name in FOREIGN_SETTINGS),
    ],
)
@pytest.mark.parametrize("is_reported", [True, False], ids=["reported", "hidden"])
async def test_every_control_with_and_without_its_field(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
    profile: str,
    is_reported: bool,
) -> None:
    """An owner would wait minutes for an error although the miner has obeyed."""
    # A mode that is neither acknowledged nor reported is unknown.
    is_mute = "set_low_power" in miner.profile.unanswered and not is_reported
    cases = [case for case in CASES if not (is_mute and case.key == "power_mode")]
    for case in () if is_reported else cases:
        for field in case.fields:
            miner.inject(f"hide={field}")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    clock.race()
    wanted = [
        case
        for case in controls_of(hass, entry)
        if case in cases and case.key not in REFUSED.get(profile, set())
    ]
    assert {case.key for case in wanted} >= EVERYWHERE
    if is_reported:  # then the limits of the entity are those of the miner
        limit = 50 * round(0.9 * miner.machine.power_limit_w / 50)
        possible = _number("power_limit", limit)
        wanted = [possible if case.key == possible.key else case for case in wanted]
    for case in wanted:
        clock.advance(3600)  # the last command may have restarted it
        await entry.runtime_data.coordinator.async_refresh_all()
        await call(case.platform, case.key, case.action, **case.data)
        assert state(case.platform, case.key) == case.choice, case.key
        assert is_reported or assumed(case.platform, case.key), case.key


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s@4028", "v2c_m60s"])
async def test_numbers_with_binary_dust(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """69.999993 would be shown as 69, and an owner read that a miner had ignored his 70."""
    miner.inject("float_dust")
    clock.race()
    for case in controls_of(hass, coordinator.config_entry):
        if case.platform == "number":
            clock.advance(3600)
            await coordinator.async_refresh_all()
            async with asyncio.timeout(20):
                await call(case.platform, case.key, case.action, **case.data)
            assert state(case.platform, case.key) == case.choice, case.key


@pytest.mark.parametrize("profile", ["v2c_m60s@4028", "v2c_m60s"])
async def test_a_percent_that_is_reached_minutes_later(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    hurried: None,
) -> None:
    """An owner would read that a miner had ignored what it is doing."""
    miner.machine.percent_follows = True
    clock.race()
    await call("number", "power_percent", "set_value", value=60)
    assert 60 < float(state("number", "power_percent")) < 100
    clock.advance(180)
    await coordinator.async_refresh_all()
    assert state("number", "power_percent") == "60"


LATE = {"fast_boot", "fast_hash", "upfreq_speed", "temperature_offset"}


def test_nothing_that_changes_the_power_waits_for_the_next_start() -> None:
    """A miner that ignores a command would mine on at full power and be shown as curtailed."""
    assert {control.key for control in CONTROLS if control.next_start} == LATE


@pytest.fixture
async def commanded_late(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
    caplog: pytest.LogCaptureFixture,
) -> list[Case]:
    """Set everything that the miner reports only from its next start on.

    An owner must not wait a minute for each: fresh answers show soon that it waits.
    """
    miner.machine.reports_at_start = True
    cases = [
        case for case in controls_of(hass, coordinator.config_entry) if case.key in LATE
    ]
    for case in cases:
        async with asyncio.timeout(20):
            await call(case.platform, case.key, case.action, **case.data)
        assert state(case.platform, case.key) == case.choice, case.key
        assert assumed(case.platform, case.key), case.key
    assert "restart the mining process to apply it" in caplog.text
    return cases


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s@4028", "v2c_m60s"])
async def test_settings_that_are_reported_from_the_next_start_on(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
    assumed: Callable[[str, str], bool],
    commanded_late: list[Case],
) -> None:
    """An owner would wait a minute for an error, and set again what the miner has stored."""
    assert "fast_boot" in {case.key for case in commanded_late}
    assert FAST_BOOT.actual(coordinator) is False, "percents may still restart it"
    assert await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    coordinator = coordinator.config_entry.runtime_data.coordinator
    for case in commanded_late:
        assert state(case.platform, case.key) == case.choice, "forgotten by a reload"
    miner.machine.restart()
    clock.advance(3600)
    await coordinator.async_refresh_all()
    for case in commanded_late:
        assert state(case.platform, case.key) == case.choice, case.key
    assert not coordinator.store.waiting
    assert not assumed("switch", "fast_boot")
    assert not issue(hass, BOOT_IGNORED, coordinator.config_entry)


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_a_setting_that_waits_while_the_run_is_not_known(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
) -> None:
    """An owner would read that a miner had ignored a setting, before it has started again."""
    clock.advance(3600)
    miner.machine.reports_at_start = True
    miner.inject("error_minus_1", "get.miner.status")
    await call("number", "upfreq_speed", "set_value", value=7)
    miner.clear_failures()
    await coordinator.async_refresh_all()
    assert coordinator.data.summary
    assert state("number", "upfreq_speed") == "7"
    assert not issue(hass, f"{IGNORED}_upfreq_speed", coordinator.config_entry)
    assert coordinator.store.waiting


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
async def test_a_setting_that_the_next_start_has_not_applied(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
) -> None:
    """A command that did nothing would be shown as done for ever."""
    entry = coordinator.config_entry
    for command in ("enable_btminer_fast_boot", "set.miner.fastboot"):
        miner.inject("answered_not_applied", command)
    await call("switch", "fast_boot", "turn_on")
    assert (state("switch", "fast_boot"), issue(hass, BOOT_IGNORED, entry)) == (
        "on",
        None,
    )
    miner.machine.restart()
    clock.advance(60)
    await coordinator.async_refresh_all()
    assert state("switch", "fast_boot") == "on", "it may not be read again yet"
    clock.advance(3600)
    await coordinator.async_refresh_all()
    assert state("switch", "fast_boot") == "off"
    assert not assumed("switch", "fast_boot")
    found = issue(hass, BOOT_IGNORED, entry)
    assert found
    assert found.translation_placeholders
    assert found.translation_placeholders["setting"] == "Fast boot"
    miner.clear_failures()
    await call("switch", "fast_boot", "turn_on")
    assert not issue(hass, BOOT_IGNORED, entry)


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_two_settings_that_the_next_start_has_not_applied(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
) -> None:
    """An owner would read of one of them only, and believe that the other one is applied."""
    entry = coordinator.config_entry
    speed_ignored = f"{IGNORED}_upfreq_speed"
    miner.inject("answered_not_applied", "set.miner.fastboot")
    miner.inject("answered_not_applied", "set.miner.upfreq_speed")
    await call("switch", "fast_boot", "turn_on")
    await call("number", "upfreq_speed", "set_value", value=7)
    miner.machine.restart()
    clock.advance(3600)
    await coordinator.async_refresh_all()
    for kind, name in ((BOOT_IGNORED, "Fast boot"), (speed_ignored, "Tuning speed")):
        found = issue(hass, kind, entry)
        assert found
        assert found.translation_placeholders
        assert found.translation_placeholders["setting"] == name
    miner.clear_failures()
    await call("number", "upfreq_speed", "set_value", value=8)
    assert not issue(hass, speed_ignored, entry)
    assert issue(hass, BOOT_IGNORED, entry), "it is not applied yet"


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_a_newer_value_of_a_setting_that_waits(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
    commanded_late: list[Case],
) -> None:
    """A value that the owner or another client has changed since would still be shown."""
    await call("switch", "fast_boot", "turn_off")
    assert (state("switch", "fast_boot"), assumed("switch", "fast_boot")) == (
        "off",
        False,
    )
    miner.machine.reports_at_start = False
    miner.machine.change(upfreq_speed=7)
    await coordinator.async_refresh_all()
    assert (state("number", "upfreq_speed"), assumed("number", "upfreq_speed")) == (
        "7",
        False,
    )


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50"])
async def test_a_limit_of_which_less_takes_effect(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    hurried: None,
) -> None:
    """A captured miner has 9758 W of the 10030 W that were set, and older firmware reports only the first."""
    miner.machine.limit_share = 0.973
    clock.race()
    await call("number", "power_limit", "set_value", value=3000)
    assert miner.machine.settings.power_limit_set == 3000
    assert state("number", "power_limit") == "2919"


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m56s", "v2c_m60s"])
@pytest.mark.parametrize("before", [None, 2500])
async def test_a_limit_above_all_that_the_miner_has(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    before: int | None,
) -> None:
    """An owner who lifts the limit would wait three minutes, for an error if there was none."""
    most = miner.machine.power_limit_w
    clock.race()
    if before:
        await call("number", "power_limit", "set_value", value=before)
        clock.advance(3600)
        await coordinator.async_refresh_all()
    async with asyncio.timeout(20):
        await call("number", "power_limit", "set_value", value=99_999)
    assert not miner.machine.settings.power_limit_set
    assert state("number", "power_limit") == str(most)


@pytest.mark.parametrize("profile", ["v204_m30sp", "v205_m50", "v2c_m60s@4028"])
async def test_a_limit_above_that_of_a_low_mode(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
) -> None:
    """An owner would wait three minutes for an error: the lower of both limits is reported."""
    limit = miner.machine.power_limit_w - 100
    clock.race()
    await call("select", "power_mode", "select_option", option="low")
    async with asyncio.timeout(20):
        await call("number", "power_limit", "set_value", value=limit)
    assert miner.machine.settings.power_limit_set == limit


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        ("v205_m50", "fast_boot"),
        ("v2c_m60s@4028", "power_percent"),
        ("v2c_m60s", "power_percent"),
        ("v2c_m60s", "web_pools"),
    ],
)
async def test_without_field_and_without_answer_is_unknown(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    """A command without an acknowledgement must not be shown as done."""
    monkeypatch.setattr("custom_components.whatsminer.api.transport.ANSWER_TIMEOUT", 1)
    case = BY_KEY[key]
    for field in case.fields:
        miner.inject(f"hide={field}")
    await coordinator.async_refresh_all()
    for name in (
        "enable_btminer_fast_boot",
        "set_power_pct_v2",
        "set.miner.power_percent",
        "set.system.webpools",
    ):
        miner.inject("applied_no_answer", name)
    with pytest.raises(HomeAssistantError) as error:
        await call(case.platform, key, case.action, **case.data)
    assert error.value.translation_key == "unknown_outcome"
    assert state(case.platform, key) == STATE_UNKNOWN


@pytest.mark.parametrize("profile", ["v2c_m60s@4028"])
async def test_a_field_that_appears_is_read(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
) -> None:
    """After a firmware update the miner reports the value, and that counts more than a memory."""
    miner.inject("hide=power_pct")
    await call("number", "power_percent", "set_value", value=70)
    assert (state("number", "power_percent"), assumed("number", "power_percent")) == (
        "70",
        True,
    )
    miner.clear_failures()
    miner.machine.set_percent(80, gentle=False)
    await coordinator.async_refresh_all()
    assert (state("number", "power_percent"), assumed("number", "power_percent")) == (
        "80",
        False,
    )
    miner.inject("hide=power_pct")
    await coordinator.async_refresh_all()
    assert state("number", "power_percent") == STATE_UNKNOWN, (
        "the 70 is long out of date"
    )


@pytest.mark.parametrize("profile", ["v205_m50"])
async def test_2_0_5_that_reports_its_percent(
    coordinator: WhatsminerCoordinator,
    call: Call,
    state: Show,
    assumed: Callable[[str, str], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The version says that a percent cannot be read; the miner that reports it knows better."""
    status_row = DialectV2.status_row
    monkeypatch.setattr(
        DialectV2,
        "status_row",
        lambda dialect: (
            status_row(dialect) | {"power_pct": dialect.machine.power_percent}
        ),
    )
    await coordinator.async_refresh_all()
    assert (state("number", "power_percent"), assumed("number", "power_percent")) == (
        "100",
        False,
    )
    await call("number", "power_percent", "set_value", value=70)
    assert (state("number", "power_percent"), assumed("number", "power_percent")) == (
        "70",
        False,
    )


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_percent_as_an_object(
    coordinator: WhatsminerCoordinator,
    call: Call,
    state: Show,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some firmware of API 3 reports an object; the command took effect all the same."""
    as_it_is = DialectV3.miner_setting

    def with_object(dialect: DialectV3) -> dict[str, Any]:
        row = as_it_is(dialect)
        return row | {"power-percent": {"percent": row["power-percent"]}}

    monkeypatch.setattr(DialectV3, "miner_setting", with_object)
    await coordinator.async_refresh_all()
    await call("number", "power_percent", "set_value", value=70)
    assert state("number", "power_percent") == "70"


@pytest.mark.parametrize("profile", ["v2c_m60s@4028"])
async def test_curtail_to_a_percent_without_its_field(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    entity_id: Find,
    state: Show,
) -> None:
    """A grid operator would get an error from a miner that has reduced its power."""
    miner.inject("hide=power_pct")
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
    assert miner.machine.power_percent == 60
    assert state("number", "power_percent") == "60"
    await hass.services.async_call(
        DOMAIN, "resume", {"device_id": device}, blocking=True
    )
    assert miner.machine.power_percent == 100


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_a_value_outside_the_range_is_not_shown(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    state: Show,
) -> None:
    """`target-freq` 720 is a frequency in MHz on some firmware, not 720 percent."""
    assert state("number", "target_frequency") == "0"
    miner.machine.change(target_freq=720)
    await coordinator.async_refresh_all()
    assert state("number", "target_frequency") == STATE_UNKNOWN


@pytest.mark.parametrize("profile", ["v2c_m60s"])
@pytest.mark.parametrize(
    ("action", "data", "field"),
    [
        ("set_coin_type", {"coin": "BCH"}, "cointype"),
        ("set_power", {"power": 3000}, "power"),
        ("set_random_delay", {"start": 5, "stop": 6}, "time-randomized"),
    ],
)
async def test_an_action_without_its_field(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    entity_id: Find,
    action: str,
    data: dict[str, Any],
    field: str,
) -> None:
    """An action would fail after a minute although the miner has obeyed."""
    miner.inject(f"hide={field}")
    device = er.async_get(hass).entities[entity_id("switch", "mining")].device_id
    async with asyncio.timeout(20):
        await hass.services.async_call(
            DOMAIN, action, {"device_id": device, **data}, blocking=True
        )

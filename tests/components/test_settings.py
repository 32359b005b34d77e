"""Settings: every one on every miner that has it, reported or assumed, and on no other."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from unittest.mock import PropertyMock

from homeassistant.const import (
    ATTR_ASSUMED_STATE,
    CONF_PASSWORD,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    EntityCategory,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.entity import WhatsminerControl
from simulator import FOREIGN, PROFILES, SimulatedMiner

from .conftest import PASSWORD, Call, Find, Poll, RaceClock, Show

TURN = {"on": ("turn_on", {}), "off": ("turn_off", {})}


@dataclass(frozen=True)
class Case:
    """A setting: what is chosen one after the other, and what the miner then has."""

    platform: str
    key: str
    field: str
    """Of the simulator's settings."""
    truths: dict[str, Any]
    """What is there afterwards, by the state that is chosen."""
    commands: frozenset[str]
    """What may be sent for it, in all dialects."""

    def action(self, choice: str) -> tuple[str, dict[str, Any]]:
        """The action of an automation that chooses it."""
        if self.platform == "switch":
            return TURN[choice]
        if self.platform == "number":
            return "set_value", {"value": float(choice)}
        return "select_option", {"option": choice}


def _switch(key: str, field: str, *commands: str) -> Case:
    return Case("switch", key, field, {"on": True, "off": False}, frozenset(commands))


CASES = (
    _switch(
        "web_pools",
        "web_pools",
        "enable_web_pools",
        "disable_web_pools",
        "set.system.webpools",
    ),
    _switch(
        "power_off_cool", "poweroff_cool", "set_poweroff_cool", "set.fan.poweroff_cool"
    ),
    _switch(
        "fan_zero_speed", "fan_zero_speed", "set_fan_zero_speed", "set.fan.zero_speed"
    ),
    _switch(
        "start_at_boot",
        "start_at_boot",
        "enable_btminer_init",
        "disable_btminer_init",
        "set.miner.service",
    ),
    _switch("fast_hash", "fast_hash", "set.miner.fast_hash"),
    Case(
        "number",
        "target_frequency",
        "target_freq",
        {"-10": -10, "0": 0, "-4": -4},
        frozenset({"set_target_freq", "set.miner.target_freq"}),
    ),
    Case(
        "number",
        "temperature_offset",
        "temp_offset",
        {"-30": -30, "-5": -5, "0": 0},
        frozenset({"set_temp_offset", "set.fan.temp_offset"}),
    ),
    Case(
        "number",
        "upfreq_speed",
        "upfreq_speed",
        {"9": 9, "0": 0, "5": 5},
        frozenset({"adjust_upfreq_speed", "set.miner.upfreq_speed"}),
    ),
    Case(
        "select",
        "heat_mode",
        "heat_mode",
        {"heating": "heating", "anti_freezing": "anti-freezing"},
        frozenset({"set_heat_mode", "set.miner.heat_mode"}),
    ),
)
KEYS = {case.key for case in CASES}

ONLY_4028 = "@4028"
"""Ends the profile of a miner whose port 4433 is closed: it is commanded as 2.2.x."""

OLD = {"web_pools", "target_frequency"}
AIR = {"power_off_cool", "fan_zero_speed", "temperature_offset"}
BOTH = OLD | {"start_at_boot", "upfreq_speed"}
SETTINGS = {
    "v1_m20s": OLD,
    "v204_m30sp": BOTH | AIR,
    "v205_m50": BOTH | AIR,
    "v205_m56s": BOTH | {"heat_mode"},
    "v2c_m60s": BOTH | AIR | {"fast_hash"},
    "v3_m7bs": BOTH | {"fast_hash", "heat_mode"},
    "v3_m64_bad": BOTH | {"heat_mode"},  # 3.0.1 has no fast hash yet
    f"v2c_m60s{ONLY_4028}": BOTH | AIR,
    f"v3_m7bs{ONLY_4028}": BOTH | {"heat_mode"},
}
"""Which settings a miner has (protocol.md#d1, #e6); a miner of API 3 is commanded on 4433."""

FOREIGN_SETTINGS = {
    "foreign_closing_v3": SETTINGS["v2c_m60s"],
    "foreign_words_v3": SETTINGS["v3_m7bs"],
    "foreign_short_status": SETTINGS["v205_m50"],
    "foreign_bare_codes": SETTINGS["v205_m50"],
}

REPORTED = {
    "v1_m20s": set(),
    "v204_m30sp": set(),
    "v205_m50": {"target_frequency"},
    "v205_m56s": {"target_frequency"},
    **dict.fromkeys(("v2c_m60s", "v3_m7bs", "v3_m64_bad"), KEYS - {"start_at_boot"}),
    f"v2c_m60s{ONLY_4028}": {"target_frequency", "upfreq_speed"},
    f"v3_m7bs{ONLY_4028}": {"target_frequency", "upfreq_speed"},
}
"""Which of them the miner itself reports (C, protocol.md#e5)."""

REFUSED = {"v204_m30sp": SETTINGS["v204_m30sp"] - OLD}
"""What the vendor's document of that API has, and early firmware of it has not (D)."""

WRITABLE = {
    profile: [case for case in CASES if case.key in keys - REFUSED.get(profile, set())]
    for profile, keys in SETTINGS.items()
    if keys - REFUSED.get(profile, set())
}
every_writable = pytest.mark.parametrize(("profile", "cases"), WRITABLE.items())


@pytest.fixture(autouse=True)
def _all_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable every setting; most are disabled by default. A hundred sensors would cost time."""
    enabled = PropertyMock(return_value=True)
    monkeypatch.setattr(
        WhatsminerControl, "entity_registry_enabled_default", enabled, raising=False
    )


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only a moment for an answer that does not come."""
    monkeypatch.setattr("custom_components.whatsminer.api.transport.ANSWER_TIMEOUT", 1)


def sent(miner: SimulatedMiner, case: Case) -> int:
    """How often the setting was commanded."""
    return sum(command.name in case.commands for command in miner.commands)


def test_every_profile_is_listed() -> None:
    """The settings of a new generation would not be tested."""
    assert set(SETTINGS) == set(REPORTED)
    assert {profile.removesuffix(ONLY_4028) for profile in SETTINGS} == set(PROFILES)
    assert set(FOREIGN_SETTINGS) == set(FOREIGN)


@pytest.mark.parametrize("profile", SETTINGS)
async def test_only_what_fits_the_miner_is_there(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    profile: str,
) -> None:
    """A switch for fans on a miner in water, or one the firmware never heard of, does nothing."""
    entry = coordinator.config_entry
    there = {
        entity.unique_id.removeprefix(f"{entry.unique_id}_"): entity
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if entity.domain != "sensor"
    }
    assert KEYS & set(there) == SETTINGS[profile]
    for key in SETTINGS[profile]:
        assert there[key].entity_category is EntityCategory.CONFIG
        state = hass.states.get(there[key].entity_id)
        assert state
        unknown = state.state == STATE_UNKNOWN
        if key not in REPORTED[profile]:
            assert unknown, f"{key}: the miner does not report it"
        assert state.attributes.get(ATTR_ASSUMED_STATE, False) is unknown, key


@every_writable
async def test_every_setting(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    cases: list[Case],
) -> None:
    """A setting that is shown and not active, or lost by a restart, misleads its owner."""
    clock.race()
    for case in cases:
        for number, (choice, truth) in enumerate(case.truths.items(), 1):
            action, data = case.action(choice)
            await call(case.platform, case.key, action, **data)
            assert getattr(miner.truth().settings, case.field) == truth, case.key
            assert state(case.platform, case.key) == choice, case.key
            assert sent(miner, case) == number, f"{case.key} sent more than once"
    shown = [state(case.platform, case.key) for case in cases]
    await hass.config_entries.async_reload(coordinator.config_entry.entry_id)
    await hass.async_block_till_done()
    assert [state(case.platform, case.key) for case in cases] == shown
    for case in cases:
        again = f"{case.key} sent again by a restart"
        assert sent(miner, case) == len(case.truths), again


@pytest.mark.parametrize("profile", REFUSED)
async def test_firmware_that_is_too_old_says_so(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    profile: str,
) -> None:
    """Without a word the owner tries again and again what this firmware never learnt."""
    for case in CASES:
        if case.key not in REFUSED[profile]:
            continue
        action, data = case.action(next(iter(case.truths)))
        with pytest.raises(HomeAssistantError) as error:
            await call(case.platform, case.key, action, **data)
        assert error.value.translation_key == "unsupported_command", case.key
        assert state(case.platform, case.key) == STATE_UNKNOWN, case.key
        assert sent(miner, case) == 1, case.key


@every_writable
async def test_a_refusal_changes_nothing(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    cases: list[Case],
) -> None:
    """What the miner refused must not be shown as if it were so."""
    for case in cases:
        before = state(case.platform, case.key)
        for command in case.commands:
            miner.refuse[command] = -2 if "." in command else 14
        choice = list(case.truths)[0 if before != list(case.truths)[0] else 1]
        action, data = case.action(choice)
        with pytest.raises(HomeAssistantError) as error:
            await call(case.platform, case.key, action, **data)
        assert error.value.translation_key == "unsupported_command", case.key
        assert state(case.platform, case.key) == before, case.key
        assert sent(miner, case) <= 1, case.key


SILENT = [
    pytest.param(profile, case, id=f"{profile}-{case.key}")
    for profile, key in (("v205_m50", "power_off_cool"), ("v3_m7bs", "start_at_boot"))
    for case in WRITABLE[profile]
    if case.key == key
]


@pytest.mark.parametrize(("profile", "case"), SILENT)
@pytest.mark.usefixtures("impatient")
async def test_unknown_outcome_of_what_is_told_by_nobody(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    case: Case,
) -> None:
    """Without an answer and without a way to ask, the state must stay unknown, not be guessed."""
    for command in case.commands:
        miner.inject("applied_no_answer", command)
    with pytest.raises(HomeAssistantError) as error:
        await call(case.platform, case.key, "turn_on")
    assert error.value.translation_key == "unknown_outcome"
    assert state(case.platform, case.key) == STATE_UNKNOWN
    assert sent(miner, case) == 1


@pytest.mark.parametrize("profile", ["v2c_m60s"])
@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.key)
@pytest.mark.usefixtures("impatient")
async def test_a_lost_answer_is_settled_by_reading_back(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    case: Case,
) -> None:
    """A setting that took effect silently is neither a failure nor to be sent again."""
    clock.race()
    for choice, truth in reversed(case.truths.items()):
        for command in case.commands:
            miner.inject("applied_no_answer", command, times=1)
        await call(case.platform, case.key, case.action(choice)[0])
        assert getattr(miner.truth().settings, case.field) == truth
        assert state(case.platform, case.key) == choice
    assert sent(miner, case) == 2


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_what_others_set_is_seen(
    miner: SimulatedMiner, state: Show, poll: Poll, coordinator: WhatsminerCoordinator
) -> None:
    """A setting that was changed by the vendor's tool must not be shown as it was before."""
    assert state("switch", "web_pools") == "on"
    assert state("number", "temperature_offset") == "0"
    miner.machine.change(web_pools=False, temp_offset=-7)
    for _ in range(10):
        await poll()
    assert state("switch", "web_pools") == "off"
    assert state("number", "temperature_offset") == "-7"


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_not_told_is_unknown(
    miner: SimulatedMiner, state: Show, poll: Poll, coordinator: WhatsminerCoordinator
) -> None:
    """A value that the miner no longer reports must not be shown any longer."""
    miner.inject("no_fields", "get.fan.setting")
    for _ in range(10):
        await poll()
    assert state("switch", "power_off_cool") == STATE_UNKNOWN
    assert state("number", "temperature_offset") == STATE_UNKNOWN
    assert state("switch", "web_pools") == "on"
    miner.inject("refuse")
    for _ in range(2):
        await poll()
    assert state("switch", "web_pools") == STATE_UNAVAILABLE


@pytest.mark.parametrize(
    ("profile", "key", "bounds"),
    [
        ("v1_m20s", "target_frequency", (-10, 0)),
        ("v205_m50", "target_frequency", (-100, 0)),
        ("v205_m56s", "target_frequency", (-100, 100)),
        ("v205_m50", "temperature_offset", (-30, 0)),
        ("v205_m50", "upfreq_speed", (0, 9)),
        ("v2c_m60s", "upfreq_speed", (0, 10)),
    ],
)
async def test_bounds_are_those_of_the_miner(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    entity_id: Find,
    call: Call,
    key: str,
    bounds: tuple[int, int],
) -> None:
    """A slider that ends elsewhere offers what the miner refuses, or keeps back what it can."""
    state = hass.states.get(entity_id("number", key))
    assert state
    assert (state.attributes["min"], state.attributes["max"]) == bounds
    for beyond in (bounds[0] - 1, bounds[1] + 1):
        with pytest.raises(ServiceValidationError):
            await call("number", key, "set_value", value=beyond)
    assert not {
        command.name
        for command in miner.commands
        for case in CASES
        if case.key == key and command.name in case.commands
    }


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_a_difference_is_no_temperature(
    hass: HomeAssistant, entry: MockConfigEntry, miner: SimulatedMiner, call: Call
) -> None:
    """In Fahrenheit 0 °C of difference is 0 °F, not 32."""
    hass.config.units = US_CUSTOMARY_SYSTEM
    miner.machine.change(temp_offset=-10)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    found = er.async_get(hass).async_get_entity_id(
        "number", DOMAIN, f"{entry.unique_id}_temperature_offset"
    )
    state = hass.states.get(found or "")
    assert state
    shown = float(state.state)
    assert shown == (-18 if state.attributes["unit_of_measurement"] == "°F" else -10)


@pytest.fixture
def credentials(
    request: pytest.FixtureRequest, credentials: dict[str, Any]
) -> dict[str, Any]:
    """What the entry knows of passwords; a test may say otherwise."""
    return getattr(request, "param", credentials)


@pytest.mark.parametrize("profile", ["v3_m7bs"])
@pytest.mark.parametrize("credentials", [{CONF_PASSWORD: PASSWORD}], indirect=True)
async def test_by_the_admin_api_3_can_what_4028_can(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    entity_id: Find,
    call: Call,
    state: Show,
) -> None:
    """What only an account of API 3 can choose is shown, and not offered before it is so."""
    clock.race()
    mode = hass.states.get(entity_id("select", "heat_mode"))
    assert mode
    assert mode.state == "normal"
    assert mode.attributes["options"] == ["heating", "anti_freezing", "normal"]
    with pytest.raises(ServiceValidationError) as error:
        await call("select", "heat_mode", "select_option", option="normal")
    assert error.value.translation_key == "invalid_choice"
    assert "must be one of heating, anti_freezing, not normal" in str(error.value)
    await call("select", "heat_mode", "select_option", option="heating")
    assert miner.truth().settings.heat_mode == "heating"
    assert state("select", "heat_mode") == "heating"
    mode = hass.states.get(entity_id("select", "heat_mode"))
    assert mode
    assert mode.attributes["options"] == ["heating", "anti_freezing"]
    with pytest.raises(ServiceValidationError):
        await call("select", "heat_mode", "select_option", option="normal")


@pytest.mark.parametrize("password", [None])
@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
async def test_no_settings_without_a_password(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator
) -> None:
    """A setting that cannot be changed is no control."""
    entry = coordinator.config_entry
    there = {
        entity.unique_id.removeprefix(f"{entry.unique_id}_")
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if entity.domain != "sensor"
    }
    assert not KEYS & there


@pytest.mark.parametrize(
    ("profile", "reset", "command", "code"),
    [
        ("v2c_m60s", "restore_settings", "set.miner.restore_setting", -1),
        ("v205_m50", "factory_reset", "factory_reset", 132),
    ],
)
async def test_a_reset_is_known_to_have_taken_them_back(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    call: Call,
    state: Show,
    entity_id: Find,
    monkeypatch: pytest.MonkeyPatch,
    reset: str,
    command: str,
    code: int,
) -> None:
    """A value that was assumed before a reset is certainly wrong after it."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.INTERVAL", 0.02
    )
    clock.rate = 300
    clock.race()
    await call("switch", "start_at_boot", "turn_off")
    assert state("switch", "start_at_boot") == "off"
    device = er.async_get(hass).entities[entity_id("switch", "start_at_boot")].device_id
    data = {"device_id": device, "confirm": True}
    miner.refuse[command] = code
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(DOMAIN, reset, data, blocking=True)
    assert state("switch", "start_at_boot") == "off", "refused, so nothing has changed"
    miner.refuse.clear()
    await hass.services.async_call(DOMAIN, reset, data, blocking=True)
    assert miner.truth().settings.start_at_boot
    assert state("switch", "start_at_boot") == STATE_UNKNOWN


@pytest.mark.parametrize(
    ("profile", "command"),
    [
        ("v205_m50", "set_power_pct_v2"),
        (f"v2c_m60s{ONLY_4028}", "restore_power_pct"),
        ("v2c_m60s", "set.miner.power_percent"),
    ],
)
async def test_full_power_is_given_back(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    command: str,
) -> None:
    """A miner that is held back after 100 % was chosen earns less than it could."""
    await call("number", "power_percent", "set_value", value=60)
    assert miner.machine.power_percent == 60
    miner.commands.clear()
    await call("number", "power_percent", "set_value", value=100)
    assert miner.machine.power_percent in (None, 100)
    assert state("number", "power_percent") == "100"
    percents = {"set_power_pct_v2", "restore_power_pct", "set.miner.power_percent"}
    assert [sent.name for sent in miner.commands if sent.name in percents] == [command]

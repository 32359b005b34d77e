"""Faults: each is reported once, as text and with its time; some create a repair issue that says what to do."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.whatsminer.api.fault_codes import UNKNOWN, fault_text
from custom_components.whatsminer.const import DOMAIN, SCAN_INTERVAL, SLOW_EVERY
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.faults import (
    PERSISTS,
    REMEDIES,
    FaultType,
    fault_type,
    posix_zone,
)
from simulator import PROFILES, SimulatedMiner

from .conftest import Find, RaceClock, Show, issue
from .test_texts import load

type Pass = Callable[[timedelta], Awaitable[None]]
type Restart = Callable[[], Awaitable[None]]

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
SLOW = SCAN_INTERVAL * (SLOW_EVERY + 1)

pytestmark = pytest.mark.usefixtures("coordinator")


@pytest.fixture
async def events(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entity_id: Find
) -> list[State]:
    """Return a list of the events that an automation receives."""
    seen: list[State] = []
    times: set[str] = set()

    def note(event: Event[EventStateChangedData]) -> None:
        new = event.data["new_state"]
        # The state is the time of the event; after a restart the last one is shown again.
        if new and "code" in new.attributes and new.state not in times:
            times.add(new.state)
            seen.append(new)

    async_track_state_change_event(hass, entity_id("event", "fault"), note)
    return seen


@pytest.fixture
def codes(events: list[State]) -> Callable[[], list[int]]:
    """Return a function that returns the codes of the events since its last call."""

    def take() -> list[int]:
        taken = [state.attributes["code"] for state in events]
        events.clear()
        return taken

    return take


@pytest.fixture
def after(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, clock: RaceClock
) -> Pass:
    """Return a function that lets time pass, poll by poll."""

    async def run(time: timedelta) -> None:
        for _ in range(round(time / SCAN_INTERVAL)):
            freezer.tick(SCAN_INTERVAL * 1.02)
            clock.advance(SCAN_INTERVAL.total_seconds() * 1.02)
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)

    return run


@pytest.fixture
def restart(hass: HomeAssistant, entry: MockConfigEntry) -> Restart:
    """Return a function that sets up the entry again, like a restart of Home Assistant."""

    async def run() -> None:
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()

    return run


# The event


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(
            profile,
            # Each answers in the dialect of another one.
            marks=[pytest.mark.long] if profile in {"v205_m56s", "v3_m64_bad"} else [],
        )
        for profile in PROFILES
    ],
)
async def test_a_fault_is_reported_once(
    miner: SimulatedMiner,
    codes: Callable[[], list[int]],
    events: list[State],
    state: Show,
    after: Pass,
) -> None:
    """A user would miss a fault, or get so many events that they are ignored."""
    assert state("event", "fault") == STATE_UNKNOWN
    miner.set_errors([110])
    await after(SLOW)
    (event,) = events
    assert event.attributes["event_type"] == "fan"
    assert event.attributes["text"].startswith("Intake fan speed wrong")
    assert codes() == [110]
    assert state("sensor", "fault").startswith("110: Intake fan speed wrong")
    assert state("binary_sensor", "problem") == STATE_ON
    await after(SLOW)
    assert codes() == [], "reported again while it lasts"
    miner.set_errors([110, 2010, 541])
    await after(SLOW)
    assert sorted(codes()) == [541, 2010], "only those that are new"
    miner.set_errors([])
    await after(SLOW)
    assert codes() == []
    assert state("sensor", "fault") == "none"
    assert state("binary_sensor", "problem") == STATE_OFF
    miner.set_errors([110])
    await after(SLOW)
    assert codes() == [110], "it came back"


async def test_one_entry_of_the_miner_is_reported_once(
    miner: SimulatedMiner, codes: Callable[[], list[int]], after: Pass
) -> None:
    """The same entry that disappears and reappears, as on old firmware, would be reported as a new fault."""
    miner.set_errors([110])
    noted = dict(miner.machine.errors)
    await after(SLOW)
    assert codes() == [110]
    miner.set_errors([])
    await after(SLOW)
    miner.machine.errors.update(noted)
    await after(SLOW)
    assert codes() == []


async def test_known_faults_are_not_reported_after_a_restart(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    codes: Callable[[], list[int]],
    state: Show,
    after: Pass,
    restart: Restart,
) -> None:
    """Each restart of Home Assistant would notify the user of known faults."""
    miner.set_errors([110])
    await after(SLOW)
    assert codes() == [110]
    reported = state("event", "fault")
    await restart()
    await after(SLOW)
    assert codes() == []
    assert state("event", "fault") == reported
    # A fault that appeared while Home Assistant was not running is reported.
    await hass.config_entries.async_unload(entry.entry_id)
    miner.set_errors([110, 541])
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert codes() == [541]


async def test_a_list_that_fails_is_no_end_of_a_fault(
    miner: SimulatedMiner,
    codes: Callable[[], list[int]],
    state: Show,
    after: Pass,
) -> None:
    """After a lost answer, the same fault would be reported again."""
    miner.set_errors([541])
    await after(SLOW)
    assert codes() == [541]
    miner.inject("close", "get_error_code")
    await after(SLOW)
    assert state("sensor", "fault") == "unavailable"
    miner.clear_failures()
    await after(SLOW)
    assert state("sensor", "fault").startswith("541")
    assert codes() == []


@pytest.mark.parametrize("profile", ["v3_m7bs"])
@pytest.mark.parametrize("zone", ["CST-8", "EST5", "nonsense"])
async def test_the_time_is_that_of_the_miners_own_log(
    miner: SimulatedMiner,
    events: list[State],
    after: Pass,
    zone: str,
) -> None:
    """With the wrong time zone, a user would search at the wrong place in the log."""
    miner.machine.change(timezone=zone)
    if zone != "nonsense":
        miner.machine.timezone = zone
    await after(SLOW)
    miner.set_errors([110])
    (noted,) = miner.machine.errors.values()
    await after(SLOW)
    (event,) = events
    if zone == "nonsense":
        assert event.attributes["time"] is None
        return
    reported = datetime.fromisoformat(event.attributes["time"])
    assert reported.tzinfo == UTC
    written = miner.time.local(noted, 0)
    assert abs(reported - datetime.fromisoformat(f"{written}+00:00")) < timedelta(
        minutes=1
    )


async def test_a_time_without_a_zone_is_no_time(
    miner: SimulatedMiner, events: list[State], after: Pass
) -> None:
    """A miner up to 2.2 does not report its time zone; a guessed time would be wrong by hours."""
    miner.set_errors([110])
    await after(SLOW)
    (event,) = events
    assert event.attributes["time"] is None


@pytest.mark.parametrize("profile", ["v3_m7bs"])
@pytest.mark.parametrize(("zone", "format_"), [("EST5", None), ("CST-8", "unix_times")])
async def test_an_impossible_time_is_unknown(
    miner: SimulatedMiner,
    events: list[State],
    after: Pass,
    zone: str,
    format_: str | None,
) -> None:
    """A fault would seem to appear thirteen hours from now, or in 1970."""
    miner.machine.change(timezone=zone)  # not the one that its log is written in
    if format_:
        miner.inject(format_)
    await after(SLOW)
    miner.set_errors([110])
    await after(SLOW)
    (event,) = events
    assert event.attributes["time"] is None


def test_zones() -> None:
    """Summer time, half-hour zones or invalid text would give a wrong time."""
    winter, summer = datetime(2026, 1, 5, 12), datetime(2026, 7, 5, 12)

    def hours(text: str, time: datetime) -> float:
        zone = posix_zone(text)
        assert zone
        offset = time.replace(tzinfo=zone).utcoffset()
        assert offset is not None
        return offset / timedelta(hours=1)

    assert hours("CST-8", winter) == hours("CST-8", summer) == 8
    assert hours("CET-1CEST,M3.5.0,M10.5.0/3", winter) == 1
    assert hours("CET-1CEST,M3.5.0,M10.5.0/3", summer) == 2
    assert hours("<+0330>-3:30", summer) == 3.5
    assert hours("EST5", summer) == -5
    for rubbish in ("", "8", "CST", "CST-99", "Asia/Shanghai", "Ü-8"):
        zone = posix_zone(rubbish)
        assert rubbish == "" or zone is None, rubbish


# The table


def table() -> dict[int, str]:
    """Return every code in protocol.md#f2 of the page, with its part of the table."""
    rows = PAGE.read_text().split("## F.2 Table", 1)[1].split("\n# G.", 1)[0]
    found: dict[int, str] = {}
    part = ""
    for row in re.findall(r"^\| (.+?) \| ?(.*?) ?\|$", rows, re.MULTILINE):
        if heading := re.fullmatch(r"\*\*(.+)\*\*", row[0]):
            part = heading[1]
        elif part:
            for first, last in re.findall(r"\b(\d[\dn]+)(?:-(\d+))?(?!\w)", row[0]):
                low = first.replace("n", "0")
                for code in range(int(low), int(last or low) + 1):
                    found[code] = part
    return found


PARTS = {
    "Fans": {"fan"},
    "Power supply": {"power_supply"},
    "Temperature": {"temperature"},
    "EEPROM": {"board"},
    "Boards": {"board"},
    "Surroundings": {"temperature"},
    "Control board": {"control_board"},
    "Checksums": {"software", "other"},
    "Pools": {"pool"},
    "Hashrate": {"hashrate"},
    "Chips, voltage, coolant": {"chip"},
    "Software, data, factory": {"software", "other"},
}
UNNAMED = {900, 902, 9999}
"""The codes that the page calls unknown."""


def test_every_code_of_the_page_has_a_text_and_a_type() -> None:
    """A user would see only the number of a fault and have to search for it."""
    codes = table()
    assert len(codes) > 150
    assert set(codes.values()) == set(PARTS)
    for code, part in codes.items():
        assert fault_type(code) in PARTS[part], code
        assert (fault_text(code) == UNKNOWN) is (code in UNNAMED), code
    assert fault_type(4_711_000) is FaultType.OTHER
    assert fault_type(520_123) is FaultType.CHIP


async def test_every_code_shows(
    miner: SimulatedMiner, events: list[State], state: Show, after: Pass
) -> None:
    """Sensor and event would have different texts for the same fault."""
    codes = sorted(table())
    for code in codes[:: len(codes) // 8]:
        miner.set_errors([code])
        await after(SLOW)
        (event,) = events
        assert state("sensor", "fault") == f"{code}: {event.attributes['text']}"
        assert event.attributes["text"] == fault_text(code)
        assert event.attributes["event_type"] == fault_type(code)
        assert state("binary_sensor", "problem") == STATE_ON
        events.clear()


# What to do about it


@pytest.fixture
def in_repairs(hass: HomeAssistant, entity_id: Find) -> Callable[[], bool]:
    """Return what the dashboard shows the link to the repairs by."""

    def read() -> bool:
        state = hass.states.get(entity_id("binary_sensor", "problem"))
        assert state
        return bool(state.attributes["repair"])

    return read


@pytest.mark.parametrize(
    ("profile", "code", "kind"),
    [
        ("v1_m20s", 110, "fault_fans"),
        ("v205_m50", 600, "fault_heat"),
        ("v205_m50", 350, "fault_heat"),
        ("v3_m7bs", 5071, "fault_heat"),
        ("v205_m50", 206, "fault_mains"),
        ("v205_m50", 713, "fault_network"),
        ("v205_m50", 2010, "fault_pool"),
        ("v3_m7bs", 2021, "fault_pool"),
    ],
)
async def test_what_stays_becomes_an_issue(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    after: Pass,
    restart: Restart,
    in_repairs: Callable[[], bool],
    code: int,
    kind: str,
) -> None:
    """A user who does not learn what to do would leave the fault until the miner breaks."""
    miner.set_errors([code, 9010])
    await after(PERSISTS / 2)
    assert not issue(hass, kind, entry), (
        "faults of mains and pools disappear without an action of the user"
    )
    await after(PERSISTS)
    found = issue(hass, kind, entry)
    assert found
    assert found.translation_placeholders
    assert found.translation_placeholders["faults"].startswith(f"{code}: ")
    assert "9010" not in found.translation_placeholders["faults"]
    assert [other for other in REMEDIES if issue(hass, other, entry)] == [kind]
    assert in_repairs() is True, "the dashboard has no link to it"
    await restart()
    assert issue(hass, kind, entry), "lost by a restart"
    miner.set_errors([9010])
    await after(SLOW)
    assert not issue(hass, kind, entry)


async def test_fault_without_a_remedy_creates_no_issue(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    after: Pass,
    in_repairs: Callable[[], bool],
) -> None:
    """Advice that does not help would make users ignore all advice."""
    miner.set_errors([541, 9010, 800, 2310])
    await after(PERSISTS * 2)
    assert in_repairs() is False, "the dashboard has a link that leads nowhere"
    assert not [kind for kind in REMEDIES if issue(hass, kind, entry)]


async def test_an_issue_names_a_few_and_goes_with_the_entry(
    hass: HomeAssistant, miner: SimulatedMiner, entry: MockConfigEntry, after: Pass
) -> None:
    """A user would not read a long list of codes, and the issue of a removed miner would stay forever."""
    miner.set_errors([2000, 2010, 2020, 2021, 2022, 2030, 2040])
    await after(PERSISTS * 2)
    found = issue(hass, "fault_pool", entry)
    assert found
    assert found.translation_placeholders
    named = found.translation_placeholders["faults"].split("; ")
    assert len(named) == 6
    assert named[-1] == "…"
    await hass.config_entries.async_remove(entry.entry_id)
    assert not issue(hass, "fault_pool", entry)


def test_every_issue_says_what_to_do() -> None:
    """An issue that only repeats the fault would not help."""
    texts: dict[str, Any] = load("translations/en.json")["issues"]
    assert {kind for kind in texts if kind.startswith("fault_")} == set(REMEDIES)
    for kind in REMEDIES:
        text = texts[kind]["description"]
        assert set(re.findall(r"{(\w+)}", text)) == {"name", "host", "faults"}
        assert len(text.split("\n\n")[1]) > 100, kind
        assert "{name}" in texts[kind]["title"]
    kinds = list(REMEDIES.values())
    assert len(frozenset().union(*kinds)) == sum(map(len, kinds)), "in two issues"


def test_every_type_and_attribute_has_a_name() -> None:
    """The automation editor would show keys instead of texts."""
    texts = load("translations/en.json")["entity"]["event"]["fault"]["state_attributes"]
    assert set(texts["event_type"]["state"]) == {kind.value for kind in FaultType}
    assert set(texts) == {"event_type", "code", "text", "time"}


async def test_what_is_remembered_of_faults_does_not_grow(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    after: Pass,
    restart: Restart,
    hass_storage: dict[str, Any],
) -> None:
    """A faulty board with new codes every hour would fill the disk over the years."""
    for number in range(4):
        miner.set_errors([520_000 + 80 * number + chip for chip in range(80)])
        await after(SLOW)
    await restart()
    stored = hass_storage[f"{DOMAIN}.{coordinator.config_entry.entry_id}"]["data"]
    assert len(stored["faults"]) == 100 + 80
    assert stored["faults"]["520240"]["since"]
    assert not stored["faults"]["520239"]["since"]

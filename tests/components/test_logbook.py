"""The logbook of a miner: who changed its power, how, and until when."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
import re
from typing import Any

from homeassistant.components.recorder import Recorder
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import (
    async_get_cached_translations,
    async_load_integrations,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.whatsminer import logbook
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.group.heater import FEWER
from custom_components.whatsminer.logbook import (
    Texts,
    async_describe_events,
    describe,
    describe_group,
)
from custom_components.whatsminer.money.limits import PRICE_UNKNOWN
from custom_components.whatsminer.money.plan import Reason
from custom_components.whatsminer.power.executor import EVENT_DECISION
from custom_components.whatsminer.power.record import Target

from .conftest import Act, RaceClock


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Prepare the database of the recorder, which must be there before Home Assistant."""


SOURCE = Path(logbook.__file__).read_text()
EVENT = {
    "decided_by": "curtailment",
    "reason": "Electricity price",
    "target": "stop",
    "amount": None,
    "until": None,
    "again": False,
    "off_by_user": False,
}


@pytest.fixture
async def texts(hass: HomeAssistant) -> Texts:
    """The texts of a home where people speak German."""
    hass.config.language = "de"
    hass.config.components.add(DOMAIN)
    await async_load_integrations(hass, {DOMAIN})
    return Texts(hass)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "gestoppt: Electricity price"),
        ({"reason": None}, "gestoppt"),
        (
            {"again": True},
            "lief von selbst an und wurde wieder gestoppt: Electricity price",
        ),
        (
            {"target": "percent", "amount": 60},
            "auf 60 % begrenzt: Electricity price",
        ),
        (
            {"target": "percent", "amount": 60, "again": True},
            "nahm zu viel auf und wurde wieder auf 60 % begrenzt: Electricity price",
        ),
        (
            {"target": "power", "amount": 2000},
            "auf 2000 W begrenzt: Electricity price",
        ),
        (
            {"target": "power", "amount": 2000, "reason": None, "again": True},
            "nahm zu viel auf und wurde wieder auf 2000 W begrenzt",
        ),
        (
            {"decided_by": "baseline", "target": None, "reason": None},
            "Abregelung aufgehoben",
        ),
        (
            {"decided_by": "baseline", "was_source": True},
            "deine Einstellungen gelten wieder",
        ),
        (
            {"decided_by": "baseline", "off_by_user": True},
            "aus, von einem Benutzer ausgeschaltet",
        ),
    ],
)
async def test_curtailments(texts: Texts, changes: dict[str, Any], text: str) -> None:
    """The owner would not learn why the miner is off, or only in English."""
    assert describe({**EVENT, **changes}, texts) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"decided_by": "manual"}, "Leistung bestimmt durch: Zielleistung"),
        ({"decided_by": "external"}, "Leistung bestimmt durch: Extern"),
        ({"decided_by": "group", "percent": 60}, "60 %: Gruppe"),
        (
            {
                "decided_by": "most_profitable",
                "percent": 0,
                "why": "price",
                "price": 0.21234,
            },
            "gestoppt: Höchster Gewinn, 0.2123 pro kWh",
        ),
        (
            {"decided_by": "most_profitable", "percent": 100, "why": PRICE_UNKNOWN},
            "100 %: Höchster Gewinn, Strompreis unbekannt",
        ),
        ({"decided_by": "plan", "percent": 100}, "100 %: Plan"),
        (
            {"decided_by": "plan", "percent": 100, "why": "wish", "price": 0.1},
            "100 %: Plan, Stunden pro Tag wie eingestellt, 0.1 pro kWh",
        ),
        (
            {
                "decided_by": "thermostat",
                "percent": 0,
                "why": "too_hot",
                "why_of": "heating_status",
            },
            "gestoppt: Thermostat, Harte Grenze erreicht",
        ),
        (
            {
                "decided_by": "group",
                "percent": 0,
                "why": "waiting",
                "why_of": "group_status",
            },
            "gestoppt: Gruppe, Wartet auf Überschuss",
        ),
        (
            {"decided_by": "group", "percent": 0, "why": "fewer_miners"},
            "gestoppt: Gruppe, weniger Miner genügen",
        ),
        (
            {"decided_by": "curtailment", "target": "stop", "reason": "my_own words"},
            "gestoppt: my_own words",
        ),
    ],
)
async def test_sources_have_their_names(
    hass: HomeAssistant, texts: Texts, changes: dict[str, Any], text: str
) -> None:
    """The logbook would name a power source otherwise than the rest of the page."""
    described: dict[str, Callable[[Event], dict[str, str]]] = {}
    async_describe_events(hass, lambda _, event, line: described.update({event: line}))
    data = {**EVENT, "target": None, "reason": None, "name": "Miner", **changes}
    line = described[EVENT_DECISION](Event(EVENT_DECISION, data))
    assert line == {"name": "Miner", "message": text}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "1600 W weniger angefordert von Ann: grid call"),
        (
            {"by": "automation", "reason": None},
            "1600 W weniger angefordert von einer Automation",
        ),
        (
            {"ended": "2026-11-29T10:15:00+00:00", "delivered": {10: 900, 60: 1500.4}},
            "Abregelung beendet, 1500 W weniger geliefert: grid call",
        ),
        (
            {"ended": "2026-11-29T10:15:00+00:00", "reason": None},
            "Abregelung beendet",
        ),
    ],
)
async def test_groups(texts: Texts, changes: dict[str, Any], text: str) -> None:
    """The owner of a group would not learn what a grid operator requested."""
    event = {"by": "Ann", "requested": 1600, "reason": "grid call", "delivered": {}}
    assert describe_group({**event, "ended": None, **changes}, texts) == text


@pytest.mark.parametrize("reason", [*Reason, PRICE_UNKNOWN])
async def test_every_reason_has_a_text(texts: Texts, reason: str) -> None:
    """The logbook would show the key of a reason."""
    data = {**EVENT, "decided_by": "plan", "target": None, "percent": 100}
    line = describe({**data, "why": reason, "price": 0.1}, texts)
    assert line.startswith("100 %: Plan, ")
    assert "why_" not in line


async def test_no_text_is_left_over(texts: Texts) -> None:
    """Translators would work on a text that nobody sees."""
    targets = {target + again for target in Target for again in ("", "_again")}
    reasons = {f"why_{reason}" for reason in (*Reason, PRICE_UNKNOWN, FEWER.why)}
    called = set(re.findall(r'texts\(\s*"(\w+)"', SOURCE))
    called |= {"your_settings", "resumed"}
    prefix = logbook.COMMON
    found = async_get_cached_translations(texts.hass, "de", "common", DOMAIN)
    known = {key.removeprefix(prefix) for key in found if key.startswith(prefix)}
    assert known == called | targets | reasons - {"why_price"}


async def test_time_is_local_and_has_a_date_if_needed(texts: Texts) -> None:
    """A time in UTC, or one of tomorrow without its date, would be read wrongly."""
    today = dt_util.now().replace(hour=20, minute=0)
    for when, shown in (
        (today, "20:00"),
        (today + timedelta(days=1), f"{today + timedelta(days=1):%Y-%m-%d} 20:00"),
    ):
        until = dt_util.as_utc(when).isoformat()
        expected = f"gestoppt: Electricity price, bis {shown}"
        assert describe({**EVENT, "until": until}, texts) == expected


async def test_logbook_of_the_device(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    clock: RaceClock,
    act: Act,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The page of the device would say only that a sensor changed, or repeat a line after each restart."""
    start = dt_util.utcnow() - timedelta(minutes=1)
    hass.config.components.add("frontend")  # its files are not installed here
    assert await async_setup_component(hass, "logbook", {})
    await hass.async_block_till_done()
    clock.rate = 1000
    clock.race()
    await act("curtail", target="stop", reason="Electricity price")
    for _ in range(2):  # the second reads what the first has stored
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
    await act("resume")
    clock.stop()
    await async_wait_recording_done(hass)
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    client = await hass_ws_client()
    await client.send_json(
        {
            "id": 1,
            "type": "logbook/get_events",
            "start_time": start.isoformat(),
            "device_ids": [device.id],
        }
    )
    response = await client.receive_json()
    found = [line for line in response["result"] if line.get("domain") == "whatsminer"]
    assert [(line["name"], line["message"]) for line in found] == [
        (entry.title, "stopped: Electricity price"),
        (entry.title, "resumed"),
    ]

"""The logbook of a miner: who changed its power, how, and until when."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from homeassistant.components.recorder import Recorder
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.logbook import async_describe_events, describe
from custom_components.whatsminer.power.executor import EVENT_DECISION

from .conftest import Act, RaceClock


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Prepare the database of the recorder, which must be there before Home Assistant."""


EVENT = {
    "decided_by": "curtailment",
    "reason": "Electricity price",
    "target": "stop",
    "amount": None,
    "until": None,
    "again": False,
    "off_by_user": False,
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "stopped: Electricity price"),
        ({"reason": None}, "stopped"),
        (
            {"again": True},
            "started on its own and was stopped again: Electricity price",
        ),
        (
            {"target": "percent", "amount": 60},
            "limited to 60 %: Electricity price",
        ),
        (
            {"target": "power", "amount": 2000, "reason": None, "again": True},
            "drew too much and was limited to 2000 W again",
        ),
        ({"decided_by": "baseline", "target": None, "reason": None}, "resumed"),
        ({"decided_by": "baseline", "off_by_user": True}, "off, as a user switched it"),
    ],
)
def test_texts(changes: dict[str, Any], text: str) -> None:
    """The owner would not learn why the miner is off."""
    assert describe({**EVENT, **changes}, lambda _, state: state) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"decided_by": "manual"}, "power set by: Zielleistung"),
        ({"decided_by": "external"}, "power set by: Extern"),
        ({"decided_by": "group", "percent": 60}, "60 %: Gruppe"),
        (
            {"decided_by": "most_profitable", "percent": 0, "why": "0.2 per kWh"},
            "stopped: Höchster Gewinn, 0.2 per kWh",
        ),
        ({"decided_by": "plan", "percent": 100}, "100 %: Plan"),
        (
            {"decided_by": "thermostat", "percent": 0, "why": "too_hot"},
            "stopped: Thermostat, Harte Grenze erreicht",
        ),
        (
            {"decided_by": "curtailment", "target": "stop", "reason": "my_own words"},
            "stopped: my_own words",
        ),
    ],
)
async def test_sources_have_their_names(
    hass: HomeAssistant, changes: dict[str, Any], text: str
) -> None:
    """The logbook would name a power source otherwise than the rest of the page."""
    hass.config.language = "de"
    hass.config.components.add(DOMAIN)
    await async_load_integrations(hass, {DOMAIN})
    described: dict[str, Callable[[Event], dict[str, str]]] = {}
    async_describe_events(hass, lambda _, event, line: described.update({event: line}))
    data = {**EVENT, "target": None, "reason": None, "name": "Miner", **changes}
    line = described[EVENT_DECISION](Event(EVENT_DECISION, data))
    assert line["message"] == text


def test_time_is_local_and_has_a_date_if_needed() -> None:
    """A time in UTC, or one of tomorrow without its date, would be read wrongly."""
    today = dt_util.now().replace(hour=20, minute=0)
    for when, shown in (
        (today, "20:00"),
        (today + timedelta(days=1), f"{today + timedelta(days=1):%Y-%m-%d} 20:00"),
    ):
        until = dt_util.as_utc(when).isoformat()
        expected = f"stopped: Electricity price, until {shown}"
        assert describe({**EVENT, "until": until}, str) == expected


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

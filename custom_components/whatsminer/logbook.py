"""Lines in the logbook: what has changed a miner's power, and until when."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from homeassistant.components.logbook import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.const import Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.translation import async_translate_state
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .group.recorder import EVENT_CURTAILMENT
from .heat.heating import HEATING_STATUS, THERMOSTAT
from .power.executor import EVENT_DECISION
from .power.policy import By

TEXTS = {
    "stop": ("stopped", "started on its own and was stopped again"),
    "percent": ("limited to {} %", "drew too much and was limited to {} % again"),
    "power": ("limited to {} W", "drew too much and was limited to {} W again"),
}
"""By target: the words for the first time, and for a curtailment that is applied again."""
OFF_BY_USER = "off, as a user switched it"

type Translate = Callable[[str, str], str]
"""Returns the name of a state of a sensor, by the key of the sensor and the state."""


def describe(data: Mapping[str, Any], translate: Translate) -> str:
    """Return what a decision about the power of a miner changed."""
    if data["decided_by"] == By.BASELINE:
        if data["off_by_user"]:
            return OFF_BY_USER
        return "your settings apply again" if data.get("was_source") else "resumed"
    if data["target"] is None:
        return _describe_source(data, translate)
    text = TEXTS[data["target"]][data["again"]].format(data["amount"])
    until = data["until"] and f"until {_time(datetime.fromisoformat(data['until']))}"
    details = ", ".join(filter(None, (data["reason"], until)))
    return f"{text}: {details}" if details else text


def _describe_source(data: Mapping[str, Any], translate: Translate) -> str:
    """Return what a power source wants, and why."""
    source = translate("power_decided_by", data["decided_by"])
    percent, why = data.get("percent"), data.get("why")
    if percent is None:
        return f"power set by: {source}"
    what = f"{percent:g} %" if percent else "stopped"
    if why and data["decided_by"] == THERMOSTAT:
        why = translate(HEATING_STATUS, why)
    return f"{what}: {source}" + (f", {why}" if why else "")


def describe_group(data: Mapping[str, Any]) -> str:
    """Return what was asked of a group, or what it has delivered."""
    why = f": {data['reason']}" if data["reason"] else ""
    if not data["ended"]:
        return f"asked by {data['by']} for {data['requested']:.0f} W less{why}"
    delivered = [*data["delivered"].values()][-1:]
    what = f", {delivered[0]:.0f} W less delivered" if delivered else ""
    return f"curtailment ended{what}{why}"


def _time(when: datetime) -> str:
    """Return a local time, with the date unless it is today."""
    local = dt_util.as_local(when)
    is_today = local.date() == dt_util.now().date()
    return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[[str, str, Callable[[Event], dict[str, str]]], None],
) -> None:
    """Describe the events of the integration."""

    def translate(sensor: str, state: str) -> str:
        """Return the name of a state as the page of the device shows it."""
        return async_translate_state(hass, state, Platform.SENSOR, DOMAIN, sensor, None)

    @callback
    def describe_decision(event: Event) -> dict[str, str]:
        """Return a line for a decision."""
        return {
            LOGBOOK_ENTRY_NAME: event.data["name"],
            LOGBOOK_ENTRY_MESSAGE: describe(event.data, translate),
        }

    @callback
    def describe_curtailment(event: Event) -> dict[str, str]:
        """Return a line for the begin or end of a group's curtailment."""
        return {
            LOGBOOK_ENTRY_NAME: event.data["name"],
            LOGBOOK_ENTRY_MESSAGE: describe_group(event.data),
        }

    async_describe_event(DOMAIN, EVENT_DECISION, describe_decision)
    async_describe_event(DOMAIN, EVENT_CURTAILMENT, describe_curtailment)

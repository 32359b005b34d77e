"""Lines in the logbook: what has changed a miner's power, and until when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from homeassistant.components.logbook import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.const import Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.translation import (
    async_get_cached_translations,
    async_translate_state,
)
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .group.events import AUTOMATION
from .group.recorder import EVENT_CURTAILMENT
from .money.plan import Reason
from .power.executor import EVENT_DECISION
from .power.policy import By

COMMON = f"component.{DOMAIN}.common.log_"


@dataclass(frozen=True)
class Texts:
    """The texts of the logbook, in the language of Home Assistant."""

    hass: HomeAssistant

    def state(self, sensor: str, state: str) -> str:
        """Return the name of a state as the page of the device shows it."""
        return async_translate_state(
            self.hass, state, Platform.SENSOR, DOMAIN, sensor, None
        )

    def __call__(self, key: str, **placeholders: object) -> str:
        """Return a text with its placeholders filled in."""
        texts = async_get_cached_translations(
            self.hass, self.hass.config.language, "common", DOMAIN
        )
        return texts.get(COMMON + key, key).format(**placeholders)


def describe(data: Mapping[str, Any], texts: Texts) -> str:
    """Return what a decision about the power of a miner changed."""
    if data["decided_by"] == By.BASELINE:
        if data["off_by_user"]:
            return texts("off_by_user")
        return texts("your_settings" if data.get("was_source") else "resumed")
    if data["target"] is None:
        return _describe_source(data, texts)
    key = data["target"] + ("_again" if data["again"] else "")
    text = texts(key, amount=data["amount"])
    until = data["until"] and texts(
        "until", time=_time(datetime.fromisoformat(data["until"]))
    )
    details = ", ".join(filter(None, (data["reason"], until)))
    return f"{text}: {details}" if details else text


def _describe_source(data: Mapping[str, Any], texts: Texts) -> str:
    """Return what a power source wants, and why."""
    source = texts.state("power_decided_by", data["decided_by"])
    percent = data.get("percent")
    if percent is None:
        return texts("set_by", source=source)
    what = f"{percent:g} %" if percent else texts("stop")
    return ", ".join((f"{what}: {source}", *_reasons(data, texts)))


def _reasons(data: Mapping[str, Any], texts: Texts) -> list[str]:
    """Return why a power source wants it."""
    why, price = data.get("why"), data.get("price")
    if why is None:
        return []
    if sensor := data.get("why_of"):
        return [texts.state(sensor, why)]
    # A price is its own reason.
    reasons = [] if why == Reason.PRICE else [texts(f"why_{why}")]
    return (
        reasons if price is None else [*reasons, texts("price", price=f"{price:.4g}")]
    )


def describe_group(data: Mapping[str, Any], texts: Texts) -> str:
    """Return what a group was requested to deliver, or what it has delivered."""
    why = f": {data['reason']}" if data["reason"] else ""
    if not data["ended"]:
        by = texts("automation") if data["by"] == AUTOMATION else data["by"]
        return texts("requested", by=by, watts=f"{data['requested']:.0f}") + why
    delivered = [*data["delivered"].values()][-1:]
    ended = [texts("ended")]
    ended += [texts("delivered", watts=f"{watts:.0f}") for watts in delivered]
    return ", ".join(ended) + why


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
    texts = Texts(hass)
    for event, description in (
        (EVENT_DECISION, describe),
        (EVENT_CURTAILMENT, describe_group),
    ):
        async_describe_event(DOMAIN, event, partial(_line, description, texts))


@callback
def _line(
    description: Callable[[Mapping[str, Any], Texts], str], texts: Texts, event: Event
) -> dict[str, str]:
    """Return the line of an event."""
    return {
        LOGBOOK_ENTRY_NAME: event.data["name"],
        LOGBOOK_ENTRY_MESSAGE: description(event.data, texts),
    }

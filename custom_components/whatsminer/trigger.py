"""Triggers of the integration, which the automation editor offers by name."""

from typing import override

from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.trigger import (
    ENTITY_STATE_TRIGGER_SCHEMA,
    StatelessEntityTriggerBase,
    Trigger,
    make_entity_target_state_trigger,
)

from .const import DOMAIN
from .power.record import EndedBy


class OfKey:
    """Chooses the entities of miners that have a key; a device as target has many others."""

    _hass: HomeAssistant
    _key: str
    _primary_entities_only = False

    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return those of the entities that count."""
        registry = er.async_get(self._hass)
        return {
            entity_id
            for entity_id in super().entity_filter(entities)  # type: ignore[misc]
            if (entry := registry.async_get(entity_id))
            and entry.platform == DOMAIN
            and entry.unique_id.endswith(f"_{self._key}")
        }


def _to_state(domain: str, key: str, *states: str) -> type[Trigger]:
    """Return a trigger for an entity of a miner that gets one of some states."""

    class ToState(
        OfKey,
        make_entity_target_state_trigger({domain: DomainSpec()}, set(states)),  # type: ignore[misc]
    ):
        _key = key

    return ToState


class FaultAppeared(OfKey, StatelessEntityTriggerBase):
    """A trigger for each fault that appears."""

    _domain_specs = {"event": DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA
    _key = "fault"


class CurtailmentFailed(OfKey, StatelessEntityTriggerBase):
    """A trigger for a miner that cannot be curtailed or resumed; further attempts do not fire it again."""

    _domain_specs = {"sensor": DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA
    _key = "curtailment"

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        before, now = _failures(from_state), _failures(to_state)
        is_refused = now[1] is not None and now[1] != before[1]
        return is_refused or (now[0] and not before[0])


def _failures(state: State) -> tuple[bool, str | None]:
    """Return whether a curtailment has an error, and when the last one ended if it was refused."""
    last = state.attributes.get("last") or {}
    is_refused = last.get("ended_by") == EndedBy.REFUSED
    return bool(state.attributes.get("error")), last["ended"] if is_refused else None


TRIGGERS: dict[str, type[Trigger]] = {
    "curtailment_started": _to_state(
        "sensor", "curtailment", "stop", "percent", "power"
    ),
    "curtailment_ended": _to_state("sensor", "curtailment", "none"),
    "curtailment_failed": CurtailmentFailed,
    "started": _to_state("sensor", "status", "mining"),
    "stopped": _to_state("sensor", "status", "stopped"),
    "went_offline": _to_state("binary_sensor", "connectivity", STATE_OFF),
    "fault_appeared": FaultAppeared,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS

"""Conditions of the integration, which the automation editor offers by name."""

from typing import override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import Condition, make_entity_state_condition

from .trigger import filter_by_key


def _in_state(domain: str, key: str, *states: str | bool) -> type[Condition]:
    """Return a condition for an entity of a miner that has one of some states."""

    class InState(
        make_entity_state_condition({domain: DomainSpec()}, set(states))  # type: ignore[misc]
    ):
        _primary_entities_only = False

        @override
        def entity_filter(self, entities: set[str]) -> set[str]:
            return filter_by_key(self._hass, super().entity_filter(entities), key)

    return InState


CONDITIONS: dict[str, type[Condition]] = {
    "is_curtailed": _in_state("sensor", "curtailment", "stop", "percent", "power"),
    "is_mining": _in_state("sensor", "status", "mining"),
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions."""
    return CONDITIONS

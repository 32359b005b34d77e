"""Conditions of the integration, which the automation editor offers by name."""

from datetime import datetime
from typing import override

from homeassistant.const import CONF_OPTIONS
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import (
    Condition,
    ConditionConfig,
    make_entity_state_condition,
)
from homeassistant.helpers.typing import ConfigType

from .power.record import Target
from .trigger import OfKey

REASON = "reason"


def _in_state(domain: str, key: str, *states: str | bool) -> type[Condition]:
    """Return a condition for an entity of a miner that has one of some states."""

    class InState(
        OfKey,
        make_entity_state_condition({domain: DomainSpec()}, set(states)),  # type: ignore[misc]
    ):
        _key = key

    return InState


class IsCurtailed(_in_state("sensor", "curtailment", *Target)):  # type: ignore[misc]
    """A condition for a miner that is curtailed, for any reason or for a certain one."""

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Take the reason from the options."""
        super().__init__(hass, config)
        self._reason: str | None = (config.options or {}).get(REASON)

    @override
    @classmethod
    async def async_validate_config(
        cls, hass: HomeAssistant, config: ConfigType
    ) -> ConfigType:
        options = dict(config.get(CONF_OPTIONS) or {})
        reason = options.pop(REASON, None)
        config = {**config, CONF_OPTIONS: options}
        valid: ConfigType = await super().async_validate_config(hass, config)
        if reason:
            valid[CONF_OPTIONS][REASON] = cv.string(reason)
        return valid

    @override
    def is_valid_state(self, entity_state: State) -> bool:
        if self._reason is None:
            return bool(super().is_valid_state(entity_state))
        return any(
            one["reason"] == self._reason
            for one in entity_state.attributes.get("curtailments", ())
        )

    @override
    def _state_valid_since(self, entity_state: State) -> datetime:
        if self._reason is None:
            return entity_state.last_changed
        return entity_state.last_updated


CONDITIONS: dict[str, type[Condition]] = {
    "is_curtailed": IsCurtailed,
    "is_mining": _in_state("sensor", "status", "mining"),
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions."""
    return CONDITIONS

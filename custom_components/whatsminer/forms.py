"""The fields that the forms are made of, and what they are filled with."""

from collections.abc import Iterable, Mapping
from typing import Any

from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

NUMBERS = ("sensor", "input_number", "number")
"""The domains of entities that show a number."""


def decimal(
    unit: str | None = None, lowest: float | None = None, highest: float | None = None
) -> NumberSelector:
    """Return a box for a number with decimals."""
    config = NumberSelectorConfig(step="any", mode=NumberSelectorMode.BOX)
    if unit:
        config["unit_of_measurement"] = unit
    if lowest is not None and highest is not None:
        config |= {"min": lowest, "max": highest}
    return NumberSelector(config)


def whole(lowest: int, highest: int, unit: str | None = None) -> probatio.All[Any]:
    """Return a box for a whole number."""
    config = NumberSelectorConfig(min=lowest, max=highest, mode=NumberSelectorMode.BOX)
    if unit:
        config["unit_of_measurement"] = unit
    return probatio.All(NumberSelector(config), probatio.Coerce(int))


def choice(key: str, options: Iterable[str]) -> SelectSelector:
    """Return a list to choose from; the key is that of its texts."""
    return SelectSelector(
        SelectSelectorConfig(
            options=[str(option) for option in options],
            mode=SelectSelectorMode.DROPDOWN,
            translation_key=key,
        )
    )


def entity(*domains: str) -> EntitySelector:
    """Return a list of entities."""
    return EntitySelector(EntitySelectorConfig(domain=list(domains)))


def suggested(options: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """Return stored options as values of a form with sections."""
    return {**options, **dict.fromkeys(sections, options)}


def flat(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a form as it is stored, without its sections."""
    options: dict[str, Any] = {}
    for key, value in user_input.items():
        options |= value if isinstance(value, Mapping) else {key: value}
    return options

"""What a thermostat heats with."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant


class Heater(Protocol):
    """A miner, or a group of miners that behaves as one."""

    hass: HomeAssistant
    entry: ConfigEntry[Any]
    """Its options are those of the thermostat."""
    too_powerful: str
    """The repair issue that says what to do where even the lowest level is too warm."""

    # What it is and does

    def observe(self) -> None:
        """Note what it does now, which the properties below return until it is called again."""

    @property
    def is_selected(self) -> bool:
        """Return whether the thermostat decides about its power, and nothing else."""

    @property
    def is_off(self) -> bool:
        """Return whether the user has stopped it."""

    @property
    def answers(self) -> bool:
        """Return whether what it does is known."""

    @property
    def mining(self) -> bool | None:
        """Return whether it heats; None if that is unknown."""

    @property
    def elapsed(self) -> float | None:
        """Return how long it has been running when it is first seen (s)."""

    @property
    def is_tuned(self) -> bool:
        """Return whether it is tuned."""

    @property
    def can_modulate(self) -> bool:
        """Return whether it follows a percent once it is tuned."""

    @property
    def cap(self) -> float:
        """Return what curtailments allow, in percent of its full power."""

    @property
    def extra_cost(self) -> float | None:
        """Return what a kWh of its heat costs more than one of what it replaces."""

    def lowest(self, percent: int) -> int:
        """Return its lowest level, where that of a miner is a percent."""

    # What it is commanded

    def select(self) -> None:
        """Let the thermostat decide about its power, also if the user has stopped it."""

    async def async_follow(self, change: Awaitable[None]) -> None:
        """Await a change of the wish, and carry the wish out."""

    def enforce(self) -> None:
        """Carry out the wish before what is under way."""

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener whenever the heater may have changed; return the function that removes it."""

    def update(self) -> None:
        """Call the listeners."""

    # What is stored of the thermostat

    @property
    def stored(self) -> Mapping[str, Any]:
        """Return the values that were kept last."""

    def keep(self, values: dict[str, Any], *, save: bool) -> None:
        """Keep values; without `save` they are stored with the next change."""

    async def async_keep(self, values: dict[str, Any]) -> None:
        """Store values immediately."""

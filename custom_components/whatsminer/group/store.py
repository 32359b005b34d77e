"""What a group stores."""

from collections.abc import Callable
import math
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import UnsupportedStorageVersionError
from homeassistant.helpers.storage import Store

from ..const import DOMAIN, LOGGER
from ..power.record import restore, stored_number
from .events import Event

_VERSION = 1
_SAVE_DELAY = 1.0


def _stopped(stored: Any) -> dict[str, float]:
    """Return times by miner; raises ValueError for what is no time."""
    if not all(math.isfinite(at) for at in stored.values()):
        raise ValueError("no time")
    return dict(stored)


def _texts(stored: Any) -> set[str]:
    """Return texts; raises TypeError for what is no list."""
    return {str(one) for one in stored}


def _events(stored: Any) -> list[Event]:
    return [Event.from_stored(one) for one in stored]


_LOADERS: dict[str, Callable[[Any], Any]] = {
    "target": stored_number,
    "reserve": stored_number,
    "heat": dict,
    "joined": _texts,
    "stopped": _stopped,
    "events": _events,
}


class GroupStore:
    """The target, the switch, the thermostat, the miners that have joined, and the record of curtailments."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Prepare; `async_load` reads the file."""
        self._store = Store[dict[str, Any]](hass, _VERSION, f"{DOMAIN}.{entry_id}")
        self.on = True
        self.target: int | None = None
        self.reserve = 0
        self.heats = False
        """Whether the thermostat decides, and not the target."""
        self.heat: dict[str, Any] = {}
        """What the thermostat keeps."""
        self.joined: set[str] = set()
        self.stopped: dict[str, float] = {}
        """When the miners that are stopped were seen to stop (Unix time)."""
        self.events: list[Event] = []

    async def async_load(self) -> None:
        """Read what an earlier run of Home Assistant stored; what is impossible is dropped."""
        stored: Any = None
        try:
            stored = await self._store.async_load()
        except UnsupportedStorageVersionError as err:
            LOGGER.warning("%s cannot be read: %s", self._store.key, err)
        if not isinstance(stored, dict):
            return
        self.on = stored.get("on") is not False
        self.heats = stored.get("heats") is True
        for name, load in _LOADERS.items():
            found = restore(f"{name} of a group", load, stored.get(name))
            if found is not None:
                setattr(self, name, found)

    @callback
    def note_stop(self, name: str, at: float | None) -> None:
        """Keep when a miner was stopped; None if it runs."""
        if self.stopped.pop(name, None) != at:
            if at is not None:
                self.stopped[name] = at
            self.save()

    @callback
    def save(self) -> None:
        """Store the values soon."""
        self._store.async_delay_save(self._values, _SAVE_DELAY)

    async def async_save(self) -> None:
        """Store the values now."""
        await self._store.async_save(self._values())

    def _values(self) -> dict[str, Any]:
        return {
            "on": self.on,
            "target": self.target,
            "reserve": self.reserve,
            "heats": self.heats,
            "heat": self.heat,
            "joined": sorted(self.joined),
            "stopped": self.stopped,
            "events": [event.stored() for event in self.events],
        }

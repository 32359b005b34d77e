"""What a group stores."""

from contextlib import suppress
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from ..const import DOMAIN
from .events import Event

_VERSION = 1
_SAVE_DELAY = 1.0


class GroupStore:
    """The target, the switch, the thermostat, who has joined, and the record of curtailments."""

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
        self.events: list[Event] = []

    async def async_load(self) -> None:
        """Read what an earlier run of Home Assistant stored; what is impossible is dropped."""
        stored = await self._store.async_load() or {}
        self.on = stored.get("on") is not False
        target, reserve = stored.get("target"), stored.get("reserve")
        self.target = target if isinstance(target, int) else None
        self.reserve = reserve if isinstance(reserve, int) else 0
        heat = stored.get("heat")
        self.heats = stored.get("heats") is True
        self.heat = heat if isinstance(heat, dict) else {}
        self.joined = set(stored.get("joined") or ())
        with suppress(TypeError, AttributeError):
            self.events = [Event.from_stored(one) for one in stored.get("events") or ()]

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
            "events": [event.stored() for event in self.events],
        }

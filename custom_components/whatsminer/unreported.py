"""Which sensors have no value any more since the firmware was updated."""

from datetime import datetime, timedelta

from .api import Activity, MinerState
from .store import MinerStore

POLLS = 100
LEAST = timedelta(hours=1)
"""Of mining: a value that is only reported sometimes is reported in it.

Not the polls alone: a command is confirmed by many in a minute.
"""


class UnreportedSensors:
    """Finds the sensors that new firmware has reported in none of its first polls while mining.

    Without a change of the firmware nothing is ever found: a value may be missing for a long time.
    """

    def __init__(self, store: MinerStore) -> None:
        """Start with the firmware that the sensors are from."""
        self._store = store
        self._polls = 0
        self._since: datetime | None = None
        self._always: set[str] = set()

    def observe(self, state: MinerState, absent: set[str]) -> set[str]:
        """Observe the sensors whose value is absent in a poll; return those that have none any more."""
        firmware, before = state.info.firmware, self._store.sensors_of
        if firmware is None or firmware == before:
            return set()
        if before is not None:
            if state.activity is not Activity.MINING:
                return set()
            self._always = self._always & absent if self._polls else absent
            self._since = self._since or state.read_at
            self._polls += 1
            if self._polls < POLLS or state.read_at - self._since < LEAST:
                return set()
        self._store.note_sensors_of(firmware)
        return self._always

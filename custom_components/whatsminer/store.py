"""What must outlive a restart of Home Assistant, because the miner does not report it."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import UnsupportedStorageVersionError
from homeassistant.helpers.storage import Store
from probatio import ALLOW_EXTRA, All, Coerce, Invalid, Length, Maybe, Or, Range, Schema

from .api import Activity, Fault, MinerInfo, MinerState, recall
from .const import DOMAIN, FULL, LOGGER, LOWEST_PERCENT

POWER_PERCENT = "power_percent"

_INFO = (
    "dialect",
    "api_version",
    "firmware",
    "platform",
    "model",
    "mac",
    "serial",
    "hostname",
)
_VERSION = 1
_SAVE_DELAY = 5
_SAME_START = timedelta(minutes=2)
_MAX_FAULTS = 100
"""Faults that are gone and still stored, so that none is announced twice."""
LOWEST_SHARE = LOWEST_PERCENT / FULL
"""Of the highest limit: what is below is not used."""
_HIGHEST_SOLD = 15_000
"""W; no WhatsMiner on the market has a higher limit."""
_HIGHEST_LIMIT = 100_000
"""W; no number that is stored is higher."""
_MAX_TEXT = 255
_ALL_READ = timedelta(minutes=10)
"""So long after a start of btminer every section has been read at least once."""
_RAMP = timedelta(minutes=6)
"""The power takes some minutes to follow a percent, and some firmware reports a mean of five (protocol.md#d4)."""


@dataclass(eq=False)
class StoredValues:
    """The remembered values, as they are stored."""

    power_ceiling: float | None = None
    """The highest power limit the miner ever reported (W)."""
    info: dict[str, str | None] | None = None
    """The identity of the miner, as far as it is text."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The last commands, by key of the entity, where the miner does not report the value."""
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last commands that the miner may report only from its next start on, by key of the entity."""
    run: str | None = None
    """When the btminer run began in which the power percent was commanded (ISO 8601)."""
    tuned_power: float | None = None
    """The power of the tuned miner without a percent (W)."""
    tuned_limit: float | None = None
    """The power limit under which it was tuned (W)."""
    reported: dict[str, Any] = field(default_factory=dict)
    """The settings that the miner reported last, by key of the entity."""
    percent_restarts: bool = False
    """Whether a power percent was seen to restart the miner (protocol.md#d4)."""
    curtailment: dict[str, Any] = field(default_factory=dict)
    """The curtailment that is active, and the end of the last one."""
    external: dict[str, Any] = field(default_factory=dict)
    """The power that another program has requested last."""
    power_target: dict[str, Any] = field(default_factory=dict)
    """The power target, and the restarts that it has caused."""
    heat: dict[str, Any] = field(default_factory=dict)
    """What the user set of the thermostat, and what its controller knows."""
    profile: dict[str, Any] = field(default_factory=dict)
    """The learned profile: power and hashrate at each percent."""
    schedule: dict[str, Any] = field(default_factory=dict)
    """What the sources *Most profitable* and *Plan* know of the run, and want."""
    sensors_of: str | None = None
    """The firmware that has reported the values of all sensors."""
    faults: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By code: when the miner noted it, and since when it is listed; None if it is gone."""


def _with_zone(stored: str) -> None:
    if datetime.fromisoformat(stored).tzinfo is None:
        raise ValueError("no time zone")


_POWER = Maybe(Range(min=0, max=_HIGHEST_LIMIT, min_included=False))
_TIME = Maybe(_with_zone)
_NUMBER = All(Or(int, float), Range(min=-_HIGHEST_LIMIT, max=_HIGHEST_LIMIT))
_VALUE = Maybe(Or(_NUMBER, All(str, Length(max=_MAX_TEXT))))
_WAITING = Schema(
    {"old": _VALUE, "new": _VALUE, "run": _with_zone}, required=True, extra=ALLOW_EXTRA
)
_FAULT = Schema({"since": _TIME, "time": Maybe(str)}, required=True, extra=ALLOW_EXTRA)
_OBJECT = Schema(dict)
_SCHEMAS: dict[str, Schema] = {
    "power_ceiling": Schema(_POWER),
    "info": Schema(Maybe(All({str: Maybe(str)}, recall))),
    "run": Schema(_TIME),
    "tuned_power": Schema(_POWER),
    "tuned_limit": Schema(_POWER),
    "settings": Schema({str: _VALUE}),
    "waiting": Schema({str: _WAITING}),
    "reported": Schema({str: _VALUE}),
    "percent_restarts": Schema(bool),
    "sensors_of": Schema(Maybe(All(str, Length(max=_MAX_TEXT)))),
    "faults": Schema({Coerce(int): _FAULT}),
}
"""What each part must be; the others are objects. A later version may have left anything."""


class MinerStore(StoredValues):
    """The stored values of one miner, such as settings that it does not report."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Prepare; `async_load` reads the file."""
        super().__init__()
        self._store: Store[dict[str, Any]] = Store(
            hass, _VERSION, f"{DOMAIN}.{entry_id}"
        )
        self._closed = False
        self.dropped: set[str] = set()
        """The parts that were stored and could not be read."""
        self._last: tuple[float, datetime] | None = None
        """How long btminer ran at the last poll that reported it, and when that run began."""
        self._full_since: datetime | None = None
        self._limit: float | None = None
        """The power limit of the last poll."""

    async def async_load(self) -> None:
        """Read what an earlier run of Home Assistant has stored, each part for itself."""
        try:
            stored: Any = await self._store.async_load()
        except UnsupportedStorageVersionError as err:
            LOGGER.warning("%s cannot be read: %s", self._store.key, err)
            self.dropped.add("curtailment")  # perhaps one was active
            return
        if not isinstance(stored, dict):
            stored = {}
        defaults = asdict(self)
        for name in defaults.keys() & stored.keys():
            try:
                _SCHEMAS.get(name, _OBJECT)(stored[name])
            except (Invalid, LookupError, TypeError) as err:
                self.dropped.add(name)
                LOGGER.warning("%s: dropped %s: %r", self._store.key, name, err)
            else:
                setattr(self, name, stored[name])

    async def async_save(self) -> None:
        """Store immediately, since the next set-up reads it."""
        if not self._closed:
            await self._store.async_save(asdict(self))

    async def async_close(self) -> None:
        """Store for the last time: a late answer must not overwrite what comes after this."""
        self._closed = True
        await self._store.async_save(asdict(self))

    async def async_remove(self) -> None:
        """Delete the file, when the entry is removed."""
        await self._store.async_remove()

    @property
    def known_miner(self) -> MinerInfo | None:
        """The identity of the miner when it answered last."""
        return recall(self.info) if self.info else None

    @callback
    def keep(self, name: str, values: dict[str, Any], *, save: bool = True) -> None:
        """Keep `heat`, `profile` or `schedule`; without `save` it is stored with the next change."""
        setattr(self, name, values)
        if save:
            self._save()

    async def async_keep(self, name: str, values: dict[str, Any]) -> None:
        """Store `curtailment`, `power_target` or `heat` immediately: it must survive a crash."""
        setattr(self, name, values)
        await self.async_save()

    @callback
    def observe_settings(self, settings: dict[str, Any]) -> None:
        """Keep what the miner reports; what it does not report stays as it was last."""
        known = {key: value for key, value in settings.items() if value is not None}
        if not known.items() <= self.reported.items():
            self.reported |= known
            self._save()

    @callback
    def note_percent_restarts(self) -> None:
        """Keep that a power percent restarts the miner."""
        self.percent_restarts = True
        self._save()

    @callback
    def note_sensors_of(self, firmware: str) -> None:
        """Keep that there are no sensors but those of this firmware."""
        self.sensors_of = firmware
        self._save()

    def setting(self, key: str) -> Any:
        """Return the last command of an entity, or None."""
        return self.settings.get(key)

    def power_percent(self, state: MinerState) -> float:
        """Return the percent that the miner runs at, as it reports or was commanded; else 100."""
        reported = state.status and state.status.power_percent
        percent = self.setting(POWER_PERCENT) if reported is None else reported
        return float(percent or FULL)

    @callback
    def save_setting(self, key: str, value: Any, state: MinerState) -> None:
        """Keep the last command of an entity."""
        self.settings[key] = value
        if key == POWER_PERCENT:
            start = _start(state)
            self.run = start.isoformat() if start else None
        self._save()

    @callback
    def save_waiting(self, key: str, old: Any, new: Any, state: MinerState) -> None:
        """Keep a command of which the miner still reports the old value.

        Where its run is not known, each that begins from now on is a later one.
        """
        run = _start(state) or state.read_at - _SAME_START
        self.waiting[key] = {"old": old, "new": new, "run": run.isoformat()}
        self._save()

    def had_its_start(self, key: str, state: MinerState) -> bool:
        """Return whether btminer has started since a command, and everything was read since."""
        start, run = _start(state), datetime.fromisoformat(self.waiting[key]["run"])
        if start is None or state.read_at - start < _ALL_READ:
            return False
        return start - run > _SAME_START

    @callback
    def drop_setting(self, key: str) -> None:
        """Drop the last command of an entity."""
        known = self.settings.pop(key, None), self.waiting.pop(key, None)
        if known != (None, None):
            self._save()

    @callback
    def drop_settings(self) -> None:
        """Drop all commands: the miner was reset."""
        self.settings.clear()
        self.waiting.clear()
        self._save()

    @callback
    def observe(self, state: MinerState) -> None:
        """Observe a poll: a higher limit, or that btminer was restarted or stopped."""
        info = {name: getattr(state.info, name) for name in _INFO}
        if info != self.info:
            self.info = info
            self._save()
        self._learn_power_ceiling(state.power_limit)
        if POWER_PERCENT in self.settings and self._restarted(state, _start(state)):
            # A percent does not survive a restart of btminer (protocol.md#d4).
            self.drop_setting(POWER_PERCENT)
        if (start := _start(state)) and state.summary and state.summary.elapsed:
            self._last = state.summary.elapsed, start
        self._observe_tuned_power(state)

    def _learn_power_ceiling(self, limit: float | None) -> None:
        """Take the highest limit that two polls in a row report; one poll alone may be an error.

        The very first one is needed before there are two; it counts if any miner can have it.
        A limit below the range that follows from the ceiling shows that the ceiling is too high.
        """
        before, self._limit = self._limit, limit
        ceiling = self.power_ceiling or 0
        confirmed = limit == before or (not ceiling and (limit or 0) <= _HIGHEST_SOLD)
        if (
            limit
            and confirmed
            and not LOWEST_SHARE * ceiling <= limit <= (ceiling or -1)
        ):
            self.power_ceiling = limit
            self._save()

    @callback
    def observe_faults(self, faults: tuple[Fault, ...], now: datetime) -> list[Fault]:
        """Observe the list of faults; return those that have appeared, each only once."""
        known = self.faults
        new: list[Fault] = []
        listed = {str(fault.code): fault for fault in faults}
        for code, fault in listed.items():
            before = known.pop(code, None)
            since = before and before["since"]
            known[code] = {"time": fault.time, "since": since or now.isoformat()}
            if since:
                continue
            self._save()
            if before is None or fault.time is None or fault.time != before["time"]:
                new.append(fault)
        for code, one in known.items():
            if code not in listed and one["since"]:
                one["since"] = None
                self._save()
        for code in [code for code in known if code not in listed][:-_MAX_FAULTS]:
            del known[code]
        return new

    def fault_since(self, code: int) -> datetime | None:
        """Return since when a fault is listed."""
        since = self.faults.get(str(code), {}).get("since")
        return datetime.fromisoformat(since) if since else None

    def _observe_tuned_power(self, state: MinerState) -> None:
        """Observe the power while no percent is set; a percent is a share of that (protocol.md#d4).

        It is another one under another limit, also where no poll has seen the restart.
        """
        before = self.tuned_limit
        limit = state.summary and state.summary.power_limit
        if limit and limit != before:
            self.tuned_limit = limit
            if before:
                self.tuned_power = self._full_since = None
        if state.activity is not Activity.MINING:
            if state.activity in (Activity.STARTING, Activity.TUNING):
                self.tuned_power = None
        elif self.power_percent(state) != FULL:
            self._full_since = None
        elif state.summary and state.summary.power:
            self._full_since = self._full_since or state.read_at
            settled = state.read_at - self._full_since >= _RAMP
            if settled or self.tuned_power is None:
                self.tuned_power = state.summary.power

    def _restarted(self, state: MinerState, start: datetime | None) -> bool:
        """Return whether btminer has restarted since the percent was commanded."""
        if state.activity in (Activity.STOPPED, Activity.RESTARTING, Activity.STARTING):
            return True
        if start is None:
            return False
        if self._last is not None:
            assert state.summary and state.summary.elapsed is not None
            elapsed, begun = self._last
            # It counts from 0 again, or clearly less than the time that has passed since.
            return state.summary.elapsed < elapsed or start - begun > _SAME_START
        # The first poll after a restart of Home Assistant: the same run began at the same time.
        then = self.run
        return then is None or abs(start - datetime.fromisoformat(then)) > _SAME_START

    def _save(self) -> None:
        if not self._closed:
            self._store.async_delay_save(lambda: asdict(self), _SAVE_DELAY)


def _start(state: MinerState) -> datetime | None:
    """Return when btminer started, by its own count of seconds."""
    if state.summary is None or state.summary.elapsed is None:
        return None
    return state.read_at - timedelta(seconds=state.summary.elapsed)

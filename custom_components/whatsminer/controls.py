"""Everything that can be set, in one table: how it is sent, read back and confirmed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
import math
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations

from .api import Activity, Feature, HeatMode, Miner, MinerState, PowerMode, Section
from .commander import (
    DEADLINE_FLAG,
    DEADLINE_REBOOT,
    DEADLINE_RESTART,
    Command,
    Commander,
)
from .const import CONF_POWER_LIMIT_MAX, CONF_POWER_LIMIT_MIN, DOMAIN, FULL, LOGGER
from .coordinator import WhatsminerCoordinator
from .exceptions import failed
from .issues import delete_issues, report_issue
from .store import LOWEST_SHARE, MinerStore

QUIET_TIME = 2.0
"""Seconds that a command of a user that restarts the miner waits for a newer one: several taps
on a number are one write, and one restart."""

PERCENT_RESTARTED = "percent_restarted"
"""The sentence that the miner has restarted, which ends a percent."""
HIGHEST_LIMIT = 99_999.0
ENOUGH_ANSWERS = 3
"""Answers after which an acknowledged value that does not show yet is left to the next start, or to
what the miner has."""
IGNORED = "setting_ignored"
"""The text of an issue that the next start has not applied what the miner had accepted."""


@dataclass(frozen=True, kw_only=True)
class Control[T]:
    """Something that can be set; it exists where the dialect has the feature."""

    feature: Feature
    value_fn: Callable[[MinerState], T | None]
    set_fn: Callable[[Miner, T], Awaitable[None]]
    done_fn: Callable[[MinerState, T], bool | None] | None = None
    """Return whether the miner shows a value; the default is that `value_fn` returns it."""
    blocked_fn: Callable[[MinerState], str | None] = lambda _: None
    """Return the key of the sentence why the miner would ignore it now."""
    lost_fn: Callable[[MinerState, MinerState], str | None] = lambda *_: None
    """Return the key of the sentence why a value is lost, by the states before and after."""
    deadline: float = DEADLINE_FLAG
    late_fn: Callable[[MinerState, T], float] = lambda *_: 0.0
    """Return how much later the miner may do it, because of its own settings (s)."""
    slow: bool = False
    """Whether the value is in the sections that are read periodically."""
    interrupts: bool = False
    next_start: bool = False
    """Whether it applies from the next start of btminer on, and some firmware reports it only then.

    Never for what changes the power: there only the effect shows that the miner has obeyed.
    """
    outlives_restart: bool = True
    """Whether the miner keeps the value when btminer restarts or stops."""
    most_fn: Callable[[MinerStore], T | None] = lambda _: None
    """Return the highest value that the miner ever reported; a higher one may show as that."""
    sections: tuple[Section, ...] = (Section.STATUS,)
    """The sections that can hold the value."""

    @property
    def key(self) -> str:
        """Return its key, which is that of its entity too."""
        return self.feature.value

    def is_absent(self, state: MinerState) -> bool:
        """Return whether the answers were complete and did not hold the value."""
        return self.value_fn(state) is None and state.is_complete(self.sections)

    def is_assumed(self, state: MinerState) -> bool:
        """Return whether only the last acknowledged command is known, not the miner's value."""
        if self.feature in state.info.unreadable:
            # The first guess, until a value is seen.
            return self.value_fn(state) is None
        return self.is_absent(state)

    def actual(self, coordinator: WhatsminerCoordinator) -> T | None:
        """Return what the miner reports, else the last command that it acknowledged."""
        value = self.value_fn(coordinator.data)
        return coordinator.store.setting(self.key) if value is None else value

    def shown(self, coordinator: WhatsminerCoordinator) -> T | None:
        """Return the value from the next start on, which decisions must not count on yet."""
        waiting = coordinator.store.waiting.get(self.key)
        return waiting["new"] if waiting else self.actual(coordinator)

    def is_shown(self, state: MinerState, value: T) -> bool | None:
        """Return whether the miner reports a value as set; None where another setting hides it."""
        if self.done_fn:
            return self.done_fn(state, value)
        return self.value_fn(state) == value

    async def async_set(
        self,
        commander: Commander,
        value: T,
        *,
        user_initiated: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> bool:
        """Command a value, confirm it, or remember it where it cannot be confirmed.

        Returns False when a newer value has replaced it. A `user_initiated` command ends what
        Home Assistant decides on its own. `check` is called before the value is sent: it may raise.
        Raises a translated HomeAssistantError when the miner would ignore it, refuses it, or does
        not show it before the deadline.
        """
        if reason := self.blocked_fn(commander.coordinator.data):
            raise failed(reason)
        setting = _Setting(self, commander, value, user_initiated, check)
        return await commander.async_command(setting.command())


class _Setting[T]:
    """One command of a control, from the state before it to its confirmation."""

    def __init__(
        self,
        control: Control[T],
        commander: Commander,
        value: T,
        user_initiated: bool,
        check: Callable[[], object],
    ) -> None:
        """Keep the state before."""
        self._control, self._commander, self._value = control, commander, value
        self._user_initiated, self._check = user_initiated, check
        self._coordinator = commander.coordinator
        self._store = commander.coordinator.store
        self._before = commander.coordinator.data
        self._acknowledged = False
        self._settled: set[datetime] = set()
        """When answers were read that show as much as will show for now."""

    def command(self) -> Command:
        """Return what the commander carries out."""
        control, before = self._control, self._before
        readable = control.feature not in before.info.unreadable
        taps = self._user_initiated and control.interrupts
        return Command(
            key=control.key,
            value=self._value,
            send=self._send,
            quiet=QUIET_TIME if taps else 0.0,
            sent=self._sent,
            confirmed=self._confirmed,
            done=self._done if readable or not control.is_assumed(before) else None,
            approached=self._approached,
            failed=lambda state: control.lost_fn(before, state),
            deadline=control.deadline + control.late_fn(before, self._value),
            slow=control.slow,
            interrupts=control.interrupts,
        )

    async def _send(self, miner: Miner) -> None:
        self._check()
        await self._control.set_fn(miner, self._value)

    def _sent(self, acknowledged: bool) -> None:
        if self._user_initiated:
            self._commander.notify_user_command(self._control.key, self._value)
        if self._control.next_start:
            self._store.drop_setting(self._control.key)
        self._acknowledged = acknowledged
        if acknowledged and not self._control.interrupts:
            self._remember()

    def _done(self, state: MinerState) -> bool | None:
        if self._acknowledged and (self._waits(state) or self._is_capped(state)):
            self._settled.add(state.read_at)  # a missed poll shows the last one again
            return len(self._settled) >= ENOUGH_ANSWERS
        shown = self._control.is_shown(state, self._value)
        return None if not shown and self._control.is_absent(state) else shown

    def _approached(self, state: MinerState) -> bool:
        """Return whether it waits, or the reported number has moved towards the value."""
        if self._waits(state):
            return True
        value_fn = self._control.value_fn
        numbers: list[Any] = [value_fn(self._before), value_fn(state), self._value]
        if any(type(number) is not int for number in numbers):
            return False
        before, now, wanted = numbers
        return bool(abs(now - wanted) < abs(before - wanted))

    def _waits(self, state: MinerState) -> bool:
        """Return whether the previous value is still reported, and may be until the next start."""
        old = self._control.value_fn(self._before)
        is_old = old not in (None, self._value) and old == self._control.value_fn(state)
        return self._control.next_start and is_old

    def _is_capped(self, state: MinerState) -> bool:
        """Return whether more was commanded than the miner has, and it reports all of that."""
        most: Any = self._control.most_fn(self._store)
        value: Any = self._value
        return most is not None and value > most == self._control.value_fn(state)

    def _confirmed(self) -> None:
        self._remember()
        hass, entry = self._coordinator.hass, self._coordinator.config_entry
        key, now = self._control.key, self._coordinator.data
        if self._control.next_start:
            delete_issues(hass, entry, _ignored(key))
        if self._waits(now):
            old = self._control.value_fn(now)
            self._store.save_waiting(key, old, self._value, now)
            LOGGER.warning(
                "%s accepted %s for %r but still reports %s. It may report the new value "
                "only after its next start: restart the mining process to apply it",
                entry.title,
                self._value,
                _name(hass, key),
                old,
            )

    def _remember(self) -> None:
        """Keep what the miner acknowledged, where it does not report the value."""
        state = self._coordinator.data
        if self._control.value_fn(state) is None:
            self._store.save_setting(self._control.key, self._value, state)


def _set_mining(miner: Miner, on: bool) -> Awaitable[None]:
    return miner.start_mining() if on else miner.stop_mining()


def _random_delay(state: MinerState, on: bool) -> float:
    """Return the delay that is set so that many miners do not start or stop together (protocol.md#e6)."""
    if state.settings is None:
        return 0.0
    return (state.settings.random_start if on else state.settings.random_stop) or 0.0


def _limit_is(state: MinerState, watts: int) -> bool | None:
    """Return whether a limit is active, or set and kept inactive by a lower power mode or a stop.

    None where only the lower limit of a power mode is reported.
    """
    in_force = state.summary.power_limit if state.summary else None
    was_set = state.status.power_limit_set if state.status else None
    if any(limit and round(limit) == watts for limit in (in_force, was_set)):
        return True
    hidden = was_set is None and in_force is not None and in_force < watts
    return None if hidden and state.power_mode is PowerMode.LOW else False


def _percent_blocked(state: MinerState) -> str | None:
    """Return the reason why a percent has no effect: tuning is not finished (protocol.md#h2)."""
    waits = state.activity not in (None, Activity.MINING)
    return "percent_needs_tuning" if waits else None


def _percent_lost(before: MinerState, now: MinerState) -> str | None:
    """Return the reason why a percent is no longer set: btminer has restarted instead (protocol.md#d4)."""
    old, new = (state.summary and state.summary.elapsed for state in (before, now))
    restarted = old is not None and new is not None and new < old
    return PERCENT_RESTARTED if restarted else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _set_percent(miner: Miner, percent: int) -> Awaitable[None]:
    """Set a percent; full power has a command of its own in some dialects (protocol.md#d1)."""
    if percent == FULL and Feature.RESTORE_POWER_PERCENT in miner.info.features:
        return miner.restore_power_percent()
    return miner.set_power_percent(percent)


MINING = Control[bool](
    feature=Feature.MINING,
    value_fn=lambda state: state.mining,
    set_fn=_set_mining,
    late_fn=_random_delay,
    outlives_restart=False,
)
FAST_BOOT = Control[bool](
    feature=Feature.FAST_BOOT,
    value_fn=lambda state: state.summary and state.summary.fast_boot,
    set_fn=Miner.set_fast_boot,
    next_start=True,
    sections=(Section.SUMMARY,),
)
POWER_LIMIT = Control[int](
    feature=Feature.POWER_LIMIT,
    value_fn=lambda state: _rounded(state.power_limit),
    set_fn=Miner.set_power_limit,
    done_fn=_limit_is,
    most_fn=lambda store: _rounded(store.power_ceiling),
    deadline=DEADLINE_RESTART,
    interrupts=True,
    sections=(Section.SUMMARY, Section.STATUS),
)
POWER_PERCENT = Control[int](
    feature=Feature.POWER_PERCENT,
    value_fn=lambda state: _rounded(state.status and state.status.power_percent),
    set_fn=_set_percent,
    blocked_fn=_percent_blocked,
    lost_fn=_percent_lost,
    outlives_restart=False,
)
POWER_PERCENT_FAST = replace(
    POWER_PERCENT, set_fn=partial(Miner.set_power_percent, fast=True)
)
"""The power follows within seconds (protocol.md#d4)."""
POWER_MODE = Control[str](
    feature=Feature.POWER_MODE,
    value_fn=lambda state: state.power_mode,
    set_fn=lambda miner, mode: miner.set_power_mode(PowerMode(mode)),
    deadline=DEADLINE_RESTART,
    interrupts=True,
    sections=(Section.SUMMARY, Section.STATUS),
)


# What is set once and then left alone


def _setting[T](
    feature: Feature,
    set_fn: Callable[[Miner, T], Awaitable[None]],
    *,
    next_start: bool = False,
) -> Control[T]:
    """Return the control of the setting that has the name of its feature."""
    return Control(
        feature=feature,
        value_fn=lambda state: getattr(state.settings, feature, None),
        set_fn=set_fn,
        next_start=next_start,
        slow=True,
        sections=(Section.SETTINGS,),
    )


def _frequency_is(state: MinerState, percent: int) -> bool:
    """Return whether the offset is in effect; some firmware reports nothing for 0 (protocol.md#c7)."""
    return state.status is not None and (state.status.target_frequency or 0) == percent


WEB_POOLS = _setting(Feature.WEB_POOLS, Miner.set_web_pools)
POWER_OFF_COOL = _setting(Feature.POWER_OFF_COOL, Miner.set_power_off_cool)
FAN_ZERO_SPEED = _setting(Feature.FAN_ZERO_SPEED, Miner.set_fan_zero_speed)
TEMPERATURE_OFFSET = _setting(
    Feature.TEMPERATURE_OFFSET, Miner.set_temperature_offset, next_start=True
)
UPFREQ_SPEED = _setting(Feature.UPFREQ_SPEED, Miner.set_upfreq_speed, next_start=True)
HEAT_MODE: Control[str] = _setting(
    Feature.HEAT_MODE, lambda miner, mode: miner.set_heat_mode(HeatMode(mode))
)
START_AT_BOOT = Control[bool](
    feature=Feature.START_AT_BOOT,
    value_fn=lambda _: None,  # no miner reports it
    set_fn=Miner.set_start_at_boot,
)
FAST_HASH = Control[bool](
    feature=Feature.FAST_HASH,
    value_fn=lambda state: state.status and state.status.fast_hash,
    set_fn=Miner.set_fast_hash,
    next_start=True,
)
TARGET_FREQUENCY = Control[int](
    feature=Feature.TARGET_FREQUENCY,
    value_fn=lambda state: state.status and state.status.target_frequency,
    set_fn=Miner.set_target_frequency,
    done_fn=_frequency_is,
    deadline=DEADLINE_RESTART,
    interrupts=True,
)


CONTROLS: tuple[Control[Any], ...] = (
    MINING,
    FAST_BOOT,
    POWER_LIMIT,
    POWER_PERCENT,
    POWER_MODE,
    WEB_POOLS,
    POWER_OFF_COOL,
    FAN_ZERO_SPEED,
    TEMPERATURE_OFFSET,
    UPFREQ_SPEED,
    HEAT_MODE,
    START_AT_BOOT,
    FAST_HASH,
    TARGET_FREQUENCY,
)


def drop_reported_settings(
    coordinator: WhatsminerCoordinator, state: MinerState
) -> None:
    """Drop the last command of each control whose value the miner reports.

    One that waits for the next start is reported after it, or the miner has ignored it.
    """
    hass, store = coordinator.hass, coordinator.store
    for control in CONTROLS:
        key, value = control.key, control.value_fn(state)
        is_old = key in store.waiting and value == store.waiting[key]["old"]
        if value is None or (is_old and not store.had_its_start(key, state)):
            continue
        store.drop_setting(key)
        if is_old:
            report_issue(
                hass,
                coordinator.config_entry,
                _ignored(key),
                text=IGNORED,
                setting=_name(hass, key),
            )


def _ignored(key: str) -> str:
    """Return the issue that a control was ignored."""
    return f"{IGNORED}_{key}"


IGNORED_ISSUES = tuple(
    _ignored(control.key) for control in CONTROLS if control.next_start
)


def _name(hass: HomeAssistant, key: str) -> str:
    """Return the name of a control in the language of Home Assistant."""
    texts = async_get_cached_translations(hass, hass.config.language, "entity", DOMAIN)
    return next(
        (text for at, text in texts.items() if at.endswith(f".{key}.name")), key
    )


# The bounds of the power, for every entity and action that sets it


def highest_limit(coordinator: WhatsminerCoordinator) -> float:
    """Return the option, else the API's highest limit (W): an observed one must not forbid more."""
    option = coordinator.config_entry.options.get(CONF_POWER_LIMIT_MAX)
    return float(option or HIGHEST_LIMIT)


def highest_power(coordinator: WhatsminerCoordinator) -> float:
    """Return the option, else the highest limit this miner ever reported, else the API's (W)."""
    option = coordinator.config_entry.options.get(CONF_POWER_LIMIT_MAX)
    return float(option or coordinator.store.power_ceiling or HIGHEST_LIMIT)


def lowest_power(coordinator: WhatsminerCoordinator) -> float:
    """Return the option, else a share of the highest power, if that is known (W)."""
    highest = highest_power(coordinator)
    if option := coordinator.config_entry.options.get(CONF_POWER_LIMIT_MIN):
        return float(option)
    if highest == HIGHEST_LIMIT:
        return 1.0
    return float(math.ceil(LOWEST_SHARE * highest / 10) * 10)


def _restarted_since(
    count: Callable[[MinerState], float | None], before: MinerState, deadline: float
) -> Callable[[MinerState], bool]:
    """Return what finds out whether a count of seconds has started from 0 again.

    A count that had only just started cannot get much smaller; then it must have been absent.
    """
    was = count(before)
    limit = math.inf if was is None else was
    away = False

    def done(state: MinerState) -> bool:
        nonlocal away
        now = count(state)
        if now is None:
            away = True
            return False
        return now < limit or (away and now < deadline)

    return done


def restarted(before: MinerState) -> Callable[[MinerState], bool]:
    """Return what finds out whether btminer has restarted since a state."""
    return _restarted_since(
        lambda state: state.summary and state.summary.elapsed, before, DEADLINE_RESTART
    )


def rebooted(before: MinerState) -> Callable[[MinerState], bool]:
    """Return what finds out whether the control board has rebooted since a state."""
    return _restarted_since(
        lambda state: state.summary and state.summary.uptime, before, DEADLINE_REBOOT
    )

"""The machine: state, settings and physics as a function of time, seed and commands (section H)."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import pairwise
from math import exp, floor, inf, log, pi, sin, sqrt
from random import Random
from typing import Any

from .profiles import Pool, Profile
from .settings import FOR_NEXT_START, Restart, Settings, as_found, from_factory
from .timing import Timing
from .truth import BoardTruth, Phase, PoolTruth, PsuTruth, Truth

HISTORY_S = 900
NOISE_PERIODS_S = (7.3, 17.9, 41.0)
STOP_REASON = "by whatsminer api"
PREHEATED = "adjust complete"


@dataclass(slots=True)
class Lag:
    """A value that follows a target; exact for any step while the target does not change."""

    value: float

    def follow(
        self, target: float, seconds: float, tau: float, snap: float = 0.0
    ) -> None:
        """Advance by some seconds; jump to the target when closer than `snap`."""
        self.value = target + (self.value - target) * exp(-seconds / tau)
        if abs(self.value - target) < snap:
            self.value = target


@dataclass(slots=True)
class Ramp:
    """A share that moves linearly to its target."""

    start: float = 1.0
    target: float = 1.0
    begin: float = 0.0
    seconds: float = 0.0

    def at(self, now: float) -> float:
        """Return the share at a time."""
        done = (now - self.begin) / self.seconds if self.seconds else 1.0
        return (
            self.target
            if done >= 1
            else self.start + (self.target - self.start) * max(done, 0.0)
        )


@dataclass(slots=True)
class Odometer:
    """Adds up a rate, and keeps enough history for the mean of the last minutes."""

    times: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)

    def start(self, now: float, rate: float, total: float) -> None:
        """Start with a history of one constant rate."""
        self.times = [now - HISTORY_S, now]
        self.totals = [total - HISTORY_S * rate, total]

    @property
    def total(self) -> float:
        """The total."""
        return self.totals[-1]

    def add(self, now: float, amount: float) -> None:
        """Add an amount."""
        self.times.append(now)
        self.totals.append(self.total + amount)
        if len(self.times) > 2 * HISTORY_S:
            keep = bisect_right(self.times, now - HISTORY_S) - 1
            del self.times[:keep], self.totals[:keep]

    def at(self, time: float) -> float:
        """Return the total at a time in the history."""
        right = min(max(bisect_right(self.times, time), 1), len(self.times) - 1)
        t0, t1 = self.times[right - 1], self.times[right]
        v0, v1 = self.totals[right - 1], self.totals[right]
        return v0 + (v1 - v0) * (time - t0) / (t1 - t0)

    def mean(self, window: float) -> float:
        """Return the mean rate of the last seconds."""
        return (self.total - self.at(self.times[-1] - window)) / window


class Machine:
    """One miner. Each access advances it first, in whole simulated seconds."""

    def __init__(
        self, profile: Profile, *, seed: int, state: str, timing: Timing
    ) -> None:
        """Create the machine in a settled state."""
        self.profile = profile
        self.timing = timing
        self.seed = seed
        self._random = Random(seed)
        self._phases = [self._random.uniform(0, 2 * pi) for _ in range(64)]
        spread = [
            1 + self._random.uniform(-0.015, 0.015) for _ in range(profile.boards)
        ]
        self._shares = [share / sum(spread) for share in spread]
        self._board_offsets = [
            0.0,
            *(-self._random.uniform(0.5, 3.0) for _ in range(profile.boards - 1)),
        ]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._event_number = 0

        # The settings, and those of the network that are active
        self.settings = as_found(profile)
        self._installed: str | None = None
        self._to_install: str | None = None
        self._online()

        # The state that is lost with the power
        self.power_percent = profile.power_percent
        # The percentage that was set since the last start; 0 is none
        self.percent_set = 0 if profile.power_percent == 100 else profile.power_percent
        self.leds: dict[int, str] = dict(profile.leds)
        # Whether a percentage restarts btminer while fast boot is disabled (protocol.md#d4)
        self.percent_restarts = profile.percent_restarts
        # Whether a percentage takes effect before tuning is complete (protocol.md#h2)
        self.percent_early = False
        # Whether the reported percentage is the present one, which a gentle change reaches minutes later
        self.percent_follows = False
        # The share of a limit that was set that takes effect
        self.limit_share = 1.0
        # Whether what is set for the next start is reported only from then on (protocol.md#d1)
        self.reports_at_start = False
        self.boards = tuple(range(profile.boards))
        self.errors: dict[int, float] = {}

        # The current state
        self.now = 0.0
        self._waves: dict[int, float] = {}
        self._waves_at = self.now
        self.phase = Phase.STABLE
        self.stopped_at: float | None = None
        self.reboots = 0
        self.resets = 0
        self.network_restarts = 0
        self._network_until = -inf
        self._phase_since = 0.0
        self._phase_until = inf
        self._wanted = True
        self._switched = 0
        self._held = False
        self._began_with = self.settings
        self._preheat_since: float | None = None
        self._preheated = False
        self._power_target_w = 0
        self._shares_before_pools = (0, 0)
        self._started = 0.0
        self._changed = 0.0
        self._settle(state)

    def _settle(self, state: str) -> None:
        """Start in the given state."""
        profile = self.profile
        phase = Phase(state)
        elapsed, lost = 86412.0, 420.0
        self.board_start = -elapsed - self.timing.btminer_boot_s
        self.btminer_start = -elapsed
        self.stable_cost_s = int(self.timing.stable_s)
        self._ramp = Ramp()
        running = phase is Phase.STABLE
        if running:
            self._ramp.target = self.power_percent / 100
        else:
            self._forget_percent()
        power = self.timing.idle_power_w
        share = 0.0
        if running:
            power = self._tuned_power_w() * self._ramp.target
            share = self.tuned_share(self._ramp.target)
        load = power / profile.power_w
        self._power = Lag(power)
        self._frequency = share
        self._hash = Lag(share)
        self._fan = Lag(profile.fan_rpm * share)
        warm = (profile.board_c - profile.environment_c) * sqrt(load)
        self._heat = Lag(warm if running else 0.0)
        rate = profile.hashrate_ths * share
        self._hashes = Odometer()
        self._hashes.start(0.0, rate, (rate or profile.hashrate_ths) * (elapsed - lost))
        self._energy = Odometer()
        self._energy.start(0.0, power, 0.0)
        self._hashes_at_start = 0.0
        self._changed = -float(self.timing.settle_s)
        match phase:
            case Phase.STOPPED:
                self._wanted = False
                self.phase = Phase.STOPPED
                self.stopped_at = self._phase_since = -float(self.timing.settle_s)
            case Phase.OFF_BOARD:
                self._reboot()
            case Phase.BTMINER_DOWN:
                self._board_up()
            case Phase.STARTING | Phase.UPFREQ:
                self._board_up()
                self.board_start = -self.timing.btminer_boot_s
                self._btminer_up()
                if phase is Phase.UPFREQ:
                    self.board_start -= self.timing.starting_s
                    self.btminer_start -= self.timing.starting_s
                    self._started -= self.timing.starting_s
                    self._tune()
            case _:
                pass

    # Time

    def advance(self, to: float) -> None:
        """Advance the machine to a time: second by second during changes, otherwise in one step."""
        end = float(floor(to))
        while self.now < end:
            self._happen()
            quiet = self._changed + self.timing.settle_s
            if self.phase in (Phase.STABLE, Phase.STOPPED) and self.now >= quiet:
                self._step(
                    min(end, self._events[0][0] if self._events else inf) - self.now
                )
            else:
                self._step(1.0)
        self._happen()

    def _happen(self) -> None:
        """Run everything that is due."""
        while self._events and self._events[0][0] <= self.now:
            heappop(self._events)[2]()
        if self.now >= self._phase_until:
            self._phase_until = inf
            match self.phase:
                case Phase.OFF_BOARD:
                    self._board_up()
                case Phase.BTMINER_DOWN:
                    self._btminer_up()
                case Phase.STARTING:
                    self._tune()
                case _:
                    self._finish_tuning()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule an action; a step ends on whole seconds."""
        self._event_number += 1
        heappush(
            self._events,
            (self.now + max(floor(seconds), 0), self._event_number, action),
        )

    def _enter(self, phase: Phase, seconds: float = inf) -> None:
        self.phase = phase
        self._phase_since = self._changed = self.now
        self._phase_until = self.now + seconds

    # What follows what

    def _reboot(self) -> None:
        self.reboots += 1
        self._events.clear()
        self.stopped_at = None
        self._held = False
        self._wanted = self.settings.start_at_boot
        self._preheat_since = None
        self._installed = self._to_install
        self._online()
        self._forget_percent()
        self._enter(Phase.OFF_BOARD, self.timing.off_board_s)

    def _online(self) -> None:
        """Apply the network settings."""
        self.hostname = self.settings.hostname
        self.timezone = self.settings.timezone
        self.network = self.settings.network

    def _restart_network(self) -> None:
        self.network_restarts += 1
        self._network_until = self.now + self.timing.network_restart_s
        self._online()

    def _board_up(self) -> None:
        self.board_start = self.now
        self._enter(Phase.BTMINER_DOWN, self.timing.btminer_boot_s)

    def _btminer_up(self, starting_s: float | None = None) -> None:
        self.btminer_start = self.now
        self._hashes_at_start = self._hashes.total
        self._shares_before_pools = (0, 0)
        if self._wanted:
            self._start(starting_s)
        else:
            self._stop()

    def _start(self, starting_s: float | None = None) -> None:
        self._began_with = self.settings
        self._power_target_w = self.settings.power_set_w
        self._preheated = self.preheat == PREHEATED
        self._preheat_since = None
        if self._fast:
            starting_s = self.timing.starting_fast_boot_s
        self._started = self.now
        self._enter(
            Phase.STARTING, self.timing.starting_s if starting_s is None else starting_s
        )

    def _tune(self) -> None:
        self._enter(Phase.UPFREQ, self._tuning_s())

    def _finish_tuning(self) -> None:
        self.stable_cost_s = int(self.now - self._started)
        self._enter(Phase.STABLE)

    def _restart(self) -> None:
        self._forget_percent()
        self.stopped_at = None
        self._enter(Phase.BTMINER_DOWN, self.timing.btminer_down_s)

    def _restart_if_mining(self) -> None:
        if self.phase is not Phase.STOPPED:
            self._restart()

    def _stop(self) -> None:
        if not self._wanted and self.phase is not Phase.STOPPED:
            self._forget_percent()
            self.stopped_at = self.now
            self._enter(Phase.STOPPED)

    def _forget_percent(self) -> None:
        self.power_percent = 100
        self.percent_set = 0
        self._ramp = Ramp()

    @property
    def _fast(self) -> bool:
        """Return whether this start reuses the tuning, or was preheated."""
        return self._began_with.fast_boot or self._preheated

    def _upfreq_90_s(self) -> float:
        """Return the time until 90 %, interpolated between the known speeds."""
        if self._fast:
            return self.timing.upfreq_fast_boot_90_s
        points = self.timing.upfreq_90_s
        speed = self._began_with.upfreq_speed
        for (low, slow), (high, fast) in pairwise(points):
            if speed <= high:
                return slow + (fast - slow) * (speed - low) / (high - low)
        return points[-1][1]

    def _tuning_s(self) -> float:
        """Return how long UPFREQ lasts."""
        whole = (
            self.timing.stable_s * self._upfreq_90_s() / self.timing.upfreq_90_s[0][1]
        )
        return max(whole - (self.now - self._started), 1.0)

    # Commands; each takes effect after the answer is on its way

    def reboot(self) -> None:
        """Restart the control board."""
        self._later(self.timing.command_delay_s, self._reboot)

    def restart(self) -> None:
        """Restart btminer; this also ends a stop."""
        self._switched += 1
        self._held = False
        self._wanted = True
        self._later(self.timing.command_delay_s, self._restart)

    def power_off(self, *, hold: bool = False) -> None:
        """Stop mining; with `hold`, firmware that undoes stops does not undo this one."""
        self._switched += 1
        self._held |= hold
        self._wanted = False
        self._preheat_since = None
        late = self._late(self.settings.time_randomized[1])
        self._later(self.timing.command_delay_s + late, self._stop)

    def undo_power_off(self, *, restarts: bool = False, held: bool = False) -> None:
        """Undo the stop later, as one firmware does (protocol.md#d3), unless another command follows."""
        switched = self._switched

        def undo() -> None:
            if self._switched == switched:
                (self.restart if restarts else self.power_on)()

        if held or not self._held:
            self._later(self.timing.undone_s, undo)

    def power_on(self) -> None:
        """Start mining."""
        self._switched += 1
        self._held = False
        self._wanted = True
        if late := self._late(self.settings.time_randomized[0]):
            self._later(late, self._power_on)
        else:
            self._power_on()

    def _late(self, most_s: int) -> float:
        """Return the delay of a start or a stop."""
        return self._random.uniform(1, most_s) if most_s else 0.0

    def _power_on(self) -> None:
        if self._wanted and self.phase is Phase.STOPPED:
            self.stopped_at = None
            starting_s = self.timing.starting_after_power_on_s
            if self.profile.elapsed_survives_stop:
                self._start(starting_s)
            else:
                self._btminer_up(starting_s)

    def preheat_now(self) -> None:
        """Preheat a stopped miner for its next start, unless it is preheating."""
        if self._preheat_since is None:
            self._preheat_since = self._changed = self.now

    def factory_reset(self) -> None:
        """Reset everything and restart the control board."""
        self._later(self.timing.command_delay_s, self._factory_reset)

    def _factory_reset(self) -> None:
        self.resets += 1
        self.settings = from_factory(self.profile)
        self.leds.clear()
        self._reboot()

    def update_firmware(self, version: str | None) -> None:
        """Restart the control board with another firmware or the same one."""
        self._to_install = version or self._installed
        self.reboot()

    def change(self, restart: Restart = Restart.NONE, **changes: Any) -> None:
        """Change settings, and restart what they require."""
        self.settings = replace(self.settings, **changes)
        match restart:
            case Restart.BTMINER:
                self._later(self.timing.command_delay_s, self._restart_if_mining)
            case Restart.NETWORK:
                self._later(self.timing.command_delay_s, self._restart_network)
            case Restart.BOARD:
                self.reboot()
            case _:
                pass

    @property
    def reported(self) -> Settings:
        """Return the settings that the miner reports."""
        if not self.reports_at_start:
            return self.settings
        began_with = {name: getattr(self._began_with, name) for name in FOR_NEXT_START}
        return replace(self.settings, **began_with)

    @property
    def fast_boot(self) -> bool:
        """Whether the next start is a fast boot."""
        return self.settings.fast_boot

    @fast_boot.setter
    def fast_boot(self, on: bool) -> None:
        self.change(fast_boot=on)

    def set_mode(self, mode: str) -> None:
        """Choose low, normal or high power."""
        self.change(Restart.BTMINER, power_mode=mode, mode_text=mode)

    def set_power_limit(self, watts: int | None) -> None:
        """Set the user's limit; None restores the default, 0 means no limit."""
        if watts is not None:
            profile = self.profile
            watts = min(watts, profile.power_limit_max_w or profile.power_limit_w)
        if watts != self.settings.power_limit_set:
            self.change(Restart.BTMINER, power_limit_set=watts)

    def set_percent(self, percent: int, *, gentle: bool) -> None:
        """Set the share of the tuned power; this has no effect before tuning is complete (protocol.md#d4)."""
        if self.phase is not Phase.STABLE and not (self.percent_early and self.mining):
            return
        seconds = self.timing.percent_ramp_s if gentle else self.timing.percent_fast_s
        self._ramp = Ramp(self._ramp.at(self.now), percent / 100, self.now, seconds)
        self.power_percent = self.percent_set = percent
        self._changed = self.now
        if self.percent_restarts and not self.fast_boot:
            self._restart()
            return
        unstable = percent < self.timing.low_percent and not gentle
        if (
            unstable
            and self._random.random() < self.timing.low_percent_restart_probability
        ):
            self._restart()

    def restore_percent(self) -> None:
        """Reset the percentage."""
        self.set_percent(100, gentle=False)
        self.percent_set = 0

    def set_power(self, watts: int) -> None:
        """Set the power to tune to: immediately on a tuned miner, otherwise at the next start; 0 is none."""
        self.change(power_set_w=watts)
        if self.phase is Phase.STABLE:
            self._power_target_w = watts
            self._changed = self.now

    def set_target_freq(self, percent: int) -> None:
        """Set the offset of the frequency."""
        if percent != self.settings.target_freq:
            self.change(Restart.BTMINER, target_freq=percent)

    def set_pools(self, pools: tuple[Pool, ...]) -> None:
        """Switch to other pools."""
        self._shares_before_pools = self.shares
        self.change(pools=pools)

    def set_board_count(self, count: int) -> None:
        """Set the number of working boards."""
        self.boards = tuple(range(count))

    # Physics

    @property
    def power_limit_w(self) -> int:
        """The active limit: the smaller of the user's and the mode's."""
        nominal = self.profile.power_limit_w
        limit = round(nominal * self._mode_share())
        wanted = self.settings.power_limit_set
        return min(limit, round(wanted * self.limit_share) if wanted else limit)

    @property
    def reported_percent(self) -> int:
        """Return the percentage that the miner reports."""
        if self.percent_follows:
            return round(100 * self._ramp.at(self.now))
        return self.power_percent

    def _mode_share(self) -> float:
        shares = {
            "low": self.timing.low_mode_share,
            "high": self.timing.high_mode_share,
        }
        return shares.get(self.settings.power_mode, 1.0)

    def _tuned_power_w(self) -> float:
        """Return the power after tuning: the smallest of mode, frequency, limit and set power."""
        frequency = max(
            1 + self.settings.target_freq / 100, self.timing.lowest_freq_share
        )
        power = self.profile.power_w * self._mode_share() * frequency
        return min(power, self.power_limit_w, self._power_target_w or inf)

    def tuned_share(self, percent: float = 1.0) -> float:
        """Return frequency and hashrate of the tuned miner, as a share of normal mode."""
        return float(
            (self._tuned_power_w() * percent / self.profile.power_w)
            ** self.timing.hash_exponent
        )

    def _targets(self) -> tuple[float, float]:
        """Return power, and frequency as a share of normal mode."""
        age = self.now - self._phase_since
        match self.phase:
            case Phase.STARTING:
                begun = min(age / (self._phase_until - self._phase_since), 1.0)
                idle = self.timing.idle_power_w
                return idle + (self.timing.starting_power_w - idle) * begun, 0.0
            case Phase.UPFREQ:
                first = self.timing.upfreq_first_share
                tau = self._upfreq_90_s() / log((1 - first) / 0.1)
                share = 1 - (1 - first) * exp(-age / tau)
                # Power runs ahead: an untuned miner is less efficient
                power = self._tuned_power_w() * share**self.timing.hash_exponent
                if self._began_with.fast_hash:
                    power = max(
                        power, self._tuned_power_w() * self.timing.fast_hash_share
                    )
                return max(
                    power, self.timing.starting_power_w
                ), self.tuned_share() * share
            case Phase.STABLE:
                percent = self._ramp.at(self.now)
                power = max(self._tuned_power_w() * percent, self.timing.idle_power_w)
                return power, self.tuned_share(percent)
            case Phase.STOPPED if self._preheat_since is not None:
                return self.timing.preheat_power_w, 0.0
            case _:
                return self.timing.idle_power_w, 0.0

    def _step(self, seconds: float) -> None:
        """Advance by one step with constant targets."""
        timing, profile = self.timing, self.profile
        power, frequency = self._targets()
        before = self._rate()
        power_before = self._power.value
        self._frequency = frequency
        self._power.follow(
            power, seconds, timing.power_stop_s / 7, profile.power_w * 1e-3
        )
        self._hash.follow(frequency, seconds, timing.hash_stop_s / 7.5, 1e-3)
        load = max(self._power.value - timing.idle_power_w, 0.0) / profile.power_w
        offset = self._began_with.temp_offset
        heat = (profile.board_c - profile.environment_c + offset) * sqrt(load)
        warming = heat > self._heat.value
        self._heat.follow(
            heat, seconds, timing.heating_s if warming else timing.cooling_s
        )
        self._fan.follow(self._fan_target(load), seconds, 5.0, 1.0)
        self.now += seconds
        self._hashes.add(self.now, (before + self._rate()) / 2 * seconds)
        self._energy.add(self.now, (power_before + self._power.value) / 2 * seconds)

    def _fan_target(self, load: float) -> float:
        timing, settings = self.timing, self.settings
        idle = timing.fan_idle_share
        full = 0.0 if settings.fan_zero_speed else float(self.profile.fan_rpm)
        match self.phase:
            case Phase.STARTING | Phase.BTMINER_DOWN:
                return full and timing.starting_fan_rpm
            case Phase.STOPPED if self.now - self._phase_since >= timing.fan_run_on_s:
                return full * idle if settings.poweroff_cool else 0.0
            case _:
                faster = 1 - self._began_with.temp_offset * timing.fan_share_per_k
                return full * (idle + (1 - idle) * load) * faster

    def _rate(self) -> float:
        return (
            self.profile.hashrate_ths
            * self._hash.value
            * len(self.boards)
            / self.profile.boards
        )

    # What can be seen

    @property
    def firmware(self) -> str:
        """The running version: the installed one, or that of the profile."""
        return self._installed or self.profile.firmware

    @property
    def online(self) -> bool:
        """Whether the network is up."""
        return self.phase is not Phase.OFF_BOARD and self.now >= self._network_until

    @property
    def stopping(self) -> bool:
        """Whether the miner is stopped, or about to stop."""
        return not self._wanted

    @property
    def preheat(self) -> str | None:
        """The answer of pre_power_on (protocol.md#d5); None if the miner is not preheating."""
        if self._preheat_since is None:
            return None
        age = self.now - self._preheat_since
        if age < self.timing.preheat_warm_s:
            return "wait for adjust temp"
        return "adjust continue" if age < self.timing.preheat_s else PREHEATED

    @property
    def mining(self) -> bool:
        """Whether the miner is not stopped."""
        return self.phase is not Phase.STOPPED

    @property
    def hash_stable(self) -> bool:
        """Whether tuning is done."""
        return self.phase is Phase.STABLE

    @property
    def btminer_answers(self) -> bool:
        """Whether the mining process is running and readable."""
        if self.phase is Phase.STOPPED:
            return not self.profile.text_when_stopped
        return self.phase not in (Phase.BTMINER_DOWN, Phase.OFF_BOARD)

    def elapsed(self, now: float) -> float:
        """Seconds since btminer started; most firmware does not count while stopped."""
        if self.stopped_at is not None and not self.profile.elapsed_survives_stop:
            now = self.stopped_at
        return max(now - self.btminer_start, 0.0)

    def noise(self, channel: int, amplitude: float) -> float:
        """Return a factor near 1 that depends only on seed and second."""
        if self._waves_at != self.now:
            self._waves_at = self.now
            self._waves.clear()
        if channel not in self._waves:
            self._waves[channel] = sum(
                sin(
                    2 * pi * self.now / (period * (1 + channel / 29))
                    + self._phases[(3 * channel + number) % 64]
                )
                for number, period in enumerate(NOISE_PERIODS_S)
            )
        return 1 + amplitude * self._waves[channel] / len(NOISE_PERIODS_S)

    def board_rates(self, window: float | None) -> dict[int, float]:
        """Return TH/s of each board over a window, or since btminer's start."""
        whole = sum([self._shares[slot] for slot in self.boards])
        shares = {slot: self._shares[slot] / whole for slot in self.boards}
        elapsed = self.now - self.btminer_start
        if self.phase is Phase.STOPPED:
            rate = self._rate()
        elif window is None or window >= elapsed:
            rate = self.hashes_th / elapsed if elapsed > 0 else 0.0
        else:
            rate = max(self._hashes.mean(window), 0.0)
            seconds = round(window)
            amplitude = {5: self.timing.noise_5s, 60: self.timing.noise_1m}.get(
                seconds, self.timing.noise
            )
            return {
                slot: rate * share * self.noise(3 * slot + seconds % 7, amplitude)
                for slot, share in shares.items()
            }
        return {slot: rate * share for slot, share in shares.items()}

    def rate(self, window: float | None) -> float:
        """Return TH/s of the miner: the sum of its boards."""
        return sum(self.board_rates(window).values())

    @property
    def hashes_th(self) -> float:
        """All hashes since btminer's start, in TH."""
        return max(self._hashes.total - self._hashes_at_start, 0.0)

    @property
    def power_w(self) -> float:
        """Power at this moment."""
        return self._power.value * self.noise(40, self.timing.noise)

    @property
    def power_mean_w(self) -> float:
        """The mean power of the last five minutes, as 2.2.x reports it."""
        return self._energy.mean(self.timing.power_mean_s) * self.noise(
            41, self.timing.noise / 5
        )

    @property
    def environment_c(self) -> float:
        """Temperature of the air at the intake, or of the control board."""
        return self.profile.environment_c * self.noise(42, 0.01)

    def board_c(self, slot: int) -> float:
        """Return the temperature of one board."""
        heat = self._heat.value * self.noise(43 + slot, self.timing.noise)
        cooler = self._board_offsets[slot] * self._load()
        return self.environment_c + heat + cooler

    def chip_c(self, slot: int) -> tuple[float, float, float]:
        """Return the lowest, mean and highest chip temperature of one board."""
        profile, board, load = self.profile, self.board_c(slot), self._load()
        first, mean, last = (
            board + kelvin * load
            for kelvin in (profile.chip_min_k, profile.chip_avg_k, profile.chip_max_k)
        )
        return first, mean, last

    def _load(self) -> float:
        return (
            max(self._power.value - self.timing.idle_power_w, 0.0)
            / self.profile.power_w
        )

    def fan_rpm(self, channel: int) -> int:
        """Return the speed of a fan, in the steps of its counter."""
        step = self.profile.fan_step_rpm
        speed = self._fan.value * self.noise(48 + channel, self.timing.noise)
        return step * round(speed / step)

    @property
    def frequency_mhz(self) -> float:
        """Mean frequency of the chips."""
        return (
            self.profile.frequency_mhz
            * self._frequency
            * self.noise(50, self.timing.noise / 5)
        )

    def board_mhz(self, slot: int) -> float:
        """Return the frequency of one board."""
        return self.profile.frequency_mhz * self._frequency * (1 + (slot - 1) * 0.004)

    @property
    def shares(self) -> tuple[int, int]:
        """Return accepted and rejected shares since btminer's start."""
        found = floor(self.hashes_th * 1e12 / 2**32 / self.profile.share_difficulty)
        rejected = found // 1700
        return found - rejected, rejected

    @property
    def pool_shares(self) -> tuple[int, int]:
        """Return accepted and rejected shares of the active pool."""
        (accepted, rejected), (before, lost) = self.shares, self._shares_before_pools
        return accepted - before, rejected - lost

    @property
    def liquid_c(self) -> float:
        """Temperature of the liquid, measured in the power supply."""
        warmer = (self.profile.liquid_c - self.profile.environment_c) * self._load()
        return self.environment_c + warmer

    @property
    def output_v(self) -> float:
        """Output voltage of the power supply to the boards."""
        return 12.22 * self.noise(53, self.timing.noise) if self._load() else 0.0

    def _psu(self) -> PsuTruth:
        psu = self.profile.psu
        load = self._load()
        power = self.power_w
        volts = psu.voltage_v * self.noise(51, self.timing.noise)
        lines = sqrt(3) if psu.phases == 3 else 1.0
        return PsuTruth(
            model=psu.model,
            input_voltage_v=volts,
            input_current_a=power / volts / lines if load else 0.0,
            input_power_w=power,
            fan_speed_rpm=round(psu.fan_rpm * min(1.0, 0.5 + 0.5 * load))
            if load
            else 0,
            temperature_c=self.environment_c
            + (psu.temperature_c - self.profile.environment_c) * load,
        )

    def truth(self, now: float) -> Truth:
        """Return the complete state; each dialect removes what it does not report."""
        profile = self.profile
        chips = [self.chip_c(slot) for slot in self.boards]
        all_chips = chips or [(self.environment_c,) * 3]
        accepted, rejected = self.shares
        of_pool = self.pool_shares
        rates = self.board_rates(300)
        power, rate = self.power_w, sum(rates.values())
        temperatures = {slot: self.board_c(slot) for slot in self.boards}
        return Truth(
            phase=self.phase,
            mining=self.mining,
            stop_reason=None if self.mining else STOP_REASON,
            elapsed_s=self.elapsed(now),
            uptime_s=int(max(now - self.board_start, 0.0)),
            hashrate_ths=rate,
            hashrate_average_ths=self.rate(None),
            hashrate_5s_ths=self.rate(5),
            hashrate_1m_ths=self.rate(60),
            hashrate_5m_ths=rate,
            hashrate_15m_ths=self.rate(900),
            hashrate_target_ths=profile.hashrate_ths * self.tuned_share(),
            hashrate_nominal_ths=profile.nominal_ths,
            power_w=power,
            power_rate_jth=power / rate if rate else 0.0,
            power_limit_w=(
                0
                if profile.limit_zero_while_starting and self.phase is Phase.STARTING
                else self.power_limit_w
            ),
            power_mode=self.settings.power_mode,
            power_percent=self.power_percent,
            temperature_c=max(temperatures.values(), default=self.environment_c),
            environment_temperature_c=self.environment_c,
            liquid_temperature_c=None,
            chip_temperature_min_c=min(chip[0] for chip in all_chips),
            chip_temperature_avg_c=sum(chip[1] for chip in all_chips) / len(all_chips),
            chip_temperature_max_c=max(chip[2] for chip in all_chips),
            fan_speed_in_rpm=self.fan_rpm(0),
            fan_speed_out_rpm=self.fan_rpm(1),
            frequency_average_mhz=self.frequency_mhz,
            frequency_target_mhz=profile.frequency_mhz * self.tuned_share(),
            hash_stable=self.hash_stable,
            fast_boot=self.settings.fast_boot,
            accepted_shares=accepted,
            rejected_shares=rejected,
            reject_rate_percent=100 * rejected / (accepted + rejected)
            if accepted
            else 0.0,
            boards=tuple(
                BoardTruth(
                    slot=slot,
                    hashrate_ths=rates[slot],
                    temperature_c=temperatures[slot],
                    chip_temperature_min_c=chip[0],
                    chip_temperature_avg_c=chip[1],
                    chip_temperature_max_c=chip[2],
                    frequency_mhz=self.board_mhz(slot),
                    chips=profile.chips,
                )
                for slot, chip in zip(self.boards, chips, strict=True)
            ),
            pools=tuple(
                PoolTruth(
                    url=pool.url,
                    user=pool.user,
                    active=number == 0 and self.mining,
                    status="Alive",
                    accepted=of_pool[0] if number == 0 else 0,
                    rejected=of_pool[1] if number == 0 else 0,
                )
                for number, pool in enumerate(self.settings.pools)
            ),
            psu=self._psu(),
            error_codes=tuple(self.errors),
            led_auto=not self.leds,
            preheat=self.preheat,
            hostname=self.hostname,
            network=self.network,
            timezone=self.timezone,
            firmware=self.firmware,
            model=profile.model,
            settings=self.settings,
        )

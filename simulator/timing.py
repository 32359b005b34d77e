"""Time: every duration of the timelines in protocol.md#h2, and a manual clock for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take, and how far they go (protocol.md#a1, #b5 and #h2).

    What the miner does is simulated time, so the speed factor makes it shorter. What the
    connection does (idle, token, stall) is time on the clock.
    """

    # Reboot, restart, start
    off_board_s: float = 60
    btminer_boot_s: float = 27
    btminer_down_s: float = 10
    starting_s: float = 45
    starting_after_power_on_s: float = 60
    starting_fast_boot_s: float = 10
    starting_power_w: float = 500
    starting_fan_rpm: float = 7200
    command_delay_s: float = 1
    network_restart_s: float = 5

    # pre_power_on: until it is warm, until all is adjusted
    preheat_warm_s: float = 60
    preheat_s: float = 180
    preheat_power_w: float = 800

    # Tuning: time to 90 % at upfreq speed 0, 5 and 9; stable after `stable_s` at speed 0
    upfreq_first_share: float = 0.12
    upfreq_90_s: tuple[tuple[int, float], ...] = ((0, 900), (5, 540), (9, 400))
    upfreq_fast_boot_90_s: float = 40
    fast_hash_share: float = 0.95
    stable_s: float = 1300

    # Stop
    hash_stop_s: float = 15
    power_stop_s: float = 5
    idle_power_w: float = 15
    fan_run_on_s: float = 60
    fan_idle_share: float = 0.5
    # How much faster the fans turn for each degree of the offset
    fan_share_per_k: float = 0.01
    undone_s: float = 180

    # Power
    low_mode_share: float = 0.75
    high_mode_share: float = 1.10
    hash_exponent: float = 0.8
    percent_fast_s: float = 1
    percent_ramp_s: float = 180
    lowest_freq_share: float = 0.1
    low_percent: int = 40
    low_percent_restart_probability: float = 0.5
    power_mean_s: float = 300

    # Heat
    heating_s: float = 120
    cooling_s: float = 300

    # Noise, as a share of the value
    noise: float = 0.005
    noise_5s: float = 0.15
    noise_1m: float = 0.02

    # After this time without a change the rest is computed in one stride
    settle_s: int = 1800

    # The control board: for one answer, and whether it gives one at a time
    answer_s: float = 0
    serial: bool = False

    # The connection
    idle_s: float = 10
    stall_s: float = 3
    linger_s: float = 0.25
    byte_gap_s: float = 1
    token_life_s: float = 1800
    token_limit_per_ip: int = 32
    token_limit: int = 32 * 16
    busy_s: float = 0
    v3_idle_s: float = 300
    v3_clients: int = 10
    # Between the answer and a log
    log_gap_s: float = 0.01


class ManualClock:
    """A clock that only `advance` moves."""

    def __init__(self, now: float = 0.0) -> None:
        """Start at a given time."""
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds


class SimTime:
    """Turns what a clock reads into simulated seconds, and those into time of day."""

    def __init__(
        self,
        clock: Callable[[], float],
        speed: float,
        epoch: float,
        offset_s: float = 0.0,
    ) -> None:
        """Start now; the miner's own clock can have an offset."""
        self.clock = clock
        self.offset_s = offset_s
        self._begin = clock()
        self._speed = speed
        self._epoch = epoch

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return (self.clock() - self._begin) * self._speed

    def wall(self, simulated: float) -> float:
        """Return the miner's Unix time; it does not run faster than other clocks."""
        return self._epoch + simulated / self._speed + self.offset_s

    def local(self, simulated: float, zone_s: int) -> str:
        """Return a time as text, in the miner's time zone."""
        zone = timezone(timedelta(seconds=zone_s))
        return f"{datetime.fromtimestamp(self.wall(simulated), zone):%Y-%m-%d %H:%M:%S}"

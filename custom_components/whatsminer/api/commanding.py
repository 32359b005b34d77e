"""Every command of a miner with its bounds, in no dialect.

Each checks its parameters and sends them through a `Writer`; `v2/protocol.py` and
`v3/protocol.py` encode them. Letters in brackets are sections of docs/protocol.md.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from .errors import (
    AccountRefusedError,
    InvalidValueError,
    NoAnswerError,
    UnknownOutcomeError,
    WhatsminerError,
    WrongPasswordError,
)
from .models import (
    COIN_TYPES,
    Cooling,
    Dialect,
    Feature,
    HeatMode,
    LedColor,
    LedPattern,
    LogServer,
    MinerInfo,
    Network,
    PoolLogin,
    PowerMode,
    Preheat,
)
from .parse import JsonObject, parse_preheat
from .v3.protocol import DEFAULT_ACCOUNT
from .validation import (
    check_choice,
    check_custom_data,
    check_hostname,
    check_leds,
    check_log_server,
    check_network,
    check_new_password,
    check_ntp_servers,
    check_permission,
    check_pools,
    check_range,
    check_time_zone,
)

MAX_FIRMWARE = 256 << 20
"""Bytes of a firmware image."""

DEFAULT_HOSTNAME = "WhatsMiner"

type Write = Callable[[bytes], Awaitable[object]]
"""Takes the next bytes of a log; it may take its time."""
type Progress = Callable[[int], object]
"""Receives the number of bytes of an image that are sent."""


class Writer(ABC):
    """How commands reach a miner: on 4028 with the admin's password, on 4433 with an account."""

    account: str
    """`admin`, or an account of API 3.x."""
    password: str | None
    highest_upfreq_speed: int
    heat_modes: tuple[HeatMode, ...]
    """The heat modes that can be set."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """Return the dialect that commands are encoded in."""

    @property
    def lowest_frequency(self) -> int:
        """Return how far the frequency can be lowered, in percent."""
        return -10 if self.dialect is Dialect.V1 else -100

    def use_password(self, password: str | None) -> None:
        """Write with this password from now on."""
        self.password = password

    @abstractmethod
    async def send_feature(self, feature: Feature, *values: Any) -> JsonObject:
        """Encode a feature for the dialect, send it, and return the last answer."""

    @abstractmethod
    async def check_password(self) -> bool:
        """Return True if the password is right, False if nothing can be found out (protocol.md#b6, #e2).

        Changes nothing on the miner. Raises the reason when the miner refuses the password.
        """

    @abstractmethod
    async def check_write_access(self) -> bool:
        """Return True when a write was accepted, False when only the password is proven.

        Changes nothing on the miner. Raises the reason when the miner refuses.
        """

    @abstractmethod
    async def install(
        self, image: AsyncIterable[bytes], size: int, progress: Progress | None
    ) -> None:
        """Announce a firmware image and send it."""


class Commands(ABC):
    """All commands of a miner.

    Commands return when the miner has acknowledged. They raise ValueError, before anything is
    sent, for a parameter out of bounds and for what this miner cannot do; CannotConnectError or
    a refusal when they certainly had no effect; and UnknownOutcomeError when that cannot be
    known. None is repeated after that.
    """

    info: MinerInfo
    writer: Writer

    @property
    def has_password(self) -> bool:
        """Return whether anything can be written at all."""
        return bool(self.writer.password)

    @property
    def account(self) -> str:
        """Return the account that commands are sent with."""
        return self.writer.account

    @property
    def heat_modes(self) -> tuple[HeatMode, ...]:
        """Return the heat modes that can be set."""
        return self.writer.heat_modes

    async def check_password(self) -> bool:
        """Check the password as `Writer.check_password` does."""
        return await self.writer.check_password()

    async def check_write_access(self) -> bool:
        """Check the access as `Writer.check_write_access` does."""
        return await self.writer.check_write_access()

    def require(self, feature: Feature) -> None:
        """Raise InvalidValueError for what this miner cannot do."""
        if feature not in self.info.features:
            version = self.info.api_version
            raise InvalidValueError("feature", version=version, feature=feature.value)

    def range_of(self, feature: Feature) -> range:
        """The whole numbers that a feature takes on this miner."""
        liquid = self.info.cooling is Cooling.LIQUID
        match feature:
            case Feature.POWER_LIMIT | Feature.POWER:
                # W; 0 does not stop the miner but lifts the limit: it is never sent (protocol.md#d3)
                return range(1, 100_000)
            case Feature.POWER_PERCENT:
                return range(201 if liquid else 101)
            case Feature.TARGET_FREQUENCY:  # percent
                return range(self.writer.lowest_frequency, 101 if liquid else 1)
            case Feature.TEMPERATURE_OFFSET:
                return range(-30, 1)
            case Feature.UPFREQ_SPEED:
                return range(self.writer.highest_upfreq_speed + 1)
            case Feature.RANDOM_DELAY:
                return range(121)
            case _:
                raise ValueError(f"{feature.value} is no number")

    async def _set(self, feature: Feature, *values: Any) -> JsonObject:
        """Send a feature with valid parameters."""
        self.require(feature)
        return await self.writer.send_feature(feature, *values)

    async def _set_number(self, feature: Feature, value: int, *more: Any) -> None:
        self.require(feature)
        check_range(feature.value, value, self.range_of(feature))
        await self.writer.send_feature(feature, value, *more)

    # Mining

    async def start_mining(self) -> None:
        """Start mining (protocol.md#d3)."""
        await self._set(Feature.MINING, True)

    async def stop_mining(self) -> None:
        """Stop mining; the control board stays up (protocol.md#d3)."""
        await self._set(Feature.MINING, False)

    async def restart_btminer(self) -> None:
        """Restart the mining process: hashing stops and tuning begins again (protocol.md#d1)."""
        await self._set(Feature.RESTART)

    async def reboot(self) -> None:
        """Restart the control board: the miner is offline for some minutes (protocol.md#d1)."""
        await self._set(Feature.REBOOT)

    async def set_start_at_boot(self, enabled: bool) -> None:
        """Set whether the miner mines after its next boot (protocol.md#d1). It does not report it."""
        await self._set(Feature.START_AT_BOOT, enabled)

    async def pre_power_on(self) -> Preheat:
        """Warm up a stopped, liquid cooled miner so that it starts quickly (protocol.md#d5, to 2.0.x).

        Returns the progress; repeat until it is complete.
        """
        return parse_preheat(await self._set(Feature.PREHEAT))

    # Power

    async def set_power_mode(self, mode: PowerMode) -> None:
        """Set the power mode; btminer restarts (protocol.md#d4)."""
        await self._set(Feature.POWER_MODE, mode)

    async def set_power_limit(self, watts: int) -> None:
        """Set the power limit in W; btminer restarts. Survives a reboot (protocol.md#d4)."""
        await self._set_number(Feature.POWER_LIMIT, watts)

    async def set_power_percent(self, percent: int, *, fast: bool = False) -> None:
        """Set the power in percent of the tuned power, without a restart (protocol.md#d4).

        It takes about a second when it shall be fast, or where the miner knows no gentler way,
        and else some minutes. Lost at every restart; without effect before tuning is finished.
        """
        await self._set_number(Feature.POWER_PERCENT, percent, fast)

    async def restore_power_percent(self) -> None:
        """Remove any power percent (protocol.md#d1)."""
        await self._set(Feature.RESTORE_POWER_PERCENT)

    async def set_power(self, watts: int) -> None:
        """Set a target power in W: immediately if tuning is finished, else at the next start (protocol.md#d4)."""
        await self._set_number(Feature.POWER, watts)

    async def set_target_frequency(self, percent: int) -> None:
        """Set the frequency off by so many percent of normal, 0 for none; btminer restarts (protocol.md#d4).

        Air cooled miners only go down.
        """
        await self._set_number(Feature.TARGET_FREQUENCY, percent)

    async def set_upfreq_speed(self, speed: int) -> None:
        """Set how quickly the frequency rises while tuning, from the next start on (protocol.md#d1).

        0 is normal; up to 9 on 4028 and to 10 on 4433, which are fast.
        """
        await self._set_number(Feature.UPFREQ_SPEED, speed)

    async def set_fast_boot(self, enabled: bool) -> None:
        """Switch fast boot on or off, from the next start on (protocol.md#d1)."""
        await self._set(Feature.FAST_BOOT, enabled)

    async def set_fast_hash(self, enabled: bool) -> None:
        """Let the power be near its limit already while tuning, or not (protocol.md#e6, since 3.0.2)."""
        await self._set(Feature.FAST_HASH, enabled)

    # Heat

    async def set_heat_mode(self, mode: HeatMode) -> None:
        """Set what a liquid cooled miner does with its heat, one of `heat_modes` (protocol.md#d1, #e6)."""
        self.require(Feature.HEAT_MODE)
        check_choice("heat_mode", mode, self.heat_modes)
        await self.writer.send_feature(Feature.HEAT_MODE, mode)

    async def set_power_off_cool(self, enabled: bool) -> None:
        """Set whether fans continue after mining stops; immediately, air only (protocol.md#d1)."""
        await self._set(Feature.POWER_OFF_COOL, enabled)

    async def set_fan_zero_speed(self, enabled: bool) -> None:
        """Set whether fans may stop when they are not needed; immediately, air only (protocol.md#d1)."""
        await self._set(Feature.FAN_ZERO_SPEED, enabled)

    async def set_temperature_offset(self, degrees: int) -> None:
        """Aim at a lower temperature, by -30 to 0 degrees Celsius; from the next start, air (protocol.md#d1)."""
        await self._set_number(Feature.TEMPERATURE_OFFSET, degrees)

    # Pools

    async def set_pools(self, *pools: PoolLogin) -> None:
        """Mine for these pools, one to three, the first that answers; immediately (protocol.md#d1, #e4)."""
        check_pools(pools)
        await self._set(Feature.POOLS, *pools)

    async def set_web_pools(self, enabled: bool) -> None:
        """Set whether pools can be changed on the miner's web page; immediately (protocol.md#d1)."""
        await self._set(Feature.WEB_POOLS, enabled)

    async def set_coin_type(self, coin: str) -> None:
        """Set what is mined, one of COIN_TYPES (protocol.md#e6)."""
        check_choice("coin", coin, COIN_TYPES)
        await self._set(Feature.COIN_TYPE, coin)

    # LEDs

    async def set_led_auto(self) -> None:
        """Let the miner control its LEDs (protocol.md#d1)."""
        await self._set(Feature.LED)

    async def set_leds(self, *patterns: LedPattern) -> None:
        """Blink one LED or both, until they are set to automatic again; times in ms (protocol.md#d1)."""
        check_leds(patterns)
        await self._set(Feature.LED, *patterns)

    async def blink(self) -> None:
        """Blink both LEDs as the vendor's own examples do (protocol.md#d2)."""
        await self.set_leds(*(LedPattern(color=color) for color in LedColor))

    # The control board

    async def set_hostname(self, hostname: str) -> None:
        """Set the name in the network, which restarts (protocol.md#d1; on 3.x at the next reboot)."""
        check_hostname(hostname)
        await self._set(Feature.HOSTNAME, hostname)

    async def set_time_zone(self, timezone: str, zone_name: str) -> None:
        """Set the time zone: `CST-8`, in the manner of POSIX, and `Asia/Shanghai` (protocol.md#d1).

        The network restarts.
        """
        check_time_zone(timezone, zone_name)
        await self._set(Feature.TIME_ZONE, timezone, zone_name)

    async def set_ntp_servers(self, *servers: str) -> None:
        """Set where the miner has its time from: one to four names or addresses (protocol.md#e6)."""
        check_ntp_servers(servers)
        await self._set(Feature.NTP_SERVERS, *servers)

    async def set_random_delay(self, start: int, stop: int) -> None:
        """Delay start and stop of mining by up to so many seconds, each up to 120 (protocol.md#e6).

        A stop may be late by that time from then on.
        """
        self.require(Feature.RANDOM_DELAY)
        allowed = self.range_of(Feature.RANDOM_DELAY)
        check_range("start", start, allowed)
        check_range("stop", stop, allowed)
        await self.writer.send_feature(Feature.RANDOM_DELAY, start, stop)

    async def set_log_server(self, server: LogServer) -> None:
        """Send the miner's log to a server, from now on (protocol.md#d1)."""
        check_log_server(server)
        await self._set(Feature.LOG_SERVER, server)

    async def set_network(self, network: Network) -> None:
        """Set the addresses of the miner, or let DHCP do it; the control board reboots (protocol.md#d1).

        It is to be found at the new address then. Often this is not answered.
        """
        check_network(network)
        hostname = self.info.hostname or DEFAULT_HOSTNAME
        await self._set(Feature.NETWORK, network, hostname)

    async def set_custom_data(self, key: str, value: str) -> None:
        """Keep a text on the miner: `CustomerSn`, or `msg0` to `msg9` (protocol.md#d1, #e6)."""
        check_custom_data(key, value)
        await self._set(Feature.CUSTOM_DATA, key, value)

    async def set_permission(self, user: str, *commands: str) -> None:
        """Let `user1`, `user2` or `user3` give these commands, and no others (protocol.md#e6).

        Only `super` may.
        """
        check_permission(user, commands)
        await self._set(Feature.PERMISSION, user, *commands)

    async def set_ssh(self, enabled: bool) -> None:
        """Open or close the miner's SSH server (protocol.md#d1, 1.x)."""
        await self._set(Feature.SSH, enabled)

    async def change_password(self, new: str) -> None:
        """Give `account` a new password, and use it from then on (protocol.md#d1, #e4).

        Whether it is accepted is checked immediately, without another change. UnknownOutcomeError
        means that it is not; the old one stays in use then.
        """
        check_new_password(new)
        old = self.writer.password
        acknowledged = True
        try:
            await self._set(Feature.PASSWORD, old, new)
        except UnknownOutcomeError:
            acknowledged = False
        self.writer.use_password(new)
        try:
            if not await self.check_password() and not acknowledged:
                raise NoAnswerError("nothing shows whether the password was changed")
        except WhatsminerError as err:
            # Of other accounts than these it is not known whether they may do the check.
            refused = isinstance(err, WrongPasswordError) or (
                isinstance(err, AccountRefusedError) and err.account == DEFAULT_ACCOUNT
            )
            if acknowledged and not refused:
                return  # the miner acknowledged it
            self.writer.use_password(old)
            raise UnknownOutcomeError("the new password does not hold") from err

    async def restore_settings(self) -> None:
        """Set all that concerns mining back to factory defaults (protocol.md#e6)."""
        await self._set(Feature.RESTORE_SETTINGS)

    async def factory_reset(self) -> None:
        """Set everything back to factory defaults; the control board reboots (protocol.md#d1).

        Network, passwords, permissions, API switch, pools, power mode and limit are reset.
        """
        await self._set(Feature.FACTORY_RESET)

    # Files

    async def download_logs(self, write: Write) -> int:
        """Hand the miner's log, a tgz file, to `write` piece by piece; return its size (protocol.md#d7).

        Changes nothing on the miner. Raises NoAnswerError when it breaks off and
        InvalidAnswerError when it would be too long.
        """
        self.require(Feature.DOWNLOAD_LOGS)
        return await self._download(write)

    async def update_firmware(
        self,
        image: AsyncIterable[bytes],
        size: int,
        progress: Progress | None = None,
    ) -> None:
        """Install a firmware image of `size` bytes; the control board reboots (protocol.md#d6).

        The image must be made for `info.platform`; the miner is not known to check that.
        Raises a refusal or NoAnswerError when the miner did not ask for the image, ValueError
        when the image has not that size, and UnknownOutcomeError when the outcome is
        unknown: read the version then.
        """
        self.require(Feature.UPDATE_FIRMWARE)
        if not 1 <= size <= MAX_FIRMWARE:
            raise InvalidValueError("image_size", size=size, most=MAX_FIRMWARE)
        await self.writer.install(image, size, progress)

    @abstractmethod
    async def _download(self, write: Write) -> int:
        """Ask for the log and receive it."""

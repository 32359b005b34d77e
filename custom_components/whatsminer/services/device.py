"""The administrators' actions: one row each, and the function that runs them all."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from homeassistant.const import CONF_PASSWORD
from homeassistant.core import SupportsResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
import probatio

from ..api import (
    Feature,
    InvalidValueError,
    LedColor,
    LedPattern,
    LogProtocol,
    LogServer,
    Miner,
    MinerState,
    Network,
    NoPasswordError,
    PoolLogin,
    Section,
    UnknownOutcomeError,
    WhatsminerError,
)
from ..commander import DEADLINE_FLAG, DEADLINE_REBOOT, Command, Commander
from ..const import CONF_V3_PASSWORD, LOGGER
from ..controls import POWER_LIMIT
from ..coordinator import WhatsminerCoordinator
from ..exceptions import failed, invalid, not_sent, translated
from ..runtime import WhatsminerData
from .follow_up import async_after_network, async_after_reset, async_after_update
from .transfer import async_download_log, async_send_image

type Data = Mapping[str, Any]
type Response = dict[str, Any]

ATTR_CONFIRM: Final = "confirm"


@dataclass(frozen=True, kw_only=True)
class Action:
    """A command or read of a miner, and how to confirm it."""

    name: str
    feature: Feature | None
    """The feature that a miner must have; None where that depends on the data."""
    send: Callable[[WhatsminerCoordinator, Data], Awaitable[Any]]
    """Send it once and return the response, unless `after` returns another."""
    fields: Mapping[Any, Any] = field(default_factory=dict)
    confirm: bool = False
    """Whether the user must confirm it explicitly."""
    response: SupportsResponse = SupportsResponse.NONE
    reads: bool = False
    """Whether it only reads."""
    for_one: Callable[[Data], bool] = lambda _: False
    """Return whether it can only run for one miner at a time."""
    blocked: Callable[[MinerState], str | None] = lambda _: None
    """Return the key of the error if the miner would refuse it now."""
    shows: Callable[[MinerState, Data], bool | None] | None = None
    """Return whether the miner reports the effect, in `section`; None where its answers lack it."""
    section: Section = Section.SETTINGS
    readable: Callable[[MinerState], bool] = lambda _: True
    """Return whether this miner reports it now, in addition to `unreadable`."""
    interrupts: bool = False
    """Whether the miner's network restarts."""
    reboots: bool = False
    """Whether its control board reboots."""
    user_command: Callable[[Data], tuple[str, Any]] | None = None
    """Return the equivalent control and value: it overrides a power target or curtailment."""
    around: Callable[[WhatsminerData], AbstractContextManager[object]] = nullcontext
    """What surrounds sending and confirming."""
    after: (
        Callable[[WhatsminerCoordinator, Data, MinerState], Awaitable[Any]] | None
    ) = None
    """Confirm it where no poll reports it; gets the previous state, may return a response."""

    def __post_init__(self) -> None:
        """Add the optional field `confirm`: a missing one raises our own error."""
        if self.confirm:
            confirmation = {probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean}
            object.__setattr__(self, "fields", {**self.fields, **confirmation})

    def check(self, data: Data) -> None:
        """Raise an error with the consequences unless the user confirmed."""
        if self.confirm and not data[ATTR_CONFIRM]:
            raise invalid(f"confirm_{self.name}")

    async def async_run(self, runtime: WhatsminerData, data: Data) -> Response | None:
        """Run it for one miner.

        Raise a translated HomeAssistantError when the miner does not support it, refuses it, does
        not report the effect before the deadline, or when the result is unknown.
        """
        coordinator = runtime.coordinator
        name, info = coordinator.config_entry.title, coordinator.miner.info
        if not self.reads and not coordinator.miner.has_password:
            raise translated(HomeAssistantError, NoPasswordError(), coordinator.host)
        if self.feature and self.feature not in info.features:
            raise invalid(
                "not_supported", name=name, version=info.api_version or info.dialect
            )
        if not self.reads:
            # The effect is compared with the current state.
            await coordinator.async_refresh_all()
        before = coordinator.data
        if reason := self.blocked(before):
            raise invalid(reason, name=name)
        with translated_errors(coordinator), self.around(runtime):
            if self.reads:
                result = await self.send(coordinator, data)
            else:
                result = await self._async_command(runtime.commander, data)
            if self.after:
                result = await self.after(coordinator, data, before)
        return result or {}

    async def _async_command(self, commander: Commander, data: Data) -> Any:
        """Send it through the commander, and return the result."""
        coordinator = commander.coordinator
        before, shows = coordinator.data, self.shows
        result: Any = None

        async def send(_: Miner) -> None:
            nonlocal result
            try:
                result = await self.send(coordinator, data)
            except UnknownOutcomeError:
                if not self.after:
                    raise
                LOGGER.debug(
                    "%s: %s not answered, reading back", coordinator.name, self.name
                )

        def sent(_: bool) -> None:
            if self.user_command:
                commander.notify_user_command(*self.user_command(data))

        done: Callable[[MinerState], bool | None] | None = None
        if (
            shows
            and self.feature not in before.info.unreadable
            and self.section not in before.failed
            and self.readable(before)
        ):
            done = lambda state: shows(state, data)  # noqa: E731
        if not await commander.async_command(
            Command(
                key=self.name,
                send=send,
                sent=sent,
                done=done,
                deadline=DEADLINE_REBOOT if self.reboots else DEADLINE_FLAG,
                slow=True,
                interrupts=self.interrupts or self.reboots,
            )
        ):
            raise failed("overtaken", name=coordinator.config_entry.title)
        return result


@contextmanager
def translated_errors(coordinator: WhatsminerCoordinator) -> Generator[None]:
    """Raise a translated error for an error of the client."""
    try:
        yield
    except InvalidValueError as err:
        raise not_sent(err, coordinator.config_entry.title) from err
    except WhatsminerError as err:
        raise translated(HomeAssistantError, err, coordinator.host) from err


# Helpers of the table


async def _reset_profile(coordinator: WhatsminerCoordinator, data: Data) -> None:
    runtime: WhatsminerData = coordinator.config_entry.runtime_data
    runtime.learning.reset(wear_only=data["wear_only"])


def _pools(data: Data) -> list[PoolLogin]:
    return [PoolLogin(**pool) for pool in data["pools"]]


def _shows_pools(state: MinerState, data: Data) -> bool:
    reported = [(pool.url, pool.user) for pool in state.pools or () if pool.url]
    return reported == [(pool.url, pool.user) for pool in _pools(data)]


def _shows(**wanted: str) -> Callable[[MinerState, Data], bool | None]:
    """Return a function that compares the settings with the fields of an action.

    The function returns None where the answers of the miner lack all of them.
    """

    def shows(state: MinerState, data: Data) -> bool | None:
        if state.settings is None:
            return False
        reported = {key: getattr(state.settings, name) for name, key in wanted.items()}
        if set(reported.values()) == {None}:
            return None
        return all(value == data[key] for key, value in reported.items())

    return shows


def _only(data: Data, cls: type) -> Data:
    """Return those fields of an action that are fields of a class."""
    return {f.name: data[f.name] for f in fields(cls) if f.name in data}


async def _set_leds(coordinator: WhatsminerCoordinator, data: Data) -> None:
    if patterns := [LedPattern(**pattern) for pattern in data["patterns"]]:
        await coordinator.miner.set_leds(*patterns)
    else:
        await coordinator.miner.set_led_auto()


async def _reset(
    coordinator: WhatsminerCoordinator, command: Callable[[], Awaitable[None]]
) -> None:
    """Send a reset, and drop the stored settings, also if the miner does not answer."""
    try:
        await command()
    except UnknownOutcomeError:
        coordinator.store.drop_settings()
        raise
    coordinator.store.drop_settings()


async def _preheat(coordinator: WhatsminerCoordinator, data: Data) -> Response:
    return asdict(await coordinator.miner.pre_power_on())


async def _change_password(coordinator: WhatsminerCoordinator, data: Data) -> None:
    """Change the password, and save it in the entry, so that it works after a restart too."""
    miner, entry = coordinator.miner, coordinator.config_entry
    new: str = data["new_password"]
    try:
        await miner.change_password(new)
    except UnknownOutcomeError as err:
        raise failed("password_unclear", name=entry.title) from err
    key = CONF_PASSWORD if miner.account == "admin" else CONF_V3_PASSWORD
    coordinator.hass.config_entries.async_update_entry(
        entry, data={**entry.data, key: new}
    )


async def _prove_custom_data(
    coordinator: WhatsminerCoordinator, data: Data, before: MinerState
) -> None:
    """Read the text back once, because no poll reads it."""
    miner = coordinator.miner
    texts = await miner.get_custom_data()
    if texts.get(data["key"]) != data["value"]:
        raise failed("custom_data_lost", name=coordinator.config_entry.title)


# The table


def _required(**fields: Any) -> dict[Any, Any]:
    return {probatio.Required(name): kind for name, kind in fields.items()}


def _optional(**fields: Any) -> dict[Any, Any]:
    return {probatio.Optional(name): kind for name, kind in fields.items()}


_WHOLE = probatio.Coerce(int)
_TEXTS = probatio.All(cv.ensure_list, [cv.string])
_POOL = _required(url=cv.string, user=cv.string) | _optional(password=cv.string)
_LED = _required(color=probatio.Coerce(LedColor)) | _optional(
    period=_WHOLE, duration=_WHOLE, start=_WHOLE
)

ACTIONS: tuple[Action, ...] = (
    Action(
        name="set_pools",
        feature=Feature.POOLS,
        fields={
            probatio.Required(probatio.Secret("pools")): probatio.All(
                cv.ensure_list, [_POOL]
            )
        },
        send=lambda c, data: c.miner.set_pools(*_pools(data)),
        shows=_shows_pools,
        section=Section.POOLS,
        readable=lambda state: bool(state.pools),  # a stopped miner may report none
    ),
    Action(
        name="set_power",
        feature=Feature.POWER,
        fields=_required(power=_WHOLE),
        send=lambda c, data: c.miner.set_power(data["power"]),
        user_command=lambda data: (POWER_LIMIT.key, data["power"]),
        shows=_shows(power="power"),
    ),
    Action(
        name="preheat",
        feature=Feature.PREHEAT,
        send=_preheat,
        confirm=True,
        response=SupportsResponse.OPTIONAL,
        blocked=lambda state: "preheat_needs_stop" if state.mining else None,
    ),
    Action(
        name="set_coin_type",
        feature=Feature.COIN_TYPE,
        fields=_required(coin=cv.string),
        send=lambda c, data: c.miner.set_coin_type(data["coin"]),
        shows=_shows(coin_type="coin"),
    ),
    Action(
        name="set_random_delay",
        feature=Feature.RANDOM_DELAY,
        fields=_required(start=_WHOLE, stop=_WHOLE),
        send=lambda c, data: c.miner.set_random_delay(data["start"], data["stop"]),
        shows=_shows(random_start="start", random_stop="stop"),
    ),
    Action(
        name="set_led",
        feature=Feature.LED,
        fields={
            probatio.Optional("patterns", default=list): probatio.All(
                cv.ensure_list, [_LED]
            )
        },
        send=_set_leds,
        shows=lambda state, data: state.info.led_auto is not bool(data["patterns"]),
        section=Section.INFO,
        readable=lambda state: state.info.led_auto is not None,
    ),
    Action(
        name="set_hostname",
        feature=Feature.HOSTNAME,
        fields=_required(hostname=cv.string),
        send=lambda c, data: c.miner.set_hostname(data["hostname"]),
        shows=lambda state, data: state.info.hostname == data["hostname"],
        section=Section.INFO,
        readable=lambda state: not state.info.renames_after_reboot,
        interrupts=True,
    ),
    Action(
        name="set_time_zone",
        feature=Feature.TIME_ZONE,
        fields=_required(timezone=cv.string, zone_name=cv.string),
        send=lambda c, data: c.miner.set_time_zone(data["timezone"], data["zone_name"]),
        shows=_shows(timezone="timezone", zone_name="zone_name"),
        interrupts=True,
    ),
    Action(
        name="set_ntp_servers",
        feature=Feature.NTP_SERVERS,
        fields=_required(servers=_TEXTS),
        send=lambda c, data: c.miner.set_ntp_servers(*data["servers"]),
        shows=lambda state, data: (
            state.settings is not None
            and state.settings.ntp_servers == tuple(data["servers"])
        ),
    ),
    Action(
        name="set_log_server",
        feature=Feature.LOG_SERVER,
        fields={
            **_required(address=cv.string, port=_WHOLE),
            probatio.Optional("protocol", default="udp"): probatio.Coerce(LogProtocol),
        },
        send=lambda c, data: c.miner.set_log_server(
            LogServer(**_only(data, LogServer))
        ),
        shows=lambda state, data: (
            state.settings is not None
            and state.settings.log_server == LogServer(**_only(data, LogServer))
        ),
    ),
    Action(
        name="set_custom_data",
        feature=Feature.CUSTOM_DATA,
        fields=_required(key=cv.string, value=cv.string),
        send=lambda c, data: c.miner.set_custom_data(data["key"], data["value"]),
        after=_prove_custom_data,
    ),
    Action(
        name="set_permission",
        feature=Feature.PERMISSION,
        fields=_required(user=cv.string, commands=_TEXTS),
        send=lambda c, data: c.miner.set_permission(data["user"], *data["commands"]),
    ),
    Action(
        name="set_ssh",
        feature=Feature.SSH,
        fields=_required(enabled=cv.boolean),
        send=lambda c, data: c.miner.set_ssh(data["enabled"]),
        confirm=True,
    ),
    Action(
        name="change_password",
        feature=Feature.PASSWORD,
        fields={probatio.Required(probatio.Secret("new_password")): cv.string},
        send=_change_password,
    ),
    Action(
        name="set_network",
        feature=Feature.NETWORK,
        fields=_required(dhcp=cv.boolean)
        | _optional(
            address=cv.string,
            netmask=cv.string,
            gateway=cv.string,
            dns=probatio.All(_TEXTS, probatio.Coerce(tuple)),
            hostname=cv.string,
        ),
        send=lambda c, data: c.miner.set_network(Network(**_only(data, Network))),
        confirm=True,
        for_one=lambda data: not data["dhcp"],
        reboots=True,
        after=lambda c, data, before: async_after_network(
            c, Network(**_only(data, Network)), before
        ),
    ),
    Action(
        name="restore_settings",
        feature=Feature.RESTORE_SETTINGS,
        send=lambda c, _: _reset(c, c.miner.restore_settings),
        confirm=True,
    ),
    Action(
        name="factory_reset",
        feature=Feature.FACTORY_RESET,
        send=lambda c, _: _reset(c, c.miner.factory_reset),
        confirm=True,
        reboots=True,
        after=lambda c, _, before: async_after_reset(c, before),
    ),
    Action(
        name="update_firmware",
        feature=Feature.UPDATE_FIRMWARE,
        fields=_required(path=cv.string, platform=cv.string),
        send=lambda c, data: async_send_image(c, data["path"], data["platform"]),
        confirm=True,
        response=SupportsResponse.OPTIONAL,
        reboots=True,
        around=lambda runtime: runtime.installation.ending(),
        after=lambda c, _, before: async_after_update(c, before),
    ),
    Action(
        name="download_logs",
        feature=Feature.DOWNLOAD_LOGS,
        send=lambda c, _: async_download_log(c),
        response=SupportsResponse.OPTIONAL,
        reads=True,
    ),
    Action(
        name="reset_profile",
        feature=None,
        fields={probatio.Optional("wear_only", default=False): cv.boolean},
        send=_reset_profile,
        reads=True,
    ),
    Action(
        name="get_data",
        feature=None,
        fields={
            probatio.Required("command"): cv.string,
            probatio.Optional("parameter"): probatio.Any(
                {probatio.In(("begin", "end")): cv.string}, cv.string
            ),
        },
        send=lambda c, data: c.miner.get_data(data["command"], data.get("parameter")),
        response=SupportsResponse.ONLY,
        reads=True,
    ),
)

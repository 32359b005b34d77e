"""The write commands of API v3: first version, cooling, restart and effect (protocol.md#e6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import json
from typing import Any

from . import checks
from .auth_v3 import SUPER, USERS, NotDecryptedError, decrypt
from .dialect_v3 import DialectV3, failed, invalid, missing, not_permitted
from .machine import Machine
from .profiles import Pool
from .settings import CUSTOM_KEYS, LogServer, Network, Restart, mining_restored

DEFAULT_LIMIT = 99999
LEDS = {"green": 0, "red": 1}
COINS = ("BTC", "BCH", "BSV", "DCR", "HC", "DGB", "SHA256")
LONGEST_GAP_S = 285
LATEST_S = 120


@dataclass(slots=True)
class Session:
    """The state of one connection."""

    report_gap_s: int = 0
    next_report: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One authorized write."""

    param: object
    account: str
    secret: bytes
    session: Session
    dialect: DialectV3

    @property
    def machine(self) -> Machine:
        """The machine to act on."""
        return self.dialect.machine

    # Parameters

    def whole(self, lowest: int, highest: int) -> int:
        """Return the parameter as a number."""
        return whole(self.param, lowest, highest)

    def one_of(self, *choices: str) -> str:
        """Return the parameter if it is one of the choices."""
        if not isinstance(self.param, str):
            raise missing()
        if self.param not in choices:
            raise invalid(self.param)
        return self.param

    def structure(self) -> object:
        """Return the parameter as an object or a list; it may be a JSON string."""
        if isinstance(self.param, str):
            try:
                return json.loads(self.param)
            except ValueError, RecursionError:
                return None
        return self.param

    def row(self, *keys: str) -> dict[str, object]:
        """Return the parameter as an object that has these keys."""
        row = self.structure()
        if not isinstance(row, dict) or any(row.get(key) is None for key in keys):
            raise missing()
        return row

    def texts(self, *keys: str) -> list[str]:
        """Return strings of an object."""
        row = self.row(*keys)
        if not all(isinstance(row[key], str) for key in keys):
            raise missing()
        return [str(row[key]) for key in keys]

    def checked(self, **keys: Callable[[str], object]) -> dict[str, Any]:
        """Return strings of an object, each checked."""
        texts = zip(keys, self.texts(*keys), strict=True)
        return {key: meaning(keys[key], text) for key, text in texts}

    def opened(self) -> object:
        """Return the decrypted parameter."""
        try:
            return decrypt(self.secret, self.param)
        except NotDecryptedError as err:
            raise missing() from err


def whole(value: object, lowest: int, highest: int) -> int:
    """Return a number, which may be a string, or a float without decimals."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise missing()
    return int(meaning(lambda text: checks.whole(text, lowest, highest), str(value)))


def meaning(check: Callable[[str], object], text: str) -> Any:
    """Return the value of a text, checked."""
    try:
        return check(text)
    except ValueError as err:
        raise invalid(text) from err


# Effects. They return the changed settings, or None if they have applied the change themselves

Changes = Mapping[str, object] | None
Effect = Callable[[Request], Changes]


def does(action: Callable[[Machine], None]) -> Effect:
    """Run a method of the machine."""

    def effect(request: Request) -> Changes:
        action(request.machine)
        return None

    return effect


def number(name: str, lowest: int, highest: int) -> Effect:
    """Store a number."""
    return lambda request: {name: request.whole(lowest, highest)}


def flag(name: str) -> Effect:
    """Store 0 or 1."""
    return lambda request: {name: request.whole(0, 1) == 1}


def word(name: str) -> Effect:
    """Store whether it is enabled."""
    return lambda request: {name: request.one_of("enable", "disable") == "enable"}


def nothing(request: Request) -> Changes:
    """Change nothing; the command only restarts."""
    return {}


# Mining


def service(request: Request) -> Changes:
    """Start, stop or restart; or enable or disable the start at boot."""
    machine = request.machine
    match request.one_of("start", "stop", "restart", "enable", "disable"):
        case "start":
            machine.power_on()
        case "stop":
            machine.power_off(hold=True)
        case "restart":
            machine.restart()
        case word:
            return {"start_at_boot": word == "enable"}
    return None


def power_mode(request: Request) -> Changes:
    """Choose low, normal or high power."""
    mode = request.one_of("low", "normal", "high")
    return {"power_mode": mode, "mode_text": mode}


def power_limit(request: Request) -> Changes:
    """Set the user's limit; 99999 restores the default."""
    watts = request.whole(0, DEFAULT_LIMIT)
    request.machine.set_power_limit(None if watts == DEFAULT_LIMIT else watts)
    return None


def power(request: Request) -> Changes:
    """Set the power to tune to."""
    request.machine.set_power(request.whole(0, DEFAULT_LIMIT))
    return None


def power_percent(request: Request) -> Changes:
    """Set the share of the tuned power, immediately or gradually; some firmware accepts only a string."""
    machine, row = request.machine, request.row("percent", "mode")
    if (
        not isinstance(row["percent"], str)
        and not request.dialect.firmware.percent_as_number
    ):
        raise missing()
    percent = whole(row["percent"], 0, machine.profile.percent_max)
    if row["mode"] not in ("fast", "normal"):
        raise invalid(row["mode"])
    gentle = row["mode"] == "normal"
    if gentle and machine.settings.power_mode == "high" and not machine.profile.liquid:
        raise failed("power mode is high")
    machine.set_percent(percent, gentle=gentle)
    return None


def target_freq(request: Request) -> Changes:
    """Set the offset of the frequency; air-cooled miners can only go down."""
    highest = 100 if request.machine.profile.liquid else 0
    request.machine.set_target_freq(request.whole(-100, highest))
    return None


def heat_mode(request: Request) -> Changes:
    """Set the heat mode; two of the words mean the same mode."""
    mode = request.one_of("heating", "normal", "anti-freezing", "anti-icing")
    return {"heat_mode": mode.replace("icing", "freezing")}


def cointype(request: Request) -> Changes:
    """Choose a coin."""
    coins = request.checked(cointype=lambda coin: checks.one_of(coin, *COINS))
    return {"coin_type": coins["cointype"]}


def pools(request: Request) -> Changes:
    """Switch to other pools immediately."""
    rows = request.opened()
    if not isinstance(rows, list) or not rows:
        raise missing()
    if len(rows) > 3:
        raise invalid("pools")
    result = []
    for row in rows:
        fields = [
            row.get(key) if isinstance(row, dict) else None
            for key in ("pool", "worker", "passwd")
        ]
        if not all(isinstance(value, str) for value in fields):
            raise missing()
        url, user, password = map(str, fields)
        if url:
            result.append(Pool(url=url, user=user, password=password))
    request.machine.set_pools(tuple(result))
    return None


def report(request: Request) -> Changes:
    """Push the status on this connection at an interval."""
    gap = whole(request.row("gap")["gap"], 0, LONGEST_GAP_S)
    request.session.report_gap_s = gap
    request.session.next_report = request.dialect.v2c.time.now + gap
    return None


def restore_setting(request: Request) -> Changes:
    """Reset the settings of mining and cooling only."""
    return mining_restored(request.machine.profile)


# System


def led(request: Request) -> Changes:
    """Set both lights in one call, or make them automatic again."""
    machine = request.machine
    if request.param == "auto":
        machine.leds.clear()
        return None
    rows = request.structure()
    if not isinstance(rows, list) or not rows:
        raise missing()
    leds = {}
    for row in rows:
        if not isinstance(row, dict):
            raise missing()
        number = LEDS.get(str(row.get("color")))
        if number is None:
            raise invalid(row.get("color"))
        pattern = [
            whole(row.get(key), 0, 999999) for key in ("period", "duration", "start")
        ]
        leds[number] = ",".join(map(str, pattern))
    machine.leds.clear()
    machine.leds.update(leds)
    return None


def hostname(request: Request) -> Changes:
    """Set the hostname."""
    return request.checked(hostname=checks.hostname)


def net_config(request: Request) -> Changes:
    """Set the address, or get one by DHCP."""
    if request.param == "dhcp":
        return {"network": None}
    values = request.checked(
        ip=checks.address,
        netmask=checks.netmask,
        gateway=checks.address,
        dns=checks.addresses,
    )
    return {"network": Network(proto="static", **values)}


def ntp_server(request: Request) -> Changes:
    """Set the time servers, separated by commas."""
    if not isinstance(request.param, str):
        raise missing()
    servers = request.param.split(",")
    return {"ntp_servers": tuple(meaning(checks.server, each) for each in servers)}


def timezone(request: Request) -> Changes:
    """Set the time zone."""
    return request.checked(timezone=checks.zone, zonename=checks.filled)


def time_randomized(request: Request) -> Changes:
    """Set the maximum delay of start and stop."""
    row = request.row("start", "stop")
    late = tuple(whole(row[key], 0, LATEST_S) for key in ("start", "stop"))
    return {"time_randomized": late}


def log_upload(request: Request) -> Changes:
    """Send the log to a server."""
    values = request.checked(
        ip=checks.server,
        port=checks.port,
        proto=lambda proto: checks.one_of(proto, "tcp", "udp"),
    )
    return {"log_server": LogServer(**values)}


def custom_data(request: Request) -> Changes:
    """Store a note of the owner."""
    values = request.checked(
        key=lambda key: checks.one_of(key, *CUSTOM_KEYS),
        value=lambda value: checks.short(value, checks.LONGEST_CUSTOM),
    )
    custom = request.machine.settings.custom
    return {"custom": {**custom, values["key"]: values["value"]}}


# Accounts


def change_password(request: Request) -> Changes:
    """Change a password: users their own, super any."""
    row = request.opened()
    fields = [
        row.get(key) if isinstance(row, dict) else None
        for key in ("account", "old", "new")
    ]
    if not all(isinstance(value, str) and value for value in fields):
        raise missing()
    account, old, new = map(str, fields)
    accounts = request.dialect.accounts
    if account not in accounts.passwords:
        raise invalid(account)
    if request.account not in (SUPER, account):
        raise not_permitted()
    if accounts.passwords[account] != old:
        raise failed("old password is wrong")
    accounts.set_password(account, new)
    return None


def permission(request: Request) -> Changes:
    """Set the permissions of a user."""
    user, names = request.texts("user", "permission")
    if user not in USERS:
        raise invalid(user)
    commands = {name.strip() for name in names.split(",")} - {""}
    if unknown := commands - WRITES.keys():
        raise invalid(",".join(sorted(unknown)))
    request.dialect.accounts.permissions[user] = commands
    return None


# The table


@dataclass(frozen=True, slots=True)
class Write:
    """One command."""

    effect: Effect = nothing
    restart: Restart = Restart.NONE
    # "air" or "liquid", where the other kind of miner refuses it
    cooling: str = ""
    # The first version of the API that has it
    since: str = "3.0.0"
    # An image follows on the same connection
    uploads: bool = False

    def apply(self, request: Request) -> None:
        """Apply the command."""
        machine = request.machine
        if self.cooling and (self.cooling == "liquid") != machine.profile.liquid:
            raise failed("not supported")
        changes = self.effect(request)
        if changes is not None:
            machine.change(self.restart, **changes)


WRITES: dict[str, Write] = {
    # `restart` restarts; start and stop act immediately, enable and disable at the next boot
    "set.miner.service": Write(service),
    "set.miner.power_mode": Write(power_mode, Restart.BTMINER),
    "set.miner.power_limit": Write(power_limit, Restart.BTMINER),
    "set.miner.power": Write(power),
    "set.miner.power_percent": Write(power_percent),
    "set.miner.target_freq": Write(target_freq, Restart.BTMINER),
    "set.miner.upfreq_speed": Write(number("upfreq_speed", 0, 10), Restart.NEXT_START),
    "set.miner.fastboot": Write(word("fast_boot"), Restart.NEXT_START),
    "set.miner.fast_hash": Write(flag("fast_hash"), Restart.NEXT_START, since="3.0.2"),
    "set.miner.heat_mode": Write(heat_mode, cooling="liquid"),
    "set.miner.pools": Write(pools),
    "set.miner.cointype": Write(cointype),
    "set.miner.report": Write(report),
    "set.miner.restore_setting": Write(restore_setting, Restart.BTMINER),
    "set.fan.poweroff_cool": Write(flag("poweroff_cool"), cooling="air"),
    "set.fan.zero_speed": Write(flag("fan_zero_speed"), cooling="air"),
    "set.fan.temp_offset": Write(
        number("temp_offset", -30, 0), Restart.NEXT_START, cooling="air"
    ),
    "set.system.reboot": Write(restart=Restart.BOARD),
    "set.system.factory_reset": Write(does(Machine.factory_reset), Restart.BOARD),
    "set.system.led": Write(led),
    # Takes effect after the next restart of network or board
    "set.system.hostname": Write(hostname),
    "set.system.net_config": Write(net_config, Restart.BOARD),
    "set.system.ntp_server": Write(ntp_server),
    "set.system.timezone": Write(timezone, Restart.NETWORK),
    "set.system.time_randomized": Write(time_randomized),
    "set.system.webpools": Write(word("web_pools")),
    "set.system.update_firmware": Write(restart=Restart.BOARD, uploads=True),
    "set.log.upload": Write(log_upload),
    "set.device.custom_data": Write(custom_data),
    "set.user.change_passwd": Write(change_password),
    "set.user.permission": Write(permission),
}

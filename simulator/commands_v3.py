"""The write commands of API v3, and what they do (section E.6 of docs/protocol.md)."""

from collections.abc import Callable
from dataclasses import dataclass
import json
import re

from .auth_v3 import SUPER, USERS, NotOpened, open_sealed
from .dialect_v3 import (
    CUSTOM_KEYS,
    DialectV3,
    Failed,
    failed,
    invalid,
    missing,
    not_permitted,
)
from .machine import Machine
from .profiles import Pool

DEFAULT_LIMIT = 99999
LEDS = {"green": 0, "red": 1}
LONGEST_GAP_S = 285


@dataclass(slots=True)
class Session:
    """What belongs to one connection."""

    report_gap_s: int = 0
    next_report: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One write of somebody who may."""

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
        """Read a number."""
        return whole(self.param, lowest, highest)

    def one_of(self, *words: str) -> str:
        """Read a word."""
        if not isinstance(self.param, str):
            raise missing()
        if self.param not in words:
            raise invalid(self.param)
        return self.param

    def structure(self) -> object:
        """Read an object or a list, which may come as a string of JSON."""
        if isinstance(self.param, str):
            try:
                return json.loads(self.param)
            except ValueError, RecursionError:
                return None
        return self.param

    def row(self, *keys: str) -> dict[str, object]:
        """Read an object that has these keys."""
        row = self.structure()
        if not isinstance(row, dict) or any(row.get(key) is None for key in keys):
            raise missing()
        return row

    def texts(self, *keys: str) -> list[str]:
        """Read strings of an object."""
        row = self.row(*keys)
        if not all(isinstance(row[key], str) for key in keys):
            raise missing()
        return [str(row[key]) for key in keys]

    def opened(self) -> object:
        """Read an encrypted parameter."""
        try:
            return open_sealed(self.secret, self.param)
        except NotOpened as err:
            raise missing() from err


def whole(value: object, lowest: int, highest: int) -> int:
    """Read a number, which may come as a string, or with nothing behind its point."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise missing()
    if (
        not re.fullmatch(r"-?\d{1,6}", str(value))
        or not lowest <= int(value) <= highest
    ):
        raise invalid(value)
    return int(value)


# Mining


def service(request: Request) -> None:
    """Start, stop, restart; or start at boot, or not."""
    machine = request.machine
    match request.one_of("start", "stop", "restart", "enable", "disable"):
        case "start":
            machine.power_on()
        case "stop":
            machine.power_off(hold=True)
        case "restart":
            machine.restart()
        case word:
            machine.autostart = word == "enable"


def power_mode(request: Request) -> None:
    """Choose low, normal or high power."""
    request.machine.set_mode(request.one_of("low", "normal", "high"))


def power_limit(request: Request) -> None:
    """Limit of the user; 99999 is the default again."""
    watts = request.whole(0, DEFAULT_LIMIT)
    request.machine.set_power_limit(None if watts == DEFAULT_LIMIT else watts)


def power(request: Request) -> None:
    """Set the power to tune to."""
    request.machine.set_power(request.whole(0, DEFAULT_LIMIT))


def power_percent(request: Request) -> None:
    """Share of the tuned power, at once or gently; some firmware reads it from a string only."""
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
    if gentle and machine.power_mode == "high" and not machine.profile.liquid:
        raise failed("power mode is high")
    machine.set_percent(percent, gentle=gentle)


def target_freq(request: Request) -> None:
    """Offset of the frequency; on air only down."""
    highest = 100 if request.machine.profile.liquid else 0
    request.machine.set_target_freq(request.whole(-100, highest))


def upfreq_speed(request: Request) -> None:
    """Speed of tuning."""
    request.machine.upfreq_speed = request.whole(0, 10)


def fast_boot(request: Request) -> None:
    """Start with what was tuned, or not."""
    request.machine.fast_boot = request.one_of("enable", "disable") == "enable"


def fast_hash(request: Request) -> None:
    """Stored; since 3.0.2."""
    if not request.dialect.firmware.since("3.0.2"):
        raise Failed(-2, "invalid cmd")
    request.machine.fast_hash = bool(request.whole(0, 1))


def heat_mode(request: Request) -> None:
    """Stored; only where there is a liquid to heat."""
    if not request.machine.profile.liquid:
        raise failed("not supported")
    mode = request.one_of("heating", "normal", "anti-freezing", "anti-icing")
    request.machine.heat_mode = mode.replace("icing", "freezing")


def pools(request: Request) -> None:
    """Mine for others, at once."""
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
        if fields[0]:
            result.append(Pool(url=str(fields[0]), user=str(fields[1])))
    request.machine.set_pools(tuple(result))


def report(request: Request) -> None:
    """Push the status on this connection every so often."""
    gap = whole(request.row("gap")["gap"], 0, LONGEST_GAP_S)
    request.session.report_gap_s = gap
    request.session.next_report = request.dialect.v2c.time.now + gap


# System


def reboot(request: Request) -> None:
    """Restart the control board."""
    request.machine.reboot()


def led(request: Request) -> None:
    """Both lights in one call, or automatic again."""
    machine = request.machine
    if request.param == "auto":
        machine.leds.clear()
        return
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


def hostname(request: Request) -> None:
    """Name in the network, after the next reboot."""
    (request.machine.hostname_next,) = request.texts("hostname")


def webpools(request: Request) -> None:
    """Let the web page change pools, or not."""
    on = request.one_of("enable", "disable") == "enable"
    request.dialect.settings.web_pool = int(on)


def ntp_server(request: Request) -> None:
    """Time servers, with commas between them."""
    if not isinstance(request.param, str):
        raise missing()
    request.dialect.settings.ntp_server = request.param.split(",")


def timezone(request: Request) -> None:
    """Stored."""
    zone, name = request.texts("timezone", "zonename")
    request.dialect.settings.timezone = zone
    request.dialect.settings.zonename = name


def time_randomized(request: Request) -> None:
    """Stored; the delay itself is not simulated."""
    row = request.row("start", "stop")
    request.dialect.settings.time_randomized = {
        key: whole(row[key], 0, 120) for key in ("start", "stop")
    }


def log_upload(request: Request) -> None:
    """Stored."""
    ip, port, proto = request.texts("ip", "port", "proto")
    if proto not in ("tcp", "udp"):
        raise invalid(proto)
    request.dialect.settings.log_upload = {"ip": ip, "port": port, "proto": proto}


def custom_data(request: Request) -> None:
    """Stored."""
    key, value = request.texts("key", "value")
    if key not in CUSTOM_KEYS or len(value.encode()) > 127:
        raise invalid(key)
    request.dialect.settings.custom[key] = value


def _fan(name: str, lowest: int, highest: int) -> Callable[[Request], None]:
    def store(request: Request) -> None:
        if request.machine.profile.liquid:
            raise failed("not supported")
        setattr(request.dialect.settings, name, request.whole(lowest, highest))

    return store


# Accounts


def change_password(request: Request) -> None:
    """Change a password: a user his own, super any."""
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


def permission(request: Request) -> None:
    """Let a user do some things, and no others."""
    user, names = request.texts("user", "permission")
    if user not in USERS:
        raise invalid(user)
    commands = {name.strip() for name in names.split(",")} - {""}
    if unknown := commands - WRITES.keys():
        raise invalid(",".join(sorted(unknown)))
    request.dialect.accounts.permissions[user] = commands


def not_simulated(request: Request) -> None:
    """Refuse what the firmware knows and the simulator does not, yet."""
    raise failed("not simulated")


WRITES: dict[str, Callable[[Request], None]] = {
    "set.miner.service": service,
    "set.miner.power_mode": power_mode,
    "set.miner.power_limit": power_limit,
    "set.miner.power": power,
    "set.miner.power_percent": power_percent,
    "set.miner.target_freq": target_freq,
    "set.miner.upfreq_speed": upfreq_speed,
    "set.miner.fastboot": fast_boot,
    "set.miner.fast_hash": fast_hash,
    "set.miner.heat_mode": heat_mode,
    "set.miner.pools": pools,
    "set.miner.report": report,
    "set.fan.poweroff_cool": _fan("fan_poweroff_cool", 0, 1),
    "set.fan.zero_speed": _fan("fan_zero_speed", 0, 1),
    "set.fan.temp_offset": _fan("fan_temp_offset", -30, 0),
    "set.system.reboot": reboot,
    "set.system.led": led,
    "set.system.hostname": hostname,
    "set.system.ntp_server": ntp_server,
    "set.system.timezone": timezone,
    "set.system.time_randomized": time_randomized,
    "set.system.webpools": webpools,
    "set.log.upload": log_upload,
    "set.device.custom_data": custom_data,
    "set.user.change_passwd": change_password,
    "set.user.permission": permission,
    # Known to the firmware, not simulated yet
    "set.miner.cointype": not_simulated,
    "set.miner.restore_setting": not_simulated,
    "set.system.factory_reset": not_simulated,
    "set.system.net_config": not_simulated,
    "set.system.update_firmware": not_simulated,
}

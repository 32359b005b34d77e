"""The write commands of each dialect on 4028: parameters, ranges, restart and effect (section D of docs/protocol.md)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import checks
from .machine import PREHEATED, Machine
from .profiles import Pool, Profile
from .settings import CUSTOM_KEYS, LogServer, Network, Restart

LEDS = {"green": 0, "red": 1}
DEFAULT_LIMIT = 99999
POOL_NUMBERS = (1, 2, 3)


class Refused(Exception):
    """The parameter is missing, malformed or out of range, or the miner does not support it: code 132."""


class Ignored(Exception):
    """The parameter is not a string, so the firmware ignores it: acknowledged, without effect."""


# Parameters

Values = Mapping[str, Any]
Check = Callable[[object, Profile], Any]
Form = Mapping[str, Check]
Limit = int | Callable[[Profile], int]


def text(meaning: Callable[[str], object]) -> Check:
    """Return a parser for a string; the firmware ignores a number in its place."""

    def check(value: object, profile: Profile) -> object:
        if not isinstance(value, str):
            raise Ignored
        return meaning(value)

    return check


def number(lowest: Limit, highest: Limit) -> Check:
    """Return a parser for an integer in a string; its range may depend on the miner."""

    def check(value: object, profile: Profile) -> object:
        low, high = (
            limit if isinstance(limit, int) else limit(profile)
            for limit in (lowest, highest)
        )
        return text(lambda digits: checks.whole(digits, low, high))(value, profile)

    return check


def word(*words: str) -> Check:
    """Return a parser for one of some words."""
    return text(lambda value: checks.one_of(value, *words))


def switch(value: object, profile: Profile) -> bool:
    """Return 0 or 1 in a string as a flag."""
    return bool(number(0, 1)(value, profile))


def count(value: object, profile: Profile) -> int:
    """Return a number that is no string; only the commands of the lights have such."""
    if type(value) is not int or value < 0:
        raise Refused
    return value


def of_percent(profile: Profile) -> int:
    """Return the highest percentage."""
    return profile.percent_max


def of_frequency(profile: Profile) -> int:
    """Return the highest offset; air-cooled miners can only go down."""
    return 100 if profile.liquid else 0


# Effects. They return what changes in the settings; None is that they have done it themselves

Changes = Mapping[str, object] | None
Effect = Callable[[Machine, Values], Changes]


def as_named(machine: Machine, values: Values) -> Changes:
    """Store the given parameters under their names."""
    return values


def sets(**changes: object) -> Effect:
    """Store fixed values."""
    return lambda machine, values: changes


def does(action: Callable[[Machine], None]) -> Effect:
    """Run a method of the machine."""

    def effect(machine: Machine, values: Values) -> Changes:
        action(machine)
        return None

    return effect


def chooses(mode: str) -> Effect:
    """Choose a power mode."""
    return sets(power_mode=mode, mode_text=mode)


def limits_power(machine: Machine, values: Values) -> Changes:
    """Set the user's limit; 99999 restores the default."""
    watts = values["power_limit"]
    machine.set_power_limit(None if watts == DEFAULT_LIMIT else watts)
    return None


def shifts_frequency(machine: Machine, values: Values) -> Changes:
    """Set the offset of the frequency."""
    machine.set_target_freq(values["percent"])
    return None


def shares_power(machine: Machine, values: Values) -> Changes:
    """Set the share of the tuned power immediately."""
    machine.set_percent(values["percent"], gentle=False)
    return None


def shares_power_gently(machine: Machine, values: Values) -> Changes:
    """Set the share of the tuned power gradually; refused in high mode with air cooling."""
    if machine.settings.power_mode == "high" and not machine.profile.liquid:
        raise Refused
    machine.set_percent(values["percent"], gentle=True)
    return None


def aims_at_power(machine: Machine, values: Values) -> Changes:
    """Tune to a power in watts."""
    machine.set_power(values["power"])
    return None


def lights(machine: Machine, values: Values) -> Changes:
    """Set the pattern of one light, or make both automatic again."""
    if "param" in values:
        machine.leds.clear()
        return None
    pattern = ",".join(str(values[key]) for key in ("period", "duration", "start"))
    machine.leds[LEDS[values["color"]]] = pattern
    return None


def mines_for(machine: Machine, values: Values) -> Changes:
    """Switch to other pools immediately; ignore pools without an address."""
    rows = (
        [values[f"{key}{number}"] for key in ("pool", "worker", "passwd")]
        for number in POOL_NUMBERS
    )
    machine.set_pools(
        tuple(
            Pool(url=url, user=user, password=password)
            for url, user, password in rows
            if url
        )
    )
    return None


def changes_password(machine: Machine, values: Values) -> Changes:
    """Change the admin password if the old one is right."""
    if values["old"] != machine.settings.password:
        raise Refused
    return {"password": values["new"]}


def configures_network(machine: Machine, values: Values) -> Changes:
    """Set address and name, or get an address by DHCP."""
    if "param" in values:
        return {"network": None}
    network = Network(
        proto="static",
        ip=values["ip"],
        netmask=values["mask"],
        gateway=values["gate"],
        dns=values["dns"],
    )
    return {"network": network, "hostname": values["host"]}


def sends_log(machine: Machine, values: Values) -> Changes:
    """Send the log to a server."""
    return {"log_server": LogServer(**values)}


def heats(machine: Machine, values: Values) -> Changes:
    """Set the heat mode; two of the words mean the same mode."""
    return {"heat_mode": values["mode"].replace("icing", "freezing")}


def keeps_note(machine: Machine, values: Values) -> Changes:
    """Store a note of the owner."""
    return {"custom": {**machine.settings.custom, values["key"]: values["val"]}}


def preheats(machine: Machine, values: Values) -> Changes:
    """Preheat for the next start; only if the miner is stopped (protocol.md#d5)."""
    if not machine.stopping:
        raise Refused
    machine.preheat_now()
    return None


def preheat_state(machine: Machine) -> object:
    """Return the state of preheating."""
    done = machine.preheat == PREHEATED
    return {"complete": "true" if done else "false", "msg": machine.preheat}


# The tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One command. If it has several forms, the one that shares a parameter with the request is used."""

    forms: tuple[Form, ...]
    effect: Effect
    restart: Restart
    # "air" or "liquid", where the other kind of miner refuses it
    cooling: str = ""
    # The answer instead of OK
    answer: Callable[[Machine], object] | None = None
    # "upload" or "download": binary data follows on the same connection
    binary: str = ""
    # A read that needs a token is open while writes are not
    is_read: bool = False

    def apply(self, machine: Machine, params: Mapping[str, object]) -> None:
        """Check the parameters and apply the command."""
        profile = machine.profile
        if self.cooling and (self.cooling == "liquid") != profile.liquid:
            raise Refused
        shared = (form for form in self.forms if form.keys() & params)
        form = next(shared, None if self.forms else {})
        if form is None:
            raise Refused
        try:
            values = {key: check(params[key], profile) for key, check in form.items()}
        except (KeyError, ValueError) as err:
            raise Refused from err
        changes = self.effect(machine, values)
        if changes is not None:
            machine.change(self.restart, **changes)


def write(
    *forms: Form,
    effect: Effect = as_named,
    restart: Restart = Restart.NONE,
    **more: Any,
) -> Write:
    """Return one row of a table."""
    return Write(forms=forms, effect=effect, restart=restart, **more)


PERCENT = {"percent": number(0, of_percent)}
WATTS = number(0, DEFAULT_LIMIT)
POOLS = {
    f"{key}{number}": text(
        checks.filled if key + str(number) == "pool1" else checks.short
    )
    for number in POOL_NUMBERS
    for key in ("pool", "worker", "passwd")
}
LIGHT = {
    "color": word(*LEDS),
    "period": count,
    "duration": count,
    "start": count,
}
ADDRESS = {
    "ip": text(checks.address),
    "mask": text(checks.netmask),
    "gate": text(checks.address),
    "dns": text(checks.addresses),
    "host": text(checks.hostname),
}
LOG_SERVER = {
    "ip": text(checks.server),
    "port": text(checks.port),
    "proto": word("tcp", "udp"),
}
ZONE = {"timezone": text(checks.zone), "zonename": text(checks.filled)}
PASSWORDS = {"old": text(checks.filled), "new": text(checks.password)}
NOTE = {
    "key": word(*CUSTOM_KEYS),
    "val": text(lambda value: checks.short(value, checks.LONGEST_CUSTOM)),
}

# What all firmware has
COMMON: dict[str, Write] = {
    "update_pools": write(POOLS, effect=mines_for),
    "restart_btminer": write(effect=does(Machine.restart), restart=Restart.BTMINER),
    "power_off": write(effect=does(Machine.power_off)),
    "power_on": write(effect=does(Machine.power_on)),
    "set_led": write({"param": word("auto")}, LIGHT, effect=lights),
    "set_low_power": write(effect=chooses("low"), restart=Restart.BTMINER),
    "set_normal_power": write(effect=chooses("normal"), restart=Restart.BTMINER),
    "set_high_power": write(effect=chooses("high"), restart=Restart.BTMINER),
    "update_firmware": write(binary="upload", restart=Restart.BOARD),
    "reboot": write(restart=Restart.BOARD),
    "factory_reset": write(effect=does(Machine.factory_reset), restart=Restart.BOARD),
    "update_pwd": write(PASSWORDS, effect=changes_password),
    "net_config": write(
        {"param": word("dhcp")},
        ADDRESS,
        effect=configures_network,
        restart=Restart.BOARD,
    ),
    "download_logs": write(binary="download"),
    "enable_web_pools": write(effect=sets(web_pools=True)),
    "disable_web_pools": write(effect=sets(web_pools=False)),
    "set_hostname": write({"hostname": text(checks.hostname)}, restart=Restart.NETWORK),
    "set_zone": write(ZONE, restart=Restart.NETWORK),
    "load_log": write(LOG_SERVER, effect=sends_log),
    "set_power_pct": write(PERCENT, effect=shares_power),
}

PRE_POWER_ON = {
    "pre_power_on": write(effect=preheats, answer=preheat_state, cooling="liquid")
}

FAST_BOOT = {
    "enable_btminer_fast_boot": write(
        effect=sets(fast_boot=True), restart=Restart.NEXT_START
    ),
    "disable_btminer_fast_boot": write(
        effect=sets(fast_boot=False), restart=Restart.NEXT_START
    ),
}

# MicroBT's documents V1.3.8, then V2.0.3 and 4, V2.0.5 and V2.2
V1 = (
    COMMON
    | PRE_POWER_ON
    | FAST_BOOT
    | {
        "set_target_freq": write(
            {"percent": number(-10, 100)},
            effect=shifts_frequency,
            restart=Restart.BTMINER,
        ),
        **{
            name.replace("btminer", "cgminer"): known
            for name, known in FAST_BOOT.items()
        },
        "ssh_open": write(effect=sets(ssh=True)),
        "ssh_close": write(effect=sets(ssh=False)),
    }
)

SINCE_V2 = (
    COMMON
    | FAST_BOOT
    | {
        "set_target_freq": write(
            {"percent": number(-100, of_frequency)},
            effect=shifts_frequency,
            restart=Restart.BTMINER,
        ),
        "adjust_power_limit": write(
            {"power_limit": WATTS}, effect=limits_power, restart=Restart.BTMINER
        ),
    }
)

V204 = SINCE_V2 | PRE_POWER_ON

SINCE_V205 = SINCE_V2 | {
    "set_power_pct_v2": write(PERCENT, effect=shares_power_gently),
    "set_temp_offset": write(
        {"temp_offset": number(-30, 0)}, restart=Restart.NEXT_START, cooling="air"
    ),
    "adjust_upfreq_speed": write(
        {"upfreq_speed": number(0, 9)}, restart=Restart.NEXT_START
    ),
    "set_poweroff_cool": write({"poweroff_cool": switch}, cooling="air"),
    "set_fan_zero_speed": write({"fan_zero_speed": switch}, cooling="air"),
    "set_heat_mode": write(
        {"mode": word("anti-icing", "heating")}, effect=heats, cooling="liquid"
    ),
    "enable_btminer_init": write(
        effect=sets(start_at_boot=True), restart=Restart.NEXT_START
    ),
    "disable_btminer_init": write(
        effect=sets(start_at_boot=False), restart=Restart.NEXT_START
    ),
}

V205 = SINCE_V205 | PRE_POWER_ON

V2C = SINCE_V205 | {
    # Here the document lets every miner go both ways
    "set_target_freq": write(
        {"percent": number(-100, 100)},
        effect=shifts_frequency,
        restart=Restart.BTMINER,
    ),
    "set_heat_mode": write(
        {"mode": word("anti-icing", "anti-freezing", "heating")},
        effect=heats,
        cooling="liquid",
    ),
    "set_power": write({"power": WATTS}, effect=aims_at_power),
    "restore_power_pct": write(effect=does(Machine.restore_percent)),
    "set_customer_msg": write(NOTE, effect=keeps_note),
    "get_customer_msg": write(
        answer=lambda machine: {**machine.settings.custom}, is_read=True
    ),
}

WRITES: dict[str, dict[str, Write]] = {
    "v1": V1,
    "v204": V204,
    "v205": V205,
    "v2c": V2C,
}


def write_of(profile: Profile, command: str) -> Write | None:
    """Return the command, or None if this firmware does not have it."""
    return WRITES[profile.dialect].get(command)

"""The write commands: which firmware has them, and what they do (section D of docs/protocol.md)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import re

from .machine import Machine
from .profiles import Profile

Params = Mapping[str, object]
LEDS = {"green": 0, "red": 1}
DEFAULT_LIMIT = 99999


class Refused(Exception):
    """The parameter is missing, malformed or out of range: code 132."""


class Ignored(Exception):
    """The parameter is not a string, so the firmware does not see it: acknowledged, without effect."""


def whole_number(params: Params, key: str, lowest: int, highest: int) -> int:
    """Read a number that must come as a string."""
    value = params.get(key)
    if value is None:
        raise Refused
    if not isinstance(value, str):
        raise Ignored
    if not re.fullmatch(r"-?\d{1,6}", value) or not lowest <= int(value) <= highest:
        raise Refused
    return int(value)


def set_led(machine: Machine, params: Params) -> None:
    """Light pattern of one light, or automatic again; its numbers are the only real ones."""
    if params.get("param") == "auto":
        machine.leds.clear()
        return
    number = LEDS.get(str(params.get("color")))
    pattern = [params.get(key) for key in ("period", "duration", "start")]
    if number is None or not all(
        type(value) is int and value >= 0 for value in pattern
    ):
        raise Refused
    machine.leds[number] = ",".join(map(str, pattern))


def adjust_power_limit(machine: Machine, params: Params) -> None:
    """Limit of the user; 99999 is the default again."""
    watts = whole_number(params, "power_limit", 0, DEFAULT_LIMIT)
    machine.set_power_limit(None if watts == DEFAULT_LIMIT else watts)


def set_power_pct(machine: Machine, params: Params) -> None:
    """Share of the tuned power, at once."""
    machine.set_percent(
        whole_number(params, "percent", 0, machine.profile.percent_max), gentle=False
    )


def set_power_pct_v2(machine: Machine, params: Params) -> None:
    """Share of the tuned power, gently; not in high mode on air."""
    percent = whole_number(params, "percent", 0, machine.profile.percent_max)
    if machine.power_mode == "high" and not machine.profile.liquid:
        raise Refused
    machine.set_percent(percent, gentle=True)


def not_simulated(machine: Machine, params: Params) -> None:
    """Refuse what the firmware knows and the simulator does not, yet."""
    raise Refused


def _fast_boot(*, on: bool) -> Callable[[Machine, Params], None]:
    def switch(machine: Machine, params: Params) -> None:
        machine.fast_boot = on

    return switch


def _mode(mode: str) -> Callable[[Machine, Params], None]:
    return lambda machine, params: machine.set_mode(mode)


@dataclass(frozen=True, slots=True)
class Write:
    """One command: the firmware that has it, and its effect."""

    firmware: frozenset[str]
    effect: Callable[[Machine, Params], None] = not_simulated


_ALL = frozenset({"v1", "v204", "v205", "v2c"})
_V1 = frozenset({"v1"})
_V2 = _ALL - _V1
_V205 = frozenset({"v205", "v2c"})
_V2C = frozenset({"v2c"})

WRITES: dict[str, Write] = {
    "power_on": Write(_ALL, lambda machine, params: machine.power_on()),
    "power_off": Write(_ALL, lambda machine, params: machine.power_off()),
    "restart_btminer": Write(_ALL, lambda machine, params: machine.restart()),
    "reboot": Write(_ALL, lambda machine, params: machine.reboot()),
    "set_low_power": Write(_ALL, _mode("low")),
    "set_normal_power": Write(_ALL, _mode("normal")),
    "set_high_power": Write(_ALL, _mode("high")),
    "set_power_pct": Write(_ALL, set_power_pct),
    "set_led": Write(_ALL, set_led),
    "enable_cgminer_fast_boot": Write(_V1, _fast_boot(on=True)),
    "disable_cgminer_fast_boot": Write(_V1, _fast_boot(on=False)),
    "enable_btminer_fast_boot": Write(_V2, _fast_boot(on=True)),
    "disable_btminer_fast_boot": Write(_V2, _fast_boot(on=False)),
    "adjust_power_limit": Write(_V2, adjust_power_limit),
    "set_power_pct_v2": Write(_V205, set_power_pct_v2),
    "restore_power_pct": Write(_V2C, lambda machine, params: machine.restore_percent()),
    # Known to the firmware, not simulated yet
    "update_pools": Write(_ALL),
    "update_firmware": Write(_ALL),
    "factory_reset": Write(_ALL),
    "update_pwd": Write(_ALL),
    "net_config": Write(_ALL),
    "download_logs": Write(_ALL),
    "set_target_freq": Write(_ALL),
    "enable_web_pools": Write(_ALL),
    "disable_web_pools": Write(_ALL),
    "set_hostname": Write(_ALL),
    "set_zone": Write(_ALL),
    "load_log": Write(_ALL),
    "pre_power_on": Write(_ALL),
    "ssh_open": Write(_V1),
    "ssh_close": Write(_V1),
    "set_temp_offset": Write(_V205),
    "adjust_upfreq_speed": Write(_V205),
    "set_poweroff_cool": Write(_V205),
    "set_fan_zero_speed": Write(_V205),
    "set_heat_mode": Write(_V205),
    "enable_btminer_init": Write(_V205),
    "disable_btminer_init": Write(_V205),
    "set_power": Write(_V2C),
    "set_customer_msg": Write(_V2C),
    "get_customer_msg": Write(_V2C),
}


def write_of(profile: Profile, command: str) -> Write | None:
    """Return the command, if this firmware has it."""
    write = WRITES.get(command)
    return write if write and profile.dialect in write.firmware else None

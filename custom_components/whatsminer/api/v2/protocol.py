"""The dialects of TCP 4028 (1.x, 2.0.x, 2.2.x): raw answers to models, commands to the wire.

Pure functions and tables: nothing here opens a socket. Letters in brackets are sections of
docs/protocol.md.
"""

from collections.abc import Callable
from dataclasses import asdict
import re
from typing import Any

from ..capabilities import version_tuple, with_capabilities
from ..errors import (
    CommandRefusedError,
    InvalidAnswerError,
    NotWhatsminerError,
    TokenRejectedError,
    TokenTableFullError,
    UnsupportedCommandError,
    WhatsminerError,
    WriteApiDisabledError,
    WrongPasswordError,
)
from ..models import (
    Board,
    Dialect,
    Fault,
    Feature,
    HeatMode,
    LedPattern,
    LogServer,
    MinerInfo,
    Network,
    Pool,
    PoolLogin,
    PowerMode,
    Psu,
    Settings,
    Status,
    Summary,
    rejected_percent,
)
from ..parse import (
    MAX_FAULTS,
    MAX_ROWS,
    Coercion,
    JsonObject,
    as_bool,
    as_code,
    as_count,
    as_dhcp,
    as_duration,
    as_efficiency,
    as_fan_speed,
    as_frequency,
    as_hashrate,
    as_hot_temperature,
    as_int,
    as_led_auto,
    as_limit,
    as_mac,
    as_moment,
    as_nominal_hashrate,
    as_object,
    as_objects,
    as_offset,
    as_power,
    as_power_mode,
    as_power_percent,
    as_share,
    as_small_count,
    as_speed,
    as_temperature,
    as_text,
    as_texts,
    as_unclear_share,
    first,
    nonzero,
    parse_fault_list,
    parse_mains,
    pick,
    ratio,
    scaled,
    slots_of,
    within,
)
from ..validation import MAX_POOLS

MEGA, GIGA = 1e-6, 1e-3
"""MH/s and GH/s to TH/s."""

_REFUSALS = frozenset({14, 23, 24, 45, 132, 135, 136, 137})
"""Codes of an error, also where STATUS is missing (protocol.md#a4)."""

_INVALID_JSON = 23

BACK_OFF = 185.0
"""Seconds without a further get_token after code 136 (protocol.md#b5)."""

BOARD_COMMANDS: dict[Dialect, tuple[str, ...]] = {
    Dialect.V1: ("devs", "edevs"),
    Dialect.V2: ("devs", "edevs"),
    Dialect.V2_2: ("edevs", "devs"),
}
"""`devs` has also the boards that do not work, but 2.2.x may refuse either (protocol.md#a4)."""

_GENTLE_PERCENT_SINCE = (2, 0, 5)


# Commands

type Encoded = list[tuple[str, JsonObject]]
"""Commands with their parameters, to be sent one after the other.

Every parameter is a string, except the numbers of `set_led` (section D).
"""


def _command(command: str, **params: Any) -> Encoded:
    return [(command, params)]


def _verb(enabled: bool) -> str:
    return "enable" if enabled else "disable"


def _flag(enabled: bool) -> str:
    return "1" if enabled else "0"


def _encode_leds(*patterns: LedPattern) -> Encoded:
    if not patterns:
        return _command("set_led", param="auto")
    return [("set_led", asdict(pattern)) for pattern in patterns]


def _encode_pools(*pools: PoolLogin) -> Encoded:
    params: JsonObject = {}
    for number in range(1, MAX_POOLS + 1):
        # All nine are sent, empty where there is no pool.
        pool = pools[number - 1] if number <= len(pools) else PoolLogin(url="", user="")
        params |= {
            f"pool{number}": pool.url,
            f"worker{number}": pool.user,
            f"passwd{number}": pool.password,
        }
    return [("update_pools", params)]


def _encode_network(network: Network, hostname: str) -> Encoded:
    if network.dhcp:
        return _command("net_config", param="dhcp")
    return _command(
        "net_config",
        ip=network.address,
        mask=network.netmask,
        gate=network.gateway,
        dns=" ".join(network.dns or ()),
        host=network.hostname or hostname,
    )


def _encode_log_server(server: LogServer) -> Encoded:
    return _command(
        "load_log",
        ip=server.address,
        port=str(server.port),
        proto=server.protocol.value,
    )


def _encode_mode(mode: PowerMode) -> Encoded:
    return _command(f"set_{mode.value}_power")


HEAT_MODES = {HeatMode.HEATING: "heating", HeatMode.ANTI_FREEZING: "anti-icing"}

_ENCODERS: dict[Feature, Callable[..., Encoded]] = {
    Feature.MINING: lambda on: _command("power_on" if on else "power_off"),
    Feature.RESTART: lambda: _command("restart_btminer"),
    Feature.REBOOT: lambda: _command("reboot"),
    Feature.START_AT_BOOT: lambda on: _command(f"{_verb(on)}_btminer_init"),
    Feature.PREHEAT: lambda: _command(
        "pre_power_on", complete="false", msg="wait for adjust temp"
    ),
    Feature.POWER_MODE: _encode_mode,
    Feature.POWER_LIMIT: lambda watts: _command(
        "adjust_power_limit", power_limit=str(watts)
    ),
    Feature.POWER_PERCENT: lambda percent, fast: _command(
        "set_power_pct" if fast else "set_power_pct_v2", percent=str(percent)
    ),
    Feature.RESTORE_POWER_PERCENT: lambda: _command("restore_power_pct"),
    Feature.POWER: lambda watts: _command("set_power", power=str(watts)),
    Feature.TARGET_FREQUENCY: lambda percent: _command(
        "set_target_freq", percent=str(percent)
    ),
    Feature.UPFREQ_SPEED: lambda speed: _command(
        "adjust_upfreq_speed", upfreq_speed=str(speed)
    ),
    Feature.FAST_BOOT: lambda on: _command(f"{_verb(on)}_btminer_fast_boot"),
    Feature.HEAT_MODE: lambda mode: _command("set_heat_mode", mode=HEAT_MODES[mode]),
    Feature.POWER_OFF_COOL: lambda on: _command(
        "set_poweroff_cool", poweroff_cool=_flag(on)
    ),
    Feature.FAN_ZERO_SPEED: lambda on: _command(
        "set_fan_zero_speed", fan_zero_speed=_flag(on)
    ),
    Feature.TEMPERATURE_OFFSET: lambda degrees: _command(
        "set_temp_offset", temp_offset=str(degrees)
    ),
    Feature.POOLS: _encode_pools,
    Feature.WEB_POOLS: lambda on: _command(f"{_verb(on)}_web_pools"),
    Feature.LED: _encode_leds,
    Feature.HOSTNAME: lambda hostname: _command("set_hostname", hostname=hostname),
    Feature.TIME_ZONE: lambda timezone, name: _command(
        "set_zone", timezone=timezone, zonename=name
    ),
    Feature.LOG_SERVER: _encode_log_server,
    Feature.NETWORK: _encode_network,
    Feature.CUSTOM_DATA: lambda key, value: _command(
        "set_customer_msg", key=key, val=value
    ),
    Feature.PASSWORD: lambda old, new: _command("update_pwd", old=old, new=new),
    Feature.SSH: lambda on: _command("ssh_open" if on else "ssh_close"),
    Feature.FACTORY_RESET: lambda: _command("factory_reset"),
}

_ENCODERS_V1: dict[Feature, Callable[..., Encoded]] = _ENCODERS | {
    Feature.FAST_BOOT: lambda on: _command(f"{_verb(on)}_cgminer_fast_boot"),
}


def encode(dialect: Dialect, feature: Feature, *values: Any) -> Encoded:
    """How a feature is commanded on 4028 (protocol.md#d1, #d2)."""
    words = _ENCODERS_V1 if dialect is Dialect.V1 else _ENCODERS
    return words[feature](*values)


def other_form(command: str, params: JsonObject) -> tuple[str, JsonObject] | None:
    """The command as other firmware knows it (protocol.md#d1), or None if it has no other form."""
    if "_cgminer_" in command:
        return command.replace("_cgminer_", "_btminer_"), params
    if params == {"mode": HEAT_MODES[HeatMode.ANTI_FREEZING]}:
        return command, {"mode": "anti-freezing"}
    return None


# What the miner said: errors


def status_of(answer: JsonObject) -> JsonObject:
    """The object that carries STATUS, Code and Msg, in either envelope (protocol.md#a3)."""
    status = answer.get("STATUS")
    if isinstance(status, list):
        return as_object(status[0]) if status else {}
    # An object in place of a text or a list (protocol.md#a6).
    return answer | as_object(status)


def refusal(
    command: str, answer: JsonObject, *, in_plain: bool = False
) -> WhatsminerError | None:
    """The error an answer stands for, or None when it is none (protocol.md#a4, #b6).

    An encrypted command may be answered `in_plain`: code 23 says then that it was not decrypted.
    """
    status = status_of(answer)
    word = (as_text(status.get("STATUS")) or "")[:1].upper()
    code = as_int(status.get("Code"))
    if word not in ("E", "F") and (word or code not in _REFUSALS):
        return None
    message = as_text(status.get("Msg")) or ""
    text = message.lower()
    if text == "enc json load err" or (in_plain and code == _INVALID_JSON):
        return WrongPasswordError(
            "the miner cannot decrypt what this password encrypts"
        )
    if text == "can't access write cmd" or (code == 45 and "join" not in text):
        return WriteApiDisabledError("the API switch of the miner is off")
    if code == 135 or "token err" in text:
        return TokenRejectedError("the miner does not accept the token")
    if code == 136 or text == "over max connect":
        return TokenTableFullError(BACK_OFF)
    if text == "invalid cmd" or "deprecated" in text or "invalid command" in text:
        return UnsupportedCommandError(command, code, message)
    return CommandRefusedError(command, code, message)


type Shape = tuple[frozenset[str], ...]
"""The fields that each row of an answer has."""


def _rows(answer: JsonObject) -> list[JsonObject]:
    rows = pick(answer, "SUMMARY", "DEVS", "POOLS")
    return as_objects(rows)


def shape_of(answer: object) -> Shape:
    """What an answer of btminer has, to see whether another one is short of it.

    Fields that are numbered come and go (`Error Code 0`).
    """
    return tuple(
        frozenset(name for name in row if not name[-1:].isdigit())
        for row in _rows(as_object(answer))
    )


def has_shape(answer: JsonObject, shape: Shape) -> bool:
    """Whether an answer has all that is expected of it."""
    rows = _rows(answer)
    return len(rows) >= len(shape) and all(
        row.keys() >= names for row, names in zip(rows, shape, strict=False)
    )


# Who the miner is


def has_gentle_percent(dialect: Dialect, api_version: str | None) -> bool:
    """Whether `set_power_pct_v2` may be known (protocol.md#d1)."""
    return (
        dialect is not Dialect.V1
        and version_tuple(api_version) >= _GENTLE_PERCENT_SINCE
    )


def parse_version(answer: JsonObject) -> MinerInfo:
    """`get_version` (protocol.md#c6): the dialect, and the rest as far as it is reported.

    Raises NotWhatsminerError when the answer is not that of a WhatsMiner (protocol.md#e7).
    """
    status = status_of(answer)
    message = answer.get("Msg")
    detail = as_object(message)
    api = as_text(detail.get("api_ver")) or as_text(message)
    version = version_tuple(api)
    if not version:
        api = None  # some other text
    description = as_text(status.get("Description")) or ""
    old = bool(detail) and () < version < (2,)
    if old or "whatsminer v1" in f"{api} {description}".lower():
        dialect = Dialect.V1
    elif detail and version:
        dialect = Dialect.V2_2 if version >= (2, 2) else Dialect.V2
    elif version and refusal("get_version", answer) is None:
        dialect = Dialect.V1  # very old firmware: Msg is the version alone
    else:
        raise NotWhatsminerError("get_version is not answered like a WhatsMiner does")
    return with_capabilities(
        MinerInfo(
            dialect=dialect,
            api_version=api,
            firmware=as_text(detail.get("fw_ver")),
            platform=as_text(detail.get("platform")),
            model=as_text(detail.get("miner_type")),
        )
    )


def is_challenge(answer: JsonObject) -> bool:
    """Whether `get_token` answered with what a token is made of (protocol.md#b1)."""
    challenge = as_object(answer.get("Msg"))
    return all(key in challenge for key in ("time", "salt", "newsalt"))


def parse_model(answer: JsonObject) -> str | None:
    """`devdetails` (protocol.md#c4): the model."""
    for detail in as_objects(answer.get("DEVDETAILS")):
        if model := as_text(detail.get("Model")):
            return model
    return None


def parse_miner_info(answer: JsonObject) -> dict[str, Any]:
    """`get_miner_info` (protocol.md#c8): the fields of MinerInfo that it knows."""
    detail = as_object(answer.get("Msg"))
    if not detail:
        raise InvalidAnswerError("get_miner_info without an object")
    return {
        "mac": as_mac(detail.get("mac")),
        "hostname": as_text(detail.get("hostname")),
        "serial": as_text(detail.get("minersn")),
        "led_auto": as_led_auto(detail.get("ledstat")),
    }


def parse_settings(answer: JsonObject) -> Settings:
    """`get_miner_info` (protocol.md#c8): the settings, of which it reports few."""
    detail = as_object(answer.get("Msg"))
    if not detail:
        raise InvalidAnswerError("get_miner_info without an object")
    return Settings(
        upfreq_speed=as_speed(pick(detail, "upfreq_speed", "ut_speed")),
        ntp_servers=as_texts(detail.get("ntp")),
        network=parse_network(detail),
    )


def parse_network(detail: JsonObject) -> Network | None:
    """How the miner is in its network, in the words that both ports share (protocol.md#c8, #e5)."""
    network = Network(
        dhcp=as_dhcp(detail.get("proto")),
        address=as_text(detail.get("ip")),
        netmask=as_text(detail.get("netmask")),
        gateway=as_text(detail.get("gateway")),
        dns=as_texts(detail.get("dns")),
        hostname=as_text(detail.get("hostname")),
    )
    return None if network == Network(dhcp=None) else network


# What the miner does


def parse_summary(answer: JsonObject) -> Summary:
    """`summary` in both shapes (protocol.md#c1): `SUMMARY[0]` and the flat `Msg`."""
    raw, flat = _summary_row(answer)
    nominal = scaled(raw.get("Factory GHS"), GIGA, as_nominal_hashrate)
    factor = summary_factor(raw.get("MHS av"), nominal)

    def rate(name: str) -> float | None:
        return None if factor is None else scaled(raw.get(name), factor, as_hashrate)

    average = rate("MHS av")
    hashrate = None if factor is None else _hashrate_of_summary(raw, factor, average)
    power = as_power(raw.get("Power"))
    voltage, current = parse_mains(
        raw.get("Power Voltage Input"), raw.get("Power Current Input")
    )
    return Summary(
        hashrate=hashrate,
        hashrate_average=average,
        hashrate_5s=rate("MHS 5s"),
        hashrate_1m=rate("MHS 1m"),
        hashrate_5m=rate("MHS 5m"),
        hashrate_15m=rate("MHS 15m"),
        hashrate_target=rate("Target MHS"),
        hashrate_nominal=nominal,
        power=power,
        efficiency=first(
            as_efficiency(raw.get("Power Rate")),
            ratio(power, hashrate, as_efficiency),
            default=None,
        ),
        power_limit=as_limit(raw.get("Power Limit")),
        power_mode=as_power_mode(raw.get("Power Mode")),
        temperature=as_hot_temperature(raw.get("Temperature")),
        environment_temperature=as_temperature(raw.get("Env Temp")),
        chip_temperature_min=as_hot_temperature(raw.get("Chip Temp Min")),
        chip_temperature_avg=as_hot_temperature(raw.get("Chip Temp Avg")),
        chip_temperature_max=as_hot_temperature(raw.get("Chip Temp Max")),
        fan_speed_in=as_fan_speed(raw.get("Fan Speed In")),
        fan_speed_out=as_fan_speed(raw.get("Fan Speed Out")),
        psu_fan_speed=as_fan_speed(raw.get("Power Fanspeed")),
        psu_input_voltage=voltage,
        psu_input_current=current,
        frequency_average=as_frequency(raw.get("freq_avg")),
        # The flat form always has 0 here, whatever the target is (protocol.md#c14).
        frequency_target=(nonzero(as_frequency) if flat else as_frequency)(
            raw.get("Target Freq")
        ),
        elapsed=as_duration(raw.get("Elapsed")),
        uptime=as_duration(raw.get("Uptime")),
        accepted_shares=as_count(raw.get("Accepted")),
        rejected_shares=as_count(raw.get("Rejected")),
        # The flat form has a fraction under this name (protocol.md#c14).
        reject_rate=scaled(raw.get("Pool Rejected%"), 100 if flat else 1, as_share),
        stable=_is_stable(raw),
        fast_boot=as_bool(raw.get("Btminer Fast Boot")),
        mac=as_mac(raw.get("MAC")),
        firmware=as_text(raw.get("Firmware Version")),
        error_codes=_error_codes(raw),
    )


def _summary_row(answer: JsonObject) -> tuple[JsonObject, bool]:
    """Return what a summary reports, and whether it has the flat form."""
    rows = as_objects(answer.get("SUMMARY"))
    raw = rows[0] if rows else as_object(answer.get("Msg"))
    if not raw:
        raise InvalidAnswerError("summary without SUMMARY and without Msg")
    return raw, not rows


def _is_stable(raw: JsonObject) -> bool | None:
    names = ("Hash Stable", "Upfreq Complete")
    return first(*(as_bool(raw.get(name)) for name in names), default=None)


_LEAST_RATE = 10_000
"""MH/s: no miner hashes more slowly. TH/s: none hashes faster."""


def summary_factor(average: Any, nominal: float | None) -> float | None:
    """What turns the hashrates of a summary into TH/s: they are MH/s (protocol.md#c14).

    None where that would be next to nothing, unless the nameplate shows that it is TH/s already.
    """
    rate = _any_unit(average)
    if not rate or rate >= _LEAST_RATE:
        return MEGA
    return 1.0 if nominal and 0.1 < rate / nominal < 2 else None


def _hashrate_of_summary(
    raw: JsonObject, factor: float, average: float | None
) -> float | None:
    """The hashrate of the miner, in the unit of its average, or in TH/s as some boards have it (protocol.md#c3)."""
    rate = pick(raw, "HS RT", "MHS 5m", "MHS 1m")
    in_terahashes = as_hashrate(rate)
    if average and in_terahashes and 0.01 < in_terahashes / average < 100:
        return in_terahashes
    return scaled(rate, factor, as_hashrate)


_NUMBERED = re.compile(r"Error Code (\d{1,4})")


def _error_codes(raw: JsonObject) -> tuple[int, ...] | None:
    """The codes that the summary of 1.x lists: all of them, or unknown."""
    count = as_count(raw.get("Error Code Count"))
    numbered = {
        int(found[1]): as_code(raw[name])
        for name in raw
        if (found := _NUMBERED.fullmatch(name))
    }
    numbers = sorted(numbered)
    in_order = bool(numbers) and numbers == list(range(len(numbers)))
    if not in_order if count is None else count != len(numbers):
        return None
    codes = [numbered[number] for number in numbers[:MAX_FAULTS]]
    return None if None in codes else tuple(code for code in codes if code)


_BOARD_RATES = ("HS RT", "MHS 5m", "MHS 1m", "MHS av")
"""The fields for the hashrate of a board, best first."""

_any_unit: Coercion = within(0, 10**12)


def board_factor(rows: list[JsonObject], hashrate_average: float | None) -> float:
    """What turns the boards' hashrates into TH/s: they are MH/s or TH/s by firmware (protocol.md#c3).

    `hashrate_average` is the miner's own `MHS av` in TH/s, from the summary read just before.
    """
    averages = [
        value for row in rows if (value := _any_unit(row.get("MHS av"))) is not None
    ]
    if hashrate_average and (total := sum(averages)):
        # In MH/s the sum is a million times the summary's TH/s, else it is equal to it.
        return MEGA if total / hashrate_average > 1e3 else 1.0
    rates = [_any_unit(row.get(key)) or 0.0 for row in rows for key in _BOARD_RATES]
    return MEGA if max(rates, default=0.0) >= 10_000 else 1.0


def parse_boards(
    answer: JsonObject, hashrate_average: float | None
) -> tuple[Board, ...]:
    """`devs` or `edevs` (protocol.md#c3), in the order of the slots."""
    if not isinstance(answer.get("DEVS"), list):
        raise InvalidAnswerError("boards without DEVS")
    rows = as_objects(answer["DEVS"])[:MAX_ROWS]
    factor = board_factor(rows, hashrate_average)
    boards: dict[int, Board] = {}
    for slot, row in zip(slots_of(rows, "Slot", "ASC"), rows, strict=True):
        boards[slot] = Board(
            slot=slot,
            hashrate=scaled(pick(row, *_BOARD_RATES), factor, as_hashrate),
            hashrate_average=scaled(row.get("MHS av"), factor, as_hashrate),
            hashrate_nominal=scaled(
                pick(row, "Factory GHS", "HS Factory"), GIGA, as_nominal_hashrate
            ),
            temperature=as_hot_temperature(row.get("Temperature")),
            chip_temperature_min=as_hot_temperature(row.get("Chip Temp Min")),
            chip_temperature_avg=as_hot_temperature(row.get("Chip Temp Avg")),
            chip_temperature_max=as_hot_temperature(row.get("Chip Temp Max")),
            frequency=as_frequency(row.get("Chip Frequency")),
            chips=as_small_count(row.get("Effective Chips")),
            tuned=as_bool(row.get("Upfreq Complete")),
            serial=as_text(row.get("PCB SN")),
        )
    return tuple(boards[slot] for slot in sorted(boards))


def parse_pools(answer: JsonObject) -> tuple[Pool, ...]:
    """`pools` (protocol.md#c2) in the order of their priority; an empty list means that none is configured or in use.

    One that was replaced may be listed until it is removed.
    """
    if not isinstance(answer.get("POOLS"), list):
        raise InvalidAnswerError("pools without POOLS")
    pools = []
    rows = [
        row for row in as_objects(answer["POOLS"]) if not as_bool(row.get("To Remove"))
    ]
    for number, row in enumerate(rows[:MAX_ROWS]):
        accepted = as_count(row.get("Accepted"))
        rejected = as_count(row.get("Rejected"))
        pools.append(
            Pool(
                index=first(as_small_count(row.get("POOL")), default=number),
                url=as_text(row.get("URL")),
                user=as_text(row.get("User")),
                status=(as_text(row.get("Status")) or "").lower() or None,
                active=as_bool(row.get("Stratum Active")),
                priority=as_small_count(row.get("Priority")),
                accepted=accepted,
                rejected=rejected,
                reject_rate=rejected_percent(
                    accepted, rejected, as_unclear_share(row.get("Pool Rejected%"))
                ),
                last_share=as_moment(row.get("Last Share Time")),
            )
        )
    return tuple(sorted(pools, key=lambda pool: pool.priority or 0))


def parse_psu(answer: JsonObject) -> Psu:
    """`get_psu` (protocol.md#c5): mA, 10 mV and W, all of them strings; some firmware has V and A instead."""
    raw = as_object(answer.get("Msg"))
    if not raw:
        raise InvalidAnswerError("get_psu without an object")
    voltage, current = parse_mains(raw.get("vin"), raw.get("iin"))
    return Psu(
        model=as_text(pick(raw, "model", "name")),
        input_voltage=voltage,
        input_current=current,
        input_power=as_power(raw.get("pin")),
        fan_speed=as_fan_speed(raw.get("fan_speed")),
        temperature=as_hot_temperature(raw.get("temp0")),
        enabled=as_bool(raw.get("enable")),
        serial=as_text(raw.get("serial_no")),
    )


def parse_status(answer: JsonObject) -> Status:
    """`status`, with its object in `Msg` or at the top level (protocol.md#c7)."""
    raw = as_object(answer.get("Msg")) or answer
    off = as_bool(pick(raw, "mineroff", "btmineroff"))
    firmware = as_text(pick(raw, "FirmwareVersion", "Firmware Version"))
    if off is None and firmware is None and "power_mode" not in raw:
        raise InvalidAnswerError("status without any of its fields")
    return Status(
        off=off,
        stop_reason=as_text(raw.get("mineroff_reason")),
        power_mode=as_power_mode(raw.get("power_mode")),
        power_limit_set=as_limit(raw.get("power_limit_set")),
        power_percent=as_power_percent(raw.get("power_pct")),
        target_frequency=as_offset(raw.get("hash_percent")),
        fast_hash=as_bool(raw.get("fast_hash")),
        liquid_temperature=as_temperature(raw.get("liquid_temp")),
        firmware=firmware,
    )


def parse_faults(answer: JsonObject) -> tuple[Fault, ...]:
    """`get_error_code` in all the forms of protocol.md#c9."""
    message = as_object(answer.get("Msg"))
    if "error_code" not in message:
        raise InvalidAnswerError("get_error_code without error_code")
    return parse_fault_list(message["error_code"])

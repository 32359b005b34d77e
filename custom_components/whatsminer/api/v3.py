"""The dialect of TCP 4433 (API 3.x): raw answers to models, tokens, and its error codes.

Pure functions and tables: nothing here opens a socket. Letters in brackets are sections of
docs/protocol.md.
"""

import base64
import hashlib
from typing import Any

from .errors import (
    CommandRefusedError,
    InvalidAnswerError,
    NotWhatsminerError,
    UnsupportedCommandError,
    WhatsminerError,
)
from .models import (
    Activity,
    Board,
    Dialect,
    Fault,
    Feature,
    MinerInfo,
    Pool,
    PowerMode,
    Psu,
    Status,
    Summary,
)
from .parse import (
    JsonObject,
    as_amount,
    as_bool,
    as_count,
    as_float,
    as_int,
    as_limit,
    as_moment,
    as_object,
    as_objects,
    as_positive,
    as_power_mode,
    as_text,
    cooling_of,
    first,
    pick,
)

DEFAULT_ACCOUNT = "super"
ACCOUNTS = (DEFAULT_ACCOUNT, "user1", "user2", "user3")

FAILED, INVALID_COMMAND, INVALID_ITEM, NO_PERMISSION = -1, -2, -3, -4
"""Codes of an answer that is no success (E.2)."""

FEATURES = frozenset(Feature)
"""API 3.x can be told all that is in Feature (E.6)."""

_NO_OVERRIDE = 0


def make_token(command: str, password: str, salt: str, ts: int) -> str:
    """The token of one write: the first 8 characters of a digest in base64 (E.3)."""
    secret = f"{command}{password}{salt}{ts}".encode(errors="replace")
    digest = hashlib.sha256(secret).digest()
    return base64.b64encode(digest)[:8].decode("ascii")


def raise_for_code(command: str, answer: JsonObject) -> None:
    """Raise for an answer that is no success (E.2)."""
    code = as_int(answer.get("code"))
    if code == 0:
        return
    if code is None:
        raise InvalidAnswerError(f"{command} was answered without a code")
    message = as_text(answer.get("msg")) or ""
    text = message.lower()
    if code == INVALID_COMMAND and ("cmd" in text or "command" in text):
        raise UnsupportedCommandError(command, code, message)
    raise CommandRefusedError(command, code, message)


def message_of(command: str, answer: JsonObject) -> JsonObject:
    """The object that a read was answered with. Raises for any other answer."""
    raise_for_code(command, answer)
    message = answer.get("msg")
    if not isinstance(message, dict):
        raise InvalidAnswerError(f"{command} was answered without an object")
    return message


# Who the miner is


def parse_device(device: JsonObject) -> MinerInfo:
    """`get.device.info` (E.5): who the miner is, and whether its API switch is on."""
    miner, system, network = (
        as_object(device.get(part)) for part in ("miner", "system", "network")
    )
    api = as_text(system.get("api"))
    if api is None and not miner:
        raise NotWhatsminerError("get.device.info without system and miner")
    model = as_text(miner.get("type"))
    led = as_text(system.get("ledstatus"))
    return MinerInfo(
        dialect=Dialect.V3,
        api_version=api,
        firmware=as_text(system.get("fwversion")),
        platform=as_text(system.get("platform")),
        model=model,
        mac=as_text(network.get("mac")),
        serial=as_text(miner.get("miner-sn")),
        hostname=as_text(network.get("hostname")),
        led_auto=None if led is None else led == "auto",
        api_switch=as_bool(system.get("apiswitch")),
        features=FEATURES,
        cooling=cooling_of(model),
    )


# What the miner does


def parse_summary(status: JsonObject, setting: JsonObject) -> Summary:
    """`summary` of `get.miner.status` (E.5), with fast boot from `get.miner.setting`."""
    raw = as_object(status.get("summary"))
    if not raw:
        raise InvalidAnswerError("get.miner.status without summary")
    hashrate = as_amount(raw.get("hash-realtime"))
    power = as_amount(pick(raw, "power-realtime", "power-5min"))
    efficiency = as_positive(raw.get("power-rate"))
    if efficiency is None and power is not None and hashrate:
        efficiency = as_positive(power / hashrate)
    return Summary(
        hashrate=hashrate,
        hashrate_average=as_amount(raw.get("hash-average")),
        hashrate_1m=as_amount(raw.get("hash-1min")),
        hashrate_15m=as_amount(raw.get("hash-15min")),
        # A tiny negative number says "not known".
        hashrate_nominal=as_positive(raw.get("factory-hash")),
        power=power,
        power_5m=as_amount(raw.get("power-5min")),
        efficiency=efficiency,
        power_limit=as_limit(raw.get("power-limit")),
        power_mode=as_power_mode(setting.get("power-mode")),
        environment_temperature=as_float(raw.get("environment-temperature")),
        chip_temperature_min=as_float(raw.get("chip-temp-min")),
        chip_temperature_avg=as_float(raw.get("chip-temp-avg")),
        chip_temperature_max=as_float(raw.get("chip-temp-max")),
        fan_speed_in=as_amount(raw.get("fan-speed-in")),
        fan_speed_out=as_amount(raw.get("fan-speed-out")),
        frequency_average=as_amount(raw.get("freq-avg")),
        frequency_target=as_positive(raw.get("target-freq")),
        elapsed=as_amount(raw.get("elapsed")),
        uptime=as_amount(raw.get("bootup-time")),
        stable=as_bool(raw.get("up-freq-finish")),
        fast_boot=as_bool(setting.get("fast-boot")),
    )


def parse_boards(status: JsonObject) -> tuple[Board, ...]:
    """`edevs` of `get.miner.status`; the boards' temperatures stand in its summary (E.5)."""
    rows = status.get("edevs")
    if not isinstance(rows, list):
        raise InvalidAnswerError("get.miner.status without edevs")
    listed = as_object(status.get("summary")).get("board-temperature")
    temperatures = listed if isinstance(listed, list) else []
    boards: dict[int, Board] = {}
    for index, row in enumerate(as_objects(rows)):
        slot = first(as_count(row.get("slot")), as_count(row.get("id")), default=index)
        average = as_amount(row.get("hash-average"))
        boards[slot] = Board(
            slot=slot,
            hashrate=first(as_amount(row.get("hash-realtime")), default=average),
            hashrate_average=average,
            hashrate_nominal=as_positive(row.get("factory-hash")),
            temperature=(
                as_float(temperatures[slot]) if slot < len(temperatures) else None
            ),
            chip_temperature_min=as_float(row.get("chip-temp-min")),
            chip_temperature_avg=as_float(row.get("chip-temp-avg")),
            chip_temperature_max=as_float(row.get("chip-temp-max")),
            frequency=as_amount(row.get("freq")),
            chips=as_count(row.get("effective-chips")),
        )
    return tuple(boards[slot] for slot in sorted(boards))


def parse_pools(
    status: JsonObject, counted: tuple[Pool, ...] | None
) -> tuple[Pool, ...]:
    """`pools` of `get.miner.status`, with the shares that only port 4028 counts (E.5)."""
    rows = status.get("pools")
    if not isinstance(rows, list):
        raise InvalidAnswerError("get.miner.status without pools")
    uncounted = list(counted or ())
    pools = []
    for number, row in enumerate(as_objects(rows)):
        url, user = as_text(row.get("url")), as_text(row.get("account"))
        # The same pool may be configured twice: each is counted once, in this order.
        same = next((p for p in uncounted if (p.url, p.user) == (url, user)), None)
        if same:
            uncounted.remove(same)
        pools.append(
            Pool(
                index=first(as_count(row.get("id")), default=number),
                url=url,
                user=user,
                status=(as_text(row.get("status")) or "").lower() or None,
                active=as_bool(row.get("stratum-active")),
                accepted=same.accepted if same else None,
                rejected=same.rejected if same else None,
                reject_rate=as_amount(row.get("reject-rate")),
                last_share=as_moment(row.get("last-share-time")),
            )
        )
    return tuple(pools)


def parse_psu(device: JsonObject) -> Psu:
    """`power` of `get.device.info`: V, A and W as they are (E.5)."""
    raw = as_object(device.get("power"))
    if not raw:
        raise InvalidAnswerError("get.device.info without power")
    return Psu(
        model=as_text(pick(raw, "model", "type")),
        input_voltage=as_amount(raw.get("vin")),
        input_current=as_amount(raw.get("iin")),
        input_power=as_amount(raw.get("pin")),
        fan_speed=as_amount(raw.get("fanspeed")),
        temperature=as_float(raw.get("temp0")),
        serial=as_text(raw.get("sn")),
    )


def parse_status(device: JsonObject, setting: JsonObject) -> Status:
    """What was commanded: `miner` of `get.device.info`, and `get.miner.setting` (E.5)."""
    miner, power = (as_object(device.get(part)) for part in ("miner", "power"))
    working = as_bool(miner.get("working"))
    percent = as_amount(setting.get("power-percent"))
    if percent == _NO_OVERRIDE:
        percent = 100.0
    return Status(
        off=None if working is None else not working,
        power_mode=as_power_mode(setting.get("power-mode")) or _mode_of(power),
        power_limit_set=first(
            as_limit(setting.get("power-limit")),
            as_limit(miner.get("power-limit-set")),
            default=None,
        ),
        power_percent=percent,
        liquid_temperature=as_float(power.get("liquid-temperature")),
        firmware=as_text(as_object(device.get("system")).get("fwversion")),
    )


def _mode_of(power: JsonObject) -> PowerMode | None:
    """The mode as the number that `power` has for it (E.5)."""
    mode = as_int(power.get("mode"))
    modes = (PowerMode.LOW, PowerMode.NORMAL, PowerMode.HIGH)
    return modes[mode] if mode is not None and 0 <= mode < len(modes) else None


def parse_faults(device: JsonObject) -> tuple[Fault, ...]:
    """`error-code` of `get.device.info`, with reasons since 3.0.1 (E.5)."""
    rows = device.get("error-code")
    if not isinstance(rows, list):
        raise InvalidAnswerError("get.device.info without error-code")
    faults: dict[int, Fault] = {}
    for row in as_objects(rows):
        reason = as_text(row.get("reason"))
        for key, time in row.items():
            if (code := as_count(key)) is not None:
                faults[code] = Fault(code=code, time=as_text(time), reason=reason)
    return tuple(faults.values())


def activity_of(
    status: Status | None,
    summary: Summary | None,
    summary_error: WhatsminerError | None,
) -> Activity | None:
    """What the miner is doing; None when neither service nor summary tell."""
    if status and status.off:
        return Activity.STOPPED
    # What does not hash may be stopped as well, unless the miner said that it is not.
    idle = None if status is None else Activity.STARTING
    if summary is None:
        # The board answers and refuses: there is no btminer that it could ask.
        refused = isinstance(summary_error, CommandRefusedError)
        return idle and Activity.RESTARTING if refused else None
    if summary.hashrate is None:
        return None
    if not summary.hashrate or summary.frequency_average == 0:
        return idle
    return Activity.TUNING if summary.stable is False else Activity.MINING


def other_spelling(param: Any) -> Any | None:
    """A parameter with its number as string, or its string as number (E.6); None if it has none."""
    if isinstance(param, dict) and isinstance(param.get("percent"), str):
        return {**param, "percent": int(param["percent"])}
    if isinstance(param, int) and not isinstance(param, bool):
        return str(param)
    return None

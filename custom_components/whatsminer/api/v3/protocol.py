"""The dialect of TCP 4433 (API 3.x): raw answers to models, tokens, and its error codes.

Pure functions and tables: nothing here opens a socket. Letters in brackets are sections of
docs/protocol.md.
"""

import base64
from collections.abc import Callable
from dataclasses import asdict
import hashlib
import json
from typing import Any

from ..capabilities import with_capabilities
from ..errors import (
    CommandRefusedError,
    InvalidAnswerError,
    NotWhatsminerError,
    UnsupportedCommandError,
)
from ..models import (
    Board,
    Dialect,
    Fault,
    Feature,
    HeatMode,
    LedPattern,
    LogProtocol,
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
    MAX_ROWS,
    JsonObject,
    as_bool,
    as_current,
    as_delay,
    as_duration,
    as_efficiency,
    as_fan_speed,
    as_frequency,
    as_hashrate,
    as_heat_mode,
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
    as_port,
    as_power,
    as_power_mode,
    as_power_percent,
    as_small_count,
    as_speed,
    as_temperature,
    as_temperature_offset,
    as_text,
    as_texts,
    as_unclear_share,
    first,
    nonzero,
    parse_fault_list,
    parse_mains,
    pick,
    ratio,
    slots_of,
)
from ..v2.crypto import BLOCK, aes_ecb
from ..v2.protocol import parse_network

DEFAULT_ACCOUNT = "super"
ACCOUNTS = (DEFAULT_ACCOUNT, "user1", "user2", "user3")

FAILED, INVALID_COMMAND, INVALID_ITEM, NO_PERMISSION = -1, -2, -3, -4
"""Codes of an answer that is no success (protocol.md#e2)."""

ENCRYPTED = frozenset({"set.miner.pools", "set.user.change_passwd"})
"""The commands whose parameter is encrypted (protocol.md#e4)."""


def make_digest(command: str, password: str, salt: str, ts: int) -> bytes:
    """What the token of one write is made of, and the key of its parameter (protocol.md#e3, #e4)."""
    secret = f"{command}{password}{salt}{ts}".encode(errors="replace")
    return hashlib.sha256(secret).digest()


def make_token(command: str, password: str, salt: str, ts: int) -> str:
    """The token of one write: the first 8 characters of its digest in base64 (protocol.md#e3)."""
    digest = make_digest(command, password, salt, ts)
    return base64.b64encode(digest)[:8].decode("ascii")


def encrypt_param(param: Any, digest: bytes) -> str:
    """Encrypt a parameter, with PKCS#7 padding (protocol.md#e4)."""
    plain = json.dumps(param, separators=(",", ":"), ensure_ascii=False).encode()
    missing = BLOCK - len(plain) % BLOCK
    plain += bytes([missing]) * missing
    return base64.b64encode(aes_ecb(digest).encrypt(plain)).decode()


# Commands

type Encoded = list[tuple[str, Any]]
"""Commands with their parameters, to be sent one after the other."""


def _command(command: str, param: Any = None) -> Encoded:
    return [(command, param)]


def _verb(enabled: bool) -> str:
    return "enable" if enabled else "disable"


def _encode_percent(percent: int, fast: bool) -> Encoded:
    # As a string: MicroBT's own client says that a number is not read everywhere (protocol.md#e6).
    mode = "fast" if fast else "normal"
    return _command("set.miner.power_percent", {"percent": str(percent), "mode": mode})


def _encode_pools(*pools: PoolLogin) -> Encoded:
    return _command(
        "set.miner.pools",
        [
            {"pool": pool.url, "worker": pool.user, "passwd": pool.password}
            for pool in pools
        ],
    )


def _encode_leds(*patterns: LedPattern) -> Encoded:
    leds = [asdict(pattern) for pattern in patterns]
    return _command("set.system.led", leds or "auto")


def _encode_log_server(server: LogServer) -> Encoded:
    return _command(
        "set.log.upload",
        {
            "ip": server.address,
            "port": str(server.port),
            "proto": server.protocol.value,
        },
    )


def _encode_hostname(hostname: str) -> Encoded:
    return _command("set.system.hostname", {"hostname": hostname})


def _encode_network(network: Network, _: str) -> Encoded:
    if network.dhcp:
        return _command("set.system.net_config", "dhcp")
    # The board reboots after this, so the name comes first.
    before = _encode_hostname(network.hostname) if network.hostname else []
    return before + _command(
        "set.system.net_config",
        {
            "ip": network.address,
            "netmask": network.netmask,
            "gateway": network.gateway,
            "dns": " ".join(network.dns or ()),
        },
    )


HEAT_MODES = {
    HeatMode.NORMAL: "normal",
    HeatMode.HEATING: "heating",
    HeatMode.ANTI_FREEZING: "anti-freezing",
}

_SERVICE = "set.miner.service"

ENCODERS: dict[Feature, Callable[..., Encoded]] = {
    Feature.MINING: lambda on: _command(_SERVICE, "start" if on else "stop"),
    Feature.RESTART: lambda: _command(_SERVICE, "restart"),
    Feature.START_AT_BOOT: lambda on: _command(_SERVICE, _verb(on)),
    Feature.REBOOT: lambda: _command("set.system.reboot"),
    Feature.POWER_MODE: lambda mode: _command("set.miner.power_mode", mode.value),
    Feature.POWER_LIMIT: lambda watts: _command("set.miner.power_limit", watts),
    Feature.POWER_PERCENT: _encode_percent,
    Feature.RESTORE_POWER_PERCENT: lambda: _encode_percent(100, fast=False),
    Feature.POWER: lambda watts: _command("set.miner.power", watts),
    Feature.TARGET_FREQUENCY: lambda percent: _command(
        "set.miner.target_freq", percent
    ),
    Feature.UPFREQ_SPEED: lambda speed: _command("set.miner.upfreq_speed", speed),
    Feature.FAST_BOOT: lambda on: _command("set.miner.fastboot", _verb(on)),
    Feature.FAST_HASH: lambda on: _command("set.miner.fast_hash", int(on)),
    Feature.HEAT_MODE: lambda mode: _command("set.miner.heat_mode", HEAT_MODES[mode]),
    Feature.POWER_OFF_COOL: lambda on: _command("set.fan.poweroff_cool", int(on)),
    Feature.FAN_ZERO_SPEED: lambda on: _command("set.fan.zero_speed", int(on)),
    Feature.TEMPERATURE_OFFSET: lambda offset: _command("set.fan.temp_offset", offset),
    Feature.POOLS: _encode_pools,
    Feature.WEB_POOLS: lambda on: _command("set.system.webpools", _verb(on)),
    Feature.COIN_TYPE: lambda coin: _command("set.miner.cointype", {"cointype": coin}),
    Feature.LED: _encode_leds,
    Feature.HOSTNAME: _encode_hostname,
    Feature.TIME_ZONE: lambda timezone, name: _command(
        "set.system.timezone", {"timezone": timezone, "zonename": name}
    ),
    Feature.NTP_SERVERS: lambda *servers: _command(
        "set.system.ntp_server", ",".join(servers)
    ),
    Feature.RANDOM_DELAY: lambda start, stop: _command(
        "set.system.time_randomized", {"start": start, "stop": stop}
    ),
    Feature.LOG_SERVER: _encode_log_server,
    Feature.NETWORK: _encode_network,
    Feature.CUSTOM_DATA: lambda key, value: _command(
        "set.device.custom_data", {"key": key, "value": value}
    ),
    Feature.PERMISSION: lambda user, *commands: _command(
        "set.user.permission", {"user": user, "permission": ",".join(commands)}
    ),
    Feature.RESTORE_SETTINGS: lambda: _command("set.miner.restore_setting"),
    Feature.FACTORY_RESET: lambda: _command("set.system.factory_reset"),
}
"""How each feature is commanded on 4433 (protocol.md#e6)."""


def harmless_commands(device: JsonObject) -> list[tuple[str, Any]]:
    """Return commands that change nothing, to find out whether an account is accepted (protocol.md#e2).

    Not every firmware knows the first one. The others set what `get.device.info` reports.
    """
    commands: list[tuple[str, Any]] = [("set.miner.report", {"gap": 0})]
    if as_object(device.get("system")).get("ledstatus") == "auto":
        commands.append(("set.system.led", "auto"))
    web_pools = as_bool(as_object(device.get("miner")).get("web-pool"))
    if web_pools is not None:
        commands.append(("set.system.webpools", _verb(web_pools)))
    return commands


def is_inconclusive(answer: JsonObject) -> bool:
    """Return whether an answer shows nothing about the account: the command or its form is unknown (protocol.md#e2)."""
    text = (as_text(answer.get("msg")) or "").lower()
    code = as_int(answer.get("code"))
    return code in (INVALID_COMMAND, INVALID_ITEM) and "token" not in text


def is_about_param(answer: JsonObject) -> bool:
    """Return whether an answer refuses the parameter, not the command (protocol.md#e2)."""
    return is_inconclusive(answer) and not _is_unknown(answer)


def _is_unknown(answer: JsonObject) -> bool:
    """Return whether an answer says that the command is unknown."""
    text = (as_text(answer.get("msg")) or "").lower()
    is_invalid = as_int(answer.get("code")) == INVALID_COMMAND
    return is_invalid and ("cmd" in text or "command" in text)


def raise_for_code(command: str, answer: JsonObject) -> None:
    """Raise for an answer that is no success (protocol.md#e2)."""
    code = as_int(answer.get("code"))
    if code == 0:
        return
    if code is None:
        raise InvalidAnswerError(f"{command} was answered without a code")
    kind = UnsupportedCommandError if _is_unknown(answer) else CommandRefusedError
    raise kind(command, code, as_text(answer.get("msg")) or "")


def message_of(command: str, answer: JsonObject) -> JsonObject:
    """The object that a read was answered with. Raises for any other answer."""
    raise_for_code(command, answer)
    message = answer.get("msg")
    if not isinstance(message, dict):
        raise InvalidAnswerError(f"{command} was answered without an object")
    return message


# Who the miner is


def parse_device(device: JsonObject) -> MinerInfo:
    """`get.device.info` (protocol.md#e5): who the miner is, and whether its API switch is on."""
    miner, system, network = (
        as_object(device.get(part)) for part in ("miner", "system", "network")
    )
    api = as_text(system.get("api"))
    if api is None and not miner:
        raise NotWhatsminerError("get.device.info without system and miner")
    return with_capabilities(
        MinerInfo(
            dialect=Dialect.V3,
            api_version=api,
            firmware=as_text(system.get("fwversion")),
            platform=as_text(system.get("platform")),
            model=as_text(miner.get("type")),
            mac=as_mac(network.get("mac")),
            serial=as_text(miner.get("miner-sn")),
            hostname=as_text(network.get("hostname")),
            led_auto=as_led_auto(system.get("ledstatus")),
            api_switch=as_bool(system.get("apiswitch")),
        )
    )


def parse_settings(
    device: JsonObject, setting: JsonObject, system: JsonObject, fan: JsonObject
) -> Settings:
    """The settings, from the four answers that contain them (protocol.md#e5)."""
    miner = as_object(device.get("miner"))
    delay = as_object(system.get("time-randomized"))
    return Settings(
        web_pools=as_bool(
            first(system.get("web-pool"), miner.get("web-pool"), default=None)
        ),
        power_off_cool=as_bool(fan.get("fan-poweroff-cool")),
        fan_zero_speed=as_bool(fan.get("fan-zero-speed")),
        temperature_offset=as_temperature_offset(fan.get("fan-temp-offset")),
        upfreq_speed=as_speed(
            first(setting.get("upfreq-speed"), miner.get("UpfreqSpeed"), default=None)
        ),
        heat_mode=as_heat_mode(
            first(setting.get("heat-mode"), miner.get("heatmode"), default=None)
        ),
        power=as_limit(setting.get("power")),
        coin_type=as_text(miner.get("cointype")),
        random_start=as_delay(delay.get("start")),
        random_stop=as_delay(delay.get("stop")),
        timezone=as_text(system.get("timezone")),
        zone_name=as_text(system.get("zonename")),
        ntp_servers=as_texts(system.get("ntp-server")),
        log_server=_parse_log_server(system.get("log-upload")),
        network=parse_network(as_object(device.get("network"))),
    )


def _parse_log_server(value: Any) -> LogServer | None:
    """Where the log is sent to; None where it is not."""
    raw = as_object(value)
    address, port = as_text(raw.get("ip")), as_port(raw.get("port"))
    protocol = (as_text(raw.get("proto")) or "").lower()
    if address is None or port is None or protocol not in LogProtocol:
        return None
    return LogServer(address=address, port=port, protocol=LogProtocol(protocol))


# What the miner does


def parse_summary(status: JsonObject, setting: JsonObject) -> Summary:
    """`summary` of `get.miner.status` (protocol.md#e5), with fast boot from the settings."""
    raw = as_object(status.get("summary"))
    if not raw:
        raise InvalidAnswerError("get.miner.status without summary")
    hashrate = as_hashrate(raw.get("hash-realtime"))
    mean = as_power(raw.get("power-5min"))
    power = first(as_power(raw.get("power-realtime")), mean, default=None)
    return Summary(
        hashrate=hashrate,
        hashrate_average=as_hashrate(raw.get("hash-average")),
        hashrate_1m=as_hashrate(raw.get("hash-1min")),
        hashrate_15m=as_hashrate(raw.get("hash-15min")),
        hashrate_nominal=as_nominal_hashrate(raw.get("factory-hash")),
        power=power,
        power_5m=mean,
        efficiency=first(
            as_efficiency(raw.get("power-rate")),
            ratio(power, hashrate, as_efficiency),
            default=None,
        ),
        power_limit=as_limit(raw.get("power-limit")),
        power_mode=as_power_mode(setting.get("power-mode")),
        environment_temperature=as_temperature(raw.get("environment-temperature")),
        chip_temperature_min=as_hot_temperature(raw.get("chip-temp-min")),
        chip_temperature_avg=as_hot_temperature(raw.get("chip-temp-avg")),
        chip_temperature_max=as_hot_temperature(raw.get("chip-temp-max")),
        fan_speed_in=as_fan_speed(raw.get("fan-speed-in")),
        fan_speed_out=as_fan_speed(raw.get("fan-speed-out")),
        frequency_average=as_frequency(raw.get("freq-avg")),
        frequency_target=nonzero(as_frequency)(raw.get("target-freq")),
        elapsed=as_duration(raw.get("elapsed")),
        uptime=as_duration(raw.get("bootup-time")),
        stable=as_bool(raw.get("up-freq-finish")),
        fast_boot=as_bool(setting.get("fast-boot")),
    )


def parse_boards(status: JsonObject) -> tuple[Board, ...]:
    """`edevs` of `get.miner.status`; the boards' temperatures are in its summary (protocol.md#e5)."""
    rows = status.get("edevs")
    if not isinstance(rows, list):
        raise InvalidAnswerError("get.miner.status without edevs")
    listed = as_object(status.get("summary")).get("board-temperature")
    rows = as_objects(rows)[:MAX_ROWS]
    slots = slots_of(rows, "slot", "id")
    temperatures = _by_slot(listed if isinstance(listed, list) else [], slots)
    boards: dict[int, Board] = {}
    for slot, row in zip(slots, rows, strict=True):
        average = as_hashrate(row.get("hash-average"))
        boards[slot] = Board(
            slot=slot,
            hashrate=first(as_hashrate(row.get("hash-realtime")), default=average),
            hashrate_average=average,
            hashrate_nominal=as_nominal_hashrate(row.get("factory-hash")),
            temperature=as_hot_temperature(temperatures.get(slot)),
            chip_temperature_min=as_hot_temperature(row.get("chip-temp-min")),
            chip_temperature_avg=as_hot_temperature(row.get("chip-temp-avg")),
            chip_temperature_max=as_hot_temperature(row.get("chip-temp-max")),
            frequency=as_frequency(row.get("freq")),
            chips=as_small_count(row.get("effective-chips")),
        )
    return tuple(boards[slot] for slot in sorted(boards))


def _by_slot(temperatures: list[Any], slots: list[int]) -> dict[int, Any]:
    """The temperatures of boards, whose slots begin with 0, or with 1 where the last needs it."""
    from_one = 0 not in slots and max(slots, default=0) == len(temperatures)
    return dict(enumerate(temperatures, int(from_one)))


def parse_pools(
    status: JsonObject, counted: tuple[Pool, ...] | None
) -> tuple[Pool, ...]:
    """`pools` of `get.miner.status`, with the shares that only port 4028 counts (protocol.md#e5)."""
    rows = status.get("pools")
    if not isinstance(rows, list):
        raise InvalidAnswerError("get.miner.status without pools")
    uncounted = list(counted or ())
    pools = []
    for number, row in enumerate(as_objects(rows)[:MAX_ROWS]):
        url, user = as_text(row.get("url")), as_text(row.get("account"))
        # The same pool may be configured twice: each is counted once, in this order.
        same = next((p for p in uncounted if (p.url, p.user) == (url, user)), None)
        accepted, rejected = (same.accepted, same.rejected) if same else (None, None)
        if same:
            uncounted.remove(same)
        reported = as_unclear_share(pick(row, "reject-rate", "reject-percent"))
        pools.append(
            Pool(
                index=first(as_small_count(row.get("id")), default=number),
                url=url,
                user=user,
                status=(as_text(row.get("status")) or "").lower() or None,
                active=as_bool(row.get("stratum-active")),
                accepted=accepted,
                rejected=rejected,
                reject_rate=rejected_percent(accepted, rejected, reported),
                last_share=as_moment(row.get("last-share-time")),
            )
        )
    return tuple(pools)


def parse_psu(device: JsonObject) -> Psu:
    """`power` of `get.device.info`: V, A and W as they are (protocol.md#e5)."""
    raw = as_object(device.get("power"))
    if not raw:
        raise InvalidAnswerError("get.device.info without power")
    voltage, current = parse_mains(raw.get("vin"), raw.get("iin"), alone=as_current)
    return Psu(
        model=as_text(pick(raw, "model", "type")),
        input_voltage=voltage,
        input_current=current,
        input_power=as_power(raw.get("pin")),
        fan_speed=as_fan_speed(raw.get("fanspeed")),
        temperature=as_hot_temperature(raw.get("temp0")),
        serial=as_text(raw.get("sn")),
    )


def parse_status(device: JsonObject, setting: JsonObject) -> Status:
    """The commanded state: `miner` of `get.device.info`, and `get.miner.setting` (protocol.md#e5)."""
    miner, power = (as_object(device.get(part)) for part in ("miner", "power"))
    working = as_bool(miner.get("working"))
    percent = setting.get("power-percent")
    return Status(
        off=None if working is None else not working,
        power_mode=as_power_mode(setting.get("power-mode")) or _mode_of(power),
        power_limit_set=first(
            as_limit(setting.get("power-limit")),
            as_limit(miner.get("power-limit-set")),
            default=None,
        ),
        # Some firmware has here what it was commanded with (protocol.md#e5).
        power_percent=as_power_percent(as_object(percent).get("percent", percent)),
        target_frequency=first(
            as_offset(setting.get("target-freq")),
            as_offset(miner.get("hash-percent")),
            default=None,
        ),
        fast_hash=as_bool(setting.get("fast-hash")),
        liquid_temperature=as_temperature(power.get("liquid-temperature")),
        firmware=as_text(as_object(device.get("system")).get("fwversion")),
    )


def _mode_of(power: JsonObject) -> PowerMode | None:
    """The mode as the number that `power` has for it (protocol.md#e5)."""
    mode = as_int(power.get("mode"))
    modes = (PowerMode.LOW, PowerMode.NORMAL, PowerMode.HIGH)
    return modes[mode] if mode is not None and 0 <= mode < len(modes) else None


def parse_faults(device: JsonObject) -> tuple[Fault, ...]:
    """`error-code` of `get.device.info`, with reasons since 3.0.1 (protocol.md#e5)."""
    if "error-code" not in device:
        raise InvalidAnswerError("get.device.info without error-code")
    return parse_fault_list(device["error-code"])


def other_spelling(param: Any) -> Any | None:
    """A parameter as other firmware knows it (protocol.md#e6), or None if it has no other spelling."""
    if param == HEAT_MODES[HeatMode.ANTI_FREEZING]:
        return "anti-icing"
    if isinstance(param, dict) and isinstance(param.get("percent"), str):
        return {**param, "percent": int(param["percent"])}
    if isinstance(param, int) and not isinstance(param, bool):
        return str(param)
    return None

"""What may be sent at all: each check raises InvalidValueError for what a miner would misunderstand.

No message quotes a password or the user of a pool: they may be logged as they are.
"""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
import re

from .errors import InvalidValueError
from .models import LedPattern, LogServer, Network, PoolLogin

MAX_POOLS, MAX_NTP_SERVERS, MAX_DNS = 3, 4, 2
MAX_TEXT = 255
"""Characters of a text of which the vendor names no end."""
MAX_CUSTOM_DATA = 127
"""Bytes (protocol.md#d1, #e6)."""

LED_RANGE = range(60_001)
"""ms"""
PORT_RANGE = range(1, 65_536)

CUSTOM_DATA_KEYS = ("CustomerSn", *(f"msg{number}" for number in range(10)))
USERS = ("user1", "user2", "user3")

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:]+:(\d{1,5})(?:/\S*)?", re.IGNORECASE)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(_LABEL)
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# `CST-8`, `<+0330>-3:30`, `CET-1CEST,M3.5.0,M10.5.0/3`
_TIMEZONE = re.compile(
    r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,2}(?::\d{2})*[A-Za-z0-9<>+,./:-]*"
)
_ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_PASSWORD = re.compile(r"[A-Za-z0-9_]{1,64}")
_COMMAND = re.compile(r"set\.[a-z_]+\.[a-z_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_range(field: str, value: int, allowed: range) -> None:
    """A whole number within bounds."""
    if isinstance(value, bool) or value not in allowed:
        lowest, highest = allowed[0], allowed[-1]
        raise InvalidValueError(
            "range", field=field, lowest=lowest, highest=highest, value=value
        )


def check_choice(field: str, value: str, allowed: Collection[str]) -> None:
    """One of some words."""
    if value not in allowed:
        words = ", ".join(allowed)
        raise InvalidValueError("choice", field=field, allowed=words, value=value)


def _check_form(field: str, value: str, form: re.Pattern[str]) -> None:
    if len(value) > MAX_TEXT or not form.fullmatch(value):
        raise InvalidValueError("form", field=field, value=value)


def _check_count(field: str, values: Iterable[object], most: int) -> None:
    if not 1 <= (count := len(tuple(values))) <= most:
        raise InvalidValueError("count", field=field, most=most, count=count)


def check_pools(pools: tuple[PoolLogin, ...]) -> None:
    """One to three pools, each with an address and a user."""
    _check_count("pools", pools, MAX_POOLS)
    for number, pool in enumerate(pools, 1):
        url = _URL.fullmatch(pool.url)
        if not url or int(url[1]) not in PORT_RANGE:
            raise InvalidValueError("pool_url", pool=number)
        for field, text, least in (
            ("url", pool.url, 1),
            ("user", pool.user, 1),
            ("password", pool.password, 0),
        ):
            if not least <= len(text) <= MAX_TEXT or _CONTROL.search(text):
                raise InvalidValueError("pool_text", field=field, pool=number)


def check_leds(patterns: tuple[LedPattern, ...]) -> None:
    """One pattern for each LED at most."""
    _check_count("patterns", patterns, 2)
    if len({pattern.color for pattern in patterns}) < len(patterns):
        raise InvalidValueError("led_twice")
    for pattern in patterns:
        check_range("period", pattern.period, LED_RANGE)
        check_range("duration", pattern.duration, LED_RANGE)
        check_range("start", pattern.start, LED_RANGE)


def check_hostname(hostname: str) -> None:
    """A name of one label."""
    _check_form("hostname", hostname, _HOSTNAME)


def check_time_zone(timezone: str, zone_name: str) -> None:
    """A zone in the manner of POSIX, and its name."""
    _check_form("timezone", timezone, _TIMEZONE)
    _check_form("zone_name", zone_name, _ZONE_NAME)


def check_ntp_servers(servers: tuple[str, ...]) -> None:
    """One to four names or addresses."""
    _check_count("servers", servers, MAX_NTP_SERVERS)
    for server in servers:
        _check_form("servers", server, _HOST)


def _address(field: str, text: str | None) -> IPv4Address:
    """An address that a device can have."""
    wrong = InvalidValueError("address", field=field, value=text or "")
    try:
        address = IPv4Address(text or "")
    except ValueError:
        raise wrong from None
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address.is_loopback
    ):
        raise wrong
    return address


def check_log_server(server: LogServer) -> None:
    """An address and a port."""
    _address("address", server.address)
    check_range("port", server.port, PORT_RANGE)


def check_network(network: Network) -> None:
    """DHCP and nothing else, or all addresses, which must fit together."""
    if network.dhcp:
        if network != Network(dhcp=True):
            raise InvalidValueError("dhcp_alone")
        return
    address = _address("address", network.address)
    gateway = _address("gateway", network.gateway)
    servers = network.dns or ()
    _check_count("dns", servers, MAX_DNS)
    for server in servers:
        _address("dns", server)
    no_netmask = InvalidValueError("netmask", value=network.netmask or "")
    try:
        net: IPv4Network = IPv4Interface(f"{address}/{network.netmask}").network
    except ValueError:
        raise no_netmask from None
    if "." not in (network.netmask or "") or str(net.netmask) != network.netmask:
        raise no_netmask
    if gateway not in net or gateway == address:
        raise InvalidValueError(
            "gateway", gateway=gateway, address=address, network=net
        )
    for one in (address, gateway):
        if one in (net.network_address, net.broadcast_address):
            raise InvalidValueError("network_address", address=one, network=net)
    if network.hostname is not None:
        check_hostname(network.hostname)


def check_new_password(password: str) -> None:
    """Letters, digits and underscores (protocol.md#b7)."""
    if not _PASSWORD.fullmatch(password):
        raise InvalidValueError("password_form")


def check_custom_data(key: str, value: str) -> None:
    """One of the fields there are, and no more text than fits in."""
    check_choice("key", key, CUSTOM_DATA_KEYS)
    if len(value.encode(errors="replace")) > MAX_CUSTOM_DATA or _CONTROL.search(value):
        raise InvalidValueError("text_length", field="value", most=MAX_CUSTOM_DATA)


def check_permission(user: str, commands: tuple[str, ...]) -> None:
    """A user other than `super`, and commands that set something; none takes all away."""
    check_choice("user", user, USERS)
    for command in commands:
        _check_form("commands", command, _COMMAND)

"""What may be sent at all: each check raises ValueError for what a miner would misunderstand.

No message quotes a password or the user of a pool: they may be logged as they are.
"""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
import re

from .models import LedPattern, LogServer, Network, PoolLogin

MAX_POOLS, MAX_NTP_SERVERS, MAX_DNS = 3, 4, 2
MAX_TEXT = 255
"""Characters of a text of which the vendor names no end."""
MAX_CUSTOM_DATA = 127
"""Bytes (D.1, E.6)."""

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


def check_range(name: str, value: int, allowed: range) -> None:
    """A whole number within bounds."""
    if isinstance(value, bool) or value not in allowed:
        raise ValueError(
            f"{name} must be between {allowed[0]} and {allowed[-1]}, not {value}"
        )


def check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    """One of some words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value}")


def _check_form(name: str, value: str, form: re.Pattern[str]) -> None:
    if len(value) > MAX_TEXT or not form.fullmatch(value):
        raise ValueError(f"{name} is not of the form that a miner takes: {value!r}")


def _check_count(name: str, values: Iterable[object], most: int) -> None:
    check_range(f"number of {name}", len(tuple(values)), range(1, most + 1))


def check_pools(pools: tuple[PoolLogin, ...]) -> None:
    """One to three pools, each with an address and a user."""
    _check_count("pools", pools, MAX_POOLS)
    for number, pool in enumerate(pools, 1):
        url = _URL.fullmatch(pool.url)
        if not url or int(url[1]) not in PORT_RANGE:
            raise ValueError(f"the URL of pool {number} is not like scheme://host:port")
        if not pool.user:
            raise ValueError(f"pool {number} has no user")
        for name, text in (
            ("URL", pool.url),
            ("user", pool.user),
            ("password", pool.password),
        ):
            if len(text) > MAX_TEXT or _CONTROL.search(text):
                raise ValueError(f"the {name} of pool {number} cannot be sent")


def check_leds(patterns: tuple[LedPattern, ...]) -> None:
    """One pattern for each LED at most."""
    _check_count("LED patterns", patterns, 2)
    if len({pattern.color for pattern in patterns}) < len(patterns):
        raise ValueError("two patterns for the same LED")
    for pattern in patterns:
        check_range("period", pattern.period, LED_RANGE)
        check_range("duration", pattern.duration, LED_RANGE)
        check_range("start", pattern.start, LED_RANGE)


def check_hostname(hostname: str) -> None:
    """A name of one label."""
    _check_form("hostname", hostname, _HOSTNAME)


def check_time_zone(timezone: str, zone_name: str) -> None:
    """A zone in the manner of POSIX, and its name."""
    _check_form("time zone", timezone, _TIMEZONE)
    _check_form("name of the time zone", zone_name, _ZONE_NAME)


def check_ntp_servers(servers: tuple[str, ...]) -> None:
    """One to four names or addresses."""
    _check_count("NTP servers", servers, MAX_NTP_SERVERS)
    for server in servers:
        _check_form("NTP server", server, _HOST)


def _address(name: str, text: str | None) -> IPv4Address:
    """An address that a machine can have."""
    try:
        address = IPv4Address(text or "")
    except ValueError:
        raise ValueError(f"{name} is no IPv4 address: {text!r}") from None
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address.is_loopback
    ):
        raise ValueError(f"{name} cannot be the address of a machine: {text}")
    return address


def check_log_server(server: LogServer) -> None:
    """An address and a port."""
    _address("address of the log server", server.address)
    check_range("port of the log server", server.port, PORT_RANGE)


def check_network(network: Network) -> None:
    """DHCP and nothing else, or all addresses, which must fit together."""
    if network.dhcp:
        if network != Network(dhcp=True):
            raise ValueError("with DHCP no address can be set")
        return
    address = _address("address", network.address)
    gateway = _address("gateway", network.gateway)
    servers = network.dns or ()
    _check_count("name servers", servers, MAX_DNS)
    for server in servers:
        _address("name server", server)
    try:
        net: IPv4Network = IPv4Interface(f"{address}/{network.netmask}").network
    except ValueError:
        raise ValueError(f"not a netmask: {network.netmask!r}") from None
    if "." not in (network.netmask or "") or str(net.netmask) != network.netmask:
        raise ValueError(f"not a netmask: {network.netmask!r}")
    if gateway not in net or gateway == address:
        raise ValueError(f"gateway {gateway} is not a neighbour of {address} in {net}")
    for one in (address, gateway):
        if one in (net.network_address, net.broadcast_address):
            raise ValueError(f"{one} stands for the whole of {net}")
    if network.hostname is not None:
        check_hostname(network.hostname)


def check_new_password(password: str) -> None:
    """Letters, digits and underscores (B.7)."""
    if not _PASSWORD.fullmatch(password):
        raise ValueError("a password is made of 1 to 64 letters, digits, underscores")


def check_custom_data(key: str, value: str) -> None:
    """One of the fields there are, and no more text than fits in."""
    check_choice("field", key, CUSTOM_DATA_KEYS)
    if len(value.encode(errors="replace")) > MAX_CUSTOM_DATA or _CONTROL.search(value):
        raise ValueError(f"{key} must be a line of at most {MAX_CUSTOM_DATA} bytes")


def check_permission(user: str, commands: tuple[str, ...]) -> None:
    """A user other than `super`, and commands that set something; none takes all away."""
    check_choice("user", user, USERS)
    for command in commands:
        _check_form("command", command, _COMMAND)

"""Checks of the texts that a miner accepts: each returns the value of a text, or raises ValueError."""

from ipaddress import IPv4Address, IPv4Network
import re

HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
PASSWORD = re.compile(r"\w{1,32}", re.ASCII)
POSIX_ZONE = re.compile(
    r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)([+-]?)(\d{1,2})(?::(\d\d))?(?:[A-Za-z<].*)?"
)
LONGEST_CUSTOM = 127
LONGEST_POOL = 255


def whole(text: str, lowest: int, highest: int) -> int:
    """Return the integer of a text if it is in the range."""
    if not re.fullmatch(r"-?\d{1,6}", text) or not lowest <= int(text) <= highest:
        raise ValueError(text)
    return int(text)


def one_of(text: str, *choices: str) -> str:
    """Return the text if it is one of the choices."""
    if text not in choices:
        raise ValueError(text)
    return text


def filled(text: str, longest: int = LONGEST_POOL) -> str:
    """Return the text; raise ValueError if it is empty."""
    if not 0 < len(text.encode()) <= longest:
        raise ValueError(text)
    return text


def short(text: str, longest: int = LONGEST_POOL) -> str:
    """Return the text, which may be empty."""
    return filled(text, longest) if text else text


def address(text: str) -> str:
    """Return an IPv4 address."""
    return str(IPv4Address(text))


def netmask(text: str) -> str:
    """Return an IPv4 mask, written as an address."""
    address(text)
    return str(IPv4Network(f"0.0.0.0/{text}").netmask)


def addresses(text: str) -> str:
    """Return one address, or two separated by a space."""
    found = [address(each) for each in text.split(" ")]
    if len(found) > 2:
        raise ValueError(text)
    return " ".join(found)


def hostname(text: str) -> str:
    """Return a hostname."""
    if not HOSTNAME.fullmatch(text):
        raise ValueError(text)
    return text


def server(text: str) -> str:
    """Return the address or the name of a server."""
    if not all(map(HOSTNAME.fullmatch, text.split("."))):
        raise ValueError(text)
    return text


def port(text: str) -> str:
    """Return a port number."""
    return str(whole(text, 1, 65535))


def password(text: str) -> str:
    """Return a password of letters, digits and underscores; it may be longer than the eight documented (protocol.md#b7)."""
    if not PASSWORD.fullmatch(text):
        raise ValueError(text)
    return text


def zone(text: str) -> str:
    """Return a time zone in POSIX notation."""
    zone_offset_s(text)
    return text


def zone_offset_s(text: str) -> int:
    """Return seconds east of Greenwich (POSIX counts to the west); summer time is not simulated."""
    found = POSIX_ZONE.fullmatch(text)
    if not found or int(found[2]) > 24:
        raise ValueError(text)
    seconds = 3600 * int(found[2]) + 60 * int(found[3] or 0)
    return seconds if found[1] == "-" else -seconds

"""Which texts a miner takes: each check returns what a text means, or raises ValueError."""

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
    """A whole number in a range."""
    if not re.fullmatch(r"-?\d{1,6}", text) or not lowest <= int(text) <= highest:
        raise ValueError(text)
    return int(text)


def one_of(text: str, *words: str) -> str:
    """One of some words."""
    if text not in words:
        raise ValueError(text)
    return text


def filled(text: str, longest: int = LONGEST_POOL) -> str:
    """Any text but none."""
    if not 0 < len(text.encode()) <= longest:
        raise ValueError(text)
    return text


def short(text: str, longest: int = LONGEST_POOL) -> str:
    """Any text, or none."""
    return filled(text, longest) if text else text


def address(text: str) -> str:
    """An address of IPv4."""
    return str(IPv4Address(text))


def netmask(text: str) -> str:
    """A mask of IPv4, written as an address."""
    address(text)
    return str(IPv4Network(f"0.0.0.0/{text}").netmask)


def addresses(text: str) -> str:
    """One address or two, with a space between them."""
    found = [address(each) for each in text.split(" ")]
    if len(found) > 2:
        raise ValueError(text)
    return " ".join(found)


def hostname(text: str) -> str:
    """A name in the network."""
    if not HOSTNAME.fullmatch(text):
        raise ValueError(text)
    return text


def server(text: str) -> str:
    """An address, or the name of a server."""
    if not all(map(HOSTNAME.fullmatch, text.split("."))):
        raise ValueError(text)
    return text


def port(text: str) -> str:
    """The number of a port."""
    return str(whole(text, 1, 65535))


def password(text: str) -> str:
    """Letters, digits and underscores; fields know longer ones than the eight documented (section B.7)."""
    if not PASSWORD.fullmatch(text):
        raise ValueError(text)
    return text


def zone(text: str) -> str:
    """A time zone as POSIX writes it."""
    zone_offset_s(text)
    return text


def zone_offset_s(text: str) -> int:
    """Seconds east of Greenwich: POSIX counts them to the west; summer time is not simulated."""
    found = POSIX_ZONE.fullmatch(text)
    if not found or int(found[2]) > 24:
        raise ValueError(text)
    seconds = 3600 * int(found[2]) + 60 * int(found[3] or 0)
    return seconds if found[1] == "-" else -seconds

"""Addresses of miners: what users type, and the URL of the miner's web page."""

from contextlib import suppress
from ipaddress import ip_address

from yarl import URL


def parse_address(text: str) -> tuple[str, int | None]:
    """Return the host and the port of an address; IPv6 without brackets, None where it has no port.

    Raise ValueError if it is not an address. The port of a web page is not that of the API.
    """
    text = text.strip()
    with suppress(ValueError):
        return str(ip_address(text)), None
    url = URL(text if "://" in text else f"//{text}")
    if not url.host or url.user or url.password or url.explicit_port == 0:
        raise ValueError("no host, a user, or no port")
    URL.build(scheme="http", host=url.host)  # strict: refuses what no host may contain
    return url.host, None if url.scheme else url.explicit_port


def web_url(host: str) -> str:
    """Return the URL of the web page of a miner."""
    return str(URL.build(scheme="http", host=host))

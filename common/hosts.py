"""Host names and addresses, as URLs and ``Host`` headers have them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit


def host_name(host: str) -> str | None:
    """Return the lower-case name or address in ``name``, ``name:port`` or ``[address]:port``.

    None if the text is anything else.
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises if it is not a number
    except ValueError:
        return None
    if parts.netloc != host or not host.isascii() or not host.isprintable():
        return None
    return None if "@" in host or " " in host else parts.hostname or None


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a host: ``localhost`` or a loopback address."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback

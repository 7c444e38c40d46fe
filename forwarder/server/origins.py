"""Refuses requests that a foreign web page makes through the user's browser. Pure.

A page of any site can make the browser of a person who opens it send requests to 127.0.0.1. The
browser names the page in ``Origin`` (Fetch standard, 3.2) and in ``Sec-Fetch-Site`` (W3C Fetch
Metadata). A page that makes its own host name resolve to 127.0.0.1 (DNS rebinding) has the same
origin as the forwarder for the browser, but can't hide its name from ``Host``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, Literal, Protocol

from common.hosts import host_name, is_loopback
from forwarder.errors import RequestError

OriginRefusal = Literal["host", "origin"]
"""Why a request is refused: the label values of ``gapless_refused_total``."""

_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of requests that no foreign page makes; ``none``: the user typed the URL."""

_TEXT_CHARS_MAX: Final = 100


class RequestHeaders(Protocol):
    """The headers of a request, as the HTTP library has them."""

    def get_all(self, key: str) -> list[str]:
        """Return all values of a header."""


class OriginPolicy:
    """Which ``Host``, ``Origin`` and ``Sec-Fetch-Site`` headers a forwarder accepts.

    Hosts that are always accepted: loopback names and addresses, and the listening address (any IP
    address if the forwarder listens on all). Ports are ignored, because tunnels and proxies change
    them.
    """

    def __init__(self, listen_host: str, allowed: Collection[str] = ()) -> None:
        """Accept requests for the address that the forwarder listens on, and for ``allowed``.

        Args:
            listen_host: Host name or address of ``--host``.
            allowed: Further hosts, ``name`` or ``name:port``, as the browser's address bar shows
                them. Pages of such a host count as the forwarder's own.

        """
        self._origins = frozenset(one.lower() for one in allowed)
        names = [host_name(one) for one in self._origins]
        listening = listen_host.strip("[]").lower()
        self._names = frozenset({listening, *(one for one in names if one is not None)})
        self._accepts_addresses = _is_wildcard(listening)

    def check(self, headers: RequestHeaders) -> tuple[OriginRefusal, RequestError] | None:
        """Return why a request is refused, as label and error; None if it is accepted."""
        hosts = headers.get_all("Host")
        if len(hosts) != 1:
            text = "a request needs exactly one Host header"
            return "host", RequestError(HTTPStatus.BAD_REQUEST, text)
        if not self._accepts_host(hosts[0]):
            text = (
                f"host {_shortened(hosts[0])} is not served here: connect by the forwarder's "
                "address, or start it with --allow-host NAME"
            )
            return "host", RequestError(HTTPStatus.FORBIDDEN, text)
        return self._check_page(hosts[0], headers)

    def _check_page(
        self, host: str, headers: RequestHeaders
    ) -> tuple[OriginRefusal, RequestError] | None:
        origins = headers.get_all("Origin")
        if origins and (len(origins) > 1 or not self._is_own_page(origins[0], host)):
            text = f"web pages of {_shortened(origins[0])} may not read from this forwarder"
            return "origin", RequestError(HTTPStatus.FORBIDDEN, text)
        sites = _listed(headers.get_all("Sec-Fetch-Site"))
        if not _OWN_SITES.issuperset(sites):
            text = "web pages of other sites may not read from this forwarder"
            return "origin", RequestError(HTTPStatus.FORBIDDEN, text)
        return None

    def _accepts_host(self, host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self._accepts_addresses or is_loopback(name) or str(address) in self._names

    def _is_own_page(self, origin: str, host: str) -> bool:
        scheme, separator, place = origin.lower().partition("://")
        if scheme not in ("http", "https") or not separator or host_name(place) is None:
            return False
        return place == host.lower() or place in self._origins


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def _listed(values: Sequence[str]) -> set[str]:
    return {one.strip().lower() for value in values for one in value.split(",")}


def _shortened(text: str) -> str:
    return ascii(text[:_TEXT_CHARS_MAX])

"""Admission control: limits on connections, viewers, requests and wrong tokens. Pure.

It counts and decides; the listening sockets, connections and server act. Time is an argument.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter, OrderedDict
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final, Literal

from forwarder.config import (
    ADDRESS_SOCKETS_MAX,
    ADDRESSES_MAX,
    GUESSES_BURST,
    GUESSES_PER_MINUTE,
    REFUSED_SOCKETS,
    REQUESTS_PER_SOCKET_BURST,
    REQUESTS_PER_SOCKET_S,
    Limits,
)
from forwarder.errors import RequestError

RefusalReason = Literal[
    "sockets",
    "address",
    "viewers",
    "request",
    "host",
    "origin",
    "token",
    "denied",
    "guesses",
    "requests",
    "revoked",
    "bad_message",
    "rate",
    "too_slow",
]
"""Why a client was refused or a viewer closed: the label values of ``gapless_refused_total``."""

RETRY_S: Final = 5
"""Seconds until a retry, sent when all connections or viewers are in use."""

_NETWORK_BITS: Final = 64
_HOST_BITS: Final = 128 - _NETWORK_BITS


class TokenBucket:
    """A rate limit of ``rate`` a second and ``burst`` at once; times in s of any one clock."""

    __slots__ = ("_at_s", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._at_s = burst, now_s

    def take(self, now_s: float) -> bool:
        """Take one token; returns False if there is none."""
        if self.wait_s(now_s) > 0:
            return False
        self._left -= 1
        return True

    def wait_s(self, now_s: float) -> float:
        """Seconds until there is a token; 0 if there is one now."""
        gained = max(0.0, now_s - self._at_s) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._at_s = max(self._at_s, now_s)
        return max(0.0, (1 - self._left) / self._rate)


class Admission:
    """Decides which connections, viewers and requests one server accepts, and counts refusals.

    Attributes:
        sockets: Open connections.
        viewers: Connected viewers.
        refused: Refusals, and viewers closed, by reason.
        guesses: Limits wrong tokens.
    """

    def __init__(self, limits: Limits, *, sockets_max: int | None = None) -> None:
        """Accept what ``limits`` allow, but no more than ``sockets_max`` sockets."""
        most = limits.sockets_max
        self._sockets_max = most if sockets_max is None else min(most, sockets_max)
        self._address_max = limits.address_sockets_max
        self._viewers_max = limits.viewers_max
        self._addresses: Counter[str] = Counter()
        self._requests: OrderedDict[str, TokenBucket] = OrderedDict()
        self.sockets = 0
        self.viewers = 0
        self.refused: Counter[RefusalReason] = Counter()
        self.guesses = GuessLimit()

    def open_socket(self, address: str) -> bool:
        """Count a new connection; False means to close it unanswered, and it is not counted."""
        if self.sockets >= self._sockets_max + REFUSED_SOCKETS:
            self.refused["sockets"] += 1
            return False
        self.sockets += 1
        self._addresses[address] += 1
        return True

    def close_socket(self, address: str) -> None:
        """Count a connection as closed."""
        self.sockets -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def check_socket(self, address: str) -> RequestError | None:
        """Return why an open connection can't be served; None if it can."""
        if self.sockets > self._sockets_max:
            self.refused["sockets"] += 1
            text = f"{self._sockets_max} connections are open already: retry later"
            return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S)
        most = self._sockets_max_of(address)
        if most is not None and self._addresses[address] > most:
            self.refused["address"] += 1
            text = f"{most} connections are open from this address already: retry later"
            return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=RETRY_S)
        return None

    def check_viewers(self) -> RequestError | None:
        """Return why no further viewer may connect; None if one may."""
        if self.viewers < self._viewers_max:
            return None
        self.refused["viewers"] += 1
        text = f"{self._viewers_max} viewers are connected already: retry later"
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S)

    def check_request(self, address: str, now_s: float) -> RequestError | None:
        """Take one HTTP request from an address's rate; returns why it is refused, or None."""
        most = self._sockets_max_of(address)
        if most is None:
            return None
        rate, burst = most * REQUESTS_PER_SOCKET_S, most * REQUESTS_PER_SOCKET_BURST
        bucket = self._requests.setdefault(address, TokenBucket(rate, burst, now_s))
        self._requests.move_to_end(address)
        if len(self._requests) > ADDRESSES_MAX:
            self._requests.popitem(last=False)
        if bucket.take(now_s):
            return None
        self.refused["requests"] += 1
        text = f"more than {rate:g} requests a second from this address: retry later"
        wait_s = ceil(bucket.wait_s(now_s))
        return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=wait_s)

    def check_guesses(
        self, address: str, authorization: str | None, now_s: float
    ) -> RequestError | None:
        """Return why a token must not be checked now; None if it may be."""
        refusal = self.guesses.check(address, authorization, now_s)
        self.refused["guesses"] += refusal is not None
        return refusal

    def _sockets_max_of(self, address: str) -> int | None:
        if self._address_max is not None:
            return self._address_max
        return None if _is_loopback(address) else ADDRESS_SOCKETS_MAX


class GuessLimit:
    """Rate-limits wrong tokens per address.

    A token accepted from the address before is exempt, so that one client behind a NAT can't lock
    out another. Other tokens of a limited address are not even compared: a right guess gets the
    same answer as a wrong one.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, TokenBucket] = OrderedDict()
        self._accepted: OrderedDict[bytes, None] = OrderedDict()
        self._key = secrets.token_bytes(16)

    def check(self, address: str, authorization: str | None, now_s: float) -> RequestError | None:
        """Return why an ``Authorization`` header must not be checked now; None if it may be."""
        bucket = self._wrong.get(address)
        if authorization is None or bucket is None:
            return None
        wait_s = bucket.wait_s(now_s)
        if wait_s <= 0 or self._fingerprint(address, authorization) in self._accepted:
            return None
        text = "too many wrong tokens from this address: retry later"
        return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=ceil(wait_s))

    def record_wrong(self, address: str, now_s: float) -> None:
        """Count a wrong token from an address."""
        fresh = TokenBucket(GUESSES_PER_MINUTE / 60, GUESSES_BURST, now_s)
        bucket = self._wrong.setdefault(address, fresh)
        bucket.take(now_s)
        self._wrong.move_to_end(address)
        if len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)

    def record_accepted(self, address: str, authorization: str) -> None:
        """Exempt a header that was accepted from an address."""
        fingerprint = self._fingerprint(address, authorization)
        self._accepted[fingerprint] = None
        self._accepted.move_to_end(fingerprint)
        if len(self._accepted) > ADDRESSES_MAX:
            self._accepted.popitem(last=False)

    def forget_accepted(self) -> None:
        """Drop all exemptions, because the valid tokens have changed."""
        self._accepted.clear()

    def _fingerprint(self, address: str, authorization: str) -> bytes:
        """Hash an address and header, so that no token stays in memory."""
        text = f"{address}\n{authorization}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self._key).digest()


def address_of(host: str) -> str:
    """Return the address whose connections count together: IPv4, or the /64 of an IPv6 host."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        if not found.is_loopback:
            return f"{IPv6Address(int(found) >> _HOST_BITS << _HOST_BITS)}/{_NETWORK_BITS}"
    return str(found)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False

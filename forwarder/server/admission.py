"""Who is let in: connections in all and by address, requests, wrong tokens, messages.

Pure: time is an argument. It only counts and says; listener, connections and server do as it says.
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

Reason = Literal[
    "sockets",
    "address",
    "viewers",
    "request",
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
"""Why somebody was refused or sent away, as the metrics name it."""

RETRY_S: Final = 5
"""When to come back where everything is taken."""

_NETWORK_BITS: Final = 64
_HOST_BITS: Final = 128 - _NETWORK_BITS


class Bucket:
    """A token bucket: ``burst`` at once, ``rate`` a second; times in seconds of any one clock."""

    __slots__ = ("_at_s", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        """A full one."""
        self._rate, self._burst = rate, burst
        self._left, self._at_s = burst, now_s

    def take(self, now_s: float) -> bool:
        """Take one; False where there is none."""
        if self.wait_s(now_s) > 0:
            return False
        self._left -= 1
        return True

    def wait_s(self, now_s: float) -> float:
        """How long until there is one again; 0 where there is one."""
        gained = max(0.0, now_s - self._at_s) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._at_s = max(self._at_s, now_s)
        return max(0.0, (1 - self._left) / self._rate)


class Guard:
    """What is let in to one server, and what was refused."""

    def __init__(self, limits: Limits, *, sockets_max: int | None = None) -> None:
        """Let in what ``limits`` allow, but no more than ``sockets_max`` sockets."""
        most = limits.sockets_max
        self._sockets_max = most if sockets_max is None else min(most, sockets_max)
        self._address_max = limits.address_sockets_max
        self._addresses: Counter[str] = Counter()
        self.sockets = 0
        """Connections at present."""
        self.refused: Counter[Reason] = Counter()
        """Refusals, and viewers sent away, by reason."""
        self.guesses = Guesses()
        self._requests: OrderedDict[str, Bucket] = OrderedDict()

    def came(self, address: str) -> bool:
        """A connection has come; False: close it unheard, it is not counted."""
        if self.sockets >= self._sockets_max + REFUSED_SOCKETS:
            self.refused["sockets"] += 1
            return False
        self.sockets += 1
        self._addresses[address] += 1
        return True

    def left(self, address: str) -> None:
        """A connection that was counted is gone."""
        self.sockets -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def full(self, address: str) -> RequestError | None:
        """Why a connection that has come can't be served; None where it can."""
        if self.sockets > self._sockets_max:
            self.refused["sockets"] += 1
            text = f"{self._sockets_max} connections are open already: come back later"
            return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S)
        most = self._most_of(address)
        if most is not None and self._addresses[address] > most:
            self.refused["address"] += 1
            text = f"{most} connections are open from this address already: come back later"
            return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=RETRY_S)
        return None

    def too_often(self, address: str, now_s: float) -> RequestError | None:
        """Why a plain request of a connection is not answered; None where it is."""
        most = self._most_of(address)
        if most is None:
            return None
        rate, burst = most * REQUESTS_PER_SOCKET_S, most * REQUESTS_PER_SOCKET_BURST
        bucket = self._requests.setdefault(address, Bucket(rate, burst, now_s))
        self._requests.move_to_end(address)
        if len(self._requests) > ADDRESSES_MAX:
            self._requests.popitem(last=False)
        if bucket.take(now_s):
            return None
        self.refused["requests"] += 1
        text = f"more than {rate:g} requests a second come from this address: come back later"
        wait_s = ceil(bucket.wait_s(now_s))
        return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=wait_s)

    def _most_of(self, address: str) -> int | None:
        if self._address_max is not None:
            return self._address_max
        return None if _is_loopback(address) else ADDRESS_SOCKETS_MAX


class Guesses:
    """Wrong tokens by address. Who came in with a token before is not kept out by a neighbour.

    While an address has to wait, its tokens are not even looked at: a right guess would look
    just like a wrong one.
    """

    def __init__(self) -> None:
        """Nobody has guessed yet."""
        self._wrong: OrderedDict[str, Bucket] = OrderedDict()
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._key = secrets.token_bytes(16)

    def refusal(self, address: str, authorization: str | None, now_s: float) -> RequestError | None:
        """Why a token is not looked at; None where it is."""
        bucket = self._wrong.get(address)
        if authorization is None or bucket is None:
            return None
        wait_s = bucket.wait_s(now_s)
        if wait_s <= 0 or self._name(address, authorization) in self._known:
            return None
        text = "too many wrong tokens came from this address: come back later"
        return RequestError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after_s=ceil(wait_s))

    def failed(self, address: str, now_s: float) -> None:
        """A token from there was wrong."""
        fresh = Bucket(GUESSES_PER_MINUTE / 60, GUESSES_BURST, now_s)
        bucket = self._wrong.setdefault(address, fresh)
        bucket.take(now_s)
        self._wrong.move_to_end(address)
        if len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)

    def passed(self, address: str, authorization: str) -> None:
        """A token from there was right."""
        name = self._name(address, authorization)
        self._known[name] = None
        self._known.move_to_end(name)
        if len(self._known) > ADDRESSES_MAX:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Other tokens are valid now."""
        self._known.clear()

    def _name(self, address: str, authorization: str) -> bytes:
        """What stands for a token from an address; the token itself is not kept."""
        text = f"{address}\n{authorization}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self._key).digest()


def address_of(host: str) -> str:
    """Whose connections count together: an IPv4 address, or the /64 of an IPv6 one."""
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

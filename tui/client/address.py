"""Where a forwarder is: its WebSocket's URL, and its HTTP side beside it. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

TAIL_PATH: Final = "/v1/tail"
_HTTP: Final = {"ws": "http", "wss": "https"}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Address(msgspec.Struct, frozen=True):
    """A forwarder's URL, ``ws://`` or ``wss://``, and the token that it wants.

    The path is where ``/v1/tail`` is, or empty; a query that the URL has goes with every request.
    """

    url: str
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine: nothing to compress, no proxy between."""
        return urlsplit(self.url).hostname in _LOOPBACK

    def websocket(self, query: str) -> str:
        """The URL of an attempt with these parameters."""
        parts = urlsplit(self.url)
        path = TAIL_PATH if parts.path in ("", "/") else parts.path
        return urlunsplit((parts.scheme, parts.netloc, path, _join(parts.query, query), ""))

    def http(self, target: str) -> str:
        """The URL of a path (with its query) on the HTTP side."""
        parts = urlsplit(self.url)
        path, _, query = target.partition("?")
        path = parts.path.removesuffix(TAIL_PATH).rstrip("/") + path
        scheme = _HTTP.get(parts.scheme, parts.scheme)
        return urlunsplit((scheme, parts.netloc, path, _join(parts.query, query), ""))


def _join(one: str, other: str) -> str:
    return "&".join(part for part in (one, other) if part)

"""What may be watched: the URL of a forwarder, or a log group by name."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from wire.limits import NAME_CHARS_MAX

TAIL_PATH: Final = "/v1/tail"
_GROUP: Final = re.compile(rf"[.\-_/#A-Za-z0-9]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
"""Names of log groups, as the CloudWatch Logs API reference (CreateLogGroup) allows them."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


class TargetError(ValueError):
    """A text that is neither; it says what to write instead."""


class ForwarderTarget(msgspec.Struct, frozen=True):
    """A forwarder that runs already; ``url`` is ``ws://`` or ``wss://`` with its path."""

    url: str

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the forwarder's HTTP side, without a path."""
        parts = urlsplit(self.url)
        return f"{_SCHEMES[parts.scheme]}://{parts.netloc}"


class GroupTarget(msgspec.Struct, frozen=True):
    """A log group, watched through a forwarder of its own."""

    group: str


Target = ForwarderTarget | GroupTarget


def parse_target(text: str) -> Target:
    """What a TARGET argument means.

    Raises:
        TargetError: a URL of another kind, or no possible name of a log group.

    """
    if "://" in text:
        return _forwarder(text)
    if text.startswith("arn:"):
        msg = f"{text[:80]!r} is an ARN: give the log group's name, what follows 'log-group:'"
        raise TargetError(msg)
    if _GROUP.fullmatch(text) is None:
        msg = (
            f"{text[:80]!r} is neither the URL of a forwarder (ws://HOST:PORT{TAIL_PATH}) "
            "nor a possible name of a log group (letters, digits, and . - _ / #)"
        )
        raise TargetError(msg)
    return GroupTarget(text)


def _forwarder(text: str) -> ForwarderTarget:
    example = f"ws://127.0.0.1:8765{TAIL_PATH}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        msg = f"{text[:80]!r} is not a URL ({error}): write it like {example}"
        raise TargetError(msg) from error
    if parts.scheme not in _SCHEMES:
        msg = f"{text[:80]!r} begins with {parts.scheme}://: a forwarder's URL is like {example}"
        raise TargetError(msg)
    if not parts.hostname or port == 0 or parts.fragment or parts.username is not None:
        msg = f"{text[:80]!r} does not name a host and port: write it like {example}"
        raise TargetError(msg)
    path = TAIL_PATH if parts.path in ("", "/") else parts.path
    return ForwarderTarget(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))

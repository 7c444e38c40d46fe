"""Everything that a forwarder can be told, checked once; times in ms, sizes in bytes.

Every bound of what a stranger can make the server spend, with its reason.

The protocol's own (sizes of frames, of the request line) are in ``wire.limits``. What a person may
have to change, since a proxy stands in front or viewers are many, is in ``Limits``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from forwarder.errors import ConfigError
from wire.limits import HEARTBEAT_MS

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_ARN: Final = re.compile(
    r"arn:[a-z0-9-]+:kinesis:([a-z0-9-]+):\d{12}:stream/([A-Za-z0-9_.-]{1,128})", re.ASCII
)


class StreamRef(msgspec.Struct, frozen=True):
    """A Kinesis stream by its name, or by its ARN, which names the Region as well."""

    name: str
    arn: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        """As ``--live`` takes it."""
        return f"kinesis:{self.arn or self.name}"

    @property
    def parameters(self) -> dict[str, str]:
        """How calls name it."""
        return {"StreamARN": self.arn} if self.arn is not None else {"StreamName": self.name}


def parse_stream(text: str) -> StreamRef | None:
    """A stream's name or ARN (Kinesis API reference, StreamName and StreamARN); None: neither."""
    if _NAME.fullmatch(text) is not None:
        return StreamRef(text)
    found = _ARN.fullmatch(text)
    return None if found is None else StreamRef(found[2], text, found[1])


ALLOWANCE_MS: Final = 2_000
"""How long CloudWatch may take to make an event visible without its counting as late."""

OVERLAP_MS: Final = 5_000
"""How far a poll looks back behind the begin of the one before."""


ALLOWANCE_MAX_MS: Final = 60_000
"""What takes longer is late news, whatever is allowed for."""


POLL_MS: Final = 1_000


HANDSHAKE_S: Final = 10.0
"""For a request to come whole, and TLS before it: who sends it byte by byte holds a socket no
longer (slow loris)."""

ANSWER_S: Final = 30.0
"""For an HTTP answer to be made and read: a page of 4 MiB at 140 kB/s."""

CLOSE_S: Final = 2.0
"""For the closing handshake, and for a refusal to be read; whoever does not is aborted."""

SEND_S: Final = 10.0
"""A frame that takes longer to be read is given up: the viewer reads too slowly (4008)."""

STOP_S: Final = 4.0
"""For everybody to take their leave when the server stops."""

HEADERS_MAX: Final = 64
"""Header lines of a request: browsers send about 20, proxies add a few."""

HEAD_BYTES_MAX: Final = 32 << 10
"""Request line and headers together: the largest request line, and cookies of other programs on
the same host. Without it 64 lines of 8 KiB would be half a megabyte for every socket."""

MESSAGE_BYTES_MAX: Final = 64 << 10
"""Larger ones are not even read; from 4 KiB on they are bad messages (4501) anyway."""

FRAMES_PER_S: Final = 200.0
"""WebSocket frames of one viewer, pings included, for each of which the server must do
something: ours sends one in two seconds, and one for every 10,000 events."""

FRAMES_BURST: Final = 1_000
"""Frames that may come at once: what has piled up behind a connection that hung for seconds."""

ASKS_PER_S: Final = 10.0
"""``verify`` and ``repair`` of one viewer: each may read a large part of the journal, and ours
waits for the answer before it asks again."""

ASKS_BURST: Final = 100
"""Of those at once; more than 64 that wait are too many in any case."""

VIEWERS_MAX: Final = 1_000
SPARE_SOCKETS: Final = 1_000
"""Connections beside the viewers': HTTP, and those that have not asked for anything yet."""

ADDRESS_SOCKETS_MAX: Final = 256
"""Connections from one address (one /64 of IPv6), so that a single machine can't take them all.
Loopback has no such bound: there every user of this machine, and any proxy, is one address."""

REQUESTS_PER_SOCKET_S: Final = 0.2
"""Plain HTTP requests a second from one address, for each connection that it may have open: 51 by
default. A viewer that polls, the WebSocket being blocked, asks once in 10 s, and page after page
while it fetches the past; who raises one bound for a proxy in front raises the other with it."""

REQUESTS_PER_SOCKET_BURST: Final = 2
"""Of those at once, likewise: 512 by default, as when many viewers behind one address begin."""

REFUSED_SOCKETS: Final = 200
"""Connections beyond the bound that are still told 503; those beyond are closed unheard."""

RESERVED_DESCRIPTORS: Final = 128
"""File descriptors that sockets must leave: journal, CloudWatch, the process's own."""

GUESSES_PER_MINUTE: Final = 6.0
"""Wrong tokens from one address, after ``GUESSES_BURST``: a typing error is soon forgiven."""

GUESSES_BURST: Final = 10
"""Wrong tokens from one address at once: several viewers with last week's token."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose wrong tokens, or requests, are remembered; the ones that were quiet longest are
forgotten."""

LARGE_ANSWER_BYTES: Final = 64 << 10
"""HTTP answers from this size on wait in memory until they are read."""

LARGE_ANSWERS_MAX: Final = 16
"""Such answers at once: 16 of at most 4 MiB; who asks meanwhile waits for its turn."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds that a deployment may need otherwise."""

    viewers_max: int = VIEWERS_MAX
    address_sockets_max: int | None = None
    """None: ``ADDRESS_SOCKETS_MAX``, and no bound for loopback; a number bounds loopback, too."""

    @property
    def sockets_max(self) -> int:
        """Connections of any kind."""
        return self.viewers_max + SPARE_SOCKETS


MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_GROUP_NAME: Final = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}", re.ASCII)
_PORT_MAX: Final = 65_535
_LIVE: Final = ("auto", "poll")


class AwsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which account, Region and endpoint; None leaves it to the AWS SDK's own settings."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        """Refuses what the SDK would only fail on later.

        Raises:
            ConfigError: the endpoint is no URL.

        """
        if self.endpoint_url is None:
            return
        try:
            parts = urlsplit(self.endpoint_url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port  # raises if it is no number
        except ValueError:
            is_url = False
        if not is_url:
            msg = f"--endpoint-url {self.endpoint_url[:100]!r} is not an http(s) URL"
            raise ConfigError(msg)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What one forwarder process does."""

    groups: tuple[str, ...]
    """The log groups to serve."""
    aws: AwsOptions = AwsOptions()
    live: str = "auto"
    """The live path: ``poll``, ``kinesis:STREAM`` (a name or ARN), or ``auto``: the stream that
    the log group's subscription filter fills, polls where there is none."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 is any free one."""
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    limits: Limits = Limits()

    journal: Path | None = None
    """A file for one log group, a folder for several; None: a temporary file, deleted at the end."""
    retain_ms: int = DAY_MS
    """How old a body in the journal may become, by its event's timestamp."""
    retain_bytes: int = 2 << 30
    """How large the journal may become."""
    lifecycle: str | None = None
    """How an execution's end is known: ``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s``."""

    poll_ms: int = POLL_MS
    """How often the newest events are asked for."""
    overlap_ms: int = OVERLAP_MS
    """How far a poll reaches back before the beginning of the last successful one."""
    allowance_ms: int = ALLOWANCE_MS
    """How late an event may become visible and still be covered by a mark in time."""
    allowance_max_ms: int = ALLOWANCE_MAX_MS
    """As much may be learned to allow for, from what was seen; no more than ``allowance_ms``
    fixes it."""
    heartbeat_ms: int = HEARTBEAT_MS
    clock_skew: Path | None = None
    """A file that says how wrong the wall clock is; see ``clock_of``. For simulations."""

    def __post_init__(self) -> None:
        """Refuses what can't work, before anything is started.

        Raises:
            ConfigError: one line that says what to change.

        """
        _check_groups(self.groups)
        _check_live(self.live)
        if not 0 <= self.port <= _PORT_MAX:
            msg = f"port {self.port} is not from 0 to {_PORT_MAX}"
            raise ConfigError(msg)
        if (self.tls_cert is None) != (self.tls_key is None):
            msg = "--tls-cert and --tls-key go together: give both or neither"
            raise ConfigError(msg)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value < least:
                msg = f"{name} {value} is too small: at least {least}"
                raise ConfigError(msg)


_LEAST: Final[dict[str, int]] = {
    "retain_ms": 1_000,
    "retain_bytes": 1 << 20,
    "poll_ms": 50,
    "overlap_ms": 0,
    "allowance_ms": 0,
    "allowance_max_ms": 0,
    "heartbeat_ms": 50,
}
"""Below these the forwarder would do nothing else."""


def _check_groups(groups: tuple[str, ...]) -> None:
    if not groups:
        msg = "no log group is given: name at least one"
        raise ConfigError(msg)
    for group in groups:
        if _GROUP_NAME.fullmatch(group) is None:
            msg = f"{group[:100]!r} is not the name of a log group (letters, digits and ._-/# only)"
            raise ConfigError(msg)
    if len(set(groups)) < len(groups):
        msg = "a log group is given twice"
        raise ConfigError(msg)


def _check_live(live: str) -> None:
    kind, _, stream = live.partition(":")
    if live in _LIVE or (kind == "kinesis" and parse_stream(stream) is not None):
        return
    if kind == "kinesis":
        msg = f"--live kinesis:{stream[:100]!r} is not the name or ARN of a Kinesis stream"
    else:
        msg = f"--live {live[:100]!r} is not known: use auto, poll or kinesis:STREAM"
    raise ConfigError(msg)

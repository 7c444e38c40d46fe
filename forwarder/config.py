"""The forwarder's configuration, validated once, and the limits on what a client can make it spend.

Times are in milliseconds and sizes in bytes unless a name says otherwise. The limits of the
protocol itself (sizes of frames and of the request line) are in ``wire.limits``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from common.hosts import host_name
from forwarder.errors import ConfigError
from forwarder.targets import parse_target
from wire.limits import HEARTBEAT_MS

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_ARN: Final = re.compile(
    r"arn:[a-z0-9-]+:kinesis:([a-z0-9-]+):\d{12}:stream/([A-Za-z0-9_.-]{1,128})", re.ASCII
)


class StreamRef(msgspec.Struct, frozen=True):
    """A Kinesis stream, by its name or by its ARN, which includes the Region."""

    name: str
    arn: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        """The stream as ``--live`` takes it."""
        return f"kinesis:{self.arn or self.name}"

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters that name the stream in a call of the Kinesis API."""
        return {"StreamARN": self.arn} if self.arn is not None else {"StreamName": self.name}


def parse_stream(text: str) -> StreamRef | None:
    """Parse a stream's name or ARN (Kinesis API reference); None if the text is neither."""
    if _NAME.fullmatch(text) is not None:
        return StreamRef(text)
    found = _ARN.fullmatch(text)
    return None if found is None else StreamRef(found[2], text, found[1])


POLL_MS: Final = 1_000
"""Interval between polls."""

CALLS_LEAST: Final = 0.1
"""Least calls per second: one log group is read every ten seconds then, or when that is due."""

OVERLAP_MS: Final = 5_000
"""How far a poll reaches back before the start of the previous one."""

ALLOWANCE_MS: Final = 2_000
"""Visibility allowance: an event that CloudWatch shows within this time is not late."""

ALLOWANCE_MAX_MS: Final = 60_000
"""Largest visibility allowance that may be learned; events that take longer are late."""

HANDSHAKE_S: Final = 10.0
"""Time for a whole request to arrive, TLS handshake included. A client that sends it byte by byte
(slow loris) holds a socket no longer than this."""

ANSWER_S: Final = 30.0
"""Time to make an HTTP response and send it: enough for a page of 4 MiB at 140 kB/s."""

CLOSE_S: Final = 2.0
"""Time for the closing handshake, or to read a refusal; then the connection is aborted."""

SEND_S: Final = 10.0
"""Time for one frame to be sent; a viewer that reads more slowly is closed (4008)."""

STOP_S: Final = 4.0
"""Time for all connections to close when the server stops."""

HEADERS_MAX: Final = 64
"""Header lines of a request: browsers send about 20, and proxies add a few."""

HEAD_BYTES_MAX: Final = 32 << 10
"""Request line and headers together: the longest request line, and cookies of other programs on
the same host. Without it 64 lines of 8 KiB would take half a megabyte for each socket."""

MESSAGE_BYTES_MAX: Final = 64 << 10
"""Larger messages are not read; from 4 KiB on they are bad messages (4501) in any case."""

FRAMES_PER_S: Final = 200.0
"""WebSocket frames that a viewer may send per second, pings included, since each costs the server
some work. Our viewer sends one in two seconds, and one for every 10,000 events."""

FRAMES_BURST: Final = 1_000
"""Frames that may arrive at once, as they do after a connection was stalled for seconds."""

ASKS_PER_S: Final = 10.0
"""``verify`` and ``repair`` requests of a viewer per second: each may read a large part of the
journal, and our viewer waits for the answer before the next request."""

ASKS_BURST: Final = 100
"""``verify`` and ``repair`` requests at once; more than 64 that wait are refused in any case."""

VIEWERS_MAX: Final = 1_000
SPARE_SOCKETS: Final = 1_000
"""Connections besides the viewers': HTTP, and sockets that have not sent a request yet."""

ADDRESS_SOCKETS_MAX: Final = 256
"""Connections from one address (one /64 of IPv6), so that a single machine can't use them all.
Loopback is exempt: there every user of this machine, and any proxy, shares one address."""

REQUESTS_PER_SOCKET_S: Final = 0.2
"""HTTP requests per second from one address, for each connection that it may open: 51 in all by
default. A polling viewer sends one in 10 s, and page after page while it fetches history. The rate
scales with the connections, so that raising one limit for a proxy raises the other as well."""

REQUESTS_PER_SOCKET_BURST: Final = 2
"""HTTP requests at once for each connection: 512 in all by default, as when many viewers behind
one address start together."""

REFUSED_SOCKETS: Final = 200
"""Connections beyond the limit that are still answered with 503; further ones are just closed."""

RESERVED_DESCRIPTORS: Final = 128
"""File descriptors that sockets must leave for the journal, CloudWatch and the process itself."""

GUESSES_PER_MINUTE: Final = 6.0
"""Wrong tokens per minute from one address once ``GUESSES_BURST`` is used up."""

GUESSES_BURST: Final = 10
"""Wrong tokens at once from one address, as from several viewers with an outdated token."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose wrong tokens or requests are remembered; the least recent are dropped first."""

LARGE_ANSWER_BYTES: Final = 64 << 10
"""HTTP responses of this size or more count as large: they stay in memory until they are read."""

LARGE_ANSWERS_MAX: Final = 16
"""Large responses at once (each at most 4 MiB); further requests wait until one is read."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that a deployment may have to change: it has many viewers, or a proxy in front."""

    viewers_max: int = VIEWERS_MAX
    address_sockets_max: int | None = None
    """None: ``ADDRESS_SOCKETS_MAX``, and no limit for loopback; a number limits loopback, too."""

    @property
    def sockets_max(self) -> int:
        """Connections of any kind."""
        return self.viewers_max + SPARE_SOCKETS


GROUPS_MAX: Final = 500
"""Log groups at the same time. Each costs a poll in 1 to 5 s out of the account's few calls a
second, three open files and about a megabyte."""

LINGER_MS: Final = 120_000
"""A viewer that reconnects, or a screen that switches between log groups, finds the feed running.
Longer than the lease of a polling viewer's request for history (60 s)."""

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_PORT_MAX: Final = 65_535
_LIVE: Final = ("auto", "poll")


class AwsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Account, Region and endpoint; None leaves the choice to the AWS SDK's own settings."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        """Validate the endpoint, on which the SDK would fail only later.

        Raises:
            ConfigError: the endpoint is not an http(s) URL.
        """
        if self.endpoint_url is None:
            return
        try:
            parts = urlsplit(self.endpoint_url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port  # raises if it is not a number
        except ValueError:
            is_url = False
        if not is_url:
            msg = f"--endpoint-url {self.endpoint_url[:100]!r} is not an http(s) URL"
            raise ConfigError(msg)


Role = Literal["serve", "ingest"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one forwarder process."""

    groups: tuple[str, ...] = ()
    """The log groups to serve: names, patterns (``*`` and ``?``), and ARNs."""
    groups_file: Path | None = None
    """File with further ones, one a line; read again when it changes."""
    any_group: bool = False
    """Whether to serve any log group of the account that an authorised client asks for."""
    wait: bool = False
    """Whether log groups of ``groups`` may not exist yet."""
    groups_max: int = GROUPS_MAX
    """Log groups served at the same time."""
    linger_ms: int = LINGER_MS
    """How long a log group that only clients asked for is served after its last viewer has gone."""
    aws: AwsOptions = AwsOptions()
    live: str = "auto"
    """The live path: ``poll``, ``kinesis:STREAM`` (a name or ARN), or ``auto``: the stream that
    the log group's subscription filter writes to, polls where there is none."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0: any free port."""
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_hosts: tuple[str, ...] = ()
    """Hosts that clients may name besides loopback and ``host``: those of a reverse proxy."""
    limits: Limits = Limits()

    journal: Path | None = None
    """A file, or a folder for several log groups; None: a temporary folder, deleted at the end.
    With ``replicated``, the folder of the views."""
    replicated: str | None = None
    """URL of the engine that keeps the journals for several forwarders; None: they are local."""
    role: Role = "serve"
    """With ``replicated``: whether this process serves viewers, or reads CloudWatch."""
    retain_ms: int = DAY_MS
    """Age, by its event's timestamp, at which a body may be dropped from the journal."""
    retain_bytes: int = 2 << 30
    """Largest size of the journal."""
    lifecycle: str | None = None
    """How an execution's end is known: ``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s``."""

    calls_per_second: float | None = None
    """Most FilterLogEvents calls; None: half of the Region's quota."""
    poll_ms: int = POLL_MS
    """Least interval between polls."""
    overlap_ms: int = OVERLAP_MS
    """How far a poll reaches back before the start of the last successful one."""
    allowance_ms: int = ALLOWANCE_MS
    """Visibility allowance: how long CloudWatch may take to show an event."""
    allowance_max_ms: int = ALLOWANCE_MAX_MS
    """Largest visibility allowance that the forwarder may learn from what it observes; if it is
    at most ``allowance_ms``, nothing is learned."""
    heartbeat_ms: int = HEARTBEAT_MS
    clock_skew: Path | None = None
    """File with the error of the wall clock, for simulations; see ``wall_clock``."""

    @property
    def is_dynamic(self) -> bool:
        """Whether log groups may come and go, so that each needs a journal file of its own."""
        return (
            self.any_group
            or self.groups_file is not None
            or any(parse_target(one).is_pattern for one in self.groups)
        )

    def __post_init__(self) -> None:
        """Validate the values that can be checked without AWS.

        Raises:
            ConfigError: a value can't work; the text says what to change.
        """
        _check_groups(self)
        _check_live(self.live)
        if self.replicated is not None and self.any_group:
            msg = (
                "--any-group needs a journal of this machine: with a replicated one, name the log"
                " groups, or patterns of them"
            )
            raise ConfigError(msg)
        for host in self.allow_hosts:
            if host_name(host) is None:
                msg = f"--allow-host {host[:100]!r} is not a host: write logs.example.com"
                raise ConfigError(msg)
        if not 0 <= self.port <= _PORT_MAX:
            msg = f"port {self.port} is not from 0 to {_PORT_MAX}"
            raise ConfigError(msg)
        if (self.tls_cert is None) != (self.tls_key is None):
            msg = "--tls-cert and --tls-key go together: give both or neither"
            raise ConfigError(msg)
        if self.calls_per_second is not None and not self.calls_per_second >= CALLS_LEAST:
            msg = f"--calls-per-second {self.calls_per_second} is too few: use at least 0.1"
            raise ConfigError(msg)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value < least:
                msg = f"{name} {value} is too small: use at least {least}"
                raise ConfigError(msg)


_LEAST: Final[dict[str, int]] = {
    "groups_max": 1,
    "linger_ms": 0,
    "retain_ms": 1_000,
    "retain_bytes": 1 << 20,
    "poll_ms": 50,
    "overlap_ms": 0,
    "allowance_ms": 0,
    "allowance_max_ms": 0,
    "heartbeat_ms": 50,
}
"""Least values: below them the forwarder would have no time for anything else."""


def _check_groups(config: Config) -> None:
    if not (config.groups or config.groups_file or config.any_group):
        msg = "no log group is given: name at least one"
        raise ConfigError(msg)
    targets = [parse_target(one) for one in config.groups]
    if len(set(targets)) < len(targets):
        msg = "a log group is given twice"
        raise ConfigError(msg)
    if len(targets) > config.groups_max:
        msg = f"{len(targets)} log groups are given, more than --max-groups {config.groups_max}"
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

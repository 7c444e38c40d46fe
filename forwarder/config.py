"""Everything that a forwarder can be told, checked once; times in ms, sizes in bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from forwarder.errors import ConfigError
from forwarder.ingest.log_group import ALLOWANCE_MS, OVERLAP_MS
from forwarder.ingest.visibility import ALLOWANCE_MAX_MS
from forwarder.limits import Limits
from forwarder.live.stream import parse_stream
from forwarder.reconcile.schedule import POLL_MS
from wire.limits import HEARTBEAT_MS

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
    """A file for one group, a folder for several; None keeps it in memory."""
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

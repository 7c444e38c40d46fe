"""This machine's clocks, and how far its wall clock and CloudWatch's clock differ.

A wall clock that is ahead would let marks claim time that is still to come, and make polls ask for
a present that CloudWatch has not reached. So the forwarder uses ``ClockSkew.now_ms``: the wall
clock, capped by CloudWatch's clock as the ``Date`` headers of its replies show it. A wall clock
that is behind is left as it is: it only claims less.
"""

from __future__ import annotations

import logging
import mmap
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from common.files import open_regular
from forwarder.errors import ConfigError
from forwarder.records import LogEvent

_LOG: Final = logging.getLogger("gapless.forwarder")

_FILE_BYTES: Final = 8

DATE_RESOLUTION_MS: Final = 1_000
"""``Date`` has whole seconds (RFC 9110, 5.6.7), so that it is up to this much too early."""

REPLIES_MAX: Final = 64
"""Replies that the estimate uses: those of a minute or a few, in which no timer drifts by much."""

STRANGE_MS: Final = 2 * 86_400_000
"""A ``Date`` that differs this much is not CloudWatch's: AWS rejects calls that were signed a
quarter of an hour before or after its own time."""

CONTRADICTION_MS: Final = 5_000
"""A ``Date`` this much older than an ingestion time in the same reply is not CloudWatch's, but a
proxy's. AWS's own machines differ by less."""

REPORTED_MS: Final = 2_000
"""ClockSkew from which on users are warned."""

INGESTION_SAMPLE: Final = 100
"""Events at the end of a page that are searched for the latest ingestion time: enough to refute a
``Date``, and cheap."""

_Span = tuple[int, int]
"""Least and greatest distance by which CloudWatch's clock is ahead of the timer, ms."""


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def timer_ms() -> int:
    """Milliseconds of the monotonic clock, for intervals."""
    return time.monotonic_ns() // 1_000_000


def wall_clock(skew_file: Path | None) -> Callable[[], int]:
    """The wall clock in ms since the Unix epoch, wrong on purpose in simulations.

    Args:
        skew_file: a file of eight bytes with the ms by which the clock is ahead (signed, least
            significant byte first), read at each call; None: the clock is right.

    Raises:
        ConfigError: the file can't be read, or is too short.
    """
    if skew_file is None:
        return wall_clock_ms
    try:
        with open(skew_file, "rb", opener=open_regular) as file:
            # Mapped, because the clock is read for every event.
            shared = mmap.mmap(file.fileno(), _FILE_BYTES, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        msg = f"--clock-skew {skew_file} can't be used ({error}): it must have {_FILE_BYTES} bytes"
        raise ConfigError(msg) from error
    return lambda: wall_clock_ms() + int.from_bytes(shared[:_FILE_BYTES], "little", signed=True)


class ServerClock:
    """An estimate of CloudWatch's clock from the ``Date`` headers of its replies. Pure.

    Each reply shows between which moments of this machine's timer CloudWatch's clock stood at a
    certain second; many replies together narrow that to some milliseconds. A reply that shows the
    clock to be earlier counts at once; one that shows it to be later, only if the next reply
    agrees. A missing, malformed or contradicted ``Date`` is ignored.
    """

    def __init__(self) -> None:
        self._spans: list[_Span] = []
        self._most: int | None = None
        self._doubted: _Span | None = None
        self._ingested: int | None = None

    def observe(
        self,
        date: str | None,
        *,
        asked_at_ms: int,
        at_ms: int,
        wall_ms: int,
        ingested_ms: int | None = None,
    ) -> None:
        """Take a reply into account.

        Args:
            date: its ``Date`` header.
            asked_at_ms: the timer before the call.
            at_ms: the timer after it.
            wall_ms: this machine's wall clock after it.
            ingested_ms: the latest ingestion time of the events in it.
        """
        if ingested_ms is not None and abs(ingested_ms - wall_ms) < STRANGE_MS:
            ingested = ingested_ms - at_ms
            self._ingested = max(ingested, ingested if self._ingested is None else self._ingested)
            if any(self._is_contradicted(span) for span in self._spans):
                self._set_spans([])
        date_ms = _parse(date)
        if date_ms is None or abs(date_ms - wall_ms) >= STRANGE_MS:
            return
        span = date_ms - at_ms, date_ms + DATE_RESOLUTION_MS - asked_at_ms
        if not self._is_contradicted(span):
            self._add(span)

    def latest_ms(self, timer_ms: int) -> int | None:
        """The latest time that CloudWatch's clock can show at a timer reading; None: unknown."""
        return None if self._most is None else timer_ms + self._most

    def skew_ms(self, wall_ms: int, timer_ms: int) -> int:
        """Least skew of the wall clock: ahead (above 0), behind (below 0), or 0 if uncertain."""
        if self._most is None:
            return 0
        least = max(low for low, _ in self._spans)
        ahead_ms, behind_ms = wall_ms - timer_ms - self._most, wall_ms - timer_ms - least
        return max(ahead_ms, 0) or min(behind_ms, 0)

    def _is_contradicted(self, span: _Span) -> bool:
        return self._ingested is not None and span[1] < self._ingested - CONTRADICTION_MS

    def _add(self, span: _Span) -> None:
        low, high = span
        if self._most is not None and low > self._most:
            doubted, self._doubted = self._doubted, span
            if doubted is not None and doubted[0] <= high and low <= doubted[1]:
                # The machine slept, which its timer did not count.
                self._set_spans([doubted, span])
        else:
            self._set_spans([*(one for one in self._spans if one[0] <= high), span])

    def _set_spans(self, spans: list[_Span]) -> None:
        self._spans = spans[-REPLIES_MAX:]
        self._most = min((high for _, high in self._spans), default=None)
        self._doubted = None


def _parse(date: str | None) -> int | None:
    if date is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        # The asctime form names no time zone: it is UTC (RFC 9110).
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


class ClockSkew:
    """The skew between this machine's wall clock and CloudWatch's clock; warns when it is large."""

    def __init__(self, clock: Callable[[], int], timer: Callable[[], int] = timer_ms) -> None:
        """Start without a measurement.

        Args:
            clock: this machine's wall clock, ms since the Unix epoch.
            timer: ms of a monotonic clock.
        """
        self.server = ServerClock()
        """The estimate of CloudWatch's clock."""
        self._clock = clock
        self._timer = timer
        self._warned = 0

    def now_ms(self) -> int:
        """The wall clock, capped by CloudWatch's, since no scan has seen what is still to come."""
        wall_ms, latest_ms = self._clock(), self.server.latest_ms(self._timer())
        return wall_ms if latest_ms is None else min(wall_ms, latest_ms)

    @property
    def ms(self) -> int:
        """Current skew of the wall clock, as ``ServerClock.skew_ms`` defines it."""
        # The process may be stopped between two readings: only a skew that both times show counts.
        before_ms, wall_ms, after_ms = self._timer(), self._clock(), self._timer()
        ahead_ms = self.server.skew_ms(wall_ms, after_ms)
        behind_ms = self.server.skew_ms(wall_ms, before_ms)
        return max(ahead_ms, 0) or min(behind_ms, 0)

    @property
    def reported_ms(self) -> int:
        """Current skew; 0 where it is too small to report."""
        skew_ms = self.ms
        return skew_ms if abs(skew_ms) >= REPORTED_MS else 0

    def observe(self, reply: object, asked_at_ms: int, at_ms: int) -> None:
        """Take a reply of the SDK into account; one without the SDK's metadata is ignored.

        Args:
            reply: with the headers in its ``ResponseMetadata``.
            asked_at_ms: the timer before the call.
            at_ms: the timer after it.
        """
        if not isinstance(reply, dict):
            return
        headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders")
        if not isinstance(headers, Mapping):
            return
        self.server.observe(
            headers.get("date"),
            asked_at_ms=asked_at_ms,
            at_ms=at_ms,
            wall_ms=self._clock(),
            ingested_ms=_latest_ingestion_ms(reply),
        )
        self._warn()

    def _warn(self) -> None:
        """Log each change between skewed and correct once."""
        skew_ms = self.ms
        sign = (skew_ms >= REPORTED_MS) - (skew_ms <= -REPORTED_MS)
        if sign == self._warned or (sign == 0 and abs(skew_ms) > REPORTED_MS // 2):
            return
        self._warned = sign
        if sign > 0:
            _LOG.warning(
                "this machine's clock is %.0f s ahead of CloudWatch's: marks stop at CloudWatch's "
                "time; set the clock",
                skew_ms / 1000,
            )
        elif sign < 0:
            _LOG.warning(
                "this machine's clock is %.0f s behind CloudWatch's: marks lag by as much; set the "
                "clock",
                -skew_ms / 1000,
            )
        else:
            _LOG.warning("this machine's clock agrees with CloudWatch's again")


def _latest_ingestion_ms(reply: dict[str, Any]) -> int | None:
    """Latest ingestion time of the last events in a reply; None where it has none."""
    times = [
        one.ingestion_time
        for one in reply.get("events", [])[-INGESTION_SAMPLE:]
        if isinstance(one, LogEvent) and one.ingestion_time is not None
    ]
    return max(times, default=None)

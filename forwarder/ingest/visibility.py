"""The visibility allowance, learned from how late events became visible. Pure.

CloudWatch shows an event some time after it has ingested it, usually at once, at times after
seconds. A scan proves nothing of its last part, as long as the allowance: too short, and lines
come after a mark had passed them; too long, and "complete to" lags behind without need.
"""

from __future__ import annotations

from typing import Final

from forwarder.ingest.scan import Scan

BUCKET_MS: Final = 60_000
BUCKETS_MAX: Final = 10
"""A delay is remembered for about ten minutes."""

MARGIN_MS: Final = 500
"""More than was seen, and in steps of so much, so that it does not change all the time."""


class Allowance:
    """One log group's; between two bounds, which may be the same."""

    def __init__(self, least_ms: int, most_ms: int, overlap_ms: int) -> None:
        """The least, until longer delays are seen.

        Args:
            least_ms: what is allowed for without having seen anything.
            most_ms: longer delays change nothing.
            overlap_ms: how far polls look back.

        """
        self._least_ms = least_ms
        self._most_ms = max(least_ms, most_ms)
        self._overlap_ms = overlap_ms
        self._longest: dict[int, int] = {}
        self._first_poll_ms: int | None = None
        self._last_poll_ms = 0

    def polled(self, begun_ms: int) -> None:
        """A poll that began then was whole."""
        if self._first_poll_ms is None:
            self._first_poll_ms = begun_ms
        self._last_poll_ms = begun_ms

    def appeared(self, timestamp: int, ingestion_time: int | None, scan: Scan) -> None:
        """A scan was the first to return an event: was it there, and not visible?

        It was, if a whole poll of this process began after its ingestion and looked there.
        """
        if ingestion_time is None or self._first_poll_ms is None:
            return
        was_looked_for = (
            self._first_poll_ms <= ingestion_time < self._last_poll_ms
            and timestamp >= ingestion_time - self._overlap_ms
        )
        delay_ms = scan.begun_ms - ingestion_time
        if was_looked_for and self._least_ms < delay_ms <= self._most_ms:
            bucket = scan.begun_ms // BUCKET_MS
            self._longest[bucket] = max(delay_ms, self._longest.get(bucket, 0))

    def at(self, now_ms: int) -> int:
        """What to allow for now, ms."""
        if not self._longest:
            return self._least_ms
        bucket = now_ms // BUCKET_MS
        self._longest = {
            one: delay_ms
            for one, delay_ms in self._longest.items()
            if bucket - BUCKETS_MAX < one <= bucket
        }
        longest = max(self._longest.values(), default=0)
        allowed = (longest // MARGIN_MS + 2) * MARGIN_MS if longest else 0
        return min(self._most_ms, max(self._least_ms, allowed))

"""The visibility allowance: how long CloudWatch may take to show an event, learned from delays.

CloudWatch shows an event some time after it has ingested it, usually at once, sometimes after
seconds. A scan does not complete the last part of its range, as long as the allowance. If that is
too short, events arrive behind a mark; if it is too long, marks lag needlessly. Pure.
"""

from __future__ import annotations

from typing import Final

from forwarder.ingest.scan import Scan

BUCKET_MS: Final = 60_000
BUCKETS_MAX: Final = 10
"""A delay is remembered for about ten minutes."""

MARGIN_MS: Final = 500
"""Margin above the longest delay, and step of the allowance, so that it does not flicker."""


class VisibilityAllowance:
    """One log group's visibility allowance, between two bounds that may be equal."""

    def __init__(self, least_ms: int, most_ms: int, overlap_ms: int) -> None:
        """Start at the least allowance.

        Args:
            least_ms: the allowance without any delays.
            most_ms: longer delays are ignored.
            overlap_ms: how far polls look back.
        """
        self._least_ms = least_ms
        self._most_ms = max(least_ms, most_ms)
        self._overlap_ms = overlap_ms
        self._longest: dict[int, int] = {}
        self._first_poll_ms: int | None = None
        self._last_poll_ms = 0

    def note_poll(self, begun_ms: int) -> None:
        """Note the begin of a poll that was whole."""
        if self._first_poll_ms is None:
            self._first_poll_ms = begun_ms
        self._last_poll_ms = begun_ms

    def learn(self, timestamp: int, ingestion_time: int | None, scan: Scan) -> None:
        """Learn the delay of an event that a scan was the first to return.

        It had been invisible if a whole poll of this process began after its ingestion, and
        looked there.
        """
        if ingestion_time is None or self._first_poll_ms is None:
            return
        was_invisible = (
            self._first_poll_ms <= ingestion_time < self._last_poll_ms
            and timestamp >= ingestion_time - self._overlap_ms
        )
        delay_ms = scan.begun_ms - ingestion_time
        if was_invisible and self._least_ms < delay_ms <= self._most_ms:
            bucket = scan.begun_ms // BUCKET_MS
            self._longest[bucket] = max(delay_ms, self._longest.get(bucket, 0))

    def at(self, now_ms: int) -> int:
        """The allowance at a time, in ms; forgets delays that are older than ten minutes."""
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

"""Estimates whether a time range fits into the page that a poll requests anyway. Pure.

A page holds 10,000 events or 1 MB. If what the journal has of a range takes little more than half
of that, a poll that reaches back so far costs no further call, and is a scan of the range as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forwarder.ingest.log_group import LogGroup
from forwarder.records import LogEvent
from wire.query import Filter

ROOM_EVENTS: Final = 6_000
"""Events that the range may hold: of 10,000, with room for those that the journal lacks."""

ROOM_CHARS: Final = 500_000
"""Characters that they may take: of 1 MB, with room for texts of several bytes a character."""

EVENT_CHARS: Final = 150
"""Characters of an event besides its message: its fields in a reply."""

AHEAD_MS: Final = 3 * 3_600_000
"""Events may be stamped this far ahead; a poll returns them, too."""

RETRY_FIRST_MS: Final = 60_000
RETRY_MAX_MS: Final = 16 * 60_000
"""Pause after an extended poll that took several pages; it doubles each time. CloudWatch may also
return short pages of a long range, which nothing here can predict."""


class PageRoom:
    """What fits into one page of a log group."""

    def __init__(self, group: LogGroup) -> None:
        self._group = group
        self._chars = 0.0
        self._retry_ms: int | None = None
        self._pause_ms = RETRY_FIRST_MS

    def note_page(self, events: Sequence[LogEvent]) -> None:
        """Learn the size of messages; larger ones count at once, smaller ones gradually."""
        if events:
            mean = sum(len(event.message) for event in events) / len(events)
            self._chars = max(mean, 0.9 * self._chars + 0.1 * mean)

    def note_poll(self, pages: int, timer_ms: int) -> None:
        """Learn from an extended poll how many pages it took."""
        if pages <= 1:
            self._retry_ms, self._pause_ms = None, RETRY_FIRST_MS
        else:
            self._retry_ms = timer_ms + self._pause_ms
            self._pause_ms = min(2 * self._pause_ms, RETRY_MAX_MS)

    def may_fit(self, span_ms: int, stored_bytes: int | None, age_ms: int) -> bool:
        """Whether it is worth a trial to read time of which nothing is known with one page.

        Args:
            span_ms: Length of that time, up to now.
            stored_bytes: Size of the log group as CloudWatch gives it, hours late; None: unknown.
            age_ms: Time in which they were written.
        """
        share = min(1.0, span_ms / max(1, age_ms))
        return (stored_bytes or 0) * share <= ROOM_CHARS

    def fits(self, from_: int, timer_ms: int, wall_ms: int) -> bool:
        """Whether the time from ``from_`` on, which must be covered, fits into one page."""
        if self._retry_ms is not None and timer_ms < self._retry_ms:
            return False
        covered = self._group.covered_from(wall_ms)
        if covered is None or from_ < covered:
            return False  # the journal does not know what is there
        count = self._group.totals.total(from_, wall_ms + AHEAD_MS, Filter()).count
        return count <= ROOM_EVENTS and count * (self._chars + EVENT_CHARS) <= ROOM_CHARS

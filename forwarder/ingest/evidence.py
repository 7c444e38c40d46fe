"""What the scans of a log group show beside its events: gaps, what is withheld, what expired.

Pure but for the journal, which keeps the gaps. One for each chain of it; the allowance and the
group's settings outlive a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from common.ranges import Coverage
from forwarder.ingest.gaps import Gaps
from forwarder.ingest.retention import AWAY, EXPIRED, RETENTION_LEAST_MS, Expiry
from forwarder.ingest.scan import Scan
from forwarder.ingest.suspects import Suspects, why_withheld
from forwarder.ingest.visibility import Allowance
from forwarder.journal.contract import Journal
from forwarder.records import GapRecord, LogEvent, Row
from wire.messages import Origin

EXPIRY_REASONS: Final = (EXPIRED, AWAY)
"""Of gaps that are told by the clock and the log group's settings."""


class Evidence:
    """One log group's, told by its door."""

    def __init__(
        self,
        journal: Journal,
        tell: Callable[[GapRecord], None],
        allowance: Allowance,
        expiry: Expiry,
    ) -> None:
        """Take over the gaps of ``journal``; each new state of one goes to ``tell``."""
        self.gaps = Gaps(journal, tell)
        self.suspects = Suspects()
        self._journal = journal
        self._allowance = allowance
        self._expiry = expiry
        self._scanned_ms: int | None = None

    def found(self, batch: Sequence[LogEvent], origin: Origin, scan: Scan) -> None:
        """A scan was the first to return these: were they missed, hidden, or kept away?"""
        timestamps = [event.timestamp for event in batch]
        if origin == "repair":
            scan.add_missed(timestamps)
        else:
            self.gaps.brought(timestamps)
        for event in batch:
            self._allowance.appeared(event.timestamp, event.ingestion_time, scan)

    def lacked(self, rows: Sequence[Row], scans_begun: int) -> None:
        """A whole scan lacked rows: whoever waits for a mark is to see what holds it back."""
        span = self.suspects.lacked(rows)
        if span is None:
            return
        gap = self.gaps.withheld(*span)
        if gap is None:
            self.gaps.declare(*span, "suspected", why_withheld(rows), scans_begun)
        else:
            self.gaps.widen(gap.id, *span, scans_begun)

    def covering(self, scan: Scan, now_ms: int) -> None:
        """A whole scan is about to be added to the coverage: what of it had expired by now?"""
        covered = Coverage(self._journal.coverage())
        pieces = covered.missing(scan.from_, scan.covered)
        oldest = covered.ranges[0][0] if covered.ranges else None
        self._expiry.first_scanned(pieces, now_ms, oldest, is_settled=scan.is_settled)
        self.declare_expired()
        if self._scanned_ms is None or now_ms < self._scanned_ms:
            # The clock was set back, as far as is known: it may have been wrong before.
            self.gaps.not_lost(EXPIRY_REASONS, now_ms - RETENTION_LEAST_MS)
        self._scanned_ms = now_ms

    def is_first_of_old(self, scan: Scan, now_ms: int) -> bool:
        """Whether no scan was there before, in what the shortest retention might have taken."""
        old_ms = min(scan.covered, now_ms - RETENTION_LEAST_MS - 1)
        return bool(Coverage(self._journal.coverage()).missing(scan.from_, old_ms))

    def lacks_old(self, now_ms: int) -> bool:
        """Whether scans lack events that a retention might have taken."""
        return self.suspects.lacks_before(now_ms - RETENTION_LEAST_MS)

    def declare_expired(self) -> None:
        """Declare what can't be had, as far as the group's settings are known."""
        for from_, through, reason in self._expiry.due():
            self.gaps.lose(from_, through, reason)
        self._expiry.declared()  # not before: the journal may have no room for it

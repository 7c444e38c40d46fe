"""Declared gaps: what the live path missed or may have missed, until scans have repaired it.

``suspected`` until somebody fetches it, ``repairing`` while a scan does, ``repaired`` once scans
that began later have proved all of it; ``unrecoverable`` stays. Pure but for the journal.

Events that scans failed to return although the journal holds them [8]. Pure.

Most often their log stream was deleted, which can be asked. What nothing explains holds marks
back for as long as it lasts; after a few scans that is declared, so that everybody sees why.

What the scans of a log group show beside its events: gaps, what is withheld, what expired.

Pure but for the journal, which keeps the gaps. One for each chain of it; the allowance and the
group's settings outlive a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from common.ranges import Range, RangeSet
from forwarder.errors import JournalFullError
from forwarder.ingest.retention import AWAY, EXPIRED, RETENTION_LEAST_MS, Expiry
from forwarder.ingest.scan import Scan
from forwarder.ingest.visibility import Allowance
from forwarder.journal.contract import Journal
from forwarder.records import GapRecord, LogEvent, Row, ScanDone
from wire.messages import GapState, Origin

MISSED: Final = "the live path missed events that a scan has found"
"""The reason of a gap that was repaired as it was noticed."""

WITHHELD: Final = "CloudWatch Logs does not return events any more that it had returned"
"""How the reason begins of a gap that no scan fetches: those that look there are what found it."""


class Gaps:
    """The gaps of one log group, kept in its journal; every change is told."""

    def __init__(self, journal: Journal, tell: Callable[[GapRecord], None]) -> None:
        """Keep gaps in ``journal`` and give each new state of one to ``tell``."""
        self._journal = journal
        self._tell = tell
        self._count = 0
        self._declared_at: dict[str, int] = {}
        self._open = {gap.id: gap for gap in journal.gaps() if gap.state != "unrecoverable"}
        self._proved: dict[str, RangeSet] = {}
        self._fetching: dict[int, set[str]] = {}
        self._left: set[str] = set()
        self._missed: tuple[int, int, int] | None = None

    def declare(
        self, from_: int, through: int, state: GapState, reason: str, scans_begun: int
    ) -> GapRecord:
        """Declare a gap; only a scan that begins from now on can repair it."""
        gap = self._put(self._new(from_, through, state, reason, 0))
        if gap.id in self._open:
            self._declared_at[gap.id] = scans_begun
        return gap

    def change(self, gap_id: str, state: GapState) -> GapRecord | None:
        """Give a gap that is not repaired another state; None where there is none."""
        for gap in self._journal.gaps():
            if gap.id == gap_id:
                return self._put(replace(gap, state=state))
        return None

    def widen(
        self, gap_id: str, from_: int, through: int, scans_begun: int, *, reason: str | None = None
    ) -> GapRecord | None:
        """An open gap reaches further; None where it is not open any more.

        Only scans that begin from now on can repair what it has grown by.
        """
        gap = self._open.get(gap_id)
        if gap is None:
            return None
        wider = replace(
            gap,
            from_=min(gap.from_, from_),
            through=max(gap.through, through),
            reason=gap.reason if reason is None else reason,
        )
        if wider == gap:
            return gap
        self._put(wider)
        self._declared_at[gap_id] = scans_begun
        return wider

    def lose(self, from_: int, through: int, reason: str) -> GapRecord:
        """Declare what can't be had; what adjoins it and has the same reason is one gap with it."""
        for gap in self._journal.gaps():
            is_same = gap.state == "unrecoverable" and gap.reason == reason
            if is_same and gap.from_ <= through + 1 and from_ <= gap.through + 1:
                wider = replace(gap, from_=min(gap.from_, from_), through=max(gap.through, through))
                return gap if wider == gap else self._put(wider)
        return self._put(self._new(from_, through, "unrecoverable", reason, 0))

    def not_lost(self, reasons: Collection[str], from_: int) -> None:
        """What was lost by the clock can't be younger than ``from_``: it was not lost."""
        for gap in self._journal.gaps():
            if gap.state == "unrecoverable" and gap.reason in reasons and gap.through >= from_:
                if gap.from_ < from_:
                    self._put(replace(gap, through=from_ - 1))
                else:
                    self._put(replace(gap, state="repaired"))

    def withheld(self, from_: int, through: int) -> GapRecord | None:
        """The open gap of events that are not returned any more, near that range."""
        for gap in self._open.values():
            if gap.reason.startswith(WITHHELD) and gap.from_ <= through and from_ <= gap.through:
                return gap
        return None

    def fetching(self, scan: Scan) -> None:
        """A scan has its first page: gaps that it reaches are being repaired."""
        if not self._open or scan.number in self._fetching:
            return
        reached = [
            gap
            for gap in self._open.values()
            if not gap.reason.startswith(WITHHELD)
            and gap.from_ <= scan.covered
            and scan.from_ <= gap.through
            and scan.number > self._declared_at.get(gap.id, 0)
        ]
        self._fetching[scan.number] = {gap.id for gap in reached}
        for gap in reached:
            if gap.state == "suspected":
                self._put(replace(gap, state="repairing"))

    def brought(self, timestamps: Sequence[int]) -> None:
        """Events have come in late by the way that is open again: those in a gap are counted."""
        for gap in list(self._open.values()):
            count = sum(gap.from_ <= moment <= gap.through for moment in timestamps)
            if count:
                self._put(replace(gap, recovered=gap.recovered + count))

    def found(self, scan: Scan) -> None:
        """A scan has ended: declare what it has found that the live path had missed.

        Where the journal has no room for that, it is declared after a later scan.
        """
        if scan.missed is not None:
            (from_, through), count = scan.missed, scan.missed_count
            if self._missed is not None:
                from_, through = min(from_, self._missed[0]), max(through, self._missed[1])
                count += self._missed[2]
            self._missed = from_, through, count
        if self._missed is not None:
            with suppress(JournalFullError):
                self._declare_missed(*self._missed)
                self._missed = None

    def _declare_missed(self, from_: int, through: int, count: int) -> None:
        for gap in self._open.values():
            if gap.from_ <= from_ and through <= gap.through:
                self._put(replace(gap, recovered=gap.recovered + count))
                return
        self._put(self._new(from_, through, "repaired", MISSED, count))

    def marked(self, scan: Scan, done: ScanDone) -> None:
        """What ranges that are proved by scans that began later add up to is repaired."""
        for gap in list(self._open.values()):
            if scan.number <= self._declared_at.get(gap.id, 0):
                continue
            proved = self._proved.setdefault(gap.id, RangeSet())
            proved.add(max(done.from_, gap.from_), min(done.through, gap.through))
            if proved.covers(gap.from_, gap.through):
                self._put(replace(gap, state="repaired"))

    def ended(self, scan: Scan) -> None:
        """A scan is over: what it did not repair is suspected as before, unless others fetch it.

        Where the journal has no room for that, it is written when a later scan is over.
        """
        self._left |= self._fetching.pop(scan.number, set())
        for gap_id in sorted(self._left.difference(*self._fetching.values())):
            gap = self._open.get(gap_id)
            if gap is not None and gap.state == "repairing":
                try:
                    self._put(replace(gap, state="suspected"))
                except JournalFullError:
                    continue
            self._left.discard(gap_id)

    def _new(
        self, from_: int, through: int, state: GapState, reason: str, recovered: int
    ) -> GapRecord:
        self._count += 1
        # The epoch is new at every start, hence so is the id.
        gap_id = f"{self._journal.epoch}.{self._count}"
        return GapRecord(gap_id, from_, through, state, reason, recovered)

    def _put(self, gap: GapRecord) -> GapRecord:
        self._journal.put_gap(gap)
        if gap.state in ("suspected", "repairing"):
            self._open[gap.id] = gap
        else:
            self._open.pop(gap.id, None)
            self._declared_at.pop(gap.id, None)
            self._proved.pop(gap.id, None)
        self._tell(gap)
        return gap


SCANS_MIN: Final = 3
"""Whole scans that lack the same events before it is declared: one may just flap."""

PENDING_MAX: Final = 100
"""Ranges that are counted; the oldest beyond them begin anew when they are lacked again."""


class Suspects:
    """What one log group's scans lack."""

    def __init__(self) -> None:
        """Nothing."""
        self._streams: set[str] = set()
        self._ingested: dict[str, int] = {}
        self._pending: list[tuple[int, int, int]] = []

    def suspect(self, stream: str, ingested_ms: int | None) -> None:
        """A log stream may have been deleted: an event ingested by then is not returned."""
        self._streams.add(stream)
        if ingested_ms is not None:
            before = self._ingested.get(stream, ingested_ms)
            self._ingested[stream] = min(before, ingested_ms)

    def lacked(self, rows: Sequence[Row]) -> Range | None:
        """A whole scan lacked these rows; the range to declare, once it was lacked often."""
        for row in rows:
            self.suspect(row.stream, row.ingestion_time)
        from_ = min(row.timestamp for row in rows)
        through = max(row.timestamp for row in rows)
        scans = 1
        kept = []
        for one in self._pending:
            if one[0] <= through and from_ <= one[1]:
                from_, through = min(from_, one[0]), max(through, one[1])
                scans = max(scans, one[2] + 1)
            else:
                kept.append(one)
        self._pending = [*kept, (from_, through, scans)][-PENDING_MAX:]
        return (from_, through) if scans >= SCANS_MIN else None

    def returned_all(self, from_: int, through: int) -> None:
        """A whole scan of that range lacked nothing."""
        if self._pending:
            self._pending = [
                one for one in self._pending if not (from_ <= one[0] and one[1] <= through)
            ]

    def take_streams(self) -> set[str]:
        """Log streams of which a scan lacked something, since this was last asked."""
        streams, self._streams = self._streams, set()
        return streams

    def lacks_older(self, created_ms: int, stream: str | None = None) -> bool:
        """Whether events are lacked that were ingested before their place was made.

        Args:
            created_ms: when the log stream was made, or the log group.
            stream: which log stream; None: any.

        """
        if stream is not None:
            ingested = self._ingested.get(stream)
            return ingested is not None and ingested < created_ms
        return any(ingested < created_ms for ingested in self._ingested.values())

    def lacks_before(self, timestamp: int) -> bool:
        """Whether an event that is older is lacked."""
        return any(from_ < timestamp for from_, _, _ in self._pending)

    def is_deleted(self, stream: str) -> None:
        """The log stream is no more: what it lacks is explained."""
        self._ingested.pop(stream, None)


def why_withheld(rows: Sequence[Row]) -> str:
    """The reason of a gap that is declared for rows which scans go on lacking."""
    stream = rows[0].stream
    return f"{WITHHELD} (log stream {stream}); nothing there can be proved until it does"


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
        covered = RangeSet(self._journal.coverage())
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
        return bool(RangeSet(self._journal.coverage()).missing(scan.from_, old_ms))

    def lacks_old(self, now_ms: int) -> bool:
        """Whether scans lack events that a retention might have taken."""
        return self.suspects.lacks_before(now_ms - RETENTION_LEAST_MS)

    def declare_expired(self) -> None:
        """Declare what can't be had, as far as the group's settings are known."""
        for from_, through, reason in self._expiry.due():
            self.gaps.lose(from_, through, reason)
        self._expiry.declared()  # not before: the journal may have no room for it

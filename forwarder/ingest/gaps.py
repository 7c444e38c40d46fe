"""Gaps: declared ranges that are or may be incomplete, and the missing events that lead to them.

A gap is ``suspected`` until a scan reads it, ``repairing`` meanwhile, and ``repaired`` once scans
that began after its declaration have completed all of it; ``unrecoverable`` stays. ``Gaps`` keeps
them in the journal, ``MissingEvents`` counts what scans fail to return. Pure otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from common.ranges import Range, RangeSet
from forwarder.errors import JournalFullError
from forwarder.ingest.scan import Scan
from forwarder.journal.contract import Journal
from forwarder.records import GapRecord, Row, ScanDone
from wire.messages import GapState

MISSED: Final = "the live path missed events that a scan has found"
"""Reason of a gap that was repaired as it was noticed."""

WITHHELD: Final = "CloudWatch Logs does not return events any more that it had returned"
"""Start of the reason of a gap that scanning can't repair, since scans are what found it.

Journals hold it and it is compared, so the text must stay as it is.
"""


INCONSISTENT: Final = "CloudWatch Logs answered inconsistently"
"""Start of the reason of a gap where an answer contradicts the journal [17]; compared as well."""

UNREADABLE: Final = "CloudWatch Logs sent an event that can't be shown: {}; check --endpoint-url"
"""Reason of a gap for an event that the protocol can't carry."""

CONTRADICTED: Final = (
    "CloudWatch Logs keeps returning an event id with another timestamp or log stream than before:"
    " the first is shown"
)
"""Reason of a gap where an inconsistency has lasted [17]."""

SAME_REASON_MAX: Final = 20
"""Gaps that an ill CloudWatch can open for one reason; more widen the nearest, not the journal."""


class Gaps:
    """The gaps of one chain of a log group's journal; every change becomes a notice."""

    def __init__(self, journal: Journal, notify: Callable[[GapRecord], None]) -> None:
        self._journal = journal
        self._notify = notify
        self._count = 0
        self._declared_at: dict[str, int] = {}
        self._open = {gap.id: gap for gap in journal.gaps() if gap.state != "unrecoverable"}
        self._completed: dict[str, RangeSet] = {}
        self._repairing: dict[int, set[str]] = {}
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

    def widen(self, gap_id: str, from_: int, through: int, scans_begun: int) -> GapRecord | None:
        """Extend an open gap; None if it is no longer open.

        Only scans that begin from now on can repair the wider gap.
        """
        gap = self._open.get(gap_id)
        if gap is None:
            return None
        wider = replace(gap, from_=min(gap.from_, from_), through=max(gap.through, through))
        if wider == gap:
            return gap
        self._put(wider)
        self._declared_at[gap_id] = scans_begun
        return wider

    def declare_lost(self, from_: int, through: int, reason: str) -> GapRecord:
        """Declare an unrecoverable range, joined with adjoining ones of the same reason."""
        for gap in self._journal.gaps():
            is_same = gap.state == "unrecoverable" and gap.reason == reason
            if is_same and gap.from_ <= through + 1 and from_ <= gap.through + 1:
                wider = replace(gap, from_=min(gap.from_, from_), through=max(gap.through, through))
                return gap if wider == gap else self._put(wider)
        return self._put(self._new(from_, through, "unrecoverable", reason, 0))

    def next_id(self) -> str:
        """A new gap's id: the epoch is new at every start, hence so is the id."""
        self._count += 1
        return f"{self._journal.epoch}.{self._count}"

    def put(self, gap: GapRecord) -> None:
        """Add or replace a gap that no scan can repair."""
        self._put(gap)

    def declare_inconsistent(
        self, from_: int, through: int, reason: str, scans_begun: int, apart_ms: int
    ) -> None:
        """Declare where an answer contradicts the journal, or widen such a gap close to it [17].

        Only a scan that begins from now on can repair it or complete its range.
        """
        near = self._nearest(from_, through)
        distance = 0 if near is None else max(near.from_ - through, from_ - near.through)
        if near is None or (distance > apart_ms and self._count_inconsistent() < SAME_REASON_MAX):
            self.declare(from_, through, "suspected", reason, scans_begun)
            return
        self.widen(near.id, from_, through, scans_begun)
        self._declared_at[near.id] = scans_begun
        self._completed.pop(near.id, None)

    def explain_inconsistent(self, remark: str) -> None:
        """Add to the reasons of these gaps why they last."""
        for gap in list(self._open.values()):
            reason = f"{gap.reason.partition('; ')[0]}; {remark}"
            if gap.reason.startswith(INCONSISTENT) and reason != gap.reason:
                self._put(replace(gap, reason=reason))

    def blocks(self, scan: Scan) -> bool:
        """Whether an answer contradicted the journal in a scan's range since the scan began."""
        return any(
            gap.reason.startswith(INCONSISTENT)
            and gap.from_ <= scan.top
            and scan.from_ <= gap.through
            and scan.number <= self._declared_at.get(gap.id, 0)
            for gap in self._open.values()
        )

    def open_within(self, from_: int, through: int) -> Range | None:
        """The range of all open gaps together that overlap a range; None: there is none."""
        near = [gap for gap in self._open.values() if gap.from_ <= through and from_ <= gap.through]
        if not near:
            return None
        return min(gap.from_ for gap in near), max(gap.through for gap in near)

    def _count_inconsistent(self) -> int:
        return sum(gap.reason.startswith(INCONSISTENT) for gap in self._open.values())

    def _nearest(self, from_: int, through: int) -> GapRecord | None:
        gaps = (gap for gap in self._open.values() if gap.reason.startswith(INCONSISTENT))
        return min(
            gaps, key=lambda gap: max(gap.from_ - through, from_ - gap.through), default=None
        )

    def declare_not_shown(self, from_: int, through: int, reason: str) -> None:
        """Declare events that are not shown; beyond ``SAME_REASON_MAX`` gaps, widen the nearest.

        Widening declares more than is lost, which is safe.
        """
        same = [gap for gap in self._journal.gaps() if gap.reason == reason]
        if len(same) >= SAME_REASON_MAX:
            near = min(same, key=lambda gap: max(gap.from_ - through, from_ - gap.through))
            from_, through = min(from_, near.through), max(through, near.from_)
        self.declare_lost(from_, through, reason)

    def retract_lost(self, reasons: Collection[str], from_: int) -> None:
        """Retract from ``from_`` on what was declared lost for one of these reasons."""
        for gap in self._journal.gaps():
            if gap.state == "unrecoverable" and gap.reason in reasons and gap.through >= from_:
                if gap.from_ < from_:
                    self._put(replace(gap, through=from_ - 1))
                else:
                    self._put(replace(gap, state="repaired"))

    def find_withheld(self, from_: int, through: int) -> GapRecord | None:
        """Find an open gap of events that scans no longer return, overlapping a range."""
        for gap in self._open.values():
            if gap.reason.startswith(WITHHELD) and gap.from_ <= through and from_ <= gap.through:
                return gap
        return None

    def begin_repair(self, scan: Scan) -> None:
        """Set the suspected gaps that a scan reaches to repairing, at its first page."""
        if not self._open or scan.number in self._repairing:
            return
        reached = [
            gap
            for gap in self._open.values()
            if not gap.reason.startswith((WITHHELD, INCONSISTENT))
            and gap.from_ <= scan.covered
            and scan.from_ <= gap.through
            and scan.number > self._declared_at.get(gap.id, 0)
        ]
        self._repairing[scan.number] = {gap.id for gap in reached}
        for gap in reached:
            if gap.state == "suspected":
                self._put(replace(gap, state="repairing"))

    def count_recovered(self, timestamps: Sequence[int]) -> None:
        """Count new events in the open gaps that they lie in."""
        for gap in list(self._open.values()):
            count = sum(gap.from_ <= moment <= gap.through for moment in timestamps)
            if count:
                self._put(replace(gap, recovered=gap.recovered + count))

    def declare_missed(self, scan: Scan) -> None:
        """Declare the events of an ended scan that the live path had missed.

        If the journal has no room for that, they are declared after a later scan.
        """
        if scan.missed is not None:
            (from_, through), count = scan.missed, scan.missed_count
            if self._missed is not None:
                from_, through = min(from_, self._missed[0]), max(through, self._missed[1])
                count += self._missed[2]
            self._missed = from_, through, count
        if self._missed is not None:
            with suppress(JournalFullError):
                self._put_missed(*self._missed)
                self._missed = None

    def _put_missed(self, from_: int, through: int, count: int) -> None:
        for gap in self._open.values():
            if gap.from_ <= from_ and through <= gap.through:
                self._put(replace(gap, recovered=gap.recovered + count))
                return
        self._put(self._new(from_, through, "repaired", MISSED, count))

    def repair(self, scan: Scan, done: ScanDone) -> None:
        """Repair the gaps that scans begun after their declaration have now completed.

        A gap of events that answers lacked or contradicted is about known events, which may be
        stamped ahead of the clock: the scan has returned those up to its top, not only up to the
        end of its mark.
        """
        for gap in list(self._open.values()):
            if scan.number <= self._declared_at.get(gap.id, 0):
                continue
            top = scan.top if gap.reason.startswith((WITHHELD, INCONSISTENT)) else done.through
            completed = self._completed.setdefault(gap.id, RangeSet())
            completed.add(max(done.from_, gap.from_), min(top, gap.through))
            if completed.covers(gap.from_, gap.through):
                self._put(replace(gap, state="repaired"))

    def end_repair(self, scan: Scan) -> None:
        """Set the gaps that an ended scan did not repair back to suspected.

        Unless another scan is repairing them. If the journal has no room for that, it is written
        when a later scan ends.
        """
        self._left |= self._repairing.pop(scan.number, set())
        for gap_id in sorted(self._left.difference(*self._repairing.values())):
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
        return GapRecord(self.next_id(), from_, through, state, reason, recovered)

    def _put(self, gap: GapRecord) -> GapRecord:
        self._journal.put_gap(gap)
        if gap.state in ("suspected", "repairing"):
            self._open[gap.id] = gap
        else:
            self._open.pop(gap.id, None)
            self._declared_at.pop(gap.id, None)
            self._completed.pop(gap.id, None)
        self._notify(gap)
        return gap


SCANS_MIN: Final = 3
"""Whole scans in a row that lack the same events before a gap is declared: one may be a glitch."""

PENDING_MAX: Final = 100
"""Ranges with missing events that are counted; the oldest beyond them start over."""


class MissingEvents:
    """Events that the journal holds and scans failed to return [8].

    Most often their log stream was deleted, which CloudWatch can be asked. What remains
    unexplained holds marks back, and is declared as a gap after a few scans.
    """

    def __init__(self) -> None:
        self._streams: set[str] = set()
        self._ingested: dict[str, int] = {}
        self._pending: list[tuple[int, int, int]] = []

    def suspect_stream(self, stream: str, ingested_ms: int | None) -> None:
        """Suspect a log stream of having been deleted: scans lack an event ingested by then."""
        self._streams.add(stream)
        if ingested_ms is not None:
            before = self._ingested.get(stream, ingested_ms)
            self._ingested[stream] = min(before, ingested_ms)

    def add(self, rows: Sequence[Row]) -> Range | None:
        """Add the rows that a whole scan lacked; return a range to declare after several scans."""
        for row in rows:
            self.suspect_stream(row.stream, row.ingestion_time)
        from_ = min(row.timestamp for row in rows)
        through = max(row.timestamp for row in rows)
        scans = 1
        apart = []
        for one in self._pending:
            if one[0] <= through and from_ <= one[1]:
                from_, through = min(from_, one[0]), max(through, one[1])
                scans = max(scans, one[2] + 1)
            else:
                apart.append(one)
        self._pending = [*apart, (from_, through, scans)][-PENDING_MAX:]
        return (from_, through) if scans >= SCANS_MIN else None

    def clear_range(self, from_: int, through: int) -> None:
        """Forget the missing events of a range, since a whole scan of it lacked nothing."""
        if self._pending:
            self._pending = [
                one for one in self._pending if not (from_ <= one[0] and one[1] <= through)
            ]

    def take_streams(self) -> set[str]:
        """Remove and return the suspected log streams."""
        streams, self._streams = self._streams, set()
        return streams

    def lacks_older(self, created_ms: int, stream: str | None = None) -> bool:
        """Whether an event ingested before ``created_ms`` is missing; ``stream`` None: of any."""
        if stream is not None:
            ingested = self._ingested.get(stream)
            return ingested is not None and ingested < created_ms
        return any(ingested < created_ms for ingested in self._ingested.values())

    def lacks_before(self, timestamp: int) -> bool:
        """Whether an event with a smaller timestamp is missing."""
        return any(from_ < timestamp for from_, _, _ in self._pending)

    def forget_stream(self, stream: str) -> None:
        """Forget a log stream that is known to be deleted: what is missing of it is explained."""
        self._ingested.pop(stream, None)


def why_withheld(rows: Sequence[Row]) -> str:
    """Reason of a gap declared for rows that scans keep lacking; it names a log stream."""
    stream = rows[0].stream
    return f"{WITHHELD} (log stream {stream}); nothing there can be verified until it does"

"""The one door into a journal, and all that is known about one log group.

Pure but for the journal: no clock, no network. Every event that any path brings comes through
here: known ids are ignored, new ones are numbered and committed, and only then can they be sent.
A whole scan proves what it covers, unless it failed to return what was known before [8].

What may come in: events that the protocol has a place for.

What has come about in one log group since the process began, for the metrics.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from common.ranges import RangeSet
from forwarder.config import ALLOWANCE_MS, OVERLAP_MS
from forwarder.errors import InvalidEventError
from forwarder.ingest.executions import Ends, Lifecycle
from forwarder.ingest.gaps import Evidence
from forwarder.ingest.live_check import Unseen, Witness
from forwarder.ingest.retention import Expiry
from forwarder.ingest.scan import Comparison, Ingested, Scan, ScanKind
from forwarder.ingest.visibility import Allowance
from forwarder.journal.contract import Journal
from forwarder.journal.totals import Totals
from forwarder.records import GapRecord, KnownRow, LogEvent, Notice, Reset, ScanDone
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX
from wire.messages import GapState, Origin

_TEXT_MAX: Final = 40


def checked(events: Sequence[LogEvent]) -> Sequence[LogEvent]:
    """The events, with ids as the display order has them: decimal, without leading zeros.

    Raises:
        InvalidEventError: an id is not a decimal number of at most 57 digits, or a time is not one.

    """
    ids = [event.id for event in events]
    digits = "".join(ids)
    # Whole lists at once: this runs for every event that a scan returns again.
    if events and not (
        digits.isdecimal()
        and digits.isascii()
        and min(ids) >= "1"
        and max(map(len, ids)) <= ID_DIGITS_MAX
        and min(event.timestamp for event in events) >= 0
        and max(event.timestamp for event in events) <= TIMESTAMP_MAX
    ):
        return [_canonical(event) for event in events]
    return events


def _canonical(event: LogEvent) -> LogEvent:
    event_id = event.id
    if not (event_id.isascii() and event_id.isdecimal() and len(event_id) <= ID_DIGITS_MAX):
        msg = (
            f"CloudWatch gave an event the id {event_id[:_TEXT_MAX]!r}, which is not a decimal"
            f" number of 1 to {ID_DIGITS_MAX} digits: check --endpoint-url"
        )
        raise InvalidEventError(msg)
    if not 0 <= event.timestamp <= TIMESTAMP_MAX:
        msg = (
            f"CloudWatch gave the event {event_id} the timestamp {event.timestamp}, which is not"
            " in milliseconds since 1970: check --endpoint-url"
        )
        raise InvalidEventError(msg)
    return replace(event, id=event_id.lstrip("0") or "0") if event_id[0] == "0" else event


class GroupCounts(msgspec.Struct):
    """Kept by the door and by who runs scans; read by whoever wants to know."""

    events: Counter[Origin] = msgspec.field(default_factory=Counter)
    """Events taken in, by what brought them."""
    duplicates: int = 0
    """Events that were known already: scans read everything again and again."""
    late: int = 0
    """Events whose time a scan had proved before they appeared."""
    scans: Counter[tuple[ScanKind, bool]] = msgspec.field(default_factory=Counter)
    """Scans by kind, and by whether they came to their end."""
    scan_s: dict[ScanKind, float] = {}
    """Seconds that scans took, those included that broke off."""

    def scanned(self, kind: ScanKind, seconds: float, *, is_whole: bool) -> None:
        """A scan is over."""
        self.scans[kind, is_whole] += 1
        self.scan_s[kind] = self.scan_s.get(kind, 0.0) + seconds


__all__ = ["ALLOWANCE_MS", "OVERLAP_MS", "Ingested", "LogGroup", "Scan", "ScanKind"]

NOTICES_MAX: Final = 10_000
"""Notices that wait. Older ones are found at connecting: gaps in the journal, ends here."""

MADE_ANEW: Final = "the log group was made anew: a known event id came with another place or time"
RECREATED: Final = "the log group was deleted and made anew"
UNLIKE_SCANS: Final = "the live path brought what CloudWatch Logs does not have"
TOO_LARGE: Final = "the journal reached its size limit"


class LogGroup:
    """What the forwarder knows about one log group, and the only way to add to it."""

    def __init__(
        self,
        journal: Journal,
        *,
        allowance_ms: int = ALLOWANCE_MS,
        allowance_max_ms: int | None = None,
        lifecycle: Lifecycle | None = None,
        overlap_ms: int = OVERLAP_MS,
    ) -> None:
        """Take over what ``journal`` holds; it must have begun its epoch.

        Args:
            journal: the log group's; nothing else may append to it.
            allowance_ms: the visibility allowance: a scan proves nothing of its last part.
            allowance_max_ms: how much more may be learned to allow for; None: nothing.
            lifecycle: how it is known that an execution is over; None: it never is.
            overlap_ms: what a repair scan finds that is younger than this before the begin of
                the last poll, the next poll would have found as well: it was not missed.

        """
        self.journal = journal
        self.witness = Witness()
        """Compares what a live path brings with what scans return."""
        self.allowance_ms = allowance_ms
        """The visibility allowance at present."""
        self._allowance = Allowance(allowance_ms, allowance_max_ms or 0, overlap_ms)
        self.retention_ms: int | None = None
        """The log group's retention setting; None: CloudWatch keeps events for ever."""
        self.expiry = Expiry()
        self.counts = GroupCounts()
        """What has come about, for the metrics."""
        self._lifecycle = lifecycle
        self._overlap_ms = overlap_ms
        self._notices: deque[Notice] = deque(maxlen=NOTICES_MAX)
        self._scans_begun = 0
        self._live_begun_ms: int | None = None
        self._comparisons: dict[int, tuple[Scan, Comparison]] = {}
        self._load()

    def _load(self) -> None:
        self.totals = Totals(self.journal)
        """Range sums, shared by all viewers."""
        self._marked = RangeSet()
        self._deleted: dict[str, int] = {}
        self.evidence = Evidence(self.journal, self._notices.append, self._allowance, self.expiry)
        self.gaps, self._suspects = self.evidence.gaps, self.evidence.suspects
        self.ends = Ends(self.journal, self._lifecycle, lambda: self._scans_begun)
        """Its executions."""

    @property
    def name(self) -> str:
        """The log group's name."""
        return self.journal.group

    @property
    def epoch(self) -> str:
        """The journal's present epoch."""
        return self.journal.epoch

    @property
    def head_seq(self) -> int:
        """The journal's last seq."""
        return self.journal.head_seq

    @property
    def coverage(self) -> RangeSet:
        """The time of which a whole scan was taken in, by this process or an earlier one."""
        return RangeSet(self.journal.coverage())

    def covered_from(self, now_ms: int) -> int | None:
        """Where the unbroken coverage begins that reaches the present; None where none does."""
        begins = [from_ for from_, _ in self.journal.coverage() if from_ <= now_ms]
        return begins[-1] if begins else None

    def complete_through(self, from_: int) -> int | None:
        """How far from ``from_`` on this process's marks reach; None where none begins."""
        return self._marked.end_from(from_)

    def take_notices(self) -> list[Notice]:
        """What has come about since the last call, oldest first."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    # Events come in

    def ingest(self, events: Sequence[LogEvent], origin: Origin) -> Ingested:
        """Take in events that are not of a scan; known ids are ignored, their bodies restored.

        Raises:
            InvalidEventError: an event has no place in the protocol; nothing was taken.
            JournalError: the journal can't be written; what was not committed is not known.

        """
        return self._take(checked(events), origin, None)

    def begin_scan(self, kind: ScanKind, from_: int, through: int | None, now_ms: int) -> Scan:
        """Begin a scan of ``from_ <= timestamp <= through`` (None: open end)."""
        self._scans_begun += 1
        scan = Scan(
            kind,
            from_,
            through,
            begun_ms=now_ms,
            number=self._scans_begun,
            head_seq=self.journal.head_seq,
            take=self._page,
        )
        comparison = Comparison(self.journal, self.totals, scan, self._deleted, self.retention_ms)
        self._comparisons[scan.number] = scan, comparison
        return scan

    def finish_scan(self, scan: Scan, now_ms: int) -> ScanDone | None:
        """A scan has returned its last page: what it proves, left as a notice as well.

        None where it proves nothing: the group was made anew meanwhile, the range is younger
        than the allowance, or it failed to return what it should have [8].
        """
        try:
            return self._finish(scan, now_ms)
        finally:
            self.gaps.ended(scan)

    def _finish(self, scan: Scan, now_ms: int) -> ScanDone | None:
        comparison = self._close(scan)
        if comparison is None:
            self.witness.abandoned(scan)
            return None
        refuted = self.witness.finished(scan, max(0, now_ms - (self.retention_ms or now_ms)))
        if refuted is not None:
            self.begin_chain(f"{UNLIKE_SCANS}: {refuted}")
            return None
        self.evidence.covering(scan, now_ms)
        self.journal.cover(scan.from_, scan.covered)
        if scan.kind == "live":
            self._live_begun_ms = scan.begun_ms
            self._allowance.polled(scan.begun_ms)
        self.allowance_ms = self._allowance.at(scan.begun_ms)
        unseen = self.witness.unseen(scan)
        if not self._returned_all(comparison, now_ms, unseen):
            return None
        self._suspects.returned_all(scan.from_, scan.top)
        self.ends.scanned(scan, unseen, self.allowance_ms, self._notices.append)
        through = min(scan.covered, scan.begun_ms - self.allowance_ms)
        # Nothing is proved of the time of a row that is not visible yet [8].
        through = min([through, *(one.timestamp - 1 for one in unseen)])
        if through < scan.from_:
            return None
        done = ScanDone(scan.from_, through, scan.begun_ms, self.journal.head_seq)
        self._marked.add(done.from_, done.through)
        self.gaps.marked(scan, done)
        self._notices.append(done)
        return done

    def abandon(self, scan: Scan) -> None:
        """A scan ends without having been whole: what it found stays, it proves nothing."""
        self.witness.abandoned(scan)
        self._close(scan)
        self.gaps.ended(scan)

    def _close(self, scan: Scan) -> Comparison | None:
        scan.is_open = False
        _, comparison = self._comparisons.pop(scan.number, (None, None))
        if comparison is not None:
            self.gaps.found(scan)
        return comparison

    def _page(self, scan: Scan, events: Sequence[LogEvent]) -> Ingested:
        assert scan.is_open, "a scan that has ended takes no page"
        good = checked(events)
        self.gaps.fetching(scan)
        taken = self._take(good, "live", scan)
        self.witness.returned(scan, good)
        return taken

    def _take(self, events: Sequence[LogEvent], origin: Origin, scan: Scan | None) -> Ingested:
        found = self.journal.find([event.id for event in events])
        fresh: dict[str, LogEvent] = {}
        same: list[KnownRow] = []
        bodiless: list[tuple[LogEvent, KnownRow]] = []
        for event in events:
            known = found.get(event.id)
            if known is not None:
                if self._is_made_anew(known, event):
                    return self._take_anew(events)
                same.append(known)
                if not known.has_body:
                    bodiless.append((event, known))
            elif self._is_made_anew(fresh.setdefault(event.id, event), event):
                return self._take_anew(events)
        if scan is not None and scan.number in self._comparisons:
            self._comparisons[scan.number][1].returned(same)
        self._restore(bodiless, scan)
        if self._live_begun_ms is None:
            # An earlier process may have taken in the end of an execution as it ended itself.
            self.ends.seen_again([event for event in events if event.id in found])
        late = self._append(fresh.values(), origin, scan)
        self.counts.duplicates += len(events) - len(fresh)
        self.counts.late += late
        return Ingested(len(fresh), len(events) - len(fresh), late, self.journal.head_seq)

    def _is_made_anew(self, known: KnownRow | LogEvent, event: LogEvent) -> bool:
        """A known id elsewhere is no duplicate: its log group is another one [17]."""
        return known.timestamp != event.timestamp or known.stream != event.stream

    def _take_anew(self, events: Sequence[LogEvent]) -> Ingested:
        self.begin_chain(MADE_ANEW)
        fresh = {event.id: event for event in events}
        self._append(fresh.values(), "live", None)
        duplicates = len(events) - len(fresh)
        return Ingested(len(fresh), duplicates, 0, self.journal.head_seq, reset=True)

    def _restore(self, bodiless: Sequence[tuple[LogEvent, KnownRow]], scan: Scan | None) -> None:
        """Bodies come back where somebody asked for the past, and where they were said lost.

        A scan that merely looks again does not bring back what retention has just taken.
        """
        wanted = scan is None or scan.kind == "backfill"
        bodies = {event.id: event.message for event, row in bodiless if wanted or row.is_lost}
        if bodies:
            self.journal.restore(bodies)

    def _append(self, events: Collection[LogEvent], origin: Origin, scan: Scan | None) -> int:
        by_origin: dict[Origin, list[LogEvent]] = {}
        if scan is None:
            by_origin[origin] = list(events)
        elif scan.kind == "live":
            for event in events:
                by_origin.setdefault(self.witness.origin(event, scan), []).append(event)
        else:
            coverage = self.coverage
            for event in events:
                of = self._origin(scan.kind, event.timestamp, coverage)
                by_origin.setdefault(of, []).append(event)
        late = 0
        for of, batch in by_origin.items():
            if not batch:
                continue
            self.ends.coming(batch)
            self.journal.append(batch, of)
            self.counts.events[of] += len(batch)
            late += sum(event.timestamp in self._marked for event in batch)
            self.ends.appended(batch)
            if scan is not None:
                self.evidence.found(batch, of, scan)
        if scan is not None:
            self.witness.appended(events)
        return late

    def _origin(self, kind: ScanKind, timestamp: int, coverage: RangeSet) -> Origin:
        """Who would have brought an event that a scan other than a poll is the first to return.

        The next poll would have, if its range begins before it; nobody, if a whole scan has been
        there already: that is a gap; a client's asking, if none has.
        """
        begun_ms, end = self._live_begun_ms, coverage.end
        if begun_ms is not None and timestamp >= begun_ms - self._overlap_ms:
            return "live"
        if timestamp in coverage:
            return "repair"
        if kind == "repair" and (end is None or timestamp > end):
            return "live"
        return "backfill"

    def clock_set(self, by_ms: int, now_ms: int) -> None:
        """Somebody has set the wall clock, by which ages and distances in time are told."""
        self.witness.clock_set(by_ms, now_ms, self._scans_begun)
        self.ends.clock_set()

    # What scans prove

    def _returned_all(self, comparison: Comparison, now_ms: int, unseen: Sequence[Unseen]) -> bool:
        """Whether a scan returned every row that was held in its range as it began [8].

        Those excepted that a live path has brought and that no scan has returned yet.
        """
        for one in unseen:
            if one.is_late:
                self._suspects.suspect(one.stream, one.arrived_ms)
        if comparison.is_whole(len(unseen)):
            return True
        missing = comparison.missing(now_ms, {one.seq for one in unseen})
        if missing:
            self.evidence.lacked(missing, self._scans_begun)
        for row in missing:
            if row.ingestion_time is None:  # as live paths have it
                self._suspects.suspect(row.stream, self.witness.ingested_ms(row))
        self.witness.adopted(missing, now_ms)
        return not missing

    def learned(self, kept_ms: int | None, created_ms: int | None, at: int | None = None) -> None:
        """How long events are kept, and the log group's age; asked when ``expiry.number`` was."""
        self.retention_ms = kept_ms
        self.expiry.learned(kept_ms, created_ms, at)
        self.evidence.declare_expired()

    def take_suspects(self) -> set[str]:
        """Log streams of which a scan failed to return known events: do they still exist?"""
        return self._suspects.take_streams()

    def lacks_older(self, stream: str, created_ms: int) -> bool:
        """Whether scans failed to return an event of a log stream from before it was made.

        If so, there was another of that name, which was deleted.
        """
        return self._suspects.lacks_older(created_ms, stream)

    def is_made_anew(self, created_ms: int) -> bool:
        """Begin a new chain if the log group was made after events that scans lack [17]."""
        if not self._suspects.lacks_older(created_ms):
            return False
        self.begin_chain(RECREATED)
        return True

    def stream_deleted(self, stream: str) -> None:
        """CloudWatch has no such log stream any more: its events may be missing from scans."""
        self._suspects.is_deleted(stream)
        self._deleted[stream] = self.journal.head_seq
        self.witness.stream_deleted(stream)

    def declare_gap(self, from_: int, through: int, state: GapState, reason: str) -> GapRecord:
        """Declare that the live path may have missed events, or that some can't be had."""
        return self.gaps.declare(from_, through, state, reason, self._scans_begun)

    def widen_gap(self, gap_id: str, from_: int, through: int) -> GapRecord | None:
        """A declared gap reaches further; None where it is repaired by now."""
        return self.gaps.widen(gap_id, from_, through, self._scans_begun)

    # The journal's bounds

    def begin_chain(self, reason: str) -> str:
        """Forget everything under a new epoch; every connection comes back and starts anew."""
        epoch = self.journal.begin_chain(reason)
        self._comparisons.clear()
        self.witness.began_anew()
        self._load()
        self._notices.append(Reset(epoch, reason))
        return epoch

    def retain(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Take bodies as ``Journal.retire``; with none left to take, over size, start anew [5].

        A viewer that is owed the past needs its bodies: ``before`` must not be beyond it.
        """
        taken = self.journal.retire(before=before, bytes_max=bytes_max)
        if not taken and bytes_max is not None and self.journal.size_bytes() > bytes_max:
            self.begin_chain(TOO_LARGE)
        return taken

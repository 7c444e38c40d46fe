"""The one way into a log group's journal, and everything that the forwarder knows of the group.

Polls, scans and subscriptions all bring their events here: known ids are ignored, new events are
numbered and committed, and only then can they be sent. A whole scan completes its range, unless
it failed to return events that the journal holds [8]. Pure except for the journal: no clock, no
network.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from common.ranges import RangeSet
from forwarder.config import ALLOWANCE_MS, OVERLAP_MS
from forwarder.ingest.alterations import Alterations, KnownTexts, has_first_text
from forwarder.ingest.conflicts import (
    JOIN_MS,
    REMEMBERED_MAX,
    Conflicts,
    UnreadableEvents,
    compare_with_rows,
    join_positions,
    position_of,
    sort_out,
)
from forwarder.ingest.executions import Ends, Executions, Lifecycle, execution_of
from forwarder.ingest.gaps import (
    CONTRADICTED,
    INCONSISTENT,
    UNREADABLE,
    Gaps,
    MissingEvents,
    why_withheld,
)
from forwarder.ingest.live_check import Agreement, Punctuality, UnscannedRow
from forwarder.ingest.retention import CLOCK_REASONS, RETENTION_LEAST_MS, Expiry
from forwarder.ingest.scan import Ingested, Scan, ScanComparison, ScanKind
from forwarder.ingest.visibility import VisibilityAllowance
from forwarder.journal.contract import Journal
from forwarder.journal.totals import Totals
from forwarder.records import (
    GapRecord,
    KnownRow,
    LogEvent,
    Notice,
    Reset,
    Row,
    ScanDone,
    TextsChanged,
    UnreadableEvent,
)
from wire.messages import ExecutionStatus, GapState, Origin
from wire.order import Interval, first_key, last_key

NOTICES_MAX: Final = 10_000
"""Notices that wait to be taken; viewers find older ones in the journal when they connect."""

READ_BACK_ROWS_MAX: Final = 10_000
"""Rows before an execution's last event in which its end is looked for after a start."""

RECREATED: Final = "the log group was deleted and recreated"
UNLIKE_SCANS: Final = "the subscription delivered what CloudWatch Logs does not have"
TOO_LARGE: Final = "the journal reached its size limit"
"""Reasons for a new chain."""

CONFLICTS_LOOKED_UP: Final = 100
"""Rows of a page whose age is looked up when its events contradict them: one is enough."""

NOT_SHOWN_APART_MS: Final = 1_000
"""Events that are not shown and are at most this far apart become one gap."""


class GroupCounts(msgspec.Struct):
    """A log group's counters since the process began, for the metrics."""

    events: Counter[Origin] = msgspec.field(default_factory=Counter)
    """New events by origin."""
    duplicates: int = 0
    """Events that were known already: scans read everything again and again."""
    late: int = 0
    """New events whose time was complete according to a mark."""
    altered: int = 0
    """Known events of which a scan returned another text than the journal's."""
    held: int = 0
    """Events held back, because they contradict the journal or each other."""
    unreadable: int = 0
    """Events that the protocol can't carry, counted in each scan."""
    inconclusive: int = 0
    """Scans that reached the last page and proved nothing: inconsistent or resumed by time."""
    scans: Counter[tuple[ScanKind, bool]] = msgspec.field(default_factory=Counter)
    """Scans by kind, and by whether they were whole."""
    scan_s: dict[ScanKind, float] = {}
    """Seconds spent in scans by kind, those that broke off included."""

    def add_scan(self, kind: ScanKind, seconds: float, *, is_whole: bool) -> None:
        """Count a scan that has ended."""
        self.scans[kind, is_whole] += 1
        self.scan_s[kind] = self.scan_s.get(kind, 0.0) + seconds


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
        """Load the state of the log group from its journal.

        Args:
            journal: the feed's, its epoch begun; nothing else may append to it.
            allowance_ms: least visibility allowance: a scan does not complete its last part.
            allowance_max_ms: up to which it may grow by learning; None: it is fixed.
            lifecycle: the rule for the end of an execution; None: executions never end.
            overlap_ms: how far polls look back. An event younger than that at the last poll is
                no repair, because the next poll would have found it.
        """
        self.journal = journal
        self.counts = GroupCounts()
        self.agreement = Agreement()
        """Compares the subscription's events with those that scans return."""
        self.punctuality = Punctuality()
        """Whether the subscription delivers in time."""
        self.allowance_ms = allowance_ms
        """The visibility allowance at present."""
        self._allowance = VisibilityAllowance(allowance_ms, allowance_max_ms or 0, overlap_ms)
        self._expiry = Expiry()
        is_filtered = bool(journal.pattern)
        self.lifecycle = lifecycle.without_silence if lifecycle and is_filtered else lifecycle
        self._overlap_ms = overlap_ms
        self._notices: deque[Notice] = deque(maxlen=NOTICES_MAX)
        self._scans_begun = 0
        self._live_begun_ms: int | None = None
        self._comparisons: dict[int, tuple[Scan, ScanComparison]] = {}
        self._load_chain()

    def _load_chain(self) -> None:
        """Set up what belongs to one chain of the journal."""
        journal, lifecycle = self.journal, self.lifecycle
        self.totals = Totals(journal)
        """Range totals, cached for all viewers."""
        self._gaps = Gaps(journal, self._notices.append)
        self.executions = Executions(lifecycle, self._gaps.open_within)
        ended = {} if lifecycle is None else journal.ended_executions(lifecycle.rule)
        self.executions.load(journal.streams(), ended, journal.head_seq)
        self._marked = RangeSet()
        self._deleted: dict[str, int] = {}
        self.alterations = Alterations(journal, self._gaps)
        """The events whose text changed under their id."""
        self._texts = KnownTexts()
        self._missing = MissingEvents()
        self._conflicts = Conflicts()
        self._unreadable = UnreadableEvents()
        self._covered_ms: int | None = None

    @property
    def name(self) -> str:
        """The log group's name."""
        return self.journal.group

    @property
    def pattern(self) -> str:
        """The filter pattern of the feed; empty: all events of the log group."""
        return self.journal.pattern

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
        """The time that whole scans have read, in this process or an earlier one."""
        return RangeSet(self.journal.coverage())

    @property
    def retention_ms(self) -> int | None:
        """The log group's retention setting; None: CloudWatch keeps events for ever."""
        return self._expiry.retention_ms

    @property
    def created_ms(self) -> int | None:
        """When the log group was created, by AWS's clock; None: unknown."""
        return self._expiry.created_ms

    @property
    def first_scan_count(self) -> int:
        """First scans of old time so far; see ``learn_settings``."""
        return self._expiry.first_scan_count

    def covered_from(self, now_ms: int) -> int | None:
        """Start of the unbroken coverage that reaches the present; None: there is none."""
        begins = [from_ for from_, _ in self.journal.coverage() if from_ <= now_ms]
        return begins[-1] if begins else None

    def complete_through(self, from_: int) -> int | None:
        """End of the unbroken time from ``from_`` on marked by this process; None: unmarked."""
        return self._marked.end_from(from_)

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired (unrecoverable ones stay), oldest first."""
        return self.alterations.gaps(self.journal.gaps())

    def take_notices(self) -> list[Notice]:
        """Remove and return the notices since the last call, oldest first."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    # Events come in

    def ingest(
        self, events: Sequence[LogEvent], origin: Origin, ends: Ends | None = None
    ) -> Ingested:
        """Add events that no scan returned; known ids only get a missing body back.

        Args:
            events: the events.
            origin: their origin.
            ends: as of ``lifecycle.ends_among``; None: the messages are matched here.

        Raises:
            JournalError: the journal can't be written; what was not committed is not known.
        """
        good, bad = sort_out(events)
        self.counts.unreadable += len(bad)
        return self._ingest(good, origin, None, ends)

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
            take=self._take_page,
            set_aside=self._set_aside,
        )
        comparison = ScanComparison(
            self.journal, self.totals, scan, self._deleted, self.retention_ms
        )
        self._comparisons[scan.number] = scan, comparison
        return scan

    def finish_scan(self, scan: Scan, now_ms: int) -> ScanDone | None:
        """End a scan that has returned its last page, and conclude what follows from it.

        Returns:
            What it completes, which is also a notice. None if nothing: a new chain began
            meanwhile, the range is younger than the allowance, events were missing [8], or its
            answers contradict the journal or were resumed by time [17].
        """
        try:
            return self._finish(scan, now_ms)
        finally:
            self._gaps.end_repair(scan)

    def _finish(self, scan: Scan, now_ms: int) -> ScanDone | None:
        comparison = self._close(scan)
        if comparison is None:
            self.agreement.abandon_scan(scan)
            return None
        is_conclusive = scan.is_conclusive and not self._gaps.blocks(scan)
        if scan.is_resumed:  # a row that it skipped is not missing
            self.agreement.abandon_scan(scan)
        else:
            self.agreement.finish_scan(scan, max(0, now_ms - (self.retention_ms or now_ms)))
        if self.agreement.refuted is not None:
            self.begin_chain(f"{UNLIKE_SCANS}: {self.agreement.refuted}")
            return None
        self.alterations.save()  # or no mark: it would cover altered events silently
        self._cover(scan, now_ms)
        if scan.kind == "live":
            self._live_begun_ms = scan.begun_ms
            self._allowance.note_poll(scan.begun_ms)
        self.allowance_ms = self._allowance.at(scan.begun_ms)
        self.executions.count_gap_scan(scan.from_, scan.top, scan.begun_ms, self.allowance_ms)
        if not is_conclusive:
            self.counts.inconclusive += 1
            self._settle_conflicts(scan)
            return None
        unscanned = self.agreement.unscanned_rows(scan)
        if not self._returned_all(comparison, now_ms, unscanned):
            return None
        self.alterations.confirm_whole(scan, comparison.proven_from(now_ms))
        self._missing.clear_range(scan.from_, scan.top)
        done = self._complete(scan, unscanned)
        self._end_executions(scan, unscanned)  # executions wait for the gaps just repaired
        return done

    def _complete(self, scan: Scan, unscanned: Sequence[UnscannedRow]) -> ScanDone | None:
        """Mark what a conclusive scan completes, and repair its gaps; None: it is too young."""
        through = min(scan.covered, scan.begun_ms - self.allowance_ms)
        # A row that CloudWatch does not show yet may have invisible neighbours [8].
        through = min([through, *(one.timestamp - 1 for one in unscanned)])
        if through < scan.from_:
            return None
        done = ScanDone(scan.from_, through, scan.begun_ms, self.journal.head_seq)
        self._marked.add(done.from_, done.through)
        self._gaps.repair(scan, done)
        self._notices.append(done)
        return done

    def abandon_scan(self, scan: Scan) -> None:
        """End a scan that was not whole: the events that it found stay, it completes nothing."""
        self.agreement.abandon_scan(scan)
        self._close(scan)
        self._gaps.end_repair(scan)

    def _close(self, scan: Scan) -> ScanComparison | None:
        scan.is_open = False
        _, comparison = self._comparisons.pop(scan.number, (None, None))
        if comparison is not None:
            self._gaps.declare_missed(scan)
        return comparison

    def _take_page(self, scan: Scan, events: Sequence[LogEvent], ends: Ends | None) -> Ingested:
        assert scan.is_open, "a scan that has ended takes no page"
        good, bad = sort_out(events)
        self._set_aside(scan, bad)
        self._gaps.begin_repair(scan)
        taken = self._ingest(good, "live", scan, ends)
        self.agreement.compare_page(scan, [one for one in good if self._is_comparable(scan, one)])
        return taken

    def _is_comparable(self, scan: Scan, event: LogEvent) -> bool:
        """Whether an event may speak against the subscription: it does not contradict itself."""
        return (
            scan.is_consistent
            or not (event.id in scan.conflicts or len(scan.conflicts) >= REMEMBERED_MAX)
        ) and not self._conflicts.is_settled(event.id)

    def _ingest(
        self, events: Sequence[LogEvent], origin: Origin, scan: Scan | None, ends: Ends | None
    ) -> Ingested:
        found = self.journal.find([event.id for event in events])
        batch = compare_with_rows(events, found, self._is_reused, self._conflicts)
        fresh = batch.fresh
        if batch.conflicts:
            self._hold_back(batch.conflicts, batch.held, scan)
        plain = batch.plain
        self._conflicts.retract(event.id for event in plain if event.id in found)
        if scan is not None and scan.number in self._comparisons:
            self._comparisons[scan.number][1].add_returned(batch.returned)
        self._restore(batch.bodiless, scan)
        if self._live_begun_ms is None:
            # An earlier process may have stopped before it noticed the end in these messages.
            known_events = [event for event in plain if event.id in found]
            self.executions.read_messages(known_events, self._scans_begun, ends)
        late = self._append(fresh.values(), origin, scan, ends)
        self._compare_texts(scan, plain, found, fresh)
        duplicates = len(events) - len(fresh) - batch.held
        self.counts.duplicates += duplicates
        self.counts.late += late
        return Ingested(len(fresh), duplicates, late, self.journal.head_seq, batch.held)

    def _compare_texts(
        self,
        scan: Scan | None,
        events: Sequence[LogEvent],
        found: Mapping[str, KnownRow],
        fresh: Collection[str],
    ) -> None:
        """Declare known events that a scan returned with another text than the journal's.

        Rows of the subscription that no scan has returned are left to ``agreement``, which begins
        a new chain.
        """
        if scan is None:
            return
        if len(events) > len(found) + len(fresh):  # some came twice, perhaps in two versions
            found = self.journal.find([event.id for event in events])
        known = [event for event in events if event.id in found] if fresh else events
        rows = [found[event.id] for event in known]
        differing = [
            (event, row)
            for event, row in self._texts.differing(known, rows)
            if not self.agreement.awaits_row(event.id)
        ]
        changed, new = self.alterations.add_page(scan, rows, differing, self._scans_begun)
        self.counts.altered += new
        if changed or new:
            self._notices.append(TextsChanged(tuple(changed)))

    def _is_reused(self, known: KnownRow | LogEvent, event: LogEvent) -> bool:
        """Whether a known id names another event [17]."""
        return known.timestamp != event.timestamp or known.stream != event.stream

    def _hold_back(
        self,
        conflicts: Sequence[tuple[LogEvent, KnownRow | LogEvent]],
        held: int,
        scan: Scan | None,
    ) -> None:
        """Declare events that contradict the journal or each other; they are not taken in [17].

        One such answer may be a mistake of CloudWatch. A new chain would forget rows that only the
        journal has, so that the log group's creation time must confirm it.
        """
        self.counts.held += held
        if scan is not None:
            scan.is_consistent = False
            for event, known in conflicts[: max(0, REMEMBERED_MAX - len(scan.conflicts))]:
                scan.conflicts[event.id] = known.timestamp, event.timestamp
        for _, known in conflicts[:CONFLICTS_LOOKED_UP]:
            rows = self.journal.read_after(known.seq - 1, 1) if isinstance(known, KnownRow) else []
            self._conflicts.add(self.agreement.ingested_ms(rows[0]) if rows else None)
        event, known = conflicts[0]
        what = "log stream" if known.timestamp == event.timestamp else "timestamp"
        reason = f"{INCONSISTENT}: event id {event.id} came with another {what}"
        positions = [one.timestamp for pair in conflicts for one in pair]
        for from_, through in join_positions(positions):
            self._gaps.declare_inconsistent(from_, through, reason, self._scans_begun, JOIN_MS)

    def _set_aside(self, scan: Scan, events: Sequence[UnreadableEvent]) -> None:
        """Count and declare events of a scan that the protocol can't carry."""
        if not events:
            return
        self.counts.unreadable += len(events)
        by_reason: dict[str, list[int]] = {}
        undeclared = self._unreadable.undeclared(events)
        for one in undeclared:
            by_reason.setdefault(one.why, []).append(position_of(one, scan))
        for why, positions in by_reason.items():
            for from_, through in join_positions(positions, NOT_SHOWN_APART_MS):
                self._gaps.declare_not_shown(from_, through, UNREADABLE.format(why))
        self._unreadable.note_declared(undeclared)  # not before: the journal may be full

    def _settle_conflicts(self, scan: Scan) -> None:
        """Declare contradictions for good that have lasted for many scans, and go on without them.

        The rows in the journal stay: CloudWatch may not have them any more.
        """
        lasting = self._conflicts.lasting(scan.conflicts, scan.begun_ms)
        positions = [position for one in lasting for position in scan.conflicts[one]]
        for from_, through in join_positions(positions, NOT_SHOWN_APART_MS):
            self._gaps.declare_not_shown(from_, through, CONTRADICTED)
        self._conflicts.settle(lasting)

    def _restore(self, bodiless: Sequence[tuple[LogEvent, KnownRow]], scan: Scan | None) -> None:
        """Restore the bodies that a viewer asked for, and those that were declared lost.

        Not another text under the same id, which viewers would take for the first one.
        A repair scan must not bring back what the journal's retention has just removed.
        """
        is_requested = scan is None or scan.kind == "backfill"
        bodies = {
            event.id: event.message
            for event, row in bodiless
            if (is_requested or row.is_lost) and has_first_text(event, row)
        }
        if bodies:
            self.journal.restore(bodies)

    def _append(
        self,
        events: Collection[LogEvent],
        origin: Origin,
        scan: Scan | None,
        ends: Ends | None,
    ) -> int:
        """Commit new events, and return how many of them are late."""
        by_origin: dict[Origin, list[LogEvent]] = {}
        if scan is None:
            by_origin[origin] = list(events)
        elif scan.kind == "live":
            for event in events:
                by_origin.setdefault(self._poll_origin(event, scan), []).append(event)
        else:
            coverage = self.coverage
            for event in events:
                of = self._origin(scan.kind, event.timestamp, coverage)
                by_origin.setdefault(of, []).append(event)
        late = 0
        for of, batch in by_origin.items():
            if not batch:
                continue
            self._reopen_executions(batch)
            first_seq = self.journal.head_seq + 1
            self.journal.append(batch, of)
            self._texts.add(first_seq, batch)
            self.counts.events[of] += len(batch)
            late += sum(event.timestamp in self._marked for event in batch)
            self.executions.add_events(batch, self._scans_begun, ends)
            if scan is not None:
                self._note_found(batch, of, scan)
        if scan is not None:
            self.punctuality.expect((one.id, one.ingestion_time) for one in events)
        return late

    def _poll_origin(self, event: LogEvent, scan: Scan) -> Origin:
        """Origin of an event that a poll found first; a poll that is a rescan, too, may repair."""
        origin = self.punctuality.classify(event, scan)
        begun_ms = self._live_begun_ms
        if origin == "repair":
            return origin
        if begun_ms is None:
            is_old = event.timestamp < scan.begun_ms - self._overlap_ms
            return "backfill" if is_old and scan.reads_history else origin
        if event.timestamp >= begun_ms - self._overlap_ms:
            return origin
        return self._origin("repair", event.timestamp, self.coverage)

    def _origin(self, kind: ScanKind, timestamp: int, coverage: RangeSet) -> Origin:
        """Origin of an event that a scan other than a poll found first.

        ``live`` if the next poll would have returned it, ``repair`` if a whole scan has read its
        time before, else ``backfill``.
        """
        begun_ms, end = self._live_begun_ms, coverage.end
        if begun_ms is not None and timestamp >= begun_ms - self._overlap_ms:
            return "live"
        if timestamp in coverage:
            return "repair"
        if kind == "repair" and (end is None or timestamp > end):
            return "live"
        return "backfill"

    def _note_found(self, batch: Sequence[LogEvent], origin: Origin, scan: Scan) -> None:
        timestamps = [event.timestamp for event in batch]
        if origin == "repair":
            scan.add_missed(timestamps)
        else:
            self._gaps.count_recovered(timestamps)
        for event in batch:
            self._allowance.learn(event.timestamp, event.ingestion_time, scan)

    def shift_clock(self, by_ms: int, now_ms: int) -> None:
        """Adjust the ages of awaited events to a wall clock that was set by ``by_ms``."""
        self.agreement.shift_clock(by_ms, now_ms, self._scans_begun)
        self.executions.forget_scan_times()

    # Conclusions from scans

    def _cover(self, scan: Scan, now_ms: int) -> None:
        """Add a whole scan to the coverage; declare what had expired before it was first read."""
        covered = self.coverage
        pieces = covered.missing(scan.from_, scan.covered)
        oldest = covered.ranges[0][0] if covered.ranges else None
        self._expiry.add_first_scans(pieces, now_ms, oldest, is_settled=scan.is_settled)
        self._declare_expired()
        if self._covered_ms is None or now_ms < self._covered_ms:
            # The clock was set back, as far as is known: it may have been wrong before.
            self._gaps.retract_lost(CLOCK_REASONS, now_ms - RETENTION_LEAST_MS)
        self._covered_ms = now_ms
        self.journal.cover(scan.from_, scan.covered)

    def _declare_expired(self) -> None:
        for from_, through, reason in self._expiry.due():
            self._gaps.declare_lost(from_, through, reason)
        self._expiry.forget_declared()  # not before: the journal may have no room for it

    def _returned_all(
        self, comparison: ScanComparison, now_ms: int, unscanned: Sequence[UnscannedRow]
    ) -> bool:
        """Check that a scan returned every row that its range held as it began [8].

        Rows of the subscription that no scan has returned yet are excepted.
        """
        for one in unscanned:
            if one.is_overdue:
                self._missing.suspect_stream(one.stream, one.arrived_ms)
        if comparison.is_complete(len(unscanned)):
            return True
        missing = comparison.find_missing(now_ms, {one.seq for one in unscanned})
        if missing:
            self._declare_withheld(missing)
        for row in missing:
            if row.ingestion_time is None:  # a row of the subscription
                self._missing.suspect_stream(row.stream, self.agreement.ingested_ms(row))
        self.agreement.adopt_rows(missing, now_ms)
        return not missing

    def _declare_withheld(self, rows: Sequence[Row]) -> None:
        """Declare rows that several scans did not return: viewers see why there is no mark."""
        span = self._missing.add(rows)
        if span is None:
            return
        gap = self._gaps.find_withheld(*span)
        if gap is None:
            self.declare_gap(*span, "suspected", why_withheld(rows))
        else:
            self.widen_gap(gap.id, *span)

    def take_suspect_streams(self) -> set[str]:
        """Remove and return the log streams that may be deleted: scans lack events of theirs."""
        return self._missing.take_streams()

    def is_recreated(self, created_ms: int) -> bool:
        """Whether the log group's creation time shows that the journal's is a deleted one [17].

        Rows that scans lack, or that their answers contradict, are older than it, or it is newer
        than before and answers contradict the journal.
        """
        if self._conflicts.is_recreated(created_ms) or self.lacks_older(created_ms):
            return True
        self._conflicts.note_answer()
        return False

    def explain_conflicts(self, remark: str) -> None:
        """Tell viewers what a check of the log group's age found, or why it could not."""
        self._conflicts.note_answer()
        self._gaps.explain_inconsistent(remark)

    def lacks_older(self, created_ms: int, stream: str | None = None) -> bool:
        """Whether scans lack an event ingested before its log stream or group was created.

        If so, the event belonged to a deleted one of the same name. ``stream`` None: any log
        stream, for the whole log group [17].
        """
        return self._missing.lacks_older(created_ms, stream)

    def mark_stream_deleted(self, stream: str) -> None:
        """Accept from now on that scans don't return the known events of a deleted log stream."""
        self._missing.forget_stream(stream)
        self._deleted[stream] = self.journal.head_seq
        self.agreement.forget_stream(stream)

    def declare_gap(self, from_: int, through: int, state: GapState, reason: str) -> GapRecord:
        """Declare a range that is or may be incomplete; scans begun from now on can repair it."""
        return self._gaps.declare(from_, through, state, reason, self._scans_begun)

    def widen_gap(self, gap_id: str, from_: int, through: int) -> GapRecord | None:
        """Extend a declared gap; None if it is no longer open."""
        return self._gaps.widen(gap_id, from_, through, self._scans_begun)

    # Settings and retention

    def learn_settings(
        self, retention_ms: int | None, created_ms: int | None, first_scan_count: int | None = None
    ) -> None:
        """Apply the log group's settings, and declare what had expired before it was first read.

        ``first_scan_count`` is that of the moment when the settings were asked for: they say
        nothing of later first scans. See ``Expiry.learn``.
        """
        self._expiry.learn(retention_ms, created_ms, first_scan_count)
        self._declare_expired()

    def is_first_old_scan(self, scan: Scan, now_ms: int) -> bool:
        """Whether a scan is the first to read time that the shortest retention might have taken."""
        old_ms = min(scan.covered, now_ms - RETENTION_LEAST_MS - 1)
        return bool(self.coverage.missing(scan.from_, old_ms))

    def lacks_old(self, now_ms: int) -> bool:
        """Whether scans lack events that retention might have taken."""
        return self._missing.lacks_before(now_ms - RETENTION_LEAST_MS)

    def begin_chain(self, reason: str) -> None:
        """Forget everything under a new epoch; all viewers reconnect and start over."""
        epoch = self.journal.begin_chain()
        self._comparisons.clear()
        self.agreement.reset()
        self._load_chain()
        self._notices.append(Reset(epoch, reason))

    def retain(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Remove bodies as ``Journal.retire``; with none left and still over size, reset [5].

        ``before`` must not be later than the start of history that a viewer still waits for.
        """
        taken = self.journal.retire(before=before, bytes_max=bytes_max)
        if not taken and bytes_max is not None and self.journal.size_bytes() > bytes_max:
            self.begin_chain(TOO_LARGE)
        return taken

    # Executions

    def end_execution(self, execution: str, status: ExecutionStatus) -> None:
        """Record that an execution is over, known from outside the log (from ECS, for example)."""
        self.executions.mark_over(execution, status, self._scans_begun)

    def drain_range(self, now_ms: int, named: Collection[str] = ()) -> tuple[int, int] | None:
        """Range that two scans must cover before an execution can end; None: no execution waits.

        Executions that ended long ago are scanned only if a viewer names them.
        """
        unread = self.take_unread(named)
        self.executions.read_messages(unread, self._scans_begun)
        return self.executions.drain_range(now_ms, named)

    def take_unread(self, named: Collection[str]) -> list[LogEvent]:
        """Events of executions that a viewer names which may end them; each once after a start.

        An earlier process may have ingested such an end and stopped before the drain. What
        ``find_ends`` finds among them goes to ``note_ends``; ``drain_range`` reads the rest.
        """
        unread: list[LogEvent] = []
        for execution, first, last in self.executions.take_unread(named):
            interval = Interval(first_key(first), last_key(last))
            rows = self.journal.read_between(interval, READ_BACK_ROWS_MAX, newest_first=True)
            unread += [
                LogEvent(row.id, row.timestamp, row.ingestion_time, row.stream, row.message)
                for row in rows
                if row.message is not None and execution_of(row.stream) == execution
            ]
        return unread

    def note_ends(self, events: Sequence[LogEvent], ends: Ends) -> None:
        """Mark the executions over that these events end, as of ``lifecycle.ends_among``."""
        self.executions.read_messages(events, self._scans_begun, ends)

    def _reopen_executions(self, events: Sequence[LogEvent]) -> None:
        """Forget in the journal the ends that new events are late for [11].

        Before the events are appended: the process may stop, or the disk fill up, in between.
        """
        for execution in self.executions.ended_among(events):
            self._put_ended(execution, None)

    def _end_executions(self, scan: Scan, unscanned: Sequence[UnscannedRow]) -> None:
        ends = self.executions.finish_scan(
            scan.from_,
            scan.through,
            number=scan.number,
            begun_ms=scan.begun_ms,
            allowance_ms=self.allowance_ms,
            head_seq=self.journal.head_seq,
            unscanned={execution_of(one.stream) for one in unscanned},
        )
        self._notices.extend(ends)  # all of them first: the journal may have no room for them
        for end in ends:
            self._put_ended(end.execution, end.status)

    def _put_ended(self, execution: str, status: ExecutionStatus | None) -> None:
        if self.lifecycle is not None:
            self.journal.put_ended(execution, status, self.lifecycle.rule)

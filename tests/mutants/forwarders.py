"""Broken forwarders: each function breaks the forwarder of this process.

Another rule of the product would repair some of the faults, as it should. A mutant that switches
off such a safety net says so in its docstring: the test is whether the oracle notices a broken
forwarder, not whether the product survives its own faults.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import replace

from forwarder.cloudwatch import reader
from forwarder.cloudwatch.reader import PagedScan
from forwarder.delivery.backfill import StartPoint
from forwarder.delivery.frames import EMPTY_SLICE, Slice, SliceReader
from forwarder.delivery.lanes import Lanes, RangeRepair
from forwarder.delivery.session import Session
from forwarder.errors import TruncatedResponseError
from forwarder.ingest.executions import Ends, Executions
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import Scan, ScanKind
from forwarder.ingest.visibility import VisibilityAllowance
from forwarder.reconcile.schedule import DueScan, ScanSchedule, TierName
from forwarder.records import LogEvent, RangeTotal, Row, ScanDone
from tests.mutants.patching import put
from wire.digest import digest_sum
from wire.messages import Origin
from wire.order import Interval, first_key, last_key

QUEUE_EVENTS = 100
"""Events that a viewer of ``drops-when-full`` may be behind."""

LEFT_OUT = 20
"""The mutants that omit events omit one in this many."""

ROWS_MAX = 10_000_000


# The nets


def _nothing_is_missed_by_scans() -> None:
    """Disable rule [8]: a scan that did not return all known events is marked as well."""
    put(LogGroup, "_returned_all", lambda _self, *_: True)


def _no_second_looks() -> None:
    """Disable all scans except polls and backfill."""
    scan = ScanSchedule._scan

    def polls_alone(self: ScanSchedule, tier: TierName, wall_ms: int) -> DueScan | None:
        return scan(self, tier, wall_ms) if tier == "live" else None

    put(ScanSchedule, "_scan", polls_alone)


def _no_repairs() -> None:
    """Disable repairs: the answer to ``repair`` is a digest without events."""

    def empty(
        self: RangeRepair, slices: SliceReader, *_given: object, sent_seq: int, base: int
    ) -> Slice:
        del self, slices, sent_seq, base
        return EMPTY_SLICE

    put(RangeRepair, "cut", empty)


# What comes in


def cursor_plus_one() -> None:
    """Polls start one millisecond after the newest event, and nothing is scanned again."""
    newest = 0
    append, scan = LogGroup._append, ScanSchedule._scan

    def noting(
        self: LogGroup,
        events: Collection[LogEvent],
        origin: Origin,
        of: Scan | None,
        ends: Ends | None,
    ) -> int:
        nonlocal newest
        newest = max([newest, *(event.timestamp for event in events)])
        return append(self, events, origin, of, ends)

    def after_the_newest(self: ScanSchedule, tier: TierName, wall_ms: int) -> DueScan | None:
        if tier == "live" and newest:
            return DueScan(tier, "live", min(newest + 1, wall_ms), None)
        return scan(self, tier, wall_ms) if tier == "live" else None

    put(LogGroup, "_append", noting)
    put(ScanSchedule, "_scan", after_the_newest)


def checkpoint_at_now() -> None:
    """A poll starts where the previous one started; all earlier time counts as marked.

    No overlap, no allowance for what becomes visible late, and nothing is looked at again.
    """
    begin = ScanSchedule.__init__

    def without_overlap(self: ScanSchedule, *given: Any, **options: Any) -> None:  # noqa: ANN401
        begin(self, *given, **{**options, "overlap_ms": 0})

    put(ScanSchedule, "__init__", without_overlap)
    put(VisibilityAllowance, "at", lambda _self, _begun_ms: 0)
    _no_second_looks()


def stops_at_empty_page() -> None:
    """A page without events ends a scan, token or not; rule [8] is off."""
    take_page = PagedScan.take_page

    def stopping(self: PagedScan, events: Sequence[LogEvent], token: str | None) -> list[LogEvent]:
        return take_page(self, events, token if events else None)

    put(PagedScan, "take_page", stopping)
    _nothing_is_missed_by_scans()


def truncated_is_empty() -> None:
    """A truncated response counts as an empty last page; rule [8] is off."""
    decode = reader.decode_page

    def lenient(body: bytes) -> reader.DecodedPage:
        try:
            return decode(body)
        except TruncatedResponseError:
            return reader.DecodedPage([], [], b"{}")

    put(reader, "decode_page", lenient)
    _nothing_is_missed_by_scans()


def marks_unfinished_scans() -> None:
    """A scan that failed is marked like a whole one; rule [8] is off."""

    def abandon(self: LogGroup, scan: Scan) -> None:
        self.finish_scan(scan, scan.begun_ms)

    put(LogGroup, "abandon_scan", abandon)
    _nothing_is_missed_by_scans()


def _dedup(identity: Any) -> None:  # noqa: ANN401 - of an event, whatever tells it from others
    append = LogGroup._append
    seen: set[object] = set()

    def once(
        self: LogGroup,
        events: Collection[LogEvent],
        origin: Origin,
        of: Scan | None,
        ends: Ends | None,
    ) -> int:
        fresh = {identity(one): one for one in events if identity(one) not in seen}
        seen.update(fresh)
        return append(self, fresh.values(), origin, of, ends)

    put(LogGroup, "_append", once)


def dedups_by_timestamp() -> None:
    """Of events of one stream in the same millisecond it takes one."""
    _dedup(lambda event: (event.stream, event.timestamp))


def dedups_by_message() -> None:
    """Of events of one stream with the same millisecond and text it takes one."""
    _dedup(lambda event: (event.stream, event.timestamp, event.message))


# What goes out


def drops_when_full() -> None:
    """A viewer more than a hundred events behind loses the oldest; repairs are off."""
    read_ahead = Lanes.read_ahead

    def dropping(self: Lanes, head_seq: int) -> None:
        if head_seq - self.read_seq > QUEUE_EVENTS:
            self._ahead = None
            self.read_seq = head_seq - QUEUE_EVENTS
        read_ahead(self, head_seq)

    put(Lanes, "read_ahead", dropping)
    _no_repairs()


def _is_left_out(seq: int) -> bool:
    return seq % LEFT_OUT == 0


def _leave_out() -> None:
    """Omit events from frames whose ``after`` and ``seq`` cover them."""
    take = SliceReader._take_rows

    def leaving_out(self: SliceReader, frame: Any, rows: Sequence[Row], wants: Any) -> Any:  # noqa: ANN401 - private to the module
        return take(self, frame, rows, lambda row: wants(row) and not _is_left_out(row.seq))

    put(SliceReader, "_take_rows", leaving_out)


def hides_holes() -> None:
    """One event in twenty is missing from frames that cover it; marks count it."""
    _leave_out()


def marks_that_lie() -> None:
    """One event in twenty is never sent, and marks count what was sent: both ends agree."""
    _leave_out()

    def total(self: Session, from_: int, through: int) -> RangeTotal:
        start, journal = self.start, self.group.journal
        rows = [
            row
            for row in journal.read_between(
                Interval(first_key(from_), last_key(through)),
                ROWS_MAX,
                newest_first=False,
                until_seq=self.lanes.sent_seq,
            )
            if start.base < row.seq
            and start.query.filter.matches(row.stream)
            and not _is_left_out(row.seq)
        ]
        return RangeTotal(len(rows), digest_sum(row.digest for row in rows))

    put(Session, "_range_total", total)


def marks_begun_scans() -> None:
    """A scan is marked when it starts, so its events come after the mark.

    The two ends agree, and the next frame makes it true: only who knows what was discovered
    after the mark can tell.
    """
    begin = LogGroup.begin_scan

    def marking(
        self: LogGroup, kind: ScanKind, from_: int, through: int | None, now_ms: int
    ) -> Scan:
        scan = begin(self, kind, from_, through, now_ms)
        if from_ <= scan.covered:
            done = ScanDone(from_, scan.covered, scan.begun_ms, self.head_seq)
            self._notices.append(done)
        return scan

    put(LogGroup, "begin_scan", marking)


def counts_wrong() -> None:
    """Everything is sent, and marks count one event more than there is."""
    honest = Session._range_total

    def total(self: Session, from_: int, through: int) -> RangeTotal:
        found = honest(self, from_, through)
        return replace(found, count=found.count + 1)

    put(Session, "_range_total", total)


def sends_nothing() -> None:
    """No event is ever sent; regular marks count zero events."""
    cut = SliceReader._cut

    def empty(self: SliceReader, *given: Any, **options: Any) -> Slice:  # noqa: ANN401 - as it is called
        return replace(cut(self, *given, **options), items=[], body=b"[]")

    put(SliceReader, "_cut", empty)
    put(Session, "_range_total", lambda _self, _from, _through: RangeTotal(0, 0))


def resumes_off_by_one() -> None:
    """A resuming viewer misses the first event after its cursor; repairs are off."""
    begin = Lanes.__init__

    def ahead(self: Lanes, start: StartPoint, *given: Any) -> None:  # noqa: ANN401 - as it is called
        begin(self, start, *given)
        if start.outcome == "resumed":
            self.read_seq = min(self.read_seq + 1, start.head_seq)

    put(Lanes, "__init__", ahead)
    _no_repairs()


def ends_too_soon() -> None:
    """An execution ends as soon as its last message arrives, without draining."""
    scanned = Executions.finish_scan

    def at_once(self: Executions, *given: Any, **options: Any) -> Any:  # noqa: ANN401
        for execution in self._open:
            one = self._states[execution]
            if one.status is not None:
                one.agreed_ms = 0
                one.over_since = one.changed = 0
        return scanned(self, *given, **options)

    put(Executions, "finish_scan", at_once)

"""LogGroup against an arbitrary CloudWatch: no event lost or duplicated, no false mark."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.ingest.scan import Scan, ScanKind
from forwarder.records import GapRecord, LogEvent, Reset, ScanDone
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.order import Interval
from wire.query import Filter

ALLOWANCE_MS = 20
RETENTION_MS = 400
STREAMS = ["job/1", "job/2", "other"]
KINDS: st.SearchStrategy[ScanKind] = st.sampled_from(["live", "repair", "backfill"])


class _Watched:
    """A scan, with the rows known as it began and the ids that it returned."""

    def __init__(self, scan: Scan, held: dict[str, LogEvent], epoch: str) -> None:
        self.scan = scan
        self.held = held
        self.epoch = epoch
        self.returned: set[str] = set()


class Ingestion(RuleBasedStateMachine):
    """Events are written; several concurrent scans return some of them, page by page."""

    scans: Bundle[_Watched] = Bundle("scans")

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_000
        self.written: dict[str, LogEvent] = {}
        self.taken: dict[str, LogEvent] = {}
        self.count = 0
        self.excused: set[str] = set()
        self.contradicted: list[tuple[int, GapRecord]] = []
        """Contradictions: the number of the scan that found one, and the gap declared for it."""
        self.journal = MemoryJournal("group")
        self.group = LogGroup(self.journal, allowance_ms=ALLOWANCE_MS, overlap_ms=50)
        self.epoch = self.journal.epoch

    @rule(
        offsets=st.lists(st.integers(-600, 60), min_size=1, max_size=8),
        stream=st.sampled_from(STREAMS),
    )
    def write(self, offsets: list[int], stream: str) -> None:
        for offset in offsets:
            self.count += 1
            number = str(self.count)
            timestamp = max(0, self.now_ms + offset)
            self.written[number] = LogEvent(number, timestamp, None, stream, f"line {number}")

    @rule(step=st.integers(1, 60))
    def time_passes(self, step: int) -> None:
        self.now_ms += step

    @rule(target=scans, kind=KINDS, from_=st.integers(0, 700), span=st.none() | st.integers(0, 700))
    def begin(self, kind: ScanKind, from_: int, span: int | None) -> _Watched:
        low = max(0, self.now_ms - from_)
        through = None if span is None else low + span
        scan = self.group.begin_scan(kind, low, through, self.now_ms)
        return _Watched(scan, dict(self.taken), self.epoch)

    @rule(watched=scans, share=st.integers(1, 4), order=st.randoms(use_true_random=False))
    def page(self, watched: _Watched, share: int, order: object) -> None:
        """Return some of the events that the scan covers, a few of them twice."""
        if not watched.scan.is_open:
            return
        events = self._of(watched)[::share]
        shuffle = getattr(order, "shuffle")  # noqa: B009 - Hypothesis leaves it without a type
        shuffle(events)
        before = set(self.taken)
        result = watched.scan.take_page(events + events[:2])
        self._took(events, watched)
        assert result.new == len(set(self.taken) - before)
        assert result.duplicates == len(events) + len(events[:2]) - result.new
        assert not result.held

    @rule(watched=scans)
    def page_of_all(self, watched: _Watched) -> None:
        if watched.scan.is_open:
            events = self._of(watched)
            watched.scan.take_page(events)
            self._took(events, watched)

    @rule(watched=consumes(scans))
    def finish(self, watched: _Watched) -> None:
        scan = watched.scan
        if not scan.is_open:
            return
        self.group.take_notices()
        coverage = self.group.coverage.ranges
        done = self.group.finish_scan(scan, self.now_ms)
        if watched.epoch != self.epoch:
            assert done is None
            assert self.group.coverage.ranges == coverage
            return
        floor = self.now_ms - (self.group.retention_ms or self.now_ms)
        missing = [
            event
            for event in watched.held.values()
            if scan.from_ <= event.timestamp <= scan.top
            and event.id not in watched.returned
            and event.id in self.taken
            and event.timestamp >= floor
            and event.id not in self.excused
            and not self.journal.find([event.id])[event.id].is_lost
        ]
        through = min(scan.top, scan.begun_ms, scan.begun_ms - ALLOWANCE_MS)
        is_blocked = any(
            scan.number <= number and gap.from_ <= scan.top and scan.from_ <= gap.through
            for number, gap in self.contradicted
            if gap.id in {one.id for one in self.journal.gaps()}
        )
        assert (done is None) == (bool(missing) or is_blocked or through < scan.from_)
        assert [one for one in self.group.take_notices() if isinstance(one, ScanDone)] == (
            [] if done is None else [done]
        )
        if missing:
            assert self.group.take_suspect_streams() <= {event.stream for event in missing}
        if done is not None:
            assert (done.from_, done.through) == (scan.from_, through)
            assert done.scanned_at == scan.begun_ms
            assert done.head_seq == self.journal.head_seq
        if scan.covered >= scan.from_:
            assert self.group.coverage.covers(scan.from_, scan.covered)

    @rule(watched=consumes(scans))
    def abandon(self, watched: _Watched) -> None:
        if watched.scan.is_open:
            coverage = self.group.coverage.ranges
            self.group.abandon_scan(watched.scan)
            assert self.group.coverage.ranges == coverage

    @rule(stream=st.sampled_from(STREAMS[:2]))
    def delete_stream(self, stream: str) -> None:
        self.excused |= {one.id for one in self.taken.values() if one.stream == stream}
        self.written = {n: one for n, one in self.written.items() if one.stream != stream}
        self.group.mark_stream_deleted(stream)

    @rule()
    def retention(self) -> None:
        self.group._expiry.retention_ms = RETENTION_MS

    @rule(age=st.integers(0, 700), lose=st.booleans())
    def retire(self, age: int, *, lose: bool) -> None:
        self.group.retain(before=max(0, self.now_ms - age))
        if lose:
            ids = [row.id for row in self.journal.bodiless(0, self.now_ms, 3)]
            self.journal.mark_lost(ids, "gone")

    @precondition(lambda self: self.taken)
    @rule()
    def ingest_again(self) -> None:
        known = list(self.taken.values())[-3:]
        assert self.group.ingest(known, "live").new == 0
        found = self.journal.find([one.id for one in known])
        assert all(row.has_body and not row.is_lost for row in found.values())

    @precondition(lambda self: self.taken)
    @rule(elsewhere=st.booleans())
    def contradict(self, *, elsewhere: bool) -> None:
        """A known id comes with another position, which changes nothing."""
        old = next(iter(self.taken.values()))
        stream, timestamp = ("new/9", old.timestamp) if elsewhere else (old.stream, 1)
        if (stream, timestamp) == (old.stream, old.timestamp):
            return
        event = LogEvent(old.id, timestamp, None, stream, "other")
        scan = self.group.begin_scan("repair", 0, None, self.now_ms)
        taken = scan.take_page([event])
        assert (taken.new, taken.held) == (0, 1)
        self.group.take_notices()
        assert self.group.finish_scan(scan, self.now_ms) is None
        [gap] = [one for one in self.journal.gaps() if one.from_ <= timestamp <= one.through]
        assert gap.from_ <= old.timestamp <= gap.through
        self.contradicted.append((scan.number, gap))
        assert not any(isinstance(one, ScanDone | Reset) for one in self.group.take_notices())

    @precondition(lambda self: self.taken)
    @rule(elsewhere=st.booleans())
    def make_anew(self, *, elsewhere: bool) -> None:
        old = next(iter(self.taken.values()))
        stream, timestamp = ("new/9", old.timestamp) if elsewhere else (old.stream, 1)
        if (stream, timestamp) == (old.stream, old.timestamp):
            return
        event = LogEvent(old.id, timestamp, None, stream, "other")
        self.group.begin_chain(RECREATED)
        assert self.group.ingest([event, event], "live").new == 1
        self.written = {old.id: event}
        self.taken = {old.id: event}
        self.excused = set()
        self.contradicted = []
        assert isinstance(self.group.take_notices()[-1], Reset)
        assert self.journal.epoch != self.epoch
        self.epoch = self.journal.epoch

    @invariant()
    def the_journal_is_what_was_taken(self) -> None:
        rows = self.journal.read_after(0, 10_000)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert {row.id: (row.timestamp, row.stream) for row in rows} == {
            one.id: (one.timestamp, one.stream) for one in self.taken.values()
        }
        assert len(self.journal.read_between(Interval(), 10_000)) == len(rows)
        found = self.group.totals.total(0, 1 << 50, Filter())
        assert found == self.journal.total(0, 1 << 50, Filter())
        counts = {one.execution: one.count for one in self.group.executions.summaries(self.now_ms)}
        assert sum(counts.values()) == len(rows)

    def _of(self, watched: _Watched) -> list[LogEvent]:
        scan = watched.scan
        return [one for one in self.written.values() if scan.from_ <= one.timestamp <= scan.top]

    def _took(self, events: list[LogEvent], watched: _Watched) -> None:
        self.taken.update({one.id: one for one in events})
        watched.returned |= {one.id for one in events}


Ingestion.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestIngestion = Ingestion.TestCase

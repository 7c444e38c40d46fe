"""One viewer's session in the forwarder: a cursor into the journal. Pure: no clock, no socket.

The shell calls ``next`` until it returns None, sends each message, and calls again when woken or at
``wake_at_ms``. Nothing is queued per event: a slow viewer costs no memory, and one that reconnects
reads on. Numbers in brackets are rules of the protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from common.ranges import Range
from forwarder.delivery.backfill import StartPoint, ViewerBackfill
from forwarder.delivery.declared import LostGaps, altered_text, is_declared_to
from forwarder.delivery.frames import SliceReader
from forwarder.delivery.lanes import EventCredit, Lanes, RangeRepair
from forwarder.delivery.marks import PendingMarks
from forwarder.ingest.executions import execution_of
from forwarder.ingest.log_group import LogGroup
from forwarder.records import (
    AlteredEvent,
    ExecutionEnd,
    GapRecord,
    Notice,
    RangeTotal,
    ScanDone,
    TextsChanged,
)
from wire.codec import encode
from wire.digest import digest_hex
from wire.limits import (
    ALTERED_FRAME_MAX,
    CLOSE_RATE_LIMITED,
    CLOSE_SHUTTING_DOWN,
    CLOSE_TOO_SLOW,
    HEARTBEAT_MS,
    TIMESTAMP_MAX,
)
from wire.messages import (
    Altered,
    Bye,
    ClientMessage,
    Credit,
    DigestReply,
    End,
    Events,
    Extend,
    Gap,
    Heartbeat,
    Lost,
    Mark,
    Repair,
    ServerMessage,
    Upstream,
    Verify,
    Welcome,
)
from wire.query import TailQuery

GAPS_MAX: Final = 1_000
"""Gaps that wait to be sent. A viewer further behind is closed and gets all of them at its next
``welcome``."""

REQUESTS_MAX: Final = 64
"""``verify`` and ``repair`` requests that wait for their answer."""

HEARTBEAT_SHARE: Final = 0.75
"""Heartbeats are sent after this share of the announced interval, since timers fire late."""


class Session:
    """One connection's state: what the viewer was sent, and which messages are due."""

    def __init__(
        self,
        query: TailQuery,
        group: LogGroup,
        *,
        now_ms: int,
        slices: SliceReader,
        heartbeat_ms: int = HEARTBEAT_MS,
        upstream: Callable[[], Upstream] = lambda: Upstream("ok", 0),
    ) -> None:
        """Start the session of a viewer that connects at ``now_ms``.

        It only reads ``group``; ``slices`` is shared by the viewers of the group. ``heartbeat_ms``
        is the longest silence, and ``upstream`` returns the present state of CloudWatch.
        """
        self.query = query
        self.group = group
        self.start = StartPoint(query, group.journal, now_ms)
        """Where the stream starts; read again at ``welcome``, as the journal moves until then."""
        self.credit = EventCredit(query.credit)
        self.heartbeat_ms = heartbeat_ms
        self.close_code: int | None = None
        """Close code to use once ``is_over``."""
        self.is_over = False
        """Whether ``bye`` was returned: only the close frame follows it."""
        self._journal = group.journal
        self._slices = slices
        self._upstream = upstream
        self._lanes: Lanes | None = None
        self._n = 0
        self._heartbeat_at_ms = now_ms
        self._caught_up_ms = now_ms
        self._bye: Bye | None = None
        self._marks = PendingMarks()
        self._ends: dict[str, ExecutionEnd] = {}
        self._requests: deque[Verify | Repair] = deque()
        self._gaps: dict[str, GapRecord] = {}
        self._gaps_max = GAPS_MAX
        self._altered: dict[int, AlteredEvent] = {}
        self._altered_count: int | None = 0
        self._lost_gaps = LostGaps(())

    # State, for the shell and the hub

    @property
    def is_welcomed(self) -> bool:
        """Whether the session has returned its ``welcome``."""
        return self._lanes is not None

    @property
    def lanes(self) -> Lanes:
        """The delivery lanes, which exist from ``welcome`` on."""
        assert self._lanes is not None, "no events are sent before welcome"
        return self._lanes

    @property
    def backfill(self) -> ViewerBackfill:
        """The backfill, which exists from ``welcome`` on."""
        return self.lanes.backfill

    @property
    def since(self) -> int:
        """Start of the viewer's events, ms."""
        return self.start.since

    @property
    def sent_seq(self) -> int:
        """The seq up to which the viewer was sent all events: its cursor."""
        return self.lanes.sent_seq if self.is_welcomed else self.start.after

    @property
    def is_done(self) -> bool:
        """Whether the viewer knows that all of its history is sent."""
        return self.is_welcomed and self.backfill.is_done

    @property
    def has_history(self) -> bool:
        """Whether the viewer was sent all of its history, and none is left to be fetched."""
        return (
            self.is_welcomed
            and self.lanes.has_sent_all
            and not self.backfill.intervals.unsent
            and not self.backfill.needs_fetch
        )

    @property
    def wake_at_ms(self) -> int:
        """When to call ``next`` again even if nothing happens."""
        return 0 if self.lanes.search_continues else self._heartbeat_at_ms

    @property
    def missing_bodies(self) -> Range | None:
        """Time range of rows that can't be sent before their bodies are fetched again, ms."""
        if not self.is_welcomed:
            return self.start.missing_bodies()
        return next((span for span in self.lanes.missing_bodies.values() if span is not None), None)

    @property
    def executions(self) -> set[str]:
        """Executions named by the filter, directly or by their log stream."""
        wanted = self.query.filter
        return {execution_of(name) for name in (*wanted.executions, *wanted.streams)}

    @property
    def lag_events(self) -> int:
        """How many events the viewer is behind the journal."""
        read_seq = self.lanes.read_seq if self.is_welcomed else self.start.after
        return max(0, self._journal.head_seq - read_seq)

    def lag_ms(self, now_ms: int) -> int:
        """How long ago the viewer last had everything; 0 while it has."""
        has_all = self.lag_events == 0 and (not self.is_welcomed or self.lanes.has_sent_all)
        return 0 if has_all else max(0, now_ms - self._caught_up_ms)

    # Input

    def receive(self, message: ClientMessage) -> None:
        """Take a message that the viewer has sent."""
        if self._bye is not None:
            return
        if isinstance(message, Credit):
            self.credit.grant(message.events)
            return
        if isinstance(message, Extend):
            self._extend(message.since)
            return
        self._requests.append(message)
        if len(self._requests) > REQUESTS_MAX:
            self.bye("too many requests wait", code=CLOSE_RATE_LIMITED, retry_after_ms=1_000)

    def notice(self, notice: Notice) -> None:
        """Take a notice of the log group: a scan, a gap, an execution's end, a new chain."""
        if isinstance(notice, ScanDone):
            if notice.through >= self.since:
                self._marks.add(notice)
        elif isinstance(notice, ExecutionEnd):
            if notice.execution in self.executions:
                self._ends[notice.execution] = notice
        elif isinstance(notice, GapRecord):
            self._add_gap(notice)
        elif isinstance(notice, TextsChanged):
            self._add_altered(notice.events)
        elif self.is_welcomed:
            self.bye(notice.reason)
        else:
            # What was found out about the old chain says nothing about the new one.
            self._marks.clear()
            self._ends.clear()
            self._gaps.clear()
            self._altered.clear()

    def _extend(self, since: int) -> None:
        """Move the start of the viewer's history to an earlier time."""
        before = self.since
        if since >= before or not self.is_welcomed:
            return
        self.lanes.extend(since)
        self._repeat_gaps()
        self._declare(self._journal.lost(since, before - 1, self.query.filter))

    def upstream_changed(self) -> None:
        """Report the new state of CloudWatch by a heartbeat at once."""
        self._heartbeat_at_ms = 0

    def bye(self, reason: str, *, code: int = CLOSE_SHUTTING_DOWN, retry_after_ms: int = 0) -> None:
        """End the session: ``bye`` is the next message, and the last."""
        if self._bye is None:
            self._bye = Bye(reason=reason, retry_after_ms=retry_after_ms)
            self.close_code = code

    # Output

    def next(self, now_ms: int) -> ServerMessage | None:
        """Return the next message, numbered without gaps [2]; None if none is due now."""
        message = self._next_message(now_ms)
        if message is not None:
            self._n += 1
            message.n = self._n
        return message

    def encode_parts(self, message: ServerMessage) -> tuple[bytes, ...]:
        """Encode a message that ``next`` returned, without copying what viewers share of it."""
        if isinstance(message, Events):
            return self.lanes.encode_frame(message)
        return (encode(message),)

    def _next_message(self, now_ms: int) -> ServerMessage | None:
        if self.is_over:
            return None
        if not self.is_welcomed:
            return self._welcome(now_ms)
        if self._journal.epoch != self.start.epoch:
            self.bye("the journal began a new chain")  # [17]
        if self._bye is not None:
            self.is_over = True
            return self._bye
        self.lanes.read_ahead(self._journal.head_seq)
        self._declare_lost()
        return self._due_message(now_ms)

    def _due_message(self, now_ms: int) -> ServerMessage | None:
        """Return the most urgent message: each is made only if none came before it."""
        lanes, backfill = self.lanes, self.backfill
        message: ServerMessage | None = (
            backfill.report_slice(lanes.read_seq)
            or self._heartbeat(now_ms)
            or self._gap()
            or self._altered_texts()
            or backfill.report_growth(lanes.read_seq)
            or self._mark()
            or self._end()
            or self._digest_reply()
            or lanes.next_frame()
            # The lanes may just have reached the end of an interval, or of a repair.
            or backfill.report_slice(lanes.read_seq)
            or backfill.report_growth(lanes.read_seq)
            or self._digest_reply()
        )
        if message is None and lanes.has_sent_all:
            self._caught_up_ms = now_ms
        return message

    def _welcome(self, now_ms: int) -> Welcome:
        """Make ``welcome``: read the query against the journal, and set up the lanes."""
        self.start = start = StartPoint(self.query, self._journal, now_ms)
        backfill = ViewerBackfill(self.group, start)
        self._lanes = Lanes(start, backfill, self._slices, self.credit)
        lost = self._journal.lost(start.since, TIMESTAMP_MAX, self.query.filter)
        self._lost_gaps = LostGaps(lost)
        self._repeat_gaps()
        self._repeat_ends()
        self._heartbeat_at_ms = now_ms + self._heartbeat_after_ms
        return Welcome(
            epoch=start.epoch,
            outcome=start.outcome,
            after=start.after,
            head_seq=start.head_seq,
            since=start.since,
            heartbeat_ms=self.heartbeat_ms,
            lost=lost,
            extends=True,
        )

    @property
    def _heartbeat_after_ms(self) -> int:
        return max(1, int(self.heartbeat_ms * HEARTBEAT_SHARE))

    def _heartbeat(self, now_ms: int) -> ServerMessage | None:
        # The lower bound keeps heartbeats coming after the clock was set back.
        if self._heartbeat_at_ms - self._heartbeat_after_ms <= now_ms < self._heartbeat_at_ms:
            return None
        frame = self.lanes.advance_cursor()  # [12]
        if frame is not None:
            return frame
        self._heartbeat_at_ms = now_ms + self._heartbeat_after_ms
        return Heartbeat(
            head_seq=self._journal.head_seq, sent_seq=self.lanes.sent_seq, upstream=self._upstream()
        )

    # Marks, ends and digests: each describes the viewer's own events at this point of the stream

    def _range_total(self, from_: int, through: int) -> RangeTotal:
        """Total of the viewer's own events in a time range, up to its cursor [10] [16]."""
        return self.group.totals.total(
            from_, through, self.query.filter, base=self.start.base, seq=self.lanes.sent_seq
        )

    def _mark(self) -> Mark | Events | None:
        done = self._marks.find(self.lanes.read_seq, self._may_mark)
        if done is None:
            return None
        frame = self.lanes.advance_cursor()  # [12]
        if frame is not None:
            return frame
        self._marks.remove(done)
        from_ = max(done.from_, self.since)
        total = self._range_total(from_, done.through)
        return Mark(
            from_=from_,
            through=done.through,
            scanned_at=done.scanned_at,
            seq=self.lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def _may_mark(self, from_: int, through: int) -> bool:
        """Whether the viewer holds all of a range from ``since`` on."""
        from_ = max(from_, self.since)
        return from_ <= through and self.backfill.clip(from_, through) == (from_, through)

    def _repeat_ends(self) -> None:
        """Queue the ends of the viewer's executions that ended before it connected [11]."""
        for execution in sorted(self.executions):
            end = self.group.executions.end_of(execution)
            if end is not None:
                self._ends[execution] = end

    def _end(self) -> End | Events | None:
        """Return an execution's end, once the backfill is done and all its events are sent [11]."""
        if not self.backfill.is_done:
            return None
        for end in list(self._ends.values()):
            if self.group.executions.end_of(end.execution) is None:
                # Late events reopened the execution: it ends again, with another count.
                del self._ends[end.execution]
            elif self.lanes.read_seq >= end.head_seq:
                return self.lanes.advance_cursor() or self._make_end(end)
        return None

    def _make_end(self, end: ExecutionEnd) -> End:
        del self._ends[end.execution]
        from_ = max(end.from_, self.since)
        through = max(end.through, from_)
        total = self._range_total(from_, through)
        return End(
            execution=end.execution,
            status=end.status,
            from_=from_,
            through=through,
            seq=self.lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def _digest_reply(self) -> DigestReply | None:
        """Answer the oldest request; the answer to a repair follows its last frame."""
        if not self._requests:
            return None
        request, lanes = self._requests[0], self.lanes
        from_, through = self.backfill.clip(request.from_, request.through)
        if isinstance(request, Repair):
            if lanes.repair is None:
                lanes.repair = RangeRepair(from_, through, lanes.sent_seq)
            if not lanes.repair.is_done:
                return None
            from_, through = lanes.repair.from_, lanes.repair.through
            lanes.repair = None
        self._requests.popleft()
        total = self._range_total(from_, through)
        return DigestReply(
            from_=from_,
            through=through,
            seq=lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    # Gaps and lost events

    def _repeat_gaps(self) -> None:
        """Queue the gaps in range that are not repaired, after every ``welcome`` [9]."""
        gaps = self.group.gaps()
        # Closing a viewer for these would not help: it would find the same gaps after reconnecting.
        self._gaps_max = GAPS_MAX + len(gaps)
        for gap in gaps:
            self._add_gap(gap)
        altered = self.group.alterations.texts()
        if altered:
            self._add_altered(altered)

    def _add_gap(self, gap: GapRecord) -> None:
        if not is_declared_to(gap, self.query.filter, self.since):
            return
        self._gaps[gap.id] = gap
        if len(self._gaps) > self._gaps_max:
            self.bye("too many gaps wait to be sent", code=CLOSE_TOO_SLOW)

    def _gap(self) -> Gap | None:
        if not self._gaps:
            return None
        gap = self._gaps.pop(next(iter(self._gaps)))
        return Gap(
            id=gap.id,
            from_=gap.from_,
            through=gap.through,
            state=gap.state,
            reason=gap.reason,
            recovered=gap.recovered,
        )

    def _add_altered(self, events: Iterable[AlteredEvent]) -> None:
        """Queue the other texts of the viewer's events, and their number if it has changed."""
        matches = self.query.filter.matches
        self._altered.update(
            (one.seq, one) for one in events if one.timestamp >= self.since and matches(one.stream)
        )
        if self._altered or self._count_altered() != self._altered_count:
            self._altered_count = None

    def _count_altered(self) -> int:
        return self.group.alterations.count(self.query.filter, self.since)

    def _altered_texts(self) -> Altered | None:
        if self._altered_count is not None and not self._altered:
            return None
        seqs = list(islice(self._altered, ALTERED_FRAME_MAX))
        texts = [self._altered.pop(seq) for seq in seqs]
        self._altered_count = self._count_altered()
        return Altered(
            texts=[altered_text(one) for one in texts],
            count=self._altered_count,
        )

    def _declare_lost(self) -> None:
        """Declare events found lost since ``welcome`` as gaps that can't be repaired."""
        times = self._lost_gaps.undeclared(self.lanes.take_lost())
        if not times:
            return
        self._declare(self._journal.lost(min(times), max(times), self.query.filter))

    def _declare(self, found: Iterable[Lost]) -> None:
        for lost in found:
            self._add_gap(self._lost_gaps.declare(lost))

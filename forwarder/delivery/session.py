"""One viewer, server side: a cursor into the journal. Pure: no clock, no socket.

The shell pulls ``next`` until it is None, sends, and asks again when it is woken or at
``wake_at_ms``. Nothing is queued per event: a slow viewer costs no memory, and one that comes
back reads on. Numbers in brackets are the protocol's rules, each in a method of its own, here or
in ``Opening`` (what the query means), ``Past`` and ``Lanes`` (which events go next).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from common.ranges import Range
from forwarder.delivery.backfill import Opening
from forwarder.delivery.frames import Slices
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.marks import ASKED_MAX, Progress, Proofs
from forwarder.ingest.executions import execution_of
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import concerns
from forwarder.records import ExecutionEnd, GapRecord, Notice, ScanDone
from wire.codec import encode
from wire.limits import (
    CLOSE_RATE_LIMITED,
    CLOSE_SHUTTING_DOWN,
    CLOSE_TOO_SLOW,
    HEARTBEAT_MS,
    TIMESTAMP_MAX,
)
from wire.messages import (
    Bye,
    ClientMessage,
    Credit,
    Events,
    Gap,
    Heartbeat,
    ServerMessage,
    Upstream,
    Welcome,
)
from wire.query import History, TailQuery

GAPS_MAX: Final = 1_000
"""Gaps that wait to be told; a viewer further behind comes back and hears of all of them."""

BEAT_SHARE: Final = 0.75
"""Heartbeats come a little sooner than announced: "at least every", timers being late."""


def upstream_ok(_now_ms: int) -> Upstream:
    """What is said of CloudWatch where nobody watches it."""
    return Upstream("ok", 0)


class Session:
    """What one connection is owed, and what of it was sent."""

    def __init__(
        self,
        query: TailQuery,
        group: LogGroup,
        *,
        now_ms: int,
        heartbeat_ms: int = HEARTBEAT_MS,
        slices: Slices | None = None,
        upstream: Callable[[int], Upstream] = upstream_ok,
    ) -> None:
        """A viewer connects.

        Args:
            query: what it asks for.
            group: the log group; the session reads it and never writes.
            now_ms: where the past ends.
            heartbeat_ms: the longest silence.
            slices: shared by the viewers of the group; None: its own.
            upstream: how CloudWatch is, at a time in ms.

        """
        self.query = query
        self.group = group
        self.connected_ms = now_ms
        self.heartbeat_ms = heartbeat_ms
        self.close_code: int | None = None
        """With which code to close once ``is_over``."""
        self.is_over = False
        """Whether ``bye`` was given out: nothing follows it but the close frame."""
        self._journal = group.journal
        self._slices = Slices(group.journal) if slices is None else slices
        self._upstream = upstream
        self._beat_at_ms = now_ms
        self._n = 0
        self._is_welcomed = False
        self._bye: Bye | None = None
        self._gaps: dict[str, GapRecord] = {}
        self._gaps_max = GAPS_MAX
        self._declared_lost: list[Range] = []
        self._caught_up_ms = now_ms
        self._begin(now_ms)

    def _begin(self, now_ms: int) -> None:
        """Where the connection starts; again at ``welcome``, as things move until then."""
        self.connected_ms = now_ms
        self.opening = Opening(self.query, self._journal, now_ms)
        self.lanes = Lanes(self.opening, self._slices, self._journal.head_seq)
        self.progress = Progress(self.group, self.opening, self.lanes)
        self._proofs = Proofs(self.group, self.opening, self.lanes, self.progress)

    # What the shell and the hub see

    @property
    def since(self) -> int:
        """From when on events are owed, ms."""
        return self.opening.since

    @property
    def sent_seq(self) -> int:
        """The viewer's cursor."""
        return self.lanes.sent_seq

    @property
    def is_done(self) -> bool:
        """Whether the past was sent, and said to be."""
        return self.progress.is_done

    @property
    def has_past(self) -> bool:
        """Whether all was sent that the journal has of the past, and nothing must be fetched."""
        lanes = self.lanes
        return lanes.has_all and not lanes.past.intervals and self.wants_backfill is None

    @property
    def wake_at_ms(self) -> int:
        """When to ask ``next`` again, even if nothing happens."""
        return 0 if self.lanes.wants_turn else self._beat_at_ms

    @property
    def wants_backfill(self) -> tuple[int, History] | None:
        """From when on CloudWatch's past is needed that is not in the journal; None: it is."""
        return self.progress.wants_backfill

    @property
    def wants_bodies(self) -> Range | None:
        """Times of rows that can't be sent before their bodies are fetched; None: go on."""
        if not self._is_welcomed:
            return self.opening.bodiless()
        return next((span for span in self.lanes.bodies.values() if span is not None), None)

    @property
    def executions(self) -> set[str]:
        """The executions that the filter names, by themselves or by their log stream."""
        wanted = self.query.filter
        return {execution_of(name) for name in (*wanted.executions, *wanted.streams)}

    def lag_ms(self, now_ms: int) -> int:
        """How long ago the viewer last had everything; 0 while it does."""
        has_all = self.lanes.has_all and self.lanes.read_seq >= self._journal.head_seq
        return 0 if has_all else max(0, now_ms - self._caught_up_ms)

    def parts(self, message: ServerMessage) -> tuple[bytes, ...]:
        """The frame of a message that ``next`` gave; what viewers share of it is not copied."""
        return self.lanes.parts(message) if isinstance(message, Events) else (encode(message),)

    def encoded(self, message: ServerMessage) -> bytes:
        """The frame of a message that ``next`` gave, in one piece."""
        return b"".join(self.parts(message))

    # What comes in

    def receive(self, message: ClientMessage, now_ms: int | None = None) -> None:  # noqa: ARG002 - pure cores all take the time
        """Take a message of the client."""
        if self._bye is not None:
            return
        if isinstance(message, Credit):
            self.lanes.grant(message.events)
            return
        self._proofs.asked.append(message)
        if len(self._proofs.asked) > ASKED_MAX:
            self.bye("too many requests wait", code=CLOSE_RATE_LIMITED, retry_after_ms=1_000)

    def notice(self, notice: Notice) -> None:
        """Take what came about in the log group."""
        if isinstance(notice, ScanDone):
            if notice.through >= self.since:
                self._proofs.marks.add(notice)
        elif isinstance(notice, ExecutionEnd):
            if notice.execution in self.executions:
                self._proofs.ended(notice)
        elif isinstance(notice, GapRecord):
            self._take_gap(notice)
        elif self._is_welcomed:
            self.bye(notice.reason)
        else:
            self._proofs.forget()
            self._gaps.clear()

    def upstream_changed(self) -> None:
        """CloudWatch is in another state: it is said at once."""
        self._beat_at_ms = 0

    def bye(self, reason: str, *, code: int = CLOSE_SHUTTING_DOWN, retry_after_ms: int = 0) -> None:
        """Say ``bye`` next, and nothing after it."""
        if self._bye is None:
            self._bye = Bye(reason=reason, retry_after_ms=retry_after_ms)
            self.close_code = code

    # What goes out

    def next(self, now_ms: int) -> ServerMessage | None:
        """The next message, numbered; None: nothing now."""
        if self.is_over:
            return None
        if self._is_welcomed and self._is_anew():
            self.bye("the journal began a new chain")
        message = self._welcome(now_ms) if not self._is_welcomed else self._message(now_ms)
        if message is not None:
            message.n = self._number()
        return message

    def _number(self) -> int:
        """Dense over all messages of the connection [2]."""
        self._n += 1
        return self._n

    def _is_anew(self) -> bool:
        """Whether the journal is not the one of ``welcome`` any more [17]."""
        return self._journal.epoch != self.opening.epoch

    def _message(self, now_ms: int) -> ServerMessage | None:
        if self._bye is not None:
            self.is_over = True
            return self._bye
        self.lanes.look_ahead(self._journal.head_seq)
        self._declare_lost()
        for message in self._in_turn(now_ms):
            if message is not None:
                return message
        return None

    def _in_turn(self, now_ms: int) -> Iterator[ServerMessage | None]:
        """What may go out, the most urgent first; each is asked for only if none came before."""
        yield self.progress.slice_end()
        yield self._heartbeat(now_ms)
        yield self._gap()
        yield self.progress.news()
        yield self._proofs.mark()
        yield self._proofs.end()
        yield self._proofs.answer()
        yield self.lanes.next()
        yield self.progress.slice_end()
        # The lanes may just have found out that nothing more of the past, or of a repair, is left.
        yield self.progress.news()
        yield self._proofs.answer()
        if self.lanes.has_all:
            self._caught_up_ms = now_ms

    def _welcome(self, now_ms: int) -> Welcome:
        proofs, granted = self._proofs, self.lanes.granted
        self._begin(now_ms)
        self._proofs.take_over(proofs)
        self.lanes.grant(granted or 0)
        self._is_welcomed = True
        lost = self._journal.lost(self.since, TIMESTAMP_MAX, self.query.filter)
        self._declared_lost = [(one.from_, one.through) for one in lost]
        self._gaps_again()
        for execution in sorted(self.executions):
            end = self.group.ends.end_of(execution)
            if end is not None:
                self._proofs.ended(end)
        self._beat_at_ms = now_ms + self._beat_ms
        return Welcome(
            epoch=self.opening.epoch,
            outcome=self.opening.outcome,
            after=self.lanes.sent_seq,
            head_seq=self._journal.head_seq,
            since=self.since,
            heartbeat_ms=self.heartbeat_ms,
            lost=lost,
        )

    @property
    def _beat_ms(self) -> int:
        return max(1, int(self.heartbeat_ms * BEAT_SHARE))

    def _heartbeat(self, now_ms: int) -> ServerMessage | None:
        # A clock that was set back must not silence it.
        if self._beat_at_ms - self._beat_ms <= now_ms < self._beat_at_ms:
            return None
        frame = self.lanes.cursor_frame()  # [12]
        if frame is not None:
            return frame
        self._beat_at_ms = now_ms + self._beat_ms
        return Heartbeat(
            head_seq=self._journal.head_seq,
            sent_seq=self.lanes.sent_seq,
            upstream=self._upstream(now_ms),
        )

    # Gaps, and what is lost

    def _gaps_again(self) -> None:
        """After every ``welcome``: the gaps in range that are not repaired [9]."""
        gaps = self._journal.gaps()
        # Who is told to go for their number would only come back to as many.
        self._gaps_max = GAPS_MAX + len(gaps)
        for gap in gaps:
            self._take_gap(gap)

    def _take_gap(self, gap: GapRecord) -> None:
        if gap.through < self.since or not concerns(gap.reason, self.since):
            return
        self._gaps[gap.id] = gap
        if len(self._gaps) > self._gaps_max:
            self.bye("too many gaps wait to be told", code=CLOSE_TOO_SLOW)

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

    def _declare_lost(self) -> None:
        """What turned out to be lost after ``welcome`` had said what was: a gap without repair."""
        times = [
            at
            for at in self.lanes.take_lost()
            if not any(from_ <= at <= through for from_, through in self._declared_lost)
        ]
        if not times:
            return
        for lost in self._journal.lost(min(times), max(times), self.query.filter):
            self._declared_lost.append((lost.from_, lost.through))
            name = f"lost.{lost.from_}.{lost.through}"
            self._take_gap(
                GapRecord(name, lost.from_, lost.through, "unrecoverable", lost.reason, 0)
            )

"""What is proved to one viewer: marks, ends, and the digests that it asks for. Pure.

Every count and digest describes the viewer's own events at the point of the stream at which it is
sent.

What ``backfill`` says to one viewer: how much of the past it holds by now. Pure.

What finished scans prove: what is still to be told to one viewer, and what to a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from common.ranges import Range, RangeSet
from forwarder.delivery.backfill import Opening, times_within
from forwarder.delivery.lanes import Lanes, Repairing
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ExecutionEnd, RangeTotal, ScanDone
from wire.digest import digest_hex
from wire.limits import TIMESTAMP_MAX
from wire.messages import Backfill, DigestReply, End, Events, Mark, Repair, Verify
from wire.query import History


class Progress:
    """The past of one connection, from ``welcome`` to ``done``."""

    def __init__(self, group: LogGroup, opening: Opening, lanes: Lanes) -> None:
        """Nothing is said yet; a client that resumes knows what it holds."""
        self.group = group
        self.is_done = False
        """Whether it was said that the past is sent."""
        is_resumed = opening.outcome == "resumed"
        self.held = opening.query.held if is_resumed else None
        """What the client knows that it holds."""
        self._opening = opening
        self._lanes = lanes
        self._past = lanes.past
        self._seen: tuple[int, list[Range]] | None = None
        self._is_total_known = not is_resumed and self.wants_backfill is None
        self._total: int | None = None

    @property
    def wants_backfill(self) -> tuple[int, History] | None:
        """From when on CloudWatch's past is needed that is not in the journal; None: it is."""
        since = self._opening.since
        coverage = self.group.coverage
        top = self._past.connected_ms
        if coverage.end is not None:
            # What is younger than every scan is the next poll's.
            top = min(top, coverage.end)
        if since > top or not coverage.missing(since, top):
            return None
        return since, self._opening.query.history

    def clip(self, from_: int, through: int) -> Range:
        """What of a range may be spoken of: from ``since``, and until ``done`` within ``held``.

        Both in ms; crossed where that is nothing.
        """
        from_ = max(from_, self._opening.since)
        if self.is_done:
            return from_, through
        if self.held is None:
            at = max(1, through)
            return at, at - 1
        first, last = times_within(self.held)
        return max(from_, first), min(through, last)

    def slice_end(self) -> Backfill | None:
        """Each slice of the past is followed by the whole interval so far."""
        if not self._lanes.has_open_slice:
            return None
        self._lanes.has_open_slice = False
        self._observe()
        return self._backfill()

    def news(self) -> Backfill | None:
        """What was fetched from CloudWatch has been sent as well, or all has."""
        if self.is_done:
            return None
        self._observe()
        return self._backfill() if self._past.is_done or self._past.held != self.held else None

    def _observe(self) -> None:
        """Let ``held`` grow over what scans cover, once all that they brought by then is sent."""
        if self._seen is None:
            self._seen = self.group.head_seq, list(self.group.journal.coverage())
        head_seq, coverage = self._seen
        if self._lanes.read_seq >= head_seq:
            self._past.cover(RangeSet(coverage))
            self._seen = None

    def _backfill(self) -> Backfill | None:
        held = self._past.held
        if held is None:
            return None
        self.held, self.is_done = held, self._past.is_done
        return Backfill(held=str(held), total=self._total_of_past(), done=self.is_done)

    def _total_of_past(self) -> int | None:
        """How many events the past has, where none of it must be fetched and none is held."""
        if self._is_total_known and self._total is None:
            opening = self._opening
            self._total = self.group.totals.total(
                opening.since, TIMESTAMP_MAX, opening.query.filter, seq=opening.after
            ).count
        return self._total


PENDING_MAX: Final = 256
"""Scans that wait for the viewer's cursor, or for its past; another comes every second."""

PROVED_MAX: Final = 128
"""Pieces of proved time that are remembered for those who connect; beyond that some are joined."""

Within = Callable[[int, int], bool]
"""Whether a range of time, ms and inclusive, may be spoken of to a viewer."""


class Marks:
    """The scans of which one viewer is owed a mark, oldest first."""

    def __init__(self) -> None:
        """None yet."""
        self._pending: list[ScanDone] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._pending)

    def add(self, done: ScanDone) -> None:
        """Take in a finished scan.

        It takes the place of the one before if it says all that that one says; the oldest is
        never replaced, or a viewer that lags would hear of none. Dropping one does no harm: a
        mark that was not sent proves nothing, and a later scan proves its range again.
        """
        pending = self._pending
        if len(pending) > 1 and _says(done, pending[-1]):
            pending.pop()
        pending.append(done)
        if len(pending) > PENDING_MAX:
            del pending[len(pending) // 2]

    def find(self, reached: int, within: Within) -> ScanDone | None:
        """The first scan that can be told of now.

        Args:
            reached: the seq up to which the viewer has been sent everything.
            within: whether the scan's range may be spoken of.

        """
        for done in self._pending:
            if self._is_reached(done, reached) and within(done.from_, done.through):
                return done
        return None

    def _is_reached(self, done: ScanDone, reached: int) -> bool:
        """Whether the viewer has what the scan had brought by its end [10]."""
        return reached >= done.head_seq

    def told(self, done: ScanDone) -> None:
        """A mark was sent of it."""
        self._pending.remove(done)

    def clear(self) -> None:
        """Forget all: they are of another journal."""
        self._pending.clear()


class Proved:
    """The time that scans have proved, each part by the scan that was there last.

    A viewer that connects is told at once what is known, rather than after the next deep scan.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self._pieces: list[ScanDone] = []

    @property
    def pieces(self) -> list[ScanDone]:
        """Disjoint parts of what scans proved, oldest scan first."""
        return list(self._pieces)

    def add(self, done: ScanDone) -> None:
        """A scan has finished: what it proves is taken out of the older ones."""
        kept: list[ScanDone] = []
        for old in self._pieces:
            if old.through < done.from_ or done.through < old.from_:
                kept.append(old)
                continue
            if old.from_ < done.from_:
                kept.append(replace(old, through=done.from_ - 1))
            if old.through > done.through:
                kept.append(replace(old, from_=done.through + 1))
        self._pieces = [*kept, done]
        if len(self._pieces) > PROVED_MAX and not self._join():
            self._pieces.remove(min(self._pieces, key=lambda one: one.through))

    def _join(self) -> bool:
        """Make one of the two lowest pieces that adjoin; whether there are any such.

        What moves on with time leaves slivers behind, which nobody scans again after two weeks.
        Of both it is true that what a scan begun at the earlier time returned is in the journal
        at the later head.
        """
        by_time = sorted(self._pieces, key=lambda one: one.from_)
        for low, high in pairwise(by_time):
            if low.through + 1 == high.from_:
                scanned_at = min(low.scanned_at, high.scanned_at)
                both = ScanDone(
                    low.from_, high.through, scanned_at, max(low.head_seq, high.head_seq)
                )
                kept = [one for one in self._pieces if one not in (low, high)]
                self._pieces = [both, *kept]
                return True
        return False

    def clear(self) -> None:
        """Forget all: the journal is another one."""
        self._pieces.clear()


def _says(new: ScanDone, old: ScanDone) -> bool:
    """Whether a scan says all that an older one says, and later."""
    return (
        new.from_ <= old.from_ and old.through <= new.through and new.scanned_at >= old.scanned_at
    )


ASKED_MAX: Final = 64
"""Verifies and repairs that wait for their answer."""


class Proofs:
    """The scans, ends and questions of one connection that still want a message."""

    def __init__(self, group: LogGroup, opening: Opening, lanes: Lanes, progress: Progress) -> None:
        """None yet."""
        self.marks = Marks()
        self.asked: deque[Verify | Repair] = deque()
        self._group = group
        self._opening = opening
        self._lanes = lanes
        self._progress = progress
        self._ends: dict[str, ExecutionEnd] = {}

    def ended(self, end: ExecutionEnd) -> None:
        """An execution of the viewer's has ended, or ended again with another count [11]."""
        self._ends[end.execution] = end

    def mark(self) -> Mark | Events | None:
        """The next mark, once the viewer has what its scan had brought."""
        done = self.marks.find(self._lanes.read_seq, self._may_mark)
        if done is None:
            return None
        frame = self._lanes.cursor_frame()  # [12]
        if frame is not None:
            return frame
        self.marks.told(done)
        from_ = max(done.from_, self._opening.since)
        total = self._total(from_, done.through)
        return Mark(
            from_=from_,
            through=done.through,
            scanned_at=done.scanned_at,
            seq=self._lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def _may_mark(self, from_: int, through: int) -> bool:
        """Whether a scan's range, from ``since`` on, is all spoken for: it waits until it is."""
        from_ = max(from_, self._opening.since)
        return from_ <= through and self._progress.clip(from_, through) == (from_, through)

    def _total(self, from_: int, through: int) -> RangeTotal:
        """The client's own events at this point of the stream [10], after its base [16]."""
        return self._group.totals.total(
            from_,
            through,
            self._opening.query.filter,
            base=self._opening.base,
            seq=self._lanes.sent_seq,
        )

    def end(self) -> End | Events | None:
        """Once the past is done and everything of the execution is sent [11]."""
        if not self._progress.is_done:
            return None
        for end in list(self._ends.values()):
            if self._group.ends.end_of(end.execution) is None:
                # Late news came before it was told: it ends again, with another count.
                del self._ends[end.execution]
            elif self._lanes.read_seq >= end.head_seq:
                frame = self._lanes.cursor_frame()
                if frame is not None:
                    return frame
                del self._ends[end.execution]
                return self._end(end)
        return None

    def _end(self, end: ExecutionEnd) -> End:
        from_ = max(end.from_, self._opening.since)
        through = max(end.through, from_)
        total = self._total(from_, through)
        return End(
            execution=end.execution,
            status=end.status,
            from_=from_,
            through=through,
            seq=self._lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def answer(self) -> DigestReply | None:
        """Answers come in the order of the questions, and describe this point of the stream."""
        if not self.asked:
            return None
        asked = self.asked[0]
        if isinstance(asked, Verify):
            self.asked.popleft()
            return self._digest(*self._progress.clip(asked.from_, asked.through))
        if self._lanes.repairing is None:
            span = self._progress.clip(asked.from_, asked.through)
            self._lanes.repairing = Repairing(*span, self._lanes.sent_seq)
        repairing = self._lanes.repairing
        if not repairing.is_done:
            return None
        self.asked.popleft()
        self._lanes.repairing = None
        return self._digest(repairing.from_, repairing.through)

    def _digest(self, from_: int, through: int) -> DigestReply:
        total = self._total(from_, through)
        return DigestReply(
            from_=from_,
            through=through,
            seq=self._lanes.sent_seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def take_over(self, earlier: Proofs) -> None:
        """What came in before the connection began anew, at ``welcome``."""
        self.marks, self.asked, self._ends = earlier.marks, earlier.asked, earlier._ends

    def forget(self) -> None:
        """The journal is another one: what was proved of the old one says nothing."""
        self.marks.clear()
        self._ends.clear()

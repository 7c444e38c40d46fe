"""What is proved to one viewer: marks, ends, and the digests that it asks for. Pure.

Every count and digest describes the viewer's own events at the point of the stream at which it is
sent.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from forwarder.delivery.lanes import Lanes
from forwarder.delivery.mark_queue import Marks
from forwarder.delivery.opening import Opening
from forwarder.delivery.progress import Progress
from forwarder.delivery.repairing import Repairing
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ExecutionEnd, RangeTotal
from wire.digest import digest_hex
from wire.messages import DigestReply, End, Events, Mark, Repair, Verify

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

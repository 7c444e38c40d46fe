"""One ``repair`` in progress: a range's events once more, in two passes. Pure.

The first pass goes through the range in display order while live frames go on; the second sends
what these brought of the range meanwhile, with the live lane held. Then every event of the range
up to the cursor was sent since the repair was asked for, and its digest can close it.
"""

from __future__ import annotations

from forwarder.delivery.frames import Slice, Slices
from wire.order import Interval, first_key, key_of, last_key
from wire.query import Filter


class Repairing:
    """How far a repair of ``[from_, through]`` (ms, inclusive) has come."""

    def __init__(self, from_: int, through: int, sent_seq: int) -> None:
        """Begin where the viewer's cursor is ``sent_seq``; a crossed range is done at once."""
        self.from_ = from_
        self.through = through
        self._low: int | None = first_key(from_)
        self._after = sent_seq
        self.is_done = from_ > through
        """Whether everything was sent, so that only the digest is missing."""

    @property
    def holds_live(self) -> bool:
        """Whether live frames wait until the digest is sent."""
        return self._low is None

    def cut(self, slices: Slices, wanted: Filter, limit: int, *, sent_seq: int, base: int) -> Slice:
        """The next slice; ``sent`` says that it was sent."""
        if self._low is None:
            after, times = max(self._after, base), (self.from_, self.through)
            return slices.recent(after, sent_seq, wanted, times, limit)
        rest = Interval(self._low, last_key(self.through))
        return slices.between(rest, wanted, limit, until_seq=sent_seq, base=base)

    def sent(self, cut: Slice) -> None:
        """A slice was sent, maybe an empty one."""
        if self._low is None:
            self._after = self._after if cut.last is None else cut.last.seq
            self.is_done = cut.why == "end"
        elif cut.why == "end":
            self._low = None
        elif cut.last is not None:
            self._low = key_of(cut.last.timestamp, cut.last.id) + 1

"""The delivery lanes of one connection: choose the next events, within its credit. Pure.

The live lane moves the viewer's cursor; history and repair frames are neutral (``after == seq``).
Nothing is queued: a lane is a position in the journal, and at most one slice is read ahead. Numbers
in brackets are rules of the protocol.
"""

from __future__ import annotations

from typing import Final, Literal

from common.ranges import Range
from forwarder.delivery.backfill import StartPoint, ViewerBackfill
from forwarder.delivery.frames import Slice, SliceReader, frame_parts
from wire.codec import encode
from wire.limits import FRAME_EVENTS_MAX
from wire.messages import Events
from wire.order import Interval, first_key, key_of, last_key
from wire.query import Filter

LaneName = Literal["live", "history", "repair"]

LIVE_RUN_MAX: Final = 3
"""Live frames in a row while history waits, so that it gets at least every fourth frame [15]."""


class EventCredit:
    """How many events one connection may send in all, and how many it has sent [15]."""

    def __init__(self, granted: int | None) -> None:
        """Start with the query's credit; None means that only TCP limits the sender."""
        self.granted = granted
        self.sent = 0

    def grant(self, events: int) -> None:
        """Raise the total to ``events``; a late or repeated grant takes nothing back."""
        if self.granted is not None:
            self.granted = max(self.granted, events)

    @property
    def frame_events_max(self) -> int:
        """How many events the next frame may have; every item of every frame counts."""
        if self.granted is None:
            return FRAME_EVENTS_MAX
        return max(0, min(FRAME_EVENTS_MAX, self.granted - self.sent))


class RangeRepair:
    """Progress of resending the time range ``[from_, through]`` (ms, inclusive), in two passes.

    The first pass sends the range in display order while live frames go on. The second sends the
    range's events that live frames brought meanwhile, with the live lane held. Then every event of
    the range up to the cursor was sent since the request, so its digest can follow.
    """

    def __init__(self, from_: int, through: int, sent_seq: int) -> None:
        """Begin with the viewer's cursor at ``sent_seq``; a crossed range is done at once."""
        self.from_ = from_
        self.through = through
        self.is_done = from_ > through
        """Whether only the digest is still to be sent."""
        self._low: int | None = first_key(from_)
        self._after = sent_seq

    @property
    def holds_live(self) -> bool:
        """Whether live frames must wait until the digest is sent."""
        return self._low is None

    def cut(
        self, slices: SliceReader, wanted: Filter, limit: int, *, sent_seq: int, base: int
    ) -> Slice:
        """Cut the next slice; call ``record_sent`` with it."""
        if self._low is None:
            after, times = max(self._after, base), (self.from_, self.through)
            return slices.recent(after, sent_seq, wanted, times, limit)
        rest = Interval(self._low, last_key(self.through))
        return slices.between(rest, wanted, limit, until_seq=sent_seq, base=base)

    def record_sent(self, found: Slice) -> None:
        """Record that a slice was sent, maybe an empty one."""
        if self._low is None:
            self._after = self._after if found.last is None else found.last.seq
            self.is_done = found.stop == "end"
        elif found.stop == "end":
            self._low = None
        elif found.last is not None:
            self._low = key_of(found.last.timestamp, found.last.id) + 1


class Lanes:
    """Chooses the next frame of events for one connection, from ``welcome`` on.

    Attributes:
        sent_seq: The viewer's cursor, as its last frame said.
        read_seq: Everything up to here was sent or is left out by the filter.
        head_seq: The journal's last seq, as ``read_ahead`` found it.
        backfill: The history to send.
        repair: The repair in progress.
        search_continues: Whether to ask again at once although no frame came: a repair of a rare
            stream is still searching.
        missing_bodies: For each lane, the time range of rows that wait for their bodies.
    """

    def __init__(
        self, start: StartPoint, backfill: ViewerBackfill, slices: SliceReader, credit: EventCredit
    ) -> None:
        """Begin at the viewer's start point, with nothing sent."""
        self.sent_seq = start.after
        self.read_seq = start.after
        self.head_seq = start.head_seq
        self.backfill = backfill
        self.repair: RangeRepair | None = None
        self.search_continues = False
        self.missing_bodies: dict[LaneName, Range | None] = {}
        self._start = start
        self._filter = start.query.filter
        self._slices = slices
        self.credit = credit
        self._live_run = 0
        self._ahead: Slice | None = None
        self._is_long = False
        self._lost: list[int] = []
        self._last: tuple[Events, bytes] | None = None

    def read_ahead(self, head_seq: int) -> None:
        """Read on from the cursor to learn how far the filter lets it move."""
        self.head_seq = head_seq
        limit = self.credit.frame_events_max
        if self._ahead is not None and len(self._ahead.items) <= limit:
            return
        self._ahead, self._is_long = None, False
        if self.read_seq >= head_seq:
            return
        found = self._slices.after(self.read_seq, self._filter, self._start.since, limit)
        self._note_missing("live", found)
        if found.items:
            self._ahead = found
            self.read_seq = found.items[0].seq - 1
        elif found.last is not None:
            self.read_seq = found.last.seq
            self._is_long = found.stop == "long"

    def extend(self, since: int) -> None:
        """Send everything from an earlier ``since`` on.

        What was read ahead is read again: events fetched for another viewer were left out of it.
        """
        self._ahead, self._is_long = None, False
        self.backfill.extend(since, self.read_seq)

    def advance_cursor(self) -> Events | None:
        """Move the cursor over events that the filter leaves out: an empty frame, or None [12]."""
        if self.read_seq <= self.sent_seq:
            return None
        frame = Events(after=self.sent_seq, seq=self.read_seq, items=[])
        self.sent_seq = self.read_seq
        return frame

    def next_frame(self) -> Events | None:
        """Return the next frame: live first, but history gets at least every fourth [15].

        None if there is none, or if history advanced without one (``has_open_slice``).
        """
        if self._live_run >= LIVE_RUN_MAX:
            return self._neutral_frame() or self._live_frame()
        return self._live_frame() or self._neutral_frame()

    def _live_frame(self) -> Events | None:
        if self.repair is not None and self.repair.holds_live:
            return None
        found, self._ahead = self._ahead, None
        if found is None or found.last is None:
            # Report progress through a long stretch that the filter leaves out.
            return self.advance_cursor() if self._is_long else None
        frame = self._frame(found, found.last.seq)
        self.sent_seq = self.read_seq = found.last.seq
        self._live_run += 1
        return frame

    def _neutral_frame(self) -> Events | None:
        frame = self._repair_frame() or self._history_frame()
        if frame is not None:
            self._live_run = 0
        return frame

    def _repair_frame(self) -> Events | None:
        repair = self.repair
        self.search_continues = False
        while repair is not None and not repair.is_done:
            found = repair.cut(
                self._slices,
                self._filter,
                self.credit.frame_events_max,
                sent_seq=self.sent_seq,
                base=self._start.base,
            )
            self._note_missing("repair", found)
            repair.record_sent(found)
            if found.items:
                return self._frame(found, self.sent_seq)
            if found.stop != "end":
                self.search_continues = found.stop == "long"
                break
        return None

    def _history_frame(self) -> Events | None:
        intervals = self.backfill.intervals
        interval = intervals.next_interval
        if interval is None:
            return None
        found = self._slices.between(
            interval,
            self._filter,
            self.credit.frame_events_max,
            until_seq=self._start.after if intervals.until_seq is None else intervals.until_seq,
            newest_first=intervals.newest_first,
        )
        self._note_missing("history", found)
        self.backfill.record_slice(found)
        return self._frame(found, self.sent_seq) if found.items else None

    def _note_missing(self, lane: LaneName, found: Slice) -> None:
        self.missing_bodies[lane] = found.bodies
        self._lost += found.lost

    def _frame(self, found: Slice, seq: int) -> Events:
        frame = Events(after=self.sent_seq, seq=seq, items=found.items)
        self.credit.sent += len(found.items)
        self._last = frame, found.body
        return frame

    def encode_frame(self, frame: Events) -> tuple[bytes, ...]:
        """Encode a frame in parts; the items of the latest one are encoded already, and shared."""
        last, self._last = self._last, None
        if last is not None and last[0] is frame:
            return frame_parts(*last)
        return (encode(frame),)

    def take_lost(self) -> list[int]:
        """Return and clear the timestamps of events left out because their bodies are lost."""
        lost, self._lost = self._lost, []
        return lost

    @property
    def has_sent_all(self) -> bool:
        """Whether the live lane has nothing more to send."""
        return self.read_seq >= self.head_seq and self._ahead is None

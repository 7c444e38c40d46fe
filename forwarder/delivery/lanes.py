"""The events of one connection: live ones, the past, and repairs, within the credit. Pure.

The live lane moves the cursor; the two others are neutral (``after == seq``). Nothing waits in a
queue: a lane is a position in the journal, and at most one slice is read ahead.

One ``repair`` in progress: a range's events once more, in two passes. Pure.

The first pass goes through the range in display order while live frames go on; the second sends
what these brought of the range meanwhile, with the live lane held. Then every event of the range
up to the cursor was sent since the repair was asked for, and its digest can close it.
"""

from __future__ import annotations

from typing import Final

from forwarder.delivery.backfill import Opening
from forwarder.delivery.frames import Slice, Slices, frame_parts
from forwarder.records import Row
from wire.codec import encode
from wire.limits import FRAME_EVENTS_MAX
from wire.messages import Events
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


LIVE_RUN_MAX: Final = 3
"""Live frames in a row while the past waits: it gets at least every fourth [15]."""


class Lanes:
    """Which events go next."""

    def __init__(self, opening: Opening, slices: Slices, head_seq: int) -> None:
        """Start where ``opening`` says, in a journal whose head is ``head_seq``."""
        self.past = opening.past
        self.sent_seq = opening.after
        """The viewer's cursor, as its last frame said."""
        self.read_seq = opening.after
        """Up to here everything was sent or is left out by the filter."""
        self.head_seq = head_seq
        """The journal's, as ``look_ahead`` found it."""
        self.events_sent = 0
        self.granted = opening.query.credit
        """Events that the viewer takes in all; None: TCP alone slows the lanes down."""
        self.repairing: Repairing | None = None
        self.has_open_slice = False
        """Whether a slice of the past was sent that no ``backfill`` has followed yet."""
        self.wants_turn = False
        """Whether to be asked again soon, though there was no frame: a long search goes on."""
        self.bodies: dict[str, tuple[int, int] | None] = {}
        """By lane: the times of rows that wait for their bodies."""
        self._query = opening.query
        self._since = opening.since
        self._base = opening.base
        self._past_until = opening.after
        self._slices = slices
        self._live_run = 0
        self._ahead: Slice | None = None
        self._is_long = False
        self._lost: list[int] = []
        self._last: tuple[Events, bytes] | None = None

    # Credit

    def grant(self, events: int) -> None:
        """A cumulative grant; one that came late, or again, takes nothing back [15]."""
        if self.granted is not None:
            self.granted = max(self.granted, events)

    def _room(self) -> int:
        """How many events the next frame may have: every item of every frame counts [15]."""
        if self.granted is None:
            return FRAME_EVENTS_MAX
        return max(0, min(FRAME_EVENTS_MAX, self.granted - self.events_sent))

    # Frames

    def look_ahead(self, head_seq: int) -> None:
        """Read on from the cursor, so that it is known how far the filter lets it move."""
        self.head_seq = head_seq
        if self._ahead is not None and len(self._ahead.items) <= self._room():
            return
        self._ahead, self._is_long = None, False
        if self.read_seq >= head_seq:
            return
        query = self._query
        found = self._slices.after(self.read_seq, query.filter, self._since, self._room())
        self.bodies["live"] = found.bodies
        self._lost += found.lost
        if found.items:
            self._ahead = found
            self.read_seq = found.items[0].seq - 1
        elif found.last is not None:
            self.read_seq = found.last.seq
            self._is_long = found.why == "long"

    def cursor_frame(self) -> Events | None:
        """An empty frame where the filter left the cursor behind [12]."""
        if self.read_seq <= self.sent_seq:
            return None
        frame = Events(after=self.sent_seq, seq=self.read_seq, items=[])
        self.sent_seq = self.read_seq
        return frame

    def next(self) -> Events | None:
        """The next frame: live first, but the past gets at least every fourth [15].

        None where there is none, or where the past is further without one, as ``has_open_slice``
        then says.
        """
        if self._live_run >= LIVE_RUN_MAX:
            return self._neutral() or self._live()
        return self._live() or self._neutral()

    def _live(self) -> Events | None:
        if self.repairing is not None and self.repairing.holds_live:
            return None
        found, self._ahead = self._ahead, None
        if found is None or found.last is None:
            # A long stretch that the filter leaves out: say so, and go on at the next call.
            return self.cursor_frame() if self._is_long else None
        frame = Events(after=self.sent_seq, seq=found.last.seq, items=found.items)
        self.sent_seq = self.read_seq = found.last.seq
        self._live_run += 1
        return self._sent(frame, found)

    def _neutral(self) -> Events | None:
        frame = self._repair_slice() or self._past_slice()
        if frame is not None:
            self._live_run = 0
        return frame

    def _repair_slice(self) -> Events | None:
        repairing = self.repairing
        self.wants_turn = False
        while repairing is not None and not repairing.is_done:
            found = repairing.cut(
                self._slices,
                self._query.filter,
                self._room(),
                sent_seq=self.sent_seq,
                base=self._base,
            )
            self.bodies["repair"] = found.bodies
            self._lost += found.lost
            repairing.sent(found)
            if found.items:
                return self._neutral_frame(found)
            if found.why != "end":
                self.wants_turn = found.why == "long"
                break
        return None

    def _past_slice(self) -> Events | None:
        interval = self.past.next_interval
        if interval is None:
            return None
        found = self._slices.between(
            interval,
            self._query.filter,
            self._room(),
            until_seq=self._past_until,
            newest_first=self.past.newest_first,
        )
        self.bodies["past"] = found.bodies
        self._lost += found.lost
        if found.last is not None:
            self.past.advance(_key(found.last))
        if found.why == "end":
            self.past.finish()
        self.has_open_slice = bool(found.items) or found.why in ("end", "long")
        return self._neutral_frame(found) if found.items else None

    def _neutral_frame(self, found: Slice) -> Events:
        return self._sent(Events(after=self.sent_seq, seq=self.sent_seq, items=found.items), found)

    def _sent(self, frame: Events, found: Slice) -> Events:
        self.events_sent += len(found.items)
        self._last = frame, found.body
        return frame

    def parts(self, frame: Events) -> tuple[bytes, ...]:
        """A frame's bytes; of the last one, the items are encoded already, and shared."""
        last, self._last = self._last, None
        if last is not None and last[0] is frame:
            return frame_parts(*last)
        return (encode(frame),)

    # What the session asks

    def take_lost(self) -> list[int]:
        """Timestamps of events that were left out since nobody has their bodies any more."""
        lost, self._lost = self._lost, []
        return lost

    @property
    def has_all(self) -> bool:
        """Whether the viewer was sent all that there is."""
        return self.read_seq >= self.head_seq and self._ahead is None


def _key(row: Row) -> int:
    return key_of(row.timestamp, row.id)

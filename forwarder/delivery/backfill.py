"""Backfill of one connection: the history still to be sent, and what the viewer holds. Pure.

History that the journal held at connecting is sent in slices from one end. History that must first
be fetched from CloudWatch gets new seqs and follows in the live lane. ``held`` is one interval that
only grows: of the history it claims only what was both sent and covered by whole scans. Numbers in
brackets are rules of the protocol.
"""

from __future__ import annotations

from typing import Final, Self

import msgspec

from common.ranges import Range, RangeSet
from forwarder.delivery.frames import Slice
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.contract import Journal
from wire.limits import DEFAULT_HISTORY_MS, FRAME_EVENTS_MAX, ID_DIGITS_MAX, TIMESTAMP_MAX
from wire.messages import Backfill, Outcome
from wire.order import ID_BITS, KEY_MAX, KEY_MIN, Interval, first_key, key_of, timestamp_of
from wire.query import History, TailQuery

_LAST_ID: Final = int("9" * ID_DIGITS_MAX)


def last_wire_key(timestamp: int) -> int:
    """Largest sort key of a millisecond that the wire can express (an id of 57 nines)."""
    return timestamp << ID_BITS | _LAST_ID


def whole_milliseconds(held: Interval) -> Range:
    """First and last millisecond that lie entirely within an interval; crossed if none does.

    The millisecond of an upper end counts as cut, since no key says that it is the last one.
    """
    low, high = _bounds(held)
    first = timestamp_of(low) + (low > first_key(timestamp_of(low)))
    last = timestamp_of(high) - (high < KEY_MAX)
    return first, last


class _Piece(msgspec.Struct):
    """A stretch of history still to be sent, from one of its ends to the other."""

    low: int
    high: int
    newest_first: bool
    until_seq: int | None = None
    """Last seq to send; None: where the connection's cursor started."""


class HistoryIntervals:
    """Sort-key intervals of one viewer's history: still to be sent, sent, and held."""

    def __init__(
        self,
        since: int,
        connected_ms: int,
        *,
        held: Interval | None = None,
        history: History = "newest",
    ) -> None:
        """Plan to send everything from ``since`` on that lies outside ``held``.

        Args:
            since: Start, ms, inclusive.
            connected_ms: End of the history and start of the live events.
            held: What a resuming viewer holds completely; None for nothing.
            history: Which end to send first. The parts next to ``held`` grow outwards from it
                instead, because a viewer holds one interval only.
        """
        self.since = since
        self.connected_ms = connected_ms
        self._newest = history == "newest"
        self._bottom = first_key(since)
        self._covered = False
        self._cover_through = connected_ms
        low, high = (KEY_MAX + 1, KEY_MAX) if held is None else _bounds(held)
        if held is None or max(low, self._bottom) > high or high == KEY_MIN:
            # Nothing is held. A viewer with a cursor says so by 0:0..0:0, since without ``held``
            # it would get no history. The held interval starts empty where sending starts.
            low = KEY_MAX + 1 if self._newest else self._bottom
            high = low - 1
            self._pieces = [_Piece(self._bottom, KEY_MAX, newest_first=self._newest)]
        else:
            below = _Piece(self._bottom, low - 1, newest_first=True)
            above = _Piece(high + 1, KEY_MAX, newest_first=False)
            pieces = [above, below] if self._newest else [below, above]
            self._pieces = [piece for piece in pieces if piece.low <= piece.high]
        self._sent_low, self._sent_high = low, high
        self._claim_low, self._claim_high = low, high

    @classmethod
    def complete(cls, since: int, connected_ms: int) -> Self:
        """Create the intervals of a viewer that gets no history: a cursor without ``held`` [1]."""
        intervals = cls(since, connected_ms, held=Interval(first_key(since), None))
        intervals._covered = True
        return intervals

    def extend(self, since: int, until_seq: int) -> None:
        """Send the history from an earlier ``since`` on as well, downwards.

        Args:
            since: The new start, ms.
            until_seq: Everything up to here, below the former start, is history: the live lane
                has left it out, or sent it as a late event. What is found later comes live.
        """
        top = self._bottom - 1
        if self._covered:
            self._covered, self._cover_through = False, self.since - 1
        self.since, self._bottom = since, first_key(since)
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.until_seq is not None and last.low == top + 1:
            last.low, last.until_seq = self._bottom, until_seq
            return
        self._pieces.append(_Piece(self._bottom, top, newest_first=True, until_seq=until_seq))

    @property
    def until_seq(self) -> int | None:
        """Last seq of ``next_interval`` to send; None: where the cursor started."""
        return self._pieces[0].until_seq if self._pieces else None

    @property
    def next_interval(self) -> Interval | None:
        """The interval to cut the next slice from; None once all that the journal held is sent."""
        return Interval(self._pieces[0].low, self._pieces[0].high) if self._pieces else None

    @property
    def newest_first(self) -> bool:
        """Whether the next slice starts at the upper end of ``next_interval``."""
        return bool(self._pieces) and self._pieces[0].newest_first

    @property
    def unsent(self) -> list[Interval]:
        """All intervals still to be sent of what the journal held."""
        return [Interval(piece.low, piece.high) for piece in self._pieces]

    def advance_to(self, key: int) -> None:
        """Record that ``next_interval`` was sent up to ``key``, maybe mid-millisecond [3]."""
        piece = self._pieces[0]
        if piece.newest_first:
            self._sent_low = min(self._sent_low, key)
            piece.high = key - 1
        else:
            self._sent_high = max(self._sent_high, key)
            piece.low = key + 1

    def finish_interval(self) -> None:
        """Record that the journal has nothing more of ``next_interval``."""
        piece = self._pieces.pop(0)
        if piece.newest_first:
            self._sent_low = min(self._sent_low, piece.low)
        else:
            self._sent_high = max(self._sent_high, piece.high)

    def extend_held(self, coverage: RangeSet) -> None:
        """Extend ``held`` over what scans cover, once the rows that they found are sent."""
        self._covered = (
            self._covered
            or self.since > self._cover_through
            or coverage.covers(self.since, self._cover_through)
        )
        low = max(self._sent_low, first_key(self._covered_from(coverage)), self._bottom)
        self._claim_low = min(self._claim_low, low)
        if self._claim_high < KEY_MAX:
            high = min(self._sent_high, self._covered_through(coverage))
            self._claim_high = max(self._claim_high, high)

    def _covered_from(self, coverage: RangeSet) -> int:
        """How far down from the held interval coverage reaches without a break, ms."""
        at = min(timestamp_of(self._claim_low), self.connected_ms)
        if at == self.connected_ms:
            # The newest interval is open above: what no scan covers yet belongs to the live lane.
            return min([at, *(from_ for from_, _ in coverage.ranges[-1:])])
        for from_, through in coverage.ranges:
            if from_ <= at <= through + 1:
                return from_
        return at + 1

    def _covered_through(self, coverage: RangeSet) -> int:
        """How far up from the held interval coverage reaches, as a sort key."""
        at = timestamp_of(self._claim_high + 1)
        if at > self.connected_ms:
            return KEY_MAX
        end = coverage.end_from(at)
        if end is None:
            return self._claim_high
        return KEY_MAX if end >= self.connected_ms else last_wire_key(end)

    @property
    def held(self) -> Interval | None:
        """The interval that the viewer holds completely; None if it is empty."""
        if self._claim_low > self._claim_high:
            return None
        return Interval(
            None if self._claim_low == KEY_MIN else self._claim_low,
            None if self._claim_high == KEY_MAX else self._claim_high,
        )

    @property
    def is_complete(self) -> bool:
        """Whether all of the history, fetched or held before, was sent."""
        return (
            not self._pieces
            and self._covered
            and self._claim_low <= self._bottom
            and self._claim_high == KEY_MAX
        )


def _bounds(held: Interval) -> tuple[int, int]:
    return (KEY_MIN if held.low is None else held.low, KEY_MAX if held.high is None else held.high)


class StartPoint:
    """Where one viewer's stream starts: its query, read against the journal at one moment.

    Attributes:
        query: The viewer's query.
        now_ms: The moment; history ends here and live events start.
        since: Start of the viewer's events, ms.
        epoch: The journal's epoch.
        head_seq: The journal's last seq.
        outcome: Whether the viewer's cursor is resumed.
        after: Where the cursor starts; history is what the journal holds up to it.
        base: Events up to this seq are in none of the viewer's counts: it dropped them before it
            resumed [16].
    """

    def __init__(self, query: TailQuery, journal: Journal, now_ms: int) -> None:
        self.query = query
        self.now_ms = now_ms
        self.epoch = journal.epoch
        self.head_seq = journal.head_seq
        self._journal = journal
        self.since = self._since()
        self.outcome = self._outcome()
        resumed = query.after if self.outcome == "resumed" else None
        self.after = self.head_seq if resumed is None else resumed
        self.base = query.base

    def _since(self) -> int:
        """Start of the viewer's events; by default an execution's first, or ten minutes ago."""
        query = self.query
        if query.since is not None:
            return query.since
        return 0 if query.filter.executions else max(0, self.now_ms - DEFAULT_HISTORY_MS)

    def _outcome(self) -> Outcome:
        """Whether the cursor is resumed; not if the journal is another one, or rolled back [4]."""
        epoch, after = self.query.epoch, self.query.after
        if epoch is None or after is None:
            return "fresh"
        return "resumed" if self._journal.is_resumable(epoch, after) else "rebased"

    def history(self) -> HistoryIntervals:
        """Make the intervals of the history to send: none for a cursor without ``held`` [1].

        What a viewer holds of another journal does not count [6].
        """
        if self.outcome != "resumed":
            return HistoryIntervals(self.since, self.now_ms, history=self.query.history)
        if self.query.held is None:
            return HistoryIntervals.complete(self.since, self.now_ms)
        return HistoryIntervals(
            self.since, self.now_ms, held=self.query.held, history=self.query.history
        )

    def missing_bodies(self) -> Range | None:
        """Time range of the first events to send whose bodies retention removed, ms.

        Only one frame's worth of rows is examined: the lanes report later ones in their turn.
        """
        journal, wanted = self._journal, self.query.filter
        rows = journal.read_after(self.after, FRAME_EVENTS_MAX)
        found = journal.find([row.id for row in rows if row.message is None])
        rows = [row for row in rows if row.id in found and not found[row.id].is_lost]
        for interval in self.history().unsent:
            low, high = whole_milliseconds(interval)
            rows += journal.bodiless(low, min(high + 1, TIMESTAMP_MAX), FRAME_EVENTS_MAX)
        times = [row.timestamp for row in rows if wanted.matches(row.stream)]
        return (min(times), max(times)) if times else None


class ViewerBackfill:
    """Backfill of one connection, from ``welcome`` until ``done`` is sent.

    Attributes:
        intervals: What is still to be sent, and what may be claimed.
        is_done: Whether the viewer was told that all of the history is sent.
        held: What the viewer knows that it holds.
        has_open_slice: Whether a slice was sent that no ``backfill`` message has followed yet.
    """

    def __init__(self, group: LogGroup, start: StartPoint) -> None:
        """Begin at ``start``; a resuming viewer holds what its query says."""
        self.intervals = start.history()
        self.is_done = False
        self.has_open_slice = False
        is_resumed = start.outcome == "resumed"
        self.held = start.query.held if is_resumed else None
        self._group = group
        self._start = start
        self._observed: tuple[int, list[Range]] | None = None
        self._is_total_known = not is_resumed and not self.needs_fetch
        self._total: int | None = None

    @property
    def needs_fetch(self) -> bool:
        """Whether some of the history is not in the journal and must come from CloudWatch."""
        since = self._start.since
        coverage = self._group.coverage
        top = self.intervals.connected_ms
        if coverage.end is not None:
            # The next poll fetches what is younger than every scan.
            top = min(top, coverage.end)
        return since <= top and bool(coverage.missing(since, top))

    def extend(self, since: int, until_seq: int) -> None:
        """Send the history from an earlier ``since`` on as well."""
        self._start.since = since
        self.intervals.extend(since, until_seq)
        self.is_done = False
        self._is_total_known, self._total = False, None

    def clip(self, from_: int, through: int) -> Range:
        """Cut a time range (ms, inclusive) to what counts and digests may describe.

        That is everything from ``since`` on, and only ``held`` until ``done``. The result is
        crossed if nothing is left.
        """
        from_ = max(from_, self._start.since)
        if self.is_done:
            return from_, through
        if self.held is None:
            at = max(1, through)
            return at, at - 1
        first, last = whole_milliseconds(self.held)
        return max(from_, first), min(through, last)

    def record_slice(self, found: Slice) -> None:
        """Record that a slice of the next interval is being sent."""
        if found.last is not None:
            self.intervals.advance_to(key_of(found.last.timestamp, found.last.id))
        if found.stop == "end":
            self.intervals.finish_interval()
        self.has_open_slice = bool(found.items) or found.stop in ("end", "long")

    def report_slice(self, read_seq: int) -> Backfill | None:
        """Return the message that follows each slice; everything up to ``read_seq`` is sent."""
        if not self.has_open_slice:
            return None
        self.has_open_slice = False
        self._observe_coverage(read_seq)
        return self._report()

    def report_growth(self, read_seq: int) -> Backfill | None:
        """Return a message if ``held`` grew because fetched history was sent, or all is sent."""
        if self.is_done:
            return None
        self._observe_coverage(read_seq)
        has_grown = self.intervals.is_complete or self.intervals.held != self.held
        return self._report() if has_grown else None

    def _observe_coverage(self, read_seq: int) -> None:
        """Let ``held`` grow over what scans cover, once all that they had found by then is sent."""
        if self._observed is None:
            self._observed = self._group.head_seq, list(self._group.journal.coverage())
        head_seq, coverage = self._observed
        if read_seq >= head_seq:
            self.intervals.extend_held(RangeSet(coverage))
            self._observed = None

    def _report(self) -> Backfill | None:
        held = self.intervals.held
        if held is None:
            return None
        self.held, self.is_done = held, self.intervals.is_complete
        return Backfill(
            held=str(held),
            total=self._history_total(),
            done=self.is_done,
            since=self._start.since,
        )

    def _history_total(self) -> int | None:
        """Number of events of the history; None if some must be fetched or are held already."""
        if self._is_total_known and self._total is None:
            start = self._start
            self._total = self._group.totals.total(
                start.since, TIMESTAMP_MAX, start.query.filter, seq=start.after
            ).count
        return self._total

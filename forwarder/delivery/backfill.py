"""How the past is sent to one viewer: which part comes next, and what may be called held.

Pure. What the journal held at connecting is sent in slices from one end; what must first be
fetched from CloudWatch comes with new seqs, by the live cursor. ``held`` is one interval that
only grows, and of the past it claims no more than what was both sent and covered by whole scans.

What a viewer's query means for the journal as it is: where it starts and what it is owed. Pure.

Each bracketed rule of the protocol is a method of its own.
"""

from __future__ import annotations

from typing import Final, Self

from common.ranges import RangeSet
from forwarder.journal.contract import Journal
from wire.limits import DEFAULT_HISTORY_MS, FRAME_EVENTS_MAX, ID_DIGITS_MAX, TIMESTAMP_MAX
from wire.messages import Outcome
from wire.order import ID_BITS, KEY_MAX, KEY_MIN, Interval, first_key, timestamp_of
from wire.query import History, TailQuery

_LAST_ID: Final = int("9" * ID_DIGITS_MAX)


def last_position(timestamp: int) -> int:
    """The greatest position of a millisecond that the wire can write (57 nines)."""
    return timestamp << ID_BITS | _LAST_ID


class _Piece:
    """A stretch of the past that is still to be sent, from one of its ends to the other."""

    __slots__ = ("high", "low", "newest_first")

    def __init__(self, low: int, high: int, *, newest_first: bool) -> None:
        self.low, self.high, self.newest_first = low, high, newest_first


class Past:
    """The past that one viewer is owed: everything from ``since`` but for what it has."""

    def __init__(
        self,
        since: int,
        connected_ms: int,
        *,
        held: Interval | None = None,
        history: History = "newest",
    ) -> None:
        """Owe everything from ``since`` on outside of ``held``.

        Args:
            since: ms, inclusive.
            connected_ms: where the past ends and the present begins.
            held: what a resuming client has, whole; None: nothing.
            history: from which end; the part beside ``held`` grows out from it instead, as
                there must be one interval only.

        """
        self.since = since
        self.connected_ms = connected_ms
        self._newest = history == "newest"
        self._bottom = first_key(since)
        self._covered = False
        low, high = _bounds(held)
        if held is None or max(low, self._bottom) > high or high == KEY_MIN:
            # Nothing is held (0:0..0:0 is how a client says so once it has a cursor, since
            # nothing is owed without held): an empty interval where the sending begins.
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
    def nothing(cls, since: int, connected_ms: int) -> Self:
        """No past is owed: with a cursor and without ``held``."""
        past = cls(since, connected_ms, held=Interval(first_key(since), None))
        past._covered = True
        return past

    @property
    def next_interval(self) -> Interval | None:
        """Where the next slice comes from; None when all that the journal held is sent."""
        return Interval(self._pieces[0].low, self._pieces[0].high) if self._pieces else None

    @property
    def newest_first(self) -> bool:
        """Whether the next slice begins at the interval's upper end."""
        return bool(self._pieces) and self._pieces[0].newest_first

    @property
    def intervals(self) -> list[Interval]:
        """Everything that is still to be sent of what the journal held."""
        return [Interval(piece.low, piece.high) for piece in self._pieces]

    def advance(self, key: int) -> None:
        """The next interval was sent as far as ``key``: a slice may end in mid-millisecond [3]."""
        piece = self._pieces[0]
        if piece.newest_first:
            self._sent_low = min(self._sent_low, key)
            piece.high = key - 1
        else:
            self._sent_high = max(self._sent_high, key)
            piece.low = key + 1

    def finish(self) -> None:
        """The journal has nothing more of the next interval."""
        piece = self._pieces.pop(0)
        if piece.newest_first:
            self._sent_low = min(self._sent_low, piece.low)
        else:
            self._sent_high = max(self._sent_high, piece.high)

    def cover(self, coverage: RangeSet) -> None:
        """What whole scans cover; every row that they brought has been sent, or is in pieces."""
        self._covered = (
            self._covered
            or self.since > self.connected_ms
            or coverage.covers(self.since, self.connected_ms)
        )
        low = max(self._sent_low, first_key(self._floor(coverage)), self._bottom)
        self._claim_low = min(self._claim_low, low)
        if self._claim_high < KEY_MAX:
            self._claim_high = max(self._claim_high, min(self._sent_high, self._ceiling(coverage)))

    def _floor(self, coverage: RangeSet) -> int:
        """How far down from what is claimed the covered time reaches without a break, ms."""
        at = min(timestamp_of(self._claim_low), self.connected_ms)
        if at == self.connected_ms:
            # The newest interval is open above: what is not covered yet is the present.
            return min([at, *(from_ for from_, _ in coverage.ranges[-1:])])
        for from_, through in coverage.ranges:
            if from_ <= at <= through + 1:
                return from_
        return at + 1

    def _ceiling(self, coverage: RangeSet) -> int:
        """How far up from what is claimed the covered time reaches, as a position."""
        at = timestamp_of(self._claim_high + 1)
        if at > self.connected_ms:
            return KEY_MAX
        end = coverage.end_from(at)
        if end is None:
            return self._claim_high
        return KEY_MAX if end >= self.connected_ms else last_position(end)

    @property
    def held(self) -> Interval | None:
        """The whole interval of the past that the viewer has; None where it is empty."""
        if self._claim_low > self._claim_high:
            return None
        return Interval(
            None if self._claim_low == KEY_MIN else self._claim_low,
            None if self._claim_high == KEY_MAX else self._claim_high,
        )

    @property
    def is_done(self) -> bool:
        """Whether all that was owed of the past, fetched or held before, has been sent."""
        return (
            not self._pieces
            and self._covered
            and self._claim_low <= self._bottom
            and self._claim_high == KEY_MAX
        )


def _bounds(held: Interval | None) -> tuple[int, int]:
    if held is None:
        return KEY_MAX + 1, KEY_MAX
    return (
        KEY_MIN if held.low is None else held.low,
        KEY_MAX if held.high is None else held.high,
    )


def times_within(held: Interval) -> tuple[int, int]:
    """The milliseconds that lie whole within an interval: first and last, maybe crossed.

    An upper end counts its millisecond as cut, since no position says that it is the last.
    """
    low = KEY_MIN if held.low is None else held.low
    first = timestamp_of(low) + (low > first_key(timestamp_of(low)))
    high = KEY_MAX if held.high is None else held.high
    last = timestamp_of(high) - (high < KEY_MAX)
    return first, last


class Opening:
    """A query, read at one moment of a journal."""

    def __init__(self, query: TailQuery, journal: Journal, now_ms: int) -> None:
        """Read ``query`` at ``now_ms``, where the past ends and the present begins."""
        self.query = query
        self._journal = journal
        self.since = self._since(now_ms)
        self.epoch = journal.epoch
        self.outcome = self._outcome()
        self.after = self._after()
        """Where the cursor starts; the past is what the journal holds up to it."""
        self.base = self._base()
        self.past = self._past(now_ms)

    def _since(self, now_ms: int) -> int:
        """Without ``since``: all of an execution, else the last ten minutes."""
        query = self.query
        if query.since is not None:
            return query.since
        return 0 if query.filter.executions else max(0, now_ms - DEFAULT_HISTORY_MS)

    def _outcome(self) -> Outcome:
        epoch, after = self.query.epoch, self.query.after
        if epoch is None or after is None:
            return "fresh"
        return "resumed" if self._is_resumable(epoch, after) else "rebased"

    def _is_resumable(self, epoch: str, after: int) -> bool:
        """A cursor of another journal, or of a future that this one lost, resumes nothing [4]."""
        return self._journal.is_resumable(epoch, after)

    def _after(self) -> int:
        after = self.query.after
        return after if self.outcome == "resumed" and after is not None else self._journal.head_seq

    def _base(self) -> int:
        """Lines that the viewer goes on without are in none of its counts [16]."""
        return self.query.base

    def _held(self) -> Interval | None:
        """What the client has of the past: of another journal's, nothing [6]."""
        return self.query.held if self.outcome == "resumed" else None

    def _past(self, now_ms: int) -> Past:
        """The past is owed but for ``held``; with a cursor and no ``held``, none is [1]."""
        held = self._held()
        if self.outcome == "resumed" and held is None:
            return Past.nothing(self.since, now_ms)
        return Past(self.since, now_ms, held=held, history=self.query.history)

    def bodiless(self) -> tuple[int, int] | None:
        """Times of what is owed first and whose bodies retention took, as far as is seen at once.

        What this does not see is met when its turn comes.
        """
        journal, wanted = self._journal, self.query.filter
        rows = journal.read_after(self.after, FRAME_EVENTS_MAX)
        found = journal.find([row.id for row in rows if row.message is None])
        rows = [row for row in rows if row.id in found and not found[row.id].is_lost]
        for interval in self.past.intervals:
            low, high = times_within(interval)
            rows += journal.bodiless(low, min(high + 1, TIMESTAMP_MAX), FRAME_EVENTS_MAX)
        times = [row.timestamp for row in rows if wanted.matches(row.stream)]
        return (min(times), max(times)) if times else None

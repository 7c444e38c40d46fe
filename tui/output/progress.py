"""Which lines a consumer has printed, so that its next run prints exactly the others. Pure.

What was printed is kept as regions: a range of sort keys times a range of seqs. A region states
that of the events in it every one that the query matches was printed. So the lines that
``--until`` or ``--lines`` left out, and those that were still held when the process was killed,
lie outside of every region, and come again; all others come at most once. A region is stated by
the seqs of one journal: where another one has numbered the events anew, keys are compared instead
(``tui.output.printed_keys``).

Sort keys here are the wire's, without the target's number that a line's key has as well.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

import msgspec

from tui.client.saved import NOTHING_HELD, Cursor
from tui.lines.rows import TARGET_BITS, Line
from wire.limits import ID_DIGITS_MAX
from wire.order import KEY_MAX, Interval, first_key, id_of, last_key, timestamp_of

REGIONS_MAX: Final = 100
"""Regions kept; a run with ``--lines`` may add one. Lines of a dropped one may be repeated."""

_LAST_ID: Final = int("9" * ID_DIGITS_MAX)


class Region(msgspec.Struct, frozen=True):
    """A range of sort keys times a range of seqs; every matching event in it was printed."""

    low: int
    """First key."""
    high: int
    """Last key."""
    above: int
    """The seq before the first one."""
    through: int
    """The last seq."""

    def has(self, key: int, seq: int) -> bool:
        """Whether an event lies in the region."""
        return self.low <= key <= self.high and self.above < seq <= self.through

    def covers(self, other: Region) -> bool:
        """Whether all of another region lies in this one."""
        return (
            self.low <= other.low
            and other.high <= self.high
            and self.above <= other.above
            and other.through <= self.through
        )

    def joined(self, other: Region) -> Region | None:
        """Return one region for both where they have the same keys and adjacent seqs."""
        if (self.low, self.high) != (other.low, other.high):
            return None
        if self.above > other.through or other.above > self.through:
            return None
        above, through = min(self.above, other.above), max(self.through, other.through)
        return Region(self.low, self.high, above, through)


class Progress(msgspec.Struct, frozen=True):
    """What a consumer has printed of one target."""

    since: int
    """Start of its history, ms."""
    epoch: str
    """The epoch whose seqs the regions state."""
    held: tuple[Region, ...] = ()
    """Regions that begin at the first seq; a connection may resume from one of them."""
    live: tuple[Region, ...] = ()
    """Regions of later seqs only: events that came while the history was still coming."""
    is_renumbered: bool = False
    """Whether lines outside of the regions may have been printed, by an earlier journal's seqs."""

    @property
    def cursor(self) -> Cursor:
        """The cursor from which every event outside of some region comes again."""
        if not self.held:
            after = max((region.through for region in self.live), default=0)
            return Cursor(self.epoch, after, NOTHING_HELD)
        best = max(self.held, key=lambda one: (one.through, one.high - one.low))
        high = None if best.high == KEY_MAX else best.high
        return Cursor(self.epoch, best.through, Interval(best.low, high))

    @property
    def floor(self) -> int:
        """The key below which ``--lines`` of earlier runs left the history out."""
        return max((region.low for region in self.held), default=0)

    def has(self, key: int, seq: int) -> bool:
        """Whether an event was printed, if it matches the query."""
        return any(one.has(key, seq) for one in (*self.held, *self.live))


def is_renumbered(before: Progress | None, rebases: int) -> bool:
    """Whether another journal has numbered events that this or an earlier run printed."""
    if before is None:
        return rebases > 1  # the first ``welcome`` to a run without a cursor counts as one
    return before.is_renumbered or rebases > 0


class StreamPosition(NamedTuple):
    """How far one target's session has received: those attributes of ``ViewerSession``."""

    cursor: Cursor | None
    since: int | None
    live_from: int | None
    rebases: int


class Unprinted(NamedTuple):
    """The lines received so far that are not printed, as bounds of line keys."""

    lowest_held: int | None
    """The lowest key of the lines still to be printed; None without any."""
    left_out: Mapping[int, int]
    """By target, the highest key of the lines that ``--lines`` left out."""


class PrintedLines:
    """Tracks what one run prints of one target.

    Args:
        target: The target's number.
        before: What the consumer's earlier runs printed; None for a new one.
        until_ms: The run prints nothing later.
        keys: The keys of lines that were printed, as far as they are remembered.
    """

    def __init__(
        self,
        target: int,
        before: Progress | None,
        until_ms: int | None,
        keys: Container[int] = (),
    ) -> None:
        self.before = before
        self._keys = keys
        self._target = target
        self._top = KEY_MAX if until_ms is None else _closed(last_key(until_ms))
        self._selected: tuple[int, int] | None = None  # rebases and seq when lines were left out

    @property
    def floor(self) -> int:
        """The line key below which earlier runs left the history out."""
        floor = 0 if self.before is None else self.before.floor
        return floor << TARGET_BITS | self._target if floor else 0

    def was_printed(self, line: Line, rebases: int) -> bool:
        """Whether an earlier run printed a line; after a rebase only remembered keys say so."""
        before = self.before
        if before is None:
            return False
        key = line.key >> TARGET_BITS
        if not rebases and before.has(key, line.seq):
            return True
        return is_renumbered(before, rebases) and key in self._keys

    def progress(self, position: StreamPosition, unprinted: Unprinted) -> Progress | None:
        """Return what is printed once all received lines but the unprinted ones are.

        None where nothing can be stated yet, as there is no cursor.
        """
        cursor, since, live_from, rebases = position
        before = None if rebases else self.before
        if cursor is None or since is None or unprinted.lowest_held == 0:
            return before
        bottom, top = first_key(since), self._top
        if unprinted.lowest_held is not None:
            top = min(top, _closed(unprinted.lowest_held - 1 - self._target >> TARGET_BITS))
        low, left_out = bottom, unprinted.left_out.get(self._target)
        if left_out is not None:
            low = max(low, (left_out - self._target >> TARGET_BITS) + 1)
            self._selected = self._selected or (rebases, cursor.after)
        first = max(low, cursor.held.low or 0)
        last = top if cursor.held.high is None else min(top, cursor.held.high)
        held = _add(before.held if before else (), Region(first, last, 0, cursor.after))
        live = before.live if before else ()
        if live_from is not None:
            live = _add(live, Region(low, top, live_from, cursor.after))
        if live_from is not None and self._selected and self._selected[0] == rebases:
            # Only history was left out: all that came after the selection was printed.
            above = max(live_from, self._selected[1])
            live = _add(live, Region(bottom, top, above, cursor.after))
        live = tuple(one for one in live if not any(other.covers(one) for other in held))
        return Progress(since, cursor.epoch, held, live, is_renumbered(self.before, rebases))


def _add(regions: tuple[Region, ...], new: Region) -> tuple[Region, ...]:
    """Add a region, unless it is empty or covered; joined with those that it extends."""
    if new.low > new.high or new.above >= new.through:
        return regions
    kept: list[Region] = []
    for one in regions:
        joined = one.joined(new)
        if joined is None:
            kept.append(one)
        else:
            new = joined
    if any(one.covers(new) for one in kept):
        return tuple(kept)
    return (*(one for one in kept if not new.covers(one)), new)[-REGIONS_MAX:]


def _closed(key: int) -> int:
    """Return the largest key up to this one whose id the wire can express."""
    if id_of(key) <= _LAST_ID or key < 0:
        return key
    return first_key(timestamp_of(key)) + _LAST_ID

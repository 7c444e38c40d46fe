"""Finished scans that become marks: waiting for one viewer, or known to a hub. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from forwarder.records import ScanDone

PENDING_MAX: Final = 256
"""Scans that wait for one viewer's cursor or history; another finishes every second."""

MARKED_PIECES_MAX: Final = 128
"""Pieces of marked time remembered for new viewers; beyond that, adjoining ones are joined."""


class PendingMarks:
    """Scans whose mark one viewer has not been sent, oldest first."""

    def __init__(self) -> None:
        self._pending: list[ScanDone] = []

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, done: ScanDone) -> None:
        """Add a finished scan.

        It replaces the previous one if it covers that one's range. The oldest is never replaced, or
        a lagging viewer would never get a mark. Dropping a scan is harmless: without its mark the
        viewer only waits longer, and a later scan covers the range again.
        """
        pending = self._pending
        if len(pending) > 1 and _supersedes(done, pending[-1]):
            pending.pop()
        pending.append(done)
        if len(pending) > PENDING_MAX:
            del pending[len(pending) // 2]

    def find(self, read_seq: int, may_mark: Callable[[int, int], bool]) -> ScanDone | None:
        """Return the first scan that can be marked now.

        The viewer was sent everything up to ``read_seq``; ``may_mark`` says whether a mark may
        describe a time range (ms, inclusive).
        """
        for done in self._pending:
            # The viewer must have all that the journal held when the scan ended [10].
            if read_seq >= done.head_seq and may_mark(done.from_, done.through):
                return done
        return None

    def remove(self, done: ScanDone) -> None:
        """Remove a scan whose mark was sent."""
        self._pending.remove(done)

    def clear(self) -> None:
        """Remove all: the journal began a new chain."""
        self._pending.clear()


class MarkedTime:
    """Time that scans have marked, each part by its latest scan.

    A viewer that connects gets these marks at once instead of waiting for the next deep scan.
    """

    def __init__(self) -> None:
        self._pieces: list[ScanDone] = []

    @property
    def pieces(self) -> list[ScanDone]:
        """Disjoint ranges of marked time, oldest scan first."""
        return list(self._pieces)

    def add(self, done: ScanDone) -> None:
        """Add a finished scan, and cut its range out of the older ones."""
        remaining: list[ScanDone] = []
        for old in self._pieces:
            if old.through < done.from_ or done.through < old.from_:
                remaining.append(old)
                continue
            if old.from_ < done.from_:
                remaining.append(replace(old, through=done.from_ - 1))
            if old.through > done.through:
                remaining.append(replace(old, from_=done.through + 1))
        self._pieces = [*remaining, done]
        if len(self._pieces) > MARKED_PIECES_MAX and not self._join_lowest():
            self._pieces.remove(min(self._pieces, key=lambda one: one.through))

    def _join_lowest(self) -> bool:
        """Join the two lowest adjoining pieces; returns whether there were any.

        Ranges that move with time leave slivers behind which no scan covers again after two weeks.
        For both pieces it holds that what a scan begun at the earlier time returned is in the
        journal at the later head.
        """
        by_time = sorted(self._pieces, key=lambda one: one.from_)
        for low, high in pairwise(by_time):
            if low.through + 1 == high.from_:
                scanned_at = min(low.scanned_at, high.scanned_at)
                both = ScanDone(
                    low.from_, high.through, scanned_at, max(low.head_seq, high.head_seq)
                )
                others = [one for one in self._pieces if one not in (low, high)]
                self._pieces = [both, *others]
                return True
        return False

    def clear(self) -> None:
        """Remove all: the journal began a new chain."""
        self._pieces.clear()


def _supersedes(new: ScanDone, old: ScanDone) -> bool:
    """Whether a scan covers an older scan's range, at a later time."""
    return (
        new.from_ <= old.from_ and old.through <= new.through and new.scanned_at >= old.scanned_at
    )

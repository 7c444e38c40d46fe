"""Sets of time ranges: what was scanned, what is missing, and the windows to fetch it in.

Ranges are inclusive pairs of milliseconds since the Unix epoch. Pure: no clock, no I/O.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from wire.query import History

Range = tuple[int, int]

WINDOW_FIRST_MS: Final = 60_000
"""The first window of a backfill: small, so that something is on the screen at once."""

WINDOW_MAX_MS: Final = 6 * 3_600_000
"""The largest: what a scan that breaks has to fetch again stays bounded."""


class Coverage:
    """A set of milliseconds, kept as disjoint ranges that do not touch, in ascending order."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Start with the union of ``ranges``."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for from_, through in ranges:
            self.add(from_, through)

    def copy(self) -> Coverage:
        """Another set of the same milliseconds."""
        return Coverage(self.ranges)

    @property
    def ranges(self) -> list[Range]:
        """The ranges, ascending."""
        return list(zip(self._starts, self._ends, strict=True))

    @property
    def end(self) -> int | None:
        """The last millisecond of all, None where there is none."""
        return self._ends[-1] if self._ends else None

    def add(self, from_: int, through: int) -> bool:
        """Add a range; whether that changed anything (an empty range never does)."""
        if through < from_ or self.covers(from_, through):
            return False
        # All ranges that overlap or touch the new one become one with it.
        low = bisect_left(self._ends, from_ - 1)
        high = bisect_right(self._starts, through + 1)
        if low < high:
            from_ = min(from_, self._starts[low])
            through = max(through, self._ends[high - 1])
        self._starts[low:high] = [from_]
        self._ends[low:high] = [through]
        return True

    def __contains__(self, moment: int) -> bool:
        """Whether a millisecond is in the set."""
        return self.covers(moment, moment)

    def covers(self, from_: int, through: int) -> bool:
        """Whether every millisecond of a range is in the set."""
        end = self.end_from(from_)
        return end is not None and through <= end

    def end_from(self, from_: int) -> int | None:
        """The last of the unbroken milliseconds from ``from_`` on; None where it is not in."""
        index = bisect_right(self._starts, from_) - 1
        return self._ends[index] if index >= 0 and from_ <= self._ends[index] else None

    def missing(self, from_: int, through: int) -> list[Range]:
        """What of a range is not in the set, ascending."""
        pieces = []
        for index in range(bisect_left(self._ends, from_), len(self._starts)):
            start, end = self._starts[index], self._ends[index]
            if start > through or from_ > through:
                break
            if from_ < start:
                pieces.append((from_, start - 1))
            from_ = max(from_, end + 1)
        if from_ <= through:
            pieces.append((from_, through))
        return pieces


def windows(
    pieces: Sequence[Range],
    history: History = "newest",
    *,
    first_ms: int = WINDOW_FIRST_MS,
    max_ms: int = WINDOW_MAX_MS,
) -> Iterator[Range]:
    """Cut disjoint ranges into windows that double in size, newest (or oldest) first."""
    size = first_ms
    for from_, through in sorted(pieces, reverse=history == "newest"):
        low, high = from_, through
        while low <= high:
            if history == "newest":
                window = max(low, high - size + 1), high
                high = window[0] - 1
            else:
                window = low, min(high, low + size - 1)
                low = window[1] + 1
            size = min(2 * size, max_ms)
            yield window

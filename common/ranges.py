"""Sets of time ranges: inclusive pairs of ms since the Unix epoch. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""First and last millisecond, both included."""


class RangeSet:
    """A set of milliseconds, kept as disjoint ranges that do not touch, in ascending order."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for from_, through in ranges:
            self.add(from_, through)

    def __iter__(self) -> Iterator[Range]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self._starts)

    def __contains__(self, moment: int) -> bool:
        return self.end_from(moment) is not None

    @property
    def ranges(self) -> list[Range]:
        """The ranges, ascending."""
        return list(zip(self._starts, self._ends, strict=True))

    @property
    def end(self) -> int | None:
        """The last millisecond of all; None for the empty set."""
        return self._ends[-1] if self._ends else None

    def add(self, from_: int, through: int) -> bool:
        """Add a range; return whether the set changed (an empty range never changes it)."""
        if self.covers(from_, through):
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

    def remove(self, from_: int, through: int) -> None:
        """Remove a range."""
        if from_ > through:
            return
        low = bisect_left(self._ends, from_)
        high = bisect_right(self._starts, through)
        if low >= high:
            return
        first, last = self._starts[low], self._ends[high - 1]
        rest = [(first, from_ - 1)] if first < from_ else []
        rest += [(through + 1, last)] if last > through else []
        self._starts[low:high] = [start for start, _ in rest]
        self._ends[low:high] = [end for _, end in rest]

    def clear(self) -> None:
        """Remove everything."""
        self._starts.clear()
        self._ends.clear()

    def covers(self, from_: int, through: int) -> bool:
        """Return whether the whole range is in the set; an empty range is."""
        return from_ > through or ((end := self.end_from(from_)) is not None and end >= through)

    def overlaps(self, from_: int, through: int) -> bool:
        """Return whether any millisecond of the range is in the set."""
        return bisect_left(self._ends, from_) < bisect_right(self._starts, through)

    def end_from(self, from_: int) -> int | None:
        """Return the end of the range that contains ``from_``; None if none does."""
        index = bisect_left(self._ends, from_)
        if index == len(self._starts) or self._starts[index] > from_:
            return None
        return self._ends[index]

    def missing(self, from_: int, through: int) -> list[Range]:
        """Return the parts of a range that are not in the set, ascending."""
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

"""Sets of time ranges: what was scanned, what is missing, and the windows to fetch it in.

Ranges are inclusive pairs of milliseconds since the Unix epoch. Pure: no clock, no I/O.

Sets of milliseconds as disjoint ranges, both ends included. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


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


class Ranges:
    """Ranges of time; those that touch (one ends where the next begins less one) are one."""

    def __init__(self) -> None:
        """Create an empty set."""
        self._froms: list[int] = []
        self._throughs: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges, ascending."""
        return iter(zip(self._froms, self._throughs, strict=True))

    def __len__(self) -> int:
        """Number of ranges."""
        return len(self._froms)

    def add(self, from_: int, through: int) -> None:
        """Add a range; an empty one (``from_ > through``) is nothing."""
        if from_ > through:
            return
        low = bisect_left(self._throughs, from_ - 1)
        high = bisect_right(self._froms, through + 1)
        if low < high:
            from_ = min(from_, self._froms[low])
            through = max(through, self._throughs[high - 1])
        self._froms[low:high] = [from_]
        self._throughs[low:high] = [through]

    def remove(self, from_: int, through: int) -> None:
        """Take a range out."""
        if from_ > through:
            return
        low = bisect_left(self._throughs, from_)
        high = bisect_right(self._froms, through)
        if low >= high:
            return
        first, last = self._froms[low], self._throughs[high - 1]
        rest = [(first, from_ - 1)] if first < from_ else []
        rest += [(through + 1, last)] if last > through else []
        self._froms[low:high] = [one for one, _ in rest]
        self._throughs[low:high] = [one for _, one in rest]

    def clear(self) -> None:
        """Take everything out."""
        self._froms.clear()
        self._throughs.clear()

    def overlaps(self, from_: int, through: int) -> bool:
        """Whether any millisecond of a range is in the set."""
        return bisect_left(self._throughs, from_) < bisect_right(self._froms, through)

    def covers(self, from_: int, through: int) -> bool:
        """Whether a whole range is in the set; an empty one is."""
        return from_ > through or ((end := self.end_from(from_)) is not None and end >= through)

    def end_from(self, from_: int) -> int | None:
        """The last millisecond reached from ``from_`` without a hole; None where it is not in."""
        at = bisect_left(self._throughs, from_)
        if at == len(self._froms) or self._froms[at] > from_:
            return None
        return self._throughs[at]

    def without(self, from_: int, through: int) -> list[tuple[int, int]]:
        """What of a range is not in the set, ascending."""
        missing: list[tuple[int, int]] = []
        at = bisect_left(self._throughs, from_)
        while from_ <= through:
            if at == len(self._froms) or self._froms[at] > through:
                missing.append((from_, through))
                break
            if self._froms[at] > from_:
                missing.append((from_, self._froms[at] - 1))
            from_ = self._throughs[at] + 1
            at += 1
        return missing

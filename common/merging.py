"""Sets of milliseconds as disjoint ranges, both ends included. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


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

"""Rows around hits: what passes a filter, and some rows before and after each of it. Pure.

What was shown stays: a late row that parts a hit from its surroundings takes nothing away.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Final

from tui.lines.rows import Change, Line, Row, Rule
from tui.lines.timeline import Timeline
from tui.lines.view import SLICE_ROWS, Sieve, Test

AMOUNTS: Final = (0, 3, 10)
"""Rows before and after; ``z`` goes through them."""


class AroundSieve(Sieve):
    """A sieve that keeps the rows around lines that pass, too."""

    def __init__(self, timeline: Timeline, test: Test, around: int) -> None:
        """Begin; ``step`` does the work.

        Args:
            timeline: what is sieved.
            test: whether a line passes.
            around: rows before and after each line that does.

        """
        super().__init__(timeline, test, rules=True)
        self._around = around
        self._hits: list[int] = []
        """Keys of the lines that pass, ascending."""

    @property
    def lines(self) -> int:
        """Lines that passed."""
        return len(self._hits)

    def is_hit(self, key: int) -> bool:
        """Whether a line passed, or only stands beside one that did."""
        at = bisect_left(self._hits, key)
        return at < len(self._hits) and self._hits[at] == key

    def hidden_between(self, above: int, below: int) -> int:
        """How many rows that are not shown stand between two that are, one after the other."""
        return max(0, self._timeline.index_of(below) - self._timeline.index_of(above) - 1)

    def step(self, rows: int | None = None) -> bool:
        """Go over some more rows, towards the oldest; False once all are done."""
        if self.is_done:
            return False
        rows = SLICE_ROWS if rows is None else rows
        high = self._timeline.index_of(self._from)
        part = self._timeline.rows(high - rows, high)
        passing = self._passing(part)
        self._hits[:0] = [key for key in passing if key not in self._rule_keys]
        if part:
            self._from = part[0].key
        self.is_done = high <= rows
        if self.is_done:
            self._from = 0
        self._show([*passing, *self._beside(high - len(part), high)])
        return not self.is_done

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        for low, high in change.removed:
            self._rule_keys.difference_update(self.keys.remove(low, high))
            begin, end = bisect_left(self._hits, low), bisect_right(self._hits, high)
            del self._hits[begin:end]
        unseen = self._unseen(change)
        passing = self._passing(unseen)
        for key in passing:
            if key not in self._rule_keys and not self.is_hit(key):
                insort(self._hits, key)
        self._show(passing)
        for low, high in self._stretches(unseen):
            self._show(self._beside(low, high))

    def _stretches(self, rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
        """The places of new rows and of their neighbours, as few ranges of indexes."""
        around, begin, end = self._around, 0, 0
        for index in sorted(self._timeline.index_of(row.key) for row in rows):
            if index - around > end:
                if begin < end:
                    yield begin, end
                begin = max(0, index - around)
            end = index + around + 1
        if begin < end:
            yield begin, end

    def _beside(self, low: int, high: int) -> list[int]:
        """Keys of the rows that stand beside hits, the hits being those from ``low`` to ``high``.

        Hits beyond may have neighbours among them, and theirs may stand beyond.
        """
        around = self._around
        first = max(0, low - around)
        rows = self._timeline.rows(first, high + around)
        found: list[int] = []
        reached = 0
        for place, row in enumerate(rows):
            if isinstance(row, Line) and self.is_hit(row.key):
                begin = max(reached, place - around)
                reached = min(len(rows), place + around + 1)
                found += [one.key for one in rows[begin:reached]]
        return found

    def _show(self, keys: Iterable[int]) -> None:
        """Put keys among those that are shown; those that were already are shown once."""
        fresh = sorted({key for key in keys if not self.has(key)})
        if not fresh:
            return
        rules = {row.key for row in map(self._timeline.find, fresh) if isinstance(row, Rule)}
        self._rule_keys |= rules
        above = bisect_left(fresh, self._first_shown())
        for key in fresh[above:]:
            self.keys.add(key)
        self.keys.put_before(fresh[:above])

    def _first_shown(self) -> int:
        first = self.keys.between(0, 1)
        return first[0] if first else 0

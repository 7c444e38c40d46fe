"""Which rows of the timeline are shown: all of them, or those that pass a test. Pure.

A sieve goes over the timeline newest first, a slice at a time, so that the first screen is there
at once and a long log never holds up a key; meanwhile and afterwards it takes in what arrives.

Rows around hits: what passes a filter, and some rows before and after each of it. Pure.

What was shown stays: a late row that parts a hit from its surroundings takes nothing away.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from tui.lines.blocks import PACKED_GAIN
from tui.lines.keys import KeySet
from tui.lines.packed import PackedRows
from tui.lines.rows import Change, Line, Row, Rule
from tui.lines.text_search import prefilter_of
from tui.lines.timeline import Timeline

SLICE_ROWS: Final = 4096
"""Rows that a step goes over: a few milliseconds."""

READ_ROWS: Final = SLICE_ROWS // PACKED_GAIN
"""The same where each line must be read: for its level, or as JSON."""

LinePredicate = Callable[[Line], bool]


class BlockTest(ABC):
    """A test that tells of a whole block at once which lines pass."""

    slice_rows = SLICE_ROWS
    """Rows to go over in a step; fewer where a line is read more than searched."""

    @abstractmethod
    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""

    @abstractmethod
    def flags(self, block: PackedRows) -> bytes:
        """Which lines of a block without rules pass: a byte for each, 1 or 0."""


class TextTest(BlockTest):
    """Whether a pattern is found in a message."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        """Look for a pattern."""
        self._search = pattern.search
        self._hint = prefilter_of(pattern)

    def __call__(self, line: Line) -> bool:
        """Whether a line has it."""
        return self._search(line.message) is not None

    def flags(self, block: PackedRows) -> bytes:
        """Which lines of a block have it."""
        return block.matching(self._hint)


class BothTests(BlockTest):
    """Two tests at once; the first one should be the one that fewer lines pass."""

    def __init__(self, one: BlockTest, other: BlockTest) -> None:
        """Lines pass that pass both."""
        self._tests = one, other
        self.slice_rows = min(one.slice_rows, other.slice_rows)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        one, other = self._tests
        return one(line) and other(line)

    def flags(self, block: PackedRows) -> bytes:
        """Which lines of a block pass."""
        one, other = self._tests
        found = one.flags(block)
        return both(found, other.flags(block)) if 1 in found else found


def both(one: bytes, other: bytes) -> bytes:
    """Flags that are set here and there."""
    found = int.from_bytes(one, "little") & int.from_bytes(other, "little")
    return found.to_bytes(len(one), "little")


def neither(flags: bytes) -> bytes:
    """Flags that are not set."""
    return flags.translate(_TURNED)


_TURNED: Final = bytes([1, 0]) + bytes(254)


class MatchingRows:
    """The keys of the rows that pass a test, ascending; rules pass if ``rules`` says so."""

    def __init__(self, timeline: Timeline, test: LinePredicate, *, rules: bool) -> None:
        """Begin; ``step`` does the work.

        Args:
            timeline: what is sieved.
            test: whether a line passes.
            rules: whether rules do: what is missing must be seen under any filter.

        """
        self._timeline = timeline
        self._test = test
        self._bulk = test if isinstance(test, BlockTest) else None
        self._rules = rules
        self._rule_keys: set[int] = set()
        self.keys = KeySet()
        self._last = timeline.row(len(timeline) - 1).key if len(timeline) else -1
        """The greatest key gone over."""
        self._from = self._last + 1
        """Rows from this key on have been gone over."""
        self.is_done = not len(timeline)

    def step(self, rows: int | None = None) -> bool:
        """Go over some more rows, towards the oldest; False once all are done."""
        if self.is_done:
            return False
        if rows is None:
            rows = SLICE_ROWS if self._bulk is None else self._bulk.slice_rows
        stretches, self._from = self._timeline.stretches_below(
            self._from, rows, packed=self._bulk is not None
        )
        for stretch in stretches:
            passing = self._passing(stretch.rows)
            if self._bulk is not None and stretch.sealed is not None:
                self.keys.put_flagged(stretch.sealed.keys, self._bulk.flags(stretch.sealed))
                for key in passing:
                    self.keys.add(key)
            else:
                self.keys.put_before(passing)
        self.is_done = self._from == 0
        return not self.is_done

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        for low, high in change.removed:
            self._rule_keys.difference_update(self.keys.remove(low, high))
        for key in self._passing(self._unseen(change)):
            self.keys.add(key)

    def _unseen(self, change: Change) -> list[Row]:
        """The rows of a change that no step has gone over or will, each once."""
        size = len(self._timeline)
        # What was appended may have been parted since, by what was inserted: look that far back.
        tail = self._timeline.rows(size - change.appended - len(change.inserted), size)
        unseen: dict[int, Row] = {row.key: row for row in tail if row.key > self._last}
        for key in change.inserted:
            row = self._timeline.find(key)
            if row is not None and key >= self._from:
                unseen[key] = row
        self._last = max(self._last, *unseen) if unseen else self._last
        return list(unseen.values())

    @property
    def lines(self) -> int:
        """Rows that passed, without the rules."""
        return len(self.keys) - len(self._rule_keys)

    def index_of(self, key: int) -> int:
        """How many of the keys are below one."""
        return self.keys.index_of(key)

    def has(self, key: int) -> bool:
        """Whether a row passed."""
        return self.keys.has(key)

    def _passing(self, rows: Sequence[Row]) -> list[int]:
        test = self._test
        passing: list[int] = []
        for row in rows:
            if isinstance(row, Line):
                if test(row):
                    passing.append(row.key)
            elif self._rules:
                passing.append(row.key)
                self._rule_keys.add(row.key)
        return passing


class View:
    """The timeline as it is looked at: rows by index, all of them or through a sieve."""

    def __init__(self, timeline: Timeline) -> None:
        """Look at all rows."""
        self.timeline = timeline
        self.sieve: MatchingRows | None = None

    def __len__(self) -> int:
        """Rows shown, rules included."""
        return len(self.timeline) if self.sieve is None else len(self.sieve.keys)

    @property
    def lines(self) -> int:
        """Rows shown, without the rules."""
        return self.timeline.lines if self.sieve is None else self.sieve.lines

    def select(self, test: LinePredicate | None) -> None:
        """Show only lines that pass, and rules; None shows all."""
        self.show(None if test is None else MatchingRows(self.timeline, test, rules=True))

    def show(self, sieve: MatchingRows | None) -> None:
        """Show only what a sieve over the same timeline lets pass; None shows all."""
        self.sieve = sieve
        if sieve is not None:
            sieve.step()

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        if self.sieve is not None:
            self.sieve.apply(change)

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from ``start`` up to ``stop``, as far as there are any."""
        if self.sieve is None:
            return self.timeline.rows(start, stop)
        found = map(self.timeline.find, self.sieve.keys.between(start, stop))
        return [row for row in found if row is not None]

    def index_of(self, key: int) -> int:
        """The index of a key, or where it would stand."""
        if self.sieve is None:
            return self.timeline.index_of(key)
        return self.sieve.index_of(key)


CONTEXT_AMOUNTS: Final = (0, 3, 10)
"""Rows before and after; ``z`` goes through them."""


class ContextRows(MatchingRows):
    """A sieve that keeps the rows around lines that pass, too."""

    def __init__(self, timeline: Timeline, test: LinePredicate, around: int) -> None:
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

    def is_match(self, key: int) -> bool:
        """Whether a line passed, or only stands beside one that did."""
        at = bisect_left(self._hits, key)
        return at < len(self._hits) and self._hits[at] == key

    def count_hidden_between(self, above: int, below: int) -> int:
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
            if key not in self._rule_keys and not self.is_match(key):
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
            if isinstance(row, Line) and self.is_match(row.key):
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

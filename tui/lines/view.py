"""Which rows of the timeline are shown: all, or those that pass a test; finding the next. Pure.

A test is applied to the rows newest first, a slice at a time, so that the first screen is there
at once and a long log never delays a key press. Rows that arrive meanwhile are taken in. Packed
blocks are tested as they are: the far end of a million lines is a quarter of a second away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from common.patterns import Pattern
from common.text import without_colours
from tui.lines.blocks import PACKED_GAIN, Stretch
from tui.lines.keys import KeySet
from tui.lines.levels import at_least, level_of
from tui.lines.packed import PackedRows
from tui.lines.rows import Change, Line, Row, Rule
from tui.lines.timeline import Timeline

SLICE_ROWS: Final = 4096
"""Rows tested in one step: a few milliseconds."""

READ_ROWS: Final = SLICE_ROWS // PACKED_GAIN
"""The same for a test that must parse each line: for its level, or as JSON."""

_PART_ROWS: Final = 16
"""Rows read at once for a search that reads them as objects: as many may be of 1 MB each."""

CONTEXT_AMOUNTS: Final = (0, 3, 10)
"""Numbers of context lines before and after a match, in the order in which ``z`` offers them."""

LinePredicate = Callable[[Line], bool]


class BlockTest(ABC):
    """A test of lines that can be applied to a packed block at once."""

    slice_rows = SLICE_ROWS
    """Rows to test in one step."""

    @abstractmethod
    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""

    @abstractmethod
    def flags(self, block: PackedRows) -> bytes:
        """One byte for each line of a block without rules: 1 if it passes, else 0."""


class TextTest(BlockTest):
    """Passes lines whose message, as it is shown, matches a pattern."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self.slice_rows = SLICE_ROWS if pattern.literal else READ_ROWS

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self._pattern.matches(without_colours(line.message))

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it matches, else 0."""
        return block.flags_of_pattern(self._pattern)


class LevelTest(BlockTest):
    """Passes lines of a level or above; lines without a level do not pass."""

    slice_rows = READ_ROWS

    def __init__(self, minimum: str) -> None:
        self._minimum = minimum

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self._passes(level_of(line.message))

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        return block.flags_of_levels(self._passes)

    def _passes(self, level: str | None) -> bool:
        return level is not None and at_least(level, self._minimum)


class AllTests(BlockTest):
    """Passes lines that pass several tests, one at least; the first should be the fastest."""

    def __init__(self, *tests: BlockTest) -> None:
        self._tests = tests
        self.slice_rows = min(test.slice_rows for test in tests)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return all(test(line) for test in self._tests)

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes all, else 0."""
        first, *others = self._tests
        found = first.flags(block)
        for test in others:
            if 1 not in found:
                break
            found = and_flags(found, test.flags(block))
        return found


class NotTest(BlockTest):
    """Passes lines that do not pass a test."""

    def __init__(self, test: BlockTest) -> None:
        self._test = test
        self.slice_rows = test.slice_rows

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return not self._test(line)

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it does not pass, else 0."""
        return invert_flags(self._test.flags(block))


def and_flags(one: bytes, other: bytes) -> bytes:
    """Flags that are 1 where both are."""
    found = int.from_bytes(one, "little") & int.from_bytes(other, "little")
    return found.to_bytes(len(one), "little")


def invert_flags(flags: bytes) -> bytes:
    """Flags that are 1 where these are 0."""
    return flags.translate(_INVERTED)


_INVERTED: Final = bytes([1, 0]) + bytes(254)


class MatchingRows:
    """The keys of the rows that pass a test, found step by step.

    Args:
        timeline: The rows to test.
        test: Whether a line passes.
        rules: Whether rules pass, so that gaps are seen under any filter.
    """

    def __init__(self, timeline: Timeline, test: LinePredicate, *, rules: bool) -> None:
        self._timeline = timeline
        self._test = test
        self._block_test = test if isinstance(test, BlockTest) else None
        self._rules = rules
        self._rule_keys: set[int] = set()
        self.keys = KeySet()
        self._last = timeline.row(len(timeline) - 1).key if len(timeline) else -1
        """The highest key tested."""
        self._from = self._last + 1
        """Rows from this key on have been tested."""
        self.is_done = not len(timeline)

    def step(self, rows: int | None = None) -> bool:
        """Test some older rows; False once all are tested."""
        if self.is_done:
            return False
        if rows is None:
            rows = SLICE_ROWS if self._block_test is None else self._block_test.slice_rows
        stretches, self._from = self._timeline.stretches_below(
            self._from, rows, packed=self._block_test is not None
        )
        for stretch in stretches:
            passing = self._passing(stretch.rows)
            if self._block_test is not None and stretch.packed is not None:
                flags = self._block_test.flags(stretch.packed)
                self.keys.prepend_flagged(stretch.packed.keys, flags)
                for key in passing:
                    self.keys.add(key)
            else:
                self.keys.prepend(passing)
        self.is_done = self._from == 0
        return not self.is_done

    def apply(self, change: Change) -> None:
        """Take in a change of the timeline."""
        for low, high in change.removed:
            self._rule_keys.difference_update(self.keys.remove(low, high))
        self._note_removed(change)
        for key in self._passing(self._untested(change)):
            self.keys.add(key)

    @property
    def lines(self) -> int:
        """Number of lines that passed."""
        return len(self.keys) - len(self._rule_keys)

    def index_of(self, key: int) -> int:
        """The number of rows that passed below a key."""
        return self.keys.index_of(key)

    def has(self, key: int) -> bool:
        """Whether the row of a key passed."""
        return self.keys.has(key)

    def _note_removed(self, change: Change) -> None:
        """Test rows again that come back below all others, after a replay has gone back."""
        for low, high in change.removed:
            if low <= self._last <= high:
                below = self._timeline.index_of(low)
                self._last = self._timeline.row(below - 1).key if below else -1
                return

    def _untested(self, change: Change) -> list[Row]:
        """The rows of a change that no step has tested or will test, each once."""
        size = len(self._timeline)
        # Rows inserted later may stand between appended ones: look that much further back.
        tail = self._timeline.rows(size - change.appended - len(change.inserted), size)
        untested: dict[int, Row] = {row.key: row for row in tail if row.key > self._last}
        for key in change.inserted:
            row = self._timeline.find(key)
            if row is not None and key >= self._from:
                untested[key] = row
        self._last = max(self._last, *untested) if untested else self._last
        return list(untested.values())

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


class ContextRows(MatchingRows):
    """The keys of the rows that pass a test, and of the rows around them (context lines).

    A context line that is shown stays, even if a late row separates it from its match.

    Args:
        timeline: The rows to test.
        test: Whether a line passes.
        context: Number of rows before and after each match.
    """

    def __init__(self, timeline: Timeline, test: LinePredicate, context: int) -> None:
        super().__init__(timeline, test, rules=True)
        self._context = context
        self._matches: list[int] = []
        """Keys of the lines that passed, ascending."""

    @property
    def lines(self) -> int:
        """Number of lines that passed, without context lines."""
        return len(self._matches)

    def is_match(self, key: int) -> bool:
        """Whether a line passed; if not, it is a context line."""
        at = bisect_left(self._matches, key)
        return at < len(self._matches) and self._matches[at] == key

    def count_hidden_between(self, above: int, below: int) -> int:
        """Number of hidden rows between two rows that are shown one after the other."""
        return max(0, self._timeline.index_of(below) - self._timeline.index_of(above) - 1)

    def step(self, rows: int | None = None) -> bool:
        """Test some older rows; False once all are tested."""
        if self.is_done:
            return False
        rows = SLICE_ROWS if rows is None else rows
        high = self._timeline.index_of(self._from)
        part = self._part_below(high, rows)
        passing = self._passing(part)
        self._matches[:0] = [key for key in passing if key not in self._rule_keys]
        if part:
            self._from = part[0].key
        self.is_done = high <= len(part)
        if self.is_done:
            self._from = 0
        self._show([*passing, *self._context_of(high - len(part), high)])
        return not self.is_done

    def _part_below(self, high: int, rows: int) -> list[Row]:
        """The rows below an index, upwards, that one step tests."""
        parts: list[list[Row]] = []
        while high > 0 and rows > 0:
            low = max(0, high - min(rows, _PART_ROWS))
            parts.append(self._timeline.rows(low, high))
            rows -= Stretch(parts[-1]).cost
            high = low
        return [row for part in reversed(parts) for row in part]

    def apply(self, change: Change) -> None:
        """Take in a change of the timeline."""
        for low, high in change.removed:
            self._rule_keys.difference_update(self.keys.remove(low, high))
            begin, end = bisect_left(self._matches, low), bisect_right(self._matches, high)
            del self._matches[begin:end]
        self._note_removed(change)
        untested = self._untested(change)
        passing = self._passing(untested)
        for key in passing:
            if key not in self._rule_keys and not self.is_match(key):
                insort(self._matches, key)
        self._show(passing)
        for low, high in self._index_ranges_around(untested):
            self._show(self._context_of(low, high))

    def _index_ranges_around(self, rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
        """Index ranges, as few as possible, of new rows and the rows around them."""
        context, begin, end = self._context, 0, 0
        for index in sorted(self._timeline.index_of(row.key) for row in rows):
            if index - context > end:
                if begin < end:
                    yield begin, end
                begin = max(0, index - context)
            end = index + context + 1
        if begin < end:
            yield begin, end

    def _context_of(self, low: int, high: int) -> list[int]:
        """Keys of matches and context lines at the indexes ``low`` to ``high``, and around them.

        Matches beyond the range may have context lines within it, and the other way round.
        """
        context = self._context
        first = max(0, low - context)
        rows = self._timeline.rows(first, high + context)
        found: list[int] = []
        done = 0
        for at, row in enumerate(rows):
            if isinstance(row, Line) and self.is_match(row.key):
                begin = max(done, at - context)
                done = min(len(rows), at + context + 1)
                found += [one.key for one in rows[begin:done]]
        return found

    def _show(self, keys: Iterable[int]) -> None:
        """Add keys to those that are shown."""
        new = sorted({key for key in keys if not self.has(key)})
        if not new:
            return
        rules = {row.key for row in map(self._timeline.find, new) if isinstance(row, Rule)}
        self._rule_keys |= rules
        shown = self.keys.between(0, 1)
        above = bisect_left(new, shown[0] if shown else 0)
        for key in new[above:]:
            self.keys.add(key)
        self.keys.prepend(new[:above])


class View:
    """The rows that are shown, by index: all of the timeline, or those of ``matching``."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.matching: MatchingRows | None = None

    def __len__(self) -> int:
        return len(self.timeline) if self.matching is None else len(self.matching.keys)

    @property
    def lines(self) -> int:
        """Number of lines shown, without rules and context lines."""
        return self.timeline.lines if self.matching is None else self.matching.lines

    def show_passing(self, test: LinePredicate | None) -> None:
        """Show only lines that pass a test, and rules; None shows all rows."""
        self.show(None if test is None else MatchingRows(self.timeline, test, rules=True))

    def show(self, matching: MatchingRows | None) -> None:
        """Show only matching rows of the same timeline; None shows all rows."""
        self.matching = matching
        if matching is not None:
            matching.step()

    def apply(self, change: Change) -> None:
        """Take in a change of the timeline."""
        if self.matching is not None:
            self.matching.apply(change)

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows at the indexes ``start`` to ``stop``, exclusive, as far as there are any."""
        if self.matching is None:
            return self.timeline.rows(start, stop)
        found = map(self.timeline.find, self.matching.keys.between(start, stop))
        return [row for row in found if row is not None]

    def index_of(self, key: int) -> int:
        """The number of shown rows below a key, which is the index where it stands or belongs."""
        if self.matching is None:
            return self.timeline.index_of(key)
        return self.matching.index_of(key)


Found = tuple[int | None, int | None]
"""The key found, or None; and the ``start`` of the next slice, or None at the end."""

NOT_FOUND: Final[Found] = None, None


def find_in_view(
    view: View, start: int, direction: int, test: LinePredicate, rows: int = SLICE_ROWS
) -> Found:
    """Search one slice of the rows that are shown.

    Args:
        view: Where to search.
        start: Downwards, the first key to test; upwards, the key above the first one.
        direction: 1 downwards, -1 upwards.
        test: Whether a line is one to find.
        rows: Rows in the slice.
    """
    index = view.index_of(start)
    at = start
    while rows > 0:
        count = min(rows, _PART_ROWS)
        low, high = (index, index + count) if direction > 0 else (index - count, index)
        part = view.rows(low, high)
        if not part:
            return NOT_FOUND
        for row in part if direction > 0 else reversed(part):
            if isinstance(row, Line) and test(row):
                return row.key, None
        at = part[-1].key + 1 if direction > 0 else part[0].key
        index += direction * count
        rows -= Stretch(part).cost
    return None, at


def find_in_timeline(
    timeline: Timeline, start: int, direction: int, test: BlockTest, rows: int | None = None
) -> Found:
    """Search one slice of all rows, block by block, which takes a tenth of the time.

    Args:
        timeline: Where to search.
        start: Downwards, the first key to test; upwards, the key above the first one.
        direction: 1 downwards, -1 upwards.
        test: Whether a line is one to find.
        rows: About how many rows; None: as many as suit the test.
    """
    at = start
    rows = test.slice_rows if rows is None else rows
    while rows > 0:
        following = timeline.next_stretch(at, direction)
        if following is None:
            return NOT_FOUND
        stretch, after = following
        found = _find_in_stretch(stretch, at, direction, test)
        if found is not None:
            return found, None
        rows -= stretch.cost
        at = after
    return None, at


def _find_in_stretch(stretch: Stretch, start: int, direction: int, test: BlockTest) -> int | None:
    """The key of the nearest line that passes."""
    rows = stretch.rows if direction > 0 else reversed(stretch.rows)
    ahead = (row for row in rows if (row.key >= start if direction > 0 else row.key < start))
    found = [next((row.key for row in ahead if isinstance(row, Line) and test(row)), None)]
    if stretch.packed is not None:
        flags, keys = test.flags(stretch.packed), stretch.packed.keys
        index = keys.index_of(start)
        at = flags.find(1, index) if direction > 0 else flags.rfind(1, 0, index)
        found.append(keys[at] if at >= 0 else None)
    nearest = [key for key in found if key is not None]
    if not nearest:
        return None
    return min(nearest) if direction > 0 else max(nearest)

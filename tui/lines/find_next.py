"""Finds the next line that passes a test, up or down, in slices that never delay a key. Pure.

Packed blocks are searched as they are: the far end of a million lines is a quarter of a second
away.
"""

from __future__ import annotations

from typing import Final

from tui.lines.blocks import PACKED_GAIN, Stretch
from tui.lines.packed import PackedRows
from tui.lines.rows import Line, at_least, level_of
from tui.lines.timeline import Timeline
from tui.lines.view import READ_ROWS, SLICE_ROWS, BlockTest, LinePredicate, View

Found = tuple[int | None, int | None]
"""The key found, or None; and the ``start`` of the next slice, or None at the end."""

NOT_FOUND: Final[Found] = None, None


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
    part = view.rows(index, index + rows) if direction > 0 else view.rows(index - rows, index)
    for row in part if direction > 0 else reversed(part):
        if isinstance(row, Line) and test(row):
            return row.key, None
    if not part:
        return NOT_FOUND
    return None, part[-1].key + 1 if direction > 0 else part[0].key


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
        rows -= len(stretch.rows)
        if stretch.packed is not None:
            rows -= len(stretch.packed) // PACKED_GAIN
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

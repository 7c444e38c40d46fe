"""Looking for the next line that passes a test, up or down, in slices that hold up no key. Pure.

A test that tells of whole blocks is asked about blocks, packed as they are: the far end of a
million lines is a quarter of a second away.
"""

from __future__ import annotations

from typing import Final

from tui.lines.blocks import PACKED_GAIN, Stretch
from tui.lines.packed import PackedRows
from tui.lines.rows import Line, at_least, level_of
from tui.lines.timeline import Timeline
from tui.lines.view import READ_ROWS, SLICE_ROWS, BlockTest, LinePredicate, View

Found = tuple[int | None, int | None]
"""The key found, or None; and the ``start`` to go on with, or None at the end."""

NOTHING: Final[Found] = None, None


class LevelTest(BlockTest):
    """Whether a line says that it is of a level or above."""

    slice_rows = READ_ROWS

    def __init__(self, least: str) -> None:
        """Look for a level."""
        self._least = least

    def __call__(self, line: Line) -> bool:
        """Whether a line is."""
        return self._passes(level_of(line.message))

    def flags(self, block: PackedRows) -> bytes:
        """Which lines of a block are."""
        return block.of_levels(self._passes)

    def _passes(self, level: str | None) -> bool:
        return level is not None and at_least(level, self._least)


def find_in_view(
    view: View, start: int, direction: int, test: LinePredicate, rows: int = SLICE_ROWS
) -> Found:
    """Look for the next line that passes a test, in one slice of the view.

    Args:
        view: where to look.
        start: a key; downwards it is the first that counts, upwards the first that does not.
        direction: 1 downwards, -1 upwards.
        test: whether a line is looked for.
        rows: how many to go over.

    Returns:
        The key found, or None; and the ``start`` to go on with, or None at the end.

    """
    index = view.index_of(start)
    part = view.rows(index, index + rows) if direction > 0 else view.rows(index - rows, index)
    for row in part if direction > 0 else reversed(part):
        if isinstance(row, Line) and test(row):
            return row.key, None
    if not part:
        return NOTHING
    return None, part[-1].key + 1 if direction > 0 else part[0].key


def find_in_timeline(
    timeline: Timeline, start: int, direction: int, test: BlockTest, rows: int | None = None
) -> Found:
    """The same over all rows, whatever is shown: block by block, which costs a tenth.

    Args:
        timeline: where to look.
        start: a key; downwards it is the first that counts, upwards the first that does not.
        direction: 1 downwards, -1 upwards.
        test: whether a line is looked for.
        rows: how many to go over, about, instead of as many as suit the test.

    Returns:
        The key found, or None; and the ``start`` to go on with, or None at the end.

    """
    at = start
    rows = test.slice_rows if rows is None else rows
    while rows > 0:
        beside = timeline.stretch_beside(at, direction)
        if beside is None:
            return NOTHING
        stretch, after = beside
        found = _in_stretch(stretch, at, direction, test)
        if found is not None:
            return found, None
        rows -= len(stretch.rows)
        if stretch.sealed is not None:
            rows -= len(stretch.sealed) // PACKED_GAIN
        at = after
    return None, at


def _in_stretch(stretch: Stretch, start: int, direction: int, test: BlockTest) -> int | None:
    """The key of the nearest line that passes, of those that count."""
    rows = stretch.rows if direction > 0 else reversed(stretch.rows)
    counting = (row for row in rows if (row.key >= start if direction > 0 else row.key < start))
    found = [next((row.key for row in counting if isinstance(row, Line) and test(row)), None)]
    if stretch.sealed is not None:
        flags, keys = test.flags(stretch.sealed), stretch.sealed.keys
        place = keys.index_of(start)
        at = flags.find(1, place) if direction > 0 else flags.rfind(1, 0, place)
        found.append(keys[at] if at >= 0 else None)
    nearest = [key for key in found if key is not None]
    if not nearest:
        return None
    return min(nearest) if direction > 0 else max(nearest)

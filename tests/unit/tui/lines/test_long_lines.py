"""A step of a search takes a bounded number of bytes, however long the lines are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.fake_engine import EPOCH_MS, make_line
from tui.lines.blocks import CHUNK_CHARS, PACKED_GAIN
from tui.lines.packed import PackedRows
from tui.lines.rows import Line
from tui.lines.timeline import Timeline
from tui.lines.view import (
    READ_ROWS,
    SLICE_ROWS,
    BlockTest,
    ContextRows,
    Found,
    MatchingRows,
    View,
    find_in_timeline,
    find_in_view,
)

LONG = 256 << 10
COUNT = 120
STEP_CHARS = 9 * CHUNK_CHARS
"""Of unpacked rows; several times less than all lines have."""


class Counting(BlockTest):
    """Passes nothing, and counts the characters that it was given."""

    def __init__(self) -> None:
        self.open = 0
        self.packed = 0

    def __call__(self, line: Line) -> bool:
        self.open += len(line.message)
        return False

    def flags(self, block: PackedRows) -> bytes:
        self.packed += block.text_bytes
        return bytes(len(block))

    def take(self) -> None:
        """Check what one step was given."""
        assert self.open + self.packed / PACKED_GAIN <= STEP_CHARS
        self.open = self.packed = 0


def long_lines(*, late: bool = False, at_once: bool = True) -> Timeline:
    timeline = Timeline()
    lines = [make_line(number, "x" * LONG) for number in range(COUNT)]
    if late:
        timeline.add_many(make_line(9_000 + n, "end", at_ms=EPOCH_MS + 10**9) for n in range(9))
    if at_once:
        timeline.add_many(lines)
    else:
        for line in lines:
            timeline.add_many([line])
    return timeline


@pytest.mark.parametrize(
    "build",
    [
        long_lines,
        lambda: long_lines(late=True),
        lambda: long_lines(at_once=False),
        lambda: long_lines(late=True, at_once=False),
    ],
    ids=["appended", "late", "one by one", "late, one by one"],
)
def test_a_step_reads_a_bounded_number_of_bytes(build: Callable[[], Timeline]) -> None:
    timeline = build()
    for has_context in (False, True):
        test = Counting()
        matching = (
            ContextRows(timeline, test, 3)
            if has_context
            else MatchingRows(timeline, test, rules=True)
        )
        steps = 1
        while matching.step(READ_ROWS if steps % 2 else SLICE_ROWS):
            test.take()
            steps += 1
        test.take()
        assert steps > 2


@pytest.mark.parametrize("direction", [1, -1])
def test_a_search_reads_a_bounded_number_of_bytes(direction: int) -> None:
    timeline, test = long_lines(late=True), Counting()
    first = 0 if direction > 0 else timeline.row(len(timeline) - 1).key + 1

    def in_timeline(at: int) -> Found:
        return find_in_timeline(timeline, at, direction, test)

    def in_view(at: int) -> Found:
        return find_in_view(View(timeline), at, direction, test)

    for search in (in_timeline, in_view):
        at: int | None = first
        slices = 0
        while at is not None:
            _, at = search(at)
            test.take()
            slices += 1
        assert slices > 2


def test_lines_are_the_same_in_small_blocks() -> None:
    for late in (False, True):
        for at_once in (False, True):
            timeline = long_lines(late=late, at_once=at_once)
            size = len(timeline)
            keys = [row.key for row in timeline.rows(0, size)]
            assert keys == sorted(keys)
            assert size == COUNT + 9 * late
            assert [timeline.index_of(key) for key in keys] == list(range(size))

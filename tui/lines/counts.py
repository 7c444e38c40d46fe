"""Counts the lines of the timeline: by log stream, and by time and level for the histogram. Pure.

Each line is counted once, even if it is evicted from memory and refetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from common.ranges import RangeSet
from tui.lines.levels import at_least, level_of
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from tui.lines.view import MatchingRows

STREAMS_MAX: Final = 10_000
"""Log streams counted by name; a longer list would be of no use."""

BUCKETS_MAX: Final = 4_096
"""Buckets that hold lines, some twenty for each column; beyond that, buckets become longer."""

STEPS_MS: Final = (100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000)
"""Lengths of a bucket, each a multiple of the one before; then a day, and tenfold from there."""

SLICE_ROWS: Final = 1_024
"""Lines counted in one step: parsing their levels takes a few milliseconds."""

_DAY_MS: Final = 86_400_000


class StreamCounts:
    """Number of lines by log stream."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.others = 0
        """Lines of streams beyond ``STREAMS_MAX``."""

    def add(self, line: Line) -> None:
        """Count a line."""
        name = line.stream
        if name in self.counts:
            self.counts[name] += 1
        elif len(self.counts) < STREAMS_MAX:
            self.counts[name] = 1
        else:
            self.others += 1


class VolumeBucket(msgspec.Struct):
    """Number of lines in a span of time."""

    lines: int = 0
    errors: int = 0
    """Lines of level error or fatal."""
    warnings: int = 0
    backfilled: int = 0
    repaired: int = 0

    def add(self, other: VolumeBucket) -> None:
        """Add the counts of another bucket."""
        self.lines += other.lines
        self.errors += other.errors
        self.warnings += other.warnings
        self.backfilled += other.backfilled
        self.repaired += other.repaired


class LineVolume:
    """Lines by time, level and origin, in buckets that become longer as their number grows."""

    def __init__(self, level: Callable[[str], str | None] = level_of) -> None:
        self.step_ms = STEPS_MS[0]
        self.buckets: dict[int, VolumeBucket] = {}
        """By ``timestamp // step_ms``."""
        self._level = level

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """Beginning of the first bucket and end of the last, inclusive; None without lines."""
        if not self.buckets:
            return None
        return min(self.buckets) * self.step_ms, (max(self.buckets) + 1) * self.step_ms - 1

    def add(self, line: Line) -> None:
        """Count a line."""
        at = line.timestamp // self.step_ms
        bucket = self.buckets.get(at)
        if bucket is None:
            bucket = self.buckets[at] = VolumeBucket()
            if len(self.buckets) > BUCKETS_MAX:
                self._coarsen()
                bucket = self.buckets[line.timestamp // self.step_ms]
        level = self._level(line.message)
        bucket.lines += 1
        if level is not None and at_least(level, "error"):
            bucket.errors += 1
        elif level == "warn":
            bucket.warnings += 1
        if line.origin == "backfill":
            bucket.backfilled += 1
        elif line.origin == "repair":
            bucket.repaired += 1

    def _coarsen(self) -> None:
        """Merge buckets into longer ones until there are few enough."""
        while len(self.buckets) > BUCKETS_MAX:
            longer = [step for step in STEPS_MS if step > self.step_ms]
            step = longer[0] if longer else max(_DAY_MS, self.step_ms * 10)
            merged: dict[int, VolumeBucket] = {}
            for at, bucket in self.buckets.items():
                merged.setdefault(at * self.step_ms // step, VolumeBucket()).add(bucket)
            self.step_ms, self.buckets = step, merged


class LineCounter:
    """Passes each line of the timeline to ``add`` once: newest first, then those that arrive.

    Args:
        timeline: The lines to count.
        add: Counts a line; its result is ignored.
    """

    def __init__(self, timeline: Timeline, add: Callable[[Line], object]) -> None:
        self._add = add
        self._evicted = RangeSet()
        """Keys of lines that were counted before they left memory."""
        self._lowest: int | None = None
        """The lowest key counted."""
        self._rows = MatchingRows(timeline, self._count, rules=False)

    @property
    def is_done(self) -> bool:
        """Whether all lines that were there at the beginning have been counted."""
        return self._rows.is_done

    def step(self) -> bool:
        """Count some older lines; False once all are counted."""
        return self._rows.step(SLICE_ROWS)

    def apply(self, change: Change) -> None:
        """Take in a change of the timeline."""
        self._rows.apply(change)
        if self._lowest is not None:
            for low, high in change.removed:
                self._evicted.add(max(low, self._lowest), high)

    def _count(self, line: Line) -> bool:
        """Count a line, unless it is a refetched one; as a test it passes no line."""
        if not self._evicted.covers(line.key, line.key):
            self._add(line)
            self._lowest = line.key if self._lowest is None else min(self._lowest, line.key)
        return False


async def count_all_lines(counter: LineCounter, is_wanted: Callable[[], bool]) -> None:
    """Count all lines while ``is_wanted``, with other work between two steps."""
    while is_wanted() and counter.step():  # noqa: ASYNC110 - it repeats work, it does not wait
        await asyncio.sleep(0)

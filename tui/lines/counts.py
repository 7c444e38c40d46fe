"""What the timeline's lines are made of: streams, and volume over time by level. Pure.

Each line is counted once, however long ago it left memory. The counting itself is ``view.Sieve``'s,
slice by slice, which asks of each line whether it passes: none does.

Counting what the timeline holds, slice by slice, never holding up a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from common.ranges import RangeSet
from tui.lines.rows import Change, Line, at_least, level_of
from tui.lines.timeline import Timeline
from tui.lines.view import LinePredicate, MatchingRows

STREAMS_MAX: Final = 10_000
"""Streams that are counted by name; a list of more is of no use to anybody."""

BUCKETS_MAX: Final = 4_096
"""Spans of time that have lines; beyond, they become longer. Some twenty to each column."""

STEPS_MS: Final = (100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000)
"""Lengths of a bucket, each a multiple of the one before; longer ones are days times ten."""

_DAY_MS: Final = 86_400_000


class StreamCounts:
    """Lines by stream."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.counts: dict[str, int] = {}
        self.others = 0
        """Lines of streams beyond ``STREAMS_MAX``."""

    def take(self, line: Line) -> Literal[False]:
        """Count a line."""
        name = line.stream
        if name in self.counts:
            self.counts[name] += 1
        elif len(self.counts) < STREAMS_MAX:
            self.counts[name] = 1
        else:
            self.others += 1
        return False


class VolumeBucket(msgspec.Struct):
    """Lines of a span of time."""

    lines: int = 0
    errors: int = 0
    """Of those: error and fatal."""
    warnings: int = 0
    backfilled: int = 0
    repaired: int = 0

    def add(self, other: VolumeBucket) -> None:
        """Another one's, too."""
        self.lines += other.lines
        self.errors += other.errors
        self.warnings += other.warnings
        self.backfilled += other.backfilled
        self.repaired += other.repaired


class LineVolume:
    """Lines by time and level, in buckets that become longer as there are more of them."""

    def __init__(self, level: Callable[[str], str | None] = level_of) -> None:
        """Nothing yet."""
        self.step_ms = STEPS_MS[0]
        self.buckets: dict[int, VolumeBucket] = {}
        """By ``timestamp // step_ms``."""
        self._level = level

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """From the beginning of the first bucket through the end of the last; None: no lines."""
        if not self.buckets:
            return None
        return min(self.buckets) * self.step_ms, (max(self.buckets) + 1) * self.step_ms - 1

    def take(self, line: Line) -> Literal[False]:
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
        return False

    def _coarsen(self) -> None:
        """Longer buckets, until there are few enough."""
        while len(self.buckets) > BUCKETS_MAX:
            longer = [step for step in STEPS_MS if step > self.step_ms]
            step = longer[0] if longer else max(_DAY_MS, self.step_ms * 10)
            merged: dict[int, VolumeBucket] = {}
            for at, bucket in self.buckets.items():
                merged.setdefault(at * self.step_ms // step, VolumeBucket()).add(bucket)
            self.step_ms, self.buckets = step, merged


SLICE_ROWS: Final = 1_024
"""Lines that a step goes over: telling the levels of so many takes a few milliseconds."""


class LineCounter:
    """Hands each line of the timeline to ``take`` once, newest first, and then those that come."""

    def __init__(self, timeline: Timeline, take: LinePredicate) -> None:
        """Begin; ``step`` does the work.

        Args:
            timeline: what is counted.
            take: counts a line; what it answers is of no matter.

        """
        self._take = take
        self._left = RangeSet()
        self._least: int | None = None
        self._sieve = MatchingRows(timeline, self._once, rules=False)

    @property
    def is_done(self) -> bool:
        """Whether all that there was has been gone over."""
        return self._sieve.is_done

    def step(self) -> bool:
        """Go over some more lines, towards the oldest; False once all are done."""
        return self._sieve.step(SLICE_ROWS)

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        self._sieve.apply(change)
        if self._least is not None:
            for low, high in change.removed:
                self._left.add(max(low, self._least), high)

    def _once(self, line: Line) -> bool:
        """A line that left memory was counted before it did, and may come back."""
        if not self._left.covers(line.key, line.key):
            self._take(line)
            self._least = line.key if self._least is None else min(self._least, line.key)
        return False


async def count_all_lines(count: LineCounter, is_wanted: Callable[[], bool]) -> None:
    """Go over all that there is, with room for everything else between two slices."""
    while is_wanted() and count.step():  # noqa: ASYNC110 - it is the work that is repeated
        await asyncio.sleep(0)

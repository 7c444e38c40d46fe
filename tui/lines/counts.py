"""Counts the lines of the timeline: by log stream, by time and level, and by pattern. Pure.

Each line is counted once, even if it is evicted from memory and refetched.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Final, Literal

import msgspec

from common.ranges import RangeSet
from tui.lines.blocks import PACKED_GAIN
from tui.lines.levels import LEVELS, at_least, level_of
from tui.lines.packed import PackedRows
from tui.lines.patterns import (
    FORMS_MAX,
    FormKey,
    LinePattern,
    PatternTree,
    has_masked_level,
    key_of,
    tokens_of,
    without_hex,
)
from tui.lines.rows import Change, Line, StreamId, time_of
from tui.lines.timeline import Timeline
from tui.lines.view import READ_ROWS, BlockTest, MatchingRows

STREAMS_MAX: Final = 10_000
"""Log streams counted; a longer list would be of no use."""

BUCKETS_MAX: Final = 4_096
"""Buckets that hold lines, some twenty for each column; beyond that, buckets become longer."""

STEPS_MS: Final = (100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000)
"""Lengths of a bucket, each a multiple of the one before; then a day, and tenfold from there."""

SLICE_ROWS: Final = 1_024
"""Lines counted in one step: parsing their levels takes a few milliseconds."""

SPARK_BUCKETS_MAX: Final = 256
"""Buckets of time between the first and the last line; beyond that, buckets become twice as long.
A sparkline has fewer cells."""

_BUCKET_MS: Final = 1_000

SLICE_COST: Final = 1_000
"""Cost of a step, in lines of known form: about four milliseconds."""

_NEW_FORM_COST: Final = 8
"""Cost of a line of a new form; comparing it with a pattern costs ``_COMPARE_COST``."""

_COMPARE_COST: Final = 0.25

APPLIED_MAX: Final = 1_000
"""Lines that are counted at once when they arrive."""

_HEX_COST: Final = 1
"""Cost of a line whose form is new only before its hexadecimal numbers are masked."""

_DAY_MS: Final = 86_400_000


class StreamCounts:
    """Number of lines by log stream."""

    def __init__(self) -> None:
        self.counts: dict[StreamId, int] = {}
        self.others = 0
        """Lines of streams beyond ``STREAMS_MAX``."""

    def add(self, line: Line) -> None:
        """Count a line."""
        stream = line.stream_id
        if stream in self.counts:
            self.counts[stream] += 1
        elif len(self.counts) < STREAMS_MAX:
            self.counts[stream] = 1
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


# By pattern


class _Form:
    """A masked text: its pattern and level."""

    __slots__ = ("has_level", "level", "pattern")

    def __init__(self, pattern: LinePattern | None, level: str | None, *, has_level: bool) -> None:
        self.pattern = pattern
        self.level = level
        self.has_level = has_level
        """Whether all lines of this form have the level; it may depend on what is masked."""


_STRUCTURED: Final = ("structured",)
"""The kind of structured lines, whose patterns do not depend on the level: it is no part of them.
That of other lines is their level."""


Mark = Literal["new", "gone", ""]
"""What happened to a pattern since a moment: it began, it ended, or neither."""


class PatternSummary(msgspec.Struct):
    """A pattern as it is shown: the lines of one text, whatever their kind."""

    text: str
    count: int = 0
    levels: Counter[str | None] = msgspec.field(default_factory=Counter)
    buckets: Counter[int] = msgspec.field(default_factory=Counter)
    first_ms: int = sys.maxsize
    last_ms: int = -1

    def add(self, pattern: LinePattern) -> None:
        """Add the lines of a pattern."""
        self.count += pattern.count
        self.levels += pattern.levels
        self.buckets += pattern.buckets
        self.first_ms = min(self.first_ms, pattern.first_ms)
        self.last_ms = max(self.last_ms, pattern.last_ms)

    def mark(self, since_ms: int, now_ms: int) -> Mark:
        """What happened to the pattern since a moment, given the time of the newest line of all."""
        if self.first_ms > since_ms:
            return "new"
        silent_ms = now_ms - self.last_ms
        if self.last_ms > since_ms or self.count < GONE_LINES_MIN or silent_ms < GONE_MS_MIN:
            return ""
        interval_ms = (self.last_ms - self.first_ms) / (self.count - 1)
        return "gone" if silent_ms > GONE_INTERVALS * interval_ms else ""

    def main_level(self) -> str | None:
        """The level that most of its lines have, of several the highest; None: without one."""
        return max((*LEVELS[::-1], None), key=self.levels.__getitem__)

    def volume(self, step_ms: int, span_ms: tuple[int, int], cells: int) -> list[int]:
        """Number of lines over time, for the cells of a sparkline.

        Args:
            step_ms: Length of the buckets.
            span_ms: Times of the first and the last line of all.
            cells: Number of cells.
        """
        first, last = (one // step_ms for one in span_ms)
        values = [0] * cells
        for bucket, count in self.buckets.items():
            values[(bucket - first) * cells // (last - first + 1)] += count
        return values


GONE_LINES_MIN: Final = 3
"""Lines from which on a pattern may be gone: fewer have no rhythm."""

GONE_INTERVALS: Final = 3
"""Mean intervals between its lines without one, before a pattern is gone."""

GONE_MS_MIN: Final = 10_000
"""Time without a line of it, before a pattern is gone: a short burst may be followed by another."""


class PatternCounts:
    """The patterns of all lines that were added, with their numbers over time."""

    def __init__(self) -> None:
        self.tree = PatternTree()
        self.lines = 0
        self.others = 0
        """Lines without a pattern, because there are too many patterns."""
        self.step_ms = _BUCKET_MS
        """Length of a bucket."""
        self.span_ms: tuple[int, int] | None = None
        """Times of the first and the last line of all, ms since the Unix epoch; None: no lines."""
        self._forms: dict[FormKey, _Form] = {}
        self._forms_with_hex: dict[FormKey, _Form] = {}
        """Forms whose hexadecimal numbers still have the letters that they begin with."""

    def summaries(self) -> list[PatternSummary]:
        """All patterns, each text once."""
        found: dict[str, PatternSummary] = {}
        for pattern in self.tree:
            text = pattern.text
            found.setdefault(text, PatternSummary(text)).add(pattern)
        return list(found.values())

    def add(self, messages: Sequence[str], times_ms: Sequence[int]) -> None:
        """Count lines, given their messages and times, in ascending order of these."""
        self.add_some(messages, times_ms, 0, float("inf"))

    def add_some(
        self, messages: Sequence[str], times_ms: Sequence[int], start: int, cost: float
    ) -> int:
        """Count lines from the one numbered ``start`` on, up to a cost; returns where it ended."""
        known = self._forms_with_hex.get
        patterns: list[LinePattern | None] = []
        levels: list[str | None] = []
        end = start
        while end < len(messages) and cost > 0:
            message = messages[end]
            end += 1
            cost -= 1
            key = key_of(message)
            form = None if key is None else known(key)
            if form is None:
                form, costs = self._new_form(message, key)
                cost -= costs
            patterns.append(form.pattern)
            levels.append(form.level if form.has_level else level_of(message))
        self._count(patterns, levels, times_ms[start:end])
        return end

    def _new_form(self, message: str, key: FormKey | None) -> tuple[_Form, float]:
        """Find the pattern of a line, and keep its form; returns the cost of that, too.

        Args:
            message: The line.
            key: Under which to keep it; None if lines of equal masked text may differ.
        """
        hex_key = None if key is None else without_hex(key)
        form = None if hex_key is None else self._forms.get(hex_key)
        costs = float(_HEX_COST)
        if form is None:
            tokens, is_structured = tokens_of(message)
            level = level_of(message)
            pattern, compared = self.tree.find(_STRUCTURED if is_structured else level, tokens)
            costs = _NEW_FORM_COST + compared * _COMPARE_COST
            has_level = not (isinstance(hex_key, str) and has_masked_level(hex_key))
            form = _Form(pattern, level, has_level=has_level)
        if key is not None and hex_key is not None:
            _keep(self._forms_with_hex, key, form)
            _keep(self._forms, hex_key, form)
        return form, costs

    def _count(
        self,
        patterns: Sequence[LinePattern | None],
        levels: Sequence[str | None],
        times_ms: Sequence[int],
    ) -> None:
        """Count lines of known patterns."""
        if not patterns:
            return
        low, high = self.span_ms or (times_ms[0], times_ms[-1])
        low, high = self.span_ms = min(low, times_ms[0]), max(high, times_ms[-1])
        while high // self.step_ms - low // self.step_ms >= SPARK_BUCKETS_MAX:
            self._coarsen()
        self.lines += len(patterns)
        step_ms = self.step_ms
        buckets = [time_ms // step_ms for time_ms in times_ms]
        counts = Counter(zip(patterns, levels, buckets, strict=True))
        firsts = dict(zip(reversed(patterns), reversed(times_ms), strict=True))
        lasts = dict(zip(patterns, times_ms, strict=True))
        for (pattern, level, bucket), count in counts.items():
            if pattern is None:
                self.others += count
            else:
                pattern.current.add(level, bucket, count)
        for pattern, last_ms in lasts.items():
            if pattern is not None:
                pattern.current.stretch(firsts[pattern], last_ms)

    def _coarsen(self) -> None:
        """Make buckets twice as long."""
        self.step_ms *= 2
        for pattern in self.tree:
            merged: Counter[int] = Counter()
            for at, count in pattern.buckets.items():
                merged[at // 2] += count
            pattern.buckets = merged


def _keep(forms: dict[FormKey, _Form], key: FormKey, form: _Form) -> None:
    if len(forms) >= FORMS_MAX:
        forms.clear()
    forms[key] = form


class PatternCounter:
    """Counts the patterns of the timeline's lines: newest first, then those that arrive.

    Each line is counted once, even if it is evicted from memory and refetched.

    Args:
        timeline: The lines to count.
        test: Lines that do not pass it are left out; None counts all.
    """

    def __init__(self, timeline: Timeline, test: BlockTest | None = None) -> None:
        self.counts = PatternCounts()
        self._test = _LineQueue(test)
        self._rows = MatchingRows(timeline, self._test, rules=False)
        self._waiting: tuple[Sequence[str], Sequence[int]] = (), ()
        self._at = 0
        """The number of the first waiting line that is not counted."""

    @property
    def is_done(self) -> bool:
        """Whether all lines that were there at the beginning have been counted."""
        return self._rows.is_done and self._at == len(self._waiting[0]) and not self._test.blocks

    def step(self) -> bool:
        """Count some older lines; False once all are counted."""
        if self._at == len(self._waiting[0]):
            blocks = self._test.blocks
            if not blocks:
                self._rows.step()
                blocks.append(self._test.take_lines())
            self._waiting, self._at = blocks.pop(), 0
        self._at = self.counts.add_some(*self._waiting, self._at, SLICE_COST)
        return not self.is_done

    def apply(self, change: Change) -> None:
        """Take in a change of the timeline; many lines at once are left for further steps."""
        self._rows.apply(change)
        messages, times_ms = lines = self._test.take_lines()
        if len(messages) <= APPLIED_MAX:
            self.counts.add(messages, times_ms)
        else:
            self._test.blocks.append(lines)
        for low, high in change.removed:
            self._test.note_evicted(low, high)


_Block = tuple[Sequence[str], Sequence[int]]
"""Messages of lines, and their times in ascending order."""


class _LineQueue(BlockTest):
    """Takes the lines that are to be counted, block by block; as a test it passes none.

    Attributes:
        blocks: The lines that have been taken, but for those that came one by one.
    """

    slice_rows = READ_ROWS // PACKED_GAIN

    def __init__(self, test: BlockTest | None) -> None:
        self.blocks: list[_Block] = []
        self._lines: list[Line] = []
        self._test = test
        self._evicted = RangeSet()
        """Keys of lines that were taken before they left memory."""
        self._lowest: int | None = None
        """The lowest key taken."""

    def __call__(self, line: Line) -> bool:
        """Take a line, unless it is a refetched one."""
        if not (self._evicted and self._evicted.covers(line.key, line.key)):
            self._note(line.key)
            if self._test is None or self._test(line):
                self._lines.append(line)
        return False

    def flags(self, block: PackedRows) -> bytes:
        """Take all lines of a block; one byte a line, 0."""
        self._note(block.keys[0])
        messages, times_ms = block.messages(), list(map(time_of, block.keys))
        if self._test is not None:
            flags = self._test.flags(block)
            messages, times_ms = list(compress(messages, flags)), list(compress(times_ms, flags))
        if messages:
            self.blocks.append((messages, times_ms))
        return bytes(len(block))

    def take_lines(self) -> _Block:
        """Take out the lines that came one by one."""
        lines, self._lines = sorted(self._lines, key=attrgetter("key")), []
        return [line.message for line in lines], [line.timestamp for line in lines]

    def note_evicted(self, low: int, high: int) -> None:
        """Note lines that left memory; those not taken yet are still to be counted."""
        if self._lowest is not None:
            self._evicted.add(max(low, self._lowest), high)

    def _note(self, key: int) -> None:
        self._lowest = key if self._lowest is None else min(self._lowest, key)


async def count_all_patterns(counter: PatternCounter, is_wanted: Callable[[], bool]) -> None:
    """Count all lines while ``is_wanted``, with other work between two steps."""
    while is_wanted() and counter.step():  # noqa: ASYNC110 - it repeats work, it does not wait
        await asyncio.sleep(0)

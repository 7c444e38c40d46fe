"""The filters that decide which lines are shown: expressions, log streams, minimum level. Pure.

``OutputFilter`` serves ``gapless tail --output``; ``Filters`` is what the user edits on screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from common.ranges import RangeSet
from tui.lines.expressions import Comparison, Expression, parse_expression
from tui.lines.levels import LEVELS, at_least, level_of
from tui.lines.matching import GroupName, test_of
from tui.lines.packed import PackedRows
from tui.lines.rows import Line, StreamId
from tui.lines.view import (
    READ_ROWS,
    SLICE_ROWS,
    BlockTest,
    LinePredicate,
    and_flags,
    invert_flags,
)

CHIPS_MAX: Final = 20
"""Most filters at a time; more would not fit on any screen."""


class OutputFilter(msgspec.Struct, frozen=True):
    """Tests that a line must pass, or must not, and its minimum level."""

    include: tuple[LinePredicate, ...] = ()
    exclude: tuple[LinePredicate, ...] = ()
    level: str | None = None
    """One of ``LEVELS``; a line without a level counts as INFO."""

    def without_excluded(self, line: Line) -> bool:
        """Whether a line passes none of ``exclude``."""
        return not any(test(line) for test in self.exclude)

    def passes(self, line: Line) -> bool:
        """Whether a line is printed: it passes all of ``include`` and none of ``exclude``."""
        return (
            all(test(line) for test in self.include)
            and self.without_excluded(line)
            and (self.level is None or at_least(level_of(line.message), self.level))
        )


def output_filter(
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    level: str | None = None,
    group_name: GroupName = lambda _target: "",
) -> OutputFilter:
    """A filter from command-line arguments, which are expressions.

    Raises:
        PatternError: An expression is invalid.
    """

    def tests(texts: Sequence[str]) -> tuple[LinePredicate, ...]:
        return tuple(test_of(parse_expression(text), group_name) for text in texts)

    return OutputFilter(tests(include), tests(exclude), level)


class Chip:
    """One filter, shown as a chip: an expression that lines must match, or must not.

    Attributes:
        expression: The expression.
        text: The expression as it was typed.
        excludes: Whether lines that match are hidden, instead of being the only ones shown.
        hits: Number of lines that match, of those tested so far.
    """

    def __init__(
        self, criterion: str | Expression, group_name: GroupName, *, excludes: bool
    ) -> None:
        self.text = str(criterion)
        self.expression = parse_expression(criterion) if isinstance(criterion, str) else criterion
        self.excludes = excludes
        self.hits = 0
        self.test = test_of(self.expression, group_name)


def is_pattern(expression: Expression) -> bool:
    """Whether an expression stands for the lines of a pattern."""
    return isinstance(expression, Comparison) and expression.pseudo == "pattern"


class Filters:
    """All filters: chips, which must all let a line pass, log streams, and the minimum level.

    Args:
        group_name: The log group of a target.
    """

    def __init__(self, group_name: GroupName = lambda _target: "") -> None:
        self._group_name = group_name
        self.chips: list[Chip] = []
        self.minimum_level = LEVELS[0]
        self.only_streams: frozenset[StreamId] = frozenset()
        """The only streams shown; empty: all but the hidden ones."""
        self.hidden_streams: frozenset[StreamId] = frozenset()
        self.are_enabled = True
        self._counting: _FilterTest | None = None
        """The test that counts the chips' hits."""

    @property
    def has_any(self) -> bool:
        """Whether there is any filter, enabled or not."""
        return bool(self.chips) or self.limits_streams or self.minimum_level != LEVELS[0]

    @property
    def limits_streams(self) -> bool:
        """Whether lines of some streams are hidden."""
        return bool(self.only_streams or self.hidden_streams)

    def shows_stream(self, stream: StreamId) -> bool:
        """Whether the choice of streams lets lines of a stream pass."""
        if self.only_streams:
            return stream in self.only_streams
        return stream not in self.hidden_streams

    def toggle_stream(self, stream: StreamId) -> None:
        """Show or hide a stream."""
        if self.only_streams:
            self.only_streams ^= {stream}
        else:
            self.hidden_streams ^= {stream}
        self.are_enabled = True

    def toggle_only_stream(self, stream: StreamId) -> None:
        """Show one stream alone; if it was alone already, all of them."""
        self.only_streams = frozenset() if self.only_streams == {stream} else frozenset({stream})
        self.hidden_streams = frozenset()
        self.are_enabled = True

    def show_all_streams(self) -> None:
        """Show all streams."""
        self.only_streams = self.hidden_streams = frozenset()

    def add(self, criterion: str | Expression, *, excludes: bool) -> None:
        """Add a chip and enable all filters; beyond ``CHIPS_MAX`` the oldest chip is removed.

        Raises:
            PatternError: The text is an invalid expression; nothing changes.
        """
        chip = Chip(criterion, self._group_name, excludes=excludes)
        if all((one.expression, one.excludes) != (chip.expression, excludes) for one in self.chips):
            self.chips = [*self.chips, chip][-CHIPS_MAX:]
        self.are_enabled = True

    def remove(self, index: int) -> None:
        """Remove a chip."""
        del self.chips[index : index + 1]

    def clear(self) -> None:
        """Remove all filters."""
        self.chips = []
        self.minimum_level = LEVELS[0]
        self.show_all_streams()
        self.are_enabled = True

    def toggle_pattern(self, text: str, *, excludes: bool) -> None:
        """Show only the lines of a pattern, instead of another's, or hide them; or undo that."""
        wanted = Comparison("pattern", "=", text)
        was_chosen = self.choice_of_pattern(text) == ("hidden" if excludes else "only")
        self.chips = [
            one
            for one in self.chips
            if one.expression != wanted
            and (excludes or one.excludes or not is_pattern(one.expression))
        ]
        if not was_chosen:
            self.add(wanted, excludes=excludes)

    def choice_of_pattern(self, text: str) -> Literal["only", "hidden", ""]:
        """What the chips say about a pattern."""
        for one in self.chips:
            if one.expression == Comparison("pattern", "=", text):
                return "hidden" if one.excludes else "only"
        return ""

    def signature(self, *, patterns: bool) -> object:
        """A value that changes if other lines pass; without ``patterns``, chips of them aside."""
        if not self.are_enabled:
            return None
        chips = tuple(
            (one.text, one.excludes)
            for one in self.chips
            if patterns or not is_pattern(one.expression)
        )
        return chips, self.minimum_level, self.only_streams, self.hidden_streams

    def test(self, *, counting: bool = True, patterns: bool = True) -> BlockTest | None:
        """The test that lines must pass now; None if all lines do.

        Args:
            counting: Whether the test counts the hits of each chip, from 0.
            patterns: Whether lines must pass the chips of patterns, too.
        """
        if counting:
            self._reset_hits()
        if not (self.has_any and self.are_enabled):
            return None
        chips = tuple(one for one in self.chips if patterns or not is_pattern(one.expression))
        if not (chips or self.limits_streams or self.minimum_level != LEVELS[0]):
            return None
        test = _FilterTest(self, chips, counting=counting)
        self._counting = test if counting else self._counting
        return test

    def counting_test(self) -> BlockTest | None:
        """A test that only counts the hits of disabled chips, from 0; None without such chips."""
        if self.are_enabled or not self.chips:
            return None
        self._reset_hits()
        self._counting = None  # the caller itself counts each line only once
        return _FilterTest(self, tuple(self.chips), counting=True)

    def note_evicted(self, removed: Iterable[tuple[int, int]]) -> None:
        """Note ranges of keys that left memory, so that refetched lines are not counted twice."""
        if self._counting is not None:
            for low, high in removed:
                self._counting.note_evicted(low, high)

    def _reset_hits(self) -> None:
        for chip in self.chips:
            chip.hits = 0


class _FilterTest(BlockTest):
    """The test that filters amount to at the moment of its creation."""

    def __init__(self, filters: Filters, chips: Sequence[Chip], *, counting: bool) -> None:
        self._chips = chips
        self._minimum = filters.minimum_level if filters.minimum_level != LEVELS[0] else None
        self._shows = filters.shows_stream if filters.limits_streams else None
        self._counting = counting
        least = min((chip.test.slice_rows for chip in self._chips), default=SLICE_ROWS)
        self.slice_rows = READ_ROWS if self._minimum else least
        self._evicted = RangeSet()
        """Keys of lines that were counted before they left memory."""
        self._lowest: int | None = None
        """The lowest key counted."""

    def note_evicted(self, low: int, high: int) -> None:
        """Note lines that left memory; those not tested yet are still to be counted."""
        if self._lowest is not None:
            self._evicted.add(max(low, self._lowest), high)

    def __call__(self, line: Line) -> bool:
        passes = True
        was_counted = self._evicted and self._evicted.covers(line.key, line.key)
        counts = self._counting and not was_counted
        if self._lowest is None or line.key < self._lowest:
            self._lowest = line.key
        for chip in self._chips:
            if chip.test(line):
                chip.hits += counts
                passes = passes and not chip.excludes
            elif not chip.excludes:
                passes = False
        if passes and self._shows is not None:
            passes = self._shows(line.stream_id)
        if passes and self._minimum is not None:
            passes = at_least(level_of(line.message), self._minimum)
        return passes

    def flags(self, block: PackedRows) -> bytes:
        passing: bytes | None = None
        first = block.keys[0]
        self._lowest = first if self._lowest is None else min(self._lowest, first)
        for chip in self._chips:
            found = chip.test.flags(block)
            chip.hits += self._counting and found.count(1)
            found = invert_flags(found) if chip.excludes else found
            passing = found if passing is None else and_flags(passing, found)
        if self._shows is not None:
            found = block.flags_of_streams(self._shows)
            passing = found if passing is None else and_flags(passing, found)
        if self._minimum is not None:
            minimum = self._minimum
            found = block.flags_of_levels(lambda level: at_least(level, minimum))
            passing = found if passing is None else and_flags(passing, found)
        return bytes([1]) * len(block) if passing is None else passing

"""The filters that decide which lines are shown: texts, values, log streams, minimum level. Pure.

``OutputFilter`` serves ``gapless tail --output``; ``Filters`` is what the user edits on screen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from common.patterns import Pattern, compile_pattern, typed_pattern
from common.ranges import RangeSet
from tui.lines.levels import LEVELS, at_least, level_of
from tui.lines.packed import PackedRows
from tui.lines.rows import Line
from tui.lines.view import (
    READ_ROWS,
    SLICE_ROWS,
    BlockTest,
    LinePredicate,
    TextTest,
    and_flags,
    invert_flags,
)

CHIPS_MAX: Final = 20
"""Most filters at a time; more would not fit on any screen."""


class OutputFilter(msgspec.Struct, frozen=True):
    """Patterns that a line must match, or must not, and its minimum level."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    level: str | None = None
    """One of ``LEVELS``; a line without a level counts as INFO."""

    def passes(self, line: Line) -> bool:
        """Whether a line is printed: it matches all of ``include`` and none of ``exclude``."""
        message = line.message
        return (
            all(pattern.matches(message) for pattern in self.include)
            and not any(pattern.matches(message) for pattern in self.exclude)
            and (self.level is None or at_least(level_of(message), self.level))
        )


def output_filter(
    include: Sequence[str] = (), exclude: Sequence[str] = (), level: str | None = None
) -> OutputFilter:
    """A filter from command-line arguments.

    Raises:
        PatternError: A text is not a regular expression, or one that needs backtracking.
    """
    return OutputFilter(
        tuple(map(compile_pattern, include)), tuple(map(compile_pattern, exclude)), level
    )


Scalar = str | int | float | bool | None
Step = str | int
"""A key of a JSON object, or an index of a list."""

TREE_DEPTH_MAX: Final = 100
"""Nesting up to which JSON is shown as a tree: its size grows with length times depth."""

_INDENT: Final = "  "
_MISSING: Final = object()


class Value(msgspec.Struct, frozen=True):
    """A value of a line that lines can be filtered by: of a field, or within its JSON."""

    kind: Literal["stream", "level", "origin", "group", "json"]
    path: tuple[Step, ...]
    """Path from the top of the JSON; for other kinds, the name to show."""
    value: Scalar
    label: str = ""
    """Text shown instead of the value, if it is not the value itself."""

    @property
    def text(self) -> str:
        """Path and value: ``user.roles[0]=admin``."""
        name = ""
        for step in self.path:
            name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{name}={self.label or value}"

    def matches(self, line: Line) -> bool:
        """Whether a line has this value."""
        match self.kind:
            case "stream":
                return line.stream == self.value
            case "level":
                return level_of(line.message) == self.value
            case "origin":
                return line.origin == self.value
            case "group":
                return line.target == self.value
            case _:
                return self._is_in_json(line.message)

    def flags(self, block: PackedRows) -> bytes:
        """One byte for each line of a block: 1 if it has this value, else 0."""
        match self.kind:
            case "stream":
                return block.flags_of_streams(lambda name: name == self.value)
            case "level":
                return block.flags_of_levels(lambda level: level == self.value)
            case "origin":
                return block.flags_of_origin(str(self.value))
            case "group":
                assert isinstance(self.value, int), "a log group is known by its target's number"
                return block.keys.flags_of_target(self.value)
            case _:
                return bytes(map(self._is_in_json, block.messages()))

    def _is_in_json(self, message: str) -> bool:
        value = self.value
        # Most lines need not be parsed: a plain word can be written in JSON in one way only.
        if isinstance(value, str) and value.isascii() and value.isalnum() and value not in message:
            return False
        found = parse_json(message)
        for step in self.path:
            if isinstance(found, dict) and isinstance(step, str):
                found = found.get(step, _MISSING)
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return False
        return type(found) is type(value) and found == value


def parse_json(message: str) -> object:
    """The JSON object or list that a message consists of; None if it is neither."""
    if not message.lstrip().startswith(("{", "[")):
        return None
    try:
        found: object = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found


def json_tree(found: object) -> list[tuple[str, Value | None]] | None:
    """A JSON object or list as indented lines, each with the scalar on it.

    None if it is nested too deeply to be shown as a tree.
    """
    lines: list[tuple[str, Value | None]] = []
    is_whole = _walk(lines, found, (), "", "")
    return lines if is_whole else None


def _walk(
    lines: list[tuple[str, Value | None]],
    found: object,
    path: tuple[Step, ...],
    before: str,
    after: str,
) -> bool:
    """Append the lines of a value; False where it is nested too deeply."""
    if len(path) > TREE_DEPTH_MAX:
        return False
    indent = _INDENT * len(path)
    children: list[tuple[str, Step, object]]
    if isinstance(found, dict):
        children = [(f"{_dump(key)}: ", key, one) for key, one in found.items()]
        opening, closing = "{", "}"
    elif isinstance(found, list):
        children = [("", index, one) for index, one in enumerate(found)]
        opening, closing = "[", "]"
    else:
        assert found is None or isinstance(found, str | int | float | bool), "JSON has no more"
        lines.append((f"{indent}{before}{_dump(found)}{after}", Value("json", path, found)))
        return True
    if not children:
        lines.append((f"{indent}{before}{opening}{closing}{after}", None))
        return True
    lines.append((f"{indent}{before}{opening}", None))
    for number, (name, step, one) in enumerate(children, 1):
        comma = "," if number < len(children) else ""
        if not _walk(lines, one, (*path, step), name, comma):
            return False
    lines.append((f"{indent}{closing}{after}", None))
    return True


def _dump(found: object) -> str:
    return json.dumps(found, ensure_ascii=False)


class Chip:
    """One filter, shown as a chip: a text or value that lines must have, or must not.

    Attributes:
        criterion: The text or value.
        excludes: Whether lines that match are hidden, instead of being the only ones shown.
        hits: Number of lines that match, of those tested so far.
    """

    def __init__(self, criterion: str | Value, *, excludes: bool) -> None:
        self.criterion = criterion
        self.excludes = excludes
        self.hits = 0
        if isinstance(criterion, str):
            self.text = criterion
            test = TextTest(typed_pattern(criterion))
            self.matches: LinePredicate = test
            self.flags = test.flags
        else:
            self.text = criterion.text
            self.matches, self.flags = criterion.matches, criterion.flags


class Filters:
    """All filters: chips, which must all let a line pass, log streams, and the minimum level."""

    def __init__(self) -> None:
        self.chips: list[Chip] = []
        self.minimum_level = LEVELS[0]
        self.only_streams: frozenset[str] = frozenset()
        """The only streams shown; empty: all but the hidden ones."""
        self.hidden_streams: frozenset[str] = frozenset()
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

    def shows_stream(self, name: str) -> bool:
        """Whether the choice of streams lets lines of a stream pass."""
        return name in self.only_streams if self.only_streams else name not in self.hidden_streams

    def toggle_stream(self, name: str) -> None:
        """Show or hide a stream."""
        if self.only_streams:
            self.only_streams ^= {name}
        else:
            self.hidden_streams ^= {name}
        self.are_enabled = True

    def toggle_only_stream(self, name: str) -> None:
        """Show one stream alone; if it was alone already, all of them."""
        self.only_streams = frozenset() if self.only_streams == {name} else frozenset({name})
        self.hidden_streams = frozenset()
        self.are_enabled = True

    def show_all_streams(self) -> None:
        """Show all streams."""
        self.only_streams = self.hidden_streams = frozenset()

    def add(self, criterion: str | Value, *, excludes: bool) -> None:
        """Add a chip and enable all filters; beyond ``CHIPS_MAX`` the oldest chip is removed.

        Raises:
            PatternError: The text is a regular expression that cannot be used; nothing changes.
        """
        if all((one.criterion, one.excludes) != (criterion, excludes) for one in self.chips):
            self.chips = [*self.chips, Chip(criterion, excludes=excludes)][-CHIPS_MAX:]
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

    def test(self, *, counting: bool = True) -> BlockTest | None:
        """The test that lines must pass now; None if all lines do.

        Args:
            counting: Whether the test counts the hits of each chip, from 0.
        """
        if counting:
            self._reset_hits()
        if not (self.has_any and self.are_enabled):
            return None
        test = _FilterTest(self, counting=counting)
        self._counting = test if counting else self._counting
        return test

    def counting_test(self) -> BlockTest | None:
        """A test that only counts the hits of disabled chips, from 0; None without such chips."""
        if self.are_enabled or not self.chips:
            return None
        self._reset_hits()
        self._counting = None  # the caller itself counts each line only once
        return _FilterTest(self, counting=True)

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

    def __init__(self, filters: Filters, *, counting: bool) -> None:
        self._chips = tuple(filters.chips)
        self._minimum = filters.minimum_level if filters.minimum_level != LEVELS[0] else None
        self._shows = filters.shows_stream if filters.limits_streams else None
        self._counting = counting
        must_parse = any(isinstance(chip.criterion, Value) for chip in self._chips)
        self.slice_rows = READ_ROWS if must_parse or self._minimum else SLICE_ROWS
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
            if chip.matches(line):
                chip.hits += counts
                passes = passes and not chip.excludes
            elif not chip.excludes:
                passes = False
        if passes and self._shows is not None:
            passes = self._shows(line.stream)
        if passes and self._minimum is not None:
            passes = at_least(level_of(line.message), self._minimum)
        return passes

    def flags(self, block: PackedRows) -> bytes:
        passing: bytes | None = None
        first = block.keys[0]
        self._lowest = first if self._lowest is None else min(self._lowest, first)
        for chip in self._chips:
            found = chip.flags(block)
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

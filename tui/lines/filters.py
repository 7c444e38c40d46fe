"""What the reader wants to see: chips that take in or leave out, streams, a least level. Pure.

Which lines output shows: regular expressions that take in or leave out, and a least level. Pure.

The text is what is searched; ``--grep`` may be given several times, and a line must match all.

Values that lines can be filtered by: fields of the event, and what stands in its JSON. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from common.ranges import RangeSet
from tui.lines.packed import PackedRows
from tui.lines.rows import LEVELS, Line, at_least, level_of
from tui.lines.view import READ_ROWS, SLICE_ROWS, BlockTest, LinePredicate, TextTest, both, neither


class PatternError(ValueError):
    """A text is no regular expression; it says which, and why."""


class OutputFilter(msgspec.Struct, frozen=True):
    """What a line must pass."""

    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    level: str | None = None
    """The least level, one of ``tui.lines.rows.LEVELS``; a line without one counts as INFO."""

    def passes(self, line: Line) -> bool:
        """Whether a line is shown."""
        message = line.message
        return (
            all(pattern.search(message) for pattern in self.include)
            and not any(pattern.search(message) for pattern in self.exclude)
            and (self.level is None or at_least(level_of(message), self.level))
        )


def output_filter(
    include: Sequence[str] = (), exclude: Sequence[str] = (), level: str | None = None
) -> OutputFilter:
    """A test from what the user wrote.

    Raises:
        QueryError: not a regular expression.

    """
    return OutputFilter(tuple(map(_compile, include)), tuple(map(_compile, exclude)), level)


def _compile(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        msg = f"{text[:80]!r} is not a regular expression: {error}"
        raise PatternError(msg) from error


Scalar = str | int | float | bool | None
Step = str | int
"""A key of an object, or an index of a list."""

_INDENT: Final = "  "


class Value(msgspec.Struct, frozen=True):
    """One value of a line, with what it is the value of."""

    kind: Literal["stream", "level", "origin", "group", "json"]
    path: tuple[Step, ...]
    """In JSON, from its top; else one name."""
    value: Scalar
    said: str = ""
    """What stands for the value on screen, where it is not itself."""

    @property
    def text(self) -> str:
        """``user.roles[0]=admin``."""
        name = ""
        for step in self.path:
            name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{name}={self.said or value}"

    def matches(self, line: Line) -> bool:
        """Whether a line has this value there."""
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
                return self._is_in(line.message)

    def flags(self, block: PackedRows) -> bytes:
        """Which lines of a block have it: a byte for each row, 1 or 0."""
        match self.kind:
            case "stream":
                return block.of_streams(lambda name: name == self.value)
            case "level":
                return block.of_levels(lambda level: level == self.value)
            case "origin":
                return block.of_origin(str(self.value))
            case "group":
                assert isinstance(self.value, int), "targets have numbers"
                return block.keys.of_lane(self.value)
            case _:
                return bytes(map(self._is_in, block.messages()))

    def _is_in(self, message: str) -> bool:
        value = self.value
        # Most lines are told by their text; only plain words can't be written in two ways.
        if isinstance(value, str) and value.isascii() and value.isalnum() and value not in message:
            return False
        found = parsed(message)
        for step in self.path:
            if isinstance(found, dict) and isinstance(step, str):
                found = found.get(step, _MISSING)
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return False
        return type(found) is type(value) and found == value


_MISSING: Final = object()


def parsed(message: str) -> object:
    """The JSON object or list that a message is, or None."""
    if not message.lstrip().startswith(("{", "[")):
        return None
    try:
        found: object = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found


def tree(found: object) -> list[tuple[str, Value | None]] | None:
    """An object or list as indented lines, each with the value that stands on it.

    None where it is nested too deep to be shown as a tree.
    """
    try:
        return list(_walk(found, (), "", "", ""))
    except RecursionError:
        return None


def _walk(
    found: object, path: tuple[Step, ...], indent: str, before: str, after: str
) -> Iterator[tuple[str, Value | None]]:
    children: list[tuple[str, Step, object]]
    if isinstance(found, dict):
        children = [(f"{_dumped(key)}: ", key, one) for key, one in found.items()]
        opening, closing = "{", "}"
    elif isinstance(found, list):
        children = [("", index, one) for index, one in enumerate(found)]
        opening, closing = "[", "]"
    else:
        assert found is None or isinstance(found, str | int | float | bool), "JSON has no more"
        yield f"{indent}{before}{_dumped(found)}{after}", Value("json", path, found)
        return
    if not children:
        yield f"{indent}{before}{opening}{closing}{after}", None
        return
    yield f"{indent}{before}{opening}", None
    for number, (name, step, one) in enumerate(children, 1):
        comma = "," if number < len(children) else ""
        yield from _walk(one, (*path, step), indent + _INDENT, name, comma)
    yield f"{indent}{closing}{after}", None


def _dumped(found: object) -> str:
    return json.dumps(found, ensure_ascii=False)


CHIPS_MAX: Final = 20
"""Filters at a time: more would not fit on any screen."""


def search_pattern(text: str) -> re.Pattern[str]:
    """What the reader typed, as a regular expression, or as plain text where it is none.

    Upper and lower case are the same unless there is an upper-case letter in it (smart case,
    as in less -i and lnav).
    """
    flags = re.NOFLAG if any(char.isupper() for char in text) else re.IGNORECASE
    try:
        return re.compile(text, flags)
    except re.error:
        return re.compile(re.escape(text), flags)


class Chip:
    """One filter, and how many of the lines gone over match it."""

    def __init__(self, what: str | Value, *, excludes: bool) -> None:
        """A filter for lines that match a text or have a value, or against them."""
        self.what = what
        self.excludes = excludes
        self.hits = 0
        if isinstance(what, str):
            self.text = what
            matching = TextTest(search_pattern(what))
            self.matches: LinePredicate = matching
            self.flags = matching.flags
        else:
            self.text = what.text
            self.matches, self.flags = what.matches, what.flags


class _Passing(BlockTest):
    """What passes filters as they are now."""

    def __init__(self, filters: Filters, *, counting: bool) -> None:
        self._chips = tuple(filters.chips)
        self._minimum = filters.minimum_level if filters.minimum_level != LEVELS[0] else None
        self._shows = filters.shows_stream if filters.limits_streams else None
        self._counting = counting
        is_read = any(isinstance(chip.what, Value) for chip in self._chips)
        self.slice_rows = READ_ROWS if is_read or self._minimum else SLICE_ROWS
        self._left = RangeSet()
        """Keys of lines that were counted, and have left memory: they may come back."""
        self._least: int | None = None
        """The least key counted."""

    def left(self, low: int, high: int) -> None:
        """The lines of these keys left memory; those not gone over yet are still to be counted."""
        if self._least is not None:
            self._left.add(max(low, self._least), high)

    def __call__(self, line: Line) -> bool:
        kept = True
        counts = self._counting and not (self._left and self._left.covers(line.key, line.key))
        if self._least is None or line.key < self._least:
            self._least = line.key
        for chip in self._chips:
            if chip.matches(line):
                chip.hits += counts
                kept = kept and not chip.excludes
            elif not chip.excludes:
                kept = False
        if kept and self._shows is not None:
            kept = self._shows(line.stream)
        if kept and self._minimum is not None:
            kept = at_least(level_of(line.message), self._minimum)
        return kept

    def flags(self, block: PackedRows) -> bytes:
        kept: bytes | None = None
        first = block.keys[0]
        self._least = first if self._least is None else min(self._least, first)
        for chip in self._chips:
            found = chip.flags(block)
            chip.hits += self._counting and found.count(1)
            found = neither(found) if chip.excludes else found
            kept = found if kept is None else both(kept, found)
        if self._shows is not None:
            found = block.of_streams(self._shows)
            kept = found if kept is None else both(kept, found)
        if self._minimum is not None:
            minimum = self._minimum
            found = block.of_levels(lambda level: at_least(level, minimum))
            kept = found if kept is None else both(kept, found)
        return bytes([1]) * len(block) if kept is None else kept


class Filters:
    """All chips, which must all let a line pass, the streams, and the least level."""

    def __init__(self) -> None:
        """Everything passes."""
        self.chips: list[Chip] = []
        self.minimum_level = LEVELS[0]
        self.only_streams: frozenset[str] = frozenset()
        """Streams that alone are shown; empty: all but the hidden ones."""
        self.hidden_streams: frozenset[str] = frozenset()
        """Streams that are not shown."""
        self.are_enabled = True
        self._passing: _Passing | None = None
        """What counts the chips' hits."""

    @property
    def has_any(self) -> bool:
        """Whether there is a filter at all, on or off."""
        return bool(self.chips) or self.limits_streams or self.minimum_level != LEVELS[0]

    @property
    def limits_streams(self) -> bool:
        """Whether lines of some streams are left out."""
        return bool(self.only_streams or self.hidden_streams)

    def shows_stream(self, name: str) -> bool:
        """Whether lines of a stream are shown, as far as the stream goes."""
        return name in self.only_streams if self.only_streams else name not in self.hidden_streams

    def toggle_stream(self, name: str) -> None:
        """Show a stream, or hide it."""
        if self.only_streams:
            self.only_streams ^= {name}
        else:
            self.hidden_streams ^= {name}
        self.are_enabled = True

    def toggle_only_stream(self, name: str) -> None:
        """Show one stream alone; all of them, where it was alone already."""
        self.only_streams = frozenset() if self.only_streams == {name} else frozenset({name})
        self.hidden_streams = frozenset()
        self.are_enabled = True

    def show_all_streams(self) -> None:
        """Show all streams."""
        self.only_streams = self.hidden_streams = frozenset()

    def add(self, what: str | Value, *, excludes: bool) -> None:
        """One more chip, and all of them on; beyond ``CHIPS_MAX`` the oldest goes."""
        same = [chip for chip in self.chips if (chip.what, chip.excludes) == (what, excludes)]
        if not same:
            self.chips = [*self.chips, Chip(what, excludes=excludes)][-CHIPS_MAX:]
        self.are_enabled = True

    def remove(self, index: int) -> None:
        """One chip less."""
        del self.chips[index : index + 1]

    def clear(self) -> None:
        """Everything passes."""
        self.chips = []
        self.minimum_level = LEVELS[0]
        self.show_all_streams()
        self.are_enabled = True

    def test(self, *, counting: bool = True) -> BlockTest | None:
        """What a line must pass; None where all do.

        Args:
            counting: count the hits of each chip, from none.

        """
        if counting:
            for chip in self.chips:
                chip.hits = 0
        if not (self.has_any and self.are_enabled):
            return None
        passing = _Passing(self, counting=counting)
        self._passing = passing if counting else self._passing
        return passing

    def note_evicted(self, removed: Iterable[tuple[int, int]]) -> None:
        """Ranges of keys whose lines left memory: where they come back, they have been counted."""
        if self._passing is not None:
            for low, high in removed:
                self._passing.left(low, high)

    def counting_test(self) -> BlockTest | None:
        """Counts the hits of each chip, from none, while all are off; None where they are on."""
        if self.are_enabled or not self.chips:
            return None
        for chip in self.chips:
            chip.hits = 0
        self._passing = None  # who counts all lines knows of those that come back
        return _Passing(self, counting=True)

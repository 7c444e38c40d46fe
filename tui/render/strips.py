"""Draws rows of the timeline as Textual strips, and caches them.

A strip of Textual's consists of thirty objects, most of them caches that a log line never needs.
Creating a screen of them takes longer than the rest of a frame, so ``LazyStrip`` creates them
only if Textual asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from rich.cells import cell_len
from rich.console import Console
from textual.cache import LRUCache
from textual.strip import Strip

from common.patterns import Pattern
from tui.lines.rows import Line, Row, Rule
from tui.lines.structure import Scalar, structure_of
from tui.lines.view import ContextRows
from tui.render import line_format as fmt
from tui.render import units
from tui.render.fields import (
    COLUMN_CELLS_MAX,
    FieldReader,
    are_numbers,
    fit_columns,
    room_for_columns,
    value_text,
)
from tui.render.group_names import StreamNames
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.palette import Palette, Surface
from tui.render.safe_text import MESSAGE, Segment, harmless

STRIPS_MAX: Final = 1024
"""Rows whose strips are cached: about twenty screens."""

STREAM_CELLS_MAX: Final = 30
STREAM_CELLS_NARROW: Final = 13
"""Least width of a long stream name: one or two folders as initials, and the task."""

GROUP_CELLS_MAX: Final = 30
GROUP_CELLS_NARROW: Final = 12
"""Least width of a long name of a log group."""

_CHARS_PER_CELL: Final = 4
"""Characters of a message read for each cell, since escape sequences take no cells."""

_SOUGHT_CELLS: Final = 1 << 16
"""Cells in which a match is looked for, to scroll to it."""

_NO_EDGE: Final[Segment] = ("", MESSAGE)

_HIDDEN: Final = "⋯"

Inputs = tuple[int, bool, int]
"""What strips depend on besides row and appearance: a time, context line or not, rows hidden."""

Cached = tuple[Row, Inputs, list[Strip]]


class LazyStrip(Strip):
    """A screen line that is drawn once, and becomes a full strip only when Textual needs one.

    Of a line that nothing overlaps, Textual needs only ``divide`` and ``render``. When it reads
    anything else, ``__getattr__`` does what Textual's own ``__init__`` would have done.

    Args:
        line: Segments of the line.
        edge: The segment that follows on the log's background: a cell of the scroll bar.
        cells: Width, with the edge.
        palette: Styles.
        surface: Background of the line.
    """

    __slots__ = ("_cells", "_drawn", "_edge", "_line", "_palette", "_surface")

    def __init__(
        self, line: list[Segment], edge: Segment, cells: int, palette: Palette, surface: Surface
    ) -> None:
        self._line = line
        self._edge = edge
        self._cells = cells
        self._palette = palette
        self._surface: Surface = surface
        self._drawn: str | None = None

    @property
    def cell_length(self) -> int:
        """Width in cells."""
        return self._cells

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """The parts between cuts, as in Textual; the strip itself if it is not cut."""
        cuts = list(cuts)
        return [self] if cuts == [self._cells] else super().divide(cuts)

    def render(self, console: Console) -> str:
        """The text with escape sequences that is sent to the terminal, as in Textual."""
        if self._drawn is None:
            palette, system = self._palette, console.color_system
            drawn = palette.ansi(self._line, self._surface, system)
            self._drawn = drawn + palette.ansi_edge(self._edge, system)
        return self._drawn

    def __getattr__(self, name: str) -> object:
        """Set up all of Textual's attributes at the first access to one of them."""
        if name not in Strip.__slots__:
            raise AttributeError(name)
        palette = self._palette
        cells = palette.cells(self._line, self._surface) + palette.cells([self._edge])
        Strip.__init__(self, cells, self._cells)
        return object.__getattribute__(self, name)


class Appearance(msgspec.Struct, frozen=True):
    """How rows are drawn, apart from the theme."""

    width: int = 80
    left: int = 0
    """Cells of the message that are scrolled off at the left."""
    wrapped: bool = False
    structured: bool = True
    """Whether structured lines show their message and fields, instead of their text."""
    fields: tuple[str, ...] = ()
    """Names of the fields that have columns."""
    time: TimeMode = TimeMode.UTC
    dated: bool = False
    pattern: Pattern | None = None
    """The search, whose matches are highlighted."""
    context: ContextRows | None = None
    """If context lines are shown: which rows are matches, and where rows are hidden."""


class _FieldTexts(NamedTuple):
    """The chosen fields' values in a line, and the names that the line has for them."""

    message: str
    texts: list[str]
    names: Collection[str]


_VALUE_CHARS: Final = 4 * COLUMN_CELLS_MAX
"""Characters of a value that its column may show, since some take no cells."""


class StripCache:
    """Draws rows as strips, and caches them until their appearance changes.

    Args:
        palette: Styles.
        level_of: The level of a line; None if it has none.
        is_confirmed: Whether the present epoch has confirmed a line.
        columns: Zone and characters; the stream column is widened as needed.
        is_marked: Whether the line of a key has a bookmark.
    """

    def __init__(
        self,
        palette: Palette,
        level_of: Callable[[Line], str | None],
        is_confirmed: Callable[[Line], bool],
        columns: ColumnLayout,
        is_marked: Callable[[int], bool] = lambda _key: False,
    ) -> None:
        self._palette = palette
        self._level_of = level_of
        self._is_confirmed = is_confirmed
        self._columns = columns
        self._is_marked = is_marked
        self.streams = StreamNames()
        self._seen_streams: set[tuple[int, str]] = set()
        self._appearance = Appearance()
        self._cached: LRUCache[tuple[int, Surface, Segment], Cached] = LRUCache(STRIPS_MAX)
        self._now_ms = 0
        self._groups: list[str] = []
        self._reader = FieldReader(())
        self._wanted: list[int] = []
        """Cells that each field's column wants, for its name and the values seen."""
        self._are_numbers: list[bool | None] = []
        """Whether each field's values seen are numbers; None before the first."""
        self._values: dict[int, _FieldTexts] = {}
        """By key, the fields' values in the lines on the screen."""

    @property
    def appearance(self) -> Appearance:
        """How rows are drawn."""
        return self._appearance

    @property
    def columns(self) -> ColumnLayout:
        """The columns before the message."""
        return self._columns

    @property
    def is_one_line_each(self) -> bool:
        """Whether each row takes one screen line: not wrapped, and no hidden rows are shown."""
        return not self._appearance.wrapped and self._appearance.context is None

    def set_appearance(self, appearance: Appearance) -> None:
        """Change how rows are drawn."""
        if appearance != self._appearance:
            self._appearance = appearance
            cells = min(self._columns.stream_cells, self._stream_cells_max)
            if appearance.fields != self._reader.names:
                self._choose_fields(appearance.fields)
            self._set_columns(
                time=appearance.time,
                dated=appearance.dated,
                stream_cells=cells,
                group_cells=self._group_cells,
            )
            self._fit_fields()

    def set_now(self, now_ms: int) -> None:
        """Set the time that relative times refer to."""
        self._now_ms = now_ms

    def set_palette(self, palette: Palette) -> None:
        """Use the styles of another theme."""
        self._palette = palette
        self.forget()

    def forget(self) -> None:
        """Drop all cached strips, because something outside changed how rows look."""
        self._cached.clear()

    def set_groups(self, names: Sequence[str]) -> bool:
        """Show the log group of each line, by its target's number; without names, no column.

        Returns whether anything changed.
        """
        if list(names) == self._groups:
            return False
        self._groups = list(names)
        self._set_columns(group_cells=self._group_cells)
        self._fit_fields()
        return True

    def widen(self, rows: list[Row]) -> bool:
        """Widen the columns of streams and fields for these rows; whether that was needed."""
        before = self._columns
        longest = self._note_streams(rows)
        cells = min(longest, self._stream_cells_max)
        if cells > self._columns.stream_cells:
            self._set_columns(stream_cells=cells)
        if self._reader.names:
            self._measure_fields(rows)
            self._fit_fields()
        return self._columns is not before

    def _note_streams(self, rows: list[Row]) -> int:
        """Give new streams among these rows their colours; returns the longest name's cells."""
        seen = {(row.target, row.stream) for row in rows if isinstance(row, Line)}
        for row in rows if not seen <= self._seen_streams else ():
            if isinstance(row, Line) and self.streams.add(row.target, row.stream):
                self.forget()
        self._seen_streams = seen
        return max((len(self.streams.text(*one)) for one in seen), default=0)

    def _choose_fields(self, names: tuple[str, ...]) -> None:
        self._reader = FieldReader(names)
        self._wanted = [cell_len(harmless(name)) for name in names]
        self._are_numbers = [None for _ in names]
        self._values.clear()

    def _measure_fields(self, rows: list[Row]) -> None:
        """Note how wide the values in these rows are, and whether they are numbers."""
        before, self._values = self._values, {}
        for row in rows:
            if not isinstance(row, Line):
                continue
            known = before.get(row.key)
            if known is not None and known.message is row.message:
                self._values[row.key] = known
                continue
            structure = structure_of(row.message)
            values: list[list[Scalar]] = []
            names: Collection[str] = ()
            if structure is not None:
                values, names = self._reader.values(structure)
            texts = [value_text(one)[:_VALUE_CHARS] for one in values]
            self._values[row.key] = _FieldTexts(row.message, texts, names)
            for at, text in enumerate(texts):
                if text:
                    cells = len(text) if text.isascii() else cell_len(harmless(text))
                    self._wanted[at] = max(self._wanted[at], cells)
                    if self._are_numbers[at] is not False:
                        self._are_numbers[at] = are_numbers(values[at])

    def _fit_fields(self) -> None:
        """Give the fields' columns the cells that they want, as far as there is room."""
        room = room_for_columns(self._appearance.width - self._columns.cells_before_fields)
        names, numbers = self._reader.names, self._are_numbers
        fields = tuple(
            fmt.FieldColumn(name, cells, bool(is_number))
            for name, cells, is_number in zip(
                names, fit_columns(self._wanted, room), numbers, strict=False
            )
        )
        if fields != self._columns.fields:
            self._set_columns(fields=fields)

    def row_height(self, row: Row, previous: Row | None) -> int:
        """Number of screen lines of a row, given the row above it."""
        return len(self.strips(row, previous))

    def strips(
        self, row: Row, previous: Row | None, surface: Surface = "log", edge: Segment = _NO_EDGE
    ) -> list[Strip]:
        """The strips of a row: one, unless it is wrapped or rows above it are hidden.

        Args:
            row: The row.
            previous: The row above it.
            surface: Its background.
            edge: The segment at its right: a cell of the scroll bar.
        """
        inputs = self._inputs(row, previous)
        _, is_context, hidden = inputs
        if is_context and surface == "log":
            surface = "dim"
        key = (row.key, surface, edge)
        found = self._cached.get(key)
        if found is not None and found[0] is row and found[1] == inputs:
            return found[2]
        lines = self._line(row, previous) if isinstance(row, Line) else [self._rule(row)]
        strips = [self._strip(line, surface, edge) for line in lines]
        if hidden:
            strips.insert(0, self._strip(self._hidden(hidden), "log", edge))
        self._cached[key] = (row, inputs, strips)
        return strips

    def blank(self, edge: Segment) -> Strip:
        """A screen line without a row."""
        return self._strip([(" " * self._appearance.width, MESSAGE)], "log", edge)

    def centered(self, text: str, edge: Segment) -> Strip:
        """A screen line with a text in its middle."""
        width = self._appearance.width
        before = max(0, (width - len(text)) // 2)
        line = fmt.clip([(" " * before, MESSAGE), (text, "muted")], 0, width)
        return self._strip(line, "log", edge)

    @property
    def _stream_cells_max(self) -> int:
        return max(STREAM_CELLS_NARROW, min(STREAM_CELLS_MAX, self._appearance.width // 6))

    @property
    def _group_cells(self) -> int:
        longest = max(map(cell_len, self._groups), default=0)
        return min(
            longest, max(GROUP_CELLS_NARROW, min(GROUP_CELLS_MAX, self._appearance.width // 6))
        )

    def _set_columns(self, **changes: object) -> None:
        self._columns = msgspec.structs.replace(self._columns, **changes)
        self.forget()

    def _inputs(self, row: Row, previous: Row | None) -> Inputs:
        reference = 0
        if self._appearance.time is TimeMode.RELATIVE:
            reference = self._now_ms // 1000
        elif self._appearance.time is TimeMode.DELTA:
            reference = row.timestamp if previous is None else previous.timestamp
        context = self._appearance.context
        if context is None:
            return reference, False, 0
        is_context = isinstance(row, Line) and not context.is_match(row.key)
        hidden = 0 if previous is None else context.count_hidden_between(previous.key, row.key)
        return reference, is_context, hidden

    def _hidden(self, rows: int) -> list[Segment]:
        """The line in place of hidden rows between two that are shown."""
        text = f"{' ' * (1 + self._columns.time_cells)}{_HIDDEN} {units.plural(rows, 'row')}"
        return fmt.clip([(text, "muted")], 0, self._appearance.width)

    def _line(self, line: Line, previous: Row | None) -> list[list[Segment]]:
        columns, appearance = self._columns, self._appearance
        level = self._level_of(line)
        cells = max(1, appearance.width - columns.cells)
        without: Collection[str] = ()
        fields: list[Segment] = []
        if columns.fields:
            fields, without = self._fields(line)
        rows = fmt.WRAPPED_ROWS_MAX + 1 if appearance.wrapped else 1
        message, begins_with_level = self._message(line, level, cells, rows, without)
        prefix = [
            fmt.gutter(
                line.origin,
                late=line.late_ms > 0,
                confirmed=self._is_confirmed(line),
                marked=self._is_marked(line.key),
                ascii_only=columns.ascii_only,
            ),
            (
                fmt.time_text(
                    line.timestamp,
                    columns,
                    now_ms=self._now_ms,
                    previous_ms=None if previous is None else previous.timestamp,
                )
                + " ",
                "time",
            ),
            *self._group(line),
            self._stream(line),
            fmt.level_segment(None if begins_with_level and not appearance.left else level),
            (" ", MESSAGE),
            *fields,
        ]
        if not appearance.wrapped:
            return [self._fitted(prefix + fmt.clip(message, appearance.left, cells))]
        first, *others = fmt.wrap(message, cells, words=True)
        indent = (" " * columns.cells, MESSAGE)
        lines = [[*prefix, *first], *([indent, *other] for other in others)]
        return [fmt.clip(line, 0, appearance.width) for line in lines]

    def _stream(self, line: Line) -> Segment:
        """The column of log streams, and a blank."""
        cells, ascii_only = self._columns.stream_cells, self._columns.ascii_only
        text = fmt.stream_text(
            self.streams.text(line.target, line.stream), cells, ascii_only=ascii_only
        )
        return text + " ", self.streams.role(line.target, line.stream)

    def _group(self, line: Line) -> list[Segment]:
        """The column of log groups, where there are several."""
        cells, ascii_only = self._columns.group_cells, self._columns.ascii_only
        if not cells:
            return []
        name = self._groups[line.target] if line.target < len(self._groups) else ""
        return [fmt.group_segment(name, cells, ascii_only=ascii_only)]

    def _fields(self, line: Line) -> tuple[list[Segment], Collection[str]]:
        """The columns of fields, and the names of the line's fields that they show."""
        columns, known = self._columns.fields, self._values.get(line.key)
        if known is None or known.message is not line.message:
            self._measure_fields([line])
            known = self._values[line.key]
        if not known.texts:
            return [(" " * sum(one.cells + 1 for one in columns), MESSAGE)], ()
        names: Collection[str] = known.names
        if len(columns) < len(known.texts):  # the others are shown behind the message
            structure = structure_of(line.message)
            reader = FieldReader(self._reader.names[: len(columns)])
            names = () if structure is None else reader.values(structure)[1]
        ascii_only = self._columns.ascii_only
        segments = [
            fmt.field_segment(text, column, ascii_only=ascii_only)
            for text, column in zip(known.texts, columns, strict=False)
        ]
        return segments, names

    def match_left(self, line: Line) -> int:
        """Cells to scroll sideways so that a line's first match is seen; the present ones if it is.

        Without a match in the first ``_SOUGHT_CELLS``, the present ones, too.
        """
        left, pattern = self._appearance.left, self._appearance.pattern
        if pattern is None or self._appearance.wrapped:
            return left
        without = self._fields(line)[1] if self._columns.fields else ()
        message, _ = self._message(line, None, _SOUGHT_CELLS, 1, without)
        text = "".join(one for one, _ in message)
        spans = pattern.spans(text)
        if not spans:
            return left
        begin, end = (cell_len(text[:at]) for at in spans[0])
        cells = max(1, self._appearance.width - self._columns.cells)
        if left <= begin and end < left + cells:
            return left
        return 0 if end < cells else max(0, begin - cells // 3)

    def _message(
        self, line: Line, level: str | None, cells: int, rows: int, without: Collection[str]
    ) -> tuple[list[Segment], bool]:
        """What is drawn of a message on ``rows`` screen rows; whether its level comes first.

        A row has ``cells`` cells. ``without`` are names of fields that have columns.
        """
        appearance, ascii_only = self._appearance, self._columns.ascii_only
        chars_max = _CHARS_PER_CELL * (appearance.left + cells * rows) + 256
        structure = structure_of(line.message) if appearance.structured else None
        if structure is not None:
            message = fmt.structured_segments(
                structure, level, ascii_only=ascii_only, chars_max=chars_max, without=without
            )
        else:
            message = fmt.message_segments(
                line.message,
                level,
                ascii_only=ascii_only,
                chars_max=chars_max,
                newlines_max=rows if appearance.wrapped else None,
                # A match may go on beyond the edge. A newline takes a cell beside its row's.
                cells_max=chars_max if appearance.pattern else appearance.left + (cells + 1) * rows,
            )
        message, begins_with_level = fmt.colour_level(message, level)
        if appearance.pattern is not None:
            message = fmt.highlight(message, appearance.pattern)
        return message, begins_with_level

    def _fitted(self, line: list[Segment]) -> list[Segment]:
        """A line, clipped only if the screen is narrower than the columns before the message."""
        fits = self._appearance.width > self._columns.cells
        return line if fits else fmt.clip(line, 0, self._appearance.width)

    def _rule(self, rule: Rule) -> list[Segment]:
        columns, width = self._columns, self._appearance.width
        zone = columns.zone if columns.time is TimeMode.LOCAL else None
        text, role = fmt.rule_text(rule, zone)
        names_group = rule.kind in ("joined", "left")
        if rule.target is not None and rule.target < len(self._groups) and not names_group:
            text = f"{self._groups[rule.target]}: {text}"
        line = fmt.rule_segments(text, role, width, ascii_only=columns.ascii_only)
        return fmt.clip(line, 0, width)

    def _strip(self, line: list[Segment], surface: Surface, edge: Segment) -> Strip:
        cells = self._appearance.width + len(edge[0])
        return LazyStrip(line, edge, cells, self._palette, surface)

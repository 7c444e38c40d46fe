"""Rows of the timeline as strips of the screen, each made once and kept while it is true.

Strips of the log: drawn at once, and all else that Textual has of a strip only where asked for.

A strip of Textual's own is thirty objects, most of them caches that a line of the log never needs:
making a screen of them takes longer than all the rest of a frame, and the collector goes over each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from rich.console import Console
from textual.cache import LRUCache
from textual.strip import Strip

from tui.lines.rows import Line, Row, Rule
from tui.lines.view import ContextRows
from tui.render import line_format as fmt
from tui.render import units
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.palette import Palette, Surface
from tui.render.safe_text import MESSAGE, Segment


class LazyStrip(Strip):
    """A line of the screen, drawn only once.

    Nothing of Textual's is set up until something asks for it: then ``__getattr__`` does what
    Textual's own ``__init__`` would have done. ``divide`` and ``render`` are all that is asked of a
    line that nothing lies over.
    """

    __slots__ = ("_cells", "_drawn", "_edge", "_line", "_palette", "_surface")

    def __init__(
        self, line: list[Segment], edge: Segment, cells: int, palette: Palette, surface: Surface
    ) -> None:
        """A line.

        Args:
            line: its pieces.
            edge: what follows them on the log's own ground: a cell of the scroll bar.
            cells: that all of it takes.
            palette: the styles.
            surface: what the pieces are drawn on.

        """
        self._line = line
        self._edge = edge
        self._cells = cells
        self._palette = palette
        self._surface: Surface = surface
        self._drawn: str | None = None

    @property
    def cell_length(self) -> int:
        """How many cells it takes."""
        return self._cells

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """As Textual's, which makes parts of it; itself where it is not cut."""
        cuts = list(cuts)
        return [self] if cuts == [self._cells] else super().divide(cuts)

    def render(self, console: Console) -> str:
        """As Textual's: what the terminal is sent."""
        if self._drawn is None:
            palette, system = self._palette, console.color_system
            drawn = palette.drawn(self._line, self._surface, system)
            self._drawn = drawn + palette.edge(self._edge, system)
        return self._drawn

    def __getattr__(self, name: str) -> object:
        """What Textual keeps of a strip, all of it, at the first question for any of it."""
        if name not in Strip.__slots__:
            raise AttributeError(name)
        palette = self._palette
        cells = palette.cells(self._line, self._surface) + palette.cells([self._edge])
        Strip.__init__(self, cells, self._cells)
        return object.__getattribute__(self, name)


STRIPS_MAX: Final = 1024
"""Rows whose strips are kept: some twenty screens. A strip is twenty objects to the collector."""

STREAM_CELLS_MAX: Final = 30
STREAM_CELLS_NARROW: Final = 13
"""What a long stream name gets at least: a folder or two by their initials, and the task."""

_CHARS_A_CELL: Final = 4
"""Characters of a message that are looked at for one cell of it: colour codes take their part."""

_NO_EDGE: Final[Segment] = ("", MESSAGE)

_HIDDEN: Final = "⋯"

Extra = tuple[int, bool, int]
Made = tuple[Row, Extra, list[Strip]]


class Appearance(msgspec.Struct, frozen=True):
    """Everything about how rows look but the theme."""

    width: int = 80
    left: int = 0
    """Cells of the message that are scrolled out at the left."""
    wrapped: bool = False
    time: TimeMode = TimeMode.UTC
    dated: bool = False
    pattern: re.Pattern[str] | None = None
    """What is searched for."""


class StripCache:
    """Makes strips of rows, and keeps them until the look changes."""

    def __init__(
        self,
        palette: Palette,
        level_of: Callable[[Line], str | None],
        is_confirmed: Callable[[Line], bool],
        columns: ColumnLayout,
        is_marked: Callable[[int], bool] = lambda _key: False,
    ) -> None:
        """Make strips with a palette.

        Args:
            palette: the styles.
            level_of: the level of a line, None where it has none.
            is_confirmed: whether a line counts in the present epoch.
            columns: zone and glyphs; widths are found from what is shown.
            is_marked: whether the line of a key has a bookmark.

        """
        self._palette = palette
        self._level_of = level_of
        self._is_confirmed = is_confirmed
        self._columns = columns
        self._is_marked = is_marked
        self._look = Appearance()
        self._made: LRUCache[tuple[int, Surface, Segment], Made] = LRUCache(STRIPS_MAX)
        self.now_ms = 0
        """What relative times count from."""
        self.around: ContextRows | None = None
        """Says which rows stand beside hits only, and where rows are left out between two."""

    @property
    def look(self) -> Appearance:
        """How rows look."""
        return self._look

    @property
    def columns(self) -> ColumnLayout:
        """The columns before the message."""
        return self._columns

    def set_look(self, look: Appearance) -> None:
        """Draw rows otherwise from now on."""
        if look != self._look:
            self._look = look
            cells = min(self._columns.stream_cells, self._stream_cells_max)
            self._set_columns(time=look.time, dated=look.dated, stream_cells=cells)

    def set_palette(self, palette: Palette) -> None:
        """The theme changed."""
        self._palette = palette
        self.forget()

    def forget(self) -> None:
        """Make all strips anew: something outside changed what rows look like."""
        self._made.clear()

    def widen(self, rows: list[Row]) -> bool:
        """Make room for the stream names of these rows; whether that changed anything."""
        longest = max((len(row.stream) for row in rows if isinstance(row, Line)), default=0)
        cells = min(longest, self._stream_cells_max)
        if cells <= self._columns.stream_cells:
            return False
        self._set_columns(stream_cells=cells)
        return True

    def lines_of(self, row: Row, previous: Row | None) -> int:
        """How many lines of the screen a row takes."""
        return len(self.strips(row, previous))

    def strips(
        self,
        row: Row,
        previous: Row | None,
        surface: Surface = "log",
        edge: Segment = _NO_EDGE,
    ) -> list[Strip]:
        """The strips of a row, one unless wrapped.

        Args:
            row: what to draw.
            previous: the row above it.
            surface: what it is drawn on.
            edge: what follows it at the right: a cell of the scroll bar.

        """
        extra = self._extra(row, previous)
        _, is_beside, hidden = extra
        if is_beside and surface == "log":
            surface = "dim"
        key = (row.key, surface, edge)
        found = self._made.get(key)
        if found is not None and found[0] is row and found[1] == extra:
            return found[2]
        lines = self._line(row, previous) if isinstance(row, Line) else [self._rule(row)]
        strips = [self._strip(line, surface, edge) for line in lines]
        if hidden:
            strips.insert(0, self._strip(self._left_out(hidden), "log", edge))
        self._made[key] = (row, extra, strips)
        return strips

    def blank(self, edge: Segment) -> Strip:
        """A line of the screen that has no row."""
        return self._strip([(" " * self._look.width, MESSAGE)], "log", edge)

    def middle(self, text: str, edge: Segment) -> Strip:
        """A line of the screen that says something in its middle."""
        before = max(0, (self._look.width - len(text)) // 2)
        line = fmt.clip([(" " * before, MESSAGE), (text, "muted")], 0, self._look.width)
        return self._strip(line, "log", edge)

    @property
    def _stream_cells_max(self) -> int:
        return max(STREAM_CELLS_NARROW, min(STREAM_CELLS_MAX, self._look.width // 6))

    def _set_columns(self, **changes: object) -> None:
        self._columns = msgspec.structs.replace(self._columns, **changes)
        self.forget()

    def _extra(self, row: Row, previous: Row | None) -> Extra:
        """What the strips depend on besides row and look."""
        moment = 0
        if self._look.time is TimeMode.RELATIVE:
            moment = self.now_ms // 1000
        elif self._look.time is TimeMode.DELTA:
            moment = row.timestamp if previous is None else previous.timestamp
        if self.around is None:
            return moment, False, 0
        is_beside = isinstance(row, Line) and not self.around.is_match(row.key)
        hidden = 0 if previous is None else self.around.count_hidden_between(previous.key, row.key)
        return moment, is_beside, hidden

    def _left_out(self, rows: int) -> list[Segment]:
        """Between two rows that are shown, where others are not."""
        said = f"{' ' * (1 + self._columns.time_cells)}{_HIDDEN} {units.plural(rows, 'row')}"
        return fmt.clip([(said, "muted")], 0, self._look.width)

    def _line(self, line: Line, previous: Row | None) -> list[list[Segment]]:
        columns, look = self._columns, self._look
        level = self._level_of(line)
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
                    now_ms=self.now_ms,
                    previous_ms=None if previous is None else previous.timestamp,
                )
                + " ",
                "time",
            ),
            fmt.stream_segment(line.stream, columns.stream_cells, ascii_only=columns.ascii_only),
            fmt.level_segment(level),
            (" ", MESSAGE),
        ]
        cells = max(1, look.width - columns.cells)
        rows = fmt.WRAPPED_ROWS_MAX + 1 if look.wrapped else 1
        message = fmt.message_segments(
            line.message,
            level,
            ascii_only=columns.ascii_only,
            chars_max=_CHARS_A_CELL * (look.left + cells * rows) + 256,
        )
        if look.pattern is not None:
            message = fmt.highlight(message, look.pattern)
        if not look.wrapped:
            return [self._whole(prefix + fmt.clip(message, look.left, cells))]
        first, *others = fmt.wrap(message, cells, words=True)
        indent = (" " * columns.cells, MESSAGE)
        lines = [[*prefix, *first], *([indent, *other] for other in others)]
        return [fmt.clip(line, 0, look.width) for line in lines]

    def _whole(self, line: list[Segment]) -> list[Segment]:
        """A line that fits, unless the screen is narrower than the columns before the message."""
        fits = self._look.width > self._columns.cells
        return line if fits else fmt.clip(line, 0, self._look.width)

    def _rule(self, rule: Rule) -> list[Segment]:
        columns = self._columns
        zone = columns.zone if columns.time is TimeMode.LOCAL else None
        text, role = fmt.rule_text(rule, zone)
        line = fmt.rule_segments(text, role, self._look.width, ascii_only=columns.ascii_only)
        return fmt.clip(line, 0, self._look.width)

    def _strip(self, line: list[Segment], surface: Surface, edge: Segment) -> Strip:
        cells = self._look.width + len(edge[0])
        return LazyStrip(line, edge, cells, self._palette, surface)

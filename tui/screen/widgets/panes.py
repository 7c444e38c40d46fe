"""Scrollable panes: text with values to filter by, and lists with a cursor: streams, patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal

import msgspec
from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from tui.lines.counts import PatternSummary
from tui.lines.expressions import Comparison
from tui.lines.rows import StreamId
from tui.render import line_format as fmt
from tui.render import units
from tui.render.palette import Palette, Surface
from tui.render.pattern_list import ORDERS, Order, PatternTable, ordered
from tui.render.safe_text import Segment

_RIGHT_BUTTON: Final = 3

LINE_ROWS_MAX: Final = 10_000
"""Most rows that one line of text is wrapped into; more than the longest value takes."""

Choose = Callable[[Comparison, bool], None]
"""Filters by a value; True hides the lines that have it."""

StreamAction = Literal["switch", "only", "all"]
"""Show or hide one stream, show only that one, or show all."""


class AsciiScrollBar(ScrollBarRender):
    """A scroll bar without partial block characters at the ends of its thumb."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def adapt_scrollbar(widget: Widget) -> None:
    """Draw a widget's scroll bar with ASCII if the terminal has no more."""
    if widget.app.has_class("-ascii"):
        bar = widget.vertical_scrollbar
        bar.renderer = AsciiScrollBar  # type: ignore[misc]  # documented: of one bar alone


class Pane(ScrollView, can_focus=True):
    """Base of the scrollable panes: styles, scroll bar, and a cursor that shows with the focus."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._palette = palette

    def set_palette(self, palette: Palette) -> None:
        """Use the colours of another theme."""
        self._palette = palette
        self.refresh()

    def on_mount(self) -> None:
        """Adapt the scroll bar to the terminal."""
        adapt_scrollbar(self)

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()


class TextPane(Pane):
    """Wrapped lines of text; a cursor moves along those that have a value to filter by."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down,j", "by(1)", "Down"),
        ("up,k", "by(-1)", "Up"),
        ("f,plus", "choose('include')", "Only this value"),
        ("x,minus", "choose('exclude')", "Without this value"),
    ]

    def __init__(self, palette: Palette, *, id: str, choose: Choose | None = None) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(palette, id=id)
        self._choose = choose
        self._lines: Sequence[Sequence[Segment]] = ()
        self._values: Mapping[int, Comparison] = {}
        self._at: int | None = None  # number of the line under the cursor
        self._wrapped: list[tuple[int, list[Segment]]] = []

    def show(
        self,
        title: str,
        lines: Sequence[Sequence[Segment]],
        values: Mapping[int, Comparison] | None = None,
        *,
        from_top: bool = False,
    ) -> None:
        """Show lines of text under a title.

        ``values`` can be filtered by, and have the numbers of their lines; ``from_top`` scrolls to
        the top instead of staying at the present place.
        """
        self.border_title = title
        self._values = values or {}
        if lines != self._lines:
            self._lines = lines
            if self._at not in self._values:
                self._at = None
            self._wrap()
        if from_top:
            self._at = None
            self.scroll_to(y=0, animate=False)

    @property
    def text(self) -> str:
        """The pane as plain text."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    @property
    def value(self) -> Comparison | None:
        """The value under the cursor."""
        return None if self._at is None else self._values.get(self._at)

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height

    def action_by(self, steps: int) -> None:
        """Move to the next value on the screen, else scroll by a row."""
        at = -1 if self._at is None else self._at
        beyond = [one for one in self._values if (one - at) * steps > 0]
        goal = min(beyond, key=lambda one: abs(one - at), default=None)
        top = self.scroll_offset.y
        visible = {line for line, _ in self._wrapped[top : top + self._height]}
        if goal is not None and goal in visible:
            self._move_to(goal)
        else:  # the text between two values has to be readable, too
            self.scroll_relative(y=steps, animate=False)

    async def action_choose(self, how: str) -> None:
        """Filter by the value under the cursor; without one, ask as the key does elsewhere."""
        value = self.value
        if value is not None and self._choose is not None:
            self._choose(value, how == "exclude")
        else:
            await self.app.run_action(how)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to a value; double click filters for it, right click against it."""
        line = self.line_at(event)
        if line not in self._values:
            return
        self._at = line
        self.refresh()
        is_right = event.button == _RIGHT_BUTTON
        if self._choose is not None and (event.chain > 1 or is_right):
            self._choose(self._values[line], is_right)

    def line_at(self, event: events.MouseEvent) -> int:
        """Number of the line under the mouse; -1 if there is none."""
        offset = event.get_content_offset(self)
        row = -1 if offset is None else offset.y + self.scroll_offset.y
        return self._wrapped[row][0] if 0 <= row < len(self._wrapped) else -1

    def on_resize(self, event: events.Resize) -> None:
        """Wrap the lines at the new width."""
        event.stop()
        self._wrap()

    def _move_to(self, line: int) -> None:
        self._at = line
        rows = [row for row, (number, _) in enumerate(self._wrapped) if number == line]
        if rows:
            region = Region(0, rows[0], 1, len(rows))
            self.scroll_to_region(region, animate=False, force=True)
        self.refresh()

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if not width:
            return
        self._wrapped = []
        for number, line in enumerate(self._lines):
            indent = cell_len(line[0][0]) if len(line) > 1 else 0
            indent = indent if indent <= width // 3 else 0
            rows = fmt.wrap(line, width, LINE_ROWS_MAX, words=True, indent=indent)
            self._wrapped += [(number, row) for row in rows]
        self.virtual_size = Size(width, len(self._wrapped))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one wrapped row."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        number, line = self._wrapped[index] if index < len(self._wrapped) else (-1, [])
        surface: Surface = "cursor" if self.has_focus and number == self._at else "panel"
        return Strip(self._palette.cells(fmt.clip(line, 0, width), surface), width)


class ListItem(msgspec.Struct, frozen=True):
    """One row of a list pane."""

    key: str
    """Identifies the row while others come and go."""
    parts: tuple[Segment, ...]


class ListPane(Pane):
    """A list of one-line rows with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down,j", "by(1)", "Down"),
        ("up,k", "by(-1)", "Up"),
        ("pagedown", "page(1)", "Page down"),
        ("pageup", "page(-1)", "Page up"),
        ("home,g", "to(0)", "First"),
        ("end,G", "to(-1)", "Last"),
    ]

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(palette, id=id)
        self._items: Sequence[ListItem] = ()
        self._at = 0

    @property
    def current(self) -> str | None:
        """Key of the row under the cursor."""
        return self._items[self._at].key if self._items else None

    @property
    def cells(self) -> int:
        """Width of a row, in cells."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """The list as plain text."""
        return "\n".join("".join(text for text, _ in self.parts(item)) for item in self._items)

    def show(self, items: Sequence[ListItem], *, first: bool = False) -> None:
        """Show rows; the cursor stays on its row, or goes to the first one."""
        if items == self._items and not first:
            return
        keys = [item.key for item in items]
        at = 0 if first else min(self._at, max(0, len(keys) - 1))
        self._at = keys.index(self.current) if self.current in keys and not first else at
        self._items = items
        size = Size(self.cells, len(items))
        if size != self.virtual_size:
            self.virtual_size = size
        self.refresh()
        self._reveal()

    def action_by(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move_to(self._at + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._move_to(self._at + pages * max(1, self.scrollable_content_region.height - 1))

    def action_to(self, index: int) -> None:
        """Move the cursor to a row; -1 is the last one."""
        self._move_to(len(self._items) - 1 if index < 0 else index)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row that was clicked, and let the subclass act on it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = offset.y + self.scroll_offset.y
        if 0 <= index < len(self._items):
            self._move_to(index)
            self.on_item_click(self._items[index].key, twice=event.chain > 1)

    def on_item_click(self, key: str, *, twice: bool) -> None:
        """Act on a click on a row; subclasses override it."""

    def parts(self, item: ListItem) -> Sequence[Segment]:
        """What a row shows; subclasses may make it when it is drawn."""
        return item.parts

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width = self.cells
        index = y + self.scroll_offset.y
        parts = self.parts(self._items[index]) if index < len(self._items) else ()
        surface: Surface = "cursor" if self._has_cursor(index) else "panel"
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), surface), width)

    def _has_cursor(self, index: int) -> bool:
        return self.has_focus and bool(self._items) and index == self._at

    def _move_to(self, index: int) -> None:
        self._at = min(max(0, index), max(0, len(self._items) - 1))
        self._reveal()
        self.refresh()

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)


PatternAction = Literal["only", "hide"]
"""Show only the lines of a pattern, or hide them; or undo that."""

_SHIFT_CHARS: Final = 16


class PatternPane(ListPane):
    """The patterns of the lines, each with its numbers over time and by level."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("enter", "choose('only')", "Only this"),
        ("x,minus", "choose('hide')", "Hide"),
        ("o", "order", "Order"),
        ("m", "moment", "New since here"),
        ("right", "shift(1)", "Right"),
        ("left", "shift(-1)", "Left"),
    ]

    def __init__(
        self,
        palette: Palette,
        choose: Callable[[PatternAction, str], None],
        set_moment: Callable[[], None],
    ) -> None:
        super().__init__(palette, id="patterns")
        self._choose = choose
        self._set_moment = set_moment
        self._order: Order = ORDERS[0]
        self._patterns: dict[str, PatternSummary] = {}
        self._table: PatternTable | None = None
        self._others = 0
        self._note = ""
        self._chars = 0  # of each pattern, scrolled away

    def show_patterns(
        self, patterns: Sequence[PatternSummary], table: PatternTable, others: int, note: str
    ) -> None:
        """Show the patterns.

        Args:
            patterns: In any order.
            table: What their rows have in common.
            others: Number of lines without a pattern.
            note: Remark on all numbers, such as ``counting``.
        """
        self._patterns = {one.text: one for one in ordered(patterns, self._order)}
        self._table, self._others, self._note = table, others, note
        items = [ListItem(one, ()) for one in self._patterns]
        items += [ListItem(_OTHERS, ())] if others else []
        self.show(items)
        self._update_titles()
        self.refresh()

    def parts(self, item: ListItem) -> Sequence[Segment]:
        """One row."""
        pattern = self._patterns.get(item.key)
        if pattern is None or self._table is None:
            text = f"and {units.plural(self._others, 'line')} of more patterns than are kept apart"
            return [(f"     {text}", "muted")]
        ascii_only = self._palette.ascii_only
        return self._table.row(pattern, self.cells, self._chars, ascii_only=ascii_only)

    def action_choose(self, action: PatternAction) -> None:
        """Show only the lines of the pattern under the cursor, or hide them."""
        if self.current is not None and self.current in self._patterns:
            self._choose(action, self.current)

    def action_order(self) -> None:
        """Switch to the next order; the cursor goes to the first row."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        if self._table is not None:
            patterns = list(self._patterns.values())
            self.show_patterns(patterns, self._table, self._others, self._note)
            self.action_to(0)

    def action_moment(self) -> None:
        """Mark what is new or gone since the time of the log's cursor."""
        self._set_moment()

    def action_shift(self, steps: int) -> None:
        """Scroll along long patterns."""
        longest = max(map(len, self._patterns), default=0)
        self._chars = min(max(0, self._chars + steps * _SHIFT_CHARS), longest)
        self.refresh()

    def on_item_click(self, key: str, *, twice: bool) -> None:
        """A double click shows only the lines of the pattern."""
        self._update_titles()
        if twice and key in self._patterns:
            self._choose("only", key)

    def on_resize(self) -> None:
        """Fit the titles to the new width."""
        self._update_titles()

    def _move_to(self, index: int) -> None:
        super()._move_to(index)
        self._update_titles()

    def _update_titles(self) -> None:
        table = self._table
        if table is None:
            return
        adapt = self._palette.adapt
        since = (
            "" if table.since_ms is None else f"new since {units.clock(table.since_ms, table.zone)}"
        )
        order = {"count": "by count", "newest": "newest first"}[self._order]
        title = [units.plural(len(self._patterns), "pattern"), order, since, self._note]
        self.border_title = adapt(" · ".join(one for one in title if one))
        pattern = None if self.current is None else self._patterns.get(self.current)
        details = "" if pattern is None else table.details(pattern)
        parts = [details, "Enter only, x hide, o order, m new since"]
        whole = " · ".join(one for one in parts if one)
        self.border_subtitle = adapt(whole if cell_len(whole) <= self.cells else details)


_OTHERS: Final = "\n"
"""Key of the row for lines without a pattern: no text of a pattern."""

_COUNT_CELLS: Final = 9


def _key_of(stream: StreamId) -> str:
    """The key of a stream's row."""
    return f"{stream[0]} {stream[1]}"


class StreamPane(ListPane):
    """The streams, each in its colour, with its number of lines and a switch.

    Where there are several log groups, a stream's group stands before it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("space", "choose('switch')", "On or off"),
        ("enter,o", "choose('only')", "Only this"),
        ("a", "choose('all')", "All"),
    ]

    def __init__(
        self,
        palette: Palette,
        choose: Callable[[StreamAction, StreamId | None], None],
        role_of: Callable[[StreamId], str],
    ) -> None:
        super().__init__(palette, id="streams")
        self._choose = choose
        self._role_of = role_of
        self._counted: list[tuple[StreamId, int, bool]] = []
        self._streams: dict[str, StreamId] = {}
        """The stream of each row, by the row's key."""
        self._groups: Sequence[str] = ()
        self._others = 0
        self.border_subtitle = "Space on/off, Enter only, a all"

    def show_streams(
        self,
        counts: Mapping[StreamId, int],
        is_shown: Callable[[StreamId], bool],
        others: int,
        groups: Sequence[str],
        *,
        done: bool,
    ) -> None:
        """Show the streams, with their numbers of lines, in the order of their names.

        Args:
            counts: Lines of each stream.
            is_shown: Whether a stream's lines are shown.
            others: Lines of streams beyond those.
            groups: Short names of the targets' log groups; empty where there is one.
            done: Whether all lines have been counted.
        """
        more = "" if done else ", counting"
        self.border_title = f"{units.plural(len(counts), 'stream')}{more}"
        self._groups = groups
        ordered = sorted(counts, key=lambda one: (self._group_of(one), one[1], one[0]))
        self._counted = [(one, counts[one], is_shown(one)) for one in ordered]
        self._streams = {_key_of(one): one for one in ordered}
        self._others = others
        self._fill()

    def _fill(self) -> None:
        cells = max((cell_len(self._group_of(one)) for one in self._streams.values()), default=0)
        cells = min(cells, self.cells // 3)
        items = [self._item(one, count, cells, is_on=is_on) for one, count, is_on in self._counted]
        if self._others:
            text = f"    and {units.plural(self._others, 'line')} of other streams"
            items.append(ListItem("", ((text, "muted"),)))
        self.show(items)

    def action_choose(self, action: StreamAction) -> None:
        """Act on the stream under the cursor."""
        stream = self._streams.get(self.current or "")
        if stream is not None:
            self._choose(action, stream)

    def on_item_click(self, key: str, *, twice: bool) -> None:
        """Show or hide the stream; a double click shows only this one."""
        if key in self._streams:
            self._choose("only" if twice else "switch", self._streams[key])

    def _group_of(self, stream: StreamId) -> str:
        return self._groups[stream[0]] if stream[0] < len(self._groups) else ""

    def _item(self, stream: StreamId, count: int, group_cells: int, *, is_on: bool) -> ListItem:
        """The row of a stream; ``group_cells`` is the width of the group column, 0 without one."""
        ascii_only = self._palette.ascii_only
        number = units.number(count).rjust(_COUNT_CELLS)
        group: tuple[Segment, ...] = ()
        if group_cells:
            name = fmt.group_segment(self._group_of(stream), group_cells, ascii_only=ascii_only)
            group = (name if is_on else (name[0], "muted"),)
        cells = max(4, self.cells - 4 - sum(cell_len(text) for text, _ in group) - cell_len(number))
        parts: tuple[Segment, ...] = (
            ("[x] " if is_on else "[ ] ", "text" if is_on else "muted"),
            *group,
            (
                fmt.stream_text(stream[1], cells, ascii_only=ascii_only),
                self._role_of(stream) if is_on else "muted",
            ),
            (number, "text" if is_on else "muted"),
        )
        return ListItem(_key_of(stream), parts)

    def on_resize(self) -> None:
        """Fit the names to the new width."""
        self._fill()

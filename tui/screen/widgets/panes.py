"""A pane of text beside or below the log: detail, connection, help.

Textual's own scroll bars, on terminals that have ASCII alone.

A pane with a list in it, of which one row has the cursor: streams, things to open.

The streams, each in its colour, with its lines and a switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

import msgspec
from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from tui.lines.filters import Value
from tui.render import line_format as fmt
from tui.render import units
from tui.render.palette import Palette, Surface
from tui.render.safe_text import Segment


class PlainBars(ScrollBarRender):
    """Without the parts of blocks at the ends of the thumb."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def suit(widget: Widget) -> None:
    """Draw a widget's scroll bar with what the terminal has."""
    if widget.app.has_class("-ascii"):
        bar = widget.vertical_scrollbar
        bar.renderer = PlainBars  # type: ignore[misc]  # documented: of one bar alone


LINE_ROWS_MAX: Final = 10_000
"""Rows that one line of text may be broken into: more than the detail pane is ever given."""

Choose = Callable[[Value, bool], None]
"""Filters by a value; True: against it."""


class Pane(ScrollView, can_focus=True):
    """Lines of text, wrapped, that can be scrolled; with values to filter by, gone along."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("down,j", "by(1)", "Down"),
        ("up,k", "by(-1)", "Up"),
        ("f,plus", "choose('include')", "Only this value"),
        ("x,minus", "choose('exclude')", "Without this value"),
    ]

    def __init__(self, palette: Palette, *, id: str, choose: Choose | None = None) -> None:  # noqa: A002 - Textual's own name for it
        """An empty pane.

        Args:
            palette: the styles.
            id: of the widget.
            choose: filters by a value of those that it is shown with.

        """
        super().__init__(id=id)
        self._palette = palette
        self._choose = choose
        self._said: Sequence[Sequence[Segment]] = ()
        self._values: Mapping[int, Value] = {}
        self._at: int | None = None  # the line that the cursor is on
        self._wrapped: list[tuple[int, list[Segment]]] = []

    def show(
        self,
        title: str,
        lines: Sequence[Sequence[Segment]],
        values: Mapping[int, Value] | None = None,
        *,
        anew: bool = False,
    ) -> None:
        """Say something.

        Args:
            title: in the border.
            lines: what is said.
            values: what can be filtered by, by the number of the line that it stands on.
            anew: begin at the top, rather than where the reader is.

        """
        self.border_title = title
        self._values = values or {}
        if lines != self._said:
            self._said = lines
            if self._at not in self._values:
                self._at = None
            self._wrap()
        if anew:
            self._at = None
            self.scroll_to(y=0, animate=False)

    def set_palette(self, palette: Palette) -> None:
        """The theme changed."""
        self._palette = palette
        self.refresh()

    @property
    def text(self) -> str:
        """What it says, as plain text."""
        return "\n".join("".join(text for text, _ in line) for line in self._said)

    @property
    def value(self) -> Value | None:
        """The value that the cursor is on."""
        return None if self._at is None else self._values.get(self._at)

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height

    def action_by(self, steps: int) -> None:
        """To the next value, or where there are none, a row further."""
        at = -1 if self._at is None else self._at
        beyond = [one for one in self._values if (one - at) * steps > 0]
        goal = min(beyond, key=lambda one: abs(one - at), default=None)
        top = self.scroll_offset.y
        seen = {line for line, _ in self._wrapped[top : top + self._height]}
        if goal is not None and goal in seen:
            self._go(goal)
        else:  # what stands between two values is read, too
            self.scroll_relative(y=steps, animate=False)

    async def action_choose(self, how: str) -> None:
        """Filter by the value that the cursor is on; without one, as everywhere else."""
        value = self.value
        if value is not None and self._choose is not None:
            self._choose(value, how == "exclude")
        else:
            await self.app.run_action(how)

    def on_mount(self) -> None:
        """Scroll bars are Textual's."""
        suit(self)

    def on_focus(self) -> None:
        """The cursor shows."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor shows no more."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A value takes the cursor; twice: only this, with the other button: without."""
        line = self.line_at(event)
        if line not in self._values:
            return
        self._at = line
        self.refresh()
        if self._choose is not None and (event.chain > 1 or event.button == 3):  # noqa: PLR2004 - the right one
            self._choose(self._values[line], event.button == 3)  # noqa: PLR2004

    def line_at(self, event: events.MouseEvent) -> int:
        """The number of the line under the mouse; -1 where there is none."""
        offset = event.get_content_offset(self)
        row = -1 if offset is None else offset.y + self.scroll_offset.y
        return self._wrapped[row][0] if 0 <= row < len(self._wrapped) else -1

    def on_resize(self, event: events.Resize) -> None:
        """Break the lines at another width."""
        event.stop()
        self._wrap()

    def _go(self, line: int) -> None:
        self._at = line
        rows = [row for row, (said, _) in enumerate(self._wrapped) if said == line]
        if rows:
            region = Region(0, rows[0], 1, len(rows))
            self.scroll_to_region(region, animate=False, force=True)
        self.refresh()

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if not width:
            return
        self._wrapped = []
        for number, line in enumerate(self._said):
            indent = cell_len(line[0][0]) if len(line) > 1 else 0
            indent = indent if indent <= width // 3 else 0
            rows = fmt.wrap(line, width, LINE_ROWS_MAX, words=True, indent=indent)
            self._wrapped += [(number, row) for row in rows]
        self.virtual_size = Size(width, len(self._wrapped))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        number, line = self._wrapped[index] if index < len(self._wrapped) else (-1, [])
        surface: Surface = "cursor" if self.has_focus and number == self._at else "panel"
        return Strip(self._palette.cells(fmt.clip(line, 0, width), surface), width)


class Item(msgspec.Struct, frozen=True):
    """One row."""

    key: str
    """What it is known by while rows come and go."""
    parts: tuple[Segment, ...]


class ListPane(ScrollView, can_focus=True):
    """Rows, each on one line, that the cursor goes up and down in."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("down,j", "by(1)", "Down"),
        ("up,k", "by(-1)", "Up"),
        ("pagedown", "page(1)", "Page down"),
        ("pageup", "page(-1)", "Page up"),
        ("home,g", "to(0)", "First"),
        ("end,G", "to(-1)", "Last"),
    ]

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        """An empty list."""
        super().__init__(id=id)
        self._palette = palette
        self._items: Sequence[Item] = ()
        self._at = 0

    @property
    def current(self) -> str | None:
        """The key of the row that has the cursor."""
        return self._items[self._at].key if self._items else None

    @property
    def cells(self) -> int:
        """Cells that a row has."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """What it says, as plain text."""
        return "\n".join("".join(text for text, _ in item.parts) for item in self._items)

    def show(self, items: Sequence[Item], *, first: bool = False) -> None:
        """Other rows; the cursor stays on its row, or goes to the first."""
        if items == self._items and not first:
            return
        keys = [item.key for item in items]
        kept = 0 if first else min(self._at, max(0, len(keys) - 1))
        self._at = keys.index(self.current) if self.current in keys and not first else kept
        self._items = items
        size = Size(self.cells, len(items))
        if size != self.virtual_size:
            self.virtual_size = size
        self.refresh()
        self._reveal()

    def set_palette(self, palette: Palette) -> None:
        """The theme changed."""
        self._palette = palette
        self.refresh()

    def action_by(self, rows: int) -> None:
        """The cursor goes down, or up."""
        self._go(self._at + rows)

    def action_page(self, pages: int) -> None:
        """The cursor goes a page down, or up."""
        self._go(self._at + pages * max(1, self.scrollable_content_region.height - 1))

    def action_to(self, index: int) -> None:
        """The cursor goes to the first row, or the last."""
        self._go(len(self._items) - 1 if index < 0 else index)

    def on_mount(self) -> None:
        """Scroll bars are Textual's."""
        suit(self)

    def on_focus(self) -> None:
        """The cursor shows."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor shows no more."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A row takes the cursor."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = offset.y + self.scroll_offset.y
        if 0 <= index < len(self._items):
            self._go(index)
            self.picked(self._items[index].key, twice=event.chain > 1)

    def picked(self, key: str, *, twice: bool) -> None:
        """A row was clicked: what that does is the subclass's to say."""

    def render_line(self, y: int) -> Strip:
        """One row."""
        width = self.cells
        index = y + self.scroll_offset.y
        parts: Sequence[Segment] = self._items[index].parts if index < len(self._items) else ()
        surface: Surface = "cursor" if self._is_marked(index) else "panel"
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), surface), width)

    def _is_marked(self, index: int) -> bool:
        return self.has_focus and bool(self._items) and index == self._at

    def _go(self, index: int) -> None:
        self._at = min(max(0, index), max(0, len(self._items) - 1))
        self._reveal()
        self.refresh()

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)


_COUNT_CELLS: Final = 9


class StreamPane(ListPane):
    """A list of streams, by name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("space", "ask('switch')", "On or off"),
        ("enter,o", "ask('only')", "Only this"),
        ("a", "ask('all')", "All"),
    ]

    def __init__(
        self, palette: Palette, ask: Callable[[str, str], None], *, ascii_only: bool = False
    ) -> None:
        """No streams.

        Args:
            palette: the styles.
            ask: does ``switch``, ``only`` or ``all`` with a stream.
            ascii_only: cut names with ASCII.

        """
        super().__init__(palette, id="streams")
        self._ask = ask
        self._counted: list[tuple[str, int, bool]] = []
        self._others = 0
        self._ascii_only = ascii_only
        self.border_subtitle = "Space on/off, Enter only, a all"

    def show_streams(
        self, counts: Mapping[str, int], is_shown: Callable[[str], bool], others: int, *, done: bool
    ) -> None:
        """Show the streams by name.

        Args:
            counts: lines of each.
            is_shown: whether the list shows those of a stream.
            others: lines of streams beyond what is counted by name.
            done: whether all lines have been counted.

        """
        more = "" if done else ", counting"
        self.border_title = f"{units.plural(len(counts), 'stream')}{more}"
        self._counted = [(name, counts[name], is_shown(name)) for name in sorted(counts)]
        self._others = others
        self._fill()

    def _fill(self) -> None:
        items = [self._item(name, count, is_on=is_on) for name, count, is_on in self._counted]
        if self._others:
            said = f"    and {units.plural(self._others, 'line')} of more streams"
            items.append(Item("", ((said, "muted"),)))
        self.show(items)

    def action_ask(self, what: str) -> None:
        """A key."""
        if self.current:
            self._ask(what, self.current)

    def picked(self, key: str, *, twice: bool) -> None:
        """A click switches, two clicks leave only this one."""
        if key:
            self._ask("only" if twice else "switch", key)

    def _item(self, name: str, count: int, *, is_on: bool) -> Item:
        number = units.number(count).rjust(_COUNT_CELLS)
        cells = max(4, self.cells - 4 - cell_len(number))
        shown = fmt.stream_text(name, cells, ascii_only=self._ascii_only)
        parts: tuple[Segment, ...] = (
            ("[x] " if is_on else "[ ] ", "text" if is_on else "muted"),
            (shown, fmt.stream_role(name) if is_on else "muted"),
            (number, "text" if is_on else "muted"),
        )
        return Item(name, parts)

    def on_resize(self) -> None:
        """Names take another room."""
        self._fill()

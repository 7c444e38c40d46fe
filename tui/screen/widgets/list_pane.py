"""A pane with a list in it, of which one row has the cursor: streams, things to open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.render import line_format as fmt
from tui.render.palette import Palette, Surface
from tui.render.safe_text import Segment
from tui.screen.widgets.plain_bars import suit


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

"""A pane of text beside or below the log: detail, connection, help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui import format as fmt
from tui.harmless import Segment
from tui.palette import Palette

LINE_ROWS_MAX: Final = 10_000
"""Rows that one line of text may be broken into: more than the detail pane is ever given."""


class Pane(ScrollView, can_focus=True):
    """Lines of text, wrapped, that can be scrolled."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        """An empty pane."""
        super().__init__(id=id)
        self._palette = palette
        self._said: Sequence[Sequence[Segment]] = ()
        self._wrapped: list[list[Segment]] = []

    def show(self, title: str, lines: Sequence[Sequence[Segment]], *, anew: bool = False) -> None:
        """Say something.

        Args:
            title: in the border.
            lines: what is said.
            anew: begin at the top, rather than where the reader is.

        """
        self.border_title = title
        if lines != self._said:
            self._said = lines
            self._wrap()
        if anew:
            self.scroll_to(y=0, animate=False)

    def set_palette(self, palette: Palette) -> None:
        """The theme changed."""
        self._palette = palette
        self.refresh()

    @property
    def text(self) -> str:
        """What it says, as plain text."""
        return "\n".join("".join(text for text, _ in line) for line in self._said)

    def on_resize(self, event: events.Resize) -> None:
        """Break the lines at another width."""
        event.stop()
        self._wrap()

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if not width:
            return
        self._wrapped = []
        for line in self._said:
            indent = cell_len(line[0][0]) if len(line) > 1 else 0
            indent = indent if indent <= width // 3 else 0
            self._wrapped += fmt.wrap(line, width, LINE_ROWS_MAX, words=True, indent=indent)
        self.virtual_size = Size(width, len(self._wrapped))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        line = self._wrapped[index] if index < len(self._wrapped) else []
        return Strip(self._palette.cells(fmt.clip(line, 0, width), "panel"), width)

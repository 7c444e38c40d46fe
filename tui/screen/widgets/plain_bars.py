"""Textual's own scroll bars, on terminals that have ASCII alone."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBarRender
from textual.widget import Widget


class PlainBars(ScrollBarRender):
    """Without the parts of blocks at the ends of the thumb."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def suit(widget: Widget) -> None:
    """Draw a widget's scroll bar with what the terminal has."""
    if widget.app.has_class("-ascii"):
        bar = widget.vertical_scrollbar
        bar.renderer = PlainBars  # type: ignore[misc]  # documented: of one bar alone

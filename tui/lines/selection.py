"""Rows that are selected: from one that was held on to, to the one that has the cursor. Pure.

Both ends are keys, so that rows that come between are selected too, and nothing slips.
"""

from __future__ import annotations

from tui.lines.view import View
from tui.lines.viewport import Window


class Selection:
    """None, until ``begin``."""

    def __init__(self, window: Window) -> None:
        """Nothing is selected.

        Args:
            window: has the cursor.

        """
        self._window = window
        self._anchor: int | None = None

    @property
    def span(self) -> tuple[int, int] | None:
        """The first key and the last; None: nothing is selected."""
        cursor = self._window.cursor
        if self._anchor is None or cursor is None:
            return None
        return min(self._anchor, cursor), max(self._anchor, cursor)

    @property
    def view(self) -> View:
        """The rows that there are to select."""
        return self._window.view

    def indexes(self) -> tuple[int, int]:
        """Where in the view the rows begin, and where they have ended."""
        span = self.span
        if span is None:
            return 0, 0
        return self.view.index_of(span[0]), self.view.index_of(span[1] + 1)

    def __len__(self) -> int:
        """Rows selected."""
        begin, end = self.indexes()
        return end - begin

    def has(self, key: int) -> bool:
        """Whether a row is selected."""
        span = self.span
        return span is not None and span[0] <= key <= span[1]

    def begin(self, key: int | None = None) -> None:
        """Hold on to a row; by default to the one that has the cursor. Following ends."""
        self._window.detach()
        self._window.holds_cursor = True
        self._anchor = self._window.cursor if key is None else key

    def stay(self) -> None:
        """A move may have begun to follow: the last row has the cursor instead."""
        if self._anchor is not None and self._window.following:
            self._window.detach()

    def end(self) -> bool:
        """Select nothing; whether anything was."""
        was_any, self._anchor = self._anchor is not None, None
        self._window.holds_cursor = False
        return was_any


class Hand:
    """The mouse on the list: it points, selects while it drags, or moves the scroll bar."""

    def __init__(self, window: Window, selection: Selection) -> None:
        """Not down."""
        self._window = window
        self._selection = selection
        self._held: int | None = None  # the row that the button went down on
        self._is_on_bar = False

    def press(self, row: int | None, y: int, *, extends: bool) -> None:
        """The button goes down.

        Args:
            row: the line of the screen that is pointed at; None: the scroll bar is.
            y: the same, wherever it is.
            extends: select from where the cursor is (Shift is held).

        """
        if row is None:
            self._is_on_bar = True
            self.drag(y)
            return
        held = self._window.cursor if extends else None
        self._selection.end()
        self._window.point(row)
        if held is not None:
            self._selection.begin(held)
        self._held = self._window.cursor

    def drag(self, y: int) -> bool:
        """The mouse moves to a line of the screen, or beyond it; whether that does anything."""
        window = self._window
        if self._is_on_bar:
            window.scroll_to(y / max(1, window.height - 1))
            return True
        if self._held is None:
            return False
        if not 0 <= y < window.height:
            window.scroll(y if y < 0 else y - window.height + 1)
            self._selection.stay()
        window.point(min(max(0, y), len(window.slots) - 1))
        if self._selection.span is None and window.cursor != self._held:
            self._selection.begin(self._held)
        return True

    def let_go(self) -> bool:
        """The button goes up; whether it was down."""
        was_down = self._is_on_bar or self._held is not None
        self._is_on_bar, self._held = False, None
        return was_down

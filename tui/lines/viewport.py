"""Which rows are on the screen, the cursor, the selection, and what the mouse does to them. Pure.

The viewport follows the newest row, or is anchored to the *key* of its top row: rows that arrive
above it, however many, leave every line on the screen where it is. Both ends of a selection are
keys too, so that late rows between them are selected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from tui.lines.rows import Row
from tui.lines.view import View

Motion = Literal["down", "up", "page_down", "page_up", "half_down", "half_up", "top"]

WHEEL_LINES: Final = 3
"""Lines scrolled by one step of the mouse wheel."""

RowHeight = Callable[[Row, Row | None], int]
"""Number of screen lines of a row, given the row above it."""


class ScreenLine(msgspec.Struct, frozen=True, gc=False):
    """What one line of the screen shows."""

    row: Row
    part: int
    """Index among the row's screen lines; 0 unless wrapped."""
    previous: Row | None
    """The row above ``row``."""


class ReadingPlace(msgspec.Struct, frozen=True):
    """Where the user is in the log, as the status line shows it."""

    following: bool
    frozen: bool
    new: int
    """Rows that arrived at the end since the viewport stopped following, or was frozen."""
    cursor: int | None
    """Key of the row under the cursor; None while following."""


class Viewport:
    """The part of a view that is on the screen. It follows the newest row at first.

    Args:
        view: The rows.
        row_height: Number of screen lines of a row; None: one each.
    """

    def __init__(self, view: View, row_height: RowHeight | None = None) -> None:
        self.view = view
        self.height = 0
        self.following = True
        self.frozen = False
        self.cursor: int | None = None
        self.screen_lines: list[ScreenLine] = []
        """What is on the screen, top to bottom."""
        self._row_height = row_height
        self._cursor_may_leave = False
        self._top = 0
        self._skip = 0  # lines of the top row that are above the screen
        self._anchor: int | None = None
        self._seen: int | None = None

    @property
    def top(self) -> int:
        """Index of the top row."""
        return self._top

    @property
    def place(self) -> ReadingPlace:
        """Where the user is in the log."""
        new = 0
        if self._seen is not None:
            new = max(0, len(self.view) - self.view.index_of(self._seen + 1))
        return ReadingPlace(self.following, self.frozen, new, self.cursor)

    def set_row_height(self, row_height: RowHeight | None) -> None:
        """Set how many screen lines rows take; takes effect at the next ``resize``."""
        self._row_height = row_height

    def let_cursor_leave(self, *, allowed: bool) -> None:
        """Set whether scrolling may move the screen away from the cursor."""
        self._cursor_may_leave = allowed

    def resize(self, height: int) -> None:
        """Lay out the screen for another height, or other row heights; the cursor stays on it."""
        was_seen = any(line.row.key == self.cursor for line in self.screen_lines)
        self.height = height
        self._refresh()
        if was_seen and self.cursor is not None:
            self._move_cursor_to(self.view.index_of(self.cursor))

    def flush(self) -> bool:
        """Lay out the screen again after changes of the view; whether it has to be redrawn."""
        if self.frozen:
            return False
        before = self.screen_lines
        self._refresh()
        after = self.screen_lines
        if not self.following and len(after) == self.height:
            # The anchor may have been below the top row, while there were too few rows.
            self._take_anchor()
        return len(before) != len(after) or any(
            one.row is not other.row or one.part != other.part or one.previous is not other.previous
            for one, other in zip(before, after, strict=True)
        )

    def follow(self) -> None:
        """Move to the newest row and stay there as rows arrive."""
        self.following, self.frozen = True, False
        self.cursor = self._seen = None
        self._refresh()

    def toggle_freeze(self) -> None:
        """Freeze the screen while rows arrive, or end that."""
        self.frozen = not self.frozen
        if self.frozen:
            if self.following:
                self._remember_end()
            return
        if self.following:
            self._seen = None
        self._refresh()

    def detach(self) -> None:
        """Stop following, with the cursor on the last row of the screen."""
        if not self.screen_lines:
            return
        # Rows may have moved since the last layout: what is on the screen is what counts.
        self._top = self.view.index_of(self.screen_lines[0].row.key)
        self._skip = self.screen_lines[0].part
        if self.following:
            self.following = False
            self.cursor = self.screen_lines[-1].row.key
            if not self.frozen:
                self._remember_end()
            self._take_anchor()

    def move(self, motion: Motion) -> None:
        """Move the cursor, and the screen with it."""
        if motion == "down" and self.following and not self.frozen:
            return
        match motion:
            case "down":
                self._step(1)
            case "up":
                self._step(-1)
            case "page_down":
                self._page(max(1, self.height - 1))
            case "page_up":
                self._page(-max(1, self.height - 1))
            case "half_down":
                self._page(max(1, self.height // 2))
            case "half_up":
                self._page(-max(1, self.height // 2))
            case "top":
                self.detach()
                self._move_cursor_to(0)

    def scroll(self, lines: int) -> None:
        """Scroll by some lines; the cursor moves only if it would leave the screen."""
        if self.following and lines > 0 and not self.frozen:
            return
        self.detach()
        self._shift(lines)
        if lines > 0 and self._is_at_end() and not self.frozen:
            self.follow()
            return
        self._take_anchor()
        self._refresh()
        self._keep_cursor_visible()

    def scroll_to(self, share: float) -> None:
        """Scroll to a fraction (0 to 1) of all rows, as a scroll bar does."""
        self.detach()
        last = max(0, len(self.view) - self.height)
        self._top, self._skip = round(last * min(1.0, max(0.0, share))), 0
        if share >= 1.0 and not self.frozen:
            self.follow()
            return
        self._take_anchor()
        self._refresh()
        self._keep_cursor_visible()

    def go_to(self, key: int) -> None:
        """Put the cursor on a row; scrolls only if the row is not on the screen."""
        self.detach()
        index = min(self.view.index_of(key), len(self.view) - 1)
        if index >= 0:
            self._move_cursor_to(index, middle=True)

    def point(self, y: int) -> None:
        """Put the cursor on the row that line ``y`` of the screen shows."""
        if 0 <= y < len(self.screen_lines):
            self.detach()
            self.cursor = self.screen_lines[y].row.key

    def current(self) -> Row | None:
        """The row under the cursor; while following, the last one on the screen."""
        if self.cursor is None:
            return self.screen_lines[-1].row if self.screen_lines else None
        found = [line.row for line in self.screen_lines if line.row.key == self.cursor]
        if found:
            return found[0]
        index = self.view.index_of(self.cursor)
        rows = self.view.rows(index, index + 1)
        return rows[0] if rows else None

    def _step(self, rows: int) -> None:
        self.detach()
        if self.cursor is None:
            return
        index = self.view.index_of(self.cursor) + rows
        if index >= len(self.view):
            if not self.frozen:
                self.follow()
        elif index >= 0:
            self._move_cursor_to(index)

    def _page(self, lines: int) -> None:
        if self.following and lines > 0 and not self.frozen:
            return
        self.detach()
        y = self._cursor_line()
        before = (self._top, self._skip)
        self._shift(lines)
        if lines > 0 and self._is_at_end() and not self.frozen:
            self.follow()
            return
        if lines < 0 and (self._top, self._skip) == before:
            y = 0
        self._take_anchor()
        self._refresh()
        if self.screen_lines:
            self.cursor = self.screen_lines[min(y, len(self.screen_lines) - 1)].row.key

    def _move_cursor_to(self, index: int, *, middle: bool = False) -> None:
        rows = self.view.rows(index, index + 1)
        if not rows:
            return
        self.cursor = rows[0].key
        if not self._is_whole(rows[0]):
            if middle:
                self._top, self._skip = index, 0
                self._shift(-(self.height // 2))
            elif index > self._top:
                self._top, self._skip = index, 0
                self._shift(self._height_of(index) - self.height)
                if self._top > index:
                    self._top, self._skip = index, 0
            else:
                self._top, self._skip = index, 0
        self._take_anchor()
        self._refresh()

    def _is_whole(self, row: Row) -> bool:
        """Whether all lines of a row are on the screen now."""
        parts = [line.part for line in self.screen_lines if line.row is row]
        if not parts:
            return False
        previous = next(line.previous for line in self.screen_lines if line.row is row)
        height = 1 if self._row_height is None else self._row_height(row, previous)
        return len(parts) == min(height, self.height)

    def _keep_cursor_visible(self) -> None:
        if self.screen_lines and self.cursor is not None and not self._cursor_may_leave:
            keys = [line.row.key for line in self.screen_lines]
            self.cursor = min(max(self.cursor, keys[0]), keys[-1])

    def _cursor_line(self) -> int:
        for y, line in enumerate(self.screen_lines):
            if line.row.key == self.cursor:
                return y
        return 0

    def _remember_end(self) -> None:
        last = self.view.rows(len(self.view) - 1, len(self.view))
        self._seen = last[0].key if last else -1

    def _take_anchor(self) -> None:
        """Anchor the viewport to the row that is at the top now."""
        self._clamp()
        rows = self.view.rows(self._top, self._top + 1)
        self._anchor = rows[0].key if rows else None

    def _refresh(self) -> None:
        """Find the anchor again, or the end while following, and lay out the screen."""
        if self.following:
            self._top, self._skip = self._end()
        elif self._anchor is not None:
            self._top = self.view.index_of(self._anchor)
            self._clamp()
        self.screen_lines = self._lay_out()

    def _lay_out(self) -> list[ScreenLine]:
        first = max(0, self._top - 1)
        rows = self.view.rows(first, self._top + self.height)
        previous = rows.pop(0) if rows and self._top > first else None
        lines: list[ScreenLine] = []
        for row in rows:
            height = 1 if self._row_height is None else self._row_height(row, previous)
            skip = self._skip if not lines else 0
            lines += [ScreenLine(row, part, previous) for part in range(skip, height)]
            previous = row
            if len(lines) >= self.height:
                break
        return lines[: self.height]

    def _height_of(self, index: int) -> int:
        if self._row_height is None:
            return 1
        rows = self.view.rows(max(0, index - 1), index + 1)
        return self._row_height(rows[-1], rows[-2] if len(rows) > 1 else None) if rows else 1

    def _end(self) -> tuple[int, int]:
        """Top row, and lines of it to skip, with the last line at the bottom of the screen."""
        index, room = len(self.view), self.height
        if self._row_height is None:
            return max(0, index - room), 0
        while index > 0 and room > 0:
            index -= 1
            room -= self._height_of(index)
        return index, max(0, -room)

    def _clamp(self) -> None:
        self._top, self._skip = min((self._top, self._skip), self._end())

    def _is_at_end(self) -> bool:
        return (self._top, self._skip) >= self._end()

    def _shift(self, lines: int) -> None:
        if self._row_height is None:
            self._top = max(0, self._top + lines)
            return
        while lines > 0 and self._top < len(self.view):
            rest = self._height_of(self._top) - self._skip
            if lines < rest:
                self._skip += lines
                return
            lines -= rest
            self._top, self._skip = self._top + 1, 0
        while lines < 0:
            if -lines <= self._skip:
                self._skip += lines
                return
            lines += self._skip
            self._skip = 0
            if self._top == 0:
                return
            self._top -= 1
            self._skip = self._height_of(self._top)


class Selection:
    """The selected rows: from an anchor to the row under the cursor; none until ``begin``."""

    def __init__(self, viewport: Viewport) -> None:
        self._viewport = viewport
        self._anchor: int | None = None

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last key selected; None if nothing is."""
        cursor = self._viewport.cursor
        if self._anchor is None or cursor is None:
            return None
        return min(self._anchor, cursor), max(self._anchor, cursor)

    @property
    def view(self) -> View:
        """The rows to select from."""
        return self._viewport.view

    def indexes(self) -> tuple[int, int]:
        """Indexes of the first selected row and behind the last one."""
        span = self.span
        if span is None:
            return 0, 0
        return self.view.index_of(span[0]), self.view.index_of(span[1] + 1)

    def __len__(self) -> int:
        begin, end = self.indexes()
        return end - begin

    def has(self, key: int) -> bool:
        """Whether a row is selected."""
        span = self.span
        return span is not None and span[0] <= key <= span[1]

    def begin(self, key: int | None = None) -> None:
        """Anchor the selection at a row, by default the one under the cursor; stop following."""
        self._viewport.detach()
        self._viewport.let_cursor_leave(allowed=True)
        self._anchor = self._viewport.cursor if key is None else key

    def stop_following(self) -> None:
        """If a move made the viewport follow, put the cursor on the last row instead."""
        if self._anchor is not None and self._viewport.following:
            self._viewport.detach()

    def clear(self) -> bool:
        """Select nothing; whether anything was selected."""
        was_any, self._anchor = self._anchor is not None, None
        self._viewport.let_cursor_leave(allowed=False)
        return was_any


class MouseDrag:
    """The mouse button on the list: it sets the cursor, selects, or moves the scroll bar."""

    def __init__(self, viewport: Viewport, selection: Selection) -> None:
        self._viewport = viewport
        self._selection = selection
        self._pressed_on: int | None = None  # key of the row
        self._is_on_bar = False

    def press(self, row: int | None, y: int, *, extends: bool) -> None:
        """Press the button.

        Args:
            row: The screen line pointed at; None if it is the scroll bar.
            y: The same, also on the scroll bar.
            extends: Whether to select from the cursor to here (Shift is held).
        """
        if row is None:
            self._is_on_bar = True
            self.drag(y)
            return
        anchor = self._viewport.cursor if extends else None
        self._selection.clear()
        self._viewport.point(row)
        if anchor is not None:
            self._selection.begin(anchor)
        self._pressed_on = self._viewport.cursor

    def drag(self, y: int) -> bool:
        """Move the mouse to a screen line, or beyond the screen; whether the button is down."""
        viewport = self._viewport
        if self._is_on_bar:
            viewport.scroll_to(y / max(1, viewport.height - 1))
            return True
        if self._pressed_on is None:
            return False
        if not 0 <= y < viewport.height:
            viewport.scroll(y if y < 0 else y - viewport.height + 1)
            self._selection.stop_following()
        viewport.point(min(max(0, y), len(viewport.screen_lines) - 1))
        if self._selection.span is None and viewport.cursor != self._pressed_on:
            self._selection.begin(self._pressed_on)
        return True

    def release(self) -> bool:
        """Release the button; whether it was down."""
        was_down = self._is_on_bar or self._pressed_on is not None
        self._is_on_bar, self._pressed_on = False, None
        return was_down

"""Where the reader is in the rows: following the newest, or anchored to what is being read. Pure.

While not following, the place is the *key* of the top row: rows that come above it, however many,
leave every line on the screen where it is.

Rows that are selected: from one that was held on to, to the one that has the cursor. Pure.

Both ends are keys, so that rows that come between are selected too, and nothing slips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from tui.lines.rows import Row
from tui.lines.view import View

Motion = Literal["down", "up", "page_down", "page_up", "half_down", "half_up", "top"]

WHEEL_LINES: Final = 3


class ScreenLine(msgspec.Struct, frozen=True, gc=False):
    """One line of the screen."""

    row: Row
    part: int
    """Which of the row's screen lines it is; 0 unless wrapped."""
    previous: Row | None
    """The row above the row."""


class ReadingPlace(msgspec.Struct, frozen=True):
    """Where the reader is, for those who show it."""

    following: bool
    frozen: bool
    new: int
    """Rows below the last one there was when the reader left the end, or froze."""
    cursor: int | None
    """The key of the row under the cursor; None while following."""


class Viewport:
    """What part of a view is on the screen."""

    def __init__(
        self, view: View, lines_of: Callable[[Row, Row | None], int] | None = None
    ) -> None:
        """Follow the newest row.

        Args:
            view: the rows.
            lines_of: how many screen lines a row (and the one above it) takes; None: one each.

        """
        self.view = view
        self.lines_of = lines_of
        self.height = 0
        self.following = True
        self.frozen = False
        self.cursor: int | None = None
        self.holds_cursor = False
        """Scrolling leaves the cursor where it is, on the screen or not."""
        self.slots: list[ScreenLine] = []
        """What is on the screen, top to bottom."""
        self._top = 0
        self._skip = 0  # lines of the top row that are above the screen
        self._anchor: int | None = None
        self._seen: int | None = None

    @property
    def top(self) -> int:
        """The index of the top row."""
        return self._top

    @property
    def place(self) -> ReadingPlace:
        """Where the reader is."""
        new = 0
        if self._seen is not None:
            new = max(0, len(self.view) - self.view.index_of(self._seen + 1))
        return ReadingPlace(self.following, self.frozen, new, self.cursor)

    def resize(self, height: int) -> None:
        """The screen has another height, or its rows have; the cursor stays on it."""
        was_seen = any(slot.row.key == self.cursor for slot in self.slots)
        self.height = height
        self._settle()
        if was_seen and self.cursor is not None:
            self._to_row(self.view.index_of(self.cursor))

    def flush(self) -> bool:
        """Take in what happened to the view; whether another picture is to be drawn."""
        if self.frozen:
            return False
        before = self.slots
        self._settle()
        after = self.slots
        return len(before) != len(after) or any(
            one.row is not other.row or one.part != other.part or one.previous is not other.previous
            for one, other in zip(before, after, strict=True)
        )

    def follow(self) -> None:
        """To the newest row, and stay there."""
        self.following, self.frozen = True, False
        self.cursor = self._seen = None
        self._settle()

    def freeze(self) -> None:
        """Hold the picture, or let it go again."""
        self.frozen = not self.frozen
        if self.frozen:
            if self.following:
                self._mark_seen()
            return
        if self.following:
            self._seen = None
        self._settle()

    def detach(self) -> None:
        """Stop following, with the cursor on the last row of the screen."""
        if not self.slots:
            return
        # The rows may have moved since they were drawn: what is on the screen tells the place.
        self._top = self.view.index_of(self.slots[0].row.key)
        self._skip = self.slots[0].part
        if self.following:
            self.following = False
            self.cursor = self.slots[-1].row.key
            if not self.frozen:
                self._mark_seen()
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
                self._to_row(0)

    def scroll(self, lines: int) -> None:
        """Move the screen; the cursor comes along only where it would leave it."""
        if self.following and lines > 0 and not self.frozen:
            return
        self.detach()
        self._shift(lines)
        if lines > 0 and self._is_at_end() and not self.frozen:
            self.follow()
            return
        self._take_anchor()
        self._settle()
        self._keep_cursor_visible()

    def scroll_to(self, share: float) -> None:
        """Put the screen at a share (0 to 1) of the way, as a scroll bar does."""
        self.detach()
        last = max(0, len(self.view) - self.height)
        self._top, self._skip = round(last * min(1.0, max(0.0, share))), 0
        if share >= 1.0 and not self.frozen:
            self.follow()
            return
        self._take_anchor()
        self._settle()
        self._keep_cursor_visible()

    def go_to(self, key: int) -> None:
        """Put the cursor on a row; the screen moves only if the row is not on it."""
        self.detach()
        index = min(self.view.index_of(key), len(self.view) - 1)
        if index >= 0:
            self._to_row(index, middle=True)

    def point(self, y: int) -> None:
        """Put the cursor on the row at a line of the screen."""
        if 0 <= y < len(self.slots):
            self.detach()
            self.cursor = self.slots[y].row.key

    def current(self) -> Row | None:
        """The row under the cursor; the last one on the screen while following."""
        if self.cursor is None:
            return self.slots[-1].row if self.slots else None
        found = [slot.row for slot in self.slots if slot.row.key == self.cursor]
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
            self._to_row(index)

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
        self._settle()
        if self.slots:
            self.cursor = self.slots[min(y, len(self.slots) - 1)].row.key

    def _to_row(self, index: int, *, middle: bool = False) -> None:
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
                self._shift(self._lines(index) - self.height)
                if self._top > index:
                    self._top, self._skip = index, 0
            else:
                self._top, self._skip = index, 0
        self._take_anchor()
        self._settle()

    def _is_whole(self, row: Row) -> bool:
        """Whether all of a row is on the screen now."""
        parts = [slot.part for slot in self.slots if slot.row is row]
        if not parts:
            return False
        previous = next(slot.previous for slot in self.slots if slot.row is row)
        lines = 1 if self.lines_of is None else self.lines_of(row, previous)
        return len(parts) == min(lines, self.height)

    def _keep_cursor_visible(self) -> None:
        if self.slots and self.cursor is not None and not self.holds_cursor:
            keys = [slot.row.key for slot in self.slots]
            self.cursor = min(max(self.cursor, keys[0]), keys[-1])

    def _cursor_line(self) -> int:
        for y, slot in enumerate(self.slots):
            if slot.row.key == self.cursor:
                return y
        return 0

    def _mark_seen(self) -> None:
        last = self.view.rows(len(self.view) - 1, len(self.view))
        self._seen = last[0].key if last else -1

    def _take_anchor(self) -> None:
        """What is at the top now is what the place is told by."""
        self._clamp()
        rows = self.view.rows(self._top, self._top + 1)
        self._anchor = rows[0].key if rows else None

    def _settle(self) -> None:
        """Find the place again and lay out the screen."""
        if self.following:
            self._top, self._skip = self._end()
        elif self._anchor is not None:
            self._top = self.view.index_of(self._anchor)
            self._clamp()
        self.slots = self._lay_out()

    def _lay_out(self) -> list[ScreenLine]:
        first = max(0, self._top - 1)
        rows = self.view.rows(first, self._top + self.height)
        previous = rows.pop(0) if rows and self._top > first else None
        slots: list[ScreenLine] = []
        for row in rows:
            lines = 1 if self.lines_of is None else self.lines_of(row, previous)
            skip = self._skip if not slots else 0
            slots += [ScreenLine(row, part, previous) for part in range(skip, lines)]
            previous = row
            if len(slots) >= self.height:
                break
        return slots[: self.height]

    def _lines(self, index: int) -> int:
        if self.lines_of is None:
            return 1
        rows = self.view.rows(max(0, index - 1), index + 1)
        return self.lines_of(rows[-1], rows[-2] if len(rows) > 1 else None) if rows else 1

    def _end(self) -> tuple[int, int]:
        """The place where the last line is at the bottom of the screen."""
        index, room = len(self.view), self.height
        if self.lines_of is None:
            return max(0, index - room), 0
        while index > 0 and room > 0:
            index -= 1
            room -= self._lines(index)
        return index, max(0, -room)

    def _clamp(self) -> None:
        self._top, self._skip = min((self._top, self._skip), self._end())

    def _is_at_end(self) -> bool:
        return (self._top, self._skip) >= self._end()

    def _shift(self, lines: int) -> None:
        if self.lines_of is None:
            self._top = max(0, self._top + lines)
            return
        while lines > 0 and self._top < len(self.view):
            rest = self._lines(self._top) - self._skip
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
            self._skip = self._lines(self._top)


class Selection:
    """None, until ``begin``."""

    def __init__(self, window: Viewport) -> None:
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


class MouseDrag:
    """The mouse on the list: it points, selects while it drags, or moves the scroll bar."""

    def __init__(self, window: Viewport, selection: Selection) -> None:
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

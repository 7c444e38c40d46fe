"""The log: a virtual list of rows, of which only the visible ones are drawn.

``Viewport`` decides which rows are visible, ``StripCache`` draws them. Textual's own scroll bar, or
setting ``virtual_size`` as a reactive, would lay out the whole screen at each flush: so the scroll
bar is drawn here, in the last column, and ``render_lines`` hands finished strips to the compositor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from textual import events
from textual.filter import ANSIToTruecolor
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from common.patterns import Pattern
from tui.lines.rows import Change, Line, Row
from tui.lines.view import ContextRows, LinePredicate, View
from tui.lines.viewport import WHEEL_LINES, Motion, MouseDrag, ReadingPlace, Selection, Viewport
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.palette import Palette, Surface
from tui.render.safe_text import Segment
from tui.render.strips import StripCache

_SIDE_CELLS: Final = 16
"""Cells that an arrow key scrolls sideways."""

_LEFT_MAX: Final = 1 << 20

_EXAMPLE_ROWS: Final = 400
"""Rows whose fields are offered as columns: they are parsed within a few milliseconds."""
_UPWARDS: Final = frozenset({"up", "page_up", "half_up"})

_DOUBLE: Final = 2
"""Clicks of a double click."""


class LogView(ScrollView, can_focus=True):
    """The rows of a view (log lines, and rules between them), with a cursor and a selection."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False

    class Moved(Message):
        """The cursor or the visible rows may have changed."""

        def can_replace(self, message: Message) -> bool:
            """Whether one message can stand for several: it carries no data."""
            return isinstance(message, LogView.Moved)

    class Missed(Message):
        """The cursor was moved to a row that is not in memory."""

        def __init__(self, key: int) -> None:
            super().__init__()
            self.key = key

    class ReachedTop(Message):
        """A move led above the first row, or (``is_whole``) to the oldest row that there is."""

        def __init__(self, *, is_whole: bool) -> None:
            super().__init__()
            self.is_whole = is_whole

    class Opened(Message):
        """A row was double-clicked."""

    def __init__(self, view: View, strips: StripCache, *, ascii_only: bool = False) -> None:
        super().__init__(id="log")
        self._view = view
        self._strips = strips
        thumb, track = ("#", "|") if ascii_only else ("▐", " ")
        self._edges: tuple[Segment, Segment] = ((track, "track"), (thumb, "thumb"))
        self._viewport = Viewport(view)
        self.selection = Selection(self._viewport)
        self._hand = MouseDrag(self._viewport, self.selection)
        self._screen_strips: list[Strip] | None = None
        self._bar = (0, 0)
        self._empty: Sequence[str] = ()

    @property
    def place(self) -> ReadingPlace:
        """The cursor's place, and whether the view follows or is frozen."""
        return self._viewport.place

    @property
    def time_mode(self) -> TimeMode:
        """Format of the time column."""
        return self._strips.appearance.time

    @property
    def lines(self) -> int:
        """Number of lines that pass the filters, without rules."""
        return self._view.lines

    @property
    def is_filtered(self) -> bool:
        """Whether filters hide rows."""
        return self._view.matching is not None

    @property
    def visible_rows(self) -> list[Row]:
        """The rows on the screen from top to bottom; a wrapped row once."""
        return [slot.row for slot in self._viewport.screen_lines if slot.part == 0]

    def current(self) -> Row | None:
        """The row under the cursor; while following, the last one on the screen."""
        return self._viewport.current()

    def flush(self, change: Change) -> None:
        """Apply a change of the timeline: once a frame, not once a line."""
        self._view.apply(change)
        if change.restyled:
            self._strips.forget()
        changed = self._viewport.flush()
        if self._strips.widen(self.visible_rows) or (change.restyled and not self.place.frozen):
            changed = True
        if self._strips.appearance.wrapped and changed:
            self._viewport.flush()
        self._update(changed=changed)

    def set_groups(self, names: Sequence[str]) -> None:
        """Show these names of log groups, by target; none where there is one target."""
        if self._strips.set_groups(names):
            self._lay_out()

    @property
    def columns(self) -> ColumnLayout:
        """The columns before the message."""
        return self._strips.columns

    def set_fields(self, names: tuple[str, ...]) -> None:
        """Show columns of these fields before the message."""
        if names != self._strips.appearance.fields:
            self._change_appearance(fields=names)
            self._lay_out()

    def rows_around(self) -> list[Line]:
        """Lines around the cursor, as examples: few enough to be parsed at once."""
        current = self.current()
        at = len(self._view) if current is None else self._view.index_of(current.key)
        rows = self._view.rows(max(0, at - _EXAMPLE_ROWS // 2), at + _EXAMPLE_ROWS // 2)
        return [row for row in rows if isinstance(row, Line)]

    def show_matching(self, test: LinePredicate | None, context_lines: int = 0) -> None:
        """Show only lines that pass a test, with context lines around each; None shows all."""
        rows_shown = None
        if test is not None and context_lines:
            rows_shown = ContextRows(self._view.timeline, test, context_lines)
            self._view.show(rows_shown)
        else:
            self._view.show_passing(test)
        self._change_appearance(context=rows_shown)
        self._choose_row_heights()
        self._lay_out()

    def filter_slice(self) -> bool:
        """Test one more slice of rows against the filters; returns False once all are tested."""
        rows_shown = self._view.matching
        if rows_shown is None or not rows_shown.step():
            return False
        self._update(changed=self._viewport.flush())
        return True

    def set_palette(self, palette: Palette) -> None:
        """Use the colours of another theme."""
        self._strips.set_palette(palette)
        self._draw()

    def redraw(self) -> None:
        """Draw all rows again, after a change that the rows do not carry, such as a bookmark."""
        self._strips.forget()
        self._draw()

    def highlight(self, pattern: Pattern | None) -> None:
        """Highlight every match of a pattern; None highlights nothing."""
        self._change_appearance(pattern=pattern)
        self._draw()

    def set_time_mode(self, mode: TimeMode) -> None:
        """Change the format of the time column."""
        self._change_appearance(time=mode)
        self._lay_out()

    def set_dated(self, *, dated: bool) -> None:
        """Show or hide dates in the time column."""
        if dated != self._strips.appearance.dated:
            self._change_appearance(dated=dated)
            self._lay_out()

    def toggle_wrap(self) -> None:
        """Wrap or truncate long lines."""
        self._change_appearance(wrapped=not self._strips.appearance.wrapped, left=0)
        self._choose_row_heights()
        self._lay_out()

    def toggle_structure(self) -> None:
        """Show structured lines as message and fields, or their original text."""
        self._change_appearance(structured=not self._strips.appearance.structured, left=0)
        self._lay_out()

    def tick(self, now_ms: int) -> None:
        """Update times that are relative to now."""
        self._strips.set_now(now_ms)
        if self._strips.appearance.time is TimeMode.RELATIVE:
            self._draw()

    def set_empty_text(self, lines: Sequence[str]) -> None:
        """Set the text in the middle of the screen while there is no row."""
        if lines != self._empty:
            self._empty = lines
            if not len(self._view):
                self._draw()

    def follow(self) -> None:
        """Go to the newest row and stay there; a selection extends to it."""
        self._viewport.follow()
        self.selection.stop_following()
        self._update(changed=True)

    def toggle_freeze(self) -> None:
        """Freeze the picture, or release it."""
        self._viewport.toggle_freeze()
        self._update(changed=True)

    def stop_following(self) -> None:
        """Stop following, so that the cursor stays on its row."""
        self._viewport.detach()
        self._update(changed=True)

    def move(self, motion: Motion) -> None:
        """Move the cursor; beyond the first row, or to the top, older rows are asked for."""
        was_at_top = self._is_at_top
        self._viewport.move(motion)
        self.selection.stop_following()
        self._update(changed=True)
        if motion == "top" or (was_at_top and motion in _UPWARDS):
            self.post_message(self.ReachedTop(is_whole=motion == "top"))

    @property
    def _is_at_top(self) -> bool:
        """Whether the cursor is on the first row of all, so that it can't move up."""
        shown = self._viewport.screen_lines
        is_first = not shown or (self._viewport.top == 0 and shown[0].part == 0)
        cursor = self.place.cursor
        return is_first and (not shown or cursor == shown[0].row.key)

    def toggle_selection(self) -> bool:
        """Start or end a selection at the cursor; returns whether one is active now."""
        if not self.selection.clear():
            self.selection.begin()
        self._update(changed=True)
        return self.selection.span is not None

    def extend_selection(self, motion: Motion) -> None:
        """Move the cursor, and select from its present row on."""
        if self.selection.span is None:
            self.selection.begin()
        self.move(motion)

    def end_selection(self) -> bool:
        """End the selection; returns whether there was one."""
        was_any = self.selection.clear()
        if was_any:
            self._update(changed=True)
        return was_any

    def scroll_sideways(self, steps: int) -> None:
        """Scroll sideways along truncated lines."""
        appearance = self._strips.appearance
        left = min(_LEFT_MAX, max(0, appearance.left + steps * _SIDE_CELLS))
        if not appearance.wrapped and left != appearance.left:
            self._change_appearance(left=left)
            self._draw()

    def peek_above(self) -> None:
        """Show the row above the first one on the screen; the cursor stays on its row."""
        self._viewport.scroll(-1)
        self._update(changed=True)

    def go_to_top(self) -> None:
        """Move the cursor to the first row that is in memory."""
        self._viewport.move("top")
        self._update(changed=True)

    def go_to(self, key: int) -> None:
        """Move the cursor to a row."""
        if self._view.timeline.evicted_at(key) is not None:
            self.post_message(self.Missed(key))
        self._viewport.go_to(key)
        self._update(changed=True)

    def reveal_match(self) -> None:
        """Scroll sideways to the match in the row under the cursor."""
        row = self.current()
        if isinstance(row, Line):
            left = min(_LEFT_MAX, self._strips.match_left(row))
            if left != self._strips.appearance.left:
                self._change_appearance(left=left)
                self._draw()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        strips = self._drawn()
        return strips[y] if y < len(strips) else self._strips.blank(self._edges[False])

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw the lines of a region, finished: without Textual's border, padding and opacity."""
        drawn = self._strips.appearance.width + 1, self._viewport.height
        if (self.size.width, self.size.height) != drawn:
            self._fit(self.size)
        strips = [self.render_line(y) for y in crop.line_range]
        background = self.background_colors[1]
        for one in self.get_line_filters():
            if not isinstance(one, ANSIToTruecolor):  # the palette has none to convert
                strips = [strip.apply_filter(one, background) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def notify_style_update(self) -> None:
        """Discard what was drawn with the old styles."""
        super().notify_style_update()
        self._screen_strips = None

    def _change_appearance(self, **changes: object) -> None:
        self._strips.set_appearance(msgspec.structs.replace(self._strips.appearance, **changes))

    def _fit(self, size: Size) -> None:
        self._change_appearance(width=max(1, size.width - 1))
        self._viewport.resize(size.height)
        if self._strips.widen(self.visible_rows) and self._strips.appearance.wrapped:
            self._viewport.resize(size.height)
        self._screen_strips = None

    def _choose_row_heights(self) -> None:
        """Use one line a row, unless lines are wrapped or separators stand between matches."""
        is_plain = self._strips.is_one_line_each
        self._viewport.set_row_height(None if is_plain else self._strips.row_height)

    def _lay_out(self) -> None:
        """Lay the rows out again after a change of their heights or columns."""
        self._viewport.resize(self._viewport.height)
        if self._strips.widen(self.visible_rows):
            self._viewport.resize(self._viewport.height)
        self._update(changed=True)

    def _draw(self) -> None:
        self._screen_strips = None
        self.refresh()

    def _update(self, *, changed: bool) -> None:
        """Draw if need be, keep Textual's scroll position right, and report the move."""
        self.set_reactive(Widget.virtual_size, Size(self.size.width, len(self._view)))
        self.set_reactive(Widget.scroll_y, float(self._viewport.top))
        if changed:
            if self._strips.appearance.fields and self._strips.widen(self.visible_rows):
                self._viewport.resize(self._viewport.height)
            self._draw()
        else:
            self._draw_bar()
        self.post_message(self.Moved())

    def _drawn(self) -> list[Strip]:
        if self._screen_strips is not None:
            return self._screen_strips
        window, make = self._viewport, self._strips
        low, high = self._bar = self._bar_span()
        lines: list[Strip] = []
        for y in range(window.height):
            edge = self._edges[low <= y < high]
            if y < len(window.screen_lines):
                slot = window.screen_lines[y]
                surface: Surface = "selected" if self.selection.has(slot.row.key) else "log"
                surface = "cursor" if slot.row.key == window.cursor else surface
                lines.append(make.strips(slot.row, slot.previous, surface, edge)[slot.part])
            else:
                lines.append(make.blank(edge))
        if not window.screen_lines:
            at = max(0, (window.height - len(self._empty)) // 2)
            middle = [make.centered(text, self._edges[False]) for text in self._empty]
            lines[at : at + len(middle)] = middle[: window.height]
        self._screen_strips = lines
        return lines

    def _bar_span(self) -> tuple[int, int]:
        """First and last line (exclusive) of the scroll bar's thumb; empty if all rows fit."""
        height, rows = self._viewport.height, len(self._view)
        if rows <= height or not height:
            return 0, 0
        size = max(1, height * height // rows)
        low = round((height - size) * min(1.0, self._viewport.top / (rows - height)))
        return low, low + size

    def _draw_bar(self) -> None:
        if self._bar_span() != self._bar:
            self._screen_strips = None
            self.refresh(Region(self.size.width - 1, 0, 1, self.size.height))

    def on_resize(self, event: events.Resize) -> None:
        """Fit the rows to the new size."""
        self._fit(event.size)
        self._update(changed=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll towards the newest row."""
        self._wheel(event, WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll towards the oldest row."""
        self._wheel(event, -WHEEL_LINES)

    def _wheel(self, event: events.MouseEvent, lines: int) -> None:
        event.stop()
        event.prevent_default()
        if event.shift:
            self.scroll_sideways(1 if lines > 0 else -1)
        else:
            shown = self._viewport.screen_lines
            was_first = lines < 0 and self._viewport.top == 0 and (not shown or not shown[0].part)
            self._viewport.scroll(lines)
            self._update(changed=True)
            if was_first:
                self.post_message(self.ReachedTop(is_whole=False))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Grab the scroll bar, or move the cursor to a row."""
        if event.button == 1:
            at = None if event.x >= self.size.width - 1 else event.y
            self._hand.press(at, event.y, extends=event.shift)
            self.capture_mouse()
            self._update(changed=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the scroll bar or the selection."""
        if self._hand.drag(event.y):
            self._update(changed=True)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End a drag."""
        if self._hand.release():
            event.stop()
            self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        """Open a row after a double click."""
        if event.chain == _DOUBLE and event.x < self.size.width - 1:
            self.post_message(self.Opened())

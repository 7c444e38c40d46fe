"""A pane of text beside or below the log: detail, connection, help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.lines.values import Value
from tui.render import line_format as fmt
from tui.render.palette import Palette, Surface
from tui.render.safe_text import Segment
from tui.screen.widgets.plain_bars import suit

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

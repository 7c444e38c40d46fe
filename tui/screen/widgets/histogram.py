"""The histogram below the log, with a cursor that moves along its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.strip import Strip
from textual.widget import Widget

from tui.lines.counts import LineVolume
from tui.render import histogram, units
from tui.render import line_format as fmt
from tui.render.histogram import FIXED_ROWS, MARGIN_CELLS, Plot, ShadedRange
from tui.render.palette import Palette
from tui.render.safe_text import Segment

ZOOM_MAX: Final = 12


class Histogram(Widget, can_focus=True):
    """Columns of volume over time; moving to a column or clicking it moves the log there."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("right,l", "by(1)", "Later"),
        ("left", "by(-1)", "Earlier"),
        ("shift+right", "by(10)", "Much later"),
        ("shift+left", "by(-10)", "Much earlier"),
        ("home", "by(-10000)", "First"),
        ("end", "by(10000)", "Last"),
        ("plus,equals_sign", "zoom(1)", "Zoom in"),
        ("minus", "zoom(-1)", "Zoom out"),
    ]

    def __init__(self, palette: Palette, jump: Callable[[int], None]) -> None:
        super().__init__(id="histogram")
        self._palette = palette
        self._jump = jump
        self._volume = LineVolume()
        self._shades: Sequence[ShadedRange] = ()
        self._zone: tzinfo = UTC
        self._note = ""
        self._plot = Plot(1, ())
        self._at_ms: int | None = None
        self._zoom = 0
        self._lines: list[list[Segment]] = []
        self.border_subtitle = (
            "arrows jump, + - zoom, Esc closes"
            if palette.ascii_only
            else "← → jump · + - zoom · Esc closes"
        )

    @property
    def text(self) -> str:
        """The chart as plain text, without its border."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def show(
        self, volume: LineVolume, shades: Sequence[ShadedRange], zone: tzinfo, note: str
    ) -> None:
        """Show counts of lines over time, which are read again at every change.

        Args:
            volume: The counts.
            shades: Time ranges to mark: backfilled, missing, offline.
            zone: Zone of the times.
            note: Remark on all counts, such as ``filtered``.
        """
        self._volume, self._shades, self._zone, self._note = volume, shades, zone, note
        self._draw()

    def follow(self, moment_ms: int) -> None:
        """Move the cursor to the log's time, unless the user moves it (it has the focus)."""
        if not self.has_focus and moment_ms != self._at_ms:
            self._at_ms = moment_ms
            if self._plot.index_at(moment_ms) is None:
                self._draw()
            else:
                self._render_plot()

    def set_palette(self, palette: Palette) -> None:
        """Use the colours of another theme."""
        self._palette = palette
        self.refresh()

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self._draw()

    def action_by(self, columns: int) -> None:
        """Move the cursor by columns, and the log with it."""
        span = self._volume.span_ms
        if span is None or not self._plot.columns:
            return
        step = self._plot.step_ms
        here = span[1] if self._at_ms is None else self._at_ms
        self._move_to(min(max(span[0], (here // step + columns) * step), span[1]))

    def action_zoom(self, steps: int) -> None:
        """Show a shorter (1) or longer (-1) time range."""
        self._zoom = min(max(0, self._zoom + steps), ZOOM_MAX)
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Move to the time of the column that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = offset.x - MARGIN_CELLS
        if 0 <= index < len(self._plot.columns):
            self._move_to(self._plot.columns[index].from_ms)

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.content_size.width
        line = self._lines[y] if y < len(self._lines) else []
        return Strip(self._palette.cells(fmt.clip(line, 0, width), "panel"), width)

    def _move_to(self, moment_ms: int) -> None:
        self._at_ms = moment_ms
        self._draw()
        self._jump(moment_ms)

    def _draw(self) -> None:
        cells = self.content_size.width - MARGIN_CELLS
        self._plot = histogram.plot(
            self._volume, cells, self._shades, zoom=self._zoom, at_ms=self._at_ms
        )
        self._render_plot()

    def _render_plot(self) -> None:
        plotted = self._plot
        cursor = None if self._at_ms is None else plotted.index_at(self._at_ms)
        rows = max(1, self.content_size.height - FIXED_ROWS)
        ascii_only = self._palette.ascii_only
        self._lines = histogram.draw(plotted, rows, cursor, self._zone, ascii_only=ascii_only)
        step = units.duration(plotted.step_ms).replace(".0 s", " s")
        title = [f"{step} per column" if plotted.columns else "no lines yet", self._note]
        title += (
            []
            if cursor is None
            else [histogram.describe_column(plotted.columns[cursor], self._zone)]
        )
        separator = " - " if ascii_only else " · "
        self.border_title = separator.join(one for one in title if one)
        self.refresh()

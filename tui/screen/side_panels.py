"""The panels around the log: details and connection, streams, patterns, histogram.

Each opens and closes its widget, and fills it while it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import ClassVar, Final, Literal

from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from tui.lines.counts import (
    LineCounter,
    LineVolume,
    PatternCounter,
    StreamCounts,
    count_all_lines,
    count_all_patterns,
)
from tui.lines.expressions import All, Comparison, Expression
from tui.lines.levels import level_of
from tui.lines.rows import Change, Line, Row, Rule, StreamId
from tui.lines.timeline import Timeline
from tui.render import histogram, panel_text, units
from tui.render import line_format as fmt
from tui.render.detail_text import DetailText, detail_report
from tui.render.group_names import StreamNames
from tui.render.histogram import FIXED_ROWS, MARGIN_CELLS, Plot, ShadedRange, shades
from tui.render.palette import Palette
from tui.render.pattern_list import PatternTable
from tui.render.safe_text import Segment
from tui.screen.ports import RunExclusively, ShownEngine
from tui.screen.search import Search
from tui.screen.widgets.panes import (
    Choose,
    PatternAction,
    PatternPane,
    StreamAction,
    StreamPane,
    TextPane,
)

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
        self._render_plot()

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

    def _show_legend(self) -> None:
        ascii_only = self._palette.ascii_only
        parts = histogram.legend(self._plot, ascii_only=ascii_only)
        cells = self._palette.cells(parts, "panel")
        legend = Text.assemble(*((text, style or "") for text, style, _ in cells))
        self.border_subtitle = Content.from_rich_text(legend)

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
        title = [f"{step} per column" if plotted.columns else "no lines yet"]
        title.append(self._note)
        title += (
            []
            if cursor is None
            else [histogram.describe_column(plotted.columns[cursor], self._zone)]
        )
        separator = " - " if ascii_only else " · "
        self.border_title = separator.join(one for one in title if one)
        self._show_legend()
        self.refresh()


Topic = Literal["detail", "connection"]

_HINT: Final = "Tab, then arrows scroll; Esc closes"
_VALUES_HINT: Final = "Tab, then f only this, x without; Esc closes"


AS_RECORDED: Final = "as recorded, at this moment of the replay"
"""Above the connections of a replay, which are not those of now."""


class SidePanel:
    """The details of a line, or the state of the connections, in one pane."""

    def __init__(
        self,
        palette: Palette,
        engine: ShownEngine,
        choose: Choose,
        current: Callable[[], Row | None],
        clock: Callable[[], int],
        zone: tzinfo,
        *,
        in_replay: bool = False,
    ) -> None:
        self.pane = TextPane(palette, id="pane", choose=choose)
        self._in_replay = in_replay
        self.pane.border_subtitle = _HINT
        self.pane.display = False
        self._content: Topic | None = None
        self._engine = engine
        self._current = current
        self._clock = clock
        self._zone = zone

    def toggle(self, content: Topic) -> None:
        """Open with this content, or close if it is open with it."""
        self._content = None if self._content == content else content
        self.pane.display = self._content is not None
        if self._content == "connection":
            self.pane.border_subtitle = _HINT
        self.refresh(content, from_top=True)

    @property
    def is_open(self) -> bool:
        """Whether the panel is open."""
        return self._content is not None

    def close(self) -> bool:
        """Close the panel; returns whether it was open."""
        was_open, self._content = self._content is not None, None
        self.pane.display = False
        return was_open

    def refresh(self, content: Topic, *, from_top: bool = False) -> None:
        """Fill the pane again if it is open with this content, and scroll to the top if asked."""
        if self._content != content:
            return
        if content == "connection":
            row = self._current()
            text = panel_text.connection_report(
                self._engine.status,
                self._clock(),
                self._zone,
                focus=None if row is None else row.target,
            )
            if self._in_replay:
                text = [[(AS_RECORDED, "warn")], [], *text]
            self.pane.show(content, text, from_top=from_top)
            return
        detail = self._detail()
        self.pane.border_subtitle = _VALUES_HINT if detail.values else _HINT
        self.pane.show(content, detail.lines, detail.values, from_top=from_top)

    def values(self) -> list[Comparison]:
        """The values that can be filtered by; none unless the details are open."""
        return list(self._detail().values.values()) if self._content == "detail" else []

    def filter_for(self, value: Comparison) -> Expression:
        """The filter that one of the values stands for: a log stream is one of its log group."""
        targets, row = self._engine.status.targets, self._current()
        if value.pseudo != "stream" or len(targets) == 1:
            return value
        if not isinstance(row, Line) or row.target >= len(targets):
            return value
        target = targets[row.target]
        return All((value, Comparison("group", "=", target.group or target.name)))

    def _detail(self) -> DetailText:
        row = self._current()
        if row is None:
            return DetailText([[("no line yet", "muted")]])
        if isinstance(row, Rule):
            return DetailText(panel_text.rule_report(row, self._zone))
        targets = self._engine.status.targets
        target = targets[row.target] if row.target < len(targets) else None
        return detail_report(
            row,
            group="" if target is None else target.group or target.name,
            level=level_of(row.message),
            confirmed=self._engine.timeline.is_confirmed(row),
            altered=self._engine.altered_text(row),
            zone=self._zone,
        )


class StreamsPanel:
    """The list of streams with their numbers of lines; switches streams on and off."""

    def __init__(
        self,
        palette: Palette,
        timeline: Timeline,
        search: Search,
        run: RunExclusively,
        names: StreamNames,
        groups: Callable[[], Sequence[str]],
    ) -> None:
        """``groups`` returns the short names of the log groups; none where there is one."""
        self.pane = StreamPane(palette, self.choose, self._role_of)
        self.pane.display = False
        self._timeline = timeline
        self._search = search
        self._run = run
        self._names = names
        self._groups = groups
        self._streams = StreamCounts()
        self._count: LineCounter | None = None

    def open(self) -> None:
        """Show the streams, and start counting their lines."""
        self.show()
        self.pane.focus()

    def show(self) -> None:
        """Show the streams as ``open`` does, but without the focus."""
        self._streams = StreamCounts()
        count = self._count = LineCounter(self._timeline, self._streams.add)
        count.step()
        self.pane.display = True
        self.refresh()
        self._run(partial(count_all_lines, count, lambda: self._count is count), "streams")

    def recount(self) -> None:
        """Count again, if the panel is open."""
        if self._count is not None:
            self.show()

    @property
    def is_open(self) -> bool:
        """Whether the panel is open."""
        return self._count is not None

    def close(self) -> bool:
        """Close the panel; returns whether it was open."""
        was_open, self._count = self._count is not None, None
        self.pane.display = False
        return was_open

    def apply(self, change: Change) -> None:
        """Bring the counts up to a change of the timeline."""
        if self._count is not None:
            self._count.apply(change)

    def refresh(self) -> None:
        """Show the present counts, if the panel is open."""
        if self._count is None:
            return
        # A hidden stream stays in the list, whether it has lines here or not.
        filters = self._search.filters
        counts = (
            dict.fromkeys(filters.only_streams | filters.hidden_streams, 0) | self._streams.counts
        )
        for target, name in self._streams.counts:
            self._names.add(target, name)
        self.pane.show_streams(
            counts,
            filters.shows_stream,
            self._streams.others,
            self._groups(),
            done=self._count.is_done,
        )

    def _role_of(self, stream: StreamId) -> str:
        return self._names.role(*stream)

    def choose(self, action: StreamAction, stream: StreamId | None = None) -> None:
        """Show or hide a stream, show only it, or, without one, show all streams."""
        filters = self._search.filters
        if stream is None or action == "all":
            filters.show_all_streams()
        elif action == "switch":
            filters.toggle_stream(stream)
        else:
            filters.toggle_only_stream(stream)
        self._search.refilter()
        self.refresh()


class PatternsPanel:
    """The patterns of the lines that pass the filters, chips of patterns aside.

    ``place`` returns the time of the log's cursor in ms, None while it follows; ``zone`` the zone
    of times.
    """

    def __init__(
        self,
        palette: Palette,
        engine: ShownEngine,
        search: Search,
        run: RunExclusively,
        place: Callable[[], int | None],
        zone: Callable[[], tzinfo],
    ) -> None:
        self.pane = PatternPane(palette, self.choose, self.set_moment)
        self.pane.display = False
        self._engine = engine
        self._search = search
        self._run = run
        self._place = place
        self._zone = zone
        self._since_ms: int | None = None
        self._counter: PatternCounter | None = None
        self._signature: object = None
        self._uncounted = 0
        self._is_filtered = False
        self._is_complete = False  # whether a pattern that looks new is

    def open(self) -> None:
        """Show the patterns, and start counting lines; new is what comes from now on."""
        timeline = self._engine.timeline
        self._since_ms = timeline.row(len(timeline) - 1).timestamp if len(timeline) else None
        self._start_count()
        self.pane.display = True
        self.pane.focus()
        self.refresh()

    def close(self) -> bool:
        """Close the panel; returns whether it was open."""
        was_open, self._counter = self._counter is not None, None
        self.pane.display = False
        return was_open

    def recount(self) -> None:
        """Count again, if the panel is open."""
        if self._counter is not None:
            self._start_count()

    def apply(self, change: Change) -> None:
        """Bring the counts up to a change of the timeline."""
        counter = self._counter
        if counter is not None:
            was_done = counter.is_done
            counter.apply(change)
            if was_done and not counter.is_done:
                self._count_on(counter)

    def refresh(self) -> None:
        """Show the present counts, if the panel is open."""
        if self._counter is None:
            return
        if self._signature != self._search.filters.signature(patterns=False):
            self._start_count()
        counter, counts = self._counter, self._counter.counts
        self._is_complete = self._is_complete or counter.is_done
        if self._since_ms is None and counts.span_ms is not None:
            self._since_ms = counts.span_ms[1]
        notes = ["filtered"] if self._is_filtered else []
        notes += [] if counter.is_done else ["counting"]
        if self._uncounted:
            notes.append(f"{units.plural(self._uncounted, 'line')} not in memory")
        table = PatternTable(
            counts.lines,
            counts.step_ms,
            counts.span_ms or (0, 0),
            self._since_ms if self._is_complete else None,
            self._zone(),
            self._search.filters.choice_of_pattern,
        )
        self.pane.show_patterns(counts.summaries(), table, counts.others, ", ".join(notes))

    def choose(self, action: PatternAction, text: str) -> None:
        """Show only the lines of a pattern, or hide them; or undo that."""
        self._search.toggle_pattern(text, excludes=action == "hide")
        self.refresh()

    def set_moment(self) -> None:
        """Compare with the time of the log's cursor; while it follows, with now."""
        span_ms = None if self._counter is None else self._counter.counts.span_ms
        place_ms = self._place()
        self._since_ms = place_ms if place_ms is not None or span_ms is None else span_ms[1]
        self.refresh()

    def _start_count(self) -> None:
        """Count the lines that pass the present filters, from the start."""
        filters = self._search.filters
        self._signature = filters.signature(patterns=False)
        test = filters.test(counting=False, patterns=False)
        timeline = self._engine.timeline
        self._uncounted = timeline.evicted
        self._is_complete, self._is_filtered = False, test is not None
        counter = self._counter = PatternCounter(timeline, test)
        counter.step()
        self._count_on(counter)

    def _count_on(self, counter: PatternCounter) -> None:
        run = partial(count_all_patterns, counter, lambda: self._counter is counter)
        self._run(run, "patterns")


class HistogramPanel:
    """The volume over time of the lines that pass the filters.

    ``jump`` moves the log to a time in ms; ``now`` returns the time in ms and the zone of times.
    """

    def __init__(
        self,
        palette: Palette,
        engine: ShownEngine,
        search: Search,
        jump: Callable[[int], None],
        run: RunExclusively,
        now: Callable[[], tuple[int, tzinfo]],
    ) -> None:
        self.chart = Histogram(palette, jump)
        self.chart.display = False
        self._engine = engine
        self._search = search
        self._run = run
        self._now = now
        self._volume = LineVolume()
        self._count: LineCounter | None = None
        self._generation = 0

    def open(self, row: Row | None) -> None:
        """Show the histogram with its cursor at a row, and start counting lines."""
        self._start_count()
        self.follow(row)
        self.chart.display = True
        self.chart.focus()
        self.refresh()

    def close(self) -> bool:
        """Close the panel; returns whether it was open."""
        was_open, self._count = self._count is not None, None
        self.chart.display = False
        return was_open

    def apply(self, change: Change) -> None:
        """Bring the counts up to a change of the timeline."""
        if self._count is not None:
            self._count.apply(change)

    def follow(self, row: Row | None) -> None:
        """Move the histogram's cursor to the log's, if the panel is open."""
        if self._count is not None and row is not None:
            self.chart.follow(row.timestamp)

    def refresh(self) -> None:
        """Show the present counts, if the panel is open."""
        if self._count is None:
            return
        if self._generation != self._search.generation:
            self._start_count()
        filters = self._search.filters
        notes = ["filtered"] if filters.has_any and filters.are_enabled else []
        notes += [] if self._count.is_done else ["counting"]
        now_ms, zone = self._now()
        self.chart.show(self._volume, shades(self._engine.status, now_ms), zone, ", ".join(notes))

    def _start_count(self) -> None:
        """Count the lines that pass the present filters, from the start."""
        self._generation = self._search.generation
        volume = self._volume = LineVolume()
        test = self._search.filters.test(counting=False)

        def add(line: Line) -> None:
            if test is None or test(line):
                volume.add(line)

        count = self._count = LineCounter(self._engine.timeline, add)
        count.step()
        self._run(partial(count_all_lines, count, lambda: self._count is count), "histogram")

"""The panels around the log: details and connection, streams, histogram.

Each opens and closes its widget, and fills it while it is open.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from typing import Final, Literal

from tui.client.engine import Engine
from tui.lines.counts import LineCounter, LineVolume, StreamCounts, count_all_lines
from tui.lines.filters import Value
from tui.lines.rows import Change, Line, Row, Rule, level_of
from tui.lines.timeline import Timeline
from tui.render import panel_text
from tui.render.histogram import shades
from tui.render.palette import Palette
from tui.render.panel_text import DetailText, detail_report
from tui.screen.ports import RunExclusively
from tui.screen.search import Search
from tui.screen.widgets.histogram import Histogram
from tui.screen.widgets.panes import Choose, StreamAction, StreamPane, TextPane

Content = Literal["detail", "connection"]

_HINT: Final = "Tab, then arrows scroll; Esc closes"
_VALUES_HINT: Final = "Tab, then f only this, x without; Esc closes"


class SidePanel:
    """The details of a line, or the state of the connections, in one pane."""

    def __init__(
        self,
        palette: Palette,
        engine: Engine,
        choose: Choose,
        current: Callable[[], Row | None],
        clock: Callable[[], int],
        zone: tzinfo,
    ) -> None:
        self.pane = TextPane(palette, id="pane", choose=choose)
        self.pane.border_subtitle = _HINT
        self.pane.display = False
        self._content: Content | None = None
        self._engine = engine
        self._current = current
        self._clock = clock
        self._zone = zone

    def toggle(self, content: Content) -> None:
        """Open with this content, or close if it is open with it."""
        self._content = None if self._content == content else content
        self.pane.display = self._content is not None
        if self._content == "connection":
            self.pane.border_subtitle = _HINT
        self.refresh(content, from_top=True)

    def close(self) -> bool:
        """Close the panel; returns whether it was open."""
        was_open, self._content = self._content is not None, None
        self.pane.display = False
        return was_open

    def refresh(self, content: Content, *, from_top: bool = False) -> None:
        """Fill the pane again if it is open with this content, and scroll to the top if asked."""
        if self._content != content:
            return
        if content == "connection":
            text = panel_text.connection_report(self._engine.status, self._clock(), self._zone)
            self.pane.show(content, text, from_top=from_top)
            return
        detail = self._detail()
        self.pane.border_subtitle = _VALUES_HINT if detail.values else _HINT
        self.pane.show(content, detail.lines, detail.values, from_top=from_top)

    def values(self) -> list[Value]:
        """The values that can be filtered by; none unless the details are open."""
        return list(self._detail().values.values()) if self._content == "detail" else []

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
            zone=self._zone,
        )


class StreamsPanel:
    """The list of streams with their numbers of lines; switches streams on and off."""

    def __init__(
        self, palette: Palette, timeline: Timeline, search: Search, run: RunExclusively
    ) -> None:
        self.pane = StreamPane(palette, self.choose)
        self.pane.display = False
        self._timeline = timeline
        self._search = search
        self._run = run
        self._streams = StreamCounts()
        self._count: LineCounter | None = None

    def open(self) -> None:
        """Show the streams, and start counting their lines."""
        self._streams = StreamCounts()
        count = self._count = LineCounter(self._timeline, self._streams.add)
        count.step()
        self.pane.display = True
        self.pane.focus()
        self.refresh()
        self._run(partial(count_all_lines, count, lambda: self._count is count), "streams")

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
        self.pane.show_streams(
            counts, filters.shows_stream, self._streams.others, done=self._count.is_done
        )

    def choose(self, action: StreamAction, name: str) -> None:
        """Show or hide a stream, show only it, or show all streams."""
        filters = self._search.filters
        if action == "switch":
            filters.toggle_stream(name)
        elif action == "only":
            filters.toggle_only_stream(name)
        else:
            filters.show_all_streams()
        self._search.refilter()
        self.refresh()


class HistogramPanel:
    """The volume over time of the lines that pass the filters.

    ``jump`` moves the log to a time in ms; ``now`` returns the time in ms and the zone of times.
    """

    def __init__(
        self,
        palette: Palette,
        engine: Engine,
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

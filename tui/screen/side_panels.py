"""The pane beside the log: which of its contents is open, and what it says.

The streams panel: what it counts, and what is done with a stream.

The histogram panel: what it counts while it is open.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from typing import Literal

from tui.lines.counts import LineCounter, LineVolume, StreamCounts, count_all_lines
from tui.lines.filters import Value
from tui.lines.rows import Change, Line, Row, Rule, level_of
from tui.lines.timeline import Timeline
from tui.render import panel_text
from tui.render.histogram import shades
from tui.render.panel_text import Detail, detail_report
from tui.screen.ports import ViewerEngine
from tui.screen.search import Finding, Run
from tui.screen.widgets.histogram import Histogram
from tui.screen.widgets.panes import Pane, StreamPane

Content = Literal["detail", "connection"]

_HINT = "Tab, then arrows scroll; Esc closes"
_VALUES_HINT = "Tab, then f only this, x without; Esc closes"


class Side:
    """Opens and closes the pane, and fills it."""

    def __init__(
        self,
        pane: Pane,
        engine: ViewerEngine,
        current: Callable[[], Row | None],
        clock: Callable[[], int],
        zone: tzinfo,
    ) -> None:
        """Closed.

        Args:
            pane: the widget.
            engine: what the connection panel is about.
            current: the row that the detail is about.
            clock: the time in ms.
            zone: of local times.

        """
        self.content: Content | None = None
        self._pane = pane
        self._engine = engine
        self._current = current
        self._clock = clock
        self._zone = zone
        pane.border_subtitle = _HINT
        pane.display = False

    def toggle(self, content: Content) -> None:
        """Open with a content, or close where it is open with it."""
        self.content = None if self.content == content else content
        self._pane.display = self.content is not None
        if self.content == "connection":
            self._pane.border_subtitle = _HINT
        self.refresh(content, anew=True)

    def close(self) -> bool:
        """Close; whether it was open."""
        was_open = self.content is not None
        self.content = None
        self._pane.display = False
        return was_open

    def refresh(self, content: Content, *, anew: bool = False) -> None:
        """Say it again, where that content is open.

        Args:
            content: what may have changed.
            anew: it is about something else now: begin at the top.

        """
        if self.content != content:
            return
        if content == "connection":
            self._pane.show(content, self._connection(), anew=anew)
            return
        detail = self._detail()
        self._pane.border_subtitle = _VALUES_HINT if detail.values else _HINT
        self._pane.show(content, detail.lines, detail.values, anew=anew)

    def _connection(self) -> panel_text.Text:
        return panel_text.connection_report(self._engine.status, self._clock(), self._zone)

    def values(self) -> list[Value]:
        """The values of the line that the detail is open about."""
        return list(self._detail().values.values()) if self.content == "detail" else []

    def _detail(self) -> Detail:
        row = self._current()
        if row is None:
            return Detail([[("no line yet", "muted")]])
        if isinstance(row, Rule):
            return Detail(panel_text.rule_report(row, self._zone))
        targets = self._engine.status.targets
        target = targets[row.target] if row.target < len(targets) else None
        return detail_report(
            row,
            group="" if target is None else target.group or target.name,
            level=level_of(row.message),
            confirmed=self._engine.timeline.is_confirmed(row),
            zone=self._zone,
        )


class Streaming:
    """Opens and closes the panel, and fills it while it is open."""

    pane: StreamPane
    """The widget, which asks for things itself."""

    def __init__(self, timeline: Timeline, finding: Finding, run: Run) -> None:
        """Closed.

        Args:
            timeline: whose lines are counted, while it is open.
            finding: has the filters.
            run: runs a coroutine under a name, ending the one of that name before.

        """
        self._timeline = timeline
        self._finding = finding
        self._run = run
        self._streams = StreamCounts()
        self._count: LineCounter | None = None

    def fill(self, pane: StreamPane) -> None:
        """Show everything on this widget, from now on."""
        self.pane = pane
        pane.display = False

    @property
    def is_open(self) -> bool:
        """Whether the panel is there."""
        return self._count is not None

    def open(self) -> None:
        """Count the streams, and show them."""
        self._streams = StreamCounts()
        count = self._count = LineCounter(self._timeline, self._streams.take)
        count.step()
        self.pane.display = True
        self.pane.focus()
        self.refresh()
        self._run(partial(count_all_lines, count, lambda: self._count is count), "streams")

    def close(self) -> bool:
        """Close; whether it was open."""
        was_open, self._count = self.is_open, None
        self.pane.display = False
        return was_open

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline."""
        if self._count is not None:
            self._count.apply(change)

    def refresh(self) -> None:
        """Say it again: a few times a second."""
        if self._count is None:
            return
        # A stream that is shut out stays in the list, whether it has lines here or not.
        filters = self._finding.filters
        counts = (
            dict.fromkeys(filters.only_streams | filters.hidden_streams, 0) | self._streams.counts
        )
        self.pane.show_streams(
            counts, filters.shows_stream, self._streams.others, done=self._count.is_done
        )

    def ask(self, what: str, name: str) -> None:
        """Do something with a stream: ``switch``, ``only`` or ``all``."""
        filters = self._finding.filters
        if what == "switch":
            filters.toggle_stream(name)
        elif what == "only":
            filters.toggle_only_stream(name)
        else:
            filters.show_all_streams()
        self._finding.refilter()
        self.refresh()


class Plotting:
    """Opens and closes the histogram, and fills it while it is open."""

    def __init__(
        self,
        panel: Histogram,
        engine: ViewerEngine,
        finding: Finding,
        run: Run,
        now: Callable[[], tuple[int, tzinfo]],
    ) -> None:
        """Closed.

        Args:
            panel: the widget.
            engine: whose lines are counted, as far as they pass the filters; it knows the gaps.
            finding: has the filters.
            run: runs a coroutine under a name, ending the one of that name before.
            now: the time in ms, and the zone that times are shown in.

        """
        self._panel = panel
        self._engine = engine
        self._finding = finding
        self._run = run
        self._now = now
        self._volume = LineVolume()
        self._count: LineCounter | None = None
        self._generation = 0
        panel.display = False

    @property
    def is_open(self) -> bool:
        """Whether the panel is there."""
        return self._count is not None

    def open(self, row: Row | None) -> None:
        """Count the lines, and show the panel; ``row`` is where the reader is."""
        self._begin()
        if row is not None:
            self._panel.follow(row.timestamp)
        self._panel.display = True
        self._panel.focus()
        self.refresh()

    def close(self) -> bool:
        """Close; whether it was open."""
        was_open, self._count = self.is_open, None
        self._panel.display = False
        return was_open

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline."""
        if self._count is not None:
            self._count.apply(change)

    def follow(self, row: Row | None) -> None:
        """The reader is at a row."""
        if self._count is not None and row is not None:
            self._panel.follow(row.timestamp)

    def refresh(self) -> None:
        """Say it again: a few times a second."""
        if self._count is None:
            return
        if self._generation != self._finding.generation:
            self._begin()
        filters = self._finding.filters
        notes = ["filtered"] if filters.has_any and filters.are_enabled else []
        notes += [] if self._count.is_done else ["counting"]
        now_ms, zone = self._now()
        shaded = shades(self._engine.status, now_ms)
        self._panel.show(self._volume, shaded, zone, ", ".join(notes))

    def _begin(self) -> None:
        """Count what passes the filters as they are now."""
        self._generation = self._finding.generation
        volume = self._volume = LineVolume()
        test = self._finding.filters.test(counting=False)

        def take(line: Line) -> bool:
            return (test is None or test(line)) and volume.take(line)

        count = self._count = LineCounter(self._engine.timeline, take)
        count.step()
        self._run(partial(count_all_lines, count, lambda: self._count is count), "histogram")

"""The histogram panel: what it counts while it is open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial

from tui.lines.counting import Count, count_all
from tui.lines.counts import Volume
from tui.lines.rows import Change, Line, Row
from tui.render.histogram import shades
from tui.screen.ports import ViewerEngine
from tui.screen.search import Finding, Run
from tui.screen.widgets.histogram import Histogram


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
        self._volume = Volume()
        self._count: Count | None = None
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
        notes = ["filtered"] if filters.is_any and filters.are_on else []
        notes += [] if self._count.is_done else ["counting"]
        now_ms, zone = self._now()
        shaded = shades(self._engine.status, now_ms)
        self._panel.show(self._volume, shaded, zone, ", ".join(notes))

    def _begin(self) -> None:
        """Count what passes the filters as they are now."""
        self._generation = self._finding.generation
        volume = self._volume = Volume()
        test = self._finding.filters.test(counting=False)

        def take(line: Line) -> bool:
            return (test is None or test(line)) and volume.take(line)

        count = self._count = Count(self._engine.timeline, take)
        count.step()
        self._run(partial(count_all, count, lambda: self._count is count), "histogram")

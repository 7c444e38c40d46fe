"""The streams panel: what it counts, and what is done with a stream."""

from __future__ import annotations

from functools import partial

from tui.lines.counting import Count, count_all
from tui.lines.counts import Streams
from tui.lines.rows import Change
from tui.lines.timeline import Timeline
from tui.screen.search import Finding, Run
from tui.screen.widgets.stream_pane import StreamPane


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
        self._streams = Streams()
        self._count: Count | None = None

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
        self._streams = Streams()
        count = self._count = Count(self._timeline, self._streams.take)
        count.step()
        self.pane.display = True
        self.pane.focus()
        self.refresh()
        self._run(partial(count_all, count, lambda: self._count is count), "streams")

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
        counts = dict.fromkeys(filters.only | filters.hidden, 0) | self._streams.counts
        self.pane.show_streams(
            counts, filters.shows_stream, self._streams.others, done=self._count.is_done
        )

    def ask(self, what: str, name: str) -> None:
        """Do something with a stream: ``switch``, ``only`` or ``all``."""
        filters = self._finding.filters
        if what == "switch":
            filters.switch_stream(name)
        elif what == "only":
            filters.only_stream(name)
        else:
            filters.all_streams()
        self._finding.refilter()
        self.refresh()

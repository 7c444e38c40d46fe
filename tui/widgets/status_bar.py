"""The two bars that always answer: connected? missing anything? how far behind?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from tui import headline
from tui.chunks import Chunk, chunk
from tui.harmless import harmless
from tui.palette import Palette
from tui.status import Status
from tui.widgets.bar import Bar
from tui.window import Place


class ConnectionBar(Bar):
    """At the top: the state of the connection, what is watched, pace and lag."""

    def __init__(self, palette: Palette, title: str, *, ascii_only: bool) -> None:
        """A bar for what ``title`` names."""
        super().__init__(palette, id="connection-bar")
        self._title = harmless(title, ascii_only=ascii_only)
        self._ascii_only = ascii_only

    def update(self, status: Status, now_ms: int, notes: Sequence[Chunk] = ()) -> None:
        """Show a status; ``notes`` stand after the title."""
        badge, *details = headline.connection(status, now_ms, ascii_only=self._ascii_only)
        left = [badge, chunk(self._title, "strong", 3), *details, *notes]
        self.show(left, headline.pace(status, ascii_only=self._ascii_only))


class StatusBar(Bar):
    """Below the log: completeness, and where the reader is."""

    def __init__(self, palette: Palette, *, ascii_only: bool) -> None:
        """A bar without a status yet."""
        super().__init__(palette, id="status-bar", between=" · ")
        self._ascii_only = ascii_only

    def update(
        self, status: Status, place: Place, now_ms: int, zone: tzinfo, notes: Sequence[Chunk] = ()
    ) -> None:
        """Show a status and a place; ``notes`` stand before the place."""
        left = headline.completeness(status, now_ms, zone, ascii_only=self._ascii_only)
        right = [*notes, *headline.position(place, ascii_only=self._ascii_only)]
        self.show(left, right)

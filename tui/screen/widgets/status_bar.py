"""The two bars that always answer: connected? missing anything? how far behind?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

import msgspec
from rich.cells import cell_len

from tui.client.status import Status
from tui.lines.viewport import Place
from tui.render import status_text
from tui.render.chunks import Chunk, chunk
from tui.render.line_format import fit
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.screen.widgets.bars import BETWEEN, Bar

_MARGIN_CELLS: Final = 5
"""At both ends of the bar, and between left and right."""


_PACE_CELLS: Final = 42
"""Lag, events a second and the long sparkline, with their margin."""


class ConnectionBar(Bar):
    """At the top: the state of the connection, what is watched, pace and lag."""

    def __init__(self, palette: Palette, title: str, *, ascii_only: bool) -> None:
        """A bar for what ``title`` names."""
        super().__init__(palette, id="connection-bar")
        self._title = harmless(title, ascii_only=ascii_only)
        self._ascii_only = ascii_only

    def update(self, status: Status, now_ms: int, notes: Sequence[Chunk] = ()) -> None:
        """Show a status; ``notes`` stand after the title."""
        badge, *details = status_text.connection(status, now_ms, ascii_only=self._ascii_only)
        left = [badge, chunk(self._title, "strong", 3), *details, *notes]
        cells = status_text.SPARK_CELLS
        if sum(one.cells + len(BETWEEN) for one in left) + _PACE_CELLS > self.size.width:
            cells = status_text.SPARK_CELLS_NARROW
        self.show(left, status_text.pace(status, spark_cells=cells, ascii_only=self._ascii_only))


class StatusBar(Bar):
    """Below the log: completeness, and where the reader is."""

    def __init__(self, palette: Palette, *, ascii_only: bool) -> None:
        """A bar without a status yet."""
        super().__init__(palette, id="status-bar", between=" · ")
        self._ascii_only = ascii_only

    def has_room(self, note: str) -> bool:
        """Whether a note would be shown whole, beside what stays; before there is a size, yes."""
        stays = sum(one.cells for one in self._left[:1])
        room = self.size.width - stays - _MARGIN_CELLS
        return not self.size.width or cell_len(note) <= room

    def update(
        self,
        status: Status,
        place: Place,
        now_ms: int,
        zone: tzinfo,
        counts: Sequence[Chunk] = (),
        *,
        note: str = "",
    ) -> None:
        """Show a status and a place.

        Args:
            status: of the viewer.
            place: where the reader is.
            now_ms: the time.
            zone: of the times.
            counts: what stands before the place.
            note: what is told instead, for a while; the place gives way to it.

        """
        left = status_text.completeness(status, now_ms, zone, ascii_only=self._ascii_only)
        right = status_text.position(place, ascii_only=self._ascii_only)
        if note:
            room = self.size.width - left[0].cells - _MARGIN_CELLS
            counts = [chunk(note if cell_len(note) <= room else f"{fit(note, room - 1)}…", "warn")]
            right = [msgspec.structs.replace(one, rank=3) for one in right]
        self.show(left, [*counts, *right])

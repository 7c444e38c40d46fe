"""Strips of the log: drawn at once, and all else that Textual has of a strip only where asked for.

A strip of Textual's own is thirty objects, most of them caches that a line of the log never needs:
making a screen of them takes longer than all the rest of a frame, and the collector goes over each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from textual.strip import Strip

from tui.render.palette import Palette, Surface
from tui.render.safe_text import Segment


class DrawnStrip(Strip):
    """A line of the screen, drawn only once.

    Nothing of Textual's is set up until something asks for it: then ``__getattr__`` does what
    Textual's own ``__init__`` would have done. ``divide`` and ``render`` are all that is asked of a
    line that nothing lies over.
    """

    __slots__ = ("_cells", "_drawn", "_edge", "_line", "_palette", "_surface")

    def __init__(
        self, line: list[Segment], edge: Segment, cells: int, palette: Palette, surface: Surface
    ) -> None:
        """A line.

        Args:
            line: its pieces.
            edge: what follows them on the log's own ground: a cell of the scroll bar.
            cells: that all of it takes.
            palette: the styles.
            surface: what the pieces are drawn on.

        """
        self._line = line
        self._edge = edge
        self._cells = cells
        self._palette = palette
        self._surface: Surface = surface
        self._drawn: str | None = None

    @property
    def cell_length(self) -> int:
        """How many cells it takes."""
        return self._cells

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """As Textual's, which makes parts of it; itself where it is not cut."""
        cuts = list(cuts)
        return [self] if cuts == [self._cells] else super().divide(cuts)

    def render(self, console: Console) -> str:
        """As Textual's: what the terminal is sent."""
        if self._drawn is None:
            palette, system = self._palette, console.color_system
            drawn = palette.drawn(self._line, self._surface, system)
            self._drawn = drawn + palette.edge(self._edge, system)
        return self._drawn

    def __getattr__(self, name: str) -> object:
        """What Textual keeps of a strip, all of it, at the first question for any of it."""
        if name not in Strip.__slots__:
            raise AttributeError(name)
        palette = self._palette
        cells = palette.cells(self._line, self._surface) + palette.cells([self._edge])
        Strip.__init__(self, cells, self._cells)
        return object.__getattribute__(self, name)

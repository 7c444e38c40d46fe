"""One line of the screen made of chunks, some of which can be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.render import line_format as fmt
from tui.render.chunks import Chunk, arrange
from tui.render.palette import Palette

BETWEEN: Final = "  "
"""What parts two chunks."""


class Bar(Widget):
    """Chunks at the left, chunks at the right; those of least importance give way."""

    ALLOW_SELECT = False

    def __init__(self, palette: Palette, *, id: str, between: str = BETWEEN) -> None:  # noqa: A002 - Textual's own name for it
        """An empty bar.

        Args:
            palette: the styles.
            id: of the widget.
            between: what parts two chunks at the left.

        """
        super().__init__(id=id)
        self._palette = palette
        self._between = between
        self._left: tuple[Chunk, ...] = ()
        self._right: tuple[Chunk, ...] = ()

    def show(self, left: Sequence[Chunk], right: Sequence[Chunk] = ()) -> None:
        """Say something else; drawn again only if it is something else."""
        if (self._left, self._right) != (tuple(left), tuple(right)):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    def set_palette(self, palette: Palette) -> None:
        """The theme changed."""
        self._palette = palette
        self.refresh()

    @property
    def text(self) -> str:
        """What it says, as plain text."""
        return "".join(cell.text for cell in self.render_line(0))

    def render_line(self, y: int) -> Strip:
        """The line."""
        width = self.size.width
        if y:
            return Strip.blank(width, self._palette.style("text", "bar"))
        parts = [part for _, chunk in self._placed() for part in chunk]
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), "bar"), width)

    def _placed(self) -> list[tuple[str | None, list[tuple[str, str]]]]:
        """The chunks from left to right with the blanks between them, and their actions."""
        gap = cell_len(self._between)
        room = max(0, self.size.width - 2)
        left, right = arrange(self._left, self._right, room, gap)
        used = sum(one.cells for one in (*left, *right))
        used += gap * max(0, len(left) - 1) + gap * max(0, len(right) - 1)
        middle = (None, [(" " * (room - used), "text")])
        placed: list[tuple[str | None, list[tuple[str, str]]]] = [(None, [(" ", "text")])]
        for chunks, between in ((left, self._between), (right, BETWEEN)):
            for index, one in enumerate(chunks):
                if index:
                    placed.append((None, [(between, "muted")]))
                placed.append((one.action, list(one.parts)))
            if chunks is left:
                placed.append(middle)
        return placed

    async def on_click(self, event: events.Click) -> None:
        """Do what the chunk under the mouse does."""
        at = 0
        for action, parts in self._placed():
            end = at + sum(cell_len(text) for text, _ in parts)
            if at <= event.x < end and action is not None:
                await self.app.run_action(action)
                return
            at = end

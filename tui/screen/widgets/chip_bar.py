"""The filters that are on, as chips that a click takes away."""

from __future__ import annotations

from typing import Final

from tui.lines.filters import Filters
from tui.lines.levels import LEVELS
from tui.render import units
from tui.render.chunks import Chunk, chunk
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.screen.widgets.bars import Bar

_TEXT_CHARS: Final = 24


class ChipBar(Bar):
    """Least level and chips, with the hits of each."""

    def __init__(self, palette: Palette) -> None:
        """No filters."""
        super().__init__(palette, id="chip-bar")
        self.add_class("-away")

    def update(self, filters: Filters, shown: int, total: int) -> None:
        """Show the filters, and how many lines they leave."""
        self.set_class(not filters.is_any, "-away")
        if not filters.is_any:
            return
        said: list[Chunk] = []
        role = "accent" if filters.are_on else "muted"
        if not filters.are_on:
            said.append(chunk("filters off", "warn", 0, "app.filters"))
        if filters.minimum != LEVELS[0]:
            said.append(chunk(f"{filters.minimum.upper()} and above", role, 1, "app.level(1)"))
        if filters.chooses_streams:
            said.append(chunk(_streams(filters), role, 1, "app.all_streams"))
        for index, chip in enumerate(filters.chips):
            sign, text = ("without" if chip.excludes else "only"), harmless(chip.text)
            short = text if len(text) <= _TEXT_CHARS else f"{text[: _TEXT_CHARS - 1]}…"
            parts = (
                (f"{sign} ", "muted"),
                (short, role),
                (f" {units.number(chip.hits)}", "text"),
            )
            said.append(Chunk(parts, 2 + index, f"app.drop_chip({index})"))
        left = f"{units.number(shown)} of {units.plural(total, 'line')}"
        self.show(said, [chunk(left, "muted", 1)])


def _streams(filters: Filters) -> str:
    if not filters.only:
        return f"{units.plural(len(filters.hidden), 'stream')} off"
    if len(filters.only) > 1:
        return f"only {len(filters.only)} streams"
    name = harmless(next(iter(filters.only)))
    return f"stream {name if len(name) <= _TEXT_CHARS else '…' + name[1 - _TEXT_CHARS :]}"

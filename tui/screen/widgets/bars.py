"""One line of the screen made of chunks, some of which can be clicked.

The two bars that always answer: connected? missing anything? how far behind?

The filters that are on, as chips that a click takes away.

The footer: as many of the keys as fit, each of which can be clicked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

import msgspec
from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.client.status import Status
from tui.lines.filters import Filters
from tui.lines.rows import LEVELS
from tui.lines.viewport import ReadingPlace
from tui.render import line_format as fmt
from tui.render import status_text, units
from tui.render.key_bindings import Key, available
from tui.render.line_format import fit
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk, arrange, chunk

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
        place: ReadingPlace,
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


_TEXT_CHARS: Final = 24


class ChipBar(Bar):
    """Least level and chips, with the hits of each."""

    def __init__(self, palette: Palette) -> None:
        """No filters."""
        super().__init__(palette, id="chip-bar")
        self.add_class("-away")

    def update(self, filters: Filters, shown: int, total: int) -> None:
        """Show the filters, and how many lines they leave."""
        self.set_class(not filters.has_any, "-away")
        if not filters.has_any:
            return
        said: list[Chunk] = []
        role = "accent" if filters.are_enabled else "muted"
        if not filters.are_enabled:
            said.append(chunk("filters off", "warn", 0, "app.filters"))
        if filters.minimum_level != LEVELS[0]:
            said.append(
                chunk(f"{filters.minimum_level.upper()} and above", role, 1, "app.level(1)")
            )
        if filters.limits_streams:
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
    if not filters.only_streams:
        return f"{units.plural(len(filters.hidden_streams), 'stream')} off"
    if len(filters.only_streams) > 1:
        return f"only {len(filters.only_streams)} streams"
    name = harmless(next(iter(filters.only_streams)))
    return f"stream {name if len(name) <= _TEXT_CHARS else '…' + name[1 - _TEXT_CHARS :]}"


class KeyBar(Bar):
    """Keys and what they do."""

    def __init__(self, palette: Palette, *, controls: bool) -> None:
        """A bar with the keys that do something here."""
        super().__init__(palette, id="key-bar")
        keys = [key for key in available(controls=controls) if key.label]
        self._left = tuple(
            Chunk(
                ((_short(key), "key"), (f" {key.label}", "muted")),
                key.footer,
                f"app.{key.acts[0].action}",
            )
            for key in keys
        )


def _short(key: Key) -> str:
    """The first of its keys, as terminals write it."""
    return key.shown.split()[0].replace("Ctrl+", "^")

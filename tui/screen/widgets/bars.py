"""The one-line bars: connection, completeness, filter chips, keys. Many parts can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final

import msgspec
from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.client.status import Status
from tui.lines.expressions import Comparison
from tui.lines.filters import Chip, Filters, is_pattern
from tui.lines.levels import LEVELS
from tui.lines.viewport import ReadingPlace
from tui.render import line_format as fmt
from tui.render import status_text, units
from tui.render.key_bindings import KeyEntry, available
from tui.render.line_format import ColumnLayout, fit
from tui.render.palette import Palette
from tui.render.pattern_list import shown_pattern
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk, arrange, chunk

SEPARATOR: Final = "  "
"""Text between two chunks."""

_MARGIN_CELLS: Final = 5
"""Cells at both ends of the bar, and between left and right."""

_PACE_CELLS: Final = 42
"""Cells for lag, events a second and the long sparkline, with their margin."""

_TEXT_CHARS: Final = 24
"""Longest text of a chip."""


class Bar(Widget):
    """One line of short texts (chunks) at both ends; a narrow one leaves out the least important.

    ``separator`` stands between two chunks at the left.
    """

    ALLOW_SELECT = False

    def __init__(self, palette: Palette, *, id: str, separator: str = SEPARATOR) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._palette = palette
        self._separator = separator
        self._left: tuple[Chunk, ...] = ()
        self._right: tuple[Chunk, ...] = ()

    def show(self, left: Sequence[Chunk], right: Sequence[Chunk] = ()) -> None:
        """Show these chunks; draws only if they differ from the present ones."""
        if (self._left, self._right) != (tuple(left), tuple(right)):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    def set_palette(self, palette: Palette) -> None:
        """Use the colours of another theme."""
        self._palette = palette
        self.refresh()

    @property
    def text(self) -> str:
        """The bar as plain text."""
        return "".join(cell.text for cell in self.render_line(0))

    def render_line(self, y: int) -> Strip:
        """Draw the bar."""
        width = self.size.width
        if y:
            return Strip.blank(width, self._palette.style("text", "bar"))
        parts = [part for _, chunk in self._placed() for part in chunk]
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), "bar"), width)

    def _placed(self) -> list[tuple[str | None, list[tuple[str, str]]]]:
        """The chunks and the blanks between them from left to right, each with its action."""
        gap = cell_len(self._separator)
        room = max(0, self.size.width - 2)
        left, right = arrange(self._left, self._right, room, gap)
        used = sum(one.cells for one in (*left, *right))
        used += gap * max(0, len(left) - 1) + gap * max(0, len(right) - 1)
        blanks = room - used
        if left and right:
            blanks = max(1, blanks)  # what is never left out may be too wide for the terminal
        middle = (None, [(" " * blanks, "text")])
        placed: list[tuple[str | None, list[tuple[str, str]]]] = [(None, [(" ", "text")])]
        for chunks, separator in ((left, self._separator), (right, SEPARATOR)):
            for index, one in enumerate(chunks):
                if index:
                    placed.append((None, [(separator, "muted")]))
                placed.append((one.action, list(one.parts)))
            if chunks is left:
                placed.append(middle)
        return placed

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the chunk under the mouse."""
        at = 0
        for action, parts in self._placed():
            end = at + sum(cell_len(text) for text, _ in parts)
            if at <= event.x < end and action is not None:
                await self.app.run_action(action)
                return
            at = end


class ConnectionBar(Bar):
    """The top line: state of the connection, title, rate and lag."""

    def __init__(self, palette: Palette, title: str) -> None:
        super().__init__(palette, id="connection-bar")
        self._title = harmless(title, ascii_only=palette.ascii_only)

    def update(
        self,
        status: Status,
        now_ms: int,
        notes: Sequence[Chunk] = (),
        state: Sequence[Chunk] | None = None,
    ) -> None:
        """Show a status, with ``notes`` after the title; ``state`` stands in place of its state."""
        ascii_only = self._palette.ascii_only
        state = state or status_text.connection(status, now_ms, ascii_only=ascii_only)
        badge, *details = state
        left = [badge, chunk(self._title, "strong", 3), *details, *notes]
        cells = status_text.SPARK_CELLS
        if sum(one.cells + len(SEPARATOR) for one in left) + _PACE_CELLS > self.size.width:
            cells = status_text.SPARK_CELLS_NARROW
        self.show(left, status_text.throughput(status, spark_cells=cells, ascii_only=ascii_only))


class ColumnBar(Bar):
    """The titles of the columns, while fields have columns; a click chooses others."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="column-bar")
        self.add_class("-away")
        self._columns: ColumnLayout | None = None

    def update(self, columns: ColumnLayout) -> None:
        """Show titles for these columns."""
        if columns != self._columns:
            self._columns = columns
            self.set_class(not columns.fields, "-away")
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the titles."""
        width = self.size.width
        columns = self._columns
        parts = [] if columns is None or y else fmt.header_segments(columns)
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), "bar"), width)

    async def on_click(self, event: events.Click) -> None:
        """Choose columns."""
        event.stop()
        await self.app.run_action("columns")


class ProblemBar(Bar):
    """Why CloudWatch can't be read, and what helps; hidden while it can."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="problem-bar")
        self.add_class("-away")
        self._lines: tuple[str, ...] = ()

    def update(self, status: Status, cells: int) -> None:
        """Show a status in a screen of this width."""
        lines = status_text.problem_lines(status, cells - 2)
        if lines != self._lines:
            self._lines = lines
            self.set_class(not lines, "-away")
            self.styles.height = max(1, len(lines))
            self.refresh(layout=True)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the reason."""
        width = self.size.width
        text = self._palette.adapt(self._lines[y]) if y < len(self._lines) else ""
        parts = [(f" {text}", "bad")]
        return Strip(self._palette.cells(fmt.clip(parts, 0, width), "bar"), width)


class StatusBar(Bar):
    """The line below the log: completeness and the cursor's place."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="status-bar", separator=" · ")
        self._verdict_cells = 0

    def has_room(self, message: str) -> bool:
        """Whether a message fits beside the completeness; True while the bar has no size yet."""
        return not self.size.width or cell_len(message) <= self._room(self._left)

    def _room(self, left: Sequence[Chunk]) -> int:
        """The cells that completeness and the verdict leave for a message."""
        kept = [one.cells for one in left if not one.rank]
        used = sum(kept) + len(self._separator) * (len(kept) - 1) + self._verdict_cells
        return self.size.width - used - _MARGIN_CELLS

    def update(
        self,
        status: Status,
        place: ReadingPlace,
        now_ms: int,
        zone: tzinfo,
        counts: Sequence[Chunk] = (),
        *,
        message: str = "",
        verdict: Sequence[Chunk] = (),
        qualify: Callable[[Sequence[Chunk]], list[Chunk]] = list,
    ) -> None:
        """Show a status and the cursor's place, with ``counts`` and ``verdict`` before the place.

        A message is shown instead of the counts, and if need be of the place. ``qualify`` changes
        what is said of completeness.
        """
        ascii_only = self._palette.ascii_only
        self._verdict_cells = sum(one.cells + len(SEPARATOR) for one in verdict)
        left = qualify(status_text.completeness(status, now_ms, zone, ascii_only=ascii_only))
        right = status_text.position(place, ascii_only=ascii_only)
        if message:
            room = self._room(left)
            is_short = cell_len(message) <= room
            counts = [chunk(message if is_short else f"{fit(message, room - 1)}…", "warn")]
            right = [msgspec.structs.replace(one, rank=3) for one in right]
        name = chunk(units.zone_name(zone, now_ms), "muted", 4, "app.time")
        self.show(left, [*counts, *verdict, name, *right])


class ChipBar(Bar):
    """Minimum level and filters as chips with their matches; a click removes one."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="chip-bar")
        self.add_class("-away")

    def update(self, filters: Filters, shown: int, total: int, groups: Sequence[str] = ()) -> None:
        """Show the filters, and how many lines pass them.

        ``groups`` are the short names of the targets' log groups; empty where there is one.
        """
        self.set_class(not filters.has_any, "-away")
        if not filters.has_any:
            return
        chunks: list[Chunk] = []
        role = "accent" if filters.are_enabled else "muted"
        if not filters.are_enabled:
            chunks.append(chunk("filters off", "warn", 0, "app.filters"))
        if filters.minimum_level != LEVELS[0]:
            chunks.append(
                chunk(f"{filters.minimum_level.upper()} and above", role, 1, "app.level(1)")
            )
        if filters.limits_streams:
            chunks.append(chunk(_streams(filters, groups), role, 1, "app.all_streams"))
        for index, chip in enumerate(filters.chips):
            sign, text = ("without" if chip.excludes else "only"), _chip_text(chip)
            short = text if len(text) <= _TEXT_CHARS else f"{text[: _TEXT_CHARS - 1]}…"
            parts = ((f"{sign} ", "muted"), (short, role), (f" {units.number(chip.hits)}", "text"))
            chunks.append(Chunk(parts, 2 + index, f"app.drop_chip({index})"))
        left = f"{units.number(shown)} of {units.plural(total, 'line')}"
        self.show(chunks, [chunk(left, "muted", 1)])


def _chip_text(chip: Chip) -> str:
    expression = chip.expression
    if isinstance(expression, Comparison) and is_pattern(expression):
        return f"pattern {shown_pattern(expression.value)}"
    return harmless(chip.text)


def _streams(filters: Filters, groups: Sequence[str]) -> str:
    if not filters.only_streams:
        return f"{units.plural(len(filters.hidden_streams), 'stream')} hidden"
    if len(filters.only_streams) > 1:
        return f"only {len(filters.only_streams)} streams"
    target, name = next(iter(filters.only_streams))
    name = harmless(f"{groups[target]} {name}" if target < len(groups) else name)
    return f"stream {name if len(name) <= _TEXT_CHARS else '…' + name[1 - _TEXT_CHARS :]}"


class KeyBar(Bar):
    """The footer: as many keys as fit, which can be clicked; the simulator's only with controls."""

    def __init__(self, palette: Palette, *, controls: bool, in_replay: bool = False) -> None:
        super().__init__(palette, id="key-bar")
        offered = available(with_simulator=controls, in_replay=in_replay)
        keys = [key for key in offered if key.label]
        self._left = tuple(
            Chunk(
                ((_short(key), "key"), (f" {key.label}", "muted")),
                key.footer_rank,
                f"app.{key.actions[0].action}",
            )
            for key in keys
        )


def _short(key: KeyEntry) -> str:
    """The first of a binding's keys, as terminals write it."""
    return key.shown.split()[0].replace("Ctrl+", "^")

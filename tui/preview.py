"""The first lines as plain text, before what draws the screen has been imported. Pure.

They stand where the screen will draw them, with the same words, so that it only adds colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import msgspec

from tui import figures
from tui import format as fmt
from tui.format import Columns
from tui.harmless import Segment
from tui.levels import level_of
from tui.rows import Line, Row


def preview(rows: Sequence[Row], cells: int, *, dated: bool = False) -> list[str]:
    """Rows as the list of lines shows them: times in UTC, long lines cut.

    Args:
        rows: what to show, top to bottom, all of it confirmed.
        cells: of the screen; the last one is the scroll bar's.
        dated: whether there are dates in the time column.

    """
    width = max(1, cells - 1)
    columns = Columns(dated=dated)
    longest = max((len(row.stream) for row in rows if isinstance(row, Line)), default=0)
    stream_cells = max(columns.stream_cells, min(longest, fmt.stream_cells_max(width)))
    columns = msgspec.structs.replace(columns, stream_cells=stream_cells)
    return ["".join(text for text, _ in _segments(row, columns, width)) for row in rows]


def spans_days(rows: Sequence[Row]) -> bool:
    """Whether the clock alone would not tell when the first of some rows was."""
    ends = {figures.date(row.timestamp, UTC) for row in (*rows[:1], *rows[-1:])}
    return len(ends) > 1


def _segments(row: Row, columns: Columns, width: int) -> list[Segment]:
    if not isinstance(row, Line):
        text, role = fmt.rule_text(row)
        return fmt.clip(fmt.rule_segments(text, role, width), 0, width)
    level = level_of(row.message)
    line = fmt.before_message(
        row, columns, level=level, now_ms=row.timestamp, previous_ms=None, confirmed=True
    )
    line += fmt.message_segments(row.message, level, chars_max=4 * width + 256)
    return fmt.clip(line, 0, width)

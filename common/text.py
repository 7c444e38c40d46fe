"""Log lines that stay one line each, and plain text, whatever is in them.

Plain tables for a terminal or a pipe: columns parted by two spaces, nothing cut off.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final


def harmless(text: str) -> str:
    r"""A text in which nothing moves a cursor or ends a line: as ``\n``, ``\x1b`` and the like.

    Names and error texts come from other machines; a log that can be forged is none.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class OneLine(logging.Formatter):
    """A formatter whose messages are harmless; tracebacks are of our own code, and stay."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line of a record."""
        record.message = harmless(record.message)
        return super().formatMessage(record)


NOTHING: Final = "-"

_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> str:
    """Lines of aligned columns, the titles first; ``right``: columns that end flush right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = []
    for row in (titles, *rows):
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def moment(time_ms: int | None, zone: tzinfo | None = None) -> str:
    """A time (ms since the Unix epoch) to the second, in ``zone`` or the machine's own."""
    if time_ms is None:
        return NOTHING
    at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def size(count: int | None) -> str:
    """A number of bytes in the largest unit that leaves at least one."""
    if count is None:
        return NOTHING
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_SIZES) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_SIZES[unit]}"


def printable_name(text: str) -> str:
    """A name from outside, without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)

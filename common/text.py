"""Text from outside made safe for a terminal, a log or a reader of JSON, and tables. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

COLOUR_CODE: Final = r"\x1b\[[0-9;:]*m"
"""A terminal's colour code (SGR), as a regular expression."""

_COLOUR_CODE: Final = re.compile(COLOUR_CODE)

NOTHING: Final = "-"
"""Fills the cell of a table that has no value."""

_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_KEY_CHARS_MAX: Final = 80

_Value = TypeVar("_Value")


def without_colours(text: str) -> str:
    """Remove the colour codes of a text."""
    return _COLOUR_CODE.sub("", text) if "\x1b" in text else text


def escape_unprintable(text: str) -> str:
    r"""Escape all characters that could move a cursor or end a line, as in ``\n`` and ``\x1b``.

    Names and error texts come from other machines, and must not forge log lines.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def replace_unprintable(text: str) -> str:
    """Replace each unprintable character by U+FFFD, which keeps the text's length."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def unique_keys(pairs: Iterable[tuple[str, _Value]]) -> dict[str, _Value]:
    """Make a dictionary of the pairs of a JSON object, as ``object_pairs_hook`` of ``json``.

    Readers of JSON take the last of two equal keys, so that what the first one says is lost.

    Raises:
        ValueError: a key stands twice; the text names it in one line.
    """
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        key, _ = Counter(one for one, _ in pairs).most_common(1)[0]
        msg = f"the key {key[:_KEY_CHARS_MAX]!a} stands twice in one object: leave one out"
        raise ValueError(msg)
    return found


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> str:
    """Return aligned columns, titles first, two spaces between; ``right``: flush-right columns."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = []
    for row in (titles, *rows):
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_size(count: int | None) -> str:
    """Return a number of bytes in the largest unit of which there is at least one."""
    if count is None:
        return NOTHING
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_SIZES) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_SIZES[unit]}"

"""Fields chosen by name: what ``--fields`` names, their values in a line, columns' widths. Pure.

A name is that of a field in the line, such as ``user.id``, or one of ``OWN_NAMES``, which stand for
something of the event itself. In quotes it is always a field of the line: ``"level"``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from tui.lines.expressions import quoted
from tui.lines.matching import FieldName, number_in
from tui.lines.rows import Line
from tui.lines.structure import Scalar, Structure, field_text, structure_of

OWN_NAMES: Final = ("time", "level", "stream", "group", "origin", "message", "msg")
"""What every event has; rows on screen show all of these anyway."""

FIELDS_MAX: Final = 50
"""Fields chosen at a time; more would fit on no screen."""

COLUMN_CELLS_MAX: Final = 32
"""Most cells of a column; the details show what is cut off."""

COLUMN_CELLS_MIN: Final = 4
"""Where even this does not fit for each column, the last columns are left out."""

MESSAGE_CELLS_MIN: Final = 16
"""Cells that columns leave to the message; on a wide screen they leave half of the room."""

_SAMPLE_CHARS: Final = 200
"""Characters of a value, and of all examples of a field together."""

_SAMPLES: Final = 3
_FIELD: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^",]+)\s*(?:,|\Z)')
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Field(msgspec.Struct, frozen=True):
    """A chosen field.

    Attributes:
        name: Its name.
        is_own: Whether it is one of the event's own, instead of one in the line.
    """

    name: str
    is_own: bool = False

    def __str__(self) -> str:
        is_plain = self.is_own or (self.name not in OWN_NAMES and _FIELD.fullmatch(self.name))
        return self.name if is_plain else quoted(self.name)


def parse_fields(text: str) -> tuple[Field, ...]:
    """Parse the value of ``--fields``: names with commas between them, each used once.

    Raises:
        ValueError: A name is empty or not closed, or there are more than ``FIELDS_MAX``.
    """
    found: list[Field] = []
    at = 0
    while at < len(text) or not found or text[at - 1 : at] == ",":
        one = _FIELD.match(text, at)
        name = "" if one is None else one[1].strip()
        if one is None or not name.strip('"'):
            rest = text[at : at + 40]
            msg = f"{rest!r} at character {at + 1} is no field name: write level,msg,user.id"
            raise ValueError(msg)
        if name.startswith('"'):
            found.append(Field(_ESCAPED.sub(r"\1", name[1:-1])))
        else:
            found.append(Field(name, is_own=name in OWN_NAMES))
        at = one.end()
    found = list(dict.fromkeys(found))
    if len(found) > FIELDS_MAX:
        msg = f"it names {len(found)} fields: name {FIELDS_MAX} at most"
        raise ValueError(msg)
    return tuple(found)


class FieldReader:
    """Reads chosen fields of structured lines."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._fields = [FieldName(name) for name in names]

    def values(self, structure: Structure) -> tuple[list[list[Scalar]], frozenset[str]]:
        """Each field's values (none, or several of one name), and the names that the line uses."""
        by_name = dict(structure.fields)
        is_unique = len(by_name) == len(structure.fields)
        found: list[list[Scalar]] = []
        used: list[str] = []
        for field in self._fields:
            name = field.name
            if is_unique and name in by_name:
                found.append([by_name[name]])
                used.append(name)
                continue
            values = field.values(structure)
            found.append(values)
            if values:
                used += [one for one in by_name if field.is_named(one, name)]
        return found, frozenset(used)


def value_text(values: Sequence[Scalar]) -> str:
    """The values of one field as a text: empty for none, with commas between several."""
    if len(values) == 1:
        return field_text(values[0])
    return ", ".join(map(field_text, values))


def are_numbers(values: Iterable[Scalar]) -> bool:
    """Whether values are numbers, with a unit or without, which a column aligns to the right."""
    return all(number_in(one) is not None for one in values)


class SeenField(NamedTuple):
    """A field that some lines have, which rows show without a column of its own."""

    name: str
    share: float
    """The part of the structured lines that has it."""
    samples: str
    """A few of its values."""


def seen_in(lines: Iterable[Line], chosen: Sequence[str] = ()) -> list[SeenField]:
    """The fields of lines, the most usual first; ``chosen`` ones also where no line has them."""
    counts: Counter[str] = Counter()
    samples: dict[str, dict[str, None]] = {}
    structured = 0
    for line in lines:
        structure = structure_of(line.message)
        if structure is None:
            continue
        structured += 1
        for name, value in dict(structure.row_fields()).items():
            counts[name] += 1
            few = samples.setdefault(name, {})
            if len(few) < _SAMPLES:
                few[value[:_SAMPLE_CHARS]] = None
    names = [name for name, _ in counts.most_common()]
    names += [name for name in chosen if name not in counts]
    return [
        SeenField(name, counts[name] / max(1, structured), ", ".join(samples.get(name, ())))
        for name in names
    ]


def fit_columns(wanted: Sequence[int], room: int) -> list[int]:
    """Widths of columns within a room that includes a blank behind each; the widest give way.

    The result may be shorter: columns at the end that do not fit at all.
    """
    kept = [min(one, COLUMN_CELLS_MAX) for one in wanted]
    while kept and sum(min(one, COLUMN_CELLS_MIN) + 1 for one in kept) > room:
        kept.pop()
    limit = COLUMN_CELLS_MAX
    while limit > COLUMN_CELLS_MIN and sum(min(one, limit) + 1 for one in kept) > room:
        limit -= 1
    return [min(one, limit) for one in kept]


def room_for_columns(cells: int) -> int:
    """The part of the cells behind the columns of every row that fields may take."""
    return max(0, cells - max(MESSAGE_CELLS_MIN, cells // 2))

"""Details of a log line: its message with all fields, and what else is known of the event. Pure.

JSON is shown as a tree, also behind a prefix and within a text; a text of several lines, such as
a stack trace, keeps them. Each field can be filtered by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Final

import msgspec

from tui.lines.expressions import Comparison, equals
from tui.lines.levels import level_of
from tui.lines.rows import Line
from tui.lines.structure import (
    Scalar,
    field_text,
    json_in,
    json_value,
    members_of,
    message_name_of,
    structure_of,
)
from tui.render import units
from tui.render.panel_text import Text, field
from tui.render.safe_text import Segment, harmless, segments
from wire.messages import AlteredText

DETAIL_CHARS_MAX: Final = 64 << 10
"""Characters of a message that the detail panel shows; ``Y`` copies all of it."""

TREE_DEPTH_MAX: Final = 100
"""Nesting up to which JSON is shown as a tree: its size grows with length times depth."""

_NAMED_DEPTH_MAX: Final = 20
"""Nesting up to which structures name fields."""

_VALUE_CHARS_MAX: Final = 1_000
"""A longer value is not offered as a filter: nobody could read its chip."""

_INDENT: Final = "  "

TreeLine = tuple[str, Comparison | None]
"""A line of text, and the field on it."""

_ORIGINS: Final = {
    "live": "live",
    "backfill": "backfill (requested history)",
    "repair": "repair (a scan found it; the live path missed it)",
}
_JSON: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<ok>"(?:[^"\\]|\\.)*")'
    r"|(?P<accent>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<warn>true|false|null)"
)


_LINE_BREAK: Final = re.compile(r"\r\n?|\n")
"""Also a carriage return alone, with which Lambda divides the lines of a Python traceback."""


def _lines_of(text: str) -> list[str]:
    return _LINE_BREAK.split(text.rstrip("\r\n"))


class DetailText(msgspec.Struct):
    """The detail panel of a line."""

    lines: Text = []
    values: dict[int, Comparison] = {}
    """Values to filter by, by line number."""

    def add(self, line: list[Segment], value: Comparison | None = None) -> None:
        """Add a line, with the value on it."""
        if value is not None:
            self.values[len(self.lines)] = value
        self.lines.append(line)


def detail_report(
    line: Line,
    *,
    group: str,
    level: str | None,
    confirmed: bool,
    altered: AlteredText | None = None,
    zone: tzinfo = UTC,
) -> DetailText:
    """The detail panel of a line: the message with its fields, and what else the event has."""
    size = len(line.message)
    here = units.clock(line.timestamp, zone)
    local = "" if here == units.clock(line.timestamp) else f", {here} local"
    text = DetailText()
    text.add(field("time", f"{units.stamp(line.timestamp)} UTC{local}"))
    text.add(field("log stream", harmless(line.stream)), Comparison("stream", "=", line.stream))
    text.add([])
    if altered is not None:
        text.add([("original", "strong")])
    _add_message(text, line.message[:DETAIL_CHARS_MAX])
    if size > DETAIL_CHARS_MAX:
        more = units.plural(size - DETAIL_CHARS_MAX, "more character")
        text.add([(f"… {more}: Y copies all", "control")])
    text.add([])
    if altered is not None:
        _add_altered(text, altered)
    text.add(
        field("level", level or "none found"),
        None if level is None else Comparison("level", "=", level),
    )
    text.add(field("origin", _ORIGINS[line.origin]), Comparison("origin", "=", line.origin))
    if line.late_ms:
        late = f"+{units.duration(line.late_ms)} late: arrived after its time had been verified"
        text.add(field("late", late, "warn"))
    if not confirmed:
        why = "not sent again in the forwarder's new epoch"
        text.add(field("unconfirmed", why, "bad"))
    text.add(field("ingested", _ingested(line)))
    text.add(
        field("log group", harmless(group)), Comparison("group", "=", group) if group else None
    )
    text.add(field("event id", harmless(line.id)))
    text.add(field("seq", units.number(line.seq)))
    text.add(field("size", units.plural(size, "character")))
    return text


def _add_altered(text: DetailText, altered: AlteredText) -> None:
    """Add the text that CloudWatch returns by now, as far as the forwarder sends it."""
    message = altered.message or ""
    text.add([("CloudWatch now returns", "bad")])
    _add_message(text, message)
    if altered.length > len(message):
        more = units.plural(altered.length - len(message), "more character")
        text.add([(f"… {more}: read them in CloudWatch", "control")])
    text.add([])


def _ingested(line: Line) -> str:
    if line.ingestion_time is None:
        return "unknown (the live path does not deliver it)"
    lag = units.duration(line.ingestion_time - line.timestamp)
    return f"{units.stamp(line.ingestion_time)} UTC, {lag} later"


def _add_message(text: DetailText, message: str) -> None:
    """Add a message as a tree if it is JSON, else as text; then the fields that are not in it."""
    tree = _tree_of(message)
    structure = structure_of(message)
    if tree is not None:
        for line, comparison in tree.lines:
            text.add(list(_coloured(line)), comparison)
    elif structure is None or structure.message_name or not structure.message:
        _add_text(text, message)
    else:
        _add_text(text, structure.message)
    if structure is None:
        return
    level = level_of(message)
    for name, value in structure.fields:
        if tree is None or name not in tree.names:
            _add_field(text, name, value, equals(name, field_text(value), level))


def _add_text(text: DetailText, message: str) -> None:
    for part in _lines_of(message):
        text.add(segments(part))


def _add_field(text: DetailText, name: str, value: Scalar, comparison: Comparison) -> None:
    """Add a field of logfmt, of a prefix or of Lambda's own lines."""
    first, *others = _LINE_BREAK.split(field_text(value))
    offered = comparison if len(comparison.value) <= _VALUE_CHARS_MAX else None
    text.add([(f"{harmless(name)}: ", "key"), *segments(first)], offered)
    for other in others:
        text.add(segments(_INDENT + other))


def json_tree(message: str) -> list[TreeLine] | None:
    """A line that ends with JSON as indented lines, with the field on each.

    None if it does not, or if it is nested too deeply to be shown as a tree.
    """
    tree = _tree_of(message)
    return None if tree is None else tree.lines


def _tree_of(message: str) -> _Tree | None:
    found = json_in(message)
    if found is None:
        return None
    before, value = found
    tree = _Tree(message)
    if before.strip():
        tree.lines += [(part, None) for part in before.strip().split("\n")]
    return tree if tree.add(value, "", _Place(name="", depth=0, is_top=True)) else None


class _Place(msgspec.Struct, frozen=True):
    """Where a value stands in the tree.

    Attributes:
        name: Name of the field; None where fields have none, within a text that is no message.
        depth: Number of objects and lists around it.
        is_top: Whether the fields of an object here are named without any prefix.
        after: What follows the value: a comma, or nothing.
        is_message: Whether it is the message.
    """

    name: str | None
    depth: int
    is_top: bool = False
    after: str = ""
    is_message: bool = False

    def child(self, step: str | int, after: str, *, is_message: bool = False) -> _Place:
        """The place of a member of this object or list."""
        name = self.name
        if name is not None and self.depth < _NAMED_DEPTH_MAX:
            if isinstance(step, int):
                name = f"{name}[{step}]" if name else None
            else:
                name = step if self.is_top else f"{name}.{step}"
        else:
            name = None
        return _Place(name, self.depth + 1, after=after, is_message=is_message)


class _Tree:
    """The lines of a JSON value."""

    def __init__(self, message: str) -> None:
        self.lines: list[TreeLine] = []
        self.names: set[str] = set()
        """Names of the fields in it."""
        structure = structure_of(message)
        self._level = level_of(message)
        self._message = "" if structure is None else structure.message

    def add(self, found: object, before: str, place: _Place) -> bool:
        """Append the lines of a value, the first one after some text; False: nested too deeply."""
        if place.depth > TREE_DEPTH_MAX:
            return False
        if place.name:
            self.names.add(place.name)
        pairs = members_of(found)
        if pairs is not None:
            message = message_name_of(dict(pairs)) if place.is_top else None
            last = max((at for at, (key, _) in enumerate(pairs) if key == message), default=-1)
            members = [
                (f"{_dump(key)}: ", place.child(key, _comma(at, pairs), is_message=at == last), one)
                for at, (key, one) in enumerate(pairs)
            ]
            return self._add_members(members, before, place, "{}")
        if isinstance(found, list):
            items = [("", place.child(at, _comma(at, found)), one) for at, one in enumerate(found)]
            return self._add_members(items, before, place, "[]")
        assert found is None or isinstance(found, str | int | float | bool), "JSON has no more"
        return self._add_scalar(found, before, place)

    def _add_members(
        self, members: list[tuple[str, _Place, object]], before: str, place: _Place, ends: str
    ) -> bool:
        indent = _INDENT * place.depth
        if not members:
            self.lines.append((f"{indent}{before}{ends}{place.after}", None))
            return True
        self.lines.append((f"{indent}{before}{ends[0]}", None))
        for name, inner, one in members:
            if not self.add(one, name, inner):
                return False
        self.lines.append((f"{indent}{ends[1]}{place.after}", None))
        return True

    def _add_scalar(self, value: Scalar, before: str, place: _Place) -> bool:
        comparison = self._comparison(value, place)
        indent = _INDENT * place.depth
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            inner = json_value(value)
            if inner is not None:
                is_top = place.is_message and members_of(inner) is not None
                name = "" if is_top else None
                self.lines.append((f"{indent}{before}(text)", None if is_top else comparison))
                within = _Place(name, place.depth + 1, is_top=is_top, after=place.after)
                return self.add(inner, "", within)
        if isinstance(value, str) and len(_lines_of(value)) > 1:
            self.lines.append((f"{indent}{before}", comparison))
            parts = _lines_of(value)
            self.lines += [(f"{indent}{_INDENT}{part}", None) for part in parts]
            return True
        self.lines.append((f"{indent}{before}{_dump(value)}{place.after}", comparison))
        return True

    def _comparison(self, value: Scalar, place: _Place) -> Comparison | None:
        if not place.name:
            return None
        text = self._message if place.is_message else field_text(value)
        if place.is_message and not text:
            return None
        return equals(place.name, text, self._level) if len(text) <= _VALUE_CHARS_MAX else None


def _comma(at: int, members: Sequence[object]) -> str:
    return "," if at < len(members) - 1 else ""


def _dump(found: object) -> str:
    return json.dumps(found, ensure_ascii=False)


def _coloured(line: str) -> Iterable[Segment]:
    """A line of JSON with roles for keys, strings, numbers and literals."""
    at = 0
    for found in _JSON.finditer(line):
        yield from segments(line[at : found.start()])
        role = found.lastgroup or "message"
        for text, part in segments(found[0]):
            yield text, role if part == "message" else part
        at = found.end()
    yield from segments(line[at:])

"""Values that lines can be filtered by: fields of the event, and what stands in its JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from tui.lines.levels import level_of
from tui.lines.packed import Sealed
from tui.lines.rows import Line

Scalar = str | int | float | bool | None
Step = str | int
"""A key of an object, or an index of a list."""

_INDENT: Final = "  "


class Value(msgspec.Struct, frozen=True):
    """One value of a line, with what it is the value of."""

    kind: Literal["stream", "level", "origin", "lane", "json"]
    path: tuple[Step, ...]
    """In JSON, from its top; else one name."""
    value: Scalar
    said: str = ""
    """What stands for the value on screen, where it is not itself."""

    @property
    def text(self) -> str:
        """``user.roles[0]=admin``."""
        name = ""
        for step in self.path:
            name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{name}={self.said or value}"

    def matches(self, line: Line) -> bool:
        """Whether a line has this value there."""
        match self.kind:
            case "stream":
                return line.stream == self.value
            case "level":
                return level_of(line.message) == self.value
            case "origin":
                return line.origin == self.value
            case "lane":
                return line.lane == self.value
            case _:
                return self._is_in(line.message)

    def flags(self, block: Sealed) -> bytes:
        """Which lines of a block have it: a byte for each row, 1 or 0."""
        match self.kind:
            case "stream":
                return block.of_streams(lambda name: name == self.value)
            case "level":
                return block.of_levels(lambda level: level == self.value)
            case "origin":
                return block.of_origin(str(self.value))
            case "lane":
                assert isinstance(self.value, int), "targets have numbers"
                return block.keys.of_lane(self.value)
            case _:
                return bytes(map(self._is_in, block.messages()))

    def _is_in(self, message: str) -> bool:
        value = self.value
        # Most lines are told by their text; only plain words can't be written in two ways.
        if isinstance(value, str) and value.isascii() and value.isalnum() and value not in message:
            return False
        found = parsed(message)
        for step in self.path:
            if isinstance(found, dict) and isinstance(step, str):
                found = found.get(step, _MISSING)
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return False
        return type(found) is type(value) and found == value


_MISSING: Final = object()


def parsed(message: str) -> object:
    """The JSON object or list that a message is, or None."""
    if not message.lstrip().startswith(("{", "[")):
        return None
    try:
        found: object = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found


def tree(found: object) -> list[tuple[str, Value | None]] | None:
    """An object or list as indented lines, each with the value that stands on it.

    None where it is nested too deep to be shown as a tree.
    """
    try:
        return list(_walk(found, (), "", "", ""))
    except RecursionError:
        return None


def _walk(
    found: object, path: tuple[Step, ...], indent: str, before: str, after: str
) -> Iterator[tuple[str, Value | None]]:
    children: list[tuple[str, Step, object]]
    if isinstance(found, dict):
        children = [(f"{_dumped(key)}: ", key, one) for key, one in found.items()]
        opening, closing = "{", "}"
    elif isinstance(found, list):
        children = [("", index, one) for index, one in enumerate(found)]
        opening, closing = "[", "]"
    else:
        assert found is None or isinstance(found, str | int | float | bool), "JSON has no more"
        yield f"{indent}{before}{_dumped(found)}{after}", Value("json", path, found)
        return
    if not children:
        yield f"{indent}{before}{opening}{closing}{after}", None
        return
    yield f"{indent}{before}{opening}", None
    for number, (name, step, one) in enumerate(children, 1):
        comma = "," if number < len(children) else ""
        yield from _walk(one, (*path, step), indent + _INDENT, name, comma)
    yield f"{indent}{closing}{after}", None


def _dumped(found: object) -> str:
    return json.dumps(found, ensure_ascii=False)

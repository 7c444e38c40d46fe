"""Output formats of a line: text, JSON and raw. Pure.

Text has no control characters that a terminal would act on, and indents the further lines of a
message, so that none of them can pass for an event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal
from zlib import crc32

from common.text import without_colours
from common.times import iso
from tui.client.target import LineSource
from tui.lines.levels import level_of
from tui.lines.rows import Line
from tui.lines.structure import Scalar, structure_of
from tui.output.ordering import PrintedLine
from tui.render.fields import Field, FieldReader, value_text
from tui.render.safe_text import harmless, harmless_lines
from wire.codec import encode

OutputFormat = Literal["text", "json", "raw"]

INDENT: Final = "    "

_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"
_HUES: Final = (31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96)
_LEVEL_COLOURS: Final = {"warn": "\x1b[33m", "error": "\x1b[31m", "fatal": "\x1b[31m"}


def format_line(
    one: PrintedLine,
    output: OutputFormat,
    source: LineSource,
    *,
    color: bool,
    group: str = "",
    fields: Sequence[Field] = (),
) -> bytes:
    """Return a line in a format, as UTF-8 with its newline.

    ``group`` is for ``format_text``; ``fields`` are the only ones to print as text or JSON.
    """
    if fields and output != "raw":
        return format_fields(one, fields, source, as_json=output == "json") + b"\n"
    if output == "json":
        return format_json(one, source) + b"\n"
    if output == "raw":
        message = one.line.message.removesuffix("\n").removesuffix("\r")
        return message.encode("utf-8", "surrogatepass") + b"\n"
    return format_text(one, color=color, group=group).encode() + b"\n"


def format_text(one: PrintedLine, *, color: bool, group: str = "") -> str:
    """Return ``TIME [GROUP] STREAM MESSAGE``, without control characters.

    ``group`` is the name that tells the log group from others; empty: there are no others.
    """
    line = one.line
    message = line.message.removesuffix("\n").removesuffix("\r")
    if not (message.isascii() and message.isprintable()):
        message = harmless_lines(message, f"\n{INDENT}")
    time, stream = iso(line.timestamp), harmless(line.stream)
    group = f"{harmless(group)} " if group else ""
    if not color:
        return f"{time} {group}{stream} {message}"
    hue = _HUES[crc32(line.stream.encode("utf-8", "surrogatepass")) % len(_HUES)]
    style = _LEVEL_COLOURS.get(level_of(line.message) or "", "")
    shown = f"{style}{message}{_RESET}" if style else message
    return f"{_DIM}{time}{_RESET} {group}\x1b[{hue}m{stream}{_RESET} {shown}"


def format_json(one: PrintedLine, source: LineSource) -> bytes:
    """Return an object with the event's fields, and ``"late": true`` for a late one."""
    fields: dict[str, Any] = event_fields(one.line, source.group)
    place = {"region": source.region, "account": source.account}
    fields |= {name: value for name, value in place.items() if value is not None}
    if one.is_late:
        fields["late"] = True
    if one.line.message.isprintable() and one.line.stream.isprintable():
        return encode(fields)
    # msgspec leaves C1 controls and the like as they are, and a terminal would act on them.
    return json.dumps(fields, separators=(",", ":")).encode()


def format_fields(
    one: PrintedLine, fields: Sequence[Field], source: LineSource, *, as_json: bool
) -> bytes:
    """Return chosen fields: as text with tabs between them, or as an object.

    A field that a line lacks is empty or null; several values of one name are joined, or a list.
    """
    values = field_values(one, fields, source)
    if as_json:
        content = {
            str(field): None if not found else found[0] if len(found) == 1 else found
            for field, found in zip(fields, values, strict=True)
        }
        return json.dumps(content, separators=(",", ":")).encode()
    return "\t".join(harmless(value_text(found)) for found in values).encode()


def field_values(
    one: PrintedLine, fields: Sequence[Field], source: LineSource
) -> list[list[Scalar]]:
    """Return the values of chosen fields of a line, of each none, one or several."""
    line = one.line
    structure = structure_of(line.message)
    read: list[list[Scalar]] = []
    if structure is not None:
        read = _reader(tuple(fields)).values(structure)[0]
    values: list[list[Scalar]] = []
    for at, field in enumerate(fields):
        if not field.is_own:
            values.append(read[at] if read else [])
            continue
        match field.name:
            case "time":
                own: str | None = iso(line.timestamp)
            case "level":
                own = level_of(line.message)
            case "stream":
                own = line.stream
            case "group":
                own = source.group
            case "origin":
                own = "late" if one.is_late else line.origin
            case _:
                own = None if structure is None else structure.message
                own = own or without_colours(line.message).rstrip("\r\n")
        values.append([] if own is None else [own])
    return values


@lru_cache(8)
def _reader(fields: tuple[Field, ...]) -> FieldReader:
    return FieldReader([one.name for one in fields])


def event_fields(line: Line, group: str | None) -> dict[str, Any]:
    """Return an event's fields in the order of the output and the record."""
    return {
        "seq": line.seq,
        "id": line.id,
        "timestamp": line.timestamp,
        "ingestion_time": line.ingestion_time,
        "log_group": group,
        "log_stream": line.stream,
        "message": line.message,
        "origin": line.origin,
    }

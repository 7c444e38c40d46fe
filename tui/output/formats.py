"""Output formats of a line: text, short, JSON, raw, chosen fields, and templates. Pure.

Text has no control characters that a terminal would act on, and indents the further lines of a
message, so that none of them can pass for an event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any, Final

import msgspec

from common.text import without_colours
from common.times import iso, iso_second
from tui.client.target import LineSource
from tui.lines.levels import level_of
from tui.lines.structure import Scalar, structure_of
from tui.output.context import ContextLine
from tui.output.ordering import PrintedLine
from tui.output.templates import FORMATS, Template, parse_template
from tui.render.fields import Field, FieldReader, value_text
from tui.render.safe_text import harmless, harmless_lines
from wire.codec import encode

INDENT: Final = "    "

GAP: Final = b"--\n"
"""Printed between lines of text that do not follow each other, as grep does."""

_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"
_HUES: Final = (36, 32, 35, 34, 33, 96, 31, 92, 95, 94, 93, 91)
"""Colours in the order in which streams get them; the red of errors is not among the first."""

_LEVEL_COLOURS: Final = {"warn": "\x1b[33m", "error": "\x1b[31m", "fatal": "\x1b[31m"}


class OutputStyle(msgspec.Struct, frozen=True):
    """How lines are printed.

    Attributes:
        form: One of ``FORMATS``.
        fields: The only fields to print, as text or JSON; empty: those of the format.
        template: The template to print with, in place of a format.
        color: Whether text is coloured.
        zone: Zone of the times in text.
    """

    form: str = "text"
    fields: tuple[Field, ...] = ()
    template: Template | None = None
    color: bool = False
    zone: tzinfo = UTC

    @property
    def is_text(self) -> bool:
        """Whether lines are for people, who want to see where lines are left out."""
        return self.form not in ("json", "raw")


def make_style(
    text: str, *, fields: Sequence[Field] = (), color: bool = False, zone: tzinfo = UTC
) -> OutputStyle:
    """The style of a format that ``parse_format`` returned."""
    is_template = text not in FORMATS
    return OutputStyle(
        "text" if is_template else text,
        tuple(fields),
        parse_template(text) if is_template else None,
        color,
        zone,
    )


def format_line(
    one: PrintedLine,
    style: OutputStyle,
    source: LineSource,
    *,
    group: str = "",
    stream_order: int = 0,
    is_match: bool = True,
) -> bytes:
    """Return a line in a style, as UTF-8 with its newline.

    Args:
        one: The line.
        style: How to print it.
        source: Where it comes from.
        group: The name that tells its log group from others; empty: there are no others.
        stream_order: Number of streams that appeared before its own, which gives the colour.
        is_match: False for a context line.
    """
    if style.template is not None:
        return _format_template(one, style.template, style, source).encode() + b"\n"
    if style.fields and style.form != "raw":
        return format_fields(one, style, source) + b"\n"
    if style.form == "json":
        return format_json(one, source, is_match=is_match) + b"\n"
    if style.form == "raw":
        message = one.line.message.removesuffix("\n").removesuffix("\r")
        return message.encode("utf-8", "surrogatepass") + b"\n"
    text = format_text(one, style, group=group, stream_order=stream_order, is_match=is_match)
    return text.encode() + b"\n"


def format_context_line(
    one: ContextLine,
    style: OutputStyle,
    source: LineSource,
    *,
    group: str = "",
    stream_order: int = 0,
) -> bytes:
    """Return a match or a context line, behind a line of two dashes where lines are left out."""
    data = format_line(
        one.printed,
        style,
        source,
        group=group,
        stream_order=stream_order,
        is_match=one.is_match,
    )
    return GAP + data if one.follows_gap and style.is_text else data


_PLAIN: Final = OutputStyle()


def format_text(
    one: PrintedLine,
    style: OutputStyle = _PLAIN,
    *,
    group: str = "",
    stream_order: int = 0,
    is_match: bool = True,
) -> str:
    """Return ``TIME [GROUP] STREAM MESSAGE``, or without the stream, without control characters.

    ``group`` is the name that tells the log group from others; empty: there are no others.
    ``stream_order`` is the number of streams that appeared before its own.
    """
    line = one.line
    message = line.message.removesuffix("\n").removesuffix("\r")
    if not (message.isascii() and message.isprintable()):
        message = harmless_lines(message, f"\n{INDENT}")
    if style.form == "short":
        time, stream = iso_second(line.timestamp, style.zone), ""
    else:
        time, stream = iso(line.timestamp, style.zone), harmless(line.stream)
    group = f"{harmless(group)} " if group else ""
    if not style.color:
        return f"{time} {group}{stream} {message}" if stream else f"{time} {group}{message}"
    hue = _HUES[stream_order % len(_HUES)]
    colour = _LEVEL_COLOURS.get(level_of(line.message) or "", "")
    colour = colour if is_match else _DIM
    shown = f"{colour}{message}{_RESET}" if colour else message
    name = f"\x1b[{hue}m{stream}{_RESET} " if stream else ""
    return f"{_DIM}{time}{_RESET} {group}{name}{shown}"


def format_json(one: PrintedLine, source: LineSource, *, is_match: bool = True) -> bytes:
    """Return an object with the event's fields.

    ``"late": true`` is added for a late one, ``"altered": true`` for one of which CloudWatch now
    returns another text, ``"context": true`` for a context line.
    """
    line = one.line
    fields: dict[str, Any] = {
        "seq": line.seq,
        "id": line.id,
        "timestamp": line.timestamp,
        "ingestion_time": line.ingestion_time,
        "log_group": source.group,
        "log_stream": line.stream,
        "message": line.message,
        "origin": line.origin,
    }
    place = {"region": source.region, "account": source.account}
    fields |= {name: value for name, value in place.items() if value is not None}
    if one.is_late:
        fields["late"] = True
    if one.is_altered:
        fields["altered"] = True
    if not is_match:
        fields["context"] = True
    if line.message.isprintable() and line.stream.isprintable():
        return encode(fields)
    # msgspec leaves C1 controls and the like as they are, and a terminal would act on them.
    return json.dumps(fields, separators=(",", ":")).encode()


def format_fields(one: PrintedLine, style: OutputStyle, source: LineSource) -> bytes:
    """Return the chosen fields: as text with tabs between them, or as an object.

    A field that a line lacks is empty or null; several values of one name are joined, or a list.
    """
    values = field_values(one, style.fields, source, style.zone)
    if style.form == "json":
        content = {
            str(field): None if not found else found[0] if len(found) == 1 else found
            for field, found in zip(style.fields, values, strict=True)
        }
        return json.dumps(content, separators=(",", ":")).encode()
    return "\t".join(harmless(value_text(found)) for found in values).encode()


def _format_template(
    one: PrintedLine, template: Template, style: OutputStyle, source: LineSource
) -> str:
    values = field_values(one, template.fields, source, style.zone)
    safe = [
        [
            harmless_lines(value, f"\n{INDENT}") if isinstance(value, str) else value
            for value in found
        ]
        for found in values
    ]
    return template.fill(safe)


def field_values(
    one: PrintedLine, fields: Sequence[Field], source: LineSource, zone: tzinfo = UTC
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
                own: str | None = iso(line.timestamp, zone)
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

"""Output formats of a line: text, JSON and raw. Pure.

Text has no control characters that a terminal would act on, and indents the further lines of a
message, so that none of them can pass for an event.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal
from zlib import crc32

from common.times import iso
from tui.client.target import LineSource
from tui.lines.levels import level_of
from tui.lines.rows import Line
from tui.output.ordering import PrintedLine
from tui.render.safe_text import harmless, harmless_lines
from wire.codec import encode

OutputFormat = Literal["text", "json", "raw"]

INDENT: Final = "    "

_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"
_HUES: Final = (31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96)
_LEVEL_COLOURS: Final = {"warn": "\x1b[33m", "error": "\x1b[31m", "fatal": "\x1b[31m"}


def format_line(
    one: PrintedLine, output: OutputFormat, source: LineSource, *, color: bool, group: str = ""
) -> bytes:
    """Return a line in a format, as UTF-8 with its newline; ``group`` is for ``format_text``."""
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

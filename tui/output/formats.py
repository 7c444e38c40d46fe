"""A line as output prints it: text, JSON or raw. Pure.

In text nothing of a message can act on a terminal; continuation lines of a message are indented,
so that no message can pass for a line of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal
from zlib import crc32

from common.times import iso
from tui.lines.rows import Line, level_of
from tui.output.ordering import Printed
from tui.render.safe_text import harmless
from wire.codec import encode

Output = Literal["text", "json", "raw"]

INDENT: Final = "    "

_NEWLINE: Final = re.compile(r"\r?\n")
_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"
_HUES: Final = (31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96)
_LEVEL_COLOURS: Final = {"warn": "\x1b[33m", "error": "\x1b[31m", "fatal": "\x1b[31m"}


def printed(one: Printed, output: Output, group: str | None, *, color: bool) -> bytes:
    """A line with its newline, as UTF-8."""
    if output == "json":
        return as_json(one, group) + b"\n"
    if output == "raw":
        return one.line.message.encode("utf-8", "surrogatepass") + b"\n"
    return as_text(one, color=color).encode() + b"\n"


def as_text(one: Printed, *, color: bool) -> str:
    """``TIME STREAM MESSAGE``, harmless."""
    line = one.line
    pieces = _NEWLINE.split(line.message.removesuffix("\n").removesuffix("\r"))
    message = f"\n{INDENT}".join(map(harmless, pieces))
    time, stream = iso(line.timestamp), harmless(line.stream)
    if not color:
        return f"{time} {stream} {message}"
    hue = _HUES[crc32(line.stream.encode("utf-8", "surrogatepass")) % len(_HUES)]
    style = _LEVEL_COLOURS.get(level_of(line.message) or "", "")
    shown = f"{style}{message}{_RESET}" if style else message
    return f"{_DIM}{time}{_RESET} \x1b[{hue}m{stream}{_RESET} {shown}"


def as_json(one: Printed, group: str | None) -> bytes:
    """An object with the event's fields, and ``"late": true`` where it came too late."""
    fields: dict[str, Any] = event(one.line, group)
    if one.is_late:
        fields["late"] = True
    if one.line.message.isprintable() and one.line.stream.isprintable():
        return encode(fields)
    # JSON's own escapes leave C1 controls and the like, on which a terminal acts.
    return json.dumps(fields, separators=(",", ":")).encode()


def event(line: Line, group: str | None) -> dict[str, Any]:
    """An event's fields, in the order in which output and the record have them."""
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

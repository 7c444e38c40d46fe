"""Everything about one event, as lines of text, some of which have a value to filter by. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final

import msgspec

from tui.lines.rows import Line
from tui.lines.values import Value, parsed, tree
from tui.render import units
from tui.render.panel_text import Text, field
from tui.render.safe_text import Segment, harmless, segments

DETAIL_CHARS_MAX: Final = 64 << 10
"""Characters of one message that the detail pane shows; ``y`` copies all of it."""

_ORIGINS: Final = {
    "live": "live",
    "backfill": "backfill: fetched because the past was asked for",
    "repair": "repair: a whole scan found what the live path had missed",
}
_JSON: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<ok>"(?:[^"\\]|\\.)*")'
    r"|(?P<accent>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<warn>true|false|null)"
)


class Detail(msgspec.Struct):
    """What is said, and the values by the number of their line."""

    lines: Text = []
    values: dict[int, Value] = {}

    def add(self, line: list[Segment], value: Value | None = None) -> None:
        """One more line."""
        if value is not None:
            self.values[len(self.lines)] = value
        self.lines.append(line)


def detail_report(
    line: Line, *, group: str, level: str | None, confirmed: bool, zone: tzinfo = UTC
) -> Detail:
    """Everything about one event."""
    size = len(line.message)
    here = units.clock(line.timestamp, zone)
    local = "" if here == units.clock(line.timestamp) else f", {here} local"
    said = Detail()
    said.add(field("time", f"{units.stamp(line.timestamp)} UTC{local}"))
    stream = Value("stream", ("stream",), line.stream)
    said.add(field("log stream", harmless(line.stream)), stream)
    said.add([])
    _add_message(said, line.message[:DETAIL_CHARS_MAX])
    if size > DETAIL_CHARS_MAX:
        more = units.plural(size - DETAIL_CHARS_MAX, "character")
        said.add([(f"… {more} more: y copies all", "control")])
    said.add([])
    said.add(
        field("level", level or "none seen"),
        None if level is None else Value("level", ("level",), level),
    )
    said.add(field("came as", _ORIGINS[line.origin]), Value("origin", ("came",), line.origin))
    if line.late_ms:
        late = f"+{units.duration(line.late_ms)} late: its place was proved complete before"
        said.add(field("late", late, "warn"))
    if not confirmed:
        unsaid = "the forwarder started anew and has not sent it again"
        said.add(field("unconfirmed", unsaid, "bad"))
    said.add(field("ingested", _ingested(line)))
    said.add(field("log group", harmless(group)), Value("lane", ("group",), line.lane, group))
    said.add(field("event id", harmless(line.id)))
    said.add(field("seq", units.number(line.seq)))
    said.add(field("size", units.plural(size, "character")))
    return said


def _ingested(line: Line) -> str:
    if line.ingestion_time is None:
        return "not told by the live path"
    lag = units.duration(line.ingestion_time - line.timestamp)
    return f"{units.stamp(line.ingestion_time)} UTC, {lag} after"


def _add_message(said: Detail, message: str) -> None:
    found = parsed(message)
    lines = None if found is None else tree(found)
    if lines is None:
        for part in message.split("\n"):
            said.add(segments(part))
        return
    for text, value in lines:
        said.add(list(_coloured(text)), value)


def _coloured(line: str) -> Iterable[Segment]:
    at = 0
    for found in _JSON.finditer(line):
        yield from segments(line[at : found.start()])
        role = found.lastgroup or "message"
        for text, part in segments(found[0]):
            yield text, role if part == "message" else part
        at = found.end()
    yield from segments(line[at:])

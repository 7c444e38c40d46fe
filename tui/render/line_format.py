"""Formats a log line or rule as segments: sign, time, stream, level, message. Pure.

A segment is a text and its role (``time``, ``stream.7``, ``level.error``, ``message``), which
``palette`` turns into a style.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zlib import crc32

import msgspec
from rich.cells import cell_len

from common.patterns import Pattern
from tui.lines.levels import level_named
from tui.lines.rows import Rule, describe
from tui.lines.structure import Structure
from tui.render import units
from tui.render.safe_text import CONTROL, MESSAGE, NEWLINE, Segment, harmless
from tui.render.safe_text import segments as harmless_segments

STREAM_COLOURS: Final = 24
"""Number of hues for stream names."""

WRAPPED_ROWS_MAX: Final = 200
"""Most screen rows of a wrapped line; the detail panel shows more."""

RULE_CHARS_MAX: Final = 4096
"""Characters of a rule that are drawn; its reason may be as long as a message."""

_GUTTERS: Final = {"backfill": ("↑", "^"), "repair": ("+", "+"), "late": ("~", "~")}
_UNCONFIRMED: Final = "?"
_BOOKMARK: Final = ("◆", "*")
_LETTERS: Final = {"trace": "T", "debug": "D", "info": "I", "warn": "W", "error": "E", "fatal": "F"}
_PLAIN_VALUE: Final = re.compile(r"""[^\s"'=\\]+""")
"""A value that needs no quotation marks."""
_TINTED: Final = frozenset({"trace", "debug", "warn", "error", "fatal"})


class TimeMode(StrEnum):
    """Content of the time column, in the order in which ``t`` switches it."""

    UTC = "UTC"
    LOCAL = "local"
    RELATIVE = "relative"
    DELTA = "delta"


_TIME_CELLS: Final = {TimeMode.UTC: 12, TimeMode.LOCAL: 12, TimeMode.RELATIVE: 7, TimeMode.DELTA: 9}
_DATE_CELLS: Final = 6


class FieldColumn(msgspec.Struct, frozen=True):
    """The column of a field."""

    name: str
    cells: int
    is_number: bool = False
    """Whether its values are numbers, which stand at the right."""


class ColumnLayout(msgspec.Struct, frozen=True):
    """Widths and content of the columns before the message."""

    time: TimeMode = TimeMode.UTC
    zone: tzinfo = UTC
    dated: bool = False
    stream_cells: int = 12
    group_cells: int = 0
    """Width of the column of log groups; 0 without one."""
    fields: tuple[FieldColumn, ...] = ()
    """The columns of fields, between level and message."""
    ascii_only: bool = False

    @property
    def time_cells(self) -> int:
        """Width of the time column."""
        with_date = self.dated and self.time in (TimeMode.UTC, TimeMode.LOCAL)
        return _TIME_CELLS[self.time] + (_DATE_CELLS if with_date else 0)

    @property
    def cells(self) -> int:
        """Width of all columns before the message, with the blanks between them."""
        return self.cells_before_fields + sum(one.cells + 1 for one in self.fields)

    @property
    def cells_before_fields(self) -> int:
        """Width of the columns that every row has, with the blanks between them."""
        group = self.group_cells + 1 if self.group_cells else 0
        return 1 + self.time_cells + 1 + group + self.stream_cells + 1 + 1 + 1


def gutter(
    origin: str, *, late: bool, confirmed: bool, marked: bool = False, ascii_only: bool = False
) -> Segment:
    """The sign before the time: backfill, repair, late or unconfirmed; blank for live lines.

    A bookmark is a badge, on which such a sign still shows.
    """
    kind = "late" if late else origin
    glyphs = _GUTTERS.get(kind)
    sign, role = (" ", "gutter.live") if glyphs is None else (glyphs[ascii_only], f"gutter.{kind}")
    if not confirmed:
        sign, role = _UNCONFIRMED, "gutter.unconfirmed"
    if marked:
        return sign if sign != " " else _BOOKMARK[ascii_only], "badge.accent"
    return sign, role


def time_text(
    timestamp_ms: int, columns: ColumnLayout, *, now_ms: int, previous_ms: int | None
) -> str:
    """The time column, padded to its width.

    Args:
        timestamp_ms: Timestamp of the event.
        columns: Kind of time, and time zone.
        now_ms: Reference of ``RELATIVE``.
        previous_ms: Timestamp of the row above, the reference of ``DELTA``.
    """
    match columns.time:
        case TimeMode.RELATIVE:
            ago = now_ms - timestamp_ms
            text = f"-{_short(ago)}" if ago >= 0 else f"+{_short(-ago)}"
        case TimeMode.DELTA:
            delta = 0 if previous_ms is None else timestamp_ms - previous_ms
            text = f"{delta / 1000:+.3f}" if abs(delta) < units.MINUTE else _short(delta)
        case _:
            zone = columns.zone if columns.time is TimeMode.LOCAL else UTC
            text = units.clock(timestamp_ms, zone, millis=True)
            if columns.dated:
                text = f"{units.date(timestamp_ms, zone)[5:]} {text}"
    return text.rjust(columns.time_cells)[: columns.time_cells]


def _short(ms: int) -> str:
    return units.duration(ms).replace(" ", "")


@lru_cache(4096)
def stream_text(name: str, cells: int, *, ascii_only: bool = False) -> str:
    """A log stream's name in exactly ``cells`` cells.

    In a long name, folders are shortened to their initials, the outermost first; then the middle
    of the last part is left out, since streams are recognised by their beginning and differ at
    the end (the task's id).
    """
    text = harmless(name, ascii_only=ascii_only)
    *folders, last = text.split("/")
    width = cell_len(text)
    for index, folder in enumerate(folders):
        if width <= cells:
            break
        folders[index] = folder[:1]
        width -= cell_len(folder) - cell_len(folder[:1])
    text = "/".join((*folders, last))
    if cell_len(text) > cells:
        head = fit(text[: len(text) - len(last)], cells // 3) or fit(last, cells // 3)
        text = head + ("~" if ascii_only else "…")
        text += _tail(last, cells - cell_len(text))
    return text + " " * (cells - cell_len(text))


@lru_cache(4096)
def group_segment(name: str, cells: int, *, ascii_only: bool = False) -> Segment:
    """The column of log groups with its role, and a blank; a long name's middle is left out.

    Region or account come first and the group's own part last, so both ends are kept.
    """
    text = harmless(name, ascii_only=ascii_only)
    if cell_len(text) > cells:
        head = fit(text, cells // 3) + ("~" if ascii_only else "…")
        text = head + _tail(text, cells - cell_len(head))
    return text + " " * (cells - cell_len(text) + 1), stream_role(name)


def field_segment(text: str, column: FieldColumn, *, ascii_only: bool = False) -> Segment:
    """A field's value in exactly the cells of its column, and a blank; a long one is cut off."""
    cells = column.cells
    if len(text) <= cells and text.isascii() and text.isprintable():
        pad = " " * (cells - len(text))
        return (f"{pad}{text} " if column.is_number else f"{text}{pad} "), "accent"
    shown = harmless(text, ascii_only=ascii_only)
    if cell_len(shown) > cells:
        shown = fit(shown, cells - 1) + ("~" if ascii_only else "…")
    pad = " " * (cells - cell_len(shown))
    return (f"{pad}{shown} " if column.is_number else f"{shown}{pad} "), "accent"


def header_segments(columns: ColumnLayout) -> list[Segment]:
    """The titles of all columns, for the line above the rows."""
    ascii_only = columns.ascii_only
    titles = [("time", columns.time_cells)]
    titles += [("group", columns.group_cells)] if columns.group_cells else []
    titles += [("stream", columns.stream_cells)]
    before = "".join(fit(title, cells).ljust(cells + 1) for title, cells in titles)
    fields = [field_segment(one.name, one, ascii_only=ascii_only)[0] for one in columns.fields]
    return [(f" {before}  ", "muted"), ("".join(fields), "strong"), ("message", "muted")]


def stream_role(name: str) -> str:
    """The role of a log group's name, or of a stream's that never was on the screen."""
    return f"stream.{crc32(name.encode('utf-8', 'surrogatepass')) % STREAM_COLOURS}"


def level_segment(level: str | None) -> Segment:
    """A level as one letter; blank for None."""
    if level is None:
        return " ", MESSAGE
    return _LETTERS[level], f"level.{level}"


_LEADING_WORD: Final = re.compile(r"[\[(<]?([A-Za-z]{3,13})[\])>]?(?::\s*|\s+|$)", re.ASCII)


def colour_level(segments: list[Segment], level: str | None) -> tuple[list[Segment], bool]:
    """Colour the word for the level that a message begins with; whether there is one.

    Such a line does not need a letter for it as well.
    """
    text, role = segments[0] if level is not None and segments else ("", MESSAGE)
    found = _LEADING_WORD.match(text)
    if found is None or level_named(found[1]) != level:
        return segments, False
    if role.startswith("sgr:"):
        return segments, True  # it has a colour of its own
    end = found.end()
    return [(text[:end], f"level.{level}"), (text[end:], role), *segments[1:]], True


def message_segments(
    message: str,
    level: str | None,
    *,
    ascii_only: bool = False,
    chars_max: int | None = None,
    cells_max: int | None = None,
    newlines_max: int | None = None,
) -> list[Segment]:
    """The message, made harmless, tinted by its level where it has no colours of its own.

    What is read and written may be limited as in ``safe_text.segments``.
    """
    parts = harmless_segments(
        message,
        ascii_only=ascii_only,
        chars_max=chars_max,
        cells_max=cells_max,
        newlines_max=newlines_max,
    )
    if level not in _TINTED:
        return parts
    tinted = f"message.{level}"
    return [(text, tinted if role == MESSAGE else role) for text, role in parts]


def structured_segments(
    structure: Structure,
    level: str | None,
    *,
    ascii_only: bool = False,
    chars_max: int,
    without: Collection[str] = (),
) -> list[Segment]:
    """A structured line: its message, then its fields, dim, up to about ``chars_max`` characters.

    A value that would be mistaken for more than one field is written as JSON. Fields that have
    columns, ``without``, are not repeated.
    """
    parts = message_segments(
        structure.message, level, ascii_only=ascii_only, chars_max=chars_max, cells_max=chars_max
    )
    if structure.is_platform:
        parts = [(text, "muted") for text, _ in parts]
    chars = sum(len(text) for text, _ in parts)
    for name, value in structure.row_fields():
        if chars > chars_max:
            break
        if name in without:
            continue
        shown = value if _PLAIN_VALUE.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        text = f"{'  ' if parts else ''}{name}={shown}"[:chars_max]
        parts.append((harmless(text, ascii_only=ascii_only), "muted"))
        chars += len(text)
    return parts


def rule_segments(text: str, role: str, cells: int, *, ascii_only: bool = False) -> list[Segment]:
    """A rule across the screen: ``── offline 10.2 s · 203 lines recovered ──────``."""
    bar = "-" if ascii_only else "─"
    shown = fit(harmless(text[:RULE_CHARS_MAX], ascii_only=ascii_only), max(0, cells - 6))
    rest = max(0, cells - 4 - cell_len(shown))
    return [(bar * 2 + " ", f"{role}.bar"), (shown, role), (" " + bar * rest, f"{role}.bar")]


def highlight(segments: Sequence[Segment], pattern: Pattern) -> list[Segment]:
    """The segments with every match of ``pattern`` in the role ``match``."""
    text = "".join(piece for piece, _ in segments)
    spans = pattern.spans(text)
    if not spans:
        return list(segments)
    out: list[Segment] = []
    start = number = 0
    for piece, role in segments:
        at, end = start, start + len(piece)
        while number < len(spans) and spans[number][0] < end:
            low, high = max(spans[number][0], at), min(spans[number][1], end)
            if low > at:
                out.append((piece[at - start : low - start], role))
            if high > low:
                out.append((piece[low - start : high - start], "match"))
            at = high
            if spans[number][1] > end:
                break  # it goes on in the next segment
            number += 1
        if at < end:
            out.append((piece[at - start :], role))
        start = end
    return out


def wrap(
    segments: Iterable[Segment],
    cells: int,
    rows_max: int = WRAPPED_ROWS_MAX,
    *,
    words: bool = False,
    indent: int = 0,
) -> list[list[Segment]]:
    """Wrap segments into rows of at most ``cells`` cells, and at newlines.

    Args:
        segments: What to wrap.
        cells: Width of a row.
        rows_max: Most rows; if there are more, one further row says that text is left out.
        words: Whether to break at blanks, which are dropped there.
        indent: Blanks before all rows but the first.
    """
    rows: list[list[Segment]] = [[]]
    left, full = cells, cells - indent
    margin = [(" " * indent, MESSAGE)] if indent else []
    for text, role in segments:
        if role == NEWLINE:
            rows.append(margin[:])
            left = full
            continue
        at = 0
        while at < len(text):
            taken = _fitting(text, at, left)
            is_fresh = left == (cells if len(rows) == 1 else full)
            blank = 0
            if words and taken < len(text):
                if text[taken] == " " and taken > at:
                    blank = 1  # the break replaces it
                else:
                    cuts = is_fresh or _is_word_longer(text, at, full)  # it has to be broken anyway
                    taken = text.rfind(" ", at, taken) + 1 or (taken if cuts else at)
            if taken == at and not is_fresh:
                rows.append(margin[:])
                left = full
                continue
            taken = max(taken, at + 1)  # a wide character in a column of one cell
            rows[-1].append((text[at:taken], role))
            left = 0 if blank else left - cell_len(text[at:taken])
            at = taken + blank
            if len(rows) > rows_max:
                return [*rows[:rows_max], [("(truncated: Enter shows more)"[:cells], CONTROL)]]
    return rows


def _is_word_longer(text: str, at: int, chars: int) -> bool:
    """Whether the word that begins at index ``at`` is longer than ``chars``."""
    return len(text) - at > chars and text.find(" ", at, at + chars + 1) < 0


def fit(text: str, cells: int) -> str:
    """The longest beginning of a text that fits into ``cells`` cells."""
    return text[: _fitting(text, 0, cells)]


def _fitting(text: str, at: int, cells: int) -> int:
    """End of the longest piece from index ``at`` on that fits into ``cells`` cells."""
    end = min(len(text), at + max(0, cells))
    if cell_len(text[at:end]) == end - at and (end == len(text) or cell_len(text[end])):
        return end
    used = 0
    for index in range(at, len(text)):
        used += cell_len(text[index])
        if used > cells:
            return index
    return len(text)


def _tail(text: str, cells: int) -> str:
    used, at = 0, len(text)
    while at and used + cell_len(text[at - 1]) <= cells:
        at -= 1
        used += cell_len(text[at])
    return " " * (cells - used) + text[at:]


def clip(segments: Iterable[Segment], start: int, cells: int) -> list[Segment]:
    """Cut out ``cells`` cells from cell ``start`` on, padded with blanks.

    A wide character that crosses an edge becomes a blank. If the text goes on beyond the right
    edge, the last cell is a sign with the role ``more``.
    """
    if isinstance(segments, list) and len(segments) == 1:
        ((text, role),) = segments
        if text.isascii() and text.isprintable():
            return _clip_plain(text, role, start, cells)
    at, end = 0, start + cells
    out: list[Segment] = []
    for text, role in segments:
        size = cell_len(text)
        if start <= at and at + size <= end:
            out.append((text, role))
        elif at + size > start:
            if at >= end:
                return _with_more(out, cells)
            head = max(0, start - at)
            skipped = _fitting(text, 0, head)
            gap = head - cell_len(text[:skipped])
            if gap:  # a wide character stands across the left edge
                skipped += 1
                gap = cell_len(text[:skipped]) - head
            taken = _fitting(text, skipped, end - max(at, start) - gap)
            out.append((" " * gap + text[skipped:taken], role))
            if taken < len(text):
                return _with_more(out, cells)
        at += size
    if at < end:
        out.append((" " * (end - max(at, start)), MESSAGE))
    return out


def _clip_plain(text: str, role: str, start: int, cells: int) -> list[Segment]:
    """``clip`` for text of one cell per character, as in most messages."""
    if len(text) > start + cells:
        return [(text[start : start + cells - 1], role), ("\u203a", "more")]
    shown = text[start:]
    blank = " " * (cells - len(shown))
    return [(shown, role), (blank, MESSAGE)] if blank else [(shown, role)]


def _with_more(segments: list[Segment], cells: int) -> list[Segment]:
    """The segments in exactly ``cells`` cells, the last of which shows that the line goes on."""
    before = sum(cell_len(piece) for piece, _ in segments)
    while segments:
        text, role = segments.pop()
        before -= cell_len(text)
        kept = fit(text, cells - 1 - before)
        if kept or not segments:
            blank = " " * (cells - 1 - before - cell_len(kept))
            return [*segments, (kept + blank, role), ("\u203a", "more")]
    return [("\u203a", "more")]


_RULE_ROLES: Final = {
    "offline": "rule.warn",
    "gap": "rule.warn",
    "lost": "rule.bad",
    "unequal": "rule.bad",
    "rebased": "rule.warn",
    "evicted": "rule.note",
    "end": "rule.note",
    "resumed": "rule.note",
    "joined": "rule.note",
    "left": "rule.warn",
    "older": "rule.note",
}
_STATE_ROLES: Final = {
    "repaired": "rule.ok",
    "verified": "rule.ok",
    "unrecoverable": "rule.bad",
    "SUCCEEDED": "rule.ok",
    "FAILED": "rule.bad",
    "STOPPED": "rule.warn",
}


def rule_text(rule: Rule, zone: tzinfo | None = None) -> Segment:
    """A rule's text with its time range, and its role."""
    text = describe(rule)
    if rule.kind in ("gap", "lost", "unequal") and rule.through_ms is not None:
        text = f"{text} · {units.span(rule.from_ms, rule.through_ms, zone or UTC)}"
    if rule.kind == "resumed" and rule.from_ms:
        text = f"{text} · {units.clock(rule.from_ms, zone or UTC)}"
    if rule.kind == "older" and rule.state != "beginning" and rule.through_ms is not None:
        if rule.state:
            since = units.stamp(rule.from_ms, zone or UTC)[:19] if rule.from_ms else "the beginning"
            text = f"{text} · from {since}"
        text = f"{text} · complete from {units.stamp(rule.through_ms, zone or UTC)[:19]}"
    return text, _STATE_ROLES.get(rule.state, _RULE_ROLES[rule.kind])

"""What the panes say, as lines of text with roles: connection, what happened, the keys. Pure.

Everything about one event, as lines of text, some of which have a value to filter by. Pure.

Text of a log where Textual draws it: titles of its palette, and what is pasted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Final

import msgspec

from tui.client.status import STATE_LABELS, ConnectionOutage, MarkStatus, Status, TargetStatus
from tui.lines.filters import Value, json_tree, parse_json
from tui.lines.rows import Line, Rule, describe
from tui.render import units
from tui.render.key_bindings import sections
from tui.render.safe_text import Segment, harmless, segments

OUTAGES_SHOWN: Final = 12
HISTORY_SHOWN: Final = 16

_FIELD_CELLS: Final = 13
_KEY_CELLS: Final = 17
"""The longest of the keys, and two blanks."""

_MOUSE: Final = (
    ("click", "a line, stream, fault, value, column; a key of this list"),
    ("click", "at the edge: a chip goes, a count or a badge leads on"),
    ("double click", "a line: its detail; a value: only lines with it"),
    ("right click", "a value of the detail: only lines without it"),
    ("drag", "select lines; on the scroll bar: go there"),
    ("wheel", "scroll; with Shift along long lines"),
    ("Shift+drag", "the terminal's own selection, in most terminals"),
)
_GUTTER: Final = (
    ("↑", "gutter.backfill", "fetched because the past was asked for"),
    ("+", "gutter.repair", "found by a whole scan: the live path had missed it"),
    ("~", "gutter.late", "came when its time had been proved complete already"),
    ("?", "gutter.unconfirmed", "not yet sent again by a forwarder that started anew"),
    ("◆", "accent", "has a bookmark"),
)
_BOTTOM: Final = (
    ("COMPLETE", "ok", "count and digest equal the forwarder's, to that time"),
    ("provisional", "warn", "shown, and newer than what is proved"),
    ("unconfirmed", "warn", "shown, and not yet sent again by a new forwarder"),
    ("missing", "bad", "known to exist, and not here"),
)

Text = list[list[Segment]]


def connection_report(status: Status, now_ms: int, zone: tzinfo = UTC) -> Text:
    """Everything about the connections: state, proof, disconnections, history."""
    lines: Text = []
    for target in status.targets:
        lines += _target(target, now_ms, zone)
        lines.append([])
    return lines[:-1]


def _target(target: TargetStatus, now_ms: int, zone: tzinfo) -> Text:
    since = units.duration(max(0, now_ms - target.state_since_ms))
    lines: Text = [
        [(harmless(target.name), "strong")],
        field("address", harmless(target.url)),
        field("state", f"{STATE_LABELS[target.state]} for {since}"),
    ]
    if target.detail:
        lines.append(field("", harmless(target.detail), "warn"))
    through = target.complete_through_ms
    proof = "nothing yet" if through is None else units.stamp(through, zone)[:19]
    lines += [
        field("proved to", proof, "warn" if through is None else "ok"),
        field("marks", _marks(target)),
        *_mark(target.last_mark, zone),
        field("events", _events(target)),
        field("cursor", _cursor(target)),
        field("epoch", harmless(target.epoch or "not known yet")),
        field("connection", f"number {target.generation}, {target.malformed} unreadable"),
        field("CloudWatch", _upstream(target, zone)),
    ]
    lines += [[], [("Missing", "strong")], *_missing(target, zone)]
    lines += [[], [("Disconnections", "strong")], *_outages(target.outages, now_ms, zone)]
    lines += [[], [("History", "strong")]]
    for entry in reversed(target.history[-HISTORY_SHOWN:]):
        at, label = units.clock(entry.at_ms, zone), STATE_LABELS[entry.state]
        lines.append([(f"{at} ", "time"), (label, "text"), (f" {harmless(entry.detail)}", "muted")])
    return lines


def _marks(target: TargetStatus) -> str:
    unequal = f", {target.marks_unequal} unequal" if target.marks_unequal else ", all equal"
    return units.number(target.marks) + (unequal if target.marks else "")


def _mark(mark: MarkStatus | None, zone: tzinfo) -> Text:
    if mark is None:
        return []
    sign, role = ("=", "ok") if mark.equal else ("≠", "bad")
    return [
        field("last mark", units.span(mark.from_ms, mark.through_ms, zone)),
        field("  theirs", f"{mark.digest}  {units.number(mark.count)}"),
        field("  ours", f"{mark.own_digest}  {units.number(mark.own_count)} {sign}", role),
    ]


def _events(target: TargetStatus) -> str:
    said = f"{units.number(target.events)}, {units.number(target.duplicates)} again"
    late, repaired = units.number(target.late), units.number(target.repaired)
    return f"{said}, {late} late, {repaired} repaired"


def _cursor(target: TargetStatus) -> str:
    """How far the forwarder is was told by its last heartbeat; events may have come since."""
    if target.after is None:
        return "none yet"
    head = max(target.after, target.head_seq or 0)
    return f"seq {units.number(target.after)} of {units.number(head)}"


def _upstream(target: TargetStatus, zone: tzinfo) -> str:
    """CloudWatch as the last heartbeat told; before the first, a mark is a whole answer of it."""
    if target.upstream is not None:
        lag = target.upstream_lag_ms
        return target.upstream + ("" if lag is None else f", {units.duration(lag)} behind")
    if target.last_mark is not None:
        return f"answered a whole scan at {units.clock(target.last_mark.scanned_at_ms, zone)}"
    return "the forwarder has not told yet"


def _missing(target: TargetStatus, zone: tzinfo) -> Text:
    lines: Text = []
    for unequal in target.unequal:
        where = units.span(unequal.from_ms, unequal.through_ms, zone)
        said = "asked again, still different" if unequal.final else "asked for again"
        count = units.plural(unequal.missing, "line")
        lines.append([(f"{where}  ", "time"), (f"{count} missing: {said}", "bad")])
    for lost in target.lost:
        where = units.span(lost.from_ms, lost.through_ms, zone)
        lines.append([(f"{where}  ", "time"), (f"gone: {harmless(lost.reason)}", "bad")])
    for gap in target.gaps:
        where = units.span(gap.from_ms, gap.through_ms, zone)
        role = {"repaired": "ok", "unrecoverable": "bad"}.get(gap.state, "warn")
        said = f"gap {gap.state}, {units.plural(gap.recovered, 'line')}: {harmless(gap.reason)}"
        lines.append([(f"{where}  ", "time"), (said, role)])
    return lines or [[("nothing", "muted")]]


def _outages(outages: Sequence[ConnectionOutage], now_ms: int, zone: tzinfo) -> Text:
    lines: Text = []
    for outage in reversed(outages[-OUTAGES_SHOWN:]):
        ended = now_ms if outage.ended_ms is None else outage.ended_ms
        length = units.duration(ended - outage.began_ms)
        code = "" if outage.code is None else f"{outage.code} "
        said: str = "lasting" if outage.ended_ms is None else outage.outcome or "back"
        if outage.recovered is not None:
            said = f"{said}, {units.plural(outage.recovered, 'line')} recovered"
        lines.append(
            [
                (f"{units.clock(outage.began_ms, zone)} ", "time"),
                (f"{length:>6} ", "strong"),
                (said, "warn" if outage.ended_ms is None else "ok"),
            ]
        )
        lines.append([(f"         {code}{harmless(outage.reason)}", "muted")])
    return lines or [[("none", "muted")]]


def rule_report(rule: Rule, zone: tzinfo = UTC) -> Text:
    """Everything about a rule in the list."""
    through = "still" if rule.through_ms is None else units.stamp(rule.through_ms, zone)
    return [
        [(harmless(describe(rule)), "strong")],
        field("from", units.stamp(rule.from_ms, zone)),
        field("through", through),
        field("reason", harmless(rule.reason) or "none given"),
    ]


def help_report(*, controls: bool) -> Text:
    """The keys, what the signs mean, and where it departs from other viewers."""
    return [line for line, _ in _help(controls=controls)]


def help_actions(*, controls: bool) -> dict[int, str]:
    """What a click on a line of the help does, by the line's number: what its first key does."""
    lines = _help(controls=controls)
    return {number: action for number, (_, action) in enumerate(lines) if action}


def _help(*, controls: bool) -> list[tuple[list[Segment], str]]:
    lines: list[tuple[list[Segment], str]] = []
    for heading, keys in sections(controls=controls).items():
        lines.append(([(heading, "strong")], ""))
        for key in keys:
            action = key.acts[0].action if key.acts else ""
            lines.append((_named(key.shown, key.help, "key"), action))
        lines.append(([], ""))
    texts: Text = [[("Mouse", "strong")], *(_named(*one, "accent") for one in _MOUSE), []]
    texts.append([("The column before the time", "strong")])
    texts += [_named(sign, said, role) for sign, role, said in _GUTTER]
    texts += [[], [("The line at the bottom", "strong")]]
    texts += [_named(word, said, role) for word, role, said in _BOTTOM]
    texts += [[], [("Other than in less and lnav", "strong")]]
    for keys in sections(controls=controls).values():
        texts += [_named(key.shown, key.departs, "key", "muted") for key in keys if key.departs]
    return [*lines, *((text, "") for text in texts)]


def _named(name: str, said: str, role: str, said_role: str = "text") -> list[Segment]:
    """A row of the help: what, and what it does or means."""
    return [(f"  {name:<{_KEY_CELLS}}", role), (said, said_role)]


def field(name: str, value: str, role: str = "text") -> list[Segment]:
    """A name and what is said of it."""
    return [(f"{name:<{_FIELD_CELLS}}", "muted"), (value, role)]


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
    said.add(field("log group", harmless(group)), Value("group", ("group",), line.target, group))
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
    found = parse_json(message)
    lines = None if found is None else json_tree(found)
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


TITLE_CHARS: Final = 60

_BRACKETS: Final = str.maketrans("[]", "()")


def title(text: str) -> str:
    """A title for the palette, harmless and short; brackets would be markup to it."""
    return harmless(text[:TITLE_CHARS]).translate(_BRACKETS)


def pasted(text: str) -> str:
    """What of a text may stand in a field: of its first line what can be drawn as it is."""
    first = next(iter(text.splitlines()), "")
    return "".join(char for char in first if char.isprintable())

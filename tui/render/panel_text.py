"""Texts of the panels: connection, details of a rule, help; and text for Textual. Pure.

A panel is a list of lines, each a list of segments (text and role).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

from tui.client.status import (
    STATE_LABELS,
    STATE_ORDER,
    ConnectionOutage,
    MarkStatus,
    Status,
    TargetStatus,
)
from tui.lines.rows import Rule, describe, is_altered
from tui.render import units
from tui.render.group_names import short_group_names
from tui.render.key_bindings import sections
from tui.render.safe_text import Segment, harmless

OUTAGES_SHOWN: Final = 12
HISTORY_SHOWN: Final = 16
TARGETS_SHOWN: Final = 3
"""Targets shown with all details; of more, each has a line."""

MISSING_SHOWN: Final = 200
"""Gaps and lost ranges listed one by one: the panel is written again with each status."""

REASON_CHARS: Final = 2_000
"""Characters of the reason of a gap or lost range."""

TITLE_CHARS: Final = 60
"""Characters of a line in the command palette."""

_FIELD_CELLS: Final = 13
_KEY_CELLS: Final = 17
"""The longest key text in the help, and two blanks."""

_MOUSE: Final = (
    ("click", "a line, stream, fault, value, column; a key of this list"),
    ("click", "a filter chip: remove it; a count or badge: its action"),
    ("double click", "a line: its details; a value: only lines with it"),
    ("right click", "a value in the details: hide lines with it"),
    ("drag", "select lines; on the scroll bar: scroll"),
    ("wheel", "scroll; with Shift, along long lines"),
    ("Shift+drag", "the terminal's own selection, in most terminals"),
)
_EXPRESSIONS: Final = (
    ("text", "contains it as it stands; lower case ignores case"),
    ('"text"', "the same for a text that would mean something else"),
    ("/regex/", "matches a regular expression (RE2)"),
    ("name=value", "has this field; also != > >= < <=; numbers as numbers"),
    ("name~text", "its field contains a text; name~/regex/: matches"),
    ("level>=warn", "this level or above; stream=, group=, origin=, pattern="),
    ("!x", "does not match x"),
    ("a>5 text !b=c", "all of them match: blanks divide beside a comparison"),
)
_SIGNS: Final = (
    ("↑", "gutter.backfill", "backfill: requested history"),
    ("+", "gutter.repair", "repair: a scan found it, the live path missed it"),
    ("~", "gutter.late", "late: arrived after its time had been verified"),
    ("?", "gutter.unconfirmed", "unconfirmed: not sent again in the forwarder's new epoch"),
    ("◆", "accent", "bookmark"),
)
_STATUS_WORDS: Final = (
    ("COMPLETE", "ok", "verified: a full CloudWatch scan has the same checksum"),
    ("provisional", "warn", "shown, but newer than the verified time"),
    ("unconfirmed", "warn", "shown, but not sent again in the new epoch"),
    ("missing", "bad", "known to exist, but not received"),
)

Text = list[list[Segment]]


def connection_report(
    status: Status, now_ms: int, zone: tzinfo = UTC, *, focus: int | None = None
) -> Text:
    """The connection panel: state, verification, outages and history of each target.

    Of many targets it lists each in a line, and these details of the one with the number ``focus``.
    """
    lines: Text = []
    targets = status.targets
    if len(targets) > TARGETS_SHOWN or status.waiting or status.unlisted:
        lines += _overview(status, zone)
        lines.append([])
        focused = [one for one in targets if one.target == focus] or list(targets[:1])
        targets = tuple(focused)
    for target in targets:
        lines += _target(target, now_ms, zone)
        lines.append([])
    return lines[:-1]


def _overview(status: Status, zone: tzinfo) -> Text:
    """A line for each log group: its state, how far it is verified, its events, its short name."""
    counts = [
        f"{units.number(count)} {word}"
        for count, word in (
            (len(status.targets) - status.joining - status.left, "watched"),
            (status.joining, "joining"),
            (status.left, "deleted"),
        )
        if count
    ]
    lines: Text = [[("Log groups", "strong"), (f"  {', '.join(counts)}", "muted")]]
    lines += [[("waiting for ", "muted"), (harmless(one), "text")] for one in status.waiting]
    if status.unlisted:
        lines.append([(f"cannot list log groups: {harmless(status.unlisted)}", "warn")])
    names = short_group_names([_full_name(one) for one in status.targets])
    shown = {one.target: name for one, name in zip(status.targets, names, strict=True)}
    for one in sorted(status.targets, key=_by_urgency):
        through = one.complete_through_ms
        verified = "not yet" if through is None else units.clock(through, zone)[:8]
        state = {"joining": "joining", "left": "deleted"}.get(one.phase, STATE_LABELS[one.state])
        role = "bad" if one.upstream_code or one.missing else "text"
        lines.append(
            [
                (f"{state:<12} ", "muted" if one.phase == "left" else role),
                (f"{verified:<9}", "warn" if through is None else "ok"),
                (f"{units.number(one.events):>7}  ", "muted"),
                (harmless(shown[one.target]), "text"),
            ]
        )
    return lines


def _full_name(target: TargetStatus) -> str:
    return target.group or target.name if "://" in target.name else target.name


def _by_urgency(target: TargetStatus) -> tuple[bool, bool, int, str]:
    """Those with a problem first, deleted ones last; then by state and name."""
    is_urgent = bool(target.upstream_code or target.missing)
    state = STATE_ORDER.index(target.state)
    return (target.phase == "left", not is_urgent, state, target.name)


def _target(target: TargetStatus, now_ms: int, zone: tzinfo) -> Text:
    since = units.duration(max(0, now_ms - target.state_since_ms))
    lines: Text = [
        [(harmless(target.name), "strong")],
        field("address", harmless(target.url)),
        field("state", f"{STATE_LABELS[target.state]} for {since}"),
    ]
    if target.detail:
        lines.append(field("", harmless(target.detail), "warn"))
    if target.pattern:
        lines += [
            field("pattern", harmless(target.pattern)),
            field("", "only events that match it are read, shown and verified", "muted"),
        ]
    through = target.complete_through_ms
    verified = "nothing yet" if through is None else units.stamp(through, zone)[:19]
    lines += [
        field("verified to", verified, "warn" if through is None else "ok"),
        field("marks", _marks(target)),
        *_mark(target.last_mark, zone),
        field("events", _events(target)),
        field("cursor", _cursor(target)),
        field("epoch", harmless(target.epoch or "unknown")),
        field("connection", f"number {target.generation}, {_unreadable(target.malformed)}"),
        field("CloudWatch", _upstream(target, zone)),
    ]
    lines += [[], [("Missing", "strong")], *_missing(target, zone)]
    lines += [[], [("Disconnections", "strong")], *_outages(target.outages, now_ms, zone)]
    lines += [[], [("History", "strong")]]
    for entry in reversed(target.history[-HISTORY_SHOWN:]):
        at, label = units.clock(entry.at_ms, zone), STATE_LABELS[entry.state]
        lines.append([(f"{at} ", "time"), (label, "text"), (f" {harmless(entry.detail)}", "muted")])
    return lines


def _unreadable(messages: int) -> str:
    return f"{units.plural(messages, 'unreadable message')}"


def _marks(target: TargetStatus) -> str:
    unequal = f", {target.marks_unequal} unequal" if target.marks_unequal else ", all equal"
    return units.number(target.marks) + (unequal if target.marks else "")


def _mark(mark: MarkStatus | None, zone: tzinfo) -> Text:
    if mark is None:
        return []
    sign, role = ("=", "ok") if mark.equal else ("≠", "bad")
    return [
        field("last mark", units.span(mark.from_ms, mark.through_ms, zone)),
        field("  CloudWatch", f"{mark.digest}  {units.number(mark.count)}"),
        field("  screen", f"{mark.own_digest}  {units.number(mark.own_count)} {sign}", role),
    ]


def _events(target: TargetStatus) -> str:
    return (
        f"{units.number(target.events)} received, {units.plural(target.duplicates, 'duplicate')}, "
        f"{units.number(target.late)} late, {units.number(target.repaired)} repaired"
    )


def _cursor(target: TargetStatus) -> str:
    """The cursor and the forwarder's head, which may have moved on since its last heartbeat."""
    if target.after is None:
        return "none yet"
    head = max(target.after, target.head_seq or 0)
    return f"seq {units.number(target.after)} of {units.number(head)}"


def _upstream(target: TargetStatus, zone: tzinfo) -> str:
    """CloudWatch's state by the last heartbeat, or else by the last mark, a full scan's result."""
    if target.upstream is not None:
        lag = target.upstream_lag_ms
        behind = "" if lag is None else f", {units.duration(lag)} behind"
        reason = f": {harmless(target.upstream_reason)}" if target.upstream_reason else ""
        return f"{target.upstream}{behind}{reason}"
    if target.last_mark is not None:
        return f"answered a full scan at {units.clock(target.last_mark.scanned_at_ms, zone)}"
    return "unknown until the first heartbeat"


def _missing(target: TargetStatus, zone: tzinfo) -> Text:
    lines: Text = []
    for unequal in target.unequal:
        where = units.span(unequal.from_ms, unequal.through_ms, zone)
        result = "still different after a repair" if unequal.final else "repair requested"
        count = units.plural(unequal.missing, "line")
        lines.append([(f"{where}  ", "time"), (f"{count} missing: {result}", "bad")])
    for lost in target.lost[-MISSING_SHOWN:]:
        where = units.span(lost.from_ms, lost.through_ms, zone)
        lines.append([(f"{where}  ", "time"), (f"not recoverable: {_reason(lost.reason)}", "bad")])
    lines += _more(len(target.lost), "lost range")
    for gap in target.gaps[-MISSING_SHOWN:]:
        where = units.span(gap.from_ms, gap.through_ms, zone)
        role = {"repaired": "ok", "unrecoverable": "bad"}.get(gap.state, "warn")
        recovered = f"{units.plural(gap.recovered, 'line')} recovered"
        text = f"gap {gap.state}, {recovered}: {_reason(gap.reason)}"
        if is_altered(gap.reason):
            text = "no longer altered" if gap.state == "repaired" else _reason(gap.reason)
        lines.append([(f"{where}  ", "time"), (text, role)])
    lines += _more(len(target.gaps), "gap")
    return lines or [[("nothing", "muted")]]


def _more(count: int, what: str) -> Text:
    """The line that stands for entries that are not listed."""
    more = count - MISSING_SHOWN
    return [[(f"… {units.plural(more, f'older {what}')}", "muted")]] if more > 0 else []


def _reason(reason: str) -> str:
    return harmless(reason[:REASON_CHARS])


def _outages(outages: Sequence[ConnectionOutage], now_ms: int, zone: tzinfo) -> Text:
    lines: Text = []
    for outage in reversed(outages[-OUTAGES_SHOWN:]):
        ended = now_ms if outage.ended_ms is None else outage.ended_ms
        length = units.duration(ended - outage.began_ms)
        code = "" if outage.code is None else f"{outage.code} "
        result: str = "ongoing" if outage.ended_ms is None else outage.outcome or "reconnected"
        if outage.recovered is not None:
            result = f"{result}, {units.plural(outage.recovered, 'line')} recovered"
        lines.append(
            [
                (f"{units.clock(outage.began_ms, zone)} ", "time"),
                (f"{length:>6} ", "strong"),
                (result, "warn" if outage.ended_ms is None else "ok"),
            ]
        )
        lines.append([(f"         {code}{harmless(outage.reason)}", "muted")])
    return lines or [[("none", "muted")]]


def rule_report(rule: Rule, zone: tzinfo = UTC) -> Text:
    """The detail panel of a rule."""
    through = "ongoing" if rule.through_ms is None else units.stamp(rule.through_ms, zone)
    return [
        [(harmless(describe(rule)), "strong")],
        field("from", units.stamp(rule.from_ms, zone)),
        field("through", through),
        field("reason", harmless(rule.reason) or "none given"),
    ]


def help_report(*, with_simulator: bool, in_replay: bool = False) -> Text:
    """The help: keys, mouse, signs, status line, and differences from other viewers."""
    return [line for line, _ in _help(with_simulator=with_simulator, in_replay=in_replay)]


def help_break(*, with_simulator: bool, in_replay: bool = False) -> int:
    """The number of the line with which the second of two equal columns of the help begins."""
    lines = help_report(with_simulator=with_simulator, in_replay=in_replay)
    headings = [at + 1 for at, line in enumerate(lines) if not line]
    return min(headings, key=lambda at: abs(len(lines) - 2 * at))


def help_actions(*, with_simulator: bool, in_replay: bool = False) -> dict[int, str]:
    """The action that a click on a line of the help runs, by line number."""
    lines = _help(with_simulator=with_simulator, in_replay=in_replay)
    return {number: action for number, (_, action) in enumerate(lines) if action}


def _help(*, with_simulator: bool, in_replay: bool) -> list[tuple[list[Segment], str]]:
    lines: list[tuple[list[Segment], str]] = []
    by_heading = sections(with_simulator=with_simulator, in_replay=in_replay)
    for heading, keys in by_heading.items():
        lines.append(([(heading, "strong")], ""))
        for key in keys:
            action = key.actions[0].action if key.actions else ""
            lines.append((_named(key.shown, key.help, "key"), action))
        lines.append(([], ""))
    texts: Text = [[("Mouse", "strong")], *(_named(*one, "accent") for one in _MOUSE), []]
    texts.append([("Typed after / f x, and --grep: a line that…", "strong")])
    texts += [_named(*one, "key") for one in _EXPRESSIONS]
    texts += [[], [("Signs before the time", "strong")]]
    texts += [_named(sign, meaning, role) for sign, role, meaning in _SIGNS]
    texts += [[], [("Status line", "strong")]]
    texts += [_named(word, meaning, role) for word, role, meaning in _STATUS_WORDS]
    texts += [[], [("Differences from less and lnav", "strong")]]
    texts += [
        _named(key.shown, key.difference, "key", "muted")
        for keys in by_heading.values()
        for key in keys
        if key.difference
    ]
    return [*lines, *((text, "") for text in texts)]


def _named(name: str, meaning: str, role: str, meaning_role: str = "text") -> list[Segment]:
    """A row of the help: a key or sign, and what it means."""
    return [(f"  {name:<{_KEY_CELLS}}", role), (meaning, meaning_role)]


def field(name: str, value: str, role: str = "text") -> list[Segment]:
    """A line with a name and its value."""
    return [(f"{name:<{_FIELD_CELLS}}", "muted"), (value, role)]


_BRACKETS: Final = str.maketrans("[]", "()")


def palette_title(text: str) -> str:
    """Log text as a title in the command palette: harmless, short, without markup brackets."""
    return harmless(text[:TITLE_CHARS]).translate(_BRACKETS)


def pasteable(text: str) -> str:
    """The part of pasted text that may stand in a field: printable characters of its first line."""
    first = next(iter(text.splitlines()), "")
    return "".join(char for char in first if char.isprintable())

"""What the panes say, as lines of text with roles: connection, what happened, the keys. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

from tui import figures
from tui.bindings import sections
from tui.harmless import Segment, harmless
from tui.rows import Rule, describe
from tui.status import STATE_LABELS, MarkStatus, Outage, Status, TargetStatus

OUTAGES_SHOWN: Final = 12
HISTORY_SHOWN: Final = 16

_FIELD_CELLS: Final = 13

Text = list[list[Segment]]


def connection_report(status: Status, now_ms: int, zone: tzinfo = UTC) -> Text:
    """Everything about the connections: state, proof, disconnections, history."""
    lines: Text = []
    for target in status.targets:
        lines += _target(target, now_ms, zone)
        lines.append([])
    return lines[:-1]


def _target(target: TargetStatus, now_ms: int, zone: tzinfo) -> Text:
    since = figures.duration(max(0, now_ms - target.state_since_ms))
    lines: Text = [
        [(harmless(target.name), "strong")],
        field("address", harmless(target.url)),
        field("state", f"{STATE_LABELS[target.state]} for {since}"),
    ]
    if target.detail:
        lines.append(field("", harmless(target.detail), "warn"))
    through = target.complete_through_ms
    proof = "nothing yet" if through is None else figures.stamp(through, zone)[:19]
    lines += [
        field("proved to", proof, "warn" if through is None else "ok"),
        field("marks", _marks(target)),
        *_mark(target.last_mark, zone),
        field("events", _events(target)),
        field("cursor", f"seq {_count(target.after)} of {_count(target.head_seq)}"),
        field("epoch", harmless(target.epoch or "not known yet")),
        field("connection", f"number {target.generation}, {target.malformed} unreadable"),
        field("CloudWatch", _upstream(target)),
    ]
    lines += [[], [("Missing", "strong")], *_missing(target, zone)]
    lines += [[], [("Disconnections", "strong")], *_outages(target.outages, now_ms, zone)]
    lines += [[], [("History", "strong")]]
    for entry in reversed(target.history[-HISTORY_SHOWN:]):
        at, label = figures.clock(entry.at_ms, zone), STATE_LABELS[entry.state]
        lines.append([(f"{at} ", "time"), (label, "text"), (f" {harmless(entry.detail)}", "muted")])
    return lines


def _marks(target: TargetStatus) -> str:
    unequal = f", {target.marks_unequal} unequal" if target.marks_unequal else ", all equal"
    return figures.number(target.marks) + (unequal if target.marks else "")


def _mark(mark: MarkStatus | None, zone: tzinfo) -> Text:
    if mark is None:
        return []
    sign, role = ("=", "ok") if mark.equal else ("≠", "bad")
    return [
        field("last mark", figures.span(mark.from_ms, mark.through_ms, zone)),
        field("  theirs", f"{mark.digest}  {figures.number(mark.count)}"),
        field("  ours", f"{mark.own_digest}  {figures.number(mark.own_count)} {sign}", role),
    ]


def _events(target: TargetStatus) -> str:
    said = f"{figures.number(target.events)}, {figures.number(target.duplicates)} again"
    late, repaired = figures.number(target.late), figures.number(target.repaired)
    return f"{said}, {late} late, {repaired} repaired"


def _upstream(target: TargetStatus) -> str:
    if target.upstream is None:
        return "not heard of yet"
    lag = target.upstream_lag_ms
    return target.upstream + ("" if lag is None else f", {figures.duration(lag)} behind")


def _count(value: int | None) -> str:
    return "?" if value is None else figures.number(value)


def _missing(target: TargetStatus, zone: tzinfo) -> Text:
    lines: Text = []
    for unproved in target.unproved:
        where = figures.span(unproved.from_ms, unproved.through_ms, zone)
        said = "asked again, still different" if unproved.final else "asked for again"
        count = figures.plural(unproved.missing, "line")
        lines.append([(f"{where}  ", "time"), (f"{count} missing: {said}", "bad")])
    for lost in target.lost:
        where = figures.span(lost.from_ms, lost.through_ms, zone)
        lines.append([(f"{where}  ", "time"), (f"gone: {harmless(lost.reason)}", "bad")])
    for gap in target.gaps:
        where = figures.span(gap.from_ms, gap.through_ms, zone)
        role = {"repaired": "ok", "unrecoverable": "bad"}.get(gap.state, "warn")
        said = f"gap {gap.state}, {figures.plural(gap.recovered, 'line')}: {harmless(gap.reason)}"
        lines.append([(f"{where}  ", "time"), (said, role)])
    return lines or [[("nothing", "muted")]]


def _outages(outages: Sequence[Outage], now_ms: int, zone: tzinfo) -> Text:
    lines: Text = []
    for outage in reversed(outages[-OUTAGES_SHOWN:]):
        ended = now_ms if outage.ended_ms is None else outage.ended_ms
        length = figures.duration(ended - outage.began_ms)
        code = "" if outage.code is None else f"{outage.code} "
        said: str = "lasting" if outage.ended_ms is None else outage.outcome or "back"
        if outage.recovered is not None:
            said = f"{said}, {figures.plural(outage.recovered, 'line')} recovered"
        lines.append(
            [
                (f"{figures.clock(outage.began_ms, zone)} ", "time"),
                (f"{length:>6} ", "strong"),
                (said, "warn" if outage.ended_ms is None else "ok"),
            ]
        )
        lines.append([(f"         {code}{harmless(outage.reason)}", "muted")])
    return lines or [[("none", "muted")]]


def rule_report(rule: Rule, zone: tzinfo = UTC) -> Text:
    """Everything about a rule in the list."""
    through = "still" if rule.through_ms is None else figures.stamp(rule.through_ms, zone)
    return [
        [(harmless(describe(rule)), "strong")],
        field("from", figures.stamp(rule.from_ms, zone)),
        field("through", through),
        field("reason", harmless(rule.reason) or "none given"),
    ]


def help_report(*, controls: bool) -> Text:
    """The keys, what the signs mean, and where it departs from other viewers."""
    lines: Text = []
    for heading, keys in sections(controls=controls).items():
        lines.append([(heading, "strong")])
        lines += [[(f"  {key.shown:<11}", "key"), (key.help, "text")] for key in keys]
        lines.append([])
    lines.append([("The column before the time", "strong")])
    for sign, role, said in (
        ("↑", "gutter.backfill", "fetched because the past was asked for"),
        ("+", "gutter.repair", "found by a whole scan: the live path had missed it"),
        ("~", "gutter.late", "came when its time had been proved complete already"),
        ("?", "gutter.unconfirmed", "not yet sent again by a forwarder that started anew"),
    ):
        lines.append([(f"  {sign:<11}", role), (said, "text")])
    lines += [
        [],
        [("The line at the bottom", "strong")],
        [
            ("  COMPLETE   ", "ok"),
            ("count and digest equal the forwarder's, up to that time", "text"),
        ],
        [("  provisional", "warn"), (" shown, and newer than what is proved", "text")],
        [("  missing    ", "bad"), ("known to exist, and not here", "text")],
        [],
        [("Other than in less and lnav", "strong")],
    ]
    for keys in sections(controls=controls).values():
        lines += [
            [(f"  {key.shown:<11}", "key"), (key.departs, "muted")] for key in keys if key.departs
        ]
    return lines


def field(name: str, value: str, role: str = "text") -> list[Segment]:
    """A name and what is said of it."""
    return [(f"{name:<{_FIELD_CELLS}}", "muted"), (value, role)]

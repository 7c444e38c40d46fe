"""The timeline of a rehearsal as SVG: faults above what the viewer showed. Pure.

Each fault has a lane: a bar while it was on, a mark where the viewer first showed a sign, and a
tail from its end until everything up to there was verified again.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import sqrt
from typing import Final

from common.text import replace_unprintable
from gapless.rehearsal.course import (
    STOPPED,
    Course,
    FaultLane,
    Span,
    StateChange,
    behind_ms,
    stretches,
)
from gapless.rehearsal.reactions import Reaction, complete_ms
from gapless.rehearsal.result import RehearsalResult
from gapless.rehearsal.summary import fault_text, seconds, story, verdict_line

WIDTH: Final = 1_240
LEFT: Final = 212
"""Room for the lanes' names."""
RIGHT: Final = 84
"""Room for the figure after a tail that ends at the last moment."""
LANE: Final = 30
CHART: Final = 76

GREEN_WITHIN_MS: Final = 5_000
"""How far the verified time may be behind while the lane is green: a scan each second, and the
visibility allowance."""

HISTORY_MS: Final = 60_000
"""A verified time that is further before the start belongs to requested history."""

SAYS_MAX: Final = 24
"""Texts below the picture; chaos has one for each fault, which its lane shows already."""

INK: Final = "#1f2328"
MUTED: Final = "#656d76"
GRID: Final = "#e4e7eb"
FAULT: Final = "#cf222e"
TAIL: Final = "#f3c5c8"
GOOD: Final = "#1a7f37"
WARN: Final = "#d4a72c"

STATE_COLOURS: Final = {
    "live": "#2da44e",
    "quiet": "#2da44e",
    "backfilling": "#54aeff",
    "connecting": "#a5b4c3",
    "polling": WARN,
    "reconnecting": FAULT,
    "failed": FAULT,
    "ended": "#8c959f",
    STOPPED: "#57606a",
}
GAP_COLOURS: Final = {"repaired": "#8250df", "unrecoverable": FAULT}
"""Others are suspected or being repaired."""
LINES: Final = "#6ea8dc"
LATE: Final = "#e16f24"
REPAIRED: Final = "#8250df"


class _Canvas:
    """Collects elements; times become positions."""

    def __init__(self, ends_ms: int) -> None:
        self.ends_ms = max(1, ends_ms)
        self.parts: list[str] = []
        self.y = 0.0

    def x(self, at_ms: float) -> float:
        room = WIDTH - LEFT - RIGHT
        return LEFT + room * min(max(0.0, at_ms), self.ends_ms) / self.ends_ms

    def add(self, element: str) -> None:
        self.parts.append(element)

    def rect(
        self,
        from_ms: float,
        to_ms: float,
        y: float,
        height: float,
        fill: str,
        title: str = "",
        extra: str = "",
    ) -> None:
        x = self.x(from_ms)
        width = max(1.5, self.x(to_ms) - x)
        hint = f"<title>{_safe(title)}</title>" if title else ""
        self.add(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}"{extra}>{hint}</rect>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        fill: str = INK,
        size: int = 13,
        extra: str = "",
    ) -> None:
        self.add(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"{extra}>'
            f"{_safe(text)}</text>"
        )

    def name(self, text: str, note: str = "", height: float = LANE) -> None:
        """The name of a lane, with a note below it."""
        middle = self.y + height / 2
        self.text(LEFT - 12, middle + (-1 if note else 4), text, extra=_END)
        if note:
            self.text(LEFT - 12, middle + 11, _cut(note, 33), MUTED, 10, _END)

    def line(self, at_ms: float, top: float, bottom: float, colour: str, extra: str = "") -> None:
        x = self.x(at_ms)
        self.add(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" '
            f'stroke="{colour}"{extra}/>'
        )


_END: Final = ' text-anchor="end"'
_MIDDLE: Final = ' text-anchor="middle"'
_BOLD: Final = ' font-weight="600"'


def draw(one: RehearsalResult) -> str:
    """Return the picture of a run; one that did not begin has its verdict alone."""
    course = one.course or Course()
    canvas = _Canvas(course.ends_ms)
    _headline(canvas, one)
    if one.course is not None:
        top = canvas.y
        _says_marks(canvas, course)
        _fault_lanes(canvas, course, one.reactions)
        canvas.y += 8
        _viewer_lane(canvas, course)
        _cloudwatch_lane(canvas, course)
        _gap_lane(canvas, course)
        _verified_chart(canvas, course)
        _volume_chart(canvas, course)
        _axis(canvas, course, top)
        _legend(canvas, course)
        _says_list(canvas, course)
    height = canvas.y + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="system-ui, DejaVu Sans, sans-serif" '
        f'role="img" aria-label="{_safe(verdict_line(one))}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(canvas.parts)}</svg>\n'
    )


def _headline(canvas: _Canvas, one: RehearsalResult) -> None:
    colour = GOOD if one.ok else FAULT
    speed = "" if one.speed == 1 else f", {one.speed:g} times as fast"
    canvas.text(16, 32, f"{one.scenario}, seed {one.seed}{speed}", size=20, extra=_BOLD)
    canvas.text(16, 56, _cut(verdict_line(one), 150), colour, 15, _BOLD)
    y = 56
    for sentence in story(one):
        y += 20
        canvas.text(16, y, _cut(sentence, 170), size=14)
    canvas.y = y + 34


def _says_marks(canvas: _Canvas, course: Course) -> None:
    """The numbers of the texts, at their times; the list below has the texts."""
    canvas.name("what was said", height=18)
    last = -100.0
    for number, one in enumerate(course.says[:SAYS_MAX], 1):
        x = max(canvas.x(one.at_ms), last + 17)
        last = x
        canvas.add(f'<circle cx="{x:.1f}" cy="{canvas.y + 9:.1f}" r="8" fill="#eaeef2"/>')
        canvas.text(x, canvas.y + 13, str(number), MUTED, 10, _MIDDLE)
    canvas.y += 26


def _fault_lanes(canvas: _Canvas, course: Course, found: Sequence[Reaction]) -> None:
    for lane, reaction in zip(course.faults, found, strict=True):
        _fault_lane(canvas, course, lane, reaction)
    if not course.faults:
        canvas.name("no faults")
        canvas.y += LANE


def _fault_lane(canvas: _Canvas, course: Course, lane: FaultLane, reaction: Reaction) -> None:
    canvas.name(lane.name, fault_text(lane))
    top, height = canvas.y + 5, LANE - 10
    ended_ms = course.ends_ms if lane.ended_ms is None else lane.ended_ms
    tail_ms = course.ends_ms
    if reaction.verified_ms is not None:
        tail_ms = ended_ms + reaction.verified_ms
    canvas.rect(ended_ms, tail_ms, top + 5, height - 10, TAIL, "until verified again")
    for span in lane.spans:
        _bar(canvas, span, course.ends_ms, top, height, lane.name)
    if reaction.detected_ms is not None:
        _detected(canvas, reaction, top, height)
    middle = top + height / 2 + 4
    if reaction.reconnected_ms is not None and reaction.was_cut:
        at_ms = ended_ms + reaction.reconnected_ms
        canvas.line(at_ms, top, top + height, "#0969da", ' stroke-width="2.5"')
    x = canvas.x(tail_ms)
    if reaction.verified_ms is None:
        canvas.text(x + 5, middle, "not verified", FAULT, 11)
    else:
        text = f"✓ +{reaction.verified_ms / 1_000:.1f} s"
        canvas.text(x + 5, middle, text, GOOD, 11, _BOLD)
    canvas.y += LANE


def _bar(canvas: _Canvas, span: Span, ends_ms: int, top: float, height: float, name: str) -> None:
    to_ms = ends_ms if span.to_ms is None else span.to_ms
    title = f"{name}: {seconds(span.from_ms)} to {seconds(span.to_ms)}"
    if canvas.x(to_ms) - canvas.x(span.from_ms) >= 4:  # noqa: PLR2004 - narrower ones are instants
        canvas.rect(span.from_ms, to_ms, top, height, FAULT, title, ' rx="2"')
        return
    x, y, half = canvas.x(span.from_ms), top + height / 2, height / 2
    points = f"{x - 6:.1f},{y} {x:.1f},{y - half} {x + 6:.1f},{y} {x:.1f},{y + half}"
    canvas.add(f'<polygon points="{points}" fill="{FAULT}"><title>{_safe(title)}</title></polygon>')


def _detected(canvas: _Canvas, reaction: Reaction, top: float, height: float) -> None:
    assert reaction.detected_ms is not None
    x = canvas.x(reaction.began_ms + reaction.detected_ms)
    y = top + height / 2
    title = f"detected after {seconds(reaction.detected_ms)}: {reaction.sign}"
    canvas.add(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="#ffffff" stroke="{INK}" '
        f'stroke-width="1.5"><title>{_safe(title)}</title></circle>'
    )
    canvas.text(x, y + 4, "!", extra=_MIDDLE + _BOLD, size=11)


def _viewer_lane(canvas: _Canvas, course: Course) -> None:
    canvas.name("viewer")
    _state_bars(canvas, course.states, course.ends_ms, "not connected yet")
    canvas.y += LANE


def _cloudwatch_lane(canvas: _Canvas, course: Course) -> None:
    if not course.upstream:
        return
    canvas.name("CloudWatch", "as the viewer shows it")
    changes = [
        StateChange(one.at_ms, one.state.replace("_", " "), one.detail) for one in course.upstream
    ]
    _state_bars(canvas, changes, course.ends_ms, "ok")
    canvas.y += LANE


def _state_bars(canvas: _Canvas, changes: Sequence[StateChange], ends_ms: int, first: str) -> None:
    for one in stretches(changes, ends_ms, first):
        colour = STATE_COLOURS.get(one.state, "#b7e0c2" if one.state == "ok" else WARN)
        colour = "#d0d7de" if one.state == "not connected yet" else colour
        took = f"{one.state}: {seconds(one.from_ms)} to {seconds(one.to_ms)}"
        canvas.rect(one.from_ms, one.to_ms, canvas.y + 4, LANE - 8, colour, took)
        width = canvas.x(one.to_ms) - canvas.x(one.from_ms)
        if width > 7 * len(one.state) + 8:
            dark = one.state in ("ok", "polling", "connecting", "not connected yet")
            is_light = dark or colour == WARN
            middle = (canvas.x(one.from_ms) + canvas.x(one.to_ms)) / 2
            fill = INK if is_light else "#ffffff"
            canvas.text(middle, canvas.y + LANE / 2 + 4, one.state, fill, 12, _MIDDLE)


def _gap_lane(canvas: _Canvas, course: Course) -> None:
    if not course.gaps:
        return
    earlier = sum(one.to_ms < 0 for one in course.gaps)
    note = f"and {earlier} before the start" if earlier else "at the time of their lines"
    canvas.name("declared gaps", note)
    for one in course.gaps:
        if one.to_ms >= 0:
            colour = GAP_COLOURS.get(one.state, WARN)
            title = f"{one.state}: {one.reason}, {one.recovered} recovered"
            canvas.rect(one.from_ms, one.to_ms, canvas.y + 8, LANE - 16, colour, title)
            if canvas.x(one.to_ms) - canvas.x(one.from_ms) > 8 * len(one.state):
                x = (canvas.x(one.from_ms) + canvas.x(one.to_ms)) / 2
                fill = INK if colour == WARN else "#ffffff"
                canvas.text(x, canvas.y + LANE / 2 + 4, one.state, fill, 11, _MIDDLE)
    canvas.y += LANE


def _verified_chart(canvas: _Canvas, course: Course) -> None:
    """How far the verified time was behind the present, green while it kept up."""
    top, height = canvas.y + 6, CHART - 12
    step_ms = max(1, course.ends_ms // (WIDTH - LEFT - RIGHT))
    moments = range(0, course.ends_ms + 1, step_ms)
    points = [(at_ms, behind_ms(course, at_ms)) for at_ms in moments]
    # While the history is verified that time is hours behind, which would hide all else.
    shown = [one for at_ms, one in points if one is not None and one <= at_ms + HISTORY_MS]
    worst = max([2 * GREEN_WITHIN_MS, *shown])
    canvas.name("behind by", f"verified time; at most {seconds(max(shown, default=0))}", CHART)
    for at_ms, behind in points:
        colour, share = "#eaeef2", 1.0
        if behind is not None and behind <= at_ms + HISTORY_MS:
            colour, share = "#7cc68d" if behind <= GREEN_WITHIN_MS else "#ecc55c", behind / worst
        bar = max(1.0, share * height)
        canvas.rect(at_ms, at_ms + step_ms, top + height - bar, bar, colour)
    canvas.y += CHART


def _volume_chart(canvas: _Canvas, course: Course) -> None:
    """Lines in each second, by the root of their number: bursts leave the others visible."""
    top, height = canvas.y + 6, CHART - 12
    shown = [one for one in course.seconds if 0 <= one.at_ms < course.ends_ms]
    most = max((one.lines for one in shown), default=0)
    canvas.name("lines received", f"up to {most:,} a second, root scale", CHART)
    for one in shown:
        parts = ((one.lines, LINES), (one.late + one.repaired, LATE), (one.repaired, REPAIRED))
        for count, colour in parts:
            if count and most:
                bar = sqrt(min(count, one.lines) / most) * height
                note = f"{one.lines:,} lines, {one.late:,} late, {one.repaired:,} repaired"
                canvas.rect(one.at_ms, one.at_ms + 900, top + height - bar, bar, colour, note)
    canvas.y += CHART


def _axis(canvas: _Canvas, course: Course, top: float) -> None:
    bottom = canvas.y + 2
    step_s = next(
        (one for one in (1, 2, 5, 10, 15, 30, 60, 120, 300) if course.ends_ms / 1_000 / one <= 14),  # noqa: PLR2004 - labels that fit
        600,
    )
    grid = [
        f'<line x1="{canvas.x(s * 1_000):.1f}" y1="{top:.1f}" x2="{canvas.x(s * 1_000):.1f}" '
        f'y2="{bottom:.1f}" stroke="{GRID}"/>'
        for s in range(0, course.ends_ms // 1_000 + 1, step_s)
    ]
    canvas.parts[0:0] = grid  # below everything else
    for second in range(0, course.ends_ms // 1_000 + 1, step_s):
        canvas.text(canvas.x(second * 1_000), bottom + 16, f"{second} s", MUTED, 11, _MIDDLE)
    _moment(canvas, course.healed_ms, top, bottom, FAULT, "last fault ended", row=0)
    whole_ms = complete_ms(course)
    if whole_ms is not None:
        _moment(canvas, whole_ms, top, bottom, GOOD, f"complete: {seconds(whole_ms)}", row=1)
    canvas.y = bottom + 54


def _moment(
    canvas: _Canvas, at_ms: int, top: float, bottom: float, colour: str, text: str, *, row: int
) -> None:
    """A dashed line through all lanes, with its name below the axis, in a row of its own."""
    dashes = ' stroke-dasharray="5 4" stroke-width="1.5"'
    canvas.line(at_ms, top, bottom + 20 + 15 * row, colour, dashes)
    x = canvas.x(at_ms)
    is_left = x > WIDTH - RIGHT - 8 * len(text)
    anchor = (_END if is_left else "") + _BOLD
    canvas.text(x - 5 if is_left else x + 5, bottom + 32 + 15 * row, text, colour, 12, anchor)


_NAMED_STATES: Final = ("backfilling", "connecting", "reconnecting", "polling", STOPPED)

_LEGEND: Final = (
    (FAULT, "fault is on"),
    (TAIL, "ended, not yet verified"),
    ("#0969da", "connected again"),
    ("#7cc68d", f"verified to within {GREEN_WITHIN_MS // 1_000} s"),
    ("#ecc55c", "verified time stands still"),
    ("#eaeef2", "history not verified yet"),
    (LINES, "lines"),
    (LATE, "late"),
    (REPAIRED, "repaired"),
)


def _legend(canvas: _Canvas, course: Course) -> None:
    canvas.y += 14
    x = float(LEFT)
    canvas.add(
        f'<circle cx="{x + 6:.1f}" cy="{canvas.y:.1f}" r="6" fill="#ffffff" stroke="{INK}"/>'
    )
    canvas.text(x + 6, canvas.y + 4, "!", size=10, extra=_MIDDLE)
    x += _label(canvas, x + 17, "first sign on screen") + 17
    canvas.text(x, canvas.y + 4, "✓ +2.7 s", GOOD, 11, _BOLD)
    x += 56 + _label(canvas, x + 56, "verified again, after its end")
    # A short stretch has no room for its name.
    seen = {one.state for one in course.states}
    states = [(STATE_COLOURS[one], f"viewer {one}") for one in _NAMED_STATES if one in seen]
    for colour, text in (*_LEGEND, *states):
        if x > WIDTH - 150:
            x, canvas.y = float(LEFT), canvas.y + 20
        canvas.add(
            f'<rect x="{x:.1f}" y="{canvas.y - 5:.1f}" width="12" height="10" fill="{colour}"/>'
        )
        x += _label(canvas, x + 17, text) + 17
    canvas.y += 16


def _label(canvas: _Canvas, x: float, text: str) -> float:
    canvas.text(x, canvas.y + 4, text, MUTED, 11)
    return 6.1 * len(text) + 14


def _says_list(canvas: _Canvas, course: Course) -> None:
    canvas.y += 8
    for number, one in enumerate(course.says[:SAYS_MAX], 1):
        canvas.y += 18
        canvas.text(LEFT - 68, canvas.y, str(number), MUTED, 12, _END)
        canvas.text(LEFT - 12, canvas.y, seconds(one.at_ms), MUTED, 12, _END)
        canvas.text(LEFT, canvas.y, _cut(one.text, 150), size=12)
    left = len(course.says) - SAYS_MAX
    if left > 0:
        canvas.y += 18
        canvas.text(LEFT, canvas.y, f"and {left} more", MUTED, 12)


def _safe(text: str) -> str:
    """A text as XML, without characters that XML does not have."""
    return escape(replace_unprintable(text))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"

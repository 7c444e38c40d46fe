"""The timeline of a rehearsal as SVG: faults above what the viewer showed. Pure.

Each fault has a lane: a bar while it was on, a mark where the viewer first showed a sign, and a
tail from its end until everything up to there was verified again; the figures and the first sign
stand at the right. Texts are wrapped, never cut: nothing else shows them in an SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import sqrt
from textwrap import wrap
from typing import Final

from common.text import replace_unprintable
from common.times import iso
from gapless.rehearsal.course import (
    KEEPS_UP_MS,
    STOPPED,
    Course,
    FaultLane,
    Span,
    StateChange,
    Stretch,
    behind_ms,
    stretches,
)
from gapless.rehearsal.reactions import Reaction, complete_ms
from gapless.rehearsal.result import RehearsalResult, reasons
from gapless.rehearsal.summary import (
    counts,
    fault_text,
    held_text,
    one_or_more,
    seconds,
    sentence,
    story,
    verdict_line,
)

NOT_CONNECTED: Final = "not connected yet"

WIDTH: Final = 1_360
LEFT: Final = 236
"""Room for the lanes' names."""
RIGHT: Final = 404
"""Room for the figures of each fault."""
LANE: Final = 30
CHART: Final = 76

NAME_CHARS: Final = 26
NOTE_CHARS: Final = 37
"""Characters of a line of a lane's name, and of the note below it."""

HISTORY_MS: Final = 60_000
"""A verified time that is further before the start belongs to requested history."""

SAYS_MAX: Final = 24
"""Texts below the picture; chaos has one for each fault, which its lane shows already."""

REASONS_MAX: Final = 10
"""Reasons of a failure above the picture; the reports have all of them."""

REMARKS_MAX: Final = 12
"""Explanations of the viewer's below the picture; a run of one fault has two or three."""

CHAR_PX: Final = 0.54
"""Width of a character as a share of its size: the mean of common fonts, and a little more."""

INK: Final = "#1f2328"
MUTED: Final = "#57606a"
GRID: Final = "#e4e7eb"
GOOD: Final = "#13795b"
BAD: Final = "#b42318"
"""Texts of a verdict; they say PASS and FAIL, too."""

# Told apart by people who do not see red or green, after Okabe and Ito; what is wrong is hatched
# besides, for paper without colours.
FAULT: Final = "#c4421a"
TAIL: Final = "#f3cdbb"
WARN: Final = "#e69f00"
BACK: Final = "#0072b2"
VERIFIED: Final = "#3aa387"
NOTHING_YET: Final = "#e4e7eb"
LINES: Final = "#8ab8de"
LATE: Final = WARN
REPAIRED: Final = "#7b3fbf"

STATE_COLOURS: Final = {
    "live": GOOD,
    "quiet": GOOD,
    "backfilling": "#56b4e9",
    "connecting": "#b4c0cc",
    "polling": WARN,
    "reconnecting": FAULT,
    "failed": "#7a1f06",
    "ended": "#8c959f",
    STOPPED: "#3d444d",
    "ok": "#cfe8df",
    NOT_CONNECTED: "#d0d7de",
}
"""Of the viewer's states, and ``ok`` of CloudWatch; its others warn."""

HATCHED: Final = {FAULT: "#e08a67", WARN: "#f3c766"}
"""Colours that have stripes where they fill a stretch of a state, and the stripes' colour."""

GAP_COLOURS: Final = {"repaired": REPAIRED, "unrecoverable": FAULT, "lost": FAULT}
"""Others are suspected or being repaired."""

_DARK: Final = frozenset({GOOD, FAULT, BACK, REPAIRED, "#7a1f06", "#3d444d"})
"""Colours on which a text is white."""


class _Canvas:
    """Collects elements; times become positions."""

    def __init__(self, ends_ms: int, key: str) -> None:
        self.ends_ms = max(1, ends_ms)
        self._key = key
        self.parts: list[str] = []
        self.above: list[str] = []
        """Elements that no line may cross, drawn last."""
        self.y = 0.0

    def x(self, at_ms: float) -> float:
        room = WIDTH - LEFT - RIGHT
        return LEFT + room * min(max(0.0, at_ms), self.ends_ms) / self.ends_ms

    def add(self, element: str) -> None:
        self.parts.append(element)

    def hatched(self, colour: str) -> str:
        """The filling for a stretch of that colour, striped if it is one that warns."""
        if colour not in HATCHED:
            return colour
        return f"url(#{self._key}{colour.removeprefix('#')})"

    def patterns(self) -> str:
        """The definitions of striped colours."""
        return "".join(
            f'<pattern id="{self._key}{colour.removeprefix("#")}" width="7" height="7" '
            f'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" '
            f'height="7" fill="{colour}"/><rect width="2" height="7" fill="{stripe}"/></pattern>'
            for colour, stripe in HATCHED.items()
        )

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

    def paragraph(
        self,
        text: str,
        fill: str = INK,
        size: int = 13,
        extra: str = "",
        left: float = 24,
        lead: int = 0,
    ) -> None:
        """A text from ``left`` on, below what is there, in as many lines as it needs."""
        # Letters of a bold text are wider.
        wide = size * CHAR_PX * (1.1 if _BOLD in extra else 1.0)
        for line in wrap(text, int((WIDTH - 16 - left) / wide)):
            self.y += lead or size + 6
            self.text(left, self.y, line, fill, size, extra)

    def name(self, text: str, note: str = "", height: float = LANE) -> float:
        """The name of a lane, with a note below it; return the height that both need."""
        names, notes = wrap(text, NAME_CHARS), wrap(note, NOTE_CHARS)
        needed = max(height, 14 * len(names) + 12 * len(notes) + 6)
        y = self.y + needed / 2 + 4 - 7 * (len(names) - 1) - (5.5 * len(notes))
        for line in names:
            self.text(LEFT - 12, y, line, extra=_END)
            y += 14
        for line in notes:
            self.text(LEFT - 12, y - 2, line, MUTED, 10, _END)
            y += 12
        return needed

    def line(self, at_ms: float, top: float, bottom: float, colour: str, extra: str = "") -> None:
        x = self.x(at_ms)
        self.add(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" '
            f'stroke="{colour}"{extra}/>'
        )


_END: Final = ' text-anchor="end"'
_MIDDLE: Final = ' text-anchor="middle"'
_BOLD: Final = ' font-weight="600"'
_HALO: Final = ' stroke="#ffffff" stroke-width="4" paint-order="stroke" stroke-linejoin="round"'
"""Keeps a text legible where a line passes behind it."""


def draw(one: RehearsalResult, key: str = "p") -> str:
    """Return the picture of a run; one that did not begin has its verdict alone.

    Args:
        one: The run.
        key: What the ids in the picture begin with: they must be unique in a page.
    """
    course = one.course or Course()
    canvas = _Canvas(course.ends_ms, key)
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
        _says_list(canvas, course, one.speed)
        _remarks(canvas, course)
    canvas.y += 10
    started = "" if one.course is None else f"started {iso(one.course.started_ms)} · "
    footer = f"gapless {one.version} · {started}run it again: {one.replay}"
    canvas.paragraph(footer, MUTED, 11)
    height = canvas.y + 12
    drawn = "".join([*canvas.parts, *canvas.above])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="system-ui, DejaVu Sans, sans-serif" '
        f'role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{_safe(f"{_title(one)}: {verdict_line(one)}")}</title>'
        f'<desc id="{key}-desc">{_safe(_description(one))}</desc>'
        f"<defs>{canvas.patterns()}</defs>"
        f'<rect width="100%" height="100%" fill="#ffffff"/>{drawn}</svg>\n'
    )


def _title(one: RehearsalResult) -> str:
    speed = "" if one.speed == 1 else f", {one.speed:g} times as fast"
    return f"{one.scenario}, seed {one.seed}{speed}"


def _description(one: RehearsalResult) -> str:
    """What the picture shows, for people who cannot see it."""
    words = [*story(one), *(sentence(reaction) for reaction in one.reactions)]
    words += [
        f"{reaction.name}: verified again {seconds(reaction.verified_ms)} after its end."
        if reaction.verified_ms is not None
        else f"{reaction.name}: never verified again."
        for reaction in one.reactions
    ]
    return " ".join(dict.fromkeys(words))


def _headline(canvas: _Canvas, one: RehearsalResult) -> None:
    colour = GOOD if one.ok else BAD
    canvas.paragraph(_title(one), size=20, extra=_BOLD, lead=32)
    first, *wrong = [verdict_line(one)] if one.ok else [f"FAIL ({counts(one)})", *reasons(one)]
    canvas.paragraph(first, colour, 17, _BOLD, lead=25)
    if len(wrong) > REASONS_MAX:
        wrong[REASONS_MAX - 1 :] = [f"… and {len(wrong) - REASONS_MAX + 1} more"]
    for reason in wrong:
        canvas.paragraph(f"✗ {reason}", colour, 14, _BOLD)
    canvas.add(f'<rect x="8" y="14" width="6" height="{canvas.y - 8:.0f}" fill="{colour}"/>')
    for line in story(one):
        canvas.paragraph(line, size=14)
    canvas.y += 34


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


_FIGURES: Final = (
    ("affected", "while it was on", 62),
    ("first sign", "after its start", 162),
    ("connected", "after its end", 264),
    ("verified", "after its end", 350),
)
"""Titles of the figures at the right of the faults' lanes, in two lines, and where they stand."""


def _fault_lanes(canvas: _Canvas, course: Course, found: Sequence[Reaction]) -> None:
    for first, second, x in _FIGURES if course.faults else ():
        canvas.text(WIDTH - RIGHT + x, canvas.y - 20, first, MUTED, 11, _MIDDLE)
        canvas.text(WIDTH - RIGHT + x, canvas.y - 8, second, MUTED, 11, _MIDDLE)
    for lane, reaction in zip(course.faults, found, strict=True):
        _fault_lane(canvas, course, lane, reaction)
    if not course.faults:
        canvas.name("no faults")
        canvas.y += LANE


def _fault_lane(canvas: _Canvas, course: Course, lane: FaultLane, reaction: Reaction) -> None:
    needed = canvas.name(lane.name, fault_text(lane))
    height = LANE - 10
    middle = canvas.y + needed / 2
    top = middle - height / 2
    ended_ms = course.ends_ms if lane.ended_ms is None else lane.ended_ms
    tail_ms = course.ends_ms
    if reaction.verified_ms is not None:
        tail_ms = ended_ms + reaction.verified_ms
    canvas.rect(ended_ms, tail_ms, top + 5, height - 10, TAIL, "until verified again")
    seen_ms = None if reaction.detected_ms is None else lane.began_ms + reaction.detected_ms
    for span in lane.spans:
        _bar(canvas, course, span, top, height, lane.name, seen_ms)
    if reaction.reconnected_ms is not None and reaction.was_cut:
        title = f"connected again after {seconds(reaction.reconnected_ms)}"
        _back_mark(canvas, canvas.x(ended_ms + reaction.reconnected_ms), middle, title)
    if reaction.verified_ms is not None:
        title = f"verified again after {seconds(reaction.verified_ms)}"
        _verified_mark(canvas, canvas.x(tail_ms), middle, title)
    if seen_ms is not None:
        title = f"seen after {seconds(reaction.detected_ms)}: {reaction.sign}"
        _seen_mark(canvas, canvas.x(seen_ms), middle, title)
    _figures(canvas, reaction, middle)
    canvas.y += needed


def _figures(canvas: _Canvas, reaction: Reaction, middle: float) -> None:
    """What a fault did, and the viewer about it, in figures; below some of them, of what."""
    affected = ("unknown", MUTED)
    if reaction.affected is not None:
        affected = (f"{reaction.affected:,}", INK) if reaction.affected else ("nothing", MUTED)
    seen = _figure(reaction.detected_ms, INK, "none")
    back = _figure(reaction.reconnected_ms, INK, "never") if reaction.was_cut else NOT_CUT
    verified = _figure(reaction.verified_ms, GOOD, "never")
    figures = (
        (*affected, one_or_more(reaction.affected, reaction.counts) if reaction.affected else ""),
        (*seen, reaction.sign),
        (*back, ""),
        (*verified, ""),
    )
    for (_, _, x), (text, colour, note) in zip(_FIGURES, figures, strict=True):
        extra = _MIDDLE + (_BOLD if colour in (BAD, GOOD) else "")
        canvas.text(WIDTH - RIGHT + x, middle + (-1 if note else 4), text, colour, 12, extra)
        if note:
            canvas.text(WIDTH - RIGHT + x, middle + 11, note, MUTED, 10, _MIDDLE)


NOT_CUT: Final = ("not cut", MUTED)


def _figure(ms: int | None, colour: str, without: str) -> tuple[str, str]:
    """A duration and its colour, or the word that stands where there is none."""
    if ms is not None:
        return seconds(ms), colour
    return without, BAD if without == "never" else MUTED


def _bar(
    canvas: _Canvas,
    course: Course,
    span: Span,
    top: float,
    height: float,
    name: str,
    seen_ms: int | None,
) -> None:
    to_ms = course.ends_ms if span.to_ms is None else span.to_ms
    left, right = canvas.x(span.from_ms), canvas.x(to_ms)
    title = f"{name}: {seconds(span.from_ms)} to {seconds(span.to_ms)}"
    if right - left < 4:  # noqa: PLR2004 - narrower ones are instants
        _instant_mark(canvas, left, top + height / 2, title)
        return
    canvas.rect(span.from_ms, to_ms, top, height, FAULT, title, ' rx="2"')
    text = f"{seconds(span.from_ms)} to {seconds(span.to_ms)}"
    text = f"from {seconds(span.from_ms)} on" if span.to_ms is None else text
    middle, room = (left + right) / 2, 3.4 * len(text) + 8
    is_free = seen_ms is None or abs(canvas.x(seen_ms) - middle) > room + 8
    if right - left > 2 * room and is_free:
        canvas.text(middle, top + height / 2 + 4, text, "#ffffff", 11, _MIDDLE)


def _hint(title: str) -> str:
    return f"<title>{_safe(title)}</title>" if title else ""


def _instant_mark(canvas: _Canvas, x: float, y: float, title: str = "") -> None:
    points = f"{x - 6:.1f},{y} {x:.1f},{y - 10} {x + 6:.1f},{y} {x:.1f},{y + 10}"
    canvas.add(f'<polygon points="{points}" fill="{FAULT}">{_hint(title)}</polygon>')


def _seen_mark(canvas: _Canvas, x: float, y: float, title: str = "") -> None:
    canvas.add(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="#ffffff" stroke="{INK}" '
        f'stroke-width="1.5">{_hint(title)}</circle>'
    )
    canvas.text(x, y + 4, "!", extra=_MIDDLE + _BOLD, size=11)


def _back_mark(canvas: _Canvas, x: float, y: float, title: str = "") -> None:
    canvas.add(
        f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="{BACK}" '
        f'stroke="#ffffff">{_hint(title)}</rect>'
    )


def _verified_mark(canvas: _Canvas, x: float, y: float, title: str = "") -> None:
    canvas.add(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7.5" fill="{GOOD}" stroke="#ffffff">'
        f"{_hint(title)}</circle>"
        f'<path d="M{x - 3.5:.1f} {y:.1f}l2.5 3l4.5 -6" fill="none" stroke="#ffffff" '
        'stroke-width="2"/>'
    )


def _viewer_lane(canvas: _Canvas, course: Course) -> None:
    _state_lane(canvas, "viewer", "", course.states, course.ends_ms, NOT_CONNECTED)


def _cloudwatch_lane(canvas: _Canvas, course: Course) -> None:
    if course.upstream:
        note = "as the viewer shows it"
        _state_lane(canvas, "CloudWatch", note, _upstream(course), course.ends_ms, "ok")


def _upstream(course: Course) -> list[StateChange]:
    """The changes of CloudWatch's state, in words."""
    return [
        StateChange(one.at_ms, one.state.replace("_", " "), one.detail) for one in course.upstream
    ]


FLAGS_MAX: Final = 4
"""Rows of names below the bars of a lane."""

FLAG: Final = 13

TINY_PX: Final = 16
"""Narrower bars share one name with the bar beside them."""


def _state_lane(
    canvas: _Canvas,
    name: str,
    note: str,
    changes: Sequence[StateChange],
    ends_ms: int,
    first: str,
) -> None:
    """A bar for each state, with its name in it, or below it where it has no room."""
    parts = stretches(changes, ends_ms, first)
    narrow: list[list[Stretch]] = []
    for one in parts:
        colour = STATE_COLOURS.get(one.state, WARN)
        title = f"{_flag_text([one])}, from {seconds(one.from_ms)} to {seconds(one.to_ms)}"
        title += f": {one.detail}" if one.detail else ""
        fill = canvas.hatched(colour)
        canvas.rect(one.from_ms, one.to_ms, canvas.y + 4, LANE - 8, fill, title)
        if _label_within(canvas, one, colour, 12):
            continue
        before = narrow[-1][-1] if narrow else None
        if (
            before is not None
            and before.to_ms == one.from_ms
            and min(canvas.x(each.to_ms) - canvas.x(each.from_ms) for each in (before, one))
            < TINY_PX
        ):
            narrow[-1].append(one)
        else:
            narrow.append([one])
    rows, unnamed = _flags(canvas, narrow)
    if unnamed:
        note = f"{unnamed} more short states: see the colours below"
    canvas.name(name, note)
    canvas.y += LANE + FLAG * rows


def _flags(canvas: _Canvas, narrow: Sequence[Sequence[Stretch]]) -> tuple[int, int]:
    """Name narrow stretches below their bars; return the rows used, and how many have no name.

    From the right to the left: each is below those that it would cover, so that no text crosses
    the line from another text to its bar.
    """
    placed: list[tuple[float, int]] = []
    unnamed = 0
    for ones in reversed(narrow):
        text = _flag_text(ones)
        x = (canvas.x(ones[0].from_ms) + canvas.x(ones[-1].to_ms)) / 2
        ends = x + 10 + _width(text, 10)
        row = 1 + max((row for left, row in placed if left < ends), default=-1)
        if row >= FLAGS_MAX or ends > WIDTH - 8:
            unnamed += len(ones)
            continue
        placed.append((x, row))
        top, y = canvas.y + LANE - 4, canvas.y + LANE + 8 + FLAG * row
        canvas.add(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="{MUTED}"/>'
        )
        canvas.text(x + 4, y, text, INK, 10, _HALO)
        canvas.above.append(canvas.parts.pop())
    return 1 + max((row for _, row in placed), default=-1), unnamed


def _flag_text(ones: Sequence[Stretch]) -> str:
    """The states of stretches that follow each other, and how long each or all of them took."""
    if len(ones) <= 2:  # noqa: PLR2004 - more would be too long for a name
        return ", ".join(f"{one.state} {seconds(one.to_ms - one.from_ms)}" for one in ones)
    names = ", ".join(dict.fromkeys(one.state for one in ones))
    return f"{names} {seconds(ones[-1].to_ms - ones[0].from_ms)}"


def _label_within(canvas: _Canvas, one: Stretch, colour: str, size: int) -> bool:
    """Write the name of a stretch into it; return whether it has room."""
    left, right = canvas.x(one.from_ms), canvas.x(one.to_ms)
    has_room = right - left > _width(one.state, size) + 6
    if has_room:
        ink = "#ffffff" if colour in _DARK else INK
        halo = f' stroke="{colour}" stroke-width="4" paint-order="stroke"'
        extra = _MIDDLE + (halo if colour in HATCHED else "")
        canvas.text((left + right) / 2, canvas.y + LANE / 2 + 4, one.state, ink, size, extra)
    return has_room


def _gap_lane(canvas: _Canvas, course: Course) -> None:
    if not course.gaps:
        return
    earlier = sum(one.to_ms < 0 for one in course.gaps)
    shown = [one for one in course.gaps if one.to_ms >= 0]
    note = f"{'and ' if shown else ''}{earlier} before the start" if earlier else ""
    canvas.name("declared gaps", note or "at the time of their lines")
    for one in shown:
        colour = GAP_COLOURS.get(one.state, WARN)
        title = f"{one.state}: {one.reason}, {one.recovered} recovered"
        canvas.rect(one.from_ms, one.to_ms, canvas.y + 7, LANE - 14, canvas.hatched(colour), title)
        _label_within(canvas, Stretch(one.from_ms, one.to_ms, one.state), colour, 11)
    canvas.y += LANE


def _verified_chart(canvas: _Canvas, course: Course) -> None:
    """How far the verified time was behind the present, green while it kept up."""
    top, height = canvas.y + 6, CHART - 12
    step_ms = max(1, course.ends_ms // (WIDTH - LEFT - RIGHT))
    moments = range(0, course.ends_ms + 1, step_ms)
    points = [(at_ms, behind_ms(course, at_ms)) for at_ms in moments]
    # While the history is verified that time is hours behind, which would hide all else.
    shown = [one for at_ms, one in points if one is not None and one <= at_ms + HISTORY_MS]
    worst = max([2 * KEEPS_UP_MS, *shown])
    canvas.name("behind by", f"verified time; at most {seconds(max(shown, default=0))}", CHART)
    area: list[tuple[float, float]] = []
    filled = ""
    for at_ms, behind in points:
        colour, share = NOTHING_YET, 1.0
        if behind is not None and behind <= at_ms + HISTORY_MS:
            colour, share = VERIFIED if behind <= KEEPS_UP_MS else WARN, behind / worst
        if colour != filled:
            _area(canvas, area, top + height, filled)
            area, filled = [], colour
        y = top + height - max(1.0, share * height)
        area += [(canvas.x(at_ms), y), (canvas.x(at_ms + step_ms), y)]
    _area(canvas, area, top + height, filled)
    for mark_ms in (worst, worst // 2):
        _scale_mark(canvas, top + height * (1 - mark_ms / worst), seconds(mark_ms))
    canvas.y += CHART


def _area(
    canvas: _Canvas, points: Sequence[tuple[float, float]], bottom: float, colour: str
) -> None:
    if points:
        corners = [(points[0][0], bottom), *points, (points[-1][0], bottom)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        canvas.add(f'<polygon points="{drawn}" fill="{canvas.hatched(colour)}"/>')


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
    for mark in (most, most // 4):  # by the root, a quarter stands at half the height
        if mark:
            _scale_mark(canvas, top + height * (1 - sqrt(mark / most)), f"{mark:,}")
    canvas.y += CHART


def _scale_mark(canvas: _Canvas, y: float, text: str) -> None:
    """A value of a chart: a thin line across it, and the value at the right of it."""
    right = WIDTH - RIGHT
    canvas.add(
        f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right + 4}" y2="{y:.1f}" stroke="{MUTED}" '
        'stroke-width="0.5" stroke-opacity="0.6"/>'
    )
    canvas.text(right + 8, y + 3.5, text, MUTED, 10)


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
    moments: list[tuple[int, str, str]] = []
    if all(lane.ended_ms is not None for lane in course.faults) and course.faults:
        ended = f"last fault ended: {seconds(course.healed_ms)}"
        moments.append((course.healed_ms, FAULT, ended))
    whole_ms = complete_ms(course)
    if whole_ms is not None:
        moments.append((whole_ms, GOOD, f"complete and verified: {seconds(whole_ms)}"))
    for at_ms, colour, _ in moments:
        dashes = ' stroke-dasharray="5 4" stroke-width="1.5"'
        canvas.line(at_ms, top, bottom + 36, colour, dashes)
    # The last of them reads to the right, the one before it to the left: no text is crossed.
    for number, (at_ms, colour, text) in enumerate(moments):
        _moment(canvas, at_ms, bottom + 32, colour, text, is_left=number + 1 < len(moments))
    canvas.y = bottom + 40


def _moment(
    canvas: _Canvas, at_ms: int, y: float, colour: str, text: str, *, is_left: bool
) -> None:
    """The name of a moment beside its line, at the left if there is room, or at the right."""
    x, wide = canvas.x(at_ms), 8.0 * len(text)
    is_left = (is_left and x - wide > 0) or x + wide > WIDTH - 16
    anchor = (_END if is_left else "") + _BOLD + _HALO
    canvas.text(x - 5 if is_left else x + 5, y, text, colour, 12, anchor)


_MARKS: Final = (
    (_instant_mark, "fault of an instant"),
    (_seen_mark, "first sign on screen"),
    (_back_mark, "connected again"),
    (_verified_mark, "verified again"),
)

_COLOURS: Final = (
    (FAULT, "fault is on"),
    (TAIL, "ended, not yet verified"),
    (VERIFIED, f"verified to within {KEEPS_UP_MS // 1_000} s"),
    (NOTHING_YET, "no verified time"),
    (LINES, "lines"),
    (LATE, "late"),
    (REPAIRED, "repaired"),
)
"""Of lanes and charts that have no names in them."""


def _legend(canvas: _Canvas, course: Course) -> None:
    canvas.y += 14
    x = float(LEFT)
    for mark, text in _MARKS:
        mark(canvas, x + 6, canvas.y)
        x += _label(canvas, x + 19, text) + 19
    areas = _state_areas("viewer", course.states, NOT_CONNECTED, course.ends_ms)
    areas += _state_areas("CloudWatch", _upstream(course), "ok", course.ends_ms)
    areas.append((WARN, "verified time further behind"))
    for row in (_COLOURS, [(canvas.hatched(colour), text) for colour, text in areas]):
        x, canvas.y = float(LEFT), canvas.y + 20
        for fill, text in row:
            if x + 17 + _width(text, 11) > WIDTH:
                x, canvas.y = float(LEFT), canvas.y + 20
            canvas.add(
                f'<rect x="{x:.1f}" y="{canvas.y - 5:.1f}" width="12" height="10" fill="{fill}"/>'
            )
            x += _label(canvas, x + 17, text) + 17
    canvas.y += 16


def _state_areas(
    name: str, changes: Sequence[StateChange], first: str, ends_ms: int
) -> list[tuple[str, str]]:
    """The colours of the states that a lane shows, and their names; equal colours once."""
    names: dict[str, list[str]] = {}
    for one in stretches(changes, ends_ms, first) if changes else ():
        known = names.setdefault(STATE_COLOURS.get(one.state, WARN), [])
        if one.state not in known:
            known.append(one.state)
    return [(colour, f"{name} {', '.join(states)}") for colour, states in names.items()]


_NARROW: Final = frozenset("ijlrtfI.,:;'|()[]! ")
_WIDE: Final = frozenset("mwMW@%")


def _width(text: str, size: int) -> float:
    """Roughly how wide a text is in a font without serifs: too wide in some, too narrow in none."""
    shares = (0.38 if one in _NARROW else 0.94 if one in _WIDE else 0.62 for one in text)
    return size * sum(shares)


def _label(canvas: _Canvas, x: float, text: str) -> float:
    canvas.text(x, canvas.y + 4, text, MUTED, 11)
    return _width(text, 11) + 20


def _says_list(canvas: _Canvas, course: Course, speed: float) -> None:
    """The scenario's texts, which a faster run leaves as they are written."""
    canvas.y += 8
    for number, one in enumerate(course.says[:SAYS_MAX], 1):
        canvas.text(LEFT - 68, canvas.y + 18, str(number), MUTED, 12, _END)
        _listed(canvas, seconds(one.at_ms), one.text)
    left = len(course.says) - SAYS_MAX
    if left > 0:
        _listed(canvas, "", f"and {left} more")
    if course.says and speed != 1:
        text = f"Times in these texts are the scenario's own; the run was {speed:g} times as fast."
        _listed(canvas, "", text)


def _listed(canvas: _Canvas, name: str, text: str) -> None:
    """A line of a list: what it is about stands in the column of the lanes' names."""
    canvas.text(LEFT - 12, canvas.y + 18, name, MUTED, 12, _END)
    canvas.paragraph(text, size=12, left=LEFT)


def _remarks(canvas: _Canvas, course: Course) -> None:
    """What the viewer said of its states, and why one may last longer than a fault."""
    found = [("viewer", one) for one in course.states if one.detail]
    found += [("CloudWatch", one) for one in _upstream(course) if one.detail]
    remarks = list(dict.fromkeys((f"{name} {one.state}", one.detail) for name, one in found))
    if held := held_text(course):
        remarks.insert(0, ("CloudWatch", held))
    if remarks:
        canvas.y += 10
    for name, text in remarks[:REMARKS_MAX]:
        _listed(canvas, name, text)
    if len(remarks) > REMARKS_MAX:
        _listed(canvas, "", f"and {len(remarks) - REMARKS_MAX} more remarks of the viewer")


def _safe(text: str) -> str:
    """A text as XML, without characters that XML does not have."""
    return escape(replace_unprintable(text))

"""The timeline of a rehearsal as text: faults above what the viewer showed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

from common.text import replace_unprintable
from gapless.rehearsal.course import (
    KEEPS_UP_MS,
    STOPPED,
    Course,
    FaultLane,
    behind_ms,
    stretches,
)
from gapless.rehearsal.reactions import Reaction

CELLS_MIN: Final = 30
"""Narrowest chart: on a narrower terminal its lines wrap."""

NAME_CELLS: Final = 22

_BARS: Final = "▁▂▃▄▅▆▇█"

_STATES: Final = {
    "live": "━",
    "quiet": "━",
    "backfilling": "b",
    "connecting": "c",
    "polling": "p",
    "reconnecting": "x",
    "failed": "F",
    "ended": "E",
    STOPPED: " ",
}

LEGEND: Final = (
    "█ fault is on · ! first sign · + connected again · ░ until verified again (✓) · viewer: "
    "━ live, x reconnecting, p polling, b backfilling · verified: "
    f"━ within {KEEPS_UP_MS // 1_000} s, . further behind"
)

_ASCII: Final = str.maketrans("█░✓━▁▂▃▄▅▆▇·…", "#-v=..::||#;~")


def in_ascii(text: str) -> str:
    """The text with the signs of charts and verdicts in ASCII."""
    return text.translate(_ASCII)


def chart(
    course: Course, found: Sequence[Reaction], columns: int, *, ascii_only: bool = False
) -> list[str]:
    """Return the lines of the chart, ``columns`` wide.

    Args:
        course: What happened.
        found: What the viewer did about each fault, in the order of the course's faults.
        columns: Width of the terminal.
        ascii_only: Whether only ASCII may be used.
    """
    cells = max(CELLS_MIN, columns - NAME_CELLS - 1)
    step_ms = max(1, ceil(course.ends_ms / cells))

    def row(name: str, cell: Callable[[int, int], str]) -> str:
        """One line: a cell for each stretch of time, from its first to after its last ms."""
        name = replace_unprintable(name)
        short = name if len(name) < NAME_CELLS else f"{name[: NAME_CELLS - 2]}…"
        drawn = "".join(cell(at * step_ms, (at + 1) * step_ms) for at in range(cells))
        return f"{short:<{NAME_CELLS}}{drawn}".rstrip()

    lines = [
        row(lane.name, _fault_cell(course, lane, reaction))
        for lane, reaction in zip(course.faults, found, strict=True)
    ]
    lines.append(row("viewer", _viewer_cell(course)))
    lines.append(row("verified", lambda low, _: _verified_cell(course, low)))
    lines.append(row("lines", _volume_cell(course, step_ms)))
    lines += [_axis(course.ends_ms, step_ms, cells), LEGEND]
    return [in_ascii(line) if ascii_only else line for line in lines]


def _fault_cell(course: Course, lane: FaultLane, reaction: Reaction) -> Callable[[int, int], str]:
    ended_ms = course.ends_ms if lane.ended_ms is None else lane.ended_ms
    verified_ms = None if reaction.verified_ms is None else ended_ms + reaction.verified_ms
    tail_ms = course.ends_ms if verified_ms is None else verified_ms
    seen_ms = None if reaction.detected_ms is None else lane.began_ms + reaction.detected_ms

    back_ms = None
    if reaction.was_cut and reaction.reconnected_ms is not None:
        back_ms = ended_ms + reaction.reconnected_ms

    def cell(low: int, high: int) -> str:
        if seen_ms is not None and low <= seen_ms < high:
            return "!"
        if back_ms is not None and low <= back_ms < high:
            return "+"
        for span in lane.spans:
            to_ms = course.ends_ms if span.to_ms is None else span.to_ms
            if span.from_ms < high and (low < to_ms or low <= span.from_ms):
                return "█"
        if verified_ms is not None and low <= verified_ms < high:
            return "✓"
        return "░" if ended_ms < high and low <= tail_ms else " "

    return cell


def _viewer_cell(course: Course) -> Callable[[int, int], str]:
    parts = stretches(course.states, course.ends_ms, STOPPED)

    def cell(low: int, high: int) -> str:
        # Of several states in one cell the most unusual one is shown.
        here = {one.state for one in parts if one.from_ms < high and low < one.to_ms}
        unusual = sorted(here - {"live", "quiet"})
        return _STATES.get(unusual[0] if unusual else "live", "?") if here else " "

    return cell


def _verified_cell(course: Course, at_ms: int) -> str:
    if at_ms > course.ends_ms:
        return " "
    behind = behind_ms(course, at_ms)
    return " " if behind is None else "━" if behind <= KEEPS_UP_MS else "."


def _volume_cell(course: Course, step_ms: int) -> Callable[[int, int], str]:
    counts: dict[int, int] = {}
    for one in course.seconds:
        if 0 <= one.at_ms < course.ends_ms:
            place = one.at_ms // step_ms
            counts[place] = max(counts.get(place, 0), one.lines)
    most = max(counts.values(), default=0)

    def cell(low: int, high: int) -> str:
        # A second may be wider than a cell: its lines are drawn over all of them.
        place = max((at for at in counts if at * step_ms < high), default=None)
        if place is None or low - place * step_ms >= max(1_000, step_ms):
            return " "
        return _BARS[round((len(_BARS) - 1) * (counts[place] / most) ** 0.5)] if most else " "

    return cell


def _axis(ends_ms: int, step_ms: int, cells: int) -> str:
    apart = next((one for one in (5, 10, 20, 30, 60, 120, 300) if ends_ms / 1_000 / one <= 8), 600)  # noqa: PLR2004 - labels that fit
    line = ""
    for second in range(0, ends_ms // 1_000 + 1, apart):
        place = second * 1_000 // step_ms
        if place >= len(line) and place + len(f"{second} s") <= cells:
            line = f"{line:<{place}}{second} s"
    return " " * NAME_CELLS + line

"""What a demonstration leaves on the terminal: verdict, faults, what the viewer did. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from common.text import replace_unprintable, table
from gapless.rehearsal.chart import chart, in_ascii
from gapless.rehearsal.course import (
    Course,
    fault_lanes,
    joined_courses,
    make_course,
    read_viewer_course,
)
from gapless.rehearsal.reactions import Reaction, reactions
from gapless.rehearsal.summary import COLUMNS, table_rows

SHOWN: Final = (
    *("fault", "on from", "until", "detected", "first sign"),
    *("reconnected", "verified again", "recovered"),
)
"""Columns of the reports' table that fit on a terminal."""

LEFT: Final = ("fault", "first sign")
"""Columns of words."""

DROPPED: Final = ("until", "on from", "first sign", "recovered", "detected")
"""Columns that a narrow terminal does without, the first ones first; the chart shows when."""

COLUMNS_MIN: Final = 40
"""On a narrower terminal lines wrap."""

FAULTS_MAX: Final = 20
"""Faults listed at most; the newest ones."""


def session_course(log: Mapping[str, Any], record: bytes, began_ms: int, now_ms: int) -> Course:
    """Return what happened in a session.

    Args:
        log: The simulator's fault log.
        record: The viewer's record.
        began_ms: When the viewer began, ms since the Unix epoch.
        now_ms: Now.
    """
    viewer = joined_courses([read_viewer_course(record, began_ms)], [(0, None)])
    lanes = [one for one in fault_lanes(log, began_ms) if one.ended_ms is None or one.ended_ms >= 0]
    return make_course(viewer, lanes, [], began_ms, now_ms - began_ms)


def session_lines(
    course: Course, verdict: str, columns: int, *, ascii_only: bool = False
) -> list[str]:
    """Return the lines to print, ``verdict`` first."""
    found = reactions(course)
    cells = max(columns, COLUMNS_MIN)
    first = f"Session of {_duration(course.ends_ms)}: {verdict}"
    lines = [*textwrap.wrap(first, cells), *textwrap.wrap(_totals(course, found), cells)]
    if found:
        lines += ["", *_table(found[-FAULTS_MAX:], cells), ""]
        newest = msgspec.structs.replace(course, faults=course.faults[-FAULTS_MAX:])
        *rows, legend = chart(newest, found[-FAULTS_MAX:], columns, ascii_only=ascii_only)
        lines += [*rows, *textwrap.wrap(legend, cells)]
    return [replace_unprintable(in_ascii(line) if ascii_only else line) for line in lines]


def _totals(course: Course, found: Sequence[Reaction]) -> str:
    recovered = sum(one.recovered for one in course.outages)
    late = sum(one.late for one in course.seconds)
    repaired = sum(one.repaired for one in course.seconds)
    lag_ms = max((one.lag_ms for one in course.seconds), default=0)
    faults = f"{len(found)} {'fault' if len(found) == 1 else 'faults'}"
    outages = f"{len(course.outages)} {'outage' if len(course.outages) == 1 else 'outages'}"
    lines = f"{recovered:,} lines recovered, {repaired:,} repaired, {late:,} late"
    return f"{faults}, {outages}, {lines}; worst lag {lag_ms / 1_000:.1f} s"


def _table(found: Sequence[Reaction], cells: int) -> list[str]:
    """The faults as a table; columns are left out until it fits."""
    shown = list(SHOWN)
    every = table_rows(found)
    for dropped in (None, *DROPPED):
        if dropped is not None:
            shown.remove(dropped)
        rows = [[row[COLUMNS.index(name)] for name in shown] for row in every]
        right = frozenset(at for at, name in enumerate(shown) if name not in LEFT)
        lines = table(shown, rows, right).splitlines()
        if max(map(len, lines)) <= cells:
            break
    return lines


def _duration(ms: int) -> str:
    minutes, seconds = divmod(ms // 1_000, 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

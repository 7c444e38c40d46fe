"""A rehearsal with one cut of the network, as its log, its records and its result."""

from __future__ import annotations

import json
from typing import Any, Final

from gapless.rehearsal.course import (
    Course,
    fault_lanes,
    joined_courses,
    make_course,
    read_viewer_course,
    spoken,
)
from gapless.rehearsal.reactions import reactions
from gapless.rehearsal.result import RehearsalResult
from wire.record import Mark

START_MS: Final = 1_800_000_000_000
HOSTILE: Final = "<b>&\"'|\x1b[2J\x00]]>"

LOG: Final[dict[str, Any]] = {
    "entries": [
        {
            "at_ms": START_MS + 8_000,
            "event": "requested",
            "name": "cable",
            "type": "disconnect",
            "request": {"attributes": {"down_ms": 10_000}, "toxicity": None},
        },
        {"at_ms": START_MS + 8_000, "event": "began", "name": "cable", "type": "disconnect"},
        {
            "at_ms": START_MS + 18_000,
            "event": "ended",
            "name": "cable",
            "type": "disconnect",
            "affected": 2,
        },
    ]
}

_STATES: Final = (
    (-3_000, "connecting"),
    (-2_000, "backfilling"),
    (-1_000, "live"),
    (8_100, "reconnecting"),
    (19_900, "polling"),
    (20_500, "live"),
)

STEPS: Final = [
    {"at_ms": 0, "says": HOSTILE, "action": "wait"},
    {
        "at_ms": 8_000,
        "says": "Down.",
        "action": "inject",
        "fault": {"type": "disconnect", "name": "cable", "attributes": {"down_ms": 10_000}},
    },
]


def record() -> bytes:
    """The viewer's record, with lines that a course has no use for."""
    entries: list[dict[str, Any]] = [
        {"type": "record", "version": 1, "targets": []},
        {"type": "event", "id": "1", "message": "x"},
        {"type": "mark", "equal": True},
    ]
    entries += [
        {"type": "state", "target": 0, "at": START_MS + at, "state": state, "detail": HOSTILE}
        for at, state in _STATES
    ]
    for second in range(30):
        if not 8 <= second < 20:
            at = START_MS + second * 1_000
            entries.append(
                {"type": "second", "at": at, "lines": 20, "late": 0, "repaired": 0, "lag": 300}
            )
            entries.append({"type": "verified", "at": at + 500, "through": at - 1_500})
    entries.append(
        {"type": "second", "at": START_MS + 20_000, "lines": 200, "late": 3, "repaired": 2,
         "lag": 12_000}
    )  # fmt: skip
    entries.append(
        {
            "type": "outage",
            "from": START_MS + 8_100,
            "through": START_MS + 20_500,
            "reason": "gone",
            "recovered": 232,
            "outcome": "resumed",
        }
    )
    entries.append(
        {
            "type": "gap",
            "from": START_MS - 9_000,
            "through": START_MS + 2_000,
            "state": "repaired",
            "reason": HOSTILE,
            "recovered": 2,
        }
    )
    entries.append({"type": "upstream", "at": START_MS + 500, "state": "throttled", "reason": "x"})
    return b"\n".join(json.dumps(one, separators=(",", ":")).encode() for one in entries) + b"\n"


def course() -> Course:
    """What happened in it."""
    viewer = joined_courses([read_viewer_course(record(), START_MS)], [(-4_000, None)])
    return make_course(viewer, fault_lanes(LOG, START_MS), spoken(STEPS), START_MS, 30_000)


def result(**changes: Any) -> RehearsalResult:  # noqa: ANN401 - any field of a result
    """Its result."""
    happened = course()
    fields: dict[str, Any] = {
        "scenario": "cut",
        "seed": 7,
        "speed": 1.0,
        "version": "1",
        "ok": True,
        "verdict": {"clean": True, "shown": 842, "owed": 842, "marks": 9, "lost": 0},
        "converged_ms": 2_500,
        "bound_ms": 9_000,
        "marks": [Mark(from_=1, through=8, scanned_at=9, count=5, digest="abc")],
        "steps": STEPS,
        "course": happened,
        "reactions": reactions(happened),
    }
    return RehearsalResult(**(fields | changes))

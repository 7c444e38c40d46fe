"""The result of a rehearsal, as a line and as JSON. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from common.text import format_size
from gapless.rehearsal.course import Course
from gapless.rehearsal.reactions import Reaction
from gapless.rehearsal.viewer import Usage
from wire.record import EntryReader, Mark

UNSAFE: Final = ("duplicated", "misordered", "unexpected", "altered", "marks_lied")
"""Counts of a verdict that must be 0 at any time, also while faults are on."""

WRONG: Final = (*UNSAFE, "lost", "undeclared", "pending")
"""Counts of a verdict that must be 0 once every fault is healed."""

MARKS_MAX: Final = 3
"""Newest marks that a result lists."""


class RehearsalResult(msgspec.Struct, kw_only=True):
    """The result of one run; the fields are the keys of its JSON.

    Attributes:
        doc: One line on the scenario.
        file: The scenario file that was played; empty for a built-in scenario.
        unsafe: What was wrong while faults were on.
        unsafe_ms: When, in ms from the scenario's start.
        looks: How often the viewer was judged while faults were on.
        converged_ms: From the last healing step until the viewer showed all of it as verified;
            None: not within ``bound_ms`` of the scenario's end.
        marks: The last marks that the viewer found equal.
        steps: The steps that were taken, as the control API reports them.
        reactions: What the viewer did about each fault.
        unmet: Expectations of the scenario that the viewer did not meet.
        log_dropped: How many older entries the fault log no longer had.
        course: What happened over time; None where the scenario did not run.
    """

    scenario: str
    seed: int
    speed: float
    version: str
    doc: str = ""
    file: str = ""
    ok: bool = False
    error: str = ""
    expects: str = "clean"
    verdict: dict[str, Any] = {}
    unsafe: list[str] = []
    unsafe_examples: dict[str, list[str]] = {}
    unsafe_ms: int = 0
    looks: int = 0
    converged_ms: int | None = None
    bound_ms: int = 0
    ready_ms: int = 0
    scenario_ms: int = 0
    total_ms: int = 0
    forwarder: Usage | None = None
    forwarder_lives: int = 0
    viewer: Usage | None = None
    viewer_lives: int = 0
    marks: list[Mark] = []
    steps: list[dict[str, Any]] = []
    reactions: list[Reaction] = []
    unmet: list[str] = []
    log_dropped: int = 0
    course: Course | None = None

    @property
    def replay(self) -> str:
        """The command that repeats this run, with the same steps at the same times."""
        speed = "" if self.speed == 1 else f" --speed {str(self.speed).removesuffix('.0')}"
        name = shlex.quote(self.file) if self.file else self.scenario
        return f"gapless scenario run {name} --seed {self.seed}{speed}"


_DELETED: Final = (
    ("expired", "deleted by CloudWatch's retention, and declared"),
    ("vanished", "gone from CloudWatch before they could be read"),
)


def is_met(expects: str, verdict: Mapping[str, Any], lost: int = 0) -> bool:
    """Return whether a verdict is clean, and has the losses that the scenario expects.

    ``lost``: most events that may be missing, each in a range that the viewer declares.
    """
    is_clean = verdict.get("clean") is True
    if lost:
        is_clean = verdict.get("honest") is True and verdict.get("lost", 0) <= lost
    is_clean = is_clean and not verdict.get("pending")
    return is_clean and (expects != "declared" or bool(verdict.get("expired")))


def findings(verdict: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the counts of ``names`` that are not 0, as text."""
    return [f"{verdict[name]} {name}" for name in names if verdict.get(name)]


_MARKS: Final = EntryReader[Mark](Mark)


def newest_marks(record: bytes) -> list[Mark]:
    """Return the last marks that a viewer found equal, from its record."""
    lines = (line for line in record.split(b"\n") if line.startswith(b'{"type":"mark"'))
    return [mark for mark in map(_MARKS.read, lines) if mark is not None and mark.equal][
        -MARKS_MAX:
    ]


def reasons(one: RehearsalResult) -> list[str]:
    """Why a run failed, the most important first."""
    if one.error:
        return [one.error]
    # What was wrong while faults were on may be so at the end as well.
    wrong = list(dict.fromkeys([*one.unsafe, *findings(one.verdict, WRONG), *one.unmet]))
    if one.converged_ms is None:
        wrong.append(f"not converged within {one.bound_ms / 1_000:.0f} s")
    return wrong or ["the verdict is not the one that the scenario expects"]


def deleted_lines(one: RehearsalResult) -> list[str]:
    """What a clean verdict counts besides the lines that are shown, in words."""
    return [f"{one.verdict[name]:,} {text}" for name, text in _DELETED if one.verdict.get(name)]


def line(one: RehearsalResult) -> str:
    """Format one run as a line."""
    head = f"{'clean ' if one.ok else 'FAILED'} {one.scenario:<20} seed {one.seed:<4}"
    if one.ok:
        facts = [f"{one.verdict['shown']} events, {one.verdict['marks']} marks"]
        facts += deleted_lines(one)
        facts.append(f"converged in {(one.converged_ms or 0) / 1_000:.1f} s")
    else:
        facts = reasons(one)
    return f"{head} {'; '.join(facts)}; {used(one)}".rstrip("; ")


def used(one: RehearsalResult) -> str:
    """Memory and CPU time of forwarder and viewer; empty where they were not measured."""
    parts = [
        f"{name} {format_size(usage.peak_bytes)} {usage.cpu_s:.1f} s CPU"
        for name, usage in (("forwarder", one.forwarder), ("viewer", one.viewer))
        if usage is not None and usage.peak_bytes
    ]
    return ", ".join(parts)


def as_json(one: RehearsalResult, *, with_course: bool = False) -> dict[str, Any]:
    """Return the result as a JSON object; the course has a row for each second and mark."""
    fields: dict[str, Any] = msgspec.to_builtins(one)
    if not with_course:
        del fields["course"]
    return {**fields, "replay": one.replay}

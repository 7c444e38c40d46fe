"""A rehearsal in words: the verdict, what happened in a sentence or two, and the table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.text import replace_unprintable
from gapless.rehearsal.course import Course, FaultLane
from gapless.rehearsal.reactions import Reaction, complete_ms, verified_again_ms
from gapless.rehearsal.result import RehearsalResult, deleted_lines, reasons
from wire.limits import UPSTREAM_SHOWN_MS

NONE: Final = "-"
"""Stands where there is no figure."""

IDLE_MAX: Final = 5
"""Names of faults that affected nothing in a sentence; the table has all of them."""

HELD: Final = ("delayed", "throttled")
"""States of CloudWatch that are shown for a while after their last sign."""

COLUMNS: Final = (
    "fault",
    "attributes",
    "on from",
    "until",
    "affected",
    "detected",
    "first sign",
    "reconnected",
    "verified again",
    "recovered",
    "repaired",
    "late",
    "worst lag",
    "states",
)
"""Of the table: times from the start, then from the fault's beginning or end, then lines."""

COLUMNS_EXPLAINED: Final = (
    "on from, until: from the scenario's start. affected: what the fault did while it was on; "
    "turns: how often, where nothing else can be counted. detected: from the fault's beginning to "
    "the first sign on screen; a fault that leaves nothing to show has none. reconnected, "
    "verified again: from the fault's end until lines could be received, and until everything up "
    "to that end was verified. recovered, repaired, late: lines that came after an outage, that "
    "only a scan found, that belong to a time already verified. Where faults overlap, a figure "
    "may be another one's."
)


def seconds(ms: int | None) -> str:
    """Format a duration in seconds; without one, a dash."""
    # A fault may be on a moment before the start of the scenario is noted.
    return NONE if ms is None else f"{max(0, ms) / 1_000:.1f} s"


def verdict_line(one: RehearsalResult) -> str:
    """The verdict in one line: ``PASS: 842 of 842 lines shown, 0 lost, 0 duplicated``."""
    if one.error:
        return f"FAIL: {one.error}"
    if not one.ok:
        return f"FAIL: {', '.join(reasons(one))} ({counts(one)})"
    parts = [counts(one), "0 lost", "0 duplicated", *deleted_lines(one)]
    return f"PASS: {', '.join(parts)}"


def counts(one: RehearsalResult) -> str:
    """How many of the lines were shown: ``842 of 842 lines shown``."""
    return f"{one.verdict.get('shown', 0):,} of {one.verdict.get('owed', 0):,} lines shown"


def story(one: RehearsalResult) -> list[str]:
    """What happened, when it was detected, and when the view was complete again."""
    course = one.course
    if course is None:
        return []
    found = one.reactions
    sentences = [sentence(reaction) for reaction in found[:2]] if len(found) <= 2 else []  # noqa: PLR2004 - more would be no headline
    if len(found) > 2:  # noqa: PLR2004 - likewise
        last = found[-1].began_ms
        seen = [one.detected_ms for one in found if one.detected_ms is not None]
        within = f", each within {seconds(max(seen))} of its start" if seen else ""
        sentences.append(
            f"{len(found)} faults began between {seconds(found[0].began_ms)} and {seconds(last)}; "
            f"{len(seen)} of them left a sign on screen{within}."
        )
        idle = [one.name for one in found if one.affected == 0]
        if idle:
            more = f" and {len(idle) - IDLE_MAX} more" if len(idle) > IDLE_MAX else ""
            sentences.append(f"No effect was counted of {', '.join(idle[:IDLE_MAX])}{more}.")
    verified_ms, whole_ms = verified_again_ms(course, course.healed_ms), complete_ms(course)
    if verified_ms is None or whole_ms is None:
        sentences.append(_unverified(one, course))
    elif whole_ms > verified_ms:
        sentences.append(
            f"Verified again at {seconds(verified_ms)}; complete at {seconds(whole_ms)}, when the "
            "last late lines had come."
        )
    else:
        after = seconds(verified_ms - course.healed_ms)
        sentences.append(
            f"Complete and verified again at {seconds(verified_ms)}, {after} after the last fault."
        )
    return sentences


def held_text(course: Course) -> str:
    """Why CloudWatch's state may last longer than a fault; empty where none does so."""
    names = [one for one in HELD if any(change.state == one for change in course.upstream)]
    if not names:
        return ""
    stay = "stays" if len(names) == 1 else "stay"
    return (
        f"{' and '.join(names)} {stay} on screen for {UPSTREAM_SHOWN_MS // 1_000} s after the last "
        "late event or throttled call: that may be longer than the fault."
    )


def _unverified(one: RehearsalResult, course: Course) -> str:
    """Why the view was never verified from its beginning on again, as far as its gaps say it."""
    lasting = [gap.reason for gap in course.gaps if gap.state != "repaired"]
    if not lasting:
        return "The view was not verified again."
    reason = lasting[0].partition("; ")[0].partition(" (log stream")[0]
    newest_ms = max((mark.through for mark in one.marks), default=0) - course.started_ms
    last = f", the last at {seconds(newest_ms)}" if newest_ms > 0 else ""
    return (
        f"The view was not verified from its beginning on again, only later times{last}: "
        f"a range stays incomplete ({replace_unprintable(reason)})."
    )


def sentence(one: Reaction) -> str:
    """What the viewer did about one fault."""
    span = f"{one.name} from {seconds(one.began_ms)} to {seconds(one.ended_ms)}"
    if one.ended_ms is not None and one.ended_ms - one.began_ms < 100:  # noqa: PLR2004 - an instant
        span = f"{one.name} at {seconds(one.began_ms)}"
    parts = []
    if one.detected_ms is not None:
        parts.append(f"seen after {seconds(one.detected_ms)} ({one.sign})")
    if one.was_cut:
        parts.append(f"connected again {seconds(one.reconnected_ms)} after its end")
    if one.recovered:
        parts.append(f"{one.recovered:,} lines recovered")
    return f"{span}: {', '.join(parts)}." if parts else f"{span}."


def table_rows(found: Sequence[Reaction]) -> list[tuple[str, ...]]:
    """The rows of the table, a cell for each of ``COLUMNS``."""
    return [
        (
            one.name if one.name == one.type else f"{one.name} ({one.type})",
            " ".join(_values(one)) or NONE,
            seconds(one.began_ms),
            seconds(one.ended_ms),
            NONE
            if one.affected is None
            else f"{one.affected:,} {one_or_more(one.affected, one.counts)}",
            seconds(one.detected_ms),
            one.sign or NONE,
            seconds(one.reconnected_ms) if one.was_cut else NONE,
            seconds(one.verified_ms),
            f"{one.recovered:,}",
            f"{one.repaired:,}",
            f"{one.late:,}",
            seconds(one.lag_ms),
            " → ".join(one.states) or NONE,
        )
        for one in found
    ]


def fault_text(lane: FaultLane) -> str:
    """A fault with the attributes that it was given."""
    kind = [] if lane.name == lane.type else [lane.type]
    return " ".join([*kind, *_values(lane)])


def _values(one: FaultLane | Reaction) -> list[str]:
    values = [f"{name}={value:,}".replace(",", "_") for name, value in one.attributes.items()]
    if one.toxicity is not None:
        values.append(f"toxicity={one.toxicity:g}")
    return [replace_unprintable(value) for value in values]


def one_or_more(count: int, plural: str) -> str:
    """The word for that many: ``call`` for 1, else the plural."""
    if count != 1:
        return plural
    return (
        f"{plural[:-3]}y"
        if plural.endswith("ies")
        else plural[: -2 if plural.endswith("ches") else -1]
    )


def action_text(step: Mapping[str, Any]) -> str:
    """A step of a scenario, as ``gapless inject`` has it."""
    fault = step.get("fault")
    if not fault:
        return f"{step['action']} {step.get('name', '')}".rstrip()
    values = " ".join(f"{name}={value}" for name, value in fault["attributes"].items())
    toxicity = "" if fault.get("toxicity") is None else f"toxicity={fault['toxicity']:g}"
    name = f"name={fault['name']}" if fault.get("name") else ""
    return " ".join(filter(None, ("inject", fault["type"], name, toxicity, values)))

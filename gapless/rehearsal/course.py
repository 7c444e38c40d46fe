"""What happened in a rehearsal: the faults from their log, and what the viewer showed. Pure.

Times are ms from the scenario's start, by the wall clock of this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from wire import record as entries

CONNECTED: Final = frozenset({"backfilling", "live", "quiet", "polling", "ended"})
"""States of the viewer in which lines can be received."""

KEEPS_UP_MS: Final = 10_000
"""How far the verified time may be behind while it keeps up: a scan each five seconds while the
live path is relied on, the visibility allowance, and the scan itself."""

STOPPED: Final = "not running"
"""State between a viewer that was killed and the next one."""


class Span(msgspec.Struct, frozen=True):
    """A stretch of time; ``to_ms`` None: until the end."""

    from_ms: int
    to_ms: int | None = None


class FaultLane(msgspec.Struct):
    """A fault, and the stretches in which its harm was in force.

    Attributes:
        name: Its name, which is its type unless it was given one.
        type: Its type.
        attributes: Those that were given.
        toxicity: The share that it affects; None: the default of its type.
        spans: One for each turn; an instant has no length.
        affected: How much the turns that ended affected; None: none of them ended.
    """

    name: str
    type: str
    attributes: dict[str, int] = {}
    toxicity: float | None = None
    spans: list[Span] = []
    affected: int | None = None

    @property
    def began_ms(self) -> int:
        """The beginning of its first turn."""
        return self.spans[0].from_ms

    @property
    def ended_ms(self) -> int | None:
        """The end of its last turn; None: it never ended."""
        return self.spans[-1].to_ms


class StateChange(msgspec.Struct, frozen=True):
    """A change of the viewer's state, or of CloudWatch's as the viewer shows it."""

    at_ms: int
    state: str
    detail: str = ""


class Verified(msgspec.Struct, frozen=True):
    """From this moment on, everything through that time is verified; None: nothing is."""

    at_ms: int
    through_ms: int | None


class Second(msgspec.Struct, frozen=True):
    """The lines that arrived in a second, and the longest lag among them."""

    at_ms: int
    lines: int = 0
    late: int = 0
    repaired: int = 0
    lag_ms: int = 0


class Outage(msgspec.Struct, frozen=True):
    """A time without connection, and the lines that came afterwards."""

    from_ms: int
    to_ms: int | None
    recovered: int
    reason: str = ""
    outcome: str = ""


class Gap(msgspec.Struct, frozen=True):
    """A range of time that is or was declared incomplete."""

    from_ms: int
    to_ms: int
    state: str
    reason: str = ""
    recovered: int = 0


class Says(msgspec.Struct, frozen=True):
    """A text for the reader, and when it was shown."""

    at_ms: int
    text: str


class ViewerCourse(msgspec.Struct):
    """What one viewer process showed over time."""

    states: list[StateChange] = []
    upstream: list[StateChange] = []
    verified: list[Verified] = []
    seconds: list[Second] = []
    outages: list[Outage] = []
    gaps: list[Gap] = []


class Course(ViewerCourse):
    """Everything that a report shows over time.

    Attributes:
        started_ms: The scenario's start, ms since the Unix epoch.
        ends_ms: When the viewer was last asked what it shows, or the last thing known after that.
        faults: The faults, in the order in which they began.
        says: The texts of the scenario.
        healed_ms: When the last fault had ended.
    """

    started_ms: int = 0
    ends_ms: int = 0
    faults: list[FaultLane] = []
    says: list[Says] = []
    healed_ms: int = 0


_Told = (
    entries.State | entries.Upstream | entries.Verified | entries.SecondEntry | entries.Outage
    | entries.Gap | entries.Lost
)  # fmt: skip
_ENTRIES: Final = entries.EntryReader[_Told](_Told)


def read_viewer_course(record: bytes, started_ms: int) -> ViewerCourse:
    """Return what a viewer's record says of its course.

    Args:
        record: The record; other lines than those of the course are skipped.
        started_ms: The scenario's start, ms since the Unix epoch.
    """
    course = ViewerCourse()
    for line in record.split(b"\n"):
        # Most lines are events: parsing a million of them would take seconds.
        if not line or line.startswith((b'{"type":"event"', b'{"type":"mark"')):
            continue
        match _ENTRIES.read(line):
            case entries.State() as one:
                course.states.append(StateChange(one.at - started_ms, one.state, one.detail))
            case entries.Upstream() as one:
                course.upstream.append(StateChange(one.at - started_ms, one.state, one.reason))
            case entries.Verified() as one:
                through_ms = _since(one.through, started_ms)
                course.verified.append(Verified(one.at - started_ms, through_ms))
            case entries.SecondEntry() as one:
                at_ms = one.at - started_ms
                course.seconds.append(Second(at_ms, one.lines, one.late, one.repaired, one.lag))
            case entries.Outage() as one:
                course.outages.append(
                    Outage(
                        one.from_ - started_ms,
                        _since(one.through, started_ms),
                        one.recovered or 0,
                        one.reason,
                        one.outcome or "",
                    )
                )
            case entries.Gap() as one:
                span = (one.from_ - started_ms, one.through - started_ms)
                course.gaps.append(Gap(*span, one.state, one.reason, one.recovered))
            case entries.Lost() as one:
                span = (one.from_ - started_ms, one.through - started_ms)
                course.gaps.append(Gap(*span, "lost", one.reason))
    return course


def _since(at_ms: int | None, started_ms: int) -> int | None:
    return None if at_ms is None else at_ms - started_ms


def joined_courses(
    courses: Sequence[ViewerCourse], lives: Sequence[tuple[int, int | None]]
) -> ViewerCourse:
    """Return the course of several viewer processes, one after the other.

    Args:
        courses: What each of them showed, as far as it is known.
        lives: When each of them started and ended, ms from the scenario's start.
    """
    joined = ViewerCourse()
    for number, (_, ended_ms) in enumerate(lives):
        if number < len(courses):
            one = courses[number]
            for name in one.__struct_fields__:
                getattr(joined, name).extend(getattr(one, name))
        if ended_ms is not None and number + 1 < len(lives):
            joined.states.append(StateChange(ended_ms, STOPPED, "killed"))
            joined.verified.append(Verified(ended_ms, None))
    return joined


def fault_lanes(log: Mapping[str, Any], started_ms: int) -> list[FaultLane]:
    """Return the faults of a fault log that were in force, in the order in which they began."""
    lanes: list[FaultLane] = []
    newest: dict[str, FaultLane] = {}
    requests: dict[str, Mapping[str, Any]] = {}
    for one in log["entries"]:
        name, at_ms = one["name"], one["at_ms"] - started_ms
        if one["event"] == "requested":
            requests[name] = one["request"]
        elif one["event"] == "began":
            given = requests.get(name, {})
            attributes, toxicity = dict(given.get("attributes", {})), given.get("toxicity")
            begun = FaultLane(name, one["type"], attributes, toxicity, [])
            lane = newest.get(name)
            # Another fault may take over a name, and the same one other attributes.
            if lane is None or _identity(lane) != _identity(begun):
                lane = newest[name] = begun
                lanes.append(lane)
            lane.spans.append(Span(at_ms))
        elif one["event"] == "ended" and name in newest and newest[name].spans[-1].to_ms is None:
            span = newest[name].spans.pop()
            newest[name].spans.append(Span(span.from_ms, at_ms))
            if (affected := one.get("affected")) is not None:
                newest[name].affected = (newest[name].affected or 0) + affected
    return sorted(lanes, key=lambda one: one.began_ms)


def _identity(lane: FaultLane) -> tuple[object, ...]:
    """What tells a fault from another one under its name."""
    return (lane.name, lane.type, lane.attributes, lane.toxicity)


def spoken(steps: Iterable[Mapping[str, Any]]) -> list[Says]:
    """Return the texts of a scenario's steps, as the control API lists those taken."""
    return [
        Says(step.get("taken_ms", step["at_ms"]), step["says"]) for step in steps if step["says"]
    ]


def make_course(
    viewer: ViewerCourse,
    faults: Sequence[FaultLane],
    says: Sequence[Says],
    started_ms: int,
    ends_ms: int,
) -> Course:
    """Put together what happened.

    ``ends_ms``: when the viewer was last asked, from the start. Judging a million lines takes a
    minute, in which a chart would show that nothing was verified any more.
    """
    fields = {name: getattr(viewer, name) for name in viewer.__struct_fields__}
    newest = [one[-1].at_ms for one in (viewer.states, viewer.upstream, viewer.verified) if one]
    ends_ms = max([ends_ms, *newest, *(one.ended_ms or 0 for one in faults)])
    ends = [ends_ms if one.ended_ms is None else one.ended_ms for one in faults]
    return Course(
        **fields,
        started_ms=started_ms,
        ends_ms=ends_ms,
        faults=list(faults),
        says=list(says),
        healed_ms=max(ends, default=0),
    )


class Stretch(msgspec.Struct, frozen=True):
    """A state from one moment to the next."""

    from_ms: int
    to_ms: int
    state: str
    detail: str = ""


def stretches(changes: Sequence[StateChange], ends_ms: int, first: str) -> list[Stretch]:
    """Return the states from the start to the end, without those that took no time.

    ``first``: the state before the first change.
    """
    found: list[Stretch] = []
    state, detail, began_ms = first, "", 0
    for change in (*changes, StateChange(ends_ms, "")):
        at_ms = min(max(0, change.at_ms), ends_ms)
        if at_ms > began_ms:
            found.append(Stretch(began_ms, at_ms, state, detail))
        state, detail, began_ms = change.state, change.detail, max(began_ms, at_ms)
    return found


def behind_ms(course: Course, at_ms: int) -> int | None:
    """Return how far the verified time was behind a moment; None: nothing was verified then."""
    through: int | None = None
    for one in course.verified:
        if one.at_ms > at_ms:
            break
        through = one.through_ms
    return None if through is None else max(0, at_ms - through)

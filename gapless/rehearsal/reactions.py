"""What the viewer did about each fault: how soon it noticed, reconnected and verified. Pure.

Where faults overlap, a sign may belong to another of them; only signs that a fault of that family
can cause are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gapless.rehearsal.course import CONNECTED, Course, FaultLane, StateChange
from simulator.faults.board import FAULTS, family_of
from simulator.scenarios.base import CLOUDWATCH_STATES, CONNECTION_STATES, Expectations

CUTTING: Final = frozenset({"network", "programs", "cluster"})
"""Families whose faults can cut the viewer's connection."""

SETTLE_MS: Final = 3_000
"""How long after its end a fault may still cut a connection: a heartbeat that is missed later."""


class Reaction(msgspec.Struct, kw_only=True):
    """What the viewer did about one fault; times in ms.

    Attributes:
        name: The fault's name.
        type: Its type.
        attributes: Those that were given.
        toxicity: The share that it affects; None: the default of its type.
        began_ms: When it was first on, from the scenario's start.
        ended_ms: When it was last off; None: never.
        turns: How often it was on.
        affected: How much it affected; None: unknown.
        counts: What that counts, as a plural; ``turns``: only how often it was done.
        detected_ms: From its beginning to the first sign on screen; None: the viewer had nothing to
            show.
        sign: What that was.
        was_cut: Whether the viewer was without a connection.
        reconnected_ms: From its end to the connection that lasted; None: there was none.
        verified_ms: From its end until everything up to there was verified; None: never.
        recovered: Lines received after outages.
        repaired: Lines that only a scan found.
        late: Lines for a time already verified.
        lag_ms: The longest lag of a line.
        states: The states that the viewer went through.
    """

    name: str
    type: str
    began_ms: int
    ended_ms: int | None
    attributes: dict[str, int] = {}
    toxicity: float | None = None
    turns: int = 1
    affected: int | None = None
    counts: str = ""
    detected_ms: int | None = None
    sign: str = ""
    was_cut: bool = False
    reconnected_ms: int | None = None
    verified_ms: int | None = None
    recovered: int = 0
    repaired: int = 0
    late: int = 0
    lag_ms: int = 0
    states: list[str] = []


def reactions(course: Course) -> list[Reaction]:
    """Return what the viewer did about each fault, in the order in which they began."""
    return [_reaction(course, lane) for lane in course.faults]


def verified_first_ms(course: Course, at_ms: int) -> int | None:
    """The first moment from ``at_ms`` on at which everything through it was verified, if any."""
    through_ms: int | None = None
    for one in course.verified:
        if one.at_ms > at_ms and through_ms is not None and through_ms >= at_ms:
            return at_ms
        through_ms = one.through_ms
        if one.at_ms >= at_ms and through_ms is not None and through_ms >= at_ms:
            return one.at_ms
    return None


def verified_again_ms(course: Course, at_ms: int) -> int | None:
    """The moment from which on everything through ``at_ms`` stayed verified; None: there is none.

    T must not fall behind that time again: only the last time that it was reached counts.
    """
    found: int | None = None
    for one in course.verified:
        if one.through_ms is None or one.through_ms < at_ms:
            found = None
        elif found is None:
            found = max(one.at_ms, at_ms)
    return found


def complete_ms(course: Course) -> int | None:
    """The moment from which on the view was complete; None: it never was.

    Everything through the end of the last fault was verified by then, and no late line came after
    it: a verified time says what a scan returned, and CloudWatch may show an older event later.
    """
    verified_ms = verified_again_ms(course, course.healed_ms)
    if verified_ms is None:
        return None
    last_ms = max((one.at_ms for one in course.seconds if one.late or one.repaired), default=0)
    return verified_ms if last_ms < verified_ms else min(last_ms + 1_000, course.ends_ms)


def _reaction(course: Course, lane: FaultLane) -> Reaction:
    ended_ms = course.ends_ms if lane.ended_ms is None else lane.ended_ms
    verified_ms = verified_first_ms(course, ended_ms)
    until_ms = max(ended_ms + SETTLE_MS, course.ends_ms if verified_ms is None else verified_ms)
    family = family_of(lane.type)
    found = Reaction(
        name=lane.name,
        type=lane.type,
        began_ms=lane.began_ms,
        ended_ms=lane.ended_ms,
        attributes=lane.attributes,
        toxicity=lane.toxicity,
        turns=len(lane.spans),
        affected=lane.affected,
        counts=FAULTS[lane.type].counts if lane.type in FAULTS else "",
        verified_ms=None if verified_ms is None else verified_ms - ended_ms,
    )
    signs = _signs(course, lane, family, until_ms)
    if signs:
        at_ms, found.sign = min(signs, key=lambda one: one[0])
        found.detected_ms = at_ms - lane.began_ms
    if family in CUTTING:
        _note_outage(course, found, lane.began_ms, ended_ms)
    for second in course.seconds:
        if lane.began_ms - 1_000 < second.at_ms <= until_ms:
            found.late += second.late
            found.repaired += second.repaired
            found.lag_ms = max(found.lag_ms, second.lag_ms)
    found.states = [one.state for one in course.states if lane.began_ms <= one.at_ms <= until_ms]
    return found


def _signs(course: Course, lane: FaultLane, family: str, until_ms: int) -> list[tuple[int, str]]:
    """What a fault of that family shows on screen between two moments, with its moments."""
    signs: list[tuple[int, str]] = []
    began_ms = lane.began_ms
    if lane.affected == 0 and family not in CUTTING:
        return []  # what is on screen is another fault's; refused connections are not counted
    if family in CUTTING:
        signs += [
            (one.at_ms, one.state) for one in course.states if one.state not in ("live", "quiet")
        ]
    if family in ("cloudwatch", "cluster"):
        signs += [
            (one.at_ms, f"CloudWatch {one.state.replace('_', ' ')}")
            for one in course.upstream
            if one.state != "ok"
        ]
    if family != "network":
        for second in course.seconds:
            # Where in its second a line arrived is not known; it was not before the fault.
            at_ms = max(second.at_ms, began_ms) if second.at_ms + 1_000 > began_ms else second.at_ms
            signs += [(at_ms, "late lines")] if second.late else []
            signs += [(at_ms, "repaired lines")] if second.repaired else []
    return [one for one in signs if began_ms <= one[0] <= until_ms]


def _note_outage(course: Course, found: Reaction, began_ms: int, ended_ms: int) -> None:
    """Note when the viewer was cut by a fault, and when it was connected again."""
    cuts = [
        (low, high)
        for low, high in _cuts(course.states)
        if low <= ended_ms + SETTLE_MS and (high is None or high > began_ms) and low >= began_ms
    ]
    if not cuts:
        return
    found.was_cut = True
    _, high = cuts[-1]
    if high is not None:
        found.reconnected_ms = max(0, high - ended_ms)
    found.recovered = sum(
        one.recovered for one in course.outages if began_ms <= one.from_ms <= ended_ms + SETTLE_MS
    )


def _cuts(states: Sequence[StateChange]) -> Iterator[tuple[int, int | None]]:
    """The stretches without a connection, after the first one was made."""
    began: int | None = None
    was_connected = False
    for change in states:
        if change.state in CONNECTED:
            if began is not None:
                yield began, change.at_ms
            began, was_connected = None, True
        elif was_connected and began is None:
            began = change.at_ms
    if began is not None:
        yield began, None


def unmet(
    expect: Expectations, course: Course, found: Sequence[Reaction], verdict: dict[str, Any]
) -> list[str]:
    """Return the expectations that the run did not meet, each as a line."""
    failures = []
    # Without an allowance, lost lines are part of the verdict.
    if expect.lost and verdict.get("lost", 0) > expect.lost:
        failures.append(f"{verdict['lost']} lines lost, {expect.lost} allowed")
    for one in found:
        bound = expect.reconnected_within_ms
        if bound is not None and one.was_cut:
            failures += _late(one, "reconnected", one.reconnected_ms, bound)
        bound = expect.verified_within_ms
        if bound is not None:
            failures += _late(one, "verified", one.verified_ms, bound)
    recovered = sum(one.recovered for one in course.outages)
    if expect.recovered_at_least is not None and recovered < expect.recovered_at_least:
        failures.append(f"{recovered} lines recovered, {expect.recovered_at_least} expected")
    seen = {one.state for one in (*course.states, *course.upstream)}
    for name in expect.states_seen:
        if (CONNECTION_STATES | CLOUDWATCH_STATES)[name] not in seen:
            failures.append(f"state {name} was not seen")
    return failures


def _late(one: Reaction, verb: str, took_ms: int | None, bound_ms: int) -> list[str]:
    if took_ms is not None and took_ms <= bound_ms:
        return []
    took = "never" if took_ms is None else f"after {took_ms / 1_000:.1f} s"
    return [f"{one.name}: {verb} {took}, {bound_ms / 1_000:g} s expected"]

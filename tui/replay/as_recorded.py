"""The status of the recorded viewer at a moment, as far as its record tells it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, TypeVar, cast

from tui.client.status import (
    QUIET_MS,
    STATE_ORDER,
    ConnectionOutage,
    GapStatus,
    LostRange,
    StateChange,
    Status,
    TargetStatus,
    UnequalRange,
)
from tui.lines.rows import Rule
from tui.lines.timeline import Timeline
from tui.replay.recording import RecordedTarget, Recording
from tui.replay.tape import Tape
from wire.messages import GapState, UpstreamState
from wire.record import TargetState

VOLUME_S: Final = 60
"""Seconds of the sparkline."""

RATE_S: Final = 5
"""Seconds that the mean rate is of."""

HISTORY_MAX: Final = 200
"""Newest changes of state, outages and connections in a status."""

_UPSTREAM: Final = ("ok", "delayed", "throttled", "unreachable")

_T = TypeVar("_T")


def status_at(recording: Recording, timeline: Timeline, at_ms: int) -> Status:
    """Return the status at a moment; the timeline shows the rows of that moment."""
    tape = recording.tape
    rules = tape.rules(at_ms)
    targets = tuple(
        _target_status(number, one, rules, at_ms, tape)
        for number, one in enumerate(recording.targets)
    )
    known = [one.complete_through_ms for one in targets if one.complete_through_ms is not None]
    through = min(known) if known and len(known) == len(targets) else None
    is_record = recording.kind == "record"
    volume = tape.by_second(at_ms, VOLUME_S)
    lags = [one.lag_ms for one in targets if one.lag_ms is not None]
    return Status(
        at_ms=at_ms,
        targets=targets,
        state=min((one.state for one in targets), key=STATE_ORDER.index, default="ended"),
        complete_through_ms=through,
        provisional=sum(one.provisional for one in targets) if is_record else 0,
        missing=sum(one.missing for target in targets for one in target.unequal),
        gaps=tuple(gap for one in targets for gap in one.gaps),
        lost=tuple(lost for one in targets for lost in one.lost),
        unequal=tuple(unequal for one in targets for unequal in one.unequal),
        lag_ms=max(lags, default=None),
        rate_per_s=sum(volume[-RATE_S - 1 : -1]) / RATE_S,
        volume=volume,
        lines=timeline.lines,
        evicted=0,
        evicted_through_ms=None,
        events=timeline.lines,
        duplicates=0,
        late=sum(one.late for one in targets),
        repaired=sum(one.repaired for one in targets),
        unconfirmed=sum(one.unconfirmed for one in targets),
        altered=_altered(recording, at_ms),
    )


def _altered(recording: Recording, at_ms: int) -> int:
    """Number of lines that had another text at CloudWatch."""
    if not any(one.altered for one in recording.targets):  # a record of an earlier version
        return sum(text.timestamp <= at_ms for text in recording.altered.values())
    found = [_until(one.altered, at_ms, "at") for one in recording.targets]
    return sum(changes[-1].count for changes in found if changes)


def _target_status(
    number: int, target: RecordedTarget, rules: Sequence[Rule], at_ms: int, tape: Tape
) -> TargetStatus:
    states = _until(target.states, at_ms, "at_ms")
    verified = _until(target.verified, at_ms, "at")
    upstream = _until(target.upstream, at_ms, "at")
    marks = _until(target.marks, at_ms, "scanned_at_ms")
    seconds = _until(target.seconds, at_ms, "at")
    connections = _until(target.connections, at_ms, "at_ms")
    own = [one for one in rules if one.target == number]
    # The viewer connected before its first change; a log, or a record without states, has none.
    state: TargetState = "connecting" if target.states else "ended"
    state = states[-1].state if states else state
    if state == "live" and at_ms - (tape.last_line_ms(number, at_ms) or 0) > QUIET_MS:
        state = "quiet"  # records do not have that change
    through = verified[-1].through if verified else None
    # Only changes are recorded, from ok.
    code = upstream[-1].state if upstream else "ok" if connections else ""
    reason = upstream[-1].reason if upstream else ""
    is_named = code in _UPSTREAM
    lag = seconds[-1].lag if seconds and at_ms - seconds[-1].at < RATE_S * 1_000 else None
    unequal = tuple(_unequal(number, one) for one in own if one.kind == "unequal" and _is_open(one))
    return TargetStatus(
        target=number,
        name=target.name or target.group or target.url,
        url=target.url,
        group=target.group,
        pattern=target.pattern,
        state=state,
        state_since_ms=states[-1].at_ms if states else at_ms,
        detail=_detail(target, states, at_ms),
        attempt=0,
        retry_at_ms=None,
        progress=None,
        epoch=connections[-1].epoch if connections else None,
        after=None,
        head_seq=None,
        generation=len(connections),
        since_ms=target.since_ms,
        complete_through_ms=through,
        provisional=tape.newer(number, through, at_ms),
        missing=sum(one.missing for one in unequal),
        unequal=unequal,
        gaps=tuple(_gap(number, one) for one in own if one.kind == "gap"),
        lost=tuple(
            LostRange(number, one.from_ms, one.through_ms or one.from_ms, one.reason)
            for one in own
            if one.kind == "lost"
        ),
        events=tape.count("all", number, at_ms),
        unconfirmed=tape.count("unconfirmed", number, at_ms),
        duplicates=0,
        late=tape.count("late", number, at_ms),
        repaired=tape.count("repair", number, at_ms),
        marks=len(marks),
        marks_unequal=sum(not one.equal for one in marks),
        last_mark=marks[-1] if marks else None,
        malformed=0,
        upstream=cast("UpstreamState", code) if is_named else None,
        upstream_lag_ms=None,
        lag_ms=lag,
        rate_per_s=0.0,
        ends=tuple(target.ends) if any(one.kind == "end" for one in own) else (),
        history=tuple(states[-HISTORY_MAX:]),
        outages=_outages(target, at_ms),
        connections=tuple(connections[-HISTORY_MAX:]),
        upstream_code="" if is_named else code,
        upstream_reason="" if is_named else reason,
    )


def _detail(target: RecordedTarget, states: Sequence[StateChange], at_ms: int) -> str:
    """The words beside the state; records of earlier versions have only those of its beginning."""
    if not target.details:
        return states[-1].detail if states else ""
    details = _until(target.details, at_ms, "at")
    return details[-1].detail if details else ""


def _outages(target: RecordedTarget, at_ms: int) -> tuple[ConnectionOutage, ...]:
    """The outages that had begun, those of the moment without their end."""
    begun = [one for one in target.outages if one.began_ms <= at_ms][-HISTORY_MAX:]
    return tuple(
        one
        if one.ended_ms is not None and one.ended_ms <= at_ms
        else ConnectionOutage(one.began_ms, None, one.code, one.reason, None, None)
        for one in begun
    )


def _is_open(rule: Rule) -> bool:
    return rule.state != "verified"


def _unequal(number: int, rule: Rule) -> UnequalRange:
    through = rule.from_ms if rule.through_ms is None else rule.through_ms
    return UnequalRange(number, rule.from_ms, through, rule.count or 0, final=True)


def _gap(number: int, rule: Rule) -> GapStatus:
    through = rule.from_ms if rule.through_ms is None else rule.through_ms
    state = cast("GapState", rule.state or "suspected")
    return GapStatus(number, "", rule.from_ms, through, state, rule.reason, rule.count or 0)


def _until(entries: Sequence[_T], at_ms: int, time: str) -> Sequence[_T]:
    """The entries through a moment; ``time`` is the field with theirs."""
    return entries[: bisect_right(entries, at_ms, key=attrgetter(time))]

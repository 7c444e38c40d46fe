"""Each target's state, outages and rules (the lines between log lines), and the status snapshot.

``TargetHistory`` records what the connection, the polling and the session report; it decides
nothing. Pure; times are the viewer's wall clock, ms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from tui.client.course import Course
from tui.client.saved import PreviousRun
from tui.client.session import ViewerSession
from tui.client.status import (
    QUIET_MS,
    STATE_ORDER,
    BackfillProgress,
    CaughtUp,
    ConnectionEntry,
    ConnectionOutage,
    Effect,
    EndStatus,
    GapStatus,
    LostRange,
    MarkStatus,
    Phase,
    Rebased,
    StateChange,
    Status,
    Stored,
    TargetStatus,
    UnequalRange,
    UpstreamProblem,
    Welcomed,
)
from tui.lines.rows import Rule, rule_key, time_key, time_of
from tui.lines.timeline import Timeline
from wire.order import timestamp_of
from wire.record import RuleKind, TargetState

LAG_MS: Final = 10_000
"""How long a measured lag is shown."""

HISTORY_MAX: Final = 200
OUTAGES_MAX: Final = 100
CONNECTIONS_MAX: Final = 200
RULES_MAX: Final = 10_000
"""Rules that may still change; an older one stays on screen as it is."""

_VOLUME_S: Final = 60
_RATE_S: Final = 5


class EventRate:
    """Events received in each of the last 60 seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_VOLUME_S)

    def count_events(self, count: int, now_ms: int) -> None:
        """Add newly received events to the present second."""
        second = now_ms // 1000
        if self._seconds and self._seconds[-1][0] >= second:
            last, before = self._seconds[-1]
            self._seconds[-1] = (last, before + count)
        else:
            self._seconds.append((second, count))

    def by_second(self, now_ms: int) -> tuple[int, ...]:
        """One number per second, newest last, the present second included."""
        counts = dict(self._seconds)
        first = now_ms // 1000 - _VOLUME_S + 1
        return tuple(counts.get(second, 0) for second in range(first, first + _VOLUME_S))

    def per_second(self, now_ms: int) -> float:
        """Mean of the last 5 whole seconds."""
        return sum(self.by_second(now_ms)[-_RATE_S - 1 : -1]) / _RATE_S


class TargetHistory:
    """One target's past and present state, for the status and for the rules among its lines.

    Args:
        target: The target's number.
        rule_numbers: Numbers the rules, so that no two of any target have the same key.
        previous: The lines of the earlier run that this one resumes.

    Attributes:
        received: Rate of all new events.
        backfilled: Rate of the new events that came as backfill.
        state_changes: Newest last, bounded, as are ``connections`` and ``outages``.
        connections: Connections that a forwarder accepted.
        course: What the target showed second by second.
        is_polling: Whether the last round of polling brought lines.
        has_failed: Whether the forwarder forbade reconnecting.
        was_connected: Whether lines could be received at any time, by WebSocket or by polling.
        was_reached: Whether a connection to the forwarder was open at any time, even if it was
            cut before ``welcome``.
        is_over: Whether every requested execution has ended, or the viewer was stopped.
    """

    def __init__(
        self,
        target: int,
        session: ViewerSession,
        rule_numbers: Iterator[int],
        previous: PreviousRun | None = None,
    ) -> None:
        self.received = EventRate()
        self.backfilled = EventRate()
        self.state_changes: deque[StateChange] = deque(maxlen=HISTORY_MAX)
        self.connections: deque[ConnectionEntry] = deque(maxlen=CONNECTIONS_MAX)
        self.course = Course(target)
        self.detail = ""
        self.attempt = 0
        self.retry_at_ms: int | None = None
        self.state_since_ms = 0
        self.malformed = 0
        self.was_connected = False
        self.was_reached = False
        self.is_over = False
        self._target = target
        self._session = session
        self._rule_numbers = rule_numbers
        self._previous = previous
        self._is_live = False
        self.is_polling = False
        self.has_failed = False
        self._state: TargetState = "connecting"
        self.outages: deque[ConnectionOutage] = deque(maxlen=OUTAGES_MAX)
        self._outage_lines = 0
        self._outage_key = 0
        self._rules: dict[str, Rule] = {}
        self._last_line_ms = 0
        self._lag: tuple[int, int] | None = None

    # Events; each returns the rules that are new or changed

    def attempt_began(self, attempt: int, now_ms: int) -> None:
        """Record that a connection attempt began."""
        self.attempt, self.retry_at_ms = attempt, None
        self._record_state(now_ms)

    def attempt_ended(
        self, reason: str, code: int | None, wait_ms: int, *, final: bool, now_ms: int
    ) -> list[Rule]:
        """Record a failed attempt or the end of a connection, which begins an outage."""
        self.detail, self.has_failed = reason, final
        self.retry_at_ms = None if final else now_ms + wait_ms
        rules = self._begin_outage(reason, code, now_ms) if self._is_live else []
        self._is_live = False
        self._record_state(now_ms)
        return rules

    def round_ended(self, failure: str | None, now_ms: int) -> list[Rule]:
        """Record the end of a polling round, which begins or ends an outage."""
        rules = []
        was_polling, self.is_polling = self.is_polling, failure is None
        if failure is not None:
            self.detail = failure
            rules = self._begin_outage(failure, None, now_ms) if was_polling else []
        else:
            self.was_connected = True
            rules = self._end_outage(None, now_ms)
            rules += self._count_recovered(self._outage_lines) if self.outages else []
        self._record_state(now_ms)
        self._record_course(now_ms)
        return rules

    def take_effects(self, effects: list[Effect], now_ms: int) -> list[Rule]:
        """Record what a message or a polled response has brought."""
        rules: list[Rule] = []
        for effect in effects:
            match effect:
                case Stored():
                    self._count_stored(effect, now_ms)
                    rules += self._count_recovered_later(effect)
                case Welcomed(outcome, epoch):
                    self.connections.append(ConnectionEntry(now_ms, outcome, epoch))
                    self._is_live = self.was_connected = True
                    self.is_polling, self.detail = False, ""
                    self.attempt, self.retry_at_ms = 0, None
                    rules += self._end_outage(effect, now_ms)
                case CaughtUp():
                    # The session does not count what came by polling, or by a connection
                    # that was cut again before it had caught up.
                    lines = self._outage_lines if self.outages else 0
                    rules += self._count_recovered(max(effect.recovered, lines))
                case _:
                    rules += self._rules_of(effect, now_ms)
        self._record_state(now_ms)
        self._record_course(now_ms)
        return rules

    # State

    def live_per_second(self, now_ms: int) -> float:
        """Mean rate of new events over the last seconds, without those that came as backfill."""
        return max(0.0, self.received.per_second(now_ms) - self.backfilled.per_second(now_ms))

    def lag_ms(self, now_ms: int) -> int | None:
        """From the newest live event's timestamp to its arrival."""
        if self._lag is None or now_ms - self._lag[0] > LAG_MS:
            return None
        return self._lag[1]

    def state(self, now_ms: int) -> TargetState:
        """Derive the target's state from its session, its polling and the time."""
        session = self._session
        if self.has_failed:
            return "failed"
        if self.is_over:
            return "ended"
        if session.is_welcomed:
            if not session.is_backfilled:
                return "backfilling"
            return "quiet" if now_ms - self._last_line_ms > QUIET_MS else "live"
        if self.is_polling:
            return "polling"
        return "reconnecting" if self.was_connected or self.attempt > 1 else "connecting"

    @property
    def hears_of_cloudwatch(self) -> bool:
        """Whether heartbeats, or else polls, bring the state of CloudWatch at present."""
        return self._session.is_welcomed or self.is_polling

    @property
    def problem(self) -> UpstreamProblem | None:
        """What keeps the forwarder from reading CloudWatch; None where that is not known now."""
        return self._session.report.problem if self.hears_of_cloudwatch else None

    def _record_state(self, now_ms: int) -> None:
        """Record a change of state, except between live and quiet."""
        self.course.note_detail(self.detail, now_ms)
        state = self.state(now_ms)
        if state == "quiet":
            state = "live"
        if state != self._state or not self.state_changes:
            self._state = state
            self.state_since_ms = now_ms
            self.state_changes.append(StateChange(now_ms, state, self.detail))

    def _record_course(self, now_ms: int) -> None:
        session = self._session
        self.course.note_verified(session.holdings.proof.complete_through, now_ms)
        self.course.note_altered(session.altered.count, now_ms)
        upstream = session.report.upstream
        if self.hears_of_cloudwatch and upstream is not None:
            self.course.note_upstream(upstream.code or upstream.state, upstream.reason, now_ms)

    def _count_stored(self, stored: Stored, now_ms: int) -> None:
        if not stored.lines:
            return
        self.received.count_events(len(stored.lines), now_ms)
        self.course.count_lines(stored.lines, now_ms)
        backfilled = [line.origin for line in stored.lines].count("backfill")
        self.backfilled.count_events(backfilled, now_ms)
        self._last_line_ms = now_ms
        self._outage_lines += len(stored.lines)
        if self._session.is_backfilled:
            newest = time_of(max([line.key for line in stored.lines]))
            self._lag = (now_ms, max(0, now_ms - newest))

    # Rules

    def _rules_of(self, effect: Effect, now_ms: int) -> list[Rule]:
        since = self._session.requested_since or 0
        match effect:
            case GapStatus() as gap:
                at, last = max(gap.from_ms, since), gap.through_ms
                rule = self._rule("gap", gap.id, at, last, gap.state, gap.reason, gap.recovered)
            case LostRange() as lost:
                name = f"{lost.from_ms}..{lost.through_ms}"
                at = max(lost.from_ms, since)
                rule = self._rule("lost", name, at, lost.through_ms, reason=lost.reason)
            case UnequalRange() as one if one.final:
                name = f"{one.from_ms}..{one.through_ms}"
                rule = self._rule("unequal", name, one.from_ms, one.through_ms, count=one.missing)
            case Rebased():
                rule = self._rule("rebased", str(effect.era), now_ms, now_ms, reason=effect.reason)
            case EndStatus() as end:
                reason = f"execution {end.execution}" + ("" if end.equal else " (not verified yet)")
                rule = self._rule(
                    "end", end.execution, end.through_ms + 1, None, end.status, reason
                )
            case MarkStatus(equal=True):
                return self._verified_after_all()
            case _:
                return []
        return [rule]

    def _verified_after_all(self) -> list[Rule]:
        """The rules of ranges that were given up and that a later mark has verified."""
        unequal = [
            rule for rule in self._rules.values() if rule.kind == "unequal" and not rule.state
        ]
        if not unequal:
            return []
        still = self._session.holdings.proof.unequal
        rules = []
        for rule in unequal:
            if not any(
                one.from_ms <= (rule.through_ms or 0) and rule.from_ms <= one.through_ms
                for one in still
            ):
                rules.append(msgspec.structs.replace(rule, state="verified"))
                self._rules[f"unequal {rule.from_ms}..{rule.through_ms}"] = rules[-1]
        return rules

    def _rule(
        self,
        kind: RuleKind,
        name: str,
        at_ms: int,
        through_ms: int | None,
        state: str = "",
        reason: str = "",
        count: int | None = None,
    ) -> Rule:
        """Make a rule, or change it in its place if there is one of this kind and name."""
        known = self._rules.get(f"{kind} {name}")
        rule = Rule(
            key=known.key if known else rule_key(at_ms, next(self._rule_numbers)),
            kind=kind,
            target=self._target,
            from_ms=at_ms,
            through_ms=through_ms,
            state=state,
            reason=reason,
            count=count,
        )
        self._rules[f"{kind} {name}"] = rule
        if len(self._rules) > RULES_MAX:
            del self._rules[next(iter(self._rules))]
        return rule

    # Outages

    def _begin_outage(self, reason: str, code: int | None, now_ms: int) -> list[Rule]:
        """Begin an outage, as lines come neither by WebSocket nor by polling."""
        if not self.outages or self.outages[-1].recovered is not None:
            self._outage_lines = 0  # else the lines of the outage before are not all here yet
        self.outages.append(ConnectionOutage(now_ms, None, code, reason, None, None))
        self._outage_key = rule_key(now_ms, next(self._rule_numbers))
        return [self._offline_rule()]

    def _end_outage(self, welcomed: Welcomed | None, now_ms: int) -> list[Rule]:
        """End the outage, if there is one, as lines come again."""
        if not self.outages or self.outages[-1].ended_ms is not None:
            return []
        outcome = None if welcomed is None else welcomed.outcome
        ended = msgspec.structs.replace(self.outages[-1], ended_ms=now_ms, outcome=outcome)
        self.outages[-1] = ended
        return [self._offline_rule()]

    def _count_recovered(self, lines: int) -> list[Rule]:
        """Count the lines from the time without connection, once all of them are here."""
        if not self.outages:
            return [self._resumed_rule(lines)] if lines else []
        if self.outages[-1].recovered is not None:
            return []
        self.outages[-1] = msgspec.structs.replace(self.outages[-1], recovered=lines)
        return [self._offline_rule()]

    def _count_recovered_later(self, stored: Stored) -> list[Rule]:
        """Count lines of the last outage that the forwarder itself had not found by its end."""
        last = self.outages[-1] if self.outages else None
        if last is None or last.recovered is None or last.ended_ms is None:
            return []
        low, high = time_key(last.began_ms), time_key(last.ended_ms + 1)
        lines = sum(low <= line.key < high for line in stored.lines)
        if not lines:
            return []
        self.outages[-1] = msgspec.structs.replace(last, recovered=last.recovered + lines)
        return [self._offline_rule()]

    def _resumed_rule(self, lines: int) -> Rule:
        """Make the rule that says where this run resumed, below the earlier run's lines."""
        previous = self._previous
        at_ms = self._session.since or 0 if previous is None else previous.newest_ms + 1
        rule = self._rule("resumed", "", at_ms, None, count=lines)
        if previous is None:
            return rule
        return msgspec.structs.replace(rule, from_ms=previous.left_ms)

    def _offline_rule(self) -> Rule:
        outage = self.outages[-1]
        return Rule(
            key=self._outage_key,
            kind="offline",
            target=self._target,
            from_ms=outage.began_ms,
            through_ms=outage.ended_ms,
            reason=outage.reason,
            count=outage.recovered,
        )


class TargetParts(NamedTuple):
    """The parts of one target from which its status is made."""

    name: str
    group: str | None
    url: str
    session: ViewerSession
    history: TargetHistory
    phase: Phase = "here"
    absent_ms: int | None = None
    is_listed: bool = False

    @property
    def verified_ms(self) -> int | None:
        """The time through which it is verified; while it joins, the time it did not exist."""
        through = self.session.holdings.proof.complete_through
        return self.absent_ms if through is None and self.phase == "joining" else through


def verified_through(throughs: Sequence[int | None], listed: Sequence[int | None]) -> int | None:
    """Return the time through which everything that matches is verified, ms; None without one.

    Args:
        throughs: Of each target that counts, the time through which it is verified.
        listed: Of each source, the time through which all of its groups are known.
    """
    known = [one for one in throughs if one is not None]
    if not known or len(known) < len(throughs):
        return None
    return min([*known, *(one for one in listed if one is not None)])


def make_status(
    parts: Sequence[TargetParts],
    timeline: Timeline,
    now_ms: int,
    *,
    listed: Sequence[int | None] = (),
    waiting: tuple[str, ...] = (),
    unlisted: str = "",
) -> Status:
    """Make a snapshot of all targets together.

    Args:
        parts: The targets.
        timeline: The merged rows.
        now_ms: The present.
        listed: Of each pattern, the time through which all of its log groups are known.
        waiting: Patterns that match no log group yet.
        unlisted: Why the log groups that match can't be listed now.
    """
    targets = tuple(_target_status(number, one, now_ms) for number, one in enumerate(parts))
    counted = [one for one in targets if one.phase == "here"] or targets
    floors = [one.uncompared_ms for one in targets if one.uncompared_ms is not None]
    lags = [one.lag_ms for one in targets if one.lag_ms is not None]
    received = [one.history.received.by_second(now_ms) for one in parts]
    backfilled = [one.history.backfilled.by_second(now_ms) for one in parts]
    return Status(
        at_ms=now_ms,
        targets=targets,
        state=min((one.state for one in counted), key=STATE_ORDER.index, default="connecting"),
        complete_through_ms=verified_through(
            [one.verified_ms for one in parts if one.phase != "left"], listed
        ),
        provisional=sum(one.provisional for one in targets if one.phase != "left"),
        missing=sum(one.missing for one in targets),
        gaps=tuple(gap for one in targets for gap in one.gaps),
        lost=tuple(lost for one in targets for lost in one.lost),
        unequal=tuple(unequal for one in targets for unequal in one.unequal),
        lag_ms=max(lags, default=None),
        rate_per_s=sum(one.rate_per_s for one in targets),
        volume=tuple(map(sum, zip(*received, strict=True))),
        volume_backfill=tuple(map(sum, zip(*backfilled, strict=True))),
        lines=timeline.lines,
        evicted=timeline.evicted,
        evicted_through_ms=timeline.evicted_through_ms,
        events=sum(one.events for one in targets),
        duplicates=sum(one.duplicates for one in targets),
        late=sum(one.late for one in targets),
        repaired=sum(one.repaired for one in targets),
        unconfirmed=sum(one.unconfirmed for one in targets),
        altered=sum(one.altered for one in targets),
        uncompared_ms=max(floors, default=None),
        waiting=waiting,
        unlisted=unlisted,
    )


def _target_status(number: int, parts: TargetParts, now_ms: int) -> TargetStatus:
    session, history = parts.session, parts.history
    holdings, report = session.holdings, session.report
    proof, tally, counts = holdings.proof, holdings.tally, holdings.counts
    through = proof.complete_through
    problem = history.problem
    if problem is not None and parts.is_listed and problem.code == "group_missing":
        problem = None  # the next listings say that it has left
    return TargetStatus(
        target=number,
        name=parts.name or parts.group or parts.url,
        url=parts.url,
        group=parts.group,
        pattern=session.event_filter.pattern,
        state=history.state(now_ms),
        state_since_ms=history.state_since_ms,
        detail=history.detail,
        attempt=history.attempt,
        retry_at_ms=history.retry_at_ms,
        progress=_progress(session),
        epoch=session.epoch,
        after=None if session.epoch is None else session.after,
        head_seq=report.head_seq,
        generation=session.generation,
        since_ms=session.since,
        complete_through_ms=through,
        provisional=_provisional(session, through),
        missing=sum(one.missing for one in proof.unequal),
        unequal=proof.unequal,
        gaps=proof.gaps,
        lost=proof.lost,
        events=counts.events,
        unconfirmed=tally.unconfirmed,
        duplicates=counts.duplicates,
        late=counts.late,
        repaired=counts.repaired,
        marks=counts.marks,
        marks_unequal=counts.marks_unequal,
        last_mark=holdings.last_mark,
        malformed=history.malformed,
        upstream=report.upstream.state if report.upstream else None,
        upstream_code="" if problem is None else problem.code,
        upstream_reason="" if problem is None else problem.reason,
        upstream_lag_ms=report.upstream.lag_ms if report.upstream else None,
        lag_ms=history.lag_ms(now_ms),
        rate_per_s=history.live_per_second(now_ms),
        ends=holdings.ends,
        history=tuple(history.state_changes),
        outages=tuple(history.outages),
        connections=tuple(history.connections),
        uncompared_ms=holdings.uncompared_ms,
        altered=session.altered.count,
        phase=parts.phase,
    )


def _provisional(session: ViewerSession, through: int | None) -> int:
    """Number of lines after what is verified, and of older ones that are being fetched."""
    tally, since = session.holdings.tally, session.since
    if through is None:
        return len(tally)
    newer = tally.count_above(time_key(through + 1) - 1)
    if since is None or since == session.requested_since:
        return newer
    return newer + len(tally) - tally.count_above(time_key(since) - 1)


def _progress(session: ViewerSession) -> BackfillProgress | None:
    if not session.is_welcomed or session.is_backfilled:
        return None
    report, held = session.report, session.held
    edge = None
    if held is not None:
        edge = held.low if session.history == "newest" else held.high
    reached_ms = None if edge is None else timestamp_of(edge)
    return BackfillProgress(report.backfill_received, report.backfill_total, reached_ms)

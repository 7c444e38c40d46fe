"""One target's story: its state, what happened to it, and the rules that say so in the list. Pure.

It is told what its connection and its polling do, and what the session made of it; it never
decides what happens next. Times are the viewer's wall clock, ms.

The status as a snapshot, from what the sessions and their stories know. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from tui.client.saved import Seen
from tui.client.session import ViewerSession
from tui.client.status import (
    STATE_ORDER,
    BackfillProgress,
    CaughtUp,
    ConnectionEntry,
    Effect,
    ExecutionEnded,
    GapChanged,
    LossDeclared,
    Marked,
    Outage,
    RangeUnequal,
    Rebased,
    StateChange,
    Status,
    Stored,
    TargetState,
    TargetStatus,
    Welcomed,
)
from tui.lines.rows import Rule, RuleKind, rule_key, time_key, time_of
from tui.lines.timeline import Timeline
from wire.order import timestamp_of

QUIET_MS: Final = 10_000
"""Live without a new line for so long is called quiet."""

LAG_MS: Final = 10_000
"""A lag is shown for so long after the line that it was measured by."""

HISTORY_MAX: Final = 200
OUTAGES_MAX: Final = 100
CONNECTIONS_MAX: Final = 200
RULES_MAX: Final = 10_000
"""Rules that may still change; an older one stays in the list as it is."""

_VOLUME_S: Final = 60
_RATE_S: Final = 5


class Volume:
    """Events received in each of the last 60 seconds."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_VOLUME_S)

    def add(self, count: int, now_ms: int) -> None:
        """So many events came now."""
        second = now_ms // 1000
        if self._seconds and self._seconds[-1][0] >= second:
            last, before = self._seconds[-1]
            self._seconds[-1] = (last, before + count)
        else:
            self._seconds.append((second, count))

    def seconds(self, now_ms: int) -> tuple[int, ...]:
        """One number a second, newest last, the present second included."""
        counts = dict(self._seconds)
        first = now_ms // 1000 - _VOLUME_S + 1
        return tuple(counts.get(second, 0) for second in range(first, first + _VOLUME_S))

    def rate(self, now_ms: int) -> float:
        """Events a second over the last 5 whole seconds."""
        return sum(self.seconds(now_ms)[-_RATE_S - 1 : -1]) / _RATE_S


class Story:
    """What the status and the rules of one target are made of.

    Args:
        target: Its number.
        session: Its session.
        number: Gives each rule a number of its own.

    """

    def __init__(self, target: int, session: ViewerSession, number: Callable[[], int]) -> None:
        """Create the story of a target that has not connected yet."""
        self.volume = Volume()
        self.past = Volume()
        """Of those, what came because the past was asked for."""
        self.history: deque[StateChange] = deque(maxlen=HISTORY_MAX)
        self.detail = ""
        self.attempt = 0
        self.retry_at_ms: int | None = None
        self.state_since_ms = 0
        self.malformed = 0
        self.was_connected = False
        """Whether lines could be had at any time, whichever way."""
        self.is_over = False
        """Whether every execution asked for has ended, or the viewer was stopped."""
        self.seen: Seen | None = None
        """What an earlier run had, where this one goes on."""
        self._target = target
        self._session = session
        self._number = number
        self._is_live = False
        self._is_polling = False
        self._failed = False
        self._state: TargetState = "connecting"
        self._outages: deque[Outage] = deque(maxlen=OUTAGES_MAX)
        self.connections: deque[ConnectionEntry] = deque(maxlen=CONNECTIONS_MAX)
        """Newest last."""
        self._outage_lines = 0
        self._outage_key = 0
        self._rules: dict[str, Rule] = {}
        self._last_line_ms = 0
        self._lag: tuple[int, int] | None = None

    # What happens

    def connecting(self, attempt: int, now_ms: int) -> None:
        """An attempt begins."""
        self.attempt, self.retry_at_ms = attempt, None
        self._note(now_ms)

    def disconnected(
        self, reason: str, code: int | None, wait_ms: int, *, final: bool, now_ms: int
    ) -> list[Rule]:
        """An attempt ended, or a connection."""
        self.detail, self._failed = reason, final
        self.retry_at_ms = None if final else now_ms + wait_ms
        rules = self._lost_touch(reason, code, now_ms) if self._is_live else []
        self._is_live = False
        self._note(now_ms)
        return rules

    def polled(self, failure: str | None, now_ms: int) -> list[Rule]:
        """A round that was to bring lines is over."""
        rules = []
        was_polling, self._is_polling = self._is_polling, failure is None
        if failure is not None:
            self.detail = failure
            rules = self._lost_touch(failure, None, now_ms) if was_polling else []
        else:
            self.was_connected = True
            rules = self._back(None, now_ms)
            rules += self._recovered(self._outage_lines) if self._outages else []
        self._note(now_ms)
        return rules

    def happened(self, effects: list[Effect], now_ms: int) -> list[Rule]:
        """The session took in a message, or an answer to a poll."""
        rules: list[Rule] = []
        for effect in effects:
            match effect:
                case Stored():
                    self._stored(effect, now_ms)
                case Welcomed(outcome, epoch):
                    self.connections.append(ConnectionEntry(now_ms, outcome, epoch))
                    self._is_live = self.was_connected = True
                    self._is_polling, self.detail = False, ""
                    self.attempt, self.retry_at_ms = 0, None
                    rules += self._back(effect, now_ms)
                case CaughtUp():
                    rules += self._recovered(effect.recovered)
                case _:
                    rules += self._told(effect, now_ms)
        self._note(now_ms)
        return rules

    # What it comes to

    @property
    def outages(self) -> tuple[Outage, ...]:
        """Disconnections, newest last."""
        return tuple(self._outages)

    @property
    def is_polling(self) -> bool:
        """Whether the last round of polling brought lines."""
        return self._is_polling

    @property
    def has_failed(self) -> bool:
        """Whether the forwarder said not to come back."""
        return self._failed

    def lag_ms(self, now_ms: int) -> int | None:
        """From the newest live event's timestamp to its arrival."""
        if self._lag is None or now_ms - self._lag[0] > LAG_MS:
            return None
        return self._lag[1]

    def state(self, now_ms: int) -> TargetState:
        """The state that it is in."""
        session = self._session
        if self._failed:
            return "failed"
        if self.is_over:
            return "ended"
        if session.is_welcomed:
            if not session.is_backfilled:
                return "backfilling"
            return "quiet" if now_ms - self._last_line_ms > QUIET_MS else "live"
        if self._is_polling:
            return "polling"
        return "reconnecting" if self.was_connected or self.attempt > 1 else "connecting"

    def _note(self, now_ms: int) -> None:
        """Keep changes of state, but not those between live and quiet."""
        state = self.state(now_ms)
        if state == "quiet":
            state = "live"
        if state != self._state or not self.history:
            self._state = state
            self.state_since_ms = now_ms
            self.history.append(StateChange(now_ms, state, self.detail))

    def _stored(self, stored: Stored, now_ms: int) -> None:
        if not stored.lines:
            return
        self.volume.add(len(stored.lines), now_ms)
        self.past.add([line.origin for line in stored.lines].count("backfill"), now_ms)
        self._last_line_ms = now_ms
        self._outage_lines += len(stored.lines)
        if self._session.is_backfilled:
            newest = time_of(max([line.key for line in stored.lines]))
            self._lag = (now_ms, max(0, now_ms - newest))

    def _told(self, effect: Effect, now_ms: int) -> list[Rule]:
        since = self._session.since or 0
        match effect:
            case GapChanged(gap):
                at, last = max(gap.from_ms, since), gap.through_ms
                rule = self._rule("gap", gap.id, at, last, gap.state, gap.reason, gap.recovered)
            case LossDeclared(lost):
                name = f"{lost.from_ms}..{lost.through_ms}"
                at = max(lost.from_ms, since)
                rule = self._rule("lost", name, at, lost.through_ms, reason=lost.reason)
            case RangeUnequal(range=one) if one.final:
                name = f"{one.from_ms}..{one.through_ms}"
                rule = self._rule("unproved", name, one.from_ms, one.through_ms, count=one.missing)
            case Rebased():
                rule = self._rule("rebased", str(effect.era), now_ms, now_ms, reason=effect.reason)
            case ExecutionEnded(end):
                reason = f"execution {end.execution}" + ("" if end.equal else " (not proved yet)")
                rule = self._rule(
                    "end", end.execution, end.through_ms + 1, None, end.status, reason
                )
            case Marked(mark) if mark.equal:
                return self._proved_after_all()
            case _:
                return []
        return [rule]

    def _proved_after_all(self) -> list[Rule]:
        """Ranges that were given up, and that a later mark has proved."""
        unproved = [
            rule for rule in self._rules.values() if rule.kind == "unproved" and not rule.state
        ]
        if not unproved:
            return []
        still = self._session.holdings.proof.unequal
        rules = []
        for rule in unproved:
            if not any(
                one.from_ms <= (rule.through_ms or 0) and rule.from_ms <= one.through_ms
                for one in still
            ):
                rules.append(msgspec.structs.replace(rule, state="proved"))
                self._rules[f"unproved {rule.from_ms}..{rule.through_ms}"] = rules[-1]
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
        """A rule that stays in its place whatever is said of it later."""
        known = self._rules.get(f"{kind} {name}")
        rule = Rule(
            key=known.key if known else rule_key(at_ms, self._number()),
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

    def _lost_touch(self, reason: str, code: int | None, now_ms: int) -> list[Rule]:
        """No line can be had any more, whichever way."""
        self._outages.append(Outage(now_ms, None, code, reason, None, None))
        self._outage_lines = 0
        self._outage_key = rule_key(now_ms, self._number())
        return [self._offline_rule()]

    def _back(self, welcomed: Welcomed | None, now_ms: int) -> list[Rule]:
        """Lines can be had again."""
        if not self._outages or self._outages[-1].ended_ms is not None:
            return []
        outcome = None if welcomed is None else welcomed.outcome
        ended = msgspec.structs.replace(self._outages[-1], ended_ms=now_ms, outcome=outcome)
        self._outages[-1] = ended
        return [self._offline_rule()]

    def _recovered(self, lines: int) -> list[Rule]:
        """All that was owed for the time without connection is here."""
        if not self._outages:
            return [self._resumed_rule(lines)]
        if self._outages[-1].recovered is not None:
            return []
        self._outages[-1] = msgspec.structs.replace(self._outages[-1], recovered=lines)
        return [self._offline_rule()]

    def _resumed_rule(self, lines: int) -> Rule:
        """Below the lines of the earlier run; above every line where none of those is known."""
        seen = self.seen
        at_ms = self._session.since or 0 if seen is None else seen.newest_ms + 1
        rule = self._rule("resumed", "", at_ms, None, count=lines)
        return rule if seen is None else msgspec.structs.replace(rule, from_ms=seen.left_ms)

    def _offline_rule(self) -> Rule:
        outage = self._outages[-1]
        return Rule(
            key=self._outage_key,
            kind="offline",
            target=self._target,
            from_ms=outage.began_ms,
            through_ms=outage.ended_ms,
            reason=outage.reason,
            count=outage.recovered,
        )


class Watched(NamedTuple):
    """What is known of one target."""

    name: str
    group: str | None
    url: str
    session: ViewerSession
    story: Story


def snapshot(watched: Sequence[Watched], timeline: Timeline, now_ms: int) -> Status:
    """All targets together, at a time in ms."""
    targets = tuple(_target(number, one, now_ms) for number, one in enumerate(watched))
    throughs = [one.complete_through_ms for one in targets if one.complete_through_ms is not None]
    floors = [one.uncompared_ms for one in targets if one.uncompared_ms is not None]
    lags = [one.lag_ms for one in targets if one.lag_ms is not None]
    volumes = [one.story.volume.seconds(now_ms) for one in watched]
    pasts = [one.story.past.seconds(now_ms) for one in watched]
    return Status(
        at_ms=now_ms,
        targets=targets,
        state=min((one.state for one in targets), key=STATE_ORDER.index, default="connecting"),
        complete_through_ms=min(throughs) if throughs and len(throughs) == len(targets) else None,
        provisional=sum(one.provisional for one in targets),
        missing=sum(one.missing for one in targets),
        gaps=tuple(gap for one in targets for gap in one.gaps),
        lost=tuple(lost for one in targets for lost in one.lost),
        unequal=tuple(unequal for one in targets for unequal in one.unequal),
        lag_ms=max(lags, default=None),
        rate_per_s=sum(one.rate_per_s for one in targets),
        volume=tuple(map(sum, zip(*volumes, strict=True))),
        volume_backfill=tuple(map(sum, zip(*pasts, strict=True))),
        lines=timeline.lines,
        evicted=timeline.evicted,
        evicted_through_ms=timeline.evicted_through_ms,
        events=sum(one.events for one in targets),
        duplicates=sum(one.duplicates for one in targets),
        late=sum(one.late for one in targets),
        repaired=sum(one.repaired for one in targets),
        unconfirmed=sum(one.unconfirmed for one in targets),
        uncompared_ms=max(floors, default=None),
    )


def _target(number: int, watched: Watched, now_ms: int) -> TargetStatus:
    session, story = watched.session, watched.story
    holdings, heard = session.holdings, session.report
    proof, tally, counts = holdings.proof, holdings.tally, holdings.counts
    through = proof.complete_through
    return TargetStatus(
        target=number,
        name=watched.name or watched.group or watched.url,
        url=watched.url,
        group=watched.group,
        state=story.state(now_ms),
        state_since_ms=story.state_since_ms,
        detail=story.detail,
        attempt=story.attempt,
        retry_at_ms=story.retry_at_ms,
        progress=_progress(session),
        epoch=session.epoch,
        after=None if session.epoch is None else session.after,
        head_seq=heard.head_seq,
        generation=session.generation,
        since_ms=session.since,
        complete_through_ms=through,
        provisional=len(tally) if through is None else tally.count_above(time_key(through + 1) - 1),
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
        malformed=story.malformed,
        upstream=heard.upstream.state if heard.upstream else None,
        upstream_lag_ms=heard.upstream.lag_ms if heard.upstream else None,
        lag_ms=story.lag_ms(now_ms),
        rate_per_s=story.volume.rate(now_ms),
        ends=holdings.ends,
        history=tuple(story.history),
        outages=story.outages,
        connections=tuple(story.connections),
        uncompared_ms=holdings.uncompared_ms,
    )


def _progress(session: ViewerSession) -> BackfillProgress | None:
    if not session.is_welcomed or session.is_backfilled:
        return None
    heard, held = session.report, session.held
    edge = None
    if held is not None:
        edge = held.low if session.history == "newest" else held.high
    reached_ms = None if edge is None else timestamp_of(edge)
    return BackfillProgress(heard.backfill_received, heard.backfill_total, reached_ms)

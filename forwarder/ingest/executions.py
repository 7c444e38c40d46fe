"""Executions: when one is over by its lifecycle, and when everything that it wrote is here. Pure.

The last path component of a log stream's name names an execution. A ``Lifecycle`` says when one is
over. ``Executions`` ends it once it is drained as well: once two whole scans that began after
that, a visibility allowance apart, have found nothing new of it, and while no gap near its events
is open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, Literal, get_args

import msgspec

from common.concurrency import in_thread
from common.patterns import Pattern, PatternError, compile_pattern
from common.ranges import Range
from forwarder.errors import LifecycleError
from forwarder.records import ExecutionEnd, LogEvent
from wire.limits import END_GAP_MS
from wire.messages import ExecutionStatus, ExecutionSummary

DRAIN_MS: Final = 60_000
"""How far before an execution's last event the two scans must begin (or at its first event)."""

DRAIN_WIDTH_MS: Final = 4 * DRAIN_MS
"""Executions that ended one soon after another share their scans, up to this width."""

FRESH_MS: Final = 100_000
"""Executions whose last event is younger are drained even if no viewer names them."""

TRIES_MAX: Final = 12
"""Scans made for an execution's drain; one that keeps writing must wait for the regular ones."""

GAP_SCANS_MAX: Final = 60
"""Scans, a visibility allowance apart, for which a drained execution waits for its open gaps.

Over two minutes as a rule: within one, a lasting contradiction is declared for good [17]. The end
that is sent then is declared incomplete by the gap, which viewers have.
"""

GAP_WIDTH_MS: Final = 900_000
"""Gaps up to this width are read by the drains themselves; wider ones wait for the regular scans,
since each drain would cost as much as one of those."""

MINUTE_MS: Final = 60_000
"""Open executions are indexed by the minute of their last event.

Tens of thousands may never end, and a scan concerns only those that wrote in its range.
"""

FORGOTTEN_MS: Final = 60_000
"""Silence after which an execution is over that the external source (ECS) knows nothing of."""


Ends = Mapping[str, ExecutionStatus]
"""Ids of the events that end their executions, with the status."""


OpenGap = Callable[[int, int], Range | None]
"""Finds the open gaps that overlap a range: the range of all of them together, None: none."""


def no_gap(from_: int, through: int) -> Range | None:
    """Find no open gap."""
    del from_, through
    return None


class Lifecycle:
    """Rule for the end of an execution: a message, silence, or an external source such as ECS."""

    def __init__(
        self,
        rule: str,
        *,
        expression: Pattern | None = None,
        idle_ms: int | None = None,
        forgotten_ms: int | None = None,
    ) -> None:
        """Create a rule; use ``pattern``, ``idle`` or ``external`` instead.

        Args:
            rule: names the rule and its parameters; the journal remembers ends by rule.
            expression: matches the message that ends an execution.
            idle_ms: silence that ends an execution.
            forgotten_ms: silence that ends an execution unknown to the external source.
        """
        self.rule = rule
        self.idle_ms = idle_ms
        self.forgotten_ms = forgotten_ms
        self._expression = expression
        groups = () if expression is None else expression.groups
        self._groups = [status for status in get_args(ExecutionStatus) if status in groups]

    @property
    def reads_messages(self) -> bool:
        """Whether this rule searches messages for the one that ends an execution."""
        return self._expression is not None

    @classmethod
    def pattern(cls, expression: str) -> Lifecycle:
        """End an execution with the message that a regular expression matches.

        The named group (SUCCEEDED, FAILED, STOPPED) that took part in the match is the status;
        without one it is UNKNOWN.

        Raises:
            LifecycleError: it is not a regular expression, or one that needs backtracking.
        """
        try:
            compiled = compile_pattern(expression)
        except PatternError as error:
            msg = f"--lifecycle pattern: {error}"
            raise LifecycleError(msg) from error
        return cls(f"pattern:{expression}", expression=compiled)

    @classmethod
    def idle(cls, quiet_ms: int) -> Lifecycle:
        """End an execution, with status UNKNOWN, ``quiet_ms`` after its last event."""
        return cls(f"idle:{quiet_ms}ms", idle_ms=quiet_ms)

    @property
    def without_silence(self) -> Lifecycle | None:
        """This rule for a feed that lacks events: its silence ends nothing; None: no rule is left.

        The message that ends an execution may be among the events that the feed lacks.
        """
        if self.idle_ms is not None:
            return None
        return Lifecycle(self.rule, expression=self._expression)

    @classmethod
    def external(cls, rule: str) -> Lifecycle:
        """End an execution when ``LogGroup.end_execution`` says so (after ECS was asked).

        If the external source knows nothing of it (ECS forgets a task about an hour after it
        stopped), silence ends it as with ``idle``, with status UNKNOWN.
        """
        return cls(rule, forgotten_ms=FORGOTTEN_MS)

    def status_of(self, message: str) -> ExecutionStatus | None:
        """Status with which a message ends its execution; None: it does not."""
        found = None if self._expression is None else self._expression.groups_in(message)
        if found is None:
            return None
        return next((one for one in self._groups if one in found), "UNKNOWN")

    def ends_among(self, events: Iterable[LogEvent]) -> Ends:
        """The events that end their executions, by id, with the status.

        May take a second for long messages: shells call it in a thread.
        """
        ends = ((event.id, self.status_of(event.message)) for event in events)
        return {event_id: status for event_id, status in ends if status is not None}

    def is_idle(self, last_ms: int, now_ms: int, *, is_forgotten: bool = False) -> bool:
        """Whether silence has ended an execution."""
        idle_ms = self.forgotten_ms if is_forgotten else self.idle_ms
        return idle_ms is not None and last_ms + idle_ms <= now_ms

    def is_by_silence(self, status: ExecutionStatus | None) -> bool:
        """Whether an end may rest on silence alone, which further events disprove."""
        return self.idle_ms is not None or (self.forgotten_ms is not None and status == "UNKNOWN")


async def find_ends(lifecycle: Lifecycle | None, events: Sequence[LogEvent]) -> Ends:
    """``Lifecycle.ends_among`` in a thread: heartbeats go on while long messages are matched."""
    if lifecycle is None or not lifecycle.reads_messages or not events:
        return {}
    match = partial(lifecycle.ends_among, events)
    return await in_thread(match, name="lifecycle", is_bounded=True)


def execution_of(stream: str) -> str:
    """Name of a log stream's execution: the last path component of the stream's name."""
    return stream.rpartition("/")[2] or stream


class _State(msgspec.Struct, eq=False):
    """State of one execution; ``changed`` and ``over_since`` are numbers of scans."""

    stream: str
    first: int
    last: int
    count: int
    changed: int = 0
    status: ExecutionStatus | None = None
    over_since: int = 0
    agreed_ms: int | None = None
    end: ExecutionEnd | None = None
    tries: int = 0
    gap_scans: int = 0
    gap_scan_ms: int | None = None
    is_forgotten: bool = False


class Executions:
    """The executions of one log group: running, then over, then drained and ended."""

    def __init__(self, lifecycle: Lifecycle | None, open_gap: OpenGap = no_gap) -> None:
        """Create an empty set; without a lifecycle no execution ever ends."""
        self._lifecycle = lifecycle
        self._open_gap = open_gap
        self._in_gap: set[str] = set()
        self._states: dict[str, _State] = {}
        self._of_stream: dict[str, str] = {}
        self._open: set[str] = set()
        self._minutes: dict[int, set[str]] = {}
        self._unread: set[str] = set()

    def load(
        self,
        streams: Iterable[tuple[str, int, int, int]],
        over: dict[str, ExecutionStatus],
        head_seq: int,
    ) -> None:
        """Load a journal's log streams, and the executions that have ended."""
        for stream, first, last, count in streams:
            self._add(stream, first, last, count)
        for execution, status in over.items():
            state = self._states.get(execution)
            if state is not None:
                state.status = status
                state.end = _end(execution, state, head_seq)
                self._close(execution, state)
        if self._lifecycle is not None and self._lifecycle.reads_messages:
            self._unread = set(self._open)

    def take_unread(self, named: Collection[str]) -> list[tuple[str, int, int]]:
        """Remove and return the named executions whose messages were not read since ``load``.

        Each with its first and last timestamp.
        """
        taken = self._unread.intersection(named)
        self._unread -= taken
        states = [(execution, self._states[execution]) for execution in sorted(taken)]
        return [(execution, state.first, state.last) for execution, state in states]

    def ended_among(self, events: Iterable[LogEvent]) -> list[str]:
        """Names of the ended executions that these new events belong to."""
        if len(self._open) == len(self._states):
            return []
        executions = {execution_of(stream) for stream in {event.stream for event in events}}
        return sorted(one for one in executions if self.end_of(one) is not None)

    def add_events(
        self, events: Iterable[LogEvent], scans_begun: int, ends: Ends | None = None
    ) -> None:
        """Add new events; an execution that had ended is open again.

        Args:
            events: the new events.
            scans_begun: number of the log group's scans so far.
            ends: those that end an execution, if that is known; None: the messages are matched.
        """
        for event in events:
            state = self._add(event.stream, event.timestamp, event.timestamp, 1)
            state.changed = scans_begun
            if state.status is not None:
                self._reopen(state)
            # The external source may know it by now, since it is running.
            state.is_forgotten = False
        self.read_messages(events, scans_begun, ends)

    def read_messages(
        self, events: Iterable[LogEvent], scans_begun: int, ends: Ends | None = None
    ) -> None:
        """Mark the executions over that a message ends, new or read again after a start."""
        lifecycle = self._lifecycle
        if lifecycle is None or not lifecycle.reads_messages:
            return
        found = lifecycle.ends_among(events) if ends is None else ends
        for event in events if found else ():
            status = found.get(event.id)
            if status is not None:
                self.mark_over(execution_of(event.stream), status, scans_begun)

    def mark_over(self, execution: str, status: ExecutionStatus, scans_begun: int) -> None:
        """Mark an execution over; only scans that begin from now on can show it drained."""
        state = self._states.get(execution)
        if state is not None and state.status is None:
            state.status = status
            state.over_since = scans_begun

    def end(self, execution: str, status: ExecutionStatus, head_seq: int) -> ExecutionEnd | None:
        """End an execution that another forwarder found ended; None: there is no such one."""
        state = self._states.get(execution)
        if state is None:
            return None
        state.status = status
        state.end = _end(execution, state, head_seq)
        self._close(execution, state)
        return state.end

    def mark_forgotten(self, execution: str) -> None:
        """Let silence end an execution unknown to the external source, until it writes again."""
        state = self._states.get(execution)
        if state is not None and state.status is None:
            state.is_forgotten = True

    def undecided(self) -> list[str]:
        """Executions to ask the external source about, newest first."""
        asked = [
            (-state.last, execution)
            for execution in self._open
            if (state := self._states[execution]).status is None and not state.is_forgotten
        ]
        return [execution for _, execution in sorted(asked)]

    def finish_scan(
        self,
        from_: int,
        through: int | None,
        *,
        number: int,
        begun_ms: int,
        allowance_ms: int,
        head_seq: int,
        unscanned: Collection[str] = (),
    ) -> list[ExecutionEnd]:
        """Take a whole scan that missed no known event, and return the executions that it ends.

        The second such scan of an execution's last part ends it if nothing new was found since the
        first. Executions in ``unscanned`` wait: no scan has returned all of their rows yet. So do
        those near an open gap, for ``GAP_SCANS_MAX`` scans: events of theirs may be missing there.
        """
        ends: list[ExecutionEnd] = []
        if self._lifecycle is None:
            return ends
        for execution in self._open_since(from_):
            state = self._states[execution]
            if self._is_idle(state, begun_ms):
                state.status, state.over_since = "UNKNOWN", number - 1
            if state.status is None or not _reaches(state, from_, through, begun_ms):
                continue
            if execution in unscanned or self._find_gap(execution, state) is not None:
                continue
            state.tries += 1
            if max(state.over_since, state.changed) >= number:
                continue
            if state.agreed_ms is None or begun_ms < state.agreed_ms:
                state.agreed_ms = begun_ms
            elif begun_ms >= state.agreed_ms + allowance_ms:
                state.end = _end(execution, state, head_seq)
                self._close(execution, state)
                ends.append(state.end)
        return ends

    def count_gap_scan(self, from_: int, through: int, begun_ms: int, allowance_ms: int) -> None:
        """Count a scan, conclusive or not, for the executions near it that wait for a gap."""
        for execution in sorted(self._in_gap):
            state = self._states[execution]
            if self._find_gap(execution, state) is None:
                continue
            is_near = from_ <= state.last + END_GAP_MS and state.first - END_GAP_MS <= through
            last_ms = state.gap_scan_ms
            if is_near and (last_ms is None or not last_ms <= begun_ms < last_ms + allowance_ms):
                state.gap_scans += 1
                state.gap_scan_ms = begun_ms

    def _find_gap(self, execution: str, state: _State) -> Range | None:
        """The open gaps that a drained execution waits for; None: it need not wait."""
        gap = None
        if state.agreed_ms is not None and state.end is None and state.gap_scans < GAP_SCANS_MAX:
            gap = self._open_gap(state.first - END_GAP_MS, state.last + END_GAP_MS)
        if gap is None:
            self._in_gap.discard(execution)
        else:
            self._in_gap.add(execution)
        return gap

    def drain_range(self, now_ms: int, named: Collection[str] = ()) -> tuple[int, int] | None:
        """Time range of which two scans would end executions; None if no execution waits.

        Only executions that wrote a short time ago, or that a viewer names, are worth a scan. The
        newest come first, together with those that were over shortly before.
        """
        spans: list[tuple[int, int]] = []
        if self._lifecycle is None:
            return None
        recent = self._open_since(now_ms - FRESH_MS)
        for execution in sorted({*recent, *self._open.intersection(named)}):
            state = self._states[execution]
            is_over = state.status is not None or self._is_idle(state, now_ms)
            gap = self._find_gap(execution, state) if is_over else None
            if not is_over or (gap is None and state.tries >= TRIES_MAX):
                continue
            if state.last >= now_ms - FRESH_MS or execution in named:
                span = max(state.first, state.last - DRAIN_MS), min(state.last + DRAIN_MS, now_ms)
                if gap is not None and gap[0] <= now_ms and gap[1] - gap[0] <= GAP_WIDTH_MS:
                    span = gap[0], min(gap[1], now_ms)
                spans.append(span)
        return _join_newest(spans)

    def forget_scan_times(self) -> None:
        """Start the drain's two scans over: the wall clock was set, so they can't be compared."""
        for execution in self._open:
            self._states[execution].agreed_ms = None

    def end_of(self, execution: str) -> ExecutionEnd | None:
        """The end of an execution, by its id or log stream name; None while it has not ended."""
        state = self._states.get(execution_of(execution))
        return None if state is None else state.end

    def summaries(self, now_ms: int) -> list[ExecutionSummary]:
        """Summaries of all executions, newest first; without a lifecycle the status is UNKNOWN."""
        states = sorted(self._states.items(), key=lambda one: (-one[1].last, one[0]))
        return [
            ExecutionSummary(
                execution=execution,
                stream=state.stream,
                status=self._status(state, now_ms),
                first=state.first,
                last=state.last,
                count=state.count,
            )
            for execution, state in states
        ]

    def _status(self, state: _State, now_ms: int) -> ExecutionStatus | Literal["RUNNING"]:
        if state.status is not None:
            return state.status
        is_over = self._lifecycle is None or self._is_idle(state, now_ms)
        return "UNKNOWN" if is_over else "RUNNING"

    def _is_idle(self, state: _State, now_ms: int) -> bool:
        return (
            state.status is None
            and self._lifecycle is not None
            and self._lifecycle.is_idle(state.last, now_ms, is_forgotten=state.is_forgotten)
        )

    def _add(self, stream: str, first: int, last: int, count: int) -> _State:
        execution = self._of_stream.get(stream)
        if execution is None:
            execution = self._of_stream[stream] = execution_of(stream)
        state = self._states.get(execution)
        if state is None:
            state = self._states[execution] = _State(stream, first, last, count)
            self._put_open(execution, state)
            return state
        state.first = min(state.first, first)
        if last > state.last:
            is_moved = last // MINUTE_MS > state.last // MINUTE_MS and execution in self._open
            if is_moved:
                self._close(execution, state)
            state.last = last
            if is_moved:
                self._put_open(execution, state)
        state.count += count
        state.agreed_ms = None
        return state

    def _put_open(self, execution: str, state: _State) -> None:
        self._open.add(execution)
        self._minutes.setdefault(state.last // MINUTE_MS, set()).add(execution)

    def _close(self, execution: str, state: _State) -> None:
        self._open.discard(execution)
        minute = state.last // MINUTE_MS
        same = self._minutes.get(minute, set())
        same.discard(execution)
        if not same:
            self._minutes.pop(minute, None)

    def _open_since(self, from_: int) -> list[str]:
        """Open executions with an event at ``from_`` or later, by name, and a few others."""
        least = from_ // MINUTE_MS
        found = (some for minute, some in self._minutes.items() if minute >= least)
        return sorted(chain.from_iterable(found))

    def _reopen(self, state: _State) -> None:
        """Open an execution again for a late event: it ends again, with another count [11]."""
        if state.end is not None:
            state.end = None
            state.tries = state.gap_scans = 0
            state.gap_scan_ms = None
        self._put_open(execution_of(state.stream), state)
        if self._lifecycle is not None and self._lifecycle.is_by_silence(state.status):
            state.status = None


def _join_newest(spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The newest range, joined with those that overlap it up to the greatest width."""
    low, high = max(spans, key=lambda span: (span[1], -span[0]), default=(0, -1))
    for from_, through in sorted(spans, reverse=True):
        if through >= low and high - from_ <= DRAIN_WIDTH_MS:
            low = min(low, from_)
    return (low, high) if spans else None


def _reaches(state: _State, from_: int, through: int | None, begun_ms: int) -> bool:
    """Whether a scan covers an execution's last part, except timestamps ahead of the clock."""
    return from_ <= max(state.first, state.last - DRAIN_MS) and (
        through is None or through >= min(state.last, begun_ms)
    )


def _end(execution: str, state: _State, head_seq: int) -> ExecutionEnd:
    return ExecutionEnd(execution, state.status or "UNKNOWN", state.first, state.last, head_seq)

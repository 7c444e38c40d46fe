"""Is an execution over, and is everything that it wrote here? Pure: no clock, no I/O.

An execution is what the last path component of a log stream's name names. A ``Lifecycle`` says
when one is over; ``Executions`` says when it is drained as well, which is when ``end`` is due.

The executions of one log group: which have ended, and what its journal remembers of that.

Pure but for the journal. One for each chain of it, told by the door of everything that comes in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Final, Literal, get_args

from forwarder.errors import LifecycleError
from forwarder.ingest.live_check import Unseen
from forwarder.ingest.scan import Scan
from forwarder.journal.contract import Journal
from forwarder.records import ExecutionEnd, LogEvent
from wire.messages import ExecutionStatus, ExecutionSummary
from wire.order import Interval, first_key, last_key

DRAIN_MS: Final = 60_000
"""How far before an execution's last event the two scans must begin (or at its first event)."""

DRAIN_WIDTH_MS: Final = 4 * DRAIN_MS
"""Executions that ended one soon after another share their scans, up to this width."""

FRESH_MS: Final = 100_000
"""Executions whose last event is younger are drained without anybody's asking."""

TRIES_MAX: Final = 12
"""Scans of its own that an execution gets; one that goes on writing waits for the usual ones."""

MINUTE_MS: Final = 60_000
"""Open executions are filed by the minute of their last event: there may be tens of thousands that
nobody ever ends, and a scan concerns only those that wrote in its range."""

FORGOTTEN_MS: Final = 60_000
"""So long after its last event an execution is over that whoever tells of ends knows nothing of."""


class Lifecycle:
    """How the end of an execution is known: by its messages, by silence, or from outside."""

    def __init__(
        self,
        rule: str,
        *,
        expression: re.Pattern[str] | None = None,
        idle_ms: int | None = None,
        forgotten_ms: int | None = None,
    ) -> None:
        """Make one by ``pattern``, ``idle`` or ``told`` rather than by this.

        Args:
            rule: names the lifecycle and what it was made with; what one rule found is not
                taken over by another.
            expression: a message in which it is found says that the execution is over.
            idle_ms: so long after its last event an execution is over.
            forgotten_ms: likewise, of executions that whoever is asked knows nothing of.

        """
        self.rule = rule
        self.idle_ms = idle_ms
        self.forgotten_ms = forgotten_ms
        self._expression = expression
        groups = () if expression is None else expression.groupindex
        self._groups = [status for status in get_args(ExecutionStatus) if status in groups]

    @property
    def reads_messages(self) -> bool:
        """Whether a message can say that an execution is over."""
        return self._expression is not None

    @classmethod
    def pattern(cls, expression: str) -> Lifecycle:
        """Over with the message that a regular expression is found in.

        The named group (SUCCEEDED, FAILED, STOPPED) that took part in the match is the
        status; without one it is UNKNOWN.

        Raises:
            LifecycleError: not a regular expression.

        """
        try:
            compiled = re.compile(expression)
        except re.error as error:
            msg = f"--lifecycle pattern:{expression} is not a regular expression: {error}"
            raise LifecycleError(msg) from error
        return cls(f"pattern:{expression}", expression=compiled)

    @classmethod
    def idle(cls, quiet_ms: int) -> Lifecycle:
        """Over, with status UNKNOWN, ``quiet_ms`` after the last event."""
        return cls(f"idle:{quiet_ms}ms", idle_ms=quiet_ms)

    @classmethod
    def told(cls, rule: str) -> Lifecycle:
        """Over when ``LogGroup.execution_over`` says so, after an ECS cluster for one was asked.

        Where nobody can tell (``LogGroup.execution_forgotten``: ECS forgets a task about an hour
        after it stopped) silence has to do, as with ``idle``; the status is UNKNOWN then.
        """
        return cls(rule, forgotten_ms=FORGOTTEN_MS)

    def status_of(self, message: str) -> ExecutionStatus | None:
        """The status with which a message says that its execution is over, else None."""
        found = None if self._expression is None else self._expression.search(message)
        if found is None:
            return None
        return next((one for one in self._groups if found[one] is not None), "UNKNOWN")

    def is_idle(self, last_ms: int, now_ms: int, *, is_forgotten: bool = False) -> bool:
        """Whether an execution is over by silence."""
        idle_ms = self.forgotten_ms if is_forgotten else self.idle_ms
        return idle_ms is not None and last_ms + idle_ms <= now_ms

    def was_silence(self, status: ExecutionStatus | None) -> bool:
        """Whether an end may have been told by silence alone, which further events disprove."""
        return self.idle_ms is not None or (self.forgotten_ms is not None and status == "UNKNOWN")


def execution_of(stream: str) -> str:
    """The execution that a log stream belongs to: the last path component of its name."""
    return stream.rpartition("/")[2] or stream


class _State:
    """What is known of one execution; ``changed`` and ``over_since`` are numbers of scans."""

    __slots__ = (
        "agreed_ms", "changed", "count", "end", "first", "is_forgotten", "last", "over_since",
        "status", "stream", "tries",
    )  # fmt: skip

    def __init__(self, stream: str, first: int, last: int, count: int) -> None:
        self.stream = stream
        self.first = first
        self.last = last
        self.count = count
        self.changed = 0
        self.status: ExecutionStatus | None = None
        self.over_since = 0
        self.agreed_ms: int | None = None
        self.end: ExecutionEnd | None = None
        self.tries = 0
        self.is_forgotten = False


class Executions:
    """Every execution of one log group, from running over over to drained."""

    def __init__(self, lifecycle: Lifecycle | None) -> None:
        """Without a lifecycle no execution is ever known to be over."""
        self._lifecycle = lifecycle
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
        """Take over what a journal knows: its log streams, and the executions found drained."""
        for stream, first, last, count in streams:
            self._take(stream, first, last, count)
        for execution, status in over.items():
            state = self._states.get(execution)
            if state is not None:
                state.status = status
                state.end = _end(execution, state, head_seq)
                self._close(execution, state)
        if self._lifecycle is not None and self._lifecycle.reads_messages:
            self._unread = set(self._open)

    def take_unread(self, wanted: Collection[str]) -> list[tuple[str, int, int]]:
        """Of ``wanted``, the executions whose messages nobody has read since ``load``.

        With their first and last timestamps; each is given out once.
        """
        taken = self._unread.intersection(wanted)
        self._unread -= taken
        states = [(execution, self._states[execution]) for execution in sorted(taken)]
        return [(execution, state.first, state.last) for execution, state in states]

    def ended_of(self, events: Iterable[LogEvent]) -> list[str]:
        """The executions that have ended, and for which these new events are late news."""
        if len(self._open) == len(self._states):
            return []
        executions = {execution_of(stream) for stream in {event.stream for event in events}}
        return sorted(one for one in executions if self.end_of(one) is not None)

    def appended(self, events: Iterable[LogEvent], scans_begun: int) -> None:
        """Take in new events."""
        for event in events:
            state = self._take(event.stream, event.timestamp, event.timestamp, 1)
            state.changed = scans_begun
            if state.status is not None:
                self._reopen(state)
            # Who writes may be known by now.
            state.is_forgotten = False
        self.observe(events, scans_begun)

    def observe(self, events: Iterable[LogEvent], scans_begun: int) -> None:
        """Look whether messages, new or seen again after a start, end their executions."""
        lifecycle = self._lifecycle
        if lifecycle is None or not lifecycle.reads_messages:
            return
        for event in events:
            status = lifecycle.status_of(event.message)
            if status is not None:
                self.over(execution_of(event.stream), status, scans_begun)

    def over(self, execution: str, status: ExecutionStatus, scans_begun: int) -> None:
        """An execution is over: only scans that begin from now on may prove it drained."""
        state = self._states.get(execution)
        if state is not None and state.status is None:
            state.status = status
            state.over_since = scans_begun

    def forgotten(self, execution: str) -> None:
        """Nobody can tell whether an execution is over: silence has to do, until it writes."""
        state = self._states.get(execution)
        if state is not None and state.status is None:
            state.is_forgotten = True

    def undecided(self) -> list[str]:
        """The executions of which it is to be asked whether they are over, newest first."""
        asked = [
            (-state.last, execution)
            for execution in self._open
            if (state := self._states[execution]).status is None and not state.is_forgotten
        ]
        return [execution for _, execution in sorted(asked)]

    def scanned(
        self,
        from_: int,
        through: int | None,
        *,
        number: int,
        begun_ms: int,
        allowance_ms: int,
        head_seq: int,
        unseen: Collection[str] = (),
    ) -> list[ExecutionEnd]:
        """A whole scan, which missed nothing that was known, has finished: who is drained by it?

        It agrees with the one before if it covers the execution and found nothing new of it.
        Those in ``unseen`` have rows of a live path that no scan has returned yet.
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
            if execution in unseen:
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

    def draining(self, now_ms: int, wanted: Collection[str] = ()) -> tuple[int, int] | None:
        """The range of which two scans would let an execution end; None where none waits.

        Only executions that have just ended, or that are ``wanted``, are worth a scan; those
        that ended last come first, and what ended shortly before goes with them.
        """
        spans: list[tuple[int, int]] = []
        if self._lifecycle is None:
            return None
        recent = self._open_since(now_ms - FRESH_MS)
        for execution in sorted({*recent, *self._open.intersection(wanted)}):
            state = self._states[execution]
            is_over = state.status is not None or self._is_idle(state, now_ms)
            if not is_over or state.tries >= TRIES_MAX:
                continue
            if state.last >= now_ms - FRESH_MS or execution in wanted:
                span = max(state.first, state.last - DRAIN_MS), min(state.last + DRAIN_MS, now_ms)
                spans.append(span)
        return _newest_together(spans)

    def clock_set(self) -> None:
        """The wall clock was set: how far apart two scans are is told from here on."""
        for execution in self._open:
            self._states[execution].agreed_ms = None

    def end_of(self, execution: str) -> ExecutionEnd | None:
        """What is to be sent to who follows an execution that ended; by its id or stream name."""
        state = self._states.get(execution_of(execution))
        return None if state is None else state.end

    def table(self, now_ms: int | None = None) -> list[ExecutionSummary]:
        """Every execution, newest first; without a lifecycle no status is known."""
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

    def _status(self, state: _State, now_ms: int | None) -> ExecutionStatus | Literal["RUNNING"]:
        if state.status is not None:
            return state.status
        idle = now_ms is not None and self._is_idle(state, now_ms)
        return "UNKNOWN" if self._lifecycle is None or idle else "RUNNING"

    def _is_idle(self, state: _State, now_ms: int) -> bool:
        return (
            state.status is None
            and self._lifecycle is not None
            and self._lifecycle.is_idle(state.last, now_ms, is_forgotten=state.is_forgotten)
        )

    def _take(self, stream: str, first: int, last: int, count: int) -> _State:
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
        """The open executions that have written since then, by name, and a few others."""
        least = from_ // MINUTE_MS
        found = (some for minute, some in self._minutes.items() if minute >= least)
        return sorted(chain.from_iterable(found))

    def _reopen(self, state: _State) -> None:
        """Late news of an execution that was over: it ends again, with another count [11]."""
        if state.end is not None:
            state.end = None
            state.tries = 0
        self._put_open(execution_of(state.stream), state)
        if self._lifecycle is not None and self._lifecycle.was_silence(state.status):
            state.status = None


def _newest_together(spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The newest range, widened by those that begin in it or adjoin, as far as they fit."""
    low, high = max(spans, key=lambda span: (span[1], -span[0]), default=(0, -1))
    for from_, through in sorted(spans, reverse=True):
        if through >= low and high - from_ <= DRAIN_WIDTH_MS:
            low = min(low, from_)
    return (low, high) if spans else None


def _reaches(state: _State, from_: int, through: int | None, begun_ms: int) -> bool:
    """Whether a scan covers the last part of an execution; stamps ahead of the clock aside."""
    return from_ <= max(state.first, state.last - DRAIN_MS) and (
        through is None or through >= min(state.last, begun_ms)
    )


def _end(execution: str, state: _State, head_seq: int) -> ExecutionEnd:
    return ExecutionEnd(execution, state.status or "UNKNOWN", state.first, state.last, head_seq)


READ_BACK_ROWS_MAX: Final = 10_000
"""Rows before an execution's last event in which its end is looked for after a start."""


class Ends:
    """What is asked of executions, and what the door tells of them."""

    def __init__(
        self, journal: Journal, lifecycle: Lifecycle | None, scans_begun: Callable[[], int]
    ) -> None:
        """Take over what ``journal`` holds; ``scans_begun`` tells how many scans have begun."""
        self._journal = journal
        self._lifecycle = lifecycle
        self._scans_begun = scans_begun
        self._executions = Executions(lifecycle)
        over = {} if lifecycle is None else journal.over(lifecycle.rule)
        self._executions.load(journal.streams(), over, journal.head_seq)

    # What anybody asks, and tells

    def table(self, now_ms: int) -> list[ExecutionSummary]:
        """Every execution with what is known of it, newest first."""
        return self._executions.table(now_ms)

    def end_of(self, execution: str) -> ExecutionEnd | None:
        """What is due to a viewer of an execution that has ended and is drained."""
        return self._executions.end_of(execution)

    def over(self, execution: str, status: ExecutionStatus) -> None:
        """Something beside the log says that an execution is over, an ECS cluster for one."""
        self._executions.over(execution, status, self._scans_begun())

    def forgotten(self, execution: str) -> None:
        """Nobody can tell whether an execution is over: its silence has to do."""
        self._executions.forgotten(execution)

    def undecided(self) -> list[str]:
        """The executions of which it is to be asked whether they are over, newest first."""
        return self._executions.undecided()

    def draining(self, now_ms: int, wanted: Collection[str] = ()) -> tuple[int, int] | None:
        """The range that two scans must cover before an execution can end; None: none waits.

        Executions that ended long ago are worth it only if a viewer names them in ``wanted``.
        """
        self._read_back(wanted)
        return self._executions.draining(now_ms, wanted)

    def _read_back(self, wanted: Collection[str]) -> None:
        """Look in the journal for the ends of executions that a viewer names.

        An earlier process may have taken in such an end without living to see it drained.
        """
        for execution, first, last in self._executions.take_unread(wanted):
            interval = Interval(first_key(first), last_key(last))
            rows = self._journal.read_between(interval, READ_BACK_ROWS_MAX, newest_first=True)
            events = [
                LogEvent(row.id, row.timestamp, row.ingestion_time, row.stream, row.message)
                for row in rows
                if row.message is not None and execution_of(row.stream) == execution
            ]
            self.seen_again(events)

    # What the door tells

    def seen_again(self, events: Iterable[LogEvent]) -> None:
        """Known events: an earlier process may have ended before it noticed the end in them."""
        self._executions.observe(events, self._scans_begun())

    def coming(self, events: Iterable[LogEvent]) -> None:
        """New events are about to be appended: late news for those that have ended [11].

        The journal forgets these ends before: the process may end, or the journal be full,
        between the two.
        """
        for execution in self._executions.ended_of(events):
            if self._lifecycle is not None:
                self._journal.put_over(execution, None, self._lifecycle.rule)

    def appended(self, events: Iterable[LogEvent]) -> None:
        """New events are in the journal."""
        self._executions.appended(events, self._scans_begun())

    def clock_set(self) -> None:
        """The wall clock was set: how far apart two scans are is told from here on."""
        self._executions.clock_set()

    def scanned(
        self,
        scan: Scan,
        unseen: Sequence[Unseen],
        allowance_ms: int,
        tell: Callable[[ExecutionEnd], None],
    ) -> None:
        """A whole scan missed nothing that was known: ``tell`` of those that are drained by it.

        Those are not that have rows of a live path which no scan has returned yet, ``unseen``.
        """
        ends = self._executions.scanned(
            scan.from_,
            scan.through,
            number=scan.number,
            begun_ms=scan.begun_ms,
            allowance_ms=allowance_ms,
            head_seq=self._journal.head_seq,
            unseen={execution_of(one.stream) for one in unseen},
        )
        for end in ends:  # all of them first: the journal may have no room for them
            tell(end)
        for end in ends:
            if self._lifecycle is not None:
                self._journal.put_over(end.execution, end.status, self._lifecycle.rule)

"""The executions of one log group: which have ended, and what its journal remembers of that.

Pure but for the journal. One for each chain of it, told by the door of everything that comes in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from forwarder.ingest.agreement import Unseen
from forwarder.ingest.executions import Executions, Lifecycle, execution_of
from forwarder.ingest.scan import Scan
from forwarder.journal.contract import Journal
from forwarder.records import ExecutionEnd, LogEvent
from wire.messages import Execution, ExecutionStatus
from wire.order import Interval, first_key, last_key

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

    def table(self, now_ms: int) -> list[Execution]:
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

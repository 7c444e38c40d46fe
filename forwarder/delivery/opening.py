"""What a viewer's query means for the journal as it is: where it starts and what it is owed. Pure.

Each bracketed rule of the protocol is a method of its own.
"""

from __future__ import annotations

from forwarder.delivery.backfill import Past, times_within
from forwarder.journal.contract import Journal
from wire.limits import DEFAULT_PAST_MS, FRAME_EVENTS_MAX, TIMESTAMP_MAX
from wire.messages import Outcome
from wire.order import Interval
from wire.query import TailQuery


class Opening:
    """A query, read at one moment of a journal."""

    def __init__(self, query: TailQuery, journal: Journal, now_ms: int) -> None:
        """Read ``query`` at ``now_ms``, where the past ends and the present begins."""
        self.query = query
        self._journal = journal
        self.since = self._since(now_ms)
        self.epoch = journal.epoch
        self.outcome = self._outcome()
        self.after = self._after()
        """Where the cursor starts; the past is what the journal holds up to it."""
        self.base = self._base()
        self.past = self._past(now_ms)

    def _since(self, now_ms: int) -> int:
        """Without ``since``: all of an execution, else the last ten minutes."""
        query = self.query
        if query.since is not None:
            return query.since
        return 0 if query.filter.executions else max(0, now_ms - DEFAULT_PAST_MS)

    def _outcome(self) -> Outcome:
        epoch, after = self.query.epoch, self.query.after
        if epoch is None or after is None:
            return "fresh"
        return "resumed" if self._is_resumable(epoch, after) else "rebased"

    def _is_resumable(self, epoch: str, after: int) -> bool:
        """A cursor of another journal, or of a future that this one lost, resumes nothing [4]."""
        return self._journal.is_resumable(epoch, after)

    def _after(self) -> int:
        after = self.query.after
        return after if self.outcome == "resumed" and after is not None else self._journal.head_seq

    def _base(self) -> int:
        """Lines that the viewer goes on without are in none of its counts [16]."""
        return self.query.base

    def _held(self) -> Interval | None:
        """What the client has of the past: of another journal's, nothing [6]."""
        return self.query.held if self.outcome == "resumed" else None

    def _past(self, now_ms: int) -> Past:
        """The past is owed but for ``held``; with a cursor and no ``held``, none is [1]."""
        held = self._held()
        if self.outcome == "resumed" and held is None:
            return Past.nothing(self.since, now_ms)
        return Past(self.since, now_ms, held=held, history=self.query.history)

    def bodiless(self) -> tuple[int, int] | None:
        """Times of what is owed first and whose bodies retention took, as far as is seen at once.

        What this does not see is met when its turn comes.
        """
        journal, wanted = self._journal, self.query.filter
        rows = journal.read_after(self.after, FRAME_EVENTS_MAX)
        found = journal.find([row.id for row in rows if row.message is None])
        rows = [row for row in rows if row.id in found and not found[row.id].is_lost]
        for interval in self.past.intervals:
            low, high = times_within(interval)
            rows += journal.bodiless(low, min(high + 1, TIMESTAMP_MAX), FRAME_EVENTS_MAX)
        times = [row.timestamp for row in rows if wanted.matches(row.stream)]
        return (min(times), max(times)) if times else None

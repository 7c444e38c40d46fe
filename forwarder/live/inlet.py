"""One log group's side of a live path: what its records become, and how well it is doing.

No decisions of its own: ``Agreement`` says whether records are rows, ``Punctuality`` whether polls
may rest. Whatever the live path brings, it can neither reset the journal nor change a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from forwarder.errors import JournalFullError
from forwarder.ingest.log_group import LogGroup
from forwarder.live.records import Counts, Delivery, LiveState
from forwarder.records import LogEvent

_LOG: Final = logging.getLogger("gapless.forwarder")

CHUNK_EVENTS: Final = 1_000
"""Events that go through the door at once: more, and viewers would wait for it."""

ROW_AGE_MAX_MS: Final = 120_000
"""Older news are hints: the scans that look so far back come seldom, and marks would wait."""

ROW_AHEAD_MAX_MS: Final = 2 * 3_600_000 + 600_000
"""PutLogEvents takes events stamped up to two hours ahead; the clocks may differ a little."""

HINT_EVERY_MS: Final = 500
"""Hints come by the thousand; a poll takes what it takes."""

RELIED_POLL_MS: Final = 5_000
"""How often is polled while the live path is relied on.

The account's calls are few (5 a second in older documentation), and what a poll brings then is
proof, not news. More seldom would keep lines of strict output waiting for their mark beyond the
time that they are held for (10 s), and look at some moments once only (a poll looks back 5 s).
"""


class FeedLike(Protocol):
    """What an inlet needs of its log group's feed."""

    def hint(self) -> None:
        """Poll now."""
        ...

    def pace(self, poll_ms: int | None) -> None:
        """Poll so often; None: as configured."""
        ...

    def live_late(self, delay_ms: int) -> None:
        """The live path brings news so late, or not at all: say so."""
        ...


class LiveStatus(msgspec.Struct, frozen=True):
    """How a log group's live path is doing, as ``/v1/groups`` tells it."""

    state: LiveState
    path: str | None
    """Where from: ``kinesis:STREAM``."""
    why: str | None
    """Why it is no better, in one line."""


class LiveCounts(msgspec.Struct):
    """What came of a log group's records, for the metrics."""

    rows: int = 0
    known: int = 0
    hints: int = 0
    refused: int = 0
    """Events that the protocol has no place for."""
    conflicts: int = 0
    """Events with a known id and another place, time or text: the row stays as it is."""


class GroupInlet:
    """The ``Inlet`` of one log group."""

    def __init__(
        self,
        group: LogGroup,
        feed: FeedLike,
        *,
        clock: Callable[[], int],
        on_progress: Callable[[], None],
    ) -> None:
        """Polls alone, until a path is ``opened``.

        Args:
            group: the door.
            feed: polls when there is news that is not a row.
            clock: ms since the Unix epoch.
            on_progress: told when there is something new to send.

        """
        self.counts = LiveCounts()
        self.path_counts: Counts | None = None
        """What is counted of the whole path, while there is one."""
        self._group = group
        self._agreement = group.agreement
        self._punctuality = group.punctuality
        self._feed = feed
        self._clock = clock
        self._on_progress = on_progress
        self._path: str | None = None
        self._why: str | None = None
        self._is_broken = False
        self._told: LiveState = "poll"
        self._hint_ms = 0

    # What the path tells

    def opened(self, path: str, counts: Counts | None = None) -> None:
        """A path is to be read from now on."""
        self.path_counts = counts
        self._path, self._why, self._is_broken = path, None, True
        self._tell()

    def closed(self, why: str | None) -> None:
        """There is no path any more; polls do."""
        self._path, self._why, self._is_broken = None, why, False
        self._punctuality.note_failure()
        self._tell()

    def heard(self, behind_ms: int) -> None:
        """The path was read just now; it is so far behind."""
        now_ms = self._clock()
        self._is_broken, self._why = False, None
        self._punctuality.note_read(behind_ms, now_ms)
        missed = self._punctuality.count_missed(now_ms)
        if missed:
            self._feed.live_late(behind_ms)
        self._tell()

    def broken(self, why: str) -> None:
        """The path can't be read; polls do meanwhile."""
        if not self._is_broken or self._why is None:
            _LOG.warning("%s: %s (polling meanwhile)", self._group.name, why)
        self._is_broken, self._why = True, why
        self._punctuality.note_failure()
        self._tell()

    def hint(self) -> None:
        """Something may be new: poll, unless that was said just now."""
        self.counts.hints += 1
        now_ms = self._clock()
        if not 0 <= now_ms - self._hint_ms < HINT_EVERY_MS:
            self._hint_ms = now_ms
            self._feed.hint()

    async def take(self, delivery: Delivery) -> None:
        """Take in a record: rows if its source's ids are those of scans, else a hint.

        Raises:
            JournalError: the journal can't be written.

        """
        self.counts.refused += delivery.refused
        events = delivery.events
        for start in range(0, len(events), CHUNK_EVENTS):
            self._take_chunk(delivery, events[start : start + CHUNK_EVENTS])
            await asyncio.sleep(0)
        if delivery.refused:
            self.hint()

    # What becomes of it

    def _take_chunk(self, delivery: Delivery, events: Sequence[LogEvent]) -> None:
        now_ms = self._clock()
        fresh = self._unknown(events)
        self._punctuality.note_delivered([one.id for one in events], now_ms)
        agreement, source = self._agreement, delivery.source
        if not agreement.admits(source):
            # Known ones too: that scans have returned them, with that id, is what is asked.
            agreement.add_hints(source, events, now_ms)
            if fresh:
                self.hint()
            return
        earliest, latest = now_ms - ROW_AGE_MAX_MS, now_ms + ROW_AHEAD_MAX_MS
        rows = [one for one in fresh if earliest <= one.timestamp <= latest]
        if len(rows) < len(fresh):
            self.hint()
        if rows:
            try:
                taken = self._group.ingest(rows, "live")
            except JournalFullError:
                self.hint()  # a scan finds them, once there is room
                return
            first_seq = taken.head_seq - taken.new + 1
            agreement.add_rows(source, rows, first_seq, now_ms, delivery.arrived_ms)
            self.counts.rows += taken.new
            self._on_progress()

    def _unknown(self, events: Sequence[LogEvent]) -> list[LogEvent]:
        """The events that are not in the journal, each once.

        A known id with another place or time would mean to the door that the log group was made
        anew [17]; only a scan may say that.
        """
        found = self._group.journal.find([one.id for one in events])
        fresh: dict[str, LogEvent] = {}
        for one in events:
            known = found.get(one.id) or fresh.setdefault(one.id, one)
            if known is one:
                continue
            self.counts.known += 1
            if (known.timestamp, known.stream) != (one.timestamp, one.stream):
                self.counts.conflicts += 1
                self.hint()
        return list(fresh.values())

    # How it is doing

    @property
    def status(self) -> LiveStatus:
        """State, path, and why it is no better."""
        state = self._state()
        why = self._why
        if state == "hints":
            why = self._agreement.difference or "too little has come both ways to compare ids"
        elif state == "late":
            why = "polls find events before it brings them"
        return LiveStatus(state, self._path, why)

    def look(self) -> None:
        """Time has passed: a path that is not read any more is late, too."""
        self._punctuality.count_missed(self._clock())
        self._tell()

    def _state(self) -> LiveState:
        if self._path is None:
            return "poll"
        if self._is_broken:
            return "down"
        if not self._agreement.is_trusted:
            return "hints"
        return "late" if self._punctuality.is_late(self._clock()) else "live"

    def _tell(self) -> None:
        state = self._state()
        if state == self._told:
            return
        was, self._told = self._told, state
        status = self.status
        is_bad = was == "live" or self._agreement.difference is not None
        _LOG.log(
            logging.WARNING if is_bad else logging.INFO,
            "%s: live path %s: %s%s",
            self._group.name,
            self._path or "-",
            state,
            f": {status.why}" if status.why else "",
        )
        self._punctuality.rely(on_live_path=state == "live")
        self._feed.pace(RELIED_POLL_MS if state == "live" else None)
        if was == "live":
            self._feed.live_late(0)
        if state != "live":
            self._feed.hint()

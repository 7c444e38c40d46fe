"""Receives one log group's live events: stores them, or polls because of them, and rates the path.

``Agreement`` decides whether events are stored, ``Punctuality`` whether polls may slow down. A live
path can neither reset the journal nor change a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from forwarder.errors import JournalError
from forwarder.ingest.executions import Ends, find_ends
from forwarder.ingest.log_group import LogGroup
from forwarder.live.decoding import LiveBatch
from forwarder.records import LogEvent

_LOG: Final = logging.getLogger("gapless.forwarder")

CHUNK_EVENTS: Final = 1_000
"""Events stored without a pause: more would make viewers wait."""

ROW_AGE_MAX_MS: Final = 120_000
"""Older events are left to scans: the scans that would confirm them are rare, and marks would have
to wait for them."""

ROW_AHEAD_MAX_MS: Final = 2 * 3_600_000 + 600_000
"""PutLogEvents accepts timestamps up to two hours ahead; the clocks may differ a little."""

HINT_EVERY_MS: Final = 500
"""Least interval between polls that live events cause."""

RELIED_POLL_MS: Final = 5_000
"""Poll interval while the live path is relied on.

The account's calls are few (5 a second in older documentation), and what a poll brings then is
proof, not news. A longer interval would keep lines of strict output waiting for their mark longer
than they are held (10 s), and read some moments only once (a poll reaches back 5 s).
"""

LiveState = Literal["poll", "hints", "live", "late", "down"]
"""How a log group gets its new events.

- ``poll``: there is no live path; polls find them.
- ``hints``: a live path is read, but its ids are not known to be those of scans: its events cause
  polls and are not stored.
- ``live``: its events are stored, and arrive in time.
- ``late``: its events are stored, but it has missed some lately, or is behind.
- ``down``: it can't be read at present.
"""


class PollControl(Protocol):
    """The part of a feed that the live path controls.

    A Protocol because the feed is in ``reconcile``, which this package may not import.
    """

    def poll_now(self) -> None:
        """Poll at once."""

    def set_poll_interval(self, poll_ms: int | None) -> None:
        """Change the poll interval; None: as configured."""

    def report_live_delay(self, delay_ms: int) -> None:
        """Show viewers that the live path is late by this much, or has missed events."""


class LiveStatus(msgspec.Struct, frozen=True):
    """Status of a log group's live path, for ``/v1/groups``."""

    state: LiveState
    path: str | None
    """The stream, as ``kinesis:STREAM``."""
    why: str | None
    """The reason why the state is not better, in one line."""


class PathCounts(msgspec.Struct):
    """Counts of the records of one live path, for the metrics."""

    records: int = 0
    malformed: int = 0
    too_large: int = 0
    control: int = 0
    foreign: int = 0
    """Records of log groups that are not served here."""
    throttled: int = 0
    errors: int = 0


class LiveCounts(msgspec.Struct):
    """Counts of one log group's live events, for the metrics."""

    rows: int = 0
    known: int = 0
    hints: int = 0
    refused: int = 0
    """Events that the protocol can't express."""
    conflicts: int = 0
    """Events with a known id and another stream or timestamp; the row stays as it is."""


class LiveReceiver:
    """Receives the live events of one log group."""

    def __init__(
        self,
        group: LogGroup,
        polls: PollControl,
        *,
        clock: Callable[[], int],
        on_progress: Callable[[], None],
    ) -> None:
        """Start without a live path.

        Args:
            group: stores the events.
            polls: polls for events that are not stored, and while the live path is not relied on.
            clock: ms since the Unix epoch.
            on_progress: called when there may be something new to send.
        """
        self.counts = LiveCounts()
        self.path_counts: PathCounts | None = None
        """Counts of the live path that is attached."""
        self._group = group
        self._agreement = group.agreement
        self._punctuality = group.punctuality
        self._polls = polls
        self._clock = clock
        self._on_progress = on_progress
        self._path: str | None = None
        self._why: str | None = None
        self._is_down = False
        self._has_ended = False
        self._state: LiveState = "poll"
        self._hint_ms = 0

    # The path's lifecycle

    def attach(self, path: str, counts: PathCounts | None = None) -> None:
        """Expect events from a path from now on; it is down until ``note_read``."""
        self.path_counts = counts
        self._path, self._why, self._is_down = path, None, True
        self.update_state()

    def detach(self, why: str | None) -> None:
        """Rely on polls alone, since there is no path any more."""
        self._path, self._why, self._is_down = None, why, False
        self._punctuality.note_failure()
        self.update_state()

    def end(self) -> None:
        """Store nothing any more, not even of a record that is being received."""
        self._has_ended = True

    def note_read(self, behind_ms: int) -> None:
        """Note that the path was read just now, and how far behind its end."""
        now_ms = self._clock()
        self._is_down, self._why = False, None
        self._punctuality.note_read(behind_ms, now_ms)
        missed = self._punctuality.count_missed(now_ms)
        if missed:
            self._polls.report_live_delay(behind_ms)
        self.update_state()

    def note_failure(self, why: str) -> None:
        """Rely on polls while the path can't be read; ``why`` is one line for users."""
        if not self._is_down or self._why is None:
            _LOG.warning("%s: %s (polling meanwhile)", self._group.name, why)
        self._is_down, self._why = True, why
        self._punctuality.note_failure()
        self.update_state()

    # Events

    def request_poll(self) -> None:
        """Poll for events that the path can't deliver, at most every ``HINT_EVERY_MS``."""
        self.counts.hints += 1
        now_ms = self._clock()
        if not 0 <= now_ms - self._hint_ms < HINT_EVERY_MS:
            self._hint_ms = now_ms
            self._polls.poll_now()

    async def receive(self, batch: LiveBatch) -> None:
        """Store a record's events if its ids are those of scans, else poll for them.

        Raises:
            JournalError: the journal can't be read.
        """
        self.counts.refused += batch.refused
        events = batch.events
        for start in range(0, len(events), CHUNK_EVENTS):
            chunk = events[start : start + CHUNK_EVENTS]
            ends = await find_ends(self._group.lifecycle, chunk)
            if self._has_ended:  # the journal may be closed
                return
            self._receive_chunk(batch, chunk, ends)
            await asyncio.sleep(0)
        if batch.refused:
            self.request_poll()

    def _receive_chunk(self, batch: LiveBatch, events: Sequence[LogEvent], ends: Ends) -> None:
        now_ms = self._clock()
        fresh = self._unknown(events)
        self._punctuality.note_delivered([one.id for one in events], now_ms)
        agreement, source = self._agreement, batch.source
        if not agreement.admits(source):
            # Known events count as well: a scan has returned them, which is what is compared.
            agreement.add_hints(source, events, now_ms)
            if fresh:
                self.request_poll()
            return
        # A subscription that lags may still deliver what a deleted log group of this name held.
        earliest = max(now_ms - ROW_AGE_MAX_MS, self._group.created_ms or 0)
        latest = now_ms + ROW_AHEAD_MAX_MS
        rows = [one for one in fresh if earliest <= one.timestamp <= latest]
        if len(rows) < len(fresh):
            self.request_poll()
        if rows:
            try:
                taken = self._group.ingest(rows, "live", ends)
            except JournalError:
                # A poll finds them once there is room, or meets the error itself. Raised here, it
                # would end the live paths of all log groups.
                self.request_poll()
                return
            first_seq = taken.head_seq - taken.new + 1
            agreement.add_rows(source, rows, first_seq, now_ms, batch.arrived_ms)
            self.counts.rows += taken.new
            self._on_progress()

    def _unknown(self, events: Sequence[LogEvent]) -> list[LogEvent]:
        """The events that are not in the journal, each once.

        ``LogGroup.ingest`` would take a known id with another stream or timestamp as a sign that
        the log group was recreated [17]; only a scan may prove that.
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
                self.request_poll()
        return list(fresh.values())

    # State

    @property
    def status(self) -> LiveStatus:
        """State, path, and the reason why the state is not better."""
        state = self._current_state()
        why = self._why
        if state == "hints":
            why = self._agreement.difference or (
                "too few events have come from both the live path and scans to compare ids"
            )
        elif state == "late":
            why = "polls find events before it brings them"
        return LiveStatus(state, self._path, why)

    def update_state(self) -> None:
        """Adapt the polls to the current state; call it when time has passed, too."""
        self._punctuality.count_missed(self._clock())
        state = self._current_state()
        if state == self._state:
            return
        previous, self._state = self._state, state
        status = self.status
        is_bad = previous == "live" or self._agreement.difference is not None
        _LOG.log(
            logging.WARNING if is_bad else logging.INFO,
            "%s: live path %s: %s%s",
            self._group.name,
            self._path or "-",
            state,
            f": {status.why}" if status.why else "",
        )
        self._punctuality.rely(on_live_path=state == "live")
        self._polls.set_poll_interval(RELIED_POLL_MS if state == "live" else None)
        if previous == "live":
            self._polls.report_live_delay(0)
        if state != "live":
            self._polls.poll_now()

    def _current_state(self) -> LiveState:
        if self._path is None:
            return "poll"
        if self._is_down:
            return "down"
        if not self._agreement.is_trusted:
            return "hints"
        return "late" if self._punctuality.is_late(self._clock()) else "live"

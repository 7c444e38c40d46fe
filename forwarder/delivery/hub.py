"""The viewers of one log group: passes on what its feed finds to their sessions.

No I/O and no clock; a hub belongs to one event loop, as its feed does. A viewer is woken and pulls:
nothing is queued for it but what its session bounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Final, Protocol

import msgspec

from forwarder.delivery.frames import SliceReader
from forwarder.delivery.marks import MarkedTime
from forwarder.delivery.session import Session
from forwarder.ingest.log_group import LogGroup
from forwarder.live.receiver import LiveReceiver
from forwarder.reconcile.demand import BackfillRequest
from forwarder.records import GapRecord, Notice, Reset, ScanDone, TokenVerdict
from wire.limits import CLOSE_GROUP_DENIED, CLOSE_REASONS, CLOSE_TOKEN, HEARTBEAT_MS
from wire.messages import ClientMessage, GapState, Outcome, Upstream
from wire.query import History, TailQuery

POLL_LEASE_MS: Final = 60_000
"""A polling viewer's history request expires after this long (viewers poll every 10 s)."""

SPREAD_LEAST_MS: Final = 200
SPREAD_VIEWER_MS: Final = 2
SPREAD_MAX_MS: Final = 10_000
"""Widest wait that ``bye`` names: by the number of viewers, since one server takes some hundred
connections a second."""

_TOKEN_CLOSE_CODES: Final[dict[TokenVerdict, int]] = {
    "unknown": CLOSE_TOKEN,
    "denied": CLOSE_GROUP_DENIED,
}
"""Close code for each token verdict."""


class ViewerRecord(msgspec.Struct):
    """One row of ``GET /v1/viewers``; times in ms since the Unix epoch."""

    id: int
    peer: str
    group: str
    outcome: Outcome
    epoch: str
    since: int
    after: int
    head_seq: int
    lag_events: int
    lag_ms: int
    streams: tuple[str, ...]
    executions: tuple[str, ...]
    prefixes: tuple[str, ...]
    history: History
    base: int
    credit: int | None
    past_done: bool
    connected_at: int
    events_sent: int
    bytes_sent: int


class HubFeed(Protocol):
    """What keeps a log group complete, as its viewers need it; in this process or in another.

    A Protocol because a server of a replicated journal reaches the feed through the journal.
    """

    @property
    def problem(self) -> str | None:
        """Why CloudWatch or the journal can't be used at present; None: no problem."""

    @property
    def upstream(self) -> Upstream:
        """State of the connection to CloudWatch, for heartbeats."""

    @property
    def is_ready(self) -> bool:
        """Whether viewers get the present."""

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Add or replace a viewer's request for history, until it is withdrawn or expires."""

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Remove a viewer's request."""

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Refetch every body of a range, or mark it lost; whether all was done in time."""


CatchUp = Callable[[], Awaitable[bool]]
"""Waits until the journal here has all that the shared one has; whether it came in time."""


class ConnectedViewer(msgspec.Struct, eq=False):
    """One connected viewer: its session, and how to wake the task that sends for it.

    Attributes:
        hub: The hub that opened it.
        number: Its number within the hub.
        session: Decides what to send.
        wake: Wakes the sending task.
        peer: The remote address.
        token_verdict: Returns the present verdict on the viewer's token.
        bytes_sent: Bytes of frames sent.
        needs_history: Whether the feed must keep the bodies of the viewer's history.
    """

    hub: Hub
    number: int
    session: Session
    wake: Callable[[], None]
    peer: str
    token_verdict: Callable[[], TokenVerdict]
    bytes_sent: int = 0
    needs_history: bool = True

    def record(self, now_ms: int) -> ViewerRecord:
        """Return the viewer's row of ``GET /v1/viewers``."""
        session, query = self.session, self.session.query
        return ViewerRecord(
            id=self.number,
            peer=self.peer,
            group=session.group.name,
            outcome=session.start.outcome,
            epoch=session.start.epoch,
            since=session.since,
            after=session.sent_seq,
            head_seq=session.group.head_seq,
            lag_events=session.lag_events,
            lag_ms=session.lag_ms(now_ms),
            streams=query.filter.streams,
            executions=query.filter.executions,
            prefixes=query.filter.prefixes,
            history=query.history,
            base=query.base,
            credit=session.credit.granted,
            past_done=session.is_done,
            connected_at=session.start.now_ms,
            events_sent=session.credit.sent,
            bytes_sent=self.bytes_sent,
        )


class HubCounts(msgspec.Struct):
    """Counters of one hub, for the metrics; sent events and bytes are of disconnected viewers."""

    viewers: int = 0
    events_sent: int = 0
    bytes_sent: int = 0
    too_slow: int = 0
    bad_messages: int = 0
    marks: int = 0
    marked_through: int = 0
    """Latest time covered by a mark, ms since the Unix epoch; 0 before the first."""
    resets: int = 0
    trimmed: int = 0
    """Entries of former chains removed from a shared journal."""
    gaps: dict[GapState, int] = {}


class Hub:
    """The viewers' sessions of one log group.

    Attributes:
        group: The log group.
        feed: Its feed, whose ``on_progress`` must call this hub's ``progress``.
        live: Where its live path delivers; None if there are only polls.
        catch_up: Makes the journal current before a viewer's cursor is judged; None: it always is.
        owner_age_ms: Age of the last report of the forwarder that reads the log group; 0: this one.
        counts: Counters for the metrics.
        slices: Shared by viewers with the same filter at the same cursor.
    """

    def __init__(
        self,
        group: LogGroup,
        feed: HubFeed,
        *,
        live: LiveReceiver | None = None,
        heartbeat_ms: int = HEARTBEAT_MS,
        catch_up: CatchUp | None = None,
        owner_age_ms: Callable[[], int] = lambda: 0,
        random: Callable[[], float] | None = None,
    ) -> None:
        """Serve no viewers yet.

        With ``random`` (from 0 to 1), ``bye`` names each viewer another wait, for where other
        servers would get all of them at once.
        """
        self.group = group
        self.feed = feed
        self.live = live
        self.catch_up = catch_up
        self.owner_age_ms = owner_age_ms
        self._random = random
        self.counts = HubCounts()
        self.slices = SliceReader(group.journal)
        self._heartbeat_ms = heartbeat_ms
        self._viewers: dict[int, ConnectedViewer] = {}
        self._numbers = count(1)
        self._marked = MarkedTime()
        self._gap_states: dict[str, GapState] = {}
        self._upstream_reported = feed.upstream.state, feed.upstream.code
        self._closing: str | None = None

    @property
    def viewers(self) -> list[ConnectedViewer]:
        """The connected viewers, in order of arrival."""
        return list(self._viewers.values())

    @property
    def events_sent(self) -> int:
        """Events sent to all viewers since the start."""
        return self.counts.events_sent + sum(
            viewer.session.credit.sent for viewer in self._viewers.values()
        )

    @property
    def bytes_sent(self) -> int:
        """Bytes sent to all viewers since the start."""
        return self.counts.bytes_sent + sum(viewer.bytes_sent for viewer in self._viewers.values())

    @property
    def marks(self) -> list[ScanDone]:
        """The time that scans have marked, oldest scan first."""
        return self._marked.pieces

    @property
    def unready_reason(self) -> str | None:
        """Why the log group is not completely served yet; None if it is."""
        if self.feed.is_ready:
            return None
        why = self.feed.problem or "the first whole scan has not finished"
        return f"{self.group.name}: {why}"

    def open(
        self,
        query: TailQuery,
        now_ms: int,
        *,
        wake: Callable[[], None],
        peer: str = "",
        token_verdict: Callable[[], TokenVerdict] = lambda: "ok",
    ) -> ConnectedViewer:
        """Add a viewer that connects; its history request lasts until ``close``."""
        session = Session(
            query,
            self.group,
            now_ms=now_ms,
            slices=self.slices,
            heartbeat_ms=self._heartbeat_ms,
            upstream=lambda: self.feed.upstream,
        )
        number = next(self._numbers)
        viewer = ConnectedViewer(self, number, session, wake, peer, token_verdict)
        self._viewers[viewer.number] = viewer
        self.counts.viewers += 1
        for done in self._marked.pieces:
            session.notice(done)
        self._request_history(viewer)
        if self._closing is not None:
            session.bye(self._closing, retry_after_ms=self._spread_ms())
        return viewer

    def close(self, viewer: ConnectedViewer) -> None:
        """Remove a viewer that has disconnected; does nothing the second time."""
        if self._viewers.pop(viewer.number, None) is not None:
            self.feed.withdraw_backfill(viewer.number)
            self.counts.events_sent += viewer.session.credit.sent
            self.counts.bytes_sent += viewer.bytes_sent

    def receive(self, viewer: ConnectedViewer, message: ClientMessage) -> None:
        """Take a message from a viewer; one that asks for more history gets its marks, too."""
        session, before = viewer.session, viewer.session.since
        session.receive(message)
        if session.since < before:
            for done in self._marked.pieces:
                if done.from_ < before:
                    session.notice(done)
            viewer.needs_history = True
            self._request_history(viewer)

    def progress(self) -> None:
        """Pass on what is new in the log group and its feed, and wake all viewers."""
        for notice in self.group.take_notices():
            self._count_notice(notice)
            for viewer in self._viewers.values():
                viewer.session.notice(notice)
        upstream = self.feed.upstream
        if (upstream.state, upstream.code) != self._upstream_reported:
            self._upstream_reported = upstream.state, upstream.code
            for viewer in self._viewers.values():
                viewer.session.upstream_changed()
        self._wake_all()

    def release_history(self, viewer: ConnectedViewer) -> None:
        """Let retention remove a viewer's history once all of it is sent."""
        if viewer.needs_history and viewer.session.has_history:
            viewer.needs_history = False
            self._request_history(viewer)

    def request_polled_history(self, since: int, executions: tuple[str, ...], now_ms: int) -> None:
        """Request history for a viewer that polls over HTTP, where no WebSocket is possible."""
        request = BackfillRequest(
            since, executions=tuple(sorted(executions)), expires_ms=now_ms + POLL_LEASE_MS
        )
        self.feed.request_backfill(("poll", since, executions), request)

    def _request_history(self, viewer: ConnectedViewer) -> None:
        session = viewer.session
        request = BackfillRequest(
            session.since,
            session.query.history,
            tuple(sorted(session.executions)),
            is_pending=viewer.needs_history,
        )
        self.feed.request_backfill(viewer.number, request)

    def _spread_ms(self) -> int:
        if self._random is None:
            return 0
        widest_ms = min(SPREAD_MAX_MS, SPREAD_LEAST_MS + SPREAD_VIEWER_MS * len(self._viewers))
        return int(self._random() * widest_ms)

    def _wake_all(self) -> None:
        for viewer in self._viewers.values():
            viewer.wake()

    def bye(self, reason: str) -> None:
        """Close all viewers, present and future, with 4001."""
        self._closing = reason
        self.bye_present(reason)

    def bye_present(self, reason: str) -> None:
        """Close the viewers that are connected now with 4001; those that come are served."""
        for viewer in self._viewers.values():
            viewer.session.bye(reason, retry_after_ms=self._spread_ms())
        self._wake_all()

    def close_revoked(self) -> None:
        """Close the viewers whose token is no longer valid for this log group."""
        for viewer in self._viewers.values():
            code = _TOKEN_CLOSE_CODES.get(viewer.token_verdict())
            if code is not None:
                viewer.session.bye(CLOSE_REASONS[code], code=code)
                viewer.wake()

    def _count_notice(self, notice: Notice) -> None:
        counts = self.counts
        if isinstance(notice, ScanDone):
            self._marked.add(notice)
            counts.marks += 1
            counts.marked_through = max(counts.marked_through, notice.through)
        elif isinstance(notice, GapRecord):
            if self._gap_states.get(notice.id) != notice.state:  # otherwise it has only grown
                counts.gaps[notice.state] = counts.gaps.get(notice.state, 0) + 1
            self._gap_states[notice.id] = notice.state
            if notice.state == "repaired":
                del self._gap_states[notice.id]
        elif isinstance(notice, Reset):
            self._marked.clear()
            counts.resets += 1

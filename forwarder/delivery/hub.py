"""The viewers of one log group: what its door and feed have to say, fanned out to sessions.

No I/O and no clock; it belongs to one event loop, as the feed does. A viewer that wants to hear
is woken and pulls for itself: nothing is queued per viewer but what its session keeps bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Final, Protocol

import msgspec

from forwarder.delivery.frames import Slices
from forwarder.delivery.marks import Proved
from forwarder.delivery.session import Session
from forwarder.ingest.log_group import LogGroup
from forwarder.live.inlet import GroupInlet
from forwarder.records import GapRecord, Notice, Reset, ScanDone, TokenVerdict
from wire.limits import CLOSE_GROUP_DENIED, CLOSE_REASONS, CLOSE_TOKEN, HEARTBEAT_MS
from wire.messages import GapState, Outcome, Upstream
from wire.query import History, TailQuery

POLL_LEASE_MS: Final = 60_000
"""Who has not polled for so long has gone; viewers poll every ten seconds."""


_CODES: Final[dict[TokenVerdict, int]] = {"unknown": CLOSE_TOKEN, "denied": CLOSE_GROUP_DENIED}
"""With which code a viewer is closed whose token is worth that."""


class FeedLike(Protocol):
    """What a hub needs of a log group's feed."""

    @property
    def upstream(self) -> Upstream:
        """How the way to CloudWatch is."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a poll has been whole."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why CloudWatch can't be read at present; None where it can."""
        ...

    def want(
        self,
        key: Hashable,
        since: int,
        history: History = "newest",
        executions: Sequence[str] = (),
        *,
        is_owed: bool = True,
        until_ms: int | None = None,
    ) -> None:
        """A viewer wants the past since then; stays so until ``unwant`` or ``until_ms``."""
        ...

    def unwant(self, key: Hashable) -> None:
        """A viewer has gone."""
        ...

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Bring back the bodies of a range, or mark them lost."""
        ...


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


class Viewer:
    """One connection: its session, and how to wake whoever serves it."""

    def __init__(
        self, hub: Hub, number: int, session: Session, wake: Callable[[], None], peer: str
    ) -> None:
        """Made by ``Hub.open``."""
        self.hub = hub
        self.number = number
        self.session = session
        self.wake = wake
        self.peer = peer
        self.bytes_sent = 0
        self.verdict: Callable[[], TokenVerdict] = lambda: "ok"
        """What the viewer's token is worth by now."""
        self.is_owed = True
        """Whether some of the past is still to be sent, as the feed was told."""

    def record(self, now_ms: int) -> ViewerRecord:
        """What ``/v1/viewers`` says of it."""
        session, query = self.session, self.session.query
        return ViewerRecord(
            id=self.number,
            peer=self.peer,
            group=session.group.name,
            outcome=session.opening.outcome,
            epoch=session.opening.epoch,
            since=session.since,
            after=session.sent_seq,
            head_seq=session.group.head_seq,
            lag_events=max(0, session.group.head_seq - session.lanes.read_seq),
            lag_ms=session.lag_ms(now_ms),
            streams=query.filter.streams,
            executions=query.filter.executions,
            prefixes=query.filter.prefixes,
            history=query.history,
            base=query.base,
            credit=session.lanes.granted,
            past_done=session.is_done,
            connected_at=session.connected_ms,
            events_sent=session.lanes.events_sent,
            bytes_sent=self.bytes_sent,
        )


class Tallies(msgspec.Struct):
    """What a hub has counted, for the metrics; what was sent, of those who have gone."""

    viewers: int = 0
    events_sent: int = 0
    bytes_sent: int = 0
    too_slow: int = 0
    bad_messages: int = 0
    marks: int = 0
    marked_through: int = 0
    """How far marks have come, ms since the Unix epoch; 0 before the first."""
    resets: int = 0
    gaps: dict[GapState, int] = {}


class Hub:
    """The sessions of one log group."""

    def __init__(
        self,
        group: LogGroup,
        feed: FeedLike,
        *,
        live: GroupInlet | None = None,
        heartbeat_ms: int = HEARTBEAT_MS,
    ) -> None:
        """Join a log group to its feed, whose ``on_progress`` must call this hub's ``progress``.

        ``live`` is where the log group's live path delivers; None where there are only polls.
        """
        self.group = group
        self.feed = feed
        self.live = live
        self.tallies = Tallies()
        self.slices = Slices(group.journal)
        """Frames shared by viewers with the same filter at the same cursor."""
        self._heartbeat_ms = heartbeat_ms
        self._viewers: dict[int, Viewer] = {}
        self._numbers = count(1)
        self._proved = Proved()
        self._gap_states: dict[str, GapState] = {}
        self._state = feed.upstream.state
        self._closing: str | None = None

    @property
    def viewers(self) -> list[Viewer]:
        """Those that are connected, in the order in which they came."""
        return list(self._viewers.values())

    @property
    def events_sent(self) -> int:
        """To everybody, since the start."""
        present = sum(one.session.lanes.events_sent for one in self._viewers.values())
        return self.tallies.events_sent + present

    @property
    def bytes_sent(self) -> int:
        """To everybody, since the start."""
        return self.tallies.bytes_sent + sum(one.bytes_sent for one in self._viewers.values())

    @property
    def not_ready(self) -> str | None:
        """Why what is served is not complete yet; None where it is."""
        if self.feed.ready:
            return None
        why = self.feed.trouble or "the first whole scan has not finished"
        return f"{self.group.name}: {why}"

    def open(
        self, query: TailQuery, now_ms: int, *, wake: Callable[[], None], peer: str = ""
    ) -> Viewer:
        """A viewer connects; from now on its past is wanted, until ``close``."""
        session = Session(
            query,
            self.group,
            now_ms=now_ms,
            heartbeat_ms=self._heartbeat_ms,
            slices=self.slices,
            upstream=lambda _now_ms: self.feed.upstream,
        )
        viewer = Viewer(self, next(self._numbers), session, wake, peer)
        self._viewers[viewer.number] = viewer
        self.tallies.viewers += 1
        for done in self._proved.pieces:
            session.notice(done)
        self._want(viewer)
        if self._closing is not None:
            session.bye(self._closing)
        return viewer

    def close(self, viewer: Viewer) -> None:
        """A viewer has gone."""
        if self._viewers.pop(viewer.number, None) is not None:
            self.feed.unwant(viewer.number)
            self.tallies.events_sent += viewer.session.lanes.events_sent
            self.tallies.bytes_sent += viewer.bytes_sent

    def progress(self) -> None:
        """There may be something new to send or to tell: hand it round, and wake everybody."""
        for notice in self.group.take_notices():
            self._note(notice)
            for viewer in self._viewers.values():
                viewer.session.notice(notice)
        state = self.feed.upstream.state
        if state != self._state:
            self._state = state
            for viewer in self._viewers.values():
                viewer.session.upstream_changed()
        self.wake()

    def idle(self, viewer: Viewer) -> None:
        """A viewer has nothing to send now: has it all of the past, so that retention may go on?"""
        if viewer.is_owed and viewer.session.has_past:
            viewer.is_owed = False
            self._want(viewer)

    def polled(self, since: int, executions: tuple[str, ...], now_ms: int) -> None:
        """Somebody polls, where no WebSocket is to be had: its past is wanted as a viewer's is."""
        self.feed.want(
            ("poll", since, executions),
            since,
            executions=sorted(executions),
            until_ms=now_ms + POLL_LEASE_MS,
        )

    def _want(self, viewer: Viewer) -> None:
        session = viewer.session
        self.feed.want(
            viewer.number,
            session.since,
            session.query.history,
            sorted(session.executions),
            is_owed=viewer.is_owed,
        )

    def wake(self) -> None:
        """Let every viewer pull."""
        for viewer in self._viewers.values():
            viewer.wake()

    def bye(self, reason: str) -> None:
        """Everybody is told to go, now and from now on (4001)."""
        self._closing = reason
        for viewer in self._viewers.values():
            viewer.session.bye(reason)
        self.wake()

    def check_tokens(self) -> None:
        """The valid tokens are other ones: who has none for this group any more is told to go."""
        for viewer in self._viewers.values():
            code = _CODES.get(viewer.verdict())
            if code is not None:
                viewer.session.bye(CLOSE_REASONS[code], code=code)
                viewer.wake()

    def _note(self, notice: Notice) -> None:
        tallies = self.tallies
        if isinstance(notice, ScanDone):
            self._proved.add(notice)
            tallies.marks += 1
            tallies.marked_through = max(tallies.marked_through, notice.through)
        elif isinstance(notice, GapRecord):
            if self._gap_states.get(notice.id) != notice.state:  # else it has only grown
                tallies.gaps[notice.state] = tallies.gaps.get(notice.state, 0) + 1
            self._gap_states[notice.id] = notice.state
            if notice.state == "repaired":
                del self._gap_states[notice.id]
        elif isinstance(notice, Reset):
            self._proved.clear()
            tallies.resets += 1

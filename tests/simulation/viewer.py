"""A viewer in virtual time: the real session and polling plan, a simple screen, and crashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import TYPE_CHECKING

from common.http import Response
from forwarder.records import FeedKey
from forwarder.server.api import Api, ApiResponse
from forwarder.server.log_pages import BodyRequest
from tests.simulation.cloudwatch import first_text
from tests.simulation.judge import FaultError, Kind
from tests.simulation.link import Link
from tui.client import saved as state
from tui.client.polling import PollError, PollPlan
from tui.client.saved import Cursor, SavedCursor, Subject
from tui.client.session import ViewerSession
from tui.client.status import (
    CloseConnection,
    Effect,
    EndStatus,
    LostRange,
    MarkStatus,
    Rebased,
    SendMessage,
    Stored,
    Unconfirmed,
    UnequalRange,
    Welcomed,
)
from tui.lines.rows import Line
from wire.messages import Events, Item, Repair, ServerMessage, Welcome
from wire.query import Filter, History

if TYPE_CHECKING:
    from tests.simulation.forwarder import Forwarder

TARGET = "ws://127.0.0.1/v1/tail"


@dataclass(frozen=True)
class Saved:
    """The state that a viewer saves for its next run."""

    saved: SavedCursor
    had: frozenset[str]
    """Messages shown before saving; the next run need not show them."""


@dataclass(eq=False)
class Viewer:
    """A viewer across crashes and connections."""

    name: str
    wanted: Filter
    since: int | None
    history: History
    session: ViewerSession = field(init=False)
    link: Link | None = None
    shown: dict[int, Line] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    good: set[str] = field(default_factory=set)
    """Messages of confirmed lines, which are unique."""
    had: frozenset[str] = frozenset()
    """Messages that earlier runs showed."""
    invented: set[int] = field(default_factory=set)
    """Keys of lines that bit rot added."""
    rotted: int = 0
    forgotten: set[str] = field(default_factory=set)
    """Messages of lines that bit rot removed after they were shown."""
    items_at: int = 0
    """Time of the last events, or of the connection."""
    new_lines: list[Line] = field(default_factory=list)
    ends: dict[str, EndStatus] = field(default_factory=dict)
    new_ends: list[EndStatus] = field(default_factory=list)
    repaired_ms: int = 0
    """Total length of the ranges in repair requests."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    new_marks: list[MarkStatus] = field(default_factory=list)
    welcomes: list[Welcomed] = field(default_factory=list)
    unproved: int = 0
    unproved_final: int = 0
    closes: list[tuple[int, str]] = field(default_factory=list)
    retry_at: int = 0
    is_final: bool = False

    def __post_init__(self) -> None:
        """Start the first run."""
        self.session = self.make_session(None)

    def make_session(self, cursor: Cursor | None) -> ViewerSession:
        """Create a session, with a saved cursor if given."""
        return ViewerSession(
            event_filter=self.wanted, since=self.since, history=self.history, cursor=cursor
        )

    # Connection

    def opened(self, link: Link, now: int) -> None:
        """Handle a successful upgrade."""
        self.link = link
        self.session.connection_opened(now)

    def take(self, message: ServerMessage, now: int) -> None:
        """Handle a frame."""
        if isinstance(message, Welcome) or (isinstance(message, Events) and message.items):
            self.items_at = now
        self.apply(self.session.take_message(message, now, self.session.generation))

    def tick(self, now: int) -> None:
        """Handle elapsed time."""
        if self.link is not None:
            self.apply(self.session.check_silence(now))

    def closed(self, now: int, wait: int) -> None:
        """Handle the end of the connection."""
        self.session.connection_closed()
        if self.link is not None:
            self.link.is_closed_by_client = True
        self.link = None
        self.retry_at = now + wait

    def apply(self, effects: Sequence[Effect]) -> None:  # noqa: C901, PLR0912 - one case an effect
        """Apply the session's effects."""
        for effect in effects:
            match effect:
                case Stored():
                    self._stored(effect)
                case SendMessage():
                    if isinstance(effect.message, Repair):
                        self.repaired_ms += effect.message.through - effect.message.from_ + 1
                    if self.link is not None:
                        self.link.up.append(effect.message)
                case CloseConnection():
                    self.closes.append((effect.code, effect.reason))
                    self.is_final = self.is_final or effect.final
                    if self.link is not None:
                        self.link.is_closed_by_client = True
                        self.link = None
                    self.session.connection_closed()
                case Welcomed():
                    self.welcomes.append(effect)
                    if effect.outcome != "resumed":
                        self.had = frozenset()
                case Rebased():
                    self.confirmed.clear()
                    self.good.clear()
                    self.ends.clear()
                    self.had = frozenset()
                case Unconfirmed():
                    self._unconfirm(effect.keys)
                case MarkStatus():
                    if effect.equal:
                        self.new_marks.append(effect)
                case LostRange():
                    self.lost.append((effect.from_ms, effect.through_ms))
                case UnequalRange():
                    self.unproved += 1
                    self.unproved_final += effect.final
                case EndStatus():
                    self.ends[effect.execution] = effect
                    self.new_ends.append(effect)

    def _stored(self, stored: Stored) -> None:
        for line in stored.lines:
            if line.key in self.shown:
                raise FaultError(Kind.DUPLICATED, f"{self.name} shows {line} twice")
            self._show(line)
        for line in stored.confirmed:
            if line.key not in self.shown:
                raise FaultError(Kind.LOST, f"{self.name} confirms {line}, which it does not show")
            self._show(line)

    def _show(self, line: Line) -> None:
        if line.key in self.confirmed:
            self.good.discard(first_text(self.shown[line.key].message))
        self.shown[line.key] = line
        self.confirmed.add(line.key)
        self.good.add(first_text(line.message))
        self.new_lines.append(line)

    def _unconfirm(self, keys: list[int]) -> None:
        for key in keys:
            self.confirmed.discard(key)
            self.good.discard(first_text(self.shown[key].message))

    def rot(self, random: Random) -> None:
        """Remove an event from memory, or add one that was never written."""
        session = self.session
        if not self.confirmed or not session.is_welcomed or self._is_repairing():
            return
        line = self.shown[random.choice(sorted(self.confirmed))]
        key = line.key
        is_past = session.since is None or line.timestamp < session.since
        if is_past or line.seq <= session.holdings.tally.base:
            return  # no mark covers it
        self.rotted += 1
        if random.random() < 0.6:
            session.holdings.tally.unconfirm([key])
            self.forgotten.add(first_text(line.message))
            self._unconfirm([key])
            return
        item = Item(
            line.seq, f"9{self.rotted:07}", line.timestamp, None, line.stream, "rot", "live"
        )
        stored, keys = session.holdings.store([item], live=False)
        self.invented.update(keys)
        self._stored(stored)

    def _is_repairing(self) -> bool:
        """Whether a repair is pending: bit rot would make its range fail for good [13]."""
        queue = self.session._requests
        is_waiting = queue.in_flight is not None or bool(queue._waiting)
        return is_waiting or bool(self.session.holdings.proof.unequal)

    # Restarts

    def save(self) -> Saved | None:
        """Return the state that the viewer saves atomically; None without a cursor."""
        cursor, since = self.session.cursor(), self.session.requested_since
        if cursor is None or since is None:
            return None
        subject = Subject(TARGET, None, self.wanted, since)
        return Saved(SavedCursor(subject, cursor), self.had | self.good | self.forgotten)

    def crash(self, saved: Saved | None) -> None:
        """Restart with an empty screen at the saved cursor, or without one."""
        if self.link is not None:
            self.link.is_closed_by_client = True
        self.link = None
        self.shown, self.confirmed, self.good, self.forgotten = {}, set(), set(), set()
        self.new_lines, self.invented = [], set()
        self.ends, self.lost = {}, []
        cursor = None if saved is None else self._usable(saved.saved)
        self.had = frozenset() if saved is None or cursor is None else saved.had
        self.session = self.make_session(cursor)

    def _usable(self, saved: SavedCursor) -> Cursor | None:
        """The saved cursor if it is for the same target, filter and since [7]; else None."""
        self.since = saved.subject.since
        subject = Subject(TARGET, None, self.wanted, self.since)
        return saved.cursor if state._is_about(saved, subject) else None

    # Claims

    @property
    def complete_through(self) -> int | None:
        """Verified time, ms."""
        return self.session.holdings.proof.complete_through


ROUND_EVERY_MS = 3_000


class Poller:
    """Runs one viewer's polling rounds against the forwarder's HTTP API."""

    def __init__(self, viewer: Viewer, now: int) -> None:
        """The first round is due at ``now``."""
        self._viewer = viewer
        self._plan = PollPlan(viewer.session)
        self._next_at = now
        self.is_in_round = False
        self.began_at = now
        self.has_proved = False
        """Whether a response has moved the verified time since the judge last looked."""

    def step(self, forwarder: Forwarder | None, now: int, asks: int) -> None:
        """Send at most ``asks`` requests."""
        if self._plan._session is not self._viewer.session:  # the viewer restarted
            self._plan = PollPlan(self._viewer.session)
            self.is_in_round = False
        if not self.is_in_round:
            if now < self._next_at:
                return
            self._plan.begin_round(now)
            self.is_in_round = True
            self.began_at = now
        for _ in range(asks):
            if not self._ask(forwarder, now):
                self._plan.end_round()
                self.is_in_round = False
                self._next_at = now + ROUND_EVERY_MS
                break

    def _ask(self, forwarder: Forwarder | None, now: int) -> bool:
        """Send the next request; returns whether the round goes on."""
        ask = self._plan.next_request()
        if ask is None:
            return False
        answer = None if forwarder is None else self._get(forwarder, ask.target, now)
        if answer is None:
            return False
        before = self._viewer.complete_through or -1
        try:
            self._viewer.apply(self._plan.take_response(ask, answer, now))
        except PollError as error:
            if answer.status == HTTPStatus.BAD_REQUEST:
                raise FaultError(Kind.NEVER_CONVERGES, f"{ask.target}: {error}") from error
            return False
        self.has_proved |= (self._viewer.complete_through or -1) > before
        return True

    def _get(self, forwarder: Forwarder, target: str, now: int) -> Response | None:
        """Send one request; None if it failed, as while bodies are fetched."""
        steps = Api({FeedKey(forwarder.group.name): forwarder.hub}).respond(
            "GET", target, None, now
        )
        while True:
            try:
                needed = next(steps)
            except StopIteration as stop:
                reply: ApiResponse = stop.value
                return Response(reply.status, reply.body)
            if isinstance(needed, BodyRequest):
                forwarder.fetch_bodies(needed.from_, needed.through)
                return None

"""A viewer in virtual time: the pure session as it is, a screen that is a dict, and its crashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import TYPE_CHECKING

from common.http import Response
from forwarder.server.api import Api, ApiResponse
from forwarder.server.log_pages import BodyRequest
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
    ExecutionEnded,
    LossDeclared,
    Marked,
    MarkStatus,
    RangeUnequal,
    Rebased,
    SendMessage,
    Stored,
    Unconfirmed,
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
    """What a viewer leaves for the next one of its kind."""

    saved: SavedCursor
    had: frozenset[str]
    """Messages that were on the screen when it was saved: the next one need not show them."""


@dataclass(eq=False)
class Viewer:
    """One person's viewer, through its crashes and connections."""

    name: str
    wanted: Filter
    since: int | None
    history: History
    session: ViewerSession = field(init=False)
    link: Link | None = None
    shown: dict[int, Line] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    good: set[str] = field(default_factory=set)
    """Messages of the confirmed lines; each is one event's."""
    had: frozenset[str] = frozenset()
    """Messages that an earlier life showed, beyond which this one goes on."""
    invented: set[int] = field(default_factory=set)
    """Keys of lines that bit rot put there."""
    rotted: int = 0
    forgotten: set[str] = field(default_factory=set)
    """Messages of lines that bit rot took: they had been on the screen."""
    items_at: int = 0
    """When events came last, or it connected."""
    new_lines: list[Line] = field(default_factory=list)
    ends: dict[str, EndStatus] = field(default_factory=dict)
    new_ends: list[EndStatus] = field(default_factory=list)
    repaired_ms: int = 0
    """The length of all ranges that it asked to be sent again."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    new_marks: list[MarkStatus] = field(default_factory=list)
    welcomes: list[Welcomed] = field(default_factory=list)
    unproved: int = 0
    unproved_final: int = 0
    closes: list[tuple[int, str]] = field(default_factory=list)
    retry_at: int = 0
    is_final: bool = False

    def __post_init__(self) -> None:
        """Start its first life."""
        self.session = self.make_session(None)

    def make_session(self, cursor: Cursor | None) -> ViewerSession:
        """The pure session, from a saved cursor or from nothing."""
        return ViewerSession(
            event_filter=self.wanted, since=self.since, history=self.history, cursor=cursor
        )

    # The connection

    def opened(self, link: Link, now: int) -> None:
        """The upgrade has succeeded."""
        self.link = link
        self.session.connection_opened(now)

    def take(self, message: ServerMessage, now: int) -> None:
        """A frame has arrived."""
        if isinstance(message, Welcome) or (isinstance(message, Events) and message.items):
            self.items_at = now
        self.apply(self.session.take_message(message, now, self.session.generation))

    def tick(self, now: int) -> None:
        """Time has passed."""
        if self.link is not None:
            self.apply(self.session.check_silence(now))

    def closed(self, now: int, wait: int) -> None:
        """The connection is gone."""
        self.session.connection_closed()
        if self.link is not None:
            self.link.is_closed_by_client = True
        self.link = None
        self.retry_at = now + wait

    def apply(self, effects: Sequence[Effect]) -> None:  # noqa: C901, PLR0912 - one case an effect
        """Do what the pure session says."""
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
                case Marked():
                    if effect.mark.equal:
                        self.new_marks.append(effect.mark)
                case LossDeclared():
                    self.lost.append((effect.lost.from_ms, effect.lost.through_ms))
                case RangeUnequal():
                    self.unproved += 1
                    self.unproved_final += effect.range.final
                case ExecutionEnded():
                    self.ends[effect.end.execution] = effect.end
                    self.new_ends.append(effect.end)

    def _stored(self, stored: Stored) -> None:
        for line in stored.lines:
            if line.key in self.shown:
                raise FaultError(Kind.DOUBLED, f"{self.name} shows {line} twice")
            self._show(line)
        for line in stored.confirmed:
            if line.key not in self.shown:
                raise FaultError(Kind.LOST, f"{self.name} confirms {line} without showing it")
            self._show(line)

    def _show(self, line: Line) -> None:
        if line.key in self.confirmed:
            self.good.discard(self.shown[line.key].message)
        self.shown[line.key] = line
        self.confirmed.add(line.key)
        self.good.add(line.message)
        self.new_lines.append(line)

    def _unconfirm(self, keys: list[int]) -> None:
        for key in keys:
            self.confirmed.discard(key)
            self.good.discard(self.shown[key].message)

    def rot(self, random: Random) -> None:
        """Its memory loses an event, or holds one that nobody wrote."""
        session = self.session
        if not self.confirmed or not session.is_welcomed or self._is_repairing():
            return
        line = self.shown[random.choice(sorted(self.confirmed))]
        key = line.key
        is_past = session.since is None or line.timestamp < session.since
        if is_past or line.seq <= session.holdings.tally.base:
            return  # no mark speaks of it
        self.rotted += 1
        if random.random() < 0.6:
            session.holdings.tally.unconfirm([key])
            self.forgotten.add(line.message)
            self._unconfirm([key])
            return
        item = Item(
            line.seq, f"9{self.rotted:07}", line.timestamp, None, line.stream, "rot", "live"
        )
        stored, keys = session.holdings.store([item], live=False)
        self.invented.update(keys)
        self._stored(stored)

    def _is_repairing(self) -> bool:
        """Rot in the middle of a repair leaves a range red for good, as it should [13]."""
        queue = self.session._requests
        is_waiting = queue.in_flight is not None or bool(queue._waiting)
        return is_waiting or bool(self.session.holdings.proof.unequal)

    # Its lives

    def save(self) -> Saved | None:
        """What it writes to disk, atomically."""
        cursor, since = self.session.cursor(), self.session.since
        if cursor is None or since is None:
            return None
        subject = Subject(TARGET, None, self.wanted, since)
        return Saved(SavedCursor(subject, cursor), self.had | self.good | self.forgotten)

    def crash(self, saved: Saved | None) -> None:
        """A new process with an empty screen goes on at the saved cursor, or from nothing."""
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
        """The saved cursor, where it is about what this viewer is to watch [7]."""
        self.since = saved.subject.since
        subject = Subject(TARGET, None, self.wanted, self.since)
        return saved.cursor if state._is_about(saved, subject) else None

    # What it says

    @property
    def complete_through(self) -> int | None:
        """Green through this, ms."""
        return self.session.holdings.proof.complete_through


ROUND_EVERY_MS = 3_000


class Poller:
    """One viewer's rounds."""

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
        if self._plan._session is not self._viewer.session:  # a new life
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
        steps = Api({forwarder.group.name: forwarder.hub}).respond("GET", target, None, now)
        while True:
            try:
                needed = next(steps)
            except StopIteration as stop:
                reply: ApiResponse = stop.value
                return Response(reply.status, reply.body)
            if isinstance(needed, BodyRequest):
                forwarder.fetch_bodies(needed.from_, needed.through)
                return None

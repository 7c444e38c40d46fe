"""Builds a forwarder's messages, numbered and with correct digests, for tests of the viewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui.client.session import ViewerSession
from tui.client.status import Effect, Stored
from tui.lines.rows import Line
from wire.digest import digest_hex, digest_sum, event_digest
from wire.messages import (
    Backfill,
    Bye,
    DigestReply,
    End,
    Events,
    ExecutionStatus,
    Gap,
    GapState,
    Heartbeat,
    Item,
    Lost,
    Mark,
    Origin,
    Outcome,
    ServerMessage,
    Upstream,
    Welcome,
)

SINCE = 1_000
HEARTBEAT_MS = 600_000
"""The longest interval that the protocol allows: nobody sends heartbeats while a test runs."""


def item(
    seq: int,
    timestamp: int,
    event_id: int | str | None = None,
    *,
    message: str | None = None,
    stream: str = "app/one",
    origin: Origin = "live",
    ingestion_time: int | None = None,
) -> Item:
    """An item; its id defaults to its seq."""
    name = str(seq if event_id is None else event_id)
    text = f"line {name}" if message is None else message
    return Item(seq, name, timestamp, ingestion_time, stream, text, origin)


def line(key: int, message: str = "m", seq: int = 1, *, late_ms: int = 0) -> Line:
    """A line with the given key."""
    return Line(key, seq, None, "app/one", message, "live", late_ms)


def total(items: Iterable[Item]) -> tuple[int, str]:
    """Count and digest of items."""
    digests = [event_digest(one.id, one.timestamp, one.stream, one.message) for one in items]
    return len(digests), digest_hex(digest_sum(digests))


class ForwarderMessages:
    """Builds one connection's messages; counts and digests are those of ``owned``."""

    def __init__(self, owned: Sequence[Item] = ()) -> None:
        self.owned = list(owned)
        self.n = 0

    def welcome(
        self,
        outcome: Outcome = "fresh",
        *,
        epoch: str = "e1",
        after: int = 0,
        head_seq: int | None = None,
        since: int = SINCE,
        lost: Sequence[Lost] = (),
        protocol: int = 1,
        heartbeat_ms: int = HEARTBEAT_MS,
        extends: bool = False,
    ) -> Welcome:
        return Welcome(
            n=self._number(),
            protocol=protocol,
            epoch=epoch,
            outcome=outcome,
            after=after,
            head_seq=after if head_seq is None else head_seq,
            since=since,
            heartbeat_ms=heartbeat_ms,
            lost=list(lost),
            extends=extends,
        )

    def events(self, after: int, items: Sequence[Item], seq: int | None = None) -> Events:
        """Live events after the cursor; ``seq`` defaults to the last item's."""
        last = max((one.seq for one in items), default=after) if seq is None else seq
        self.owned += [one for one in items if one not in self.owned]
        return Events(n=self._number(), after=after, seq=last, items=list(items))

    def history(self, cursor: int, items: Sequence[Item]) -> Events:
        """A history frame, which does not move the cursor."""
        return self.events(cursor, items, seq=cursor)

    def backfill(
        self, held: str, *, done: bool = False, total: int | None = None, since: int | None = None
    ) -> Backfill:
        return Backfill(n=self._number(), held=held, total=total, done=done, since=since)

    def heartbeat(self, sent_seq: int, head_seq: int | None = None) -> Heartbeat:
        head = sent_seq if head_seq is None else head_seq
        return Heartbeat(
            n=self._number(), head_seq=head, sent_seq=sent_seq, upstream=Upstream("ok", 5)
        )

    def mark(
        self,
        from_: int,
        through: int,
        seq: int,
        *,
        base: int = 0,
        owned: Iterable[Item] | None = None,
        scanned_at: int | None = None,
    ) -> Mark:
        count, digest = total(self._within(from_, through, seq, base, owned))
        return Mark(
            n=self._number(),
            from_=from_,
            through=through,
            scanned_at=through if scanned_at is None else scanned_at,
            seq=seq,
            count=count,
            digest=digest,
        )

    def digest(
        self,
        from_: int,
        through: int,
        seq: int,
        *,
        base: int = 0,
        owned: Iterable[Item] | None = None,
    ) -> DigestReply:
        count, digest = total(self._within(from_, through, seq, base, owned))
        return DigestReply(
            n=self._number(), from_=from_, through=through, seq=seq, count=count, digest=digest
        )

    def end(
        self,
        from_: int,
        through: int,
        seq: int,
        *,
        execution: str = "one",
        status: ExecutionStatus = "SUCCEEDED",
        owned: Iterable[Item] | None = None,
    ) -> End:
        count, digest = total(self._within(from_, through, seq, 0, owned))
        return End(
            n=self._number(),
            execution=execution,
            status=status,
            from_=from_,
            through=through,
            seq=seq,
            count=count,
            digest=digest,
        )

    def gap(self, from_: int, through: int, state: GapState, name: str = "g1") -> Gap:
        return Gap(
            n=self._number(), id=name, from_=from_, through=through, state=state, reason="retention"
        )

    def bye(self, reason: str = "shutting down", retry_after_ms: int = 0) -> Bye:
        return Bye(n=self._number(), reason=reason, retry_after_ms=retry_after_ms)

    def _number(self) -> int:
        self.n += 1
        return self.n

    def _within(
        self, from_: int, through: int, seq: int, base: int, owned: Iterable[Item] | None
    ) -> list[Item]:
        items = self.owned if owned is None else owned
        return [one for one in items if from_ <= one.timestamp <= through and base < one.seq <= seq]


def connect(session: ViewerSession, welcome: Welcome, now_ms: int = 0) -> list[Effect]:
    """Open a session's connection with a welcome."""
    session.begin_attempt()
    session.connection_opened(now_ms)
    return session.take_message(welcome, now_ms)


def live_session(
    items: Sequence[Item] = (), *, session: ViewerSession | None = None
) -> tuple[ViewerSession, ForwarderMessages]:
    """A connected session with complete, empty history, and these live events."""
    viewer, forwarder = session or ViewerSession(since=SINCE), ForwarderMessages()
    connect(viewer, forwarder.welcome())
    deliver(viewer, forwarder.backfill(f"{SINCE}:0..", done=True))
    if items:
        deliver(viewer, forwarder.events(0, items))
    return viewer, forwarder


def deliver(session: ViewerSession, *messages: ServerMessage, now_ms: int = 0) -> list[Effect]:
    """Pass messages to a session; returns all its effects."""
    return [effect for one in messages for effect in session.take_message(one, now_ms)]


def stored_lines(effects: Iterable[Effect]) -> list[Line]:
    """The lines of all ``Stored`` effects."""
    return [one for effect in effects if isinstance(effect, Stored) for one in effect.lines]

"""A client for tests of the forwarder's session: pulls its messages and checks them."""

from __future__ import annotations

from collections.abc import Callable

from forwarder.delivery.frames import SliceReader
from forwarder.delivery.session import Session
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import ScanKind
from forwarder.records import LogEvent
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.codec import decode_server
from wire.digest import digest_hex, digest_sum, event_digest
from wire.messages import (
    Backfill,
    DigestReply,
    End,
    Events,
    Heartbeat,
    Item,
    Mark,
    Origin,
    ServerMessage,
    UnknownMessage,
    Welcome,
)
from wire.order import Interval, key_of, parse_interval
from wire.query import TailQuery

NOW: int = 1_700_000_000_000


def event(
    number: int, timestamp: int = NOW, message: str | None = None, stream: str = "app/one"
) -> LogEvent:
    """One event with the number as its id."""
    text = f"line {number}" if message is None else message
    return LogEvent(str(number), timestamp, timestamp + 5, stream, text)


def events(
    numbers: range, timestamp: Callable[[int], int], stream: str = "app/one"
) -> list[LogEvent]:
    """One event per number; ``timestamp`` maps numbers to timestamps."""
    return [event(number, timestamp(number), stream=stream) for number in numbers]


def log_group(*batches: list[LogEvent], origin: Origin = "live") -> LogGroup:
    """A log group with these events in an in-memory journal."""
    group = LogGroup(MemoryJournal("/app"))
    for batch in batches:
        group.ingest(batch, origin)
    return group


def scan(
    group: LogGroup,
    from_: int,
    through: int | None,
    found: list[LogEvent],
    *,
    at: int,
    kind: ScanKind = "live",
) -> None:
    """Run a complete scan that returns ``found``."""
    running = group.begin_scan(kind, from_, through, at)
    if found:
        running.take_page(found)
    group.finish_scan(running, at)


class SessionClient:
    """Pulls a session's messages, keeps its events and checks the protocol's rules."""

    def __init__(self, group: LogGroup, query: TailQuery | None = None, now: int = NOW) -> None:
        """Connect at ``now``."""
        self.group = group
        self.query = query or TailQuery(since=0)
        self.now = now
        self.session = Session(self.query, group, now_ms=now, slices=SliceReader(group.journal))
        self.held_items: dict[int, Item] = {}
        self.log: list[ServerMessage] = []
        self.cursor = 0
        self.held: Interval | None = self.query.held
        self.done = False
        self.unequal: list[Mark | End | DigestReply] = []

    def connect(self, **changes: object) -> SessionClient:
        """Reconnect with the client's cursor and events; ``changes`` override the query."""
        welcome = self.welcome
        query = TailQuery(
            filter=self.query.filter,
            since=welcome.since,
            epoch=welcome.epoch,
            after=self.cursor,
            held=None if self.done else self.held,
            history=self.query.history,
        )
        for name, value in changes.items():
            query = _changed(query, name, value)
        other = SessionClient(self.group, query, self.now)
        other.held_items = dict(self.held_items)
        other.cursor, other.done = self.cursor, self.done
        return other

    def pull(self, most: int = 10_000) -> list[ServerMessage]:
        """Pull messages until the session has none; returns them."""
        pulled: list[ServerMessage] = []
        for _ in range(most):
            message = self.one()
            if message is None:
                return pulled
            pulled.append(message)
        return pulled

    def one(self) -> ServerMessage | None:
        """Pull one message, encode and decode it, and check it; None if there is none."""
        message = self.session.next(self.now)
        if message is None:
            return None
        decoded = decode_server(b"".join(self.session.encode_parts(message)))
        assert not isinstance(decoded, UnknownMessage)
        assert decoded == message
        self.log.append(decoded)
        assert decoded.n == len(self.log)
        self._take(decoded)
        return decoded

    def at(self, now: int) -> list[ServerMessage]:
        """Set the time and pull all messages."""
        self.now = now
        return self.pull()

    @property
    def welcome(self) -> Welcome:
        """The first message."""
        first = self.log[0]
        assert isinstance(first, Welcome)
        return first

    def is_done(self) -> bool:
        """Whether all history was received; a method, as mypy would narrow an attribute."""
        return self.done

    @property
    def ids(self) -> list[str]:
        """Ids of the events held, in display order."""
        return [self.held_items[key].id for key in sorted(self.held_items)]

    @property
    def frames(self) -> list[Events]:
        """Event frames received so far."""
        return [one for one in self.log if isinstance(one, Events)]

    @property
    def marks(self) -> list[Mark]:
        """Marks received so far."""
        return [one for one in self.log if isinstance(one, Mark)]

    def total(self, from_: int, through: int, seq: int) -> tuple[int, str]:
        """Count and digest of the events held in a range."""
        digests = [
            event_digest(item.id, item.timestamp, item.stream, item.message)
            for item in self.held_items.values()
            if from_ <= item.timestamp <= through and self.query.base < item.seq <= seq
        ]
        return len(digests), digest_hex(digest_sum(digests))

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, Welcome):
            self.cursor = message.after
            if message.outcome == "rebased":
                self.held_items, self.held, self.done = {}, None, False
        elif isinstance(message, Events):
            self._take_events(message)
        elif isinstance(message, Backfill):
            self.held, self.done = parse_interval(message.held), message.done
        elif isinstance(message, Heartbeat):
            assert message.sent_seq == self.cursor
        elif isinstance(message, Mark | End | DigestReply):
            assert message.seq == self.cursor
            own = self.total(message.from_, message.through, message.seq)
            if own != (message.count, message.digest):
                self.unequal.append(message)

    def _take_events(self, message: Events) -> None:
        assert message.after == self.cursor
        assert len(message.items) <= 500
        for item in message.items:
            assert self.query.filter.matches(item.stream)
            if message.seq > message.after:
                assert self.cursor < item.seq <= message.seq
            else:
                assert item.seq <= self.cursor
            self.held_items[key_of(item.timestamp, item.id)] = item
        self.cursor = message.seq


def _changed(query: TailQuery, name: str, value: object) -> TailQuery:
    fields = {one: getattr(query, one) for one in query.__struct_fields__}
    fields[name] = value
    return TailQuery(**fields)

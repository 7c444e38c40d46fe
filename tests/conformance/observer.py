"""Checks every message of a connection against PROTOCOL.md.

``Holdings`` and ``Observer`` are pure: frames and times are arguments. ``Connection`` reads a
socket and passes its frames to an observer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.conformance.rules import Ledger
from wire.codec import decode_server, encode
from wire.digest import digest_hex, event_digest
from wire.errors import WireError
from wire.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, PROTOCOL_VERSION
from wire.messages import (
    Altered,
    Backfill,
    Bye,
    Credit,
    DigestReply,
    End,
    Events,
    Gap,
    Heartbeat,
    Item,
    Mark,
    Repair,
    ServerMessage,
    UnknownMessage,
    Verify,
    Welcome,
)
from wire.order import Interval, first_key, key_of, last_key, parse_interval
from wire.query import Filter, TailQuery


class Held(msgspec.Struct, gc=False):
    """One event that was received, with its digest."""

    key: int
    seq: int
    timestamp: int
    stream: str
    digest: int

    @classmethod
    def of(cls, item: Item) -> Self:
        """Convert a received item.

        Raises:
            WireError: the id is not a decimal number.

        """
        return cls(
            key_of(item.timestamp, item.id),
            item.seq,
            item.timestamp,
            item.stream,
            event_digest(item.id, item.timestamp, item.stream, item.message),
        )


class Holdings:
    """The events that the client holds and counts, by position K."""

    def __init__(self, events: Iterable[Held] = (), *, base: int = 0) -> None:
        """Start with these events; counts exclude those with seq <= ``base``."""
        self.events: dict[int, Held] = {one.key: one for one in events}
        self.base = base

    def total(self, from_: int, through: int, seq: int) -> tuple[int, str]:
        """Count and digest of the events within a time range with ``base < seq <= seq``."""
        count = digest = 0
        for one in self.events.values():
            if from_ <= one.timestamp <= through and self.base < one.seq <= seq:
                count += 1
                digest += one.digest
        return count, digest_hex(digest)

    def matching(
        self, wanted: Filter, *, after: int = 0, through_seq: int | None = None
    ) -> set[int]:
        """Positions of events that match a filter, with ``after < seq <= through_seq``."""
        return {
            one.key
            for one in self.events.values()
            if wanted.matches(one.stream)
            and one.seq > after
            and (through_seq is None or one.seq <= through_seq)
        }

    def in_order(self) -> list[Held]:
        """The events in display order."""
        return [one for _, one in sorted(self.events.items())]


BEATS: Final = 2
"""Heartbeat intervals of silence that are allowed: then clients close (PROTOCOL.md, 4012)."""

SLACK_S: Final = 1.0
"""Tolerance for the network and a busy machine."""


class Observer:
    """Checks the messages of one connection and keeps what later checks need."""

    def __init__(
        self,
        ledger: Ledger,
        query: TailQuery,
        holdings: Holdings,
        at_s: float,
        reference: Holdings | None = None,
    ) -> None:
        """Start observing a connection.

        Args:
            ledger: Records the outcome of each check.
            query: The connection's query.
            holdings: Events that the client already holds; received events are added.
            at_s: Time of opening, in seconds of any clock.
            reference: All events of another connection; None if unknown.

        """
        self.query, self.holdings = query, holdings
        self.welcome: Welcome | None = None
        self.cursor = query.after or 0
        self.held: Interval | None = None
        """Range of history held: the latest ``backfill``, before that the query's ``held``."""
        self.is_done = False
        self.items = 0
        self.beats = 0
        self.granted = query.credit
        """The highest credit grant so far; None for no limit."""
        self.marks: list[Mark] = []
        self.gaps: dict[str, Gap] = {}
        self.ends: list[End] = []
        self.replies: list[tuple[DigestReply, bool]] = []
        """Answers to verify and repair, each with whether it is correct."""
        self.frames: list[str] = []
        """Kind (``live`` or ``past``) of each frame with events."""
        self.first_held: Backfill | None = None
        self.last_bye: Bye | None = None
        self.seen: set[int] = set()
        """Positions of all events received on this connection."""
        self.stalled_s = 0.0
        """Time since the last heartbeat during which the suite itself was stalled."""
        self._ledger = ledger
        self._n = 0
        self._asked: list[Verify | Repair] = []
        self._resent: set[int] = set()
        self._beat_s = at_s
        self._reference = reference
        self._has_all_history = False

    @property
    def since(self) -> int:
        """Start of the range that the forwarder sends, ms."""
        return self.query.since or 0 if self.welcome is None else self.welcome.since

    def expect_answer(self, message: Verify | Repair) -> None:
        """Expect the answer to a request that the client sends."""
        self._asked.append(message)

    # Frames

    def take(self, frame: str | bytes, at_s: float) -> ServerMessage | UnknownMessage | None:
        """Check one frame; returns its message, None if it is malformed."""
        check = self._ledger.check
        try:
            if isinstance(frame, bytes):
                check("shape", holds=False, expected="text frames", got="a binary frame")
                return None
            message = decode_server(frame)
        except WireError as error:
            check(
                "shape",
                holds=False,
                expected="a message of the protocol",
                got=f"{error}: {frame[:80]!r}",
            )
            return None
        check("shape", holds=True, expected="", got="")
        check("n-dense", message.n == self._n + 1, f"n {self._n + 1}", f"n {message.n}")
        self._n = message.n
        if self.last_bye is not None:
            check("bye", holds=False, expected="nothing after bye", got=type(message).__name__)
        is_first = self.welcome is None
        if is_first or isinstance(message, Welcome):
            is_it = is_first and isinstance(message, Welcome)
            check("welcome", is_it, "welcome first, and once", type(message).__name__)
        self._check_size(message, frame)
        self._dispatch(message, at_s)
        return message

    def _check_size(self, message: ServerMessage | UnknownMessage, frame: str) -> None:
        if not isinstance(message, Events):
            return
        count, size = len(message.items), len(frame.encode("utf-8", "surrogatepass"))
        holds = count <= FRAME_EVENTS_MAX and (size <= FRAME_BYTES_MAX or count == 1)
        got = f"{count} events in {size} bytes"
        self._ledger.check("frame-size", holds, "at most 500 events and 1 MiB", got)

    def _dispatch(self, message: ServerMessage | UnknownMessage, at_s: float) -> None:
        if isinstance(message, Welcome):
            self._on_welcome(message, at_s)
        elif isinstance(message, Events):
            self._on_events(message)
        elif isinstance(message, Backfill):
            self._on_backfill(message)
        elif isinstance(message, Heartbeat):
            self._on_heartbeat(message, at_s)
        elif isinstance(message, Mark):
            self._on_mark(message)
        elif isinstance(message, DigestReply):
            self._on_digest(message)
        elif isinstance(message, End):
            self._on_end(message)
        elif isinstance(message, Gap | Altered):
            self._on_declared(message)
        elif isinstance(message, Bye):
            self.last_bye = message
            self._ledger.check("bye", holds=True, expected="", got="")

    def _on_welcome(self, message: Welcome, at_s: float) -> None:
        check, query = self._ledger.check, self.query
        check("welcome", message.protocol == PROTOCOL_VERSION, "protocol 1", message.protocol)
        if message.outcome == "resumed":
            check("resumed", message.after == query.after, f"after {query.after}", message.after)
        else:
            self.holdings.events.clear()
        if query.since is not None:
            check("fresh", message.since == query.since, f"since {query.since}", message.since)
        holds = message.after <= message.head_seq
        check("welcome", holds, "after not above head_seq", f"{message.after}, {message.head_seq}")
        for one in message.lost:
            check("lost", one.from_ <= one.through, "from <= through", one)
        is_resumed = message.outcome == "resumed"
        self.held = query.held if is_resumed else None
        # Resuming without held claims that the client has all history.
        self._has_all_history = self.is_done = is_resumed and query.held is None
        self.cursor = message.after
        self.welcome = message
        self._beat_s = at_s

    # Events

    def _on_events(self, message: Events) -> None:
        check = self._ledger.check
        holds = message.after == self.cursor and message.seq >= message.after
        expected = f"after {self.cursor}, seq not below it"
        check("seq-cover", holds, expected, f"after {message.after}, seq {message.seq}")
        is_past = message.after == message.seq
        if message.items:
            self.frames.append("past" if is_past else "live")
        elif not is_past:
            check("skipped", holds=True, expected="", got="")
        previous = message.after
        for item in message.items:
            try:
                event = Held.of(item)
            except WireError as error:
                check("shape", holds=False, expected="a decimal id", got=error)
                continue
            if not self.query.filter.matches_all:
                wants = self.query.filter.matches(event.stream)
                check("filters", wants, "only requested streams", event.stream)
            if is_past:
                self._take_past(event)
            else:
                in_range = previous < event.seq <= message.seq
                expected = f"seq in ({previous}, {message.seq}], in order"
                check("seq-cover", in_range, expected, f"seq {event.seq}")
                previous = max(previous, event.seq)
                self._take_live(event)
        self.cursor = message.seq
        self.items += len(message.items)
        if self.granted is not None:
            got = f"{self.items} events"
            check("credit", self.items <= self.granted, f"at most {self.granted}", got)

    def _take_live(self, event: Held) -> None:
        is_new = event.key not in self.holdings.events
        self._ledger.check("once", is_new, "each event once", f"seq {event.seq} again")
        if any(mark.from_ <= event.timestamp <= mark.through for mark in self.marks):
            self._ledger.check("late", holds=True, expected="", got="")
        asked = self._asked[0] if self._asked else None
        if isinstance(asked, Repair) and asked.from_ <= event.timestamp <= asked.through:
            self._resent.add(event.key)
        self._keep(event)

    def _take_past(self, event: Held) -> None:
        check = self._ledger.check
        holds = event.seq <= self.cursor
        check("past-neutral", holds, f"seq not above the cursor {self.cursor}", f"seq {event.seq}")
        asked = self._asked[0] if self._asked else None
        if isinstance(asked, Repair) and asked.from_ <= event.timestamp <= asked.through:
            self._resent.add(event.key)
            self._keep(event)
            return
        since = self.since
        check("since", event.timestamp >= since, f"timestamp >= {since}", event.timestamp)
        rule = "no-held" if self._has_all_history else "done"
        check(rule, not self.is_done, "no more history", f"seq {event.seq}")
        said = self.query.held
        if said is not None and self.welcome is not None and self.welcome.outcome == "resumed":
            check("held", event.key not in said, "no events within held", f"seq {event.seq}")
        check("once", event.key not in self.seen, "each event once", f"seq {event.seq} again")
        self._keep(event)

    def _keep(self, event: Held) -> None:
        self.holdings.events[event.key] = event
        self.seen.add(event.key)

    def _on_backfill(self, message: Backfill) -> None:
        check = self._ledger.check
        try:
            held = parse_interval(message.held)
        except WireError as error:
            check("backfill", holds=False, expected="held K..K", got=error)
            return
        self._check_claim(held)
        if self.held is not None:
            check("backfill", _covers(held, self.held), f"held covers {self.held}", held)
        self.first_held = self.first_held or message
        self.held = held
        if message.done:
            low = held.low is None or held.low <= last_key(self.since)
            expected = f"held from {self.since}, open above"
            check("done", low and held.high is None, expected, held)
            self.is_done = True

    # Claims about the events

    def _check_claim(self, held: Interval) -> None:
        """Check that all events within ``held`` that the reference knows were sent.

        Events sent outside ``held`` are correct: no complete scan may have covered them yet.
        """
        if self._reference is None or self.welcome is None:
            return
        wants, own = self.query.filter.matches, self.holdings.events
        missing = [
            one.seq
            for key, one in self._reference.events.items()
            if one.seq <= self.welcome.after
            and key in held
            and key not in own
            and one.timestamp >= self.since
            and wants(one.stream)
        ]
        expected = f"everything in held {held} sent"
        self._ledger.check("backfill", not missing, expected, f"not seq {missing[:5]}")

    def _on_heartbeat(self, message: Heartbeat, at_s: float) -> None:
        check = self._ledger.check
        holds = message.sent_seq == self.cursor
        check("sent-seq", holds, f"sent_seq {self.cursor}", message.sent_seq)
        holds = message.head_seq >= message.sent_seq
        check("sent-seq", holds, "head_seq not below sent_seq", message.head_seq)
        upstream = message.upstream
        if upstream.code:  # version 1 began without it
            holds = bool(upstream.reason) and "\n" not in upstream.reason
            check("heartbeat", holds, "one line of reason with a code", upstream.reason[:100])
        self.check_silence(at_s)
        self._beat_s, self.stalled_s = at_s, 0.0
        self.beats += 1

    def check_silence(self, at_s: float) -> None:
        """Check that the last heartbeat is recent enough."""
        if self.welcome is None or self.last_bye is not None:
            return
        silent_s = at_s - self._beat_s - self.stalled_s
        allowed_s = BEATS * self.welcome.heartbeat_ms / 1000 + SLACK_S
        expected = f"a heartbeat every {self.welcome.heartbeat_ms} ms"
        if silent_s > allowed_s or self.beats:
            got = f"none for {silent_s:.1f} s"
            self._ledger.check("heartbeat", silent_s <= allowed_s, expected, got)

    def _on_mark(self, message: Mark) -> None:
        check = self._ledger.check
        check("mark-seq", message.seq == self.cursor, f"seq {self.cursor}", f"seq {message.seq}")
        expected = f"{self.since} <= from <= through"
        holds = self.since <= message.from_ <= message.through
        check("mark-range", holds, expected, f"{message.from_} to {message.through}")
        if not self.is_done:
            span = Interval(first_key(message.from_), last_key(message.through))
            inside = self.held is not None and _covers(self.held, span)
            got = f"{message.from_} to {message.through}, held {self.held}"
            check("mark-range", inside, "within held before done", got)
        self._check_total("mark-true", message)
        self.marks.append(message)

    def _on_declared(self, message: Gap | Altered) -> None:
        if isinstance(message, Gap):
            self.gaps[message.id] = message
            return
        around = [
            (gap.from_, gap.through)
            for gap in self.gaps.values()
            if gap.state == "unrecoverable" and gap.reason.startswith("altered")
        ]
        for text in message.texts:
            if text.message is not None:
                holds = any(low <= text.timestamp <= high for low, high in around)
                self._ledger.check("altered", holds, f"a gap at {text.timestamp}", f"{around[:3]}")

    def _on_digest(self, message: DigestReply) -> None:
        check = self._ledger.check
        if not self._asked:
            check("verify", holds=False, expected="digest only as an answer", got=message)
            return
        asked = self._asked.pop(0)
        rule = "repair" if isinstance(asked, Repair) else "verify"
        from_ = max(asked.from_, self.since)
        clipped = message.from_ >= from_ and message.through <= asked.through
        expected = f"within {from_} to {asked.through}"
        right = check(rule, clipped, expected, f"{message.from_} to {message.through}")
        right &= check(rule, message.seq == self.cursor, f"seq {self.cursor}", message.seq)
        if isinstance(asked, Repair):
            for key, one in list(self.holdings.events.items()):
                if message.from_ <= one.timestamp <= message.through and key not in self._resent:
                    del self.holdings.events[key]
            self._resent = set()
        right &= self._check_total(rule, message)
        self.replies.append((message, right))

    def _on_end(self, message: End) -> None:
        self._ledger.check("end", self.is_done, "end after done", "end before done")
        self._check_total("end", message)
        self.ends.append(message)

    def _check_total(self, rule: str, claim: Mark | DigestReply | End) -> bool:
        own = self.holdings.total(claim.from_, claim.through, claim.seq)
        expected = f"count {own[0]}, digest {own[1]} for {claim.from_} to {claim.through}"
        got = f"count {claim.count}, digest {claim.digest}"
        return self._ledger.check(rule, own == (claim.count, claim.digest), expected, got)

    def green_through(self) -> int | None:
        """Last ms that marks cover without a gap from ``since``; None if they do not."""
        if self.welcome is None or not self.is_done:
            return None
        reached = self.since - 1
        for mark in sorted(self.marks, key=lambda one: one.from_):
            if mark.from_ <= reached + 1:
                reached = max(reached, mark.through)
        return reached if reached >= self.since else None


def _covers(outer: Interval, inner: Interval) -> bool:
    low = outer.low is None or (inner.low is not None and outer.low <= inner.low)
    high = outer.high is None or (inner.high is not None and outer.high >= inner.high)
    return low and high


TICK_S: Final = 0.1
"""Interval of checks for stalls of the suite itself."""

EVENTS_MAX: Final = 100_000
"""Most events that a run may hold."""


class TooManyError(Exception):
    """The range has more events than a run may hold."""


class Connection:
    """A connection to the forwarder whose frames an observer checks as they arrive."""

    def __init__(self, socket: ClientConnection, observer: Observer) -> None:
        """Start reading."""
        self.observer = observer
        self.close_code: int | None = None
        """The forwarder's close code; None while open or without a code."""
        self.is_over = False
        self._socket = socket
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._error: Exception | None = None
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; False on a timeout or when the connection ends.

        Raises:
            TooManyError: the range has too many events.

        """
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._error is not None:
                        raise self._error
                    if self.is_over:
                        return False
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def send(self, message: Credit | Verify | Repair) -> None:
        """Send a message; a closed connection is ignored, as waiting for the answer reports it."""
        if isinstance(message, Credit):
            granted = self.observer.granted
            self.observer.granted = max(message.events, granted or 0)
        else:
            self.observer.expect_answer(message)
        await self.send_raw(encode(message).decode("utf-8"))

    async def send_raw(self, frame: str | bytes) -> None:
        """Send a frame unchanged."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed:
            return

    async def close(self) -> None:
        """Close the connection and stop its tasks."""
        self.observer.check_silence(self._loop.time())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                message = self.observer.take(frame, self._loop.time())
                if isinstance(message, Heartbeat) and self.observer.granted is not None:
                    # PROTOCOL.md: credit is repeated at each heartbeat.
                    await self.send(Credit(events=self.observer.granted))
                if len(self.observer.holdings.events) > EVENTS_MAX:
                    self._error = TooManyError()
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._socket.close_code
            self.is_over = True
            self._changed.set()

    async def _tick(self) -> None:
        """Measure stalls of this process, so that they do not count as the forwarder's silence."""
        while True:
            before = self._loop.time()
            await asyncio.sleep(TICK_S)
            late_s = self._loop.time() - before - TICK_S
            if late_s > TICK_S:
                self.observer.stalled_s += late_s

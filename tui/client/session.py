"""One target's connection and cursor, client side. Pure: no clock, no socket.

The shell calls ``query`` before each attempt, ``opened`` when the connection stands, ``received``
for every message, ``tick`` when ``wake_at_ms`` has come, and ``closed``; it does what the effects
say. Numbers in brackets are the protocol's rules, each in a method or constant of its own (those
about counts and digests in ``holdings.py``, those about gaps in ``proof.py``).

From where a viewer goes on, and whether a forwarder's welcome goes on from there. Pure.

Numbers in brackets are the protocol's rules, each in a method of its own.

What one connection's messages said beside the events, and what was granted on it. Pure.

The verifies and repairs of one connection: one at a time, few waiting, none twice. Pure.

The forwarder answers in the order of its stream, so with one question out at a time the next
``digest`` is its answer.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tui.client.holdings import Claim, Holdings, Judged, Request
from tui.client.saved import NOTHING_HELD, Cursor
from tui.client.status import CaughtUp, Close, Effect, GapSeen, LostSeen, Send, Stored, Welcomed
from tui.lines.rows import time_key
from wire.limits import (
    CLOSE_NO_HEARTBEAT,
    CLOSE_PROTOCOL_VERSION,
    CLOSE_SEQUENCE_BROKEN,
    PROTOCOL_VERSION,
)
from wire.messages import (
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
    ServerMessage,
    UnknownMessage,
    Upstream,
    Welcome,
)
from wire.order import Interval, first_key, parse_interval
from wire.query import Filter, History, TailQuery


class Asked(msgspec.Struct, frozen=True):
    """What the last question said, and how often everything had begun anew until then."""

    cursor: Cursor | None = None
    base: int = 0
    since: int | None = None
    rebases: int = 0


class Position:
    """Where one target's viewer stands in the forwarder's stream and in the past.

    Args:
        group: The log group; None where the forwarder serves exactly one.
        wanted: The filter, the same for the viewer's whole life: a cursor belongs to it [7].
        since: From when on everything is owed, ms; None leaves it to the forwarder.
        history: Which end of the past comes first.
        cursor: A saved cursor of the same group, filter and since, whose lines are gone.
        holdings: What takes the events in.

    """

    def __init__(
        self,
        *,
        group: str | None,
        wanted: Filter,
        since: int | None,
        history: History,
        cursor: Cursor | None,
        holdings: Holdings,
    ) -> None:
        """Stand at the beginning, or at a saved cursor."""
        self.group = group
        self.wanted = wanted
        self.history: History = history
        self.holdings = holdings
        self.epoch: str | None = None
        self.after = 0
        """The seq last received, which is stored before the next message is looked at."""
        self.held: Interval | None = None
        self.is_done = False
        """Whether all of the past that was owed is here."""
        self.welcomes = 0
        """How often a forwarder took the viewer in."""
        self._since = since
        self._asked = Asked()
        self._rebases = 0
        if since is not None:
            self.holdings.proof.since = since
        if cursor is not None:
            self.epoch, self.after = cursor.epoch, cursor.after
            self.hold(cursor.held)
            self.holdings.tally.base = self._base_of(cursor)

    @property
    def since(self) -> int | None:
        """From when on everything is owed, ms; None until the forwarder has said it."""
        return self._since

    @since.setter
    def since(self, since: int) -> None:
        self._since = self.holdings.proof.since = since

    def cursor(self) -> Cursor | None:
        """From where to go on: the seq last *stored*, and the past that is here.

        ``held`` always goes with a cursor, or no past would be owed any more [1, 3].
        """
        if self.epoch is None:
            return None
        return Cursor(self.epoch, self.after, self.held or NOTHING_HELD)

    def begin(self) -> Asked:
        """Begin a question: it is from here that the answer must go on."""
        cursor = self.cursor()
        base = self.holdings.tally.base if cursor else 0
        self._asked = Asked(cursor, base, self._since, self._rebases)
        return self._asked

    def _is_of_this_epoch(self, message: Welcome) -> bool:
        """Whether what is here came by polling from the epoch that a first connection now meets."""
        no_cursor = self._asked.cursor is None and message.outcome == "fresh"
        return no_cursor and message.epoch == self.epoch

    def _has_foreign_base(self) -> bool:
        """Whether this connection counts from a seq that another epoch gave out [16].

        A mark of it would prove nothing, so the next attempt asks without cursor and base. It is
        the base that was asked with: polling may have begun anew since then.
        """
        return self._asked.base > 0

    def _base_of(self, cursor: Cursor) -> int:
        """The lines of an earlier run are not here, so none up to the cursor counts [16]."""
        return cursor.after

    def rebase(self, reason: str) -> list[Effect]:
        """The cursor is of another epoch: everything is owed again [6]."""
        self.epoch, self.after, self.held, self.is_done = None, 0, None, False
        self._rebases += 1
        return self.holdings.rebase(reason)

    def hold(self, held: Interval) -> None:
        """So much of the past is here."""
        self.held = held
        low = held.low is None or (self._since is not None and held.low <= first_key(self._since))
        self.is_done = low and held.high is None

    def _goes_on(self) -> bool:
        """Whether there was something before this connection, here or in an earlier run."""
        return self.welcomes > 0 or self.holdings.tally.base > 0

    def _take_back(self, message: Welcome) -> bool:
        """Stand again where the question stood; whether the answer is about it, and possible.

        Lines that came by polling since the question come again, and are dropped as doubles.
        """
        asked = self._asked.cursor
        same = self._asked.rebases == self._rebases
        if asked is None or not same or message.head_seq < asked.after:
            return False
        self.hold(asked.held)
        return message.after == asked.after


class Heard(msgspec.Struct):
    """For the status."""

    head_seq: int | None = None
    upstream: Upstream | None = None
    past_total: int | None = None
    past_received: int = 0
    bye: Bye | None = None


class Grant:
    """Credit of one connection: every item of every frame counts [15].

    Args:
        events: Events that may be on their way; the query has granted so many.

    """

    def __init__(self, events: int) -> None:
        """Nothing has come yet."""
        self._events = events
        self._items = 0
        self._granted = events

    def used(self, items: int) -> bool:
        """Events came; whether half of the credit is used, so that more must be granted."""
        self._items += items
        return self._granted - self._items <= self._events // 2

    def renewed(self) -> Credit:
        """The whole of it again, as the cumulative number that the wire has."""
        self._granted = self._items + self._events
        return Credit(self._granted)


WAITING_MAX: Final = 8
"""Questions that wait; what is not asked now is asked at the next mark that disagrees."""

PATIENCE_MS: Final = 60_000
"""A question that brought nothing for so long is given up."""


class Asking:
    """What was asked, what waits, and what a repair has brought so far."""

    def __init__(self) -> None:
        """Nothing is asked."""
        self._waiting: list[Request] = []
        self._out: Request | None = None
        self._seen: set[int] = set()
        self._active_ms = 0

    @property
    def out(self) -> Request | None:
        """The question that is out."""
        return self._out

    @property
    def seen(self) -> set[int]:
        """Keys of the range that came since the repair was asked for."""
        return self._seen

    def put(self, request: Request) -> bool:
        """Let a question wait, unless a part of its range is asked about already."""
        asked = [*self._waiting, *([self._out] if self._out else [])]
        overlaps = any(
            request.from_ <= other.through and other.from_ <= request.through for other in asked
        )
        if overlaps or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(request)
        return True

    def next(self, now_ms: int) -> Request | None:
        """The question to ask now, which thereby is out."""
        if self._out is not None and now_ms - self._active_ms > PATIENCE_MS:
            self._out = None
        if self._out is not None or not self._waiting:
            return None
        self._out = self._waiting.pop(0)
        self._seen = set()
        self._active_ms = now_ms
        return self._out

    def note(self, keys: list[int], low: int, high: int, now_ms: int) -> None:
        """Events came; those with ``low <= key <= high`` are of the range that is being repaired.

        What came by another way than the repair counts too: it was sent after the question.
        """
        if self._out is not None and self._out.kind == "repair":
            self._seen.update(key for key in keys if low <= key <= high)
            self._active_ms = now_ms

    def answered(self, from_: int, through: int) -> Request | None:
        """The question that a digest answers (clipped, maybe); it is out no more."""
        out = self._out
        if out is None or from_ < out.from_ or through > out.through:
            return None
        self._out = None
        return out

    def drop(self) -> None:
        """The connection is gone, and every question with it."""
        self._waiting.clear()
        self._out = None
        self._seen = set()


WELCOME_MS: Final = 15_000
"""Patience for ``welcome``: the forwarder may fetch bodies for some seconds before it."""

HEARTBEATS_MISSED_MAX: Final = 2
"""After so many times ``heartbeat_ms`` of silence the connection is taken for dead (4012)."""
CREDIT_EVENTS: Final = 20_000
"""Events that may be on their way: some 5 MB, a fraction of a second of a fast forwarder [15]."""


class ViewerSession(Position):
    """What one target's viewer has received, and from where it goes on.

    Args:
        target: The number of the target, kept in its lines' keys.
        group: The log group; None where the forwarder serves exactly one.
        wanted: The filter, the same for the session's whole life: a cursor belongs to it [7].
        since: From when on everything is owed, ms; None leaves it to the forwarder.
        history: Which end of the past comes first.
        cursor: A saved cursor of the same group, filter and since, whose lines are gone.
        holdings: What takes the events in; a new one of that target where None.

    """

    def __init__(
        self,
        target: int = 0,
        *,
        group: str | None = None,
        wanted: Filter = Filter(),  # noqa: B008 - frozen
        since: int | None = None,
        history: History = "newest",
        cursor: Cursor | None = None,
        holdings: Holdings | None = None,
    ) -> None:
        """Create a session that has not connected yet."""
        super().__init__(
            group=group,
            wanted=wanted,
            since=since,
            history=history,
            cursor=cursor,
            holdings=holdings or Holdings(target),
        )
        self.generation = 0
        self.is_open = False
        self.is_welcomed = False
        self.heartbeat_ms: int | None = None
        self.heard = Heard()
        self._asking = Asking()
        self._n = 0
        self._grant = Grant(CREDIT_EVENTS)
        self._received_ms = 0
        self._catching: int | None = None
        self._recovered = 0

    # The connection

    def query(self) -> TailQuery:
        """The parameters of the next attempt, which begins a new generation."""
        self.generation += 1
        self.closed()
        asked = self.begin()
        cursor = asked.cursor
        return TailQuery(
            group=self.group,
            filter=self.wanted,
            since=asked.since,
            epoch=cursor.epoch if cursor else None,
            after=cursor.after if cursor else None,
            held=cursor.held if cursor else None,
            history=self.history,
            base=asked.base,
            credit=CREDIT_EVENTS,
        )

    def opened(self, now_ms: int) -> None:
        """The connection of the last ``query`` stands."""
        self.is_open = True
        self.heartbeat_ms = None
        self.heard = Heard()
        self._n = 0
        self._grant = Grant(CREDIT_EVENTS)
        self._received_ms = now_ms

    def closed(self) -> None:
        """The connection is gone, or never came to stand."""
        self.is_open = self.is_welcomed = False
        self._asking.drop()

    def received(
        self, message: ServerMessage | UnknownMessage, now_ms: int, generation: int | None = None
    ) -> list[Effect]:
        """Take in a message; after a ``Close`` among the effects no further one is heard.

        Raises:
            WireError: an item's id or ``held`` is malformed. Nothing of the message was taken
                in, so that the next one shows the hole in ``n``.

        """
        if not self.is_open or self._is_stale(generation) or self._is_old(message.n):
            return []
        if self._is_hole(message.n):
            return self._broken(f"message {message.n} came after {self._n}")
        if not self.is_welcomed and not isinstance(message, Welcome | Bye | UnknownMessage):
            return self._broken(f"{type(message).__name__} came before welcome")
        effects = self._take(message, now_ms)
        self._n = message.n
        self._received_ms = now_ms
        return effects

    @property
    def wake_at_ms(self) -> int:
        """When ``tick`` is due unless a message comes first."""
        return self._received_ms + self._silence_ms()

    def tick(self, now_ms: int) -> list[Effect]:
        """Notice a connection that says nothing any more."""
        if not self.is_open or now_ms < self.wake_at_ms:
            return []
        return self._close(CLOSE_NO_HEARTBEAT, f"nothing heard for {self._silence_ms()} ms")

    def ask(self, request: Request, now_ms: int) -> list[Effect]:
        """Have a range compared or sent again, as soon as nothing else is being asked."""
        self._asking.put(request)
        return self._ask_next(now_ms)

    def _silence_ms(self) -> int:
        if self.heartbeat_ms is None:
            return WELCOME_MS
        return HEARTBEATS_MISSED_MAX * self.heartbeat_ms

    def _is_stale(self, generation: int | None) -> bool:
        """Whether a message is from a connection before this one: it is ignored."""
        return generation is not None and generation != self.generation

    def _is_old(self, n: int) -> bool:
        """Whether a message came before: it is ignored [2]."""
        return n <= self._n

    def _is_hole(self, n: int) -> bool:
        """Whether messages are missing before this one [2]."""
        return n > self._n + 1

    def _take(  # noqa: PLR0911 - one return for each type of message
        self, message: ServerMessage | UnknownMessage, now_ms: int
    ) -> list[Effect]:
        match message:
            case Events():
                return self._on_events(message, now_ms)
            case Backfill():
                return self._on_backfill(message)
            case Heartbeat():
                return self._on_heartbeat(message, now_ms)
            case Mark():
                return self._on_mark(message, now_ms)
            case DigestReply():
                return self._on_digest(message, now_ms)
            case End():
                return self._on_end(message, now_ms)
            case Gap():
                return [GapSeen(self.holdings.proof.put_gap(message, self.generation))]
            case Welcome():
                return self._on_welcome(message)
            case Bye():
                self.heard.bye = message
        return []

    def _broken(self, why: str) -> list[Effect]:
        return self._close(CLOSE_SEQUENCE_BROKEN, why)

    def _close(self, code: int, why: str, *, final: bool = False) -> list[Effect]:
        self.closed()
        return [Close(code, why, final)]

    # Welcome

    def _on_welcome(self, message: Welcome) -> list[Effect]:
        if self.is_welcomed:
            return self._broken("welcome came twice")
        if message.protocol != PROTOCOL_VERSION:
            why = f"the forwarder speaks version {message.protocol} of the protocol, not 1"
            return self._close(CLOSE_PROTOCOL_VERSION, why, final=True)
        effects: list[Effect] = []
        if message.outcome != "resumed":
            had_base = self._has_foreign_base()
            if not self._is_of_this_epoch(message):
                effects += self.rebase(f"the forwarder began epoch {message.epoch}")
            self.held, self.is_done = None, False
            if had_base:
                return effects + self._broken("the saved cursor is of another epoch")
        elif not self._take_back(message):
            effects += self.rebase("the forwarder resumed a cursor that it was not asked for")
            return effects + self._broken("resumed another cursor than was asked for")
        self.is_welcomed = True
        self.heartbeat_ms = message.heartbeat_ms
        self.heard.head_seq = message.head_seq
        self.epoch, self.after = message.epoch, message.after
        if self._asked.since is None:
            # Polling may have chosen one since the question: this connection owes from its own.
            self.since = message.since
        effects.append(Welcomed(message.outcome, message.epoch, self.welcomes > 0))
        found = [self.holdings.proof.put_lost(lost) for lost in message.lost]
        effects += [LostSeen(lost) for lost in found if lost is not None]
        self._catching = message.head_seq if self._goes_on() else None
        self.welcomes += 1
        self._recovered = 0
        return effects + self._catch_up()

    def rebase(self, reason: str) -> list[Effect]:
        """The cursor is of another epoch: everything is owed again [6]."""
        self._asking.drop()
        return super().rebase(reason)

    # Events and the past

    def _on_events(self, message: Events, now_ms: int) -> list[Effect]:
        if not self._follows(message):
            return self._broken(f"events after {message.after} came at {self.after}")
        effects = self.store(message.items, now_ms, live=message.seq > message.after)
        self.after = message.seq
        if message.seq == message.after and not self.is_done:
            self.heard.past_received += len(message.items)
        more = self._credit() if self._grant.used(len(message.items)) else []
        return effects + self._catch_up() + more

    def _follows(self, message: Events) -> bool:
        """Whether the frame goes on where the one before ended [12], with seqs in its range."""
        live = message.seq > message.after
        seqs = [item.seq for item in message.items] if live else []
        inside = not seqs or (min(seqs) > message.after and max(seqs) <= message.seq)
        return message.after == self.after <= message.seq and inside

    def store(self, items: list[Item], now_ms: int, *, live: bool) -> list[Effect]:
        """Take in events, whichever way they came."""
        stored, keys = self.holdings.store(items, live=live)
        out = self._asking.out
        if out is not None:
            low, high = time_key(out.from_), time_key(out.through + 1) - 1
            self._asking.note(keys, low, high, now_ms)
        if self._catching is not None:
            self._recovered += len(stored.lines)
        return [stored] if self._is_news(stored) else []

    @staticmethod
    def _is_news(stored: Stored) -> bool:
        return bool(stored.lines or stored.confirmed)

    def _catch_up(self) -> list[Effect]:
        """Tell once how much came for the time without connection."""
        if self._catching is None or self.after < self._catching or not self.is_done:
            return []
        self._catching = None
        return [CaughtUp(self._recovered)]

    def _on_backfill(self, message: Backfill) -> list[Effect]:
        """Keep ``held`` for the next resume, as K positions [3]."""
        held = parse_interval(message.held)
        self.heard.past_total = message.total
        if not message.done:
            self.held = held
            return []
        since = self._since or 0
        low = held.low if held.low is not None and held.low < first_key(since) else None
        self.held = Interval(first_key(since) if low is None else low, None)
        self.is_done = True
        return self._catch_up()

    def _credit(self) -> list[Effect]:
        """More credit: when half of it is used, and at each heartbeat [15]."""
        return [Send(self._grant.renewed())]

    # Heartbeats, marks, digests

    def _on_heartbeat(self, message: Heartbeat, now_ms: int) -> list[Effect]:
        if self._lags(message.sent_seq):
            return self._broken(f"the forwarder has sent {message.sent_seq}, here is {self.after}")
        self.heard.head_seq = message.head_seq
        self.heard.upstream = message.upstream
        return self._credit() + self._ask_next(now_ms)

    def _lags(self, sent_seq: int) -> bool:
        """Whether the forwarder has sent more than has come [12]."""
        return sent_seq > self.after

    def _on_mark(self, message: Mark, now_ms: int) -> list[Effect]:
        if self._lags(message.seq):
            return self._broken(f"a mark at {message.seq} came at {self.after}")
        return self._judged(self.holdings.judge_mark(message, self.generation), now_ms)

    def _on_end(self, message: End, now_ms: int) -> list[Effect]:
        if self._lags(message.seq):
            return self._broken(f"an end at {message.seq} came at {self.after}")
        return self._judged(self.holdings.judge_end(message), now_ms)

    def _on_digest(self, message: DigestReply, now_ms: int) -> list[Effect]:
        if self._lags(message.seq):
            return self._broken(f"a digest at {message.seq} came at {self.after}")
        request = self._asking.answered(message.from_, message.through)
        if request is None:
            return []
        claim = Claim(message.from_, message.through, message.seq, message.count, message.digest)
        seen = self._asking.seen
        judged = self.holdings.judge_answer(request, claim, seen, self.generation)
        return self._judged(judged, now_ms)

    def _judged(self, judged: Judged, now_ms: int) -> list[Effect]:
        for request in judged.requests:
            self._asking.put(request)
        return judged.effects + self._ask_next(now_ms)

    def _ask_next(self, now_ms: int) -> list[Effect]:
        request = self._asking.next(now_ms) if self.is_welcomed else None
        return [] if request is None else [Send(request.message())]

"""One target's protocol session on the viewer's side: a state machine without clock or socket.

The shell calls ``begin_attempt`` before it connects, ``connection_opened`` once it has, then
``take_message`` for every message and ``check_silence`` when ``wake_at_ms`` has come, and
``connection_closed`` at the end; it carries out the effects that these return. Polling feeds the
same session through ``store_items`` and ``advance``.

Numbers in brackets are rules of PROTOCOL.md. Rules about counts and digests are kept in
``holdings.py``, those about gaps in ``proof.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from tui.client.holdings import FollowUp, Holdings, RangeRequest
from tui.client.saved import NOTHING_HELD, Cursor
from tui.client.status import (
    CaughtUp,
    CloseConnection,
    Effect,
    SendMessage,
    UpstreamProblem,
    Welcomed,
)
from tui.lines.rows import Line, time_key
from wire.limits import (
    ALTERED_TEXTS_MAX,
    CLOSE_NO_HEARTBEAT,
    CLOSE_PROTOCOL_VERSION,
    CLOSE_SEQUENCE_BROKEN,
    PROTOCOL_VERSION,
)
from wire.messages import (
    Altered,
    AlteredText,
    Backfill,
    Bye,
    Credit,
    DeclaredBody,
    DigestReply,
    End,
    Events,
    Extend,
    Gap,
    Heartbeat,
    Item,
    Mark,
    ServerMessage,
    UnknownMessage,
    Upstream,
    Welcome,
)
from wire.order import Interval, first_key, parse_interval, timestamp_of
from wire.query import Filter, History, TailQuery

WELCOME_MS: Final = 15_000
"""Timeout for ``welcome``: the forwarder may fetch bodies for some seconds before it."""

HEARTBEATS_MISSED_MAX: Final = 2
"""Heartbeat intervals of silence after which the connection counts as dead (close code 4012)."""

CREDIT_EVENTS: Final = 20_000
"""Events that may be in flight: about 5 MB, a fraction of a second of a fast forwarder [15]."""

REQUESTS_WAITING_MAX: Final = 8
"""Range requests that may wait; a dropped one is made again at the next unequal mark."""

REQUEST_TIMEOUT_MS: Final = 60_000
"""A range request that brought nothing for this long is given up."""


TRANSIENT_CODES: Final = frozenset({"throttled", "unreachable"})
"""Problems that often end by themselves with the next call."""

LASTING_MS: Final = 2_500
"""Time without a complete poll from which on a transient problem is shown."""

REPEATED_MS: Final = 1_500
"""Time for which heartbeats must report a transient problem; they come every two seconds."""


class ForwarderReport(msgspec.Struct):
    """The forwarder's own figures from the present connection, for the status."""

    head_seq: int | None = None
    upstream: Upstream | None = None
    upstream_since_ms: int = 0
    """When CloudWatch was first reported as it is now, readable or not."""
    upstream_seen_ms: int | None = None
    """When ``upstream`` was reported last; None: never, or it may be otherwise by now."""
    backfill_total: int | None = None
    backfill_received: int = 0
    bye: Bye | None = None

    def take_upstream(self, upstream: Upstream | None, now_ms: int) -> None:
        """Keep a report on CloudWatch, and since when it has been like that.

        Without one, what was reported before, such as by the WebSocket, may be otherwise by now.
        """
        if upstream is None:
            self.upstream_seen_ms = None
            return
        known = None if self.upstream_seen_ms is None else self.upstream
        if known is None or not (problem_of(known) and problem_of(upstream)):
            self.upstream_since_ms = now_ms
        self.upstream, self.upstream_seen_ms = upstream, now_ms

    @property
    def problem(self) -> UpstreamProblem | None:
        """What keeps the forwarder from reading CloudWatch; None while that is not certain.

        A single call that was throttled or cut is no reason to alarm: the next one succeeds.
        """
        upstream = self.upstream
        if upstream is None or self.upstream_seen_ms is None:
            return None
        if not (code := problem_of(upstream)):
            return UpstreamProblem()
        found = UpstreamProblem(code, upstream.reason)
        if code not in TRANSIENT_CODES:
            return found
        is_repeated = self.upstream_seen_ms - self.upstream_since_ms >= REPEATED_MS
        return found if is_repeated and (upstream.lag_ms or 0) >= LASTING_MS else None


def problem_of(upstream: Upstream) -> str:
    """The code of a state in which CloudWatch can't be read; empty for ok and delayed.

    Forwarders that send no code, as in the first version of the protocol, have it from the state.
    """
    return "" if upstream.state in ("ok", "delayed") else upstream.code or upstream.state


class CreditWindow:
    """Flow control of one connection: every item of every frame uses credit [15].

    The query has granted the first window of ``events`` already.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._received = 0
        self._granted = events

    @property
    def is_half_used(self) -> bool:
        """Whether so little credit is left that the forwarder needs more."""
        return self._granted - self._received <= self._events // 2

    def count_items(self, items: int) -> None:
        """Use credit for received items."""
        self._received += items

    def renew(self) -> Credit:
        """Grant a whole window from here on; the wire carries the cumulative number."""
        self._granted = self._received + self._events
        return Credit(self._granted)


class AlteredTexts:
    """The texts that CloudWatch now returns for lines that were received with another one.

    Attributes:
        count: Number of altered events, also of those whose other text is not here.
    """

    def __init__(self) -> None:
        self.count = 0
        self._texts: dict[tuple[int, int], AlteredText] = {}

    def take(self, message: Altered) -> None:
        """Take the forwarder's changes."""
        self.count = message.count
        for text in message.texts:
            key = text.timestamp, int(text.id)
            self._texts.pop(key, None)
            if text.message is not None:
                self._texts[key] = text
        while len(self._texts) > ALTERED_TEXTS_MAX:
            del self._texts[next(iter(self._texts))]

    def replace(self, texts: Iterable[AlteredText], count: int) -> None:
        """Replace all texts."""
        self.count = count
        self._texts = {
            (one.timestamp, int(one.id)): one for one in islice(texts, ALTERED_TEXTS_MAX)
        }

    def __iter__(self) -> Iterator[AlteredText]:
        """Iterate over the texts in the order in which they came."""
        return iter(self._texts.values())

    def find(self, line: Line) -> AlteredText | None:
        """The other text of a line; None if there is none, or it is not here."""
        return self._texts.get((line.timestamp, int(line.id)))


class RequestQueue:
    """The range requests of one connection: one in flight, few waiting, no two overlapping.

    The forwarder answers in the order of its stream, so with one request in flight the next
    ``digest`` is its answer.

    Attributes:
        in_flight: The request that was sent and is not answered yet.
        seen_keys: Keys in the range that came since its repair was requested.
    """

    def __init__(self) -> None:
        self._waiting: list[RangeRequest] = []
        self.in_flight: RangeRequest | None = None
        self.seen_keys: set[int] = set()
        self._active_ms = 0

    def add(self, request: RangeRequest) -> bool:
        """Queue a request; False where its range overlaps another one or the queue is full."""
        known = [*self._waiting, *([self.in_flight] if self.in_flight else [])]
        overlaps = any(
            request.from_ <= other.through and other.from_ <= request.through for other in known
        )
        if overlaps or len(self._waiting) >= REQUESTS_WAITING_MAX:
            return False
        self._waiting.append(request)
        return True

    def start_next(self, now_ms: int) -> RangeRequest | None:
        """Put the next request in flight and return it; None where none may be sent now."""
        if self.in_flight is not None and now_ms - self._active_ms > REQUEST_TIMEOUT_MS:
            self.in_flight = None
        if self.in_flight is not None or not self._waiting:
            return None
        self.in_flight = self._waiting.pop(0)
        self.seen_keys = set()
        self._active_ms = now_ms
        return self.in_flight

    def note_keys(self, keys: list[int], now_ms: int) -> None:
        """Remember which received events lie in the range under repair.

        Events that came live during the repair count too: they were sent after the request.
        """
        request = self.in_flight
        if request is not None and request.kind == "repair":
            low, high = time_key(request.from_), time_key(request.through + 1) - 1
            self.seen_keys.update(key for key in keys if low <= key <= high)
            self._active_ms = now_ms

    def take_answered(self, from_: int, through: int) -> RangeRequest | None:
        """Remove and return the request that a digest answers; its range may be clipped."""
        request = self.in_flight
        if request is None or from_ < request.from_ or through > request.through:
            return None
        self.in_flight = None
        return request

    def clear(self) -> None:
        """Forget every request, as their connection has closed."""
        self._waiting.clear()
        self.in_flight = None
        self.seen_keys = set()


class _Attempt(msgspec.Struct, frozen=True):
    """The resume parameters of the last attempt, and the number of rebases before it."""

    cursor: Cursor | None = None
    base: int = 0
    since: int | None = None
    rebases: int = 0


class ViewerSession:
    """The state machine of one target: its cursor, its connection, and the requests in flight.

    Args:
        target: The number of the target, kept in its lines' keys.
        group: The log group; None where the forwarder serves exactly one.
        event_filter: The filter, the same for the session's whole life, as cursors need it [7].
        since: Start of the requested history, ms; None leaves it to the forwarder.
        history: Which end of the history comes first.
        cursor: A saved cursor of the same group, filter and since, without its lines.

    Attributes:
        epoch: The forwarder's epoch; None without a cursor.
        after: The seq received last, stored before the next message is looked at.
        held: The part of the history that is here.
        is_backfilled: Whether all of the requested history is here.
        welcomes: Number of connections that a forwarder accepted.
        generation: Number of connection attempts.
        rebases: Number of times that the cursor was dropped, as it was of another epoch.
        altered: Lines of which CloudWatch now returns another text.
        live_from: Every event with a later seq, up to ``after``, was received, wherever it
            sorts; None without a cursor.
        requested_since: Start of the history to be received; before ``since`` while more of it was
            asked for and is not complete yet.
        is_extended: Whether older history was ever asked for.
    """

    def __init__(
        self,
        target: int = 0,
        *,
        group: str | None = None,
        event_filter: Filter = Filter(),  # noqa: B008 - frozen
        since: int | None = None,
        history: History = "newest",
        cursor: Cursor | None = None,
    ) -> None:
        self.group = group
        self.event_filter = event_filter
        self.history: History = history
        self.holdings = Holdings(target)
        self.epoch: str | None = None
        self.after = 0
        self.held: Interval | None = None
        self.is_backfilled = False
        self.welcomes = 0
        self.generation = 0
        self.is_open = False
        self.is_welcomed = False
        self.heartbeat_ms: int | None = None
        self.report = ForwarderReport()
        self.altered = AlteredTexts()
        self._attempt = _Attempt()
        self.rebases = 0
        self.live_from: int | None = None
        self._requests = RequestQueue()
        self._credit = CreditWindow(CREDIT_EVENTS)
        self._n = 0
        self._received_ms = 0
        self._catch_up_seq: int | None = None  # head_seq of welcome, until it is reached
        self._recovered = 0
        self.is_extended = False
        self._is_extendable = False
        self._sent_since: int | None = None  # the connection's, as the forwarder has it
        self.requested_since: int | None = None
        if since is not None:
            self.since = since
        if cursor is not None:
            self.epoch, self.after = cursor.epoch, cursor.after
            self.live_from = cursor.after
            self.set_held(cursor.held)
            self.holdings.tally.base = self._base_of(cursor)

    @property
    def since(self) -> int | None:
        """Start of the requested history, ms; None until the forwarder has chosen it."""
        return self.holdings.proof.since

    @since.setter
    def since(self, since: int) -> None:
        self.holdings.proof.since = self.requested_since = since

    @property
    def complete_from(self) -> int | None:
        """Since when all that the forwarder knows is here, ms; None while nothing is."""
        held = self.held
        if held is None or held.high is not None:
            return None
        requested = self.requested_since or 0
        low = requested if held.low is None else timestamp_of(held.low - 1) + 1
        return max(low, requested)

    @property
    def is_restricted(self) -> bool:
        """Whether only another connection can bring the history that was asked for."""
        if not self.is_welcomed or self._is_extendable or self._sent_since is None:
            return False
        return self._sent_since > (self.requested_since or 0)

    def extend(self, since: int) -> list[Effect]:
        """Ask for history from an earlier time on; what is here stays complete from ``since`` on.

        Without a connection, or if the forwarder can't extend an open one (``is_restricted``), the
        next attempt asks for it.
        """
        before = self.requested_since
        if before is None or since >= before:
            return []
        if self.held is not None and self.held.low is None:
            self.held = Interval(first_key(before), self.held.high)
        self.requested_since, self.is_backfilled, self.is_extended = since, False, True
        return self._send_extend()

    def _send_extend(self) -> list[Effect]:
        since = self.requested_since
        if not self.is_welcomed or not self._is_extendable or since is None:
            return []
        self._sent_since = since
        return [SendMessage(Extend(since))]

    def cursor(self) -> Cursor | None:
        """The cursor to resume from: the last seq *stored*, and the history that is here.

        ``held`` goes with every cursor; without it the forwarder would send no history [1, 3].
        """
        if self.epoch is None:
            return None
        return Cursor(self.epoch, self.after, self.held or NOTHING_HELD)

    def set_held(self, held: Interval) -> None:
        """Set the part of the history that is here."""
        self.held = held
        since = self.requested_since
        low = held.low is None or (since is not None and held.low <= first_key(since))
        self._note_backfilled(is_backfilled=low and held.high is None)

    def _note_backfilled(self, *, is_backfilled: bool) -> None:
        """Note whether all of the requested history is here: what is verified starts there then.

        Not in a run that resumed an earlier one: no count covers what its forwarder knew before
        [16], so marks would verify the older lines without having compared them.
        """
        self.is_backfilled = is_backfilled
        requested = self.requested_since
        is_comparable = not self.holdings.tally.base
        if is_backfilled and is_comparable and requested is not None and requested != self.since:
            self.since = requested

    def advance(self, epoch: str, seq: int, head_seq: int) -> None:
        """Move the cursor to where polling has read to."""
        if self.live_from is None:
            self.live_from = seq
        self.epoch, self.after = epoch, seq
        self.report.head_seq = head_seq

    # The connection

    def begin_attempt(self) -> TailQuery:
        """Begin a new generation; returns the query of its connection attempt."""
        self.generation += 1
        self.connection_closed()
        cursor = self.cursor()
        base = self.holdings.tally.base if cursor else 0
        self._attempt = _Attempt(cursor, base, self.requested_since, self.rebases)
        return TailQuery(
            group=self.group,
            filter=self.event_filter,
            since=self.requested_since,
            epoch=cursor.epoch if cursor else None,
            after=cursor.after if cursor else None,
            held=cursor.held if cursor else None,
            history=self.history,
            base=base,
            credit=CREDIT_EVENTS,
        )

    def connection_opened(self, now_ms: int) -> None:
        """Reset the connection's state, as the last attempt succeeded."""
        self.is_open = True
        self.heartbeat_ms = None
        self.report = ForwarderReport()
        self._n = 0
        self._credit = CreditWindow(CREDIT_EVENTS)
        self._received_ms = now_ms

    def connection_closed(self) -> None:
        """Forget the connection's requests, as it has closed or could not be opened."""
        self.is_open = self.is_welcomed = False
        self._requests.clear()

    def take_message(
        self, message: ServerMessage | UnknownMessage, now_ms: int, generation: int | None = None
    ) -> list[Effect]:
        """Process a message; after a ``CloseConnection`` effect further ones are ignored.

        Raises:
            WireError: An item's id or ``held`` is malformed. Nothing of the message was stored,
                and the next message shows that its number is missing.
        """
        is_stale = generation not in (None, self.generation)  # of an earlier connection
        if not self.is_open or is_stale or self._is_repeated(message.n):
            return []
        if self._skips_numbers(message.n):
            return self._reject(f"message {message.n} followed message {self._n}")
        if not self.is_welcomed and not isinstance(message, Welcome | Bye | UnknownMessage):
            return self._reject(f"{type(message).__name__} came before welcome")
        effects = self._dispatch(message, now_ms)
        self._n = message.n
        self._received_ms = now_ms
        return effects

    @property
    def wake_at_ms(self) -> int:
        """When ``check_silence`` is due unless a message comes first."""
        return self._received_ms + self._silence_ms()

    def check_silence(self, now_ms: int) -> list[Effect]:
        """Close a connection on which nothing has come for too long."""
        if not self.is_open or now_ms < self.wake_at_ms:
            return []
        return self._close(CLOSE_NO_HEARTBEAT, f"no message for {self._silence_ms()} ms")

    def request_range(self, request: RangeRequest, now_ms: int) -> list[Effect]:
        """Have a range compared or sent again as soon as no other request is in flight."""
        self._requests.add(request)
        return self._send_next_request(now_ms)

    def _silence_ms(self) -> int:
        if self.heartbeat_ms is None:
            return WELCOME_MS
        return HEARTBEATS_MISSED_MAX * self.heartbeat_ms

    def _is_repeated(self, n: int) -> bool:
        """Whether a message of this number came before: it is ignored [2]."""
        return n <= self._n

    def _skips_numbers(self, n: int) -> bool:
        """Whether messages are missing before this one [2]."""
        return n > self._n + 1

    def _dispatch(  # noqa: PLR0911 - one return for each type of message
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
            case Gap() | Altered():
                return self._on_declared(message)
            case Welcome():
                return self._on_welcome(message)
            case Bye():
                self.report.bye = message
        return []

    def _on_declared(self, message: Gap | Altered) -> list[Effect]:
        if isinstance(message, Gap):
            return [self.holdings.proof.put_gap(message, self.generation)]
        self.altered.take(message)
        return []

    def take_declared(self, body: DeclaredBody, now_ms: int) -> list[Effect]:
        """Take everything that the forwarder declares, as polling brings it.

        The state of CloudWatch is that of the log group, whatever the epoch.
        """
        self.report.take_upstream(body.upstream, now_ms)
        if body.epoch != self.epoch:
            return []
        self.altered.replace(body.texts, body.count)
        return list(self.holdings.proof.replace_gaps(body.gaps, self.generation))

    def _reject(self, why: str) -> list[Effect]:
        return self._close(CLOSE_SEQUENCE_BROKEN, why)

    def _close(self, code: int, why: str, *, final: bool = False) -> list[Effect]:
        self.connection_closed()
        return [CloseConnection(code, why, final)]

    # Welcome

    def _on_welcome(self, message: Welcome) -> list[Effect]:
        if self.is_welcomed:
            return self._reject("welcome came twice")
        if message.protocol != PROTOCOL_VERSION:
            theirs = message.protocol
            why = f"the forwarder has protocol {theirs}, this viewer {PROTOCOL_VERSION}: update one"
            return self._close(CLOSE_PROTOCOL_VERSION, why, final=True)
        effects: list[Effect] = []
        if message.outcome != "resumed":
            # A base is of another epoch now: marks would verify nothing, so the next attempt asks
            # without cursor and base [16]. Polling may have rebased since, so the attempt's counts.
            had_base = self._attempt.base > 0
            if not self._is_of_this_epoch(message):
                effects += self.rebase(f"the forwarder began epoch {message.epoch}")
            self.held, self.is_backfilled, self.live_from = None, False, None
            if had_base:
                return effects + self._reject("the saved cursor is of another epoch")
            self.live_from = message.after
        elif not self._confirms_attempt(message):
            effects += self.rebase("the forwarder resumed a cursor that was not requested")
            return effects + self._reject("resumed another cursor than was requested")
        else:
            assert self._attempt.cursor is not None, "a resume was requested"
            self.set_held(self._attempt.cursor.held)
        self.is_welcomed = True
        self.altered = AlteredTexts()  # the forwarder sends all of them after every welcome [18]
        self.heartbeat_ms = message.heartbeat_ms
        self.report.head_seq = message.head_seq
        self.epoch, self.after = message.epoch, message.after
        if self._attempt.since is None:
            # Polling may have chosen one since the attempt began: the connection's own counts.
            self.since = message.since
        self._is_extendable, self._sent_since = message.extends, message.since
        effects.append(Welcomed(message.outcome, message.epoch, self.welcomes > 0))
        added = [self.holdings.proof.put_lost(lost) for lost in message.lost]
        effects += [lost for lost in added if lost is not None]
        has_earlier_lines = self.welcomes > 0 or self.holdings.tally.base > 0
        self._catch_up_seq = message.head_seq if has_earlier_lines else None
        self.welcomes += 1
        self._recovered = 0
        if message.since > (self.requested_since or 0):
            # Older history was asked for since the attempt began.
            if not message.extends:
                return effects + self._reject("the forwarder must be asked for older history again")
            effects += self._send_extend()
        return effects + self._finish_catch_up()

    def _is_of_this_epoch(self, message: Welcome) -> bool:
        """Whether a first connection meets the epoch from which polling has read already."""
        no_cursor = self._attempt.cursor is None and message.outcome == "fresh"
        return no_cursor and message.epoch == self.epoch

    def _base_of(self, cursor: Cursor) -> int:
        """The seq through which events do not count: the earlier run's lines are not here [16]."""
        return cursor.after

    def _confirms_attempt(self, message: Welcome) -> bool:
        """Whether ``resumed`` answers the cursor of the attempt, and is possible.

        Lines that polling brought since the attempt come again and are dropped as duplicates.
        """
        cursor = self._attempt.cursor
        if cursor is None or self._attempt.rebases != self.rebases:
            return False
        return message.head_seq >= cursor.after == message.after

    def rebase(self, reason: str) -> list[Effect]:
        """Drop the cursor, as it is of another epoch: all events have to come again [6]."""
        self._requests.clear()
        self.epoch, self.after, self.held, self.is_backfilled = None, 0, None, False
        self.live_from = None
        self.rebases += 1
        return self.holdings.rebase(reason)

    # Events and history

    def _on_events(self, message: Events, now_ms: int) -> list[Effect]:
        if not self._continues_stream(message):
            return self._reject(f"events after seq {message.after} came at seq {self.after}")
        effects = self.store_items(message.items, now_ms, live=message.seq > message.after)
        self.after = message.seq
        if message.seq == message.after and not self.is_backfilled:
            self.report.backfill_received += len(message.items)
        self._credit.count_items(len(message.items))
        more = self._renew_credit() if self._credit.is_half_used else []
        return effects + self._finish_catch_up() + more

    def _continues_stream(self, message: Events) -> bool:
        """Whether the frame begins where the one before ended, its seqs within its range [12]."""
        live = message.seq > message.after
        seqs = [item.seq for item in message.items] if live else []
        inside = not seqs or (min(seqs) > message.after and max(seqs) <= message.seq)
        return message.after == self.after <= message.seq and inside

    def store_items(self, items: list[Item], now_ms: int, *, live: bool) -> list[Effect]:
        """Store events from the connection or from polling; ``live`` means beyond the cursor."""
        stored, keys = self.holdings.store(items, live=live)
        self._requests.note_keys(keys, now_ms)
        if self._catch_up_seq is not None:
            self._recovered += len(stored.lines)
        return [stored] if stored.lines or stored.confirmed else []

    def _finish_catch_up(self) -> list[Effect]:
        """Report, once, how many lines the time without connection brought."""
        is_behind = self._catch_up_seq is None or self.after < self._catch_up_seq
        if is_behind or not self.is_backfilled:
            return []
        self._catch_up_seq = None
        return [CaughtUp(self._recovered)]

    def _on_backfill(self, message: Backfill) -> list[Effect]:
        """Remember ``held`` for the next resume, as key positions [3]."""
        held = parse_interval(message.held)
        self.report.backfill_total = message.total
        since = self.requested_since or 0
        about = self._sent_since if message.since is None else message.since
        if not message.done or (about or 0) > since:  # or it was sent before ``extend`` arrived
            self.held = held
            return []
        low = held.low if held.low is not None and held.low < first_key(since) else None
        self.held = Interval(first_key(since) if low is None else low, None)
        self._note_backfilled(is_backfilled=True)
        return self._finish_catch_up()

    def _renew_credit(self) -> list[Effect]:
        """Grant credit: when half of it is used, and at each heartbeat [15]."""
        return [SendMessage(self._credit.renew())]

    # Heartbeats, marks, digests

    def _on_heartbeat(self, message: Heartbeat, now_ms: int) -> list[Effect]:
        if self._is_behind(message.sent_seq):
            why = f"the forwarder sent seq {message.sent_seq}, but only {self.after} came"
            return self._reject(why)
        self.report.head_seq = message.head_seq
        self.report.take_upstream(message.upstream, now_ms)
        return self._renew_credit() + self._send_next_request(now_ms)

    def _is_behind(self, sent_seq: int) -> bool:
        """Whether the forwarder has sent more than has come [12]."""
        return sent_seq > self.after

    def _on_mark(self, message: Mark, now_ms: int) -> list[Effect]:
        if self._is_behind(message.seq):
            return self._reject(f"a mark at seq {message.seq} came at seq {self.after}")
        return self._follow_up(self.holdings.compare_mark(message, self.generation), now_ms)

    def _on_end(self, message: End, now_ms: int) -> list[Effect]:
        if self._is_behind(message.seq):
            return self._reject(f"an end at seq {message.seq} came at seq {self.after}")
        return self._follow_up(self.holdings.compare_end(message), now_ms)

    def _on_digest(self, message: DigestReply, now_ms: int) -> list[Effect]:
        if self._is_behind(message.seq):
            return self._reject(f"a digest at seq {message.seq} came at seq {self.after}")
        request = self._requests.take_answered(message.from_, message.through)
        if request is None:
            return []
        seen = self._requests.seen_keys
        result = self.holdings.compare_answer(request, message, seen, self.generation)
        return self._follow_up(result, now_ms)

    def _follow_up(self, result: FollowUp, now_ms: int) -> list[Effect]:
        for request in result.requests:
            self._requests.add(request)
        return result.effects + self._send_next_request(now_ms)

    def _send_next_request(self, now_ms: int) -> list[Effect]:
        request = self._requests.start_next(now_ms) if self.is_welcomed else None
        return [] if request is None else [SendMessage(request.message())]

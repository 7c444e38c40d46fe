"""Storage of the CloudWatch stand-in: events in order, log groups, page tokens, visibility.

CloudWatch Logs sorts by timestamp, ingestion time and PutLogEvents request. One number, the event's
*key*, encodes all three: ``timestamp << 48 | n``, where ``n`` counts the accepted events of this
process. An event is a plain tuple, because the garbage collector skips tuples of numbers and
strings; a million objects cost it a third of a second each time.
"""

from __future__ import annotations

import binascii
import heapq
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, count
from operator import itemgetter
from secrets import token_bytes
from typing import Final, NamedTuple

from simulator.acceptance import Regime, Visibility

Event = tuple[int, int, str, str]
"""Key, ingestion time in ms, log stream, message."""

KEY_BITS: Final = 48
BLOCK_EVENTS: Final = 1_000
"""A block holds at most twice as many; inserting a late event moves one block."""

ID_SHIFT: Final = 144
KEY_END: Final = 1 << (64 + KEY_BITS)
"""Greater than every key."""

_NUMBER: Final = (1 << KEY_BITS) - 1


def first_key(timestamp_ms: int) -> int:
    """Smallest possible key of an event at this time."""
    return timestamp_ms << KEY_BITS


class Ids:
    """56-digit ids, ``timestamp << 144 | counter``, in key order.

    The upper part of the counter is the start time of this process, so that a restarted process
    never reuses an id.
    """

    def __init__(self, began_ms: int) -> None:
        self._began = began_ms << KEY_BITS

    def of(self, key: int) -> str:
        """The id, in decimal, of the event with this key."""
        return f"{key >> KEY_BITS << ID_SHIFT | self._began | key & _NUMBER:056d}"


class Events:
    """Events in key order, in blocks found by bisection."""

    __slots__ = ("_blocks", "_count", "_firsts")

    def __init__(self) -> None:
        self._blocks: list[list[Event]] = []
        self._firsts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def first(self) -> Event | None:
        """Event with the smallest key."""
        return self._blocks[0][0] if self._blocks else None

    @property
    def last(self) -> Event | None:
        """Event with the greatest key."""
        return self._blocks[-1][-1] if self._blocks else None

    def insert(self, events: Sequence[Event]) -> None:
        """Add new events, which must be in key order."""
        self._count += len(events)
        done = 0
        while done < len(events):
            if not self._blocks:
                self._blocks.append([])
                self._firsts.append(0)
            at = max(bisect_right(self._firsts, events[done][0]) - 1, 0)
            is_last = at + 1 == len(self._blocks)
            stop = len(events) if is_last else bisect_left(events, (self._firsts[at + 1],), done)
            self._merge(at, events[done:stop])
            done = stop

    def between(self, low: int, high: int) -> Iterator[Event]:
        """Events with ``low`` <= key < ``high``, ascending; invalid after a change."""
        return chain.from_iterable(self._parts(low, high))

    def backwards(self, low: int, high: int) -> Iterator[Event]:
        """Events with ``low`` <= key < ``high``, descending; invalid after a change."""
        return chain.from_iterable(part[::-1] for part in self._parts(low, high, downwards=True))

    def remove_before(self, key: int) -> list[Event]:
        """Remove and return the events with a smaller key."""
        if not self._blocks or self._firsts[0] >= key:
            return []
        whole = max(bisect_left(self._firsts, key) - 1, 0)
        removed = list(chain.from_iterable(self._blocks[:whole]))
        del self._blocks[:whole], self._firsts[:whole]
        block = self._blocks[0]
        cut = bisect_left(block, (key,))
        removed += block[:cut]
        self._replace(0, block[cut:])
        self._count -= len(removed)
        return removed

    def remove(self, events: Iterable[Event]) -> None:
        """Remove these events, which must exist."""
        by_block: dict[int, set[int]] = {}
        for event in events:
            by_block.setdefault(bisect_right(self._firsts, event[0]) - 1, set()).add(event[0])
        for at in sorted(by_block, reverse=True):
            removed = by_block[at]
            self._count -= len(removed)
            self._replace(at, [event for event in self._blocks[at] if event[0] not in removed])

    def _merge(self, at: int, events: Sequence[Event]) -> None:
        block = self._blocks[at]
        is_appended = not block or block[-1][0] < events[0][0]
        block.extend(events)
        if not is_appended:
            block.sort()
        self._firsts[at] = block[0][0]
        if len(block) > 2 * BLOCK_EVENTS:
            parts = [
                block[start : start + BLOCK_EVENTS] for start in range(0, len(block), BLOCK_EVENTS)
            ]
            self._blocks[at : at + 1] = parts
            self._firsts[at : at + 1] = [part[0][0] for part in parts]

    def _replace(self, at: int, block: list[Event]) -> None:
        if block:
            self._blocks[at] = block
            self._firsts[at] = block[0][0]
        else:
            del self._blocks[at], self._firsts[at]

    def _parts(self, low: int, high: int, *, downwards: bool = False) -> Iterator[list[Event]]:
        start = max(bisect_right(self._firsts, low) - 1, 0)
        stop = bisect_left(self._firsts, high)
        blocks = range(start, stop)
        for at in reversed(blocks) if downwards else blocks:
            block = self._blocks[at]
            if at == start or at == stop - 1:
                yield block[bisect_left(block, (low,)) : bisect_left(block, (high,))]
            else:
                yield block


class StreamTimes(NamedTuple):
    """Times that DescribeLogStreams reports for a log stream, in ms; None without events."""

    first_ms: int | None = None
    last_ms: int | None = None
    ingestion_ms: int | None = None


class StreamStore:
    """The events of one log stream.

    Attributes:
        arn: ARN of the log stream.
        created_ms: Creation time.
        events: Readable events.
        last_ingestion_ms: Ingestion time of the last accepted event.
        stored_bytes: Size of the messages alone, as moto counts.
    """

    def __init__(self, arn: str = "", created_ms: int = 0) -> None:
        self.arn = arn
        self.created_ms = created_ms
        self.events = Events()
        self.stored_bytes = 0
        self.last_ingestion_ms: int | None = None
        self._reported = StreamTimes()
        self._reported_at_ms = created_ms

    def times(self, now_ms: int, lag_ms: int) -> StreamTimes:
        """The reported times, up to ``lag_ms`` out of date; on AWS by an hour or more."""
        if now_ms - self._reported_at_ms >= lag_ms:
            first, last = self.events.first, self.events.last
            self._reported_at_ms = now_ms
            self._reported = StreamTimes(
                None if first is None else first[0] >> KEY_BITS,
                None if last is None else last[0] >> KEY_BITS,
                self.last_ingestion_ms,
            )
        return self._reported


class Subscription(NamedTuple):
    """A subscription filter; ``is_random``: partitioned at random instead of by log stream."""

    name: str
    pattern: str
    destination: str
    is_random: bool = False


class GroupStore:
    """The events of one log group.

    Attributes:
        name: Name of the log group.
        streams: Log streams by name.
        subscriptions: Subscription filters by name.
        retention_ms: Age at which events are removed; None = never.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams: dict[str, StreamStore] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.retention_ms: int | None = None
        self._events = Events()

    def __len__(self) -> int:
        return len(self._events)

    def insert(self, events: Sequence[Event]) -> None:
        """Make events readable; events of deleted log streams are dropped."""
        by_stream: dict[str, list[Event]] = {}
        for event in events:
            by_stream.setdefault(event[2], []).append(event)
        for name, mine in by_stream.items():
            stream = self.streams.get(name)
            if stream is not None:
                mine.sort()
                stream.events.insert(mine)
                self._events.insert(mine)

    def delete_stream(self, name: str) -> None:
        """Remove a log stream and its events, if it exists."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            self._events.remove(stream.events.between(0, KEY_END))

    def expire(self, before_ms: int) -> int:
        """Remove events older than ``before_ms``; returns how many."""
        key = first_key(before_ms)
        removed = self._events.remove_before(key)
        for name in set(map(itemgetter(2), removed)):
            self.streams[name].events.remove_before(key)
        return len(removed)

    def apply_retention(self, now_ms: int) -> None:
        """Remove events older than the retention setting allows."""
        if self.retention_ms is not None:
            self.expire(now_ms - self.retention_ms)

    def read(
        self, streams: Iterable[str] | None, low: int, high: int, *, descending: bool = False
    ) -> Iterator[Event]:
        """Events of these log streams (None = all) with ``low`` <= key < ``high``, in order.

        The iterator is invalid after a change.
        """
        if streams is None:
            sources = [self._events]
        else:
            sources = [self.streams[name].events for name in streams]
        found = [
            one.backwards(low, high) if descending else one.between(low, high) for one in sources
        ]
        return found[0] if len(found) == 1 else heapq.merge(*found, reverse=descending)


TOKEN_MS: Final = 24 * 3_600_000

_SEAL_BYTES: Final = 9


class TokenError(Exception):
    """The token is malformed, belongs to another request, or is too old."""


class Tokens:
    """Page tokens, which name the event to continue after rather than a count.

    A token is valid for 24 hours and for its own request; only ``limit`` may change. AWS does not
    document what happens to a token of another request; refusing it is the strict choice.
    """

    def __init__(self) -> None:
        self._secret = token_bytes(16)
        self._issued = count()
        self._expired_ms = 0

    def issue(self, request: str, position: str, now_ms: int) -> str:
        """A unique token that continues after ``position``."""
        number = next(self._issued)
        head = f"{now_ms}.{number}.{position}".encode("utf-8", "surrogatepass")
        return urlsafe_b64encode(self._seal(request, head) + head).decode()

    def read(self, request: str, token: str, now_ms: int) -> str:
        """The position that a token of this request continues after.

        Raises:
            TokenError: The token is not valid, or no longer.
        """
        try:
            raw = urlsafe_b64decode(token.encode())
        except (UnicodeEncodeError, binascii.Error) as error:
            raise TokenError from error
        seal, head = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if seal != self._seal(request, head):
            raise TokenError
        issued_ms, _, position = head.decode("utf-8", "surrogatepass").split(".", 2)
        if self.is_expired(int(issued_ms), now_ms):
            raise TokenError
        return position

    def is_expired(self, issued_ms: int, now_ms: int) -> bool:
        """Whether a token issued at that time has expired."""
        return issued_ms <= self._expired_ms or now_ms - issued_ms > TOKEN_MS

    def expire(self, now_ms: int) -> None:
        """Expire every token issued so far."""
        self._expired_ms = now_ms

    def _seal(self, request: str, head: bytes) -> bytes:
        text = request.encode("utf-8", "surrogatepass") + b"\n" + head
        return blake2b(text, digest_size=_SEAL_BYTES, key=self._secret).digest()


class Logs:
    """What the log groups of this process share: clock, ids, tokens, and events not visible yet.

    Events that are not visible yet are stored apart, so that reads need not skip them.

    Attributes:
        lock: Held briefly while anything is stored or looked up.
        visibility: Decides when an event becomes visible.
        tokens: Page tokens.
        now_ms: Clock for ingestion times.
        stream_times_lag_ms: How far the times in DescribeLogStreams may be out of date.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.lock = threading.RLock()
        self.visibility = Visibility()
        self.tokens = Tokens()
        self.stream_times_lag_ms = 0
        self.ids = Ids(now_ms())
        self.now_ms = now_ms
        self._accepted = 0
        self._ingested_ms = 0
        # (visible_ms, key, event, store): the key settles ties.
        self._hidden: list[tuple[int, int, Event, GroupStore]] = []
        self._withheld: dict[str, Callable[[], None]] = {}

    def put(self, store: GroupStore, stream: str, events: Sequence[tuple[int, str]]) -> list[Event]:
        """Store (timestamp, message) pairs in an existing log stream; returns the stored events."""
        with self.lock:
            # Never earlier than the previous one, so that n alone gives the order of ingestion.
            ingested_ms = self._ingested_ms = max(self.now_ms(), self._ingested_ms)
            first = self._accepted
            self._accepted += len(events)
            made = [
                (timestamp << KEY_BITS | number, ingested_ms, stream, message)
                for number, (timestamp, message) in enumerate(events, first)
            ]
            kept = store.streams[stream]
            kept.last_ingestion_ms = ingested_ms
            kept.stored_bytes += sum(len(message) for _, message in events)
            store.insert(self._hide(store, made) if self.visibility.may_hide(ingested_ms) else made)
        return made

    def reveal(self, now_ms: int) -> None:
        """Make events readable that have become visible."""
        with self.lock:
            if not self._hidden or self._hidden[0][0] > now_ms:
                return
            seen: dict[int, tuple[GroupStore, list[Event]]] = {}
            while self._hidden and self._hidden[0][0] <= now_ms:
                _, _, event, store = heapq.heappop(self._hidden)
                seen.setdefault(id(store), (store, []))[1].append(event)
            for store, events in seen.values():
                store.insert(events)

    def impose(self, regime: Regime, withheld: Callable[[], None] = lambda: None) -> None:
        """Delay the visibility of events ingested under ``regime``; ``withheld`` counts each.

        Raises:
            SimulatorError: Too many regimes.
        """
        with self.lock:
            self.visibility.impose(regime)
            self._withheld[regime.name] = withheld

    def heal(self, name: str, now_ms: int) -> None:
        """End the regimes of that name and show what they hide."""
        with self.lock:
            self.visibility.heal(name, now_ms)
            self._withheld.pop(name, None)
            self._hidden = [
                (self._visible_ms(event), key, event, store)
                for _, key, event, store in self._hidden
            ]
            heapq.heapify(self._hidden)
            self.reveal(now_ms)

    def _hide(self, store: GroupStore, events: list[Event]) -> list[Event]:
        seen = []
        for event in events:
            visible_ms = self._visible_ms(event)
            if visible_ms > event[1]:
                heapq.heappush(self._hidden, (visible_ms, event[0], event, store))
                for name in self.visibility.delaying(*self._content(event)):
                    self._withheld.get(name, lambda: None)()
            else:
                seen.append(event)
        return seen

    def _visible_ms(self, event: Event) -> int:
        return self.visibility.visible_ms(*self._content(event))

    @staticmethod
    def _content(event: Event) -> tuple[str, int, str, int]:
        key, ingested_ms, stream, message = event
        return stream, key >> KEY_BITS, message, ingested_ms

"""What is stored, and what is hidden: everything that levers may reach.

Every method locks for itself. What is not visible yet is not among the events that reads look
through, so that it costs them nothing.

Pure: stored events in their order, found by bisection.

CloudWatch Logs sorts by timestamp, ingestion time and PutLogEvents request. All three are in one
number, an event's *key*: ``timestamp << 48 | n``, where ``n`` counts the accepted events of this
process. An event is a plain tuple, since the garbage collector never looks at tuples of numbers
and strings again, and a million named ones cost it a third of a second each time.

Pure: the events of one log group, merged and by log stream.

Page tokens by value: they say after which event to go on, not after how many.

A token is good for 24 hours, and for the request that it came with; only ``limit`` may change.
That a token of another request is refused is this project's choice, the strict one: AWS does not
say what happens.
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
"""Blocks hold at most twice as many; a late event costs moving one block."""

ID_SHIFT: Final = 144
KEY_END: Final = 1 << (64 + KEY_BITS)
"""Above every key."""

_NUMBER: Final = (1 << KEY_BITS) - 1


def first_key(timestamp_ms: int) -> int:
    """No event of this time, or of a later one, has a smaller key."""
    return timestamp_ms << KEY_BITS


class Ids:
    """56-digit ids, ``timestamp << 144 | counter``, in the order of the keys.

    The counter's upper part is the time at which this process began, so that a process started
    anew does not give old ids to other events.
    """

    def __init__(self, began_ms: int) -> None:
        """``began_ms``: when this CloudWatch came into being."""
        self._began = began_ms << KEY_BITS

    def of(self, key: int) -> str:
        """The id of the event with this key."""
        return f"{key >> KEY_BITS << ID_SHIFT | self._began | key & _NUMBER:056d}"


class Events:
    """Events in the order of their keys, in blocks."""

    __slots__ = ("_blocks", "_count", "_firsts")

    def __init__(self) -> None:
        """No events."""
        self._blocks: list[list[Event]] = []
        self._firsts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    @property
    def first(self) -> Event | None:
        """The one with the smallest key."""
        return self._blocks[0][0] if self._blocks else None

    @property
    def last(self) -> Event | None:
        """The one with the greatest key."""
        return self._blocks[-1][-1] if self._blocks else None

    def insert(self, events: Sequence[Event]) -> None:
        """Add events that are in order among themselves, and not there yet."""
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
        """Those with ``low`` <= key < ``high``, ascending; not to be used after a change."""
        return chain.from_iterable(self._parts(low, high))

    def backwards(self, low: int, high: int) -> Iterator[Event]:
        """The same, descending."""
        return chain.from_iterable(part[::-1] for part in self._parts(low, high, downwards=True))

    def remove_before(self, key: int) -> list[Event]:
        """Remove those with a smaller key; what was removed."""
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
        """Remove these, which must be there."""
        by_block: dict[int, set[int]] = {}
        for event in events:
            by_block.setdefault(bisect_right(self._firsts, event[0]) - 1, set()).add(event[0])
        for at in sorted(by_block, reverse=True):
            gone = by_block[at]
            self._count -= len(gone)
            self._replace(at, [event for event in self._blocks[at] if event[0] not in gone])

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
    """What DescribeLogStreams says of a log stream's events, in ms; None: it has none."""

    first_ms: int | None = None
    last_ms: int | None = None
    ingestion_ms: int | None = None


class StreamStore:
    """The events of one log stream.

    Attributes:
        arn: its ARN.
        created_ms: when it was made.
        events: those that can be read.
        last_ingestion_ms: of the last event that was accepted.
        stored_bytes: of the messages alone, as moto counts.

    """

    __slots__ = (
        "_told",
        "_told_at_ms",
        "arn",
        "created_ms",
        "events",
        "last_ingestion_ms",
        "stored_bytes",
    )

    def __init__(self, arn: str = "", created_ms: int = 0) -> None:
        """An empty log stream."""
        self.arn = arn
        self.created_ms = created_ms
        self.events = Events()
        self.stored_bytes = 0
        self.last_ingestion_ms: int | None = None
        self._told = StreamTimes()
        self._told_at_ms = created_ms

    def times(self, now_ms: int, lag_ms: int) -> StreamTimes:
        """As CloudWatch tells them, up to ``lag_ms`` behind; AWS is an hour or more behind."""
        if now_ms - self._told_at_ms >= lag_ms:
            first, last = self.events.first, self.events.last
            self._told_at_ms = now_ms
            self._told = StreamTimes(
                None if first is None else first[0] >> KEY_BITS,
                None if last is None else last[0] >> KEY_BITS,
                self.last_ingestion_ms,
            )
        return self._told


class Subscription(NamedTuple):
    """A subscription filter; ``is_random``: partitioned at random, not by log stream."""

    name: str
    pattern: str
    destination: str
    is_random: bool = False


class GroupStore:
    """The events of one log group.

    Attributes:
        name: the log group's.
        streams: by name.
        subscriptions: by name.
        retention_ms: how long events are kept; None = for ever.

    """

    def __init__(self, name: str) -> None:
        """A log group without log streams."""
        self.name = name
        self.streams: dict[str, StreamStore] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.retention_ms: int | None = None
        self._events = Events()

    def __len__(self) -> int:
        """The number of events that can be read."""
        return len(self._events)

    def insert(self, events: Sequence[Event]) -> None:
        """Let events be read; those of log streams that are gone by now are dropped."""
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
        """Remove a log stream, if there is one, and its events."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            self._events.remove(stream.events.between(0, KEY_END))

    def expire(self, before_ms: int) -> int:
        """Remove the events of before that time; how many."""
        key = first_key(before_ms)
        removed = self._events.remove_before(key)
        for name in set(map(itemgetter(2), removed)):
            self.streams[name].events.remove_before(key)
        return len(removed)

    def retain(self, now_ms: int) -> None:
        """Remove what retention does not keep any longer."""
        if self.retention_ms is not None:
            self.expire(now_ms - self.retention_ms)

    def read(
        self, streams: Iterable[str] | None, low: int, high: int, *, descending: bool = False
    ) -> Iterator[Event]:
        """The events of these log streams (None = all) with ``low`` <= key < ``high``, in order.

        To be used up before anything is changed.
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
    """The token is malformed, of another request, or too old."""


class Tokens:
    """Issues tokens and reads them."""

    def __init__(self) -> None:
        """Tokens of another process are refused."""
        self._secret = token_bytes(16)
        self._issued = count()
        self._expired_ms = 0

    def issue(self, request: str, position: str, now_ms: int) -> str:
        """A token for going on after ``position``, unlike every other one."""
        number = next(self._issued)
        head = f"{now_ms}.{number}.{position}".encode("utf-8", "surrogatepass")
        return urlsafe_b64encode(self._seal(request, head) + head).decode()

    def read(self, request: str, token: str, now_ms: int) -> str:
        """The position that a token says.

        Raises:
            TokenError: it is not good (any more).

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
        """Whether a token of that time is too old."""
        return issued_ms <= self._expired_ms or now_ms - issued_ms > TOKEN_MS

    def expire(self, now_ms: int) -> None:
        """Refuse every token issued until now, as if a day had passed."""
        self._expired_ms = now_ms

    def _seal(self, request: str, head: bytes) -> bytes:
        text = request.encode("utf-8", "surrogatepass") + b"\n" + head
        return blake2b(text, digest_size=_SEAL_BYTES, key=self._secret).digest()


Groups = Callable[[], Iterable[GroupStore]]
"""The log groups of all Regions that there are."""


class Logs:
    """The stored logs of this process.

    Attributes:
        lock: held while anything is stored or looked up; briefly, by one thread at a time.
        visibility: when an event becomes visible.
        tokens: what pages are continued by; they can be made to expire.
        now_ms: the clock that ingestion times are read from.
        stream_times_lag_ms: how far behind the times may be that DescribeLogStreams tells.

    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        groups: Groups = lambda: (),
        remake: Callable[[str], int] = lambda _: 0,
    ) -> None:
        """Nothing yet; ``remake`` is what ``recreate`` does, and says how many groups it was."""
        self.lock = threading.RLock()
        self.visibility = Visibility()
        self.tokens = Tokens()
        self.stream_times_lag_ms = 0
        self.ids = Ids(now_ms())
        self.now_ms = now_ms
        self._groups = groups
        self._remake = remake
        self._accepted = 0
        self._ingested_ms = 0
        # (visible_ms, key, event, store): the key settles ties.
        self._hidden: list[tuple[int, int, Event, GroupStore]] = []

    def put(self, store: GroupStore, stream: str, events: Sequence[tuple[int, str]]) -> list[Event]:
        """Accept (timestamp, message) pairs for a log stream that is there; as stored."""
        with self.lock:
            # Never earlier than the last, so that n alone has the order of ingestion, too.
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
            store.insert(self._hide(store, made) if self._may_hide(ingested_ms) else made)
        return made

    def reveal(self, now_ms: int) -> None:
        """Let what has become visible be read."""
        with self.lock:
            if not self._hidden or self._hidden[0][0] > now_ms:
                return
            seen: dict[int, tuple[GroupStore, list[Event]]] = {}
            while self._hidden and self._hidden[0][0] <= now_ms:
                _, _, event, store = heapq.heappop(self._hidden)
                seen.setdefault(id(store), (store, []))[1].append(event)
            for store, events in seen.values():
                store.insert(events)

    @property
    def hidden(self) -> int:
        """How many events nobody can see yet."""
        return len(self._hidden)

    def impose(self, regime: Regime) -> None:
        """Delay what is ingested while the regime holds.

        Raises:
            SimulatorError: there have been too many.

        """
        with self.lock:
            self.visibility.impose(regime)

    def heal(self, name: str, now_ms: int) -> None:
        """Show what the regimes of that name hide."""
        with self.lock:
            self.visibility.heal(name, now_ms)
            self._hidden = [
                (self._visible_ms(event), key, event, store)
                for _, key, event, store in self._hidden
            ]
            heapq.heapify(self._hidden)
            self.reveal(now_ms)

    def expire(self, group: str, before_ms: int) -> int:
        """Let retention take what is older, in the groups of that name; how many events."""
        with self.lock:
            return sum(one.expire(before_ms) for one in self._groups() if one.name == group)

    def recreate(self, group: str) -> int:
        """Delete the log groups of that name and make them anew, empty; how many there are.

        Log streams, subscription filters and retention are made anew with them, as whoever
        deploys a job does it, so that those who write can go on.
        """
        with self.lock:
            return self._remake(group)

    def groups(self) -> list[GroupStore]:
        """Every log group."""
        with self.lock:
            return list(self._groups())

    def _may_hide(self, now_ms: int) -> bool:
        return self.visibility.may_hide(now_ms)

    def _hide(self, store: GroupStore, events: list[Event]) -> list[Event]:
        seen = []
        for event in events:
            visible_ms = self._visible_ms(event)
            if visible_ms > event[1]:
                heapq.heappush(self._hidden, (visible_ms, event[0], event, store))
            else:
                seen.append(event)
        return seen

    def _visible_ms(self, event: Event) -> int:
        key, ingested_ms, stream, message = event
        return self.visibility.visible_ms(stream, key >> KEY_BITS, message, ingested_ms)

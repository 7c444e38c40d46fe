"""Pure: the events of one log group, merged and by log stream."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from simulator.cloudwatch.events import KEY_BITS, KEY_END, Event, Events, first_key


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

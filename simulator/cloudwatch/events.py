"""Pure: stored events in their order, found by bisection.

CloudWatch Logs sorts by timestamp, ingestion time and PutLogEvents request. All three are in one
number, an event's *key*: ``timestamp << 48 | n``, where ``n`` counts the accepted events of this
process. An event is a plain tuple, since the garbage collector never looks at tuples of numbers
and strings again, and a million named ones cost it a third of a second each time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

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

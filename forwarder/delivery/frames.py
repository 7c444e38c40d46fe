"""Cuts slices of events for frames from the journal. Viewers at the same cursor share a slice.

Frames stay within 500 events and 1 MiB on the wire. A slice is measured by its JSON encoding, so
escapes count. Rows are read in batches sized by the weight of the previous ones, so that a journal
of 1 MB events is never loaded by the hundred.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from common.ranges import Range
from forwarder.journal.contract import Journal
from forwarder.records import Row
from wire.codec import encode
from wire.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, TIMESTAMP_MAX
from wire.messages import Events, Item
from wire.order import Interval, key_of
from wire.query import Filter

ENVELOPE_BYTES: Final = 128
"""Room for the JSON around a frame's items."""

ITEMS_BYTES_MAX: Final = FRAME_BYTES_MAX - ENVELOPE_BYTES

FIRST_ROWS: Final = 32
"""Rows of the first read, while their size is unknown."""

EXAMINED_ROWS_MAX: Final = 5_000
"""Rows that one slice examines, so that the search for a rare stream delays no other viewer."""

CACHE_BYTES_MAX: Final = 4 << 20
"""Encoded bytes of cached slices (their decoded items take as much again). That is 16 s of
1,000 events/s; a viewer further behind reads the journal itself."""

_ROW_OVERHEAD: Final = 128

ReadRows = Callable[[Row | None, int], list[Row]]
"""Reads at most the given number of rows after a row (None: from the start)."""

StopReason = Literal["end", "full", "long", "bodies"]
"""Why a slice stops: no more rows; frame or credit full; enough rows examined; bodies missing."""


class Slice(msgspec.Struct, frozen=True):
    """Events for one frame, and how far the journal was examined to find them.

    Attributes:
        items: The events.
        body: ``items`` as a JSON array.
        last: Last row examined; None if there was none.
        stop: Why the slice stops there.
        bodies: Time range of the rows right after it whose bodies must be fetched first.
        lost: Timestamps of the rows left out because their bodies are lost.
        backfill_from: Smallest timestamp of the backfilled rows examined. A viewer whose ``since``
            is later must not get this slice.
    """

    items: list[Item]
    body: bytes
    last: Row | None
    stop: StopReason
    bodies: Range | None
    lost: tuple[int, ...]
    backfill_from: int


EMPTY_SLICE: Final = Slice([], b"[]", None, "end", None, (), 0)


class SliceReader:
    """Cuts slices from one journal for all of its viewers, and caches those that viewers share."""

    def __init__(self, journal: Journal, *, cache_bytes_max: int = CACHE_BYTES_MAX) -> None:
        """Create a reader with an empty cache of at most ``cache_bytes_max`` encoded bytes."""
        self._journal = journal
        self._cache: OrderedDict[tuple[str, int, int, Filter], tuple[int, Slice]] = OrderedDict()
        self._cache_bytes = 0
        self._cache_bytes_max = cache_bytes_max
        self.hits = 0
        """Slices served from the cache."""

    def after(self, seq: int, wanted: Filter, since: int, limit: int) -> Slice:
        """Cut what follows a cursor, in seq order.

        Events fetched for another viewer are left out: backfilled and older than ``since``.
        """
        key = (self._journal.epoch, seq, limit, wanted)
        cached = self._cached(key, since)
        if cached is not None:
            return cached
        oldest = TIMESTAMP_MAX

        def accepts(row: Row) -> bool:
            nonlocal oldest
            if not wanted.matches(row.stream):
                return False
            if row.origin == "backfill":
                oldest = min(oldest, row.timestamp)
                return row.timestamp >= since
            return True

        cut = self._cut(self._rows_after(seq), accepts, limit, everything=wanted.matches_all)
        found = msgspec.structs.replace(cut, backfill_from=oldest)
        if found.items and found.stop != "bodies":
            self._cache_slice(key, since, found)
        return found

    def page(self, seq: int, until_seq: int, wanted: Filter, times: Range, limit: int) -> Slice:
        """Cut as ``after`` does, with ``since`` the first of ``times``, bounded by seq and time."""
        since, through = times

        def accepts(row: Row) -> bool:
            is_requested = row.timestamp >= since or row.origin != "backfill"
            return is_requested and row.timestamp <= through and wanted.matches(row.stream)

        return self._cut(self._rows_after(seq, until_seq), accepts, limit, everything=False)

    def recent(self, seq: int, until_seq: int, wanted: Filter, times: Range, limit: int) -> Slice:
        """Cut what follows a cursor within a time range (inclusive), in seq order."""
        from_, through = times

        def accepts(row: Row) -> bool:
            return from_ <= row.timestamp <= through and wanted.matches(row.stream)

        return self._cut(self._rows_after(seq, until_seq), accepts, limit, everything=False)

    def between(
        self,
        interval: Interval,
        wanted: Filter,
        limit: int,
        *,
        until_seq: int,
        newest_first: bool = False,
        base: int = 0,
    ) -> Slice:
        """Cut what lies within an interval, with ``base < seq <= until_seq``, in display order."""

        def accepts(row: Row) -> bool:
            return row.seq > base and wanted.matches(row.stream)

        def read(last: Row | None, count: int) -> list[Row]:
            rest = interval
            if last is not None:
                key = key_of(last.timestamp, last.id)
                if newest_first:
                    rest = Interval(interval.low, key - 1)
                else:
                    rest = Interval(key + 1, interval.high)
            return self._journal.read_between(
                rest, count, newest_first=newest_first, until_seq=until_seq
            )

        return self._cut(read, accepts, limit, everything=wanted.matches_all)

    def _rows_after(self, seq: int, until_seq: int | None = None) -> ReadRows:
        def read(last: Row | None, count: int) -> list[Row]:
            return self._journal.read_after(seq if last is None else last.seq, count, until_seq)

        return read

    def _cut(
        self, read: ReadRows, accepts: Callable[[Row], bool], limit: int, *, everything: bool
    ) -> Slice:
        builder = _SliceBuilder(limit)
        examined, count = 0, FIRST_ROWS
        while True:
            rows = read(builder.last, count)
            examined += len(rows)
            stop = self._take_rows(builder, rows, accepts)
            if stop is None and len(rows) < count:
                stop = "end"
            elif stop is None and builder.limit and builder.count == builder.limit:
                stop = "full"
            elif stop is None and examined >= EXAMINED_ROWS_MAX:
                stop = "long"
            if stop is not None:
                return builder.build(stop)
            count = builder.rows_to_read(rows, everything=everything)

    def _take_rows(
        self, builder: _SliceBuilder, rows: Sequence[Row], accepts: Callable[[Row], bool]
    ) -> StopReason | None:
        """Add the rows that ``accepts`` accepts; returns why the slice must stop, None to go on."""
        taken: list[Row] = []
        room = builder.limit - builder.count
        lost: set[str] | None = None
        for row in rows:
            if accepts(row):
                if row.message is None:
                    lost = self._lost_ids(rows) if lost is None else lost
                    if row.id not in lost:
                        fits = builder.add(taken)
                        return builder.stop_at(rows, row, lost, accepts) if fits else "full"
                    builder.lost.append(row.timestamp)
                elif len(taken) < room:
                    taken.append(row)
                else:
                    builder.add(taken)
                    return "full"
            builder.examined = row
        return None if builder.add(taken) else "full"

    def _lost_ids(self, rows: Sequence[Row]) -> set[str]:
        found = self._journal.find([row.id for row in rows if row.message is None])
        return {event_id for event_id, known in found.items() if known.is_lost}

    def _cached(self, key: tuple[str, int, int, Filter], since: int) -> Slice | None:
        entry = self._cache.get(key)
        if entry is None:
            return None
        cut_for, found = entry
        if since != cut_for and found.backfill_from < max(since, cut_for):
            return None
        self._cache.move_to_end(key)
        self.hits += 1
        return found

    def _cache_slice(self, key: tuple[str, int, int, Filter], since: int, found: Slice) -> None:
        replaced = self._cache.pop(key, None)
        if replaced is not None:
            self._cache_bytes -= len(replaced[1].body)
        self._cache[key] = since, found
        self._cache_bytes += len(found.body)
        while self._cache_bytes > self._cache_bytes_max:
            _, (_, dropped) = self._cache.popitem(last=False)
            self._cache_bytes -= len(dropped.body)


class _SliceBuilder:
    """Builds a slice: collects rows until the frame, or the credit, is full."""

    def __init__(self, limit: int) -> None:
        self.limit = min(limit, FRAME_EVENTS_MAX)
        self.last: Row | None = None
        self.examined: Row | None = None
        """Last row examined before the rows passed to ``add``, taken or not."""
        self.lost: list[int] = []
        self._items: list[Item] = []
        self._parts: list[bytes] = []
        self._size = 2
        self._bodies: Range | None = None

    @property
    def count(self) -> int:
        return len(self._items)

    def add(self, rows: Sequence[Row]) -> bool:
        """Add the rows that fit, and move ``last``; returns whether all of them did."""
        items = [row.item() for row in rows]
        part = encode(items)
        fits = self._size + len(part) <= ITEMS_BYTES_MAX
        if fits:
            self.last = self.examined or self.last
        else:
            # Rows examined after the last one that fits are examined again by the next slice.
            items, part = self._fitting(items)
            self.last = rows[len(items) - 1] if items else self.last
        if items:
            self._items += items
            self._parts.append(part[1:-1])
            self._size += len(part) - 1
        return fits

    def _fitting(self, items: list[Item]) -> tuple[list[Item], bytes]:
        """Leading items that fit; one oversized item if the frame would be empty otherwise."""
        parts: list[bytes] = []
        size = self._size
        for item in items:
            part = encode(item)
            is_first = not self._items and not parts
            if size + len(part) + 1 > ITEMS_BYTES_MAX and not is_first:
                break
            parts.append(part)
            size += len(part) + 1
        return items[: len(parts)], b"[" + b",".join(parts) + b"]"

    def stop_at(
        self, rows: Sequence[Row], row: Row, lost: set[str], accepts: Callable[[Row], bool]
    ) -> StopReason:
        """Stop before ``row``, and note the time range of all later rows without a body."""
        start = next(index for index, one in enumerate(rows) if one is row)
        times = [
            one.timestamp
            for one in rows[start:]
            if one.message is None and one.id not in lost and accepts(one)
        ]
        self._bodies = min(times), max(times)
        return "bodies"

    def rows_to_read(self, rows: Sequence[Row], *, everything: bool) -> int:
        """How many rows to read next, estimated from the size of ``rows``."""
        chars = sum(len(row.message) for row in rows if row.message is not None)
        room = (ITEMS_BYTES_MAX - self._size) // (chars // len(rows) + _ROW_OVERHEAD)
        most = self.limit - self.count if everything else FRAME_EVENTS_MAX
        return max(1, min(room, most, FRAME_EVENTS_MAX))

    def build(self, stop: StopReason) -> Slice:
        return Slice(
            items=self._items,
            body=b"[" + b",".join(self._parts) + b"]",
            last=self.last,
            stop=stop,
            bodies=self._bodies,
            lost=tuple(self.lost),
            backfill_from=TIMESTAMP_MAX,
        )


def frame_parts(message: Events, body: bytes) -> tuple[bytes, bytes, bytes]:
    """Encode an ``events`` message around items that are encoded already, as ``encode`` would."""
    head = b'{"type":"events","n":%d,"after":%d,"seq":%d,"items":'
    return head % (message.n, message.after, message.seq), body, b"}"

"""What one frame may hold, cut from the journal; the same cut is read and encoded once.

Frames keep within 500 events and 1 MiB as they are on the wire, escapes included, since a slice
is measured by its encoding. Rows are read in chunks sized by what the last ones weighed, so that
a journal of megabyte events does not come into memory by the hundred.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from forwarder.journal.contract import Journal
from forwarder.records import Row
from wire.codec import encode
from wire.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, TIMESTAMP_MAX
from wire.messages import Events, Item
from wire.order import Interval, key_of
from wire.query import Filter

ENVELOPE_BYTES: Final = 128
"""Room for what stands round the items of a frame."""

ITEMS_BYTES_MAX: Final = FRAME_BYTES_MAX - ENVELOPE_BYTES

FIRST_ROWS: Final = 32
"""Rows read before it is known how large they are."""

EXAMINED_ROWS_MAX: Final = 5_000
"""Rows that one slice looks at: with a rare stream, nobody else waits for the search."""

CACHE_BYTES_MAX: Final = 4 << 20
"""Slices kept for the other viewers at the same place, by their encoding (the items in them take
as much again); the hot ones are the newest. That is 16 s of 1,000 events/s: who is further behind
reads from the journal, as if alone."""

_ROW_OVERHEAD: Final = 128

Read = Callable[[Row | None, int], list[Row]]
"""The rows that follow a row (None: from the beginning), at most so many."""

Why = Literal["end", "full", "long", "bodies"]
"""No more rows; the frame (or the credit) is full; enough looked at; bodies must be fetched."""


class Slice(msgspec.Struct, frozen=True):
    """Rows for one frame, and how far the journal has been looked at for it."""

    items: list[Item]
    body: bytes
    """The items as a JSON array."""
    last: Row | None
    """The last row that was looked at; None where there was none."""
    why: Why
    """Why it ends."""
    bodies: tuple[int, int] | None
    """The times of rows just behind it whose bodies must be fetched before they are sent."""
    lost: tuple[int, ...]
    """The timestamps of rows left out since nobody has their bodies any more."""
    backfill_from: int
    """The least timestamp of the backfilled rows looked at: whose ``since`` it is good for."""


class Slices:
    """Cuts slices from one journal for all of its viewers."""

    def __init__(self, journal: Journal, *, cache_bytes_max: int = CACHE_BYTES_MAX) -> None:
        """Cut from ``journal``, keeping what others may want up to a size in bytes."""
        self._journal = journal
        self._cache: OrderedDict[tuple[str, int, int, Filter], tuple[int, Slice]] = OrderedDict()
        self._cache_bytes = 0
        self._cache_bytes_max = cache_bytes_max
        self.hits = 0
        """Slices that did not have to be read again."""

    def after(self, seq: int, wanted: Filter, since: int, limit: int) -> Slice:
        """What follows a cursor, in seq order.

        Left out is what was fetched for another viewer: backfilled, and older than ``since``.
        """
        key = (self._journal.epoch, seq, limit, wanted)
        kept = self._kept(key, since)
        if kept is not None:
            return kept
        oldest = TIMESTAMP_MAX

        def wants(row: Row) -> bool:
            nonlocal oldest
            if not wanted.matches(row.stream):
                return False
            if row.origin == "backfill":
                oldest = min(oldest, row.timestamp)
                return row.timestamp >= since
            return True

        def read(last: Row | None, count: int) -> list[Row]:
            return self._journal.read_after(seq if last is None else last.seq, count)

        cut = self._cut(read, wants, limit, everything=wanted.matches_all)
        found = msgspec.structs.replace(cut, backfill_from=oldest)
        if found.items and found.why != "bodies":
            self._keep(key, since, found)
        return found

    def page(
        self, seq: int, until_seq: int, wanted: Filter, times: tuple[int, int], limit: int
    ) -> Slice:
        """As ``after`` with ``since`` the first of ``times``, up to ``until_seq`` and the last."""
        since, through = times

        def wants(row: Row) -> bool:
            is_owed = row.timestamp >= since or row.origin != "backfill"
            return is_owed and row.timestamp <= through and wanted.matches(row.stream)

        def read(last: Row | None, count: int) -> list[Row]:
            return self._journal.read_after(seq if last is None else last.seq, count, until_seq)

        return self._cut(read, wants, limit, everything=False)

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
        """What lies within an interval, with ``base < seq <= until_seq``, in display order."""

        def wants(row: Row) -> bool:
            return row.seq > base and wanted.matches(row.stream)

        def read(last: Row | None, count: int) -> list[Row]:
            rest = interval
            if last is not None:
                at = key_of(last.timestamp, last.id)
                if newest_first:
                    rest = Interval(interval.low, at - 1)
                else:
                    rest = Interval(at + 1, interval.high)
            return self._journal.read_between(
                rest, count, newest_first=newest_first, until_seq=until_seq
            )

        return self._cut(read, wants, limit, everything=wanted.matches_all)

    def recent(
        self, seq: int, until_seq: int, wanted: Filter, times: tuple[int, int], limit: int
    ) -> Slice:
        """What lies within a range of time (inclusive) and follows a cursor, in seq order."""
        from_, through = times

        def wants(row: Row) -> bool:
            return from_ <= row.timestamp <= through and wanted.matches(row.stream)

        def read(last: Row | None, count: int) -> list[Row]:
            return self._journal.read_after(seq if last is None else last.seq, count, until_seq)

        return self._cut(read, wants, limit, everything=False)

    def _cut(
        self, read: Read, wants: Callable[[Row], bool], limit: int, *, everything: bool
    ) -> Slice:
        frame = _Frame(limit)
        looked_at, count = 0, FIRST_ROWS
        while True:
            rows = read(frame.last, count)
            looked_at += len(rows)
            why = self._take(frame, rows, wants)
            if why is None and len(rows) < count:
                why = "end"
            elif why is None and frame.limit and frame.count == frame.limit:
                why = "full"
            elif why is None and looked_at >= EXAMINED_ROWS_MAX:
                why = "long"
            if why is not None:
                return frame.slice(why)
            count = frame.rows_next(rows, everything=everything)

    def _take(self, frame: _Frame, rows: Sequence[Row], wants: Callable[[Row], bool]) -> Why | None:
        """Take in what is wanted of ``rows``; why it ends there, if it does."""
        taken: list[Row] = []
        room = frame.limit - frame.count
        lost: set[str] | None = None
        for row in rows:
            if wants(row):
                if row.message is None:
                    lost = self._lost_of(rows) if lost is None else lost
                    if row.id not in lost:
                        fits = frame.add(taken)
                        return frame.needs_bodies(rows, row, lost, wants) if fits else "full"
                    frame.lost.append(row.timestamp)
                elif len(taken) < room:
                    taken.append(row)
                else:
                    frame.add(taken)
                    return "full"
            frame.looked_at = row
        return None if frame.add(taken) else "full"

    def _lost_of(self, rows: Sequence[Row]) -> set[str]:
        found = self._journal.find([row.id for row in rows if row.message is None])
        return {one for one, known in found.items() if known.is_lost}

    def _kept(self, key: tuple[str, int, int, Filter], since: int) -> Slice | None:
        kept = self._cache.get(key)
        if kept is None:
            return None
        made_for, found = kept
        if since != made_for and found.backfill_from < max(since, made_for):
            return None
        self._cache.move_to_end(key)
        self.hits += 1
        return found

    def _keep(self, key: tuple[str, int, int, Filter], since: int, found: Slice) -> None:
        replaced = self._cache.pop(key, None)
        if replaced is not None:
            self._cache_bytes -= len(replaced[1].body)
        self._cache[key] = since, found
        self._cache_bytes += len(found.body)
        while self._cache_bytes > self._cache_bytes_max:
            _, (_, dropped) = self._cache.popitem(last=False)
            self._cache_bytes -= len(dropped.body)


class _Frame:
    """A slice in the making."""

    def __init__(self, limit: int) -> None:
        self.limit = min(limit, FRAME_EVENTS_MAX)
        self.last: Row | None = None
        self.looked_at: Row | None = None
        """The last row that was looked at, of those that are taken in next."""
        self.lost: list[int] = []
        self._items: list[Item] = []
        self._parts: list[bytes] = []
        self._size = 2
        self._bodies: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        return len(self._items)

    def add(self, rows: Sequence[Row]) -> bool:
        """Take in rows as far as they fit, and whether all did; ``last`` follows them."""
        items = [row.item() for row in rows]
        part = encode(items)
        fits = self._size + len(part) <= ITEMS_BYTES_MAX
        if fits:
            self.last = self.looked_at or self.last
        else:
            # What was looked at behind the last one that fits is looked at again.
            items, part = self._fitting(items)
            self.last = rows[len(items) - 1] if items else self.last
        if items:
            self._items += items
            self._parts.append(part[1:-1])
            self._size += len(part) - 1
        return fits

    def _fitting(self, items: list[Item]) -> tuple[list[Item], bytes]:
        """The first of the items that fit; a single larger one where the frame is empty."""
        parts: list[bytes] = []
        size = self._size
        for item in items:
            part = encode(item)
            alone = not self._items and not parts
            if size + len(part) + 1 > ITEMS_BYTES_MAX and not alone:
                break
            parts.append(part)
            size += len(part) + 1
        return items[: len(parts)], b"[" + b",".join(parts) + b"]"

    def needs_bodies(
        self, rows: Sequence[Row], at: Row, lost: set[str], wants: Callable[[Row], bool]
    ) -> Why:
        """Ends before the row ``at``; notes the times of all from there that need their bodies."""
        start = next(index for index, row in enumerate(rows) if row is at)
        times = [
            row.timestamp
            for row in rows[start:]
            if row.message is None and row.id not in lost and wants(row)
        ]
        self._bodies = min(times), max(times)
        return "bodies"

    def rows_next(self, rows: Sequence[Row], *, everything: bool) -> int:
        """How many rows to read next, by what the last ones weighed."""
        chars = sum(len(row.message) for row in rows if row.message is not None)
        room = (ITEMS_BYTES_MAX - self._size) // (chars // len(rows) + _ROW_OVERHEAD)
        most = self.limit - self.count if everything else FRAME_EVENTS_MAX
        return max(1, min(room, most, FRAME_EVENTS_MAX))

    def slice(self, why: Why) -> Slice:
        return Slice(
            items=self._items,
            body=b"[" + b",".join(self._parts) + b"]",
            last=self.last,
            why=why,
            bodies=self._bodies,
            lost=tuple(self.lost),
            backfill_from=TIMESTAMP_MAX,
        )


def frame_parts(message: Events, body: bytes) -> tuple[bytes, bytes, bytes]:
    """An ``events`` message whose items are encoded already, as ``encode`` would have it."""
    head = b'{"type":"events","n":%d,"after":%d,"seq":%d,"items":'
    return head % (message.n, message.after, message.seq), body, b"}"

"""Counts and digests of any time range of a chain, mostly from sums stored by block of time.

Digests are unsigned 64-bit numbers, stored signed. SQLite can't add them modulo 2^64, so their low
and high halves are added separately.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from forwarder.journal.database import Database
from forwarder.journal.tables import SEQ_BITS
from forwarder.records import RangeTotal
from wire.digest import MODULUS

BLOCK_BITS: Final = 16
"""Blocks of 65.536 s: two weeks have 18,000."""

_TAIL_MAX: Final = 50_000
"""Up to this many rows are read one by one instead of summing a range by time."""

_SHORT_MS: Final = 4 << BLOCK_BITS
"""Ranges shorter than this are read from the index: stored sums would not help much."""

_LOW: Final = 0xFFFF_FFFF
_SUMS: Final = "COUNT(*), SUM(digest & 4294967295), SUM(digest >> 32)"

Sum = tuple[int, int, int]
"""Count, and the low and high halves of the digests, added up."""


def write_sums(
    connection: sqlite3.Connection, chain: int, rows: Iterable[tuple[int, int, int]]
) -> None:
    """Add a batch of (stream number, timestamp, signed digest) to the stored sums."""
    sums: dict[tuple[int, int], list[int]] = {}
    for stream, timestamp, digest in rows:
        key = timestamp >> BLOCK_BITS, stream
        entry = sums.get(key)
        if entry is None:
            sums[key] = [1, digest & _LOW, digest >> 32]
        else:
            entry[0] += 1
            entry[1] += digest & _LOW
            entry[2] += digest >> 32
    connection.executemany(
        "INSERT INTO sums VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (chain, block, stream) DO UPDATE SET count = count + excluded.count,"
        " low = low + excluded.low, high = high + excluded.high",
        [(chain, *key, *entry) for key, entry in sums.items()],
    )


class RangeSums:
    """Totals of ranges of one chain, each by the cheapest query."""

    def __init__(self, db: Database, chain: int) -> None:
        self._db = db
        self._chain = chain

    def total(
        self, from_: int, through: int, streams: str | None, base: int, seq: int, head: int
    ) -> RangeTotal:
        """Total of ``from_ <= timestamp <= through`` and ``base < seq <= seq``, lost rows left out.

        ``streams`` is a JSON list of stream numbers; None: all.
        """
        if from_ > through or base >= seq:
            return RangeTotal(0, 0)
        if base == 0 and seq == head:
            found = self._by_time(from_, through, streams)
        elif through - from_ < _SHORT_MS:
            found = self._by_both(from_, through, streams, base, seq)
        elif base == 0 and head - seq <= _TAIL_MAX:
            whole = self._by_time(from_, through, streams)
            found = _minus(whole, self._by_seq(from_, through, streams, seq, head))
        elif seq - base <= _TAIL_MAX:
            found = self._by_seq(from_, through, streams, base, seq)
        else:
            found = self._by_both(from_, through, streams, base, seq)
        count, low, high = _minus(found, self._by_both(from_, through, streams, base, seq, "lost"))
        return RangeTotal(count, (low + (high << 32)) % MODULUS)

    def _by_time(self, from_: int, through: int, streams: str | None) -> Sum:
        first, end = -(-from_ >> BLOCK_BITS), (through + 1) >> BLOCK_BITS
        if first >= end:
            return self._rows_by_time(from_, through, streams)
        stored = self._sum(
            "SELECT SUM(count), SUM(low), SUM(high) FROM sums"
            " WHERE chain = ? AND block BETWEEN ? AND ?",
            (self._chain, first, end - 1),
            streams,
        )
        below = self._rows_by_time(from_, (first << BLOCK_BITS) - 1, streams)
        above = self._rows_by_time(end << BLOCK_BITS, through, streams)
        return _plus(stored, _plus(below, above))

    def _rows_by_time(self, from_: int, through: int, streams: str | None) -> Sum:
        if from_ > through:
            return 0, 0, 0
        return self._sum(
            f"SELECT {_SUMS} FROM events INDEXED BY display_order"  # noqa: S608 - a constant
            " WHERE chain = ? AND timestamp BETWEEN ? AND ?",
            (self._chain, from_, through),
            streams,
        )

    def _by_seq(self, from_: int, through: int, streams: str | None, base: int, seq: int) -> Sum:
        return self._sum(
            f"SELECT {_SUMS} FROM events NOT INDEXED"  # noqa: S608 - a constant
            " WHERE place BETWEEN ? AND ? AND timestamp BETWEEN ? AND ?",
            (self._place(base + 1), self._place(seq), from_, through),
            streams,
        )

    def _by_both(
        self,
        from_: int,
        through: int,
        streams: str | None,
        base: int,
        seq: int,
        table: str = "events INDEXED BY display_order",
    ) -> Sum:
        return self._sum(
            f"SELECT {_SUMS} FROM {table}"  # noqa: S608 - constants
            " WHERE chain = ? AND timestamp BETWEEN ? AND ? AND place BETWEEN ? AND ?",
            (self._chain, from_, through, self._place(base + 1), self._place(seq)),
            streams,
        )

    def _sum(self, sql: str, values: tuple[int, ...], streams: str | None) -> Sum:
        if streams is not None:
            sql += " AND stream IN (SELECT value FROM json_each(?))"
        [(count, low, high)] = self._db.rows(sql, values if streams is None else (*values, streams))
        return count or 0, low or 0, high or 0

    def _place(self, seq: int) -> int:
        return self._chain << SEQ_BITS | seq


def _plus(one: Sum, other: Sum) -> Sum:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _minus(one: Sum, other: Sum) -> Sum:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]

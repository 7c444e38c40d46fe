"""The large tables of one chain: log streams, events, and their bodies.

Event ids are stored as bytes that sort as the numbers do. A row's ``place``, its primary key,
combines its chain and seq, so that rows sort by seq within a chain.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple, get_args

from forwarder.journal.database import Database, from_blob, to_blob
from forwarder.records import KnownRow, LogEvent, Retirement, Row
from wire.digest import MODULUS, event_digest
from wire.limits import TIMESTAMP_MAX
from wire.messages import Origin
from wire.order import Interval, id_of, timestamp_of
from wire.query import Filter

Span = tuple[int, int, int]
"""First timestamp, last timestamp, count."""


class StreamTable:
    """The log streams of one chain, also held in memory: names, numbers and spans."""

    def __init__(self, db: Database, chain: int) -> None:
        self._chain = chain
        self.names: dict[int, str] = {}
        """Name by number."""
        self.numbers: dict[str, int] = {}
        """Number by name."""
        self._spans: dict[int, Span] = {}
        self._matching: tuple[Filter, int, str] | None = None
        sql = "SELECT stream, name, first, last, count FROM streams WHERE chain = ?"
        for number, name, *span in db.rows(sql, (chain,)):
            self._add(from_blob(name), number, (span[0], span[1], span[2]))

    def _add(self, name: str, number: int, span: Span) -> None:
        self.names[number] = name
        self.numbers[name] = number
        self._spans[number] = span

    @property
    def count(self) -> int:
        """Number of rows in all streams."""
        return sum(span[2] for span in self._spans.values())

    def table(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""
        return sorted((self.names[number], *span) for number, span in self._spans.items())

    def matching(self, filter_: Filter) -> str:
        """Numbers of the streams that match a filter, as a JSON list for ``json_each``."""
        cached = self._matching
        if cached is None or cached[0] != filter_ or cached[1] != len(self.numbers):
            numbers = [str(one) for name, one in self.numbers.items() if filter_.matches(name)]
            cached = self._matching = filter_, len(self.numbers), f"[{','.join(numbers)}]"
        return cached[2]

    def write(self, connection: sqlite3.Connection, spans: dict[str, Span]) -> dict[str, int]:
        """Write what a batch adds to each stream; return the numbers of its streams.

        Memory changes only in ``commit``, because the transaction may fail.
        """
        connection.executemany(
            "INSERT INTO streams (chain, name, first, last, count) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (chain, name) DO UPDATE SET first = MIN(first, excluded.first),"
            " last = MAX(last, excluded.last), count = count + excluded.count",
            [(self._chain, to_blob(name), *span) for name, span in spans.items()],
        )
        numbers = {name: self.numbers[name] for name in spans if name in self.numbers}
        for name in spans.keys() - numbers.keys():
            sql = "SELECT stream FROM streams WHERE chain = ? AND name = ?"
            numbers[name] = connection.execute(sql, (self._chain, to_blob(name))).fetchone()[0]
        return numbers

    def commit(self, spans: dict[str, Span], numbers: dict[str, int]) -> None:
        """Add a batch to memory once its transaction is committed."""
        for name, span in spans.items():
            number = numbers[name]
            old = self._spans.get(number, (span[0], span[1], 0))
            joined = min(old[0], span[0]), max(old[1], span[1]), old[2] + span[2]
            self._add(name, number, joined)


def spans_of(places: Iterable[tuple[str, int]]) -> dict[str, Span]:
    """Span that a batch of (stream, timestamp) adds to each stream."""
    spans: dict[str, list[int]] = {}
    for name, timestamp in places:
        span = spans.get(name)
        if span is None:
            span = spans[name] = [timestamp, timestamp, 0]
        # Not min() and max(), which would take longer than the rest: this runs for every event.
        if timestamp < span[0]:
            span[0] = timestamp
        elif timestamp > span[1]:
            span[1] = timestamp
        span[2] += 1
    return {name: (first, last, count) for name, (first, last, count) in spans.items()}


SEQ_BITS: Final = 40
"""Low bits of a row's place, for its seq: room for 10^12 events and eight million chains."""

SEQ_MASK: Final = (1 << SEQ_BITS) - 1

_ID_DIGITS: Final = 58
"""Digits of a stored id: an id has at most 57, the low bits of a display key up to 58."""


def id_to_blob(event_id: str) -> bytes:
    """Encode a decimal id, two digits a byte, so that bytes compare as the numbers do."""
    return bytes.fromhex(event_id.zfill(_ID_DIGITS))


def id_from_blob(data: bytes) -> str:
    """Decode an id that ``id_to_blob`` encoded."""
    return data.hex().lstrip("0") or "0"


def key_to_columns(key: int) -> tuple[int, bytes]:
    """Convert a display key to (timestamp, stored id)."""
    return timestamp_of(key), id_to_blob(str(id_of(key)))


_ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
_ORIGIN_NUMBERS: Final = {origin: number for number, origin in enumerate(_ORIGINS)}

_SELECT: Final = (
    "SELECT place, id, timestamp, ingestion_time, stream, message, origin, digest FROM events"
)
_HAS_BODY: Final = 1
_LOST: Final = 2
_FIND: Final = (
    "SELECT id, place, timestamp, stream, CASE WHEN message IS NOT NULL THEN 1"
    " WHEN place IN (SELECT place FROM lost) THEN 2 ELSE 0 END, digest"
    " FROM events WHERE chain = ?"
)
_FIND_BETWEEN: Final = _FIND + " AND id BETWEEN ? AND ? LIMIT ?"
_FIELDS: Final = 9
_INSERT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS_PER_INSERT: Final = 100
"""Rows per INSERT: takes a third less time than one row each (measured)."""
_INSERT_MANY: Final = _INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)" * (_ROWS_PER_INSERT - 1)
_IDS_PER_QUERY: Final = 1_000


class Bodied(NamedTuple):
    """The digest and the encoded message of each event of a batch."""

    digests: Sequence[int]
    messages: Sequence[bytes | None]
    """None where retention has removed the body elsewhere already."""


def compute_digests(events: Sequence[LogEvent]) -> list[int]:
    """Compute the digest of each event."""
    return [event_digest(one.id, one.timestamp, one.stream, one.message) for one in events]


def _is_there(message: bytes | None) -> bool:
    return message is not None


class NewRows:
    """A batch of new rows, encoded for the ``events`` table, and columns for other tables."""

    def __init__(
        self,
        chain: int,
        first_seq: int,
        events: Sequence[LogEvent],
        bodies: Bodied,
        numbers: dict[str, int],
    ) -> None:
        """Number the events from ``first_seq`` on; ``numbers`` are those of their streams."""
        self._chain = chain
        self._place = chain << SEQ_BITS | first_seq
        self._events = events
        self._bodies = bodies
        self._numbers = numbers
        self.size = sum(len(one) for one in bodies.messages if one is not None)
        """Bytes of the messages."""
        self._values: list[Any] = []

    def write(self, connection: sqlite3.Connection, origin: Origin) -> None:
        """Insert the rows."""
        self._encode(_ORIGIN_NUMBERS[origin])
        step = _FIELDS * _ROWS_PER_INSERT
        whole = len(self._values) // step * step
        for start in range(0, whole, step):
            connection.execute(_INSERT_MANY, self._values[start : start + step])
        for start in range(whole, len(self._values), _FIELDS):
            connection.execute(_INSERT, self._values[start : start + _FIELDS])

    def _encode(self, origin: int) -> None:
        events, numbers, count = self._events, self._numbers, len(self._events)
        digests = struct.pack(f"={count}Q", *self._bodies.digests)
        # Column by column, since a loop over rows takes twice as long.
        columns: tuple[Sequence[Any], ...] = (
            range(self._place, self._place + count),
            [self._chain] * count,
            [id_to_blob(event.id) for event in events],
            [event.timestamp for event in events],
            [event.ingestion_time for event in events],
            [numbers[event.stream] for event in events],
            [origin] * count,
            struct.unpack(f"={count}q", digests),  # signed, as SQLite needs it
            self._bodies.messages,
        )
        values = self._values = [None] * (_FIELDS * count)
        for field, column in enumerate(columns):
            values[field::_FIELDS] = column

    @property
    def sums(self) -> Iterable[tuple[int, int, int]]:
        """(stream number, timestamp, signed digest) of each row."""
        values = self._values
        columns = values[5::_FIELDS], values[3::_FIELDS], values[7::_FIELDS]
        return zip(*columns, strict=True)

    @property
    def order(self) -> Iterable[tuple[int, bytes, int]]:
        """(timestamp, id, place) of each row that has its body."""
        values = self._values
        columns = values[3::_FIELDS], values[2::_FIELDS], values[0::_FIELDS]
        return compress(zip(*columns, strict=True), map(_is_there, self._bodies.messages))


class EventTable:
    """Reads the rows of one chain."""

    def __init__(self, db: Database, chain: int, streams: StreamTable) -> None:
        self._db = db
        self._chain = chain
        self._first_place = chain << SEQ_BITS
        self._streams = streams

    def last_seq(self) -> int:
        """The greatest seq; 0 in an empty chain."""
        [(last,)] = self._db.rows(
            "SELECT MAX(place) FROM events WHERE place BETWEEN ? AND ?",
            (self._first_place, self._first_place | SEQ_MASK),
        )
        return 0 if last is None else last & SEQ_MASK

    def greatest_id(self) -> str | None:
        """The greatest id by its number; None in an empty chain."""
        sql = "SELECT MAX(id) FROM events WHERE chain = ?"
        [(greatest,)] = self._db.rows(sql, (self._chain,))
        return None if greatest is None else id_from_blob(greatest)

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Find rows by id."""
        names, found = self._streams.names, {}
        ids_of = {id_to_blob(one): one for one in ids}
        blobs = sorted(ids_of)
        for start in range(0, len(blobs), _IDS_PER_QUERY):
            for blob, place, timestamp, stream, body, digest in self._find(blobs, start):
                event_id = ids_of.get(blob)
                if event_id is not None:
                    found[event_id] = KnownRow(
                        place & SEQ_MASK,
                        timestamp,
                        names[stream],
                        body == _HAS_BODY,
                        body == _LOST,
                        digest % MODULUS,
                    )
        return found

    def _find(self, blobs: Sequence[bytes], start: int) -> list[Any]:
        """Read the rows of some ids, possibly with others between them.

        The ids of a page of CloudWatch are mostly neighbours here as well: reading the range from
        the first to the last takes half the time of looking each up. If they are not, the limit
        stops it.
        """
        chunk = blobs[start : start + _IDS_PER_QUERY]
        limit = 2 * len(chunk)
        rows = self._db.rows(_FIND_BETWEEN, (self._chain, chunk[0], chunk[-1], limit))
        if len(rows) < limit:
            return rows
        placeholders = ",".join("?" * len(chunk))
        return self._db.rows(f"{_FIND} AND id IN ({placeholders})", (self._chain, *chunk))

    def after(self, after: int, limit: int, until: int) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order."""
        rows = self._db.rows(
            f"{_SELECT} WHERE place > ? AND place <= ? ORDER BY place LIMIT ?",
            (self._first_place | after, self._first_place | until, limit),
        )
        return self._to_rows(rows)

    def between(
        self, interval: Interval, limit: int, until: int, *, newest_first: bool
    ) -> list[Row]:
        """Rows with ``seq <= until`` of an interval, in display order or from its end."""
        where = "chain = ? AND place <= ?"
        values: list[int | bytes] = [self._chain, self._first_place | until]
        if interval.low is not None:
            where += " AND (timestamp, id) >= (?, ?)"
            values += key_to_columns(interval.low)
        if interval.high is not None:
            where += " AND (timestamp, id) <= (?, ?)"
            values += key_to_columns(interval.high)
        order = "timestamp DESC, id DESC" if newest_first else "timestamp, id"
        rows = self._db.rows(
            f"{_SELECT} INDEXED BY display_order WHERE {where} ORDER BY {order} LIMIT ?",
            (*values, limit),
        )
        return self._to_rows(rows)

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a time range whose body was removed and is not lost."""
        rows = self._db.rows(
            f"{_SELECT} INDEXED BY display_order"  # noqa: S608 - a constant
            " WHERE chain = ? AND timestamp BETWEEN ? AND ?"
            " AND message IS NULL AND place NOT IN (SELECT place FROM lost)"
            " ORDER BY timestamp, id LIMIT ?",
            (self._chain, from_, through, limit),
        )
        return self._to_rows(rows)

    def _to_rows(self, rows: Iterable[Any]) -> list[Row]:
        names = self._streams.names
        return [
            Row(
                place & SEQ_MASK,
                id_from_blob(one),
                timestamp,
                ingestion_time,
                names[stream],
                None if message is None else from_blob(message),
                _ORIGINS[origin],
                digest % MODULUS,
            )
            for place, one, timestamp, ingestion_time, stream, message, origin, digest in rows
        ]


_MISSING: Final = (
    "SELECT id, place, timestamp, place IN (SELECT place FROM lost) FROM events"
    " WHERE chain = ? AND message IS NULL"
)

_Body = tuple[int, bytes, int, int]
"""Timestamp, id, place, bytes."""


class Bodies:
    """The message bodies of one chain: removed by retention, restored, or lost.

    ``retired_ms`` only grows: no row before it has its body, except the strays, which arrived or
    were restored later. So retention need not search the rows that it has already emptied.
    """

    def __init__(self, db: Database, chain: int, size: int, retired_ms: int) -> None:
        self._db = db
        self._chain = chain
        self.size = size
        """Bytes of all bodies."""
        self.retired_ms = retired_ms
        """No row with a smaller timestamp has its body, except the strays."""
        self._earliest: int | None = None
        """No row before it has its body; None: unknown, so that the file must be asked."""

    def add_strays(
        self, connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int]]
    ) -> None:
        """Record the rows (timestamp, id, place) that lie before ``retired_ms``."""
        if self.retired_ms:
            connection.executemany(
                "INSERT INTO strays VALUES (?, ?, ?, ?)",
                [(self._chain, *row) for row in rows if row[0] < self.retired_ms],
            )

    def commit(self, size: int, earliest: int) -> None:
        """Add new bodies, the first of them of that time, once they are committed."""
        self.size += size
        if self._earliest is not None:
            self._earliest = min(self._earliest, earliest)

    def oldest(self, before: int | None, excess: int, limit: int) -> list[_Body]:
        """Bodies to remove: all before ``before`` ms, and the oldest until ``excess`` bytes are."""
        bodies: list[_Body] = []
        if excess <= 0 and (before is None or (self._earliest or 0) >= before):
            return bodies
        found = self._in_order(limit)
        self._earliest = min((body[0] for body in found), default=TIMESTAMP_MAX)
        for body in found:
            too_old = before is not None and body[0] < before
            if not (too_old or excess > 0):
                break
            excess -= body[3]
            bodies.append(body)
        return bodies

    def _in_order(self, limit: int) -> list[_Body]:
        rows = self._db.rows(
            "SELECT s.timestamp, s.id, s.place, LENGTH(e.message) FROM strays s"
            " JOIN events e USING (place) WHERE s.chain = ? ORDER BY s.timestamp, s.id LIMIT ?",
            (self._chain, limit),
        )
        rows += self._db.rows(
            "SELECT timestamp, id, place, LENGTH(message) FROM events INDEXED BY display_order"
            " WHERE chain = ? AND timestamp >= ? AND message IS NOT NULL"
            " ORDER BY timestamp, id LIMIT ?",
            (self._chain, self.retired_ms, limit - len(rows)),
        )
        return rows

    def extent(self, bodies: Sequence[_Body]) -> Retirement:
        """The positions up to which removing ``bodies``, which ``oldest`` returned, goes."""
        strays = [body for body in bodies if body[0] < self.retired_ms]
        ends = [
            (part[-1][0], id_from_blob(part[-1][1])) if part else None
            for part in (strays, bodies[len(strays) :])
        ]
        return Retirement(*ends)

    def within(self, extent: Retirement) -> list[_Body]:
        """Bodies to remove up to explicit positions, some of which may be missing already."""
        bodies: list[_Body] = []
        if extent.strays is not None:
            bodies += self._db.rows(
                "SELECT s.timestamp, s.id, s.place, IFNULL(LENGTH(e.message), 0) FROM strays s"
                " JOIN events e USING (place) WHERE s.chain = ?"
                " AND (s.timestamp, s.id) <= (?, ?) ORDER BY s.timestamp, s.id",
                (self._chain, extent.strays[0], id_to_blob(extent.strays[1])),
            )
        if extent.rows is not None:
            bodies += self._db.rows(
                "SELECT timestamp, id, place, LENGTH(message) FROM events INDEXED BY display_order"
                " WHERE chain = ? AND timestamp >= ? AND (timestamp, id) <= (?, ?)"
                " AND message IS NOT NULL ORDER BY timestamp, id",
                (self._chain, self.retired_ms, extent.rows[0], id_to_blob(extent.rows[1])),
            )
        return bodies

    def first_place(self, after: int) -> int | None:
        """The first place above ``after`` whose row has its body; None without one.

        A body that came back to a row up to ``after`` counts, too.
        """
        [(stray,)] = self._db.rows(
            "SELECT MIN(place) FROM strays WHERE chain = ? AND place <= ?", (self._chain, after)
        )
        if stray is not None:
            return int(stray)
        [(place,)] = self._db.rows(
            "SELECT MIN(place) FROM (SELECT place FROM events NOT INDEXED"
            " WHERE place > ? AND place <= ? AND message IS NOT NULL ORDER BY place LIMIT 1)",
            (after, self._chain << SEQ_BITS | SEQ_MASK),
        )
        return place if place is None else int(place)

    def remove(self, bodies: Collection[_Body], through_ms: int = 0) -> list[str]:
        """Remove bodies in one transaction; return their ids.

        Args:
            bodies: those to remove, up to a position.
            through_ms: timestamp of that position, which may have lost its body before.
        """
        size = self.size - sum(body[3] for body in bodies)
        retired_ms = max(self.retired_ms, through_ms, *(body[0] for body in bodies))
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE events SET message = NULL WHERE place = ?", [(b[2],) for b in bodies]
            )
            connection.executemany(
                "DELETE FROM strays WHERE chain = ? AND timestamp = ? AND id = ?",
                [(self._chain, b[0], b[1]) for b in bodies],
            )
            self._write(connection, size, retired_ms)
        self.size, self.retired_ms = size, retired_ms
        self._earliest = None
        return [id_from_blob(body[1]) for body in bodies]

    def missing(self, ids: Collection[str]) -> list[tuple[str, int, int, bool]]:
        """Those of ``ids`` that have no body: (id, place, timestamp, is lost)."""
        blobs = sorted({id_to_blob(one) for one in ids})
        found = []
        for start in range(0, len(blobs), _IDS_PER_QUERY):
            chunk = blobs[start : start + _IDS_PER_QUERY]
            placeholders = ",".join("?" * len(chunk))
            found += self._db.rows(f"{_MISSING} AND id IN ({placeholders})", (self._chain, *chunk))
        return [(id_from_blob(one), place, at, bool(lost)) for one, place, at, lost in found]

    def restore(self, bodies: Mapping[str, str | None]) -> tuple[int, int]:
        """Restore missing bodies; return how many, and how many of them had been lost.

        None stands for a body that was restored and removed again elsewhere: it is not lost.
        """
        rows = [
            (None if (body := bodies[row[0]]) is None else to_blob(body), *row)
            for row in self.missing(list(bodies))
        ]
        if not rows:
            return 0, 0
        size = self.size + sum(len(row[0]) for row in rows if row[0] is not None)
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE events SET message = ? WHERE place = ?", [(r[0], r[2]) for r in rows]
            )
            connection.executemany("DELETE FROM lost WHERE place = ?", [(r[2],) for r in rows])
            strays = [(r[3], id_to_blob(r[1]), r[2]) for r in rows if r[0] is not None]
            self.add_strays(connection, strays)
            self._write(connection, size, self.retired_ms)
        self.size = size
        self._earliest = None
        return len(rows), sum(row[4] for row in rows)

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Mark the missing ones of these bodies lost; return how many were not before."""
        places = [row[1] for row in self.missing(ids) if not row[3]]
        if places:
            with self._db.transaction() as connection:
                connection.executemany(
                    "INSERT INTO lost SELECT place, chain, timestamp, stream, digest, ?"
                    " FROM events WHERE place = ?",
                    [(to_blob(reason), place) for place in places],
                )
        return len(places)

    def lost(self, from_: int, through: int) -> list[tuple[int, int, str]]:
        """Lost rows of a time range: (timestamp, stream number, reason), by timestamp."""
        rows = self._db.rows(
            "SELECT timestamp, stream, reason FROM lost WHERE chain = ?"
            " AND timestamp BETWEEN ? AND ? ORDER BY timestamp",
            (self._chain, from_, through),
        )
        return [(timestamp, stream, from_blob(reason)) for timestamp, stream, reason in rows]

    def _write(self, connection: sqlite3.Connection, size: int, retired_ms: int) -> None:
        connection.execute(
            "UPDATE chains SET body_bytes = ?, retired_ms = ? WHERE chain = ?",
            (size, retired_ms, self._chain),
        )

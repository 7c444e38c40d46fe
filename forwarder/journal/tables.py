"""The rows of a chain on disk: written by the batch, read by seq or in display order."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, get_args

from forwarder.journal.database import Database, from_blob, to_blob
from forwarder.journal.place import (
    SEQ_BITS,
    SEQ_MASK,
    id_from_blob,
    id_to_blob,
    key_to_columns,
)
from forwarder.journal.streams import Streams
from forwarder.records import Known, LogEvent, Row
from wire.digest import MODULUS, event_digest
from wire.messages import Origin
from wire.order import Interval

_ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
_ORIGIN_NUMBERS: Final = {origin: number for number, origin in enumerate(_ORIGINS)}

_SELECT: Final = (
    "SELECT place, id, timestamp, ingestion_time, stream, message, origin, digest FROM events"
)
_HERE: Final = 1
_LOST: Final = 2
_FIND: Final = (
    "SELECT id, place, timestamp, stream, CASE WHEN message IS NOT NULL THEN 1"
    " WHEN place IN (SELECT place FROM lost) THEN 2 ELSE 0 END FROM events WHERE chain = ?"
)
_FIND_BETWEEN: Final = _FIND + " AND id BETWEEN ? AND ? LIMIT ?"
_FIELDS: Final = 9
_INSERT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS_A_STATEMENT: Final = 100
"""Rows that one INSERT takes: a third less time than one a row (measured)."""
_INSERT_MANY: Final = _INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)" * (_ROWS_A_STATEMENT - 1)
_IDS_A_QUERY: Final = 1_000


class Batch:
    """New rows as they go into the table, flat, with what the other tables need of them."""

    def __init__(
        self, chain: int, first_seq: int, events: Sequence[LogEvent], numbers: dict[str, int]
    ) -> None:
        """Number ``events`` from ``first_seq`` on; ``numbers`` are the streams'."""
        self._chain = chain
        self._place = chain << SEQ_BITS | first_seq
        self._events = events
        self._numbers = numbers
        self.size = 0
        """Bytes of the messages, once written."""
        self.values: list[Any] = []

    def write(self, connection: sqlite3.Connection, origin: Origin) -> None:
        """Put the rows into the table."""
        self._encode(_ORIGIN_NUMBERS[origin])
        step = _FIELDS * _ROWS_A_STATEMENT
        whole = len(self.values) // step * step
        for start in range(0, whole, step):
            connection.execute(_INSERT_MANY, self.values[start : start + step])
        for start in range(whole, len(self.values), _FIELDS):
            connection.execute(_INSERT, self.values[start : start + _FIELDS])

    def _encode(self, origin: int) -> None:
        chain, place, numbers = self._chain, self._place, self._numbers
        add = self.values.extend
        size = 0
        for event in self._events:
            digest = event_digest(event.id, event.timestamp, event.stream, event.message)
            message = to_blob(event.message)
            size += len(message)
            add(
                (
                    place,
                    chain,
                    id_to_blob(event.id),
                    event.timestamp,
                    event.ingestion_time,
                    numbers[event.stream],
                    origin,
                    digest - MODULUS if digest >> 63 else digest,
                    message,
                )
            )
            place += 1
        self.size = size

    @property
    def sums(self) -> Iterable[tuple[int, int, int]]:
        """(stream number, timestamp, signed digest) of each row."""
        values = self.values
        columns = values[5::_FIELDS], values[3::_FIELDS], values[7::_FIELDS]
        return zip(*columns, strict=True)

    @property
    def order(self) -> Iterable[tuple[int, bytes, int]]:
        """(timestamp, id, place) of each row."""
        values = self.values
        columns = values[3::_FIELDS], values[2::_FIELDS], values[0::_FIELDS]
        return zip(*columns, strict=True)


class Rows:
    """Reads the rows of one chain."""

    def __init__(self, db: Database, chain: int, streams: Streams) -> None:
        """Of one chain, whose ``streams`` have the names."""
        self._db = db
        self._chain = chain
        self._first_place = chain << SEQ_BITS
        self._streams = streams

    def last_seq(self) -> int:
        """The greatest seq; 0 where there is none."""
        [(last,)] = self._db.rows(
            "SELECT MAX(place) FROM events WHERE place BETWEEN ? AND ?",
            (self._first_place, self._first_place | SEQ_MASK),
        )
        return 0 if last is None else last & SEQ_MASK

    def greatest_id(self) -> str | None:
        """The greatest id, as a number."""
        sql = "SELECT MAX(id) FROM events WHERE chain = ?"
        [(greatest,)] = self._db.rows(sql, (self._chain,))
        return None if greatest is None else id_from_blob(greatest)

    def find(self, ids: Collection[str]) -> dict[str, Known]:
        """What is known of some ids."""
        names, found = self._streams.names, {}
        ids_of = {id_to_blob(one): one for one in ids}
        blobs = sorted(ids_of)
        for start in range(0, len(blobs), _IDS_A_QUERY):
            for blob, place, timestamp, stream, body in self._find(blobs, start):
                event_id = ids_of.get(blob)
                if event_id is not None:
                    found[event_id] = Known(
                        place & SEQ_MASK, timestamp, names[stream], body == _HERE, body == _LOST
                    )
        return found

    def _find(self, blobs: Sequence[bytes], start: int) -> list[Any]:
        """Rows of some ids, perhaps with others between them.

        A page of CloudWatch holds ids that are neighbours here as well: reading on from the
        first to the last takes half the time of looking each up. Where they are not, the limit
        stops it.
        """
        some = blobs[start : start + _IDS_A_QUERY]
        limit = 2 * len(some)
        rows = self._db.rows(_FIND_BETWEEN, (self._chain, some[0], some[-1], limit))
        if len(rows) < limit:
            return rows
        marks = ",".join("?" * len(some))
        return self._db.rows(f"{_FIND} AND id IN ({marks})", (self._chain, *some))

    def after(self, after: int, limit: int, until: int) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order."""
        rows = self._db.rows(
            f"{_SELECT} WHERE place > ? AND place <= ? ORDER BY place LIMIT ?",
            (self._first_place | after, self._first_place | until, limit),
        )
        return self._made(rows)

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
        return self._made(rows)

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range of time without body that are not lost."""
        rows = self._db.rows(
            f"{_SELECT} INDEXED BY display_order"  # noqa: S608 - a constant
            " WHERE chain = ? AND timestamp BETWEEN ? AND ?"
            " AND message IS NULL AND place NOT IN (SELECT place FROM lost)"
            " ORDER BY timestamp, id LIMIT ?",
            (self._chain, from_, through, limit),
        )
        return self._made(rows)

    def _made(self, rows: Iterable[Any]) -> list[Row]:
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

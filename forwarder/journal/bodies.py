"""The bodies of a chain's rows: taken by retention, put back, found lost.

``retired_ms`` only ever grows: no row before it has its body, except the strays, which came or
came back afterwards. So nobody looks through what is long gone to find the oldest body.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from forwarder.journal.database import Database, from_blob, to_blob
from forwarder.journal.place import id_from_blob, id_to_blob

_MISSING: Final = (
    "SELECT id, place, timestamp, place IN (SELECT place FROM lost) FROM events"
    " WHERE chain = ? AND message IS NULL"
)
_IDS_A_QUERY: Final = 1_000

_Body = tuple[int, bytes, int, int]
"""Timestamp, id, place, bytes."""


class Bodies:
    """Where the bodies of one chain are."""

    def __init__(self, db: Database, chain: int, size: int, retired_ms: int) -> None:
        """Go on from what ``chains`` has."""
        self._db = db
        self._chain = chain
        self.size = size
        """Bytes of all bodies."""
        self.retired_ms = retired_ms
        """No row with a timestamp before it has its body, the strays aside."""

    def appended(
        self, connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int]]
    ) -> None:
        """Note which of new rows (timestamp, id, place) lie where retention has been."""
        if self.retired_ms:
            connection.executemany(
                "INSERT INTO strays VALUES (?, ?, ?, ?)",
                [(self._chain, *row) for row in rows if row[0] < self.retired_ms],
            )

    def oldest(self, before: int | None, excess: int, limit: int) -> list[_Body]:
        """The bodies to take: all before ``before`` ms, and the oldest until ``excess`` is gone."""
        bodies: list[_Body] = []
        for body in self._in_order(limit):
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

    def take(self, bodies: Collection[_Body]) -> list[str]:
        """Take bodies that ``oldest`` gave, in one transaction; their ids."""
        size = self.size - sum(body[3] for body in bodies)
        retired_ms = max(self.retired_ms, *(body[0] for body in bodies))
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
        return [id_from_blob(body[1]) for body in bodies]

    def missing(self, ids: Collection[str]) -> list[tuple[str, int, int, bool]]:
        """Those of ``ids`` whose bodies are not here: (id, place, timestamp, is lost)."""
        blobs = [id_to_blob(one) for one in ids]
        found = []
        for start in range(0, len(blobs), _IDS_A_QUERY):
            some = blobs[start : start + _IDS_A_QUERY]
            marks = ",".join("?" * len(some))
            found += self._db.rows(f"{_MISSING} AND id IN ({marks})", (self._chain, *some))
        return [(id_from_blob(one), place, at, bool(lost)) for one, place, at, lost in found]

    def restore(self, bodies: Mapping[str, str]) -> tuple[int, int]:
        """Put bodies back where they are missing: how many, and how many of them were lost."""
        rows = [(to_blob(bodies[row[0]]), *row) for row in self.missing(list(bodies))]
        if not rows:
            return 0, 0
        size = self.size + sum(len(row[0]) for row in rows)
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE events SET message = ? WHERE place = ?", [(r[0], r[2]) for r in rows]
            )
            connection.executemany("DELETE FROM lost WHERE place = ?", [(r[2],) for r in rows])
            self.appended(connection, [(r[3], id_to_blob(r[1]), r[2]) for r in rows])
            self._write(connection, size, self.retired_ms)
        self.size = size
        return len(rows), sum(row[4] for row in rows)

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Those bodies that are not here are nowhere; how many were not known to be lost."""
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
        """Lost rows of a range of time: (timestamp, stream number, reason), in order of time."""
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

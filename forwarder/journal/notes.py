"""The small tables of a chain: its epochs, what was covered, gaps, executions that are over."""

from __future__ import annotations

import sqlite3

from common.ranges import Coverage
from forwarder.journal.chain import Chain
from forwarder.journal.database import Database, from_blob, to_blob
from forwarder.records import EpochStart, GapRecord
from wire.messages import ExecutionStatus


class Notes:
    """The small tables of one chain."""

    def __init__(self, db: Database, chain: int) -> None:
        """Of one chain."""
        self._db = db
        self._chain = chain

    def links(self) -> list[EpochStart]:
        """The chain of epochs, oldest first."""
        sql = "SELECT epoch, first_seq FROM links WHERE chain = ? ORDER BY position"
        return [EpochStart(*link) for link in self._db.rows(sql, (self._chain,))]

    def write_links(self, connection: sqlite3.Connection, chain: Chain) -> None:
        """Replace the chain of epochs."""
        connection.execute("DELETE FROM links WHERE chain = ?", (self._chain,))
        connection.executemany(
            "INSERT INTO links VALUES (?, ?, ?, ?)",
            [
                (self._chain, position, link.epoch, link.first_seq)
                for position, link in enumerate(chain.links)
            ],
        )

    def coverage(self) -> Coverage:
        """What was covered."""
        sql = "SELECT from_ms, through_ms FROM coverage WHERE chain = ?"
        return Coverage(self._db.rows(sql, (self._chain,)))

    def change_coverage(self, old: Coverage, new: Coverage) -> None:
        """Write the difference: for the polls of a quiet group, one row."""
        before, after = set(old.ranges), set(new.ranges)
        with self._db.transaction() as connection:
            connection.executemany(
                "DELETE FROM coverage WHERE chain = ? AND from_ms = ?",
                [(self._chain, from_) for from_, _ in before - after],
            )
            connection.executemany(
                "INSERT INTO coverage VALUES (?, ?, ?)",
                [(self._chain, *one) for one in after - before],
            )

    def gaps(self) -> list[GapRecord]:
        """The gaps that are not repaired, oldest first."""
        rows = self._db.rows(
            "SELECT id, from_ms, through_ms, state, reason, recovered FROM gaps WHERE chain = ?"
            " ORDER BY from_ms, through_ms, id",
            (self._chain,),
        )
        return [
            GapRecord(gap_id, from_, through, state, from_blob(reason), recovered)
            for gap_id, from_, through, state, reason, recovered in rows
        ]

    def put_gap(self, gap: GapRecord) -> None:
        """Store a gap under its id; a repaired one is not kept."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM gaps WHERE chain = ? AND id = ?", (self._chain, gap.id))
            if gap.state != "repaired":
                reason = to_blob(gap.reason)
                connection.execute(
                    "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        self._chain,
                        gap.id,
                        gap.from_,
                        gap.through,
                        gap.state,
                        reason,
                        gap.recovered,
                    ),
                )

    def over(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that are over by a rule."""
        rows = self._db.rows(
            "SELECT execution, status FROM executions_over WHERE chain = ? AND rule = ?",
            (self._chain, to_blob(rule)),
        )
        return {from_blob(execution): status for execution, status in rows}

    def put_over(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember, or forget, that an execution is over."""
        key = self._chain, to_blob(rule), to_blob(execution)
        with self._db.transaction() as connection:
            connection.execute(
                "DELETE FROM executions_over WHERE chain = ? AND rule = ? AND execution = ?", key
            )
            if status is not None:
                connection.execute(
                    "INSERT INTO executions_over VALUES (?, ?, ?, ?)", (*key, status)
                )

"""The journal on disk: one SQLite file, several log groups, one forwarder at a time.

The small tables of a chain: its epochs, what was covered, gaps, executions that are over.

The rows that scans return again and again, in memory: which ids are known, which surely not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import nlargest
from typing import Final, Self

from common.ranges import RangeSet
from forwarder.errors import JournalError
from forwarder.journal.contract import RETIRE_ROWS_MAX, ROW_BYTES, Chain, lost_ranges, new_epoch
from forwarder.journal.database import Database, from_blob, to_blob
from forwarder.journal.sums import Sums, write_sums
from forwarder.journal.tables import SEQ_BITS, SEQ_MASK, Batch, Bodies, Rows, Streams, spans_of
from forwarder.records import EpochStart, GapRecord, KnownRow, LogEvent, RangeTotal, Row
from wire.messages import ExecutionStatus, Lost, Origin
from wire.order import Interval
from wire.query import Filter


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

    def coverage(self) -> RangeSet:
        """What was covered."""
        sql = "SELECT from_ms, through_ms FROM coverage WHERE chain = ?"
        return RangeSet(self._db.rows(sql, (self._chain,)))

    def change_coverage(self, old: RangeSet, new: RangeSet) -> None:
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

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that are over by a rule."""
        rows = self._db.rows(
            "SELECT execution, status FROM executions_over WHERE chain = ? AND rule = ?",
            (self._chain, to_blob(rule)),
        )
        return {from_blob(execution): status for execution, status in rows}

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
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


GENERATION_MAX: Final = 50_000
"""Rows of a generation, of which there are two: together about 30 MB."""

_OUTLIERS: Final = 500
"""The greatest ids of a generation that outlive it: those of events stamped ahead of the clock."""

_Rank = tuple[int, str]


class Recent:
    """A bounded part of a journal's ids. Above a certain id, what is not here is nowhere.

    CloudWatch's ids grow with time, so that an id which is greater than all that were dropped
    is new, without asking the disk. Where ids are not like that, the disk is asked.
    """

    def __init__(self, greatest: str | None) -> None:
        """Start empty, beside a journal whose greatest id is ``greatest``."""
        self._young: dict[str, KnownRow] = {}
        self._old: dict[str, KnownRow] = {}
        self._dropped: _Rank = (0, "") if greatest is None else _rank(greatest)

    def split(self, ids: Collection[str]) -> tuple[dict[str, KnownRow], list[str]]:
        """What is known of ``ids`` here, and those of which only the disk knows."""
        young, old, (length, greatest) = self._young, self._old, self._dropped
        found = {}
        unknown = []
        for one in ids:
            known = young.get(one) or old.get(one)
            if known is not None:
                found[one] = known
            elif len(one) < length or (len(one) == length and one <= greatest):
                unknown.append(one)
        return found, unknown

    def add(self, rows: Iterable[tuple[str, KnownRow]]) -> None:
        """Remember rows that have their bodies: new ones, or old ones that were asked for."""
        self._young.update(rows)
        if len(self._young) > GENERATION_MAX:
            dropped = self._old
            self._old, self._young = self._young, {}
            ranks = nlargest(_OUTLIERS + 1, map(_rank, dropped))
            if len(ranks) > _OUTLIERS:
                self._dropped = max(self._dropped, ranks.pop())
            self._old |= {one: dropped[one] for _, one in ranks if one not in self._old}

    def forget(self, ids: Iterable[str]) -> None:
        """Leave rows to the disk, because there is news of them."""
        for one in ids:
            known = self._young.pop(one, None) or self._old.pop(one, None)
            if known is not None:
                self._old.pop(one, None)
                self._dropped = max(self._dropped, _rank(one))


def _rank(event_id: str) -> _Rank:
    """Compares as the numbers do, which have no leading zeros."""
    return len(event_id), event_id


_DELETED_AT_ONCE: Final = 2_000
"""Rows of a forgotten chain that are deleted beside other work."""

_SMALL_TABLES: Final = (
    "links", "sums", "strays", "lost", "coverage", "gaps", "executions_over", "streams", "chains",
)  # fmt: skip


class SqliteJournals:
    """An open file of journals. Its lock goes with ``close`` or with the process."""

    def __init__(
        self, path: str | os.PathLike[str], make_epoch: Callable[[], str] = new_epoch
    ) -> None:
        """Open or make the file.

        Raises:
            JournalError: it can't be opened, is in use, not ours, or of a newer version; nothing
                was changed.

        """
        self._db = Database(path)
        self._make_epoch = make_epoch
        self._journals: dict[str, SqliteJournal] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open or make the file, as the constructor does."""
        return cls(path)

    @property
    def path(self) -> str:
        """Where it is."""
        return self._db.path

    @property
    def groups(self) -> list[str]:
        """The log groups of which the file has a journal."""
        rows = self._db.rows("SELECT name FROM chains WHERE is_current")
        return sorted(from_blob(name) for (name,) in rows)

    def journal(self, group: str) -> SqliteJournal:
        """The journal of a log group, made if need be; the first call begins its epoch."""
        journal = self._journals.get(group)
        if journal is None:
            journal = self._journals[group] = SqliteJournal(self._db, group, self._make_epoch)
        return journal

    def close(self) -> None:
        """Close the file, and let others have it."""
        self._journals.clear()
        self._db.close()


class SqliteJournal:
    """One log group's ``Journal`` in a file of several."""

    def __init__(self, db: Database, group: str, make_epoch: Callable[[], str]) -> None:
        """Made by ``SqliteJournals.journal``: take over what there is, under a new epoch [4]."""
        self._db = db
        self._group = group
        self._make_epoch = make_epoch
        self._revision = 0
        found = db.rows(
            "SELECT chain, head, body_bytes, retired_ms FROM chains WHERE name = ? AND is_current",
            (to_blob(group),),
        )
        if found:
            self._load(*found[0])
            self.begin_epoch()
        else:
            self._begin(None)

    def _load(self, number: int, head: int, body_bytes: int, retired_ms: int) -> None:
        db = self._db
        self._number = number
        self._head = head
        self._notes = Notes(db, number)
        self._chain = Chain(self._notes.links(), self._make_epoch)
        self._coverage = self._notes.coverage()
        self._streams = Streams(db, number)
        self._sums = Sums(db, number)
        self._bodies = Bodies(db, number, body_bytes, retired_ms)
        self._rows = Rows(db, number, self._streams)
        self._has_garbage = bool(db.rows("SELECT 1 FROM chains WHERE NOT is_current LIMIT 1"))
        self._check()
        self._recent = Recent(self._rows.greatest_id())
        rows = self.read_after(max(0, head - GENERATION_MAX), GENERATION_MAX)
        self._recent.add(
            (row.id, KnownRow(row.seq, row.timestamp, row.stream, has_body=True, is_lost=False))
            for row in rows
            if row.message is not None
        )

    def _check(self) -> None:
        """What is written in several places must agree: a file made up of two does not."""
        seq, count = self._rows.last_seq(), self._streams.count
        if not self._head == seq == count:
            msg = (
                f"the journal {self._db.path} is damaged (it ends at {self._head}, {seq} and"
                f" {count}): move it away for a new one"
            )
            raise JournalError(msg)

    @property
    def group(self) -> str:
        """The log group's name."""
        return self._group

    @property
    def epoch(self) -> str:
        """The present epoch."""
        return self._chain.epoch

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first."""
        return self._chain.links

    @property
    def head_seq(self) -> int:
        """The last seq given out in this chain."""
        return self._head

    @property
    def revision(self) -> int:
        """Changes whenever the totals of rows that were there already change."""
        return self._revision

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor is of this chain."""
        return self._chain.is_resumable(epoch, after, self._head)

    def begin_epoch(self) -> str:
        """Go on in the same chain under a new epoch [4]."""
        chain = self._chain.begun(self._head + 1)
        with self._db.transaction() as connection:
            self._notes.write_links(connection, chain)
        self._chain = chain
        return self.epoch

    def begin_chain(self) -> str:
        """Forget everything and start anew at seq 1 under a new epoch.

        What was there is deleted little by little, beside later work.
        """
        self._begin(self._number)
        self._revision += 1
        return self.epoch

    def _begin(self, old: int | None) -> None:
        with self._db.transaction() as connection:
            connection.execute("UPDATE chains SET is_current = 0 WHERE chain = ?", (old,))
            number = connection.execute(
                "INSERT INTO chains (name, is_current, head, body_bytes, retired_ms)"
                " VALUES (?, 1, 0, 0, 0)",
                (to_blob(self._group),),
            ).lastrowid
            assert number is not None, "SQLite numbers every new row"
            chain = Chain(make=self._make_epoch).anew()
            Notes(self._db, number).write_links(connection, chain)
        self._load(number, 0, 0, 0)

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Those of ``ids`` that the journal has."""
        found, unknown = self._recent.split(ids)
        if unknown:
            found.update(self._rows.find(unknown))
        return found

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events, none of which is known; the new ``head_seq``."""
        spans = spans_of([(event.stream, event.timestamp) for event in events])
        with self._db.transaction() as connection:
            numbers = self._streams.written(connection, spans)
            batch = Batch(self._number, self._head + 1, events, numbers)
            batch.write(connection, origin)
            write_sums(connection, self._number, batch.sums)
            self._bodies.appended(connection, batch.order)
            connection.execute(
                "UPDATE chains SET head = head + ?, body_bytes = body_bytes + ? WHERE chain = ?",
                (len(events), batch.size, self._number),
            )
        self._streams.committed(spans, numbers)
        self._bodies.size += batch.size
        self._recent.add(
            (event.id, KnownRow(seq, event.timestamp, event.stream, has_body=True, is_lost=False))
            for seq, event in enumerate(events, self._head + 1)
        )
        self._head += len(events)
        if self._has_garbage:
            self._delete_garbage()
        return self._head

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""
        end = self._head if until is None else min(until, self._head)
        return self._rows.after(min(after, end), limit, end)

    def read_between(
        self,
        interval: Interval,
        limit: int,
        *,
        newest_first: bool = False,
        until_seq: int | None = None,
    ) -> list[Row]:
        """Rows within the interval in display order (descending if ``newest_first``)."""
        until = self._head if until_seq is None else min(until_seq, self._head)
        return self._rows.between(interval, limit, until, newest_first=newest_first)

    def total(
        self,
        from_: int,
        through: int,
        wanted: Filter,
        *,
        base: int = 0,
        seq: int | None = None,
    ) -> RangeTotal:
        """Count and digest of ``from_ <= timestamp <= through`` and ``base < seq <= seq``."""
        last = self._head if seq is None else min(seq, self._head)
        streams = None if wanted.matches_all else self._streams.matching(wanted)
        return self._sums.total(from_, through, streams, base, last, self._head)

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Ranges of time of which a whole scan was taken in."""
        return self._coverage.ranges

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage."""
        coverage = self._coverage.copy()
        if coverage.add(from_, through):
            self._notes.change_coverage(self._coverage, coverage)
            self._coverage = coverage

    def gaps(self) -> list[GapRecord]:
        """The declared gaps that are not repaired, oldest first."""
        return self._notes.gaps()

    def put_gap(self, gap: GapRecord) -> None:
        """Store a gap under its id; a repaired one is not kept."""
        self._notes.put_gap(gap)

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Take bodies: of events older than ``before`` ms, then the oldest while over size."""
        excess = 0 if bytes_max is None else self.size_bytes() - bytes_max
        bodies = self._bodies.oldest(before, excess, RETIRE_ROWS_MAX)
        if bodies:
            self._recent.forget(self._bodies.take(bodies))
        if self._has_garbage:
            self._delete_garbage()
        return len(bodies)

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body is gone from here but not known to be lost."""
        return self._rows.bodiless(from_, min(through, self._bodies.retired_ms), limit)

    def restore(self, bodies: Mapping[str, str]) -> int:
        """Put bodies (message by id) back where they are missing; the number restored."""
        restored, found_again = self._bodies.restore(bodies)
        self._revision += bool(found_again)
        return restored

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Bodies that CloudWatch does not have any more either; the number newly lost."""
        lost = self._bodies.mark_lost(ids, reason)
        self._revision += bool(lost)
        return lost

    def lost(self, from_: int, through: int, wanted: Filter) -> list[Lost]:
        """Ranges whose bodies are lost, adjoining ones with the same reason merged."""
        names = self._streams.names
        losses = self._bodies.lost(from_, through)
        return lost_ranges(
            (timestamp, reason)
            for timestamp, stream, reason in losses
            if wanted.matches(names[stream])
        )

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that were found to be over by that rule, with their status."""
        return self._notes.ended_executions(rule)

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember (None: forget) that an execution is over."""
        self._notes.put_ended(execution, status, rule)

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""
        return self._streams.table()

    def size_bytes(self) -> int:
        """What the rows and bodies take, about; the file itself never shrinks."""
        return self._bodies.size + ROW_BYTES * self._head

    def close(self) -> None:
        """Nothing is left open here: every call commits, and the file is ``SqliteJournals``'."""

    def _delete_garbage(self) -> None:
        """Delete some rows of a chain that was forgotten, and the chain itself at last."""
        with self._db.transaction() as connection:
            sql = "SELECT chain FROM chains WHERE NOT is_current LIMIT 1"
            found = connection.execute(sql).fetchone()
            if found is None:
                self._has_garbage = False
                return
            self._delete_some(connection, found[0])

    def _delete_some(self, connection: sqlite3.Connection, chain: int) -> None:
        first = chain << SEQ_BITS
        deleted = connection.execute(
            "DELETE FROM events WHERE place IN"
            " (SELECT place FROM events WHERE place BETWEEN ? AND ? LIMIT ?)",
            (first, first | SEQ_MASK, _DELETED_AT_ONCE),
        ).rowcount
        if deleted < _DELETED_AT_ONCE:
            for table in _SMALL_TABLES:
                sql = f"DELETE FROM {table} WHERE chain = ?"  # noqa: S608 - a constant
                connection.execute(sql, (chain,))

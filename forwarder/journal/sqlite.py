"""The journal on disk: one SQLite file for several log groups, used by one forwarder at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import repeat
from typing import Final

from common.ranges import RangeSet
from forwarder.errors import JournalError
from forwarder.journal.contract import RETIRE_ROWS_MAX, ROW_BYTES, Chain, lost_ranges, new_epoch
from forwarder.journal.database import SMALL_PAGE_BYTES, Database, from_blob, to_blob
from forwarder.journal.range_sums import RangeSums, write_sums
from forwarder.journal.tables import (
    SEQ_BITS,
    SEQ_MASK,
    Bodied,
    Bodies,
    EventTable,
    NewRows,
    StreamTable,
    compute_digests,
    spans_of,
)
from forwarder.records import (
    EpochStart,
    GapRecord,
    KnownRow,
    LogEvent,
    RangeTotal,
    Retirement,
    Row,
)
from wire.limits import TIMESTAMP_MAX
from wire.messages import ExecutionStatus, Lost, Origin
from wire.order import Interval
from wire.query import Filter

GENERATION_MAX: Final = 50_000
"""Rows in each of the two generations of ``RecentIds``; together they take about 30 MB."""

_OUTLIERS: Final = 500
"""Greatest ids of a dropped generation that are retained: events stamped ahead of the clock."""

_Rank = tuple[int, str]


class RecentIds:
    """A bounded cache of a journal's newest ids, which answers for most ids that scans return.

    CloudWatch's ids grow with time, so an id greater than all that were dropped from the cache and
    not in it is new, without a query. Smaller unknown ids are looked up on disk.
    """

    def __init__(self, greatest: str | None) -> None:
        """Create an empty cache for a journal whose greatest id is ``greatest``."""
        self._young: dict[str, KnownRow] = {}
        self._old: dict[str, KnownRow] = {}
        self._dropped: _Rank = (0, "") if greatest is None else _rank(greatest)

    def split(self, ids: Collection[str]) -> tuple[dict[str, KnownRow], list[str]]:
        """Split ids into known rows and ids to look up on disk; the rest is new."""
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
        """Add rows, which must have their bodies."""
        self._young.update(rows)
        if len(self._young) > GENERATION_MAX:
            dropped = self._old
            self._old, self._young = self._young, {}
            ranks = nlargest(_OUTLIERS + 1, map(_rank, dropped))
            if len(ranks) > _OUTLIERS:
                self._dropped = max(self._dropped, ranks.pop())
            self._old |= {one: dropped[one] for _, one in ranks if one not in self._old}

    def forget(self, ids: Iterable[str]) -> None:
        """Forget rows because they changed: they are looked up on disk."""
        for one in ids:
            known = self._young.pop(one, None) or self._old.pop(one, None)
            if known is not None:
                self._old.pop(one, None)
                self._dropped = max(self._dropped, _rank(one))


def _rank(event_id: str) -> _Rank:
    """Sort key that compares ids without leading zeros as numbers."""
    return len(event_id), event_id


COVERAGE_LAG_MS: Final = 300_000
"""Time by which the coverage on disk may lag behind: a poll of a quiet log group writes nothing.
After a kill, the first poll reads as much again as is lacking."""

_DELETED_AT_ONCE: Final = 2_000
"""Rows of a forgotten chain that are deleted along with one other operation."""

_SMALL_TABLES: Final = (
    "links", "sums", "strays", "lost", "coverage", "gaps", "executions_over", "streams", "chains",
)  # fmt: skip


class SqliteJournals:
    """An open file of journals; its lock ends with ``close`` or with the process."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        make_epoch: Callable[[], str] = new_epoch,
        *,
        is_small: bool = False,
    ) -> None:
        """Open or create the file; ``is_small``: with little memory, as one of many files.

        Raises:
            JournalError: it can't be opened, is in use, is not a journal, or is of a newer
                version; nothing was changed.
        """
        self._db = Database(path, page_bytes=SMALL_PAGE_BYTES) if is_small else Database(path)
        self._make_epoch = make_epoch
        self._journals: dict[tuple[str, str], SqliteJournal] = {}

    def journal(self, group: str, pattern: str = "") -> SqliteJournal:
        """The journal of a feed, created if needed; the first call begins its epoch.

        Args:
            group: the log group.
            pattern: the feed's filter pattern; empty: all events.
        """
        key = group, pattern
        journal = self._journals.get(key)
        if journal is None:
            journal = self._journals[key] = SqliteJournal(
                self._db, group, self._make_epoch, pattern=pattern
            )
        return journal

    def release(self, group: str, pattern: str = "") -> None:
        """Forget a feed's journal; the next ``journal`` continues it under a new epoch."""
        journal = self._journals.pop((group, pattern), None)
        if journal is not None:
            journal.save_coverage()

    @property
    def use_count(self) -> int | None:
        """Uses of the file so far; None while it rests."""
        return None if self._db.is_resting else self._db.use_count

    def rest(self) -> None:
        """Close the file until the next use, which frees its memory.

        Other processes must be kept away meanwhile, as a lock beside the file does.

        Raises:
            JournalError: it can't be written.
        """
        self._save_coverage()
        self._db.rest()

    def close(self) -> None:
        """Close and unlock the file."""
        try:
            self._save_coverage()
        finally:
            self._journals.clear()
            self._db.close()

    def _save_coverage(self) -> None:
        for journal in self._journals.values():
            journal.save_coverage()


class SqliteJournal:
    """One feed's ``Journal`` in a shared file."""

    def __init__(
        self,
        db: Database,
        group: str,
        make_epoch: Callable[[], str],
        *,
        pattern: str = "",
        is_replica: bool = False,
    ) -> None:
        """Continue an existing journal under a new epoch [4], or begin one.

        A replica continues under the epoch that it has, since its rows are those of a log.
        """
        self._db = db
        self.group = group
        """The log group's name."""
        self.pattern = pattern
        """The filter pattern that all rows match; empty: all events of the log group."""
        # No name of a log group contains a NUL.
        self._name = to_blob(f"{group}\0{pattern}" if pattern else group)
        self._make_epoch = make_epoch
        self._is_replica = is_replica
        self.revision = 0
        """A number that changes when totals of existing rows do."""
        found = db.rows(
            "SELECT chain, head, body_bytes, retired_ms FROM chains WHERE name = ? AND is_current",
            (self._name,),
        )
        if found:
            self._load(*found[0])
            if not is_replica:
                self.begin_epoch()
        else:
            self._begin(None)

    def reload(self) -> None:
        """Read the state from the file again, after a transaction around calls has failed."""
        sql = "SELECT chain, head, body_bytes, retired_ms FROM chains WHERE name = ? AND is_current"
        [found] = self._db.rows(sql, (self._name,))
        self._load(*found)

    def _load(self, number: int, head: int, body_bytes: int, retired_ms: int) -> None:
        db = self._db
        self._number = number
        self.head_seq = head
        """The last seq of this chain."""
        links = db.rows(
            "SELECT epoch, first_seq FROM links WHERE chain = ? ORDER BY position", (number,)
        )
        self._chain = Chain([EpochStart(*link) for link in links], self._make_epoch)
        self._coverage = self._saved_coverage = RangeSet(
            db.rows("SELECT from_ms, through_ms FROM coverage WHERE chain = ?", (number,))
        )
        self._streams = StreamTable(db, number)
        self._sums = RangeSums(db, number)
        self._bodies = Bodies(db, number, body_bytes, retired_ms)
        self._rows = EventTable(db, number, self._streams)
        self._has_garbage = bool(db.rows("SELECT 1 FROM chains WHERE NOT is_current LIMIT 1"))
        self._check()
        self._recent = RecentIds(self._rows.greatest_id())
        rows = self.read_after(max(0, head - GENERATION_MAX), GENERATION_MAX)
        self._recent.add(
            (row.id, KnownRow(row.seq, row.timestamp, row.stream, True, False, row.digest))  # noqa: FBT003
            for row in rows
            if row.message is not None
        )

    def _check(self) -> None:
        """Check that the head agrees everywhere, which it does not in a file mixed from two."""
        seq, count = self._rows.last_seq(), self._streams.count
        if not self.head_seq == seq == count:
            msg = (
                f"the journal {self._db.path} is damaged (it ends at {self.head_seq}, {seq} and"
                f" {count}): move it away to start a new journal"
            )
            raise JournalError(msg)

    @property
    def epoch(self) -> str:
        """The present epoch."""
        return self._chain.epoch

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first."""
        return self._chain.links

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor belongs to this chain."""
        return self._chain.is_resumable(epoch, after, self.head_seq)

    def begin_epoch(self) -> str:
        """Continue the chain under a new epoch [4]."""
        chain = self._chain.with_new_epoch(self.head_seq + 1)
        with self._db.transaction() as connection:
            _write_links(connection, self._number, chain)
        self._chain = chain
        return self.epoch

    def begin_chain(self) -> str:
        """Forget everything, and start over at seq 1 under a new epoch.

        The old rows are deleted in steps, along with later work.
        """
        self._begin(self._number)
        self.revision += 1
        return self.epoch

    def _begin(self, old: int | None) -> None:
        with self._db.transaction() as connection:
            connection.execute("UPDATE chains SET is_current = 0 WHERE chain = ?", (old,))
            number = connection.execute(
                "INSERT INTO chains (name, is_current, head, body_bytes, retired_ms)"
                " VALUES (?, 1, 0, 0, 0)",
                (self._name,),
            ).lastrowid
            assert number is not None, "SQLite numbers every new row"
            chain = Chain(make=self._make_epoch).restarted()
            _write_links(connection, number, chain)
        self._load(number, 0, 0, 0)

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Rows with these ids, by id; unknown ids are left out."""
        found, unknown = self._recent.split(ids)
        if unknown:
            found.update(self._rows.find(unknown))
        return found

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events with unknown ids; return the new ``head_seq``."""
        messages = [to_blob(event.message) for event in events]
        return self.append_bodied(events, Bodied(compute_digests(events), messages), origin)

    def append_bodied(self, events: Sequence[LogEvent], bodies: Bodied, origin: Origin) -> int:
        """Do what ``append`` does, with digests and encoded messages that are already known."""
        spans = spans_of([(event.stream, event.timestamp) for event in events])
        with self._db.transaction() as connection:
            numbers = self._streams.write(connection, spans)
            batch = NewRows(self._number, self.head_seq + 1, events, bodies, numbers)
            batch.write(connection, origin)
            write_sums(connection, self._number, batch.sums)
            self._bodies.add_strays(connection, batch.order)
            connection.execute(
                "UPDATE chains SET head = head + ?, body_bytes = body_bytes + ? WHERE chain = ?",
                (len(events), batch.size, self._number),
            )
        self._streams.commit(spans, numbers)
        earliest = min((span[0] for span in spans.values()), default=TIMESTAMP_MAX)
        self._bodies.commit(batch.size, earliest)
        # Not a loop in Python: this is a tenth of the time of building a replica.
        known = map(
            KnownRow,
            range(self.head_seq + 1, self.head_seq + 1 + len(events)),
            *([one.timestamp for one in events], [one.stream for one in events]),
            *(repeat(True), repeat(False)),  # noqa: FBT003
            bodies.digests,
        )
        self._recent.add(zip([one.id for one in events], known, strict=True))
        if None in bodies.messages:
            # The cache holds only rows with bodies.
            columns = zip(events, bodies.messages, strict=True)
            self._recent.forget(event.id for event, message in columns if message is None)
        self.head_seq += len(events)
        if self._has_garbage:
            self._delete_garbage()
        return self.head_seq

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""
        end = self.head_seq if until is None else min(until, self.head_seq)
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
        until = self.head_seq if until_seq is None else min(until_seq, self.head_seq)
        return self._rows.between(interval, limit, until, newest_first=newest_first)

    def total(
        self, from_: int, through: int, filter_: Filter, *, base: int = 0, seq: int | None = None
    ) -> RangeTotal:
        """Count and digest of the rows in a range of time and seq."""
        last = self.head_seq if seq is None else min(seq, self.head_seq)
        streams = None if filter_.matches_all else self._streams.matching(filter_)
        return self._sums.total(from_, through, streams, base, last, self.head_seq)

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Time that whole scans have read."""
        return self._coverage.ranges

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage; what polls add at its end is written now and then."""
        coverage = RangeSet(self._coverage)
        if not coverage.add(from_, through):
            return
        if not self._is_replica and self._lags_little(coverage):
            self._coverage = coverage
        else:
            self.set_coverage(coverage)

    def _lags_little(self, coverage: RangeSet) -> bool:
        """Whether the coverage on disk differs only by some time at its end."""
        *before, saved = self._saved_coverage.ranges or [(0, -1)]
        *others, last = coverage.ranges
        is_alike = before == others and saved[0] == last[0]
        return is_alike and last[1] - saved[1] < COVERAGE_LAG_MS

    def save_coverage(self) -> None:
        """Write what ``cover`` has not written yet.

        Raises:
            JournalError: it can't be written.
        """
        if self._saved_coverage.ranges != self._coverage.ranges:
            self.set_coverage(self._coverage)

    def set_coverage(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Replace the coverage."""
        coverage = RangeSet(ranges)
        # Only the difference is written: for polls of a quiet log group, one row.
        before, after = set(self._saved_coverage.ranges), set(coverage.ranges)
        with self._db.transaction() as connection:
            connection.executemany(
                "DELETE FROM coverage WHERE chain = ? AND from_ms = ?",
                [(self._number, start) for start, _ in before - after],
            )
            connection.executemany(
                "INSERT INTO coverage VALUES (?, ?, ?)",
                [(self._number, *added) for added in after - before],
            )
        self._coverage = self._saved_coverage = coverage

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired, oldest first."""
        rows = self._db.rows(
            "SELECT id, from_ms, through_ms, state, reason, recovered FROM gaps WHERE chain = ?"
            " ORDER BY from_ms, through_ms, id",
            (self._number,),
        )
        return [
            GapRecord(gap_id, from_, through, state, from_blob(reason), recovered)
            for gap_id, from_, through, state, reason, recovered in rows
        ]

    def put_gap(self, gap: GapRecord) -> None:
        """Add or replace a gap under its id; a repaired one is removed."""
        key = self._number, gap.id
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM gaps WHERE chain = ? AND id = ?", key)
            if gap.state != "repaired":
                values = gap.from_, gap.through, gap.state, to_blob(gap.reason), gap.recovered
                connection.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, *values))

    def set_gaps(self, gaps: Iterable[GapRecord]) -> None:
        """Replace all gaps."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM gaps WHERE chain = ?", (self._number,))
            for gap in gaps:
                self.put_gap(gap)

    def plan_retirement(
        self, *, before: int | None = None, bytes_max: int | None = None
    ) -> Retirement | None:
        """How far ``retire`` would go with these arguments; None: it would remove nothing."""
        excess = 0 if bytes_max is None else self.size_bytes() - bytes_max
        bodies = self._bodies.oldest(before, excess, RETIRE_ROWS_MAX)
        return self._bodies.extent(bodies) if bodies else None

    def retire_within(self, extent: Retirement) -> int:
        """Remove the bodies up to explicit positions; return how many there were."""
        bodies = self._bodies.within(extent)
        self._recent.forget(self._bodies.remove(bodies, extent.rows[0] if extent.rows else 0))
        if self._has_garbage:
            self._delete_garbage()
        return len(bodies)

    def first_seq_with_body(self, after: int) -> int | None:
        """The first seq above ``after`` whose row has its body; None without one.

        Also one up to ``after`` whose body was restored.
        """
        place = self._bodies.first_place(self._number << SEQ_BITS | after)
        return None if place is None else place & SEQ_MASK

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Remove the bodies of events older than ``before``, then the oldest while over size."""
        excess = 0 if bytes_max is None else self.size_bytes() - bytes_max
        bodies = self._bodies.oldest(before, excess, RETIRE_ROWS_MAX)
        if bodies:
            self._recent.forget(self._bodies.remove(bodies))
        if self._has_garbage:
            self._delete_garbage()
        return len(bodies)

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body was removed and is not known to be lost."""
        return self._rows.bodiless(from_, min(through, self._bodies.retired_ms), limit)

    def missing(self, ids: Collection[str]) -> dict[str, bool]:
        """Those of ``ids`` whose rows have no body: whether they are declared lost, by id."""
        return {event_id: is_lost for event_id, _, _, is_lost in self._bodies.missing(ids)}

    def restore(self, bodies: Mapping[str, str | None]) -> int:
        """Put messages (by id) back into rows without one; return the number restored.

        None stands for a message that a replica does not get any more; its row is not lost.
        """
        restored, found_again = self._bodies.restore(bodies)
        self.revision += bool(found_again)
        return restored

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Mark removed bodies lost; return the number newly lost."""
        lost = self._bodies.mark_lost(ids, reason)
        self.revision += bool(lost)
        return lost

    def lost(self, from_: int, through: int, filter_: Filter) -> list[Lost]:
        """Ranges whose bodies are lost; adjoining ones with the same reason are merged."""
        names = self._streams.names
        losses = self._bodies.lost(from_, through)
        return lost_ranges(
            (timestamp, reason)
            for timestamp, stream, reason in losses
            if filter_.matches(names[stream])
        )

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that have ended by a lifecycle rule, with their status."""
        rows = self._db.rows(
            "SELECT execution, status FROM executions_over WHERE chain = ? AND rule = ?",
            (self._number, to_blob(rule)),
        )
        return {from_blob(execution): status for execution, status in rows}

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember the end of an execution; None forgets it."""
        key = self._number, to_blob(rule), to_blob(execution)
        with self._db.transaction() as connection:
            connection.execute(
                "DELETE FROM executions_over WHERE chain = ? AND rule = ? AND execution = ?", key
            )
            if status is not None:
                connection.execute(
                    "INSERT INTO executions_over VALUES (?, ?, ?, ?)", (*key, status)
                )

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""
        return self._streams.table()

    def size_bytes(self) -> int:
        """Approximate size of all rows and bodies; the file itself never shrinks."""
        return self._bodies.size + ROW_BYTES * self.head_seq

    def _delete_garbage(self) -> None:
        """Delete some rows of a forgotten chain, and finally the chain itself."""
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


def _write_links(connection: sqlite3.Connection, number: int, chain: Chain) -> None:
    connection.execute("DELETE FROM links WHERE chain = ?", (number,))
    connection.executemany(
        "INSERT INTO links VALUES (?, ?, ?, ?)",
        [
            (number, position, link.epoch, link.first_seq)
            for position, link in enumerate(chain.links)
        ],
    )

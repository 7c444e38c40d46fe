"""A scan of CloudWatch: the range that it reads, and whether it returned everything known there.

A scan that failed to return a row which the journal held when it began may have missed unknown
events as well, so it completes nothing [8]. Excused are rows that CloudWatch has deleted: by
retention, with their log stream, or found lost before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from forwarder.ingest.executions import Ends
from forwarder.journal.contract import Journal
from forwarder.journal.totals import Totals
from forwarder.records import KnownRow, LogEvent, Row, UnreadableEvent
from wire.limits import TIMESTAMP_MAX
from wire.order import Interval, first_key, key_of, last_key
from wire.query import Filter

ScanKind = Literal["live", "repair", "backfill"]
"""A poll of the newest seconds, a repeated scan of the past, or requested history."""

_CHUNK_BITS: Final = 16
_CHUNK_MASK: Final = (1 << _CHUNK_BITS) - 1


class Ingested(msgspec.Struct, frozen=True):
    """How many events of a batch were new and known; ``late`` of the new ones lie behind a mark.

    ``held`` were held back, because they contradict the journal or each other [17].
    """

    new: int
    duplicates: int
    late: int
    head_seq: int
    held: int = 0


class SeqSet:
    """A set of seqs, one byte each in chunks of 64 KiB: a scan may return millions."""

    def __init__(self) -> None:
        self._chunks: dict[int, bytearray] = {}

    def __len__(self) -> int:
        return sum(chunk.count(1) for chunk in self._chunks.values())

    def __contains__(self, seq: int) -> bool:
        chunk = self._chunks.get(seq >> _CHUNK_BITS)
        return chunk is not None and chunk[seq & _CHUNK_MASK] == 1

    def add_all(self, seqs: Sequence[int]) -> None:
        """Add seqs; those already in the set change nothing."""
        chunks = self._chunks
        for seq in seqs:
            try:
                chunks[seq >> _CHUNK_BITS][seq & _CHUNK_MASK] = 1
            except KeyError:
                chunk = chunks[seq >> _CHUNK_BITS] = bytearray(1 << _CHUNK_BITS)
                chunk[seq & _CHUNK_MASK] = 1

    def discard(self, seq: int) -> None:
        """Remove a seq that is in the set."""
        self._chunks[seq >> _CHUNK_BITS][seq & _CHUNK_MASK] = 0


class Scan(msgspec.Struct, eq=False):
    """A scan begun by ``LogGroup.begin_scan``; its pages go in through ``take_page``.

    Attributes:
        kind: its purpose.
        from_: first millisecond that it asks for.
        through: last one; None: an open end, where events stamped ahead of the clock are as well.
        begun_ms: when it began; it says nothing of later time.
        number: counts the log group's scans in this process, from 1.
        head_seq: the journal's head as it began: it must return the rows up to there [8].
        take: adds the events of a page to the log group.
        missed: least and greatest timestamp of the events that the live path had missed.
        missed_count: their number.
        is_settled: whether the log group's settings were requested after its last page
            (``Expiry``).
        is_open: whether it has neither finished nor been abandoned.
        is_consistent: whether no event that it returned contradicts the journal [17].
        conflicts: the events that do, by id, and the two timestamps; a part of them if many.
        is_resumed: whether it was resumed by time after a page token was refused: then it says
            nothing of what it may have skipped.
        reads_history: whether it is a poll that also reads what is older than the present.
        set_aside: adds events of a page that the protocol can't carry.
    """

    kind: ScanKind
    from_: int
    through: int | None
    begun_ms: int
    number: int
    head_seq: int
    take: Callable[[Scan, Sequence[LogEvent], Ends | None], Ingested]
    set_aside: Callable[[Scan, Sequence[UnreadableEvent]], None]
    missed: tuple[int, int] | None = None
    missed_count: int = 0
    is_settled: bool = False
    is_open: bool = True
    is_consistent: bool = True
    conflicts: dict[str, tuple[int, int]] = {}
    is_resumed: bool = False
    reads_history: bool = False

    @property
    def is_conclusive(self) -> bool:
        """Whether its answers can prove anything."""
        return self.is_consistent and not self.is_resumed

    @property
    def top(self) -> int:
        """Last millisecond of which the scan can return events."""
        return TIMESTAMP_MAX if self.through is None else self.through

    @property
    def covered(self) -> int:
        """Last millisecond that the scan covers once it has finished."""
        return min(self.top, self.begun_ms)

    def take_page(self, events: Sequence[LogEvent], ends: Ends | None = None) -> Ingested:
        """Add the events of a page that CloudWatch returned.

        Args:
            events: the page.
            ends: as of ``Lifecycle.ends_among``; None: the messages are matched here.

        Raises:
            JournalError: the journal can't be written; what was not committed is not known.
        """
        return self.take(self, events, ends)

    def add_missed(self, timestamps: Sequence[int]) -> None:
        """Add events that the scan returned first although the live path had read their time."""
        low, high = self.missed or (timestamps[0], timestamps[0])
        self.missed = min(low, *timestamps), max(high, *timestamps)
        self.missed_count += len(timestamps)


MISSING_MAX: Final = 100
"""Missing rows that are looked up: enough to find the log streams to ask about."""

_SLICE: Final = 2_000


class ScanComparison:
    """Compares what one scan returned with the rows that the journal held when it began."""

    def __init__(
        self,
        journal: Journal,
        totals: Totals,
        scan: Scan,
        deleted: dict[str, int],
        retention_ms: int | None,
    ) -> None:
        """Remember the state of the journal as a scan begins.

        ``deleted`` maps deleted log streams to the journal's head when that was found out: rows up
        to it are excused, rows of a later stream of that name are not. It may grow meanwhile.
        """
        self._journal = journal
        self._totals = totals
        self._scan = scan
        self._deleted = deleted
        self._retention_ms = retention_ms
        self._low = max(scan.from_, self._floor_ms(scan.begun_ms))
        self._returned = SeqSet()
        self._begun_at = self._state()

    def add_returned(self, known: Iterable[KnownRow]) -> None:
        """Add known rows that the scan has returned; rows that it need not return don't count."""
        low, top, head, deleted = self._low, self._scan.top, self._scan.head_seq, self._deleted
        self._returned.add_all(
            [
                one.seq
                for one in known
                if one.seq <= head
                and low <= one.timestamp <= top
                and (not deleted or one.seq > deleted.get(one.stream, 0))
            ]
        )

    def is_complete(self, excused: int = 0) -> bool:
        """Whether the scan returned as many rows as the journal holds: quick, usually enough.

        ``excused`` of the rows it need not return.
        """
        expected = self._expected() - excused
        return self._state() == self._begun_at and len(self._returned) == expected

    def find_missing(self, now_ms: int, excused: Collection[int] = ()) -> list[Row]:
        """Find rows, at most ``MISSING_MAX``, that the scan failed to return without excuse.

        It need not return the seqs in ``excused``.
        """
        low, floor = first_key(self._scan.from_), self._floor_ms(now_ms)
        missing: list[Row] = []
        while len(missing) < MISSING_MAX:
            interval = Interval(low, last_key(self._scan.top))
            rows = self._journal.read_between(interval, _SLICE, until_seq=self._scan.head_seq)
            missing += [
                row for row in rows if row.seq not in excused and not self._is_excused(row, floor)
            ]
            if len(rows) < _SLICE:
                break
            low = key_of(rows[-1].timestamp, rows[-1].id) + 1
        return missing[:MISSING_MAX]

    def proven_from(self, now_ms: int) -> int:
        """Start of the range in which a complete scan returned every row that is not lost.

        Rows before it may have been excused: by retention, or with a deleted log stream.
        """
        spans = {name: last for name, _, last, _ in self._journal.streams() if self._deleted}
        excused = [spans[name] + 1 for name in self._deleted if name in spans]
        return max(self._low, self._floor_ms(now_ms), *excused)

    def _expected(self) -> int:
        scan, totals = self._scan, self._totals
        count = totals.total(self._low, scan.top, Filter(), seq=scan.head_seq).count
        if not self._deleted:
            return count
        # Only streams with events in the range: there may be many deleted ones.
        lasts = {name: last for name, _, last, _ in self._journal.streams() if last >= self._low}
        names: dict[int, list[str]] = {}
        for name, head in self._deleted.items():
            if name in lasts:
                names.setdefault(min(head, scan.head_seq), []).append(name)
        for head, streams in names.items():
            wanted = Filter(streams=tuple(streams))
            count -= totals.total(self._low, scan.top, wanted, seq=head).count
        return count

    def _is_excused(self, row: Row, floor_ms: int) -> bool:
        return (
            row.seq in self._returned
            or row.timestamp < floor_ms
            or row.seq <= self._deleted.get(row.stream, 0)
            or self._is_lost(row)
        )

    def _is_lost(self, row: Row) -> bool:
        """Whether a row's body is lost: lost rows do not count in totals, retired ones do."""
        if row.message is not None:
            return False
        wanted = Filter(streams=(row.stream,))
        moment = row.timestamp
        return not self._journal.total(moment, moment, wanted, base=row.seq - 1, seq=row.seq).count

    def _floor_ms(self, now_ms: int) -> int:
        return 0 if self._retention_ms is None else now_ms - self._retention_ms

    def _state(self) -> tuple[int, dict[str, int]]:
        return self._journal.revision, dict(self._deleted)

"""A scan of a range of CloudWatch: what it asked for, and what it has returned so far.

Did a scan return everything that the journal held in its range when it began [8]?

A scan that did not may have missed what is not known as well, so it proves nothing. What
CloudWatch has deleted (by retention, with a log stream, or found lost before) is excused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from forwarder.journal.contract import Journal
from forwarder.journal.totals import Totals
from forwarder.records import KnownRow, LogEvent, Row
from wire.limits import TIMESTAMP_MAX
from wire.order import Interval, first_key, key_of, last_key
from wire.query import Filter

ScanKind = Literal["live", "repair", "backfill"]
"""A poll of the present, a look back at the recent past, or a past that a client asked for."""

_CHUNK_BITS: Final = 16
_CHUNK_MASK: Final = (1 << _CHUNK_BITS) - 1


class Ingested(msgspec.Struct, frozen=True):
    """What became of a batch; ``late`` of the ``new`` ones lie behind a mark."""

    new: int
    duplicates: int
    late: int
    head_seq: int
    reset: bool = False


class SeqSet:
    """A set of seqs, a byte each in chunks of 64 KiB: a scan may return millions."""

    def __init__(self) -> None:
        """Start empty."""
        self._chunks: dict[int, bytearray] = {}

    def __len__(self) -> int:
        """How many seqs are in."""
        return sum(chunk.count(1) for chunk in self._chunks.values())

    def __contains__(self, seq: int) -> bool:
        """Whether a seq is in."""
        chunk = self._chunks.get(seq >> _CHUNK_BITS)
        return chunk is not None and chunk[seq & _CHUNK_MASK] == 1

    def add_all(self, seqs: Sequence[int]) -> None:
        """Put seqs in, those that are in already without effect."""
        chunks = self._chunks
        for seq in seqs:
            try:
                chunks[seq >> _CHUNK_BITS][seq & _CHUNK_MASK] = 1
            except KeyError:
                chunk = chunks[seq >> _CHUNK_BITS] = bytearray(1 << _CHUNK_BITS)
                chunk[seq & _CHUNK_MASK] = 1


class Scan:
    """A scan that ``LogGroup.begin_scan`` began; its pages go in through ``page``."""

    def __init__(
        self,
        kind: ScanKind,
        from_: int,
        through: int | None,
        *,
        begun_ms: int,
        number: int,
        head_seq: int,
        take: Callable[[Scan, Sequence[LogEvent]], Ingested],
    ) -> None:
        """Made by ``LogGroup.begin_scan`` alone."""
        self.kind = kind
        """What it is for."""
        self.from_ = from_
        """The first millisecond asked for."""
        self.through = through
        """The last one; None for an open end, where stamps ahead of the clock come as well."""
        self.begun_ms = begun_ms
        """When it began: of what came later it proves nothing."""
        self.number = number
        """1 for the log group's first scan in this process, and so on."""
        self.head_seq = head_seq
        """The head when it began: the rows up to it should be returned [8]."""
        self.seen = SeqSet()
        """Those of them that were."""
        self.missed: tuple[int, int] | None = None
        """Least and greatest timestamp of the events that the live path had missed."""
        self.missed_count = 0
        """How many there are."""
        self.is_settled = False
        """Whether the log group's settings were asked for after its last page (``Expiry``)."""
        self.is_open = True
        """Whether it has neither finished nor been abandoned."""
        self._take = take

    @property
    def top(self) -> int:
        """The last millisecond that it can return."""
        return TIMESTAMP_MAX if self.through is None else self.through

    @property
    def covered(self) -> int:
        """The last millisecond that it covers once finished."""
        return min(self.top, self.begun_ms)

    def page(self, events: Sequence[LogEvent]) -> Ingested:
        """Take in a page of what CloudWatch returned.

        Raises:
            InvalidEventError: an event has no place in the protocol; nothing of the page was taken.
            JournalError: the journal can't be written; what was not committed is not known.

        """
        return self._take(self, events)

    def add_missed(self, timestamps: Sequence[int]) -> None:
        """Note events that it was the first to return although the live path had been there."""
        low, high = self.missed or (timestamps[0], timestamps[0])
        self.missed = min(low, *timestamps), max(high, *timestamps)
        self.missed_count += len(timestamps)


MISSING_MAX: Final = 100
"""Missing rows that are looked up: enough to name the log streams in question."""

_SLICE: Final = 2_000


class Comparison:
    """The comparison of one scan, of which only a count and a set of seqs are kept."""

    def __init__(
        self,
        journal: Journal,
        totals: Totals,
        scan: Scan,
        deleted: dict[str, int],
        retention_ms: int | None,
    ) -> None:
        """Begin with a scan; ``deleted`` is the log group's, and may grow meanwhile.

        Args:
            journal: what is compared with.
            totals: its sums.
            scan: what is compared.
            deleted: deleted log streams, with the head when that was found out: rows up to it
                are excused, rows of a later stream of that name are not.
            retention_ms: the log group's retention setting.

        """
        self._journal = journal
        self._totals = totals
        self._scan = scan
        self._deleted = deleted
        self._retention_ms = retention_ms
        self._low = max(scan.from_, self._floor_ms(scan.begun_ms))
        self._begun_at = self._state()

    def returned(self, known: Iterable[KnownRow]) -> None:
        """The scan has returned these rows; those count that it can be held to."""
        low, top, head, deleted = self._low, self._scan.top, self._scan.head_seq, self._deleted
        self._scan.seen.add_all(
            [
                one.seq
                for one in known
                if one.seq <= head
                and low <= one.timestamp <= top
                and (not deleted or one.seq > deleted.get(one.stream, 0))
            ]
        )

    def is_whole(self, unseen: int = 0) -> bool:
        """Whether as many rows came as are held, which were all held: quick, and often enough.

        ``unseen`` of them no scan has returned yet, so that this one need not have.
        """
        expected = self._expected() - unseen
        return self._state() == self._begun_at and len(self._scan.seen) == expected

    def missing(self, now_ms: int, unseen: Collection[int] = ()) -> list[Row]:
        """The rows that the scan failed to return and nothing excuses: at most ``MISSING_MAX``.

        The seqs in ``unseen`` no scan has returned yet, so that this one need not have.
        """
        low, floor = first_key(self._scan.from_), self._floor_ms(now_ms)
        missing: list[Row] = []
        while len(missing) < MISSING_MAX:
            interval = Interval(low, last_key(self._scan.top))
            rows = self._journal.read_between(interval, _SLICE, until_seq=self._scan.head_seq)
            missing += [
                row for row in rows if row.seq not in unseen and not self._is_excused(row, floor)
            ]
            if len(rows) < _SLICE:
                break
            low = key_of(rows[-1].timestamp, rows[-1].id) + 1
        return missing[:MISSING_MAX]

    def _expected(self) -> int:
        scan, totals = self._scan, self._totals
        count = totals.total(self._low, scan.top, Filter(), seq=scan.head_seq).count
        if not self._deleted:
            return count
        # Those without an event in the range cost nothing, however many have gone by now.
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
            row.seq in self._scan.seen
            or row.timestamp < floor_ms
            or row.seq <= self._deleted.get(row.stream, 0)
            or self._is_lost(row)
        )

    def _is_lost(self, row: Row) -> bool:
        """Whether it is not counted any more, which is how lost rows differ from retired ones."""
        if row.message is not None:
            return False
        wanted = Filter(streams=(row.stream,))
        moment = row.timestamp
        return not self._journal.total(moment, moment, wanted, base=row.seq - 1, seq=row.seq).count

    def _floor_ms(self, now_ms: int) -> int:
        return 0 if self._retention_ms is None else now_ms - self._retention_ms

    def _state(self) -> tuple[int, dict[str, int]]:
        return self._journal.revision, dict(self._deleted)

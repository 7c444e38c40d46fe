"""An in-memory journal for tests and simulations, and the model in property tests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from msgspec.structs import replace

from common.ranges import RangeSet
from forwarder.journal.contract import RETIRE_ROWS_MAX, ROW_BYTES, Chain, lost_ranges, new_epoch
from forwarder.records import EpochStart, GapRecord, KnownRow, LogEvent, RangeTotal, Row
from wire.digest import digest_sum, event_digest
from wire.messages import ExecutionStatus, Lost, Origin
from wire.order import Interval, first_key, key_of, last_key
from wire.query import Filter


class MemoryJournal:
    """A ``Journal`` in memory; ``copy`` does what copying the journal's file does."""

    def __init__(
        self, group: str, make_epoch: Callable[[], str] = new_epoch, *, pattern: str = ""
    ) -> None:
        """Create an empty journal; ``make_epoch`` returns a new string at every call."""
        self.pattern = pattern
        self._group = group
        self._chain = Chain(make=make_epoch).restarted()
        self._revision = 0
        self._forget()

    def _forget(self) -> None:
        self._rows: list[Row] = []
        self._seq_of: dict[str, int] = {}
        self._order: list[tuple[int, int]] = []
        self._lost: dict[int, str] = {}
        self._coverage = RangeSet()
        self._gaps: dict[str, GapRecord] = {}
        self._over: dict[tuple[str, str], ExecutionStatus] = {}
        self._body_bytes = 0

    def copy(self) -> Self:
        """Copy the journal: the same chain, until one of the two begins an epoch."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name in ("_rows", "_seq_of", "_order", "_lost", "_coverage", "_gaps", "_over"):
            known = getattr(self, name)
            setattr(other, name, type(known)(known))
        return other

    @property
    def group(self) -> str:
        """The log group's name."""
        return self._group

    @property
    def epoch(self) -> str:
        """The current epoch."""
        return self._chain.epoch

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first."""
        return self._chain.links

    @property
    def head_seq(self) -> int:
        """The last seq of this chain."""
        return len(self._rows)

    @property
    def revision(self) -> int:
        """A number that changes when totals of existing rows do."""
        return self._revision

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor belongs to this chain."""
        return self._chain.is_resumable(epoch, after, self.head_seq)

    def begin_epoch(self) -> str:
        """Continue the chain under a new epoch [4]."""
        self._chain = self._chain.with_new_epoch(self.head_seq + 1)
        return self.epoch

    def begin_chain(self) -> str:
        """Forget everything, and start over at seq 1 under a new epoch."""
        self._forget()
        self._revision += 1
        self._chain = self._chain.restarted()
        return self.epoch

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Rows with these ids, by id; unknown ids are left out."""
        found = {}
        for one in ids:
            seq = self._seq_of.get(one)
            if seq is not None:
                row = self._rows[seq - 1]
                has_body = row.message is not None
                is_lost = seq in self._lost
                found[one] = KnownRow(seq, row.timestamp, row.stream, has_body, is_lost, row.digest)
        return found

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events with unknown ids; return the new ``head_seq``."""
        for event in events:
            assert event.id not in self._seq_of, "LogGroup appends no known id"
            digest = event_digest(event.id, event.timestamp, event.stream, event.message)
            row = Row(
                len(self._rows) + 1,
                event.id,
                event.timestamp,
                event.ingestion_time,
                event.stream,
                event.message,
                origin,
                digest,
            )
            self._rows.append(row)
            self._seq_of[event.id] = row.seq
            self._order.append((key_of(event.timestamp, event.id), row.seq))
            self._body_bytes += _size(event.message)
        # Already almost sorted, so sorting is fast.
        self._order.sort()
        return self.head_seq

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""
        end = self.head_seq if until is None else min(until, self.head_seq)
        return self._rows[after : min(end, after + limit)]

    def read_between(
        self,
        interval: Interval,
        limit: int,
        *,
        newest_first: bool = False,
        until_seq: int | None = None,
    ) -> list[Row]:
        """Rows within the interval in display order (descending if ``newest_first``)."""
        seqs = [
            seq
            for _, seq in self._slice(interval.low, interval.high)
            if until_seq is None or seq <= until_seq
        ]
        if newest_first:
            seqs.reverse()
        return [self._rows[seq - 1] for seq in seqs[:limit]]

    def total(
        self,
        from_: int,
        through: int,
        filter_: Filter,
        *,
        base: int = 0,
        seq: int | None = None,
    ) -> RangeTotal:
        """Count and digest of the rows in a range of time and seq."""
        last = self.head_seq if seq is None else seq
        digests = [
            row.digest
            for row in self._between(from_, through, filter_)
            if base < row.seq <= last and row.seq not in self._lost
        ]
        return RangeTotal(len(digests), digest_sum(digests))

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Time that whole scans have read."""
        return self._coverage.ranges

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage."""
        self._coverage.add(from_, through)

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired, oldest first."""
        return sorted(self._gaps.values(), key=lambda gap: (gap.from_, gap.through, gap.id))

    def put_gap(self, gap: GapRecord) -> None:
        """Add or replace a gap under its id; a repaired one is removed."""
        self._gaps.pop(gap.id, None)
        if gap.state != "repaired":
            self._gaps[gap.id] = gap

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Remove the bodies of events older than ``before``, then the oldest while over size."""
        taken = 0
        for _, seq in self._order:
            row = self._rows[seq - 1]
            too_old = before is not None and row.timestamp < before
            too_much = bytes_max is not None and self.size_bytes() > bytes_max
            if taken >= RETIRE_ROWS_MAX or not (too_old or too_much):
                break
            if row.message is not None:
                self._body_bytes -= _size(row.message)
                self._rows[seq - 1] = replace(row, message=None)
                taken += 1
        return taken

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body was removed and is not known to be lost."""
        return [
            row
            for row in self._between(from_, through, Filter())
            if row.message is None and row.seq not in self._lost
        ][:limit]

    def restore(self, bodies: Mapping[str, str]) -> int:
        """Put messages (by id) back into rows without one; return the number restored."""
        restored = 0
        for one, message in bodies.items():
            seq = self._seq_of.get(one)
            if seq is not None and self._rows[seq - 1].message is None:
                self._rows[seq - 1] = replace(self._rows[seq - 1], message=message)
                self._body_bytes += _size(message)
                restored += 1
                if self._lost.pop(seq, None) is not None:
                    self._revision += 1
        return restored

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Mark removed bodies lost; return the number newly lost."""
        lost = 0
        for one in ids:
            seq = self._seq_of.get(one)
            if seq is not None and self._rows[seq - 1].message is None and seq not in self._lost:
                self._lost[seq] = reason
                lost += 1
        self._revision += bool(lost)
        return lost

    def lost(self, from_: int, through: int, filter_: Filter) -> list[Lost]:
        """Ranges whose bodies are lost; adjoining ones with the same reason are merged."""
        return lost_ranges(
            (row.timestamp, self._lost[row.seq])
            for row in self._between(from_, through, filter_)
            if row.seq in self._lost
        )

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that have ended by a lifecycle rule, with their status."""
        return {one: status for (of, one), status in self._over.items() if of == rule}

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember the end of an execution; None forgets it."""
        self._over.pop((rule, execution), None)
        if status is not None:
            self._over[rule, execution] = status

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""
        found: dict[str, tuple[int, int, int]] = {}
        for row in self._rows:
            first, last, count = found.get(row.stream, (row.timestamp, row.timestamp, 0))
            span = min(first, row.timestamp), max(last, row.timestamp)
            found[row.stream] = (*span, count + 1)
        return [(name, *found[name]) for name in sorted(found)]

    def size_bytes(self) -> int:
        """Approximate size of all rows and bodies."""
        return self._body_bytes + ROW_BYTES * len(self._rows)

    def _slice(self, low: int | None, high: int | None) -> list[tuple[int, int]]:
        start = 0 if low is None else bisect_left(self._order, (low, 0))
        end = len(self._order)
        if high is not None:
            end = bisect_right(self._order, (high, end + 1))
        return self._order[start:end]

    def _between(self, from_: int, through: int, filter_: Filter) -> list[Row]:
        if from_ > through:
            return []
        rows = (self._rows[seq - 1] for _, seq in self._slice(first_key(from_), last_key(through)))
        return [row for row in rows if filter_.matches(row.stream)]


def _size(message: str) -> int:
    return len(message.encode("utf-8", "surrogatepass"))

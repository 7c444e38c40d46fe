"""A Kinesis shard whose records are found at once, and do not pile up.

Moto looks at every record of a shard at each put and each get, and keeps them all for ever.
"""

from __future__ import annotations

from typing import Any, Final, Self

from moto.kinesis.models import Record, Shard

RECORDS_MAX: Final = 100_000
BYTES_MAX: Final = 64 * 1024 * 1024
"""What a shard keeps; AWS keeps a day. Whoever reads within minutes meets neither bound."""


class UntrackedRecord(Record):
    """Moto's, but not kept in a list of every instance that there ever was."""

    def __new__(cls, *_: Any, **__: Any) -> Self:  # noqa: ANN401 - moto's own
        """An object that is freed like any other."""
        return object.__new__(cls)


class BoundedShard(Shard):
    """Moto's; sequence numbers are consecutive, so that a record is found by its number."""

    _bytes = 0
    _last = 0

    def put_record(self, partition_key: str, data: str, explicit_hash_key: str) -> str:
        """Append a record; the oldest ones go where there are too many."""
        self._last = number = max(self._last, self.get_max_sequence_number()) + 1
        self.records[number] = UntrackedRecord(partition_key, data, number, explicit_hash_key)
        self._bytes += len(data)
        while len(self.records) > RECORDS_MAX or (
            self._bytes > BYTES_MAX and len(self.records) > 1
        ):
            _, oldest = self.records.popitem(last=False)  # type: ignore[call-arg] # an OrderedDict
            self._bytes -= len(oldest.data)
        return str(number)

    def get_records(
        self, last_sequence_id: str, limit: int | None
    ) -> tuple[list[Record], int, int]:
        """The records after that number, the number to go on from, ms behind the newest."""
        after = int(last_sequence_id)
        first, newest = self.get_min_sequence_number(), self.get_max_sequence_number()
        start = max(after + 1, first)
        stop = newest + 1 if limit is None else min(newest + 1, start + limit)
        found = [self.records[number] for number in range(start, stop) if number in self.records]
        if not found:
            return [], after, 0
        behind_s = self.records[newest].created_at - found[-1].created_at
        return found, found[-1].sequence_number, int(behind_s * 1_000)

    def get_min_sequence_number(self) -> int:
        """Of the oldest record; 0 without any."""
        return next(iter(self.records), 0)

    def get_max_sequence_number(self) -> int:
        """Of the newest record; 0 without any."""
        return next(reversed(self.records), 0) if self.records else 0

"""A scan of a range of CloudWatch: what it asked for, and what it has returned so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from forwarder.records import LogEvent
from wire.limits import TIMESTAMP_MAX

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
            EventError: an event has no place in the protocol; nothing of the page was taken.
            JournalError: the journal can't be written; what was not committed is not known.

        """
        return self._take(self, events)

    def add_missed(self, timestamps: Sequence[int]) -> None:
        """Note events that it was the first to return although the live path had been there."""
        low, high = self.missed or (timestamps[0], timestamps[0])
        self.missed = min(low, *timestamps), max(high, *timestamps)
        self.missed_count += len(timestamps)

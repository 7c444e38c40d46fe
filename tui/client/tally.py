"""Which events a viewer holds, as compactly as proof allows: key, digest and seq of each.

The tally outlives the timeline's lines: a line may be dropped from the top while its digest
still counts. Chunks keep their own sums, so that the total of a range of 240,000 events costs
some hundred additions. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import Final

import msgspec

from tui.lines.keys import PackedKeys
from wire.digest import MODULUS

CHUNK_EVENTS: Final = 1024
"""Events of a chunk that is filled in order; it is split beyond twice as many."""

_UNCONFIRMED: Final = 0
"""In the place of a seq, which begins at 1: such an event never counts."""


class Taken(Enum):
    """What became of an event that was received."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFIRMED = "confirmed"
    """Known, but not confirmed by this epoch until now, or under another seq or content."""


class Total(msgspec.Struct, frozen=True):
    """Count and digest (0 <= digest < 2**64) of a range."""

    count: int
    digest: int


class _Chunk:
    __slots__ = ("count", "digest", "digests", "keys", "seq_max", "seqs")

    def __init__(self, keys: PackedKeys, digests: array[int], seqs: array[int]) -> None:
        self.keys = keys
        self.digests = digests
        self.seqs = seqs
        self.count = 0  # of events with seq > base
        self.digest = 0  # their sum, not reduced
        self.seq_max = 0  # at least every seq here

    def sum_up(self, base: int) -> None:
        counted = [
            digest for digest, seq in zip(self.digests, self.seqs, strict=True) if seq > base
        ]
        self.count, self.digest = len(counted), sum(counted)
        self.seq_max = max(self.seqs, default=0)

    def total(self, low: int, high: int, base: int, seq: int) -> tuple[int, int]:
        begin, end = self.keys.index_of(low), self.keys.index_of(high + 1)
        counted = [
            digest
            for digest, at in zip(self.digests[begin:end], self.seqs[begin:end], strict=True)
            if base < at <= seq
        ]
        return len(counted), sum(counted)


class Tally:
    """The events of one target, sorted by key.

    Args:
        base: Events with ``seq <= base`` are held but not counted (rule [16]).

    """

    def __init__(self, base: int = 0) -> None:
        """Create an empty tally."""
        self._base = base
        self._chunks: list[_Chunk] = []
        self._lasts: list[int] = []
        self._events = 0
        self._unconfirmed = 0

    def __len__(self) -> int:
        """Distinct events held."""
        return self._events

    @property
    def lowest(self) -> int:
        """The first key; 0 where nothing is held."""
        return self._chunks[0].keys[0] if self._chunks else 0

    @property
    def fresh(self) -> int:
        """Events that count: those above the base that the present epoch has confirmed."""
        return sum(chunk.count for chunk in self._chunks)

    @property
    def unconfirmed(self) -> int:
        """Events that the present epoch has not confirmed."""
        return self._unconfirmed

    @property
    def base(self) -> int:
        """The seq below which nothing counts."""
        return self._base

    @base.setter
    def base(self, base: int) -> None:
        self._base = base
        for chunk in self._chunks:
            chunk.sum_up(base)

    def add_many(
        self, keys: Sequence[int], digests: Sequence[int], seqs: Sequence[int]
    ) -> list[Taken] | None:
        """Take in events under seqs that confirm them; what became of each, None for all new."""
        if not keys:
            return None
        above = not self._lasts or keys[0] > self._lasts[-1]
        if above and all(one < other for one, other in pairwise(keys)):
            self._append(keys, digests, seqs)
            return None
        return list(map(self.add, keys, digests, seqs))

    def add(self, key: int, digest: int, seq: int) -> Taken:
        """Take in one event."""
        at = bisect_left(self._lasts, key)
        if at == len(self._lasts):
            self._append((key,), (digest,), (seq,))
            return Taken.NEW
        chunk = self._chunks[at]
        place = chunk.keys.index_of(key)
        if chunk.keys.has_at(place, key):
            return self._again(chunk, place, digest, seq)
        chunk.keys.insert(place, key)
        chunk.digests.insert(place, digest)
        chunk.seqs.insert(place, seq)
        self._count(chunk, digest, seq)
        self._events += 1
        if len(chunk.keys) > 2 * CHUNK_EVENTS:
            self._split(at)
        return Taken.NEW

    def seq_of(self, key: int) -> int | None:
        """The seq of an event; 0 where it is unconfirmed, None where it is not held."""
        at = bisect_left(self._lasts, key)
        if at == len(self._lasts):
            return None
        chunk = self._chunks[at]
        place = chunk.keys.index_of(key)
        return chunk.seqs[place] if chunk.keys.has_at(place, key) else None

    def key_before_last(self, events: int) -> int | None:
        """The key with so many above it, or else the first; None where nothing is held."""
        for chunk in reversed(self._chunks):
            if events < len(chunk.keys):
                return chunk.keys[len(chunk.keys) - 1 - events]
            events -= len(chunk.keys)
        return self._chunks[0].keys[0] if self._chunks else None

    def total(self, low: int, high: int, seq: int) -> Total:
        """Count and digest of the confirmed ``low <= key <= high`` with ``base < seq``.

        Args:
            low: First key of the range.
            high: Last key of the range.
            seq: The position in the stream that the sum is for: later events do not count [10].

        """
        count = digest = 0
        first, last = bisect_left(self._lasts, low), bisect_left(self._lasts, high)
        for at in range(first, min(last + 1, len(self._chunks))):
            chunk = self._chunks[at]
            if first < at < last and chunk.seq_max <= seq:
                count, digest = count + chunk.count, digest + chunk.digest
            else:
                more = chunk.total(low, high, self._base, seq)
                count, digest = count + more[0], digest + more[1]
        return Total(count, digest % MODULUS)

    def count_above(self, key: int) -> int:
        """Events held above a key, confirmed or not."""
        at = bisect_right(self._lasts, key)
        if at == len(self._chunks):
            return 0
        chunk = self._chunks[at]
        above = len(chunk.keys) - chunk.keys.index_of(key + 1)
        return above + sum(len(later.keys) for later in self._chunks[at + 1 :])

    def keys_between(self, low: int, high: int, seq: int) -> list[int]:
        """Keys of the events that ``total`` counts."""
        found: list[int] = []
        first, last = bisect_left(self._lasts, low), bisect_left(self._lasts, high)
        for chunk in self._chunks[first : last + 1]:
            begin, end = chunk.keys.index_of(low), chunk.keys.index_of(high + 1)
            pairs = zip(chunk.keys.between(begin, end), chunk.seqs[begin:end], strict=True)
            found += [key for key, at in pairs if self._base < at <= seq]
        return found

    def unconfirm_all(self) -> None:
        """Rebased: everything is held, nothing counts (rule [6])."""
        for chunk in self._chunks:
            chunk.seqs = array("Q", bytes(8 * len(chunk.keys)))
            chunk.count = chunk.digest = chunk.seq_max = 0
        self._unconfirmed = self._events

    def unconfirm(self, keys: Sequence[int]) -> None:
        """Known events that were not sent again (rule [13]) are held and do not count."""
        for key in keys:
            chunk = self._chunks[bisect_left(self._lasts, key)]
            place = chunk.keys.index_of(key)
            assert chunk.keys.has_at(place, key), "only a known event can become unconfirmed"
            self._uncount(chunk, place)
            self._unconfirmed += chunk.seqs[place] != _UNCONFIRMED
            chunk.seqs[place] = _UNCONFIRMED

    def forget(self, events_max: int) -> int | None:
        """Drop the oldest chunks beyond so many events; the last key dropped, if any was."""
        dropped: int | None = None
        while len(self._chunks) > 1 and self._events - len(self._chunks[0].keys) >= events_max:
            chunk = self._chunks.pop(0)
            dropped = self._lasts.pop(0)
            self._events -= len(chunk.keys)
            self._unconfirmed -= chunk.seqs.count(_UNCONFIRMED)
        return dropped

    def _append(self, keys: Sequence[int], digests: Sequence[int], seqs: Sequence[int]) -> None:
        """Events above all others, ascending."""
        begin = 0
        self._events += len(keys)
        while begin < len(keys):
            if not self._chunks or len(self._chunks[-1].keys) >= CHUNK_EVENTS:
                if self._chunks:
                    self._chunks[-1].keys.trim()
                self._chunks.append(_Chunk(PackedKeys(), array("Q"), array("Q")))
                self._lasts.append(0)
            chunk = self._chunks[-1]
            end = begin + CHUNK_EVENTS - len(chunk.keys)
            chunk.keys.extend(keys[begin:end])
            chunk.digests.extend(digests[begin:end])
            chunk.seqs.extend(seqs[begin:end])
            self._lasts[-1] = chunk.keys[-1]
            self._count_many(chunk, digests[begin:end], seqs[begin:end])
            begin = end

    def _again(self, chunk: _Chunk, place: int, digest: int, seq: int) -> Taken:
        """A known event: redelivery confirms it and replaces its seq (rule [6])."""
        known = chunk.seqs[place]
        if known == seq and chunk.digests[place] == digest:
            return Taken.DUPLICATE
        self._uncount(chunk, place)
        self._unconfirmed -= known == _UNCONFIRMED
        chunk.digests[place] = digest
        chunk.seqs[place] = seq
        self._count(chunk, digest, seq)
        return Taken.CONFIRMED

    def _count(self, chunk: _Chunk, digest: int, seq: int) -> None:
        if seq > self._base:
            chunk.count += 1
            chunk.digest += digest
        chunk.seq_max = max(chunk.seq_max, seq)

    def _count_many(self, chunk: _Chunk, digests: Sequence[int], seqs: Sequence[int]) -> None:
        if min(seqs) <= self._base:
            for digest, seq in zip(digests, seqs, strict=True):
                self._count(chunk, digest, seq)
            return
        chunk.count += len(seqs)
        chunk.digest += sum(digests)
        chunk.seq_max = max(chunk.seq_max, *seqs)

    def _uncount(self, chunk: _Chunk, place: int) -> None:
        if chunk.seqs[place] > self._base:
            chunk.count -= 1
            chunk.digest -= chunk.digests[place]

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        parts = []
        for begin in range(0, len(chunk.keys), CHUNK_EVENTS):
            end = begin + CHUNK_EVENTS
            part = _Chunk(
                chunk.keys.part(begin, end), chunk.digests[begin:end], chunk.seqs[begin:end]
            )
            part.sum_up(self._base)
            parts.append(part)
        self._chunks[at : at + 1] = parts
        self._lasts[at : at + 1] = [part.keys[-1] for part in parts]

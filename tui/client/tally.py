"""Key, digest and seq of every event that a viewer has received, sorted by key. Pure.

An event stays in the tally when its line is evicted from the timeline, so that its range can
still be compared. Chunks keep their own sums: the total of a range of 240,000 events takes
about a hundred additions.
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
"""Events of a chunk filled in order; a chunk is split when it exceeds twice this number."""

_UNCONFIRMED: Final = 0
"""Stands for the seq of an unconfirmed event, which never counts; seqs begin at 1."""


class AddResult(Enum):
    """How the tally treated an event."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFIRMED = "confirmed"
    """Known before, but unconfirmed or with another seq or content."""


class Total(msgspec.Struct, frozen=True):
    """Count and digest (0 <= digest < 2**64) of a range of events."""

    count: int
    digest: int


class _Chunk:
    __slots__ = ("count", "digest", "digests", "keys", "seq_max", "seqs")

    def __init__(self, keys: PackedKeys, digests: array[int], seqs: array[int]) -> None:
        self.keys = keys
        self.digests = digests
        self.seqs = seqs
        self.count = 0  # events with seq > base
        self.digest = 0  # sum of their digests, not reduced
        self.seq_max = 0  # upper bound of the seqs

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

    Attributes:
        unconfirmed: Number of events that the present epoch has not confirmed.
    """

    def __init__(self, base: int = 0) -> None:
        self._base = base
        self._chunks: list[_Chunk] = []
        self._lasts: list[int] = []
        self._events = 0
        self.unconfirmed = 0

    def __len__(self) -> int:
        return self._events

    @property
    def lowest(self) -> int:
        """The lowest key; 0 for an empty tally."""
        return self._chunks[0].keys[0] if self._chunks else 0

    @property
    def fresh(self) -> int:
        """Number of events that count: above the base and confirmed by the present epoch."""
        return sum(chunk.count for chunk in self._chunks)

    @property
    def base(self) -> int:
        """The seq through which events do not count."""
        return self._base

    @base.setter
    def base(self, base: int) -> None:
        self._base = base
        for chunk in self._chunks:
            chunk.sum_up(base)

    def add_many(
        self, keys: Sequence[int], digests: Sequence[int], seqs: Sequence[int]
    ) -> list[AddResult] | None:
        """Add events with their confirmed seqs; the result of each, or None if all were new."""
        if not keys:
            return None
        above = not self._lasts or keys[0] > self._lasts[-1]
        if above and all(one < other for one, other in pairwise(keys)):
            self._append(keys, digests, seqs)
            return None
        return list(map(self.add, keys, digests, seqs))

    def add(self, key: int, digest: int, seq: int) -> AddResult:
        """Add one event."""
        at = bisect_left(self._lasts, key)
        if at == len(self._lasts):
            self._append((key,), (digest,), (seq,))
            return AddResult.NEW
        chunk = self._chunks[at]
        place = chunk.keys.index_of(key)
        if chunk.keys.has_at(place, key):
            return self._update(chunk, place, digest, seq)
        chunk.keys.insert(place, key)
        chunk.digests.insert(place, digest)
        chunk.seqs.insert(place, seq)
        self._count(chunk, digest, seq)
        self._events += 1
        if len(chunk.keys) > 2 * CHUNK_EVENTS:
            self._split(at)
        return AddResult.NEW

    def seq_of(self, key: int) -> int | None:
        """The seq of an event; 0 where it is unconfirmed, None where it is not held."""
        at = bisect_left(self._lasts, key)
        if at == len(self._lasts):
            return None
        chunk = self._chunks[at]
        place = chunk.keys.index_of(key)
        return chunk.seqs[place] if chunk.keys.has_at(place, key) else None

    def key_before_last(self, events: int) -> int | None:
        """The key of the event this many before the newest, or the lowest; None if empty."""
        for chunk in reversed(self._chunks):
            if events < len(chunk.keys):
                return chunk.keys[len(chunk.keys) - 1 - events]
            events -= len(chunk.keys)
        return self._chunks[0].keys[0] if self._chunks else None

    def total(self, low: int, high: int, seq: int) -> Total:
        """Count and digest of a key range's confirmed events; later seqs do not count [10]."""
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
        """Number of events above a key, confirmed or not."""
        at = bisect_right(self._lasts, key)
        if at == len(self._chunks):
            return 0
        chunk = self._chunks[at]
        above = len(chunk.keys) - chunk.keys.index_of(key + 1)
        return above + sum(len(later.keys) for later in self._chunks[at + 1 :])

    def keys_between(self, low: int, high: int, seq: int) -> list[int]:
        """Keys of the events that ``total`` counts, ascending."""
        found: list[int] = []
        first, last = bisect_left(self._lasts, low), bisect_left(self._lasts, high)
        for chunk in self._chunks[first : last + 1]:
            begin, end = chunk.keys.index_of(low), chunk.keys.index_of(high + 1)
            pairs = zip(chunk.keys.between(begin, end), chunk.seqs[begin:end], strict=True)
            found += [key for key, at in pairs if self._base < at <= seq]
        return found

    def unconfirm_all(self) -> None:
        """Let no event count until it comes again, after a rebase (rule [6])."""
        for chunk in self._chunks:
            chunk.seqs = array("Q", bytes(8 * len(chunk.keys)))
            chunk.count = chunk.digest = chunk.seq_max = 0
        self.unconfirmed = self._events

    def unconfirm(self, keys: Sequence[int]) -> None:
        """Let these known events no longer count, as a repair did not bring them (rule [13])."""
        for key in keys:
            chunk = self._chunks[bisect_left(self._lasts, key)]
            place = chunk.keys.index_of(key)
            assert chunk.keys.has_at(place, key), "only a known event can become unconfirmed"
            self._uncount(chunk, place)
            self.unconfirmed += chunk.seqs[place] != _UNCONFIRMED
            chunk.seqs[place] = _UNCONFIRMED

    def drop_oldest(self, events_max: int) -> int | None:
        """Drop the oldest chunks beyond ``events_max`` events; returns the last key dropped."""
        dropped: int | None = None
        while len(self._chunks) > 1 and self._events - len(self._chunks[0].keys) >= events_max:
            chunk = self._chunks.pop(0)
            dropped = self._lasts.pop(0)
            self._events -= len(chunk.keys)
            self.unconfirmed -= chunk.seqs.count(_UNCONFIRMED)
        return dropped

    def _append(self, keys: Sequence[int], digests: Sequence[int], seqs: Sequence[int]) -> None:
        """Add events above all others, ascending."""
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

    def _update(self, chunk: _Chunk, place: int, digest: int, seq: int) -> AddResult:
        """Confirm a known event that came again, and replace its seq (rule [6])."""
        known = chunk.seqs[place]
        if known == seq and chunk.digests[place] == digest:
            return AddResult.DUPLICATE
        self._uncount(chunk, place)
        self.unconfirmed -= known == _UNCONFIRMED
        chunk.digests[place] = digest
        chunk.seqs[place] = seq
        self._count(chunk, digest, seq)
        return AddResult.CONFIRMED

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
                chunk.keys.slice(begin, end), chunk.digests[begin:end], chunk.seqs[begin:end]
            )
            part.sum_up(self._base)
            parts.append(part)
        self._chunks[at : at + 1] = parts
        self._lasts[at : at + 1] = [part.keys[-1] for part in parts]

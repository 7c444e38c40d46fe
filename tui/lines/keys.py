"""Sorted row keys in little memory. Pure.

``PackedKeys`` takes 32 bytes a key, where an integer and its pointer take 72. ``KeySet`` holds
the keys that passed a filter: of a block of which most rows passed it copies none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from typing import Final, Self

from tui.lines.rows import TARGET_BITS
from wire.order import KEY_MAX

KEY_BYTES: Final = 32
"""Size of a packed key: timestamp (53 bits), event id (192), target (8)."""

_TOP: Final = (KEY_MAX + 1) << TARGET_BITS
"""A value above every key."""


class PackedKeys:
    """Keys in ascending order, as big-endian bytes, which compare like the numbers."""

    __slots__ = ("_data",)

    def __init__(self, keys: Iterable[int] = (), packed: bytes | bytearray = b"") -> None:
        """Pack sorted keys, after keys that are ``packed`` already."""
        self._data = bytearray(packed)
        self.extend(keys)

    def __len__(self) -> int:
        return len(self._data) // KEY_BYTES

    def __getitem__(self, index: int) -> int:
        begin = (index if index >= 0 else index + len(self)) * KEY_BYTES
        if not 0 <= begin < len(self._data):
            raise IndexError(index)
        return int.from_bytes(self._data[begin : begin + KEY_BYTES], "big")

    def __iter__(self) -> Iterator[int]:
        return iter(self.between(0, len(self)))

    def between(self, begin: int, end: int) -> list[int]:
        """The keys at the indexes ``begin`` to ``end``, exclusive."""
        data = bytes(self._data[begin * KEY_BYTES : end * KEY_BYTES])
        unpack = int.from_bytes
        return [unpack(data[at : at + KEY_BYTES], "big") for at in range(0, len(data), KEY_BYTES)]

    def targets(self) -> bytes:
        """The number of each key's target, one byte each."""
        return bytes(self._data[KEY_BYTES - 1 :: KEY_BYTES])

    def flags_of_targets(self, passes: Callable[[int], bool]) -> bytes:
        """One byte a key: 1 if its target's number passes a test, else 0."""
        targets = self.targets()
        table = bytearray(1 << TARGET_BITS)
        for target in set(targets):
            table[target] = passes(target)
        return targets.translate(table)

    def slice(self, begin: int, end: int) -> Self:
        """A copy of the keys at the indexes ``begin`` to ``end``, exclusive, still packed."""
        return type(self)(packed=self._data[begin * KEY_BYTES : end * KEY_BYTES])

    def index_of(self, key: int) -> int:
        """The number of keys below a key, which is the index where it stands or belongs."""
        data, wanted = self._data, _packed(key)
        low, high = 0, len(data) // KEY_BYTES
        while low < high:
            middle = (low + high) // 2
            begin = middle * KEY_BYTES
            if data[begin : begin + KEY_BYTES] < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def has_at(self, index: int, key: int) -> bool:
        """Whether a key is held, given its ``index_of``."""
        begin = index * KEY_BYTES
        return self._data[begin : begin + KEY_BYTES] == _packed(key)

    def insert(self, index: int, key: int) -> None:
        """Insert a key at its ``index_of``."""
        begin = index * KEY_BYTES
        self._data[begin:begin] = _packed(key)

    def extend(self, keys: Iterable[int]) -> None:
        """Append ascending keys that are above all others."""
        self._data += b"".join([key.to_bytes(KEY_BYTES, "big") for key in keys])

    def trim(self) -> None:
        """Free the spare room that appending left."""
        self._data = bytearray(bytes(self._data))


def _packed(key: int) -> bytes:
    """A key as bytes; values outside the range of keys are clamped to just outside it."""
    return min(max(key, 0), _TOP).to_bytes(KEY_BYTES, "big")


PART_KEYS: Final = 1_024
"""Keys that a list part of a ``KeySet`` is filled up to; it is split beyond twice as many."""


class _KeySubset:
    """Some of a block's packed keys, by their indexes there."""

    __slots__ = ("_indexes", "_keys")

    def __init__(self, keys: PackedKeys, indexes: Sequence[int]) -> None:
        self._keys = keys
        self._indexes = indexes

    def __len__(self) -> int:
        return len(self._indexes)

    def __iter__(self) -> Iterator[int]:
        return map(self._keys.__getitem__, self._indexes)

    def index_of(self, key: int) -> int:
        return bisect_left(self._indexes, self._keys.index_of(key))

    def between(self, begin: int, end: int) -> list[int]:
        return [self._keys[at] for at in self._indexes[begin:end]]

    @property
    def last(self) -> int:
        return self._keys[self._indexes[-1]]


_Part = list[int] | _KeySubset


class KeySet:
    """Distinct keys in ascending order, in parts: plain lists, or subsets of packed blocks."""

    __slots__ = ("_lasts", "_parts", "_starts")

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._lasts: list[int] = []
        self._starts: list[int] | None = [0]
        """Number of keys before each part, then the total; None while outdated."""

    def __len__(self) -> int:
        return self._part_starts()[-1]

    def __iter__(self) -> Iterator[int]:
        for part in self._parts:
            yield from part

    def between(self, begin: int, end: int) -> list[int]:
        """The keys at the indexes ``begin`` to ``end``, exclusive, as far as there are any."""
        starts = self._part_starts()
        begin, end = max(0, begin), min(end, starts[-1])
        found: list[int] = []
        at = bisect_right(starts, begin) - 1
        while begin < end:
            more = _slice(self._parts[at], begin - starts[at], end - starts[at])
            found += more
            begin += len(more)
            at += 1
        return found

    def index_of(self, key: int) -> int:
        """The number of keys below a key."""
        at = bisect_left(self._lasts, key)
        if at == len(self._parts):
            return len(self)
        return self._part_starts()[at] + self._index_in_part(at, key)

    def has(self, key: int) -> bool:
        """Whether a key is in the set."""
        at = bisect_left(self._lasts, key)
        if at == len(self._parts):
            return False
        index = self._index_in_part(at, key)
        return _slice(self._parts[at], index, index + 1) == [key]

    def prepend(self, keys: list[int]) -> None:
        """Add ascending keys that are below all others."""
        if not keys:
            return
        first = self._parts[0] if self._parts else None
        if isinstance(first, list) and len(first) + len(keys) <= PART_KEYS:
            first[:0] = keys
        else:
            self._parts.insert(0, keys)
            self._lasts.insert(0, keys[-1])
        self._starts = None

    def prepend_flagged(self, keys: PackedKeys, flags: bytes) -> None:
        """Add the keys of a block whose flag is 1, all of which are below all others."""
        count = flags.count(1)
        if not count:
            return
        if count * 4 <= len(flags):
            self.prepend([keys[at] for at in compress(range(len(flags)), flags)])
            return
        every = range(len(flags))
        indexes = every if count == len(flags) else array("H", compress(every, flags))
        part = _KeySubset(keys, indexes)
        self._parts.insert(0, part)
        self._lasts.insert(0, part.last)
        self._starts = None

    def add(self, key: int) -> None:
        """Add a key, wherever it belongs."""
        at = bisect_left(self._lasts, key)
        if at == len(self._parts):
            last = self._parts[-1] if self._parts else None
            if isinstance(last, list) and len(last) < PART_KEYS:
                last.append(key)
                self._lasts[-1] = key
            else:
                self._parts.append([key])
                self._lasts.append(key)
            self._starts = None
            return
        part = self._as_list(at)
        if part[bisect_left(part, key)] == key:
            return
        insort(part, key)
        if len(part) > 2 * PART_KEYS:
            self._parts[at : at + 1] = [part[:PART_KEYS], part[PART_KEYS:]]
            self._lasts[at : at + 1] = [part[PART_KEYS - 1], part[-1]]
        self._starts = None

    def remove(self, low: int, high: int) -> list[int]:
        """Remove the keys from ``low`` through ``high``; returns them."""
        removed: list[int] = []
        at = bisect_left(self._lasts, low)
        while at < len(self._parts):
            begin, end = self._index_in_part(at, low), self._index_in_part(at, high + 1)
            if begin == end:
                break
            part = self._as_list(at)
            removed += part[begin:end]
            del part[begin:end]
            if part:
                self._lasts[at] = part[-1]
                at += 1
            else:
                del self._parts[at], self._lasts[at]
        if removed:
            self._starts = None
        return removed

    def _index_in_part(self, at: int, key: int) -> int:
        part = self._parts[at]
        return bisect_left(part, key) if isinstance(part, list) else part.index_of(key)

    def _as_list(self, at: int) -> list[int]:
        """A part as a list that may be changed."""
        part = self._parts[at]
        if not isinstance(part, list):
            part = self._parts[at] = list(part)
        return part

    def _part_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = list(accumulate(map(len, self._parts), initial=0))
        return self._starts


def _slice(part: _Part, begin: int, end: int) -> list[int]:
    return part[begin:end] if isinstance(part, list) else part.between(begin, end)

"""Sorted keys, packed: 32 bytes each, where an integer and its pointer take 72. Pure.

Keys that were picked out of very many, ascending; where all of a block's were, none is copied.

Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress
from typing import Final, Self

from tui.lines.rows import TARGET_BITS
from wire.order import KEY_MAX

KEY_BYTES: Final = 32
"""Room for a millisecond (53 bits), an id (192) and a lane (8)."""

_TOP: Final = (KEY_MAX + 1) << TARGET_BITS


class PackedKeys:
    """Keys in ascending order."""

    __slots__ = ("_data",)

    def __init__(self, keys: Iterable[int] = (), packed: bytes | bytearray = b"") -> None:
        """Pack keys that are in order already; ``packed`` are others' that come before."""
        self._data = bytearray(packed)
        self.extend(keys)

    def __len__(self) -> int:
        """How many."""
        return len(self._data) // KEY_BYTES

    def __getitem__(self, index: int) -> int:
        """The key at an index; from the end where it is below 0."""
        begin = (index if index >= 0 else index + len(self)) * KEY_BYTES
        if not 0 <= begin < len(self._data):
            raise IndexError(index)
        return int.from_bytes(self._data[begin : begin + KEY_BYTES], "big")

    def __iter__(self) -> Iterator[int]:
        """The keys."""
        return iter(self.between(0, len(self)))

    def between(self, begin: int, end: int) -> list[int]:
        """The keys from one index up to another."""
        data = bytes(self._data[begin * KEY_BYTES : end * KEY_BYTES])
        unpack = int.from_bytes
        return [unpack(data[at : at + KEY_BYTES], "big") for at in range(0, len(data), KEY_BYTES)]

    def of_lane(self, target: int) -> bytes:
        """Which keys have the number of a target: a byte for each, 1 or 0."""
        table = bytearray(1 << TARGET_BITS)
        table[target] = 1
        return bytes(self._data[KEY_BYTES - 1 :: KEY_BYTES]).translate(table)

    def part(self, begin: int, end: int) -> Self:
        """Those between two indexes, as keys of their own."""
        return type(self)(packed=self._data[begin * KEY_BYTES : end * KEY_BYTES])

    def index_of(self, key: int) -> int:
        """How many are below a key."""
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

    def has_at(self, place: int, key: int) -> bool:
        """Whether the key stands at the place that ``index_of`` gave for it."""
        begin = place * KEY_BYTES
        return self._data[begin : begin + KEY_BYTES] == _packed(key)

    def insert(self, place: int, key: int) -> None:
        """Put a key where ``index_of`` says it belongs."""
        begin = place * KEY_BYTES
        self._data[begin:begin] = _packed(key)

    def extend(self, keys: Iterable[int]) -> None:
        """Put keys behind all others, ascending."""
        self._data += b"".join([key.to_bytes(KEY_BYTES, "big") for key in keys])

    def trim(self) -> None:
        """Give back the room that was left for more."""
        self._data = bytearray(bytes(self._data))


def _packed(key: int) -> bytes:
    """A key, or what is below or above all keys."""
    return min(max(key, 0), _TOP).to_bytes(KEY_BYTES, "big")


PART_KEYS: Final = 1_024
"""Keys of a part that is a list, before it is split; few ones are put together up to that."""


class _Packed:
    """Some of a block's packed keys."""

    __slots__ = ("_at", "_keys")

    def __init__(self, keys: PackedKeys, at: Sequence[int]) -> None:
        self._keys = keys
        self._at = at

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[int]:
        return map(self._keys.__getitem__, self._at)

    def index_of(self, key: int) -> int:
        return bisect_left(self._at, self._keys.index_of(key))

    def between(self, begin: int, end: int) -> list[int]:
        return [self._keys[at] for at in self._at[begin:end]]

    @property
    def last(self) -> int:
        return self._keys[self._at[-1]]


_Part = list[int] | _Packed


class KeySet:
    """Keys in ascending order, each once."""

    __slots__ = ("_lasts", "_parts", "_starts")

    def __init__(self) -> None:
        """None yet."""
        self._parts: list[_Part] = []
        self._lasts: list[int] = []
        self._starts: list[int] | None = [0]
        """How many keys are before each part, and in all; None where that must be counted."""

    def __len__(self) -> int:
        """How many."""
        return self._counted()[-1]

    def __iter__(self) -> Iterator[int]:
        """The keys."""
        for part in self._parts:
            yield from part

    def between(self, begin: int, end: int) -> list[int]:
        """The keys from one index up to another, as far as there are any."""
        starts = self._counted()
        begin, end = max(0, begin), min(end, starts[-1])
        found: list[int] = []
        at = bisect_right(starts, begin) - 1
        while begin < end:
            more = _some(self._parts[at], begin - starts[at], end - starts[at])
            found += more
            begin += len(more)
            at += 1
        return found

    def index_of(self, key: int) -> int:
        """How many are below a key."""
        at = bisect_left(self._lasts, key)
        if at == len(self._parts):
            return len(self)
        return self._counted()[at] + self._place(at, key)

    def has(self, key: int) -> bool:
        """Whether a key is among them."""
        at = bisect_left(self._lasts, key)
        if at == len(self._parts):
            return False
        place = self._place(at, key)
        return _some(self._parts[at], place, place + 1) == [key]

    def put_before(self, keys: list[int]) -> None:
        """Keys below all others, ascending."""
        if not keys:
            return
        first = self._parts[0] if self._parts else None
        if isinstance(first, list) and len(first) + len(keys) <= PART_KEYS:
            first[:0] = keys
        else:
            self._parts.insert(0, keys)
            self._lasts.insert(0, keys[-1])
        self._starts = None

    def put_flagged(self, keys: PackedKeys, flags: bytes) -> None:
        """Those of a block's keys, all below all others, that have a flag which is 1."""
        count = flags.count(1)
        if count * 4 <= len(flags):
            self.put_before([keys[at] for at in compress(range(len(flags)), flags)])
            return
        every = range(len(flags))
        part = _Packed(keys, every if count == len(flags) else array("H", compress(every, flags)))
        self._parts.insert(0, part)
        self._lasts.insert(0, part.last)
        self._starts = None

    def add(self, key: int) -> None:
        """One more, wherever it belongs, unless it is there."""
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
        part = self._listed(at)
        if part[bisect_left(part, key)] == key:
            return
        insort(part, key)
        if len(part) > 2 * PART_KEYS:
            self._parts[at : at + 1] = [part[:PART_KEYS], part[PART_KEYS:]]
            self._lasts[at : at + 1] = [part[PART_KEYS - 1], part[-1]]
        self._starts = None

    def remove(self, low: int, high: int) -> list[int]:
        """Take out all from one key through another; they are told."""
        out: list[int] = []
        at = bisect_left(self._lasts, low)
        while at < len(self._parts):
            begin, end = self._place(at, low), self._place(at, high + 1)
            if begin == end:
                break
            part = self._listed(at)
            out += part[begin:end]
            del part[begin:end]
            if part:
                self._lasts[at] = part[-1]
                at += 1
            else:
                del self._parts[at], self._lasts[at]
        if out:
            self._starts = None
        return out

    def _place(self, at: int, key: int) -> int:
        part = self._parts[at]
        return bisect_left(part, key) if isinstance(part, list) else part.index_of(key)

    def _listed(self, at: int) -> list[int]:
        """A part that is going to be changed."""
        part = self._parts[at]
        if not isinstance(part, list):
            part = self._parts[at] = list(part)
        return part

    def _counted(self) -> list[int]:
        if self._starts is None:
            self._starts = list(accumulate(map(len, self._parts), initial=0))
        return self._starts


def _some(part: _Part, begin: int, end: int) -> list[int]:
    return part[begin:end] if isinstance(part, list) else part.between(begin, end)

"""Sorted keys, packed: 32 bytes each, where an integer and its pointer take 72. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Self

from tui.lines.rows import LANE_BITS
from wire.order import KEY_MAX

KEY_BYTES: Final = 32
"""Room for a millisecond (53 bits), an id (192) and a lane (8)."""

_TOP: Final = (KEY_MAX + 1) << LANE_BITS


class Keys:
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

    def of_lane(self, lane: int) -> bytes:
        """Which keys have the number of a target: a byte for each, 1 or 0."""
        table = bytearray(1 << LANE_BITS)
        table[lane] = 1
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

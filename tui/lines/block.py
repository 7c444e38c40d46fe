"""A block of the timeline: rows that are being changed as objects, the others sealed. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from tui.lines.packed import Memory, Sealed
from tui.lines.rows import Row, Rule


class Block:
    """Some thousand rows in the order of their keys.

    ``keys`` and ``rows`` are all of it while it is open. Once ``sealed`` holds the rows, the two
    are what came since: late rows, few of them, which stand between the sealed ones.
    """

    __slots__ = ("_places", "keys", "rows", "sealed")

    def __init__(self, keys: list[int], rows: list[Row]) -> None:
        """An open block."""
        self.keys = keys
        self.rows = rows
        self.sealed: Sealed | None = None
        self._places: list[int] | None = None

    def __len__(self) -> int:
        """Rows, rules included."""
        return len(self.keys) + (len(self.sealed) if self.sealed is not None else 0)

    @property
    def first(self) -> int:
        """The least key."""
        if self.sealed is None or not len(self.sealed):
            return self.keys[0]
        return min(self.keys[0], self.sealed.keys[0]) if self.keys else self.sealed.keys[0]

    @property
    def last(self) -> int:
        """The greatest key."""
        if self.sealed is None or not len(self.sealed):
            return self.keys[-1]
        return max(self.keys[-1], self.sealed.keys[-1]) if self.keys else self.sealed.keys[-1]

    @property
    def rules(self) -> list[Rule]:
        """The rules among the rows."""
        loose = [row for row in self.rows if isinstance(row, Rule)]
        return loose if self.sealed is None else [*loose, *self.sealed.rules]

    def index_of(self, key: int) -> int:
        """How many rows are below a key."""
        below = bisect_left(self.keys, key)
        return below if self.sealed is None else below + self.sealed.keys.index_of(key)

    def find(self, key: int, memory: Memory) -> Row | None:
        """The row of a key."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            return self.rows[at]
        if self.sealed is None:
            return None
        place = self.sealed.keys.index_of(key)
        return memory.row(self.sealed, place) if self.sealed.keys.has_at(place, key) else None

    def row(self, index: int, memory: Memory) -> Row:
        """The row at an index."""
        if self.sealed is None:
            return self.rows[index]
        if not self.keys:
            return memory.row(self.sealed, index)
        places = self._loose_places(self.sealed)
        at = bisect_left(places, index)
        if at < len(places) and places[at] == index:
            return self.rows[at]
        return memory.row(self.sealed, index - at)

    def all_rows(self, memory: Memory) -> list[Row]:
        """Every row; those that were sealed are made anew."""
        if self.sealed is None:
            return self.rows
        memory.thaw(self.sealed)
        rows = self.sealed.rows()
        if self.keys:
            for at, row in zip(self._loose_places(self.sealed), self.rows, strict=True):
                rows.insert(at, row)
        return rows

    def seal(self, memory: Memory) -> Sealed:
        """Pack everything."""
        rows = self.all_rows(memory)
        self.sealed = Sealed([row.key for row in rows], rows)
        self.keys, self.rows, self._places = [], [], None
        return self.sealed

    def open(self, memory: Memory) -> None:
        """Unpack everything, to be changed."""
        if self.sealed is not None:
            self.rows = list(self.all_rows(memory))
            self.keys = [row.key for row in self.rows]
            memory.forget(self.keys)
            self.sealed = self._places = None

    def holds(self, keys: Sequence[int]) -> bool:
        """Whether any of the keys is a sealed row's."""
        if self.sealed is None:
            return False
        packed = self.sealed.keys
        return any(packed.has_at(packed.index_of(key), key) for key in keys)

    def loosened(self) -> None:
        """``keys`` and ``rows`` were changed."""
        self._places = None

    def _loose_places(self, sealed: Sealed) -> list[int]:
        if self._places is None:
            self._places = [
                sealed.keys.index_of(key) + number for number, key in enumerate(self.keys)
            ]
        return self._places

"""Rows in blocks: the larger half of the timeline, which knows nothing of what rows mean.

Appending is extending the last block, a late row is found by bisection, and an index is a
bisection in the blocks' starts. Blocks that nobody changes are sealed, and compressed once they
are old. Pure.

A block of the timeline: rows that are being changed as objects, the others sealed. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from tui.lines.packed import PackedRows, RowCache
from tui.lines.rows import Row, Rule, time_key


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
        self.sealed: PackedRows | None = None
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

    def find(self, key: int, memory: RowCache) -> Row | None:
        """The row of a key."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            return self.rows[at]
        if self.sealed is None:
            return None
        place = self.sealed.keys.index_of(key)
        return memory.row(self.sealed, place) if self.sealed.keys.has_at(place, key) else None

    def row(self, index: int, memory: RowCache) -> Row:
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

    def all_rows(self, memory: RowCache) -> list[Row]:
        """Every row; those that were sealed are made anew."""
        if self.sealed is None:
            return self.rows
        memory.thaw(self.sealed)
        rows = self.sealed.rows()
        if self.keys:
            for at, row in zip(self._loose_places(self.sealed), self.rows, strict=True):
                rows.insert(at, row)
        return rows

    def seal(self, memory: RowCache) -> PackedRows:
        """Pack everything."""
        rows = self.all_rows(memory)
        self.sealed = PackedRows([row.key for row in rows], rows)
        self.keys, self.rows, self._places = [], [], None
        return self.sealed

    def open(self, memory: RowCache) -> None:
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

    def _loose_places(self, sealed: PackedRows) -> list[int]:
        if self._places is None:
            self._places = [
                sealed.keys.index_of(key) + number for number, key in enumerate(self.keys)
            ]
        return self._places


CHUNK_ROWS: Final = 1024
"""Rows of a block that is filled in order; it is split beyond twice as many."""

OPEN_MAX: Final = 16
"""Blocks that are open: those changed last."""

LOOSE_MAX: Final = 512
"""Late rows that may stand between the rows of a sealed block, before it is opened for them."""

LOOSE_BLOCKS_MAX: Final = 64
"""Sealed blocks with such rows, before ``tidy`` seals them anew."""

WARM_MAX: Final = 128
"""Sealed blocks that are not compressed: those sealed last."""

PACKED_GAIN: Final = 4
"""So many rows that need not be unpacked cost as much as one that must."""

_FEW: Final = 16
"""Up to so many late rows are inserted one by one; more are merged with the whole block."""

key_of_row = attrgetter("key")


class Stretch(NamedTuple):
    """Rows that follow each other."""

    rows: list[Row]
    """All of them, or those that stand between the sealed ones."""
    sealed: PackedRows | None = None


class Store:
    """Rows in the order of their keys, each key once."""

    def __init__(self) -> None:
        """Create an empty store."""
        self._blocks: list[Block] = []
        self._lasts: list[int] = []  # the last key of each block
        self._starts: list[int] = []  # the index of each block's first row, as far as valid
        self._rows = 0
        self._rules = 0
        self._open: dict[Block, None] = {}  # the one untouched for longest first
        self._warm: dict[Block, None] = {}  # sealed, not compressed; likewise
        self._loose: dict[Block, None] = {}  # sealed, with rows between; likewise
        self._memory = RowCache()

    def __len__(self) -> int:
        """Rows, rules included."""
        return self._rows

    @property
    def lines(self) -> int:
        """Rows without the rules."""
        return self._rows - self._rules

    def row(self, index: int) -> Row:
        """The row at an index.

        Raises:
            IndexError: there is none.

        """
        if not 0 <= index < self._rows:
            msg = f"row {index} of {self._rows}"
            raise IndexError(msg)
        at = self._block_at(index)
        return self._blocks[at].row(index - self._starts[at], self._memory)

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from ``start`` up to ``stop``, as far as there are any."""
        start, stop = max(0, start), min(stop, self._rows)
        found: list[Row] = []
        if start >= stop:
            return found
        at = self._block_at(start)
        offset = start - self._starts[at]
        while len(found) < stop - start:
            block = self._blocks[at]
            end = min(len(block), offset + stop - start - len(found))
            found += self._some(block, offset, end)
            at, offset = at + 1, 0
        return found

    def _some(self, block: Block, begin: int, end: int) -> list[Row]:
        if block.sealed is None or (end - begin) * 2 > len(block):
            return block.all_rows(self._memory)[begin:end]
        return [block.row(index, self._memory) for index in range(begin, end)]

    def iterate(self, start: int = 0) -> Iterator[Row]:
        """The rows from an index on; the timeline must not change meanwhile."""
        if not 0 <= start < self._rows:
            return
        first = self._block_at(start)
        yield from self._blocks[first].all_rows(self._memory)[start - self._starts[first] :]
        for block in self._blocks[first + 1 :]:
            yield from block.all_rows(self._memory)

    def stretches_below(
        self, key: int, rows: int, *, packed: bool = False
    ) -> tuple[list[Stretch], int]:
        """The rows of some blocks below a key, for whoever goes over all of them.

        Args:
            key: The rows at and above it are left out.
            rows: How many to go over, about.
            packed: Whether blocks that are sealed, and have no rule, are left so: these cost but
                a part of what the others do.

        Returns:
            The stretches, the newest first, and the key to go on with; 0 at the end.

        """
        found: list[Stretch] = []
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks) or self._blocks[at].first >= key:
            at -= 1  # what a call before this one ended with
        while at >= 0 and rows > 0:
            block = self._blocks[at]
            sealed = block.sealed
            if packed and sealed and not sealed.rules and self._lasts[at] < key:
                found.append(Stretch(block.rows, sealed))
                rows -= len(block) // PACKED_GAIN
                at -= 1
                continue
            part = block.all_rows(self._memory)
            part = part[: bisect_left(part, key, key=key_of_row)]
            if len(part) > rows:
                found.append(Stretch(part[-rows:]))
                return found, part[-rows].key
            found.append(Stretch(part))
            rows -= len(part)
            at -= 1
        return found, self._lasts[at] + 1 if at >= 0 else 0

    def stretch_beside(self, key: int, direction: int) -> tuple[Stretch, int] | None:
        """The block that has the next row, packed where it is, and has no rule.

        Args:
            key: Downwards the first that counts, upwards the first that does not.
            direction: 1 downwards, -1 upwards.

        Returns:
            All rows of the block, and the key to go on with; None where no row is left.

        """
        at = bisect_left(self._lasts, key)
        if direction < 0 and (at == len(self._blocks) or self._blocks[at].first >= key):
            at -= 1
        if not 0 <= at < len(self._blocks):
            return None
        block = self._blocks[at]
        after = block.last + 1 if direction > 0 else block.first
        if block.sealed is not None and not block.sealed.rules:
            return Stretch(block.rows, block.sealed), after
        return Stretch(block.all_rows(self._memory)), after

    def index_of(self, key: int) -> int:
        """The index of a key, or where it would stand: the number of rows below it."""
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks):
            return self._rows
        self._count_to(at)
        return self._starts[at] + self._blocks[at].index_of(key)

    def index_at(self, timestamp: int) -> int:
        """The index of the first row at or after a time in ms."""
        return self.index_of(time_key(timestamp))

    def find(self, key: int) -> Row | None:
        """The row of that key."""
        at = bisect_left(self._lasts, key)
        return None if at == len(self._blocks) else self._blocks[at].find(key, self._memory)

    # Rows come

    def _append(self, batch: list[Row]) -> int:
        """Rows above all others, ascending; of equal keys the last one counts."""
        unique = {row.key: row for row in batch}
        if not unique:
            return 0
        keys, fresh = list(unique), list(unique.values())
        self._rows += len(fresh)
        self._rules += list(map(type, fresh)).count(Rule)
        done = 0
        if self._blocks and self._blocks[-1].sealed is None:
            block = self._blocks[-1]
            done = max(0, CHUNK_ROWS - len(block.keys))
            if done:
                block.keys += keys[:done]
                block.rows += fresh[:done]
                self._lasts[-1] = block.keys[-1]
                self._touch(block)
        for begin in range(done, len(keys), CHUNK_ROWS):
            part = keys[begin : begin + CHUNK_ROWS]
            self._blocks.append(Block(part, fresh[begin : begin + CHUNK_ROWS]))
            self._lasts.append(part[-1])
            self._touch(self._blocks[-1])
        return len(fresh)

    def _merge(self, batch: list[Row]) -> tuple[list[int], list[int]]:
        """Rows among the others, ascending; the keys that are new, and those that were known."""
        inserted: list[int] = []
        replaced: list[int] = []
        low = 0
        while low < len(batch):
            at = bisect_left(self._lasts, batch[low].key)
            high = bisect_right(batch, self._lasts[at], lo=low, key=key_of_row)
            self._merge_into(at, batch[low:high], inserted, replaced)
            low = high
        return inserted, replaced

    def _merge_into(
        self, at: int, run: list[Row], inserted: list[int], replaced: list[int]
    ) -> None:
        block = self._blocks[at]
        if block.sealed is not None and (
            len(block.keys) + len(run) > LOOSE_MAX or block.holds([row.key for row in run])
        ):
            self._unseal(block)
        keys, rows = block.keys, block.rows
        fresh: dict[int, Row] = {}
        for row in run:
            place = bisect_left(keys, row.key)
            if place < len(keys) and keys[place] == row.key:
                rows[place] = row
                replaced.append(row.key)
            else:
                fresh[row.key] = row
        if block.sealed is None:
            self._touch(block)
        if not fresh:
            return
        if len(fresh) <= _FEW:
            for key, row in fresh.items():
                place = bisect_left(keys, key)
                keys.insert(place, key)
                rows.insert(place, row)
        else:
            merged = dict(zip(keys, rows, strict=True)) | fresh
            keys[:] = sorted(merged)
            rows[:] = map(merged.__getitem__, keys)
        block.loosened()
        inserted += fresh
        self._rows += len(fresh)
        self._rules += sum(isinstance(row, Rule) for row in fresh.values())
        del self._starts[at + 1 :]
        if block.sealed is not None:
            self._loose.pop(block, None)
            self._loose[block] = None
        elif len(keys) > 2 * CHUNK_ROWS:
            self._split(at)

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        keys, rows = block.keys, block.rows
        parts = [
            Block(keys[begin : begin + CHUNK_ROWS], rows[begin : begin + CHUNK_ROWS])
            for begin in range(0, len(keys), CHUNK_ROWS)
        ]
        self._blocks[at : at + 1] = parts
        self._lasts[at : at + 1] = [part.keys[-1] for part in parts]
        del self._starts[at:]
        self._open.pop(block, None)
        for part in parts:
            self._touch(part)

    # Memory

    def tidy(self) -> bool:
        """Seal or compress one block, where there are more than are wanted at hand.

        It takes some milliseconds; whether there was anything to do.
        """
        if len(self._loose) > LOOSE_BLOCKS_MAX:
            self._unseal(next(iter(self._loose)))
            return True
        if len(self._warm) > WARM_MAX:
            block = next(iter(self._warm))
            del self._warm[block]
            if block.sealed is not None:
                block.sealed.freeze()
            return True
        return False

    def _touch(self, block: Block) -> None:
        """An open block was changed; the one that was not for longest is sealed."""
        self._open.pop(block, None)
        self._open[block] = None
        while len(self._open) > OPEN_MAX:
            oldest = next(iter(self._open))
            del self._open[oldest]
            if oldest is self._blocks[-1]:
                self._open[oldest] = None  # it is being filled
            else:
                oldest.seal(self._memory)
                self._warm[oldest] = None

    def _unseal(self, block: Block) -> None:
        """A sealed block is to be changed."""
        block.open(self._memory)
        self._warm.pop(block, None)
        self._loose.pop(block, None)
        self._touch(block)

    def _drop(self, at: int) -> Block:
        """Take out a block."""
        block = self._blocks.pop(at)
        del self._lasts[at], self._starts[at:]
        for kept in (self._open, self._warm, self._loose):
            kept.pop(block, None)
        self._rows -= len(block)
        self._rules -= len(block.rules)
        return block

    def _remove(self, key: int) -> None:
        """Take out a rule that is there."""
        at = bisect_left(self._lasts, key)
        block = self._blocks[at]
        place = bisect_left(block.keys, key)
        if place == len(block.keys) or block.keys[place] != key:
            self._unseal(block)
            place = bisect_left(block.keys, key)
        assert block.keys[place] == key, "only what is there can be taken out"
        if len(block) == 1:
            self._drop(at)
            return
        del block.keys[place], block.rows[place]
        block.loosened()
        self._rows -= 1
        self._rules -= 1
        del self._starts[at + 1 :]
        self._lasts[at] = block.last

    def _block_at(self, index: int) -> int:
        self._count_to(len(self._blocks) - 1)
        return bisect_right(self._starts, index) - 1

    def _count_to(self, at: int) -> None:
        """Make the starts valid up to block ``at``."""
        starts = self._starts
        while len(starts) <= at:
            last = len(starts) - 1
            starts.append(starts[last] + len(self._blocks[last]) if starts else 0)

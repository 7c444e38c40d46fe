"""Sorted storage of rows in blocks of about a thousand, addressed by index or by key. Pure.

Appending extends the last block; late rows and indexes are found by bisection. Blocks that have
not changed for a while are packed, and later compressed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from tui.lines.packed import PackedRows, RowCache
from tui.lines.rows import Line, Row, Rule

CHUNK_ROWS: Final = 1024
"""Rows that a block is filled up to; a block is split beyond twice as many."""

CHUNK_CHARS: Final = 1 << 20
"""Characters that a block is filled up to: a step of a search, or packing a block, must take a few
milliseconds however long the lines are."""

ROW_CHARS: Final = CHUNK_CHARS // CHUNK_ROWS
"""Characters that count as one row in a step of a search."""

OPEN_MAX: Final = 16
"""Blocks kept as objects: those changed last."""

LOOSE_MAX: Final = 512
"""Late rows that a packed block takes in before it is unpacked for them."""

LOOSE_BLOCKS_MAX: Final = 64
"""Packed blocks with late rows, before ``tidy`` packs them again."""

UNCOMPRESSED_MAX: Final = 128
"""Packed blocks that are not compressed: those packed last."""

PACKED_GAIN: Final = 4
"""How many times faster a packed row is searched than an unpacked one."""

_LONG_CHARS: Final = 4 * ROW_CHARS
"""Late rows of more text may overfill a block."""

_FEW: Final = 16
"""Most rows inserted one by one; more are merged with the whole block."""

key_of_row = attrgetter("key")


def chars_of(rows: Iterable[Row]) -> int:
    """Size of the messages of rows, in characters."""
    return sum(len(row.message) for row in rows if isinstance(row, Line))


def _cut(rows: Sequence[Row]) -> Iterator[int]:
    """Where rows are to be cut into blocks: the end of each."""
    begin = chars = 0
    for at, row in enumerate(rows):
        size = len(row.message) if isinstance(row, Line) else 0
        if at > begin and (at - begin == CHUNK_ROWS or chars + size > CHUNK_CHARS):
            yield at
            begin, chars = at, 0
        chars += size
    yield len(rows)


class Block:
    """Consecutive rows: open (all as objects), or packed with a few loose late rows in between.

    Attributes:
        keys: Keys of ``rows``, ascending.
        rows: All rows while open; the loose ones while packed.
        packed: The packed rows; None while open.
    """

    __slots__ = ("_cache", "_loose_indexes", "keys", "packed", "rows")

    def __init__(self, keys: list[int], rows: list[Row], cache: RowCache) -> None:
        """An open block; ``cache`` is where its packed rows are read through."""
        self.keys = keys
        self.rows = rows
        self.packed: PackedRows | None = None
        self._cache = cache
        self._loose_indexes: list[int] | None = None

    def __len__(self) -> int:
        return len(self.keys) + (len(self.packed) if self.packed is not None else 0)

    @property
    def first(self) -> int:
        """The lowest key."""
        if self.packed is None or not len(self.packed):
            return self.keys[0]
        return min(self.keys[0], self.packed.keys[0]) if self.keys else self.packed.keys[0]

    @property
    def last(self) -> int:
        """The highest key."""
        if self.packed is None or not len(self.packed):
            return self.keys[-1]
        return max(self.keys[-1], self.packed.keys[-1]) if self.keys else self.packed.keys[-1]

    @property
    def rules(self) -> list[Rule]:
        """The rules among the rows."""
        loose = [row for row in self.rows if isinstance(row, Rule)]
        return loose if self.packed is None else [*loose, *self.packed.rules]

    def index_of(self, key: int) -> int:
        """The number of rows below a key."""
        below = bisect_left(self.keys, key)
        return below if self.packed is None else below + self.packed.keys.index_of(key)

    def find(self, key: int) -> Row | None:
        """The row of a key."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            return self.rows[at]
        if self.packed is None:
            return None
        at = self.packed.keys.index_of(key)
        return self._cache.row(self.packed, at) if self.packed.keys.has_at(at, key) else None

    def row(self, index: int) -> Row:
        """The row at an index."""
        if self.packed is None:
            return self.rows[index]
        if not self.keys:
            return self._cache.row(self.packed, index)
        loose = self._indexes_of_loose(self.packed)
        at = bisect_left(loose, index)
        if at < len(loose) and loose[at] == index:
            return self.rows[at]
        return self._cache.row(self.packed, index - at)

    def all_rows(self) -> list[Row]:
        """Every row; packed ones as new objects."""
        if self.packed is None:
            return self.rows
        self._cache.decompress(self.packed)
        rows = self.packed.rows()
        if self.keys:
            for at, row in zip(self._indexes_of_loose(self.packed), self.rows, strict=True):
                rows.insert(at, row)
        return rows

    def rows_between(self, begin: int, end: int) -> list[Row]:
        """The rows at the indexes ``begin`` to ``end``, exclusive."""
        if self.packed is None or (end - begin) * 2 > len(self):
            return self.all_rows()[begin:end]
        return [self.row(index) for index in range(begin, end)]

    def pack(self) -> None:
        """Pack all rows."""
        rows = self.all_rows()
        self.packed = PackedRows([row.key for row in rows], rows)
        self.keys, self.rows, self._loose_indexes = [], [], None

    def unpack(self) -> None:
        """Hold all rows as objects, so that they can be changed."""
        if self.packed is not None:
            self.rows = list(self.all_rows())
            self.keys = [row.key for row in self.rows]
            self._cache.forget(self.keys)
            self.packed = self._loose_indexes = None

    def room_for(self, rows: Sequence[Row]) -> int:
        """How many of some rows an open block takes before it is full."""
        count = max(0, min(len(rows), CHUNK_ROWS - len(self.keys)))
        chars = chars_of(self.rows) if count else 0
        for at, row in enumerate(rows[:count]):
            chars += len(row.message) if isinstance(row, Line) else 0
            if chars > CHUNK_CHARS:
                return at
        return count

    def has_packed(self, keys: Sequence[int]) -> bool:
        """Whether any of the keys is a packed row's."""
        if self.packed is None:
            return False
        packed = self.packed.keys
        return any(packed.has_at(packed.index_of(key), key) for key in keys)

    def put(self, run: Sequence[Row]) -> tuple[dict[int, Row], list[int]]:
        """Insert rows, none of whose keys is packed, or replace those of the same key.

        Returns:
            The rows that are new, by key, and the keys of those that were replaced.
        """
        keys, rows = self.keys, self.rows
        new: dict[int, Row] = {}
        replaced: list[int] = []
        for row in run:
            at = bisect_left(keys, row.key)
            if at < len(keys) and keys[at] == row.key:
                rows[at] = row
                replaced.append(row.key)
            else:
                new[row.key] = row
        if len(new) > _FEW:
            merged = dict(zip(keys, rows, strict=True)) | new
            keys[:] = sorted(merged)
            rows[:] = map(merged.__getitem__, keys)
        else:
            for key, row in new.items():
                at = bisect_left(keys, key)
                keys.insert(at, key)
                rows.insert(at, row)
        if new:
            self._loose_indexes = None
        return new, replaced

    def remove(self, key: int) -> None:
        """Take out an unpacked row."""
        at = bisect_left(self.keys, key)
        assert self.keys[at] == key, "only a row that is there can be removed"
        del self.keys[at], self.rows[at]
        self._loose_indexes = None

    def _indexes_of_loose(self, packed: PackedRows) -> list[int]:
        if self._loose_indexes is None:
            self._loose_indexes = [
                packed.keys.index_of(key) + number for number, key in enumerate(self.keys)
            ]
        return self._loose_indexes


def _runs_of(rows: Sequence[Row], keys: set[int]) -> Iterator[tuple[int, int]]:
    """First and last key of each run of rows whose keys are among some."""
    begin: int | None = None
    last = 0
    for row in rows:
        if row.key in keys:
            begin = row.key if begin is None else begin
            last = row.key
        elif begin is not None:
            yield begin, last
            begin = None
    if begin is not None:
        yield begin, last


class Stretch(NamedTuple):
    """Consecutive rows of one block, for a search."""

    rows: list[Row]
    """All rows, or the loose ones if ``packed`` has the others."""
    packed: PackedRows | None = None

    @property
    def cost(self) -> int:
        """As how many rows it counts in a step of a search: long ones for more than one."""
        cost = len(self.rows) + chars_of(self.rows) // ROW_CHARS
        if self.packed is not None:
            cost += (len(self.packed) + self.packed.text_bytes // ROW_CHARS) // PACKED_GAIN
        return max(1, cost)


class RowStore:
    """Rows in the order of their keys, each key once. Subclasses change it by the verbs below."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._lasts: list[int] = []  # the last key of each block
        self._starts: list[int] = []  # the index of each block's first row, as far as it is known
        self._rows = 0
        self._rules = 0
        # Blocks by state, the one unchanged for longest first.
        self._open: dict[Block, None] = {}
        self._uncompressed: dict[Block, None] = {}
        self._loose: dict[Block, None] = {}
        self._cache = RowCache()

    def __len__(self) -> int:
        return self._rows

    @property
    def lines(self) -> int:
        """Number of log lines: the rows without the rules between them."""
        return self._rows - self._rules

    def row(self, index: int) -> Row:
        """The row at an index.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= index < self._rows:
            msg = f"row {index} of {self._rows}"
            raise IndexError(msg)
        at = self._block_at(index)
        return self._blocks[at].row(index - self._starts[at])

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows at the indexes ``start`` to ``stop``, exclusive, as far as there are any."""
        start, stop = max(0, start), min(stop, self._rows)
        found: list[Row] = []
        if start >= stop:
            return found
        at = self._block_at(start)
        offset = start - self._starts[at]
        while len(found) < stop - start:
            block = self._blocks[at]
            end = min(len(block), offset + stop - start - len(found))
            found += block.rows_between(offset, end)
            at, offset = at + 1, 0
        return found

    def iterate(self, start: int = 0) -> Iterator[Row]:
        """The rows from an index on; the store must not change meanwhile."""
        if not 0 <= start < self._rows:
            return
        first = self._block_at(start)
        yield from self._blocks[first].all_rows()[start - self._starts[first] :]
        for block in self._blocks[first + 1 :]:
            yield from block.all_rows()

    def stretches_below(
        self, key: int, rows: int, *, packed: bool = False
    ) -> tuple[list[Stretch], int]:
        """The rows below a key, upwards, as one step of a search through all rows.

        Args:
            key: Rows at and above this key are left out.
            rows: About how many rows to return.
            packed: Whether to return packed blocks without rules as they are. Their rows count
                for a part of ``rows`` only, since they are searched faster.

        Returns:
            The stretches, the newest first, and the ``key`` of the next step; 0 at the end.
        """
        found: list[Stretch] = []
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks) or self._blocks[at].first >= key:
            at -= 1  # an earlier step ended at the beginning of this block
        while at >= 0 and rows > 0:
            block = self._blocks[at]
            if packed and block.packed and not block.packed.rules and self._lasts[at] < key:
                found.append(Stretch(block.rows, block.packed))
                rows -= found[-1].cost
                at -= 1
                continue
            part = block.all_rows()
            part = part[: bisect_left(part, key, key=key_of_row)]
            if len(part) > rows:
                found.append(Stretch(part[-rows:]))
                return found, part[-rows].key
            found.append(Stretch(part))
            rows -= found[-1].cost
            at -= 1
        return found, self._lasts[at] + 1 if at >= 0 else 0

    def next_stretch(self, key: int, direction: int) -> tuple[Stretch, int] | None:
        """The block that contains the next row, packed if it is packed and has no rules.

        Args:
            key: The first key that counts downwards; upwards, the first that does not.
            direction: 1 downwards, -1 upwards.

        Returns:
            All rows of the block, and the ``key`` for the next call; None if no row is left.
        """
        at = bisect_left(self._lasts, key)
        if direction < 0 and (at == len(self._blocks) or self._blocks[at].first >= key):
            at -= 1
        if not 0 <= at < len(self._blocks):
            return None
        block = self._blocks[at]
        after = block.last + 1 if direction > 0 else block.first
        if block.packed is not None and not block.packed.rules:
            return Stretch(block.rows, block.packed), after
        return Stretch(block.all_rows()), after

    def index_of(self, key: int) -> int:
        """The number of rows below a key, which is the index where it stands or belongs."""
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks):
            return self._rows
        self._extend_starts(at)
        return self._starts[at] + self._blocks[at].index_of(key)

    def find(self, key: int) -> Row | None:
        """The row of a key."""
        at = bisect_left(self._lasts, key)
        return None if at == len(self._blocks) else self._blocks[at].find(key)

    def tidy(self) -> bool:
        """Pack or compress one block, if more than the bounds allow are not; whether one was.

        Takes a few milliseconds.
        """
        if len(self._loose) > LOOSE_BLOCKS_MAX:
            self._unpack(next(iter(self._loose)))
            return True
        if len(self._uncompressed) > UNCOMPRESSED_MAX:
            block = next(iter(self._uncompressed))
            del self._uncompressed[block]
            if block.packed is not None:
                block.packed.compress()
            return True
        return False

    def _insert(self, rows: list[Row]) -> tuple[list[int], list[int], int]:
        """Add ascending rows; one with a known key replaces the row that has it.

        Returns:
            The keys of new rows between others, the keys replaced, and how many rows were
            appended below all others.
        """
        above = bisect_right(rows, self._lasts[-1] if self._lasts else -1, key=key_of_row)
        inserted, replaced = self._merge(rows[:above])
        return inserted, replaced, self._append(rows[above:])

    def _remove(self, key: int) -> None:
        """Take out the rule of a key."""
        at = bisect_left(self._lasts, key)
        block = self._blocks[at]
        if block.has_packed([key]):
            self._unpack(block)
        if len(block) == 1:
            self._drop(at)
            return
        block.remove(key)
        self._rows -= 1
        self._rules -= 1
        del self._starts[at + 1 :]
        self._lasts[at] = block.last

    def _discard(self, keys: set[int]) -> tuple[int, list[tuple[int, int]]]:
        """Take out the rows of some keys.

        Returns:
            The lowest index of such a row, and the emptied ranges of keys.
        """
        emptied: list[tuple[int, int]] = []
        low, high = min(keys, default=0), max(keys, default=-1)
        first = self.index_of(low)
        at = bisect_left(self._lasts, low)
        while at < len(self._blocks) and self._blocks[at].first <= high:
            rows = self._blocks[at].all_rows()
            kept = [row for row in rows if row.key not in keys]
            emptied += _runs_of(rows, keys)
            if len(kept) == len(rows):
                at += 1
                continue
            self._cache.forget([row.key for row in rows])
            self._drop(at)
            if kept:
                block = Block([row.key for row in kept], kept, self._cache)
                self._blocks.insert(at, block)
                self._lasts.insert(at, block.last)
                self._rows += len(kept)
                self._rules += sum(isinstance(row, Rule) for row in kept)
                self._mark_changed(block)
                at += 1
        return first, emptied

    def _take_oldest_block(
        self, low: int, high: int, rows_min: int
    ) -> tuple[int, list[Row]] | None:
        """Take out the oldest block that holds no key from ``low`` through ``high``.

        The last block stays, since it is being filled, and at least ``rows_min`` rows stay.

        Returns:
            The lowest key above the block below, and the rows; None if no block can go.
        """
        for at in range(len(self._blocks) - 1):
            if self._rows - len(self._blocks[at]) < rows_min:
                return None
            floor = self._lasts[at - 1] + 1 if at else 0
            if high < low or self._lasts[at] < low or (at and floor > high):
                rows = self._drop(at).all_rows()
                self._cache.forget([row.key for row in rows])
                return floor, rows
        return None

    def _widen(self, low: int, high: int, blocks: int) -> tuple[int, int]:
        """A range of keys, extended by some blocks at either end."""
        at, end = bisect_left(self._lasts, low), bisect_left(self._lasts, high)
        first = self._lasts[at - blocks - 1] + 1 if at > blocks else 0
        return first, max(high, *self._lasts[end : end + blocks], high)

    def _append(self, batch: list[Row]) -> int:
        """Append ascending rows; of equal keys the last one counts. Returns how many."""
        unique = {row.key: row for row in batch}
        if not unique:
            return 0
        keys, rows = list(unique), list(unique.values())
        self._rows += len(rows)
        self._rules += list(map(type, rows)).count(Rule)
        done = 0
        if self._blocks and self._blocks[-1].packed is None:
            block = self._blocks[-1]
            done = block.room_for(rows)
            if done:
                block.keys += keys[:done]
                block.rows += rows[:done]
                self._lasts[-1] = block.keys[-1]
                self._mark_changed(block)
        rest_keys, rest = keys[done:], rows[done:]
        begin = 0
        for end in _cut(rest) if rest else ():
            self._blocks.append(Block(rest_keys[begin:end], rest[begin:end], self._cache))
            self._lasts.append(rest_keys[end - 1])
            self._mark_changed(self._blocks[-1])
            begin = end
        return len(rows)

    def _merge(self, batch: list[Row]) -> tuple[list[int], list[int]]:
        """Put ascending rows into the blocks they belong to; keys that are new, and replaced."""
        inserted: list[int] = []
        replaced: list[int] = []
        low = 0
        while low < len(batch):
            at = bisect_left(self._lasts, batch[low].key)
            high = bisect_right(batch, self._lasts[at], lo=low, key=key_of_row)
            new, old = self._merge_into(at, batch[low:high])
            inserted += new
            replaced += old
            low = high
        return inserted, replaced

    def _merge_into(self, at: int, run: list[Row]) -> tuple[dict[int, Row], list[int]]:
        block = self._blocks[at]
        chars = chars_of(run)
        is_long = chars > _LONG_CHARS and chars + chars_of(block.rows) > CHUNK_CHARS
        if block.packed is not None and (
            is_long
            or len(block.keys) + len(run) > LOOSE_MAX
            or block.has_packed([row.key for row in run])
        ):
            self._unpack(block)
        new, replaced = block.put(run)
        if block.packed is None:
            self._mark_changed(block)
        if new:
            self._rows += len(new)
            self._rules += sum(isinstance(row, Rule) for row in new.values())
            del self._starts[at + 1 :]
            if block.packed is not None:
                self._loose.pop(block, None)
                self._loose[block] = None
            elif is_long or len(block.keys) > 2 * CHUNK_ROWS:
                self._split(at)
        return new, replaced

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        parts: list[Block] = []
        begin = 0
        for end in _cut(block.rows):
            parts.append(Block(block.keys[begin:end], block.rows[begin:end], self._cache))
            begin = end
        self._blocks[at : at + 1] = parts
        self._lasts[at : at + 1] = [part.keys[-1] for part in parts]
        del self._starts[at:]
        self._open.pop(block, None)
        for part in parts:
            self._mark_changed(part)

    def _mark_changed(self, block: Block) -> None:
        """Note that an open block changed; beyond the bound, pack the one unchanged for longest."""
        self._open.pop(block, None)
        self._open[block] = None
        while len(self._open) > OPEN_MAX:
            oldest = next(iter(self._open))
            del self._open[oldest]
            if oldest is self._blocks[-1]:
                self._open[oldest] = None  # it is being filled
            else:
                oldest.pack()
                self._uncompressed[oldest] = None

    def _unpack(self, block: Block) -> None:
        block.unpack()
        self._uncompressed.pop(block, None)
        self._loose.pop(block, None)
        self._mark_changed(block)

    def _drop(self, at: int) -> Block:
        """Take out a block."""
        block = self._blocks.pop(at)
        del self._lasts[at], self._starts[at:]
        for blocks in (self._open, self._uncompressed, self._loose):
            blocks.pop(block, None)
        self._rows -= len(block)
        self._rules -= len(block.rules)
        return block

    def _block_at(self, index: int) -> int:
        self._extend_starts(len(self._blocks) - 1)
        return bisect_right(self._starts, index) - 1

    def _extend_starts(self, at: int) -> None:
        """Compute the starts up to block ``at``."""
        starts = self._starts
        while len(starts) <= at:
            last = len(starts) - 1
            starts.append(starts[last] + len(self._blocks[last]) if starts else 0)

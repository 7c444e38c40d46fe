"""The store that the screen shows: bounded, sorted in display order, without duplicates.

Chunks of parallel lists with a directory of their last keys: appending is extending the last
chunk, a late row is found by bisection, and an index is a bisection in the chunks' starts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from tui.rows import RULE_LANE, Change, Line, Row, Rule, time_key, time_of

CHUNK_ROWS: Final = 1024
"""Rows of a chunk that is filled in order; it is split beyond twice as many."""

CAPACITY: Final = 1_000_000
"""Lines kept, about 400 bytes each at 130 characters: a day at 11 a second."""

_FEW: Final = 16
"""Up to so many late rows are inserted one by one; more are merged with the whole chunk."""

_by_key = attrgetter("key")


class _Chunk:
    __slots__ = ("keys", "rows")

    def __init__(self, keys: list[int], rows: list[Row]) -> None:
        self.keys = keys
        self.rows = rows


class Timeline:
    """Rows in display order, addressed by index or by key.

    Args:
        capacity: Rows kept; beyond them the oldest go, a chunk at a time, and a rule at the
            top says how many lines went.

    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Create an empty timeline."""
        self._capacity = capacity
        self._chunks: list[_Chunk] = []
        self._lasts: list[int] = []  # the last key of each chunk
        self._starts: list[int] = []  # the index of each chunk's first row, as far as valid
        self._rows = 0
        self._rules = 0
        self._eras: dict[int, int] = {}
        self._floor = -1  # the last key evicted: nothing at or below it is taken any more
        self._evicted = 0

    def __len__(self) -> int:
        """Rows, rules included."""
        return self._rows

    @property
    def lines(self) -> int:
        """Rows without the rules."""
        return self._rows - self._rules

    @property
    def evicted(self) -> int:
        """Lines dropped so far, or never taken because they are older than what was dropped."""
        return self._evicted

    @property
    def evicted_through_ms(self) -> int | None:
        """The time of the newest line dropped."""
        return None if self._floor < 0 else time_of(self._floor)

    def row(self, index: int) -> Row:
        """The row at an index.

        Raises:
            IndexError: there is none.

        """
        if not 0 <= index < self._rows:
            msg = f"row {index} of {self._rows}"
            raise IndexError(msg)
        at = self._chunk_at(index)
        return self._chunks[at].rows[index - self._starts[at]]

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from ``start`` up to ``stop``, as far as there are any."""
        start, stop = max(0, start), min(stop, self._rows)
        found: list[Row] = []
        if start >= stop:
            return found
        at = self._chunk_at(start)
        offset = start - self._starts[at]
        while len(found) < stop - start:
            found += self._chunks[at].rows[offset : offset + stop - start - len(found)]
            at, offset = at + 1, 0
        return found

    def iterate(self, start: int = 0) -> Iterator[Row]:
        """The rows from an index on; the timeline must not change meanwhile."""
        if not 0 <= start < self._rows:
            return
        first = self._chunk_at(start)
        yield from self._chunks[first].rows[start - self._starts[first] :]
        for chunk in self._chunks[first + 1 :]:
            yield from chunk.rows

    def index_of(self, key: int) -> int:
        """The index of a key, or where it would stand: the number of rows below it."""
        at = bisect_left(self._lasts, key)
        if at == len(self._chunks):
            return self._rows
        self._count_to(at)
        return self._starts[at] + bisect_left(self._chunks[at].keys, key)

    def index_at(self, timestamp: int) -> int:
        """The index of the first row at or after a time in ms."""
        return self.index_of(time_key(timestamp))

    def find(self, key: int) -> Row | None:
        """The row of that key."""
        at = bisect_left(self._lasts, key)
        if at == len(self._chunks):
            return None
        chunk = self._chunks[at]
        place = bisect_left(chunk.keys, key)
        return chunk.rows[place] if chunk.keys[place] == key else None

    def is_confirmed(self, line: Line) -> bool:
        """Whether the present epoch of the line's target has confirmed it (rule [6])."""
        return line.era == self._eras.get(line.lane, 0)

    def begin_era(self, lane: int, era: int) -> Change:
        """Rebased: every line of a target that is not of ``era`` is unconfirmed from now on."""
        self._eras[lane] = era
        return Change(restyled=True)

    def add_many(self, rows: Iterable[Row]) -> Change:
        """Put rows in their places; one with a known key replaces what stood there."""
        batch = sorted(rows, key=_by_key)
        if not batch:
            return Change()
        old = self._rows
        above = bisect_right(batch, self._lasts[-1] if self._lasts else -1, key=_by_key)
        inserted, replaced = self._merge(batch[:above])
        appended = self._append(batch[above:])
        first = self.index_of(inserted[0]) if inserted else None
        if first is None and appended:
            first = old  # nothing stands between, so they begin where the rows ended
        self._evict()
        evicted = old + len(inserted) + appended - self._rows
        return Change(
            added=len(inserted) + appended,
            appended=appended,
            inserted=tuple(inserted),
            first=0 if evicted else first,
            replaced=tuple(replaced),
            evicted=evicted,
        )

    def unconfirm(self, keys: Sequence[int]) -> Change:
        """Lines that a repair did not bring again (rule [13]) stay, unconfirmed."""
        found = [row for row in map(self.find, keys) if isinstance(row, Line)]
        return self.add_many([msgspec.structs.replace(line, era=-1) for line in found])

    def _append(self, batch: list[Row]) -> int:
        """Rows above all others, ascending; of equal keys the last one counts."""
        unique = {row.key: row for row in batch}
        if not unique:
            return 0
        keys, fresh = list(unique), list(unique.values())
        self._rows += len(fresh)
        self._rules += sum(isinstance(row, Rule) for row in fresh)
        done = 0
        if self._chunks and len(self._chunks[-1].keys) < CHUNK_ROWS:
            chunk = self._chunks[-1]
            done = CHUNK_ROWS - len(chunk.keys)
            chunk.keys += keys[:done]
            chunk.rows += fresh[:done]
            self._lasts[-1] = chunk.keys[-1]
        for begin in range(done, len(keys), CHUNK_ROWS):
            part = keys[begin : begin + CHUNK_ROWS]
            self._chunks.append(_Chunk(part, fresh[begin : begin + CHUNK_ROWS]))
            self._lasts.append(part[-1])
        return len(fresh)

    def _merge(self, batch: list[Row]) -> tuple[list[int], list[int]]:
        """Rows among the others, ascending; the keys that are new, and those that were known."""
        inserted: list[int] = []
        replaced: list[int] = []
        low = bisect_right(batch, self._floor, key=_by_key)
        self._evicted += sum(isinstance(row, Line) for row in batch[:low])
        while low < len(batch):
            at = bisect_left(self._lasts, batch[low].key)
            high = bisect_right(batch, self._lasts[at], lo=low, key=_by_key)
            self._merge_into(at, batch[low:high], inserted, replaced)
            low = high
        return inserted, replaced

    def _merge_into(
        self, at: int, run: list[Row], inserted: list[int], replaced: list[int]
    ) -> None:
        chunk = self._chunks[at]
        keys, rows = chunk.keys, chunk.rows
        fresh: dict[int, Row] = {}
        for row in run:
            place = bisect_left(keys, row.key)
            if keys[place] == row.key:
                rows[place] = row
                replaced.append(row.key)
            else:
                fresh[row.key] = row
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
        inserted += fresh
        self._rows += len(fresh)
        self._rules += sum(isinstance(row, Rule) for row in fresh.values())
        del self._starts[at + 1 :]
        if len(keys) > 2 * CHUNK_ROWS:
            self._split(at)

    def _split(self, at: int) -> None:
        keys, rows = self._chunks[at].keys, self._chunks[at].rows
        parts = [
            _Chunk(keys[begin : begin + CHUNK_ROWS], rows[begin : begin + CHUNK_ROWS])
            for begin in range(0, len(keys), CHUNK_ROWS)
        ]
        self._chunks[at : at + 1] = parts
        self._lasts[at : at + 1] = [part.keys[-1] for part in parts]
        del self._starts[at:]

    def _evict(self) -> None:
        chunks = len(self._chunks)
        while len(self._chunks) > 1 and self._rows - len(self._chunks[0].keys) >= self._capacity:
            chunk = self._chunks.pop(0)
            del self._lasts[0]
            rules = sum(isinstance(row, Rule) for row in chunk.rows)
            self._rows -= len(chunk.rows)
            self._rules -= rules
            self._evicted += len(chunk.rows) - rules
            self._floor = chunk.keys[-1]
        if len(self._chunks) < chunks:
            self._starts.clear()
            self._declare_eviction()

    def _declare_eviction(self) -> None:
        """The rule at the top; the one before went with the chunk that it stood in."""
        self._floor |= RULE_LANE
        at = time_of(self._floor)
        rule = Rule(
            key=self._floor,
            kind="evicted",
            target=None,
            from_ms=0,
            through_ms=at,
            count=self._evicted,
        )
        chunk = self._chunks[0]
        place = bisect_left(chunk.keys, rule.key)
        chunk.keys.insert(place, rule.key)
        chunk.rows.insert(place, rule)
        self._rows += 1
        self._rules += 1

    def _chunk_at(self, index: int) -> int:
        self._count_to(len(self._chunks) - 1)
        return bisect_right(self._starts, index) - 1

    def _count_to(self, at: int) -> None:
        """Make the starts valid up to chunk ``at``."""
        starts = self._starts
        while len(starts) <= at:
            last = len(starts) - 1
            starts.append(starts[last] + len(self._chunks[last].keys) if starts else 0)

"""The store that the screen shows: bounded, sorted in display order, without duplicates.

Beyond the capacity the oldest lines leave memory; a rule stands for them until they are brought
back. Pure.

What has left memory: ranges of keys whose lines are to be had again from the forwarder. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from tui.lines.blocks import Store, key_of_row
from tui.lines.rows import Change, Line, Row, Rule, rule_key, time_of

PIECE_LINES: Final = 8_192
"""Lines that come back at once: a page of ``/v1/logs`` holds 10,000."""

LATE_MAX: Final = 256
"""Signs of lateness that a piece remembers; the forwarder does not know them."""

FETCHING: Final = "fetching"
FAILED: Final = "failed"

_by_high = attrgetter("high")


class EvictedRange(msgspec.Struct):
    """Lines that left memory together; every key from ``low`` through ``high`` is theirs."""

    low: int
    high: int
    count: int
    first: int
    """The least key that a line of it had."""
    late: dict[int, int] = {}
    """``late_ms`` of those that had one."""
    rules: list[Rule] = []
    """What stood between the lines, to come back with them."""
    state: str = ""
    """What is being done about it: ``FETCHING``, ``FAILED`` or nothing."""
    reason: str = ""
    waiting: list[Line] = []
    """New lines that came while the others are being fetched."""
    is_counted: bool = True
    """Whether ``count`` is more than what an earlier run said."""


class EvictedRun(NamedTuple):
    """Pieces that touch."""

    low: int
    high: int
    lines: int
    state: str
    reason: str


class EvictedRanges:
    """The pieces in the order of their keys; those that touch are one rule on the screen."""

    def __init__(self) -> None:
        """Nothing is gone."""
        self.pieces: list[EvictedRange] = []
        self.lines = 0
        self.is_changed = False
        """Whether rules that stand for pieces may have to say something else."""

    def at(self, key: int) -> EvictedRange | None:
        """The piece that a key belongs to."""
        place = bisect_left(self.pieces, key, key=_by_high)
        if place == len(self.pieces) or self.pieces[place].low > key:
            return None
        return self.pieces[place]

    def floor(self, key: int) -> int:
        """The least key above every piece that ends below a key."""
        place = bisect_left(self.pieces, key, key=_by_high)
        return self.pieces[place - 1].high + 1 if place else 0

    def put(self, piece: EvictedRange) -> None:
        """One more piece; it becomes one with the piece that it touches, where both are small."""
        self.lines += piece.count
        self.is_changed = True
        place = bisect_left(self.pieces, piece.high, key=_by_high)
        below = self.pieces[place - 1] if place else None
        if (
            below is not None
            and not below.state
            and below.is_counted
            and below.high + 1 == piece.low
            and below.count + piece.count <= PIECE_LINES
        ):
            below.high = piece.high
            below.count += piece.count
            below.late |= piece.late
            below.rules += piece.rules
        else:
            insort(self.pieces, piece, key=_by_high)

    def take(self, piece: EvictedRange) -> None:
        """The lines of a piece are back."""
        self.lines -= piece.count
        self.pieces = [one for one in self.pieces if one is not piece]
        self.is_changed = True

    def cut(self, piece: EvictedRange, through: int, lines: int) -> EvictedRange:
        """The part of a piece up to a key, of which there are so many lines, on its own."""
        lower = EvictedRange(piece.low, through, min(lines, piece.count), piece.first)
        piece.low = piece.first = through + 1
        piece.count -= lower.count
        late = piece.late
        lower.waiting = [one for one in piece.waiting if one.key <= through]
        piece.waiting = [one for one in piece.waiting if one.key > through]
        lower.is_counted = piece.is_counted
        lower.late = {key: ms for key, ms in late.items() if key <= through}
        piece.late = {key: ms for key, ms in late.items() if key > through}
        lower.rules = [one for one in piece.rules if one.key <= through]
        piece.rules = [one for one in piece.rules if one.key > through]
        self.pieces.insert(self._place(piece), lower)
        return lower

    def swallow(self, rows: list[Row]) -> list[Row]:
        """New rows, ascending, less those that belong to a piece, which now counts them."""
        kept: list[Row] = []
        piece: EvictedRange | None = None
        for row in reversed(rows):
            if piece is None or not piece.low <= row.key <= piece.high:
                piece = self.at(row.key)
            if piece is None:
                kept.append(row)
            elif isinstance(row, Rule):
                piece.rules = [one for one in piece.rules if one.key != row.key] + [row]
            else:
                piece = self._count(piece, row)
        kept.reverse()
        return kept

    def _count(self, piece: EvictedRange, line: Line) -> EvictedRange:
        """A line of a piece; the past comes newest first, so a full piece is closed below."""
        if piece.count >= PIECE_LINES and line.key < piece.first and not piece.state:
            lower = EvictedRange(piece.low, piece.first - 1, 0, line.key)
            lower.rules = [one for one in piece.rules if one.key < piece.first]
            piece.rules = [one for one in piece.rules if one.key >= piece.first]
            piece.low = piece.first
            self.pieces.insert(self._place(piece), lower)
            piece = lower
        piece.count += 1
        self.lines += 1
        self.is_changed = True
        piece.first = min(piece.first, line.key)
        if piece.state == FETCHING:
            piece.waiting.append(line)
        if line.late_ms and len(piece.late) < LATE_MAX:
            piece.late[line.key] = line.late_ms
        return piece

    def runs(self) -> list[EvictedRun]:
        """Pieces that touch as one each."""
        found: list[EvictedRun] = []
        for one in self.pieces:
            run = EvictedRun(one.low, one.high, one.count, one.state, one.reason)
            if found and found[-1].high + 1 == one.low:
                last = found[-1]
                told = last if last.state else run
                run = EvictedRun(
                    last.low, one.high, last.lines + one.count, told.state, told.reason
                )
                found.pop()
            found.append(run)
        return found

    def _place(self, piece: EvictedRange) -> int:
        return bisect_left(self.pieces, piece.high, key=_by_high)


CAPACITY: Final = 1_000_000
"""Lines kept, some 200 bytes each at 130 characters: a day at 11 a second."""


NEAR_BLOCKS: Final = 16
"""Blocks above and below the screen that are not taken from whoever reads there."""

_low_of = attrgetter("low")


class Timeline(Store):
    """Rows in display order, addressed by index or by key.

    Args:
        capacity: Rows kept; beyond them the oldest go, a block at a time, and a rule in their
            place says how many lines went.

    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Create an empty timeline."""
        super().__init__()
        self._capacity = capacity
        self._eras: dict[int, int] = {}
        self._gone = EvictedRanges()
        self._declared: dict[int, Rule] = {}  # the rules that stand for what is gone
        self._reading = (0, -1)

    @property
    def evicted(self) -> int:
        """Lines that are not in memory."""
        return self._gone.lines

    @property
    def evicted_through_ms(self) -> int | None:
        """The time of the newest line that is not in memory."""
        return time_of(self._gone.pieces[-1].high) if self._gone.pieces else None

    @property
    def evicted_ranges(self) -> list[tuple[int, int, int]]:
        """What is not in memory: first time and last time in ms, and number of lines."""
        return [(time_of(low), time_of(high), lines) for low, high, lines, *_ in self._gone.runs()]

    def is_confirmed(self, line: Line) -> bool:
        """Whether the present epoch of the line's target has confirmed it (rule [6])."""
        return line.era == self._eras.get(line.target, 0)

    def begin_era(self, target: int, era: int) -> Change:
        """Rebased: every line of a target that is not of ``era`` is unconfirmed from now on."""
        self._eras[target] = era
        return Change(restyled=True)

    # Rows come

    def add_many(self, rows: Iterable[Row]) -> Change:
        """Put rows in their places; one with a known key replaces what stood there.

        A line that belongs to what is not in memory is counted there.
        """
        batch = sorted(rows, key=key_of_row)
        if not batch:
            return Change()
        return self._put_any(self._gone.swallow(batch) if self._gone.pieces else batch)

    def confirm_many(self, lines: Iterable[Line]) -> Change:
        """Put known lines in the places of those that were confirmed or changed.

        One that is not in memory stays there: it is counted already.
        """
        kept = [line for line in lines if self._gone.at(line.key) is None]
        return self.add_many(kept)

    def unconfirm(self, keys: Sequence[int]) -> Change:
        """Lines that a repair did not bring again (rule [13]) stay, unconfirmed."""
        found = [row for row in map(self.find, keys) if isinstance(row, Line)]
        return self.add_many([msgspec.structs.replace(line, era=-1) for line in found])

    def _put(self, late: list[Row], newest: list[Row], removed: Sequence[int] = ()) -> Change:
        """Merge rows among the others, append those above all, and keep to the capacity.

        Args:
            late: Ascending, not above what is here, none of it in what is gone.
            newest: Ascending, above everything.
            removed: Keys that were taken out just now.

        """
        old = self._rows + len(removed)
        inserted, replaced = self._merge(late)
        appended = self._append(newest)
        first = self.index_of(inserted[0]) if inserted else None
        if first is None and appended:
            first = old  # nothing stands between, so they begin where the rows ended
        out = [(key, key) for key in removed] + self._evict()
        new, other, gone = self._declare()
        out += [(key, key) for key in gone]
        inserted = sorted([*inserted, *new])
        if out or new:
            first = 0
        return Change(
            added=len(inserted) + appended,
            appended=appended,
            inserted=tuple(inserted),
            first=first,
            replaced=(*replaced, *other),
            evicted=old + len(inserted) + appended - self._rows,
            removed=tuple(out),
        )

    # Lines leave and come back

    def read_at(self, low: int, high: int) -> None:
        """What is being read, as keys: it stays, whatever else must go."""
        self._reading = (low, high)

    def pin_around(self, low: int, high: int) -> None:
        """What is on the screen, as keys: that and what is round it stays."""
        at, end = bisect_left(self._lasts, low), bisect_left(self._lasts, high)
        first = self._lasts[at - NEAR_BLOCKS - 1] + 1 if at > NEAR_BLOCKS else 0
        last = max(high, *self._lasts[end : end + NEAR_BLOCKS], high)
        self._reading = (first, last)

    def evicted_near(self, low: int, high: int, rows: int) -> EvictedRange | None:
        """A piece that begins or ends within so many rows of what is on the screen."""
        pieces = self._gone.pieces
        at = bisect_right(pieces, high, key=_low_of)
        if at and self.index_of(low) - self.index_of(pieces[at - 1].high) <= rows:
            return pieces[at - 1]
        if at < len(pieces) and self.index_of(pieces[at].low) - self.index_of(high) <= rows:
            return pieces[at]
        return None

    def evicted_at(self, key: int) -> EvictedRange | None:
        """The piece that is not in memory and that a key belongs to."""
        return self._gone.at(key)

    def evicted_for(self, rule: Rule, *, from_above: bool) -> EvictedRange | None:
        """A piece of what a rule stands for: the newest, or the oldest where read from above."""
        piece = self._gone.at(rule.key)
        while piece is not None and from_above:
            below = self._gone.at(piece.low - 1)
            if below is None:
                break
            piece = below
        return piece

    def set_fetch_state(self, piece: EvictedRange, state: str, reason: str = "") -> Change:
        """Say in the rule what is being done about a piece."""
        piece.state, piece.reason = state, reason
        piece.waiting = []
        self._gone.is_changed = True
        return self._put([], [])

    def restore(
        self, piece: EvictedRange, lines: Sequence[Line], through: int | None = None
    ) -> Change:
        """The lines of a piece are back: all that there are of it.

        Args:
            piece: What was not in memory.
            lines: Its lines; where they are fewer than went, a rule says so.
            through: The last key that they reach to, where they are only the beginning of it.

        """
        stale = self._undeclare(piece)
        if through is not None:
            piece = self._gone.cut(piece, through, len(lines))
        self._gone.take(piece)
        late = piece.late
        rows: dict[int, Row] = {one.key: one for one in lines}
        for key in late.keys() & rows.keys():
            rows[key] = msgspec.structs.replace(rows[key], late_ms=late[key])
        rows.update((one.key, one) for one in piece.waiting)
        rows.update((one.key, one) for one in piece.rules)
        missing = piece.count + len(piece.rules) - len(rows)
        if missing > 0 and piece.is_counted:
            rule = _missing(piece, missing)
            rows[rule.key] = rule
        low, high = self._reading
        reads = (min(low, piece.low), max(high, piece.high)) if low <= high else (0, piece.high)
        self._reading = reads
        return self._put_any(sorted(rows.values(), key=key_of_row), stale)

    def declare_evicted(self, pieces: Iterable[EvictedRange]) -> Change:
        """What an earlier run had is not here, but can be had."""
        for piece in pieces:
            self._gone.put(piece)
        return self._put([], [])

    def give_up(self) -> Change:
        """What an earlier run had comes as new: it must not be counted as gone."""
        stale: list[int] = []
        rows: list[Row] = []
        for piece in [one for one in self._gone.pieces if not one.is_counted]:
            stale += self._undeclare(piece)
            self._gone.take(piece)
            rows += [*piece.waiting, *piece.rules]
        return self._put_any(sorted(rows, key=key_of_row), stale)

    def _put_any(self, batch: list[Row], removed: Sequence[int] = ()) -> Change:
        above = bisect_right(batch, self._lasts[-1] if self._lasts else -1, key=key_of_row)
        return self._put(batch[:above], batch[above:], removed)

    def _undeclare(self, piece: EvictedRange) -> list[int]:
        """Take out the rule that a piece stands behind."""
        for low, high, *_ in self._gone.runs():
            if low <= piece.low <= high and self._declared.pop(high, None) is not None:
                self._remove(high)
                return [high]
        return []

    def _evict(self) -> list[tuple[int, int]]:
        """Keep to the capacity; the ranges of keys that are gone."""
        out: list[tuple[int, int]] = []
        while (at := self._victim()) is not None:
            floor = self._lasts[at - 1] + 1 if at else 0
            block = self._drop(at)
            rows = block.all_rows(self._memory)
            out.append((min(floor, rows[0].key), rows[-1].key))
            self._memory.forget([row.key for row in rows])
            for part in self._between_rules(rows):
                self._put_away(part, max(floor, self._gone.floor(part[-1].key)))
            self._gone.is_changed = True
        return out

    def _victim(self) -> int | None:
        """The oldest block that can be spared; never the last one, nor what is being read."""
        low, high = self._reading
        for at in range(len(self._blocks) - 1):
            if self._rows - len(self._blocks[at]) < self._capacity:
                return None
            if high < low or self._lasts[at] < low or (at and self._lasts[at - 1] >= high):
                return at
        return None

    def _between_rules(self, rows: list[Row]) -> Iterator[list[Row]]:
        """The rows of a block without the rules that stand for what is gone, parted by them."""
        part: list[Row] = []
        for row in rows:
            if self._declared.pop(row.key, None) is None:
                part.append(row)
            elif part:
                yield part
                part = []
        if part:
            yield part

    def _put_away(self, rows: list[Row], floor: int) -> None:
        lines = [row for row in rows if isinstance(row, Line)]
        rules = [row for row in rows if isinstance(row, Rule)]
        self._gone.put(
            EvictedRange(
                floor,
                rows[-1].key,
                len(lines),
                lines[0].key if lines else floor,
                {line.key: line.late_ms for line in lines if line.late_ms},
                rules,
            )
        )

    def _declare(self) -> tuple[list[int], list[int], list[int]]:
        """Have a rule stand for each run of what is gone; keys of new, other and former ones."""
        if not self._gone.is_changed:
            return [], [], []
        self._gone.is_changed = False
        wanted = {
            run.high: Rule(
                key=run.high,
                kind="evicted",
                target=None,
                from_ms=time_of(run.low),
                through_ms=time_of(run.high),
                state=run.state,
                reason=run.reason,
                count=run.lines,
            )
            for run in self._gone.runs()
        }
        stale = [key for key in self._declared if key not in wanted]
        for key in stale:
            del self._declared[key]
            self._remove(key)
        changed: list[Row] = [
            rule for key, rule in wanted.items() if self._declared.get(key) != rule
        ]
        self._declared.update((key, wanted[key]) for key in [rule.key for rule in changed])
        changed.sort(key=key_of_row)
        above = bisect_right(changed, self._lasts[-1] if self._lasts else -1, key=key_of_row)
        new, other = self._merge(changed[:above])
        self._append(changed[above:])
        return [*new, *(rule.key for rule in changed[above:])], other, stale


def _missing(piece: EvictedRange, lines: int) -> Rule:
    """Fewer lines came back than had left memory."""
    return Rule(
        key=rule_key(time_of(piece.high), lines),
        kind="lost",
        target=None,
        from_ms=time_of(piece.low),
        through_ms=time_of(piece.high),
        reason=f"{lines:,} lines that had left memory are not there any more",
        count=lines,
    )

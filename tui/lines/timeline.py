"""The rows that the screen shows: sorted, distinct, and bounded in number. Pure.

Beyond the capacity the oldest lines are evicted from memory. A rule stands for them until they
are refetched from the forwarder and restored.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from tui.lines.blocks import RowStore, key_of_row
from tui.lines.rows import Change, Line, Row, Rule, rule_key, time_of

CAPACITY: Final = 1_000_000
"""Lines held in memory, about 200 bytes each at 130 characters: a day at 11 a second."""

RANGE_LINES: Final = 8_192
"""Lines refetched at a time; a page of ``/v1/logs`` holds 10,000."""

LATE_MAX: Final = 256
"""Late events remembered per evicted range, since the forwarder does not tell which were late."""

NEAR_BLOCKS: Final = 16
"""Blocks above and below the screen that are not evicted."""

FETCHING: Final = "fetching"
FAILED: Final = "failed"

_high_of = attrgetter("high")
_low_of = attrgetter("low")


class EvictedRange(msgspec.Struct):
    """A range of keys whose lines are not in memory and are refetched together."""

    low: int
    high: int
    """The last key, inclusive."""
    count: int
    """Number of lines."""
    first: int
    """The lowest key of a line."""
    late: dict[int, int] = {}
    """``late_ms`` of late lines, by key."""
    rules: list[Rule] = []
    """Rules that stood between the lines, to be restored with them."""
    state: str = ""
    """``FETCHING``, ``FAILED`` or empty."""
    reason: str = ""
    """Why fetching failed."""
    waiting: list[Line] = []
    """New lines of the range that arrived while it is being fetched."""
    is_counted: bool = True
    """Whether this run counted the lines; otherwise ``count`` is what an earlier run saved."""


class EvictedRun(NamedTuple):
    """Adjacent evicted ranges, which one rule stands for."""

    low: int
    high: int
    lines: int
    state: str
    reason: str


class EvictedRanges:
    """The evicted ranges, ascending, and the rules on the screen that stand for them."""

    def __init__(self) -> None:
        self.ranges: list[EvictedRange] = []
        self.lines = 0
        self._rules: dict[int, Rule] = {}
        self._is_changed = False

    def at(self, key: int) -> EvictedRange | None:
        """The range that a key belongs to."""
        at = bisect_left(self.ranges, key, key=_high_of)
        if at == len(self.ranges) or self.ranges[at].low > key:
            return None
        return self.ranges[at]

    def around(self, key: int) -> tuple[EvictedRange | None, EvictedRange | None]:
        """The last range that begins at or before a key, and the one after that."""
        at = bisect_right(self.ranges, key, key=_low_of)
        return (
            self.ranges[at - 1] if at else None,
            self.ranges[at] if at < len(self.ranges) else None,
        )

    def floor(self, key: int) -> int:
        """The lowest key above every range that ends below a key."""
        at = bisect_left(self.ranges, key, key=_high_of)
        return self.ranges[at - 1].high + 1 if at else 0

    def add(self, new: EvictedRange) -> None:
        """Add a range; it is merged with the adjacent one below while both together are small."""
        self.lines += new.count
        self._is_changed = True
        at = bisect_left(self.ranges, new.high, key=_high_of)
        below = self.ranges[at - 1] if at else None
        if (
            below is not None
            and not below.state
            and below.is_counted
            and below.high + 1 == new.low
            and below.count + new.count <= RANGE_LINES
        ):
            below.high = new.high
            below.count += new.count
            below.late |= new.late
            below.rules += new.rules
        else:
            insort(self.ranges, new, key=_high_of)

    def remove(self, old: EvictedRange) -> None:
        """Remove a range whose lines are in memory again."""
        self.lines -= old.count
        self.ranges = [one for one in self.ranges if one is not old]
        self._is_changed = True

    def cut(self, whole: EvictedRange, through: int, lines: int) -> EvictedRange:
        """Split a range after a key; returns the lower part, which has ``lines`` lines."""
        lower = EvictedRange(whole.low, through, min(lines, whole.count), whole.first)
        whole.low = whole.first = through + 1
        whole.count -= lower.count
        late = whole.late
        lower.waiting = [one for one in whole.waiting if one.key <= through]
        whole.waiting = [one for one in whole.waiting if one.key > through]
        lower.is_counted = whole.is_counted
        lower.late = {key: ms for key, ms in late.items() if key <= through}
        whole.late = {key: ms for key, ms in late.items() if key > through}
        lower.rules = [one for one in whole.rules if one.key <= through]
        whole.rules = [one for one in whole.rules if one.key > through]
        self._insert_below(whole, lower)
        return lower

    def set_state(self, which: EvictedRange, state: str, reason: str) -> None:
        """Set the state of fetching a range."""
        which.state, which.reason = state, reason
        which.waiting = []
        self._is_changed = True

    def absorb(self, rows: list[Row]) -> list[Row]:
        """Count new rows, ascending, in the ranges that they belong to; returns the others."""
        others: list[Row] = []
        found: EvictedRange | None = None
        for row in reversed(rows):
            if found is None or not found.low <= row.key <= found.high:
                found = self.at(row.key)
            if found is None:
                others.append(row)
            elif isinstance(row, Rule):
                found.rules = [one for one in found.rules if one.key != row.key] + [row]
            else:
                found = self._count(found, row)
        others.reverse()
        return others

    def runs(self) -> list[EvictedRun]:
        """The ranges, with adjacent ones joined."""
        found: list[EvictedRun] = []
        for one in self.ranges:
            run = EvictedRun(one.low, one.high, one.count, one.state, one.reason)
            if found and found[-1].high + 1 == one.low:
                last = found.pop()
                _, _, _, state, reason = last if last.state else run
                run = EvictedRun(last.low, one.high, last.lines + one.count, state, reason)
            found.append(run)
        return found

    def update_rules(self) -> tuple[list[Rule], list[int]]:
        """Bring the rules up to date: new or changed ones, ascending, and keys of outdated ones."""
        if not self._is_changed:
            return [], []
        self._is_changed = False
        rules = {run.high: _evicted_rule(run) for run in self.runs()}
        outdated = [key for key in self._rules if key not in rules]
        changed = [rule for key, rule in rules.items() if self._rules.get(key) != rule]
        self._rules = rules
        return sorted(changed, key=key_of_row), outdated

    def withdraw_rule(self, of: EvictedRange) -> int | None:
        """Forget the rule that stands for a range; returns its key."""
        for run in self.runs():
            if run.low <= of.low <= run.high:
                return run.high if self._rules.pop(run.high, None) is not None else None
        return None

    def split_at_rules(self, rows: list[Row]) -> Iterator[list[Row]]:
        """Split evicted rows at the rules of older ranges, which are left out and forgotten."""
        part: list[Row] = []
        for row in rows:
            if self._rules.pop(row.key, None) is None:
                part.append(row)
            else:
                self._is_changed = True
                if part:
                    yield part
                part = []
        if part:
            yield part

    def _count(self, within: EvictedRange, line: Line) -> EvictedRange:
        """Count a line; a full range is split above it, since history arrives newest first."""
        if within.count >= RANGE_LINES and line.key < within.first and not within.state:
            lower = EvictedRange(within.low, within.first - 1, 0, line.key)
            lower.rules = [one for one in within.rules if one.key < within.first]
            within.rules = [one for one in within.rules if one.key >= within.first]
            within.low = within.first
            self._insert_below(within, lower)
            within = lower
        within.count += 1
        self.lines += 1
        self._is_changed = True
        within.first = min(within.first, line.key)
        if within.state == FETCHING:
            within.waiting.append(line)
        if line.late_ms and len(within.late) < LATE_MAX:
            within.late[line.key] = line.late_ms
        return within

    def _insert_below(self, upper: EvictedRange, lower: EvictedRange) -> None:
        self.ranges.insert(bisect_left(self.ranges, upper.high, key=_high_of), lower)


class Timeline(RowStore):
    """Rows in display order, addressed by index or by key.

    Args:
        capacity: Most rows in memory; beyond it the oldest are evicted, a block at a time.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._capacity = capacity
        self._eras: dict[int, int] = {}
        self._evicted = EvictedRanges()
        self._pinned = (0, -1)  # keys being read, which are not evicted

    @property
    def evicted(self) -> int:
        """Number of lines that are not in memory."""
        return self._evicted.lines

    @property
    def evicted_through_ms(self) -> int | None:
        """The end of the newest evicted range, ms since the Unix epoch; None if there is none."""
        return time_of(self._evicted.ranges[-1].high) if self._evicted.ranges else None

    @property
    def evicted_ranges(self) -> list[tuple[int, int, int]]:
        """What is not in memory: first and last time in ms, and number of lines."""
        runs = self._evicted.runs()
        return [(time_of(run.low), time_of(run.high), run.lines) for run in runs]

    @property
    def oldest_line(self) -> int | None:
        """The key of the oldest line, in memory or not; None if there is none."""
        shown = next((row.key for row in self.iterate() if isinstance(row, Line)), None)
        counted = next((one.first for one in self._evicted.ranges if one.count), None)
        return min((one for one in (shown, counted) if one is not None), default=None)

    def is_confirmed(self, line: Line) -> bool:
        """Whether the present epoch of the line's target has confirmed it (rule [6])."""
        return line.era == self._eras.get(line.target, 0)

    def begin_era(self, target: int, era: int) -> Change:
        """Make every line of a target unconfirmed that is not of ``era``, after an epoch change."""
        self._eras[target] = era
        return Change(restyled=True)

    def add_many(self, rows: Iterable[Row]) -> Change:
        """Add rows; one with a known key replaces the row that has it.

        Lines of an evicted range are only counted there.
        """
        batch = sorted(rows, key=key_of_row)
        if not batch:
            return Change()
        return self._put(self._evicted.absorb(batch) if self._evicted.ranges else batch)

    def remove_many(self, keys: Iterable[int]) -> Change:
        """Take rows out, as a replay that goes back does; none of them is evicted."""
        before = self._rows
        first, emptied = self._discard(set(keys))
        if before == self._rows:
            return Change()
        return Change(first=first, evicted=before - self._rows, removed=tuple(emptied))

    def move_rule(self, before: int | None, rule: Rule) -> Change:
        """Put a rule into its place, and take it out of the one that it had before."""
        removed: list[int] = []
        if before is not None and before != rule.key:
            evicted = self._evicted.at(before)
            if evicted is not None:
                evicted.rules = [one for one in evicted.rules if one.key != before]
            elif self.find(before) is not None:
                self._remove(before)
                removed.append(before)
        return self._put(self._evicted.absorb([rule]), removed)

    def confirm_many(self, lines: Iterable[Line]) -> Change:
        """Replace known lines that were confirmed or changed; evicted ones stay evicted."""
        return self.add_many([line for line in lines if self._evicted.at(line.key) is None])

    def unconfirm(self, keys: Sequence[int]) -> Change:
        """Make lines unconfirmed that a repair did not bring again (rule [13])."""
        found = [row for row in map(self.find, keys) if isinstance(row, Line)]
        return self.add_many([msgspec.structs.replace(line, era=-1) for line in found])

    def pin_around(self, low: int, high: int) -> None:
        """Keep the rows from one key through another and the blocks around them in memory."""
        self._pinned = self._widen(low, high, NEAR_BLOCKS)

    def evicted_at(self, key: int) -> EvictedRange | None:
        """The evicted range that a key belongs to."""
        return self._evicted.at(key)

    def evicted_near(self, low: int, high: int, rows: int) -> EvictedRange | None:
        """An evicted range within ``rows`` rows of the rows from ``low`` through ``high``."""
        above, below = self._evicted.around(high)
        if above is not None and self.index_of(low) - self.index_of(above.high) <= rows:
            return above
        if below is not None and self.index_of(below.low) - self.index_of(high) <= rows:
            return below
        return None

    def set_fetch_state(self, which: EvictedRange, state: str, reason: str = "") -> Change:
        """Show in the rule of an evicted range that it is being fetched, or why it failed."""
        self._evicted.set_state(which, state, reason)
        return self._put([])

    def restore(
        self, which: EvictedRange, lines: Sequence[Line], through: int | None = None
    ) -> Change:
        """Put refetched lines back; if they are fewer than were evicted, a rule says so.

        Args:
            which: The evicted range.
            lines: Its lines.
            through: If only the beginning was fetched, the last key of that part.
        """
        outdated = self._withdraw_rule(which)
        if through is not None:
            which = self._evicted.cut(which, through, len(lines))
        self._evicted.remove(which)
        late = which.late
        rows: dict[int, Row] = {one.key: one for one in lines}
        for key in late.keys() & rows.keys():
            rows[key] = msgspec.structs.replace(rows[key], late_ms=late[key])
        rows.update((one.key, one) for one in which.waiting)
        rows.update((one.key, one) for one in which.rules)
        missing = which.count + len(which.rules) - len(rows)
        if missing > 0 and which.is_counted:
            rule = _missing_rule(which, missing)
            rows[rule.key] = rule
        low, high = self._pinned
        self._pinned = (
            (min(low, which.low), max(high, which.high)) if low <= high else (0, which.high)
        )
        return self._put(sorted(rows.values(), key=key_of_row), outdated)

    def declare_evicted(self, ranges: Iterable[EvictedRange]) -> Change:
        """Declare lines that an earlier run showed, which can be fetched from the forwarder."""
        for one in ranges:
            self._evicted.add(one)
        return self._put([])

    def drop_declared(self) -> Change:
        """Drop the ranges of an earlier run, because the forwarder sends their lines as new."""
        outdated: list[int] = []
        rows: list[Row] = []
        for one in [one for one in self._evicted.ranges if not one.is_counted]:
            outdated += self._withdraw_rule(one)
            self._evicted.remove(one)
            rows += [*one.waiting, *one.rules]
        return self._put(sorted(rows, key=key_of_row), outdated)

    def _put(self, rows: list[Row], removed: Sequence[int] = ()) -> Change:
        """Insert rows, evict beyond the capacity, and update the rules of evicted ranges.

        Args:
            rows: Ascending, none of them in an evicted range.
            removed: Keys of rules that were taken out before.
        """
        before = self._rows + len(removed)
        inserted, replaced, appended = self._insert(rows)
        first = self.index_of(inserted[0]) if inserted else None
        if first is None and appended:
            first = before  # with nothing inserted between, new rows begin where the rows ended
        emptied = [(key, key) for key in removed] + self._evict()
        new, changed, outdated = self._update_rules()
        emptied += [(key, key) for key in outdated]
        inserted = sorted([*inserted, *new])
        if emptied or new:
            first = 0
        return Change(
            added=len(inserted) + appended,
            appended=appended,
            inserted=tuple(inserted),
            first=first,
            replaced=(*replaced, *changed),
            evicted=before + len(inserted) + appended - self._rows,
            removed=tuple(emptied),
        )

    def _evict(self) -> list[tuple[int, int]]:
        """Evict blocks down to the capacity; returns the emptied ranges of keys."""
        emptied: list[tuple[int, int]] = []
        while (taken := self._take_oldest_block(*self._pinned, self._capacity)) is not None:
            floor, rows = taken
            emptied.append((floor, rows[-1].key))
            for part in self._evicted.split_at_rules(rows):
                low = max(floor, self._evicted.floor(part[-1].key))
                self._evicted.add(_evicted_range(part, low))
        return emptied

    def _update_rules(self) -> tuple[list[int], list[int], list[int]]:
        """Update the rules of evicted ranges; keys of new, changed and removed ones."""
        changed, outdated = self._evicted.update_rules()
        for key in outdated:
            self._remove(key)
        inserted, replaced, appended = self._insert([*changed])
        return (
            [*inserted, *(rule.key for rule in changed[len(changed) - appended :])],
            replaced,
            outdated,
        )

    def _withdraw_rule(self, of: EvictedRange) -> list[int]:
        """Take out the rule that stands for a range; returns its key, if there was one."""
        key = self._evicted.withdraw_rule(of)
        if key is None:
            return []
        self._remove(key)
        return [key]


def _evicted_range(rows: list[Row], low: int) -> EvictedRange:
    """The range of rows that are being evicted; ``low`` is where it begins."""
    lines = [row for row in rows if isinstance(row, Line)]
    return EvictedRange(
        low,
        rows[-1].key,
        len(lines),
        lines[0].key if lines else low,
        {line.key: line.late_ms for line in lines if line.late_ms},
        [row for row in rows if isinstance(row, Rule)],
    )


def _evicted_rule(run: EvictedRun) -> Rule:
    return Rule(
        key=run.high,
        kind="evicted",
        target=None,
        from_ms=time_of(run.low),
        through_ms=time_of(run.high),
        state=run.state,
        reason=run.reason,
        count=run.lines,
    )


def _missing_rule(which: EvictedRange, lines: int) -> Rule:
    """The rule for evicted lines that the forwarder no longer has."""
    return Rule(
        key=rule_key(time_of(which.high), lines),
        kind="lost",
        target=None,
        from_ms=time_of(which.low),
        through_ms=time_of(which.high),
        reason=f"{lines:,} lines evicted from memory are no longer available",
        count=lines,
    )

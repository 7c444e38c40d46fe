"""Which rows of the timeline are shown: all of them, or those that pass a test. Pure.

A sieve goes over the timeline newest first, a slice at a time, so that the first screen is there
at once and a long log never holds up a key; meanwhile and afterwards it takes in what arrives.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tui.rows import Change, Line, Row
from tui.sealed import Hint
from tui.timeline import Timeline

SLICE_ROWS: Final = 4096
"""Rows that a step goes over: a few milliseconds."""

Test = Callable[[Line], bool]

_META: Final = frozenset(".^$*+?{}[]\\|()")
"""What makes a regular expression more than a text."""


class HintedTest(msgspec.Struct, frozen=True):
    """A test that only lines pass in which something is found."""

    test: Test
    hint: Hint

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self.test(line)


def hint_of(pattern: re.Pattern[str]) -> Hint:
    """What every line has that a pattern is found in."""
    text = pattern.pattern
    is_text = bool(text) and _META.isdisjoint(text) and not pattern.flags & re.VERBOSE
    return Hint(pattern, text if is_text else None)


class Sieve:
    """The keys of the rows that pass a test, ascending; rules pass if ``rules`` says so."""

    def __init__(self, timeline: Timeline, test: Test, *, rules: bool) -> None:
        """Begin; ``step`` does the work.

        Args:
            timeline: what is sieved.
            test: whether a line passes.
            rules: whether rules do: what is missing must be seen under any filter.

        """
        self._timeline = timeline
        self._test = test
        self._hint = test.hint if isinstance(test, HintedTest) else None
        self._rules = rules
        self._rule_keys: set[int] = set()
        self.keys: list[int] = []
        self._last = timeline.row(len(timeline) - 1).key if len(timeline) else -1
        """The greatest key gone over."""
        self._from = self._last + 1
        """Rows from this key on have been gone over."""
        self.is_done = not len(timeline)

    def step(self, rows: int = SLICE_ROWS) -> bool:
        """Go over some more rows, towards the oldest; False once all are done."""
        if self.is_done:
            return False
        part, self._from = self._timeline.rows_below(self._from, self._hint, rows)
        self.keys[:0] = self._passing(part)
        self.is_done = self._from == 0
        return not self.is_done

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        for low, high in change.removed:
            begin, end = bisect_left(self.keys, low), bisect_right(self.keys, high)
            self._rule_keys.difference_update(self.keys[begin:end])
            del self.keys[begin:end]
        for key in self._passing(self._unseen(change)):
            if not self.has(key):
                insort(self.keys, key)

    def _unseen(self, change: Change) -> list[Row]:
        """The rows of a change that no step has gone over or will, each once."""
        size = len(self._timeline)
        # What was appended may have been parted since, by what was inserted: look that far back.
        tail = self._timeline.rows(size - change.appended - len(change.inserted), size)
        unseen: dict[int, Row] = {row.key: row for row in tail if row.key > self._last}
        for key in change.inserted:
            row = self._timeline.find(key)
            if row is not None and key >= self._from:
                unseen[key] = row
        self._last = max(self._last, *unseen) if unseen else self._last
        return list(unseen.values())

    @property
    def lines(self) -> int:
        """Rows that passed, without the rules."""
        return len(self.keys) - len(self._rule_keys)

    def index_of(self, key: int) -> int:
        """How many of the keys are below one."""
        return bisect_left(self.keys, key)

    def has(self, key: int) -> bool:
        """Whether a row passed."""
        at = bisect_left(self.keys, key)
        return at < len(self.keys) and self.keys[at] == key

    def _passing(self, rows: Sequence[Row]) -> list[int]:
        test = self._test
        passing: list[int] = []
        for row in rows:
            if isinstance(row, Line):
                if test(row):
                    passing.append(row.key)
            elif self._rules:
                passing.append(row.key)
                self._rule_keys.add(row.key)
        return passing


class View:
    """The timeline as it is looked at: rows by index, all of them or through a sieve."""

    def __init__(self, timeline: Timeline) -> None:
        """Look at all rows."""
        self.timeline = timeline
        self.sieve: Sieve | None = None

    def __len__(self) -> int:
        """Rows shown, rules included."""
        return len(self.timeline) if self.sieve is None else len(self.sieve.keys)

    @property
    def lines(self) -> int:
        """Rows shown, without the rules."""
        return self.timeline.lines if self.sieve is None else self.sieve.lines

    def select(self, test: Test | None) -> None:
        """Show only lines that pass, and rules; None shows all."""
        self.look_through(None if test is None else Sieve(self.timeline, test, rules=True))

    def look_through(self, sieve: Sieve | None) -> None:
        """Show only what a sieve over the same timeline lets pass; None shows all."""
        self.sieve = sieve
        if sieve is not None:
            sieve.step()

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        if self.sieve is not None:
            self.sieve.apply(change)

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from ``start`` up to ``stop``, as far as there are any."""
        if self.sieve is None:
            return self.timeline.rows(start, stop)
        found = map(self.timeline.find, self.sieve.keys[max(0, start) : max(0, stop)])
        return [row for row in found if row is not None]

    def index_of(self, key: int) -> int:
        """The index of a key, or where it would stand."""
        if self.sieve is None:
            return self.timeline.index_of(key)
        return bisect_left(self.sieve.keys, key)


def hunt(
    view: View, start: int, direction: int, test: Test, rows: int = SLICE_ROWS
) -> tuple[int | None, int | None]:
    """Look for the next line that passes a test, in one slice of the view.

    Args:
        view: where to look.
        start: a key; downwards it is the first that counts, upwards the first that does not.
        direction: 1 downwards, -1 upwards.
        test: whether a line is looked for.
        rows: how many to go over.

    Returns:
        The key found, or None; and the ``start`` to go on with, or None at the end.

    """
    index = view.index_of(start)
    part = view.rows(index, index + rows) if direction > 0 else view.rows(index - rows, index)
    for row in part if direction > 0 else reversed(part):
        if isinstance(row, Line) and test(row):
            return row.key, None
    if not part:
        return None, None
    return None, part[-1].key + 1 if direction > 0 else part[0].key

"""Counting what the timeline holds, slice by slice, never holding up a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from common.merging import Ranges
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from tui.lines.view import Sieve, Test

SLICE_ROWS: Final = 1_024
"""Lines that a step goes over: telling the levels of so many takes a few milliseconds."""


class Count:
    """Hands each line of the timeline to ``take`` once, newest first, and then those that come."""

    def __init__(self, timeline: Timeline, take: Test) -> None:
        """Begin; ``step`` does the work.

        Args:
            timeline: what is counted.
            take: counts a line; what it answers is of no matter.

        """
        self._take = take
        self._left = Ranges()
        self._least: int | None = None
        self._sieve = Sieve(timeline, self._once, rules=False)

    @property
    def is_done(self) -> bool:
        """Whether all that there was has been gone over."""
        return self._sieve.is_done

    def step(self) -> bool:
        """Go over some more lines, towards the oldest; False once all are done."""
        return self._sieve.step(SLICE_ROWS)

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline since the last call."""
        self._sieve.apply(change)
        if self._least is not None:
            for low, high in change.removed:
                self._left.add(max(low, self._least), high)

    def _once(self, line: Line) -> bool:
        """A line that left memory was counted before it did, and may come back."""
        if not self._left.covers(line.key, line.key):
            self._take(line)
            self._least = line.key if self._least is None else min(self._least, line.key)
        return False


async def count_all(count: Count, is_wanted: Callable[[], bool]) -> None:
    """Go over all that there is, with room for everything else between two slices."""
    while is_wanted() and count.step():  # noqa: ASYNC110 - it is the work that is repeated
        await asyncio.sleep(0)

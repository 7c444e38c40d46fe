"""How hard CloudWatch asks for fewer calls, and what gives way to that. Pure.

``CallBudget`` paces the calls that are wanted; this makes fewer of them wanted. What gives way
first is the looking again at a past that was seen before, the longer ago the more; polls come
last.
"""

from __future__ import annotations

from typing import Final

LEVEL_MAX: Final = 4
"""At the highest level scans come sixteen times as seldom."""

RAISE_MS: Final = 5_000
"""Throttled replies within so long count once: they are the same trouble."""

NEAREST_STRETCH_MAX: Final = 2
"""How many times as seldom the nearest tier comes at most: late news is to be found within a
minute, however long the throttling lasts.

At this it is one scan in 20 s beside ten polls, of as many pages while the log group is quiet. Put
off sixteen times it would save 0.044 calls a second, less than a tenth of the least that
``CallBudget`` allows itself. A scan of many pages is paced by that budget, polls first, takes
long, and then rests as long: what bounds it is its share of the time, not the stretch.
"""

EASE_MS: Final = 30_000
"""So long without a throttled reply, and the level falls by one."""


class Pressure:
    """A level from 0 (none) to ``LEVEL_MAX``; times in ms of a clock that is never set."""

    def __init__(self) -> None:
        """None."""
        self._level = 0
        self._raised_ms: int | None = None
        self._changed_ms = 0

    def throttled(self, timer_ms: int) -> None:
        """A call was throttled."""
        level = self.level(timer_ms)
        if self._raised_ms is None or timer_ms - self._raised_ms >= RAISE_MS:
            level = min(LEVEL_MAX, level + 1)
            self._raised_ms = timer_ms
        self._level, self._changed_ms = level, timer_ms

    def level(self, timer_ms: int) -> int:
        """How high it is now."""
        return max(0, self._level - max(0, timer_ms - self._changed_ms) // EASE_MS)

    def stretch_scans(self, timer_ms: int) -> int:
        """How many times as long the pauses between scans of the same range are."""
        return 1 << self.level(timer_ms)

    def stretch_nearest(self, timer_ms: int) -> int:
        """The same of the range in which most of what is late turns up."""
        return min(self.stretch_scans(timer_ms), NEAREST_STRETCH_MAX)

    def stretch_polls(self, timer_ms: int) -> int:
        """The same of polls: twice, when nothing else has helped."""
        return 2 if self.level(timer_ms) == LEVEL_MAX else 1

"""While CloudWatch can't be polled, what it may have taken in meanwhile is suspected. Pure."""

from __future__ import annotations

from typing import Final

from common.ranges import Range

AFTER_MS: Final = 30_000
"""Without a whole poll for so long it is declared; before, the lag tells."""

AGAIN_MS: Final = 15_000
"""How often the range grows while it lasts."""


class Outage:
    """One log group's polls: since when none was whole."""

    def __init__(self, wall_ms: int, timer_ms: int) -> None:
        """Begin: ``wall_ms`` is up to when the past was scanned by an earlier run, or now."""
        self._wall_ms = wall_ms
        self._timer_ms = timer_ms
        self._told_ms: int | None = None

    def polled(self, wall_ms: int, timer_ms: int) -> bool:
        """A poll that began then was whole; whether that ended an outage that was declared."""
        was_told = self._told_ms is not None
        self._wall_ms, self._timer_ms, self._told_ms = wall_ms, timer_ms, None
        return was_told

    def suspected(self, wall_ms: int, timer_ms: int, allowance_ms: int) -> Range | None:
        """The range to declare, or to extend the declared one to; None: nothing new."""
        if timer_ms - self._timer_ms < AFTER_MS:
            return None
        if self._told_ms is not None and timer_ms - self._told_ms < AGAIN_MS:
            return None
        self._told_ms = timer_ms
        # What is younger than the allowance can't be proved by the next poll either. The clock
        # may have been set back meanwhile.
        through = max(0, wall_ms - allowance_ms)
        return max(0, min(self._wall_ms - allowance_ms, through)), through

"""Does a live path bring what scans find, and in time? Pure: time is an argument.

What a scan finds first the live path is given some time for. What it does not bring by then it
has missed, and polls take its place until it has been on time for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

CHANCE_MS: Final = 3_000
"""How long the live path is given: subscriptions take a second or two, the shard's pace more."""

PROBATION_MS: Final = 30_000
"""How long it must have missed nothing, and brought something, to be relied on again."""

SETTLING_MS: Final = 3_000
"""What was ingested so soon after the path began to be read may lie before its begin."""

BEHIND_MAX_MS: Final = 5_000
"""Further behind than this, polls are sooner."""

EXPECTED_MAX: Final = 50_000
"""Events that are waited for at once; of more nothing is concluded."""


class Punctuality:
    """One log group's."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.missed_count = 0
        """Events that scans found, and the live path did not bring in time."""
        self._since_ms: int | None = None
        self._behind_ms = 0
        self._heard_ms = 0
        self._found: list[str] = []
        self._expected: dict[str, int] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._missed_ms: int | None = None
        self._brought_ms: int | None = None

    # What happens

    def heard(self, behind_ms: int, now_ms: int) -> None:
        """The path was read just now, so far behind its end."""
        if self._since_ms is None:
            self._since_ms = now_ms
        self._behind_ms = behind_ms
        self._heard_ms = now_ms

    def broken(self) -> None:
        """The path can't be read; what it should have brought meanwhile is not held against it."""
        self._since_ms = None
        self._forget()

    def brought(self, ids: Iterable[str], now_ms: int) -> None:
        """The live path brought events, rows or not, known or not."""
        expected = self._expected
        for one in ids:
            expected.pop(one, None)
        self._brought_ms = now_ms

    def found(self, events: Iterable[tuple[str, int | None]]) -> None:
        """A scan was the first to return events: (id, ingestion time)."""
        since_ms = self._since_ms
        if since_ms is None:
            return
        room = EXPECTED_MAX - len(self._found) - len(self._expected)
        soon = (one for one, ingested in events if ingested and ingested >= since_ms + SETTLING_MS)
        self._found += [one for one, _ in zip(soon, range(room), strict=False)]

    def tick(self, now_ms: int) -> int:
        """Time has passed; how many events turned out to have been missed."""
        for one in self._found:
            self._expected[one] = now_ms + CHANCE_MS
            self._order.append((now_ms + CHANCE_MS, one))
        self._found.clear()
        missed = 0
        while self._order and self._order[0][0] <= now_ms:
            missed += self._expected.pop(self._order.popleft()[1], None) is not None
        if missed:
            self.missed_count += missed
            self._missed_ms = now_ms
        return missed

    # What follows from it

    def is_late(self, now_ms: int) -> bool:
        """Whether polls are as good: it is behind, or has missed something lately."""
        if now_ms - self._heard_ms + self._behind_ms > BEHIND_MAX_MS:
            return True
        missed_ms, brought_ms = self._missed_ms, self._brought_ms
        if missed_ms is None:
            return False
        was_good = brought_ms is not None and brought_ms > missed_ms
        return not was_good or now_ms - missed_ms < PROBATION_MS

    def had_its_chance(self, ingested_ms: int | None, begun_ms: int) -> bool:
        """Whether a scan begun then finds late what was ingested then: a gap, and a repair."""
        since_ms = self._since_ms
        return (
            since_ms is not None
            and ingested_ms is not None
            and since_ms + SETTLING_MS <= ingested_ms <= begun_ms - CHANCE_MS
        )

    def _forget(self) -> None:
        self._found.clear()
        self._expected.clear()
        self._order.clear()

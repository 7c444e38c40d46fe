"""What the connected viewers want of the past, and which window to fetch next. Pure.

Windows are shared: what was fetched for one viewer is in the journal for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from common.ranges import Range, RangeSet
from wire.query import History

WINDOW_FIRST_MS: Final = 60_000
"""The first window of a backfill: small, so that something is on the screen at once."""

WINDOW_MAX_MS: Final = 6 * 3_600_000
"""The largest: what a scan that breaks has to fetch again stays bounded."""


def windows(
    pieces: Sequence[Range],
    history: History = "newest",
    *,
    first_ms: int = WINDOW_FIRST_MS,
    max_ms: int = WINDOW_MAX_MS,
) -> Iterator[Range]:
    """Cut disjoint ranges into windows that double in size, newest (or oldest) first."""
    size = first_ms
    for from_, through in sorted(pieces, reverse=history == "newest"):
        low, high = from_, through
        while low <= high:
            if history == "newest":
                window = max(low, high - size + 1), high
                high = window[0] - 1
            else:
                window = low, min(high, low + size - 1)
                low = window[1] + 1
            size = min(2 * size, max_ms)
            yield window


OLDER_THAN_GROUP_MS: Final = 14 * 86_400_000
"""PutLogEvents takes events so much older than now, hence older than the log group."""

WINDOW_EVENTS_MAX: Final = 50_000
"""Above so many events windows become shorter: what a scan that breaks fetches again is bounded."""

LEASES_MAX: Final = 100
"""Wants of those who poll; beyond it the first ones go, which at most delays their past."""


class Want(msgspec.Struct, frozen=True):
    """One viewer's past: from when on, from which end, and the executions that it names.

    ``is_owed`` until all of it was sent: what is still to be sent needs its bodies.
    ``until_ms`` is when who polls is taken to have gone; None: until ``drop``.
    """

    since: int
    history: History = "newest"
    executions: tuple[str, ...] = ()
    is_owed: bool = True
    until_ms: int | None = None

    @property
    def past(self) -> tuple[int, History, tuple[str, ...]]:
        """What is wanted, whoever wants it and for how long."""
        return self.since, self.history, self.executions


class Wants:
    """Everybody's wants, and the backfill that follows from them."""

    def __init__(self) -> None:
        """Nobody wants anything."""
        self._wants: dict[Hashable, Want] = {}
        self._window_ms = WINDOW_FIRST_MS

    def put(self, key: Hashable, want: Want) -> None:
        """A viewer wants this, in place of what it wanted before; windows start small again."""
        before = self._wants.get(key)
        self._wants[key] = want
        if before is None or before.past != want.past:
            self._window_ms = WINDOW_FIRST_MS
        leased = [one for one, its in self._wants.items() if its.until_ms is not None]
        for one in leased[: max(0, len(leased) - LEASES_MAX)]:
            self.drop(one)

    def drop(self, key: Hashable) -> None:
        """A viewer has gone."""
        self._wants.pop(key, None)

    def expire(self, now_ms: int) -> None:
        """Who polled, and has not for a while, has gone."""
        for key, want in list(self._wants.items()):
            if want.until_ms is not None and want.until_ms <= now_ms:
                self.drop(key)

    @property
    def oldest(self) -> int | None:
        """The oldest ``since``; None where nobody wants anything."""
        return min((want.since for want in self._wants.values()), default=None)

    @property
    def oldest_owed(self) -> int | None:
        """The oldest ``since`` of those to whom the past is still being sent."""
        return min((want.since for want in self._wants.values() if want.is_owed), default=None)

    @property
    def executions(self) -> set[str]:
        """The executions that are named."""
        return {one for want in self._wants.values() for one in want.executions}

    @property
    def history(self) -> History:
        """From which end to fetch: newest first, unless everybody wants the oldest first."""
        histories = {want.history for want in self._wants.values()}
        return "oldest" if histories == {"oldest"} else "newest"

    def is_wanted(self, through: int) -> bool:
        """Whether anybody wants anything at or before ``through``."""
        return self.oldest is not None and self.oldest <= through

    def missing(self, coverage: RangeSet, through: int) -> list[Range]:
        """What is wanted at or before ``through`` and was never scanned, ascending."""
        return [] if self.oldest is None else coverage.missing(self.oldest, through)

    def next_window(self, coverage: RangeSet, through: int, floor_ms: int) -> Range | None:
        """The window to fetch next; None where nothing is missing.

        Args:
            coverage: what was scanned.
            through: the end of the past: what is newer comes by polls.
            floor_ms: nothing older is likely to exist: it is one window, however long.

        """
        pieces = list(_split(self.missing(coverage, through), floor_ms))
        if not pieces:
            return None
        end = pieces[-1] if self.history == "newest" else pieces[0]
        if end[1] < floor_ms:
            return end
        cut = windows([end], self.history, first_ms=self._window_ms, max_ms=end[1] + 1)
        return next(cut)

    def window_done(self, events: int) -> None:
        """A window was whole: the next is twice as long, or shorter where events are dense.

        Args:
            events: how many CloudWatch returned.

        """
        if events <= WINDOW_EVENTS_MAX:
            self._window_ms *= 2
        else:
            self._window_ms = max(WINDOW_FIRST_MS, self._window_ms // 2)


def _split(pieces: Iterable[Range], at_ms: int) -> Iterable[Range]:
    """The same pieces, none of which lies on both sides of ``at_ms``."""
    for from_, through in pieces:
        if from_ < at_ms <= through:
            yield from_, at_ms - 1
            yield at_ms, through
        else:
            yield from_, through

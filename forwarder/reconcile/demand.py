"""Backfill demand: which part of the past the viewers need, and what to fetch next. Pure.

Windows are shared: events fetched for one viewer are in the journal for all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

import msgspec

from common.ranges import Range, RangeSet
from wire.query import History

WINDOW_FIRST_MS: Final = 60_000
"""First window of a backfill: small, so that something is on the screen at once."""

WINDOW_EVENTS_MAX: Final = 50_000
"""Events above which windows become shorter: a scan that breaks off fetches its window again."""

LEASES_MAX: Final = 100
"""Requests of polling viewers; beyond it the first ones are dropped, which only delays them."""


class BackfillRequest(msgspec.Struct, frozen=True):
    """The history that one viewer asks for.

    Attributes:
        since: start, ms since the Unix epoch, inclusive.
        history: which end to fetch first.
        executions: executions whose end the viewer waits for.
        is_pending: whether some of it is still to be sent, so that retention must keep its bodies.
        expires_ms: when a polling viewer counts as gone; None for a connected one.
    """

    since: int
    history: History = "newest"
    executions: tuple[str, ...] = ()
    is_pending: bool = True
    expires_ms: int | None = None

    def is_part_of(self, other: BackfillRequest) -> bool:
        """Whether another request asks for this history, or more, in the same order."""
        is_alike = (self.history, self.executions) == (other.history, other.executions)
        return is_alike and other.since <= self.since


class BackfillDemand:
    """All viewers' requests, and the windows to fetch that follow from them."""

    def __init__(self) -> None:
        self._requests: dict[Hashable, BackfillRequest] = {}
        self._window_ms = WINDOW_FIRST_MS

    def request(self, viewer: Hashable, request: BackfillRequest) -> bool:
        """Add or replace a viewer's request; returns whether the viewer had none.

        Windows restart small if it asks for other history, but not for more of the same: a viewer
        that goes back hour by hour would need many calls for each.
        """
        before = self._requests.get(viewer)
        self._requests[viewer] = request
        if before is None or not before.is_part_of(request):
            self._window_ms = WINDOW_FIRST_MS
        leased = [one for one, its in self._requests.items() if its.expires_ms is not None]
        for one in leased[: max(0, len(leased) - LEASES_MAX)]:
            self.withdraw(one)
        return before is None

    def withdraw(self, viewer: Hashable) -> None:
        """Remove a viewer's request, if it has one."""
        self._requests.pop(viewer, None)

    def expire(self, now_ms: int) -> None:
        """Withdraw the requests of polling viewers whose lease has run out."""
        for viewer, request in list(self._requests.items()):
            if request.expires_ms is not None and request.expires_ms <= now_ms:
                self.withdraw(viewer)

    @property
    def earliest_since(self) -> int | None:
        """Earliest requested start, ms; None without requests."""
        return min((one.since for one in self._requests.values()), default=None)

    @property
    def earliest_pending_since(self) -> int | None:
        """Earliest start of a request that is still being sent, ms; None without one."""
        return min((one.since for one in self._requests.values() if one.is_pending), default=None)

    @property
    def executions(self) -> set[str]:
        """The executions whose end a viewer waits for."""
        return {execution for one in self._requests.values() for execution in one.executions}

    @property
    def history(self) -> History:
        """The end to fetch first: the oldest if all requests say so, else the newest."""
        histories = {one.history for one in self._requests.values()}
        return "oldest" if histories == {"oldest"} else "newest"

    def reaches(self, through: int) -> bool:
        """Whether a request includes time at or before ``through``."""
        since = self.earliest_since
        return since is not None and since <= through

    def missing(self, coverage: RangeSet, through: int) -> list[Range]:
        """The requested ranges up to ``through`` that were never scanned, ascending."""
        since = self.earliest_since
        return [] if since is None else coverage.missing(since, through)

    def next_window(self, coverage: RangeSet, through: int, floor_ms: int) -> Range | None:
        """The window to fetch next; None if nothing is missing.

        Args:
            coverage: the time that was scanned.
            through: end of the past; polls find what is newer.
            floor_ms: events before it are unlikely, so that this time is one window.
        """
        pieces = list(_split(self.missing(coverage, through), floor_ms))
        if not pieces:
            return None
        from_, to = pieces[-1] if self.history == "newest" else pieces[0]
        if to < floor_ms:
            return from_, to
        if self.history == "newest":
            return max(from_, to - self._window_ms + 1), to
        return from_, min(to, from_ + self._window_ms - 1)

    def record_window(self, events: int) -> None:
        """Double the next window after a complete one, or halve it where events are dense.

        Args:
            events: the number of events that CloudWatch returned.
        """
        if events <= WINDOW_EVENTS_MAX:
            self._window_ms *= 2
        else:
            self._window_ms = max(WINDOW_FIRST_MS, self._window_ms // 2)


def _split(pieces: Iterable[Range], at_ms: int) -> Iterable[Range]:
    """The pieces, split so that none lies on both sides of ``at_ms``."""
    for from_, through in pieces:
        if from_ < at_ms <= through:
            yield from_, at_ms - 1
            yield at_ms, through
        else:
            yield from_, through

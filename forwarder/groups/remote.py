"""The feed of a log group that another forwarder reads, as a server sees it through the log.

What viewers need from the owner goes to it as wants; what it says of CloudWatch comes back with its
status, whose age says how current it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

import msgspec

from forwarder.cluster import wants as coding
from forwarder.cluster.log import StoredStatus
from forwarder.cluster.status import Report
from forwarder.cluster.wants import BodiesWant, HistoryWant, Wants
from forwarder.journal.contract import Journal
from forwarder.reconcile.demand import BackfillRequest
from wire.messages import Upstream

STALE_MS: Final = 5_000
"""Age of the owner's status after which viewers are shown a delay; it is renewed each second."""

UNREADY_MS: Final = 30_000
"""Age after which a server is not ready: a takeover takes less."""

NO_OWNER: Final = "no forwarder reads the log group now: is one with --role ingest running?"
UNREACHABLE: Final = "the replicated journal can't be reached: what it held before is served"
STARTING: Final = "the log group's owner has not reported yet"
BEHIND: Final = "this server has not caught up with the replicated journal"
"""Reasons of a delay."""


class Freshness(msgspec.Struct):
    """The owner's latest status, and how old it is. Times are of a monotonic clock, ms."""

    report: Report = Report()
    is_known: bool = False
    written_at_ms: int = 0
    """When the owner wrote it, as far as the engine's clock says."""
    looked_at_ms: int = 0
    """When the engine was last reached."""

    def note(self, stored: StoredStatus, report: Report | None, at_ms: int) -> None:
        """Note a status that was read just now; ``report`` None: it is not valid yet."""
        self.looked_at_ms = at_ms
        if report is not None:
            self.report, self.is_known = report, True
            self.written_at_ms = at_ms - max(0, stored.now_ms - stored.written_ms)

    def age_ms(self, at_ms: int) -> int:
        """Age of the status; 0 before the first."""
        return max(0, at_ms - self.written_at_ms) if self.is_known else 0

    def upstream(self, at_ms: int) -> Upstream:
        """The owner's state of CloudWatch, or the delay where that is not known any more."""
        if not self.is_known:
            return Upstream("delayed", 0, "delayed", STARTING)
        age_ms, upstream = self.age_ms(at_ms), self.report.upstream
        lag_ms = (upstream.lag_ms or 0) + age_ms
        if age_ms > STALE_MS:
            is_cut_off = at_ms - self.looked_at_ms > STALE_MS
            why = UNREACHABLE if is_cut_off else NO_OWNER
            return Upstream("delayed", lag_ms, "delayed", why)
        return msgspec.structs.replace(upstream, lag_ms=lag_ms)


class RemoteFeed:
    """A feed in another process, reached through the log: a ``HubFeed``."""

    def __init__(
        self,
        journal: Journal,
        freshness: Freshness,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int],
    ) -> None:
        """Ask for nothing yet.

        Args:
            journal: the view's.
            freshness: the owner's status.
            clock: ms since the Unix epoch.
            timer: ms of a monotonic clock.
        """
        self.is_caught_up = True
        """Whether the view had all entries at the last look."""
        self.changed = asyncio.Event()
        """Set when there are other wants than before."""
        self._journal = journal
        self._freshness = freshness
        self._clock = clock
        self._timer = timer
        self._requests: dict[Hashable, BackfillRequest] = {}
        self._bodies: dict[BodiesWant, int] = {}
        self._applied: set[asyncio.Event] = set()

    @property
    def upstream(self) -> Upstream:
        """State of the owner's connection to CloudWatch, for heartbeats."""
        return self._freshness.upstream(self._timer())

    @property
    def is_ready(self) -> bool:
        """Whether viewers get the present, as far as the owner does."""
        fresh = self._freshness
        return (
            self.is_caught_up
            and fresh.is_known
            and fresh.age_ms(self._timer()) <= UNREADY_MS
            and fresh.report.is_ready
        )

    @property
    def problem(self) -> str | None:
        """Why viewers do not get the present."""
        if not self.is_caught_up:
            return BEHIND
        return self.upstream.reason or None

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Add or replace a viewer's request for history, until it is withdrawn or expires."""
        self._requests[viewer] = request
        self.changed.set()

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Remove a viewer's request."""
        self._requests.pop(viewer, None)
        self.changed.set()

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Have the owner refetch the bodies of a range; whether all came back in time.

        ``deadline_ms`` is of the wall clock, as the caller's.
        """
        want = BodiesWant(from_, through)
        self._bodies[want] = self._bodies.get(want, 0) + 1
        self.changed.set()
        applied = asyncio.Event()
        self._applied.add(applied)
        try:
            async with asyncio.timeout(max(0, deadline_ms - self._clock()) / 1000):
                while self._journal.bodiless(from_, through, 1):
                    await applied.wait()
                    applied.clear()
        except TimeoutError:
            return not self._journal.bodiless(from_, through, 1)
        finally:
            self._applied.discard(applied)
            self._bodies[want] -= 1
            if not self._bodies[want]:
                del self._bodies[want]
            self.changed.set()
        return True

    def note_applied(self) -> None:
        """Let refetches see whether their bodies have come."""
        for applied in self._applied:
            applied.set()

    def wants(self, position: int) -> bytes:
        """What the owner is asked for now, encoded; ``position`` is what is applied."""
        now_ms = self._clock()
        for viewer, request in list(self._requests.items()):
            if request.expires_ms is not None and request.expires_ms <= now_ms:
                del self._requests[viewer]
        history = {
            HistoryWant(one.since, one.history, one.executions, one.is_pending)
            for one in self._requests.values()
        }
        return coding.encode(Wants(position, coding.joined(history), tuple(sorted(self._bodies))))

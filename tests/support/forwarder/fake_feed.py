"""A log group's feed that a test controls, without CloudWatch."""

from __future__ import annotations

from collections.abc import Hashable

from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.feed import Feed
from wire.messages import Upstream
from wire.query import History


class FakeFeed(Feed):
    """Records history requests, and brings bodies back from ``bodies``."""

    # Attributes in place of the feed's read-only properties.
    upstream = Upstream("ok", 0)
    is_ready = True

    def __init__(self, group: LogGroup | None = None) -> None:
        self.group = group
        self.problem: str | None = None
        self.wanted: dict[Hashable, tuple[int, History, tuple[str, ...]]] = {}
        self.owed: set[Hashable] = set()
        self.until: dict[Hashable, int | None] = {}
        self.bodies: dict[str, str] = {}
        self.refetched: list[tuple[int, int]] = []

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Keep the request."""
        self.until[viewer] = request.expires_ms
        self.wanted[viewer] = request.since, request.history, request.executions
        (self.owed.add if request.is_pending else self.owed.discard)(viewer)

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Forget the request."""
        del self.wanted[viewer]
        self.owed.discard(viewer)

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:  # noqa: ARG002 - as the feed's
        """Bring back the bodies that a test has provided; the rest is lost."""
        self.refetched.append((from_, through))
        if self.group is None:
            return True
        journal = self.group.journal
        journal.restore(self.bodies)
        journal.mark_lost([row.id for row in journal.bodiless(from_, through, 1_000)], "gone")
        return True

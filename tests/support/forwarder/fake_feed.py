"""A fake feed without CloudWatch."""

from __future__ import annotations

from collections.abc import Hashable

from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.feed import Feed
from wire.messages import Upstream
from wire.query import History


class FakeFeed(Feed):
    """Records backfill requests and restores bodies from ``bodies``."""

    # Attributes in place of the feed's read-only properties.
    upstream = Upstream("ok", 0)
    is_ready = True

    def __init__(self, group: LogGroup | None = None) -> None:
        self.group = group
        self.problem: str | None = None
        self.wanted: dict[Hashable, tuple[int, History, tuple[str, ...]]] = {}
        self.pending: set[Hashable] = set()
        self.until: dict[Hashable, int | None] = {}
        self.bodies: dict[str, str] = {}
        self.refetched: list[tuple[int, int]] = []

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Record the request."""
        self.until[viewer] = request.expires_ms
        self.wanted[viewer] = request.since, request.history, request.executions
        (self.pending.add if request.is_pending else self.pending.discard)(viewer)

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Remove the request."""
        del self.wanted[viewer]
        self.pending.discard(viewer)

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:  # noqa: ARG002 - overrides
        """Restore the bodies in ``bodies`` and mark all others lost."""
        self.refetched.append((from_, through))
        if self.group is None:
            return True
        journal = self.group.journal
        journal.restore(self.bodies)
        journal.mark_lost([row.id for row in journal.bodiless(from_, through, 1_000)], "gone")
        return True

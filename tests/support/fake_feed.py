"""A log group's feed that a test controls, without CloudWatch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.feed import Feed
from wire.messages import Upstream
from wire.query import History


class FakeFeed(Feed):
    """Records history requests, and brings bodies back from ``bodies``."""

    # Attributes in place of the feed's read-only properties.
    upstream = Upstream("ok", 0)
    ready = True

    def __init__(self, group: LogGroup | None = None) -> None:
        self.group = group
        self.trouble: str | None = None
        self.wanted: dict[Hashable, tuple[int, History, tuple[str, ...]]] = {}
        self.owed: set[Hashable] = set()
        self.until: dict[Hashable, int | None] = {}
        self.bodies: dict[str, str] = {}
        self.refetched: list[tuple[int, int]] = []

    def want(
        self,
        key: Hashable,
        since: int,
        history: History = "newest",
        executions: Sequence[str] = (),
        *,
        is_owed: bool = True,
        until_ms: int | None = None,
    ) -> None:
        """Record a request."""
        self.until[key] = until_ms
        self.wanted[key] = since, history, tuple(executions)
        (self.owed.add if is_owed else self.owed.discard)(key)

    def unwant(self, key: Hashable) -> None:
        """Drop a request."""
        del self.wanted[key]
        self.owed.discard(key)

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:  # noqa: ARG002 - as the feed's
        """Bring back the bodies that a test has provided; the rest is lost."""
        self.refetched.append((from_, through))
        if self.group is None:
            return True
        journal = self.group.journal
        journal.restore(self.bodies)
        journal.mark_lost([row.id for row in journal.bodiless(from_, through, 1_000)], "gone")
        return True

"""A log group's feed that does as a test tells it, with the journal of ``session_client``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from forwarder.ingest.log_group import LogGroup
from wire.messages import Upstream
from wire.query import History


class FakeFeed:
    """Keeps what is wanted, and brings bodies back from ``bodies``."""

    def __init__(self, group: LogGroup | None = None) -> None:
        """All is well, and a poll has been whole."""
        self.group = group
        self.upstream = Upstream("ok", 0)
        self.ready = True
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
        """Keep it."""
        self.until[key] = until_ms
        self.wanted[key] = since, history, tuple(executions)
        (self.owed.add if is_owed else self.owed.discard)(key)

    def unwant(self, key: Hashable) -> None:
        """Forget it."""
        del self.wanted[key]
        self.owed.discard(key)

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:  # noqa: ARG002 - as the feed's
        """Bring back the bodies that a test has put there; the rest is lost."""
        self.refetched.append((from_, through))
        if self.group is None:
            return True
        journal = self.group.journal
        journal.restore(self.bodies)
        journal.mark_lost([row.id for row in journal.bodiless(from_, through, 1_000)], "gone")
        return True

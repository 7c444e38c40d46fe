"""Range sums shared by all viewers with the same filter."""

from __future__ import annotations

from forwarder.journal.contract import Journal
from forwarder.records import RangeTotal
from wire.query import Filter


class Totals:
    """Exact totals of any range of a journal."""

    def __init__(self, journal: Journal) -> None:
        """Ask ``journal`` for what is not known yet."""
        self._journal = journal

    def total(
        self,
        from_: int,
        through: int,
        wanted: Filter,
        *,
        base: int = 0,
        seq: int | None = None,
    ) -> RangeTotal:
        """As ``Journal.total``."""
        return self._journal.total(from_, through, wanted, base=base, seq=seq)

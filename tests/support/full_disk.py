"""A journal whose disk is full at the worst moment."""

from __future__ import annotations

from collections.abc import Sequence

from forwarder.errors import JournalFullError
from forwarder.records import GapRecord, LogEvent
from tests.support.memory_journal import MemoryJournal
from wire.messages import ExecutionStatus, Origin


class FillingJournal(MemoryJournal):
    """Refuses the writes that ``refuses`` names, as a disk does that is full just then."""

    def __init__(self, group: str) -> None:
        super().__init__(group)
        self.refuses: set[str] = set()

    def _write(self, name: str) -> None:
        if name in self.refuses:
            msg = "no room"
            raise JournalFullError(msg)

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events."""
        self._write("append")
        return super().append(events, origin)

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage."""
        self._write("cover")
        super().cover(from_, through)

    def put_gap(self, gap: GapRecord) -> None:
        """Store a gap."""
        self._write("put_gap")
        super().put_gap(gap)

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember, or forget, that an execution is over."""
        self._write("put_ended")
        super().put_ended(execution, status, rule)

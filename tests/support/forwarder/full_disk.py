"""An in-memory journal whose writes can fail as on a full disk."""

from __future__ import annotations

from collections.abc import Sequence

from forwarder.errors import JournalFullError
from forwarder.records import GapRecord, LogEvent
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.messages import ExecutionStatus, Origin


class FullDiskJournal(MemoryJournal):
    """Raises ``JournalFullError`` for the methods named in ``refuses``."""

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
        """Add or replace a gap."""
        self._write("put_gap")
        super().put_gap(gap)

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember or forget the end of an execution."""
        self._write("put_ended")
        super().put_ended(execution, status, rule)

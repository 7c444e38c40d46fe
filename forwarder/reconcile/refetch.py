"""Refetches bodies that retention removed; those that CloudWatch lacks as well are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from forwarder.cloudwatch.catalogue import find_stream
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import CloudWatchError, JournalFullError
from forwarder.ingest.alterations import ALTERED_LOST
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.scanner import Scanner
from forwarder.records import Row

SLICE_ROWS: Final = 20_000
"""Rows without bodies that one scan refetches."""

STREAM_LOOKUPS_MAX: Final = 20
"""Log streams that are looked up to say why their events are lost."""

GONE: Final = "CloudWatch Logs does not have these events any more"
DELETED: Final = "the log stream was deleted"


class Refetcher:
    """Refetches the bodies of one log group, one range at a time."""

    def __init__(
        self, group: LogGroup, cloudwatch: CloudWatch, scanner: Scanner, *, clock: Callable[[], int]
    ) -> None:
        """Create it for the log group of ``scanner``; ``clock`` returns ms."""
        self._group = group
        self._cloudwatch = cloudwatch
        self._scanner = scanner
        self._clock = clock
        self.bodies = asyncio.Lock()
        """Held during a refetch, so that retention does not remove the bodies meanwhile."""

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Refetch every body of a range, or mark it lost; whether all was done in time.

        Missing bodies are scanned for twice: where log streams are deleted meanwhile, a single
        scan may end early without an error. A scan that proves nothing makes nothing lost.

        Args:
            from_: ms, inclusive.
            through: ms, inclusive.
            deadline_ms: ms of the clock; bodies that are back by then stay.

        Raises:
            JournalError: the journal can't be written.
        """
        if not self._group.journal.bodiless(from_, through, 1):
            return True
        try:
            async with asyncio.timeout((deadline_ms - self._clock()) / 1000), self.bodies:
                while rows := self._group.journal.bodiless(from_, through, SLICE_ROWS):
                    await self._refetch_rows(rows)
        except (TimeoutError, CloudWatchError, JournalFullError):
            return not self._group.journal.bodiless(from_, through, 1)
        return True

    async def _refetch_rows(self, rows: list[Row]) -> None:
        """Refetch the bodies of these rows, or mark them lost."""
        epoch = self._group.epoch
        missing = rows
        for _ in range(2):
            low = min(row.timestamp for row in missing)
            high = max(row.timestamp for row in missing)
            await self._scanner.scan("backfill", low, high, priority=Priority.SCAN, must_prove=True)
            if self._group.epoch != epoch:  # a new chain does not have these rows
                return
            wanted = {row.id for row in missing}
            still = self._group.journal.bodiless(low, high, SLICE_ROWS + len(rows))
            missing = [row for row in still if row.id in wanted]
            if not missing:
                return
        await self._mark_lost(missing)

    async def _mark_lost(self, rows: list[Row]) -> None:
        epoch = self._group.epoch
        by_stream: dict[str, set[str]] = {}
        for row in rows:
            by_stream.setdefault(row.stream, set()).add(row.id)
        reasons = {}
        for stream in list(by_stream)[:STREAM_LOOKUPS_MAX]:
            if await find_stream(self._cloudwatch, self._group.name, stream) is None:
                reasons[stream] = DELETED
        if self._group.epoch != epoch:
            return
        altered = {row.id for row in rows if self._group.alterations.is_altered(row.seq)}
        for stream, ids in by_stream.items():
            if stream in reasons:
                self._group.mark_stream_deleted(stream)
            self._group.journal.mark_lost(ids & altered, ALTERED_LOST)
            self._group.journal.mark_lost(ids - altered, reasons.get(stream, GONE))

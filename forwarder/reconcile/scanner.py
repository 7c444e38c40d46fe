"""Runs one scan of a log group after another through its door, a page at a time.

Beside the poll, one page of one scan is under way at a time: scans that go on together share
what a single one would cost, and a short one need not wait for a long one.

Asks how old a log group is and how long it keeps its events, and tells its door.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from forwarder.cloudwatch.catalogue import find_group
from forwarder.cloudwatch.clock import timer_ms
from forwarder.cloudwatch.rate_limit import Priority
from forwarder.cloudwatch.reader import CloudWatch, Observer
from forwarder.config import DAY_MS
from forwarder.errors import AccessDeniedError, CloudWatchError
from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.ingest.scan import Scan, ScanKind
from forwarder.records import LogEvent, Row

_LOG: Final = logging.getLogger("gapless.forwarder")


class Settings:
    """One log group's."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        *,
        clock: Callable[[], int],
        on_progress: Callable[[], None],
    ) -> None:
        """Nothing is asked yet; ``clock`` is the wall's, ms.

        ``on_progress`` is told when viewers must hear of something.
        """
        self.created_ms: int | None = None
        """When the log group was made; None: not known."""
        self.needed = asyncio.Event()
        """Set where they are to be asked for sooner than by and by."""
        self._group = group
        self._cloudwatch = cloudwatch
        self._clock = clock
        self._on_progress = on_progress
        self._is_denied = False

    async def learn(self) -> bool:
        """Ask once; whether there is such a log group.

        Raises:
            CloudWatchError: nobody can tell.

        """
        number = self._group.first_scan_count
        try:
            found = await find_group(self._cloudwatch, self._group.name)
        except AccessDeniedError:
            self._is_denied = True
            raise
        self._is_denied = False
        if found is None:
            return False
        days = found.retention_days
        self.created_ms = found.created
        self._group.learn_settings(None if days is None else days * DAY_MS, found.created, number)
        if found.created is not None and self._group.lacks_older(found.created):
            _LOG.warning("%s: %s", self._group.name, RECREATED)
            self._group.begin_chain(RECREATED)
        self._on_progress()
        return True

    async def settle(self, scan: Scan) -> None:
        """Ask before a scan that has its last page is finished, if retention may have been first.

        One more call for each range that is older than a day and was never scanned before. Where
        it fails, the scan stands, and what it did not see is declared once somebody can tell.
        """
        is_old = self._group.is_first_old_scan(scan, self._clock())
        if self._is_denied or not is_old:
            return
        try:
            scan.is_settled = await self.learn()
        except CloudWatchError as error:
            _LOG.debug("%s: can't look up its settings: %s", self._group.name, error)
            self.needed.set()

    def scanned(self) -> None:
        """A scan was whole: it may lack what a retention that was made shorter has taken."""
        if not self._is_denied and self._group.lacks_old(self._clock()):
            self.needed.set()


CHUNK_EVENTS: Final = 1_000
"""Events that go through the door at once: more, and viewers would wait for it."""


class Scanner:
    """The way from CloudWatch to one log group's door."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        settings: Settings,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int] = timer_ms,
        on_progress: Callable[[], None],
        on_late: Callable[[list[Row]], None],
    ) -> None:
        """Make one for a log group.

        Args:
            group: the door.
            cloudwatch: where to read.
            settings: the log group's, asked for where a scan might come too late.
            clock: ms since the Unix epoch.
            timer: ms of the clock that is never set by which ``cloudwatch`` times its answers.
            on_progress: told after each chunk that brought something new, and after each scan.
            on_late: told of new events (and others that came with them) behind a mark.

        """
        self._group = group
        self._cloudwatch = cloudwatch
        self._settings = settings
        self._clock = clock
        self._timer = timer
        self._on_progress = on_progress
        self._on_late = on_late
        self._one_page = asyncio.Lock()

    async def scan(
        self,
        kind: ScanKind,
        from_: int,
        through: int | None,
        *,
        priority: Priority,
        observer: Observer | None = None,
        is_wanted: Callable[[], bool] | None = None,
    ) -> int | None:
        """Scan a range; how many events it returned, None if nobody wants it any more.

        Raises:
            CloudWatchError: it broke off; what it found stays.
            InvalidEventError: CloudWatch gave an event that the protocol has no place for.
            JournalError: the journal can't be written.

        """
        scan = self._group.begin_scan(kind, from_, through, self._clock())
        count: int | None = None
        begun_s, begun_at_ms = time.monotonic(), self._timer()
        pages = self._cloudwatch.fetch_logs_since_timestamp(
            self._group.name, from_, through, priority=priority, observer=observer
        )
        try:
            async with aclosing(pages):
                count = await self._take_pages(scan, pages, is_wanted)
            if count is not None:
                await self._settings.settle(scan)
        finally:
            passed_s = time.monotonic() - begun_s
            self._group.counts.add_scan(kind, passed_s, is_whole=count is not None)
            if count is None:
                self._group.abandon_scan(scan)
                self._on_progress()
        if count is not None:
            if self._is_past(scan, begun_at_ms):
                self._group.finish_scan(scan, self._clock())
            else:
                self._group.abandon_scan(scan)
            self._on_progress()
        return count

    def _is_past(self, scan: Scan, begun_at_ms: int) -> bool:
        """Whether its range had begun when it did, by CloudWatch's clock as known by now.

        Its own answers may have been the first to tell that ours is ahead.
        """
        most_ms = self._cloudwatch.skew.server.latest_ms(begun_at_ms)
        if most_ms is not None:
            scan.begun_ms = min(scan.begun_ms, most_ms)
        return scan.begun_ms >= scan.from_

    async def _take_pages(
        self,
        scan: Scan,
        pages: AsyncGenerator[list[LogEvent], None],
        is_wanted: Callable[[], bool] | None,
    ) -> int | None:
        count = 0
        while is_wanted is None or is_wanted():
            if scan.kind == "live":
                page = await anext(pages, None)
            else:
                async with self._one_page:
                    page = await anext(pages, None)
            if page is None:
                return count
            await self._take_in(scan, page)
            count += len(page)
        return None

    async def _take_in(self, scan: Scan, page: list[LogEvent]) -> None:
        for start in range(0, len(page), CHUNK_EVENTS):
            taken = scan.take_page(page[start : start + CHUNK_EVENTS])
            if taken.late:
                after = taken.head_seq - taken.new
                self._on_late(self._group.journal.read_after(after, taken.new))
            if taken.new:
                self._on_progress()
            await asyncio.sleep(0)

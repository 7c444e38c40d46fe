"""Scans a log group page by page, and looks up its settings where a scan depends on them.

Besides the poll, one page at a time is fetched for all scans: concurrent scans together cost as
much as one alone, and a short scan need not wait for a long one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from forwarder.cloudwatch.catalogue import find_group
from forwarder.cloudwatch.clock import timer_ms
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import Turn
from forwarder.cloudwatch.reader import CloudWatch, Observer, ReadReport
from forwarder.config import DAY_MS
from forwarder.errors import AccessDeniedError, CloudWatchError, ScanInconclusiveError
from forwarder.ingest.executions import find_ends
from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.ingest.scan import Scan, ScanKind
from forwarder.records import LogEvent, Row, UnreadableEvent

_LOG: Final = logging.getLogger("gapless.forwarder")


CHUNK_EVENTS: Final = 1_000
"""Events taken in without a pause: more would make viewers wait."""

RECREATED_EVERY_MS: Final = 30_000
"""Least time between two new chains of a recreated log group.

While AWS replaces a log group, replies of the former one may alternate with those of the new one.
"""

AGE_DENIED: Final = "allow logs:DescribeLogGroups to find out whether the log group was recreated"
AGE_UNKNOWN: Final = "CloudWatch does not say when the log group was created"
NOT_RECREATED: Final = "the log group was not recreated"
"""What a check of the log group's age found; added to the reason of a gap."""


class GroupSettings:
    """Age and retention of one log group, as CloudWatch has them."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int] = timer_ms,
        on_progress: Callable[[], None],
    ) -> None:
        """Make no call yet.

        Args:
            group: learns the settings.
            cloudwatch: where to look them up.
            clock: ms since the Unix epoch.
            timer: ms of a monotonic clock.
            on_progress: called when there may be something new for viewers.
        """
        self.created_ms: int | None = None
        """When the log group was created; None: unknown."""
        self.stored_bytes: int | None = None
        """Its size, as of some hours ago; None: unknown."""
        self.needed = asyncio.Event()
        """Set when the settings are needed sooner than their next regular lookup."""
        self.conflicted = asyncio.Event()
        """Set when an answer contradicts the journal [17]: was the log group recreated?"""
        self._group = group
        self._cloudwatch = cloudwatch
        self._clock = clock
        self._timer = timer
        self._on_progress = on_progress
        self._is_denied = False
        self._recreated_at_ms: int | None = None

    async def refresh(self) -> bool:
        """Look up the settings; whether the log group exists.

        Raises:
            CloudWatchError: the lookup failed.
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
        self.created_ms, self.stored_bytes = found.created, found.stored_bytes
        self._group.learn_settings(None if days is None else days * DAY_MS, found.created, number)
        if found.created is not None and self._group.is_recreated(found.created):
            self._begin_chain()
        self._on_progress()
        return True

    def _begin_chain(self) -> None:
        """Start over for a recreated log group, but not again and again within a moment."""
        last_ms, at_ms = self._recreated_at_ms, self._timer()
        if last_ms is not None and at_ms - last_ms < RECREATED_EVERY_MS:
            self.needed.set()
            return
        self._recreated_at_ms = at_ms
        _LOG.warning("%s: %s", self._group.name, RECREATED)
        self._group.begin_chain(RECREATED)

    async def check_age(self) -> None:
        """Find out whether the log group was recreated, after answers contradicted the journal.

        Only a creation time that confirms it begins a new chain: an inconsistent answer proves
        nothing, and what only the journal still has would be lost. Without the permission to look
        it up, the gap stays declared.
        """
        epoch = self._group.epoch
        try:
            if await self.refresh() and self._group.epoch == epoch:
                is_known = self.created_ms is not None
                self._group.explain_conflicts(NOT_RECREATED if is_known else AGE_UNKNOWN)
        except AccessDeniedError:
            self._group.explain_conflicts(AGE_DENIED)
        except CloudWatchError as error:
            _LOG.debug("%s: can't look up its creation time: %s", self._group.name, error)
        self._on_progress()

    async def settle(self, scan: Scan) -> None:
        """Look up the settings before a scan is finished whose events retention may have removed.

        That is one more call for each range older than a day that was never scanned before. If it
        fails, the scan counts, and the events it lacks are declared after a later lookup.
        """
        is_old = self._group.is_first_old_scan(scan, self._clock())
        if self._is_denied or not is_old:
            return
        try:
            scan.is_settled = await self.refresh()
        except CloudWatchError as error:
            _LOG.debug("%s: can't look up its settings: %s", self._group.name, error)
            self.needed.set()

    def note_scan(self) -> None:
        """Look up the settings soon if a scan lacks events that a shorter retention may explain."""
        if not self._is_denied and self._group.lacks_old(self._clock()):
            self.needed.set()


class Scanner:
    """Reads ranges of one log group from CloudWatch into the journal."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        settings: GroupSettings,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int] = timer_ms,
        on_progress: Callable[[], None],
        on_late: Callable[[list[Row]], None],
        on_page: Callable[[Sequence[LogEvent]], None] = lambda _: None,
    ) -> None:
        """Create the scanner of a log group.

        Args:
            group: takes in the events.
            cloudwatch: where to read.
            settings: the log group's.
            clock: ms since the Unix epoch.
            timer: ms of the monotonic clock; ``cloudwatch`` must time its replies by the same one.
            on_progress: called after each chunk with new events, and after each scan.
            on_late: called with the new events of a chunk that has events behind a mark.
            on_page: called with the events of each page.
        """
        self._group = group
        self._cloudwatch = cloudwatch
        self._settings = settings
        self._clock = clock
        self._timer = timer
        self._on_progress = on_progress
        self._on_late = on_late
        self._on_page = on_page
        self._one_page = asyncio.Lock()
        self._has_warned = False

    async def scan(  # noqa: PLR0913 - a scan's range, pacing and end
        self,
        kind: ScanKind,
        from_: int,
        through: int | None,
        *,
        priority: Priority,
        turn: Turn | None = None,
        observer: Observer | None = None,
        is_needed: Callable[[], bool] | None = None,
        is_one_page: bool = False,
        must_prove: bool = False,
    ) -> int | None:
        """Scan a range; returns the number of events, None if it was given up.

        Args:
            kind: purpose of the scan.
            from_: ms, inclusive.
            through: ms, inclusive; None: open.
            priority: priority of its calls.
            turn: for its first call; the caller releases it.
            observer: called with the result of each attempt at a page.
            is_needed: asked before each page; the scan is given up when it returns False.
            is_one_page: whether to give the scan up after its first page if more follow.
            must_prove: whether a scan that proves nothing is an error.

        Raises:
            CloudWatchError: the scan broke off; the events that it found stay.
            ScanInconclusiveError: its answers contradict the journal, or it was resumed by time.
            JournalError: the journal can't be written.
        """
        scan = self._group.begin_scan(kind, from_, through, self._clock())
        scan.reads_history = is_one_page
        count: int | None = None
        begun_s, begun_at_ms = time.monotonic(), self._timer()
        report = ReadReport()
        pages = self._cloudwatch.fetch_logs_since_timestamp(
            self._group.name,
            from_,
            through,
            pattern=self._group.pattern,
            priority=priority,
            turn=turn,
            observer=observer,
            report=report,
        )
        try:
            async with aclosing(pages):
                count = await self._take_pages(scan, pages, report, is_needed, is_one_page)
            if count is not None:
                await self._settings.settle(scan)
        finally:
            passed_s = time.monotonic() - begun_s
            self._group.counts.add_scan(kind, passed_s, is_whole=count is not None)
            if count is None:
                self._group.abandon_scan(scan)
                self._on_progress()
        if count is not None:
            self._cap_start(scan, begun_at_ms)
            if scan.begun_ms >= scan.from_:
                self._group.finish_scan(scan, self._clock())
            else:
                self._group.abandon_scan(scan)
            self._on_progress()
            if must_prove and not scan.is_conclusive:
                msg = "CloudWatch Logs answered inconsistently; it will be asked again"
                raise ScanInconclusiveError(msg)
        return count

    def _cap_start(self, scan: Scan, begun_at_ms: int) -> None:
        """Cap a scan's start by CloudWatch's clock as known by now.

        The scan's own replies may be the first to show that this machine's clock is ahead. A scan
        whose range starts after its capped start has seen none of its time, and proves nothing.
        """
        latest_ms = self._cloudwatch.skew.server.latest_ms(begun_at_ms)
        if latest_ms is not None:
            scan.begun_ms = min(scan.begun_ms, latest_ms)

    async def _take_pages(
        self,
        scan: Scan,
        pages: AsyncGenerator[list[LogEvent], None],
        report: ReadReport,
        is_needed: Callable[[], bool] | None,
        is_one_page: bool,  # noqa: FBT001 - as of ``scan``
    ) -> int | None:
        count = 0
        while is_needed is None or is_needed():
            if scan.kind == "live":
                page = await anext(pages, None)
            else:
                async with self._one_page:
                    page = await anext(pages, None)
            self._take_report(scan, report)
            if page is None:
                return count
            self._on_page(page)
            await self._take_in(scan, page)
            count += len(page)
            if is_one_page and report.has_more:
                break
        return None

    def _take_report(self, scan: Scan, report: ReadReport) -> None:
        scan.is_resumed = report.restart_count > 0
        unreadable, report.unreadable = report.unreadable, []
        scan.set_aside(scan, unreadable)
        if unreadable:
            self._warn(unreadable[0])

    def _warn(self, one: UnreadableEvent) -> None:
        if not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "%s: CloudWatch sent the event %s, which can't be shown: %s (check --endpoint-url;"
                " /metrics counts such events)",
                self._group.name,
                one.text,
                one.why,
            )

    async def _take_in(self, scan: Scan, page: list[LogEvent]) -> None:
        for start in range(0, len(page), CHUNK_EVENTS):
            events = page[start : start + CHUNK_EVENTS]
            taken = scan.take_page(events, await find_ends(self._group.lifecycle, events))
            if taken.held:
                self._settings.conflicted.set()
            if taken.late:
                after = taken.head_seq - taken.new
                self._on_late(self._group.journal.read_after(after, taken.new))
            if taken.new:
                self._on_progress()
            await asyncio.sleep(0)

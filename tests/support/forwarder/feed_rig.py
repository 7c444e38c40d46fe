"""Runs a feed on a fake CloudWatch, an in-memory journal and a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from common.ranges import Range
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.config import Config
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.feed import Feed
from forwarder.records import GapRecord, Notice, ScanDone
from tests.support.forwarder.fake_cloudwatch import Clock, FakeCloudWatch
from tests.support.forwarder.memory_journal import MemoryJournal

GROUP = "/fake/group"


def missing(feed: Feed, since: int) -> list[Range]:
    """The ranges up to a feed's last poll that no complete scan has covered yet."""
    return feed._group.coverage.missing(since, feed._backfill_end())


class FeedRig:
    """A feed and its collaborators; ``run`` runs it, ``pass_ms`` advances the clock."""

    def __init__(self, journal: MemoryJournal | None = None, *, now_ms: int | None = None) -> None:
        self.clock = Clock() if now_ms is None else Clock(now_ms)
        self.set_by_ms = 0
        """Total by which the wall clock was set, which does not count as elapsed time."""
        self.cloudwatch = FakeCloudWatch(GROUP, self.clock)
        self.journal = journal or MemoryJournal(GROUP)
        self.group = LogGroup(self.journal)
        self.config = Config(groups=(GROUP,))
        self.feed = Feed(
            self.group,
            self.cloudwatch,
            config=self.config,
            clock=self.clock,
            timer=self.timer,
            on_progress=self._progress,
        )
        self.notices: list[Notice] = []
        self._changed = asyncio.Event()
        self._runs: asyncio.Task[None] | None = None

    @property
    def now_ms(self) -> int:
        """The wall clock, ms."""
        return self.clock.now_ms

    def timer(self) -> int:
        """A monotonic clock, ms: changes of the wall clock do not affect it."""
        return self.clock.now_ms - self.set_by_ms

    def set_clock(self, by_ms: int) -> None:
        """Set the wall clock forward, or back if negative."""
        self.clock.now_ms += by_ms
        self.set_by_ms += by_ms

    def _progress(self) -> None:
        self.notices += self.group.take_notices()
        self._changed.set()

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the feed for the length of the block, which starts after the first poll."""
        self._runs = asyncio.create_task(self.feed.run())
        try:
            await self.until(lambda: self.feed.is_ready)
            yield
        finally:
            # ``until`` raises the error of a feed that has failed.
            if not self._runs.done():
                self._runs.cancel()
                with suppress(asyncio.CancelledError):
                    await self._runs

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; raises the feed's error if it fails."""
        async with asyncio.timeout(240):
            while not condition():
                if self._runs is not None and self._runs.done():
                    self._runs.result()
                # Some conditions change without progress for viewers.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()
                self._changed.clear()

    async def pass_ms(self, milliseconds: int) -> None:
        """Advance the clock and wait until all scans that became due have finished."""
        self.clock.now_ms += milliseconds
        begun, finished = len(self.cloudwatch.asked), self.cloudwatch.finished
        self.feed.poll_now()
        await self.until(lambda: len(self.cloudwatch.asked) > begun)
        await self.until(
            lambda: self.cloudwatch.finished - finished >= len(self.cloudwatch.asked) - begun
        )
        for _ in range(20):  # for tasks that follow the last page
            await asyncio.sleep(0)

    async def try_again(self) -> None:
        """Let time pass until a failed poll is due again, and wait for it to begin."""
        self.clock.now_ms += 20_000
        polls = self._polls()
        self.feed._schedule_changed.set()  # time alone would do the same, later
        await self.until(lambda: self._polls() > polls)

    def has_asked(self, priority: Priority) -> bool:
        """Whether a scan of a priority has begun."""
        return any(asked[0] is priority for asked in self.cloudwatch.asked)

    def _polls(self) -> int:
        return sum(priority is Priority.POLL for priority, _, _ in self.cloudwatch.asked)

    def missing(self, since: int) -> list[Range]:
        """The ranges up to the last poll that no complete scan has covered yet."""
        return missing(self.feed, since)

    def messages(self) -> list[str | None]:
        """The journal's messages in order of discovery."""
        return [row.message for row in self.journal.read_after(0, 1_000_000)]

    def marks(self) -> list[ScanDone]:
        """The marks so far."""
        return [one for one in self.notices if isinstance(one, ScanDone)]

    def gaps(self) -> list[GapRecord]:
        """The gap notices so far."""
        return [one for one in self.notices if isinstance(one, GapRecord)]

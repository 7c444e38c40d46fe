"""Serves log groups that other forwarders read: follows their logs into local views.

The event loop applies entries, which takes milliseconds; a thread for each log group waits for them
and reads them, so that a slow engine never delays a viewer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from common.concurrency import Backoff, wait_and_clear
from forwarder.cloudwatch.clock import timer_ms
from forwarder.cluster import presence
from forwarder.cluster import status as statuses
from forwarder.cluster.catching_up import READ_ENTRIES, catch_up, check_prefix
from forwarder.cluster.engine import EngineClock, EngineMaker, EngineThread
from forwarder.cluster.entries import BeginChain, BeginEpoch, Change
from forwarder.cluster.log import PRESENCE, Head, Log, News, StoredStatus
from forwarder.cluster.presence import Presence
from forwarder.cluster.view import View
from forwarder.config import Config
from forwarder.delivery.hub import Hub
from forwarder.errors import JournalFullError, NotFollowedError
from forwarder.groups.journals import file_bytes, journal_name
from forwarder.groups.remote import Freshness, RemoteFeed
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.followed import FollowedGroup
from forwarder.ingest.log_group import LogGroup
from forwarder.records import FeedKey

_LOG: Final = logging.getLogger("gapless.forwarder")

WAIT_MS: Final = 500
"""Longest wait for entries; after it the owner's status is read, which each second replaces."""

CATCH_UP_S: Final = 2.0
"""How long a viewer that connects waits for what the log has and the view does not."""

WANTS_S: Final = 2.0
WANTS_TTL_MS: Final = 15_000
"""Interval at which a server repeats its wants, and how long the owner believes them."""

PATTERN_LOOKS: Final = 40
"""Looks whether a forwarder has read a feed with a filter pattern; each takes half a second."""

RETRY_FIRST_MS: Final = 200
RETRY_MAX_MS: Final = 2_000
"""Waits after a failed call to the engine."""

TAKEN_OVER: Final = "another forwarder has taken over the log group"
NOT_INGESTED: Final = "no forwarder has read it yet: start one with --role ingest"


class _Look(NamedTuple):
    """What one look at a log found, and the moments of the wall clock around it."""

    news: News
    asked_ms: int
    answered_ms: int


def _look(log: Log, after: int, wall_ms: Callable[[], int]) -> _Look:
    """Read what is new in a log; blocks."""
    asked_ms = wall_ms()
    return _Look(log.look(after, READ_ENTRIES), asked_ms, wall_ms())


class ControlThread:
    """The short calls of all followed log groups, over one connection."""

    def __init__(self, make_engine: EngineMaker) -> None:
        """Start the thread; the first call connects."""
        self._thread = EngineThread(make_engine())
        self._logs: dict[FeedKey, Log] = {}
        self._asked: dict[FeedKey, asyncio.Task[Head]] = {}

    async def head(self, key: FeedKey) -> Head:
        """The end of a log at this moment or later. Requests that come together share a call.

        Raises:
            JournalError: The engine can't be used.
        """
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(key))
            # A viewer that has left must not make an error one that nobody retrieved.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _ask(self, key: FeedKey) -> Head:
        log = self._log(key)

        def ask() -> Head:
            # Requests from now on need a later answer than this one.
            self._asked.pop(key, None)
            return log.head()

        return await self._thread.run(ask)

    async def want(self, key: FeedKey, wants: bytes) -> None:
        """Leave this server's wants for a log group's owner.

        Raises:
            JournalError: The engine can't be used.
        """
        log, name = self._log(key), self._thread.engine.name
        await self._thread.run(partial(log.want, name, wants, WANTS_TTL_MS))

    async def announce(self, feeds: Iterable[FeedKey]) -> None:
        """Tell all forwarders that this server is alive, and wants feeds with a filter pattern.

        Raises:
            JournalError: The engine can't be used.
        """
        said = presence.encode(Presence("serve", tuple(sorted(feeds))))
        await self.want(FeedKey(PRESENCE), said)

    def _log(self, key: FeedKey) -> Log:
        return self._logs.setdefault(key, self._thread.engine.log(key.group, key.pattern))

    def close(self) -> None:
        """Close the connection once the running call has ended."""
        self._thread.close()


class FollowedFeed:
    """A followed log group with its view and hub; what the keeper starts and stops."""

    def __init__(
        self, key: FeedKey, opener: FollowingOpener, view: View, thread: EngineThread, log: Log
    ) -> None:
        """Serve a view that has caught up with ``log``, whose calls run in ``thread``."""
        self.key = key
        self._opener = opener
        self._control = opener.control
        self._view = view
        self._thread = thread
        self._log = log
        self._freshness = Freshness()
        self._progress = asyncio.Condition()
        self._backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, opener.random)
        config, journal = opener.config, view.journal
        self.group = FollowedGroup(
            journal, allowance_ms=config.allowance_ms, lifecycle=opener.lifecycle
        )
        self._feed = RemoteFeed(journal, self._freshness, clock=opener.clock.now_ms, timer=timer_ms)
        self._adopted = b""
        self.hub = Hub(
            self.group,
            self._feed,
            heartbeat_ms=config.heartbeat_ms,
            catch_up=self.catch_up,
            owner_age_ms=lambda: self._freshness.age_ms(timer_ms()),
            random=opener.random,
        )

    async def catch_up(self) -> bool:
        """Wait until everything that the log has now is applied; whether it was in time.

        Where the engine can't be reached, what it has is not known.
        """
        with suppress(TimeoutError, JournalFullError):
            async with asyncio.timeout(CATCH_UP_S):
                head = await self._control.head(self.key)
                async with self._progress:
                    await self._progress.wait_for(lambda: self._view.position >= head.position)
                return True
        return False

    async def run(self) -> None:
        """Follow the log until cancelled.

        Raises:
            JournalError: The view is no copy of the log any more, or can't be used.
        """
        wanting = asyncio.create_task(self._leave_wants())
        following = asyncio.create_task(self._follow())
        try:
            done, _ = await asyncio.wait({wanting, following}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in (wanting, following):
                one.cancel()
            await asyncio.gather(wanting, following, return_exceptions=True)

    async def close(self) -> None:
        """Close the view, and the connection that waited for entries."""
        self._thread.close()
        self._opener.closed(self)
        self._view.close()

    async def _follow(self) -> None:
        view, log, run = self._view, self._log, self._thread.run
        while True:
            try:
                look = await run(partial(_look, log, view.position, self._opener.wall_ms))
                await self._take(look)
                if view.position >= look.news.head.position:
                    await run(partial(log.wait, view.position, WAIT_MS))
            except JournalFullError as error:
                # The engine is away, or the disk is full: viewers keep what is there.
                wait_ms = self._backoff.count_failure()
                if self._backoff.failures == 1:
                    _LOG.warning("%s: %s (trying again)", self.key.group, error)
                self.hub.progress()  # heartbeats show the delay at once
                await asyncio.sleep(wait_ms / 1000)
            else:
                if self._backoff.failures:
                    _LOG.warning("%s: the replicated journal is followed again", self.key.group)
                self._backoff.reset()

    async def _take(self, look: _Look) -> None:
        view, news = self._view, look.news
        self._opener.clock.note(look.asked_ms, look.answered_ms, news.status.now_ms)
        for entry in news.entries:
            self._note(view.apply([entry]))
            # An entry takes milliseconds: viewers must not wait for all of them.
            await asyncio.sleep(0)
        if view.position >= news.head.position:
            await check_prefix(view, news.head, self._log, self._thread)
        self._feed.is_caught_up = view.position >= news.head.position
        self._adopt(news.status)
        self.hub.progress()
        self._feed.note_applied()
        async with self._progress:
            self._progress.notify_all()

    def _note(self, changes: Sequence[Change]) -> None:
        self.group.note(changes)
        if any(isinstance(one, BeginEpoch | BeginChain) for one in changes):
            # Before any session runs, which would close without a spread.
            self.hub.bye_present(TAKEN_OVER)
        self.hub.progress()

    def _adopt(self, stored: StoredStatus) -> None:
        """Take over the owner's status, if it holds for the rows that are here."""
        view, report = self._view, None
        if stored.content:
            status = statuses.decode(stored.content)
            if view.is_valid(status, stored.at):
                report = status.report
                if stored.content != self._adopted:
                    before = view.journal.gaps()
                    view.adopt(status)
                    self.group.adopt(status, before)
                    self._adopted = stored.content
        self._freshness.note(stored, report, timer_ms())

    async def _leave_wants(self) -> None:
        feed = self._feed
        while True:
            with suppress(JournalFullError):
                await self._control.want(self.key, feed.wants(self._view.position))
            await wait_and_clear(feed.changed, WANTS_S)


class FollowingOpener:
    """Opens the feeds of a server: views that follow the logs of log groups read elsewhere.

    Attributes:
        log_groups: The log groups of the open feeds; the same list at any time.
        clock: The engine's clock, by which viewers are served.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        boot: str,
        make_engine: EngineMaker,
        *,
        lifecycle: Lifecycle | None,
        clock: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        """Open nothing yet.

        Args:
            config: intervals.
            folder: where the views are kept.
            boot: identity of this run of the machine, see ``boot_id``.
            make_engine: makes a connection; each log group has one of its own.
            lifecycle: the owners' rule for the end of executions.
            clock: this machine's wall clock, ms since the Unix epoch.
            random: returns numbers from 0 to 1.
        """
        self.config = config
        self.lifecycle = lifecycle
        self.wall_ms = clock
        self.clock = EngineClock(clock)
        self.random = random
        self.control = ControlThread(make_engine)
        self._folder = folder
        self._boot = boot
        self._make_engine = make_engine
        self._patterns: set[FeedKey] = set()
        self.log_groups: list[LogGroup] = []

    async def open(self, key: FeedKey) -> FollowedFeed:
        """Open a feed once its view has caught up; leaves nothing open if that fails.

        Raises:
            NotFollowedError: No forwarder has read the log group yet.
            JournalError: The log or the view can't be used.
        """
        path = self._folder / journal_name(key)
        view = View(path, key.group, key.pattern, boot=self._boot)
        thread = EngineThread(self._make_engine())
        try:
            log = thread.engine.log(key.group, key.pattern)
            if key.pattern:
                await self._have_read(key, log, thread)
            await self._catch_up(view, log, thread)
            feed = FollowedFeed(key, self, view, thread, log)
            self.log_groups.append(feed.group)
        except BaseException:
            self._patterns.discard(key)
            thread.close()
            view.close()
            raise
        return feed

    async def _have_read(self, key: FeedKey, log: Log, thread: EngineThread) -> None:
        """Have some forwarder read a feed with a filter pattern, and wait until one does."""
        self._patterns.add(key)
        await self.control.announce(self._patterns)
        for _ in range(PATTERN_LOOKS):
            if (await thread.run(log.head)).position:
                return
            await thread.run(partial(log.wait, 0, WAIT_MS))

    async def run(self) -> None:
        """Announce this server until cancelled."""
        while True:
            with suppress(JournalFullError):
                await self.control.announce(self._patterns)
            await asyncio.sleep(WANTS_S)

    @staticmethod
    async def _catch_up(view: View, log: Log, thread: EngineThread) -> None:
        await catch_up(view, log, thread)
        if not view.chain_at:
            msg = f"{view.journal.group}: {NOT_INGESTED}"
            raise NotFollowedError(msg)

    def skip_check(self, key: FeedKey) -> None:
        """Do nothing: the owner checks that its log group can be read."""

    def cancel_checks(self) -> None:
        """Do nothing: there are none."""

    def closed(self, feed: FollowedFeed) -> None:
        """Forget a feed that is being closed."""
        self.log_groups.remove(feed.group)
        self._patterns.discard(feed.key)

    def size_bytes(self, key: FeedKey) -> int:
        """Size of a view on disk."""
        return file_bytes(self._folder / journal_name(key))

    def close(self) -> None:
        """Close the common connection; the feeds are closed before."""
        self.control.close()

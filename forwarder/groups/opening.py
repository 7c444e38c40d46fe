"""Opens a feed: its journal, the check that the log group can be read, and what serves viewers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from forwarder.cloudwatch.clock import timer_ms
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import Config
from forwarder.delivery.hub import Hub
from forwarder.errors import ThrottledError, TruncatedResponseError, UnreachableError
from forwarder.groups.journals import Journals
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.contract import Journal
from forwarder.live.receiver import LiveReceiver
from forwarder.live.subscriptions import LivePaths
from forwarder.reconcile.feed import Feed
from forwarder.records import FeedKey

_LOG: Final = logging.getLogger("gapless.forwarder")

CHECKS_MAX: Final = 3
"""Attempts to reach CloudWatch when a feed starts."""

CHECK_PAUSE_S: Final = 0.5

CHECK_UNANSWERED_MS: Final = 2_000
"""Longest wait for an answer to the check; then viewers are served, and see the silence."""

CHECKED_MS: Final = 30_000
"""How long a log group that was listed needs no check: a forwarder opens hundreds in this time."""

CHECKED_MAX: Final = 10_000
"""Listed log groups that are remembered before the old ones are forgotten."""

CHECK_LOOK_S: Final = 0.2
"""Interval of looks whether the check has got no answer for that long."""


class RunningFeed:
    """A feed with its journal, its live path and its hub; what the keeper starts and stops."""

    def __init__(self, key: FeedKey, opener: FeedOpener, hub: Hub, feed: Feed) -> None:
        self.hub = hub
        self._key = key
        self._opener = opener
        self._feed = feed

    async def run(self) -> None:
        """Keep the log group complete until cancelled.

        Raises:
            JournalError: the journal can't be written any more.
        """
        await self._feed.run()

    async def close(self) -> None:
        """Leave the live path, and close the journal.

        Raises:
            JournalError: the journal can't be closed properly.
        """
        await self._opener.close(self._key, self.hub)


class FeedOpener:
    """Opens the feeds of one forwarder.

    Attributes:
        log_groups: The log groups of the open feeds; the same list at any time.
    """

    def __init__(
        self,
        config: Config,
        cloudwatch: CloudWatch,
        journals: Journals,
        live: LivePaths,
        lifecycle: Lifecycle | None,
        prepare: Callable[[FeedKey], Awaitable[None]] | None = None,
    ) -> None:
        """Open nothing yet; feeds share CloudWatch's client and the readers of live paths.

        ``prepare`` does what must be awaited before a journal can be opened.
        """
        self._config = config
        self._cloudwatch = cloudwatch
        self._journals = journals
        self._live = live
        self._lifecycle = lifecycle
        self._prepare = prepare
        self._checked: dict[FeedKey, int] = {}
        self._unanswered: set[asyncio.Task[None]] = set()
        self.log_groups: list[LogGroup] = []

    def skip_check(self, key: FeedKey) -> None:
        """Open a feed without the check if that is soon: its log group was just listed."""
        at_ms = timer_ms()
        if len(self._checked) >= CHECKED_MAX:
            valid = self._checked.items()
            self._checked = {one: at for one, at in valid if at_ms - at < CHECKED_MS}
        self._checked[key] = at_ms

    async def open(self, key: FeedKey) -> RunningFeed:
        """Open a feed, which does not run yet; leaves nothing open if that fails.

        Raises:
            NotOwnedError: another forwarder reads the log group.
            JournalError: the journal can't be opened.
            CloudWatchError: the log group can't be read; the subclass says why.
        """
        if self._prepare is not None:
            await self._prepare(key)
        is_known = self._journals.exists(key)
        if not is_known:
            # Before the journal is made: a wrong name must not leave a file.
            await self._check_readable(key, None)
        journal = self._journals.open(key)
        try:
            if is_known:
                await self._check_readable(key, journal)
            return self._build(key, journal)
        except BaseException:
            self._journals.close(key)
            raise

    async def close(self, key: FeedKey, hub: Hub) -> None:
        """Close what ``open`` opened.

        Raises:
            JournalError: the journal can't be closed properly.
        """
        self.log_groups.remove(hub.group)
        if hub.live is not None:
            await self._live.remove(key.group)
        self._journals.close(key)

    def _build(self, key: FeedKey, journal: Journal) -> RunningFeed:
        config, clock = self._config, self._cloudwatch.skew.now_ms
        group = LogGroup(
            journal,
            allowance_ms=config.allowance_ms,
            allowance_max_ms=config.allowance_max_ms,
            lifecycle=self._lifecycle,
            overlap_ms=config.overlap_ms,
        )

        def on_progress() -> None:
            hub.progress()

        feed = Feed(group, self._cloudwatch, config=config, on_progress=on_progress, clock=clock)
        receiver = self._receiver(key, group, feed, clock, on_progress)
        hub = Hub(group, feed, live=receiver, heartbeat_ms=config.heartbeat_ms)
        self.log_groups.append(group)
        return RunningFeed(key, self, hub, feed)

    def _receiver(
        self,
        key: FeedKey,
        group: LogGroup,
        feed: Feed,
        clock: Callable[[], int],
        on_progress: Callable[[], None],
    ) -> LiveReceiver | None:
        if self._config.live == "poll" or key.pattern:  # a live path would bring all events
            return None
        receiver = LiveReceiver(group, feed, clock=clock, on_progress=on_progress)
        self._live.add(key.group, receiver)
        return receiver

    async def _check_readable(self, key: FeedKey, journal: Journal | None) -> None:
        """Check that a log group can be read, unless CloudWatch takes long to answer.

        Raises:
            CloudWatchError: it can't be read; the subclass says why.
        """
        checked_ms = self._checked.pop(key, None)
        if checked_ms is not None and timer_ms() - checked_ms < CHECKED_MS:
            return None
        answers = self._cloudwatch.answers
        check = asyncio.create_task(self._check(key, journal))
        try:
            while answers.waited_ms(timer_ms()) < CHECK_UNANSWERED_MS:
                done, _ = await asyncio.wait({check}, timeout=CHECK_LOOK_S)
                if done:
                    return check.result()
        except asyncio.CancelledError:
            check.cancel()
            raise
        # Polls will find the cause. Not cancelled: a call that hangs shows the silence.
        self._unanswered.add(check)
        check.add_done_callback(self._forget_check)
        return None

    def _forget_check(self, check: asyncio.Task[None]) -> None:
        self._unanswered.discard(check)
        if not check.cancelled():
            check.exception()

    def cancel_checks(self) -> None:
        """Cancel the checks that have got no answer yet."""
        for check in self._unanswered:
            check.cancel()

    async def _check(self, key: FeedKey, journal: Journal | None) -> None:
        """Check that a log group can be read.

        A transient failure does not stop a feed whose journal already has events to serve.

        Raises:
            CloudWatchError: it can't be read; the subclass says why.
        """
        for attempt in range(1, CHECKS_MAX + 1):
            try:
                await self._cloudwatch.check(key.group, key.pattern)
            except ThrottledError:
                return
            except (UnreachableError, TruncatedResponseError) as error:
                if journal is not None and journal.head_seq:
                    _LOG.warning("%s: %s (serving what is in the journal)", key.group, error)
                    return
                if attempt == CHECKS_MAX:
                    raise
                await asyncio.sleep(CHECK_PAUSE_S)
            else:
                return

"""Starts a feed when it is first needed, shares it, and stops it when it is not used any more.

The keeper opens nothing itself: an ``Opener`` makes a feed with its journal and hub. Feeds that
are pinned (named on the command line) are started again after an error; the others when a viewer
asks for them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from common.concurrency import Backoff
from forwarder.delivery.hub import Hub
from forwarder.errors import (
    CloudWatchError,
    ForwarderError,
    GroupLimitError,
    GroupStoppedError,
    NotFollowedError,
    NotOwnedError,
)
from forwarder.records import FeedKey

_LOG: Final = logging.getLogger("gapless.forwarder")

SWEEP_S: Final = 1.0
"""Interval between checks for unused feeds and for pinned ones to start again."""

RETRY_FIRST_MS: Final = 1_000
RETRY_MAX_MS: Final = 30_000
"""Waits between attempts to start a pinned feed; each attempt costs a call."""

CLOSE_VIEWERS_S: Final = 4.0
"""Time for a stopped feed's viewers to be closed; its journal is closed after it at the latest."""

_CHECK_CLOSED_S: Final = 0.02

UNUSED: Final = "the log group is not watched any more"
FAILED: Final = "the log group's journal failed"
STARTING: Final = "it is starting"
SHUTTING_DOWN: Final = "the forwarder is shutting down"


class OpenFeed(Protocol):
    """A started feed: what serves its viewers, and what keeps it complete."""

    hub: Hub

    async def run(self) -> None:
        """Keep the log group complete until cancelled.

        Raises:
            ForwarderError: the journal can't be written any more.
        """

    async def close(self) -> None:
        """Close the journal; nothing of the feed runs any more."""


Opener = Callable[[FeedKey], Awaitable[OpenFeed]]
"""Opens the journal, checks that the log group can be read, and creates the feed.

Raises ForwarderError if one of that fails, and then leaves nothing open.
"""


class _Entry:
    """A feed from the first request to its end."""

    def __init__(self, started: asyncio.Task[Hub]) -> None:
        self.started = started
        self.feed: OpenFeed | None = None
        self.running: asyncio.Task[None] | None = None
        self.stopping: asyncio.Task[None] | None = None
        self.cancel_reason = SHUTTING_DOWN
        """Why the start is cancelled, if it is."""
        self.used_s = 0.0


class _Pin(msgspec.Struct):
    """A feed that is to run whether or not someone watches it, and when to try it again."""

    backoff: Backoff
    retry_s: float = 0.0
    problem: str = ""
    is_elsewhere: bool = False
    """Whether another forwarder reads it, so that nothing is wrong."""


class Keeper:
    """The feeds of one forwarder; belongs to one event loop.

    Attributes:
        hubs: Hubs of the running feeds, in order of their start.
        failed_starts: Number of starts that failed, for the metrics.
    """

    def __init__(
        self,
        open_feed: Opener,
        *,
        feeds_max: int,
        linger_s: float,
        now_s: Callable[[], float],
        random: Callable[[], float],
        on_alone: Callable[[ForwarderError], None] = lambda _: None,
    ) -> None:
        """Start without feeds.

        Args:
            open_feed: Makes a feed.
            feeds_max: Feeds at the same time.
            linger_s: How long a feed that is not pinned runs without being used.
            now_s: A monotonic clock, seconds.
            random: Returns numbers from 0 to 1, for jitter.
            on_alone: Called with the error of a feed after which none is left.
        """
        self._open_feed = open_feed
        self._feeds_max = feeds_max
        self._linger_s = linger_s
        self._now_s = now_s
        self._random = random
        self._on_alone = on_alone
        self._entries: dict[FeedKey, _Entry] = {}
        self._pins: dict[FeedKey, _Pin] = {}
        self._is_closing = False
        self.hubs: dict[FeedKey, Hub] = {}
        self.failed_starts = 0

    # Using feeds

    async def acquire(self, key: FeedKey) -> Hub:
        """Return a feed's hub; starts the feed if it does not run.

        Concurrent requests share one start. A request that is cancelled does not end it.

        Raises:
            GroupLimitError: too many feeds run already.
            GroupStoppedError: the start was cancelled, or the forwarder is shutting down.
            ForwarderError: the feed can't be started; the text says why.
        """
        while True:
            if self._is_closing:
                raise GroupStoppedError(SHUTTING_DOWN)
            entry = self._entries.get(key)
            if entry is None:
                entry = self._begin(key)
            elif entry.stopping is not None:
                await asyncio.wait([entry.stopping])
                continue
            hub = await self._started(entry)
            if entry.stopping is None:
                entry.used_s = self._now_s()
                return hub

    async def _started(self, entry: _Entry) -> Hub:
        try:
            return await asyncio.shield(entry.started)
        except asyncio.CancelledError:
            if entry.started.cancelled():  # by ``stop`` or ``close``, and not this request itself
                raise GroupStoppedError(entry.cancel_reason) from None
            raise

    def _begin(self, key: FeedKey) -> _Entry:
        if len(self._entries) >= self._feeds_max and not self._stop_unwatched():
            msg = (
                f"this forwarder serves {self._feeds_max} log groups already, its limit: "
                "give it a larger --max-groups, or watch fewer"
            )
            raise GroupLimitError(msg)
        entry = self._entries[key] = _Entry(asyncio.create_task(self._start(key)))
        entry.used_s = self._now_s()
        entry.started.add_done_callback(partial(self._forget_failed, key))
        return entry

    def _forget_failed(self, key: FeedKey, started: asyncio.Task[Hub]) -> None:
        # Not in ``_start``: a task that is cancelled before its first step runs none of its code.
        # Asking for the error also keeps it from being one that nobody retrieved.
        if started.cancelled() or started.exception() is not None:
            del self._entries[key]

    async def _start(self, key: FeedKey) -> Hub:
        try:
            feed = await self._open_feed(key)
        except ForwarderError as error:
            self.failed_starts += not isinstance(error, NotOwnedError | NotFollowedError)
            raise
        entry = self._entries[key]
        entry.feed, entry.used_s = feed, self._now_s()
        entry.running = asyncio.create_task(self._run(key, feed))
        self.hubs[key] = feed.hub
        return feed.hub

    async def _run(self, key: FeedKey, feed: OpenFeed) -> None:
        try:
            await feed.run()
        except ForwarderError as error:
            self.fail(feed.hub, error)
        except Exception as error:  # noqa: BLE001 - a defect that one log group shows spares the others
            _LOG.exception("%s: unexpected error: the feed is stopped", key.group)
            self.fail(feed.hub, ForwarderError(f"{key.group}: unexpected error: {error!r}"))

    def fail(self, hub: Hub, error: ForwarderError) -> None:
        """Stop a feed because of an error of its journal; the others go on."""
        key = next((key for key, one in self.hubs.items() if one is hub), None)
        if key is None:  # stopped already
            return
        _LOG.log(_level_of(error, logging.ERROR), "%s: %s", key.group, error)
        if len(self.hubs) == 1:
            self._on_alone(error)
        pin = self._pins.get(key)
        if pin is not None:
            self._postpone(pin, error)
        self._begin_stop(key, FAILED)

    # Stopping feeds

    def stop(self, key: FeedKey, reason: str) -> None:
        """Begin to stop a feed, even if viewers watch it; does nothing if it does not run."""
        entry = self._entries.get(key)
        if entry is not None and entry.feed is not None:
            self._begin_stop(key, reason)
        elif entry is not None:
            entry.cancel_reason = reason
            entry.started.cancel()

    def _begin_stop(self, key: FeedKey, reason: str) -> None:
        entry = self._entries[key]
        if entry.stopping is None and entry.feed is not None:
            self.hubs.pop(key, None)
            entry.feed.hub.bye(reason)
            entry.stopping = asyncio.create_task(self._stop(key, entry, entry.feed))

    async def _stop(self, key: FeedKey, entry: _Entry, feed: OpenFeed) -> None:
        running, deadline_s = entry.running, self._now_s() + CLOSE_VIEWERS_S
        try:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            while feed.hub.viewers and self._now_s() < deadline_s:  # noqa: ASYNC110 - no event
                await asyncio.sleep(_CHECK_CLOSED_S)
            await feed.close()
        except ForwarderError as error:
            _LOG.warning("%s: %s", key.group, error)
        finally:
            del self._entries[key]

    def _unwatched(self) -> list[tuple[float, FeedKey]]:
        """Feeds that run, are not pinned and have no viewer: (when they were last used, key)."""
        return sorted(
            (self._entries[key].used_s, key)
            for key, hub in self.hubs.items()
            if key not in self._pins and not hub.viewers
        )

    def _stop_unwatched(self) -> bool:
        """Make room for another feed: stop the one that was not used for longest."""
        for _, key in self._unwatched():
            self._begin_stop(key, UNUSED)
            return True
        return False

    # Pinned feeds

    @property
    def pinned(self) -> Collection[FeedKey]:
        """The feeds that run whether or not someone watches them."""
        return self._pins.keys()

    @property
    def problems(self) -> dict[FeedKey, str]:
        """Why pinned feeds do not run at present."""
        return {
            key: pin.problem or STARTING
            for key, pin in self._pins.items()
            if key not in self.hubs and not pin.is_elsewhere
        }

    def pin(self, key: FeedKey) -> None:
        """Let a feed run until ``unpin``; ``run`` starts it, and again after an error."""
        if key not in self._pins:
            self._pins[key] = _Pin(Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, self._random))

    def unpin(self, key: FeedKey) -> None:
        """Let a feed stop once no viewer watches it.

        It does not linger, as its log group is gone or unwanted: its polls would only delay others.
        """
        if self._pins.pop(key, None) is not None:
            self._end_lingering(key)

    def _end_lingering(self, key: FeedKey) -> None:
        if key in self._entries:
            self._entries[key].used_s = self._now_s() - self._linger_s

    def _postpone(self, pin: _Pin, error: ForwarderError) -> None:
        # Another forwarder may fail at any time: this one has to notice soon.
        is_waiting = isinstance(error, NotOwnedError | NotFollowedError)
        wait_ms = 0 if is_waiting else pin.backoff.count_failure()
        pin.retry_s = self._now_s() + wait_ms / 1000
        pin.problem = str(error)
        pin.is_elsewhere = isinstance(error, NotOwnedError)

    async def _start_pinned(self, key: FeedKey, pin: _Pin) -> None:
        try:
            await self.acquire(key)
        except ForwarderError as error:
            if self._pins.get(key) is pin and pin.problem != str(error):
                level = _level_of(error, logging.WARNING)
                _LOG.log(level, "%s: %s (trying again)", key.group, error)
            self._postpone(pin, error)
        else:
            if key not in self._pins:  # unpinned while it started
                self._end_lingering(key)
            pin.problem, pin.is_elsewhere = "", False
            pin.backoff.reset()

    # Jobs

    async def run(self) -> None:
        """Start pinned feeds and stop unused ones, until cancelled."""
        starting: set[asyncio.Task[None]] = set()
        attempted: dict[FeedKey, asyncio.Task[None]] = {}
        try:
            while True:
                for key, pin in list(self._pins.items()):
                    is_due = key not in self.hubs and pin.retry_s <= self._now_s()
                    if is_due and (key not in attempted or attempted[key].done()):
                        task = asyncio.create_task(self._start_pinned(key, pin))
                        attempted[key] = task
                        starting.add(task)
                        task.add_done_callback(starting.discard)
                attempted = {key: task for key, task in attempted.items() if not task.done()}
                self._stop_unused()
                await asyncio.sleep(SWEEP_S)
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    def _stop_unused(self) -> None:
        now_s = self._now_s()
        for key, hub in self.hubs.items():
            if hub.viewers:
                self._entries[key].used_s = now_s
        for used_s, key in self._unwatched():
            if now_s - used_s >= self._linger_s:
                self._begin_stop(key, UNUSED)

    async def close(self) -> None:
        """Stop all feeds and close their journals."""
        self._is_closing = True
        starts = [entry.started for entry in self._entries.values() if entry.feed is None]
        for task in starts:
            task.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        for key in list(self.hubs):
            self._begin_stop(key, SHUTTING_DOWN)
        stops = [entry.stopping for entry in self._entries.values() if entry.stopping is not None]
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*stops, return_exceptions=True)


def _level_of(error: ForwarderError, otherwise: int) -> int:
    """Level at which an error is logged: what viewers see, or what is ordinary, is no warning."""
    if isinstance(error, NotOwnedError | NotFollowedError):
        return logging.INFO
    is_shown = isinstance(error, CloudWatchError) and otherwise < logging.ERROR
    return logging.INFO if is_shown else otherwise

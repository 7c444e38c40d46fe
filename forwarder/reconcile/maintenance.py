"""Keeps a log group's settings, deleted log streams and retention up to date beside the scans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from common.concurrency import wait_and_clear
from forwarder.cloudwatch.catalogue import StreamInfo, find_stream
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import DAY_MS, Config
from forwarder.errors import AccessDeniedError, CloudWatchError
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.scanner import GroupSettings

_LOG: Final = logging.getLogger("gapless.forwarder")

RETAIN_EVERY_S: Final = 30
SETTINGS_EVERY_S: Final = 600
"""Interval between lookups of the log group's settings."""
SETTINGS_RETRY_S: Final = 15
"""The same after a failure other than a denial, or when a scan needs the settings."""
CONFLICT_CHECK_FIRST_S: Final = 2
CONFLICT_CHECK_MAX_S: Final = 60
"""First and longest pause between two checks of the log group's age while answers contradict the
journal; each pause doubles the next."""
FAILURES_MAX: Final = 2
"""Failed lookups after which backfill starts without the settings."""
STREAM_CHECK_EVERY_MS: Final = 30_000
"""Least interval between lookups of the same log stream."""
CONFLICTED: Final = (
    "CloudWatch Logs returned a known event id with another timestamp or log stream: checking"
    " whether the log group was recreated"
)
GROUP_AGE_MS: Final = 35 * DAY_MS
"""Assumed age of a log group whose creation time is unknown."""
OLDER_THAN_GROUP_MS: Final = 14 * DAY_MS
"""PutLogEvents accepts events this much older than now, hence older than the log group."""


class Maintenance:
    """The recurring jobs of one log group besides its scans; each runs until cancelled."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        config: Config,
        settings: GroupSettings,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int],
        bodies: asyncio.Lock,
        earliest_pending: Callable[[], int | None],
    ) -> None:
        """Create the jobs of a log group.

        Args:
            group: the log group.
            cloudwatch: where to look up log streams.
            config: how much to retain.
            settings: the log group's.
            clock: ms since the Unix epoch.
            timer: ms of a monotonic clock.
            bodies: held while bodies are removed or refetched.
            earliest_pending: earliest ``since`` of history that is still being sent to a viewer.
        """
        self._group = group
        self._cloudwatch = cloudwatch
        self._config = config
        self._settings = settings
        self._clock = clock
        self._timer = timer
        self._bodies = bodies
        self._earliest_pending = earliest_pending
        self.settings_tried = asyncio.Event()
        """Set once the settings are known, or their lookup was denied or failed repeatedly.

        Backfill waits for it, because expired events are declared when their range is covered: a
        process that ended between the two would leave the range covered and never declare them.
        """
        self._suspects: set[str] = set()
        self._checked_ms: dict[str, int] = {}
        self._suspected = asyncio.Event()

    def earliest_event_ms(self) -> int:
        """Time before which events are unlikely, given the age of the log group."""
        created = self._settings.created_ms
        assumed = self._clock() - GROUP_AGE_MS if created is None else created
        return assumed - OLDER_THAN_GROUP_MS

    def oldest_ms(self) -> int | None:
        """Time before which CloudWatch has no events of the log group; None: unknown."""
        created, retention_ms = self._settings.created_ms, self._group.retention_ms
        floors = [] if created is None else [created - OLDER_THAN_GROUP_MS]
        if retention_ms is not None:
            floors.append(self._clock() - retention_ms)
        return max(0, *floors) if floors else None

    def note_scan(self) -> None:
        """Check the log streams of events that the latest complete scan lacks."""
        self._settings.note_scan()
        self._suspects |= self._group.take_suspect_streams()
        if self._suspects:
            self._suspected.set()

    async def refresh_settings(self) -> None:
        """Look up the log group's age and retention again and again."""
        failures = 0
        while True:
            pause_s = SETTINGS_EVERY_S
            try:
                await self._settings.refresh()
            except AccessDeniedError as error:
                _LOG.debug("%s: may not look up its settings: %s", self._group.name, error)
            except CloudWatchError as error:
                _LOG.debug("%s: can't look up its settings: %s", self._group.name, error)
                pause_s = SETTINGS_RETRY_S
                failures += 1
            if pause_s == SETTINGS_EVERY_S or failures >= FAILURES_MAX:
                self.settings_tried.set()
            await asyncio.sleep(min(pause_s, SETTINGS_RETRY_S))
            await wait_and_clear(self._settings.needed, max(0.0, pause_s - SETTINGS_RETRY_S))

    async def check_conflicts(self) -> None:
        """Check whether the log group was recreated when answers contradict the journal [17]."""
        pause_s = CONFLICT_CHECK_FIRST_S
        conflicted = self._settings.conflicted
        while True:
            await conflicted.wait()
            conflicted.clear()
            if pause_s == CONFLICT_CHECK_FIRST_S:
                _LOG.warning("%s: %s", self._group.name, CONFLICTED)
            await self._settings.check_age()
            await asyncio.sleep(pause_s)
            is_over = not conflicted.is_set()
            pause_s = CONFLICT_CHECK_FIRST_S if is_over else min(2 * pause_s, CONFLICT_CHECK_MAX_S)

    async def check_suspect_streams(self) -> None:
        """Look up log streams of which scans lack events: they may have been deleted [8].

        A stream that exists is looked up again, at most every ``STREAM_CHECK_EVERY_MS``, as long
        as scans lack its events.
        """
        while True:
            await self._suspected.wait()
            self._suspected.clear()
            for stream in sorted(self._suspects):
                self._suspects.discard(stream)
                at_ms = self._timer()
                checked_ms = self._checked_ms.get(stream)
                if checked_ms is None or at_ms - checked_ms >= STREAM_CHECK_EVERY_MS:
                    self._checked_ms[stream] = at_ms
                    await self._check_stream(stream)
            self._forget_old_checks()

    async def retain(self) -> None:
        """Keep the journal within its limits again and again.

        Raises:
            JournalError: the journal can't be written.
        """
        while True:
            await asyncio.sleep(RETAIN_EVERY_S)
            await self.retain_once()

    async def retain_once(self) -> None:
        """Remove bodies that are too old or too many.

        Bodies that a viewer still has to get are not removed for their age.
        """
        before = self._clock() - self._config.retain_ms
        pending = self._earliest_pending()
        before = before if pending is None else min(before, pending)
        removed = 1
        async with self._bodies:
            while removed:
                removed = self._group.retain(before=before, bytes_max=self._config.retain_bytes)
                await asyncio.sleep(0)

    async def _check_stream(self, stream: str) -> None:
        epoch = self._group.epoch
        try:
            found = await find_stream(self._cloudwatch, self._group.name, stream)
            if found is None or self._is_recreated(found):
                # Its log group may have been recreated, too; if that is unknown, assume not.
                with suppress(CloudWatchError):
                    await self._settings.refresh()
        except CloudWatchError as error:
            _LOG.debug("%s: can't look up log stream %s: %s", self._group.name, stream, error)
            self._checked_ms.pop(stream, None)
            return
        if self._group.epoch != epoch:
            return
        if found is None or self._is_recreated(found):
            self._group.mark_stream_deleted(stream)
            # A stream of that name that is created and deleted again must be noticed at once.
            self._checked_ms.pop(stream, None)

    def _is_recreated(self, stream: StreamInfo) -> bool:
        """Whether scans lack events from before the stream's creation: of its predecessor."""
        created = stream.created
        return created is not None and self._group.lacks_older(created, stream.name)

    def _forget_old_checks(self) -> None:
        old_ms = self._timer() - STREAM_CHECK_EVERY_MS
        self._checked_ms = {one: at for one, at in self._checked_ms.items() if at > old_ms}

"""What a log group's feed minds beside its scans: settings, deleted log streams, retention."""

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
from forwarder.reconcile.demand import OLDER_THAN_GROUP_MS
from forwarder.reconcile.scanner import Settings

_LOG: Final = logging.getLogger("gapless.forwarder")

RETAIN_EVERY_S: Final = 30
LEARN_EVERY_S: Final = 600
"""How often the log group's settings are looked up."""
LEARN_AGAIN_S: Final = 15
"""The same where that failed, unless it is not allowed, or where something asks for it."""
FAILURES_MAX: Final = 2
"""After so many of them the past is fetched without knowing the settings."""
STREAM_ASKED_EVERY_MS: Final = 30_000
"""How often it is asked after the same log stream."""
GROUP_AGE_MS: Final = 35 * DAY_MS
"""How old a log group is taken to be while that is not known."""


class Upkeep:
    """One log group's; ``learn``, ``ask_after_streams`` and ``retain`` run until cancelled."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        config: Config,
        settings: Settings,
        *,
        clock: Callable[[], int],
        timer: Callable[[], int],
        bodies: asyncio.Lock,
        oldest_wanted: Callable[[], int | None],
    ) -> None:
        """Make one for a log group.

        Args:
            group: the door.
            cloudwatch: where to ask.
            config: how much to retain.
            settings: the log group's.
            clock: ms since the Unix epoch.
            timer: ms of a clock that is never set.
            bodies: held while bodies are taken or brought back.
            oldest_wanted: the oldest ``since`` of a viewer to whom the past is still being sent.

        """
        self._group = group
        self._cloudwatch = cloudwatch
        self._config = config
        self._settings = settings
        self._clock = clock
        self._timer = timer
        self._bodies = bodies
        self._oldest_wanted = oldest_wanted
        self.asked = asyncio.Event()
        """Set once the settings have been asked for: learnt, refused, or not to be had for now.

        The remote past waits for it, since what of it has expired is declared as it is covered; a
        process that ended in between would leave it covered, and never declared.
        """
        self._suspects: set[str] = set()
        self._asked_ms: dict[str, int] = {}
        self._suspected = asyncio.Event()

    def floor_ms(self) -> int:
        """Nothing older is likely to exist, the log group being as old as it is."""
        created = self._settings.created_ms
        assumed = self._clock() - GROUP_AGE_MS if created is None else created
        return assumed - OLDER_THAN_GROUP_MS

    def scanned(self) -> None:
        """A scan was whole: it may have failed to return what it should have."""
        self._settings.scanned()
        self._suspects |= self._group.take_suspect_streams()
        if self._suspects:
            self._suspected.set()

    async def learn(self) -> None:
        """The log group's age and retention setting; without permission to ask, never."""
        failures = 0
        while True:
            pause_s = LEARN_EVERY_S
            try:
                await self._settings.learn()
            except AccessDeniedError as error:
                _LOG.debug("%s: may not look up its settings: %s", self._group.name, error)
            except CloudWatchError as error:
                _LOG.debug("%s: can't look up its settings: %s", self._group.name, error)
                pause_s = LEARN_AGAIN_S
                failures += 1
            if pause_s == LEARN_EVERY_S or failures >= FAILURES_MAX:
                self.asked.set()
            await asyncio.sleep(min(pause_s, LEARN_AGAIN_S))
            await wait_and_clear(self._settings.needed, max(0.0, pause_s - LEARN_AGAIN_S))

    async def ask_after_streams(self) -> None:
        """Of the log streams that scans failed to return events of: were they deleted [8]?

        One that exists is asked after again, at most so often, as long as it is suspected.
        """
        while True:
            await self._suspected.wait()
            self._suspected.clear()
            for stream in sorted(self._suspects):
                self._suspects.discard(stream)
                at_ms = self._timer()
                asked_ms = self._asked_ms.get(stream)
                if asked_ms is None or at_ms - asked_ms >= STREAM_ASKED_EVERY_MS:
                    self._asked_ms[stream] = at_ms
                    await self._ask_after(stream)
            self._forget_old_answers()

    async def retain(self) -> None:
        """Keep the journal within its bounds; nothing that a viewer is owed goes by age.

        Raises:
            JournalError: the journal can't be written.

        """
        while True:
            await asyncio.sleep(RETAIN_EVERY_S)
            await self.retain_once()

    async def retain_once(self) -> None:
        """As much as there is to take now."""
        before = self._clock() - self._config.retain_ms
        oldest = self._oldest_wanted()
        before = before if oldest is None else min(before, oldest)
        taken = 1
        async with self._bodies:
            while taken:
                taken = self._group.retain(before=before, bytes_max=self._config.retain_bytes)
                await asyncio.sleep(0)

    async def _ask_after(self, stream: str) -> None:
        epoch = self._group.epoch
        try:
            found = await find_stream(self._cloudwatch, self._group.name, stream)
            if found is None or self._is_made_anew(found):
                # Its whole log group may be another one; who may not ask goes by the stream.
                with suppress(CloudWatchError):
                    await self._settings.learn()
        except CloudWatchError as error:
            _LOG.debug("%s: can't ask after %s: %s", self._group.name, stream, error)
            self._asked_ms.pop(stream, None)
            return
        if self._group.epoch != epoch:
            return
        if found is None or self._is_made_anew(found):
            self._group.mark_stream_deleted(stream)
            # Should one of that name come and go again, that is to be noticed at once.
            self._asked_ms.pop(stream, None)

    def _is_made_anew(self, stream: StreamInfo) -> bool:
        """Whether events that are missing were ingested before it was made: of another one."""
        created = stream.created
        return created is not None and self._group.lacks_older(created, stream.name)

    def _forget_old_answers(self) -> None:
        old_ms = self._timer() - STREAM_ASKED_EVERY_MS
        self._asked_ms = {one: at for one, at in self._asked_ms.items() if at > old_ms}

"""Asks how old a log group is and how long it keeps its events, and tells its door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from forwarder.cloudwatch.catalogue import find_group
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import DAY_MS
from forwarder.errors import AccessDenied, CloudWatchError
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import Scan

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
        number = self._group.expiry.number
        try:
            found = await find_group(self._cloudwatch, self._group.name)
        except AccessDenied:
            self._is_denied = True
            raise
        self._is_denied = False
        if found is None:
            return False
        days = found.retention_days
        self.created_ms = found.created
        self._group.learned(None if days is None else days * DAY_MS, found.created, number)
        if found.created is not None and self._group.is_made_anew(found.created):
            _LOG.warning("%s: it was deleted and made anew", self._group.name)
        self._on_progress()
        return True

    async def settle(self, scan: Scan) -> None:
        """Ask before a scan that has its last page is finished, if retention may have been first.

        One more call for each range that is older than a day and was never scanned before. Where
        it fails, the scan stands, and what it did not see is declared once somebody can tell.
        """
        is_old = self._group.evidence.is_first_of_old(scan, self._clock())
        if self._is_denied or not is_old:
            return
        try:
            scan.is_settled = await self.learn()
        except CloudWatchError as error:
            _LOG.debug("%s: can't look up its settings: %s", self._group.name, error)
            self.needed.set()

    def scanned(self) -> None:
        """A scan was whole: it may lack what a retention that was made shorter has taken."""
        if not self._is_denied and self._group.evidence.lacks_old(self._clock()):
            self.needed.set()

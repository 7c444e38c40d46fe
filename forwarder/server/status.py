"""Values of the forwarder's process, for ``gapless forwarders``, ``/readyz`` and the metrics."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from forwarder.delivery.hub import Hub
from forwarder.groups.keeper import Keeper
from forwarder.records import FeedKey

SAMPLE_S: Final = 5.0
"""Interval between samples of the number of calls."""

MINUTE_S: Final = 60.0


class ForwarderStatus(msgspec.Struct):
    """Values of the process and of its log groups' journals.

    Attributes:
        pid: Number of the process.
        uptime_ms: Time since its start.
        calls_per_minute: CloudWatch calls in the last minute.
        failed_starts: Starts of log groups that failed.
        problems: Why log groups of the command line are not served at present.
        journal_bytes: Returns the size of a log group's journal on disk.
    """

    pid: int = 0
    uptime_ms: int = 0
    calls_per_minute: int = 0
    failed_starts: int = 0
    problems: list[str] = []
    journal_bytes: Callable[[Hub], int] = lambda _: 0


class CallRate:
    """Calls in the last minute, from samples of a count that only grows. Pure."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now_s: float, total: int) -> None:
        """Note the count of all calls so far; drops samples that are too old to be needed."""
        samples = self._samples
        samples.append((now_s, total))
        while len(samples) > 1 and samples[1][0] <= now_s - MINUTE_S:
            samples.popleft()

    def per_minute(self, now_s: float, total: int) -> int:
        """Calls in the last minute; in the first minute, those so far."""
        if not self._samples:
            return total
        since_s, before = self._samples[0]
        if now_s - since_s <= MINUTE_S:
            return total - before
        return round((total - before) * MINUTE_S / (now_s - since_s))


class JournalSizes(Protocol):
    """The journals or views of a forwarder, as far as their sizes go."""

    def size_bytes(self, key: FeedKey) -> int:
        """Size of a feed's journal on disk."""


class StatusReport:
    """Collects the values of one process."""

    def __init__(
        self,
        calls: Mapping[str, int],
        keeper: Keeper,
        journals: JournalSizes,
        now_s: Callable[[], float],
    ) -> None:
        """Start to count; ``calls`` are CloudWatch calls by outcome, ``now_s`` is monotonic."""
        self._calls = calls
        self._keeper = keeper
        self._journals = journals
        self._now_s = now_s
        self._started_s = now_s()
        self._rate = CallRate()
        self._rate.sample(self._started_s, 0)

    def status(self) -> ForwarderStatus:
        """Return the present values."""
        now_s = self._now_s()
        problems = self._keeper.problems
        return ForwarderStatus(
            pid=os.getpid(),
            uptime_ms=int((now_s - self._started_s) * 1000),
            calls_per_minute=self._rate.per_minute(now_s, sum(self._calls.values())),
            failed_starts=self._keeper.failed_starts,
            problems=[f"{key.group}: {text}" for key, text in problems.items()],
            journal_bytes=self._journal_bytes,
        )

    def _journal_bytes(self, hub: Hub) -> int:
        for key, one in self._keeper.hubs.items():
            if one is hub:
                return self._journals.size_bytes(key)
        return 0

    async def run(self) -> None:
        """Sample the number of calls until cancelled."""
        while True:
            self._rate.sample(self._now_s(), sum(self._calls.values()))
            await asyncio.sleep(SAMPLE_S)

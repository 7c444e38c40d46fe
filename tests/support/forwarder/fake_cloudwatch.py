"""A CloudWatch in this process, without network, threads and waits, for tests of its readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from forwarder.cloudwatch.batching import Batches
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import CallQueue, Turn
from forwarder.cloudwatch.reader import CloudWatch, Observer, ReadReport
from forwarder.errors import CloudWatchError
from forwarder.records import LogEvent, UnreadableEvent

_T = TypeVar("_T")


class Clock:
    """A clock in ms that only tests advance."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class FakeCloudWatch(CloudWatch):
    """One log group's events, with failures, hidden events and blocked calls."""

    def __init__(self, group: str, clock: Clock) -> None:
        super().__init__()
        self.random = lambda: 0.0
        self.clock = clock
        self.group = group
        self.created = clock.now_ms
        self.retention_days: int | None = None
        self.streams: dict[str, int] = {}
        """Creation times of the log streams, ms."""
        self.events: list[LogEvent] = []
        self.page_events = 10_000
        self.asked: list[tuple[Priority, int, int | None]] = []
        """(priority, since, until) of each scan started."""
        self.finished = 0
        """Number of scans whose last page was returned."""
        self.down: CloudWatchError | None = None
        """The error of every call."""
        self.breaks_after: int | None = None
        """Pages after which a scan fails with ``down``; None for immediately."""
        self.gates: dict[Priority, asyncio.Event] = {}
        """Events that pages of a priority wait for."""
        self.restarts = 0
        """Restarts by time that each scan reports."""
        self.unreadable: list[UnreadableEvent] = []
        """Events that can't be decoded, in each page."""
        self.alter: Callable[[list[LogEvent]], list[LogEvent]] = lambda page: page
        """Changes each page on its way."""
        self.turns = asyncio.Event()
        """Cleared while calls have to wait for their turn."""
        self.turns.set()
        self.group_lookups: Batches[str, Any] = Batches()
        self._number = 0

    def put(self, stream: str, *events: tuple[int, str]) -> list[LogEvent]:
        """Write (timestamp, message) pairs; creates the log stream if it does not exist."""
        self.streams.setdefault(stream, self.clock.now_ms)
        made = []
        for timestamp, message in events:
            self._number += 1
            made.append(LogEvent(str(self._number), timestamp, self.clock.now_ms, stream, message))
        self.events += made
        return made

    def delete_stream(self, stream: str) -> None:
        """Delete a log stream and its events."""
        del self.streams[stream]
        self.events = [event for event in self.events if event.stream != stream]

    async def wait_turn(self, group: str, pattern: str, priority: Priority) -> Turn:
        """Give the turn as soon as ``turns`` is set: these calls are not paced."""
        assert group == self.group
        _ = priority, pattern
        await self.turns.wait()
        return Turn(lambda: None)

    async def fetch_logs_since_timestamp(
        self,
        group: str,
        since: int,
        until: int | None = None,
        streams: Sequence[str] | str | None = None,
        *,
        pattern: str = "",
        priority: Priority = Priority.SCAN,
        turn: Turn | None = None,
        observer: Observer | None = None,
        report: ReadReport | None = None,
    ) -> AsyncGenerator[list[LogEvent], None]:
        """Return the pages of a scan; a pattern is a text that messages contain."""
        assert group == self.group
        assert streams is None
        _ = turn
        self.asked.append((priority, since, until))
        pages = 0
        while True:
            if priority in self.gates:
                await self.gates[priority].wait()
            if self.down is not None and (self.breaks_after or 0) <= pages:
                if observer is not None:
                    observer(self.down)
                raise self.down
            if observer is not None:
                observer(None)
            wanted = (
                one for one in self.events if since <= one.timestamp and pattern in one.message
            )
            rows = sorted(
                (one for one in wanted if until is None or one.timestamp <= until),
                key=lambda one: one.timestamp,
            )
            start = pages * self.page_events
            pages += 1
            if report is not None:
                report.restart_count = self.restarts
                report.unreadable += self.unreadable
                report.has_more = start + self.page_events < len(rows)
            if page := self.alter(rows[start : start + self.page_events]):
                yield page
            if start + self.page_events >= len(rows):
                self.finished += 1
                return

    async def call(
        self,
        function: Callable[[Any], _T],
        *,
        group: str | None = None,
        pattern: str = "",
        queue: CallQueue | None = None,
        priority: Priority = Priority.SCAN,
        turn: Turn | None = None,
        with_token: bool = False,
    ) -> _T:
        """Call a client that describes log groups and streams."""
        assert group in (None, self.group)
        assert not with_token
        assert not pattern
        _ = priority, queue, turn
        if self.down is not None:
            raise self.down
        return function(_Client(self))


class _Client:
    def __init__(self, fake: FakeCloudWatch) -> None:
        self._fake = fake

    def describe_log_groups(self, **_: object) -> dict[str, Any]:
        group: dict[str, Any] = {
            "logGroupName": self._fake.group,
            "creationTime": self._fake.created,
        }
        if self._fake.retention_days is not None:
            group["retentionInDays"] = self._fake.retention_days
        return {"logGroups": [group]}

    def describe_log_streams(self, **asked: object) -> dict[str, Any]:
        assert asked["logGroupName"] == self._fake.group
        prefix = str(asked.get("logStreamNamePrefix", ""))
        found = [
            {"logStreamName": name, "creationTime": created}
            for name, created in sorted(self._fake.streams.items())
            if name.startswith(prefix)
        ]
        return {"logStreams": found}

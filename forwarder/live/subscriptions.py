"""Which live path each log group has: opens them, looks after them, and goes back to polls.

Which Kinesis stream a log group's news are in. Pure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from forwarder.cloudwatch.rate_limit import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions, StreamRef, parse_stream
from forwarder.errors import CloudWatchError
from forwarder.live.inlet import GroupInlet
from forwarder.live.kinesis import KinesisPath
from forwarder.live.records import Counts, Inlet, LiveState


class Choice(msgspec.Struct, frozen=True):
    """The stream to read for a log group, or why there is none."""

    stream: StreamRef | None
    why: str | None = None


NO_FILTER: Final = Choice(None, "it has no subscription filter to a Kinesis stream")


def choose(filters: Sequence[Mapping[str, Any]]) -> Choice:
    """Of a log group's subscription filters, as DescribeSubscriptionFilters has them.

    One that lets only some events through, or changes them, would bring too little or what no
    scan returns.
    """
    choice = NO_FILTER
    for one in sorted(filters, key=lambda one: str(one.get("filterName"))):
        stream = parse_stream(str(one.get("destinationArn")))
        if stream is None or stream.arn is None:
            continue
        name = str(one.get("filterName"))[:100]
        if str(one.get("filterPattern") or "").strip() or one.get("fieldSelectionCriteria"):
            choice = Choice(None, f"its subscription filter {name!r} lets only some events through")
        elif one.get("applyOnTransformedLogs"):
            choice = Choice(None, f"its subscription filter {name!r} sends transformed events")
        else:
            return Choice(stream)
    return choice


_LOG: Final = logging.getLogger("gapless.forwarder")

LOOK_UP_EVERY_S: Final = 60.0
"""How often it is asked whether a log group's subscription filter is still the same."""

FILTERS_MAX: Final = 50
"""A log group has two subscription filters at most; a page of the answer holds so many."""

LATE_LOOKS_MAX: Final = 60
"""Looks in a row at which all log groups of a path are late, before it begins anew: a stream that
was deleted and made again is answered for, and brings nothing."""

LOOK_EVERY_S: Final = 1.0
"""How often each log group's path is looked at, whether it brings anything or not."""


class Path(Protocol):
    """A stream that can be read."""

    counts: Counts

    async def run(self, inlets: dict[str, Inlet]) -> None:
        """Read until cancelled."""
        ...

    def begin_anew(self) -> None:
        """Look for the present again, wherever it was being read."""
        ...


class _Running:
    """A path under way, with the inlets that it feeds."""

    def __init__(self, path: Path, inlets: dict[str, Inlet], task: asyncio.Task[None]) -> None:
        self.path = path
        self.inlets = inlets
        self.task = task
        self.late_looks = 0

    def look(self, states: Sequence[LiveState]) -> None:
        """How the log groups that it feeds are doing now."""
        is_late = bool(states) and all(state == "late" for state in states)
        self.late_looks = self.late_looks + 1 if is_late else 0
        if self.late_looks >= LATE_LOOKS_MAX:
            self.late_looks = 0
            self.path.begin_anew()


class LivePaths:
    """The live paths of one forwarder; log groups whose events are in one stream share it."""

    def __init__(
        self,
        live: str,
        aws: AwsOptions,
        cloudwatch: CloudWatch,
        inlets: Mapping[str, GroupInlet],
        *,
        make_path: Callable[[StreamRef], Path] | None = None,
        look_up_every_s: float = LOOK_UP_EVERY_S,
    ) -> None:
        """Nothing is asked yet.

        Args:
            live: ``poll``, ``auto`` or ``kinesis:STREAM``, as ``Config.live`` has checked it.
            aws: account, Region and endpoint.
            cloudwatch: where to ask for subscription filters.
            inlets: by log group.
            make_path: makes the reader of a stream.
            look_up_every_s: how often to ask for subscription filters, with ``auto``.

        """
        self._live = live
        self._aws = aws
        self._cloudwatch = cloudwatch
        self._inlets = inlets
        self._make_path = make_path or (lambda stream: KinesisPath(stream, aws))
        self._look_up_every_s = look_up_every_s
        self._running: dict[StreamRef, _Running] = {}
        self._chosen: dict[str, Choice] = {}
        self._changed = asyncio.Event()

    async def check(self) -> None:
        """Whether the stream that was named can be read, before anybody is served.

        Raises:
            ConfigError: there is none.
            CloudWatchError: it may not be read.

        """
        stream = self._named()
        if stream is not None:
            path = KinesisPath(stream, self._aws)
            try:
                await path.check()
            finally:
                path.close()

    async def run(self) -> None:
        """Feed the inlets until cancelled.

        Raises:
            JournalError: a journal can't be written. What ails a live path is never raised.

        """
        looking: list[asyncio.Task[None]] = []
        try:
            stream = self._named()
            if stream is not None:
                for group in self._inlets:
                    self._choose(group, Choice(stream))
            elif self._live == "auto":
                looking = [asyncio.create_task(self._look_up(group)) for group in self._inlets]
            while True:
                await self._pause()
                for inlet in self._inlets.values():
                    inlet.look()
                for running in self._running.values():
                    running.look([self._inlets[group].status.state for group in running.inlets])
                for task in (*looking, *(one.task for one in self._running.values())):
                    if task.done():
                        task.result()  # raises: none of them ends by itself
        finally:
            tasks = [*looking, *(one.task for one in self._running.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _named(self) -> StreamRef | None:
        kind, _, name = self._live.partition(":")
        return parse_stream(name) if kind == "kinesis" else None

    async def _pause(self) -> None:
        waits = [one.task for one in self._running.values()]
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                [changed, *waits], timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        self._changed.clear()

    async def _look_up(self, group: str) -> None:
        """Ask again and again which stream a log group's events are sent to."""
        while True:
            try:
                choice = await look_up(self._cloudwatch, group)
            except CloudWatchError as error:
                # What is read already goes on being read.
                if self._chosen.get(group, Choice(None)).stream is None:
                    self._choose(group, Choice(None, f"no telling where it is sent: {error}"))
            else:
                self._choose(group, choice)
            await asyncio.sleep(self._look_up_every_s)

    def _choose(self, group: str, choice: Choice) -> None:
        """Have a log group's news from a stream, or from polls alone."""
        before = self._chosen.get(group)
        if before == choice:
            return
        self._chosen[group] = choice
        inlet = self._inlets[group]
        if before is not None and before.stream is not None:
            self._leave(group, before.stream)
        if choice.stream is None:
            level = logging.INFO if choice == NO_FILTER else logging.WARNING
            _LOG.log(level, "%s: no live path: %s (polling)", group, choice.why)
            inlet.closed(choice.why)
        else:
            running = self._join(group, choice.stream)
            inlet.opened(str(choice.stream), running.path.counts)
        self._changed.set()

    def _join(self, group: str, stream: StreamRef) -> _Running:
        running = self._running.get(stream)
        if running is None:
            inlets: dict[str, Inlet] = {}
            path = self._make_path(stream)
            task = asyncio.create_task(path.run(inlets))
            running = self._running[stream] = _Running(path, inlets, task)
        running.inlets[group] = self._inlets[group]
        return running

    def _leave(self, group: str, stream: StreamRef) -> None:
        running = self._running[stream]
        running.inlets.pop(group, None)
        if not running.inlets:
            running.task.cancel()
            del self._running[stream]


async def look_up(cloudwatch: CloudWatch, group: str) -> Choice:
    """Ask which stream a log group's events are sent to.

    Raises:
        CloudWatchError: that can't be asked.

    """
    answer = await cloudwatch.call(
        lambda client: client.describe_subscription_filters(logGroupName=group, limit=FILTERS_MAX),
        group=group,
        priority=Priority.SCAN,
    )
    return choose(answer.get("subscriptionFilters") or ())

"""Chooses each log group's live path by its subscription filters, and runs the paths' readers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch, is_arn
from forwarder.config import AwsOptions, StreamRef, parse_stream
from forwarder.errors import CloudWatchError
from forwarder.live.kinesis import KinesisReader
from forwarder.live.receiver import LiveReceiver

_LOG: Final = logging.getLogger("gapless.forwarder")

LOOK_UP_EVERY_S: Final = 60.0
"""Interval between lookups of a log group's subscription filters."""

LOOKED_UP_OFTEN: Final = 20
"""Log groups up to which that holds; of more, each is looked up less often, so that lookups take a
call in three seconds in all."""

FILTERS_MAX: Final = 50
"""Page size of DescribeSubscriptionFilters; a log group has at most two filters."""

LATE_UPDATES_MAX: Final = 60
"""Updates in a row at which all log groups of a stream are late, before its reader restarts: reads
of a stream that was deleted and created again succeed, and return nothing."""

UPDATE_EVERY_S: Final = 1.0
"""Interval at which the state of each log group's path is updated."""


class StreamChoice(msgspec.Struct, frozen=True):
    """The stream to read for a log group, or why there is none."""

    stream: StreamRef | None
    why: str | None = None


OTHER_ACCOUNT: Final = StreamChoice(
    None, "its subscription filters belong to another account, where they can't be looked up"
)

NO_FILTER: Final = StreamChoice(None, "it has no subscription filter to a Kinesis stream")


def choose_stream(filters: Sequence[Mapping[str, Any]]) -> StreamChoice:
    """Choose among a log group's subscription filters, from DescribeSubscriptionFilters.

    A filter that lets only some events through, or transforms them, is not used: it would deliver
    too little, or events that no scan returns.
    """
    choice = NO_FILTER
    for one in sorted(filters, key=lambda one: str(one.get("filterName"))):
        stream = parse_stream(str(one.get("destinationArn")))
        if stream is None or stream.arn is None:
            continue
        name = str(one.get("filterName"))[:100]
        if str(one.get("filterPattern") or "").strip() or one.get("fieldSelectionCriteria"):
            why = f"its subscription filter {name!r} lets only some events through"
            choice = StreamChoice(None, why)
        elif one.get("applyOnTransformedLogs"):
            why = f"its subscription filter {name!r} sends transformed events"
            choice = StreamChoice(None, why)
        else:
            return StreamChoice(stream)
    return choice


class _OpenPath:
    """The running reader of a stream, and the receivers that it delivers to."""

    def __init__(
        self, reader: KinesisReader, receivers: dict[str, LiveReceiver], task: asyncio.Task[None]
    ) -> None:
        self.reader = reader
        self.receivers = receivers
        self.task = task
        self._late_updates = 0

    def restart_if_stalled(self) -> None:
        """Restart the reader once all of its log groups have been late for long."""
        states = [one.status.state for one in self.receivers.values()]
        is_late = bool(states) and all(state == "late" for state in states)
        self._late_updates = self._late_updates + 1 if is_late else 0
        if self._late_updates >= LATE_UPDATES_MAX:
            self._late_updates = 0
            self.reader.restart()


class LivePaths:
    """The live paths of one forwarder; log groups with the same stream share its reader."""

    def __init__(
        self,
        live: str,
        aws: AwsOptions,
        cloudwatch: CloudWatch,
        *,
        make_reader: Callable[[StreamRef], KinesisReader] | None = None,
        look_up_every_s: float = LOOK_UP_EVERY_S,
    ) -> None:
        """Make no call yet.

        Args:
            live: ``poll``, ``auto`` or ``kinesis:STREAM``, as ``Config.live``.
            aws: account, Region and endpoint.
            cloudwatch: where to look up subscription filters.
            make_reader: creates the reader of a stream.
            look_up_every_s: interval between lookups of subscription filters, with ``auto``.
        """
        self._live = live
        self._aws = aws
        self._cloudwatch = cloudwatch
        self._receivers: dict[str, LiveReceiver] = {}
        self._make_reader = make_reader or (lambda stream: KinesisReader(stream, aws))
        self._look_up_every_s = look_up_every_s
        self._open: dict[StreamRef, _OpenPath] = {}
        self._chosen: dict[str, StreamChoice] = {}
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def add(self, group: str, receiver: LiveReceiver) -> None:
        """Deliver a log group's live events to a receiver from now on, until ``remove``."""
        self._receivers[group] = receiver
        stream = self._configured_stream()
        if stream is not None:
            self._choose(group, StreamChoice(stream))
        elif self._live == "auto":
            self._lookups[group] = asyncio.create_task(self._look_up(group))

    async def remove(self, group: str) -> None:
        """Deliver nothing to a log group's receiver any more; its journal may be closed then."""
        task = self._lookups.pop(group, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        chosen = self._chosen.pop(group, None)
        if chosen is not None and chosen.stream is not None:
            self._leave(group, chosen.stream)
        receiver = self._receivers.pop(group, None)
        if receiver is not None:
            receiver.end()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def check(self) -> None:
        """Check that a stream given by name can be read, before connections are accepted.

        Raises:
            ConfigError: the stream does not exist.
            CloudWatchError: access is denied.
        """
        stream = self._configured_stream()
        if stream is not None:
            reader = KinesisReader(stream, self._aws)
            try:
                await reader.check()
            finally:
                reader.close()

    async def run(self) -> None:
        """Deliver to the receivers until cancelled.

        Raises:
            JournalError: a journal can't be written. Errors of a live path are never raised.
        """
        try:
            while True:
                await self._wait_for_change()
                for receiver in self._receivers.values():
                    receiver.update_state()
                for path in self._open.values():
                    path.restart_if_stalled()
                for task in (*self._lookups.values(), *(one.task for one in self._open.values())):
                    if task.done():
                        task.result()  # raises, since these tasks end only by an error
        finally:
            tasks = [*self._lookups.values(), *(one.task for one in self._open.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._leaving, return_exceptions=True)

    def _configured_stream(self) -> StreamRef | None:
        kind, _, name = self._live.partition(":")
        return parse_stream(name) if kind == "kinesis" else None

    async def _wait_for_change(self) -> None:
        readers = [one.task for one in self._open.values()]
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                [changed, *readers], timeout=UPDATE_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        self._changed.clear()

    async def _look_up(self, group: str) -> None:
        """Look up a log group's stream again and again."""
        while True:
            try:
                choice = await look_up_stream(self._cloudwatch, group)
            except CloudWatchError as error:
                # A stream that is being read is kept.
                if self._chosen.get(group, StreamChoice(None)).stream is None:
                    why = f"its subscription filters can't be looked up: {error}"
                    self._choose(group, StreamChoice(None, why))
            else:
                self._choose(group, choice)
            await asyncio.sleep(look_up_pause_s(self._look_up_every_s, len(self._receivers)))

    def _choose(self, group: str, choice: StreamChoice) -> None:
        """Switch a log group to a stream, or to polls alone."""
        before = self._chosen.get(group)
        if before == choice:
            return
        self._chosen[group] = choice
        receiver = self._receivers[group]
        if before is not None and before.stream is not None:
            self._leave(group, before.stream)
        if choice.stream is None:
            is_usual = choice in (NO_FILTER, OTHER_ACCOUNT)
            level = logging.INFO if is_usual else logging.WARNING
            _LOG.log(level, "%s: no live path: %s (polling)", group, choice.why)
            receiver.detach(choice.why)
        else:
            path = self._join(group, choice.stream)
            receiver.attach(str(choice.stream), path.reader.counts)
        self._changed.set()

    def _join(self, group: str, stream: StreamRef) -> _OpenPath:
        path = self._open.get(stream)
        if path is None:
            receivers: dict[str, LiveReceiver] = {}
            reader = self._make_reader(stream)
            task = asyncio.create_task(reader.run(receivers))
            path = self._open[stream] = _OpenPath(reader, receivers, task)
        path.receivers[group] = self._receivers[group]
        return path

    def _leave(self, group: str, stream: StreamRef) -> None:
        path = self._open[stream]
        path.receivers.pop(group, None)
        if not path.receivers:
            path.task.cancel()
            del self._open[stream]
            self._leaving.add(path.task)
            path.task.add_done_callback(self._forget_left)

    def _forget_left(self, reader: asyncio.Task[None]) -> None:
        self._leaving.discard(reader)
        if not reader.cancelled():
            reader.exception()  # no log group is left that it could concern


def look_up_pause_s(every_s: float, groups: int) -> float:
    """Pause between two lookups of one of this number of log groups."""
    return every_s * max(1.0, groups / LOOKED_UP_OFTEN)


async def look_up_stream(cloudwatch: CloudWatch, group: str) -> StreamChoice:
    """Look up the stream that a log group's events are sent to.

    Raises:
        CloudWatchError: the lookup failed.
    """
    if is_arn(group):
        return OTHER_ACCOUNT
    answer = await cloudwatch.call(
        lambda client: client.describe_subscription_filters(logGroupName=group, limit=FILTERS_MAX),
        group=group,
        priority=Priority.SCAN,
    )
    return choose_stream(answer.get("subscriptionFilters") or ())

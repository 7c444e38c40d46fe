"""CloudWatch Logs as async streams of pages.

Every attempt goes through ``Turns`` (one budget, polls first) and is made once: the SDK's own
retries are configured to a single attempt, since those here know of the budget, tell the state
as it is, and are not to be multiplied by others.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from forwarder.cloudwatch.botocore_errors import translate
from forwarder.cloudwatch.client import AwsClient, make_client
from forwarder.cloudwatch.clock import timer_ms, wall_clock_ms
from forwarder.cloudwatch.pages import PageParserFactory
from forwarder.cloudwatch.paging import PageWalk
from forwarder.cloudwatch.rate_limit import Priority, Turns
from forwarder.cloudwatch.skew import Skew
from forwarder.config import AwsOptions
from forwarder.errors import CloudWatchError, Throttled
from forwarder.reconcile.upstream import Outcome
from forwarder.records import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef

_T = TypeVar("_T")

Observer = Callable[[Outcome], None]
"""Told what came of each attempt."""

STREAM_NAMES_MAX: Final = 100
"""``logStreamNames`` of one FilterLogEvents call."""


class CloudWatch:
    """One account, Region and endpoint, shared by everything in the process that reads it."""

    def __init__(
        self, aws: AwsOptions | None = None, *, clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        """Nothing is loaded or asked before ``open``; ``clock`` is the wall's, ms."""
        self._aws = aws or AwsOptions()
        self.skew = Skew(clock)
        """How the clocks differ, as the answers tell it."""
        self._client = AwsClient(self._make_client)
        self._turns: Turns | None = None
        self.calls: Counter[str] = Counter()
        """Attempts at calls, by what came of them: ok, throttled, failed."""
        self._where = self._aws.endpoint_url or self._aws.region or "its endpoint"
        self.random = random.random
        """For jitter, not for secrets."""

    async def open(self) -> None:
        """Load the SDK's settings, find credentials and make a client; nothing is asked yet.

        Raises:
            BadAwsSettings: no such profile, no Region, an impossible endpoint.
            NoCredentials: none are found.

        """
        await self._opened()

    async def _opened(self) -> tuple[CloudWatchLogsClient, Turns]:
        turns = self._turns = self._turns or Turns(asyncio.get_running_loop())
        client = await self._client.get(lambda make: turns.call(make, Priority.POLL))
        self._where = client.meta.endpoint_url
        return client, turns

    async def close(self) -> None:
        """Close the connections; what is under way is left to end on its own."""
        self._turns = None
        self._client.close()

    async def __aenter__(self) -> Self:
        """Open it, as ``open`` does."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def check(self, group: str) -> None:
        """Ask once for an event of a log group: whether reading it will work at all.

        Raises:
            CloudWatchError: of the class that says why not; ``Unreachable`` may pass.

        """
        await self.call(
            lambda client: client.filter_log_events(logGroupName=group, limit=1),
            group=group,
            priority=Priority.POLL,
        )

    async def fetch_logs_since_timestamp(
        self,
        group: str,
        since: int,
        until: int | None = None,
        streams: Sequence[str] | str | None = None,
        *,
        priority: Priority = Priority.SCAN,
        observer: Observer | None = None,
    ) -> AsyncGenerator[list[LogEvent], None]:
        """The events of a log group in order of time, a page at a time; the end is the whole.

        Args:
            group: the log group's name.
            since: ms, inclusive.
            until: ms, inclusive; None is open, so that events stamped ahead are included.
            streams: log stream names, or one prefix as a ``str``; more than a hundred names are
                asked for by the hundred, each hundred in order of time.
            priority: what the calls are for.
            observer: told what came of each attempt.

        Yields:
            Pages that are not empty; no event twice.

        Raises:
            CloudWatchError: the scan can't be finished; what was given out so far is no whole.

        """
        if until is not None and until < since:
            return
        for parameters in _requests(group, since, until, streams):
            walk = PageWalk(since, self.random)
            while not walk.done:
                try:
                    events, token = await self._page(parameters, walk, priority)
                except CloudWatchError as error:
                    if observer is not None:
                        observer("throttled" if isinstance(error, Throttled) else "unreachable")
                    await asyncio.sleep(walk.failed(error) / 1000)
                    continue
                if observer is not None:
                    observer("ok")
                fresh = walk.received(events, token)
                if isinstance(streams, str):  # moto ignores logStreamNamePrefix
                    fresh = [one for one in fresh if one.stream.startswith(streams)]
                if fresh:
                    yield fresh

    async def _page(
        self, parameters: FilterLogEventsRequestTypeDef, walk: PageWalk, priority: Priority
    ) -> tuple[list[LogEvent], str | None]:
        request = parameters.copy()
        request["startTime"] = walk.start
        if walk.token is not None:
            request["nextToken"] = walk.token
        answer = await self.call(
            lambda client: client.filter_log_events(**request),
            group=parameters["logGroupName"],
            priority=priority,
            with_token=walk.token is not None,
        )
        # The page parser puts LogEvents where botocore has dictionaries.
        return cast("list[LogEvent]", answer["events"]), answer.get("nextToken")

    async def call(
        self,
        function: Callable[[CloudWatchLogsClient], _T],
        *,
        group: str | None = None,
        priority: Priority = Priority.SCAN,
        with_token: bool = False,
    ) -> _T:
        """One attempt at a call of the SDK, in a thread, when its turn comes.

        Raises:
            CloudWatchError: of the class that says why it failed.

        """
        client, turns = await self._opened()

        def timed() -> tuple[int, _T, int]:
            asked_at_ms = timer_ms()
            return asked_at_ms, function(client), timer_ms()

        try:
            asked_at_ms, answer, at_ms = await turns.call(timed, priority)
        except Exception as error:  # botocore raises what the shape of a strange reply leads to
            told = translate(error, where=self._where, group=group, with_token=with_token)
            self.calls["throttled" if isinstance(told, Throttled) else "failed"] += 1
            if isinstance(told, Throttled):
                turns.throttled()
            self._client.failed(client, told)
            raise told from error
        self.calls["ok"] += 1
        turns.budget.succeeded()
        self.skew.heard(answer, asked_at_ms, at_ms)
        return answer

    def _make_client(self) -> CloudWatchLogsClient:
        endpoint_url, parser_factory = self._aws.endpoint_url, PageParserFactory()
        client: CloudWatchLogsClient = make_client(
            "logs", self._aws, endpoint_url=endpoint_url, parser_factory=parser_factory
        )
        return client


async def fetch_logs_since_timestamp(
    group: str,
    since: int,
    until: int | None = None,
    streams: Sequence[str] | str | None = None,
    *,
    aws: AwsOptions | None = None,
) -> AsyncGenerator[list[LogEvent], None]:
    """As ``CloudWatch.fetch_logs_since_timestamp``, with a connection of its own.

    Yields:
        Pages that are not empty, in order of time.

    Raises:
        CloudWatchError: the scan can't be finished; what was given out so far is no whole.

    """
    async with (
        CloudWatch(aws) as cloudwatch,
        aclosing(cloudwatch.fetch_logs_since_timestamp(group, since, until, streams)) as pages,
    ):
        async for page in pages:
            yield page


def _requests(
    group: str, since: int, until: int | None, streams: Sequence[str] | str | None
) -> Iterator[FilterLogEventsRequestTypeDef]:
    request: FilterLogEventsRequestTypeDef = {
        "logGroupName": group,
        "startTime": since,
        # AWS ignores it since 2019 and always merges streams; moto merges only when told.
        "interleaved": True,
    }
    if until is not None:
        request["endTime"] = until
    if isinstance(streams, str):
        yield {**request, "logStreamNamePrefix": streams}
    elif streams is None:
        yield request
    else:
        for start in range(0, len(streams), STREAM_NAMES_MAX):
            yield {**request, "logStreamNames": streams[start : start + STREAM_NAMES_MAX]}

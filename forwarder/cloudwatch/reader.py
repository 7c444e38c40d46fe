"""CloudWatch Logs as async streams of pages.

Every attempt goes through ``Turns`` (one budget, polls first) and is made once: the SDK's own
retries are configured to a single attempt, since those here know of the budget, tell the state
as it is, and are not to be multiplied by others.

A botocore response parser that decodes pages of FilterLogEvents with msgspec.

Only the body of a FilterLogEvents reply is decoded here; everything else, errors included, goes
through botocore's own parser, and signing, credentials and retries are untouched. botocore
turns a reply whose body was cut short into one without ``events`` and without an error
(measured, with moto 5.2.5); here that is ``TruncatedResponseError``.

One scan of FilterLogEvents, page by page: which page to ask for next; no clock, no calls.

Rules, from the service model: empty and short pages with a token go on, only an absent token
ends a scan; pages come in order of time; tokens expire. A scan whose token no longer works is
taken up again *by time*, from the last timestamp seen, inclusive, never by an old token.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import msgspec
from botocore.model import Shape
from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory

from common.concurrency import Backoff
from forwarder.cloudwatch.client import AwsClient, make_client, translate
from forwarder.cloudwatch.clock import ClockSkew, timer_ms, wall_clock_ms
from forwarder.cloudwatch.rate_limit import Priority, Turns
from forwarder.config import AwsOptions
from forwarder.errors import (
    CloudWatchError,
    PageTokenError,
    ScanStuckError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.records import CallOutcome, LogEvent

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef


_RESPONSE_SHAPE: Final = "FilterLogEventsResponse"
_NULL: Final = msgspec.Raw(b"null")
_HTTP_OK: Final = 200


class _Event(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"id": "eventId", "ingestion_time": "ingestionTime", "stream": "logStreamName"},
):
    """An event as the reply spells it; fields that are not listed are skipped."""

    id: str
    timestamp: int
    stream: str
    message: str
    ingestion_time: int | None = None


class _Page(msgspec.Struct):
    """A reply; what is not events is left to botocore's parser as it came."""

    events: list[_Event]
    nextToken: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name
    searchedLogStreams: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name


_DECODER: Final = msgspec.json.Decoder(_Page)


def decode_page(body: bytes) -> tuple[list[LogEvent], bytes]:
    """The events of a reply, and the rest of it as a JSON body for botocore's parser.

    msgspec refuses lone surrogates, which a message may hold; such a page (rare) is decoded by
    the standard library, as botocore does it.

    Raises:
        TruncatedResponseError: the body is no JSON of a whole reply, or has no ``events``.

    """
    try:
        page = _DECODER.decode(body)
    except msgspec.DecodeError:
        page = _decode_slowly(body)
    names: dict[str, str] = {}
    share = names.setdefault  # the same few names come thousands of times
    events = [
        LogEvent(
            one.id, one.timestamp, one.ingestion_time, share(one.stream, one.stream), one.message
        )
        for one in page.events
    ]
    rest = b'{"nextToken":%b,"searchedLogStreams":%b}'
    return events, rest % (bytes(page.nextToken), bytes(page.searchedLogStreams))


def _decode_slowly(body: bytes) -> _Page:
    try:
        reply = json.loads(body.decode("utf-8", "surrogatepass"))
        events = msgspec.convert(reply["events"], list[_Event])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # json's and msgspec's errors are ValueErrors; a KeyError is a reply without events.
        msg = f"CloudWatch Logs sent a reply that is not whole ({len(body)} bytes)"
        raise TruncatedResponseError(msg) from error
    names = ("nextToken", "searchedLogStreams")
    rest = [msgspec.Raw(json.dumps(reply.get(name)).encode("ascii")) for name in names]
    return _Page(events, *rest)


class PageParser(JSONParser):
    """botocore's parser of the ``json`` protocol, with pages of events decoded faster.

    A page's ``events`` are ``LogEvent``s instead of dictionaries; all else is as botocore has it.
    """

    def parse(self, response: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """As botocore calls it: ``response`` has ``status_code``, ``headers`` and ``body``.

        Raises:
            TruncatedResponseError: a page of events that is not whole.

        """
        parse = super().parse
        if response["status_code"] != _HTTP_OK or getattr(shape, "name", None) != _RESPONSE_SHAPE:
            return cast("dict[str, Any]", parse(response, shape))
        events, rest = decode_page(response["body"])
        parsed = cast("dict[str, Any]", parse({**response, "body": rest}, shape))
        parsed["events"] = events
        return parsed


class PageParserFactory(ResponseParserFactory):
    """To be registered as a botocore session's ``response_parser_factory`` component."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        """A parser for a reply; botocore makes one for each."""
        return PageParser() if protocol_name == "json" else super().create_parser(protocol_name)


PAGE_ATTEMPTS_MAX: Final = 4
"""Attempts at the same page before the scan begins again by time, or fails."""

THROTTLED_ATTEMPTS_MAX: Final = 10
"""Throttled attempts at the same page before the scan fails; the waits add up to about a minute."""

RESTARTS_MAX: Final = 5
"""New beginnings without one new event in between before the scan fails."""

TOKENS_MAX: Final = 100_000
"""Tokens remembered to recognise one that repeats; then the scan begins again by time."""

BACKOFF_FIRST_MS: Final = 100
BACKOFF_MAX_MS: Final = 10_000


class Patience:
    """Whether and when the same call is made again after an error that passes."""

    def __init__(self, random: Callable[[], float]) -> None:
        """No error yet; ``random`` gives numbers from 0 to 1."""
        self._attempts = 0
        self._backoff = Backoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random)

    def failed(self, error: CloudWatchError) -> int | None:
        """One more attempt failed; how many ms to wait before the next, None to give up."""
        self._attempts += 1
        most = 1
        if isinstance(error, ThrottledError):
            most = THROTTLED_ATTEMPTS_MAX
        elif isinstance(error, TruncatedResponseError | UnreachableError):
            most = PAGE_ATTEMPTS_MAX
        return self._backoff.count_failure() if self._attempts < most else None

    def succeeded(self) -> None:
        """The next error is the first again."""
        self._attempts = 0
        self._backoff.reset()


class PageWalk:
    """A scan from ``since`` on: ask for ``(start, token)``, tell what came, until ``done``.

    No event is given out twice, unless CloudWatch breaks its promise of order: then what comes
    after a new beginning may repeat, and the door's deduplication takes it.
    """

    def __init__(self, since: int, random: Callable[[], float]) -> None:
        """A scan of ``timestamp >= since`` (ms); ``random`` gives numbers from 0 to 1."""
        self.start = since
        """The ``startTime`` to ask for, ms."""
        self.token: str | None = None
        """The ``nextToken`` to ask with."""
        self.done = False
        """Whether the last page has come."""
        self._since = since
        self._last: int | None = None
        self._ids_at_last: set[str] = set()
        self._in_order = True
        self._repeats = False
        self._tokens: set[int] = set()
        self._restarts = 0
        self._patience = Patience(random)

    def received(self, events: Sequence[LogEvent], token: str | None) -> list[LogEvent]:
        """A page came; its events, without those that were given out before.

        Raises:
            ScanStuckError: begun again and again without getting anywhere.

        """
        self._patience.succeeded()
        fresh = self._without_repeats(events)
        if fresh:
            self._restarts = 0
            self._remember(fresh)
        if token is None:
            self.done = True
        elif hash(token) in self._tokens or len(self._tokens) >= TOKENS_MAX:
            self._begin_again()
        else:
            self._tokens.add(hash(token))
            self.token = token
        return fresh

    def failed(self, error: CloudWatchError) -> int:
        """A page did not come; how many ms to wait before asking for what ``start`` says now.

        Raises:
            CloudWatchError: the same, if asking again is not up to the scan.

        """
        wait_ms = self._patience.failed(error)
        if wait_ms is not None:
            return wait_ms
        if self.token is None or not isinstance(error, PageTokenError | TruncatedResponseError):
            raise error
        self._patience.succeeded()
        self._begin_again()
        return 0

    def _begin_again(self) -> None:
        if self._restarts >= RESTARTS_MAX:
            msg = (
                f"a scan of CloudWatch Logs got no further than {self.start} ms; it will be retried"
            )
            raise ScanStuckError(msg)
        self._restarts += 1
        self.start = self._last if self._last is not None and self._in_order else self._since
        self.token = None
        self._repeats = True
        self._tokens.clear()

    def _without_repeats(self, events: Sequence[LogEvent]) -> list[LogEvent]:
        if not self._repeats:
            return list(events)
        last, known = self._last, self._ids_at_last
        return [one for one in events if one.timestamp != last or one.id not in known]

    def _remember(self, events: Sequence[LogEvent]) -> None:
        times = [one.timestamp for one in events]
        first = times[0] if self._last is None else self._last
        self._in_order = self._in_order and first <= times[0] and times == sorted(times)
        last = times[-1]
        if last != self._last:
            self._ids_at_last = set()
        self._last = last
        for one in reversed(events):
            if one.timestamp != last:
                break
            self._ids_at_last.add(one.id)


_T = TypeVar("_T")

Observer = Callable[[CallOutcome], None]
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
        self.skew = ClockSkew(clock)
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
            AwsSettingsError: no such profile, no Region, an impossible endpoint.
            CredentialsError: none are found.

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
            CloudWatchError: of the class that says why not; ``UnreachableError`` may pass.

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
                        observer(
                            "throttled" if isinstance(error, ThrottledError) else "unreachable"
                        )
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
            self.calls["throttled" if isinstance(told, ThrottledError) else "failed"] += 1
            if isinstance(told, ThrottledError):
                turns.throttled()
            self._client.failed(client, told)
            raise told from error
        self.calls["ok"] += 1
        turns.budget.succeeded()
        self.skew.observe(answer, asked_at_ms, at_ms)
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

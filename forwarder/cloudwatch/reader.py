"""Reads CloudWatch Logs as async streams of pages: FilterLogEvents, page by page, with retries.

``PagedScan`` decides which page to ask for next; ``PageParser`` decodes a page quickly;
``CloudWatch`` makes the calls, paced by a ``CallQueue`` for FilterLogEvents and one for the rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar, cast

import msgspec
from botocore.model import Shape
from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory

from common.concurrency import Backoff, in_thread
from forwarder.cloudwatch.answers import AnswerWatch
from forwarder.cloudwatch.batching import Batches
from forwarder.cloudwatch.client import AwsClient, make_client, sibling_endpoint, translate
from forwarder.cloudwatch.clock import ClockSkew, timer_ms, wall_clock_ms
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import (
    DEFAULT_SHARE,
    DESCRIBE_RATE,
    CallQueue,
    Turn,
    filter_quota,
)
from forwarder.cloudwatch.remedies import AwsPlace, find_place
from forwarder.config import AwsOptions
from forwarder.errors import (
    CloudWatchError,
    InvalidEventError,
    PageTokenError,
    ScanStuckError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.records import LogEvent, UnreadableEvent
from wire.limits import TIMESTAMP_MAX

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef


_RESPONSE_SHAPE: Final = "FilterLogEventsResponse"
_NULL: Final = msgspec.Raw(b"null")
_HTTP_OK: Final = 200
_TEXT_MAX: Final = 40

WRONG_FIELDS: Final = "a field is missing or has another type than CloudWatch documents"
"""Why an event of a reply can't be decoded."""


class _PageEvent(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"id": "eventId", "ingestion_time": "ingestionTime", "stream": "logStreamName"},
):
    """An event of a FilterLogEvents reply; other fields are skipped."""

    id: str
    timestamp: int
    stream: str
    message: str
    ingestion_time: int | None = None


class _Page(msgspec.Struct):
    """A FilterLogEvents reply; botocore's parser decodes the fields besides the events."""

    events: list[_PageEvent]
    nextToken: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name
    searchedLogStreams: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name


_DECODER: Final = msgspec.json.Decoder(_Page)


class DecodedPage(NamedTuple):
    """A reply's events, those that lack a field or have one of another type, and the rest.

    ``rest`` is a JSON body for botocore's parser.
    """

    events: list[LogEvent]
    unreadable: list[UnreadableEvent]
    rest: bytes


def decode_page(body: bytes) -> DecodedPage:
    """Decode a reply; an event that can't be decoded does not affect the others.

    msgspec rejects lone surrogates, which a message may contain; the standard library decodes such
    a page (rare), as botocore does.

    Raises:
        TruncatedResponseError: the body is not JSON of a whole reply, or has no ``events``.
    """
    unreadable: list[UnreadableEvent] = []
    try:
        page = _DECODER.decode(body)
    except msgspec.DecodeError:
        page, unreadable = _decode_slowly(body)
    names: dict[str, str] = {}
    share = names.setdefault  # the same few names occur thousands of times
    events = [
        LogEvent(
            one.id,
            one.timestamp,
            # Neither SQLite nor the protocol carries a larger or negative number: unknown.
            at if (at := one.ingestion_time) is None or 0 <= at <= TIMESTAMP_MAX else None,
            share(one.stream, one.stream),
            one.message,
        )
        for one in page.events
    ]
    rest = b'{"nextToken":%b,"searchedLogStreams":%b}'
    rest %= (bytes(page.nextToken), bytes(page.searchedLogStreams))
    return DecodedPage(events, unreadable, rest)


def _decode_slowly(body: bytes) -> tuple[_Page, list[UnreadableEvent]]:
    try:
        reply = json.loads(body.decode("utf-8", "surrogatepass"))
        events, unreadable = _convert_each(msgspec.convert(reply["events"], list[Any]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # json's and msgspec's errors are ValueErrors; a KeyError is a reply without events.
        hint = "check --endpoint-url if this lasts"
        msg = f"CloudWatch Logs sent a truncated reply ({len(body)} bytes): {hint}"
        raise TruncatedResponseError(msg) from error
    names = ("nextToken", "searchedLogStreams")
    rest = [msgspec.Raw(json.dumps(reply.get(name)).encode("ascii")) for name in names]
    return _Page(events, *rest), unreadable


def _convert_each(found: Sequence[Any]) -> tuple[list[_PageEvent], list[UnreadableEvent]]:
    """Convert a page's events; one without a usable timestamp gets that of its neighbour."""
    events: list[_PageEvent] = []
    unreadable: list[UnreadableEvent] = []
    for one in found:
        try:
            events.append(msgspec.convert(one, _PageEvent))
        except msgspec.ValidationError:
            fields = one if isinstance(one, dict) else {}
            timestamp = fields.get("timestamp")
            if type(timestamp) is not int:
                timestamp = events[-1].timestamp if events else None
            text = json.dumps(fields.get("eventId", one))[:_TEXT_MAX]
            unreadable.append(UnreadableEvent(text, timestamp, WRONG_FIELDS))
    return events, unreadable


class PageParser(JSONParser):
    """botocore's parser of the ``json`` protocol, with pages of events decoded by msgspec.

    A page's ``events`` are ``LogEvent``s instead of dictionaries, and ``unreadable`` has those that
    can't be decoded. botocore turns a FilterLogEvents
    reply whose body was cut short into one without ``events`` and without an error (measured, with
    moto 5.2.5); here that is a ``TruncatedResponseError``. All other replies, errors included, go
    through botocore's parser.
    """

    def parse(self, response: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """Parse a reply; ``response`` has ``status_code``, ``headers`` and ``body``.

        Raises:
            TruncatedResponseError: a page of events was cut short.
        """
        parse = super().parse
        if response["status_code"] != _HTTP_OK or getattr(shape, "name", None) != _RESPONSE_SHAPE:
            return cast("dict[str, Any]", parse(response, shape))
        page = decode_page(response["body"])
        parsed = cast("dict[str, Any]", parse({**response, "body": page.rest}, shape))
        parsed["events"] = page.events
        if page.unreadable:
            parsed["unreadable"] = page.unreadable
        return parsed


class PageParserFactory(ResponseParserFactory):
    """Creates a ``PageParser``; a botocore session's ``response_parser_factory`` component."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        """Create the parser of one reply, as botocore does."""
        return PageParser() if protocol_name == "json" else super().create_parser(protocol_name)


PAGE_ATTEMPTS_MAX: Final = 4
"""Attempts at a page before the scan restarts by time, or fails."""

THROTTLED_ATTEMPTS_MAX: Final = 10
"""Throttled attempts at a page before the scan fails; the waits add up to about a minute."""

RESTARTS_MAX: Final = 5
"""Restarts without progress in time before the scan fails."""

RESTART_FIRST_MS: Final = 200
"""First wait before a restart; each one without progress doubles it."""

TOKENS_MAX: Final = 100_000
"""Tokens remembered to recognise one that repeats; beyond it the scan restarts by time."""

BACKOFF_FIRST_MS: Final = 100
BACKOFF_MAX_MS: Final = 10_000


class RetryPolicy:
    """Decides whether and when a call is retried after a transient error."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Start without failures; ``random`` returns numbers from 0 to 1, for jitter."""
        self._attempts = 0
        self._backoff = Backoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random)

    def count_failure(self, error: CloudWatchError) -> int | None:
        """Count a failed attempt; returns the ms to wait before the next, None to give up."""
        self._attempts += 1
        most = 1
        if isinstance(error, ThrottledError):
            most = THROTTLED_ATTEMPTS_MAX
        elif isinstance(error, TruncatedResponseError | UnreachableError):
            most = PAGE_ATTEMPTS_MAX
        return self._backoff.count_failure() if self._attempts < most else None

    def reset(self) -> None:
        """Forget the failures after a success."""
        self._attempts = 0
        self._backoff.reset()


STUCK: Final = (
    "CloudWatch Logs repeats or refuses its page tokens, so that no scan comes to an end: "
    "gapless tries again; check --endpoint-url if this lasts"
)


class PagedScan:
    """One scan of FilterLogEvents: which page to ask for next. Pure.

    Ask for ``start`` and ``token``, and report what came with ``take_page`` or ``take_error`` until
    ``is_done``. Rules of the service model: a page with a token is never the last, even if it is
    short or empty; pages come in order of time; tokens expire. A scan whose token fails restarts
    *by time*, from the last timestamp seen, inclusive, and never with an old token.

    No event is returned twice, unless CloudWatch breaks its order: then events after a restart may
    repeat, and the journal deduplicates them.
    """

    def __init__(self, since: int, random: Callable[[], float]) -> None:
        """Start a scan of ``timestamp >= since`` (ms); ``random`` returns numbers from 0 to 1."""
        self.start = since
        """The ``startTime`` to ask for, ms."""
        self.token: str | None = None
        """The ``nextToken`` to ask with."""
        self.is_done = False
        """Whether the last page has come."""
        self.restart_count = 0
        """Restarts by time. What CloudWatch left out before one can't be known."""
        self.wait_ms = 0
        """How long to wait before the next page, ms."""
        self._since = since
        self._last: int | None = None
        self._ids_at_last: set[str] = set()
        self._in_order = True
        self._repeats = False
        self._tokens: set[int] = set()
        self._reached = (since - 1, 0)
        """The latest timestamp that was seen, and how many ids at it."""
        self._restarts = Backoff(RESTART_FIRST_MS, BACKOFF_MAX_MS, random)
        self._retries = RetryPolicy(random)

    def take_page(self, events: Sequence[LogEvent], token: str | None) -> list[LogEvent]:
        """Advance by a page; returns its events, without those that were returned before.

        Raises:
            ScanStuckError: the scan restarted too often without progress.
        """
        self._retries.reset()
        self.wait_ms = 0
        fresh = self._without_repeats(events)
        if fresh:
            self._remember(fresh)
            self._note_progress()
        if token is None:
            self.is_done = True
        elif hash(token) in self._tokens or len(self._tokens) >= TOKENS_MAX:
            self._restart()
        else:
            self._tokens.add(hash(token))
            self.token = token
        return fresh

    def take_error(self, error: CloudWatchError) -> int:
        """Prepare to retry a page, or to restart by time; returns the ms to wait before.

        Raises:
            CloudWatchError: ``error`` itself, if the scan can't go on.
        """
        wait_ms = self._retries.count_failure(error)
        if wait_ms is not None:
            return wait_ms
        if self.token is None or not isinstance(error, PageTokenError | TruncatedResponseError):
            raise error
        self._retries.reset()
        self._restart()
        return self.wait_ms

    def _note_progress(self) -> None:
        """Allow restarts again, unless the events are only some that came before the last one.

        An endless series of the same pages would otherwise be read for ever, without a pause.
        """
        reached = (self._last or 0, len(self._ids_at_last))
        if reached > self._reached:
            self._reached = reached
            self._restarts.reset()

    def _restart(self) -> None:
        if self._restarts.failures >= RESTARTS_MAX:
            raise ScanStuckError(STUCK)
        self.wait_ms = self._restarts.count_failure()
        self.restart_count += 1
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

Observer = Callable[[CloudWatchError | None], None]
"""Called with the error of each failed attempt at a page, and with None after a success."""

ACCOUNT_WITHIN_S: Final = 3.0
"""Longest wait for the account's number."""

_ARN_ACCOUNT: Final = 4
"""Place of the account's number in an ARN."""


class ReadReport(msgspec.Struct):
    """What a scan's pages do not show; the reader adds to it before it yields each page.

    Attributes:
        restart_count: Restarts by time, after a page token was refused: such a scan may have
            skipped events, and proves nothing.
        unreadable: Events that can't be decoded.
        has_more: Whether a further page follows the last one.
    """

    restart_count: int = 0
    has_more: bool = False
    unreadable: list[UnreadableEvent] = []


STREAM_NAMES_MAX: Final = 100
"""``logStreamNames`` of one FilterLogEvents call."""


class CloudWatch:
    """CloudWatch Logs of one account, Region and endpoint, shared by all readers in the process."""

    def __init__(
        self,
        aws: AwsOptions | None = None,
        *,
        clock: Callable[[], int] = wall_clock_ms,
        calls_per_second: float | None = None,
    ) -> None:
        """Load nothing before the first call or ``open``.

        Args:
            aws: account, Region and endpoint.
            clock: the wall clock, ms.
            calls_per_second: most FilterLogEvents calls; None: half of the Region's quota.
        """
        self._aws = aws or AwsOptions()
        self._calls_per_second = calls_per_second
        self.reads = CallQueue(calls_per_second or DEFAULT_SHARE * filter_quota(""))
        """Paces FilterLogEvents; a lane is a log group and a filter pattern, hence a feed."""
        self._describes = CallQueue(DESCRIBE_RATE)
        self.group_lookups: Batches[str, Any] = Batches()
        """Lookups of log groups by name, which share calls."""
        self.skew = ClockSkew(clock)
        """Skew of this machine's clock, measured from the replies."""
        self._place: AwsPlace | None = None
        self._account = ""
        self._where = self._aws.endpoint_url or ""
        self.answers = AnswerWatch()
        """Running calls; notices when none is answered. Timed by ``timer_ms``."""
        self._client = AwsClient(self._make_client)
        self.calls: Counter[str] = Counter()
        """Attempts at calls by outcome: ok, throttled, failed."""
        self.random = random.random
        """For jitter, not for secrets."""

    async def open(self) -> None:
        """Load the SDK's settings, find credentials and create a client; makes no call.

        Raises:
            AwsSettingsError: the profile, the Region or the endpoint is invalid.
            CredentialsError: no credentials are found.
        """
        await self._client.open()

    async def close(self) -> None:
        """Close the connections; running calls end on their own."""
        self._client.close()
        self.reads.close()
        self._describes.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def note_account(self, arn: str) -> None:
        """Note the account's number, which messages name, from the ARN of one of its resources."""
        parts = arn.split(":")
        if len(parts) > _ARN_ACCOUNT and parts[_ARN_ACCOUNT].isdecimal():
            self._account = parts[_ARN_ACCOUNT]
            if self._place is not None and self._place.account != self._account:
                self._place = msgspec.structs.replace(self._place, account=self._account)

    async def find_place(self) -> AwsPlace:
        """Where calls go, with the account's number unless AWS denies it; asks once."""
        if not self._account:
            with suppress(Exception):  # whatever it is, the message comes without the number
                async with asyncio.timeout(ACCOUNT_WITHIN_S):
                    self.note_account(await in_thread(self._ask_identity))
        return self._place or find_place(self._aws)

    def _ask_identity(self) -> str:
        endpoint_url = sibling_endpoint("sts", self._aws.endpoint_url, os.environ)
        client = make_client("sts", self._aws, endpoint_url=endpoint_url)
        with closing(client):
            return str(client.get_caller_identity()["Arn"])

    @property
    def place(self) -> AwsPlace:
        """Region, account and profile, as far as they are known; a client must exist."""
        return self._place or AwsPlace(self._aws.region or "", self._aws.profile or "")

    def silence(self, at_ms: int) -> str:
        """A message if CloudWatch answers no call at present; else an empty text."""
        silent_ms = self.answers.silent_ms(at_ms)
        if silent_ms is None:
            return ""
        where = f" at {self._where}" if self._where else ""
        hint = "check the network, the proxy and --endpoint-url"
        return f"CloudWatch Logs{where} has not answered for {silent_ms // 1000} s: {hint}"

    async def check(self, group: str, pattern: str = "") -> None:
        """Check that a log group can be read with a filter pattern, by asking for one event.

        Raises:
            CloudWatchError: it can't be read; the subclass says why.
        """
        request: FilterLogEventsRequestTypeDef = {**_source(group), "limit": 1}
        if pattern:
            request["filterPattern"] = pattern
        await self.call(
            lambda client: client.filter_log_events(**request),
            group=group,
            pattern=pattern,
            queue=self.reads,
            priority=Priority.POLL,
        )

    async def wait_turn(self, group: str, pattern: str, priority: Priority) -> Turn:
        """Wait until a scan may start; use the turn for its first page.

        Raises:
            CloudWatchError: the client can't be created.
        """
        await self._client.open()
        return await self.reads.wait_turn((group, pattern), priority)

    async def fetch_logs_since_timestamp(  # noqa: PLR0913 - a scan's range, pacing and observers
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
        """Scan a log group in order of time, a page at a time; complete if no error is raised.

        Args:
            group: the log group's name.
            since: ms, inclusive.
            until: ms, inclusive; None: open, so that events with future timestamps are included.
            streams: log stream names, or one prefix as a ``str``. More than a hundred names are
                read in batches of a hundred, each batch in order of time.
            pattern: CloudWatch's filter pattern; empty: all events.
            priority: the purpose of the calls.
            turn: of ``wait_turn``, for the first page.
            observer: called with the result of each attempt.
            report: collects what the pages do not show; without one, an event that can't be
                decoded is an error.

        Yields:
            Non-empty pages; no event twice.

        Raises:
            CloudWatchError: the scan can't be finished; the pages so far are incomplete.
            InvalidEventError: an event can't be decoded, and there is no ``report``.
        """
        if until is not None and until < since:
            return
        for parameters in _requests(group, since, until, streams, pattern):
            scan = PagedScan(since, self.random)
            while not scan.is_done:
                first_turn, turn = turn, None
                try:
                    page = await self._page(parameters, scan, priority, first_turn)
                    events, unreadable, token = page
                except CloudWatchError as error:
                    if observer is not None:
                        observer(error)
                    restarts = scan.restart_count
                    wait_ms = scan.take_error(error)
                    _note_page(report, scan.restart_count - restarts, [], True)  # noqa: FBT003
                    await asyncio.sleep(wait_ms / 1000)
                    continue
                if observer is not None:
                    observer(None)
                restarts = scan.restart_count
                fresh = scan.take_page(events, token)
                _note_page(report, scan.restart_count - restarts, unreadable, not scan.is_done)
                if isinstance(streams, str):  # moto ignores logStreamNamePrefix
                    fresh = [one for one in fresh if one.stream.startswith(streams)]
                if fresh:
                    yield fresh
                if scan.wait_ms:
                    await asyncio.sleep(scan.wait_ms / 1000)

    async def _page(
        self,
        parameters: FilterLogEventsRequestTypeDef,
        scan: PagedScan,
        priority: Priority,
        turn: Turn | None,
    ) -> tuple[list[LogEvent], list[UnreadableEvent], str | None]:
        request = parameters.copy()
        request["startTime"] = scan.start
        if scan.token is not None:
            request["nextToken"] = scan.token
        answer = await self.call(
            lambda client: client.filter_log_events(**request),
            group=parameters.get("logGroupName") or parameters.get("logGroupIdentifier"),
            pattern=parameters.get("filterPattern", ""),
            queue=self.reads,
            priority=priority,
            turn=turn,
            with_token=scan.token is not None,
        )
        # PageParser returns LogEvents where botocore has dictionaries.
        page = cast("Mapping[str, Any]", answer)
        return page["events"], page.get("unreadable", []), page.get("nextToken")

    async def call(
        self,
        function: Callable[[CloudWatchLogsClient], _T],
        *,
        group: str | None = None,
        pattern: str = "",
        queue: CallQueue | None = None,
        priority: Priority = Priority.SCAN,
        turn: Turn | None = None,
        with_token: bool = False,
    ) -> _T:
        """Make one attempt at a call of the SDK, in a thread, when its turn comes.

        Args:
            function: makes the call.
            group: the log group that it is about.
            pattern: its filter pattern; log group and pattern are its lane in the queue.
            queue: paces it; None: the queue of the calls that describe.
            priority: its purpose, for the queue.
            turn: a turn of the queue, instead of waiting for one.
            with_token: whether it carries a ``nextToken``, which AWS may refuse.

        Raises:
            CloudWatchError: the call failed; the subclass says why.
        """

        def timed(client: CloudWatchLogsClient) -> tuple[int, _T, int]:
            asked_at_ms, answer = timer_ms(), None
            number = self.answers.begin(asked_at_ms)
            try:
                answer = function(client)
            finally:
                self.answers.end(number, timer_ms(), is_answered=answer is not None)
            return asked_at_ms, answer, timer_ms()

        def translated(error: Exception, client: CloudWatchLogsClient) -> CloudWatchError:
            where = client.meta.endpoint_url
            ours = translate(
                error,
                where=where,
                group=group,
                pattern=pattern,
                with_token=with_token,
                place=self._place,
            )
            self.calls["throttled" if isinstance(ours, ThrottledError) else "failed"] += 1
            return ours

        asked_at_ms, answer, at_ms = await self._client.call(
            timed,
            translate=translated,
            queue=queue or self._describes,
            priority=priority,
            lane=(group, pattern),
            turn=turn,
        )
        self.calls["ok"] += 1
        self.skew.observe(answer, asked_at_ms, at_ms)
        return answer

    def _make_client(self) -> CloudWatchLogsClient:
        endpoint_url, parser_factory = self._aws.endpoint_url, PageParserFactory()
        client: CloudWatchLogsClient = make_client(
            "logs", self._aws, endpoint_url=endpoint_url, parser_factory=parser_factory
        )
        # Found here, in a thread, as it reads files; again whenever the credentials were refused.
        place = find_place(self._aws, client.meta.region_name)
        self._place = msgspec.structs.replace(place, account=self._account or place.account)
        self._where = client.meta.endpoint_url
        quota = filter_quota(client.meta.region_name)
        self.reads.set_limit(self._calls_per_second or DEFAULT_SHARE * quota, quota)
        return client


def _note_page(
    report: ReadReport | None,
    restarts: int,
    unreadable: Sequence[UnreadableEvent],
    has_more: bool,  # noqa: FBT001 - as of ``ReadReport``
) -> None:
    if report is not None:
        report.has_more = has_more
        report.restart_count += restarts
        report.unreadable += unreadable
    elif unreadable:
        one = unreadable[0]
        msg = f"CloudWatch sent the event {one.text}: {one.why}; check --endpoint-url"
        raise InvalidEventError(msg)


def is_arn(group: str) -> bool:
    """Whether a log group is named by its ARN, as one of a linked account is."""
    return group.startswith("arn:")


def _source(group: str) -> FilterLogEventsRequestTypeDef:
    return {"logGroupIdentifier": group} if is_arn(group) else {"logGroupName": group}


def _requests(
    group: str, since: int, until: int | None, streams: Sequence[str] | str | None, pattern: str
) -> Iterator[FilterLogEventsRequestTypeDef]:
    request: FilterLogEventsRequestTypeDef = {
        **_source(group),
        "startTime": since,
        # AWS has ignored this since 2019 and always merges streams; moto merges only with it.
        "interleaved": True,
    }
    if until is not None:
        request["endTime"] = until
    if pattern:
        request["filterPattern"] = pattern
    if isinstance(streams, str):
        yield {**request, "logStreamNamePrefix": streams}
    elif streams is None:
        yield request
    else:
        for start in range(0, len(streams), STREAM_NAMES_MAX):
            yield {**request, "logStreamNames": streams[start : start + STREAM_NAMES_MAX]}

"""Reads one Kinesis stream for all log groups whose subscription filters write to it.

``Shards`` decides what to call when. Each call runs in a daemon thread, which also decodes its
records, so that a slow Kinesis delays neither the event loop nor the scans.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from botocore.exceptions import ClientError

from common.concurrency import wait_and_clear
from forwarder.cloudwatch.client import (
    AwsClient,
    check_in_time,
    make_client,
    sibling_endpoint,
    translate,
)
from forwarder.cloudwatch.clock import timer_ms, wall_clock_ms
from forwarder.cloudwatch.remedies import AwsPlace
from forwarder.config import AwsOptions, StreamRef
from forwarder.errors import CloudWatchError, ConfigError, ThrottledError, UnreachableError
from forwarder.live.decoding import Decoded, LiveBatch, decode
from forwarder.live.receiver import LiveReceiver, PathCounts
from forwarder.live.shards import ShardCall, ShardInfo, ShardPosition, Shards

_T = TypeVar("_T")

_LOG = logging.getLogger(__name__)

CALLS_MAX: Final = 16
"""Concurrent calls, each of which holds a thread, a connection and up to 10 MiB."""

RECORDS_MAX: Final = 1_000
"""Records of one call; more would delay those of other shards."""

SILENT_MS: Final = 3_000
"""Without a reply for this long, the path counts as down."""

NOTE_EVERY_MS: Final = 200
"""Least interval at which receivers are notified that the stream is read."""

TURN_MIN_S: Final = 0.005
"""Least pause between two looks at what is due."""

_POSITION_REFUSED: Final = frozenset({"InvalidArgumentException", "ResourceNotFoundException"})


class KinesisClient(Protocol):
    """The methods of botocore's client that the reader calls."""

    def list_shards(self, **parameters: object) -> dict[str, Any]:
        """The shards of a stream."""

    def get_shard_iterator(self, **parameters: object) -> dict[str, Any]:
        """An iterator at a position of a shard."""

    def get_records(self, **parameters: object) -> dict[str, Any]:
        """The next records of a shard."""

    def close(self) -> None:
        """Close the connections."""


class StreamNotFoundError(ConfigError):
    """The Kinesis stream does not exist."""


class _PositionError(Exception):
    """Kinesis rejects an iterator, or a position in a shard."""

    def __init__(self, *, is_expired: bool) -> None:
        super().__init__()
        self.is_expired = is_expired


class KinesisReader:
    """Reads one stream from the present on, and gives each record to its log group's receiver."""

    def __init__(
        self,
        stream: StreamRef,
        aws: AwsOptions,
        *,
        timer: Callable[[], int] = timer_ms,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Load nothing, and make no call yet.

        Args:
            stream: the stream to read.
            aws: account, Region and endpoint; an endpoint of CloudWatch Logs alone is not used.
            timer: ms of a monotonic clock.
            clock: ms since the Unix epoch.
        """
        self.counts = PathCounts()
        self._stream = stream
        self._aws = aws
        self._timer = timer
        self._clock = clock
        self._client = AwsClient(self._make_client)
        self._shards = Shards(timer())
        self._receivers: dict[str, LiveReceiver] = {}
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._wake = asyncio.Event()
        self._is_listing = False
        self._replied_ms = timer()
        self._noted_ms = timer() - NOTE_EVERY_MS
        self._failure: BaseException | None = None

    async def check(self) -> None:
        """List the shards once, so that a mistake is reported before connections are accepted.

        Raises:
            ConfigError: the stream does not exist.
            CloudWatchError: access is denied; transient errors are only logged.
        """
        where = f"Kinesis ({self._stream})"
        try:
            self._shards.set_shards(await check_in_time(self._list(), where), self._timer())
        except (ThrottledError, UnreachableError) as error:
            _LOG.warning("%s (polling meanwhile; retrying)", error)

    def close(self) -> None:
        """Close the connections; running calls end on their own."""
        self._client.close()

    async def run(self, receivers: dict[str, LiveReceiver]) -> None:
        """Read until cancelled; ``receivers``, by log group, may change meanwhile.

        Raises:
            JournalError: a journal can't be written. Errors of the stream are never raised.
        """
        self._receivers = receivers
        tasks: set[asyncio.Task[None]] = set()

        def begin(task: asyncio.Task[None]) -> None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(self._note_end)

        try:
            while self._failure is None:
                now_ms = self._timer()
                if self._shards.is_list_due(now_ms) and not self._is_listing:
                    self._is_listing = True
                    self._shards.begin_list(now_ms)
                    begin(asyncio.create_task(self._list_shards()))
                for step in self._shards.due(now_ms):
                    begin(asyncio.create_task(self._take_step(step)))
                wait_ms = self._shards.next_ms(now_ms) - self._timer()
                await wait_and_clear(self._wake, max(wait_ms / 1000, TURN_MIN_S))
            raise self._failure
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    def restart(self) -> None:
        """Read from the present again, because the stream is read but brings nothing."""
        self._shards.restart_all(self._timer())
        self._wake.set()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._wake.set()

    # Steps

    async def _list_shards(self) -> None:
        try:
            self._shards.set_shards(await self._list(), self._timer())
        except StreamNotFoundError as error:
            self._shards.forget_shards()
            self._note_list_failure()
            self._note_failure(error)
        except CloudWatchError as error:
            self._note_list_failure()
            self._note_call_failure(error)
        finally:
            self._is_listing = False

    def _note_list_failure(self) -> None:
        self.counts.errors += 1
        self._shards.retry_list(self._timer())

    async def _take_step(self, step: ShardCall) -> None:
        try:
            async with self._slots:
                if step.iterator is None:
                    assert step.position is not None
                    iterator = await self._locate(step.shard, step.position)
                    self._shards.set_iterator(step, iterator, self._timer())
                else:
                    await self._read(step, step.iterator)
        except CloudWatchError as error:
            self._note_step_failure(step, error)
        except _PositionError as error:
            now_ms = self._timer()
            if error.is_expired:
                self._shards.renew_iterator(step, now_ms)
            else:
                self._shards.restart_shard(step, now_ms)

    def _note_step_failure(self, step: ShardCall, error: CloudWatchError) -> None:
        if isinstance(error, ThrottledError):
            self.counts.throttled += 1
            self._shards.slow_down(step, self._timer())
            return
        self.counts.errors += 1
        self._shards.retry_call(step, self._timer())
        self._note_call_failure(error)

    async def _list(self) -> list[ShardInfo]:
        shards: list[ShardInfo] = []
        parameters: dict[str, object] = dict(self._stream.parameters)
        while True:
            page, token = await self._call(partial(_list_shards, parameters))
            shards += page
            if not token:
                return shards
            parameters = {"NextToken": token}

    async def _locate(self, shard: str, position: ShardPosition) -> str:
        asked: dict[str, object] = {
            **self._stream.parameters,
            "ShardId": shard,
            "ShardIteratorType": position.type,
        }
        if position.sequence is not None:
            asked["StartingSequenceNumber"] = position.sequence
        if position.ago_ms is not None:
            moment = (self._clock() - position.ago_ms) / 1000
            asked["Timestamp"] = datetime.fromtimestamp(moment, UTC)
        return await self._call(
            lambda client: str(client.get_shard_iterator(**asked)["ShardIterator"])
        )

    async def _read(self, step: ShardCall, iterator: str) -> None:
        asked: dict[str, object] = {"ShardIterator": iterator, "Limit": RECORDS_MAX}
        if self._stream.arn is not None:
            asked["StreamARN"] = self._stream.arn
        begun_ms = self._timer()

        def read(client: KinesisClient) -> tuple[dict[str, Any], list[Decoded], str | None]:
            answer = client.get_records(**asked)
            records = answer["Records"]
            last = str(records[-1]["SequenceNumber"]) if records else None
            return answer, [_decoded(one) for one in records], last

        answer, batch, last = await self._call(read)
        for one in batch:
            await self._deliver(one)
        self._shards.advance(
            step,
            answer.get("NextShardIterator") or None,
            last,
            behind_ms=int(answer.get("MillisBehindLatest") or 0),
            begun_ms=begun_ms,
            now_ms=self._timer(),
        )
        self._note_read()

    async def _deliver(self, decoded: Decoded) -> None:
        counts = self.counts
        counts.records += 1
        if isinstance(decoded, LiveBatch):
            receiver = self._receivers.get(decoded.group)
            if receiver is None:
                counts.foreign += 1
            else:
                await receiver.receive(decoded)
        elif decoded == "control":
            counts.control += 1
        else:
            if decoded == "malformed":
                counts.malformed += 1
            else:
                counts.too_large += 1
            for receiver in list(self._receivers.values()):
                receiver.request_poll()

    # State

    def _note_read(self) -> None:
        now_ms = self._replied_ms = self._timer()
        if now_ms - self._noted_ms >= NOTE_EVERY_MS:
            self._noted_ms = now_ms
            behind_ms = self._shards.behind_ms(now_ms)
            for receiver in list(self._receivers.values()):
                receiver.note_read(behind_ms)

    def _note_call_failure(self, error: CloudWatchError) -> None:
        """Report a failed call, unless other calls succeed: then the path is late at most."""
        is_silent = self._timer() - self._replied_ms >= SILENT_MS
        if is_silent or not isinstance(error, UnreachableError):
            self._note_failure(error)

    def _note_failure(self, error: CloudWatchError | ConfigError) -> None:
        for receiver in list(self._receivers.values()):
            receiver.note_failure(str(error))

    # Calls

    async def _call(self, function: Callable[[KinesisClient], _T]) -> _T:
        """Make one attempt at a call of the SDK, in a thread.

        Raises:
            CloudWatchError: the call failed; the subclass says why.
            StreamNotFoundError: the stream does not exist.
            _PositionError: the iterator has expired, or the position is not valid.
        """
        return await self._client.call(function, translate=self._translate)

    def _translate(self, error: Exception, _client: KinesisClient) -> Exception:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            operation = error.operation_name
            if code == "ProvisionedThroughputExceededException" or "Throttling" in code:
                return ThrottledError(f"Kinesis throttles calls ({code})")
            if operation == "ListShards" and code == "ResourceNotFoundException":
                hint = "check the name, --profile and --region"
                return StreamNotFoundError(
                    f"there is no Kinesis stream {self._stream.name!r}: {hint}"
                )
            if code == "ExpiredIteratorException":
                return _PositionError(is_expired=True)
            if code in _POSITION_REFUSED and operation != "ListShards":
                return _PositionError(is_expired=False)
        place = AwsPlace(self._stream.region or "", self._aws.profile or "")
        return translate(error, where=str(self._stream), service="Kinesis", place=place)

    def _make_client(self) -> KinesisClient:
        endpoint = sibling_endpoint("kinesis", self._aws.endpoint_url, os.environ)
        client: KinesisClient = make_client(
            "kinesis", self._aws, endpoint_url=endpoint, region=self._stream.region
        )
        return client


def _list_shards(
    parameters: dict[str, object], client: KinesisClient
) -> tuple[list[ShardInfo], str | None]:
    answer = client.list_shards(**parameters)
    return [_shard(one) for one in answer["Shards"]], answer.get("NextToken")


def _shard(listed: dict[str, Any]) -> ShardInfo:
    parents = (listed.get("ParentShardId"), listed.get("AdjacentParentShardId"))
    numbers = listed.get("SequenceNumberRange") or {}
    return ShardInfo(
        str(listed["ShardId"]),
        tuple(str(one) for one in parents if one),
        numbers.get("EndingSequenceNumber"),
    )


def _decoded(record: dict[str, Any]) -> Decoded:
    decoded = decode(record["Data"])
    arrived = record.get("ApproximateArrivalTimestamp")
    if isinstance(decoded, LiveBatch) and isinstance(arrived, datetime):
        return LiveBatch(
            decoded.group,
            decoded.source,
            decoded.events,
            decoded.refused,
            int(arrived.timestamp() * 1000),
        )
    return decoded

"""Reads one Kinesis stream, for all log groups whose subscription filters fill it. A shell.

``Shards`` says what to call when. Each call has a daemon thread of its own, in which its records
are decoded as well; whatever Kinesis does, the event loop and the scans go on.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from botocore.exceptions import ClientError

from forwarder.cloudwatch.client import AwsClient, make_client, sibling_endpoint, translate
from forwarder.config import AwsOptions, StreamRef
from forwarder.errors import CloudWatchError, ConfigError, ThrottledError, UnreachableError
from forwarder.live.records import Counts, Decoded, Delivery, Inlet, decode
from forwarder.live.shards import Position, ShardInfo, Shards, Step

_T = TypeVar("_T")

CALLS_MAX: Final = 16
"""Calls under way at once: each holds a thread, a connection and up to 10 MiB."""

RECORDS_MAX: Final = 1_000
"""Records of one call: more would hold up those of other shards."""

SILENT_MS: Final = 3_000
"""Without an answer for so long, the path is taken to be broken."""

HEARD_EVERY_MS: Final = 200
"""Log groups are told that the path is read at most so often."""

TURN_MIN_S: Final = 0.005

_POSITION_REFUSED: Final = frozenset({"InvalidArgumentException", "ResourceNotFoundException"})


class KinesisClient(Protocol):
    """What is asked of boto3's client."""

    def list_shards(self, **parameters: object) -> dict[str, Any]:
        """The shards of a stream."""
        ...

    def get_shard_iterator(self, **parameters: object) -> dict[str, Any]:
        """Where to begin to read a shard."""
        ...

    def get_records(self, **parameters: object) -> dict[str, Any]:
        """The next records of a shard."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class StreamNotFoundError(ConfigError):
    """There is no such stream."""


def timer_ms() -> int:
    """Milliseconds of a clock that is never set."""
    return time.monotonic_ns() // 1_000_000


class KinesisPath:
    """One stream, read from the present on."""

    def __init__(
        self,
        stream: StreamRef,
        aws: AwsOptions,
        *,
        timer: Callable[[], int] = timer_ms,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Nothing is loaded or asked yet.

        Args:
            stream: which one.
            aws: account, Region and endpoint; an endpoint of CloudWatch Logs alone is not used.
            timer: ms of a clock that is never set.
            clock: ms since the Unix epoch.

        """
        self.counts = Counts()
        self._stream = stream
        self._aws = aws
        self._timer = timer
        self._clock = clock
        self._client = AwsClient(self._make_client, is_paced=False)
        self._shards = Shards(timer())
        self._inlets: dict[str, Inlet] = {}
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._wake = asyncio.Event()
        self._is_listing = False
        self._answered_ms = timer()
        self._told_ms = timer() - HEARD_EVERY_MS
        self._failure: BaseException | None = None

    async def check(self) -> None:
        """List the shards once, so that a mistake is known before anybody is served.

        Raises:
            ConfigError: there is no such stream.
            CloudWatchError: it may not be asked; what passes by itself is no reason to stop.

        """
        with suppress(ThrottledError, UnreachableError):
            self._shards.listed(await self._list(), self._timer())

    def close(self) -> None:
        """Close the connections; calls under way are left to end on their own."""
        self._client.close()

    async def run(self, inlets: dict[str, Inlet]) -> None:
        """Read until cancelled; ``inlets``, by log group, may change meanwhile.

        Raises:
            JournalError: a journal can't be written. What ails the stream is never raised.

        """
        self._inlets = inlets
        tasks: set[asyncio.Task[None]] = set()

        def begin(task: asyncio.Task[None]) -> None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(self._ended)

        try:
            while self._failure is None:
                now_ms = self._timer()
                if self._shards.is_list_due(now_ms) and not self._is_listing:
                    self._is_listing = True
                    self._shards.list_begun(now_ms)
                    begin(asyncio.create_task(self._look_for_shards()))
                for step in self._shards.due(now_ms):
                    begin(asyncio.create_task(self._take_step(step)))
                wait_ms = self._shards.next_ms(now_ms) - self._timer()
                await self._pause(max(wait_ms / 1000, TURN_MIN_S))
            raise self._failure
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    def begin_anew(self) -> None:
        """It seems to be read and brings nothing: look for its present again."""
        self._shards.begin_anew(self._timer())
        self._wake.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    # One call after another

    async def _look_for_shards(self) -> None:
        try:
            self._shards.listed(await self._list(), self._timer())
        except StreamNotFoundError as error:
            self._shards.forget()
            self._list_failed()
            self._broken(error)
        except CloudWatchError as error:
            self._list_failed()
            self._failed(error)
        finally:
            self._is_listing = False

    def _list_failed(self) -> None:
        self.counts.errors += 1
        self._shards.list_failed(self._timer())

    async def _take_step(self, step: Step) -> None:
        try:
            async with self._slots:
                if step.iterator is None:
                    assert step.position is not None
                    iterator = await self._locate(step.shard, step.position)
                    self._shards.located(step, iterator, self._timer())
                else:
                    await self._read(step, step.iterator)
        except CloudWatchError as error:
            self._step_failed(step, error)
        except _PositionError as refused:
            now_ms = self._timer()
            if refused.is_old:
                self._shards.expired(step, now_ms)
            else:
                self._shards.refused(step, now_ms)

    def _step_failed(self, step: Step, error: CloudWatchError) -> None:
        if isinstance(error, ThrottledError):
            self.counts.throttled += 1
            self._shards.throttled(step, self._timer())
            return
        self.counts.errors += 1
        self._shards.failed(step, self._timer())
        self._failed(error)

    async def _list(self) -> list[ShardInfo]:
        shards: list[ShardInfo] = []
        parameters: dict[str, object] = dict(self._stream.parameters)
        while True:
            page, token = await self._call(partial(_list_shards, parameters))
            shards += page
            if not token:
                return shards
            parameters = {"NextToken": token}

    async def _locate(self, shard: str, position: Position) -> str:
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

    async def _read(self, step: Step, iterator: str) -> None:
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
            await self._hand_on(one)
        self._shards.read(
            step,
            answer.get("NextShardIterator") or None,
            last,
            behind_ms=int(answer.get("MillisBehindLatest") or 0),
            begun_ms=begun_ms,
            now_ms=self._timer(),
        )
        self._heard()

    async def _hand_on(self, decoded: Decoded) -> None:
        counts = self.counts
        counts.records += 1
        if isinstance(decoded, Delivery):
            inlet = self._inlets.get(decoded.group)
            if inlet is None:
                counts.foreign += 1
            else:
                await inlet.take(decoded)
        elif decoded == "control":
            counts.control += 1
        else:
            if decoded == "malformed":
                counts.malformed += 1
            else:
                counts.too_large += 1
            for inlet in list(self._inlets.values()):
                inlet.hint()

    # How it is doing

    def _heard(self) -> None:
        now_ms = self._answered_ms = self._timer()
        if now_ms - self._told_ms >= HEARD_EVERY_MS:
            self._told_ms = now_ms
            behind_ms = self._shards.behind_ms(now_ms)
            for inlet in list(self._inlets.values()):
                inlet.heard(behind_ms)

    def _failed(self, error: CloudWatchError) -> None:
        """A call failed; while others are answered, that makes it late at most."""
        if self._timer() - self._answered_ms >= SILENT_MS or not isinstance(
            error, UnreachableError
        ):
            self._broken(error)

    def _broken(self, error: CloudWatchError | ConfigError) -> None:
        for inlet in list(self._inlets.values()):
            inlet.broken(str(error))

    # The calls

    async def _call(self, function: Callable[[KinesisClient], _T]) -> _T:
        """Make one attempt at a call of the SDK, in a thread.

        Raises:
            CloudWatchError: the call failed; the subclass says why.
            StreamNotFoundError: the stream does not exist.
            _PositionError: the iterator has expired, or the position is not valid.

        """
        return await self._client.call(function, translate=self._translated)

    def _translated(self, error: Exception, _client: KinesisClient) -> Exception:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            operation = error.operation_name
            if code == "ProvisionedThroughputExceededException" or "Throttling" in code:
                return ThrottledError(f"Kinesis throttles calls ({code})")
            if operation == "ListShards" and code == "ResourceNotFoundException":
                how = "check the name, --profile and --region"
                return StreamNotFoundError(
                    f"there is no Kinesis stream {self._stream.name!r}: {how}"
                )
            if code == "ExpiredIteratorException":
                return _PositionError(is_old=True)
            if code in _POSITION_REFUSED and operation != "ListShards":
                return _PositionError(is_old=False)
        return translate(error, where=str(self._stream), service="Kinesis")

    def _make_client(self) -> KinesisClient:
        endpoint = sibling_endpoint("kinesis", self._aws.endpoint_url, os.environ)
        client: KinesisClient = make_client(
            "kinesis", self._aws, endpoint_url=endpoint, region=self._stream.region
        )
        return client


class _PositionError(Exception):
    """A position in a shard, or an iterator, is not taken."""

    def __init__(self, *, is_old: bool) -> None:
        super().__init__()
        self.is_old = is_old


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
    if isinstance(decoded, Delivery) and isinstance(arrived, datetime):
        return Delivery(
            decoded.group,
            decoded.source,
            decoded.events,
            decoded.refused,
            int(arrived.timestamp() * 1000),
        )
    return decoded

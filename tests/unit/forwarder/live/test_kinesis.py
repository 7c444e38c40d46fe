"""The reader of a stream: against scripted replies, and against a raw moto."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from forwarder.cloudwatch import client
from forwarder.config import AwsOptions, StreamRef
from forwarder.errors import AccessDeniedError, JournalError
from forwarder.live.decoding import LiveBatch
from forwarder.live.kinesis import KinesisReader, StreamNotFoundError
from forwarder.live.receiver import LiveReceiver
from tests.support.forwarder.kinesis import kinesis_stream, record
from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    refusal,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import WAIT_S
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import CREDENTIALS, raw_moto


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the client alone may take longer than a start waits for Kinesis.
    monkeypatch.setattr(client, "CHECK_WITHIN_S", WAIT_S)


class FakeReceiver(LiveReceiver):
    """Keeps the messages, and the reason why the reader is down."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.arrivals: list[int | None] = []
        self.hints = 0
        self.why: str | None = "not read yet"
        self.failure: Exception | None = None
        self.changed = asyncio.Event()

    async def receive(self, batch: LiveBatch) -> None:
        if self.failure is not None:
            raise self.failure
        self.messages += [one.message for one in batch.events]
        self.arrivals.append(batch.arrived_ms)
        self.changed.set()

    def request_poll(self) -> None:
        self.hints += 1
        self.changed.set()

    def note_read(self, behind_ms: int) -> None:
        assert behind_ms >= 0
        self.why = None
        self.changed.set()

    def note_failure(self, why: str) -> None:
        self.why = why
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(240):
            while not condition():
                await self.changed.wait()
                self.changed.clear()


class Script:
    """Kinesis with one shard whose calls may fail; each record is returned once."""

    def __init__(self) -> None:
        self.put: list[bytes] = []
        self.sent = 0
        self.failures: dict[str, list[Reply]] = {}
        self.positions: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        operation = asked["operation"]
        if self.failures.get(operation):
            return self.failures[operation].pop(0)
        if operation == "ListShards":
            return _json({"Shards": [{"ShardId": "shard-1", "SequenceNumberRange": {}}]})
        if operation == "GetShardIterator":
            self.positions.append(asked)
            return _json({"ShardIterator": f"iterator-{len(self.positions)}"})
        assert operation == "GetRecords"
        # A copy: the test may add another record meanwhile, which must not count as sent.
        fresh = self.put[self.sent :]
        records = [
            {
                "Data": base64.b64encode(data).decode(),
                "SequenceNumber": str(number),
                "PartitionKey": "k",
                "ApproximateArrivalTimestamp": 1_700_000_000.25,
            }
            for number, data in enumerate(fresh, self.sent + 1)
        ]
        self.sent += len(fresh)
        return _json({"Records": records, "NextShardIterator": "next", "MillisBehindLatest": 0})


def _json(fields: dict[str, Any]) -> Reply:
    return Reply(body=json.dumps(fields).encode())


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[ScriptedCloudWatch]:
    with scripted_cloudwatch(script.answer) as one:
        yield one


@asynccontextmanager
async def reading(url: str, **receivers: FakeReceiver) -> AsyncIterator[KinesisReader]:
    reader = KinesisReader(StreamRef("s"), AwsOptions(endpoint_url=url))
    by_group: dict[str, LiveReceiver] = {f"/{name}": one for name, one in receivers.items()}
    task = asyncio.create_task(reader.run(by_group))
    try:
        yield reader
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_records_go_to_their_group_and_the_rest_is_counted(
    server: ScriptedCloudWatch, script: Script
) -> None:
    script.put = [
        record("/a", "s", [(1, 5, "one"), (2, 5, "two")]),
        record("/b", "s", [(3, 5, "three")]),
        record("/c", "s", [(4, 5, "nobody's")]),
        record("", "", [], kind="CONTROL_MESSAGE"),
        b"rubbish",
    ]
    a, b = FakeReceiver(), FakeReceiver()
    async with reading(server.url, a=a, b=b) as reader:
        await a.until(lambda: reader.counts.records == 5 and a.why is None)
    assert (a.messages, b.messages) == (["one", "two"], ["three"])
    assert a.arrivals == [1_700_000_000_250]
    assert a.hints == b.hints == 1
    counts = reader.counts
    assert (counts.foreign, counts.control, counts.malformed, counts.too_large) == (1, 1, 1, 0)


async def test_an_expired_iterator_is_replaced_after_the_last_record(
    server: ScriptedCloudWatch, script: Script
) -> None:
    receiver = FakeReceiver()
    async with reading(server.url, a=receiver):
        script.put.append(record("/a", "s", [(1, 5, "one")]))
        await receiver.until(lambda: receiver.messages == ["one"])
        script.failures["GetRecords"] = [refusal("ExpiredIteratorException")]
        script.put.append(record("/a", "s", [(2, 5, "two")]))
        await receiver.until(lambda: receiver.messages == ["one", "two"])
    first, second = script.positions
    assert first["ShardIteratorType"] == "LATEST"
    assert second["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"
    assert second["StartingSequenceNumber"] == "1"


@pytest.mark.parametrize(
    "failure",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("InternalFailureException", status=500),
        refusal("InvalidArgumentException"),
        Reply(closes=True),
        Reply(body=b'{"Records"', missing=10),
        Reply(body=b"<html>"),
        Reply(body=b'{"Records": [{"Data": "AA=="}], "NextShardIterator": "next"}'),
        Reply(body=b'{"Records": [{"SequenceNumber": "1"}], "NextShardIterator": "next"}'),
    ],
)
async def test_the_reader_continues_after_a_failure_of_each_call(
    server: ScriptedCloudWatch, script: Script, failure: Reply
) -> None:
    for operation in ("ListShards", "GetShardIterator", "GetRecords"):
        script.failures[operation] = [failure]
    receiver = FakeReceiver()
    script.put.append(record("/a", "s", [(1, 5, "one")]))
    async with reading(server.url, a=receiver):
        await receiver.until(lambda: receiver.messages == ["one"] and receiver.why is None)
    assert not any(script.failures.values())


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (refusal("AccessDeniedException", "not you"), "AWS denies access: not you"),
        (refusal("ResourceNotFoundException"), "there is no Kinesis stream 's'"),
        (refusal("ExpiredTokenException", "old"), "AWS credentials expired: "),
    ],
)
async def test_the_reason_for_a_failure_is_one_line(
    server: ScriptedCloudWatch, script: Script, failure: Reply, told: str
) -> None:
    script.failures["ListShards"] = [failure]
    receiver = FakeReceiver()
    async with reading(server.url, a=receiver):
        await receiver.until(lambda: told in str(receiver.why))
        assert "\n" not in str(receiver.why)


async def test_credentials_that_are_refused_are_asked_for_again(
    server: ScriptedCloudWatch, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = FakeReceiver()
    async with reading(server.url, a=receiver):
        await receiver.until(lambda: receiver.why is None)
        script.failures["GetRecords"] = [refusal("ExpiredTokenException", "old")]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fresh")
        await receiver.until(lambda: "old" in str(receiver.why))
        script.put.append(record("/a", "s", [(1, 5, "one")]))
        await receiver.until(lambda: receiver.messages == ["one"])
    assert server.access_keys[0] == "testing"
    assert server.access_keys[-1] == "fresh"


async def test_mistakes_are_reported_at_the_start(
    server: ScriptedCloudWatch, script: Script
) -> None:
    reader = KinesisReader(StreamRef("s"), AwsOptions(endpoint_url=server.url))
    script.failures["ListShards"] = [
        refusal("ResourceNotFoundException"),
        refusal("AccessDeniedException"),
        refusal("ProvisionedThroughputExceededException"),
        Reply(closes=True),
    ]
    with pytest.raises(StreamNotFoundError, match="check the name"):
        await reader.check()
    with pytest.raises(AccessDeniedError):
        await reader.check()
    await reader.check()  # transient errors are no mistake
    await reader.check()
    await reader.check()
    reader.close()


async def test_a_start_waits_for_kinesis_only_so_long(
    server: ScriptedCloudWatch,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(client, "CHECK_WITHIN_S", 0.05)
    reader = KinesisReader(StreamRef("s"), AwsOptions(endpoint_url=server.url))
    released = threading.Event()
    script.failures["ListShards"] = [Reply(hold=released)]
    await reader.check()
    assert not released.is_set()
    released.set()
    reader.close()
    [line] = [one.getMessage() for one in caplog.records if "did not answer" in one.getMessage()]
    assert line.startswith("Kinesis (kinesis:s) did not answer within 0.05 s: check the network")


async def test_a_journal_that_can_not_be_written_ends_the_reader(
    server: ScriptedCloudWatch, script: Script
) -> None:
    receiver = FakeReceiver()
    receiver.failure = JournalError("the disk is full")
    script.put.append(record("/a", "s", [(1, 5, "one")]))
    reader = KinesisReader(StreamRef("s"), AwsOptions(endpoint_url=server.url))
    with pytest.raises(JournalError):
        async with asyncio.timeout(240):
            await reader.run({"/a": receiver})


async def test_shards_are_listed_page_by_page(server: ScriptedCloudWatch, script: Script) -> None:
    page = {"Shards": [{"ShardId": "shard-0"}], "NextToken": "more"}
    script.failures["ListShards"] = [_json(page)]
    reader = KinesisReader(StreamRef("s"), AwsOptions(endpoint_url=server.url))
    await reader.check()
    reader.close()
    first, second = server.asked
    assert first["StreamName"] == "s"
    assert second == {"operation": "ListShards", "NextToken": "more"}


async def test_a_stream_of_moto_by_its_arn() -> None:
    with raw_moto() as moto, kinesis_stream(moto, "s") as stream:
        moto.create("/a", "one")
        stream.subscribe("/a")
        receiver = FakeReceiver()
        reader = KinesisReader(
            StreamRef("s", stream.arn, "us-east-1"), AwsOptions(endpoint_url=moto.url)
        )
        task = asyncio.create_task(reader.run({"/a": receiver}))
        await receiver.until(lambda: receiver.why is None)
        wanted = [f"line {number}" for number in range(20)]
        for line in wanted:
            await asyncio.to_thread(moto.put, "/a", "one", [(now_ms(), line)])
        await receiver.until(lambda: len(receiver.messages) >= len(wanted))
        assert sorted(receiver.messages) == sorted(wanted)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

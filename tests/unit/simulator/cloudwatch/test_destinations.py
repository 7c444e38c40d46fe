from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.kinesis.models import kinesis_backends

from simulator.cloudwatch import wall_clock_ms
from simulator.cloudwatch.app import FaithfulLogs, build_moto, call
from simulator.cloudwatch.delivery import DeliveryError
from simulator.cloudwatch.destinations import partition_key, send, subscribe
from simulator.cloudwatch.levers import Batch
from simulator.cloudwatch.moto_logs import find_store

REGION = "eu-west-1"
GROUPS = ("/from", "/to")
BATCH = Batch(0, "/from", "a" * 300, "f", "arn:x", is_random=False, events=(("1", 1_000, "hello"),))


@pytest.fixture
def app() -> Iterator[FaithfulLogs]:
    one = FaithfulLogs(build_moto(), {}, wall_clock_ms)
    for group in GROUPS:
        call(one, "CreateLogGroup", {"logGroupName": group}, REGION)
        call(one, "CreateLogStream", {"logGroupName": group, "logStreamName": "s"}, REGION)
    yield one
    for group in GROUPS:
        call(one, "DeleteLogGroup", {"logGroupName": group}, REGION)
    one.close()


def test_the_partition_follows_the_log_stream_unless_at_random() -> None:
    assert partition_key(BATCH) == "a" * 256
    at_random = BATCH._replace(is_random=True)
    assert partition_key(at_random) != partition_key(at_random)


def test_a_live_stream_gets_what_is_written(app: FaithfulLogs) -> None:
    subscribe(REGION, "/from", "destinations-test")
    store = find_store(REGION, "/from")
    assert store is not None
    (one,) = store.subscriptions.values()
    send(BATCH._replace(destination=one.destination), app.logs)
    backend = kinesis_backends["123456789012"][REGION]
    (shard,) = backend.describe_stream(one.destination, None).shards.values()
    # The subscription's own first record is sent by a thread, before or after.
    assert "a" * 256 in [record.partition_key for record in shard.records.values()]
    backend.delete_stream(one.destination, None)
    with pytest.raises(DeliveryError):
        send(BATCH._replace(destination=one.destination), app.logs)


def test_other_services_are_sent_to_as_moto_does_it(app: FaithfulLogs) -> None:
    to_logs = BATCH._replace(
        stream="s", destination=f"arn:aws:logs:{REGION}:123456789012:log-group:/to:*"
    )
    send(to_logs, app.logs)
    store = find_store(REGION, "/to")
    assert store is not None
    assert len(store) == 1
    with pytest.raises(DeliveryError):
        send(to_logs._replace(stream="gone"), app.logs)
    with pytest.raises(DeliveryError):
        send(to_logs._replace(destination="nonsense"), app.logs)

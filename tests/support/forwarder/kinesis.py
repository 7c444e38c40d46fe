"""Kinesis streams on a moto server, fed by a log group's subscription filter."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3

from tests.support.processes.moto_server import REGION, RawMoto

ROLE = "arn:aws:iam::123456789012:role/logs-to-kinesis"
OWNER = "123456789012"


class Stream:
    """One stream, and the operations on it."""

    def __init__(self, moto: RawMoto, name: str, shards: int) -> None:
        self.moto, self.name = moto, name
        # The type stubs do not include Kinesis.
        self.client: Any = boto3.client(
            "kinesis",
            endpoint_url=moto.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.client.create_stream(StreamName=name, ShardCount=shards)
        described = self.client.describe_stream(StreamName=name)
        self.arn: str = described["StreamDescription"]["StreamARN"]

    def subscribe(self, group: str, pattern: str = "") -> None:
        """Subscribe the stream to a log group."""
        logs = self.moto.client()
        try:
            logs.put_subscription_filter(
                logGroupName=group,
                filterName="to-kinesis",
                filterPattern=pattern,
                destinationArn=self.arn,
                roleArn=ROLE,
            )
        finally:
            logs.close()

    def unsubscribe(self, group: str) -> None:
        """Remove the subscription of a log group."""
        logs = self.moto.client()
        try:
            logs.delete_subscription_filter(logGroupName=group, filterName="to-kinesis")
        finally:
            logs.close()

    def split(self) -> None:
        """Split the first shard in the middle of its hash keys."""
        first = self.client.list_shards(StreamName=self.name)["Shards"][0]
        keys = first["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        self.client.split_shard(
            StreamName=self.name,
            ShardToSplit=first["ShardId"],
            NewStartingHashKey=str(middle),
        )

    def put(self, data: bytes) -> None:
        """Write a record."""
        self.client.put_record(StreamName=self.name, Data=data, PartitionKey="k")

    def delete(self) -> None:
        """Delete the stream."""
        self.client.delete_stream(StreamName=self.name)


@contextmanager
def kinesis_stream(moto: RawMoto, name: str, shards: int = 2) -> Iterator[Stream]:
    """Create a stream on ``moto``."""
    stream = Stream(moto, name, shards)
    try:
        yield stream
    finally:
        stream.client.close()


def record(
    group: str,
    log_stream: str,
    events: Sequence[tuple[int | str, int, str]],
    *,
    kind: str = "DATA_MESSAGE",
    owner: str = OWNER,
    filters: Sequence[str] = ("to-kinesis",),
) -> bytes:
    """Encode a record as CloudWatch Logs does, from (id, timestamp, message)."""
    fields = {
        "messageType": kind,
        "owner": owner,
        "logGroup": group,
        "logStream": log_stream,
        "subscriptionFilters": list(filters),
        "logEvents": [
            {"id": one, "timestamp": timestamp, "message": message}
            for one, timestamp, message in events
        ],
    }
    return gzip.compress(json.dumps(fields).encode(), mtime=0)

"""The simulator's CloudWatch through boto3: error codes, subscriptions, faulty responses."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

ROOT: Final = Path(__file__).parents[3]
GROUP: Final = "/g"
ROLE: Final = "arn:aws:iam::123456789012:role/logs"
WAIT_S: Final = 240.0

pytestmark = pytest.mark.timeout(600)


class CloudWatch:
    """A running CloudWatch stand-in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.logs: CloudWatchLogsClient = self.client("logs")
        self.kinesis: Any = self.client("kinesis")

    def client(self, service: Any) -> Any:  # noqa: ANN401 - there are stubs of logs alone
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(
                retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=WAIT_S
            ),
        )

    def close(self) -> None:
        self.logs.close()
        self.kinesis.close()

    def lever(self, method: str, **order: object) -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(
            self.url + "/simulator/levers", json.dumps(order).encode(), method=method
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.loads(answer.read())

    def put(self, stream: str, *messages: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        self.logs.put_log_events(
            logGroupName=GROUP,
            logStreamName=stream,
            logEvents=[{"timestamp": now_ms, "message": message} for message in messages],
        )

    def records(self, name: str) -> list[dict[str, Any]]:
        """The Kinesis stream's records, decoded, with their partition keys."""
        found = []
        for shard in self.kinesis.list_shards(StreamName=name)["Shards"]:
            iterator = self.kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for one in self.kinesis.get_records(ShardIterator=iterator)["Records"]:
                data = json.loads(gzip.decompress(one["Data"]))
                found.append({**data, "key": one["PartitionKey"], "shard": shard["ShardId"]})
        return found

    def subscribe(self, name: str, **given: Any) -> None:  # noqa: ANN401
        """Create a Kinesis stream and subscribe it to the log group."""
        self.kinesis.create_stream(StreamName=name, ShardCount=4)
        described = self.kinesis.describe_stream(StreamName=name)
        self.logs.put_subscription_filter(
            logGroupName=GROUP,
            filterName=name,
            destinationArn=described["StreamDescription"]["StreamARN"],
            roleArn=ROLE,
            **{"filterPattern": "", **given},
        )


def until(condition: Callable[[], bool], what: str) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"waited in vain for {what}")


@contextmanager
def stand_in(*options: str) -> Iterator[CloudWatch]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.moto_process", "--group", GROUP, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        one = CloudWatch(json.loads(process.stdout.readline())["cloudwatch"])
        for stream in ("a", "b", "c"):
            one.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        yield one
        one.close()
    finally:
        process.terminate()
        process.wait(WAIT_S)
        process.stdout.close()


@pytest.fixture(scope="module")
def cloudwatch() -> Iterator[CloudWatch]:
    """A stand-in without subscriptions, as a log group may have only two."""
    with stand_in() as one:
        yield one


@pytest.mark.parametrize(
    ("call", "given", "code"),
    [
        ("filter_log_events", {"logGroupName": "/none"}, "ResourceNotFoundException"),
        ("filter_log_events", {"nextToken": "x"}, "InvalidParameterException"),
        ("filter_log_events", {"limit": 10_001}, "InvalidParameterException"),
        ("filter_log_events", {"logStreamNames": ["a"] * 101}, "InvalidParameterException"),
        ("get_log_events", {"logStreamName": "none"}, "ResourceNotFoundException"),
        ("describe_log_streams", {"limit": 51}, "InvalidParameterException"),
        ("put_log_events", {"logStreamName": "a", "logEvents": []}, "InvalidParameterException"),
        (
            "put_log_events",
            {"logStreamName": "a", "logEvents": [{"timestamp": 5, "message": ""}]},
            "InvalidParameterException",
        ),
        (
            "put_subscription_filter",
            {"filterName": "f", "filterPattern": "", "destinationArn": "arn:aws:kinesis:::s/x"},
            "InvalidParameterException",
        ),
        ("delete_log_stream", {"logStreamName": "none"}, "ResourceNotFoundException"),
        ("create_log_stream", {"logStreamName": "a"}, "ResourceAlreadyExistsException"),
        ("create_log_group", {}, "ResourceAlreadyExistsException"),
    ],
)
def test_boto3_sees_the_codes_of_aws(
    cloudwatch: CloudWatch, call: str, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(cloudwatch.logs, call)(**{"logGroupName": GROUP, **given})
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"]


def test_the_log_group_can_have_a_live_stream_from_the_start() -> None:
    with stand_in("--live-stream", "live") as one:
        (found,) = one.logs.describe_subscription_filters(logGroupName=GROUP)["subscriptionFilters"]
        described = one.kinesis.describe_stream(StreamName="live")["StreamDescription"]
        assert (found["filterName"], found["filterPattern"]) == ("live", "")
        assert found["destinationArn"] == described["StreamARN"]
        one.put("a", "live")

        def delivered() -> list[list[str]]:
            return [
                [event["message"] for event in record["logEvents"]]
                for record in one.records("live")
            ]

        until(lambda: ["live"] in delivered(), "the record")


def test_paginators_of_boto3_read_everything_once(cloudwatch: CloudWatch) -> None:
    for number in range(5):
        cloudwatch.put("a", *(f"page {number}.{part}" for part in range(10)))
    wanted = [f"page {number}.{part}" for number in range(5) for part in range(10)]
    pages = cloudwatch.logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="page", PaginationConfig={"PageSize": 7}
    )
    assert [event["message"] for page in pages for event in page["events"]] == wanted
    found, token = list[str](), None
    while True:
        given: dict[str, Any] = {} if token is None else {"nextToken": token}
        answer = cloudwatch.logs.get_log_events(
            logGroupName=GROUP, logStreamName="a", startFromHead=True, limit=8, **given
        )
        found += [event["message"] for event in answer["events"]]
        if answer["nextForwardToken"] == token:
            break
        token = answer["nextForwardToken"]
    assert [message for message in found if message.startswith("page")] == wanted


def test_subscriptions_deliver_what_filter_log_events_shows(cloudwatch: CloudWatch) -> None:
    cloudwatch.subscribe("by-stream")
    cloudwatch.subscribe("at-random", filterPattern="wanted", distribution="Random")
    with pytest.raises(ClientError) as caught:
        cloudwatch.subscribe("third")
    assert caught.value.response["Error"]["Code"] == "LimitExceededException"
    for number in range(8):
        cloudwatch.put("a", f"wanted {number}", f"other {number}")
    cloudwatch.put("b", "wanted \ud83d b")

    def data(name: str) -> list[dict[str, Any]]:
        records = cloudwatch.records(name)
        return [one for one in records if one["messageType"] == "DATA_MESSAGE"]

    until(lambda: len(data("by-stream")) == len(data("at-random")) == 9, "the records")
    control = [one for one in cloudwatch.records("by-stream") if one not in data("by-stream")]
    assert [one["messageType"] for one in control] == ["CONTROL_MESSAGE"]
    assert {(one["key"], one["logStream"]) for one in data("by-stream")} == {("a", "a"), ("b", "b")}
    assert len({one["shard"] for one in data("by-stream") if one["logStream"] == "a"}) == 1
    assert len({one["key"] for one in data("at-random")}) == 9
    delivered = [event for one in data("at-random") for event in one["logEvents"]]
    events = cloudwatch.logs.filter_log_events(logGroupName=GROUP, filterPattern="wanted")["events"]
    assert len(events) == 9
    assert {(event["id"], event["timestamp"], event["message"]) for event in delivered} == {
        (event["eventId"], event["timestamp"], event["message"]) for event in events
    }
    found = cloudwatch.logs.describe_subscription_filters(logGroupName=GROUP)
    assert {one["filterName"]: one["distribution"] for one in found["subscriptionFilters"]} == {
        "by-stream": "ByLogStream",
        "at-random": "Random",
    }
    # An existing filter can be changed at the limit of two.
    arn = found["subscriptionFilters"][0]["destinationArn"]
    cloudwatch.logs.put_subscription_filter(
        logGroupName=GROUP,
        filterName="by-stream",
        filterPattern="none of them",
        destinationArn=arn,
        roleArn=ROLE,
    )
    for name in ("by-stream", "at-random"):
        cloudwatch.logs.delete_subscription_filter(logGroupName=GROUP, filterName=name)


def test_filter_patterns_select_events_as_on_aws(cloudwatch: CloudWatch) -> None:
    lines = [
        '{"level": "error", "ms": 120}',
        '{"level": "info", "ms": 3}',
        "GET /a 404",
        "GET /b 200",
    ]
    cloudwatch.logs.create_log_stream(logGroupName=GROUP, logStreamName="patterns")
    cloudwatch.put("patterns", *lines)

    def found(pattern: str) -> list[str]:
        answer = cloudwatch.logs.filter_log_events(
            logGroupName=GROUP, logStreamNames=["patterns"], filterPattern=pattern
        )
        return [event["message"] for event in answer["events"]]

    assert found("{ $.level = error || $.ms < 5 }") == lines[:2]
    assert found("[verb, path, status=4*]") == lines[2:3]
    assert found(r"%/[ab]\s%") == lines[2:]
    assert found('GET -"404"') == lines[3:]
    assert found("?error ?info") == lines[:2]
    for refused in ("err:", "{ $.level }", "%(a)%", "x" * 1025):
        with pytest.raises(ClientError) as caught:
            found(refused)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_a_missing_destination_has_no_effect(cloudwatch: CloudWatch) -> None:
    cloudwatch.subscribe("dead")
    cloudwatch.kinesis.delete_stream(StreamName="dead")
    cloudwatch.put("c", "one")
    shown = cloudwatch.logs.get_log_events(logGroupName=GROUP, logStreamName="c")["events"]
    assert [event["message"] for event in shown] == ["one"]
    cloudwatch.logs.delete_subscription_filter(logGroupName=GROUP, filterName="dead")


def test_levers_are_engaged_and_released_over_http(cloudwatch: CloudWatch) -> None:
    attributes = {"delay_ms": 3_600_000, "jitter_ms": 0}
    cloudwatch.lever("POST", name="v", type="visibility_delay", attributes=attributes)
    until(lambda: _put_hidden(cloudwatch), "an event that is hidden")
    assert cloudwatch.lever("DELETE", name="v")["now_ms"]
    events = cloudwatch.logs.filter_log_events(logGroupName=GROUP, filterPattern="hidden")["events"]
    assert events


def _put_hidden(cloudwatch: CloudWatch) -> bool:
    """Write an event; returns whether it is hidden."""
    message = f"hidden {time.time_ns()}"
    cloudwatch.put("c", message)
    found = cloudwatch.logs.filter_log_events(logGroupName=GROUP, filterPattern=f'"{message}"')
    return not found["events"]

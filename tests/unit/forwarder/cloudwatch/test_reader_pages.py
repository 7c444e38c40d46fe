"""The page parser agrees with botocore's, but raises an error for a truncated page."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.model import Shape
from botocore.parsers import JSONParser
from hypothesis import given
from hypothesis import strategies as st

from forwarder.cloudwatch.reader import (
    WRONG_FIELDS,
    PageParser,
    PageParserFactory,
    decode_page,
)
from forwarder.errors import TruncatedResponseError
from forwarder.records import LogEvent
from wire.limits import TIMESTAMP_MAX

HEADERS: Any = {"x-amzn-requestid": "11-22", "content-type": "application/x-amz-json-1.1"}


def output_of(operation: str) -> Shape:
    model = botocore.session.get_session().get_service_model("logs")
    shape = model.operation_model(operation).output_shape
    assert shape is not None
    return shape


PAGE = output_of("FilterLogEvents")


def response(body: bytes, status: int = 200) -> dict[str, Any]:
    return {"status_code": status, "headers": HEADERS, "body": body, "context": {}}


def from_botocore(one: dict[str, Any]) -> LogEvent:
    return LogEvent(
        one["eventId"],
        one["timestamp"],
        one.get("ingestionTime"),
        one["logStreamName"],
        one["message"],
    )


def both(body: bytes, status: int = 200) -> tuple[dict[str, Any], dict[str, Any]]:
    """What botocore's parser and ours make of a reply, the events made comparable."""
    theirs = JSONParser().parse(response(body, status), PAGE)
    ours = PageParser().parse(response(body, status), PAGE)
    if "events" in theirs:
        theirs["events"] = [from_botocore(one) for one in theirs["events"]]
    return theirs, ours


def event(number: int, message: str) -> dict[str, Any]:
    return {
        "logStreamName": f"web/{number % 3}",
        "timestamp": 1_795_000_000_000 + number,
        "message": message,
        "ingestionTime": 1_795_000_000_500 + number,
        "eventId": str((1_795_000_000_000 + number) << 144 | number),
    }


def page(events: list[dict[str, Any]], **more: object) -> bytes:
    return json.dumps({"events": events, "searchedLogStreams": [], **more}).encode()


@pytest.mark.parametrize(
    "body",
    [
        page([]),
        page([], nextToken="go on"),
        page([], nextToken=None),
        page([event(1, "one"), event(2, "zwei ✓ 日本 \U0001f600"), event(3, '\t"\\\u0000')]),
        page([event(1, "a")], nextToken="\ud83d half", searchedLogStreams=[{"logStreamName": "a"}]),
        page([event(1, "half a pair \ud83d, alone")], nextToken="x"),
        page([{**event(1, "a"), "field": {"new": [1, None]}}], newField=True),
        b'{"events":[]}',
        json.dumps({"events": [event(1, "spaced")]}, indent=3).encode(),
        page([{key: value for key, value in event(1, "a").items() if key != "ingestionTime"}]),
    ],
)
def test_a_page_is_what_botocore_makes_of_it(body: bytes) -> None:
    theirs, ours = both(body)
    assert ours == theirs


@given(
    st.lists(st.text(st.characters(codec=None), min_size=1), max_size=5),
    st.none() | st.text(min_size=1),
    st.booleans(),
)
def test_any_page_is_what_botocore_makes_of_it(
    messages: list[str],
    token: str | None,
    ascii_only: bool,  # noqa: FBT001 - drawn
) -> None:
    reply: dict[str, Any] = {"events": [event(*one) for one in enumerate(messages)]}
    if token is not None:
        reply["nextToken"] = token
    text = json.dumps(reply, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:  # no UTF-8 has a lone surrogate in it, only escapes do
        body = json.dumps(reply).encode()
    theirs, ours = both(body)
    assert ours == theirs


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"__type":"ResourceNotFoundException","message":"no such group"}'),
        (400, b'{"__type":"com.amazon#ThrottlingException","Message":"Rate exceeded"}'),
        (400, b""),
        (500, b"<html><body>Http/1.1 Service Unavailable</body></html>"),
        (503, b""),
        (500, b"not json"),
    ],
)
def test_errors_are_left_to_botocore(status: int, body: bytes) -> None:
    theirs, ours = both(body, status)
    assert ours == theirs
    assert "events" not in ours


def test_other_operations_are_left_to_botocore() -> None:
    shape = output_of("DescribeLogGroups")
    body = b'{"logGroups":[{"logGroupName":"g","storedBytes":1}],"nextToken":"x"}'
    assert PageParser().parse(response(body), shape) == JSONParser().parse(response(body), shape)


def test_other_protocols_are_left_to_botocore() -> None:
    factory = PageParserFactory()
    assert isinstance(factory.create_parser("json"), PageParser)
    assert type(factory.create_parser("query")).__module__ == "botocore.parsers"


WHOLE = page([event(1, "one"), event(2, "ümlaut \ud800")], nextToken="more")


def test_a_body_cut_anywhere_is_an_error() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(TruncatedResponseError):
            PageParser().parse(response(WHOLE[:length]), PAGE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"events"',
        b'{"events":null}',
        b'{"events":{}}',
        b'{"nextToken":"x"}',
        b'{"events":[]}{"events":[]}',
        b"<html>Sign in to the hotel's network</html>",
        b'{"events":[\xff]}',
        b"[" * 100_000,
    ],
)
def test_a_reply_that_is_no_page_is_an_error(body: bytes) -> None:
    with pytest.raises(TruncatedResponseError) as raised:
        PageParser().parse(response(body), PAGE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("bad", "text", "timestamp"),
    [
        (None, "null", 3),
        (
            {"timestamp": 5, "message": "m", "logStreamName": "s"},
            '{"timestamp": 5, "message": "m", "logStre',
            5,
        ),
        ({**event(5, "m"), "timestamp": "5"}, None, 3),
        ({**event(5, "m"), "timestamp": True}, None, 3),
        ({**event(5, "m"), "timestamp": 5, "eventId": 17}, "17", 5),
        ({**event(5, "m"), "timestamp": 5, "message": None}, None, 5),
    ],
)
def test_an_event_that_cannot_be_decoded_leaves_the_rest_of_its_page(
    bad: dict[str, Any] | None, text: str | None, timestamp: int
) -> None:
    sent: list[Any] = [{**event(3, "a"), "timestamp": 3}, bad, event(6, "b")]
    found = PageParser().parse(response(page(sent, nextToken="x")), PAGE)
    assert [one.message for one in found["events"]] == ["a", "b"]
    assert found["nextToken"] == "x"
    [one] = found["unreadable"]
    assert (one.timestamp, one.why) == (timestamp, WRONG_FIELDS)
    assert text is None or one.text == text[:40]
    assert len(one.text) <= 40


def test_botocore_itself_takes_a_cut_body_for_a_reply_without_events() -> None:
    # The reason for the test above; if this fails, botocore has become stricter.
    theirs = JSONParser().parse(response(WHOLE[:-5]), PAGE)
    assert "events" not in theirs


@pytest.mark.parametrize("wrong", [-1, TIMESTAMP_MAX + 1, 10**30])
@pytest.mark.parametrize("text", ["a", "half a pair \ud83d"])
def test_an_impossible_ingestion_time_counts_as_unknown(wrong: int, text: str) -> None:
    # Neither SQLite nor the protocol can carry such a number.
    sent = [{**event(3, text), "ingestionTime": wrong}, event(6, "b")]
    found = decode_page(page(sent))
    assert [one.message for one in found.events] == [text, "b"]
    assert found.events[0].ingestion_time is None
    assert found.unreadable == []


def test_names_of_streams_are_shared_within_a_page() -> None:
    events = decode_page(page([event(3, "a"), event(6, "b")])).events
    assert events[0].stream is events[1].stream


def test_a_client_of_boto3_uses_it() -> None:
    base = botocore.session.get_session()
    base.register_component("response_parser_factory", PageParserFactory())
    session = boto3.Session(botocore_session=base, region_name="us-east-1")
    client = session.client("logs", aws_access_key_id="x", aws_secret_access_key="x")
    raw = SimpleNamespace(stream=lambda: iter([page([event(1, "sent")])]))

    def send(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        return AWSResponse(request.url, 200, HEADERS, raw)

    events: Any = client.meta.events
    events.register_first("before-send.cloudwatch-logs.FilterLogEvents", send)
    try:
        answer: Any = client.filter_log_events(logGroupName="g")
    finally:
        client.close()
    assert [type(one) for one in answer["events"]] == [LogEvent]

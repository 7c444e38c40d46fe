from __future__ import annotations

import json
import re

import pytest

from tui.replay.logs import millis_of, parse_log_line

AT_MS = 1_700_000_000_123


@pytest.mark.parametrize(
    ("value", "millis"),
    [
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000.123, AT_MS),
        ("1700000000.123", AT_MS),
        (AT_MS, AT_MS),
        (str(AT_MS), AT_MS),
        (AT_MS * 1_000 + 999, AT_MS),
        (AT_MS * 1_000_000 + 999_999, AT_MS),
        ("2023-11-14T22:13:20.123Z", AT_MS),
        ("2023-11-14T22:13:20.123456789Z", AT_MS),
        ("2023-11-14T23:13:20.123+01:00", AT_MS),
        ("2023-11-14 22:13:20,123", AT_MS),
        (0, 0),
        (-1, None),
        (10**30, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ("yesterday", None),
        ("", None),
        ("1969-12-31T23:59:59Z", None),
        ({}, None),
        ([AT_MS], None),
    ],
)
def test_times_are_numbers_by_their_size_or_iso(value: object, millis: int | None) -> None:
    assert millis_of(value) == millis


@pytest.mark.parametrize("name", ["ts", "time", "timestamp", "@timestamp", "Time", "@t"])
def test_common_names_of_the_time_are_known_and_the_whole_line_is_shown(name: str) -> None:
    text = json.dumps({"msg": "hello", name: AT_MS, "level": "info"})
    found = parse_log_line(text)
    assert (found.timestamp, found.message, found.id) == (AT_MS, text, "")


@pytest.mark.parametrize(
    "line",
    [
        {"__REALTIME_TIMESTAMP": str(AT_MS * 1_000), "MESSAGE": "m", "PRIORITY": "6"},
        {"timeMillis": AT_MS, "message": "m"},
        {"instant": {"epochSecond": AT_MS // 1_000, "nanoOfSecond": 123_456_789}, "message": "m"},
        {"timeUnixNano": str(AT_MS * 1_000_000), "body": {"stringValue": "m"}},
        {"time_iso8601": "2023-11-14T22:13:20.123+00:00", "request": "GET /"},
        {"message": "2023-11-14T22:13:20.123456789Z m", "podName": "p"},
        {"message": json.dumps({"ts": AT_MS, "msg": "m"}), "podName": "p"},
        {"log": json.dumps({"time": AT_MS}), "stream": "stdout"},
    ],
)
def test_times_of_other_tools_are_found(line: dict[str, object]) -> None:
    assert parse_log_line(json.dumps(line)).timestamp == AT_MS


@pytest.mark.parametrize(
    "line",
    [
        {"message": "later", "podName": "p"},
        {"message": "[" * 100_000},
        {"message": json.dumps({"msg": "m"})},
        {"message": ""},
        {"instant": {"epochSecond": True}},
        {"instant": {"nanoOfSecond": 5}},
    ],
)
def test_a_line_without_time_is_refused(line: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no time|is not a time"):
        parse_log_line(json.dumps(line))


def test_the_first_name_that_holds_a_time_counts() -> None:
    text = json.dumps({"time": "later", "ts": AT_MS})
    assert parse_log_line(text).timestamp == AT_MS


def test_a_source_of_lines_is_their_log_stream() -> None:
    assert parse_log_line(json.dumps({"ts": AT_MS, "logger": "db"})).stream == "db"


def test_an_event_of_cloudwatch_is_shown_as_an_event() -> None:
    ours = {
        "id": "0042",
        "timestamp": AT_MS,
        "ingestion_time": AT_MS + 5,
        "log_group": "/g",
        "log_stream": "s",
        "message": "hello",
        "origin": "repair",
    }
    theirs = {
        "eventId": "42",
        "timestamp": AT_MS,
        "ingestionTime": AT_MS + 5,
        "logStreamName": "s",
        "message": "hello",
    }
    found, other = parse_log_line(json.dumps(ours)), parse_log_line(json.dumps(theirs))
    assert found == (AT_MS, "hello", "s", "/g", "0042", AT_MS + 5, "repair")
    assert other == (AT_MS, "hello", "s", "", "42", AT_MS + 5, "live")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "it is not a JSON object"),
        ("[1, 2]", "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        ('{"ts": 1', "it is not a JSON object"),
        ("[" * 100_000, "it is not a JSON object"),
        ('{"msg": "x"}', "it has no time in a field ts, time, timestamp or @timestamp"),
        ('{"ts": null}', "it has no time in a field ts, time, timestamp or @timestamp"),
        ('{"ts": "noon"}', "'noon' is not a time: give ISO 8601, or seconds or ms since 1970"),
    ],
)
def test_the_reason_says_what_is_missing(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_log_line(text)

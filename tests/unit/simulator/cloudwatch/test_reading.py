from __future__ import annotations

from typing import Any

import pytest

from simulator.cloudwatch.levers import Lever, LeverOrder, StoredEvent
from simulator.cloudwatch.logs import TOKEN_MS
from simulator.cloudwatch.reading import DESCENDING_FROM_MS
from tests.support.simulator.stored_logs import GROUP, NOW, StoredLogs, texts

DAY = 24 * 3_600_000


class Hiding(Lever):
    """Hides the events that say so."""

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        del now_ms
        return "hide" in event.message


@pytest.fixture
def stored() -> StoredLogs:
    one = StoredLogs("a/1", "a/2", "b", levers={"hiding": Hiding})
    one.put("a/1", (0, "1"), (20, "3"), (40, "5"))
    one.put("b", (10, "2"), (20, "4"))
    return one


def pages(stored: StoredLogs, action: str, token: str = "nextToken", **given: Any) -> list[str]:  # noqa: ANN401
    """Every page's messages, joined; at most 100 pages."""
    found, given = list[str](), dict(given)
    for _ in range(100):
        answer = stored.ask(action, **given)
        found.append("".join(texts(answer["events"])))
        if answer.get(token) in {None, given.get("nextToken")}:
            return found
        given["nextToken"] = answer[token]
    pytest.fail(f"there is no end: {found}")


def test_log_streams_are_merged_in_the_order_of_aws(stored: StoredLogs) -> None:
    answer = stored.ask("FilterLogEvents")
    assert "".join(texts(answer["events"])) == "12345"
    assert "nextToken" not in answer
    assert answer["searchedLogStreams"] == []
    assert answer["events"][0] == {
        "logStreamName": "a/1",
        "timestamp": NOW,
        "message": "1",
        "ingestionTime": NOW,
        "eventId": answer["events"][0]["eventId"],
    }
    ids = [event["eventId"] for event in answer["events"]]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {56}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"startTime": NOW + 10, "endTime": NOW + 20}, "234"),
        ({"startTime": NOW + 11}, "345"),
        ({"endTime": NOW + 19}, "12"),
        ({"startTime": NOW + 21, "endTime": NOW + 20}, ""),
        ({"logStreamNames": ["b"]}, "24"),
        ({"logStreamNames": ["b", "a/1", "b"]}, "12345"),
        ({"logStreamNamePrefix": "a/"}, "135"),
        ({"logStreamNamePrefix": "none"}, ""),
        ({"filterPattern": "4"}, "4"),
        ({"startTime": NOW, "startFromHead": False}, "54321"),
        ({"startTime": NOW, "startFromHead": False, "logStreamNamePrefix": "a"}, "531"),
    ],
)
def test_filter_log_events_returns_what_is_asked_for(
    stored: StoredLogs, given: dict[str, Any], found: str
) -> None:
    assert "".join(stored.messages(**given)) == found
    split = pages(stored, "FilterLogEvents", limit=2, **given)
    assert "".join(split) == found
    assert max(map(len, split)) <= 2


def test_pages_may_be_short_and_empty_and_only_an_absent_token_ends(stored: StoredLogs) -> None:
    found, given = list[str](), dict[str, Any]()
    for events_max in (0, 2, 0, 0, 1, 5):
        answer = stored.ask("FilterLogEvents", events_max=events_max, **given)
        found.append("".join(texts(answer["events"])))
        given["nextToken"] = answer.get("nextToken")
    assert found == ["", "12", "", "", "3", "45"]
    assert given == {"nextToken": None}
    assert stored.ask("FilterLogEvents", events_max=0, startTime=NOW + 99)["nextToken"]


def test_what_comes_behind_a_token_is_not_shown_and_nothing_twice(stored: StoredLogs) -> None:
    first = stored.ask("FilterLogEvents", limit=3)
    stored.put("a/2", (5, "behind"), (20, "same"), (30, "ahead"))
    rest = stored.ask("FilterLogEvents", nextToken=first["nextToken"])
    assert texts(first["events"]) == ["1", "2", "3"]
    assert texts(rest["events"]) == ["4", "same", "ahead", "5"]


def test_levers_hide_events_from_reads(stored: StoredLogs) -> None:
    stored.put("b", (15, "hide"), (16, "shown"))
    stored.rack.engage(LeverOrder("h", "hiding"))
    assert stored.messages() == ["1", "2", "shown", "3", "4", "5"]
    assert stored.messages(filterPattern="hide") == []
    get = stored.ask("GetLogEvents", logStreamName="b", startFromHead=True)
    assert texts(get["events"]) == ["2", "shown", "4"]
    stored.rack.release("h")
    assert "hide" in stored.messages()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"logStreamNames": ["none"]}, "ResourceNotFoundException", "log stream"),
        ({"logStreamNames": ["b"], "logStreamNamePrefix": "b"}, "InvalidParameter", "Only one"),
        ({"nextToken": "x"}, "InvalidParameter", "nextToken is invalid"),
        ({"startFromHead": False}, "InvalidParameter", "2024"),
        (
            {"startFromHead": False, "startTime": DESCENDING_FROM_MS - 1},
            "InvalidParameter",
            "2024",
        ),
        ({"filterPattern": "{ $.a }"}, "InvalidParameter", "filter pattern"),
        ({"logGroupIdentifier": "/none"}, "ResourceNotFoundException", "log group"),
        ({"logGroupIdentifier": GROUP, "logGroupName": GROUP}, "InvalidParameter", "one of"),
    ],
)
def test_filter_log_events_refuses(
    stored: StoredLogs, given: dict[str, Any], code: str, words: str
) -> None:
    found, message = stored.refused("FilterLogEvents", **given)
    assert found.startswith(code)
    assert words in message


def test_tokens_expire_and_belong_to_their_request(stored: StoredLogs) -> None:
    token = stored.ask("FilterLogEvents", limit=1)["nextToken"]
    assert stored.refused("FilterLogEvents", nextToken=token, startTime=5)[0] == (
        "InvalidParameterException"
    )
    assert stored.messages(nextToken=token, limit=2) == ["2", "3"]
    stored.now_ms += TOKEN_MS + 1
    assert "nextToken" in stored.refused("FilterLogEvents", nextToken=token)[1]
    fresh = stored.ask("FilterLogEvents", limit=1)["nextToken"]
    back = stored.ask("GetLogEvents", logStreamName="b")["nextBackwardToken"]
    stored.logs.tokens.expire(stored.now_ms)
    assert "nextToken" in stored.refused("FilterLogEvents", nextToken=fresh)[1]
    assert "nextToken" in stored.refused("GetLogEvents", logStreamName="b", nextToken=back)[1]


def test_get_log_events_has_an_exclusive_end_and_begins_with_the_latest(
    stored: StoredLogs,
) -> None:
    def get(**given: Any) -> str:  # noqa: ANN401
        return "".join(texts(stored.ask("GetLogEvents", logStreamName="a/1", **given)["events"]))

    assert get() == "135"
    assert get(endTime=NOW + 40) == "13"
    assert get(startTime=NOW + 20) == "35"
    assert get(limit=2) == "35"
    assert get(limit=2, startFromHead=True) == "13"


def test_get_log_events_pages_forward_and_backward(stored: StoredLogs) -> None:
    stored.put("a/1", *((50 + at, "6789"[at]) for at in range(4)))
    forward = pages(
        stored, "GetLogEvents", "nextForwardToken", logStreamName="a/1", limit=3, startFromHead=True
    )
    assert forward == ["135", "678", "9", ""]
    backward = pages(stored, "GetLogEvents", "nextBackwardToken", logStreamName="a/1", limit=3)
    assert backward == ["789", "356", "1", ""]


def test_get_log_events_goes_on_where_nothing_was(stored: StoredLogs) -> None:
    empty = stored.ask("GetLogEvents", logStreamName="a/2")
    assert empty["events"] == []
    again = stored.ask("GetLogEvents", logStreamName="a/2", nextToken=empty["nextForwardToken"])
    assert again["nextForwardToken"] == empty["nextForwardToken"]
    stored.put("a/2", (7, "new"))
    found = stored.ask("GetLogEvents", logStreamName="a/2", nextToken=empty["nextForwardToken"])
    assert texts(found["events"]) == ["new"]
    before = stored.ask("GetLogEvents", logStreamName="a/2", nextToken=found["nextBackwardToken"])
    assert before["events"] == []
    after = stored.ask("GetLogEvents", logStreamName="a/2", nextToken=before["nextForwardToken"])
    assert texts(after["events"]) == ["new"]


def test_an_empty_page_of_get_log_events_has_another_token(stored: StoredLogs) -> None:
    first = stored.ask("GetLogEvents", logStreamName="b", startFromHead=True, limit=1)
    empty = stored.ask(
        "GetLogEvents", events_max=0, logStreamName="b", nextToken=first["nextForwardToken"]
    )
    assert empty["events"] == []
    stored.now_ms += 1
    rest = stored.ask("GetLogEvents", logStreamName="b", nextToken=empty["nextForwardToken"])
    assert texts(rest["events"]) == ["4"]


@pytest.mark.parametrize("token", ["x", "f/1/2", f"x/{1:056d}/5", f"f/{1:056d}/{'9' * 30}"])
def test_get_log_events_refuses_malformed_tokens(stored: StoredLogs, token: str) -> None:
    code, message = stored.refused("GetLogEvents", logStreamName="b", nextToken=token)
    assert (code, message) == ("InvalidParameterException", "The specified nextToken is invalid.")


def test_get_log_events_refuses_what_is_not_there(stored: StoredLogs) -> None:
    assert stored.refused("GetLogEvents", logStreamName="none") == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


def test_describe_log_streams_pages_by_name_and_by_time(stored: StoredLogs) -> None:
    def names(**given: Any) -> list[str]:  # noqa: ANN401
        found, token = list[str](), None
        while True:
            answer = stored.ask("DescribeLogStreams", limit=1, nextToken=token, **given)
            found += [one["logStreamName"] for one in answer["logStreams"]]
            token = answer.get("nextToken")
            if token is None:
                return found

    assert names() == ["a/1", "a/2", "b"]
    assert names(descending=True) == ["b", "a/2", "a/1"]
    assert names(logStreamNamePrefix="a") == ["a/1", "a/2"]
    assert names(orderBy="LastEventTime") == ["a/2", "b", "a/1"]
    assert names(orderBy="LastEventTime", descending=True) == ["a/1", "b", "a/2"]


def test_describe_log_streams_tells_times_that_may_be_behind(stored: StoredLogs) -> None:
    first, second, _ = stored.ask("DescribeLogStreams")["logStreams"]
    assert first == {
        "arn": "arn:a/1",
        "creationTime": NOW,
        "logStreamName": "a/1",
        "storedBytes": 0,
        "firstEventTimestamp": NOW,
        "lastEventTimestamp": NOW + 40,
        "lastIngestionTime": NOW,
    }
    assert "lastEventTimestamp" not in second
    stored.logs.stream_times_lag_ms = 3_600_000
    stored.now_ms += 1_000
    stored.put("a/1", (60, "new"))
    assert stored.ask("DescribeLogStreams")["logStreams"][0] == first
    stored.now_ms += 3_600_000
    assert stored.ask("DescribeLogStreams")["logStreams"][0]["lastEventTimestamp"] == NOW + 60


def test_describe_log_streams_refuses(stored: StoredLogs) -> None:
    code, message = stored.refused(
        "DescribeLogStreams", orderBy="LastEventTime", logStreamNamePrefix="a"
    )
    assert code == "InvalidParameterException"
    assert "LastEventTime" in message
    assert stored.refused("DescribeLogStreams", nextToken="x")[0] == code
    assert stored.refused("DescribeLogStreams", logGroupIdentifier="/no")[0] == (
        "ResourceNotFoundException"
    )


def test_retention_takes_what_is_older(stored: StoredLogs) -> None:
    stored.store.retention_ms = DAY
    stored.now_ms += DAY + 20
    assert stored.messages() == ["3", "4", "5"]
    assert len(stored.store) == 3

"""tests.unit.simulator.cloudwatch.test_parameters."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from simulator.cloudwatch import parameters as module
from simulator.cloudwatch.logs import Event
from simulator.cloudwatch.parameters import (
    RULES,
    AwsRefusal,
    Flag,
    Page,
    check,
    collect,
    group_of,
    matcher,
    message_bytes,
)

GROUP = {"logGroupName": "/g"}


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("FilterLogEvents", GROUP),
        ("FilterLogEvents", {**GROUP, "limit": 10_000, "logStreamNames": ["s"] * 100}),
        ("FilterLogEvents", {**GROUP, "startTime": 0, "nextToken": None, "unknown": []}),
        ("GetLogEvents", {**GROUP, "logStreamName": "s", "startFromHead": True}),
        ("DescribeLogStreams", {"logGroupIdentifier": "arn:aws:logs:r:1:log-group:/g"}),
        ("PutLogEvents", {**GROUP, "logStreamName": "s", "logEvents": [{}]}),
    ],
)
def test_what_is_allowed_passes(action: str, given: dict[str, Any]) -> None:
    check(action, given)


@pytest.mark.parametrize(
    ("action", "given", "words"),
    [
        ("FilterLogEvents", {"limit": 0}, "value greater than or equal to 1"),
        ("FilterLogEvents", {"limit": 10_001}, "value less than or equal to 10000"),
        ("FilterLogEvents", {"logStreamNames": []}, "length greater than or equal to 1"),
        ("FilterLogEvents", {"logStreamNames": ["s"] * 101}, "length less than or equal to 100"),
        ("FilterLogEvents", {"logStreamNames": ["a:b"]}, "'logStreamNames.1.member'"),
        ("FilterLogEvents", {"filterPattern": "x" * 1_025}, "length less than or equal to 1024"),
        ("FilterLogEvents", {"startTime": -1}, "value greater than or equal to 0"),
        ("FilterLogEvents", {"logGroupName": "a b"}, "regular expression"),
        ("FilterLogEvents", {"logGroupName": "x" * 513}, "length less than or equal to 512"),
        ("FilterLogEvents", {"nextToken": ""}, "length greater than or equal to 1"),
        ("GetLogEvents", {}, "'logStreamName' failed to satisfy constraint: Member must not be"),
        ("DescribeLogStreams", {"orderBy": "Name"}, "enum value set"),
        ("DescribeLogStreams", {"limit": 51}, "value less than or equal to 50"),
        ("PutLogEvents", {"logStreamName": "s", "logEvents": []}, "greater than or equal to 1"),
        ("PutLogEvents", {"logStreamName": "s", "logEvents": [{}] * 10_001}, "equal to 10000"),
    ],
)
def test_what_is_not_is_refused_in_the_words_of_aws(
    action: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(AwsRefusal) as caught:
        check(action, {**GROUP, **given})
    assert caught.value.code == "InvalidParameterException"
    assert caught.value.message.startswith("1 validation error detected: Value '")
    assert words in caught.value.message


@pytest.mark.parametrize(
    "given",
    [
        {"limit": "1"},
        {"limit": True},
        {"startFromHead": 1},
        {"logStreamNames": "s"},
        {"logStreamNames": [1]},
        {"nextToken": 5},
    ],
)
def test_wrong_types_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(AwsRefusal) as caught:
        check("FilterLogEvents", {**GROUP, **given})
    assert caught.value.code == "SerializationException"


def test_a_log_group_is_given_once_by_name_identifier_or_arn() -> None:
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/g"
    assert group_of(GROUP) == ("/g", "")
    assert group_of({"logGroupIdentifier": "/g"}) == ("/g", "")
    assert group_of({"logGroupIdentifier": arn}) == ("/g", "123456789012")
    for wrong in ({}, {**GROUP, "logGroupIdentifier": arn}):
        with pytest.raises(AwsRefusal):
            group_of(wrong)


def test_the_bounds_are_those_of_the_service_model() -> None:
    model = botocore.session.get_session().get_service_model("logs")
    compared = 0
    for action, rules in RULES.items():
        shape = model.operation_model(action).input_shape
        assert shape is not None
        members = shape.members
        assert set(rules) <= set(members)
        for name, rule in rules.items():
            bounds = members[name].metadata
            if not isinstance(rule, Flag) and "min" in bounds:
                compared += 1
                assert (rule.least, rule.most) == (bounds["min"], bounds.get("max")), name
    assert compared > 20


@pytest.mark.parametrize("pattern", ["", "  "])
def test_the_empty_pattern_matches_everything(pattern: str) -> None:
    assert matcher(pattern) is None


def test_a_pattern_becomes_a_test_or_a_refusal_in_the_words_of_aws() -> None:
    found = matcher("ERROR -timeout")
    assert found is not None
    assert (found("ERROR"), found("ERROR timeout")) == (True, False)
    with pytest.raises(AwsRefusal, match=r"^Invalid filter pattern: Invalid character.*'err:'$"):
        matcher("err:")


def made(count: int, message: str = "m") -> list[Event]:
    return [(key, 0, "s", message) for key in range(1, count + 1)]


def test_a_page_ends_with_the_events_or_at_the_limit() -> None:
    assert collect([], 5) == Page([], None, may_be_more=False)
    assert collect(made(3), 3) == Page(made(3), 3, may_be_more=False)
    assert collect(made(4), 3) == Page(made(3), 3, may_be_more=True)
    assert collect(made(4), 0) == Page([], None, may_be_more=True)


def test_a_page_holds_a_megabyte() -> None:
    page = collect(made(20, "x" * (104_857 - 26)), 10_000)
    assert (len(page.events), page.may_be_more) == (10, True)
    page = collect(made(20, "é" * 52_430), 10_000)
    assert (len(page.events), page.may_be_more) == (9, True)


def test_an_event_larger_than_a_page_comes_alone() -> None:
    page = collect(made(2, "x" * 1_048_576), 10_000)
    assert (len(page.events), page.may_be_more) == (1, True)


def test_what_is_not_shown_moves_the_position() -> None:
    page = collect(made(5), 2, lambda event: event[0] in {1, 4})
    assert page == Page([made(5)[0], made(5)[3]], 4, may_be_more=True)
    assert collect(made(5), 2, lambda _: False) == Page([], 5, may_be_more=False)


def test_a_page_may_be_empty_where_much_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMINED_MAX", 3)
    assert collect(made(5), 2, lambda _: False) == Page([], 3, may_be_more=True)


@pytest.mark.parametrize("message", ["", "abc", "é", "\U0001f600", "\ud83d"])
def test_messages_are_measured_in_utf8(message: str) -> None:
    assert message_bytes(message) == len(message.encode("utf-8", "surrogatepass"))

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from simulator.cloudwatch.parameters import RULES, AwsRefusal, Flag, check, group_of

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
    assert group_of(GROUP) == "/g"
    assert group_of({"logGroupIdentifier": "/g"}) == "/g"
    assert group_of({"logGroupIdentifier": arn}) == "/g"
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

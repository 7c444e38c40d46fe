from __future__ import annotations

from typing import Any

import pytest

from forwarder.live.stream import NO_FILTER, Choice, StreamRef, choose, parse_stream

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/jobs"
STREAM = StreamRef("jobs", ARN, "eu-west-1")


def filtered(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3 has it
    return {"filterName": "f", "filterPattern": "", "destinationArn": ARN, **fields}


def test_names_and_arns() -> None:
    assert parse_stream("jobs-1.a_b") == StreamRef("jobs-1.a_b")
    assert parse_stream(ARN) == STREAM
    assert str(STREAM) == f"kinesis:{ARN}"
    assert STREAM.parameters == {"StreamARN": ARN}
    assert StreamRef("jobs").parameters == {"StreamName": "jobs"}


@pytest.mark.parametrize(
    "text", ["", "a b", "jobs/1", "x" * 129, ARN + "/", ARN.replace("kinesis", "sqs"), "jobs\n"]
)
def test_what_is_neither(text: str) -> None:
    assert parse_stream(text) is None


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [filtered(destinationArn="arn:aws:lambda:eu-west-1:123456789012:function:f")],
        [filtered(destinationArn="arn:aws:firehose:eu-west-1:123456789012:deliverystream/d")],
        [filtered(destinationArn="arn:aws:logs:eu-west-1:123456789012:destination:d")],
        [filtered(destinationArn="jobs")],
        [{}],
    ],
)
def test_groups_whose_events_go_nowhere_that_can_be_read(filters: list[dict[str, Any]]) -> None:
    assert choose(filters) == NO_FILTER


def test_the_filter_that_lets_everything_through_is_taken() -> None:
    assert choose([filtered()]) == Choice(STREAM)
    assert choose([filtered(filterPattern=" ")]) == Choice(STREAM)
    assert choose([filtered(filterName="a", filterPattern="ERROR"), filtered()]) == Choice(STREAM)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"filterPattern": "ERROR"}, "lets only some events through"),
        ({"fieldSelectionCriteria": '@aws.region = "x"'}, "lets only some events through"),
        ({"applyOnTransformedLogs": True}, "sends transformed events"),
    ],
)
def test_filters_that_bring_too_little_or_something_else(given: dict[str, Any], why: str) -> None:
    choice = choose([filtered(**given)])
    assert choice.stream is None
    assert why in str(choice.why)

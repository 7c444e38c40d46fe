from __future__ import annotations

import click
import pytest

from gapless.identity import AwsChoice
from gapless.options import DURATION, LIVE, PATTERN, SIZE, TARGET, TEXT, TIME, aws_choice
from gapless.targets import GroupTarget


def test_values_that_can_be_meant() -> None:
    assert DURATION.convert("2h", None, None) == 7_200_000
    assert TIME.convert("2026-11-23T12:00Z", None, None) == 1_795_435_200_000
    assert SIZE.convert("2GiB", None, None) == 2 << 30
    assert SIZE.convert("65536", None, None) == 65_536
    assert TARGET.convert("/jobs", None, None) == GroupTarget("/jobs")
    assert PATTERN.convert("a|b", None, None) == "a|b"
    assert TEXT.convert("a b", None, None) == "a b"
    for live in ("auto", "poll", "kinesis:jobs", "kinesis:arn:aws:kinesis:r:123456789012:stream/s"):
        assert LIVE.convert(live, None, None) == live


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DURATION, "soon"),
        (TIME, "soon"),
        (SIZE, "2 GB"),
        (TARGET, "http://x"),
        (PATTERN, "("),
        (PATTERN, ""),
        (TEXT, ""),
        (LIVE, "push"),
        (LIVE, "kinesis:"),
        (LIVE, "kinesis:a b"),
    ],
)
def test_values_that_can_t(kind: click.ParamType[object], value: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(value, None, None)


def test_the_aws_options() -> None:
    assert aws_choice("p", None, "https://u") == AwsChoice(profile="p", endpoint_url="https://u")
    with pytest.raises(click.BadParameter, match="is not a URL"):
        aws_choice(None, None, "localhost:4566")

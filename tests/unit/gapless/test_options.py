from __future__ import annotations

import click
import pytest

from gapless.aws import AwsChoice
from gapless.options import (
    DURATION,
    LEVEL,
    LEVELS,
    LIVE,
    PATTERN,
    SIZE,
    TARGET,
    TEXT,
    TIME,
    ForwarderTarget,
    GroupTarget,
    TargetError,
    aws_choice,
    parse_target,
)
from tui.lines import levels


def test_the_levels_are_the_viewer_s() -> None:
    assert levels.LEVELS == LEVELS
    for text, level in {"warning": "warn", "WARN": "warn", "Critical": "fatal"}.items():
        assert LEVEL.convert(text, None, None) == level


def test_valid_values() -> None:
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
        (LEVEL, "loud"),
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
def test_invalid_values(kind: click.ParamType[object], value: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(value, None, None)


def test_the_aws_options() -> None:
    assert aws_choice("p", None, "https://u") == AwsChoice(profile="p", endpoint_url="https://u")
    with pytest.raises(click.BadParameter, match="is not a URL"):
        aws_choice(None, None, "localhost:4566")


@pytest.mark.parametrize(
    ("text", "url", "http_url"),
    [
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765/v1/tail", "http://127.0.0.1:8765"),
        ("ws://127.0.0.1:8765/", "ws://127.0.0.1:8765/v1/tail", "http://127.0.0.1:8765"),
        ("wss://logs.example/v1/tail", "wss://logs.example/v1/tail", "https://logs.example"),
        ("ws://[::1]:1/v1/tail?group=a", "ws://[::1]:1/v1/tail?group=a", "http://[::1]:1"),
    ],
)
def test_urls_of_forwarders(text: str, url: str, http_url: str) -> None:
    target = parse_target(text)
    assert target == ForwarderTarget(url)
    assert isinstance(target, ForwarderTarget)
    assert target.http_url == http_url


@pytest.mark.parametrize("text", ["/ecs/my-service", "jobs", "/aws/lambda/a_b.c#1"])
def test_log_groups(text: str) -> None:
    assert parse_target(text) == GroupTarget(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://127.0.0.1:8765", "begins with http://"),
        ("ws://", "does not name a host"),
        ("ws://:80/v1/tail", "does not name a host"),
        ("ws://a:0/", "does not name a host"),
        ("ws://a:99999/", "not a URL"),
        ("ws://[::1/", "not a URL"),
        ("ws://me:secret@a/", "does not name a host"),
        ("arn:aws:logs:us-east-1:1:log-group:/a", "is an ARN"),
        ("a group", "nor a possible name"),
        ("", "nor a possible name"),
        ("x" * 513, "nor a possible name"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        parse_target(text)

from __future__ import annotations

import click
import pytest

from common.errors import UsageError
from gapless import cli
from gapless.aws import AwsChoice
from gapless.options import (
    DURATION,
    EXPRESSION,
    FILE,
    LEVEL,
    LEVELS,
    LIVE,
    PATH,
    SIZE,
    TARGET,
    TEXT,
    TIME,
    Number,
    WholeNumber,
    aws_choices,
    check_times,
)
from gapless.targets.grammar import GroupTarget
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
    assert EXPRESSION.convert("a|b", None, None) == "a|b"
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
        (EXPRESSION, "/(/"),
        (EXPRESSION, ""),
        (TEXT, ""),
        (FILE, ""),
        (PATH, ""),
        (Number(0, 5), "nan"),
        (Number(0, 5), "inf"),
        (Number(0, 5), "6"),
        (WholeNumber(0, 5), "6"),
        (LIVE, "push"),
        (LIVE, "kinesis:"),
        (LIVE, "kinesis:a b"),
    ],
)
def test_invalid_values(kind: click.ParamType[object], value: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(value, None, None)


def test_a_range_is_called_a_number() -> None:
    kinds: list[click.ParamType[object]] = [Number(0, 5), WholeNumber(0, 5)]
    for kind, name in zip(kinds, ("number", "whole number"), strict=True):
        with pytest.raises(click.BadParameter, match=f"'x' is not a valid {name}"):
            kind.convert("x", None, None)


def test_no_command_takes_another_kind_of_range() -> None:
    context = click.Context(cli.cli)
    commands = [cli.cli.get_command(context, one) for one in cli.COMMANDS]
    commands += [
        one
        for group in commands
        if isinstance(group, click.Group)
        for one in group.commands.values()
    ]
    kinds = [one.type for command in commands if command for one in command.params]
    assert kinds
    ranges = [one for one in kinds if isinstance(one, click.IntRange | click.FloatRange)]
    assert len(ranges) > 10
    assert all(isinstance(one, Number | WholeNumber) for one in ranges)


def test_the_aws_options() -> None:
    assert aws_choices(("p",), (), "https://u") == (
        AwsChoice(profile="p", endpoint_url="https://u"),
    )
    assert aws_choices(("p", "q"), ("r", "s", "r"), None) == tuple(
        AwsChoice(profile=profile, region=region)
        for profile, region in (("p", "r"), ("p", "s"), ("q", "r"), ("q", "s"))
    )
    with pytest.raises(click.BadParameter, match="is not a URL"):
        aws_choices((), (), "localhost:4566")


def test_a_range_of_time_can_contain_events() -> None:
    check_times(None, 5, 10)
    check_times(5, 5, 10)
    check_times(10, 20, 10)
    with pytest.raises(UsageError, match="is in the future"):
        check_times(11, None, 10)
    with pytest.raises(UsageError, match="is before --since"):
        check_times(5, 4, 10)

"""Options and types of arguments that several commands share.

What may be watched: the URL of a forwarder, or a log group by name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec
from click.shell_completion import CompletionItem

from common.times import TimeFormatError, parse_duration, parse_time
from gapless.settings import AwsChoice
from wire.limits import NAME_CHARS_MAX

TAIL_PATH: Final = "/v1/tail"
_GROUP: Final = re.compile(rf"[.\-_/#A-Za-z0-9]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
"""Names of log groups, as the CloudWatch Logs API reference (CreateLogGroup) allows them."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


class TargetError(ValueError):
    """A text that is neither; it says what to write instead."""


class ForwarderTarget(msgspec.Struct, frozen=True):
    """A forwarder that runs already; ``url`` is ``ws://`` or ``wss://`` with its path."""

    url: str

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the forwarder's HTTP side, without a path."""
        parts = urlsplit(self.url)
        return f"{_SCHEMES[parts.scheme]}://{parts.netloc}"


class GroupTarget(msgspec.Struct, frozen=True):
    """A log group, watched through a forwarder of its own."""

    group: str


Target = ForwarderTarget | GroupTarget


def parse_target(text: str) -> Target:
    """What a TARGET argument means.

    Raises:
        TargetError: a URL of another kind, or no possible name of a log group.

    """
    if "://" in text:
        return _forwarder(text)
    if text.startswith("arn:"):
        msg = f"{text[:80]!r} is an ARN: give the log group's name, what follows 'log-group:'"
        raise TargetError(msg)
    if _GROUP.fullmatch(text) is None:
        msg = (
            f"{text[:80]!r} is neither the URL of a forwarder (ws://HOST:PORT{TAIL_PATH}) "
            "nor a possible name of a log group (letters, digits, and . - _ / #)"
        )
        raise TargetError(msg)
    return GroupTarget(text)


def _forwarder(text: str) -> ForwarderTarget:
    example = f"ws://127.0.0.1:8765{TAIL_PATH}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        msg = f"{text[:80]!r} is not a URL ({error}): write it like {example}"
        raise TargetError(msg) from error
    if parts.scheme not in _SCHEMES:
        msg = f"{text[:80]!r} begins with {parts.scheme}://: a forwarder's URL is like {example}"
        raise TargetError(msg)
    if not parts.hostname or port == 0 or parts.fragment or parts.username is not None:
        msg = f"{text[:80]!r} does not name a host and port: write it like {example}"
        raise TargetError(msg)
    path = TAIL_PATH if parts.path in ("", "/") else parts.path
    return ForwarderTarget(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


_F = TypeVar("_F", bound=Callable[..., Any])

_SIZE: Final = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)
"""Name or ARN of an ECS cluster (Amazon ECS API reference, CreateCluster)."""
_STREAM: Final = re.compile(
    r"(arn:[a-z0-9-]+:kinesis:[a-z0-9-]+:[0-9]{12}:stream/)?[\w.-]{1,128}", re.ASCII
)
"""Name or ARN of a Kinesis stream (Kinesis API reference, StreamName and StreamARN)."""
_SIZE_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class _Text(click.ParamType[Any]):
    """Repeated values in a variable are one a line: a pattern may hold spaces."""

    envvar_list_splitter = "\n"


class DurationType(_Text):
    """``90s 10m 2h 3d 2d1h20m``, as ms."""

    name = "duration"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Text to ms."""
        if isinstance(value, int):
            return value
        try:
            return parse_duration(str(value))
        except TimeFormatError as error:
            self.fail(str(error), param, ctx)


class TimeType(_Text):
    """A duration ago, ISO 8601 or ``12:04``, as ms since the Unix epoch."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Text to ms since the Unix epoch."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(str(value), time.time_ns() // 1_000_000)
        except TimeFormatError as error:
            self.fail(str(error), param, ctx)


class SizeType(_Text):
    """``2GiB``, ``500MiB``, as bytes."""

    name = "size"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Text to bytes."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is not a size: write 2GiB, 500MiB or 65536", param, ctx)
        return int(found[1]) * _SIZE_UNITS[found[2] or "B"]


class TargetType(_Text):
    """The URL of a forwarder, or a log group."""

    name = "target"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Target:
        """Text to a target."""
        try:
            return parse_target(str(value))
        except TargetError as error:
            self.fail(str(error), param, ctx)


class TextType(_Text):
    """Any text that is not empty."""

    name = "text"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Text as it is."""
        if not str(value):
            self.fail("it is empty", param, ctx)
        return str(value)


class PatternType(TextType):
    """A regular expression, checked; handed on as text."""

    name = "re"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Text that compiles."""
        text = super().convert(value, param, ctx)
        try:
            re.compile(text)
        except re.error as error:
            self.fail(f"{text[:80]!r} is not a regular expression: {error}", param, ctx)
        return text


class LifecycleType(TextType):
    """``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s``, checked; handed on as text."""

    name = "lifecycle"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Text that the forwarder understands."""
        text = super().convert(value, param, ctx)
        kind, _, rule = text.partition(":")
        if kind == "pattern" and rule:
            PATTERN.convert(rule, param, ctx)
        elif kind == "idle" and rule:
            DURATION.convert(rule, param, ctx)
        elif kind != "ecs" or _CLUSTER.fullmatch(rule) is None:
            self.fail(f"{text[:80]!r} is not ecs:CLUSTER, pattern:RE or idle:30s", param, ctx)
        return text


class LiveType(TextType):
    """``auto``, ``poll`` or ``kinesis:STREAM``, checked; handed on as text."""

    name = "live"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Text that the forwarder understands."""
        text = super().convert(value, param, ctx)
        kind, _, stream = text.partition(":")
        if text not in ("auto", "poll") and (kind != "kinesis" or not _STREAM.fullmatch(stream)):
            self.fail(f"{text[:80]!r} is not auto, poll or kinesis:STREAM", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What it can begin with."""
        _ = ctx, param
        known = ("auto", "poll", "kinesis:")
        return [CompletionItem(one) for one in known if one.startswith(incomplete)]


DURATION: Final = DurationType()
TIME: Final = TimeType()
SIZE: Final = SizeType()
TARGET: Final = TargetType()
TEXT: Final = TextType()
PATTERN: Final = PatternType()
LIFECYCLE: Final = LifecycleType()
LIVE: Final = LiveType()
FILE: Final = click.Path(path_type=Path, dir_okay=False)
PATH: Final = click.Path(path_type=Path)
PORT: Final = click.IntRange(0, 65_535)


def notify_option(function: _F) -> _F:
    """``--notify``: how the screen tells a gap, a new error or an end."""
    return click.option(
        "--notify",
        type=click.Choice(["off", "bell", "osc9", "osc777"]),
        default="off",
        show_default=True,
        help="Bell or terminal notification of a gap, a new error, an end.",
    )(function)


def aws_options(function: _F) -> _F:
    """Give a command ``--profile --region --endpoint-url``."""
    for option in (
        click.option("--endpoint-url", type=TEXT, metavar="U", help="CloudWatch Logs endpoint."),
        click.option("--region", type=TEXT, metavar="R", help="AWS Region."),
        click.option("--profile", type=TEXT, metavar="P", help="Profile of the AWS settings."),
    ):
        function = option(function)
    return function


def while_held_option(function: _F) -> _F:
    """Give a part the hidden option that ties its life to a file's lock."""
    return click.option("--while-held", type=FILE, hidden=True)(function)


def aws_choice(profile: str | None, region: str | None, endpoint_url: str | None) -> AwsChoice:
    """The three AWS options as one.

    Raises:
        click.BadParameter: the endpoint is no URL.

    """
    if endpoint_url is not None and not endpoint_url.startswith(("http://", "https://")):
        msg = f"{endpoint_url[:80]!r} is not a URL: write http://… or https://…"
        raise click.BadParameter(msg, param_hint="--endpoint-url")
    return AwsChoice(profile=profile, region=region, endpoint_url=endpoint_url)

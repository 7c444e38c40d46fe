"""Options and argument types that several commands share, and the TARGET argument's grammar."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec
from click.shell_completion import CompletionItem

from common.errors import UsageError
from common.hosts import host_name
from common.patterns import compile_pattern
from common.times import parse_duration, parse_time
from gapless.aws import AwsChoice
from wire.limits import NAME_CHARS_MAX

if TYPE_CHECKING:
    from simulator.scenarios.base import Scenario

TAIL_PATH: Final = "/v1/tail"
_SCHEMES: Final = {"ws": "http", "wss": "https"}

_GROUP: Final = re.compile(rf"[.\-_/#A-Za-z0-9]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
"""Names of log groups, as the CloudWatch Logs API reference (CreateLogGroup) allows them."""
_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)
"""Name or ARN of an ECS cluster (Amazon ECS API reference, CreateCluster)."""
_STREAM: Final = re.compile(
    r"(arn:[a-z0-9-]+:kinesis:[a-z0-9-]+:[0-9]{12}:stream/)?[\w.-]{1,128}", re.ASCII
)
"""Name or ARN of a Kinesis stream (Kinesis API reference, StreamName and StreamARN)."""
_SIZE: Final = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_SIZE_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class TargetError(ValueError):
    """The text is neither a forwarder's URL nor a log group; the message says what to write."""


class ForwarderTarget(msgspec.Struct, frozen=True):
    """A running forwarder; ``url`` is ``ws://`` or ``wss://`` with its path."""

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
    """Parse a TARGET argument.

    Raises:
        TargetError: a URL of another kind, or not a possible name of a log group.
    """
    if "://" in text:
        return _parse_url(text)
    if text.startswith("arn:"):
        msg = f"{text[:80]!r} is an ARN: give the log group's name, which follows 'log-group:'"
        raise TargetError(msg)
    if _GROUP.fullmatch(text) is None:
        msg = (
            f"{text[:80]!r} is neither the URL of a forwarder (ws://HOST:PORT{TAIL_PATH}) "
            "nor a possible name of a log group (letters, digits, and . - _ / #)"
        )
        raise TargetError(msg)
    return GroupTarget(text)


def _parse_url(text: str) -> ForwarderTarget:
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


class ParsedType(click.ParamType[Any]):
    """An argument type made of a parser, whose ValueError becomes a usage error."""

    envvar_list_splitter = "\n"
    """Repeated values in a variable are one a line: a pattern may contain spaces."""

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        *,
        parsed: type | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        """Make a type.

        Args:
            name: What help calls a value.
            parse: From text to a value; raises ValueError.
            parsed: Type of values that need no parsing, such as defaults.
            choices: What shell completion offers.
        """
        self.name = name
        self._parse = parse
        self._parsed = parsed
        self._choices = choices

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Parse a value, which is no text where the settings file has a number."""
        if self._parsed is not None and isinstance(value, self._parsed):
            return value
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the choices that begin with the text so far."""
        del ctx, param
        return [CompletionItem(one) for one in self._choices if one.startswith(incomplete)]


def _parse_time(text: str) -> int:
    return parse_time(text, time.time_ns() // 1_000_000)


def _parse_size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        msg = f"{text[:80]!r} is not a size: write 2GiB, 500MiB or 65536"
        raise ValueError(msg)
    return int(found[1]) * _SIZE_UNITS[found[2] or "B"]


def _check_text(text: str) -> str:
    if not text:
        msg = "it is empty"
        raise ValueError(msg)
    return text


def _check_pattern(text: str) -> str:
    _check_text(text)
    compile_pattern(text)
    return text


def _check_lifecycle(text: str) -> str:
    kind, _, rule = text.partition(":")
    if kind == "pattern" and rule:
        _check_pattern(rule)
    elif kind == "idle" and rule:
        parse_duration(rule)
    elif kind != "ecs" or _CLUSTER.fullmatch(rule) is None:
        msg = f"{text[:80]!r} is not ecs:CLUSTER, pattern:RE or idle:30s"
        raise ValueError(msg)
    return text


def _check_live(text: str) -> str:
    kind, _, stream = text.partition(":")
    if text not in ("auto", "poll") and (kind != "kinesis" or not _STREAM.fullmatch(stream)):
        msg = f"{text[:80]!r} is not auto, poll or kinesis:STREAM"
        raise ValueError(msg)
    return text


def _check_host(text: str) -> str:
    if host_name(text) is None:
        msg = f"{text[:80]!r} is not a host: write logs.example.com, or with a port"
        raise ValueError(msg)
    return text


LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
"""The levels of ``tui.lines.levels`` (a test compares them), repeated so that --help is fast."""
_LEVEL_ALIASES: Final = {
    "information": "info",
    "notice": "info",
    "warning": "warn",
    "err": "error",
    "critical": "fatal",
}


def _parse_level(text: str) -> str:
    name = text.lower()
    name = _LEVEL_ALIASES.get(name, name)
    if name not in LEVELS:
        msg = f"{text[:80]!r} is not one of {', '.join(LEVELS)}"
        raise ValueError(msg)
    return name


LEVEL: Final = ParsedType("level", _parse_level, choices=LEVELS)
"""A level in any case, also as ``warning`` or ``critical``."""
DURATION: Final = ParsedType("duration", parse_duration, parsed=int)
"""``90s 10m 2h 3d 1w 2d1h20m``, as ms."""
TIME: Final = ParsedType("time", _parse_time, parsed=int)
"""A time in any form of ``common.times.parse_time``, as ms since the Unix epoch."""
SIZE: Final = ParsedType("size", _parse_size, parsed=int)
"""``2GiB``, ``500MiB``, as bytes."""
TARGET: Final = ParsedType("target", parse_target)
TEXT: Final = ParsedType("text", _check_text)
"""Any text that is not empty."""
PATTERN: Final = ParsedType("re", _check_pattern)
"""A regular expression, checked, as text."""
LIFECYCLE: Final = ParsedType("lifecycle", _check_lifecycle)
"""``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s``, checked, as text."""
LIVE: Final = ParsedType("live", _check_live, choices=("auto", "poll", "kinesis:"))
"""``auto``, ``poll`` or ``kinesis:STREAM``, checked, as text."""
HOST: Final = ParsedType("host", _check_host)
"""``name`` or ``name:port``, checked, as text."""
ALL: Final = "all"
"""Stands for every scenario, in place of names."""
FILE: Final = click.Path(path_type=Path, dir_okay=False)
PATH: Final = click.Path(path_type=Path)
PORT: Final = click.IntRange(0, 65_535)

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")


def seed_option(function: _Function) -> _Function:
    """Add ``--seed``."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**31),
        default=1,
        show_default=True,
        help="The same seed replays a run.",
    )(function)


def number_option(
    name: str,
    kind: click.ParamType[Any],
    default: float,
    help: str,  # noqa: A002 - click's name for it
    *,
    metavar: str = "N",
) -> Callable[[_Function], _Function]:
    """Return an option that takes a number, and shows its default in the help."""
    return click.option(
        name, type=kind, default=default, show_default=True, metavar=metavar, help=help
    )


def cloudwatch_option(function: _Function) -> _Function:
    """Add ``--cloudwatch``: which stand-in for CloudWatch the simulator runs."""
    return click.option(
        "--cloudwatch",
        type=click.Choice(["faithful", "moto"]),
        default="faithful",
        show_default=True,
        help="A faithful CloudWatch, or unpatched moto.",
    )(function)


def notify_option(function: _Function) -> _Function:
    """Add ``--notify``: how the screen announces a gap, a new error or a job's end."""
    return click.option(
        "--notify",
        type=click.Choice(["off", "bell", "osc9", "osc777"]),
        default="off",
        show_default=True,
        help="Notify of a gap, a new error or a job's end: terminal bell or desktop message.",
    )(function)


def aws_options(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Add ``--profile --region --endpoint-url``, which the command gets joined as ``choice``."""

    @wraps(function)
    def with_choice(
        *arguments: Any,  # noqa: ANN401 - click has checked them
        profile: str | None,
        region: str | None,
        endpoint_url: str | None,
        **options: Any,  # noqa: ANN401 - likewise
    ) -> _Result:
        choice = aws_choice(profile, region, endpoint_url)
        return function(*arguments, choice=choice, **options)

    for option in (
        click.option("--endpoint-url", type=TEXT, metavar="U", help="CloudWatch Logs endpoint."),
        click.option("--region", type=TEXT, metavar="R", help="AWS Region."),
        click.option("--profile", type=TEXT, metavar="P", help="Profile of the AWS settings."),
    ):
        with_choice = option(with_choice)
    return with_choice


def token_file_option(function: _Function) -> _Function:
    """Add the option that names a file with the token of the forwarder to connect to."""
    return click.option(
        "--token-file",
        type=FILE,
        metavar="F",
        help="File with the forwarder's token; tokens of your own forwarders here are found.",
    )(function)


def while_held_option(function: _Function) -> _Function:
    """Add the hidden option that ends the command when no process holds a lock on the file."""
    return click.option("--while-held", type=FILE, hidden=True)(function)


def aws_choice(profile: str | None, region: str | None, endpoint_url: str | None) -> AwsChoice:
    """Check the three AWS options and join them.

    Raises:
        click.BadParameter: the endpoint is not a URL.
    """
    if endpoint_url is not None and not endpoint_url.startswith(("http://", "https://")):
        msg = f"{endpoint_url[:80]!r} is not a URL: write http://… or https://…"
        raise click.BadParameter(msg, param_hint="--endpoint-url")
    return AwsChoice(profile=profile, region=region, endpoint_url=endpoint_url)


def complete_scenario(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete the name of a scenario."""
    del context, parameter
    known = [(one.name, one.doc) for one in known_scenarios().values()]
    return [
        CompletionItem(name, help=doc)
        for name, doc in [*known, (ALL, "Every scenario.")]
        if name.startswith(begun)
    ]


def known_scenarios() -> dict[str, Scenario]:
    """Return all scenarios by name."""
    from simulator.scenarios.scripted import SCENARIOS  # noqa: PLC0415 - not needed for --help

    return dict(SCENARIOS)


def find_scenario(name: str) -> Scenario:
    """Return the scenario of that name.

    Raises:
        UsageError: there is none; the text lists those that exist.
    """
    known = known_scenarios()
    if name not in known:
        msg = f"no scenario is called {name[:80]!r}; there are: {', '.join(known)}"
        raise UsageError(msg)
    return known[name]


def check_writable(path: Path | None, what: str) -> None:
    """Find out before an hour of work that a file could not be written at its end.

    Raises:
        UsageError: its folder is missing or not writable; ``what`` names the file.
    """
    if path is not None and not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        msg = f"cannot write the {what} {path}: its folder is missing or not writable"
        raise UsageError(msg)

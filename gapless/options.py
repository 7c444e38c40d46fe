"""Options and argument types that several commands share."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from datetime import time as clock_time
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from common.errors import UsageError
from common.files import read_regular
from common.hosts import host_name
from common.patterns import compile_pattern
from common.times import iso, parse_duration, parse_time, parse_zone
from gapless.aws import AwsChoice, choices_of
from gapless.extras import require_extra
from gapless.settings import SettingType
from gapless.targets import completion
from gapless.targets.grammar import GroupTarget, PatternTarget, parse_target
from wire.limits import PATTERN_CHARS_MAX

if TYPE_CHECKING:
    from simulator.scenarios.base import Scenario

_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)
"""Name or ARN of an ECS cluster (Amazon ECS API reference, CreateCluster)."""
_STREAM: Final = re.compile(
    r"(arn:[a-z0-9-]+:kinesis:[a-z0-9-]+:[0-9]{12}:stream/)?[\w.-]{1,128}", re.ASCII
)
"""Name or ARN of a Kinesis stream (Kinesis API reference, StreamName and StreamARN)."""
_SIZE: Final = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_SIZE_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


GroupPattern = str | GroupTarget | PatternTarget
"""What ``gapless groups`` lists: a part or pattern of names as text, or an ARN."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


class ParsedType(SettingType):
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
        complete: Complete | None = None,
        toml_types: tuple[type, ...] = (),
    ) -> None:
        """Make a type.

        Args:
            name: What help calls a value.
            parse: From text to a value; raises ValueError.
            parsed: Type of values that need no parsing, such as defaults.
            choices: What shell completion offers.
            complete: Completes a value, where that takes more than ``choices``.
            toml_types: What the settings file may have besides text, such as a number.
        """
        self.name = name
        self.toml_types = toml_types
        self._parse = parse
        self._parsed = parsed
        self._choices = choices
        self._complete = complete

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Parse a value, which is no text where it is a default."""
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
        if self._complete is not None:
            return self._complete(ctx, param, incomplete)
        return [CompletionItem(one) for one in self._choices if one.startswith(incomplete)]


class PathType(click.Path):
    """A path; an empty one, as of an unset variable in a script, would be the current folder."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Check a path."""
        if not str(value):
            self.fail("it is empty: give a path", param, ctx)
        return super().convert(value, param, ctx)


class WholeNumber(click.IntRange):
    """A whole number in a range."""

    name = "whole number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What help shows for a value."""
        del param, ctx
        return "N"


class Number(click.FloatRange):
    """A number in a range."""

    name = "number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What help shows for a value."""
        del param, ctx
        return "N"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Parse a number; NaN, which click would accept, is neither below nor above any."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return number


def _check_served_target(text: str) -> str:
    from forwarder.errors import TargetError as NoTargetError  # noqa: PLC0415 - for one command
    from forwarder.targets import parse_target as parse  # noqa: PLC0415 - for one command

    try:
        return str(parse(text))
    except NoTargetError as error:
        raise ValueError(str(error)) from error


class _TimeType(ParsedType):
    """A time, read in the zone of ``--timezone`` if the command has that; else the machine's."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Parse a time; ``--timezone`` is eager, so it was parsed before."""
        name = None if ctx is None else ctx.params.get("timezone")
        zone = parse_zone(name) if isinstance(name, str) else None
        try:
            now_ms = time.time_ns() // 1_000_000
            return value if isinstance(value, int) else parse_time(str(value), now_ms, zone)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _parse_time(text: str) -> int:
    return parse_time(text, time.time_ns() // 1_000_000)


def _check_zone(text: str) -> str:
    parse_zone(text)
    return text


def _parse_size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        msg = f"{text[:80]!r} is not a size: write 2GiB, 500MiB or 65536"
        raise ValueError(msg)
    return int(found[1]) * _SIZE_UNITS[found[2] or "B"]


def _parse_journal(text: str) -> Path | str:
    is_url = text.startswith(("postgresql://", "postgres://"))
    if not is_url and "://" in text:
        msg = f"{text[:80]!r} is neither a path nor postgresql://USER@HOST/DATABASE"
        raise ValueError(msg)
    return text if is_url else Path(_check_text(text))


def _check_text(text: str) -> str:
    if not text:
        msg = "it is empty"
        raise ValueError(msg)
    return text


def _parse_groups(text: str) -> GroupPattern:
    target = parse_target(text) if text.startswith("arn:") else None
    return target if isinstance(target, GroupTarget | PatternTarget) else _check_text(text)


def _check_filter_pattern(text: str) -> str:
    if not text.strip():
        msg = "it is blank: leave the option out to get all events"
        raise ValueError(msg)
    if len(text) > PATTERN_CHARS_MAX:
        msg = f"it has {len(text):,} characters: CloudWatch accepts {PATTERN_CHARS_MAX:,}"
        raise ValueError(msg)
    if any("\ud800" <= char <= "\udfff" for char in text):
        msg = f"{text!r} is not valid Unicode: write it in UTF-8"
        raise ValueError(msg)
    return text


def _check_pattern(text: str) -> str:
    _check_text(text)
    compile_pattern(text)
    return text


def _check_expression(text: str) -> str:
    # The parser imports msgspec, which --help need not wait for.
    from tui.lines.expressions import parse_expression  # noqa: PLC0415

    parse_expression(_check_text(text))
    return text


def _check_fields(text: str) -> str:
    from tui.render.fields import parse_fields  # noqa: PLC0415 - likewise

    parse_fields(text)
    return text


def _check_format(text: str) -> str:
    from tui.output.templates import parse_format  # noqa: PLC0415 - likewise

    return parse_format(text)


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
TIMEZONE: Final = ParsedType("timezone", _check_zone, choices=("local", "utc"))
"""``local``, ``utc`` or ``Area/City``, checked, as text."""
TIME: Final = _TimeType(
    "time", _parse_time, parsed=int, toml_types=(int, float, datetime, date, clock_time)
)
"""A time in any form of ``common.times.parse_time``, as ms since the Unix epoch."""
SIZE: Final = ParsedType("size", _parse_size, parsed=int, toml_types=(int,))
"""``2GiB``, ``500MiB``, as bytes."""
TARGET: Final = ParsedType("target", parse_target, complete=completion.complete_target)
"""A forwarder's URL; a log group's name, ARN, or pattern of names."""
GROUPS: Final = ParsedType("pattern", _parse_groups, complete=completion.complete_target)
"""A part or pattern of log groups' names, as text, or the ARN of one."""
SERVED_TARGET: Final = ParsedType("target", _check_served_target)
"""A log group's name, a pattern of names, or an ARN, checked, as text."""
JOURNAL: Final = ParsedType(
    "journal",
    _parse_journal,
    parsed=Path,
    complete=lambda _context, _parameter, begun: [CompletionItem(begun, type="file")],
)
"""A path, or as text the URL of an engine that keeps journals for several forwarders."""
TEXT: Final = ParsedType("text", _check_text)
"""Any text that is not empty."""
EXECUTION: Final = ParsedType("id", _check_text, complete=completion.complete_execution)
STREAM: Final = ParsedType("stream", _check_text, complete=completion.complete_stream)
PROFILE: Final = ParsedType("profile", _check_text, complete=completion.complete_profile)
REGION: Final = ParsedType("region", _check_text, complete=completion.complete_region)
FILTER_PATTERN: Final = ParsedType("filter pattern", _check_filter_pattern)
"""A filter pattern of CloudWatch Logs, as text; AWS checks its syntax."""
EXPRESSION: Final = ParsedType("expression", _check_expression)
"""An expression of filters and searches, checked, as text."""
FIELDS: Final = ParsedType("fields", _check_fields)
"""Names of fields with commas between them, checked, as text."""
FORMAT: Final = ParsedType(
    "format", _check_format, choices=("short", "detailed", "text", "json", "raw")
)
"""A format's name without aliases, or a template, checked, as text."""
LIFECYCLE: Final = ParsedType("lifecycle", _check_lifecycle)
"""``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s``, checked, as text."""
LIVE: Final = ParsedType("live", _check_live, choices=("auto", "poll", "kinesis:"))
"""``auto``, ``poll`` or ``kinesis:STREAM``, checked, as text."""
HOST: Final = ParsedType("host", _check_host)
"""``name`` or ``name:port``, checked, as text."""
SCENARIO_SUFFIX: Final = ".toml"
ALL: Final = "all"
"""Stands for every scenario, in place of names."""
FILE: Final = PathType(path_type=Path, dir_okay=False)
PATH: Final = PathType(path_type=Path)
PORT: Final = WholeNumber(0, 65_535)

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")


def seed_option(function: _Function) -> _Function:
    """Add ``--seed``."""
    return click.option(
        "--seed",
        type=WholeNumber(0, 2**31),
        default=1,
        show_default=True,
        help="The same seed replays a run.",
    )(function)


def scenario_seed_option(function: _Function) -> _Function:
    """Add ``--seed`` for a scenario: the command gets None where it is not given."""
    return click.option(
        "--seed",
        type=WholeNumber(0, 2**31),
        metavar="N",
        help="The same seed replays a run.  [default: the scenario's own, or 1]",
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


def calls_option(function: _Function) -> _Function:
    """Add ``--calls-per-second``: how much of the account's quota the forwarder uses."""
    return click.option(
        "--calls-per-second",
        type=Number(0.1, 1_000),
        metavar="N",
        help="Most FilterLogEvents calls of a forwarder that this command starts, all log groups "
        "together.  [default: half of the Region's quota: 12.5 in us-east-1, 2.5 in eu-central-1, "
        "ca-west-1, il-central-1, ap-northeast-3 and ap-southeast-3, else 5]",
    )(function)


def cloudwatch_option(function: _Function) -> _Function:
    """Add ``--cloudwatch``: which stand-in for CloudWatch the simulator runs."""
    return click.option(
        "--cloudwatch",
        type=click.Choice(["faithful", "moto"]),
        default="faithful",
        show_default=True,
        help="A faithful CloudWatch, or unpatched moto.",
    )(function)


FORWARDERS_MAX: Final = 9
"""Each is two processes, and a machine has few cores."""


def forwarders_option(function: _Function) -> _Function:
    """Add ``--forwarders``: how many of them the simulator runs."""
    return click.option(
        "--forwarders",
        type=WholeNumber(1, FORWARDERS_MAX),
        default=1,
        show_default=True,
        metavar="N",
        help="Forwarders; several share a journal in PostgreSQL and may be killed, as may that.",
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
        choices: tuple[AwsChoice, ...],
        **options: Any,  # noqa: ANN401 - likewise
    ) -> _Result:
        if len(choices) > 1:
            msg = "this command reads one account and Region: run it once for each"
            raise UsageError(msg)
        return function(*arguments, choice=choices[0], **options)

    return several_aws_options(with_choice)


def several_aws_options(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Add the same options, repeatable: the command gets each combination, in ``choices``."""

    @wraps(function)
    def with_choices(
        *arguments: Any,  # noqa: ANN401 - click has checked them
        profile: tuple[str, ...],
        region: tuple[str, ...],
        endpoint_url: str | None,
        **options: Any,  # noqa: ANN401 - likewise
    ) -> _Result:
        choices = aws_choices(profile, region, endpoint_url)
        return function(*arguments, choices=choices, **options)

    repeated = "  [repeatable]"
    for option in (
        click.option("--endpoint-url", type=TEXT, metavar="U", help="CloudWatch Logs endpoint."),
        click.option(
            "--region",
            type=REGION,
            multiple=True,
            metavar="R",
            help=f"AWS Region.{repeated}",
        ),
        click.option(
            "--profile",
            type=PROFILE,
            multiple=True,
            metavar="P",
            help=f"Profile of the AWS settings.{repeated}",
        ),
    ):
        with_choices = option(with_choices)
    return with_choices


def token_file_option(function: _Function) -> _Function:
    """Add the option that names a file with the token of the forwarder to connect to."""
    return click.option(
        "--token-file",
        type=FILE,
        metavar="F",
        help="File with the forwarder's token; tokens of your own forwarders here are found.",
    )(function)


def filter_pattern_option(function: _Function) -> _Function:
    """Add ``--filter-pattern``: the command gets ``filter_pattern``, empty for all events."""
    return click.option(
        "--filter-pattern",
        "filter_pattern",
        type=FILTER_PATTERN,
        callback=lambda _context, _parameter, value: value or "",
        metavar="P",
        help="Only events that match CloudWatch's filter pattern P, as of filter-log-events.",
    )(function)


exclude_option: Final = click.option(
    "--exclude", type=EXPRESSION, multiple=True, metavar="EXPR", help="Hide lines that match."
)

level_option: Final = click.option(
    "--level",
    type=LEVEL,
    metavar=f"[{'|'.join(LEVELS)}]",
    help="Only lines of this level or above; lines without a level count as info.",
)


def page_options(command: str) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Add ``--web`` and ``--port``: the command gets the page's port, None without a page."""

    def add(function: Callable[..., _Result]) -> Callable[..., _Result]:
        @wraps(function)
        def with_page(
            *arguments: Any,  # noqa: ANN401 - click has checked them
            web: bool,
            port: int,
            **options: Any,  # noqa: ANN401 - likewise
        ) -> _Result:
            if port and not web:
                msg = "--port is the page's port: give --web with it"
                raise UsageError(msg)
            if web:
                require_extra(f"gapless {command} --web", "web")
                if options.get("record") is not None:
                    # Each tab is a viewer of its own, and would replace the others' record.
                    msg = (
                        "--record writes what one screen shows, and each tab has its own: "
                        f"leave out --web, or run gapless {command} --record beside it"
                    )
                    raise UsageError(msg)
            return function(*arguments, page=port if web else None, **options)

        text = "The page's port, with --web; 0 = any free one."
        with_port = click.option("--port", type=PORT, default=0, metavar="N", help=text)(with_page)
        text = "Show it in a browser, on a page served by this command."
        return click.option("--web", is_flag=True, help=text)(with_port)

    return add


def record_option(function: _Function) -> _Function:
    """Add ``--record``."""
    text = "Write what is shown, with its marks, for gapless replay: at the end, and at SIGUSR1."
    return click.option("--record", type=FILE, metavar="FILE", help=text)(function)


def while_held_option(function: _Function) -> _Function:
    """Add the hidden option that ends the command when no process holds a lock on the file."""
    return click.option("--while-held", type=FILE, hidden=True)(function)


def aws_choices(
    profiles: tuple[str, ...], regions: tuple[str, ...], endpoint_url: str | None
) -> tuple[AwsChoice, ...]:
    """Check the AWS options; return every combination of a profile and a Region.

    Raises:
        click.BadParameter: the endpoint is not a URL.
    """
    if endpoint_url is not None and not endpoint_url.startswith(("http://", "https://")):
        msg = f"{endpoint_url[:80]!r} is not a URL: write http://… or https://…"
        raise click.BadParameter(msg, param_hint="--endpoint-url")
    return choices_of(profiles, regions, endpoint_url)


def complete_scenario(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete the name of a scenario, or else the path of a scenario file."""
    del context, parameter
    known = [(one.name, one.doc) for one in known_scenarios().values()]
    found = [
        CompletionItem(name, help=doc)
        for name, doc in [*known, (ALL, "Every scenario.")]
        if name.startswith(begun)
    ]
    return found or [CompletionItem(begun, type="file")]


def known_scenarios() -> dict[str, Scenario]:
    """Return all built-in scenarios by name."""
    from simulator.scenarios.scripted import SCENARIOS  # noqa: PLC0415 - not needed for --help

    return dict(SCENARIOS)


def find_scenario(name: str) -> Scenario:
    """Return the built-in scenario of that name, or the one of the file at that path.

    Raises:
        UsageError: there is neither; the text lists the names that exist.
        ScriptError: the file is not a scenario; the text names the line.
    """
    if name.endswith(SCENARIO_SUFFIX) or "/" in name:
        from simulator.scenarios.script import SCRIPT_BYTES_MAX, read_script  # noqa: PLC0415 - likewise

        return read_script(_read_text(name, SCRIPT_BYTES_MAX), name)
    known = known_scenarios()
    if name not in known:
        near = get_close_matches(name, known, n=2)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        msg = (
            f"no scenario is called {name[:80]!r}; {hint}there are: {', '.join(known)}; "
            f"a file's name ends in {SCENARIO_SUFFIX}"
        )
        raise UsageError(msg)
    return known[name]


def _read_text(path: str, bytes_max: int) -> str:
    """Return a text file's content; of a file that is too large, a little more than fits."""
    try:
        content = read_regular(Path(path), bytes_max + 1)
        return content.decode(errors="strict" if len(content) <= bytes_max else "replace")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        msg = f"{path} line {line}: not UTF-8: save the file in UTF-8"
        raise UsageError(msg) from error
    except OSError as error:
        msg = f"cannot read the scenario {path} ({error.strerror}): check the path"
        raise UsageError(msg) from error


def check_times(since: int | None, until: int | None, now_ms: int) -> None:
    """Check that a range of time can contain events; all in ms since the Unix epoch.

    Raises:
        UsageError: it begins in the future or after its end.
    """
    if since is not None and since > now_ms:
        msg = f"--since {iso(since)} is in the future: give an earlier time, or a duration like 10m"
        raise UsageError(msg)
    if since is not None and until is not None and until < since:
        msg = f"--until {iso(until)} is before --since {iso(since)}: nothing can be in between"
        raise UsageError(msg)


def check_writable(path: Path | None, what: str) -> None:
    """Find out before an hour of work that a file could not be written at its end.

    Raises:
        UsageError: its folder is missing or not writable, or it is no file or not writable itself;
            ``what`` names the file.
    """
    if path is None:
        return
    reason = ""
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        reason = "its folder is missing or not writable"
    elif path.exists() and not (path.is_file() or path.is_char_device()):
        reason = "it is not a regular file"
    elif path.exists() and not os.access(path, os.W_OK):
        reason = "the file is not writable"
    if reason:
        msg = f"cannot write the {what} {path}: {reason}"
        raise UsageError(msg)


def check_distinct(outputs: Sequence[Path], inputs: Sequence[str] = ()) -> None:
    """Check that no file would replace another one that the same command reads or writes.

    Raises:
        UsageError: two names stand for the same file, perhaps through a link.
    """
    for number, path in enumerate(outputs):
        for other in (*map(Path, inputs), *outputs[:number]):
            if _is_same_file(path, other):
                msg = f"{path} would replace {other}, the same file: give each a name of its own"
                raise UsageError(msg)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is yet to be written
        return os.path.realpath(one) == os.path.realpath(other)

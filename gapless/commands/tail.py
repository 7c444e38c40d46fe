"""``gapless tail``: watch log groups or forwarders, on screen or as output."""

from __future__ import annotations

import contextlib
import re
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from common.errors import EXIT_CODES, EXIT_DONE, CannotConnectError, UsageError
from common.locks import end_when_released, hold_temporary
from common.state import state_dir
from gapless.aws import AwsChoice, prepare_credentials
from gapless.options import (
    DURATION,
    EXECUTION,
    EXPRESSION,
    FIELDS,
    FILE,
    FORMAT,
    STREAM,
    TARGET,
    TEXT,
    TIME,
    TIMEZONE,
    ParsedType,
    WholeNumber,
    calls_option,
    check_times,
    check_writable,
    exclude_option,
    filter_pattern_option,
    level_option,
    notify_option,
    page_options,
    record_option,
    several_aws_options,
    token_file_option,
)
from gapless.targets.executions import CheckedFilter, StreamFilter
from gapless.targets.grammar import Target
from gapless.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gapless.viewing.model import Viewing
    from gapless.viewing.sources import TargetOpener


_LINES_MAX: Final = 1_000_000

CONTEXT_LINES_MAX: Final = 10_000
"""Most context lines; those before a match are held in memory."""

_CONSUMER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ARGUMENTS: Final = "gapless.tail.arguments"
"""Where a context keeps the arguments as given: each tab of a page has the same ones."""

_YES: Final = frozenset({"", "1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})


class Resume(msgspec.Struct, frozen=True):
    """The value of ``--resume``."""

    resume: bool = True
    consumer: str = ""
    """The consumer's name; empty: the default one."""


def parse_resume(text: str) -> Resume:
    """Parse the value of ``--resume``; yes and no are for settings.

    Raises:
        ValueError: It is no possible name.
    """
    if text.lower() in _YES:
        return Resume()
    if text.lower() in _NO:
        return Resume(resume=False)
    if _CONSUMER.fullmatch(text) is None:
        msg = f"{text[:80]!r} is not a consumer's name (up to 64 letters, digits, and . _ -)"
        raise ValueError(msg)
    return Resume(consumer=text)


RESUME: Final = ParsedType("NAME", parse_resume, parsed=Resume, toml_types=(bool,))


class _TailCommand(click.Command):
    """``tail``, whose ``--resume`` takes the next word only if that can be a NAME."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; a forwarder's URL or a path after ``--resume`` is a TARGET."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        given = list(args)
        for place, (word, following) in enumerate(pairwise(args)):
            if word == "--resume" and _CONSUMER.fullmatch(following) is None:
                given[place] = "--resume="
            if word == "--":
                break
        return super().parse_args(ctx, given)


def _one_format(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> str | None:
    """The format, which has several names and settings.

    Raises:
        click.BadParameter: Two different ones are given.
    """
    if len(set(given)) > 1:
        shown = " and ".join(map(repr, dict.fromkeys(given)))
        msg = f"{shown} exclude each other: --format and --output are the same option"
        raise click.BadParameter(msg, context, parameter)
    return given[0] if given else None


CONTEXT: Final = WholeNumber(0, CONTEXT_LINES_MAX)


_EPILOG: Final = f"""Case: an expression without upper-case letters ignores case (smart case), in
names of fields as in values; one upper-case letter makes it exact.

History: without --since the screen resumes where it was left; output, and a first screen, begin
ten minutes ago. The background forwarder keeps messages for 24 h (forward --retain).

\b
Exit codes:
{chr(10).join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())}
"""


@click.command("tail", cls=_TailCommand, epilog=_EPILOG)
@click.argument("targets", type=TARGET, nargs=-1, metavar="[TARGET]...")
@click.option(
    "--execution",
    "executions",
    type=EXECUTION,
    multiple=True,
    metavar="ID",
    help="Only this execution: its id, or the beginning of it.",
)
@click.option(
    "--stream", "streams", type=STREAM, multiple=True, metavar="NAME", help="Only this log stream."
)
@click.option(
    "--prefix",
    "prefixes",
    type=TEXT,
    multiple=True,
    metavar="P",
    help="Only log streams with this prefix.",
)
@filter_pattern_option
@click.option(
    "-s",
    "--since",
    type=TIME,
    metavar="10m|TIME",
    help="Start this long ago, or at this time: 10m, 2d1h, '2 days ago', yesterday, 12:04, ISO "
    "8601, or seconds or milliseconds since 1970.  [default: 10m; a screen resumes]",
)
@click.option(
    "--timezone",
    type=TIMEZONE,
    is_eager=True,
    metavar="local|utc|Area/City",
    help="Zone of all times on screen and in text, and of --since and --until where they name "
    "none.  [default: utc; for --since and --until local]",
)
@click.option("--until", type=TIME, metavar="TIME", help="Show nothing later than this.")
@click.option(
    "-n",
    "--lines",
    type=WholeNumber(0, _LINES_MAX),
    metavar="N",
    help="Show only the last N lines of the past; with --no-follow, of all.",
)
@click.option(
    "--in-memory",
    "capacity",
    type=WholeNumber(10_000, 100_000_000),
    metavar="N",
    help="Lines kept in memory; older ones are fetched again when scrolled to.  [default: "
    "1,000,000]",
)
@click.option(
    "--grep",
    type=EXPRESSION,
    multiple=True,
    metavar="EXPR",
    help="Only lines that match: text, /regex/, field=value (!= > >= < <=), field~text, "
    "level>=warn, !x for the opposite. Without upper-case letters, case is ignored.",
)
@exclude_option
@level_option
@click.option(
    "--fields",
    type=FIELDS,
    metavar="NAME,...",
    help="Columns of these fields on screen (C chooses others), as level,msg,user.id; with "
    "--output, print only these, with tabs between them, or as JSON. The event's own are time, "
    "level, stream, group, origin and msg.",
)
@click.option(
    "-o",
    "--format",
    "--output",
    "output",
    type=FORMAT,
    multiple=True,
    callback=_one_format,
    metavar="FORMAT",
    help="Print lines instead of a screen: detailed (or text: time, log stream, message), short "
    "(time, message), json (objects, with late, altered or context set where a line is that), raw "
    "(messages alone), or a TEMPLATE with fields in braces, as "
    "'{time} {level:5} {user.id} {msg}'. --output and --format are the same option.  [default: "
    "text, if stdout is not a terminal]",
)
@click.option("-A", "after", type=CONTEXT, metavar="N", help="Print N lines after each match.")
@click.option("-B", "before", type=CONTEXT, metavar="N", help="Print N lines before each match.")
@click.option(
    "-C",
    "around",
    type=CONTEXT,
    metavar="N",
    help="Print N lines before and after each line that --grep and --level match. Lines that "
    "--exclude hides stay hidden. --lines counts lines before they are matched.",
)
@click.option(
    "--order",
    type=click.Choice(["strict", "arrival"]),
    default="strict",
    show_default=True,
    help="Order of output: by time, held until verified; or as lines arrive.",
)
@click.option(
    "--hold",
    type=DURATION,
    default="10s",
    show_default=True,
    help="Longest time that strict order holds a line back.",
)
@record_option
@click.option(
    "-f",
    "--follow/--no-follow",
    default=True,
    show_default="follow",
    help="Wait for new lines, or exit after the existing ones.",
)
@click.option(
    "--wait", is_flag=True, help="Wait for log groups that do not exist yet; Ctrl+C ends it."
)
@click.option(
    "--patience",
    type=DURATION,
    default="30s",
    show_default=True,
    help="With --until or --no-follow: exit after this long without progress.",
)
@click.option(
    "--resume",
    type=RESUME,
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Print what consumer NAME (default: the screen, or the output form and query) has not "
    "printed yet, and remember it; default on screen without --since.",
)
@click.option("--no-resume", is_flag=True, help="Start at --since, and remember nothing.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True
)
@page_options("tail")
@click.option("--tab-of", type=FILE, hidden=True)
@calls_option
@token_file_option
@notify_option
@several_aws_options
def command(
    targets: tuple[Target, ...],
    *,
    page: int | None,
    tab_of: Path | None,
    token_file: Path | None,
    choices: tuple[AwsChoice, ...],
    resume: Resume | None,
    no_resume: bool,
    calls_per_second: float | None,
    **options: Any,  # noqa: ANN401 - click has checked them
) -> int:
    """Watch TARGETs, merged by time, each line verified to be there exactly once.

    A TARGET is a log group, a pattern of them ('/aws/lambda/*'), the ARN of a log group or log
    stream, also of a linked account, or the ws:// URL of a forwarder. Several --region and
    --profile are watched side by side.
    """
    if tab_of is not None:
        end_when_released(tab_of)
        page = None
    if page is not None or not (targets or tab_of):
        _check_screen(options, page=page)
    for one in () if targets else choices:
        prepare_credentials(one)
    targets = tuple(dict.fromkeys(targets))  # one that is given twice counts once
    token = _token(token_file)
    _check_options(options)
    # Imported only now that the options are checked.
    from gapless.viewing.opening import AnyTargetOpener, pick_targets  # noqa: PLC0415
    from gapless.viewing.sources import TargetOpener  # noqa: PLC0415
    from gapless.viewing.watch import load_viewer, watch  # noqa: PLC0415

    load = partial(load_viewer, for_screen=not options["output"] and options["follow"])
    waits_for_end = options["executions"] and options["follow"] and options["until"] is None
    waits = options.pop("wait")
    target_opener = TargetOpener(
        choices,
        load,
        waits_for_end=bool(waits_for_end),
        follows=options["follow"] and options["until"] is None,
        waits=waits,
        pattern=options["filter_pattern"],
        token=token,
        calls_per_second=calls_per_second,
    )

    resuming = _resuming(resume, no_resume=no_resume)
    viewing = _viewing(options, token, resuming, in_browser=tab_of is not None)
    given = StreamFilter(options["executions"], options["streams"], options["prefixes"])
    open_targets = partial(
        _open, viewing, target_opener, StreamFilter() if waits else given, token_file
    )
    if page is not None:
        return _serve_page(partial(open_targets, () if waits else targets), port=page)
    opener = AnyTargetOpener(viewing, target_opener, token_file)
    with contextlib.ExitStack() as stack:
        if targets:
            viewing = open_targets(targets, stack)
        elif chosen := pick_targets(choices):
            filters = {name: options[name] for name in ("executions", "streams", "prefixes")}
            viewing = stack.enter_context(opener.open(viewing, chosen))
            viewing = msgspec.structs.replace(viewing, **filters)
        else:
            return EXIT_DONE
        return watch(viewing, opener)


def _open(
    viewing: Viewing,
    opener: TargetOpener,
    checked: StreamFilter,
    token_file: Path | None,
    targets: Sequence[Target],
    stack: contextlib.ExitStack,
) -> Viewing:
    """Return the viewing with its targets opened; ``checked`` is what must match something."""
    from gapless.viewing.sources import StreamLists  # noqa: PLC0415 - after the options

    # They are listed while the forwarders start.
    lists = None
    if targets and not checked.is_empty:
        lists = StreamLists(stack, targets, opener.choices, token_file)
    opened = opener.open(stack, targets)
    viewing = msgspec.structs.replace(viewing, **opened._asdict())
    return viewing if lists is None else _filtered(viewing, lists.check(checked))


def _serve_page(open_targets: Callable[[contextlib.ExitStack], Viewing], *, port: int) -> int:
    """Show it on a page until a signal ends that, with a viewer for each tab.

    Targets are opened here first: errors and notices appear on the terminal, and the forwarders
    stay for as long as the page.
    """
    from gapless.viewing.watch import within_limit  # noqa: PLC0415 - websockets is slow to import
    from gapless.web.server import announce, serve  # noqa: PLC0415 - as is aiohttp

    given = click.get_current_context().meta[_ARGUMENTS]
    with contextlib.ExitStack() as stack:
        lifeline = stack.enter_context(hold_temporary(state_dir("lifelines"))).path
        viewing = within_limit(open_targets(stack))
        for notice in viewing.notices:
            say(notice)
        names = [*(one.name for one in viewing.targets), "gapless"]
        viewer = ["tail", "--tab-of", str(lifeline), *given]
        return serve(
            " · ".join(names), viewer, port=port, is_needed=lambda: True, announce=announce
        )


def _viewing(
    options: dict[str, Any], token: str | None, resuming: Resume | None, *, in_browser: bool
) -> Viewing:
    """Return what to watch and how, without targets."""
    from gapless.viewing.model import Viewing  # noqa: PLC0415 - after the options

    return Viewing(
        targets=(),
        token=token,
        resume=None if resuming is None else resuming.resume,
        consumer="" if resuming is None else resuming.consumer,
        in_browser=in_browser,
        **options,
    )


def _check_screen(options: dict[str, Any], *, page: int | None) -> None:
    """Check that a screen was asked for, and that there is one: a page, or a terminal to pick on.

    Raises:
        UsageError: Other output was asked for, or there is no terminal.
    """
    from gapless.viewing.model import has_screen  # noqa: PLC0415 - after the options

    is_screen = options["follow"] and not options["output"]
    if page is not None and not is_screen:
        msg = "--web shows the screen: leave out --format, --output and --no-follow"
        raise UsageError(msg)
    if page is None and not (is_screen and has_screen()):
        hint = "give a TARGET: gapless tail LOG-GROUP, or gapless tail ws://HOST:PORT/v1/tail"
        raise UsageError(hint)


def _check_options(options: dict[str, Any]) -> None:
    """Check options against each other.

    Raises:
        UsageError: They exclude each other, or can yield nothing.
    """
    output = options["output"] or ""
    if options["fields"] and (output == "raw" or "{" in output):
        what = "raw prints whole messages" if output == "raw" else "the template names its own"
        msg = f"--fields and this --format exclude each other: {what}"
        raise UsageError(msg)
    around = options.pop("around") or 0
    options["before"] = max(options["before"] or 0, around)
    options["after"] = max(options["after"] or 0, around)
    if (options["before"] or options["after"]) and not (options["grep"] or options["level"]):
        msg = "-A, -B and -C print lines around matches: give --grep or --level, too"
        raise UsageError(msg)
    check_writable(options["record"], "record")
    check_times(options["since"], options["until"], time.time_ns() // 1_000_000)


def _filtered(viewing: Viewing, checked: CheckedFilter) -> Viewing:
    """Return the viewing with the filter that was meant, and a notice of what matches nothing.

    Raises:
        CannotConnectError: Nothing matches, and the viewer would not wait for it.
    """
    if checked.matches_nothing and not viewing.follow:
        raise CannotConnectError("; ".join(checked.unmatched))
    # Output that ends by itself reports at its end which executions had no events.
    reported_later = 0 if viewing.follow else checked.unmatched_executions
    notices = (*filter(None, (viewing.notice,)), *checked.unmatched[reported_later:])
    return msgspec.structs.replace(
        viewing, executions=checked.filter.executions, notice=" · ".join(notices)
    )


def _resuming(resume: Resume | None, *, no_resume: bool) -> Resume | None:
    """Return what was asked for; ``--resume`` on the command line beats a setting.

    Raises:
        UsageError: Both options are on the command line.
    """
    if not no_resume:
        return resume
    source = click.get_current_context().get_parameter_source
    resume_given, no_given = (
        source(name) is click.core.ParameterSource.COMMANDLINE for name in ("resume", "no_resume")
    )
    if resume_given and no_given:
        msg = "--resume and --no-resume exclude each other: give one of them"
        raise UsageError(msg)
    return resume if resume_given else Resume(resume=False)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    from common.tokens import read_token  # noqa: PLC0415 - most need no file

    return read_token(path)
